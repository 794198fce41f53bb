--
-- rows_within: rows that a user's trigger changes within an insert
--
-- Of a kind that captures inserts alone, or while capture is off: a row that was there
-- before stays an old one, whatever version of it the statement has made, and an
-- inserted one is new though it was updated at once.
--
\pset format unaligned
\pset tuples_only on
set client_min_messages = warning;
set leadstream.clock = '2026-01-15 00:00Z';
create schema rows_within;
set search_path = rows_within;
create table contact (id integer primary key, country text);
create table visit (id integer generated always as identity primary key,
	contact_id integer references contact on update cascade,
	at timestamptz not null default '2026-01-01 00:00Z', url text, n integer not null default 0);
create index on visit (contact_id, at);
create table page (id integer generated always as identity, contact_id integer, url text, n integer not null default 0)
	partition by list (id);
create table page_0 partition of page default;
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit'), leadstream.attach_activity('page');
select leadstream.create_team('Sales') is not null;
select leadstream.create_stream(name, rule::leadstream.rule, '{Sales}') is not null
from (values
	('count', $$ exists(visit where url = '/x') and count(visit) < 100 $$),
	('window', $$ count(visit where url = '/x' within 30 days) >= 1 and count(visit) < 100 $$),
	('sum', $$ sum(visit.n where url = '/x') >= 0 and count(visit) < 100 $$),
	('page', $$ exists(page where url = '/x') and count(page) < 100 $$)) as v(name, rule);

create function touch_old() returns trigger language plpgsql as $$
begin
	execute format('update rows_within.%I set n = n + 1 where contact_id = $1 and id <> $2', tg_argv[0])
	using new.contact_id, new.id;
	return null;
end $$;
create function touch_all() returns trigger language plpgsql as $$
begin
	execute format('update rows_within.%I set n = n + 1 where contact_id = $1', tg_argv[0]) using new.contact_id;
	return null;
end $$;
create function touch_new() returns trigger language plpgsql as $$
begin
	execute format('update rows_within.%I set n = n + 1 where id = $1', tg_argv[0]) using new.id;
	return null;
end $$;
create function rekey() returns trigger language plpgsql as $$
begin
	update rows_within.contact set id = id + 100 where id = new.contact_id;
	return null;
end $$;
create function rename() returns trigger language plpgsql as $$
begin
	execute format('update rows_within.%I set url = ''/x'' where contact_id = $1 and id <> $2', tg_argv[0])
	using new.contact_id, new.id;
	return null;
end $$;

-- what was there is silent
insert into contact select i from generate_series(1, 20) i;
insert into visit (contact_id, url) select i, case when i between 11 and 14 then '/z' else '/x' end from generate_series(1, 20) i;
insert into page (contact_id, url) select i, case when i between 11 and 14 then '/z' else '/x' end from generate_series(1, 20) i;
select leadstream.enable(stream) from leadstream.stream;

create procedure insert_with(trigger text, contacts int4range, url text) language plpgsql as $$
begin
	execute format('create trigger a after insert on visit for each row execute function %s(visit)', trigger);
	execute format('create trigger a after insert on page for each row execute function %s(page)', trigger);
	insert into visit (contact_id, url) select c, insert_with.url
	from generate_series(lower(contacts), upper(contacts) - 1) c;
	insert into page (contact_id, url) select id, insert_with.url
	from contact where id % 100 >= lower(contacts) and id % 100 < upper(contacts) order by 1;
	drop trigger a on visit;
	drop trigger a on page;
end $$;

\echo -- none: the rows at /x were there
call insert_with('touch_old', '[1,2]', '/y');
call insert_with('touch_all', '[1,2]', '/y');
-- twice in one statement
create trigger b after insert on visit for each row execute function touch_all(visit);
call insert_with('touch_all', '[3,3]', '/y');
-- after an update that came to nothing
begin;
savepoint s;
update visit set n = -1;
rollback to s;
insert into visit (contact_id, url) values (4, '/y');
commit;
-- several statements of one transaction
begin;
insert into visit (contact_id, url) values (4, '/y');
insert into visit (contact_id, url) values (4, '/y');
commit;
drop trigger b on visit;
call insert_with('touch_new', '[5,5]', '/y');
create trigger b after insert on visit for each row execute function rekey();
insert into visit (contact_id, url) values (6, '/y');
drop trigger b on visit;
select m.contact_id, string_agg(m.stream, ' ' order by m.stream) from leadstream.matches m group by 1 order by 1;

\echo -- all: a row at /x is new, or was not there before
call insert_with('touch_old', '[7,7]', '/x');
call insert_with('touch_all', '[8,8]', '/x');
call insert_with('touch_new', '[9,9]', '/x');
call insert_with('rename', '[11,12]', '/y');
create trigger b after insert on visit for each row execute function rekey();
insert into visit (contact_id, url) values (10, '/x');
drop trigger b on visit;
select m.contact_id, string_agg(m.stream, ' ' order by m.stream) from leadstream.matches m group by 1 order by 1;

\echo -- without an index that has the time, none and all
drop index visit_contact_id_at_idx;
call insert_with('touch_all', '[15,16]', '/y');
call insert_with('touch_all', '[17,18]', '/x');
select m.contact_id, string_agg(m.stream, ' ' order by m.stream) from leadstream.matches m
where m.contact_id between 15 and 18 group by 1 order by 1;

-- Where updates are captured, those that capture is off for are none, and a row that
-- followed its contact to another key is an old one.
create table mail (id integer generated always as identity primary key,
	contact_id integer references contact on update cascade,
	at timestamptz not null default '2026-01-01 00:00Z', url text, n integer not null default 0);
create index on mail (contact_id, at);
select leadstream.attach_activity('mail', events => '{insert,update}');
select leadstream.create_stream('mail', $$ exists(mail where url = '/x') and count(mail) < 100 $$, '{Sales}') is not null;
insert into contact select i from generate_series(21, 28) i;
insert into mail (contact_id, url) select i, case i when 26 then '/z' else '/x' end from generate_series(21, 28) i;
select leadstream.enable('mail');
create function quietly() returns trigger language plpgsql as $$
begin
	perform set_config('leadstream.capture', 'off', true);
	update rows_within.mail set n = n + 1 where contact_id = new.contact_id;
	perform set_config('leadstream.capture', 'on', true);
	return null;
end $$;

\echo -- captured, none: the rows at /x were there
create trigger a after insert on mail for each row execute function quietly();
insert into mail (contact_id, url) values (21, '/y');
create trigger b after insert on mail for each row execute function touch_all(mail);
insert into mail (contact_id, url) values (22, '/y');
drop trigger a on mail;
insert into mail (contact_id, url) values (23, '/y');
drop trigger b on mail;
create trigger b after insert on mail for each row execute function rekey();
insert into mail (contact_id, url) values (24, '/y');
select m.contact_id from leadstream.matches m where m.stream = 'mail' order by 1;

\echo -- captured, all: a row at /x is new, or was not there before
insert into mail (contact_id, url) values (25, '/x');
drop trigger b on mail;
create trigger a after insert on mail for each row execute function rename(mail);
insert into mail (contact_id, url) values (26, '/y');
drop trigger a on mail;
create trigger a after insert on mail for each row execute function quietly();
insert into mail (contact_id, url) values (27, '/x');
-- of another contact
update mail set contact_id = 28 where contact_id = 22 and url = '/x';
select m.contact_id from leadstream.matches m where m.stream = 'mail' order by 1;

select leadstream.disable(stream) from leadstream.stream;
select leadstream.detach(t) from unnest('{visit,page,mail,contact}'::regclass[]) t;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema rows_within cascade;
