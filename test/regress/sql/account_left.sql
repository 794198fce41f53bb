--
-- account_left: what time has made of a contact that no tick has seen yet is
-- settled before the contact goes over to another account, as before any other
-- change of it
--
\pset format unaligned
\pset footer off
set timezone = 'UTC';
set client_min_messages = warning;
create schema al;
set search_path = al;
create table contact (id integer primary key, customer text, country text);
create table mail (contact_id integer references contact on update cascade, at timestamptz);
create index on mail (contact_id, at);
select leadstream.attach_contacts('contact', account => 'customer');
select leadstream.attach_activity('mail');
set leadstream.account = 'red';
select leadstream.create_team('Sales') is not null as made;
select leadstream.create_stream('Quiet', 'country = ''SE'' and exists(mail) and not exists(mail within 7 days)', '{Sales}') is not null as made;
set leadstream.clock = '2026-01-01 00:00Z';
select leadstream.enable('Quiet');
select leadstream.tick();
insert into contact select n, 'red', 'SE' from generate_series(1, 6) n;
insert into mail select n, '2026-01-01 00:00Z' from generate_series(1, 6) n;

-- one leaves before that time, and two when it has come, one by another key
set leadstream.clock = '2026-01-07 00:00Z';
update contact set customer = 'blue' where id = 1;
set leadstream.clock = '2026-01-09 00:00Z';
update contact set customer = 'blue' where id = 2;
update contact set id = 30, customer = 'blue' where id = 3;
update contact set country = 'NO' where id = 4;
-- this very instant is the other account's
update mail set at = '2026-01-02 00:00Z' where contact_id = 5;
update contact set customer = 'blue' where id = 5;
select leadstream.tick();
select contact_id, matched_at, origin, account from leadstream.matches order by 1;
-- and nothing of those who have left waits, once it was looked at
set leadstream.clock = '2026-02-01 00:00Z';
select leadstream.tick();
select count(*) from leadstream.due;

reset leadstream.clock;
select leadstream.disable('Quiet');
select leadstream.detach('mail');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
reset leadstream.account;
drop schema al cascade;
