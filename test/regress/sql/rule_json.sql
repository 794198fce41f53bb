--
-- Rules as the JSON of react-querybuilder and of jQuery QueryBuilder: what is
-- read, what is written, and how everything else is refused.
--
\set VERBOSITY terse
\pset format unaligned

-- The canonical text of the rule, or the error with its detail, hint and place.
create function pg_temp.try(source text, jquery boolean default false) returns text
language plpgsql as $$
declare
	detail text;
	hint text;
	place text;
begin
	if jquery then
		return leadstream.rule_from_jquery(source::jsonb);
	end if;
	return source::jsonb::leadstream.rule;
exception when others then
	get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint, place = pg_exception_context;
	return concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''),
					 substring(place from '^\$[^\n]* of the JSON form of a rule'));
end
$$;

-- A rule in a group, as the library has it.
create function pg_temp.one(rule text) returns text
language sql as $$ select pg_temp.try(format('{"combinator": "and", "rules": [{%s}]}', rule)) $$;

create function pg_temp.test(operator text, value text default '"x"', field text default 'f') returns text
language sql as $$
	select pg_temp.one(format('"field": %s, "operator": %s, "value": %s', to_json(field), to_json(operator), value))
$$;

-- Written, and read again: the same rule, and the same JSON.
create temp table source (n serial, rule leadstream.rule);
insert into source (rule) select unnest(array[
	$$lead_score >= 50 and country in ('SE', 'NO')$$,
	$$exists(form_submit where form = 'Request a demo')$$,
	$$count(page_visit where url like '/pricing%' within 7 days) >= 3$$,
	$$sum(purchase.amount within 1 year) > 1000$$,
	$$count(distinct page_visit.session_id within 90 days older than 1 hour) >= 2$$,
	$$last(form_submit.budget where form = 'contact') = 'Yes'$$,
	$$not exists(mail_open within 90 days) and exists(mail_sent within 90 days)$$,
	$$exists(sale_lost where value > 100000 within 365 days older than 180 days)$$,
	$$tags contains 'vip' and company is not empty and title not ilike '%student%'$$,
	$$exists(signal where data.adapter = 'Space Invaders' and data."a score"[0] > 100)$$,
	$$last_visit in last month and trial_ends_at < today + 7 days and a not in today - 1 day$$,
	$$count(mail_open within 90 days) >= 0.2 * count(mail_sent within 90 days)$$,
	$$count(mail_open where a within 90 days) <= 0.2 * count(mail_open within 90 days)$$,
	$$count(mail_open where a) = 0.2 * count(mail_open where b)$$,
	$$count(mail_open, mail_click within 7 days) = 3$$,
	$$count(a) >= 0.5 or count(a) >= -1 or count(a) >= 2.5 or count(a) > 2 or count(a) <> 2 or count(a) >= '2'$$,
	$$count(a) <= 1.5 * count(a)$$,
	$$not exists(k where not (a = 1 or b = 2) within 1 day)$$,
	$$not exists(k where not a) and exists(k where not a) and exists(k where not (a or b) older than 1 day)$$,
	$$exists(k where (a or b) within 2 days) and exists(k where (a and not (b and c)) within 2 days)$$,
	$$not not (a and b) or not (a or not b) and not not not c$$,
	$$segment('x') and not segment('it''s "\q"')$$,
	$$true and not false and vip and vip is true and vip is not false and vip = true$$,
	$$a < '5' or a < '5x' or a between '05' and 'x' or a in ('5', b, now) or a in ('5', 5, true)$$,
	$$a < now and b < 'now' and c = now and d = 'now' and e between today and now - 1 month and f < 'nowhere'$$,
	$$x = 12345678901234567890 and x = 123456789012345 and x = 0.000000000000001 and x < 1e99$$,
	$$5 < x and 'a' = b and now > c and count(k) < x$$,
	$$a like '%\%' and b not like c and c ~ '^\d"' and d !~* 'x' and e !~ 'y' and f ~* 'z'$$,
	$$a contains any ('x', 1, b) and b not contains all ('x') and c starts with '' and d not ends with e$$,
	$$exists(lead where team = 'A' and "within" = 1 and "older than" = 2 and "value" = 3)$$,
	$$exists(k where exists(l where "and"."or" = 1))$$,
	$$exists(k) = true and exists(k where a) is not true and exists("K l", m)$$,
	E'a = \'\x01\t\n\u00e5 \U0001F600\''
]::text[]);
select n, rule from source where rule::jsonb::leadstream.rule operator(leadstream.<>) rule
	or rule::jsonb::leadstream.rule::jsonb <> rule::jsonb;
select rule, jsonb_pretty(rule::jsonb) from source where n in (1, 3, 4, 7, 12, 13, 18, 23, 24) order by n;

-- All operators of the library
select op, pg_temp.test(op) from unnest(array['=', '!=', '<', '>', '<=', '>=', 'contains', 'beginsWith', 'endsWith', 'doesNotContain', 'doesNotBeginWith',
	'doesNotEndWith', 'null', 'notNull', 'in', 'notIn', 'doesnotcontain', 'NOTNULL']) op;
select op, pg_temp.test(op, '"10,30"') from unnest(array['between', 'notBetween', 'in', 'notIn']) op;
-- and ours
select op, pg_temp.test(op) from unnest(array['empty', 'notEmpty', 'containsAny', 'doesNotContainAny', 'containsAll', 'doesNotContainAll', 'like', 'notLike',
	'ilike', 'notIlike', '~', '!~', '~*', '!~*', 'true', 'notTrue', 'false', 'notFalse', 'holds', 'in last month', 'not in today + 3 days', 'IN This Week']) op;
-- A negative operator on a field of a kind is the opposite of the positive one.
select op, pg_temp.test(op, '"a,b"', 'any(page_visit.data.url)') from unnest(array['=', '!=', '<', 'contains', 'beginsWith', 'endsWith', 'doesNotContain',
	'doesNotBeginWith', 'doesNotEndWith', 'null', 'notNull', 'in', 'notIn', 'between', 'notBetween', 'notEmpty', '!~', 'not in last month', 'holds']) op;
select pg_temp.one($$"field": "any(\"Page visit\".url)", "operator": "!=", "value": "x", "where": {"combinator": "or", "rules": [{"field": "a", "operator": "=", "value": 1}, {"field": "b", "operator": "=", "value": 2}]}$$);

-- Match modes
select mode, threshold, pg_temp.one(format($$"field": "visit", "operator": "!=", "value": {"combinator": "and", "rules": [{"field": "url", "operator": "=", "value": "/"}, {"field": "within", "operator": "=", "value": "7 days"}]}, "match": {"mode": %s, "threshold": %s}$$, to_json(mode), threshold))
from unnest(array['all', 'some', 'none', 'atLeast', 'atMost', 'exactly', 'atleast', 'atLeast', 'atMost', 'exactly', 'atLeast', 'atMost', 'atLeast', 'atLeast', 'atLeast', 'most'],
	array['1', 'null', '1', '3', '3', '3', '"3"', '0.5', '0.5', '0.25', '1', '0', '-1', 'null', '"many"', '1']) as t(mode, threshold);
-- A rule just added has no conditions yet, or they have no name: it is the element.
select value, pg_temp.one(format('"field": "tags", "operator": "=", "match": {"mode": "some", "threshold": 1}, "value": %s', value))
from unnest(array['""', 'null', '{"combinator": "and", "rules": []}', '{"combinator": "and", "rules": [{"field": "", "operator": "beginsWith", "value": "v"}]}', '{"rules": []}', '{"combinator": "and", "rules": [], "not": true}', '"x"', '[]', '{}']) value;
select pg_temp.one('"field": "tags", "operator": "=", "match": {"mode": "all"}, "value": ""');

-- Values: texts, numbers, booleans, lists in one text, fields
select v, pg_temp.test('=', v), pg_temp.test('<', v) from unnest(array['"50"', '50', '-0.50', '1e2', '"1e2"', '" 50"', 'true', '""', '"now - 7 days"', '"NOW"', '"nowhere"', '"today is"', 'null', '[1]', '{}', '"+5"', '"007"', '-0']) v;
select v, pg_temp.test('in', v) from unnest(array['"a, b,,c\\,d "', '[" a", 1, true]', '5', '""', '[]', '[null]', '[[1]]', '" , "', 'null', '{"a": 1}']) v;
select v, pg_temp.test('between', v) from unnest(array['"10,30"', '[10, 30]', '["2024-01-01", "now"]', '"10"', '"10,20,30"', '"10,"', '[]', '5']) v;
select op, v, pg_temp.one(format('"field": "f", "operator": "%s", "valueSource": "field", "value": %s', op, v))
from unnest(array['=', '=', '=', '<', 'in', 'in', 'between', 'between', 'between', 'contains', 'contains', '=', '=', '=', '=', 'in', 'null'],
	array['"g"', '"data.\"a b\"[1]"', '"''50''"', '"0.5 * count(k)"', '"g, h"', '["g", "count(k, l)"]', '"g,h"', '["g", "now - 1 day"]', '"g"', '"g"', '"2 * count(k)"', '"g or h"', '""', '5', '["g"]', '["g", 5]', '"g or h"']) t(op, v);

-- Combinators between the rules
select pg_temp.try('{"rules": [{"field": "a", "operator": "holds"}, "or", {"field": "b", "operator": "holds"}, "and", {"field": "c", "operator": "holds"}, "OR", {"rules": [{"field": "d", "operator": "holds"}], "not": true}], "not": true}');
select r, pg_temp.try(replace(r, 'A', '{"field": "a", "operator": "holds"}')) from unnest(array['{"rules": [A]}', '{"rules": [A, A]}', '{"rules": [A, "and"]}', '{"rules": ["and", A]}', '{"rules": [A, "xor", A]}', '{"rules": [A, "nor", A]}',
	'{"combinator": "and", "rules": [A, "and", A]}', '{"combinator": "and", "rules": [A, A]}', '{"combinator": "xor", "rules": [A, A]}', '{"combinator": 5, "rules": [A, A]}', '{"combinator": "and", "rules": [{"combinator": "and", "rules": [A, A]}, A]}', '{"rules": [A, "and", "and", A]}']) r;

-- What the library keeps for itself; muted rules are left out, as it leaves them out.
select pg_temp.try('{"id": "1", "path": [], "disabled": true, "combinator": "and", "not": false, "rules": [
	{"id": "2", "path": [0], "disabled": true, "muted": false, "field": "a", "operator": "=", "value": "x", "valueSource": "value", "combinatorPreceding": "or", "meta": {"x": 1}, "match": null},
	{"id": "3", "path": [1], "muted": true, "field": "b", "operator": "??"},
	{"id": "4", "muted": true, "combinator": "or", "rules": []}]}');
select pg_temp.try('{"rules": [{"muted": true, "field": "a", "operator": "holds"}, "or", {"field": "b", "operator": "holds"}, "or", {"muted": true, "field": "c", "operator": "holds"}, "and", {"field": "d", "operator": "holds"}]}');
select pg_temp.try('{"combinator": "and", "muted": true, "rules": []}');
select pg_temp.try('{"combinator": "and", "rules": [{"muted": true, "field": "a", "operator": "holds"}]}');

-- Refused, with the place
select j, pg_temp.try(j) from unnest(array['null', '5', '"x"', '[]', '{}', '{"rules": 5}', '{"combinator": "and", "rules": []}', '{"combinator": "and", "rules": [{"combinator": "or", "rules": []}]}', '{"combinator": "and", "rules": [5]}',
	'{"combinator": "and", "rules": [null]}', '{"combinator": "and", "rules": [{}]}', '{"combinator": "and", "rules": [], "nott": true}', '{"combinator": "and", "not": "yes", "rules": []}', '{"combinator": "and", "rules": [], "field": "x"}']) j;
select j, pg_temp.one(j) from unnest(array['"field": "a", "operator": "=", "value": 1, "within": "7 days"', '"field": "a", "operator": "==", "value": 1', '"field": "a", "value": 1', '"field": "a", "operator": 5', '"field": 5, "operator": "="',
	'"field": "", "operator": "=", "value": 1', '"field": "~", "operator": "=", "value": 1', '"field": "a b", "operator": "=", "value": 1', '"field": "a or b", "operator": "=", "value": 1', '"field": "a -- ", "operator": "=", "value": 1', '"field": "count(k", "operator": "=", "value": 1',
	'"field": "a", "operator": "=", "value": 1, "lhs": {"kind": "field"}', '"field": "a", "operator": "=", "value": 1, "valueSource": "parameter"', '"field": "a", "operator": "=", "value": 1, "valueSource": "x"', '"field": "a", "operator": "=", "value": 1, "valueSource": 1',
	'"field": "a", "operator": "in last era"', '"field": "a", "operator": "in "', '"field": "within", "operator": "=", "value": "7 days"', '"field": "2 * count(k)", "operator": "=", "value": 1', '"field": "count(k)", "operator": "holds"', '"field": "''x''", "operator": "holds"',
	'"field": "a", "operator": "=", "value": 1, "where": {"rules": []}', '"field": "count(k within 1 day)", "operator": "=", "value": 1, "where": {"rules": []}', '"field": "any(k)", "operator": "=", "value": 1', '"field": "any(k[1].a)", "operator": "=", "value": 1', '"field": "any(count(k))", "operator": "=", "value": 1',
	'"field": "segment()", "operator": "<", "value": "x"', '"field": "segment()", "operator": "=", "value": 5', '"field": "k where a", "operator": "=", "match": {"mode": "some"}', '"field": "k) or exists(l", "operator": "=", "match": {"mode": "some"}', '"field": "", "match": {"mode": "some"}', '"field": "k", "match": "some"', '"field": "k", "match": {"mode": "some", "min": 1}', '"field": "k", "match": {}',
	'"field": "k", "match": {"mode": "some"}, "where": {"rules": []}', '"field": "a", "muted": "no"']) j;
-- Limits on a number are those of a text.
select pg_temp.one('"field": "a", "operator": "=", "value": 1' || repeat('0', 100));
select pg_temp.one('"field": "a", "operator": "=", "value": 1e1000000');
select pg_temp.one('"field": "a", "operator": "=", "value": 1, "meta": 1e5000');

-- When rows count
select r, pg_temp.one(format('"field": "k", "match": {"mode": "some"}, "value": %s', replace(r, 'W', '{"field": "within", "operator": "=", "value": "7 days"}')))
from unnest(array['{"combinator": "and", "rules": [W]}', '{"combinator": "or", "rules": [W]}', '{"rules": [W, "and", {"field": "older than", "operator": "=", "value": "1 day"}]}', '{"combinator": "and", "rules": [W, W]}', '{"combinator": "and", "not": true, "rules": [W]}',
	'{"combinator": "or", "rules": [W, {"field": "a", "operator": "holds"}]}', '{"rules": [W, "or", {"field": "a", "operator": "holds"}]}', '{"combinator": "and", "rules": [{"combinator": "and", "rules": [W]}]}', '{"combinator": "and", "rules": [{"field": "within", "operator": "<", "value": "7 days"}]}',
	'{"combinator": "and", "rules": [{"field": "within", "operator": "=", "value": "0 days"}]}', '{"combinator": "and", "rules": [{"field": "within", "operator": "=", "value": "7 days older than 1 day"}]}', '{"combinator": "and", "rules": [{"field": "within", "operator": "=", "value": 7}]}', '{"combinator": "and", "rules": [{"field": "older than", "operator": "=", "value": "soon"}]}', '{"combinator": "and", "muted": true, "rules": [W]}', '{"combinator": "and", "rules": [{"field": "within", "operator": "=", "value": "7 days", "muted": true}, {"field": "a", "operator": "holds"}]}']) r;

-- Limits: a rule as deep and as long as a text may be comes through, a longer one does not.
create function pg_temp.same(source text) returns text
language plpgsql as $$
begin
	return case when source::leadstream.rule::jsonb::leadstream.rule operator(leadstream.=) source::leadstream.rule then 'same' else 'other' end;
exception when others then
	return sqlstate || ': ' || sqlerrm;
end
$$;
select pg_temp.same(repeat('not ', 99) || 'a'), pg_temp.same(repeat('not (a and ', 33) || 'b' || repeat(')', 33)), pg_temp.same(repeat('(a and (b or ', 24) || 'c' || repeat('))', 24)),
	pg_temp.same(repeat('exists(k where ', 99) || 'a' || repeat(' within 1 day)', 99)), pg_temp.same(repeat('exists(k where a or ', 49) || 'b' || repeat(' older than 1 day)', 49)),
	pg_temp.same('a' || repeat(' and a', 3332)), pg_temp.same('a in (1' || repeat(',1', 9990) || ')'), pg_temp.same('a = ''' || repeat('x', 65530) || ''''), pg_temp.same('a = ''' || repeat(E'\x01', 65530) || '''');
select n, pg_temp.try(repeat('{"combinator": "and", "not": true, "rules": [', n) || '{"field": "a", "operator": "holds"}' || repeat(']}', n)) from unnest(array[100, 202, 2000]) n;
select n, left(pg_temp.try(repeat('{"combinator": "and", "rules": [', n) || '{"field": "a", "operator": "holds"}' || repeat(']}', n)), 200) from unnest(array[199, 201, 202, 1000]) n;
select pg_temp.try(format('{"combinator": "and", "rules": [%s]}', (select string_agg('{"field": "a", "operator": "holds"}', ',') from generate_series(1, 4000))));
select pg_temp.test('=', to_json(repeat('x', 70000))::text);
select left(pg_temp.test('=', '1', repeat('x', 70000)), 200);
select pg_temp.test('in', to_json(array_agg(i))::text) from generate_series(1, 1000001) i;

-- jQuery QueryBuilder: every operator, types, what getRules() adds
select op, pg_temp.try(format('{"condition": "AND", "rules": [{"id": "x", "field": "f", "type": "string", "input": "text", "operator": "%s", "value": %s}], "valid": true}', op, v), true)
from unnest(array['equal', 'not_equal', 'in', 'not_in', 'less', 'less_or_equal', 'greater', 'greater_or_equal', 'between', 'not_between', 'begins_with', 'not_begins_with', 'contains', 'not_contains', 'ends_with', 'not_ends_with', 'is_empty', 'is_not_empty', 'is_null', 'is_not_null', 'like'],
	array['"x"', '"x"', '["x", "y"]', '"x,y"', '"x"', '5', '"5"', '"now"', '[1, 2]', '["a", "b"]', '"x"', '"x"', '"x"', '"x"', '"x"', '"x"', 'null', 'null', 'null', 'null', '"x"']) t(op, v);
select t, v, pg_temp.try(format('{"condition": "AND", "rules": [{"id": "f", "field": null, "type": "%s", "operator": "equal", "value": %s}]}', t, v), true)
from unnest(array['integer', 'double', 'integer', 'string', 'boolean', 'boolean', 'date', 'datetime'], array['"5"', '2.50', '"x"', '"5"', '"true"', 'false', '"2024-01-31"', '"2024-01-31 12:00"']) t(t, v);
select pg_temp.try('{"condition": "OR", "not": true, "data": {"a": 1}, "flags": {}, "valid": true, "rules": [{"id": "any(visit.url)", "operator": "not_contains", "value": "/jobs", "data": {}, "flags": {}},
	{"condition": "AND", "rules": [{"id": "a", "operator": "is_null", "value": null}, {"id": "b", "operator": "is_null", "value": null}]}]}', true);
select pg_temp.try('[{"id": "a", "operator": "is_null"}, {"id": "b", "operator": "is_null"}]', true);
select j, pg_temp.try(j, true) from unnest(array['5', '[]', '{}', '{"condition": "AND", "rules": []}', '{"condition": "XOR", "rules": [{"id": "a", "operator": "is_null"}]}', '{"rules": [{"id": "a", "operator": "is_null"}]}', '{"condition": "AND", "rules": {}}',
	'{"condition": "AND", "valid": false, "rules": [{"id": "a", "operator": "is_null"}]}', '{"condition": "AND", "rules": [{"id": "a", "operator": "is_null", "extra": 1}]}', '{"combinator": "and", "rules": []}', '{"condition": "AND", "rules": [{"id": null, "field": null, "operator": null, "value": null}]}']) j;
select n, left(pg_temp.try(repeat('{"condition": "AND", "rules": [', n) || '{"id": "a", "operator": "is_null"}' || repeat(']}', n), true), 200) from unnest(array[200, 202]) n;

-- A column of rules takes JSON unasked; a null is a null.
insert into source (rule) values ('{"combinator": "and", "rules": [{"field": "a", "operator": "holds"}]}'::jsonb) returning rule;
select leadstream.rule_from_jsonb(null) is null, leadstream.rule_to_jsonb(null) is null, leadstream.rule_from_jquery(null) is null;
