-- 82_overview.sql
--
-- The state of everything on one screen, for people in psql: of the account
-- that is set, else of all.  It is read with the rights of the caller.

create function leadstream._overview_tables() returns table (about text, state text, attention text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select 'contacts', format('%s, days in %s', s.contacts, s.zone)
		   || coalesce(', accounts by ' || quote_ident(s.account_column), ''),
		   coalesce((select p.problem from leadstream._silent_table p where p.kind is null), '')
	from leadstream.contact_source s
	union all
	select 'activities', case when count(*) = 0 then 'none is attached'
							  when count(*) > 6 then format('%s kinds of %s tables', count(*), count(distinct a.activity))
							  else string_agg(quote_ident(a.kind), ', ' order by a.kind) end,
		   coalesce((select string_agg(distinct p.problem, '; ') from leadstream._silent_table p
					 where p.kind is not null), '')
	from leadstream.activity_source a
	union all
	select 'setting', 'leadstream.capture is off', 'what this session inserts makes no leads'
	where current_setting('leadstream.capture', true) = 'off'
	union all
	select 'setting', format('leadstream.clock is %s', current_setting('leadstream.clock')),
		   'it stands still in this session'
	where current_setting('leadstream.clock', true) <> ''
$$;
comment on function leadstream._overview_tables() is
'what overview() says of the tables attached, and of settings';

create function leadstream._overview_streams() returns table (about text, state text, attention text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with own_stream as (
		select s.stream, s.is_enabled, s.rule, s.account, s.stream_id
		from leadstream.stream s
		where leadstream.current_account() in ('', s.account)
	), broken as (
		-- to bind a rule takes some 50 microseconds
		select p.stream, p.problem
		from (select s.stream, leadstream.rule_problem(s.rule, s.account) as problem
			  from (select * from own_stream where is_enabled order by stream_id limit 2000) as s) as p
		where p.problem is not null
	)
	select 'streams',
		   format('%s enabled, %s disabled, %s broken', count(*) filter (where s.is_enabled),
				  count(*) filter (where not s.is_enabled), (select count(*) from broken))
		   || case when count(*) filter (where s.is_enabled) > 2000 then ' of the first 2000' else '' end,
		   coalesce((select (array_agg(format('%s: %s', b.stream, b.problem) order by b.stream))[1]
							|| case when count(*) > 1 then format('; and %s more in leadstream.streams', count(*) - 1)
									else '' end
					 from broken b), '')
	from own_stream s
$$;
comment on function leadstream._overview_streams() is
'what overview() says of the streams';

create function leadstream._overview_leads() returns table (about text, state text, attention text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text := leadstream.current_account();
	zone	text := coalesce((select s.zone from leadstream.contact_source s), 'UTC');
	today	timestamptz := date_trunc('day', leadstream.clock(), zone);
begin
	return query
		select 'leads', format('%s on the boards, %s hidden, %s closed',
							   count(*) filter (where not l.is_closed and not l.is_hidden),
							   count(*) filter (where not l.is_closed and l.is_hidden),
							   count(*) filter (where l.is_closed)), ''
		from leadstream.leads l where own_account in ('', l.account);
	return query
		with past as materialized (
			-- read once: there may be many, and today is a day of this week
			select e.what, e.at >= today as is_today, count(*) as events
			from leadstream._lead_event e
			where e.at >= date_trunc('week', today, zone) and own_account in ('', e.account)
			  and e.what in ('created', 'stage', 'reopened', 'deleted', 'cleared')
			group by 1, 2
		)
		select p.period, format('%s new, %s moved, %s gone',
								coalesce(sum(e.events) filter (where e.what = 'created'), 0),
								coalesce(sum(e.events) filter (where e.what in ('stage', 'reopened')), 0),
								coalesce(sum(e.events) filter (where e.what in ('deleted', 'cleared')), 0)), ''
		from (values ('today', true), ('this week', false)) as p(period, is_today)
		left join past e on e.is_today or not p.is_today
		group by p.is_today, p.period order by p.is_today desc;
	return query
		with board as (
			select t.team_id, t.team, t.is_active, l.stage, coalesce(o.position, d.position) as position,
				   count(l.lead_id) as leads,
				   count(l.lead_id) filter (where l.assignee_id is null) as unassigned
			from leadstream.team t
			left join leadstream.lead l on l.team_id = t.team_id and not l.is_hidden
			left join leadstream.stage o on o.account = t.account and o.stage = l.stage
			left join leadstream.stage d on d.account = '' and d.stage = l.stage
			where own_account in ('', t.account) and not coalesce(o.is_closed, d.is_closed, false)
			group by t.team_id, t.team, t.is_active, l.stage, coalesce(o.position, d.position)
		), ranked as (
			select b.team, sum(b.leads) as leads, sum(b.unassigned) as unassigned, b.is_active,
				   exists (select from leadstream.team_member m where m.team_id = b.team_id) as has_members,
				   string_agg(format('%s %s', b.leads, b.stage), ', ' order by b.position, b.stage)
						filter (where b.leads > 0) as stages,
				   row_number() over (order by sum(b.leads) desc, b.team) as rank, count(*) over () as teams
			from board b group by b.team_id, b.team, b.is_active
		)
		select 'board', case when r.rank > 10 then format('and %s more teams', r.teams - 10)
							 else concat_ws(': ', r.team, coalesce(r.stages, 'no leads')) end,
			   concat_ws(', ', case when r.rank > 10 then null
									when r.unassigned > 0 and r.has_members
									then format('%s assigned to nobody', r.unassigned) end,
						 case when r.rank <= 10 and not r.is_active then 'the team is not active' end)
		from ranked r where r.rank <= 11 order by r.rank;
end
$$;
comment on function leadstream._overview_leads() is
'what overview() says of the leads and boards; the lead tables are there';

create function leadstream._overview_clock() returns table (about text, state text, attention text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	moment	constant timestamptz := leadstream.clock();
begin
	return query
		select 'clock', format('%s waiting, %s due', count(*), count(*) filter (where d.at <= moment))
			   || coalesce(', next at ' || to_char(min(d.at) filter (where d.at > moment and d.at < 'infinity'),
												   'YYYY-MM-DD HH24:MI'), ''),
			   case when min(d.at) < moment - interval '10 minutes'
					then format('the oldest is due since %s: is tick() being called?',
								to_char(min(d.at), 'YYYY-MM-DD HH24:MI')) else '' end
		from leadstream.due d;
	return query
		select 'clock', format('%s streams wait for their first tick()', count(*)),
			   case when min(s.enabled_at) < moment - interval '10 minutes' then 'is tick() being called?' else '' end
		from leadstream.stream s where s.is_enabled and not s.is_seeded
		having count(*) > 0;
end
$$;
comment on function leadstream._overview_clock() is
'what overview() says of the clock queue, whose table is there';

create function leadstream.overview() returns table (about text, state text, attention text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	if not exists (select from leadstream.contact_source) then
		return query select 'contacts', 'no table is attached',
							'begin with: select leadstream.attach_contacts(''…'');';
	else
		return query select * from leadstream._overview_tables();
	end if;
	return query select * from leadstream._overview_streams();
	if to_regclass('leadstream.leads') is not null then
		return query select * from leadstream._overview_leads();
	end if;
	if to_regclass('leadstream.due') is not null then
		return query select * from leadstream._overview_clock();
	end if;
	return query
		select 'session', format('%s of %s for compiled rules and streams',
								 pg_size_pretty(coalesce(sum(c.bytes), 0)),
								 current_setting('leadstream.cache_size')), ''
		from leadstream.session_cache() c;
end
$$;
comment on function leadstream.overview() is
'the state of everything on one screen: what is attached, streams, leads, boards, the clock queue and the memory of this session; '
'attention: what somebody should look at, empty where all is well. Reads with the rights of the caller, of the account that is set or else of all.';
