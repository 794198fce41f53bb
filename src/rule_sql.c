/*-------------------------------------------------------------------------
 *
 * rule_sql.c
 *	  A bound rule as the query over all contacts and all instants.
 *
 * The timeline of a rule is put together from the timelines of its tests by
 * the multirange operators: and is *, or is +, not is a difference.  Each
 * aggregate is one grouped subquery over its activity table, joined to the
 * contacts: for exists it gives the union of what its rows count for; for any
 * other the spans (and values) of the rows, which a step function of
 * pieces.c turns into pieces of constant value, each put to the test:
 *
 *	  select c.id as contact_id, <timeline> as timeline
 *	  from contacts c
 *	  left join (select a.contact_id as contact, array_agg(span) as spans
 *				 from page_visit a where ... group by 1) q1 on ...
 *	  where <tests of the contact alone>
 *
 * All is set-based: the planner chooses indexes, joins and workers.  What a
 * rule needs at its root is moved to where it saves work: a plain test of the
 * contact becomes a where clause, an exists becomes an inner join.
 *
 * History asks for less: the first instant up to the clock.  Where a rule comes
 * down to one threshold of rows, that takes no timelines, only the rows' times,
 * which an index on (contact, time) has without the table:
 *
 *	  select a.contact_id as contact, leadstream.first_count(array_agg(a.at), ...)
 *	  from page_visit a where ... and a.at <= $1 group by 1
 *
 * A simulation asks what is new in a period, as DESIGN says what a new match
 * is: a beginning of the timeline, or of a row that counts in a condition in
 * force.  Only rows that can count in the period are read, and when they count
 * is cut to it, so that there are few pieces; what the query's timelines say
 * outside of the period is void.  Of the rows of an aggregate their beginnings
 * are gathered too:
 *
 *	  range_agg(leadstream.beginnings(span)) filter (where a.at > ...) as begins
 *
 * They are sets of instants, as timelines are, so and, or and the rest of the
 * algebra are the same operators.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/typcache.h"

#include "bind_operand.h"
#include "instant.h"
#include "own_rows.h"
#include "row_set.h"
#include "rule_sql.h"

#define NOTHING		"'{}'::pg_catalog.tstzmultirange"
#define ALWAYS		"'{(,)}'::pg_catalog.tstzmultirange"

typedef struct SqlContext
{
	const BoundRule *bound;
	char	   *zone;
	Bitmapset  *inner;			/* aggregates whose rows the rule cannot do
								 * without */
	const SqlPeriod *period;	/* NULL: all time */
	Bitmapset  *arriving;		/* aggregates of which it has to be known when
								 * a row begins to count */
} SqlContext;

static char *
table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* Equality of the contacts' keys, whatever schema their type lives in. */
static char *
key_equals(const BoundRule *bound)
{
	TypeCacheEntry *type = lookup_type_cache(bound->contacts->key_base,
											 TYPECACHE_EQ_OPR);
	Oid			nspoid = get_func_namespace(get_opcode(type->eq_opr));

	return psprintf("OPERATOR(%s.=)", quote_identifier(get_namespace_name(nspoid)));
}

static char *
interval_constant(const Interval *interval)
{
	if (interval == NULL)
		return "null";
	return psprintf("'%d mons " INT64_FORMAT " microseconds'::pg_catalog.interval",
					interval->month, interval->time);
}

/* The name of an aggregate's subquery over its n-th source. */
static char *
source_alias(int aggregate, int n)
{
	return psprintf("q%d_%d", aggregate + 1, n + 1);
}

/* The instant of a row; no function stands between a timestamptz and its index. */
static char *
row_instant(SqlContext *cxt, const ActivitySource *source)
{
	char	   *at = psprintf("a.%s", quote_identifier(source->time_name));

	return source->time_type == TIMESTAMPTZOID ? at :
		psprintf("leadstream.as_instant(%s, %s)", at, cxt->zone);
}

/*
 * The order of first and last: time, then primary key; a table without one
 * goes by where its rows are stored.
 */
static char *
row_order(SqlContext *cxt, const ActivitySource *source)
{
	Relation	rel = table_open(source->relid, AccessShareLock);
	Bitmapset  *attnos = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	StringInfoData buf;

	initStringInfo(&buf);
	/* the order of instants is not that of local times where clocks are put forward */
	if (source->time_name)
		appendStringInfoString(&buf, row_instant(cxt, source));
	if (attnos)
	{
		/* in the order of the key, not of the columns */
		Relation	index = RelationIdGetRelation(rel->rd_pkindex);

		for (int i = 0; i < index->rd_index->indnkeyatts; i++)
			appendStringInfo(&buf, "%sa.%s", buf.len ? ", " : "",
							 quote_identifier(get_attname(source->relid,
														  index->rd_index->indkey.values[i], false)));
		RelationClose(index);
	}
	else
		appendStringInfo(&buf, "%sa.tableoid, a.ctid", buf.len ? ", " : "");
	table_close(rel, NoLock);
	return buf.data;
}

static char *
instant_constant(TimestampTz t)
{
	return psprintf("'%s'::pg_catalog.timestamptz", ls_instant_to_text(t));
}

/* The instant before a period: nothing is new in it that was true there. */
static TimestampTz
before_period(const SqlPeriod *period)
{
	return TIMESTAMP_NOT_FINITE(period->from) || period->from <= MIN_TIMESTAMP ?
		DT_NOBEGIN : period->from - 1;
}

/* A span of time as a timeline. */
static char *
span_constant(TimestampTz from, TimestampTz upto)
{
	if (from >= upto)
		return NOTHING;
	return psprintf("'{[%s,%s)}'::pg_catalog.tstzmultirange",
					TIMESTAMP_IS_NOBEGIN(from) ? "" : psprintf("\"%s\"", ls_instant_to_text(from)),
					TIMESTAMP_IS_NOEND(upto) ? "" : psprintf("\"%s\"", ls_instant_to_text(upto)));
}

/*
 * A condition on the rows of a source: that their time and an interval (NULL:
 * none) is not before an instant, or a superset of it.  "" where it is no use.
 */
static char *
rows_since(SqlContext *cxt, const BoundSource *s, TimestampTz t, const Interval *by)
{
	TimestampTz oldest = t - 1;

	if (s->source->time_name == NULL || TIMESTAMP_NOT_FINITE(t) || t <= MIN_TIMESTAMP ||
		(by && !ls_rowset_oldest(t, by, &oldest)))
		return "";
	return psprintf("%s OPERATOR(pg_catalog.>) %s", row_instant(cxt, s->source),
					instant_constant(oldest));
}

/* The instants at which one row of the source counts; at: its own, SQL. */
static char *
row_span(SqlContext *cxt, const BoundAggregate *agg, const BoundSource *s, const char *at)
{
	char	   *span;

	if (s->source->time_name == NULL)
		span = ALWAYS;
	else
		span = psprintf("leadstream.row_span(%s, %s, %s, %s)",
						at, interval_constant(agg->older), interval_constant(agg->within),
						cxt->zone);
	if (s->where && s->where->is_timeline)
		span = psprintf("(%s OPERATOR(pg_catalog.*) %s)", span, s->where->sql);
	if (cxt->period)
		span = psprintf("(%s OPERATOR(pg_catalog.*) %s)", span,
						span_constant(before_period(cxt->period), cxt->period->upto));
	return span;
}

/* The instants at which any row of a source counts, of a group. */
static char *
any_span(SqlContext *cxt, const BoundAggregate *agg, const BoundSource *s, const char *span)
{
	/* of rows that count for good, the first says all */
	if (s->source->time_name && agg->within == NULL && !(s->where && s->where->is_timeline))
		return row_span(cxt, agg, s, psprintf("pg_catalog.min(%s)", row_instant(cxt, s->source)));
	return psprintf("pg_catalog.range_agg(%s)", span);
}

/*
 * The instants at which rows of a source begin to count, of a group: those in
 * the period, at least.
 */
static char *
row_beginnings(SqlContext *cxt, const BoundAggregate *agg, const BoundSource *s,
			   const char *span)
{
	/* with the clock in it, the where says when */
	const char *since = s->where && s->where->is_timeline ? "" :
		rows_since(cxt, s, cxt->period->from, agg->older);

	return psprintf("pg_catalog.range_agg(leadstream.beginnings(%s))%s%s%s", span,
					since[0] ? " filter (where " : "", since, since[0] ? ")" : "");
}

/*
 * The same of rows that stand in no table: each contact's by itself.  Spans and
 * values are made a level below, for an aggregate of nothing but columns of the
 * contact would be one of the query around it.
 */
static void
append_own_rows(SqlContext *cxt, StringInfo from, int index, const BoundAggregate *agg,
				int n, const BoundSource *s)
{
	char	   *alias = source_alias(index, n);
	const char *order = agg->func == RULE_AGG_FIRST || agg->func == RULE_AGG_LAST ?
		psprintf(" order by %s", ls_ownrows_order(s->source)) : "";
	bool		is_inner = bms_is_member(index, cxt->inner);

	appendStringInfo(from, "\n%s join lateral (select ", is_inner ? "inner" : "left");
	if (agg->func == RULE_AGG_EXISTS)
		appendStringInfoString(from, "pg_catalog.range_agg(a.ls_span) as timeline");
	else
		appendStringInfo(from, "pg_catalog.array_agg(a.ls_span%s) as spans", order);
	if (s->value)
		appendStringInfo(from, ", pg_catalog.array_agg(a.ls_value%s) as vals", order);
	appendStringInfo(from, "\n\tfrom (select a.*, %s as ls_span", row_span(cxt, agg, s,
					 s->source->time_name ? row_instant(cxt, s->source) : NULL));
	if (s->value)
		appendStringInfo(from, ", %s as ls_value", s->value);
	appendStringInfo(from, "\n\t\tfrom %s", 
					 ls_ownrows_sql(s->source, cxt->bound->contacts, key_equals(cxt->bound)));
	if (s->where && !s->where->is_timeline)
		appendStringInfo(from, "\n\t\twhere %s", s->where->sql);
	if (is_inner)
		appendStringInfo(from, ") a) %s on %s.timeline is not null", alias, alias);
	else
		appendStringInfo(from, ") a) %s on true", alias);
}

static void
append_source(SqlContext *cxt, StringInfo from, int index, const BoundAggregate *agg,
			  int n, const BoundSource *s)
{
	ContactSource *contacts = cxt->bound->contacts;
	char	   *alias = source_alias(index, n);
	char	   *span = row_span(cxt, agg, s,
								s->source->time_name ? row_instant(cxt, s->source) : NULL);
	char	   *contact = psprintf("a.%s", quote_identifier(s->source->contact_name));
	char	   *key = psprintf("c.%s", quote_identifier(contacts->key_name));

	appendStringInfo(from, "\n%s join (select %s as contact, ",
					 bms_is_member(index, cxt->inner) ? "inner" : "left", contact);
	if (agg->func == RULE_AGG_EXISTS)
		appendStringInfo(from, "%s as timeline", any_span(cxt, agg, s, span));
	else
	{
		const char *order = agg->func == RULE_AGG_FIRST || agg->func == RULE_AGG_LAST ?
			psprintf(" order by %s", row_order(cxt, s->source)) : "";

		appendStringInfo(from, "pg_catalog.array_agg(%s%s) as spans", span, order);
		if (s->value)
			appendStringInfo(from, ", pg_catalog.array_agg(%s%s) as vals", s->value, order);
	}
	if (bms_is_member(index, cxt->arriving))
		appendStringInfo(from, ",\n\t\t%s as begins", row_beginnings(cxt, agg, s, span));
	appendStringInfo(from, "\n\tfrom %s a", table_name(s->source->relid));
	if (s->where && s->where->uses_contact)
		appendStringInfo(from, " inner join %s c on %s %s %s",
						 table_name(contacts->relid), key, key_equals(cxt->bound), contact);
	appendStringInfo(from, "\n\twhere %s is not null", contact);
	if (s->where && !s->where->is_timeline)
		appendStringInfo(from, " and %s", s->where->sql);
	if (cxt->period)
	{
		const char *since = agg->within == NULL ? "" :
			rows_since(cxt, s, before_period(cxt->period), agg->within);

		if (since[0])
			appendStringInfo(from, " and %s", since);
		if (s->source->time_name && !TIMESTAMP_NOT_FINITE(cxt->period->upto))
			appendStringInfo(from, " and %s OPERATOR(pg_catalog.<) %s",
							 row_instant(cxt, s->source), instant_constant(cxt->period->upto));
	}
	appendStringInfo(from, "\n\tgroup by 1) %s on %s.contact %s %s",
					 alias, alias, key_equals(cxt->bound), key);
}

/* Something like "coalesce(q1_1.timeline, '{}') + ..." over an exists's sources. */
static char *
exists_timeline(SqlContext *cxt, int index)
{
	BoundAggregate *agg = list_nth(cxt->bound->aggregates, index);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '(');
	for (int n = 0; n < list_length(agg->sources); n++)
		appendStringInfo(&buf, "%scoalesce(%s.timeline, " NOTHING ")",
						 n ? " OPERATOR(pg_catalog.+) " : "", source_alias(index, n));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/* The step function of an aggregate, as a function call in FROM. */
static char *
pieces(SqlContext *cxt, int index)
{
	BoundAggregate *agg = list_nth(cxt->bound->aggregates, index);
	StringInfoData spans;
	const char *name = NULL;

	initStringInfo(&spans);
	for (int n = 0; n < list_length(agg->sources); n++)
	{
		if (n == 0)
			appendStringInfo(&spans, "%s.spans", source_alias(index, n));
		else
		{
			char	   *so_far = pstrdup(spans.data);

			resetStringInfo(&spans);
			appendStringInfo(&spans, "pg_catalog.array_cat(%s, %s.spans)",
							 so_far, source_alias(index, n));
		}
	}
	switch (agg->func)
	{
		case RULE_AGG_EXISTS:
		case RULE_AGG_COUNT:
			return psprintf("leadstream.count_pieces(%s)", spans.data);
		case RULE_AGG_COUNT_DISTINCT:
			name = "distinct_pieces";
			break;
		case RULE_AGG_SUM:
			name = "sum_pieces";
			break;
		case RULE_AGG_AVG:
			name = "avg_pieces";
			break;
		case RULE_AGG_MIN:
			name = "min_pieces";
			break;
		case RULE_AGG_MAX:
			name = "max_pieces";
			break;
		case RULE_AGG_FIRST:
			name = "first_pieces";
			break;
		case RULE_AGG_LAST:
			name = "last_pieces";
			break;
	}
	return psprintf("leadstream.%s(%s, %s.vals)", name, spans.data, source_alias(index, 0));
}

/* exists(...) and nothing more */
static bool
is_exists(SqlContext *cxt, const BoundNode *node)
{
	return node->kind == BOUND_TEST && list_length(node->refs) == 1 &&
		node->origin->kind == RULE_ALONE &&
		((BoundAggregate *) list_nth(cxt->bound->aggregates,
									 linitial_int(node->refs)))->func == RULE_AGG_EXISTS;
}

static char *
test_timeline(SqlContext *cxt, const BoundNode *node)
{
	StringInfoData buf;
	StringInfoData piece;
	ListCell   *lc;
	int			nrefs = list_length(node->refs);
	char	   *result;

	if (nrefs == 0)
		result = ls_expr_timeline(node->test);
	else if (is_exists(cxt, node))
		result = exists_timeline(cxt, linitial_int(node->refs));
	else
	{
		initStringInfo(&buf);
		initStringInfo(&piece);
		for (int i = 1; i <= nrefs; i++)
			appendStringInfo(&piece, "%sv%d.piece",
							 i > 1 ? " OPERATOR(pg_catalog.*) " : "", i);
		if (node->test->is_timeline)
			appendStringInfo(&buf, "coalesce((select pg_catalog.range_agg(pg_catalog.tstzmultirange(%s) OPERATOR(pg_catalog.*) %s) from ",
							 piece.data, node->test->sql);
		else
			appendStringInfo(&buf, "coalesce((select pg_catalog.range_agg(%s) from ",
							 piece.data);
		foreach(lc, node->refs)
			appendStringInfo(&buf, "%s%s v%d(piece, value)",
							 foreach_current_index(lc) ? ", " : "",
							 pieces(cxt, lfirst_int(lc)), foreach_current_index(lc) + 1);
		appendStringInfo(&buf, " where not pg_catalog.isempty(%s)", piece.data);
		if (!node->test->is_timeline)
			appendStringInfo(&buf, " and %s", node->test->sql);
		appendStringInfoString(&buf, "), " NOTHING ")");
		result = buf.data;
	}
	if (node->negated)
		result = psprintf("(" ALWAYS " OPERATOR(pg_catalog.-) %s)", result);
	return result;
}

/* A test of the contact alone, without the clock: it filters contacts. */
static bool
is_filter(const BoundNode *node)
{
	return node->kind == BOUND_TEST && node->refs == NIL && !node->test->is_timeline;
}

static void
append_filter(StringInfo where, const BoundNode *node)
{
	appendStringInfo(where, node->negated ? "%s((%s) is not true)" : "%s%s",
					 where->len ? "\n\tand " : "", node->test->sql);
}

/* What all of must be true: the root's children, or itself. */
static List *
root_needs(const BoundRule *bound)
{
	return bound->root->kind == BOUND_AND ? bound->root->kids :
		list_make1((void *) bound->root);
}

static void
append_account(StringInfo where, const ContactSource *contacts, const char *account)
{
	if (account && contacts->account_name)
		appendStringInfo(where, "%sc.%s::pg_catalog.text OPERATOR(pg_catalog.=) %s",
						 where->len ? "\n\tand " : "",
						 quote_identifier(contacts->account_name),
						 quote_literal_cstr(account));
}

static char *
node_timeline(SqlContext *cxt, const BoundNode *node)
{
	StringInfoData buf;
	ListCell   *lc;

	check_stack_depth();
	if (node->kind == BOUND_TEST)
		return test_timeline(cxt, node);
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '(');
	foreach(lc, node->kids)
		appendStringInfo(&buf, "%s%s",
						 foreach_current_index(lc) == 0 ? "" :
						 node->kind == BOUND_AND ? " OPERATOR(pg_catalog.*) " :
						 " OPERATOR(pg_catalog.+) ",
						 node_timeline(cxt, lfirst(lc)));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/*
 * The instants at which a row begins to count in a condition in force, where
 * the node is true; NULL if there are none.  To be cut to where it is.
 */
static char *
node_arrivals(SqlContext *cxt, const BoundNode *node)
{
	StringInfoData buf;
	ListCell   *lc;
	ListCell   *lc2;

	check_stack_depth();
	initStringInfo(&buf);
	if (node->kind == BOUND_TEST)
	{
		forboth(lc, node->refs, lc2, node->truer)
		{
			BoundAggregate *agg = list_nth(cxt->bound->aggregates, lfirst_int(lc));

			if (!lfirst_int(lc2))
				continue;
			cxt->arriving = bms_add_member(cxt->arriving, lfirst_int(lc));
			for (int n = 0; n < list_length(agg->sources); n++)
			{
				BoundSource *s = list_nth(agg->sources, n);

				/* elements have no time, and leads that are made are no news */
				if (!ls_source_is_own(s->source))
					appendStringInfo(&buf, "%scoalesce(%s.begins, " NOTHING ")",
									 buf.len ? " OPERATOR(pg_catalog.+) " : "",
									 source_alias(lfirst_int(lc), n));
			}
		}
	}
	else
		foreach(lc, node->kids)
		{
			const BoundNode *kid = lfirst(lc);
			char	   *arrivals = node_arrivals(cxt, kid);

			if (arrivals == NULL)
				continue;
			if (node->kind == BOUND_OR)
				arrivals = psprintf("(%s OPERATOR(pg_catalog.*) %s)", arrivals,
									node_timeline(cxt, kid));
			appendStringInfo(&buf, "%s%s", buf.len ? " OPERATOR(pg_catalog.+) " : "", arrivals);
		}
	return buf.len == 0 ? NULL : psprintf("(%s)", buf.data);
}

/* The parts of the query of all timelines. */
typedef struct TimelineSql
{
	char	   *key;			/* the contact's */
	char	   *timeline;		/* an expression; NULL: always */
	StringInfoData from;		/* contacts, as c, and rows */
	StringInfoData where;		/* or empty */
} TimelineSql;

static void
timeline_parts(SqlContext *cxt, const char *account, TimelineSql *parts)
{
	const BoundRule *bound = cxt->bound;
	ContactSource *contacts = bound->contacts;
	StringInfoData timeline;
	ListCell   *lc;
	ListCell   *lc2;

	initStringInfo(&parts->from);
	initStringInfo(&parts->where);
	initStringInfo(&timeline);

	/* what the root needs: filters, rows, timelines */
	foreach(lc, root_needs(bound))
	{
		const BoundNode *node = lfirst(lc);

		if (is_filter(node))
			append_filter(&parts->where, node);
		else
		{
			if (is_exists(cxt, node) && !node->negated &&
				list_length(((BoundAggregate *) list_nth(bound->aggregates,
														 linitial_int(node->refs)))->sources) == 1)
				cxt->inner = bms_add_member(cxt->inner, linitial_int(node->refs));
			appendStringInfo(&timeline, "%s%s",
							 timeline.len ? " OPERATOR(pg_catalog.*) " : "",
							 node_timeline(cxt, node));
		}
	}
	append_account(&parts->where, contacts, account);

	appendStringInfo(&parts->from, "%s c", table_name(contacts->relid));
	foreach(lc, bound->aggregates)
	{
		BoundAggregate *agg = lfirst(lc);

		foreach(lc2, agg->sources)
		{
			BoundSource *s = lfirst(lc2);

			if (ls_source_is_own(s->source))
				append_own_rows(cxt, &parts->from, foreach_current_index(lc), agg,
								foreach_current_index(lc2), s);
			else
				append_source(cxt, &parts->from, foreach_current_index(lc), agg,
							  foreach_current_index(lc2), s);
		}
	}
	parts->key = psprintf("c.%s", quote_identifier(contacts->key_name));
	parts->timeline = timeline.len ? timeline.data : NULL;
}

/* Put the timeline where it is found out once, however often it is asked for. */
static void
append_timeline(TimelineSql *parts)
{
	appendStringInfo(&parts->from, "\ncross join lateral (select %s as timeline offset 0) t",
					 parts->timeline);
	appendStringInfo(&parts->where, "%snot pg_catalog.isempty(t.timeline)",
					 parts->where.len ? "\n\tand " : "");
}

char *
ls_rule_to_sql(const BoundRule *bound, const char *account)
{
	SqlContext	cxt = {.bound = bound};
	TimelineSql parts;

	cxt.zone = quote_literal_cstr(bound->contacts->zone);
	timeline_parts(&cxt, account, &parts);
	if (parts.timeline)
		append_timeline(&parts);
	return psprintf("select %s as contact_id, %s as timeline\nfrom %s%s%s",
					parts.key, parts.timeline ? "t.timeline" : ALWAYS, parts.from.data,
					parts.where.len ? "\nwhere " : "", parts.where.data);
}

/* ----------
 * A period.
 * ----------
 */
char *
ls_rule_to_period_sql(const BoundRule *bound, const char *account,
					  const SqlPeriod *period)
{
	SqlContext	cxt = {.bound = bound, .period = period};
	TimelineSql parts;
	char	   *arrivals;

	cxt.zone = quote_literal_cstr(bound->contacts->zone);
	arrivals = node_arrivals(&cxt, bound->root);
	timeline_parts(&cxt, account, &parts);
	/* one that is true at all instants never turns true */
	if (parts.timeline == NULL)
		parts.timeline = NOTHING;
	append_timeline(&parts);
	return psprintf("select contact_id, pg_catalog.lower(news) as matched_at\n"
					"from (select %s as contact_id,\n"
					"\t(leadstream.beginnings(t.timeline)%s%s%s%s%s) OPERATOR(pg_catalog.*) %s as news\n"
					"from %s\nwhere %s offset 0) n\n"
					"where not pg_catalog.isempty(news)",
					parts.key,
					arrivals ? psprintf(" OPERATOR(pg_catalog.+)\n\tcase when t.timeline OPERATOR(pg_catalog.@>) %s then ",
										instant_constant(before_period(period))) : "",
					arrivals ? "t.timeline OPERATOR(pg_catalog.*) " : "",
					arrivals ? arrivals : "",
					arrivals ? " else " NOTHING : "",
					arrivals ? " end" : "",
					span_constant(period->from, period->upto),
					parts.from.data, parts.where.data);
}

char *
ls_rule_to_instant_sql(const BoundRule *bound, const char *account, TimestampTz at)
{
	SqlPeriod	period = {at, at + 1};
	SqlContext	cxt = {.bound = bound, .period = &period};
	TimelineSql parts;

	cxt.zone = quote_literal_cstr(bound->contacts->zone);
	timeline_parts(&cxt, account, &parts);
	if (parts.timeline)
	{
		append_timeline(&parts);
		appendStringInfo(&parts.where, " and t.timeline OPERATOR(pg_catalog.@>) %s",
						 instant_constant(at));
	}
	return psprintf("select %s as contact_id\nfrom %s%s%s",
					parts.key, parts.from.data,
					parts.where.len ? "\nwhere " : "", parts.where.data);
}

/* ----------
 * The first instant alone.
 * ----------
 */

/*
 * The number of rows from which on a test is true: 1 for exists(...), n for
 * count(...) >= n.  0 where it is something else, or true of no rows.
 */
static int64
rows_needed(SqlContext *cxt, const BoundNode *node)
{
	const RuleNode *origin = node->origin;
	const RuleNode *number;
	double		limit;

	if (node->kind != BOUND_TEST || list_length(node->refs) != 1)
		return 0;
	if (is_exists(cxt, node))
		return node->negated ? 0 : 1;
	if (origin->kind != RULE_TEST || origin->nkids != 2 ||
		ls_rule_kid(origin, 0)->kind != RULE_AGGREGATE ||
		ls_rule_kid(origin, 0)->op != RULE_AGG_COUNT)
		return 0;
	number = ls_rule_kid(origin, 1);
	/* of so few digits a double is exact */
	if (number->kind != RULE_NUMBER || number->textlen > 9)
		return 0;
	limit = atof(ls_rule_text(number));
	if (origin->op == (node->negated ? RULE_OP_LT : RULE_OP_GE))
		limit = ceil(limit);
	else if (origin->op == (node->negated ? RULE_OP_LE : RULE_OP_GT))
		limit = floor(limit) + 1;
	else
		return 0;
	return limit >= 1 ? (int64) limit : 0;
}

/*
 * Is the row that comes first also the first to count?  Not where the calendar
 * has a say in when it does, or whether.
 */
static bool
is_first_come(const BoundAggregate *agg)
{
	if (agg->older == NULL)
		return agg->within == NULL || agg->within->month > 0 || agg->within->time > 0;
	return agg->older->month == 0 &&
		(agg->within == NULL ||
		 (agg->within->month == 0 && agg->within->time > agg->older->time));
}

/*
 * Fill the parts of the query of a rule that asks for some of the contacts and
 * for a number of rows of one kind, of which the row alone (and perhaps the
 * contact) decides whether they count.  False where the rule is not so.
 *
 * All of it goes through first_count(), which knows infinite times, times out
 * of range and the calendar as row_span() does.
 */
bool
ls_rule_threshold_sql(const BoundRule *bound, const char *account,
					  ThresholdSql *parts)
{
	SqlContext	cxt = {.bound = bound};
	ContactSource *contacts = bound->contacts;
	BoundAggregate *agg;
	BoundSource *s;
	int64		needed = 0;
	char	   *at;
	char	   *first;
	StringInfoData filters;
	StringInfoData rows;
	ListCell   *lc;

	if (list_length(bound->aggregates) != 1)
		return false;
	agg = linitial(bound->aggregates);
	s = linitial(agg->sources);
	if (list_length(agg->sources) != 1 || s->source->time_name == NULL ||
		ls_source_is_own(s->source) ||
		(s->where && s->where->is_timeline))
		return false;

	initStringInfo(&filters);
	foreach(lc, root_needs(bound))
	{
		const BoundNode *node = lfirst(lc);

		if (is_filter(node))
			append_filter(&filters, node);
		else if (needed != 0 || (needed = rows_needed(&cxt, node)) == 0)
			return false;
	}
	if (needed == 0)
		return false;
	append_account(&filters, contacts, account);

	/* no row counts before its own time: later ones need not be read */
	cxt.zone = quote_literal_cstr(contacts->zone);
	at = row_instant(&cxt, s->source);
	initStringInfo(&rows);
	appendStringInfo(&rows, "%s OPERATOR(pg_catalog.<=) $1", at);
	if (needed == 1 && is_first_come(agg))
	{
		/* with an end, one from the beginning of time never counts */
		if (agg->within)
			appendStringInfo(&rows, " and %s OPERATOR(pg_catalog.>) '-infinity'::pg_catalog.timestamptz", at);
		first = psprintf("array[pg_catalog.min(%s)]", at);
	}
	else
		first = psprintf("pg_catalog.array_agg(%s)", at);
	if (s->where)
		appendStringInfo(&rows, " and %s", s->where->sql);

	parts->key = psprintf("c.%s", quote_identifier(contacts->key_name));
	parts->contact = psprintf("a.%s", quote_identifier(s->source->contact_name));
	parts->time = pstrdup(quote_identifier(s->source->time_name));
	parts->first = psprintf("leadstream.first_count(%s, " INT64_FORMAT ", %s, %s, %s, $1)",
							first, needed, interval_constant(agg->older),
							interval_constant(agg->within), cxt.zone);
	parts->activity = table_name(s->source->relid);
	parts->contacts = table_name(contacts->relid);
	parts->equals = key_equals(bound);
	parts->filters = filters.data;
	parts->rows = rows.data;
	parts->rows_ask_contact = s->where && s->where->uses_contact;
	return true;
}

char *
ls_rule_to_history_sql(const BoundRule *bound, const char *account)
{
	ThresholdSql q;

	if (!ls_rule_threshold_sql(bound, account, &q))
		return psprintf("select contact_id, first_at\n"
						"from (select contact_id, leadstream.first_instant(timeline, $1) as first_at\n"
						"from (%s) h offset 0) f\n"
						"where first_at is not null",
						ls_rule_to_sql(bound, account));

	/*
	 * Where only some contacts are asked for, the planner may go from them to
	 * their rows; where all are, rows are grouped first, as an index has them.
	 */
	if (q.filters[0] || q.rows_ask_contact)
		return psprintf("select contact_id, first_at\n"
						"from (select %s as contact_id,\n\t%s as first_at\n"
						"from %s c\ninner join %s a on %s %s %s\n"
						"where %s%s%s\ngroup by 1 offset 0) t\n"
						"where first_at is not null",
						q.key, q.first, q.contacts, q.activity, q.contact, q.equals,
						q.key, q.filters, q.filters[0] ? "\n\tand " : "", q.rows);
	return psprintf("select %s as contact_id, first_at\n"
					"from %s c\ninner join (select %s as contact,\n\t%s as first_at\n"
					"\tfrom %s a\n\twhere %s is not null and %s\n"
					"\tgroup by 1 offset 0) t on t.contact %s %s\n"
					"where first_at is not null",
					q.key, q.contacts, q.contact, q.first, q.activity, q.contact,
					q.rows, q.equals, q.key);
}
