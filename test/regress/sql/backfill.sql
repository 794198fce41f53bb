--
-- backfill: the leads of fetch_history, batch by batch
--
-- For keys of many types, rules of every form of the history query, and batches
-- of one, of some and of all, which sessions with other settings take: what backfill makes is what fetch_history makes.
-- Then what ends it amid, and what has it begin again.
--
\pset format unaligned
\pset footer off
\set SHOW_CONTEXT never
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set leadstream.clock = '2026-03-29 01:30:00+00';

create schema fill;
set search_path = fill, public;
create domain code as text check (value <> '');
create type rank as enum ('z', 'y', 'x', 'w', 'v', 'u', 't', 's', 'r', 'q', 'p', 'o', 'n', 'm', 'l', 'k', 'j', 'i', 'h', 'g', 'f');
-- an order of its own, where there is one
do $$ begin
	create collation other (provider = icu, locale = 'en-u-kf-upper');
exception when feature_not_supported then
	create collation other from "C";
end $$;
create function fill.key(type text, i int) returns text language sql immutable
begin atomic
	select case type
		when 'integer' then (i * 7919 % 1009 - 500)::text
		when 'bigint' then (i * 7919 % 1009 - 500)::text
		when 'numeric' then (i * 7919 % 1009 / 8.0)::text
		when 'float8' then (1 / (3.0::float8 + i))::text
		when 'uuid' then md5(i::text)
		when 'date' then to_char('2026-01-01'::date + i, 'YYYY-MM-DD')
		when 'timestamptz' then to_char('2026-03-29'::timestamp + i * interval '17 minutes', 'YYYY-MM-DD HH24:MI:SS"+03"')
		when 'interval' then format('%s mons %s days', i, -i)
		when 'rank' then chr(ascii('f') + i - 1)
		when 'bytea' then '\x' || md5(i::text)
		else case when i % 2 = 0 then chr(96 + i) else upper(chr(96 + i)) end || case i % 3 when 0 then 'ä''"' when 1 then '_9' else '' end end;
end;

create table rule (n serial primary key, rule leadstream.rule);
insert into rule (rule) values
	-- one threshold of rows, with and without something of the contact
	('exists(visit)'), ('exists(visit where url = ''/p1'')'), ('count(visit within 2 days) >= 2'),
	('country = ''SE'' and exists(visit)'), ('exists(visit where url = contact.country)'), ('exists(form older than 1 day)'),
	-- timelines
	('not exists(visit)'), ('count(visit) >= 2 and not exists(form)'), ('sum(visit.size within 3 days) > 3 or exists(form)'),
	('last(visit.url) = ''/p2'''), ('count(visit, form) >= 3'), ('exists(tags where value = ''vip'')'),
	('min(visit.size) < max(form.size)'),
	-- no rows
	('country = ''SE'''), ('true'), ('false');

create table fetched (stream text, contact text, team text, matched_at timestamptz, origin text, rule_version int, evidence text, created_at timestamptz);

create procedure make_world(type text, contact_type text) language plpgsql as $$
begin
	execute format('create table contact (key %s primary key, country text, tags text[])', type);
	execute format('create table visit (id serial primary key, contact %s references contact, at timestamptz, url text, size int)', contact_type);
	execute format('create table form (id serial primary key, who %s references contact, at timestamp, size int)', contact_type);
	create index on visit (contact, at);
	create index on form (who, at);
	type := split_part(type, ' ', 1);
	execute format('insert into contact select fill.key(%L, i)::%s, (array[''SE'', ''NO'', null])[1 + i %% 3], case when i %% 4 = 0 then array[''vip''] end from generate_series(1, 20) i', type, type);
	execute format('insert into visit (contact, at, url, size) select fill.key(%L, 1 + i * 5 %% 17)::%s, ''2026-03-01 00:00Z''::timestamptz + i * interval ''7 hours'', ''/p'' || i %% 4, i %% 5 from generate_series(1, 60) i', type, type);
	execute format('insert into form (who, at, size) select fill.key(%L, 1 + i * 5 %% 20)::%s, ''2026-03-20 00:00''::timestamp + i * interval ''9 hours'', i from generate_series(1, 12) i', type, type);
	perform leadstream.attach_contacts('contact');
	perform leadstream.attach_activity('visit', contact_key => 'contact', occurred_at => 'at');
	perform leadstream.attach_activity('form', contact_key => 'who', occurred_at => 'at');
	perform leadstream.create_team('Sales'), leadstream.create_team('Partners');
	create view made as
		select stream, to_jsonb(contact_id) #>> '{}' as contact, team, matched_at, origin, rule_version, evidence::text, created_at from leadstream.matches;
	-- where the two differ
	create view differences as
		(select 'missing' as what, * from fetched except all select 'missing', * from made)
		union all
		(select 'extra', * from made except all select 'extra', * from fetched);
	perform leadstream.create_stream('s' || n, r.rule, '{Sales,Partners}'), leadstream.enable('s' || n) from rule r;
end
$$;
create procedure clear_all() language plpgsql as $$
begin
	delete from leadstream.lead;
	delete from leadstream.lead_event;
	delete from leadstream.stream_backfill;
end
$$;
create procedure drop_world() language plpgsql as $$
begin
	update leadstream.stream set is_enabled = false;
	perform leadstream.detach('visit'), leadstream.detach('form'), leadstream.detach('contact');
	drop view if exists fill.differences, fill.made;
	drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	delete from leadstream.stream;
	delete from leadstream.stream_version;
	delete from leadstream.stream_team;
	delete from leadstream.stream_backfill;
	delete from leadstream.team;
	delete from leadstream.stage;
	drop table contact, visit, form;
end
$$;
-- All streams with batches of some size, in sessions that write keys differently.
create procedure fill_all(batch int, out wrong bigint, out leads bigint) language plpgsql as $$
declare
	r		record;
	made	bigint;
begin
	leads := 0;
	for r in select 's' || n as stream from fill.rule order by n loop
		perform set_config('DateStyle', case batch % 2 when 0 then 'SQL, DMY' else 'Postgres, MDY' end, false);
		call leadstream.backfill(r.stream, batch, made);
		leads := leads + made;
	end loop;
	perform set_config('DateStyle', 'ISO, MDY', false);
	select count(*) into wrong from fill.differences;
end
$$;
create procedure compare(type text, contact_type text default null, sizes int[] default '{7,2147483647}') language plpgsql as $$
declare
	size	int;
	wrong	bigint;
	fetched bigint;
	leads	bigint;
	again	bigint := 0;
begin
	call fill.make_world(type, coalesce(contact_type, type));
	commit;
	fetched := leadstream.fetch_history(array(select 's' || n from fill.rule));
	delete from fill.fetched;
	insert into fill.fetched select * from fill.made;
	foreach size in array sizes loop
		call fill.clear_all();
		commit;
		call fill.fill_all(size, wrong, leads);
		if size = 7 then
			call fill.fill_all(size, wrong, again);
		end if;
		raise warning '%: batch %: % of % matches differ, % leads, % by the functions, again %, % streams done with % contacts',
			type, size, wrong, (select count(*) from fill.fetched), (select count(*) from leadstream.lead), leads - fetched, again,
			(select count(*) from leadstream.progress where state = 'done'), (select string_agg(distinct done::text, ' ') from leadstream.progress);
	end loop;
	call fill.drop_world();
	commit;
end
$$;
call compare('integer', sizes => '{1,7,20,2147483647}');
call compare('bigint', 'smallint');
call compare('numeric');
call compare('float8');
call compare('text');
call compare('text collate "C"', 'text');
call compare('text', 'varchar collate "C"');
call compare('text collate other', 'text');
call compare('code');
call compare('varchar(20)', 'text');
call compare('uuid');
call compare('date', sizes => '{1,7,20,2147483647}');
call compare('timestamptz');
call compare('interval');
call compare('rank');
call compare('bytea');

--
-- Ended amid: by an error, or cancelled.
--
call make_world('date', 'date');
create procedure show() language plpgsql as $$
declare
	r		record;
begin
	for r in select p.state, p.done, p.lead_count, b.position
			 from leadstream.progress p join leadstream.stream_backfill b using (stream_id) where stream = 's1' loop
		raise warning '% at %: % contacts, % leads', r.state, r.position, r.done, r.lead_count;
	end loop;
end
$$;
delete from fetched;
select leadstream.fetch_history('s1');
insert into fetched select * from made;
call clear_all();
-- the lead of the twelfth contact is refused
create function refuse() returns trigger language plpgsql as $$
begin
	if new.contact_id = '2026-01-13' then raise exception 'not this one'; end if;
	return new;
end
$$;
create trigger refuse before insert on leadstream.lead for each row execute function refuse();
set datestyle = 'SQL, DMY';
call leadstream.backfill('s1', 5);
call show();
-- again, elsewhere: from where it ended, and no further
set datestyle = 'SQL, MDY';
call leadstream.backfill('s1', 1);
call show();
-- to_do is what there is less what is done
select done + to_do = (select contact_count from leadstream.stream_backfill) as adds_up, ends_at > updated_at as ends, pid from leadstream.progress;
drop trigger refuse on leadstream.lead;
-- The contacts before are not looked at again, such as one of whose row nobody
-- was told; the next call after it was done begins anew, as fetch_history would.
set leadstream.capture = off;
insert into contact values ('2025-12-31', 'NO');
insert into visit (contact, at, url) values ('2025-12-31', '2026-03-01 00:00Z', '/');
reset leadstream.capture;
call leadstream.backfill('s1', 3);
call show();
select count(*) from differences where stream = 's1';
call leadstream.backfill('s1', 3);
call show();
select what, contact, team from differences where stream = 's1' order by team;
delete from visit where contact = '2025-12-31';
delete from contact where key = '2025-12-31';
set datestyle = 'ISO, MDY';

-- cancelled
call clear_all();
create function cancel() returns trigger language plpgsql as $$
begin
	if new.contact_id = '2026-01-13' then perform pg_cancel_backend(pg_backend_pid()), pg_sleep(60); end if;
	return new;
end
$$;
create trigger cancel before insert on leadstream.lead for each row execute function cancel();
call leadstream.backfill('s1', 2);
call show();
drop trigger cancel on leadstream.lead;
-- finished by fetch_history, which backfill then finds
select leadstream.fetch_history('s1');
call leadstream.backfill('s1');
call show();
select count(*) from differences where stream = 's1';

-- What has it begin again: another rule, another team, another run.
create procedure half() language plpgsql as $$
begin
	delete from leadstream.stream_backfill;
	commit;
	-- it begins, it has waited, and then two batches
	for i in 0 .. 3 loop
		perform leadstream._backfill((select stream_id from leadstream.stream where stream = 's1'), 4, i = 0);
		commit;
	end loop;
end
$$;
call clear_all();
call half();
call show();
select leadstream.alter_stream('s1', description => 'nothing of the sort');
call show();
select leadstream.alter_stream('s1', rule => 'exists(visit where url = ''/p1'')');
call show();
call leadstream.backfill('s1', 4);
select stream, done from leadstream.progress;
-- those of the old rule stay, and the new one's are all there
select m.contact_id, m.rule_version, p.contact_id is not null as still
from leadstream.matches m left join leadstream.preview('exists(visit where url = ''/p1'')') p on p.contact_id = m.contact_id::text
where team = 'Sales' order by 1;
select count(*) as missing from leadstream.preview('exists(visit where url = ''/p1'')') p
where not exists (select from leadstream.matches m where m.contact_id::text = p.contact_id);
select leadstream.alter_stream('s1', rule => 'exists(visit)');

call clear_all();
call half();
select leadstream.create_team('Others') is not null as team, leadstream.alter_stream('s1', teams => '{Sales,Partners,Others}');
call show();
call leadstream.backfill('s1', 4);
select team, count(*) from leadstream.matches group by 1 order by 1;
select leadstream.alter_stream('s1', teams => '{Sales,Partners}');

call clear_all();
call half();
select leadstream.disable('s1');
call show();
call leadstream.backfill('s1', 4);
select leadstream._backfill(stream_id, 4, false) from leadstream.stream where stream = 's1';
select leadstream.clear('s1') > 0 as cleared;
select leadstream.enable('s1');
call show();
call leadstream.backfill('s1', 4);
call show();
-- dropped: nothing is left of it
select leadstream.disable('s1');
select leadstream.clear('s1') > 0 as cleared, leadstream.drop_stream('s1');
select count(*) from leadstream.stream_backfill;
select leadstream._backfill(0, 1, true);

-- Contacts that come while it is under way, before and behind where it is.
call leadstream.backfill('s2', 7);
delete from leadstream.stream_backfill;
select leadstream._backfill(stream_id, 4, true) is not null as made from leadstream.stream where stream = 's2';
select leadstream._backfill(stream_id, 4, false) is not null as made from leadstream.stream where stream = 's2';
select leadstream._backfill(stream_id, 4, false) is not null as made from leadstream.stream where stream = 's2';
insert into contact values ('2025-12-31', 'SE'), ('2027-01-01', 'SE');
insert into visit (contact, at, url) values ('2025-12-31', '2026-03-29 01:00Z', '/p1'), ('2027-01-01', '2026-03-29 01:00Z', '/p1');
call leadstream.backfill('s2', 4);
select contact_id, origin, count(*) from leadstream.matches where stream = 's2' and contact_id not between '2026-01-01' and '2026-12-31' group by 1, 2 order by 1;
select stream, state, done from leadstream.progress;
-- where there are none
update leadstream.stream set is_enabled = false;
delete from leadstream.lead;
delete from visit;
delete from form;
delete from contact;
select leadstream.enable('s2');
call leadstream.backfill('s2');
select stream, state, done, to_do, lead_count from leadstream.progress;
-- a lock that anybody can take says nothing of it
begin;
select count(pg_advisory_xact_lock('leadstream.stream_backfill'::regclass::oid::int, stream_id)) from leadstream.progress;
select stream, state, pid from leadstream.progress;
commit;

-- Wrong calls.
call leadstream.backfill('s2', 0);
call leadstream.backfill('s2', null);
call leadstream.backfill(null);
call leadstream.backfill('none');
call leadstream.backfill('s3');
begin;
call leadstream.backfill('s2');
rollback;
-- no name means another in the path of the caller
create function fill.plus(bigint, bigint) returns bigint language sql return 1 / 0;
create operator fill.+ (leftarg = bigint, rightarg = bigint, function = fill.plus);
create function fill.later(date, date) returns boolean language sql return 1 / 0 > 0;
create operator fill.> (leftarg = date, rightarg = date, function = fill.later);
insert into contact select '2026-01-01'::date operator(pg_catalog.+) i from generate_series(1, 5) i;
set search_path = fill, pg_catalog;
call leadstream.backfill('s2', 2);
set search_path = fill, public;
drop operator fill.+ (bigint, bigint);
drop operator fill.> (date, date);

-- As the caller, with his rights and under his row security.
create role regress_fill;
grant usage on schema fill to regress_fill;
grant select on leadstream.stream, leadstream.stream_team, leadstream.contact_source, leadstream.activity_source to regress_fill;
grant execute on procedure leadstream.backfill(text, integer, bigint) to regress_fill;
grant execute on function leadstream._backfill(integer, integer, boolean) to regress_fill;
set leadstream.capture = off;
insert into visit (contact, at, url) select key, '2026-03-29 01:00Z', '/p1' from contact;
reset leadstream.capture;
set role regress_fill;
call leadstream.backfill('s2', 2);
reset role;
update leadstream.stream set owner = 'regress_fill' where stream = 's2';
set role regress_fill;
call leadstream.backfill('s2', 2);
reset role;
grant select on contact, visit to regress_fill;
alter table contact enable row level security;
create policy others on contact to regress_fill using (key <> '2026-01-03');
set role regress_fill;
call leadstream.backfill('s2', 2);
reset role;
select stream, state, done, lead_count from leadstream.progress;
select count(distinct contact_id), bool_or(contact_id = '2026-01-03') as of_hidden from leadstream.matches;
alter table contact disable row level security;
call drop_world();
drop owned by regress_fill;
drop role regress_fill;

--
-- Accounts: of one's own contacts only.
--
create table contact (key int primary key, tenant int, country text);
create table visit (id serial primary key, contact int references contact, at timestamptz default '2026-03-01Z');
create table form (id serial primary key, who int references contact, at timestamptz);
create index on visit (contact, at);
create index on form (who, at);
insert into contact select i, i % 3, 'SE' from generate_series(1, 30) i;
insert into visit (contact) select key from contact;
select leadstream.attach_contacts('contact', account => 'tenant');
select leadstream.attach_activity('visit', occurred_at => 'at'), leadstream.attach_activity('form', occurred_at => 'at');
call leadstream.backfill('s');
set leadstream.account = '1';
select leadstream.create_team('Sales') is not null as team;
select leadstream.create_stream('s', 'exists(visit)', '{Sales}') is not null as stream, leadstream.enable('s');
call leadstream.backfill('s', 4);
select stream, done, lead_count, account from leadstream.progress;
select count(*), count(*) filter (where tenant = 1) as own from leadstream.leads join contact on key = contact_id;
set leadstream.account = '2';
call leadstream.backfill('s', 4);
reset leadstream.account;
call drop_world();

reset leadstream.clock;
reset timezone;
reset datestyle;
reset search_path;
set client_min_messages = error;
drop schema fill cascade;
