-- 81_reports.sql
--
-- What became of leads, for people and BI tools: views that stand on the lead
-- tables and are made with them, and the state of everything on one screen.
--
-- They are rebuilt from lead_event alone.  So clearing a stream, deleting a
-- lead, renaming a stage, a stream or a sales user rewrites nothing of what
-- was; only the erasure of a contact takes its events along.  All of them read
-- the events by one view, _lead_event.
--
-- The events of a lead follow each other by event_id: its row was locked.  The
-- clocks of those who wrote them may differ by what they waited for the lock,
-- so an event counts from the latest instant that it, or one before it, has.
--
-- No view sorts all events, where it need not, or joins them with themselves:
-- the events of a lead are grouped by hashing, in any order, and told by _stays
-- and _steps (story.c).  Each lead is grouped by all that a reader may ask for,
-- so a condition on the lead, the contact, the team or the account reaches the
-- events; and so it does by the partition of the windows of lead_history.

create function leadstream._newer(old anyelement, new anyelement) returns anyelement
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_newer';
comment on function leadstream._newer(anyelement, anyelement) is
'the second of two values';

create aggregate leadstream._latest(anyelement) (
	sfunc = leadstream._newer,
	stype = anyelement,
	parallel = safe
);
comment on aggregate leadstream._latest(anyelement) is
'the last value that is not null, in the order of its input';

-- The rows that _stays and _steps tell.
create type leadstream._stay as (
	stage			text,
	entered_at		timestamptz,
	left_at			timestamptz,
	next_stage		text,
	entered_by		text,
	actor			text,
	reason			text
);
comment on type leadstream._stay is
'a stay of a lead in a stage';
create type leadstream._step as (
	stream_id		integer,
	entered_at		timestamptz,
	stage			text,
	days			double precision,
	is_there		boolean,
	is_entry		boolean
);
comment on type leadstream._step is
'a stage that a lead has been in since a stream brought it, how many days after that, whether it is there, and whether this is the first of them; stage is null where there is none';

create function leadstream._tell(internal, event_id bigint, at timestamptz, what text, old text, new text,
								 actor text, note text, stream_id integer) returns internal
language c immutable parallel safe
as 'MODULE_PATHNAME', 'leadstream_tell';
comment on function leadstream._tell(internal, bigint, timestamptz, text, text, text, text, text, integer) is
'adds an event to what is told of a lead';

create function leadstream._told_stays(internal) returns leadstream._stay[]
language c immutable parallel safe
as 'MODULE_PATHNAME', 'leadstream_stays';
comment on function leadstream._told_stays(internal) is
'the stays of the lead that was told of';

create function leadstream._told_steps(internal) returns leadstream._step[]
language c immutable parallel safe
as 'MODULE_PATHNAME', 'leadstream_steps';
comment on function leadstream._told_steps(internal) is
'the steps of the lead that was told of';

create aggregate leadstream._stays(event_id bigint, at timestamptz, what text, old text, new text,
								   actor text, note text, stream_id integer) (
	sfunc = leadstream._tell,
	stype = internal,
	sspace = 400,
	finalfunc = leadstream._told_stays,
	parallel = safe
);
comment on aggregate leadstream._stays(bigint, timestamptz, text, text, text, text, text, integer) is
'the stays of a lead in stages, of its events in any order';

create aggregate leadstream._steps(event_id bigint, at timestamptz, what text, old text, new text,
								   actor text, note text, stream_id integer) (
	sfunc = leadstream._tell,
	stype = internal,
	sspace = 400,
	finalfunc = leadstream._told_steps,
	parallel = safe
);
comment on aggregate leadstream._steps(bigint, timestamptz, text, text, text, text, text, integer) is
'each stream of a lead, and the stages that the lead has been in since, of its events in any order';

-- What stages were called before, for the past is told by the names of then.
create table leadstream.former_stage (
	account			text not null,
	stage			text not null,
	position		integer not null,
	is_closed		boolean not null,
	primary key (account, stage)
);
comment on table leadstream.former_stage is
'the names of stages that were renamed or dropped, as the stages were then; written by a trigger on leadstream.stage';
select pg_extension_config_dump('leadstream.former_stage', '');

create function leadstream._keep_stage() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	insert into leadstream.former_stage (account, stage, position, is_closed)
	values (old.account, old.stage, old.position, old.is_closed)
	on conflict (account, stage) do update
	set position = excluded.position, is_closed = excluded.is_closed;
	return null;
end
$$;
comment on function leadstream._keep_stage() is
'trigger: keeps the name of a stage that is renamed or dropped';
revoke execute on function leadstream._keep_stage() from public;

create trigger keep_dropped after delete on leadstream.stage
	for each row execute function leadstream._keep_stage();
comment on trigger keep_dropped on leadstream.stage is
'keeps the name of a stage that is dropped';
create trigger keep_renamed after update on leadstream.stage
	for each row when (old.stage <> new.stage or old.account <> new.account)
	execute function leadstream._keep_stage();
comment on trigger keep_renamed on leadstream.stage is
'keeps the name of a stage that is renamed';

create view leadstream._known_stage as
select s.account, s.stage, s.position, s.is_closed
from leadstream.stage s
union all
select f.account, f.stage, f.position, f.is_closed
from leadstream.former_stage f
where not exists (select from leadstream.stage s where s.account = f.account and s.stage = f.stage);
comment on view leadstream._known_stage is
'the stages that are there, and the names of those that were';

-- What differs with the contacts: 1 is the key of an event e as views show it,
-- 2 and 3 are texts of a contact c, 4 to 6 the table, its key and how it
-- compares, 7 is the zone, 8 the key as views show it, of a lead h that has been
-- put together from its events: a condition on it finds them by it.
create function leadstream._execute_for_contacts(ddl text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
begin
	select * into source from leadstream.contact_source;
	execute format(ddl, leadstream._flat('e.contact_id', source.key_type),
				   leadstream._contact_text(source.name_column, 'name') || ', '
				   || leadstream._contact_text(source.company_column, 'company'),
				   leadstream._contact_text(source.email_column, 'email') || ', '
				   || leadstream._contact_text(source.category_column, 'category'),
				   source.contacts, source.key_column, leadstream._key_operator(), source.zone,
				   leadstream._flat('h.contact_id', source.key_type));
end
$$;
comment on function leadstream._execute_for_contacts(text) is
'runs statements in which the attached contacts stand as the parameters of format()';

create function leadstream._create_event_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._execute_for_contacts($ddl$
		create or replace view leadstream._lead_event as
		select e.event_id, e.lead_id, e.contact_id, e.team_id, t.team, e.at, e.what, e.old, e.new,
			   e.note, e.actor, e.stream_id, t.account
		from leadstream.lead_event e
		join leadstream._team_in_sight t on t.team_id = e.team_id;
		comment on view leadstream._lead_event is
		'the events of leads that the views on them are made of';

		create or replace view leadstream.lead_events as
		select e.event_id, e.lead_id, e.at, e.what, e.old, e.new, e.note, e.actor, s.stream, e.team,
			   %1$s as contact_id, e.account
		from leadstream._lead_event e
		left join leadstream.stream s on s.stream_id = e.stream_id;
		comment on view leadstream.lead_events is
		'everything that happened to leads, also to those that are gone; order it by lead_id, event_id';
		comment on column leadstream.lead_events.event_id is 'number of the event; those of a lead are in the order in which they happened';
		comment on column leadstream.lead_events.lead_id is 'number of the lead; it may be gone';
		comment on column leadstream.lead_events.at is 'when it happened';
		comment on column leadstream.lead_events.what is 'created, matched (by a further stream), stage (moved), renamed (its stage got another name), reopened (by a new match), assigned, hidden, unhidden, note, merged, unmatched (one of its streams was cleared), cleared (the last of them was) or deleted';
		comment on column leadstream.lead_events.old is 'what was before: the stage, or the sales user; of merged the key of the contact that is gone, and of matched, where the match came with a merged lead, since when that had it';
		comment on column leadstream.lead_events.new is 'what is from then on: the stage, or the sales user; of deleted the lead that it was merged with; null: nobody, or nothing of the kind';
		comment on column leadstream.lead_events.note is 'what somebody said to it, or the names of the streams that did it';
		comment on column leadstream.lead_events.actor is 'the role that did it; of a match, the one whose row made it';
		comment on column leadstream.lead_events.stream is 'the stream that did it; null: a person, or a stream that was dropped';
		comment on column leadstream.lead_events.team is 'team on whose board the lead is, or was';
		comment on column leadstream.lead_events.contact_id is 'key of the contact';
		comment on column leadstream.lead_events.account is 'account of the team; empty without accounts';

		create or replace view leadstream.lead_stage_changes as
		select h.lead_id, h.team, s.stage, s.entered_at, s.left_at,
			   round(extract(epoch from s.left_at - s.entered_at) / 86400, 2) as days,
			   s.next_stage, s.entered_by, s.actor, s.reason, %8$s as contact_id, h.account
		from (
			select e.lead_id, e.contact_id, e.team, e.account,
				   leadstream._stays(e.event_id, e.at, e.what, e.old, e.new, e.actor, e.note, null) as stays
			from leadstream._lead_event e
			where e.what in ('created', 'stage', 'renamed', 'reopened', 'deleted', 'cleared')
			group by e.lead_id, e.contact_id, e.team, e.account
		) as h
		cross join lateral unnest(h.stays) as s;
		comment on view leadstream.lead_stage_changes is
		'each stay of a lead in a stage, one after the other and without gaps. A stage that was renamed since bears the name that it had when the lead left it';
		comment on column leadstream.lead_stage_changes.lead_id is 'number of the lead; it may be gone';
		comment on column leadstream.lead_stage_changes.team is 'team on whose board the lead is, or was';
		comment on column leadstream.lead_stage_changes.stage is 'the stage; by the name that it had when the lead left it';
		comment on column leadstream.lead_stage_changes.entered_at is 'when the lead came into the stage';
		comment on column leadstream.lead_stage_changes.left_at is 'when it left it: moved on, reopened, deleted or cleared; null: it is there';
		comment on column leadstream.lead_stage_changes.days is 'how long it stayed, in days of 24 hours; null: it is there';
		comment on column leadstream.lead_stage_changes.next_stage is 'where it went; null: it is there, or the lead is gone';
		comment on column leadstream.lead_stage_changes.entered_by is 'created: it began there; stage: somebody moved it there; reopened: a new match did';
		comment on column leadstream.lead_stage_changes.actor is 'the role that did that';
		comment on column leadstream.lead_stage_changes.reason is 'what was said to it, such as why the lead was lost';
		comment on column leadstream.lead_stage_changes.contact_id is 'key of the contact';
		comment on column leadstream.lead_stage_changes.account is 'account of the team; empty without accounts';

		create or replace view leadstream.first_actions as
		select f.lead_id, f.team, f.created_at, f.first_action_at,
			   round(extract(epoch from f.first_action_at - f.created_at) / 3600, 2) as hours,
			   f.first_action, f.actor, f.contact_id, f.account
		from (
			select e.lead_id, %1$s as contact_id, e.team, e.account,
				   min(e.at) filter (where e.what = 'created') as created_at,
				   min(e.at) filter (where e.what in ('stage', 'note', 'hidden', 'deleted')) as first_action_at,
				   (array_agg(e.what order by e.event_id) filter (where e.what in ('stage', 'note', 'hidden', 'deleted')))[1] as first_action,
				   (array_agg(e.actor order by e.event_id) filter (where e.what in ('stage', 'note', 'hidden', 'deleted')))[1] as actor
			from leadstream._lead_event e
			where e.what in ('created', 'stage', 'note', 'hidden', 'deleted')
			group by e.lead_id, %1$s, e.team, e.account
		) as f
		where f.created_at is not null;
		comment on view leadstream.first_actions is
		'when somebody first did something about each lead: moved it, noted something, hid or deleted it. To be assigned is not yet an action';
		comment on column leadstream.first_actions.lead_id is 'number of the lead; it may be gone';
		comment on column leadstream.first_actions.team is 'team on whose board the lead is, or was';
		comment on column leadstream.first_actions.created_at is 'when it came to the board';
		comment on column leadstream.first_actions.first_action_at is 'when somebody first did something about it; null: nobody has';
		comment on column leadstream.first_actions.hours is 'from created_at to first_action_at; null: nobody has done anything';
		comment on column leadstream.first_actions.first_action is 'what was done: stage (moved), note, hidden or deleted';
		comment on column leadstream.first_actions.actor is 'the role that did it';
		comment on column leadstream.first_actions.contact_id is 'key of the contact';
		comment on column leadstream.first_actions.account is 'account of the team; empty without accounts'
		$ddl$);
end
$$;
comment on function leadstream._create_event_views() is
'makes the views on what happened to single leads';

create function leadstream._create_history_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._execute_for_contacts($ddl$
		create or replace view leadstream.lead_history as
		select h.lead_id, h.team, h.stage, %2$s, nullif(h.assigned_to, '') as assigned_to, h.is_hidden,
			   coalesce(s.is_closed, d.is_closed, false) as is_closed, h.valid_from, h.valid_until,
			   coalesce((select string_agg(n.stream, ', ' order by n.stream)
						 from (select m.stream_id, (array_agg(m.what order by m.event_id desc))[1] as what
							   from leadstream.lead_event m
							   where m.lead_id = h.lead_id and m.event_id <= h.event_id
								 and m.what in ('created', 'matched', 'unmatched')
							   group by m.stream_id) as m
						 join leadstream.stream n on n.stream_id = m.stream_id
						 where m.what <> 'unmatched'), '') as streams,
			   h.created_at, h.stage_changed_at, %8$s as contact_id, %3$s,
			   coalesce(s.position, d.position) as stage_order, h.account
		from (
			select r.*, lead(r.valid_from) over w as valid_until
			from (
				select e.event_id, e.lead_id, e.contact_id, e.team, e.account, e.what,
					   max(e.at) over w as valid_from,
					   min(e.at) filter (where e.what = 'created') over w as created_at,
					   max(e.at) filter (where e.what in ('created', 'stage', 'reopened')) over w as stage_changed_at,
					   leadstream._latest(case when e.what in ('created', 'stage', 'renamed', 'reopened')
											   then e.new end) over w as stage,
					   leadstream._latest(case when e.what = 'assigned' then coalesce(e.new, '') end) over w
						   as assigned_to,
					   coalesce(leadstream._latest(case e.what when 'hidden' then true when 'unhidden' then false
												   end) over w, false) as is_hidden
				from leadstream._lead_event e
				where e.what <> 'note'
				window w as (partition by e.lead_id, e.contact_id, e.team, e.account order by e.event_id)
			) as r
			window w as (partition by r.lead_id, r.contact_id, r.team, r.account order by r.event_id)
		) as h
		left join %4$s c on c.%5$I %6$s h.contact_id
		left join leadstream._known_stage s on s.account = h.account and s.stage = h.stage
		left join leadstream._known_stage d on d.account = '' and d.stage = h.stage
		where h.what not in ('deleted', 'cleared') and h.stage is not null
		  and h.valid_until is distinct from h.valid_from;
		comment on view leadstream.lead_history is
		'each lead in each state that it was in: who reads it for an instant (valid_from <= instant and (valid_until > instant or valid_until is null)) gets all leads as they were then; board_at(instant) does. Names of contacts, and the order of stages, are those of now';
		comment on column leadstream.lead_history.lead_id is 'number of the lead; it may be gone';
		comment on column leadstream.lead_history.team is 'team on whose board the lead was';
		comment on column leadstream.lead_history.stage is 'the stage that it was in, by its name of then';
		comment on column leadstream.lead_history.name is 'name of the contact, as it is now';
		comment on column leadstream.lead_history.company is 'company of the contact, as it is now';
		comment on column leadstream.lead_history.assigned_to is 'sales user who worked it, by his name when it was given to him; null: nobody';
		comment on column leadstream.lead_history.is_hidden is 'was it taken off the board by hide()?';
		comment on column leadstream.lead_history.is_closed is 'does the stage end the work?  As it is now, or was when it was renamed or dropped';
		comment on column leadstream.lead_history.valid_from is 'since when it was so';
		comment on column leadstream.lead_history.valid_until is 'until when, this instant not included; null: it still is';
		comment on column leadstream.lead_history.streams is 'names of the streams that had matched, separated by commas, without those that were dropped since';
		comment on column leadstream.lead_history.created_at is 'when it came to the board';
		comment on column leadstream.lead_history.stage_changed_at is 'since when it was in its stage';
		comment on column leadstream.lead_history.contact_id is 'key of the contact';
		comment on column leadstream.lead_history.email is 'email of the contact, as it is now';
		comment on column leadstream.lead_history.category is 'category of the contact, as it is now';
		comment on column leadstream.lead_history.stage_order is 'position of the stage, to sort by; of one that is there no more, the last it had';
		comment on column leadstream.lead_history.account is 'account of the team; empty without accounts'
		$ddl$);
end
$$;
comment on function leadstream._create_history_views() is
'makes the view on the leads of any instant, for board_at()';

create function leadstream._create_funnel_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._execute_for_contacts($ddl$
		create or replace view leadstream._lead_step as
		select l.lead_id, l.team, l.account, s.stream_id, s.entered_at, s.stage, s.days, s.is_there, s.is_entry
		from (
			select e.lead_id, e.contact_id, e.team, e.account,
				   leadstream._steps(e.event_id,
									 case when e.what = 'matched' and e.old is not null
										  then e.old::timestamptz else e.at end,
									 e.what, e.old, e.new, null, null, e.stream_id) as steps
			from leadstream._lead_event e
			where e.what in ('created', 'matched', 'stage', 'renamed', 'reopened', 'deleted', 'cleared')
			group by e.lead_id, e.contact_id, e.team, e.account
		) as l
		cross join lateral unnest(l.steps) as s;
		comment on view leadstream._lead_step is
		'each stream of each lead, since when it made the lead or first came to it, and the stages that the lead has been in since; stream 0 for a lead made by hand. What streams brought of a lead that was merged goes on with the other one';

		create or replace view leadstream.funnel as
		select case when l.stream_id <> 0 then coalesce(n.stream, '#' || l.stream_id) end as stream, l.team, l.month, u.stage,
			   l.entered, u.reached, round(u.reached::numeric / l.entered, 4) as share, u.present, coalesce(s.position, d.position) as stage_order,
			   coalesce(s.is_closed, d.is_closed, false) as is_closed, nullif(l.stream_id, 0) as stream_id, l.account
		from (
			select c.account, c.team, c.stream_id, c.month, sum(c.entered)::bigint as entered,
				   array_agg(c.stage) filter (where c.stage is not null) as stages,
				   array_agg(c.reached) filter (where c.stage is not null) as reached,
				   array_agg(c.present) filter (where c.stage is not null) as present
			from (
				select p.stream_id, date_trunc('month', p.entered_at at time zone %7$L)::date as month, p.stage, p.team, p.account,
					   count(*) filter (where p.is_entry) as entered, count(*) as reached, count(*) filter (where p.is_there) as present
				from leadstream._lead_step p
				group by p.stream_id, 2, p.stage, p.team, p.account
			) as c
			group by c.stream_id, c.month, c.team, c.account
		) as l
		cross join lateral (
			select r.stage, r.reached, r.present from unnest(l.stages, l.reached, l.present) as r(stage, reached, present)
			union all
			select o.stage, 0 as reached, 0 as present from leadstream.stage o
			where o.stage <> all (coalesce(l.stages, '{}'))
			  and o.account = case when exists (select from leadstream.stage a where a.account = l.account) then l.account else '' end
		) as u
		left join leadstream.stream n on n.stream_id = l.stream_id
		left join leadstream._known_stage s on s.account = l.account and s.stage = u.stage
		left join leadstream._known_stage d on d.account = '' and d.stage = u.stage;
		comment on view leadstream.funnel is
		'entry cohorts: of the leads that a stream brought to a team in a month, how many have reached each stage; a line for each stream, team, month and stage. What was cleared or deleted since still counts, and two leads that were merged count as one';
		comment on column leadstream.funnel.stream is 'the stream that brought them; null: they were made by hand; # and its number: it was dropped';
		comment on column leadstream.funnel.team is 'team on whose board the leads are, or were';
		comment on column leadstream.funnel.month is 'first day of the month in which they entered, in the zone of attach_contacts()';
		comment on column leadstream.funnel.stage is 'a stage of now, or one that they have stood in';
		comment on column leadstream.funnel.entered is 'leads that the stream brought to the team in the month: made, or come to as a further stream; a lead of several streams counts for each';
		comment on column leadstream.funnel.reached is 'those of them that have stood in the stage at any time since, also for an instant, also those that are gone; a stage that was skipped is not reached';
		comment on column leadstream.funnel.share is 'reached / entered, 0 to 1';
		comment on column leadstream.funnel.present is 'those of them that stand in the stage now';
		comment on column leadstream.funnel.stage_order is 'position of the stage, to sort by; of one that is there no more, the last it had';
		comment on column leadstream.funnel.is_closed is 'does the stage end the work?  As it is now, or was when it was renamed or dropped';
		comment on column leadstream.funnel.stream_id is 'number of the stream; null: made by hand';
		comment on column leadstream.funnel.account is 'account of the team; empty without accounts';

		create or replace view leadstream.conversion as
		select case when l.stream_id <> 0 then coalesce(n.stream, '#' || l.stream_id) end as stream, l.team, u.stage,
			   l.entered, u.reached, round(u.reached::numeric / l.entered, 4) as share, u.present, round(u.days::numeric, 2) as median_days, coalesce(s.position, d.position) as stage_order,
			   coalesce(s.is_closed, d.is_closed, false) as is_closed, nullif(l.stream_id, 0) as stream_id, l.account
		from (
			select c.account, c.team, c.stream_id, sum(c.entered)::bigint as entered,
				   array_agg(c.stage) filter (where c.stage is not null) as stages,
				   array_agg(c.reached) filter (where c.stage is not null) as reached,
				   array_agg(c.present) filter (where c.stage is not null) as present,
				   array_agg(c.days) filter (where c.stage is not null) as days
			from (
				select p.stream_id, p.stage, p.team, p.account, count(*) filter (where p.is_entry) as entered,
					   count(*) as reached, count(*) filter (where p.is_there) as present,
					   percentile_cont(0.5) within group (order by p.days) as days
				from leadstream._lead_step p
				group by p.stream_id, p.stage, p.team, p.account
			) as c
			group by c.stream_id, c.team, c.account
		) as l
		cross join lateral (
			select r.stage, r.reached, r.present, r.days
			from unnest(l.stages, l.reached, l.present, l.days) as r(stage, reached, present, days)
			union all
			select o.stage, 0 as reached, 0 as present, null as days from leadstream.stage o
			where o.stage <> all (coalesce(l.stages, '{}'))
			  and o.account = case when exists (select from leadstream.stage a where a.account = l.account) then l.account else '' end
		) as u
		left join leadstream.stream n on n.stream_id = l.stream_id
		left join leadstream._known_stage s on s.account = l.account and s.stage = u.stage
		left join leadstream._known_stage d on d.account = '' and d.stage = u.stage;
		comment on view leadstream.conversion is
		'how far the leads of each stream got with each team, and how fast: the funnel without months; a line for each stream, team and stage';
		comment on column leadstream.conversion.stream is 'the stream that brought them; null: they were made by hand; # and its number: it was dropped';
		comment on column leadstream.conversion.team is 'team on whose board the leads are, or were';
		comment on column leadstream.conversion.stage is 'a stage of now, or one that they have stood in';
		comment on column leadstream.conversion.entered is 'leads that the stream brought to the team: made, or come to as a further stream; a lead of several streams counts for each';
		comment on column leadstream.conversion.reached is 'those of them that have stood in the stage at any time since, also for an instant, also those that are gone; a stage that was skipped is not reached';
		comment on column leadstream.conversion.share is 'reached / entered, 0 to 1';
		comment on column leadstream.conversion.present is 'those of them that stand in the stage now';
		comment on column leadstream.conversion.median_days is 'from entering to reaching the stage, in days of 24 hours, of those that have reached it: half of them took no longer';
		comment on column leadstream.conversion.stage_order is 'position of the stage, to sort by; of one that is there no more, the last it had';
		comment on column leadstream.conversion.is_closed is 'does the stage end the work?  As it is now, or was when it was renamed or dropped';
		comment on column leadstream.conversion.stream_id is 'number of the stream; null: made by hand';
		comment on column leadstream.conversion.account is 'account of the team; empty without accounts'
		$ddl$);
end
$$;
comment on function leadstream._create_funnel_views() is
'makes the views on how far leads got';

create function leadstream._create_count_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._execute_for_contacts($ddl$
		create or replace view leadstream.leads_daily as
		select d."time", case when d.stream_id <> 0 then coalesce(n.stream, '#' || d.stream_id) end as stream, d.team,
			   d.created, d.matched, d.reopened, nullif(d.stream_id, 0) as stream_id, d.account
		from (
			select date_trunc('day', e.at, %7$L) as "time", e.account, e.team, coalesce(e.stream_id, 0) as stream_id,
				   count(*) filter (where e.what = 'created') as created,
				   count(*) filter (where e.what = 'matched') as matched,
				   count(*) filter (where e.what = 'reopened') as reopened
			from leadstream._lead_event e
			where e.what in ('created', 'matched', 'reopened')
			group by 1, 2, 3, 4
		) as d
		left join leadstream.stream n on n.stream_id = d.stream_id;
		comment on view leadstream.leads_daily is
		'what streams brought to the boards, day by day; a line for each day, stream and team of which there is anything to tell. What was cleared or deleted since still counts';
		comment on column leadstream.leads_daily."time" is 'beginning of the day, in the zone of attach_contacts()';
		comment on column leadstream.leads_daily.stream is 'the stream that brought them; null: they were made by hand; # and its number: it was dropped';
		comment on column leadstream.leads_daily.team is 'team to whose board they came';
		comment on column leadstream.leads_daily.created is 'leads that were made, each counted for the first of its streams: the sum over the streams is how many came to the boards';
		comment on column leadstream.leads_daily.matched is 'leads to which the stream came as a further one';
		comment on column leadstream.leads_daily.reopened is 'closed leads that a new match of the stream reopened';
		comment on column leadstream.leads_daily.stream_id is 'number of the stream; null: made by hand';
		comment on column leadstream.leads_daily.account is 'account of the team; empty without accounts';

		create or replace view leadstream.time_in_stage as
		select c.team, c.stage, c.stays, c.average_days, c.median_days, c.p90_days, c.present, c.present_since,
			   coalesce(s.position, d.position) as stage_order, c.account
		from (
			select c.stage, c.team, c.account, count(*) filter (where c.next_stage is not null) as stays,
				   round(avg(c.days) filter (where c.next_stage is not null), 2) as average_days,
				   round((percentile_cont(0.5) within group (order by c.days)
						  filter (where c.next_stage is not null))::numeric, 2) as median_days,
				   round((percentile_cont(0.9) within group (order by c.days)
						  filter (where c.next_stage is not null))::numeric, 2) as p90_days,
				   count(*) filter (where c.left_at is null) as present,
				   min(c.entered_at) filter (where c.left_at is null) as present_since
			from (
				select s.stage, l.team, l.account, s.next_stage, s.entered_at, s.left_at,
					   round(extract(epoch from s.left_at - s.entered_at) / 86400, 2) as days
				from (
					select e.lead_id, e.contact_id, e.team, e.account,
						   leadstream._stays(e.event_id, e.at, e.what, e.old, e.new, null, null, null) as stays
					from leadstream._lead_event e
					where e.what in ('created', 'stage', 'renamed', 'reopened', 'deleted', 'cleared')
					group by e.lead_id, e.contact_id, e.team, e.account
				) as l
				cross join lateral unnest(l.stays) as s
			) as c
			where c.left_at is null or c.next_stage is not null
			group by c.stage, c.team, c.account
		) as c
		left join leadstream._known_stage s on s.account = c.account and s.stage = c.stage
		left join leadstream._known_stage d on d.account = '' and d.stage = c.stage;
		comment on view leadstream.time_in_stage is
		'how long leads stay in each stage of each team; stays that ended because the lead was deleted or cleared are left out';
		comment on column leadstream.time_in_stage.team is 'team on whose board the leads are, or were';
		comment on column leadstream.time_in_stage.stage is 'the stage';
		comment on column leadstream.time_in_stage.stays is 'stays that ended with a move to another stage; a lead that came back has several';
		comment on column leadstream.time_in_stage.average_days is 'mean length of these stays, in days of 24 hours';
		comment on column leadstream.time_in_stage.median_days is 'half of these stays were no longer';
		comment on column leadstream.time_in_stage.p90_days is 'nine in ten of these stays were no longer';
		comment on column leadstream.time_in_stage.present is 'leads that are in the stage now, and whose stays do not count yet';
		comment on column leadstream.time_in_stage.present_since is 'since when the one that waits longest is there';
		comment on column leadstream.time_in_stage.stage_order is 'position of the stage, to sort by; of one that is there no more, the last it had';
		comment on column leadstream.time_in_stage.account is 'account of the team; empty without accounts'
		$ddl$);
end
$$;
comment on function leadstream._create_count_views() is
'makes the views on leads by day and by stage';

create function leadstream._create_report_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._create_event_views();
	perform leadstream._create_history_views();
	perform leadstream._create_funnel_views();
	perform leadstream._create_count_views();

	-- Read when it is made, so it needs no path of its own, and a query that calls
	-- it takes it in: of a team, or without the streams, it does no more than that.
	create or replace function leadstream.board_at(instant timestamptz) returns setof leadstream.board
	language sql stable
	begin atomic
		select h.lead_id, h.team, h.stage, h.name, h.company, h.assigned_to, h.streams, h.created_at,
			   h.stage_changed_at, h.contact_id, h.email, h.category, h.stage_order, h.account
		from leadstream.lead_history h
		where h.valid_from <= board_at.instant and (h.valid_until > board_at.instant or h.valid_until is null)
		  and not h.is_hidden and not h.is_closed;
	end;
	comment on function leadstream.board_at(timestamptz) is
	'the board as it stood at an instant, also with leads that are gone since, rebuilt from lead_event: stage, sales user, streams, and what was hidden are those of then; '
	'the contacts'' names, and which stages are closed, those of now.';
end
$$;
comment on function leadstream._create_report_views() is
'makes what of this file stands on the lead tables';
