/*-------------------------------------------------------------------------
 *
 * rule_turns.c
 *	  Rules that turn true because time passes.
 *
 * Most rules do not: a row makes them true, at once, and in time they only
 * cease to be.  For these the clock queue need not look at the contacts that a
 * row has left false.  What is found here may be said of too many rules, never
 * of too few.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rule_turns.h"

/* Do fewer rows never make the test truer, if more do? */
static bool
is_one_way(const BoundAggregate *agg, const BoundNode *node)
{
	if (agg->func == RULE_AGG_EXISTS)
		return node->origin->kind == RULE_ALONE;
	if (agg->func != RULE_AGG_COUNT || node->origin->kind != RULE_TEST)
		return false;
	switch ((RuleOp) node->origin->op)
	{
		case RULE_OP_LT:
		case RULE_OP_LE:
		case RULE_OP_GT:
		case RULE_OP_GE:
			return true;
		default:
			return false;
	}
}

/*
 * Can time alone make the test of an aggregate truer?  Rows that leave a window
 * can, unless it takes more rows; and rows that begin to count late, or while
 * the clock is in their where.
 */
static bool
aggregate_turns(const BoundAggregate *agg, const BoundNode *node, bool is_truer)
{
	ListCell   *lc;

	if (agg->older || (agg->within && !(is_truer && is_one_way(agg, node))))
		return true;
	foreach(lc, agg->sources)
	{
		BoundSource *source = lfirst(lc);

		if (source->where && source->where->is_timeline)
			return true;
	}
	return false;
}

static bool
node_turns(const BoundRule *bound, const BoundNode *node)
{
	ListCell   *lc;
	ListCell   *lc2;

	check_stack_depth();
	if (node->kind == BOUND_TEST && node->test->is_timeline)
		return true;
	forboth(lc, node->refs, lc2, node->truer)
		if (aggregate_turns(list_nth(bound->aggregates, lfirst_int(lc)), node, lfirst_int(lc2)))
			return true;
	foreach(lc, node->kids)
		if (node_turns(bound, lfirst(lc)))
			return true;
	return false;
}

bool
ls_rule_turns_by_time(const BoundRule *bound)
{
	return node_turns(bound, bound->root);
}

bool
ls_rule_needs_seeds(const BoundRule *bound)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (ls_rule_turns_by_time(bound))
		return true;
	foreach(lc, bound->aggregates)
		foreach(lc2, ((BoundAggregate *) lfirst(lc))->sources)
		{
			ActivitySource *source = ((BoundSource *) lfirst(lc2))->source;

			if (!ls_source_is_own(source) && source->time_attno != InvalidAttrNumber)
				return true;
		}
	return false;
}
