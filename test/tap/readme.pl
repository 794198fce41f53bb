# README.md cannot rot: its examples are run and their output compared, its
# signatures, columns, settings and limits are looked up, and each row of its
# table of errors is provoked.
#
# Fenced blocks of sql are run in the order of the page, in one database.  A
# plain block right behind one is what psql prints, errors with their SQLSTATE;
# empty results of functions that return void are left out.  Where there is no
# such block, there must be no error and no warning.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file($ENV{LEADSTREAM_README} || 'README.md');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;

# What psql prints, errors in between, or the SQLSTATE of the last complaint.
sub run_psql
{
	my ($database, $sql) = @_;
	my $output = '';
	my $result;

	IPC::Run::run [
		$node->installed_command('psql'), '-Xq',
		'-v' => 'VERBOSITY=verbose',
		'-v' => 'SHOW_CONTEXT=never',
		'-P' => 'pager=off',
		'-d' => $node->connstr($database)
	  ],
	  '<' => \$sql,
	  '>&' => \$output;
	$output =~ s/[ \t\r]+$//mg;
	$output =~ s/^(LOCATION|CONTEXT): .*\n//mg;
	$output =~ s/^ \w+\n-+\n\n\(1 row\)\n+//mg;
	$output =~ s/\n{3,}/\n\n/g;
	$output =~ s/\A\n+|\n+\z//g;
	return $output;
}

sub sqlstate
{
	my ($output) = @_;
	my @states = $output =~ /^(?:ERROR|WARNING|NOTICE):  (\w{5})(?::|$)/mg;
	return $states[-1] || 'none';
}

sub values_of
{
	my ($database, $sql) = @_;
	return split /\n/, $node->safe_psql($database, $sql);
}

# The rows of the tables in a section, each a list of cells.
sub table_rows
{
	my ($section) = @_;
	my ($text) = $readme =~ /^#+ \Q$section\E\n(.*?)(?=^#+ |\z)/ms
	  or die "no section $section";
	my @rows;

	while ($text =~ /^\|(.*)\|$/mg)
	{
		my $line = $1;
		next if $line =~ /^-/;
		my @cells = split /(?<!\\)\|/, $line;
		s/^\s+|\s+$//g, s/\\\|/|/g foreach @cells;
		push @rows, \@cells;
	}
	return @rows;
}

sub code_in
{
	return $_[0] =~ /`([^`]+)`/g;
}


# --------------------------------------------------------------------------
# The examples
# --------------------------------------------------------------------------

$node->safe_psql('postgres', 'create database example');
$node->safe_psql('postgres', 'create database accounts');
$node->safe_psql(
	'accounts', q{
	create extension leadstream;
	create table contact (contact_id bigint primary key, account_id integer not null, email text);
	create table form_submit (form_id bigint generated always as identity primary key,
		contact_id bigint not null references contact, occurred_at timestamptz not null default now());
	create index on form_submit (contact_id, occurred_at);
});

my $nblocks = 0;
while ($readme =~ /(<!-- [^\n]*-->\n)?^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/msg)
{
	my ($mark, $sql, $expected) = ($1, $2, $3);
	my ($name) = $sql =~ /([^\n]+)/;

	# some take a server of their own
	next if defined $mark && $mark =~ /run by test/;
	my $output = run_psql($mark ? 'accounts' : 'example', $sql);

	$nblocks++;
	if (defined $expected)
	{
		chomp $expected;
		is($output, $expected, "example: $name");
	}
	else
	{
		unlike($output, qr/^(ERROR|WARNING|NOTICE):/m, "example: $name");
	}
}
cmp_ok($nblocks, '>', 20, 'examples were found');

# Said of the quick start.
my ($six) = $readme =~ /^Six statements[^\n]*\n+```sql\n(.*?)^```/ms;
cmp_ok(() = $six =~ /;\n/g, '<=', 6, 'a lead in at most six statements');

# Every rule of the language tour binds, and means the same live and in history.
my @tour = grep { $_->[0] =~ /^`/ } table_rows('Write rules');
cmp_ok(scalar @tour, '>', 15, 'the tour was found');
foreach my $row (@tour)
{
	my ($rule) = code_in($row->[0]);
	is( run_psql('example', "\\t\nselect count(*) from leadstream.verify(\$r\$ $rule \$r\$::leadstream.rule);"),
		'     0', "rule: $rule");
}

# The rights recipe is enough, and no more than enough.
foreach my $case (
	[ 'app', q{insert into form_submit (contact_id, form) values (2, 'Request a demo')}, '' ],
	[ 'app', q{select * from leadstream.lead_event}, '42501' ],
	[ 'app', q{set leadstream.sales_user = 'Sally'; select leadstream.move(1, 'Opportunity')}, '' ],
	[ 'app', q{select leadstream.move(1, 'Opportunity')}, '42501' ],
	[ 'bi', q{select count(*) as leads from leadstream.board}, '' ],
	[ 'bi', q{select count(*) as streams from leadstream.streams}, '' ],
	[ 'bi', q{select * from contact}, '42501' ],
	[ 'bi', q{select leadstream.enable('Pricing heat')}, '42501' ],
	[ 'sales', q{select leadstream.move(1, 'Won')}, '' ],
	[ 'sales', q{select leadstream.create_lead(2, 'Nordic Sales') as lead}, '' ],
	[ 'sales', q{delete from leadstream.lead}, '42501' ],
	[ 'marketing', q{select leadstream.create_stream('Theirs', 'exists(form_submit)', '{Nordic Sales}') as id}, '' ],
	[ 'marketing', q{select leadstream.enable('Theirs')}, '' ],
	[ 'marketing', q{select leadstream.fetch_history('Theirs') as leads}, '' ],
	[ 'marketing', q{select leadstream.fetch_history('{Theirs}'::text[]) as leads}, '' ],
	[ 'marketing', q{select count(*) as contacts from leadstream.preview('exists(form_submit)')}, '' ],
	[ 'marketing', q{select leadstream.alter_stream('Theirs', rule => 'exists(page_visit)')}, '' ],
	[ 'marketing', q{select leadstream.disable('Theirs')}, '' ],
	[ 'marketing', q{select leadstream.clear('Theirs') as leads}, '' ],
	[ 'marketing', q{select leadstream.drop_stream('Theirs')}, '' ],
	[ 'marketing', q{select leadstream.create_segment('theirs', 'exists(form_submit)') as id}, '' ],
	[ 'marketing', q{select leadstream.create_score_set('theirs') as id}, '' ],
	[ 'marketing', q{select leadstream.create_score_rule('theirs', 'a', 'segment(''theirs'')', 5) as id}, '' ],
	[ 'marketing', q{select leadstream.create_stream('Scored', 'score(''theirs'') > 3') as id}, '' ],
	[ 'marketing', q{select leadstream.alter_score_rule('theirs', 'a', points => 7)}, '' ],
	[ 'marketing', q{select leadstream.alter_segment('theirs', new_name => 'forms')}, '' ],
	[ 'marketing', q{select count(*) as rules from leadstream.explain_score(1)}, '' ],
	[ 'marketing', q{select leadstream.drop_stream('Scored')}, '' ],
	[ 'marketing', q{select leadstream.drop_score_set('theirs')}, '' ],
	[ 'marketing', q{select leadstream.drop_segment('forms')}, '' ],
	[ 'marketing', q{select leadstream.disable_score_set('engagement')}, '42501' ],
	[ 'marketing', q{select leadstream.disable('Demo requests')}, '42501' ],
	[ 'marketing', q{select leadstream.check_rule('exists(mail_open)')}, '42501' ])
{
	my ($role, $sql, $state) = @$case;
	my $output = run_psql('example', "set role $role;\n$sql;");

	is($output =~ /^(?:ERROR|WARNING):  (\w{5})/m ? $1 : '', $state, "as $role: $sql");
}

# --------------------------------------------------------------------------
# The reference
# --------------------------------------------------------------------------

# Beside those that begin with an underscore.
my %internal = map { $_ => 1 } qw(
  accounts_in_sight scores_in_sight check_sight enter_score capture invalidate note_columns follow_columns enter_stream end_run enter_streams note_deleted_lead forget_matches forget_stream clear_stream make_history wait_for_writers
  rule_in rule_out rule_recv rule_send rule_eq rule_ne rule_lt rule_le rule_gt rule_ge
  rule_cmp rule_hash rule_hash_extended
  shift as_instant as_number as_boolean as_text is_blank json_element json_has times always
  clock_timeline period_timeline row_span beginnings first_instant first_count
  count_pieces distinct_pieces sum_pieces avg_pieces min_pieces max_pieces first_pieces last_pieces);

my @in_catalog;
foreach my $line (
	values_of(
		'example', q{
		select p.proname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ') → '
			|| case p.prokind when 'p' then 'procedure 0'
					else replace(pg_get_function_result(p.oid), 'TABLE(', 'table(') || ' ' || p.pronargdefaults end
		from pg_proc p where p.pronamespace = 'leadstream'::regnamespace
		  and p.proname not like '\_%' order by 2}))
{
	my ($name, $signature) = split /\|/, $line, 2;
	push @in_catalog, $signature unless $internal{$name};
}
my @in_readme;
while ($readme =~ /(?:^|\| )`(\w+\([^`\n]*\) → [^`\n]+)`/mg)
{
	my $signature = $1;
	my $defaults = () = $signature =~ /\[(?:, )?"?\w+"? [\w. ]+(?:\[\])?\]/g;

	$signature =~ s/ ?\[((?:, )?"?\w+"? [\w. ]+(?:\[\])?)\]/$1/g;
	push @in_readme, "$signature $defaults";
}
is_deeply([ sort @in_readme ], [ sort @in_catalog ], 'functions and their signatures');

foreach my $section ('Views', 'Tables')
{
	my @rows = grep { $_->[0] =~ /^`/ } table_rows($section);
	my $kind = $section eq 'Views' ? "'v'" : "'r'";
	my %documented = map {
		my ($name) = code_in($_->[0]);
		$name => join(',', code_in($_->[ $section eq 'Views' ? 1 : 2 ]))
	} @rows;
	my %found = map { split /\|/ } values_of(
		'example', qq{
		select c.relname, string_agg(a.attname, ',' order by a.attnum)
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relnamespace = 'leadstream'::regnamespace and c.relkind = $kind
		  and c.relname not like '\\_%' group by 1});

	is_deeply(\%documented, \%found, "\L$section\E and their columns");
}

my %defaults = map { $_->[0] => $_->[1] } grep { $_->[0] =~ /^`/ } table_rows('Settings');
my %settings = map { split /\|/ } values_of('example', q{do 'begin perform leadstream.clock(); end';
	select '`' || name || '`', case when reset_val = '' then 'empty'
		when unit = 'kB' then '`' || replace(pg_size_pretty(reset_val::bigint * 1024), ' ', '') || '`'
		else '`' || reset_val || '`' end
	from pg_settings where name like 'leadstream.%'});
is_deeply(\%defaults, \%settings, 'settings and their defaults');

my %limit = map { my $value = $_->[1]; $value =~ s/,//g; $_->[0] => $value =~ /(\d+)/ }
  grep { $_->[1] =~ /\d/ } table_rows('The type rule');
foreach my $case (
	[ 'text of a rule', sub { "f = '" . 'x' x ($_[0] - 6) . "'" }, '54000' ],
	[ 'nesting of parentheses, `not` and conditions', sub { 'not ' x ($_[0] - 1) . 'f' }, '54001' ],
	[ 'digits of a number', sub { 'f = ' . '7' x $_[0] }, '54000' ])
{
	my ($what, $text, $state) = @$case;

	is(sqlstate(run_psql('example', "select '" . $text->($limit{$what}) =~ s/'/''/gr . "'::leadstream.rule \\g /dev/null")),
		'none', "limit: $what is allowed");
	is(sqlstate(run_psql('example', "select '" . $text->($limit{$what} + 1) =~ s/'/''/gr . "'::leadstream.rule \\g /dev/null")),
		$state, "limit: $what and one more is not");
}
is( sqlstate(run_psql('example', "begin; select leadstream.create_team(repeat('x', $limit{'name of a stream, segment, score set, score rule or team'}));")),
	'none', 'limit: name of a team');
foreach my $more (0, 1)
{
	my $length = $limit{'pattern of `like`, `ilike`, `~` or `~*`'} + $more;
	is(sqlstate(run_psql('example', "select leadstream.check_rule('email like ''" . 'x' x $length . "''')")),
		$more ? '54000' : 'none', "limit: a pattern of $length bytes");
}

# --------------------------------------------------------------------------
# The errors
# --------------------------------------------------------------------------

$node->safe_psql('postgres', 'create database errors');
$node->safe_psql(
	'errors', q{
	create extension leadstream;
	create table contact (contact_id bigint primary key, email text, e_mail text, name text, age integer, data jsonb);
	create table visit (visit_id bigint primary key, contact_id bigint not null references contact,
		url text, at timestamptz not null);
	create index on visit (contact_id, at);
	create table member (contact_id bigint not null references contact, list text, primary key (contact_id, list));
	create table spare (spare_id bigint primary key, contact_id bigint references contact, a timestamptz, b timestamptz);
	create table other (other_id bigint primary key);
	select leadstream.attach_contacts('contact');
	select leadstream.attach_activity('visit');
	select leadstream.attach_activity('member', timeless => true);
	insert into contact values (1), (2);
	select leadstream.create_team('one');
	select leadstream.create_team('idle');
	select leadstream.create_stream('on', 'exists(visit)', '{one}');
	select leadstream.create_stream('off', 'true', '{one}');
	select leadstream.create_stream('teamless', 'true');
	select leadstream.enable('on');
	select leadstream.create_lead(1, 'one');
	select leadstream.create_sales_user('Ann');
	select leadstream.create_sales_user('Bob');
	select leadstream.add_member('one', 'Ann');
	select leadstream.assign(1, 'Ann');
	create role nobody;
	create role owner;
	create role stranger;
	grant all on all tables in schema leadstream to stranger, owner;
	grant execute on all routines in schema leadstream to stranger, owner;
	select leadstream.create_segment('low', 'age < 10');
	select leadstream.create_segment('lower', 'segment(''low'') and age < 5');
	select leadstream.create_score_set('set');
	select leadstream.create_score_rule('set', 'rule', 'age > 10', 5);
	select leadstream.create_score_rule('set', 'other', 'exists(visit)', 5);
	select leadstream.create_segment('scored', 'score(''set'') > 3');
	select leadstream.create_stream('owned', 'exists(visit)', '{one}');
	update leadstream.stream set owner = 'owner' where stream = 'owned';
});

my $file = PostgreSQL::Test::Utils::tempdir() . '/rule.bin';
my $detached = "select leadstream.disable('on'); select leadstream.detach('contact');";
my $has_icu = $node->safe_psql('errors', q{select exists (select from pg_collation where collprovider = 'i')}) eq 't';
my $deep = 'not ' x 200 . 'true';

# SQLSTATE and "when" of a row => what is under "from" there => how it happens:
# SQL, or the text of a rule
my %provoke = (
	'01000 warning: no index on (contact, time), or no foreign key to the contacts' => {
		attach_activity => [ q{select leadstream.attach_activity('spare', occurred_at => 'a')},
			q{alter table spare drop constraint spare_contact_id_fkey; create index on spare (contact_id, a);
			select leadstream.attach_activity('spare', occurred_at => 'a')} ] },
	'00000 notice: it is so already' => {
		enable => q{select leadstream.enable('on')},
		disable => q{select leadstream.disable('off')},
		enable_score_set => q{select leadstream.enable_score_set('set')},
		disable_score_set => q{select leadstream.disable_score_set('set'); select leadstream.disable_score_set('set')},
		enable_score_rule => q{select leadstream.enable_score_rule('set', 'rule')},
		disable_score_rule => q{select leadstream.disable_score_rule('set', 'rule'); select leadstream.disable_score_rule('set', 'rule')},
		move => q{select leadstream.move(1, 'MQL')},
		assign => q{select leadstream.assign(1, 'Ann')},
		unassign => q{select leadstream.create_lead(2, 'one'); select leadstream.unassign(currval('leadstream.lead_lead_id_seq'))},
		hide => q{select leadstream.hide(1); select leadstream.hide(1)},
		unhide => q{select leadstream.unhide(1)},
		add_member => q{select leadstream.add_member('one', 'Ann')},
		pause_member => q{select leadstream.pause_member('one', 'Ann'); select leadstream.pause_member('one', 'Ann')},
		resume_member => q{select leadstream.resume_member('one', 'Ann')},
		activate_team => q{select leadstream.activate_team('one')},
		deactivate_team => q{select leadstream.deactivate_team('one'); select leadstream.deactivate_team('one')},
		activate_sales_user => q{select leadstream.activate_sales_user('Ann')},
		deactivate_sales_user => q{select leadstream.deactivate_sales_user('Ann'); select leadstream.deactivate_sales_user('Ann')} },
	'09000 a trigger on `leadstream.lead` kept the lead from being written' => {
		create_lead => q{create function no() returns trigger language plpgsql as 'begin return null; end';
			create trigger no before insert on leadstream.lead for each row execute function no();
			select leadstream.create_lead(2, 'one')} },
	'0A000 a condition on activities inside a `where`; a pattern that is no literal; a pattern on a column with a nondeterministic collation' => {
		rule => [ 'exists(visit where exists(member))', 'name like email', 'name ~ email' ],
		$has_icu ? (collation => q{create collation nd (provider = icu, locale = 'und', deterministic = false);
			alter table contact add note text collate nd;
			select leadstream.check_rule('note like ''a%''')}) : () },
	'0A000 a segment or a score inside a `where`' => {
		rule => [ q{exists(visit where segment('low'))}, q{exists(visit where score('set') > 1)}, 'exists(visit where score(1 where true) > 1)' ] },
	'0A000 a score rule that speaks of a score' => {
		create_score_rule => [ q{select leadstream.create_score_rule('set', 'x', 'score() > 1', 1)},
			q{select leadstream.create_score_rule('set', 'x', 'segment(''scored'')', 1)} ],
		alter_score_rule => q{select leadstream.alter_score_rule('set', 'rule', 'score(1 where true) > 0')},
		rule => q{score(1 where score('set') > 1) > 0} },
	'0A000 the combinator xor, an expression on the left side, a value source other than value and field' => {
		rule_in_json => [ map { "select '{$_}'::jsonb::leadstream.rule" } '"combinator": "xor", "rules": []',
			'"rules": [{"field": "a", "operator": "=", "value": 1, "lhs": {"kind": "field", "field": "b"}}]',
			'"rules": [{"field": "a", "operator": "=", "value": 1, "valueSource": "parameter"}]' ] },
	'0A000 `only_rule` reads the contact, other activities, the clock or a score, or names a segment' => {
		attach_activity => [ q{select leadstream.attach_activity('spare', occurred_at => 'a', only_rule => 'contact.name = ''x''')},
			q{select leadstream.attach_activity('spare', occurred_at => 'a', only_rule => 'b < now')},
			q{select leadstream.attach_activity('spare', occurred_at => 'a', only_rule => 'exists(visit)')},
			q{select leadstream.attach_activity('spare', occurred_at => 'a', only_rule => 'score(''set'') > 1')},
			q{select leadstream.attach_activity('spare', occurred_at => 'a', only_rule => 'segment(''low'')')} ] },
	'22004 an argument that must not be null is null' => {
		all => [ map { "select leadstream.$_" } q{attach_contacts(null)}, q{attach_activity(null)}, q{detach(null)},
			q{create_stream('x', null)}, q{create_stream(null, 'true')}, q{alter_stream(null)}, q{enable(null)}, q{disable(null)},
			q{clear(null)}, q{fetch_history(null::text)}, q{fetch_history(array[null])}, q{drop_stream(null)},
			q{create_segment('x', null)}, q{create_segment(null, 'true')}, q{alter_segment(null)}, q{drop_segment(null)},
			q{create_score_set(null)}, q{alter_score_set(null)}, q{drop_score_set(null)}, q{enable_score_set(null)}, q{disable_score_set(null)},
			q{create_score_rule(null, 'x', 'true', 1)}, q{create_score_rule('set', null, 'true', 1)}, q{create_score_rule('set', 'x', null, 1)},
			q{create_score_rule('set', 'x', 'true', null)}, q{alter_score_rule(null, 'rule')}, q{alter_score_rule('set', null)},
			q{drop_score_rule('set', null)}, q{enable_score_rule('set', null)}, q{disable_score_rule(null, 'rule')},
			q{create_team(null)}, q{drop_team(null)}, q{create_lead(null::bigint, 'one')}, q{create_lead(1, null)},
			q{move(null, 'SQL')}, q{move(1, null)}, q{move_contact(null::text, 'SQL')}, q{move_contact(1, null)}, q{alter_team(null)},
			q{activate_team(null)}, q{deactivate_team(null)}, q{create_sales_user(null)}, q{alter_sales_user(null)},
			q{activate_sales_user(null)}, q{deactivate_sales_user(null)}, q{drop_sales_user(null)}, q{add_member(null, 'Ann')},
			q{add_member('one', null)}, q{alter_member('one', null, 1)}, q{pause_member(null, 'Ann')}, q{resume_member('one', null)},
			q{remove_member('one', null)}, q{create_stage(null)}, q{alter_stage(null)}, q{drop_stage(null)}, q{assign(1, null)},
			q{assign(null, 'Ann')}, q{unassign(null)}, q{hide(null)}, q{unhide(null)}, q{delete_lead(null)}, q{add_note(null, 'x')},
			q{add_note(1, null)}, q{merge_contacts(null, 1)}, q{merge_contacts('1', null)}, q{simulate('exists(visit)', null)}, q{simulate(null, '2024-05-01')},
			q{compare_rules('on', null)} ] },
	'22007 an interval, a unit, a period or a literal date that does not read' => {
		rule => [ q{exists(visit within 'x')}, 'exists(visit within 7 dais)', 'exists(visit where at in this decade)',
			q{exists(visit where at > '1.5.2024')}, q{exists(visit where at > 'now')}, 'exists(visit within 1.5 months)' ] },
	'22008 an interval out of range' => { rule => 'exists(visit within 999999999999 years)' },
	'2201B a regular expression that does not compile' => { rule => q{name ~ '('} },
	'22023 `within` an interval of zero' => { rule => 'exists(visit within 0 days)' },
	'22023 not the JSON of a rule; an unknown key' => {
		rule_in_json => [ map { "select '$_'::jsonb::leadstream.rule" } '5', '{}', '{"combinator": "and", "rules": []}',
			'{"rules": [{"field": "a", "operator": "holds", "not": true}]}' ] },
	'22023 an unknown time zone' => {
		attach_contacts => qq{$detached select leadstream.attach_contacts('contact', zone => 'Middle/Earth')} },
	'22023 `account` where contacts have none; `occurred_at` together with `timeless`; unknown `events`, or without insert' => {
		attach_activity => [ q{select leadstream.attach_activity('spare', occurred_at => 'a', account => 'spare_id')},
			q{select leadstream.attach_activity('spare', occurred_at => 'a', timeless => true)},
			q{select leadstream.attach_activity('spare', occurred_at => 'a', events => '{insert,truncate}')},
			q{select leadstream.attach_activity('spare', occurred_at => 'a', events => '{delete}')} ] },
	'22023 `account` where contacts have none, or with an access that cannot end at one; an empty one' => {
		grant_access => [ q{select leadstream.grant_access('nobody', 'report', '7')}, q{select leadstream.grant_access('nobody', 'admin', '7')},
			q{select leadstream.grant_access('nobody', 'report', '')} ] },
	'22023 a period that ends before it begins' => {
		map { my ($name, $arguments) = /(\w+)(.*)/;
			($name => "select leadstream.$name$arguments, '2024-05-02', '2024-05-01')") } q{simulate('exists(visit)'},
			q{simulate_daily('exists(visit)'}, q{compare_rules('on', 'true'},
			q{score_history(1, null} },
	'22023 an infinite period' => {
		simulate_daily => [ q{select leadstream.simulate_daily('true', '-infinity', '2024-05-01')},
			q{select leadstream.simulate_daily('true', '2024-05-01', 'infinity')} ] },
	'22023 a `requalify_after` that is negative or infinite, or together with `never_requalify`' => {
		create_stream => q{select leadstream.create_stream('x', 'true', requalify_after => '-1 day')},
		alter_stream => [ q{select leadstream.alter_stream('off', requalify_after => '-1 day')},
			q{select leadstream.alter_stream('off', requalify_after => '1 day', never_requalify => true)} ] },
	'22023 more points than a score rule can have' => {
		create_score_rule => q{select leadstream.create_score_rule('set', 'x', 'true', 1000000001)},
		alter_score_rule => q{select leadstream.alter_score_rule('set', 'rule', points => -1000000001)} },
	'22023 an instant that is not finite' => { list_scores => q{select leadstream.list_scores('set', 'infinity')},
		score_history => [ q{select leadstream.score_history(1, since => '-infinity')}, q{select leadstream.score_history(1, until => 'infinity')} ] },
	'22023 `batch` below 1' => { rescore => q{call leadstream.rescore('set', 0)}, backfill => q{call leadstream.backfill('on', 0)} },
	'2D000 it is called in a transaction block' => { backfill => q{call leadstream.backfill('on')} },
	'22025 a `like` pattern that ends with its escape character' => { rule => q{name like 'a\\'} },
	'22P02 a literal that its column cannot read' => { rule => [ q{age = 'old'}, q{contact_id in ('1', 'x')} ] },
	'22P02 a key that does not read as the key of the contacts' => {
		is_match => q{select leadstream.is_match('true', 'x')},
		explain => [ q{select leadstream.explain('on', 'x')}, q{select leadstream.explain('true'::leadstream.rule, 'x')} ],
		explain_score => q{select leadstream.explain_score('x')},
		score_history => q{select leadstream.score_history('x')},
		create_lead => q{select leadstream.create_lead('x', 'one')},
		move_contact => q{select leadstream.move_contact('x', 'SQL')},
		merge_contacts => q{select leadstream.merge_contacts('x', '1')} },
	'22P03 a binary form of an unknown version' => {
		binary => qq{create temporary table r (r leadstream.rule);
			\\copy (select '\\x7f'::bytea) to '$file' with (format binary)
			\\copy r from '$file' with (format binary)
			} },
	'23503 no such contact, or not in the current account' => {
		create_lead => q{select leadstream.create_lead(99, 'one')},
		merge_contacts => q{select leadstream.merge_contacts(1, 99)} },
	'22023 a negative `max_open`' => {
		add_member => q{select leadstream.add_member('idle', 'Ann', -1)},
		alter_member => q{select leadstream.alter_member('one', 'Ann', -1)} },
	'22023 a `place` below 1' => {
		create_stage => q{select leadstream.create_stage('x', place => 0)},
		alter_stage => q{select leadstream.alter_stage('SQL', place => 0)} },
	'22023 `role` together with `no_role`' => {
		alter_sales_user => q{select leadstream.alter_sales_user('Ann', role => 'nobody', no_role => true)} },
	'22023 a contact and itself' => { merge_contacts => q{select leadstream.merge_contacts(1, 1)} },
	'22023 a blank note' => { add_note => q{select leadstream.add_note(1, ' ')} },
	'25000 the transaction is REPEATABLE READ or SERIALIZABLE' => {
		map { my ($name, $arguments) = /(\w+)(.*)/;
			($name => "set transaction isolation level repeatable read; select leadstream.$name$arguments") }
			q{drop_team('idle')}, q{drop_sales_user('Bob')}, q{remove_member('one', 'Ann')}, q{drop_stage('SQL')}, q{alter_stage('SQL', new_name => 'x')},
			q{merge_contacts(1, 2)} },
	'2BP01 streams, segments or score rules name it' => {
		drop_segment => [ q{select leadstream.drop_segment('low')}, q{select leadstream.create_score_rule('set', 'x', 'segment(''lower'')', 1);
			select leadstream.drop_segment('lower')} ],
		drop_score_set => q{select leadstream.drop_score_set('set')} },
	'22P02 a text that is no cursor' => { leads_since => q{select * from leadstream.leads_since('x')} },
	'22023 `max_leads` below 1' => { leads_since => q{select * from leadstream.leads_since(null, 0)} },
	'22023 an empty `id`, `source` or `type`' => { cloud_event => q{select leadstream.cloud_event('', 'x', 'x')} },
	'22008 an `occurred_at` that is not in the years 1 to 9999' => { cloud_event => q{select leadstream.cloud_event('x', 'x', 'x', null, 'infinity')} },
	'55000 the cursor is of another feed, of another account, or has passed transactions that this server has lost' => {
		leads_since => [ q{select * from leadstream.leads_since('lf1.1.2.3.4.5.6.7')},
			q{select * from leadstream.leads_since((select regexp_replace(cursor, '^((?:[^.]+\.){3})[^.]+', '\1FF') from leadstream.leads_since(null, 1)))},
			q{select * from leadstream.leads_since((select regexp_replace(cursor, '\d+\.\d+$', '99999999.1') from leadstream.leads_since(null, 1)))} ] },
	'55000 there are leads of another cluster, or the feed has no identity' => {
		leads_since => [ q{update leadstream.lead set made_by = '99999999'; select * from leadstream.leads_since()},
			q{delete from leadstream.feed; select * from leadstream.leads_since()} ] },
	'42501 no EXECUTE on the function, or no rights on a table it writes' => {
		all => [ map { "set role nobody; select leadstream.$_" } q{attach_contacts('contact')}, q{attach_activity('visit')},
			q{detach('visit')}, q{drop_views()}, q{create_views()}, q{create_stream('x', 'true')}, q{alter_stream('off')}, q{enable('off')}, q{disable('on')},
			q{clear('off')}, q{fetch_history('on')}, q{drop_stream('off')}, q{create_team('x')}, q{drop_team('idle')},
			q{create_segment('x', 'true')}, q{alter_segment('low')}, q{drop_segment('lower')},
			q{create_score_set('x')}, q{alter_score_set('set')}, q{drop_score_set('set')}, q{enable_score_set('set')}, q{disable_score_set('set')},
			q{create_score_rule('set', 'x', 'true', 1)}, q{alter_score_rule('set', 'rule')}, q{drop_score_rule('set', 'rule')},
			q{enable_score_rule('set', 'rule')}, q{disable_score_rule('set', 'rule')},
			q{create_lead(1, 'one')}, q{move(1, 'SQL')}, q{move_contact(1, 'SQL')}, q{move_contact('1', 'SQL')}, q{alter_team('one')},
			q{activate_team('one')}, q{deactivate_team('one')}, q{create_sales_user('x')}, q{alter_sales_user('Ann')},
			q{activate_sales_user('Ann')}, q{deactivate_sales_user('Ann')}, q{drop_sales_user('Bob')}, q{add_member('one', 'Bob')},
			q{alter_member('one', 'Ann', 1)}, q{pause_member('one', 'Ann')}, q{resume_member('one', 'Ann')}, q{remove_member('one', 'Ann')},
			q{create_stage('x')}, q{alter_stage('SQL')}, q{drop_stage('SQL')}, q{assign(1, 'Ann')}, q{unassign(1)}, q{hide(1)},
			q{unhide(1)}, q{delete_lead(1)}, q{add_note(1, 'x')}, q{merge_contacts(1, 2)}, q{merge_contacts('1', '2')},
			q{grant_access('nobody', 'app')}, q{revoke_access('nobody')} ] },
	'42501 the caller is neither a superuser nor the owner of all there is to grant' => {
		grant_access => q{set role owner; select leadstream.grant_access('nobody', 'report')},
		revoke_access => q{set role owner; select leadstream.revoke_access('nobody')} },
	'42501 the caller sees no leads of the account' => {
		map { my ($name, $arguments) = /(\w+)(.*)/;
			($name => "select leadstream.grant_access('nobody', 'sales'); set role nobody; select leadstream.$name$arguments") }
		  q{move(1, 'SQL')}, q{move_contact(1, 'SQL')}, q{assign(1, 'Ann')}, q{unassign(1)}, q{hide(1)}, q{unhide(1)},
		  q{delete_lead(1)}, q{add_note(1, 'x')} },
	'42501 the caller neither owns the table nor has the rights it takes' => {
		attach_contacts => qq{$detached set role owner; select leadstream.attach_contacts('contact')},
		attach_activity => q{set role owner; select leadstream.attach_activity('spare')} },
	q{42501 the caller is not the stream's owner} => {
		backfill => q{set role stranger; call leadstream.backfill('on')},
		map { my ($name, $arguments) = /(\w+)(.*)/;
			($name => "set role stranger; select leadstream.$name$arguments") } q{alter_stream('off')}, q{enable('off')},
			q{disable('on')}, q{clear('off')}, q{fetch_history('on')}, q{drop_stream('off')}, q{verify('on')},
			q{compare_rules('on', 'true')} },
	q{42501 the caller is not the segment's owner} => {
		alter_segment => q{set role stranger; select leadstream.alter_segment('low', 'true')},
		drop_segment => q{set role stranger; select leadstream.drop_segment('lower')} },
	q{42501 the caller is not the score set's owner} => {
		map { my ($name, $arguments) = /(\w+)(.*)/;
			($name => "set role stranger; select leadstream.$name$arguments") } q{alter_score_set('set')}, q{drop_score_set('set')},
			q{enable_score_set('set')}, q{disable_score_set('set')}, q{create_score_rule('set', 'x', 'true', 1)},
			q{alter_score_rule('set', 'rule')}, q{drop_score_rule('set', 'rule')}, q{enable_score_rule('set', 'rule')},
			q{disable_score_rule('set', 'rule')} },
	'42501 the rule names a segment or a score, and the caller may not SELECT from `leadstream.segment` or `leadstream.score_rule`' => {
		map { my ($name, $more) = @$_;
			($name => [ map { "grant select on contact to nobody; grant select on leadstream.contact_source, leadstream.activity_source to nobody;
				set role nobody; select leadstream.$name('$_'::leadstream.rule$more)" } q{segment(''low'')}, q{score(''set'') > 1} ]) }
		  [ rule_sql => '' ], [ preview => '' ], [ timeline => '' ], [ verify => '' ], [ simulate => q{, '2024-01-01'} ],
		  [ simulate_daily => q{, '2024-01-01', '2024-01-02'} ], [ compare_rules => q{, 'true'::leadstream.rule} ] },
	'42501 the caller may not SELECT a column that the rule names' => {
		check_rule => q{set role owner; select leadstream.check_rule('name = ''x''')},
		create_stream => q{set role owner; select leadstream.create_stream('x', 'exists(visit where url = ''/'')')},
		alter_stream => q{set role owner; select leadstream.alter_stream('owned', rule => 'exists(visit where url = ''/'')')},
		enable => q{set role owner; select leadstream.enable('owned')},
		create_segment => q{set role owner; select leadstream.create_segment('x', 'segment(''low'')')},
		alter_segment => q{update leadstream.segment set owner = 'owner'; set role owner; select leadstream.alter_segment('low', 'name = ''x''')},
		create_score_rule => q{update leadstream.score_set set owner = 'owner'; set role owner; select leadstream.create_score_rule('set', 'x', 'name = ''x''', 1)},
		alter_score_rule => q{update leadstream.score_set set owner = 'owner'; set role owner; select leadstream.alter_score_rule('set', 'rule', 'name = ''x''')},
		is_match => q{set role owner; select leadstream.is_match('name = ''x''', 1)},
		explain_score => q{set role owner; select leadstream.explain_score(1)},
		list_scores => q{set role owner; select leadstream.list_scores(null)},
		score_history => q{set role owner; select leadstream.score_history(1)},
		explain => q{set role owner; select leadstream.explain('owned', 1)} },
	'42601 a syntax error' => { rule => [ 'age >', '(true', '', 'count(visit)', q{name = 'x} ] },
	'42602 a blank name' => {
		create_team => q{select leadstream.create_team(' ')},
		alter_team => q{select leadstream.alter_team('one', new_name => ' ')},
		create_sales_user => q{select leadstream.create_sales_user(' ')},
		alter_sales_user => q{select leadstream.alter_sales_user('Ann', new_name => ' ')},
		create_stage => q{select leadstream.create_stage(' ')},
		alter_stage => q{select leadstream.alter_stage('SQL', new_name => ' ')},
		create_stream => q{select leadstream.create_stream('', 'true')},
		alter_stream => q{select leadstream.alter_stream('off', new_name => ' ')},
		create_segment => q{select leadstream.create_segment('', 'true')},
		alter_segment => q{select leadstream.alter_segment('low', new_name => ' ')},
		create_score_set => q{select leadstream.create_score_set(' ')},
		alter_score_set => q{select leadstream.alter_score_set('set', new_name => '')},
		create_score_rule => q{select leadstream.create_score_rule('set', '', 'true', 1)},
		alter_score_rule => q{select leadstream.alter_score_rule('set', 'rule', new_name => '')},
		attach_activity => q{select leadstream.attach_activity('spare', kind => '', occurred_at => 'a')} },
	'42622 a name that is too long' => {
		create_team => q{select leadstream.create_team(repeat('x', 201))},
		alter_team => q{select leadstream.alter_team('one', new_name => repeat('x', 201))},
		create_sales_user => q{select leadstream.create_sales_user(repeat('x', 201))},
		alter_sales_user => q{select leadstream.alter_sales_user('Ann', new_name => repeat('x', 201))},
		create_stage => q{select leadstream.create_stage(repeat('x', 201))},
		alter_stage => q{select leadstream.alter_stage('SQL', new_name => repeat('x', 201))},
		create_stream => q{select leadstream.create_stream(repeat('x', 201), 'true')},
		alter_stream => q{select leadstream.alter_stream('off', new_name => repeat('x', 201))},
		create_segment => q{select leadstream.create_segment(repeat('x', 201), 'true')},
		alter_segment => q{select leadstream.alter_segment('low', new_name => repeat('x', 201))},
		create_score_set => q{select leadstream.create_score_set(repeat('x', 201))},
		alter_score_set => q{select leadstream.alter_score_set('set', new_name => repeat('x', 201))},
		create_score_rule => q{select leadstream.create_score_rule('set', repeat('x', 201), 'true', 1)},
		alter_score_rule => q{select leadstream.alter_score_rule('set', 'rule', new_name => repeat('x', 201))},
		attach_activity => q{select leadstream.attach_activity('spare', kind => repeat('x', 64), occurred_at => 'a')} },
	'42702 several columns could be the one: name it' => {
		attach_contacts => qq{$detached alter table contact rename email to mail; select leadstream.attach_contacts('contact')},
		attach_activity => [ q{select leadstream.attach_activity('spare')},
			q{alter table spare add d bigint references contact; select leadstream.attach_activity('spare', occurred_at => 'a')} ] },
	'42703 an unknown field; a field where a kind is wanted or the other way round' => {
		rule => [ 'nam is null', 'exists(visit where nam is null)', 'visit is null', 'sum(visit) > 1', 'exists(visit.url)' ] },
	'42703 an unknown column; no column that points at the contact' => {
		attach_contacts => qq{$detached select leadstream.attach_contacts('contact', email => 'nam')},
		attach_activity => [ q{select leadstream.attach_activity('spare', occurred_at => 'nam')},
			q{select leadstream.attach_activity('other')} ] },
	'42704 no such stream in the account' => {
		explain => q{select leadstream.explain('none', 1)},
		(map { ($_ => "select leadstream.$_('none')") }
		  qw(alter_stream enable disable clear fetch_history drop_stream verify)),
		backfill => q{call leadstream.backfill('none')},
		compare_rules => q{select leadstream.compare_rules('none', 'true')} },
	'42704 no such team in the account' => {
		create_stream => q{select leadstream.create_stream('x', 'true', '{none}')},
		alter_stream => q{select leadstream.alter_stream('off', teams => '{none}')},
		drop_team => q{select leadstream.drop_team('none')},
		create_lead => q{select leadstream.create_lead(1, 'none')},
		(map { ($_ => "select leadstream.$_('none')") } qw(alter_team activate_team deactivate_team lead_channel)),
		alter_member => q{select leadstream.alter_member('none', 'Ann', 1)},
		(map { ($_ => "select leadstream.$_('none', 'Ann')") } qw(add_member pause_member resume_member remove_member)) },
	'42704 no such sales user in the account' => {
		(map { ($_ => "select leadstream.$_('none')") } qw(alter_sales_user activate_sales_user deactivate_sales_user drop_sales_user)),
		alter_member => q{select leadstream.alter_member('one', 'none', 1)},
		assign => q{select leadstream.assign(1, 'none')},
		(map { ($_ => "select leadstream.$_('one', 'none')") } qw(add_member pause_member resume_member remove_member)) },
	'42704 he is not a member of the team' => {
		alter_member => q{select leadstream.alter_member('idle', 'Ann', 1)},
		(map { ($_ => "select leadstream.$_('idle', 'Ann')") } qw(pause_member resume_member remove_member)) },
	'42704 no such segment in the account' => {
		rule => q{segment('none') and age > 1},
		alter_segment => q{select leadstream.alter_segment('none', 'true')},
		drop_segment => q{select leadstream.drop_segment('none')} },
	'42704 no such score set in the account, or no such rule in it' => {
		rule => q{score('none') > 1},
		(map { ($_ => "select leadstream.$_('none')") } qw(list_scores verify_scores alter_score_set drop_score_set enable_score_set disable_score_set)),
		score_history => q{select leadstream.score_history(1, 'none')}, rescore => q{call leadstream.rescore('none')},
		create_score_rule => q{select leadstream.create_score_rule('none', 'x', 'true', 1)},
		(map { ($_ => [ "select leadstream.$_('none', 'x')", "select leadstream.$_('set', 'none')" ]) }
		  qw(alter_score_rule drop_score_rule enable_score_rule disable_score_rule)) },
	'42704 no such stage' => { move => q{select leadstream.move(1, 'none')},
		move_contact => q{select leadstream.move_contact(1, 'none')},
		alter_stage => q{select leadstream.alter_stage('none')}, drop_stage => q{select leadstream.drop_stage('none')} },
	'42704 no such access; no such role' => {
		grant_access => [ q{select leadstream.grant_access('nobody', 'boss')}, q{select leadstream.grant_access('noone', 'app')} ] },
	'42704 the table is not attached' => { detach => q{select leadstream.detach('spare')} },
	'42704 the type of the key cannot be sorted or hashed' => {
		attach_contacts => qq{$detached create table odd (odd_id money primary key); select leadstream.attach_contacts('odd')} },
	'42710 a stream, segment, score set or rule, team, sales user, stage or kind of that name exists' => {
		create_score_set => q{select leadstream.create_score_set('set')},
		alter_score_set => q{select leadstream.create_score_set('x'); select leadstream.alter_score_set('x', new_name => 'set')},
		create_score_rule => q{select leadstream.create_score_rule('set', 'rule', 'true', 1)},
		alter_score_rule => q{select leadstream.alter_score_rule('set', 'rule', new_name => 'other')},
		alter_team => q{select leadstream.alter_team('one', new_name => 'idle')},
		create_sales_user => q{select leadstream.create_sales_user('Ann')},
		alter_sales_user => q{select leadstream.alter_sales_user('Ann', new_name => 'Bob')},
		create_stage => q{select leadstream.create_stage('SQL')},
		alter_stage => q{select leadstream.alter_stage('SQL', new_name => 'MQL')},
		create_segment => q{select leadstream.create_segment('low', 'true')},
		alter_segment => q{select leadstream.alter_segment('low', new_name => 'lower')},
		create_team => q{select leadstream.create_team('one')},
		create_stream => q{select leadstream.create_stream('on', 'true')},
		alter_stream => q{select leadstream.alter_stream('off', new_name => 'on')},
		attach_activity => q{select leadstream.attach_activity('spare', kind => 'visit', occurred_at => 'a')} },
	'42804 types that cannot be compared; a value where a condition is wanted' => {
		rule => [ 'age', 'age = true', 'now > today', 'age contains 3', 'age.x = 1', 'sum(visit.at) > 1', 'age and true', 'exists(visit where at > 3)' ] },
	q{42804 the column is no time, or not of the type of the contacts' key} => {
		attach_activity => [ q{select leadstream.attach_activity('spare', occurred_at => 'spare_id')},
			q{select leadstream.attach_activity('spare', contact_key => 'b', occurred_at => 'a')} ] },
	'42809 `within` or `older than` of a kind without times, or of the elements of an array' => {
		rule => [ 'exists(member within 1 day)', 'exists(member older than 1 day)', 'exists(data within 1 day)' ] },
	'42809 not an ordinary or partitioned table, or one that cannot be attached' => {
		attach_contacts => [ "create view v as select 1 as id; select leadstream.attach_contacts('v')",
			"create temporary table t (id bigint primary key); select leadstream.attach_contacts('t')",
			"create unlogged table u (id bigint primary key); select leadstream.attach_contacts('u')",
			"create table p (id bigint primary key) partition by list (id); create table q partition of p default;
			select leadstream.attach_contacts('q')",
			"create table p (id bigint primary key); create table q () inherits (p); select leadstream.attach_contacts('p')",
			"create foreign data wrapper w; create server s foreign data wrapper w; create foreign table f (id bigint) server s;
			select leadstream.attach_contacts('f')",
			"select leadstream.attach_contacts('pg_class')", "select leadstream.attach_contacts('leadstream.team')" ],
		attach_activity => [ "create view v as select 1 as id; select leadstream.attach_activity('v')",
			"select leadstream.attach_activity('contact')" ] },
	'42939 the kind is called contact or lead' => {
		attach_activity => [ q{select leadstream.attach_activity('spare', kind => 'contact')},
			q{select leadstream.attach_activity('spare', kind => 'lead')} ] },
	'42P01 an unknown kind' => { rule => 'exists(vist)' },
	'42P01 no such table' => {
		map { ($_ => "select leadstream.$_('none')") } qw(attach_contacts attach_activity detach) },
	'42P19 the segment would contain itself' => {
		alter_segment => [ q{select leadstream.alter_segment('low', 'segment(''low'')')},
			q{select leadstream.alter_segment('low', 'segment(''lower'')')} ] },
	'42P16 no primary key, one of several columns, or a `key` that is not unique and not null' => {
		create_views => 'alter table contact drop constraint contact_pkey cascade; select leadstream.create_views()',
		attach_contacts => [ map { "$detached create table c ($_;" }
			"a int); select leadstream.attach_contacts('c')",
			"a int, b int, primary key (a, b)); select leadstream.attach_contacts('c')",
			"a int primary key, b int not null); select leadstream.attach_contacts('c', key => 'b')",
			"a int primary key, b int unique); select leadstream.attach_contacts('c', key => 'b')" ] },
	'54000 too long, too many parts, too many digits, too long a pattern' => {
		rule => [ "name = '" . 'x' x 70000 . "'", 'age in (1' . ',1' x 10000 . ')', 'age = ' . '1' x 101, "name like '" . 'x' x 1001 . "'" ] },
	'54001 nested too deeply' => { rule => $deep },
	'55000 no contacts table is attached' => {
		map { my ($name, $arguments) = /(\w+)(.*)/;
			($name => "$detached select leadstream.$name$arguments") } q{create_stream('x', 'true')}, q{create_score_set('x')}, q{attach_activity('spare')},
			q{drop_views()}, q{create_views()}, q{check_rule('true')}, q{preview('true')}, q{explain('on', 1)}, q{create_lead(1, 'one')} },
	'55000 contacts have accounts and `leadstream.account` is empty' => {
		map { my ($name, $arguments) = /(\w+)(.*)/;
			($name => "\\c accounts\nbegin; select leadstream.$name$arguments") } q{create_team('x')}, q{create_stream('x', 'true')}, q{create_score_set('x')},
			q{enable('All forms')}, q{explain('All forms', 1)}, q{explain_score(1)}, q{move(1, 'SQL')}, q{create_sales_user('x')}, q{create_stage('x')},
			q{assign(1, 'x')} },
	'55000 the rule of a stream or segment that names it, or its score set, would not bind any more' => {
		create_score_rule => q{select leadstream.create_stream('deep', (repeat('not ', 50) || 'score(''set'') > 1')::leadstream.rule); select leadstream.create_score_rule('set', 'x', (repeat('not ', 60) || 'true')::leadstream.rule, 1)},
		alter_score_rule => q{select leadstream.create_stream('deep', 'not not not score(''set'') > 1'); select leadstream.alter_score_rule('set', 'rule', (repeat('not ', 97) || 'true')::leadstream.rule)},
		alter_segment => [ map { "$_; select leadstream.alter_segment('low', '" . 'not ' x 98 . "true')" }
			q{select leadstream.create_stream('deep', 'not not segment(''low'')')},
			q{select leadstream.create_segment('deep', 'not not segment(''low'')')} ] },
	'55000 the kind is called like an array column of the contacts of whose elements enabled streams speak' => {
		attach_activity => q{select leadstream.create_stream('elements', 'exists(data where x = 1)', '{one}');
			select leadstream.enable('elements'); select leadstream.attach_activity('spare', kind => 'data', occurred_at => 'a')} },
	'55000 the stream has no team' => { enable => q{select leadstream.enable('teamless')} },
	'55000 the last team of an enabled stream is taken away' => {
		alter_stream => q{select leadstream.alter_stream('on', teams => '{}')} },
	q{55000 the role's accesses end at another account, or at none} => {
		grant_access => qq{$detached alter table contact add account_id text; select leadstream.attach_contacts('contact', account => 'account_id', email => 'email');
			select leadstream.grant_access('nobody', 'report', '7'); select leadstream.grant_access('nobody', 'app')} },
	'55000 the score set is disabled' => {
		rescore => q{select leadstream.disable_score_set('set'); call leadstream.rescore('set')} },
	'55000 the stream is disabled' => { fetch_history => [ q{select leadstream.fetch_history('off')},
			q{select leadstream.fetch_history('{on,off}'::text[])} ],
		backfill => q{call leadstream.backfill('off')} },
	'55000 the stream is enabled' => { clear => q{select leadstream.clear('on')},
		drop_stream => q{select leadstream.drop_stream('on')} },
	'55000 enabled streams speak of the table' => { detach => [ q{select leadstream.detach('visit')},
			q{select leadstream.detach('contact')} ] },
	'55000 contacts are attached already, or the leads kept belong to other contacts' => {
		attach_contacts => [ q{select leadstream.attach_contacts('other')},
			qq{$detached select leadstream.attach_contacts('other')} ] },
	'55000 streams deliver to the team, or it has leads' => {
		drop_team => [ q{select leadstream.drop_team('one')},
			q{select leadstream.create_lead(1, 'idle'); select leadstream.drop_team('idle')} ] },
	'55000 the team is not active' => {
		create_lead => q{select leadstream.deactivate_team('idle'); select leadstream.create_lead(1, 'idle')} },
	q{55000 the sales user is not active, or not a member of the lead's team} => {
		assign => [ q{select leadstream.assign(1, 'Bob')},
			q{select leadstream.deactivate_sales_user('Ann'); select leadstream.assign(1, 'Ann')} ] },
	'55000 he has open leads, or open leads of the team' => {
		drop_sales_user => q{select leadstream.drop_sales_user('Ann')},
		remove_member => q{select leadstream.remove_member('one', 'Ann')} },
	'55000 the first stage would be a closed one' => {
		create_stage => q{select leadstream.create_stage('x', place => 1, is_closed => true)},
		alter_stage => [ q{select leadstream.alter_stage('MQL', is_closed => true)}, q{select leadstream.alter_stage('Won', place => 1)} ] },
	'55000 leads stand in the stage, or it is the first' => {
		drop_stage => [ q{select leadstream.drop_stage('MQL')},
			q{select leadstream.move(1, 'SQL'); select leadstream.drop_stage('SQL')} ] },
	'P0002 no such contact, or it is hidden from the caller or of another account' => {
		explain_score => q{select leadstream.explain_score(99)},
		explain => [ q{select leadstream.explain('on', 99)}, q{alter table visit enable row level security; alter table contact enable row level security;
			grant all on contact, visit to owner; set role owner; select leadstream.explain('on', 1)} ] },
	'P0002 the contact has no leads in the account' => { move_contact => q{select leadstream.move_contact(2, 'SQL')} },
	'P0002 no such lead in the account' => { move => q{select leadstream.move(99, 'SQL')},
		assign => q{select leadstream.assign(99, 'Ann')},
		add_note => q{select leadstream.add_note(99, 'x')},
		map { ($_ => "select leadstream.$_(99)") } qw(unassign hide unhide delete_lead) });

my $before = run_psql('errors', 'select * from leadstream.streams; select * from leadstream.lead_event');
foreach my $row (grep { $_->[0] =~ /^\w{5}$/ } table_rows('Errors'))
{
	my ($state, $from, $when) = @$row;
	my $ways = delete $provoke{"$state $when"};

	ok($ways, "error $state: $when") or next;
	foreach my $name ($from =~ /`/ ? code_in($from) : ())
	{
		fail("error $state of $name: $when") unless $ways->{$name};
	}
	foreach my $name (sort keys %$ways)
	{
		my $way = $ways->{$name};

		foreach my $sql (ref $way ? @$way : $way)
		{
			my $statement = $name eq 'rule' ? 'select leadstream.check_rule($r$' . $sql . '$r$)' : $sql;
			my $shown = length $sql > 100 ? substr($sql, 0, 97) . '...' : $sql;

			$shown =~ s/\s+/ /g;
			is(sqlstate(run_psql('errors', "begin;\n$statement;\nrollback;")), $state, "$state: $shown");
		}
	}
}
is_deeply([ keys %provoke ], [], 'no error is missing in the table');
is(run_psql('errors', 'select * from leadstream.streams; select * from leadstream.lead_event'), $before,
	'errors change nothing');

# --------------------------------------------------------------------------
# The way out
# --------------------------------------------------------------------------

my ($removal) = $readme =~ /`(drop extension leadstream cascade; [^`]+)`/;
run_psql('example', $removal);
is( join(',', values_of('example', q{select count(*) from pg_trigger where tgname like 'leadstream%'
		union all select count(*) from pg_namespace where nspname = 'leadstream'
		union all select count(*) from contact})),
	'0,0,2', 'leadstream goes without a trace');

$node->stop;
done_testing();
