# What is cut short leaves nothing behind: timeouts, cancellation, limits, and
# a role that may do no more than insert.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = PostgreSQL::Test::Cluster->new('fault');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\nlog_line_prefix = '%m|%p|%a|%e|'");
$node->start;
make_world($node);
enable_streams($node);
$node->safe_psql('postgres', 'insert into contact (id) select generate_series(1, 40)');

# The SQLSTATE of what a script complains of last, or none.
sub sqlstate_of
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql", on_error_stop => 0);
	my @states = $err =~ /ERROR:  (\w{5})/g;

	return $states[-1] || 'none';
}

sub count_of
{
	return $node->safe_psql('postgres', "select count(*) from $_[0]");
}


# --------------------------------------------------------------------------
# A hot contact
# --------------------------------------------------------------------------

my $holder = $node->background_psql('postgres');
$holder->query_safe("begin; insert into visit (contact_id, url) values (1, '/pricing'), (1, '/pricing');");

is(sqlstate_of("set lock_timeout = '100ms'; insert into visit (contact_id, url) values (1, '/pricing');"),
	'55P03', 'lock_timeout ends an insert for a contact that another writer holds');
is(sqlstate_of("set statement_timeout = '100ms'; insert into visit (contact_id, url) values (1, '/pricing');"),
	'57014', 'so does statement_timeout');
is(sqlstate_of("set lock_timeout = '100ms'; insert into visit (contact_id, url) select i, '/pricing' from generate_series(1, 3) i, generate_series(1, 3);"),
	'55P03', 'and an insert for several contacts');
is(sqlstate_of("set lock_timeout = '100ms'; insert into visit (contact_id, url) select i, '/pricing' from generate_series(2, 3) i, generate_series(1, 3);"),
	'none', 'other contacts do not wait');
is( sqlstate_of(
		q{set lock_timeout = '100ms';
		begin;
		insert into form (contact_id, name) values (4, 'demo');
		savepoint a;
		insert into visit (contact_id, url) select i, '/pricing' from generate_series(1, 5) i, generate_series(1, 3);
		rollback to savepoint a;
		insert into form (contact_id, name) values (5, 'demo');
		commit;}),
	'55P03', 'in a savepoint, too');
is(count_of('visit where contact_id in (1, 4, 5)'), '0', 'what failed has left no rows');
is(count_of("leadstream.matches where stream = 'demo' and contact_id in (4, 5)"), '2', 'what did not fail has its leads');
is(count_of("leadstream.matches where stream = 'pricing'"), '2', 'and no others');
foreach my $call ("fetch_history('pricing')", "disable('pricing'); select leadstream.clear('pricing')")
{
	my ($name) = $call =~ /(\w+)\('pricing'\)$/;
	is(sqlstate_of("set lock_timeout = '100ms'; begin; select leadstream.$call; commit;"),
		'55P03', "lock_timeout ends $name while it waits for writers");
	is(sqlstate_of("set statement_timeout = '100ms'; begin; select leadstream.$call; commit;"),
		'57014', "statement_timeout ends $name while it waits for writers");
}
$holder->query_safe('commit;');
is(count_of("leadstream.matches where stream = 'pricing'"), '2', 'the first two rows are not enough');
$node->safe_psql('postgres', "insert into visit (contact_id, url) values (1, '/pricing')");
is_exact($node, 'after a hot contact');


# --------------------------------------------------------------------------
# A long fetch_history, a long statement
# --------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	set leadstream.capture = off;
	insert into contact (id) select generate_series(1001, 31000);
	insert into form (contact_id, name) select id, 'demo' from contact where id > 1000;
	analyze});
my $demo = count_of("leadstream.matches where stream = 'demo'");
my $events = count_of('leadstream.lead_event');

my $cancelled = 0;
foreach my $ms (5, 50, 150, 300, 500)
{
	my $state = sqlstate_of("set statement_timeout = '${ms}ms'; select leadstream.fetch_history('demo');");
	last if $state eq 'none';
	is($state, '57014', "fetch_history is cancelled after $ms ms");
	is(count_of("leadstream.matches where stream = 'demo'"), $demo, 'and has made nothing');
	is(count_of('leadstream.lead_event'), $events, 'and noted nothing');
	$cancelled++;
}
cmp_ok($cancelled, '>', 1, 'fetch_history was cancelled more than once');
$node->safe_psql('postgres', "select leadstream.fetch_history('demo')");
is(count_of("leadstream.matches where stream = 'demo' and origin = 'history'"), '30000', 'uncancelled it makes all');

# The candidates of a statement are settled some thousand contacts at a time.
$cancelled = 0;
$node->safe_psql('postgres', "select leadstream.disable('demo'); select leadstream.clear('demo'); select leadstream.enable('demo')");
my $nmatches = count_of('leadstream.lead_match');
$events = count_of('leadstream.lead_event');
foreach my $ms (100, 300, 500, 700, 900)
{
	my $state = sqlstate_of("set statement_timeout = '${ms}ms'; insert into form (contact_id, name) select id, 'demo' from contact where id > 1000;");
	last if $state eq 'none';
	is($state, '57014', "a long insert is cancelled after $ms ms");
	is(count_of('leadstream.lead_match'), $nmatches, 'and has made nothing');
	is(count_of('leadstream.lead_event'), $events, 'and noted nothing');
	$cancelled++;
}
cmp_ok($cancelled, '>', 0, 'a long insert was cancelled');
$node->safe_psql('postgres', "insert into form (contact_id, name) select id, 'demo' from contact where id between 1001 and 1200");
is(count_of("leadstream.matches where stream = 'demo' and contact_id between 1001 and 1200"), '200', 'the next insert makes its leads');
$node->safe_psql('postgres', "delete from contact where id > 1000; select leadstream.fetch_history('demo')");
is_exact($node, 'after cancellation');

# Somebody else's hand: pg_cancel_backend, pg_terminate_backend.
$holder->query_safe("begin; insert into visit (contact_id, url) values (6, '/');");
foreach my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $fetcher = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $fetcher->query_safe('select pg_backend_pid();');
	$fetcher->query_until(qr/asked/, "\\echo asked\nselect leadstream.fetch_history('pricing');\n");
	ok($node->poll_query_until('postgres',
			"select wait_event = 'virtualxid' from pg_stat_activity where pid = $pid"), "fetch_history waits for a writer");
	is($node->safe_psql('postgres', "select $how($pid)"), 't', "$how is heard");
	ok($node->poll_query_until('postgres',
			"select not exists (select from pg_stat_activity where pid = $pid and state = 'active')"), 'and ends it');
	eval { $fetcher->quit };
}
$holder->query_safe('rollback;');
is_exact($node, 'after another hand');


# --------------------------------------------------------------------------
# Limits of the server, errors of others
# --------------------------------------------------------------------------

# The nearest thing to a full disk that needs no disk.
$node->safe_psql('postgres', q{
	set leadstream.capture = off;
	insert into contact (id) select generate_series(1001, 21000);
	insert into form (contact_id, name) select id, 'demo' from contact where id > 1000});
is(sqlstate_of("set work_mem = '64kB'; set temp_file_limit = '64kB'; set enable_hashagg = off; set enable_indexscan = off; set enable_bitmapscan = off; select leadstream.fetch_history('demo');"),
	'53400', 'fetch_history stops at a limit');
is(count_of("leadstream.matches where contact_id > 1000"), '0', 'and has made nothing');
$node->safe_psql('postgres', 'delete from contact where id > 1000');

$node->safe_psql(
	'postgres', q{
	create function refuse() returns trigger language plpgsql as $$
	begin
		if new.contact_id = 8 then
			raise exception 'not this one' using errcode = 'P0008';
		end if;
		return new;
	end $$;
	create trigger refuse before insert on leadstream.lead for each row execute function refuse()});
is(sqlstate_of("insert into form (contact_id, name) select i, 'demo' from generate_series(7, 9) i;"), 'P0008', "an error of a user's own trigger on lead is the statement's");
is(count_of('form where contact_id between 7 and 9'), '0', 'which has left no rows');
is(count_of('leadstream.lead where contact_id between 7 and 9'), '0', 'and no leads');
is(sqlstate_of("begin; insert into form (contact_id, name) values (7, 'demo'); savepoint a; insert into form (contact_id, name) values (8, 'demo'); rollback to a; insert into form (contact_id, name) values (9, 'demo'); commit;"),
	'P0008', 'in a savepoint, too');
is_exact($node, 'after an error of others');
$node->safe_psql('postgres', 'drop trigger refuse on leadstream.lead');


# --------------------------------------------------------------------------
# A role that may insert, no more
# --------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	create role app login;
	grant insert on visit, form, mail to app;
	alter table leadstream.lead enable row level security;
	alter table leadstream.lead force row level security;
	alter table leadstream.lead_match enable row level security;
	alter table leadstream.lead_match force row level security});
my @as_app = (extra_params => [ '-U', 'app' ]);
$node->safe_psql('postgres', "insert into form (contact_id, name) values (10, 'demo'); insert into visit (contact_id, url) select 10, '/pricing' from generate_series(1, 3)", @as_app);
$node->safe_psql('postgres', "insert into mail (contact_id, what) select 11, 'open' from generate_series(1, 2)", @as_app);
is( $node->safe_psql('postgres', "select string_agg(stream || ' ' || contact_id, ', ' order by stream) from leadstream.matches where contact_id in (10, 11)"),
	'demo 10, openers 11, pricing 10', 'a role with INSERT alone makes leads');
is($node->safe_psql('postgres', "select distinct actor from leadstream.lead_event where contact_id in (10, 11)"), 'app', 'and is named in the events');
foreach my $query ('select * from leadstream.lead', 'select * from leadstream.leads', 'select * from leadstream.stream',
	"select leadstream.enable('demo')", "select leadstream.fetch_history('demo')", "select leadstream.clear('demo')",
	"select leadstream.is_match('exists(form)', 1::bigint)", "select * from leadstream.preview('exists(form)')",
	'insert into leadstream.lead (contact_id) values (1)', 'delete from leadstream.lead_match',
	'create table mine (id bigint); create trigger t after insert on mine for each row execute function leadstream.capture(\'contact\')')
{
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$query", @as_app);
	like($err, qr/ERROR:  42501/, "it may not: $query");
}
# The setting may be named before the library that knows it is loaded.
$node->psql('postgres', "set leadstream.capture = off; insert into form (contact_id, name) values (12, 'demo')", @as_app);
is(count_of("leadstream.matches where contact_id = 12"), '1', 'it may not switch capture off');
is_exact($node, 'after a role with INSERT alone');

my @complaints = scan_log(
	$node->logfile,
	sub { $_[0]{level} eq 'ERROR' && $_[0]{state} =~ /^(55P03|57014|53400|P0008|42501)$/ || $_[0]{state} eq '57P01'
			|| $_[0]{text} eq 'permission denied to set parameter "leadstream.capture"' });
is(join("\n", @complaints), '', 'the log has no other complaint');

$holder->quit;
$node->stop;
done_testing();
