-- agree_json.sql: random rules through JSON and back
--
-- Each rule of generate.sql is written as JSON and read again: the same rule.
-- Then its JSON is changed as react-querybuilder changes it without changing
-- what it says: ids and paths, groups around single rules, combinators between
-- the rules, lists and numbers as texts, thresholds where none is needed.  That
-- is the same rule too, to the letter of its canonical text, and so it is true
-- of the same contacts at the same instants.
--
-- psql -X -v ON_ERROR_STOP=1 -f test/agree/agree_json.sql       a slice
--      -v full=1         a hundred thousand rules
--      -v seed=N -v n_rules=N

\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
\if :{?seed} \else \set seed 20240617 \endif
\if :{?n_rules} \else
	\if :{?full} \set n_rules 100000 \else \set n_rules 2000 \endif
\endif

set client_min_messages = error;
create extension if not exists leadstream;
\ir lib/world.sql
\ir lib/generate.sql
\ir lib/report.sql

-- Numbers and plain texts as one text with commas, if nothing is lost by it.
create function nv.as_list(list jsonb, numbers boolean) returns jsonb
language sql as $$
	select case when bool_and(jsonb_typeof(v) = 'number' and numbers
							  or jsonb_typeof(v) = 'string' and v #>> '{}' ~ '^\S(.*\S)?$' and v #>> '{}' !~ '\\')
				then to_jsonb(string_agg(replace(v #>> '{}', ',', '\,'), nv.pick(array[',', ', ']) order by i))
				else list end
	from jsonb_array_elements(list) with ordinality as e(v, i)
$$;

-- A rule or group as the library might have written it.
create function nv.as_library(j jsonb) returns jsonb
language plpgsql as $$
declare
	rules jsonb := '[]';
	rule jsonb;
	op text := j ->> 'operator';
begin
	if nv.p(30) then
		j := j || jsonb_build_object('id', md5(random()::text), 'disabled', nv.p(10), 'muted', false);
	end if;
	if nv.p(20) then
		j := j || '{"path": [0, 2, 1]}';
	end if;
	if j ? 'rules' then
		for rule in select nv.as_library(r) from jsonb_array_elements(j -> 'rules') r loop
			if nv.p(10) and coalesce(rule ->> 'field', '') not in ('within', 'older than') then
				rule := jsonb_build_object('combinator', nv.pick('{and,or}'), 'rules', jsonb_build_array(rule));
			end if;
			rules := rules || rule;
		end loop;
		if nv.p(40) then
			-- combinators between the rules
			select coalesce(jsonb_agg(x order by i, n), '[]') into rules
			from jsonb_array_elements(rules) with ordinality as e(r, i)
			cross join lateral (values (1, j -> 'combinator'), (2, r)) as v(n, x)
			where n = 2 or i > 1;
			j := j - 'combinator';
		elsif nv.p(10) then
			j := j || jsonb_build_object('combinator', upper(j ->> 'combinator'));
		end if;
		if j ->> 'not' = 'false' and nv.p(30) then
			j := j - 'not';
		end if;
		return j || jsonb_build_object('rules', rules);
	end if;

	if j ? 'match' then
		if nv.p(30) then
			j := j || '{"operator": "!=", "valueSource": "value", "combinatorPreceding": "or"}';
		end if;
		if not j -> 'match' ? 'threshold' and nv.p(50) then
			j := jsonb_set(j, '{match,threshold}', '1');
		end if;
		return j || jsonb_build_object('value', nv.as_library(j -> 'value'));
	end if;
	if j ? 'where' then
		j := j || jsonb_build_object('where', nv.as_library(j -> 'where'));
	end if;
	if j ? 'valueSource' then
		return j;
	end if;
	if nv.p(50) then
		j := j || '{"valueSource": "value"}';
	end if;
	if jsonb_typeof(j -> 'value') = 'null' then
		-- what an operator before this one left
		return case when nv.p(50) then j || jsonb_build_object('value', nv.pick(array['', 'x', '10,30'])) else j end;
	elsif jsonb_typeof(j -> 'value') = 'array' and nv.p(50) then
		return j || jsonb_build_object('value', nv.as_list(j -> 'value', op in ('between', 'notBetween')));
	elsif jsonb_typeof(j -> 'value') = 'number' and op in ('<', '<=', '>', '>=') and nv.p(60) then
		return j || jsonb_build_object('value', j ->> 'value');
	end if;
	return j;
end $$;

create function nv.json_rules(seed bigint, rules int) returns void
language plpgsql as $$
declare
	r leadstream.rule;
	j jsonb;
	k jsonb;
	asked int := 0;
	lost int := 0;
	changed int := 0;
	matches int := 0;
	wheres int := 0;
	differ int := 0;
begin
	for i in 1 .. rules loop
		r := nv.rule_text(nv.a_rule(seed, i));
		-- now and then the generator has no value for a field
		continue when r is null;
		asked := asked + 1;
		j := r;
		k := nv.as_library(j);
		if j::leadstream.rule operator(leadstream.<>) r then
			lost := lost + 1;
			perform nv.diag(format('seed %s rule %s, lost: %s in %s', seed, i, r, j)) where lost <= 5;
		end if;
		if k::leadstream.rule operator(leadstream.<>) r then
			changed := changed + 1;
			perform nv.diag(format('seed %s rule %s, changed: %s to %s by %s', seed, i, r, k::leadstream.rule, k)) where changed <= 5;
		end if;
		matches := matches + (j @? '$.**.match')::int;
		wheres := wheres + (j @? '$.**.where')::int;
		differ := differ + (j <> k)::int;
	end loop;
	perform nv.diag(format('seed %s, %s rules, %s with match modes, %s with other aggregates, %s as the library writes them', seed, rules, matches, wheres, differ));
	perform nv.ok(lost = 0, 'every rule comes back from its JSON');
	perform nv.ok(changed = 0, 'and from the JSON as the library would write it');
	-- A test of rules that say little would pass.
	perform nv.ok(asked > 0.9 * rules and matches > rules / 4 and wheres > rules / 20 and differ > rules / 2, 'there are rules of all sorts');
end $$;

select nv.settings(1) \g /dev/null
select nv.json_rules(:seed, :n_rules) \g /dev/null
select nv.lines();
select nv.plan();
