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

static bool node_turns(const BoundRule *bound, const BoundNode *node);

static bool
has_aggregate(const RuleNode *operand)
{
	return operand->kind == RULE_AGGREGATE || operand->kind == RULE_TIMES;
}

bool
ls_rule_test_rises(const BoundAggregate *agg, const BoundNode *node, bool is_truer)
{
	if (!is_truer)
		return false;
	/* compared with a multiple of itself, less of it may be truer */
	if (node->origin->kind == RULE_TEST && list_length(node->refs) == 1 &&
		node->origin->nkids > 1 && has_aggregate(ls_rule_kid(node->origin, 0)) &&
		has_aggregate(ls_rule_kid(node->origin, 1)))
		return false;
	if (agg->func == RULE_AGG_EXISTS)
		return node->origin->kind == RULE_ALONE;
	if ((agg->func != RULE_AGG_COUNT && agg->func != RULE_AGG_SCORE) ||
		node->origin->kind != RULE_TEST)
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

	if (agg->older || (agg->within && !ls_rule_test_rises(agg, node, is_truer)))
		return true;
	foreach(lc, agg->sources)
	{
		BoundSource *source = lfirst(lc);

		if (source->where && source->where->is_timeline)
			return true;
	}
	return false;
}

/* Can time alone change the condition at all? */
static bool
node_has_clock(const BoundRule *bound, const BoundNode *node)
{
	ListCell   *lc;
	ListCell   *lc2;

	check_stack_depth();
	if (node->kind == BOUND_TEST && node->test->is_timeline)
		return true;
	foreach(lc, node->refs)
	{
		const BoundAggregate *agg = list_nth(bound->aggregates, lfirst_int(lc));

		if (agg->older || agg->within)
			return true;
		foreach(lc2, agg->sources)
		{
			BoundSource *source = lfirst(lc2);

			if (source->where && source->where->is_timeline)
				return true;
		}
	}
	foreach(lc, node->kids)
		if (node_has_clock(bound, lfirst(lc)))
			return true;
	return false;
}

/*
 * Can time alone make the test of a score truer?  Where a higher one does no
 * harm, points that are lost cannot.
 */
static bool
score_turns(const BoundRule *bound, const BoundAggregate *agg, const BoundNode *node,
			bool is_truer)
{
	bool		is_up = list_length(node->refs) == 1 && ls_rule_test_rises(agg, node, is_truer);
	ListCell   *lc;

	foreach(lc, agg->items)
	{
		BoundItem  *item = lfirst(lc);

		if (is_up && item->points >= 0 ? node_turns(bound, item->node) :
			node_has_clock(bound, item->node))
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
	{
		const BoundAggregate *agg = list_nth(bound->aggregates, lfirst_int(lc));

		if (agg->func == RULE_AGG_SCORE ? score_turns(bound, agg, node, lfirst_int(lc2)) :
			aggregate_turns(agg, node, lfirst_int(lc2)))
			return true;
	}
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
