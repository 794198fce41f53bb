-- index_compare.sql: what rows find, against what they concern; and leads
--
-- The three claims of agree_index.  Needs index.sql.

create function ix.report(claim text, what text, id int, "row" text) returns void
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	r ix.rule := (select o from ix.rule o where o.stream_id = id);
	n bigint;
begin
	perform ix.add('differences: ' || claim, 1);
	select sum(c.n) into n from ix.count c where c.what like 'differences:%';
	if n <= 20 then
		perform nv.ok(false, format('seed %s world %s: %s', x.seed, x.w, what));
		perform nv.diag(format(E'stream %s%s, rule: %s\nrow: %s\npalette %s, accounts %s', id, case when r.account <> '' then ' of account ' || r.account else '' end,
			left(r.rule::text, 800), left(row, 600), x.palette, x.accounts));
	end if;
end $$;

create function ix.is_match(r leadstream.rule, contact bigint, account text) returns boolean
language plpgsql as $$
begin
	perform set_config('leadstream.account', account, true);
	return coalesce(leadstream.is_match(r, contact), false);
end $$;

-- (1) and (2): streams that rows and contacts concern are found.
create procedure ix.compare_lookups()
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	k ix.kind;
	p record;
	id int;
	n int;
	pairs bigint := 0;
	asked bigint := 0;
	found bigint := 0;
	excused bigint := 0;
	matches bigint := 0;
	rows bigint := 0;
	at_hand int[];
begin
	drop table if exists ix.found;
	create table ix.found (contact bigint, ids int[]);
	for k in select * from ix.kind loop
		for p in execute format('select t::text as row, c.id as contact, coalesce(c.account::text, '''') as account,
				leadstream._look_up(%1$L, t, true) as asked, leadstream._look_up(%1$L, t, false, c) as found,
				leadstream._look_up(%1$L, t, false, o.someone) as of_other, (o.someone).id as other, coalesce((o.someone).account::text, '''') as other_account
			from wx.%2$I t join wx.contact c on c.id = t.%3$I
				cross join lateral (select a as someone from wx.contact a where a.account is not distinct from c.account and a.id >= t.%3$I * 7 %% 11 order by a.id limit 1) o',
			k.kind, k.tbl, case k.tbl when 'parted' then 'person' else 'contact_id' end)
		loop
			rows := rows + 1;
			pairs := pairs + x.streams;
			found := found + cardinality(p.found);
			insert into ix.found values (p.contact, p.found);
			at_hand := array(select r.stream_id from ix.rule r where r.stream_id = any (p.asked) and (x.accounts = 'none' or r.account = p.account));
			asked := asked + cardinality(at_hand);
			for id in select unnest(at_hand) except select unnest(p.found) loop
				-- only what the rule asks of the contact can be why
				excused := excused + 1;
				if exists (select from ix.rule r where r.stream_id = id and not r.is_foreign and (not r.asks_contact or ix.is_match(r.rule, p.contact, p.account))) then
					perform ix.report('rows', format('a row of kind %s concerns contact %s, and is not found', k.kind, p.contact), id, p.row);
				end if;
			end loop;
			for id in select unnest(at_hand) except select unnest(p.of_other) loop
				if exists (select from ix.rule r where r.stream_id = id and not r.is_foreign and (not r.asks_contact or ix.is_match(r.rule, p.other, p.other_account))) then
					perform ix.report('rows', format('a row of kind %s would concern contact %s, and is not found', k.kind, p.other), id, p.row);
				end if;
			end loop;
		end loop;
	end loop;
	perform ix.add('pairs', pairs);
	perform ix.add('rows', rows);
	perform ix.add('concerned', asked);
	perform ix.add('candidates', found);
	perform ix.add('missed by rights', excused);

	-- a rule that is true is found by the contact or by one of its rows
	pairs := 0;
	for p in select c.id, coalesce(c.account::text, '') as account, c::text as row, leadstream._look_up(null, c) as found,
				exists (select from ix.found f where f.contact = c.id) as has_rows,
				array(select distinct unnest(f.ids) from ix.found f where f.contact = c.id) as by_rows
		from wx.contact c
	loop
		pairs := pairs + x.streams;
		perform set_config('leadstream.account', p.account, true);
		for id in select r.stream_id from ix.rule r where (x.accounts = 'none' or r.account = p.account) and ix.is_match(r.rule, p.id, p.account) loop
			matches := matches + 1;
			if id <> all (p.found) and id <> all (p.by_rows) then
				perform ix.report('contacts', format('contact %s (%s) matches, and is not found', p.id, case when p.has_rows then 'neither by itself nor by a row' else 'no rows' end), id, p.row);
			end if;
		end loop;
	end loop;
	perform ix.add('pairs', pairs);
	perform ix.add('matches', matches);
	drop table ix.found;
end $$;

-- (3): statements to come, and the contacts whose rows they change.
create procedure ix.make_steps(contacts int, steps int)
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	c bigint;
	c2 bigint;
	h ix.has;
	own text;
	a text;
	s text;
begin
	perform nv.reseed(x.seed, 'steps ' || x.w);
	for i in 1 .. steps loop
		c := 1 + nv.r(contacts);
		own := (array['hit', 'hit', 'hit', 'event', 'event', 'parted', 'parted', 'badge'])[1 + nv.r(8)];
		case
			when i % 7 = 0 then
				-- a contact whose rows may have been there before
				if x.accounts = 'none' and nv.p(60) then
					insert into ix.step (what, contacts) values (ix.some_insert(own, 1000 + i), '{}');
				end if;
				insert into ix.step (what, contacts) values (ix.some_insert('contact', 1000 + i), array[1000 + i]);
			when i % 7 = 1 then
				h := ix.some_column('contact');
				s := case when h.cls = 'json' then quote_literal(ix.some_json()) when nv.p(10) then 'null' else quote_literal(nv.pick(h.pool)) end;
				s := format('update wx.contact set %I = %s', h.col, s);
				c2 := c + nv.r(3);
				if x.accounts <> 'none' and nv.p(30) then
					-- the rows say so first: those of another account are not looked at
					a := quote_nullable(nv.pick('{1,2,3,NULL}'));
					foreach own in array '{hit,event}'::text[] loop
						insert into ix.step (what, contacts) values (format('update wx.%I set account = %s where contact_id between %s and %s', own, a, c, c2), '{}');
					end loop;
					s := s || ', account = ' || a;
				end if;
				insert into ix.step (what, contacts) values (format('%s where id between %s and %s', s, c, c2), array(select generate_series(c, c2)));
			when i % 7 = 2 then
				-- several rows, of one contact or two
				c2 := case when nv.p(50) then c else 1 + nv.r(contacts) end;
				s := ix.some_insert('hit', c);
				s := s || ', ' || substr(ix.some_insert('hit', c2), position(') values ' in s) + 9);
				insert into ix.step (what, contacts) values (s, array[c, c2]);
			else
				insert into ix.step (what, contacts) values (ix.some_insert(own, c), array[c]);
		end case;
	end loop;
end $$;

-- Take the steps, note the matches that they made, and undo all.  judged: ask
-- each rule of each contact after each step: became true, or was and is.
create procedure ix.take_steps(mode text, judged boolean)
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	s ix.step;
	got text[];
	became text[] := '{}';
	stayed text[] := '{}';
	c record;
	true_of jsonb := '{}';		-- contact: the streams whose rules are true of it
	old int[];
	new int[];
begin
	begin
		if judged then
			for c in select id, coalesce(account::text, '') as account from wx.contact loop
				true_of := true_of || jsonb_build_object(c.id::text, array(
					select stream_id from ix.rule r where (x.accounts = 'none' or r.account = c.account) and ix.is_match(r.rule, c.id, c.account)));
			end loop;
		end if;
		for s in select * from ix.step order by n loop
			execute s.what;
			continue when not judged;
			for c in select id, coalesce(account::text, '') as account from wx.contact where id = any (s.contacts) loop
				old := array(select jsonb_array_elements_text(coalesce(true_of -> c.id::text, '[]'))::int);
				new := array(select stream_id from ix.rule r where (x.accounts = 'none' or r.account = c.account) and ix.is_match(r.rule, c.id, c.account));
				became := became || array(select c.id || ':' || id from (select unnest(new) except select unnest(old)) t(id));
				stayed := stayed || array(select c.id || ':' || id from (select unnest(new) intersect select unnest(old)) t(id));
				true_of := true_of || jsonb_build_object(c.id::text, new);
			end loop;
		end loop;
		select array_agg(distinct l.contact_id || ':' || m.stream_id) into got from leadstream.lead_match m join leadstream.lead l using (lead_id);
		raise exception using errcode = 'IX001';
	exception when sqlstate 'IX001' then null;
	end;
	insert into ix.got select take_steps.mode, k from unnest(got) k;
	if judged then
		insert into ix.got select distinct 'became', k from unnest(became) k;
		insert into ix.got select distinct 'stayed', k from unnest(stayed) k;
	end if;
end $$;

create procedure ix.compare_leads()
language plpgsql as $$
declare
	k record;
begin
	for k in
		select 'no lead of a match' as what, key from (select key from ix.got where mode = 'became' except select key from ix.got where mode = 'keyed') m
		union all
		select 'a lead of no match', key from (select key from ix.got where mode = 'keyed' except select key from ix.got where mode in ('became', 'stayed')) m
		union all
		select 'a lead without keys of ' || m.mode || ' streams only', key
		from (values ('all'), ('some')) m(mode), lateral (select key from ix.got g where g.mode = m.mode except select key from ix.got where mode = 'keyed') d
		union all
		select 'a lead with keys, not without those of ' || m.mode || ' streams', key
		from (values ('all'), ('some')) m(mode), lateral (select key from ix.got where mode = 'keyed' except select key from ix.got g where g.mode = m.mode) d
	loop
		perform ix.report('leads', format('%s, contact %s', k.what, split_part(k.key, ':', 1)), split_part(k.key, ':', 2)::int,
			(select string_agg(what, '; ' order by n) from ix.step where split_part(k.key, ':', 1)::bigint = any (contacts)));
	end loop;
	perform ix.add('leads', (select count(*) from ix.got where mode = 'keyed'));
	perform ix.add('steps', (select count(*) from ix.step));
end $$;

-- Keys of all streams, or of some, are as if they had never been made.
create procedure ix.lose_keys(every int)
language plpgsql as $$
begin
	delete from leadstream.access_key where abs(stream_id) % every = 0;
	insert into leadstream.access_key
		select leadstream._unkeyed_digest(), stream_id from leadstream.stream where is_enabled and stream_id % every = 0;
end $$;

-- How many streams a row finds, of how many, and how many it concerns.
create procedure ix.compare_selectivity()
language plpgsql as $$
declare
	x ix.world := (select o from ix.world o);
	f float8;
	a float8;
begin
	select avg((select count(distinct i) from unnest(leadstream._look_up('hit', t, false, c)) i)), avg(cardinality(leadstream._look_up('hit', t, true)))
		into f, a from wx.hit t join wx.contact c on c.id = t.contact_id;
	perform nv.diag(format('%s streams: a row finds %s of them, and concerns %s', x.streams, round(f::numeric, 1), round(a::numeric, 1)));
	-- those that ask for the contact concern many rows, and are found by few
	perform nv.ok(f < 0.03 * x.streams + 5, format('%s streams: a row finds few of them', x.streams));
end $$;
