/*-------------------------------------------------------------------------
 *
 * rule_json_write.c
 *	  Stored rule -> JSON text in the form of react-querybuilder.
 *
 * rule_json_read.c tells that form.  Of the ways to say a thing this takes the
 * one that a rule builder can edit, so long as it is read back as the very
 * same rule: a condition on activities becomes a rule with a match mode
 * wherever there is one.  A literal that would be read as something else (the
 * text '5' behind "<", a number with more digits than JavaScript keeps) is
 * written as an operand.
 *
 * The root is a group always, because the library wants one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rule_json_part.h"
#include "rule_text.h"

/* A double holds any number of so many digits. */
#define SAFE_DIGITS		15

/* The parts of an aggregate, NULL for those that are not there. */
typedef struct Rows
{
	const RuleNode *where;		/* the condition itself */
	const RuleNode *within;
	const RuleNode *older;
} Rows;

static void put_node(StringInfo buf, const RuleNode *node);
static void put_group(StringInfo buf, const RuleNode *node, const Rows *span);
static bool is_group(const RuleNode *node);
static void put_rule(StringInfo buf, const RuleNode *test);
static bool put_count(StringInfo buf, const RuleNode *test);
static bool is_share(const RuleNode *rhs, const RuleNode *count);
static void put_match(StringInfo buf, const RuleNode *aggregate, const char *mode,
					  const RuleNode *threshold, bool of_all);
static void put_span(StringInfo buf, const char *field, const RuleNode *node, bool *first);
static void put_values(StringInfo buf, const RuleNode *test);
static bool is_plain(const RuleNode *value, bool is_order);
static void put_value(StringInfo buf, const RuleNode *value, bool plain);
static void get_rows(const RuleNode *aggregate, Rows *rows);
static bool is_aggregate(const RuleNode *node, RuleAggregate op);
static char *text_of(const RuleNode *node);
static char *kinds_of(const RuleNode *aggregate);
static void put_string(StringInfo buf, const char *text);

/* Return the JSON text of a rule. */
char *
ls_rule_to_json(const Rule *rule)
{
	static const Rows none = {NULL, NULL, NULL};
	StringInfoData buf;

	ls_rule_check_version(rule);
	initStringInfo(&buf);
	put_group(&buf, ls_rule_root(rule), &none);
	return buf.data;
}

/* Append a condition as a rule or group. */
static void
put_node(StringInfo buf, const RuleNode *node)
{
	static const Rows none = {NULL, NULL, NULL};
	const RuleNode *kid = node->nkids > 0 ? ls_rule_kid(node, 0) : NULL;

	check_stack_depth();
	if (is_group(node))
	{
		put_group(buf, node, &none);
		return;
	}
	switch ((RuleKind) node->kind)
	{
		case RULE_NOT:
			if (kid->kind == RULE_SEGMENT)
			{
				appendStringInfoString(buf, "{\"field\":\"segment()\",\"operator\":\"!=\",\"value\":");
				put_string(buf, ls_rule_text(kid));
				appendStringInfoChar(buf, '}');
			}
			else
			{
				const RuleNode *exists = ls_rule_kid(kid, 0);
				Rows		rows;

				get_rows(exists, &rows);
				if (rows.where != NULL && rows.where->kind == RULE_NOT)
					put_match(buf, exists, "all", NULL, true);
				else
					put_match(buf, exists, "none", NULL, false);
			}
			break;
		case RULE_ALONE:
			if (is_aggregate(kid, RULE_AGG_EXISTS))
				put_match(buf, kid, "some", NULL, false);
			else
			{
				appendStringInfoString(buf, "{\"field\":");
				put_string(buf, text_of(kid));
				appendStringInfoString(buf, ",\"operator\":\"holds\",\"value\":null}");
			}
			break;
		case RULE_SEGMENT:
			appendStringInfoString(buf, "{\"field\":\"segment()\",\"operator\":\"=\",\"value\":");
			put_string(buf, ls_rule_text(node));
			appendStringInfoChar(buf, '}');
			break;
		case RULE_TEST:
			if (!put_count(buf, node))
				put_rule(buf, node);
			break;
		default:
			elog(ERROR, "unknown condition %d of a rule", node->kind);	/* cannot happen */
	}
}

/* Append a condition, if there is one, and when its rows count, as a group. */
static void
put_group(StringInfo buf, const RuleNode *node, const Rows *span)
{
	bool		has_span = span->within != NULL || span->older != NULL;
	bool		negated = false;
	bool		first = true;
	uint32		i;

	/* when rows count can only be said in a plain "and" */
	if (node != NULL && node->kind == RULE_NOT && is_group(node) && !has_span)
	{
		negated = true;
		node = ls_rule_kid(node, 0);
	}
	appendStringInfo(buf, "{\"combinator\":\"%s\",\"not\":%s,\"rules\":[",
					 node != NULL && node->kind == RULE_OR && !has_span ? "or" : "and",
					 negated ? "true" : "false");
	if (node != NULL && (node->kind == RULE_AND || (node->kind == RULE_OR && !has_span)))
	{
		for (i = 0; i < node->nkids; i++)
		{
			if (i > 0)
				appendStringInfoChar(buf, ',');
			put_node(buf, ls_rule_kid(node, i));
		}
		first = false;
	}
	else if (node != NULL)
	{
		put_node(buf, node);
		first = false;
	}
	put_span(buf, "within", span->within, &first);
	put_span(buf, "older than", span->older, &first);
	appendStringInfoString(buf, "]}");
}

/* Is this condition written as a group? */
static bool
is_group(const RuleNode *node)
{
	const RuleNode *kid;

	if (node->kind == RULE_AND || node->kind == RULE_OR)
		return true;
	if (node->kind != RULE_NOT)
		return false;
	kid = ls_rule_kid(node, 0);
	return kid->kind != RULE_SEGMENT &&
		!(kid->kind == RULE_ALONE && is_aggregate(ls_rule_kid(kid, 0), RULE_AGG_EXISTS));
}

/* Append when rows count, as a rule. */
static void
put_span(StringInfo buf, const char *field, const RuleNode *node, bool *first)
{
	if (node == NULL)
		return;
	appendStringInfo(buf, "%s{\"field\":\"%s\",\"operator\":\"=\",\"value\":",
					 *first ? "" : ",", field);
	put_string(buf, ls_rule_text(node));
	appendStringInfoChar(buf, '}');
	*first = false;
}

/* Append a test as a rule without a match mode. */
static void
put_rule(StringInfo buf, const RuleNode *test)
{
	const RuleNode *operand = ls_rule_kid(test, 0);
	const RuleNode *period = test->op == RULE_OP_IN_PERIOD ? ls_rule_kid(test, 1) : NULL;
	Rows		rows = {NULL, NULL, NULL};

	appendStringInfoString(buf, "{\"field\":");
	if (operand->kind == RULE_AGGREGATE)
	{
		StringInfoData bare;

		get_rows(operand, &rows);
		initStringInfo(&bare);
		ls_rule_aggregate_text(&bare, operand);
		put_string(buf, bare.data);
	}
	else
		put_string(buf, text_of(operand));

	appendStringInfoString(buf, ",\"operator\":");
	if (period != NULL)
	{
		put_string(buf, psprintf("%sin %s", test->flags & RULE_FLAG_NEGATED ? "not " : "",
								 text_of(period)));
		appendStringInfoString(buf, ",\"value\":null");
	}
	else
	{
		put_string(buf, ls_rule_json_operator_name(test->op, test->flags));
		put_values(buf, test);
	}
	if (rows.where != NULL || rows.within != NULL || rows.older != NULL)
	{
		appendStringInfoString(buf, ",\"where\":");
		put_group(buf, rows.where, &rows);
	}
	appendStringInfoChar(buf, '}');
}

/* Append a test of a number of rows as a rule with a match mode, if it is one. */
static bool
put_count(StringInfo buf, const RuleNode *test)
{
	const RuleNode *count = ls_rule_kid(test, 0);
	const RuleNode *threshold;
	const char *mode;

	switch ((RuleOp) test->op)
	{
		case RULE_OP_GE:
			mode = "atLeast";
			break;
		case RULE_OP_LE:
			mode = "atMost";
			break;
		case RULE_OP_EQ:
			mode = "exactly";
			break;
		default:
			return false;
	}
	if (!is_aggregate(count, RULE_AGG_COUNT))
		return false;
	threshold = ls_rule_kid(test, 1);
	if (threshold->kind == RULE_TIMES && is_share(threshold, count))
		threshold = ls_rule_kid(threshold, 0);
	else if (threshold->kind != RULE_NUMBER || !is_plain(threshold, true) ||
			 ls_rule_text(threshold)[0] == '-' ||
			 strncmp(ls_rule_text(threshold), "0.", 2) == 0)
		return false;
	put_match(buf, count, mode, threshold, false);
	return true;
}

/* Is this a share, below one, of all the rows that count is some of? */
static bool
is_share(const RuleNode *times, const RuleNode *count)
{
	const RuleNode *number = ls_rule_kid(times, 0);
	const RuleNode *all = ls_rule_kid(times, 1);
	Rows		some_rows;
	Rows		all_rows;

	if (strncmp(ls_rule_text(number), "0.", 2) != 0 || !is_plain(number, true) ||
		!is_aggregate(all, RULE_AGG_COUNT) ||
		strcmp(kinds_of(all), kinds_of(count)) != 0)
		return false;
	get_rows(count, &some_rows);
	get_rows(all, &all_rows);
	return all_rows.where == NULL &&
		strcmp(some_rows.within ? ls_rule_text(some_rows.within) : "",
			   all_rows.within ? ls_rule_text(all_rows.within) : "") == 0 &&
		strcmp(some_rows.older ? ls_rule_text(some_rows.older) : "",
			   all_rows.older ? ls_rule_text(all_rows.older) : "") == 0;
}

/*
 * Append a condition on activities as a rule with a match mode.  of_all: the
 * condition on its rows is a negation, and what it negates is to be shown.
 */
static void
put_match(StringInfo buf, const RuleNode *aggregate, const char *mode,
		  const RuleNode *threshold, bool of_all)
{
	Rows		rows;

	get_rows(aggregate, &rows);
	if (of_all)
		rows.where = ls_rule_kid(rows.where, 0);
	appendStringInfoString(buf, "{\"field\":");
	put_string(buf, kinds_of(aggregate));
	appendStringInfo(buf, ",\"operator\":\"=\",\"match\":{\"mode\":\"%s\"", mode);
	if (threshold != NULL)
		appendStringInfo(buf, ",\"threshold\":%s", ls_rule_text(threshold));
	appendStringInfoString(buf, "},\"value\":");
	put_group(buf, rows.where, &rows);
	appendStringInfoChar(buf, '}');
}

/* Append what a test compares with, and its source. */
static void
put_values(StringInfo buf, const RuleNode *test)
{
	bool		is_order = ls_rule_json_is_order(test->op);
	bool		is_list = test->op == RULE_OP_BETWEEN || test->op == RULE_OP_IN ||
		test->op == RULE_OP_CONTAINS_ANY || test->op == RULE_OP_CONTAINS_ALL;
	bool		plain = true;
	uint32		i;

	if (test->nkids == 1)
	{
		appendStringInfoString(buf, ",\"value\":null");
		return;
	}
	for (i = 1; i < test->nkids; i++)
		plain = plain && is_plain(ls_rule_kid(test, i), is_order);
	appendStringInfo(buf, ",%s\"value\":%s", plain ? "" : "\"valueSource\":\"field\",",
					 is_list ? "[" : "");
	for (i = 1; i < test->nkids; i++)
	{
		if (i > 1)
			appendStringInfoChar(buf, ',');
		put_value(buf, ls_rule_kid(test, i), plain);
	}
	if (is_list)
		appendStringInfoChar(buf, ']');
}

/* Would this value, as plain JSON, be read back as what it is? */
static bool
is_plain(const RuleNode *value, bool is_order)
{
	const char *text = ls_rule_text(value);

	switch ((RuleKind) value->kind)
	{
		case RULE_STRING:
			return !is_order ||
				!(ls_rule_json_is_number(text) || ls_rule_json_is_clock(text));
		case RULE_NUMBER:
			{
				int			digits = 0;

				/* those from the first that is not 0 to the last */
				text += strspn(text, "-0.");
				for (; *text != '\0'; text++)
					digits += *text != '.';
				return digits <= SAFE_DIGITS;
			}
		case RULE_BOOLEAN:
			return true;
		case RULE_NOW:
		case RULE_TODAY:
			return is_order;
		default:
			return false;
	}
}

/* Append a value: plain, or as the text of an operand. */
static void
put_value(StringInfo buf, const RuleNode *value, bool plain)
{
	if (plain && value->kind == RULE_STRING)
		put_string(buf, ls_rule_text(value));
	else if (plain && (value->kind == RULE_NUMBER || value->kind == RULE_BOOLEAN))
		appendStringInfoString(buf, text_of(value));
	else
		put_string(buf, text_of(value));
}

/* Find what narrows the rows of an aggregate. */
static void
get_rows(const RuleNode *aggregate, Rows *rows)
{
	uint32		i;

	memset(rows, 0, sizeof(*rows));
	for (i = 0; i < aggregate->nkids; i++)
	{
		const RuleNode *kid = ls_rule_kid(aggregate, i);

		if (kid->kind == RULE_WHERE)
			rows->where = ls_rule_kid(kid, 0);
		else if (kid->kind == RULE_WITHIN)
			rows->within = kid;
		else if (kid->kind == RULE_OLDER)
			rows->older = kid;
	}
}

static bool
is_aggregate(const RuleNode *node, RuleAggregate op)
{
	return node->kind == RULE_AGGREGATE && node->op == op;
}

/* The canonical text of a node, palloc'd. */
static char *
text_of(const RuleNode *node)
{
	StringInfoData buf;

	initStringInfo(&buf);
	ls_rule_node_text(&buf, node);
	return buf.data;
}

/* The kinds that an aggregate is about, palloc'd. */
static char *
kinds_of(const RuleNode *aggregate)
{
	StringInfoData buf;
	uint32		i;

	initStringInfo(&buf);
	for (i = 0; i < aggregate->nkids; i++)
	{
		const RuleNode *kid = ls_rule_kid(aggregate, i);

		if (kid->kind != RULE_FIELD)
			break;
		if (i > 0)
			appendStringInfoString(&buf, ", ");
		ls_rule_node_text(&buf, kid);
	}
	return buf.data;
}

/* Append a JSON string. */
static void
put_string(StringInfo buf, const char *text)
{
	const char *p;

	appendStringInfoChar(buf, '"');
	for (p = text; *p != '\0'; p++)
	{
		if (*p == '"' || *p == '\\')
			appendStringInfoChar(buf, '\\');
		if ((unsigned char) *p < ' ')
			appendStringInfo(buf, "\\u%04x", (unsigned char) *p);
		else
			appendStringInfoChar(buf, *p);
	}
	appendStringInfoChar(buf, '"');
}
