-- 70_board.sql
--
-- Teams.  The row of a team is locked FOR NO KEY UPDATE at most, but where it is
-- renamed or dropped: whoever delivers to it holds a key share lock on it.

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
	perform leadstream._need_fresh('drop_team()');
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
	delete from leadstream.team_member m where m.team_id = id;
	delete from leadstream.hand_out h where h.team_id = id;
	delete from leadstream.team t where t.team_id = id;
end
$$;
comment on function leadstream.drop_team(text) is
'removes a team that has no leads and to which no stream delivers; its members are members no more';

create function leadstream._team(name text) returns leadstream.team
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	found_team leadstream.team;
begin
	perform leadstream._not_null('team', name is null);
	own_account := leadstream._account();
	select t.* into found_team from leadstream.team t
	where t.account = own_account and t.team = name;
	if not found then
		perform leadstream._raise_no_team(name);
	end if;
	return found_team;
end
$$;
comment on function leadstream._team(text) is
'the team of a name; error 42704 if there is none';

create function leadstream.alter_team(
	name text,
	new_name text default null,
	hands_out boolean default null,
	notifies boolean default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	t		leadstream.team;
begin
	t := leadstream._team(name);
	if new_name <> name then
		perform leadstream._check_name('new_name', new_name);
		begin
			update leadstream.team o set team = new_name where o.team_id = t.team_id;
		exception when unique_violation then
			perform leadstream._raise_duplicate('team', new_name);
		end;
	end if;
	-- Not in one statement, for naming a key column would lock the row against
	-- those who deliver.
	update leadstream.team o
	set hands_out = coalesce(alter_team.hands_out, o.hands_out),
		notifies = coalesce(alter_team.notifies, o.notifies)
	where o.team_id = t.team_id;
end
$$;
comment on function leadstream.alter_team(text, text, boolean, boolean) is
'changes what is given of a team and leaves the rest. hands_out: new leads are assigned to its members in turn, as their transaction commits. '
'notifies: those who listen are told of new leads.';

create function leadstream._set_team_active(name text, active boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	t		leadstream.team;
begin
	t := leadstream._team(name);
	update leadstream.team o set is_active = active
	where o.team_id = t.team_id and o.is_active <> active;
	if not found then
		raise notice 'team "%" is % already', name,
			case when active then 'active' else 'inactive' end;
	end if;
end
$$;
comment on function leadstream._set_team_active(text, boolean) is
'activates or deactivates a team; a notice where it is so already';

create function leadstream.activate_team(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_team_active(name, true);
end
$$;
comment on function leadstream.activate_team(text) is
'from the commit on, streams deliver to the team again; what it missed, fetch_history() brings. Stops nobody and waits for nobody.';

create function leadstream.deactivate_team(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_team_active(name, false);
end
$$;
comment on function leadstream.deactivate_team(text) is
'from the commit on, the team gets no new leads, neither from streams nor by hand; its leads stay on its board, to be worked. Stops nobody and waits for nobody.';

revoke execute on function
	leadstream.alter_team(text, text, boolean, boolean),
	leadstream.activate_team(text),
	leadstream.deactivate_team(text)
from public;
