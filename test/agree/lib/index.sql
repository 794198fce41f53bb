-- index.sql: tables with columns of every type, and rules that ask for them
--
-- The world of agree_index.  Schema ix holds what makes it and what was found,
-- schema wx the user's tables.  Rules take their constants from the pools that
-- the rows take their values from, and a world takes but a handful of the
-- columns (its palette), so that many rules ask for the same and many rows
-- have it.  Needs world.sql and report.sql.

create schema ix;

-- The columns of contacts and of hits.  lits: what rules compare with, where
-- that is not what rows have.
create table ix.col (
	col text primary key,
	type text not null,
	cls text not null,			-- text nd num bool inst arr json other
	pool text[],
	lits text[]
);

-- A long text, the same for the same n, that pglz cannot make short.
create function ix.long(n int, length int) returns text
language sql immutable as $$
	select left(string_agg(encode(sha256((n || ' ' || i)::bytea), 'base64'), ''), length)
	from generate_series(0, length / 44) i
$$;

insert into ix.col (col, type, cls, pool) values
	('tx', 'text', 'text', array['', 'a', 'abc', 'ABC', 'abcdef', 'ab', 'ab ', '/pricing', '/Pricing/eu', '/pricing/x', 'ünï', 'ÜNÏ', 'Straße', '5', '5.0', ' 5 ', 'true', 'a_c', '100%', 'back\slash', 'O''Brien', '2024-05-10']),
	('tc', 'text collate "C"', 'text', array['', 'a', 'B', 'b', 'abc', 'Abc', 'É', 'é', '/docs', '/docs/a', '10', '9']),
	('vc', 'varchar(40)', 'text', array['', 'a', 'abc', 'abcd', 'ABC', ' abc', '/pricing', '5', 'x y']),
	('bp', 'char(6)', 'text', array['', 'a', 'ab', 'ab    ', 'AB', 'abcdef', '5', ' a']),
	('nm', 'name', 'text', array['', 'a', 'abc', 'ABC', 'pg_class', 'ünï']),
	('dt', 'wx.line', 'text', array['', 'a', 'abc', 'Abc', '/docs', '/docs/b']),
	('lg', 'text', 'text', array['', 'abc', ix.long(1, 3000), ix.long(1, 2999) || 'x', ix.long(2, 9000), ix.long(1, 100)]),
	('lc', 'text collate "C"', 'text', array['a', repeat('abcdefgh', 400), repeat('abcdefgh', 400) || 'i', repeat('Abc ', 3000), 'abcdefgh']),
	('i2', 'smallint', 'num', array['0', '1', '2', '5', '-1', '100', '32767', '-32768']),
	('i4', 'integer', 'num', array['0', '1', '2', '3', '5', '10', '-1', '50', '2147483647', '-2147483648']),
	('i8', 'bigint', 'num', array['0', '1', '5', '-5', '9000000000', '9007199254740992', '9007199254740993', '9223372036854775807', '-9223372036854775808']),
	('f4', 'real', 'num', array['0', '-0', '0.1', '1', '2.5', '5', '-1.25', '1e-40', '16777216', '16777217', '3e38', 'NaN', 'Infinity', '-Infinity']),
	('f8', 'double precision', 'num', array['0', '-0', '0.1', '1', '2.5', '5', '-1.25', '1e-40', '-1e-40', '1e30', '-1e30', '1e300', 'NaN', 'Infinity', '-Infinity']),
	('nu', 'numeric', 'num', array['0', '0.0', '1', '1.0', '1.00', '2.5', '2.50', '5', '-5', '0.1', '0.10000000000000000001', '12345678901234567890', '1e-30', '1e30', 'NaN', 'Infinity', '-Infinity']),
	('ns', 'numeric(12,3)', 'num', array['0', '1', '2.5', '2.500', '99.99', '-3', '1000', 'NaN']),
	('dn', 'wx.amount', 'num', array['0', '1', '3', '10', '-5', '9000000000']),
	('b', 'boolean', 'bool', array['true', 'false']),
	('db', 'wx.flag', 'bool', array['true', 'true', 'false']),
	('ch', '"char"', 'other', array['a', 'b', 'A', '', '5']),
	('u', 'uuid', 'other', array['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000a', 'ffffffff-0000-0000-0000-000000000002']),
	('ip', 'inet', 'other', array['10.0.0.1', '10.0.0.0/8', '10.0.0.1/8', '192.168.1.7', '::1', '::1/64']),
	('m', 'wx.mood', 'other', array['sad', 'ok', 'happy', 'o''dd "one']),
	('dm', 'wx.humour', 'other', array['sad', 'ok', 'happy']),
	('tm', 'time', 'other', array['10:00', '10:00:00.000001', '00:00', '24:00']),
	('iv', 'interval', 'other', array['1 day', '24 hours', '1 mon', '30 days', '0']),
	('ra', 'int4range', 'other', array['[1,5)', '[1,4]', 'empty', '[1,)']),
	('bt', 'bytea', 'other', array['\x', '\xab', '\xabcd', '\x00']),
	('rc', 'regclass', 'other', array['pg_class', 'pg_type', 'wx.contact']),
	('d', 'date', 'inst', array['2024-05-10', '2024-05-31', '2024-06-01', '2024-06-15', '1850-01-01', '1900-01-01', '2500-01-01', '2042-10-01', 'infinity', '-infinity']),
	('ts', 'timestamp', 'inst', array['2024-05-10', '2024-05-10 00:00:00.000001', '2024-05-31 12:00', '2024-06-15 12:00', '1850-01-01', '2500-01-01', 'infinity', '-infinity']),
	('tz', 'timestamptz', 'inst', array['2024-05-10 00:00+00', '2024-05-10 02:00+02', '2024-05-31 12:00+00', '2024-06-15 12:00+00', '1850-01-01 00:00+00', '2500-01-01 00:00+00', 'infinity', '-infinity']);
insert into ix.col values
	('ia', 'integer[]', 'arr', array['{1,2,3}', '{}', '{5,NULL}', '{{1,5},{7,8}}', '[0:1]={1,2}', '{2}'], array['1', '2', '5', '7', '9']),
	('ta', 'text[]', 'arr', array['{vip,new}', '{}', '{VIP}', '{"",NULL}', '{eu,vip}', format('{%s}', ix.long(3, 2500))], array['vip', 'new', 'VIP', 'eu', '', ix.long(3, 2500)]),
	('na', 'numeric[]', 'arr', array['{1,2.50}', '{2.5,NULL}', '{NaN}', '{}', '{1.00}'], array['1', '1.0', '2.5', '2.500', 'NaN']),
	('fa', 'float8[]', 'arr', array['{0,2.5}', '{-0}', '{NaN,1}', '{Infinity}', '{}'], array['0', '2.5', '1', 'NaN', 'Infinity', '-0']),
	('ma', 'wx.mood[]', 'arr', array['{sad,ok}', '{happy}', '{}', '{ok,NULL}'], array['sad', 'ok', 'happy']),
	('da', 'date[]', 'arr', array['{2024-05-10,infinity}', '{2024-06-01}', '{}'], array['2024-05-10', '2024-06-01']),
	('dia', 'wx.numbers', 'arr', array['{1,2}', '{}', '{3,NULL}'], array['1', '2', '3']),
	('j', 'jsonb', 'json', null, array['abc', 'Abc', 'vip', '5', '5.0', '', 'true', '2024-05-10']),
	('ja', 'jsonb', 'json', null, array['abc', 'ABC', 'vip', '5', 'x']);

-- What this server has and another may lack.
do $$
begin
	if exists (select from pg_collation where collprovider = 'i') then
		create schema ic;
		create collation ic.en (provider = icu, locale = 'en');
		create collation ic.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		insert into ix.col (col, type, cls, pool) values
			('ti', 'text collate ic.en', 'text', array['', 'a', 'abc', 'ABC', 'é', 'É', 'Straße', '/docs', '/docs/a']),
			('tn', 'text collate ic.loose', 'nd', array['', 'a', 'A', 'abc', 'ABC', 'Abc', 'é', 'É']),
			('vn', 'varchar(20) collate ic.loose', 'nd', array['a', 'A', 'abc', 'ABC']);
		insert into ix.col values
			('tna', 'text[] collate ic.loose', 'arr', array['{vip,New}', '{VIP}', '{}'], array['vip', 'VIP', 'new']);
	end if;
	if exists (select from pg_available_extensions where name = 'citext') then
		create extension citext schema public;
		insert into ix.col (col, type, cls, pool) values
			('ci', 'public.citext', 'text', array['', 'a', 'A', 'abc', 'ABC', 'Abc', '/docs', 'ünï', 'ÜNÏ']);
		insert into ix.col values
			('cia', 'public.citext[]', 'arr', array['{vip,New}', '{VIP}', '{}'], array['vip', 'VIP', 'new']);
	end if;
end $$;

-- Which columns tables have, of the types they have them in.  The other tables
-- share some with the hits, in types of their own: for several kinds in one
-- condition.
create view ix.has as
	select o.owner, c.col, c.type, c.cls, c.pool, coalesce(c.lits, c.pool) as lits
	from ix.col c cross join (values ('contact'), ('hit')) o(owner)
	union all
	select o.owner, c.col, case o.owner when 'event' then o.event when 'parted' then o.parted else o.badge end,
		c.cls, o.pool, coalesce(c.lits, o.pool)
	from (values
		('tx', 'varchar(30) collate "C"', 'wx.line', 'text', array['', 'a', 'abc', 'ABC', 'abcdef', '/pricing', '/Pricing/eu', '5', 'ünï']),
		('i4', 'numeric', 'bigint', 'smallint', array['0', '1', '2', '3', '5', '10', '-1', '50']),
		('b', 'boolean', 'wx.flag', 'boolean', array['true', 'false']),
		('d', 'timestamptz', 'date', 'date', array['2024-05-10', '2024-05-31', '2024-06-01', '1850-01-01', 'infinity']),
		('ta', 'varchar(9)[]', 'text[]', 'text[]', array['{vip,new}', '{}', '{VIP}', '{"",NULL}', '{eu,vip}']),
		('j', 'jsonb', 'jsonb', 'jsonb', null)) t(col, event, parted, badge, pool)
	cross join (values ('event'), ('parted'), ('badge'), ('common')) w(owner)
	cross join lateral (select w.owner, t.event, t.parted, t.badge, t.pool) o
	join ix.col c on c.col = t.col;

create table ix.kind (kind text primary key, tbl text not null);
insert into ix.kind values ('hit', 'hit'), ('form', 'event'), ('click', 'event'), ('Part', 'parted'), ('badge', 'badge');

-- One row: the world at hand.
create table ix.world (seed bigint, w int, streams int, palette text[], accounts text);
create table ix.rule (stream_id int primary key, account text, rule leadstream.rule, asks_contact boolean, is_foreign boolean);
create table ix.setting (show text);
create table ix.count (what text primary key, n bigint not null default 0);
create table ix.step (n int generated always as identity, what text, contacts bigint[]);
create table ix.got (mode text, key text);

create function ix.add(what text, n bigint) returns void
language sql as $$
	insert into ix.count values (what, coalesce(n, 0)) on conflict on constraint count_pkey do update set n = ix.count.n + excluded.n
$$;

-- ---------------------------------------------------------------------
-- Rows
-- ---------------------------------------------------------------------
create function ix.some_json() returns text
language plpgsql as $$
declare
	v jsonb := '{}';
begin
	if nv.p(12) then
		return nv.pick(array['null', '[]', '{}', '""', '"abc"', '"5"', '5', 'true', '"vip gold"', '["abc", "vip"]', '[5, "5", true, null]']);
	end if;
	if nv.p(80) then
		v := v || jsonb_build_object('plan', nv.pick(array['"abc"', '"Abc"', '"vip"', '5', '5.0', 'null', '""', '"5.0"', 'true']) ::jsonb);
	end if;
	if nv.p(80) then
		v := v || jsonb_build_object('n', nv.pick(array['5', '"5"', '5.00', '2.5', '"abc"', '-1', 'true', 'null', '1e2', '" 5 "', '"NaN"', '"5.0"'])::jsonb);
	end if;
	if nv.p(70) then
		v := v || jsonb_build_object('flag', nv.pick(array['true', 'false', '"true"', '"no"', '"x"', 'null', '1', '"t"'])::jsonb);
	end if;
	if nv.p(80) then
		v := v || jsonb_build_object('list', nv.pick(array['["abc", "Abc", 5, true]', '[]', '["vip"]', '"vip gold"', '{"a": "vip"}', 'null', '["5", null, "true"]',
			'[5.0, false, ["abc"]]', '[{"vip": 1}, 2.5, "5.0"]', '"abc"', '5', '["", " 5 "]'])::jsonb);
	end if;
	if nv.p(50) then
		v := v || jsonb_build_object('nest', jsonb_build_object('x y', nv.pick(array['"abc"', '"vip"', 'null', '7', '["vip", 7]'])::jsonb,
			'when', nv.pick(array['"2024-05-10"', '"2024-05-10T00:00:00Z"', '"2024-06-01 10:00"', '"soon"', '20240510'])::jsonb));
	end if;
	if nv.p(10) then
		v := v || jsonb_build_object('big', ix.long(nv.r(3), 3000));
	end if;
	return v::text;
end $$;

-- The columns of a row, and their values as SQL.
create function ix.columns(own text) returns text
language sql stable as $$
	select string_agg(quote_ident(h.col), ', ' order by h.col) from ix.has h, ix.world x where h.owner = own and h.col = any (x.palette)
$$;

create function ix.some_values(own text) returns text
language plpgsql as $$
declare
	h ix.has;
	s text := '';
begin
	for h in select a.* from ix.has a, ix.world x where a.owner = own and a.col = any (x.palette) order by a.col loop
		s := s || case when s = '' then '' else ', ' end
			|| case when nv.p(12) then 'null' when h.cls = 'json' then quote_literal(ix.some_json()) else quote_literal(nv.pick(h.pool)) end;
	end loop;
	return s;
end $$;

create function ix.account(id bigint) returns text
language sql immutable as $$ select (array['1', '2', '2', '3', null])[1 + id % 5] $$;

-- An insert of one row.  told: its account, as SQL, or that of its contact.
create function ix.some_insert(own text, contact bigint, told text default null) returns text
language plpgsql as $$
declare
	at text := quote_nullable(case when nv.p(4) then null else (nv.clock() - nv.r(40) * interval '1 day'
		+ case when nv.p(4) then interval '60 days' else '0' end)::text end);
	x ix.world := (select o from ix.world o);
	account text := coalesce(told, format('(select account from wx.contact where id = %s)', coalesce(contact::text, 'null')));
	pick int := nv.r(3);
	id text := coalesce(contact::text, 'null');
begin
	case own
		when 'contact' then
			return format('insert into wx.contact (id, account, %s) values (%s, %s, %s)', ix.columns(own), contact, coalesce(told, quote_nullable(ix.account(contact))), ix.some_values(own));
		when 'hit' then
			return format('insert into wx.hit (contact_id, account, at, %s) values (%s, %s, %s, %s)', ix.columns(own), id, account, at, ix.some_values(own));
		when 'event' then
			return format('insert into wx.event (contact_id, account, at, type, ok, %s) values (%s, %s, %s, %L, %L, %s)', ix.columns(own), id, account, at,
				nv.pick('{form,form,click,other}'), nv.pick('{true,true,false,NULL}'), ix.some_values(own));
		when 'parted' then
			return format('insert into wx.%s (grp, person, at, %s) values (%L, %s, %s, %s)', (array['parted', 'part_a', 'part_b'])[1 + pick], ix.columns(own),
				(array[nv.pick('{a,b}'), 'a', 'b'])[1 + pick], id, at, ix.some_values(own));
		when 'badge' then
			return format('insert into wx.badge (contact_id, %s) values (%s, %s)', ix.columns(own), id, ix.some_values(own));
	end case;
end $$;

create procedure ix.make_tables()
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	t text;
	defs text;
begin
	drop schema if exists wx cascade;
	create schema wx;
	create type wx.mood as enum ('sad', 'ok', 'happy', 'o''dd "one');
	create domain wx.humour as wx.mood;
	create domain wx.line as text;
	create domain wx.flag as boolean;
	create domain wx.amount as bigint check (value > -1000);
	create domain wx.numbers as integer[];
	foreach t in array '{contact,hit,event,parted,badge}'::text[] loop
		select string_agg(format('%I %s', col, type), ', ' order by md5(col || x.w)) into defs from ix.has where owner = t and col = any (x.palette);
		execute format(case t
			when 'contact' then 'create table wx.contact (gone text, id bigint primary key, account %2$s, %1$s)'
			when 'hit' then 'create table wx.hit (id bigint generated always as identity primary key, %1$s, gone text, contact_id bigint, account %2$s, at timestamptz)'
			when 'event' then 'create table wx.event (id bigint generated always as identity primary key, account %2$s, contact_id bigint, at timestamp, type text, ok boolean, %1$s)'
			when 'parted' then 'create table wx.parted (grp text not null, person bigint, at date, %1$s) partition by list (grp)'
			when 'badge' then 'create table wx.badge (id bigint generated always as identity primary key, contact_id bigint, %1$s)'
		end, defs, case when x.accounts = 'integer' then 'integer' else 'text' end);
		execute format('create index on wx.%I (%I)', t, case t when 'contact' then 'account' when 'parted' then 'person' else 'contact_id' end);
	end loop;
	alter table wx.contact drop column gone;
	alter table wx.hit drop column gone;
	if 'lg' = any (x.palette) then
		alter table wx.hit alter lg set storage external;
	end if;
	create table wx.part_a partition of wx.parted for values in ('a');
	select string_agg(format('%I %s', col, type), ', ' order by md5(col || 'b' || x.w)) into defs from ix.has where owner = 'parted' and col = any (x.palette);
	execute format('create table wx.part_b (gone int, %s, person bigint, gone2 text, at date, grp text not null)', defs);
	alter table wx.part_b drop column gone, drop column gone2;
	alter table wx.parted attach partition wx.part_b for values in ('b');
end $$;

create procedure ix.attach()
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	a text;
begin
	perform leadstream.attach_contacts('wx.contact', account => case when x.accounts <> 'none' then 'account' end);
	-- in some worlds rows tell their account
	perform leadstream.attach_activity('wx.hit', occurred_at => 'at', account => case when x.accounts <> 'none' and x.w % 2 = 0 then 'account' end);
	perform leadstream.attach_activity('wx.event', kind => 'form', occurred_at => 'at', only_rule => 'type = ''form'' and ok is not false');
	perform leadstream.attach_activity('wx.event', kind => 'click', occurred_at => 'at', only_rule => 'type in (''click'', ''form'') and i4 >= 2',
		account => case when x.accounts <> 'none' then 'account' end);
	perform leadstream.attach_activity('wx.parted', kind => 'Part', contact_key => 'person', occurred_at => 'at');
	perform leadstream.attach_activity('wx.badge', timeless => true);
	foreach a in array case when x.accounts = 'none' then '{""}' else '{1,2,3}' end::text[] loop
		perform set_config('leadstream.account', a, false);
		perform leadstream.create_team('sales');
	end loop;
end $$;

create procedure ix.clean()
language plpgsql as $$
declare
	x record;
	a text;
begin
	for x in select r.account, s.stream from leadstream.stream s join ix.rule r using (stream_id) loop
		perform set_config('leadstream.account', x.account, false);
		perform leadstream.disable(x.stream);
	end loop;
	commit;
	for x in select r.account, s.stream from leadstream.stream s join ix.rule r using (stream_id) loop
		perform set_config('leadstream.account', x.account, false);
		perform leadstream.drop_stream(x.stream);
	end loop;
	-- no leads: all steps were undone
	for a in select distinct account from leadstream.team loop
		perform set_config('leadstream.account', a, false);
		perform leadstream.drop_team('sales');
	end loop;
	if exists (select from leadstream.contact_source) then
		perform leadstream.detach(activity) from (select distinct activity from leadstream.activity_source) s;
		perform leadstream.detach(contacts) from leadstream.contact_source;
		drop table leadstream.lead_event, leadstream.lead_match, leadstream.lead, leadstream.due cascade;
	end if;
	truncate ix.rule, ix.got;
	truncate ix.step restart identity;
end $$;

-- Contacts, of whom each third has no rows.
create procedure ix.populate(contacts int, rows int)
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	c bigint;
begin
	perform nv.reseed(x.seed, 'rows ' || x.w);
	for i in 1 .. contacts loop
		execute ix.some_insert('contact', i);
	end loop;
	for i in 1 .. rows loop
		c := 1 + nv.r(contacts);
		execute ix.some_insert((array['hit', 'hit', 'event', 'parted', 'badge'])[1 + nv.r(5)], case when c % 3 > 0 then c end);
	end loop;
	if nv.p(60) then
		analyze;
	end if;
end $$;

-- ---------------------------------------------------------------------
-- Rules
-- ---------------------------------------------------------------------
create function ix.quoted(s text) returns text
language sql immutable as $$ select '''' || replace(s, '''', '''''') || '''' $$;

create function ix.literal(h ix.has) returns text
language plpgsql as $$
declare
	s text := nv.pick(h.lits);
begin
	case h.cls
		when 'num' then
			if s ~ '^-?[0-9.]+(e-?[0-9]+)?$' and nv.p(75) then
				if nv.p(15) and s !~ '[.e]' then
					s := s || nv.pick('{.0,.00,.5}');
				end if;
				return case when nv.p(3) then '12345678901234567890' else s end;
			end if;
		when 'inst' then
			loop
				exit when s !~ 'infinity';
				s := nv.pick(h.lits);
			end loop;
			if nv.p(25) then
				s := left(s, 10) || nv.pick(array['', 'T00:00:00Z', ' 10:00', 'T12:00:00+02:00', ' 00:00:00.000001+00']);
			end if;
		when 'text' then
			if nv.p(10) then
				s := case nv.r(4) when 0 then upper(s) when 1 then lower(s) when 2 then s || nv.pick('{x," "}') else left(s, nv.r(4)) end;
			end if;
		else null;
	end case;
	return ix.quoted(s);
end $$;

create function ix.literals(h ix.has, n int) returns text
language sql as $$ select '(' || string_agg(ix.literal(h), ', ') || ')' from generate_series(1, n) $$;

-- A test of a field of some class.
create function ix.test(field text, h ix.has) returns text
language plpgsql as $$
declare
	k int := nv.r(100);
	s text;
	g ix.has := h;
begin
	if k < 5 then
		return field || ' is ' || nv.pick(array['null', 'not null']);
	end if;
	if h.cls = 'bool' then
		return replace(nv.pick(array['@', '@', 'not @', '@ = true', '@ = false', '@ <> true', '@ is true', '@ is not true', '@ is false', '@ is not false',
			'@ = ''true''', '@ in (true, false)', '@ in (false)']), '@', field);
	elsif h.cls = 'arr' then
		return field || case
			when k < 50 then ' contains ' || ix.literal(h)
			when k < 60 then ' contains any ' || ix.literals(h, 1 + nv.r(3))
			when k < 68 then ' contains all ' || ix.literals(h, 1 + nv.r(2))
			when k < 76 then ' not contains ' || ix.literal(h)
			when k < 86 then ' = ' || ix.quoted(nv.pick(h.pool))
			when k < 91 then format(' in (%s, %s)', ix.quoted(nv.pick(h.pool)), ix.quoted(nv.pick(h.pool)))
			when k < 95 then nv.pick('{<,>=}') || ix.quoted(nv.pick(h.pool))
			else ' is ' || nv.pick('{empty,not empty}') end;
	elsif h.cls = 'json' then
		s := field || nv.pick(array['', '.plan', '.plan', '.n', '.n', '.flag', '.list', '.list', '.list[0]', '.list[-1]', '.nest."x y"', '.nest."x y"[1]', '.nest.when', '.big']);
		if k < 35 then
			g.cls := 'text';
			return ix.test(s, g);
		elsif k < 55 then
			g.cls := 'num';
			g.lits := array['5', '5.00', '2.5', '-1', '100', '1', '7'];
			return replace(ix.test(s, g), '''', '');
		elsif k < 63 then
			return replace(nv.pick(array['@ = true', '@ = false', '@ is true', '@ is not true', '@ is false', '@ <> true']), '@', s);
		elsif k < 68 then
			return s || nv.pick(array[' = ', ' < ', ' >= ']) || nv.pick(array['''2024-05-10''', '''2024-05-10T00:00:00Z''']);
		elsif k < 72 then
			return s || ' in (''abc'', 5, true)';
		else
			return s || nv.pick(array[' contains ', ' contains ', ' not contains ']) || nv.pick(array['5', '5.0', '2.5', 'true', 'false', '''5''', '''5.0''', '''abc''', '''vip''', '''VIP''', '''''', '''true'''])
				|| case when nv.p(25) then format(' or %s contains %s (%s, %s)', s, nv.pick('{any,all}'), nv.pick(array['5', '''vip''']), nv.pick(array['2.5', '''abc''', 'false'])) else '' end;
		end if;
	elsif h.cls = 'inst' and k < 18 then
		return field || nv.pick(array[' < now', ' >= today', ' < now - 10 days', ' > now - 1 month', ' in this month', ' in last month', ' in last year']);
	elsif k < 45 then
		return field || ' = ' || ix.literal(h);
	elsif k < 57 then
		return field || ' in ' || ix.literals(h, 1 + nv.r(4));
	elsif k < 60 then
		return field || ' <> ' || ix.literal(h);
	elsif k < 63 then
		return field || ' not in ' || ix.literals(h, 1 + nv.r(2));
	elsif h.cls = 'text' and k < 92 then
		s := nv.pick(h.lits);
		return field || case
			when k < 74 then nv.pick(array[' like ', ' like ', ' like ', ' ilike ', ' not like ']) || ix.quoted(case nv.r(7)
				when 0 then left(replace(s, '\', '\\'), 3) when 1 then '%' || left(replace(s, '\', ''), 2) || '%' when 2 then left(replace(s, '\', ''), 2) || '_%' when 3 then 'a\_c%' else left(replace(s, '\', '\\'), nv.r(80)) || '%' end)
			when k < 82 then ' starts with ' || ix.quoted(left(s, 1 + nv.r(70)))
			when k < 86 then ' ends with ' || ix.quoted(right(s, 1 + nv.r(4)))
			when k < 90 then ' contains ' || ix.quoted(left(s, 1 + nv.r(4)))
			else ' is ' || nv.pick('{empty,not empty}') end;
	elsif k < 78 then
		return field || nv.pick(array[' between ', ' between ', ' not between ']) || ix.literal(h) || ' and ' || ix.literal(h);
	else
		return field || nv.pick(array[' < ', ' <= ', ' > ', ' >= ']) || ix.literal(h);
	end if;
end $$;

create function ix.some_column(own text) returns ix.has
language sql volatile as $$
	select h from ix.has h, ix.world x where h.owner = own and h.col = any (x.palette) order by random() limit 1
$$;

-- A condition on the columns of a row.
create function ix.condition(own text, depth int, inside boolean) returns text
language plpgsql as $$
declare
	h ix.has;
	field text;
	s text;
begin
	if depth > 0 and nv.p(60) then
		if nv.p(12) then
			return 'not (' || ix.condition(own, depth - 1, inside) || ')';
		end if;
		s := ix.condition(own, depth - 1, inside);
		for i in 1 .. 1 + nv.r(2) loop
			s := s || nv.pick(array[') and (', ') and (', ') or (']) || ix.condition(own, depth - 1, inside);
		end loop;
		return '((' || s || '))';
	end if;
	h := ix.some_column(own);
	field := h.col;
	if inside and own = 'hit' and nv.p(3) and h.cls not in ('json', 'arr') then
		return field || nv.pick(array[' = ', ' < ', ' <> ']) || 'contact.' || h.col;
	end if;
	return ix.test(field, h);
end $$;

-- Kinds, and which of their rows.
create function ix.rows(own text) returns text
language plpgsql as $$
begin
	return case when nv.p(93) then ' where ' || ix.condition(own, nv.r(4), true) else '' end
		|| case when own not in ('badge', 'common') and nv.p(25) then nv.pick(array[' within 7 days', ' within 30 days', ' older than 2 days', ' within 1 year older than 1 day']) else '' end;
end $$;

create function ix.aggregate_test() returns text
language plpgsql as $$
declare
	k ix.kind;
	name text := nv.pick('{hit,hit,hit,form,click,Part,badge}');
	h ix.has;
	q int := nv.r(100);
begin
	select * into k from ix.kind where kind = name;
	name := quote_ident(name);
	if q < 55 then
		return case when nv.p(12) then 'not ' else '' end || 'exists(' || name || ix.rows(k.tbl) || ')';
	elsif q < 63 then
		return format('exists(hit, %s%s)', nv.pick(array['form', 'click, "Part"', 'badge', '"Part"']), ix.rows('common'));
	elsif q < 68 then
		return format('count(%s, hit%s) %s', nv.pick(array['form', 'click, "Part"', 'badge', 'form, click']), ix.rows('common'), nv.pick(array['>= 2', '>= 1', '< 2', '= 1']));
	elsif q < 82 then
		return format('count(%s%s) %s', name, ix.rows(k.tbl), nv.pick(array['>= 2', '>= 1', '> 0', '>= 3', '< 2', '= 1', 'between 1 and 2', 'in (1, 3)', '= 0']));
	end if;
	h := ix.some_column(k.tbl);
	if q < 88 and h.cls = 'num' then
		return format('%s(%s.%s%s) %s', nv.pick('{sum,avg,max,min}'), name, h.col, ix.rows(k.tbl), nv.pick(array['> 1', '>= 5', '< 3', '= 5']));
	elsif q < 93 and h.cls not in ('json', 'arr') then
		return format('count(distinct %s.%s%s) %s', name, h.col, ix.rows(k.tbl), nv.pick(array['>= 2', '>= 1', '< 2']));
	elsif h.cls = 'bool' then
		return format('last(%s.%s%s) is true', name, h.col, ix.rows(k.tbl));
	elsif h.cls in ('arr', 'json') then
		return format('exists(%s%s)', name, ix.rows(k.tbl));
	end if;
	return ix.test(format('%s(%s.%s%s)', nv.pick('{first,last}'), name, h.col, ix.rows(k.tbl)), h);
end $$;

create function ix.some_rule(depth int) returns text
language plpgsql as $$
declare
	s text;
begin
	if depth > 0 and nv.p(55) then
		if nv.p(8) then
			return 'not (' || ix.some_rule(depth - 1) || ')';
		end if;
		s := ix.some_rule(depth - 1);
		for i in 1 .. 1 + nv.r(4) / 3 loop
			s := s || nv.pick(array[') and (', ') and (', ') or (']) || ix.some_rule(depth - 1);
		end loop;
		return '((' || s || '))';
	end if;
	if nv.p(68) then
		return ix.aggregate_test();
	end if;
	perform set_config('ix.asks_contact', 'on', false);
	return ix.condition('contact', nv.r(2), false);
end $$;

-- Streams with random rules.  Refused: such as do not bind, of which there
-- should be few.
create procedure ix.make_streams(streams int)
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	made int := 0;
	tried int := 0;
	txt text;
	a text;
	id int;
begin
	perform nv.reseed(x.seed, 'rules ' || x.w);
	while made < streams loop
		tried := tried + 1;
		perform set_config('ix.asks_contact', 'off', false);
		txt := ix.some_rule(nv.r(4));
		if nv.p(25) then
			perform set_config('ix.asks_contact', 'on', false);
			txt := format('(%s) and (%s)', txt, ix.condition('contact', nv.r(2), false));
		end if;
		a := case when x.accounts = 'none' then '' else nv.pick('{1,2,3}') end;
		perform set_config('leadstream.account', a, false);
		begin
			id := leadstream.create_stream('s' || tried, txt::leadstream.rule, '{sales}');
			perform leadstream.enable('s' || tried);
			insert into ix.rule values (id, a, txt::leadstream.rule, current_setting('ix.asks_contact')::boolean, txt ~ '\mcia?\M');
			made := made + 1;
		exception when data_exception or syntax_error_or_access_rule_violation or feature_not_supported or program_limit_exceeded then
			perform ix.add('refused', 1);
			if (select show from ix.setting) = 'on' then
				perform nv.diag(format('refused: %s: %s', sqlerrm, left(txt, 400)));
			end if;
		end;
		if tried % 100 = 0 then
			commit;
		end if;
	end loop;
	commit;
	perform ix.add('rules', made);
end $$;

-- World number w: keeps its settings for the sessions to come.
create procedure ix.begin_world(seed bigint, w int, streams int)
language plpgsql as $$
declare
	words text[];
begin
	perform nv.reseed(seed, 'world ' || w);
	select array_agg(col) into words from (select col from ix.col order by col <> all ('{tx,i4,j}'), random() limit case when w % 5 = 4 then 1000 else 5 + nv.r(8) end) c;
	truncate ix.world;
	insert into ix.world values (seed, w, streams, words, (array['none', 'text', 'none', 'integer', 'none', 'none'])[1 + w % 6]);
end $$;

create function ix.resume() returns void
language plpgsql as $$
begin
	perform set_config('nv.zone', 'UTC', false);
	perform set_config('leadstream.capture', 'on', false);
	perform nv.set_clock('2024-06-15 12:00+00');
	perform set_config('timezone', (array['UTC', 'Asia/Tokyo'])[1 + w % 2], false) from ix.world;
	perform set_config('datestyle', (array['ISO, MDY', 'SQL, DMY'])[1 + w % 2], false) from ix.world;
	perform set_config('jit', 'off', false);
end $$;

-- ---------------------------------------------------------------------
-- Many streams that ask for little
-- ---------------------------------------------------------------------

-- Each rule is one that about one row in 200 concerns.
create function ix.selective_rule(i int) returns text
language plpgsql as $$
declare
	v int := nv.r(200);
begin
	return case i % 12
		when 0 then format('exists(hit where tx = ''v%s/a'')', v)
		when 1 then format('count(hit where tx = ''v%s/a'' or tx = ''v%s/a'' within 7 days) >= 2', v, nv.r(200))
		when 2 then format('exists(hit where i4 between %s and %s)', v * 5, v * 5 + 4)
		when 3 then format('exists(hit where i4 >= %s and i4 < %s and b)', v * 5, v * 5 + 10)
		when 4 then format('exists(hit where tx starts with ''v%s/'')', v)
		when 5 then format('exists(hit where tx like ''v%s/%%'' and i4 > 500)', v)
		when 6 then format('exists(hit where j.plan = ''p%s'')', v)
		when 7 then format('exists(hit where ta contains ''t%s'')', v)
		when 8 then format('exists(hit where j.list contains ''l%s'')', v)
		when 9 then format('last(hit.i4 where tx in (''v%s/a'', ''v%s/b'')) > 100', v, nv.r(200))
		when 10 then format('tx = ''v%s/a'' and exists(hit where b)', v)
		else format('i4 = %s and exists(hit, form where b or i4 < 500)', v)
	end;
end $$;

create function ix.selective_values() returns text
language sql volatile as $$
	select format('%L, %s, %L, %L, %L', nv.p(50), nv.r(1000), jsonb_build_object('plan', 'p' || nv.r(200), 'list', jsonb_build_array('l' || nv.r(200), 5)),
		array['t' || nv.r(200)], 'v' || nv.r(200) || nv.pick('{/a,/b}'))
$$;

create procedure ix.make_selective_streams(streams int)
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	id int;
	txt text;
begin
	perform nv.reseed(x.seed, 'selective rules');
	for i in 1 .. streams loop
		txt := ix.selective_rule(i);
		id := leadstream.create_stream('s' || i, txt::leadstream.rule, '{sales}');
		perform leadstream.enable('s' || i);
		insert into ix.rule values (id, '', txt::leadstream.rule, i % 12 >= 10, false);
	end loop;
	perform ix.add('rules', streams);
end $$;

create procedure ix.selective_rows(contacts int, rows int, steps int)
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	c bigint;
	s text;
begin
	perform nv.reseed(x.seed, 'selective rows');
	for i in 1 .. contacts loop
		execute format('insert into wx.contact (id, b, i4, j, ta, tx) values (%s, %s)', i, ix.selective_values());
	end loop;
	for i in 1 .. rows loop
		execute format('insert into wx.hit (contact_id, at, b, i4, j, ta, tx) values (%s, %L, %s)', 1 + nv.r(contacts), nv.clock(), ix.selective_values());
	end loop;
	analyze;
	for i in 1 .. steps loop
		c := 1 + nv.r(contacts);
		s := case
			when i % 8 = 0 then format('insert into wx.contact (id, b, i4, j, ta, tx) values (%s, %s)', 1000 + i, ix.selective_values())
			when i % 8 = 1 then format('update wx.contact set i4 = %s, tx = ''v%s/a'' where id = %s', nv.r(200), nv.r(200), c)
			when i % 8 = 2 then format('insert into wx.event (contact_id, at, type, b, i4, j, ta, tx) values (%s, %L, ''form'', %s)', c, nv.clock(), ix.selective_values())
			else format('insert into wx.hit (contact_id, at, b, i4, j, ta, tx) values (%s, %L, %s)', c, nv.clock(), ix.selective_values()) end;
		insert into ix.step (what, contacts) values (s, array[case when i % 8 = 0 then 1000 + i else c end]);
	end loop;
end $$;
