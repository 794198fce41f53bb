--
-- windows: many streams that count the same rows
--
-- What several streams ask of a contact's rows is read once for all of them,
-- as far as they ask: newest first by an index, or all where there is none, and
-- sometimes an index alone says enough.  None of that may show.  Hundreds of
-- streams, differing by window, threshold and condition, are judged together of
-- rows on the edges of their windows; what they match is compared with counts
-- by plain SQL.
--
\pset format unaligned
\pset footer off
set client_min_messages = error;
set timezone = 'UTC';
create schema shop;
set search_path = shop;
set leadstream.clock = '2024-03-31T12:00:00Z';

create table contact (id bigint primary key, score int);
-- times by an index, both ways round; in partitions; in no order; days; none
create table visit (id int generated always as identity primary key, contact_id bigint, at timestamptz, url text, size int, due timestamptz);
create index on visit (contact_id, at);
create table tap (id int generated always as identity primary key, contact_id bigint, at timestamptz, url text, size int, due timestamptz);
create index on tap (contact_id, at desc nulls last);
create table page (id int generated always as identity, contact_id bigint, at timestamptz, url text, size int, due timestamptz) partition by range (at);
create table page_old partition of page for values from (minvalue) to ('2024-03-01');
create table page_new (due timestamptz, size int, url text, at timestamptz, contact_id bigint, id int not null);
alter table page attach partition page_new for values from ('2024-03-01') to (maxvalue);
create index on page (contact_id, at);
create table raw (id int generated always as identity primary key, contact_id bigint, at timestamptz, url text, size int, due timestamptz);
create table local (id int generated always as identity primary key, contact_id bigint, at timestamp, url text, size int, due timestamptz);
create index on local (contact_id, at);
create table badge (id int generated always as identity primary key, contact_id bigint, at timestamptz, url text, size int, due timestamptz);
create index on badge (contact_id, at);

select leadstream.attach_contacts('contact');
select leadstream.attach_activity(t::regclass, contact_key => 'contact_id', occurred_at => 'at')
	from unnest('{visit,tap,page,raw,local}'::text[]) t;
select leadstream.attach_activity('badge', contact_key => 'contact_id', timeless => true);
select leadstream.attach_activity('visit', kind => 'a_visit', contact_key => 'contact_id', occurred_at => 'at',
								  only_rule => $$ url = 'a' $$);
select leadstream.create_team('Sales') is not null as made;

--
-- The streams.
--
create table spec (stream text primary key, func text, kinds text[], condition text, within text, older text, op text, n int);
insert into spec
	select 'count ' || row_number() over (), 'count', k::text[], c, w, o, split_part(t, ' ', 1), split_part(t, ' ', 2)::int
	from unnest(array['{visit}', '{tap}', '{page}', '{raw}', '{local}', '{a_visit}', '{visit,tap,raw}', '{visit,a_visit}']) with ordinality k (k, i),
		unnest(array[null, $$url = 'a'$$, 'size >= contact.score', $$url <> 'b' and due < now$$]) with ordinality c (c, j),
		unnest(array[null, '1 day', '7 days', '1 month', '1 month 3 days', '1 year']) with ordinality w (w, l),
		unnest(array[null, '12 hours', '1 month']) with ordinality o (o, m),
		unnest(array['>= 1', '>= 3', '< 3', '= 2', '> 5', '<= 8']) with ordinality t (t, p)
	where (5 * i + 3 * j + l + 2 * m + p) % 11 = 0;
insert into spec
	select 'badge ' || row_number() over (), 'count', '{badge}', c, null, null, split_part(t, ' ', 1), split_part(t, ' ', 2)::int
	from unnest(array[null, $$url = 'a'$$, 'size >= contact.score']) c,
		unnest(array['>= 1', '>= 3', '< 3', '= 2', '> 5']) t;
insert into spec
	select 'value ' || row_number() over (), f, k::text[], c, w, null, split_part(t, ' ', 1), split_part(t, ' ', 2)::int
	from unnest(array['sum', 'max']) f,
		unnest(array['{visit}', '{tap}', '{page}', '{raw}']) k,
		unnest(array[null, $$url = 'a'$$]) c,
		unnest(array[null, '7 days', '1 month']) w,
		unnest(array['>= 5', '< 20']) t;
select leadstream.create_stream(stream, format('%s(%s%s%s%s) %s %s', func,
		case func when 'count' then array_to_string(kinds, ', ') else kinds[1] || '.size' end,
		' where ' || condition, ' within ' || within, ' older than ' || older, op, n)::leadstream.rule, '{Sales}') is not null as made
	from spec \g /dev/null
select func, count(*) from spec group by 1 order by 1;

--
-- Rows on the edges of the windows, in no order.
--
insert into contact select i, i % 5 from generate_series(1, 12) i;
create table moment (i int, at timestamptz);
insert into moment
	select row_number() over (), m
	from (select timestamptz '2024-03-31 12:00+00' - d::interval + e * interval '1 microsecond' as m
		  from unnest('{0,12 hours,1 day,2 days,6 days,7 days,8 days,20 days,29 days,30 days,31 days,32 days,34 days,35 days,60 days,366 days,367 days,3000 days}'::text[]) d,
			unnest('{-1,0,1}'::int[]) e
		  union all
		  select t from unnest('{2024-03-01 12:00+00,2024-02-29 12:00+00,2024-02-29 00:00+00,2024-02-28 23:00+00,2024-02-27 12:00+00,2024-04-01 00:00+00,2025-01-01 00:00+00,-infinity,infinity}'::timestamptz[]) t) x;
create function pg_temp.filling(kind text, contacts text, every int, start int, is_new boolean default true) returns text language sql as $$
	select format('insert into %I (contact_id, at, url, size, due)
		select c, %s, chr(97 + (i + c) %% 3), (i * 7 + c) %% 10,
			timestamptz %L + ((i + c) %% 3 - 1) * interval %L
		from moment, unnest(%L::int[]) c where (i * 31 + c * 17) %% %s = %s and i %% 3 < 2%s order by (i * 13) %% 7, i, c',
		kind, case kind when 'local' then 'at at time zone $z$UTC$z$' else 'at' end,
		'2024-03-31 12:00+00', '1 day', contacts, every, start,
		-- a new row that is a little ahead of the clock takes it along
		case when is_new then format(' and at not between timestamptz %1$L + interval %2$L and timestamptz %1$L + interval %3$L',
									 current_setting('leadstream.clock'), '1 us', '5 s') end)
$$;
set leadstream.capture = off;
do $$
declare
	t text;
begin
	foreach t in array '{visit,tap,page,raw,local,badge}'::text[] loop
		execute pg_temp.filling(t, '{1,2,3,4,5,6}', 5, 0, false);
		execute pg_temp.filling(t, '{1,2,3}', 9, 4, false);
		execute pg_temp.filling(t, '{6}', 1, 0, false);
		if t <> 'page' then
			execute format('insert into %I (contact_id, at, url, size) values (1, null, %L, 9), (7, null, %L, 9)', t, 'a', 'a');
		end if;
	end loop;
end
$$;
reset leadstream.capture;
analyze;

-- what the statement wrote is told by the ids there were before
create table before (kind text, id int);
create view activity as
	select 'visit' as kind, v.id, contact_id, at, url, size, due, false as is_timeless from visit v
	union all select 'a_visit', id, contact_id, at, url, size, due, false from visit where url = 'a'
	union all select 'tap', id, contact_id, at, url, size, due, false from tap
	union all select 'page', id, contact_id, at, url, size, due, false from page
	union all select 'raw', id, contact_id, at, url, size, due, false from raw
	union all select 'local', id, contact_id, leadstream.as_instant(at, 'UTC'), url, size, due, false from local
	union all select 'badge', id, contact_id, null, url, size, due, true from badge;

-- counts by plain SQL; a comparison with nothing is false
create function pg_temp.compare(value numeric, op text, n int) returns boolean language sql as $$
	select coalesce(case op when '>=' then value >= n when '>' then value > n when '<' then value < n
		when '<=' then value <= n when '=' then value = n end, false)
$$;
create function pg_temp.expected(clock timestamptz)
	returns table (stream text, contact_id bigint, is_true boolean, is_match boolean) language sql as $$
	with counting as materialized (
		select s.stream, a.contact_id, a.size, a.id > b.id as is_fresh
		from spec s cross join unnest(s.kinds) k
			join activity a on a.kind = k
			join before b on b.kind = a.kind
			join contact c on c.id = a.contact_id
		where coalesce(case s.condition when 'url = ''a''' then a.url = 'a' when 'size >= contact.score' then a.size >= c.score
				when 'url <> ''b'' and due < now' then a.url <> 'b' and a.due < clock else true end, false)
			and (a.is_timeless or leadstream.row_span(a.at, s.older::interval, s.within::interval, 'UTC') @> clock)),
	value as (
		select s.stream, s.func, s.op, s.n, c.id as contact_id,
			case s.func when 'count' then count(x.stream) when 'sum' then coalesce(sum(x.size), 0) else max(x.size) end as now,
			case s.func when 'count' then count(x.stream) filter (where not is_fresh)
				when 'sum' then coalesce(sum(x.size) filter (where not is_fresh), 0)
				else max(x.size) filter (where not is_fresh) end as earlier,
			coalesce(bool_or(is_fresh), false) as is_fresh
		from spec s cross join contact c left join counting x on x.stream = s.stream and x.contact_id = c.id
		group by s.stream, c.id)
	select stream, contact_id, pg_temp.compare(now, op, n),
		pg_temp.compare(now, op, n) and
		((is_fresh and (func <> 'count' or op in ('>=', '>', '='))) or not pg_temp.compare(earlier, op, n))
	from value
$$;

--
-- Judged one by one.
--
insert into before select kind, max(id) from activity group by 1;
select count(*) as wrong from spec s cross join lateral leadstream.verify(s.stream);
with judged as (
	select s.stream, c.id as contact_id, leadstream.is_match(r.rule, c.id) as is_true
	from spec s join leadstream.stream r using (stream) cross join contact c)
select count(*) filter (where e.is_true) > 1000 as many, count(*) filter (where j.is_true is distinct from e.is_true) as wrong
	from judged j join pg_temp.expected('2024-03-31 12:00+00') e using (stream, contact_id);

--
-- Settled together: a statement into each table.
--
select leadstream.enable(stream) from spec \g /dev/null
create table outcome (run text, stream text, contact_id text, is_expected boolean);
create procedure pg_temp.settle(run text, statement text) language plpgsql as $$
begin
	delete from before;
	insert into before select kind, max(id) from activity group by 1;
	execute statement;
	insert into outcome
		select run, coalesce(m.stream, e.stream), coalesce(m.contact_id::text, e.contact_id::text), m.stream is null
		from leadstream.matches m full join
			(select * from pg_temp.expected(current_setting('leadstream.clock')::timestamptz) where is_match) e
			on m.stream = e.stream and m.contact_id::text = e.contact_id::text
		where m.stream is null or e.stream is null;
	insert into outcome select run, 'matches', count(*), null from leadstream.matches;
	delete from leadstream.lead;
end
$$;
do $$
declare
	t text;
begin
	foreach t in array '{visit,tap,page,raw,local,badge}'::text[] loop
		call pg_temp.settle(t, pg_temp.filling(t, '{1,2,3,4,5,6,7,8,9}', 7, 3));
		-- rows that count in few windows or in none
		call pg_temp.settle(t || ', few rows', format('insert into %I (contact_id, at, url, size, due) values
			(5, ''2024-03-10'', ''a'', 9, ''2024-03-01''), (10, ''2024-03-31'', ''c'', 9, ''2024-03-01''), (6, ''2031-01-01'', ''a'', 9, null)', t));
	end loop;
end
$$;
-- rows deleted and moved, and dead ones left in the index
update visit set at = at - interval '1 day' where contact_id = 3 and isfinite(at);
delete from visit where id % 5 = 0;
delete from tap where id % 3 = 0;
do $$
begin
	call pg_temp.settle('after changes', pg_temp.filling('visit', '{1,2,3,6}', 6, 1));
	set local leadstream.clock = '2024-04-07T12:00:00Z';
	-- what time alone has made true by then is another matter
	perform leadstream.tick();
	delete from leadstream.lead;
	call pg_temp.settle('another clock', pg_temp.filling('tap', '{1,2,3,6}', 4, 1));
	set local leadstream.clock = '2024-03-30T12:00:00Z';
	call pg_temp.settle('an earlier clock', pg_temp.filling('visit', '{1,2,3,6}', 4, 1));
end
$$;
select run, count(*) filter (where is_expected) as missing, count(*) filter (where not is_expected) as wrong,
		max(contact_id::int) filter (where is_expected is null) > 20 as some
	from outcome group by run order by run;
select * from outcome where is_expected is not null order by run, stream, contact_id limit 20;

--
-- A contact with more rows than are kept.
--
delete from spec where not (stream ~ 'count' and n > 1 and condition is null and kinds <@ '{visit,raw,page}') or stream ~ '[1-4]$';
select leadstream.disable(stream) from leadstream.stream where is_enabled and stream not in (select stream from spec) \g /dev/null
insert into spec select 'many ' || row_number() over (), 'count', k::text[], null, w, null, '>=', n
	from unnest(array['{visit}', '{raw}', '{page}']) k, unnest(array['1 day', '1 year', null]) w, unnest('{10,17000,30000,50000}'::int[]) n;
select leadstream.create_stream(stream, format('count(%s%s) >= %s', kinds[1], ' within ' || within, n)::leadstream.rule, '{Sales}') is not null as made
	from spec where stream ~ 'many' \g /dev/null
select leadstream.enable(stream) from spec where stream ~ 'many' \g /dev/null
delete from outcome;
set leadstream.capture = off;
do $$
declare
	t text;
begin
	foreach t in array '{visit,raw,page}'::text[] loop
		execute format('insert into %I (contact_id, at, url, size)
			select 11, timestamptz ''2024-03-31 11:00+00'' - i * interval ''20 minutes'', ''a'', 1 from generate_series(1, 40000) i', t);
	end loop;
end
$$;
reset leadstream.capture;
do $$
declare
	t text;
begin
	foreach t in array '{visit,raw,page}'::text[] loop
		call pg_temp.settle(t, format('insert into %I (contact_id, at, url, size) values (11, ''2024-03-31 11:00+00'', ''a'', 1)', t));
		call pg_temp.settle(t || ', the oldest', format('insert into %I (contact_id, at, url, size) values (11, ''2020-01-01'', ''a'', 1)', t));
	end loop;
end
$$;
select run, count(*) filter (where is_expected) as missing, count(*) filter (where not is_expected) as wrong,
		max(contact_id::int) filter (where is_expected is null) as matches
	from outcome group by run order by run;

select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
select leadstream.detach(t::regclass) from unnest('{visit,tap,page,raw,local,badge,contact}'::text[]) t \g /dev/null
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema shop cascade;
