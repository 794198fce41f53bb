# The clock under load, through crashes, dumps and promotion.
#
# Sessions write, in all isolation levels, with savepoints and two-phase commit,
# delete and re-key contacts, enable, disable and alter streams, while others
# tick.  Windows are of seconds, so that much becomes due meanwhile.  Backends
# are killed and the server is restarted in immediate mode.  In the end, when all
# is due, no lead is missing that time makes, none is doubled and none too many.
#
# LS_CLOCK_SECONDS: how long, 30 if not said.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use POSIX qw(:sys_wait_h);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Worker;

my $seconds = $ENV{LS_CLOCK_SECONDS} || 30;
my $ncontacts = 60;

my $world = q{
	set client_min_messages = warning;
	create extension leadstream;
	create table contact (id bigint primary key, trial timestamptz, note text);
	create table ping (id bigint generated always as identity primary key,
		contact_id bigint not null references contact on delete cascade on update cascade,
		at timestamptz not null default clock_timestamp());
	create index on ping (contact_id, at);
	create table plan (id bigint generated always as identity primary key,
		contact_id bigint not null references contact on delete cascade on update cascade,
		at timestamptz not null);
	create index on plan (contact_id, at);
	select leadstream.attach_contacts('contact');
	select leadstream.attach_activity('ping', occurred_at => 'at');
	select leadstream.attach_activity('plan', occurred_at => 'at');
	select leadstream.create_team('sales');
	select leadstream.create_team('partners');
};

# What is wrong with the matches of a stream, given what must be and what may be
# of a contact c, and what must be of its match m.
sub wrong
{
	my ($stream, $must, $may, $match) = @_;

	return qq{
	select coalesce(string_agg(format('%s %s of contact %s', f.what, '$stream', f.id), '; '), '')
	from (
		select case when m.n = 0 then 'missing' when m.n > 2 then 'doubled' else 'too much' end as what, c.id
		from contact c cross join lateral (
			select count(*) as n, coalesce(bool_and($match), true) as is_right
			from leadstream.lead l join leadstream.lead_match m using (lead_id)
			join leadstream.stream s on s.stream_id = m.stream_id and s.stream = '$stream'
			where l.contact_id = c.id) m
		where case when $must then m.n <> 2 or not m.is_right
				   when $may then m.n not in (0, 2) or not m.is_right
				   else m.n > 0 end
		limit 5) f};
}

my $has_ping = 'exists (select from ping p where p.contact_id = c.id)';
my $has_gap = q{exists (select from (select p.at, coalesce(lead(p.at) over (order by p.at), 'infinity') as next
		from ping p where p.contact_id = c.id) p where p.next >= p.at + '%s seconds'::interval and p.at > (select enabled_at from leadstream.stream where stream = '%s') + '%s seconds'::interval)};
# what time alone makes is as of the instant at which a row has left the window
my $is_left = q{(m.origin <> 'clock' or exists (select from ping p where p.contact_id = l.contact_id and m.matched_at = p.at + '2 seconds'::interval))};

my %wrong = (
	plan => wrong('plan', 'exists (select from plan p where p.contact_id = c.id)', 'false',
		q{(m.origin <> 'clock' or exists (select from plan p where p.contact_id = l.contact_id and m.matched_at = p.at))
		and m.matched_at >= (select min(p.at) from plan p where p.contact_id = l.contact_id)}),
	trial => wrong('trial', 'c.trial is not null', 'false',
		q{(m.origin <> 'clock' or m.matched_at = (select d.trial + '1 microsecond'::interval from contact d where d.id = l.contact_id))
		and m.matched_at > (select d.trial from contact d where d.id = l.contact_id)}),
	quiet => wrong('quiet', $has_ping, 'false', $is_left),
	# contacts that are pinged by one session all the time have it where he paused
	steady => wrong('steady', "c.id > 1000000 and " . sprintf($has_gap, 4, 'steady', 4),
		"c.id > 1000000 and " . sprintf($has_gap, 1, 'steady', -1), $is_left),
	# was enabled in the midst of it
	young => wrong('young', sprintf($has_gap, 2, 'young', 4), $has_ping, $is_left));

my %rules = (
	plan => 'exists(plan)',
	trial => 'trial < now',
	quiet => 'exists(ping) and not exists(ping within 2 seconds)',
	steady => q{exists(ping) and not exists(ping within 2 seconds) and note = 'steady'},
	young => 'exists(ping) and count(ping within 2 seconds) < 1',
	churned => 'exists(ping) and not exists(ping within 1 second)');

my $node = PostgreSQL::Test::Cluster->new('clock');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
	max_connections = 60
	max_prepared_transactions = 40
	deadlock_timeout = 50ms
	log_line_prefix = '%m|%p|%a|%e|'
	log_error_verbosity = default
	log_statement = none
	log_min_messages = warning
	autovacuum_naptime = 1s
	client_min_messages = warning
	restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', $world);
foreach my $stream (sort keys %rules)
{
	$node->safe_psql('postgres', "select leadstream.create_stream('$stream', \$\$$rules{$stream}\$\$, '{sales,partners}')");
	$node->safe_psql('postgres', "select leadstream.enable('$stream')") if $stream ne 'young';
}
$node->safe_psql('postgres', "insert into contact select i from generate_series(1, $ncontacts) i");


# --------------------------------------------------------------------------
# Who does what
# --------------------------------------------------------------------------

my $dir = $node->basedir;
my $soon = q{clock_timestamp() + (1 + random() * 2) * interval '1 second'};

my $single = qq{
\\set c random_zipfian(1, $ncontacts, 1.1)
\\set d random(1, $ncontacts)
\\set r random(1, 8)
\\if :r <= 3
insert into ping (contact_id) select id from contact where id = :d;
\\elif :r <= 4
insert into ping (contact_id) select id from contact where id between :d and :d + 10 order by id;
\\elif :r <= 5
insert into ping (contact_id) select id from contact where id between :d and :d + 10 order by id desc;
\\elif :r <= 6
insert into plan (contact_id, at) select id, $soon from contact where id in (:c, :d) order by random();
\\elif :r <= 7
update contact set trial = $soon where id = :d and trial is null;
\\else
update contact set note = 'x' where id = :c;
\\endif
\\sleep 20 ms
};

my $multi = qq{
\\set c random_zipfian(1, $ncontacts, 1.1)
\\set d random(1, $ncontacts)
\\set r random(1, 10)
%s;
select count(*) from contact;
insert into ping (contact_id) select id from contact where id = :c;
savepoint a;
insert into plan (contact_id, at) select id, $soon from contact where id = :c;
update contact set trial = $soon where id = :c and trial is null;
\\if :r <= 5
rollback to savepoint a;
insert into ping (contact_id) select id from contact where id = :c;
\\endif
\\sleep 5 ms
\\if :r = 10
rollback;
\\else
commit;
\\endif
\\sleep 20 ms
};

my $contact = qq{
\\set c random(1, $ncontacts)
\\set r random(1, 10)
\\if :r <= 5
insert into contact (id, trial) values (:c, $soon) on conflict do nothing;
\\elif :r <= 8
delete from contact where id = :c;
\\elif :r <= 9
update contact set id = 1000 + (random() * 100000)::bigint where id = :c;
\\else
begin;
select id from contact where id = :c for update;
\\sleep 100 ms
commit;
\\endif
\\sleep 50 ms
};

my $twophase = qq{
\\set c random(1, $ncontacts)
\\set g random(1, 1000000000)
\\set r random(1, 3)
begin;
insert into ping (contact_id) select id from contact where id = :c;
insert into plan (contact_id, at) select id, $soon from contact where id = :c;
prepare transaction 'g:g';
\\sleep 30 ms
\\if :r = 1
rollback prepared 'g:g';
\\else
commit prepared 'g:g';
\\endif
\\sleep 30 ms
};

# Nobody counts the leads of this stream; it is there to be in the way.
my $owner = q{
\set r random(1, 6)
\if :r = 1
select leadstream.alter_stream('churned', rule => 'exists(ping) and not exists(ping within 1 second) and trial < now');
\elif :r = 2
select leadstream.alter_stream('churned', rule => 'count(ping within 1 second) < 3 and exists(plan)');
\elif :r = 3
select leadstream.disable('churned');
select leadstream.clear('churned');
select leadstream.enable('churned');
\elif :r = 4
begin;
select leadstream.disable('churned');
\sleep 200 ms
rollback;
\elif :r = 5
begin;
select leadstream.alter_stream('churned', teams => '{partners}');
\sleep 100 ms
select leadstream.alter_stream('churned', teams => '{sales,partners}');
commit;
\else
select leadstream.fetch_history('churned');
\endif
\sleep 100 ms
};

# One contact of his own, which nobody else knows of.
my $steady = q{
select 1000000 + pg_backend_pid() as c \gset
insert into contact (id, note) values (:c, 'steady') on conflict do nothing;
insert into ping (contact_id) values (:c);
\sleep 200 ms
};

my %scripts = (
	single => $single,
	multi => sprintf($multi, 'begin'),
	rr => sprintf($multi, 'begin isolation level repeatable read'),
	ser => sprintf($multi, 'begin isolation level serializable'),
	contact => $contact,
	twophase => $twophase,
	owner => $owner,
	steady => $steady,
	tick => "select leadstream.tick();\n\\sleep 100 ms\n",
	batches => "call leadstream.tick_batches(3);\n\\sleep 30 ms\n",
	ticks => "begin;\nselect leadstream.tick();\n\\sleep 150 ms\ncommit;\n\\sleep 50 ms\n");

my $stop_file = "$dir/stop";
my @running;

# A worker runs its script until told to stop, whatever happens to its backend.
sub start_worker
{
	my ($name) = @_;
	my $file = "$dir/$name.script";

	append_to_file($file, $scripts{$name}) unless -e $file;
	push @running, leave_running($node, $dir, $name, '-T 4 --max-tries=1000', $stop_file);
	return;
}

sub try_sql
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, timeout => 60, on_error_stop => 1);
	return $rc == 0 ? $out : undef;
}

# What a killed or crashed owner left prepared.
sub resolve_prepared
{
	my ($age) = @_;

	foreach my $gid (split /\n/,
		try_sql("select gid from pg_prepared_xacts where prepared < clock_timestamp() - interval '$age'") // '')
	{
		try_sql((rand() < 0.5 ? 'commit' : 'rollback') . " prepared '$gid'");
	}
	return;
}

sub is_expected
{
	my ($c) = @_;
	my ($app, $state) = ($c->{app}, $c->{state});

	# kills and restarts; ours on what they left behind
	return 1 if $state =~ /^(57P0[123]|57014|08006)$/ || $c->{text} =~ /^could not (send|receive) data/;
	return 1 if $state eq '42704' && $c->{text} =~ /prepared transaction/;
	# a tick meets nothing else
	return 0 if $app =~ /^(tick|ticks|batches)$/;
	# their own foreign keys, to contacts that others deleted
	return 1 if $state eq '23503' && $c->{text} !~ /lead|due/;
	return 1 if $state eq '40P01' && $app =~ /^(multi|rr|ser|contact|owner)$/;
	return 1 if $state eq '40001' && $app eq 'ser';
	return 1 if $state eq '40001' && $app eq 'rr' && $c->{rest} !~ /leadstream/;
	return 1 if $app eq 'contact' && $state eq '23505';
	return 1 if $app eq 'owner' && $state =~ /^(40001|55000)$/;
	return 0;
}

# --------------------------------------------------------------------------
# Everything
# --------------------------------------------------------------------------

my $started = time;
my @restarts = map { $started + $seconds * $_ } (0.4, 0.7);
my ($next_kill, $nkills) = ($started + 3, 0);
my $is_young = 0;

start_worker($_) foreach qw(single single multi rr ser contact twophase owner steady tick tick batches ticks);
while (time < $started + $seconds)
{
	sleep 0.25;
	resolve_prepared('1 second');
	if (time > $next_kill)
	{
		my $kill = rand() < 0.7 ? 'pg_terminate_backend' : 'pg_cancel_backend';
		my $out = try_sql(
			"select $kill(pid) from pg_stat_activity where application_name = any ('{single,multi,rr,ser,contact,twophase,owner,tick,ticks,batches}') order by random() limit 1");
		$nkills++ if ($out // '') eq 't';
		$next_kill = time + 0.7;
	}
	if (!$is_young && time > $started + $seconds * 0.2)
	{
		$is_young = 1;
		$node->safe_psql('postgres', "select leadstream.enable('young')");
	}
	if (@restarts && time > $restarts[0])
	{
		shift @restarts;
		$node->stop('immediate');
		$node->start;
	}
}
append_to_file($stop_file, 'stop');
foreach my $pid (@running)
{
	until (waitpid($pid, WNOHANG) == $pid)
	{
		resolve_prepared('1 second');
		sleep 0.05;
	}
}
resolve_prepared('0 seconds');
sleep 4;
$node->safe_psql('postgres', 'select leadstream.tick()');
$node->safe_psql('postgres', 'call leadstream.tick_batches()');

is($node->safe_psql('postgres', $wrong{$_}), '', "no match of $_ is missing, doubled or too much")
  foreach sort keys %wrong;
is($node->safe_psql('postgres', q{
	select count(*) from leadstream.due where at < clock_timestamp() - interval '1 second'}),
	'0', 'nothing is overdue');
is($node->safe_psql('postgres', q{
	select count(*) from leadstream.stream where is_enabled and not is_seeded or is_littered}),
	'0', 'all streams are seeded, and nothing is left behind');
is($node->safe_psql('postgres', disorder()), '', 'the lead tables are in order');
cmp_ok($node->safe_psql('postgres', "select count(*) from leadstream.lead_match where origin = 'clock'"),
	'>', 20, 'time has made matches');
cmp_ok($nkills, '>', $seconds / 6, 'backends were killed');
my @unexpected = scan_log($node->logfile, \&is_expected);
is(scalar @unexpected, 0, 'the log has no complaint that the workload does not explain')
  or diag(join "\n", @unexpected);


# --------------------------------------------------------------------------
# A crash amid tick_batches: what is missing afterwards comes, and only that
# --------------------------------------------------------------------------

$node->safe_psql('postgres', q{
	select leadstream.disable(stream) from leadstream.stream where stream <> 'trial' and is_enabled;
	insert into contact (id, trial) select i, clock_timestamp() + interval '2 seconds' from generate_series(2000001, 2020000) i;
});
is($node->safe_psql('postgres', 'select count(*) from leadstream.due where contact_id > 2000000'), '20000', 'contacts wait');
sleep 2.5;
my $made = q{select count(*) from leadstream.lead_match m join leadstream.lead l using (lead_id) where l.contact_id > 2000000};
my $waits = 'select count(*) from leadstream.due where contact_id > 2000000';
my $ticker = IPC::Run::start(
	[ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'call leadstream.tick_batches(100)' ],
	'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
my $halfway = 0;
foreach (1 .. 400)
{
	$halfway = $node->safe_psql('postgres', $made);
	last if $halfway > 2000;
	sleep 0.01;
}
$node->stop('immediate');
$ticker->finish;
$node->start;
$halfway = $node->safe_psql('postgres', $made);
cmp_ok($halfway, '<', 40000, 'the crash came amid it');
is($halfway + 2 * $node->safe_psql('postgres', $waits), 40000, 'what was committed waits no more, and the rest does');
is($node->safe_psql('postgres', 'select leadstream.tick()') * 1, 40000 - $halfway, 'the next tick makes what is missing');
is($node->safe_psql('postgres', $made), 40000, 'nothing is doubled');
is($node->safe_psql('postgres', $waits), 0, 'nothing waits any more');


# --------------------------------------------------------------------------
# Waiting entries go along with a dump, and with a standby
# --------------------------------------------------------------------------

my $later = q{
	set leadstream.clock = '2100-01-01 00:00Z';
	select leadstream.tick();
	select l.contact_id, t.team, m.matched_at at time zone 'UTC', m.origin from leadstream.lead l
	join leadstream.lead_match m using (lead_id) join leadstream.team t using (team_id)
	where l.contact_id > 3000000 order by 1, 2;
};
my $expected = "10\n" . join "\n", map { my $i = $_; map { "$i|$_|2099-01-01 00:00:00.000001|clock" } qw(partners sales) } 3000001 .. 3000005;

$node->safe_psql('postgres', "insert into contact (id, trial) select i, '2099-01-01 00:00Z' from generate_series(3000001, 3000005) i");
foreach my $format ('custom', 'plain')
{
	my $file = "$dir/dump.$format";
	$node->safe_psql('postgres', "create database $format");
	$node->command_ok([ 'pg_dump', '-F', $format, '-f', $file, '-d', $node->connstr('postgres') ], "pg_dump, $format");
	my @restore = $format eq 'custom' ? ('pg_restore', '--exit-on-error') : ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1');
	$node->command_ok([ @restore, '-d', $node->connstr($format), $format eq 'custom' ? $file : ('-f', $file) ], "restore, $format");
	is($node->safe_psql($format, 'select count(*) from leadstream.due where contact_id > 3000000'), 5, "contacts wait in the restored database, $format");
	is($node->safe_psql($format, $later), $expected, "and have their leads when it is time, $format");
}

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('clock_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
my ($rc, undef, $err) = $standby->psql('postgres', 'select leadstream.tick()');
like($err, qr/cannot execute leadstream.tick\(\) (in a read-only transaction|during recovery)/, 'a standby does not tick');
$node->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', $later), $expected, 'contacts that waited have their leads after promotion');
$standby->stop;

done_testing();
