-- Scores that are judged anew, whoever begins and whoever goes on with it.
set client_min_messages = error;
create schema score_walk;
set search_path = score_walk, public;
create table contact (day date primary key);
create table visit (id integer generated always as identity primary key, who date references contact on delete cascade, at timestamptz not null);
create index on visit (who, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', contact_key => 'who', occurred_at => 'at');
insert into contact values ('2026-01-02'), ('2026-01-03'), ('2026-02-01'), ('2026-03-01');
insert into visit (who, at) select day, '2026-01-01 00:00Z' from contact;
select leadstream.create_score_set('s') as score_set \gset
select leadstream.create_score_rule('s', 'came', 'exists(visit)', 10) > 0 as created, leadstream.create_score_rule('s', 'seldom', 'count(visit) < 3', 100) > 0 as created;

-- sessions that read dates in different ways walk one after the other
select leadstream._begin_rescore('s') = :score_set as begun;
set datestyle = 'SQL, DMY';
select leadstream._walk_scores(:score_set, 1) as is_more;
set datestyle = 'SQL, MDY';
select leadstream._walk_scores(:score_set, 1) as is_more;
set datestyle = 'German';
select leadstream._walk_scores(:score_set, 5) as is_more;
reset datestyle;
select count(*) as contacts, min(points), max(points), bool_and(is_current) as are_current from leadstream.scores;
select is_current from leadstream.score_sets;
select count(*) as differences from leadstream.verify_scores();

-- Contacts are merged whose visits are moved past capture: both are judged anew.
insert into visit (who, at) select '2026-01-02', '2026-01-01 00:00Z' from generate_series(1, 3);
select points from leadstream.scores where contact_id = '2026-01-02' or contact_id = '2026-02-01' order by 1;
set leadstream.capture = off;
update visit set who = '2026-02-01' where who = '2026-01-02';
reset leadstream.capture;
select leadstream.merge_contacts('2026-01-02', '2026-02-01') as leads;
select count(*) as waiting from leadstream.scores where not is_current;
select leadstream.tick() as leads;
select contact_id, points, is_current from leadstream.scores where contact_id in ('2026-01-02', '2026-02-01') order by 1;
select count(*) as differences from leadstream.verify_scores();

-- The owner of the contacts takes his own right to read them away: who calls is told whose is missing.
create role regress_walk_owner;
grant usage, create on schema score_walk to regress_walk_owner;
alter table contact owner to regress_walk_owner;
revoke select on contact from regress_walk_owner;
select leadstream._begin_rescore('s') = :score_set as begun;
\set SHOW_CONTEXT never
select leadstream.tick() as leads;
\set SHOW_CONTEXT errors
-- the key is enough
grant select (day) on contact to regress_walk_owner;
select leadstream.tick() as leads;
select count(*) as waiting from leadstream.scores where not is_current;
alter table contact owner to current_user;
drop owned by regress_walk_owner;
drop role regress_walk_owner;

select leadstream.drop_score_set('s');
select leadstream.tick() as leads;
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.stage;
drop schema score_walk cascade;
