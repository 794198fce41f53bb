# Who follows the leads gets each once, whoever writes and however: with many
# writers at once, on a standby, over a promotion, out of a dump, and by logical
# decoding.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run;
use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('feed');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 20');
$node->start;
make_world($node);
enable_streams($node);
$node->safe_psql(
	'postgres', q{
	insert into contact (id) select i from generate_series(1, 20000) i;
	create table done ();
	create table taken (n bigint generated always as identity, reader text, lead_id bigint);
	create table place (reader text primary key, cursor text);
	insert into place values ('slow'), ('greedy');

	-- As README does it: what is done with the leads and how far the reader has
	-- come are one transaction.
	create function take(me text, n integer) returns bigint language plpgsql as $$
	declare
		here	text;
		l		record;
		result	bigint := 0;
	begin
		select p.cursor into here from place p where p.reader = me for update;
		for l in select * from leadstream.leads_since(here, n) loop
			insert into taken (reader, lead_id) values (me, l.lead_id);
			here := l.cursor;
			result := result + 1;
		end loop;
		update place set cursor = here where reader = me;
		return result;
	end $$;
});

sub value_of
{
	my ($sql, $server) = @_;
	return ($server || $node)->safe_psql('postgres', $sql);
}

# Nothing but what is over: the server's own transactions may hold readers back.
sub settle
{
	$node->poll_query_until('postgres',
		'select not exists (select from pg_snapshot_xip(pg_current_snapshot()))')
	  or die 'a transaction does not end';
	return;
}

sub last_cursor
{
	settle();
	return value_of(q{select cursor from leadstream.leads_since(max_leads => 1000000)
		order by split_part(cursor, '.', 7)::bigint desc, lead_id desc limit 1});
}


# --------------------------------------------------------------------------
# Many writers
# --------------------------------------------------------------------------

# Each is a session of transactions of its own contacts, which are slow by turns.
sub writer
{
	my ($w) = @_;
	my $sql = '';

	foreach my $i (1 .. 60)
	{
		my $id = $w * 2000 + $i * 20;
		my $slowly = sprintf 'select pg_sleep(%.3f);', ($i * $w % 7) / 100;
		my $some = "insert into form (contact_id, name) select $id + n, 'demo' from generate_series(1, 5) n;\n";
		my $others = "insert into visit (contact_id, url) select $id + 10, '/pricing' from generate_series(1, 3);\n";
		my @ways = (
			$some,
			"begin; $some $slowly $others commit;\n",
			"begin; insert into contact (id) values (-$id); $slowly $some commit;\n",
			"begin; $some savepoint a; $others $slowly rollback to a; release a; commit;\n",
			"begin; savepoint a; $some release a; savepoint b; $slowly $others commit;\n",
			"begin; $some $slowly rollback;\n",
			"begin isolation level repeatable read; select count(*) from contact; $slowly $some commit;\n",
			"begin; $some prepare transaction 'w$id'; $slowly commit prepared 'w$id';\n",
			"begin; $some prepare transaction 'w$id'; $slowly rollback prepared 'w$id';\n",
			"delete from leadstream.lead where contact_id = $id - 19;\n");
		$sql .= $ways[ ($i + $w) % @ways ];
	}
	return $sql;
}

my $folder = PostgreSQL::Test::Utils::tempdir();
my @writers = map {
	my $file = "$folder/writer$_.sql";
	my ($in, $out, $err) = ('', '', '');

	append_to_file($file, writer($_) . 'insert into done default values;');
	{
		err => \$err,
		run => IPC::Run::start([ $node->installed_command('psql'), '-Xq', '-v' => 'ON_ERROR_STOP=1', '-d' => $node->connstr('postgres'), '-f' => $file ],
			'<' => \$in, '>' => \$out, '2>' => \$err)
	}
} 1 .. 6;
my $polls = 0;
my $busy = 0;
while (value_of('select count(*) from done') < @writers && $polls < 2000)
{
	$busy++ if value_of("select take('slow', 7), take('greedy', 1000)") ne '0|0';
	$polls++;
}
foreach my $w (@writers)
{
	$w->{run}->finish;
	is(${ $w->{err} }, '', 'a writer had no error');
}
settle();
foreach my $reader ('slow', 'greedy')
{
	my $size = $reader eq 'slow' ? 7 : 1000;
	1 while value_of("select take('$reader', $size)") > 0;
	is(value_of("select count(*) from (select lead_id from taken where reader = '$reader' group by 1 having count(*) > 1) t"),
		'0', "$reader reader: no lead twice");
	is(value_of(qq{select count(*) from leadstream.lead l where not exists (
			select from taken t where t.reader = '$reader' and t.lead_id = l.lead_id)}), '0', "$reader reader: none is missing");
	is(value_of(qq{select count(*) from taken t where t.reader = '$reader' and not exists (
			select from leadstream.lead_event e where e.lead_id = t.lead_id and e.what = 'created')}), '0', "$reader reader: and none that never was");
}
cmp_ok(value_of('select count(*) from leadstream.lead'), '>', 1000, 'there were leads');
# or the readers would have met the writers by chance only
cmp_ok($busy, '>', 3, "the readers had something to read while there were writers, $busy of $polls times");

# A cursor is on disk before it is handed out, also where the WAL ends with a
# segment.
like(value_of('select pg_switch_wal(); select cursor from leadstream.leads_since(max_leads => 1)'), qr/\nlf1\./,
	'a cursor at the end of a segment');


# --------------------------------------------------------------------------
# Notifications
# --------------------------------------------------------------------------

$node->safe_psql('postgres', q{select leadstream.alter_team('sales', notifies => true)});
my $heard = $node->safe_psql(
	'postgres', q{
	select 'listen ' || leadstream.lead_channel('sales') \gexec
	insert into form (contact_id, name) values (19001, 'demo');
	insert into visit (contact_id) values (19001)});
my ($told) = $heard =~ /Asynchronous notification "leadstream_team_\d+" with payload "(\d+)"/;
is($told, value_of(q{select lead_id from leadstream.leads where contact_id = 19001 and team = 'sales'}), 'a listener is told the id of the lead');
is(() = $heard =~ /Asynchronous/g, 1, 'once');
$node->safe_psql('postgres', q{select leadstream.alter_team('sales', notifies => false)});


# --------------------------------------------------------------------------
# A standby, which is promoted
# --------------------------------------------------------------------------

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

sub leads_since
{
	my ($server, $cursor) = @_;
	my ($rc, $out, $err) = $server->psql('postgres',
		"\\set VERBOSITY verbose\nselect contact_id || ' ' || team from leadstream.leads_since("
		  . ($cursor ? "'$cursor'" : 'null') . ', 1000000)');
	return $rc ? $err : $out;
}

my $known = last_cursor();
my $writing = $node->background_psql('postgres');
$writing->query_safe(q{begin; insert into form (contact_id, name) values (19002, 'demo')});
value_of(q{insert into form (contact_id, name) values (19003, 'demo')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(leads_since($standby, $known), '', 'standby: who began first is waited for');
$writing->query_safe('commit');
$writing->quit;
settle();
value_of('select pg_switch_wal(), txid_current()');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
ok($standby->poll_query_until('postgres', "select count(*) = 2 from leadstream.leads_since('$known')"), 'standby: then all come');
is(leads_since($standby, $known), "19002 sales\n19003 sales", 'standby: in order');
is(leads_since($standby), leads_since($node), 'standby: it has the same leads in the same order as the primary');
my $of_standby = value_of("select cursor from leadstream.leads_since('$known') offset 1", $standby);
is(leads_since($node, $of_standby), '', 'a cursor of the standby holds for the primary');

# What the standby has not got when it is promoted was passed by one cursor.
my $common = last_cursor();
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$standby->stop;
value_of(q{insert into form (contact_id, name) values (19004, 'demo')});
my $ahead = last_cursor();
$node->stop('immediate');
$standby->start;
$standby->promote;
value_of(q{insert into form (contact_id, name) values (19005, 'demo')}, $standby);
is(leads_since($standby, $common), '19005 sales', 'promoted: a cursor of what was common goes on');
like(leads_since($standby, $ahead), qr/^.*ERROR:  55000: the cursor has passed transactions that this server does not know/,
	'promoted: one that has passed what was lost is refused');
my $of_promoted = value_of("select cursor from leadstream.leads_since('$common')", $standby);
is(leads_since($standby, $of_promoted), '', 'promoted: its own cursors hold');
$node->start;
is(leads_since($node, $ahead), '', 'the old one, after a crash: its cursor holds');
like(leads_since($node, $of_promoted), qr/55000: the cursor has passed/, 'and not that of the other');
$standby->stop;

# An old backup, started as it is.
my $old = PostgreSQL::Test::Cluster->new('old');
$old->init_from_backup($node, 'base');
$old->start;
like(leads_since($old, $ahead), qr/55000: the cursor has passed/, 'an older backup refuses a younger cursor');
is(leads_since($old, $known), '', 'and takes an older one');
$old->stop;


# --------------------------------------------------------------------------
# A dump
# --------------------------------------------------------------------------

# Into another cluster, whose transactions have other numbers.
my $elsewhere = PostgreSQL::Test::Cluster->new('elsewhere');
$elsewhere->init;
$elsewhere->start;
my $dump = "$folder/feed.sql";
$node->safe_psql('postgres', "update leadstream.lead set made_by = '123456789012' where contact_id between 3000 and 4000");
command_ok([ 'pg_dump', '-d' => $node->connstr('postgres'), '-f' => $dump ], 'dump');
$node->safe_psql('postgres', "update leadstream.lead set made_by = '3' where made_by = '123456789012'");
my ($restored, undef, $complaint) = $elsewhere->psql('postgres', undef, extra_params => [ '-q', '-f' => $dump ]);
is($complaint, '', 'restore');
like(leads_since($elsewhere, $ahead), qr/55000: the cursor is of another feed/, 'restored: a cursor of before is refused');
like(leads_since($elsewhere), qr/55000: there are leads of another cluster/, 'restored: leads from transactions to come are refused');
cmp_ok(value_of('select leadstream.restart_feed()', $elsewhere), '>', 100, 'restored: the feed is begun anew');
is(join("\n", sort split /\n/, leads_since($elsewhere)), join("\n", sort split /\n/, leads_since($node)), 'restored: then all leads come');
my $new = value_of(q{select cursor from leadstream.leads_since(max_leads => 1000000)
	order by split_part(cursor, '.', 7)::bigint desc, lead_id desc limit 1}, $elsewhere);
value_of(q{insert into form (contact_id, name) values (19006, 'demo')}, $elsewhere);
ok($elsewhere->poll_query_until('postgres', "select array_agg(contact_id) = '{19006}' from leadstream.leads_since('$new')"),
	'restored: new leads come behind');

# Beside it in the same cluster: the numbers fit, but it is not the same feed.
$node->safe_psql('postgres', 'create database copy');
($restored, undef, $complaint) = $node->psql('copy', undef, extra_params => [ '-q', '-f' => $dump ]);
my (undef, undef, $refused) = $node->psql('copy', "select * from leadstream.leads_since('$ahead')");
like($refused, qr/the cursor is of another feed/, 'restored beside it: a cursor of the other is refused');
$node->safe_psql('postgres', 'drop database copy');
$elsewhere->stop;


# --------------------------------------------------------------------------
# Logical decoding, as README says
# --------------------------------------------------------------------------

my ($recipe) = slurp_file('README.md') =~ /```sql\n(create publication leads .*?)```/s;
ok($recipe, 'the recipe was found');
$node->safe_psql('postgres', $recipe);
$node->safe_psql(
	'postgres', q{
	begin;
	insert into form (contact_id, name) values (19007, 'demo');
	savepoint a;
	insert into form (contact_id, name) values (19008, 'demo');
	rollback to a;
	commit;
	select leadstream.move(lead_id, 'SQL', 'x') from leadstream.leads where contact_id = 19007;
	select leadstream.delete_lead(lead_id) from leadstream.leads where contact_id = 19007});

# The messages of pgoutput that matter: relations and rows, whose values are texts.
sub read_pgoutput
{
	my %columns;
	my @rows;

	foreach my $hex (@_)
	{
		my $message = pack 'H*', $hex;
		my $kind = substr $message, 0, 1;
		my $rest = substr $message, 1;

		if ($kind eq 'R')
		{
			my ($relid, $schema, $name, undef, $n, $more) = unpack 'N Z* Z* a n a*', $rest;
			my @names;

			while ($n-- > 0)
			{
				(undef, my $column, undef, undef, $more) = unpack 'C Z* N N a*', $more;
				push @names, $column;
			}
			$columns{$relid} = [ "$schema.$name", @names ];
		}
		elsif ($kind =~ /[IUD]/)
		{
			my ($relid, $what, $n, $more) = unpack 'N a n a*', $rest;
			my ($name, @names) = @{ $columns{$relid} };
			my %row;

			foreach my $column (@names[ 0 .. $n - 1 ])
			{
				(my $form, $more) = unpack 'a a*', $more;
				($row{$column}, $more) = unpack 'N/a a*', $more if $form eq 't';
			}
			push @rows, [ $kind, $name, \%row ];
		}
	}
	return @rows;
}

my @rows = read_pgoutput(split /\n/, value_of(q{
	select encode(data, 'hex') from pg_logical_slot_get_binary_changes('leads', null, null,
		'proto_version', '1', 'publication_names', 'leads')}));
is_deeply([ map { "$_->[0] $_->[2]{contact_id} $_->[2]{stage}" } grep { $_->[1] eq 'leadstream.lead' && $_->[0] eq 'I' } @rows ],
	['I 19007 MQL'], 'decoded: a lead that is committed, and no other');
is_deeply([ map { "$_->[2]{what} " . ($_->[2]{new} // '-') } grep { $_->[1] eq 'leadstream.lead_event' } @rows ],
	[ 'created MQL', 'stage SQL', 'deleted -' ], 'decoded: what happened to it');
is(scalar(grep { $_->[1] eq 'leadstream.lead' && $_->[0] eq 'D' } @rows), 1, 'decoded: that it is gone');
is(value_of(q{select count(*) from pg_logical_slot_get_binary_changes('leads', null, null,
		'proto_version', '1', 'publication_names', 'leads')
		where get_byte(data, 0) not in (ascii('B'), ascii('C'))}), '0', 'decoded: each once');

# Of many leads, too: two streams share most, and not all are written at once.  The
# queue is emptied, because where something waits, leads are looked for once more.
$node->safe_psql(
	'postgres', q{
	truncate leadstream.due;
	insert into contact (id, country) select i, case when i > 30000 then 'SE' end from generate_series(30000, 33000) i;
	insert into form (contact_id, name) select i, 'demo' from generate_series(30000, 33000) i});
@rows = grep { $_->[1] eq 'leadstream.lead' } read_pgoutput(split /\n/, value_of(q{
	select encode(data, 'hex') from pg_logical_slot_get_binary_changes('leads', null, null,
		'proto_version', '1', 'publication_names', 'leads')}));
is(scalar(@rows), value_of(q{select count(*) from leadstream.lead where contact_id >= 30000}), 'decoded: of many, each once');
is(scalar(grep { $_->[0] ne 'I' } @rows), 0, 'decoded: and none taken back');
$node->safe_psql('postgres', q{delete from contact where id >= 30000});


# --------------------------------------------------------------------------
# pg_upgrade
# --------------------------------------------------------------------------

$node->safe_psql('postgres', q{select pg_drop_replication_slot('leads'); drop publication leads});
my $before = last_cursor();
my $all = leads_since($node);
my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
$node->stop;
my $bindir = $node->config_data('--bindir');
chdir $folder or die;
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d' => $node->data_dir, '-D' => $upgraded->data_dir, '-b' => $bindir, '-B' => $bindir,
		'-s' => $node->host, '-p' => $node->port, '-P' => $upgraded->port
	],
	'pg_upgrade');
$upgraded->start;
value_of(q{insert into form (contact_id, name) values (19009, 'demo')}, $upgraded);
ok($upgraded->poll_query_until('postgres', "select array_agg(contact_id) = '{19009}' from leadstream.leads_since('$before')"),
	'upgraded: a cursor of before goes on');
is(leads_since($upgraded), "$all\n19009 sales", 'upgraded: the order is the same');

$upgraded->stop;
done_testing();
