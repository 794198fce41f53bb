--
-- events: activities that are updated and deleted
--
-- An update makes the old version of a row leave and the new one arrive.  A
-- stream matches if its rule is true now and either the row is new to a
-- condition in force, because its old version was not in it, or was another
-- contact's, or of another time; or the rule was not true before.  Random worlds
-- are in test/agree, races in test/isolation.
--
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema events;
set search_path = events;
set leadstream.clock = '2024-05-01T12:00:00Z';

create table contact (id bigint primary key, country text);
create table visit (
	id int primary key, contact_id bigint references contact on delete cascade on update cascade,
	at timestamptz, url text, note text, is_bot boolean not null default false);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact') \g /dev/null
select leadstream.create_team('Sales') \g /dev/null

create function stream(name text, rule leadstream.rule) returns void language sql as $$
	select leadstream.create_stream(name, rule, '{Sales}');
	select leadstream.enable(name);
$$;
create table told (stream text, contact_id bigint, primary key (stream, contact_id));
-- what matched since it was asked last
create function news() returns table (stream text, contact bigint, evidence text) language sql as $$
	with new as (
		insert into events.told select m.stream, m.contact_id from leadstream.matches m
		on conflict do nothing returning *)
	select n.stream, n.contact_id, coalesce(m.evidence, m.origin)
	from new n join leadstream.matches m on m.stream = n.stream and m.contact_id = n.contact_id
	order by 1, 2
$$;

---------------------------------------------------------------------------
-- Attaching
---------------------------------------------------------------------------

create view triggers as
select t.tgrelid::regclass as tbl, t.tgname, t.tgenabled,
	   concat_ws(' ', case when t.tgtype & 2 > 0 then 'before' else 'after' end,
				 case when t.tgtype & 4 > 0 then 'insert' end, case when t.tgtype & 16 > 0 then 'update' end,
				 case when t.tgtype & 8 > 0 then 'delete' end,
				 case when t.tgtype & 1 > 0 then 'row' else 'statement' end) as fires
from pg_trigger t
where t.tgrelid::regclass::text ~ '^(visit|part)' and not t.tgisinternal and t.tgname like 'leadstream%'
order by 1, 2;

\set SHOW_CONTEXT never
select leadstream.attach_activity('visit', occurred_at => 'at', events => '{insert,updates}');
select leadstream.attach_activity('visit', occurred_at => 'at', events => '{insert,null}');
select leadstream.attach_activity('visit', occurred_at => 'at', events => '{delete,update}');
select leadstream.attach_activity('visit', occurred_at => 'at', events => '{}');
select leadstream.attach_activity('visit', occurred_at => 'at', events => null);

select leadstream.attach_activity('visit', occurred_at => 'at', kind => 'seen');
select * from triggers;
alter table visit enable always trigger leadstream_capture;
-- a second kind that asks for more: the triggers fire for all, and always still
select leadstream.attach_activity('visit', occurred_at => 'at', only_rule => 'not is_bot', events => '{delete,insert,delete,update}');
-- and one that asks for less
select leadstream.attach_activity('visit', occurred_at => 'at', kind => 'seen_too', events => '{insert,update}');
select * from triggers;
select kind, events from leadstream.activity_source order by source_id;

-- rows of a partitioned table may move, which takes a trigger for their deletion
create table part (id int, contact_id bigint references contact on delete cascade on update cascade, at timestamptz, url text, note text) partition by list (url);
create table part_a partition of part for values in ('/a', '/aa');
create table part_b (note text, url text, at timestamptz, contact_id bigint, gone int, id int);
alter table part_b drop column gone;
alter table part attach partition part_b for values in ('/b', '/bb');
create index on part (contact_id, at);
select leadstream.attach_activity('part', occurred_at => 'at', kind => 'p_once');
select * from triggers where tbl::text like 'part%';
select leadstream.attach_activity('part', occurred_at => 'at', kind => 'p_changed', events => '{insert,update}');
select * from triggers where tbl::text like 'part%';
select leadstream.attach_activity('part', occurred_at => 'at', kind => 'p_gone', events => '{insert,delete}');
select * from triggers where tbl::text like 'part%';
select leadstream.detach('part');
select * from triggers where tbl::text like 'part%';
select leadstream.attach_activity('part', occurred_at => 'at', events => '{insert,update}');

---------------------------------------------------------------------------
-- Updates
---------------------------------------------------------------------------

-- all of this is there before any stream is
insert into contact select i, case when i % 2 = 0 then 'SE' else 'NO' end from generate_series(1, 99) i;
insert into visit (id, contact_id, at, url) values
	(1, 1, '2024-04-30', '/price'), (2, 1, '2024-04-30', '/docs'), (3, 2, '2024-04-30', '/docs'), (4, 3, '2024-04-30', '/price'),
	(5, 4, '2024-04-30', '/price'), (6, 5, '2024-04-30', '/stop'), (7, 6, '2024-04-30', '/stop'), (8, 7, '2024-04-30', '/price'),
	(9, 6, '2024-04-30', '/else');
select stream('price', $$ exists(visit where url = '/price') $$);
select stream('price or docs', $$ exists(visit where url = '/price') or exists(visit where url like '/docs%') $$);
select stream('few', $$ exists(visit where url = '/price') and count(visit) < 50 $$);
select stream('not stopped', $$ country = 'SE' and not exists(visit where url = '/stop') and exists(visit) $$);

-- of what no rule reads, nothing comes
update visit set note = 'x';
select * from news();
update visit set note = 'y' where contact_id = 1;
select * from news();
-- into a condition; where the rule was true before, new to the condition all the same
update visit set url = '/price' where id = 3;
select * from news();
-- within a condition
update visit set url = '/docs/2' where id = 2;
select * from news();
-- another time: it happened again
update visit set at = '2024-05-01' where id = 1;
select * from news();
-- out of a condition: leads stay, and what there is to come counts as it is
update visit set url = '/docs' where id = 1;
select * from news();
select stream, contact_id from leadstream.matches where contact_id = 1 order by 1;
-- to another contact: it arrives there, and is gone here
update visit set contact_id = 8 where id = 4;
select * from news();
update visit set contact_id = 9 where id = 7;
select * from news();
-- from nobody: visits of long ago, of somebody who is known now
insert into visit (id, at, url) select 100 + i, '2023-01-01', '/price' from generate_series(1, 5) i;
select * from news();
update visit set contact_id = 10 where id > 100;
select * from news();
-- to nobody
update visit set contact_id = null where id = 6;
select * from news();

-- rows of a statement, some new and some old: only the new ones are new.  All
-- of contact 7 was true before, and a visit elsewhere makes it no truer
insert into visit (id, contact_id, at, url) values (8, 7, '2024-04-30', '/price'), (110, 7, '2024-05-01', '/else')
	on conflict (id) do update set note = 'again';
select * from news();
merge into visit v using (values (8, '/price'), (111, '/else'), (112, '/else')) s (id, url) on v.id = s.id
	when matched then update set note = 'merged'
	when not matched and s.id = 111 then insert values (s.id, 7, '2024-05-01', s.url)
	when not matched then do nothing;
select * from news();
insert into visit (id, contact_id, at, url) values (8, 7, '2024-04-30', '/price'), (113, 7, '2024-05-01', '/price')
	on conflict (id) do update set note = 'and again';
select * from news();
-- by two statements in one
with u as (update visit set note = 'with' where id = 5), i as (insert into visit values (114, 4, '2024-05-01', '/else')) select 'done';
select * from news();
with i as (insert into visit values (115, 3, '2024-05-01', '/else')), u as (update visit set note = 'with' where id = 8), d as (delete from visit where id = 114) select 'done';
select * from news();

---------------------------------------------------------------------------
-- Deletes
---------------------------------------------------------------------------

insert into visit (id, contact_id, at, url) select 200 + i, 12, '2024-04-30', '/stop' from generate_series(1, 2) i;
insert into visit (id, contact_id, at, url) values (210, 12, '2024-04-30', '/else'), (211, 14, '2024-04-30', '/stop'), (212, 14, '2024-04-30', '/else');
select * from news();
delete from visit where id = 201;
select * from news();
delete from visit where contact_id in (12, 14) and url = '/stop';
select * from news();
-- marked as a bot's: gone from the kind
insert into visit (id, contact_id, at, url) values (220, 16, '2024-04-30', '/stop'), (221, 16, '2024-04-30', '/else');
select * from news();
update visit set is_bot = true where id = 220;
select * from news();
-- what was taken back is not counted any more
select stream('three', 'count(visit) >= 3');
insert into visit (id, contact_id, at, url) values (230, 21, '2024-04-30', '/else'), (231, 21, '2024-04-30', '/else');
delete from visit where id = 231;
insert into visit (id, contact_id, at, url) values (232, 21, '2024-04-30', '/else');
select * from news();
insert into visit (id, contact_id, at, url) values (233, 21, '2024-04-30', '/else');
select * from news();
delete from visit where contact_id = 21;
select stream, contact_id from leadstream.matches where contact_id = 21;
-- the last row is another one
select stream('last', $$ last(visit.url) = '/form' $$);
insert into visit (id, contact_id, at, url) values (240, 23, '2024-04-29', '/form'), (241, 23, '2024-04-30', '/else'), (242, 23, '2024-04-30 01:00', '/more');
select * from news();
delete from visit where id = 242;
select * from news();
delete from visit where id = 241;
select * from news();
-- truncating is not seen
begin;
insert into visit (id, contact_id, at, url) values (250, 24, '2024-04-30', '/stop');
truncate visit;
select * from news();
rollback;

---------------------------------------------------------------------------
-- Kinds of one table, each with events of its own
---------------------------------------------------------------------------

select stream('seen', $$ exists(seen where url = '/form') $$);
select stream('seen too', $$ exists(seen_too where url = '/form') $$);
select stream('seen or visit', $$ exists(seen where url = '/form') or exists(visit where url = '/form' and is_bot) $$);
insert into visit (id, contact_id, at, url) values (300, 30, '2024-04-30', '/else');
update visit set url = '/form' where id = 300;
select * from news();
-- though the rule is asked because of another kind, this one's row is not new
insert into visit (id, contact_id, at, url) values (301, 31, '2024-04-30', '/else'), (302, 31, '2024-04-30', '/else');
set leadstream.capture = off;
insert into visit (id, contact_id, at, url) values (303, 31, '2024-04-30', '/form');
set leadstream.capture = on;
select stream('both', $$ exists(seen where url = '/form') and exists(visit) $$);
update visit set url = '/form' where id = 301;
select * from news() where stream = 'both';
insert into visit (id, contact_id, at, url) values (304, 31, '2024-04-30', '/form');
select * from news() where stream = 'both';
-- a kind that does not ask for deletes
select stream('none too', $$ country = 'SE' and not exists(seen_too where url = '/none') and count(seen_too) > 0 $$);
insert into visit (id, contact_id, at, url) values (310, 32, '2024-04-30', '/none'), (311, 32, '2024-04-30', '/x');
delete from visit where id = 310;
select * from news() where stream = 'none too';
update visit set at = '2024-05-01' where id = 311;
select * from news() where stream = 'none too';

---------------------------------------------------------------------------
-- Partitions
---------------------------------------------------------------------------

insert into part values (1, 40, '2024-04-30', '/a'), (2, 41, '2024-04-30', '/b'), (3, 42, '2024-04-30', '/b'), (4, 43, '2024-04-30', '/b');
select stream('part', 'exists(part)');
select stream('part a', $$ exists(part where url like '/a%') $$);
-- from one to another, of which "part" has no news
update part set url = '/a' where id = 2;
select * from news();
update part set url = '/bb', note = 'x' where id = 1;
select * from news();
update part set url = '/aa' where id = 1;
select * from news();
-- with a row that is new, and by MERGE
with u as (update part set url = '/aa' where id = 3) insert into part values (5, 44, '2024-04-30', '/bb');
select * from news();
merge into part p using (values (2, '/b'), (6, '/b')) s (id, url) on p.id = s.id
	when matched then update set url = s.url
	when not matched then insert values (s.id, 45, '2024-05-01', s.url);
select * from news();
-- within a partition, and straight in it
update part_b set note = 'y';
select * from news();
update part_b set contact_id = 46 where id = 4;
select * from news();
-- with deletes captured as well
select stream('less', 'count(part) = 1');
select leadstream.disable(s) from unnest('{part,part a,less}'::text[]) s;
select leadstream.detach('part');
select leadstream.attach_activity('part', occurred_at => 'at', events => '{insert,update,delete}');
select leadstream.enable(s) from unnest('{part,part a,less}'::text[]) s;
update part set url = case when url like '/b%' then '/a' else '/b' end where contact_id in (40, 41, 42);
select * from news();
-- stopped on the way, it is gone
create function stop() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger stop before insert on part_a for each row execute function stop();
insert into part values (7, 47, '2024-04-30', '/b'), (8, 47, '2024-04-30', '/b');
select * from news();
update part set url = '/a' where id = 8;
select * from news();
drop trigger stop on part_a;
-- of a partition that has come since, written straight into, each row stands alone
create table part_c partition of part for values in ('/c', '/cc');
set leadstream.capture = off;
insert into part select 20 + i, 50 + i % 2, '2024-04-30', '/c' from generate_series(0, 3) i;
insert into part values (24, 52, '2024-04-30', '/c'), (25, 52, '2024-04-30', '/c');
set leadstream.capture = on;
update part_c set note = 'x';
select * from news();
update part_c set note = 'z', at = '2024-05-01' where id = 21;
select * from news();
update part set url = '/a' where id = 20;
select * from news();
delete from part_c where id = 24;
select * from news();

---------------------------------------------------------------------------
-- Foreign keys
---------------------------------------------------------------------------

insert into visit (id, contact_id, at, url) values (400, 60, '2024-04-30', '/else'), (401, 61, '2024-04-30', '/else'), (402, 61, '2024-04-30', '/more');
select stream('else', $$ exists(visit where url = '/else') $$);
-- a contact gets another key, and keeps its rows
update contact set id = id + 1000 where id between 60 and 61;
select contact_id, count(*) from visit where id between 400 and 402 group by 1 order by 1;
select * from news();
-- rolled back, it did not: then rows do move
begin;
savepoint s;
update contact set id = 2060 where id = 1060;
rollback to s;
insert into contact values (2060);
update visit set contact_id = 2060 where contact_id = 1060;
select * from news();
rollback;
-- and deleted with its rows
delete from contact where id = 1061;
select * from news();
-- of a contact that goes in the same statement, rows arrive at another
with d as (update visit set contact_id = 62 where contact_id = 1060 returning *) delete from contact where id = 1060 and exists (select from d);
select * from news();

---------------------------------------------------------------------------
-- Triggers of the user's that write the rows again
---------------------------------------------------------------------------

create function tidy() returns trigger language plpgsql as $$
begin
	if new.note is distinct from 'tidy' then
		update events.visit set note = 'tidy' where id = new.id;
	end if;
	return null;
end $$;
insert into visit (id, contact_id, at, url) values (500, 70, '2024-04-30', '/form'), (501, 72, '2024-04-30', '/form');
select stream('form', $$ exists(visit where url = '/form') $$);
-- before ours and after ours
create trigger a_tidy after insert or update on visit for each row execute function tidy();
update visit set note = 'x' where id = 500;
select * from news() where stream = 'form';
insert into visit (id, contact_id, at, url) values (502, 70, '2024-04-30', '/form');
select note from visit where id = 502;
select * from news() where stream = 'form';
alter trigger a_tidy on visit rename to z_tidy;
update visit set note = 'x' where id = 501;
select * from news() where stream = 'form';
insert into visit (id, contact_id, at, url) values (503, 72, '2024-04-30', '/form');
select * from news() where stream = 'form';
drop trigger z_tidy on visit;
-- an error within, caught
create function fail() returns trigger language plpgsql as $$
begin
	begin
		update events.visit set at = '2024-05-01' where id = new.id;
		raise exception 'no';
	exception when raise_exception then null;
	end;
	return null;
end $$;
insert into visit (id, contact_id, at, url) values (504, 74, '2024-04-30', '/form');
delete from leadstream.lead where contact_id = 74;
delete from told where contact_id = 74;
create trigger a_fail after update on visit for each row when (pg_trigger_depth() = 0) execute function fail();
update visit set note = 'x' where id = 504;
select * from news() where stream = 'form';
drop trigger a_fail on visit;

-- writing what is not to be captured, which is no end to the statement around it
create function quietly() returns trigger language plpgsql as $$
begin
	perform set_config('leadstream.capture', 'off', false);
	insert into events.visit (id) values (new.id + 1000);
	perform set_config('leadstream.capture', 'on', false);
	return null;
end $$;
insert into visit (id, contact_id, at, url) values (506, 76, '2024-04-30', '/form'), (507, 76, '2024-04-30', '/form');
delete from leadstream.lead where contact_id = 76;
delete from told where contact_id = 76;
select stream('quiet form', $$ exists(visit where url like '/form%') $$);
create trigger z_quietly after update on visit for each row execute function quietly();
update visit set url = '/form/' || id where contact_id = 76;
select * from news() where stream = 'quiet form';
drop trigger z_quietly on visit;
-- nor is what fails, which has none of its own
create function in_vain() returns trigger language plpgsql as $$
begin
	perform set_config('leadstream.capture', 'off', false);
	begin
		insert into events.visit (id) values (new.id);
	exception when unique_violation then null;
	end;
	perform set_config('leadstream.capture', 'on', false);
	return null;
end $$;
create trigger z_in_vain after update on visit for each row execute function in_vain();
delete from leadstream.lead where contact_id = 76;
delete from told where contact_id = 76;
update visit set url = '/sent' where contact_id = 76;
begin;
update visit set url = '/form/' || id where contact_id = 76;
select * from news() where stream = 'quiet form';
commit;
drop trigger z_in_vain on visit;
-- nor do many leave anything behind
create function in_vain_often() returns trigger language plpgsql as $$
begin
	perform set_config('leadstream.capture', 'off', false);
	for i in 1 .. 10000 loop
		insert into events.visit (id) select 0 where false;
	end loop;
	perform set_config('leadstream.capture', 'on', false);
	return null;
end $$;
create trigger z_in_vain after update on visit for each row execute function in_vain_often();
begin;
update visit set note = 'x' where id = 506;
select used_bytes < 100000 as is_small from pg_backend_memory_contexts where name = 'TopTransactionContext';
commit;
drop trigger z_in_vain on visit;

---------------------------------------------------------------------------
-- The clock
---------------------------------------------------------------------------

select stream('quiet', $$ not exists(visit within 10 days) and exists(visit where url = '/sent') $$);
select stream('soon', $$ exists(visit where url = '/soon') $$);
select leadstream.tick() \g /dev/null
create view waits as
select s.stream, d.contact_id, d.at from leadstream.due d join leadstream.stream s using (stream_id) where d.run = s.run and s.stream in ('quiet', 'soon') order by 1, 2;
insert into visit (id, contact_id, at, url) values (600, 80, '2024-04-28', '/sent'), (601, 80, '2024-04-30', '/else'), (602, 82, '2024-04-30', '/sent');
select * from waits;
-- what waits goes by the rows that are left, and by their times
delete from visit where id = 601;
update visit set at = '2024-05-01' where id = 602;
select * from waits;
-- a row that is put off, and one that is called off
insert into visit (id, contact_id, at, url) values (610, 84, '2024-05-05', '/soon'), (611, 85, '2024-05-05', '/soon'), (612, 86, '2024-05-05', '/else');
update visit set at = '2024-05-06' where id = 610;
delete from visit where id = 611;
update visit set url = '/soon' where id = 612;
set leadstream.clock = '2024-05-05T00:00:00Z';
select leadstream.tick();
select * from news();
set leadstream.clock = '2024-05-08T00:00:00Z';
select leadstream.tick();
select * from news();
select * from waits;
-- what time had made is settled before, of how it was before
set leadstream.clock = '2024-05-12T00:00:00Z';
delete from visit where id = 602;
select stream, contact_id, matched_at, origin from leadstream.matches where contact_id = 82 and stream = 'quiet';
select * from leadstream.verify($$ count(visit) >= 1 and not exists(visit where url = '/stop') $$::leadstream.rule);

---------------------------------------------------------------------------
-- Off, and rolled back
---------------------------------------------------------------------------

set leadstream.clock = '2024-06-01T00:00:00Z';
insert into visit (id, contact_id, at, url) values (700, 90, '2024-05-30', '/else'), (701, 91, '2024-05-30', '/else');
select * from news() \g /dev/null
set leadstream.capture = off;
update visit set url = '/form' where id = 700;
set leadstream.capture = on;
begin;
savepoint s;
update visit set url = '/form' where id = 701;
rollback to s;
commit;
select * from news();
-- nothing of it is left
update visit set note = 'x' where id in (700, 701);
select * from news();

---------------------------------------------------------------------------
-- Each kind by the events it asks for, whatever others of its table ask for
---------------------------------------------------------------------------

select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
create table hit (
	id int primary key, contact_id bigint references contact on delete cascade on update cascade, at timestamptz, url text);
create index on hit (contact_id, at);
select leadstream.attach_activity('hit', occurred_at => 'at', kind => 'hit i', events => '{insert}');
select leadstream.attach_activity('hit', occurred_at => 'at', kind => 'hit iu', events => '{insert,update}');
select leadstream.attach_activity('hit', occurred_at => 'at', kind => 'hit id', events => '{insert,delete}');
select leadstream.attach_activity('hit', occurred_at => 'at', kind => 'hit iud', events => '{insert,update,delete}');
set leadstream.capture = off;
insert into contact select i, 'SE' from generate_series(801, 809) i;
insert into hit select 10 * i, i, '2024-05-01', '/no' from generate_series(801, 809) i;
insert into hit select 10 * i + 1, i, '2024-05-01', '/yes' from generate_series(801, 809) i;
insert into hit values (9000, 807, '2024-05-01', '/in'), (9001, 809, '2024-05-01', '/in');
set leadstream.capture = on;
select stream(kind || ' in', format($$ exists("%s" where url = '/in') $$, kind)::leadstream.rule),
	stream(kind || ' out', format($$ exists("%s" where url = '/yes') and not exists("%1$s" where url = '/no') $$, kind)::leadstream.rule),
	-- true of all from the beginning: only what is new to a condition counts
	stream(kind || ' new', format($$ exists("%s" where url in ('/yes', '/in')) $$, kind)::leadstream.rule)
from unnest('{hit i,hit iu,hit id,hit iud}'::text[]) kind \g /dev/null
-- asked because of one kind, true because of another, to which an updated row is not new
select stream(kind || ' mix', format($$ exists("%s" where url = '/in') and count("hit iud" where url = '/no') < 50 $$, kind)::leadstream.rule)
from unnest('{hit i,hit iu,hit id}'::text[]) kind \g /dev/null
create function hits() returns table (kind text, inserted text, updated text, deleted text) language sql as $$
	with n as (select regexp_replace(stream, ' \w+$', '') as kind, regexp_replace(stream, '^.* ', '') || ' ' || contact as what,
					coalesce(evidence::jsonb ->> 'event', 'insert') as event
				from events.news() where stream like 'hit %')
	select kind, string_agg(what, ', ' order by what) filter (where event = 'insert'),
		string_agg(what, ', ' order by what) filter (where event = 'update'),
		string_agg(what, ', ' order by what) filter (where event = 'delete')
	from n group by kind order by kind
$$;
insert into hit values (8019, 801, '2024-05-02', '/in');
select * from hits();
-- into a condition, out of one, and to another contact
update hit set url = '/in' where id = 8020;
update hit set url = '/else' where id = 8030;
update hit set contact_id = 804 where id = 9000;
select * from hits();
update hit set url = '/in' where id = 8090;
select * from hits();
-- gone; and what is gone and new at once
delete from hit where id = 8050;
with d as (delete from hit where id = 8060 returning id), u as (update hit set url = '/in' where id = 8070 returning id)
	insert into hit select 8089, 808, '2024-05-02', '/in' from d, u;
select * from hits();

---------------------------------------------------------------------------
-- Many rows that a statement within theirs writes again
---------------------------------------------------------------------------

-- more than are settled at a time, and of two contacts each one that is new
set leadstream.capture = off;
insert into contact select i, 'SE' from generate_series(10001, 16000) i;
insert into visit (id, contact_id, at, url) select i, i, '2024-05-01', '/mass' from generate_series(10001, 16000) i;
insert into visit (id, contact_id, at, url) values (9991, 10001, '2024-05-01', '/none'), (9992, 15999, '2024-05-01', '/none');
set leadstream.capture = on;
select stream('mass', $$ exists(visit where url like '/mass%') $$);
create function again() returns trigger language plpgsql as $$
begin
	if pg_trigger_depth() <= 2 then
		update events.visit set note = 'again ' || pg_trigger_depth() where url like '/mass/%';
	end if;
	return null;
end $$;
-- before ours, so that theirs is not settled yet
create trigger a_again after update on visit for each statement execute function again();
update visit set url = '/mass/2' where id between 9991 and 16000;
select note, count(*) from visit where url = '/mass/2' group by note;
select stream, contact from news() where stream = 'mass';
drop trigger a_again on visit;
-- by what is done to leads, while the statement that made them is being settled
set leadstream.capture = off;
insert into visit (id, contact_id, at, url) values (9994, 10060, '2024-05-01', '/none'), (9995, 15500, '2024-05-01', '/none');
set leadstream.capture = on;
create function note_lead() returns trigger language plpgsql as $$
begin
	update events.visit set note = 'lead' where url = '/mass/4';
	return null;
end $$;
create trigger note_lead after insert on leadstream.lead for each statement execute function note_lead();
update visit set url = '/mass/4' where id between 9994 and 16000;
select note, count(*) from visit where url = '/mass/4' group by note;
select stream, contact from news() where stream = 'mass';
drop trigger note_lead on leadstream.lead;
-- each row by a statement of its own
set leadstream.capture = off;
insert into visit (id, contact_id, at, url) values (9993, 10050, '2024-05-01', '/none');
set leadstream.capture = on;
create trigger a_tidy after update on visit for each row execute function tidy();
update visit set url = '/mass/3' where id between 10001 and 10100 or id = 9993;
select note, count(*) from visit where url = '/mass/3' group by note;
select stream, contact from news() where stream = 'mass';
drop trigger a_tidy on visit;

---------------------------------------------------------------------------
-- Rows that are settled one by one
---------------------------------------------------------------------------

-- each is new by itself, never because of another row of its statement
create table lone (
	id int, contact_id bigint references contact, at timestamptz, url text, note text, primary key (id, url)) partition by list (url);
create table lone_a partition of lone for values in ('/a');
create index on lone (contact_id, at);
select leadstream.attach_activity('lone', occurred_at => 'at', events => '{insert,update,delete}');
create table lone_c partition of lone for values in ('/c', '/cc');
set leadstream.capture = off;
insert into contact select i, 'SE' from generate_series(901, 905) i;
insert into lone (id, contact_id, at, url) values (901, 901, '2024-05-01', '/c'), (902, 901, '2024-05-01', '/c'), (903, 902, '2024-05-01', '/c'),
	(904, 903, '2024-05-01', '/c'), (905, 903, '2024-05-01', '/cc'), (906, 904, '2024-05-01', '/c'), (907, 904, '2024-05-01', '/cc'),
	(908, 905, '2024-05-01', '/c'), (909, 905, '2024-05-01', '/a');
set leadstream.capture = on;
select stream('one', $$ exists(lone where url = '/c') and count(lone where url = '/cc') < 50 $$);
select stream('one of c', $$ exists(lone where url = '/c') and exists(lone where url like '/c%') $$);
-- one row is left as it was, the other leaves one condition and stays in the other
update lone_c set note = 'x', url = case id when 902 then '/cc' else url end where contact_id = 901;
select * from news();
-- one that the rule is judged for, and the one that is the reason
insert into lone_c values (910, 902, '2024-05-02', '/cc'), (911, 902, '2024-05-02', '/c');
select * from news() where stream = 'one';
update lone_c set note = 'x', url = case id when 905 then '/c' else url end where contact_id = 903;
select stream, contact from news();
with d as (delete from lone_c where id = 907 returning id) insert into lone_c select 912, 904, '2024-05-02', '/c' from d;
select * from news() where stream = 'one';
update lone set url = '/c' where id = 909;
select stream, contact from news();

---------------------------------------------------------------------------
-- Contacts that get other keys
---------------------------------------------------------------------------

set leadstream.capture = off;
insert into contact select i, 'SE' from generate_series(20001, 23000) i;
insert into visit (id, contact_id, at, url) select i, i, '2024-05-01', '/kept' from generate_series(20001, 23000) i;
-- the highest first: each gets the key that another has just left
insert into contact values (24003, 'shift'), (24002, 'shift'), (24001, 'shift');
insert into visit (id, contact_id, at, url) select i, i, '2024-05-01', '/kept' from generate_series(24001, 24003) i;
set leadstream.capture = on;
select stream('kept', $$ exists(visit where url = '/kept') $$);
-- many at once; then a row comes to one of them
update contact set id = id + 50000 where id between 20001 and 23000;
update contact set id = id + 1 where country = 'shift';
select count(*) from visit where url = '/kept' and contact_id = id + case when id < 24000 then 50000 else 1 end;
select * from news() where stream = 'kept';
update visit set contact_id = 24004 where id = 24001;
select * from news() where stream = 'kept';

-- where no foreign key takes the rows along, who does so may
create table memo (
	id int primary key, contact_id bigint references contact deferrable initially deferred, at timestamptz, url text);
create index on memo (contact_id, at);
select leadstream.attach_activity('memo', occurred_at => 'at', events => '{insert,update}');
set leadstream.capture = off;
-- the keys of each pair, and those alone, have the same hash
insert into contact select i, 'SE' from unnest('{31335,280230,2361,389768,39121,159595,500,501}'::bigint[]) i;
insert into memo select 10 * n + k, i, '2024-05-01', '/memo'
from unnest('{31335,280230,2361,389768,39121,159595,500,501}'::bigint[]) with ordinality c(i, n), generate_series(1, 3) k;
insert into memo values (201, null, '2024-05-01', '/memo');
set leadstream.capture = on;
select stream('memo', $$ exists(memo where url = '/memo') $$);
begin;
update contact set id = id + 1000000 where id in (31335, 280230, 2361, 389768, 39121, 159595);
update memo set contact_id = contact_id + 1000000 where id between 10 and 69;
commit;
select * from news() where stream = 'memo';
-- back, but one of them to the other of its pair
begin;
update contact set id = id - 1000000 where id > 1000000;
update memo set contact_id = contact_id - 1000000 where contact_id > 1000000;
commit;
begin;
update contact set id = id + 1000000 where id in (31335, 280230);
update memo set contact_id = case id when 11 then 1280230 else contact_id + 1000000 end where id between 10 and 29;
select * from news() where stream = 'memo';
rollback;
-- from nobody, and to nobody
begin;
update contact set id = 600 where id = 500;
update memo set contact_id = 600 where contact_id = 500;
update memo set contact_id = null where id = 71;
select * from news() where stream = 'memo';
update memo set contact_id = 600 where id = 201;
select * from news() where stream = 'memo';
commit;

-- twice by one statement, and not at all
create function rekey(was bigint, row_id int) returns int language plpgsql as $$
begin
	begin
		begin
			update events.contact set id = was + 100 where id = was;
		exception when division_by_zero then null;
		end;
		raise exception 'no';
	exception when raise_exception then null;
	end;
	begin
		update events.contact set id = was + 200 where id = was;
	exception when division_by_zero then null;
	end;
	update events.contact set country = 'NO' where id = was + 200;
	update events.memo set contact_id = was + 200 where contact_id = was and id <> row_id;
	-- now somebody else has the key that it never got
	perform set_config('leadstream.capture', 'off', true);
	insert into events.contact values (was + 100, 'SE');
	insert into events.memo values (row_id + 1000, was + 100, '2024-05-01', '/memo');
	perform set_config('leadstream.capture', 'on', true);
	update events.memo set contact_id = was + 100 where id = row_id;
	return row_id + 2000;
end $$;
-- within a statement of another table, which is no end to it
insert into visit (id) select rekey(501, 81);
select * from news() where stream = 'memo';
select contact_id, array_agg(id order by id) from memo where contact_id between 500 and 800 group by 1 order by 1;

select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
reset leadstream.clock;
select leadstream.detach(t) from unnest('{visit,part,hit,lone,memo,contact}'::regclass[]) t \g /dev/null
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema events cascade;
