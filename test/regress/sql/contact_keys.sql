-- Keys of contacts: the column of an activity that points at them may be of
-- another type than theirs, and contacts may get other keys.
set client_min_messages = error;
create schema contact_keys;
set search_path = contact_keys, public;

-- A contact of each key with a row, under each pair of types; the rows that point
-- at no contact, as the type of the contacts cannot say, do no harm.
create function run(contact_type text, activity_type text, contacts text[], rows text[]) returns table (matched text, counted text, found text)
language plpgsql as $$
declare
	k text;
begin
	execute format('create table contact (id %s primary key, country text)', contact_type);
	execute format('create table visit (id bigint generated always as identity primary key, who %s, at timestamptz not null default ''2026-01-01 00:00Z'')', activity_type);
	create index on visit (who, at);
	perform leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', contact_key => 'who', occurred_at => 'at'), leadstream.create_team('Sales'),
		leadstream.create_stream('any', 'exists(visit)', '{Sales}'), leadstream.create_stream('twice', 'count(visit) = 2', '{Sales}');
	perform leadstream.enable('any'), leadstream.enable('twice');
	execute format('insert into contact select unnest($1)::%s', contact_type) using contacts;
	execute format('insert into visit (who) select unnest($1)::%s', activity_type) using rows;
	insert into visit (who) values (null);
	return query execute 'select string_agg(contact_id::text, '' '' order by contact_id) filter (where stream = ''any''),
		string_agg(contact_id::text, '' '' order by contact_id) filter (where stream = ''twice''),
		(select leadstream.fetch_history(''any'') + leadstream.fetch_history(''twice'') || '' '' || count(*) from leadstream.verify(''exists(visit)''::leadstream.rule)) from leadstream.matches';
	perform leadstream.disable('any'), leadstream.disable('twice');
	perform leadstream.drop_stream('any'), leadstream.drop_stream('twice');
	perform leadstream.detach('visit'), leadstream.detach('contact');
	drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	delete from leadstream.team;
	delete from leadstream.stage;
	drop table visit, contact;
end
$$;
select c, a, r.* from unnest(array['smallint', 'integer', 'bigint']) c, unnest(array['smallint', 'integer', 'bigint']) a,
	run(c, a, '{-7,0,32767}', case a when 'smallint' then '{-7,-7,32767}' when 'integer' then '{-7,32767,32768,-7,-32769,2147483647}'
		else '{-7,32767,65529,-7,-32769,4294967289,-4294967303,9223372036854775807}' end::text[]) r;
select c, a, r.* from (values ('text', 'varchar(9)'), ('varchar', 'text'), ('varchar(3)', 'varchar')) t(c, a),
	run(c, a, '{a,b,ab}', '{a,b,a,x}') r;
select r.* from run('uuid', 'uuid', '{00000000-0000-0000-0000-00000000000a}', '{00000000-0000-0000-0000-00000000000a}') r;
-- no way from one to the other without a cast that changes what is equal
create function refused(contact_type text, activity_type text) returns text
language plpgsql as $$
begin
	perform run(contact_type, activity_type, '{}', '{}');
	return 'accepted';
exception when others then
	return sqlerrm;
end
$$;
select c, a, refused(c, a) from (values ('text', 'char(4)'), ('text', 'name'), ('numeric', 'integer'), ('double precision', 'smallint'), ('timestamptz', 'date'), ('uuid', 'integer'), ('integer', 'text')) t(c, a);

-- Contacts get other keys: all at once, in a circle, by a cascade.
create table contact (id text primary key, country text);
create table visit (day date, part boolean, at timestamptz, who text references contact on update cascade on delete cascade, size integer, primary key (day, part, at));
create index on visit (who, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', contact_key => 'who', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
select leadstream.create_stream('visited from SE', 'country = ''SE'' and exists(visit)', '{Sales}') < leadstream.create_stream('from NO', 'country = ''NO''', '{Sales}') as created;
select leadstream.enable('visited from SE'), leadstream.enable('from NO');
insert into contact select 'c' || i, case i % 3 when 0 then 'NO' else 'FI' end from generate_series(1, 60) i;
insert into visit select '2026-01-01', true, timestamptz '2026-01-01 00:00Z' + i * interval '1 min', 'c' || i, i from generate_series(1, 40) i;
insert into visit values ('infinity', false, '2026-02-01 00:00Z', 'c1', 0), ('-infinity', false, '2026-02-02 00:00Z', 'c1', 0);
select stream, count(*) from leadstream.matches group by 1 order by 1;
-- a contact that matched already by another key does not match again by the same state
update contact set id = 'n' || id where id < 'c3';
update contact set id = 'm' || id, country = 'SE' where id > 'nc' or id in ('c30', 'c31', 'c59');
select stream, string_agg(contact_id, ' ' order by contact_id) as contacts from leadstream.matches group by 1 order by 1;
select * from leadstream.verify('country = ''SE'' and exists(visit)'::leadstream.rule);
-- what a match says about its row, whatever the row's key is made of
insert into visit values ('2026-03-01', true, '2026-03-01 00:00Z', 'mnc1', 1);
select evidence from leadstream.matches where contact_id = 'mnc1' and stream like 'visited%';
insert into contact values ('SE', 'SE'), ('too', 'SE');
insert into visit values ('infinity', false, '-infinity', 'SE', 0);
insert into visit values ('-infinity', true, 'infinity', 'too', 0);
select contact_id, evidence from leadstream.matches where contact_id in ('SE', 'too') order by 1;
delete from contact where id = 'SE';
-- A trigger changes a contact while its activities are on their way to its new key,
-- or the key once more: it is judged when all have arrived.
select leadstream.create_stream('unseen in DK', 'country = ''DK'' and not exists(visit)', '{Sales}') < leadstream.create_stream('seen in S', 'country starts with ''S'' and exists(visit)', '{Sales}') as created;
select leadstream.enable('unseen in DK'), leadstream.enable('seen in S');
create function move_on() returns trigger language plpgsql as $$
begin
	if tg_table_name = 'visit' then
		update contact_keys.contact set country = 'DK' where id = new.who;
		return new;
	elsif new.id like 'on%' then
		update contact_keys.contact set id = 'far' || id, country = 'SI' where id = new.id;
	else
		update contact_keys.contact set country = 'DK' where id = new.id;
	end if;
	return null;
end
$$;
set leadstream.capture = off;
insert into contact values ('t1', 'FI'), ('t2', 'FI'), ('t3', 'FI'), ('t4', 'SE');
insert into visit select '2026-03-02', true, timestamptz '2026-03-02 00:00Z' + i * interval '1 min', 't' || i, i from unnest('{1,2,4}'::int[]) i;
reset leadstream.capture;
create trigger move_on before update on visit for each row execute function move_on();
update contact set id = 'u1' where id = 't1';
drop trigger move_on on visit;
-- this one comes before those of foreign keys
create trigger "A" after update on contact for each row when (pg_trigger_depth() = 0) execute function move_on();
update contact set id = 'u' || right(id, 1) where id in ('t2', 't3');
drop trigger "A" on contact;
create trigger a after update on contact for each row when (pg_trigger_depth() = 0) execute function move_on();
update contact set id = 'on4' where id = 't4';
drop trigger a on contact;
select id, country, count(who) as visits, array(select stream from leadstream.matches m where m.contact_id = c.id) as matched
from contact c left join visit v on v.who = c.id where id ~ '^(u[123]|faron4)$' group by 1, 2 order by 1;
-- So it is where the triggers give keys alone, and keys that others have just left;
-- but not what they take back.
select leadstream.create_stream('in LV', 'country = ''LV''', '{Sales}') > 0 as created, leadstream.enable('in LV');
insert into contact values ('v1', 'LT'), ('v2', 'LV'), ('v4', 'LV');
delete from leadstream.lead;
create function take_keys() returns trigger language plpgsql as $$
begin
	if new.id in ('v1', 'w1') then
		update contact_keys.contact set id = new.id || 'b' where id = new.id;
	elsif new.id = 'v2' then
		update contact_keys.contact set id = 'v1' where id = 'v2';
	elsif new.id = 'v4' then
		begin
			update contact_keys.contact set id = 'v5' where id = 'v4';
			raise exception 'not that' using errcode = 'P0099';
		exception when sqlstate 'P0099' then
			insert into contact_keys.contact values ('v5', 'LT');
			update contact_keys.contact set country = 'LV' where id = 'v5';
		end;
	end if;
	return null;
end
$$;
create trigger take_keys after insert or update on contact for each row when (pg_trigger_depth() = 0) execute function take_keys();
update contact set country = 'LV' where id in ('v1', 'v2');
update contact set country = country where id = 'v4';
insert into contact values ('w1', 'LV');
drop trigger take_keys on contact;
select id, country, array(select stream from leadstream.matches m where m.contact_id = c.id) as matched
from contact c where id ~ '^[vw]' order by 1;
select leadstream.disable('in LV'), leadstream.drop_stream('in LV');
delete from contact where id ~ '^[vw]';
-- Triggers on activities give their contact another key, whichever of the triggers
-- comes first; so may one on contacts bring activities while the others are on
-- their way, and of a contact that is to keep its key.
select leadstream.create_stream('two visits', 'count(visit where size > 0) = 2', '{Sales}') > 0 as created, leadstream.enable('two visits');
create function rename_contact() returns trigger language plpgsql as $$
begin
	if tg_table_name = 'visit' then
		update contact_keys.contact set id = 'y' || id where id = new.who;
	else
		insert into contact_keys.visit values ('2026-03-04', true, '2026-03-04 00:00Z'::timestamptz + right(new.id, 1)::int * interval '1 min', new.id, 1);
	end if;
	return null;
end
$$;
set leadstream.capture = off;
insert into contact select 'x' || i, 'SE' from generate_series(1, 8) i;
insert into visit select '2026-03-03', true, timestamptz '2026-03-03 00:00Z' + i * interval '1 min', 'x' || i, 1 from generate_series(1, 8) i;
reset leadstream.capture;
create trigger a after insert on visit for each row execute function rename_contact();
insert into visit select '2026-03-03', false, timestamptz '2026-03-03 00:00Z' + i * interval '1 min', 'x' || i, 1 from generate_series(1, 2) i;
drop trigger a on visit;
create trigger z after insert on visit for each row execute function rename_contact();
insert into visit select '2026-03-03', false, timestamptz '2026-03-03 00:00Z' + i * interval '1 min', 'x' || i, 1 from generate_series(3, 4) i;
drop trigger z on visit;
create trigger "A" after update on contact for each row execute function rename_contact();
update contact set id = 'y' || id where id in ('x5', 'x6');
update contact set country = 'SI' where id = 'x7';
drop trigger "A" on contact;
select id, country, count(who) as visits, array(select stream from leadstream.matches m where m.contact_id = c.id order by 1) as matched
from contact c left join visit v on v.who = c.id where id ~ '^y?x' group by 1, 2 order by 1;
select leadstream.disable('two visits'), leadstream.drop_stream('two visits');
delete from contact where id ~ '^y?x';
select leadstream.disable('unseen in DK'), leadstream.disable('seen in S');
select leadstream.drop_stream('unseen in DK'), leadstream.drop_stream('seen in S');
-- The column changes its type behind our back: no insert fails, and what reads as
-- a key still is one.
alter table visit drop constraint visit_who_fkey;
insert into contact values ('n1', 'SE'), ('n2', 'SE'), ('n3', 'SE');
alter table visit alter who type name;
insert into visit values ('2026-04-01', true, '2026-04-01 00:00Z', 'n1', 1);
alter table visit alter who type bytea using who::text::bytea;
insert into visit values ('2026-04-01', true, '2026-04-02 00:00Z', 'n2', 1);
alter table visit alter who type text using convert_from(who, 'UTF8');
insert into visit values ('2026-04-01', true, '2026-04-03 00:00Z', 'n3', 1);
select contact_id, stream from leadstream.matches where contact_id like 'n_' order by 1;
alter table visit rename who to whom;
insert into contact values ('n4', 'SE');
insert into visit values ('2026-04-01', true, '2026-04-04 00:00Z', 'n4', 1);
select contact_id, stream from leadstream.matches where contact_id like 'n_' order by 1;

select leadstream.disable('visited from SE'), leadstream.disable('from NO');
select leadstream.drop_stream('visited from SE'), leadstream.drop_stream('from NO');
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema contact_keys cascade;
