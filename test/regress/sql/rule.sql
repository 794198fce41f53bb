--
-- The type leadstream.rule: what parses, the canonical text, errors and
-- their hints, operators, casts and the binary form.
--
\set VERBOSITY terse
\pset null '(null)'

-- The canonical text, or the error as one line.
create function pg_temp.try(source text) returns text
language plpgsql as $$
declare
	message text;
	detail text;
	hint text;
begin
	return source::leadstream.rule;
exception when others then
	get stacked diagnostics message = message_text,
		detail = pg_exception_detail, hint = pg_exception_hint;
	return concat_ws(E'\n  ', sqlstate || ': ' || message,
					 nullif(detail, ''), nullif(hint, ''));
end
$$;

-- Is the canonical text a fixed point that gives back the same value?
create function pg_temp.is_fixed(source text) returns boolean
language sql as $$
	select r::text::leadstream.rule::text = r::text
		and r::text::leadstream.rule operator(leadstream.=) r
	from (select source::leadstream.rule as r) s
$$;

create temp table example (n serial, source text);

-- The examples of the manual
insert into example (source) values
	($$lead_score >= 50 and country in ('SE', 'NO')$$),
	($$exists(form_submit where form = 'Request a demo')$$),
	($$country = 'SE' and exists(form_submit)$$),
	($$count(page_visit where url like '/pricing%' within 7 days) >= 3$$),
	($$exists(form_submit where form = 'webinar') and count(page_visit where url like '/landing/%') >= 3$$),
	($$sum(purchase.amount within 1 year) > 1000$$),
	($$count(distinct page_visit.session_id within 90 days) >= 2$$),
	($$last(form_submit.budget where form = 'contact') = 'Yes'$$),
	($$not exists(mail_open within 90 days) and exists(mail_sent within 90 days)$$),
	($$exists(sale_lost where value > 100000 within 365 days older than 180 days)$$),
	($$tags contains 'vip' and company is not empty and title not ilike '%student%'$$),
	($$exists(signal where data.adapter = 'Space Invaders' and data.score > 100)$$),
	($$last_visit in last month and trial_ends_at < today + 7 days$$),
	($$count(mail_open within 90 days) >= 0.2 * count(mail_sent within 90 days)$$),
	($$count(mail_open, mail_click within 7 days) >= 3$$);

-- Streams that customers set up
insert into example (source) values
	($$lead_score > 20$$),
	($$lead_score >= 80$$),
	($$exists(form_submit where form = 'Request a demo')$$),
	($$exists(form_submit)$$),
	($$exists(form_submit where form starts with 'LinkedIn:' or form starts with 'Facebook:')$$),
	($$country = 'SE' and exists(form_submit)$$),
	($$(country = 'SE' or country = 'NO') and exists(form_submit)$$),
	($$exists(form_submit where form = 'contact' and answers."Budget this year" = 'Yes')$$),
	($$title ilike '%CEO%' and lead_score > 50$$),
	($$phone is not empty and company is not empty and exists(form_submit where form = 'contact')$$),
	($$exists(list_member where list = 'Fair 2026 visitors') and exists(mail_click)$$),
	($$exists(form_submit where campaign_tags contains 'Events')$$),
	($$exists(form_submit where form = 'webinar') and count(page_visit where url like '/landing/%') >= 3$$),
	($$exists(form_submit where form = 'registration') and exists(form_submit where form = 'door scan')$$),
	($$exists(mail_open within 30 days) and exists(mail_click within 30 days) and count(page_visit where url like '/landing/%' within 30 days) >= 3$$),
	($$count(page_visit where url like '/pricing%' within 7 days) >= 3$$),
	($$count(distinct page_visit.session_id within 90 days) >= 2 and count(page_visit within 90 days) >= 5 and count(mail_open within 90 days) >= 2 and exists(mail_click within 90 days)$$),
	($$count(signal where adapter = 'Space Invaders' and category = 'Game Played' and data.score > 100 within 30 days) >= 3$$),
	($$original_source = 'paid search' and exists(form_submit within 30 days) and category <> 'customer'$$),
	($$lead_score > 80 and title not ilike '%student%' and not exists(page_visit where url like '/careers%' within 90 days) and country not in ('XX', 'YY')$$),
	($$exists(form_submit where form = 'Request a demo') and category <> 'customer' and email not like '%@competitor.example' and not exists(lead where is_open)$$),
	($$exists(form_submit where form = 'registration' and event_at < now - 2 days) and not exists(form_submit where form = 'door scan')$$),
	($$exists(page_visit within 7 days) and not exists(form_submit within 365 days) and not exists(mail_click within 365 days) and not exists(mail_sent within 365 days)$$),
	($$exists(sale_lost where value > 100000 within 365 days older than 180 days) and count(page_visit where url like '/pricing%' within 14 days) >= 2 and not last(sale_created.occurred_at) > last(sale_lost.occurred_at) and last(consent.basis where purpose = 'marketing') <> 'withdrawn'$$);

-- All of them are canonical as they stand: no rows.
select n, source, pg_temp.try(source) as result
from example where pg_temp.try(source) <> source order by n;
select count(*) from example where pg_temp.is_fixed(source);

select pg_temp.try($$(score('persona') >= 20 and score('engagement') >= 30) or (exists(form_submit where form = 'Request a demo') and score('persona') >= 20)$$);
select pg_temp.try($$segment('swedes')$$);

-- Other texts and what becomes of them
create temp table canonical (n serial, source text, expected text);
insert into canonical (source, expected) values
	-- blanks, comments, case
	(E'  A\n=\t1 -- the end', 'a = 1'),
	('/* one /* two */ still */ A /**/ IS/***/NOT NULL', 'a is not null'),
	('EXISTS ( Form_Submit WHERE Form LIKE ''A%'' WITHIN 7 DAYS OLDER THAN 1 DAY )',
	 'exists(form_submit where form like ''A%'' within 7 days older than 1 day)'),
	('a=1and b<>2', null),
	('a = 1 and(b!=2)', 'a = 1 and b <> 2'),
	('a>=-1or b<=+1', null),
	('a >= -1 or b <= +1', 'a >= -1 or b <= 1'),
	-- parentheses and chains
	('((a))', 'a'),
	('a and (b and (c and d))', 'a and b and c and d'),
	('((a or b) or c) or (d or e)', 'a or b or c or d or e'),
	('(a and b) or (c and d)', 'a and b or c and d'),
	('(a or b) and (c or d)', '(a or b) and (c or d)'),
	('not (a = 1)', 'not a = 1'),
	('not (a and b)', 'not (a and b)'),
	('not (not (a))', 'not not a'),
	('not (a or b) and c', 'not (a or b) and c'),
	('exists(k where (a or b) and c)', 'exists(k where (a or b) and c)'),
	('exists(k where ((a or b)) within 1 day)', 'exists(k where a or b within 1 day)'),
	-- tests
	('a ~ ''x'' and a ~* ''x'' and a !~ ''x'' and a !~* ''x''', 'a ~ ''x'' and a ~* ''x'' and a !~ ''x'' and a !~* ''x'''),
	('a is null and a is empty and a is true and a is false', 'a is null and a is empty and a is true and a is false'),
	('a is not null and a is not empty and a is not true and a is not false', 'a is not null and a is not empty and a is not true and a is not false'),
	('a between 1 and 2 and b not between now - 1 day and now', 'a between 1 and 2 and b not between now - 1 day and now'),
	('a in (1,2 , true,''x'',now, b.c)', 'a in (1, 2, true, ''x'', now, b.c)'),
	('a not in (1)', 'a not in (1)'),
	('a in today and a in yesterday and a in tomorrow', 'a in today and a in yesterday and a in tomorrow'),
	('a in today - 1 day + 2 hours', 'a in today - 1 day + 2 hours'),
	('a in This Day and a in last weeks and a not in next QUARTER', 'a in this day and a in last week and a not in next quarter'),
	('a like b and a not like ''x'' and a ilike ''x'' and a not ilike ''x''', 'a like b and a not like ''x'' and a ilike ''x'' and a not ilike ''x'''),
	('a starts with ''x'' and a not starts with ''x'' and a ends with ''x'' and a not ends with b', 'a starts with ''x'' and a not starts with ''x'' and a ends with ''x'' and a not ends with b'),
	('a contains ''x'' and a not contains 3', 'a contains ''x'' and a not contains 3'),
	('a contains any (1,2) and a not contains all(''x'')', 'a contains any (1, 2) and a not contains all (''x'')'),
	('true or false', 'true or false'),
	('''x'' = a and 1 < a and now > a', '''x'' = a and 1 < a and now > a'),
	-- aggregates
	('count(a, b.c , d) > 1', 'count(a, b.c, d) > 1'),
	('sum(k.a) > 1 and avg(k.a) > 1 and min(k.a) > 1 and max(k.a) > 1 and first(k.a) > 1 and last(k.a) > 1',
	 'sum(k.a) > 1 and avg(k.a) > 1 and min(k.a) > 1 and max(k.a) > 1 and first(k.a) > 1 and last(k.a) > 1'),
	('count( distinct k.a.b[0] where x) = 1', 'count(distinct k.a.b[0] where x) = 1'),
	('count(a) > -2e0 * sum(b.c) and count(a) between 1 * count(b) and 2 * count(c)', 'count(a) > -2 * sum(b.c) and count(a) between 1 * count(b) and 2 * count(c)'),
	('exists(a) is false and exists(a) = true', 'exists(a) is false and exists(a) = true'),
	('exists(a where exists(b where c))', 'exists(a where exists(b where c))'),
	-- strings
	('a = ''it''''s'' and b = ''''', 'a = ''it''''s'' and b = '''''),
	('a = ''back\slash -- no /* comment''', 'a = ''back\slash -- no /* comment'''),
	(E'a = ''two\nlines''', E'a = ''two\nlines'''),
	-- numbers
	('a in (1, 01, 1.0, 1., 1e0, 10e-1, +1, 0.1E+1)', 'a in (1, 1, 1, 1, 1, 1, 1, 1)'),
	('a in (0, -0, 0.00, .0, 0e99999999999, -0e-5)', 'a in (0, 0, 0, 0, 0, 0)'),
	('a in (.5, 1.250, 1e2, 1.5e1, 12e-3, 1e-3, 123456789012345678901234567890)', 'a in (0.5, 1.25, 100, 15, 0.012, 0.001, 123456789012345678901234567890)'),
	-- intervals
	('a < now - ''90 days''', 'a < now - 90 days'),
	('a < now - 01 Days 1.0 hours 2 mins 3.50 SECS', 'a < now - 1 day 1 hour 2 minutes 3.5 seconds'),
	('a < now + 1 year 2 quarters 1 months 1 weeks', 'a < now + 1 year 2 quarters 1 month 1 week'),
	('a < today + 0 days - ''  1.5  week  ''', 'a < today + 0 days - 1.5 weeks'),
	('a = now - 0.000001 seconds', 'a = now - 0.000001 seconds'),
	-- names
	('"a" = 1 and "A b" = 1 and "q""q" = 1', 'a = 1 and "A b" = 1 and "q""q" = 1'),
	('a$1 and _x and "$x" and "1x"', 'a$1 and _x and "$x" and "1x"'),
	('ÅNGSTRÖM and "ångström" and Æ.Ø', '"ÅngstrÖm" and "ångström" and "Æ"."Ø"'),
	('"and" or "where"."where" or "now" = now', '"and" or "where".where or "now" = now'),
	('data."" = 1', 'data."" = 1'),
	('data.and.or.where[3].true[0][1] = 1', 'data.and.or.where[3].true[0][1] = 1'),
	('data[007] and data[1e1]', 'data[7] and data[10]'),
	('last in last month and count > 1 and exists and "sum" = sum', 'last in last month and count > 1 and exists and sum = sum'),
	('like like like and contains contains contains and a contains any and starts starts with starts', 'like like like and contains contains contains and a contains any and starts starts with starts'),
	('empty is empty and count(count) > count and last(last.last) = last.last', 'empty is empty and count(count) > count and last(last.last) = last.last'),
	('this in this year and tomorrow in tomorrow and with ends with with', 'this in this year and tomorrow in tomorrow and with ends with with'),
	('score > 1 and segment = 2', 'score > 1 and segment = 2');
update canonical set source = replace(source, '1and', '1 and') where expected is null and source like 'a=1and%';
update canonical set expected = 'a = 1 and b <> 2' where expected is null and source like 'a=1 and%';
update canonical set source = replace(source, '1or', '1 or'), expected = 'a >= -1 or b <= 1' where expected is null;
select n, source, expected, pg_temp.try(source) as result
from canonical where pg_temp.try(source) is distinct from expected order by n;
select count(*) from canonical where pg_temp.is_fixed(source);

-- Every keyword is a label; those that are not reserved are names too.
select string_agg(word, ' ' order by word) as reserved
from unnest(string_to_array('all and any avg between contains count distinct empty ends exists false first ilike in is last like max min next not now null older or starts sum than this today tomorrow true where with within yesterday', ' ')) as word
where pg_temp.try(format('%s = 1 and a.%1$s', word)) is distinct from format('%s = 1 and a.%1$s', word);
select count(*)
from unnest(string_to_array('all and any avg between contains count distinct empty ends exists false first ilike in is last like max min next not now null older or starts sum than this today tomorrow true where with within yesterday', ' ')) as word
where pg_temp.is_fixed(format('a.%s[1].%1$s = "%1$s"."%1$s"', word));

-- Syntax errors: text, place and hint
create temp table wrong (n serial, source text);
insert into wrong (source) values
	(''), (E' \n -- nothing\n'), ('/* nothing */'),
	('a = '), ('a = = 1'), ('= 1'), ('a and'), ('and a'), ('a or or b'), ('not'), ('a and not'),
	('()'), ('(a'), ('(a = 1'), ('a)'), ('a = 1)'), ('(a) = 1'), ('a = (1)'), ('exists()'), ('exists(k'), ('a in ()'), ('a in (1,)'), ('a in (1'),
	('a == 1'), ('a =< 1'), ('a => 1'), ('a && b'), ('a || b'), ('! a'), ('a::text = 1'), ('data->>''x'' = 1'), ('a @> 1'), ('a = 1;'), ('a = $1'), ('a = #'),
	('within "7 days"'), ('exists(k within "7 days")'), ('country "SE"'),
	('a = null'), ('a in (null)'), ('a is ''x'''), ('a is not 1'), ('a not = 1'),
	('a = E''x\n'''),
	('count(x) within 7 days >= 3'), ('exists(k) where a = 1'), ('exists(k within 7 days where a = 1)'), ('exists(k older than 7 days within 1 year)'), ('a where b'),
	('exists(k within)'), ('exists(k within 7)'), ('exists(k older 7 days)'), ('exists(k older than x)'), ('a < now -'), ('a < now - 7'), ('a < now - b'), ('a < now - interval ''7 days'''), ('a < interval ''7 days'''), ('exists(k within -7 days)'), ('exists(k within 7days)'), ('a < 5and b'),
	('a + 1 = 2'), ('a * 2 = 4'), ('0.2 * count(a) < 3'), ('a > 2 * b'), ('a - b > 0'), ('a / 2 = 1'),
	('count(*) > 3'), ('lower(a) = ''x'''), ('now() > a'), ('today() > a'), ('Foo.bar(a)'),
	('a in ''x'''), ('a in month'), ('a in last'), ('a contains (1)'), ('a starts ''x'''), ('a like'), ('a between 1'), ('a between 1, 2'),
	('a = where'), ('distinct = 1'), ('older = 1'), ('a = 1 and null = 2'),
	('exists(k a = 1)'), ('sum(k.a b)'), ('exists(k between now - 7 days and now)'), ('(k a)'), ('segment(k)'), ('score(k) > 1'),
	('{"combinator": "and", "rules": []}'), ('[]'), ('a = {'),
	('a equals 1'), ('a b'), ('a = 1 b = 2'), ('a = ''x'' ''y'''), ('a = b c'),
	('a. = 1'), ('a.1 = 1'), ('a[x] = 1'), ('a[-1] = 1'), ('a[1.5] = 1'), ('a[9999999999] = 1'), ('"" = 1'),
	('count(k)'), ('sum(k.a) and b'), ('5'), ('''x'' or a'), ('now'), ('not today'), ('(''x'')'),
	('a = ''x'), ('a = "x'), ('a /* never'), ('a = ''x'''' and b'),
	('Å = ''Ö'' and ='), (E'a = 1 and\nb == 2'),
	('a = ' || repeat('x', 100) || ' ' || repeat('y', 100)),
	-- intervals
	('exists(k within 7 moons)'), ('a < now - 3 last'), ('exists(k within ''7 moons'')'), ('exists(k within ''7'')'), ('exists(k within ''soon'')'), ('exists(k within ''-7 days'')'), ('exists(k within ''7days'')'), ('exists(k within ''1 day 02:00'')'), ('exists(k within '''')'), ('exists(k within ''. days'')'),
	('exists(k within 0 days)'), ('exists(k within 0 months 0 seconds)'),
	('exists(k within 1.5 months)'), ('exists(k within 0.5 years)'), ('exists(k within 0.0000001 seconds)'),
	('exists(k within 2147483648 months)'), ('exists(k within 800000000 quarters)'), ('exists(k within 99999999999999 weeks)'), ('a < now - 99999999999999999999999999 hours'),
	('exists(k within 2000000000 months 2000000000 months)'),
	('a in last hour'), ('a in this moon'), ('a in next ''day''');
\pset format unaligned
\pset tuples_only
\pset fieldsep '\n  '
select source, pg_temp.try(source) as error from wrong order by n;
\pset format aligned
\pset tuples_only
-- and none of them parsed
select source from wrong where pg_temp.try(source) !~ '^[0-9A-Z]{5}: ' order by n;

-- The message as a client sees it
\set VERBOSITY default
select 'count(x) within 7 days > 1'::leadstream.rule;
\set VERBOSITY terse

-- Errors are soft from 16 on.  (Before, the errors themselves tell.)
create function pg_temp.is_valid(source text) returns boolean language plpgsql as $$
declare
	valid boolean;
begin
	if current_setting('server_version_num')::int < 160000 then
		return pg_temp.try(source) !~ '^[0-9A-Z]{5}: ';
	end if;
	execute 'select pg_input_is_valid($1, ''leadstream.rule'')' into valid using source;
	return valid;
end $$;
select left(source, 30) as source, pg_temp.is_valid(source) as valid
from unnest(array['a', 'a =', 'a = ''x', 'count(k)', 'not ', 'a = 1e999', 'exists(k within 0 days)', 'exists(k within 7 moons)', 'a[1.5]', repeat('(', 200) || 'a' || repeat(')', 200)]) source;

-- Equality is that of the canonical text.
select a::leadstream.rule operator(leadstream.=) b::leadstream.rule as equal, a, b
from (values
	('a = 1', 'A  =  01.0'),
	('a and (b and c)', '(a and b) and c'),
	('a != 1', 'a <> 1'),
	('a < now - ''1 day''', 'a < now - 1 days'),
	('not a < b', 'a >= b'),
	('not not a', 'a'),
	('a or b', 'b or a'),
	('"A"', 'a'),
	('a < now - 1 quarter', 'a < now - 3 months')) v(a, b);

-- Order: byte by byte, whatever the collation
select r from (values ('b'), ('a or b'), ('a'), ('"B"'), ('a and b'), ('"ä"'), ('ab')) v(s), lateral (select s::leadstream.rule) l(r) order by r;
set search_path = leadstream, public;
select a < b, a <= b, a = b, a <> b, a >= b, a > b, leadstream.rule_cmp(a, b)
from (values ('a'::leadstream.rule, 'b'::leadstream.rule), ('b', 'a'), ('a', '(a)')) v(a, b);
create temp table kept (r leadstream.rule primary key, note text);
insert into kept values ('a = 1', 'x');
insert into kept values ('(a = 1.0)', 'y');
insert into kept select format('a = %s', i)::leadstream.rule from generate_series(2, 2000) i;
insert into kept select format('a = %s', i)::leadstream.rule from generate_series(1, 5) i on conflict do nothing;
analyze kept;
set enable_seqscan = off;
set enable_bitmapscan = off;
explain (costs off) select note from kept where r = 'a = 1';
select note from kept where r = 'a = 1';
create index on kept using hash (r);
reset enable_seqscan;
reset enable_bitmapscan;
set enable_hashjoin = off;
set enable_nestloop = off;
select count(*) from kept x join kept y using (r);
set enable_mergejoin = off;
reset enable_hashjoin;
select count(*) from kept x join kept y using (r);
reset enable_mergejoin;
reset enable_nestloop;
select count(*), count(distinct r) from (select r from kept union all select r from kept) s;
select leadstream.rule_hash('a=1') = leadstream.rule_hash('((a = 1))') as hash,
	leadstream.rule_hash_extended('a=1', 7) = leadstream.rule_hash_extended('((a = 1))', 7) as extended,
	leadstream.rule_hash_extended('a=1', 7) = leadstream.rule_hash_extended('a=1', 8) as seeds,
	(leadstream.rule_hash_extended('a=1', 0) & 4294967295)::bit(32) = leadstream.rule_hash('a=1')::bit(32) as agree;
reset search_path;
create temp table parted (r leadstream.rule) partition by hash (r);
create temp table part0 partition of parted for values with (modulus 2, remainder 0);
create temp table part1 partition of parted for values with (modulus 2, remainder 1);
insert into parted select r from kept;
select count(*) = 2000 and count(distinct tableoid) = 2 from parted;

-- The catalog agrees with itself.
select amvalidate(oid) from pg_opclass where opcname in ('rule_btree_ops', 'rule_hash_ops') order by opcname;

-- A value may be long, and is compressed or moved out of line.
create temp table long (r leadstream.rule);
insert into long
select string_agg(format('exists(k%s where a = %L)', i, md5(i::text)), ' or ')::leadstream.rule
from generate_series(1, 900) i;
select length(r::text), pg_column_size(r) > 2000, r::text::leadstream.rule operator(leadstream.=) r from long;

-- Casts
create function pg_temp.takes_rule(leadstream.rule) returns text language sql as 'select ''rule '' || $1::text';
select pg_temp.takes_rule('A');
select pg_temp.takes_rule('A'::text);
prepare by_rule as select pg_temp.takes_rule($1);
execute by_rule('a  or b');
insert into kept (r) values ('z1'::text), ('z2'::varchar);
select 'A'::text::leadstream.rule, 'A'::varchar::leadstream.rule, cast('A'::leadstream.rule as text);
create temp table texts (t text, v varchar);
insert into texts values ('A'::leadstream.rule, 'B'::leadstream.rule);
table texts;
select null::leadstream.rule;

-- The binary form: a version byte and the text
select leadstream.rule_send('A  = 1');
create function pg_temp.receive(bytes bytea) returns text
language plpgsql as $$
declare
	path text := current_setting('data_directory') || '/leadstream_rule_test.bin';
	large oid;
	result text;
begin
	large := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000'
		|| '\x0001' || int4send(length(bytes)) || bytes || '\xffff');
	perform lo_export(large, path), lo_unlink(large);
	create temp table received (r leadstream.rule) on commit drop;
	begin
		execute format('copy received from %L (format binary)', path);
		result := (select r::text from received);
	exception when others then
		result := sqlstate || ': ' || sqlerrm;
	end;
	drop table received;
	return result;
end
$$;
select bytes, pg_temp.receive(bytes) from (values
	(leadstream.rule_send('a = ''ö''')),
	('\x01' || 'a  =  1'::bytea),
	('\x01'), (''), ('\x00' || 'a'::bytea), ('\x02' || 'a'::bytea), ('\xff'),
	('\x01' || 'a = '::bytea), ('\x01' || 'a'::bytea || '\x00'), ('\x01' || 'a = '''::bytea || '\x00' || ''''::bytea),
	('\x01' || 'a'::bytea || '\xff'), ('\x01c3'), ('\x0128')) v(bytes);

-- The stored form: no format but the known ones, and the bytes that version 1
-- has written (on little-endian machines) stay readable.
create cast (bytea as leadstream.rule) without function;
create cast (leadstream.rule as bytea) without function;
select substr('a'::leadstream.rule::bytea, 1, 4) = '\x01000000' as little_endian \gset
select ('\x02020202' || substr('a'::leadstream.rule::bytea, 5))::leadstream.rule;
select ('\x02020202' || substr('a'::leadstream.rule::bytea, 5))::leadstream.rule operator(leadstream.=) 'b';
\if :little_endian
select bytes::leadstream.rule from (values
	('\x0100000001000000020000000000000018000000a80100000000000004000000010000000000000014000000000000001001000003000000000000001c0000005400000068010000000000000c00000002000000000000001800000028000000000000000d00000000000000010000006b0000000d0000000000000001000000620000001100000001000000000000001400000000000000010000000200000000000000180000006400000000000000050100000200000000000000180000003c000000000000000c000000010000000000000014000000000000000d00000000000000010000006100000007000000000000000100000031000000030000000100000000000000140000000000000002000000020000000000000018000000500000000000000004000000010000000000000014000000000000000c000000010000000000000014000000000000000d00000000000000010000006200000004000000010000000000000014000000000000000c000000010000000000000014000000000000000d0000000000000001000000430000001200000000000000060000003720646179730000051100000200000000000000180000003c000000000000000c000000010000000000000014000000000000000d00000000000000010000006400000014010000010000000000000014000000000000000b2d000000000000050000003120646179000000'::bytea)) v(bytes);
\else
\echo 'exists(k.b where a = 1 and not (b or "C") within 7 days) and d in today - 1 day'
\endif
drop cast (bytea as leadstream.rule);
drop cast (leadstream.rule as bytea);

-- Nothing stays behind.
do $$
begin
	execute format('copy (select 1) to program %L', format('cat >/dev/null; rm -f "%s"',
		current_setting('data_directory') || '/leadstream_rule_test.bin'));
end
$$;
