-- scores_kept.sql: the scores of contacts that are kept, by rows, changes and time
--
\set VERBOSITY default
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema scores_kept;
set search_path = scores_kept;

create table contact (id bigint primary key, first_name text, last_name text, title text, company text,
	country text, phone text);
create table form_submit (id bigint generated always as identity primary key,
	contact_id bigint not null references contact on delete cascade on update cascade, at timestamptz not null, form text);
create table page_visit (id bigint generated always as identity primary key,
	contact_id bigint not null references contact on delete cascade on update cascade, at timestamptz not null, url text);
create table mail (id bigint generated always as identity primary key,
	contact_id bigint not null references contact on delete cascade on update cascade, at timestamptz not null, what text);
create index on form_submit (contact_id, at);
create index on page_visit (contact_id, at);
create index on mail (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('form_submit', occurred_at => 'at');
select leadstream.attach_activity('page_visit', occurred_at => 'at', events => '{insert,update,delete}');
select leadstream.attach_activity('mail', kind => k, occurred_at => 'at', only_rule => format('what = %L', k)::leadstream.rule)
from unnest('{sms_click,mail_click,landing_click}'::text[]) k;
set leadstream.clock = '2024-05-01 12:00+00';
insert into contact (id) values (1);

-- The default rules of such a product.
select leadstream.create_score_set('default') > 0 as made;
select count(leadstream.create_score_rule('default', r.name, r.rule::leadstream.rule, r.points)) as rules
from (values
	('SMS click', 'exists(sms_click within 90 days)', 5),
	('mail click', 'exists(mail_click within 90 days)', 5),
	('landing page click', 'exists(landing_click within 90 days)', 5),
	('any form', 'exists(form_submit within 90 days)', 15),
	('landing page visit', 'exists(page_visit where url like ''/landing/%'' within 90 days)', 5),
	('any web page', 'exists(page_visit within 90 days)', 10),
	('first name', 'first_name is not empty', 2),
	('last name', 'last_name is not empty', 2),
	('job title', 'title is not empty', 2),
	('company', 'company is not empty', 2),
	('country', 'country is not empty', 2),
	('phone', 'phone is not empty', 2)) as r(name, rule, points);

-- A line as it is kept: points, and the instant up to which they stay.
create view kept as
select s.contact_id as contact, s.score_set, s.points, s.total, s.as_of, s.is_current, k.next_at
from leadstream.scores s
join leadstream.score_set c on c.score_set = s.score_set
join leadstream.score k on k.contact_id = s.contact_id and k.score_set_id = c.score_set_id
order by 1, 2;

-- What has come before is found by a tick; what comes since, at once.
table kept;
select leadstream.tick();
table kept;
insert into contact (id, first_name, country) values (2, 'Eva', 'SE');
update contact set first_name = 'Ada', company = 'Acme' where id = 1;
insert into form_submit (contact_id, at) values (2, '2024-05-01 10:00:00.000001+00');
insert into page_visit (contact_id, at, url) values
	(1, '2024-04-01 00:00+00', '/landing/a'), (1, '2024-05-01 11:00+00', '/x'), (2, '2024-01-01 00:00+00', '/x');
insert into mail (contact_id, at, what) values (1, '2024-04-30 00:00+00', 'sms_click'), (1, '2024-04-30 00:00+00', 'other');
table kept;
-- two more that pay already: nothing is written
create temporary table before as select contact_id, ctid as place from leadstream.score;
insert into page_visit (contact_id, at, url) values (1, '2024-05-01 11:30+00', '/x'), (1, '2024-05-01 11:40+00', '/landing/b');
insert into mail (contact_id, at, what) values (1, '2024-05-01 11:30+00', 'sms_click');
select s.contact_id, s.ctid = b.place as is_untouched from leadstream.score s join before b using (contact_id) order by 1;
-- in the future: it counts when its time comes
insert into mail (contact_id, at, what) values (2, '2024-05-03 00:00+00', 'mail_click');
table kept;
select * from leadstream.verify_scores();

--
-- Time: to the microsecond.
--
create procedure at(moment timestamptz) language plpgsql as $$
begin
	perform set_config('leadstream.clock', moment::text, false);
	perform leadstream.tick();
end
$$;
call at('2024-05-02 23:59:59.999999+00');
select contact, points, next_at from kept;
call at('2024-05-03 00:00:00+00');
select contact, points, next_at from kept;
-- the instant was a lower bound: what has come since puts it off
call at('2024-06-30 00:00+00');
select contact, points, next_at from kept;
call at('2024-07-30 10:00:00+00');
select contact, points, next_at from kept;
call at('2024-07-30 10:00:00.000001+00');
select contact, points, next_at from kept;
-- before the tick the view says as of when
set leadstream.clock = '2024-08-15 00:00+00';
select contact, points, as_of from kept;
select * from leadstream.verify_scores();
call at('2024-08-15 00:00+00');
select contact, points, as_of, next_at from kept;
-- a row settles what is overdue of its contact
set leadstream.clock = '2024-09-01 00:00+00';
insert into form_submit (contact_id, at) values (1, '2024-08-31 00:00+00');
select contact, points, as_of, next_at from kept;

select * from leadstream.score_history(1, since => '2024-03-31', until => '2024-12-31');
select * from leadstream.score_history(2, 'default', since => '2024-05-01 12:00', until => '2024-07-30 10:00:00.000001');
select * from leadstream.score_history('1', since => 'infinity');
select * from leadstream.score_history('1', since => '2024-09-01 00:00:00.000001+00');
select * from leadstream.score_history('1', since => '2024-09-01 00:00+00');

--
-- What changes of contacts and rows, both ways.
--
call at('2024-09-01 00:00+00');
insert into page_visit (contact_id, at, url) values (1, '2024-08-30 00:00+00', '/landing/c');
select points from kept where contact = 1;
update page_visit set url = '/x' where url = '/landing/c';
select points from kept where contact = 1;
update page_visit set contact_id = 2 where at = '2024-08-30 00:00+00';
select contact, points from kept;
delete from page_visit where contact_id = 2;
update contact set country = null where id = 2;
select contact, points from kept;
update contact set id = 3 where id = 1;
update contact set title = 'CEO' where id = 3;
select contact, points from kept;
begin;
update contact set title = '' where id = 3;
savepoint s;
delete from contact where id = 2;
rollback to s;
select contact, points from kept;
rollback;
delete from contact where id = 2;
select contact, points from kept;
select * from leadstream.verify_scores();

--
-- Sets and rules that change.
--
select leadstream.create_score_set('other') > 0 as made;
select leadstream.create_segment('fresh', 'exists(form_submit within 3 days)') > 0 as made;
select leadstream.create_score_rule('other', 'fresh', 'segment(''fresh'')', 100) > 0 as made;
select leadstream.create_score_rule('other', 'no visit', 'not exists(page_visit within 10 days)', -30) > 0 as made;
select contact, score_set, points, total, is_current from kept;
call at('2024-09-01 00:00+00');
table kept;
select leadstream.alter_segment('fresh', 'exists(form_submit within 5 days)');
select contact, score_set, points, is_current from kept;
-- a row finds it out for its contact
insert into form_submit (contact_id, at) values (3, '2024-08-31 12:00+00');
table kept;
call at('2024-09-05 11:59:59.999999+00');
table kept;
call at('2024-09-05 12:00+00');
table kept;
select leadstream.alter_score_rule('other', 'no visit', points => -31);
insert into contact (id) values (4);
table kept;
call at('2024-09-05 12:00+00');
table kept;
select leadstream.disable_score_rule('other', 'no visit');
select leadstream.alter_score_rule('other', 'fresh', description => 'of late');
call at('2024-09-05 12:00+00');
table kept;
select leadstream.disable_score_set('default');
insert into form_submit (contact_id, at) values (4, '2024-09-05 12:00+00');
table kept;
select leadstream.enable_score_set('default');
call at('2024-09-05 12:00+00');
table kept;
select leadstream.drop_score_rule('other', 'fresh');
call at('2024-09-05 12:00+00');
table kept;
select leadstream.drop_score_set('other');
call at('2024-09-05 12:00+00');
select count(distinct score_set_id) as sets from leadstream.score;

-- what capture has not seen, rescore() does
set leadstream.capture = off;
insert into mail (contact_id, at, what) values (4, '2024-09-05 00:00+00', 'landing_click');
reset leadstream.capture;
truncate form_submit;
select * from leadstream.verify_scores();
call leadstream.rescore('default', 1);
select * from leadstream.verify_scores();
table kept;
call leadstream.rescore('default', 0);
call leadstream.rescore('none');

--
-- A rule that does not bind any more pays nothing, and stops nobody.
--
alter table contact drop column title;
insert into page_visit (contact_id, at, url) values (3, '2024-09-05 12:00+00', '/x');
call at('2024-09-05 12:00+00');
table kept;
select score_rule, problem from leadstream.score_rules where problem is not null;
-- whoever shows what scores are made of leaves it out, and says so
set client_min_messages = notice;
select contact_id, points from leadstream.list_scores('default') order by contact_id;
set client_min_messages = warning;
select score_rule, points from leadstream.explain_score(3) where is_true order by 1;
select points from leadstream.score_history(3, 'default', until => '2024-09-05 12:00+00') order by at desc limit 1;
select * from leadstream.verify_scores();
alter table contact add column title text default 'CEO';
call at('2024-09-05 12:00+00');
table kept;
select leadstream.drop_score_rule('default', 'job title');
-- another name of a column is none of this
call at('2024-09-05 12:00+00');
alter table contact rename column phone to telephone;
update contact set telephone = '1' where id = 3;
table kept;
select * from leadstream.verify_scores();

--
-- Many rules that ask for something of the contact: it is found by what it is,
-- and by what it was.
--
select leadstream.create_score_set('many') > 0 as made;
select count(leadstream.create_score_rule('many', 'c' || i, format('country = %L', 'C' || i)::leadstream.rule, i)) as rules
from generate_series(1, 40) i;
call leadstream.rescore('many');
update contact set country = 'C7' where id = 4;
select contact, score_set, points from kept where score_set = 'many';
update contact set country = 'C30' where id in (3, 4);
select contact, score_set, points from kept where score_set = 'many';
update contact set country = null;
select contact, score_set, points from kept where score_set = 'many';
select leadstream.drop_score_set('many');
call at('2024-09-05 12:00+00');

--
-- Kinds that come and go, contacts that are merged, and accounts.
--
select leadstream.detach('form_submit');
call at('2024-09-05 12:00+00');
select score_rule, problem from leadstream.score_rules where problem is not null;
insert into form_submit (contact_id, at) values (3, '2024-09-05 10:00+00');
select leadstream.attach_activity('form_submit', occurred_at => 'at');
select score_set, is_current from leadstream.score_sets;
call at('2024-09-05 12:00+00');
select contact, points from kept;
select score_set, is_current, done, contact_count from leadstream.score_sets;
begin;
select leadstream.merge_contacts(3, 4);
update form_submit set contact_id = 4 where contact_id = 3;
update mail set contact_id = 4 where contact_id = 3;
update page_visit set contact_id = 4 where contact_id = 3;
delete from contact where id = 3;
commit;
call at('2024-09-05 12:00+00');
select contact, points, is_current from kept;
select * from leadstream.verify_scores();
--
-- Who sees them: sales those of contacts whose leads he sees, report all.
--
create role regress_score_sales;
create role regress_score_report;
create role regress_score_none;
create role regress_score_admin;
grant usage on schema scores_kept to regress_score_sales, regress_score_report, regress_score_none;
insert into contact (id) values (11), (12);
select leadstream.create_team('Sales') > 0 as made, leadstream.create_team('Others') > 0 as made;
select leadstream.create_sales_user('Eva', role => 'regress_score_sales') > 0 as made;
select leadstream.add_member('Sales', 'Eva');
select leadstream.create_lead(11, 'Sales') > 0 as made, leadstream.create_lead(12, 'Others') > 0 as made;
select leadstream.grant_access('regress_score_sales', 'sales');
select leadstream.grant_access('regress_score_report', 'report');
set role regress_score_sales;
select contact_id, points from leadstream.scores order by 1;
set role regress_score_report;
select contact_id, points from leadstream.scores order by 1;
-- this is for who may see the rows themselves
select * from leadstream.verify_scores();
set role regress_score_none;
select contact_id, points from leadstream.scores order by 1;
call leadstream.rescore('default');
reset role;
grant select on leadstream.scores to regress_score_none;
set role regress_score_none;
select contact_id, points from leadstream.scores order by 1;
reset role;
-- an admin does with sets of his own what their owner does
select leadstream.grant_access('regress_score_admin', 'admin');
grant usage on schema scores_kept to regress_score_admin;
grant select on contact, page_visit to regress_score_admin;
set role regress_score_admin;
select leadstream.create_score_set('own') > 0 as made, leadstream.create_score_rule('own', 'visit', 'exists(page_visit)', 3) > 0 as made;
call leadstream.rescore('own', 2);
select contact_id, score_set, points from leadstream.scores order by 1, 2;
select * from leadstream.verify_scores('own');
call leadstream.rescore('default');
select leadstream.drop_score_set('own');
reset role;
select leadstream.tick();
select leadstream.revoke_access('regress_score_admin'), leadstream.revoke_access('regress_score_sales'), leadstream.revoke_access('regress_score_report');
drop owned by regress_score_admin, regress_score_sales, regress_score_report, regress_score_none;
drop role regress_score_admin, regress_score_sales, regress_score_report, regress_score_none;

--
-- Where there are no foreign keys.
--
delete from leadstream.score_rule;
delete from leadstream.score_set;
create table letter (id bigint generated always as identity primary key, contact_id bigint, at timestamptz not null);
create index on letter (contact_id, at);
set client_min_messages = error;
select leadstream.attach_activity('letter', occurred_at => 'at');
set client_min_messages = warning;
select leadstream.create_score_set('default') > 0 as made, leadstream.create_score_rule('default', 'letter', 'exists(letter within 90 days)', 1) > 0 as made,
	leadstream.create_score_rule('default', 'form', 'exists(form_submit within 1000 days)', 10) > 0 as made;
insert into contact (id) values (31), (32);
insert into form_submit (contact_id, at) values (31, leadstream.clock()), (32, leadstream.clock());
insert into letter (contact_id, at) values (31, leadstream.clock()), (33, leadstream.clock());
select contact, points from kept where contact > 30;
-- rows that do not follow a contact to its new key stay behind, and others wait there
update contact set id = 34 where id = 31;
update contact set id = 33 where id = 32;
select contact, points from kept where contact > 30;
select leadstream.tick();
select * from leadstream.verify_scores();
-- what is kept of a contact that went past them goes at its time, and a tick comes to an end
set session_replication_role = replica;
delete from contact where id = 33;
set session_replication_role = origin;
select contact_id from leadstream.score where contact_id > 30 order by 1;
create temporary table was as select leadstream.clock() as at;
set leadstream.clock = '2050-01-01 00:00+00';
set statement_timeout = '60s';
begin isolation level repeatable read;
select leadstream.tick();
commit;
call leadstream.tick_batches(1, null);
reset statement_timeout;
select contact_id from leadstream.score where contact_id > 30 order by 1;
select set_config('leadstream.clock', at::text, false) = at::text as is_back from was;
delete from contact where id > 30;
select leadstream.detach('letter');
drop table letter;

drop view kept;
delete from leadstream.score_rule;
delete from leadstream.score_set;
select leadstream.detach('page_visit');
select leadstream.detach('mail');
select leadstream.detach('form_submit');
select leadstream.detach('contact');
alter table contact add tenant text;
update contact set tenant = 'a';
insert into contact (id, country, tenant) select i, 'SE', chr(96 + i % 2 + 1) from generate_series(5, 8) i;
select leadstream.attach_contacts('contact', account => 'tenant');
select leadstream.attach_activity('form_submit', occurred_at => 'at');
select count(*) as kept from leadstream.score;
set leadstream.account = 'a';
select leadstream.create_score_set('s') > 0 as made, leadstream.create_score_rule('s', 'SE', 'country = ''SE''', 1) > 0 as made;
set leadstream.account = 'b';
select leadstream.create_score_set('s') > 0 as made, leadstream.create_score_rule('s', 'form', 'exists(form_submit)', 10) > 0 as made;
select leadstream.tick();
insert into form_submit (contact_id, at) select id, '2024-09-05' from contact where id > 6;
select account, contact_id, points, total from leadstream.scores order by 1, 2;
-- one that goes over to another account leaves nothing behind
update contact set tenant = 'a' where id = 7;
update contact set tenant = 'b' where id = 8;
select account, contact_id, points, total from leadstream.scores order by 1, 2;
select * from leadstream.verify_scores();
set leadstream.account = 'a';
select * from leadstream.verify_scores();
reset leadstream.account;

-- what their owner gives to the scores minds each change of one: columns, indexes, triggers, checks
create function half(bigint) returns bigint language sql immutable as 'select $1 / 2';
create index score_half_idx on leadstream.score (half(points + 1));
alter table leadstream.score add note text;
update leadstream.score set note = 'mine' where contact_id < 7;
begin;
savepoint a;
update contact set country = 'NO' where id in (6, 7);
rollback to a;
update contact set country = case when id = 6 then 'NO' else 'SE' end where id in (4, 6);
update contact set country = case when id = 4 then 'NO' else 'SE' end where id in (4, 7, 11);
commit;
select contact_id, points, note, settled_at = leadstream.clock() as is_settled from leadstream.score order by 1;
set enable_seqscan = off;
set enable_bitmapscan = off;
select contact_id from leadstream.score where half(points + 1) = 1 order by 1;
select contact_id from leadstream.score where contact_id = 7 and score_set_id > 0;
reset enable_seqscan;
reset enable_bitmapscan;
create table changed (contact_id bigint, was bigint, points bigint);
create function note_change() returns trigger language plpgsql as
	$$ begin insert into scores_kept.changed values (new.contact_id, old.points, new.points); return new; end $$;
create trigger note_change after update on leadstream.score for each row execute function note_change();
update contact set country = 'NO' where id in (6, 7);
table changed;
drop trigger note_change on leadstream.score;
alter table leadstream.score add constraint none check (points <> 1) not valid;
\set VERBOSITY terse
update contact set country = 'SE' where id = 6;
alter table leadstream.score drop constraint none;
-- or to those whom they are published to: an update of what is not part of the key
set client_min_messages = error;
create publication high_scores for table leadstream.score where (points > 1);
set client_min_messages = warning;
update contact set country = 'SE' where id = 6;
drop publication high_scores;
\set VERBOSITY default
update contact set country = 'SE' where id = 6;
select contact_id, points, note from leadstream.score where contact_id < 8 order by 1;
set leadstream.account = 'a';
select * from leadstream.verify_scores();
reset leadstream.account;
drop index leadstream.score_half_idx;
alter table leadstream.score drop note;

-- leave nothing behind for the tests to come
delete from leadstream.segment;
delete from leadstream.score_rule;
delete from leadstream.score_set;
delete from leadstream.score_walk;
select leadstream.detach('form_submit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.team, leadstream.sales_user, leadstream.team_member, leadstream.stage;
drop schema scores_kept cascade;
