/*-------------------------------------------------------------------------
 *
 * rule_access.c
 *	  What must hold of a row for a condition to be true: access conditions.
 *
 * As in contains_required_value of contrib/intarray: of an AND either side
 * will do (the most selective is taken), an OR needs both, a NOT gives none,
 * unless the planner or we can push it down.  Access conditions are
 *
 *	  field = constant		also several at once: a = 1 and b = 2 is one key
 *	  field in (...)		one key for each
 *	  field like 'abc%'		and starts with: the first bytes of the field
 *	  constant in an array	one lookup for each element of the row's array
 *	  field >= constant		and between: the blocks that make up the interval
 *
 * where a field is any expression over the row, so a path into jsonb too.
 * This is the access predicate scheme of Fabret, Jacobsen, Llirbat, Pereira,
 * Ross and Shasha (SIGMOD 2001): rules are hashed by one equality, or a
 * conjunction of equalities, and everything else about them is checked after.
 *
 * Keys are hashes alone, not values: a collision brings a rule that is then
 * found not to be true.  What is wanted of a key is that every row for which
 * the condition is true has its digest, never the reverse.
 *
 * This file finds the conditions in an expression.  Beside it: what a field is
 * (access_field.c), how its values are hashed (access_value.c), what part of
 * the rows is let through (access_cost.c), paths (access_path.c), conditions
 * put together (access_condition.c), and the other side, the digests of a row
 * (access_probe.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

#include "access_condition.h"
#include "access_cost.h"
#include "access_field.h"
#include "access_value.h"

typedef struct Finder
{
	Index		varno;
	Relation	rel;
	List	   *fields;			/* of FieldInfo * */
} Finder;

static Access *find_access(Finder *finder, Node *node);

/* ----------
 * Equalities and members.
 * ----------
 */

/* Tell the field of an expression, which is one. */
static FieldInfo *
find_field(Finder *finder, Node *expr)
{
	FieldInfo  *field;
	ListCell   *lc;

	foreach(lc, finder->fields)
	{
		field = lfirst(lc);
		if (equal(field->expr, expr))
			return field;
	}
	field = palloc(sizeof(FieldInfo));
	field->expr = (Expr *) expr;
	field->text = ls_field_text(field->expr, finder->varno, finder->rel);
	finder->fields = lappend(finder->fields, field);
	return field;
}

static uint32
hash_once(Oid function, Datum value)
{
	ValueHash	hash;

	ls_hash_init(&hash, function);
	return ls_hash_value(&hash, value);
}

static Access *
single_key(AccessPath *path, uint32 hash, double cost)
{
	AccessKey  *key = palloc0(sizeof(AccessKey));

	key->path = path;
	key->hashes[0] = hash;
	return ls_condition_keys(key, 1, cost);
}

/* The bare column or expression: a binary coercion changes no bytes. */
static Node *
bare(Node *expr)
{
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	return expr;
}

/* The constant that an argument is, or NULL. */
static Const *
as_constant(Node *expr)
{
	return IsA(expr, Const) ? (Const *) expr : NULL;
}

/* field = value of that hash */
static Access *
equal_access(Finder *finder, Node *expr, Oid function, uint32 hashed)
{
	PathInfo   *info = ls_path_make(ACCESS_EQUAL, 0, find_field(finder, expr), function);
	ValueHash	hash;

	ls_hash_init(&hash, function);
	info->costs[0] = ls_cost_equal((Expr *) expr, finder->rel, &hash, hashed);
	return single_key(&info->path, hashed, info->costs[0]);
}

/* A boolean that is looked up as such, rather than as a condition of its own. */
static Access *
boolean_access(Finder *finder, Node *expr, bool value)
{
	Oid			function;

	expr = bare(expr);
	if (!IsA(expr, Var) &&
		!(IsA(expr, FuncExpr) && list_length(((FuncExpr *) expr)->args) == 1 &&
		  ls_field_is_own_function(((FuncExpr *) expr)->funcid, NULL)))
		return NULL;
	if (getBaseType(exprType(expr)) != BOOLOID || !ls_field_is(expr, finder->varno))
		return NULL;
	function = ls_hash_function(BOOLOID);
	return equal_access(finder, expr, function, hash_once(function, BoolGetDatum(value)));
}

/* The integer column behind one that is cast to numeric, or NULL. */
static Node *
integer_as_numeric(Node *expr)
{
	FuncExpr   *func = (FuncExpr *) expr;

	if (!IsA(expr, FuncExpr) ||
		(func->funcid != F_NUMERIC_INT2 && func->funcid != F_NUMERIC_INT4 &&
		 func->funcid != F_NUMERIC_INT8))
		return NULL;
	return bare(linitial(func->args));
}

/* Is a numeric an int8?  Then which? */
static bool
numeric_as_int8(Datum value, int64 *result)
{
	Numeric		number = DatumGetNumeric(value);
	Numeric		least = int64_to_numeric(PG_INT64_MIN);
	Numeric		most = int64_to_numeric(PG_INT64_MAX);

	if (!DatumGetBool(DirectFunctionCall2(numeric_ge, value, NumericGetDatum(least))) ||
		!DatumGetBool(DirectFunctionCall2(numeric_le, value, NumericGetDatum(most))))
		return false;
	*result = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number)));
	return DatumGetBool(DirectFunctionCall2(numeric_eq, value,
											NumericGetDatum(int64_to_numeric(*result))));
}

/* field = constant, either way round */
static Access *
equality_access(Finder *finder, OpExpr *op)
{
	Node	   *left = linitial(op->args);
	Node	   *right = lsecond(op->args);
	RegProcedure left_hash;
	RegProcedure right_hash;
	Const	   *constant;
	Node	   *integer;
	Oid			function;
	int64		number;

	if (!get_op_hash_functions(op->opno, &left_hash, &right_hash))
		return NULL;
	if (IsA(left, Const))
	{
		Node	   *swap = left;
		RegProcedure swap_hash = left_hash;

		left = right;
		right = swap;
		left_hash = right_hash;
		right_hash = swap_hash;
	}
	constant = as_constant(right);
	if (constant == NULL)
		return NULL;
	if (constant->constisnull)
		return ls_condition_no_row();
	left = bare(left);
	if (!ls_field_is(left, finder->varno) || !ls_path_is_by_bytes(op->inputcollid, left))
		return NULL;

	/* a literal too long for an integer is a numeric, to whatever column */
	integer = integer_as_numeric(left);
	if (integer && constant->consttype == NUMERICOID)
	{
		if (!numeric_as_int8(constant->constvalue, &number))
			return ls_condition_no_row();
		function = ls_hash_function(exprType(integer));
		return equal_access(finder, integer, function,
							hash_once(F_HASHINT8, Int64GetDatum(number)));
	}

	function = ls_hash_function(exprType(left));
	if (!OidIsValid(function) || function != left_hash ||
		right_hash >= FirstGenbkiObjectId)
		return NULL;
	return equal_access(finder, left, function,
						hash_once(right_hash, constant->constvalue));
}

static Access *
member_access(Finder *finder, Node *expr, Oid function, Oid constant_function,
			  Datum value)
{
	PathInfo   *info = ls_path_make(ACCESS_MEMBER, 0, find_field(finder, expr), function);
	uint32		hashed = hash_once(constant_function, value);
	ValueHash	hash;

	ls_hash_init(&hash, function);
	return single_key(&info->path, hashed,
					  ls_cost_member((Expr *) expr, finder->rel, &hash, hashed));
}

/* field = any (constants), constant = any (field) */
static Access *
array_access(Finder *finder, ScalarArrayOpExpr *op)
{
	Node	   *left = linitial(op->args);
	Node	   *right = bare(lsecond(op->args));
	RegProcedure left_hash;
	RegProcedure right_hash;
	Oid			function;
	Const	   *constant;
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	AccessKey  *keys;
	PathInfo   *info;
	ValueHash	hash;
	ValueHash	constant_hash;
	int			n;
	int			nkeys = 0;
	double		cost = 0;
	int16		len;
	bool		byval;
	char		align;

	if (!op->useOr || get_opcode(op->opno) >= FirstGenbkiObjectId ||
		!get_op_hash_functions(op->opno, &left_hash, &right_hash) ||
		left_hash >= FirstGenbkiObjectId || right_hash >= FirstGenbkiObjectId)
		return NULL;
	constant = as_constant(left);
	if (constant)
	{
		if (constant->constisnull)
			return ls_condition_no_row();
		if (!ls_field_is(right, finder->varno) || !ls_path_is_by_bytes(op->inputcollid, right))
			return NULL;
		function = ls_hash_element_function(exprType(right));
		if (!OidIsValid(function) || function != right_hash)
			return NULL;
		return member_access(finder, right, function, left_hash, constant->constvalue);
	}

	constant = as_constant(right);
	if (constant == NULL)
		return NULL;
	if (constant->constisnull)
		return ls_condition_no_row();
	left = bare(left);
	if (!ls_field_is(left, finder->varno) || !ls_path_is_by_bytes(op->inputcollid, left))
		return NULL;
	function = ls_hash_function(exprType(left));
	if (!OidIsValid(function) || function != left_hash)
		return NULL;

	array = DatumGetArrayTypeP(constant->constvalue);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &len, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), len, byval, align, &elements, &nulls, &n);
	if (n > MAX_KEYS)
		return NULL;
	ls_hash_init(&hash, function);
	ls_hash_init(&constant_hash, right_hash);
	info = ls_path_make(ACCESS_EQUAL, 0, find_field(finder, left), function);
	keys = palloc0(sizeof(AccessKey) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		AccessKey  *key = &keys[nkeys];

		if (nulls[i])
			continue;
		key->path = &info->path;
		key->hashes[0] = ls_hash_value(&constant_hash, elements[i]);
		/* kept in case there is but one */
		info->costs[0] = ls_cost_equal((Expr *) left, finder->rel, &hash, key->hashes[0]);
		cost += info->costs[0];
		nkeys++;
	}
	return ls_condition_keys(keys, nkeys, cost);
}

/* leadstream.json_has(field, constant) */
static Access *
json_has_access(Finder *finder, FuncExpr *func)
{
	Node	   *field = linitial(func->args);
	Const	   *constant = as_constant(lsecond(func->args));
	Oid			function;
	Access	   *access;
	AccessKey  *keys;

	if (constant == NULL)
		return NULL;
	if (constant->constisnull)
		return ls_condition_no_row();
	field = bare(field);
	if (getBaseType(exprType(field)) != JSONBOID || !ls_field_is(field, finder->varno))
		return NULL;
	function = ls_hash_function(constant->consttype);
	if (!OidIsValid(function))
		return NULL;
	access = member_access(finder, field, function, function, constant->constvalue);
	if (function != F_HASHTEXT)
		return access;

	/* the value may be a string with that part instead of an array */
	keys = palloc(sizeof(AccessKey) * 2);
	keys[0] = keys[1] = access->keys[0];
	keys[1].hashes[0] = JSON_STRING_HASH;
	return ls_condition_keys(keys, 2, access->cost);
}

/* ----------
 * Prefixes.
 * ----------
 */

/* Is it a text, as the functions that look into texts see it? */
static bool
is_text_field(Finder *finder, Node *expr, Oid collation)
{
	Oid			type = getBaseType(exprType(expr));

	return (type == TEXTOID || type == VARCHAROID) &&
		ls_field_is(expr, finder->varno) && ls_path_is_by_bytes(collation, expr);
}

static Access *
prefix_access(Finder *finder, Node *expr, const char *prefix, int length)
{
	PathInfo   *info;

	if (length == 0)
		return NULL;
	length = Min(length, MAX_PREFIX);
	info = ls_path_make(ACCESS_PREFIX, length, find_field(finder, expr), InvalidOid);
	info->prefix = pnstrdup(prefix, length);
	return single_key(&info->path, ls_hash_text(prefix, length),
					  ls_cost_prefix((Expr *) expr, finder->rel, prefix, length));
}

/*
 * field like 'abc%', and like 'abc'; ilike is like between texts made lower,
 * and so it is done here.
 */
static Access *
like_access(Finder *finder, OpExpr *op)
{
	Node	   *field = linitial(op->args);
	Const	   *constant = as_constant(lsecond(op->args));
	Datum		value;
	text	   *pattern;
	const char *p;
	const char *end;
	char	   *prefix;
	int			length = 0;

	if (constant == NULL)
		return NULL;
	if (constant->constisnull)
		return ls_condition_no_row();
	value = constant->constvalue;
	if (op->opno == OID_TEXT_ICLIKE_OP)
	{
		if (!OidIsValid(op->inputcollid))
			return NULL;
		field = (Node *) makeFuncExpr(F_LOWER_TEXT, TEXTOID, list_make1(field),
									  op->inputcollid, op->inputcollid,
									  COERCE_EXPLICIT_CALL);
		value = OidFunctionCall1Coll(F_LOWER_TEXT, op->inputcollid, value);
	}
	field = bare(field);
	if (!is_text_field(finder, field, op->inputcollid))
		return NULL;
	pattern = DatumGetTextPP(value);
	p = VARDATA_ANY(pattern);
	end = p + VARSIZE_ANY_EXHDR(pattern);
	prefix = palloc(end - p + 1);
	for (; p < end && *p != '%' && *p != '_'; p++)
	{
		if (*p == '\\' && ++p == end)
			break;				/* an error whenever it meets a row */
		prefix[length++] = *p;
	}
	if (p >= end)
		return equal_access(finder, field, F_HASHTEXT,
							ls_hash_text(prefix, length));
	return prefix_access(finder, field, prefix, length);
}

/* starts_with(field, constant) */
static Access *
starts_with_access(Finder *finder, FuncExpr *func)
{
	Node	   *field = bare(linitial(func->args));
	Const	   *constant = as_constant(lsecond(func->args));
	text	   *prefix;

	if (constant == NULL)
		return NULL;
	if (constant->constisnull)
		return ls_condition_no_row();
	if (!is_text_field(finder, field, func->inputcollid))
		return NULL;
	prefix = DatumGetTextPP(constant->constvalue);
	return prefix_access(finder, field, VARDATA_ANY(prefix), VARSIZE_ANY_EXHDR(prefix));
}

/* ----------
 * Ranges.
 * ----------
 */

/*
 * The field behind casts that keep the order: all numbers are on one line, and
 * so are dates and the time stamps at which they begin.  Not those to float4,
 * which round.
 */
static Node *
uncast(Node *expr)
{
	for (;;)
	{
		FuncExpr   *func = (FuncExpr *) bare(expr);

		expr = (Node *) func;
		if (!IsA(func, FuncExpr))
			return expr;
		switch (func->funcid)
		{
			case F_INT4_INT2:
			case F_INT8_INT2:
			case F_INT8_INT4:
			case F_NUMERIC_INT2:
			case F_NUMERIC_INT4:
			case F_NUMERIC_INT8:
			case F_FLOAT8_INT2:
			case F_FLOAT8_INT4:
			case F_FLOAT8_INT8:
			case F_FLOAT8_FLOAT4:
			case F_FLOAT8_NUMERIC:
			case F_TIMESTAMP_DATE:
				expr = linitial(func->args);
				break;
			default:
				return expr;
		}
	}
}

/* field < constant and the like; strategy is the btree's */
static Access *
range_access(Finder *finder, OpExpr *op, int strategy)
{
	Node	   *left = linitial(op->args);
	Node	   *right = lsecond(op->args);
	Const	   *constant;
	FieldRange *range;
	Oid			type;
	Oid			constant_type;
	uint64		position;
	uint64		next;
	bool		exact;
	bool		next_exact;

	if (IsA(left, Const))
	{
		Node	   *swap = left;

		left = right;
		right = swap;
		strategy = BTMaxStrategyNumber + 1 - strategy;
	}
	constant = as_constant(right);
	if (constant == NULL)
		return NULL;
	if (constant->constisnull)
		return ls_condition_no_row();
	left = uncast(left);
	type = getBaseType(exprType(left));
	constant_type = getBaseType(constant->consttype);
	if (!ls_position_is_known(type) || !ls_position_is_known(constant_type) ||
		!ls_field_is(left, finder->varno))
		return NULL;

	position = ls_position_exact(constant_type, constant->constvalue, false, &exact);
	next = ls_position_exact(constant_type, constant->constvalue, true, &next_exact);
	range = palloc0(sizeof(FieldRange));
	range->field = find_field(finder, left);
	range->high = PG_UINT64_MAX;
	range->above = range->below = 1;
	switch (strategy)
	{
		case BTLessStrategyNumber:
			range->high = exact ? position - 1 : position;
			break;
		case BTLessEqualStrategyNumber:
			range->high = next_exact ? next - 1 : position;
			break;
		case BTGreaterEqualStrategyNumber:
			range->low = position;
			break;
		case BTGreaterStrategyNumber:
			range->low = next_exact ? next : position;
			break;
		default:
			return NULL;
	}
	range->is_known = ls_cost_range((Expr *) left, finder->rel, type, range->low,
									range->high,
									range->low > 0 ? &range->above : &range->below);
	return ls_condition_range(range);
}

/* ----------
 * Finding.
 * ----------
 */
static Access *
operator_access(Finder *finder, OpExpr *op)
{
	Oid			left_type;
	Oid			function = get_opcode(op->opno);
	Oid			family;
	int			strategy;

	if (list_length(op->args) != 2 || function >= FirstGenbkiObjectId ||
		func_volatile(function) != PROVOLATILE_IMMUTABLE)
		return NULL;
	if (op->opno == OID_TEXT_LIKE_OP || op->opno == OID_TEXT_ICLIKE_OP)
		return like_access(finder, op);
	left_type = exprType(linitial(op->args));
	/* arrays and rows have a hash function whether or not their parts do */
	if (op_hashjoinable(op->opno, left_type) &&
		op_hashjoinable(op->opno, exprType(lsecond(op->args))))
		return equality_access(finder, op);
	left_type = getBaseType(left_type);
	if (!ls_position_is_known(left_type))
		return NULL;
	family = lookup_type_cache(left_type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	strategy = get_op_opfamily_strategy(op->opno, family);
	return strategy > 0 ? range_access(finder, op, strategy) : NULL;
}

/* The access of "node is not true". */
static Access *
find_not_true(Finder *finder, Node *node)
{
	BoolExpr   *expr = (BoolExpr *) node;
	Access	   *result = NULL;
	List	   *accesses = NIL;
	ListCell   *lc;

	check_stack_depth();
	if (IsA(node, BooleanTest) && ((BooleanTest *) node)->booltesttype == IS_NOT_TRUE)
		return find_access(finder, (Node *) ((BooleanTest *) node)->arg);
	if (!IsA(node, BoolExpr) || expr->boolop == NOT_EXPR)
		return NULL;
	foreach(lc, expr->args)
	{
		Access	   *access = find_not_true(finder, lfirst(lc));

		if (expr->boolop == OR_EXPR)
			result = ls_access_and(result, access);
		else if (access)
			accesses = lappend(accesses, access);
		else
			return NULL;
	}
	return expr->boolop == OR_EXPR ? result : ls_condition_any(accesses);
}

static Access *
find_access(Finder *finder, Node *node)
{
	ListCell   *lc;

	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_BoolExpr:
			{
				BoolExpr   *expr = (BoolExpr *) node;
				Access	   *result = NULL;
				List	   *accesses = NIL;

				if (expr->boolop == NOT_EXPR)
					return boolean_access(finder, linitial(expr->args), false);
				foreach(lc, expr->args)
				{
					Access	   *access = find_access(finder, lfirst(lc));

					if (expr->boolop == AND_EXPR)
						result = ls_access_and(result, access);
					else if (access)
						accesses = lappend(accesses, access);
					else
						return NULL;
				}
				return expr->boolop == AND_EXPR ? result : ls_condition_any(accesses);
			}
		case T_BooleanTest:
			{
				BooleanTest *test = (BooleanTest *) node;

				if (test->booltesttype == IS_TRUE)
					return find_access(finder, (Node *) test->arg);
				if (test->booltesttype == IS_FALSE)
					return boolean_access(finder, (Node *) test->arg, false);
				if (test->booltesttype == IS_NOT_TRUE)
					return find_not_true(finder, (Node *) test->arg);
				return NULL;
			}
		case T_OpExpr:
			return operator_access(finder, (OpExpr *) node);
		case T_ScalarArrayOpExpr:
			return array_access(finder, (ScalarArrayOpExpr *) node);
		case T_FuncExpr:
			{
				FuncExpr   *func = (FuncExpr *) node;

				if (func->funcid == F_STARTS_WITH)
					return starts_with_access(finder, func);
				if (list_length(func->args) == 2 &&
					ls_field_is_own_function(func->funcid, "json_has"))
					return json_has_access(finder, func);
				return boolean_access(finder, node, true);
			}
		case T_Var:
		case T_RelabelType:
			return boolean_access(finder, node, true);
		case T_Const:
			/* a condition that is never true lets nothing through */
			if (((Const *) node)->constisnull ||
				!DatumGetBool(((Const *) node)->constvalue))
				return ls_condition_no_row();
			return NULL;
		default:
			return NULL;
	}
}

Access *
ls_access_find(Expr *expr, Index varno, Relation rel)
{
	Finder		finder = {varno, rel, NIL};

	return find_access(&finder, (Node *) expr);
}
