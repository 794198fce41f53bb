--
-- rights: who may do what, whose rights count, and what no right can bend
--
-- The lead tables belong to a role that is no superuser, so that row security
-- means something to it.  The roles have what README.md says they need.
--
\pset format unaligned
\pset footer off
\set VERBOSITY sqlstate
set timezone = 'UTC';
set client_min_messages = warning;
create schema firm;

create role regress_ls_dba;
create role regress_ls_market;
create role regress_ls_rival;
create role regress_ls_sales;
create role regress_ls_bi;
create role regress_ls_app;
create role regress_ls_nobody;

grant create, usage on schema firm to regress_ls_dba;
grant usage on schema firm to regress_ls_market, regress_ls_rival, regress_ls_sales, regress_ls_bi, regress_ls_app;
grant create on schema leadstream to regress_ls_dba;
grant select, insert, update, delete, references on all tables in schema leadstream to regress_ls_dba;
grant execute on all functions in schema leadstream to regress_ls_dba;

set role regress_ls_dba;
set search_path = firm;
create table contact (id bigint primary key, country text, secret text, score integer);
create table visit (id bigint generated always as identity, contact_id bigint references contact,
	at timestamptz not null default '2026-01-01 00:00Z', url text);
create index on visit (contact_id, at);
create table note (contact_id bigint references contact, note text);
create index on note (contact_id);
insert into contact select i, 'SE', 'hush', i from generate_series(1, 50) i;
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('Sales') is not null as made;

-- as README.md grants it
grant insert on visit to regress_ls_app;
grant select (country), update (country) on contact to regress_ls_app;
grant select on leadstream.board, leadstream.leads, leadstream.matches to regress_ls_market;
grant select, delete on leadstream.lead_match to regress_ls_market, regress_ls_rival;
grant select (id, country, score) on contact to regress_ls_market, regress_ls_rival;
grant select on visit to regress_ls_market, regress_ls_rival;
reset role;
select leadstream.grant_access('regress_ls_bi', 'report'), leadstream.grant_access('regress_ls_sales', 'sales');
insert into leadstream.sales_user (sales_user, role) values ('Sally', 'regress_ls_sales');
insert into leadstream.team_member (team_id, sales_user_id) select team_id, sales_user_id from leadstream.team, leadstream.sales_user;
grant select on leadstream.streams to regress_ls_market;
-- whose leads are in sight is a right, too
grant execute on function leadstream._access_report() to regress_ls_market;
grant execute on function leadstream.create_stream, leadstream.alter_stream, leadstream.drop_stream,
  leadstream.enable, leadstream.disable, leadstream.clear, leadstream.clear_stream, leadstream.forget_stream,
  leadstream.fetch_history(text), leadstream.fetch_history(text[]), leadstream.make_history,
  leadstream.wait_for_writers to regress_ls_market, regress_ls_rival;
grant select on leadstream.contact_source, leadstream.activity_source, leadstream.team, leadstream.fields to regress_ls_market, regress_ls_rival;
grant update on leadstream.team to regress_ls_market, regress_ls_rival;
grant select, insert, update, delete on leadstream.stream, leadstream.stream_version, leadstream.stream_team to regress_ls_market, regress_ls_rival;

set role regress_ls_market;
select leadstream.create_stream('Visitors', 'exists(visit)', '{Sales}') is not null as made;
select leadstream.enable('Visitors');
select leadstream.create_stream('Off', 'exists(visit where url = ''/off'')', '{Sales}') is not null as made;
reset role;

--
-- The matrix.  Each cell is tried and undone: ok, or the SQLSTATE.
--
create function pg_temp.try(as_role name, query text) returns text language plpgsql as $$
begin
	execute format('set local role %I', as_role);
	execute query;
	raise sqlstate 'RU000';
exception
	when sqlstate 'RU000' then return 'ok';
	when others then return sqlstate;
end
$$;
create temporary table actions (i integer generated always as identity, what text, query text);
insert into visit (contact_id, url) values (1, '/first');
insert into actions (what, query) values
	('attach a table', $$ select leadstream.attach_activity('firm.note') $$),
	('  and detach it', $$ select leadstream.attach_activity('firm.note'); select leadstream.detach('firm.note') $$),
	('detach a table of enabled streams', $$ select leadstream.detach('firm.visit') $$),
	('create a stream', $$ select leadstream.create_stream('s', 'country = ''SE''', '{Sales}') $$),
	('  with a column that may not be read', $$ select leadstream.create_stream('s', 'secret = ''x''') $$),
	('alter: name, teams', $$ select leadstream.alter_stream('Visitors', new_name => 'V', teams => '{Sales}') $$),
	('alter: rule', $$ select leadstream.alter_stream('Visitors', rule => 'exists(visit where url = ''/'')') $$),
	('alter: rule that may not be read', $$ select leadstream.alter_stream('Visitors', rule => 'secret = ''x''') $$),
	('enable', $$ select leadstream.enable('Off') $$),
	('disable', $$ select leadstream.disable('Visitors') $$),
	('fetch_history', $$ select leadstream.fetch_history('Visitors') $$),
	('  of the ids', $$ select leadstream.make_history(array(select stream_id from leadstream.stream where stream = 'Visitors')) $$),
	('clear', $$ select leadstream.clear('Off') $$),
	('drop_stream', $$ select leadstream.drop_stream('Off') $$),
	('create_team', $$ select leadstream.create_team('t') $$),
	('drop_team', $$ select leadstream.drop_team('Sales') $$),
	('create_lead', $$ select leadstream.create_lead(2::bigint, 'Sales') $$),
	('create_lead, key as text', $$ select leadstream.create_lead('2'::text, 'Sales') $$),
	('move', $$ select leadstream.move((select max(lead_id) from leadstream.leads), 'SQL') $$),
	('insert an activity', $$ insert into firm.visit (contact_id, url) values (3, '/') $$),
	('change a contact', $$ update firm.contact set country = 'NO' $$),
	('read an activity', $$ select from firm.visit $$),
	('read board', $$ select from leadstream.board $$),
	('read leads', $$ select from leadstream.leads $$),
	('read matches', $$ select from leadstream.matches $$),
	('read streams', $$ select count(problem), count(lead_count) from leadstream.streams $$),
	('read fields', $$ select from leadstream.fields $$),
	('read lead_event', $$ select from leadstream.lead_event $$),
	('delete a lead', $$ delete from leadstream.lead $$),
	('forge a lead', $$ insert into leadstream.lead (contact_id, team_id, stage, created_at, stage_changed_at)
		values (4, (select min(team_id) from leadstream.team), 'MQL', now(), now()) $$),
	('forge a match', $$ insert into leadstream.lead_match
		select min(l.lead_id), min(s.stream_id), 1, now(), now(), 'live' from leadstream.leads l, leadstream.streams s where s.stream = 'Visitors' $$),
	('change stages', $$ delete from leadstream.stage $$),
	('forge keys', $$ insert into leadstream.access_key values (1, 1) $$),
	('parse, print, compare a rule', $$ select 'a = 1'::leadstream.rule operator(leadstream.=) 'b = 1'::leadstream.rule,
		leadstream.rule_kinds('exists(visit)'), leadstream.is_match(null::leadstream.rule, 1::bigint) $$),
	('call functions of values', $$ select leadstream.as_instant('2026-01-01', 'UTC') $$),
	('check_rule', $$ select leadstream.check_rule('country = ''SE''') $$),
	('preview', $$ select leadstream.preview('country = ''SE''') $$),
	('timeline', $$ select leadstream.timeline('exists(visit)') $$),
	('is_match', $$ select leadstream.is_match('exists(visit)', 1::bigint) $$),
	('is_match of what may not be read', $$ select leadstream.is_match('secret = ''x''', 1::bigint) $$),
	('explain a stream', $$ select leadstream.explain('Visitors', 1) $$),
	('explain a rule', $$ select leadstream.explain('exists(visit)'::leadstream.rule, 1) $$),
	('explain what may not be read', $$ select leadstream.explain('secret = ''x'''::leadstream.rule, 1) $$),
	('rule_sql of what may not be read', $$ select leadstream.rule_sql('secret = ''x''') $$),
	('verify', $$ select leadstream.verify('country = ''SE'''::leadstream.rule) $$),
	('index_streams', $$ select leadstream.index_streams() $$),
	('wait_for_writers', $$ select leadstream.wait_for_writers('{firm.visit}') $$),
	('clear_stream', $$ select leadstream.clear_stream((select stream_id from leadstream.streams where stream = 'Off')) $$),
	('forget_stream', $$ select leadstream.forget_stream((select stream_id from leadstream.streams where stream = 'Off')) $$),
	('set account', $$ set leadstream.account = 'x' $$),
	('set cache_size', $$ set leadstream.cache_size = '4MB' $$),
	('set capture', $$ set leadstream.capture = off $$),
	('set clock', $$ set leadstream.clock = '2026-01-01' $$);
-- dba: owns the lead tables and has everything; market: owns the streams;
-- rival: has the same rights, and other streams
select a.what, string_agg(pg_temp.try(('regress_ls_' || r.role)::name, a.query), ' | ' order by r.n)
	as "dba | market | rival | sales | bi | app | nobody"
from actions a, unnest('{dba,market,rival,sales,bi,app,nobody}'::text[]) with ordinality as r(role, n)
group by a.i, a.what order by a.i;
-- nothing of all that has stayed
select stream, is_enabled, lead_count from leadstream.streams order by stream;

--
-- Whoever inserts needs no rights but that; nor is anything asked of the owner
-- of the stream any more.
--
set role regress_ls_app;
insert into visit (contact_id, url) values (5, '/');
select count(*) from leadstream.lead;
reset role;
revoke select on visit from regress_ls_market;
set role regress_ls_app;
insert into visit (contact_id, url) values (6, '/');
reset role;
grant select on visit to regress_ls_market;
select contact_id, stream from leadstream.matches order by contact_id;
select contact_id, actor from leadstream.lead_event where contact_id > 1 order by contact_id;

--
-- Row security that hides everything, forced on the owners, too.
--
alter table contact enable row level security;
alter table contact force row level security;
alter table visit enable row level security;
alter table visit force row level security;
alter table leadstream.lead force row level security;
alter table leadstream.lead_match force row level security;
alter table leadstream.lead_event force row level security;
create policy app on visit for insert to regress_ls_app with check (url <> '/forbidden');
set role regress_ls_app;
insert into visit (contact_id, url) values (7, '/'), (7, '/');
insert into visit (contact_id, url) values (8, '/forbidden');
reset role;
select contact_id, stream_id = (select min(stream_id) from leadstream.stream) as is_it from leadstream.lead join leadstream.lead_match using (lead_id)
	where contact_id > 6 order by contact_id;
select contact_id, actor, what from leadstream.lead_event where contact_id > 6 order by event_id;

-- who asks sees what he may see
create policy half on contact for select to regress_ls_market using (id < 7);
create policy later on visit for select to regress_ls_market using (contact_id <> 5);
set role regress_ls_market;
select contact_id from leadstream.preview('exists(visit)') order by contact_id;
select contact_id from leadstream.timeline('exists(visit)') order by contact_id;
select i, leadstream.is_match('exists(visit)', i) from unnest('{1,5,7}'::bigint[]) i;
select * from leadstream.verify('exists(visit)'::leadstream.rule);
select leadstream.create_stream('Mine', 'exists(visit)', '{Sales}') is not null as made;
select leadstream.enable('Mine');
select leadstream.fetch_history('Mine');
reset role;
select contact_id from leadstream.lead join leadstream.lead_match using (lead_id)
	where origin = 'history' order by contact_id;
set role regress_ls_market;
select leadstream.disable('Mine');
select leadstream.clear('Mine');
select count(*) from leadstream.lead_match where origin = 'history';
select leadstream.drop_stream('Mine');
reset role;
drop policy half on contact;
drop policy later on visit;
alter table contact no force row level security;
alter table contact disable row level security;
alter table visit no force row level security;
alter table visit disable row level security;
alter table leadstream.lead no force row level security;
alter table leadstream.lead_match no force row level security;
alter table leadstream.lead_event no force row level security;

--
-- A role changed between the row and the commit.
--
create function at_commit() returns trigger language plpgsql as $$
begin
	insert into firm.visit (contact_id, url) values (new.id, '/late');
	return null;
end
$$;
create constraint trigger at_commit after update on contact deferrable initially deferred
	for each row execute function at_commit();
alter function at_commit() security definer;
begin;
set local role regress_ls_app;
update contact set country = 'NO' where country = 'NO' or country = 'SE';
rollback;
begin;
set local role regress_ls_app;
insert into visit (contact_id, url) values (9, '/');
set local role regress_ls_nobody;
savepoint a;
set local role regress_ls_app;
insert into visit (contact_id, url) values (10, '/');
rollback to a;
reset role;
update contact set score = 1 where id = 11;
set local role regress_ls_nobody;
commit;
select contact_id, stream from leadstream.matches where contact_id between 9 and 20 order by contact_id;
drop trigger at_commit on contact;

--
-- Our trigger functions on somebody's own table.
--
create schema evil;
grant create, usage on schema evil to regress_ls_nobody, regress_ls_market;
set role regress_ls_nobody;
create table evil.mine (id bigint, contact_id bigint, url text);
create function pg_temp.put(trigger_function text, arguments text) returns text language plpgsql as $$
begin
	execute format('create trigger t after insert on evil.mine for each row execute function leadstream.%I(%s)',
				   trigger_function, arguments);
	execute 'drop trigger t on evil.mine';
	return 'ok';
exception when others then
	return sqlstate;
end
$$;
select p.proname, pg_temp.put(p.proname, '''activity'', ''1''')
from pg_proc p where pronamespace = 'leadstream'::regnamespace and prorettype = 'trigger'::regtype
order by proname;
reset role;
-- what who may can do with it: no row of his is one of the contacts
create table evil.lookalike (id text, country text);
create trigger t after insert on evil.lookalike for each row execute function leadstream.capture('contact');
insert into evil.lookalike values ('1', 'SE');
create trigger u after delete on evil.mine for each row execute function leadstream.capture('contact');
create trigger v after insert on evil.mine for each row execute function leadstream.capture('activity', '4711');
create trigger w before update on evil.mine for each row execute function leadstream.capture('contact');
insert into evil.mine values (1, 12, '/');
update evil.mine set url = '/x';
delete from evil.mine;
drop trigger v on evil.mine;
create trigger v after insert on evil.mine for each row execute function leadstream.capture();
insert into evil.mine values (1, 12, '/');
drop table evil.lookalike, evil.mine;
select leadstream.capture();

--
-- A search_path that leads elsewhere, with functions, operators and tables in
-- front of the server's.  Whatever is called of them says so.
--
create function evil.caught() returns text language plpgsql as $$
begin
	raise exception 'caught';
end
$$;
do $$
declare
	f record;
begin
	-- what our functions and queries call of the server's, with the same arguments
	for f in
		select p.proname, p.oid, p.prorettype::regtype as result, pg_get_function_identity_arguments(p.oid) as arguments
		from pg_proc p
		where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset
		  and p.proname in ('format', 'quote_ident', 'quote_literal', 'to_regclass', 'format_type', 'now', 'lower', 'left',
				'strpos', 'length', 'octet_length', 'btrim', 'current_setting', 'pg_has_role', 'has_table_privilege',
				'concat_ws', 'replace', 'convert_to', 'cardinality', 'statement_timestamp', 'clock_timestamp',
				'pg_current_xact_id', 'pg_current_xact_id_if_assigned', 'array_to_string', 'obj_description', 'text', 'int8', 'timestamptz',
				'like', 'texteq', 'starts_with', 'position', 'date_trunc', 'timezone')
		  and not exists (select from unnest(p.proargtypes::oid[]) t join pg_type y on y.oid = t where y.typtype = 'p')
	loop
		execute format('create function evil.%I(%s) returns %s language plpgsql as %L', f.proname, f.arguments, f.result,
					   'begin perform evil.caught(); end');
	end loop;
	for f in
		select o.oprname, o.oprleft::regtype as l, o.oprright::regtype as r, o.oprresult::regtype as result, o.oid
		from pg_operator o
		where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft <> 0
		  and o.oprname in ('=', '<>', '<', '<=', '>', '>=', '||', '~~', '~', '+', '-', '*', '@>', '&&', '->', '->>')
		  and not exists (select from pg_type y where y.oid in (o.oprleft, o.oprright, o.oprresult) and y.typtype = 'p')
	loop
		execute format('create function evil.op_%s(%s, %s) returns %s language plpgsql as %L', f.oid, f.l, f.r, f.result,
					   'begin perform evil.caught(); end');
		execute format('create operator evil.%s (function = evil.op_%s, leftarg = %s, rightarg = %s)', f.oprname, f.oid, f.l, f.r);
	end loop;
end
$$;
create view evil.contact_source as select evil.caught();
create view evil.stream as select evil.caught();
create view evil.lead as select evil.caught();
create view evil.pg_class as select evil.caught();
create view evil.pg_attribute as select evil.caught();
create domain evil.text as pg_catalog.text check (evil.caught() is null);
create domain evil.name as pg_catalog.name check (evil.caught() is null);
create table evil.contact (id bigint);
create temporary table pg_class (oid integer);
create temporary table contact_source (contacts integer);
set search_path = evil, pg_temp, pg_catalog;
-- the trap is set
select 1 where 'a'::pg_catalog.text = 'a'::pg_catalog.text;
select lower('A'::pg_catalog.text);
select leadstream.attach_activity('firm.note');
select leadstream.create_team('Trapped') operator(pg_catalog.>) 0 as made;
select leadstream.create_stream('Trapped', $$ country like 'S%' and not score in (1, 2) and country starts with 's'
	and count(visit where url = '/trap' within 1 month) >= 2 and last(visit.at) > '2000-01-01'
	and exists(note where note contains 'x') $$, '{Trapped}', 'caught?') operator(pg_catalog.>) 0 as made;
select leadstream.enable('Trapped');
insert into firm.note values (20, 'xyz'), (21, 'xyz'), (22, 'y');
insert into firm.visit (contact_id, at, url) values
	(20, pg_catalog.now(), '/trap'), (20, pg_catalog.now(), '/trap'), (22, pg_catalog.now(), '/trap'), (22, pg_catalog.now(), '/trap');
insert into firm.visit (contact_id, at, url) values (21, pg_catalog.now(), '/trap');
update firm.contact set country = 'NO' where id operator(pg_catalog.=) 21;
insert into firm.visit (contact_id, at, url) values (21, pg_catalog.now(), '/trap');
update firm.contact set country = 'SE' where id operator(pg_catalog.=) 21;
select contact_id, team, streams from leadstream.board where contact_id operator(pg_catalog.>=) 20 order by lead_id;
select leadstream.fetch_history('Trapped');
select contact_id from leadstream.preview($$ exists(note where note contains 'y') and country = 'SE' $$) order by contact_id;
select contact_id from leadstream.timeline($$ exists(note where note contains 'y') and country = 'SE' $$) order by contact_id;
select contact_id from leadstream.verify('Trapped');
select leadstream.is_match($$ country = 'SE' $$, 20::bigint);
select problem, lead_count from leadstream.streams where stream operator(pg_catalog.=) 'Trapped';
select pg_catalog.count(*) operator(pg_catalog.>) 0 as some from leadstream.fields;
select found_by from leadstream.stream_stats where stream operator(pg_catalog.=) 'Trapped' order by found_by;
select leadstream.create_lead(23::bigint, 'Trapped') operator(pg_catalog.>) 0 as made;
select leadstream.move(pg_catalog.max(lead_id), 'SQL', 'trapped') from leadstream.leads;
select leadstream.alter_stream('Trapped', rule => 'country = ''DK''', description => '', new_name => 'Trap');
select leadstream.index_streams() operator(pg_catalog.>) 0 as indexed;
select leadstream.disable('Trap');
select leadstream.clear('Trap');
select leadstream.drop_stream('Trap');
delete from leadstream.lead where contact_id operator(pg_catalog.=) 23;
select leadstream.drop_team('Trapped');
select leadstream.detach('firm.note');
-- the query shown runs under any path
select pg_catalog.format('select pg_catalog.count(*) from (%s) q', leadstream.rule_sql($$ country = 'SE' and exists(visit within 1 month) $$)) \gexec
reset search_path;
drop table pg_temp.pg_class, pg_temp.contact_source;
set client_min_messages = error;
drop schema evil cascade;
set client_min_messages = warning;

-- operators and casts of one's own types
create schema evil;
grant usage on schema evil to regress_ls_dba;
create type evil.mood as enum ('good', 'bad');
create function evil.mood_eq(evil.mood, pg_catalog.text) returns boolean language plpgsql as
	'begin raise exception ''caught''; end';
create operator evil.= (function = evil.mood_eq, leftarg = evil.mood, rightarg = pg_catalog.text);
create function evil.mood_text(evil.mood) returns pg_catalog.text language plpgsql as
	'begin raise exception ''caught''; end';
create cast (evil.mood as pg_catalog.text) with function evil.mood_text(evil.mood) as assignment;
alter table firm.contact add mood evil.mood;
set search_path = evil, firm;
select leadstream.create_stream('Moody', $$ mood = 'good' and exists(visit where url = '/mood') $$, '{Sales}') is not null as made;
select leadstream.enable('Moody');
update contact set mood = 'good' where id = 30;
insert into visit (contact_id, url) values (30, '/mood');
select stream, contact_id from leadstream.matches where contact_id = 30 order by stream;
select contact_id from leadstream.preview($$ mood in ('good', 'bad') $$);
select leadstream.disable('Moody');
select leadstream.clear('Moody');
select leadstream.drop_stream('Moody');
reset search_path;
alter table firm.contact drop column mood;
drop schema evil cascade;

select leadstream.disable(stream) from leadstream.stream where is_enabled;
select leadstream.detach('firm.visit');
select leadstream.detach('firm.contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage,
	leadstream.sales_user, leadstream.team_member;
drop schema firm cascade;
drop owned by regress_ls_dba, regress_ls_market, regress_ls_rival, regress_ls_sales, regress_ls_bi, regress_ls_app, regress_ls_nobody;
drop role regress_ls_dba, regress_ls_market, regress_ls_rival, regress_ls_sales, regress_ls_bi, regress_ls_app, regress_ls_nobody;
