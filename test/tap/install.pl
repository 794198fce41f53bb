# Into whose hands CREATE EXTENSION may fall.
#
# The script is read for what must not be in it; then the extension is created
# in databases where somebody without rights was there before.

use strict;
use warnings;

use FindBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# --------------------------------------------------------------------------
# The script
# --------------------------------------------------------------------------

# What is adopted instead of created may be somebody's trap.  Only what is made
# at run time, in a schema that is ours by then, is replaced.
my %replaced = map { $_ => 1 } (
	'trigger leadstream_capture', 'trigger leadstream_open', 'trigger leadstream_settle', 'trigger leadstream_move',
	'trigger forget_matches', 'trigger note_deleted', 'view leadstream.leads',
	'view leadstream.matches', 'view leadstream.board', 'view leadstream.scores', 'view leadstream._lead_in_sight', 'function leadstream.board_at',
	map { "view leadstream.$_" } qw(_lead_event lead_events lead_stage_changes first_actions lead_history _lead_entry
	  _lead_step funnel conversion leads_daily time_in_stage));
my @parts = sort glob("$FindBin::Bin/../../src/schema/*.sql");
cmp_ok(scalar(@parts), '>', 5, 'there are parts of a script');

my @wrong;
my $first;
foreach my $part (@parts)
{
	my $sql = slurp_file($part);
	my ($name) = $part =~ m{([^/]*)$};

	$sql =~ s{/\*.*?\*/}{}gs;
	$sql =~ s{--[^\n]*}{}g;
	$first = $1 if !defined $first && $sql =~ /^\s*(?:\\echo[^\n]*\n)?\s*([^;]*);/;
	while ($sql =~ /create\s+or\s+replace\s+(\w+\s+[\w.]+)/gi)
	{
		push @wrong, "$name: create or replace $1" unless $replaced{$1};
	}
	# of PL/pgSQL's "if not exists (select ...)" there are many
	push @wrong, "$name: if not exists $1" while $sql =~ /if\s+not\s+exists\s+([^\s(]+)/gi;
	push @wrong, "$name: $1" while $sql =~ /(security\s+definer|\@ext\w+\@|set\s+schema|create\s+schema)/gi;
}
is(join("\n", @wrong), '', 'nothing is adopted, nothing runs as its definer, nothing is substituted');
is($first, 'set local search_path = pg_catalog, pg_temp', 'the first thing is a path that nobody can bend');
my $control = slurp_file("$FindBin::Bin/../../leadstream.control");
like($control, qr/^relocatable = false$/m, 'it stays in its schema');
like($control, qr/^schema = leadstream$/m, 'which has one name');

# --------------------------------------------------------------------------
# The server
# --------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('install');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	create role mallory login;
	create role owner login;
	create role "we""ird $$ role" superuser login});

my $count = 0;
sub database
{
	my ($owner, $before) = @_;
	my $name = 'install' . ++$count;
	my $quoted = $owner =~ s/"/""/gr;

	$node->safe_psql('postgres', qq{create database $name owner "$quoted"});
	$node->safe_psql($name, $before) if $before;
	return $name;
}

sub tries
{
	my ($database, $as, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$sql",
		extra_params => [ '-U', $as ], on_error_stop => 1);

	return $rc == 0 ? 'ok' : $err =~ /ERROR:  (\w{5}): ([^\n]*)/ ? "$1 $2" : $err;
}

my $user = $node->safe_psql('postgres', 'select current_user');
my $members = q{select count(*) from pg_depend d join pg_extension e on e.oid = d.refobjid
	where d.refclassid = 'pg_extension'::regclass and e.extname = 'leadstream'};

# who may
my $database = database('owner', '');
like(tries($database, 'owner', 'create extension leadstream'), qr/^42501 /, 'the owner of a database may not: the extension is not trusted');
is(tries($database, $user, 'create extension leadstream'), 'ok', 'a superuser may, in a database of another');
is($node->safe_psql($database, q{select nspowner::regrole from pg_namespace where nspname = 'leadstream'}), $user,
	'and the schema is his');
like(tries($database, 'owner', 'drop extension leadstream'), qr/^42501 /, 'so the owner of the database cannot drop it');
like(tries($database, 'owner', 'alter schema leadstream rename to mine'), qr/^42501 /, 'nor move the schema away');
like(tries($database, 'owner', 'create table leadstream.stage_2 ()'), qr/^42501 /, 'nor put anything into it');

# a schema that was there before
$database = database($user, 'create schema leadstream authorization mallory');
like(tries($database, $user, 'create extension leadstream'), qr/^42501 schema "leadstream" belongs to another role/,
	'a schema of somebody else is refused');
is($node->safe_psql($database, $members), '0', 'and nothing is left of it');
is(tries($database, $user, 'alter schema leadstream owner to current_user; create extension leadstream'), 'ok',
	'empty, and given to a superuser, it serves');
$database = database($user, 'create schema leadstream authorization mallory; create table leadstream.stream (); alter schema leadstream owner to current_user');
like(tries($database, $user, 'create extension leadstream'), qr/^55000 schema "leadstream" is not empty/, 'not empty, it does not');

my %before = (
	'a table' => 'create table leadstream.stream (x int)',
	'a view' => 'create view leadstream.lead as select 1 as lead_id',
	'a sequence' => 'create sequence leadstream.lead_lead_id_seq',
	'a function' => q{create function leadstream._not_null(text, boolean) returns void language sql as ''},
	'a procedure' => q{create procedure leadstream.tick() language sql as ''},
	'an enum' => q{create type leadstream.mood as enum ('a')},
	'a domain' => 'create domain leadstream.rule as text',
	'an operator' => q{create function public.eq(text, text) returns boolean language sql as 'select true';
		create operator leadstream.= (function = public.eq, leftarg = text, rightarg = text)},
	'an aggregate' => 'create aggregate leadstream.total(integer) (sfunc = int4pl, stype = integer)',
	'a collation' => 'create collation leadstream.c from "C"',
	'a text search dictionary' => 'create text search dictionary leadstream.d (template = simple)',
	'statistics' => 'create table public.t (a int, b int); create statistics leadstream.s on a, b from public.t',
	'default rights' => 'alter default privileges in schema leadstream grant all on tables to mallory');
foreach my $what (sort keys %before)
{
	$database = database($user, "create schema leadstream; grant create, usage on schema leadstream to mallory; grant create on schema public to mallory");
	$node->safe_psql($database, $before{$what}, extra_params => [ '-U', 'mallory' ]);
	like(tries($database, $user, 'create extension leadstream'), qr/^(55000 schema "leadstream" is not empty)/,
		"$what in the schema: refused");
}

# what is elsewhere is not met
$database = database($user, q{
	create schema evil authorization mallory;
	grant create, usage on schema public to mallory});
$node->safe_psql($database, q{
	create function evil.trap() returns text language plpgsql as $$ begin raise exception 'trapped as %', current_user; end $$;
	create function evil.eq(name, text) returns boolean language plpgsql as $$ begin perform evil.trap(); end $$;
	create function evil.eq(name, name) returns boolean language plpgsql as $$ begin perform evil.trap(); end $$;
	create function evil.eq(oid, oid) returns boolean language plpgsql as $$ begin perform evil.trap(); end $$;
	create operator evil.= (function = evil.eq, leftarg = name, rightarg = text);
	create operator evil.= (function = evil.eq, leftarg = name, rightarg = name);
	create operator evil.= (function = evil.eq, leftarg = oid, rightarg = oid);
	create function evil.pg_extension_config_dump(regclass, text) returns void language plpgsql as $$ begin perform evil.trap(); end $$;
	create function evil.pg_current_xact_id() returns xid8 language plpgsql as $$ begin perform evil.trap(); end $$;
	create function evil.statement_timestamp() returns timestamptz language plpgsql as $$ begin perform evil.trap(); end $$;
	create function evil.quote_ident(text) returns text language plpgsql as $$ begin perform evil.trap(); end $$;
	create view evil.pg_class as select evil.trap();
	create view evil.pg_namespace as select evil.trap();
	create domain evil.text as pg_catalog.text check (evil.trap() is null);
	create domain evil.timestamptz as pg_catalog.timestamptz check (evil.trap() is null)}, extra_params => [ '-U', 'mallory' ]);
like(tries($database, $user, q{set search_path = evil, pg_catalog; select 1 from pg_catalog.pg_class where relname = 'x'::pg_catalog.text}),
	qr/^P0001 trapped/, 'there is a trap on the path');
is(tries($database, $user, 'create temporary table pg_class (oid int); create temporary table stream (x int); set search_path = evil, pg_temp, pg_catalog; create extension leadstream'),
	'ok', 'which the script does not meet');
is( $node->safe_psql($database, q{
		select count(*) from pg_depend d
		where d.refclassid = 'pg_namespace'::regclass and d.refobjid = 'evil'::regnamespace
		  and (d.classid, d.objid) in (select m.classid, m.objid from pg_depend m join pg_extension e on e.oid = m.refobjid
			where m.refclassid = 'pg_extension'::regclass and e.extname = 'leadstream')}),
	'0', 'nothing of it is there');
is( $node->safe_psql($database, q{
		select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
		where c.relnamespace = 'leadstream'::regnamespace and t.typnamespace = 'evil'::regnamespace}),
	'0', 'no column is of its types');
is(tries($database, $user, 'drop extension leadstream cascade; drop schema leadstream cascade; create extension leadstream; create table contact (id int primary key); select leadstream.attach_contacts(\'contact\')'),
	'ok', 'dropped and created again in one session, it works');

# names that need quotes
my $weird = 'we"ird $$ role';
$database = database($weird, '');
is(tries($database, $weird, q{
	create extension leadstream;
	create schema "sch""ema $$";
	create table "sch""ema $$"."con'tact" ("i""d" text primary key, "c'" text);
	create table "sch""ema $$"."act $1 %s" ("i""d" text references "sch""ema $$"."con'tact", "a%t" timestamptz, "u\\rl" text);
	create index on "sch""ema $$"."act $1 %s" ("i""d", "a%t");
	select leadstream.attach_contacts('"sch""ema $$"."con''tact"');
	select leadstream.attach_activity('"sch""ema $$"."act $1 %s"', kind => 'k"''$1');
	select leadstream.create_team(E'te''am "%s" $1 \\\\ ');
	select leadstream.create_stream(E'str''eam "%s" $1', $q$ exists("k""'$1" where "u\\rl" = 'it''s $1 %s \\') and "c'" is null $q$, array[E'te''am "%s" $1 \\\\ ']);
	select leadstream.enable(E'str''eam "%s" $1');
	insert into "sch""ema $$"."con'tact" values (E'\'; drop table x; --');
	insert into "sch""ema $$"."act $1 %s" values (E'\'; drop table x; --', now(), 'it''s $1 %s \\')}),
	'ok', 'names of all kinds');
is($node->safe_psql($database, q{select contact_id, stream, team from leadstream.matches}),
	q{'; drop table x; --|str'eam "%s" $1|te'am "%s" $1 \\ }, 'make their lead');
is($node->safe_psql($database, q{select owner from leadstream.streams}), '"we""ird $$ role"', 'and have their owner');
is($node->safe_psql($database, q{select count(*) from leadstream.verify(E'str''eam "%s" $1')}), '0', 'live as in history');

$node->stop;
done_testing();
