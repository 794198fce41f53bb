-- 71_sales_users.sql
--
-- The people who work leads, and the teams they belong to.
--
-- Whoever gives a lead to a sales user shares a lock of that name, and whoever
-- is about to remove him, or a membership of his, wants it for himself: a row
-- lock would ask everybody who assigns leads for UPDATE on the table.  What is
-- handed out in turn (hand_out.c) holds the row of the membership instead.

create function leadstream._hold(what text, name text, for_change boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	key constant bigint := hashtextextended(format('leadstream %s %s', what, name), 0);
begin
	if for_change then
		perform pg_advisory_xact_lock(key);
	else
		perform pg_advisory_xact_lock_shared(key);
	end if;
end
$$;
comment on function leadstream._hold(text, text, boolean) is
'a lock of a name until the end of the transaction, shared by those who only point at what it stands for';

-- What others did until a moment ago decides whether something may go.
create function leadstream._need_fresh(what text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
		raise exception '% has to see what others have just committed', what
			using errcode = 'invalid_transaction_state',
				  detail = format('The transaction is %s.', upper(current_setting('transaction_isolation'))),
				  hint = 'Call it in a READ COMMITTED transaction.';
	end if;
end
$$;
comment on function leadstream._need_fresh(text) is
'error 25000 in REPEATABLE READ and SERIALIZABLE';

create function leadstream._need_current(relation regclass, version tid) returns void
language c stable strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_need_current';
comment on function leadstream._need_current(regclass, tid) is
'error 40001 in REPEATABLE READ and SERIALIZABLE if a stage, sales user or member has changed since the transaction''s snapshot';

create function leadstream._sales_user(name text) returns leadstream.sales_user
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	found_user leadstream.sales_user;
begin
	perform leadstream._not_null('sales_user', name is null);
	own_account := leadstream._account();
	select u.* into found_user from leadstream.sales_user u
	where u.account = own_account and u.sales_user = name;
	if not found then
		raise exception 'sales user "%" does not exist', name
			using errcode = 'undefined_object',
				  hint = coalesce('Sales users are: ' || leadstream._known(name, array(
									select u.sales_user from leadstream.sales_user u
									where u.account = own_account)) || '.',
								  'There are none yet: create one with leadstream.create_sales_user().');
	end if;
	return found_user;
end
$$;
comment on function leadstream._sales_user(text) is
'the sales user of a name; error 42704 if there is none';

create function leadstream._sales_user_name(id integer) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select u.sales_user from leadstream.sales_user u where u.sales_user_id = id
$$;
comment on function leadstream._sales_user_name(integer) is
'the name of a sales user';

create function leadstream.create_sales_user(
	name text,
	email text default null,
	role regrole default null
) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	new_id	integer;
begin
	perform leadstream._check_name('name', name);
	own_account := leadstream._account();
	insert into leadstream.sales_user (account, sales_user, email, role)
	values (own_account, name, nullif(create_sales_user.email, ''), create_sales_user.role)
	on conflict on constraint sales_user_account_sales_user_key do nothing
	returning sales_user_id into new_id;
	if not found then
		perform leadstream._raise_duplicate('sales user', name);
	end if;
	return new_id;
end
$$;
comment on function leadstream.create_sales_user(text, text, regrole) is
'creates a sales user, who belongs to no team yet; returns the id. role: the database role that he logs in as, if he does.';

create function leadstream.alter_sales_user(
	name text,
	new_name text default null,
	email text default null,
	role regrole default null,
	no_role boolean default false
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	u		leadstream.sales_user;
begin
	u := leadstream._sales_user(name);
	perform leadstream._not_null('no_role', no_role is null);
	if no_role and role is not null then
		raise exception 'role and no_role contradict each other'
			using errcode = 'invalid_parameter_value',
				  hint = 'Give one of them.';
	end if;
	if new_name <> name then
		perform leadstream._check_name('new_name', new_name);
		begin
			update leadstream.sales_user o set sales_user = new_name
			where o.sales_user_id = u.sales_user_id;
		exception when unique_violation then
			perform leadstream._raise_duplicate('sales user', new_name);
		end;
	end if;
	update leadstream.sales_user o
	set email = nullif(coalesce(alter_sales_user.email, o.email), ''),
		role = case when no_role then null else coalesce(alter_sales_user.role, o.role) end
	where o.sales_user_id = u.sales_user_id;
end
$$;
comment on function leadstream.alter_sales_user(text, text, text, regrole, boolean) is
'changes what is given of a sales user and leaves the rest; an empty email removes it, and no_role takes the role away. '
'In lead_event he goes on under the name he had then.';

create function leadstream._hold_sales_user(id integer) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._hold('sales user', id::text, true);
	perform from leadstream.team_member m where m.sales_user_id = id
	order by m.team_id for update;
end
$$;
comment on function leadstream._hold_sales_user(integer) is
'waits for those who are assigning leads to a sales user or handing him some, and keeps others from it until the end of the transaction';

create function leadstream._set_sales_user_active(name text, active boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	u		leadstream.sales_user;
begin
	u := leadstream._sales_user(name);
	if not active then
		perform leadstream._hold_sales_user(u.sales_user_id);
	end if;
	update leadstream.sales_user o set is_active = active
	where o.sales_user_id = u.sales_user_id and o.is_active <> active;
	if not found then
		raise notice 'sales user "%" is % already', name,
			case when active then 'active' else 'inactive' end;
	end if;
end
$$;
comment on function leadstream._set_sales_user_active(text, boolean) is
'activates or deactivates a sales user; a notice where it is so already';

create function leadstream.activate_sales_user(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_sales_user_active(name, true);
end
$$;
comment on function leadstream.activate_sales_user(text) is
'a sales user may be given leads again';

create function leadstream.deactivate_sales_user(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_sales_user_active(name, false);
end
$$;
comment on function leadstream.deactivate_sales_user(text) is
'a sales user keeps the leads he has and is given no more. Waits for those who are assigning leads to him, or handing him some.';

-- His open leads, in one of his teams or in all.
create function leadstream._open_leads(sales_user_id integer, of_team integer default null) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	result	bigint := 0;
begin
	if to_regclass('leadstream.lead') is not null then
		select count(*) into result
		from leadstream.lead l
		join leadstream.team t on t.team_id = l.team_id
		left join leadstream.stage s on s.account = t.account and s.stage = l.stage
		left join leadstream.stage d on d.account = '' and d.stage = l.stage
		where l.assignee_id = _open_leads.sales_user_id
		  and (of_team is null or l.team_id = of_team)
		  and not coalesce(s.is_closed, d.is_closed, false);
	end if;
	return result;
end
$$;
comment on function leadstream._open_leads(integer, integer) is
'how many open leads a sales user has, of a team or of all';

create function leadstream.drop_sales_user(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	u		leadstream.sales_user;
	leads	bigint;
	moment	timestamptz;
begin
	perform leadstream._need_fresh('drop_sales_user()');
	u := leadstream._sales_user(name);
	perform leadstream._hold_sales_user(u.sales_user_id);
	leads := leadstream._open_leads(u.sales_user_id);
	if leads > 0 then
		raise exception 'sales user "%" has open leads', name
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('Open leads: %s.', leads),
				  hint = format('Give them to others, with assign() or unassign(); or only see that no more come: select leadstream.deactivate_sales_user(%L);', name);
	end if;
	-- What is closed was his, as lead_event goes on to say.
	if to_regclass('leadstream.lead') is not null then
		moment := leadstream.clock();
		insert into leadstream.lead_event (lead_id, contact_id, team_id, at, actor, what, old, note)
		select l.lead_id, l.contact_id, l.team_id, moment, leadstream._actor(), 'assigned', name,
			   'sales user dropped'
		from leadstream.lead l where l.assignee_id = u.sales_user_id
		order by l.lead_id;
		update leadstream.lead l set assignee_id = null where l.assignee_id = u.sales_user_id;
	end if;
	delete from leadstream.team_member m where m.sales_user_id = u.sales_user_id;
	delete from leadstream.sales_user o where o.sales_user_id = u.sales_user_id;
end
$$;
comment on function leadstream.drop_sales_user(text) is
'removes a sales user who has no open leads; closed ones are nobody''s from then on, and lead_event tells whose they were. '
'Waits for those who are assigning leads to him.';

---------------------------------------------------------------------------
-- Members of teams
---------------------------------------------------------------------------

create function leadstream._check_max_open(max_open integer) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if max_open < 0 then
		raise exception 'max_open must not be negative'
			using errcode = 'invalid_parameter_value',
				  detail = format('It is %s.', max_open);
	end if;
end
$$;
comment on function leadstream._check_max_open(integer) is
'error 22023 if a member cannot have it';

create function leadstream.add_member(team text, sales_user text, max_open integer default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	u		leadstream.sales_user;
	id		integer;
begin
	perform leadstream._not_null('team', team is null);
	u := leadstream._sales_user(sales_user);
	perform leadstream._check_max_open(max_open);
	-- against those who drop one or the other
	id := (leadstream._team_ids(array[team]))[1];
	perform from leadstream.sales_user o where o.sales_user_id = u.sales_user_id for key share;
	if not found then
		u := leadstream._sales_user(sales_user);
	end if;
	insert into leadstream.team_member (team_id, sales_user_id, max_open)
	values (id, u.sales_user_id, add_member.max_open)
	on conflict do nothing;
	if not found then
		raise notice 'sales user "%" is a member of team "%" already', sales_user, team;
	end if;
end
$$;
comment on function leadstream.add_member(text, text, integer) is
'makes a sales user a member of a team; he may belong to several. max_open: leads are handed to him only while fewer open ones of the team are his.';

create function leadstream._member(team text, sales_user text, for_removal boolean default false)
returns leadstream.team_member
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	t		leadstream.team;
	u		leadstream.sales_user;
	m		leadstream.team_member;
begin
	t := leadstream._team(team);
	u := leadstream._sales_user(sales_user);
	if for_removal then
		perform leadstream._hold('sales user', u.sales_user_id::text, true);
		select o.* into m from leadstream.team_member o
		where o.team_id = t.team_id and o.sales_user_id = u.sales_user_id
		for update;
	else
		select o.* into m from leadstream.team_member o
		where o.team_id = t.team_id and o.sales_user_id = u.sales_user_id
		for no key update;
	end if;
	if not found then
		raise exception 'sales user "%" is not a member of team "%"', sales_user, team
			using errcode = 'undefined_object',
				  hint = format('Make him one: select leadstream.add_member(%L, %L);', team, sales_user);
	end if;
	return m;
end
$$;
comment on function leadstream._member(text, text, boolean) is
'the membership of a sales user in a team, locked; error 42704 if there is none';

create function leadstream.alter_member(team text, sales_user text, max_open integer) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	m		leadstream.team_member;
begin
	m := leadstream._member(team, sales_user);
	perform leadstream._check_max_open(max_open);
	update leadstream.team_member o set max_open = alter_member.max_open
	where o.team_id = m.team_id and o.sales_user_id = m.sales_user_id;
end
$$;
comment on function leadstream.alter_member(text, text, integer) is
'says how many open leads of the team a member may be handed; null: any number. What he has stays his.';

create function leadstream._set_member_paused(team text, sales_user text, paused boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	m		leadstream.team_member;
begin
	m := leadstream._member(team, sales_user);
	if m.is_paused = paused then
		raise notice 'sales user "%" is % in team "%" already', sales_user,
			case when paused then 'paused' else 'not paused' end, team;
		return;
	end if;
	update leadstream.team_member o set is_paused = paused
	where o.team_id = m.team_id and o.sales_user_id = m.sales_user_id;
end
$$;
comment on function leadstream._set_member_paused(text, text, boolean) is
'pauses a member of a team or ends that; a notice where it is so already';

create function leadstream.pause_member(team text, sales_user text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_member_paused(team, sales_user, true);
end
$$;
comment on function leadstream.pause_member(text, text) is
'passes a member over when leads of the team are handed out, while he is on leave for example; leads may still be assigned to him by hand';

create function leadstream.resume_member(team text, sales_user text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._set_member_paused(team, sales_user, false);
end
$$;
comment on function leadstream.resume_member(text, text) is
'lets a member take part again when leads of the team are handed out';

create function leadstream.remove_member(team text, sales_user text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	m		leadstream.team_member;
	leads	bigint;
begin
	perform leadstream._need_fresh('remove_member()');
	m := leadstream._member(team, sales_user, for_removal => true);
	leads := leadstream._open_leads(m.sales_user_id, m.team_id);
	if leads > 0 then
		raise exception 'sales user "%" has open leads of team "%"', sales_user, team
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('Open leads: %s.', leads),
				  hint = format('Give them to others, with assign() or unassign(); or only see that no more come: select leadstream.pause_member(%L, %L);', team, sales_user);
	end if;
	delete from leadstream.team_member o
	where o.team_id = m.team_id and o.sales_user_id = m.sales_user_id;
end
$$;
comment on function leadstream.remove_member(text, text) is
'takes a sales user who has no open leads of the team out of it; its closed ones stay his. Waits for those who are assigning leads to him.';

revoke execute on function
	leadstream.create_sales_user(text, text, regrole),
	leadstream.alter_sales_user(text, text, text, regrole, boolean),
	leadstream.activate_sales_user(text),
	leadstream.deactivate_sales_user(text),
	leadstream.drop_sales_user(text),
	leadstream.add_member(text, text, integer),
	leadstream.alter_member(text, text, integer),
	leadstream.pause_member(text, text),
	leadstream.resume_member(text, text),
	leadstream.remove_member(text, text)
from public;
