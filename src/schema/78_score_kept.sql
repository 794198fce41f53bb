-- 78_score_kept.sql
--
-- What is kept of every contact's score in leadstream.score, which
-- attach_contacts() makes (55_lead_tables.sql).  It is brought up to date in the
-- transaction of the cause (src/settle_score.c), and by tick() at the instants at
-- which time alone turns a rule; after a set was changed tick() judges all
-- contacts anew, a part at a time, and rescore() at once (src/score_walk.c).

create function leadstream._scores_in_sight() returns text[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp
as $$
declare
	s		constant record := leadstream._sight();
begin
	return case when not s.sees_all then s.accounts end;
end
$$;
comment on function leadstream._scores_in_sight() is
'what scores_in_sight() calls';
revoke execute on function leadstream._scores_in_sight() from public;

create function leadstream.scores_in_sight() returns text[]
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_as_owner';
comment on function leadstream.scores_in_sight() is
'the accounts of which the caller sees the scores of all contacts, not only of his leads; null: of all';

-- A contact may have been judged before a column was renamed that has its
-- account, so the account is the set's.
create function leadstream._create_score_view() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
begin
	select s.* into source from leadstream.contact_source s;
	execute format($ddl$
		create or replace view leadstream.scores as
		select %1$s as contact_id, c.score_set, k.points,
			   t.total,
			   least((select leadstream.clock()), k.next_at) as as_of,
			   k.version = c.version as is_current, c.account
		from leadstream.score k
		join leadstream.score_set c on c.score_set_id = k.score_set_id and c.is_enabled
		join (select o.contact_id, sum(o.points)::bigint as total from leadstream.score o
			  join leadstream.score_set e on e.score_set_id = o.score_set_id and e.is_enabled
			  group by o.contact_id) as t on t.contact_id %2$s k.contact_id
		where coalesce(c.account = any ((select leadstream.scores_in_sight())::text[]), true)
		   or exists (select from leadstream.lead l
					  where l.contact_id %2$s k.contact_id
						and l.team_id = any ((select leadstream.teams_in_sight())::integer[]));
		comment on view leadstream.scores is
		'the scores of contacts, kept: a line for each contact and enabled score set; '
		'a contact that nothing has happened to since it came may have none, and has no points then';
		comment on column leadstream.scores.contact_id is 'key of the contact';
		comment on column leadstream.scores.score_set is 'name of the score set';
		comment on column leadstream.scores.points is 'sum of the points of its rules that are true of the contact';
		comment on column leadstream.scores.total is 'the sum over all enabled score sets, which is score()';
		comment on column leadstream.scores.as_of is 'instant at which that is so: now, or when the next tick() was due';
		comment on column leadstream.scores.is_current is 'was the contact judged since the score set was last changed?  Else by the rules of before: tick() comes to it';
		comment on column leadstream.scores.account is 'account of the score set; empty without accounts'
		$ddl$, leadstream._flat('k.contact_id', source.key_type), leadstream._key_operator());
end
$$;
comment on function leadstream._create_score_view() is
'makes the view scores for the attached contacts table';

create function leadstream._walk_scores(score_set_id integer, batch integer) returns boolean
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_walk_scores';
comment on function leadstream._walk_scores(integer, integer) is
'judges the next contacts anew by a score set that was changed; are there more?';
revoke execute on function leadstream._walk_scores(integer, integer) from public;

create function leadstream._begin_rescore(score_set text) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	c		constant leadstream.score_set := leadstream._score_set(score_set);
begin
	if not c.is_enabled then
		raise exception 'score set "%" is disabled', score_set
			using errcode = 'object_not_in_prerequisite_state',
				  hint = format('Enable it first: select leadstream.enable_score_set(%L);', score_set);
	end if;
	-- Also where a walk is under way: what capture did not see may lie behind it.
	perform leadstream._raise_score_version(array[c.score_set_id]);
	return c.score_set_id;
end
$$;
comment on function leadstream._begin_rescore(text) is
'has all contacts judged anew by a score set, and returns its id';
revoke execute on function leadstream._begin_rescore(text) from public;

create procedure leadstream.rescore(score_set text, batch integer default 1000)
language plpgsql
as $$
declare
	id		integer;
begin
	-- A procedure that commits cannot have it as a setting of its own.
	perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	perform leadstream._check_batch(batch);
	id := leadstream._begin_rescore(score_set);
	commit;
	while leadstream._walk_scores(id, batch) loop
		commit;
	end loop;
end
$$;
comment on procedure leadstream.rescore(text, integer) is
'judges all contacts anew by a score set and keeps their scores, as tick() does bit by bit after the set was changed; in transactions of their own, each for so many contacts. '
'Also for what capture has not seen: rows deleted or truncated, or written while it was off. Waits for transactions that are writing the tables the rules may read, and for a tick() under way; can be cancelled and called again.';
revoke execute on procedure leadstream.rescore(text, integer) from public;

create function leadstream.verify_scores(name text default null)
returns table (contact_id text, score_set text, kept bigint, computed bigint)
language plpgsql stable parallel unsafe rows 10
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account constant text := leadstream._account();
	moment	constant timestamptz := leadstream.clock();
	c		record;
begin
	if name is not null then
		perform leadstream._score_set(name, for_change => false);
	end if;
	for c in select s.score_set_id, s.score_set, s.version,
					exists (select from leadstream.score_walk w
							where w.score_set_id = s.score_set_id and w.version = s.version and w.is_done
							  and w.kept = pg_relation_filenode(to_regclass('leadstream.score'))) as is_walked
			 from leadstream.score_set s
			 where s.account = own_account and s.is_enabled
			   and coalesce(s.score_set = name, true)
			 order by s.score_set
	loop
		return query execute
			'select l.contact_id, $2, k.points, l.points '
			'from leadstream.list_scores($2, $4) l '
			'full join (select o.contact_id::text, o.version, o.points, o.next_at, o.settled_at from leadstream.score o '
			'			where o.score_set_id = $1) k on k.contact_id = l.contact_id '
			'where case when k.contact_id is null then $5 and l.points <> 0 '
			'			else $5 and k.version = $3 and coalesce(k.next_at > $4, true) and k.settled_at <= $4 '
			'				 and k.points is distinct from l.points end '
			'order by 1'
			using c.score_set_id, c.score_set, c.version, moment, c.is_walked;
	end loop;
end
$$;
comment on function leadstream.verify_scores(text) is
'the contacts whose score is kept wrong, in one set or (null) in all: it computes all of them from the rows that exist now, and leaves out what the next tick() is going to judge. '
'Empty unless rows changed that are not captured, or there is a defect in leadstream. The caller needs SELECT on leadstream.score and on what the rules read.';

create function leadstream.score_history(contact text, score_set text default null,
	since timestamptz default null, until timestamptz default null)
returns table (at timestamptz, points bigint)
language plpgsql stable parallel unsafe rows 100
set search_path = pg_catalog, pg_temp
as $$
declare
	upto	constant timestamptz := coalesce(until, leadstream.clock());
	start	constant timestamptz := coalesce(since, upto - interval '90 days');
begin
	if not isfinite(start) or not isfinite(upto) then
		raise exception 'since and until must be finite'
			using errcode = 'invalid_parameter_value',
				  detail = format('They are %s and %s.', start, upto);
	end if;
	if upto < start then
		raise exception 'the period ends before it begins'
			using errcode = 'invalid_parameter_value',
				  detail = format('It is from %s to %s.', start, upto);
	end if;
	if score_set is not null then
		perform leadstream._score_set(score_history.score_set, for_change => false);
	end if;
	return query
		with earning as materialized (
			select r.points, leadstream._timeline_of(r.rule, contact, start)
							 * tstzmultirange(tstzrange(start, upto, '[]')) as timeline
			from leadstream._sound_scores(score_history.score_set) r
		), step as (
			select greatest(coalesce(lower(p.part), start), start) as at, r.points
			from earning r cross join lateral unnest(r.timeline) as p(part)
			union all
			select upper(p.part), -r.points
			from earning r cross join lateral unnest(r.timeline) as p(part)
			where upper(p.part) <= upto and not upper_inc(p.part)
			union all
			select start, 0
			where contact is not null
		), level as (
			select s.at, sum(sum(s.points)) over (order by s.at)::bigint as points
			from step s group by s.at
		), change as (
			select l.at, l.points, lag(l.points) over (order by l.at) as before from level l
		)
		select c.at, c.points from change c where c.points is distinct from c.before order by c.at;
end
$$;
comment on function leadstream.score_history(text, text, timestamptz, timestamptz) is
'the score of a contact, in one set or (null) in all, as steps from an instant (90 days before the end, unless said) until another (now), by the rows that exist now; the first line is the beginning. The caller needs SELECT on what the rules read';

create function leadstream.score_history(contact anyelement, score_set text default null,
	since timestamptz default null, until timestamptz default null)
returns table (at timestamptz, points bigint)
language sql stable parallel unsafe rows 100
set search_path = pg_catalog, pg_temp
as $$
	select h.* from leadstream.score_history(contact::text, score_set, since, until) h
$$;
comment on function leadstream.score_history(anyelement, text, timestamptz, timestamptz) is
'the same for a key of any type';
