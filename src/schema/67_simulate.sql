-- 67_simulate.sql
--
-- What would have been: the leads that a rule would have made in a period, and
-- how those of two rules differ.  All of it reads with the rights of the caller
-- and writes nothing.  A new match is what it is live.

create function leadstream._period_sql(rule leadstream.rule, "from" timestamptz, "to" timestamptz) returns text
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_period_sql';
comment on function leadstream._period_sql(leadstream.rule, timestamptz, timestamptz) is
'the query that gives (contact_id, matched_at) of a stream with the rule in a period; simulate() runs it';

-- Without an end a period goes up to the clock, which is part of it.
create function leadstream._period_end("from" timestamptz, "to" timestamptz) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._not_null('from', "from" is null);
	if "to" is null then
		"to" := greatest(leadstream.clock() + interval '1 microsecond', "from");
	elsif "to" < "from" then
		raise exception 'the period ends before it begins'
			using errcode = 'invalid_parameter_value',
				  detail = format('It is from %s to %s.', "from", "to");
	end if;
	return "to";
end
$$;
comment on function leadstream._period_end(timestamptz, timestamptz) is
'the end of a period, behind its last instant; error 22023 if that lies before its beginning';

create function leadstream.simulate(
	rule leadstream.rule,
	"from" timestamptz,
	"to" timestamptz default null
) returns table (contact_id text, matched_at timestamptz)
language plpgsql stable parallel restricted rows 1000
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._not_null('rule', rule is null);
	return query execute format(
		'select s.contact_id::text, s.matched_at from (%s) s order by s.matched_at, s.contact_id',
		leadstream._period_sql(rule, "from", leadstream._period_end("from", "to")));
end
$$;
comment on function leadstream.simulate(leadstream.rule, timestamptz, timestamptz) is
'the leads that a stream with the rule would have made from an instant until before another (null: up to the clock), had it been enabled then; nothing is written. '
'A contact of whom the rule was true before is silent until something new happens, as of a live stream. '
'Judged by the rows and contacts that there are now, as if each row had arrived at its time.';

create function leadstream.simulate_daily(
	rule leadstream.rule,
	"from" timestamptz,
	"to" timestamptz default null
) returns table (day date, leads bigint)
language plpgsql stable parallel restricted rows 100
set search_path = pg_catalog, pg_temp
as $$
declare
	period_end constant timestamptz := leadstream._period_end("from", "to");
	zone constant text := coalesce((select s.zone from leadstream.contact_source s), 'UTC');
begin
	if not isfinite("from") or not isfinite(period_end) then
		raise exception 'the period has no end'
			using errcode = 'invalid_parameter_value',
				  hint = 'Only days from one instant to another can be listed; simulate() takes infinite ones too.';
	end if;
	return query
		select d.day, count(m.day)
		from (select ("from" at time zone zone)::date + i as day
			  from generate_series(0, ((period_end - interval '1 microsecond') at time zone zone)::date
									  - ("from" at time zone zone)::date) as i
			  where "from" < period_end) as d
		left join (select (s.matched_at at time zone zone)::date as day
				   from leadstream.simulate(rule, "from", period_end) as s) as m on m.day = d.day
		group by d.day
		order by d.day;
end
$$;
comment on function leadstream.simulate_daily(leadstream.rule, timestamptz, timestamptz) is
'how many leads simulate() finds on each day of the period, those without any included; the days are those of the zone named at attach_contacts()';

create function leadstream.compare_rules(
	a leadstream.rule,
	b leadstream.rule,
	"from" timestamptz default null,
	"to" timestamptz default null
) returns table (contact_id text, difference text, first_a timestamptz, first_b timestamptz)
language plpgsql stable parallel restricted rows 1000
set search_path = pg_catalog, pg_temp
as $$
declare
	period_end timestamptz := "to";
	queries text[];
begin
	perform leadstream._not_null('a', a is null);
	perform leadstream._not_null('b', b is null);
	if "from" is null then
		period_end := coalesce("to", leadstream.clock());
		queries := array[leadstream._history_sql(a), leadstream._history_sql(b)];
	else
		period_end := leadstream._period_end("from", "to");
		queries := array[leadstream._period_sql(a, "from", period_end),
						 leadstream._period_sql(b, "from", period_end)];
	end if;
	return query execute format(
		'select coalesce(l.contact_id, r.contact_id)::text,
				case when r.at is null then ''only a'' when l.at is null then ''only b''
					 when l.at < r.at then ''a earlier'' when l.at > r.at then ''b earlier''
					 else ''none'' end,
				l.at, r.at
		 from (%s) as l(contact_id, at) full join (%s) as r(contact_id, at) on r.contact_id %s l.contact_id
		 order by least(l.at, r.at), 1',
		queries[1], queries[2], leadstream._key_operator())
	using period_end;
end
$$;
comment on function leadstream.compare_rules(leadstream.rule, leadstream.rule, timestamptz, timestamptz) is
'whom two rules would make leads of, contact by contact, and when: only a, only b, one of them earlier, or none for no difference. '
'Without from: as fetch_history() does; with it: as simulate() does in that period.';

create function leadstream.compare_rules(
	stream text,
	b leadstream.rule,
	"from" timestamptz default null,
	"to" timestamptz default null
) returns table (contact_id text, difference text, first_a timestamptz, first_b timestamptz)
language plpgsql stable parallel restricted rows 1000
set search_path = pg_catalog, pg_temp
as $$
declare
	s		leadstream.stream;
begin
	s := leadstream._stream(stream, for_change => false);
	return query
		select c.contact_id, c.difference, c.first_a, c.first_b
		from leadstream.compare_rules(s.rule, b, "from", "to") as c;
end
$$;
comment on function leadstream.compare_rules(text, leadstream.rule, timestamptz, timestamptz) is
'the same of the rule that a stream has now and another, to judge a change before it is made';
