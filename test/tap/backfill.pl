# backfill() amid crashes, cancels and the load of writers: whatever ends it, the
# next call goes on, and no lead is lost or doubled; also in a copy of the
# database that was dumped half way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run;
use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = PostgreSQL::Test::Cluster->new('backfill');
$node->init;
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->start;
make_world($node);
# the past: of contacts whose streams are not enabled yet
$node->safe_psql(
	'postgres', q{
	insert into contact (id, country, score) select i, case when i % 2 = 0 then 'SE' end, i % 100 from generate_series(1, 400) i;
	insert into visit (contact_id, url, amount) select 1 + i * 7 % 400, '/' || (array['pricing', 'a', 'b'])[1 + i % 3], i % 9 from generate_series(1, 4000) i;
	insert into form (contact_id, name) select 1 + i * 3 % 400, case when i % 2 = 0 then 'demo' end from generate_series(1, 300) i;
	insert into mail (contact_id, what) select 1 + i * 11 % 400, 'open' from generate_series(1, 500) i;
	analyze;
});
enable_streams($node);
my @streams = sort keys %LeadWorld::streams;

sub progress
{
	my ($stream, $columns, $database) = @_;
	return $node->safe_psql($database || 'postgres', "select $columns from leadstream.progress where stream = '$stream'");
}

# A psql that goes on by itself with some statements; to be given to end_psql.
my $npsql = 0;

sub start_psql
{
	my (@statements) = @_;
	my $output = $node->basedir . '/psql' . $npsql++;
	my $run = IPC::Run::start [ $node->installed_command('psql'), '-Xqt', '-d' => $node->connstr('postgres'),
		map { ('-c' => $_) } @statements ], '<' => '/dev/null', '>' => $output, '2>&1';

	return { run => $run, output => $output };
}

sub end_psql
{
	my ($psql) = @_;
	$psql->{run}->finish;
	return slurp_file($psql->{output});
}

# Begin the backfill of a stream and bring it to where it waits for a contact half
# way, which somebody has.
sub begin_half
{
	my ($stream) = @_;
	my $contact = $node->safe_psql('postgres', "select min(c.id) from contact c where c.id > 150 and $LeadWorld::streams{$stream}[1]");
	my $holder = start_psql('begin', "select from contact where id = $contact for no key update", 'select pg_sleep(600)');

	$node->poll_query_until('postgres', "select exists (select from pg_stat_activity where query like 'select pg_sleep%' and wait_event = 'PgSleep')")
	  or die 'nobody has the contact';
	my $filler = start_psql("call leadstream.backfill('$stream', 7)");
	$node->poll_query_until('postgres', "select exists (select from leadstream.progress p join pg_stat_activity a using (pid)
		where p.stream = '$stream' and p.done > 100 and a.wait_event_type = 'Lock')")
	  or die 'the backfill does not come to the contact';
	return ($holder, $filler);
}

sub pid_of
{
	my ($query) = @_;
	return $node->safe_psql('postgres', "select pid from pg_stat_activity where query like '$query' and pid <> pg_backend_pid()");
}

foreach my $way (qw(immediate kill terminate cancel))
{
	my $stream = shift @streams;
	my ($holder, $filler) = begin_half($stream);
	my ($done, $leads) = split /\|/, progress($stream, 'done, lead_count');

	is(progress($stream, 'state'), 'running', "$way: others see that it runs");
	if ($way eq 'immediate')
	{
		$node->stop('immediate');
		$node->start;
	}
	elsif ($way eq 'kill')
	{
		kill 'KILL', pid_of('call leadstream.backfill%');
		# all sessions end, and the server comes up again
		end_psql($filler);
		$node->poll_query_until('postgres', 'select true');
	}
	else
	{
		$node->safe_psql('postgres', "select pg_${way}_backend(" . pid_of('call leadstream.backfill%') . ')');
		end_psql($filler);
		$node->safe_psql('postgres', 'select pg_terminate_backend(' . pid_of('select pg_sleep%') . ')');
	}
	end_psql($_) foreach $filler, $holder;
	is(progress($stream, 'state, done, lead_count'), "stopped|$done|$leads", "$way: what was committed is kept");
	is( $node->safe_psql('postgres', "select count(*) from leadstream.matches where stream = '$stream'"), $leads,
		"$way: with just these leads") unless $node->safe_psql('postgres', 'select count(*) from leadstream.progress') > 1;
	isnt($node->safe_psql('postgres', mismatches($stream)), '', "$way: there is more to do");
	$node->safe_psql('postgres', "call leadstream.backfill('$stream', 50)");
	is(progress($stream, 'state, done'), 'done|400', "$way: the next call goes on to the end");
	is($node->safe_psql('postgres', mismatches($stream)), '', "$way: no lead is lost or doubled");
}

# A dump taken half way goes on where it is restored.
{
	my $stream = shift @streams;
	my ($holder, $filler) = begin_half($stream);
	my $dump = $node->basedir . '/half.sql';

	$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped half way');
	my $done = progress($stream, 'done');
	$node->safe_psql('postgres', 'select pg_terminate_backend(pid) from pg_stat_activity where pid in ('
		  . pid_of('call leadstream.backfill%') . ',' . pid_of('select pg_sleep%') . ')');
	end_psql($_) foreach $filler, $holder;
	$node->safe_psql('postgres', 'create database copy');
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('copy') ], 'and restored');
	is(progress($stream, 'state, done', 'copy'), "stopped|$done", 'the copy knows how far it is');
	foreach my $database (qw(copy postgres))
	{
		$node->safe_psql($database, "call leadstream.backfill('$stream', 33)");
		is(progress($stream, 'state, done', $database), 'done|400', "$database: goes on");
		is($node->safe_psql($database, mismatches($stream)), '', "$database: no lead is lost or doubled");
	}
}

# While others write, and contacts come and go.
{
	my $stream = shift @streams;
	my $script = $node->basedir . '/load';

	append_to_file(
		$script, q{
\set c random(1, 600)
\set r random(1, 6)
\if :r <= 2
insert into visit (contact_id, url, amount) select id, '/pricing', 9 from contact where id between :c and :c + 5;
\elif :r <= 3
insert into form (contact_id, name) select id, 'demo' from contact where id = :c;
\elif :r <= 4
insert into contact (id, score) values (:c, 20) on conflict (id) do update set score = contact.score + 10;
\elif :r <= 5
delete from contact where id = :c;
\else
begin;
insert into mail (contact_id, what) select id, 'open' from contact where id between :c and :c + 2;
insert into visit (contact_id, url, amount) select id, '/' || id % 3, 9 from contact where id between :c and :c + 2 order by id;
commit;
\endif
});
	$node->safe_psql('postgres', "select leadstream.disable('$stream'); select leadstream.clear('$stream')");
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $output = '';
	my $load = IPC::Run::start [ 'pgbench', '-n', '-c' => 4, '-t' => 400, '-f' => $script, '--max-tries' => 100, 'postgres' ], '>&' => \$output;
	$node->safe_psql('postgres', "select leadstream.enable('$stream')");
	my @fillers = map { start_psql("call leadstream.backfill('$stream', $_)") } 3, 11;
	my @output = map { end_psql($_) } @fillers;
	# a transaction of several statements may be in a deadlock with one, who then goes on
	unlike(join('', grep { !/deadlock detected/ } @output), qr/ERROR/, 'under load: two at once come to the end');
	$load->finish;
	$node->safe_psql('postgres', "call leadstream.backfill('$stream')") if grep { /deadlock detected/ } @output;
	is($node->safe_psql('postgres', mismatches($stream)), '', 'under load: no lead is lost or doubled');
	is($node->safe_psql('postgres', disorder()), '', 'the lead tables are in order');
}

$node->stop;
done_testing();
