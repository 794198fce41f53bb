-- Trigger functions that are called as nobody should, and triggers that nobody
-- should have made: a clean error, or nothing.
\set VERBOSITY terse
set client_min_messages = error;
create schema wrong_triggers;
set search_path = wrong_triggers, public;
create table contact (id bigint primary key, country text);
create table visit (id bigint generated always as identity primary key, contact_id bigint references contact, at timestamptz not null default '2026-01-01 00:00Z');
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
select leadstream.create_stream('any', 'country = ''SE'' and exists(visit)', '{Sales}') is not null as stream;
select leadstream.enable('any');

-- by hand
select leadstream.capture();
select leadstream.invalidate();
select leadstream.enter_stream();
select leadstream.forget_matches();
select leadstream.note_deleted_lead();

-- on tables and events of one's own
create table other (id bigint, contact_id bigint, at timestamptz);
create function fires(event text, call text, statement text) returns text
language plpgsql as $$
begin
	execute format('create trigger t %s %s', event, call);
	execute statement;
	raise sqlstate 'ZZ000' using message = 'nothing';
exception when others then
	return case sqlstate when 'ZZ000' then '' else sqlstate || ': ' end || sqlerrm;
end
$$;
select source_id as visits from leadstream.activity_source where kind = 'visit' \gset
select event, regexp_replace(call, '\d{2,}|[1-9]', 'ID') as call, fires(event, 'execute function leadstream.' || call, statement)
from (values
	('before insert on other for each row', 'insert into other values (1, 1, ''2026-01-01Z'')'), ('after insert on other for each row', 'insert into other values (1, 1, ''2026-01-01Z'')'),
	('after delete on other for each row', 'insert into other values (1); delete from other'), ('after update on other for each row', 'insert into other values (1); update other set id = 2'),
	('after truncate on other for each statement', 'truncate other'), ('after insert on other for each statement', 'insert into other values (1)')) e(event, statement),
	unnest(array['capture(contact)', 'capture(activity, ' || :visits || ')', 'capture(activity, 0)', 'capture(activity)', 'capture(something, 1)', 'capture()',
		'enter_stream()', 'forget_matches()', 'note_deleted_lead()']) with ordinality c(call, n)
where event !~ 'truncate' or n < 3
order by n, event;
-- a table that only looks like the contacts
create table lookalike (id text, country text);
create trigger t after insert on lookalike for each row execute function leadstream.capture('contact');
insert into lookalike values ('1', 'SE');
drop table lookalike;
-- a source that is no more
create table stray (contact_id bigint, at timestamptz);
create trigger t after insert on stray for each row execute function leadstream.capture('activity', '2000000000');
insert into stray values (1, '2026-01-01Z');
drop table stray;

-- A row trigger without those of the statement: rows are settled one by one, and
-- the leads are the same.
insert into contact select i, case when i % 2 = 0 then 'SE' end from generate_series(1, 9) i;
select string_agg(format('drop trigger %I on visit', tgname), '; ') as statement from pg_trigger
where tgrelid = 'visit'::regclass and not tgisinternal and tgtype & 1 = 0 \gset
:statement;
select count(*) from pg_trigger where tgrelid = 'visit'::regclass and not tgisinternal;
insert into visit (contact_id) select i from generate_series(1, 6) i;
insert into visit (contact_id) values (6);
begin;
insert into visit (contact_id) values (7);
update contact set country = 'SE' where id = 7;
savepoint s;
insert into visit (contact_id) values (8);
rollback to s;
insert into visit (contact_id) values (8);
commit;
copy visit (contact_id) from stdin;
2
9
\.
select contact_id, evidence from leadstream.matches order by 1;

select leadstream.disable('any');
select leadstream.drop_stream('any');
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema wrong_triggers cascade;
