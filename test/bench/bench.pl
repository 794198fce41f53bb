# bench.pl: every bar measured beside its rivals.
#
# Run by bench.sh, which has built the tree and started a server (PGHOST, PGUSER, PATH).
# A line is one bar; a part measures some lines in a database of its own.  Each variant
# (no triggers, ours, a rival) is a set of triggers on the same table; within a round
# all of them are measured in an order drawn anew, so that whatever else the machine
# does meets all alike.  A figure is the median over the rounds; its spread is the least
# and the greatest of the rounds.
#
# A statement is measured inside a transaction that is rolled back, and the table is
# vacuumed: every one finds the same rows below it, and no leads.

use strict;
use warnings;
use utf8;

use FindBin;
use IPC::Open3;
use List::Util qw(max min shuffle sum uniq);
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

binmode STDOUT, ':utf8';
$| = 1;
srand 1;

my $work = $ENV{BENCH_WORK} or die "run bench.sh\n";
my $full = $ENV{BENCH_FULL};
my $begun = time;

sub setting {
  my ($name, $quick, $large) = @_;
  return $ENV{"BENCH_$name"} || ($full ? $large : $quick);
}
my $rows = setting(ROWS => 100_000, 1_000_000);
my $below = setting(BELOW => 1_000_000, 2_000_000);
my $activities = setting(HISTORY => 500_000, 10_000_000);
my $waiting = setting(WAITING => 500_000, 10_000_000);
my $streams = setting(STREAMS => 100_000, 100_000);
my $rounds = setting(ROUNDS => 3, 5);
my $seconds = setting(SECONDS => 0.6, 2);
my $some = $streams > 1_000 ? 1_000 : int $streams / 10;

# Rivals that cost the same for each row need no million of them to be measured, and a
# PL/pgSQL trigger with 1,000 conditions needs fewer still.  One that takes the statement
# as a whole has a share of its cost once.
my $few_rows = min($rows, 10_000);
my $each_rows = min($rows, 100_000);
my $set_rows = int $rows / 2;
# What comes has two rows of every contact at least, for statements that take both.
my $source_rows = max($rows, 200_000);
# Lines of their own; where every contact has two rows in the statement, that is all of them.
my $line_rows = $full ? $rows : int $rows / 2;
my $pair_rows = min($line_rows, 200_000);
my $few_pairs = min($pair_rows, 50_000);

# Lines

sub grouped { my $n = reverse int $_[0]; $n =~ s/(\d{3})(?=\d)/$1,/g; return scalar reverse $n }
my ($s_some, $s_all) = (grouped($some), grouped($streams));

# id, what, unit, bar: the figure holds if it is not above.
my @lines = (
  [bulk_bare_some => "INSERT … SELECT, none matches, $s_some streams, bare", 'µs', 0.25],
  [bulk_some => "INSERT … SELECT, none matches, $s_some streams", '×', 1.10],
  [copy_bare_some => "COPY, none matches, $s_some streams, bare", 'µs', 0.25],
  [copy_some => "COPY, none matches, $s_some streams", '×', 1.10],
  [bulk_bare_all => "INSERT … SELECT, none matches, $s_all streams, bare", 'µs', 0.35],
  [bulk_all => "INSERT … SELECT, none matches, $s_all streams", '×', 1.12],
  [copy_bare_all => "COPY, none matches, $s_all streams, bare", 'µs', 0.35],
  [copy_all => "COPY, none matches, $s_all streams", '×', 1.12],
  [bulk_none => 'attached, no stream speaks of it: INSERT … SELECT', '×', 1.05],
  [one_none => 'attached, no stream speaks of it: one row', '×', 1.01],
  [one_some => "one row, prepared, a commit each, $s_some streams", '×', 1.03],
  [one_all => "one row, prepared, a commit each, $s_all streams", '×', 1.05],
  [growth_streams => '1,000 times the streams, added cost a row', '×', 2],
  [growth_history => '10 times the history, added cost a row (the same: within 0.1 µs)', 'µs', 0.1],
  [matcher_some => "the matcher alone, $s_some streams (streams minus no stream, bare)", 'µs', 0.03],
  [matcher_all => "the matcher alone, $s_all streams (streams minus no stream, bare)", 'µs', 0.15],
  [contact_bulk => "every row needs its contact, $s_some streams: INSERT … SELECT", '×', 1.5],
  [contact_one => "every row needs its contact, $s_some streams: one row", '×', 1.15],
  [window_bulk => 'every row counts 30 days in vain, two a contact: INSERT … SELECT', '×', 2.2],
  [window_one => 'every row counts 30 days in vain: one row', '×', 1.25],
  [window_ten => 'ten such windows against one: INSERT … SELECT', '×', 1.15],
  [score_bulk => 'a stream compares a score of 20 rules, every row earns in vain: INSERT … SELECT', '×', 2.5],
  [score_one => 'a stream compares a score of 20 rules, every row earns in vain: one row', '×', 1.3],
  [kept_bulk => 'a kept score of 20 rules, every row is of two that pay already: INSERT … SELECT', '×', 2.5],
  [kept_one => 'a kept score of 20 rules, every row is of two that pay already: one row', '×', 1.3],
  [kept_changed_bulk => 'a kept score of 20 rules, every row changes it: INSERT … SELECT', '×', 2.5],
  [kept_changed_one => 'a kept score of 20 rules, every row changes it: one row', '×', 1.3],
  [kept_read => 'the 50 contacts with the highest kept score, of 100,000', 'ms', 500],
  [lead_some => '1 % of rows make a lead: INSERT … SELECT', '×', 1.10],
  [lead_all => 'every row makes a lead: INSERT … SELECT', '×', 1.8],
  [hot => grouped(min(10_000, $streams)) . ' streams on one hot url, 1 % of rows: INSERT … SELECT', '×', 1.3],
  [history_equal => 'fetch_history, ' . grouped($activities) . ' rows: an equality with an index', '×', 1.1],
  [history_scan => 'fetch_history: two conditions without one', '×', 1.1],
  [history_count => 'fetch_history: count ≥ 3 in 30 days', '×', 1.1],
  [history_many => "fetch_history: $s_some streams in one call, against one join", '×', 0.7],
  [clock_waiting => 'tick() with 1,000 due of ' . grouped($waiting) . ' that wait, against 1,000 alone', '×', 1.1],
  [first_insert => "first insert of a connection, $s_all streams, more than with none", 'ms', 5],
  [memory_some => "memory at $s_some streams, a stream, constants among it", 'bytes', 250],
  [memory_all => "memory of a session at $s_all streams, after a bulk insert", 'MB', 250 * $streams / 1_000_000],
  [memory_growth => 'growth of a session by ' . grouped(10 * $rows) . ' rows', 'MB', 1],
  [memory_copy => 'COPY at its peak, a row', 'bytes', 16],
  [enable_one => "one stream enabled among $s_all: the next insert elsewhere, more", 'ms', 1],
  [enable_writers => 'enabling and disabling under 8 writers: p99 of an insert', 'ms', 20],
  [enable_idle => 'enable() while a writer idles in its transaction', 'ms', 20],
);
my %line = map { $_->[0] => { what => $_->[1], unit => $_->[2], bar => $_->[3] } } @lines;

# Statistics: a figure is [middle, least, greatest].

sub median {
  my @s = sort { $a <=> $b } @_;
  return @s % 2 ? $s[$#s / 2] : ($s[@s / 2 - 1] + $s[@s / 2]) / 2;
}

sub figure { return [median(@_), min(@_), max(@_)] }

# Round by round, because the rounds are what differs least within.
sub by_round {
  my ($of, $with, $without) = @_;
  my $n = min(scalar @$with, scalar @$without);
  my @each = map { $of->($with->[$_], $without->[$_]) } 0 .. $n - 1;
  return [$of->(median(@$with), median(@$without)), min(@each), max(@each)];
}
sub ratio { return by_round(sub { $_[0] / $_[1] }, @_) }
sub added { return by_round(sub { $_[0] - $_[1] }, @_) }

sub number {
  my $v = shift;
  return '-' if !defined $v;
  return abs $v >= 1000 ? grouped($v) : sprintf abs $v >= 99.5 ? '%.0f' : abs $v >= 9.95 ? '%.1f' : '%.2f', $v;
}
sub with_unit {
  my ($v, $unit) = @_;
  return number($v) . ($unit eq '×' ? $unit : " $unit");
}

# Reports

open my $tsv, '>:utf8', "$work/out/rounds.tsv" or die $!;
print $tsv join("\t", qw(part variant round value unit)), "\n";
my $part_name = '';

sub note { printf "# %4d s  %s\n", time - $begun, join ' ', @_ }

# Rivals: pairs of a name and a figure in the unit of the line.
sub report {
  my ($id, $figure, @rivals) = @_;
  my $l = $line{$id} or die "no line $id";
  $l->{figure} = $figure;
  my @said;
  while (my ($name, $f) = splice @rivals, 0, 2) {
    push @said, ref $f ? "$name " . with_unit($f->[0], $l->{unit}) : "$name $f";
  }
  $l->{rivals} = join '; ', @said;
  $l->{holds} = $figure->[0] <= $l->{bar} ? 'holds' : 'does not hold';
  note("$l->{what}: " . measured($l) . " (bar $l->{bar}): $l->{holds}");
}

sub measured {
  my $l = shift;
  return $l->{failed} ? 'failed' : '-' if !$l->{figure};
  my ($mid, $low, $high) = @{ $l->{figure} };
  return with_unit($mid, $l->{unit}) . ($low == $high ? '' : ' (' . number($low) . '–' . number($high) . ')');
}

# A psql kept open through a pipe: a new one for each statement would be a new
# connection, which is a thing measured here.
package Session {
  my @open;

  sub new {
    my ($class, $db) = @_;
    my $self = bless { db => $db, buffer => '' }, $class;
    $self->{process} = IPC::Open3::open3($self->{in}, $self->{out}, undef,
      'psql', '-XqAt', '-F', "\t", '-v', 'VERBOSITY=terse', '-d', $db);
    push @open, $self;
    $self->sql('set client_min_messages = error');
    return $self;
  }

  sub close {
    my $self = shift;
    return if !$self->{process};
    CORE::close $self->{in};
    CORE::close $self->{out};
    waitpid $self->{process}, 0;
    delete $self->{process};
    @open = grep { $_ != $self } @open;
    return;
  }
  sub close_all { $_->close for reverse my @all = @open; return }

  sub send {
    my ($self, $sql) = @_;
    my $text = "$sql\n;\n\\echo == done ==\n";
    utf8::encode($text);
    syswrite $self->{in}, $text;
    return;
  }

  # $meanwhile is called every few milliseconds.
  sub finish {
    my ($self, $meanwhile) = @_;
    my $end = "== done ==\n";
    while (substr($self->{buffer}, -length $end) ne $end) {
      if ($meanwhile) {
        my $ready = '';
        vec($ready, fileno $self->{out}, 1) = 1;
        if (!select $ready, undef, undef, 0.005) { $meanwhile->(); next }
      }
      sysread $self->{out}, $self->{buffer}, 65536, length $self->{buffer}
        or die "psql ended: $self->{buffer}\n";
    }
    my $answer = substr $self->{buffer}, 0, -length $end;
    $self->{buffer} = '';
    if ($answer =~ /^((?:psql:.*)?(?:ERROR|FATAL): .*)$/m) { my $error = $1; $self->forget; die "$error\n" }
    return $answer;
  }

  # After an error nothing may stay open that the next statement would meet.
  sub forget {
    my $self = shift;
    $self->send('rollback');
    eval { $self->finish };
    return;
  }

  sub sql {
    my ($self, $sql) = @_;
    $self->send($sql);
    my $answer = $self->finish;
    chomp $answer;
    return wantarray ? split /\n/, $answer : $answer;
  }

  # Milliseconds of one statement, as its client sees them.
  sub ms {
    my ($self, $sql, $meanwhile) = @_;
    $self->send("\\timing on\n$sql;\n\\timing off");
    my $answer = $self->finish($meanwhile);
    $answer =~ /^Time: ([\d.]+) ms/m or die "no time in: $answer\n";
    return $1;
  }

  sub pid { my $self = shift; return $self->{pid} //= $self->sql('select pg_backend_pid()') }

  # Its own memory, kB, without the pages it shares.
  sub own_kb {
    my $self = shift;
    open my $status, '<', '/proc/' . $self->pid . '/status' or die "no /proc: $!\n";
    my ($kb) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } <$status>;
    return $kb;
  }
}

sub available_kb {
  open my $meminfo, '<', '/proc/meminfo' or die $!;
  my ($kb) = map { /^MemAvailable:\s+(\d+)/ ? $1 : () } <$meminfo>;
  return $kb;
}

sub sql_file {
  my ($db, $file, %variables) = @_;
  my $error = `psql -Xq -v ON_ERROR_STOP=1 -d $db @{[map { "-v $_=$variables{$_}" } sort keys %variables]} -f $FindBin::Bin/$file 2>&1 >/dev/null`;
  die "$file: $error\n" if $?;
  return;
}

# Databases: one that the others are copies of, so that data is generated once.
#   base    the visits below, rivals
#   mix     with the streams of mix.sql; visits into the table of the bars
#   bare    the same, where "visit" is the bare table
#   lines   for lines with streams of their own
#   scores  for lines of scores, which are kept of every contact
#   small   a tenth of the visits
#   history as many activities as fetch_history is to read
#   clock   where contacts are due and many more wait
#   due     where none but those that are due wait

my %made;
my %how = (
  base => sub {
    sql_file('base', 'data.sql', below => $below, rows => $source_rows);
    sql_file('base', 'rivals.sql');
  },
  mix => sub { sql_file('mix', 'mix.sql', streams => $streams) },
  bare => sub {
    my $s = Session->new('bare');
    $s->sql(q{truncate visit; select leadstream.detach('visit');
      select leadstream.attach_activity('bare', contact_key => 'contact_id', occurred_at => 'occurred_at', kind => 'visit')});
    $s->close;
    sql_file('bare', 'mix.sql', streams => $streams);
  },
  lines => sub { },
  scores => sub { make_scores('scores') },
  small => sub {
    sql_file('small', 'data.sql', below => $below / 10, rows => $source_rows);
    sql_file('small', 'rivals.sql');
    sql_file('small', 'mix.sql', streams => $some);
  },
  history => sub {
    sql_file('history', 'data.sql', below => $activities, rows => 1000);
    sql_file('history', 'rivals.sql');
    my $s = Session->new('history');
    $s->sql('create index on visit (url)');
    $s->sql('vacuum analyze visit');
    $s->close;
  },
  clock => sub { make_queue('clock', $waiting) },
  due => sub { make_queue('due', 0) });

# A clock queue of 1,000 contacts that are due, whose rule has turned true, and of others
# that are going to be: as many as there are of each stream, and as many streams as it takes.
sub make_queue {
  my ($db, $others) = @_;
  my $s = Session->new($db);
  my $contacts = 100_000;
  add_streams($s, q{values ('silent', 'exists(visit) and not exists(visit within 1 second)')});
  add_streams($s, "select 'waits ' || i, format('exists(visit) and not exists(visit within %s days)', 1000 + i)
    from generate_series(1, $others / $contacts) i") if $others;
  enable_streams($s, 'true');
  # As after a tick that looked at all contacts; rows of a dump go in by the same way.
  $s->sql(q{update leadstream.stream set is_seeded = true});
  $s->sql('set session_replication_role = replica');
  $s->sql(q{insert into leadstream.due (contact_id, stream_id, run, at, arrival)
    select contact_id, stream_id, run, now() - interval '1 minute', false
    from (select distinct contact_id from visit order by 1 limit 1000) c, leadstream.stream
    where stream = 'silent'});
  $s->sql(q{insert into leadstream.due (contact_id, stream_id, run, at, arrival)
    select contact_id, stream_id, run, now() + random() * interval '1000 days' + interval '1 day', false
    from contact, leadstream.stream where stream <> 'silent'});
  $s->sql('vacuum analyze leadstream.due, leadstream.stream');
  $s->close;
  return;
}

# A set of twenty rules: two concern every row, and all contacts have their points; 18
# concern one folder each, and nobody has them all.
sub make_scores {
  my $db = shift;
  my $s = Session->new($db);
  $s->sql(q{insert into visit (contact_id, url, occurred_at)
    select c.contact_id, '/shop/products/100/page', now() - i * interval '10 days'
    from contact c, generate_series(1, 3) i
    where (select count(*) from visit v where v.contact_id = c.contact_id and v.occurred_at > now() - interval '80 days') < 3});
  $s->sql(q{select leadstream.create_score_set('bench');
    select leadstream.create_score_rule('bench', 'any page', 'exists(visit within 90 days)', 10);
    select leadstream.create_score_rule('bench', 'three pages', 'count(visit within 90 days) >= 3', 5);
    select leadstream.create_score_rule('bench', 'folder ' || i,
      format('exists(visit where url like %L within 90 days)', '/shop/products/' || i || '/%')::leadstream.rule, 5)
    from generate_series(1, 18) i});
  $s->sql(q{call leadstream.rescore('bench', 10000)});
  $s->sql('create table kept_before as select contact_id, points, paying, next_at from leadstream.score');
  $s->sql('insert into rival_kept select contact_id, points from leadstream.score');
  $s->sql('vacuum analyze');
  $s->close;
  return;
}

sub database {
  my $db = shift;
  return $db if $made{$db};
  my $from = $db =~ /^(base|small|history)$/ ? 'template1' : database('base');
  note("making the database $db");
  my $s = Session->new('postgres');
  $s->sql("create database $db template $from strategy file_copy");
  $s->close;
  $how{$db}->();
  $made{$db} = 1;
  return $db;
}

# Triggers

# Dropped and made again, because one that is disabled still costs: rows are kept for its
# transition table, and each row asks whether it is enabled.  Ours are those that are
# there at first, whatever they are.
my %ours;
my %set_based = map { $_ => 1 } qw(expert leads three hot);
sub set_triggers {
  my ($s, $place, $who) = @_;
  my $of = "from pg_trigger where tgrelid = '$place'::regclass and not tgisinternal";
  my $ours = $ours{"$s->{db} $place"} //= [$s->sql("select pg_get_triggerdef(oid) $of")];
  my @ddl = map { "drop trigger $_ on $place" } $s->sql("select quote_ident(tgname) $of");
  push @ddl, "alter table $place drop constraint if exists rival_key";
  push @ddl, $who eq 'none' ? ()
    : $who eq 'ours' ? @$ours
    : $who eq 'key' ? "alter table $place add constraint rival_key foreign key (contact_id) references contact not valid"
    : "create trigger rival after insert on $place " . ($set_based{$who} ? 'referencing new table as arrived for each statement' : 'for each row')
      . " execute function rival_$who()";
  $s->sql(join '; ', 'begin', @ddl, 'commit');
  return;
}

# A session enables by the flag, as enable() does after its checks.
sub enable_streams {
  my ($s, $condition) = @_;
  $s->sql("update leadstream.stream set is_enabled = ($condition) where is_enabled <> ($condition)");
  $s->sql('vacuum leadstream.stream');
  return;
}

sub add_streams {
  my ($s, $query) = @_;
  $s->sql("with s as (
      insert into leadstream.stream (stream, rule) select name, rule::leadstream.rule from ($query) q (name, rule)
      returning stream_id, rule),
    v as (insert into leadstream.stream_version (stream_id, rule_version, rule) select stream_id, 1, rule from s)
    insert into leadstream.stream_team (stream_id, team_id)
    select s.stream_id, t.team_id from s, leadstream.team t");
  $s->sql('vacuum analyze leadstream.stream, leadstream.stream_version, leadstream.stream_team');
  return;
}

# Measuring

# variants: name => sub that gives a value.  Returns name => values, one a round.
sub alternate {
  my ($n, $unit, $after, %variant) = @_;
  my %value;
  for my $round (1 .. $n) {
    for my $name (shuffle sort keys %variant) {
      my $v = $variant{$name}->();
      push @{ $value{$name} }, $v;
      print $tsv join("\t", $part_name, $name, $round, $v, $unit), "\n";
    }
    $after->() if $after;
  }
  return \%value;
}

# What would take too long, so many ms, is measured on a share of the rows; 5,000 tell.
# Set-based rivals pay most of it once, and are never so slow.
my $patience = $full ? 20_000 : 2_500;
my %share;

my $columns = 'contact_id, url, utm, size, duration';

sub rows_for { my $who = shift; return $who =~ /^(none|ours)$/ ? $rows : $set_based{$who} ? $set_rows : $each_rows }

# Microseconds a row of one statement.  Whatever a session does once (reading streams,
# compiling a function) is done by a row before.
sub bulk {
  my ($s, $place, $who, %o) = @_;
  my $key = join ' ', $part_name, $who, $o{url} || '', $o{rows} || '';
  my $n = min($o{rows} || $rows, $rows);
  my $url = $o{url} || 'url';
  my $how = "insert into $place ($columns) select contact_id, $url, utm, size, duration from source where "
    . ($o{pairs} ? 'n <= 200000 and (n - 1) % 100000 * 2 < ' : 'n <= ');
  set_triggers($s, $place, $who);
  $s->sql("truncate $place") if $place eq 'bare';
  $s->sql("begin; ${how}1; rollback");
  # That row's plan is not for a million.
  $s->sql('discard plans') if $set_based{$who};
  my $measure = sub {
    $s->sql('begin');
    my $ms = $s->ms($_[0]);
    $s->sql('rollback');
    return $ms;
  };
  if (!$share{$key}) {
    my $probe = $who =~ /^(ours|if|contact|windows)$/ && $n > 20_000 ? $measure->($how . 5_000) * $n / 5_000 : 0;
    $share{$key} = min(1, $patience / max(1, $probe));
    $s->sql("vacuum $place");
  }
  $n = int $n * $share{$key} if !$o{copy};
  my $ms = $measure->($o{copy} ? copy_source($s, $place, $n) : $how . $n);
  if ($place eq 'visit') {
    $s->sql('vacuum visit, rival_lead, rival_board, rival_match, rival_event, leadstream.lead, leadstream.lead_match, leadstream.lead_event');
  }
  return $ms * 1_000 / $n;
}

# The source is the same in all databases.
my %written;
sub copy_source {
  my ($s, $place, $n) = @_;
  my $file = "$work/source.$n.txt";
  $s->sql("copy (select $columns from source where n <= $n) to '$file'") if !$written{$n}++;
  return "copy $place ($columns) from '$file'";
}

# One-row transactions by one client, both on one processor: on two the time it takes to
# wake the other would be most of what is measured.
my $cpus = do { my $n = `nproc`; chomp $n; $n };
my $pin = $cpus > 1 && -x '/usr/bin/taskset' ? $cpus - 1 : undef;

sub postmaster {
  open my $file, '<', "$work/data/postmaster.pid" or die $!;
  my $pid = <$file>;
  chomp $pid;
  return $pid;
}

# New sessions inherit it.
sub pinned {
  my ($code) = @_;
  return $code->() if !defined $pin;
  my $pid = postmaster();
  my $was = `taskset -pc $pid`;
  $was =~ s/.*: //s;
  chomp $was;
  system "taskset -pc $pin $pid >/dev/null";
  my @result = eval { $code->() };
  my $error = $@;
  system "taskset -pc $was $pid >/dev/null";
  die $error if $error;
  return @result;
}

my %folders = (one => 'random(0, 499)', kept => 'random(100, 499)', kept_changed => 'random(1, 18)');
for my $name (keys %folders) {
  open my $file, '>', "$work/$name.pgbench" or die $!;
  print $file '\set contact random(1, 100000)
\set folder ' . $folders{$name} . '
\set page random(0, 4999)
\set campaign random(0, 199)
\set size random(0, 999)
\set duration random(0, 299)
insert into visit (contact_id, url, utm, size, duration)
  values (:contact, \'/shop/products/\' || :folder || \'/page-\' || :page, \'newsletter-\' || :campaign, :size, :duration);
';
}

# [latency in µs, when it ended], one a transaction.
sub latencies {
  my @log;
  for my $name (glob "$work/pgbench.log*") {
    open my $file, '<', $name or die $!;
    while (<$file>) {
      my (undef, undef, $us, undef, $s, $rest) = split;
      push @log, [$us, $s + $rest / 1e6];
    }
    unlink $name;
  }
  return @log;
}

sub pgbench {
  my ($db, $transactions, $script) = @_;
  unlink glob "$work/pgbench.log*";
  my $taskset = defined $pin ? "taskset -c $pin" : '';
  my $said = `$taskset pgbench -n -M prepared -c 1 -t $transactions -f $work/$script.pgbench -l --log-prefix=$work/pgbench.log $db 2>&1`;
  die "pgbench: $said\n" if $?;
  # A session meets what it has to know of in the first half, and lives on in the second;
  # some transactions are interrupted by what is not ours.
  my @all = latencies();
  my @us = sort { $a <=> $b } map { $_->[0] } @all[@all / 2 .. $#all];
  my $cut = max(1, int @us / 20);
  @us = @us[0 .. $#us - $cut];
  return sum(@us) / @us;
}

# Microseconds a transaction, as the mean of the second half but for its slowest twentieth.
sub one_row {
  my ($s, $db, $who, $seconds, $script) = @_;
  set_triggers($s, 'visit', $who);
  my $us = pgbench($db, 100, $script);
  return pgbench($db, max(100, int $seconds * 1e6 / $us), $script);
}

sub one_row_rounds {
  my ($db, $s, @variants) = @_;
  my $top = $s->sql('select max(visit_id) from visit');
  my ($value) = pinned(sub {
    return alternate($rounds, 'µs',
      sub {
        $s->sql("delete from visit where visit_id > $top");
        $s->sql('vacuum visit');
        $s->sql('checkpoint');
      },
      map {
        my ($name, $who, $prepare, $script) = @$_;
        $name => sub {
          $prepare->() if $prepare;
          return one_row($s, $db, $who, $who =~ /^(none|ours)$/ ? $seconds : $seconds / 2, $script || 'one');
        }
      } @variants);
  });
  return $value;
}

# Bytes in contexts of leadstream's and those below them.
sub own_contexts {
  my $s = shift;
  my ($version) = $s->sql('show server_version_num');
  if ($version >= 180000) {
    return $s->sql(q{with c as materialized (select * from pg_backend_memory_contexts)
      select coalesce(sum(c.total_bytes), 0) from c where exists (
        select from c o where o.name ilike 'leadstream%' and o.path[o.level] = any (c.path))});
  }
  # Before 18 they come each followed by what is below it.
  my ($bytes, $inside) = (0, undef);
  for ($s->sql('select name, level, total_bytes from pg_backend_memory_contexts')) {
    my ($name, $level, $total) = split /\t/;
    undef $inside if defined $inside && $level <= $inside;
    $inside //= $level if $name =~ /^leadstream/i;
    $bytes += $total if defined $inside;
  }
  return $bytes;
}

# Parts

my @parts;
sub part { my ($name, $ids, $code) = @_; push @parts, [$name, $ids, $code]; return }

# What the plot shows: series => { streams => µs added }.
my %plot;
my @counts = sort { $a <=> $b } uniq((grep { $_ < $streams } 1, 10, 100, 1_000, 10_000), $some, $streams);

# Which line a number of streams belongs to.
sub suffix { my $k = shift; return $k == $streams ? 'all' : $k == $some ? 'some' : undef }

part bare => [qw(bulk_bare_some copy_bare_some bulk_bare_all copy_bare_all growth_streams matcher_some matcher_all
    memory_some memory_all)], sub {
  my $db = database('bare');
  my $control = Session->new($db);
  my (%ours, %bytes);
  for my $k (0, @counts) {
    enable_streams($control, "stream_id <= $k");
    my @rivals = ($k == $some ? 'key' : (), $k ? 'expert' : (), $k && $k <= 1_000 ? 'if' : ());
    $control->sql("call make_rival_expert($k)") if $k;
    $control->sql("call make_rival_if($k)") if $k && $k <= 1_000;
    my $s = Session->new($db);
    my $v = alternate($rounds, 'µs', undef, map {
      my $who = $_;
      "$who $k" => sub { bulk($s, 'bare', $who, rows => $who eq 'if' ? $few_rows : rows_for($who)) }
    } 'none', 'ours', @rivals);
    my %added = map { $_ => added($v->{"$_ $k"}, $v->{"none $k"}) } 'ours', @rivals;
    $ours{$k} = $added{ours};
    note("$k streams, added: " . join ', ', map { "$_ " . with_unit($added{$_}[0], 'µs') } sort keys %added);
    $plot{$_}{ max($k, 1) } = $added{$_}[0] for $k ? keys %added : ();
    if (!$k || suffix($k)) {
      my $fresh = Session->new($db);
      bulk($fresh, 'bare', 'ours');
      $bytes{$k} = own_contexts($fresh);
      $fresh->close;
    }
    my $which = suffix($k) or next;

    report("bulk_bare_$which", $added{ours}, map { $added{ $_->[1] } ? ($_->[0] => $added{ $_->[1] }) : () }
      ['foreign key', 'key'], ['PL/pgSQL', 'if'], ["expert's SQL", 'expert']);
    report("matcher_$which", [map { $_ - $ours{0}[0] } @{ $added{ours} }],
      'AdGear be-tree, measured elsewhere', $which eq 'some' ? '6.9 µs at 1,000' : '1,033 µs at 100,000');
    my @copied = grep { $full && /key|expert/ } @rivals;
    $v = alternate($rounds, 'µs', undef, map {
      my $who = $_;
      "copy $who $k" => sub { bulk($s, 'bare', $who, copy => 1, rows => rows_for($who)) }
    } 'none', 'ours', @copied);
    %added = map { $_ => added($v->{"copy $_ $k"}, $v->{"copy none $k"}) } 'ours', @copied;
    report("copy_bare_$which", $added{ours}, map { $added{ $_->[1] } ? ($_->[0] => $added{ $_->[1] }) : () }
      ['foreign key', 'key'], ["expert's SQL", 'expert']);
    $s->close;
  }

  # The middle one of the steps of 1,000 times, for what else ran while one of them was
  # measured may be many times what a row costs; the spread is that of the steps.
  my @steps = map { $ours{ $_ * 1_000 } ? $ours{ $_ * 1_000 }[0] / $ours{$_}[0] : () } @counts;
  @steps = ($ours{$streams}[0] / $ours{1}[0]) if !@steps;
  report(growth_streams => [median(@steps), min(@steps), max(@steps)],
    'µs added at ' . join(', ', map { grouped($_) } @counts), join ' / ', map { number($ours{$_}[0]) } @counts);
  my $a_stream = ($bytes{$some} - $bytes{0}) / $some;
  report(memory_some => [($a_stream) x 3]);
  report(memory_all => [(($bytes{$streams} - $bytes{0}) / 1e6) x 3]);
};

part memory => [qw(memory_growth memory_copy)], sub {
  my $db = database('bare');
  my $s = Session->new($db);
  enable_streams($s, "stream_id <= $some");
  bulk($s, 'bare', 'ours') for 1 .. 2;
  my $before = $s->own_kb;
  bulk($s, 'bare', 'ours') for 1 .. 10;
  my $growth = ($s->own_kb - $before) / 1024;
  report(memory_growth => [($growth) x 3]);

  # The peak is at the end of the statement, when every row's event is queued; sessions
  # without triggers say what is COPY's own.
  my $v = alternate($rounds, 'bytes a row', undef, map {
    my $who = $_;
    $who => sub {
      my $fresh = Session->new($db);
      set_triggers($fresh, 'bare', $who);
      $fresh->sql('truncate bare');
      $fresh->sql("insert into bare ($columns) select $columns from source where n = 1");
      my $copy = copy_source($fresh, 'bare', $rows);
      my $start = my $peak = $fresh->own_kb;
      $fresh->ms($copy, sub { $peak = max($peak, $fresh->own_kb) });
      $fresh->close;
      return ($peak - $start) * 1024 / $rows;
    };
  } 'none', 'ours', 'expert');
  report(memory_copy => added($v->{ours}, $v->{none}), 'transition table' => added($v->{expert}, $v->{none}));
};

part mix => [qw(bulk_none one_none bulk_some copy_some one_some bulk_all copy_all one_all)], sub {
  my $db = database('mix');
  my $control = Session->new($db);
  for my $k (0, $some, $streams == $some ? () : $streams) {
    enable_streams($control, "stream_id <= $k");
    # Rivals do not depend on our streams: those with fewer are measured beside 1,000.
    my @rivals = !$k ? () : $k == $streams ? ("expert $k")
      : ('key', $full ? (map { ("if $_", "expert $_") } 10, 100) : (), 'if 1', "if $k", "expert $k");
    my %who = (none => 'none', ours => 'ours', map { $_ => (split)[0] } @rivals);
    my $prepare = sub { $control->sql("call make_rival_$1($2)") if $_[0] =~ /^(if|expert) (\d+)/ };

    my $s = Session->new($db);
    bulk($s, 'visit', 'none') if !$k;
    my $v = alternate($rounds, 'µs', sub { $control->sql('checkpoint') }, map {
      my $name = $_;
      my $n = $name =~ /^if (\d+)/ && $1 >= 100 ? $few_rows : rows_for($who{$name});
      (
        "$name $k" => sub { $prepare->($name); bulk($s, 'visit', $who{$name}, rows => $n) },
        !$k || $name =~ /^if/ || $name =~ /^expert/ && !($full && $name eq "expert $k") ? () : ("copy $name $k" => sub { $prepare->($name); bulk($s, 'visit', $who{$name}, copy => 1, rows => $n) }))
    } sort keys %who);
    $s->close;
    my $rivals = sub {
      my ($values, $prefix) = @_;
      return map {
        my $name = $_;
        my ($kind, $count) = split ' ', $name;
        my $said = $kind eq 'key' ? 'foreign key' : ($kind eq 'if' ? 'PL/pgSQL at ' : "expert's SQL at ") . grouped($count);
        my $with = $values->{ "$prefix$name" . ($prefix =~ /one/ ? '' : " $k") };
        $with ? ($said => ratio($with, $values->{ $prefix . 'none' . ($prefix =~ /one/ ? '' : " $k") })) : ()
      } sort {
        ($b eq 'key') <=> ($a eq 'key') || $who{$b} cmp $who{$a} || (split ' ', $a)[1] <=> (split ' ', $b)[1]
      } @rivals;
    };
    my $which = suffix($k) || 'none';
    report("bulk_$which", ratio($v->{"ours $k"}, $v->{"none $k"}), $rivals->($v, ''));
    report("copy_$which", ratio($v->{"copy ours $k"}, $v->{"copy none $k"}), $rivals->($v, 'copy ')) if $k;

    $v = one_row_rounds($db, $control, map { my $name = $_; [$name, $who{$name}, sub { $prepare->($name) }] } sort keys %who);
    $v = { map { ("one $_" => $v->{$_}) } keys %$v };
    report("one_$which", ratio($v->{'one ours'}, $v->{'one none'}), $rivals->($v, 'one '));
  }
};

# With the streams of mix, all enabled.
part many => [qw(first_insert enable_one enable_writers enable_idle)], sub {
  my $db = database('mix');
  my $control = Session->new($db);
  enable_streams($control, 'true');
  set_triggers($control, 'visit', 'ours');
  my $other = Session->new('base');
  set_triggers($other, 'visit', 'ours');
  $other->close;
  # By its values: to find a row among as many as a statement brings is not part of what one row costs.
  my ($values) = $control->sql("select format('%L, %L, %L, %L, %L', contact_id, url, utm, size, duration) from source where n = 1");
  my $row = "insert into visit ($columns) values ($values)";

  # Two connections each round; if a first insert takes seconds, a few will do.
  my $first = sub {
    my $s = Session->new($_[0]);
    my $ms = $s->ms($row);
    $s->close;
    return $ms;
  };
  my $slow = $first->($db);
  my $v = alternate($slow > 1_000 ? 3 : 11, 'ms', undef, streams => sub { $first->($db) }, none => sub { $first->('base') });
  report(first_insert => added($v->{streams}, $v->{none}), 'a first insert with none', figure(@{ $v->{none} }));

  # Enabled and disabled elsewhere, each seen by the insert that follows.
  my $s = Session->new($db);
  $s->ms($row) for 1 .. 20;
  $v = alternate($slow > 1_000 ? 3 : 11, 'ms', undef, change => sub {
    my $name = 'mix ' . (1 + int rand $streams);
    $control->sql("select leadstream.disable('$name')");
    my $disabled = $s->ms($row);
    $s->ms($row) for 1 .. 3;
    my $usual = median(map { $s->ms($row) } 1 .. 5);
    $control->sql("select leadstream.enable('$name')");
    my $enabled = $s->ms($row);
    return max($disabled, $enabled) - $usual;
  });
  report(enable_one => figure(@{ $v->{change} }));

  # Eight writers that each keep a copy of all streams must not use up the memory.
  my $writing = min($streams, int $streams * available_kb() / 4 / 8 / $s->own_kb);
  enable_streams($control, "stream_id <= $writing") if $writing < $streams;

  # Writers in the thick of it; what a session does once is over when counting begins.
  my $warm = 0.5 + 8 * $slow * $writing / $streams / 1_000 / $cpus;
  my $run = max(2, $seconds);
  my %worst;
  my $writers = sub {
    my $toggle = shift;
    unlink glob "$work/pgbench.log*";
    my $length = POSIX::ceil($warm + $run);
    my $pid = fork // die $!;
    if (!$pid) {
      open STDOUT, '>', "$work/pgbench.out" or POSIX::_exit(1);
      open STDERR, '>&', \*STDOUT;
      exec 'pgbench', '-n', '-M', 'prepared', '-c', 8, '-j', min(8, $cpus), '-T', $length,
        '-f', "$work/one.pgbench", '-l', "--log-prefix=$work/pgbench.log", $db or POSIX::_exit(1);
    }
    my ($start, $on) = (time, 1);
    while (!waitpid $pid, WNOHANG) {
      if ($toggle) { $on = !$on; $control->sql('select leadstream.' . ($on ? 'enable' : 'disable') . q{('mix 1')}) }
      sleep 0.05;
    }
    die 'pgbench: ' . `cat $work/pgbench.out` . "\n" if $?;
    $control->sql(q{select leadstream.enable('mix 1')}) if !$on;
    my @ms = sort { $a <=> $b } map { $_->[1] >= $start + $warm ? $_->[0] / 1_000 : () } latencies();
    die "no insert in $run s\n" if !@ms;
    $worst{$toggle} = max($worst{$toggle} // 0, $ms[-1]);
    return $ms[$#ms * 0.99];
  };
  my $top = $control->sql('select max(visit_id) from visit');
  $v = alternate($full ? 5 : 2, 'ms', undef, map { my $t = $_; ($t ? 'toggled' : 'left alone') => sub { $writers->($t) } } 0, 1);
  report(enable_writers => figure(@{ $v->{toggled} }), $writing < $streams ? ('streams, for want of memory', grouped($writing)) : (),
    'longest of all', with_unit($worst{1}, 'ms'),
    'p99 with nobody enabling', figure(@{ $v->{'left alone'} }), 'longest then', with_unit($worst{0}, 'ms'));

  $s->sql("begin; $row");
  $v = alternate(5, 'ms', undef, enable => sub {
    $control->sql(q{select leadstream.disable('mix 2')});
    return $control->ms(q{select leadstream.enable('mix 2')});
  });
  $s->sql('rollback');
  report(enable_idle => figure(@{ $v->{enable} }));
  $control->sql("delete from visit where visit_id > $top");
  $control->sql('vacuum visit');
};

part history_size => ['growth_history'], sub {
  my %added;
  for my $db ('small', 'mix') {
    my $control = Session->new(database($db));
    enable_streams($control, "stream_id <= $some");
    my $s = Session->new($db);
    my $v = alternate($rounds, 'µs', undef, map { my $who = $_; "$who $db" => sub { bulk($s, 'visit', $who, rows => $pair_rows) } } 'none', 'ours');
    $added{$db} = added($v->{"ours $db"}, $v->{"none $db"});
    $_->close for $control, $s;
  }
  report(growth_history => [$added{mix}[0] - $added{small}[0], $added{mix}[1] - $added{small}[2], $added{mix}[2] - $added{small}[1]],
    'added over ' . grouped($below / 10) . ' visits', $added{small}, 'over ' . grouped($below), $added{mix});
};

# Streams of each line's own; the names that rivals have in rivals.sql.
sub own_streams {
  my ($db, $query, $enabled) = @_;
  my $s = Session->new(database($db));
  enable_streams($s, 'false');
  add_streams($s, $query) if !$s->sql("select 1 from leadstream.stream join ($query) q (name, rule) on q.name = stream limit 1");
  enable_streams($s, $enabled || "stream in (select name from ($query) q (name, rule))");
  return $s;
}

part contact => [qw(contact_bulk contact_one)], sub {
  # No contact is of these countries, and what it is of is not in the row.
  my $control = own_streams('lines', "select 'contact ' || i, format('country = %L and exists(visit)', 'X' || i)
    from generate_series(1, $some) i");
  $control->sql("call make_rival_contact($some)");
  my $s = Session->new('lines');
  my $v = alternate($rounds, 'µs', undef, map {
    my $who = $_;
    $who => sub { bulk($s, 'visit', $who, rows => $who eq 'contact' ? $few_rows : min($line_rows, rows_for($who))) }
  } 'none', 'ours', 'contact', 'key');
  $s->close;
  report(contact_bulk => ratio($v->{ours}, $v->{none}), 'foreign key', ratio($v->{key}, $v->{none}),
    'PL/pgSQL', ratio($v->{contact}, $v->{none}));
  $v = one_row_rounds('lines', $control, map { [$_, $_] } 'none', 'ours', 'contact', 'key');
  report(contact_one => ratio($v->{ours}, $v->{none}), 'foreign key', ratio($v->{key}, $v->{none}),
    'PL/pgSQL', ratio($v->{contact}, $v->{none}));
};

part window => [qw(window_bulk window_one window_ten)], sub {
  # 20 visits a contact in a year at most and two now: never 50 in 30 days, nor 51 in 29 …
  my $windows = q{select 'window ' || w, format('count(visit within %s days) >= %s', 31 - w, 50 + w)
    from generate_series(1, 10) w};
  my %us;
  for my $n (1, 10) {
    my $control = own_streams('lines', $windows, $n == 1 ? "stream = 'window 1'" : "stream like 'window %'");
    $control->sql("call make_rival_windows($n)");
    my $s = Session->new('lines');
    my $v = alternate($rounds, 'µs', undef, map {
      my $who = $_;
      "$who $n" => sub { bulk($s, 'visit', $who, rows => $who eq 'windows' ? $few_pairs : $pair_rows, pairs => 1) }
    } 'none', 'ours', 'windows');
    $s->close;
    %us = (%us, %$v);
    next if $n == 10;
    report(window_bulk => ratio($v->{'ours 1'}, $v->{'none 1'}), 'PL/pgSQL, no lock', ratio($v->{'windows 1'}, $v->{'none 1'}));
    $v = one_row_rounds('lines', $control, map { [$_, $_] } 'none', 'ours', 'windows');
    report(window_one => ratio($v->{ours}, $v->{none}), 'PL/pgSQL, no lock', ratio($v->{windows}, $v->{none}));
  }
  # Both against their own baseline, so that the two runs compare.
  my $each = by_round(sub { $_[0] / $_[1] }, [map { $us{'ours 10'}[$_] / $us{'none 10'}[$_] } 0 .. $rounds - 1],
    [map { $us{'ours 1'}[$_] / $us{'none 1'}[$_] } 0 .. $rounds - 1]);
  my $rival = median(@{ $us{'windows 10'} }) / median(@{ $us{'windows 1'} });
  report(window_ten => $each, 'PL/pgSQL', with_unit($rival, '×'),
    'ours against no triggers', ratio($us{'ours 10'}, $us{'none 10'}), "PL/pgSQL's", ratio($us{'windows 10'}, $us{'none 10'}));
};

part score => [qw(score_bulk score_one)], sub {
  my $control = own_streams('scores', q{select 'score', 'score(''bench'') >= 100'});
  my $s = Session->new('scores');
  my $v = alternate($rounds, 'µs', undef, map {
    my $who = $_;
    $who => sub { bulk($s, 'visit', $who, rows => $who eq 'score' ? $few_rows : min($line_rows, rows_for($who))) }
  } 'none', 'ours', 'score', 'key');
  my $again = median(map { $s->ms('select count(*) from rival_scores where points >= 100') } 1 .. 3);
  $s->close;
  report(score_bulk => ratio($v->{ours}, $v->{none}), 'foreign key', ratio($v->{key}, $v->{none}),
    'PL/pgSQL, no lock', ratio($v->{score}, $v->{none}), 'all computed anew by SQL', with_unit($again, 'ms'));
  $v = one_row_rounds('scores', $control, map { [$_, $_] } 'none', 'ours', 'score', 'key');
  report(score_one => ratio($v->{ours}, $v->{none}), 'foreign key', ratio($v->{key}, $v->{none}),
    'PL/pgSQL, no lock', ratio($v->{score}, $v->{none}));
};

part kept => [qw(kept_bulk kept_one kept_changed_bulk kept_changed_one kept_read)], sub {
  my $control = Session->new(database('scores'));
  enable_streams($control, 'false');
  my $restore = sub {
    $control->sql('update leadstream.score s set (points, paying, next_at) = (k.points, k.paying, k.next_at)
      from kept_before k where k.contact_id = s.contact_id and k.paying <> s.paying');
    $control->sql('update rival_kept r set points = k.points from kept_before k where k.contact_id = r.contact_id and k.points <> r.points');
    $control->sql('vacuum leadstream.score, rival_kept');
  };
  # Of these folders no rule speaks; of those a contact has at most a few.
  my %line = (kept => ["'/shop/products/' || 100 + n % 400 || '/page'", 'kept'],
    kept_changed => ["'/shop/products/' || 1 + n % 18 || '/page'", 'kept_changed']);
  for my $id ('kept', 'kept_changed') {
    my ($url, $script) = @{ $line{$id} };
    my $s = Session->new('scores');
    my $v = alternate($rounds, 'µs', sub { $control->sql('vacuum leadstream.score, rival_kept') }, map {
      my $who = $_;
      "$id $who" => sub { bulk($s, 'visit', $who, url => $url, rows => $who eq 'keep' ? $few_rows : $line_rows) }
    } 'none', 'ours', 'keep');
    my $again = median(map { $s->ms('select count(*), sum(points) from rival_scores') } 1 .. 3);
    $s->close;
    report("${id}_bulk" => ratio($v->{"$id ours"}, $v->{"$id none"}), 'PL/pgSQL that keeps a column, no lock, no expiry',
      ratio($v->{"$id keep"}, $v->{"$id none"}), 'all computed anew by SQL', with_unit($again, 'ms'));
    $v = one_row_rounds('scores', $control, map { [$_, $_, $restore, $script] } 'none', 'ours', 'keep');
    report("${id}_one" => ratio($v->{ours}, $v->{none}), 'PL/pgSQL that keeps a column, no lock, no expiry', ratio($v->{keep}, $v->{none}));
  }
  $restore->();
  my $v = alternate($rounds, 'ms', undef,
    ours => sub { $control->ms(q{select * from leadstream.scores where score_set = 'bench' order by points desc limit 50}) },
    total => sub { $control->ms('select * from leadstream.scores order by total desc limit 50') },
    anew => sub { $control->ms('select * from rival_scores order by points desc limit 50') });
  report(kept_read => figure(@{ $v->{ours} }), 'by the total of all sets', figure(@{ $v->{total} }), 'computed anew by SQL', figure(@{ $v->{anew} }));
};

part lead => [qw(lead_some lead_all)], sub {
  my $control = own_streams('lines', q{select 'lead', 'exists(visit where url = ''/lead'')'});
  # One row in a hundred, and in each hundred thousand another: different contacts.
  my %source = (
    lead_some => [$line_rows, "case when n % 100 = n / 100000 then '/lead' else url end"],
    lead_all => [min($line_rows, 100_000), "'/lead'"]);
  my $s = Session->new('lines');
  for my $id ('lead_some', 'lead_all') {
    my ($n, $url) = @{ $source{$id} };
    my $v = alternate($rounds, 'µs', undef, map {
      my $who = $_;
      "$id $who" => sub { bulk($s, 'visit', $who, rows => min($n, rows_for($who)), url => $url) }
    } 'none', 'ours', 'lead', 'leads', 'three');
    my $with = sub { ratio($v->{"$id $_[0]"}, $v->{"$id none"}) };
    report($id => $with->('ours'), 'PL/pgSQL a row', $with->('lead'), 'PL/pgSQL a statement', $with->('leads'),
      'the same into three tables', $with->('three'));
  }
};

part hot => ['hot'], sub {
  # The row's conditions are those of all of them; the contact's, of none there is.
  my $n = min(10_000, $streams);
  my $control = own_streams('lines', "select 'hot ' || i,
    format('exists(visit where url = ''/hot'') and company = %L', 'Competitor ' || i) from generate_series(1, $n) i");
  $control->sql("truncate rival_hot; insert into rival_hot select '/hot', 'Competitor ' || i, i from generate_series(1, $n) i");
  $control->sql('analyze rival_hot');
  my $s = Session->new('lines');
  my $v = alternate($rounds, 'µs', undef, map {
    my $who = $_;
    $who => sub { bulk($s, 'visit', $who, rows => min($line_rows, rows_for($who)), url => "case when n % 100 = 1 then '/hot' else url end") }
  } 'none', 'ours', 'hot');
  report(hot => ratio($v->{ours}, $v->{none}), "expert's SQL", ratio($v->{hot}, $v->{none}));
};

part history => [qw(history_equal history_scan history_count history_many)], sub {
  my $db = database('history');
  my $s = own_streams($db, q{values
    ('equal', 'country = ''C7'' and exists(visit where url = ''/shop/products/7/page-7'' and size >= 500)'),
    ('scan', 'country in (''C7'', ''C8'') and exists(visit where size >= 990 and duration >= 295)'),
    ('count', 'count(visit within 30 days) >= 3')});
  my %best = (
    equal => q{select contact_id, 1, min(occurred_at) from visit join contact using (contact_id)
      where url = '/shop/products/7/page-7' and visit.size >= 500 and country = 'C7' group by contact_id},
    scan => q{select contact_id, 1, min(occurred_at) from visit join contact using (contact_id)
      where visit.size >= 990 and duration >= 295 and country in ('C7', 'C8') group by contact_id},
    # The third visit of three is the one whose second before is near; by the index alone.
    count => q{select contact_id, 1, min(occurred_at) from (
        select contact_id, occurred_at, lag(occurred_at, 2) over (partition by contact_id order by occurred_at) as before
        from visit) v
      where occurred_at < before + interval '30 days' group by contact_id});
  my $undone = sub {
    my $statement = shift;
    $s->sql('begin');
    my $ms = $s->ms($statement);
    $s->sql('rollback');
    $s->sql('vacuum rival_lead, leadstream.lead, leadstream.lead_match, leadstream.lead_event');
    return $ms;
  };
  my $against = sub {
    my ($id, $n, $ours, $theirs) = @_;
    $theirs = "insert into rival_lead $theirs on conflict do nothing";
    my $leads = sub { my $sql = shift; $s->sql('begin'); my $n = $s->sql($sql); $s->sql('rollback'); return $n };
    my $found = $leads->($ours);
    my $wanted = $leads->("with i as ($theirs returning 1) select count(*) from i");
    # Of 1,000 streams a contact has one lead and a match for each.
    die "$found leads, not $wanted\n" if $id ne 'history_many' && $found != $wanted;
    my $v = alternate($n, 'ms', undef, "$id ours" => sub { $undone->($ours) }, "$id best" => sub { $undone->($theirs) });
    report($id => ratio($v->{"$id ours"}, $v->{"$id best"}),
      'leads', grouped($found), 'ours', with_unit(median(@{ $v->{"$id ours"} }), 'ms'),
      'best hand-written SQL', with_unit(median(@{ $v->{"$id best"} }), 'ms'));
  };
  # Which plan is the best one depends on what is cached: each has run once before.
  $against->("history_$_", $rounds, "select leadstream.fetch_history('$_')", $best{$_}) for qw(equal scan count);

  my $many = "select 'many ' || i, format('country = %L and exists(visit where url = %L and size >= %s)',
      'C' || i % 200, '/shop/products/' || i * 3 % 500 || '/page-' || i * 3 % 5000, i % 100)
    from generate_series(1, $some) i";
  own_streams($db, $many)->close;
  $s->sql("create table many as select i as stream, 'C' || i % 200 as country,
      '/shop/products/' || i * 3 % 500 || '/page-' || i * 3 % 5000 as url, i % 100 as size from generate_series(1, $some) i");
  $s->sql('analyze many');
  $against->('history_many', $full ? 3 : 2,
    q{select leadstream.fetch_history(array(select stream from leadstream.stream where stream like 'many %'))},
    q{select contact_id, stream, min(occurred_at) from many m join visit v on v.url = m.url and v.size >= m.size
      join contact c using (contact_id) where c.country = m.country group by 1, 2});
};

part clock => ['clock_waiting'], sub {
  my %tick = map { $_ => Session->new(database($_)) } 'clock', 'due';
  my $undone = sub {
    my $s = shift;
    $s->sql('begin');
    my $ms = $s->ms('select leadstream.tick()');
    $s->sql('rollback');
    $s->sql('vacuum leadstream.lead, leadstream.lead_match, leadstream.lead_event');
    return $ms;
  };
  for my $s (values %tick) {
    $s->sql('begin');
    my $leads = $s->sql('select leadstream.tick()');
    $s->sql('rollback');
    die "$leads leads, not 1000\n" if $leads != 1000;
    $undone->($s) for 1 .. 3;
  }
  my $v = alternate($rounds + 2, 'ms', undef, map { my $db = $_; $db => sub { $undone->($tick{$db}) } } keys %tick);
  report(clock_waiting => ratio($v->{clock}, $v->{due}), 'ours', with_unit(median(@{ $v->{clock} }), 'ms'),
    '1,000 alone', with_unit(median(@{ $v->{due} }), 'ms'));
};

# The plot: log against log, made of nothing but text.

sub plot {
  my ($width, $height, $left, $top, $right, $bottom) = (820, 440, 72, 52, 236, 56);
  my @series = (
    ['ours', 'leadstream', '#0b6bcb', 3.5],
    ['key', 'one foreign key', '#6b7280', 2],
    ['if', 'PL/pgSQL, an IF a stream', '#c2410c', 2],
    ['expert', "expert's set-based SQL", '#15803d', 2]);
  my $us = $plot{ours} or return;
  # What it costs does not depend on streams.
  if (my ($key) = values %{ $plot{key} || {} }) { $plot{key} = { map { $_ => $key } keys %$us } }
  my @all = grep { $_ > 0 } map { values %{ $plot{ $_->[0] } || {} } } @series;
  my $log = sub { log($_[0]) / log(10) };
  my ($low, $high) = (POSIX::floor($log->(min(@all))), POSIX::ceil($log->(max(@all))));
  my $decades = max(1, POSIX::ceil($log->(max(keys %$us))));
  my ($w, $h) = ($width - $left - $right, $height - $top - $bottom);
  my $x = sub { $left + $w * $log->($_[0]) / $decades };
  my $y = sub { $top + $h * ($high - $log->(max($_[0], 10**$low))) / ($high - $low) };

  my $svg = qq{<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height" }
    . qq{font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="#1f2937">\n}
    . qq{<rect width="$width" height="$height" rx="6" fill="#ffffff"/>\n}
    . qq{<text x="$left" y="24" font-size="16" font-weight="600">What a row costs that matches nothing</text>\n}
    . qq{<text x="$left" y="42" fill="#6b7280">microseconds added to each of }
    . grouped($rows) . qq{ rows of one INSERT … SELECT, table without indexes</text>\n};
  for my $d ($low .. $high) {
    my $at = sprintf '%.1f', $y->(10**$d);
    $svg .= sprintf qq{<line x1="%d" y1="%s" x2="%d" y2="%s" stroke="#e5e7eb"/>\n}, $left, $at, $left + $w, $at;
    $svg .= sprintf qq{<text x="%d" y="%.1f" text-anchor="end">%s µs</text>\n}, $left - 8, $at + 4.5, $d < 0 ? 10**$d : grouped(10**$d);
  }
  for my $d (0 .. $decades) {
    my $at = sprintf '%.1f', $x->(10**$d);
    $svg .= sprintf qq{<line x1="%s" y1="%d" x2="%s" y2="%d" stroke="#e5e7eb"/>\n}, $at, $top, $at, $top + $h;
    $svg .= sprintf qq{<text x="%s" y="%d" text-anchor="middle">%s</text>\n}, $at, $top + $h + 20, grouped(10**$d);
  }
  $svg .= sprintf qq{<text x="%.1f" y="%d" text-anchor="middle">enabled streams</text>\n}, $left + $w / 2, $height - 14;

  # Names stand behind the last point of each line, a line apart where they would touch.
  my @names;
  for my $series (@series) {
    my ($key, $name, $colour, $thick) = @$series;
    my $points = $plot{$key} or next;
    my @at = sort { $a <=> $b } keys %$points or next;
    my @xy = map { sprintf '%.1f,%.1f', $x->($_), $y->($points->{$_}) } @at;
    $svg .= sprintf qq{<polyline points="%s" fill="none" stroke="%s" stroke-width="%s" stroke-linejoin="round"%s/>\n},
      "@xy", $colour, $thick, $key eq 'key' ? ' stroke-dasharray="6 4"' : '';
    if ($key ne 'key') {
      $svg .= join '', map { my ($px, $py) = split /,/; qq{<circle cx="$px" cy="$py" r="4" fill="$colour"/>\n} } @xy;
    }
    my $last = $points->{ $at[-1] };
    push @names, [$x->($at[-1]) + 10, $y->($last) + 4.5, "$name, " . with_unit($last, 'µs'), $colour, $key];
  }
  my $above;
  for my $n (sort { $a->[1] <=> $b->[1] } @names) {
    $n->[1] = $above + 17 if defined $above && $n->[0] > $left + $w && $n->[1] < $above + 17;
    $above = $n->[1] if $n->[0] > $left + $w;
    $svg .= sprintf qq{<text x="%.1f" y="%.1f" fill="%s"%s>%s</text>\n}, @$n[0, 1, 3], $n->[4] eq 'ours' ? ' font-weight="600"' : '', $n->[2];
  }
  $svg .= "</svg>\n";
  open my $file, '>:utf8', "$work/out/cost_per_row.svg" or die $!;
  print $file $svg;
  close $file;
  return;
}

sub table {
  my @head = ('line', 'bar', 'measured', '', 'rivals');
  my @body = map {
    my $l = $line{ $_->[0] };
    $l->{figure} || $l->{failed}
      ? [$l->{what}, '≤ ' . with_unit($l->{bar}, $l->{unit}) =~ s/\.00(?=\D)//r, measured($l), $l->{failed} ? 'FAILED' : $l->{holds}, $l->{failed} || $l->{rivals} || '']
      : ()
  } @lines;
  my @width = map { my $c = $_; max(map { length $_->[$c] } \@head, @body) } 0 .. 3;
  my $text = '';
  for my $r (\@head, [map { '-' x $_ } @width, 6], @body) {
    my $said = join '  ', (map { $r->[$_] . ' ' x ($width[$_] - length $r->[$_]) } 0 .. 3), $r->[4];
    $text .= $said =~ s/ +$//r . "\n";
  }
  return $text;
}

sub write_results {
  open my $file, '>:utf8', "$work/out/table.txt" or die $!;
  print $file table();
  close $file;
  open $file, '>:utf8', "$work/out/results.tsv" or die $!;
  print $file join("\t", qw(id line unit bar measured least greatest verdict rivals)), "\n";
  for (@lines) {
    my ($id, $l) = ($_->[0], $line{ $_->[0] });
    print $file join("\t", $id, @$l{qw(what unit bar)}, $l->{figure} ? @{ $l->{figure} } : ('') x 3,
      $l->{failed} ? 'failed' : $l->{holds} // '', $l->{failed} // $l->{rivals} // ''), "\n";
  }
  close $file;
  plot();
  return;
}

my $wanted = $ENV{BENCH_ONLY} || '.';
note(join ', ', grouped($rows) . ' rows a statement', grouped($below) . ' visits below', "$s_all streams",
  grouped($activities) . ' activities of history', "$rounds rounds", "$cpus processors");
if (open my $load, '<', '/proc/loadavg') {
  my ($busy) = split ' ', <$load>;
  note("the machine is busy, load $busy: figures will scatter") if $busy > 0.5 + $cpus / 8;
}
for my $p (@parts) {
  my ($name, $ids, $code) = @$p;
  next if !grep { /$wanted/ } $name, @$ids;
  $part_name = $name;
  my $start = time;
  eval { $code->(); 1 } or do {
    my $error = $@ =~ s/\s+\z//r;
    $error =~ s/\s*\n.*//s;
    note("$name failed: $error");
    $line{$_}{failed} = $error for grep { !$line{$_}{figure} } @$ids;
  };
  Session->close_all;
  note(sprintf '%s took %.0f s', $name, time - $start);
  # Whatever ends the run, what was measured until then is there to be read.
  write_results();
}
close $tsv;

my $held = grep { ($_->{holds} || '') eq 'holds' } values %line;
my $known = grep { $_->{figure} || $_->{failed} } values %line;
print "\n", table(), "\n";
note("$held of $known lines hold");
exit((grep { $_->{failed} } values %line) ? 1 : 0);
