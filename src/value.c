/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Values read out of texts and jsonb, and numbers that never overflow
 *	  into an error.
 *
 * Rules compare texts and jsonb by what they read as.  A value that does not
 * read as what it is compared with is missing, never an error, so the readers
 * here give NULL where the casts of SQL raise.  JSON null is missing too.
 *
 * Numbers written in texts are bounded in length and exponent: a text of a
 * few bytes such as 1e100000 would otherwise cost megabytes to judge.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "parser/scansup.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "value.h"

/* A sum that overflowed is kept divided by ten to the power of this. */
#define SUM_SCALE		100

PG_FUNCTION_INFO_V1(leadstream_json_element);
PG_FUNCTION_INFO_V1(leadstream_as_number_text);
PG_FUNCTION_INFO_V1(leadstream_as_number_jsonb);
PG_FUNCTION_INFO_V1(leadstream_as_number_float8);
PG_FUNCTION_INFO_V1(leadstream_as_boolean_text);
PG_FUNCTION_INFO_V1(leadstream_as_boolean_jsonb);
PG_FUNCTION_INFO_V1(leadstream_as_text);
PG_FUNCTION_INFO_V1(leadstream_is_blank_text);
PG_FUNCTION_INFO_V1(leadstream_is_blank_jsonb);
PG_FUNCTION_INFO_V1(leadstream_is_blank_array);
PG_FUNCTION_INFO_V1(leadstream_json_has_text);
PG_FUNCTION_INFO_V1(leadstream_json_has_numeric);
PG_FUNCTION_INFO_V1(leadstream_json_has_boolean);
PG_FUNCTION_INFO_V1(leadstream_times);

/* Leave out the blanks around a text. */
static void
trim_blanks(const char **s, int *len)
{
	while (*len > 0 && scanner_isspace(**s))
	{
		(*s)++;
		(*len)--;
	}
	while (*len > 0 && scanner_isspace((*s)[*len - 1]))
		(*len)--;
}

/* Step over digits and count them. */
static int
skip_digits(const char **s, const char *end)
{
	const char *start = *s;

	while (*s < end && **s >= '0' && **s <= '9')
		(*s)++;
	return *s - start;
}

/* Is this a decimal number within the limits? */
static bool
is_number(const char *s, int len)
{
	const char *end = s + len;
	int			ndigits;

	if (len > LS_NUMBER_MAX_LENGTH)
		return false;

	if (s < end && (*s == '+' || *s == '-'))
		s++;
	ndigits = skip_digits(&s, end);
	if (s < end && *s == '.')
	{
		s++;
		ndigits += skip_digits(&s, end);
	}
	if (ndigits == 0)
		return false;

	if (s < end && (*s == 'e' || *s == 'E'))
	{
		int			exponent = 0;

		s++;
		if (s < end && (*s == '+' || *s == '-'))
			s++;
		if (s >= end)
			return false;
		for (; s < end && *s >= '0' && *s <= '9'; s++)
		{
			exponent = exponent * 10 + (*s - '0');
			if (exponent > LS_NUMBER_MAX_EXPONENT)
				return false;
		}
	}
	return s == end;
}

/* Read a decimal number. */
bool
ls_number_parse(const char *s, int len, Numeric *result)
{
	char		buf[LS_NUMBER_MAX_LENGTH + 1];

	trim_blanks(&s, &len);
	if (!is_number(s, len))
		return false;

	/* Within these limits numeric_in has nothing to complain about. */
	memcpy(buf, s, len);
	buf[len] = '\0';
	*result = DatumGetNumeric(DirectFunctionCall3(numeric_in,
												  CStringGetDatum(buf),
												  ObjectIdGetDatum(InvalidOid),
												  Int32GetDatum(-1)));
	return true;
}

/* Add two numbers. */
Numeric
ls_number_add(Numeric a, Numeric b)
{
	bool		overflow = false;
	Numeric		result = numeric_add_opt_error(a, b, &overflow);

	return overflow ? NULL : result;
}

/* Subtract a number from another. */
Numeric
ls_number_sub(Numeric a, Numeric b)
{
	bool		overflow = false;
	Numeric		result = numeric_sub_opt_error(a, b, &overflow);

	return overflow ? NULL : result;
}

/* Multiply two numbers. */
Numeric
ls_number_mul(Numeric a, Numeric b)
{
	bool		overflow = false;
	Numeric		result = numeric_mul_opt_error(a, b, &overflow);

	return overflow ? NULL : result;
}

/* Divide a number by another. */
Numeric
ls_number_div(Numeric a, Numeric b)
{
	bool		failed = false;
	Numeric		result = numeric_div_opt_error(a, b, &failed);

	return failed ? NULL : result;
}

/* Compare two numbers. */
int
ls_number_cmp(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp,
											 NumericGetDatum(a),
											 NumericGetDatum(b)));
}

/* Ten to a power within the limits of ls_number_parse. */
static Numeric
power_of_ten(int exponent)
{
	char		buf[16];
	Numeric		result = NULL;

	snprintf(buf, sizeof(buf), "1e%d", exponent);
	if (!ls_number_parse(buf, strlen(buf), &result))
		elog(ERROR, "power of ten out of range");	/* cannot happen */
	return result;
}

/* Start an empty sum in the current memory context. */
void
ls_sum_start(NumberSum *sum)
{
	memset(sum, 0, sizeof(NumberSum));
	sum->context = CurrentMemoryContext;
	sum->total = int64_to_numeric(0);
}

/* Put a new total in the place of the old one. */
static void
sum_replace(NumberSum *sum, Numeric total)
{
	pfree(sum->total);
	sum->total = total;
}

/*
 * Add a finite number to the total or take it away.  A total that overflows
 * may come back into range when numbers leave, so it goes on divided by a
 * power of ten; with SUM_SCALE digits more there is room for all the numbers
 * that fit into memory.
 */
static void
sum_change(NumberSum *sum, Numeric n, bool leaves)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(sum->context);
	Numeric		scale;
	Numeric		total;

	if (!sum->is_scaled)
	{
		total = leaves ? ls_number_sub(sum->total, n) :
			ls_number_add(sum->total, n);
		if (total != NULL)
		{
			sum_replace(sum, total);
			MemoryContextSwitchTo(oldcontext);
			return;
		}
		scale = power_of_ten(-SUM_SCALE);
		sum_replace(sum, ls_number_mul(sum->total, scale));
		pfree(scale);
		sum->is_scaled = true;
	}

	scale = power_of_ten(-SUM_SCALE);
	n = ls_number_mul(n, scale);
	total = leaves ? ls_number_sub(sum->total, n) : ls_number_add(sum->total, n);
	Assert(total != NULL);
	sum_replace(sum, total);
	pfree(n);
	pfree(scale);
	MemoryContextSwitchTo(oldcontext);
}

/* Count a number in or out. */
static void
sum_count(NumberSum *sum, Numeric n, bool leaves)
{
	int			step = leaves ? -1 : 1;

	sum->count += step;
	if (numeric_is_nan(n))
		sum->nan += step;
	else if (numeric_is_inf(n))
	{
		/* The order puts -infinity before and infinity behind any total. */
		if (ls_number_cmp(n, sum->total) < 0)
			sum->minus += step;
		else
			sum->plus += step;
	}
	else
		sum_change(sum, n, leaves);
}

/* A number joins the sum. */
void
ls_sum_join(NumberSum *sum, Numeric n)
{
	sum_count(sum, n, false);
}

/* A number that joined leaves the sum. */
void
ls_sum_leave(NumberSum *sum, Numeric n)
{
	sum_count(sum, n, true);
}

/* NaN, infinity and -infinity by their names. */
static Numeric
special_number(const char *name)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in,
											   CStringGetDatum(name),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

/* The total of the numbers in a sum. */
Numeric
ls_sum_total(const NumberSum *sum)
{
	if (sum->nan > 0 || (sum->plus > 0 && sum->minus > 0))
		return special_number("NaN");
	if (sum->plus > 0)
		return special_number("Infinity");
	if (sum->minus > 0)
		return special_number("-Infinity");
	if (sum->is_scaled)
		return ls_number_mul(sum->total, power_of_ten(SUM_SCALE));
	return DatumGetNumericCopy(NumericGetDatum(sum->total));
}

/* The average of the numbers in a sum. */
Numeric
ls_sum_average(const NumberSum *sum)
{
	Numeric		total;

	if (sum->count == 0)
		return NULL;
	total = ls_sum_total(sum);
	if (total == NULL)
		return NULL;
	return ls_number_div(total, int64_to_numeric(sum->count));
}

/* Read a boolean as SQL's cast from text does. */
static bool
read_boolean(const char *s, int len, bool *result)
{
	char		buf[sizeof("false")];

	trim_blanks(&s, &len);
	if (len >= sizeof(buf))
		return false;

	/* NB: parse_bool_with_len looks behind the end of a lone "o". */
	memcpy(buf, s, len);
	buf[len] = '\0';
	return parse_bool_with_len(buf, len, result);
}

/* Read a JSON value as a number. */
bool
ls_json_number(const JsonbValue *v, Numeric *result)
{
	if (v->type == jbvNumeric)
	{
		*result = v->val.numeric;
		return true;
	}
	return v->type == jbvString &&
		ls_number_parse(v->val.string.val, v->val.string.len, result);
}

/* Read a JSON value as a boolean. */
bool
ls_json_boolean(const JsonbValue *v, bool *result)
{
	if (v->type == jbvBool)
	{
		*result = v->val.boolean;
		return true;
	}
	return v->type == jbvString &&
		read_boolean(v->val.string.val, v->val.string.len, result);
}

/* The text form of a JSON value, not always zero-terminated; NULL of null. */
const char *
ls_json_text(const JsonbValue *v, int *len)
{
	const char *s;

	switch (v->type)
	{
		case jbvString:
			*len = v->val.string.len;
			return v->val.string.val;
		case jbvNumeric:
			s = DatumGetCString(DirectFunctionCall1(numeric_out,
													NumericGetDatum(v->val.numeric)));
			break;
		case jbvBool:
			s = v->val.boolean ? "true" : "false";
			break;
		case jbvBinary:
			s = JsonbToCString(NULL, v->val.binary.data, v->val.binary.len);
			break;
		default:
			return NULL;
	}
	*len = strlen(s);
	return s;
}

/* as_number(text) -> numeric */
Datum
leadstream_as_number_text(PG_FUNCTION_ARGS)
{
	text	   *s = PG_GETARG_TEXT_PP(0);
	Numeric		result;

	if (!ls_number_parse(VARDATA_ANY(s), VARSIZE_ANY_EXHDR(s), &result))
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(result);
}

/* as_number(jsonb) -> numeric */
Datum
leadstream_as_number_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	JsonbValue	v;
	Numeric		result;

	if (!JB_ROOT_IS_SCALAR(jb) || !JsonbExtractScalar(&jb->root, &v) ||
		!ls_json_number(&v, &result))
		PG_RETURN_NULL();

	/* It may point into the argument. */
	PG_RETURN_DATUM(NumericGetDatum(DatumGetNumericCopy(NumericGetDatum(result))));
}

/* as_number(double precision) -> numeric */
Datum
leadstream_as_number_float8(PG_FUNCTION_ARGS)
{
	/* Any double fits into a numeric. */
	return DirectFunctionCall1(float8_numeric, PG_GETARG_DATUM(0));
}

/* as_boolean(text) -> boolean */
Datum
leadstream_as_boolean_text(PG_FUNCTION_ARGS)
{
	text	   *s = PG_GETARG_TEXT_PP(0);
	bool		result;

	if (!read_boolean(VARDATA_ANY(s), VARSIZE_ANY_EXHDR(s), &result))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(result);
}

/* as_boolean(jsonb) -> boolean */
Datum
leadstream_as_boolean_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	JsonbValue	v;
	bool		result;

	if (!JB_ROOT_IS_SCALAR(jb) || !JsonbExtractScalar(&jb->root, &v) ||
		!ls_json_boolean(&v, &result))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(result);
}

/* as_text(jsonb) -> text */
Datum
leadstream_as_text(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	JsonbValue	v;
	const char *s;
	int			len;

	if (JB_ROOT_IS_SCALAR(jb))
	{
		if (!JsonbExtractScalar(&jb->root, &v))
			PG_RETURN_NULL();
		s = ls_json_text(&v, &len);
		if (s == NULL)
			PG_RETURN_NULL();
	}
	else
	{
		s = JsonbToCString(NULL, &jb->root, VARSIZE(jb));
		len = strlen(s);
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(s, len));
}

/* is_blank(text) -> boolean */
Datum
leadstream_is_blank_text(PG_FUNCTION_ARGS)
{
	text	   *t;
	const char *s;
	int			len;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);

	t = PG_GETARG_TEXT_PP(0);
	s = VARDATA_ANY(t);
	len = VARSIZE_ANY_EXHDR(t);
	trim_blanks(&s, &len);
	PG_RETURN_BOOL(len == 0);
}

/* is_blank(jsonb) -> boolean */
Datum
leadstream_is_blank_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb;
	JsonbValue	v;
	const char *s;
	int			len;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);

	jb = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_SCALAR(jb))
		PG_RETURN_BOOL(JB_ROOT_COUNT(jb) == 0);
	if (!JsonbExtractScalar(&jb->root, &v) || v.type == jbvNull)
		PG_RETURN_BOOL(true);
	if (v.type != jbvString)
		PG_RETURN_BOOL(false);

	s = v.val.string.val;
	len = v.val.string.len;
	trim_blanks(&s, &len);
	PG_RETURN_BOOL(len == 0);
}

/* is_blank(anyarray) -> boolean */
Datum
leadstream_is_blank_array(PG_FUNCTION_ARGS)
{
	AnyArrayType *array;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);

	array = PG_GETARG_ANY_ARRAY_P(0);
	PG_RETURN_BOOL(ArrayGetNItems(AARR_NDIM(array), AARR_DIMS(array)) == 0);
}

/*
 * Step to the next member of a jsonb array, nested ones as a whole.  The
 * iterator starts as NULL.
 */
bool
ls_json_next_member(Jsonb *jb, JsonbIterator **it, JsonbValue *v)
{
	JsonbIteratorToken token;

	if (*it == NULL)
	{
		*it = JsonbIteratorInit(&jb->root);
		(void) JsonbIteratorNext(it, v, true);	/* the array itself */
	}
	CHECK_FOR_INTERRUPTS();
	token = JsonbIteratorNext(it, v, true);
	return token == WJB_ELEM;
}

/* Is there a proper array in it?  A scalar is stored as an array too. */
bool
ls_json_is_array(Jsonb *jb)
{
	return JB_ROOT_IS_ARRAY(jb) && !JB_ROOT_IS_SCALAR(jb);
}

/* Is a text part of another, ignoring case? */
static bool
has_part(const char *s, int len, const text *part, Oid collation)
{
	char	   *hay;
	char	   *needle;

	/* Undecided between two collations: take the database's. */
	if (!OidIsValid(collation))
		collation = DEFAULT_COLLATION_OID;

	hay = str_tolower(s, len, collation);
	needle = str_tolower(VARDATA_ANY(part), VARSIZE_ANY_EXHDR(part), collation);

	/* Folded texts are compared byte by byte, whatever the collation. */
	return DatumGetInt32(DirectFunctionCall2Coll(textpos, C_COLLATION_OID,
												 PointerGetDatum(cstring_to_text(hay)),
												 PointerGetDatum(cstring_to_text(needle)))) > 0;
}

/* json_has(jsonb, text) -> boolean */
Datum
leadstream_json_has_text(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	text	   *wanted = PG_GETARG_TEXT_PP(1);
	JsonbIterator *it = NULL;
	JsonbValue	v;

	if (ls_json_is_array(jb))
	{
		while (ls_json_next_member(jb, &it, &v))
		{
			int			len;
			const char *s = ls_json_text(&v, &len);

			if (s != NULL && len == VARSIZE_ANY_EXHDR(wanted) &&
				memcmp(s, VARDATA_ANY(wanted), len) == 0)
				PG_RETURN_BOOL(true);
		}
		PG_RETURN_BOOL(false);
	}

	PG_RETURN_BOOL(JB_ROOT_IS_SCALAR(jb) &&
				   JsonbExtractScalar(&jb->root, &v) &&
				   v.type == jbvString &&
				   has_part(v.val.string.val, v.val.string.len, wanted,
							PG_GET_COLLATION()));
}

/* json_has(jsonb, numeric) -> boolean */
Datum
leadstream_json_has_numeric(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	Numeric		wanted = PG_GETARG_NUMERIC(1);
	JsonbIterator *it = NULL;
	JsonbValue	v;
	Numeric		n;

	if (ls_json_is_array(jb))
	{
		while (ls_json_next_member(jb, &it, &v))
		{
			if (ls_json_number(&v, &n) && ls_number_cmp(n, wanted) == 0)
				PG_RETURN_BOOL(true);
		}
	}
	PG_RETURN_BOOL(false);
}

/* json_has(jsonb, boolean) -> boolean */
Datum
leadstream_json_has_boolean(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	bool		wanted = PG_GETARG_BOOL(1);
	JsonbIterator *it = NULL;
	JsonbValue	v;
	bool		b;

	if (ls_json_is_array(jb))
	{
		while (ls_json_next_member(jb, &it, &v))
		{
			if (ls_json_boolean(&v, &b) && b == wanted)
				PG_RETURN_BOOL(true);
		}
	}
	PG_RETURN_BOOL(false);
}

/* times(numeric, numeric) -> numeric */
Datum
leadstream_times(PG_FUNCTION_ARGS)
{
	Numeric		result = ls_number_mul(PG_GETARG_NUMERIC(0),
									   PG_GETARG_NUMERIC(1));

	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(result);
}

/* json_element(value, subscript) */
Datum
leadstream_json_element(PG_FUNCTION_ARGS)
{
	Jsonb	   *value = PG_GETARG_JSONB_P(0);
	int32		subscript = PG_GETARG_INT32(1);
	JsonbValue *element;

	/* a scalar is stored as an array of one */
	if (!JB_ROOT_IS_ARRAY(value) || JB_ROOT_IS_SCALAR(value) ||
		subscript < 0 || subscript >= JB_ROOT_COUNT(value))
		PG_RETURN_NULL();
	element = getIthJsonbValueFromContainer(&value->root, subscript);
	if (element == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(JsonbValueToJsonb(element));
}

char *
ls_cast_to_text(Datum value, Oid type)
{
	Oid			function;
	bool		is_varlena;

	if (find_coercion_pathway(TEXTOID, getBaseType(type), COERCION_EXPLICIT,
							  &function) == COERCION_PATH_FUNC &&
		get_func_nargs(function) == 1)
		return TextDatumGetCString(OidFunctionCall1(function, value));
	getTypeOutputInfo(type, &function, &is_varlena);
	return OidOutputFunctionCall(function, value);
}
