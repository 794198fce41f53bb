-- Rules written in unusual ways: a row finds their streams, live and history agree,
-- and leads are made exactly where is_match says so.
set client_min_messages = error;
create schema any_rule;
set search_path = any_rule, public;
create table contact (id bigint primary key, born date, big double precision, vip boolean);
create table event (id bigint generated always as identity primary key, contact_id bigint not null references contact, at timestamptz not null,
	small smallint, n numeric, r real, d double precision, txt text, other text, flag boolean, day date, stamp timestamp,
	ints integer[], nums numeric[], flags boolean[], texts text[], doc jsonb);
create index on event (contact_id, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('event', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
create table tried (n serial, source text, problem text);
insert into tried (source) select unnest(array[
	'exists(event where 5 < small)', 'exists(event where 7 >= small and ''x'' = txt)', 'exists(event where 5 = n)', 'exists(event where true = flag)', 'exists(event where txt = other)',
	'exists(event where r = 1e39)', 'exists(event where r < 1e39)', 'exists(event where r > 1e-50)', 'exists(event where r = 0.1)', 'exists(event where d = 0.1)', 'exists(event where small = 2.5)', 'exists(event where small < 70000)',
	'exists(event where small in (1, 2.5, 70000))', 'exists(event where n in (7, 7.0, 8))', 'exists(event where small = n)', 'exists(event where d < n)', 'exists(event where r >= small)',
	'exists(event where flag)', 'exists(event where not flag)', 'exists(event where flag is not true)', 'exists(event where flag <> true)', 'exists(event where flag is false)', 'exists(event where flag is not false)',
	'exists(event where false)', 'exists(event where true)', 'exists(event where not (small = 7 and n = 7))', 'exists(event where not (small = 7 or not n = 7))', 'exists(event where not (txt <> ''x'' or small <> 7))',
	'exists(event where txt like ''x'')', 'exists(event where txt like ''%x'')', 'exists(event where txt like ''a\%%'')', 'exists(event where txt like ''a\'')', 'exists(event where txt ilike ''X'')', 'exists(event where txt ilike ''a_B%'')',
	'exists(event where txt starts with '''')', 'exists(event where txt ends with ''X'')', 'exists(event where txt contains ''X'')', 'exists(event where txt like other)', 'exists(event where txt starts with other)', 'exists(event where txt ~ ''^x'')', 'exists(event where txt !~* ''^x'')',
	'exists(event where ints contains 7)', 'exists(event where ints contains 7.5)', 'exists(event where ints contains n)', 'exists(event where ints contains small)', 'exists(event where nums contains 7)', 'exists(event where nums contains n)', 'exists(event where nums contains d)',
	'exists(event where flags contains true)', 'exists(event where flags contains flag)', 'exists(event where texts contains txt)', 'exists(event where texts contains all (''x'', other))', 'exists(event where ints contains ''7'')', 'exists(event where texts contains 7)',
	'exists(event where doc contains ''x'')', 'exists(event where doc contains txt)', 'exists(event where doc contains 7)', 'exists(event where doc contains n)', 'exists(event where doc contains true)', 'exists(event where doc contains flag)', 'exists(event where doc contains day)',
	'exists(event where doc.n = 7)', 'exists(event where 7 = doc.n)', 'exists(event where doc.n = n)', 'exists(event where doc.n > d)', 'exists(event where doc.b = flag)', 'exists(event where doc.b)', 'exists(event where doc.b is false)', 'exists(event where doc.n = doc.m)', 'exists(event where doc.s = txt)', 'exists(event where txt = doc.s)',
	'exists(event where doc.at < now)', 'exists(event where now - 1 day < doc.at)', 'exists(event where doc.at = day)', 'exists(event where doc.at in this year)', 'exists(event where doc.n in (7, ''x''))', 'exists(event where doc.n between 6 and doc.m)', 'exists(event where doc.s like ''x%'')', 'exists(event where doc.list[0] = ''x'')',
	'exists(event where day < now)', 'exists(event where stamp < day)', 'exists(event where stamp between day and now)', 'exists(event where day = ''2026-01-01'')', 'exists(event where day in last month)', 'exists(event where stamp in today - 1 day)', 'exists(event where at > contact.born)', 'exists(event where txt > now)', 'exists(event where now = now)', 'exists(event where now < today)',
	'count(event) <= -0.5 * count(event where flag)', 'sum(event.n) >= -1 * sum(event.small)', 'sum(event.n) > -2 * count(event)', 'count(event) < 0 * count(event)', 'count(event where flag) = -0.0 * count(event)', 'sum(event.n) < -3 * sum(event.d)', 'sum(event.n) = -1 * sum(event.small)', 'count(event) >= 1.5', 'count(event) > 1e10', 'count(event) <> 2',
	'1 <= count(event)', 'count(event) in (1, 3)', 'count(event) not in (1, 3)', 'count(event) between 2 and 3', 'exists(event) = true', 'exists(event where flag) is false', 'exists(event where flag) <> true', 'exists(event) = vip', 'vip = exists(event where flag)', 'count(event) > big',
	'max(event.day) > born', 'max(event.txt) = ''y''', 'min(event.doc) = 7', 'max(event.doc.n) >= 7', 'avg(event.doc.n) > 5', 'sum(event.doc.n) > 5', 'max(event.flag) = true', 'last(event.ints) contains 7', 'max(event.ints) is not null', 'min(event.r) = 0.1', 'avg(event.small) > 1.5', 'first(event.doc.s) like ''x%''', 'last(event.flag) is true', 'last(event.txt) in (''x'', ''y'')',
	'last(event.doc) contains ''x''', 'count(distinct event.doc) > 1', 'count(distinct event.ints) > 1', 'count(distinct event.flag) = 2', 'last(event.at) < now - 1 day', 'first(event.stamp) in last year', 'max(event.at) - 1 day < now', 'last(event.txt where flag) is empty', 'last(event.n) * 2 = 4', 'max(event.n) = min(event.n)',
	'big = 1e99', 'big > 1e-99', 'born is not empty and exists(event where id > 5)', 'exists(event where contact.vip and small = 7)', 'exists(event where contact.born < day and contact.big > n)']);
insert into tried (source) select format('exists(event where small in (%s))', string_agg((i * 7)::text, ', ')) from generate_series(1, 300) i;
insert into tried (source) select format('exists(event where %s)', string_agg(format('txt = ''x%s'' and n > %s', i, i), ' or ')) from generate_series(1, 40) i;
do $$
declare
	t tried;
begin
	for t in select * from tried order by n loop
		begin
			perform leadstream.create_stream('s' || t.n, t.source::leadstream.rule, '{Sales}');
			perform leadstream.enable('s' || t.n);
		exception when others then
			update tried set problem = sqlstate || ' ' || split_part(sqlerrm, E'\n', 1) where n = t.n;
		end;
	end loop;
end
$$;
-- what cannot be bound says why
select source, problem from tried where problem is not null order by n;

set leadstream.clock = '2026-01-20 12:00Z';
insert into contact select i, date '2000-01-01' + i, (array[null, 0, 1e99, 2])[1 + i % 4], (array[null, true, false])[1 + i % 3] from generate_series(1, 16) i;
create table before as select c.id, t.n from contact c, tried t where t.problem is null and leadstream.is_match(t.source::leadstream.rule, c.id);
insert into event (contact_id, at, small, n, r, d, txt, other, flag, day, stamp, ints, nums, flags, texts, doc)
select 1 + i % 16, timestamptz '2025-12-25 00:00Z' + i * interval '14 hours', (array[7, 5, 14, null, 2])[1 + i % 5], (array[7.0, 2.5, 5, null])[1 + i % 4], (array[0.1, 7, 'Infinity', null])[1 + i % 4], (array[0.1, 2.5, 'NaN', null])[1 + i % 4],
	(array['x', 'x7', 'y', 'a%b', 'acb', 'Xx', null])[1 + i % 7], (array['x', '', 'y', 'x%', null])[1 + i % 5], (array[true, false, null])[1 + i % 3],
	date '2025-12-20' + i, timestamp '2025-12-25' + i * interval '1 day', (array['{7,5}', '{}', '{null}', null])[1 + i % 4]::integer[], (array['{7.0,2.5}', '{}', '{NaN}', null])[1 + i % 4]::numeric[],
	(array['{true}', '{false,null}', null])[1 + i % 3]::boolean[], (array['{x,y}', '{x7}', null])[1 + i % 3]::text[],
	(array['{"n": 7, "m": 8, "b": true, "s": "x", "at": "2026-01-20", "list": ["x"]}', '{"n": "7", "m": "7", "b": "false", "s": 7, "at": "2026-01-19 13:00Z"}', '["x", 7, true, null]', '"x"', '7', 'true', 'null', null])[1 + i % 8]::jsonb
from generate_series(1, 48) i;
select e.id, asked from event e, leadstream._look_up('event', e, true) asked, leadstream._look_up('event', e, false) found where not asked <@ found;
-- One statement brought all rows, so they were judged together: who matches now and
-- did not before has the lead, and nobody else who does not match.
create view now_true as select c.id, t.n from contact c, tried t where t.problem is null and leadstream.is_match(t.source::leadstream.rule, c.id);
select 'missing', id, source from tried join (select * from now_true except select * from before except select contact_id, substr(stream, 2)::integer from leadstream.matches) d using (n)
union all
select 'extra', id, source from tried join (select contact_id as id, substr(stream, 2)::integer as n from leadstream.matches except (select * from now_true union all select * from before)) d using (n);
-- Live judging and history mean the same.
select t.source, v.* from tried t, lateral leadstream.verify(t.source::leadstream.rule) v where t.problem is null;
select count(*) > 400 as many, count(distinct stream) > 80 as streams from leadstream.matches;

select count(leadstream.disable('s' || n)) > 0 as disabled from tried where problem is null;
select count(leadstream.drop_stream('s' || n)) > 0 as dropped from tried where problem is null;
reset leadstream.clock;
select leadstream.detach('event'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema any_rule cascade;
