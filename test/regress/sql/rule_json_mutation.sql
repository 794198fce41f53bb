--
-- Random mutations of the JSON of good rules: each is refused with an error of
-- a known class, or it is a rule whose own JSON gives it back.
--
\set VERBOSITY terse
select setseed(0.5) is not null as seeded;

create temp table seed (n serial, jquery boolean, source text);
insert into seed (jquery, source)
select false, r::leadstream.rule::jsonb::text from unnest(array[
	$$a = 1 and b in ('SE', 'x y') or not (c between 5 and now - 1 day and d)$$,
	$$exists(k where url starts with '/p' and not (a or b is null) within 7 days older than 1 hour)$$,
	$$count(k, l where a < 0.5) >= 3 or count(k where a) <= 0.5 * count(k) or not exists(k where not a)$$,
	$$sum(k.v where a = 'x' within 1 year) > 1000 and last(k."a b") in last month$$,
	$$segment('x') and not segment('y') and data."a b"[3].c ~ '^x' and a < '5' and b = 12345678901234567890$$,
	$$count(a within 90 days) >= 0.2 * count(b within 90 days) and a contains any (1, b, true)$$
]) r;
insert into seed (jquery, source) values
	(false, '{"rules": [{"field": "a", "operator": "=", "value": "1", "valueSource": "value", "id": "x"}, "or", {"field": "any(k.b)", "operator": "notIn", "value": "a,b"}, "and", {"rules": [{"field": "c", "operator": "holds", "muted": true}, "and", {"field": "d", "operator": "null"}], "not": true}]}'),
	(true, '{"condition": "AND", "rules": [{"id": "a", "field": "a", "type": "integer", "input": "text", "operator": "between", "value": ["1", 2]}, {"condition": "OR", "not": true, "rules": [{"id": "b", "operator": "not_in", "value": ["x"]}, {"id": "any(k.c)", "operator": "is_null", "value": null}]}], "valid": true}');

-- Put something else in the place of a value, a key or a piece.
create function pg_temp.mutate(source text, words text[]) returns text
language plpgsql as $$
declare
	result text := source;
	tokens text[];
	token text;
	word text;
	width integer;
	place integer;
begin
	for i in 1 .. 1 + floor(random() * 3) loop
		tokens := array(select m[1] from regexp_matches(result, '"(?:[^"\\]|\\.)*"|[][{}:,]|-?[0-9.]+|true|false|null', 'g') m);
		place := 1 + floor(random() * array_length(tokens, 1));
		token := tokens[place];
		if token ~ '^["0-9tfn-]' then
			word := case when random() < 0.5 then words[1 + floor(random() * array_length(words, 1))]
						 else tokens[1 + floor(random() * array_length(tokens, 1))] end;
			if token ~ '^"' and tokens[place + 1] = ':' and word !~ '^"' then
				word := to_json(word)::text;
			end if;
			if random() < 0.2 and token ~ '^"..' then
				-- within the text
				width := 2 + floor(random() * (length(token) - 2));
				word := overlay(token placing substr('''",)(x 0[]', 1 + floor(random() * 9)::integer, 1) from width for 1);
			end if;
			tokens[place] := word;
		elsif token = '{' and random() < 0.5 then
			tokens[place] := '{' || words[1 + floor(random() * array_length(words, 1))] || ': ' || words[1 + floor(random() * array_length(words, 1))] || ',';
		else
			tokens[place] := tokens[1 + floor(random() * array_length(tokens, 1))];
		end if;
		result := array_to_string(tokens, ' ');
	end loop;
	return result;
end
$$;

create temp table tried (source text, rule leadstream.rule, problem text);
do $$
declare
	words text[] := array['"and"', '"or"', '"xor"', '"rules"', '"field"', '"value"', '"operator"', '"match"', '"where"', '"not"', '"combinator"', '"condition"', '"muted"', '"mode"', '"threshold"', '"valueSource"', '"within"', '"older than"', '"segment()"',
		'"any(k.a)"', '"7 days"', '"now"', '"in"', '"between"', '"null"', '"holds"', '"in last week"', '"1,2"', '""', '"~"', '0', '-1', '0.5', '1e50', 'true', 'false', 'null', '[]', '{}', '[1, "a"]', '{"rules": []}', '"count(k)"', '"2 * count(k)"', '"exists(k)"', '"''x''"', '"ö"', '"\u0001"', '"id"'];
	s seed;
	text text;
	source jsonb;
	value leadstream.rule;
begin
	for s in select x.* from seed x, generate_series(1, 500) loop
		begin
			text := pg_temp.mutate(s.source, words);
			source := text;
		exception when invalid_text_representation or untranslatable_character then
			continue;
		end;
		begin
			value := case when s.jquery then leadstream.rule_from_jquery(source) else source::leadstream.rule end;
			insert into tried values (source, value,
				case when value::text::leadstream.rule operator(leadstream.<>) value then 'text'
					 when value::jsonb::leadstream.rule operator(leadstream.<>) value then 'JSON' end);
		exception
			when syntax_error or invalid_datetime_format or datetime_field_overflow or invalid_parameter_value
				or feature_not_supported or program_limit_exceeded or statement_too_complex then
				insert into tried values (source);
			when others then
				insert into tried values (source, null, sqlstate || ': ' || sqlerrm);
		end;
	end loop;
end
$$;
select * from tried where problem is not null;
select count(rule) > 100 as many_good, count(*) - count(rule) > 500 as many_bad, count(distinct rule) > 50 as many_rules from tried;
