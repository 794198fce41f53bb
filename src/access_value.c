/*-------------------------------------------------------------------------
 *
 * access_value.c
 *	  Values as access conditions see them: hashes, positions on a line.
 *
 * Hashes are kept in tables and compared with those of rows that come years
 * later, so they must be of the value alone.  No OIDs: an enum is hashed by
 * its label, and what names objects (regclass and the like) not at all.  No
 * code of others: only the hash functions of PostgreSQL's own types are used,
 * which raise no errors, and our own in place of those for text.
 *
 * Positions are what ranges are cut by, 64 bits without sign.  All numbers
 * are on one line, as a float8 orders them, so that an integer column and the
 * numeric that it is compared with meet.  The bits of a float8 in order are
 * sign, exponent, mantissa; of the exponent's 11 bits hardly any are ever
 * used, and blocks are few, so what is less than 2^-32 in magnitude counts as
 * zero and what is more than 2^96 as infinite:
 *
 *		sign 1 | exponent 7 | mantissa 52 | 0000
 *
 * Dates and times are microseconds since 1900.  All until 2042 have 15/16 of
 * the line, and as many after these the rest: an interval without an end, the
 * usual one, then takes few blocks to get from our days to the end of the
 * line.  What is before or after is at the ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "access_value.h"

/* ----------
 * Hashes.
 * ----------
 */

/* Is this a type whose values are the OIDs of objects? */
static bool
names_objects(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGROLEOID:
		case REGNAMESPACEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
			return true;
		default:
			return false;
	}
}

Oid
ls_hash_function(Oid type)
{
	Oid			element;
	Oid			function;

	type = getBaseType(type);
	if (type_is_enum(type))
		return F_HASHENUM;
	if (type >= FirstGenbkiObjectId || names_objects(type))
		return InvalidOid;
	element = get_element_type(type);
	if (OidIsValid(element) &&
		(getBaseType(element) >= FirstGenbkiObjectId || names_objects(getBaseType(element))))
		return InvalidOid;
	function = lookup_type_cache(type, TYPECACHE_HASH_PROC)->hash_proc;
	return function < FirstGenbkiObjectId ? function : InvalidOid;
}

Oid
ls_hash_element_function(Oid array_type)
{
	Oid			element = get_base_element_type(array_type);

	return OidIsValid(element) ? ls_hash_function(element) : InvalidOid;
}

void
ls_hash_init(ValueHash *hash, Oid function)
{
	fmgr_info(function, &hash->function);
	switch (function)
	{
		case F_HASHTEXT:
			hash->by = HASH_BY_TEXT;
			break;
		case F_HASHNAME:
			/* of one family with texts */
			hash->by = HASH_BY_NAME;
			break;
		case F_HASHCHAR:
			hash->by = HASH_BY_CHAR;
			break;
		case F_HASHINT2:
			hash->by = HASH_BY_INT16;
			break;
		case F_HASHINT4:
			hash->by = HASH_BY_INT32;
			break;
		case F_HASHINT8:
		case F_TIMESTAMP_HASH:
			hash->by = HASH_BY_INT64;
			break;
		case F_UUID_HASH:
			hash->by = HASH_BY_UUID;
			break;
		case F_HASHENUM:
			hash->by = HASH_BY_LABEL;
			break;
		default:
			hash->by = HASH_BY_FUNCTION;
			break;
	}
}

/* Hash the label of an enum's value. */
uint32
ls_hash_label(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	const char *label;
	uint32		result;

	if (!HeapTupleIsValid(tuple))
		return 0;				/* equal to no constant */
	label = NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel);
	result = ls_hash_text(label, strlen(label));
	ReleaseSysCache(tuple);
	return result;
}

/* ----------
 * Positions.
 * ----------
 */
#define MANTISSA_BITS	52
#define EXPONENT_BITS	7

/* One more than the greatest magnitude, which is also the place of zero. */
#define MAGNITUDES		(UINT64CONST(1) << (EXPONENT_BITS + MANTISSA_BITS))

/* The bits of 2^-32. */
#define LEAST_BITS		((uint64) (1023 - 32) << MANTISSA_BITS)

/* Integers up to here are different float8s. */
#define MAX_EXACT_INTEGER	(INT64CONST(1) << 53)

/* Days from 1900-01-01 to 2000-01-01, where PostgreSQL's dates begin. */
#define DAYS_BEFORE_EPOCH	36524

/* Microseconds until 2042, and as many again. */
#define NEAR_TIMES			(INT64CONST(1) << 52)

static uint64
number_position(double number, bool *exact)
{
	uint64		bits;
	uint64		magnitude;

	*exact = false;
	if (isnan(number))
		return PG_UINT64_MAX;	/* greater than infinity */
	memcpy(&bits, &number, sizeof(bits));
	bits &= ~(UINT64CONST(1) << 63);
	magnitude = bits > LEAST_BITS ? bits - LEAST_BITS : 0;
	if (magnitude >= MAGNITUDES - 1)
		magnitude = MAGNITUDES - 1;
	else
		*exact = magnitude > 0;
	return (number < 0 ? MAGNITUDES - 1 - magnitude : MAGNITUDES + magnitude) <<
		(64 - 1 - EXPONENT_BITS - MANTISSA_BITS);
}

static uint64
integer_position(int64 number, bool next, bool *exact)
{
	uint64		position;

	/* beyond, the following one is not followed by another position */
	if (number >= MAX_EXACT_INTEGER || number <= -MAX_EXACT_INTEGER)
	{
		position = number_position((double) number, exact);
		*exact = false;
		return position;
	}
	position = number_position((double) (number + next), exact);
	/* zero is not exact as a float, but among integers it is alone */
	*exact = true;
	return position;
}

static uint64
time_position(int64 time, bool next, bool *exact)
{
	int64		start = -DAYS_BEFORE_EPOCH * USECS_PER_DAY;
	uint64		since;

	*exact = false;
	if (time < start)
		return 0;
	if (time > start + 2 * NEAR_TIMES - 2)
		return PG_UINT64_MAX;
	/* what is before 1900 is with the first microsecond */
	*exact = time > start || next;
	since = time - start + next;
	return since < NEAR_TIMES ? since * 15 << 8 :
		(UINT64CONST(15) << 60) + ((since - NEAR_TIMES) << 8);
}

/* Midnight of a date; far off, some time that is as far off. */
static int64
date_time(DateADT date)
{
	if (date < -2 * DAYS_BEFORE_EPOCH)
		return PG_INT64_MIN;
	if (date > 4 * DAYS_BEFORE_EPOCH)
		return PG_INT64_MAX - 1;
	return date * USECS_PER_DAY;
}

bool
ls_position_is_known(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return true;
		default:
			return false;
	}
}

uint64
ls_position_exact(Oid type, Datum value, bool next, bool *exact)
{
	uint64		position;

	switch (type)
	{
		case INT2OID:
			return integer_position(DatumGetInt16(value), next, exact);
		case INT4OID:
			return integer_position(DatumGetInt32(value), next, exact);
		case INT8OID:
			return integer_position(DatumGetInt64(value), next, exact);
		case FLOAT4OID:
			position = number_position(DatumGetFloat4(value), exact);
			break;
		case FLOAT8OID:
			position = number_position(DatumGetFloat8(value), exact);
			break;
		case NUMERICOID:
			position = number_position(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
																		  value)), exact);
			*exact = false;		/* rounded */
			break;
		case DATEOID:
			return time_position(date_time(DatumGetDateADT(value)), next, exact);
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return time_position(DatumGetTimestamp(value), next, exact);
		default:
			elog(ERROR, "no positions for type %u", type);	/* cannot happen */
	}
	if (next)
		*exact = false;
	return position;
}

uint64
ls_position(Oid type, Datum value)
{
	bool		exact;

	return ls_position_exact(type, value, false, &exact);
}
