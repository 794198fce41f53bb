--
-- reports: the views for people and BI tools, on a story that can be told by hand
--
\pset format unaligned
\pset footer off
\pset null -
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = iso;
create schema rep;
set search_path = rep;
create table contact (id int primary key, name text, company text);
create table visit (contact_id int references contact, at timestamptz, url text);
create index on visit (contact_id, at);
insert into contact select i, 'Name ' || i, 'Company ' || i from generate_series(1, 6) as i;

select * from leadstream.overview() where about <> 'session';
select from leadstream.attach_contacts('contact', zone => 'Europe/Stockholm');
select from leadstream.attach_activity('visit');
select from leadstream.create_team('North') a, leadstream.create_team('South') b;
select from leadstream.create_stream('one', $$exists(visit where url = '1')$$, '{North,South}') a,
	leadstream.create_stream('two', $$exists(visit where url = '2')$$, '{North}', requalify_after => '1 day') b;
select from leadstream.enable('one') a, leadstream.enable('two') b;

-- every view, its columns and their types; each column says what it is
select c.relname as view, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum) as columns
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v' and c.relname not like '\_%'
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
group by 1 order by 1;
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, col_description(c.oid, a.attnum) as comment
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v' and c.relname not like '\_%'
  and (col_description(c.oid, a.attnum) is null
	   or format_type(a.atttypid, a.atttypmod) <> all ('{bigint,integer,text,boolean,timestamp with time zone,date,numeric,double precision}'::text[]));
select c.relname as "has no comment" from pg_class c
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v' and obj_description(c.oid, 'pg_class') is null;

create procedure visits(contact int, page text, moment timestamptz) language plpgsql as $$
begin
	perform set_config('leadstream.clock', moment::text, false);
	insert into visit values (contact, moment, page);
end
$$;
create function lead_of(contact int, team text) returns bigint language sql as
	$$ select lead_id from leadstream.leads l where l.contact_id = $1 and l.team = $2 $$;
create procedure moves(contact int, team text, stage text, moment timestamptz, reason text default null) language plpgsql as $$
begin
	perform set_config('leadstream.clock', moment::text, false);
	perform leadstream.move(lead_of(contact, team), stage, reason);
end
$$;

-- January in Stockholm begins an hour before it does in UTC
call visits(1, '1', '2025-12-31 23:30Z');
call visits(2, '2', '2026-01-02 00:00Z');
call visits(2, '1', '2026-01-03 00:00Z');
call moves(1, 'North', 'SQL', '2026-01-04 23:30Z');
call moves(1, 'North', 'Won', '2026-01-06 11:30Z', 'signed');
call moves(2, 'North', 'Lost', '2026-01-10 00:00Z', 'no money');
call visits(2, '2', '2026-02-10 00:00Z');
call visits(3, '1', '2026-02-11 00:00Z');
set leadstream.clock = '2026-02-12 00:00Z';
select from leadstream.create_lead(4, 'South');
call moves(4, 'South', 'MQL', '2026-02-13 00:00Z');
set leadstream.clock = '2026-02-14 00:00Z';
delete from leadstream.lead where lead_id = lead_of(3, 'South');

select lead_id, team, stage, entered_at, left_at, days, next_stage, entered_by, reason, contact_id
	from leadstream.lead_stage_changes order by lead_id, entered_at;
select lead_id, at, what, old, new, stream, note from leadstream.lead_events where contact_id = 2 order by lead_id, event_id;
select lead_id, created_at, first_action_at, hours, first_action from leadstream.first_actions order by lead_id;
select stream, team, month, stage, entered, reached, share, present, stage_order, is_closed from leadstream.funnel
	where reached > 0 or stream = 'two' order by stream, team, month, stage_order;
select stream, team, stage, entered, reached, share, present, median_days from leadstream.conversion
	where reached > 0 order by stream, team, stage_order;
select time, stream, team, created, matched, reopened from leadstream.leads_daily order by time, team, stream;
select team, stage, stays, average_days, median_days, p90_days, present, present_since from leadstream.time_in_stage
	order by team, stage_order;
select lead_id, team, stage, name, streams, contact_id from leadstream.board_at('2026-01-03 12:00Z') order by lead_id;
select lead_id, team, stage, name, streams, contact_id from leadstream.board_at('2026-01-31') order by lead_id;
select lead_id, team, stage, name, streams, contact_id from leadstream.board_at('2026-02-14') order by lead_id;
table leadstream.board except all select * from leadstream.board_at('infinity');
select * from leadstream.board_at('infinity') except all table leadstream.board;
select * from leadstream.board_at(null);
select valid_from, valid_until, stage, is_closed, streams from leadstream.lead_history where lead_id = lead_of(2, 'North') order by valid_from;
select about, regexp_replace(state, '[0-9.]+ ?(bytes|kB|MB) of', 'n of') as state, attention from leadstream.overview();

-- clearing a stream, renaming it and dropping it rewrite nothing
create table before as
	select 'funnel' as what, to_jsonb(f) - '{stream,present}'::text[] as line from leadstream.funnel f where reached > 0
	union all select 'daily', to_jsonb(d) - 'stream' from leadstream.leads_daily d
	union all select 'board', to_jsonb(b) - 'streams' from leadstream.board_at('2026-01-31') b;
select leadstream.alter_stream('two', new_name => 'deux');
select leadstream.disable('one');
set leadstream.clock = '2026-02-15 00:00Z';
select leadstream.clear('one');
select leadstream.drop_stream('one');
create view after as
	select 'funnel' as what, to_jsonb(f) - '{stream,present}'::text[] as line from leadstream.funnel f where reached > 0
	union all select 'daily', to_jsonb(d) - 'stream' from leadstream.leads_daily d
	union all select 'board', to_jsonb(b) - 'streams' from leadstream.board_at('2026-01-31') b;
table before except all table after;
table after except all table before;
select distinct regexp_replace(stream, '#\d+', '#n') as stream from leadstream.funnel where stream is not null;
table leadstream.board except all select * from leadstream.board_at('infinity');
select * from leadstream.board_at('infinity') except all table leadstream.board;
-- nor does renaming and dropping a stage
update leadstream.stage set stage = 'Closed' where stage = 'Won';
delete from leadstream.stage where stage = 'Lost';
table before except all table after;
select stage, stage_order, is_closed, sum(reached) as reached from leadstream.funnel group by 1, 2, 3 order by 2, 1;
-- nor does detaching and attaching again
reset leadstream.clock;
select leadstream.disable('deux');
select leadstream.detach('visit');
select leadstream.detach('contact');
table before except all table after;
select count(*) from leadstream.board_at('2026-01-31');
select * from leadstream.overview() where about = 'contacts';
drop view after;
select from leadstream.attach_contacts('contact', zone => 'UTC');
select team, month, sum(reached) as reached from leadstream.funnel where stage = 'MQL' group by 1, 2 order by 1, 2;

-- who asks for a lead or a contact does not put all the others together
create function pg_temp.index_of(query text) returns text language plpgsql as $$
declare
	line text;
	found_index text;
begin
	set local enable_seqscan = off;
	set local enable_bitmapscan = off;
	for line in execute 'explain (costs off) ' || query loop
		found_index := coalesce(found_index, substring(line from 'using (\w+) on lead_event e'));
	end loop;
	return found_index;
end $$;
select view, pg_temp.index_of(format('select * from leadstream.%I where contact_id = 2', view)) as by_contact,
	pg_temp.index_of(format('select * from leadstream.%I where lead_id = 2', view)) as by_lead
from unnest('{lead_events,lead_stage_changes,first_actions,lead_history}'::text[]) as view;

select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
select to_regprocedure('leadstream.board_at(timestamptz)') is null as is_gone;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage, leadstream.former_stage;
drop schema rep cascade;
