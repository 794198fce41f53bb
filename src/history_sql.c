/*-------------------------------------------------------------------------
 *
 * history_sql.c
 *	  A bound rule as the query for first instants.
 *
 * History asks for less than timelines: the first instant up to the clock.  Where a
 * rule comes down to one threshold of rows, that takes no timelines (rule_sql.c),
 * only the rows' times, which an index on (contact, time) has without the table:
 *
 * 	  select a.contact_id as contact, leadstream.first_count(array_agg(a.at), ...)
 * 	  from page_visit a where ... and a.at <= $1 group by 1
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "history_sql.h"
#include "own_rows.h"
#include "rule_sql.h"
#include "sql_parts.h"

/*
 * The number of rows from which on a test is true: 1 for exists(...), n for
 * count(...) >= n.  0 where it is something else, or true of no rows.
 */
static int64
rows_needed(const BoundRule *bound, const BoundNode *node)
{
	const RuleNode *origin = node->origin;
	const RuleNode *number;
	double		limit;

	if (node->kind != BOUND_TEST || list_length(node->refs) != 1)
		return 0;
	if (ls_sql_is_exists(bound, node))
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
 * of range and the calendar as the timelines do.
 */
bool
ls_rule_threshold_sql(const BoundRule *bound, const char *account,
					  ThresholdSql *parts)
{
	ContactSource *contacts = bound->contacts;
	char	   *zone = quote_literal_cstr(contacts->zone);
	BoundAggregate *agg;
	BoundSource *s;
	int64		needed = 0;
	char	   *at;
	char	   *first;
	bool		is_first;
	StringInfoData filters;
	StringInfoData rows;
	StringInfoData part;
	ListCell   *lc;

	if (list_length(bound->aggregates) != 1)
		return false;
	agg = linitial(bound->aggregates);
	if (list_length(agg->sources) != 1)
		return false;
	s = linitial(agg->sources);
	if (s->source->time_name == NULL ||
		ls_source_is_own(s->source) ||
		(s->where && s->where->is_timeline))
		return false;

	initStringInfo(&filters);
	foreach(lc, ls_sql_root_needs(bound))
	{
		const BoundNode *node = lfirst(lc);

		if (ls_sql_is_filter(node))
			ls_sql_append_filter(&filters, node);
		else if (needed != 0 || (needed = rows_needed(bound, node)) == 0)
			return false;
	}
	if (needed == 0)
		return false;
	ls_sql_append_account(&filters, contacts, account);

	/*
	 * No row counts before its own time, so later ones need not be kept.  Of a
	 * first row first_count() sees that; and the time stands far behind in a
	 * row, which who fails before it is spared.
	 */
	at = ls_sql_row_instant(zone, s->source);
	is_first = needed == 1 && is_first_come(agg);
	initStringInfo(&rows);
	if (s->where)
		appendStringInfo(&rows, "%s%s", s->where->sql, is_first && !agg->within ? "" : " and ");
	if (!is_first || !s->where)
		appendStringInfo(&rows, "%s OPERATOR(pg_catalog.<=) $1%s", at,
						 is_first && agg->within ? " and " : "");
	/* with an end, one from the beginning of time never counts */
	if (is_first && agg->within)
		appendStringInfo(&rows, "%s OPERATOR(pg_catalog.>) '-infinity'::pg_catalog.timestamptz", at);
	ls_sql_append_rows_part(&rows, bound, s->source);
	initStringInfo(&part);
	ls_sql_append_part(&part, bound);
	first = psprintf(is_first ? "array[pg_catalog.min(%s)]" : "pg_catalog.array_agg(%s)", at);

	parts->key = psprintf("c.%s", quote_identifier(contacts->key_name));
	parts->contact = psprintf("a.%s", quote_identifier(s->source->contact_name));
	parts->time = pstrdup(quote_identifier(s->source->time_name));
	parts->first = psprintf("leadstream.first_count(%s, " INT64_FORMAT ", %s, %s, %s, $1)",
							first, needed, ls_sql_interval_constant(agg->older),
							ls_sql_interval_constant(agg->within), zone);
	parts->activity = ls_sql_table_name(s->source->relid);
	parts->contacts = ls_sql_table_name(contacts->relid);
	parts->equals = ls_sql_key_equals(bound);
	parts->filters = filters.data;
	parts->rows = rows.data;
	parts->part = part.data;
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
						"where %s%s%s%s%s\ngroup by 1 offset 0) t\n"
						"where first_at is not null",
						q.key, q.first, q.contacts, q.activity, q.contact, q.equals,
						q.key, q.filters, q.filters[0] ? "\n\tand " : "",
						q.part, q.part[0] ? "\n\tand " : "", q.rows);
	return psprintf("select %s as contact_id, first_at\n"
					"from %s c\ninner join (select %s as contact,\n\t%s as first_at\n"
					"\tfrom %s a\n\twhere %s is not null and %s\n"
					"\tgroup by 1 offset 0) t on t.contact %s %s\n"
					"where first_at is not null%s%s",
					q.key, q.contacts, q.contact, q.first, q.activity, q.contact,
					q.rows, q.equals, q.key, q.part[0] ? "\n\tand " : "", q.part);
}
