--
-- sales_users: who works leads, in which teams, and what it takes to go
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
create table contact (id integer primary key, name text);
insert into contact select i, 'Contact ' || i from generate_series(1, 9) i;
select leadstream.attach_contacts('contact');
select leadstream.create_team('North') is not null as made;
select leadstream.create_team('South') is not null as made;

--
-- Users
--
create role regress_ls_ann;
select leadstream.create_sales_user('Ann', 'ann@example.com', 'regress_ls_ann') is not null as made;
select leadstream.create_sales_user('Bob') is not null as made;
select leadstream.create_sales_user('Bob');
select leadstream.create_sales_user(' ');
select leadstream.alter_sales_user('Bo', email => 'x');
select leadstream.alter_sales_user('Bob', new_name => 'Ann');
select leadstream.alter_sales_user('Bob', new_name => 'Bo', email => 'bo@example.com', role => 'regress_ls_ann');
select sales_user, email, role, is_active from leadstream.sales_user order by 1;
select leadstream.alter_sales_user('Bo', email => '', no_role => true);
select leadstream.alter_sales_user('Bo', role => 'regress_ls_ann', no_role => true);
select sales_user, email, role from leadstream.sales_user order by 1;

--
-- Members
--
select leadstream.add_member('North', 'Ann');
select leadstream.add_member('North', 'Ann', 5);
select leadstream.add_member('South', 'Ann');
select leadstream.add_member('North', 'Bo', 2);
select leadstream.add_member('East', 'Bo');
select leadstream.add_member('North', 'Cid');
select leadstream.add_member('South', 'Bo', -1);
select leadstream.alter_member('South', 'Bo', 3);
select leadstream.alter_member('North', 'Bo', 3);
select leadstream.pause_member('North', 'Bo');
select leadstream.pause_member('North', 'Bo');
create view pg_temp.members as
	select t.team, u.sales_user, m.is_paused, m.max_open
	from leadstream.team_member m join leadstream.team t using (team_id) join leadstream.sales_user u using (sales_user_id)
	order by 1, 2;
table pg_temp.members;
select leadstream.resume_member('North', 'Bo');
select leadstream.alter_member('North', 'Bo', null);
table pg_temp.members;

--
-- Assigned by hand: to active members of the lead's team.
--
select leadstream.create_lead(1, 'North') as lead \gset
select leadstream.create_lead(2, 'South') as south \gset
select leadstream.assign(:lead, 'Cid');
select leadstream.assign(:south, 'Bo');
select leadstream.assign(-1, 'Ann');
select leadstream.assign(:lead, 'Ann');
select leadstream.assign(:lead, 'Ann');
select leadstream.assign(:lead, 'Bo');
select leadstream.unassign(:lead);
select leadstream.unassign(:lead);
select leadstream.assign(:lead, 'Bo');

-- deactivated: he keeps what he has, and is given no more
select leadstream.deactivate_sales_user('Bo');
select leadstream.deactivate_sales_user('Bo');
select leadstream.create_lead(3, 'North') as other \gset
select leadstream.assign(:other, 'Bo');
select leadstream.assign(:lead, 'Bo');
select l.contact_id, u.sales_user from leadstream.lead l left join leadstream.sales_user u on u.sales_user_id = l.assignee_id order by 1;
select leadstream.activate_sales_user('Bo');
select leadstream.activate_sales_user('Bo');
select leadstream.assign(:other, 'Bo');

-- with open leads of a team nobody leaves it, and with any nobody goes
select leadstream.remove_member('North', 'Bo');
select leadstream.remove_member('South', 'Bo');
select leadstream.drop_sales_user('Bo');
select leadstream.move(:lead, 'Lost', 'no budget');
select leadstream.drop_sales_user('Bo');
select leadstream.assign(:other, 'Ann');
begin;
select leadstream.remove_member('North', 'Bo');
table pg_temp.members;
select count(*) from leadstream.lead l join leadstream.sales_user u on u.sales_user_id = l.assignee_id where u.sales_user = 'Bo';
rollback;
begin isolation level repeatable read;
select leadstream.drop_sales_user('Bo');
rollback;
begin isolation level serializable;
select leadstream.remove_member('North', 'Bo');
rollback;
set leadstream.clock = '2026-03-02 12:00Z';
select leadstream.drop_sales_user('Bo');
select leadstream.drop_sales_user('Bo');
table pg_temp.members;
select contact_id, stage, reason, assignee_id is null as is_nobodys from leadstream.lead where lead_id = :lead;
select contact_id, at, actor = session_user as by_me, what, old, new, note
from leadstream.lead_event where what <> 'created' order by event_id;

-- a team takes its memberships with it
select leadstream.delete_lead(:south);
select leadstream.drop_team('South');
table pg_temp.members;

--
-- Teams: other names, and not active.
--
select leadstream.create_team('South') is not null as made;
select leadstream.alter_team('North', new_name => 'South');
select leadstream.alter_team('North', new_name => '');
select leadstream.alter_team('North', new_name => 'Top', hands_out => true, notifies => true);
select leadstream.alter_team('North');
select leadstream.alter_team('Top', notifies => false);
select team, is_active, hands_out, notifies from leadstream.team order by 1;
select leadstream.deactivate_team('Top');
select leadstream.deactivate_team('Top');
select leadstream.create_lead(5, 'Top');
-- the lead that is there is returned
select leadstream.create_lead(1, 'Top') = :lead as is_it;
select leadstream.activate_team('Top');
select leadstream.activate_team('Top');
select leadstream.deactivate_team('East');

-- streams pass a team by that is not active, and history catches up
create table visit (contact_id integer references contact, at timestamptz);
create index on visit (contact_id, at);
select leadstream.attach_activity('visit');
select leadstream.alter_team('Top', hands_out => false);
select leadstream.create_stream('Visitors', 'exists(visit)', '{Top,South}') is not null as made;
select leadstream.enable('Visitors');
select leadstream.deactivate_team('South');
insert into visit values (6, '2026-03-01'), (7, '2026-03-01');
select contact_id, team, stream from leadstream.matches order by 1, 2;
-- in sight at once, whatever the isolation level
begin isolation level repeatable read;
select leadstream.activate_team('South');
select leadstream.deactivate_team('Top');
insert into visit values (8, '2026-03-01');
commit;
select contact_id, team, stream from leadstream.matches order by 1, 2;
select leadstream.activate_team('Top');
select leadstream.fetch_history('Visitors');
select contact_id, team, stream from leadstream.matches order by 1, 2;

--
-- Accounts: the same names, and nobody of another one.
--
select leadstream.disable('Visitors');
select leadstream.detach('visit');
set client_min_messages = warning;
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage,
	leadstream.sales_user, leadstream.team_member, leadstream.hand_out;
drop table visit;
alter table contact add account integer;
insert into contact values (21, 'One', 1), (22, 'Two', 2);
select leadstream.attach_contacts('contact', account => 'account');
set client_min_messages = notice;
select leadstream.create_sales_user('Ann');
set leadstream.account = '1';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_sales_user('Ann') is not null as made;
select leadstream.add_member('Sales', 'Ann');
select leadstream.create_lead(21, 'Sales') as lead \gset
set leadstream.account = '2';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_sales_user('Ann') is not null as made;
select leadstream.create_sales_user('Eve') is not null as made;
select leadstream.remove_member('Sales', 'Ann');
select leadstream.add_member('Sales', 'Ann');
select leadstream.assign(:lead, 'Ann');
select leadstream.unassign(:lead);
set leadstream.account = '1';
select leadstream.assign(:lead, 'Eve');
select leadstream.assign(:lead, 'Ann');
select u.account, u.sales_user from leadstream.lead l join leadstream.sales_user u on u.sales_user_id = l.assignee_id;
reset leadstream.account;
select leadstream.assign(:lead, 'Ann');

set client_min_messages = warning;
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.team, leadstream.stage, leadstream.sales_user, leadstream.team_member;
drop schema shop cascade;
drop role regress_ls_ann;
reset search_path;
reset leadstream.clock;
reset timezone;
reset datestyle;
reset client_min_messages;
