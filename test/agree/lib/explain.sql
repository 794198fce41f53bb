-- explain.sql: does explain() say of a contact what is so?
--
-- nv.unexplained gives what is wrong with the rows of explain(rule, contact),
-- or null:
--  * the first row is the naive judge's truth, and it is so since when and until
--    when the naive timeline says;
--  * "and", "or" and "not" are what the rows below them make them;
--  * every other condition, given as a rule by itself, is what its row says;
--  * what is missing decides: with all of it turned the rule is true, with
--    everything else turned it stays false, and if there are conditions any of
--    which alone would make it true, it is those that come first;
--  * no line is wider than psql shows in 80 columns.

-- The truth of the first of these rows, given that of those that stand alone.
create function nv.tree_truth(depth int[], condition text[], truth boolean[]) returns boolean
language plpgsql immutable as $$
declare
	all_of boolean[] := array_fill(true, array[200]);
	any_of boolean[] := array_fill(false, array[200]);
	d int;
	yes boolean;
begin
	for i in reverse cardinality(depth) .. 1 loop
		d := depth[i] + 1;
		yes := case condition[i] when 'and' then all_of[d + 1] when 'or' then any_of[d + 1] when 'not' then not all_of[d + 1] else truth[i] end;
		if condition[i] in ('and', 'or', 'not') then
			all_of[d + 1] := true;
			any_of[d + 1] := false;
		end if;
		all_of[d] := all_of[d] and yes;
		any_of[d] := any_of[d] or yes;
	end loop;
	return yes;
end $$;

create function nv.unexplained(rule leadstream.rule, key text, yes boolean, line tstzmultirange, clock timestamptz) returns text
language plpgsql as $$
declare
	depths int[];
	conditions text[];
	truths boolean[];
	missings int[];
	since_is timestamptz;
	until_is timestamptz;
	span tstzrange;
	single int[] := '{}';
	n int;
begin
	select array_agg(e.depth order by e.node), array_agg(e.condition order by e.node), array_agg(e.is_true order by e.node),
		array_agg(coalesce(e.missing, 0) order by e.node), min(e.since) filter (where e.node = 1), min(e.until) filter (where e.node = 1)
	into depths, conditions, truths, missings, since_is, until_is
	from leadstream.explain(rule, key) e;
	n := cardinality(depths);
	if exists (select from leadstream.explain(rule, key) e, regexp_split_to_table(e.line, e'\n') l where length(l) > 77) then
		return 'explained too broadly';
	end if;
	if truths[1] is distinct from yes then
		return format('explained as %s', truths[1]);
	end if;
	select r into span from unnest(case when yes then line else '{(,)}'::tstzmultirange - line end) r where r @> clock;
	if (since_is, until_is) is distinct from (lower(span), upper(span)) then
		return format('explained as since %s until %s', since_is, until_is);
	end if;
	for i in 1 .. n loop
		if conditions[i] not in ('and', 'or', 'not') then
			if leadstream.is_match(conditions[i]::leadstream.rule, key) <> truths[i] then
				return format('explained %s as %s', conditions[i], truths[i]);
			end if;
			if missings[i] > 0 and not conditions[i] ~ '^(not )*(true|false)$' and nv.tree_truth(depths, conditions,
				(select array_agg(case when j = i then not truths[j] else truths[j] end order by j) from generate_series(1, n) j)) then
				single := single || missings[i];
			end if;
		elsif (select nv.tree_truth(array_agg(depths[j] order by j), array_agg(conditions[j] order by j), array_agg(truths[j] order by j))
			from generate_series(i, coalesce((select min(k) from generate_series(i + 1, n) k where depths[k] <= depths[i]), n + 1) - 1) j) <> truths[i] then
			return format('explained row %s, %s, as %s', i, conditions[i], truths[i]);
		end if;
	end loop;
	if yes then
		return case when exists (select from unnest(missings) m where m > 0) then 'explained what is missing of a match' end;
	end if;
	if (select array_agg(m order by m) from unnest(missings) m where m > 0) is distinct from
		(select array_agg(m) from generate_series(1, (select count(*)::int from unnest(missings) x where x > 0)) m) then
		return 'explained what is missing in no order';
	end if;
	if not exists (select from unnest(conditions) c where c ~ '^(not )*(true|false)$') then
		if not nv.tree_truth(depths, conditions, (select array_agg(truths[j] <> (missings[j] > 0) order by j) from generate_series(1, n) j)) then
			return 'explained too little as missing';
		end if;
		if nv.tree_truth(depths, conditions, (select array_agg(truths[j] <> (missings[j] = 0) order by j) from generate_series(1, n) j)) then
			return 'explained as not missing what would be enough';
		end if;
	end if;
	if cardinality(single) > 0 and (select max(s) from unnest(single) s) > cardinality(single) then
		return 'explained something else first than what alone is missing';
	end if;
	return null;
end $$;
