/*-------------------------------------------------------------------------
 *
 * rule_json_jquery.c
 *	  Rules in the form of jQuery QueryBuilder -> stored rule.
 *
 * That form is a group {condition, rules, not} of groups and of rules
 * {id, field, type, operator, value}.  It has no match modes; any(kind.field)
 * and an aggregate are fields here as they are in the other form.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rule_json_part.h"

static const char *const group_keys[] = {
	"condition", "rules", "not", NULL,
	"valid", "id", "data", "flags", "readonly", "empty", NULL
};
static const char *const rule_keys[] = {
	"id", "field", "type", "input", "operator", "value", NULL,
	"data", "flags", "readonly", "empty", NULL
};

static RuleItem *read_node(const RuleJson *json, const RuleJsonPath *path, int level);
static RuleItem *read_rules(const RuleJson *rules, const RuleJsonPath *path,
							RuleKind by, int level);
static RuleKind read_condition(const RuleJson *json, const RuleJsonPath *path);
static RuleItem *read_rule(const RuleJson *json, const RuleJsonPath *path);
static void take_type(RuleItem *value, const char *type, const RuleJsonPath *path);

/* Read a rule; an array of rules is a group of the library's default. */
Rule *
ls_rule_from_jquery(const RuleJson *json)
{
	RuleJsonPath root = {NULL, NULL, 0};

	if (json->kind == RULE_JSON_ARRAY)
		return ls_rule_json_finish(read_rules(json, &root, RULE_AND, 0));
	return ls_rule_json_finish(read_node(json, &root, 0));
}

/* Read a rule or group. */
static RuleItem *
read_node(const RuleJson *json, const RuleJsonPath *path, int level)
{
	const RuleJson *rules;
	const RuleJson *valid;
	RuleJsonPath rules_path = {path, "rules", 0};
	RuleItem   *item;

	if (json->kind != RULE_JSON_OBJECT)
		ls_rule_json_fail(path, "a rule or group must be an object", NULL);
	rules = ls_rule_json_get(json, "rules");
	if (rules == NULL)
		return read_rule(json, path);

	ls_rule_json_check_keys(json, path, "a group", group_keys);
	valid = ls_rule_json_get(json, "valid");
	if (valid != NULL && !ls_rule_json_truth(json, path, "valid"))
		ls_rule_json_fail(path, "the rule builder found it not valid", NULL);
	if (rules->kind != RULE_JSON_ARRAY)
		ls_rule_json_fail(&rules_path, "\"rules\" must be an array", NULL);
	item = read_rules(rules, &rules_path, read_condition(json, path), level);
	return ls_rule_json_truth(json, path, "not") ? ls_rule_json_not(item) : item;
}

/* Read the members of a group. */
static RuleItem *
read_rules(const RuleJson *rules, const RuleJsonPath *path, RuleKind by, int level)
{
	List	   *members = NIL;
	ListCell   *lc;
	int			i = 0;

	check_stack_depth();
	if (level > RULE_JSON_MAX_GROUPS)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("rule is nested too deeply"),
				 errdetail("At %s.", ls_rule_json_where(path)),
				 errhint("Groups may be %d levels deep.", RULE_JSON_MAX_GROUPS)));
	foreach(lc, rules->values)
	{
		RuleJsonPath here = {path, NULL, i++};

		members = lappend(members, read_node(lfirst(lc), &here, level + 1));
	}
	if (members == NIL)
		ls_rule_json_fail(path, "the group has no rules", "Add one, or take the group away.");
	return ls_rule_json_join(by, members);
}

/* Read what joins the members of a group. */
static RuleKind
read_condition(const RuleJson *json, const RuleJsonPath *path)
{
	RuleJsonPath here = {path, "condition", 0};
	const char *condition = ls_rule_json_text(json, path, "condition");

	if (pg_strcasecmp(condition, "and") == 0)
		return RULE_AND;
	if (pg_strcasecmp(condition, "or") == 0)
		return RULE_OR;
	ls_rule_json_fail(&here, "the condition must be \"AND\" or \"OR\"", NULL);
}

/* Read a rule. */
static RuleItem *
read_rule(const RuleJson *json, const RuleJsonPath *path)
{
	/* the library's own default for the field is the name of the filter */
	const char *field_key = ls_rule_json_get(json, "field") != NULL ? "field" : "id";
	RuleJsonPath field_path = {path, field_key, 0};
	RuleJsonPath operator_path = {path, "operator", 0};
	RuleJsonPath value_path = {path, "value", 0};
	const char *field;
	const char *name;
	const RuleJsonOperator *oper;
	List	   *values;
	ListCell   *lc;

	ls_rule_json_check_keys(json, path, "a rule", rule_keys);
	field = ls_rule_json_text(json, path, field_key);
	name = ls_rule_json_text(json, path, "operator");
	oper = ls_rule_json_jquery_operator(name);
	if (oper == NULL)
		ls_rule_json_fail(&operator_path,
						  psprintf("unknown operator \"%s\"", ls_rule_shown(name, strlen(name))),
						  "The operators are those of jQuery QueryBuilder.");
	values = ls_rule_json_literals(ls_rule_json_get(json, "value"), &value_path,
								   oper->shape, ls_rule_json_is_order(oper->op));
	if (ls_rule_json_get(json, "type") != NULL)
	{
		const char *type = ls_rule_json_text(json, path, "type");

		foreach(lc, values)
			take_type(lfirst(lc), type, &value_path);
	}
	return ls_rule_json_test(field, &field_path, oper, values, NULL, path);
}

/* Make of a text what the rule says its type is. */
static void
take_type(RuleItem *value, const char *type, const RuleJsonPath *path)
{
	if (value->kind != RULE_STRING)
		return;
	if ((strcmp(type, "integer") == 0 || strcmp(type, "double") == 0) &&
		ls_rule_json_is_number(value->text))
		*value = *ls_rule_json_number(value->text, path);
	else if (strcmp(type, "boolean") == 0 &&
			 (strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0))
	{
		bool		truth = strcmp(value->text, "true") == 0;

		*value = *ls_rule_json_item(RULE_BOOLEAN, truth, NULL, NIL);
	}
}
