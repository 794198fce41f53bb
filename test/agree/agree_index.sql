-- agree_index.sql: what a row is looked up to concern, and what it concerns
--
-- The streams that a row may concern are found by digests kept in a table
-- (stream_keys.c), instead of asking each stream.  Whatever the rules and the
-- rows, none may be missed.  In random worlds (lib/index.sql), of which every
-- third has accounts and every fifth columns of all types:
--   rows      every stream that says, asked itself, that a row concerns it is
--             found by the row and its contact, unless the contact is such
--             that the rule is not true of it; likewise with the row of another
--             contact
--   contacts  every stream whose rule is true of a contact is found by the
--             contact's own row or by one of its activities
--   leads     statements that insert rows and contacts and change contacts make
--             exactly the leads of the rules that became true by them, judged
--             one by one before and after (also of those that were true and are
--             perhaps for a new reason); and the same leads in sessions that
--             must enter all streams themselves, or half of them
-- Rules over types of others (citext) are asked by nobody whether a row
-- concerns them: they count for contacts and leads.  Last come many streams of
-- which each asks for little: with them a row must find few.
--
-- psql -X -v ON_ERROR_STOP=1 -f test/agree/agree_index.sql       a slice
--      -v full=1         a million pairs of a rule and a row, 2 to 10 minutes
--                        (test/run.sh -v full=1 agree agree_index)
--      -v seed=N -v worlds=N -v first_world=N -v streams=N -v rows=N
--      -v show=on        names the rules that do not bind
--
-- Connects anew, to the same database, many times.

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
\if :{?seed} \else \set seed 20240616 \endif
\if :{?worlds} \else
	\if :{?full} \set worlds 60 \else \set worlds 8 \endif
\endif
\if :{?streams} \else
	\if :{?full} \set streams 240 \else \set streams 80 \endif
\endif
\if :{?many} \else
	\if :{?full} \set many 6000 \else \set many 1200 \endif
\endif
\if :{?first_world} \else \set first_world 1 \endif
\if :{?contacts} \else \set contacts 20 \endif
\if :{?rows} \else \set rows 60 \endif
\if :{?steps} \else \set steps 30 \endif
\if :{?show} \else \set show off \endif

set client_min_messages = error;
create extension if not exists leadstream;
\ir lib/world.sql
\ir lib/report.sql
\ir lib/index.sql
\ir lib/index_compare.sql
insert into ix.setting values (:'show');

\set w :first_world
\ir lib/index_world.sql

-- Many streams of which each asks for little.
call ix.clean();
insert into ix.count select what || ', of random rules', n from ix.count where what in ('candidates', 'concerned', 'matches', 'rows', 'rules') \g /dev/null
truncate ix.world;
insert into ix.world values (:seed, 0, :many, '{tx,i4,j,ta,b}', 'none');
select ix.resume() \g /dev/null
call ix.make_tables();
call ix.selective_rows(:contacts, 60, 40);
call ix.attach();
call ix.make_selective_streams(:many);
\c
set client_min_messages = error;
select ix.resume() \g /dev/null
call ix.compare_selectivity();
call ix.compare_lookups();
\ir lib/index_leads.sql

create function ix.n(what text) returns bigint
language sql as $$ select coalesce((select n from ix.count c where c.what = $1), 0) $$;

select nv.diag(format('seed %s, worlds %s to %s', :seed, :first_world, :first_world + :worlds - 1)) \g /dev/null
select nv.diag(format('%s: %s', what, n)) from ix.count order by what \g /dev/null
select nv.ok(ix.n('differences: rows') = 0, 'every stream that a row concerns is found by it') \g /dev/null
select nv.ok(ix.n('differences: contacts') = 0, 'every stream whose rule is true of a contact is found by it or by its rows') \g /dev/null
select nv.ok(ix.n('differences: leads') = 0, 'leads are those of the rules that became true, with keys and without') \g /dev/null
-- A test that compares nothing would pass.
select nv.ok(ix.n('concerned, of random rules') > 3 * ix.n('rows, of random rules'), 'rows concern several streams each') \g /dev/null
select nv.ok(ix.n('leads') > ix.n('steps') and ix.n('matches, of random rules') > ix.n('rules, of random rules'), 'rules are true of several contacts each, and steps make leads') \g /dev/null
select nv.ok(ix.n('refused') < 0.2 * ix.n('rules'), 'most random rules bind') \g /dev/null
select nv.lines();
select nv.plan();
