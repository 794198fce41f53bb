--
-- streams: what a lead stream is, from its creation to its end
--
-- The preconditions are in errors.sql.
--
\pset format unaligned
\pset footer off
set client_min_messages = notice;
create schema shop;
set search_path = shop;

create table contact (id bigint primary key, email text, name text, country text);
create table form_submit (
	id bigint generated always as identity primary key,
	contact_id bigint not null references contact, occurred_at timestamptz not null, form text);
create index on form_submit (contact_id, occurred_at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('form_submit');
insert into contact values
	(1, 'anna@example.com', 'Anna', 'SE'), (2, 'bo@example.com', 'Bo', 'SE'),
	(3, 'cleo@example.com', 'Cleo', 'NO'), (4, 'dirk@example.com', 'Dirk', 'DE');
-- the past: Anna twice, Cleo once, Dirk something else
insert into form_submit (contact_id, occurred_at, form) values
	(1, '2024-01-01 10:00+00', 'demo'), (1, '2024-02-01 10:00+00', 'demo'),
	(3, '2024-03-01 10:00+00', 'demo'), (4, '2024-01-01 10:00+00', 'other');

select leadstream.create_team('North') is not null as made;
select leadstream.create_team('South') is not null as made;

--
-- Created: disabled, the description optional, the teams too.
--
select leadstream.create_stream('Demo', $$ exists(form_submit where form = 'demo') $$) is not null as made;
select leadstream.create_stream('Swedes', $$ country = 'SE' and exists(form_submit) $$,
								'{South,North,South}', 'people in Sweden') is not null as made;
select stream, description, rule, is_enabled, teams, problem, lead_count, rule_version,
	   owner = current_user as is_mine, account
	from leadstream.streams order by stream;
select s.stream, v.rule_version, v.rule, v.created_by = current_user as by_me
	from leadstream.stream_version v join leadstream.stream s using (stream_id) order by stream;

-- a disabled stream makes no leads
insert into form_submit (contact_id, occurred_at, form) values (2, '2024-03-01 10:00+00', 'demo');
select * from leadstream.matches;

--
-- Enabled: new matches only, on the board of every team.
--
select leadstream.enable('Swedes');
select leadstream.enable('Swedes');
select leadstream.alter_stream('Demo', teams => '{North}', description => 'asked for a demo');
select leadstream.enable('Demo');
select contact_id, team from leadstream.leads;
insert into form_submit (contact_id, occurred_at, form) values (2, '2024-04-01 10:00+00', 'demo');
select contact_id, name, team, stage, streams from leadstream.board order by contact_id, team;
select stream, contact_id, team, origin, rule_version from leadstream.matches
	order by stream, contact_id, team;
-- it comes and goes with its cause
begin;
insert into form_submit (contact_id, occurred_at, form) values (4, '2024-04-01 10:00+00', 'demo');
select contact_id, name, team, streams from leadstream.board where contact_id = 4;
rollback;
select contact_id, name, team, streams from leadstream.board where contact_id = 4;

--
-- History: those of the past, once.
--
select leadstream.fetch_history('Demo');
select leadstream.fetch_history('Demo');
select contact_id, team, matched_at at time zone 'UTC' as matched_at, origin
	from leadstream.matches where stream = 'Demo' and origin = 'history' order by contact_id;
-- a team that came later is served
select leadstream.alter_stream('Demo', teams => '{North,South}');
select leadstream.fetch_history('{Demo,Swedes,Demo}'::text[]);
select leadstream.fetch_history('{Demo,Swedes}'::text[]);
select leadstream.fetch_history('{}'::text[]);
select contact_id, team, streams from leadstream.board order by contact_id, team;
select stream, lead_count from leadstream.streams order by stream;

--
-- Altered: a new rule is a new version, the same rule in other words is none.
--
select leadstream.alter_stream('Demo', rule => $$EXISTS (form_submit WHERE form='demo')$$);
select rule_version from leadstream.streams where stream = 'Demo';
select leadstream.alter_stream('Demo', rule => $$ exists(form_submit where form = 'trial') $$,
							   description => '');
select leadstream.alter_stream('Demo', new_name => 'Trial "2024"');
select stream, description, rule, rule_version, teams, is_enabled from leadstream.streams order by stream;
select v.rule_version, v.rule from leadstream.stream_version v
	join leadstream.stream s using (stream_id) where s.stream like 'Trial%' order by 1;
insert into form_submit (contact_id, occurred_at, form) values
	(4, '2024-05-01 10:00+00', 'demo'), (4, '2024-05-01 10:00+00', 'trial');
select contact_id, team, rule_version, origin from leadstream.matches
	where stream like 'Trial%' order by contact_id, team;
-- nothing given, nothing changed
select leadstream.alter_stream('Trial "2024"');
select stream, description, rule, rule_version, teams, is_enabled from leadstream.streams order by stream;

--
-- Disabled: no new leads, the old ones stay.
--
select leadstream.disable('Trial "2024"');
select leadstream.disable('Trial "2024"');
insert into form_submit (contact_id, occurred_at, form) values (3, '2024-05-02 10:00+00', 'trial');
select stream, is_enabled, lead_count from leadstream.streams order by stream;

--
-- Cleared: leads that nothing else holds go, their events stay.
--
select leadstream.clear('Trial "2024"');
select leadstream.clear('Trial "2024"');
select contact_id, team, streams from leadstream.board order by contact_id, team;
select what, contact_id, count(*) from leadstream.lead_event group by 1, 2 order by 1, 2;

--
-- Dropped: the stream and its matches go, the leads stay.
--
select leadstream.disable('Swedes');
select leadstream.drop_stream('Swedes');
select contact_id, team, streams from leadstream.board order by contact_id, team;
select * from leadstream.matches;
select leadstream.drop_stream('Trial "2024"');
select count(*) from leadstream.stream;
select count(*) from leadstream.stream_version;
select count(*) from leadstream.stream_team;

--
-- A stream whose table has changed is shown broken, and harms nobody.
--
select leadstream.create_stream('Broken', $$ country = 'NO' and exists(form_submit) $$, '{North}') is not null as made;
select leadstream.enable('Broken');
alter event trigger leadstream_follow_columns disable;
alter table contact rename country to land;
select stream, problem is not null as has_problem from leadstream.streams;
set client_min_messages = error;
insert into form_submit (contact_id, occurred_at, form) values (3, '2024-06-01 10:00+00', 'demo');
alter table contact rename land to country;
alter event trigger leadstream_follow_columns enable always;
select stream, problem from leadstream.streams;
insert into form_submit (contact_id, occurred_at, form) values (3, '2024-06-02 10:00+00', 'demo');
select contact_id, team from leadstream.matches where stream = 'Broken';

--
-- What marks a change: the transaction, also for one who writes by hand.
--
begin;
update leadstream.stream set description = 'by hand';
select changed = pg_current_xact_id() as is_stamped, enabled_xid = pg_current_xact_id() as is_newly_enabled
	from leadstream.stream;
update leadstream.stream set is_enabled = false;
select enabled_xid from leadstream.stream;
update leadstream.stream set is_enabled = true, changed = '3', enabled_xid = '3';
select changed = pg_current_xact_id() as is_stamped, enabled_xid = pg_current_xact_id() as is_newly_enabled
	from leadstream.stream;
rollback;

--
-- Names: anything that can be read, case and all.
--
select leadstream.disable('Broken');
select leadstream.drop_stream('Broken');
select leadstream.create_stream(name, $$ country = 'SE' $$, '{North}') is not null as made
	from unnest(array['broken', 'Broken', 'it''s "100%" \ done; --', repeat('ü', 200)]) as name;
select leadstream.enable('it''s "100%" \ done; --');
select leadstream.disable('it''s "100%" \ done; --');
select stream from leadstream.streams where length(stream) < 200 order by stream;

select leadstream.detach('form_submit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema shop cascade;
