-- Whatever indexes the tables have, or have not, the leads are the same, live and
-- by history (which finds more: the rows come late).
set client_min_messages = error;
create schema any_index;
set search_path = any_index, public;
create table contact (id varchar(12) collate "C", country text);
create table visit (id bigint generated always as identity, contact_id text, url text, at timestamptz, plain timestamp, price numeric);
create unique index contact_key on contact (id);
alter table contact add primary key using index contact_key;
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
select count(leadstream.create_stream(s, r::leadstream.rule, '{Sales}')) from (values
	('any', 'exists(visit)'), ('three', 'count(visit within 3 days) >= 3'), ('last', 'last(visit.url) = ''/z'''), ('first', 'first(visit.url) = ''/a'''), ('sum', 'sum(visit.price within 2 days) > 5')) v(s, r);
select count(leadstream.enable(stream)) from leadstream.streams;
insert into contact select 'c' || i, 'SE' from generate_series(1, 12) i;

-- the leads of the same rows, by live judging and by history
create function leads() returns table (live text, history text)
language plpgsql as $$
begin
	truncate visit;
	perform leadstream.disable(stream), leadstream.clear(stream), leadstream.enable(stream) from leadstream.streams;
	perform set_config('leadstream.clock', '2026-01-10 00:00Z', true);
	insert into visit (contact_id, url, at, price)
	select 'c' || 1 + i % 11, case i % 5 when 0 then '/z' else '/a' end, timestamptz '2026-01-01 00:00Z' + i * interval '7 hours', i % 4 from generate_series(1, 30) i;
	insert into visit (contact_id, url, at, price) values ('c12', '/a', null, 9), ('nobody', '/a', '2026-01-01 00:00Z', 9), (null, '/a', '2026-01-01 00:00Z', 9);
	live := (select md5(string_agg(contact_id || stream, ' ' order by contact_id, stream)) || ' ' || count(*) from leadstream.matches);
	perform leadstream.disable(stream), leadstream.clear(stream), leadstream.enable(stream) from leadstream.streams;
	perform leadstream.fetch_history(array(select stream from leadstream.streams));
	history := (select md5(string_agg(contact_id || stream, ' ' order by contact_id, stream)) || ' ' || count(*) from leadstream.matches);
	return next;
end
$$;
create temp table got (n serial, indexes text, live text, history text);
insert into got (indexes, live, history) select 'none', l.* from leads() l;
do $$
declare
	definition text;
begin
	foreach definition in array array['(contact_id)', '(contact_id, at)', '(contact_id, at desc)', '(contact_id desc nulls first, at)', '(at, contact_id)', '(contact_id, url)', '(contact_id, plain)',
		'using hash (contact_id)', 'using brin (contact_id)', '(contact_id) where url <> ''x''', '(lower(contact_id))', '(contact_id text_pattern_ops)', '(contact_id collate "C", at)',
		'(contact_id collate "POSIX")', '(contact_id) include (at)', '(contact_id, at) include (url, price)', '((contact_id || ''''))'] loop
		execute 'create index one on visit ' || definition;
		insert into got (indexes, live, history) select definition, l.* from leads() l;
		execute 'drop index one';
	end loop;
end
$$;
create index on visit (contact_id);
create index on visit (contact_id, at);
create index on visit using hash (contact_id);
insert into got (indexes, live, history) select 'several', l.* from leads() l;
-- one that is not valid
create index invalid on visit (contact_id, at, url);
drop index visit_contact_id_at_idx, visit_contact_id_idx, visit_contact_id_idx1;
update pg_index set indisvalid = false where indexrelid = 'invalid'::regclass;
insert into got (indexes, live, history) select 'invalid', l.* from leads() l;
drop index invalid;
select g.indexes from got g, got n where n.n = 1 and (g.live, g.history) is distinct from (n.live, n.history) order by g.n;
select count(live), count(distinct live) as live, count(history), count(distinct history) as history from got;

select count(leadstream.disable(stream)) from leadstream.streams;
select count(leadstream.drop_stream(stream)) from leadstream.streams;
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema any_index cascade;
