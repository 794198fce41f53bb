/*-------------------------------------------------------------------------
 *
 * rule_json_operator.c
 *	  The operators of the JSON forms of rules, and when a text is a number.
 *
 * The names are react-querybuilder's where it has one and made in its manner
 * where it has none.  A test of a period has its period in its name, as in
 * "in last month", so that a rule builder shows it without a value to edit;
 * rule_json_read.c sees to that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rule_json_part.h"

#define NOT_	RULE_FLAG_NEGATED

static const RuleJsonOperator operators[] = {
	{"=", "equal", RULE_OP_EQ, 0, SHAPE_ONE, 0},
	{"!=", "not_equal", RULE_OP_NE, 0, SHAPE_ONE, RULE_OP_EQ},
	{"<", "less", RULE_OP_LT, 0, SHAPE_ONE, 0},
	{"<=", "less_or_equal", RULE_OP_LE, 0, SHAPE_ONE, 0},
	{">", "greater", RULE_OP_GT, 0, SHAPE_ONE, 0},
	{">=", "greater_or_equal", RULE_OP_GE, 0, SHAPE_ONE, 0},
	{"contains", "contains", RULE_OP_CONTAINS, 0, SHAPE_ONE, 0},
	{"doesNotContain", "not_contains", RULE_OP_CONTAINS, NOT_, SHAPE_ONE, RULE_OP_CONTAINS},
	{"beginsWith", "begins_with", RULE_OP_STARTS_WITH, 0, SHAPE_ONE, 0},
	{"doesNotBeginWith", "not_begins_with", RULE_OP_STARTS_WITH, NOT_, SHAPE_ONE, RULE_OP_STARTS_WITH},
	{"endsWith", "ends_with", RULE_OP_ENDS_WITH, 0, SHAPE_ONE, 0},
	{"doesNotEndWith", "not_ends_with", RULE_OP_ENDS_WITH, NOT_, SHAPE_ONE, RULE_OP_ENDS_WITH},
	{"null", "is_null", RULE_OP_IS_NULL, 0, SHAPE_NONE, 0},
	{"notNull", "is_not_null", RULE_OP_IS_NULL, NOT_, SHAPE_NONE, RULE_OP_IS_NULL},
	{"in", "in", RULE_OP_IN, 0, SHAPE_LIST, 0},
	{"notIn", "not_in", RULE_OP_IN, NOT_, SHAPE_LIST, RULE_OP_IN},
	{"between", "between", RULE_OP_BETWEEN, 0, SHAPE_TWO, 0},
	{"notBetween", "not_between", RULE_OP_BETWEEN, NOT_, SHAPE_TWO, RULE_OP_BETWEEN},

	/* ours */
	{"empty", "is_empty", RULE_OP_IS_EMPTY, 0, SHAPE_NONE, 0},
	{"notEmpty", "is_not_empty", RULE_OP_IS_EMPTY, NOT_, SHAPE_NONE, RULE_OP_IS_EMPTY},
	{"containsAny", NULL, RULE_OP_CONTAINS_ANY, 0, SHAPE_LIST, 0},
	{"doesNotContainAny", NULL, RULE_OP_CONTAINS_ANY, NOT_, SHAPE_LIST, RULE_OP_CONTAINS_ANY},
	{"containsAll", NULL, RULE_OP_CONTAINS_ALL, 0, SHAPE_LIST, 0},
	{"doesNotContainAll", NULL, RULE_OP_CONTAINS_ALL, NOT_, SHAPE_LIST, RULE_OP_CONTAINS_ALL},
	{"like", NULL, RULE_OP_LIKE, 0, SHAPE_ONE, 0},
	{"notLike", NULL, RULE_OP_LIKE, NOT_, SHAPE_ONE, RULE_OP_LIKE},
	{"ilike", NULL, RULE_OP_ILIKE, 0, SHAPE_ONE, 0},
	{"notIlike", NULL, RULE_OP_ILIKE, NOT_, SHAPE_ONE, RULE_OP_ILIKE},
	{"~", NULL, RULE_OP_MATCH, 0, SHAPE_ONE, 0},
	{"!~", NULL, RULE_OP_NOT_MATCH, 0, SHAPE_ONE, RULE_OP_MATCH},
	{"~*", NULL, RULE_OP_IMATCH, 0, SHAPE_ONE, 0},
	{"!~*", NULL, RULE_OP_NOT_IMATCH, 0, SHAPE_ONE, RULE_OP_IMATCH},
	{"true", NULL, RULE_OP_IS_TRUE, 0, SHAPE_NONE, 0},
	{"notTrue", NULL, RULE_OP_IS_TRUE, NOT_, SHAPE_NONE, RULE_OP_IS_TRUE},
	{"false", NULL, RULE_OP_IS_FALSE, 0, SHAPE_NONE, 0},
	{"notFalse", NULL, RULE_OP_IS_FALSE, NOT_, SHAPE_NONE, RULE_OP_IS_FALSE},
	{"holds", NULL, 0, 0, SHAPE_NONE, 0}
};

/* Look up an operator; the library does not mind the letter case either. */
const RuleJsonOperator *
ls_rule_json_operator(const char *name)
{
	int			i;

	for (i = 0; i < lengthof(operators); i++)
	{
		if (pg_strcasecmp(operators[i].name, name) == 0)
			return &operators[i];
	}
	return NULL;
}

/* Look up an operator by the name that jQuery QueryBuilder has for it. */
const RuleJsonOperator *
ls_rule_json_jquery_operator(const char *name)
{
	int			i;

	for (i = 0; i < lengthof(operators); i++)
	{
		if (operators[i].jquery != NULL && strcmp(operators[i].jquery, name) == 0)
			return &operators[i];
	}
	return NULL;
}

/* The name of a test that is not one of a period. */
const char *
ls_rule_json_operator_name(RuleOp op, int flags)
{
	int			i;

	for (i = 0; i < lengthof(operators); i++)
	{
		if (operators[i].op == op && operators[i].flags == flags)
			return operators[i].name;
	}
	elog(ERROR, "unknown operator %d of a rule", op);	/* cannot happen */
}

/*
 * Does it compare by order?  Then a text that reads as a number or as the
 * clock is one: a rule builder's inputs give texts only, and in a jsonb field
 * a text would be compared as a text.
 */
bool
ls_rule_json_is_order(RuleOp op)
{
	return (op >= RULE_OP_LT && op <= RULE_OP_GE) || op == RULE_OP_BETWEEN;
}

/* Is this a decimal number and nothing else? */
bool
ls_rule_json_is_number(const char *text)
{
	const char *p = text;
	int			before;
	int			after = 0;

	if (*p == '+' || *p == '-')
		p++;
	before = strspn(p, "0123456789");
	p += before;
	if (*p == '.')
	{
		p++;
		after = strspn(p, "0123456789");
		p += after;
	}
	if (before + after == 0)
		return false;
	if (*p == 'e' || *p == 'E')
	{
		p++;
		if (*p == '+' || *p == '-')
			p++;
		before = strspn(p, "0123456789");
		if (before == 0)
			return false;
		p += before;
	}
	return *p == '\0';
}

/* Is this "now" or "today", alone or with a shift behind it? */
bool
ls_rule_json_is_clock(const char *text)
{
	const char *p = text;

	if (pg_strncasecmp(p, "now", 3) == 0)
		p += 3;
	else if (pg_strncasecmp(p, "today", 5) == 0)
		p += 5;
	else
		return false;
	p += strspn(p, " ");
	return *p == '\0' || *p == '+' || *p == '-';
}
