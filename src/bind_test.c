/*-------------------------------------------------------------------------
 *
 * bind_test.c
 *	  Tests of a rule as SQL: strings, membership, emptiness, periods.
 *
 * The tests that are no comparison of two operands.  They follow the rules of
 * bind_compare.c: null stands for false, what has to do with the clock is a
 * timeline, and nothing may raise an error on a row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "bind_operand.h"

/* ----------
 * Strings.
 * ----------
 */

/*
 * The string operators see text under the operand's collation.  Those that
 * search cannot do it under a nondeterministic one: PostgreSQL would raise an
 * error for every row.
 */
static char *
searchable_text(Operand *operand, Oid collation)
{
	char	   *sql = ls_bind_as_text(operand, collation);

	if (sql == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 OidIsValid(operand->type) ?
				 errmsg("%s of type %s is no text", ls_bind_what(operand),
						format_type_be(operand->type)) :
				 errmsg("%s is no text", ls_bind_what(operand)),
				 errhint("like, ~, starts with and ends with look into texts.")));
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s has a nondeterministic collation, which cannot be searched",
						ls_bind_what(operand)),
				 errhint("Compare it with = or in.")));
	return sql;
}

/*
 * Bytes of a pattern.  like compares each of them at each place of a text, which
 * nothing can cancel, and goes one call deeper for every %; a regular expression
 * takes its time to compile, in every session.
 */
#define MAX_PATTERN_LENGTH	1000

/* Refuse a pattern that would raise an error, or halt, when it meets a row. */
static void
check_pattern(RuleOp op, const Operand *pattern, Oid collation)
{
	const char *p;

	if (pattern->class != CLASS_STRING)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a pattern must be a string literal"),
				 errdetail("%s is not known before the row comes, so it cannot be checked now.",
						   ls_bind_what(pattern)),
				 errhint("contains, starts with and ends with take fields too.")));
	if (strlen(pattern->sql) > MAX_PATTERN_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("pattern is too long"),
				 errdetail("It has %zu bytes; the limit is %d.",
						   strlen(pattern->sql), MAX_PATTERN_LENGTH),
				 errhint("contains, starts with and ends with take longer texts.")));
	if (op == RULE_OP_LIKE || op == RULE_OP_ILIKE)
	{
		for (p = pattern->sql; *p; p++)
			if (*p == '\\' && *++p == '\0')
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_ESCAPE_SEQUENCE),
						 errmsg("like pattern '%s' ends with its escape character", pattern->sql),
						 errhint("Write \\\\ for a backslash.")));
	}
	else
		(void) RE_compile_and_cache(cstring_to_text(pattern->sql),
									REG_ADVANCED | (op == RULE_OP_MATCH ? 0 : REG_ICASE),
									OidIsValid(collation) ? collation : DEFAULT_COLLATION_OID);
}

/* A type's own pattern operator, as citext has it, or NULL. */
static char *
own_pattern_operator(Oid type, const char *name)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			nspoid;
	Oid			oproid;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	nspoid = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	if (nspoid == PG_CATALOG_NAMESPACE)
		return NULL;
	oproid = GetSysCacheOid4(OPERNAMENSP, Anum_pg_operator_oid,
							 CStringGetDatum(name), ObjectIdGetDatum(type),
							 ObjectIdGetDatum(type), ObjectIdGetDatum(nspoid));
	if (!OidIsValid(oproid))
		return NULL;
	return psprintf("OPERATOR(%s.%s)",
					quote_identifier(get_namespace_name(nspoid)), name);
}

/* like, ilike, ~, ~*, starts with, ends with */
BoundExpr *
ls_bind_string_test(BindContext *cxt, RuleOp op, Operand *left, Operand *right)
{
	const char *name = op == RULE_OP_LIKE ? "~~" : op == RULE_OP_ILIKE ? "~~*" :
		op == RULE_OP_MATCH ? "~" : op == RULE_OP_IMATCH ? "~*" : NULL;
	Oid			collation = left->collation;
	char	   *left_sql = searchable_text(left, collation);
	char	   *right_sql;

	if (name)
	{
		char	   *own = left->class == CLASS_TEXT ?
			own_pattern_operator(left->type, name) : NULL;

		check_pattern(op, right, collation);
		if (own)
			return ls_expr_make(false, left, right,
							 psprintf("(%s %s %s)", left->sql, own,
									  ls_bind_constant(cxt, right, left->type, left)));
		return ls_expr_make(false, left, right,
						 psprintf("(%s OPERATOR(pg_catalog.%s) %s::pg_catalog.text)",
								  left_sql, name, quote_literal_cstr(right->sql)));
	}

	right_sql = searchable_text(right, collation);
	if (op == RULE_OP_STARTS_WITH)
		return ls_expr_make(false, left, right,
						 psprintf("pg_catalog.starts_with(pg_catalog.lower(%s), pg_catalog.lower(%s))",
								  left_sql, right_sql));
	Assert(op == RULE_OP_ENDS_WITH);
	return ls_expr_make(false, left, right,
					 psprintf("(pg_catalog.right(pg_catalog.lower(%s), pg_catalog.length(pg_catalog.lower(%s))) OPERATOR(pg_catalog.=) pg_catalog.lower(%s))",
							  left_sql, right_sql, right_sql));
}

/* ----------
 * contains: the element of an array, the member of a jsonb array, the
 * substring of a text.
 * ----------
 */
BoundExpr *
ls_bind_contains(BindContext *cxt, Operand *left, Operand *right)
{
	if (left->class == CLASS_ARRAY)
	{
		Operand		element = *left;
		Oid			type = get_element_type(left->type);
		BoundExpr  *expr;
		char	   *operator;
		const char *value = right->sql;
		bool		foreign = false;

		ls_bind_classify(&element, type, left->collation);
		operator = ls_bind_own_operator(type, RULE_OP_EQ, left, &foreign);
		if (right->class == CLASS_STRING)
			value = ls_bind_constant(cxt, right, element.type, left);
		else if (right->class == CLASS_LITERAL_NUMBER && element.class == CLASS_NUMBER)
		{
			/* by value: 2.5 is in no array of integers, 2 may be */
			return ls_expr_make(false, left, right,
							 psprintf("(%s OPERATOR(pg_catalog.=) any (%s%s))",
									  ls_bind_is_float(&element) ?
									  ls_bind_float_constant(right, &element) :
									  ls_bind_as_number(right),
									  left->sql,
									  ls_bind_is_float(&element) ? "" : "::pg_catalog.numeric[]"));
		}
		else if (right->class == CLASS_LITERAL_BOOLEAN && element.class == CLASS_BOOLEAN)
			value = right->sql;
		else if (right->type != element.type)
			ls_bind_refuse(left, right);
		expr = ls_expr_make(false, left, right,
						 psprintf("(%s %s any (%s))", value, operator, left->sql));
		expr->foreign |= foreign;
		return expr;
	}
	if (left->class == CLASS_JSONB)
	{
		char	   *value = NULL;

		if (right->class == CLASS_STRING || right->class == CLASS_TEXT)
			value = ls_bind_as_text(right, InvalidOid);
		else if (right->class == CLASS_NUMBER || right->class == CLASS_LITERAL_NUMBER)
			value = psprintf("%s::pg_catalog.numeric", ls_bind_as_number(right));
		else if (right->class == CLASS_BOOLEAN || right->class == CLASS_LITERAL_BOOLEAN)
			value = right->sql;
		else
			ls_bind_refuse(left, right);
		return ls_expr_make(false, left, right,
						 psprintf("leadstream.json_has(%s, %s)", left->sql, value));
	}
	if (left->class == CLASS_TEXT)
	{
		char	   *left_sql = searchable_text(left, left->collation);
		char	   *right_sql = searchable_text(right, left->collation);

		return ls_expr_make(false, left, right,
						 psprintf("(pg_catalog.strpos(pg_catalog.lower(%s), pg_catalog.lower(%s)) OPERATOR(pg_catalog.>) 0)",
								  left_sql, right_sql));
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 OidIsValid(left->type) ?
			 errmsg("%s of type %s contains nothing", ls_bind_what(left),
					format_type_be(left->type)) :
			 errmsg("%s contains nothing", ls_bind_what(left)),
			 errhint("contains asks for an element of an array, a member of a jsonb array, or a part of a text.")));
}

/* ----------
 * is null, is empty, is true, is false, and an operand alone.
 * ----------
 */
BoundExpr *
ls_bind_is(BindContext *cxt, RuleOp op, Operand *operand)
{
	const char *sql;

	if (operand->class == CLASS_CLOCK || ls_bind_is_literal(operand))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s is always known", ls_bind_what(operand)),
				 errhint("Test a field or an aggregate.")));
	if (op == RULE_OP_IS_TRUE || op == RULE_OP_IS_FALSE)
	{
		sql = ls_bind_as_boolean(operand);
		if (sql == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("%s of type %s is neither true nor false",
							ls_bind_what(operand), format_type_be(operand->type))));
		return ls_expr_make(false, operand, NULL,
						 psprintf("(%s is %s)", sql,
								  op == RULE_OP_IS_TRUE ? "true" : "false"));
	}
	if (op == RULE_OP_IS_EMPTY)
	{
		if (operand->class == CLASS_TEXT)
			return ls_expr_make(false, operand, NULL,
							 psprintf("leadstream.is_blank(%s::pg_catalog.text)", operand->sql));
		if (operand->class == CLASS_JSONB || operand->class == CLASS_ARRAY)
			return ls_expr_make(false, operand, NULL,
							 psprintf("leadstream.is_blank(%s)", operand->sql));
	}
	/* JSON null is missing */
	if (operand->class == CLASS_JSONB)
		return ls_expr_make(false, operand, NULL,
						 psprintf("(leadstream.as_text(%s) is null)", operand->sql));
	return ls_expr_make(false, operand, NULL, psprintf("(%s is null)", operand->sql));
}

BoundExpr *
ls_bind_alone(BindContext *cxt, Operand *operand)
{
	const char *sql = operand->class == CLASS_TEXT ? NULL : ls_bind_as_boolean(operand);

	if (sql == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 OidIsValid(operand->type) ?
				 errmsg("%s of type %s is no condition", ls_bind_what(operand),
						format_type_be(operand->type)) :
				 errmsg("%s is no condition", ls_bind_what(operand)),
				 errhint("Compare it with something, as in %s = ...", ls_bind_what(operand))));
	return ls_expr_make(false, operand, NULL, psprintf("%s", sql));
}

/* ----------
 * in (...), in period
 * ----------
 */
BoundExpr *
ls_bind_in_list(BindContext *cxt, Operand *left, List *values)
{
	List	   *exprs = NIL;
	ListCell   *lc;
	bool		one_array = list_length(values) > 1 &&
		(left->class == CLASS_TEXT || left->class == CLASS_OTHER);

	foreach(lc, values)
		one_array &= ((Operand *) lfirst(lc))->class == CLASS_STRING;
	if (one_array)
	{
		/* one search in an array of constants, hashed where it is long */
		StringInfoData buf;
		bool		foreign = false;
		char	   *operator = ls_bind_own_operator(left->type, RULE_OP_EQ, left, &foreign);
		BoundExpr  *expr;

		initStringInfo(&buf);
		foreach(lc, values)
			appendStringInfo(&buf, "%s%s", lc == list_head(values) ? "" : ", ",
							 ls_bind_constant(cxt, lfirst(lc), left->type, left));
		expr = ls_expr_make(false, left, NULL,
						 psprintf("(%s %s any (array[%s]))", left->sql, operator, buf.data));
		expr->foreign |= foreign;
		return expr;
	}
	foreach(lc, values)
		exprs = lappend(exprs, ls_bind_compare(cxt, RULE_OP_EQ, left, lfirst(lc)));
	return ls_expr_any(exprs);
}

BoundExpr *
ls_bind_in_period(BindContext *cxt, Operand *operand, const RuleNode *period)
{
	char	   *sql = ls_bind_as_instant(cxt, operand);
	const char *unit = "day";
	int			steps = 0;

	if (cxt->only_filter)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an \"only\" filter cannot read the clock"),
				 errhint("Filter by columns of the activity alone.")));
	if (sql == NULL || operand->class == CLASS_STRING)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 OidIsValid(operand->type) ?
				 errmsg("%s of type %s is no date or time", ls_bind_what(operand),
						format_type_be(operand->type)) :
				 errmsg("%s is no date or time", ls_bind_what(operand)),
				 errhint("A period holds dates, time stamps, or text and jsonb values that read as ISO 8601.")));
	cxt->bound->uses_clock = true;
	switch ((RulePeriod) period->op)
	{
		case RULE_PERIOD_TODAY:
			sql = ls_bind_shift_against(cxt, sql, period);
			break;
		case RULE_PERIOD_YESTERDAY:
			steps = -1;
			break;
		case RULE_PERIOD_TOMORROW:
			steps = 1;
			break;
		case RULE_PERIOD_THIS:
			unit = ls_rule_text(period);
			break;
		case RULE_PERIOD_LAST:
			unit = ls_rule_text(period);
			steps = -1;
			break;
		case RULE_PERIOD_NEXT:
			unit = ls_rule_text(period);
			steps = 1;
			break;
	}
	return ls_expr_make(true, operand, NULL,
					 psprintf("leadstream.period_timeline(%s, '%s', %d, %s)",
							  sql, unit, steps, cxt->zone));
}
