--
-- explain: why is a contact a lead, or why not?
--
-- Every answer below follows from the rows and the meaning of the rule; the
-- clock is 2024-05-10 12:00.  That it holds of random rules, and what is missing
-- decides, is shown by test/agree.
--
\pset format unaligned
\pset null -
\pset footer off
\set VERBOSITY terse
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema firm;
set search_path = firm;
set leadstream.clock = '2024-05-10 12:00Z';

create table contact (id bigint primary key, country text, score integer, is_vip boolean, tags text[], attrs jsonb, trial_ends_at timestamptz, secret text);
create table form (form_id bigint generated always as identity primary key, contact_id bigint references contact,
	form text, budget text, answers jsonb, at timestamptz);
create index on form (contact_id, at);
create table visit (visit_id bigint generated always as identity, contact_id bigint references contact, url text, session text, at timestamptz)
	partition by range (at);
create table visit_old partition of visit for values from (minvalue) to ('2024-05-01');
create table visit_new (at timestamptz, url text, session text, contact_id bigint, visit_id bigint not null);
alter table visit attach partition visit_new for values from ('2024-05-01') to (maxvalue);
alter table visit_old add primary key (visit_id);
alter table visit_new add primary key (visit_id);
create index on visit (contact_id, at);
create table buy (contact_id bigint references contact, amount numeric, at timestamptz);
create index on buy (contact_id, at);
create table badge (contact_id bigint references contact, label text, primary key (contact_id, label));
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('form');
select leadstream.attach_activity('visit');
select leadstream.attach_activity('buy');
select leadstream.attach_activity('badge');

insert into contact values
	(1, 'NO', 40, true, '{press,vip}', '{"plan": "pro", "seats": 3, "none": null}', '2024-05-20 00:00Z', 'hush'),
	(2, null, null, null, null, null, null, 'hush');
insert into form (contact_id, form, budget, answers, at) values
	(1, 'demo', 'Yes', '{"team": ["CEO"]}', '2024-05-01 10:00Z'),
	(1, 'demo', null, '{"team": []}', '2024-05-08 10:00Z'),
	(1, 'fair', 'No', null, '2024-05-12 10:00Z'),		-- to come
	(1, 'demo', 'Lost', null, null);					-- counts never
insert into visit (contact_id, url, session, at) values
	(1, '/pricing', 'a', '2024-04-30 00:00Z'), (1, '/pricing/team', 'b', '2024-05-04 00:00Z'), (1, '/jobs', 'b', '2024-05-05 00:00Z');
insert into buy values (1, 100, '2024-05-02 00:00Z'), (1, 250.50, '2024-05-03 00:00Z'), (1, null, '2024-05-04 00:00Z');
insert into badge values (1, 'speaker'), (1, 'guest');

create function why(rule leadstream.rule, contact bigint default 1)
returns table (d integer, m integer, yes boolean, condition text, value text, since timestamptz, until timestamptz, n bigint, keys text)
language sql as $$
	select depth, missing, is_true, condition, value, since, until, row_count, row_keys from leadstream.explain(rule, contact)
$$;

-- the contact: what its fields hold, and missing where they hold nothing
select condition, yes, value, until from why($$ country = 'NO' and country in ('SE', 'DK') and not score >= 50 and score between 30 and 50 and is_vip
	and is_vip is not true and tags contains 'vip' and attrs.plan = 'pro' and attrs.seats > 10 and attrs.none is null and attrs is not empty
	and trial_ends_at < now + 7 days and trial_ends_at in this month and country = attrs.plan and true $$);
select condition, yes, value from why($$ country <> 'SE' and score < 10 and is_vip and attrs.plan is null and tags is empty $$, 2);

-- activities: how many of how many, in which window, since and until when
select condition, yes, value, since, until, n, keys from why($$ exists(form where form = 'demo') and exists(form where form = 'fair') and not exists(form within 1 day)
	and count(visit where url like '/pricing%' within 7 days) >= 2 and count(visit) > 2 and count(visit within 30 days older than 8 days) <= 3
	and count(form, visit within 10 days) = 4 and count(distinct visit.session) >= 3 and count(distinct visit.session) between 1 and 2
	and exists(badge where label = 'guest') $$);
select condition, yes, value, since, until, n, keys from why($$ sum(buy.amount) > 1000 and avg(buy.amount) > 1 and min(buy.amount within 7 days) < 1 and max(buy.amount) >= 5 * avg(buy.amount)
	and first(form.budget) = 'Yes' and last(form.budget) is empty and last(form.answers.team[0] where form = 'demo' older than 5 days) = 'CEO'
	and last(badge.label) = 'speaker' and last(form.budget) = country $$);
select condition, yes, value, since, until, n, keys from why($$ exists(form) or count(visit) >= 3 or sum(buy.amount) > 10 or max(buy.amount) > 10 or last(form.budget) = 'x' or not exists(visit) $$, 2);

-- and, or and not as they were written; "not" before one condition is part of it
select d, m, yes, condition, value, until from why($$ not (country = 'NO' and not exists(visit within 5 days) or not (score > 3 and not not exists(form))) $$);
select d, m, yes, condition from why($$ not not (country = 'NO') $$);
select d, m, yes, condition from why($$ false or not not false $$);

-- what is missing: the shortest way first, of equal ones what is least off
select m, condition, value from why($$ (country = 'SE' and score > 50 and exists(badge where label = 'x')) or (count(visit) >= 4 and score >= 45) or exists(form where form = 'fair') $$)
where m is not null order by m;
select m, yes, condition, value from why($$ not (score > 30 or exists(visit)) and not (is_vip and country = 'NO') $$) where m is not null order by m;
select m, condition from why($$ country = 'SE' and false $$) where m is not null;
-- a match has nothing missing
select count(*), count(m) from why($$ country = 'NO' and (score > 50 or exists(form)) $$);

-- the newest ten rows have names
insert into form (contact_id, form, at) select 2, 'many', '2024-04-01 00:00Z'::timestamptz + i * interval '1 hour' from generate_series(1, 1000) i;
select value, n, jsonb_array_length(keys::jsonb), keys::jsonb -> 0 -> 'row' as newest, keys::jsonb -> 9 -> 'row' as tenth from why('count(form) > 3', 2);
delete from form where form = 'many';

-- a line for people
select line from leadstream.explain($$ country = 'SE' and (count(visit where url like '/pricing%' or url like '/a/very/long/path/that/does/not/end/%' within 7 days) >= 3
	or not exists(visit within 5 days)) and not (attrs.plan = 'pro' and exists(form where budget = 'two
lines')) $$::leadstream.rule, 1);
update contact set country = repeat('long ', 40), tags = array[e'a\nb'] where id = 2;
select value, line from leadstream.explain($$ country = '' and tags contains 'x' $$::leadstream.rule, 2);
select max(length(l)) from leadstream.explain((select string_agg('not (country = ''' || repeat('x', 100) || ''' or ', '') || 'exists(form)' || repeat(')', 15) from generate_series(1, 15))::leadstream.rule, 1) e,
	regexp_split_to_table(e.line, e'\n') l;
update contact set country = null, tags = null where id = 2;

-- a stream, and the leads it made
select leadstream.create_team('Sales') > 0 as team, leadstream.create_team('Partners') > 0 as team;
select leadstream.create_stream('Demo', $$ exists(form where form = 'demo') $$, '{Sales,Partners}') > 0 as stream;
select leadstream.create_stream('Past', $$ exists(visit) $$, '{Sales}') > 0 as stream;
select leadstream.enable('Demo'), leadstream.enable('Past');
set leadstream.clock = '2024-05-11 12:00Z';
insert into form (contact_id, form, at) values (1, 'demo', '2024-05-11 12:00Z');
select leadstream.alter_stream('Demo', rule => $$ exists(form where form = 'demo' within 1 day) $$);
select leadstream.fetch_history('Past');
set leadstream.clock = '2024-06-01';
select node, depth, missing, is_true, regexp_replace(condition, 'lead \d+', 'lead N') as condition, value, since, until, row_count, row_keys from leadstream.explain('Demo', 1);
select regexp_replace(line, 'lead \d+', 'lead N') as line from leadstream.explain('Demo', 1);
select node, is_true, regexp_replace(condition, 'lead \d+', 'lead N') as condition, value, since, row_keys from leadstream.explain('Past', 1);
select node, is_true, missing, condition, value from leadstream.explain('Past', 2);

-- keys of any type, parameters of none, rows of a query, a transaction that only reads
select count(*) from leadstream.explain('Demo', 1::numeric);
select count(*) from leadstream.explain('Demo', '1');
prepare untyped as select count(*) from leadstream.explain($1, $2);
execute untyped ('Demo', '1');
select c.id, e.is_true from contact c, leadstream.explain('exists(form)'::leadstream.rule, c.id) e order by c.id;
begin read only;
select is_true from leadstream.explain('Past', 1) where node = 1;
commit;
select (select count(*) from leadstream.explain(null::text, 1)), (select count(*) from leadstream.explain('Demo', null::bigint)),
	(select count(*) from leadstream.explain(null::leadstream.rule, 1));

-- errors
\set VERBOSITY default
select leadstream.explain('Damo', 1);
select leadstream.explain('Demo', 3);
select leadstream.explain('Demo', 'x');
select leadstream.explain('countri = 3'::leadstream.rule, 1);
\set VERBOSITY terse

--
-- Nobody sees what he could not select.
--
create role regress_ls_ask;
grant usage on schema firm to regress_ls_ask;
grant select (id, country) on contact to regress_ls_ask;
grant select (contact_id, form, at) on form to regress_ls_ask;
grant select on visit to regress_ls_ask;
grant select on leadstream.contact_source, leadstream.stream to regress_ls_ask;
set role regress_ls_ask;
-- not the column, nor the primary key that no rule names
select * from leadstream.explain($$ secret = 'hush' $$::leadstream.rule, 1);
select * from leadstream.explain($$ country = 'SE' and (country = 'DK' or secret = 'hush') $$::leadstream.rule, 1);
select condition, value, row_count, row_keys from leadstream.explain('exists(form) and exists(visit)'::leadstream.rule, 1);
-- nor the matches; he need not own the stream
select node, condition, value, row_count, row_keys from leadstream.explain('Demo', 1);
reset role;
grant select (form_id) on form to regress_ls_ask;
grant select on leadstream.matches to regress_ls_ask;
set role regress_ls_ask;
select node, value, row_count, row_keys from leadstream.explain('Demo', 1);
reset role;
revoke select on leadstream.stream from regress_ls_ask;
set role regress_ls_ask;
select * from leadstream.explain('Demo', 1);
reset role;
-- nor what row security hides: rows, and contacts
alter table form enable row level security;
alter table visit enable row level security;
create policy first on form to regress_ls_ask using (form_id <= 2);
create policy jobs on visit to regress_ls_ask using (url <> '/jobs');
grant select on form to regress_ls_ask;
set role regress_ls_ask;
select condition, value, row_count, row_keys from leadstream.explain($$ count(form) >= 3 and count(visit) >= 3 and last(form.form) = 'demo' $$::leadstream.rule, 1) where node > 1;
select leadstream.is_match('count(visit) = 2', 1), leadstream.is_match('count(form) = 2', 1);
select condition, value, row_count, row_keys from leadstream.explain($$ count(form) >= 3 and country = 'NO' $$::leadstream.rule, 1) where node > 1;
reset role;
-- of a kind without a time, of which no column is named
alter table badge enable row level security;
grant select on badge to regress_ls_ask;
set role regress_ls_ask;
select value, row_count, leadstream.is_match('exists(badge)', 1) from leadstream.explain('exists(badge)'::leadstream.rule, 1);
reset role;
alter table badge disable row level security;
reset role;
alter table contact enable row level security;
create policy one on contact to regress_ls_ask using (id = 2);
grant select on contact to regress_ls_ask;
set role regress_ls_ask;
select is_true from leadstream.explain('exists(visit)'::leadstream.rule, 2);
select is_true from leadstream.explain('exists(visit)'::leadstream.rule, 1);
reset role;
alter table contact disable row level security;
alter table form disable row level security;
alter table visit disable row level security;
drop policy first on form;
drop policy jobs on visit;
drop policy one on contact;

select leadstream.disable('Demo'), leadstream.disable('Past');
select leadstream.detach(t::regclass) from unnest('{form,visit,buy,badge,contact}'::text[]) t \g /dev/null
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;

-- of a contact of another account there is nothing to be told
alter table contact add account text;
update contact set account = 'a' || id;
select leadstream.attach_contacts('contact', account => 'account');
select leadstream.attach_activity('form');
select leadstream.explain('Demo', 1);
set leadstream.account = 'a1';
select is_true from leadstream.explain('exists(form)'::leadstream.rule, 1);
select is_true from leadstream.explain('exists(form)'::leadstream.rule, 2);
reset leadstream.account;
select leadstream.detach('form'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stage;
reset leadstream.clock;
drop owned by regress_ls_ask;
drop role regress_ls_ask;
drop schema firm cascade;
