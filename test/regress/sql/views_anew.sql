--
-- views_anew: columns of the contacts get other types, which views on leads show.
--
\pset format unaligned
\pset footer off
\set VERBOSITY terse
set timezone = 'UTC';
set client_min_messages = warning;
create schema va;
set search_path = va;
create table contact (id integer primary key, email text, name text, company text, category text, score integer);
create table visit (contact_id integer not null references contact, at timestamptz not null);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_stream('Two', 'count(visit) >= 2', '{Sales}') is not null as made;
select leadstream.create_stream('Quiet', 'exists(visit) and not exists(visit within 90 days)', '{Sales}') is not null as made;
select leadstream.create_score_set('all') is not null as made;
select leadstream.create_score_rule('all', 'visit', 'exists(visit)', 5) is not null as made;
select leadstream.enable('Two'), leadstream.enable('Quiet');
create role regress_va_bi;
select leadstream.grant_access('regress_va_bi', 'report');
set leadstream.clock = '2026-03-01 12:00Z';
insert into contact values (1, 'a@x', 'A', 'X', 'new', 1), (2, 'b@x', 'B', 'Y', 'new', 1);
insert into visit values (1, '2026-03-01 10:00Z'), (1, '2026-03-01 11:00Z');
call leadstream.rescore('all');
create temporary table definitions as
select c.relname, pg_get_viewdef(c.oid) as definition, c.reloptions, c.relacl, obj_description(c.oid) as comment
from pg_class c where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v';

-- What is to be mended.
alter table contact alter email type varchar(320);
alter table contact alter id type bigint;
\set VERBOSITY default

-- Views of one's own are no business of ours.
create view mine as select * from leadstream.board;
select leadstream.drop_views();
drop view mine;

begin;
select leadstream.drop_views();
alter table contact alter email type varchar(320), alter category type char(5);
alter table contact rename name to full_name;
select leadstream.create_views();
commit;
select contact_id, email, name, company, category, streams from leadstream.board;
select count(*) from leadstream.board_at('2026-03-01 12:00Z');
set role regress_va_bi;
select count(*) from leadstream.board;
select max(points) from leadstream.scores;
reset role;
select role, access, missing from leadstream.access where role = 'regress_va_bi';
insert into visit values (2, '2026-03-01 10:00Z'), (2, '2026-03-01 11:00Z');
select contact_id, streams from leadstream.board order by 1;
-- The same views, but for how they call columns, and cast them.
select relname, d.definition = pg_get_viewdef(c.oid) as same from definitions d full join pg_class c using (relname)
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v'
  and (d.definition, d.reloptions, d.relacl, d.comment) is distinct from (pg_get_viewdef(c.oid), c.reloptions, c.relacl, obj_description(c.oid))
order by 1;

-- A wider key, of which all tables know.
begin;
select leadstream.drop_views();
alter table contact alter id type bigint;
alter table visit alter contact_id type bigint;
select leadstream.create_views();
commit;
select a.attrelid::regclass, a.atttypid::regtype from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'r' and a.attname = 'contact_id' order by c.relname;
select pg_typeof(contact_id), count(*) from leadstream.board group by 1;
insert into contact values (5000000000, 'c@x');
insert into visit select 5000000000, '2026-03-01 11:00Z' from generate_series(1, 2);
select contact_id, streams from leadstream.board order by 1;
select contact_id, points from leadstream.scores order by 1;
select * from leadstream.verify('Two');
select * from leadstream.verify_scores();
set leadstream.clock = '2026-06-15 12:00Z';
select leadstream.tick();
select contact_id, stream from leadstream.matches order by 1, 2;
delete from visit where contact_id in (1, 2);
update contact set id = 6000000000 where id = 2;
delete from contact where id = 1;
select contact_id from leadstream.lead order by 1;

-- What is gone is shown no more.
\set VERBOSITY terse
alter table contact drop column company cascade;
select leadstream.create_views();
select contact_id, email, company, name from leadstream.board order by 1;

reset leadstream.clock;
select leadstream.disable('Two'), leadstream.disable('Quiet');
select leadstream.drop_score_set('all');
select leadstream.revoke_access('regress_va_bi');
drop role regress_va_bi;
select leadstream.detach('visit');
select leadstream.detach('contact');
select leadstream.drop_views();
select leadstream.create_views();
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema va cascade;
