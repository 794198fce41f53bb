# A dump restored is an equal database that goes on making leads.
#
# pg_dump in custom and plain format, whole, and schema and data apart, by a
# superuser.  Equal is everything but the columns stream.changed and
# stream.enabled_xid, which hold transaction ids, and stream.home, which tells one
# database from another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;
$node->safe_psql('postgres', 'create database source');
make_world($node, 'source');

# All that a database knows, as text: rows of tables, sequences, and what holds
# them together.
my @tables = qw(public.contact public.visit public.form public.mail
  leadstream.contact_source leadstream.activity_source leadstream.team
  leadstream.sales_user leadstream.team_member leadstream.hand_out leadstream.access_account
  leadstream.stage leadstream.stream_version leadstream.stream_team leadstream.segment
  leadstream.score_set leadstream.score_rule
  leadstream.lead leadstream.lead_match leadstream.lead_event leadstream.due);

sub rows_of
{
	my ($database) = @_;
	my $sql = "select 'stream', (to_jsonb(s) - 'changed' - 'enabled_xid' - 'home')::text from leadstream.stream s";

	$sql .= " union all select '$_', x::text from $_ x" foreach @tables;
	return $node->safe_psql($database, "select * from ($sql) q order by 1, 2");
}

sub sequences_of
{
	my ($database) = @_;

	return $node->safe_psql(
		$database, q{
		select schemaname, sequencename, last_value from pg_sequences
		where schemaname in ('leadstream', 'public') order by 1, 2});
}

sub schema_of
{
	my ($database) = @_;

	return $node->safe_psql(
		$database, q{
		select 'trigger', tgrelid::regclass::text, pg_get_triggerdef(t.oid), tgenabled::text
		from pg_trigger t join pg_class c on c.oid = t.tgrelid
		where not tgisinternal and c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'constraint', conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid), ''
		from pg_constraint where connamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), ''
		from pg_index join pg_class c on c.oid = indexrelid
		where c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'view', c.oid::regclass::text, pg_get_viewdef(c.oid), c.relacl::text
		from pg_class c where relkind = 'v' and relnamespace = 'leadstream'::regnamespace
		union all
		select 'column', a.attrelid::regclass::text, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
			|| case when a.attnotnull then ' not null' else '' end || a.attidentity::text, a.attacl::text
		from pg_attribute a join pg_class c on c.oid = a.attrelid
		where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
		  and c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'function', p.oid::regprocedure::text, p.prosecdef::text, p.proacl::text
		from pg_proc p where pronamespace = 'leadstream'::regnamespace
		union all
		select 'policy', p.polrelid::regclass::text, p.polname || ' ' || pg_get_expr(p.polqual, p.polrelid), c.relrowsecurity::text
		from pg_policy p join pg_class c on c.oid = p.polrelid
		union all
		select 'relation', c.oid::regclass::text, c.relacl::text, pg_get_userbyid(c.relowner)
		from pg_class c where relkind in ('r', 'p') and relnamespace = 'leadstream'::regnamespace
		union all
		select 'comment', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description, ''
		from pg_description d where pg_describe_object(d.classoid, d.objoid, d.objsubid) ~ 'leadstream|_lead'
		union all
		select 'member', e.extname, pg_describe_object(d.classid, d.objid, d.objsubid), ''
		from pg_depend d join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
		where d.deptype = 'e' and e.extname = 'leadstream'
		order by 1, 2, 3, 4});
}


# --------------------------------------------------------------------------
# A database that has lived
# --------------------------------------------------------------------------

my $capture = $node->safe_psql('source', q{
	select string_agg(format('alter table %s enable always trigger %I', tgrelid::regclass, tgname), ';')
	from pg_trigger where tgrelid = 'visit'::regclass and not tgisinternal});
$node->safe_psql(
	'source', qq{
	create role dump_reader;
	select leadstream.create_sales_user('Ann', 'ann\@example.com', 'dump_reader'), leadstream.create_sales_user('Bob');
	select leadstream.add_member('sales', 'Ann', 500), leadstream.add_member('sales', 'Bob');
	select leadstream.pause_member('sales', 'Ann');
	select leadstream.alter_team('sales', hands_out => true), leadstream.create_stage('Demo', 2), leadstream.deactivate_sales_user('Ann');
	grant select on leadstream.leads, leadstream.lead to dump_reader;
	create role dump_sales;
	select leadstream.grant_access('dump_sales', 'sales'), leadstream.grant_access('dump_reader', 'report');
	select leadstream.create_sales_user('Sally', role => 'dump_sales'), leadstream.add_member('partners', 'Sally');
	insert into contact (id, country, score) select i, case when i % 2 = 0 then 'SE' end, i from generate_series(1, 60) i;
	select leadstream.create_stream('old', 'exists(form)', '{partners}', E'all forms''\nold and new');
	select leadstream.create_segment('north', 'country = ''SE''', E'of\nthe north');
	select leadstream.create_segment('good', 'segment(''north'') and score > 20');
	select leadstream.create_score_set('engagement', E'what\nthey did');
	select leadstream.create_score_rule('engagement', 'mails', 'exists(mail where what = ''open'' within 90 days)', 5);
	select leadstream.create_score_rule('engagement', 'visits', 'count(visit) >= 5', -2);
	select leadstream.create_score_set('empty');
	select leadstream.create_stream('scored', 'score(''engagement'') >= 3 and score(''empty'') = 0', '{partners}');
	select leadstream.create_stream('good', 'segment(''good'') and exists(form)', '{sales}');
	select leadstream.enable(stream) from leadstream.stream where stream <> 'old';
	insert into form (contact_id, name) select id, case when id % 3 = 0 then 'demo' else 'contact' end from contact;
	insert into visit (contact_id, url, amount) select 1 + i % 50, (array['/pricing', '/', '/blog'])[1 + i % 7 % 3], i % 5
		from generate_series(1, 400) i;
	insert into mail (contact_id, what) select 1 + i % 20, case when i % 2 = 0 then 'open' else 'sent' end from generate_series(1, 60) i;
	select leadstream.enable('old');
	select leadstream.fetch_history('old');
	select leadstream.disable('old');
	select leadstream.alter_stream('swedish', rule => 'country = ''SE'' and exists(form)');
	select leadstream.alter_stream('swedish', rule => 'country = ''SE'' and exists(form where name = ''demo'')');
	select leadstream.create_lead(60::bigint, 'sales');
	select leadstream.move(lead_id, 'Won', 'signed') from leadstream.leads where contact_id in (3, 6);
	delete from leadstream.lead where contact_id = 9;
	create index lead_by_age on leadstream.lead (created_at);
	$capture;
});

my $rows = rows_of('source');
my $sequences = sequences_of('source');
my $schema = schema_of('source');
my $nleads = $node->safe_psql('source', 'select count(*) from leadstream.lead');
my $last_lead = $node->safe_psql('source', 'select last_value from leadstream.lead_lead_id_seq');
my $last_stream = $node->safe_psql('source', 'select last_value from leadstream.stream_stream_id_seq');
cmp_ok($nleads, '>', 30, 'there is something to dump');

# What must hold of a restored database, which this changes.
sub is_equal
{
	my ($database, $how) = @_;

	is(rows_of($database), $rows, "$how: equal rows");
	is(sequences_of($database), $sequences, "$how: sequences are where they were");
	is(schema_of($database), $schema, "$how: equal tables, triggers, keys, views and rights");
	is($node->safe_psql($database, 'select string_agg(stream, \', \') from leadstream.streams where problem is not null'),
		'', "$how: no stream is broken");
	return;
}

sub is_alive
{
	my ($database, $how) = @_;

	is($node->safe_psql($database, "select leadstream.fetch_history('pricing')"), '0', "$how: history has nothing to add");
	is( $node->safe_psql(
			$database, q{
			insert into contact values (100, 'SE', 10, null), (101, null, 90, null), (102, 'SE', 30, null);
			insert into form (contact_id, name) values (100, 'demo'), (102, 'contact');
			insert into mail_open (contact_id, what) values (101, 'open');
			select string_agg(stream || ' ' || team || ' ' || contact_id, ', ' order by stream, team, contact_id)
			from leadstream.matches where contact_id >= 100}),
		'demo sales 100, good sales 102, openers sales 101, score sales 101, scored partners 101, swedish partners 100, swedish sales 100',
		"$how: new rows make leads");
	is( $node->safe_psql($database, q{select string_agg(distinct u.sales_user, ', ') from leadstream.lead l
			join leadstream.team t on t.team_id = l.team_id and t.team = 'sales'
			left join leadstream.sales_user u on u.sales_user_id = l.assignee_id where l.contact_id >= 100}),
		'Bob', "$how: new leads are handed out");
	is($node->safe_psql($database, 'select min(lead_id) from leadstream.leads where contact_id >= 100'),
		$last_lead + 1, "$how: lead ids go on");
	is($node->safe_psql($database, "select leadstream.create_stream('next', 'exists(visit)', '{sales}')"),
		$last_stream + 1, "$how: stream ids go on");
	is($node->safe_psql($database, "select leadstream.create_team('next')"), '3', "$how: team ids go on");
	is( $node->safe_psql($database, q{
			select leadstream.enable('next');
			insert into visit (contact_id) values (60);
			select count(*) from leadstream.matches where stream = 'next'}) =~ s/^\s+//r,
		'1', "$how: a new stream makes leads");
	is($node->safe_psql($database, 'delete from contact where id = 100; select count(*) from leadstream.lead where contact_id = 100'),
		'0', "$how: a contact takes its leads along");
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
is_alive('custom', 'custom format');

$node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', new_database('parallel'), "$dir/custom" ], 'custom format is restored by two jobs');
is_equal('parallel', 'two jobs');

$node->command_ok([ 'pg_dump', '-Fp', '-f', "$dir/plain.sql", $from ], 'plain format is dumped');
$node->command_ok([ 'psql', '-Xqo', "$dir/out", '-v', 'ON_ERROR_STOP=1', '-d', new_database('plain'), '-f', "$dir/plain.sql" ], 'and restored');
is_equal('plain', 'plain format');
is_alive('plain', 'plain format');

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
is(rows_of('no_triggers'), $rows, 'without triggers: equal rows');
is(sequences_of('no_triggers'), $sequences, 'without triggers: sequences are where they were');
# pg_restore turns ENABLE ALWAYS into ENABLE
is($node->safe_psql('no_triggers', q{select distinct tgenabled from pg_trigger where not tgisinternal and tgrelid = 'visit'::regclass}),
	'O', 'without triggers: those enabled ALWAYS are plainly enabled now');
is_alive('no_triggers', 'without triggers');

{
	local $ENV{PGOPTIONS} = '-c leadstream.capture=off';
	$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('no_capture'), "$dir/data" ],
		'data are restored with leadstream.capture = off');
}
is_equal('no_capture', 'without capture');
is_alive('no_capture', 'without capture');

my ($stdout, $stderr) = run_command([ 'pg_restore', '-d', $node->connstr('captured'), "$dir/data" ]);
like($stderr, qr/COPY failed for table "form": ERROR:  duplicate key value violates unique constraint "lead_pkey"/,
	'data restored without either: activities whose leads are in the dump, too, are refused');
is( $node->safe_psql('captured', 'select count(*) from contact'),
	$node->safe_psql('source', 'select count(*) from contact'),
	'the contacts are there');
is($node->safe_psql('captured', disorder()), '', 'and the lead tables are in order');


# --------------------------------------------------------------------------
# What is not lost by mistake
# --------------------------------------------------------------------------

my ($rc, $out, $err) = $node->psql('source', 'drop extension leadstream');
isnt($rc, 0, 'DROP EXTENSION is refused while there are lead tables');
like($err, qr/cannot drop extension leadstream because other objects depend on it/, 'because they depend on it');
is(rows_of('source'), $rows, 'dumping has changed nothing');

$node->stop;
done_testing();
