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

#endif							/* LS_RULE_SQL_H */
