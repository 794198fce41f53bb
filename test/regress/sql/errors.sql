--
-- errors: every error of set-up, streams and boards, with its SQLSTATE
--
-- Each call must fail with one clear error and change nothing.
--
\pset format unaligned
\pset tuples_only on
set client_min_messages = error;
create schema shop;
set search_path = shop;

create function pg_temp.try(query text) returns text language plpgsql as $$
declare
	state text; message text; detail text; hint text;
begin
	execute query;
	return 'no error: ' || query;
exception when others then
	get stacked diagnostics state = returned_sqlstate, message = message_text,
		detail = pg_exception_detail, hint = pg_exception_hint;
	return concat_ws(E'\n  ', state || ' ' || message, nullif(detail, ''), nullif(hint, ''));
end
$$;
-- where the words are the server's, and change with its version
create function pg_temp.state(query text) returns text language sql as $$
	select left(pg_temp.try(query), 5)
$$;

create table contact (id bigint primary key, email text, country text);
create table visit (contact_id bigint references contact, at timestamptz, url text);
create index on visit (contact_id, at);

--
-- Nothing attached yet.
--
select pg_temp.try($$ select leadstream.attach_activity('visit') $$);
select pg_temp.try($$ select leadstream.create_stream('s', 'country = ''SE''') $$);
select pg_temp.try($$ select leadstream.enable('s') $$);
select pg_temp.try($$ select leadstream.move(1, 'MQL') $$);
select pg_temp.state($$ select leadstream.create_lead(1, 'North') $$);
select pg_temp.try($$ select leadstream.detach('contact') $$);
select pg_temp.try($$ select leadstream.drop_team('North') $$);

--
-- What cannot be attached.
--
create view a_view as select * from contact;
create materialized view a_matview as select * from contact;
create sequence a_sequence;
create temporary table temporary_contact (id bigint primary key);
create foreign data wrapper shop_wrapper;
create server shop_server foreign data wrapper shop_wrapper;
create foreign table a_foreign (id bigint) server shop_server;
create table parted (id bigint primary key) partition by hash (id);
create table a_part partition of parted for values with (modulus 1, remainder 0);
create table parent (id bigint primary key);
create table child () inherits (parent);
create unlogged table unlogged (id bigint primary key);
create type a_type as (id bigint);
select pg_temp.try(format('select leadstream.attach_contacts(%s)', relation))
	from unnest('{"null","''a_view''","''a_matview''","''a_sequence''","''temporary_contact''",
				"''a_foreign''","''a_part''","''parent''","''unlogged''","''a_type''",
				"''pg_class''","''information_schema.sql_features''","''leadstream.team''",
				"''contact_pkey''",
				4294967295}'::text[]) as relation;
select pg_temp.state($$ select leadstream.attach_contacts('nowhere') $$);
select pg_temp.try($$ select leadstream.attach_contacts('contact', zone => null) $$);
select pg_temp.try($$ select leadstream.attach_contacts('contact', zone => 'Mars/Olympus') $$);

-- keys
create table no_key (id bigint, email text);
create table two_keys (a bigint, b bigint, primary key (a, b));
create table nullable (id bigint unique, name text);
create table loose (id bigint not null, a bigint not null, unique (id, a));
create unique index on loose (id) where a > 0;
create unique index on loose ((id + 1));
create table late (id bigint not null unique deferrable);
create table xid_key (id txid_snapshot, bits bit(3) primary key);
select pg_temp.try($$ select leadstream.attach_contacts('no_key') $$);
select pg_temp.try($$ select leadstream.attach_contacts('two_keys') $$);
select pg_temp.try($$ select leadstream.attach_contacts('two_keys', key => 'a') $$);
select pg_temp.try($$ select leadstream.attach_contacts('nullable', key => 'id') $$);
select pg_temp.try($$ select leadstream.attach_contacts('loose', key => 'id') $$);
select pg_temp.try($$ select leadstream.attach_contacts('late', key => 'id') $$);
select pg_temp.try($$ select leadstream.attach_contacts('xid_key') $$);

-- columns
select pg_temp.try(format('select leadstream.attach_contacts(''contact'', %s => ''no "such"'')', param))
	from unnest('{key,email,name,company,category,account}'::text[]) as param;
select pg_temp.try($$ select leadstream.attach_contacts('contact', key => 'ctid') $$);
create table mails (id bigint primary key, mail text, e_mail text);
select pg_temp.try($$ select leadstream.attach_contacts('mails') $$);
create table names (id bigint primary key, full_name text, display_name text);
select pg_temp.try($$ select leadstream.attach_contacts('names') $$);

-- and all of this has changed nothing
select * from leadstream.contact_source;
select * from leadstream.stage;
select to_regclass('leadstream.lead'), to_regclass('leadstream.board');
select count(*) from pg_trigger where tgfoid = 'leadstream.capture()'::regprocedure;

select leadstream.attach_contacts('contact');
select pg_temp.try($$ select leadstream.attach_contacts('contact') $$);
select pg_temp.try($$ select leadstream.attach_contacts('mails', email => 'mail') $$);

--
-- Activities.
--
select pg_temp.try($$ select leadstream.attach_activity(null) $$);
select pg_temp.try($$ select leadstream.attach_activity('visit', timeless => null) $$);
select pg_temp.state($$ select leadstream.attach_activity('nowhere') $$);
select pg_temp.try(format('select leadstream.attach_activity(%L)', relation))
	from unnest('{a_view,temporary_contact,a_foreign,a_part,pg_class,leadstream.team,contact}'::text[]) as relation;
select pg_temp.try(format('select leadstream.attach_activity(''visit'', %s => ''nope'')', param))
	from unnest('{contact_key,occurred_at,account}'::text[]) as param;
select pg_temp.try($$ select leadstream.attach_activity('visit', account => 'url') $$);
select pg_temp.try($$ select leadstream.attach_activity('visit', contact_key => 'url') $$);
select pg_temp.try($$ select leadstream.attach_activity('visit', occurred_at => 'url') $$);
select pg_temp.try($$ select leadstream.attach_activity('visit', occurred_at => 'at', timeless => true) $$);
select pg_temp.try(format('select leadstream.attach_activity(''visit'', kind => %L)', kind))
	from unnest(array['', '  ', E'a\tb', repeat('ä', 32), 'contact', 'lead']) as kind;
select pg_temp.state($$ select leadstream.attach_activity('visit', only_rule => 'no_column = 1') $$);
select pg_temp.state($$ select leadstream.attach_activity('visit', only_rule => 'exists(visit)') $$);
create table two_contacts (caller bigint references contact, callee bigint references contact, at timestamptz);
create table two_times (contact_id bigint references contact, a timestamptz, b timestamp, c date);
create table two_dates (contact_id bigint references contact, a date, b date);
create table no_contact (id bigint, at timestamptz);
create table text_contact (contact_id text, at timestamptz);
create table contact_activity (id bigint primary key);
select pg_temp.try($$ select leadstream.attach_activity('two_contacts') $$);
select pg_temp.try($$ select leadstream.attach_activity('two_times') $$);
select pg_temp.try($$ select leadstream.attach_activity('two_dates') $$);
select pg_temp.try($$ select leadstream.attach_activity('no_contact') $$);
select pg_temp.try($$ select leadstream.attach_activity('text_contact') $$);
select * from leadstream.activity_source;
select count(*) from pg_trigger
	where tgfoid = 'leadstream.capture()'::regprocedure and tgrelid <> 'contact'::regclass;

select leadstream.attach_activity('visit');
select pg_temp.try($$ select leadstream.attach_activity('visit') $$);
select pg_temp.try($$ select leadstream.attach_activity('two_dates', occurred_at => 'a', kind => 'visit') $$);

--
-- Streams and teams: names.
--
select pg_temp.try($$ select leadstream.create_team(null) $$);
select pg_temp.try($$ select leadstream.create_team(E' \t') $$);
select pg_temp.try($$ select leadstream.create_team(repeat('x', 201)) $$);
select pg_temp.try($$ select leadstream.create_stream('s', 'country = ''SE''', '{North}') $$);
select leadstream.create_team(repeat('x', 200)) is not null;
select leadstream.create_team('North') is not null;
select leadstream.create_team('South') is not null;
select leadstream.create_team('northern lights') is not null;
select pg_temp.try($$ select leadstream.create_team('North') $$);
select pg_temp.try($$ select leadstream.drop_team(null) $$);
select pg_temp.try($$ select leadstream.drop_team('north') $$);

select pg_temp.try($$ select leadstream.create_stream(null, 'country = ''SE''') $$);
select pg_temp.try($$ select leadstream.create_stream('', 'country = ''SE''') $$);
select pg_temp.try($$ select leadstream.create_stream(repeat('x', 201), 'country = ''SE''') $$);
select pg_temp.try($$ select leadstream.create_stream('s', null) $$);
select pg_temp.try($$ select leadstream.create_stream('s', 'country = ''SE''', null) $$);
select pg_temp.try($$ select leadstream.create_stream('s', 'country = ''SE''', '{North,null}') $$);
select pg_temp.try($$ select leadstream.create_stream('s', 'country = ''SE''', '{North,nort}') $$);
select pg_temp.state($$ select leadstream.create_stream('s', 'country = ') $$);
select pg_temp.state($$ select leadstream.create_stream('s', 'contry = ''SE''') $$);
select pg_temp.state($$ select leadstream.create_stream('s', 'exists(visits)') $$);
select count(*) from leadstream.stream;

select pg_temp.try(format('select leadstream.%I(''None'')', f))
	from unnest('{enable,disable,clear,fetch_history,drop_stream,alter_stream}'::text[]) as f;
select leadstream.create_stream('Swedes', 'country = ''SE''') is not null;
select leadstream.create_stream('Visitors', 'exists(visit)', '{North}') is not null;
select pg_temp.try($$ select leadstream.create_stream('Swedes', 'country = ''NO''') $$);
select pg_temp.try(format('select leadstream.%I(null)', f))
	from unnest('{enable,disable,clear,drop_stream,alter_stream}'::text[]) as f;
select pg_temp.try($$ select leadstream.fetch_history(null::text) $$);
select pg_temp.try($$ select leadstream.fetch_history(null::text[]) $$);
select pg_temp.try($$ select leadstream.fetch_history('{null}'::text[]) $$);
select pg_temp.try(format('select leadstream.%I(''swedes'')', f))
	from unnest('{enable,disable,clear,fetch_history,drop_stream,alter_stream}'::text[]) as f;
select pg_temp.try($$ select leadstream.alter_stream('Swedes', new_name => ' ') $$);
select pg_temp.try($$ select leadstream.alter_stream('Swedes', new_name => repeat('x', 201)) $$);
select pg_temp.try($$ select leadstream.alter_stream('Swedes', new_name => 'Visitors') $$);
select pg_temp.try($$ select leadstream.alter_stream('Swedes', teams => '{Nobody}') $$);
select pg_temp.state($$ select leadstream.alter_stream('Swedes', rule => 'contry = ''SE''') $$);

--
-- Streams: preconditions.
--
select pg_temp.try($$ select leadstream.enable('Swedes') $$);
select pg_temp.try($$ select leadstream.fetch_history('Swedes') $$);
select leadstream.enable('Visitors');
select pg_temp.try($$ select leadstream.fetch_history('{Visitors,Swedes}'::text[]) $$);
select pg_temp.try($$ select leadstream.clear('Visitors') $$);
select pg_temp.try($$ select leadstream.drop_stream('Visitors') $$);
select pg_temp.try($$ select leadstream.alter_stream('Visitors', teams => '{}') $$);
select pg_temp.try($$ select leadstream.drop_team('North') $$);
select pg_temp.try($$ select leadstream.detach('visit') $$);
select pg_temp.try($$ select leadstream.detach('contact') $$);
select pg_temp.try($$ select leadstream.detach(null) $$);
select pg_temp.try($$ select leadstream.detach('no_key') $$);
select stream, is_enabled, teams, rule_version from leadstream.streams order by stream;

-- a stream whose table has changed cannot be enabled
select leadstream.alter_stream('Swedes', teams => '{South}');
alter event trigger leadstream_follow_columns disable;
alter table contact rename country to land;
select pg_temp.state($$ select leadstream.enable('Swedes') $$);
alter table contact rename land to country;
alter event trigger leadstream_follow_columns enable always;

--
-- Leads.
--
insert into contact values (1, 'a@example.com', 'SE');
insert into leadstream.lead (contact_id, team_id, stage, created_at, stage_changed_at)
	select 1, team_id, 'MQL', '2024-01-01', '2024-01-01' from leadstream.team where team = 'South';
select leadstream.alter_stream('Swedes', teams => '{}');
select pg_temp.try($$ select leadstream.drop_team('South') $$);
select pg_temp.try($$ select leadstream.move(null, 'SQL') $$);
select pg_temp.try($$ select leadstream.move(1, null) $$);
select pg_temp.try($$ select leadstream.move(1, 'sql') $$);
select pg_temp.try($$ select leadstream.move(-1, 'SQL') $$);
select pg_temp.state(format('select leadstream.create_lead(%s)', args))
	from unnest(array['null::bigint, ''South''', '1, null', '1, ''Nowhere''', '17, ''South''',
					  'null, ''South''']) as args;
select stage from leadstream.leads;
select * from leadstream.lead_event;

--
-- Other contacts cannot take over the leads.
--
select leadstream.disable('Visitors');
select leadstream.detach('contact');
select pg_temp.try($$ select leadstream.enable('Visitors') $$);
select pg_temp.try($$ select leadstream.attach_contacts('mails', email => 'mail') $$);
create table text_key (id text primary key);
select pg_temp.try($$ select leadstream.attach_contacts('text_key') $$);
select pg_temp.try($$ select leadstream.attach_contacts('visit') $$);
select leadstream.attach_contacts('contact');
select contact_id, team from leadstream.leads;

--
-- Accounts: without one nothing is created or changed.
--
select leadstream.detach('contact');
select leadstream.attach_contacts('contact', account => 'country');
select pg_temp.try(format('select leadstream.%s', call))
	from unnest(array['create_team(''T'')', 'drop_team(''North'')', 'enable(''Swedes'')',
					  'create_stream(''s'', ''true'')', 'disable(''Swedes'')', 'clear(''Swedes'')',
					  'alter_stream(''Swedes'')', 'drop_stream(''Swedes'')',
					  'fetch_history(''Swedes'')', 'move(1, ''SQL'')']) as call;
set leadstream.account = 'NO';
select pg_temp.try($$ select leadstream.enable('Swedes') $$);
select pg_temp.try($$ select leadstream.move(1, 'SQL') $$)
	= format(E'P0002 lead 1 does not exist\n  The view leadstream.leads lists the leads.');
reset leadstream.account;
select leadstream.detach('contact');
select leadstream.attach_contacts('contact');

--
-- Rights.
--
create role regress_leadstream_owner;
create role regress_leadstream_other;
create role regress_leadstream_member in role regress_leadstream_owner;
grant usage on schema shop to regress_leadstream_owner, regress_leadstream_other;
set role regress_leadstream_other;
select pg_temp.state('select leadstream.' || call)
	from unnest(array['attach_contacts(''contact'')', 'attach_activity(''visit'')', 'detach(''visit'')',
					  'create_stream(''s'', ''true'')', 'alter_stream(''s'')', 'drop_stream(''s'')',
					  'enable(''s'')', 'disable(''s'')', 'clear(''s'')', 'fetch_history(''s'')',
					  'fetch_history(''{s}''::text[])', 'create_team(''t'')', 'drop_team(''t'')',
					  'move(1, ''SQL'')', 'clear_stream(1)', 'make_history(''{1}'')']) as call;
select pg_temp.state('table leadstream.' || relation)
	from unnest('{stream,team,stage,stream_team,stream_version,contact_source,activity_source,
				streams,fields,lead,lead_match,lead_event,board,leads,matches}'::text[]) as relation;
-- what is pure is for everybody
select 'country = ''SE'''::leadstream.rule;
reset role;

grant execute on all functions in schema leadstream to regress_leadstream_owner, regress_leadstream_other;
grant select, insert, update, delete on all tables in schema leadstream
	to regress_leadstream_owner, regress_leadstream_other;
grant select on contact, visit to regress_leadstream_owner;
set role regress_leadstream_other;
select pg_temp.try($$ select leadstream.attach_activity('visit', kind => 'v2') $$);
select pg_temp.state($$ select leadstream.create_stream('mine', 'country = ''SE''') $$);
set role regress_leadstream_owner;
select pg_temp.try($$ select leadstream.attach_activity('visit', kind => 'v2') $$);
select leadstream.create_stream('mine', 'country = ''SE''', '{North}') is not null;
set role regress_leadstream_other;
select pg_temp.try(format('select leadstream.%I(''mine'')', f))
	from unnest('{enable,disable,clear,fetch_history,drop_stream,alter_stream}'::text[]) as f;
set role regress_leadstream_member;
select leadstream.enable('mine');
select stream, is_enabled, owner from leadstream.streams where stream = 'mine';
select leadstream.disable('mine');
select leadstream.drop_stream('mine');
reset role;

select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema shop cascade;
drop server shop_server cascade;
drop foreign data wrapper shop_wrapper;
revoke all on all functions in schema leadstream from regress_leadstream_owner, regress_leadstream_other;
revoke all on all tables in schema leadstream from regress_leadstream_owner, regress_leadstream_other;
drop role regress_leadstream_owner, regress_leadstream_other, regress_leadstream_member;
