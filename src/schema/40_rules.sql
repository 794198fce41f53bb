-- 40_rules.sql
--
-- Rules asked: do they bind, what do they read, whom are they true of.  The
-- functions that look at contacts run with the caller's own rights.

create function leadstream.clock() returns timestamptz
language c stable parallel safe
as 'MODULE_PATHNAME', 'leadstream_clock';
comment on function leadstream.clock() is
'the instant at which functions that only read judge: the setting leadstream.clock, else the start of the statement';

create function leadstream.check_rule(rule leadstream.rule) returns void
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_check_rule';
comment on function leadstream.check_rule(leadstream.rule) is
'raises an error unless the rule binds to the attached tables and the caller may SELECT every column it names';

create function leadstream.check_only(activity regclass, rule leadstream.rule) returns void
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_check_only';
comment on function leadstream.check_only(regclass, leadstream.rule) is
'raises an error unless the rule is a condition over columns of the activity table alone';

create function leadstream.rule_problem(rule leadstream.rule, account text default '') returns text
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_rule_problem';
comment on function leadstream.rule_problem(leadstream.rule, text) is
'why the rule does not bind to the attached tables as they are now; null if it does';

create function leadstream.rule_kinds(rule leadstream.rule, account text default '') returns text[]
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_rule_kinds';
comment on function leadstream.rule_kinds(leadstream.rule, text) is
'the kinds of activities that the rule speaks of, in the segments it names too';

create function leadstream.rule_segments(rule leadstream.rule) returns text[]
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_rule_segments';
comment on function leadstream.rule_segments(leadstream.rule) is
'the segments that the rule names; not those that these name';

create function leadstream.rule_scores(rule leadstream.rule) returns text[]
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_rule_scores';
comment on function leadstream.rule_scores(leadstream.rule) is
'the score sets that the rule names; the empty name is score(), which is all of them';

create function leadstream._rename_score(rule leadstream.rule, name text, new_name text) returns leadstream.rule
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_rename_score';
comment on function leadstream._rename_score(leadstream.rule, text, text) is
'the rule with another name for a score set';

create function leadstream._expand_rule(rule leadstream.rule, account text) returns leadstream.rule
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_expand_rule';
comment on function leadstream._expand_rule(leadstream.rule, text) is
'the rule with the segments and score rules of the account in their places; null where it names none, or one of them is missing';

create function leadstream._rename_segment(rule leadstream.rule, name text, new_name text) returns leadstream.rule
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_rename_segment';
comment on function leadstream._rename_segment(leadstream.rule, text, text) is
'the rule with another name for a segment';

create function leadstream.rule_sql(rule leadstream.rule) returns text
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_rule_sql';
comment on function leadstream.rule_sql(leadstream.rule) is
'the query that says what history means: (contact_id, timeline) of every contact of whom the rule is true at some instant; can be run and explained as it is. fetch_history() asks a shorter one where only the first instant is wanted';

create function leadstream._history_sql(rule leadstream.rule) returns text
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_history_sql';
comment on function leadstream._history_sql(leadstream.rule) is
'internal: what fetch_history runs to find (contact_id, first_at) up to the instant $1';

create function leadstream.is_match(rule leadstream.rule, contact "any") returns boolean
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_is_match';
comment on function leadstream.is_match(leadstream.rule, "any") is
'is the rule true of this contact now? judged as a live match is; null for a null argument, false for a contact that is unknown, hidden from the caller or of another account';

create function leadstream.is_match(rule leadstream.rule, contact text) returns boolean
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_is_match';
comment on function leadstream.is_match(leadstream.rule, text) is
'as is_match(rule, "any"), the key given as text or as a parameter of no type';

create function leadstream.timeline(rule leadstream.rule)
returns table (contact_id text, timeline tstzmultirange)
language plpgsql stable strict parallel restricted rows 1000
set search_path = pg_catalog, pg_temp
as $$
begin
	return query execute format('select h.contact_id::text, h.timeline from (%s) h',
								leadstream.rule_sql(rule));
end
$$;
comment on function leadstream.timeline(leadstream.rule) is
'when was, is and will the rule be true of each contact, judged by the rows that exist now; contacts of whom it never is are left out';

create function leadstream._timeline_of(rule leadstream.rule, contact "any", since timestamptz) returns tstzmultirange
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_timeline_of';
comment on function leadstream._timeline_of(leadstream.rule, "any", timestamptz) is
'the same of one contact and from an instant on, as the clock queue finds it out; null: there is no such contact';

create function leadstream.preview(rule leadstream.rule)
returns table (contact_id text, email text, name text, company text, first_matched_at timestamptz)
language plpgsql stable strict parallel restricted rows 1000
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
	history constant text := leadstream.rule_sql(rule);

	-- a column of the contact as text, null where none is named or it is gone
	column_text text := '';
	column_name name;
begin
	select s.* into source from leadstream.contact_source s;
	foreach column_name in array array[source.email_column, source.name_column,
									   source.company_column] loop
		column_text := column_text ||
			case when exists (select from pg_attribute a
							  where a.attrelid = source.contacts and a.attnum > 0
								and a.attname = column_name and not a.attisdropped)
				 then format(', c.%I::text', column_name)
				 else ', null::text' end;
	end loop;
	return query execute format(
		'select h.contact_id::text%s, h.first_at
		 from (select t.contact_id, leadstream.first_instant(t.timeline, $1) as first_at
			   from (%s) t offset 0) h
		 join %s c on c.%I %s h.contact_id
		 where h.first_at is not null
		 order by h.first_at, h.contact_id',
		column_text, history, source.contacts, source.key_column,
		leadstream._key_operator())
	using leadstream.clock();
end
$$;
comment on function leadstream.preview(leadstream.rule) is
'the contacts that fetch_history would make leads of and the first instant of each, without writing anything';

create function leadstream._instant_sql(rule leadstream.rule, at timestamptz) returns text
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_instant_sql';
comment on function leadstream._instant_sql(leadstream.rule, timestamptz) is
'the query that gives (contact_id) of whom the rule is true at an instant, by the timelines of that instant';

create function leadstream._live_matches(rule leadstream.rule, key_type anyelement)
returns setof anyelement
language c stable parallel restricted rows 1000
as 'MODULE_PATHNAME', 'leadstream_live_matches';
comment on function leadstream._live_matches(leadstream.rule, anyelement) is
'the contacts of whom is_match() is true, all judged in one reading; the second argument only names the type of their key';

create function leadstream.verify(rule leadstream.rule)
returns table (contact_id text, live boolean, history boolean)
language plpgsql stable strict parallel restricted rows 1
set search_path = pg_catalog, pg_temp
as $$
declare
	history constant text := leadstream._instant_sql(rule, leadstream.clock());
begin
	-- Both sides say whom the rule is true of, so nobody else need be compared.
	return query execute format(
		'select coalesce(l.contact_id, h.contact_id)::text, l.contact_id is not null, h.contact_id is not null
		 from leadstream._live_matches($1, null::%s) as l(contact_id)
		 full join (%s) h on h.contact_id %s l.contact_id
		 where l.contact_id is null or h.contact_id is null',
		(select s.key_type from leadstream.contact_source s), history,
		leadstream._key_operator())
	using rule;
end
$$;
comment on function leadstream.verify(leadstream.rule) is
'the contacts of whom live judging and the timeline disagree: always none, whatever the rule and the data; says nothing of leads that exist';

create function leadstream.make_history(stream_ids integer[]) returns bigint
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_make_history';
comment on function leadstream.make_history(integer[]) is
'internal: makes the leads of the past for these streams; use fetch_history()';
revoke execute on function leadstream.make_history(integer[]) from public;

create function leadstream.verify(stream text)
returns table (contact_id text, live boolean, history boolean)
language sql stable strict parallel restricted rows 1
set search_path = pg_catalog, pg_temp
as $$
	select v.contact_id, v.live, v.history
	from leadstream.verify((leadstream._stream(stream, false)).rule) as v
$$;
comment on function leadstream.verify(text) is
'the contacts of whom live judging and the timeline of the stream''s rule disagree: always none';
