# Who sees and does what, by roles that log in: the four accesses and none, one
# login for all sales users, and 10,000 accounts.
#
# The truth is written down here a second time: who is a member of which team,
# and whose leads are on which board.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init;
$node->start;

# What a role gets: rows, or the SQLSTATE.
sub as_role
{
	my ($role, $sql, $database) = @_;
	my ($out, $err) = ('', '');

	$node->psql($database || 'firm', "\\set VERBOSITY sqlstate\nset client_min_messages = error;\n$sql",
		stdout => \$out, stderr => \$err, extra_params => [ '-q', '-U', $role ]);
	return $err =~ /ERROR:  (\w{5})/ ? $1 : $out;
}


# --------------------------------------------------------------------------
# Kinds of roles and what they do
# --------------------------------------------------------------------------

$node->safe_psql('postgres', 'create database firm');
$node->safe_psql(
	'firm', q{
	create extension leadstream;
	create table contact (id bigint primary key, email text);
	create table visit (id bigint generated always as identity primary key,
		contact_id bigint not null references contact, occurred_at timestamptz not null default now());
	create index on visit (contact_id, occurred_at);
	insert into contact select i, 'u' || i from generate_series(1, 30) i;
	select leadstream.attach_contacts('contact');
	select leadstream.attach_activity('visit');
	select leadstream.create_team(t) from unnest('{north,south,east}'::text[]) t;
	create role admin login;
	create role ann login;
	create role bob login;
	create role reports login;
	create role app login;
	create role poor login;
	grant insert on visit to app, poor;
	grant select on contact, visit to admin;
	select leadstream.grant_access('admin', 'admin'), leadstream.grant_access('ann', 'sales'), leadstream.grant_access('bob', 'sales'),
		leadstream.grant_access('reports', 'report'), leadstream.grant_access('app', 'app');
	insert into leadstream.sales_user (sales_user, role) values ('Ann', 'ann'), ('Bob', 'bob'), ('Cleo', null);
	insert into leadstream.team_member (team_id, sales_user_id)
	select t.team_id, u.sales_user_id
	from (values ('north', 'Ann'), ('south', 'Bob'), ('south', 'Cleo'), ('east', 'Cleo')) v (team, sales_user)
	join leadstream.team t using (team) join leadstream.sales_user u using (sales_user);
	select leadstream.create_lead(i, (array['north', 'south', 'east'])[1 + i % 3]) from generate_series(1, 30) i;
});
my %lead = map { split /\|/ } split /\n/,
  $node->safe_psql('firm', 'select team, min(lead_id) from leadstream.leads group by team');
my $all = 30;

# what is done => by admin, ann (north), reports, app, app for Cleo (south, east), poor
my @kinds = ('admin', 'ann', 'reports', 'app', 'app for Cleo', 'poor');
my @matrix = (
	[ 'select count(*) from leadstream.leads', $all, 10, $all, 0, 20, '42501' ],
	[ 'select count(*) from leadstream.board', $all, 10, $all, 0, 20, '42501' ],
	[ 'select count(*) from leadstream.lead', $all, 10, $all, 0, 20, '42501' ],
	[ 'select count(*) from leadstream.lead_event', $all, '42501', $all, '42501', '42501', '42501' ],
	[ 'select count(*) from leadstream.streams', 0, '42501', 0, '42501', '42501', '42501' ],
	[ 'select count(*) > 3 from leadstream.access', 't', '42501', '42501', '42501', '42501', '42501' ],
	[ 'select count(*) > 0 from leadstream.team', 't', '42501', '42501', '42501', '42501', '42501' ],
	[ 'select count(*) from contact', $all, '42501', '42501', '42501', '42501', '42501' ],
	[ "select leadstream.move($lead{north}, 'SQL')", '', '', '42501', '42501', 'P0002', '42501' ],
	[ "select leadstream.move($lead{south}, 'SQL')", '', 'P0002', '42501', '42501', '', '42501' ],
	[ "select leadstream.create_lead(1, 'north') > 0", 't', 't', '42501', '42704', '42704', '42501' ],
	[ "select leadstream.create_lead(1, 'east') > 0", 't', '42704', '42501', '42704', 't', '42501' ],
	[ "update leadstream.lead set stage = 'Won' where false", '', '42501', '42501', '42501', '42501', '42501' ],
	[ 'delete from leadstream.lead_event', '42501', '42501', '42501', '42501', '42501', '42501' ],
	[ "select leadstream.create_team('new') > 0", 't', '42501', '42501', '42501', '42501', '42501' ],
	[ "select leadstream.create_stream('s', 'exists(visit)', '{north}') > 0", 't', '42501', '42501', '42501', '42501', '42501' ],
	[ "select leadstream.attach_activity('visit', kind => 'again')", '42501', '42501', '42501', '42501', '42501', '42501' ],
	[ "select leadstream.grant_access('poor', 'admin')", '42501', '42501', '42501', '42501', '42501', '42501' ],
	[ 'insert into visit (contact_id) values (1)', '42501', '42501', '42501', '', '', '' ]);
foreach my $row (@matrix)
{
	my ($sql, @expected) = @$row;
	my @got = map {
		my ($role, $user) = split / for /;
		as_role($role, ($user ? "set leadstream.sales_user = '$user';\n" : '') . "begin;\n$sql;\nrollback;")
	} @kinds;

	s/^\s+|\s+$//g foreach @got;
	is_deeply(\@got, \@expected, $sql);
}

# Each function of sales users, on the lead of another team.
foreach my $call (split /\n/, $node->safe_psql('firm', q{
	select format('leadstream.%s(%s)', p.proname, string_agg(
		case a.name when 'lead' then 'LEAD' when 'sales_user' then '''Ann''' when 'stage' then '''Won''' else '''x''' end, ', ' order by a.i))
	from pg_proc p, unnest(p.proargnames) with ordinality as a (name, i)
	where p.pronamespace = 'leadstream'::regnamespace and p.proname = any (leadstream._sales_functions()) and p.proargnames[1] = 'lead'
	group by p.oid, p.proname order by 1}))
{
	my ($theirs, $hers) = ($call =~ s/LEAD/$lead{south}/r, $call =~ s/LEAD/$lead{north}/r);

	is(as_role('ann', "begin; select $theirs; rollback;"), 'P0002', "of others: $call");
	is(as_role('ann', "begin; select $hers; rollback;") =~ s/\s+//gr, '', "of her own: $call");
}

# Who asks in one session after another, as a pool does.
is( as_role('app', q{
	begin; set local leadstream.sales_user = 'Ann'; select count(*) from leadstream.board; commit;
	begin; set local leadstream.sales_user = 'Cleo'; select count(*) from leadstream.board; commit;
	begin; select count(*) from leadstream.board; commit;}),
	"10\n20\n0", 'a setting ends with its transaction, and so does what is seen by it');

# What is taken away is gone at once, in sessions that are there.
my $session = $node->background_psql('firm', extra_params => [ '-U', 'ann' ]);
is($session->query('select count(*) from leadstream.board'), '10', 'a member of a team');
$node->safe_psql('firm', q{delete from leadstream.team_member where sales_user_id = (select sales_user_id from leadstream.sales_user where sales_user = 'Ann')});
is($session->query('select count(*) from leadstream.board'), '0', 'a member of none');
$node->safe_psql('firm', q{
	insert into leadstream.team_member (team_id, sales_user_id) select team_id, sales_user_id from leadstream.team, leadstream.sales_user
		where team = 'east' and sales_user = 'Ann'});
is($session->query('select count(*) from leadstream.board'), '10', 'and of another');
$node->safe_psql('firm', q{update leadstream.sales_user set is_active = false where sales_user = 'Ann'});
is($session->query('select count(*) from leadstream.board'), '0', 'one who is not active any more');
$session->quit;
$node->safe_psql('firm', q{select leadstream.revoke_access('bob')});
is(as_role('bob', 'select count(*) from leadstream.board'), '42501', 'one whose access was taken back');

# What an access gives goes along in a dump, and with the role.
my $dump = $node->basedir . '/firm.dump';
my $state = q{select string_agg(a::text, ' ' order by role, access) from leadstream.access a};
$node->safe_psql('firm', 'alter role reports rename to "The BI"');
my $before = $node->safe_psql('firm', $state);
like($before, qr/The BI/, 'an access follows the name of its role');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('firm') ], 'it is dumped');
$node->safe_psql('postgres', 'create database other');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('other'), $dump ], 'and restored');
is($node->safe_psql('other', $state), $before, 'with all rights that it takes');
is(as_role('app', q{set leadstream.sales_user = 'Cleo'; select count(*) from leadstream.board}, 'other'), '20', 'and what is seen by it');
is(as_role('poor', 'select count(*) from leadstream.lead', 'other'), '42501', 'and what is not');
$node->safe_psql('other', 'grant select on leadstream.lead, leadstream.lead_match to poor');
is(as_role('poor', 'select count(*) from leadstream.lead', 'other'), '0', 'row security is restored');


# --------------------------------------------------------------------------
# 10,000 accounts of ten streams each
# --------------------------------------------------------------------------

$node->safe_psql('postgres', 'create database many');
$node->safe_psql(
	'many', q{
	create extension leadstream;
	create table contact (id bigint primary key, account_id integer not null, country text);
	create table visit (id bigint generated always as identity primary key, account_id integer not null,
		contact_id bigint not null references contact, occurred_at timestamptz not null default now(), url text);
	create index on visit (contact_id, occurred_at);
	create table mail (id bigint generated always as identity primary key,
		contact_id bigint not null references contact, occurred_at timestamptz not null default now());
	create index on mail (contact_id, occurred_at);
	insert into contact select i, i, 'SE' from generate_series(1, 10000) i;
	select leadstream.attach_contacts('contact', account => 'account_id');
	select leadstream.attach_activity('visit', account => 'account_id');
	select leadstream.attach_activity('mail');
	insert into leadstream.team (account, team) select i::text, 'Sales' from generate_series(1, 10000) i;
	insert into leadstream.stream (account, stream, rule, is_enabled)
	select a::text, 'stream ' || s, (array['exists(visit)', 'count(visit within 7 days) >= 2', 'exists(visit where url = ''/x'')',
		'exists(visit where url ilike ''%a%'')', 'country = ''SE'' and exists(visit)', 'exists(mail) and exists(visit)',
		'exists(mail)', 'count(mail) > 1', 'exists(visit where url like ''/a%'')', 'exists(visit) or exists(mail)'])[s]::leadstream.rule, true
	from generate_series(1, 10000) a, generate_series(1, 10) s;
	insert into leadstream.stream_team select s.stream_id, t.team_id from leadstream.stream s join leadstream.team t using (account);
	update leadstream.stream set is_seeded = true;
	analyze;
});
is($node->safe_psql('many', 'select count(*) from leadstream.stream where is_enabled'), '100000', 'streams of 10,000 accounts');

# A session that is new has met the streams that concerned its rows, and no others.
my $met = q{select coalesce(sum(entries), 0) from leadstream.session_cache() where part = 'streams'};
foreach my $case (
	[ q{insert into visit (account_id, contact_id, url) values (7, 7, '/abc')}, 7, 'an activity that tells its account' ],
	[ q{insert into mail (contact_id) values (8)}, 8, 'one that does not' ],
	[ q{insert into visit (account_id, contact_id, url) values (7, 9, '/abc')}, 9, 'one that tells another' ])
{
	my ($sql, $account, $what) = @$case;
	my @found = split /\n/, $node->safe_psql('many', "$sql;\n$met;\nselect count(*) filter (where account = '$account'), count(*) from leadstream.matches
		where contact_id = $account;");

	cmp_ok($found[0], '<=', 10, "$what meets at most ten of 100,000 streams");
	cmp_ok($found[0], '>', 0, "$what meets some") if $account != 9;
	my ($own, $total) = split /\|/, $found[1];
	is($own, $total, "$what makes leads of its account");
	cmp_ok($total, $account == 9 ? '==' : '>', 0, "$what makes leads as it should");
}

# One who sees an account's boards is as far from the others'.
$node->safe_psql(
	'many', q{
	create role seven login;
	select leadstream.grant_access('seven', 'report', '7')});
is( as_role('seven', q{set leadstream.account = '8'; select string_agg(distinct account, ',') from (
	select account from leadstream.leads union all select account from leadstream.board union all select account from leadstream.matches
	union all select account from leadstream.streams union all select account from leadstream.stream_versions) q}, 'many'),
	'7', 'views end at the account');

done_testing();
