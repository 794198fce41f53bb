/*-------------------------------------------------------------------------
 *
 * value.h
 *	  Values read out of texts and jsonb, and numbers that never overflow
 *	  into an error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_VALUE_H
#define LS_VALUE_H

#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* Longest text that reads as a number, without blanks, and its exponent. */
#define LS_NUMBER_MAX_LENGTH	1000
#define LS_NUMBER_MAX_EXPONENT	1000

/*
 * A value as its cast to text gives it, which history compares with: char(n)
 * loses its blanks, and booleans are true and false.  Allocated in the current
 * memory context; may raise the errors of the type.
 */
extern char *ls_cast_to_text(Datum value, Oid type);

/* Read a decimal number, blanks around it allowed.  False: it is none. */
extern bool ls_number_parse(const char *s, int len, Numeric *result);

/* Results are palloc'd; NULL on overflow and on division by zero. */
extern Numeric ls_number_add(Numeric a, Numeric b);
extern Numeric ls_number_sub(Numeric a, Numeric b);
extern Numeric ls_number_mul(Numeric a, Numeric b);
extern Numeric ls_number_div(Numeric a, Numeric b);

/* Order of two numbers as in SQL: NaN is the greatest and equals itself. */
extern int	ls_number_cmp(Numeric a, Numeric b);

/*
 * A sum that numbers join and leave, exact whatever the order.  It lives in
 * the memory context it was started in; the fields are private.
 */
typedef struct NumberSum
{
	MemoryContext context;
	int64		count;			/* numbers in it, of any sort */
	int64		nan;			/* of these NaN, infinity, -infinity */
	int64		plus;
	int64		minus;
	Numeric		total;			/* of the finite ones */
	bool		is_scaled;		/* total is divided by a power of ten */
} NumberSum;

extern void ls_sum_start(NumberSum *sum);
extern void ls_sum_join(NumberSum *sum, Numeric n);
extern void ls_sum_leave(NumberSum *sum, Numeric n);

/*
 * Both palloc'd in the current memory context.  Total: 0 of nothing, NULL on
 * overflow.  Average: NULL of nothing and on overflow.
 */
extern Numeric ls_sum_total(const NumberSum *sum);
extern Numeric ls_sum_average(const NumberSum *sum);

/*
 * The members of a jsonb array, nested ones as a whole, starting with *it
 * NULL; and what they read as, as in json_has.  The text is not always
 * zero-terminated, and NULL of JSON null.
 */
extern bool ls_json_is_array(Jsonb *jb);
extern bool ls_json_next_member(Jsonb *jb, JsonbIterator **it, JsonbValue *v);
extern const char *ls_json_text(const JsonbValue *v, int *len);
extern bool ls_json_number(const JsonbValue *v, Numeric *result);
extern bool ls_json_boolean(const JsonbValue *v, bool *result);

#endif							/* LS_VALUE_H */
