--
-- Random mutations of good rules: each is refused with an error of a known
-- class, or its canonical text is a fixed point and the value comes through
-- text and binary unchanged.
--
\set VERBOSITY terse
select setseed(0.25) is not null as seeded;

create temp table seed (n serial, source text);
insert into seed (source)
select format(shape, field, value)
from unnest(array[
	'%s = %s',
	'not %s <> %s',
	'%s in (%s, 1, ''x'')',
	'(%s >= %s or a.b[1] is not empty) and c',
	'%s between %s and now - 1 month 2 hours',
	'exists(k where %s like %s or not d within 7 days older than ''1 day'')',
	'count(k, l where %s < %s) >= 0.5 * count(distinct m.n within 1 year)',
	'last(k."a b" where %s contains any (%s, ''y'')) ~* ''^x'' /* why */ and e in last month',
	'%s starts with ''it''''s'' -- so' || E'\n' || ' and not (b not in today - 1 day or %s = f)'
]) as shape,
unnest(array['a', '"Q ""x"""', 'data.and[0]."1"', 'last', 'ÅÄÖ']) as field,
unnest(array['1', '''ö''', '-1.50e2', 'now + 90 days', 'true']) as value;
select count(*) >= 200 as enough from seed;

create function pg_temp.mutate(source text, words text[]) returns text
language plpgsql as $$
declare
	result text := source;
	place integer;
	width integer;
begin
	for i in 1 .. 1 + floor(random() * 3) loop
		place := 1 + floor(random() * (length(result) + 1));
		width := floor(random() * 6);
		result := case floor(random() * 5)
			-- leave out, put in, replace by a word, repeat a piece, cut
			when 0 then overlay(result placing '' from place for width)
			when 1 then overlay(result placing words[1 + floor(random() * array_length(words, 1))] from place for 0)
			when 2 then overlay(result placing ' ' || words[1 + floor(random() * array_length(words, 1))] || ' ' from place for width)
			when 3 then overlay(result placing substr(result, place, width * 3) from place for 0)
			else left(result, place)
		end;
	end loop;
	return result;
end
$$;

create temp table good (r leadstream.rule);
create temp table bad (source text, problem text);
do $$
declare
	words text[] := string_to_array('( ) , . [ ] = <> < >= ~ !~* + - * '' " -- /* */ and or not in is null between where within older than distinct true false now today last this month days quarter exists count sum like starts with contains all any empty 0 7 1.5 1e3 .5 ''x'' "y" ö $ ; :: % \ #', ' ');
	source text;
	value leadstream.rule;
begin
	for source in
		select pg_temp.mutate(s.source, words) from seed s, generate_series(1, 40)
	loop
		begin
			value := source;
		exception
			when syntax_error or invalid_datetime_format or datetime_field_overflow
				or invalid_parameter_value or program_limit_exceeded or statement_too_complex then
				insert into bad values (source, null);
				continue;
			when others then
				insert into bad values (source, sqlstate || ': ' || sqlerrm);
				continue;
		end;
		if value::text::leadstream.rule::text is distinct from value::text
			or leadstream.rule_ne(value::text::leadstream.rule, value)
			or leadstream.rule_send(value) <> '\x01' || convert_to(value::text, 'UTF8') then
			insert into bad values (source, 'no fixed point: ' || value::text);
		end if;
		insert into good values (value);
	end loop;
end
$$;
select source, problem from bad where problem is not null;
select (select count(*) from good) > 500 as many_good, (select count(*) from bad) > 2000 as many_bad;

-- A good rule comes through the binary form, byte by byte as it is stored.
alter table good add n serial;
create temp table back (r leadstream.rule, n integer);
do $$
declare
	path text := current_setting('data_directory') || '/leadstream_rule_test.bin';
begin
	execute format('copy good to %L (format binary)', path);
	execute format('copy back from %L (format binary)', path);
end
$$;
select count(*) as lost
from good g left join back b using (n)
where b.r is null or leadstream.rule_ne(g.r, b.r) or g.r::text <> b.r::text
	or pg_column_size(g.r) <> pg_column_size(b.r);

-- Nothing stays behind.
do $$
begin
	execute format('copy (select 1) to program %L', format('cat >/dev/null; rm -f "%s"',
		current_setting('data_directory') || '/leadstream_rule_test.bin'));
end
$$;
