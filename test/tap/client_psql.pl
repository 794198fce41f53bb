# psql as scripts and people use it: variables, exit codes, error reports, copy
# both ways, and what \d shows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use ClientWorld;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_world('psql');
my $folder = PostgreSQL::Test::Utils::tempdir;
my %way = client_way();

# What a script does; what it prints, complaints among it, and the exit status.
sub script
{
	my ($script, @options) = @_;
	my $output = '';

	local @ENV{ keys %way } = values %way;
	IPC::Run::run [ $node->installed_command('psql'), '-X', @options ], '<', \$script, '>&', \$output;
	chomp $output;
	return ($output, $? >> 8);
}

sub prints
{
	my ($what, $script, $expected, @options) = @_;
	my ($output, $status) = script($script, '-qAt', @options);

	is($output, $expected, $what);
	return $status;
}

# --------------------------------------------------------------------------
# A script
# --------------------------------------------------------------------------

my $rule = q{country = 'SE' and exists(form_submit where form = 'it''s :form')};
is( prints('from form to lead, by variables', q{
	select leadstream.create_team(:'team') is not null;
	select leadstream.create_stream('Psql', :'rule', array[:'team']) is not null;
	select leadstream.enable('Psql');
	insert into contact (name, country) values (:'name', 'SE') returning contact_id \gset
	insert into form_submit (contact_id, form) values (:contact_id, 'it''s :form');
	select lead_id from leadstream.board where contact_id = :contact_id \gset
	select name, team, stage, streams from leadstream.board where lead_id = :lead_id;
	select leadstream.move(:lead_id, 'SQL', :'why');
	select stage, reason from leadstream.leads where lead_id = :lead_id;
}, "t\nt\n\nPia O'Hara|A \"team\"|MQL|Psql\n\nSQL|50 %, \\n & more", '-v', 'ON_ERROR_STOP=1',
		'-v', 'team=A "team"', '-v', "rule=$rule", '-v', "name=Pia O'Hara", '-v', 'why=50 %, \n & more'), 0, 'which succeeds');

is(prints('a mistake ends a script', "select leadstream.enable('none');\nselect 1;",
		qq{ERROR:  stream "none" does not exist\nHINT:  Streams are: "Demo requests", "Psql".}, '-v', 'ON_ERROR_STOP=1',
		'-v', 'SHOW_CONTEXT=never'), 3, 'with status 3');
prints('a script in one transaction that fails leaves nothing', q{
	insert into contact (name, country) values ('Per', 'SE') returning contact_id \gset
	insert into form_submit (contact_id, form) values (:contact_id, 'it''s :form');
	select count(*) from leadstream.leads where contact_id = :contact_id;
	select leadstream.check_rule('a = ');
}, q{1
ERROR:  syntax error at end of rule
LINE 1: select leadstream.check_rule('a = ');
                                     ^
DETAIL:  At character 5 of the rule.
HINT:  An operand is missing here: a literal, a field, now, today or an aggregate.},
	'-1', '-v', 'ON_ERROR_STOP=1', '-v', 'SHOW_CONTEXT=never');
prints('no contact, no lead', q{select count(*) from contact where name = 'Per'; select count(*) from leadstream.leads}, "0\n2");

# --------------------------------------------------------------------------
# Errors
# --------------------------------------------------------------------------

prints('the last error by its variables', q{
	\set ON_ERROR_STOP off
	\o /dev/null
	select leadstream.clear('Psql');
	\o
	\echo :LAST_ERROR_SQLSTATE :ERROR :LAST_ERROR_MESSAGE
}, qq{ERROR:  stream "Psql" is enabled\nHINT:  Disable it first: select leadstream.disable('Psql');\n55000 true stream "Psql" is enabled},
	'-v', 'SHOW_CONTEXT=never');
like((script(q{
	select leadstream.check_rule('countri = ''SE''');
	\errverbose
}, '-qAt'))[0], qr/^ERROR:  42703: .*"countri".*^HINT:  Perhaps you meant country\./ms, '\errverbose');

# --------------------------------------------------------------------------
# Copy, prepared statements
# --------------------------------------------------------------------------

write_file("$folder/forms.csv", map { "$_->[0],$_->[1]\n" } [ 1, q{it's :form} ], [ 1, 'other' ], [ 2, q{it's :form} ]);
prints('leads by \copy', qq{
	\\copy form_submit (contact_id, form) from '$folder/forms.csv' (format csv)
	select contact_id from leadstream.leads l join contact c using (contact_id) where 'Psql' = (
		select stream from leadstream.matches m where m.lead_id = l.lead_id and stream = 'Psql') and c.name = 'Ada';
}, '1');
prints('rules there and back by binary \copy', qq{
	\\copy (select rule from leadstream.stream order by stream_id) to '$folder/rules.bin' (format binary)
	create temporary table kept (n integer generated always as identity, rule leadstream.rule);
	\\copy kept (rule) from '$folder/rules.bin' (format binary)
	select count(*), bool_and(k.rule operator(leadstream.=) s.rule)
	from kept k join (select rule, row_number() over (order by stream_id) as n from leadstream.stream) s using (n);
}, '2|t');
prints('a prepared statement, and the stream altered', q{
	prepare send (bigint, text) as insert into form_submit (contact_id, form) values ($1, $2);
	prepare found (bigint) as select count(*) from leadstream.leads where contact_id = $1;
	set plan_cache_mode = force_generic_plan;
	insert into contact (name, country) values ('Pål', 'SE') returning contact_id \gset
	execute send (:contact_id, 'new');
	execute found (:contact_id);
	select leadstream.alter_stream('Psql', rule => 'exists(form_submit where form = ''new'')');
	execute send (:contact_id, 'it''s :form');
	execute found (:contact_id);
	execute send (:contact_id, 'new');
	execute found (:contact_id);
}, "0\n\n0\n1");
SKIP:
{
	skip 'psql has \bind from 16 on', 1 if $node->pg_version < 16;
	prints('parameters without a type by \bind', q{
		select leadstream.create_lead($1, $2) is not null \bind 2 'A "team"' \g
		select is_true from leadstream.explain($1::leadstream.rule, $2) where depth = 0 limit 1 \bind 'country = ''NO''' 2 \g
	}, "t\nt");
}

# --------------------------------------------------------------------------
# What people see
# --------------------------------------------------------------------------

my ($functions) = script('\df+ leadstream.create_stream');
like($functions, qr/^\s*leadstream \| create_stream .*[a-z]{4}/m, '\df+ tells what a function does');
foreach my $view (qw(board leads matches streams))
{
	my ($described) = script("\\dv+ leadstream.$view", '-At');
	my ($columns) = script("\\d+ leadstream.$view", '-At');
	my ($comment) = $described =~ /\|([^|]+)\z/;

	cmp_ok(length($comment // ''), '>', 10, "\\dv+ tells what $view is");
	# column, type, collation, nullable, default, storage, description
	my @silent = map { $_->[0] } grep { ($_->[6] // '') eq '' } grep { @$_ > 5 && $_->[0] =~ /^\w+$/ } map { [ split /\|/ ] } split /\n/, $columns;
	is_deeply(\@silent, [], "\\d+ tells of the columns of $view");
	like($columns, qr/^created_at\|timestamp with time zone\|.*\|plain\|./m, 'such as created_at');
}
my ($board) = script('select lead_id, name, team, stage from leadstream.board order by lead_id \crosstabview name team stage');
like($board, qr/^ Pia O'Hara \|.*SQL/m, '\crosstabview of the board');
my ($csv) = script('select name, team, stage from leadstream.board where name = \'Pia O\'\'Hara\'', '--csv');
is($csv, qq{name,team,stage\nPia O'Hara,"A ""team""",SQL}, 'the board as CSV');

$node->stop;
done_testing();
