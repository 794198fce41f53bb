-- elements.sql: arrays and jsonb arrays of the contact as kinds
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema el;
set search_path = el;
create domain el.tag_list as text[];
create type el.mood as enum ('sad', 'fine', 'glad');
create table contact (
	id bigint primary key, country text, score integer,
	interests jsonb, tags text[], marks integer[], moods mood[], spans daterange[], labels tag_list,
	codes varchar(3)[], docs jsonb[], plain jsonb, "Odd" text[], visit text[]);
create table visit (
	id bigint generated always as identity primary key,
	contact_id bigint not null references contact, occurred_at timestamptz not null, url text, value integer);
create index on visit (contact_id, occurred_at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('Sales') is not null as made;
set leadstream.clock = '2024-05-01 12:00+00';

insert into contact (id, country, score, interests, tags, marks, moods, spans, labels, codes, docs, plain, "Odd") values
	(1, 'SE', 5, '[{"key": "cars", "score": 3, "since": "2024-01-01", "data": {"x": [1, {"y": "deep"}]}}, {"key": "boats", "score": "20"}]',
		'{a,abc,b}', '{5,1,7}', '{sad,glad}', '{"[2024-01-01,2024-02-01)"}', '{x}', '{abc,de}', array['{"k": 1}', '"s"', '[1, 2]']::jsonb[], '{"key": "cars"}', '{o}'),
	(2, 'NO', 50, '["cars", 5, null, true, {"value": "cars"}, ["cars"], {"key": null}]',
		'{{ab,c},{d,NULL}}', '{NULL,3}', '{fine}', null, '{}', '{}', '{}', '[1, 2, 3]', null),
	(3, 'SE', 7, '{"key": "cars"}', '{}', '{}', '{}', '{}', null, null, null, '"cars"', '{}'),
	(4, 'DE', null, 'null', null, null, null, null, null, null, null, null, null),
	(5, 'SE', 1, '[]', '{NULL}', '{7,7,7}', null, null, null, null, null, '[{"key": "cars"}]', null),
	(6, 'SE', 1, '[{"key": "cars", "since": "2024-06-01"}]', '[5:6]={x,a1}', '{-1}', null, null, null, null, null, '5', null);
insert into visit (contact_id, occurred_at, url, value) values (1, '2024-04-30', 'a', 3), (3, '2024-04-29', 'x', 1);

-- Who matches, and that history and live judging agree.
create function pg_temp.whom(r leadstream.rule) returns text
language sql as $$
	select coalesce((select string_agg(c.id::text, ' ' order by c.id) from el.contact c where leadstream.is_match(r, c.id)), '-')
		|| coalesce((select ' BUT ' || string_agg(v::text, ' ') from leadstream.verify(r) v), '')
$$;
select r as rule, pg_temp.whom(r::leadstream.rule) as whom from unnest(array[
	-- jsonb: labels of objects, value of what is none
	$$exists(interests)$$,
	$$exists(interests where key = 'cars')$$,
	$$exists(interests where value = 'cars')$$,
	$$exists(interests where interests.key = 'boats' and score >= 20)$$,
	$$exists(interests where key = 'cars' and score >= 20)$$,
	$$count(interests) = 7$$,
	$$count(interests where value is null) = 2$$,
	$$exists(interests where value = 5)$$,
	$$exists(interests where value is true)$$,
	$$exists(interests where value contains 'cars')$$,
	$$exists(interests where value[0] = 'cars')$$,
	$$exists(interests where data.x[1].y = 'deep')$$,
	$$exists(interests where key is not empty)$$,
	$$sum(interests.score) > 10$$,
	$$sum(interests.value) = 5$$,
	$$max(interests.score) = 20 and min(interests.score) = 3 and avg(interests.score) between 11 and 12$$,
	$$count(distinct interests.key) = 2$$,
	$$first(interests.key) = 'cars'$$,
	$$last(interests.key) = 'boats'$$,
	$$last(interests.key) is null$$,
	$$first(interests.data.x[0]) = 1$$,
	$$exists(plain where key = 'cars')$$,
	$$sum(plain.value) = 6$$,
	-- the clock in a where
	$$exists(interests where since < now - 30 days)$$,
	$$count(interests where since > now) = 1$$,
	$$exists(tags where contact.score > 3 and contact.interests[0].since < now - 30 days)$$,
	-- arrays
	$$exists(tags)$$,
	$$not exists(tags)$$,
	$$count(tags) = 4$$,
	$$count(tags where value is null) = 1$$,
	$$count(tags where value like 'a%') >= 2$$,
	$$first(tags.value) = 'a'$$,
	$$last(tags.value) = 'a1'$$,
	$$last(tags.value) is null and exists(tags)$$,
	$$count(distinct tags.value) >= 3$$,
	$$exists(tags where tags.value = 'a')$$,
	$$sum(marks.value) = 13$$,
	$$max(marks.value) > score$$,
	$$avg(marks.value where value <> 7) = 3$$,
	$$count(distinct marks.value) = 1$$,
	$$count(marks where value > contact.score) = 3$$,
	$$first(marks.value) = 5 and last(marks.value) = 7$$,
	$$exists(moods where value >= 'fine')$$,
	$$max(moods.value) = 'fine'$$,
	$$exists(spans where value = '[2024-01-01,2024-02-01)')$$,
	$$exists(labels where value = 'x')$$,
	$$exists(codes where value starts with 'AB')$$,
	$$exists(docs where k = 1) and exists(docs where value = 's') and exists(docs where value[1] = 2)$$,
	$$exists("Odd" where value = 'o')$$,
	-- several kinds, and comparisons of kinds
	$$count(tags, interests) >= 5$$,
	$$count(tags, visit) > 3$$,
	$$exists(marks, visit where value = 3)$$,
	$$count(tags) > count(interests)$$,
	$$count(interests) >= 3.5 * count(marks)$$,
	$$exists(interests where key = 'cars') and exists(visit within 2 days)$$,
	$$exists(interests where key = 'cars') or score = 50$$,
	-- an attached kind of the same name wins
	$$exists(visit where url = 'x')$$]) with ordinality u(r, i) order by i;
select contact_id, timeline from leadstream.timeline($$exists(interests where since < now - 30 days)$$) order by 1;
select contact_id, first_matched_at from leadstream.preview($$exists(interests where since < now - 30 days) and exists(tags)$$) order by 1;
select leadstream.rule_kinds($$count(tags, visit) > 3 and exists(interests)$$);
select kind, field, type, operators from leadstream.fields where kind <> 'contact';

-- What is refused.
create function pg_temp.try(rule text) returns text
language plpgsql as $$
declare
	detail text;
	hint text;
begin
	perform leadstream.check_rule(rule::leadstream.rule);
	return 'no error';
exception when others then
	get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
	return concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
end
$$;
select pg_temp.try(r) from unnest(array[
	$$exists(tags where key = 'x')$$, $$exists(tags where value.x = 'x')$$, $$exists(tags where value = 3)$$,
	$$exists(moods where value = 'angry')$$, $$exists(marks where value = 'x')$$,
	$$exists(tags within 3 days)$$, $$exists(interests where key = 'x' older than 1 day)$$,
	$$exists(country)$$, $$exists(tag)$$, $$exists(nothing_like_it)$$,
	$$sum(tags) > 3$$, $$exists(tags.value)$$, $$sum(moods.value) > 3$$, $$sum(interests[0]) > 1$$,
	$$exists(interests where exists(tags))$$, $$count(interests, visit where url = 'x' and nope = 1) > 1$$]) r;
select leadstream.check_only('visit', $$exists(tags)$$);

--
-- Live: by new contacts and by changes of the column, as for any column of the contact.
--
select leadstream.create_stream('Cars', $$exists(interests where key = 'cars') and country = 'SE'$$, '{Sales}') is not null as made;
select leadstream.create_stream('Tagged', $$count(tags where value like 'v%') >= 2$$, '{Sales}') is not null as made;
select leadstream.create_stream('Both', $$exists(tags where value = 'z') and exists(visit within 7 days)$$, '{Sales}') is not null as made;
select leadstream.create_stream('None', $$not exists(tags) and exists(visit within 7 days)$$, '{Sales}') is not null as made;
select leadstream.enable(s) from unnest('{Cars,Tagged,Both,None}'::text[]) s;
insert into contact (id, country, interests, tags) values (10, 'SE', '[{"key": "cars"}]', '{v1,v2}'), (11, 'DE', '[{"key": "cars"}]', '{v1,z}'), (12, 'SE', '[]', '{}');
select stream, contact_id, evidence from leadstream.matches order by 1, 2;
-- true before and after: no new match; true after: one
update contact set interests = '[{"key": "cars"}, {}]' where id in (1, 3);
update contact set tags = tags || '{v8,v9}'::text[] where id in (2, 11);
update contact set country = 'SE' where id = 11;
select stream, contact_id, evidence from leadstream.matches where contact_id not in (10) order by 1, 2;
-- a row that arrives, the elements as they are now
insert into visit (contact_id, occurred_at) values (11, '2024-05-01 11:00'), (12, '2024-05-01 11:00'), (1, '2024-05-01 11:00');
update contact set tags = null where id = 11;
update contact set tags = '{z}' where id = 12;
select stream, contact_id, evidence from leadstream.matches where stream in ('Both', 'None') order by 1, 2;
select leadstream.fetch_history('{Cars,Tagged,Both,None}'::text[]) as leads;
select stream, contact_id, matched_at from leadstream.matches where origin = 'history' order by 1, 2;
select stream, kind, found_by from leadstream.stream_stats order by 1, 2;

-- A kind may not take the place of a column that enabled streams speak of.
create table tags (id bigint generated always as identity primary key, contact_id bigint not null references contact, occurred_at timestamptz not null, value text);
create index on tags (contact_id, occurred_at);
select leadstream.attach_activity('tags');
select leadstream.disable(s) from unnest('{Tagged,Both,None}'::text[]) s;
select leadstream.attach_activity('tags');
select pg_temp.whom($$exists(tags)$$);
insert into tags (contact_id, occurred_at, value) values (4, '2024-04-30', 'v');
select pg_temp.whom($$exists(tags within 7 days)$$);
select distinct kind, field from leadstream.fields where kind = 'tags' order by 1, 2;
select leadstream.detach('tags');
select pg_temp.whom($$exists(tags)$$);

-- The column changes its type, or goes.
alter table contact alter interests type text;
insert into contact (id, country, interests) values (20, 'SE', '[{"key": "cars"}]');
alter table contact alter interests type jsonb using interests::jsonb;
insert into contact (id, country, interests) values (21, 'SE', '[{"key": "cars"}]');
select stream, contact_id from leadstream.matches where contact_id >= 20 order by 1, 2;
alter table contact drop interests;
insert into contact (id, country) values (22, 'SE');
select stream, problem from leadstream.streams where problem is not null;

-- Rights: SELECT on the column.
create role regress_el;
grant usage on schema el to regress_el;
grant select on leadstream.contact_source, leadstream.activity_source to regress_el;
grant select (id, country) on contact to regress_el;
set role regress_el;
select pg_temp.try($$exists(marks where value = 1)$$);
reset role;
grant select (marks) on contact to regress_el;
set role regress_el;
select leadstream.is_match($$exists(marks where value = 1)$$, 1);
reset role;
drop owned by regress_el;
drop role regress_el;

-- A long array, and values that are stored out of line.
update contact set tags = (select array_agg('tag ' || i || repeat(md5(i::text), 3)) from generate_series(1, 20000) i),
	plain = (select jsonb_agg(jsonb_build_object('n', i, 'text', repeat(md5(i::text), 3))) from generate_series(1, 5000) i) where id = 5;
select pg_temp.whom($$count(tags) = 20000 and count(distinct tags.value) = 20000 and last(tags.value) starts with 'tag 20000'$$);
select pg_temp.whom($$sum(plain.n) = 12502500 and last(plain.n) = 5000$$);

-- An element never arrives: one that begins to count as time goes by is a new match only where the rule was false.
update contact set plain = '[{"since": "2024-06-01"}]' where id in (1, 2);
select leadstream.create_stream('Since', $$exists(plain where since < now)$$, '{Sales}') is not null as made;
select leadstream.create_stream('Since or Sweden', $$exists(plain where since < now) or country = 'SE'$$, '{Sales}') is not null as made;
select leadstream.enable(s) from unnest('{Since,Since or Sweden}'::text[]) s;
select leadstream.tick() is not null as ticked;
set leadstream.clock = '2024-06-02 12:00+00';
select leadstream.tick() is not null as ticked;
select stream, contact_id, matched_at, origin from leadstream.matches where stream like 'Since%' order by 1, 2;

select leadstream.disable(stream) from leadstream.streams where is_enabled;
select leadstream.drop_stream(stream) from leadstream.streams;
select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead_event, leadstream.lead_match, leadstream.lead cascade;
truncate leadstream.team, leadstream.stage;
drop schema el cascade;
