--
-- The fields of a rule builder: each name is read back by the cast from jsonb
-- and binds, with each of its operators.
--
set client_min_messages = error;
create schema builder;
set search_path = builder, public;
create type plan as enum ('free', 'paid');
create domain score as integer check (value >= 0);
create table contact (
	id bigint primary key, email text, "Company name" varchar(80), country character(2), plan plan, lead_score score, weight real,
	tags text[], attrs jsonb, last_visit timestamptz, trial_ends_at timestamp, born date, vip boolean, token uuid, area box, "order" integer);
create table "Page visit" (contact_id bigint references contact, url text, ms integer, at timestamptz);
create table purchase (contact_id bigint references contact, amount numeric(10, 2), paid boolean, items jsonb, plan plan);
select leadstream.builder_fields();
select leadstream.attach_contacts('contact'), leadstream.attach_activity('"Page visit"', occurred_at => 'at'), leadstream.attach_activity('purchase', timeless => true);
select count(leadstream.create_team(t)) from unnest('{North,East}'::text[]) as t;
select leadstream.create_segment('Customers', 'plan = ''paid''');

\pset format unaligned
\pset tuples_only on
create temp table builder as select f, n from jsonb_array_elements(leadstream.builder_fields()) with ordinality as e(f, n);
select f ->> 'name', f ->> 'label', f ->> 'type', f ->> 'inputType', f ->> 'valueEditorType', f -> 'values', f -> 'valueSources', f ->> 'family', (select string_agg(s ->> 'name', ' ') from jsonb_array_elements(f -> 'subproperties') s) from builder order by n;
select jsonb_pretty(f - 'operators' - 'matchModes' || jsonb_build_object('subproperties', (select jsonb_agg(s - 'operators') from jsonb_array_elements(f -> 'subproperties') s))) from builder where f ->> 'name' = 'purchase';
select family, operators from (select distinct on (f ->> 'family') f ->> 'family' as family, (select string_agg(o ->> 'name' || coalesce(' (' || (o ->> 'arity') || ')', ''), ', ') from jsonb_array_elements(f -> 'operators') o) as operators from builder order by f ->> 'family', n) x;
select f ->> 'name', (select string_agg(m ->> 'name', ' ') from jsonb_array_elements(f -> 'matchModes') m) from builder where f ? 'matchModes';
-- Names are unique, as the library needs them, and all have what it needs.
select f ->> 'name', count(*) from builder group by 1 having count(*) > 1;
select f from builder where f ->> 'name' is null or f ->> 'label' is null or jsonb_typeof(f -> 'operators') <> 'array' or jsonb_array_length(f -> 'operators') = 0;

-- Each field with each operator and a value of its own is a rule that binds.
create temp table built as
select null::text as problem, j, o ->> 'name' as operator
from (select f, 'and' as kind from builder where not f ? 'matchModes'
	  union all
	  select s, f ->> 'name' from builder, jsonb_array_elements(f -> 'subproperties') s) as x(f, kind)
cross join lateral jsonb_array_elements(f -> 'operators') as o
cross join lateral (
	select case f ->> 'name' when 'within' then '7 days' when 'older than' then '1 day' when 'segment()' then 'Customers'
		else case f ->> 'family' when 'number' then '5' when 'boolean' then 'true' when 'time' then '2024-01-31' || case f ->> 'inputType' when 'date' then '' else 'T12:00' end
			when 'uuid' then '6f2b0a5c-0a3c-4b0e-9d2f-1b1b1b1b1b1b' else coalesce(f #>> '{values,0,name}', 'x') end end as v) as v
cross join lateral (
	select jsonb_build_object('field', f -> 'name', 'operator', o -> 'name', 'id', 'x', 'valueSource', 'value', 'value',
		case when o ->> 'arity' = 'unary' then '""'
			 when o ->> 'name' in ('between', 'notBetween') then to_jsonb(v || ',' || v)
			 when f ->> 'family' = 'boolean' then 'true' else to_jsonb(v) end) as r) as r
cross join lateral (
	select case when kind = 'and' then r else jsonb_build_object('field', kind, 'operator', '=', 'match', '{"mode": "atLeast", "threshold": 2}'::jsonb,
		'value', jsonb_build_object('combinator', 'and', 'rules', jsonb_build_array(r))) end as j) as j;
create function pg_temp.problem(j jsonb) returns text
language plpgsql as $$
begin
	perform leadstream.check_rule(jsonb_build_object('combinator', 'and', 'rules', jsonb_build_array(j))::leadstream.rule);
	return null;
exception when others then
	return sqlstate || ': ' || sqlerrm;
end
$$;
update built set problem = pg_temp.problem(j);
select problem, j from built where problem is not null;
select count(*) > 300 as many, count(distinct operator) from built;

-- A role that may read the catalog may ask for them.
select provolatile, proisstrict, proparallel, has_function_privilege('public', oid, 'execute') from pg_proc where proname in ('builder_fields', 'rule_from_jsonb', 'rule_to_jsonb', 'rule_from_jquery') order by proname;

\pset tuples_only off
select leadstream.drop_segment('Customers'), leadstream.drop_team('North'), leadstream.drop_team('East');
select leadstream.detach('purchase'), leadstream.detach('"Page visit"'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema builder cascade;
