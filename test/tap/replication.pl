# A physical standby answers questions and takes over; a logical subscriber
# makes leads of its own where its capture triggers are enabled ALWAYS.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = q{
	insert into form (contact_id, name) select id, case when id % 3 = 0 then 'demo' else 'contact' end from contact where id <= 30;
	insert into visit (contact_id, url, amount) select 1 + i % 25, (array['/pricing', '/', '/blog'])[1 + i % 7 % 3], i % 5
		from generate_series(1, 300) i;
	insert into mail (contact_id, what) select 1 + i % 20, case when i % 2 = 0 then 'open' else 'sent' end from generate_series(1, 60) i;
};

sub all_mismatches
{
	my ($node, $database) = @_;

	return join '', map { $node->safe_psql($database, mismatches($_)) }
	  sort keys %LeadWorld::streams;
}


# --------------------------------------------------------------------------
# Physical
# --------------------------------------------------------------------------

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
make_world($primary);
$primary->safe_psql('postgres',
	"insert into contact (id, country) select i, case when i % 2 = 0 then 'SE' end from generate_series(1, 40) i");
enable_streams($primary);
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', $rows);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));

foreach my $query (
	'select stream, is_enabled, rule::text, lead_count, problem from leadstream.streams order by 1',
	'select * from leadstream.board order by lead_id',
	'select * from leadstream.leads order by lead_id',
	'select * from leadstream.matches order by lead_id, stream',
	'select * from leadstream.fields',
	q{select id, leadstream.is_match('count(visit where url = ''/pricing'') >= 3', id) from contact order by id},
	q{select * from leadstream.timeline('exists(form where name = ''demo'')') order by 1},
	q{select * from leadstream.preview('sum(visit.amount) >= 30') order by 1},
	q{select leadstream.rule_sql('country = ''SE'' and exists(form)')})
{
	my ($what) = $query =~ /leadstream\.(\w+)/;
	my $expected = $primary->safe_psql('postgres', $query);

	isnt($expected, '', "primary: $what says something");
	is($standby->safe_psql('postgres', $query), $expected, "standby: $what says the same");
}
is($standby->safe_psql('postgres', "select * from leadstream.verify('score >= 50 or exists(form)'::leadstream.rule); select count(*) from leadstream.verify('demo')"),
	'0', 'standby: verify runs and finds nothing');

foreach my $call ("enable('demo')", "disable('demo')", "clear('demo')", "fetch_history('demo')",
	"create_stream('new', 'exists(visit)', '{sales}')", "alter_stream('demo', description => 'x')",
	"create_team('new')", "create_lead(1::bigint, 'sales')", "move(1, 'Won')")
{
	my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\nselect leadstream.$call");
	my ($name) = $call =~ /(\w+)/;
	like($err, qr/ERROR:  25006/, "standby: $name fails with 25006");
}

$primary->stop('immediate');
$standby->promote;
$standby->safe_psql(
	'postgres', q{
	insert into form (contact_id, name) values (40, 'demo');
	update contact set score = 60 where id = 39;
	insert into visit (contact_id, url) select id, '/pricing' from contact, generate_series(1, 3) where id > 30});
is(all_mismatches($standby, 'postgres'), '', 'promoted: leads are what the rows say');
is($standby->safe_psql('postgres', disorder()), '', 'promoted: the lead tables are in order');
$standby->safe_psql('postgres',
	q{select leadstream.create_stream('new', 'exists(visit)', '{sales}'); select leadstream.enable('new');
	  insert into visit (contact_id) values (1)});
is($standby->safe_psql('postgres', "select contact_id from leadstream.matches where stream = 'new'"), '1', 'promoted: new streams make leads');
$standby->safe_psql('postgres', "select leadstream.fetch_history('new')");
is($standby->safe_psql('postgres', "select count(*) = (select count(distinct contact_id) from visit) from leadstream.matches where stream = 'new'"), 't', 'promoted: history is fetched');
$standby->stop;


# --------------------------------------------------------------------------
# Logical
# --------------------------------------------------------------------------

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
$publisher->safe_psql(
	'postgres', q{
	create table contact (id bigint primary key, country text, score integer not null default 0, note text);
	create table visit (id bigint generated always as identity primary key, contact_id bigint not null,
		at timestamptz not null default clock_timestamp(), url text, amount integer not null default 1);
	create table form (id bigint generated always as identity primary key, contact_id bigint not null,
		at timestamptz not null default clock_timestamp(), name text);
	create table mail (id bigint not null default (random() * 1e15)::bigint, contact_id bigint not null,
		at timestamptz not null default clock_timestamp(), what text);
	alter table mail replica identity full;
	create publication everything for table contact, visit, form, mail;
	insert into contact (id, country) select i, case when i % 2 = 0 then 'SE' end from generate_series(1, 40) i;
} . $rows);

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf(
	'postgresql.conf', q{
	log_statement = none
	wal_retrieve_retry_interval = 200ms
	max_logical_replication_workers = 12
	log_line_prefix = '%m|%p|%a|%e|'
});
$subscriber->start;

# As README.md says: ALWAYS for the row trigger of each table.
foreach my $database ('silent', 'loud')
{
	$subscriber->safe_psql('postgres', "create database $database");
	make_world($subscriber, $database);
	enable_streams($subscriber, $database);
}
$subscriber->safe_psql('loud',
	join '', map { "alter table $_ enable always trigger leadstream_capture;" } qw(contact visit form mail));
foreach my $database ('silent', 'loud')
{
	$subscriber->safe_psql($database,
		sprintf "create subscription %s connection '%s' publication everything",
		$database, $publisher->connstr('postgres') =~ s/'/''/gr);
	$subscriber->wait_for_subscription_sync($publisher, $database, $database);
}

is($subscriber->safe_psql('silent', 'select count(*) from visit'), '300', 'silent: rows are synced');
is($subscriber->safe_psql('silent', 'select count(*) from leadstream.lead'), '0', 'silent: without ALWAYS the sync makes no lead');
cmp_ok($subscriber->safe_psql('loud', 'select count(*) from leadstream.lead'), '>', 30, 'loud: the sync makes leads');
# Tables are synced each by its own worker: an activity may come before its
# contact, of which fetch_history finds what is missing.
$subscriber->safe_psql('loud', 'select leadstream.fetch_history(array(select stream from leadstream.stream))');
is(all_mismatches($subscriber, 'loud'), '', 'loud: after the sync and fetch_history, leads are what the rows say');

$publisher->safe_psql(
	'postgres', q{
	insert into contact (id, country) select i, 'NO' from generate_series(41, 60) i;
	update contact set country = 'SE' where id between 20 and 30;
	update contact set score = 85 where id between 35 and 45;
	insert into form (contact_id, name) select i, 'demo' from generate_series(25, 50) i;
	insert into visit (contact_id, url, amount) select i, (array['/pricing', '/', '/blog'])[1 + n % 3], 4
		from generate_series(45, 60) i, generate_series(1, 12) n;
	insert into mail (contact_id, what) select i, 'open' from generate_series(50, 60) i, generate_series(1, 2);
	begin;
	insert into form (contact_id, name) values (31, 'x');
	savepoint a;
	insert into form (contact_id, name) values (32, 'demo');
	rollback to a;
	commit});
$publisher->wait_for_catchup($_) foreach 'silent', 'loud';
is($subscriber->safe_psql('silent', 'select count(*) from leadstream.lead'), '0', 'silent: applied rows make no lead');
is(all_mismatches($subscriber, 'loud'), '', 'loud: applied rows make exactly their leads');
is($subscriber->safe_psql('loud', disorder()), '', 'loud: the lead tables are in order');
is($subscriber->safe_psql('loud', "select string_agg(distinct origin, ' ' order by origin) from leadstream.matches where contact_id > 40"),
	'live', 'loud: the matches are live');

# The subscriber's own rows are captured as ever.
$subscriber->safe_psql('loud', "insert into form (id, contact_id, name) overriding system value values (1000000, 52, 'demo')");
$subscriber->safe_psql('silent', "insert into form (id, contact_id, name) overriding system value values (1000000, 52, 'demo')");
is($subscriber->safe_psql($_, "select count(*) from leadstream.matches where contact_id = 52 and stream = 'demo'"), '1', "$_: own rows make leads")
  foreach 'silent', 'loud';

# Silent at last: history makes up for it.
$subscriber->safe_psql('silent', 'select leadstream.fetch_history(array(select stream from leadstream.stream))');
is(all_mismatches($subscriber, 'silent'), '', 'silent: fetch_history makes the leads');

# Updates and deletes, one by one as they are applied: of a row that no rule
# sees change there is no news, of contacts with another key neither.
my $deal = q{
	create table deal (id bigint primary key, contact_id bigint, at timestamptz not null default clock_timestamp(), what text, note text);
};
$subscriber->safe_psql($_, $deal) foreach 'silent', 'loud';
$publisher->safe_psql('postgres', $deal . q{
	alter publication everything add table deal;
	insert into contact (id) select i from generate_series(101, 107) i;
	insert into deal (id, contact_id, what) select i, 100 + i, 'won' from generate_series(1, 2) i;
	insert into deal (id, contact_id, what) select 10 + i, 102 + i, 'open' from generate_series(1, 5) i;
	insert into deal (id, contact_id, what) values (21, 105, 'hold'), (22, 105, 'hold'), (23, 106, 'hold')});
$subscriber->safe_psql('loud', 'alter subscription loud refresh publication');
$subscriber->safe_psql('loud', q{
	set log_min_messages = error;
	select leadstream.attach_activity('deal', contact_key => 'contact_id', events => '{insert,update,delete}');
	alter table deal enable always trigger leadstream_capture});
$subscriber->wait_for_subscription_sync($publisher, 'loud', 'loud');
$subscriber->safe_psql('loud', q{
	select leadstream.create_stream('won', 'exists(deal where what = ''won'')', '{sales}');
	select leadstream.create_stream('free', 'exists(deal where what = ''open'') and not exists(deal where what = ''hold'')', '{sales}');
	select leadstream.enable(s) from unnest('{won,free}'::text[]) s});
$publisher->safe_psql('postgres', q{
	update deal set note = 'x';
	update deal set what = 'won' where id = 11;
	delete from deal where id in (21, 23);
	begin;
	update contact set id = 1101 where id = 101;
	update deal set contact_id = 1101 where contact_id = 101;
	commit;
	update deal set contact_id = 107 where id = 2});
$publisher->wait_for_catchup('loud');
is($subscriber->safe_psql('loud', "select string_agg(stream || ' ' || contact_id, ', ' order by stream, contact_id::int) from leadstream.matches where stream in ('won', 'free')"),
	'free 106, won 103, won 107', 'loud: applied updates and deletes make exactly their leads');
$subscriber->safe_psql('loud', q{
	select leadstream.disable(s) from unnest('{won,free}'::text[]) s;
	select leadstream.clear(s) from unnest('{won,free}'::text[]) s;
	select leadstream.drop_stream(s) from unnest('{won,free}'::text[]) s});

# Rows go, leads stay; contacts go, leads go.
$publisher->safe_psql('postgres', q{
	delete from visit where contact_id = 50; delete from form where contact_id = 50; delete from mail where contact_id = 50;
	delete from contact where id = 50});
$publisher->wait_for_catchup($_) foreach 'silent', 'loud';
is($subscriber->safe_psql('loud', 'select count(*) from contact where id = 50'), '0', 'loud: a deleted contact is gone');
isnt($subscriber->safe_psql('loud', 'select count(*) from leadstream.lead where contact_id = 50'), '0',
	'loud: its leads stay, for foreign keys are silent in an apply worker');

# The recipe of README: foreign keys that act there too.
$subscriber->safe_psql('loud', q{
	do $$
	declare
	  t record;
	begin
	  for t in select g.tgrelid::regclass as contacts, g.tgname from pg_trigger g
		join pg_constraint c on c.oid = g.tgconstraint and c.confrelid = g.tgrelid
		where c.conrelid in ('leadstream.lead'::regclass, 'leadstream.lead_event'::regclass, 'leadstream.score'::regclass)
	  loop
		execute format('alter table %s enable always trigger %I', t.contacts, t.tgname);
	  end loop;
	end $$});
isnt($subscriber->safe_psql('loud', 'select count(*) from leadstream.lead where contact_id = 49'), '0', 'loud: a contact with leads');
$publisher->safe_psql('postgres', q{
	delete from visit where contact_id = 49; delete from form where contact_id = 49; delete from mail where contact_id = 49;
	delete from contact where id = 49});
$publisher->wait_for_catchup('loud');
is($subscriber->safe_psql('loud', q{
	select (select count(*) from leadstream.lead where contact_id = 49)
		+ (select count(*) from leadstream.lead_event where contact_id = 49)
		+ (select count(*) from leadstream.lead_match m where not exists (
			select from leadstream.lead l where l.lead_id = m.lead_id))}), '0',
	'loud: with foreign keys that are always enabled, leads, events and matches go with a contact');

# 18 leaks a reference to each table whose row triggers fire by way of another
# one in an apply worker, whatever the triggers are (18.6; not 15 to 17).
my $is_leaky = $subscriber->pg_version >= 18;
my @complaints = scan_log(
	$subscriber->logfile,
	sub {
		my ($c) = @_;

		return $c->{state} =~ /^57P0/
		  || ($is_leaky && $c->{text} =~ /^resource was not closed: relation "/);
	});
is(join("\n", @complaints), '', 'the log of the subscriber has no complaint');

$subscriber->safe_psql($_, "drop subscription $_") foreach 'silent', 'loud';
$subscriber->stop;
$publisher->stop;
done_testing();
