# A rule builder on a web page: rules and fields go through react-querybuilder's
# own code, from npm, and come back.  What its SQL export finds among contacts is
# what the rule that we read is true of.
#
# The packages are installed, in the versions named here, from the registry that
# npm is configured for, into a folder that goes with the test.  LEADSTREAM_SEED
# makes other rules.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use ClientWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @packages = ('@react-querybuilder/core@8.24.1', 'jQuery-QueryBuilder@3.0.0');
my $seed = $ENV{LEADSTREAM_SEED} // 20240618;
my $nrules = 150;
my $nwheres = 700;

my ($folder, $missing) = install_npm(@packages);
plan skip_all => $missing if !$folder;

my $node = PostgreSQL::Test::Cluster->new('builder');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q{
	set client_min_messages = warning;
	create extension leadstream;
	create table contact (id bigint primary key, name text not null, city text not null, score integer not null, level integer not null,
		ratio numeric not null, born date not null, vip boolean not null, note text, tags text[] not null, token uuid, seen timestamptz);
	create table visit (contact_id bigint references contact, url text, ms integer, paid boolean, at timestamptz);
	select leadstream.attach_contacts('contact');
	select leadstream.attach_activity('visit');
	select leadstream.create_segment('Customers', 'vip');
	insert into contact
	select i, (array['ada', 'bo', 'o''hara', 'x,y', '10', 'adabo', 'xa', 'b'])[1 + i % 8], (array['ada', 'bo', '10', 'a', 'b', 'or'])[1 + i % 6],
		(array[0, 5, 10, 25, 50, 7])[1 + i % 6], (array[0, 1, 2, -3, 5])[1 + i % 5], (array[0.5, 0.25, 1, 1.5])[1 + i / 2 % 4],
		(array['2024-01-01', '2024-02-15', '2024-03-31', '2025-01-01', '2023-12-31'])[1 + i / 3 % 5]::date, i % 3 = 0,
		case when i % 4 > 0 then 'n' end, (array['{ada}', '{bo,a,b}', '{x,y,or,ada}', '{10,10}', '{"x,y",o''hara,a,b}'])[1 + i / 5 % 5]::text[]
	from generate_series(0, 239) i;
});

# --------------------------------------------------------------------------
# Out: the fields and random rules
# --------------------------------------------------------------------------

# What makes random rules for the agreement of live and history.
foreach my $lib ('world', 'generate', 'report')
{
	$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$FindBin::Bin/../agree/lib/$lib.sql" ],
		"$lib.sql is loaded");
}
$node->safe_psql(
	'postgres', qq{
	select nv.settings(1);
	create table sent (n integer, rule leadstream.rule);
	insert into sent
	select row_number() over () - 1, r from (
		select nv.rule_text(nv.a_rule($seed, i))::leadstream.rule as r from generate_series(1, $nrules) i offset 0) s
	where r is not null;
});
append_to_file("$folder/input",
	$node->safe_psql('postgres', 'select leadstream.builder_fields()') . "\n"
	  . $node->safe_psql('postgres', 'select rule::jsonb from sent order by n') . "\n");

# --------------------------------------------------------------------------
# Through the library, and in again
# --------------------------------------------------------------------------

my $rc = system("node '$FindBin::Bin/lib/builder.mjs' '$folder' $seed $nwheres <'$folder/input' >'$folder/output' 2>'$folder/node.log'");
is($rc, 0, 'the library takes fields and rules') or diag(slurp_file("$folder/node.log"));

$node->safe_psql(
	'postgres', qq{
	create table got (i integer, kind text, what text, n integer, json jsonb, sql text, rule leadstream.rule, problem text, found bigint[], expected bigint[]);
	insert into got (i, kind, what, n, json, sql)
	select i, l ->> 'kind', l ->> 'what', (l ->> 'n')::integer, l -> 'rule', l ->> 'sql'
	from regexp_split_to_table(pg_read_file('$folder/output'), E'\\n') with ordinality as t(line, i)
	cross join lateral (select line::jsonb as l where line <> '') as l;

	create procedure judge(g got) language plpgsql as \$\$
	begin
		g.rule := case g.kind when 'jquery' then leadstream.rule_from_jquery(g.json) else g.json::leadstream.rule end;
		if g.kind = 'new' then
			perform leadstream.check_rule(g.rule);
		elsif g.kind = 'where' then
			execute format('select array(select id from contact where %s order by id)', g.sql) into g.expected;
			g.found := array(select id from leadstream._live_matches(g.rule, null::bigint) as l(id) order by id);
		end if;
		update got set rule = g.rule, found = g.found, expected = g.expected where i = g.i;
	exception when others then
		update got set problem = sqlstate || ': ' || sqlerrm where i = g.i;
	end
	\$\$;
	do \$\$
	declare
		g got;
	begin
		for g in select * from got order by i loop
			call judge(g);
		end loop;
	end
	\$\$;
});

# A query that must return nothing.
sub none
{
	my ($what, $query) = @_;

	is($node->safe_psql('postgres', "$query limit 5"), '', $what);
}

# Muted all over, or a group without rules: the library says everybody, we say no.
my $empty = q{problem in ('22023: invalid JSON form of a rule: the group has no rules', '22023: invalid JSON form of a rule: all of it is muted')};

none('what the library gives back is read', q{select kind, what, problem, json from got where problem is not null and kind <> 'where'});
none('and is the same rule', q{select g.what, s.rule, g.rule from got g join sent s using (n) where g.kind = 'same' and g.rule operator(leadstream.<>) s.rule});
none('rules of the library on contacts are read', qq{select what, problem, json from got where kind = 'where' and problem is not null and not $empty});
none('and are true of those that its SQL finds',
	q{select what, json, sql, rule, found, expected from got where kind = 'where' and problem is null and found is distinct from expected});

# A test that compares nothing would pass.
is($node->safe_psql('postgres', q{
	select count(*) filter (where kind = 'same') > 1000, count(*) filter (where kind = 'new') > 300, count(*) filter (where kind = 'jquery'),
		count(*) filter (where kind = 'where' and cardinality(found) between 1 and 239) > 500,
		count(*) filter (where what = 'parseSQL' and problem is null) > 100, count(*) filter (where what = 'parseJsonLogic' and problem is null) > 100,
		count(*) filter (where kind = 'where' and rule::text ~ 'exists|count' and cardinality(found) between 1 and 239) > 60
	from got}), 't|t|20|t|t|t|t', 'there are rules of all sorts');

$node->stop;
done_testing();
