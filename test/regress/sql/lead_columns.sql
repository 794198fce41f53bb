--
-- lead_columns: the lead tables are their owner's, who may alter them; leads come
-- as an insert of their columns would bring them
--
\pset format unaligned
\pset footer off
\set VERBOSITY terse
set client_min_messages = warning;
create schema shop;
set search_path = shop;

create table contact (id varchar(5) primary key, country text);
create table visit (id bigserial primary key, contact_id varchar(5) references contact, at timestamptz not null default now(), url text);
create index on visit (contact_id, at);
insert into contact select 'c' || i, 'SE' from generate_series(1, 20) i;
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('sales') > 0 as made;
select leadstream.create_stream('any', 'exists(visit)', array['sales']) > 0 as made;
select leadstream.create_stream('second', 'exists(visit where url = ''/2'')', array['sales']) > 0 as made;
select leadstream.enable('any');
select leadstream.enable('second');

-- columns of his own, gone ones, other defaults
alter table leadstream.lead add column priority int default 3, add column gone int default 1, add column label text;
alter table leadstream.lead drop column gone;
alter table leadstream.lead alter column is_hidden set default true;
alter table leadstream.lead_event add column heard_at timestamptz not null default '2020-01-01';
alter table leadstream.lead_match add column weight numeric not null default 1.5;
begin;
insert into visit (contact_id, url) values ('c1', '/2'), ('c2', '/');
select l.lead_id, l.contact_id, l.stage, l.is_manual, l.is_hidden, l.reason, l.assignee_id, l.priority, l.label,
	l.made_by = pg_current_xact_id() as by_now, l.created_at = l.stage_changed_at as is_new
	from leadstream.lead l order by l.lead_id;
select e.lead_id, e.contact_id, e.what, e.old, e.new, e.note, s.stream, e.actor = current_user as is_me, extract(year from e.heard_at at time zone 'UTC') as heard
	from leadstream.lead_event e join leadstream.stream s using (stream_id) order by e.event_id;
select m.lead_id, s.stream, m.rule_version, m.origin, m.evidence, m.weight
	from leadstream.lead_match m join leadstream.stream s using (stream_id) order by 1, 2;
commit;

-- a default that is another from then on, in the same session
alter table leadstream.lead alter column is_hidden set default false, alter column priority set default 4;
insert into visit (contact_id) values ('c3');
select is_hidden, priority from leadstream.lead where contact_id = 'c3';
create function next_priority() returns int language sql as 'select 5';
alter table leadstream.lead alter column priority set default next_priority();
insert into visit (contact_id) values ('c4');
create or replace function next_priority() returns int language sql as 'select 6';
insert into visit (contact_id) values ('c5');
select contact_id, priority from leadstream.lead where contact_id in ('c4', 'c5') order by 1;
alter table leadstream.lead alter column priority drop default;
drop function next_priority();

-- what he forbids fails the insert
alter table leadstream.lead add constraint no_c6 check (contact_id <> 'c6');
insert into visit (contact_id) values ('c6');
insert into visit (contact_id) values ('c7');
alter table leadstream.lead drop constraint no_c6;
create function is_fine(key text) returns boolean language sql as 'select true';
alter table leadstream.lead_match add constraint fine check (is_fine(origin));
insert into visit (contact_id) values ('c17');
create or replace function is_fine(key text) returns boolean language sql as 'select false';
insert into visit (contact_id) values ('c18');
drop function is_fine cascade;
insert into visit (contact_id) values ('c19');
select contact_id from leadstream.lead where contact_id in ('c17', 'c18', 'c19') order by 1;
create unique index one_a_contact on leadstream.lead_event (contact_id) where what = 'created' and contact_id = 'c8';
insert into visit (contact_id) values ('c8');
delete from leadstream.lead where contact_id = 'c8';
insert into visit (contact_id) values ('c8');
drop index leadstream.one_a_contact;
update leadstream.lead set label = 'old';
alter table leadstream.lead alter column label set not null, alter column label set default 'new';
insert into visit (contact_id) values ('c9');
alter table leadstream.lead alter column label drop default;
insert into visit (contact_id) values ('c10');
alter table leadstream.lead drop column label;
select contact_id from leadstream.lead where contact_id in ('c6', 'c7', 'c8', 'c9', 'c10') order by 1;

-- an error while that is found out leaves nothing half known
create function limit_now() returns int immutable language plpgsql as $$
begin
	if current_setting('shop.is_down', true) = 'on' then
		raise exception 'no limit now';
	end if;
	return 5;
end
$$;
alter table leadstream.lead add column size int default limit_now(), add constraint a_size check (size > 0),
	add constraint b_size check (size >= limit_now()), add constraint c_size check (contact_id <> 'c12');
set shop.is_down = on;
insert into visit (contact_id) values ('c12');
alter table leadstream.lead alter column size set default 5;
insert into visit (contact_id) values ('c12');
reset shop.is_down;
insert into visit (contact_id) values ('c12');
insert into visit (contact_id) values ('c13');
select contact_id, size from leadstream.lead where contact_id in ('c12', 'c13') order by 1;
alter table leadstream.lead drop column size, drop constraint c_size;
drop function limit_now();

-- a domain that wants a value
create domain some_text text check (value is not null);
alter table leadstream.lead_match add column who some_text default 'us';
insert into visit (contact_id) values ('c12');
alter table leadstream.lead_match alter column who drop default;
insert into visit (contact_id) values ('c20');
alter table leadstream.lead_match drop column who;
select contact_id from leadstream.lead where contact_id in ('c12', 'c20') order by 1;

-- what an insert would compute
alter table leadstream.lead add column contact_text text generated always as ('<' || contact_id || '>') stored;
insert into visit (contact_id) values ('c11');
select contact_text from leadstream.lead where contact_id = 'c11';
alter table leadstream.lead drop column contact_text;

-- foreign keys of his
create table stage_colour (stage text primary key, colour text);
alter table leadstream.lead add foreign key (stage) references stage_colour not valid;
insert into visit (contact_id) values ('c14');
insert into stage_colour values ('MQL', 'green');
insert into visit (contact_id) values ('c14');
select stage from leadstream.lead where contact_id = 'c14';
drop table stage_colour cascade;

-- rules of his
create table heard (what text);
create rule hear as on insert to leadstream.lead_event do also insert into heard values (new.what);
insert into contact select 'd' || i, 'SE' from generate_series(1, 9) i;
insert into visit (contact_id) values ('d1');
table heard;
drop rule hear on leadstream.lead_event;
create rule hear as on insert to leadstream.lead do also insert into heard values (new.stage);
insert into visit (contact_id) values ('d2');
drop rule hear on leadstream.lead;
drop table heard;

-- the keys are what keeps leads from being doubled: there are none without
alter table leadstream.lead drop constraint lead_contact_id_team_id_key;
insert into visit (contact_id) values ('d1'), ('d3');
alter table leadstream.lead add constraint late unique (contact_id, team_id) deferrable;
insert into visit (contact_id) values ('d4');
alter table leadstream.lead drop constraint late;
create unique index of_some on leadstream.lead (contact_id, team_id) where contact_id <> 'd5';
insert into visit (contact_id) values ('d5');
drop index leadstream.of_some;
create unique index back on leadstream.lead (team_id, contact_id);
insert into visit (contact_id) values ('d1'), ('d6'), ('d6');
select contact_id, count(*) from leadstream.lead where contact_id like 'd%' group by 1 order by 1;

-- a transaction that deletes the contact, in whatever order
begin;
insert into visit (contact_id, url) values ('c15', '/2');
select count(*) from leadstream.lead where contact_id = 'c15';
delete from visit where contact_id = 'c15';
delete from contact where id = 'c15';
select count(*) from leadstream.lead where contact_id = 'c15';
select count(*) from leadstream.lead_event where contact_id = 'c15';
commit;
begin;
insert into visit (contact_id, url) values ('c16', '/2');
delete from visit where contact_id = 'c16';
update contact set id = 'd16' where id = 'c16';
select contact_id from leadstream.lead where contact_id like '_16';
commit;

-- many, of which some are there: those are left
select leadstream.disable('second');
insert into contact select 'm' || i, 'SE' from generate_series(1, 2500) i;
insert into leadstream.lead (contact_id, team_id, stage, created_at, stage_changed_at)
	select 'm' || i, (select team_id from leadstream.team), 'SQL', now(), now() from generate_series(1, 2500, 5) i;
insert into visit (contact_id) select 'm' || i from generate_series(1, 2500) i;
select l.stage, count(*), count(m.lead_id) as matches, count(distinct l.contact_id) as contacts
	from leadstream.lead l left join leadstream.lead_match m using (lead_id) where l.contact_id like 'm%' group by 1 order by 1;
select what, count(*) from leadstream.lead_event where contact_id like 'm%' group by 1 order by 1;

-- read only
begin;
set transaction read only;
select leadstream.fetch_history('any');
rollback;

\set VERBOSITY default
update leadstream.stream set is_enabled = false;
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema shop cascade;
