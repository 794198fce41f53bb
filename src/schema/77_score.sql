-- 77_score.sql
--
-- Score sets and their rules.  A rule earns its points while it is true of the
-- contact, so the score is a step function of time like any other condition.
-- Rules speak of it by score('name') and score(), where the score rules are put
-- in its place (src/segment.c); who changes a set changes these, in the way of
-- 63_segments.sql.  What is kept of every contact's score is in 78_score_kept.sql.

create function leadstream._score_set(name text, for_change boolean default true) returns leadstream.score_set
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	found_set leadstream.score_set;
begin
	perform leadstream._not_null('name', name is null);
	own_account := leadstream._account();
	if for_change then
		perform leadstream._lock_scores(for_change => true);
	end if;
	select s.* into found_set from leadstream.score_set s
	where s.account = own_account and s.score_set = name;
	if not found then
		raise exception 'score set "%" does not exist', name
			using errcode = 'undefined_object',
				  hint = coalesce('Score sets are: ' || leadstream._known(name, array(
									select s.score_set from leadstream.score_set s
									where s.account = own_account)) || '.',
								  'There are no score sets yet: create one with leadstream.create_score_set().');
	end if;
	if for_change and not pg_has_role(found_set.owner::oid, 'usage') then
		raise exception 'must be owner of score set "%"', name
			using errcode = 'insufficient_privilege',
				  detail = format('Its owner is %s.', found_set.owner);
	end if;
	return found_set;
end
$$;
comment on function leadstream._score_set(text, boolean) is
'the score set of a name; to be changed, with all of the account locked; error unless it exists and the caller has the rights of its owner';

create function leadstream._score_rule(of_set leadstream.score_set, name text) returns leadstream.score_rule
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	found_rule leadstream.score_rule;
begin
	perform leadstream._not_null('name', name is null);
	select r.* into found_rule from leadstream.score_rule r
	where r.score_set_id = of_set.score_set_id and r.score_rule = name;
	if not found then
		raise exception 'score rule "%" does not exist in score set "%"', name, of_set.score_set
			using errcode = 'undefined_object',
				  hint = coalesce('Its rules are: ' || leadstream._known(name, array(
									select r.score_rule from leadstream.score_rule r
									where r.score_set_id = of_set.score_set_id)) || '.',
								  'It has none yet: create one with leadstream.create_score_rule().');
	end if;
	return found_rule;
end
$$;
comment on function leadstream._score_rule(leadstream.score_set, text) is
'the rule of a name in a score set; error 42704 unless it exists';

create function leadstream._check_points(points integer) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if abs(points::bigint) > 1000000000 then
		raise exception 'points must be between -1000000000 and 1000000000'
			using errcode = 'invalid_parameter_value',
				  detail = format('They are %s.', points);
	end if;
end
$$;
comment on function leadstream._check_points(integer) is
'error 22023 if no score rule can be worth so much';

-- Every change of what a set is worth: who speaks of it is found before, and
-- looked after behind it.
create function leadstream._score_users(of_set leadstream.score_set, out streams integer[], out bound text[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select u.streams, u.bound
	from leadstream._find_users('{}', array[of_set.score_set], of_set.account, direct => false) u
$$;
comment on function leadstream._score_users(leadstream.score_set) is
'the streams that speak of the score of a set, and those among all its users that bind';

-- What is kept by an older version is judged anew by whoever comes upon it, and
-- by tick().
create function leadstream._raise_score_version(score_sets integer[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	update leadstream.score_set c set version = c.version + 1, home = c.home
	where c.score_set_id = any (score_sets)
$$;
comment on function leadstream._raise_score_version(integer[]) is
'says of score sets that contacts have to be judged anew, and enters their rules anew';

-- Who attaches tables need have no rights on score sets, if there are none.
create function leadstream._rescore_kinds(kinds text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	if has_table_privilege('leadstream.score_rule', 'select')
	   and has_table_privilege('leadstream.score_set', 'select')
	   and has_table_privilege('leadstream.score_set', 'update')
	then
		perform leadstream._raise_score_version(array(
			select r.score_set_id
			from leadstream.score_rule r
			join leadstream.score_set c on c.score_set_id = r.score_set_id
			where leadstream.rule_kinds(r.rule, c.account) && kinds));
	end if;
end
$$;
comment on function leadstream._rescore_kinds(text[]) is
'has contacts judged anew by the score sets that speak of kinds which were attached or detached';

create function leadstream._score_changed(of_set leadstream.score_set, streams integer[], bound text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	s		leadstream.stream;
begin
	for s in select o.* from leadstream.stream o where o.stream_id = any (streams)
			 order by o.stream_id for no key update
	loop
		perform leadstream._renew_stream(s, s.rule);
	end loop;
	update leadstream.score_set c set version = c.version + 1
	where c.score_set_id = of_set.score_set_id;
	perform leadstream._check_users(format('score set "%s"', of_set.score_set), of_set.account, bound);
end
$$;
comment on function leadstream._score_changed(leadstream.score_set, integer[], text[]) is
'raises the version of a set, and gives these streams a new version of their rule, if the score they speak of is another now';

create function leadstream.create_score_set(name text, description text default null) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account text;
	new_id	integer;
begin
	perform leadstream._check_name('name', name);
	perform leadstream._raise_not_attached();
	own_account := leadstream._account();
	insert into leadstream.score_set (account, score_set, description)
	values (own_account, name, create_score_set.description)
	on conflict on constraint score_set_account_score_set_key do nothing
	returning score_set_id into new_id;
	if not found then
		perform leadstream._raise_duplicate('score set', name);
	end if;
	return new_id;
end
$$;
comment on function leadstream.create_score_set(text, text) is
'creates a score set, enabled and without rules; returns its id. A contact''s score of it is the sum of the points of its rules that are true of the contact: score(''name'') in rules, and part of score(). '
'The caller becomes its owner.';

create function leadstream.alter_score_set(
	name text,
	description text default null,
	new_name text default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		leadstream.score_set;
	s		leadstream.stream;
	users	integer[];
begin
	c := leadstream._score_set(name);
	update leadstream.score_set o
	set description = nullif(coalesce(alter_score_set.description, c.description), '')
	where o.score_set_id = c.score_set_id;
	if coalesce(new_name = name, true) then
		return;
	end if;
	perform leadstream._check_name('new_name', new_name);
	if exists (select from leadstream.score_set o
			   where o.account = c.account and o.score_set = new_name)
	then
		perform leadstream._raise_duplicate('score set', new_name);
	end if;
	users := array(select u.stream_id
				   from leadstream._rule_users('{}', array[name], c.account, direct => true) u
				   where u.stream_id is not null);
	update leadstream.score_set o set score_set = new_name where o.score_set_id = c.score_set_id;
	if exists (select from leadstream._rules(c.account) r
			   where r.segment is not null and name = any (leadstream.rule_scores(r.rule)))
	then
		update leadstream.segment o
		set rule = leadstream._rename_score(o.rule, name, new_name)
		where o.account = c.account and name = any (leadstream.rule_scores(o.rule));
	end if;
	for s in select o.* from leadstream.stream o where o.stream_id = any (users)
			 order by o.stream_id for no key update
	loop
		perform leadstream._renew_stream(s, leadstream._rename_score(s.rule, name, new_name));
	end loop;
end
$$;
comment on function leadstream.alter_score_set(text, text, text) is
'changes what is given of a score set and leaves the rest. A new name is written into the rules that name the set; an empty description removes it.';

create function leadstream.drop_score_set(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		leadstream.score_set;
	titles	text[];
	streams	integer[];
	bound	text[];
begin
	c := leadstream._score_set(name);
	titles := array(select u.title from leadstream._rule_users('{}', array[name], c.account, direct => true) u);
	if titles <> '{}' then
		raise exception 'score set "%" is in use', name
			using errcode = 'dependent_objects_still_exist',
				  detail = format('Rules that name it: %s.', array_to_string(titles, ', ')),
				  hint = 'Drop these, or alter their rules, first.';
	end if;
	select u.streams, u.bound into streams, bound from leadstream._score_users(c) u;
	delete from leadstream.score_rule r where r.score_set_id = c.score_set_id;
	delete from leadstream.score_set o where o.score_set_id = c.score_set_id;
	-- a tick() removes what is kept of it
	insert into leadstream.score_walk (score_set_id, version, kept)
	values (c.score_set_id, 0, 0)
	on conflict on constraint score_walk_pkey do update set version = 0, kept = 0;
	perform leadstream._score_changed(c, streams, bound);
end
$$;
comment on function leadstream.drop_score_set(text) is
'removes a score set, which no stream and no segment names, with its rules';

create function leadstream._set_score_set(name text, is_enabled boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		leadstream.score_set;
	streams	integer[];
	bound	text[];
begin
	c := leadstream._score_set(name);
	if c.is_enabled = _set_score_set.is_enabled then
		raise notice 'score set "%" is % already', name,
			case when c.is_enabled then 'enabled' else 'disabled' end;
		return;
	end if;
	select u.streams, u.bound into streams, bound from leadstream._score_users(c) u;
	update leadstream.score_set o set is_enabled = _set_score_set.is_enabled
	where o.score_set_id = c.score_set_id;
	perform leadstream._score_changed(c, streams, bound);
end
$$;
comment on function leadstream._set_score_set(text, boolean) is
'enables or disables a score set';

create function leadstream.enable_score_set(name text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$ select leadstream._set_score_set(name, true) $$;
comment on function leadstream.enable_score_set(text) is
'lets the enabled rules of a score set earn points again';

create function leadstream.disable_score_set(name text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$ select leadstream._set_score_set(name, false) $$;
comment on function leadstream.disable_score_set(text) is
'makes the score of a set 0 of every contact; its rules stay';

create function leadstream.create_score_rule(
	score_set text,
	name text,
	rule leadstream.rule,
	points integer,
	description text default null
) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		leadstream.score_set;
	streams	integer[];
	bound	text[];
	new_id	integer;
begin
	perform leadstream._check_name('name', name);
	perform leadstream._not_null('rule', rule is null);
	perform leadstream._not_null('points', points is null);
	perform leadstream._check_points(points);
	perform leadstream._raise_not_attached();
	perform leadstream._hold_segments(rule);
	c := leadstream._score_set(create_score_rule.score_set);
	perform leadstream.check_rule(leadstream._as_score(rule));
	select u.streams, u.bound into streams, bound from leadstream._score_users(c) u;
	insert into leadstream.score_rule (score_set_id, score_rule, description, rule, points)
	values (c.score_set_id, name, create_score_rule.description, create_score_rule.rule,
			create_score_rule.points)
	on conflict on constraint score_rule_score_set_id_score_rule_key do nothing
	returning score_rule_id into new_id;
	if not found then
		perform leadstream._raise_duplicate('score rule', name);
	end if;
	perform leadstream._score_changed(c, streams, bound);
	return new_id;
end
$$;
comment on function leadstream.create_score_rule(text, text, leadstream.rule, integer, text) is
'adds a rule to a score set: a contact has its points, which may be negative, while the rule is true of the contact; returns its id. '
'The rule is checked as that of a stream is, the caller needs SELECT on every column it names, and it may not speak of a score. '
'It holds for new matches of every stream that speaks of the score, from then on.';

create function leadstream.alter_score_rule(
	score_set text,
	name text,
	rule leadstream.rule default null,
	points integer default null,
	description text default null,
	new_name text default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		leadstream.score_set;
	r		leadstream.score_rule;
	streams	integer[];
	bound	text[];
begin
	perform leadstream._check_points(points);
	perform leadstream._hold_segments(rule);
	c := leadstream._score_set(alter_score_rule.score_set);
	r := leadstream._score_rule(c, name);
	if new_name <> name then
		perform leadstream._check_name('new_name', new_name);
		if exists (select from leadstream.score_rule o
				   where o.score_set_id = c.score_set_id and o.score_rule = new_name)
		then
			perform leadstream._raise_duplicate('score rule', new_name);
		end if;
	end if;
	if rule::text <> r.rule::text then
		perform leadstream.check_rule(leadstream._as_score(rule));
	end if;
	select u.streams, u.bound into streams, bound from leadstream._score_users(c) u;
	update leadstream.score_rule o
	-- as it is, not as it was read: a column may have been renamed meanwhile
	set score_rule = coalesce(new_name, o.score_rule),
		rule = coalesce(alter_score_rule.rule, o.rule),
		points = coalesce(alter_score_rule.points, o.points),
		description = nullif(coalesce(alter_score_rule.description, o.description), '')
	where o.score_rule_id = r.score_rule_id;
	if rule::text <> r.rule::text or points <> r.points then
		perform leadstream._score_changed(c, streams, bound);
	end if;
end
$$;
comment on function leadstream.alter_score_rule(text, text, leadstream.rule, integer, text, text) is
'changes what is given of a score rule and leaves the rest. It holds for new matches of every stream that speaks of the score, from then on, and raises the version of their rules. '
'An empty description removes it.';

create function leadstream.drop_score_rule(score_set text, name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		leadstream.score_set;
	r		leadstream.score_rule;
	streams	integer[];
	bound	text[];
begin
	c := leadstream._score_set(drop_score_rule.score_set);
	r := leadstream._score_rule(c, name);
	select u.streams, u.bound into streams, bound from leadstream._score_users(c) u;
	delete from leadstream.score_rule o where o.score_rule_id = r.score_rule_id;
	perform leadstream._score_changed(c, streams, bound);
end
$$;
comment on function leadstream.drop_score_rule(text, text) is
'removes a rule from a score set';

create function leadstream._set_score_rule(score_set text, name text, is_enabled boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		leadstream.score_set;
	r		leadstream.score_rule;
	streams	integer[];
	bound	text[];
begin
	c := leadstream._score_set(_set_score_rule.score_set);
	r := leadstream._score_rule(c, name);
	if r.is_enabled = _set_score_rule.is_enabled then
		raise notice 'score rule "%" is % already', name,
			case when r.is_enabled then 'enabled' else 'disabled' end;
		return;
	end if;
	select u.streams, u.bound into streams, bound from leadstream._score_users(c) u;
	update leadstream.score_rule o set is_enabled = _set_score_rule.is_enabled
	where o.score_rule_id = r.score_rule_id;
	perform leadstream._score_changed(c, streams, bound);
end
$$;
comment on function leadstream._set_score_rule(text, text, boolean) is
'enables or disables a score rule';

create function leadstream.enable_score_rule(score_set text, name text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$ select leadstream._set_score_rule(score_set, name, true) $$;
comment on function leadstream.enable_score_rule(text, text) is
'lets a score rule earn points again';

create function leadstream.disable_score_rule(score_set text, name text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$ select leadstream._set_score_rule(score_set, name, false) $$;
comment on function leadstream.disable_score_rule(text, text) is
'makes a score rule earn no points; it stays in its set';

revoke execute on function
	leadstream.create_score_set(text, text),
	leadstream.alter_score_set(text, text, text),
	leadstream.drop_score_set(text),
	leadstream.enable_score_set(text),
	leadstream.disable_score_set(text),
	leadstream.create_score_rule(text, text, leadstream.rule, integer, text),
	leadstream.alter_score_rule(text, text, leadstream.rule, integer, text, text),
	leadstream.drop_score_rule(text, text),
	leadstream.enable_score_rule(text, text),
	leadstream.disable_score_rule(text, text)
from public;

create view leadstream.score_sets with (security_barrier) as
select c.score_set_id, c.score_set, c.description, c.is_enabled,
	   (select count(*)::integer from leadstream.score_rule r
		where r.score_set_id = c.score_set_id) as rule_count,
	   coalesce(u.used_by, '') as used_by,
	   coalesce(w.is_done, false) as is_current,
	   case when not w.is_done then w.done end as done,
	   case when not w.is_done then w.contact_count end as contact_count,
	   c.owner::text as owner, c.created_at, c.account
from leadstream.score_set c
left join leadstream.score_walk w on w.score_set_id = c.score_set_id and w.version = c.version
left join (
	select r.account, n.name, string_agg(r.title, ', ' order by r.title) as used_by
	from (select t.account, t.rule, format('stream "%s"', t.stream) as title from leadstream.stream t
		  union all
		  select o.account, o.rule, format('segment "%s"', o.segment) from leadstream.segment o) as r
	cross join lateral unnest(leadstream.rule_scores(r.rule)) as n(name)
	group by 1, 2
) as u on u.account = c.account and u.name = c.score_set
where coalesce(c.account = any ((select leadstream.accounts_in_sight())::text[]), true);
comment on view leadstream.score_sets is
'the score sets, which rules name: score(''name'')';
comment on column leadstream.score_sets.score_set_id is 'its id';
comment on column leadstream.score_sets.score_set is 'its name, unique in its account';
comment on column leadstream.score_sets.description is 'what it is for';
comment on column leadstream.score_sets.created_at is 'when it was created';
comment on column leadstream.score_sets.is_enabled is 'do its rules earn points?';
comment on column leadstream.score_sets.rule_count is 'rules it has, disabled ones too';
comment on column leadstream.score_sets.used_by is 'the streams and segments whose rules name it, separated by commas; not those of score()';
comment on column leadstream.score_sets.is_current is 'have all contacts been judged since it was last changed?  Else tick() is about to, or rescore()';
comment on column leadstream.score_sets.done is 'contacts that have been, if that is under way';
comment on column leadstream.score_sets.contact_count is 'contacts there are, about';
comment on column leadstream.score_sets.owner is 'role that may change it and its rules';
comment on column leadstream.score_sets.account is 'account it belongs to; empty without accounts';

create view leadstream.score_rules with (security_barrier) as
select r.score_rule_id, c.score_set, r.score_rule, r.description, r.rule::text as rule, r.points,
	   r.is_enabled and c.is_enabled as is_enabled,
	   leadstream.rule_problem(r.rule, c.account) as problem,
	   r.created_at, c.account
from leadstream.score_rule r
join leadstream.score_set c on c.score_set_id = r.score_set_id
where coalesce(c.account = any ((select leadstream.accounts_in_sight())::text[]), true);
comment on view leadstream.score_rules is
'what contacts earn points for';
comment on column leadstream.score_rules.score_rule_id is 'its id';
comment on column leadstream.score_rules.score_set is 'name of the score set it is of';
comment on column leadstream.score_rules.score_rule is 'its name, unique in its set';
comment on column leadstream.score_rules.description is 'what it is for';
comment on column leadstream.score_rules.rule is 'of whom it has to be true';
comment on column leadstream.score_rules.created_at is 'when it was created';
comment on column leadstream.score_rules.points is 'what a contact has while the rule is true of it';
comment on column leadstream.score_rules.is_enabled is 'does it earn points?  Not in a score set that is disabled';
comment on column leadstream.score_rules.problem is 'why its rule does not bind to the tables as they are now; null: it does';
comment on column leadstream.score_rules.account is 'account it belongs to; empty without accounts';

-- A rule that is broken earns nothing, and no more than that.
create function leadstream._sound_scores(name text)
returns table (score_set text, score_rule_id integer, score_rule text, points integer, rule leadstream.rule)
language plpgsql stable parallel unsafe rows 20
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account constant text := leadstream._account();
	r		record;
begin
	for r in select c.score_set, s.score_rule_id, s.score_rule, s.points, s.rule,
					leadstream.rule_problem(leadstream._as_score(s.rule), own_account) as problem
			 from leadstream.score_set c
			 join leadstream.score_rule s on s.score_set_id = c.score_set_id
			 where c.account = own_account and c.is_enabled and s.is_enabled
			   and coalesce(c.score_set = name, true)
			 order by c.score_set, s.score_rule_id
	loop
		if r.problem is not null then
			raise notice 'score rule "%" of score set "%" is broken and left out', r.score_rule, r.score_set
				using detail = format('It does not bind: %s.', r.problem),
					  hint = format('Correct what it says, or alter it: select leadstream.alter_score_rule(%L, %L, rule => ''…'');',
									r.score_set, r.score_rule);
			continue;
		end if;
		score_set := r.score_set;
		score_rule_id := r.score_rule_id;
		score_rule := r.score_rule;
		points := r.points;
		rule := r.rule;
		return next;
	end loop;
end
$$;
comment on function leadstream._sound_scores(text) is
'the score rules in force, of one set or (null) of all, that bind to the tables as they are now; a notice of each that does not';

-- The keys of rows come as JSON arrays, of each condition one.
create function leadstream.explain_score(contact text)
returns table (score_set text, score_rule text, points integer, is_true boolean,
			   since timestamptz, until timestamptz, row_count bigint, row_keys text)
language plpgsql stable parallel unsafe rows 20
set search_path = pg_catalog, pg_temp
as $$
declare
	r		record;
begin
	for r in select s.score_set, s.score_rule, s.points, s.rule
			 from leadstream._sound_scores(null) s where contact is not null
			 order by s.score_set, s.score_rule_id
	loop
		return query
			select r.score_set, r.score_rule, r.points,
				   bool_or(e.is_true) filter (where e.node = 1),
				   max(e.since) filter (where e.node = 1),
				   max(e.until) filter (where e.node = 1),
				   sum(e.row_count) filter (where e.is_true)::bigint,
				   string_agg(e.row_keys, ', ' order by e.node) filter (where e.is_true)
			from leadstream.explain(r.rule, contact) e;
	end loop;
end
$$;
comment on function leadstream.explain_score(text) is
'what the score of a contact is made of: each score rule in force, whether the contact has its points, since when and until when by the rows that exist now, and the rows behind its conditions that are true; the caller needs SELECT on what the rules read';

create function leadstream.explain_score(contact anyelement)
returns table (score_set text, score_rule text, points integer, is_true boolean,
			   since timestamptz, until timestamptz, row_count bigint, row_keys text)
language sql stable parallel unsafe rows 20
set search_path = pg_catalog, pg_temp
as $$
	select e.* from leadstream.explain_score(contact::text) e
$$;
comment on function leadstream.explain_score(anyelement) is
'the same for a key of any type';

create function leadstream._score_sql(rule leadstream.rule, at timestamptz) returns text
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_score_sql';
comment on function leadstream._score_sql(leadstream.rule, timestamptz) is
'the query that gives (contact_id, points), the score that the rule compares, of every contact at an instant';

create function leadstream.list_scores(score_set text, at timestamptz default null)
returns table (contact_id text, points bigint)
language plpgsql stable parallel unsafe rows 10000
set search_path = pg_catalog, pg_temp
as $$
declare
	rule	leadstream.rule;
begin
	if score_set is not null then
		perform leadstream._score_set(list_scores.score_set, for_change => false);
	end if;
	if not isfinite(at) then
		raise exception 'at must be finite'
			using errcode = 'invalid_parameter_value',
				  detail = format('It is %s.', at);
	end if;
	-- it has to be compared for there to be a rule
	select format('score(%s) > 0', coalesce(string_agg(format('%s where %s', s.points, s.rule), ', '
													   order by s.score_set, s.score_rule_id), '0 where false'))
	into rule
	from leadstream._sound_scores(list_scores.score_set) s;
	return query execute format('select s.contact_id::text, s.points::bigint from (%s) s',
								leadstream._score_sql(rule, coalesce(at, leadstream.clock())));
end
$$;
comment on function leadstream.list_scores(text, timestamptz) is
'the score of every contact, in one set or (null) in all, now or at an instant, computed by one query from the rows that exist now; the caller needs SELECT on what the rules read';
