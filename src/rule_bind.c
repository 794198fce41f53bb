/*-------------------------------------------------------------------------
 *
 * rule_bind.c
 *	  A rule bound to its tables.
 *
 * Binding resolves names, picks operators and reads literals (bind_operand.c,
 * bind_compare.c), pushes negation down to the tests and collects the
 * aggregates, equal ones once (bind_aggregate.c).  What comes out, a BoundRule,
 * is SQL in pieces: rule_eval.c compiles the pieces to judge a contact at one
 * instant, rule_sql.c puts them together into the query over all contacts and
 * all instants.
 *
 * A BoundRule lives in the memory context it was bound in, together with the
 * sources it points to, and holds no locks: names may change behind it.  Who
 * keeps one watches relcache invalidations of the tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "bind_operand.h"
#include "own_rows.h"
#include "rule_text.h"

/* The aggregates a test refers to, while it is bound. */
typedef struct TestRefs
{
	List	   *refs;			/* of int */
	List	   *truer;			/* of int (bool), beside refs */
} TestRefs;


/* ----------
 * Aggregates.
 * ----------
 */
static bool
has_aggregate(const RuleNode *node)
{
	return ls_bind_first_aggregate(node) != NULL;
}

/* Is it in force but where it has to be large?  So is a score. */
static bool
is_count(const BoundAggregate *agg)
{
	return agg->func == RULE_AGG_EXISTS || agg->func == RULE_AGG_COUNT ||
		agg->func == RULE_AGG_COUNT_DISTINCT || agg->func == RULE_AGG_SCORE;
}

/* An aggregate as an operand of a test; the test remembers it in refs. */
static Operand *
aggregate_operand(BindContext *cxt, const RuleNode *node, TestRefs *refs)
{
	int			index = ls_bind_aggregate(cxt, node);
	BoundAggregate *agg = list_nth(cxt->bound->aggregates, index);
	Operand    *operand = palloc0(sizeof(Operand));
	int			position = -1;
	ListCell   *lc;

	foreach(lc, refs->refs)
		if (lfirst_int(lc) == index)
			position = foreach_current_index(lc);
	if (position < 0)
	{
		position = list_length(refs->refs);
		refs->refs = lappend_int(refs->refs, index);
		/* of anything but a count, any test is made newer by a new row */
		refs->truer = lappend_int(refs->truer, !is_count(agg));
	}
	operand->node = node;
	operand->aggregate = index;
	ls_bind_classify(operand, agg->result_type, agg->result_collation);
	operand->sql = psprintf("v%d.value", position + 1);
	if (operand->class == CLASS_ARRAY)
		operand->sql = psprintf("(%s::%s)", operand->sql, ls_bind_type_name(operand->type));
	return operand;
}

/* What stands on the other side: rhs = operand | number "*" aggregate. */
static Operand *
test_operand(BindContext *cxt, const RuleNode *node, TestRefs *refs)
{
	Operand    *operand;
	char	   *number;

	if (node->kind == RULE_AGGREGATE)
		return aggregate_operand(cxt, node, refs);
	if (node->kind != RULE_TIMES)
		return ls_bind_operand(cxt, node);

	operand = aggregate_operand(cxt, ls_rule_kid(node, 1), refs);
	number = ls_bind_as_number(operand);
	if (number == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of type %s is no number", ls_bind_what(operand),
						format_type_be(operand->type)),
				 errhint("Only a number can be multiplied.")));
	operand->sql = psprintf("leadstream.times('%s'::pg_catalog.numeric, %s::pg_catalog.numeric)",
							ls_rule_text(ls_rule_kid(node, 0)), number);
	operand->node = node;
	ls_bind_classify(operand, NUMERICOID, InvalidOid);
	return operand;
}

/* ----------
 * Tests without aggregates, and wheres: one expression.
 * ----------
 */
static BoundExpr *
bind_test_expr(BindContext *cxt, RuleOp op, Operand *left, const RuleNode *node,
			   TestRefs *refs)
{
	Operand    *right = NULL;
	List	   *exprs = NIL;
	List	   *values = NIL;

	if (node->nkids > 1 && op != RULE_OP_IN_PERIOD)
		for (uint32 i = 1; i < node->nkids; i++)
			values = lappend(values, test_operand(cxt, ls_rule_kid(node, i), refs));
	if (values)
		right = linitial(values);

	switch (op)
	{
		case RULE_OP_EQ:
		case RULE_OP_LT:
		case RULE_OP_LE:
		case RULE_OP_GT:
		case RULE_OP_GE:
			return ls_bind_compare(cxt, op, left, right);
		case RULE_OP_MATCH:
		case RULE_OP_IMATCH:
		case RULE_OP_LIKE:
		case RULE_OP_ILIKE:
		case RULE_OP_STARTS_WITH:
		case RULE_OP_ENDS_WITH:
			return ls_bind_string_test(cxt, op, left, right);
		case RULE_OP_IS_NULL:
		case RULE_OP_IS_EMPTY:
		case RULE_OP_IS_TRUE:
		case RULE_OP_IS_FALSE:
			return ls_bind_is(cxt, op, left);
		case RULE_OP_BETWEEN:
			return ls_expr_all(list_make2(ls_bind_compare(cxt, RULE_OP_GE, left, right),
										  ls_bind_compare(cxt, RULE_OP_LE, left, lsecond(values))));
		case RULE_OP_IN:
			return ls_bind_in_list(cxt, left, values);
		case RULE_OP_IN_PERIOD:
			return ls_bind_in_period(cxt, left, ls_rule_kid(node, 1));
		case RULE_OP_CONTAINS:
			return ls_bind_contains(cxt, left, right);
		case RULE_OP_CONTAINS_ANY:
		case RULE_OP_CONTAINS_ALL:
			{
				ListCell   *lc;

				foreach(lc, values)
					exprs = lappend(exprs, ls_bind_contains(cxt, left, lfirst(lc)));
				return op == RULE_OP_CONTAINS_ANY ? ls_expr_any(exprs) : ls_expr_all(exprs);
			}
		default:
			elog(ERROR, "unexpected rule operator %d", op); /* cannot happen */
	}
}

/* The positive form of a test's operator; *negated is turned if it was not. */
static RuleOp
positive_op(const RuleNode *test, bool *negated)
{
	if (test->flags & RULE_FLAG_NEGATED)
		*negated = !*negated;
	switch ((RuleOp) test->op)
	{
		case RULE_OP_NE:
			*negated = !*negated;
			return RULE_OP_EQ;
		case RULE_OP_NOT_MATCH:
			*negated = !*negated;
			return RULE_OP_MATCH;
		case RULE_OP_NOT_IMATCH:
			*negated = !*negated;
			return RULE_OP_IMATCH;
		default:
			return (RuleOp) test->op;
	}
}

BoundExpr *
ls_bind_condition(BindContext *cxt, const RuleNode *node)
{
	List	   *exprs = NIL;
	BoundExpr  *expr;
	TestRefs	refs = {NIL, NIL};
	bool		negated = false;
	RuleOp		op;

	check_stack_depth();
	/* none but a where can bring an aggregate here: refuse it by name */
	if (node->kind == RULE_AGGREGATE ||
		(node->kind == RULE_TEST && has_aggregate(node)) ||
		(node->kind == RULE_ALONE && has_aggregate(node)))
		(void) ls_bind_aggregate(cxt, node);

	switch ((RuleKind) node->kind)
	{
		case RULE_AND:
		case RULE_OR:
			for (uint32 i = 0; i < node->nkids; i++)
				exprs = lappend(exprs, ls_bind_condition(cxt, ls_rule_kid(node, i)));
			return node->kind == RULE_AND ? ls_expr_all(exprs) : ls_expr_any(exprs);
		case RULE_NOT:
			return ls_expr_not(ls_bind_condition(cxt, ls_rule_kid(node, 0)));
		case RULE_ALONE:
			return ls_bind_alone(cxt, ls_bind_operand(cxt, ls_rule_kid(node, 0)));
		case RULE_TEST:
			op = positive_op(node, &negated);
			expr = bind_test_expr(cxt, op, ls_bind_operand(cxt, ls_rule_kid(node, 0)),
								  node, &refs);
			return negated ? ls_expr_not(expr) : expr;
		case RULE_SEGMENT:
			if (cxt->only_filter)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("an \"only\" filter cannot name a segment"),
						 errhint("Filter by columns of the activity alone.")));
			if (cxt->here)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("a segment cannot stand inside a where"),
						 errdetail("A where speaks of one row of \"%s\", segment('%s') of the contact.",
								   cxt->here->kind, ls_rule_text(node)),
						 errhint("Join the two with and, outside.")));
			/* FALLTHROUGH */
		default:
			elog(ERROR, "unexpected rule node %d", node->kind); /* cannot happen */
	}
}

/* ----------
 * The tree, with negation pushed down.
 * ----------
 */
static BoundNode *
make_test(BoundExpr *expr, bool negated, TestRefs *refs, const RuleNode *origin)
{
	BoundNode  *node = palloc0(sizeof(BoundNode));

	node->kind = BOUND_TEST;
	node->test = expr;
	node->negated = negated;
	node->origin = origin;
	if (refs)
	{
		node->refs = refs->refs;
		node->truer = refs->truer;
	}
	return node;
}

static BoundNode *
make_junction(BoundKind kind, List *kids)
{
	BoundNode  *node;

	if (list_length(kids) == 1)
		return linitial(kids);
	node = palloc0(sizeof(BoundNode));
	node->kind = kind;
	node->kids = kids;
	return node;
}

static bool
is_zero(const Operand *operand)
{
	return operand->class == CLASS_LITERAL_NUMBER &&
		strspn(operand->sql, "-0.") == strlen(operand->sql);
}

/*
 * Does one more row make "count op other" truer?  See DESIGN on conditions in
 * force: >, >= do, and = of anything but the literal 0; a negated one counts
 * as the comparison it turns into, and from the right side it reads backwards.
 */
static bool
count_is_truer(RuleOp op, bool negated, bool on_right, const Operand *other)
{
	if (op == RULE_OP_EQ)
		return !negated && !is_zero(other);
	if (on_right)
		op = op == RULE_OP_LT ? RULE_OP_GT : op == RULE_OP_LE ? RULE_OP_GE :
			op == RULE_OP_GT ? RULE_OP_LT : RULE_OP_LE;
	if (negated)
		return op == RULE_OP_LT || op == RULE_OP_LE;
	return op == RULE_OP_GT || op == RULE_OP_GE;
}

/*
 * A comparison with a multiple of the aggregate is one with the aggregate
 * itself, turned round where the factor is negative; nothing moves 0 * x.
 */
static bool
unscale(const RuleNode *node, RuleOp *op)
{
	const char *factor;

	if (node->kind != RULE_TIMES)
		return true;
	factor = ls_rule_text(ls_rule_kid(node, 0));
	if (strspn(factor, "-0.") == strlen(factor))
		return false;
	if (factor[0] == '-')
		*op = *op == RULE_OP_LT ? RULE_OP_GT : *op == RULE_OP_LE ? RULE_OP_GE :
			*op == RULE_OP_GT ? RULE_OP_LT : *op == RULE_OP_GE ? RULE_OP_LE : *op;
	return true;
}

/*
 * Remember how far an aggregate has to be counted for this comparison: one
 * more than the number it is compared with, whatever the operator.
 */
static void
note_enough(BindContext *cxt, const Operand *aggregate, const RuleNode *node,
			const Operand *other)
{
	BoundAggregate *agg = list_nth(cxt->bound->aggregates, aggregate->aggregate);
	int64		enough = PG_INT64_MAX;

	if (node->kind == RULE_AGGREGATE &&
		(agg->func == RULE_AGG_EXISTS || agg->func == RULE_AGG_COUNT) &&
		other->class == CLASS_LITERAL_NUMBER && strlen(other->sql) <= 9)
		enough = Max((int64) ceil(atof(other->sql)) + 1, 0);
	agg->enough = Max(agg->enough, enough);
}

/* Mark an aggregate of a test as made truer by rows. */
static void
mark_truer(TestRefs *refs, int aggregate, bool truer)
{
	ListCell   *lc;

	foreach(lc, refs->refs)
		if (lfirst_int(lc) == aggregate && truer)
			lfirst_int(list_nth_cell(refs->truer, foreach_current_index(lc))) = true;
}

/* One comparison with an aggregate on either side. */
static BoundNode *
bind_comparison(BindContext *cxt, RuleOp op, bool negated, const RuleNode *left_node,
				const RuleNode *right_node, const RuleNode *origin)
{
	TestRefs	refs = {NIL, NIL};
	Operand    *left = test_operand(cxt, left_node, &refs);
	Operand    *right = test_operand(cxt, right_node, &refs);
	BoundExpr  *expr = ls_bind_compare(cxt, op, left, right);

	RuleOp		left_op = op;
	RuleOp		right_op = op;

	if (left->aggregate >= 0)
		note_enough(cxt, left, left_node, right);
	if (right->aggregate >= 0)
		note_enough(cxt, right, right_node, left);
	if (left->aggregate >= 0 && unscale(left_node, &left_op))
		mark_truer(&refs, left->aggregate, count_is_truer(left_op, negated, false, right));
	if (right->aggregate >= 0 && unscale(right_node, &right_op))
		mark_truer(&refs, right->aggregate, count_is_truer(right_op, negated, true, left));
	return make_test(expr, negated, &refs, origin);
}

static BoundNode *
bind_aggregate_test(BindContext *cxt, const RuleNode *node, bool negated)
{
	RuleOp		op = positive_op(node, &negated);
	const RuleNode *left = ls_rule_kid(node, 0);
	TestRefs	refs = {NIL, NIL};
	List	   *kids = NIL;

	switch (op)
	{
		case RULE_OP_EQ:
		case RULE_OP_LT:
		case RULE_OP_LE:
		case RULE_OP_GT:
		case RULE_OP_GE:
			return bind_comparison(cxt, op, negated, left, ls_rule_kid(node, 1), node);
		case RULE_OP_BETWEEN:
			/* two comparisons, each in force for itself */
			kids = list_make2(bind_comparison(cxt, RULE_OP_GE, negated, left,
											  ls_rule_kid(node, 1), node),
							  bind_comparison(cxt, RULE_OP_LE, negated, left,
											  ls_rule_kid(node, 2), node));
			return make_junction(negated ? BOUND_OR : BOUND_AND, kids);
		case RULE_OP_IN:
			for (uint32 i = 1; i < node->nkids; i++)
				kids = lappend(kids, bind_comparison(cxt, RULE_OP_EQ, negated, left,
													 ls_rule_kid(node, i), node));
			return make_junction(negated ? BOUND_AND : BOUND_OR, kids);
		default:
			{
				Operand    *operand = test_operand(cxt, left, &refs);
				BoundExpr  *expr = bind_test_expr(cxt, op, operand, node, &refs);
				ListCell   *lc;

				foreach(lc, refs.refs)
					((BoundAggregate *) list_nth(cxt->bound->aggregates,
												 lfirst_int(lc)))->enough = PG_INT64_MAX;
				return make_test(expr, negated, &refs, node);
			}
	}
}

BoundNode *
ls_bind_node(BindContext *cxt, const RuleNode *node, bool negated)
{
	List	   *kids = NIL;

	check_stack_depth();
	if (!has_aggregate(node) &&
		!(cxt->apart && (node->kind == RULE_AND || node->kind == RULE_OR ||
						 node->kind == RULE_NOT)))
		return make_test(ls_bind_condition(cxt, node), negated, NULL, node);

	switch ((RuleKind) node->kind)
	{
		case RULE_AND:
		case RULE_OR:
			for (uint32 i = 0; i < node->nkids; i++)
				kids = lappend(kids, ls_bind_node(cxt, ls_rule_kid(node, i), negated));
			return make_junction((node->kind == RULE_AND) != negated ?
								 BOUND_AND : BOUND_OR, kids);
		case RULE_NOT:
			return ls_bind_node(cxt, ls_rule_kid(node, 0), !negated);
		case RULE_ALONE:
			{
				const RuleNode *kid = ls_rule_kid(node, 0);
				TestRefs	refs = {NIL, NIL};
				Operand    *operand;
				BoundExpr  *expr;

				if (kid->kind == RULE_AGGREGATE && kid->op == RULE_AGG_EXISTS)
				{
					BoundAggregate *agg;

					operand = aggregate_operand(cxt, kid, &refs);
					agg = list_nth(cxt->bound->aggregates, operand->aggregate);
					agg->enough = Max(agg->enough, 1);
					mark_truer(&refs, operand->aggregate, !negated);
					expr = palloc0(sizeof(BoundExpr));
					expr->sql = psprintf("(%s OPERATOR(pg_catalog.>) 0)", operand->sql);
					return make_test(expr, negated, &refs, node);
				}
				operand = aggregate_operand(cxt, kid, &refs);
				((BoundAggregate *) list_nth(cxt->bound->aggregates,
											 operand->aggregate))->enough = PG_INT64_MAX;
				return make_test(ls_bind_alone(cxt, operand), negated, &refs, node);
			}
		case RULE_TEST:
			return bind_aggregate_test(cxt, node, negated);
		default:
			elog(ERROR, "unexpected rule node %d", node->kind); /* cannot happen */
	}
}

/* Does any piece run operators or read types outside pg_catalog? */
static bool
tree_is_foreign(const BoundNode *node)
{
	ListCell   *lc;

	check_stack_depth();
	if (node->kind == BOUND_TEST)
		return node->test->foreign;
	foreach(lc, node->kids)
		if (tree_is_foreign(lfirst(lc)))
			return true;
	return false;
}

static bool
is_foreign(const BoundRule *bound)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, bound->aggregates)
		foreach(lc2, ((BoundAggregate *) lfirst(lc))->sources)
		{
			BoundSource *source = lfirst(lc2);

			if (source->where && source->where->foreign)
				return true;
		}
	foreach(lc, bound->aggregates)
		foreach(lc2, ((BoundAggregate *) lfirst(lc))->items)
			if (tree_is_foreign(((BoundItem *) lfirst(lc2))->node))
				return true;
	return bound->foreign || tree_is_foreign(bound->root);
}

/* Bind the fields of all tests once more, each by itself. */
static void
bind_fields(BindContext *cxt, const RuleNode *node)
{
	check_stack_depth();
	for (uint32 i = 0; i < node->nkids; i++)
	{
		const RuleNode *kid = ls_rule_kid(node, i);

		if (kid->kind == RULE_FIELD)
		{
			BoundField *field = palloc(sizeof(BoundField));
			Operand    *operand = ls_bind_operand(cxt, kid);

			field->node = kid;
			field->sql = operand->sql;
			field->type = operand->type;
			cxt->bound->fields = lappend(cxt->bound->fields, field);
		}
		else if (kid->kind != RULE_AGGREGATE)
			bind_fields(cxt, kid);
	}
}

static BoundRule *
bind_rule(const Rule *rule, ContactSource *contacts, List *activities, bool apart)
{
	BindContext cxt = {.apart = apart};

	ls_rule_check_version(rule);
	if (contacts == NULL)
		contacts = ls_catalog_need_contacts();
	cxt.bound = palloc0(sizeof(BoundRule));
	cxt.bound->contacts = contacts;
	cxt.activities = activities;
	cxt.zone = quote_literal_cstr(contacts->zone);
	cxt.bound->root = ls_bind_node(&cxt, ls_rule_root(rule), false);
	cxt.bound->foreign = is_foreign(cxt.bound);
	if (apart)
		bind_fields(&cxt, ls_rule_root(rule));
	return cxt.bound;
}

BoundRule *
ls_rule_bind(const Rule *rule, ContactSource *contacts, List *activities)
{
	return bind_rule(rule, contacts, activities, false);
}

BoundRule *
ls_rule_bind_apart(const Rule *rule, ContactSource *contacts, List *activities)
{
	return bind_rule(rule, contacts, activities, true);
}

BoundExpr *
ls_rule_bind_only(const Rule *rule, ActivitySource *source, ContactSource *contacts)
{
	BindContext cxt = {0};

	cxt.bound = palloc0(sizeof(BoundRule));
	cxt.bound->contacts = contacts;
	cxt.zone = quote_literal_cstr(contacts->zone);
	cxt.here = source;
	cxt.only_filter = true;
	return ls_bind_condition(&cxt, ls_rule_root(rule));
}

void
ls_rule_check_rights(const BoundRule *bound)
{
	ListCell   *lc;

	foreach(lc, bound->used_columns)
	{
		UsedColumn *used = lfirst(lc);

		if (pg_class_aclcheck(used->relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
			pg_attribute_aclcheck(used->relid, used->attno, GetUserId(),
								  ACL_SELECT) != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for column \"%s\" of table \"%s\"",
							get_attname(used->relid, used->attno, false),
							get_rel_name(used->relid)),
					 errdetail("A rule reads with the rights of whoever writes it."),
					 errhint("Grant SELECT on the column.")));
	}
}

bool
ls_rule_has_rls(const BoundRule *bound)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (check_enable_rls(bound->contacts->relid, InvalidOid, true) == RLS_ENABLED)
		return true;
	foreach(lc, bound->aggregates)
		foreach(lc2, ((BoundAggregate *) lfirst(lc))->sources)
			if (check_enable_rls(((BoundSource *) lfirst(lc2))->source->relid, InvalidOid,
								 true) == RLS_ENABLED)
				return true;
	return false;
}
