-- Rows of one statement that concern several streams each, in many combinations:
-- every contact gets each of its matches once, by the first row that made it.
set client_min_messages = warning;
create table contact (contact_id bigint primary key, vip boolean);
create table visit (visit_id bigint generated always as identity primary key,
	contact_id bigint not null references contact, tags text[], occurred_at timestamptz not null default now());
create index on visit (contact_id, occurred_at);
select leadstream.attach_contacts('contact', key => 'contact_id');
select leadstream.attach_activity('visit');
select leadstream.create_team('Sales') is not null as team;
do $$
begin
	for i in 0 .. 10 loop
		perform leadstream.create_stream('t' || i, format('exists(visit where tags contains %L)', 't' || i)::leadstream.rule, '{Sales}');
		perform leadstream.enable('t' || i);
	end loop;
	perform leadstream.create_stream('thrice', 'count(visit where tags contains ''t0'') >= 3', '{Sales}');
	perform leadstream.enable('thrice');
	perform leadstream.create_stream('vip', 'vip is true and exists(visit)', '{Sales}');
	perform leadstream.enable('vip');
end $$;
insert into contact select i, i % 10 = 0 from generate_series(1, 40) i;

-- the bits of n are the tags of a row
create function tags(n integer) returns text[]
language sql as $$
	select coalesce(array_agg('t' || b order by b), '{}') from generate_series(0, 10) b where n & (1 << b) <> 0
$$;

-- what should be: the match, and the first row with it
create view expected as
select v.contact_id, t.stream, min(v.visit_id) as visit_id
from visit v, unnest(v.tags) t (stream) group by 1, 2
union all
select contact_id, 'thrice', min(visit_id) from visit where 't0' = any (tags) group by 1 having count(*) >= 3
union all
select contact_id, 'vip', min(visit_id) from visit join contact using (contact_id) where vip group by 1;
create view got as
select l.contact_id, s.stream, (m.evidence -> 'row' ->> 'visit_id')::bigint as visit_id
from leadstream.lead_match m join leadstream.lead l using (lead_id) join leadstream.stream s using (stream_id);
create function compare() returns table (matches bigint, missing bigint, wrong bigint)
language sql as $$
	select (select count(*) from got),
		(select count(*) from (table expected except table got) d),
		(select count(*) from (table got except table expected) d)
$$;

-- rows of a contact stand together, or apart, and look like each other, or not
insert into visit (contact_id, tags) values
	(1, '{t1,t2}'), (1, '{t1,t2}'), (2, '{t1,t2}'), (1, '{t2,t3}'), (2, '{t3,t2}'), (1, '{t1,t3}'), (1, '{t4}'), (2, '{}'), (1, '{t4,t0,t4}');
select contact_id, stream, visit_id from got order by 1, 2;
select * from compare();

-- a thousand combinations and more
insert into visit (contact_id, tags) select 3 + i % 30, tags((i * 1237) & 2047) from generate_series(1, 6000) i;
select * from compare();

-- again, and with the rest of the contacts: each match once, in whatever order
begin;
insert into visit (contact_id, tags) select 1 + i % 39, tags((i * 331) & 2047) from generate_series(1, 6000) i;
insert into visit (contact_id, tags) select 1 + i % 40, tags((i * 17) & 15) from generate_series(1, 200) i;
commit;
select count(*), count(distinct (contact_id, stream)) as pairs,
	(select count(*) from (select contact_id, stream from expected except select contact_id, stream from got) d) as missing,
	(select count(*) from (select contact_id, stream from got except select contact_id, stream from expected) d) as wrong
from got;

select leadstream.disable(stream) from leadstream.stream where is_enabled \g /dev/null
select leadstream.detach(t::regclass) from unnest('{visit,contact}'::text[]) t \g /dev/null
drop view expected, got cascade;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop function tags(integer);
drop table visit, contact;
