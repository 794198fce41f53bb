--
-- first_to_won: from the first visit to the deal, through two teams, and what
-- lead_event tells of it afterwards
--
-- Ada visits, asks for a demo, and is won.  Bo is lost, with a reason.  Cy turns
-- out to be Ada's other address.  Di was spam.
--
\pset format unaligned
\pset footer off
\set SHOW_CONTEXT never
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = iso;
create schema firm;
set search_path = firm;
truncate leadstream.team, leadstream.sales_user, leadstream.stream restart identity;
create table contact (id integer primary key, name text, email text);
create table visit (visit_id integer generated always as identity primary key,
	contact_id integer not null references contact on delete cascade, at timestamptz not null, url text not null);
create index on visit (contact_id, at);
create table form (form_id integer generated always as identity primary key,
	contact_id integer not null references contact on delete cascade, at timestamptz not null, form text not null);
create index on form (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.attach_activity('form');

-- Two teams: one finds out who is serious, in turn; the other closes.
set leadstream.clock = '2026-03-01 09:00Z';
select leadstream.create_team(t) is not null as made from unnest('{Qualify,Close}'::text[]) t;
select leadstream.create_sales_user(u) is not null as made from unnest('{Ann,Bob,Eva}'::text[]) u;
select leadstream.add_member('Qualify', 'Ann'), leadstream.add_member('Qualify', 'Bob'), leadstream.add_member('Close', 'Eva');
select leadstream.alter_team('Qualify', hands_out => true);
select leadstream.create_stage('Demo', place => 3), leadstream.create_stage('Handed over', is_closed => true);
select leadstream.create_stream('Interested', $$ count(visit where url like '/pricing%' within 7 days) >= 2 $$, '{Qualify}') is not null as made;
select leadstream.create_stream('Wants a demo', $$ exists(form where form = 'demo') $$, '{Close}') is not null as made;
select leadstream.enable(s) from unnest('{Interested,Wants a demo}'::text[]) s;
insert into contact values (1, 'Ada', 'ada@example.com'), (2, 'Bo', 'bo@example.com'), (3, 'Cy', 'ada@gmail.example'), (4, 'Di', 'x@example.com');

-- the first visit makes nobody a lead, the second does
set leadstream.clock = '2026-03-02 10:00Z';
insert into visit (contact_id, at, url) values (1, '2026-03-02 10:00Z', '/pricing');
select count(*) from leadstream.lead;
set leadstream.clock = '2026-03-03 10:00Z';
insert into visit (contact_id, at, url) values (1, '2026-03-03 10:00Z', '/pricing/team');
set leadstream.clock = '2026-03-03 11:00Z';
insert into visit (contact_id, at, url)
	select c, '2026-03-03 11:00Z', u from unnest('{2,3,4}'::integer[]) c, unnest('{/pricing,/pricing/team}'::text[]) u order by c, u;
create view firm.now as
	select l.lead_id, l.contact_id, t.team, l.stage, l.reason, u.sales_user, l.is_hidden
	from leadstream.lead l join leadstream.team t using (team_id) left join leadstream.sales_user u on u.sales_user_id = l.assignee_id
	order by t.team_id, l.contact_id;
table now;

-- worked by the first team
create function firm.lead(integer, text) returns bigint language sql as 'select n.lead_id from firm.now n where n.contact_id = $1 and n.team = $2';
set leadstream.clock = '2026-03-04 09:00Z';
select leadstream.move(firm.lead(1, 'Qualify'), 'SQL', 'called, is the buyer');
select leadstream.add_note(firm.lead(1, 'Qualify'), 'ten seats');
select leadstream.delete_lead(firm.lead(4, 'Qualify'), 'spam');
select leadstream.hide(firm.lead(2, 'Qualify'), 'on holiday');
set leadstream.clock = '2026-03-05 09:00Z';
insert into form (contact_id, at, form) values (1, '2026-03-05 09:00Z', 'demo');
select leadstream.move(firm.lead(1, 'Qualify'), 'Handed over');
select leadstream.assign(firm.lead(1, 'Close'), 'Eva');
select leadstream.unhide(firm.lead(2, 'Qualify'));
select leadstream.move(firm.lead(2, 'Qualify'), 'Lost', 'no budget');
-- and by the second
set leadstream.clock = '2026-03-09 09:00Z';
select leadstream.move(firm.lead(1, 'Close'), 'Demo');
select leadstream.merge_contacts(3, 1);
delete from contact where id = 3;
set leadstream.clock = '2026-03-16 09:00Z';
select leadstream.move(firm.lead(1, 'Close'), 'Opportunity');
set leadstream.clock = '2026-03-30 09:00Z';
select leadstream.move(firm.lead(1, 'Close'), 'Won', 'signed');
-- what is renamed, cleared, dropped and taken away afterwards changes nothing of that
set leadstream.clock = '2026-04-01 09:00Z';
select leadstream.alter_stage('Opportunity', new_name => 'Offer');
select leadstream.drop_stage('Demo');
select leadstream.alter_team('Close', new_name => 'Deals');
select leadstream.disable('Interested');
create temporary table before as select * from leadstream.lead_event;
select leadstream.clear('Interested');
select leadstream.drop_stream('Interested');
select leadstream.deactivate_sales_user('Ann'), leadstream.drop_sales_user('Bob');
select leadstream.disable('Wants a demo');
select count(*) from before b where not exists (select from leadstream.lead_event e where e = b);
table now;

select contact_id, at::date, team_id, what, old, new, note from leadstream.lead_event order by event_id;

--
-- The funnel from the events alone.
--
create view firm.step as
	select lead_id, team_id, contact_id, event_id, at, old, new,
		lag(new) over w as came_from, lead(at) over w as left_at
	from leadstream.lead_event
	where what in ('created', 'stage', 'reopened')
	window w as (partition by lead_id order by event_id);
-- nobody leaves a stage that he was not in
select * from step where old is distinct from came_from;
-- what stands on the boards is where the last step led
select l.lead_id from leadstream.lead l
where stage is distinct from (select s.new from step s where s.lead_id = l.lead_id order by event_id desc limit 1);
select lead_id from leadstream.lead_event group by 1
having bool_or(what in ('deleted', 'cleared')) = (lead_id in (select lead_id from leadstream.lead));
-- how many leads got how far, in the names of then, and for how long they stayed
select team_id, new as stage, count(distinct lead_id) as leads, avg(left_at - at) as stay
from step group by 1, 2 order by 1, 2;
-- who has worked what
select lead_id, string_agg(coalesce(new, 'nobody'), ' > ' order by event_id) from leadstream.lead_event where what = 'assigned' group by 1 order by 1;
-- from the first visit to the deal
select min(v.at)::date as first_visit, (select e.at::date from leadstream.lead_event e where e.contact_id = 1 and e.new = 'Won') as won
from visit v where v.contact_id = 1;

select leadstream.detach('visit');
select leadstream.detach('form');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage,
	leadstream.sales_user, leadstream.team_member, leadstream.hand_out;
drop schema firm cascade;
reset search_path;
reset leadstream.clock;
reset timezone;
reset datestyle;
reset client_min_messages;
