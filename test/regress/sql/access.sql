--
-- access: what roles see and may do that have an access, and by whose leave
--
\pset format unaligned
\pset footer off
\set VERBOSITY terse
\set SHOW_CONTEXT never
set client_min_messages = warning;
create schema acc;
set search_path = acc;
create role regress_acc_anna;
create role regress_acc_bob;
create role regress_acc_app;
create role regress_acc_report;
create role regress_acc_admin;
create role regress_acc_member in role regress_acc_report;
create role regress_acc_stray;
create table contact (id bigint primary key, email text, secret text);
create table visit (id bigint generated always as identity, contact_id bigint references contact, at timestamptz not null default '2026-01-01 00:00Z');
create index on visit (contact_id, at);
insert into contact select i, 'u' || i, 'hush' || i from generate_series(1, 6) i;
grant usage on schema acc to public;

-- before there is anything to see: it is granted when it comes
select leadstream.grant_access('regress_acc_report', 'report'), leadstream.grant_access('regress_acc_app', 'app');
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.grant_access('regress_acc_anna', 'sales'), leadstream.grant_access('regress_acc_bob', 'sales'),
	leadstream.grant_access('regress_acc_admin', 'admin');
select role, access, account, missing from leadstream.access where role like 'regress_acc%' order by role;

select leadstream.create_team(t) is not null as made from unnest('{North,South}'::text[]) t;
insert into leadstream.sales_user (sales_user, role) values
	('Anna', 'regress_acc_anna'), ('Bob', 'regress_acc_bob'), ('Cleo', null), ('Idle', null);
insert into leadstream.team_member (team_id, sales_user_id)
select t.team_id, u.sales_user_id
from (values ('North', 'Anna'), ('South', 'Bob'), ('North', 'Cleo'), ('South', 'Cleo')) v(team, sales_user)
join leadstream.team t using (team) join leadstream.sales_user u using (sales_user);
select leadstream.create_stream('All', 'exists(visit)', '{North}') is not null as made;
select leadstream.enable('All');
insert into visit (contact_id) values (1), (2);
select leadstream.create_lead(i, 'South') is not null as made from generate_series(2, 4) i;

-- the views on leads are barriers and show those in sight, themselves or by a view
create temporary view on_leads as
with recursive reads as (
	select distinct r.ev_class as view, d.refobjid as relation
	from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
	where d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
), above as (
	select view, relation from reads
	union
	select r.view, a.relation from reads r join above a on a.view = r.relation
)
select c.oid::regclass as view, c.reloptions, string_agg(pg_get_viewdef(a.source), ' ') as text
from pg_class c
cross join lateral (select relation as source from above where view = c.oid
					and relation in (select oid from pg_class where relkind = 'v')
					union select c.oid) as a
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v'
  and exists (select from above b where b.view = c.oid
			  and b.relation in ('leadstream.lead'::regclass, 'leadstream.lead_match'::regclass, 'leadstream.lead_event'::regclass))
group by c.oid;
select count(*) > 3 as some from on_leads;
select 'not a barrier: ' || view from on_leads where not 'security_barrier=true' = any (coalesce(reloptions, '{}')) order by 1;
select 'shows what is not in sight: ' || view from on_leads where text !~ 'in_sight' order by 1;
-- functions of sales users are doors, and what they take is of types that are known
select 'no door: ' || p.oid::regprocedure from pg_proc p
where p.pronamespace = 'leadstream'::regnamespace and p.proname = any (leadstream._sales_functions())
  and p.prosrc not in ('leadstream_as_lead_owner', 'leadstream_create_lead')
  and not 'anyelement'::regtype = any (p.proargtypes::oid[])
order by 1;
select 'a door for any type: ' || p.oid::regprocedure from pg_proc p
where p.prosrc in ('leadstream_as_lead_owner', 'leadstream_as_owner')
  and exists (select from unnest(p.proargtypes::oid[]) a join pg_type t on t.oid = a where t.typtype = 'p')
order by 1;

--
-- Who sees what: roles, and the sales user that the setting names.
--
create function pg_temp.sees(as_role name, sales_user text) returns text language plpgsql as $$
declare
	result text;
begin
	perform set_config('leadstream.sales_user', sales_user, true);
	execute format('set local role %I', as_role);
	select coalesce(string_agg(left(team, 1) || contact_id, ' ' order by team, contact_id), 'none') into result from leadstream.leads;
	if result <> (select coalesce(string_agg(left(team, 1) || contact_id, ' ' order by team, contact_id), 'none') from leadstream.board)
	   or (select count(*) from leadstream.matches m) <> (select count(*) from leadstream.leads where team = 'North') then
		result := result || ', and other things elsewhere';
	end if;
	reset role;
	return result;
exception when others then
	reset role;
	return sqlerrm;
end
$$;
select r.role, pg_temp.sees(('regress_acc_' || r.role)::name, '') as plain, pg_temp.sees(('regress_acc_' || r.role)::name, 'Anna') as "as Anna",
	pg_temp.sees(('regress_acc_' || r.role)::name, 'Cleo') as "as Cleo", pg_temp.sees(('regress_acc_' || r.role)::name, 'Idle') as "as Idle",
	pg_temp.sees(('regress_acc_' || r.role)::name, 'nobody') as "as nobody"
from unnest('{anna,bob,app,report,admin,member,stray}'::text[]) with ordinality r(role, i) order by i;
-- whatever was granted by hand, who has no access sees none
grant select on leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.leads, leadstream.board, leadstream.matches to regress_acc_stray;
grant pg_read_all_data to regress_acc_stray;
select pg_temp.sees('regress_acc_stray', '') as stray, pg_temp.sees('regress_acc_stray', 'Anna') as "as Anna";
set role regress_acc_stray;
select (select count(*) from leadstream.lead) as leads, (select count(*) from leadstream.lead_match) as matches, (select count(*) from leadstream.lead_event) as events;
reset role;
-- the tables say the same as the views
grant select on leadstream.lead, leadstream.lead_match, leadstream.lead_event to regress_acc_anna;
set role regress_acc_anna;
select (select count(*) from leadstream.lead) as leads, (select count(*) from leadstream.lead_match) as matches, (select count(*) from leadstream.lead_event) as events;
reset role;
revoke select on leadstream.lead, leadstream.lead_match, leadstream.lead_event from regress_acc_anna;
-- who is not active sees nothing any more
update leadstream.sales_user set is_active = false where sales_user in ('Anna', 'Cleo');
select pg_temp.sees('regress_acc_anna', '') as anna, pg_temp.sees('regress_acc_app', 'Cleo') as cleo;
update leadstream.sales_user set is_active = true;
-- one and the same role may be both
select leadstream.grant_access('regress_acc_app', 'report');
select pg_temp.sees('regress_acc_app', '') as plain, pg_temp.sees('regress_acc_app', 'Anna') as "as Anna";
-- a prepared statement and a function are nobody's
prepare seen as select count(*) from leadstream.leads;
execute seen;
set role regress_acc_anna;
execute seen;
set role regress_acc_bob;
execute seen;
reset role;
execute seen;

--
-- Functions that a caller brings along see what the views show, and no more.
--
create function acc.look(text) returns boolean language plpgsql cost 0.0000001 as $$ begin raise notice 'saw %', $1; return true; end $$;
set client_min_messages = notice;
set role regress_acc_anna;
select contact_id from leadstream.board where acc.look(email) order by contact_id;
reset role;
set role regress_acc_report;
select count(*) from leadstream.lead_event where what = 'created' and acc.look(what) and contact_id = 1;
reset role;
set client_min_messages = warning;
-- the teams are computed once, before anything
set role regress_acc_anna;
create function pg_temp.plan(query text) returns text language plpgsql as $$
declare
	line text;
	plan text := '';
begin
	for line in execute 'explain (costs off) ' || query loop
		plan := plan || line;
	end loop;
	return plan;
end
$$;
select plan ~ 'Index Scan using lead_pkey' as by_key, plan ~ 'InitPlan' as once, plan ~ 'SubPlan' as for_each
from pg_temp.plan('select lead_id from leadstream.leads where lead_id = 1') as plan;
reset role;

--
-- Who may do what to which lead.
--
create function pg_temp.try(as_role name, query text, sales_user text default '') returns text language plpgsql as $$
begin
	perform set_config('leadstream.sales_user', sales_user, true);
	execute format('set local role %I', as_role);
	execute query;
	raise sqlstate 'RU000';
exception
	when sqlstate 'RU000' then return 'ok';
	when others then return sqlstate || ' ' || sqlerrm;
end
$$;
select lead_id as north from leadstream.leads where contact_id = 1 \gset
select lead_id as south from leadstream.leads where contact_id = 3 \gset
select pg_temp.try('regress_acc_anna', format('select leadstream.move(%s, ''SQL'')', :north)) as hers,
	pg_temp.try('regress_acc_anna', format('select leadstream.move(%s, ''SQL'')', :south)) as others,
	pg_temp.try('regress_acc_anna', format('select leadstream.move(%s, ''SQL'')', :south), 'Bob') as "others, setting Bob";
select pg_temp.try('regress_acc_anna', 'select leadstream.create_lead(5, ''North'')') as hers,
	pg_temp.try('regress_acc_anna', 'select leadstream.create_lead(5, ''South'')') as others,
	pg_temp.try('regress_acc_anna', 'select leadstream.create_lead(5, ''None'')') as none;
select pg_temp.try('regress_acc_app', format('select leadstream.move(%s, ''SQL'')', :south), 'Cleo') as "as Cleo",
	pg_temp.try('regress_acc_app', format('select leadstream.move(%s, ''SQL'')', :south), 'Anna') as "as Anna",
	pg_temp.try('regress_acc_app', format('select leadstream.move(%s, ''SQL'')', :south), 'Idle') as "as Idle",
	pg_temp.try('regress_acc_admin', format('select leadstream.move(%s, ''SQL'')', :south)) as admin,
	pg_temp.try('regress_acc_report', format('select leadstream.move(%s, ''SQL'')', :south)) as report;
select pg_temp.try('regress_acc_anna', q) from unnest(array[
	'update leadstream.lead set stage = ''Won''', 'insert into leadstream.lead_event default values', 'delete from leadstream.lead_event', 'select * from leadstream.sales_user',
	'select * from acc.contact', 'select * from leadstream.streams', 'select * from leadstream.access', 'select leadstream._move(1, ''SQL'')',
	'select leadstream._sight()', 'select leadstream._teams_in_sight()', 'select leadstream.enable(''All'')', 'select leadstream.grant_access(''regress_acc_anna'', ''admin'')']) q;
-- an admin merges contacts, renames stages and asks how things are
select q as admin, pg_temp.try('regress_acc_admin', q) from unnest(array[
	'select leadstream.merge_contacts(3, 4)', 'select leadstream.merge_contacts(''3'', ''2'')', 'select leadstream.alter_stage(''MQL'', new_name => ''New'')',
	'select leadstream.overview()', 'update leadstream.attached_table set columns = ''{}''']) q;
-- done by the one who did it, with the rights of another
set role regress_acc_anna;
select leadstream.move(:north, 'SQL', 'called');
reset role;
select actor, what, old, new, note from leadstream.lead_event where lead_id = :north order by event_id;
-- triggers of the owner of the lead tables: for whom, and as whom
create role regress_acc_dba;
grant usage, create on schema leadstream to regress_acc_dba;
select leadstream.grant_access('regress_acc_dba', 'admin');
alter table leadstream.lead owner to regress_acc_dba;
alter table leadstream.lead_match owner to regress_acc_dba;
alter table leadstream.lead_event owner to regress_acc_dba;
create function acc.tell() returns trigger language plpgsql as $$ begin raise notice 'as %, sees % teams', current_user, cardinality(leadstream.teams_in_sight()); return new; end $$;
create trigger tell before update on leadstream.lead for each row execute function acc.tell();
set client_min_messages = notice;
set role regress_acc_anna;
select leadstream.move(:north, 'MQL');
-- an error inside leaves nobody another
select leadstream.move(:north, 'none');
select current_user, cardinality(leadstream.teams_in_sight()) as teams;
do $$
begin
	perform leadstream.move(-1, 'SQL');
exception when others then
	raise notice '%: %, % teams', sqlerrm, current_user, cardinality(leadstream.teams_in_sight());
end
$$;
reset role;
set client_min_messages = warning;
drop trigger tell on leadstream.lead;

--
-- Granted twice, revoked twice, by nobody else, and exactly.
--
create temporary view rights as
	select c.oid::regclass::text as object, a.grantee::regrole::text as role, a.privilege_type as privilege
	from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'leadstream'::regnamespace
	union all
	select p.oid::regprocedure::text, a.grantee::regrole::text, a.privilege_type
	from pg_proc p, aclexplode(p.proacl) a where p.pronamespace = 'leadstream'::regnamespace;
create temporary table before as select * from rights;
select leadstream.grant_access('regress_acc_bob', 'sales');
select 'more: ' || r from (table rights except table before) r;
select leadstream.grant_access('regress_acc_bob', 'report'), leadstream.grant_access('regress_acc_bob', 'app'), leadstream.grant_access('regress_acc_bob', 'admin');
select access, missing from leadstream.access where role = 'regress_acc_bob' order by 1;
select count(*) > 50 as many from (table rights except table before) r;
select leadstream.revoke_access('regress_acc_bob');
select 'left: ' || r.object from rights r where role = 'regress_acc_bob';
select 'another''s: ' || r from (select * from before where role <> 'regress_acc_bob' except table rights) r;
set client_min_messages = notice;
select leadstream.revoke_access('regress_acc_bob');
set client_min_messages = warning;
select access from leadstream.access where role = 'regress_acc_bob';
-- a right that somebody took away
revoke select on leadstream.board from regress_acc_report;
select missing from leadstream.access where role = 'regress_acc_report';
select leadstream.grant_access('regress_acc_report', 'report');
select missing from leadstream.access where role = 'regress_acc_report';
-- what is as good as being the owner is nobody's
select object, privilege from rights where role = 'regress_acc_admin'
	and (object ~ 'attach|detach|_access\(|access_(path|key|account)|_source' or object in ('capture()')) order by 1, 2;
\set VERBOSITY default
select leadstream.grant_access('regress_acc_bob', 'boss');
select leadstream.grant_access('regress_acc_bob', 'report', '7');
select leadstream.grant_access('regress_acc_nobody', 'report');
select leadstream.grant_access(null, 'report');
select leadstream.grant_access('regress_acc_bob', null);
grant execute on function leadstream.grant_access to regress_acc_admin;
set role regress_acc_admin;
select leadstream.grant_access('regress_acc_bob', 'admin');
reset role;
revoke execute on function leadstream.grant_access from regress_acc_admin;
-- a name that has to be quoted
create role "regress_acc_O'Hara ""x""";
select leadstream.grant_access('"regress_acc_O''Hara ""x"""', 'sales');
select role, access from leadstream.access where role ~ 'Hara';
select leadstream.revoke_access('"regress_acc_O''Hara ""x"""');
drop role "regress_acc_O'Hara ""x""";
\set VERBOSITY terse

select leadstream.disable('All');
select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage,
	leadstream.sales_user, leadstream.team_member restart identity;
drop schema acc cascade;
drop owned by regress_acc_anna, regress_acc_bob, regress_acc_app, regress_acc_report, regress_acc_admin, regress_acc_member, regress_acc_stray, regress_acc_dba;
drop role regress_acc_anna, regress_acc_bob, regress_acc_app, regress_acc_report, regress_acc_admin, regress_acc_member, regress_acc_stray, regress_acc_dba;
select count(*) from leadstream.access;
