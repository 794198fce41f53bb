# Everything at once for a while, and then the leads are counted.
#
# Some twelve sessions insert, copy, update and delete, in all isolation levels,
# with savepoints and two-phase commit; others enable, disable, clear, fetch and
# alter streams, backends are killed, the server is restarted in immediate mode.
# While it goes on and at its end the leads are exactly what the committed rows
# say (see lib/LeadWorld.pm), and so are the scores that are kept, but for what
# ticks are behind with; and the server's log has no complaint that the workload
# does not explain.
#
# LS_TORTURE_SECONDS: how long, 60 if not said.  The ten minutes of a full run:
#   LS_TORTURE_SECONDS=600 test/run.sh --limit 900 tap torture

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

my $seconds = $ENV{LS_TORTURE_SECONDS} || 60;
my $ncontacts = 60;
my @churned = ('churn_a', 'churn_b');

my $node = PostgreSQL::Test::Cluster->new('torture');
$node->init;
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
make_world($node);

# Points only come, too, whoever alters the rules that pay them.
$LeadWorld::streams{scored} = [
	q{score('engagement') >= 12},
	q{(case when exists (select from form f where f.contact_id = c.id) then 5 else 0 end
	  + case when (select count(*) from visit v where v.contact_id = c.id) >= 3 then 5 else 0 end
	  + case when exists (select from mail m where m.contact_id = c.id and m.what = 'open') then 4 else 0 end
	  + case when c.country = 'SE' then 3 else 0 end) >= 12},
	'{partners}'
];
# What the set "kept" pays of a contact c, however it is altered: rules that may
# lose their points, some of them soon, and one over what a person writes.
my $kept_points = q{
	case when exists (select from form f where f.contact_id = c.id) then 7 else 0 end
	+ case when (select count(*) from visit v where v.contact_id = c.id and v.url = '/pricing') between 1 and 4 then 11 else 0 end
	+ case when c.country is distinct from 'SE' and c.score >= 20 then -3 else 0 end
	+ case when (select count(*) from visit v where v.contact_id = c.id and v.at > %1$s - interval '1 second' and v.at <= %1$s) >= 2 then 100 else 0 end};

$node->safe_psql(
	'postgres', q{
	create extension amcheck;
	select leadstream.create_score_set('kept');
	select leadstream.create_score_rule('kept', 'form', 'exists(form)', 7);
	select leadstream.create_score_rule('kept', 'pricing', 'count(visit where url = ''/pricing'') between 1 and 4', 11);
	select leadstream.create_score_rule('kept', 'foreigner', 'country <> ''SE'' and score >= 20', -3);
	select leadstream.create_score_rule('kept', 'busy', 'count(visit within 1 second) >= 2', 100);
	select leadstream.create_score_set('passing');
	select leadstream.create_score_set('engagement');
	select leadstream.create_score_rule('engagement', 'form', 'exists(form)', 5);
	select leadstream.create_score_rule('engagement', 'visits', 'count(visit) >= 3', 5);
	select leadstream.create_score_rule('engagement', 'mail', 'exists(mail where what = ''open'')', 4);
	select leadstream.create_score_rule('engagement', 'country', 'country = ''SE''', 3);
	select leadstream.create_score_set('noise');
	select leadstream.create_score_rule('noise', 'visit', 'exists(visit where url = ''/b'')', 5);
	select leadstream.create_stream('scored', 'score(''engagement'') >= 12', '{partners}');
	select leadstream.create_stream('churn_a', 'exists(form where name = ''demo'')', '{sales}');
	select leadstream.create_stream('churn_b', 'count(visit where url = ''/pricing'') >= 3', '{sales}');
	select leadstream.create_stream('altered', 'exists(visit where amount = 1)', '{partners}');
	select leadstream.create_stream('extra', 'exists(visit)', '{sales}');
	select leadstream.enable(stream) from leadstream.stream where stream not like 'churn%';
});


# --------------------------------------------------------------------------
# Who does what
# --------------------------------------------------------------------------

my $dir = $node->basedir;

# Rows for COPY, in opposite orders.
foreach my $order (1, -1)
{
	foreach my $table ('visit', 'form')
	{
		my $text = '';
		foreach my $i (1 .. $ncontacts)
		{
			my $id = $order > 0 ? $i : $ncontacts + 1 - $i;
			next if ($id * 7 + length $table) % 5;
			$text .= $table eq 'visit' ? "$id\t/pricing\n" : "$id\tdemo\n";
		}
		append_to_file("$dir/$table$order.copy", $text);
	}
}

my $url = q{(array['/pricing', '/', '/blog', '/about'])[1 + :u]};

# One statement, a transaction of its own.
my $single = qq{
\\set c random_zipfian(1, $ncontacts, 1.2)
\\set d random(1, $ncontacts)
\\set u random(0, 3)
\\set r random(1, 100)
\\if :r <= 25
insert into visit (contact_id, url) select id, $url from contact where id = :c;
\\elif :r <= 35
insert into form (contact_id, name) select id, 'demo' from contact where id = :d;
\\elif :r <= 45
insert into visit (contact_id, url) select v.* from (values (:c, $url), (:d, '/'), (:c, '/pricing')) v(i, u) join contact on id = i;
\\elif :r <= 55
insert into visit (contact_id, url) select id, '/pricing' from contact where id between :d and :d + 15 order by id;
\\elif :r <= 65
insert into visit (contact_id, url) select id, '/pricing' from contact where id between :d and :d + 15 order by id desc;
\\elif :r <= 75
insert into mail (contact_id, what) select id, case when random() < 0.5 then 'open' else 'sent' end from contact where id between :d and :d + 5 order by id desc;
\\elif :r <= 80
insert into mail_open (contact_id, what) select id, 'open' from contact where id between :d and :d + 5 order by random();
\\elif :r <= 90
with v as (insert into visit (contact_id, url) select id, '/' from contact where id between :c and :c + 3 returning contact_id) insert into form (contact_id, name) select contact_id, 'contact' from v order by 1 desc;
\\else
merge into visit v using (select id from contact where id in (:c, :d)) s on false when not matched then insert (contact_id, url) values (s.id, '/merge');
\\endif
};

# COPY; the rows may be of contacts that have just been deleted.
my $copy = qq{
\\set r random(1, 4)
\\if :r = 1
copy visit (contact_id, url) from '$dir/visit1.copy';
\\elif :r = 2
copy visit (contact_id, url) from '$dir/visit-1.copy';
\\elif :r = 3
copy form (contact_id, name) from '$dir/form1.copy';
\\else
copy form (contact_id, name) from '$dir/form-1.copy';
\\endif
\\sleep 20 ms
};

# Several statements; %s is how the transaction begins.
my $multi = qq{
\\set c random_zipfian(1, $ncontacts, 1.2)
\\set d random(1, $ncontacts)
\\set u random(0, 3)
\\set r random(1, 10)
%s;
select count(*) from contact;
insert into visit (contact_id, url) select id, $url from contact where id = :c;
savepoint a;
insert into visit (contact_id, url, amount) select id, '/pricing', 5 from contact where id in (:c, :d);
insert into form (contact_id, name) select id, 'demo' from contact where id = :d;
\\if :r <= 4
rollback to savepoint a;
insert into mail (contact_id, what) select id, 'open' from contact where id in (:c, :d);
\\elif :r <= 7
release savepoint a;
\\endif
savepoint b;
insert into visit (contact_id, url) select id, '/b' from contact where id between :c and :c + 2;
\\if :r = 10
rollback;
\\else
commit;
\\endif
};

my $contact = qq{
\\set c random(1, $ncontacts)
\\set r random(1, 100)
\\if :r <= 30
update contact set score = score + 10 where id = :c;
\\elif :r <= 40
update contact set country = 'SE' where id = :c and country is null;
\\elif :r <= 50
update contact set score = score + 5, note = 'hot' where id between :c and :c + 3;
\\elif :r <= 70
insert into contact (id, score) values (:c, 40) on conflict (id) do update set score = contact.score + 10;
\\elif :r <= 85
insert into contact (id, country, score) select i, 'SE', 20 from generate_series(:c, :c + 2) i on conflict do nothing;
\\elif :r <= 96
delete from contact where id = :c;
\\else
update contact set id = :c + 1000 + (random() * 1e9)::bigint where id = :c;
\\endif
\\sleep 5 ms
};

my $twophase = qq{
\\set c random_zipfian(1, $ncontacts, 1.2)
\\set d random(1, $ncontacts)
\\set g random(1, 1000000000)
\\set r random(1, 3)
begin;
insert into visit (contact_id, url) select id, '/pricing' from contact where id = :c;
savepoint a;
insert into form (contact_id, name) select id, 'demo' from contact where id = :d;
prepare transaction 'g:g';
\\sleep 3 ms
\\if :r = 1
rollback prepared 'g:g';
\\else
commit prepared 'g:g';
\\endif
\\sleep 10 ms
};

# A statement that fails with what a query finds, so that the log tells.
sub check
{
	my ($query) = @_;

	$query =~ s/\s+/ /g;
	return "select case when q.found <> '' then q.found::integer end from (select ($query) as found offset 0) as q;\n";
}

# After clear nothing of the stream may appear, after fetch_history nothing may
# be missing.
sub churn
{
	my ($stream, $like) = @_;
	my $complete = check(mismatches($stream, $like));
	my $clean = check(
		"select coalesce(min('uncleared match of $stream'), '') from leadstream.lead_match m join leadstream.stream s using (stream_id) where s.stream = '$stream'");
	return qq{
select leadstream.disable('$stream') from leadstream.stream where stream = '$stream' and is_enabled;
select leadstream.clear('$stream');
$clean \\sleep 50 ms
$clean select leadstream.enable('$stream');
select leadstream.fetch_history('$stream');
$complete \\sleep 100 ms
$complete};
}

# Nobody counts what these make; they are there to be in the way.
my $owner = q{
\set r random(1, 11)
\if :r = 9
select leadstream.alter_score_rule('engagement', 'form', 'count(form) >= 1');
select leadstream.alter_score_rule('engagement', 'visits', 'not count(visit) < 3');
\elif :r = 10
select leadstream.alter_score_rule('engagement', 'form', 'exists(form)');
select leadstream.alter_score_rule('engagement', 'visits', 'count(visit) >= 3');
\elif :r = 11
select leadstream.alter_stream('altered', rule => 'score(''noise'') >= 5');
begin;
select leadstream.alter_score_rule('noise', 'visit', points => 6);
rollback;
select leadstream.disable_score_rule('noise', 'visit');
select leadstream.enable_score_rule('noise', 'visit');
\else
\set r random(1, 8)
\if :r = 1
select leadstream.alter_stream('altered', rule => 'exists(visit where amount = 1)');
\elif :r = 2
select leadstream.alter_stream('altered', rule => 'count(visit where url = ''/b'') >= 2 or country = ''SE''');
\elif :r = 3
select leadstream.alter_stream('altered', teams => '{sales,partners}', description => 'both');
\elif :r = 4
select leadstream.alter_stream('altered', teams => '{partners}', description => '');
\elif :r = 5
begin;
select leadstream.alter_stream('altered', new_name => 'renamed');
select leadstream.alter_stream('renamed', new_name => 'altered');
commit;
\elif :r = 6
select leadstream.disable('altered');
select leadstream.clear('altered');
select leadstream.enable('altered');
\elif :r = 7
begin isolation level repeatable read;
select leadstream.disable('extra');
select leadstream.clear('extra');
select leadstream.drop_stream('extra');
select leadstream.create_stream('extra', 'exists(visit)', '{sales}');
select leadstream.enable('extra');
select leadstream.fetch_history('extra');
commit;
\else
select leadstream.fetch_history(array['altered', 'extra']);
\endif
\endif
\sleep 30 ms
};

my $misscored = q{
	select coalesce(string_agg(format('contact %s in %s: kept %s, computed %s', v.contact_id, v.score_set, v.kept, v.computed), '; '), '')
	from leadstream.verify_scores() v};
my $checker = check(join ' || ', map { '(' . mismatches($_) . ')' } sort keys %LeadWorld::streams)
  . "\\sleep 300 ms\n";

# A set that changes between the snapshot and the judging is judged as it is now.
my $auditor = "begin;\nlock table leadstream.score_set in share mode;\n" . check($misscored) . "commit;\n\\sleep 200 ms\n";

# Two of the first are at it at once; sets change and go under them.
my $ticker = q{
select leadstream.tick();
\sleep 40 ms
};
my $scorer = q{
\set r random(1, 5)
\if :r = 1
call leadstream.rescore('kept', 7);
\elif :r = 2
select leadstream.alter_score_rule('kept', 'form', 'count(form) > 0', 7);
select leadstream.alter_score_rule('kept', 'busy', 'count(visit within 1 second) > 1');
\elif :r = 3
select leadstream.disable_score_set('kept');
select leadstream.alter_score_rule('kept', 'form', 'exists(form)');
select leadstream.enable_score_set('kept');
\elif :r = 4
begin;
select leadstream.alter_score_rule('kept', 'form', points => 1000);
select leadstream.drop_score_rule('kept', 'foreigner');
rollback;
\else
select leadstream.create_score_rule('passing', 'visit', 'exists(visit)', 5) from leadstream.score_set where score_set = 'passing' and not exists (select from leadstream.score_rules where score_set = 'passing');
select leadstream.drop_score_rule('passing', score_rule) from leadstream.score_rules where score_set = 'passing';
select leadstream.drop_score_set('passing') from leadstream.score_set where score_set = 'passing';
select leadstream.create_score_set('passing') where not exists (select from leadstream.score_set where score_set = 'passing');
\endif
\sleep 100 ms
};

# Three of these insert at the same moment one row each for a contact that no
# other row will ever come for: nothing makes up for a match that is missed.
my $trio = q{
select pg_sleep(0.05 - extract(epoch from clock_timestamp()) %% 0.05);
select 1000000000000 + floor(extract(epoch from clock_timestamp()) * 20)::bigint as c \gset
insert into contact (id) values (:c) on conflict do nothing;
%s;
select;
insert into visit (contact_id, url) values (:c, '/pricing');
commit;
};

# The name of a worker is its application_name; what errors it may meet goes by
# the name.
my %scripts = (
	single => $single,
	copy => $copy,
	multi => sprintf($multi, 'begin'),
	rr => sprintf($multi, 'begin isolation level repeatable read'),
	ser => sprintf($multi, 'begin isolation level serializable'),
	contact => $contact,
	twophase => $twophase,
	churn_a => churn('churn_a', 'demo'),
	churn_b => churn('churn_b', 'pricing'),
	owner => $owner,
	checker => $checker,
	auditor => $auditor,
	ticker => $ticker,
	scorer => $scorer,
	trio => sprintf($trio, 'begin'),
	trio_rr => sprintf($trio, 'begin isolation level repeatable read'),
	settler => join('', map { "select leadstream.enable(stream) from leadstream.stream where stream = '$_' and not is_enabled;\n"
		  . "select leadstream.fetch_history('$_');\n" } @churned) . "insert into settled default values;\n");

# A worker runs its script until told to stop, whatever happens to its backend.
my $stop_file = "$dir/stop";
my @running;

sub start_worker
{
	my ($name) = @_;
	my $file = "$dir/$name.script";

	append_to_file($file, $scripts{$name}) unless -e $file;
	push @running, leave_running($node, $dir, $name, '-T 3 --max-tries=1000', $stop_file, "$stop_file.$name");
	return;
}

# Wait for processes, and for those who hold them up.
sub reap
{
	foreach my $pid (@_)
	{
		until (waitpid($pid, WNOHANG) == $pid)
		{
			resolve_prepared('1 second');
			sleep 0.05;
		}
	}
	return;
}

sub stop_workers
{
	append_to_file($stop_file, 'stop');
	reap(@running);
	@running = ();
	unlink $stop_file;
	return;
}

# A statement of our own that may meet a server that is not there.
sub try_sql
{
	my ($sql) = @_;
	my ($rc, $out, $err) =
	  $node->psql('postgres', $sql, timeout => 60, on_error_stop => 1);
	return $rc == 0 ? $out : undef;
}

# What a killed or crashed owner left prepared.
sub resolve_prepared
{
	my ($age) = @_;
	my $gids = try_sql(
		"select gid from pg_prepared_xacts where prepared < clock_timestamp() - interval '$age'");

	foreach my $gid (split /\n/, $gids // '')
	{
		try_sql((rand() < 0.5 ? 'commit' : 'rollback') . " prepared '$gid'");
	}
	return;
}

sub is_expected_single
{
	my ($c) = @_;
	return $c->{app} =~ /^(single|copy)$/ && $c->{state} eq '23503' && $c->{text} !~ /lead/;
}

sub is_expected
{
	my ($c) = @_;
	my ($app, $state) = ($c->{app}, $c->{state});

	# kills and restarts; ours on what they left behind
	return 1 if $state =~ /^(57P0[123]|57014|08006)$/;
	return 1 if $app eq 'torture.pl' && $state =~ /^(42704|55000)$/;
	return 1 if $state eq '42704' && $c->{text} =~ /prepared transaction/;
	# their own foreign keys, to contacts that others deleted
	return 1 if $state eq '23503' && $c->{text} !~ /lead/;
	return 1 if $state eq '40P01';
	return 1 if $state eq '40001' && $app eq 'ser';
	# a contact that was deleted or re-keyed under REPEATABLE READ: their own
	# foreign key, or the DELETE of the one who clears
	return 1
	  if $state eq '40001' && $app eq 'rr' && $c->{rest} !~ /leadstream/;
	return 1 if $app =~ /^(owner|scorer)$/ && $state =~ /^(40001|55000|42704)$/;
	return 1 if $app =~ /^churn/ && $state eq '55000' && $c->{text} =~ /is enabled|is disabled/;
	return 0;
}


# --------------------------------------------------------------------------
# Single statements: nobody deadlocks
# --------------------------------------------------------------------------

$node->safe_psql('postgres',
	"insert into contact (id, country) select i, case when i % 2 = 0 then 'SE' end from generate_series(1, $ncontacts) i");
start_worker('single') foreach 1 .. 5;
start_worker('copy') foreach 1 .. 3;
start_worker($_) foreach qw(trio trio trio_rr checker);
sleep($seconds / 8);
stop_workers();

my @unexpected = scan_log($node->logfile, \&is_expected_single);
is(join("\n", @unexpected), '', 'single statements in opposite orders meet no error');
is($node->safe_psql('postgres', mismatches($_)), '', "single statements: $_")
  foreach sort keys %LeadWorld::streams;


# --------------------------------------------------------------------------
# Everything
# --------------------------------------------------------------------------

my @crew = qw(single single copy multi multi rr rr ser ser contact contact
  twophase trio trio trio_rr churn_a churn_b owner checker auditor ticker ticker scorer);
my $started = time;
my $everything = $seconds * 3 / 4;
my @restarts = map { $started + $everything * $_ } (0.3, 0.6);
my $next_kill = 0;
my ($nkills, $nrestarts) = (0, 0);

start_worker($_) foreach @crew;
while (time < $started + $everything)
{
	sleep 0.25;
	resolve_prepared('1 second');
	if (time > $next_kill)
	{
		my $kill = rand() < 0.7 ? 'pg_terminate_backend' : 'pg_cancel_backend';
		my $out = try_sql(
			"select $kill(pid) from pg_stat_activity where application_name = any ('{single,copy,multi,rr,ser,contact,twophase,trio,churn_a,churn_b,owner,ticker,scorer}') order by random() limit 1");
		$nkills++ if ($out // '') eq 't';
		$next_kill = time + 0.7;
	}
	if (@restarts && time > $restarts[0])
	{
		shift @restarts;
		$node->stop('immediate');
		$node->start;
		$nrestarts++;
	}
}

# Under load still, the churned streams are enabled for good.
foreach my $stream (@churned)
{
	append_to_file("$stop_file.$stream", 'stop');
}
append_to_file("$stop_file.$_", 'stop') foreach qw(owner scorer);
my %is_settled;
foreach (1 .. 60)
{
	resolve_prepared('1 second');
	last
	  if 0 == $node->safe_psql('postgres',
		"select count(*) from pg_stat_activity where application_name in ('churn_a', 'churn_b', 'owner', 'scorer')");
	sleep 0.2;
}
$node->safe_psql('postgres', 'create table settled (at timestamptz not null default clock_timestamp())');
start_worker('settler');
my $settler = pop @running;
# the others write in an order of their own, so it may lose a deadlock or two
foreach (1 .. 60)
{
	resolve_prepared('1 second');
	sleep 1;
	last if 1 < $node->safe_psql('postgres', 'select count(*) from settled');
}
append_to_file("$stop_file.settler", 'stop');
reap($settler);
stop_workers();
resolve_prepared('-1 second');


# --------------------------------------------------------------------------
# The reckoning
# --------------------------------------------------------------------------

my $counts = $node->safe_psql('postgres', q{
	select format('%s contacts, %s visits, %s forms, %s mails, %s leads, %s matches, %s events',
		(select count(*) from contact), (select count(*) from visit), (select count(*) from form),
		(select count(*) from mail), (select count(*) from leadstream.lead),
		(select count(*) from leadstream.lead_match), (select count(*) from leadstream.lead_event))});
note("$counts, $nkills kills, $nrestarts restarts");
is($node->safe_psql('postgres', 'select count(*) from pg_prepared_xacts'), '0', 'nothing is left prepared');
is($node->safe_psql('postgres', mismatches($_)), '', "missing, doubled, extra: $_")
  foreach sort keys %LeadWorld::streams;
is($node->safe_psql('postgres', mismatches('churn_a', 'demo')), '', 'missing, doubled, extra: a stream enabled and fetched under load');
is($node->safe_psql('postgres', mismatches('churn_b', 'pricing')), '', 'the same of one that counts');
is($node->safe_psql('postgres', "select string_agg(s.stream, ', ') from leadstream.stream s where exists (select from leadstream.verify(s.rule))"),
	'', 'live judge and timeline agree on every rule');

# Whoever was to enable the set again may have been killed; ticks do the rest.
$node->safe_psql('postgres', "select leadstream.enable_score_set(score_set) from leadstream.score_set where not is_enabled");
sleep 1.1;
$node->safe_psql('postgres', 'select leadstream.tick()') foreach 1 .. 5;
is($node->safe_psql('postgres', $misscored), '', 'scores are kept as they are computed');
is( $node->safe_psql(
		'postgres', q{
		select string_agg(format('contact %s: kept %s, not %s', c.id, k.points, p.points), '; ')
		from contact c cross join lateral (select } . sprintf($kept_points, 'clock_timestamp()') . q{) as p(points)
		left join leadstream.scores k on k.contact_id = c.id and k.score_set = 'kept'
		where p.points is distinct from coalesce(k.points, 0) or not coalesce(k.is_current, p.points = 0)}),
	'', 'and as plain SQL adds them up');
is( $node->safe_psql(
		'postgres', q{
		select count(*) from leadstream.score k
		where not exists (select from leadstream.score_set s where s.score_set_id = k.score_set_id)}),
	'0', 'nothing is kept of sets that are gone');
cmp_ok($node->safe_psql('postgres', q{select count(*) from leadstream.scores where score_set = 'kept' and points <> 0}),
	'>', 20, 'there are scores');

# Some are disabled already, whoever should have cleared them having been killed.
$node->safe_psql('postgres', "select leadstream.disable(stream) from leadstream.stream where stream in ('churn_a', 'altered', 'extra') and is_enabled");
$node->safe_psql('postgres', "select leadstream.clear(stream) from leadstream.stream where stream in ('churn_a', 'altered', 'extra')");
is($node->safe_psql('postgres', "select count(*) from leadstream.matches where stream in ('churn_a', 'altered', 'extra')"),
	'0', 'a cleared stream has no match');
is($node->safe_psql('postgres', disorder()), '', 'the lead tables are in order');
is( $node->safe_psql(
		'postgres', q{
		set client_min_messages = warning;
		select bt_index_check(i.indexrelid, i.indisunique) from pg_index i
		join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam and a.amname = 'btree'
		where c.relkind = 'i' and c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)}) =~ s/\n//gr,
	'', 'the indexes are sound');
cmp_ok($node->safe_psql('postgres', 'select count(*) from leadstream.lead'), '>', 20, 'there are leads');
cmp_ok($nkills, '>', $seconds / 6, 'backends were killed');
is($nrestarts, 2, 'the server was restarted');

@unexpected = scan_log($node->logfile, \&is_expected);
is(scalar @unexpected, 0, 'the log has no complaint that the workload does not explain')
  or diag(join "\n", @unexpected);
# A worker that never gets through tests nothing.
foreach my $worker (sort keys %scripts)
{
	my $n = () = slurp_file("$dir/$worker.err") =~ /aborted/g;
	note("$worker: $n clients aborted");
}

$node->stop;
done_testing();
