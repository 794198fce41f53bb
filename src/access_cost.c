/*-------------------------------------------------------------------------
 *
 * access_cost.c
 *	  What part of a table's rows an access condition lets through.
 *
 * The arithmetic is that of selfuncs.c, done with what access conditions work
 * with: the most common values are told by their hashes, and the bounds of a
 * histogram, which hold equally many rows between them, are taken for a sample
 * of the column.  Only plain columns have statistics.  Estimates decide what
 * is looked up, never what is found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "access_cost.h"
#include "access_field.h"

/* Estimates are no less than this. */
#define LEAST_COST		1e-7

/* What a prefix of one byte lets through beyond what any prefix does. */
#define SHORT_PREFIX_COST	0.045

/* The statistics of a column, with those of its partitions if it has any. */
static HeapTuple
find_statistics(const Expr *field, Relation rel)
{
	AttrNumber	attno = ls_field_column(field);
	HeapTuple	tuple = NULL;

	if (attno == InvalidAttrNumber)
		return NULL;
	if (rel->rd_rel->relhassubclass)
		tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(rel)),
								Int16GetDatum(attno), BoolGetDatum(true));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(rel)),
								Int16GetDatum(attno), BoolGetDatum(false));
	return tuple;
}

/* Is the value one of those asked for? */
typedef bool (*ValueMatch) (Datum value, void *arg);

typedef struct HashMatch
{
	ValueHash  *hash;
	uint32		hashed;
} HashMatch;

typedef struct PrefixMatch
{
	const char *prefix;
	int			length;
} PrefixMatch;

typedef struct RangeMatch
{
	Oid			type;
	uint64		low;
	uint64		high;
} RangeMatch;

static bool
match_hash(Datum value, void *arg)
{
	HashMatch  *match = arg;

	return ls_hash_value(match->hash, value) == match->hashed;
}

static bool
match_prefix(Datum value, void *arg)
{
	PrefixMatch *match = arg;
	struct varlena *v = PG_DETOAST_DATUM_PACKED(value);

	return VARSIZE_ANY_EXHDR(v) >= match->length &&
		memcmp(VARDATA_ANY(v), match->prefix, match->length) == 0;
}

static bool
match_range(Datum value, void *arg)
{
	RangeMatch *match = arg;
	uint64		position = ls_position(match->type, value);

	return position >= match->low && position <= match->high;
}

/* The frequency of the common values that match, and of all of them. */
static double
common_part(HeapTuple tuple, int kind, ValueMatch match, void *arg,
			double *all, double *least, int *n)
{
	AttStatsSlot slot;
	double		part = 0;

	*all = 0;
	*least = 1;
	*n = 0;
	if (!get_attstatsslot(&slot, tuple, kind, InvalidOid,
						  ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		return 0;
	for (int i = 0; i < slot.nvalues && i < slot.nnumbers; i++)
	{
		*all += slot.numbers[i];
		*least = Min(*least, slot.numbers[i]);
		if (match(slot.values[i], arg))
			part += slot.numbers[i];
	}
	*n = slot.nvalues;
	free_attstatsslot(&slot);
	return part;
}

/* The part of the bounds of a histogram that match; negative: there is none. */
static double
sampled_part(HeapTuple tuple, ValueMatch match, void *arg)
{
	AttStatsSlot slot;
	double		found = 0;

	if (!get_attstatsslot(&slot, tuple, STATISTIC_KIND_HISTOGRAM, InvalidOid,
						  ATTSTATSSLOT_VALUES))
		return -1;
	for (int i = 0; i < slot.nvalues; i++)
		found += match(slot.values[i], arg);
	if (found == 0)
		found = 0.5;			/* somewhere between two of them */
	found /= slot.nvalues;
	free_attstatsslot(&slot);
	return found;
}

static double
clamp(double cost)
{
	return Max(LEAST_COST, Min(1.0, cost));
}

/* Estimate by common values and histogram; false: no statistics. */
static bool
match_part(Expr *field, Relation rel, ValueMatch match, void *arg, double *cost)
{
	HeapTuple	tuple = find_statistics(field, rel);
	double		common;
	double		all;
	double		least;
	double		sampled;
	int			n;

	if (!HeapTupleIsValid(tuple))
		return false;
	common = common_part(tuple, STATISTIC_KIND_MCV, match, arg, &all, &least, &n);
	sampled = sampled_part(tuple, match, arg);
	if (sampled >= 0)
		common += sampled *
			Max(1 - all - ((Form_pg_statistic) GETSTRUCT(tuple))->stanullfrac, 0);
	ReleaseSysCache(tuple);
	if (n == 0 && sampled < 0)
		return false;
	*cost = clamp(common);
	return true;
}

double
ls_cost_equal(Expr *field, Relation rel, ValueHash *hash, uint32 hashed)
{
	HashMatch	match = {hash, hashed};
	HeapTuple	tuple;
	Form_pg_statistic stats;
	double		common;
	double		all;
	double		least;
	double		distinct;
	int			n;

	if (getBaseType(exprType((Node *) field)) == BOOLOID &&
		ls_field_column(field) == InvalidAttrNumber)
		return 0.5;
	tuple = find_statistics(field, rel);
	if (!HeapTupleIsValid(tuple))
		return getBaseType(exprType((Node *) field)) == BOOLOID ? 0.5 : DEFAULT_EQ_SEL;

	stats = (Form_pg_statistic) GETSTRUCT(tuple);
	common = common_part(tuple, STATISTIC_KIND_MCV, match_hash, &match, &all, &least, &n);
	if (common == 0)
	{
		distinct = stats->stadistinct;
		if (distinct < 0)
			distinct *= -Max(rel->rd_rel->reltuples, 1);
		if (distinct == 0)
			distinct = DEFAULT_NUM_DISTINCT;
		common = Max(1 - all - stats->stanullfrac, 0) / Max(distinct - n, 1);
		common = Min(common, least);
	}
	ReleaseSysCache(tuple);
	return clamp(common);
}

double
ls_cost_member(Expr *field, Relation rel, ValueHash *hash, uint32 hashed)
{
	HashMatch	match = {hash, hashed};
	HeapTuple	tuple = getBaseType(exprType((Node *) field)) == JSONBOID ?
		NULL : find_statistics(field, rel);
	double		common;
	double		all;
	double		least;
	int			n = 0;

	if (!HeapTupleIsValid(tuple))
		return DEFAULT_MATCHING_SEL;
	common = common_part(tuple, STATISTIC_KIND_MCELEM, match_hash, &match, &all, &least, &n);
	ReleaseSysCache(tuple);
	if (n == 0)
		return DEFAULT_MATCHING_SEL;
	return clamp(common > 0 ? common : Min(least / 2, DEFAULT_MATCHING_SEL));
}

double
ls_cost_prefix(Expr *field, Relation rel, const char *prefix, int length)
{
	PrefixMatch match = {prefix, length};
	double		cost;

	if (match_part(field, rel, match_prefix, &match, &cost))
		return cost;
	return DEFAULT_MATCH_SEL + SHORT_PREFIX_COST / length;
}

bool
ls_cost_range(Expr *field, Relation rel, Oid type, uint64 low, uint64 high, double *cost)
{
	RangeMatch	match = {type, low, high};

	if (match_part(field, rel, match_range, &match, cost))
		return true;
	*cost = DEFAULT_INEQ_SEL;
	return false;
}
