-- generate.sql: random rules as syntax trees
--
-- A tree is jsonb, straight after the grammar of DESIGN 4:
--   {"t":"and"|"or","k":[..]}  {"t":"not","k":[c]}  {"t":"true"|"false"}
--   {"t":"alone","a":operand}                     boolean column or exists
--   {"t":"test","op":..,"neg":bool,"a":operand,"b":[operand ..]}
-- operands:
--   {"t":"str","v":".."} {"t":"num","v":".."} {"t":"bool","v":true}
--   {"t":"clock","base":"now"|"today","shifts":[{"sign":"-","i":interval}]}
--   {"t":"field","s":"c"|"r","p":[column, label|index ..]}
--   {"t":"agg","fn":..,"kinds":[..],"p":[..],"where":c,"within":i,"older":i}
--   {"t":"agg","fn":"score","items":[{"n":points,"c":condition} ..]}
--   {"t":"times","n":"0.2","a":agg}
--   {"t":"period","p":"today"|"yesterday"|"tomorrow"|"this"|"last"|"next","u":unit,"shifts":[..]}
-- interval: {"m":months,"s":seconds,"x":text}
-- Fields and aggregates carry "fam" (and "h", the collation of a text or what
-- a json path is likely to hold) for the generator alone; the judge looks the
-- columns up by itself.
--
-- A segment is no node of the tree: where the setting nv.segments is on, a
-- condition is now and then kept as one and written by its name, and so are the
-- conditions of a score as a set.
--
-- Left out because DESIGN refuses it or puts it off: lead, scores in scores,
-- activity conditions inside a where, within and older than on
-- timeless kinds, 'now' and 'today' as strings, patterns that are not
-- literals.  Left out because DESIGN does not say: literal against literal,
-- two clocks against each other, texts of two collations against each other,
-- contains with an aggregate, a label that is a number on an array, a
-- subscript on an object.  Left out because the binder refuses it:
-- count(distinct) of arrays.

create function nv.an_interval() returns jsonb
language plpgsql as $$
declare
	x text[] := array['1 hour|0|3600', '6 hours|0|21600', '12 hours|0|43200', '1 day|0|86400', '1 day|0|86400',
		'2 days|0|172800', '36 hours|0|129600', '7 days|0|604800', '1 week|0|604800', '10 days|0|864000',
		'2 weeks|0|1209600', '30 days|0|2592000', '30 days|0|2592000', '1 month|1|0', '1 month|1|0', '90 days|0|7776000',
		'1 month 2 days|1|172800', '3 months|3|0', '1 year|12|0', '1 day 6 hours|0|108000', '1 week 1 day|0|691200',
		'90 minutes|0|5400', '45 days|0|3888000', '2 months|2|0'];
	a text[] := string_to_array(nv.pick(x), '|');
begin
	return jsonb_build_object('x', a[1], 'm', a[2]::int, 's', a[3]::int);
end $$;

create function nv.a_clock() returns jsonb
language plpgsql as $$
declare
	s jsonb := '[]';
begin
	if nv.p(75) then
		s := jsonb_build_array(jsonb_build_object('sign', nv.pick('{-,-,+}'), 'i', nv.an_interval()));
		-- a chain: of hours and days only, because the order of months and
		-- days in a chain is nowhere said
		if nv.p(8) and (s #>> '{0,i,m}')::int = 0 then
			s := s || '[{"sign":"+","i":{"x":"2 hours","m":0,"s":7200}}]'::jsonb;
		end if;
	end if;
	return jsonb_build_object('t', 'clock', 'base', nv.pick('{now,now,today}'), 'shifts', s);
end $$;

create function nv.str(v text) returns jsonb
language sql as $$ select jsonb_build_object('t', 'str', 'v', v) $$;

create function nv.num(v text) returns jsonb
language sql as $$ select jsonb_build_object('t', 'num', 'v', v) $$;

-- A random field of owner, of the family if one is given; where it has none of
-- that family the contact's, which a where may name too.
create function nv.a_field(owner text, family text default null, h text default null) returns jsonb
language plpgsql as $$
declare
	n int;
	i int;
	c nv.col;
	j nv.jpath;
	scope text := case when owner = 'contact' then 'c' else 'r' end;
begin
	if owner = 'interests' then
		-- an element: its labels are the fields
		if nv.p(15) then
			return jsonb_build_object('t', 'field', 's', 'r', 'p', '["value"]'::jsonb, 'fam', 'json', 'h', nv.pick('{text,num}'), 'jp', 1);
		end if;
		i := 1 + nv.r(11);
		j := (select x from nv.jpath x where x.n = i);
		return jsonb_build_object('t', 'field', 's', 'r', 'p', j.path, 'fam', 'json', 'h', j.hint, 'jp', j.n);
	end if;
	select count(*) into n from nv.col x
	where x.owner = a_field.owner and (family is null or nv.family(x.cls) = family)
		and (h is null or x.coll is not distinct from h or nv.family(x.cls) <> 'text');
	if n = 0 then
		return case when owner <> 'contact' then nv.a_field('contact', family, h) end;
	end if;
	n := nv.r(n);
	select * into c from nv.col x
	where x.owner = a_field.owner and (family is null or nv.family(x.cls) = family)
		and (h is null or x.coll is not distinct from h or nv.family(x.cls) <> 'text')
	order by x.col collate "C" offset n limit 1;
	if c.cls = 'json' then
		i := nv.r(12);
		j := (select x from nv.jpath x where x.n = i);
		return jsonb_build_object('t', 'field', 's', scope, 'p', jsonb_build_array(c.col) || j.path, 'fam', 'json', 'h', j.hint, 'jp', j.n);
	end if;
	return jsonb_build_object('t', 'field', 's', scope, 'p', jsonb_build_array(c.col), 'fam', nv.family(c.cls),
							  'h', coalesce(c.coll, c.cls), 'own', owner);
end $$;

-- Some values that the operand may have.
create function nv.values_of(l jsonb) returns text[]
language plpgsql as $$
declare
	v text[];
begin
	if l ? 'jp' then
		select pool into v from nv.jpath where n = (l ->> 'jp')::int;
	elsif l ->> 't' = 'agg' and l ->> 'fn' in ('count', 'distinct') then
		v := '{0,1,1,2,2,3,4,5}';
	elsif l ->> 't' = 'agg' and l ->> 'fn' = 'score' then
		v := '{-5,0,1,5,7,10,12,20}';
	elsif l ->> 't' = 'agg' and l ->> 'fn' in ('sum') then
		v := '{0,1,3,5,10,20,-1,2.5,8}';
	elsif l ->> 'own' is not null then
		select pool into v from nv.col where owner = l ->> 'own' and col = l #>> '{p,0}';
	end if;
	if v is null then
		v := case when coalesce(l ->> 'h', '') = 'num' or l ->> 'fam' = 'num' then '{0,1,2,3,2.5,5,10}'::text[]
			 else '{a,abc,x,SE,5,B}'::text[] end;
	end if;
	return v;
end $$;

create function nv.a_number(l jsonb) returns jsonb
language plpgsql as $$
declare
	v text[];
	s text;
begin
	select array_agg(x) into v from unnest(nv.values_of(l)) x where x ~ '^[+-]?[0-9]+(\.[0-9]+)?$';
	s := nv.pick(coalesce(v, '{0,1,2,3,5}'));
	if nv.p(5) then
		s := nv.pick('{1e1,2.50,3.0,+4,007,1E-1}');
	end if;
	return nv.num(s);
end $$;

create function nv.an_instant(l jsonb) returns jsonb
language plpgsql as $$
declare
	t timestamptz := nv.some_instant(nv.clock(), 45);
	local timestamp := t at time zone nv.zone();
begin
	if coalesce(l ->> 'h', 'date') = 'date' or l ->> 'own' = 'common' or nv.p(40) then
		return nv.str(to_char(local, 'YYYY-MM-DD'));
	elsif l ->> 'h' = 'ts' or l ->> 't' = 'agg' or nv.p(50) then
		return nv.str(to_char(local, nv.pick(array['YYYY-MM-DD HH24:MI:SS', 'YYYY-MM-DD"T"HH24:MI:SS.US', 'YYYY-MM-DD HH24:MI'])));
	else
		return nv.str(case when nv.p(50) then nv.iso(t)
					  else to_char(t at time zone 'UTC' + interval '2 hours', 'YYYY-MM-DD"T"HH24:MI:SS.US"+02:00"') end);
	end if;
end $$;

create function nv.a_test(op text, a jsonb, b jsonb, neg boolean default false) returns jsonb
language sql as $$ select jsonb_build_object('t', 'test', 'op', op, 'neg', neg, 'a', a, 'b', b) $$;

create function nv.mirror(op text) returns text
language sql immutable as $$
	select case op when '<' then '>' when '<=' then '>=' when '>' then '<' when '>=' then '<=' else op end
$$;

-- A comparison, sometimes with the literal first.
create function nv.a_comparison(op text, a jsonb, b jsonb) returns jsonb
language plpgsql as $$
begin
	if b ->> 't' <> 'times' and nv.p(10) then
		return nv.a_test(nv.mirror(op), b, jsonb_build_array(a));
	end if;
	return nv.a_test(op, a, jsonb_build_array(b));
end $$;

create function nv.a_cmp() returns text
language sql as $$ select nv.pick('{=,=,<>,<,<=,>,>=,>=,>}') $$;

-- The right side of a comparison of a number.
create function nv.right_number(l jsonb, scope text) returns jsonb
language plpgsql as $$
declare
	x jsonb;
	k int := nv.r(100);
begin
	if l ->> 't' = 'agg' and scope = 'contact' then
		if k < 16 then
			x := nv.an_aggregate('num');
			x := x - 'fam' || '{"fam":"num"}'::jsonb;
			if nv.p(40) then
				return jsonb_build_object('t', 'times', 'n', nv.pick('{0.2,0.5,2,1,3,-1}'), 'a', x);
			end if;
			return x;
		elsif k < 22 then
			return nv.a_field('contact', 'num');
		end if;
	elsif k < 8 then
		return nv.a_field(scope, 'num');
	elsif k < 14 then
		return nv.a_field('contact', 'num');
	elsif k < 22 and scope = 'contact' then
		return nv.an_aggregate('num');
	elsif k < 26 and scope = 'contact' then
		return jsonb_build_object('t', 'times', 'n', nv.pick('{0.5,2,1}'), 'a', nv.an_aggregate('num'));
	end if;
	return nv.a_number(l);
end $$;

create function nv.right_text(l jsonb, scope text) returns jsonb
language plpgsql as $$
declare
	x jsonb;
begin
	if l ->> 'h' in ('d', 'C') and l ->> 'own' is distinct from 'common' and nv.p(10) then
		x := nv.a_field(case when nv.p(50) then scope else 'contact' end, 'text', l ->> 'h');
		if x is not null and x ->> 'own' is distinct from 'common' then
			return x;
		end if;
	end if;
	return nv.str(nv.pick(nv.values_of(l)));
end $$;

create function nv.right_instant(l jsonb, scope text) returns jsonb
language plpgsql as $$
declare
	k int := nv.r(100);
begin
	if k < 62 then
		return nv.a_clock();
	elsif k < 70 then
		return nv.a_field(scope, 'inst');
	elsif k < 74 then
		return nv.a_field('contact', 'inst');
	elsif k < 79 and scope = 'contact' then
		return nv.an_aggregate('inst');
	end if;
	return nv.an_instant(l);
end $$;

create function nv.a_period() returns jsonb
language plpgsql as $$
declare
	i jsonb;
begin
	if nv.p(65) then
		return jsonb_build_object('t', 'period', 'p', nv.pick('{this,last,next,last}'), 'u', nv.pick('{day,week,month,month,quarter,year}'));
	elsif nv.p(50) then
		return jsonb_build_object('t', 'period', 'p', nv.pick('{yesterday,tomorrow,today}'));
	end if;
	-- whole days only: DESIGN does not say what a day plus an hour is
	i := nv.pick(array['{"x":"1 day","m":0,"s":86400}', '{"x":"3 days","m":0,"s":259200}', '{"x":"1 week","m":0,"s":604800}',
			'{"x":"30 days","m":0,"s":2592000}'])::jsonb;
	return jsonb_build_object('t', 'period', 'p', 'today', 'shifts', jsonb_build_array(jsonb_build_object('sign', nv.pick('{+,-}'), 'i', i)));
end $$;

create function nv.some_of(v text[]) returns jsonb
language plpgsql as $$
declare
	b jsonb := '[]';
begin
	for i in 1 .. 1 + nv.r(3) loop
		b := b || nv.str(nv.pick(v));
	end loop;
	return b;
end $$;

create function nv.random_case(s text) returns text
language plpgsql as $$
begin
	return case nv.r(4) when 0 then upper(s) when 1 then lower(s) else s end;
end $$;

-- A text test of l; v are values that are likely.
create function nv.text_test(l jsonb, scope text) returns jsonb
language plpgsql as $$
declare
	v text[] := nv.values_of(l);
	w text := nv.pick(v);
	neg boolean := nv.p(22);
	k int := nv.r(100);
	x text;
	b jsonb;
begin
	if k < 28 then
		return nv.a_comparison(nv.pick('{=,=,=,<>}'), l, nv.right_text(l, scope));
	elsif k < 40 then
		return nv.a_comparison(nv.pick('{<,<=,>,>=}'), l, nv.right_text(l, scope));
	elsif k < 52 then
		b := nv.some_of(v);
		if nv.p(15) then
			b := b || nv.right_text(l, scope);
		elsif nv.p(5) then
			b := b || nv.num('5');
		end if;
		return nv.a_test('in', l, b, neg);
	elsif k < 57 then
		return nv.a_test('between', l, jsonb_build_array(nv.str(least(w, 'a')), nv.str(greatest(w, nv.pick(v)))), neg);
	elsif k < 69 then
		x := case nv.r(6) when 0 then left(w, 2) || '%' when 1 then '%' || right(w, 2) when 2 then '%' || substr(w, 2, 2) || '%'
			when 3 then '_' || substr(w, 2) when 4 then w else '%' end;
		if right(x, 1) = '\' then
			x := x || '%';
		end if;
		return nv.a_test(nv.pick('{like,ilike}'), l, jsonb_build_array(nv.str(case when nv.p(30) then nv.random_case(x) else x end)), neg);
	elsif k < 78 then
		return nv.a_test(nv.pick('{~,~*,!~,!~*}'), l,
			jsonb_build_array(nv.str(nv.pick(array['^a', 'b$', '[0-9]+', 'a|b', '^.{2}$', 'S', '^$', '\d', 'o.*e', '/', 'X']))));
	elsif k < 88 then
		x := nv.pick('{starts with,ends with,contains}');
		b := nv.str(case when nv.p(5) then '' else nv.random_case(case x when 'starts with' then left(w, 2) when 'ends with' then right(w, 2) else substr(w, 2, 2) end) end);
		if nv.p(8) and l ->> 'h' = 'd' and l ->> 'own' is distinct from 'common' then
			b := nv.a_field('contact', 'text', 'd');
		end if;
		return nv.a_test(x, l, jsonb_build_array(b), neg);
	elsif k < 92 then
		return nv.a_test(nv.pick('{contains any,contains all}'), l,
			jsonb_build_array(nv.str(nv.random_case(left(w, 1))), nv.str(nv.random_case(right(w, 1)))), neg);
	elsif k < 96 then
		return nv.a_test(nv.pick('{is null,is empty,is empty}'), l, '[]', nv.p(50));
	end if;
	return nv.odd_test(l, scope);
end $$;

-- A text or json against a number, a boolean or an instant.
create function nv.odd_test(l jsonb, scope text) returns jsonb
language plpgsql as $$
begin
	case nv.r(8)
		when 5 then return nv.a_comparison(nv.a_cmp(), l, nv.a_field(case when nv.p(50) then scope else 'contact' end, 'num'));
		when 6 then return nv.a_comparison(nv.pick('{=,<>}'), l, nv.a_field(case when nv.p(50) then scope else 'contact' end, 'bool'));
		when 7 then return nv.a_comparison(nv.pick('{<,<=,>,>=}'), l, nv.a_field(case when nv.p(50) then scope else 'contact' end, 'inst'));
		when 0, 1 then return nv.a_comparison(nv.a_cmp(), l, nv.num(nv.pick('{5,7,-3,100,2,3}')));
		when 2 then return nv.a_test(nv.pick('{=,<>}'), l, jsonb_build_array(jsonb_build_object('t', 'bool', 'v', nv.p(50))));
		when 3 then return nv.a_comparison(nv.pick('{<,<=,>,>=}'), l, nv.a_clock());
		else return nv.a_test('between', l, jsonb_build_array(nv.num('-3'), nv.num(nv.pick('{5,6,50}'))), nv.p(20));
	end case;
end $$;

create function nv.instant_test(l jsonb, scope text) returns jsonb
language plpgsql as $$
declare
	neg boolean := nv.p(22);
	k int := nv.r(100);
	c jsonb;
begin
	if k < 60 then
		return nv.a_comparison(case when nv.p(90) then nv.pick('{<,<=,>,>=}') else nv.pick('{=,<>}') end, l, nv.right_instant(l, scope));
	elsif k < 74 then
		c := jsonb_build_array(case when nv.p(70) then nv.a_clock() else nv.an_instant(l) end,
							   case when nv.p(70) then nv.a_clock() else nv.an_instant(l) end);
		return nv.a_test('between', l, c, neg);
	elsif k < 88 then
		return nv.a_test('in period', l, jsonb_build_array(nv.a_period()), neg);
	elsif k < 91 then
		return nv.a_test('in', l, jsonb_build_array(nv.an_instant(l), nv.an_instant(l),
			case when nv.p(50) then '{"t":"clock","base":"today","shifts":[]}'::jsonb else nv.an_instant(l) end), neg);
	elsif k < 94 and l ->> 't' = 'field' then
		return nv.a_test('between', nv.a_clock(), jsonb_build_array(l, nv.a_field(scope, 'inst')), neg);
	end if;
	return nv.a_test(nv.pick('{is null,is null,is empty}'), l, '[]', nv.p(50));
end $$;

create function nv.json_test(l jsonb, scope text) returns jsonb
language plpgsql as $$
declare
	h text := l ->> 'h';
	neg boolean := nv.p(22);
	b jsonb;
begin
	if nv.p(8) and h <> 'obj' then
		h := nv.pick('{text,num,bool,inst,arr}');
	end if;
	if nv.p(8) then
		h := 'obj';
	end if;
	case h
		when 'text' then
			if nv.p(6) and l ->> 'own' is null then
				b := nv.a_field('contact', 'text', 'd');
				return nv.a_test(nv.pick('{=,<>}'), l, jsonb_build_array(b));
			end if;
			return nv.text_test(l, scope);
		when 'num' then
			case nv.r(10)
				when 0 then return nv.a_test('between', l, jsonb_build_array(nv.num('-1'), nv.num(nv.pick('{3,5,50}'))), neg);
				when 1 then return nv.a_test('in', l, jsonb_build_array(nv.num('3'), nv.num('7.50'), nv.num('10')), neg);
				when 2 then return nv.a_comparison(nv.a_cmp(), l, nv.a_field('contact', 'num'));
				else return nv.a_comparison(nv.a_cmp(), l, nv.a_number(l));
			end case;
		when 'bool' then
			case nv.r(4)
				when 0 then return nv.a_test('is true', l, '[]', neg);
				when 1 then return nv.a_test('is false', l, '[]', neg);
				else return nv.a_test(nv.pick('{=,=,<>}'), l, jsonb_build_array(jsonb_build_object('t', 'bool', 'v', nv.p(50))));
			end case;
		when 'inst' then
			case nv.r(6)
				when 0 then return nv.a_test('in period', l, jsonb_build_array(nv.a_period()), neg);
				when 1 then return nv.a_comparison(nv.pick('{<,<=,>,>=}'), l, nv.a_field('contact', 'inst'));
				else return nv.a_comparison(nv.pick('{<,<=,>,>=}'), l, nv.a_clock());
			end case;
		when 'arr' then
			case nv.r(5)
				when 0 then return nv.a_test('contains', l, jsonb_build_array(nv.num(nv.pick('{3,1,5}'))), neg);
				when 1 then return nv.a_test('contains', l, '[{"t":"bool","v":true}]', neg);
				when 2 then return nv.a_test(nv.pick('{contains any,contains all}'), l, nv.some_of('{a,B,vip,3,gold,true}'), neg);
				else return nv.a_test('contains', l, jsonb_build_array(nv.str(nv.pick('{a,B,b,vip,VIP,3,gold,true}'))), neg);
			end case;
		else
			return nv.a_test(nv.pick('{is null,is empty}'), l, '[]', nv.p(50));
	end case;
end $$;

-- A test of an operand, a field of scope or an aggregate.
create function nv.test_of(l jsonb, scope text) returns jsonb
language plpgsql as $$
declare
	neg boolean := nv.p(22);
	k int := nv.r(100);
	n jsonb;
	m jsonb;
begin
	case l ->> 'fam'
		when 'num' then
			if k < 72 then
				return nv.a_comparison(nv.a_cmp(), l, nv.right_number(l, scope));
			elsif k < 84 then
				n := nv.a_number(l);
				m := nv.a_number(l);
				if (n ->> 'v')::numeric > (m ->> 'v')::numeric and nv.p(90) then
					return nv.a_test('between', l, jsonb_build_array(m, n), neg);
				end if;
				return nv.a_test('between', l, jsonb_build_array(n, nv.right_number(l, scope)), neg);
			elsif k < 93 then
				return nv.a_test('in', l, jsonb_build_array(nv.a_number(l), nv.a_number(l), nv.right_number(l, scope)), neg);
			elsif k < 95 and l ->> 't' = 'field' then
				return nv.a_test(nv.a_cmp(), l, jsonb_build_array(nv.str(nv.pick('{5,0,3}'))));
			elsif l ->> 'fn' in ('count', 'distinct', 'sum', 'score') then
				return nv.a_comparison('>=', l, nv.a_number(l));
			end if;
			return nv.a_test(nv.pick('{is null,is null,is empty}'), l, '[]', nv.p(50));
		when 'text' then return nv.text_test(l, scope);
		when 'inst' then return nv.instant_test(l, scope);
		when 'json' then return nv.json_test(l, scope);
		when 'bool' then
			if k < 40 and l ->> 't' = 'field' then
				return jsonb_build_object('t', 'alone', 'a', l);
			elsif k < 65 then
				return nv.a_test(nv.pick('{is true,is false}'), l, '[]', neg);
			elsif k < 85 then
				return nv.a_comparison(nv.pick('{=,=,<>}'), l, jsonb_build_object('t', 'bool', 'v', nv.p(60)));
			elsif k < 92 then
				return nv.a_comparison(nv.pick('{=,<>}'), l, nv.a_field(case when nv.p(50) then scope else 'contact' end, 'bool'));
			end if;
			return nv.a_test('is null', l, '[]', nv.p(50));
		when 'arr' then
			if k < 55 then
				return nv.a_test('contains', l, jsonb_build_array(nv.str(nv.pick('{vip,new,VIP,eu}'))), neg);
			elsif k < 80 then
				return nv.a_test(nv.pick('{contains any,contains all}'), l, nv.some_of('{vip,new,eu,none}'), neg);
			elsif k < 84 then
				return nv.a_test(nv.pick('{=,<>}'), l, jsonb_build_array(nv.str(nv.pick(array['{vip,new}', '{eu}', '{}', '{vip}']))));
			end if;
			return nv.a_test(nv.pick('{is null,is empty}'), l, '[]', nv.p(50));
		when 'enum' then
			if k < 60 then
				return nv.a_comparison(nv.a_cmp(), l, nv.str(nv.pick('{free,trial,pro,max}')));
			elsif k < 80 then
				return nv.a_test('in', l, nv.some_of('{free,trial,pro,max}'), neg);
			elsif k < 92 then
				return nv.a_test('between', l, jsonb_build_array(nv.str(nv.pick('{free,trial}')), nv.str(nv.pick('{trial,pro,max}'))), neg);
			end if;
			return nv.a_test('is null', l, '[]', nv.p(50));
		else					-- uuid, inet
			if k < 70 then
				return nv.a_comparison(nv.pick('{=,=,<>,<,>=}'), l, nv.str(nv.pick((select pool from nv.col where owner = 'contact' and cls = l ->> 'fam'))));
			elsif k < 90 then
				return nv.a_test('in', l, nv.some_of((select pool from nv.col where owner = 'contact' and cls = l ->> 'fam')), neg);
			end if;
			return nv.a_test('is null', l, '[]', nv.p(50));
	end case;
end $$;

-- A condition inside the where of rows of owner.
create function nv.a_where(owner text, depth int) returns jsonb
language plpgsql as $$
declare
	k int := nv.r(100);
	l jsonb;
	c jsonb;
begin
	if depth > 0 and k < 22 then
		return jsonb_build_object('t', 'and', 'k', jsonb_build_array(nv.a_where(owner, depth - 1), nv.a_where(owner, depth - 1)));
	elsif depth > 0 and k < 40 then
		return jsonb_build_object('t', 'or', 'k', jsonb_build_array(nv.a_where(owner, depth - 1), nv.a_where(owner, depth - 1)));
	elsif depth > 0 and k < 48 then
		return jsonb_build_object('t', 'not', 'k', jsonb_build_array(nv.a_where(owner, depth - 1)));
	end if;
	if nv.p(8) then
		l := nv.a_field('contact');
	else
		l := nv.a_field(owner);
	end if;
	return nv.test_of(l, owner);
end $$;

-- where, within, older than.
create function nv.dress(a jsonb, owner text) returns jsonb
language plpgsql as $$
declare
	i jsonb;
	j jsonb;
	timeless boolean := a -> 'kinds' ?| '{badge,tags,interests}'::text[];
begin
	if nv.p(50) then
		a := a || jsonb_build_object('where', nv.a_where(owner, nv.r(2)));
	end if;
	if not timeless then
		if nv.p(40) then
			i := nv.an_interval();
			a := a || jsonb_build_object('within', i);
		end if;
		if nv.p(10) then
			j := nv.an_interval();
			-- most often a span that is not empty
			if i is null or nv.p(20) or (j ->> 'm')::int * 2592000 + (j ->> 's')::int < (i ->> 'm')::int * 2592000 + (i ->> 's')::int then
				a := a || jsonb_build_object('older', j);
			end if;
		end if;
	end if;
	return a;
end $$;

create function nv.a_kind() returns text
language sql as $$ select nv.pick('{visit,visit,visit,Mail Open,Mail Open,form,form,click,badge}') $$;

create function nv.some_kinds(n int) returns jsonb
language plpgsql as $$
declare
	a text[] := array[nv.a_kind()];
	k text;
begin
	while cardinality(a) < n loop
		k := nv.a_kind();
		if k <> all (a) then
			a := a || k;
		end if;
	end loop;
	return to_jsonb(a);
end $$;

-- One kind, now and then that of the elements of a column.
create function nv.one_kind() returns jsonb
language sql as $$ select case when nv.p(15) then to_jsonb(array[nv.pick('{tags,interests,interests}')]) else nv.some_kinds(1) end $$;

create function nv.an_exists() returns jsonb
language plpgsql as $$
declare
	kinds jsonb := case when nv.p(15) then nv.some_kinds(2 + nv.r(2)) else nv.one_kind() end;
begin
	return nv.dress(jsonb_build_object('t', 'agg', 'fn', 'exists', 'kinds', kinds, 'fam', 'bool'),
		case when jsonb_array_length(kinds) > 1 then 'common' else (select tbl from nv.kind where kind = kinds ->> 0) end);
end $$;

create function nv.a_score() returns jsonb
language plpgsql as $$
declare
	items jsonb := '[]';
begin
	perform set_config('nv.in_score', 'on', true);
	for i in 1 .. 1 + nv.r(4) loop
		items := items || jsonb_build_object('n', nv.pick('{1,5,5,10,10,2,-5,-3,0}')::int, 'c', nv.a_condition(nv.r(2)));
	end loop;
	perform set_config('nv.in_score', '', true);
	return jsonb_build_object('t', 'agg', 'fn', 'score', 'items', items, 'fam', 'num');
end $$;

-- An aggregate, of the family if one is given.
create function nv.an_aggregate(family text default null) returns jsonb
language plpgsql as $$
declare
	kinds jsonb;
	tab text;
	fn text;
	f jsonb;
	k int;
begin
	if coalesce(family, 'num') = 'num' and coalesce(current_setting('nv.in_score', true), '') <> 'on' and nv.p(10) then
		return nv.a_score();
	end if;
	k := nv.r(100);
	fn := case when k < 38 then 'count' when k < 47 then 'distinct' when k < 59 then 'sum' when k < 65 then 'avg'
			   when k < 73 then 'min' when k < 81 then 'max' when k < 88 then 'first' else 'last' end;
	if family is not null and family <> 'num' and fn in ('count', 'distinct', 'sum', 'avg') then
		fn := nv.pick('{min,max,first,last}');
	end if;
	if fn = 'count' then
		kinds := case when nv.p(18) then nv.some_kinds(2 + nv.r(2)) else nv.one_kind() end;
		return nv.dress(jsonb_build_object('t', 'agg', 'fn', fn, 'kinds', kinds, 'fam', 'num'),
			case when jsonb_array_length(kinds) > 1 then 'common' else (select tbl from nv.kind where kind = kinds ->> 0) end);
	end if;
	kinds := case when family is null or fn in ('distinct', 'sum', 'avg') then nv.one_kind() else nv.some_kinds(1) end;
	select tbl into tab from nv.kind where kind = kinds ->> 0;
	if tab = 'tags' or fn in ('sum', 'avg') and tab = 'interests' then
		f := case tab when 'tags' then nv.a_field(tab)
			else jsonb_build_object('t', 'field', 's', 'r', 'p', nv.pick(array['["n"]', '["value"]', '["nest", "from"]'])::jsonb, 'fam', 'json', 'h', 'num') end;
	elsif fn in ('sum', 'avg') then
		f := nv.a_field(tab, 'num');
		if nv.p(20) then
			f := jsonb_build_object('t', 'field', 's', 'r', 'p', '["data", "n"]'::jsonb, 'fam', 'json', 'h', 'num');
		elsif nv.p(10) then
			f := nv.a_field(tab, 'text');
		end if;
	else
		loop
			f := nv.a_field(tab, family);
			exit when f ->> 'fam' not in ('json', 'arr')
				or f ->> 'fam' = 'arr' and fn in ('first', 'last')
				or f ->> 'fam' = 'json' and (jsonb_array_length(f -> 'p') > 1 or tab = 'interests');
		end loop;
	end if;
	return nv.dress(f - 's' || jsonb_build_object('t', 'agg', 'fn', fn, 'kinds', kinds,
		'fam', case when fn in ('distinct', 'sum', 'avg') or f ->> 'fam' = 'json' and fn in ('min', 'max') then 'num' else f ->> 'fam' end), tab);
end $$;

-- A condition on the contact.
create function nv.a_condition(depth int) returns jsonb
language plpgsql as $$
declare
	k int := nv.r(100);
	kids jsonb := '[]';
begin
	if depth > 0 and k < 78 then
		if k < 40 or k < 68 then
			for i in 1 .. 2 + (nv.r(4) / 3) loop
				kids := kids || nv.a_condition(depth - 1);
			end loop;
			return jsonb_build_object('t', case when k < 38 then 'and' else 'or' end, 'k', kids);
		end if;
		return jsonb_build_object('t', 'not', 'k', jsonb_build_array(nv.a_condition(depth - 1)));
	end if;
	k := nv.r(200);
	if k < 66 then
		return jsonb_build_object('t', 'alone', 'a', nv.an_exists());
	elsif k < 138 then
		return nv.test_of(nv.an_aggregate(), 'contact');
	elsif k < 198 then
		return nv.test_of(nv.a_field('contact'), 'contact');
	elsif k < 199 then
		return jsonb_build_object('t', nv.pick('{true,false}'));
	else
		return nv.a_test(nv.pick('{<,>=}'), nv.a_clock(), jsonb_build_array(nv.an_instant('{"h":"tstz"}')));
	end if;
end $$;

-- Rule number n of the seed.
create function nv.a_rule(seed bigint, n int) returns jsonb
language plpgsql as $$
begin
	perform nv.reseed(seed, 'rule ' || n);
	return nv.a_condition((array[0, 1, 1, 2, 2, 3])[1 + nv.r(6)]);
end $$;

-- ---------------------------------------------------------------------
-- The tree as text
-- ---------------------------------------------------------------------

-- A keyword in some letter case.
create function nv.kw(s text) returns text
language plpgsql as $$
begin
	return case when nv.p(85) then s when nv.p(70) then upper(s) else initcap(s) end;
end $$;

create function nv.name(s text) returns text
language plpgsql as $$
begin
	if s ~ '^[a-z_][a-z0-9_]*$' and s <> all (array['and', 'or', 'not', 'in', 'is', 'between', 'where', 'within', 'older', 'distinct',
		'true', 'false', 'null', 'now', 'today']) then
		return case when nv.p(92) then s when nv.p(50) then upper(s) else '"' || s || '"' end;
	end if;
	return '"' || replace(s, '"', '""') || '"';
end $$;

create function nv.path(p jsonb) returns text
language plpgsql as $$
declare
	s text := nv.name(p ->> 0);
begin
	for i in 1 .. jsonb_array_length(p) - 1 loop
		if jsonb_typeof(p -> i) = 'number' then
			s := s || '[' || (p ->> i) || ']';
		elsif p ->> i ~ '^[a-z_][a-z0-9_]*$' then
			s := s || '.' || case when nv.p(80) then p ->> i else '"' || (p ->> i) || '"' end;
		else
			s := s || '.' || nv.name(p ->> i);
		end if;
	end loop;
	return s;
end $$;

create function nv.quoted(s text) returns text
language sql immutable as $$ select '''' || replace(s, '''', '''''') || '''' $$;

create function nv.interval_text(i jsonb) returns text
language plpgsql as $$
begin
	return case when nv.p(12) then nv.quoted(i ->> 'x') else i ->> 'x' end;
end $$;

create function nv.shifts_text(shifts jsonb) returns text
language plpgsql as $$
declare
	s text := '';
	x jsonb;
begin
	for x in select * from jsonb_array_elements(coalesce(shifts, '[]')) loop
		s := s || ' ' || (x ->> 'sign') || ' ' || nv.interval_text(x -> 'i');
	end loop;
	return s;
end $$;

-- A score: its conditions written out, or kept as rules of a set.
create function nv.score_text(items jsonb) returns text
language plpgsql as $$
declare
	s text := '';
	set_name text;
	i jsonb;
	n int := 0;
begin
	if current_setting('nv.segments', true) = 'on' and nv.p(60) then
		set_name := 'set ' || nextval('nv.named');
		perform leadstream.create_score_set(set_name);
	end if;
	for i in select * from jsonb_array_elements(items) loop
		n := n + 1;
		if set_name is null then
			s := s || ', ' || (i ->> 'n') || ' ' || nv.kw('where') || ' ' || nv.rule_text(i -> 'c');
		else
			perform leadstream.create_score_rule(set_name, 'rule ' || n, nv.rule_text(i -> 'c')::leadstream.rule, (i ->> 'n')::int);
		end if;
	end loop;
	return nv.kw('score') || nv.pick(array['(', ' ( ']) || coalesce(nv.quoted(set_name), substr(s, 3)) || ')';
end $$;

-- inside: true within a where.
create function nv.operand_text(o jsonb, inside boolean) returns text
language plpgsql as $$
declare
	s text;
	k text;
begin
	case o ->> 't'
		when 'str' then return nv.quoted(o ->> 'v');
		when 'num' then return o ->> 'v';
		when 'bool' then return nv.kw(o ->> 'v');
		when 'clock' then return nv.kw(o ->> 'base') || nv.shifts_text(o -> 'shifts');
		when 'times' then return (o ->> 'n') || nv.pick('{ * ,*}') || nv.operand_text(o -> 'a', inside);
		when 'field' then
			s := nv.path(o -> 'p');
			if o ->> 's' = 'c' and (inside or nv.p(10)) then
				s := 'contact.' || s;
			end if;
			return s;
		when 'period' then
			return nv.kw(o ->> 'p') || case when o ? 'u' then ' ' || nv.kw(o ->> 'u') else '' end || nv.shifts_text(o -> 'shifts');
		else
			if o ->> 'fn' = 'score' then
				return nv.score_text(o -> 'items');
			elsif o ->> 'fn' = 'distinct' then
				s := nv.kw('count') || '(' || nv.kw('distinct') || ' ';
			else
				s := nv.kw(o ->> 'fn') || nv.pick(array['(', '(', '(', ' ( ']);
			end if;
			if o ? 'p' then
				s := s || nv.name(o #>> '{kinds,0}') || '.' || nv.path(o -> 'p');
			else
				for k in select * from jsonb_array_elements_text(o -> 'kinds') loop
					s := s || nv.name(k) || ', ';
				end loop;
				s := left(s, -2);
			end if;
			if o ? 'where' then
				s := s || ' ' || nv.kw('where') || ' ' || nv.rule_text(o -> 'where', 0, true);
			end if;
			if o ? 'within' then
				s := s || ' ' || nv.kw('within') || ' ' || nv.interval_text(o -> 'within');
			end if;
			if o ? 'older' then
				s := s || ' ' || nv.kw('older than') || ' ' || nv.interval_text(o -> 'older');
			end if;
			return s || ')';
	end case;
end $$;

-- level: 0 anything, 1 inside and, 2 after not.
create function nv.rule_text(c jsonb, level int default 0, inside boolean default false) returns text
language plpgsql as $$
declare
	s text := '';
	k jsonb;
	own int;
	neg boolean := coalesce((c ->> 'neg')::boolean, false);
	op text := c ->> 'op';
	n text := case when neg then nv.kw('not') || ' ' else '' end;
	b text[] := '{}';
begin
	if c ->> 't' in ('and', 'or') then
		own := case when c ->> 't' = 'or' then 0 else 1 end;
		for k in select * from jsonb_array_elements(c -> 'k') loop
			s := s || case when s = '' then '' else ' ' || nv.kw(c ->> 't') || ' ' end
				-- now and then a kid of the same kind stays without parentheses
				|| nv.rule_text(k, case when nv.p(50) then own else own + 1 end, inside);
		end loop;
	elsif c ->> 't' = 'not' then
		own := 2;
		s := nv.kw('not') || ' ' || nv.rule_text(c #> '{k,0}', 2, inside);
	else
		own := 3;
		if c ->> 't' in ('true', 'false') then
			s := nv.kw(c ->> 't');
		else
			s := nv.operand_text(c -> 'a', inside);
			if c ->> 't' = 'test' then
				for k in select * from jsonb_array_elements(c -> 'b') loop
					b := b || nv.operand_text(k, inside);
				end loop;
				s := s || ' ' || case
					when op in ('=', '<', '<=', '>', '>=') then op || ' ' || b[1]
					when op = '<>' then nv.pick('{<>,!=}') || ' ' || b[1]
					when op in ('~', '~*', '!~', '!~*') then op || ' ' || b[1]
					when op like 'is %' then nv.kw('is') || ' ' || n || nv.kw(substr(op, 4))
					when op = 'between' then n || nv.kw('between') || ' ' || b[1] || ' ' || nv.kw('and') || ' ' || b[2]
					when op = 'in' then n || nv.kw('in') || ' (' || array_to_string(b, ', ') || ')'
					when op = 'in period' then n || nv.kw('in') || ' ' || b[1]
					when op in ('contains any', 'contains all') then n || nv.kw(op) || ' (' || array_to_string(b, ', ') || ')'
					else n || nv.kw(op) || ' ' || b[1] end;
			end if;
		end if;
	end if;
	if not inside and current_setting('nv.segments', true) = 'on' and nv.p(12) then
		k := to_jsonb('seg ' || nextval('nv.named'));
		perform leadstream.create_segment(k #>> '{}', s::leadstream.rule);
		return nv.kw('segment') || nv.pick(array['(', ' ( ']) || nv.quoted(k #>> '{}') || ')';
	end if;
	if own < level or nv.p(4) then
		s := '(' || s || ')';
	end if;
	return s;
end $$;

create sequence nv.named;
