--
-- ddl: tables changed under enabled streams
--
-- Each change is made in a session that knows the streams, followed by rows
-- into what is left of the tables, and undone.  None of those rows may fail.
-- Shown are the streams that made no lead any more, each with the problem that
-- leadstream.streams tells, or "no problem", where the rule is not true of what
-- the rows hold now; all others did.  Undone, all make leads again.
--
\pset format unaligned
\pset footer off
\pset tuples_only on
set timezone = 'UTC';
set client_min_messages = error;
set leadstream.clock = '2026-01-15 00:00Z';
create schema ddl;
create schema ddl_other;
set search_path = ddl;
create type grade as enum ('a', 'b');
create domain plan as text;
create table contact (id bigint primary key, email text, country text, attrs jsonb, grade grade, plan plan);
create table visit (
	id bigint generated always as identity primary key,
	contact_id bigint not null references contact, at timestamptz not null, url text, amount integer);
create index visit_contact_at on visit (contact_id, at);
create table event (
	id bigint generated always as identity primary key,
	contact_id bigint not null references contact, at timestamptz not null, what text);
create index on event (contact_id, at);
create table page (contact_id bigint not null references contact, at timestamptz not null, url text) partition by range (at);
create table page_1 partition of page for values from ('2026-01-01') to ('2026-01-10');
create table page_2 partition of page for values from ('2026-01-10') to ('2026-02-01');
create index on page (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.attach_activity('event', kind => 'click', only_rule => $$ what = 'click' $$);
select leadstream.attach_activity('page');
select leadstream.create_team('Sales') is not null;
select leadstream.create_stream(name, rule::leadstream.rule, '{Sales}') is not null
from (values
	('any', $$ exists(visit) $$),
	('url', $$ exists(visit where url = '/p') $$),
	('many', $$ count(visit where url like '/%' within 30 days) >= 2 $$),
	('last', $$ last(visit.amount) > 5 $$),
	('country', $$ country = 'SE' $$),
	('both', $$ country = 'SE' and exists(visit) $$),
	('json', $$ attrs.plan = 'pro' and exists(visit) $$),
	('grade', $$ grade = 'a' and exists(visit) $$),
	('plan', $$ plan = 'pro' and exists(visit) $$),
	('click', $$ exists(click) $$),
	('page', $$ count(page where url = '/p') >= 2 $$)) as v(name, rule);
select leadstream.enable(stream) from leadstream.stream;

create temporary table place as
	select c.oid as relid, c.relname as name, a.attnum, a.attname as was
	from pg_class c join pg_attribute a on a.attrelid = c.oid
	where c.relnamespace = 'ddl'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
	  and a.attnum > 0 and a.attidentity = '';

-- a row into a table, by where its columns are now; a column that came since
-- gets the value of the one that had its name
create function pg_temp.put(relation name, contact bigint, at timestamptz) returns text language plpgsql as $$
declare
	row_values constant jsonb := jsonb_build_object('id', contact, 'contact_id', contact, 'at', at, 'url', '/p',
		'amount', 10, 'country', 'SE', 'attrs', '{"plan": "pro"}', 'grade', 'a', 'plan', 'pro', 'what', 'click');
	statement text;
begin
	select format('insert into %s (%s) values (%s)', a.attrelid::regclass,
				  string_agg(format('%I', a.attname), ', ' order by a.attnum),
				  string_agg(case when t.typcategory = 'N' and row_values ->> coalesce(p.was, a.attname) !~ '^\d+$' then '7'
								  when t.typcategory = 'D' and row_values ->> coalesce(p.was, a.attname) !~ '^\d+-' then quote_literal('2026-01-01')
								  when t.typname in ('json', 'jsonb') and row_values ->> coalesce(p.was, a.attname) !~ '^{' then '''"/p"'''
								  when t.typname = 'bool' then 'true'
								  else quote_literal(row_values ->> coalesce(p.was, a.attname)) end, ', ' order by a.attnum))
	into statement
	from pg_attribute a
	join pg_type t on t.oid = a.atttypid
	left join place p on p.relid = a.attrelid and p.attnum = a.attnum
	where a.attrelid = (select relid from place where name = relation limit 1)
	  and a.attnum > 0 and not a.attisdropped and a.attidentity = '' and row_values ? coalesce(p.was, a.attname)
	group by a.attrelid;
	if statement is not null then
		execute statement;
	end if;
	return null;
exception when others then
	return format('ROW FAILED: %s: %s %s', statement, sqlstate, sqlerrm);
end
$$;
create function pg_temp.put_all(contact bigint) returns text language sql as $$
	select concat_ws(' ',
		pg_temp.put('contact', contact, null),
		pg_temp.put('visit', contact, '2026-01-01'), pg_temp.put('visit', contact, '2026-01-02'),
		pg_temp.put('event', contact, '2026-01-01'),
		pg_temp.put('page', contact, '2026-01-01'), pg_temp.put('page', contact, '2026-01-11'))
$$;
-- the streams without a match of the contact
create function pg_temp.silent(contact bigint, told boolean) returns text language plpgsql as $$
declare
	result text;
begin
	select string_agg(s.stream || case when told then ': ' || coalesce(s.problem, 'no problem') else '' end,
					  E'\n    ' order by s.stream)
	into result
	from leadstream.streams s
	where not exists (select from leadstream.lead_match m join leadstream.lead l using (lead_id)
					  where m.stream_id = s.stream_id and l.contact_id::text = contact::text);
	-- a problem of a stream that makes leads would be another lie
	select concat_ws(E'\n    ', result, string_agg(s.stream || ' MAKES LEADS: ' || s.problem, E'\n    ' order by s.stream))
	into result
	from leadstream.streams s
	where told and s.problem is not null
	  and exists (select from leadstream.lead_match m join leadstream.lead l using (lead_id)
				  where m.stream_id = s.stream_id and l.contact_id::text = contact::text);
	return nullif(result, '');
end
$$;
create sequence pg_temp.contacts;
create function pg_temp.try(change text) returns text language plpgsql as $$
declare
	contact bigint := nextval('pg_temp.contacts') * 10;
	result text;
	undone text;
begin
	begin
		begin
			execute change;
		exception when others then
			return format('refused: %s %s', sqlstate, sqlerrm);
		end;
		result := pg_temp.put_all(contact);
		result := coalesce(nullif(result, '') || E'\n    ', '') || coalesce(pg_temp.silent(contact, true), 'all make leads');
		raise sqlstate 'RU000' using message = result;
	exception when sqlstate 'RU000' then
		result := sqlerrm;
	end;
	undone := concat_ws(' ', nullif(pg_temp.put_all(contact + 1), ''), pg_temp.silent(contact + 1, false));
	return result || coalesce(E'\n    UNDONE: ' || nullif(undone, ''), '');
end
$$;
select pg_temp.put_all(1), pg_temp.silent(1, true);

create temporary table change (i integer generated always as identity, statement text);
insert into change (statement)
values
	-- columns of an activity that rules name
	('alter table visit rename url to path'),
	('alter table visit drop url'),
	('alter table visit drop url, add url text'),
	('alter table visit drop url, add url integer'),
	('alter table visit rename url to path; alter table visit add url text'),
	('alter table visit rename url to was; alter table visit rename amount to url; alter table visit rename was to amount'),
	('alter table visit alter url type varchar(100)'),
	('alter table visit alter url type text collate "C"'),
	('alter table visit alter url type integer using 7'),
	('alter table visit alter url type jsonb using ''"/p"'''),
	('alter table visit alter url type json using ''"/p"'''),
	('alter table visit alter amount type numeric'),
	('alter table visit alter amount type text'),
	('alter table visit alter amount type boolean using true'),
	('alter table visit drop amount'),
	('alter table page rename url to path'),
	('alter table page drop url'),
	('alter table page alter url type varchar(100)'),
	-- columns that sources name
	('alter table visit rename at to happened'),
	('alter table visit drop at'),
	('alter table visit drop at, add at timestamptz default now()'),
	('alter table visit alter at type timestamp'),
	('alter table visit alter at type date'),
	('alter table visit alter at type text using ''2026-01-01'''),
	('alter table visit rename contact_id to person'),
	('alter table visit drop contact_id'),
	('alter table visit drop contact_id, add contact_id bigint'),
	('alter table visit alter contact_id type integer'),
	('alter table visit drop constraint visit_contact_id_fkey; alter table visit alter contact_id type text'),
	('alter table event rename what to kind'),
	('alter table event drop what'),
	('alter table event alter what type varchar(10)'),
	('alter table event alter what type integer using 7'),
	-- what does not matter
	('alter table visit add more text'),
	('alter table visit add more text not null default ''x'''),
	('alter table visit drop constraint visit_contact_id_fkey'),
	('alter table visit drop constraint visit_pkey'),
	('drop index visit_contact_at'),
	('alter table visit alter url set not null, alter url set storage external, alter url set statistics 10'),
	('alter table visit set (fillfactor = 50)'),
	('alter table visit enable row level security'),
	('cluster visit using visit_pkey'),
	('truncate visit'),
	('create table visit_child () inherits (visit)'),
	('alter table visit rename to visit_2'),
	('alter table visit set schema ddl_other'),
	('alter table event rename to event_2'),
	('alter table page rename to page_0'),
	('alter table contact rename to person'),
	('alter table contact set schema ddl_other'),
	('alter schema ddl rename to ddl_2'),
	-- the key and the columns of the contacts
	('alter table contact rename id to contact_no'),
	('alter table contact drop id cascade'),
	('alter table contact drop id cascade, add id bigint'),
	('alter table contact drop constraint contact_pkey cascade'),
	('alter table contact alter id type integer'),
	('drop view leadstream._lead_event, leadstream.leads, leadstream.board cascade; alter table contact alter id type integer'),
	('drop view leadstream._lead_event, leadstream.leads, leadstream.board cascade; alter table contact drop constraint contact_pkey cascade; alter table contact alter id type text'),
	('alter table contact rename country to land'),
	('alter table contact drop country'),
	('alter table contact drop country, add country text'),
	('alter table contact alter country type varchar(2)'),
	('alter table contact alter country type char(5)'),
	('alter table contact rename email to mail'),
	('alter table contact drop email'),
	('alter table contact drop email cascade'),
	('alter table contact rename attrs to data'),
	('alter table contact alter attrs type json'),
	('alter table contact alter attrs type text'),
	('alter table contact drop attrs'),
	-- types
	('alter type grade rename value ''b'' to ''c'''),
	('alter type grade rename to mark'),
	('alter type grade set schema ddl_other'),
	('drop type grade cascade'),
	('alter table contact alter grade type text'),
	('alter domain plan add check (value <> '''')'),
	('alter domain plan rename to tariff'),
	('drop domain plan cascade'),
	-- partitions
	('alter table page detach partition page_1; alter table page attach partition page_1 for values from (''2026-01-01'') to (''2026-01-10'')'),
	('alter table page detach partition page_2; create table page_3 (url text, at timestamptz not null, contact_id bigint not null); alter table page attach partition page_3 for values from (''2026-01-10'') to (''2026-02-01'')'),
	('drop table page_2; create table page_2 partition of page for values from (''2026-01-10'') to (''2026-02-01'')'),
	-- tables and triggers
	('drop table visit'),
	('drop table event'),
	('drop table page'),
	('drop table contact'),
	('drop table contact cascade'),
	('drop table visit; create table visit (contact_id bigint, at timestamptz, url text, amount integer)'),
	('drop trigger leadstream_open on visit'),
	('drop trigger leadstream_open on visit; drop trigger leadstream_settle on visit'),
	('drop trigger leadstream_capture on visit'),
	('alter table visit disable trigger user'),
	('alter table page_1 disable trigger user'),
	('alter table page_1 disable trigger user; alter table page_2 disable trigger user'),
	('alter table page disable trigger user'),
	('drop view leadstream.board, leadstream.leads, leadstream.matches cascade'),
	('create index on leadstream.lead (created_at); alter table leadstream.lead add score integer, add note text default ''x''');
\echo
select '* ' || statement || E'\n    ' || pg_temp.try(statement) from change order by i;

-- Kept, such a change is no other: the tables as they were are bound again.
alter table visit rename url to path;
select pg_temp.put_all(100001), pg_temp.silent(100001, true);
alter table visit rename path to url;
select pg_temp.put_all(100002), pg_temp.silent(100002, true);
alter table visit drop url;
alter table visit add url varchar(50);
select pg_temp.put_all(100003), pg_temp.silent(100003, true);
-- under a prepared statement
prepare add (bigint) as insert into visit (contact_id, at, url) values ($1, '2026-01-01', '/p');
insert into contact select i from generate_series(100004, 100009) i;
execute add(100004);
alter table visit rename amount to value;
execute add(100005);
alter table visit alter url type text;
execute add(100006);
alter table contact rename country to land;
execute add(100007);
select l.contact_id, string_agg(stream, ' ' order by stream) from leadstream.matches l where contact_id >= 100004 group by 1 order by 1;
select stream, problem from leadstream.streams where problem is not null order by stream;
-- what is told names the way out
alter table contact drop land, add region text;
alter table visit drop value, add price integer;
select stream, problem from leadstream.streams where problem is not null order by stream;
select leadstream.alter_stream('country', rule => 'region = ''SE''');
select leadstream.alter_stream('both', rule => 'region = ''SE'' and exists(visit)');
select leadstream.alter_stream('last', rule => 'last(visit.price) > 5');
select stream, problem from leadstream.streams where problem is not null order by stream;
select leadstream.verify(stream) from leadstream.stream;

-- without the trigger that settles, it is done at the commit
begin;
drop trigger leadstream_settle on visit;
insert into visit (contact_id, at, url) values (100008, '2026-01-01', '/p');
select count(*) from leadstream.matches where contact_id = 100008;
commit;
select stream from leadstream.matches where contact_id = 100008 order by stream;

-- a session of months keeps nothing of the partitions of days that are gone
select leadstream.create_stream('daily', 'count(page within 7 days) >= 1000', '{Sales}') is not null, leadstream.enable('daily');
create procedure days(n integer) language plpgsql as $$
begin
	for i in 1 .. n loop
		create table day partition of page for values from ('2025-12-01') to ('2025-12-02');
		commit;
		insert into page values (100008, '2025-12-01', '/');
		commit;
		drop table day;
		commit;
	end loop;
end
$$;
create function kept() returns bigint language sql as $$
	select sum(used_bytes) from pg_backend_memory_contexts where name in ('leadstream indexes', 'leadstream watched tables')
$$;
call days(20);
select kept() as kept_before \gset
call days(100);
select kept() - :kept_before < 2000 as is_little;
-- one that comes back is not taken for gone
create table day partition of page for values from ('2025-12-01') to ('2025-12-02');
select leadstream.alter_stream('daily', rule => 'count(page where url = ''/back'') >= 1');
begin;
insert into page values (100008, '2025-12-01', '/');
drop table day;
insert into visit (contact_id, at, url) values (100008, '2026-01-01', '/p');
rollback;
insert into page values (100008, '2025-12-01', '/');
create index on day (contact_id, at);
insert into page values (100008, '2025-12-01', '/back');
select count(*) from leadstream.matches where stream = 'daily';

select leadstream.disable(stream) from leadstream.stream;
select leadstream.detach(t) from unnest('{visit,event,page,contact}'::regclass[]) t;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema ddl, ddl_other cascade;
