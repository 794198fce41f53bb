-- agree_reports.sql: the views on what became of leads, against a diary
--
-- A random history under a clock that is set: contacts come, streams match,
-- people move, assign, hide, annotate and delete leads, streams are cleared,
-- stages renamed.  After each step a diary copies the board and the lead
-- tables as they are; it never looks at lead_event.  From the diary alone it
-- is told, by plain SQL over its pages, how the board stood at each instant,
-- who stayed where and how long, and how far whom's leads got; and that is
-- what the views say, which read lead_event and not the lead tables.
--
-- Several steps may be at one instant: then the board of that instant is that
-- of the last, and a stay may have no length.
--
-- At the end of a world events are strewn among its own that no step of it would
-- write so: leads merged away, entries before the beginning, stages nobody knows,
-- clocks that run backwards.  What they mean is told by looking for each event at
-- all others of its lead.
--
-- psql -X -v ON_ERROR_STOP=1 -f test/agree/agree_reports.sql
--      -v seed=N -v worlds=N -v steps=N

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\if :{?seed} \else \set seed 20261121 \endif
\if :{?worlds} \else \set worlds 3 \endif
\if :{?steps} \else \set steps 250 \endif
set client_min_messages = error;
create extension if not exists leadstream;
create schema rp;

create table rp.contact (id int primary key, name text);
create table rp.visit (contact_id int not null references rp.contact, at timestamptz, url text);
create index on rp.visit (contact_id, at);
-- the diary: one page a step
create table rp.page (step int primary key, t timestamptz not null, done text);
create table rp.board (step int, line jsonb);
create table rp.lead (step int, lead_id bigint, contact_id int, team text, stage text, place int, is_manual boolean);
create table rp.lead_match (step int, lead_id bigint, stream text);
create table rp.action (step int, lead_id bigint, what text);
create index on rp.board (step);
create index on rp.lead (lead_id, step);
create table rp.zone (zone text);

create procedure rp.begin_world(w int) language plpgsql as $$
begin
	perform set_config('timezone', (array['UTC', 'Asia/Tokyo', 'America/Los_Angeles'])[1 + w % 3], false);
	truncate rp.zone;
	insert into rp.zone values ((array['Europe/Stockholm', 'UTC', 'Asia/Kathmandu'])[1 + w % 3]);
	insert into rp.contact select i, 'Name ' || i from generate_series(1, 8) as i;
	perform leadstream.attach_contacts('rp.contact', zone => (select zone from rp.zone));
	perform leadstream.attach_activity('rp.visit');
	perform leadstream.create_team('A'), leadstream.create_team('B');
	perform leadstream.create_stream('one', $r$exists(visit where url like '%1%')$r$, '{A,B}');
	perform leadstream.create_stream('two', $r$exists(visit where url like '%2%')$r$, '{A}', requalify_after => '5 days');
	perform leadstream.create_stream('three', $r$exists(visit where url like '%3%')$r$, '{B}');
	perform leadstream.enable(s) from unnest('{one,two,three}'::text[]) as s;
	insert into leadstream.sales_user (sales_user) values ('Ann'), ('Bo');
end
$$;

create procedure rp.end_world() language plpgsql as $$
begin
	perform set_config('leadstream.clock', '', false);
	perform leadstream.disable(stream) from leadstream.stream where is_enabled;
	commit;
	perform leadstream.detach('rp.visit'), leadstream.detach('rp.contact');
	drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage,
		leadstream.sales_user, leadstream.former_stage, rp.contact, rp.visit, rp.page, rp.board, rp.lead, rp.lead_match, rp.action;
end
$$;

-- What a member of a team does to a lead, without the functions for it.
create procedure rp.note(lead bigint, what text, old text, new text, note text default null) language plpgsql as $$
begin
	insert into leadstream.lead_event (lead_id, contact_id, team_id, at, actor, what, old, new, note)
	select l.lead_id, l.contact_id, l.team_id, leadstream.clock(), 'somebody', $2, $3, $4, $5
	from leadstream.lead l where l.lead_id = $1;
end
$$;
create procedure rp.assign(lead bigint, who int) language plpgsql as $$
declare
	old_name text := (select u.sales_user from leadstream.lead l join leadstream.sales_user u on u.sales_user_id = l.assignee_id where l.lead_id = lead);
	new_name text := (select u.sales_user from leadstream.sales_user u where u.sales_user_id = who);
begin
	if old_name is not distinct from new_name then
		return;
	end if;
	update leadstream.lead l set assignee_id = who where l.lead_id = lead;
	call rp.note(lead, 'assigned', old_name, new_name);
end
$$;
create procedure rp.rename(old_name text, new_name text) language plpgsql as $$
declare
	renamed bigint;
begin
	update leadstream.stage s set stage = new_name where s.stage = old_name;
	for renamed in update leadstream.lead l set stage = new_name where l.stage = old_name returning lead_id loop
		call rp.note(renamed, 'renamed', old_name, new_name);
	end loop;
end
$$;

create procedure rp.act(n int) language plpgsql as $$
declare
	dice	float := random();
	lead	bigint := (select l.lead_id from leadstream.lead l order by random() limit 1);
	stage	text := (select s.stage from leadstream.stage s order by random() limit 1);
	stream	text := (array['one', 'two', 'three'])[1 + floor(random() * 3)];
	old_stage text;
	who		int;
	deed	text;
begin
	if dice < 0.3 or lead is null then
		deed := 'visits';
		insert into rp.visit select 1 + floor(random() * 8)::int, leadstream.clock(), (array['1', '2', '3', '12', '123'])[1 + floor(random() * 5)]
			from generate_series(1, 1 + floor(random() * 3)::int);
	elsif dice < 0.62 then
		deed := 'stage';
		select l.stage into old_stage from leadstream.lead l where l.lead_id = lead;
		if old_stage <> stage then
			perform leadstream.move(lead, stage, 'because');
			insert into rp.action values (n, lead, 'stage');
		end if;
	elsif dice < 0.72 then
		deed := 'assign';
		select u.sales_user_id into who from leadstream.sales_user u where random() < 0.7 order by random() limit 1;
		call rp.assign(lead, who);
	elsif dice < 0.82 then
		deed := 'hide';
		if (select l.is_hidden from leadstream.lead l where l.lead_id = lead) then
			call rp.note(lead, 'unhidden', null, null);
			update leadstream.lead l set is_hidden = false where l.lead_id = lead;
		else
			call rp.note(lead, 'hidden', null, null);
			update leadstream.lead l set is_hidden = true where l.lead_id = lead;
			insert into rp.action values (n, lead, 'hidden');
		end if;
	elsif dice < 0.88 then
		deed := 'note';
		call rp.note(lead, 'note', null, null, 'called');
		insert into rp.action values (n, lead, 'note');
	elsif dice < 0.92 then
		deed := 'delete';
		delete from leadstream.lead l where l.lead_id = lead;
		insert into rp.action values (n, lead, 'deleted');
	elsif dice < 0.94 then
		deed := 'by hand';
		perform leadstream.create_lead(1 + floor(random() * 8)::int, (array['A', 'B'])[1 + floor(random() * 2)]);
	elsif dice < 0.97 then
		deed := 'clear';
		perform leadstream.disable(stream);
		perform leadstream.clear(stream);
		perform leadstream.enable(stream);
	else
		deed := 'rename';
		call rp.rename(stage, regexp_replace(stage, ' .*', '') || ' ' || n);
	end if;
	update rp.page p set done = deed where p.step = n;
end
$$;

create procedure rp.write_page(n int) language plpgsql as $$
begin
	insert into rp.board select n, to_jsonb(b) from leadstream.board b;
	insert into rp.lead select n, l.lead_id, l.contact_id, t.team, l.stage, s.position, l.is_manual
		from leadstream.lead l join leadstream.team t using (team_id) join leadstream.stage s using (stage);
	insert into rp.lead_match select n, m.lead_id, s.stream
		from leadstream.lead_match m join leadstream.stream s using (stream_id);
end
$$;

create procedure rp.live(steps int) language plpgsql as $$
declare
	t timestamptz := '2025-11-20 08:00Z';
begin
	for n in 1 .. steps loop
		t := t + case when random() < 0.15 then interval '0' else random() * interval '20 hours' end;
		perform set_config('leadstream.clock', to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), false);
		insert into rp.page values (n, t);
		call rp.act(n);
		call rp.write_page(n);
		commit;
	end loop;
end
$$;

--
-- What the diary says.
--
-- Stays: pages on which a lead stood in one place, one after the other.
create view rp.stay as
select r.lead_id, r.team, (array_agg(r.stage order by r.step desc))[1] as stage,
	   min(p.t) as entered_at,
	   (select n.t from rp.page n where n.step = max(r.step) + 1) as left_at,
	   max(r.step) = (select max(step) from rp.page) as is_there,
	   exists (select from rp.lead n where n.lead_id = r.lead_id and n.step = max(r.step) + 1) as moved_on
from (
	select l.*, l.step - row_number() over (partition by l.lead_id, l.place order by l.step) as run
	from rp.lead l
) r
join rp.page p using (step)
group by r.lead_id, r.team, r.place, r.run;

-- Entries: when a stream's match is on a page for the first time, or a lead without any.
create view rp.entry as
select m.lead_id, l.team, m.stream, min(p.t) as entered_at
from rp.lead_match m join rp.page p using (step) join rp.lead l using (step, lead_id)
group by 1, 2, 3
union all
select l.lead_id, l.team, null, p.t
from rp.lead l join rp.page p using (step)
where l.step = (select min(f.step) from rp.lead f where f.lead_id = l.lead_id)
  and not exists (select from rp.lead_match m where m.lead_id = l.lead_id and m.step = l.step);

-- Each time that a match is on a page and was not on the one before.
create view rp.arrival as
select l.team, m.stream, p.t, m.lead_id,
	   not exists (select from rp.lead f where f.lead_id = m.lead_id and f.step < m.step) as is_new
from rp.lead_match m join rp.page p using (step) join rp.lead l using (step, lead_id)
where not exists (select from rp.lead_match f where f.lead_id = m.lead_id and f.stream = m.stream and f.step = m.step - 1);

create table rp.tap (n int generated always as identity, line text);
create procedure rp.same(what text, seen text, told text) language plpgsql as $$
declare
	n		bigint;
	bad		bigint;
	example	text;
begin
	execute format('select count(*) from (%s) x', told) into n;
	execute format('select count(*), min(x::text) from (((%1$s) except all (%2$s)) union all ((%2$s) except all (%1$s))) x', seen, told)
		into bad, example;
	insert into rp.tap (line) values (format('%s %s - %s: %s lines', case when bad = 0 and n > 0 then 'ok' else 'not ok' end,
		(select count(*) + 1 from rp.tap where line !~ '^#'), what, n));
	if bad > 0 then
		insert into rp.tap (line) values (format('#   %s differ, such as %s', bad, example));
	end if;
end
$$;

create procedure rp.check_world(w int) language plpgsql as $$
declare
	zone text := (select z.zone from rp.zone z);
begin
	-- at each instant, and until just before the next
	call rp.same(format('world %s: the board at every instant', w),
		'select p.t, to_jsonb(b) - ''stage_order'' from (select distinct t from rp.page) p cross join lateral leadstream.board_at(p.t) b',
		'select p.t, b.line - ''stage_order'' from (select t, max(step) as step from rp.page group by 1) p join rp.board b using (step)');
	call rp.same(format('world %s: and until the next', w),
		'select p.t, to_jsonb(b) - ''stage_order'' from (select distinct t from rp.page where step % 5 = 0) p
			cross join lateral leadstream.board_at((select coalesce(min(n.t), ''infinity'') from rp.page n where n.t > p.t) - interval ''1 microsecond'') b',
		'select p.t, b.line - ''stage_order'' from (select t, max(step) as step from rp.page group by 1 having bool_or(step % 5 = 0)) p join rp.board b using (step)');
	call rp.same(format('world %s: the board of now', w),
		'select * from leadstream.board_at(leadstream.clock())', 'table leadstream.board');
	call rp.same(format('world %s: stays in stages', w),
		'select lead_id, team, stage, entered_at, left_at from leadstream.lead_stage_changes',
		'select lead_id, team, stage, entered_at, left_at from rp.stay');
	-- each begins where the last one ended, and one is open if the lead is there
	call rp.same(format('world %s: without gaps', w),
		'select lead_id, bool_and(left_at is not distinct from next_at), bool_and(next_stage is not distinct from after),
			count(*) filter (where left_at is null) from (
			select c.*, lead(entered_at) over w as next_at, lead(stage) over w as after, row_number() over (w rows between unbounded preceding and unbounded following) as i
			from (select c.*, (select count(*) from leadstream.lead_stage_changes o where o.lead_id = c.lead_id) as n from leadstream.lead_stage_changes c) c
			window w as (partition by lead_id order by entered_at, left_at nulls last)) x
		 where next_at is not null or exists (select from leadstream.lead l where l.lead_id = x.lead_id) group by 1',
		'select x.lead_id, true, true, (exists (select from leadstream.lead l where l.lead_id = x.lead_id))::int::bigint
		 from (select lead_id, count(*) as n from rp.stay group by 1) x
		 where n > 1 or exists (select from leadstream.lead l where l.lead_id = x.lead_id)');
	call rp.same(format('world %s: first actions', w),
		'select lead_id, created_at, first_action_at, first_action from leadstream.first_actions',
		'select l.lead_id, min(p.t), min(a.t), (array_agg(a.what order by a.step))[1]
		 from (select lead_id, min(step) as step from rp.lead group by 1) l join rp.page p using (step)
		 left join (select a.*, q.t from rp.action a join rp.page q using (step)) a using (lead_id) group by 1');
	call rp.same(format('world %s: funnel', w),
		'select stream, team, month, stage, entered, reached, share, present from leadstream.funnel where reached > 0',
		format('select stream, team, month, stage, entered, reached, round(reached::numeric / entered, 4), present from (
			select e.stream, e.team, e.month, s.stage, count(distinct e.lead_id) as reached, e.entered,
				count(distinct e.lead_id) filter (where s.is_there) as present
			from (select *, date_trunc(''month'', entered_at at time zone %1$L)::date as month,
				  count(*) over (partition by stream, team, date_trunc(''month'', entered_at at time zone %1$L)) as entered from rp.entry) e
			join rp.stay s on s.lead_id = e.lead_id and (s.left_at is null or s.left_at > e.entered_at or s.entered_at >= e.entered_at)
			group by e.stream, e.team, e.month, s.stage, e.entered) x', zone));
	call rp.same(format('world %s: nobody reached the other stages', w),
		'select distinct stream, team, month, stage from leadstream.funnel',
		format('select e.stream, e.team, date_trunc(''month'', e.entered_at at time zone %1$L)::date, s.stage from rp.entry e, leadstream.stage s
			union select e.stream, e.team, date_trunc(''month'', e.entered_at at time zone %1$L)::date, s.stage
			from rp.entry e join rp.stay s on s.lead_id = e.lead_id and (s.left_at is null or s.left_at > e.entered_at or s.entered_at >= e.entered_at)', zone));
	call rp.same(format('world %s: conversion', w),
		'select stream, team, stage, entered, reached, median_days from leadstream.conversion where reached > 0',
		'select stream, team, stage, entered, count(*), round(((array_agg(days order by days))[(count(*) + 1) / 2] + (array_agg(days order by days))[(count(*) + 2) / 2])::numeric / 2, 2) from (
			select e.stream, e.team, s.stage, e.entered, e.lead_id,
				min(extract(epoch from greatest(s.entered_at, e.entered_at) - e.entered_at))::float8 / 86400 as days
			from (select *, count(*) over (partition by stream, team) as entered from rp.entry) e
			join rp.stay s on s.lead_id = e.lead_id and (s.left_at is null or s.left_at > e.entered_at or s.entered_at >= e.entered_at)
			group by 1, 2, 3, 4, 5) x group by 1, 2, 3, 4');
	call rp.same(format('world %s: what streams brought each day', w),
		'select time, stream, team, created + matched from leadstream.leads_daily where stream is not null and created + matched > 0',
		format('select date_trunc(''day'', t, %L), stream, team, count(*) from rp.arrival group by 1, 2, 3', zone));
	call rp.same(format('world %s: leads made each day', w),
		'select time, team, sum(created) from leadstream.leads_daily group by 1, 2 having sum(created) > 0',
		format('select date_trunc(''day'', p.t, %L), l.team, count(*)::numeric from (
			select lead_id, team, min(step) as step from rp.lead group by 1, 2) l join rp.page p using (step) group by 1, 2', zone));
	call rp.same(format('world %s: time in stages', w),
		'select team, stage, stays, average_days, present, present_since from leadstream.time_in_stage',
		'select team, stage, count(*) filter (where moved_on),
			round(avg(round(extract(epoch from left_at - entered_at) / 86400, 2)) filter (where moved_on), 2),
			count(*) filter (where is_there), min(entered_at) filter (where is_there)
		 from rp.stay where moved_on or is_there group by 1, 2');
end
$$;

-- Events in any order, of clocks that run as they like, and such as the diary's
-- steps do not bring about: the same said of each event by itself.
create procedure rp.disorder(leads int) language plpgsql as $$
begin
	insert into leadstream.lead_event (lead_id, contact_id, team_id, at, actor, what, old, new, note, stream_id)
	select 1000000 + n, 1 + n % 8, (select t.team_id from leadstream.team t where t.team = chr(65 + n % 2)),
		   timestamptz '2026-01-30 00:00Z' + floor(random() * 40) * interval '2 hours', 'who ' || n, k.what,
		   case when k.what in ('created', 'note', 'assigned') then null
				when k.what = 'matched' then case when random() < 0.3 then '2026-01-' || 20 + n % 10 || 'T03:00:00Z' end
				when random() < 0.8 then (array['MQL', 'SQL', 'Won', 'Früher'])[1 + floor(random() * 4)] end,
		   case when k.what in ('created', 'stage', 'reopened', 'renamed') then (array['MQL', 'SQL', 'Won', 'Früher'])[1 + floor(random() * 4)]
				when k.what = 'deleted' and random() < 0.5 then n::text end,
		   case when random() < 0.5 then 'note ' || i end,
		   case when k.what in ('created', 'matched') and random() < 0.9
				then (array(select s.stream_id from leadstream.stream s order by s.stream))[1 + floor(random() * 3)] end
	from generate_series(1, leads) as n, generate_series(0, n % 12) as i
	cross join lateral (
		select case when i = 0 then 'created'
					else (array['matched', 'matched', 'stage', 'stage', 'stage', 'renamed', 'reopened', 'deleted', 'cleared', 'note', 'assigned'])[1 + floor(random() * 11 + 0 * n)] end as what) as k
	order by md5(n || ' ' || i);
	analyze leadstream.lead_event;
end
$$;

create procedure rp.look_back() language plpgsql as $$
begin
	drop table if exists rp.told_stay, rp.told_entry, rp.told_step;
	-- from its beginning to the next event that is not a renaming
	create table rp.told_stay as
	with event as materialized (
		select e.*, t.team from leadstream.lead_event e join leadstream.team t using (team_id)
		where e.what in ('created', 'stage', 'renamed', 'reopened', 'deleted', 'cleared')
	), stay as (
		select e.*, (select max(b.at) from event b where b.lead_id = e.lead_id and b.event_id <= e.event_id) as entered_at,
			   (select min(n.event_id) from event n where n.lead_id = e.lead_id and n.event_id > e.event_id and n.what <> 'renamed') as next_id
		from event e where e.what <> 'renamed'
	), named as (
		select s.*, n.entered_at as left_at,
			   case when s.what in ('deleted', 'cleared') then null
					when n.event_id is not null then coalesce(n.old, s.new)
					else (select l.new from event l where l.lead_id = s.lead_id order by l.event_id desc limit 1) end as stage
		from stay s left join stay n on n.event_id = s.next_id
	)
	select s.lead_id, s.contact_id, s.team, s.stage, s.entered_at, s.left_at,
		   round(extract(epoch from s.left_at - s.entered_at) / 86400, 2) as days, n.stage as next_stage,
		   s.what as entered_by, s.actor, case when s.what <> 'created' then s.note end as reason
	from named s left join named n on n.event_id = s.next_id
	where s.stage is not null;

	create table rp.told_entry as
	select e.lead_id, t.team, s.stream,
		   min(case when e.what = 'matched' then coalesce(e.old::timestamptz, e.at) else e.at end) as entered_at
	from leadstream.lead_event e
	join leadstream.team t using (team_id)
	left join leadstream.stream s using (stream_id)
	where e.what in ('created', 'matched')
	  and not (e.stream_id is not null
			   and exists (select from leadstream.lead_event d where d.lead_id = e.lead_id and d.what = 'deleted' and d.new is not null))
	group by e.lead_id, t.team, s.stream;

	create table rp.told_step as
	select e.*, s.stage, min(greatest(s.entered_at, e.entered_at)) as reached_at, bool_or(s.left_at is null) as is_there
	from rp.told_entry e
	join rp.told_stay s on s.lead_id = e.lead_id and (s.left_at is null or s.left_at > e.entered_at or s.entered_at >= e.entered_at)
	group by e.lead_id, e.team, e.stream, e.entered_at, s.stage;
end
$$;

create procedure rp.check_disorder(w int) language plpgsql as $$
declare
	zone text := (select z.zone from rp.zone z);
begin
	call rp.same(format('world %s: stays of events in disorder', w),
		'select lead_id, contact_id, team, stage, entered_at, left_at, days, next_stage, entered_by, actor, reason from leadstream.lead_stage_changes',
		'table rp.told_stay');
	call rp.same(format('world %s: stays of one lead, contact, team', w),
		'select lead_id, stage, entered_at from leadstream.lead_stage_changes where lead_id = 1000011
		 union all select lead_id, stage, entered_at from leadstream.lead_stage_changes where contact_id = 3
		 union all select lead_id, stage, entered_at from leadstream.lead_stage_changes where team = ''B''',
		'select t.lead_id, t.stage, t.entered_at from rp.told_stay t, (values (1000011, null, null), (null, 3, null), (null, null, ''B'')) as v(lead_id, contact_id, team)
		 where t.lead_id = v.lead_id or t.contact_id = v.contact_id or t.team = v.team');
	call rp.same(format('world %s: funnel of events in disorder', w),
		'select stream, team, month, stage, entered, reached, present, share from leadstream.funnel',
		format('with entry as (
				select e.*, date_trunc(''month'', entered_at at time zone %1$L)::date as month from rp.told_entry e
			), cohort as (
				select stream, team, month, count(*) as entered from entry group by 1, 2, 3
			), step as (
				select stream, team, date_trunc(''month'', entered_at at time zone %1$L)::date as month, stage,
					   count(*) as reached, count(*) filter (where is_there) as present
				from rp.told_step group by 1, 2, 3, 4
			), line as (
				select c.*, s.stage from cohort c, leadstream.stage s
				union select c.*, s.stage from cohort c join step s on s.stream is not distinct from c.stream and s.team = c.team and s.month = c.month
			)
			select l.stream, l.team, l.month, l.stage, l.entered, coalesce(s.reached, 0), coalesce(s.present, 0),
				   round(coalesce(s.reached, 0)::numeric / l.entered, 4)
			from line l
			left join step s on s.stream is not distinct from l.stream and s.team = l.team and s.month = l.month and s.stage = l.stage', zone));
	call rp.same(format('world %s: conversion of events in disorder', w),
		'select stream, team, stage, entered, reached, present, median_days from leadstream.conversion where reached > 0',
		'select s.stream, s.team, s.stage, e.entered, count(*), count(*) filter (where s.is_there),
			round((percentile_cont(0.5) within group (order by extract(epoch from s.reached_at - s.entered_at) / 86400))::numeric, 2)
		 from rp.told_step s
		 join (select stream, team, count(*) as entered from rp.told_entry group by 1, 2) e on e.stream is not distinct from s.stream and e.team = s.team
		 group by s.stream, s.team, s.stage, e.entered');
	call rp.same(format('world %s: time in stages of events in disorder', w),
		'select team, stage, stays, average_days, median_days, present, present_since from leadstream.time_in_stage',
		'select team, stage, count(*) filter (where next_stage is not null), round(avg(days) filter (where next_stage is not null), 2),
			round((percentile_cont(0.5) within group (order by days) filter (where next_stage is not null))::numeric, 2),
			count(*) filter (where left_at is null), min(entered_at) filter (where left_at is null)
		 from rp.told_stay where next_stage is not null or left_at is null group by 1, 2');
	call rp.same(format('world %s: first actions of events in disorder', w),
		'select lead_id, created_at, first_action_at, first_action, actor from leadstream.first_actions',
		'select lead_id, created_at, min(at), (array_agg(what order by event_id))[1], (array_agg(actor order by event_id))[1] from (
			select lead_id, min(at) as created_at from leadstream.lead_event where what = ''created'' group by 1) c
		 left join leadstream.lead_event e using (lead_id)
		 where e.what in (''stage'', ''note'', ''hidden'', ''deleted'') group by 1, 2
		 union all
		 select lead_id, min(at) filter (where what = ''created''), null, null, null from leadstream.lead_event group by 1
		 having bool_or(what = ''created'') and not bool_or(what in (''stage'', ''note'', ''hidden'', ''deleted''))');
end
$$;

select format('# agree_reports: seed %s, %s worlds of %s steps', :seed, :worlds, :steps);
select s.command
from generate_series(1, :worlds) as w,
	lateral (values
		(1, format('do $x$ begin perform setseed(%s); end $x$', ((:seed + w * 7919) % 1000) / 1000.0)),
		(2, format('call rp.begin_world(%s)', w)),
		(3, format('call rp.live(%s)', :steps)),
		(4, format('call rp.check_world(%s)', w)),
		(5, 'call rp.disorder(120)'),
		(6, 'call rp.look_back()'),
		(7, format('call rp.check_disorder(%s)', w)),
		(8, 'call rp.end_world()')) as s(n, command)
order by w, n
\gexec
select line from rp.tap order by n;
select '1..' || count(*) from rp.tap where line !~ '^#';
