-- 60_streams.sql
--
-- The life of a stream: created, enabled, altered, disabled, cleared, dropped.
-- Whoever calls needs EXECUTE on the function and the rights on the tables it
-- writes; a stream obeys its owner, the members of the owner and superusers.
--
-- The row of the stream is locked FOR NO KEY UPDATE at most: captures hold a
-- key share lock on it while they deliver and must not be held up.

create function leadstream._account() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account constant text := leadstream.current_account();
begin
	if own_account = '' and exists (select from leadstream.contact_source s
								where s.account_column is not null)
	then
		raise exception 'no account is set'
			using errcode = 'object_not_in_prerequisite_state',
				  detail = 'The contacts belong to accounts, and so do streams, teams and leads.',
				  hint = 'Name the account to work in: set leadstream.account = ''…'';';
	end if;
	return own_account;
end
$$;
comment on function leadstream._account() is
'the current account; error 55000 where the contacts have accounts and none is set';

-- The most alike first: the same but for case, one inside the other, the same
-- beginning.
create function leadstream._known(wanted text, names text[]) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select string_agg(format('"%s"', k.name), ', ' order by k.rank, k.name)
	from (
		select n.name, case
				when lower(n.name) = lower(wanted) then 1
				when strpos(lower(n.name), lower(wanted)) > 0
				  or strpos(lower(wanted), lower(n.name)) > 0 then 2
				when left(lower(n.name), 3) = left(lower(wanted), 3) then 3
				else 4
			end as rank
		from unnest(names) as n(name)
		order by rank, n.name
		limit 10
	) as k
$$;
comment on function leadstream._known(text, text[]) is
'up to ten names that exist, those most like the wanted one first; null if there are none';

create function leadstream._stream(name text, for_change boolean default true, for_owner boolean default true)
returns leadstream.stream
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	found_stream leadstream.stream;
begin
	perform leadstream._not_null('name', name is null);
	own_account := leadstream._account();
	if for_change then
		select s.* into found_stream from leadstream.stream s
		where s.account = own_account and s.stream = name
		for no key update;
	else
		select s.* into found_stream from leadstream.stream s
		where s.account = own_account and s.stream = name;
	end if;
	if not found then
		raise exception 'stream "%" does not exist', name
			using errcode = 'undefined_object',
				  hint = coalesce('Streams are: ' || leadstream._known(name, array(
									select s.stream from leadstream.stream s
									where s.account = own_account)) || '.',
								  'There are no streams yet: create one with leadstream.create_stream().');
	end if;
	if for_owner and not pg_has_role(found_stream.owner::oid, 'usage') then
		raise exception 'must be owner of stream "%"', name
			using errcode = 'insufficient_privilege',
				  detail = format('Its owner is %s.', found_stream.owner);
	end if;
	return found_stream;
end
$$;
comment on function leadstream._stream(text, boolean, boolean) is
'the stream of a name, locked where it is going to change; error unless it exists and, where it takes them, the caller has the rights of its owner';

-- Whoever renames a column holds its table and wants the streams that name it,
-- so tables come before streams.
create function leadstream._meet_tables(rule leadstream.rule) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	if rule is not null then
		perform leadstream.rule_problem(rule, leadstream._account());
	end if;
end
$$;
comment on function leadstream._meet_tables(leadstream.rule) is
'waits for those who are changing tables that a rule speaks of';

create function leadstream._raise_no_team(name text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	raise exception 'team "%" does not exist', name
		using errcode = 'undefined_object',
			  hint = coalesce('Teams are: ' || leadstream._known(name, array(
								select t.team from leadstream.team t
								where t.account = leadstream.current_account())) || '.',
							  'There are no teams yet: create one with leadstream.create_team().');
end
$$;
comment on function leadstream._raise_no_team(text) is
'error 42704';

create function leadstream._team_ids(teams text[]) returns integer[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account constant text := leadstream._account();
	team_name text;
	found_id integer;
	ids		integer[] := '{}';
begin
	foreach team_name in array teams loop
		perform leadstream._not_null('teams', team_name is null);
		select t.team_id into found_id from leadstream.team t
		where t.account = own_account and t.team = team_name
		for key share;
		if not found then
			perform leadstream._raise_no_team(team_name);
		end if;
		ids := ids || found_id;
	end loop;
	return ids;
end
$$;
comment on function leadstream._team_ids(text[]) is
'the ids of teams by name, locked against drop_team(); error 42704 for one that does not exist';

create function leadstream._set_teams(stream_id integer, team_ids integer[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	delete from leadstream.stream_team t
	where t.stream_id = _set_teams.stream_id and t.team_id <> all (team_ids);
	insert into leadstream.stream_team (stream_id, team_id)
	select distinct _set_teams.stream_id, u.team_id from unnest(team_ids) as u(team_id)
	on conflict do nothing;
$$;
comment on function leadstream._set_teams(integer, integer[]) is
'makes these the teams of a stream';

create function leadstream._raise_duplicate(what text, name text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
	raise exception '% "%" exists already', what, name
		using errcode = 'duplicate_object',
			  hint = 'Choose another name.';
end
$$;
comment on function leadstream._raise_duplicate(text, text) is
'error 42710';

create function leadstream._check_requalify(requalify_after interval) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if requalify_after < interval '0' or not isfinite(requalify_after) then
		raise exception 'requalify_after must be finite and not negative'
			using errcode = 'invalid_parameter_value',
				  detail = format('It is %s.', requalify_after);
	end if;
end
$$;
comment on function leadstream._check_requalify(interval) is
'error 22023 if a stream cannot have it';

create function leadstream.create_stream(
	name text,
	rule leadstream.rule,
	teams text[] default '{}',
	description text default null,
	requalify_after interval default null
) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	team_ids integer[];
	new_id	integer;
begin
	perform leadstream._check_name('name', name);
	perform leadstream._not_null('rule', rule is null);
	perform leadstream._not_null('teams', teams is null);
	perform leadstream._check_requalify(requalify_after);
	perform leadstream._raise_not_attached();
	own_account := leadstream._account();
	perform leadstream._hold_segments(rule);
	perform leadstream._hold_scores(rule);
	team_ids := leadstream._team_ids(teams);
	perform leadstream.check_rule(rule);
	insert into leadstream.stream (account, stream, description, rule, requalify_after)
	values (own_account, name, create_stream.description, create_stream.rule,
			create_stream.requalify_after)
	on conflict on constraint stream_account_stream_key do nothing
	returning stream_id into new_id;
	if not found then
		perform leadstream._raise_duplicate('stream', name);
	end if;
	insert into leadstream.stream_version (stream_id, rule_version, rule, expanded)
	values (new_id, 1, create_stream.rule,
			leadstream._expand_rule(create_stream.rule, own_account));
	perform leadstream._set_teams(new_id, team_ids);
	return new_id;
end
$$;
comment on function leadstream.create_stream(text, leadstream.rule, text[], text, interval) is
'creates a lead stream, disabled, that delivers the contacts of which the rule is true to the boards of the teams; returns its id. '
'The rule is checked against the attached tables, and the caller needs SELECT on every column it names. '
'Teams may be given later, but the stream needs one to be enabled. The caller becomes its owner. '
'With requalify_after a new match, so long after the one on record, puts a lead that is closed back into the first stage.';

create function leadstream.alter_stream(
	name text,
	rule leadstream.rule default null,
	teams text[] default null,
	description text default null,
	new_name text default null,
	requalify_after interval default null,
	never_requalify boolean default false
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	s		leadstream.stream;
	team_ids integer[];
begin
	-- before the stream, as who changes these does
	perform leadstream._hold_segments(rule);
	perform leadstream._hold_scores(rule);
	perform leadstream._meet_tables(rule);
	s := leadstream._stream(name);
	perform leadstream._check_requalify(requalify_after);
	if never_requalify and requalify_after is not null then
		raise exception 'requalify_after and never_requalify contradict each other'
			using errcode = 'invalid_parameter_value',
				  hint = 'Give one of them.';
	end if;
	if teams is not null then
		team_ids := leadstream._team_ids(teams);
		if s.is_enabled and team_ids = '{}' then
			raise exception 'an enabled stream needs a team'
				using errcode = 'object_not_in_prerequisite_state',
					  hint = format('Disable it first: select leadstream.disable(%L);', name);
		end if;
		perform leadstream._set_teams(s.stream_id, team_ids);
	end if;
	-- The canonical text tells whether it is another rule.
	if rule is not null and rule::text <> s.rule::text then
		perform leadstream.check_rule(rule);
		s.rule := rule;
		s.rule_version := s.rule_version + 1;
		insert into leadstream.stream_version (stream_id, rule_version, rule, expanded)
		values (s.stream_id, s.rule_version, s.rule,
				leadstream._expand_rule(s.rule, s.account));
	end if;
	if new_name <> name then
		perform leadstream._check_name('new_name', new_name);
		if exists (select from leadstream.stream o
				   where o.account = s.account and o.stream = new_name)
		then
			perform leadstream._raise_duplicate('stream', new_name);
		end if;
		update leadstream.stream o set stream = new_name
		where o.stream_id = s.stream_id;
	end if;
	-- Not the name in the same statement: naming a key column, changed or
	-- not, would lock the row against the captures that are delivering.
	update leadstream.stream o
	set rule = s.rule, rule_version = s.rule_version,
		description = nullif(coalesce(alter_stream.description, s.description), ''),
		requalify_after = case when never_requalify then null
							   else coalesce(alter_stream.requalify_after, s.requalify_after) end
	where o.stream_id = s.stream_id;
end
$$;
comment on function leadstream.alter_stream(text, leadstream.rule, text[], text, text, interval, boolean) is
'changes what is given of a stream and leaves the rest. A new rule holds for new matches from then on, also of an enabled stream; '
'the leads that the old rule made stay, and their matches name its version. '
'teams are all the teams from now on; an empty description removes it, and never_requalify takes back requalify_after.';

create function leadstream.enable(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	s		leadstream.stream;
begin
	perform leadstream._meet_tables((leadstream._stream(name, for_change => false)).rule);
	s := leadstream._stream(name);
	if s.is_enabled then
		raise notice 'stream "%" is enabled already', name;
		return;
	end if;
	perform leadstream._raise_not_attached();
	if not exists (select from leadstream.stream_team t where t.stream_id = s.stream_id) then
		raise exception 'stream "%" has no team', name
			using errcode = 'object_not_in_prerequisite_state',
				  detail = 'Its leads would have no board to go to.',
				  hint = format('Give it one: select leadstream.alter_stream(%L, teams => ''{…}'');',
								name);
	end if;
	perform leadstream.check_rule(s.rule);
	update leadstream.stream o set is_enabled = true where o.stream_id = s.stream_id;
end
$$;
comment on function leadstream.enable(text) is
'from the commit on, new matches of the stream make leads; contacts that match already stay silent until fetch_history() is called. '
'Stops nobody and waits for nobody.';

create function leadstream.disable(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	s		leadstream.stream;
begin
	s := leadstream._stream(name);
	if not s.is_enabled then
		raise notice 'stream "%" is disabled already', name;
		return;
	end if;
	update leadstream.stream o set is_enabled = false where o.stream_id = s.stream_id;
end
$$;
comment on function leadstream.disable(text) is
'from the commit on, statements that begin make no leads of the stream; its leads stay. Stops nobody and waits for nobody.';

create function leadstream._raise_enabled(name text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
	raise exception 'stream "%" is enabled', name
		using errcode = 'object_not_in_prerequisite_state',
			  hint = format('Disable it first: select leadstream.disable(%L);', name);
end
$$;
comment on function leadstream._raise_enabled(text) is
'error 55000';

-- A statement in flight may be about to make a match of the stream, which must
-- not find it gone: that would be an error to somebody who only inserts.
create function leadstream._await_writers(of_stream integer default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	relations constant regclass[] := array(
		select q.contacts from leadstream.contact_source q
		join pg_class c on c.oid = q.contacts
		union
		select a.activity from leadstream.activity_source a
		join pg_class c on c.oid = a.activity
		where of_stream is null or exists (
			select from leadstream.stream_version v
			where v.stream_id = of_stream
			  and a.kind = any (leadstream.rule_kinds(coalesce(v.expanded, v.rule))))
		order by 1);
	relation regclass;
begin
	if not exists (select from leadstream.stream s
				   where s.changed = pg_current_xact_id_if_assigned()
					 and (of_stream is null or s.stream_id = of_stream)) then
		perform leadstream.wait_for_writers(relations);
		return;
	end if;
	-- Others do not know yet what this transaction has changed, and new ones
	-- would come.
	foreach relation in array relations loop
		execute format('lock table %s in share mode', relation);
	end loop;
end
$$;
comment on function leadstream._await_writers(integer) is
'waits for those who may still make matches of a stream, or of any, as it was before; where this transaction has changed it, holds up writers of its tables until the end';

-- Waits before the row is locked: among the writers may be one who holds a table
-- and goes on to rename a column, for which he wants the row.
create function leadstream._stream_at_rest(name text) returns leadstream.stream
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	before	leadstream.stream;
	s		leadstream.stream;
begin
	before := leadstream._stream(name, for_change => false);
	if not before.is_enabled and to_regclass('leadstream.lead_match') is not null then
		perform leadstream._await_writers(before.stream_id);
	end if;
	s := leadstream._stream(name);
	if s.is_enabled then
		perform leadstream._raise_enabled(name);
	end if;
	-- it may have been enabled meanwhile
	if s.changed <> before.changed and to_regclass('leadstream.lead_match') is not null then
		perform leadstream._await_writers(s.stream_id);
	end if;
	return s;
end
$$;
comment on function leadstream._stream_at_rest(text) is
'the disabled stream of a name, locked, of which nobody makes matches any more';

create function leadstream.clear(name text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	s		leadstream.stream;
begin
	s := leadstream._stream_at_rest(name);
	if to_regclass('leadstream.lead_match') is null then
		return 0;
	end if;
	return leadstream.clear_stream(s.stream_id);
end
$$;
comment on function leadstream.clear(text) is
'removes the matches of a disabled stream, and each lead that neither another stream nor a hand put there; returns how many leads went. '
'The events of the leads stay. Waits for transactions that are writing activities or contacts.';

create function leadstream._enabled_stream(account text, name text) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	found_id integer;
	asked	leadstream.stream;
begin
	select s.stream_id into found_id from leadstream.stream s
	where s.account = _enabled_stream.account and s.stream = name and s.is_enabled
		and pg_has_role(s.owner::oid, 'usage');
	-- a thousand names are read so; _stream() has the words for those that cannot be
	if not found then
		asked := leadstream._stream(name, for_change => false);
		raise exception 'stream "%" is disabled', asked.stream
			using errcode = 'object_not_in_prerequisite_state',
				  hint = format('Enable it first: select leadstream.enable(%L);', asked.stream);
	end if;
	return found_id;
end
$$;
comment on function leadstream._enabled_stream(text, text) is
'the id of a stream by its name; error unless it is enabled and the caller has the rights of its owner';

create function leadstream.fetch_history(names text[]) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account constant text := leadstream._account();
	stream_name text;
	found_id integer;
	ids		integer[] := '{}';
begin
	perform leadstream._not_null('names', names is null);
	foreach stream_name in array names loop
		perform leadstream._not_null('names', stream_name is null);
		found_id := leadstream._enabled_stream(own_account, stream_name);
		if found_id <> all (ids) then
			ids := ids || found_id;
		end if;
	end loop;
	if ids = '{}' then
		return 0;
	end if;
	perform leadstream._raise_not_attached();
	return leadstream.make_history(ids);
end
$$;
comment on function leadstream.fetch_history(text[]) is
'makes the leads of the past of several enabled streams in one pass; returns how many leads were made. '
'A contact that has the lead is left as it is, so a second call adds none; a lead deleted by hand is not brought back. '
'Waits for transactions that are writing activities or contacts.';

create function leadstream.fetch_history(name text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._not_null('name', name is null);
	return leadstream.fetch_history(array[name]);
end
$$;
comment on function leadstream.fetch_history(text) is
'makes a lead for each contact that ever matched the enabled stream, as of the instant it first did; returns how many leads were made. '
'A contact that has the lead is left as it is, so a second call adds none; a lead deleted by hand is not brought back. '
'Waits for transactions that are writing activities or contacts.';

create function leadstream.drop_stream(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	s		leadstream.stream;
begin
	s := leadstream._stream_at_rest(name);
	if to_regclass('leadstream.lead_match') is not null then
		perform leadstream.forget_stream(s.stream_id);
	end if;
	delete from leadstream.stream_version v where v.stream_id = s.stream_id;
	delete from leadstream.stream_team t where t.stream_id = s.stream_id;
	delete from leadstream.stream o where o.stream_id = s.stream_id;
end
$$;
comment on function leadstream.drop_stream(text) is
'removes a disabled stream with its matches. Its leads stay on the boards, because sales people work on them; call clear() first to remove those that nobody else put there. '
'Waits for transactions that are writing activities or contacts.';
