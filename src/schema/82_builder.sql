-- 82_builder.sql
--
-- What a rule builder on a web page offers: the view fields in the words of
-- react-querybuilder.  The names are read back by the cast from jsonb.

create function leadstream._builder_label(name text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select upper(left(n.plain, 1)) || replace(substr(n.plain, 2), '_', ' ')
	from (select case when name like '"%' then replace(substr(name, 2, length(name) - 2), '""', '"')
					  else name end as plain) as n
$$;
comment on function leadstream._builder_label(text) is
'a name in a rule as people read it: "Last visit" for last_visit';

create function leadstream._builder_values(names text[]) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select coalesce(jsonb_agg(jsonb_build_object('name', n, 'label', n) order by i), '[]')
	from unnest(names) with ordinality as u(n, i)
$$;
comment on function leadstream._builder_values(text[]) is
'texts to choose from';

-- The tests of leadstream._operators(), in the order that a rule builder shows;
-- without a value if the arity is unary.  Left out is what nobody asks: the
-- order of booleans, and arrays as a whole.
create function leadstream._builder_operators(tests text, family text, is_column boolean) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_agg(jsonb_build_object('name', o.name, 'label', o.label)
					 || case when o.unary then '{"arity": "unary"}' else '{}' end::jsonb order by o.n)
	from (values
		(1, '=', '=', '=', false), (2, '<>', '!=', '≠', false),
		(3, '<', '<', '<', false), (4, '<=', '<=', '≤', false),
		(5, '>', '>', '>', false), (6, '>=', '>=', '≥', false),
		(10, 'contains', 'contains', 'contains', false), (11, 'contains', 'doesNotContain', 'does not contain', false),
		(12, 'starts with', 'beginsWith', 'begins with', false), (13, 'starts with', 'doesNotBeginWith', 'does not begin with', false),
		(14, 'ends with', 'endsWith', 'ends with', false), (15, 'ends with', 'doesNotEndWith', 'does not end with', false),
		(16, 'contains any', 'containsAny', 'contains any of', false), (17, 'contains any', 'doesNotContainAny', 'contains none of', false),
		(18, 'contains all', 'containsAll', 'contains all of', false), (19, 'contains all', 'doesNotContainAll', 'does not contain all of', false),
		(20, 'in', 'in', 'in', false), (21, 'in', 'notIn', 'not in', false),
		(22, 'between', 'between', 'between', false), (23, 'between', 'notBetween', 'not between', false),
		(30, 'in today', 'in today', 'is today', true), (31, 'in yesterday', 'in yesterday', 'is yesterday', true),
		(32, 'in tomorrow', 'in tomorrow', 'is tomorrow', true),
		(33, 'in this', 'in this week', 'is this week', true), (34, 'in this', 'in this month', 'is this month', true),
		(35, 'in this', 'in this quarter', 'is this quarter', true), (36, 'in this', 'in this year', 'is this year', true),
		(37, 'in last', 'in last week', 'is last week', true), (38, 'in last', 'in last month', 'is last month', true),
		(39, 'in last', 'in last quarter', 'is last quarter', true), (40, 'in last', 'in last year', 'is last year', true),
		(41, 'in next', 'in next week', 'is next week', true), (42, 'in next', 'in next month', 'is next month', true),
		(43, 'in next', 'in next quarter', 'is next quarter', true), (44, 'in next', 'in next year', 'is next year', true),
		(50, 'is true', 'holds', 'holds', true), (51, 'is true', 'true', 'is true', true), (52, 'is true', 'notTrue', 'is not true', true),
		(53, 'is false', 'false', 'is false', true), (54, 'is false', 'notFalse', 'is not false', true),
		(60, 'is null', 'null', 'is null', true), (61, 'is null', 'notNull', 'is not null', true),
		(62, 'is empty', 'empty', 'is empty', true), (63, 'is empty', 'notEmpty', 'is not empty', true),
		(70, 'like', 'like', 'like', false), (71, 'like', 'notLike', 'not like', false),
		(72, 'ilike', 'ilike', 'like, whatever the case', false), (73, 'ilike', 'notIlike', 'not like, whatever the case', false),
		(74, '~', '~', 'matches', false), (75, '~', '!~', 'does not match', false),
		(76, '~*', '~*', 'matches, whatever the case', false), (77, '~*', '!~*', 'does not match, whatever the case', false)
	) as o(n, test, name, label, unary)
	where o.test = any (string_to_array(tests, ', '))
	  and not (family = 'boolean' and o.n between 3 and 23)
	  and not (family like '%[]' and (o.n <= 6 or o.n between 20 and 23))
	  and (is_column or o.name <> 'holds')
$$;
comment on function leadstream._builder_operators(text, text, boolean) is
'the operators of a rule builder for tests that fit a type';

create function leadstream._builder_field(name text, label text, type oid) returns jsonb
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object(
			'name', name, 'label', label, 'type', format_type(type, null), 'family', f.family,
			'operators', leadstream._builder_operators(leadstream._operators(type), f.family,
																 is_column => name not like '%)'))
		|| case f.family
			when 'number' then '{"inputType": "number"}'
			when 'boolean' then '{"valueEditorType": "checkbox", "defaultValue": true}'
			when 'time' then case when b.base = 'date'::regtype then '{"inputType": "date"}'
								  else '{"inputType": "datetime-local"}' end
			else '{"inputType": "text"}'
		   end::jsonb
		|| case when t.typtype = 'e'
				then jsonb_build_object('valueEditorType', 'select', 'values', leadstream._builder_values(array(
					select e.enumlabel from pg_enum e where e.enumtypid = b.base order by e.enumsortorder)))
				else '{}' end
		-- the library offers the fields whose family is the same
		|| case when t.typcategory = 'A' or b.base = 'jsonb'::regtype then '{"valueSources": ["value"]}'
				else '{"valueSources": ["value", "field"], "comparator": "family"}' end::jsonb
	from (select leadstream._base_type(type) as base) as b
	join pg_type t on t.oid = b.base
	cross join lateral (
		select case
			when t.typcategory = 'N' then 'number'
			when t.typcategory = 'B' then 'boolean'
			when t.typcategory = 'S' then 'text'
			when b.base in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) then 'time'
			else format_type(b.base, null)
		end as family) as f
$$;
comment on function leadstream._builder_field(text, text, oid) is
'a field of a rule builder';

create function leadstream.builder_fields() returns jsonb
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
as $$
	with field as (
		select f.kind, f.field, to_regtype(f.type)::oid as type, f.n, s.time_column,
			   s.kind is not null as is_attached,
			   leadstream._label(s.contact_column) = f.field as is_link
		from (select v.*, row_number() over () as n from leadstream.fields v) as f
		left join leadstream.activity_source s on leadstream._label(s.kind) = f.kind
	),
	shown as (
		select f.*,
			   leadstream._builder_field(f.field, leadstream._builder_label(f.field), f.type)
			   || case
					when f.kind = 'lead' and f.field = 'stage'
					then jsonb_build_object('valueEditorType', 'select', 'values', leadstream._builder_values(array(
						select s.stage from leadstream.stage s
						where s.account = leadstream._account() order by s.position)))
					when f.kind = 'lead' and f.field = 'team'
					then jsonb_build_object('valueEditorType', 'select', 'values', leadstream._builder_values(array(
						select t.team from leadstream.team t
						where t.account = leadstream._account() order by t.team)))
					else '{}' end as json
		from field f
		where f.type is not null and f.is_link is not true
	),
	kind as (
		select s.kind, min(s.n) as n,
			   jsonb_agg(s.json order by s.n)
			   || case when bool_or(s.time_column is not null) or s.kind = 'lead'
				then jsonb_build_array(
					jsonb_build_object('name', 'within', 'label', 'Within the last', 'inputType', 'text', 'placeholder', '7 days',
									   'operators', '[{"name": "=", "label": "="}]'::jsonb, 'valueSources', '["value"]'::jsonb),
					jsonb_build_object('name', 'older than', 'label', 'Older than', 'inputType', 'text', 'placeholder', '1 day',
									   'operators', '[{"name": "=", "label": "="}]'::jsonb, 'valueSources', '["value"]'::jsonb))
				else '[]' end as subproperties
		from shown s
		-- an array of the contact is a field; to the library it cannot be a kind too
		where s.is_attached or s.kind = 'lead'
		group by s.kind
	),
	aggregate as (
		select s.n, a.m, format(a.name, s.kind, s.field) as name,
			   format(a.label, leadstream._builder_label(s.kind), lower(leadstream._builder_label(s.field))) as label,
			   coalesce(a.type, s.type) as type
		from shown s
		join (values
			(1, 'number', 'sum(%s.%s)', '%s: sum of %s', 'numeric'::regtype::oid),
			(2, 'number', 'avg(%s.%s)', '%s: average of %s', 'numeric'::regtype),
			(3, 'number', 'min(%s.%s)', '%s: least %s', null),
			(4, 'number', 'max(%s.%s)', '%s: greatest %s', null),
			(5, 'text', 'count(distinct %s.%s)', '%s: different values of %s', 'bigint'::regtype),
			(6, null, 'last(%s.%s)', '%s: last %s', null)) as a(m, family, name, label, type)
		  on a.family is null and s.json ? 'comparator' or a.family = s.json ->> 'family'
		where s.is_attached
	)
	select coalesce(jsonb_agg(o.json order by o.part, o.n, o.m), '[]')
	from (
		select 1 as part, s.n, 0 as m, s.json from shown s where s.kind = 'contact'
		union all
		select 2, k.n, 0, jsonb_build_object(
			'name', k.kind, 'label', leadstream._builder_label(k.kind), 'subproperties', k.subproperties,
			'operators', '[{"name": "=", "label": "="}]'::jsonb,
			'matchModes', '[{"name": "some", "label": "some"}, {"name": "none", "label": "none"},
							{"name": "atLeast", "label": "at least"}, {"name": "atMost", "label": "at most"},
							{"name": "exactly", "label": "exactly"}, {"name": "all", "label": "all"}]'::jsonb)
		from kind k
		union all
		select 3, a.n, a.m, leadstream._builder_field(a.name, a.label, a.type) from aggregate a
		union all
		select 4, 0, 0, jsonb_build_object(
			'name', 'segment()', 'label', 'Segment', 'inputType', 'text', 'valueSources', '["value"]'::jsonb,
			'operators', '[{"name": "=", "label": "is in"}, {"name": "!=", "label": "is not in"}]'::jsonb,
			'valueEditorType', 'select', 'values', leadstream._builder_values(s.names))
		from (select array_agg(g.segment order by g.segment) as names from leadstream.segment g
			  where g.account = leadstream._account()) as s
		where s.names is not null
		union all
		select 5, s.n, 0, leadstream._builder_field(s.name, s.label, 'numeric'::regtype)
		from (select 0 as n, 'score()' as name, 'Score: all sets' as label
			  where exists (select from leadstream.score_set c where c.account = leadstream._account())
			  union all
			  select row_number() over (order by c.score_set)::integer,
					 format('score(''%s'')', replace(c.score_set, '''', '''''')),
					 format('Score: %s', c.score_set)
			  from leadstream.score_set c where c.account = leadstream._account()) as s
	) as o
$$;
comment on function leadstream.builder_fields() is
'what rules may speak of, as the property fields of react-querybuilder takes it: columns of the contacts, kinds of activities with their fields as subproperties and match modes, aggregates, segments, scores';
