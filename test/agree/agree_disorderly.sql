-- agree_disorderly.sql: live capture agrees with a naive replay of arrivals
--
-- The disorderly world: rows late, in the future, without a time, without or
-- before their contact; many rows in one statement, also of several contacts
-- and of two tables; several rows at one instant; contacts inserted, updated,
-- deleted, made again; activities updated and deleted, captured or not;
-- savepoints rolled back; a clock that goes on by leaps; capture silenced;
-- streams enabled, altered, disabled on the way.  Every statement is one
-- settlement for each contact it wrote to.  A stream matches if its rule is true after
-- the statement and
--   (a) a new row counts now in an activity condition in force (one that was
--       updated is new if its version before had another contact or time or did
--       not satisfy the where), or
--   (b) the rule was not true before: without the rows of the statement and
--       with the contact as it was, at the same clock.
-- or time alone made it true, or made a row count in a condition in force,
-- which is seen by a tick(), or before the contact's next row is judged.
--
-- Where a rule does not turn by time, rows of the future that were there when
-- its stream was enabled are looked after from the first tick on; where it
-- does, from the moment it was enabled, also if that tick comes later.
--
-- In a quarter of the worlds updates and deletes of activities are captured.
-- What no trigger sees changes what time makes true, and when that is seen
-- depends on ticks.  So in every other world there are no such changes and
-- everything is compared; in the others there are, but no row of the future,
-- and rules are compared that have neither windows nor the clock in them.
--
-- Where DESIGN is silent:
--  * A new row up to five seconds ahead of the clock moves it, whatever rule
--    is judged.  (Such rows come alone here.)
--  * A row inserted and, by the same statement, a contact changed are one
--    settlement.
--  * A new row whose field is null counts, also in count(distinct).
--
-- psql -X -v ON_ERROR_STOP=1 -f test/agree/agree_disorderly.sql       a slice
--      -v full=1         10,000 rules, 10 to 30 minutes
--                        (test/run.sh --limit 3600 -v full=1 agree 'agree_disorderly')
--      -v seed=N -v n_rules=N -v rules_per_world=N -v first_world=N -v steps=N

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
\if :{?seed} \else \set seed 20240617 \endif
\if :{?rules_per_world} \else \set rules_per_world 50 \endif
\if :{?n_rules} \else
	\if :{?full} \set n_rules 10000 \else \set n_rules 400 \endif
\endif
\if :{?first_world} \else \set first_world 1 \endif
\if :{?contacts} \else \set contacts 20 \endif
\if :{?steps} \else \set steps 250 \endif

set client_min_messages = error;
create extension if not exists leadstream;
\ir lib/world.sql
\ir lib/generate.sql
\ir lib/judge.sql
\ir lib/report.sql
\ir lib/replay.sql
\ir lib/steps.sql

create function nv.knows_time(rule jsonb) returns boolean
language sql immutable as $$ select rule::text ~ '"(within|older)"|"t": "(clock|period)"' $$;

-- The streams, and what is done to them on the way: a stream is enabled at
-- the start or later, and sometimes altered, or disabled for a while.  Each
-- segment is a time during which it has one rule and is enabled: the events
-- from .. upto.
create procedure nv.disorderly_rules(seed bigint, first_rule int, rules int, steps int)
language plpgsql as $$
declare
	rule jsonb;
	other jsonb;
	a int;
	b int;
begin
	drop table if exists nv.chosen, nv.segment, nv.deed;
	create table nv.chosen (n int, wrong text);
	create table nv.segment (n int, rule jsonb, txt text, since int, upto int, begun timestamptz, ended timestamptz);
	create table nv.deed (n int, ev int, what text, txt text);
	for i in first_rule .. first_rule + rules - 1 loop
		for try in 0 .. 40 loop
			rule := nv.a_rule(seed + try * 1000000007::bigint, i);
			exit when (rule::text like '%"agg"%' or nv.p(30))
				and not (current_setting('nv.silent_world')::boolean and nv.knows_time(rule))
				and (nv.time_makes(rule) or current_setting('nv.seed_at_once')::boolean or current_setting('nv.silent_world')::boolean);
		end loop;
		a := case when nv.p(70) then 1 else nv.r(steps / 2) + 1 end;
		b := a + 1 + nv.r(steps / 3);
		insert into nv.chosen values (i);
		insert into nv.segment values (i, rule, nv.rule_text(rule), a, 2147483646);
		insert into nv.deed values (i, a, 'enable');
		case nv.r(10)
			when 0 then
				update nv.segment set upto = b - 1 where n = i;
				for try in 41 .. 80 loop
					other := nv.a_rule(seed + try * 1000000007::bigint, i);
					exit when not (current_setting('nv.silent_world')::boolean and nv.knows_time(other))
						and (nv.time_makes(other) or current_setting('nv.seed_at_once')::boolean or current_setting('nv.silent_world')::boolean);
				end loop;
				insert into nv.segment values (i, other, nv.rule_text(other), b, 2147483646);
				insert into nv.deed select i, b, 'alter', txt from nv.segment where n = i and since = b;
			when 1 then
				update nv.segment set upto = b - 1 where n = i;
				insert into nv.segment select i, s.rule, s.txt, b + steps / 10, 2147483646 from nv.segment s where s.n = i;
				insert into nv.deed values (i, b, 'disable'), (i, b + steps / 10, 'enable');
			else null;
		end case;
		begin
			perform leadstream.create_stream('stream ' || i, txt::leadstream.rule, '{sales}') from nv.segment where n = i and since = a;
		exception when others then
			update nv.chosen set wrong = format('%s: %s', sqlstate, sqlerrm) where n = i;
		end;
	end loop;
end $$;

create procedure nv.deeds(at int)
language plpgsql as $$
declare
	d record;
begin
	if exists (select from nv.deed x where x.ev = at and x.what <> 'enable') then
		-- a rule that this transaction has put to work waits for nothing yet
		commit;
	end if;
	if exists (select from nv.deed x where x.ev = at) then
		-- what waits of a rule goes with it
		perform set_config('leadstream.clock', nv.iso(nv.clock() - interval '1 microsecond'), false);
		perform leadstream.tick();
		perform nv.set_clock(nv.clock());
	end if;
	update nv.segment set begun = nv.clock() where since = at;
	update nv.segment set ended = nv.clock() where upto = at - 1;
	for d in select x.* from nv.deed x join nv.chosen c using (n) where x.ev = at and c.wrong is null order by n loop
		begin
			case d.what
				when 'enable' then perform leadstream.enable('stream ' || d.n);
				when 'disable' then perform leadstream.disable('stream ' || d.n);
				else perform leadstream.alter_stream('stream ' || d.n, rule => d.txt::leadstream.rule);
			end case;
		exception when others then
			update nv.chosen set wrong = format('%s at %s: %s: %s', d.what, at, sqlstate, sqlerrm) where n = d.n;
		end;
	end loop;
end $$;

create procedure nv.disorderly_run(seed bigint, w int, contacts int, steps int)
language plpgsql as $$
declare
	what text;
begin
	for ev in 1 .. steps loop
		perform nv.reseed(seed, format('step %s of %s', ev, w));
		-- a rule is put to work at an instant of its own
		if nv.p(70) or ev in (select x.ev from nv.deed x) then
			perform nv.set_clock(nv.clock() + nv.pick('{1 minute,1 hour,1 hour,6 hours,12 hours,24 hours,36 hours,72 hours,168 hours,1 microsecond}')::interval);
		end if;
		call nv.deeds(ev);
		if current_setting('nv.seed_at_once')::boolean then
			commit;
			perform leadstream.tick();
		end if;
		perform set_config('nv.event', ev::text, false);
		begin
			if nv.p(12) then
				-- and now it did not happen
				begin
					what := nv.step(contacts);
					raise exception using errcode = 'LS999';
				exception when sqlstate 'LS999' then null;
				end;
			end if;
			what := nv.step(contacts);
			perform nv.note_event(ev, nv.clock(), what);
			if nv.p(15) then
				perform leadstream.tick();
			end if;
		exception when others then
			perform nv.ok(false, format('disorderly: seed %s world %s step %s failed', seed, w, ev));
			perform nv.diag(format('%s: %s', sqlstate, sqlerrm));
		end;
		if nv.p(40) then
			commit;
		end if;
	end loop;
	perform leadstream.tick();
	update nv.segment set ended = nv.clock() + interval '1 microsecond' where ended is null;
end $$;

create procedure nv.disorderly_check(seed bigint, w int)
language plpgsql as $$
declare
	c record;
	wrong text[];
	m int;
	matched int := 0;
	failed int := 0;
begin
	for c in select * from nv.chosen order by n loop
		begin
			if c.wrong is not null then
				raise exception '%', c.wrong;
			end if;
			with replay as (
					select distinct on (l.key) l.key, l.at, l.place::int as ev, l.place from nv.segment s
					cross join lateral (
						select x.key, x.at, x.ev::numeric as place from nv.live(s.rule, s.since - 1, s.upto) x
						union all
						select x.key, x.at, x.place from nv.by_time(s.rule, s.since, s.upto, s.begun, s.ended) x
						where not current_setting('nv.silent_world')::boolean) l
					where s.n = c.n order by l.key, l.place, l.at),
				live as (select contact_id::text as key, matched_at as at, origin from leadstream.matches where stream = 'stream ' || c.n)
			select array_agg(format(E'contact %s: replay %s%s, live %s%s\n  by event %s: %s', key, replay.at,
					case when replay.place > replay.ev then ' by time behind ' || replay.ev end, live.at, ' ' || live.origin, coalesce(e.ev, replay.ev),
					left(coalesce(l.what, (select string_agg(x.what, E'\n  or ') from nv.log x where x.clock = live.at)), 800)) order by coalesce(replay.at, live.at))
					filter (where replay.at is distinct from live.at), count(replay.at)
				into wrong, m
			from replay full join live using (key)
				left join lateral (select p.ev from nv.point p where p.key::text = coalesce(replay.key, live.key) and p.n = least(live.at, replay.at) order by p.ev limit 1) e on true
				left join nv.log l on l.ev = e.ev;
			matched := matched + m;
			if wrong is not null then
				raise exception '%', array_to_string(wrong[1:3], E'\n');
			end if;
		exception when others then
			failed := failed + 1;
			perform nv.ok(false, format('disorderly: seed %s world %s rule %s: %s', seed, w, c.n,
				(select string_agg(format('(events %s to %s) %s', since, upto, txt), '; ' order by since) from nv.segment s where s.n = c.n)));
			perform nv.diag(format('%s %s', sqlstate, sqlerrm));
		end;
	end loop;
	perform nv.ok(failed = 0, format('disorderly: seed %s world %s (%s keys%s, zone %s): %s rules, %s statements, %s settlements, %s live matches',
		seed, w, current_setting('nv.keytype'),
		case when current_setting('nv.partitioned')::boolean then ', partitions' else '' end || case when nv.has_events() then ', events' else '' end, nv.zone(), (select count(*) from nv.chosen), (select count(*) from nv.log),
		(select count(*) from nv.point), matched));
end $$;

select set_config('nv.infinite', 'off', false) \g /dev/null
select format('# agree_disorderly: seed %s, %s rules', :seed, :n_rules);

select s.command
from generate_series(0, (:n_rules - 1) / :rules_per_world) as i,
	lateral (select :first_world + i as w) x,
	lateral (values
		(1, format('do $x$ begin perform nv.settings(%s), set_config(''nv.silent_world'', (%1$s %% 2 = 0)::text, false), set_config(''nv.events'', (%1$s %% 8 in (1, 7))::text, false), set_config(''nv.seed_at_once'', (%1$s %% 4 = 1)::text, false); end $x$', w)),
		(2, 'call nv.clean()'),
		(3, format('call nv.populate(%s, %s, %s, 5, past => %L)', :seed, w, :contacts, w % 4 <> 1)),
		(4, 'do $x$ begin perform nv.attach(); end $x$'),
		(5, format('call nv.disorderly_rules(%s, %s, %s, %s)', :seed, (w - 1) * :rules_per_world + 1,
			least(:rules_per_world, :n_rules - i * :rules_per_world), :steps)),
		(6, format('call nv.disorderly_run(%s, %s, %s, %s)', :seed, w, :contacts, :steps)),
		(7, format('call nv.disorderly_check(%s, %s)', :seed, w)),
		(8, 'select nv.lines()')
	) s(n, command)
order by i, n
\gexec

select nv.plan();
