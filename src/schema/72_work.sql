-- 72_work.sql
--
-- Sales at work: leads are moved, assigned, hidden, deleted, annotated.  Every
-- change is noted in lead_event by who did it, with the lead's row locked, so
-- that the events of a lead come in the order of what happened to it.
--
-- A function that sales users call has a name with an underscore here: the door
-- to it, which everybody calls, is made in 91_access.sql.  So it runs as the
-- owner of the lead tables, and looks only at leads in the caller's sight; it
-- takes no arguments of any type, whose casts would run with those rights.
-- Nothing here locks rows of other tables.

create function leadstream._lead(
	lead bigint,
	out team_id integer,
	out account text,
	out stage text,
	out assignee_id integer,
	out is_hidden boolean
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
begin
	perform leadstream._not_null('lead', lead is null);
	own_account := leadstream._account();
	if to_regclass('leadstream.lead') is null then
		perform leadstream._raise_not_attached();
	end if;
	-- Before the row: who holds up all writers of leads must not find one that
	-- is half way.
	lock table leadstream.lead in row exclusive mode;
	select l.team_id, t.account, l.stage, l.assignee_id, l.is_hidden
	into _lead.team_id, _lead.account, _lead.stage, _lead.assignee_id, _lead.is_hidden
	from leadstream.lead l
	join leadstream.team t on t.team_id = l.team_id and t.account = own_account
	where l.lead_id = lead and leadstream.is_in_sight(l.team_id)
	for no key update of l;
	if not found then
		raise exception 'lead % does not exist', lead
			using errcode = 'no_data_found',
				  hint = 'The view leadstream.leads lists the leads.';
	end if;
end
$$;
comment on function leadstream._lead(bigint) is
'a lead of the current account, locked; error P0002 if there is none';

create function leadstream._note_event(
	lead bigint,
	at timestamptz,
	what text,
	old text,
	new text,
	note text
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	insert into leadstream.lead_event (lead_id, contact_id, team_id, at, actor, what, old, new, note)
	select l.lead_id, l.contact_id, l.team_id, _note_event.at, leadstream._actor(), _note_event.what,
		   _note_event.old, _note_event.new, _note_event.note
	from leadstream.lead l where l.lead_id = lead;
end
$$;
comment on function leadstream._note_event(bigint, timestamptz, text, text, text, text) is
'notes what happened to a lead';

create function leadstream._move(lead bigint, stage text, reason text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	stages	text[];
	moment	timestamptz;
	l		record;
begin
	perform leadstream._not_null('lead', lead is null);
	perform leadstream._not_null('stage', stage is null);
	own_account := leadstream._account();
	if to_regclass('leadstream.lead') is null then
		perform leadstream._raise_not_attached();
	end if;
	lock table leadstream.lead in row exclusive mode;
	-- Before the lead is locked, which whoever renames a stage wants to write.
	perform leadstream._hold_stage(own_account, stage, false);
	stages := leadstream._stages(own_account);
	if stage <> all (stages) then
		perform leadstream._raise_no_stage(stage, stages);
	end if;
	perform leadstream._need_current(s.tableoid, s.ctid) from leadstream.stage s
	where s.account in (own_account, '') and s.stage = _move.stage;
	l := leadstream._lead(lead);
	if l.stage = stage then
		raise notice 'lead % is in stage "%" already', lead, stage;
		return;
	end if;
	moment := leadstream.clock();
	update leadstream.lead o
	set stage = _move.stage, stage_changed_at = moment, reason = _move.reason
	where o.lead_id = lead;
	perform leadstream._note_event(lead, moment, 'stage', l.stage, _move.stage, _move.reason);
end
$$;
comment on function leadstream._move(bigint, text, text) is
'moves a lead to another stage and notes who did it, when and why in lead_event; a lead in a closed stage leaves the board. '
'reason: why it stands there, such as why it was lost; it is gone from the lead when it is moved on.';

-- With the typmod -1 format_type() names char as bpchar, which cuts nothing off.
create function leadstream._key_literal(contact text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select format('%L::%s', contact, format_type(s.key_type, -1)) from leadstream.contact_source s
$$;
comment on function leadstream._key_literal(text) is
'the text of a key as a constant of its type, for a statement';

create function leadstream._leads_of(contact text) returns setof bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
begin
	perform leadstream._not_null('contact', contact is null);
	own_account := leadstream._account();
	perform leadstream._raise_not_attached();
	return query execute format(
		'select l.lead_id from leadstream.lead l '
		'join leadstream.team t on t.team_id = l.team_id and t.account = $1 '
		'where l.contact_id %s %s and leadstream.is_in_sight(l.team_id) order by l.team_id',
		leadstream._key_operator(), leadstream._key_literal(contact))
	using own_account;
end
$$;
comment on function leadstream._leads_of(text) is
'the leads of a contact in the current account, in the order of the teams';

create function leadstream._move_contact(contact text, stage text, reason text default null) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	lead	bigint;
	has_any	boolean := false;
	moved	bigint := 0;
begin
	perform leadstream._not_null('stage', stage is null);
	perform leadstream._hold_stage(leadstream._account(), stage, false);
	for lead in select * from leadstream._leads_of(contact) loop
		has_any := true;
		if (leadstream._lead(lead)).stage <> stage then
			perform leadstream._move(lead, stage, reason);
			moved := moved + 1;
		end if;
	end loop;
	if not has_any then
		raise exception 'contact "%" has no leads', contact
			using errcode = 'no_data_found',
				  hint = 'The view leadstream.leads lists the leads.';
	end if;
	return moved;
end
$$;
comment on function leadstream._move_contact(text, text, text) is
'the same, for drivers that send the key as a parameter of no type';

create function leadstream.move_contact(contact anyelement, stage text, reason text default null) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._not_null('contact', contact is null);
	return leadstream.move_contact(format('%s', contact), stage, reason);
end
$$;
comment on function leadstream.move_contact(anyelement, text, text) is
'moves the leads of a contact on all boards of the account to a stage; returns how many were not there yet';

create function leadstream._assign(lead bigint, sales_user text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	u		leadstream.sales_user;
	l		record;
	old_name text;
	team_name text;
begin
	perform leadstream._not_null('lead', lead is null);
	u := leadstream._sales_user(sales_user);
	-- From here on he neither goes nor is deactivated; before, he may have been.
	perform leadstream._hold('sales user', u.sales_user_id::text, false);
	u := leadstream._sales_user(sales_user);
	if not u.is_active then
		raise exception 'sales user "%" is not active', sales_user
			using errcode = 'object_not_in_prerequisite_state',
				  hint = format('Activate him first: select leadstream.activate_sales_user(%L);', sales_user);
	end if;
	l := leadstream._lead(lead);
	if not exists (select from leadstream.team_member m
				   where m.team_id = l.team_id and m.sales_user_id = u.sales_user_id) then
		select t.team into team_name from leadstream.team t where t.team_id = l.team_id;
		raise exception 'sales user "%" is not a member of team "%"', sales_user, team_name
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('Lead %s is on the board of that team.', lead),
				  hint = format('Make him one: select leadstream.add_member(%L, %L);', team_name, sales_user);
	end if;
	perform leadstream._need_current(o.tableoid, o.ctid) from leadstream.sales_user o
	where o.sales_user_id = u.sales_user_id;
	perform leadstream._need_current(m.tableoid, m.ctid) from leadstream.team_member m
	where m.team_id = l.team_id and m.sales_user_id = u.sales_user_id;
	if l.assignee_id = u.sales_user_id then
		raise notice 'lead % is assigned to "%" already', lead, sales_user;
		return;
	end if;
	update leadstream.lead o set assignee_id = u.sales_user_id where o.lead_id = lead;
	perform leadstream._note_event(lead, leadstream.clock(), 'assigned',
								   leadstream._sales_user_name(l.assignee_id), sales_user, null);
end
$$;
comment on function leadstream._assign(bigint, text) is
'gives a lead to a member of its team, whoever had it before';

create function leadstream._unassign(lead bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	l		record;
begin
	l := leadstream._lead(lead);
	if l.assignee_id is null then
		raise notice 'lead % is assigned to nobody already', lead;
		return;
	end if;
	update leadstream.lead o set assignee_id = null where o.lead_id = lead;
	perform leadstream._note_event(lead, leadstream.clock(), 'assigned',
								   leadstream._sales_user_name(l.assignee_id), null, null);
end
$$;
comment on function leadstream._unassign(bigint) is
'takes a lead from whoever has it; it is not handed out again by itself';

create function leadstream._set_hidden(lead bigint, hidden boolean, reason text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	l		record;
begin
	l := leadstream._lead(lead);
	if l.is_hidden = hidden then
		raise notice 'lead % is % already', lead, case when hidden then 'hidden' else 'not hidden' end;
		return;
	end if;
	update leadstream.lead o set is_hidden = hidden where o.lead_id = lead;
	perform leadstream._note_event(lead, leadstream.clock(),
								   case when hidden then 'hidden' else 'unhidden' end, null, null, reason);
end
$$;
comment on function leadstream._set_hidden(bigint, boolean, text) is
'takes a lead off the board or puts it back; a notice where it is so already';

create function leadstream._hide(lead bigint, reason text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_hidden(lead, true, reason);
end
$$;
comment on function leadstream._hide(bigint, text) is
'takes a lead off the board until unhide() puts it back; it keeps its stage and whoever works it, and new matches do not bring it back';

create function leadstream._unhide(lead bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_hidden(lead, false, null);
end
$$;
comment on function leadstream._unhide(bigint) is
'puts a hidden lead back on the board';

create function leadstream._delete_lead(lead bigint, reason text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	l		record;
begin
	l := leadstream._lead(lead);
	-- The trigger on lead notes no deletion that has been.
	perform leadstream._note_event(lead, leadstream.clock(), 'deleted', l.stage, null, reason);
	delete from leadstream.lead o where o.lead_id = lead;
end
$$;
comment on function leadstream._delete_lead(bigint, text) is
'removes a lead with its matches; its events stay. fetch_history() does not bring it back, a new row that matches does.';

create function leadstream._add_note(lead bigint, note text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._not_null('lead', lead is null);
	perform leadstream._not_null('note', note is null);
	if btrim(note, E' \t\n\r') = '' then
		raise exception 'the note is blank'
			using errcode = 'invalid_parameter_value';
	end if;
	perform leadstream._lead(lead);
	perform leadstream._note_event(lead, leadstream.clock(), 'note', null, null, note);
end
$$;
comment on function leadstream._add_note(bigint, text) is
'adds a note to the history of a lead';

revoke execute on function leadstream.move_contact(anyelement, text, text) from public;
