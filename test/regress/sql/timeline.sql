--
-- Timelines of single conditions, and aggregates over time
--
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
set intervalstyle = 'postgres';
\pset null '(null)'

select leadstream.always(true), leadstream.always(false), leadstream.always(null);

-- The clock now: half open, a microsecond apart
select op, leadstream.clock_timeline('2024-05-05 10:00+00', op, 'now', 'UTC')
  from unnest(array['=', '<', '<=', '>', '>=']) op;

-- The clock today
select op,
	   leadstream.clock_timeline('2024-05-05 10:00+00', op, 'today', 'Europe/Stockholm') as within_day,
	   leadstream.clock_timeline('2024-05-04 22:00+00', op, 'today', 'Europe/Stockholm') as start_of_day
  from unnest(array['=', '<', '<=', '>', '>=']) op;

-- The edges of time
select f, c, string_agg(op || ' ' || leadstream.clock_timeline(f, op, c, 'Asia/Tokyo')::text, '  ' order by op) as timelines
  from unnest(array[null, '-infinity', 'infinity', '4714-11-24 00:00+00 BC',
	'294276-12-31 23:59:59.999999+00']::timestamptz[]) f,
	   unnest(array['now', 'today']) c,
	   unnest(array['=', '<', '<=', '>', '>=']) op
 group by f, c order by f nulls first, c;
select z, string_agg(op || ' ' || leadstream.clock_timeline(f, op, 'today', z)::text, '  ' order by op) as timelines
  from unnest(array['4714-11-24 05:00+00 BC', '294276-12-31 04:59:59.999999+00']::timestamptz[]) f,
	   unnest(array['America/New_York']) z,
	   unnest(array['=', '<', '<=', '>', '>=']) op
 group by f, z order by f;

-- Periods
select unit, steps, leadstream.period_timeline('2024-02-29 23:30+00', unit, steps, 'Europe/Stockholm')
  from unnest(array['day', 'week', 'month', 'quarter', 'year']) with ordinality u (unit, i),
	   unnest(array[-1, 0, 1]) steps
 order by i, steps;
select f, unit, steps, leadstream.period_timeline(f, unit, steps, 'America/New_York')
  from unnest(array[null, 'infinity', '-infinity']::timestamptz[]) f,
	   unnest(array['day']) unit, unnest(array[0]) steps;
select f, unit, steps, leadstream.period_timeline(f, unit, steps, z) as timeline
  from (values
	(timestamptz '4714-11-24 00:00+00 BC', 'day', 0, 'UTC'),
	('4714-11-24 00:00+00 BC', 'day', 0, 'America/New_York'),
	('4714-11-24 00:00+00 BC', 'day', 1, 'UTC'),
	('4714-11-24 00:00+00 BC', 'day', -1, 'UTC'),
	('4714-11-24 00:00+00 BC', 'day', 0, 'Asia/Tokyo'),
	('4714-11-24 00:00+00 BC', 'week', 0, 'UTC'),
	('4714-11-24 00:00+00 BC', 'week', 0, 'America/New_York'),
	('4714-11-24 00:00+00 BC', 'month', 0, 'UTC'),
	('4714-11-24 00:00+00 BC', 'quarter', 0, 'America/New_York'),
	('4714-11-24 00:00+00 BC', 'year', 0, 'UTC'),
	('4714-11-24 00:00+00 BC', 'year', 1, 'UTC'),
	('4714-11-24 00:00+00 BC', 'year', -1, 'UTC'),
	('294276-12-31 23:59:59.999999+00', 'day', 0, 'UTC'),
	('294276-12-31 23:59:59.999999+00', 'day', -1, 'UTC'),
	('294276-12-31 23:59:59.999999+00', 'day', 1, 'UTC'),
	('294276-12-31 23:59:59.999999+00', 'day', 0, 'Asia/Tokyo'),
	('294276-12-31 23:59:59.999999+00', 'year', 0, 'Asia/Tokyo'),
	('294276-12-31 23:59:59.999999+00', 'year', -1, 'Asia/Tokyo'),
	('294276-12-31 23:59:59.999999+00', 'year', 0, 'UTC'),
	('2024-01-01 00:00+00', 'day', 2147483647, 'UTC'),
	('2024-01-01 00:00+00', 'day', -2147483648, 'UTC'),
	('2024-01-01 00:00+00', 'week', 2147483647, 'UTC'),
	('2024-01-01 00:00+00', 'week', -2147483648, 'UTC'),
	('2024-01-01 00:00+00', 'month', 2147483647, 'UTC'),
	('2024-01-01 00:00+00', 'month', -2147483648, 'UTC'),
	('2024-01-01 00:00+00', 'quarter', 2147483647, 'UTC'),
	('2024-01-01 00:00+00', 'quarter', -2147483648, 'UTC'),
	('2024-01-01 00:00+00', 'year', 2147483647, 'UTC'),
	('2024-01-01 00:00+00', 'year', -2147483648, 'UTC')) r (f, unit, steps, z);

-- When a row counts
select t, older, within, leadstream.row_span(t, older, within, 'Europe/Stockholm') as span
  from (values
	(timestamptz '2024-02-29 12:00+00', null::interval, null::interval),
	('2024-02-29 12:00+00', null, '1 month'),
	('2024-02-29 12:00+00', '1 month', null),
	('2024-02-29 12:00+00', '1 day', '1 month'),
	('2024-02-29 12:00+00', '2 days', '1 day'),
	('2024-02-29 12:00+00', '1 day', '1 day'),
	('2024-02-29 12:00+00', null, '0'),
	(null, null, null),
	(null, '1 day', '2 days'),
	('infinity', null, null),
	('infinity', null, '1 day'),
	('-infinity', null, null),
	('-infinity', '1 day', null),
	('-infinity', null, '1 day'),
	('294276-12-31 00:00+00', '1 month', null),
	('294276-12-31 00:00+00', null, '1 month'),
	('294276-12-31 00:00+00', '1 hour', '1 month')) r (t, older, within);

-- The first instant
select m, leadstream.first_instant(m, '2024-05-05 10:00+00')
  from unnest(array['{}', '{(,)}', '{(,2024-05-05 10:00+00)}', '{(,2024-05-05 10:00:00.000001+00)}',
	'{(,2024-05-05 10:00+00]}', '{(,2024-01-01)}', '{(,2024-01-01),[2024-02-01,2024-03-01)}',
	'{(,2024-01-01),[2024-06-01,)}', '{[2024-05-05 10:00+00,)}', '{[2024-05-05 10:00:00.000001+00,)}',
	'{(2024-02-01,2024-03-01)}', '{(2024-05-05 10:00+00,2024-06-01)}',
	'{[2024-01-01,2024-02-01),[2024-03-01,)}', '{[-infinity,2024-01-01)}', '{[-infinity,2025-01-01)}',
	'{[-infinity,infinity]}', '{[infinity,infinity]}']::tstzmultirange[]) m;
select leadstream.first_instant(null, now()), leadstream.first_instant('{(,)}', null),
	   leadstream.first_instant('{(,)}', 'infinity'), leadstream.first_instant('{[2024-01-01,)}', '-infinity');

-- Wrong constants are errors
do $$
declare
	q text;
	state text;
	message text;
	hint text;
begin
	foreach q in array array[
		$q$ leadstream.clock_timeline(now(), '<>', 'now', 'UTC') $q$,
		$q$ leadstream.clock_timeline('infinity', '', 'today', 'UTC') $q$,
		$q$ leadstream.clock_timeline(now(), '<', 'tomorrow', 'UTC') $q$,
		$q$ leadstream.clock_timeline(now(), '<', 'today', 'Nowhere') $q$,
		$q$ leadstream.period_timeline(now(), 'hour', 0, 'UTC') $q$,
		$q$ leadstream.period_timeline(now(), 'day', 0, 'Nowhere') $q$,
		$q$ leadstream.row_span(now(), null, null, 'Nowhere') $q$]
	loop
		begin
			execute 'select ' || q;
			raise info 'no error: %', q;
		exception when others then
			get stacked diagnostics state = returned_sqlstate, message = message_text, hint = pg_exception_hint;
			raise info '% % (%)', state, message, hint;
		end;
	end loop;
end
$$;

--
-- At random, against the meaning spelled out
--
select setseed(0.3);
create temp table zone as
	select unnest(array['UTC', 'Europe/Stockholm', 'America/New_York', 'Australia/Lord_Howe']) as z;

-- Instants close to where something happens in each zone: midnights, starts of
-- months and years, changes of the clocks; and anywhere.
create temp table instant as
	select z, f from zone, lateral (
		select (d at time zone z) + e * interval '1 microsecond' as f
		  from unnest(array['2024-01-01', '2024-02-29', '2024-03-01', '2024-03-10 02:00', '2024-03-10 03:00',
				'2024-03-31 02:00', '2024-03-31 02:30', '2024-04-07 01:30', '2024-04-07 02:00',
				'2024-10-06 02:00', '2024-10-27 02:00', '2024-10-27 03:00', '2024-11-03 01:00',
				'2024-11-03 02:00', '2024-12-30', '2024-12-31', '2025-01-01', '1999-12-31']::timestamp[]) d,
			   generate_series(-1, 1) e
		union
		select timestamptz '2023-06-01 00:00+00' + random() * interval '2 years' from generate_series(1, 40)) i;

select count(*) > 10000 as ran,
	   count(*) filter (where leadstream.clock_timeline(f, op, c, z) @> n is distinct from
						case op when '=' then f = s when '<' then f < s when '<=' then f <= s
								when '>' then f > s when '>=' then f >= s end) as differences
  from instant,
	   unnest(array['now', 'today']) c,
	   unnest(array['=', '<', '<=', '>', '>=']) op,
	   lateral (select n from (
					select f + e * interval '1 microsecond' as n from generate_series(-1, 1) e
					union
					select ((f at time zone z)::date + d)::timestamp at time zone z + e * interval '1 microsecond'
					  from generate_series(-1, 2) d, generate_series(-1, 0) e
					union
					select f + (random() - 0.5) * interval '4 days' from generate_series(1, 5)) ns) n,
	   lateral (select case c when 'now' then n else date_trunc('day', n, z) end as s) s;

select count(*) > 10000 as ran,
	   count(*) filter (where leadstream.period_timeline(f, unit, steps, z) @> n is distinct from
						(date_trunc(unit, f at time zone z) = date_trunc(unit, n at time zone z) +
						 steps * case unit when 'quarter' then interval '3 months' else ('1 ' || unit)::interval end)) as differences
  from instant,
	   unnest(array['day', 'week', 'month', 'quarter', 'year']) unit,
	   unnest(array[-14, -1, 0, 5]) steps,
	   lateral (select case unit when 'quarter' then interval '3 months' else ('1 ' || unit)::interval end as size) u,
	   lateral (select n from (
					select (date_trunc(unit, f at time zone z) + (k - steps) * size) at time zone z + e * interval '1 microsecond' as n
					  from generate_series(-1, 2) k, generate_series(-1, 0) e
					union
					select f - steps * size + (random() - 0.5) * size * 3 from generate_series(1, 5)) ns) n;

select count(*) > 10000 as ran,
	   count(*) filter (where leadstream.row_span(f, older, within, z) @> n is distinct from
						(n >= coalesce(leadstream.shift(f, older, z), f)
						 and (within is null or n < leadstream.shift(f, within, z)))) as differences
  from instant,
	   unnest(array[null, interval '0', '1 day', '1 month', '1 month 3 hours']) older,
	   unnest(array[null, interval '0', '12 hours', '1 month', '30 days', '1 year']) within,
	   lateral (select n from (
					select leadstream.shift(f, i, z) + e * interval '1 microsecond' as n
					  from unnest(array[interval '0', older, within]) i, generate_series(-1, 0) e) ns where n is not null) n;

-- The days of a zone partition time, whatever its clocks ever did
create temp table odd as
	select z, f
	  from unnest(array['America/Havana', 'Pacific/Apia', 'America/Sao_Paulo', 'Atlantic/Azores',
			'America/Juneau', 'Asia/Manila', 'Asia/Beirut', 'Pacific/Kwajalein', 'America/St_Johns',
			'Africa/Monrovia', 'America/Caracas', 'FOO+30', 'FOO-20']) z,
		   lateral (
			select (d at time zone 'UTC') + h * interval '29 minutes' as f
			  from unnest(array['1844-12-31', '1867-10-18', '1993-08-21', '2011-12-30', '2018-02-18', '2018-11-04',
					'2024-03-10', '2024-03-31', '2024-10-27', '2024-11-03', '2006-10-28', '2010-03-28']::timestamp[]) d,
				   generate_series(-60, 120) h) i;
select count(*) > 10000 as ran,
	   count(*) filter (where not leadstream.period_timeline(f, unit, 0, z) @> f) as outside,
	   count(*) filter (where this * next <> '{}' or this * last <> '{}') as overlaps,
	   count(*) filter (where unit <> 'day' and
							(upper(this) <> lower(next) or lower(this) <> upper(last))) as gaps
  from odd, unnest(array['day', 'week', 'month', 'quarter', 'year']) unit,
	   lateral (select leadstream.period_timeline(f, unit, 0, z) as this,
					   leadstream.period_timeline(f, unit, -1, z) as next,
					   leadstream.period_timeline(f, unit, 1, z) as last) p;
select count(*) > 10000 as ran,
	   count(*) filter (where lt + eq <> le or gt + eq <> ge or lt * eq <> '{}' or gt * eq <> '{}'
						or lt + ge <> '{(,)}' or gt + le <> '{(,)}' or lt * ge <> '{}' or gt * le <> '{}') as differences,
	   count(*) filter (where not ge @> f) as later_starts
  from odd,
	   lateral (select leadstream.clock_timeline(f, '=', 'today', z) as eq,
					   leadstream.clock_timeline(f, '<', 'today', z) as lt,
					   leadstream.clock_timeline(f, '<=', 'today', z) as le,
					   leadstream.clock_timeline(f, '>', 'today', z) as gt,
					   leadstream.clock_timeline(f, '>=', 'today', z) as ge) t;

--
-- Aggregates over time
--
create function spans() returns tstzmultirange[] language sql immutable
	return array['{[2024-01-01,2024-02-01)}', '{[2024-01-15,)}', null, '{}',
				 '{(,2023-01-01),[2024-01-10,2024-01-20)}']::tstzmultirange[];
select * from leadstream.count_pieces(spans());
select * from leadstream.distinct_pieces(spans(), '{a,a,b,c,d}'::text[]);
select * from leadstream.sum_pieces(spans(), '{1,2.5,4,8,16}');
select * from leadstream.avg_pieces(spans(), '{1,2.5,4,8,16}');
select * from leadstream.min_pieces(spans(), '{b,a,x,y,c}'::text[]);
select * from leadstream.max_pieces(spans(), '{2024-05-01,2024-04-01,2024-03-01,2024-02-01,2024-01-01}'::date[]);
select * from leadstream.first_pieces(spans(), '{1,2,3,4,5}'::int[]);
select * from leadstream.last_pieces(spans(), '{1,2,3,4,null}'::int[]);

-- Nothing there
select 'count' as f, piece, value::text from leadstream.count_pieces(null) union all
select 'count', piece, value::text from leadstream.count_pieces('{}') union all
select 'count', piece, value::text from leadstream.count_pieces('{NULL}') union all
select 'distinct', piece, value::text from leadstream.distinct_pieces(null, null::int[]) union all
select 'sum', piece, value::text from leadstream.sum_pieces(null, null) union all
select 'avg', piece, value::text from leadstream.avg_pieces(null, null) union all
select 'min', piece, value::text from leadstream.min_pieces(null, null::int[]) union all
select 'max', piece, value::text from leadstream.max_pieces(null, '{}'::int[]) union all
select 'first', piece, value::text from leadstream.first_pieces(null, null::int[]) union all
select 'last', piece, value::text from leadstream.last_pieces('{}', '{}'::int[]);

-- Values without spans, spans without values, odd bounds
select * from leadstream.sum_pieces(array['{[2024-01-01,2024-02-01]}'::tstzmultirange], '{1,2,3}');
select * from leadstream.last_pieces(array['{(2024-01-01,2024-02-01)}', '{[2024-01-10,infinity)}']::tstzmultirange[], '{1}'::int[]);
select * from leadstream.count_pieces(array['{[-infinity,infinity]}', '{[infinity,infinity]}']::tstzmultirange[]);
select * from leadstream.count_pieces(array[array['{[2024-01-01,2024-02-01)}'], array['{[2024-01-01,2024-02-01)}']]::tstzmultirange[]);

-- NaN and infinities leave no trace
select * from leadstream.sum_pieces(array['{[2024-01-01,2024-01-03)}', '{[2024-01-02,2024-01-05)}',
	'{[2024-01-04,2024-01-07)}', '{(,)}', '{[2024-01-06,2024-01-08)}', '{(,)}']::tstzmultirange[],
	'{Infinity,-Infinity,NaN,1.5,-Infinity,NULL}');
select * from leadstream.avg_pieces(array['{[2024-01-01,2024-01-03)}', '{[2024-01-02,2024-01-05)}',
	'{[2024-01-04,2024-01-07)}', '{[2024-01-06,2024-01-08)}', '{(,)}']::tstzmultirange[],
	'{Infinity,-Infinity,NaN,2,NULL}');

-- An overflow is missing, and over when the numbers leave
select piece, case when abs(value) > 1e100000 then 'large' else round(value, 2)::text end as value
  from leadstream.sum_pieces(array['{[2024-01-01,2024-01-04)}', '{[2024-01-02,2024-01-05)}',
	'{[2024-01-03,2024-01-06)}', '{(,)}']::tstzmultirange[], array[9e131071, 9e131071, -9e131071, 1.25]);
select piece, value is null as overflow
  from leadstream.avg_pieces(array['{[2024-01-01,2024-01-04)}', '{[2024-01-02,2024-01-05)}']::tstzmultirange[],
							 array[9e131071, 9e131071]);

-- Collations and types
select string_agg(value, ' ' order by piece) as c from leadstream.min_pieces(array['{[2024-01-01,)}', '{[2024-01-02,)}']::tstzmultirange[],
	array['a', 'B'] collate "C");
select string_agg(value::text, ' ' order by piece) as uuids from leadstream.max_pieces(array['{[2024-01-01,)}', '{[2024-01-02,)}']::tstzmultirange[],
	'{11111111-1111-1111-1111-111111111111,22222222-2222-2222-2222-222222222222}'::uuid[]);
create domain positive as int check (value > 0);
select string_agg(value::text, ' ' order by piece) as domains from leadstream.max_pieces(array['{[2024-01-01,)}', '{[2024-01-02,)}']::tstzmultirange[],
	array[3, 5]::positive[]);
select string_agg(value::text, ' ' order by piece) as unordered from leadstream.last_pieces(array['{[2024-01-01,)}', '{[2024-01-02,)}']::tstzmultirange[],
	array['(1,2)', '(3,4)']::point[]);
select * from leadstream.min_pieces(array['{(,)}']::tstzmultirange[], array['(1,2)']::point[]);
-- also where a set may stand beside a select list
select leadstream.count_pieces(array['{[2024-01-01,)}']::tstzmultirange[]);
select (leadstream.max_pieces(array['{[2024-01-01,)}']::tstzmultirange[], '{7}'::int[])).*;

-- At random, against an aggregate over the rows at many instants
create temp table trial as
	select trial,
		   case when random() < 0.05 then null else
		   case when random() < 0.1 then '{}' else
				tstzmultirange(tstzrange(case when random() < 0.1 then null else a end, a + w1)) end
		   + case when random() < 0.3 then tstzmultirange(tstzrange(a + w2, case when random() < 0.3 then null else a + w2 + w1 end))
				  else '{}' end end as span,
		   case when random() < 0.1 then null
				when random() < 0.02 then 'NaN'
				when random() < 0.02 then 'Infinity'
				when random() < 0.02 then '-Infinity'
				else round((random() * 20 - 10)::numeric, (random() * 3)::int) end as val,
		   row_number() over () as pos
	  from generate_series(1, 60) trial,
		   lateral generate_series(1, (random() * 30)::int + 0 * trial) r,
		   lateral (select timestamptz '2024-01-01 00:00+00' + (random() * 40)::int * interval '1 hour' as a,
						   (1 + (random() * 10)::int) * interval '1 hour' as w1,
						   (random() * 20)::int * interval '1 hour' as w2
					 where r > 0) x;
create temp table seen as
	select trial, array_agg(span order by pos) as spans, array_agg(val order by pos) as vals,
		   array_agg(val::text order by pos) as texts
	  from trial group by trial;
create temp table judged as
	select distinct trial, n
	  from trial, lateral unnest(span) r,
		   lateral (select b + e * interval '1 microsecond' as n
					  from unnest(array[lower(r), upper(r)]) b, generate_series(-1, 1) e where b is not null
					union all select timestamptz '1900-01-01 00:00+00' union all select '2100-01-01 00:00+00') n;
create temp table piece as
	select trial, 'count' as f, piece, value::text from seen, leadstream.count_pieces(spans) union all
	select trial, 'distinct', piece, value::text from seen, leadstream.distinct_pieces(spans, vals) union all
	select trial, 'sum', piece, trim_scale(value)::text from seen, leadstream.sum_pieces(spans, vals) union all
	select trial, 'avg', piece, round(value, 10)::text from seen, leadstream.avg_pieces(spans, vals) union all
	select trial, 'min', piece, trim_scale(value)::text from seen, leadstream.min_pieces(spans, vals) union all
	select trial, 'max', piece, trim_scale(value)::text from seen, leadstream.max_pieces(spans, vals) union all
	select trial, 'mintext', piece, value from seen, leadstream.min_pieces(spans, texts collate "C") union all
	select trial, 'maxtext', piece, value from seen, leadstream.max_pieces(spans, texts collate "C") union all
	select trial, 'first', piece, value::text from seen, leadstream.first_pieces(spans, vals) union all
	select trial, 'last', piece, value::text from seen, leadstream.last_pieces(spans, vals);
create temp table expected as
	select j.trial, j.n, a.f, a.value
	  from judged j,
		   lateral (select count(*) as c, count(distinct val) as d, coalesce(sum(val), 0) as s, avg(val) as a,
						   min(val) as lo, max(val) as hi, min(val::text collate "C") as tlo, max(val::text collate "C") as thi,
						   (array_agg(val order by pos))[1] as first, (array_agg(val order by pos desc))[1] as last
					  from trial t where t.trial = j.trial and t.span @> j.n) g,
		   lateral (values ('count', c::text), ('distinct', d::text), ('sum', trim_scale(s)::text),
						   ('avg', round(a, 10)::text), ('min', trim_scale(lo)::text), ('max', trim_scale(hi)::text),
						   ('mintext', tlo), ('maxtext', thi), ('first', first::text), ('last', last::text)) a (f, value);
select count(*) > 10000 as ran, count(*) filter (where p.value is distinct from e.value) as differences,
	   count(*) filter (where p.trial is null) as uncovered
  from expected e left join piece p on p.trial = e.trial and p.f = e.f and p.piece @> e.n;
select count(*) filter (where isempty(piece)) as empty,
	   count(*) filter (where not (lower_inf(piece) or lower_inc(piece)) or upper_inc(piece)) as not_half_open,
	   count(*) filter (where upper(before) is distinct from lower(piece)
						or (before is null) <> lower_inf(piece)) as gaps,
	   count(*) filter (where (after is null) <> upper_inf(piece)) as ends,
	   count(*) filter (where f in ('count', 'distinct') and value = value_before) as repeated
  from (select *, lag(piece) over w as before, lead(piece) over w as after, lag(value) over w as value_before
		  from piece window w as (partition by trial, f order by piece)) p;

-- Many rows in one sweep
create temp table crowd as
	select array_agg(leadstream.row_span(timestamptz '2024-01-01 00:00+00' + i * interval '1 minute', null, interval '1 day', 'UTC') order by i) as spans,
		   array_agg((i * 7919) % 10007 order by i) as vals
	  from generate_series(1, 20000) i;
select count(*), max(value) from crowd, leadstream.count_pieces(spans);
select max(value), min(value) filter (where value > 0) from crowd, leadstream.distinct_pieces(spans, vals);
select count(*) > 10 as ran, min(value), max(value) from crowd, leadstream.min_pieces(spans, vals);
select count(*) > 10 as ran, min(value), max(value) from crowd, leadstream.max_pieces(spans, vals);
select max(value) = (select max(s) from (select sum((i * 7919) % 10007) over (order by i rows 1439 preceding) as s
										   from generate_series(1, 20000) i) w) as sums_agree
  from crowd, leadstream.sum_pieces(spans, vals::numeric[]);

drop table crowd, expected, judged, piece, seen, trial, odd, instant, zone;
drop function spans();
drop domain positive;
