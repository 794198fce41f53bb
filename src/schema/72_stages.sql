-- 72_stages.sql
--
-- The stages of an account.  One that has none of its own uses the common ones,
-- those of the account '', until it changes something: then it gets a copy.
--
-- Leads bear the name of their stage, and three kinds of people write it.  Who
-- moves a lead shares a lock of the stage's name, which dropping or renaming it
-- wants alone.  Deliveries, and who makes a lead by hand, put it into the first
-- stage and take no lock of ours but that on leadstream.lead which every writer
-- has, before they look which stage is the first.  So a stage that is not the
-- first may go as soon as the writers of this moment have ended; and only while
-- the first is renamed must others wait.
--
-- Whoever changes stages excludes the others of the account by a lock of its
-- name.

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

create function leadstream._raise_no_stage(name text, stages text[]) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
	raise exception 'stage "%" does not exist', name
		using errcode = 'undefined_object',
			  hint = format('Stages are: %s.', (
				select string_agg(format('"%s"', u.s), ', ' order by u.i)
				from unnest(stages) with ordinality as u(s, i)));
end
$$;
comment on function leadstream._raise_no_stage(text, text[]) is
'error 42704';

create function leadstream._hold_stage(account text, name text, for_change boolean) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	select leadstream._hold('stage', format('%L of %L', name, account), for_change)
$$;
comment on function leadstream._hold_stage(text, text, boolean) is
'a lock of a stage until the end of the transaction, shared by those who move leads into it';

create function leadstream._own_stages() returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
begin
	own_account := leadstream._account();
	perform leadstream._hold('stages', own_account, true);
	insert into leadstream.stage (account, stage, position, is_closed)
	select own_account, s.stage, s.position, s.is_closed
	from leadstream.stage s
	where s.account = '' and own_account <> ''
	  and not exists (select from leadstream.stage o where o.account = own_account)
	on conflict do nothing;
	return own_account;
end
$$;
comment on function leadstream._own_stages() is
'the current account, whose stages nobody else changes until the end of the transaction, and which has some of its own from now on';

-- Place 1 is the first; a stage goes behind all others of its sort, open or
-- closed, if nothing else is said.
create function leadstream._place_stage(account text, name text, place integer) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	stages	text[] := array(
		select s.stage from leadstream.stage s
		where s.account = _place_stage.account and s.stage <> name
		order by s.position, s.stage);
begin
	if place is null then
		select count(*) + 1 into place from leadstream.stage s
		where s.account = _place_stage.account and s.stage <> name
		  and (not s.is_closed
			   or (select o.is_closed from leadstream.stage o
				   where o.account = _place_stage.account and o.stage = name));
	end if;
	stages := stages[:place - 1] || name || stages[place:];
	update leadstream.stage s set position = array_position(stages, s.stage)
	where s.account = _place_stage.account
	  and s.position <> array_position(stages, s.stage);
end
$$;
comment on function leadstream._place_stage(text, text, integer) is
'puts a stage of an account into its place, and numbers them all from 1';

create function leadstream._check_stages(account text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	first	record;
begin
	select s.stage, s.is_closed into first from leadstream.stage s
	where s.account = _check_stages.account
	order by s.position, s.stage limit 1;
	if not found or first.is_closed then
		raise exception 'the first stage must be an open one'
			using errcode = 'object_not_in_prerequisite_state',
				  detail = coalesce(format('"%s" would be the first, and is closed.', first.stage),
									'There would be no stage.'),
				  hint = 'New leads begin in the first stage: put an open one there.';
	end if;
end
$$;
comment on function leadstream._check_stages(text) is
'error 55000 unless an account has an open stage for leads to begin in';

create function leadstream._check_place(place integer) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if place < 1 then
		raise exception 'place must be at least 1'
			using errcode = 'invalid_parameter_value',
				  detail = format('It is %s.', place);
	end if;
end
$$;
comment on function leadstream._check_place(integer) is
'error 22023 if a stage cannot have it';

create function leadstream.create_stage(
	name text,
	place integer default null,
	is_closed boolean default false
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
begin
	perform leadstream._check_name('name', name);
	perform leadstream._not_null('is_closed', is_closed is null);
	perform leadstream._check_place(create_stage.place);
	own_account := leadstream._own_stages();
	insert into leadstream.stage (account, stage, position, is_closed)
	values (own_account, name, 0, create_stage.is_closed)
	on conflict do nothing;
	if not found then
		perform leadstream._raise_duplicate('stage', name);
	end if;
	perform leadstream._place_stage(own_account, name, create_stage.place);
	perform leadstream._check_stages(own_account);
end
$$;
comment on function leadstream.create_stage(text, integer, boolean) is
'adds a stage. place: 1 is the first, where new leads begin; default: behind the others, an open stage before those that are closed. '
'is_closed: a lead in it is done and leaves the board. An account that used the common stages gets its own copy of them.';

-- Whoever had found the stage to be the first has ended, and the others know.
create function leadstream._await_lead_writers(account text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	if to_regclass('leadstream.lead') is null then
		return;
	end if;
	perform leadstream.wait_for_writers(array['leadstream.lead'::regclass]);
	if exists (select from leadstream.stage s
			   where s.account = _await_lead_writers.account
				 and age(s.xmin) <= 0) then
		-- This transaction has changed them, or one that is younger: of what is
		-- ours others do not know yet.
		lock table leadstream.lead in share row exclusive mode;
	end if;
end
$$;
comment on function leadstream._await_lead_writers(text) is
'waits for those who are writing leads; where this transaction has changed stages of the account, holds them up until the end';

create function leadstream._rename_stage(account text, name text, new_name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	moment	timestamptz;
begin
	perform leadstream._need_fresh('renaming a stage');
	perform leadstream._check_name('new_name', new_name);
	if to_regclass('leadstream.lead') is not null
	   and name = (leadstream._stages(account))[1] then
		perform leadstream.wait_for_writers(array['leadstream.lead'::regclass]);
		lock table leadstream.lead in share row exclusive mode;
	end if;
	perform leadstream._hold_stage(account, name, true);
	begin
		update leadstream.stage s set stage = new_name
		where s.account = _rename_stage.account and s.stage = name;
	exception when unique_violation then
		perform leadstream._raise_duplicate('stage', new_name);
	end;
	if to_regclass('leadstream.lead') is not null then
		moment := leadstream.clock();
		with renamed as (
			update leadstream.lead l set stage = new_name
			from leadstream.team t
			where l.stage = name and t.team_id = l.team_id and t.account = _rename_stage.account
			returning l.lead_id, l.contact_id, l.team_id)
		insert into leadstream.lead_event (lead_id, contact_id, team_id, at, actor, what, old, new, note)
		select r.lead_id, r.contact_id, r.team_id, moment, leadstream._actor(), 'renamed', name, new_name,
			   null
		from renamed r order by r.lead_id;
	end if;
end
$$;
comment on function leadstream._rename_stage(text, text, text) is
'gives a stage and the leads in it another name, and notes it of each, so that their histories go on';

create function leadstream.alter_stage(
	name text,
	new_name text default null,
	place integer default null,
	is_closed boolean default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
begin
	perform leadstream._not_null('name', name is null);
	perform leadstream._check_place(alter_stage.place);
	own_account := leadstream._own_stages();
	if not exists (select from leadstream.stage s where s.account = own_account and s.stage = name) then
		perform leadstream._raise_no_stage(name, leadstream._stages(own_account));
	end if;
	if new_name <> name then
		perform leadstream._rename_stage(own_account, name, new_name);
	end if;
	update leadstream.stage s set is_closed = alter_stage.is_closed
	where s.account = own_account and s.stage = coalesce(new_name, name)
	  and s.is_closed <> alter_stage.is_closed;
	if alter_stage.place is not null then
		perform leadstream._place_stage(own_account, coalesce(new_name, name), alter_stage.place);
	end if;
	perform leadstream._check_stages(own_account);
end
$$;
comment on function leadstream.alter_stage(text, text, integer, boolean) is
'changes what is given of a stage and leaves the rest. A new name goes to the leads in it, which is noted of each as renamed: it has not moved; '
'that of the first stage holds up those who make leads until the end of the transaction.';

create function leadstream.drop_stage(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	stages	text[];
	leads	bigint := 0;
begin
	perform leadstream._not_null('name', name is null);
	perform leadstream._need_fresh('drop_stage()');
	own_account := leadstream._own_stages();
	stages := leadstream._stages(own_account);
	if name <> all (stages) then
		perform leadstream._raise_no_stage(name, stages);
	end if;
	if name = stages[1] then
		raise exception 'stage "%" is the first', name
			using errcode = 'object_not_in_prerequisite_state',
				  detail = 'New leads begin in it.',
				  hint = 'Put another one first: select leadstream.alter_stage(''…'', place => 1);';
	end if;
	-- Before the stage is locked: they may want to move a lead into it.
	perform leadstream._await_lead_writers(own_account);
	perform leadstream._hold_stage(own_account, name, true);
	if to_regclass('leadstream.lead') is not null then
		select count(*) into leads from leadstream.lead l
		join leadstream.team t on t.team_id = l.team_id and t.account = own_account
		where l.stage = name;
	end if;
	if leads > 0 then
		raise exception 'leads stand in stage "%"', name
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('Leads: %s.', leads),
				  hint = format('Move them first: select leadstream.move(lead_id, ''…'') from leadstream.leads where stage = %L;', name);
	end if;
	delete from leadstream.stage s where s.account = own_account and s.stage = name;
	update leadstream.stage s set position = o.place
	from (select r.stage, row_number() over (order by r.position, r.stage) as place
		  from leadstream.stage r where r.account = own_account) o
	where s.account = own_account and s.stage = o.stage and s.position <> o.place;
end
$$;
comment on function leadstream.drop_stage(text) is
'removes a stage in which no leads stand, and which is not the first. What lead_event says of it stays. Waits for transactions that are writing leads.';

revoke execute on function
	leadstream.create_stage(text, integer, boolean),
	leadstream.alter_stage(text, text, integer, boolean),
	leadstream.drop_stage(text)
from public;
