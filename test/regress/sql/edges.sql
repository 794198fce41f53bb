--
-- edges: a thousand savepoints in a transaction, more contacts in a statement than
-- the server has room for locks, and rules as deep as they may be with little stack
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
set client_min_messages = warning;
create schema edges;
set search_path = edges;
create table contact (id integer primary key, country text);
create table visit (contact_id integer references contact, at timestamptz not null default now(), url text);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('Sales') > 0 as made;
select leadstream.create_stream('twice', 'count(visit) >= 2', '{Sales}') > 0 as made;
select leadstream.enable('twice');
insert into contact select i, 'SE' from generate_series(1, 20000) i;

-- The second row of each third one is taken back with its savepoint.
do $$
begin
	for i in 1..1000 loop
		insert into visit values (i);
		begin
			insert into visit values (i);
			if i % 3 = 0 then
				raise division_by_zero;
			end if;
		exception when division_by_zero then
			null;
		end;
	end loop;
end $$;
select count(*), bool_and(contact_id % 3 <> 0) as are_right from leadstream.leads;
select count(*) from leadstream.verify('twice');

-- No lock of the lock table is held for a contact.
begin;
insert into visit select i from generate_series(1001, 20000) i;
select count(*) < 100 as are_few from pg_locks where pid = pg_backend_pid();
insert into visit select i from generate_series(20000, 19001, -1) i;
select count(*) from leadstream.leads where contact_id > 1000;
commit;
select count(*) from leadstream.verify('twice');

-- What may be written may be judged.
select leadstream.create_stream('deep', (repeat('not (', 47) || 'country = ''SE'' or not exists(visit where url = ''/deep'')' || repeat(')', 47))::leadstream.rule, '{Sales}') > 0 as made;
select leadstream.enable('deep');
-- patterns as long and as deep as they may be
select leadstream.create_stream('pattern', ('exists(visit where url like ''' || repeat('%a', 499) || '%b'' and url ilike ''' || repeat('%A', 499) || '%B'' and url ~ '''
	|| repeat('(', 499) || 'ab' || repeat(')', 499) || ''')')::leadstream.rule, '{Sales}') > 0 as made;
select leadstream.enable('pattern');
set max_stack_depth = '200kB';
update contact set country = 'NO' where id <= 3;
insert into visit values (1, default, '/deep'), (2, default, repeat('a', 100000) || 'b'), (3, default, repeat('a', 100000));
select contact_id from leadstream.matches where stream = 'pattern';
select leadstream.fetch_history('pattern');
select leadstream.fetch_history('deep');
select contact_id from leadstream.matches where stream = 'deep';
select count(*) > 50 as is_explained from leadstream.explain('deep', 1);
select count(*) from leadstream.verify('deep');
reset max_stack_depth;

update leadstream.stream set is_enabled = false;
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema edges cascade;
