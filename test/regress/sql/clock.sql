--
-- clock: rules that turn true because time passes
--
-- What waits in leadstream.due, what tick() makes of it and when, and what is
-- settled by a row that comes first.  Random rules and worlds are in
-- test/agree; races are in test/isolation.
--
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema clock;
set search_path = clock;

create table contact (id bigint primary key, email text, country text, trial timestamptz);
create table mail_sent (id bigint generated always as identity primary key, contact_id bigint references contact on delete cascade on update cascade, at timestamptz not null);
create index on mail_sent (contact_id, at);
create table mail_open (id bigint generated always as identity primary key, contact_id bigint references contact on delete cascade on update cascade, at timestamptz not null);
create index on mail_open (contact_id, at);
create table form (id bigint generated always as identity primary key, contact_id bigint references contact on delete cascade on update cascade, form text, event_at timestamptz, at timestamptz not null);
create index on form (contact_id, at);
select leadstream.attach_contacts('contact', zone => 'Europe/Stockholm') \g /dev/null
select leadstream.attach_activity(t, occurred_at => 'at') from unnest('{mail_sent,mail_open,form}'::regclass[]) t \g /dev/null
select leadstream.create_team('Sales') \g /dev/null

create function at(t text) returns text language sql as $$ select set_config('leadstream.clock', t, false) $$;
create function stream(name text, rule leadstream.rule) returns void language sql as $$
	select leadstream.create_stream(name, rule, '{Sales}');
	select leadstream.enable(name);
$$;
create view waits as
select s.stream, d.contact_id, d.at, d.arrival from leadstream.due d join leadstream.stream s using (stream_id)
where d.run = s.run order by s.stream, d.contact_id;
create view made as
select stream, contact_id, matched_at, origin from leadstream.matches order by stream, contact_id;

--
-- Absence.  A contact who was written to and opens nothing for 90 days.
--
select at('2026-01-01 00:00Z') \g /dev/null
insert into contact select i, 'c' || i || '@example.com', 'SE', null from generate_series(1, 6) i;
insert into mail_sent (contact_id, at) select i, '2025-12-31 12:00Z' from generate_series(1, 5) i;
insert into mail_open (contact_id, at) values (1, '2025-11-01 00:00Z'), (2, '2025-12-01 00:00Z'), (3, '2025-01-01 00:00Z');
select stream('quiet', 'exists(mail_sent) and not exists(mail_open within 90 days)');
-- before anything is known of the contacts, and after; 3 and 4 are quiet already and stay silent
select stream, run, enabled_at, is_seeded from leadstream.stream;
select leadstream.tick() as leads;
select stream, run, enabled_at, is_seeded from leadstream.stream;
select * from waits;
-- an open by 2 puts it off, which is left for a tick to find out; one by 3 makes false what was true; 6 is written to for the first time, and it is true
select at('2026-01-10 00:00Z') \g /dev/null
insert into mail_open (contact_id, at) values (2, '2026-01-05 00:00Z'), (3, '2026-01-10 00:00Z'), (4, '2025-12-24 00:00Z');
insert into mail_sent (contact_id, at) values (6, '2026-01-10 00:00Z');
select * from waits;
select * from made;
-- a microsecond before, and the instant itself
select at('2026-01-29 23:59:59.999999Z') \g /dev/null
select leadstream.tick() as leads;
select at('2026-01-30 00:00Z') \g /dev/null
select leadstream.tick() as leads;
-- late, and again: the instant is that at which it turned true
select at('2026-05-01 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select leadstream.tick() as leads;
select * from made;
select * from waits;

--
-- What comes before the tick is told by the row: it turned true before.
--
select at('2026-05-02 00:00Z') \g /dev/null
insert into contact values (7, 'c7@example.com', 'SE'), (8, 'c8@example.com', 'SE');
insert into mail_sent (contact_id, at) values (7, '2026-05-02 00:00Z'), (8, '2026-05-02 00:00Z');
delete from leadstream.lead where contact_id in (7, 8);
insert into mail_open (contact_id, at) values (7, '2026-05-02 00:00Z'), (8, '2026-05-02 00:00Z');
select * from waits where contact_id > 6;
select at('2026-08-15 00:00Z') \g /dev/null
insert into mail_open (contact_id, at) values (7, '2026-08-15 00:00Z');
select * from made where contact_id > 6;
-- time goes by what was known when it passed: a late row changes nothing of it
insert into mail_open (contact_id, at) values (8, '2026-06-01 00:00Z');
select * from made where contact_id > 6;
select * from waits where contact_id > 6;

--
-- A lead deleted by hand: its contact is without the match again.  What came
-- while it had the match left nothing, so a tick finds out what is going to be.
--
select at('2026-09-01 00:00Z') \g /dev/null
insert into contact select i, 'c' || i || '@example.com', 'SE' from generate_series(11, 14) i;
insert into mail_sent (contact_id, at) select i, '2026-09-01 00:00Z' from generate_series(11, 14) i;
select stream('meets', 'exists(form where form = ''meeting'')');
select leadstream.tick() as leads;
insert into form (contact_id, form, at) values (13, 'meeting', '2026-09-01 00:00Z');
select at('2026-09-10 00:00Z') \g /dev/null
-- 11 opens a mail; 12 does not, so the rule stays true; 13 is to meet again; 14 is erased
insert into mail_open (contact_id, at) values (11, '2026-09-10 00:00Z');
insert into form (contact_id, form, at) values (13, 'meeting', '2026-10-01 00:00Z');
select * from waits where contact_id > 10;
delete from leadstream.lead where contact_id in (11, 12, 13);
delete from contact where id = 14;
select * from waits where contact_id > 10;
-- that was true at the time is nothing new
select leadstream.tick() as leads;
select at('2026-09-10 00:01Z') \g /dev/null
select leadstream.tick() as leads;
select * from waits where contact_id > 10;
-- what turns true afterwards is, and so is a row whose time comes
select at('2027-09-01 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select * from made where contact_id > 10;
select * from waits where contact_id > 10;
select leadstream.disable('meets');

--
-- Dates of the contact, and changes of it.
--
select at('2027-01-01 00:00Z') \g /dev/null
select leadstream.disable('quiet');
select count(*) as waiting from leadstream.due;
select stream('trial', 'trial < now + 3 days and country = ''SE''');
select leadstream.tick() as leads;
insert into contact values (20, 'a', 'SE', '2027-01-10 00:00Z'), (21, 'b', 'NO', '2027-01-10 00:00Z'), (22, 'c', 'SE', '2027-01-02 00:00Z'),
	(23, 'd', 'SE', '2027-01-20 00:00Z'), (24, 'e', 'SE', null);
select * from waits;
select * from made where stream = 'trial';
-- moved to later (left to a tick), come in, gone out, deleted
update contact set trial = '2027-01-12 00:00Z' where id = 20;
update contact set country = 'SE' where id = 21;
update contact set country = 'DK' where id = 23;
update contact set trial = '2027-02-01 00:00Z' where id = 24;
select * from waits;
update contact set id = 30 where id = 24;
delete from contact where id = 21;
select * from waits;
select at('2027-03-01 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select * from made where stream = 'trial';
select leadstream.disable('trial');

--
-- Rows of the future, and such as count later, arrive when their time comes:
-- also of a contact of whom the rule is true already.
--
select stream('demo', 'exists(form where form = ''demo'')'), stream('old', 'exists(form where form = ''demo'' older than 2 days)'),
	stream('fair', 'exists(form where form = ''fair'' and event_at < now - 2 days)') \g /dev/null
select leadstream.tick() as leads;
select at('2027-03-02 00:00Z') \g /dev/null
insert into form (contact_id, form, event_at, at) values (1, 'demo', null, '2027-03-10 00:00Z'), (2, 'demo', null, '2027-03-02 00:00Z'),
	(3, 'fair', '2027-03-20 00:00Z', '2027-03-02 00:00Z'), (4, 'other', null, '2027-03-10 00:00Z');
select * from waits;
select * from made where stream in ('demo', 'old', 'fair');
delete from leadstream.lead where contact_id = 2;
-- true and silent: the second form of 2 is a match when it counts
insert into form (contact_id, form, at) values (2, 'demo', '2027-03-15 00:00Z');
select * from waits where contact_id = 2;
select at('2027-04-01 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select * from made where stream in ('demo', 'old', 'fair');
select * from waits;
-- such rows that were there when the stream was enabled
insert into form (contact_id, form, at) values (5, 'later', '2027-05-01 00:00Z'), (6, 'later', '2027-03-01 00:00Z');
select stream('later', 'exists(form where form = ''later'')') \g /dev/null
select leadstream.tick() as leads;
select * from waits;
select at('2027-05-01 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select * from made where stream = 'later';

--
-- The calendar: the ends of months, a leap day, the day the clocks change.
--
select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
select at('2028-01-01 00:00Z') \g /dev/null
select stream('month', 'exists(mail_open) and not exists(mail_open within 1 month)'), stream('year', 'exists(mail_open) and not exists(mail_open within 1 year)'),
	stream('day', 'trial < today') \g /dev/null
select leadstream.tick() as leads;
insert into contact select i, null, null, null from generate_series(40, 45) i;
insert into mail_open (contact_id, at) values (40, '2028-01-31 12:00Z'), (41, '2028-02-29 12:00Z'), (42, '2028-01-30 12:00Z');
update contact set trial = '2028-03-25 12:00Z' where id = 43;
update contact set trial = '2028-03-26 12:00Z' where id = 44;
select at('2030-01-01 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select * from made where stream in ('month', 'year', 'day') and contact_id >= 40;

--
-- Runs of a stream: what waited of one is nothing to the next.
--
select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
select at('2031-01-01 00:00Z') \g /dev/null
insert into contact select i, null, 'SE', '2031-01-05 00:00Z' from generate_series(50, 53) i;
select stream('runs', 'trial < now') \g /dev/null
select leadstream.tick() as leads;
select * from waits;
select leadstream.disable('runs');
select at('2031-01-06 00:00Z') \g /dev/null
select leadstream.enable('runs');
-- it turned true while nobody asked
select leadstream.tick() as leads;
select * from waits;
-- another rule is another run
update contact set trial = '2031-02-01 00:00Z' where id = 50;
select leadstream.alter_stream('runs', rule => 'trial < now - 7 days');
select run, enabled_at, is_seeded from leadstream.stream where stream = 'runs';
select at('2031-01-20 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select * from made where stream = 'runs';
select * from waits;
-- a stream that was enabled by the same transaction is for the next
select leadstream.disable('runs');
update contact set trial = '2031-03-01 00:00Z' where id > 50;
begin;
select leadstream.enable('runs');
select leadstream.tick() as leads;
select count(*) as waiting from waits;
commit;
-- before it is looked at, contacts that are judged leave a note
select leadstream.alter_stream('runs', rule => 'trial < now and email is null');
update contact set email = 'x' where id = 50;
select * from waits;
update contact set email = null where id = 50;
select * from waits;
select leadstream.tick() as leads;
select * from waits;
select at('2031-03-02 00:00Z') \g /dev/null
-- from a procedure, which goes on with its own search_path
create procedure tick_by_procedure() language plpgsql as $$
declare
	leads	bigint;
begin
	call leadstream.tick_batches(1, leads);
	raise notice '% lead, search_path %', leads, current_setting('search_path');
	perform from made;
end $$;
\set VERBOSITY terse
set client_min_messages = notice;
call tick_by_procedure();
set client_min_messages = warning;
\set VERBOSITY default
select * from made where stream = 'runs';

--
-- Leads that are there, teams, and what cannot be judged.
--
select leadstream.disable('runs');
select at('2032-01-01 00:00Z') \g /dev/null
insert into contact select i, null, 'SE', '2032-01-05 00:00Z' from generate_series(60, 64) i;
select leadstream.create_team('Support') \g /dev/null
select leadstream.create_stream('two', 'trial < now and trial > ''2032-01-01''', '{Sales,Support}') \g /dev/null
select leadstream.enable('two');
select leadstream.tick() as leads;
select leadstream.create_lead(60, 'Sales') is not null as by_hand;
select at('2032-02-01 00:00Z') \g /dev/null
alter event trigger leadstream_follow_columns disable;
alter table contact rename column trial to ends;
select leadstream.tick() as leads;
select count(*) as waiting from waits;
alter table contact rename column ends to trial;
alter event trigger leadstream_follow_columns enable always;
select leadstream.tick() as leads;
select team, count(*) from leadstream.matches where stream = 'two' group by team order by team;
select what, note, count(*) from leadstream.lead_event where contact_id between 60 and 64 group by 1, 2 order by 1, 2;
-- history is before the clock: what has its match is not waited for
select leadstream.disable('two');
insert into contact select i, null, 'SE', '2032-01-05 00:00Z' from generate_series(70, 71) i;
update contact set trial = '2032-03-01 00:00Z' where id = 71;
select leadstream.enable('two');
select leadstream.fetch_history('two') as leads;
select leadstream.tick() as leads;
select * from waits;

--
-- A rule over a type from elsewhere; keys that look different and are equal;
-- a transaction with one snapshot.
--
select leadstream.disable('two');
select leadstream.create_stream('odd', 'trial < now and email = ''odd''', '{Sales}') \g /dev/null
select leadstream.enable('odd');
begin isolation level repeatable read;
select count(*) from contact where email = 'odd';
select leadstream.tick() as leads;
insert into contact values (80, 'odd', 'SE', '2032-02-02 00:00Z');
commit;
select * from waits;
begin isolation level serializable;
select leadstream.tick() as leads;
select at('2032-03-02 00:00Z') \g /dev/null
select leadstream.tick() as leads;
commit;
select * from made where stream = 'odd';

-- who may not, and when
create role regress_ls_clock;
set role regress_ls_clock;
\set VERBOSITY sqlstate
select leadstream.tick();
call leadstream.tick_batches();
reset role;
begin read only;
select leadstream.tick();
rollback;
-- without its index; where foreign keys do nothing, as when logical replication deletes a contact
begin;
drop index leadstream.due_at_idx;
select leadstream.tick();
rollback;
select at('2032-03-03 00:00Z') \g /dev/null
update contact set trial = '2032-04-01 00:00Z', email = 'odd' where id = 50;
select count(*) as waiting from waits where contact_id = 50;
begin;
set local session_replication_role = replica;
delete from contact where id = 50;
commit;
select at('2032-04-02 00:00Z') \g /dev/null
select leadstream.tick() as leads;
select count(*) as waiting from leadstream.due where contact_id = 50;
drop role regress_ls_clock;

-- seeding reads what waits of the stream, not all that waits of its contacts: twenty that wait for fifty others
insert into contact select i, 'many' from generate_series(1001, 1020) i;
insert into leadstream.due (contact_id, stream_id, is_seed, run, at, arrival)
select i, -s, false, 1, '2050-01-01', false from generate_series(1001, 1020) i, generate_series(1, 50) s;
select stream('wait too', 'email = ''many'' and exists(mail_sent) and not exists(mail_open within 90 days)');
-- of ten of them something is known before, of ten only that they have to be looked at
insert into mail_open (contact_id, at) select i, '2032-04-01' from generate_series(1001, 1020) i;
insert into mail_sent (contact_id, at) select i, '2032-04-01' from generate_series(1001, 1010) i;
select count(*) filter (where at < 'infinity') as known, count(*) filter (where at = 'infinity') as never from waits where stream = 'wait too';
begin;
select leadstream.tick() as leads;
select idx_tup_fetch < 400 as is_little from pg_stat_xact_all_tables where relid = 'leadstream.due'::regclass;
commit;
select d.is_seed, d.at, count(*) from leadstream.due d join leadstream.stream s using (stream_id) where s.stream = 'wait too' group by 1, 2;
delete from leadstream.due where stream_id < 0;

select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
select count(*) as waiting from leadstream.due;
reset leadstream.clock;
select leadstream.detach(t) from unnest('{mail_sent,mail_open,form,contact}'::regclass[]) t \g /dev/null
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
\set VERBOSITY default
drop schema clock cascade;
