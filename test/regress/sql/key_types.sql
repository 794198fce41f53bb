-- Columns of every kind of type: whatever a stream's condition names, at the
-- edges of the type too, a row of it finds the stream, and a lead is made exactly
-- where is_match says so.
set client_min_messages = warning;
create schema key_types;
set search_path = key_types, public;
create type mood as enum ('sad', 'so so', 'happy');
create domain grade as smallint check (value is null or value > -100);
create domain word as text;
create table contact (id bigint primary key, born date);
create table event (id bigint generated always as identity primary key, contact_id bigint not null references contact,
	at timestamptz not null default now(),
	small smallint, medium integer, large bigint, r real, d double precision, n numeric, g grade,
	day date, stamp timestamp, instant timestamptz, span interval, clock time,
	uid uuid, feeling mood, txt text, w word, vc varchar(20), ch char(8), nm name, letter "char", ip inet, flag boolean,
	money numeric(12,2), class regclass, o oid, bits bit varying, raw bytea,
	ints integer[], moods mood[], texts text[], doc jsonb);
create index on event (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('event', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;

-- Values that the columns meet, as literals of rules and in rows.
create table sample (field text, value text, n serial);
insert into sample (field, value)
select f, v from (values
	('small', '{-32768,-1,0,7,32767}'::text[]), ('medium', '{-2147483648,-1,0,7,2147483647}'),
	('large', '{-9223372036854775808,-9007199254740993,-1,0,7,9007199254740992,9007199254740993,9223372036854775807}'),
	('r', '{-Infinity,-1.5,0,1e-40,7,16777217,3e38,Infinity,NaN}'), ('d', '{-Infinity,-1.5,-0,1e-300,7,9007199254740993,1e308,Infinity,NaN}'),
	('n', '{-Infinity,-1e50,-1.5,0,1e-50,7.0,7.000000000000000001,1e400,Infinity,NaN}'), ('g', '{-99,0,7}'),
	('money', '{-0.01,0,7,7.01,9999999999.99}'),
	('day', '{-infinity,4713-01-01 BC,1899-12-31,1900-01-01,2026-01-01,2041-12-31,2100-06-01,5874897-12-31,infinity}'),
	('stamp', '{-infinity,1899-12-31 23:59:59.999999,1900-01-01,2026-01-01 12:00,2043-01-01,294276-12-31,infinity}'),
	('instant', '{-infinity,1899-12-31 23:59:59.999999Z,1900-01-01 00:00Z,2026-01-01 12:00Z,2043-01-01 00:00Z,294276-12-31 00:00Z,infinity}'),
	('span', '{-1 day,0,24:00:00,1 day}'), ('clock', '{00:00,12:00,23:59:59.999999}'),
	('uid', '{00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000001,ffffffff-ffff-ffff-ffff-ffffffffffff}'),
	('feeling', '{sad,so so,happy}'), ('txt', '{"",a,A,ab,"a ",ä}'), ('w', '{"",a,A}'), ('vc', '{"",a,"a "}'), ('ch', '{"",a,ab}'),
	('nm', '{"",a}'), ('letter', '{"",a,ä}'), ('ip', '{10.0.0.1,10.0.0.1/8,::1}'), ('flag', '{true,false}'),
	('o', '{0,7,4294967295}'), ('bits', '{"",1,01}'), ('raw', '{"","\\x00","\\x61"}')) s(f, vs), unnest(vs) v;
-- long ones, packed and stored apart
insert into sample (field, value) select 'txt', repeat(x, 5000) from unnest('{a,ab}'::text[]) x;
insert into sample (field, value) values ('w', 'it''s');
insert into sample (field, value) select 'txt', string_agg(md5(i::text), '') from generate_series(1, 400) i;

create table rule (stream text primary key, rule leadstream.rule);
insert into rule
select format('%s %s %s', field, o, n), format(case o when 'in' then 'exists(event where %1$I in (%2$s, %3$s))' when 'like' then 'exists(event where %1$I like %4$s)'
		when 'range' then 'exists(event where %1$I >= %2$s and %1$I < %3$s)' else 'exists(event where %1$I %5$s %2$s)' end,
	field, quoted, coalesce(lead(quoted) over (partition by field, o order by n), quoted), left(quoted, -1) || '%''', o)::leadstream.rule
from sample, lateral (select '''' || replace(value, '''', '''''') || '''' as quoted) q, unnest(array['=', '<', '>', '>=', 'in', 'range', 'like']) o
where (field not in ('day', 'stamp', 'instant') or value ~ '^[0-9]{4}-[-0-9:. ]*Z?$')
	and (o = '=' or length(value) < 1000 and field <> 'flag' and (o <> 'like' or field in ('txt', 'w', 'vc', 'nm')));
insert into rule values
	('members', 'exists(event where ints contains 7)'), ('any member', 'exists(event where ints contains any (7, 8, 9))'),
	('all members', 'exists(event where ints contains all (7, 8))'), ('moods', 'exists(event where moods contains ''happy'')'),
	('texts', 'exists(event where texts contains any (''A'', ''b''))'),
	('json number', 'exists(event where doc.n = 7)'), ('json text', 'exists(event where doc.s = ''x'')'), ('json in', 'exists(event where doc.s in (''x'', ''y'', ''7''))'),
	('json truth', 'exists(event where doc.b = true)'), ('json member', 'exists(event where doc.list contains ''x'')'), ('json range', 'exists(event where doc.n > 5)'),
	('class', 'exists(event where class = ''pg_class'')'), ('born', 'born < ''2000-01-01'' and exists(event where small = 7)'),
	('quotes', 'exists(event where txt = ''it''''s'')'), ('backslash', E'exists(event where txt = ''a\\\\b'' and w <> ''\\\\'')'), ('quoted', 'exists(event where txt in (''"a"'', ''(b'', ''c) = ''))'),
	('either type', 'exists(event where small = 7 or large = 7)'), ('many', 'count(event where feeling in (''happy'', ''sad'')) >= 1');
select count(leadstream.create_stream(stream, rule, '{Sales}')) = count(*) as created from rule;
select count(leadstream.enable(stream)) > 0 as enabled from rule;
select found_by is not null as by_key, count(*) > 0 as some from leadstream.stream_stats group by 1 order by 1;

-- Every contact gets one row with one value.
do $$
declare
	s sample;
begin
	for s in select * from sample order by n loop
		insert into contact values (s.n, '1999-12-31');
		execute format('insert into event (contact_id, %I) values ($1, $2::%s)', s.field,
			(select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'event'::regclass and attname = s.field)) using s.n, s.value;
	end loop;
end
$$;
insert into contact select 1000 + i, date '1999-12-30' + i from generate_series(1, 9) i;
insert into event (contact_id, small, large, ints, moods, texts, doc, class, feeling) values
	(1001, 7, 8, '{1,7,8}', '{sad,happy}', '{a,B}', '{"n": 7, "s": "x", "b": true, "list": ["x", 7]}', 'pg_class', 'happy'),
	(1002, 8, 7, '{7,null}', '{}', '{a}', '{"n": "7", "s": 7, "b": "true", "list": "x"}', 'pg_type', 'so so'),
	(1003, null, null, '{{7,8},{9,1}}', null, '{null}', '{"n": 7.5, "s": null, "list": []}', null, null),
	(1004, 7, 7, '{}', '{"so so"}', null, '[7]', 0, 'sad'),
	(1005, 0, 0, null, null, '{}', '"x"', null, null);
insert into event (contact_id, txt, w) values (1006, 'it''s', null), (1006, E'a\\b', 'x'), (1007, E'a\\b', E'\\'), (1007, '(b', null), (1008, '"a"', 'a'), (1008, 'c) = ', null);

-- Found are all that the row concerns,
select e.id, asked from event e, leadstream._look_up('event', e, true) asked, leadstream._look_up('event', e, false) found
where not asked <@ found;
-- and the leads are those of the meaning.
create table should as
select c.id as contact_id, r.stream from contact c, rule r where leadstream.is_match(r.rule, c.id) and exists (select from event e where e.contact_id = c.id);
select count(*) > 600 as many, count(distinct stream) > 150 as streams from should;
(select 'missing', contact_id, stream from should except select 'missing', contact_id, stream from leadstream.matches)
union all
(select 'extra', contact_id, stream from leadstream.matches except select 'extra', contact_id, stream from should);
-- Nor does history see it otherwise, of all streams at once.
select count(leadstream.disable(stream)) > 0 as disabled from rule;
select sum(leadstream.clear(stream)) > 0 as cleared from rule;
select count(leadstream.enable(stream)) > 0 as enabled from rule;
select leadstream.fetch_history(array_agg(stream)) > 0 as fetched from rule;
(select 'missing', contact_id, stream from should except select 'missing', contact_id, stream from leadstream.matches)
union all
(select 'extra', contact_id, stream from leadstream.matches except select 'extra', contact_id, stream from should);

select count(leadstream.disable(stream)) > 0 as disabled from rule;
select count(leadstream.drop_stream(stream)) > 0 as dropped from rule;
select leadstream.detach('event'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema key_types cascade;
