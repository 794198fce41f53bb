/*-------------------------------------------------------------------------
 *
 * rule_json.c
 *	  The SQL face of rules as JSON: jsonb in, jsonb out.
 *
 * jsonb is turned into the plain tree that the readers take.  It is bounded
 * before anything is made of it; what the readers make is palloc'd in the
 * current memory context and left there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "rule_json.h"

PG_FUNCTION_INFO_V1(leadstream_rule_from_jsonb);
PG_FUNCTION_INFO_V1(leadstream_rule_from_jquery);
PG_FUNCTION_INFO_V1(leadstream_rule_to_jsonb);

static RuleJson *read_jsonb(Jsonb *jsonb);
static RuleJson *read_container(JsonbContainer *container, int *count);
static RuleJson *read_scalar(const JsonbValue *value);

/*
 * No number that a rule may hold is written with so many characters; one of a
 * few bytes in jsonb may be of a hundred thousand.
 */
#define MAX_NUMBER_LENGTH	(10 * RULE_MAX_NUMBER_DIGITS)

/* Read a rule from the JSON of react-querybuilder. */
Datum
leadstream_rule_from_jsonb(PG_FUNCTION_ARGS)
{
	PG_RETURN_RULE_P(ls_rule_from_json(read_jsonb(PG_GETARG_JSONB_P(0))));
}

/* Read a rule from the JSON of jQuery QueryBuilder. */
Datum
leadstream_rule_from_jquery(PG_FUNCTION_ARGS)
{
	PG_RETURN_RULE_P(ls_rule_from_jquery(read_jsonb(PG_GETARG_JSONB_P(0))));
}

/* Write a rule as the JSON of react-querybuilder. */
Datum
leadstream_rule_to_jsonb(PG_FUNCTION_ARGS)
{
	char	   *text = ls_rule_to_json(PG_GETARG_RULE_P(0));

	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/* Turn jsonb into a tree. */
static RuleJson *
read_jsonb(Jsonb *jsonb)
{
	int			count = 0;

	return read_container(&jsonb->root, &count);
}

/*
 * Turn an object or array into a tree; a scalar is in an array of its own.  Its
 * values are counted before any is read.
 */
static RuleJson *
read_container(JsonbContainer *container, int *count)
{
	RuleJson   *result = palloc0(sizeof(RuleJson));
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	value;

	check_stack_depth();
	*count += JsonContainerSize(container);
	if (*count > RULE_JSON_MAX_VALUES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("JSON form of a rule has too many values"),
				 errdetail("The limit is %d.", RULE_JSON_MAX_VALUES)));
	token = JsonbIteratorNext(&iterator, &value, true);
	result->kind = token == WJB_BEGIN_OBJECT ? RULE_JSON_OBJECT : RULE_JSON_ARRAY;
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
			result->keys = lappend(result->keys,
								   pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE || token == WJB_ELEM)
			result->values = lappend(result->values,
									 value.type == jbvBinary
									 ? read_container(value.val.binary.data, count)
									 : read_scalar(&value));
	}
	if (JsonContainerIsScalar(container))
		return linitial(result->values);
	return result;
}

/* Turn a scalar into a tree. */
static RuleJson *
read_scalar(const JsonbValue *value)
{
	RuleJson   *result = palloc0(sizeof(RuleJson));

	switch (value->type)
	{
		case jbvString:
			result->kind = RULE_JSON_STRING;
			result->text = pnstrdup(value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			result->kind = RULE_JSON_NUMBER;
			result->text = DatumGetCString(DirectFunctionCall1(numeric_out,
															   NumericGetDatum(value->val.numeric)));
			if (strlen(result->text) > MAX_NUMBER_LENGTH)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("number in rule has too many digits"),
						 errhint("A number may have up to %d digits, written without an exponent.",
								 RULE_MAX_NUMBER_DIGITS)));
			break;
		case jbvBool:
			result->kind = RULE_JSON_BOOLEAN;
			result->truth = value->val.boolean;
			break;
		default:
			result->kind = RULE_JSON_NULL;
			break;
	}
	return result;
}
