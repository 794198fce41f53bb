--
-- Instants: reading, writing and shifting them in a zone
--
-- Nothing may depend on the session, so it is set to something odd.
--
set timezone = 'Asia/Kathmandu';
set datestyle = 'SQL, DMY';
set intervalstyle = 'sql_standard';
\pset null '(null)'

create function utc(timestamptz) returns text language sql
	return case when isfinite($1)
				then to_char($1 at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US BC')
				else $1::text end;

-- Strict ISO 8601: what reads
select s, utc(leadstream.as_instant(s, 'Europe/Stockholm')) as instant
  from unnest(array[
	'2024-01-02',
	'2024-07-02',
	'2024-07-02T10:00',
	'2024-07-02 10:00:59',
	E' \t2024-07-02T10:00:59.5 \n',
	'2024-07-02T10:00:59.123456Z',
	'2024-07-02T10:00Z',
	'2024-07-02T10:00+00',
	'2024-07-02T10:00-00',
	'2024-07-02T10:00+0530',
	'2024-07-02T10:00-05:30',
	'2024-07-02T10:00+15:59',
	'2024-02-29T23:59:59.999999',
	'0001-01-01T00:00Z',
	'9999-12-31T23:59:59Z',
	-- in the gap in spring, twice in autumn: as PostgreSQL reads them
	'2024-03-31T02:30',
	'2024-10-27T02:30']) s;

-- What does not
select s, leadstream.as_instant(s, 'Europe/Stockholm') as instant
  from unnest(array[
	'', ' ', 'now', 'today', 'infinity', 'epoch', '2024', '2024-01', '20240102',
	'2024-1-2', '24-01-02', '02/01/2024', '2024-13-01', '2024-00-01',
	'2024-02-30', '2023-02-29', '1900-02-29', '2024-01-00', '0000-01-01',
	'-2024-01-01', '+2024-01-01', '12024-01-01', '2024-01-02T', '2024-01-02T10',
	'2024-01-02T10:', '2024-01-02T10:0', '2024-01-02T24:00', '2024-01-02T10:60',
	'2024-01-02T10:00:60', '2024-01-02T10:00:', '2024-01-02T10:00:00.',
	'2024-01-02T10:00:00.1234567', '2024-01-02T10:00:00,5',
	'2024-01-02  10:00', '2024-01-02T10:00 Z', '2024-01-02T10:00z',
	'2024-01-02t10:00', '2024-01-02T10:00+', '2024-01-02T10:00+1',
	'2024-01-02T10:00+1:00', '2024-01-02T10:00+16', '2024-01-02T10:00+10:60',
	'2024-01-02T10:00+10:', '2024-01-02T10:00+100', '2024-01-02T10:00+10:000',
	'2024-01-02T10:00Zx', '2024-01-02Z', '2024-01-02+01', '2024-01-02T10.5',
	'2024-01-02 BC', '2024-01-02T10:00 Europe/Stockholm']) s
 where leadstream.as_instant(s, 'Europe/Stockholm') is not null;

-- What we read, core reads the same, with an offset and without
begin;
set local timezone = 'America/New_York';
select setseed(0.1);
select count(*) as differences
  from (select to_char(timestamp '1900-01-01' + random() * interval '200 years',
					   (array['YYYY-MM-DD', 'YYYY-MM-DD"T"HH24:MI', 'YYYY-MM-DD HH24:MI:SS',
							  'YYYY-MM-DD"T"HH24:MI:SS.MS', 'YYYY-MM-DD"T"HH24:MI:SS.US'])[1 + i % 5])
			   || case when i % 5 = 0 then ''
					   else (array['', 'Z', '+00', '-08', '+05:45', '-0330'])[1 + i % 6] end as s
		  from generate_series(1, 3000) i) r
 where leadstream.as_instant(s, 'America/New_York') is distinct from s::timestamptz;
rollback;

-- JSON
select j, utc(leadstream.as_instant(j, 'UTC')) as instant
  from unnest(array['"2024-01-02T10:00Z"', '"2024-01-02"', '"tomorrow"', '""',
	'null', 'true', '20240102', '["2024-01-02"]', '{"a": "2024-01-02"}']::jsonb[]) j;

-- Dates, local times, instants
select d, utc(leadstream.as_instant(d, 'Europe/Stockholm')) as instant
  from unnest(array['2024-01-02', '2024-07-02']::date[]) d;
select d, utc(leadstream.as_instant(d, 'Asia/Tokyo')) as instant
  from unnest(array['4714-11-24 BC', '4714-11-25 BC',
	'294276-12-31', '294277-01-01', '294277-01-02', '5874897-12-31',
	'infinity', '-infinity']::date[]) d;
select d, utc(leadstream.as_instant(d, 'America/New_York')) as instant
  from unnest(array['4714-11-24 BC', '294276-12-31', '294277-01-01',
	'5874897-12-31']::date[]) d;
select t, utc(leadstream.as_instant(t, 'Europe/Stockholm')) as instant
  from unnest(array['2024-01-02 10:00', '2024-07-02 10:00', '2024-03-31 02:30',
	'2024-10-27 02:30', '4714-11-24 00:00 BC', '294276-12-31 23:59:59.999999',
	'infinity', '-infinity']::timestamp[]) t;
select utc(leadstream.as_instant(timestamp '294276-12-31 23:59:59.999999', 'America/New_York')) as instant;
select utc(leadstream.as_instant(timestamptz '2024-01-02 10:00+00', 'Europe/Stockholm')) as instant,
	   leadstream.as_instant(timestamptz 'infinity', 'UTC');

-- A day without a midnight starts where core lets it start
select utc(leadstream.as_instant(date '2018-11-04', 'America/Sao_Paulo')) as gap,
	   utc(leadstream.as_instant(date '2011-12-30', 'Pacific/Apia')) as no_day,
	   utc(leadstream.as_instant(date '2011-12-31', 'Pacific/Apia')) as day_after,
	   utc(leadstream.as_instant(date '2024-11-03', 'America/Havana')) as twice;
begin;
set local timezone = 'America/Sao_Paulo';
select count(*) as differences
  from generate_series(date '1910-01-01', date '2030-01-01', interval '1 day') d
 where leadstream.as_instant(d::date, 'America/Sao_Paulo') <> d::date::timestamptz
	or leadstream.as_instant(d::timestamp, 'America/Sao_Paulo') <> d::timestamp::timestamptz;
rollback;

-- Shifts: months by the calendar, days as 24 hours
select t, i, z, utc(leadstream.shift(t::timestamptz, i::interval, z)) as shifted
  from (values
	('2024-01-31 10:00+00', '1 month', 'UTC'),
	('2023-01-31 10:00+00', '1 month', 'UTC'),
	('2024-02-29 10:00+00', '12 months', 'UTC'),
	('2024-02-29 10:00+00', '-1 year', 'UTC'),
	('2024-03-31 10:00+00', '-1 month', 'UTC'),
	('2024-01-31 23:30+00', '1 month', 'Europe/Stockholm'),
	('2024-02-29 12:00+00', '1 month', 'Europe/Stockholm'),
	('2024-03-30 12:00+00', '1 day', 'Europe/Stockholm'),
	('2024-03-30 12:00+00', '24 hours', 'Europe/Stockholm'),
	('2024-02-29 01:30+00', '1 month 1 day', 'Europe/Stockholm'),
	('2024-02-29 01:30+00', '1 month 2 days', 'Europe/Stockholm'),
	('2024-01-31 10:00+00', '1 month 1 microsecond', 'UTC'),
	('0001-01-15 10:00+00', '-1 month', 'UTC'),
	('infinity', '-1 year', 'UTC'),
	('-infinity', '1 year', 'UTC'),
	('4714-11-24 00:00+00 BC', '-1 microsecond', 'UTC'),
	('4714-11-24 00:00+00 BC', '-1 month', 'UTC'),
	('4714-11-24 00:00+00 BC', '-1 month', 'America/New_York'),
	('4714-11-24 00:00+00 BC', '1 month', 'America/New_York'),
	('294276-12-31 23:59:59.999999+00', '1 microsecond', 'UTC'),
	('294276-12-31 23:59:59.999999+00', '1 month', 'UTC'),
	('294276-12-31 23:59:59.999999+00', '-1 month', 'Asia/Tokyo'),
	('2024-01-01 00:00+00', '178000000 years', 'UTC'),
	('2024-01-01 00:00+00', '-178000000 years', 'UTC'),
	('2024-01-01 00:00+00', '2147483647 days', 'UTC'),
	('2024-01-01 00:00+00', '-2147483648 days', 'UTC'),
	('2024-01-01 00:00+00', '2147483647 days 2000000000 hours', 'UTC'),
	('2024-01-01 00:00+00', '-2147483648 days 2000000000 hours', 'UTC')) r (t, i, z);

-- The same as arithmetic on local time, at random
select count(*) as differences
  from (select z, timestamptz '1950-01-01 00:00+00' + random() * interval '100 years' as t,
			   make_interval(months => (random() * 60 - 30)::int) as months,
			   (random() * 100 - 50)::int as days,
			   random() * interval '1 day' as hours
		  from generate_series(1, 1000) i,
			   unnest(array['UTC', 'Europe/Stockholm', 'America/New_York', 'Australia/Lord_Howe']) z) r
 where leadstream.shift(t, months + make_interval(days => days) + hours, z) is distinct from
	   case when months = interval '0' then t
			else (t at time zone z + months) at time zone z end
	   + make_interval(hours => 24 * days) + hours;

-- Wrong constants are errors
do $$
declare
	z text;
	state text;
	hint text;
begin
	foreach z in array array['', 'Nowhere/City', '2024', 'right/UTC', repeat('x', 300)] loop
		begin
			perform leadstream.shift(now(), interval '1 day', z);
			raise notice '% is a zone', z;
		exception when others then
			get stacked diagnostics state = returned_sqlstate, hint = pg_exception_hint;
			raise info '% %', state, hint;
		end;
	end loop;
end
$$;

drop function utc(timestamptz);
