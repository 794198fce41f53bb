-- agree_history.sql: history and the live judge agree with the naive judge
--
-- For every random rule and contact of some random worlds:
--   leadstream.timeline(rule) = the naive timeline,
--   leadstream.preview(rule) = the naive first instants,
--   leadstream.is_match(rule, contact) = the naive truth at the clock,
--   leadstream.verify(rule) is empty,
--   leadstream.explain(rule, contact) says the same, and what decides it
--   (lib/explain.sql),
-- and for all rules of a world at once, fetch_history(streams) makes the
-- matches that preview promised, and none when called again; in every third world
-- backfill() of one after the other makes the same.
--
-- psql -X -v ON_ERROR_STOP=1 -f test/agree/agree_history.sql       a slice
--      -v full=1         10,000 rules, 10 to 30 minutes
--                        (test/run.sh --limit 3600 -v full=1 agree 'agree_history')
--      -v seed=N         other worlds and rules
--      -v n_rules=N -v rules_per_world=N -v first_world=N
--
-- Output is TAP: one line per world, and one for each rule that fails.

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
\if :{?seed} \else \set seed 20240615 \endif
\if :{?rules_per_world} \else \set rules_per_world 50 \endif
\if :{?n_rules} \else
	\if :{?full} \set n_rules 10000 \else \set n_rules 400 \endif
\endif
\if :{?first_world} \else \set first_world 1 \endif
\if :{?contacts} \else \set contacts 24 \endif

set client_min_messages = error;
create extension if not exists leadstream;
\ir lib/world.sql
\ir lib/generate.sql
\ir lib/judge.sql
\ir lib/explain.sql
\ir lib/report.sql

-- Where the matches there are differ from nv.expected.
create function nv.wrong_matches() returns text language plpgsql as $$
declare
	wrong text;
begin
	execute $q$
		select string_agg(format('%s: contact %s expected %s got %s', name, key, e.first, m.at), E'\n' order by name)
		from (select x.name, t.key, nv.first_instant(t.line, $1) as first from nv.expected x, nv.timeline(x.rule) t) e
			full join (select stream as name, contact_id::text as key, matched_at as at from leadstream.matches) m using (name, key)
		where e.first is distinct from m.at
	$q$ into wrong using nv.clock();
	return wrong;
end $$;

create procedure nv.history_world(seed bigint, w int, first_rule int, rules int)
language plpgsql as $$
declare
	rule jsonb;
	txt text;
	label text;
	diffs text[];
	names text[] := '{}';
	trues int;
	everyone int;
	total_true bigint := 0;
	total bigint := 0;
	mixed int := 0;
	failed int := 0;
	made bigint;
	wrong text;
begin
	create table nv.expected (name text, rule jsonb, txt text);
	for i in first_rule .. first_rule + rules - 1 loop
		rule := nv.a_rule(seed, i);
		txt := nv.rule_text(rule);
		label := format('history: seed %s world %s rule %s: %s', seed, w, i, txt);
		begin
			if txt::leadstream.rule::text::leadstream.rule::text <> txt::leadstream.rule::text then
				raise exception 'the canonical text is no fixed point: %', txt::leadstream.rule;
			end if;
			select array_agg(d.what) filter (where d.what is not null), count(*) filter (where d.yes), count(*)
				into diffs, trues, everyone from nv.differences(rule, txt) d;
			total := total + everyone;
			total_true := total_true + trues;
			mixed := mixed + (trues between 1 and everyone - 1)::int;
			if diffs is not null then
				failed := failed + 1;
				perform nv.ok(false, label);
				perform nv.diag(x) from unnest(diffs[1:3]) x;
				perform nv.diag(format('and %s more', cardinality(diffs) - 3)) where cardinality(diffs) > 3;
			else
				perform leadstream.create_stream('rule ' || i, txt::leadstream.rule, '{sales}');
				perform leadstream.enable('rule ' || i);
				insert into nv.expected values ('rule ' || i, rule, txt);
				names := names || ('rule ' || i);
			end if;
		exception when others then
			failed := failed + 1;
			perform nv.ok(false, label);
			perform nv.diag(format('%s: %s', sqlstate, sqlerrm));
		end;
	end loop;
	perform nv.ok(failed = 0, format('history: seed %s world %s (%s keys%s, zone %s, clock %s): %s rules, %s contacts, true of %s %%, %s rules of some but not all',
		seed, w, current_setting('nv.keytype'),
		case when current_setting('nv.partitioned')::boolean then ', partitions' else '' end, nv.zone(), nv.clock() at time zone 'UTC', rules, everyone,
		round(100.0 * total_true / greatest(total, 1), 1), mixed));

	label := format('history: seed %s world %s: fetch_history of %s streams in one call', seed, w, cardinality(names));
	begin
		made := leadstream.fetch_history(names);
		wrong := nv.wrong_matches();
		perform nv.ok(wrong is null, label);
		perform nv.diag(left(wrong, 2000)) where wrong is not null;
		made := leadstream.fetch_history(names);
		perform nv.ok(made = 0, label || ': again adds none');
	exception when others then
		perform nv.ok(false, label);
		perform nv.diag(format('%s: %s', sqlstate, sqlerrm));
	end;
	-- commits, so an error ends all
	if w % 3 = 0 then
		label := format('history: seed %s world %s: backfill of %s streams', seed, w, cardinality(names));
		execute 'delete from leadstream.lead';
		execute 'delete from leadstream.lead_event';
		foreach txt in array names loop
			call leadstream.backfill(txt, 1 + w % 11, made);
		end loop;
		wrong := nv.wrong_matches();
		perform nv.ok(wrong is null, label);
		perform nv.diag(left(wrong, 2000)) where wrong is not null;
	end if;
	drop table nv.expected;
end $$;

select set_config('nv.infinite', 'on', false) \g /dev/null
select format('# agree_history: seed %s, %s rules', :seed, :n_rules);

select s.command
from generate_series(0, (:n_rules - 1) / :rules_per_world) as i,
	lateral (values
		(1, format('do $x$ begin perform nv.settings(%s); end $x$', :first_world + i)),
		(2, 'call nv.clean()'),
		(3, format('call nv.populate(%s, %s, %s, 12)', :seed, :first_world + i, :contacts)),
		(4, 'do $x$ begin perform nv.attach(); end $x$'),
		(5, format('call nv.history_world(%s, %s, %s, %s)', :seed, :first_world + i,
			(:first_world - 1 + i) * :rules_per_world + 1, least(:rules_per_world, :n_rules - i * :rules_per_world))),
		(6, 'select nv.lines()')
	) s(n, command)
order by i, n
\gexec

select nv.plan();
