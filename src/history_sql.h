/*-------------------------------------------------------------------------
 *
 * history_sql.h
 *	  A bound rule as the query for first instants.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_HISTORY_SQL_H
#define LS_HISTORY_SQL_H

#include "rule_bind.h"

/*
 * The query that yields (contact_id, first_at) for every contact whose timeline
 * begins by the instant $1: its first_instant(timeline, $1), found without the
 * timelines where there is a shorter way.  $2 and $3: see BoundRule.  Otherwise
 * as ls_rule_to_sql.
 */
extern char *ls_rule_to_history_sql(const BoundRule *bound, const char *account);

/*
 * The parts of that query where the rule comes down to one threshold of rows:
 * SQL over the aliases c (contacts) and a (activities), with these parameters.
 * False where it does not.
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
	char	   *part;			/* which contacts are asked of, or "" */
	char	   *first;			/* an aggregate: the first instant, or null */
	bool		rows_ask_contact;	/* is c in rows? */
} ThresholdSql;

extern bool ls_rule_threshold_sql(const BoundRule *bound, const char *account,
								  ThresholdSql *parts);

#endif							/* LS_HISTORY_SQL_H */
