/*-------------------------------------------------------------------------
 *
 * rule_json_value.c
 *	  Values in the JSON forms of rules, and errors that say where they are.
 *
 * Whatever is not a rule is refused with SQLSTATE 22023, the path of the place
 * and a hint: a key that was left out of account could change what a rule
 * means.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "number_text.h"
#include "rule_json_part.h"

static RuleItem *read_literal(const RuleJson *value, const RuleJsonPath *path,
							  bool is_order);
static List *split_list(const char *text, bool keep_blanks);
static char *trimmed(const char *text, int len);
static void put_path(StringInfo buf, const RuleJsonPath *path);
static char *list_names(const char *const *names);

/* The value of a key; JSON null is no value. */
const RuleJson *
ls_rule_json_get(const RuleJson *json, const char *key)
{
	ListCell   *name;
	ListCell   *value;

	forboth(name, json->keys, value, json->values)
	{
		const RuleJson *found = lfirst(value);

		if (strcmp(lfirst(name), key) == 0)
			return found->kind == RULE_JSON_NULL ? NULL : found;
	}
	return NULL;
}

/*
 * Refuse keys of an object that are not in keys: two lists with NULL behind
 * each, those that a hint tells and those that the library has for itself.
 */
void
ls_rule_json_check_keys(const RuleJson *json, const RuleJsonPath *path,
						const char *what, const char *const *keys)
{
	ListCell   *name;

	foreach(name, json->keys)
	{
		const char *key = lfirst(name);
		const char *const *p = keys;
		bool		known = false;
		int			i;

		for (i = 0; i < 2; i++)
		{
			for (; *p != NULL; p++)
				known = known || strcmp(*p, key) == 0;
			p++;
		}
		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown key \"%s\" in the JSON form of a rule",
							ls_rule_shown(key, strlen(key))),
					 errdetail("At %s.", ls_rule_json_where(path)),
					 errhint("The keys of %s are %s.", what, list_names(keys))));
	}
}

/* The text under a key, which must be there. */
const char *
ls_rule_json_text(const RuleJson *json, const RuleJsonPath *path, const char *key)
{
	const RuleJson *value = ls_rule_json_get(json, key);

	if (value == NULL || value->kind != RULE_JSON_STRING)
	{
		RuleJsonPath here = {path, key, 0};

		ls_rule_json_fail(&here, psprintf("\"%s\" must be a text", key), NULL);
	}
	return value->text;
}

/* The boolean under a key, false if it is not there. */
bool
ls_rule_json_truth(const RuleJson *json, const RuleJsonPath *path, const char *key)
{
	const RuleJson *value = ls_rule_json_get(json, key);

	if (value == NULL)
		return false;
	if (value->kind != RULE_JSON_BOOLEAN)
	{
		RuleJsonPath here = {path, key, 0};

		ls_rule_json_fail(&here, psprintf("\"%s\" must be true or false", key), NULL);
	}
	return value->truth;
}

/* Raise the error for what is not a rule. */
void
ls_rule_json_fail(const RuleJsonPath *path, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid JSON form of a rule: %s", what),
			 errdetail("At %s.", ls_rule_json_where(path)),
			 hint ? errhint("%s", hint) : 0));
}

/* A path as text, cut if it is long. */
char *
ls_rule_json_where(const RuleJsonPath *path)
{
	StringInfoData buf;

	initStringInfo(&buf);
	put_path(&buf, path);
	return buf.data;
}

/* Append a path; of a long one the middle is left out. */
static void
put_path(StringInfo buf, const RuleJsonPath *path)
{
	const RuleJsonPath *steps[24];
	int			depth = 0;
	int			shown = 0;
	int			i;
	const RuleJsonPath *p;

	for (p = path; p->parent != NULL; p = p->parent)
	{
		if (shown < lengthof(steps))
			steps[shown++] = p;
		depth++;
	}
	appendStringInfoChar(buf, '$');
	if (depth > shown)
		appendStringInfoString(buf, "...");
	for (i = shown - 1; i >= 0; i--)
	{
		if (steps[i]->key == NULL)
			appendStringInfo(buf, "[%d]", steps[i]->index);
		else
			appendStringInfo(buf, ".%s",
							 ls_rule_shown(steps[i]->key, strlen(steps[i]->key)));
	}
}

/* The names of a list, for a hint. */
static char *
list_names(const char *const *names)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (; *names != NULL; names++)
		appendStringInfo(&buf, "%s%s",
						 buf.len == 0 ? "" : names[1] == NULL ? " and " : ", ",
						 *names);
	return buf.data;
}

/*
 * Read what a test compares with, as many values as it takes.  Lists may be
 * one text with commas in it.
 */
List *
ls_rule_json_literals(const RuleJson *value, const RuleJsonPath *path,
					  RuleJsonShape shape, bool is_order)
{
	List	   *result = NIL;
	List	   *values;
	ListCell   *lc;
	int			i = 0;

	if (shape == SHAPE_NONE)
		return NIL;				/* what an operator before this one left there */
	if (value == NULL)
		ls_rule_json_fail(path, "the value is missing", NULL);
	if (shape == SHAPE_ONE)
		return list_make1(read_literal(value, path, is_order));

	if (value->kind == RULE_JSON_ARRAY)
		values = value->values;
	else if (value->kind == RULE_JSON_STRING)
		values = split_list(value->text, shape == SHAPE_TWO);
	else
		values = list_make1(unconstify(RuleJson *, value));
	if (shape == SHAPE_TWO && list_length(values) != 2)
		ls_rule_json_fail(path, "two values are wanted",
						  "Give them as [10, 30] or as \"10,30\".");
	if (values == NIL)
		ls_rule_json_fail(path, "the list of values is empty",
						  "Give them as [\"SE\", \"NO\"] or as \"SE,NO\".");
	foreach(lc, values)
	{
		RuleJsonPath here = {path, NULL, i++};

		if (value->kind == RULE_JSON_STRING && ((RuleJson *) lfirst(lc))->text[0] == '\0')
			ls_rule_json_fail(path, "two values are wanted", NULL);
		result = lappend(result,
						 read_literal(lfirst(lc),
									  value->kind == RULE_JSON_ARRAY ? &here : path,
									  is_order));
	}
	return result;
}

/* Read one value. */
static RuleItem *
read_literal(const RuleJson *value, const RuleJsonPath *path, bool is_order)
{
	switch (value->kind)
	{
		case RULE_JSON_STRING:
			if (is_order && ls_rule_json_is_number(value->text))
				return ls_rule_json_number(value->text, path);
			if (is_order && ls_rule_json_is_clock(value->text))
				return linitial(ls_rule_json_parts(value->text, RULE_PART_OPERAND, path));
			return ls_rule_json_item(RULE_STRING, 0, value->text, NIL);
		case RULE_JSON_NUMBER:
			return ls_rule_json_number(value->text, path);
		case RULE_JSON_BOOLEAN:
			return ls_rule_json_item(RULE_BOOLEAN, value->truth, NULL, NIL);
		default:
			ls_rule_json_fail(path, "the value must be a text, a number, true or false",
							  "To compare with a field or with the clock, say \"valueSource\": \"field\".");
	}
}

/* Make a number of its text. */
RuleItem *
ls_rule_json_number(const char *text, const RuleJsonPath *path)
{
	bool		negative = text[0] == '-';
	char	   *digits;

	if (text[0] == '+' || text[0] == '-')
		text++;
	digits = ls_number_canonical(text, strlen(text));
	if (digits == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("number in rule has too many digits"),
				 errdetail("At %s.", ls_rule_json_where(path)),
				 errhint("A number may have up to %d digits, written without an exponent.",
						 RULE_MAX_NUMBER_DIGITS)));
	if (negative && strcmp(digits, "0") != 0)
		digits = psprintf("-%s", digits);
	return ls_rule_json_item(RULE_NUMBER, 0, digits, NIL);
}

/*
 * Split a text at its commas, as the library does: a backslash keeps a comma
 * in a value, and blanks around a value are none of it.
 */
static List *
split_list(const char *text, bool keep_blanks)
{
	List	   *result = NIL;
	StringInfoData buf;
	const char *p;

	initStringInfo(&buf);
	for (p = text;; p++)
	{
		if (p[0] == '\\' && p[1] == ',')
			appendStringInfoChar(&buf, *++p);
		else if (*p != ',' && *p != '\0')
			appendStringInfoChar(&buf, *p);
		else
		{
			RuleJson   *value = palloc0(sizeof(RuleJson));

			value->kind = RULE_JSON_STRING;
			value->text = trimmed(buf.data, buf.len);
			if (keep_blanks || value->text[0] != '\0')
				result = lappend(result, value);
			if (*p == '\0')
				return result;
			resetStringInfo(&buf);
		}
	}
}

/* A copy without the white space around it. */
static char *
trimmed(const char *text, int len)
{
	while (len > 0 && strchr(" \t\n\r\f\v", text[len - 1]) != NULL)
		len--;
	while (len > 0 && strchr(" \t\n\r\f\v", *text) != NULL)
	{
		text++;
		len--;
	}
	return pnstrdup(text, len);
}
