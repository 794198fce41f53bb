/*-------------------------------------------------------------------------
 *
 * rule_turns.h
 *	  Rules that turn true because time passes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_TURNS_H
#define LS_RULE_TURNS_H

#include "rule_bind.h"

/*
 * Can time alone make the rule true of a contact that has no rows in the
 * future?
 */
extern bool ls_rule_turns_by_time(const BoundRule *bound);

/*
 * Is there something to be found out about contacts when the rule is put to
 * work: does it turn by time, or speak of rows that may lie in the future?
 */
/*
 * Does less of an aggregate never make a test of it truer, where is_truer says
 * that more does?  node as it was bound.
 */
extern bool ls_rule_test_rises(const BoundAggregate *agg, const BoundNode *node,
							   bool is_truer);

extern bool ls_rule_needs_seeds(const BoundRule *bound);

#endif							/* LS_RULE_TURNS_H */
