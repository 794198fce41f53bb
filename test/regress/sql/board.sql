--
-- board: teams, stages, the views over leads, and accounts
--
\pset format unaligned
\pset footer off
set client_min_messages = notice;
create schema shop;
set search_path = shop;

create table contact (
	id uuid primary key, email text, name text, company_name text, category integer, tenant integer);
create table visit (contact_id uuid references contact, at timestamptz, url text);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select email_column, name_column, company_column, category_column from leadstream.contact_source;
insert into contact values
	('00000000-0000-0000-0000-000000000001', 'a@example.com', 'Anna', 'Acme', 7, 1),
	('00000000-0000-0000-0000-000000000002', null, null, null, null, 2);

--
-- Teams.
--
select leadstream.create_team('North') is not null as made;
select leadstream.create_team('Team ''Süd'' "1"') is not null as made;
select leadstream.create_team('Third') is not null as made;
select leadstream.drop_team('Third');
select team, account from leadstream.team order by team;

--
-- Leads by hand and by stream, on the board.
--
select leadstream.create_stream('Visitors', 'exists(visit)', array['North', 'Team ''Süd'' "1"']) is not null as made;
select leadstream.create_stream('Buyers', 'exists(visit where url = ''/buy'')', '{North}') is not null as made;
select leadstream.enable('Visitors');
select leadstream.enable('Buyers');
insert into visit values ('00000000-0000-0000-0000-000000000001', '2024-01-01', '/buy');
select leadstream.create_lead('00000000-0000-0000-0000-000000000002'::uuid, 'North') is not null as made;
select contact_id, email, name, company, category, team, stage, stage_order, streams, account
	from leadstream.board order by contact_id, team;
select contact_id, team, stage, is_closed, is_manual, account from leadstream.leads order by contact_id, team;
select stream, contact_id, team, origin, rule_version, account from leadstream.matches
	order by stream, contact_id, team;

--
-- Moved: from stage to stage, off the board and back.
--
create function pg_temp.lead(contact text, team text) returns bigint language sql as $$
	select lead_id from leadstream.leads l
	where l.contact_id like '%' || contact and l.team = $2
$$;
select leadstream.move(pg_temp.lead('1', 'North'), 'SQL', 'called, it''s warm');
select leadstream.move(pg_temp.lead('1', 'North'), 'SQL');
select leadstream.move(pg_temp.lead('1', 'North'), 'Won');
select leadstream.move(pg_temp.lead('2', 'North'), 'Lost', 'no answer');
select contact_id, team, stage from leadstream.board order by contact_id, team;
select contact_id, team, stage, is_closed, stage_changed_at >= created_at as is_later
	from leadstream.leads order by contact_id, team;
select leadstream.move(pg_temp.lead('2', 'North'), 'Opportunity');
select contact_id, team, stage, stage_order from leadstream.board order by contact_id, team;
select contact_id, what, old, new, note, actor = current_user as by_me, at is not null as is_timed
	from leadstream.lead_event where what = 'stage' order by event_id;

--
-- Stages of one's own.
--
insert into leadstream.stage (stage, position, is_closed) values ('Parked', 6, true), ('Demo', 2, false);
select leadstream.move(pg_temp.lead('2', 'North'), 'Demo');
select leadstream.move(pg_temp.lead('1', 'Team ''Süd'' "1"'), 'Parked');
select contact_id, team, stage, stage_order from leadstream.board order by contact_id, team;
-- a stage taken away counts as open
delete from leadstream.stage where stage = 'Parked';
select contact_id, team, stage, stage_order from leadstream.board order by contact_id, team;

--
-- Deleted by hand: noted. Erased with the contact: gone without a trace.
--
delete from leadstream.lead where lead_id = pg_temp.lead('1', 'Team ''Süd'' "1"');
select contact_id, what, old, actor = session_user as by_me
	from leadstream.lead_event where what = 'deleted';
create role regress_leadstream_sales;
select leadstream.grant_access('regress_leadstream_sales', 'report');
grant delete on leadstream.lead to regress_leadstream_sales;
set role regress_leadstream_sales;
delete from leadstream.lead where stage = 'Demo';
reset role;
select contact_id, what, old, actor from leadstream.lead_event where what = 'deleted' order by event_id;
-- history leaves it deleted, a new row brings it back
select leadstream.fetch_history('Visitors');
insert into visit values ('00000000-0000-0000-0000-000000000001', '2024-01-02', '/');
select contact_id, team, streams from leadstream.board order by contact_id, team;
delete from contact where id = '00000000-0000-0000-0000-000000000002';
update contact set id = '00000000-0000-0000-0000-000000000003' where false;
select contact_id, count(*) from leadstream.lead_event group by 1;
delete from visit;
delete from contact;
select count(*) from leadstream.lead;
select count(*) from leadstream.lead_match;
select count(*) from leadstream.lead_event;
revoke all on leadstream.lead from regress_leadstream_sales;
drop owned by regress_leadstream_sales;
drop role regress_leadstream_sales;

--
-- A contact with another key is the same contact.
--
insert into contact values ('00000000-0000-0000-0000-000000000001', 'a@example.com', 'Anna', 'Acme', 7, 1);
select leadstream.create_lead('00000000-0000-0000-0000-000000000001'::uuid, 'North') is not null as made;
update contact set id = '00000000-0000-0000-0000-00000000000a';
select contact_id, name, team from leadstream.board;
select contact_id, what from leadstream.lead_event;
delete from contact;

--
-- Accounts: the same names again and again, none sees the others.
--
select leadstream.disable('Visitors');
select leadstream.disable('Buyers');
select leadstream.drop_stream('Visitors');
select leadstream.drop_stream('Buyers');
select leadstream.drop_team('North');
select leadstream.drop_team('Team ''Süd'' "1"');
select leadstream.detach('visit');
select leadstream.detach('contact');
select leadstream.attach_contacts('contact', account => 'tenant');
select leadstream.attach_activity('visit');
select leadstream.current_account();
set leadstream.account = '1';
select leadstream.current_account();
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_stream('Visitors', 'exists(visit)', '{Sales}') is not null as made;
select leadstream.enable('Visitors');
set leadstream.account = '2';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_stream('Visitors', 'exists(visit where url = ''/two'')', '{Sales}') is not null as made;
select leadstream.enable('Visitors');
insert into leadstream.stage values ('2', 'New', 1, false), ('2', 'SQL', 2, true);
reset leadstream.account;
insert into contact (id, name, tenant) values
	('00000000-0000-0000-0000-000000000001', 'Anna', 1),
	('00000000-0000-0000-0000-000000000002', 'Bo', 2),
	('00000000-0000-0000-0000-000000000003', 'Nobody''s', null);
insert into visit values
	('00000000-0000-0000-0000-000000000001', '2024-01-01', '/two'),
	('00000000-0000-0000-0000-000000000002', '2024-01-01', '/two'),
	('00000000-0000-0000-0000-000000000003', '2024-01-01', '/two');
select contact_id, team, stage, streams, account from leadstream.board order by contact_id;
select stream, rule, teams, account from leadstream.streams order by account;
select contact_id, account from leadstream.matches order by account;
-- an account with stages of its own has those
set leadstream.account = '2';
select leadstream.move(pg_temp.lead('2', 'Sales'), 'SQL');
select contact_id, team, stage, account from leadstream.board order by contact_id;
set leadstream.account = '1';
select leadstream.move(pg_temp.lead('1', 'Sales'), 'SQL');
select contact_id, team, stage, stage_order, account from leadstream.board order by contact_id;
select leadstream.disable('Visitors');
select stream, is_enabled, account from leadstream.streams order by account;
reset leadstream.account;

update leadstream.stream set is_enabled = false;
set client_min_messages = warning;
select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema shop cascade;
