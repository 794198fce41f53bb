/*-------------------------------------------------------------------------
 *
 * rule_json_read.c
 *	  Rules in the form of react-querybuilder -> stored rule.
 *
 * That form is a group {combinator, rules, not} of groups and of rules
 * {field, operator, value, valueSource, match}.  A field is an operand as a
 * rule writes it: a path, but also count(distinct page_visit.session_id).
 *
 *	- A rule with a match mode is a condition on activities: its field is the
 *	  kind (or several, with commas), its value the group of conditions on one
 *	  row.  In that group the fields "within" and "older than", which no path
 *	  can be called, say when the rows count.
 *	- Any other rule about an aggregate has that group under the key "where".
 *	- any(page_visit.url) is a field for builders without match modes.
 *	- The field "segment()" compares with the name of a segment.
 *	- With valueSource "field" the values are operands, as texts.
 *
 * Where the library has two forms for one thing, both are read: lists as texts,
 * combinators between the rules, numbers as texts.  What it keeps for itself
 * (ids, paths) is passed over; a muted rule or group is left out, as the
 * library leaves it out of all it exports.  Everything else that is unknown is
 * refused, as is a group without rules, which the library's own validator
 * does not take either: it would be true of everybody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rule_json_part.h"

#define FIELD_WITHIN	"within"
#define FIELD_OLDER		"older than"
#define FIELD_SEGMENT	"segment()"
#define FIELD_ELEMENT	"value"

/* The keys of our own or of meaning, and those passed over. */
static const char *const group_keys[] = {
	"combinator", "rules", "not", NULL,
	"id", "path", "disabled", "muted", "combinatorPreceding", NULL
};
static const char *const rule_keys[] = {
	"field", "operator", "value", "valueSource", "match", "where", NULL,
	"id", "path", "disabled", "muted", "combinatorPreceding", "meta",

	/* refused with words of its own */
	"lhs", NULL
};
static const char *const match_keys[] = {"mode", "threshold", NULL, NULL};

/* What a rule or group stands in. */
typedef struct Scope
{
	int			level;			/* groups around it */
	bool		of_row;			/* conditions on one row of an activity */
} Scope;

static RuleItem *read_node(const RuleJson *json, const RuleJsonPath *path, Scope scope);
static RuleItem *read_group(const RuleJson *json, const RuleJsonPath *path, Scope scope,
							RuleJsonRows *rows);
static void add_member(List **ands, List **ors, RuleItem *member, RuleKind by);
static RuleKind read_combinator(const RuleJson *json, const RuleJsonPath *path);
static void check_combinators(const RuleJson *rules, bool has_combinator,
							  const RuleJsonPath *path);
static bool read_span(const RuleJson *json, const RuleJsonPath *path, RuleJsonRows *rows);
static RuleItem *read_rule(const RuleJson *json, const RuleJsonPath *path, Scope scope);
static RuleItem *read_segment(const RuleJson *json, const RuleJsonPath *path,
							  const char *name);
static RuleItem *read_match(const RuleJson *json, const RuleJsonPath *path,
							const char *field, const RuleJson *match, Scope scope);
static RuleItem *read_threshold(const RuleJson *match, const RuleJsonPath *path,
								bool *is_share);
static void read_rows(const RuleJson *json, const RuleJsonPath *path, Scope scope,
					  RuleJsonRows *rows);
static bool read_period(const char *name, const RuleJsonPath *path,
						RuleJsonOperator *oper, List **values);
static List *read_values(const RuleJson *json, const RuleJsonPath *path,
						 const RuleJsonOperator *oper);
static List *read_operands(const RuleJson *value, const RuleJsonPath *path,
						   RuleJsonShape shape);

/* Read a rule from its JSON form. */
Rule *
ls_rule_from_json(const RuleJson *json)
{
	RuleJsonPath root = {NULL, NULL, 0};
	Scope		scope = {0, false};
	RuleItem   *item = read_node(json, &root, scope);

	if (item == NULL)
		ls_rule_json_fail(&root, "all of it is muted", NULL);
	return ls_rule_json_finish(item);
}

/* Read a rule or group; NULL if it is muted. */
static RuleItem *
read_node(const RuleJson *json, const RuleJsonPath *path, Scope scope)
{
	if (json->kind != RULE_JSON_OBJECT)
		ls_rule_json_fail(path, "a rule or group must be an object", NULL);
	if (ls_rule_json_truth(json, path, "muted"))
		return NULL;
	if (ls_rule_json_get(json, "rules") != NULL)
		return read_group(json, path, scope, NULL);
	if (ls_rule_json_get(json, "field") == NULL)
		ls_rule_json_fail(path, "this is neither a rule nor a group",
						  "A group has the keys combinator and rules, a rule has field, operator and value.");
	return read_rule(json, path, scope);
}

/*
 * Read a group.  If rows is not NULL it is that of the conditions on one row:
 * it takes "within" and "older than", and may be empty; then NULL is returned.
 */
static RuleItem *
read_group(const RuleJson *json, const RuleJsonPath *path, Scope scope,
		   RuleJsonRows *rows)
{
	const RuleJson *rules = ls_rule_json_get(json, "rules");
	RuleJsonPath rules_path = {path, "rules", 0};
	const RuleJson *combinator = ls_rule_json_get(json, "combinator");
	RuleJsonPath combinator_path = {path, "combinator", 0};
	bool		negated = ls_rule_json_truth(json, path, "not");
	RuleKind	by = RULE_AND;
	List	   *ands = NIL;		/* what is joined by "and" just now */
	List	   *ors = NIL;		/* what is joined by "or" */
	bool		has_or = false;
	bool		has_span = false;
	RuleItem   *item;
	ListCell   *lc;
	int			i = 0;

	check_stack_depth();
	if (scope.level++ > RULE_JSON_MAX_GROUPS)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("rule is nested too deeply"),
				 errdetail("At %s.", ls_rule_json_where(path)),
				 errhint("Groups may be %d levels deep.", RULE_JSON_MAX_GROUPS)));
	ls_rule_json_check_keys(json, path, "a group", group_keys);
	if (rules == NULL || rules->kind != RULE_JSON_ARRAY)
		ls_rule_json_fail(&rules_path, "\"rules\" must be an array", NULL);
	if (combinator != NULL)
		by = read_combinator(combinator, &combinator_path);
	check_combinators(rules, combinator != NULL, &rules_path);

	foreach(lc, rules->values)
	{
		const RuleJson *member = lfirst(lc);
		RuleJsonPath member_path = {&rules_path, NULL, i++};

		if (member->kind == RULE_JSON_STRING)
		{
			by = read_combinator(member, &member_path);
			has_or = has_or || by == RULE_OR;
			continue;
		}
		if (rows != NULL && read_span(member, &member_path, rows))
		{
			has_span = true;
			continue;
		}
		item = read_node(member, &member_path, scope);
		if (item != NULL)
			add_member(&ands, &ors, item, by);
	}
	if (has_span && (negated || has_or ||
					 (by == RULE_OR && list_length(rules->values) > 1)))
		ls_rule_json_fail(path, "\"within\" and \"older than\" in a group that is not a plain \"and\"",
						  "Put the conditions joined by \"or\", or negated, into a group of their own in this one.");
	if (ands == NIL)
	{
		if (rows == NULL || negated)
			ls_rule_json_fail(path, "the group has no rules",
							  "Add one, or take the group away.");
		return NULL;
	}
	item = ls_rule_json_join(RULE_OR, lappend(ors, ls_rule_json_join(RULE_AND, ands)));
	return negated ? ls_rule_json_not(item) : item;
}

/* Add a member to what is joined already; "and" binds tighter than "or". */
static void
add_member(List **ands, List **ors, RuleItem *member, RuleKind by)
{
	if (*ands != NIL && by == RULE_OR)
	{
		*ors = lappend(*ors, ls_rule_json_join(RULE_AND, *ands));
		*ands = NIL;
	}
	*ands = lappend(*ands, member);
}

/* Read "and" or "or". */
static RuleKind
read_combinator(const RuleJson *json, const RuleJsonPath *path)
{
	if (json->kind == RULE_JSON_STRING && pg_strcasecmp(json->text, "and") == 0)
		return RULE_AND;
	if (json->kind == RULE_JSON_STRING && pg_strcasecmp(json->text, "or") == 0)
		return RULE_OR;
	if (json->kind == RULE_JSON_STRING && pg_strcasecmp(json->text, "xor") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rules have no combinator \"xor\""),
				 errdetail("At %s.", ls_rule_json_where(path)),
				 errhint("Write it with \"and\", \"or\" and \"not\".")));
	ls_rule_json_fail(path, "the combinator must be \"and\" or \"or\"", NULL);
}

/* Check that combinators stand between all rules, or between none. */
static void
check_combinators(const RuleJson *rules, bool has_combinator,
				  const RuleJsonPath *path)
{
	ListCell   *lc;
	int			i = 0;

	foreach(lc, rules->values)
	{
		const RuleJson *member = lfirst(lc);
		RuleJsonPath here = {path, NULL, i};
		bool		is_text = member->kind == RULE_JSON_STRING;

		if (is_text && has_combinator)
			ls_rule_json_fail(&here, "a combinator between rules, and one of the group",
							  "Leave one of them out.");
		if (!has_combinator && is_text != (i % 2 == 1))
			ls_rule_json_fail(&here, is_text ? "a rule is wanted" : "a combinator is wanted",
							  "A group without a combinator of its own has one between each two rules.");
		i++;
	}
	if (!has_combinator && i > 0 && i % 2 == 0)
		ls_rule_json_fail(path, "a rule is wanted behind the last combinator", NULL);
}

/* Read a rule that says when rows count, if it is one. */
static bool
read_span(const RuleJson *json, const RuleJsonPath *path, RuleJsonRows *rows)
{
	const RuleJson *field = json->kind == RULE_JSON_OBJECT ? ls_rule_json_get(json, "field") : NULL;
	RuleJsonPath value_path = {path, "value", 0};
	RuleItem  **place;
	RulePart	part;

	if (field == NULL || field->kind != RULE_JSON_STRING)
		return false;
	if (strcmp(field->text, FIELD_WITHIN) == 0)
	{
		place = &rows->within;
		part = RULE_PART_WITHIN;
	}
	else if (strcmp(field->text, FIELD_OLDER) == 0)
	{
		place = &rows->older;
		part = RULE_PART_OLDER;
	}
	else
		return false;

	ls_rule_json_check_keys(json, path, "a rule", rule_keys);
	if (ls_rule_json_truth(json, path, "muted"))
		return true;
	if (strcmp(ls_rule_json_text(json, path, "operator"), "=") != 0)
	{
		RuleJsonPath here = {path, "operator", 0};

		ls_rule_json_fail(&here, psprintf("the operator of \"%s\" must be \"=\"", field->text),
						  NULL);
	}
	if (*place != NULL)
		ls_rule_json_fail(path, psprintf("\"%s\" is there twice", field->text), NULL);
	*place = linitial(ls_rule_json_parts(ls_rule_json_text(json, path, "value"),
										 part, &value_path));
	return true;
}

/* Read a rule. */
static RuleItem *
read_rule(const RuleJson *json, const RuleJsonPath *path, Scope scope)
{
	const char *field = ls_rule_json_text(json, path, "field");
	const RuleJson *match = ls_rule_json_get(json, "match");
	const RuleJson *where = ls_rule_json_get(json, "where");
	RuleJsonPath field_path = {path, "field", 0};
	RuleJsonPath operator_path = {path, "operator", 0};
	RuleJsonPath where_path = {path, "where", 0};
	RuleJsonRows rows = {0};
	RuleJsonOperator period;
	const RuleJsonOperator *oper;
	const char *name;
	List	   *values;

	check_stack_depth();
	ls_rule_json_check_keys(json, path, "a rule", rule_keys);
	if (ls_rule_json_get(json, "lhs") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("expressions on the left side of a rule are not supported"),
				 errdetail("At %s.", ls_rule_json_where(path))));
	if (match != NULL)
		return read_match(json, path, field, match, scope);
	if (strcmp(field, FIELD_WITHIN) == 0 || strcmp(field, FIELD_OLDER) == 0)
		ls_rule_json_fail(&field_path, psprintf("\"%s\" out of place", field),
						  "It stands in the outermost group of the conditions on an activity.");

	/* so the library calls the elements of a field without subproperties */
	if (scope.of_row && field[0] == '\0')
		field = FIELD_ELEMENT;

	name = ls_rule_json_text(json, path, "operator");
	if (strcmp(field, FIELD_SEGMENT) == 0)
		return read_segment(json, path, name);
	if (read_period(name, &operator_path, &period, &values))
		oper = &period;
	else
	{
		oper = ls_rule_json_operator(name);
		if (oper == NULL)
			ls_rule_json_fail(&operator_path,
							  psprintf("unknown operator \"%s\"", ls_rule_shown(name, strlen(name))),
							  "The operators are those of react-querybuilder, and empty, containsAny, containsAll, like, ilike, ~, ~*, true, false, holds and \"in last month\" and the like.");
		values = read_values(json, path, oper);
	}
	if (where != NULL)
		read_rows(where, &where_path, scope, &rows);
	return ls_rule_json_test(field, &field_path, oper, values,
							 where != NULL ? &rows : NULL, path);
}

/* Read a rule about a segment. */
static RuleItem *
read_segment(const RuleJson *json, const RuleJsonPath *path, const char *name)
{
	RuleItem   *segment = ls_rule_json_item(RULE_SEGMENT, 0,
											ls_rule_json_text(json, path, "value"), NIL);
	RuleJsonPath here = {path, "operator", 0};

	if (strcmp(name, "=") == 0)
		return segment;
	if (strcmp(name, "!=") == 0)
		return ls_rule_json_not(segment);
	ls_rule_json_fail(&here, "the operator of a segment must be \"=\" or \"!=\"", NULL);
}

/*
 * Read a condition on activities.  The operator is passed over: the library
 * does not show it beside a match mode, nor does it export it.
 */
static RuleItem *
read_match(const RuleJson *json, const RuleJsonPath *path, const char *field,
		   const RuleJson *match, Scope scope)
{
	static const struct
	{
		const char *mode;
		RuleOp		op;
	}			counts[] = {
		{"atLeast", RULE_OP_GE}, {"atMost", RULE_OP_LE}, {"exactly", RULE_OP_EQ}
	};
	RuleJsonPath field_path = {path, "field", 0};
	RuleJsonPath value_path = {path, "value", 0};
	RuleJsonPath match_path = {path, "match", 0};
	RuleJsonPath mode_path = {&match_path, "mode", 0};
	const RuleJson *value = ls_rule_json_get(json, "value");
	RuleJsonRows rows = {0};
	const char *mode;
	List	   *kinds;
	RuleItem   *item;
	int			i;

	if (match->kind != RULE_JSON_OBJECT)
		ls_rule_json_fail(&match_path, "\"match\" must be an object", NULL);
	ls_rule_json_check_keys(match, &match_path, "\"match\"", match_keys);
	if (ls_rule_json_get(json, "where") != NULL)
		ls_rule_json_fail(path, "\"where\" beside a match mode",
						  "The conditions on the activity are the value.");
	mode = ls_rule_json_text(match, &match_path, "mode");
	if (field[0] == '\0')
		ls_rule_json_fail(&field_path, "no field is chosen", "Choose one, or take the rule away.");
	kinds = ls_rule_json_parts(field, RULE_PART_KINDS, &field_path);

	/* "" is what the library starts with */
	if (value != NULL && !(value->kind == RULE_JSON_STRING && value->text[0] == '\0'))
		read_rows(value, &value_path, scope, &rows);

	if (pg_strcasecmp(mode, "all") == 0)
	{
		if (rows.where == NULL)
			ls_rule_json_fail(&value_path, "the group has no rules",
							  "Say what must be true of all, or choose another match mode.");
		rows.where = ls_rule_json_not(rows.where);
	}
	if (pg_strcasecmp(mode, "some") == 0 || pg_strcasecmp(mode, "none") == 0 ||
		pg_strcasecmp(mode, "all") == 0)
	{
		item = ls_rule_json_aggregate(RULE_AGG_EXISTS, kinds, &rows);
		item = ls_rule_json_item(RULE_ALONE, 0, NULL, list_make1(item));
		return pg_strcasecmp(mode, "some") == 0 ? item : ls_rule_json_not(item);
	}
	for (i = 0; i < lengthof(counts); i++)
	{
		if (pg_strcasecmp(mode, counts[i].mode) == 0)
		{
			bool		is_share;
			RuleItem   *threshold = read_threshold(match, &match_path, &is_share);

			if (is_share)
			{
				RuleJsonRows all = {NULL, rows.within, rows.older};

				/* a list of its own: the other one is changed */
				item = ls_rule_json_aggregate(RULE_AGG_COUNT, list_concat(NIL, kinds), &all);
				threshold = ls_rule_json_item(RULE_TIMES, 0, NULL, list_make2(threshold, item));
			}
			item = ls_rule_json_aggregate(RULE_AGG_COUNT, kinds, &rows);
			return ls_rule_json_item(RULE_TEST, counts[i].op, NULL, list_make2(item, threshold));
		}
	}
	ls_rule_json_fail(&mode_path, psprintf("unknown match mode \"%s\"", ls_rule_shown(mode, strlen(mode))),
					  "The match modes are all, some, none, atLeast, atMost and exactly.");
}

/* Read a threshold; one between 0 and 1 is a share of all rows. */
static RuleItem *
read_threshold(const RuleJson *match, const RuleJsonPath *path, bool *is_share)
{
	const RuleJson *threshold = ls_rule_json_get(match, "threshold");
	RuleJsonPath here = {path, "threshold", 0};
	RuleItem   *number;

	if (threshold == NULL ||
		!(threshold->kind == RULE_JSON_NUMBER ||
		  (threshold->kind == RULE_JSON_STRING && ls_rule_json_is_number(threshold->text))))
		ls_rule_json_fail(&here, "the threshold must be a number", NULL);
	number = ls_rule_json_number(threshold->text, &here);
	if (number->text[0] == '-')
		ls_rule_json_fail(&here, "the threshold must not be negative", NULL);
	*is_share = strncmp(number->text, "0.", 2) == 0;
	return number;
}

/* Read what narrows the rows of an aggregate. */
static void
read_rows(const RuleJson *json, const RuleJsonPath *path, Scope scope,
		  RuleJsonRows *rows)
{
	if (json->kind != RULE_JSON_OBJECT || ls_rule_json_get(json, "rules") == NULL)
		ls_rule_json_fail(path, "the conditions on an activity must be a group",
						  "A group has the keys combinator and rules.");
	if (ls_rule_json_truth(json, path, "muted"))
		return;
	scope.of_row = true;
	rows->where = read_group(json, path, scope, rows);
}

/* Read an operator with a period in its name, such as "not in last month". */
static bool
read_period(const char *name, const RuleJsonPath *path, RuleJsonOperator *oper,
			List **values)
{
	bool		negated = pg_strncasecmp(name, "not in ", 7) == 0;

	if (!negated && pg_strncasecmp(name, "in ", 3) != 0)
		return false;
	memset(oper, 0, sizeof(*oper));
	oper->op = RULE_OP_IN_PERIOD;
	oper->flags = negated ? RULE_FLAG_NEGATED : 0;
	oper->positive = negated ? RULE_OP_IN_PERIOD : 0;
	*values = ls_rule_json_parts(name + (negated ? 7 : 3), RULE_PART_PERIOD, path);
	return true;
}

/* Read what a rule compares with. */
static List *
read_values(const RuleJson *json, const RuleJsonPath *path,
			const RuleJsonOperator *oper)
{
	const RuleJson *value = ls_rule_json_get(json, "value");
	RuleJsonPath value_path = {path, "value", 0};
	RuleJsonPath source_path = {path, "valueSource", 0};
	const char *source = "value";

	if (oper->shape == SHAPE_NONE)
		return NIL;				/* what another operator left there does not matter */
	if (ls_rule_json_get(json, "valueSource") != NULL)
		source = ls_rule_json_text(json, path, "valueSource");
	if (strcmp(source, "value") == 0)
		return ls_rule_json_literals(value, &value_path, oper->shape,
									 ls_rule_json_is_order(oper->op));
	if (strcmp(source, "field") == 0)
		return read_operands(value, &value_path, oper->shape);
	if (strcmp(source, "expression") == 0 || strcmp(source, "parameter") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("value source \"%s\" is not supported", source),
				 errdetail("At %s.", ls_rule_json_where(&source_path)),
				 errhint("The value sources are \"value\" and \"field\".")));
	ls_rule_json_fail(&source_path, "unknown value source",
					  "The value sources are \"value\" and \"field\".");
}

/* Read values that are operands. */
static List *
read_operands(const RuleJson *value, const RuleJsonPath *path, RuleJsonShape shape)
{
	List	   *result = NIL;

	if (value != NULL && value->kind == RULE_JSON_STRING && value->text[0] != '\0')
		result = ls_rule_json_parts(value->text,
									shape == SHAPE_ONE ? RULE_PART_OPERAND : RULE_PART_OPERANDS,
									path);
	else if (value != NULL && value->kind == RULE_JSON_ARRAY && shape != SHAPE_ONE)
	{
		ListCell   *lc;
		int			i = 0;

		foreach(lc, value->values)
		{
			const RuleJson *member = lfirst(lc);
			RuleJsonPath here = {path, NULL, i++};

			if (member->kind != RULE_JSON_STRING)
				ls_rule_json_fail(&here, "a field must be a text", NULL);
			result = list_concat(result,
								 ls_rule_json_parts(member->text, RULE_PART_OPERAND, &here));
		}
	}
	if (result == NIL)
		ls_rule_json_fail(path, "a field to compare with is wanted",
						  "It is a text, such as \"company\" or \"now - 7 days\".");
	if (shape == SHAPE_TWO && list_length(result) != 2)
		ls_rule_json_fail(path, "two values are wanted", NULL);
	return result;
}
