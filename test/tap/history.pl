# A past of many rows, fetched while eight sessions write, and by calls that are
# killed anywhere and made again: no lead is lost or doubled.
#
# LS_HISTORY_ROWS: how many, 20,000 if not said; LS_HISTORY_KILLS: how often, 2 if
# not said.  A full run:
#   LS_HISTORY_ROWS=1000000 LS_HISTORY_KILLS=10 test/run.sh --limit 2400 tap history

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run;
use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Worker;

my $nrows = $ENV{LS_HISTORY_ROWS} || 20_000;
my $nkills = $ENV{LS_HISTORY_KILLS} || 2;
my $ncontacts = int($nrows / 50);

my $node = PostgreSQL::Test::Cluster->new('history');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
	restart_after_crash = on
	max_wal_size = 8GB
	log_line_prefix = '%m|%p|%a|%e|'
	log_statement = none
});
$node->start;
make_world($node);
# Some reach what a rule asks for, and some do not.
$node->safe_psql(
	'postgres', qq{
	insert into contact (id, country, score) select i, case when i % 2 = 0 then 'SE' end, i % 90 from generate_series(1, $ncontacts) i;
	insert into visit (contact_id, url, amount)
		select 1 + (sqrt(random()) * ($ncontacts - 1))::int, (array['/pricing', '/', '/a', '/b', '/c'])[1 + (random() * 20)::int % 5], 1
		from generate_series(1, $nrows / 10) i;
	insert into visit (contact_id, url) select 1 + i % ($ncontacts / 2), '/' || i % 2 from generate_series(1, $nrows / 2) i;
	insert into form (contact_id, name) select 1 + (random() * ($ncontacts - 1))::int, case when i % 3 = 0 then 'demo' end from generate_series(1, $nrows / 10) i;
	insert into mail (contact_id, what) select 1 + i * 3 % $ncontacts, case when i % 60 = 0 then 'open' else 'sent' end from generate_series(1, $nrows * 3 / 10) i;
	analyze;
});

# What makes the leads of the past.
my %calls = (
	fetch_history => ['select leadstream.fetch_history(array(select stream from leadstream.stream))'],
	backfill => [ map { "call leadstream.backfill('$_', 1000)" } sort keys %LeadWorld::streams ]);

sub forget
{
	$node->safe_psql('postgres', 'select leadstream.disable(stream) from leadstream.stream where is_enabled');
	$node->safe_psql('postgres', "select leadstream.clear('$_')") foreach sort keys %LeadWorld::streams;
	is($node->safe_psql('postgres', 'select count(*) from leadstream.lead'), '0', 'there is no lead');
	enable_streams($node);
	return;
}

sub count_of
{
	return $node->safe_psql('postgres', "select count(*) from $_[0]");
}

# The calls of one way, in a session that goes on by itself.
sub begin_calls
{
	my ($way, $output) = @_;

	return IPC::Run::start [ 'psql', '-Xqt', '-d' => $node->connstr('postgres') . ' application_name=past',
		map { ('-c' => $_) } @{ $calls{$way} } ], '<' => '/dev/null', '>&' => $output;
}

# How long they take, to the end.
sub seconds_of
{
	my ($way) = @_;
	my ($start, $output) = (time, '');

	begin_calls($way, \$output)->finish;
	unlike($output, qr/ERROR|FATAL/, "$way comes to its end");
	return time - $start;
}

# Undisturbed: for how long it takes.
my %duration;
foreach my $way (sort keys %calls)
{
	forget();
	$duration{$way} = seconds_of($way);
	is_exact($node, "$way by itself");
	note sprintf '%s: %.1f s, %d leads', $way, $duration{$way}, count_of('leadstream.lead');
}

# Killed at any moment, and called again.
foreach my $round (1 .. $nkills)
{
	foreach my $way (sort keys %calls)
	{
		forget();
		my $output = '';
		my $run = begin_calls($way, \$output);
		sleep(rand $duration{$way});
		my $victim = $node->safe_psql('postgres', "select pid from pg_stat_activity where application_name = 'past'");
		kill 'KILL', $victim if $victim;
		$run->finish;
		$node->poll_query_until('postgres', 'select true');
		note sprintf 'round %d, %s: %s with %d leads', $round, $way, $victim ? 'killed' : 'done', count_of('leadstream.lead');
		seconds_of($way);
		is_exact($node, "round $round, $way");
	}
}

# Beside writers.  Single statements: none of them is in a deadlock, nor is the call.
my $dir = $node->basedir;
append_to_file(
	"$dir/visits.script", qq{
\\set c random(1, $ncontacts)
\\set r random(1, 4)
\\if :r <= 2
insert into visit (contact_id, url) select id, '/pricing' from contact where id between :c and :c + 3 order by id % 2;
\\elif :r = 3
insert into mail_open (contact_id, what) values (:c, 'open');
\\else
insert into visit (contact_id, url, amount) values (:c, '/' || :c % 7, 5);
\\endif
});
append_to_file(
	"$dir/forms.script", qq{
\\set c random(1, $ncontacts + 100)
\\set r random(1, 3)
\\if :r = 1
insert into contact (id, score) values (:c, 20) on conflict (id) do update set score = contact.score + 3;
\\elif :r = 2
insert into form (contact_id, name) select id, 'demo' from contact where id = :c;
\\else
update contact set country = 'SE' where id = :c;
\\endif
});
foreach my $way (sort keys %calls)
{
	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . ($way eq 'backfill' ? 'read\ committed' : 'repeatable\ read');
	my @workers = map { leave_running($node, $dir, $_, '-T 600 --max-tries=1000', "$dir/stop") } ('visits', 'forms') x 4;
	local $ENV{PGOPTIONS} = '';

	forget();
	my $before = count_of('visit');
	my $seconds = seconds_of($way);
	note sprintf '%s beside writers: %.1f s, %d visits meanwhile', $way, $seconds, count_of('visit') - $before;
	is_exact($node, "$way beside writers");
	cmp_ok(count_of('visit'), '>', $before, 'who wrote');
	append_to_file("$dir/stop", 'stop');
	$node->safe_psql('postgres', "select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('visits', 'forms')");
	waitpid $_, 0 foreach @workers;
	unlink "$dir/stop";
	is_exact($node, "$way, afterwards");
}
is($node->safe_psql('postgres', q{select deadlocks from pg_stat_database where datname = 'postgres'}), '0', 'there was no deadlock');
is( join(
		"\n",
		scan_log(
			$node->logfile,
			sub { my ($c) = @_; return $c->{state} =~ /^(57P0[123]|08006|40001)$/ || $c->{text} =~ /terminated by signal 9/; })),
	'', 'the log has no complaint that the kills do not explain');

$node->stop;
done_testing();
