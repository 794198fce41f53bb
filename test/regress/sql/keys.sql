-- Streams are found by keys: what rows and contacts are looked up by, what
-- happens where keys are missing or out of date, and what sessions remember.
set client_min_messages = warning;
create table contact (id bigint primary key, email text, country text, score integer, vip boolean);
create table visit (id bigint generated always as identity primary key, contact_id bigint,
	url text, size integer, tags text[], data jsonb, occurred_at timestamptz not null default now(),
	foreign key (contact_id) references contact deferrable);
create index on visit (contact_id, occurred_at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('Sales') is not null as team;
create function pg_temp.stream(name text, rule leadstream.rule) returns void
language sql as $$
	select leadstream.create_stream(name, rule, '{Sales}');
	select leadstream.enable(name);
$$;
select from pg_temp.stream('equal', 'exists(visit where url = ''/a'' and size >= 10)');
select from pg_temp.stream('in', 'exists(visit where url in (''/b'', ''/c''))');
select from pg_temp.stream('prefix', 'exists(visit where url like ''/d/%'')');
select from pg_temp.stream('range', 'exists(visit where size between 100 and 200)');
select from pg_temp.stream('member', 'exists(visit where tags contains ''x'')');
select from pg_temp.stream('json', 'exists(visit where data.plan = ''pro'')');
select from pg_temp.stream('either', 'exists(visit where url = ''/e'') or count(visit where size = 7) >= 2');
select from pg_temp.stream('by contact', 'country = ''SE'' and exists(visit)');
select from pg_temp.stream('contact alone', 'vip is true and score >= 50');
select from pg_temp.stream('anything', 'exists(visit)');
select from pg_temp.stream('not', 'not exists(visit) and country = ''FI''');

-- how they are found
select stream, found_by, is_residual from leadstream.stream_stats order by stream_id;

-- what a row and a contact are looked up to concern
create function found(v visit, c contact) returns text
language sql as $$
	select string_agg(distinct s.stream, ', ' order by s.stream)
	from unnest(leadstream._look_up('visit', v, false, c)) f
	join leadstream.stream s on s.stream_id = f
$$;
insert into contact values (1, 'a@x', 'SE', 10, false), (2, 'b@x', 'NO', 90, true), (3, 'c@x', null, null, null);
select v.url, v.size, v.tags, v.data, found(v, c) as of_1, found(v, d) as of_3
from contact c, contact d, unnest(array[
	(0, 1, '/a', 20, null, null, '2026-01-01')::visit,
	(0, 1, '/b', null, null, null, '2026-01-01')::visit,
	(0, 1, '/d/1', 150, null, null, '2026-01-01')::visit,
	(0, 1, null, 7, '{y,x}', '{"plan": "pro"}', '2026-01-01')::visit,
	(0, 1, '', 201, '{}', '{"plan": null}', '2026-01-01')::visit]) as v
where c.id = 1 and d.id = 3;

-- the leads
insert into visit (contact_id, url, size, tags, data) values
	(1, '/a', 20, null, null), (2, '/b', null, null, null), (3, '/d/1', 150, null, null),
	(1, null, 7, '{y,x}', '{"plan": "pro"}'), (2, '', 201, '{}', '{"plan": null}'), (1, '/e', 7, null, null);
select contact_id, string_agg(stream, ', ' order by stream) as streams from leadstream.matches group by 1 order by 1;

-- a contact that changes is looked up by what it is now, under what changed
update contact set email = 'other';
select count(*) from leadstream.matches;
update contact set country = 'SE', score = 60, vip = true where id = 3;
select stream from leadstream.matches where contact_id = 3 order by 1;

-- a new contact, and one whose activities were there before it
insert into contact values (4, null, 'FI', 99, true);
select stream from leadstream.matches where contact_id = 4 order by 1;
begin;
set constraints all deferred;
insert into visit (contact_id, url, size) values (5, '/a', 10), (5, '/x', 150);
insert into contact values (5, null, 'SE', null, null);
select stream from leadstream.matches where contact_id = 5 order by 1;
commit;

-- many streams on one key go by the contact, and more than one row of it
select from generate_series(1, 40) i,
	pg_temp.stream('hot ' || i, format('country = ''C%s'' and exists(visit where url = ''/hot'' and size = %s)', i, i)::leadstream.rule);
insert into contact select 100 + i, null, 'C' || i from generate_series(1, 40) i;
select count(*) as candidates
from contact c, unnest(leadstream._look_up('visit', (0, 107, '/hot', 7, null, null, now())::visit, false, c)) f
join leadstream.stream s on s.stream_id = f and s.stream like 'hot%'
where c.id = 107;
insert into visit (contact_id, url, size)
select 100 + i, '/hot', s from generate_series(1, 40) i, lateral unnest(array[i + 1, i]) s;
select count(*), count(*) filter (where stream = 'hot ' || contact_id - 100) as own from leadstream.matches where stream like 'hot%';

-- keys that are out of date: the column gets another type
alter table visit alter size type numeric;
alter table contact alter score type numeric;
insert into visit (contact_id, url, size) values (102, '/a', 20.0), (103, null, 150.5);
update contact set score = 70, vip = true where id = 104;
select contact_id, stream from leadstream.matches where contact_id in (102, 103, 104) and stream not like 'hot%' order by 1, 2;
select * from (select part, entries from leadstream.session_cache()) c where part = 'streams without keys' and entries > 0;
select leadstream.index_streams();
select p.kind, fields, types from leadstream.access_path p
join leadstream.activity_source s using (source_id) where p.kind <> 'range' order by 1, 2;
insert into visit (contact_id, url, size) values (105, '/a', 20.0), (106, null, 150.5);
select contact_id, stream from leadstream.matches where contact_id in (105, 106) and stream not like 'hot%' order by 1, 2;
select part, entries from leadstream.session_cache() where part = 'streams without keys';

-- streams without keys: one that could not be bound when it was enabled
create table form (id bigint generated always as identity primary key, contact_id bigint references contact,
	form text, occurred_at timestamptz not null default now());
create index on form (contact_id, occurred_at);
insert into leadstream.stream (stream, rule, is_enabled) values ('early', 'exists(form where form = ''f'')', true);
insert into leadstream.stream_team select stream_id, (select team_id from leadstream.team) from leadstream.stream where stream = 'early';
select leadstream.attach_activity('form');
select stream, kind, found_by from leadstream.stream_stats where stream = 'early';
insert into form (contact_id, form) values (1, 'f'), (2, 'g');
select contact_id from leadstream.matches where stream = 'early';
select leadstream.disable('early');
select leadstream.enable('early');
select stream, kind, found_by from leadstream.stream_stats where stream = 'early';

-- what is disabled, altered, dropped or rolled back is not found any more
begin;
select from pg_temp.stream('undone', 'exists(form where form = ''u'')');
savepoint s;
select from pg_temp.stream('undone too', 'exists(form where form starts with ''v'')');
insert into form (contact_id, form) values (1, 'u'), (1, 'v');
rollback to s;
insert into form (contact_id, form) values (2, 'u'), (2, 'v');
select contact_id, stream from leadstream.matches where stream like 'undone%';
rollback;
select from pg_temp.stream('undone too', 'exists(form where form starts with ''v'')');
insert into form (contact_id, form) values (3, 'v');
select contact_id, stream from leadstream.matches where stream like 'undone%';
select leadstream.alter_stream('undone too', 'exists(form where form = ''w'')');
insert into form (contact_id, form) values (4, 'v'), (5, 'w');
select contact_id, stream from leadstream.matches where stream like 'undone%' order by 1;
select leadstream.disable(stream) from leadstream.stream where is_enabled and stream <> 'equal';
select leadstream.drop_stream('undone too');
select count(*) from leadstream.access_key k where abs(k.stream_id) not in (select stream_id from leadstream.stream where is_enabled);
select leadstream.index_streams();
select kind, fields from leadstream.access_path;

-- a column is known by its name, whichever it is
alter table contact drop country;
alter table contact add country text;
alter table contact add other integer;
alter table contact rename score to unused;
alter table contact rename other to score;
select leadstream.enable(stream) from leadstream.stream where stream in ('by contact', 'contact alone');
alter table contact drop country;
alter table contact add country text;
alter table contact rename score to other;
alter table contact rename unused to score;
insert into visit (contact_id) values (120), (121);
update contact set country = 'SE' where id = 120;
update contact set score = 60, vip = true where id = 121;
select contact_id, stream from leadstream.matches where contact_id in (120, 121) and stream not like 'hot%' order by 1, 2;
select leadstream.disable(stream) from leadstream.stream where stream in ('by contact', 'contact alone');

-- streams that asked for the contact, which no key can do any more
create collation nodigest (provider = icu, locale = 'und', deterministic = false);
select leadstream.enable(stream) from leadstream.stream where stream like 'hot 1%' \g /dev/null
alter table contact alter country type text collate nodigest;
update contact set country = 'C' || id - 100 where id between 101 and 140;
\c -
set client_min_messages = warning;
delete from leadstream.lead where contact_id in (110, 111);
insert into visit (contact_id, url, size) values (110, '/hot', 10);
insert into visit (contact_id, url, size) values (111, '/hot', 11);
select contact_id, stream from leadstream.matches where contact_id in (110, 111) order by 1;
alter table contact alter country type text collate "default";
select leadstream.disable(stream) from leadstream.stream where stream like 'hot 1%' \g /dev/null

-- little memory for rules
set leadstream.cache_size = '64kB';
select leadstream.enable(stream) from leadstream.stream where not is_enabled and stream like 'hot%';
insert into visit (contact_id, url, size) select 101 + i % 40, '/hot', 1 + (i + 1) % 40 from generate_series(1, 400) i;
insert into visit (contact_id, url) values (1, '/a');
select bytes < 200000 as is_little from leadstream.session_cache() where part = 'compiled rules';
select count(*), count(distinct contact_id) from leadstream.matches where stream like 'hot%';
reset leadstream.cache_size;

-- rights: of the keys nobody need know
select has_table_privilege('public', 'leadstream.access_key', 'select'), has_function_privilege('public', 'leadstream.index_streams()', 'execute');
create role keyless;
grant insert on visit to keyless;
set role keyless;
insert into visit (contact_id, url, size) values (110, '/a', 20);
reset role;
select stream from leadstream.matches where contact_id = 110 and stream = 'equal';
revoke all on visit from keyless;
drop role keyless;

select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
select leadstream.detach(t::regclass) from unnest('{visit,form,contact}'::text[]) t \g /dev/null
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop function found(visit, contact);
drop table visit, form, contact;
drop collation nodigest;
