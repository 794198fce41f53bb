--
-- stages: the boards' columns, added, renamed, put in order and taken away
--
\pset format unaligned
\pset footer off
\set SHOW_CONTEXT never
set client_min_messages = notice;
set timezone = 'UTC';
set datestyle = iso;
set leadstream.clock = '2026-03-01 12:00Z';
create schema shop;
set search_path = shop;
create table contact (id integer primary key, name text, account text);
insert into contact select i, 'Contact ' || i from generate_series(1, 9) i;
select leadstream.attach_contacts('contact');
select leadstream.create_team('North') is not null as made;
create view pg_temp.stages as
	select account, position, stage, is_closed from leadstream.stage order by 1, 2, 3;
table pg_temp.stages;

--
-- Added: behind those of their sort, or where one says.
--
select leadstream.create_stage('Demo');
select leadstream.create_stage('Parked', is_closed => true);
select leadstream.create_stage('Raw', place => 1);
select leadstream.create_stage('Call', place => 3);
select leadstream.create_stage('Last', place => 99);
table pg_temp.stages;
select leadstream.create_stage('Demo');
select leadstream.create_stage('');
select leadstream.create_stage('Zero', place => 0);
select leadstream.create_stage('Closed', place => 1, is_closed => true);
select leadstream.create_stage('Null', is_closed => null);

--
-- Leads begin in the first, which must be open.
--
select leadstream.create_lead(1, 'North') as lead \gset
select leadstream.create_lead(2, 'North') as other \gset
select stage from leadstream.lead;
select leadstream.alter_stage('Raw', is_closed => true);
select leadstream.alter_stage('Won', place => 1);
select leadstream.alter_stage('MQL', place => 1);
select leadstream.create_lead(3, 'North') is not null as made;
select contact_id, stage from leadstream.lead order by 1;
select leadstream.alter_stage('Demo', place => 3, is_closed => true);
table pg_temp.stages;
select leadstream.alter_stage('Demo', is_closed => false);

--
-- Renamed: its leads go along, since when they are in it stays.
--
set leadstream.clock = '2026-03-02 12:00Z';
select leadstream.move(:lead, 'Demo', 'wants to see it');
set leadstream.clock = '2026-03-03 12:00Z';
select leadstream.alter_stage('Demo', new_name => 'MQL');
select leadstream.alter_stage('Demo', new_name => ' ');
select leadstream.alter_stage('Demonstration');
select leadstream.alter_stage('Demo', new_name => 'Presentation', place => 4);
select leadstream.alter_stage('Raw', new_name => 'Raw');
-- the first one, too
select leadstream.alter_stage('MQL', new_name => 'New');
select contact_id, stage, reason, created_at, stage_changed_at from leadstream.lead order by 1;
select leadstream.create_lead(4, 'North') is not null as made;
select contact_id, at, what, old, new, note from leadstream.lead_event order by event_id;
begin isolation level repeatable read;
select leadstream.alter_stage('Raw', new_name => 'Cooked');
rollback;

--
-- Taken away: where no leads stand, and never the first.
--
select leadstream.drop_stage('Presentation');
select leadstream.drop_stage('New');
select leadstream.drop_stage('Old');
select leadstream.drop_stage('Raw');
select leadstream.move(:other, 'Call');
select leadstream.drop_stage('Raw');
select leadstream.drop_stage('Last');
begin isolation level serializable;
select leadstream.drop_stage('Parked');
rollback;
begin;
select leadstream.alter_stage('Call', place => 1);
select leadstream.drop_stage('Opportunity');
select mode from pg_locks where relation = 'leadstream.lead'::regclass and mode like 'Share%Exclusive%';
rollback;
table pg_temp.stages;
-- what happened in stages that are gone can still be read
select contact_id, what, old, new from leadstream.lead_event where contact_id = 2 order by event_id;

--
-- Moved to one that is closed, and on: the reason is that of the stage.
--
select leadstream.move(:lead, 'Lost', 'no budget');
select stage, reason from leadstream.lead where lead_id = :lead;
select count(*) from leadstream.board where lead_id = :lead;
select leadstream.move(:lead, 'Call');
select stage, reason from leadstream.lead where lead_id = :lead;
select leadstream.move(:lead, 'Raw');

--
-- Accounts: one has the common stages until it changes something.
--
delete from contact;
set client_min_messages = warning;
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.team, leadstream.stage;
insert into contact values (1, 'One', 'a'), (2, 'Two', 'b');
select leadstream.attach_contacts('contact', account => 'account');
set client_min_messages = notice;
select leadstream.create_stage('x');
set leadstream.account = 'a';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_lead(1, 'Sales') as lead \gset
set leadstream.account = 'b';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_lead(2, 'Sales') as other \gset
select leadstream.alter_stage('MQL', new_name => 'Fresh');
select leadstream.drop_stage('Opportunity');
table pg_temp.stages;
select account, contact_id, stage from leadstream.leads order by 1;
select leadstream.move(:other, 'Opportunity');
set leadstream.account = 'a';
select leadstream.move(:lead, 'Opportunity');
select leadstream.move(:lead, 'Fresh');
select leadstream.drop_stage('Opportunity');
select account, count(*) from leadstream.stage group by 1 order by 1;

-- a version of a stage, in a transaction with a snapshot: what is there, what is not, and what is none of his business
begin isolation level repeatable read;
select leadstream._need_current('leadstream.stage', ctid) from leadstream.stage limit 1;
select leadstream._need_current('pg_authid', '(0,999)');
rollback;
begin isolation level repeatable read;
select leadstream._need_current('leadstream.stage', '(0,0)');
rollback;
begin isolation level repeatable read;
select leadstream._need_current('leadstream.stage', '(999999,1)');
rollback;
set client_min_messages = warning;
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.team, leadstream.stage;
drop schema shop cascade;
reset search_path;
reset leadstream.clock;
reset timezone;
reset datestyle;
reset client_min_messages;
reset leadstream.account;
