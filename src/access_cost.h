/*-------------------------------------------------------------------------
 *
 * access_cost.h
 *	  What part of a table's rows an access condition lets through.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ACCESS_COST_H
#define LS_ACCESS_COST_H

#include "nodes/primnodes.h"
#include "utils/rel.h"

#include "access_value.h"

/* Estimates from the table's statistics, or such as the planner's defaults. */
extern double ls_cost_equal(Expr *field, Relation rel, ValueHash *hash, uint32 hashed);
extern double ls_cost_member(Expr *field, Relation rel, ValueHash *hash, uint32 hashed);
extern double ls_cost_prefix(Expr *field, Relation rel, const char *prefix, int length);

/* False: nothing is known, and a default is given. */
extern bool ls_cost_range(Expr *field, Relation rel, Oid type, uint64 low,
						  uint64 high, double *cost);

#endif							/* LS_ACCESS_COST_H */
