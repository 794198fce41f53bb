/*-------------------------------------------------------------------------
 *
 * sql_parts.h
 *	  What the queries of a rule are put together from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SQL_PARTS_H
#define LS_SQL_PARTS_H

#include "access/stratnum.h"
#include "lib/stringinfo.h"

#include "rule_bind.h"

/* The qualified name of a table. */
extern char *ls_sql_table_name(Oid relid);

/* Equality of the contacts' keys, whatever schema their type lives in. */
extern char *ls_sql_key_equals(const BoundRule *bound);

/* An operator of the order in which the contacts' keys are. */
extern char *ls_sql_key_operator(const ContactSource *contacts, StrategyNumber strategy);

/* "null" for no interval. */
extern char *ls_sql_interval_constant(const Interval *interval);
extern char *ls_sql_instant_constant(TimestampTz t);

/* The instant of a row; no function stands between a timestamptz and its index. */
extern char *ls_sql_row_instant(const char *zone, const ActivitySource *source);

/* Is it exists(...) alone? */
extern bool ls_sql_is_exists(const BoundRule *bound, const BoundNode *node);

/* A test of the contact alone, without the clock: it filters contacts. */
extern bool ls_sql_is_filter(const BoundNode *node);

/* Add such a one to a where clause; and that contacts are of an account (NULL: any). */
extern void ls_sql_append_filter(StringInfo where, const BoundNode *node);
extern void ls_sql_append_account(StringInfo where, const ContactSource *contacts,
								  const char *account);

/*
 * Add that contacts are among those that the query asks of, see BoundRule; and of
 * rows that their contacts are, which an index finds them by.
 */
extern void ls_sql_append_part(StringInfo where, const BoundRule *bound);
extern void ls_sql_append_rows_part(StringInfo where, const BoundRule *bound,
									const ActivitySource *source);

/* What all of must be true: the root's children, or itself. */
extern List *ls_sql_root_needs(const BoundRule *bound);

#endif							/* LS_SQL_PARTS_H */
