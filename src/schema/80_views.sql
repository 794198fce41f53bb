-- 80_views.sql
--
-- What there is, for people and for rule builders.  The views board, leads and
-- matches stand on the lead tables and are made with them (55_lead_tables.sql).

-- The lead tables may not be there yet.
create function leadstream._lead_counts() returns table (stream_id integer, leads bigint)
language plpgsql stable rows 100
set search_path = pg_catalog, pg_temp
as $$
begin
	if has_table_privilege(to_regclass('leadstream.lead_match'), 'SELECT') then
		return query
			select m.stream_id, count(*) from leadstream.lead_match m group by m.stream_id;
	end if;
end
$$;
comment on function leadstream._lead_counts() is
'how many leads each stream has; nothing where the caller may not read the matches';

-- Rows come to the streams by triggers, which somebody may have dropped, or
-- disabled for a load.
create view leadstream._silent_table as
with attached as (
	select null as kind, q.contacts as relation from leadstream.contact_source q
	union all
	select a.kind, a.activity from leadstream.activity_source a
),
silent as (
	select r.relation, r.kind, case when count(g.oid) = 0 then format('table %I.%I has no trigger leadstream_capture', n.nspname, c.relname)
						else format('trigger leadstream_capture of table %I.%I is disabled', n.nspname, c.relname) end as problem
	from attached r
	join pg_class c on c.oid = r.relation
	join pg_namespace n on n.oid = c.relnamespace
	left join pg_trigger g on g.tgrelid = r.relation
		and g.tgfoid = 'leadstream.capture()'::regprocedure and g.tgtype & 1 = 1
	group by r.relation, r.kind, n.nspname, c.relname
	having coalesce(bool_and(g.tgenabled = 'D'), true)
)
select s.kind, s.problem, false as is_gone from silent s
union all
select r.kind, case when r.kind is null then 'the contacts table was dropped'
					else format('the table of kind "%s" was dropped', r.kind) end, true
from attached r
where not exists (select from pg_class c where c.oid = r.relation)
union all
-- a partition by itself, whose trigger cannot be dropped
select r.kind, format('trigger leadstream_capture of partition %s is disabled', min(format('%I.%I', n.nspname, c.relname)))
	|| case when count(distinct p.relid) > 1 then format(', and of %s more', count(distinct p.relid) - 1) else '' end, false
from attached r
cross join lateral pg_partition_tree(r.relation) p
join pg_class c on c.oid = p.relid
join pg_namespace n on n.oid = c.relnamespace
join pg_trigger g on g.tgrelid = p.relid and g.tgparentid <> 0
	and g.tgfoid = 'leadstream.capture()'::regprocedure and g.tgtype & 1 = 1
where g.tgenabled = 'D' and not exists (select from silent s where s.relation = r.relation)
group by r.kind;
comment on view leadstream._silent_table is
'the attached tables whose rows nobody tells of, and why; kind is null for the contacts; is_gone: there is no such table any more';

create view leadstream.streams with (security_barrier) as
with silent as materialized (select * from leadstream._silent_table)
select s.stream_id, s.stream, s.description, s.rule::text as rule, s.is_enabled,
	   coalesce((select string_agg(t.team, ', ' order by t.team)
				 from leadstream.stream_team st
				 join leadstream.team t on t.team_id = st.team_id
				 where st.stream_id = s.stream_id), '') as teams,
	   coalesce(case when t.is_gone then t.problem end,
				leadstream.rule_problem(s.rule, s.account),
				t.problem) as problem,
	   case when has_table_privilege(to_regclass('leadstream.lead_match'), 'SELECT') is not false
			then coalesce(c.leads, 0) end as lead_count,
	   s.rule_version, s.requalify_after::text as requalify_after,
	   s.owner::text as owner, s.created_at, s.account
from leadstream.stream s
left join leadstream._lead_counts() c on c.stream_id = s.stream_id
left join lateral (
	select n.problem, n.is_gone from silent n
	where n.kind is null or n.kind = any (leadstream.rule_kinds(s.rule))
	order by n.is_gone desc, n.kind nulls first
	limit 1
) as t on true
where coalesce(s.account = any ((select leadstream.accounts_in_sight())::text[]), true);
comment on view leadstream.streams is
'the lead streams; problem: why an enabled stream makes no leads or a disabled one cannot be enabled, null where all is well; '
'lead_count is null for a role that may not read leadstream.lead_match';

comment on column leadstream.streams.stream_id is 'number of the stream, as tables name it';
comment on column leadstream.streams.stream is 'name of the stream, as functions take it';
comment on column leadstream.streams.description is 'what it is for, in the words of whoever made it';
comment on column leadstream.streams.rule is 'its rule: a contact of whom it is true matches';
comment on column leadstream.streams.created_at is 'when it was created';
comment on column leadstream.streams.is_enabled is 'do new matches make leads?';
comment on column leadstream.streams.teams is 'names of the teams it delivers to, separated by commas';
comment on column leadstream.streams.problem is 'why its rule does not bind to the tables as they are now, or which of them does not tell of its rows; null: all is well';
comment on column leadstream.streams.lead_count is 'leads that it matched, on all boards';
comment on column leadstream.streams.rule_version is 'raised with each change of the rule';
comment on column leadstream.streams.requalify_after is 'how long after a match a new one reopens a closed lead; null: never';
comment on column leadstream.streams.owner is 'role that may change it';
comment on column leadstream.streams.account is 'account it belongs to; empty without accounts';

create view leadstream.segments with (security_barrier) as
select s.segment_id, s.segment, s.description, s.rule::text as rule,
	   leadstream.rule_problem(s.rule, s.account) as problem,
	   coalesce(u.used_by, '') as used_by,
	   s.owner::text as owner, s.created_at, s.account
from leadstream.segment s
left join (
	select r.account, n.name, string_agg(r.title, ', ' order by r.title) as used_by
	from (select t.account, t.rule, format('stream "%s"', t.stream) as title from leadstream.stream t
		  union all
		  select o.account, o.rule, format('segment "%s"', o.segment) from leadstream.segment o) as r
	cross join lateral unnest(leadstream.rule_segments(r.rule)) as n(name)
	group by 1, 2
) as u on u.account = s.account and u.name = s.segment
where coalesce(s.account = any ((select leadstream.accounts_in_sight())::text[]), true);
comment on view leadstream.segments is
'the rules kept by name, which other rules name: segment(''name'')';
comment on column leadstream.segments.segment_id is 'number of the segment';
comment on column leadstream.segments.segment is 'name of the segment, as rules and functions take it';
comment on column leadstream.segments.description is 'what it is for, in the words of whoever made it';
comment on column leadstream.segments.rule is 'its rule, which stands wherever another rule says segment(''name'')';
comment on column leadstream.segments.created_at is 'when it was created';
comment on column leadstream.segments.problem is 'why its rule does not bind to the tables as they are now; null: it does';
comment on column leadstream.segments.used_by is 'the streams and segments whose rules name it, separated by commas';
comment on column leadstream.segments.owner is 'role that may change it';
comment on column leadstream.segments.account is 'account it belongs to; empty without accounts';

-- As a rule writes it: quoted where SQL or the rule language would otherwise
-- read it differently.
create function leadstream._label(name text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select case
		when name in ('and', 'or', 'not', 'in', 'is', 'between', 'where', 'within',
					  'older', 'than', 'distinct', 'true', 'false', 'null', 'now', 'today')
		then '"' || name || '"'
		else quote_ident(name)
	end
$$;
comment on function leadstream._label(text) is
'a name as it is written in a rule';

create function leadstream._operators(type oid) returns text
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select concat_ws(', ',
		case when leadstream._has_default_opclass(b.base, 'btree')
			 then '=, <>, <, <=, >, >=, between, in' end,
		case
			when t.typcategory = 'B' then 'is true, is false'
			when t.typcategory = 'D' and b.base in ('date'::regtype, 'timestamp'::regtype,
													'timestamptz'::regtype)
			then 'in today, in yesterday, in tomorrow, in this, in last, in next'
			when t.typcategory = 'S'
			then 'like, ilike, ~, ~*, starts with, ends with, contains, contains any, contains all'
			when t.typcategory = 'A' or b.base = 'jsonb'::regtype
			then 'contains, contains any, contains all'
		end,
		case when t.typcategory in ('S', 'A') or b.base = 'jsonb'::regtype then 'is empty' end,
		'is null')
	from (select leadstream._base_type(type) as base) as b
	join pg_type t on t.oid = b.base
$$;
comment on function leadstream._operators(oid) is
'the tests that make sense of a type in a rule';

create view leadstream.fields as
select leadstream._label(f.kind) as kind, leadstream._label(f.field) as field, f.type,
	   leadstream._operators(f.type_id) as operators
from (
	select k.kind, a.attname as field, format_type(a.atttypid, a.atttypmod) as type,
		   a.atttypid as type_id, a.attnum as position
	from (
		select 'contact' as kind, s.contacts as relation from leadstream.contact_source s
		union all
		select s.kind, s.activity from leadstream.activity_source s
	) as k
	join pg_attribute a on a.attrelid = k.relation and a.attnum > 0 and not a.attisdropped
	union all
	select a.attname, 'value' as field, format_type(e.type_id, null), e.type_id, 1
	from leadstream.contact_source s
	join pg_attribute a on a.attrelid = s.contacts and a.attnum > 0 and not a.attisdropped
		and a.attgenerated <> 'v'
	join pg_type t on t.oid = leadstream._base_type(a.atttypid)
	cross join lateral (
		select case when t.oid = 'jsonb'::regtype then t.oid
					when t.typsubscript = 'array_subscript_handler'::regproc then t.typelem
			   end as type_id) as e
	where e.type_id is not null
	  and a.attname <> 'lead'
	  and not exists (select from leadstream.activity_source o where o.kind = a.attname)
	union all
	select 'lead' as kind, l.field, format_type(l.type_id, null), l.type_id, l.position
	from leadstream.contact_source s
	cross join (values
		('team', 'text'::regtype, 1),
		('streams', 'text[]'::regtype, 2),
		('stage', 'text'::regtype, 3),
		('is_open', 'boolean'::regtype, 4),
		('created_at', 'timestamptz'::regtype, 5),
		('stage_changed_at', 'timestamptz'::regtype, 6)) as l(field, type_id, position)
) as f
order by f.kind <> 'contact', f.kind, f.position;
comment on view leadstream.fields is
'what rules may speak of: the columns of the contacts (kind contact), of each kind of activity, of the contact''s leads, and the elements of array columns of the contacts, with the tests that fit their type; '
'the paths into a jsonb column are fields too, as are the labels of objects that are elements of one';
comment on column leadstream.fields.kind is 'contact, or the kind of activity';
comment on column leadstream.fields.field is 'the column, as a rule writes it';
comment on column leadstream.fields.type is 'type of the column';
comment on column leadstream.fields.operators is 'tests that fit the type, separated by commas';

-- A path is one of those by which rows of the kind are looked up.  A stream
-- that none leads to is found by the contact of each row, or must be thought of
-- with every row.
create view leadstream.stream_stats with (security_barrier) as
select s.stream_id, s.account, s.stream, a.kind,
	   case when u.is_unkeyed then 'each session by itself'
			else coalesce(f.of_row, f.of_contact, 'every row') end as found_by,
	   f.of_row is null and f.of_contact is null and not u.is_unkeyed as is_residual
from leadstream.stream s
cross join lateral unnest(leadstream.rule_kinds(s.rule, s.account)) as k(kind)
join leadstream.activity_source a on a.kind = k.kind
cross join lateral (
	select not exists (select from leadstream.access_key x
					   where x.stream_id in (s.stream_id, - s.stream_id)
						 and x.digest <> leadstream._unkeyed_digest()) as is_unkeyed
) as u
cross join lateral (
	select string_agg(distinct p.kind || ' ' || array_to_string(p.fields, ', '), '; ')
				filter (where p.source_id <> 0) as of_row,
		   string_agg(distinct p.kind || ' ' || array_to_string(p.fields, ', '), '; ')
				filter (where p.source_id = 0) as of_contact
	from leadstream.access_path p
	join leadstream.access_key x
	  on x.digest = leadstream._path_digest(p.path_id) and x.stream_id = s.stream_id
	where p.source_id in (a.source_id, 0)
) as f
where s.is_enabled
  and coalesce(s.account = any ((select leadstream.accounts_in_sight())::text[]), true);
comment on view leadstream.stream_stats is
'how the enabled streams are found: a line for each stream and kind that its rule speaks of';
comment on column leadstream.stream_stats.stream_id is 'number of the stream';
comment on column leadstream.stream_stats.account is 'account it belongs to; empty without accounts';
comment on column leadstream.stream_stats.stream is 'name of the stream';
comment on column leadstream.stream_stats.kind is 'a kind of activity that its rule speaks of';
comment on column leadstream.stream_stats.found_by is
'what is looked up to find the stream: fields of a row of the kind (a), or of its contact (c); every row: the rule asks nothing of either that can be looked up; '
'each session by itself: it has no keys, see index_streams()';
comment on column leadstream.stream_stats.is_residual is
'is every row of the kind, in the account of the stream, its business?';

create function leadstream._version_counts()
returns table (stream_id integer, rule_version integer, matches bigint)
language plpgsql stable rows 100
set search_path = pg_catalog, pg_temp
as $$
begin
	if has_table_privilege(to_regclass('leadstream.lead_match'), 'SELECT') then
		return query
			select m.stream_id, m.rule_version, count(*) from leadstream.lead_match m
			group by m.stream_id, m.rule_version;
	end if;
end
$$;
comment on function leadstream._version_counts() is
'how many matches each version of each stream''s rule has; nothing where the caller may not read the matches';

create view leadstream.stream_versions with (security_barrier) as
select s.stream_id, s.stream, v.rule_version, v.rule::text as rule,
	   v.rule_version = s.rule_version as is_current,
	   case when has_table_privilege(to_regclass('leadstream.lead_match'), 'SELECT') is not false
			then coalesce(c.matches, 0) end as match_count,
	   v.created_at, v.created_by, s.account
from leadstream.stream_version v
join leadstream.stream s on s.stream_id = v.stream_id
left join leadstream._version_counts() c
	on c.stream_id = v.stream_id and c.rule_version = v.rule_version
where coalesce(s.account = any ((select leadstream.accounts_in_sight())::text[]), true);
comment on view leadstream.stream_versions is
'every rule that a stream ever had, since when and by whom, and how many of the matches there are it made';
comment on column leadstream.stream_versions.stream_id is 'number of the stream';
comment on column leadstream.stream_versions.stream is 'name of the stream';
comment on column leadstream.stream_versions.rule is 'what the rule was, with the segments by their names';
comment on column leadstream.stream_versions.rule_version is 'counted from 1; matches name it';
comment on column leadstream.stream_versions.is_current is 'is it the rule that the stream has now?';
comment on column leadstream.stream_versions.match_count is 'matches that this version made, on all boards; null for a role that may not read leadstream.lead_match';
comment on column leadstream.stream_versions.created_at is 'when the stream got this rule';
comment on column leadstream.stream_versions.created_by is 'role that gave it';
comment on column leadstream.stream_versions.account is 'account of the stream; empty without accounts';
