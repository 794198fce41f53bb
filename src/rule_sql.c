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

#include "bind_operand.h"
#include "instant.h"
#include "own_rows.h"
#include "row_set.h"
#include "rule_sql.h"
#include "sql_parts.h"

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

/* The name of an aggregate's subquery over its n-th source. */
static char *
source_alias(int aggregate, int n)
{
	return psprintf("q%d_%d", aggregate + 1, n + 1);
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
		appendStringInfoString(&buf, ls_sql_row_instant(cxt->zone, source));
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
	TimestampTz oldest;

	if (s->source->time_name == NULL || TIMESTAMP_NOT_FINITE(t) || t <= MIN_TIMESTAMP)
		return "";
	oldest = t - 1;
	if (by && !ls_rowset_oldest(t, by, &oldest))
		return "";
	return psprintf("%s OPERATOR(pg_catalog.>) %s", ls_sql_row_instant(cxt->zone, s->source),
					ls_sql_instant_constant(oldest));
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
						at, ls_sql_interval_constant(agg->older), ls_sql_interval_constant(agg->within),
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
		return row_span(cxt, agg, s, psprintf("pg_catalog.min(%s)", ls_sql_row_instant(cxt->zone, s->source)));
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
					 s->source->time_name ? ls_sql_row_instant(cxt->zone, s->source) : NULL));
	if (s->value)
		appendStringInfo(from, ", %s as ls_value", s->value);
	appendStringInfo(from, "\n\t\tfrom %s", 
					 ls_ownrows_sql(s->source, cxt->bound->contacts, ls_sql_key_equals(cxt->bound)));
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
								s->source->time_name ? ls_sql_row_instant(cxt->zone, s->source) : NULL);
	char	   *contact = psprintf("a.%s", quote_identifier(s->source->contact_name));
	char	   *key = psprintf("c.%s", quote_identifier(contacts->key_name));
	StringInfoData part;

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
	appendStringInfo(from, "\n\tfrom %s a", ls_sql_table_name(s->source->relid));
	if (s->where && s->where->uses_contact)
		appendStringInfo(from, " inner join %s c on %s %s %s",
						 ls_sql_table_name(contacts->relid), key, ls_sql_key_equals(cxt->bound), contact);
	appendStringInfo(from, "\n\twhere %s is not null", contact);
	if (s->where && !s->where->is_timeline)
		appendStringInfo(from, " and %s", s->where->sql);
	initStringInfo(&part);
	ls_sql_append_rows_part(&part, cxt->bound, s->source);
	if (part.len)
		appendStringInfo(from, "\n\tand %s", part.data);
	if (cxt->period)
	{
		const char *since = agg->within == NULL ? "" :
			rows_since(cxt, s, before_period(cxt->period), agg->within);

		if (since[0])
			appendStringInfo(from, " and %s", since);
		if (s->source->time_name && !TIMESTAMP_NOT_FINITE(cxt->period->upto))
			appendStringInfo(from, " and %s OPERATOR(pg_catalog.<) %s",
							 ls_sql_row_instant(cxt->zone, s->source), ls_sql_instant_constant(cxt->period->upto));
	}
	appendStringInfo(from, "\n\tgroup by 1) %s on %s.contact %s %s",
					 alias, alias, ls_sql_key_equals(cxt->bound), key);
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

static char *node_timeline(SqlContext *cxt, const BoundNode *node);

/* The step function of a score: of a sum of rows that count while it is true. */
static char *
score_pieces(SqlContext *cxt, const BoundAggregate *agg)
{
	StringInfoData spans;
	StringInfoData points;
	ListCell   *lc;

	initStringInfo(&spans);
	initStringInfo(&points);
	foreach(lc, agg->items)
	{
		BoundItem  *item = lfirst(lc);
		const char *separator = foreach_current_index(lc) ? ", " : "";

		appendStringInfo(&spans, "%s%s", separator, node_timeline(cxt, item->node));
		appendStringInfo(&points, "%s" INT64_FORMAT, separator, item->points);
	}
	return psprintf("leadstream.sum_pieces(array[%s]::pg_catalog.tstzmultirange[], array[%s]::pg_catalog.numeric[])",
					spans.data, points.data);
}

/* The step function of an aggregate, as a function call in FROM. */
static char *
pieces(SqlContext *cxt, int index)
{
	BoundAggregate *agg = list_nth(cxt->bound->aggregates, index);
	StringInfoData spans;
	const char *name = NULL;

	if (agg->func == RULE_AGG_SCORE)
		return score_pieces(cxt, agg);
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
		case RULE_AGG_SCORE:
			break;
	}
	return psprintf("leadstream.%s(%s, %s.vals)", name, spans.data, source_alias(index, 0));
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
	else if (ls_sql_is_exists(cxt->bound, node))
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

static char *node_arrivals(SqlContext *cxt, const BoundNode *node);

/* The same of the conditions of a score that earn points. */
static void
append_score_arrivals(SqlContext *cxt, StringInfo buf, const BoundAggregate *agg)
{
	ListCell   *lc;

	foreach(lc, agg->items)
	{
		const BoundItem *item = lfirst(lc);
		char	   *arrivals = item->points > 0 ? node_arrivals(cxt, item->node) : NULL;

		if (arrivals)
			appendStringInfo(buf, "%s(%s OPERATOR(pg_catalog.*) %s)",
							 buf->len ? " OPERATOR(pg_catalog.+) " : "", arrivals,
							 node_timeline(cxt, item->node));
	}
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
			if (agg->func == RULE_AGG_SCORE)
				append_score_arrivals(cxt, &buf, agg);
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
	foreach(lc, ls_sql_root_needs(bound))
	{
		const BoundNode *node = lfirst(lc);

		if (ls_sql_is_filter(node))
			ls_sql_append_filter(&parts->where, node);
		else
		{
			if (ls_sql_is_exists(cxt->bound, node) && !node->negated &&
				list_length(((BoundAggregate *) list_nth(bound->aggregates,
														 linitial_int(node->refs)))->sources) == 1)
				cxt->inner = bms_add_member(cxt->inner, linitial_int(node->refs));
			appendStringInfo(&timeline, "%s%s",
							 timeline.len ? " OPERATOR(pg_catalog.*) " : "",
							 node_timeline(cxt, node));
		}
	}
	ls_sql_append_account(&parts->where, contacts, account);
	ls_sql_append_part(&parts->where, bound);

	appendStringInfo(&parts->from, "%s c", ls_sql_table_name(contacts->relid));
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
										ls_sql_instant_constant(before_period(period))) : "",
					arrivals ? "t.timeline OPERATOR(pg_catalog.*) " : "",
					arrivals ? arrivals : "",
					arrivals ? " else " NOTHING : "",
					arrivals ? " end" : "",
					span_constant(period->from, period->upto),
					parts.from.data, parts.where.data);
}

/* The period that is one instant; none comes after the last that there is. */
static SqlPeriod
instant_period(TimestampTz at)
{
	SqlPeriod	period = {at, DT_NOEND};

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("at must be finite"),
				 errdetail("It is %s.", ls_instant_to_text(at))));
	if (IS_VALID_TIMESTAMP(at + 1))
		period.upto = at + 1;
	return period;
}

char *
ls_rule_to_instant_sql(const BoundRule *bound, const char *account, TimestampTz at)
{
	SqlPeriod	period = instant_period(at);
	SqlContext	cxt = {.bound = bound, .period = &period};
	TimelineSql parts;

	cxt.zone = quote_literal_cstr(bound->contacts->zone);
	timeline_parts(&cxt, account, &parts);
	if (parts.timeline)
	{
		append_timeline(&parts);
		appendStringInfo(&parts.where, " and t.timeline OPERATOR(pg_catalog.@>) %s",
						 ls_sql_instant_constant(at));
	}
	return psprintf("select %s as contact_id\nfrom %s%s%s",
					parts.key, parts.from.data,
					parts.where.len ? "\nwhere " : "", parts.where.data);
}

/* What a score is at an instant: the piece of it that the instant lies in. */
char *
ls_rule_to_score_sql(const BoundRule *bound, const char *account, TimestampTz at)
{
	SqlPeriod	period = instant_period(at);
	SqlContext	cxt = {.bound = bound, .period = &period};
	TimelineSql parts;
	ListCell   *lc;

	cxt.zone = quote_literal_cstr(bound->contacts->zone);
	timeline_parts(&cxt, account, &parts);
	foreach(lc, bound->aggregates)
		if (((BoundAggregate *) lfirst(lc))->func == RULE_AGG_SCORE)
			return psprintf("select %s as contact_id, s.value as points\nfrom %s\n"
							"cross join lateral %s s(piece, value)\n"
							"where %s%ss.piece OPERATOR(pg_catalog.@>) %s",
							parts.key, parts.from.data, pieces(&cxt, foreach_current_index(lc)),
							parts.where.data, parts.where.len ? "\n\tand " : "",
							ls_sql_instant_constant(at));
	return NULL;
}
