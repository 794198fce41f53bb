-- Functions in C called by hand, with nulls, with values at the edges of their types
-- and with what they were not made for: a result or a clean error.
set client_min_messages = error;
set timezone = 'UTC';
create schema any_argument;
set search_path = any_argument, public;
create table contact (id bigint primary key, country text);
create table visit (id bigint generated always as identity primary key, contact_id bigint not null references contact, at timestamptz not null default '2026-01-01 00:00Z');
create index on visit (contact_id, at);
-- before anything is attached, and after
create table called (attached boolean, call text, problem text);
create function try(attached boolean, call text) returns void
language plpgsql as $$
begin
	execute call;
	insert into called values (attached, call);
exception when others then
	insert into called values (attached, call, sqlstate);
end
$$;
create function call_all(attached boolean) returns void
language plpgsql as $$
declare
	samples constant jsonb := '{"text": "''2026-01-01''", "boolean": "true", "integer": "1", "bigint": "7", "name": "''x''", "numeric": "2.5", "double precision": "2.5", "real": "2.5", "jsonb": "''[1,\"x\"]''",
		"timestamp with time zone": "''2026-01-01 00:00Z''", "timestamp without time zone": "''2026-01-01''", "date": "''2026-01-01''", "interval": "''1 day''", "leadstream.rule": "''count(visit within 1 day) > 0''",
		"anyelement": "7", "\"any\"": "7", "anyarray": "''{1,2}''::integer[]", "record": "row(1)", "regclass": "''contact''", "tstzmultirange": "''{[2026-01-01,2026-02-01)}''"}';
	edges constant jsonb := '{"text": ["''''", "repeat(''%('', 5000)"], "integer": [-2147483648, 2147483647], "bigint": [-9223372036854775808, 9223372036854775807], "name": ["''''"],
		"numeric": ["''NaN''", "''-Infinity''", "1e100"], "double precision": ["''NaN''", "''Infinity''", "1e308"], "jsonb": ["''null''", "''{\"a\": [{}, null]}''"],
		"timestamp with time zone": ["''-infinity''", "''infinity''", "''4714-11-24 00:00Z BC''", "''294276-12-31 23:59:59.999999Z''"],
		"timestamp without time zone": ["''-infinity''", "''infinity''", "''4714-11-24 BC''", "''294276-12-31 23:59:59.999999''"],
		"date": ["''-infinity''", "''infinity''", "''4714-11-24 BC''", "''5874897-12-31''"], "interval": ["''-178000000 years''", "''178000000 years''"],
		"leadstream.rule": ["''nobody''", "''score() > 0 and exists(lead)''", "''count(visit) >= 2 * count(visit within 1 day older than 1 day)''"],
		"anyarray": ["''{}''::timestamptz[]", "array[null, ''x'']"], "record": ["row()", "row(null, row(1))"], "regclass": ["0", "''pg_class''"], "tstzmultirange": ["''{}''", "''{(,)}''"]}';
	f record;
	args text[];
	types text[];
	edge text;
begin
	for f in
		select p.oid::regprocedure as signature, n.nspname || '.' || quote_ident(p.proname) as name,
			array(select a.oid::regtype::text from unnest(p.proargtypes) with ordinality a(oid, o) order by o) as types
		from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
		where n.nspname = 'leadstream' and l.lanname = 'c' and p.prokind = 'f' and p.prorettype not in ('trigger'::regtype)
			and p.proname !~ '^rule_|^_?wait|^enter|create_lead|forget|clear|make_history|subscript|selfuncs' and 'internal'::regtype <> all (p.proargtypes::oid[]::regtype[])
		order by 1
	loop
		types := f.types;
		for i in 0 .. coalesce(array_length(types, 1), 0) + 1 loop
			-- all null; each by itself; none
			select array_agg(case when i = 0 or i = o then 'null' || case when t in ('anyelement', '"any"') then '::bigint' when t = 'anyarray' then '::integer[]' else '::' || t end
				when right(t, 2) = '[]' then '''{}''::' || t
				else coalesce(samples ->> t, '''x''') || case when t in ('anyelement', '"any"', 'anyarray', 'record') then '' else '::' || t end end order by o)
			into args from unnest(types) with ordinality a(t, o);
			perform try(attached, format('select %s(%s)', f.name, array_to_string(args, ', ')));
		end loop;
		-- args are none null; each in turn is at an edge
		for i in 1 .. coalesce(array_length(types, 1), 0) loop
			for edge in select jsonb_array_elements_text(edges -> types[i]) loop
				perform try(attached, format('select %s(%s)', f.name, concat_ws(', ', nullif(array_to_string(args[:i - 1], ', '), ''),
					case when types[i] in ('anyarray', 'record') then edge else format('(%s)::%s', edge, types[i]) end, nullif(array_to_string(args[i + 1:], ', '), ''))));
			end loop;
		end loop;
	end loop;
end
$$;
select call_all(false);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', occurred_at => 'at');
insert into contact values (7, 'SE');
insert into visit (contact_id) values (7);
select call_all(true);
select attached, count(*) > 80 as many, count(*) > count(problem) as some_good from called group by 1 order by 1;
select * from called where problem like 'XX%';

-- what concerns a row: of which table, and whose
select leadstream._look_up('nothing', v) from visit v;
select leadstream._look_up('nothing', null::visit);
select leadstream._look_up('visit', c) from contact c;
select leadstream._look_up(null, c) from contact c;
select leadstream._look_up('visit', row(1, 2));
-- the clock
set leadstream.clock = 'infinity';
set leadstream.clock = 'tomorrow';
set leadstream.clock = '2026-01-01';
reset leadstream.clock;

select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema any_argument cascade;
