/*-------------------------------------------------------------------------
 *
 * rule_sql.h
 *	  A bound rule as the query over all contacts and all instants.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_SQL_H
#define LS_RULE_SQL_H

#include "rule_bind.h"

/*
 * The query that yields (contact_id, timeline) for every contact whose
 * timeline is not empty; contact_id has the key's own type.  account limits
 * it to one account's contacts where the contacts have accounts.  Fully
 * qualified, runs under any search_path.  palloc'd in the current context.
 */
extern char *ls_rule_to_sql(const BoundRule *bound, const char *account);

/* The instants from "from" until before "upto"; either may be infinite. */
typedef struct SqlPeriod
{
	TimestampTz from;
	TimestampTz upto;
} SqlPeriod;

/*
 * The query that yields (contact_id, matched_at) for every contact of whom a
 * stream with the rule, enabled at the beginning of a period, would make a
 * match in it, if all happened as the rows say that there are now: the first
 * instant at which the rule turns true or, if it was true before, at which a
 * row begins to count in a condition in force.
 */
extern char *ls_rule_to_period_sql(const BoundRule *bound, const char *account,
								   const SqlPeriod *period);

/* The query that yields the contact_id of whom the rule is true at an instant. */
extern char *ls_rule_to_instant_sql(const BoundRule *bound, const char *account,
									TimestampTz at);

/*
 * The query of (contact_id, points): the score that the rule compares, of every
 * contact at an instant.  NULL if it compares none.
 */
extern char *ls_rule_to_score_sql(const BoundRule *bound, const char *account,
								  TimestampTz at);

#endif							/* LS_RULE_SQL_H */
