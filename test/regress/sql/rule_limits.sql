--
-- The named limits of leadstream.rule hold on every way in, and hostile
-- texts end in a clean error.
--
\set VERBOSITY terse

create function pg_temp.try(source text) returns text
language plpgsql as $$
declare
	detail text;
	hint text;
begin
	return 'ok, ' || length(source::leadstream.rule::text);
exception when others then
	get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
	return concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
end
$$;

-- Depth: parentheses, "not", conditions inside conditions
select n, pg_temp.try(repeat('(', n) || 'a' || repeat(')', n)) as parentheses from unnest(array[98, 99, 100, 5000, 30000]) n;
select n, pg_temp.try(repeat('not ', n) || 'a') as nots from unnest(array[99, 100, 5000, 16000]) n;
select n, pg_temp.try(repeat('not (', n) || 'a' || repeat(')', n)) as both from unnest(array[49, 50, 5000]) n;
select n, pg_temp.try(repeat('(a and (b or ', n) || 'c' || repeat('))', n)) as groups from unnest(array[24, 25, 1000]) n;
select n, pg_temp.try(repeat('exists(k where ', n) || 'a' || repeat(')', n)) as inside from unnest(array[99, 100, 3000]) n;
select n, pg_temp.try(repeat('a = 1 and not (b or exists(k where ', n) || 'a' || repeat('))', n)) as mixed from unnest(array[16, 17, 20, 1000]) n;
-- unfinished ones too
select n, pg_temp.try(repeat('(', n)) as opened from unnest(array[50, 60000, 70000, 1000000]) n;
select n, pg_temp.try(repeat('not ', n)) as nots from unnest(array[50, 16000, 1000000]) n;
select n, pg_temp.try(repeat('exists(k where ', n)) as inside from unnest(array[50, 4000]) n;
select pg_temp.try(repeat(')', 60000)) as closed;

-- Long chains are not deep.
select n, pg_temp.try('a' || repeat(' and a', n - 1)) as chain from unnest(array[100, 3333, 3334]) n;
select pg_temp.try('a' || repeat(' and (b or c)', 1400)) as chain;
select n, pg_temp.try('a in (1' || repeat(',1', n - 1) || ')') as list from unnest(array[9996, 9997, 20000]) n;
select n, pg_temp.try('a' || repeat('.b', n)) as path from unnest(array[9000, 9997, 9998]) n;
select n, pg_temp.try('a < now' || repeat(' - 1 day', n)) as shifts from unnest(array[7000, 8191]) n;
select n, pg_temp.try('exists(k' || repeat(',k', n - 1) || ')') as kinds from unnest(array[4999, 5000]) n;

-- Length: of what is given
select n, pg_temp.try('a = ''' || repeat('x', n) || '''') as string from unnest(array[65530, 65531, 10000000]) n;
select n, pg_temp.try('a' || repeat(' ', n)) as blanks from unnest(array[65535, 65536]) n;
select n, pg_temp.try(repeat('ä', n)) as name from unnest(array[32767, 32768]) n;
-- and of the canonical text
select n, pg_temp.try('a = ''' || repeat('''''', n) || '''') as quotes from unnest(array[32765, 32766]) n;
select n, pg_temp.try('a<now-1 sec' || repeat(' 1 sec', n)) as widened from unnest(array[6000, 8000]) n;
-- A rule of the greatest length is read back.
select r::text::leadstream.rule operator(leadstream.=) r
from (select ('a = ''' || repeat('x', 65530) || '''')::leadstream.rule r) s;

-- Numbers
select source, pg_temp.try('a = ' || source) from unnest(array['1e99', '1e100', '1e-99', '1e-100', '123e97', '123e98', '1.5e-98', '1.5e-99', '1e999999999999', '0e999999999999', '1e-999999999999']) source;
select n, pg_temp.try('a = ' || repeat('9', n)) as nines from unnest(array[100, 101, 60000]) n;
select pg_temp.try('a = 0.' || repeat('0', 60000)) as zeros;
select pg_temp.try('a = 1' || repeat('0', 60000) || 'e-60000') as balanced;
select pg_temp.try('exists(k within ' || repeat('9', 100) || ' days)') as days;
select pg_temp.try('exists(k within ''' || repeat('9', 10000) || ' days'')') as days;

-- The same limits by the binary way
create function pg_temp.receive(source text) returns text
language plpgsql as $$
declare
	path text := current_setting('data_directory') || '/leadstream_rule_test.bin';
	bytes bytea := '\x01' || convert_to(source, 'UTF8');
	large oid;
	result text;
begin
	large := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000'
		|| '\x0001' || int4send(length(bytes)) || bytes || '\xffff');
	perform lo_export(large, path), lo_unlink(large);
	create temp table received (r leadstream.rule) on commit drop;
	begin
		execute format('copy received from %L (format binary)', path);
		result := 'ok';
	exception when others then
		result := sqlstate || ': ' || sqlerrm;
	end;
	drop table received;
	return result;
end
$$;
select what, pg_temp.receive(source) from (values
	('99 parentheses', repeat('(', 99) || 'a' || repeat(')', 99)),
	('100 parentheses', repeat('(', 100) || 'a' || repeat(')', 100)),
	('99 nots', repeat('not ', 99) || 'a'),
	('100 nots', repeat('not ', 100) || 'a'),
	('16000 nots', repeat('not ', 16000) || 'a'),
	('49 aggregates', repeat('exists(k where ', 49) || 'a' || repeat(')', 49)),
	('a million opened', repeat('(', 1000000)),
	('9999 parts', 'a' || repeat('.b', 9996)),
	('10000 parts', 'a' || repeat('.b', 9997)),
	('10001 parts', 'a' || repeat('.b', 9998)),
	('100 digits', 'a = ' || repeat('9', 100)),
	('101 digits', 'a = ' || repeat('9', 101)),
	('65536 bytes', 'a = ''' || repeat('x', 65530) || ''''),
	('65537 bytes', 'a = ''' || repeat('x', 65531) || ''''),
	('65536 bytes of blanks', 'a' || repeat(' ', 65535)),
	('65537 bytes of blanks', 'a' || repeat(' ', 65536)),
	('65536 bytes with the quotes', repeat('ä', 32767)),
	('65538 bytes with the quotes', repeat('ä', 32768)),
	('65536 bytes written anew', 'a=''' || repeat('x', 65530) || ''''),
	('65537 bytes written anew', 'a=''' || repeat('x', 65531) || ''''),
	('nothing', '')) v(what, source);

-- Nothing stays behind.
do $$
begin
	execute format('copy (select 1) to program %L', format('cat >/dev/null; rm -f "%s"',
		current_setting('data_directory') || '/leadstream_rule_test.bin'));
end
$$;
