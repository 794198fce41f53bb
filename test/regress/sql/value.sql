--
-- Values read out of texts and jsonb
--
\pset null '(null)'

-- Numbers
select s, leadstream.as_number(s)
  from unnest(array['0', '12', '-12', '+12', '1.5', '.5', '5.', '-.5', ' 7 ', E'\t7\n',
	'1e3', '1E+3', '1.5e-3', '007', '1e0', '0e1000']) s;
select s, leadstream.as_number(s)
  from unnest(array['', ' ', '.', '-', '+', 'e1', '1e', '1e+', '1.2.3', '1,000', '1 000',
	'- 1', '--1', '0x10', '1_000', 'NaN', 'nan', 'Infinity', '-inf', '$1', '1%', '1e1001',
	'1e-1001', '1e99999999999999999999', 'null', 'true']) s
 where leadstream.as_number(s) is not null;
select leadstream.as_number(repeat('9', 1000)) = repeat('9', 1000)::numeric as longest,
	   leadstream.as_number('  ' || repeat('9', 1000) || '  ') is not null as blanks_aside,
	   leadstream.as_number(repeat('9', 1001)) as longer,
	   leadstream.as_number('1e1000') = 10::numeric ^ 1000 as largest,
	   leadstream.as_number(repeat('9', 994) || 'e1000') > 0 as both,
	   leadstream.as_number(repeat(' ', 100000) || 'x') as blanks;
select j, leadstream.as_number(j)
  from unnest(array['12', '-1.50', '"12"', '" 1e2 "', '"x"', '""', '"NaN"', 'null', 'true',
	'[1]', '{"a": 1}', '[]']::jsonb[]) j;
select leadstream.as_number('1e20000'::jsonb) = 1e20000 as json_is_not_bounded;
select f, leadstream.as_number(f)
  from unnest(array['0', '-1.5', '0.1', 'NaN', 'Infinity', '-Infinity',
	'123456789.12345678']::float8[]) f;
select leadstream.as_number(1e300::float8) = 1e300 as large,
	   leadstream.as_number(1e-300::float8) = 1e-300 as small;
select leadstream.as_number(42), leadstream.as_number('42');

-- Booleans
select s, leadstream.as_boolean(s)
  from unnest(array['true', 'TRUE', 't', 'yes', 'Y', 'on', '1', ' true ',
	'false', 'False', 'f', 'no', 'n', 'off', 'OFF', '0',
	'', ' ', 'o', 'truex', '2', '01', 'null', 'ja']) s;
select j, leadstream.as_boolean(j)
  from unnest(array['true', 'false', '"yes"', '"Off"', '1', '0', '"1"', 'null', '"x"',
	'[true]', '{}']::jsonb[]) j;

-- a lone "o" is none, whatever follows it in memory
select leadstream.json_has('["o", "n", "ff"]', true), leadstream.as_boolean(substr('on', 1, 1));

-- Texts
select j, leadstream.as_text(j)
  from unnest(array['"a"', '""', '"\"q\" #"', '12', '1.50', 'true', 'false', 'null',
	'[1, "a"]', '{"b": null, "a": [1]}', '[]', '{}']::jsonb[]) j;
select count(*) as differences
  from unnest(array['"a"', '""', '"\"q\""', '12', '1.50', 'true', 'false', 'null',
	'[1, "a"]', '{"b": null, "a": [1]}', '[]', '{}']::jsonb[]) j
 where leadstream.as_text(j) is distinct from j #>> '{}';

-- Blank
select leadstream.is_blank(null::text), leadstream.is_blank(''), leadstream.is_blank(E' \t\r\n'),
	   leadstream.is_blank('x'), leadstream.is_blank(' x ');
select j, leadstream.is_blank(j)
  from unnest(array[null, 'null', '{}', '[]', '""', '"  "', '"x"', '0', 'false', '{"a": null}',
	'[null]', '[[]]']::jsonb[]) j;
select leadstream.is_blank(null::int[]), leadstream.is_blank('{}'::int[]),
	   leadstream.is_blank('{1}'::int[]), leadstream.is_blank(array[null]::text[]),
	   leadstream.is_blank(array[[1, 2], [3, 4]]), leadstream.is_blank('{}'::date[]);

-- Members
select j, m, leadstream.json_has(j, m)
  from (values
	('["a", "b"]'::jsonb, 'a'), ('["a", "b"]', 'A'), ('["a", "b"]', 'c'), ('["ab"]', 'a'),
	('[1, 2.50, true, null]', '1'), ('[1, 2.50, true, null]', '2.5'),
	('[1, 2.50, true, null]', '2.50'), ('[1, 2.50, true, null]', 'true'),
	('[1, 2.50, true, null]', 'null'), ('[[1, 2]]', '1'), ('[[1, 2]]', '[1, 2]'),
	('[{"a": 1}]', '{"a": 1}'), ('[]', ''), ('[""]', ''),
	('"Hello World"', 'WORLD'), ('"Hello World"', 'o w'), ('"Hello"', 'x'), ('"Hello"', ''),
	('"Hello"', 'hello world'), ('12', '1'), ('true', 'true'), ('null', ''), ('{"a": 1}', 'a')
	) r (j, m);
select j, n, leadstream.json_has(j, n)
  from (values
	('[1, "2.0", true]'::jsonb, 1.0), ('[1, "2.0", true]', 2), ('[1, "2.0", true]', 3),
	('["NaN"]', 'NaN'), ('[[1]]', 1), ('1', 1), ('"1"', 1), ('{"a": 1}', 1), ('[]', 0),
	('[1e40]', 'Infinity'), ('[1, 2]', 'NaN')
	) r (j, n);
select j, b, leadstream.json_has(j, b)
  from (values
	('[true]'::jsonb, true), ('[true]', false), ('["no"]', false), ('[0]', false),
	('["0"]', false), ('[[true]]', true), ('true', true), ('[]', false)
	) r (j, b);
select leadstream.json_has('["a"]', 'a' collate "C"), leadstream.json_has('"ABC"', 'b' collate "C"),
	   leadstream.json_has(null::jsonb, 'a'), leadstream.json_has('["a"]', null::text);

-- Products
select leadstream.times(2, 3.5), leadstream.times('NaN', 1), leadstream.times('Infinity', -1),
	   leadstream.times('Infinity', 0), leadstream.times(1e131071, 10) as overflow,
	   leadstream.times(-1e100000, 1e100000) as overflow,
	   leadstream.times(1e131071, 0), leadstream.times(null, 1);

-- Whatever bytes come, a reader answers
select setseed(0.2);
create temp table noise as
	select string_agg(substr('0123456789+-.eEinfNa T:Z"[]{},truefalsno', 1 + (random() * 39)::int, 1), '') as s
	  from generate_series(1, 3000) i, generate_series(1, 1 + i % 12) group by i;
select count(*) > 0 as ran,
	   count(*) filter (where leadstream.as_boolean(s) is not null and leadstream.as_instant(s, 'UTC') is not null) as both
  from noise;
-- and what reads as a number is the number that the cast reads
do $$
declare
	r record;
	n numeric;
	differences int := 0;
begin
	for r in select s from noise loop
		begin
			n := r.s::numeric;
			if n in ('NaN', 'Infinity', '-Infinity') or r.s ~ '[eE][+-]?\d{4}' then
				n := null;
			end if;
		exception when others then
			n := null;
		end;
		if leadstream.as_number(r.s) is distinct from n and r.s !~ '[eE][+-]?\d{4}' then
			differences := differences + 1;
		end if;
		begin
			if leadstream.as_boolean(r.s) is distinct from r.s::boolean then
				differences := differences + 1;
			end if;
		exception when others then
			if leadstream.as_boolean(r.s) is not null then
				differences := differences + 1;
			end if;
		end;
	end loop;
	raise info 'differences: %', differences;
end
$$;
drop table noise;
