/*-------------------------------------------------------------------------
 *
 * program_rows.c
 *	  Of which rows a program has to know.
 *
 * Asked before a contact is locked and outside of any Judge: does a row concern
 * the rule at all, has a change of it anything to say, and can the rule be true of
 * a contact without rows?  So the contact, the clock and other rows have no part
 * in the answers.  They are run in one ExprContext of the session's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "program_rows.h"
#include "value.h"

/*
 * Where rows are looked at outside of judging.  One for all programs, for it
 * comes with 8 kB; nothing that is run there comes back here.
 */
static ExprContext *
shared_econtext(void)
{
	static ExprContext *econtext = NULL;

	if (econtext == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(AllocSetContextCreate(CacheMemoryContext,
																		   "leadstream rows",
																		   ALLOCSET_SMALL_SIZES));

		econtext = CreateStandaloneExprContext();
		MemoryContextSwitchTo(oldcxt);
	}
	return econtext;
}

bool
ls_program_concerns(RuleProgram *program, int32 source_id, TupleTableSlot *slot)
{
	ExprContext *econtext = shared_econtext();
	bool		result = false;

	econtext->ecxt_outertuple = slot;
	econtext->ecxt_param_list_info = program->params;
	for (int i = 0; i < program->naggregates && !result; i++)
		for (int j = 0; j < program->aggregates[i].nsources && !result; j++)
		{
			SourceProgram *source = &program->aggregates[i].sources[j];
			Piece	   *filter;
			bool		isnull;

			if (source->source->source_id != source_id)
				continue;
			if (source->filter_expr == NULL)
			{
				result = true;
				continue;
			}
			filter = source->filter.expr ? &source->filter : &source->where;
			result = DatumGetBool(ExecEvalExprSwitchContext(ls_program_state(program, filter),
															econtext, &isnull)) && !isnull;
			ResetExprContext(econtext);
		}
	econtext->ecxt_outertuple = NULL;
	econtext->ecxt_param_list_info = NULL;
	return result;
}

/* Do two rows differ in a column, or does nobody know? */
static bool
column_differs(TupleTableSlot *a, TupleTableSlot *b, AttrNumber attno)
{
	Form_pg_attribute att;
	Datum		a_value;
	Datum		b_value;
	bool		a_null;
	bool		b_null;

	if (attno <= 0)
		return true;
	att = TupleDescAttr(a->tts_tupleDescriptor, attno - 1);
	a_value = slot_getattr(a, attno, &a_null);
	b_value = slot_getattr(b, attno, &b_null);
	if (a_null || b_null)
		return a_null != b_null;
	return !datum_image_eq(a_value, b_value, att->attbyval, att->attlen);
}

typedef struct TwoVersions
{
	TupleTableSlot *a;
	TupleTableSlot *b;
} TwoVersions;

/* Does an expression read a column of the activity in which they differ? */
static bool
reads_difference(Node *node, void *context)
{
	TwoVersions *versions = context;

	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, Var))
		return ((Var *) node)->varno == OUTER_VAR &&
			column_differs(versions->a, versions->b, ((Var *) node)->varattno);
	return expression_tree_walker(node, reads_difference, context);
}

bool
ls_program_sees_change(const RuleProgram *program, int32 source_id,
					   TupleTableSlot *a, TupleTableSlot *b)
{
	TwoVersions versions = {a, b};

	for (int i = 0; i < program->naggregates; i++)
	{
		AggregateProgram *agg = &program->aggregates[i];
		bool		has_order = agg->bound->func == RULE_AGG_FIRST ||
			agg->bound->func == RULE_AGG_LAST;

		for (int j = 0; j < agg->nsources; j++)
		{
			SourceProgram *source = &agg->sources[j];

			if (source->source->source_id != source_id)
				continue;
			if (reads_difference((Node *) source->where.expr, &versions) ||
				reads_difference((Node *) source->value.expr, &versions))
				return true;
			/* rows of one time are in the order of their keys, or places */
			if (has_order && source->nkeys == 0)
				return true;
			for (int k = 0; k < source->nkeys; k++)
				if (column_differs(a, b, source->key_attnos[k]))
					return true;
		}
	}
	return false;
}

/* Does it read the contact's row or the clock? */
static bool
is_variable(Node *node, void *context)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, Var) || (IsA(node, Param) && ((Param *) node)->paramid == 1))
		return true;
	return expression_tree_walker(node, is_variable, context);
}

/* The value of an aggregate over no rows; of a score it is known. */
static void
set_empty(const BoundAggregate *agg, int64 score, ParamExternData *param)
{
	NumberSum	sum;

	param->ptype = type_is_array(agg->result_type) ? TEXTOID : agg->result_type;
	param->pflags = PARAM_FLAG_CONST;
	param->isnull = false;
	switch (agg->func)
	{
		case RULE_AGG_EXISTS:
		case RULE_AGG_COUNT:
		case RULE_AGG_COUNT_DISTINCT:
			param->value = Int64GetDatum(0);
			break;
		case RULE_AGG_SUM:
			ls_sum_start(&sum);
			param->value = NumericGetDatum(ls_sum_total(&sum));
			break;
		case RULE_AGG_SCORE:
			param->value = NumericGetDatum(int64_to_numeric(score));
			break;
		default:
			param->value = (Datum) 0;
			param->isnull = true;
			break;
	}
}

/* Does it read rows that come with the contact itself? */
static bool
reads_elements(const BoundAggregate *agg)
{
	ListCell   *lc;

	foreach(lc, agg->sources)
		if (((BoundSource *) lfirst(lc))->source->origin == SOURCE_ELEMENTS)
			return true;
	return false;
}

static bool node_needs_rows(const RuleProgram *program, const NodeProgram *node);

/*
 * The value of a score over no rows; the highest it can have, if that depends
 * on the contact.  False where nothing can be said of the test by that.
 */
static bool
score_when_empty(const RuleProgram *program, const NodeProgram *node,
				 const AggregateProgram *agg, int64 *result)
{
	ListCell   *lc;

	*result = 0;
	foreach(lc, agg->bound->items)
	{
		if (node_needs_rows(program, agg->items[foreach_current_index(lc)]))
			continue;
		if (!node->is_rising)
			return false;
		*result += Max(((BoundItem *) lfirst(lc))->points, 0);
	}
	return true;
}

/* What a test says of a contact without rows, if it can say so. */
static bool
is_false_when_empty(const RuleProgram *program, const NodeProgram *node)
{
	const BoundNode *bound = node->bound;
	ExprContext *econtext = shared_econtext();
	MemoryContext oldcxt;
	ExprState  *state;
	int64	   *scores;
	ListCell   *lc;
	bool		isnull;
	bool		result;

	if (bound->test->is_timeline || is_variable((Node *) node->test.expr, NULL))
		return false;

	/* before any parameter is set, for it takes other tests */
	scores = palloc0(sizeof(int64) * Max(list_length(bound->refs), 1));
	foreach(lc, bound->refs)
	{
		const AggregateProgram *agg = &program->aggregates[lfirst_int(lc)];

		if (agg->bound->func == RULE_AGG_SCORE &&
			!score_when_empty(program, node, agg, &scores[foreach_current_index(lc)]))
			return false;
	}

	/* a contact that has come just now may have them */
	foreach(lc, bound->refs)
		if (reads_elements(program->aggregates[lfirst_int(lc)].bound))
			return false;

	/* whatever is made of it is gone with the answer */
	oldcxt = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	foreach(lc, bound->refs)
		set_empty(program->aggregates[lfirst_int(lc)].bound,
				  scores[foreach_current_index(lc)],
				  &program->params->params[foreach_current_index(lc) + 1]);
	econtext->ecxt_param_list_info = program->params;
	state = ls_program_compile_expr(program, node->test.expr);
	result = DatumGetBool(ExecEvalExpr(state, econtext, &isnull)) && !isnull;
	econtext->ecxt_param_list_info = NULL;
	MemoryContextSwitchTo(oldcxt);
	ResetExprContext(econtext);
	return result == bound->negated;
}

static bool
node_needs_rows(const RuleProgram *program, const NodeProgram *node)
{
	check_stack_depth();
	switch (node->bound->kind)
	{
		case BOUND_AND:
			for (int i = 0; i < node->nkids; i++)
				if (node_needs_rows(program, node->kids[i]))
					return true;
			return false;
		case BOUND_OR:
			for (int i = 0; i < node->nkids; i++)
				if (!node_needs_rows(program, node->kids[i]))
					return false;
			return true;
		case BOUND_TEST:
			return is_false_when_empty(program, node);
	}
	return false;				/* keep compiler quiet */
}

bool
ls_program_needs_rows(const RuleProgram *program)
{
	/* what comes from outside pg_catalog may raise errors */
	return !program->bound->foreign && node_needs_rows(program, program->root);
}

static bool
node_rises(const NodeProgram *node)
{
	check_stack_depth();
	if (node->bound->kind == BOUND_TEST)
		return node->bound->refs == NIL || node->is_rising;
	for (int i = 0; i < node->nkids; i++)
		if (!node_rises(node->kids[i]))
			return false;
	return true;
}

bool
ls_program_rises(const RuleProgram *program)
{
	return node_rises(program->root);
}
