--
-- requalify_found: streams that are found under the lock of the contact, in one
-- statement with streams whose matches are on record and may count again.  A
-- contact that goes over to another account is looked at by all of its rows;
-- the stream that it has left says from when on it may match again.
--
\pset format unaligned
\pset footer off
set timezone = 'UTC';
set client_min_messages = warning;
create schema rf;
set search_path = rf;
create table contact (id integer primary key, customer text not null, trial_ends_on date);
create table visit (contact_id integer not null references contact, at timestamptz not null);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact', account => 'customer');
select leadstream.attach_activity('visit');

set leadstream.account = 'red';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_stream('Trial', 'trial_ends_on < now + 7 days', '{Sales}', requalify_after => '30 days') is not null as made;
select leadstream.enable('Trial');
set leadstream.account = 'blue';
select leadstream.create_team('Sales') is not null as made;
select count(leadstream.create_stream('Visits ' || n, ('count(visit) >= ' || n)::leadstream.rule, '{Sales}'))
from generate_series(1, 40) n;
select count(leadstream.enable(stream)) from leadstream.stream where account = 'blue';

set leadstream.clock = '2026-03-01 12:00Z';
insert into contact select n, 'red', '2026-03-02' from generate_series(1, 20) n;
insert into visit select c.id, '2026-03-01 11:00Z' from contact c, generate_series(1, 30);
select account, stream, count(*) from leadstream.matches group by 1, 2 order by 1, 2;

-- Each of them has thirty visits, so thirty of the forty match, and no other.
update contact set customer = 'blue';
select stream = 'Trial' as trial, count(distinct stream) as streams, count(*) as matches from leadstream.matches group by 1 order by 1;
select contact_id, count(*) from leadstream.matches where account = 'blue' group by 1 having count(*) <> 30 order by 1;

reset leadstream.clock;
select count(leadstream.disable(stream)) from leadstream.stream where account = 'blue';
set leadstream.account = 'red';
select leadstream.disable('Trial');
select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
reset leadstream.account;
drop schema rf cascade;
