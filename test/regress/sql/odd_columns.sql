-- Columns whose names and collations are not the usual: rules name them, rows are
-- found by them.
set client_min_messages = error;
create schema odd_columns;
set search_path = odd_columns, public;
create table contact (id bigint primary key, "Land" text collate "POSIX", "select" varchar(3) collate "C");
create table visit (id bigint generated always as identity primary key, contact_id bigint references contact, at timestamptz not null default '2026-01-01 00:00Z',
	"Odd ""Name" text, "1st" integer, "select" text, "from" integer, "a.b" text, "ä" text, "under_score9" text,
	"sixty three bytes are as many as a name can have, and these are" text, exact text collate "C", shape varchar(9) collate "POSIX", "J son" jsonb, "Tags" text[]);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
create table rule (stream text, rule leadstream.rule);
insert into rule values
	('quoted', 'exists(visit where "Odd ""Name" = ''x'')'), ('digit', 'exists(visit where "1st" = 1)'), ('range', 'exists(visit where "1st" between 2 and 5)'),
	('keyword', 'exists(visit where "select" = ''x'' and "from" >= 7)'), ('dotted', 'exists(visit where "a.b" in (''x'', ''y''))'), ('letter', 'exists(visit where ä like ''x%'')'),
	('plain', 'exists(visit where under_score9 starts with ''x'')'), ('long', 'exists(visit where "sixty three bytes are as many as a name can have, and these are" = ''x'')'),
	('exact', 'exists(visit where exact = ''x'' or exact like ''pre%'')'), ('ignoring case', 'exists(visit where exact ilike ''CASE%'')'), ('shape', 'exists(visit where shape = ''x'')'),
	('json', 'exists(visit where "J son"."k ""k".x[0] = ''x'')'), ('json number', 'exists(visit where "J son"."n" = 1)'), ('member', 'exists(visit where "Tags" contains ''x'')'),
	('land', '"Land" = ''x'' and exists(visit)'), ('of contact', 'contact."select" in (''x'', ''y'') and exists(visit where "1st" > 6)');
select count(leadstream.create_stream(stream, rule, '{Sales}')) from rule;
select count(leadstream.enable(stream)) from rule;
select stream, found_by from leadstream.stream_stats order by stream_id;
insert into contact select i, case i % 3 when 0 then 'x' when 1 then 'X' end, case i % 2 when 0 then 'y' end from generate_series(1, 12) i;
insert into visit (contact_id, "Odd ""Name", "1st", "select", "from", "a.b", "ä", under_score9, "sixty three bytes are as many as a name can have, and these are", exact, shape, "J son", "Tags")
select i, v, i, w, i, v, v || w, w, v, case when i < 7 then v else 'pre' || w end, v, format('{"k \"k": {"x": [%s]}, "n": %s}', to_json(v), i)::jsonb, array[w, v]
from generate_series(1, 12) i, lateral (select case i % 4 when 0 then 'x' when 1 then 'X' when 2 then 'y' end v, case i % 3 when 0 then 'x' when 1 then 'Case x' else 'xyz' end w) s;
create table should as
select c.id as contact_id, r.stream from contact c, rule r where leadstream.is_match(r.rule, c.id);
select stream, string_agg(contact_id::text, ' ' order by contact_id) from should group by 1 order by 1;
(select 'missing', contact_id, stream from should except select 'missing', contact_id, stream from leadstream.matches)
union all
(select 'extra', contact_id, stream from leadstream.matches except select 'extra', contact_id, stream from should);
-- a contact that changes is found by these too
update contact set "Land" = 'x' where id = 1;
update contact set "select" = 'x' where id = 9;
select contact_id, string_agg(stream, ', ' order by stream) from leadstream.matches where contact_id in (1, 9) group by 1 order by 1;
-- and another session's path is read back from its text
\c -
set client_min_messages = error;
set search_path = odd_columns, public;
insert into contact values (20, 'x', 'x');
insert into visit (contact_id, "Odd ""Name", "1st", "J son", "Tags") values (20, 'x', 7, '{"n": 1}', '{x}');
select string_agg(stream, ', ' order by stream) from leadstream.matches where contact_id = 20;

select count(leadstream.disable(stream)) from rule;
select count(leadstream.drop_stream(stream)) from rule;
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema odd_columns cascade;
