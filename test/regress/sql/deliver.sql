--
-- deliver: what is written of matches, and what the owner of the lead tables
-- may do to them meanwhile
--
\pset format unaligned
\pset footer off
set client_min_messages = warning;
create schema shop;
set search_path = shop;

create table contact (id bigint primary key, email text);
create table visit (visit_id bigint generated always as identity primary key,
	contact_id bigint not null references contact on delete cascade, url text);
create index on visit (contact_id);
create table note (contact_id bigint references contact on delete cascade, body text);
create index on note (contact_id);
create type colour as enum ('red', 'dark "blue"');
create domain small as integer check (value < 1000);
create table odd (
	contact_id bigint references contact on delete cascade,
	"a ""b""\" text, big bigint, short smallint, dom small, flag boolean, day date, at timestamptz,
	local timestamp, num numeric, span interval, id uuid, col colour, list integer[],
	primary key (list, "a ""b""\", big, short, dom, flag, day, at, local, num, span, id, col));
create index on odd (contact_id);
insert into contact select i, 'c' || i || '@example.com' from generate_series(1, 1000) as i;
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.attach_activity('note');
select leadstream.attach_activity('odd', occurred_at => 'at');
select leadstream.create_team('North') is not null as made;
select leadstream.create_team('South') is not null as made;
create function summary() returns table (what text, leads bigint, events bigint, matches bigint, notes text)
language sql as $$
	select 'all', (select count(*) from leadstream.lead), (select count(*) from leadstream.lead_event),
		(select count(*) from leadstream.lead_match),
		(select string_agg(distinct note, '; ' order by note) from leadstream.lead_event where what = 'created')
$$;
-- each match belongs to a lead of a team of its stream, made by the row it names
create function strays() returns table (what text, n bigint)
language sql as $$
	select 'without a lead', count(*) from leadstream.lead_match m
	where not exists (select from leadstream.lead l where l.lead_id = m.lead_id)
	union all
	select 'of another contact', count(*) from leadstream.lead_match m
	join leadstream.lead l using (lead_id)
	join visit v on v.visit_id = (m.evidence -> 'row' ->> 'visit_id')::bigint
	where v.contact_id <> l.contact_id
	union all
	select 'lead without a match', count(*) from leadstream.lead l
	where not exists (select from leadstream.lead_match m where m.lead_id = l.lead_id)
	union all
	select 'event of another contact', count(*) from leadstream.lead_event e
	join leadstream.lead l using (lead_id) where (e.contact_id, e.team_id) <> (l.contact_id, l.team_id)
$$;

--
-- Evidence: the kind and the primary key of the row; one of values that look
-- alike in every session, whatever the types.
--
select leadstream.create_stream('s', 'exists(visit) or exists(note) or exists(odd) or email = ''new''', '{North}') is not null as made;
select leadstream.enable('s');
insert into visit (contact_id, url) values (1, '/a');
insert into note values (2, 'no key');
set datestyle = 'German, DMY';
set timezone = 'Asia/Tokyo';
insert into odd values
	(3, e'tab\t "q" \\ \u00e9 \u0001', 9223372036854775807, -1, 7, true, '0044-03-15 BC', '2024-02-29 23:59:59.5+00',
	 '1999-12-31 01:02:03', 1.500, '1 day 2 hours', '00000000-0000-0000-0000-00000000000a', 'dark "blue"', '{1,NULL}'),
	(4, '', -9223372036854775808, 0, -7, false, 'infinity', '-infinity',
	 'infinity', 'NaN', '-1 month', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'red', '{}');
reset timezone;
reset datestyle;
insert into contact values (5000, 'new');
select l.contact_id, m.origin, m.evidence, jsonb_typeof(m.evidence -> 'row' -> 'big') as big,
	jsonb_typeof(m.evidence -> 'row' -> 'dom') as dom, jsonb_typeof(m.evidence -> 'row' -> 'flag') as flag,
	jsonb_typeof(m.evidence -> 'row' -> 'num') as num
	from leadstream.lead_match m join leadstream.lead l using (lead_id) order by 1;
select leadstream.fetch_history('s');
select leadstream.disable('s');
select leadstream.drop_stream('s');
delete from leadstream.lead;
truncate leadstream.lead_event;

--
-- Many at once, two teams, then another stream for the same leads: each lead
-- and each match once.
--
select leadstream.create_stream('first', 'exists(visit where url = ''/1'' or url = ''/both'')', '{North,South}') is not null as made;
select leadstream.create_stream('second', 'exists(visit where url = ''/2'' or url = ''/both'')', '{North}') is not null as made;
select leadstream.enable('first');
select leadstream.enable('second');
insert into visit (contact_id, url) select 1 + i % 300, '/1' from generate_series(1, 600) as i;
select * from summary();
insert into visit (contact_id, url) select i, '/2' from generate_series(200, 500) as i;
select * from summary();
insert into visit (contact_id, url) select i, '/both' from generate_series(400, 800) as i;
select * from summary();
select * from strays();
select s.stream, t.team, count(*) from leadstream.lead_match m
	join leadstream.lead l using (lead_id) join leadstream.stream s using (stream_id)
	join leadstream.team t using (team_id) group by 1, 2 order by 1, 2;

-- What others made and deleted meanwhile is made again by new rows alone.
delete from leadstream.lead where contact_id between 401 and 600;
select leadstream.fetch_history('first');
insert into visit (contact_id, url) select i, '/1' from generate_series(500, 700) as i;
select * from summary();
select * from strays();
truncate leadstream.lead, leadstream.lead_match, leadstream.lead_event;

--
-- Triggers on leads: some are refused, on all boards or on one, some go to
-- another team, some begin in another stage, and some are gone as soon as they
-- are there.
--
create function lead_before() returns trigger language plpgsql as $$
begin
	if new.contact_id % 10 = 0
	   or new.contact_id % 10 = 5 and new.team_id = (select team_id from leadstream.team where team = 'North')
	then
		return null;
	elsif new.contact_id % 10 = 1 then
		new.stage := 'SQL';
	elsif new.contact_id % 10 = 2 then
		new.team_id := new.team_id + 100;
	end if;
	return new;
end
$$;
create function lead_after() returns trigger language plpgsql as $$
begin
	if new.contact_id % 10 = 3 then
		delete from leadstream.lead where lead_id = new.lead_id;
	elsif new.contact_id % 10 = 4 then
		update leadstream.lead set team_id = team_id + 100 where lead_id = new.lead_id;
	end if;
	return null;
end
$$;
create trigger before before insert on leadstream.lead for each row execute function lead_before();
insert into visit (contact_id, url) select i, case when i % 4 < 2 then '/2' else '/both' end from generate_series(1, 200) as i;
select * from summary();
select l.contact_id % 10 as digit, l.stage, l.team_id > 100 as is_moved, count(*), count(m.lead_id) as matches
	from leadstream.lead l left join leadstream.lead_match m using (lead_id) group by 1, 2, 3 order by 1, 2, 3;
select * from strays();
insert into visit (contact_id, url) select i, '/both' from generate_series(10, 13) as i;
select l.contact_id, l.team_id > 100 as is_moved, e.what, e.note
	from leadstream.lead_event e join leadstream.lead l using (lead_id)
	where l.contact_id in (10, 11, 13) order by e.event_id;
-- the note of each names the streams of its own contact and team
select t.team, l.team_id > 100 as is_moved, e.note,
	case when l.contact_id % 4 < 2 then '/2' else '/both' end as url, count(*)
	from leadstream.lead_event e join leadstream.lead l using (lead_id)
	join leadstream.team t on t.team_id = l.team_id % 100
	where l.contact_id > 13 and e.what = 'created' group by 1, 2, 3, 4 order by 1, 2, 3, 4;
drop trigger before on leadstream.lead;
truncate leadstream.lead, leadstream.lead_match, leadstream.lead_event;
create trigger after after insert on leadstream.lead for each row execute function lead_after();
insert into visit (contact_id, url) select i, '/2' from generate_series(1, 200) as i;
insert into visit (contact_id, url) select i, '/2' from generate_series(210, 215) as i;
select what, count(*) from leadstream.lead_event group by 1 order by 1;
select l.contact_id % 10 as digit, l.team_id > 100 as is_moved, count(*), count(m.lead_id) as matches
	from leadstream.lead l left join leadstream.lead_match m using (lead_id) group by 1, 2 order by 1, 2;
select * from strays();
drop trigger after on leadstream.lead;
truncate leadstream.lead, leadstream.lead_match, leadstream.lead_event;

--
-- Matches that are there already: written by a trigger, left behind by a lead
-- that went without them, or made the same by a trigger.
--
create function event_after() returns trigger language plpgsql as $$
begin
	insert into leadstream.lead_match (lead_id, stream_id, rule_version, matched_at, created_at, origin)
	select new.lead_id, stream_id, 0, '2000-01-01', '2000-01-01', 'manual' from leadstream.stream where stream = 'second';
	return null;
end
$$;
create trigger after after insert on leadstream.lead_event for each row execute function event_after();
truncate leadstream.lead restart identity;
insert into visit (contact_id, url) select i, '/both' from generate_series(1, 200) as i;
select m.origin, s.stream, count(*) from leadstream.lead_match m
	join leadstream.stream s using (stream_id) group by 1, 2 order by 1, 2;
drop trigger after on leadstream.lead_event;
truncate leadstream.lead restart identity;
insert into visit (contact_id, url) select i, '/2' from generate_series(201, 500) as i;
select m.origin, s.stream, count(*) from leadstream.lead_match m
	join leadstream.stream s using (stream_id) group by 1, 2 order by 1, 2;
truncate leadstream.lead, leadstream.lead_match, leadstream.lead_event;
create function match_before() returns trigger language plpgsql as $$
begin
	new.stream_id := 0;
	return new;
end
$$;
create trigger before before insert on leadstream.lead_match for each row execute function match_before();
insert into visit (contact_id, url) select i, '/both' from generate_series(1, 200) as i;
select stream_id, count(*) from leadstream.lead_match group by 1;
drop trigger before on leadstream.lead_match;
truncate leadstream.lead, leadstream.lead_match, leadstream.lead_event;

--
-- Columns, constraints, indexes, foreign keys and row security of the owner's.
--
create table colleague (team_id integer primary key);
insert into colleague select team_id from leadstream.team;
alter table leadstream.lead add column source text not null default 'web',
	add column shout text generated always as (upper(stage)) stored,
	add check (team_id > 0), add unique (team_id, contact_id),
	add foreign key (team_id) references colleague deferrable initially deferred;
alter table leadstream.lead_match add column weight numeric default 1.5, add unique (stream_id, lead_id);
alter table leadstream.lead_event add column extra uuid default gen_random_uuid(), add check (what <> '');
alter table leadstream.lead enable row level security;
alter table leadstream.lead force row level security;
alter table leadstream.lead_match enable row level security;
alter table leadstream.lead_match force row level security;
alter table leadstream.lead_event enable row level security;
alter table leadstream.lead_event force row level security;
create role regress_deliver;
grant usage on schema shop to regress_deliver;
grant insert on visit to regress_deliver;
set role regress_deliver;
insert into visit (contact_id, url) values (1, '/both');
insert into visit (contact_id, url) select i, '/both' from generate_series(2, 200) as i;
reset role;
select * from summary();
select * from strays();
select count(distinct source || shout) as same, count(*) from leadstream.lead;
select count(weight), count(distinct matched_at) <= 2 as few from leadstream.lead_match;
select count(distinct extra), min(actor) as actor from leadstream.lead_event;
-- a constraint of the owner's holds
\set VERBOSITY sqlstate
alter table leadstream.lead add constraint few check (contact_id < 900);
insert into visit (contact_id, url) select i, '/2' from generate_series(700, 950) as i;
begin;
delete from colleague;
insert into visit (contact_id, url) values (300, '/2');
commit;
select * from summary();
drop owned by regress_deliver;
drop role regress_deliver;

\set VERBOSITY default
update leadstream.stream set is_enabled = false;
select leadstream.detach('visit'), leadstream.detach('note'), leadstream.detach('odd'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema shop cascade;
