-- agree_judge.sql: the naive judge against answers worked out by hand
--
-- Who judges the judge?  A small world whose timelines can be read off the
-- text of DESIGN 3, and the same for what is in force, for what time alone
-- can do and for replayed arrivals.  Nothing here touches the extension,
-- except that the rule texts are its own canonical ones.

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off

set client_min_messages = error;
create extension if not exists leadstream;
\ir lib/world.sql
\ir lib/generate.sql
\ir lib/judge.sql
\ir lib/report.sql
\ir lib/replay.sql

do $$
begin
	perform nv.settings(4);		-- bigint keys, UTC
	perform set_config('nv.infinite', 'off', false);
	perform set_config('nv.zone', 'UTC', false);
	perform set_config('timezone', 'UTC', false);
	perform set_config('datestyle', 'ISO', false);
	perform nv.make_tables('bigint');
end $$;

insert into w.contact (id, country, note, score, vip, trial, born, tags, attrs) values
	(1, 'SE', ' 7 ', 5, true, '2024-03-10 12:00', '2024-03-10', '{vip,new}', '{"n": "3", "flag": "yes", "when": "2024-03-10", "list": ["a", 3], "x": null}'),
	(2, null, 'abc', null, null, null, null, null, null);
insert into w.visit (id, contact_id, at, label, value, due) values
	(11, 1, '2024-01-31 00:00', 'a', 1, '2024-03-01'),
	(10, 1, '2024-02-01 00:00', 'b', 2, null),
	(13, 1, '2024-02-01 00:00', null, null, '2024-02-10'),
	(14, 1, null, 'a', 100, '2024-03-01'),
	(15, null, '2024-02-01', 'a', 100, '2024-03-01');
insert into w.event (grp, id, contact_id, day, type, ok, value) values
	('a', 1, 1, '2024-02-03', 'form', null, 3),
	('a', 2, 1, '2024-02-05', 'form', false, 3),
	('a', 3, 1, '2024-02-07', 'click', true, 1);
insert into w.badge (id, contact_id, label, value) values (1, 1, 'gold', 1), (2, 1, 'Silver', 2);

-- A rule by hand, what its text must be, and the timeline of contact 1 (and 2).
create table nv.case_of (txt text, rule jsonb, line text, line2 text default '{}');

create function nv.f(s text, variadic p text[]) returns jsonb
language sql as $$ select jsonb_build_object('t', 'field', 's', s, 'p', to_jsonb(p)) $$;
create function nv.agg(fn text, kind text, field text default null, more jsonb default '{}') returns jsonb
language sql as $$
	select jsonb_build_object('t', 'agg', 'fn', fn, 'kinds', jsonb_build_array(kind))
		|| case when field is null then '{}' else jsonb_build_object('p', jsonb_build_array(field)) end || more
$$;
create function nv.alone(o jsonb) returns jsonb
language sql as $$ select jsonb_build_object('t', 'alone', 'a', o) $$;
create function nv.no(c jsonb) returns jsonb
language sql as $$ select jsonb_build_object('t', 'not', 'k', jsonb_build_array(c)) $$;
create function nv.within(x text, m int, s int) returns jsonb
language sql as $$ select jsonb_build_object('within', jsonb_build_object('x', x, 'm', m, 's', s)) $$;
create function nv.older(x text, m int, s int) returns jsonb
language sql as $$ select jsonb_build_object('older', jsonb_build_object('x', x, 'm', m, 's', s)) $$;
create function nv.clock_of(base text, sign text default null, x text default null, m int default 0, s int default 0) returns jsonb
language sql as $$
	select jsonb_build_object('t', 'clock', 'base', base, 'shifts', case when sign is null then '[]'
		else jsonb_build_array(jsonb_build_object('sign', sign, 'i', jsonb_build_object('x', x, 'm', m, 's', s))) end)
$$;
create function nv.cmp(a jsonb, op text, b jsonb) returns jsonb
language sql as $$ select nv.a_test(op, a, jsonb_build_array(b)) $$;

insert into nv.case_of values ('true', '{"t":"true"}', '{(,)}', '{(,)}');
insert into nv.case_of values ('country = ''SE''', nv.cmp(nv.f('c', 'country'), '=', nv.str('SE')), '{(,)}');
insert into nv.case_of values ('country <> ''SE''', nv.cmp(nv.f('c', 'country'), '<>', nv.str('SE')), '{}', '{(,)}');
insert into nv.case_of values ('not score < 3', nv.no(nv.cmp(nv.f('c', 'score'), '<', nv.num('3'))), '{(,)}', '{(,)}');
insert into nv.case_of values ('score >= 3', nv.cmp(nv.f('c', 'score'), '>=', nv.num('3')), '{(,)}');
insert into nv.case_of values ('score > 4.5', nv.cmp(nv.f('c', 'score'), '>', nv.num('4.5')), '{(,)}');
insert into nv.case_of values ('note = 7', nv.cmp(nv.f('c', 'note'), '=', nv.num('7')), '{(,)}');
insert into nv.case_of values ('attrs.n = 3', nv.cmp(nv.f('c', 'attrs', 'n'), '=', nv.num('3')), '{(,)}');
insert into nv.case_of values ('attrs.flag = true', nv.cmp(nv.f('c', 'attrs', 'flag'), '=', '{"t":"bool","v":true}'), '{(,)}');
insert into nv.case_of values ('attrs.x is null', nv.a_test('is null', nv.f('c', 'attrs', 'x'), '[]'), '{(,)}', '{(,)}');
-- two of jsonb compare as jsonb: a number is more than any string
insert into nv.case_of values ('attrs.list[1] > attrs.n', nv.cmp('{"t":"field","s":"c","p":["attrs","list",1]}', '>', nv.f('c', 'attrs', 'n')), '{(,)}');
insert into nv.case_of values ('attrs.n <= attrs.x', nv.cmp(nv.f('c', 'attrs', 'n'), '<=', nv.f('c', 'attrs', 'x')), '{}');
insert into nv.case_of values ('attrs.list contains ''3''', nv.a_test('contains', nv.f('c', 'attrs', 'list'), jsonb_build_array(nv.str('3'))), '{(,)}');
insert into nv.case_of values ('tags contains ''VIP''', nv.a_test('contains', nv.f('c', 'tags'), jsonb_build_array(nv.str('VIP'))), '{}');
insert into nv.case_of values ('country contains ''s''', nv.a_test('contains', nv.f('c', 'country'), jsonb_build_array(nv.str('s'))), '{(,)}');
insert into nv.case_of values ('trial < now', nv.cmp(nv.f('c', 'trial'), '<', nv.clock_of('now')), '{["2024-03-10 12:00:00.000001+00",)}');
insert into nv.case_of values ('trial <= now', nv.cmp(nv.f('c', 'trial'), '<=', nv.clock_of('now')), '{["2024-03-10 12:00:00+00",)}');
insert into nv.case_of values ('trial = now', nv.cmp(nv.f('c', 'trial'), '=', nv.clock_of('now')), '{["2024-03-10 12:00:00+00","2024-03-10 12:00:00.000001+00")}');
insert into nv.case_of values ('trial < now - 1 month', nv.cmp(nv.f('c', 'trial'), '<', nv.clock_of('now', '-', '1 month', 1)), '{["2024-04-10 12:00:00.000001+00",)}');
insert into nv.case_of values ('trial < today', nv.cmp(nv.f('c', 'trial'), '<', nv.clock_of('today')), '{["2024-03-11 00:00:00+00",)}');
insert into nv.case_of values ('born = today', nv.cmp(nv.f('c', 'born'), '=', nv.clock_of('today')), '{["2024-03-10 00:00:00+00","2024-03-11 00:00:00+00")}');
insert into nv.case_of values ('attrs.when > now + 1 day', nv.cmp(nv.f('c', 'attrs', 'when'), '>', nv.clock_of('now', '+', '1 day', 0, 86400)), '{(,"2024-03-09 00:00:00+00")}');
insert into nv.case_of values ('trial in last month', nv.a_test('in period', nv.f('c', 'trial'), '[{"t":"period","p":"last","u":"month"}]'), '{["2024-04-01 00:00:00+00","2024-05-01 00:00:00+00")}');
insert into nv.case_of values ('trial in next week', nv.a_test('in period', nv.f('c', 'trial'), '[{"t":"period","p":"next","u":"week"}]'), '{["2024-02-26 00:00:00+00","2024-03-04 00:00:00+00")}');
insert into nv.case_of values ('trial in this quarter', nv.a_test('in period', nv.f('c', 'trial'), '[{"t":"period","p":"this","u":"quarter"}]'), '{["2024-01-01 00:00:00+00","2024-04-01 00:00:00+00")}');
insert into nv.case_of values ('trial in yesterday', nv.a_test('in period', nv.f('c', 'trial'), '[{"t":"period","p":"yesterday"}]'), '{["2024-03-11 00:00:00+00","2024-03-12 00:00:00+00")}');
insert into nv.case_of values ('exists(visit)', nv.alone(nv.agg('exists', 'visit')), '{["2024-01-31 00:00:00+00",)}');
insert into nv.case_of values ('not exists(visit)', nv.no(nv.alone(nv.agg('exists', 'visit'))), '{(,"2024-01-31 00:00:00+00")}', '{(,)}');
insert into nv.case_of values ('exists(visit within 1 month)', nv.alone(nv.agg('exists', 'visit', null, nv.within('1 month', 1, 0))), '{["2024-01-31 00:00:00+00","2024-03-01 00:00:00+00")}');
insert into nv.case_of values ('exists(visit within 12 hours)', nv.alone(nv.agg('exists', 'visit', null, nv.within('12 hours', 0, 43200))),
		'{["2024-01-31 00:00:00+00","2024-01-31 12:00:00+00"),["2024-02-01 00:00:00+00","2024-02-01 12:00:00+00")}');
insert into nv.case_of values ('exists(visit within 1 day)', nv.alone(nv.agg('exists', 'visit', null, nv.within('1 day', 0, 86400))), '{["2024-01-31 00:00:00+00","2024-02-02 00:00:00+00")}');
insert into nv.case_of values ('exists(visit older than 2 days)', nv.alone(nv.agg('exists', 'visit', null, nv.older('2 days', 0, 172800))), '{["2024-02-02 00:00:00+00",)}');
insert into nv.case_of values ('exists(visit within 1 day older than 12 hours)', nv.alone(nv.agg('exists', 'visit', null, nv.within('1 day', 0, 86400) || nv.older('12 hours', 0, 43200))),
		'{["2024-01-31 12:00:00+00","2024-02-01 00:00:00+00"),["2024-02-01 12:00:00+00","2024-02-02 00:00:00+00")}');
insert into nv.case_of values ('exists(visit where due > now)', nv.alone(nv.agg('exists', 'visit', null, jsonb_build_object('where', nv.cmp(nv.f('r', 'due'), '>', nv.clock_of('now'))))),
		'{["2024-01-31 00:00:00+00","2024-03-01 00:00:00+00")}');
insert into nv.case_of values ('count(visit) >= 2', nv.cmp(nv.agg('count', 'visit'), '>=', nv.num('2')), '{["2024-02-01 00:00:00+00",)}');
insert into nv.case_of values ('count(visit within 1 day) = 1', nv.cmp(nv.agg('count', 'visit', null, nv.within('1 day', 0, 86400)), '=', nv.num('1')), '{["2024-01-31 00:00:00+00","2024-02-01 00:00:00+00")}');
insert into nv.case_of values ('count(distinct visit.label) = 2', nv.cmp(nv.agg('distinct', 'visit', 'label'), '=', nv.num('2')), '{["2024-02-01 00:00:00+00",)}');
insert into nv.case_of values ('sum(visit.value) <= 1', nv.cmp(nv.agg('sum', 'visit', 'value'), '<=', nv.num('1')), '{(,"2024-02-01 00:00:00+00")}', '{(,)}');
insert into nv.case_of values ('avg(visit.value) > 1', nv.cmp(nv.agg('avg', 'visit', 'value'), '>', nv.num('1')), '{["2024-02-01 00:00:00+00",)}');
insert into nv.case_of values ('first(visit.label) = ''a''', nv.cmp(nv.agg('first', 'visit', 'label'), '=', nv.str('a')), '{["2024-01-31 00:00:00+00",)}');
insert into nv.case_of values ('last(visit.label) is null', nv.a_test('is null', nv.agg('last', 'visit', 'label'), '[]'), '{(,"2024-01-31 00:00:00+00"),["2024-02-01 00:00:00+00",)}', '{(,)}');
insert into nv.case_of values ('max(visit.value) = 2', nv.cmp(nv.agg('max', 'visit', 'value'), '=', nv.num('2')), '{["2024-02-01 00:00:00+00",)}');
insert into nv.case_of values ('count(visit) > 2 * count(badge)', nv.cmp(nv.agg('count', 'visit'), '>', jsonb_build_object('t', 'times', 'n', '2', 'a', nv.agg('count', 'badge'))), '{}');
insert into nv.case_of values ('count(visit) > count(badge)', nv.cmp(nv.agg('count', 'visit'), '>', nv.agg('count', 'badge')), '{["2024-02-01 00:00:00+00",)}');
insert into nv.case_of values ('count(form) = 1', nv.cmp(nv.agg('count', 'form'), '=', nv.num('1')), '{["2024-02-03 00:00:00+00",)}');
insert into nv.case_of values ('count(form, click) = 3', nv.cmp('{"t":"agg","fn":"count","kinds":["form","click"]}', '=', nv.num('3')), '{["2024-02-05 00:00:00+00",)}');
insert into nv.case_of values ('last(badge.label) = ''Silver''', nv.cmp(nv.agg('last', 'badge', 'label'), '=', nv.str('Silver')), '{(,)}');

create function nv.score(variadic items jsonb[]) returns jsonb
language sql as $$ select jsonb_build_object('t', 'agg', 'fn', 'score', 'items', to_jsonb(items)) $$;
create function nv.pays(n int, c jsonb) returns jsonb
language sql as $$ select jsonb_build_object('n', n, 'c', c) $$;
insert into nv.case_of values ('score(5 where exists(visit within 12 hours), 2 where country = ''SE'') >= 7',
	nv.cmp(nv.score(nv.pays(5, nv.alone(nv.agg('exists', 'visit', null, nv.within('12 hours', 0, 43200)))), nv.pays(2, nv.cmp(nv.f('c', 'country'), '=', nv.str('SE')))), '>=', nv.num('7')),
	'{["2024-01-31 00:00:00+00","2024-01-31 12:00:00+00"),["2024-02-01 00:00:00+00","2024-02-01 12:00:00+00")}');
insert into nv.case_of values ('score(3 where trial < now, -4 where count(visit) >= 2) < 0',
	nv.cmp(nv.score(nv.pays(3, nv.cmp(nv.f('c', 'trial'), '<', nv.clock_of('now'))), nv.pays(-4, nv.cmp(nv.agg('count', 'visit'), '>=', nv.num('2')))), '<', nv.num('0')),
	'{["2024-02-01 00:00:00+00",)}');
insert into nv.case_of values ('score(3 where trial < now, -4 where count(visit) >= 2) = -4',
	nv.cmp(nv.score(nv.pays(3, nv.cmp(nv.f('c', 'trial'), '<', nv.clock_of('now'))), nv.pays(-4, nv.cmp(nv.agg('count', 'visit'), '>=', nv.num('2')))), '=', nv.num('-4')),
	'{["2024-02-01 00:00:00+00","2024-03-10 12:00:00.000001+00")}');

do $$
declare
	c nv.case_of;
	got text[];
	txt text;
begin
	for c in select * from nv.case_of loop
		select array_agg(line::text order by key) into got from nv.timeline(c.rule);
		perform nv.ok(got = array[c.line, c.line2], 'judged by hand: ' || c.txt);
		if got <> array[c.line, c.line2] then
			perform nv.diag(format('expected %s and %s, got %s', c.line, c.line2, got));
		end if;
		txt := replace(nv.rule_text(c.rule)::leadstream.rule::text, 'contact.', '');
		perform nv.ok(txt = c.txt, 'as text: ' || c.txt);
		if txt <> c.txt then
			perform nv.diag('got ' || txt);
		end if;
	end loop;
end $$;

-- First instants.
select nv.ok(nv.first_instant(line::tstzmultirange, '2024-06-01+00') is not distinct from want::timestamptz, format('first instant of %s is %s', line, want))
from (values
	('{}', null),
	('{(,)}', '2024-06-01+00'),
	('{(,2024-01-01+00)}', null),
	('{(,2024-01-01+00),[2024-02-01+00,2024-03-01+00)}', '2024-02-01+00'),
	('{[2024-02-01+00,2024-03-01+00),[2024-05-01+00,)}', '2024-02-01+00'),
	('{[2024-06-01+00,)}', '2024-06-01+00'),
	('{[2024-07-01+00,)}', null),
	('{(,2024-06-01+00)}', null)) v(line, want)
\g /dev/null

-- What is in force for a new visit, what time can do, what rows can do:
-- a letter for each that holds.
create table nv.traits (txt text, rule jsonb, want text);
insert into nv.traits
select txt, rule, want from nv.case_of join (values
	('exists(visit)', 'fg'), ('not exists(visit)', ''), ('exists(visit within 1 day)', 'fg'), ('exists(visit older than 2 days)', 'tfg'),
	('exists(visit where due > now)', 'fg'), ('count(visit) >= 2', 'fg'), ('count(visit within 1 day) = 1', 'tf'),
	('sum(visit.value) <= 1', 'f'), ('count(visit) > count(badge)', 'f'), ('last(visit.label) is null', 'f'),
	('trial < now', 'tg'), ('trial = now', 'tg'), ('attrs.when > now + 1 day', 'g'), ('trial in last month', 'tg'), ('country = ''SE''', 'g')) v(txt, want) using (txt);
insert into nv.traits
select 'not ' || txt, nv.no(rule), want from nv.case_of join (values
	('exists(visit within 1 day)', 't'), ('count(visit) >= 2', ''), ('count(visit within 1 day) = 1', 't'), ('sum(visit.value) <= 1', 'f'),
	('trial < now', 'g'), ('attrs.when > now + 1 day', 'tg'), ('exists(visit older than 2 days)', '')) v(txt, want) using (txt);
insert into nv.traits values
	('count(visit) < 3', nv.cmp(nv.agg('count', 'visit'), '<', nv.num('3')), ''),
	('not count(visit) < 3', nv.no(nv.cmp(nv.agg('count', 'visit'), '<', nv.num('3'))), 'fg'),
	('count(visit) = 0', nv.cmp(nv.agg('count', 'visit'), '=', nv.num('0')), ''),
	('3 > count(visit within 1 day)', nv.cmp(nv.num('3'), '>', nv.agg('count', 'visit', null, nv.within('1 day', 0, 86400))), 't'),
	('3 <= count(visit within 1 day)', nv.cmp(nv.num('3'), '<=', nv.agg('count', 'visit', null, nv.within('1 day', 0, 86400))), 'fg'),
	('count(visit) <> 3', nv.cmp(nv.agg('count', 'visit'), '<>', nv.num('3')), ''),
	('count(visit) between 1 and 3', nv.a_test('between', nv.agg('count', 'visit'), jsonb_build_array(nv.num('1'), nv.num('3'))), 'f'),
	('count(visit) in (0, 3)', nv.a_test('in', nv.agg('count', 'visit'), jsonb_build_array(nv.num('0'), nv.num('3'))), 'f'),
	('count(visit) not in (0, 3)', nv.a_test('in', nv.agg('count', 'visit'), jsonb_build_array(nv.num('0'), nv.num('3')), true), ''),
	('a score that earns', nv.cmp(nv.score(nv.pays(5, nv.alone(nv.agg('exists', 'visit')))), '>=', nv.num('5')), 'fg'),
	('a score that expires', nv.cmp(nv.score(nv.pays(-5, nv.alone(nv.agg('exists', 'visit', null, nv.within('1 day', 0, 86400))))), '>=', nv.num('0')), 't'),
	('a score that loses', nv.cmp(nv.score(nv.pays(-5, nv.alone(nv.agg('exists', 'visit')))), '<', nv.num('0')), 'g'),
	('-1 * ...', nv.cmp(nv.num('-3'), '>=', jsonb_build_object('t', 'times', 'n', '-1', 'a', nv.agg('count', 'visit'))), 'fg');
select nv.ok(got = want, format('traits of %s: %s', txt, want) || case when got <> want then ' but got ' || got else '' end)
from (select *, case when nv.time_makes(rule) then 't' else '' end || case when nv.force(rule) like '%sh.visit%is_new%' then 'f' else '' end
	|| case when nv.rows_grow(rule) then 'g' else '' end as got from nv.traits) x
\g /dev/null

-- Arrivals replayed.
do $$
declare
	step record;
	ev int := 0;
begin
	for step in select * from (values
		('2024-02-10'::timestamptz, 'insert into w.visit (id, contact_id, at) values (20, 2, ''2024-02-10'')'),		-- 1
		('2024-02-11', 'insert into w.visit (id, contact_id, at) values (21, 1, ''2024-02-01''), (22, 2, ''2024-02-12'')'),	-- 2
		('2024-02-13', 'update w.contact set country = ''SE'' where id = 2'),						-- 3
		('2024-02-14', 'insert into w.visit (id, contact_id, at) values (23, 2, ''2024-02-14'')'),		-- 4
		('2024-02-15', 'insert into w.contact (id, country) values (3, ''SE'')'),						-- 5
		('2024-02-16', 'insert into w.visit (id, contact_id, at) values (24, 2, ''2024-02-16 00:00:05''), (25, 3, ''2024-02-16 00:00:06'')')	-- 6
	) v(clock, what) loop
		ev := ev + 1;
		perform set_config('nv.event', ev::text, false);
		perform nv.set_clock(step.clock);
		execute step.what;
		perform nv.note_event(ev, step.clock, step.what);
	end loop;
end $$;

select nv.ok(got is not distinct from want, format('replay of %s: %s', txt, want) || case when got is distinct from want then ' but got ' || got else '' end)
from (select x.*, (select string_agg(format('%s:%s', l.key, l.ev), ' ' order by l.key) from nv.live(x.rule, 0) l) as got
	from (values
		('exists(visit)', nv.alone(nv.agg('exists', 'visit')), '1:2 2:1'),
		('count(visit) >= 2', nv.cmp(nv.agg('count', 'visit'), '>=', nv.num('2')), '1:2 2:4'),
		('count(visit) < 2', nv.cmp(nv.agg('count', 'visit'), '<', nv.num('2')), '3:5'),
		('country = SE', nv.cmp(nv.f('c', 'country'), '=', nv.str('SE')), '2:3 3:5'),
		('country = SE and exists(visit)', jsonb_build_object('t', 'and', 'k', jsonb_build_array(nv.cmp(nv.f('c', 'country'), '=', nv.str('SE')), nv.alone(nv.agg('exists', 'visit')))), '1:2 2:3'),
		('exists(visit within 1 second)', nv.alone(nv.agg('exists', 'visit', null, nv.within('1 second', 0, 1))), '2:1')
	) x(txt, rule, want)) y
\g /dev/null

select nv.ok((select at from nv.live(nv.cmp(nv.agg('count', 'visit'), '>=', nv.num('4')), 0) where key = '2') = '2024-02-16 00:00:05', 'a row of the near future moves the clock');

select nv.lines();
select nv.plan();
