-- renames.sql: columns that change under enabled streams: other names are followed
-- (more of that in follow.sql), and no insert fails
create schema renames;
set search_path = renames, public;
create table contact (id integer primary key, country text, account text);
create table visit (id serial primary key, contact_id integer references contact,
	at timestamptz not null default '2026-01-01 00:00Z', url text);
create index on visit (contact_id, at);
insert into contact select i, 'SE' from generate_series(1, 20) i;
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
select leadstream.create_stream('any', 'exists(visit)', '{Sales}') is not null as stream;
select leadstream.create_stream('pricing', 'exists(visit where url = ''/pricing'')', '{Sales}') is not null as stream;
select leadstream.enable('any'), leadstream.enable('pricing');
insert into visit (contact_id, url) values (1, '/pricing');

-- a column that a rule names: its stream goes on
alter table visit rename url to path;
insert into visit (contact_id, path) values (2, '/pricing');
insert into visit (contact_id, path) values (3, '/pricing');
select stream, problem from leadstream.streams order by stream;
alter table visit rename path to url;
insert into visit (contact_id, url) values (4, '/pricing');

-- another type: the rule is bound anew; where it cannot be, the stream is broken,
-- with one warning
alter table visit alter url type varchar(100);
insert into visit (contact_id, url) values (5, '/pricing');
alter table visit alter url type integer using 7;
insert into visit (contact_id, url) values (6, 7);
insert into visit (contact_id, url) values (6, 7);
alter table visit alter url type text using '/pricing';
insert into visit (contact_id, url) values (7, '/pricing');

-- the time column of the kind, its contact column
alter table visit rename at to happened_at;
insert into visit (contact_id, url) values (8, '/pricing');
select stream, problem from leadstream.streams order by stream;
alter table visit rename happened_at to at;
insert into visit (contact_id, url) values (9, '/pricing');
alter table visit rename contact_id to person;
insert into visit (person, url) values (10, '/pricing');
alter table visit rename person to contact_id;
insert into visit (contact_id, url) values (11, '/pricing');

-- the key of the contacts
alter table contact rename id to contact_no;
insert into visit (contact_id, url) values (12, '/pricing');
insert into visit (contact_id, url) values (13, '/pricing');
select stream, problem from leadstream.streams order by stream;
select leadstream.clear('any');
alter table contact rename contact_no to id;
insert into visit (contact_id, url) values (14, '/pricing');

-- tables may be renamed and moved
alter table visit rename to page_visit;
create schema renames2;
alter table page_visit set schema renames2;
insert into renames2.page_visit (contact_id, url) values (15, '/pricing');

-- changes that are rolled back
begin;
alter table contact drop column country;
alter table renames2.page_visit drop column url;
insert into renames2.page_visit (contact_id) values (16);
rollback;
insert into renames2.page_visit (contact_id, url) values (17, '/pricing');
select contact_id, string_agg(stream, ', ' order by stream) as streams
from leadstream.matches group by contact_id order by contact_id;

-- the activity table is dropped
drop table renames2.page_visit;
select stream, problem from leadstream.streams order by stream;
insert into contact values (21, 'SE');

select leadstream.disable('any'), leadstream.disable('pricing');
select leadstream.clear('any'), leadstream.clear('pricing');
select leadstream.drop_stream('any'), leadstream.drop_stream('pricing');
select leadstream.drop_team('Sales');
select leadstream.detach('contact');
set client_min_messages = warning;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.stage;
delete from leadstream.activity_source;
drop schema renames, renames2 cascade;
