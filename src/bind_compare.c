/*-------------------------------------------------------------------------
 *
 * bind_compare.c
 *	  Tests of a rule as SQL: what a comparison between two operands means.
 *
 * The operators are the column type's own, by its default btree operator
 * class, under the column's collation.  A test is a boolean expression in
 * which null stands for false; "not" is IS NOT TRUE, which makes the logic
 * two-valued whatever PostgreSQL's own expression yields.  A comparison with
 * the clock is not a boolean but a timeline: the set of instants at which it
 * is true, computed from the value alone.  So it has one meaning whether it
 * is asked at one instant or over all of them.
 *
 * Nothing here may raise an error on a row: values that have to be read (text
 * or jsonb against a number) go through functions that give null instead, and
 * what could fail on a constant is tried now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "bind_operand.h"
#include "instant.h"
#include "interval_text.h"

BoundExpr *
ls_expr_make(bool is_timeline, const Operand *left, const Operand *right, char *sql)
{
	BoundExpr  *expr = palloc0(sizeof(BoundExpr));

	expr->sql = sql;
	expr->is_timeline = is_timeline;
	expr->uses_contact = left->uses_contact || (right && right->uses_contact);
	expr->uses_activity = left->uses_activity || (right && right->uses_activity);
	expr->foreign = left->foreign || (right && right->foreign);
	return expr;
}

/* ----------
 * Boolean algebra.  Where one part is a timeline the others become ones.
 * ----------
 */
char *
ls_expr_timeline(const BoundExpr *expr)
{
	return expr->is_timeline ? expr->sql :
		psprintf("leadstream.always(%s)", expr->sql);
}

static BoundExpr *
combine(List *exprs, const char *bool_op, const char *timeline_op)
{
	BoundExpr  *result = palloc0(sizeof(BoundExpr));
	StringInfoData buf;
	ListCell   *lc;

	if (list_length(exprs) == 1)
		return linitial(exprs);
	foreach(lc, exprs)
		result->is_timeline |= ((BoundExpr *) lfirst(lc))->is_timeline;
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '(');
	foreach(lc, exprs)
	{
		BoundExpr  *expr = lfirst(lc);

		if (lc != list_head(exprs))
			appendStringInfo(&buf, " %s ",
							 result->is_timeline ? timeline_op : bool_op);
		appendStringInfoString(&buf, result->is_timeline ?
							   ls_expr_timeline(expr) : expr->sql);
		result->uses_contact |= expr->uses_contact;
		result->uses_activity |= expr->uses_activity;
		result->foreign |= expr->foreign;
	}
	appendStringInfoChar(&buf, ')');
	result->sql = buf.data;
	return result;
}

BoundExpr *
ls_expr_all(List *exprs)
{
	return combine(exprs, "and", "OPERATOR(pg_catalog.*)");
}

BoundExpr *
ls_expr_any(List *exprs)
{
	return combine(exprs, "or", "OPERATOR(pg_catalog.+)");
}

BoundExpr *
ls_expr_not(BoundExpr *expr)
{
	BoundExpr  *result = palloc(sizeof(BoundExpr));

	*result = *expr;
	result->sql = psprintf(expr->is_timeline ?
						   "('{(,)}'::pg_catalog.tstzmultirange OPERATOR(pg_catalog.-) %s)" :
						   "((%s) is not true)", expr->sql);
	return result;
}

/* ----------
 * Operands in the shape a comparison wants.
 * ----------
 */
bool
ls_bind_is_literal(const Operand *operand)
{
	return operand->class == CLASS_STRING ||
		operand->class == CLASS_LITERAL_NUMBER ||
		operand->class == CLASS_LITERAL_BOOLEAN;
}

bool
ls_bind_is_float(const Operand *operand)
{
	return operand->type == FLOAT8OID || operand->type == FLOAT4OID;
}

void
ls_bind_refuse(const Operand *left, const Operand *right)
{
	if (right->class == CLASS_CLOCK || left->class == CLASS_CLOCK)
	{
		const Operand *other = left->class == CLASS_CLOCK ? right : left;

		if (other->class == CLASS_CLOCK)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the clock cannot be compared with itself"),
					 errhint("Compare now or today with a field.")));
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s cannot be compared with the clock", ls_bind_what(other)),
				 OidIsValid(other->type) ?
				 errdetail("It is of type %s.", format_type_be(other->type)) : 0,
				 errhint("Only a date, a time stamp, or a text or jsonb value that reads as ISO 8601 can.")));
	}
	if (OidIsValid(left->type) && OidIsValid(right->type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of type %s cannot be compared with %s of type %s",
						ls_bind_what(left), format_type_be(left->type),
						ls_bind_what(right), format_type_be(right->type))));
	if (!OidIsValid(left->type))
	{
		const Operand *swap = left;

		left = right;
		right = swap;
	}
	if (OidIsValid(left->type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of type %s cannot be compared with %s",
						ls_bind_what(left), format_type_be(left->type), ls_bind_what(right)),
				 left->class == CLASS_BOOLEAN ?
				 errhint("Compare it with true or false.") :
				 left->class == CLASS_INSTANT ?
				 errhint("Compare it with a date or time in single quotes, with now or with today.") :
				 right->class == CLASS_LITERAL_NUMBER && left->class == CLASS_OTHER ?
				 errhint("Write the value in single quotes.") : 0));
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s cannot be compared with %s",
					ls_bind_what(left), ls_bind_what(right))));
}

/* The operand as a number, in numeric where it must be read; NULL: it is none. */
char *
ls_bind_as_number(Operand *operand)
{
	switch (operand->class)
	{
		case CLASS_NUMBER:
			return ls_bind_is_float(operand) ?
				psprintf("leadstream.as_number(%s::pg_catalog.float8)", operand->sql) :
				operand->sql;
		case CLASS_TEXT:
			return psprintf("leadstream.as_number(%s::pg_catalog.text)", operand->sql);
		case CLASS_JSONB:
			return psprintf("leadstream.as_number(%s)", operand->sql);
		case CLASS_LITERAL_NUMBER:
			if (strspn(operand->sql, "-0123456789") == strlen(operand->sql) &&
				strlen(operand->sql) <= 9)
				return psprintf("'%s'::pg_catalog.int4", operand->sql);
			return psprintf("'%s'::pg_catalog.numeric", operand->sql);
		default:
			return NULL;
	}
}

/* A number literal beside a float: by value, so as that float. */
char *
ls_bind_float_constant(const Operand *literal, const Operand *reader)
{
	double		value;
	char	   *end;

	errno = 0;
	value = strtod(literal->sql, &end);
	if (isinf(value) || (value == 0 && errno == ERANGE))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number %s is out of range for %s of type %s", literal->sql,
						ls_bind_what(reader), format_type_be(reader->type))));
	if (reader->type == FLOAT4OID && !isinf((float) value) &&
		((float) value != 0 || value == 0))
		return psprintf("'%s'::pg_catalog.float4", literal->sql);
	return psprintf("'%s'::pg_catalog.float8", literal->sql);
}

char *
ls_bind_as_boolean(const Operand *operand)
{
	switch (operand->class)
	{
		case CLASS_BOOLEAN:
		case CLASS_LITERAL_BOOLEAN:
			return operand->sql;
		case CLASS_TEXT:
			return psprintf("leadstream.as_boolean(%s::pg_catalog.text)", operand->sql);
		case CLASS_JSONB:
			return psprintf("leadstream.as_boolean(%s)", operand->sql);
		default:
			return NULL;
	}
}

/* An instant literal, read in the zone of the contacts. */
static char *
instant_constant(BindContext *cxt, const Operand *literal)
{
	TimestampTz instant;

	if (!ls_instant_parse(literal->sql, strlen(literal->sql),
						  cxt->bound->contacts->tz, &instant))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
				 errmsg("'%s' does not read as a date or time", literal->sql),
				 errdetail("Dates and times are written in ISO 8601 form, as in '2026-03-01' or '2026-03-01 09:30:00+01'."),
				 pg_strcasecmp(literal->sql, "now") == 0 ||
				 pg_strcasecmp(literal->sql, "today") == 0 ?
				 errhint("Write %s without quotes.", literal->sql) : 0));
	return psprintf("'%s'::pg_catalog.timestamptz", ls_instant_to_text(instant));
}

/* The operand as a timestamptz, or NULL where it cannot be one. */
char *
ls_bind_as_instant(BindContext *cxt, const Operand *operand)
{
	switch (operand->class)
	{
		case CLASS_INSTANT:
			if (operand->type == TIMESTAMPTZOID)
				return operand->sql;
			return psprintf("leadstream.as_instant(%s, %s)", operand->sql, cxt->zone);
		case CLASS_TEXT:
			return psprintf("leadstream.as_instant(%s::pg_catalog.text, %s)",
							operand->sql, cxt->zone);
		case CLASS_JSONB:
			return psprintf("leadstream.as_instant(%s, %s)", operand->sql, cxt->zone);
		case CLASS_STRING:
			return instant_constant(cxt, operand);
		default:
			return NULL;
	}
}

/* "collate" clause that gives a literal or the other side a column's collation. */
static char *
collate_clause(Oid collation)
{
	HeapTuple	tuple;
	Form_pg_collation form;
	char	   *result;

	if (!OidIsValid(collation) || collation == DEFAULT_COLLATION_OID)
		return "";
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	if (!HeapTupleIsValid(tuple))
		return "";
	form = (Form_pg_collation) GETSTRUCT(tuple);
	result = psprintf(" collate %s",
					  quote_qualified_identifier(get_namespace_name(form->collnamespace),
												 NameStr(form->collname)));
	ReleaseSysCache(tuple);
	return result;
}

/* The operand as text under the given collation, or NULL. */
char *
ls_bind_as_text(const Operand *operand, Oid collation)
{
	switch (operand->class)
	{
		case CLASS_TEXT:
			return psprintf("(%s::pg_catalog.text%s)", operand->sql,
							collate_clause(collation));
		case CLASS_JSONB:
			return psprintf("(leadstream.as_text(%s)%s)", operand->sql,
							collate_clause(collation));
		case CLASS_STRING:
			return psprintf("(%s::pg_catalog.text%s)",
							quote_literal_cstr(operand->sql), collate_clause(collation));
		default:
			return NULL;
	}
}

/* ----------
 * Comparisons.
 * ----------
 */
static const char *
op_name(RuleOp op)
{
	switch (op)
	{
		case RULE_OP_EQ:
			return "=";
		case RULE_OP_LT:
			return "<";
		case RULE_OP_LE:
			return "<=";
		case RULE_OP_GT:
			return ">";
		case RULE_OP_GE:
			return ">=";
		default:
			elog(ERROR, "unexpected rule operator %d", op); /* cannot happen */
	}
}

static RuleOp
commute(RuleOp op)
{
	switch (op)
	{
		case RULE_OP_LT:
			return RULE_OP_GT;
		case RULE_OP_LE:
			return RULE_OP_GE;
		case RULE_OP_GT:
			return RULE_OP_LT;
		case RULE_OP_GE:
			return RULE_OP_LE;
		default:
			return op;
	}
}

static BoundExpr *
plain(RuleOp op, Operand *left, const char *left_sql,
	  Operand *right, const char *right_sql)
{
	return ls_expr_make(false, left, right,
					 psprintf("(%s OPERATOR(pg_catalog.%s) %s)",
							  left_sql, op_name(op), right_sql));
}

/*
 * The type's own operator for a btree comparison, as "OPERATOR(schema.name)".
 */
char *
ls_bind_own_operator(Oid type, RuleOp op, const Operand *operand, bool *foreign)
{
	static const StrategyNumber strategies[] = {
		[RULE_OP_EQ] = BTEqualStrategyNumber,
		[RULE_OP_LT] = BTLessStrategyNumber,
		[RULE_OP_LE] = BTLessEqualStrategyNumber,
		[RULE_OP_GT] = BTGreaterStrategyNumber,
		[RULE_OP_GE] = BTGreaterEqualStrategyNumber,
	};
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY |
											  TYPECACHE_EQ_OPR | TYPECACHE_CMP_PROC);
	Oid			oproid = InvalidOid;
	HeapTuple	tuple;
	Form_pg_operator form;
	char	   *result;

	/* eq_opr and cmp_proc look into elements of arrays and fields of rows */
	if (OidIsValid(entry->btree_opf) && OidIsValid(entry->eq_opr) &&
		OidIsValid(entry->cmp_proc))
		oproid = get_opfamily_member(entry->btree_opf, entry->btree_opintype,
									 entry->btree_opintype, strategies[op]);
	if (!OidIsValid(oproid))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of type %s cannot be compared",
						ls_bind_what(operand), format_type_be(type)),
				 errdetail("The type has no default btree operator class."),
				 type == JSONOID ? errhint("Make the column jsonb.") : 0));
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oproid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", oproid);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	if (form->oprnamespace != PG_CATALOG_NAMESPACE)
		*foreign = true;
	ReleaseSysCache(tuple);
	return result;
}

/* Two values of one type, or a value and a literal its type reads. */
static BoundExpr *
compare_own(BindContext *cxt, RuleOp op, Operand *left, Operand *right)
{
	Oid			type = left->type;
	const char *right_sql = right->sql;
	BoundExpr  *expr;
	bool		foreign = false;
	char	   *operator = ls_bind_own_operator(type, op, left, &foreign);

	if (right->class == CLASS_STRING)
		right_sql = ls_bind_constant(cxt, right, type, left);
	else if (OidIsValid(left->collation) && left->collation != right->collation)
		right_sql = psprintf("(%s%s)", right->sql, collate_clause(left->collation));
	expr = ls_expr_make(false, left, right,
					 psprintf("(%s %s %s)", left->sql, operator, right_sql));
	expr->foreign |= foreign;
	return expr;
}

static BoundExpr *
compare_numbers(RuleOp op, Operand *left, Operand *right)
{
	bool		floats = ls_bind_is_float(left) || ls_bind_is_float(right);
	const char *left_sql;
	const char *right_sql;

	/* floats among themselves and beside integers: as SQL has it */
	if (left->class == CLASS_NUMBER && right->class == CLASS_NUMBER && floats &&
		left->type != NUMERICOID && right->type != NUMERICOID)
		return plain(op, left, left->sql, right, right->sql);
	if (ls_bind_is_float(left) && right->class == CLASS_LITERAL_NUMBER)
		return plain(op, left, left->sql, right, ls_bind_float_constant(right, left));
	left_sql = ls_bind_as_number(left);
	right_sql = ls_bind_as_number(right);
	if (left_sql == NULL || right_sql == NULL)
		ls_bind_refuse(left, right);
	return plain(op, left, left_sql, right, right_sql);
}

static BoundExpr *
compare_instants(BindContext *cxt, RuleOp op, Operand *left, Operand *right)
{
	const char *left_sql;
	const char *right_sql;

	/* dates among themselves need no zone */
	if (left->class == CLASS_INSTANT && right->class == CLASS_INSTANT &&
		left->type == right->type)
		return plain(op, left, left->sql, right, right->sql);
	if (left->type == DATEOID && right->class == CLASS_STRING)
	{
		/* read it in ISO form first, so that DateStyle has no say */
		(void) instant_constant(cxt, right);
		if (strlen(right->sql) == strlen("2026-01-01"))
			return plain(op, left, left->sql, right,
						 ls_bind_constant(cxt, right, DATEOID, left));
	}
	left_sql = ls_bind_as_instant(cxt, left);
	right_sql = ls_bind_as_instant(cxt, right);
	if (left_sql == NULL || right_sql == NULL)
		ls_bind_refuse(left, right);
	return plain(op, left, left_sql, right, right_sql);
}

/* Add the clock's own intervals to the field, with their signs turned. */
char *
ls_bind_shift_against(BindContext *cxt, char *sql, const RuleNode *clock)
{
	for (uint32 i = 0; i < clock->nkids; i++)
	{
		const RuleNode *shift = ls_rule_kid(clock, i);
		Interval	interval;

		if (!ls_interval_parse(ls_rule_text(shift), &interval))
			elog(ERROR, "unreadable interval in rule"); /* cannot happen */
		if (shift->op == '+')
		{
			interval.month = -interval.month;
			interval.time = -interval.time;
		}
		sql = psprintf("leadstream.shift(%s, '%d mons " INT64_FORMAT " microseconds'::pg_catalog.interval, %s)",
					   sql, interval.month, interval.time, cxt->zone);
	}
	return sql;
}

/* field op clock, as the instants at which it is so */
static BoundExpr *
compare_with_clock(BindContext *cxt, RuleOp op, Operand *field, Operand *clock)
{
	char	   *sql = ls_bind_as_instant(cxt, field);

	if (sql == NULL)
		ls_bind_refuse(field, clock);
	return ls_expr_make(true, field, NULL,
					 psprintf("leadstream.clock_timeline(%s, '%s', '%s', %s)",
							  ls_bind_shift_against(cxt, sql, clock->node), op_name(op),
							  clock->node->kind == RULE_NOW ? "now" : "today",
							  cxt->zone));
}

/*
 * left op right, for = < <= > >= (the negated forms are the caller's).
 */
BoundExpr *
ls_bind_compare(BindContext *cxt, RuleOp op, Operand *left, Operand *right)
{
	if (left->class == CLASS_CLOCK && right->class == CLASS_CLOCK)
		ls_bind_refuse(left, right);
	if (right->class == CLASS_CLOCK)
		return compare_with_clock(cxt, op, left, right);
	if (left->class == CLASS_CLOCK)
		return compare_with_clock(cxt, commute(op), right, left);

	/* literals to the right, and what has to be read to the left */
	if (ls_bind_is_literal(left) && !ls_bind_is_literal(right))
		return ls_bind_compare(cxt, commute(op), right, left);
	if (right->class == CLASS_JSONB && left->class != CLASS_JSONB)
		return ls_bind_compare(cxt, commute(op), right, left);
	if (right->class == CLASS_TEXT && left->class != CLASS_JSONB &&
		left->class != CLASS_TEXT)
		return ls_bind_compare(cxt, commute(op), right, left);

	switch (left->class)
	{
		case CLASS_NUMBER:
			if (right->class == CLASS_STRING)
				return compare_own(cxt, op, left, right);
			return compare_numbers(op, left, right);

		case CLASS_LITERAL_NUMBER:
			if (right->class == CLASS_LITERAL_NUMBER)
				return compare_numbers(op, left, right);
			break;

		case CLASS_INSTANT:
			if (right->class == CLASS_STRING || right->class == CLASS_INSTANT)
				return compare_instants(cxt, op, left, right);
			break;

		case CLASS_BOOLEAN:
		case CLASS_LITERAL_BOOLEAN:
			if (right->class == CLASS_STRING && left->class == CLASS_BOOLEAN)
				return compare_own(cxt, op, left, right);
			if (right->class == CLASS_BOOLEAN || right->class == CLASS_LITERAL_BOOLEAN)
				return plain(op, left, left->sql, right, right->sql);
			break;

		case CLASS_TEXT:
			switch (right->class)
			{
				case CLASS_STRING:
					return compare_own(cxt, op, left, right);
				case CLASS_TEXT:
					if (left->type == right->type)
						return compare_own(cxt, op, left, right);
					return plain(op, left, ls_bind_as_text(left, left->collation),
								 right, ls_bind_as_text(right, left->collation));
				case CLASS_NUMBER:
				case CLASS_LITERAL_NUMBER:
					return compare_numbers(op, left, right);
				case CLASS_BOOLEAN:
				case CLASS_LITERAL_BOOLEAN:
					return plain(op, left, ls_bind_as_boolean(left), right, right->sql);
				case CLASS_INSTANT:
					return compare_instants(cxt, op, left, right);
				default:
					break;
			}
			break;

		case CLASS_JSONB:
			switch (right->class)
			{
				case CLASS_STRING:
				case CLASS_TEXT:
					return plain(op, left, ls_bind_as_text(left, right->collation),
								 right, ls_bind_as_text(right, right->collation));
				case CLASS_NUMBER:
				case CLASS_LITERAL_NUMBER:
					return compare_numbers(op, left, right);
				case CLASS_BOOLEAN:
				case CLASS_LITERAL_BOOLEAN:
					return plain(op, left, ls_bind_as_boolean(left), right, right->sql);
				case CLASS_INSTANT:
					return compare_instants(cxt, op, left, right);
				case CLASS_JSONB:
					/* JSON null is missing, on either side */
					return ls_expr_make(false, left, right,
									 psprintf("(leadstream.as_text(%s) is not null and leadstream.as_text(%s) is not null and %s OPERATOR(pg_catalog.%s) %s)",
											  left->sql, right->sql, left->sql,
											  op_name(op), right->sql));
				case CLASS_OTHER:
					return plain(op, left, ls_bind_as_text(left, InvalidOid), right,
								 psprintf("(%s::pg_catalog.text)", right->sql));
				default:
					break;
			}
			break;

		case CLASS_STRING:
			if (right->class == CLASS_STRING)
				return plain(op, left,
							 psprintf("(%s::pg_catalog.text collate pg_catalog.\"C\")",
									  quote_literal_cstr(left->sql)),
							 right,
							 psprintf("%s::pg_catalog.text", quote_literal_cstr(right->sql)));
			break;

		case CLASS_ARRAY:
		case CLASS_OTHER:
			if (right->class == CLASS_STRING ||
				(right->class == left->class && right->type == left->type))
				return compare_own(cxt, op, left, right);
			break;

		case CLASS_CLOCK:
			break;
	}
	ls_bind_refuse(left, right);
	return NULL;				/* not reached */
}
