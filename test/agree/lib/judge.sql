-- judge.sql: the deliberately naive judge
--
-- It follows DESIGN 3 and 4 word by word and knows nothing of timelines,
-- windows kept in memory or predicate indexes.  A rule is judged of one
-- contact at one instant as of one event by plain SQL: nv.truth(tree) is a
-- boolean SQL expression that speaks of
--
--   p.n      the instant judged
--   p.upto   the last event that has happened
--   c        the contact (a version of it in sh.contact)
--   r        inside an aggregate: a row of a table of sh
--
-- Every comparison in it is wrapped into coalesce(.., false) where it stands:
-- two-valued logic.  A first instant is found by judging at every instant
-- at which anything might change (nv.bounds), and once long before.
--
-- Where DESIGN is silent this judge means:
--  * A row that belongs to two kinds of one list is counted once per kind.
--  * sum of rows whose field is null is 0, as that of no rows.
--  * `now - i` in a chain: the last shift is undone first.
--  * in today + i: the field minus i lies in the day of the clock.
--  * is empty of a type that cannot be blank: is null.
--  * contains of a jsonb array: a member whose text is the string, that reads
--    as the number, that reads as the boolean; of a JSON string: a substring.
--  * first and last of a kind without a time: by primary key alone.
--  * sum, avg of texts and sum, avg, min, max of jsonb: over those that read
--    as numbers.
--  * A path's labels are of objects, its subscripts of arrays; else missing.

-- ---------------------------------------------------------------------
-- Reading values
-- ---------------------------------------------------------------------

create function nv.as_num(s text) returns numeric
language sql immutable as $$
	select case when s ~ '^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$' then s::numeric end
$$;

create function nv.as_num(j jsonb) returns numeric
language sql immutable as $$
	select case when jsonb_typeof(j) in ('number', 'string') then nv.as_num(j #>> '{}') end
$$;

create function nv.as_bool(s text) returns boolean
language sql immutable as $$
	select case when lower(btrim(s)) in ('true', 'tru', 'tr', 't', 'yes', 'ye', 'y', 'on', '1') then true
				when lower(btrim(s)) in ('false', 'fals', 'fal', 'fa', 'f', 'no', 'n', 'off', 'of', '0') then false end
$$;

create function nv.as_bool(j jsonb) returns boolean
language sql immutable as $$
	select case when jsonb_typeof(j) in ('boolean', 'string') then nv.as_bool(j #>> '{}') end
$$;

create function nv.as_inst(s text, zone text) returns timestamptz
language plpgsql stable set timezone = 'UTC' set datestyle = 'ISO' as $$
declare
	m text[] := regexp_match(s, '^\s*(\d\d\d\d-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*(Z|[+-]\d\d(?::?\d\d)?)?)?\s*$');
begin
	if m is null then
		return null;
	elsif m[3] is not null then
		return (m[1] || ' ' || m[2] || m[3])::timestamptz;
	end if;
	return (m[1] || ' ' || coalesce(m[2], '00:00'))::timestamp at time zone zone;
exception when data_exception then
	return null;
end $$;

create function nv.as_inst(j jsonb, zone text) returns timestamptz
language sql stable as $$
	select case when jsonb_typeof(j) = 'string' then nv.as_inst(j #>> '{}', zone) end
$$;

create function nv.at(j jsonb, label text) returns jsonb
language sql immutable as $$ select case jsonb_typeof(j) when 'object' then j -> label end $$;

create function nv.at(j jsonb, subscript int) returns jsonb
language sql immutable as $$ select case jsonb_typeof(j) when 'array' then j -> subscript end $$;

create function nv.blank(s text) returns boolean
language sql immutable as $$ select s is null or s ~ '^\s*$' $$;

create function nv.has(j jsonb, v text) returns boolean
language sql immutable as $$
	select case jsonb_typeof(j)
		when 'array' then exists (select from jsonb_array_elements_text(j) e(x) where x = v)
		when 'string' then position(lower(v) in lower(j #>> '{}')) > 0
		else false end
$$;

create function nv.has(j jsonb, v numeric) returns boolean
language sql immutable as $$
	select case when jsonb_typeof(j) = 'array'
		then exists (select from jsonb_array_elements(j) e(x) where nv.as_num(x) = v) else false end
$$;

create function nv.has(j jsonb, v boolean) returns boolean
language sql immutable as $$
	select case when jsonb_typeof(j) = 'array'
		then exists (select from jsonb_array_elements(j) e(x) where nv.as_bool(x) = v) else false end
$$;

-- ---------------------------------------------------------------------
-- Operands as SQL
-- ---------------------------------------------------------------------

-- x moved by so many months (calendar, in the zone) and seconds.
create function nv.moved(x text, months int, seconds int) returns text
language plpgsql stable as $$
begin
	if months <> 0 then
		x := format('((%s) at time zone %L + interval ''%s months'') at time zone %2$L', x, nv.zone(), months);
	end if;
	if seconds <> 0 then
		x := format('((%s) + interval ''%s seconds'')', x, seconds);
	end if;
	return '(' || x || ')';
end $$;

-- What to add to a field that is compared with the clock and its shifts.
create function nv.unshifted(x text, shifts jsonb) returns text
language plpgsql stable as $$
declare
	s jsonb;
	sign int;
begin
	for i in reverse coalesce(jsonb_array_length(shifts), 0) - 1 .. 0 loop
		s := shifts -> i;
		sign := case s ->> 'sign' when '-' then 1 else -1 end;
		x := nv.moved(x, sign * (s #>> '{i,m}')::int, sign * (s #>> '{i,s}')::int);
	end loop;
	return x;
end $$;

-- The start of the unit of the calendar that x lies in, as a local time.
create function nv.local_unit(x text, unit text) returns text
language sql stable as $$ select format('date_trunc(%L, (%s) at time zone %L)', unit, x, nv.zone()) $$;

-- The type class of an operand; tbl: the table of r, null outside.
create function nv.cls(o jsonb, tbl text) returns text
language plpgsql stable as $$
declare
	x text;
begin
	case o ->> 't'
		when 'field' then
			if jsonb_array_length(o -> 'p') > 1 then
				return 'json';
			end if;
			select k.cls into strict x from nv.col k
			where k.owner = case o ->> 's' when 'c' then 'contact' else tbl end and k.col = o #>> '{p,0}';
			return x;
		when 'agg' then
			case
				when o ->> 'fn' = 'exists' then return 'bool';
				when o ->> 'fn' in ('count', 'distinct', 'sum', 'avg', 'score') then return 'num';
				else
					x := nv.cls(jsonb_build_object('t', 'field', 's', 'r', 'p', o -> 'p'),
								(select k.tbl from nv.kind k where k.kind = o #>> '{kinds,0}'));
					return case when x = 'json' and o ->> 'fn' in ('min', 'max') then 'num' else x end;
			end case;
		when 'times' then return 'num';
		else return o ->> 't';	-- str num bool clock period
	end case;
end $$;

-- A label is of objects alone and a subscript of arrays alone ("->" by itself
-- takes a bare JSON string for an array of one).
create function nv.field(o jsonb) returns text
language plpgsql stable as $$
declare
	x text := format('%s.%I', o ->> 's', o #>> '{p,0}');
begin
	for i in 1 .. jsonb_array_length(o -> 'p') - 1 loop
		x := format('nv.at(%s, %s)', x,
			case jsonb_typeof(o -> 'p' -> i) when 'number' then o -> 'p' ->> i else quote_literal(o -> 'p' ->> i) || '::text' end);
	end loop;
	return '(' || x || ')';
end $$;

-- The time of a row of the kind.
create function nv.row_time(k nv.kind) returns text
language sql stable as $$
	select case when t.time_col is null then null when t.time_cls = 'tstz' then format('r.%I', t.time_col)
						   else format('(r.%I::timestamp at time zone %L)', t.time_col, nv.zone()) end
	from nv.tab t where t.tbl = (k).tbl
$$;

-- The elements of a column: of jsonb the labels of objects, and value what is
-- no object.
create function nv.elements(a text[]) returns table (pos bigint, value text)
language sql immutable as $$ select e.pos, e.x from unnest(a) with ordinality e(x, pos) $$;

create function nv.elements(j jsonb) returns table (pos bigint, value jsonb, plan jsonb, n jsonb, flag jsonb, "when" jsonb, list jsonb, nest jsonb)
language sql immutable as $$
	select e.pos, case jsonb_typeof(e.x) when 'object' then e.x -> 'value' else e.x end,
		nv.at(e.x, 'plan'::text), nv.at(e.x, 'n'::text), nv.at(e.x, 'flag'::text), nv.at(e.x, 'when'::text), nv.at(e.x, 'list'::text), nv.at(e.x, 'nest'::text)
	from jsonb_array_elements(case when jsonb_typeof(j) = 'array' then j else '[]' end) with ordinality e(x, pos)
$$;

-- The rows of the kind that belong to the contact, of all times.
create function nv.rows_of(k nv.kind) returns text
language sql stable as $$
	select case when k.contact_col is null then format('from nv.elements(c.%I) r where true', k.tbl)
		else format('from sh.%I r where r.%I = c.id', k.tbl, k.contact_col) end
$$;

-- The rows of the kind that belong to the contact, satisfy the where and
-- count at p.n; fresh: only those that came by the event itself, or, with
-- nv.fresh = time, those that begin to count at p.n.  A row that was changed
-- came by it unless its version before had the same contact and time and
-- satisfied the where.
create function nv.counting(agg jsonb, k nv.kind, fresh boolean default false) returns text
language plpgsql stable as $$
declare
	s text;
	t text := nv.row_time(k);
	passes text := 'true';
begin
	if k.only_ast is not null then
		passes := passes || ' and ' || nv.truth(k.only_ast, k.tbl);
	end if;
	if agg ? 'where' then
		passes := passes || ' and ' || nv.truth(agg -> 'where', k.tbl);
	end if;
	s := passes;
	if k.time_col is not null then
		s := s || format(' and %s is not null and %s <= p.n', t,
			case when agg ? 'older' then nv.moved(t, (agg #>> '{older,m}')::int, (agg #>> '{older,s}')::int) else t end);
		if agg ? 'within' then
			s := s || format(' and p.n < %s', nv.moved(t, (agg #>> '{within,m}')::int, (agg #>> '{within,s}')::int));
		end if;
	end if;
	if fresh and current_setting('nv.fresh', true) = 'time' then
		s := s || format(' and (%s) is not true', replace(s, 'p.n', '(p.n - interval ''1 microsecond'')'));
	elsif fresh then
		s := s || case when k.contact_col is null then ' and false' else ' and r.arrived = p.upto and r.is_new' end;
		if nv.has_events() and k.contact_col is not null then
			t := coalesce(t, 'null::timestamptz');
			s := s || format($q$ and not exists (
				select from (select r.%1$I as pk, r.%2$I as contact, %3$s as t) now
				cross join lateral (select o.* from sh.%4$I o where o.%1$I = now.pk and o.gone = p.upto and o.arrived < p.upto) r
				where r.%2$I = now.contact and %3$s is not distinct from now.t and %5$s)$q$,
				(select x.pk from nv.tab x where x.tbl = k.tbl), k.contact_col, t, k.tbl, passes);
		end if;
	end if;
	return nv.rows_of(k) || case when k.contact_col is null then '' else ' and r.arrived <= p.upto and r.gone > p.upto' end || ' and ' || s;
end $$;

create function nv.kinds_of(agg jsonb) returns setof nv.kind
language sql stable as $$
	select k.* from jsonb_array_elements_text(agg -> 'kinds') with ordinality e(kind, i) join nv.kind k using (kind) order by i
$$;

create function nv.aggregate(o jsonb) returns text
language plpgsql stable as $$
declare
	fn text := o ->> 'fn';
	k nv.kind;
	f jsonb;
	x text;
	order_by text;
	parts text[] := '{}';
	item jsonb;
begin
	if fn = 'score' then
		for item in select * from jsonb_array_elements(o -> 'items') loop
			parts := parts || format('case when %s then %s else 0 end', nv.truth(item -> 'c'), item ->> 'n');
		end loop;
		return '(' || array_to_string(parts, ' + ') || ')';
	end if;
	if fn in ('exists', 'count') then
		for k in select * from nv.kinds_of(o) loop
			parts := parts || case fn when 'exists' then format('exists (select %s)', nv.counting(o, k))
									  else format('(select count(*) %s)', nv.counting(o, k)) end;
		end loop;
		return '(' || array_to_string(parts, case fn when 'exists' then ' or ' else ' + ' end) || ')';
	end if;
	select * into k from nv.kinds_of(o);
	f := jsonb_build_object('t', 'field', 's', 'r', 'p', o -> 'p');
	x := nv.operand(f, k.tbl);
	if fn in ('sum', 'avg', 'min', 'max') and nv.cls(f, k.tbl) = 'json' or fn in ('sum', 'avg') and nv.cls(f, k.tbl) = 'text' then
		x := format('nv.as_num(%s)', x);
	elsif fn in ('sum', 'avg') then
		x := x || '::numeric';
	end if;
	order_by := (select concat_ws(', ', nv.row_time(k), string_agg(format('r.%I', c), ', ' order by i))
		from nv.tab t, unnest(t.pk_order) with ordinality u(c, i) where t.tbl = k.tbl);
	if k.contact_col is null then
		order_by := 'r.pos';
	end if;
	return case fn
		when 'distinct' then format('(select count(distinct %s) %s)', x, nv.counting(o, k))
		when 'sum' then format('(select coalesce(sum(%s), 0) %s)', x, nv.counting(o, k))
		when 'avg' then format('(select avg(%s) %s)', x, nv.counting(o, k))
		when 'min' then format('(select %s %s and %1$s is not null order by %1$s limit 1)', x, nv.counting(o, k))
		when 'max' then format('(select %s %s and %1$s is not null order by %1$s desc limit 1)', x, nv.counting(o, k))
		when 'first' then format('(select %s %s order by %s limit 1)', x, nv.counting(o, k), order_by)
		when 'last' then format('(select %s %s order by %s limit 1)', x, nv.counting(o, k), replace(order_by, ', r.', ' desc, r.') || ' desc')
	end;
end $$;

-- The value of an operand.
create function nv.operand(o jsonb, tbl text) returns text
language plpgsql stable as $$
begin
	return case o ->> 't'
		when 'str' then quote_literal(o ->> 'v')
		when 'num' then '(' || (o ->> 'v') || '::numeric)'
		when 'bool' then o ->> 'v'
		when 'field' then case nv.cls(o, tbl) when 'json' then format('nullif(%s, ''null'')', nv.field(o)) else nv.field(o) end
		when 'agg' then nv.aggregate(o)
		when 'times' then format('((%s)::numeric * (%s)::numeric)', o ->> 'n', nv.aggregate(o -> 'a'))
	end;
end $$;

create function nv.inst_of(o jsonb, tbl text) returns text
language plpgsql stable as $$
declare
	x text := nv.operand(o, tbl);
begin
	return case nv.cls(o, tbl)
		when 'tstz' then x
		when 'str' then format('nv.as_inst(%s::text, %L)', x, nv.zone())
		when 'text' then format('nv.as_inst(%s, %L)', x, nv.zone())
		when 'json' then format('nv.as_inst(%s, %L)', x, nv.zone())
		else format('(%s::timestamp at time zone %L)', x, nv.zone()) end;
end $$;

create function nv.num_of(o jsonb, tbl text) returns text
language sql stable as $$
	select case nv.cls(o, tbl) when 'text' then format('nv.as_num(%s)', nv.operand(o, tbl))
		when 'json' then format('nv.as_num(%s)', nv.operand(o, tbl))
		else format('(%s)::numeric', nv.operand(o, tbl)) end
$$;

create function nv.bool_of(o jsonb, tbl text) returns text
language sql stable as $$
	select case when nv.cls(o, tbl) in ('text', 'json') then format('nv.as_bool(%s)', nv.operand(o, tbl)) else nv.operand(o, tbl) end
$$;

create function nv.text_of(o jsonb, tbl text) returns text
language sql stable as $$
	select case nv.cls(o, tbl) when 'json' then format('(%s #>> ''{}'')', nv.operand(o, tbl)) else nv.operand(o, tbl) end
$$;

-- ---------------------------------------------------------------------
-- Conditions as SQL
-- ---------------------------------------------------------------------

-- One comparison, = < <= > >=, true or false, never null.
create function nv.compared(op text, a jsonb, b jsonb, tbl text) returns text
language plpgsql stable as $$
declare
	f text[] := array[nv.family(nv.cls(a, tbl)), nv.family(nv.cls(b, tbl))];
	x text;
begin
	if f[1] = 'clock' then
		return nv.compared(case op when '<' then '>' when '<=' then '>=' when '>' then '<' when '>=' then '<=' else op end, b, a, tbl);
	elsif f[2] = 'clock' then
		x := format('%s %s %s', nv.unshifted(nv.inst_of(a, tbl), b -> 'shifts'), op,
			case b ->> 'base' when 'now' then 'p.n'
				else format('(%s at time zone %L)', nv.local_unit('p.n', 'day'), nv.zone()) end);
	elsif 'inst' = any (f) then
		x := format('%s %s %s', nv.inst_of(a, tbl), op, nv.inst_of(b, tbl));
	elsif 'num' = any (f) then
		x := format('%s %s %s', nv.num_of(a, tbl), op, nv.num_of(b, tbl));
	elsif 'bool' = any (f) then
		x := format('%s %s %s', nv.bool_of(a, tbl), op, nv.bool_of(b, tbl));
	elsif f = '{json,json}' then
		x := format('%s %s %s', nv.operand(a, tbl), op, nv.operand(b, tbl));
	elsif 'json' = any (f) then
		x := format('%s %s %s', nv.text_of(a, tbl), op, nv.text_of(b, tbl));
	else
		x := format('%s %s %s', nv.operand(a, tbl), op, nv.operand(b, tbl));
	end if;
	return 'coalesce(' || x || ', false)';
end $$;

create function nv.in_period(a jsonb, p jsonb, tbl text) returns text
language plpgsql stable as $$
declare
	x text := nv.unshifted(nv.inst_of(a, tbl), p -> 'shifts');
	unit text := coalesce(p ->> 'u', 'day');
	step int := case when p ->> 'p' in ('last', 'yesterday') then -1 when p ->> 'p' in ('next', 'tomorrow') then 1 else 0 end;
	len text := case unit when 'quarter' then '3 months' else '1 ' || unit end;
begin
	return format('coalesce(isfinite(%s) and %s = %s + %s * interval %L, false)', x, nv.local_unit(x, unit), nv.local_unit('p.n', unit), step, len);
end $$;

create function nv.contained(a jsonb, b jsonb, tbl text) returns text
language plpgsql stable as $$
begin
	return format('coalesce(%s, false)', case nv.cls(a, tbl)
		when 'arr' then format('%s = any (%s::text[])', nv.operand(b, tbl), nv.operand(a, tbl))
		when 'json' then format('nv.has(%s, %s%s)', nv.operand(a, tbl), nv.operand(b, tbl), case b ->> 't' when 'str' then '::text' else '' end)
		else format('position(lower(%s) in lower(%s)) > 0', nv.operand(b, tbl), nv.operand(a, tbl)) end);
end $$;

-- A test without its own "not".
create function nv.plain_truth(c jsonb, tbl text) returns text
language plpgsql stable as $$
declare
	op text := c ->> 'op';
	a jsonb := c -> 'a';
	b jsonb := c #> '{b,0}';
	x text;
	y text;
	parts text[] := '{}';
	k jsonb;
begin
	if op in ('=', '<', '<=', '>', '>=') then
		return nv.compared(op, a, b, tbl);
	elsif op = '<>' then
		return format('(not %s)', nv.compared('=', a, b, tbl));
	elsif op = 'between' then
		return format('(%s and %s)', nv.compared('>=', a, b, tbl), nv.compared('<=', a, c #> '{b,1}', tbl));
	elsif op = 'in' then
		for k in select * from jsonb_array_elements(c -> 'b') loop
			parts := parts || nv.compared('=', a, k, tbl);
		end loop;
		return '(' || array_to_string(parts, ' or ') || ')';
	elsif op = 'in period' then
		return nv.in_period(a, b, tbl);
	elsif op = 'is null' then
		return format('(%s is null)', nv.operand(a, tbl));
	elsif op = 'is empty' then
		x := nv.operand(a, tbl);
		return case nv.cls(a, tbl)
			when 'text' then format('nv.blank(%s)', x)
			when 'json' then format('(%s is null or %1$s in (''{}'', ''[]'') or jsonb_typeof(%1$s) = ''string'' and nv.blank(%1$s #>> ''{}''))', x)
			when 'arr' then format('coalesce(cardinality(%s) = 0, true)', x)
			else format('(%s is null)', x) end;
	elsif op = 'is true' then
		return format('coalesce(%s, false)', nv.bool_of(a, tbl));
	elsif op = 'is false' then
		return format('coalesce(not %s, false)', nv.bool_of(a, tbl));
	elsif op in ('contains', 'contains any', 'contains all') then
		for k in select * from jsonb_array_elements(c -> 'b') loop
			parts := parts || nv.contained(a, k, tbl);
		end loop;
		return '(' || array_to_string(parts, case op when 'contains all' then ' and ' else ' or ' end) || ')';
	end if;
	x := nv.text_of(a, tbl);
	y := nv.text_of(b, tbl);
	if op in ('!~', '!~*') then
		return format('(not coalesce(%s %s %s, false))', x, substr(op, 2), y);
	end if;
	return format('coalesce(%s, false)', case op
		when 'starts with' then format('left(lower(%s), length(%s)) = lower(%2$s)', x, y)
		when 'ends with' then format('right(lower(%s), length(%s)) = lower(%2$s) and length(%1$s) >= length(%2$s)', x, y)
		else format('%s %s %s', x, op, y) end);
end $$;

-- Is the condition true of c at p.n as of p.upto?
create function nv.truth(c jsonb, tbl text default null) returns text
language plpgsql stable as $$
declare
	parts text[] := '{}';
	k jsonb;
begin
	case c ->> 't'
		when 'true', 'false' then return c ->> 't';
		when 'and', 'or' then
			for k in select * from jsonb_array_elements(c -> 'k') loop
				parts := parts || nv.truth(k, tbl);
			end loop;
			return '(' || array_to_string(parts, ' ' || (c ->> 't') || ' ') || ')';
		when 'not' then return '(not ' || nv.truth(c #> '{k,0}', tbl) || ')';
		when 'alone' then return 'coalesce(' || nv.operand(c -> 'a', tbl) || ', false)';
		else
			return case when (c ->> 'neg')::boolean then '(not ' || nv.plain_truth(c, tbl) || ')' else nv.plain_truth(c, tbl) end;
	end case;
end $$;

-- ---------------------------------------------------------------------
-- Live, rule (a): does a new row count in a condition in force?
-- ---------------------------------------------------------------------
-- Negation is pushed down as the walk goes; between is >= and <=, in is an
-- or of equals.  An aggregate of the kinds of the row makes its comparison
-- one of rule (a) if more rows make it truer:
--   exists, not negated; count, count(distinct) and score on the greater side
--   of > or >= (a negative factor turns the sides), or equal to anything but
--   the literal 0; any test of any other aggregate, negated or not.
-- A row counts in a score by a condition in force of one of its rules, which
-- earns points.

create function nv.fresh_rows(agg jsonb) returns text
language plpgsql stable as $$
declare
	k nv.kind;
	item jsonb;
	parts text[] := '{}';
begin
	if agg ->> 'fn' = 'score' then
		for item in select * from jsonb_array_elements(agg -> 'items') loop
			if (item ->> 'n')::int > 0 then
				parts := parts || nv.force(item -> 'c');
			end if;
		end loop;
		return coalesce(nullif(array_to_string(parts, ' or '), ''), 'false');
	end if;
	for k in select * from nv.kinds_of(agg) loop
		-- elements come with the contact, by rule (b)
		parts := parts || case when k.contact_col is null then 'false' else format('exists (select %s)', nv.counting(agg, k, true)) end;
	end loop;
	return array_to_string(parts, ' or ');
end $$;

-- With a count, does op hold the sooner the more rows count on its left?
create function nv.grows(op text, neg boolean, turned boolean, other jsonb) returns boolean
language plpgsql immutable as $$
begin
	if op = '<>' then
		op := '=';
		neg := not neg;
	end if;
	if op = '=' then
		return not neg and not (other ->> 't' = 'num' and (other ->> 'v')::numeric = 0);
	end if;
	return (op in ('>', '>=')) <> (neg <> turned);
end $$;

create function nv.force(c jsonb, neg boolean default false) returns text
language plpgsql stable as $$
declare
	kids jsonb := c -> 'k';
	op text := c ->> 'op';
	parts text[] := '{}';
	k jsonb;
	x text;
	o jsonb;
	other jsonb;
	turned boolean;
	own text;
begin
	case c ->> 't'
		when 'true', 'false' then return 'false';
		when 'not' then return nv.force(kids -> 0, not neg);
		when 'and', 'or' then
			for k in select * from jsonb_array_elements(kids) loop
				x := nv.force(k, neg);
				if x <> 'false' then
					parts := parts || x;
				end if;
			end loop;
			if parts = '{}' then
				return 'false';
			elsif (c ->> 't' = 'and') <> neg then
				return format('(%s%s and (%s))', case when neg then 'not ' else '' end, nv.truth(c), array_to_string(parts, ' or '));
			end if;
			return '(' || array_to_string(parts, ' or ') || ')';
		when 'alone' then
			if neg or c #>> '{a,t}' <> 'agg' then
				return 'false';
			end if;
			return '(' || nv.fresh_rows(c -> 'a') || ')';
		else null;
	end case;

	neg := neg <> coalesce((c ->> 'neg')::boolean, false);
	if op = 'between' then
		return nv.force(jsonb_build_object('t', 'and', 'k', jsonb_build_array(
			nv.a_test('>=', c -> 'a', jsonb_build_array(c #> '{b,0}')), nv.a_test('<=', c -> 'a', jsonb_build_array(c #> '{b,1}')))), neg);
	elsif op = 'in' then
		return nv.force(jsonb_build_object('t', 'or', 'k',
			(select jsonb_agg(nv.a_test('=', c -> 'a', jsonb_build_array(v)) order by i) from jsonb_array_elements(c -> 'b') with ordinality e(v, i))), neg);
	end if;
	for i in 0 .. 1 loop
		o := case i when 0 then c -> 'a' else c #> '{b,0}' end;
		other := case i when 1 then c -> 'a' else c #> '{b,0}' end;
		turned := i = 1;
		if o ->> 't' = 'times' then
			turned := turned <> ((o ->> 'n')::numeric < 0);
			o := o -> 'a';
		end if;
		if o ->> 't' = 'agg' then
			if o ->> 'fn' not in ('count', 'distinct', 'score') or nv.grows(op, neg, turned, other) then
				parts := parts || nv.fresh_rows(o);
			end if;
		end if;
	end loop;
	if parts = '{}' then
		return 'false';
	end if;
	own := nv.truth(c - 'neg');
	return format('(%s%s and (%s))', case when neg then 'not ' else '' end, own, array_to_string(parts, ' or '));
end $$;

-- ---------------------------------------------------------------------
-- What time alone can do
-- ---------------------------------------------------------------------

-- Can time alone make rows of the aggregate begin, or cease, to count?
-- (In a world without rows in the future.)
create function nv.rows_enter(agg jsonb) returns boolean
language plpgsql stable as $$
begin
	if agg ->> 'fn' = 'score' then
		return exists (select from jsonb_array_elements(agg -> 'items') e(item)
					   where (item ->> 'n')::int <> 0 and nv.time_makes(item -> 'c', (item ->> 'n')::int < 0));
	end if;
	return agg ? 'older' or agg ? 'where' and nv.time_makes(agg -> 'where', false);
end $$;

create function nv.rows_leave(agg jsonb) returns boolean
language plpgsql stable as $$
begin
	if agg ->> 'fn' = 'score' then
		return exists (select from jsonb_array_elements(agg -> 'items') e(item)
					   where (item ->> 'n')::int <> 0 and nv.time_makes(item -> 'c', (item ->> 'n')::int > 0));
	end if;
	return agg ? 'within' or agg ? 'where' and nv.time_makes(agg -> 'where', true);
end $$;

-- Can time alone make the condition (neg: its negation) true where it was
-- false?  Exact for each comparison by itself.
create function nv.time_makes(c jsonb, neg boolean default false) returns boolean
language plpgsql stable as $$
declare
	op text := c ->> 'op';
	o jsonb;
	n int := 0;
	up boolean;
	turned boolean;
begin
	case c ->> 't'
		when 'true', 'false' then return false;
		when 'not' then return nv.time_makes(c #> '{k,0}', not neg);
		when 'and', 'or' then
			return exists (select from jsonb_array_elements(c -> 'k') e(k) where nv.time_makes(k, neg));
		when 'alone' then
			if c #>> '{a,t}' <> 'agg' then
				return false;
			end if;
			return case when neg then nv.rows_leave(c -> 'a') else nv.rows_enter(c -> 'a') end;
		else null;
	end case;

	neg := neg <> coalesce((c ->> 'neg')::boolean, false);
	if op = 'between' then
		return nv.time_makes(nv.a_test('>=', c -> 'a', jsonb_build_array(c #> '{b,0}')), neg)
			or nv.time_makes(nv.a_test('<=', c -> 'a', jsonb_build_array(c #> '{b,1}')), neg);
	elsif op = 'in' then
		return exists (select from jsonb_array_elements(c -> 'b') e(v)
					   where nv.time_makes(nv.a_test('=', c -> 'a', jsonb_build_array(v)), neg));
	elsif op = 'in period' then
		return true;
	elsif op = '<>' then
		return nv.time_makes(nv.a_test('=', c -> 'a', c -> 'b'), not neg);
	end if;
	for i in 0 .. 1 loop
		o := case i when 0 then c -> 'a' else c #> '{b,0}' end;
		turned := i = 1;
		if o ->> 't' = 'clock' then
			-- `clock > x` comes with time; not (clock < x) may come too
			if op = '=' or (op in ('>', '>=')) <> (turned <> neg) then
				return true;
			end if;
			continue;
		end if;
		if o ->> 't' = 'times' then
			turned := turned <> ((o ->> 'n')::numeric < 0);
			o := o -> 'a';
		end if;
		continue when o ->> 't' is distinct from 'agg';
		if o ->> 'fn' in ('count', 'distinct', 'score') and op in ('<', '<=', '>', '>=') then
			up := (op in ('>', '>=')) <> (turned <> neg);
			if up and nv.rows_enter(o) or not up and nv.rows_leave(o) then
				return true;
			end if;
		elsif nv.rows_enter(o) or nv.rows_leave(o) then
			return true;
		end if;
	end loop;
	return false;
end $$;

-- Can one more row only make it truer?
create function nv.rows_grow(c jsonb, neg boolean default false) returns boolean
language plpgsql stable as $$
declare
	op text := c ->> 'op';
	o jsonb;
	turned boolean;
begin
	case c ->> 't'
		when 'true', 'false' then return true;
		when 'not' then return nv.rows_grow(c #> '{k,0}', not neg);
		when 'and', 'or' then
			return not exists (select from jsonb_array_elements(c -> 'k') e(k) where not nv.rows_grow(k, neg));
		when 'alone' then return c #>> '{a,t}' <> 'agg' or not neg;
		else null;
	end case;
	neg := neg <> coalesce((c ->> 'neg')::boolean, false);
	for i in 0 .. jsonb_array_length(c -> 'b') loop
		o := case i when 0 then c -> 'a' else c -> 'b' -> (i - 1) end;
		turned := i > 0;
		if o ->> 't' = 'times' then
			turned := turned <> ((o ->> 'n')::numeric < 0);
			o := o -> 'a';
		end if;
		continue when o ->> 't' is distinct from 'agg';
		if o ->> 'fn' = 'score' and op in ('<', '<=', '>', '>=') then
			-- more points where more of it is asked for, fewer where less is
			continue when not exists (select from jsonb_array_elements(o -> 'items') e(item)
									  where (item ->> 'n')::int <> 0 and not nv.rows_grow(item -> 'c',
										((item ->> 'n')::int > 0) = ((op in ('>', '>=')) = (turned <> neg))));
			return false;
		elsif o ->> 'fn' not in ('count', 'distinct') or op not in ('<', '<=', '>', '>=')
			or ((op in ('>', '>=')) = (turned <> neg)) then
			return false;
		end if;
	end loop;
	return true;
end $$;

-- ---------------------------------------------------------------------
-- The instants at which something may change
-- ---------------------------------------------------------------------

-- The instants that an operand of a test may stand for, as selects of one
-- column each; src: where rows of the where come from, null outside.
create function nv.inst_sources(o jsonb, tbl text, src text) returns setof text
language plpgsql stable as $$
declare
	k nv.kind;
begin
	if o ->> 't' = 'agg' and o ? 'p' and o ->> 'fn' not in ('distinct', 'sum', 'avg') then
		select * into k from nv.kinds_of(o);
		return next format('select %s %s',
			nv.inst_of(jsonb_build_object('t', 'field', 's', 'r', 'p', o -> 'p'), k.tbl), nv.rows_of(k));
	elsif o ->> 't' in ('field', 'str') then
		return next format('select %s %s', nv.inst_of(o, tbl), src);
	end if;
end $$;

create function nv.bounds(c jsonb, tbl text default null, src text default '') returns setof text
language plpgsql stable as $$
declare
	o jsonb;
	x jsonb;
	s text;
	k nv.kind;
	t text;
	unit text;
	all_ops jsonb;
begin
	if c ? 'k' then
		for o in select * from jsonb_array_elements(c -> 'k') loop
			return query select nv.bounds(o, tbl, src);
		end loop;
		return;
	elsif c ->> 't' in ('true', 'false') then
		return;
	end if;
	all_ops := jsonb_build_array(c -> 'a') || coalesce(c -> 'b', '[]');
	for o in select * from jsonb_array_elements(all_ops) loop
		if o ->> 't' = 'times' then
			o := o -> 'a';
		end if;
		if o ->> 'fn' = 'score' then
			for x in select * from jsonb_array_elements(o -> 'items') loop
				return query select nv.bounds(x -> 'c');
			end loop;
		elsif o ->> 't' = 'agg' then
			for k in select * from nv.kinds_of(o) loop
				if k.time_col is not null then
					t := nv.row_time(k);
					return next format('select unnest(array[%s, %s, %s]) from sh.%I r where r.%I = c.id', t,
						nv.moved(t, coalesce((o #>> '{older,m}')::int, 0), coalesce((o #>> '{older,s}')::int, 0)),
						nv.moved(t, coalesce((o #>> '{within,m}')::int, 0), coalesce((o #>> '{within,s}')::int, 0)), k.tbl, k.contact_col);
				end if;
				if o ? 'where' then
					return query select nv.bounds(o -> 'where', k.tbl, nv.rows_of(k));
				end if;
			end loop;
		elsif o ->> 't' in ('clock', 'period') then
			for x in select * from jsonb_array_elements(all_ops) loop
				for s in select * from nv.inst_sources(x, tbl, src) loop
					t := nv.unshifted('g', o -> 'shifts');
					if o ->> 't' = 'clock' and o ->> 'base' = 'now' then
						return next format('select unnest(array[%s, %s + interval ''1 microsecond'']) from (%s) s(g)', t, t, s);
					else
						unit := coalesce(o ->> 'u', 'day');
						return next format('select (%s + k * interval %L) at time zone %L from (%s) s(g), generate_series(-2, 2) k where isfinite(g)',
							nv.local_unit(t, unit), case unit when 'quarter' then '3 months' else '1 ' || unit end, nv.zone(), s);
					end if;
				end loop;
			end loop;
		end if;
	end loop;
end $$;

-- ---------------------------------------------------------------------
-- Answers
-- ---------------------------------------------------------------------

-- The timeline of the rule for each contact, as of the last event.
create function nv.timeline(rule jsonb) returns table (key text, line tstzmultirange)
language plpgsql stable as $$
declare
	b text := (select coalesce(string_agg(' union all ' || x, ''), '') from (select distinct nv.bounds(rule)) s(x));
begin
	return query execute format($q$
		with points as materialized (
			select c.id, t.n, 2147483646 as upto
			from sh.contact c cross join lateral (
				select distinct n from (select timestamptz '0100-01-01 UTC'%s) x(n) where isfinite(n)) t
			where c.gone = 2147483647
		), judged as (
			select p.id, p.n, %s as yes, lead(p.n) over (partition by p.id order by p.n) as next
			from points p join sh.contact c on c.id = p.id and c.gone > p.upto
		)
		select id::text, coalesce(range_agg(tstzrange(case when n > '0100-01-01 UTC' then n end, next)) filter (where yes), '{}')
		from judged group by id
	$q$, b, nv.truth(rule));
end $$;

-- Is the rule true of the contacts at the clock, as of the last event?
create function nv.matching(rule jsonb, clock timestamptz) returns table (key text, yes boolean)
language plpgsql stable as $$
begin
	return query execute format('select c.id::text, %s from (select $1 as n, 2147483646 as upto) p, sh.contact c where c.gone > p.upto',
		nv.truth(rule)) using clock;
end $$;

-- The first instant of the earliest part that has a beginning; a part
-- without one counts only if it reaches the clock, and then as the clock.
create function nv.first_instant(line tstzmultirange, clock timestamptz) returns timestamptz
language plpgsql immutable as $$
declare
	part tstzrange;
begin
	for part in select * from unnest(line) loop
		if lower(part) is null then
			if clock <@ part then
				return clock;
			end if;
		elsif lower(part) <= clock then
			return lower(part);
		end if;
	end loop;
	return null;
end $$;

-- The live matches that the arrivals after an event, up to another, make: nv.point has a
-- row for each contact that a statement wrote to and the instant judged.
create function nv.live(rule jsonb, after int, upto int default 2147483647) returns table (key text, at timestamptz, ev int)
language plpgsql stable as $$
begin
	return query execute format($q$
		with now as materialized (
			select p.key, p.ev, p.n, %1$s as yes, %2$s as force
			from (select x.*, x.ev as upto from nv.point x where x.ev > $1 and x.ev <= $2) p
			join sh.contact c on c.id = p.key and c.arrived <= p.upto and c.gone > p.upto
		), before as (
			select p.key, p.ev, %1$s as yes
			from (select x.*, x.ev - 1 as upto from now x where x.yes and not x.force) p
			join sh.contact c on c.id = p.key and c.arrived <= p.upto and c.gone > p.upto
		)
		select distinct on (a.key) a.key::text, a.n, a.ev
		from now a left join before b using (key, ev)
		where a.yes and (a.force or not coalesce(b.yes, false))
			-- of a contact deleted and made again, only its present life
			and exists (select from sh.contact c where c.id = a.key and c.gone = 2147483647)
			and not exists (select from nv.death d where d.key = a.key::text and d.ev > a.ev)
		order by a.key, a.ev
	$q$, nv.truth(rule), nv.force(rule)) using after, upto;
end $$;

-- The matches that time alone makes of a rule that came to be in force right
-- before the event "since", at the clock "begun", up to the event "upto",
-- which is settled before the instant "ended".  The world of a contact is one
-- thing from one of its events to the next; at the instant of an event time
-- goes by the world before it, if the rule is true in the one after it.  place
-- tells the event behind which the match was made.
create function nv.by_time(rule jsonb, since int, upto int, begun timestamptz, ended timestamptz)
returns table (key text, at timestamptz, place numeric)
language plpgsql stable as $$
declare
	b text := (select coalesce(string_agg(' union all ' || x, ''), '') from (select distinct nv.bounds(rule)) s(x));
	yes text := nv.truth(rule);
	force text;
begin
	perform set_config('nv.fresh', 'time', true);
	force := nv.force(rule);
	perform set_config('nv.fresh', '', true);
	return query execute format($q$
		with worlds as materialized (
			select w.*, lead(w.lo) over own as hi, lead(w.ev) over own as next_ev
			from (select id as key, $2 - 1 as ev, $4 as lo from sh.contact where arrived < $2 and gone >= $2
				union select p.key, p.ev, p.n from nv.point p where p.ev between $2 and $3) w
			window own as (partition by w.key order by w.ev)
		), instants as materialized (
			select w.key, w.ev, w.lo, w.hi, w.next_ev, t.n
			from worlds w
			join sh.contact c on c.id = w.key and c.arrived <= w.ev and c.gone > w.ev
			cross join lateral (select distinct n from (select w.hi%1$s) x(n) where isfinite(n)) t
			where t.n > w.lo and t.n < $5 and (w.hi is null or t.n <= w.hi)
		), now as (
			select p.key, p.ev, p.n, p.next_ev, coalesce(p.n = p.hi, false) as is_last
			from (select i.*, i.ev as upto from instants i) p
			join sh.contact c on c.id = p.key and c.arrived <= p.upto and c.gone > p.upto
			where %2$s and (%3$s or not exists (
				select from (select p.n - interval '1 microsecond' as n, p.upto) p where %2$s))
		), still as (
			-- at the instant of an event it must be true behind it
			select p.key, p.ev, p.n
			from (select n.*, n.next_ev as upto from now n where n.is_last) p
			join sh.contact c on c.id = p.key and c.arrived <= p.upto and c.gone > p.upto
			where %2$s
		)
		select distinct on (a.key) a.key::text, a.n, a.ev + 0.5
		from now a
		where (not a.is_last or exists (select from still s where s.key = a.key and s.ev = a.ev and s.n = a.n))
			and exists (select from sh.contact c where c.id = a.key and c.gone = 2147483647)
			and not exists (select from nv.death d where d.key = a.key::text and d.ev > a.ev)
		order by a.key, a.ev, a.n
	$q$, b, yes, force) using rule, since, upto, begun, ended;
end $$;
