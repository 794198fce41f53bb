--
-- follow: columns that get other names are followed
--
-- Whatever names a column, a rule, a segment, a version or a source, names it
-- as it is called now, and means what it meant.  So the leads of a contact that
-- comes after the change are those of one that came before.
--
\pset format unaligned
\pset tuples_only on
set client_min_messages = warning;
set leadstream.clock = '2026-01-15 00:00Z';
create schema follow;
set search_path = follow;
create table contact (id integer primary key, country text, interests text[], attrs jsonb, email text, account text);
create table visit (id serial primary key, contact_id integer references contact,
	at timestamptz not null default '2026-01-01 00:00Z', url text, amount integer, extra jsonb);
create index on visit (contact_id, at);
create table form (id serial primary key, contact_id integer references contact,
	at timestamptz not null default '2026-01-01 00:00Z', url text, note text);
create index on form (contact_id, at);
create table page (contact_id integer references contact, at timestamptz, url text) partition by range (at);
create table page_1 partition of page for values from ('2026-01-01') to ('2026-02-01');
create index on page (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.attach_activity('visit', kind => 'buy', only_rule => 'amount > 5 and url like ''/p%''');
select leadstream.attach_activity('form');
select leadstream.attach_activity('page');
select leadstream.create_team('Sales') is not null;
select leadstream.create_segment('swede', 'country = ''SE''') is not null;
select leadstream.create_stream(name, rule::leadstream.rule, '{Sales}') is not null
from (values
	('alone', $$ country = 'SE' $$),
	('path', $$ attrs.plan = 'pro' and contact.attrs.country = 'x' $$),
	('where', $$ exists(visit where url = '/p' and contact.country = 'SE' and visit.amount > 5) $$),
	('value', $$ sum(visit.amount where visit.url = '/p') > 3 $$),
	('distinct', $$ count(distinct visit.url where amount between 1 and 9 within 30 days) = 1 $$),
	('last', $$ last(visit.extra.url) = '/p' and not first(visit.url) is null $$),
	('elements', $$ exists(interests where value = 'cars' and interests.value <> contact.country) $$),
	('several', $$ exists(visit, form where url = '/p') and count(visit, buy where url = '/p') >= 1 $$),
	('only', $$ exists(buy) $$),
	('segment', $$ segment('swede') and not (country = 'NO' or email = country) and exists(visit) $$),
	('string', $$ exists(visit where url = 'url' or url = '/p') and country <> 'country' $$),
	('partition', $$ exists(page where url = '/p') $$)) as v(name, rule);
select leadstream.enable(stream) from leadstream.stream;

-- a contact with one row of each, by where the columns are; its streams
create temporary table place as
	select a.attrelid as relid, a.attnum, a.attname as was from pg_attribute a
	where a.attrelid in ('contact'::regclass, 'visit'::regclass, 'form'::regclass, 'page'::regclass)
	  and a.attnum > 0 and a.attidentity = '' and not (a.attname = 'id' and a.attrelid <> 'contact'::regclass);
create function pg_temp.come(id integer) returns text language plpgsql as $$
declare
	row_values constant jsonb := jsonb_build_object('id', id, 'contact_id', id, 'country', 'SE', 'interests', '{cars}',
		'attrs', '{"plan": "pro", "country": "x"}', 'email', 'a@b', 'at', '2026-01-02 00:00Z', 'url', '/p', 'amount', 7, 'extra', '{"url": "/p"}');
	statement text;
begin
	for statement in
		select format('insert into %s (%s) values (%s)', p.relid::regclass,
					  string_agg(quote_ident(a.attname), ', ' order by a.attnum),
					  string_agg(quote_nullable(row_values ->> p.was), ', ' order by a.attnum))
		from place p join pg_attribute a on a.attrelid = p.relid and a.attnum = p.attnum
		where not a.attisdropped
		group by p.relid order by p.relid
	loop
		execute statement;
	end loop;
	return (select string_agg(m.stream, ' ' order by m.stream) from leadstream.matches m where m.contact_id = id);
end
$$;
create function pg_temp.named() returns setof text language sql as $$
	select s.stream || coalesce(': ' || s.problem, '') || ' ' || s.rule from leadstream.streams s order by 1
$$;
select pg_temp.come(1);
select rule_version, count(*) from leadstream.stream group by 1;

alter table visit rename url to path;
alter table visit rename amount to "Total Price";
alter table visit rename extra to "and";
alter table form rename url to path;
alter table contact rename country to land;
alter table contact rename interests to hobbies;
alter table contact rename attrs to "a.b";
alter table page rename url to path;
select pg_temp.named();
select s.rule from leadstream.segment s;
select a.kind, a.only_rule from leadstream.activity_source a order by 1;
select pg_temp.come(2);
-- the versions of a rule are what they were, under the new names
select v.stream_id = s.stream_id, v.rule_version, v.rule::text = s.rule::text, v.expanded from leadstream.stream_version v join leadstream.stream s using (stream_id)
group by 1, 2, 3, 4 order by 4;

-- what sources name
alter table contact rename id to contact_no;
alter table contact rename email to mail;
alter table visit rename contact_id to person;
alter table visit rename at to happened;
alter table page rename at to happened;
select s.key_column, s.email_column, s.name_column from leadstream.contact_source s;
select a.kind, a.contact_column, a.time_column from leadstream.activity_source a order by 1;
select pg_temp.come(3);
select count(*) from leadstream.stream s, lateral leadstream.verify(s.stream) v;
select s.stream, p.contact_id from leadstream.stream s, lateral leadstream.preview(s.rule) p where p.contact_id <> '3' and s.stream = 'distinct' order by 2;
select leadstream.fetch_history(array(select s.stream from leadstream.stream s));

-- two exchange their names, one statement after the other
alter table contact rename land to was;
alter table contact rename mail to land;
alter table contact rename was to mail;
select pg_temp.come(4);
alter table contact rename mail to was;
alter table contact rename land to mail;
alter table contact rename was to land;

-- rolled back, and rolled back to a savepoint
begin;
alter table visit rename path to url;
rollback;
begin;
savepoint one;
alter table visit rename path to url;
rollback to one;
select pg_temp.come(5);
commit;
-- inside of a function, and in a transaction with an old snapshot
do $$ begin alter table visit rename path to url; end $$;
begin isolation level repeatable read;
select count(*) > 0 from leadstream.stream;
alter table visit rename url to path;
commit;
select pg_temp.come(6);
-- more than the table itself: a type, and what another name of ALTER TABLE does
alter view visit rename column path to url;
alter table if exists visit rename url to path;
select pg_temp.come(7);
-- past the triggers
set session_replication_role = replica;
alter table visit rename path to url;
reset session_replication_role;
select pg_temp.come(8);

-- while event triggers were off: made up for at the next change of the columns
alter event trigger leadstream_follow_columns disable;
alter table visit rename url to x;
alter table visit rename "Total Price" to url;
alter table visit rename x to price;
alter event trigger leadstream_follow_columns enable always;
alter table visit add column more text;
select pg_temp.come(9);
select count(*) from pg_temp.named() n where n ~ ': ';

-- a column that is new is known when it is renamed
select leadstream.create_stream('more', 'exists(visit where more is null)', '{Sales}') is not null;
select leadstream.enable('more');
alter table visit rename more to less;
select pg_temp.come(10);

--
-- What cannot follow stays as it is, and is told
--
-- one of several kinds, until the other follows
alter table form rename path to price;
select s.stream, s.rule, s.problem from leadstream.streams s where s.problem is not null or s.stream = 'several';
select pg_temp.come(12);
-- names that mean something else in a rule
begin;
alter table contact rename hobbies to form;
rollback;
begin;
alter table contact rename hobbies to lead;
rollback;
begin;
alter table visit rename id to visit;
rollback;
begin;
alter table visit rename id to contact;
select s.stream, s.problem from leadstream.streams s where s.problem is not null;
rollback;
-- a rule that would be too long
begin;
select leadstream.create_stream('long', ('exists(visit where ' || (select string_agg('less = ''' || repeat('x', 50) || '''', ' or ') from generate_series(1, 1000)) || ')')::leadstream.rule, '{Sales}') is not null;
select leadstream.enable('long');
alter table visit rename less to very_long_name_that_makes_the_rule_too_long;
select s.stream, s.problem from leadstream.streams s where s.problem is not null;
rollback;

--
-- Columns that go
--
begin;
alter table visit drop column price;
rollback;
begin;
alter table visit drop column happened, drop column less;
select s.stream, s.problem from leadstream.streams s where s.problem is not null and s.stream in ('more', 'only', 'last', 'alone') order by 1;
rollback;
begin;
alter table contact drop column contact_no cascade;
rollback;
-- with what they depend on
create type mood as enum ('good');
alter table visit add mood mood;
select leadstream.create_stream('mood', 'exists(visit where mood = ''good'')', '{Sales}') is not null;
begin;
select leadstream.enable('mood');
drop type mood cascade;
rollback;
-- nobody enabled speaks of it
drop type mood cascade;
alter table contact drop column account;
-- what is renamed and what goes in one
begin;
alter event trigger leadstream_follow_columns disable;
alter event trigger leadstream_miss_columns disable;
alter table visit drop column less;
alter table visit rename price to address;
alter event trigger leadstream_follow_columns enable always;
alter table visit add column y text;
select s.stream, s.rule, s.problem from leadstream.streams s where s.stream in ('more', 'only', 'distinct') order by 1;
rollback;
select leadstream.disable('more'), leadstream.drop_stream('mood');
alter table visit drop column less;

--
-- Whoever owns the table, and nobody else's business
--
create role regress_follow_owner;
grant usage, create on schema follow to regress_follow_owner;
alter table visit owner to regress_follow_owner;
set role regress_follow_owner;
alter table visit rename price to address;
create temporary table other (a integer);
alter table other rename a to b;
alter table other drop b;
drop table other;
select leadstream.note_columns();
reset role;
alter table form rename price to address;
select pg_temp.come(11);
select count(*) from pg_temp.named() n where n ~ ': ';
alter table visit owner to current_user;

--
-- What is on record
--
select t.relation, t.columns from leadstream.attached_table t order by t.relation::text;
select leadstream.disable(s.stream) from leadstream.stream s where s.is_enabled;
select leadstream.detach('form');
select t.relation from leadstream.attached_table t order by t.relation::text;
-- where there is nothing, say after a restore past the triggers
delete from leadstream.attached_table;
alter table visit rename url to u;
select leadstream.index_streams();
alter table visit rename u to url;
alter table visit rename url to u;
select s.rule from leadstream.stream s where s.stream = 'value';
select count(*) from leadstream.attached_table;

select leadstream.detach(t) from unnest('{visit,page,contact}'::regclass[]) t;
select count(*) from leadstream.attached_table;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.segment, leadstream.team, leadstream.stage;
drop schema follow cascade;
revoke all on schema public from regress_follow_owner;
drop owned by regress_follow_owner;
drop role regress_follow_owner;
