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
 * time (rule_eval.c).  They hold no relations open and no locks.  There may be
 * very many of them and few that ever judge a contact, so everything is
 * checked when a program is made, but compiled when it is first run, and the
 * garbage of binding, parsing and planning is gone by then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
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
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "key_access.h"
#include "own_rows.h"
#include "rule_program.h"
#include "rule_turns.h"

/* ----------
 * Compiling.
 * ----------
 */
typedef struct CompileState
{
	const BoundRule *bound;
	const BoundNode *test;		/* whose v1, v2, ... are meant, or NULL */
	RuleProgram *program;
	MemoryContext scratch;		/* of parsing, which leaves many times the
								 * expression behind */
	ParseState *pstate;
	Relation	contacts;
	ParseNamespaceItem *contact_item;
	Oid			activity_relid; /* the activity met last */
	ParseNamespaceItem *activity_item;
	TupleDesc	own;			/* of rows that stand in no table, or NULL */
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

/* a.column: a row that stands in no table */
static Node *
own_column(CompileState *state, const char *name)
{
	for (int i = 0; i < state->own->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(state->own, i);

		if (strcmp(NameStr(att->attname), name) == 0)
			return (Node *) makeVar(OUTER_VAR, i + 1, att->atttypid, att->atttypmod,
									att->attcollation, 0);
	}
	return NULL;
}

/* v1.value, v2.value, ...: the aggregates of a test */
static Node *
bound_column(ParseState *pstate, ColumnRef *cref)
{
	CompileState *state = pstate->p_ref_hook_state;
	const char *name = strVal(linitial(cref->fields));
	BoundAggregate *agg;
	Param	   *param;
	int			n;

	if (state->own && list_length(cref->fields) == 2 && strcmp(name, "a") == 0)
		return own_column(state, strVal(lsecond(cref->fields)));
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

/* Columns of range table entry 1 are the contact's, of others the activity's. */
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

static void
check_function(Oid function)
{
	if (!ls_may_execute(function))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(function));
}

/*
 * May we call what the expression calls?  ExecInitExpr asks the same, but it
 * may be an insert's turn by then, and the error would be the insert's.
 */
static bool
check_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			check_function(((FuncExpr *) node)->funcid);
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			check_function(((OpExpr *) node)->opfuncid);
			break;
		case T_ScalarArrayOpExpr:
			check_function(((ScalarArrayOpExpr *) node)->opfuncid);
			if (OidIsValid(((ScalarArrayOpExpr *) node)->hashfuncid))
				check_function(((ScalarArrayOpExpr *) node)->hashfuncid);
			break;
		default:
			break;
	}
	return expression_tree_walker(node, check_functions, context);
}

/* What names mean in a piece of SQL, with or without an activity. */
static void
set_namespace(CompileState *state, Relation activity)
{
	ParseState *pstate = state->pstate;

	if (state->contact_item == NULL)
	{
		state->contact_item = addRangeTableEntryForRelation(pstate, state->contacts,
															AccessShareLock,
															makeAlias("c", NIL),
															false, false);
		addNSItemToQuery(pstate, state->contact_item, false, true, false);
	}
	if (activity && RelationGetRelid(activity) != state->activity_relid)
	{
		state->activity_item = addRangeTableEntryForRelation(pstate, activity,
															 AccessShareLock,
															 makeAlias("a", NIL),
															 false, false);
		addNSItemToQuery(pstate, state->activity_item, false, true, false);
		state->activity_relid = RelationGetRelid(activity);
	}
	pstate->p_namespace = activity ?
		list_make2(state->contact_item, state->activity_item) :
		list_make1(state->contact_item);
}

/* Does it take a few instructions, whatever the values are? */
static bool
is_quick(Node *node)
{
	ListCell   *lc;

	if (!IsA(node, OpExpr))
		return false;
	foreach(lc, ((OpExpr *) node)->args)
	{
		Node	   *arg = lfirst(lc);

		if (!(IsA(arg, Var) || IsA(arg, Const)) || !get_typbyval(exprType(arg)))
			return false;
	}
	return true;
}

/* Put what is quick first where conditions are joined by "and". */
static Node *
quick_first(Node *expr)
{
	List	   *quick = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	if (!is_andclause(expr))
		return expr;
	foreach(lc, ((BoolExpr *) expr)->args)
		if (is_quick(lfirst(lc)))
			quick = lappend(quick, lfirst(lc));
		else
			others = lappend(others, lfirst(lc));
	return (Node *) make_andclause(list_concat(quick, others));
}

/* Parse and plan a piece of SQL. */
static Expr *
plan(CompileState *state, const char *sql, bool is_timeline, bool is_condition,
	 const BoundNode *test, Relation activity)
{
	List	   *raw;
	SelectStmt *select;
	Node	   *expr;
	MemoryContext oldcxt = MemoryContextSwitchTo(state->scratch);

	if (is_timeline)
		sql = psprintf("(%s) OPERATOR(pg_catalog.@>) $1", sql);
	state->test = test;
	set_namespace(state, activity);

	raw = raw_parser(sql, RAW_PARSE_PLPGSQL_EXPR);
	select = castNode(SelectStmt, linitial_node(RawStmt, raw)->stmt);
	expr = linitial_node(ResTarget, select->targetList)->val;
	expr = transformExpr(state->pstate, expr, EXPR_KIND_OTHER);
	if (is_condition)
		expr = coerce_to_boolean(state->pstate, expr, "RULE");
	assign_expr_collations(state->pstate, expr);
	expr = ls_expand_virtual(expr, state->contacts, state->contact_item->p_rtindex);
	if (activity)
		expr = ls_expand_virtual(expr, activity, state->activity_item->p_rtindex);

	expr = quick_first((Node *) expression_planner((Expr *) expr));
	convert_saop_to_hashed_saop(expr);
	expr = assign_slots(expr, NULL);
	(void) check_functions(expr, NULL);
	MemoryContextSwitchTo(oldcxt);
	return copyObject((Expr *) expr);
}

static Expr *
plan_condition(CompileState *state, const BoundExpr *bound, const BoundNode *test,
			   Relation activity)
{
	return plan(state, bound->sql, bound->is_timeline, true, test, activity);
}

/* The timeline that a planned condition asks whether it contains the clock. */
static Expr *
timeline_of(Expr *condition)
{
	return linitial(castNode(OpExpr, condition)->args);
}

/*
 * Compile in the name of who made the program: whoever runs it first need not
 * have his rights.  An error sets the user back with its subtransaction.
 */
ExprState *
ls_program_compile_expr(const RuleProgram *program, Expr *expr)
{
	ExprState  *result;
	Oid			userid;
	int			sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(program->userid, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	result = ExecInitExpr(expr, NULL);
	SetUserIdAndSecContext(userid, sec_context);
	return result;
}

ExprState *
ls_program_compile(RuleProgram *program, Piece *piece)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(program->mcxt);

	piece->state = ls_program_compile_expr(program, piece->expr);
	MemoryContextSwitchTo(oldcxt);
	return piece->state;
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

static uint64
digest_source(const BoundSource *s)
{
	uint64		digest = hash_combine64(s->source->relid, s->source->contact_attno);

	if (s->where)
		digest = hash_combine64(digest,
								hash_bytes_extended((const unsigned char *) s->where->sql,
													strlen(s->where->sql), 0));
	if (s->value)
		digest = hash_combine64(digest,
								hash_bytes_extended((const unsigned char *) s->value,
													strlen(s->value), 1));
	return digest;
}

static NodeProgram *compile_node(CompileState *state, BoundNode *kept,
								 const BoundNode *bound);

/* The conditions of a score. */
static void
compile_items(CompileState *state, AggregateProgram *agg, const BoundAggregate *bound)
{
	ListCell   *lc;
	ListCell   *lc2;

	agg->items = palloc(sizeof(NodeProgram *) * Max(list_length(bound->items), 1));
	forboth(lc, bound->items, lc2, agg->bound->items)
		agg->items[foreach_current_index(lc)] =
			compile_node(state, ((BoundItem *) lfirst(lc2))->node,
						 ((BoundItem *) lfirst(lc))->node);
}

static void
compile_aggregate(CompileState *state, AggregateProgram *agg, BoundAggregate *kept,
				  const BoundAggregate *bound)
{
	ListCell   *lc;

	agg->bound = kept;
	agg->nsources = list_length(bound->sources);
	agg->sources = palloc0(sizeof(SourceProgram) * agg->nsources);
	foreach(lc, bound->sources)
	{
		BoundSource *s = lfirst(lc);
		SourceProgram *source = &agg->sources[foreach_current_index(lc)];
		bool		is_own = ls_source_is_own(s->source);
		Relation	rel = is_own ? NULL : table_open(s->source->relid, AccessShareLock);

		source->source = ((BoundSource *) list_nth(kept->sources,
												   foreach_current_index(lc)))->source;
		if (!is_own)
			state->program->has_times |= s->source->time_attno != InvalidAttrNumber;
		if (is_own)
			state->own = ls_ownrows_desc(s->source);
		/* found out now, it is the rule's error, later it would be the insert's */
		else if (!ls_key_can_compare(TupleDescAttr(RelationGetDescr(rel),
													   s->source->contact_attno - 1)->atttypid,
										 state->bound->contacts->key_base))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s\" cannot be compared with the key of the contacts table",
							s->source->contact_name, RelationGetRelationName(rel))));
		if (s->where)
		{
			source->where.expr = plan_condition(state, s->where, NULL, rel);
			if (s->where->is_timeline)
				source->where_timeline.expr = timeline_of(source->where.expr);
		}
		if (s->filter && strcmp(s->filter->sql, s->where->sql) == 0)
			source->filter_expr = source->where.expr;
		else if (s->filter)
			source->filter_expr = source->filter.expr =
				plan_condition(state, s->filter, NULL, rel);
		if (s->value)
			source->value.expr = plan(state, s->value, false, false, NULL, rel);
		source->digest = digest_source(s);
		state->own = NULL;
		if (is_own)
			continue;
		if (bound->func == RULE_AGG_FIRST || bound->func == RULE_AGG_LAST)
			compile_key(source, rel);
		table_close(rel, NoLock);
	}
	if (bound->func == RULE_AGG_SCORE)
		compile_items(state, agg, bound);
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

/* Does it read rows that stand in no table of activities? */
static bool
reads_own_rows(const BoundAggregate *agg)
{
	ListCell   *lc;

	foreach(lc, agg->sources)
		if (ls_source_is_own(((BoundSource *) lfirst(lc))->source))
			return true;
	return false;
}

/*
 * Is it a comparison of one count with a number, and not
 * with so little that the row which made us look is likely to decide it?  The
 * parts of a between are written as one.
 */
static bool
is_limitable(const BoundRule *bound, const BoundNode *node)
{
	const RuleNode *origin = node->origin;
	BoundAggregate *agg;

	if (list_length(node->refs) != 1 || node->test->is_timeline ||
		origin == NULL || origin->kind != RULE_TEST)
		return false;
	agg = list_nth(bound->aggregates, linitial_int(node->refs));
	if (agg->func != RULE_AGG_COUNT || agg->enough < 3 || agg->enough == PG_INT64_MAX ||
		reads_own_rows(agg))
		return false;
	switch ((RuleOp) origin->op)
	{
		case RULE_OP_LT:
		case RULE_OP_LE:
		case RULE_OP_GT:
		case RULE_OP_GE:
		case RULE_OP_BETWEEN:
			return true;
		default:
			return false;
	}
}

static NodeProgram *
compile_node(CompileState *state, BoundNode *kept, const BoundNode *bound)
{
	NodeProgram *node = palloc0(sizeof(NodeProgram));
	ListCell   *lc;
	ListCell   *lc2;
	int			n = 0;

	check_stack_depth();
	node->bound = kept;
	if (bound->kind == BOUND_TEST)
	{
		forboth(lc, bound->refs, lc2, bound->truer)
			if (lfirst_int(lc2))
				state->program->aggregates[lfirst_int(lc)].wants_fresh = true;
		node->test.expr = plan_condition(state, bound->test, bound, NULL);
		if (bound->test->is_timeline)
			node->timeline.expr = timeline_of(node->test.expr);
		node->by_limit = is_limitable(state->bound, bound);
		node->is_rising = list_length(bound->refs) == 1 &&
			ls_rule_test_rises(list_nth(state->bound->aggregates, linitial_int(bound->refs)),
							   bound, linitial_int(bound->truer));
		if (bound->refs == NIL && !bound->test->is_timeline)
			node->test_expr = node->test.expr;
		return node;
	}
	node->nkids = list_length(bound->kids);
	node->kids = palloc(sizeof(NodeProgram *) * node->nkids);
	/* what needs no rows comes first: it may spare the rest */
	for (int rows = 0; rows <= 1; rows++)
		forboth(lc, bound->kids, lc2, kept->kids)
		{
			BoundNode  *kid = lfirst(lc);

			if ((kid->kind != BOUND_TEST || kid->refs != NIL) == (rows == 1))
				node->kids[n++] = compile_node(state, lfirst(lc2), kid);
		}
	return node;
}

/* ----------
 * What a program keeps of the bound rule.
 * ----------
 */
static BoundExpr *
keep_expr(const BoundExpr *expr)
{
	BoundExpr  *kept;

	if (expr == NULL)
		return NULL;
	kept = palloc(sizeof(BoundExpr));
	*kept = *expr;
	kept->sql = NULL;
	return kept;
}

static Interval *
keep_interval(const Interval *interval)
{
	Interval   *kept;

	if (interval == NULL)
		return NULL;
	kept = palloc(sizeof(Interval));
	*kept = *interval;
	return kept;
}

static BoundNode *keep_node(const BoundNode *node);

static BoundAggregate *
keep_aggregate(const BoundAggregate *agg)
{
	BoundAggregate *kept = palloc(sizeof(BoundAggregate));
	ListCell   *lc;

	*kept = *agg;
	kept->text = NULL;
	kept->within = keep_interval(agg->within);
	kept->older = keep_interval(agg->older);
	kept->sources = NIL;
	foreach(lc, agg->sources)
	{
		BoundSource *source = palloc(sizeof(BoundSource));

		*source = *(BoundSource *) lfirst(lc);
		source->where = keep_expr(source->where);
		source->filter = keep_expr(source->filter);
		source->value = NULL;
		/* those of tables belong to whoever asked for the program */
		if (ls_source_is_own(source->source))
		{
			ActivitySource *own = palloc(sizeof(ActivitySource));

			*own = *source->source;
			own->kind = pstrdup(own->kind);
			own->contact_name = pstrdup(own->contact_name);
			own->time_name = NULL;
			source->source = own;
		}
		kept->sources = lappend(kept->sources, source);
	}
	kept->items = NIL;
	foreach(lc, agg->items)
	{
		BoundItem  *item = palloc(sizeof(BoundItem));

		item->points = ((BoundItem *) lfirst(lc))->points;
		item->node = keep_node(((BoundItem *) lfirst(lc))->node);
		kept->items = lappend(kept->items, item);
	}
	return kept;
}

static BoundNode *
keep_node(const BoundNode *node)
{
	BoundNode  *kept = palloc(sizeof(BoundNode));
	ListCell   *lc;

	check_stack_depth();
	*kept = *node;
	kept->test = keep_expr(node->test);
	kept->refs = list_copy(node->refs);
	kept->truer = list_copy(node->truer);
	kept->origin = NULL;
	kept->kids = NIL;
	foreach(lc, node->kids)
		kept->kids = lappend(kept->kids, keep_node(lfirst(lc)));
	return kept;
}

static BoundRule *
keep_rule(const BoundRule *bound)
{
	BoundRule  *kept = palloc(sizeof(BoundRule));
	ListCell   *lc;

	*kept = *bound;
	kept->root = keep_node(bound->root);
	kept->contact_attnos = bms_copy(bound->contact_attnos);
	kept->used_columns = NIL;
	kept->fields = NIL;
	kept->aggregates = NIL;
	foreach(lc, bound->aggregates)
		kept->aggregates = lappend(kept->aggregates, keep_aggregate(lfirst(lc)));
	return kept;
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

/* The most aggregates that any test of the rule speaks of. */
static int
most_refs(const BoundRule *bound)
{
	int			most = max_refs(bound->root);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, bound->aggregates)
		foreach(lc2, ((BoundAggregate *) lfirst(lc))->items)
			most = Max(most, max_refs(((BoundItem *) lfirst(lc2))->node));
	return most;
}

RuleProgram *
ls_program_make(const BoundRule *bound)
{
	RuleProgram *program = palloc0(sizeof(RuleProgram));
	CompileState state = {.bound = bound, .program = program};
	MemoryContext oldcxt;
	ListCell   *lc;

	program->mcxt = CurrentMemoryContext;
	program->userid = GetUserId();
	program->bound = keep_rule(bound);
	program->naggregates = list_length(bound->aggregates);
	program->turns_by_time = ls_rule_turns_by_time(bound);
	program->aggregates = palloc0(sizeof(AggregateProgram) * Max(program->naggregates, 1));

	state.contacts = table_open(bound->contacts->relid, AccessShareLock);
	state.scratch = AllocSetContextCreate(CurrentMemoryContext, "leadstream parse",
										  ALLOCSET_DEFAULT_SIZES);
	oldcxt = MemoryContextSwitchTo(state.scratch);
	state.pstate = make_parsestate(NULL);
	state.pstate->p_paramref_hook = clock_param;
	state.pstate->p_pre_columnref_hook = bound_column;
	state.pstate->p_ref_hook_state = &state;
	MemoryContextSwitchTo(oldcxt);

	foreach(lc, bound->aggregates)
	{
		int			i = foreach_current_index(lc);

		compile_aggregate(&state, &program->aggregates[i],
						  list_nth(program->bound->aggregates, i), lfirst(lc));
	}
	program->root = compile_node(&state, program->bound->root, bound->root);
	if (bound->fields)
		program->fields = palloc0(sizeof(Piece) * list_length(bound->fields));
	foreach(lc, bound->fields)
		program->fields[foreach_current_index(lc)].expr =
			plan(&state, ((BoundField *) lfirst(lc))->sql, false, false, NULL, NULL);
	program->params = makeParamList(1 + most_refs(bound));
	program->params->params[0].ptype = TIMESTAMPTZOID;

	free_parsestate(state.pstate);
	MemoryContextDelete(state.scratch);
	table_close(state.contacts, NoLock);
	return program;
}

RuleProgram *
ls_program_from_rule(const Rule *rule, ContactSource *contacts, List *activities)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(oldcxt, "leadstream binding",
												  ALLOCSET_DEFAULT_SIZES);
	BoundRule  *bound;
	RuleProgram *result;

	MemoryContextSwitchTo(scratch);
	bound = ls_rule_bind(rule, contacts, activities);
	MemoryContextSwitchTo(oldcxt);
	result = ls_program_make(bound);
	MemoryContextDelete(scratch);
	return result;
}

/* ----------
 * What is the same in two programs.
 * ----------
 */
bool
ls_program_same_rows(const SourceProgram *a, const SourceProgram *b)
{
	return a->source->relid == b->source->relid &&
		a->source->contact_attno == b->source->contact_attno &&
		a->source->time_attno == b->source->time_attno &&
		a->source->time_type == b->source->time_type &&
		a->source->events == b->source->events &&
		equal(a->where.expr, b->where.expr);
}

static bool
same_interval(const Interval *a, const Interval *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->month == b->month && a->day == b->day && a->time == b->time;
}

bool
ls_program_same_value(const AggregateProgram *a, const AggregateProgram *b)
{
	return a->bound->func == b->bound->func &&
		a->nsources == 1 && b->nsources == 1 &&
		a->wants_fresh == b->wants_fresh &&
		a->bound->value_type == b->bound->value_type &&
		a->bound->value_collation == b->bound->value_collation &&
		same_interval(a->bound->within, b->bound->within) &&
		same_interval(a->bound->older, b->bound->older) &&
		ls_program_same_rows(&a->sources[0], &b->sources[0]) &&
		equal(a->sources[0].value.expr, b->sources[0].value.expr);
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
