/*-------------------------------------------------------------------------
 *
 * access_condition.c
 *	  Access conditions put together.
 *
 * Of what is known of a row all is kept, not only the way chosen: equalities
 * and intervals that were met one by one, in an AND or in tests of a rule that
 * are far apart, become one key or one interval.
 *
 * Intervals are hashed too: the line of 64-bit positions (access_value.c) is
 * cut into dyadic blocks, as by the nodes of a segment tree, and an interval
 * is its canonical cover (de Berg et al., Computational Geometry, ch. 10.3),
 * in a tree of which each node has 16 children.  A row is in one block of each
 * size, so it is found by as many lookups as sizes are in use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access_condition.h"
#include "access_value.h"

/* Blocks that an interval is covered by. */
#define MAX_BLOCKS			32

/*
 * Intervals are estimated by their ends, and hardly well: values beyond what
 * was seen at the last ANALYZE are the rule for whatever grows.  And the blocks
 * let more through than the interval does.
 */
#define LEAST_RANGE_COST	0.02

/* An equality this much worse than something else is preferred all the same. */
#define EQUAL_PREFERENCE	2.0

/* What is known of a row: all of it. */
typedef struct Condition
{
	Access		access;			/* must be first: the way chosen */
	List	   *equals;			/* of AccessKey *, one field each */
	List	   *ranges;			/* of FieldRange *, one for each field */
	Access	   *other;			/* the best of everything else, or NULL */
} Condition;

Access *
ls_condition_no_row(void)
{
	return palloc0(sizeof(Condition));
}

static double
range_cost(const FieldRange *range)
{
	double		cost = range->is_known ? range->above + range->below - 1 :
		range->above * range->below;

	return Max(cost, LEAST_RANGE_COST);
}

/*
 * Cover an interval by blocks; 0: there is nothing to be covered by.  Where it
 * takes too many the ends are moved outward until it does not.
 */
static int
cover_range(const FieldRange *range, uint64 *blocks, int *bits)
{
	for (int finest = RANGE_MAX_BITS; finest > 0; finest -= RANGE_STEP_BITS)
	{
		uint64		mask = PG_UINT64_MAX >> finest;
		uint64		low = range->low & ~mask;
		uint64		high = range->high | mask;
		int			n = 0;

		if (low == 0 && high == PG_UINT64_MAX)
			return 0;
		for (;;)
		{
			int			length = RANGE_STEP_BITS;

			/* the greatest block that begins here and does not end too late */
			while ((low & (PG_UINT64_MAX >> length)) != 0 ||
				   high - low < PG_UINT64_MAX >> length)
				length += RANGE_STEP_BITS;
			if (n == MAX_BLOCKS)
			{
				n = -1;
				break;
			}
			blocks[n] = low;
			bits[n++] = length;
			if (high - low == PG_UINT64_MAX >> length)
				break;
			low += (PG_UINT64_MAX >> length) + 1;
		}
		if (n > 0)
			return n;
	}
	return 0;
}

/* Make keys of an interval; false: they would be open to every row. */
static bool
range_keys(const FieldRange *range, Access *access)
{
	uint64		blocks[MAX_BLOCKS];
	int			bits[MAX_BLOCKS];
	int			n = cover_range(range, blocks, bits);
	PathInfo   *infos[RANGE_MAX_BITS + 1] = {NULL};

	if (n == 0)
		return false;
	access->nkeys = n;
	access->keys = palloc0(sizeof(AccessKey) * n);
	access->cost = range_cost(range);
	for (int i = 0; i < n; i++)
	{
		if (infos[bits[i]] == NULL)
			infos[bits[i]] = ls_path_make(ACCESS_RANGE, bits[i], range->field, InvalidOid);
		access->keys[i].path = &infos[bits[i]]->path;
		access->keys[i].hashes[0] = ls_block_hash(blocks[i], bits[i]);
	}
	return true;
}

static int
cmp_range(const ListCell *a, const ListCell *b)
{
	double		l = range_cost(lfirst(a));
	double		r = range_cost(lfirst(b));

	return l < r ? -1 : l > r;
}

static int
cmp_equal(const ListCell *a, const ListCell *b)
{
	const PathInfo *l = (const PathInfo *) ((AccessKey *) lfirst(a))->path;
	const PathInfo *r = (const PathInfo *) ((AccessKey *) lfirst(b))->path;

	if (l->costs[0] != r->costs[0])
		return l->costs[0] < r->costs[0] ? -1 : 1;
	return strcmp(l->texts[0], r->texts[0]);
}

/* Choose the way to a condition; NULL: there is none. */
static Access *
choose(Condition *condition)
{
	Access	   *best = condition->other;
	ListCell   *lc;

	list_sort(condition->ranges, cmp_range);
	foreach(lc, condition->ranges)
	{
		FieldRange *range = lfirst(lc);
		Access		access;

		if (range->low > range->high)
			return ls_condition_no_row();
		if (best && best->cost <= range_cost(range))
			break;
		if (range_keys(range, &access))
		{
			best = palloc(sizeof(Access));
			*best = access;
			break;
		}
	}
	if (condition->equals != NIL)
	{
		AccessKey  *key = palloc0(sizeof(AccessKey));
		double		cost;

		list_sort(condition->equals, cmp_equal);
		ls_path_join(list_truncate(list_copy(condition->equals), MAX_KEY_FIELDS),
					key, &cost);
		if (best == NULL || cost <= best->cost * EQUAL_PREFERENCE)
		{
			best = palloc(sizeof(Access));
			best->nkeys = 1;
			best->keys = key;
			best->cost = cost;
		}
	}
	if (best == NULL)
		return NULL;
	condition->access = *best;
	return &condition->access;
}

typedef struct DigestedKey
{
	uint64		digest;
	AccessKey	key;
} DigestedKey;

static int
cmp_digest(const void *a, const void *b)
{
	uint64		l = ((const DigestedKey *) a)->digest;
	uint64		r = ((const DigestedKey *) b)->digest;

	return l < r ? -1 : l > r;
}

Access *
ls_condition_keys(AccessKey *keys, int n, double cost)
{
	Condition  *condition;
	DigestedKey *digested = palloc(sizeof(DigestedKey) * Max(n, 1));
	int			nkeys = 0;

	if (n == 0)
		return ls_condition_no_row();
	for (int i = 0; i < n; i++)
	{
		digested[i].digest = ls_access_digest(&keys[i]);
		digested[i].key = keys[i];
	}
	qsort(digested, n, sizeof(DigestedKey), cmp_digest);
	for (int i = 0; i < n; i++)
		if (i == 0 || digested[i].digest != digested[i - 1].digest)
			keys[nkeys++] = digested[i].key;
	pfree(digested);

	condition = palloc0(sizeof(Condition));
	if (nkeys == 1 && keys->path->kind == ACCESS_EQUAL && keys->path->nfields == 1)
		condition->equals = list_make1(keys);
	else
	{
		condition->other = palloc(sizeof(Access));
		condition->other->nkeys = nkeys;
		condition->other->keys = keys;
		condition->other->cost = Min(cost, 1);
	}
	return choose(condition);
}

Access *
ls_condition_range(FieldRange *range)
{
	Condition  *condition = palloc0(sizeof(Condition));

	condition->ranges = list_make1(range);
	return choose(condition);
}

static FieldRange *
same_field(List *ranges, const FieldRange *wanted)
{
	ListCell   *lc;

	foreach(lc, ranges)
	{
		FieldRange *range = lfirst(lc);

		if (strcmp(range->field->text, wanted->field->text) == 0)
			return range;
	}
	return NULL;
}

Access *
ls_access_and(Access *a, Access *b)
{
	Condition  *left = (Condition *) a;
	Condition  *right = (Condition *) b;
	Condition  *result;
	ListCell   *lc;
	ListCell   *lc2;

	if (a == NULL || b == NULL)
		return a ? a : b;
	if (a->nkeys == 0 || b->nkeys == 0)
		return a->nkeys == 0 ? a : b;

	result = palloc0(sizeof(Condition));
	result->equals = list_copy(left->equals);
	foreach(lc, right->equals)
	{
		AccessKey  *key = lfirst(lc);
		bool		found = false;

		/* were the values different no row would pass; one of them will do */
		foreach(lc2, left->equals)
			found |= ((AccessKey *) lfirst(lc2))->path->path_id == key->path->path_id;
		if (!found)
			result->equals = lappend(result->equals, key);
	}
	foreach(lc, left->ranges)
	{
		FieldRange *range = palloc(sizeof(FieldRange));

		*range = *(FieldRange *) lfirst(lc);
		result->ranges = lappend(result->ranges, range);
	}
	foreach(lc, right->ranges)
	{
		FieldRange *other = lfirst(lc);
		FieldRange *range = same_field(result->ranges, other);

		if (range == NULL)
		{
			range = palloc(sizeof(FieldRange));
			*range = *other;
			result->ranges = lappend(result->ranges, range);
			continue;
		}
		if (other->low > range->low)
		{
			range->low = other->low;
			range->above = other->above;
		}
		if (other->high < range->high)
		{
			range->high = other->high;
			range->below = other->below;
		}
		range->is_known &= other->is_known;
	}
	if (left->other == NULL ||
		(right->other && right->other->cost < left->other->cost))
		result->other = right->other;
	else
		result->other = left->other;
	return choose(result);
}

Access *
ls_condition_any(List *accesses)
{
	AccessKey  *keys;
	ListCell   *lc;
	int64		nkeys = 0;
	double		cost = 0;

	foreach(lc, accesses)
	{
		Access	   *access = lfirst(lc);

		if (access == NULL)
			return NULL;
		nkeys += access->nkeys;
		cost += access->cost;
	}
	if (nkeys > MAX_KEYS)
		return NULL;
	keys = palloc(sizeof(AccessKey) * Max(nkeys, 1));
	nkeys = 0;
	foreach(lc, accesses)
	{
		Access	   *access = lfirst(lc);

		if (access->nkeys > 0)
			memcpy(keys + nkeys, access->keys, sizeof(AccessKey) * access->nkeys);
		nkeys += access->nkeys;
	}
	return ls_condition_keys(keys, nkeys, cost);
}

Access *
ls_access_or(Access *a, Access *b)
{
	if (a == NULL || b == NULL)
		return NULL;
	return ls_condition_any(list_make2(a, b));
}
