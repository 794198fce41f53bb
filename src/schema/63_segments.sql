-- 63_segments.sql
--
-- Segments: rules kept by name, that other rules name.  A segment that is
-- altered changes its users, so each of these is checked, and every stream
-- among them gets a new version of its rule; by that sessions see it, for they
-- watch the streams.  A score rule that is altered changes those that speak of
-- the score in the same way.  Locks are taken in this order: segments, the
-- scores of the account, the streams that name them.

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

-- Whoever adds a score rule cannot lock the rules that will speak of it, and
-- none of score() could be locked by a set that is yet to come.
create function leadstream._lock_scores(for_change boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	lock_key constant bigint := hashtextextended('leadstream score ' || leadstream._account(), 0);
begin
	if for_change then
		perform pg_advisory_xact_lock(lock_key);
	else
		perform pg_advisory_xact_lock_shared(lock_key);
	end if;
end
$$;
comment on function leadstream._lock_scores(boolean) is
'locks the score sets of the account with their rules, all of them at once, for who changes them or for who keeps a rule that speaks of them';

create function leadstream._hold_scores(rule leadstream.rule) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	has_score boolean := leadstream.rule_scores(rule) <> '{}';
begin
	-- Whoever names no segment needs no rights on the table.
	if leadstream.rule_segments(rule) <> '{}' and not has_score then
		own_account := leadstream._account();
		has_score := exists (select from leadstream.segment s
							 where s.account = own_account
							   and s.segment in (select leadstream._segments_of(
													leadstream.rule_segments(_hold_scores.rule), own_account))
							   and leadstream.rule_scores(s.rule) <> '{}');
	end if;
	if has_score then
		perform leadstream._lock_scores(for_change => false);
	end if;
end
$$;
comment on function leadstream._hold_scores(leadstream.rule) is
'locks the score rules that a rule speaks of, itself or by the segments it names, against those who would change them';

-- A score rule names segments and is itself named by its set, and by score().
-- What it would be in a rule of a stream is what has to bind.
create function leadstream._as_score(rule leadstream.rule) returns leadstream.rule
language sql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select format('score(1 where %s) > 0', rule)::leadstream.rule
$$;
comment on function leadstream._as_score(leadstream.rule) is
'a rule that is true of whom the score rule earns points, and binds if that would';

create function leadstream._rules(account text)
returns table (stream_id integer, segment text, score_set text, title text, rule leadstream.rule)
language sql stable rows 10
set search_path = pg_catalog, pg_temp
as $$
	select s.stream_id, null::text, null::text, format('stream "%s"', s.stream), s.rule
	from leadstream.stream s where s.account = _rules.account
	union all
	select null, s.segment, null, format('segment "%s"', s.segment), s.rule
	from leadstream.segment s where s.account = _rules.account
	union all
	select null, null, c.score_set, format('score rule "%s" of "%s"', r.score_rule, c.score_set), r.rule
	from leadstream.score_set c
	join leadstream.score_rule r on r.score_set_id = c.score_set_id
	where c.account = _rules.account
$$;
comment on function leadstream._rules(text) is
'the rules of the streams, segments and score sets of an account; those of the last bind as scores';

create function leadstream._rule_users(segments text[], scores text[], account text, direct boolean)
returns table (stream_id integer, title text, rule leadstream.rule)
language plpgsql stable rows 10
set search_path = pg_catalog, pg_temp
as $$
begin
	if not direct then
		with recursive kept as materialized (
			select r.segment, r.score_set, r.rule
			from leadstream._rules(_rule_users.account) r where r.stream_id is null
		), used(segment, score) as (
			(select n.name, null::text from unnest(segments) as n(name)
			 union all
			 select null, n.name from unnest(scores) as n(name))
			union
			-- what changes a set changes the sum of all
			select k.segment, k.score_set
			from used u
			join kept k on u.segment = any (leadstream.rule_segments(k.rule))
						or u.score is not null and leadstream.rule_scores(k.rule) && array[u.score, '']
		)
		select coalesce(array_agg(u.segment) filter (where u.segment is not null), '{}'),
			   coalesce(array_agg(u.score) filter (where u.score is not null)
						|| array[''], '{}')
		into segments, scores
		from used u;
	end if;
	return query
		select r.stream_id, r.title,
			   case when r.score_set is null then r.rule else leadstream._as_score(r.rule) end
		from leadstream._rules(_rule_users.account) r
		where leadstream.rule_segments(r.rule) && segments
		   or leadstream.rule_scores(r.rule) && scores
		order by r.stream_id, r.title;
end
$$;
comment on function leadstream._rule_users(text[], text[], text, boolean) is
'the streams, segments and score rules whose rule names one of these segments or score sets, or (not direct) is changed with them by whatever names one';

-- Streams get a new version of their rule, and none of those that bind may be lost
-- by a change of what they name: so who they are is found before it.
create function leadstream._find_users(segments text[], scores text[], account text, direct boolean,
									   out streams integer[], out bound text[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(array_agg(u.stream_id) filter (where u.stream_id is not null), '{}'),
		   coalesce(array_agg(u.title) filter (where leadstream.rule_problem(u.rule, account) is null), '{}')
	from leadstream._rule_users(segments, scores, account, direct) u
$$;
comment on function leadstream._find_users(text[], text[], text, boolean) is
'the streams that speak of these segments or score sets, and those among all their users that bind as they are';

create function leadstream._renew_stream(s leadstream.stream, new_rule leadstream.rule) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	meaning constant leadstream.rule := leadstream._expand_rule(new_rule, s.account);
begin
	if s is null or new_rule::text = s.rule::text and meaning::text = (
		select v.expanded::text from leadstream.stream_version v
		where v.stream_id = s.stream_id and v.rule_version = s.rule_version)
	then
		return;
	end if;
	insert into leadstream.stream_version (stream_id, rule_version, rule, expanded)
	values (s.stream_id, s.rule_version + 1, new_rule, meaning);
	update leadstream.stream o set rule = new_rule, rule_version = s.rule_version + 1
	where o.stream_id = s.stream_id;
end
$$;
comment on function leadstream._renew_stream(leadstream.stream, leadstream.rule) is
'gives a stream a new version of its rule, where it or what it names has changed';

create function leadstream._check_users(what text, account text, bound text[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	u		record;
begin
	if bound = '{}' then
		return;
	end if;
	for u in select r.title,
					leadstream.rule_problem(case when r.score_set is null then r.rule
												 else leadstream._as_score(r.rule) end,
											_check_users.account) as problem
			 from leadstream._rules(_check_users.account) r
			 where r.title = any (bound)
			 order by r.stream_id, r.title
	loop
		if u.problem is not null then
			raise exception '% names % and would not bind any more', u.title, what
				using errcode = 'object_not_in_prerequisite_state',
					  detail = format('With the new rule: %s.', u.problem),
					  hint = 'Alter that first.';
		end if;
	end loop;
end
$$;
comment on function leadstream._check_users(text, text, text[]) is
'error 55000 where one of these, which did bind, does so no more';

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
	perform leadstream._hold_scores(rule);
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
	is_other boolean;
	is_renamed boolean;
	users	integer[] := '{}';
	bound	text[] := '{}';
	s		leadstream.stream;
begin
	perform leadstream._meet_tables(rule);
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
		-- score rules may name the segment, and so be changed with it
		perform leadstream._lock_scores(for_change => true);
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

	if is_other or is_renamed then
		select u.streams, u.bound into users, bound
		from leadstream._find_users(array[name], '{}', g.account, direct => not is_other) u;
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
	if is_renamed and exists (
		select from leadstream._rules(g.account) r
		where r.score_set is not null and name = any (leadstream.rule_segments(r.rule)))
	then
		update leadstream.score_rule o
		set rule = leadstream._rename_segment(o.rule, name, new_name)
		from leadstream.score_set c
		where c.score_set_id = o.score_set_id and c.account = g.account
		  and name = any (leadstream.rule_segments(o.rule));
	end if;
	for s in select o.* from leadstream.stream o where o.stream_id = any (users)
			 order by o.stream_id for no key update
	loop
		perform leadstream._renew_stream(s, case when is_renamed
												 then leadstream._rename_segment(s.rule, name, new_name)
												 else s.rule end);
	end loop;
	if is_other then
		perform leadstream._raise_score_version(array(
			select c.score_set_id from leadstream.score_set c
			where c.account = g.account and exists (
				select from leadstream.score_rule r
				where r.score_set_id = c.score_set_id
				  and name in (select leadstream._segments_of(leadstream.rule_segments(r.rule), g.account)))));
	end if;
	perform leadstream._check_users(format('segment "%s"', name), g.account, bound);
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
	titles := array(select u.title from leadstream._rule_users(array[name], '{}', g.account, direct => true) u);
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
'removes a segment that no stream, no other segment and no score rule names';
