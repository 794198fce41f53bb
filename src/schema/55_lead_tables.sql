-- 55_lead_tables.sql
--
-- The lead tables and the views over them are made at run time, by and for the
-- role that attaches the contacts: they are ordinary tables whose contact_id
-- is of the contacts' own type, and not members of the extension, so that a
-- dump keeps them.

create function leadstream._key_definition() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select format_type(a.atttypid, a.atttypmod)
		   || case when a.attcollation not in (0, t.typcollation)
				   then format(' collate %I.%I', n.nspname, c.collname) else '' end
	from leadstream.contact_source s
	join pg_attribute a on a.attrelid = s.contacts and a.attname = s.key_column
	join pg_type t on t.oid = a.atttypid
	left join pg_collation c on c.oid = a.attcollation
	left join pg_namespace n on n.oid = c.collnamespace
$$;
comment on function leadstream._key_definition() is
'the type of the contacts'' key as a column definition writes it';

-- A queue that was kept without its leads is of no use to new ones.
create function leadstream._create_due_table() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
begin
	select s.* into source from leadstream.contact_source s;
	if to_regclass('leadstream.due') is not null then
		drop table leadstream.due;
	end if;
	execute format($ddl$
		create table leadstream.due (
			contact_id		%1$s not null,
			stream_id		integer not null,
			is_seed			boolean not null default false,
			run				integer not null,
			at				timestamptz not null,
			arrival			boolean not null,
			primary key (contact_id, stream_id, is_seed),
			constraint due_contact_id_fkey foreign key (contact_id)
				references %2$s (%3$I) on delete cascade on update cascade
		);
		create index due_at_idx on leadstream.due (at);
		create index due_stream_id_idx on leadstream.due (stream_id);
		comment on table leadstream.due is
		'when contacts have to be looked at again because time alone may make a stream match them: the queue of tick()';
		comment on column leadstream.due.at is
		'the earliest instant that is not settled';
		comment on column leadstream.due.arrival is
		'the rule is true already: only a row that begins to count by then, or a new beginning, is a match';
		comment on column leadstream.due.run is
		'run of the stream that it is of';
		comment on column leadstream.due.is_seed is
		'written by who had not locked the contact: tick() when it looked at all, or who deleted a lead; one that is not goes before it'
		$ddl$, leadstream._key_definition(), source.contacts, source.key_column);
end
$$;
comment on function leadstream._create_due_table() is
'makes the clock queue for the attached contacts table';

-- What was kept for earlier contacts, or while nobody watched these, is worth
-- nothing: every set is judged anew, because the file is a new one
-- (src/score_walk.c).
create function leadstream._create_score_table() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
begin
	select s.* into source from leadstream.contact_source s;
	if exists (
		select from pg_attribute a
		join pg_constraint f on f.conrelid = a.attrelid and f.contype = 'f' and f.conkey = array[a.attnum]
		join pg_attribute k on k.attrelid = f.confrelid and k.attnum = f.confkey[1]
		where a.attrelid = to_regclass('leadstream.score') and a.attname = 'contact_id'
		  and a.atttypid = source.key_type and f.confrelid = source.contacts and k.attname = source.key_column)
	then
		-- there may be views on it
		truncate leadstream.score;
		return;
	end if;
	if to_regclass('leadstream.scores') is not null then
		drop view leadstream.scores;
	end if;
	if to_regclass('leadstream.score') is not null then
		drop table leadstream.score;
	end if;
	-- Points change more often than the rest, so they stand in no index: then an
	-- update finds room beside the old row and touches none.  Who wants the first
	-- fifty of a set has to sort it.
	execute format($ddl$
		create table leadstream.score (
			contact_id		%1$s not null,
			score_set_id	integer not null,
			version			integer not null,
			points			bigint not null,
			paying			integer[] not null,
			next_at			timestamptz,
			settled_at		timestamptz not null,
			primary key (contact_id, score_set_id),
			constraint score_contact_id_fkey foreign key (contact_id)
				references %2$s (%3$I) on delete cascade on update cascade
		) with (fillfactor = 80);
		create index score_next_at_idx on leadstream.score (next_at) where next_at is not null;
		comment on table leadstream.score is
		'the scores of contacts, kept by whoever writes what they depend on, and by tick(); the view scores shows them to people';
		comment on column leadstream.score.version is
		'the version of the set by which the contact was judged';
		comment on column leadstream.score.points is
		'the sum of the points of the rules that are true';
		comment on column leadstream.score.paying is
		'these rules';
		comment on column leadstream.score.next_at is
		'up to this instant no rule turns by time alone; null: none does at all';
		comment on column leadstream.score.settled_at is
		'the instant at which the contact was judged'
		$ddl$, leadstream._key_definition(), source.contacts, source.key_column);
end
$$;
comment on function leadstream._create_score_table() is
'makes the table of kept scores for the attached contacts table';

create function leadstream._create_lead_tables() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
begin
	select s.* into source from leadstream.contact_source s;

	-- No foreign keys among leadstream's own tables: a foreign key looks with
	-- the snapshot of the transaction, so in REPEATABLE READ an insert would
	-- fail over a stream, a team or a lead that is younger than it, and
	-- pg_restore --jobs may add one before what it points at is loaded.
	-- Deliveries lock what they point at by themselves (deliver.c), dropping
	-- waits for them, and a trigger takes the matches of a lead with it.
	execute format($ddl$
		create table leadstream.lead (
			lead_id			bigint generated always as identity primary key,
			contact_id		%1$s not null,
			team_id			integer not null,
			stage			text not null,
			is_manual		boolean not null default false,
			created_at		timestamptz not null,
			stage_changed_at timestamptz not null,
			reason			text,
			assignee_id		integer,
			is_hidden		boolean not null default false,
			made_by			xid8 not null default pg_current_xact_id(),
			unique (contact_id, team_id),
			constraint lead_contact_id_fkey foreign key (contact_id)
				references %2$s (%3$I) on delete cascade on update cascade
		);
		create index lead_team_id_stage_idx on leadstream.lead (team_id, stage);
		create index lead_assignee_id_stage_idx on leadstream.lead (assignee_id, stage) where assignee_id is not null;
		create index lead_made_by_idx on leadstream.lead (made_by, lead_id);
		create table leadstream.lead_match (
			lead_id			bigint not null,
			stream_id		integer not null,
			rule_version	integer not null,
			matched_at		timestamptz not null,
			created_at		timestamptz not null,
			origin			text not null check (origin in ('live', 'history', 'clock', 'manual')),
			evidence		jsonb,
			primary key (lead_id, stream_id)
		);
		create index lead_match_stream_id_idx on leadstream.lead_match (stream_id);

		create table leadstream.lead_event (
			event_id		bigint generated always as identity,
			lead_id			bigint not null,
			contact_id		%1$s not null,
			team_id			integer not null,
			at				timestamptz not null,
			actor			text not null,
			what			text not null,
			old				text,
			new				text,
			note			text,
			stream_id		integer,
			primary key (lead_id, event_id),
			constraint lead_event_contact_id_fkey foreign key (contact_id)
				references %2$s (%3$I) on delete cascade on update cascade
		);
		create index lead_event_contact_id_idx on leadstream.lead_event (contact_id);
		comment on table leadstream.lead is
		'a contact on the board of a team; written by leadstream';
		comment on column leadstream.lead.is_manual is
		'made by create_lead(), so clear() keeps it';
		comment on column leadstream.lead.stage is
		'where it stands: a name in leadstream.stage';
		comment on column leadstream.lead.reason is
		'why it was moved to its stage, such as why it was lost';
		comment on column leadstream.lead.assignee_id is
		'the sales user who works it; null: nobody yet';
		comment on column leadstream.lead.is_hidden is
		'taken off the board by hand, until unhide()';
		comment on column leadstream.lead.made_by is
		'the transaction that made it, for leads_since()';
		comment on table leadstream.lead_match is
		'the streams that a lead matched';
		comment on column leadstream.lead_match.matched_at is
		'the instant at which the rule was true of the contact';
		comment on column leadstream.lead_match.origin is
		'live: by a new row; history: by fetch_history(); clock: by time alone; manual: by hand';
		comment on column leadstream.lead_match.evidence is
		'the kind and primary key of the row that made a live match';
		comment on column leadstream.lead_match.rule_version is
		'version of the stream''s rule: see leadstream.stream_version';
		comment on table leadstream.lead_event is
		'what happened to leads, append-only; event_id orders the events of a lead';
		comment on column leadstream.lead_event.at is
		'when, by leadstream.clock()';
		comment on column leadstream.lead_event.actor is
		'the role that did it; of what streams do, the one whose row made them';
		comment on column leadstream.lead_event.what is
		'created: the lead came to the board; matched: a further stream came to it; stage: it was moved; reopened: by a new match; '
		'assigned, hidden, unhidden, note, merged; unmatched: clear() took a stream off it; deleted; cleared: with the last of its streams';
		comment on column leadstream.lead_event.old is
		'what was before: the stage, or the sales user; of merged the key of the contact that is gone, and of matched, where the match came with a merged lead, since when that had it';
		comment on column leadstream.lead_event.new is
		'what is from then on: the stage, or the sales user; of deleted the lead that it was merged with; null: nobody';
		comment on column leadstream.lead_event.note is
		'what people said to it, such as the reason, or the streams that did it';
		comment on column leadstream.lead_event.stream_id is
		'the stream that did it; null: a person'
		$ddl$, leadstream._key_definition(), source.contacts, source.key_column);
	perform leadstream._create_due_table();
	perform leadstream._create_score_table();
end
$$;
comment on function leadstream._create_lead_tables() is
'makes the lead tables for the attached contacts table';

-- Tables kept from an earlier attach serve the same contacts again, or others
-- whose keys are the same (the contacts table was dropped and made anew).
create function leadstream._adopt_lead_tables() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
	kept	regclass;
	other	record;
begin
	select * into source from leadstream.contact_source;
	for kept in
		select to_regclass(u.n) from unnest('{leadstream.lead,leadstream.lead_event}'::text[]) as u(n)
	loop
		select a.atttypid::regtype as type, f.confrelid::regclass as contacts,
			   k.attname as key
		into other
		from pg_attribute a
		left join pg_constraint f
			on f.conrelid = a.attrelid and f.contype = 'f' and f.conkey = array[a.attnum]
		left join pg_attribute k on k.attrelid = f.confrelid and k.attnum = f.confkey[1]
		where a.attrelid = kept and a.attname = 'contact_id';
		if other.type <> source.key_type or other.contacts <> source.contacts
		   or other.key <> source.key_column
		then
			raise exception 'the leads kept belong to other contacts than %', source.contacts
				using errcode = 'object_not_in_prerequisite_state',
					  detail = format('The contact_id of table %s is of type %s and points at %s.',
									  kept, other.type,
									  case when other.contacts is null then 'no table'
										   else format('%s (%I)', other.contacts, other.key)
									  end),
					  hint = 'Attach that table again, or remove its leads: drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;';
		end if;
		if other.contacts is null then
			execute format('alter table %s add constraint %I foreign key (contact_id) '
						   'references %s (%I) on delete cascade on update cascade',
						   kept, replace(kept::text, 'leadstream.', '') || '_contact_id_fkey',
						   source.contacts, source.key_column);
		end if;
	end loop;
	-- Streams that were attached to it are disabled, so nothing is due.
	perform leadstream._create_due_table();
	perform leadstream._create_score_table();
end
$$;
comment on function leadstream._adopt_lead_tables() is
'checks that the lead tables of an earlier attach fit the attached contacts table, and points them at it';

-- The operator by which the foreign key compares.  That of a type outside
-- pg_catalog would not be found by its bare name.
create function leadstream._key_operator() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select format('operator(%I.%s)', n.nspname, o.oprname)
	from pg_constraint f
	join leadstream.contact_source s on s.contacts = f.confrelid
	join pg_operator o on o.oid = f.conpfeqop[1]
	join pg_namespace n on n.oid = o.oprnamespace
	where f.contype = 'f' and f.conrelid = to_regclass('leadstream.lead')
$$;
comment on function leadstream._key_operator() is
'the operator that compares contact_id with the key of the contacts';

create function leadstream.note_deleted_lead() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_note_deleted';
comment on function leadstream.note_deleted_lead() is
'trigger: appends the event of a lead deleted by hand';
revoke execute on function leadstream.note_deleted_lead() from public;

create function leadstream._create_lead_trigger() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	create or replace trigger forget_matches after delete on leadstream.lead
		for each row execute function leadstream.forget_matches();
	-- Also where a subscriber's foreign keys erase leads.
	alter table leadstream.lead enable always trigger forget_matches;
	comment on trigger forget_matches on leadstream.lead is
	'takes the matches of a deleted lead with it';
	create or replace trigger note_deleted after delete on leadstream.lead
		for each row execute function leadstream.note_deleted_lead();
	comment on trigger note_deleted on leadstream.lead is
	'appends the event of a lead deleted by hand';
end
$$;
comment on function leadstream._create_lead_trigger() is
'makes the trigger that notes leads deleted by hand';

-- People and BI tools read only these eight types.
create function leadstream._flat(expression text, type oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select case
		when b.base in ('bigint'::regtype, 'integer'::regtype, 'text'::regtype,
						'boolean'::regtype, 'timestamptz'::regtype, 'date'::regtype,
						'numeric'::regtype, 'float8'::regtype)
		then format('%s::%s', expression, b.base)
		when b.base = 'smallint'::regtype then format('%s::integer', expression)
		else format('%s::text', expression)
	end
	from (select leadstream._base_type(type) as base) as b
$$;
comment on function leadstream._flat(text, oid) is
'an expression cast to one of the types that views show';

create function leadstream._contact_text(contact_column name, alias text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select case when contact_column is null then format('null::text as %I', alias)
				else format('c.%I::text as %I', contact_column, alias) end
$$;
comment on function leadstream._contact_text(name, text) is
'a column of the contacts c as the views show it';

create function leadstream._create_lead_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
	texts	text;
	more_texts text;
	contact_id text;
begin
	select * into source from leadstream.contact_source;
	contact_id := leadstream._flat('l.contact_id', source.key_type);
	texts := format('%s, %s', leadstream._contact_text(source.name_column, 'name'),
					leadstream._contact_text(source.company_column, 'company'));
	more_texts := format('%s, %s', leadstream._contact_text(source.email_column, 'email'),
						 leadstream._contact_text(source.category_column, 'category'));
	execute format($ddl$
		create or replace view leadstream.leads as
		select l.lead_id, %1$s as contact_id, t.team, l.stage, u.sales_user as assigned_to, l.is_hidden,
			   coalesce(s.is_closed, d.is_closed, false) as is_closed, l.is_manual,
			   l.created_at, l.stage_changed_at, l.reason, t.account
		from leadstream.lead l
		join leadstream.team t on t.team_id = l.team_id
		left join leadstream.sales_user u on u.sales_user_id = l.assignee_id
		left join leadstream.stage s on s.account = t.account and s.stage = l.stage
		left join leadstream.stage d on d.account = '' and d.stage = l.stage
		where %7$s;
		comment on view leadstream.leads is
		'all leads, open and closed, on the board or hidden: a line for each contact and team';
		comment on column leadstream.leads.lead_id is 'number of the lead, as move() and the like take it';
		comment on column leadstream.leads.contact_id is 'key of the contact';
		comment on column leadstream.leads.team is 'team on whose board it is';
		comment on column leadstream.leads.stage is 'where it stands: one of the names in leadstream.stage';
		comment on column leadstream.leads.assigned_to is 'sales user who works it; null: nobody yet';
		comment on column leadstream.leads.is_hidden is 'taken off the board by hide()?';
		comment on column leadstream.leads.is_closed is 'does its stage end the work, such as Won and Lost?';
		comment on column leadstream.leads.is_manual is 'made by create_lead()?  Then clear() keeps it';
		comment on column leadstream.leads.created_at is 'when it came to the board';
		comment on column leadstream.leads.stage_changed_at is 'since when it is in its stage';
		comment on column leadstream.leads.reason is 'why it was moved to its stage, such as why it was lost; null: not said';
		comment on column leadstream.leads.account is 'account of the team; empty without accounts';
		create or replace view leadstream.matches as
		select m.lead_id, s.stream, %1$s as contact_id, t.team, m.matched_at, m.created_at,
			   m.origin, m.rule_version, m.evidence::text as evidence, t.account
		from leadstream.lead_match m
		join leadstream.lead l on l.lead_id = m.lead_id
		join leadstream.stream s on s.stream_id = m.stream_id
		join leadstream.team t on t.team_id = l.team_id
		where %7$s;
		comment on view leadstream.matches is
		'which stream made or found which lead, and when';
		comment on column leadstream.matches.lead_id is 'the lead: see leadstream.leads';
		comment on column leadstream.matches.stream is 'name of the stream';
		comment on column leadstream.matches.contact_id is 'key of the contact';
		comment on column leadstream.matches.team is 'team on whose board the lead is';
		comment on column leadstream.matches.matched_at is 'instant at which the rule was true: of a live match the clock, of history the first';
		comment on column leadstream.matches.created_at is 'when the match was written';
		comment on column leadstream.matches.origin is 'live: by a new row; history: by fetch_history(); clock: by time alone; manual: by hand';
		comment on column leadstream.matches.rule_version is 'version of the rule that matched: see leadstream.stream_version';
		comment on column leadstream.matches.evidence is 'JSON: the kind and primary key of the row that made a live match';
		comment on column leadstream.matches.account is 'account of the team; empty without accounts';
		create or replace view leadstream.board as
		select l.lead_id, t.team, l.stage, %2$s, u.sales_user as assigned_to,
			   coalesce((select string_agg(s.stream, ', ' order by s.stream)
						 from leadstream.lead_match m
						 join leadstream.stream s on s.stream_id = m.stream_id
						 where m.lead_id = l.lead_id), '') as streams,
			   l.created_at, l.stage_changed_at, %1$s as contact_id, %6$s,
			   coalesce(s.position, d.position) as stage_order, t.account
		from leadstream.lead l
		join leadstream.team t on t.team_id = l.team_id
		join %3$s c on c.%4$I %5$s l.contact_id
		left join leadstream.sales_user u on u.sales_user_id = l.assignee_id
		left join leadstream.stage s on s.account = t.account and s.stage = l.stage
		left join leadstream.stage d on d.account = '' and d.stage = l.stage
		where not l.is_hidden and not coalesce(s.is_closed, d.is_closed, false) and %7$s;
		comment on view leadstream.board is
		'the open leads of all teams with their contacts, without those that hide() took off; '
		'order it by team, stage_order, stage_changed_at';
		comment on column leadstream.board.lead_id is 'number of the lead, as move() and the like take it';
		comment on column leadstream.board.team is 'team on whose board it is';
		comment on column leadstream.board.stage is 'where it stands: one of the names in leadstream.stage';
		comment on column leadstream.board.name is 'name of the contact; null where attach_contacts() knew no column for it';
		comment on column leadstream.board.company is 'company of the contact; null where attach_contacts() knew no column for it';
		comment on column leadstream.board.email is 'email of the contact; null where attach_contacts() knew no column for it';
		comment on column leadstream.board.category is 'category of the contact; null where attach_contacts() knew no column for it';
		comment on column leadstream.board.assigned_to is 'sales user who works it; null: nobody yet';
		comment on column leadstream.board.streams is 'names of the streams that matched, separated by commas; empty for a lead made by hand';
		comment on column leadstream.board.created_at is 'when it came to the board';
		comment on column leadstream.board.stage_changed_at is 'since when it is in its stage';
		comment on column leadstream.board.contact_id is 'key of the contact';
		comment on column leadstream.board.stage_order is 'position of the stage, to sort by';
		comment on column leadstream.board.account is 'account of the team; empty without accounts'
		$ddl$, contact_id, texts, source.contacts, source.key_column,
			   leadstream._key_operator(), more_texts,
			   'l.team_id = any ((select leadstream.teams_in_sight())::integer[])');
end
$$;
comment on function leadstream._create_lead_views() is
'makes the views leads, matches and board for the attached contacts table';
