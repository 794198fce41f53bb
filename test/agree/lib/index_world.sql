-- index_world.sql: one world of agree_index, and then the next
--
-- A session that lacks keys is one that begins when they are gone.

call ix.clean();
call ix.begin_world(:seed, :w, :streams);
select ix.resume() \g /dev/null
call ix.make_tables();
call ix.populate(:contacts, :rows);
call ix.attach();
call ix.make_streams(:streams);
\c
set client_min_messages = error;
select ix.resume() \g /dev/null
call ix.compare_lookups();
call ix.make_steps(:contacts, :steps);
\ir index_leads.sql

select :w + 1 as w, :w + 1 < :first_world + :worlds as more \gset
\if :more
	\ir index_world.sql
\endif
