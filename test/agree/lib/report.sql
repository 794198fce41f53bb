-- report.sql: TAP lines, and the worlds attached to the extension
--
-- Lines are gathered in nv.tap and handed out by nv.lines(), so that a world
-- that takes long shows its results when it is done.  A failing rule has a
-- line of its own with all that is needed to repeat it.

create table nv.tap (n int generated always as identity, line text);
create table nv.counter (tests int not null, failed int not null);
insert into nv.counter values (0, 0);

create function nv.ok(good boolean, what text) returns void
language plpgsql as $$
declare
	n int;
begin
	update nv.counter set tests = tests + 1, failed = failed + (not coalesce(good, false))::int returning tests into n;
	insert into nv.tap (line) values (case when good then 'ok ' else 'not ok ' end || n || ' - ' || replace(what, '#', '\#'));
end $$;

create function nv.diag(what text) returns void
language sql as $$ insert into nv.tap (line) values ('#   ' || replace(what, e'\n', e'\n#   ')) $$;

create function nv.lines() returns setof text
language plpgsql as $$
begin
	return query select line from nv.tap order by n;
	truncate nv.tap;
end $$;

create function nv.plan() returns text
language sql as $$ select '1..' || tests from nv.counter $$;

-- The world of number w: key, zone and clock go through all there are.
create function nv.settings(w int) returns void
language plpgsql as $$
begin
	perform set_config('nv.keytype', (array['bigint', 'text', 'uuid', 'integer'])[1 + w % 4], false);
	perform set_config('nv.zone', (array['UTC', 'America/New_York', 'Europe/Stockholm', 'Asia/Kathmandu', 'UTC'])[1 + w % 5], false);
	perform set_config('nv.clock', (array['2024-06-15 12:00:00+00', '2024-03-31 00:00:00+00', '2024-05-31 22:00:00+00',
		'2025-01-01 05:00:00+00', '2024-04-30 18:30:00+00', '2024-02-29 23:00:00+00', '2024-11-10 06:00:00+00'])[1 + w % 7], false);
	perform set_config('nv.partitioned', (w % 3 = 2)::text, false);
	perform set_config('nv.event', '0', false);
	perform set_config('nv.silent', 'off', false);
	perform set_config('leadstream.capture', 'on', false);
	perform nv.set_clock(nv.clock());
	-- the answers must not depend on these
	perform set_config('timezone', (array['UTC', 'Asia/Tokyo', 'America/Los_Angeles'])[1 + w % 3], false);
	perform set_config('datestyle', (array['ISO, MDY', 'SQL, DMY'])[1 + w % 2], false);
end $$;

create function nv.attach() returns void
language plpgsql set client_min_messages = error as $$
declare
	events text[] := case when nv.has_events() then '{insert,update,delete}' else '{insert}' end;
begin
	perform leadstream.attach_contacts('w.contact', zone => nv.zone());
	perform leadstream.attach_activity('w.visit', occurred_at => 'at', events => events);
	perform leadstream.attach_activity('w."Mail Box"', contact_key => 'person', kind => 'Mail Open', occurred_at => 'sent', events => events);
	perform leadstream.attach_activity('w.event', kind => 'form', occurred_at => 'day',
		only_rule => (select only_text from nv.kind where kind = 'form')::leadstream.rule, events => events);
	perform leadstream.attach_activity('w.event', kind => 'click', occurred_at => 'day',
		only_rule => (select only_text from nv.kind where kind = 'click')::leadstream.rule, events => events);
	perform leadstream.attach_activity('w.badge', timeless => true, events => events);
	perform leadstream.create_team('sales');
	perform set_config('nv.segments', 'on', false);
	perform nv.late_partition();
end $$;

-- A clean database for the next world; the extension has one contacts table.
-- It stays installed, so that what a backend remembers of one world is put to
-- the test by the next.
create procedure nv.clean()
language plpgsql as $$
declare
	x text;
begin
	for x in select stream from leadstream.streams where is_enabled loop
		perform leadstream.disable(x);
	end loop;
	commit;
	for x in select stream from leadstream.streams loop
		perform leadstream.drop_stream(x);
	end loop;
	perform leadstream.drop_score_rule(score_set, score_rule) from leadstream.score_rules;
	-- the last first: they may name those before
	for x in select d.call from (select format('drop_segment(%L)', segment) from leadstream.segment
			 union all select format('drop_score_set(%L)', score_set) from leadstream.score_set) d(call)
			 order by regexp_replace(d.call, '\D', '', 'g')::int desc loop
		execute 'select leadstream.' || x;
	end loop;
	if exists (select from leadstream.contact_source) then
		perform leadstream.detach(activity) from (select distinct activity from leadstream.activity_source) a;
		perform leadstream.detach(contacts) from leadstream.contact_source;
		drop table leadstream.lead_event, leadstream.lead_match, leadstream.lead, leadstream.due cascade;
		perform leadstream.drop_team('sales');
	end if;
	perform nv.make_tables(current_setting('nv.keytype'), current_setting('nv.partitioned')::boolean);
	delete from nv.death;
	if to_regclass('nv.log') is not null then
		delete from nv.log;
	end if;
end $$;

-- Contacts and rows of all times, also in the future, also without a time or
-- a contact.  past: no row after the clock.
create procedure nv.populate(seed bigint, w int, contacts int, rows_each int, past boolean default false)
language plpgsql as $$
declare
	t timestamptz;
	tab text;
	k text;
	v jsonb;
begin
	perform nv.reseed(seed, 'world ' || w);
	for i in 1 .. contacts loop
		perform nv.put('contact', jsonb_build_array(nv.some_contact(i)));
		foreach tab in array '{visit,Mail Box,event,badge}'::text[] loop
			foreach t in array nv.some_times(nv.r(rows_each), nv.clock()) loop
				k := nv.key(i);
				if nv.p(2) then
					t := null;
				elsif nv.p(1) and tab <> 'event' and current_setting('nv.infinite')::boolean then
					t := nv.pick('{infinity,-infinity}');
				elsif nv.p(6) then
					t := nv.clock() + nv.pick('{1 hour,24 hours,168 hours,1 microsecond,0}')::interval;
				end if;
				if nv.p(1) then
					k := null;
				end if;
				v := nv.placed(tab, nv.some_row(tab, nv.clock()), k, t);
				continue when past and nv.time_of(tab, v) > nv.clock();
				perform nv.put(tab, jsonb_build_array(v));
			end loop;
		end loop;
	end loop;
	analyze;
end $$;

-- The contacts on whom the extension and the judge differ about a rule, with
-- all the answers; and how many there are of whom it is true now.
create function nv.differences(rule jsonb, txt text) returns table (yes boolean, what text)
language plpgsql as $$
declare
	r leadstream.rule := txt::leadstream.rule;
begin
	return query execute $q$
		with naive as (select key, line, nv.first_instant(line, $3) as first from nv.timeline($1)),
			now as (select key, yes from nv.matching($1, $3)),
			live as (select c.id::text as key, leadstream.is_match($2, c.id) as yes,
					leadstream._timeline_of($2, c.id, '-infinity') as one, leadstream._timeline_of($2, c.id, $3) as ahead from w.contact c),
			line as (select contact_id::text as key, timeline as line from leadstream.timeline($2)),
			preview as (select contact_id::text as key, first_matched_at as first from leadstream.preview($2)),
			verify as (select contact_id::text as key, v::text as row from leadstream.verify($2) v),
			-- of the last weeks: beginnings, if it was false before; else one of them or a row that came
			news as (select key, line @> (since - interval '1 microsecond') as was_true,
					(select min(lower(part)) from unnest(line) part where lower(part) >= since and lower(part) <= $3) as begins
				from nv.timeline($1), (select $3 - interval '20 days' as since) x),
			simulated as (select contact_id as key, matched_at as at
				from leadstream.simulate($2, $3 - interval '20 days', $3 + interval '1 microsecond'))
		select coalesce(now.yes, false),
			case when naive.line is distinct from coalesce(line.line, '{}') or naive.first is distinct from preview.first
					or now.yes is distinct from live.yes or verify.row is not null
					or now.yes is distinct from (naive.line @> $3) or naive.line is distinct from live.one
					or naive.line * tstzmultirange(tstzrange($3, null)) is distinct from live.ahead or why.wrong is not null
					or simulated.at is distinct from news.begins
						and not coalesce(was_true and naive.line @> simulated.at and simulated.at < coalesce(news.begins, 'infinity'), false)
				then format(E'contact %s\nnaive    now %s, first %s, line %s\nhistory  first %s, line %s\nlive     now %s, line %s, ahead %s; simulated %s; verify %s; %s%s', key,
					now.yes, naive.first, naive.line, preview.first, line.line, live.yes, live.one, live.ahead, simulated.at, coalesce(verify.row, 'says nothing'),
					coalesce(why.wrong, 'explained well'),
					case when now.yes is distinct from (naive.line @> $3) then E'\nthe naive judge contradicts itself' end)
			end
		from naive full join now using (key) full join live using (key) full join line using (key) full join preview using (key)
			full join verify using (key) full join news using (key) full join simulated using (key)
			cross join lateral (select nv.unexplained($2, key, coalesce(now.yes, false), coalesce(naive.line, '{}'), $3) as wrong) why
	$q$ using rule, r, nv.clock();
end $$;

-- The matches of a stream.
create function nv.matches(name text) returns table (key text, at timestamptz)
language plpgsql as $$
begin
	return query execute 'select contact_id::text, matched_at from leadstream.matches where stream = $1' using name;
end $$;
