-- 70_board.sql
--
-- Teams and the leads on their boards.

create function leadstream.create_team(name text) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	new_id	integer;
begin
	perform leadstream._check_name('name', name);
	own_account := leadstream._account();
	insert into leadstream.team (account, team) values (own_account, name)
	on conflict on constraint team_account_team_key do nothing
	returning team_id into new_id;
	if not found then
		perform leadstream._raise_duplicate('team', name);
	end if;
	return new_id;
end
$$;
comment on function leadstream.create_team(text) is
'creates a sales team with an empty board; returns its id';

create function leadstream.drop_team(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	id		integer;
	leads	bigint := 0;
	streams	text;
begin
	perform leadstream._not_null('name', name is null);
	id := (leadstream._team_ids(array[name]))[1];
	-- Statements in flight may be about to make leads for it.  Before its row
	-- is locked: they may want to lock it, too.
	if to_regclass('leadstream.lead') is not null then
		perform leadstream._await_writers();
	end if;
	-- Waits for those who are giving a stream to it.
	perform from leadstream.team t where t.team_id = id for update;
	select string_agg(format('"%s"', s.stream), ', ' order by s.stream) into streams
	from leadstream.stream_team t join leadstream.stream s using (stream_id)
	where t.team_id = id;
	if streams is not null then
		raise exception 'streams deliver to team "%"', name
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('They are: %s.', streams),
				  hint = 'Give them other teams: select leadstream.alter_stream(''…'', teams => ''{…}'');';
	end if;
	if to_regclass('leadstream.lead') is not null then
		select count(*) into leads from leadstream.lead l where l.team_id = id;
	end if;
	if leads > 0 then
		raise exception 'team "%" has leads', name
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('Leads, open and closed: %s.', leads),
				  hint = 'Clear the streams that made them, or delete them from leadstream.lead.';
	end if;
	delete from leadstream.team t where t.team_id = id;
end
$$;
comment on function leadstream.drop_team(text) is
'removes a team that has no leads and to which no stream delivers';

create function leadstream.move(lead bigint, stage text, reason text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	stages	text[];
	moment	timestamptz;
	old_lead record;
begin
	perform leadstream._not_null('lead', lead is null);
	perform leadstream._not_null('stage', stage is null);
	own_account := leadstream._account();
	if to_regclass('leadstream.lead') is null then
		perform leadstream._raise_not_attached();
	end if;
	stages := leadstream._stages(own_account);
	if stage <> all (stages) then
		raise exception 'stage "%" does not exist', stage
			using errcode = 'undefined_object',
				  hint = format('Stages are: %s.', (
					select string_agg(format('"%s"', u.s), ', ' order by u.i)
					from unnest(stages) with ordinality as u(s, i)));
	end if;
	select l.lead_id, l.contact_id, l.team_id, l.stage into old_lead
	from leadstream.lead l
	join leadstream.team t on t.team_id = l.team_id and t.account = own_account
	where l.lead_id = lead
	for no key update of l;
	if not found then
		raise exception 'lead % does not exist', lead
			using errcode = 'no_data_found',
				  hint = 'The view leadstream.leads lists the leads.';
	end if;
	if old_lead.stage = stage then
		raise notice 'lead % is in stage "%" already', lead, stage;
		return;
	end if;
	moment := leadstream.clock();
	update leadstream.lead l set stage = move.stage, stage_changed_at = moment
	where l.lead_id = lead;
	insert into leadstream.lead_event (lead_id, contact_id, team_id, at, actor, what,
		old, new, note)
	values (lead, old_lead.contact_id, old_lead.team_id, moment,
			leadstream._actor(), 'stage', old_lead.stage, move.stage, reason);
end
$$;
comment on function leadstream.move(bigint, text, text) is
'moves a lead to another stage and notes who did it, when and why in lead_event; a lead in a closed stage leaves the board';

create function leadstream._stages(account text) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(
		(select array_agg(s.stage order by s.position, s.stage) from leadstream.stage s
		 where s.account = _stages.account),
		(select array_agg(s.stage order by s.position, s.stage) from leadstream.stage s
		 where s.account = ''),
		'{}')
$$;
comment on function leadstream._stages(text) is
'the stages of an account in their order: its own, else the common ones';
