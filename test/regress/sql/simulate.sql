--
-- simulate: what a rule would have done, before it does anything
--
-- simulate() against plain SQL and against streams that really were enabled
-- at the beginning of the period; compare_rules(), verify() and the versions
-- of a rule.
--
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'Asia/Tokyo';
set datestyle = 'ISO, MDY';
set leadstream.clock = '2026-04-01 00:00:00+00';

create schema sim;
create table sim.contact (id integer primary key, country text, trial_ends timestamptz);
create table sim.visit (id bigint generated always as identity primary key, contact_id integer references sim.contact,
	at timestamptz, url text, size integer);
create table sim.form (id bigint generated always as identity primary key, contact_id integer references sim.contact,
	at timestamp, form text);
create table sim.badge (id bigint generated always as identity primary key, contact_id integer references sim.contact,
	expires timestamptz);
create function sim.pick(n bigint, k int, below int) returns int language sql immutable
begin atomic
	select ((hashint8extended(n, k) & 1073741823) % below)::int;
end;

insert into sim.contact
select i, (array['SE', 'NO', null])[1 + i % 3], timestamptz '2026-03-10 00:00+00' + i * interval '20 hours'
from generate_series(1, 40) i;
insert into sim.badge (contact_id, expires)
select 1 + sim.pick(n, 1, 40), timestamptz '2026-02-20 00:00+00' + sim.pick(n, 2, 60) * interval '1 day' from generate_series(1, 30) n;
-- What is to come, in order, at instants that all differ.
create table sim.coming (n integer primary key, contact_id integer, at timestamptz, what text, size integer);
insert into sim.coming
select n, 1 + sim.pick(n, 1, 40), timestamptz '2026-02-01 00:00+00' + n * interval '2 hours 13 minutes 7 seconds',
	(array['/a', '/b', '/a/b', 'demo', 'webinar'])[1 + sim.pick(n, 2, 5)], sim.pick(n, 3, 9)
from generate_series(1, 600) n;

select leadstream.attach_contacts('sim.contact', zone => 'Europe/Stockholm');
select leadstream.attach_activity('sim.visit', occurred_at => 'at');
select leadstream.attach_activity('sim.form', occurred_at => 'at');
select leadstream.attach_activity('sim.badge', timeless => true);
select leadstream.create_team('sales') is not null as made;

create table sim.rule (n integer generated always as identity primary key, rule leadstream.rule);
insert into sim.rule (rule) values
	-- more rows make it truer: each row that comes while it is true is a match
	('exists(visit)'),
	('exists(visit where url = ''/a'' within 2 days)'),
	('count(visit within 5 days) >= 2'),
	('country = ''SE'' and exists(form where form = ''demo'')'),
	('exists(visit where url = ''/b'' within 1 month older than 3 days)'),
	('exists(visit where at > contact.trial_ends)'),
	('sum(visit.size within 10 days) > 9'),
	('count(visit, form within 3 days) > 1'),
	('last(visit.url) = ''/b'''),
	('count(distinct visit.url within 20 days) >= 3'),
	('avg(visit.size) >= 4 and exists(form)'),
	-- fewer do, or none at all
	('not exists(visit within 4 days)'),
	('count(visit within 5 days) <= 1'),
	('count(visit within 6 days) = 2'),
	('country = ''NO'''),
	('trial_ends between now and now + 7 days'),
	('trial_ends in this week'),
	('exists(badge where expires < now) and not exists(form within 7 days)'),
	-- both, and with or
	('exists(form where form = ''demo'') and not exists(visit within 4 days)'),
	('exists(visit where url = ''/a'' within 1 day) or exists(form where form = ''demo'' within 2 days)'),
	('country = ''SE'' and (exists(visit where url = ''/b'' within 3 days) or not exists(form within 9 days))'),
	('(exists(visit) and country = ''NO'') or (count(form) >= 2 and (trial_ends < now or exists(badge where expires >= now + 1 day)))'),
	('not (exists(visit within 2 days) or country is null)'),
	('exists(visit where at < now - 3 days and url = ''/a'')'),
	('max(visit.size within 8 days) > min(visit.size within 8 days)');

--
-- As if a stream had been enabled at the beginning of the period: one is, at
-- each of three instants, in a world where each row arrives at its time.
--
create procedure sim.enable(wave int, at timestamptz) language plpgsql as $$
declare
	r record;
begin
	perform set_config('leadstream.clock', at::text, false);
	for r in select * from sim.rule loop
		perform leadstream.create_stream(format('w%s %s', wave, r.n), r.rule, '{sales}');
		perform leadstream.enable(format('w%s %s', wave, r.n));
	end loop;
end $$;
create procedure sim.arrive("from" timestamptz, "to" timestamptz) language plpgsql as $$
declare
	c record;
begin
	for c in select * from sim.coming where at >= "from" and at < "to" order by at loop
		perform set_config('leadstream.clock', (c.at - interval '1 microsecond')::text, false);
		perform leadstream.tick();
		perform set_config('leadstream.clock', c.at::text, false);
		if c.what like '/%' then
			insert into sim.visit (contact_id, at, url, size) values (c.contact_id, c.at, c.what, c.size);
		else
			insert into sim.form (contact_id, at, form) values (c.contact_id, c.at at time zone 'Europe/Stockholm', c.what);
		end if;
	end loop;
	perform set_config('leadstream.clock', ("to" - interval '1 microsecond')::text, false);
	perform leadstream.tick();
end $$;
call sim.enable(1, '2026-01-31 00:00+00');
call sim.arrive('2026-01-31 00:00+00', '2026-02-20 09:30+00');
call sim.enable(2, '2026-02-20 09:30+00');
call sim.arrive('2026-02-20 09:30+00', '2026-03-05 00:00+00');
call sim.enable(3, '2026-03-05 00:00+00');
call sim.arrive('2026-03-05 00:00+00', '2026-04-01 00:00+00');
set leadstream.clock = '2026-04-01 00:00:00+00';

create table sim.wave (n integer, "from" timestamptz, "to" timestamptz);
insert into sim.wave values (1, '2026-01-31 00:00+00', '2026-02-20 09:30+00'), (1, '2026-01-31 00:00+00', '2026-04-01 00:00+00'),
	(2, '2026-02-20 09:30+00', '2026-03-05 00:00+00'), (2, '2026-02-20 09:30+00', '2026-04-01 00:00+00'),
	(3, '2026-03-05 00:00+00', '2026-03-20 00:00+00'), (3, '2026-03-05 00:00+00', '2026-04-01 00:00+00');
select w.n as wave, r.n, r.rule, j.*
from sim.wave w cross join sim.rule r
cross join lateral (
	select contact_id, m.matched_at as live, s.matched_at as simulated
	from (select x.contact_id::text, x.matched_at from leadstream.matches x
		  where x.stream = format('w%s %s', w.n, r.n) and x.matched_at < w."to") m
		full join leadstream.simulate(r.rule, w."from", w."to") s using (contact_id)) j
where j.live is distinct from j.simulated
order by 1, 2, j.contact_id;
-- that was something
select count(*) filter (where found > 0) as rules_that_match, count(*) filter (where found < 40) as not_of_all, sum(found) > 1000 as many
from (select r.n, count(m.lead_id) as found from sim.rule r
	left join leadstream.matches m on m.stream in ('w2 ' || r.n, 'w3 ' || r.n) group by r.n) x;

--
-- Against plain SQL.
--
create function sim.differ(rule leadstream.rule, "from" timestamptz, "to" timestamptz, expected text)
returns table (contact text, simulated timestamptz, plain timestamptz) language plpgsql as $$
begin
	return query execute format(
		'select coalesce(s.contact_id, p.contact_id::text), s.matched_at, p.at
		 from leadstream.simulate($1, $2, $3) s full join (select contact_id, min(at) as at from (%s) q
			where at >= $2 and at < $3 group by 1) p on p.contact_id::text = s.contact_id
		 where s.matched_at is distinct from p.at', expected) using rule, "from", "to";
end $$;
-- every row that finds another of less than five days ago, or itself there
select * from sim.differ('count(visit within 5 days) >= 2', '2026-03-01', '2026-03-15', $$
	select v.contact_id, v.at from sim.visit v
	where (select count(*) from sim.visit o where o.contact_id = v.contact_id and o.at <= v.at and o.at > v.at - interval '120 hours') >= 2 $$);
select * from sim.differ('country = ''SE'' and exists(form where form = ''demo'')', '2026-03-01', '2026-03-15', $$
	select f.contact_id, f.at at time zone 'Europe/Stockholm' as at from sim.form f join sim.contact c on c.id = f.contact_id
	where c.country = 'SE' and f.form = 'demo' $$);
-- four days after a visit that nothing followed; or from the beginning, and that is silent
select * from sim.differ('not exists(visit within 4 days)', '2026-02-01', '2026-03-15', $$
	select v.contact_id, v.at + interval '96 hours' as at from sim.visit v
	where not exists (select from sim.visit o where o.contact_id = v.contact_id and o.at > v.at and o.at <= v.at + interval '96 hours') $$);
select * from sim.differ('trial_ends between now and now + 7 days', '2026-03-10', '2026-03-20',
	$$ select id as contact_id, trial_ends - interval '168 hours' as at from sim.contact $$);
select * from sim.differ('country = ''NO''', '-infinity', 'infinity', $$ select 1 as contact_id, null::timestamptz as at $$);
-- all of time: what history finds, if nothing was true from the beginning
select r.n, j.*
from sim.rule r, lateral (
	select contact_id, s.matched_at, p.first_matched_at
	from leadstream.simulate(r.rule, '-infinity', '2026-04-01 00:00:00.000001+00') s full join leadstream.preview(r.rule) p using (contact_id)) j
where r.n in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 16, 17, 19, 20) and j.matched_at is distinct from j.first_matched_at;

--
-- The period: its beginning is part of it, its end is not.
--
insert into sim.contact values (101, 'FI', '2026-05-01 00:00+00'), (102, 'FI', '2026-05-02 00:00+00');
insert into sim.visit (contact_id, at, url) values (101, '2026-05-10 12:00+00', '/edge'), (101, '2026-05-12 12:00+00', '/edge');
select * from leadstream.simulate('exists(visit where url = ''/edge'')', '2026-05-10 12:00+00', '2026-05-10 12:00:00.000001+00');
select * from leadstream.simulate('exists(visit where url = ''/edge'')', '2026-05-09 12:00+00', '2026-05-10 12:00+00');
-- true before it begins: the second row is the news
select * from leadstream.simulate('exists(visit where url = ''/edge'')', '2026-05-10 12:00:00.000001+00', 'infinity');
select * from leadstream.simulate('exists(visit where url = ''/edge'')', '2026-05-12 12:00:00.000001+00', 'infinity');
select * from leadstream.simulate('exists(visit where url = ''/edge'')', '2026-05-10', '2026-05-10');
-- without an end: up to the clock, which is part of it; also where nothing has happened since
set leadstream.clock = '2026-05-12 12:00+00';
select * from leadstream.simulate('exists(visit where url = ''/edge'')', '2026-05-11');
select * from leadstream.simulate('exists(visit where url = ''/edge'')', '2026-05-13');
-- and beyond it: what the clock alone will do
select * from leadstream.simulate('country = ''FI'' and trial_ends < now - 30 days', '2026-05-12', '2026-06-30');
set leadstream.clock = '2026-04-01 00:00:00+00';

-- Per day, in the zone of the contacts: of two spring days one is an hour short.
insert into sim.visit (contact_id, at, url) values (101, '2026-03-28 22:59+00', '/day'), (102, '2026-03-29 21:59+00', '/day'),
	(1, '2026-03-29 22:00+00', '/day'), (2, '2026-03-30 10:00+00', '/day'), (1, '2026-03-30 12:00+00', '/day');
select * from leadstream.simulate_daily('exists(visit where url = ''/day'')', '2026-03-27 12:00+00', '2026-03-31 22:00+00');
select * from leadstream.simulate_daily('exists(visit where url = ''/day'')', '2026-03-27', '2026-03-27');
select sum(d.leads) = (select count(*) from leadstream.simulate('count(visit within 5 days) >= 2', '2026-02-01')) as all_counted,
	count(*), min(day), max(day)
from leadstream.simulate_daily('count(visit within 5 days) >= 2', '2026-02-01') d;

-- Nothing is written, so it works where nothing may be.
begin transaction read only;
select count(*) from leadstream.simulate('exists(visit)', '2026-03-01');
select sum(leads) from leadstream.simulate_daily('exists(visit)', '2026-03-01');
select count(*) from leadstream.compare_rules(a => 'exists(visit)', b => 'exists(form)');
rollback;

\set VERBOSITY sqlstate
select * from leadstream.simulate('exists(visit)', '2026-03-02', '2026-03-01');
select * from leadstream.simulate('exists(visit)', null);
select * from leadstream.simulate(null, '2026-03-02');
select * from leadstream.simulate('exists(nothing)', '2026-03-01');
select * from leadstream.simulate_daily('exists(visit)', '2026-03-01', 'infinity');
select * from leadstream.simulate_daily('exists(visit)', '-infinity', '2026-03-01');
select * from leadstream.compare_rules(a => 'exists(visit)', b => null);
select * from leadstream.compare_rules('no such stream', 'exists(visit)');
select * from leadstream.compare_rules('w1 1', 'exists(visit)', '2026-03-02', '2026-03-01');
\set VERBOSITY default

--
-- Two rules, contact by contact.
--
create temporary table compared as
	select 'history' as way, * from leadstream.compare_rules(a => 'count(visit within 5 days) >= 2', b => 'exists(visit where url = ''/a'')')
	union all
	select 'period', * from leadstream.compare_rules(a => 'count(visit within 5 days) >= 2', b => 'exists(visit where url = ''/a'')',
		"from" => '2026-03-01', "to" => '2026-03-08');
select way, difference, count(*) from compared group by 1, 2 order by 1, 2;
create temporary table expected as
	select w.way, j.*
	from (values ('history', '-infinity'::timestamptz, '2026-04-01 00:00:00.000001+00'::timestamptz), ('period', '2026-03-01', '2026-03-08')) w(way, f, t),
	lateral (select contact_id, a.at as first_a, b.at as first_b
		from (select contact_id, min(v.at) as at from sim.visit v where v.at >= f and v.at < t
			  and (select count(*) from sim.visit o where o.contact_id = v.contact_id and o.at <= v.at and o.at > v.at - interval '120 hours') >= 2
			  group by 1) a
		full join (select contact_id, min(v.at) as at from sim.visit v where v.at >= f and v.at < t and url = '/a' group by 1) b
			using (contact_id)) j;
select coalesce(c.contact_id, e.contact_id::text) as contact, c.*, e.*
from compared c full join expected e on e.way = c.way and e.contact_id::text = c.contact_id
where c.difference is distinct from case when e.first_b is null then 'only a' when e.first_a is null then 'only b'
		when e.first_a < e.first_b then 'a earlier' when e.first_b < e.first_a then 'b earlier' else 'none' end
	or c.first_a is distinct from e.first_a or c.first_b is distinct from e.first_b;
-- a stream's own rule against the one that it might get
select difference, count(*) from leadstream.compare_rules('w1 3', 'count(visit within 5 days) >= 3') group by 1 order by 1;
select count(*) from leadstream.compare_rules('w1 3', 'count(visit within 5 days) >= 2') where difference <> 'none';

--
-- Rights and row security are the caller's.
--
create role regress_simulate;
grant usage on schema sim to regress_simulate;
grant select on leadstream.contact_source, leadstream.activity_source to regress_simulate;
grant select on sim.contact to regress_simulate;
grant select (id, contact_id, at) on sim.visit to regress_simulate;
set role regress_simulate;
select count(*) from leadstream.simulate('exists(visit)', '2026-02-01') where contact_id::int <= 40;
\set VERBOSITY sqlstate
select * from leadstream.simulate('exists(visit where url = ''/a'')', '2026-03-01');
select * from leadstream.simulate_daily('exists(form)', '2026-03-01', '2026-03-02');
select * from leadstream.compare_rules(a => 'exists(visit)', b => 'exists(form)');
select * from leadstream.compare_rules('w1 3', 'exists(visit)');
\set VERBOSITY default
reset role;
alter table sim.contact enable row level security;
create policy seen on sim.contact to regress_simulate using (id % 2 = 0);
alter table sim.visit enable row level security;
create policy seen on sim.visit to regress_simulate using (id % 3 > 0);
set role regress_simulate;
select count(*) from leadstream.simulate('count(visit within 5 days) >= 2', '2026-02-01');
-- the same policies hold for the plain SQL
select * from sim.differ('count(visit within 5 days) >= 2', '2026-02-15', '2026-03-15', $$
	select v.contact_id, v.at from sim.visit v join sim.contact c on c.id = v.contact_id
	where (select count(*) from sim.visit o where o.contact_id = v.contact_id and o.at <= v.at and o.at > v.at - interval '120 hours') >= 2 $$);
select count(*) from leadstream.verify('count(visit within 5 days) >= 2'::leadstream.rule);
select array_agg(c.id order by c.id) = (select array_agg(m order by m) from leadstream._live_matches('count(visit within 20 days) >= 2', null::int) m) as alike
from sim.contact c where leadstream.is_match('count(visit within 20 days) >= 2', c.id);
reset role;
alter table sim.contact disable row level security;
alter table sim.visit disable row level security;

--
-- verify: its two sides, each by itself.
--
create function sim.at_once(rule leadstream.rule) returns table (n bigint, wrong bigint) language plpgsql as $$
begin
	return query execute format(
		'select count(*) filter (where s.yes), count(*) filter (where (s.yes, s.yes) is distinct from (l.id is not null, h.contact_id is not null))
		 from (select c.id, leadstream.is_match($1, c.id) as yes from sim.contact c) s
			left join leadstream._live_matches($1, null::int) l(id) on l.id = s.id
			left join (%s) h on h.contact_id = s.id', leadstream._instant_sql(rule, leadstream.clock())) using rule;
end $$;
select sum(x.n) > 100 as found, sum(x.wrong) as wrong, sum((select count(*) from leadstream.verify(r.rule))) as differences
from sim.rule r, sim.at_once(r.rule) x;
set leadstream.clock = '2026-02-20 12:00+00';
select sum(x.n) > 100 as found, sum(x.wrong) as wrong, sum((select count(*) from leadstream.verify(r.rule))) as differences
from sim.rule r, sim.at_once(r.rule) x;
set leadstream.clock = '2026-04-01 00:00:00+00';
\set VERBOSITY sqlstate
select count(*) from leadstream._live_matches('exists(visit)', null::text);
\set VERBOSITY default

--
-- The versions of a rule.
--
select leadstream.create_stream('Versions', 'exists(visit where url = ''/v1'')', '{sales}') is not null as made;
select leadstream.enable('Versions');
insert into sim.visit (contact_id, at, url) values (1, leadstream.clock(), '/v1'), (2, leadstream.clock(), '/v1');
select leadstream.alter_stream('Versions', rule => 'exists(visit where url = ''/v2'')');
-- the same rule, or no rule: no version
select leadstream.alter_stream('Versions', rule => ' EXISTS( visit where url=''/v2'')', description => 'x');
create role regress_versions;
grant usage on schema sim to regress_versions;
grant select on all tables in schema sim, leadstream to regress_versions;
grant insert, update on all tables in schema leadstream to regress_versions;
grant execute on all functions in schema leadstream to regress_versions;
update leadstream.stream set owner = 'regress_versions' where stream = 'Versions';
set role regress_versions;
select leadstream.alter_stream('Versions', rule => 'exists(visit where url in (''/v1'', ''/v2''))', new_name => 'Versioned');
reset role;
insert into sim.visit (contact_id, at, url) values (1, leadstream.clock(), '/v1'), (3, leadstream.clock(), '/v1');
select stream, rule_version, rule, is_current, match_count, created_by = current_user as mine, created_by = 'regress_versions' as his
from leadstream.stream_versions where stream in ('Versions', 'Versioned') order by 2;
select contact_id, rule_version from leadstream.matches where stream = 'Versioned' order by 1;
revoke select on leadstream.lead_match from regress_versions;
set role regress_versions;
select rule_version, match_count from leadstream.stream_versions where stream = 'Versioned' order by 1;
reset role;
select leadstream.disable('Versioned');
select leadstream.drop_stream('Versioned');
select count(*) from leadstream.stream_versions where stream = 'Versioned';

reset leadstream.clock;
select count(leadstream.disable(stream)) from leadstream.streams where is_enabled;
select leadstream.detach(('sim.' || activity)::regclass) is not null as detached from unnest('{visit,form,badge}'::text[]) activity;
select leadstream.detach('sim.contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema sim cascade;
drop owned by regress_simulate, regress_versions;
drop role regress_simulate, regress_versions;
