# A dump restored is an equal database that goes on making leads.
#
# pg_dump in custom and plain format, whole, and schema and data apart, by a
# superuser and by one who is none, and while others write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use LivedWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;
$node->safe_psql('postgres', 'create database source');


# --------------------------------------------------------------------------
# A database that has lived
# --------------------------------------------------------------------------

make_lived_world($node, 'source');
my $rows = rows_of($node, 'source');
my $sequences = sequences_of($node, 'source');
my $schema = schema_of($node, 'source');
my $nleads = $node->safe_psql('source', 'select count(*) from leadstream.lead');
cmp_ok($nleads, '>', 30, 'there is something to dump');
cmp_ok($node->safe_psql('source', 'select count(*) from leadstream.due'), '>', 5, 'there is something to wait for');

# What must hold of a restored database, which this changes.
sub is_equal
{
	my ($database, $how) = @_;

	is(rows_of($node, $database), $rows, "$how: equal rows");
	is(sequences_of($node, $database), $sequences, "$how: sequences are where they were");
	is(schema_of($node, $database), $schema, "$how: equal tables, triggers, keys, views and rights");
	is($node->safe_psql($database, 'select string_agg(stream, \', \') from leadstream.streams where problem is not null'),
		'', "$how: no stream is broken");
	return;
}

sub new_database
{
	my ($database) = @_;

	$node->safe_psql('postgres', "create database $database");
	return $node->connstr($database);
}


# --------------------------------------------------------------------------
# Whole
# --------------------------------------------------------------------------

my $dir = $node->basedir;
my $from = $node->connstr('source');

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", $from ], 'custom format is dumped');
$node->command_ok([ 'pg_restore', '-e', '-d', new_database('custom'), "$dir/custom" ], 'and restored');
is_equal('custom', 'custom format');
is_alive($node, 'custom', 'custom format');

$node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', new_database('parallel'), "$dir/custom" ], 'custom format is restored by two jobs');
is_equal('parallel', 'two jobs');

$node->command_ok([ 'pg_dump', '-Fp', '-f', "$dir/plain.sql", $from ], 'plain format is dumped');
$node->command_ok([ 'psql', '-Xqo', "$dir/out", '-v', 'ON_ERROR_STOP=1', '-d', new_database('plain'), '-f', "$dir/plain.sql" ], 'and restored');
is_equal('plain', 'plain format');
is_alive($node, 'plain', 'plain format');

$node->command_ok([ 'pg_dump', '-Fp', '--inserts', '-f', "$dir/inserts.sql", $from ], 'a dump of INSERTs is made');
$node->command_ok([ 'psql', '-Xqo', "$dir/out", '-v', 'ON_ERROR_STOP=1', '-d', new_database('inserts'), '-f', "$dir/inserts.sql" ], 'and restored');
is_equal('inserts', 'INSERTs');

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/again", $node->connstr('parallel') ], 'a restored database is dumped');
$node->command_ok([ 'pg_restore', '-e', '-d', new_database('again'), "$dir/again" ], 'and restored');
is_equal('again', 'a dump of a restored database');


# --------------------------------------------------------------------------
# Schema and data apart
# --------------------------------------------------------------------------

# Data that come after the triggers are captured like any other: the leads of
# the dump then meet leads that are there.  Two ways lead around it.
$node->command_ok([ 'pg_dump', '-Fc', '-s', '-f', "$dir/schema", $from ], 'the schema is dumped');
$node->command_ok([ 'pg_dump', '-Fc', '-a', '-f', "$dir/data", $from ], 'the data are dumped');

foreach my $database ('no_triggers', 'no_capture', 'captured')
{
	$node->command_ok([ 'pg_restore', '-e', '-d', new_database($database), "$dir/schema" ], "$database: the schema is restored");
	is($node->safe_psql($database, 'select count(*) from leadstream.lead'), '0', "$database: and is empty");
}
$node->command_ok([ 'pg_restore', '-e', '--disable-triggers', '-d', $node->connstr('no_triggers'), "$dir/data" ],
	'data are restored with --disable-triggers');
is(rows_of($node, 'no_triggers'), $rows, 'without triggers: equal rows');
is(sequences_of($node, 'no_triggers'), $sequences, 'without triggers: sequences are where they were');
# pg_restore turns ENABLE ALWAYS into ENABLE
is($node->safe_psql('no_triggers', q{select distinct tgenabled from pg_trigger where not tgisinternal and tgrelid = 'visit'::regclass}),
	'O', 'without triggers: those enabled ALWAYS are plainly enabled now');
is_alive($node, 'no_triggers', 'without triggers');

{
	local $ENV{PGOPTIONS} = '-c leadstream.capture=off';
	$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('no_capture'), "$dir/data" ],
		'data are restored with leadstream.capture = off');
}
is_equal('no_capture', 'without capture');
is_alive($node, 'no_capture', 'without capture');

my ($stdout, $stderr) = run_command([ 'pg_restore', '-d', $node->connstr('captured'), "$dir/data" ]);
like($stderr, qr/COPY failed for table "form": ERROR:  duplicate key value violates unique constraint "lead_pkey"/,
	'data restored without either: activities whose leads are in the dump, too, are refused');
is( $node->safe_psql('captured', 'select count(*) from contact'),
	$node->safe_psql('source', 'select count(*) from contact'),
	'the contacts are there');
is($node->safe_psql('captured', disorder()), '', 'and the lead tables are in order');


# --------------------------------------------------------------------------
# By who is no superuser
# --------------------------------------------------------------------------

# A dump has all leads or there is none: who does not see them all is told.
$node->safe_psql('postgres', 'create role dump_keeper login; grant pg_read_all_data to dump_keeper');
$node->command_fails_like([ 'pg_dump', '-Fc', '-f', "$dir/some", "$from user=dump_keeper" ],
	qr/query would be affected by row-level security policy for table "lead/, 'who does not see all leads cannot dump them');
$node->safe_psql('postgres', 'alter role dump_keeper bypassrls');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/kept", "$from user=dump_keeper" ], 'who may read all data dumps them');
$node->command_ok([ 'pg_restore', '-e', '--no-owner', '-d', new_database('kept'), "$dir/kept" ], 'and a superuser restores them without their owners');
is_equal('kept', 'dumped by no superuser');
is_alive($node, 'kept', 'dumped by no superuser');
$node->safe_psql('postgres', 'create database refused owner dump_keeper');
$node->command_fails_like([ 'pg_restore', '-e', '--no-owner', '-d', $node->connstr('refused') . ' user=dump_keeper', "$dir/kept" ],
	qr/permission denied to create extension "leadstream"/, 'restoring takes a superuser');


# --------------------------------------------------------------------------
# While others write
# --------------------------------------------------------------------------

$node->safe_psql('postgres', 'create database busy');
make_world($node, 'busy');
enable_streams($node, 'busy');
$node->safe_psql('busy', 'insert into contact (id) select i from generate_series(1, 300) i');
append_to_file(
	"$dir/write.script", q{
	\\set c random(1, 300)
	\\set r random(1, 5)
	begin;
	insert into visit (contact_id, url) values (:c, '/pricing'), (:c, '/');
	\\if :r = 1
	insert into form (contact_id, name) values (:c, 'demo');
	\\elif :r = 2
	insert into mail (contact_id, what) values (:c, 'open'), (:c, 'sent');
	\\elif :r = 3
	update contact set country = 'SE', score = score + 10 where id = :c;
	\\endif
	commit;
});
my ($out_of_writers, $err_of_writers) = ('', '');
my $writers = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '3', '-T', '120', '--max-tries=100', '-f', "$dir/write.script", $node->connstr('busy') ],
	'<', \undef, '>', \$out_of_writers, '2>', \$err_of_writers);
foreach my $n (1 .. 3)
{
	$node->poll_query_until('busy', "select count(*) >= $n * 30 from leadstream.lead") or last;
	$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/busy$n", $node->connstr('busy') ], "busy, $n: is dumped");
}
$writers->signal('TERM');
$writers->finish;
foreach my $n (1 .. 3)
{
	$node->command_ok([ 'pg_restore', '-e', '-d', new_database("busy$n"), "$dir/busy$n" ], "busy, $n: is restored");
	is(join('', map { $node->safe_psql("busy$n", mismatches($_)) } sort keys %LeadWorld::streams), '',
		"busy, $n: the leads are those of the rows");
	is($node->safe_psql("busy$n", disorder()), '', "busy, $n: the lead tables are in order");
	$node->safe_psql("busy$n", "insert into form (contact_id, name) select id, 'demo' from contact; insert into visit (contact_id, url) select id, '/pricing' from contact, generate_series(1, 2)");
	is(join('', map { $node->safe_psql("busy$n", mismatches($_)) } sort keys %LeadWorld::streams), '', "busy, $n: it goes on");
}
cmp_ok($node->safe_psql('busy3', 'select count(*) from leadstream.lead'), '>', 90, 'busy: there were leads');


# --------------------------------------------------------------------------
# What is not lost by mistake
# --------------------------------------------------------------------------

my ($rc, $out, $err) = $node->psql('source', 'drop extension leadstream');
isnt($rc, 0, 'DROP EXTENSION is refused while there are lead tables');
like($err, qr/cannot drop extension leadstream because other objects depend on it/, 'because they depend on it');
is(rows_of($node, 'source'), $rows, 'dumping has changed nothing');

$node->stop;
done_testing();
