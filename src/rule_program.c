/*-------------------------------------------------------------------------
 *
 * rule_program.c
 *	  A bound rule made ready to run.
 *
 * The pieces of SQL of a bound rule are compiled by PostgreSQL's own parser
 * and expression compiler, as trigger.c does with WHEN clauses: columns of the
 * contact are Vars of the inner slot, columns of the activity Vars of the
 * outer slot, the clock is parameter $1 and the aggregates of a test are $2,
 * $3, ...  A piece that is a timeline becomes the question whether it contains
 * the clock, so that live judging is by construction "the clock is in the
 * timeline".
 *
 * Programs live as long as their creator likes and are used by one Judge at a
 * time (rule_eval.c).  They hold no relations open and no locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "key_scan.h"
#include "rule_program.h"

/* ----------
 * Compiling.
 * ----------
 */
typedef struct CompileState
{
	BoundRule  *bound;
	BoundNode  *test;			/* whose v1, v2, ... are meant, or NULL */
} CompileState;

static Node *
clock_param(ParseState *pstate, ParamRef *pref)
{
	Param	   *param = makeNode(Param);

	Assert(pref->number == 1);
	param->paramkind = PARAM_EXTERN;
	param->paramid = 1;
	param->paramtype = TIMESTAMPTZOID;
	param->paramtypmod = -1;
	param->location = -1;
	return (Node *) param;
}

/* v1.value, v2.value, ...: the aggregates of a test */
static Node *
aggregate_param(ParseState *pstate, ColumnRef *cref)
{
	CompileState *state = pstate->p_ref_hook_state;
	const char *name = strVal(linitial(cref->fields));
	BoundAggregate *agg;
	Param	   *param;
	int			n;

	if (state->test == NULL || list_length(cref->fields) != 2 || name[0] != 'v')
		return NULL;
	n = atoi(name + 1);
	Assert(n >= 1 && n <= list_length(state->test->refs));
	agg = list_nth(state->bound->aggregates, list_nth_int(state->test->refs, n - 1));
	param = makeNode(Param);
	param->paramkind = PARAM_EXTERN;
	param->paramid = n + 1;
	/* arrays travel as text, see rule_bind.c */
	param->paramtype = type_is_array(agg->result_type) ? TEXTOID : agg->result_type;
	param->paramtypmod = -1;
	param->paramcollid = agg->result_collation;
	param->location = -1;
	return (Node *) param;
}

/* Columns of range table entry 1 are the contact's, of 2 the activity's. */
static Node *
assign_slots(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varno = var->varno == 1 ? INNER_VAR : OUTER_VAR;
		return (Node *) var;
	}
	return expression_tree_mutator(node, assign_slots, context);
}

/* Parse and plan a piece of SQL. */
static Expr *
plan(const char *sql, bool is_timeline, bool is_condition, BoundRule *bound,
		BoundNode *test, Relation contacts, Relation activity)
{
	ParseState *pstate;
	CompileState state = {bound, test};
	ParseNamespaceItem *nsitem;
	List	   *raw;
	SelectStmt *select;
	Node	   *expr;
	MemoryContext oldcxt = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(oldcxt, "leadstream parse",
												  ALLOCSET_DEFAULT_SIZES);

	/* parsing leaves many times the expression behind, and programs are many */
	MemoryContextSwitchTo(scratch);
	pstate = make_parsestate(NULL);
	if (is_timeline)
		sql = psprintf("(%s) OPERATOR(pg_catalog.@>) $1", sql);
	pstate->p_paramref_hook = clock_param;
	pstate->p_pre_columnref_hook = aggregate_param;
	pstate->p_ref_hook_state = &state;
	nsitem = addRangeTableEntryForRelation(pstate, contacts, AccessShareLock,
										   makeAlias("c", NIL), false, false);
	addNSItemToQuery(pstate, nsitem, false, true, false);
	if (activity)
	{
		nsitem = addRangeTableEntryForRelation(pstate, activity, AccessShareLock,
											   makeAlias("a", NIL), false, false);
		addNSItemToQuery(pstate, nsitem, false, true, false);
	}

	raw = raw_parser(sql, RAW_PARSE_PLPGSQL_EXPR);
	select = castNode(SelectStmt, linitial_node(RawStmt, raw)->stmt);
	expr = linitial_node(ResTarget, select->targetList)->val;
	expr = transformExpr(pstate, expr, EXPR_KIND_OTHER);
	if (is_condition)
		expr = coerce_to_boolean(pstate, expr, "RULE");
	assign_expr_collations(pstate, expr);
	free_parsestate(pstate);

	expr = (Node *) expression_planner((Expr *) expr);
	convert_saop_to_hashed_saop(expr);
	expr = assign_slots(expr, NULL);
	MemoryContextSwitchTo(oldcxt);
	expr = copyObject(expr);
	MemoryContextDelete(scratch);
	return (Expr *) expr;
}

static ExprState *
compile(const char *sql, bool is_timeline, bool is_condition, BoundRule *bound,
		BoundNode *test, Relation contacts, Relation activity)
{
	return ExecInitExpr(plan(sql, is_timeline, is_condition, bound, test,
							 contacts, activity), NULL);
}

static void
compile_key(SourceProgram *source, Relation rel)
{
	Relation	index;

	(void) RelationGetIndexList(rel);	/* fills in rd_pkindex */
	if (!OidIsValid(rel->rd_pkindex))
		return;
	index = RelationIdGetRelation(rel->rd_pkindex);
	source->nkeys = index->rd_index->indnkeyatts;
	source->key_attnos = palloc(sizeof(AttrNumber) * source->nkeys);
	source->key_cmps = palloc0(sizeof(FmgrInfo) * source->nkeys);
	source->key_collations = palloc(sizeof(Oid) * source->nkeys);
	for (int i = 0; i < source->nkeys; i++)
	{
		Form_pg_attribute att;
		TypeCacheEntry *type;

		source->key_attnos[i] = index->rd_index->indkey.values[i];
		att = TupleDescAttr(RelationGetDescr(rel), source->key_attnos[i] - 1);
		type = lookup_type_cache(att->atttypid, TYPECACHE_CMP_PROC);
		fmgr_info(type->cmp_proc, &source->key_cmps[i]);
		source->key_collations[i] = att->attcollation;
	}
	RelationClose(index);
}

static void
compile_aggregate(RuleProgram *program, AggregateProgram *agg, BoundAggregate *bound,
				  Relation contacts)
{
	ListCell   *lc;

	agg->bound = bound;
	agg->nsources = list_length(bound->sources);
	agg->sources = palloc0(sizeof(SourceProgram) * agg->nsources);
	foreach(lc, bound->sources)
	{
		BoundSource *s = lfirst(lc);
		SourceProgram *source = &agg->sources[foreach_current_index(lc)];
		Relation	rel = table_open(s->source->relid, AccessShareLock);

		source->source = s->source;
		/* found out now, it is the rule's error, later it would be the insert's */
		if (!ls_keyscan_can_compare(TupleDescAttr(RelationGetDescr(rel),
												  s->source->contact_attno - 1)->atttypid,
									program->bound->contacts->key_base))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s\" cannot be compared with the key of the contacts table",
							s->source->contact_name, RelationGetRelationName(rel))));
		if (s->where)
			source->where = compile(s->where->sql, s->where->is_timeline, true,
									program->bound, NULL, contacts, rel);
		if (s->filter)
		{
			source->filter_expr = plan(s->filter->sql, false, true, program->bound,
									   NULL, contacts, rel);
			source->filter = ExecInitExpr(source->filter_expr, NULL);
		}
		if (s->value)
			source->value = compile(s->value, false, false,
									program->bound, NULL, contacts, rel);
		if (bound->func == RULE_AGG_FIRST || bound->func == RULE_AGG_LAST)
			compile_key(source, rel);
		table_close(rel, NoLock);
	}
	if (OidIsValid(bound->value_type))
	{
		Oid			type = type_is_array(bound->value_type) ? TEXTOID : bound->value_type;

		get_typlenbyval(type, &agg->value_len, &agg->value_byval);
		if (bound->func == RULE_AGG_MIN || bound->func == RULE_AGG_MAX ||
			bound->func == RULE_AGG_COUNT_DISTINCT)
			fmgr_info(lookup_type_cache(type, TYPECACHE_CMP_PROC)->cmp_proc,
					  &agg->value_cmp);
	}
}

static NodeProgram *
compile_node(RuleProgram *program, BoundNode *bound, Relation contacts)
{
	NodeProgram *node = palloc0(sizeof(NodeProgram));
	ListCell   *lc;
	int			n = 0;

	check_stack_depth();
	node->bound = bound;
	if (bound->kind == BOUND_TEST)
	{
		node->test = compile(bound->test->sql, bound->test->is_timeline, true,
							 program->bound, bound, contacts, NULL);
		return node;
	}
	node->nkids = list_length(bound->kids);
	node->kids = palloc(sizeof(NodeProgram *) * node->nkids);
	/* what needs no rows comes first: it may spare the rest */
	for (int rows = 0; rows <= 1; rows++)
		foreach(lc, bound->kids)
		{
			BoundNode  *kid = lfirst(lc);

			if ((kid->kind != BOUND_TEST || kid->refs != NIL) == (rows == 1))
				node->kids[n++] = compile_node(program, kid, contacts);
		}
	return node;
}

static int
max_refs(const BoundNode *node)
{
	int			most = list_length(node->refs);
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, node->kids)
		most = Max(most, max_refs(lfirst(lc)));
	return most;
}

RuleProgram *
ls_program_make(BoundRule *bound)
{
	RuleProgram *program = palloc0(sizeof(RuleProgram));
	Relation	contacts = table_open(bound->contacts->relid, AccessShareLock);
	ListCell   *lc;

	program->mcxt = CurrentMemoryContext;
	program->bound = bound;
	program->naggregates = list_length(bound->aggregates);
	program->aggregates = palloc0(sizeof(AggregateProgram) * Max(program->naggregates, 1));
	foreach(lc, bound->aggregates)
		compile_aggregate(program, &program->aggregates[foreach_current_index(lc)],
						  lfirst(lc), contacts);
	program->root = compile_node(program, bound->root, contacts);
	program->params = makeParamList(1 + max_refs(bound->root));
	program->params->params[0].ptype = TIMESTAMPTZOID;
	program->row_econtext = CreateStandaloneExprContext();
	program->row_econtext->ecxt_param_list_info = program->params;
	table_close(contacts, NoLock);
	return program;
}

/* ----------
 * What a program reads.
 * ----------
 */
Bitmapset *
ls_program_contact_attnos(const RuleProgram *program)
{
	return program->bound->contact_attnos;
}

bool
ls_program_is_foreign(const RuleProgram *program)
{
	return program->bound->foreign;
}

bool
ls_program_concerns(RuleProgram *program, int32 source_id, TupleTableSlot *slot)
{
	ExprContext *econtext = program->row_econtext;

	econtext->ecxt_outertuple = slot;

	for (int i = 0; i < program->naggregates; i++)
		for (int j = 0; j < program->aggregates[i].nsources; j++)
		{
			SourceProgram *source = &program->aggregates[i].sources[j];
			bool		isnull;
			bool		passes;

			if (source->source->source_id != source_id)
				continue;
			if (source->filter == NULL)
				return true;
			passes = DatumGetBool(ExecEvalExprSwitchContext(source->filter, econtext,
															&isnull)) && !isnull;
			ResetExprContext(econtext);
			if (passes)
				return true;
		}
	return false;
}
