/*-------------------------------------------------------------------------
 *
 * rule_json_build.c
 *	  Parts of a JSON form -> the syntax tree of a rule.
 *
 * The tree is the one that the grammar would have made of the canonical text:
 * chains of one member are that member, chains in chains of their kind are
 * joined.  So every rule has one form on disk, whatever way it came in.
 *
 * Operands, intervals and periods are texts in the JSON too; the parser of
 * rules reads them, and nothing that is not such a part gets through it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rule_build.h"
#include "rule_json_part.h"

static void say_where(void *arg);
static RuleItem *read_operand(const char *text, const RuleJsonRows *rows,
							  const RuleJsonPath *path);
static char *any_path(const char *text);
static RuleItem *test_any(const char *text, const RuleJsonPath *field_path,
						  const RuleJsonOperator *oper, List *values,
						  const RuleJsonRows *rows, const RuleJsonPath *path);
static RuleItem *make_test(RuleItem *operand, RuleOp op, int flags, List *values,
						   const RuleJsonPath *path);
static bool takes_multiple(RuleOp op);
static List *add_rows(List *kids, const RuleJsonRows *rows);
static List *tail(const List *list);
static int	depth_of(const RuleItem *item);

/* Make a node of the tree. */
RuleItem *
ls_rule_json_item(RuleKind kind, int op, const char *text, List *kids)
{
	RuleItem   *item = palloc0(sizeof(RuleItem));

	item->kind = kind;
	item->op = op;
	item->text = text;
	item->kids = kids;
	return item;
}

/* Join one or more conditions by "and" or "or". */
RuleItem *
ls_rule_json_join(RuleKind kind, List *conditions)
{
	List	   *kids = NIL;
	ListCell   *lc;

	if (list_length(conditions) == 1)
		return linitial(conditions);
	foreach(lc, conditions)
	{
		RuleItem   *kid = lfirst(lc);

		if (kid->kind == kind)
			kids = list_concat(kids, kid->kids);
		else
			kids = lappend(kids, kid);
	}
	return ls_rule_json_item(kind, 0, NULL, kids);
}

/* Negate a condition. */
RuleItem *
ls_rule_json_not(RuleItem *condition)
{
	return ls_rule_json_item(RULE_NOT, 0, NULL, list_make1(condition));
}

/* Read a text that is part of a rule; an error says where in the JSON it is. */
List *
ls_rule_json_parts(const char *text, RulePart part, const RuleJsonPath *path)
{
	ErrorContextCallback callback;
	List	   *parts;

	callback.previous = error_context_stack;
	callback.callback = say_where;
	callback.arg = unconstify(RuleJsonPath *, path);
	error_context_stack = &callback;
	parts = ls_rule_parse_part(text, part);
	error_context_stack = callback.previous;
	return parts;
}

/* Add the place in the JSON to an error of the parser. */
static void
say_where(void *arg)
{
	errcontext("%s of the JSON form of a rule", ls_rule_json_where(arg));
}

/* Make an aggregate. */
RuleItem *
ls_rule_json_aggregate(RuleAggregate op, List *kinds, const RuleJsonRows *rows)
{
	return ls_rule_json_item(RULE_AGGREGATE, op, NULL, add_rows(kinds, rows));
}

/*
 * Make the condition that a field, an operator and values are.  rows, if not
 * NULL, narrow the rows of the aggregate that the field then must be.
 */
RuleItem *
ls_rule_json_test(const char *field, const RuleJsonPath *field_path,
				  const RuleJsonOperator *oper, List *values,
				  const RuleJsonRows *rows, const RuleJsonPath *path)
{
	char	   *of_kind = any_path(field);

	if (of_kind != NULL)
		return test_any(of_kind, field_path, oper, values, rows, path);
	return make_test(read_operand(field, rows, field_path), oper->op, oper->flags,
					 values, path);
}

/* Read what a condition tests. */
static RuleItem *
read_operand(const char *text, const RuleJsonRows *rows, const RuleJsonPath *path)
{
	RuleItem   *operand;
	ListCell   *lc;

	if (strcmp(text, "") == 0 || strcmp(text, "~") == 0)
		ls_rule_json_fail(path, "no field is chosen", "Choose one, or take the rule away.");
	operand = linitial(ls_rule_json_parts(text, RULE_PART_OPERAND, path));
	if (operand->kind == RULE_TIMES)
		ls_rule_json_fail(path, "a multiple of an aggregate cannot be tested",
						  "It may stand in the value, with \"valueSource\": \"field\".");
	if (rows == NULL)
		return operand;

	if (operand->kind != RULE_AGGREGATE)
		ls_rule_json_fail(path, "\"where\" goes with an aggregate only",
						  "An aggregate is a field such as sum(purchase.amount).");
	foreach(lc, operand->kids)
	{
		if (((RuleItem *) lfirst(lc))->kind != RULE_FIELD)
			ls_rule_json_fail(path, "\"where\" beside an aggregate that has where, within or older than",
							  "Say it in one place.");
	}
	operand->kids = add_rows(operand->kids, rows);
	return operand;
}

/* The path inside any(...), palloc'd, or NULL if the text is no such. */
static char *
any_path(const char *text)
{
	int			len = strlen(text);

	if (len < 5 || pg_strncasecmp(text, "any(", 4) != 0 || text[len - 1] != ')')
		return NULL;
	return pnstrdup(text + 4, len - 5);
}

/*
 * Make the condition on a field of a kind: some row of it passes the test.
 * A negative operator is the opposite of the positive one: no row passes.
 */
static RuleItem *
test_any(const char *text, const RuleJsonPath *field_path,
		 const RuleJsonOperator *oper, List *values,
		 const RuleJsonRows *rows, const RuleJsonPath *path)
{
	RuleItem   *field = linitial(ls_rule_json_parts(text, RULE_PART_OPERAND, field_path));
	RuleItem   *kind;
	RuleItem   *exists;
	RuleJsonRows narrowed = {0};
	RuleOp		op = oper->positive != 0 ? oper->positive : oper->op;
	int			flags = oper->positive != 0 ? 0 : oper->flags;

	if (field->kind != RULE_FIELD || list_length(field->kids) < 2 ||
		((RuleItem *) lsecond(field->kids))->kind != RULE_LABEL)
		ls_rule_json_fail(field_path, "any(...) wants the field of a kind",
						  "Write it as any(page_visit.url).");
	kind = ls_rule_json_item(RULE_FIELD, 0, NULL, list_make1(linitial(field->kids)));
	field->kids = tail(field->kids);

	if (rows != NULL)
		narrowed = *rows;
	narrowed.where = make_test(field, op, flags, values, path);
	if (rows != NULL && rows->where != NULL)
		narrowed.where = ls_rule_json_join(RULE_AND, list_make2(narrowed.where, rows->where));
	exists = ls_rule_json_item(RULE_ALONE, 0, NULL,
							   list_make1(ls_rule_json_aggregate(RULE_AGG_EXISTS,
																 list_make1(kind), &narrowed)));
	return oper->positive != 0 ? ls_rule_json_not(exists) : exists;
}

/* Make a test of an operand, or a condition of an operand alone. */
static RuleItem *
make_test(RuleItem *operand, RuleOp op, int flags, List *values,
		  const RuleJsonPath *path)
{
	RuleItem   *item;
	ListCell   *lc;

	if (op == 0)
	{
		if (operand->kind != RULE_FIELD && operand->kind != RULE_BOOLEAN &&
			!(operand->kind == RULE_AGGREGATE && operand->op == RULE_AGG_EXISTS))
			ls_rule_json_fail(path, "this operand is not a condition by itself",
							  "Only a boolean field, exists(...), true and false stand alone.");
		return ls_rule_json_item(RULE_ALONE, 0, NULL, list_make1(operand));
	}
	foreach(lc, values)
	{
		if (((RuleItem *) lfirst(lc))->kind == RULE_TIMES && !takes_multiple(op))
			ls_rule_json_fail(path, "this operator does not take a multiple of an aggregate",
							  NULL);
	}
	item = ls_rule_json_item(RULE_TEST, op, NULL,
							 list_concat(list_make1(operand), values));
	item->flags = flags;
	return item;
}

/* Does the grammar have a multiple of an aggregate behind this operator? */
static bool
takes_multiple(RuleOp op)
{
	return (op >= RULE_OP_EQ && op <= RULE_OP_GE) || op == RULE_OP_BETWEEN ||
		op == RULE_OP_IN || op == RULE_OP_CONTAINS_ANY || op == RULE_OP_CONTAINS_ALL;
}

/* Append what narrows the rows of an aggregate, in the order of the format. */
static List *
add_rows(List *kids, const RuleJsonRows *rows)
{
	if (rows->where != NULL)
		kids = lappend(kids, ls_rule_json_item(RULE_WHERE, 0, NULL, list_make1(rows->where)));
	if (rows->within != NULL)
		kids = lappend(kids, rows->within);
	if (rows->older != NULL)
		kids = lappend(kids, rows->older);
	return kids;
}

/* All of a list but its first member. */
static List *
tail(const List *list)
{
	List	   *result = NIL;
	int			i;

	for (i = 1; i < list_length(list); i++)
		result = lappend(result, list_nth(list, i));
	return result;
}

/* Store the tree, if it is within the limits that the text has. */
Rule *
ls_rule_json_finish(const RuleItem *root)
{
	if (depth_of(root) > RULE_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("rule is nested too deeply"),
				 errhint("Parentheses, \"not\" and conditions inside conditions may be %d levels deep.",
						 RULE_MAX_DEPTH)));
	return ls_rule_build(root, NULL);
}

/* How deep the grammar would find the canonical text nested. */
static int
depth_of(const RuleItem *item)
{
	int			depth = 0;
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, item->kids)
	{
		const RuleItem *kid = lfirst(lc);
		int			kid_depth = depth_of(kid);

		/* in parentheses */
		if ((item->kind == RULE_AND && kid->kind == RULE_OR) ||
			(item->kind == RULE_NOT && (kid->kind == RULE_AND || kid->kind == RULE_OR)))
			kid_depth++;
		depth = Max(depth, kid_depth);
	}
	switch (item->kind)
	{
		case RULE_AND:
		case RULE_OR:
		case RULE_NOT:
		case RULE_ALONE:
		case RULE_TEST:
		case RULE_SEGMENT:
			return depth + 1;
		default:
			return depth;
	}
}
