-- streams.sql
--
-- What a row costs that matches nothing, against the number of streams: 200,000
-- rows by INSERT ... SELECT, into an unlogged table without indexes ("bare",
-- where small costs are clean to read) and into one with a primary key and an
-- index on (contact_id, occurred_at); each with the triggers and, in turn,
-- without; medians of five rounds, microseconds a row.  Then what a new session
-- pays before its first row, in time and in memory.
--
--   make dev <test/bench/streams.sql
\set QUIET 1
\set ON_ERROR_STOP 1
\pset footer off
set client_min_messages = error;
create table contact (id bigint primary key, country text);
insert into contact select i, (array['SE', 'NO', 'DK'])[1 + (i % 3)] from generate_series(1, 100000) i;
create unlogged table bare (contact_id bigint, url text, session_id text, utm text, size int,
	duration int, occurred_at timestamptz default now());
create table indexed (id bigint generated always as identity primary key, contact_id bigint, url text,
	session_id text, utm text, size int, duration int, occurred_at timestamptz default now());
create index on indexed (contact_id, occurred_at);
create unlogged table source as
	select 1 + (i::bigint * 7919) % 100000 as contact_id, '/page/' || (i % 5000) as url,
		's' || (i % 10000) as session_id, 'utm' || (i % 200) as utm, i % 1000 as size, i % 300 as duration
	from generate_series(1, 200000) i;
vacuum analyze;
\o /dev/null
select leadstream.attach_contacts('contact');
select leadstream.attach_activity(t::regclass, contact_key => 'contact_id', occurred_at => 'occurred_at')
from unnest('{bare,indexed}'::text[]) t;
select leadstream.create_team('Sales');
select leadstream.create_stream(format('%s %s', t, i),
	format('exists(%s where url = ''/none/%s'' and size >= %s)', t, i, i % 500)::leadstream.rule, '{Sales}')
from generate_series(1, 10000) i, unnest('{bare,indexed}'::text[]) t;
\o

create temp table result (streams int, place text, triggers boolean, us numeric);
create procedure pg_temp.measure(streams int, place text, triggers boolean) language plpgsql as $$
declare
	started timestamptz;
begin
	execute format('truncate %I', place);
	execute format('alter table %I %s trigger user', place, case when triggers then 'enable' else 'disable' end);
	started := clock_timestamp();
	execute format('insert into %I (contact_id, url, session_id, utm, size, duration) select * from source', place);
	insert into result values (streams, place, triggers,
		extract(epoch from clock_timestamp() - started) * 1000000 / 200000);
end
$$;
create procedure pg_temp.rounds(streams int) language plpgsql as $$
declare
	place text;
begin
	foreach place in array '{bare,indexed}'::text[] loop
		-- what this session learns of the streams is not part of a row
		execute format('insert into %I (contact_id) values (1)', place);
		for i in 1..5 loop
			call pg_temp.measure(streams, place, false);
			call pg_temp.measure(streams, place, true);
		end loop;
	end loop;
end
$$;
call pg_temp.rounds(0);
update leadstream.stream set is_enabled = true where stream_id <= 2;
call pg_temp.rounds(1);
update leadstream.stream set is_enabled = true where stream_id <= 20;
call pg_temp.rounds(10);
update leadstream.stream set is_enabled = true where stream_id <= 200;
call pg_temp.rounds(100);
update leadstream.stream set is_enabled = true where stream_id <= 2000;
call pg_temp.rounds(1000);
update leadstream.stream set is_enabled = true;
call pg_temp.rounds(10000);

with median as (
	select streams, place, triggers, percentile_cont(0.5) within group (order by us) as us
	from result group by 1, 2, 3)
select w.place as "table", w.streams, round(o.us::numeric, 2) as "without, us", round(w.us::numeric, 2) as "with, us",
	round((w.us - o.us)::numeric, 2) as "added, us", round((w.us / o.us)::numeric, 2) as ratio
from median w join median o using (streams, place)
where w.triggers and not o.triggers
order by 1, 2;

-- a new session meets the 10,000 streams of one kind
\c -
set client_min_messages = error;
select clock_timestamp() as started \gset
insert into indexed (contact_id) values (1);
select round(extract(epoch from clock_timestamp() - :'started'::timestamptz) * 1000000 / 10000) as "first row, us a stream",
	round(sum(total_bytes) / 10000) as "memory, bytes a stream"
from pg_backend_memory_contexts
where name like 'leadstream%' or parent like 'leadstream%';
