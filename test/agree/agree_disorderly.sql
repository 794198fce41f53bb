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

-- A multi-row INSERT ... VALUES.
create function nv.values_sql(tbl text, vs jsonb) returns text
language sql as $$
	select format('insert into w.%I (%s) values %s', tbl,
		(select string_agg(quote_ident(k), ', ' order by k) from jsonb_object_keys(vs -> 0) k),
		(select string_agg('(' || (select string_agg(
				case when jsonb_typeof(x) = 'null' then 'null'
					 when k = 'tags' then format('array(select jsonb_array_elements_text(%L))', x)
					 when k in ('data', 'attrs') then quote_literal(x::text)
					 else quote_literal(x #>> '{}') end, ', ' order by k)
			from jsonb_each(v) e(k, x)) || ')', ', ' order by i)
		 from jsonb_array_elements(vs) with ordinality r(v, i)))
$$;

create function nv.some_existing(n int) returns text[]
language plpgsql as $$
declare
	keys text[];
	picked text[] := '{}';
begin
	select array_agg(id::text order by id::text collate "C") into keys from w.contact;
	for i in 1 .. n loop
		picked := picked || nv.pick(keys);
	end loop;
	return picked;
end $$;

-- Some new rows of tbl; alone: this is the only one.
create function nv.new_rows(tbl text, n int, contacts int, alone boolean) returns jsonb
language plpgsql as $$
declare
	vs jsonb := '[]';
	k text;
	t timestamptz;
	clock timestamptz := nv.clock();
	same timestamptz := clock - nv.pick('{0,1 hour,24 hours}')::interval;
	keys text[] := nv.some_existing(1 + nv.r(3));
begin
	for i in 1 .. n loop
		k := case when nv.p(3) then null when nv.p(15) and tbl = 'Mail Box' then nv.key(1 + nv.r(contacts + 5)) else nv.pick(keys) end;
		t := case
			when nv.p(35) then clock
			when nv.p(20) then same
			when nv.p(50) then clock - nv.pick('{1 hour,6 hours,12 hours,24 hours,36 hours,48 hours,168 hours,240 hours,720 hours,1 microsecond}')::interval
			when nv.p(40) then clock - nv.r(100) * interval '24 hours'
			when nv.p(60) and not current_setting('nv.silent_world')::boolean
				then clock + nv.pick('{1 hour,24 hours,6 hours,168 hours,6 seconds}')::interval
			when nv.p(50) and alone then clock + nv.pick(case when current_setting('nv.silent_world')::boolean
				then '{3 seconds,5 seconds,1 microsecond}' else '{3 seconds,5 seconds,5.000001 seconds,1 microsecond}' end::text[])::interval
			when nv.p(50) then null
			else clock end;
		vs := vs || nv.placed(tbl, nv.some_row(tbl, clock), k, t);
	end loop;
	return vs;
end $$;

-- A statement that changes activities, where that is captured.
create function nv.change_step(target text, contacts int) returns text
language plpgsql as $$
declare
	d nv.tab;
	t text := (select nv.row_time(k) from nv.kind k where k.tbl = target limit 1);
	-- a row that is about to count would take the clock of others along
	calm text := case when t is null then 'true'
		else format('(%1$s > %2$L and %1$s <= %2$L::timestamptz + interval ''5 seconds'') is not true', t, nv.clock()) end;
	part text;
	k int := nv.r(20);
	keys text[] := nv.some_existing(2);
	sql text;
	vs jsonb;
	known jsonb;
	cols text;
begin
	select * into d from nv.tab x where x.tbl = target;
	part := format('hashtext(r.%I::text) %% 7 = %s', d.pk, nv.r(7));
	if k < 4 then
		sql := format('update w.%I r set label = %L, value = 2, ok = %L where %s', target, nv.pick('{x,abc}'), nv.p(50), part);
	elsif k < 6 then
		sql := format('delete from w.%I r where %s and hashtext(r.label) %% 2 = 0', target, part);
	elsif k < 8 then
		sql := format('delete from w.%I r where r.%I = %L and %s', target, d.contact_col, keys[1], nv.pick('{true,r.ok,r.value < 2}'));
	elsif k < 11 then
		-- visitors get to be known
		sql := format('update w.%1$I r set %2$I = %3$L where r.%2$I is null and %4$s', target, d.contact_col, keys[1], calm);
	elsif k < 13 then
		sql := format('update w.%1$I r set %2$I = %3$L where r.%2$I = %4$L and %5$s', target, d.contact_col,
			case when nv.p(70) then keys[1] end, keys[2], calm);
	elsif k < 16 and d.time_col is not null then
		sql := format('update w.%I r set %I = %L where %s', target, d.time_col,
			nv.placed(target, '{}', keys[1], nv.clock() - nv.pick('{0,1 hour,24 hours,36 hours,240 hours,-24 hours,-6 hours}')::interval) ->> d.time_col, part);
	else
		-- known rows once more, changed
		execute format('select coalesce(jsonb_agg(x), ''[]'') from (select to_jsonb(r) || %L from w.%I r where %s order by r.%I::text collate "C" limit 3) y(x)',
			nv.some_row(target, nv.clock()) - coalesce(d.time_col, ''), target, part, d.pk) into known;
		vs := nv.new_rows(target, 1 + nv.r(3), contacts, false) || known;
		if k < 18 then
			sql := format('insert into w.%1$I select * from jsonb_populate_recordset(null::w.%1$I, %2$L) on conflict (%3$s) do update set label = excluded.label, value = excluded.value, ok = excluded.ok',
				target, vs, (select string_agg(quote_ident(c), ', ') from unnest(d.pk_order) c));
		else
			select string_agg('s.' || quote_ident(attname), ', ' order by attnum) into cols
			from pg_attribute where attrelid = format('w.%I', target)::regclass and attnum > 0 and not attisdropped;
			sql := format('merge into w.%1$I r using jsonb_populate_recordset(null::w.%1$I, %2$L) s on %3$s
				when matched and s.ok then delete
				when matched then update set label = s.label, value = s.value, data = s.data
				when not matched then insert values (%4$s)',
				target, vs, (select string_agg(format('r.%I = s.%1$I', c), ' and ') from unnest(d.pk_order) c), cols);
		end if;
	end if;
	execute sql;
	return sql;
end $$;

-- One statement of any sort; returns what it was.
create function nv.step(contacts int) returns text
language plpgsql as $$
declare
	target text := nv.pick(array['visit', 'visit', 'visit', 'Mail Box', 'Mail Box', 'event', 'event', 'event', 'badge']);
	other text;
	vs jsonb;
	us jsonb;
	k int := nv.r(100);
	cols text[];
	pk text;
begin
	if nv.has_events() and (k >= 91 or k between 44 and 59) then
		return nv.change_step(target, contacts);
	elsif k >= 91 and not current_setting('nv.silent_world')::boolean then
		k := 39;
	end if;
	if k < 40 then
		vs := nv.new_rows(target, 1, contacts, true);
		perform nv.put(target, vs);
		return 'insert 1 ' || target || ' ' || vs::text;
	elsif k < 53 then
		vs := nv.new_rows(target, 2 + nv.r(6), contacts, false);
		execute nv.values_sql(target, vs);
		return 'insert values ' || target || ' ' || vs::text;
	elsif k < 62 then
		vs := nv.new_rows(target, 2 + nv.r(12), contacts, false);
		perform nv.put(target, vs);
		return 'insert select ' || target || ' ' || vs::text;
	elsif k < 67 then
		-- two tables by one statement
		loop
			other := nv.pick(array['visit', 'Mail Box', 'event', 'badge']);
			exit when other <> target;
		end loop;
		vs := nv.new_rows(target, 1 + nv.r(3), contacts, false);
		us := nv.new_rows(other, 1 + nv.r(3), contacts, false);
		execute format('with a as (insert into w.%I select * from jsonb_populate_recordset(null::w.%1$I, $1))
			insert into w.%I select * from jsonb_populate_recordset(null::w.%2$I, $2)', target, other) using vs, us;
		return 'insert two ' || target || vs::text || ' ' || other || us::text;
	elsif k < 82 then
		select array_agg(col) into cols from (select col from nv.col where owner = 'contact' order by random() limit 1 + nv.r(5)) c;
		us := nv.some_row('contact', nv.clock());
		if k < 79 then
			execute format('update w.contact t set (%s) = row (%s) from jsonb_populate_record(null::w.contact, $1) n where t.id::text = any ($2)',
				(select string_agg(quote_ident(c), ', ') from unnest(cols) c), (select string_agg('n.' || quote_ident(c), ', ') from unnest(cols) c))
				using us, nv.some_existing(1 + nv.r(3));
			return 'update contact ' || cols::text || us::text;
		end if;
		-- a contact and an activity by one statement
		vs := nv.new_rows(target, 1 + nv.r(2), contacts, false);
		execute format('with u as (update w.contact t set (%s) = row (%s) from jsonb_populate_record(null::w.contact, $1) n where t.id::text = any ($2))
			insert into w.%I select * from jsonb_populate_recordset(null::w.%3$I, $3)',
			(select string_agg(quote_ident(c), ', ') from unnest(cols) c), (select string_agg('n.' || quote_ident(c), ', ') from unnest(cols) c), target)
			using us, array(select v ->> (select contact_col from nv.tab where tbl = target) from jsonb_array_elements(vs) v), vs;
		return 'update contact ' || cols::text || us::text || ' and insert ' || target || vs::text;
	elsif k < 88 then
		-- new contacts, or known ones once more
		vs := '[]';
		for i in 1 .. 1 + nv.r(2) loop
			us := nv.some_contact(1 + nv.r(contacts + 5));
			if not exists (select from jsonb_array_elements(vs) v where v ->> 'id' = us ->> 'id') then
				vs := vs || us;
			end if;
		end loop;
		insert into w.contact select * from jsonb_populate_recordset(null::w.contact, vs)
			on conflict (id) do update set country = excluded.country, score = excluded.score, vip = excluded.vip, attrs = excluded.attrs;
		return 'upsert contacts ' || vs::text;
	elsif k < 91 then
		delete from w.contact where id::text = any (nv.some_existing(1));
		return 'delete contact';
	elsif k < 95 then
		pk := (select t.pk from nv.tab t where t.tbl = target);
		execute format('update w.%I set label = %L, value = 2, ok = %L where hashtext(%I::text) %% 9 = %s', target, nv.pick('{x,abc}'), nv.p(50), pk, nv.r(9));
		return 'update ' || target;
	elsif k < 97 then
		pk := (select t.pk from nv.tab t where t.tbl = target);
		execute format('delete from w.%I where hashtext(%I::text) %% 13 = %s', target, pk, nv.r(13));
		return 'delete ' || target;
	end if;
	-- a row that comes while capture is off
	perform set_config('leadstream.capture', 'off', false), set_config('nv.silent', 'on', false);
	vs := nv.new_rows(target, 1 + nv.r(3), contacts, false);
	perform nv.put(target, vs);
	perform set_config('leadstream.capture', 'on', false), set_config('nv.silent', 'off', false);
	return 'silent insert ' || target || vs::text;
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
