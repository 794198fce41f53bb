# Tables, columns and partitions are altered while others write: nobody's statement
# fails for it, and the leads are those of the rows, without fetch_history.
#
# Sessions insert, copy and update without a pause, in all isolation levels.  One
# does in random order what can be done to the tables: columns, tables and schemas
# get other names and back, columns other types, tables indexes, constraints,
# triggers, children and partitions, they are rewritten, and each of it may be
# rolled back.  A statement that does not find its own table or column under the
# name it had fails, as it would without us; no other does.
#
# LS_ALTER_SECONDS: how long, 15 if not said; LS_ALTER_SEED: the same order again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Worker;

my $seconds = $ENV{LS_ALTER_SECONDS} || 15;
my $seed = $ENV{LS_ALTER_SEED} || int(rand(1_000_000));
my $ncontacts = 200;
srand($seed);
note("LS_ALTER_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('alter');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
	deadlock_timeout = 50ms
	log_line_prefix = '%m|%p|%a|%e|'
	log_error_verbosity = default
	log_statement = none
	log_min_messages = warning
	client_min_messages = warning
});
$node->start;
make_world($node);
enable_streams($node);
$node->safe_psql(
	'postgres', qq{
	create schema aside;
	create function nothing() returns trigger language plpgsql as 'begin return new; end';
	insert into contact (id) select i from generate_series(1, $ncontacts) i;
});


# --------------------------------------------------------------------------
# Who writes
# --------------------------------------------------------------------------

my $dir = $node->basedir;
my $url = q{(array['/pricing', '/', '/blog', '/about'])[1 + :u::int]};

append_to_file("$dir/form.copy", join('', map { "$_\tdemo\n" } grep { $_ % 11 == 0 } 1 .. $ncontacts));

# %s is how the transaction begins.
my $write = qq{
\\set c random(1, $ncontacts)
\\set d random(1, $ncontacts)
\\set u random(0, 3)
\\set r random(1, 100)
%s;
\\if :r <= 30
insert into visit (contact_id, url) values (:c, $url);
\\elif :r <= 45
insert into visit (contact_id, url) select i, $url from generate_series(least(:c::int, :d::int), least(:c::int, :d::int) + 5) i where i <= $ncontacts;
\\elif :r <= 60
insert into form (contact_id, name) values (:c, 'demo'), (:d, 'other');
\\elif :r <= 75
insert into mail (contact_id, what) values (:c, 'open'), (:d, 'sent');
\\elif :r <= 80
insert into mail_open (contact_id, what) values (:d, 'open');
\\elif :r <= 90
update contact set country = 'SE' where id = :c;
\\elif :r <= 95
update contact set score = score + :u::int * 5 where id = :c;
\\else
copy form (contact_id, name) from '$dir/form.copy';
\\endif
commit;
};
my %scripts = (
	read_committed => sprintf($write, 'begin'),
	repeatable_read => sprintf($write, 'begin isolation level repeatable read'),
	serializable => sprintf($write, 'begin isolation level serializable'));
my @writers = sort keys %scripts;
my $stop_file = "$dir/stop";
my @running;

foreach my $name (@writers)
{
	append_to_file("$dir/$name.script", $scripts{$name});
	push @running, leave_running($node, $dir, $name,
		'-T 3 --max-tries=100 -M ' . ($name eq 'repeatable_read' ? 'simple' : 'prepared'), $stop_file);
}


# --------------------------------------------------------------------------
# What is done to the tables
# --------------------------------------------------------------------------

# There and back; where there is no way back it is one that may be gone again and again.
my @ways = (
	[ 'alter table visit rename url to path', 'alter table visit rename path to url' ],
	[ 'alter table form rename name to title', 'alter table form rename title to name' ],
	[ 'alter table contact rename country to land', 'alter table contact rename land to country' ],
	[ 'alter table visit rename contact_id to who', 'alter table visit rename who to contact_id' ],
	[ 'alter table form rename at to moment', 'alter table form rename moment to at' ],
	[ 'alter table contact rename id to contact_no', 'alter table contact rename contact_no to id' ],
	[ 'alter table visit rename to page_view', 'alter table page_view rename to visit' ],
	[ 'alter table contact rename to person', 'alter table person rename to contact' ],
	[ 'alter table form set schema aside', 'alter table aside.form set schema public' ],
	[ 'alter table visit alter amount type bigint', 'alter table visit alter amount type integer' ],
	[ 'alter table contact alter score type numeric', 'alter table contact alter score type integer' ],
	[ 'alter table contact alter country type varchar(10)', 'alter table contact alter country type text' ],
	[ 'alter table form alter name type varchar(40)', 'alter table form alter name type text' ],
	[ 'alter table visit add more text', 'alter table visit drop more' ],
	[ "alter table contact add more text default 'x'", 'alter table contact drop more' ],
	[ "create table mail_new partition of mail for values in ('new')", 'drop table mail_new' ],
	[ 'alter table mail detach partition mail_rest', 'alter table mail attach partition mail_rest default' ],
	[ 'create table visit_old () inherits (visit)', 'drop table visit_old' ],
	[ 'create index more_idx on visit (url, contact_id)', 'drop index more_idx' ],
	[ 'drop index form_contact_id_at_idx', 'create index form_contact_id_at_idx on form (contact_id, at)' ],
	[ "alter table visit add constraint more check (url <> '')", 'alter table visit drop constraint more' ],
	[ 'create trigger a_nothing before insert or update on form for each row execute function nothing()', 'drop trigger a_nothing on form' ],
	[ 'create trigger z_nothing before insert or update on contact for each row execute function nothing()', 'drop trigger z_nothing on contact' ],
	[ 'create view visit_view as select * from visit', 'drop view visit_view' ],
	[ 'vacuum full form' ],
	[ 'cluster contact using contact_pkey' ],
	[ 'reindex table visit' ],
	[ 'analyze contact, visit, form' ],
	[ q{select leadstream.alter_stream('pricing', description => 'again')} ],
	[ 'select leadstream.index_streams()' ]);
my @is_there = (0) x @ways;
my ($ndone, $nundone, $nfailed) = (0, 0, 0);

# Some ways are not open while others have been gone; that is an error, and no matter.
sub go
{
	my ($i, $may_undo) = @_;
	my $sql = $ways[$i][ $is_there[$i] ];
	my $is_undone = $may_undo && $sql !~ /^(vacuum|cluster|reindex)/ && rand() < 0.15;

	$sql = "begin; $sql; rollback" if $is_undone;
	my ($rc, $out, $err) = $node->psql('postgres', "set lock_timeout = '2s'; $sql", on_error_stop => 1);
	if ($rc != 0) { $nfailed++; return 0 }
	if ($is_undone) { $nundone++; return 1 }
	$is_there[$i] = 1 - $is_there[$i] if @{ $ways[$i] } > 1;
	$ndone++;
	return 1;
}

my $end = time + $seconds;
while (time < $end)
{
	my $i = int(rand(@ways));
	go($i, 1);
	sleep(rand() * 0.05);
	# not for long mostly, for meanwhile much of what is written finds no table
	go($i, 0) if $is_there[$i] && rand() < 0.8;
}
# back home, in whatever order is possible
foreach my $try (1 .. 20)
{
	my @open = grep { $is_there[$_] } 0 .. $#ways;
	last if !@open;
	go($_, 0) foreach @open;
}
is(join("\n", map { $ways[$_][0] } grep { $is_there[$_] } 0 .. $#ways), '', 'all is as it was');
append_to_file($stop_file, 'stop');
waitpid($_, 0) foreach @running;


# --------------------------------------------------------------------------
# The reckoning
# --------------------------------------------------------------------------

cmp_ok($ndone, '>', $seconds, "much was altered");
note("$ndone altered, $nundone altered and rolled back, $nfailed refused");
is($node->safe_psql('postgres', q{select string_agg(stream || ': ' || problem, ', ') from leadstream.streams where problem is not null}),
	'', 'no stream is broken');
is($node->safe_psql('postgres', mismatches($_)), '', "missing, doubled, extra: $_") foreach sort keys %LeadWorld::streams;
is($node->safe_psql('postgres', "select string_agg(s.stream, ', ') from leadstream.stream s where exists (select from leadstream.verify(s.stream))"),
	'', 'verify finds nothing');
is($node->safe_psql('postgres', disorder()), '', 'the lead tables are in order');
cmp_ok($node->safe_psql('postgres', "select least(count(*) filter (where stream = 'pricing'), count(*) filter (where stream = 'openers'), count(*) filter (where stream = 'swedish')) from leadstream.matches"),
	'>', 5, 'there are leads');

# What a writer may meet: its own table or column under another name, or locked by somebody
# who waits for a lock of his; a plan of a table that has another row type now; and, after
# that, a prepared statement that is not there.
my @unexpected = scan_log(
	$node->logfile,
	sub {
		my ($c) = @_;
		return 1 if $c->{app} eq 'alter.pl';
		return 1 if $c->{state} =~ /^(42703|42P01|0A000|23514|26000|40P01|40001)$/ && $c->{rest} !~ /CONTEXT:.*leadstream/ && $c->{text} !~ /leadstream|lead/;
		# to a snapshot older than its rewriting a table is empty, also to a foreign key
		return 1 if $c->{state} eq '23503' && $c->{app} ne 'read_committed' && $c->{text} =~ /_contact_id_fkey"/ && $c->{text} !~ /lead/;
		return 1 if $c->{state} eq '40P01' || $c->{state} eq '40001' && $c->{app} eq 'serializable';
		return 0;
	});
is(join("\n", @unexpected), '', 'no statement failed but for its own tables');

$node->stop;
done_testing();
