--
-- accounts: two customers in one database, each of whom tries to get at the
-- other's.  What they have bears the same names; what is told of it does not.
--
\pset format unaligned
\pset footer off
\set VERBOSITY default
\set SHOW_CONTEXT never
set timezone = 'UTC';
set client_min_messages = warning;
create schema two;
grant usage on schema two to public;
set search_path = two;
create table contact (id bigint primary key, customer text, email text, tags text[]);
create table visit (id bigint generated always as identity, contact_id bigint not null references contact, customer text, at timestamptz not null, url text);
create index on visit (contact_id, at);
create table mail (id bigint generated always as identity, contact_id bigint not null references contact, at timestamptz not null);
create index on mail (contact_id, at);
select leadstream.attach_contacts('contact', account => 'customer');
select leadstream.attach_activity('visit', account => 'customer');
select leadstream.attach_activity('mail');
insert into contact values (1, 'red', 'one@red', '{vip}'), (2, 'red', 'two@red', '{}'), (11, 'blue', 'one@blue', '{vip}'), (12, 'blue', 'two@blue', '{}');

create role regress_two_red;
create role regress_two_blue;
create role regress_two_app;
create role regress_two_report;
create role regress_two_both;

set leadstream.account = 'red';
select leadstream.create_team(t) is not null as made from unnest('{Sales,Red only}'::text[]) t;
select leadstream.create_segment('Good', 'tags contains ''vip''') is not null as made;
select leadstream.create_stream('Visits', 'exists(visit)', '{Sales}') is not null as made;
select leadstream.create_stream('Good ones', 'segment(''Good'') and exists(mail)', '{Sales,Red only}') is not null as made;
select leadstream.create_stream('Red secret', 'exists(visit where url = ''/red'')', '{Red only}') is not null as made;
insert into leadstream.stage values ('red', 'Hot', 1, false), ('red', 'Done', 2, true);
set leadstream.account = 'blue';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_segment('Good', 'not tags contains ''vip''') is not null as made;
select leadstream.create_stream('Visits', 'exists(visit where url = ''/blue'')', '{Sales}') is not null as made;
select leadstream.create_stream('Good ones', 'segment(''Good'') and exists(mail)', '{Sales}') is not null as made;
select leadstream.enable(stream) from leadstream.stream where account = 'blue' order by stream;
set leadstream.account = 'red';
select leadstream.enable(stream) from leadstream.stream where account = 'red' order by stream;
insert into leadstream.sales_user (account, sales_user, role) values
	('red', 'Sam', 'regress_two_red'), ('blue', 'Sam', 'regress_two_blue');
insert into leadstream.team_member (team_id, sales_user_id)
	select team_id, sales_user_id from leadstream.team join leadstream.sales_user using (account);
select leadstream.grant_access('regress_two_red', 'sales'), leadstream.grant_access('regress_two_blue', 'sales'),
	leadstream.grant_access('regress_two_app', 'app', 'blue'), leadstream.grant_access('regress_two_report', 'report', 'blue'),
	leadstream.grant_access('regress_two_both', 'app');

-- Matching: a row is its contact's account's, whatever the setting says; one
-- that says it is another's is nobody's.
set leadstream.account = 'blue';
insert into visit (contact_id, customer, at, url) values (1, 'red', '2026-01-01', '/'), (11, 'blue', '2026-01-01', '/'), (12, 'blue', '2026-01-01', '/blue');
insert into mail (contact_id, at) values (1, '2026-01-01'), (2, '2026-01-01'), (11, '2026-01-01'), (12, '2026-01-01');
insert into visit (contact_id, customer, at, url) values (2, 'blue', '2026-01-01', '/blue'), (11, 'red', '2026-01-01', '/red');
select account, stream, team, contact_id from leadstream.matches order by 1, 2, 3, 4;
-- the past, and what is asked of a rule, too
select leadstream.fetch_history('{Visits,Good ones}'::text[]);
select contact_id from leadstream.preview('exists(visit)') order by 1;
select contact_id from leadstream.preview('segment(''Good'')') order by 1;
select i, leadstream.is_match('exists(visit)', i) from unnest('{1,2,11,12}'::bigint[]) i;
select contact_id from leadstream.timeline('exists(mail)') order by 1;
select * from leadstream.verify('exists(visit)'::leadstream.rule);
select leadstream.explain('Visits', 1);
select leadstream.create_lead(1, 'Sales');
select account, stream, team, contact_id from leadstream.matches where origin <> 'live' order by 1, 2, 3, 4;

-- Names: those of one account mean nothing in the other, and no hint tells them.
select leadstream.disable('Red secret');
select leadstream.alter_stream('Visits', teams => '{Red only}');
select leadstream.drop_team('Red only');
select leadstream.create_lead(11, 'Red only');
select leadstream.check_rule('segment(''Red segment'')');
select lead_id as red from leadstream.leads where contact_id = 1 and team = 'Sales' \gset
select leadstream.move(:red, 'SQL');
select leadstream.move((select max(lead_id) from leadstream.leads where account = 'blue'), 'Hot');
-- what becomes of one account's streams, teams and stages is nothing to the other
select leadstream.alter_segment('Good', 'tags contains ''never''');
select leadstream.disable('Visits');
select leadstream.clear('Visits');
select account, stream, count(*) from leadstream.matches group by 1, 2 order by 1, 2;
select leadstream.enable('Visits');
insert into visit (contact_id, customer, at, url) values (12, 'blue', '2026-01-02', '/blue');

-- Who logs in for one account may name the other, and gets nothing by it.
create function pg_temp.try(as_role name, account text, query text, sales_user text default '') returns text language plpgsql as $$
declare
	result text;
	hint text;
begin
	perform set_config('leadstream.sales_user', sales_user, true), set_config('leadstream.account', account, true);
	execute format('set local role %I', as_role);
	execute query into result;
	perform set_config('role', 'none', true);
	return coalesce(result, 'nothing');
exception when others then
	get stacked diagnostics hint = pg_exception_hint;
	return concat_ws(' ', sqlstate, sqlerrm, hint);
end
$$;
\set accounts 'select string_agg(distinct account, '','') from leadstream.'
select r.role || ' in ' || a.account || case when a.sales_user <> '' then ' as ' || a.sales_user else '' end as who,
	pg_temp.try(r.role::name, a.account, :'accounts' || 'leads', a.sales_user) as leads,
	pg_temp.try(r.role::name, a.account, :'accounts' || 'board', a.sales_user) as board,
	pg_temp.try(r.role::name, a.account, :'accounts' || 'matches', a.sales_user) as matches,
	pg_temp.try(r.role::name, a.account, 'select string_agg(distinct v, '','') from (select account v from leadstream.streams union all select account from leadstream.segments
		union all select account from leadstream.stream_versions union all select account from leadstream.stream_stats) q', a.sales_user) as others
from unnest('{regress_two_red,regress_two_blue,regress_two_app,regress_two_both,regress_two_report}'::text[]) with ordinality r(role, i),
	(values (1, 'red', ''), (2, 'blue', ''), (3, 'red', 'Sam'), (4, 'blue', 'Sam')) a(i, account, sales_user)
order by r.i, a.i;
select a.account || ': ' || q as "blue's Sam", pg_temp.try('regress_two_blue', a.account, q)
from unnest(array[format('select leadstream.move(%s, ''Hot'')', :red), 'select leadstream.move(-1, ''none'')', 'select leadstream.create_lead(1, ''Sales'')',
		'select leadstream.create_lead(1, ''Red only'')', 'select leadstream.create_lead(11, ''Sales'') is not null',
		'select leadstream._known(''Red'', array(select team from leadstream.team))', 'select leadstream.check_rule(''segment(''''x'''')'')',
		'select leadstream.rule_problem(''segment(''''Good'''')'', ''red'')', 'select leadstream._stages(''red'')']) with ordinality u(q, i),
	unnest('{red,blue}'::text[]) with ordinality a(account, i)
order by u.i, a.i;
-- row security of the tables
grant select on leadstream.lead, leadstream.lead_match, leadstream.lead_event to regress_two_blue;
select pg_temp.try(r::name, 'red', 'select string_agg(distinct t.account, '','') from (select team_id from leadstream.lead union select team_id from leadstream.lead_event) l
	left join (values ' || (select string_agg(format('(%s, %L)', team_id, account), ', ') from leadstream.team) || ') t(team_id, account) using (team_id)')
from unnest('{regress_two_blue,regress_two_report}'::text[]) r;
-- a pool that works for both accounts: two people have the same name
create role regress_two_pool;
create role regress_two_app_red;
select leadstream.grant_access('regress_two_app_red', 'app', 'red');
grant regress_two_app, regress_two_app_red to regress_two_pool;
select format('in %L', a.account) as pool, pg_temp.try('regress_two_pool', a.account, :'accounts' || 'leads', 'Sam') as leads
from unnest('{red,blue,green,""}'::text[]) with ordinality a(account, i) order by a.i;
drop owned by regress_two_pool, regress_two_app_red;
drop role regress_two_pool, regress_two_app_red;
-- every view that names the account and is granted ends at it
begin;
set leadstream.account = 'red';
select leadstream.create_score_set('Fit') is not null as made, leadstream.create_score_rule('Fit', 'Vip', 'tags contains ''vip''', 5) is not null as rule;
select a.attrelid::regclass as view, pg_temp.try('regress_two_report', 'red', format('select count(*) from %s where account <> ''blue''', a.attrelid::regclass)) as others
from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind = 'v'
where c.relnamespace = 'leadstream'::regnamespace and a.attname = 'account'
  and has_table_privilege('regress_two_report', c.oid, 'select')
  and pg_temp.try(current_user, 'red', format('select count(*) from %s where account <> ''blue''', c.oid::regclass)) <> '0'
order by a.attrelid::regclass::text collate "C";
rollback;
-- accesses that end at an account go no further by another
select leadstream.grant_access('regress_two_report', 'report');
select leadstream.grant_access('regress_two_report', 'app', 'red');
select leadstream.grant_access('regress_two_report', 'app', 'blue');
select leadstream.grant_access('regress_two_red', 'admin', 'red');
select leadstream.grant_access('regress_two_red', 'sales', 'red');
grant regress_two_report to regress_two_app;
select role, access, account, sales_users from leadstream.access where role like 'regress_two%' order by 1, 2;
select pg_temp.try('regress_two_app', 'red', :'accounts' || 'leads');
-- a restore may lose the accounts, and not the rights
begin;
delete from leadstream.access_account;
select pg_temp.try(r::name, 'red', :'accounts' || 'leads', 'Sam') from unnest('{regress_two_report,regress_two_app}'::text[]) r;
select pg_temp.try('regress_two_report', 'red', :'accounts' || 'streams');
select role, access, account, missing from leadstream.access where account is not null order by 1, 2;
select leadstream.revoke_access('regress_two_report'), leadstream.grant_access('regress_two_report', 'report', 'blue');
select pg_temp.try('regress_two_report', 'red', :'accounts' || 'leads');
rollback;
select leadstream.grant_access('regress_two_report', 'report', '');
select leadstream.revoke_access('regress_two_report');
select count(*) from leadstream.access_account where role = 'regress_two_report'::regrole;

-- A contact that goes over takes its leads along no more than before: they stay
-- where they are, and the new account's streams see it from then on.
update contact set customer = 'blue' where id = 2;
insert into visit (contact_id, customer, at, url) values (2, 'blue', '2026-01-03', '/blue');
select account, stream, team from leadstream.matches where contact_id = 2 order by 1, 2, 3;

-- A row meets the streams of its own account alone.
insert into leadstream.stream (account, stream, rule, is_enabled)
select 'account ' || a, 'stream ' || s, (array['exists(visit)', 'count(visit within 7 days) >= 2', 'exists(visit where url = ''/x'')',
	'exists(visit where url ilike ''%a%'')', 'exists(mail) and not exists(visit within 1 day)', 'tags contains ''vip'' and exists(visit)',
	'segment(''Good'') and exists(visit)', 'exists(mail)', 'email = ''a'' and exists(visit)', 'exists(visit) or exists(mail)'])[s]::leadstream.rule, true
from generate_series(1, 200) a, generate_series(1, 10) s;
insert into leadstream.segment (account, segment, rule) select 'account ' || a, 'Good', 'email like ''a%''' from generate_series(1, 200) a;
select leadstream.index_streams() is not null as indexed;
insert into contact select 100 + a, 'account ' || a, 'a', '{vip}' from generate_series(1, 200) a;
select max(cardinality(found)) <= 10 as its_own_ten, bool_and(cardinality(found) > 0) as some,
	bool_and((select bool_and(s.account = c.customer) from leadstream.stream s where s.stream_id = any (found))) as none_of_others
from contact c, lateral (select leadstream._look_up('visit', row(null, c.id, c.customer, '2026-01-01'::timestamptz, '/x')::visit, contact => c) as found) f
where c.id > 100;
select max(cardinality(found)) <= 10 as its_own_ten, bool_and(cardinality(found) > 0) as some,
	bool_and((select bool_and(s.account = c.customer) from leadstream.stream s where s.stream_id = any (found))) as none_of_others
from contact c, lateral (select leadstream._look_up('mail', row(null, c.id, '2026-01-01'::timestamptz)::mail, contact => c) as found) f
where c.id > 100;

update leadstream.stream set is_enabled = false where is_enabled;
select leadstream.detach('visit');
select leadstream.detach('mail');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage, leadstream.segment,
	leadstream.sales_user, leadstream.team_member restart identity;
reset leadstream.account;
drop schema two cascade;
drop owned by regress_two_red, regress_two_blue, regress_two_app, regress_two_report, regress_two_both;
drop role regress_two_red, regress_two_blue, regress_two_app, regress_two_report, regress_two_both;
