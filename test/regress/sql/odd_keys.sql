-- odd_keys.sql: keys that are equal without looking alike
create extension citext;
create schema odd_keys;
set search_path = odd_keys, public;
create table contact (login citext primary key, country text);
create table visit (id serial primary key, login citext references contact, at timestamptz not null default '2026-01-01 00:00Z');
create index on visit (login, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit', contact_key => 'login', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
select leadstream.create_stream('any', 'exists(visit)', '{Sales}') is not null as stream;
select leadstream.create_stream('both', 'count(visit) >= 2', '{Sales}') is not null as stream;
select leadstream.enable('any'), leadstream.enable('both');
insert into contact values ('Anna', 'SE'), ('BERT', 'NO');
insert into visit (login) values ('anna');
insert into visit (login) values ('bert'), ('Bert'), ('ANNA');
select contact_id, stream, origin from leadstream.matches order by contact_id, stream;
select leadstream.fetch_history('{any,both}'::text[]);
select leadstream.is_match('count(visit) = 2', 'aNNA'), leadstream.is_match('count(visit) = 2', 'nobody');
select leadstream.create_lead('ANNA', 'Sales') = (select lead_id from leadstream.leads where contact_id = 'Anna') as same_lead;
select leadstream.disable('any'), leadstream.disable('both');
select leadstream.clear('any'), leadstream.clear('both');
select contact_id, is_manual from leadstream.leads;
select leadstream.drop_stream('any'), leadstream.drop_stream('both');
select leadstream.detach('visit'), leadstream.detach('contact');
set client_min_messages = warning;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema odd_keys cascade;
drop extension citext;

--
-- Keys of a fixed length: by rows, from history, and by time, of rows that were in
-- the future when the stream was enabled.
--
create schema odd_keys;
set search_path = odd_keys;
create procedure live(type text, keys text[]) language plpgsql as $$
declare
	result text;
begin
	execute format('create table contact (id %s primary key)', type);
	execute format('create table visit (contact_id %s references contact, at timestamptz, url text)', type);
	create index on visit (contact_id, at);
	perform leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', occurred_at => 'at');
	perform leadstream.create_team('Sales');
	perform leadstream.create_stream(s, format('exists(visit where url = %L)', s)::leadstream.rule, '{Sales}') from unnest('{row,past,time}'::text[]) s;
	execute format('insert into contact select unnest($1)::%s', type) using keys;
	execute format('insert into visit select k::%s, at, url from unnest($1) k, (values (''2026-01-01Z''::timestamptz, ''past''), (''2026-02-01Z'', ''time'')) v(at, url)', type) using keys;
	perform leadstream.enable(s) from unnest('{row,past,time}'::text[]) s;
	commit;
	perform leadstream.fetch_history('{past,time}'::text[]), leadstream.tick();
	execute format('insert into visit select k::%s, ''2026-01-01Z'', ''row'' from unnest($1) k', type) using keys;
	perform set_config('leadstream.clock', '2026-03-01 00:00Z', false);
	commit;
	perform leadstream.tick();
	select string_agg(format('%s: %s', stream, contacts), E'\n' order by stream) into result
	from (select stream, string_agg(format('%s %s', contact_id, origin), ', ' order by contact_id::text) as contacts from leadstream.matches group by stream) m;
	raise notice E'%\n%', type, result;
	perform set_config('leadstream.clock', '2026-01-02 00:00Z', false);
	perform set_config('client_min_messages', 'warning', true);
	update leadstream.stream set is_enabled = false;
	commit;
	perform leadstream.detach('visit'), leadstream.detach('contact');
	perform set_config('client_min_messages', 'warning', true);
	drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
	drop table visit, contact;
end $$;
set leadstream.clock = '2026-01-02 00:00Z';
set client_min_messages = notice;
call live('character(5)', '{ab,ac,b}');
call live('numeric(6,2)', '{1.5,1.55,-2}');
call live('timestamp(0)', '{2026-01-01 00:00:01,infinity}');
set client_min_messages = warning;
drop schema odd_keys cascade;
