/*-------------------------------------------------------------------------
 *
 * rule_text.c
 *	  Stored rule -> canonical text.
 *
 * The canonical text is the one that, read again, gives the same tree, in
 * lower-case keywords, single spaces and as few parentheses and quotes as
 * the grammar allows.  "or" needs parentheses under "and" and "not", "and"
 * needs them under "not"; a test never does.  A name is quoted unless SQL
 * folding would leave it as it is; reserved words are quoted as names, but
 * not behind a dot, where every word may stand.
 *
 * Equality, order and hash of rules go by this text, so a change here is a
 * change of the format.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rule_text.h"

/* What binds tighter: the grammar's levels. */
typedef enum Level
{
	LEVEL_OR,
	LEVEL_AND,
	LEVEL_NOT
} Level;

static const char *const aggregates[] = {
	[RULE_AGG_EXISTS] = "exists",
	[RULE_AGG_COUNT] = "count",
	[RULE_AGG_COUNT_DISTINCT] = "count",
	[RULE_AGG_SUM] = "sum",
	[RULE_AGG_AVG] = "avg",
	[RULE_AGG_MIN] = "min",
	[RULE_AGG_MAX] = "max",
	[RULE_AGG_FIRST] = "first",
	[RULE_AGG_LAST] = "last",
	[RULE_AGG_SCORE] = "score"
};

static const char *const periods[] = {
	[RULE_PERIOD_TODAY] = "today",
	[RULE_PERIOD_YESTERDAY] = "yesterday",
	[RULE_PERIOD_TOMORROW] = "tomorrow",
	[RULE_PERIOD_THIS] = "this",
	[RULE_PERIOD_LAST] = "last",
	[RULE_PERIOD_NEXT] = "next"
};

/* Operators written between two operands, or behind one. */
static const char *const operators[] = {
	[RULE_OP_EQ] = "=",
	[RULE_OP_NE] = "<>",
	[RULE_OP_LT] = "<",
	[RULE_OP_LE] = "<=",
	[RULE_OP_GT] = ">",
	[RULE_OP_GE] = ">=",
	[RULE_OP_MATCH] = "~",
	[RULE_OP_IMATCH] = "~*",
	[RULE_OP_NOT_MATCH] = "!~",
	[RULE_OP_NOT_IMATCH] = "!~*",
	[RULE_OP_IS_NULL] = "null",
	[RULE_OP_IS_EMPTY] = "empty",
	[RULE_OP_IS_TRUE] = "true",
	[RULE_OP_IS_FALSE] = "false",
	[RULE_OP_BETWEEN] = "between",
	[RULE_OP_IN] = "in",
	[RULE_OP_IN_PERIOD] = "in",
	[RULE_OP_LIKE] = "like",
	[RULE_OP_ILIKE] = "ilike",
	[RULE_OP_STARTS_WITH] = "starts with",
	[RULE_OP_ENDS_WITH] = "ends with",
	[RULE_OP_CONTAINS] = "contains",
	[RULE_OP_CONTAINS_ANY] = "contains any",
	[RULE_OP_CONTAINS_ALL] = "contains all"
};

static void put_node(StringInfo buf, const RuleNode *node, Level level);
static void put_chain(StringInfo buf, const RuleNode *node, Level level);
static void put_test(StringInfo buf, const RuleNode *node);
static void put_field(StringInfo buf, const RuleNode *node);
static void put_aggregate(StringInfo buf, const RuleNode *node,
						  bool with_rows);
static void put_score(StringInfo buf, const RuleNode *node);
static void put_kids(StringInfo buf, const RuleNode *node, uint32 first,
					 uint32 last, const char *separator);
static void put_quoted(StringInfo buf, const char *text, char quote);
static bool is_plain(const char *name);
static bool is_reserved(const char *name);

/* Raise an error unless this server understands the value's format. */
void
ls_rule_check_version(const Rule *rule)
{
	if (rule->header != RULE_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("unknown format %u of type leadstream.rule",
						rule->header),
				 errdetail("This version of leadstream reads format %d.",
						   RULE_FORMAT_VERSION),
				 errhint("The value was stored by a later version of leadstream; install that version.")));
}

/* Return the canonical text of a rule. */
char *
ls_rule_to_text(const Rule *rule)
{
	StringInfoData buf;

	ls_rule_check_version(rule);
	initStringInfo(&buf);
	put_node(&buf, ls_rule_root(rule), LEVEL_OR);
	return buf.data;
}

/* Append the canonical text of any node. */
void
ls_rule_node_text(StringInfo buf, const RuleNode *node)
{
	put_node(buf, node, LEVEL_OR);
}

/* Append an aggregate without what narrows its rows. */
void
ls_rule_aggregate_text(StringInfo buf, const RuleNode *node)
{
	put_aggregate(buf, node, false);
}

/* Append a node where the grammar expects this level or a tighter one. */
static void
put_node(StringInfo buf, const RuleNode *node, Level level)
{
	check_stack_depth();

	switch ((RuleKind) node->kind)
	{
		case RULE_AND:
		case RULE_OR:
			put_chain(buf, node, level);
			break;
		case RULE_NOT:
			appendStringInfoString(buf, "not ");
			put_node(buf, ls_rule_kid(node, 0), LEVEL_NOT);
			break;
		case RULE_ALONE:
			put_node(buf, ls_rule_kid(node, 0), LEVEL_OR);
			break;
		case RULE_TEST:
			put_test(buf, node);
			break;
		case RULE_STRING:
			put_quoted(buf, ls_rule_text(node), '\'');
			break;
		case RULE_NUMBER:
			appendStringInfoString(buf, ls_rule_text(node));
			break;
		case RULE_BOOLEAN:
			appendStringInfoString(buf, node->op ? "true" : "false");
			break;
		case RULE_NOW:
			appendStringInfoString(buf, "now");
			put_kids(buf, node, 0, node->nkids, "");
			break;
		case RULE_TODAY:
			appendStringInfoString(buf, "today");
			put_kids(buf, node, 0, node->nkids, "");
			break;
		case RULE_SHIFT:
			appendStringInfo(buf, " %c %s", node->op, ls_rule_text(node));
			break;
		case RULE_FIELD:
			put_field(buf, node);
			break;
		case RULE_LABEL:
			if (is_plain(ls_rule_text(node)))
				appendStringInfoString(buf, ls_rule_text(node));
			else
				put_quoted(buf, ls_rule_text(node), '"');
			break;
		case RULE_INDEX:
			appendStringInfo(buf, "[%s]", ls_rule_text(node));
			break;
		case RULE_TIMES:
			put_kids(buf, node, 0, node->nkids, " * ");
			break;
		case RULE_AGGREGATE:
			put_aggregate(buf, node, true);
			break;
		case RULE_WHERE:
			appendStringInfoString(buf, " where ");
			put_node(buf, ls_rule_kid(node, 0), LEVEL_OR);
			break;
		case RULE_WITHIN:
			appendStringInfo(buf, " within %s", ls_rule_text(node));
			break;
		case RULE_OLDER:
			appendStringInfo(buf, " older than %s", ls_rule_text(node));
			break;
		case RULE_PERIOD:
			appendStringInfoString(buf, periods[node->op]);
			if (node->textlen > 0)
				appendStringInfo(buf, " %s", ls_rule_text(node));
			put_kids(buf, node, 0, node->nkids, "");
			break;
		case RULE_SEGMENT:
			appendStringInfoString(buf, "segment(");
			put_quoted(buf, ls_rule_text(node), '\'');
			appendStringInfoChar(buf, ')');
			break;
		case RULE_POINTS:
			appendStringInfo(buf, "%s where ", ls_rule_text(node));
			put_node(buf, ls_rule_kid(node, 0), LEVEL_OR);
			break;
	}
}

/* Append a chain of "and" or "or". */
static void
put_chain(StringInfo buf, const RuleNode *node, Level level)
{
	Level		own = node->kind == RULE_AND ? LEVEL_AND : LEVEL_OR;
	uint32		i;

	if (own < level)
		appendStringInfoChar(buf, '(');
	for (i = 0; i < node->nkids; i++)
	{
		if (i > 0)
			appendStringInfoString(buf, own == LEVEL_AND ? " and " : " or ");

		/* a kid of the same kind would have been made part of this chain */
		put_node(buf, ls_rule_kid(node, i),
				 own == LEVEL_AND ? LEVEL_NOT : LEVEL_AND);
	}
	if (own < level)
		appendStringInfoChar(buf, ')');
}

/* Append a test. */
static void
put_test(StringInfo buf, const RuleNode *node)
{
	bool		negated = (node->flags & RULE_FLAG_NEGATED) != 0;
	const char *name = operators[node->op];

	put_node(buf, ls_rule_kid(node, 0), LEVEL_OR);
	switch ((RuleOp) node->op)
	{
		case RULE_OP_IS_NULL:
		case RULE_OP_IS_EMPTY:
		case RULE_OP_IS_TRUE:
		case RULE_OP_IS_FALSE:
			appendStringInfo(buf, " is %s%s", negated ? "not " : "", name);
			return;
		default:
			appendStringInfo(buf, " %s%s ", negated ? "not " : "", name);
			break;
	}
	switch ((RuleOp) node->op)
	{
		case RULE_OP_BETWEEN:
			put_kids(buf, node, 1, 3, " and ");
			break;
		case RULE_OP_IN:
		case RULE_OP_CONTAINS_ANY:
		case RULE_OP_CONTAINS_ALL:
			appendStringInfoChar(buf, '(');
			put_kids(buf, node, 1, node->nkids, ", ");
			appendStringInfoChar(buf, ')');
			break;
		default:
			put_kids(buf, node, 1, 2, "");
			break;
	}
}

/* Append a path: only its first name cannot be a reserved word. */
static void
put_field(StringInfo buf, const RuleNode *node)
{
	const RuleNode *first = ls_rule_kid(node, 0);
	uint32		i;

	if (is_reserved(ls_rule_text(first)))
		put_quoted(buf, ls_rule_text(first), '"');
	else
		put_node(buf, first, LEVEL_OR);
	for (i = 1; i < node->nkids; i++)
	{
		const RuleNode *part = ls_rule_kid(node, i);

		if (part->kind == RULE_LABEL)
			appendStringInfoChar(buf, '.');
		put_node(buf, part, LEVEL_OR);
	}
}

/* Append an aggregate, with what narrows its rows or without. */
static void
put_aggregate(StringInfo buf, const RuleNode *node, bool with_rows)
{
	uint32		fields = 0;

	while (fields < node->nkids &&
		   ls_rule_kid(node, fields)->kind == RULE_FIELD)
		fields++;

	appendStringInfo(buf, "%s(%s", aggregates[node->op],
					 node->op == RULE_AGG_COUNT_DISTINCT ? "distinct " : "");
	if (node->op == RULE_AGG_SCORE)
		put_score(buf, node);
	put_kids(buf, node, 0, fields, ", ");
	if (with_rows && node->op != RULE_AGG_SCORE)
		put_kids(buf, node, fields, node->nkids, "");
	appendStringInfoChar(buf, ')');
}

/* Append what stands between the parentheses of a score. */
static void
put_score(StringInfo buf, const RuleNode *node)
{
	if (node->textlen > 0)
		put_quoted(buf, ls_rule_text(node), '\'');
	if (node->flags & RULE_FLAG_LOOKED_UP)
		return;
	if (node->textlen > 0 && node->nkids > 0)
		appendStringInfoString(buf, ", ");
	put_kids(buf, node, 0, node->nkids, ", ");
}

/* Append the kids from first up to, but not including, last. */
static void
put_kids(StringInfo buf, const RuleNode *node, uint32 first, uint32 last,
		 const char *separator)
{
	uint32		i;

	for (i = first; i < last; i++)
	{
		if (i > first)
			appendStringInfoString(buf, separator);
		put_node(buf, ls_rule_kid(node, i), LEVEL_OR);
	}
}

/* Append a text in quotes, doubling those inside. */
static void
put_quoted(StringInfo buf, const char *text, char quote)
{
	const char *p;

	appendStringInfoChar(buf, quote);
	for (p = text; *p != '\0'; p++)
	{
		if (*p == quote)
			appendStringInfoChar(buf, quote);
		appendStringInfoChar(buf, *p);
	}
	appendStringInfoChar(buf, quote);
}

/* Does the scanner read this name, unquoted, as it is? */
static bool
is_plain(const char *name)
{
	return strchr("abcdefghijklmnopqrstuvwxyz_", name[0]) != NULL &&
		name[0] != '\0' &&
		name[strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789$")] == '\0';
}

/* Is this one of the words that the grammar calls reserved? */
static bool
is_reserved(const char *name)
{
	static const char *const words[] = {
		"and", "between", "distinct", "false", "in", "is", "not", "now",
		"null", "older", "or", "than", "today", "true", "where", "within"
	};
	int			i;

	for (i = 0; i < lengthof(words); i++)
	{
		if (strcmp(name, words[i]) == 0)
			return true;
	}
	return false;
}
