-- steps.sql: statements of any sort, for the disorderly world
--
-- What a world is like is said by nv.silent_world (are there changes that no
-- trigger sees?) and nv.events (are updates and deletes of activities captured?).

-- A multi-row INSERT ... VALUES.
create function nv.values_sql(tbl text, vs jsonb) returns text
language sql as $$
	select format('insert into w.%I (%s) values %s', tbl,
		(select string_agg(quote_ident(k), ', ' order by k) from jsonb_object_keys(vs -> 0) k),
		(select string_agg('(' || (select string_agg(
				case when jsonb_typeof(x) = 'null' then 'null'
					 when k = 'tags' then format('array(select jsonb_array_elements_text(%L))', x)
					 when k in ('data', 'attrs') then quote_literal(x::text)
					 else quote_literal(x #>> '{}') end, ', ' order by k)
			from jsonb_each(v) e(k, x)) || ')', ', ' order by i)
		 from jsonb_array_elements(vs) with ordinality r(v, i)))
$$;

create function nv.some_existing(n int) returns text[]
language plpgsql as $$
declare
	keys text[];
	picked text[] := '{}';
begin
	select array_agg(id::text order by id::text collate "C") into keys from w.contact;
	for i in 1 .. n loop
		picked := picked || nv.pick(keys);
	end loop;
	return picked;
end $$;

-- Some new rows of tbl; alone: this is the only one.
create function nv.new_rows(tbl text, n int, contacts int, alone boolean) returns jsonb
language plpgsql as $$
declare
	vs jsonb := '[]';
	k text;
	t timestamptz;
	clock timestamptz := nv.clock();
	same timestamptz := clock - nv.pick('{0,1 hour,24 hours}')::interval;
	keys text[] := nv.some_existing(1 + nv.r(3));
begin
	for i in 1 .. n loop
		k := case when nv.p(3) then null when nv.p(15) and tbl = 'Mail Box' then nv.key(1 + nv.r(contacts + 5)) else nv.pick(keys) end;
		t := case
			when nv.p(35) then clock
			when nv.p(20) then same
			when nv.p(50) then clock - nv.pick('{1 hour,6 hours,12 hours,24 hours,36 hours,48 hours,168 hours,240 hours,720 hours,1 microsecond}')::interval
			when nv.p(40) then clock - nv.r(100) * interval '24 hours'
			when nv.p(60) and not current_setting('nv.silent_world')::boolean
				then clock + nv.pick('{1 hour,24 hours,6 hours,168 hours,6 seconds}')::interval
			when nv.p(50) and alone then clock + nv.pick(case when current_setting('nv.silent_world')::boolean
				then '{3 seconds,5 seconds,1 microsecond}' else '{3 seconds,5 seconds,5.000001 seconds,1 microsecond}' end::text[])::interval
			when nv.p(50) then null
			else clock end;
		vs := vs || nv.placed(tbl, nv.some_row(tbl, clock), k, t);
	end loop;
	return vs;
end $$;

-- A statement that changes activities, where that is captured.
create function nv.change_step(target text, contacts int) returns text
language plpgsql as $$
declare
	d nv.tab;
	t text := (select nv.row_time(k) from nv.kind k where k.tbl = target limit 1);
	-- a row that is about to count would take the clock of others along
	calm text := case when t is null then 'true'
		else format('(%1$s > %2$L and %1$s <= %2$L::timestamptz + interval ''5 seconds'') is not true', t, nv.clock()) end;
	part text;
	k int := nv.r(20);
	keys text[] := nv.some_existing(2);
	sql text;
	vs jsonb;
	known jsonb;
	cols text;
begin
	select * into d from nv.tab x where x.tbl = target;
	part := format('hashtext(r.%I::text) %% 7 = %s', d.pk, nv.r(7));
	if k < 4 then
		sql := format('update w.%I r set label = %L, value = 2, ok = %L where %s', target, nv.pick('{x,abc}'), nv.p(50), part);
	elsif k < 6 then
		sql := format('delete from w.%I r where %s and hashtext(r.label) %% 2 = 0', target, part);
	elsif k < 8 then
		sql := format('delete from w.%I r where r.%I = %L and %s', target, d.contact_col, keys[1], nv.pick('{true,r.ok,r.value < 2}'));
	elsif k < 11 then
		-- visitors get to be known
		sql := format('update w.%1$I r set %2$I = %3$L where r.%2$I is null and %4$s', target, d.contact_col, keys[1], calm);
	elsif k < 13 then
		sql := format('update w.%1$I r set %2$I = %3$L where r.%2$I = %4$L and %5$s', target, d.contact_col,
			case when nv.p(70) then keys[1] end, keys[2], calm);
	elsif k < 16 and d.time_col is not null then
		sql := format('update w.%I r set %I = %L where %s', target, d.time_col,
			nv.placed(target, '{}', keys[1], nv.clock() - nv.pick('{0,1 hour,24 hours,36 hours,240 hours,-24 hours,-6 hours}')::interval) ->> d.time_col, part);
	else
		-- known rows once more, changed
		execute format('select coalesce(jsonb_agg(x), ''[]'') from (select to_jsonb(r) || %L from w.%I r where %s order by r.%I::text collate "C" limit 3) y(x)',
			nv.some_row(target, nv.clock()) - coalesce(d.time_col, ''), target, part, d.pk) into known;
		vs := nv.new_rows(target, 1 + nv.r(3), contacts, false) || known;
		if k < 18 then
			sql := format('insert into w.%1$I select * from jsonb_populate_recordset(null::w.%1$I, %2$L) on conflict (%3$s) do update set label = excluded.label, value = excluded.value, ok = excluded.ok',
				target, vs, (select string_agg(quote_ident(c), ', ') from unnest(d.pk_order) c));
		else
			select string_agg('s.' || quote_ident(attname), ', ' order by attnum) into cols
			from pg_attribute where attrelid = format('w.%I', target)::regclass and attnum > 0 and not attisdropped;
			sql := format('merge into w.%1$I r using jsonb_populate_recordset(null::w.%1$I, %2$L) s on %3$s
				when matched and s.ok then delete
				when matched then update set label = s.label, value = s.value, data = s.data
				when not matched then insert values (%4$s)',
				target, vs, (select string_agg(format('r.%I = s.%1$I', c), ' and ') from unnest(d.pk_order) c), cols);
		end if;
	end if;
	execute sql;
	return sql;
end $$;

-- One statement of any sort; returns what it was.
create function nv.step(contacts int) returns text
language plpgsql as $$
declare
	target text := nv.pick(array['visit', 'visit', 'visit', 'Mail Box', 'Mail Box', 'event', 'event', 'event', 'badge']);
	other text;
	vs jsonb;
	us jsonb;
	k int := nv.r(100);
	cols text[];
	pk text;
begin
	if nv.has_events() and (k >= 91 or k between 44 and 59) then
		return nv.change_step(target, contacts);
	elsif k >= 91 and not current_setting('nv.silent_world')::boolean then
		k := 39;
	end if;
	if k < 40 then
		vs := nv.new_rows(target, 1, contacts, true);
		perform nv.put(target, vs);
		return 'insert 1 ' || target || ' ' || vs::text;
	elsif k < 53 then
		vs := nv.new_rows(target, 2 + nv.r(6), contacts, false);
		execute nv.values_sql(target, vs);
		return 'insert values ' || target || ' ' || vs::text;
	elsif k < 62 then
		vs := nv.new_rows(target, 2 + nv.r(12), contacts, false);
		perform nv.put(target, vs);
		return 'insert select ' || target || ' ' || vs::text;
	elsif k < 67 then
		-- two tables by one statement
		loop
			other := nv.pick(array['visit', 'Mail Box', 'event', 'badge']);
			exit when other <> target;
		end loop;
		vs := nv.new_rows(target, 1 + nv.r(3), contacts, false);
		us := nv.new_rows(other, 1 + nv.r(3), contacts, false);
		execute format('with a as (insert into w.%I select * from jsonb_populate_recordset(null::w.%1$I, $1))
			insert into w.%I select * from jsonb_populate_recordset(null::w.%2$I, $2)', target, other) using vs, us;
		return 'insert two ' || target || vs::text || ' ' || other || us::text;
	elsif k < 82 then
		select array_agg(col) into cols from (select col from nv.col where owner = 'contact' order by random() limit 1 + nv.r(5)) c;
		us := nv.some_row('contact', nv.clock());
		if k < 79 then
			execute format('update w.contact t set (%s) = row (%s) from jsonb_populate_record(null::w.contact, $1) n where t.id::text = any ($2)',
				(select string_agg(quote_ident(c), ', ') from unnest(cols) c), (select string_agg('n.' || quote_ident(c), ', ') from unnest(cols) c))
				using us, nv.some_existing(1 + nv.r(3));
			return 'update contact ' || cols::text || us::text;
		end if;
		-- a contact and an activity by one statement
		vs := nv.new_rows(target, 1 + nv.r(2), contacts, false);
		execute format('with u as (update w.contact t set (%s) = row (%s) from jsonb_populate_record(null::w.contact, $1) n where t.id::text = any ($2))
			insert into w.%I select * from jsonb_populate_recordset(null::w.%3$I, $3)',
			(select string_agg(quote_ident(c), ', ') from unnest(cols) c), (select string_agg('n.' || quote_ident(c), ', ') from unnest(cols) c), target)
			using us, array(select v ->> (select contact_col from nv.tab where tbl = target) from jsonb_array_elements(vs) v), vs;
		return 'update contact ' || cols::text || us::text || ' and insert ' || target || vs::text;
	elsif k < 88 then
		-- new contacts, or known ones once more
		vs := '[]';
		for i in 1 .. 1 + nv.r(2) loop
			us := nv.some_contact(1 + nv.r(contacts + 5));
			if not exists (select from jsonb_array_elements(vs) v where v ->> 'id' = us ->> 'id') then
				vs := vs || us;
			end if;
		end loop;
		insert into w.contact select * from jsonb_populate_recordset(null::w.contact, vs)
			on conflict (id) do update set country = excluded.country, score = excluded.score, vip = excluded.vip, attrs = excluded.attrs;
		return 'upsert contacts ' || vs::text;
	elsif k < 91 then
		delete from w.contact where id::text = any (nv.some_existing(1));
		return 'delete contact';
	elsif k < 95 then
		pk := (select t.pk from nv.tab t where t.tbl = target);
		execute format('update w.%I set label = %L, value = 2, ok = %L where hashtext(%I::text) %% 9 = %s', target, nv.pick('{x,abc}'), nv.p(50), pk, nv.r(9));
		return 'update ' || target;
	elsif k < 97 then
		pk := (select t.pk from nv.tab t where t.tbl = target);
		execute format('delete from w.%I where hashtext(%I::text) %% 13 = %s', target, pk, nv.r(13));
		return 'delete ' || target;
	end if;
	-- a row that comes while capture is off
	perform set_config('leadstream.capture', 'off', false), set_config('nv.silent', 'on', false);
	vs := nv.new_rows(target, 1 + nv.r(3), contacts, false);
	perform nv.put(target, vs);
	perform set_config('leadstream.capture', 'on', false), set_config('nv.silent', 'off', false);
	return 'silent insert ' || target || vs::text;
end $$;
