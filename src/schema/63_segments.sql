-- 63_segments.sql
--
-- Segments: rules kept by name, that other rules name.  A segment that is
-- altered changes its users, so each of these is checked, and every stream
-- among them gets a new version of its rule; by that sessions see it, for they
-- watch the streams.  Segments are locked before the streams that name them.

-- Within an account a name leads to the segments that its rule names, and so on.
create function leadstream._segments_of(names text[], account text) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	with recursive named(segment) as (
		select u.name from unnest(names) as u(name)
		union
		select u.name
		from named n
		join leadstream.segment s on s.account = _segments_of.account and s.segment = n.segment
		cross join lateral unnest(leadstream.rule_segments(s.rule)) as u(name)
	)
	select n.segment from named n
$$;
comment on function leadstream._segments_of(text[], text) is
'the segments of these names and all that they name';

create function leadstream._hold_segments(rule leadstream.rule) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
begin
	-- Whoever names none needs no rights on the table.
	if leadstream.rule_segments(rule) <> '{}' then
		own_account := leadstream._account();
		perform from leadstream.segment s
		where s.account = own_account
		  and s.segment in (select leadstream._segments_of(
								leadstream.rule_segments(_hold_segments.rule), own_account))
		order by s.segment_id
		for key share;
	end if;
end
$$;
comment on function leadstream._hold_segments(leadstream.rule) is
'locks the segments that a rule names against alter_segment() and drop_segment()';

create function leadstream._segment_users(name text, account text, direct boolean)
returns table (stream_id integer, segment_id integer, title text, rule leadstream.rule)
language plpgsql stable rows 10
set search_path = pg_catalog, pg_temp
as $$
declare
	names	text[] := array[name];
begin
	if not direct then
		names := array(
			with recursive used(segment) as (
				select name
				union
				select s.segment
				from used u
				join leadstream.segment s on u.segment = any (leadstream.rule_segments(s.rule))
				where s.account = _segment_users.account
			)
			select u.segment from used u);
	end if;
	return query
		select s.stream_id, null::integer, format('stream "%s"', s.stream), s.rule
		from leadstream.stream s
		where s.account = _segment_users.account and leadstream.rule_segments(s.rule) && names
		union all
		select null, s.segment_id, format('segment "%s"', s.segment), s.rule
		from leadstream.segment s
		where s.account = _segment_users.account and leadstream.rule_segments(s.rule) && names
		order by 1, 2;
end
$$;
comment on function leadstream._segment_users(text, text, boolean) is
'the streams and segments whose rule names the segment, or (not direct) names one that does';

create function leadstream._segment(name text) returns leadstream.segment
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	found_segment leadstream.segment;
begin
	perform leadstream._not_null('name', name is null);
	own_account := leadstream._account();
	select s.* into found_segment from leadstream.segment s
	where s.account = own_account and s.segment = name
	for update;
	if not found then
		raise exception 'segment "%" does not exist', name
			using errcode = 'undefined_object',
				  hint = coalesce('Segments are: ' || leadstream._known(name, array(
									select s.segment from leadstream.segment s
									where s.account = own_account)) || '.',
								  'There are no segments yet: create one with leadstream.create_segment().');
	end if;
	if not pg_has_role(found_segment.owner::oid, 'usage') then
		raise exception 'must be owner of segment "%"', name
			using errcode = 'insufficient_privilege',
				  detail = format('Its owner is %s.', found_segment.owner);
	end if;
	return found_segment;
end
$$;
comment on function leadstream._segment(text) is
'the segment of a name, locked; error unless it exists and the caller has the rights of its owner';

create function leadstream.create_segment(
	name text,
	rule leadstream.rule,
	description text default null
) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	new_id	integer;
begin
	perform leadstream._check_name('name', name);
	perform leadstream._not_null('rule', rule is null);
	perform leadstream._raise_not_attached();
	own_account := leadstream._account();
	perform leadstream._hold_segments(rule);
	perform leadstream.check_rule(rule);
	insert into leadstream.segment (account, segment, description, rule)
	values (own_account, name, create_segment.description, create_segment.rule)
	on conflict on constraint segment_account_segment_key do nothing
	returning segment_id into new_id;
	if not found then
		perform leadstream._raise_duplicate('segment', name);
	end if;
	return new_id;
end
$$;
comment on function leadstream.create_segment(text, leadstream.rule, text) is
'keeps a rule by a name, by which other rules name it: segment(''name''); returns its id. '
'The rule is checked as that of a stream is, and the caller needs SELECT on every column it names.';

create function leadstream.alter_segment(
	name text,
	rule leadstream.rule default null,
	description text default null,
	new_name text default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	g		leadstream.segment;
	s		leadstream.stream;
	u		record;
	is_other boolean;
	is_renamed boolean;
	users	integer[] := '{}';
	bound	text[] := '{}';
	problem	text;
	new_rule leadstream.rule;
begin
	g := leadstream._segment(name);
	is_other := rule is not null and rule::text <> g.rule::text;
	is_renamed := coalesce(new_name <> name, false);
	if is_other then
		if name in (select leadstream._segments_of(leadstream.rule_segments(rule), g.account)) then
			raise exception 'segment "%" would contain itself', name
				using errcode = 'invalid_recursion',
					  detail = 'The rule names it, or names a segment that leads back to it.';
		end if;
		perform leadstream._hold_segments(rule);
		perform leadstream.check_rule(rule);
		g.rule := rule;
	end if;
	if is_renamed then
		perform leadstream._check_name('new_name', new_name);
		if exists (select from leadstream.segment o
				   where o.account = g.account and o.segment = new_name)
		then
			perform leadstream._raise_duplicate('segment', new_name);
		end if;
	end if;

	-- Who names it, and of them who can be judged now: none may be lost.
	if is_other or is_renamed then
		for u in select * from leadstream._segment_users(name, g.account, direct => not is_other) loop
			if u.stream_id is not null then
				users := users || u.stream_id;
			end if;
			if leadstream.rule_problem(u.rule, g.account) is null then
				bound := bound || u.title;
			end if;
		end loop;
	end if;
	update leadstream.segment o
	set segment = case when is_renamed then new_name else o.segment end,
		rule = g.rule,
		description = nullif(coalesce(alter_segment.description, g.description), '')
	where o.segment_id = g.segment_id;
	if is_renamed then
		update leadstream.segment o
		set rule = leadstream._rename_segment(o.rule, name, new_name)
		where o.account = g.account and name = any (leadstream.rule_segments(o.rule));
	end if;
	for s in select o.* from leadstream.stream o where o.stream_id = any (users)
			 order by o.stream_id for no key update
	loop
		new_rule := case when is_renamed then leadstream._rename_segment(s.rule, name, new_name)
						 else s.rule end;
		insert into leadstream.stream_version (stream_id, rule_version, rule, expanded)
		values (s.stream_id, s.rule_version + 1, new_rule,
				leadstream._expand_rule(new_rule, s.account));
		update leadstream.stream o set rule = new_rule, rule_version = s.rule_version + 1
		where o.stream_id = s.stream_id;
	end loop;
	if bound <> '{}' then
		for u in select * from leadstream._segment_users(coalesce(new_name, name), g.account,
														 direct => not is_other) loop
			problem := case when u.title = any (bound)
							then leadstream.rule_problem(u.rule, g.account) end;
			if problem is not null then
				raise exception '% names segment "%" and would not bind any more', u.title, name
					using errcode = 'object_not_in_prerequisite_state',
						  detail = format('With the new rule: %s.', problem),
						  hint = 'Alter that first.';
			end if;
		end loop;
	end if;
end
$$;
comment on function leadstream.alter_segment(text, leadstream.rule, text, text) is
'changes what is given of a segment and leaves the rest. A new rule holds for new matches of every stream that names it, itself or through other segments, from then on, '
'and raises the version of their rules; refused if the rule of one would not bind any more. '
'A new name is written into the rules that name the segment; an empty description removes it.';

create function leadstream.drop_segment(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	g		leadstream.segment;
	titles	text[];
begin
	g := leadstream._segment(name);
	titles := array(select u.title from leadstream._segment_users(name, g.account, direct => true) u);
	if titles <> '{}' then
		raise exception 'segment "%" is in use', name
			using errcode = 'dependent_objects_still_exist',
				  detail = format('Rules that name it: %s.', array_to_string(titles, ', ')),
				  hint = 'Drop these, or alter their rules, first.';
	end if;
	delete from leadstream.segment o where o.segment_id = g.segment_id;
end
$$;
comment on function leadstream.drop_segment(text) is
'removes a segment that no stream and no other segment names';
