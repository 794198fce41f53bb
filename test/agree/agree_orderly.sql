-- agree_orderly.sql: three ways agree in the orderly world
--
-- The orderly world of DESIGN 3: streams enabled first; contacts and
-- timeless rows there before; then every row alone, in the order of time, at
-- clock = its own time; nothing changes, nothing is deleted.  Then
--   (i)   the matches that live capture made,
--   (ii)  those that fetch_history makes for a second stream with the rule,
--   (iii) the first instants of the naive judge
-- are compared, contact by contact, instant by instant:
--   (ii) = (iii) for every rule;
--   (i) = (iii) for every rule that time alone cannot make true, and every
--   contact of whom it was not true from the beginning;
--   (i) = the naive judge that replays the arrivals, for every rule at all.
--
-- Half-way a third stream with each rule is enabled, and its matches are those
-- that simulate() gives from then on; as are the live ones, from the beginning.
--
-- Which rules can time alone make true?  nv.time_makes() answers exactly for
-- each comparison: a clock on the greater side, a period, an equality with
-- the clock; older than, or a where that time makes true, where more rows
-- make it truer; within, or a where that time ends, where fewer rows do; all
-- of these where it matters not which (=, <>, other aggregates).
--
-- Several rows of one contact at one instant arrive one by one at one clock.
-- The timeline knows only the state behind the last of them, live capture
-- meets the states between.  They agree where one more row can only make the
-- rule truer (nv.rows_grow); so in every third world, which has such rows,
-- (i) = (iii) is asked of those rules alone, and in the others a contact has
-- one row an instant.
--
-- psql -X -v ON_ERROR_STOP=1 -f test/agree/agree_orderly.sql       a slice
--      -v full=1         10,000 rules, 10 to 30 minutes
--                        (test/run.sh --limit 3600 -v full=1 agree 'agree_orderly')
--      -v seed=N -v n_rules=N -v rules_per_world=N -v first_world=N

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
\if :{?seed} \else \set seed 20240616 \endif
\if :{?rules_per_world} \else \set rules_per_world 40 \endif
\if :{?n_rules} \else
	\if :{?full} \set n_rules 10000 \else \set n_rules 320 \endif
\endif
\if :{?first_world} \else \set first_world 1 \endif
\if :{?contacts} \else \set contacts 20 \endif

set client_min_messages = error;
create extension if not exists leadstream;
\ir lib/world.sql
\ir lib/generate.sql
\ir lib/judge.sql
\ir lib/report.sql
\ir lib/replay.sql

-- Contacts and timeless rows, and the rows to come in the order of time.
create procedure nv.orderly_stage(seed bigint, w int, contacts int, ties boolean)
language plpgsql as $$
declare
	t timestamptz;
	tab text;
	v jsonb;
begin
	drop table if exists nv.stage;
	create table nv.stage (n int generated always as identity, tbl text, key text, t timestamptz, v jsonb);
	perform nv.reseed(seed, 'world ' || w);
	for i in 1 .. contacts loop
		perform nv.put('contact', jsonb_build_array(nv.some_contact(i)));
		for j in 1 .. nv.r(4) loop
			perform nv.put('badge', jsonb_build_array(nv.placed('badge', nv.some_row('badge', nv.clock()), nv.key(i), null)));
		end loop;
		foreach tab in array '{visit,Mail Box,event}'::text[] loop
			foreach t in array nv.some_times(nv.r(9), nv.clock()) loop
				if nv.p(2) then
					t := null;
				end if;
				v := nv.placed(tab, nv.some_row(tab, nv.clock()), nv.key(i), t);
				if t is null then
					perform nv.put(tab, jsonb_build_array(v));
				else
					insert into nv.stage (tbl, key, t, v) values (tab, nv.key(i), nv.time_of(tab, v), v);
				end if;
			end loop;
		end loop;
	end loop;
	delete from nv.stage s where s.t > nv.clock()
		or not ties and exists (select from nv.stage o where o.key = s.key and o.t = s.t and o.n < s.n);
	delete from nv.times;
	insert into nv.times
	select coalesce(min(s.at) - interval '1 microsecond', nv.clock()), nv.clock()
	from (select g.t as at, lag(g.t) over w as before, row_number() over w * 2 >= count(*) over () as is_late
		from nv.stage g window w as (order by g.t, g.n)) s
	where s.is_late and s.before < s.at - interval '1 microsecond';
	analyze;
end $$;

-- Choose the rules: mostly such as time alone cannot make true.
create procedure nv.orderly_rules(seed bigint, first_rule int, rules int)
language plpgsql as $$
declare
	rule jsonb;
begin
	drop table if exists nv.chosen;
	create table nv.chosen (n int, rule jsonb, txt text, safe boolean, grow boolean, wrong text);
	for i in first_rule .. first_rule + rules - 1 loop
		for try in 0 .. 9 loop
			rule := nv.a_rule(seed + try * 1000000007::bigint, i);
			exit when not nv.time_makes(rule) and rule::text like '%"agg"%' or try = 9 or nv.p(6);
		end loop;
		insert into nv.chosen values (i, rule, nv.rule_text(rule), not nv.time_makes(rule), nv.rows_grow(rule));
		begin
			perform leadstream.create_stream('live ' || n, txt::leadstream.rule, '{sales}'),
					leadstream.create_stream('late ' || n, txt::leadstream.rule, '{sales}'),
					leadstream.create_stream('history ' || n, txt::leadstream.rule, '{sales}')
				from nv.chosen where n = i;
			-- before all that happens
			perform set_config('leadstream.clock', '1990-01-01 00:00Z', false);
			perform leadstream.enable('live ' || i);
			perform set_config('leadstream.clock', current_setting('nv.clock'), false);
		exception when others then
			update nv.chosen set wrong = format('%s: %s', sqlstate, sqlerrm) where n = i;
		end;
	end loop;
end $$;

-- The end, and an instant between two rows, about half-way.
create table nv.times (half_way timestamptz, the_end timestamptz);
create function nv.half_way() returns timestamptz language sql as 'select half_way from nv.times';
create function nv.the_end() returns timestamptz language sql as 'select the_end from nv.times';

create procedure nv.orderly_late()
language plpgsql as $$
begin
	perform nv.set_clock(nv.half_way());
	perform leadstream.enable('late ' || n) from nv.chosen where wrong is null;
end $$;

create procedure nv.orderly_run("from" timestamptz, upto timestamptz)
language plpgsql as $$
declare
	s record;
	ev int := (select count(*) from nv.stage where t <= "from");
begin
	for s in select * from nv.stage where t > "from" and t <= upto order by t, n loop
		ev := ev + 1;
		perform set_config('nv.event', ev::text, false);
		-- late at times, but before the next row
		perform nv.set_clock(s.t - interval '1 microsecond' * (1 + ev % 3));
		perform leadstream.tick();
		perform nv.set_clock(s.t);
		begin
			perform nv.put(s.tbl, jsonb_build_array(s.v));
		exception when others then
			perform nv.ok(false, 'orderly: an insert failed');
			perform nv.diag(format('%s: %s; %s %s', sqlstate, sqlerrm, s.tbl, s.v));
		end;
		perform nv.note_event(ev, s.t, s.tbl);
	end loop;
	perform nv.set_clock(upto);
	perform leadstream.tick();
end $$;

create procedure nv.orderly_check(seed bigint, w int, ties boolean)
language plpgsql as $$
declare
	c record;
	wrong text[];
	clock timestamptz;
	half_way timestamptz := nv.half_way();
	compared int := 0;
	matched int := 0;
	m int;
	x int;
	failed int := 0;
begin
	perform nv.settings(w);
	clock := nv.clock();
	for c in select * from nv.chosen order by n loop
		begin
			if c.wrong is not null then
				raise exception '%', c.wrong;
			end if;
			perform leadstream.enable('history ' || c.n);
			perform leadstream.fetch_history('history ' || c.n);
			with naive as (select key, nv.first_instant(line, clock) as first, lower_inf(line) as begun from nv.timeline(c.rule)),
				replay as (select key, at, ev from nv.live(c.rule, 0)),
				live as (select * from nv.matches('live ' || c.n)),
				late as (select * from nv.matches('late ' || c.n)),
				simulated as (select contact_id as key, matched_at as at
					from leadstream.simulate(c.txt::leadstream.rule, '1990-01-01 00:00Z', clock + interval '1 microsecond')),
				simulated_late as (select contact_id as key, matched_at as at
					from leadstream.simulate(c.txt::leadstream.rule, half_way + interval '1 microsecond', clock + interval '1 microsecond')),
				history as (select * from nv.matches('history ' || c.n))
			select array_agg(format('contact %s: naive %s, history %s, live %s, replay %s%s%s; simulated %s; late %s, simulated %s', key, naive.first,
						history.at, live.at, replay.at, ' by event ' || ev, case when begun then '; true from the beginning' end,
						simulated.at, late.at, simulated_late.at) order by key)
					filter (where naive.first is distinct from history.at
						or c.safe and live.at is distinct from replay.at
						or (c.grow or not ties) and not begun and live.at is distinct from naive.first
						or (c.grow or not ties) and (live.at is distinct from simulated.at or late.at is distinct from simulated_late.at)),
				count(*) filter (where (c.grow or not ties) and not begun), count(live.at)
				into wrong, x, m
			from naive full join replay using (key) full join live using (key) full join history using (key)
				full join late using (key) full join simulated using (key) full join simulated_late using (key);
			compared := compared + x;
			matched := matched + m;
			if wrong is not null then
				raise exception '%', array_to_string(wrong[1:4], E'\n');
			end if;
		exception when others then
			failed := failed + 1;
			perform nv.ok(false, format('orderly: seed %s world %s rule %s (%s%s): %s', seed, w, c.n, case when c.safe then 'safe' else 'by time' end,
				case when c.grow then ', grows' else '' end, c.txt));
			perform nv.diag(format('%s %s', sqlstate, sqlerrm));
		end;
	end loop;
	perform nv.ok(failed = 0, format('orderly: seed %s world %s (%s keys%s, zone %s%s): %s rules, %s of them three ways, %s arrivals, %s contacts compared, %s live matches',
		seed, w, current_setting('nv.keytype'),
		case when current_setting('nv.partitioned')::boolean then ', partitions' else '' end, nv.zone(), case when ties then ', rows at one instant' else '' end,
		(select count(*) from nv.chosen), (select count(*) from nv.chosen where grow or not ties), (select count(*) from nv.stage), compared, matched));
end $$;

select set_config('nv.infinite', 'off', false) \g /dev/null
select format('# agree_orderly: seed %s, %s rules', :seed, :n_rules);

select s.command
from generate_series(0, (:n_rules - 1) / :rules_per_world) as i,
	lateral (select :first_world + i as w, (:first_world + i) % 3 = 0 as ties) x,
	lateral (values
		(1, format('do $x$ begin perform nv.settings(%s); end $x$', w)),
		(2, 'call nv.clean()'),
		(3, format('call nv.orderly_stage(%s, %s, %s, %L)', :seed, w, :contacts, ties)),
		(4, 'do $x$ begin perform nv.attach(); end $x$'),
		(5, format('call nv.orderly_rules(%s, %s, %s)', :seed, (w - 1) * :rules_per_world + 1, least(:rules_per_world, :n_rules - i * :rules_per_world))),
		(6, 'call nv.orderly_run(''-infinity'', nv.half_way())'),
		(7, 'call nv.orderly_late()'),
		(8, 'call nv.orderly_run(nv.half_way(), nv.the_end())'),
		(9, format('call nv.orderly_check(%s, %s, %L)', :seed, w, ties)),
		(10, 'select nv.lines()')
	) s(n, command)
order by i, n
\gexec

select nv.plan();
