-- agree_scores.sql: scores that are kept agree with the naive judge
--
-- In the disorderly world (agree_disorderly.sql) there are score sets of random
-- rules.  They are created, altered, enabled, disabled and dropped on the way,
-- ticks come at random and do a part of what there is to do, and a set is judged
-- anew by rescore(), also behind rows that came while capture was off.
--
-- In between, whatever ticks are behind with, what is kept of a contact by the
-- set as it is now is what the naive judge adds up of the rules that are true of
-- it at the clock; or, where a tick is overdue, right before the instant at which
-- it was due, by the rows that exist now.  When ticks have caught up that is so of
-- every contact and set at the clock, and nothing is kept of sets that are gone.
-- verify_scores() finds nothing at any time.
--
-- A row up to five seconds ahead of the clock moves it for its contact, which is
-- then compared from that instant on.
--
-- psql -X -v ON_ERROR_STOP=1 -f test/agree/agree_scores.sql       a slice
--      -v full=1         100 worlds
--      -v seed=N -v worlds=N -v first_world=N -v steps=N

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
\if :{?seed} \else \set seed 20261121 \endif
\if :{?worlds} \else
	\if :{?full} \set worlds 100 \else \set worlds 6 \endif
\endif
\if :{?first_world} \else \set first_world 1 \endif
\if :{?contacts} \else \set contacts 15 \endif
\if :{?steps} \else \set steps 120 \endif

set client_min_messages = error;
create extension if not exists leadstream;
\ir lib/world.sql
\ir lib/generate.sql
\ir lib/judge.sql
\ir lib/report.sql
\ir lib/replay.sql
\ir lib/steps.sql

-- The sets as the naive side knows them.
create table nv.score_set (score_set text primary key, is_enabled boolean not null default true);
create table nv.score_rule (score_set text, score_rule text, rule jsonb, points int,
	is_enabled boolean not null default true, primary key (score_set, score_rule));

create function nv.some_points() returns int
language sql as $$ select (array[1, 2, 5, 10, 100, -3, -50])[1 + nv.r(7)] $$;

create function nv.add_score_rule(name text) returns void
language plpgsql as $$
declare
	rule jsonb := nv.a_condition((array[0, 0, 1, 1, 2])[1 + nv.r(5)]);
	points int := nv.some_points();
	title text := 'rule ' || nextval('nv.ids');
begin
	perform leadstream.create_score_rule(name, title, nv.rule_text(rule)::leadstream.rule, points);
	insert into nv.score_rule values (name, title, rule, points);
end $$;

-- One change of a set; returns what it was.
create function nv.change_set() returns text
language plpgsql as $$
declare
	s nv.score_set;
	r nv.score_rule;
	k int := nv.r(12);
	name text;
begin
	-- not as rows happen to lie
	name := nv.pick((select array_agg(x.score_set order by x.score_set) from nv.score_set x));
	select * into s from nv.score_set x where x.score_set = name;
	name := nv.pick((select array_agg(x.score_rule order by x.score_rule) from nv.score_rule x where x.score_set = s.score_set));
	select * into r from nv.score_rule x where x.score_rule = name;
	if r.score_rule is null or k < 2 then
		perform nv.add_score_rule(s.score_set);
		return 'create a rule of ' || s.score_set;
	elsif k < 4 then
		r.rule := nv.a_condition(nv.r(3));
		perform leadstream.alter_score_rule(s.score_set, r.score_rule, rule => nv.rule_text(r.rule)::leadstream.rule);
		update nv.score_rule x set rule = r.rule where x.score_rule = r.score_rule;
		return 'alter ' || r.score_rule;
	elsif k < 6 then
		r.points := nv.some_points();
		perform leadstream.alter_score_rule(s.score_set, r.score_rule, points => r.points);
		update nv.score_rule x set points = r.points where x.score_rule = r.score_rule;
		return 'points of ' || r.score_rule;
	elsif k < 8 then
		if r.is_enabled then
			perform leadstream.disable_score_rule(s.score_set, r.score_rule);
		else
			perform leadstream.enable_score_rule(s.score_set, r.score_rule);
		end if;
		update nv.score_rule x set is_enabled = not x.is_enabled where x.score_rule = r.score_rule;
		return 'turn ' || r.score_rule;
	elsif k < 9 then
		perform leadstream.drop_score_rule(s.score_set, r.score_rule);
		delete from nv.score_rule x where x.score_rule = r.score_rule;
		return 'drop ' || r.score_rule;
	elsif k < 11 then
		if s.is_enabled then
			perform leadstream.disable_score_set(s.score_set);
		else
			perform leadstream.enable_score_set(s.score_set);
		end if;
		update nv.score_set x set is_enabled = not x.is_enabled where x.score_set = s.score_set;
		return 'turn ' || s.score_set;
	end if;
	perform leadstream.drop_score_rule(x.score_set, x.score_rule) from nv.score_rule x where x.score_set = s.score_set;
	perform leadstream.drop_score_set(s.score_set);
	delete from nv.score_rule x where x.score_set = s.score_set;
	delete from nv.score_set x where x.score_set = s.score_set;
	perform nv.make_score_set('set ' || nextval('nv.ids'));
	return 'drop ' || s.score_set;
end $$;

create function nv.make_score_set(name text) returns void
language plpgsql as $$
begin
	perform leadstream.create_score_set(name);
	insert into nv.score_set values (name);
	for i in 1 .. 2 + nv.r(5) loop
		perform nv.add_score_rule(name);
	end loop;
end $$;

create procedure nv.score_world(seed bigint, w int)
language plpgsql as $$
begin
	perform nv.reseed(seed, 'scores ' || w);
	-- no scores in scores
	perform set_config('nv.in_score', 'on', false);
	delete from nv.score_rule;
	delete from nv.score_set;
	for i in 1 .. 3 loop
		perform nv.make_score_set('set ' || i);
	end loop;
	-- streams beside them, for what one settlement does of both
	for i in 1 .. 4 loop
		begin
			perform leadstream.create_stream('stream ' || i, nv.rule_text(nv.a_condition(1))::leadstream.rule, '{sales}');
			perform leadstream.enable('stream ' || i);
		end;
	end loop;
end $$;

-- What the rules of a set pay of contacts, each at its own instant, by the rows
-- that exist now.
create function nv.points_of(name text, keys text[], moments timestamptz[]) returns table (key text, points bigint)
language plpgsql as $$
begin
	return query execute format($q$
		select p.key, (%s)::bigint
		from (select key, n, 2147483646 as upto from unnest($1, $2) x(key, n)) p
		join sh.contact c on c.id::text = p.key and c.gone > p.upto
	$q$, coalesce((select string_agg(format('case when %s then %s else 0 end', nv.truth(r.rule), r.points), ' + ')
				   from nv.score_rule r where r.score_set = name and r.is_enabled), '0'))
		using keys, moments;
end $$;

-- Compare what is kept; caught_up: of all contacts, at the clock.
create procedure nv.check_scores(caught_up boolean, what text)
language plpgsql as $$
declare
	s text;
	wrong text[];
begin
	for s in select score_set from nv.score_set where is_enabled order by 1 loop
		with kept as (
			select c.id::text as key, k.points, k.next_at, v.version = k.version as is_current,
				   case when k.next_at <= nv.clock() and not caught_up then k.next_at - interval '1 microsecond' else nv.clock() end as n,
				   (select max(p.n) from nv.point p where p.key = c.id) as judged
			from w.contact c
			join leadstream.score_set v on v.score_set = s
			left join leadstream.score k on k.contact_id = c.id and k.score_set_id = v.score_set_id
		)
		select array_agg(format('contact %s at %s: kept %s (up to %s%s), naive %s', k.key, k.n, k.points, k.next_at,
				case when not k.is_current then ', older' end, p.points) order by k.key)
			into wrong
		from kept k
		join nv.points_of(s, (select array_agg(x.key order by x.key) from kept x), (select array_agg(x.n order by x.key) from kept x)) p using (key)
		where coalesce(k.judged <= k.n, true)
		  and case when caught_up then coalesce(k.points, 0) <> p.points or k.is_current is false
				   else k.is_current and k.points <> p.points end;
		if wrong is not null then
			perform nv.ok(false, format('scores: %s: %s: %s', what, s, wrong[1]));
			perform nv.diag(format('%s contacts; rules: %s', cardinality(wrong), (select string_agg(r.points || ': ' || t.rule::text, E'\n  ' order by r.score_rule)
				from nv.score_rule r join leadstream.score_rules t using (score_set, score_rule) where r.score_set = s and r.is_enabled)));
		end if;
	end loop;
	select array_agg(format('%s %s: kept %s, computed %s', v.score_set, v.contact_id, v.kept, v.computed)) into wrong from leadstream.verify_scores() v;
	if wrong is not null then
		perform nv.ok(false, format('scores: %s: verify_scores(): %s', what, wrong[1]));
	end if;
	if caught_up then
		select array_agg(distinct k.score_set_id) into wrong from leadstream.score k
		where not exists (select from leadstream.score_set v where v.score_set_id = k.score_set_id);
		if wrong is not null then
			perform nv.ok(false, format('scores: %s: kept of sets that are gone: %s', what, wrong));
		end if;
		-- the view says the same
		select array_agg(v.contact_id || ' ' || v.score_set) into wrong from leadstream.scores v
		full join (select k.contact_id::text as contact_id, x.score_set, k.points from leadstream.score k
				   join leadstream.score_set x using (score_set_id) where x.is_enabled) k
			on k.contact_id = v.contact_id::text and k.score_set = v.score_set
		where v.points is distinct from k.points or not v.is_current or v.as_of <> nv.clock();
		if wrong is not null then
			perform nv.ok(false, format('scores: %s: the view differs of %s', what, wrong[1]));
		end if;
	end if;
end $$;

create procedure nv.catch_up()
language plpgsql as $$
begin
	for i in 1 .. 3 loop
		commit;
		perform leadstream.tick();
	end loop;
	commit;
end $$;

create procedure nv.score_run(seed bigint, w int, contacts int, steps int)
language plpgsql as $$
declare
	what text;
	x text;
	failed int := (select c.failed from nv.counter c);
	compared int := 0;
	leads bigint;
begin
	for ev in 1 .. steps loop
		perform nv.reseed(seed, format('score step %s of %s', ev, w));
		if nv.p(70) then
			perform nv.set_clock(nv.clock() + nv.pick('{1 minute,1 hour,1 hour,6 hours,12 hours,24 hours,36 hours,72 hours,168 hours,1 microsecond}')::interval);
		end if;
		perform set_config('nv.event', ev::text, false);
		begin
			if nv.p(10) then
				what := nv.change_set();
				perform nv.note_event(ev, nv.clock(), what);
			else
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
			end if;
		exception when others then
			perform nv.ok(false, format('scores: seed %s world %s step %s failed', seed, w, ev));
			perform nv.diag(format('%s: %s', sqlstate, sqlerrm));
		end;
		if nv.p(40) then
			commit;
		end if;
		if nv.p(3) then
			-- what came unseen
			perform set_config('leadstream.capture', 'off', false);
			perform nv.put('visit', nv.new_rows('visit', 3, contacts, false));
			perform set_config('leadstream.capture', 'on', false);
			commit;
			for x in select score_set from nv.score_set where is_enabled order by score_set loop
				call leadstream.rescore(x, 1 + nv.r(10));
			end loop;
			what := what || ' and rows that capture did not see';
		elsif nv.p(4) then
			commit;
			for x in select score_set from nv.score_set where is_enabled order by score_set loop
				continue when nv.p(50);
				call leadstream.rescore(x, 1 + nv.r(10));
			end loop;
		end if;
		if nv.p(12) then
			commit;
			call leadstream.tick_batches(1 + nv.r(8), leads);
		end if;
		if nv.p(15) then
			call nv.catch_up();
			call nv.check_scores(true, format('seed %s world %s step %s (%s) after a tick', seed, w, ev, left(what, 400)));
			compared := compared + 1;
		elsif nv.p(60) then
			call nv.check_scores(false, format('seed %s world %s step %s (%s)', seed, w, ev, left(what, 400)));
			compared := compared + 1;
		end if;
		-- one that is found tells enough
		exit when (select c.failed from nv.counter c) > failed;
	end loop;
	call nv.catch_up();
	if (select c.failed from nv.counter c) = failed then
		call nv.check_scores(true, format('seed %s world %s at the end', seed, w));
	end if;
	perform nv.ok((select c.failed from nv.counter c) = failed, format('scores: seed %s world %s (%s keys%s): %s comparisons, %s scores kept, %s of them not 0',
		seed, w, current_setting('nv.keytype'),
		case when current_setting('nv.partitioned')::boolean then ', partitions' else '' end || case when nv.has_events() then ', events' else '' end,
		compared, (select count(*) from leadstream.score), (select count(*) from leadstream.score where points <> 0)));
end $$;

select set_config('nv.infinite', 'off', false) \g /dev/null
select format('# agree_scores: seed %s, %s worlds', :seed, :worlds);

select s.command
from generate_series(:first_world, :first_world + :worlds - 1) as w,
	lateral (values
		(1, format('do $x$ begin perform nv.settings(%s), set_config(''nv.silent_world'', ''false'', false), set_config(''nv.events'', (%1$s %% 2 = 1)::text, false); end $x$', w)),
		(2, 'call nv.clean()'),
		(3, format('call nv.populate(%s, %s, %s, 5)', :seed, w, :contacts)),
		(4, 'do $x$ begin perform nv.attach(); end $x$'),
		(5, format('call nv.score_world(%s, %s)', :seed, w)),
		(6, format('call nv.score_run(%s, %s, %s, %s)', :seed, w, :contacts, :steps)),
		(7, 'select nv.lines()')
	) s(n, command)
order by w, n
\gexec

select nv.plan();
