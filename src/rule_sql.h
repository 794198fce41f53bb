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

/*
 * The query that yields (contact_id, first_at) for every contact whose timeline
 * begins by the instant $1: its first_instant(timeline, $1), found without the
 * timelines where there is a shorter way.  Otherwise the same.
 */
extern char *ls_rule_to_history_sql(const BoundRule *bound, const char *account);

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
 * The parts of the query of history where the rule comes down to one threshold of rows:
 * SQL over the aliases c (contacts) and a (activities), of which $1 is the
 * only parameter.  False where it does not.
 */
typedef struct ThresholdSql
{
	char	   *contacts;		/* the tables */
	char	   *activity;
	char	   *key;			/* of c; */
	char	   *equals;			/* is an operator, */
	char	   *contact;		/* the same of a */
	char	   *time;			/* column of a */
	char	   *filters;		/* conditions on contacts, or "" */
	char	   *rows;			/* conditions on rows */
	char	   *first;			/* an aggregate: the first instant, or null */
	bool		rows_ask_contact;	/* is c in rows? */
} ThresholdSql;

extern bool ls_rule_threshold_sql(const BoundRule *bound, const char *account,
								  ThresholdSql *parts);

#endif							/* LS_RULE_SQL_H */
