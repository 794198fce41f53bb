# A crash in the middle of anything leaves leads and activities agreed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use POSIX qw(:sys_wait_h);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{LS_CRASH_ROUNDS} || 6;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
# A checkpoint now and then, so that recovery begins at many places.
$node->append_conf(
	'postgresql.conf', q{
	log_statement = none
	checkpoint_timeout = 30s
	restart_after_crash = on
	log_line_prefix = '%m|%p|%a|%e|'
});
$node->start;
make_world($node);
$node->safe_psql('postgres', 'create extension amcheck');
enable_streams($node);
$node->safe_psql('postgres',
	"insert into contact (id, country) select i, case when i % 2 = 0 then 'SE' end from generate_series(1, 200) i");

my $dir = $node->basedir;
append_to_file(
	"$dir/script", q{
\set c random(1, 200)
\set d random(1, 200)
\set r random(1, 12)
\if :r <= 3
insert into visit (contact_id, url, amount) select id, '/pricing', 3 from contact where id in (:c, :d);
\elif :r <= 5
insert into visit (contact_id, url) select id, '/' || id % 4 from contact where id between :c and :c + 10;
\elif :r <= 6
insert into form (contact_id, name) select id, 'demo' from contact where id = :c;
\elif :r <= 8
insert into mail (contact_id, what) select id, 'open' from contact where id = :c;
\elif :r <= 9
update contact set score = score + 10 where id = :c;
\elif :r <= 10
insert into contact (id, score) values (:c, 20) on conflict (id) do update set country = 'SE';
\elif :r <= 11
delete from contact where id = :c;
\else
begin;
insert into visit (contact_id, url) select id, '/a' from contact where id = :c;
savepoint a;
insert into form (contact_id, name) select id, 'demo' from contact where id = :c;
commit;
\endif
});

sub start_load
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	my $pid = fork;
	die "cannot fork: $!" if !defined $pid;
	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/load.out";
		open STDERR, '>', "$dir/load.err";
		# a client may end with an error of its own; others take its place
		exec 'bash', '-c',
		  'for i in $(seq 100); do [ -e "$1/stop" ] && break; pgbench -n -c 6 -T 2 --max-tries=100 -f "$1/script"; sleep 0.05; done',
		  'load', $dir
		  or POSIX::_exit(1);
	}
	return $pid;
}

sub stop_load
{
	append_to_file("$dir/stop", 'stop');
	waitpid($_[0], 0);
	unlink "$dir/stop";
	return;
}

sub is_in_order
{
	my ($when) = @_;
	my $found = join '', map { $node->safe_psql('postgres', mismatches($_)) }
	  sort keys %LeadWorld::streams;

	is($found, '', "$when: leads are what the committed rows say");
	is($node->safe_psql('postgres', disorder()), '', "$when: the lead tables are in order");
	is( $node->safe_psql(
			'postgres', q{
			select distinct bt_index_check(indexrelid, true)::text from pg_index join pg_class c on c.oid = indexrelid
			where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'i'}),
		'', "$when: the indexes are sound");
	return;
}

my $before = 0;
foreach my $round (1 .. $rounds)
{
	my $how = (qw(immediate backend postmaster))[ $round % 3 ];
	my $load = start_load();

	sleep(1 + rand 1);
	if ($how eq 'immediate')
	{
		$node->stop('immediate');
	}
	elsif ($how eq 'postmaster')
	{
		# its children end by themselves once they notice
		my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
		my @children = split /\n/, `ps -o pid= --ppid $postmaster`;
		$node->kill9;
		foreach (1 .. 200)
		{
			last if !kill 0, map { s/\s//gr } @children;
			sleep 0.1;
		}
	}
	else
	{
		my $victim = $node->safe_psql('postgres',
			"select pid from pg_stat_activity where application_name = 'pgbench' and state <> 'idle' order by random() limit 1");
		kill 'KILL', $victim if $victim;
	}
	append_to_file("$dir/stop", 'stop');
	if ($how eq 'backend')
	{
		$node->poll_query_until('postgres', 'select true');
	}
	else
	{
		$node->start;
	}
	stop_load($load);
	is_in_order("round $round, $how");
	my $leads = $node->safe_psql('postgres', 'select max(lead_id) from leadstream.lead');
	cmp_ok($leads, '>', $before, "round $round: leads were made");
	$before = $leads;
}

# A lead in a prepared transaction is nobody's until that is committed, crash or
# not; and one rolled back never was.
$node->safe_psql(
	'postgres', q{
	delete from contact;
	insert into contact (id) select generate_series(1, 4);
	begin;
	insert into form (contact_id, name) values (1, 'demo');
	prepare transaction 'kept';
	begin;
	insert into form (contact_id, name) values (2, 'demo');
	prepare transaction 'dropped';
	begin;
	insert into visit (contact_id, url) values (3, '/pricing'), (3, '/pricing');
	prepare transaction 'two_of_three';
});
my $prepared = q{select gid from pg_prepared_xacts order by 1};
my $matches = q{select string_agg(stream || ' ' || team || ' ' || contact_id, ', ' order by stream, team, contact_id) from leadstream.matches};
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $prepared), "dropped\nkept\ntwo_of_three", 'prepared transactions survive a crash');
is($node->safe_psql('postgres', $matches), '', 'and show no leads');
my ($rc, $out, $err) = $node->psql('postgres', "set lock_timeout = '200ms'; insert into visit (contact_id, url) values (3, '/pricing')");
like($err, qr/lock timeout/, 'they hold their contacts still');
$node->safe_psql('postgres', "commit prepared 'kept'");
$node->safe_psql('postgres', "rollback prepared 'dropped'");
$node->safe_psql('postgres', "commit prepared 'two_of_three'");
is($node->safe_psql('postgres', $matches), 'demo sales 1', 'COMMIT PREPARED makes the lead appear, ROLLBACK PREPARED does not');
$node->safe_psql('postgres', "insert into visit (contact_id, url) values (3, '/pricing')");
is($node->safe_psql('postgres', $matches), 'demo sales 1, pricing sales 3', 'what was prepared counts for what comes after');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $matches), 'demo sales 1, pricing sales 3', 'and after another crash');
is_in_order('after prepared transactions');

my @complaints = scan_log(
	$node->logfile,
	sub {
		my ($c) = @_;
		return 1 if $c->{state} =~ /^(57P0[123]|40P01|57014|55P03|08006)$/;
		return 1 if $c->{state} eq '23503' && $c->{text} !~ /lead/;
		return 1 if $c->{text} =~ /terminated by signal 9/;
		return 0;
	});
is(join("\n", @complaints), '', 'the log has no complaint that the crashes do not explain');

$node->stop;
done_testing();
