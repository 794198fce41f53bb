--
-- merge: leads at work, and two contacts that turn out to be one
--
\pset format unaligned
\pset footer off
\set SHOW_CONTEXT never
set client_min_messages = notice;
set timezone = 'UTC';
set datestyle = iso;
set leadstream.clock = '2026-03-01 12:00Z';
create schema shop;
truncate leadstream.team, leadstream.sales_user restart identity;
set search_path = shop;
create table contact (id text primary key, name text);
create table visit (contact_id text references contact on delete cascade on update cascade, at timestamptz, url text);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team(t) is not null as made from unnest('{North,South,West}'::text[]) t;
select leadstream.create_sales_user(u) is not null as made from unnest('{Ann,Bob}'::text[]) u;
select leadstream.add_member(t, u) from unnest('{North,South}'::text[]) t, unnest('{Ann,Bob}'::text[]) u;
select leadstream.create_stream('Visitors', 'exists(visit)', '{North}') is not null as made;
select leadstream.create_stream('Buyers', 'exists(visit where url = ''/buy'')', '{North,South}') is not null as made;
select leadstream.enable(s) from unnest('{Visitors,Buyers}'::text[]) s;
insert into contact values ('it''s', 'Anna'), ('b', 'Anna B.'), ('c', 'Carl'), ('d', 'Dora');
insert into visit values ('it''s', '2026-03-01', '/'), ('b', '2026-03-01', '/buy');
create view pg_temp.found as
	select l.contact_id, t.team, l.stage, l.is_manual, u.sales_user, l.is_hidden,
		(select string_agg(s.stream, ', ' order by s.stream) from leadstream.lead_match m join leadstream.stream s using (stream_id)
		 where m.lead_id = l.lead_id) as streams, l.lead_id
	from leadstream.lead l join leadstream.team t using (team_id) left join leadstream.sales_user u on u.sales_user_id = l.assignee_id
	order by contact_id, team;
create function pg_temp.lead(contact text, team text) returns bigint language sql as
	'select f.lead_id from pg_temp.found f where f.contact_id = $1 and f.team = $2';
table pg_temp.found;

--
-- A contact on all boards.
--
select leadstream.move_contact('b', 'SQL', 'called');
select leadstream.move_contact('b'::text, 'SQL');
select leadstream.move(pg_temp.lead('b', 'South'), 'Opportunity');
select leadstream.move_contact('b'::name, 'Opportunity');
select contact_id, team_id, stage, reason from leadstream.lead order by 1, 2;
select leadstream.move_contact('b', 'Nowhere');
select leadstream.move_contact('c', 'SQL');
select leadstream.move_contact(1, 'SQL');
select leadstream.move_contact(null::integer, 'SQL');

--
-- Hidden and back, annotated, deleted: history leaves it so, a new row does not.
--
select leadstream.hide(pg_temp.lead('it''s', 'North'), 'on leave');
select leadstream.hide(pg_temp.lead('it''s', 'North'));
insert into visit values ('it''s', '2026-03-01', '/again');
select is_hidden from pg_temp.found where contact_id = 'it''s';
select leadstream.unhide(pg_temp.lead('it''s', 'North'));
select leadstream.unhide(pg_temp.lead('it''s', 'North'));
select leadstream.add_note(pg_temp.lead('it''s', 'North'), 'a "note"');
select leadstream.add_note(pg_temp.lead('it''s', 'North'), E' \n');
select leadstream.delete_lead(pg_temp.lead('it''s', 'North'), 'spam');
select leadstream.fetch_history('Visitors');
insert into visit values ('it''s', '2026-03-01', '/');
select what, old, new, note from leadstream.lead_event where contact_id = 'it''s' order by event_id;

--
-- Merged: of it's a lead of North, Ann's and made by hand, and one of West; of b one of North, further on and hidden, and one of South.
--
select leadstream.create_lead('it''s', 'North') is not null as made;
select leadstream.create_lead('it''s', 'West') is not null as made;
select leadstream.assign(pg_temp.lead('it''s', 'North'), 'Ann');
select leadstream.hide(pg_temp.lead('b', 'North'));
table pg_temp.found;
select leadstream.merge_contacts('it''s', 'it''s');
select leadstream.merge_contacts('it''s', 'nobody');
select leadstream.merge_contacts(null::integer, 1);
select leadstream.merge_contacts(1, null::integer);
begin isolation level repeatable read;
select leadstream.merge_contacts('it''s', 'b');
rollback;
set leadstream.clock = '2026-03-02 12:00Z';
begin;
select leadstream.merge_contacts('it''s', 'b');
update visit set contact_id = 'b' where contact_id = 'it''s';
delete from contact where id = 'it''s';
commit;
table pg_temp.found;
select team_id, lead_id, what, old, new, note from leadstream.lead_event where contact_id = 'b' order by event_id;
-- nothing of the other is left, and again is nothing
select count(*) from leadstream.lead_event where contact_id <> 'b';
insert into contact values ('it''s', 'Anna');
select leadstream.merge_contacts('it''s', 'b');
-- of a lead that was deleted the history comes, too, and history obeys it
select leadstream.create_lead('c', 'North') is not null as made;
select leadstream.delete_lead(pg_temp.lead('c', 'North'));
select leadstream.merge_contacts('c', 'd');
insert into visit values ('d', null, '/');
set leadstream.capture = off;
insert into visit values ('d', '2026-03-01', '/');
reset leadstream.capture;
select leadstream.fetch_history('Visitors');
select what from leadstream.lead_event where contact_id = 'd' order by event_id;

-- what a stream found of one it has found of both
insert into contact values ('e', 'Eve'), ('f', 'Fay');
insert into visit values ('e', '2026-03-01', '/'), ('f', '2026-03-01', '/buy');
select leadstream.move_contact('e', 'SQL');
set leadstream.clock = '2026-03-03 12:00Z';
insert into visit values ('e', '2026-03-01', '/buy');
select leadstream.disable('Buyers');
select leadstream.clear('Buyers');
select leadstream.enable('Buyers');
insert into visit values ('f', '2026-03-01', '/buy');
select leadstream.merge_contacts('f', 'e');
select s.stream, m.matched_at from pg_temp.found f join leadstream.lead_match m using (lead_id) join leadstream.stream s using (stream_id)
where contact_id = 'e' order by f.team, s.stream;
select f.team, e.what, e.old, e.new, e.note, s.stream from leadstream.lead_event e
join leadstream.team f using (team_id) left join leadstream.stream s using (stream_id)
where contact_id = 'e' and at = '2026-03-03 12:00Z' and what <> 'created' order by f.team, event_id;

--
-- Which stage comes further, and which of two leads in the same one stays.
--
select leadstream.create_stage('Parked', is_closed => true);
insert into contact select format('%s%s', w, i), '' from unnest('{x,y}'::text[]) w, generate_series(1, 6) i;
select leadstream.create_lead(id, 'West') is not null as made from contact where id ~ '[xy]\d' order by id \g /dev/null
create temporary table case_of (i integer, x text, y text);
insert into case_of values (1, 'Won', 'Opportunity'), (2, 'SQL', 'Opportunity'), (3, 'Lost', 'MQL'), (4, 'Won', 'Lost'), (5, 'Parked', 'Lost'), (6, 'SQL', 'SQL');
select leadstream.move_contact('x' || i, x) + leadstream.move_contact('y' || i, y) as moved from case_of where i > 0 order by i \g /dev/null
select c.i, c.x, c.y, leadstream.merge_contacts('x' || c.i, 'y' || c.i) from case_of c order by i;
select contact_id, stage from leadstream.lead where contact_id ~ '^[xy]' order by 1;
-- of two in the same stage, the older
select e.lead_id = (select min(o.lead_id) from leadstream.lead_event o where o.contact_id = 'y6') as is_older
from leadstream.lead_event e where e.contact_id = 'y6' and e.what = 'merged';

-- The funnel counts a merged lead once for each stream, from when it came.
create function pg_temp.entered() returns table (stream text, month date, entered bigint, present numeric) language sql as
	'select stream, month, max(entered), sum(present) from leadstream.funnel where team = ''Funnel'' group by 1, 2 order by 1, 2';
select leadstream.create_team('Funnel') > 0 as made;
select leadstream.create_stream(s, format('exists(visit where url = %L)', '/' || s)::leadstream.rule, '{Funnel}') > 0 as made from unnest('{both,one}'::text[]) s;
select leadstream.enable(s) from unnest('{both,one}'::text[]) s;
insert into contact values ('f1', ''), ('f2', ''), ('f3', '');
set leadstream.clock = '2026-04-01 12:00Z';
insert into visit (contact_id, at, url) values ('f1', '2026-04-01', '/both'), ('f2', '2026-04-01', '/both'), ('f2', '2026-04-01', '/one');
set leadstream.clock = '2026-05-01 12:00Z';
insert into visit (contact_id, at, url) values ('f3', '2026-05-01', '/both');
select * from pg_temp.entered();
select leadstream.move_contact('f1', 'Won') as moved;
set leadstream.clock = '2026-06-01 12:00Z';
select leadstream.merge_contacts('f2', 'f1') as merged;
select * from pg_temp.entered();
select leadstream.move_contact('f3', 'Won') as moved;
update leadstream.lead set created_at = '2026-01-01' where contact_id = 'f3' and stage = 'Won';
set leadstream.clock = '2026-07-01 12:00Z';
select leadstream.merge_contacts('f1', 'f3') as merged;
select * from pg_temp.entered();
select leadstream.disable(s) from unnest('{both,one}'::text[]) s;

set client_min_messages = warning;
select leadstream.disable(s) from unnest('{Visitors,Buyers}'::text[]) s;
select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
-- keys of a type that cuts off what is too long
create table client (id char(8) primary key, name text);
insert into client values ('abc'), ('abd'), ('a');
select leadstream.attach_contacts('client');
select leadstream.create_lead('abc', 'West') > 0 as made;
select leadstream.move_contact('abc', 'SQL');
select leadstream.move_contact('abd'::char(8), 'SQL');
select leadstream.merge_contacts('abc', 'abd');
select leadstream.merge_contacts(id, 'a') from client where id = 'abd';
select contact_id, stage from leadstream.lead;
select leadstream.detach('client');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage,
	leadstream.sales_user, leadstream.team_member;
drop schema shop cascade;
reset search_path;
reset leadstream.clock;
reset timezone;
reset datestyle;
reset client_min_messages;
