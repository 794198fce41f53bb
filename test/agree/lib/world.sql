-- world.sql: the random world in which the three ways are compared
--
-- Schema nv holds the naive side (it shares no code with the extension),
-- schema w the user's own tables, schema sh their shadows: every row that
-- was ever in a table of w, with the number of the statement (an "event") by
-- which it arrived and the one by which it went, so that the naive judge can
-- look at the world as of any statement.  The shadows are kept by plain row
-- triggers, so a rolled back savepoint takes its shadows along.
--
-- All randomness comes from setseed(): nv.reseed(seed, what) makes every
-- world and every rule reproducible on its own.

set jit = off;

create schema nv;

create function nv.reseed(seed bigint, what text) returns void
language plpgsql as $$
begin
	perform setseed(hashtextextended(what, seed)::float8 / 9223372036854775808.0);
end $$;

-- 0 .. n-1
create function nv.r(n int) returns int
language plpgsql as $$ begin return floor(random() * n)::int; end $$;

-- true in so many of a hundred cases
create function nv.p(percent float8) returns boolean
language plpgsql as $$ begin return random() * 100 < percent; end $$;

create function nv.pick(items text[]) returns text
language plpgsql as $$ begin return items[1 + floor(random() * cardinality(items))::int]; end $$;

create function nv.zone() returns text
language sql stable as $$ select current_setting('nv.zone') $$;

create function nv.clock() returns timestamptz
language sql stable as $$ select current_setting('nv.clock')::timestamptz $$;

create function nv.iso(t timestamptz) returns text
language sql stable as $$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- Are updates and deletes of activities captured in this world?
create function nv.has_events() returns boolean
language sql stable as $$ select coalesce(current_setting('nv.events', true), '') = 'true' $$;

-- Set the clock of the extension and of the naive side.
create function nv.set_clock(t timestamptz) returns void
language plpgsql as $$
begin
	perform set_config('nv.clock', nv.iso(t), false);
	perform set_config('leadstream.clock', nv.iso(t), false);
end $$;

-- What the columns are, and which values are likely in them.  The pools are
-- used for the data and for the literals of the rules, so that rules are
-- true of some contacts and false of others.
create table nv.col (
	owner text,					-- contact, or the table of w
	col text,
	cls text,					-- text int big num dbl bool date tstz ts arr json enum uuid inet
	coll text,					-- of texts: d(efault) or C
	pool text[],
	primary key (owner, col)
);

-- What is attached: a kind, its table, its time, its filter.
create table nv.kind (
	kind text primary key,
	tbl text not null,
	contact_col text,			-- null: the elements of the contact's column tbl
	time_col text,				-- null: timeless
	only_text text,
	only_ast jsonb
);

create table nv.tab (
	tbl text primary key,
	contact_col text,
	time_col text,
	time_cls text,
	pk text not null,			-- unique by itself
	pk_order text[] not null	-- the primary key
);

create function nv.family(cls text) returns text
language sql immutable as $$
	select case when cls in ('int', 'big', 'num', 'dbl') then 'num'
				when cls in ('date', 'tstz', 'ts') then 'inst'
				else cls end
$$;

insert into nv.tab values
	('contact', null, null, null, 'id', '{id}'),
	('visit', 'contact_id', 'at', 'tstz', 'id', '{id}'),
	('Mail Box', 'person', 'sent', 'ts', 'ref', '{ref}'),
	('event', 'contact_id', 'day', 'date', 'id', '{grp,id}'),
	('badge', 'contact_id', null, null, 'id', '{id}');

insert into nv.kind values
	('visit', 'visit', 'contact_id', 'at', null, null),
	('Mail Open', 'Mail Box', 'person', 'sent', null, null),
	('form', 'event', 'contact_id', 'day', $$type = 'form' and ok is not false$$,
	 '{"t":"and","k":[{"t":"test","op":"=","a":{"t":"field","s":"r","p":["type"]},"b":[{"t":"str","v":"form"}]},
		{"t":"test","op":"is false","neg":true,"a":{"t":"field","s":"r","p":["ok"]},"b":[]}]}'),
	('click', 'event', 'contact_id', 'day', $$type in ('click', 'form') and value >= 2$$,
	 '{"t":"and","k":[{"t":"test","op":"in","a":{"t":"field","s":"r","p":["type"]},"b":[{"t":"str","v":"click"},{"t":"str","v":"form"}]},
		{"t":"test","op":">=","a":{"t":"field","s":"r","p":["value"]},"b":[{"t":"num","v":"2"}]}]}'),
	('badge', 'badge', 'contact_id', null, null, null),
	('tags', 'tags', null, null, null, null),
	('interests', 'interests', null, null, null, null);

insert into nv.col values
	('contact', 'country', 'text', 'd', array['SE', 'NO', 'DK', 'se', '', ' ', 'Sweden', 'Göteborg']),
	('contact', 'code', 'text', 'C', array['a1', 'A1', 'b2', 'ab', 'abc', '10', '9', 'B']),
	('contact', 'note', 'text', 'd', array['5', '5.0', ' 7 ', '-3', '1e2', 'abc', 'true', 'No', '2024-05-10', '2024-05-31T12:00:00Z', '', '  ', '2024-02-30', 'NaN', '12abc', '+2']),
	('contact', 'Odd Name', 'text', 'd', array['O''Brien', '100%', 'a_b', 'back\slash', 'Ünï', 'alice', 'ALICE', 'say "hi"']),
	('contact', 'last', 'text', 'd', array['x', 'y', 'SE', 'abc', 'xyz']),
	('contact', 'plan', 'enum', null, array['free', 'trial', 'pro', 'max']),
	('contact', 'score', 'int', null, array['0', '1', '2', '3', '5', '10', '-1', '50']),
	('contact', 'points', 'big', null, array['0', '1', '3', '10', '9000000000', '-5']),
	('contact', 'spend', 'num', null, array['0', '0.5', '2.50', '10', '99.99', '-3', '1000']),
	('contact', 'ratio', 'dbl', null, array['0', '0.5', '1', '2.5', '-1.25', '1e10', 'NaN', 'Infinity']),
	('contact', 'vip', 'bool', null, array['true', 'false']),
	('contact', 'blocked', 'bool', null, array['true', 'false', 'false']),
	('contact', 'born', 'date', null, null),
	('contact', 'trial', 'tstz', null, null),
	('contact', 'seen', 'ts', null, null),
	('contact', 'tags', 'arr', null, array['vip', 'new', 'VIP', 'eu', '']),
	('contact', 'attrs', 'json', null, null),
	('contact', 'interests', 'json', null, null),
	('contact', 'ip', 'inet', null, array['10.0.0.1', '10.0.0.0/8', '192.168.1.7', '::1']),
	('contact', 'ref', 'uuid', null, array['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000a', 'ffffffff-0000-0000-0000-000000000002']),

	('visit', 'label', 'text', 'd', array['/pricing', '/docs', '/Pricing/eu', 'x', 'abc', '', '5']),
	('visit', 'value', 'int', null, array['0', '1', '2', '3', '5', '10', '-1']),
	('visit', 'ok', 'bool', null, array['true', 'false']),
	('visit', 'due', 'tstz', null, null),
	('visit', 'data', 'json', null, null),
	('visit', 'tags', 'arr', null, array['vip', 'new', 'eu']),
	('visit', 'grade', 'enum', null, array['free', 'trial', 'pro', 'max']),
	('visit', 'sess', 'uuid', null, array['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000a', 'ffffffff-0000-0000-0000-000000000002']),
	('visit', 'at', 'tstz', null, null),

	('Mail Box', 'label', 'text', 'C', array['a', 'B', 'b', 'abc', 'x', '', '/docs']),
	('Mail Box', 'value', 'num', null, array['0', '1', '2.5', '3', '5.00', '10', '-1', '0.1']),
	('Mail Box', 'ok', 'bool', null, array['true', 'false']),
	('Mail Box', 'due', 'date', null, null),
	('Mail Box', 'data', 'json', null, null),
	('Mail Box', 'size', 'big', null, array['1', '2', '3', '9000000000']),
	('Mail Box', 'Sub ject', 'text', 'd', array['Hello', 'hello world', 'Demo', 'demo!', '3']),
	('Mail Box', 'sent', 'ts', null, null),

	('event', 'label', 'text', 'd', array['x', 'y', 'abc', '/docs', 'SE', '7']),
	('event', 'value', 'dbl', null, array['0', '1', '2', '2.5', '3', '10', '0.1', 'NaN']),
	('event', 'ok', 'bool', null, array['true', 'true', 'false']),
	('event', 'due', 'ts', null, null),
	('event', 'data', 'json', null, null),
	('event', 'type', 'text', 'd', array['form', 'form', 'click', 'other']),
	('event', 'day', 'date', null, null),

	('badge', 'label', 'text', 'd', array['gold', 'Silver', 'x', 'abc']),
	('badge', 'value', 'big', null, array['0', '1', '2', '3', '5', '10']),
	('badge', 'ok', 'bool', null, array['true', 'false']),
	('badge', 'due', 'tstz', null, null),
	('badge', 'data', 'json', null, null),

	('tags', 'value', 'text', 'd', array['vip', 'new', 'VIP', 'eu', '']),

	('interests', 'value', 'json', null, null),
	('interests', 'plan', 'json', null, null),
	('interests', 'n', 'json', null, null),
	('interests', 'flag', 'json', null, null),
	('interests', 'when', 'json', null, null),
	('interests', 'list', 'json', null, null),
	('interests', 'nest', 'json', null, null);

-- What all tables of activities have, whatever its type there: the fields of
-- a condition over a list of kinds.
insert into nv.col
	select 'common', col, cls, coll, pool from nv.col
	where owner = 'visit' and col in ('label', 'value', 'ok', 'due', 'data');

-- The paths that are likely in the jsonb columns and what stands there.
create table nv.jpath (n int primary key, path jsonb, hint text, pool text[]);
insert into nv.jpath values
	(0, '[]', 'obj', null),
	(1, '["plan"]', 'text', array['basic', 'Pro', 'pro plan', '5', '']),
	(2, '["n"]', 'num', array['3', '7.5', '-1', '100', '2']),
	(3, '["flag"]', 'bool', null),
	(4, '["when"]', 'inst', null),
	(5, '["list"]', 'arr', array['a', 'B', 'vip', '3', 'true']),
	(6, '["list", 0]', 'text', array['a', 'B', 'vip', '3']),
	(7, '["nest", "a", 1, "b"]', 'text', array['x', 'y', 'Zed']),
	(8, '["nest", "utm source"]', 'text', array['ads', 'Mail', 'seo']),
	(9, '["nest", "from"]', 'num', array['10', '2', '3']),
	(10, '["n"]', 'num', array['3', '7.5', '-1', '100', '2']),
	(11, '["plan"]', 'text', array['basic', 'Pro', 'pro plan', '5', '']);

-- An instant near the clock: round ones, so that windows begin and end
-- together with rows, and now and then a microsecond beside.
create function nv.some_instant(around timestamptz, spread_days int) returns timestamptz
language plpgsql as $$
declare
	t timestamptz := around;
begin
	t := t + (nv.r(2 * spread_days + 1) - spread_days) * interval '24 hours';
	case nv.r(10)
		when 0, 1, 2 then t := t + nv.r(24) * interval '1 hour';
		when 3, 4 then t := date_trunc('day', t at time zone nv.zone()) at time zone nv.zone();
		when 5 then t := date_trunc(nv.pick('{week,month,quarter,year}'), t at time zone nv.zone()) at time zone nv.zone();
		when 6 then t := date_trunc('month', t at time zone nv.zone()) at time zone nv.zone() - interval '1 day' + nv.r(24) * interval '1 hour';
		else null;
	end case;
	if nv.p(6) then
		t := t + (nv.r(3) - 1) * interval '1 microsecond';
	end if;
	return t;
end $$;

create function nv.some_json(around timestamptz) returns jsonb
language plpgsql as $$
declare
	v jsonb := '{}';
	s text;
begin
	if nv.p(6) then
		return nv.pick(array['null', '[]', '{}', '""', '"abc"', '5', '["a", "vip"]'])::jsonb;
	end if;
	if nv.p(80) then
		v := v || jsonb_build_object('plan', nv.pick(array['"basic"', '"Pro"', '"pro plan"', '5', 'null', '""', '" "', '"basic"'])::jsonb);
	end if;
	if nv.p(80) then
		v := v || jsonb_build_object('n', nv.pick(array['3', '"3"', '7.5', '"abc"', '-1', 'true', 'null', '1e2', '" 2 "', '2', '3.0'])::jsonb);
	end if;
	if nv.p(70) then
		v := v || jsonb_build_object('flag', nv.pick(array['true', 'false', '"true"', '"no"', '"x"', 'null', '1', 'true'])::jsonb);
	end if;
	if nv.p(70) then
		s := case nv.r(6)
			when 0 then to_jsonb(to_char(nv.some_instant(around, 40) at time zone 'UTC', 'YYYY-MM-DD'))::text
			when 1 then to_jsonb(nv.iso(nv.some_instant(around, 40)))::text
			when 2 then to_jsonb(to_char(nv.some_instant(around, 40) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))::text
			when 3 then to_jsonb(to_char(nv.some_instant(around, 40) at time zone 'UTC' + interval '2 hours', 'YYYY-MM-DD"T"HH24:MI:SS"+02:00"'))::text
			when 4 then nv.pick(array['"soon"', '20240501', '"2024-13-01"', 'null', '"2024-02-30"'])
			else to_jsonb(to_char(around at time zone nv.zone(), 'YYYY-MM-DD'))::text
		end;
		v := v || jsonb_build_object('when', s::jsonb);
	end if;
	if nv.p(70) then
		v := v || jsonb_build_object('list', nv.pick(array['["a", "B", 3, true]', '[]', '["vip"]', '"vip gold"', '{"a": 1}', 'null', '["3", null, "true"]', '[3.0, false, ["a"]]'])::jsonb);
	end if;
	if nv.p(60) then
		v := v || jsonb_build_object('nest', jsonb_build_object(
			'a', nv.pick(array['[{"b": "x"}, {"b": "y"}]', '[{"b": "y"}, {"b": "x"}]', '[1, {"b": "Zed"}]', '[]', '{"b": "x"}', '[0, {"b": null}]'])::jsonb,
			'utm source', nv.pick(array['"ads"', '"Mail"', '"seo"', 'null', '7'])::jsonb,
			'from', nv.pick(array['10', '2', '"3"', '"x"'])::jsonb));
	end if;
	return v;
end $$;

-- What the elements of a jsonb column are taken from: objects and others.
create function nv.some_elements(around timestamptz) returns jsonb
language plpgsql as $$
declare
	v jsonb := '[]';
begin
	if nv.p(10) then
		return nv.pick(array['null', '{}', '""', '"abc"', '5', '{"plan": "Pro"}'])::jsonb;
	end if;
	for i in 1 .. nv.r(5) loop
		v := v || case when nv.p(75) then jsonb_build_array(nv.some_json(around))
			else jsonb_build_array(nv.pick(array['"Pro"', '"5"', '7.5', 'null', 'true', '{"value": 5}', '{"value": null, "n": 3}', '["a", "B"]', '"basic"'])::jsonb) end;
	end loop;
	return v;
end $$;

-- One row as json, ready for jsonb_populate_record; without key and time.
create function nv.some_row(tbl text, around timestamptz) returns jsonb
language plpgsql as $$
declare
	v jsonb := '{}';
	c nv.col;
	t timestamptz;
	x jsonb;
begin
	for c in select * from nv.col where owner = tbl order by col loop
		if nv.p(case when c.cls = 'bool' then 12 else 14 end) then
			x := 'null';
		else
			case nv.family(c.cls)
				when 'inst' then
					t := nv.some_instant(around, 45);
					x := to_jsonb(case c.cls when 'tstz' then t::text
											 when 'ts' then (t at time zone nv.zone())::text
											 else (t at time zone nv.zone())::date::text end);
					if c.cls = 'tstz' and nv.p(2) and current_setting('nv.infinite')::boolean then
						x := to_jsonb(nv.pick('{infinity,-infinity}'));
					end if;
				when 'json' then
					x := case when c.col = 'interests' then nv.some_elements(around) else nv.some_json(around) end;
				when 'arr' then
					x := '[]';
					for i in 1 .. nv.r(4) loop
						x := x || case when nv.p(5) then 'null'::jsonb else to_jsonb(nv.pick(c.pool)) end;
					end loop;
				else x := to_jsonb(nv.pick(c.pool));
			end case;
		end if;
		v := v || jsonb_build_object(c.col, x);
	end loop;
	return v;
end $$;

-- The key of contact number i, as text.
create function nv.key(i int) returns text
language plpgsql as $$
begin
	return case current_setting('nv.keytype')
		when 'bigint' then (i::bigint * 5000000000)::text
		when 'integer' then i::text
		when 'uuid' then md5(i::text)::uuid::text
		else 'k''' || i || ' é' end;
end $$;

create table nv.death (key text, ev int);

-- What the shadows see: event 0 is the world as it was made.
create function nv.shadow() returns trigger
language plpgsql as $$
declare
	tbl text := tg_argv[0];		-- not tg_table_name: that may be a partition
	ev int := current_setting('nv.event')::int;
	fresh boolean := ev > 0 and current_setting('nv.silent', true) is distinct from 'on';
	pk text := (select t.pk from nv.tab t where t.tbl = tg_argv[0]);
begin
	if tg_op <> 'INSERT' then
		execute format('update sh.%I s set gone = $1 where s.%I = ($2).%I and s.gone > $1', tbl, pk, pk)
			using ev, old;
	end if;
	if tg_op = 'DELETE' and tbl = 'contact' then
		insert into nv.death values (old.id::text, ev);
	end if;
	if tg_op <> 'DELETE' then
		execute format('insert into sh.%I select $1, 2147483647, $2, ($3).*', tbl)
			using ev, fresh and (tg_op = 'INSERT' or tbl = 'contact' or nv.has_events()), new;
	end if;
	return null;
end $$;

create function nv.make_tables(keytype text, partitioned boolean default false) returns void
language plpgsql as $$
declare
	t text;
begin
	drop schema if exists w cascade;
	drop schema if exists sh cascade;
	create schema w;
	create schema sh;
	create type w.plan as enum ('free', 'trial', 'pro', 'max');
	create domain w.amount as bigint check (value > -1000);
	create domain w.line as text;
	execute format('create table w.contact (id %s primary key,
		country text, code text collate "C", note text, "Odd Name" w.line, last varchar(20), plan w.plan,
		score smallint, points w.amount, spend numeric, ratio double precision, vip boolean, blocked boolean,
		born date, trial timestamptz, seen timestamp, tags text[], attrs jsonb, interests jsonb, ip inet, ref uuid)', keytype);
	-- in some worlds partitioned; see nv.late_partition()
	execute format('create table w.visit (id bigint primary key,
		contact_id %s references w.contact on delete cascade, at timestamptz,
		label text, value integer, ok boolean, due timestamptz, data jsonb, tags text[], grade w.plan, sess uuid) %s', keytype,
		case when partitioned then 'partition by range (id)' else '' end);
	if partitioned then
		create table w.visit_1 partition of w.visit for values from (0) to (400000);
		create table w.visit_2 partition of w.visit for values from (400000) to (800000) partition by hash (id);
		create table w.visit_2_0 partition of w.visit_2 for values with (modulus 1, remainder 0);
	end if;
	-- no foreign key and no index: rows may come before their contact
	execute format('create table w."Mail Box" (label text collate "C", value numeric, ok boolean, due date, data jsonb,
		person %s, sent timestamp, size bigint, "Sub ject" text, ref text collate "C" primary key)', keytype);
	execute format('create table w.event (id integer, grp text, type text, day date,
		contact_id %s references w.contact on delete set null,
		label text, value double precision, ok boolean, due timestamp, data jsonb, primary key (grp, id))', keytype);
	execute format('create table w.badge (id integer primary key,
		contact_id %s references w.contact on delete cascade,
		label text, value bigint, ok boolean, due timestamptz, data jsonb)', keytype);
	create index on w.visit (contact_id, at);
	create index on w.event (contact_id, day);
	create index on w.badge (contact_id);
	foreach t in array '{contact,visit,Mail Box,event,badge}'::text[] loop
		execute format('create table sh.%I (arrived int not null, gone int not null, is_new boolean not null, like w.%I)', t, t);
		execute format('create trigger nv_shadow after insert or update or delete on w.%I for each row execute function nv.shadow(%1$L)', t);
	end loop;
	create index on sh.contact (id);
	create index on sh.visit (contact_id);
	create index on sh."Mail Box" (person);
	create index on sh.event (contact_id);
	create index on sh.badge (contact_id);
	create index on sh.contact (arrived);
	create index on sh.visit (arrived);
	create index on sh."Mail Box" (arrived);
	create index on sh.event (arrived);
	create index on sh.badge (arrived);
	drop table if exists nv.point;
	execute format('create table nv.point (key %s, ev int, n timestamptz, primary key (key, ev))', keytype);
	drop sequence if exists nv.ids;
	create sequence nv.ids start 100;
end $$;

-- The column values of the time and of the contact for table tbl.
create function nv.placed(tbl text, v jsonb, key text, t timestamptz) returns jsonb
language plpgsql as $$
declare
	d nv.tab;
	id bigint;
begin
	select * into d from nv.tab x where x.tbl = placed.tbl;
	-- the primary keys do not follow the order of arrival
	loop
		id := nextval('nv.ids') * 7919 % 1000003;
		exit when id < 800000 or tbl <> 'visit' or to_regclass('w.visit_1') is null or to_regclass('w.visit_3') is not null;
	end loop;
	v := v || jsonb_build_object(d.pk, case when d.tbl = 'Mail Box' then to_jsonb('m' || substr(md5(id::text), 1, 8)) else to_jsonb(id) end,
								 d.contact_col, key);
	if d.tbl = 'event' then
		v := v || jsonb_build_object('grp', nv.pick('{a,b,B}'));
	end if;
	if d.time_col is not null then
		v := v || jsonb_build_object(d.time_col, case d.time_cls when 'tstz' then t::text
			when 'ts' then (t at time zone nv.zone())::text
			else (t at time zone nv.zone())::date::text end);
	end if;
	return v;
end $$;

-- The instant of a row of tbl, of its json.
create function nv.time_of(tbl text, v jsonb) returns timestamptz
language plpgsql as $$
declare
	d nv.tab;
	s text;
begin
	select * into d from nv.tab x where x.tbl = time_of.tbl;
	s := v ->> d.time_col;
	return case d.time_cls when 'tstz' then s::timestamptz
		else s::timestamp at time zone nv.zone() end;
end $$;

-- Put json rows into a table of w by one statement.
create function nv.put(tbl text, vs jsonb) returns void
language plpgsql as $$
begin
	-- straight into a partition, now and then
	if tbl = 'visit' and to_regclass('w.visit_1') is not null and nv.p(40)
		and not exists (select from jsonb_array_elements(vs) v where (v ->> 'id')::int >= 400000) then
		tbl := 'visit_1';
	end if;
	execute format('insert into w.%I select * from jsonb_populate_recordset(null::w.%I, $1)', tbl, tbl) using vs;
end $$;

-- The last partition of visit comes when the table is attached already.
create function nv.late_partition() returns void
language plpgsql as $$
begin
	if to_regclass('w.visit_1') is not null then
		create table w.visit_3 partition of w.visit for values from (800000) to (maxvalue);
	end if;
end $$;

-- Make a contact with number i.
create function nv.some_contact(i int) returns jsonb
language plpgsql as $$
begin
	return nv.some_row('contact', nv.clock()) || jsonb_build_object('id', nv.key(i));
end $$;

-- The instants of one contact's rows: in clusters, back to back at the
-- lengths that windows have.
create function nv.some_times(n int, upto timestamptz) returns timestamptz[]
language plpgsql as $$
declare
	ts timestamptz[] := '{}';
	center timestamptz;
	t timestamptz;
begin
	for i in 1 .. n loop
		if i = 1 or nv.p(25) then
			center := date_trunc('hour', upto) - nv.r(100) * interval '24 hours' - nv.r(4) * interval '6 hours';
			t := center;
		elsif nv.p(10) then
			null;				-- the same instant again
		else
			t := t + nv.pick('{1 hour,6 hours,12 hours,24 hours,36 hours,48 hours,168 hours,240 hours,-24 hours,720 hours,1 hour}')::interval;
			if nv.p(8) then
				t := t + (nv.r(3) - 1) * interval '1 microsecond';
			end if;
		end if;
		ts := ts || t;
	end loop;
	return ts;
end $$;
