/*-------------------------------------------------------------------------
 *
 * pieces.c
 *	  Aggregates over time: step functions in one sweep.
 *
 * Which rows count changes only where a span of some row begins or ends.  So
 * an aggregate over the rows that count is a step function of time, and one
 * sweep over the sorted bounds finds all its pieces: rows enter and leave a
 * set that knows the aggregate of its members at any moment.
 *
 * Beginnings and ends are sorted apart.  Rows mostly come in the order of
 * time, and their ends in the same order, which the sort finds out in one
 * pass; the sweep then merges the two.  At the same instant leaving goes
 * before entering, because every span is half open.
 *
 * The sets: counters; counters of equal values, by rank; a running sum; and
 * for min, max, first and last an ordered set of positions, a tree of bitmaps
 * with 64 ways at each level, so that entering, leaving and the first or last
 * member cost a few words each.
 *
 * Everything is allocated in the caller's context; a value lives in a context
 * of its own, which is reset after each piece.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"

#include "pieces.h"
#include "value.h"


/* A row begins or ends to count. */
typedef struct Bound
{
	TimestampTz at;
	int			row;
} Bound;

#define ST_SORT sort_bounds
#define ST_ELEMENT_TYPE Bound
#define ST_COMPARE(a, b) ((a)->at < (b)->at ? -1 : (a)->at > (b)->at)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* The bounds of all spans. */
struct PieceBounds
{
	Bound	   *begins;
	Bound	   *ends;
	int64		nbegins;
	int64		nends;
	int64		room;			/* of either */
};

PieceBounds *
ls_pieces_bounds(int64 room)
{
	PieceBounds *bounds = palloc0(sizeof(PieceBounds));

	bounds->room = Max(room, 8);
	bounds->begins = MemoryContextAllocHuge(CurrentMemoryContext,
											bounds->room * sizeof(Bound));
	bounds->ends = MemoryContextAllocHuge(CurrentMemoryContext,
										  bounds->room * sizeof(Bound));
	return bounds;
}

void
ls_pieces_add(PieceBounds *bounds, int row, Span span)
{
	if (span.from >= span.upto)
		return;
	if (bounds->nbegins == bounds->room)
	{
		bounds->room *= 2;
		bounds->begins = repalloc_huge(bounds->begins, bounds->room * sizeof(Bound));
		bounds->ends = repalloc_huge(bounds->ends, bounds->room * sizeof(Bound));
	}
	bounds->begins[bounds->nbegins].at = span.from;
	bounds->begins[bounds->nbegins++].row = row;
	if (!TIMESTAMP_IS_NOEND(span.upto))
	{
		bounds->ends[bounds->nends].at = span.upto;
		bounds->ends[bounds->nends++].row = row;
	}
}

/* Make the pieces of a step function. */
void
ls_pieces_sweep(PieceBounds *bounds, PieceSet *set, PieceConsumer consumer,
				void *arg)
{
	int64		b = 0;
	int64		e = 0;
	Span		piece = {DT_NOBEGIN, DT_NOEND};
	int64		mark = 0;
	Datum		value = (Datum) 0;
	bool		isnull = true;
	bool		is_first = true;
	TimestampTz at = DT_NOBEGIN;
	MemoryContext value_context;
	MemoryContext oldcontext;

	sort_bounds(bounds->begins, bounds->nbegins);
	sort_bounds(bounds->ends, bounds->nends);
	value_context = AllocSetContextCreate(CurrentMemoryContext,
										  "leadstream piece",
										  ALLOCSET_SMALL_SIZES);

	/*
	 * Each round moves to the next instant where something changes; the first
	 * one to the beginning of time, whether or not a row counts from there.
	 */
	for (;;)
	{
		int64		new_mark;

		CHECK_FOR_INTERRUPTS();

		for (; e < bounds->nends && bounds->ends[e].at == at; e++)
			set->leave(set, bounds->ends[e].row);
		for (; b < bounds->nbegins && bounds->begins[b].at == at; b++)
			set->enter(set, bounds->begins[b].row);

		new_mark = set->mark(set);
		if (is_first || new_mark != mark)
		{
			if (!is_first)
			{
				piece.upto = at;
				consumer(arg, piece, value, isnull);
				MemoryContextReset(value_context);
			}
			oldcontext = MemoryContextSwitchTo(value_context);
			isnull = false;
			value = set->value(set, &isnull);
			MemoryContextSwitchTo(oldcontext);
			piece.from = at;
			mark = new_mark;
			is_first = false;
		}

		if (b < bounds->nbegins &&
			(e >= bounds->nends || bounds->begins[b].at <= bounds->ends[e].at))
			at = bounds->begins[b].at;
		else if (e < bounds->nends)
			at = bounds->ends[e].at;
		else
			break;
	}

	piece.upto = DT_NOEND;
	consumer(arg, piece, value, isnull);

	MemoryContextDelete(value_context);
	pfree(bounds->begins);
	pfree(bounds->ends);
	pfree(bounds);
}

/*
 * The ordered set of positions.  A bit of level 0 stands for a position, a
 * bit of a higher level for a word of the level below that is not zero.
 */
#define BITS_PER_LEVEL		6
#define MAX_LEVELS			6	/* 64 ^ 6 is more than an int can number */

typedef struct PositionSet
{
	int			nlevels;
	uint64	   *words[MAX_LEVELS];
} PositionSet;

/* Make an empty set for positions below n. */
static void
positions_start(PositionSet *positions, int n)
{
	int64		nwords = Max(n, 1);

	positions->nlevels = 0;
	do
	{
		nwords = (nwords + 63) >> BITS_PER_LEVEL;
		Assert(positions->nlevels < MAX_LEVELS);
		positions->words[positions->nlevels++] = palloc0(nwords * sizeof(uint64));
	} while (nwords > 1);
}

/* Put a position in. */
static void
positions_add(PositionSet *positions, int position)
{
	for (int level = 0; level < positions->nlevels; level++)
	{
		uint64	   *word = &positions->words[level][position >> BITS_PER_LEVEL];
		bool		was_empty = (*word == 0);

		*word |= UINT64CONST(1) << (position & 63);
		if (!was_empty)
			break;
		position >>= BITS_PER_LEVEL;
	}
}

/* Take a position out. */
static void
positions_remove(PositionSet *positions, int position)
{
	for (int level = 0; level < positions->nlevels; level++)
	{
		uint64	   *word = &positions->words[level][position >> BITS_PER_LEVEL];

		*word &= ~(UINT64CONST(1) << (position & 63));
		if (*word != 0)
			break;
		position >>= BITS_PER_LEVEL;
	}
}

/* The first or the last position in the set; -1 where it is empty. */
static int
positions_extreme(const PositionSet *positions, bool last)
{
	int			top = positions->nlevels - 1;
	int			position = 0;

	if (positions->words[top][0] == 0)
		return -1;
	for (int level = top; level >= 0; level--)
	{
		uint64		word = positions->words[level][position];

		position = (position << BITS_PER_LEVEL) +
			(last ? pg_leftmost_one_pos64(word) : pg_rightmost_one_pos64(word));
	}
	return position;
}

/* How many rows count. */
typedef struct CountSet
{
	PieceSet	base;
	int64		count;
} CountSet;

static void
count_enter(PieceSet *set, int row)
{
	((CountSet *) set)->count++;
}

static void
count_leave(PieceSet *set, int row)
{
	((CountSet *) set)->count--;
}

static int64
count_mark(PieceSet *set)
{
	return ((CountSet *) set)->count;
}

static Datum
count_value(PieceSet *set, bool *isnull)
{
	return Int64GetDatum(((CountSet *) set)->count);
}

static inline bool
row_is_null(const PieceValues *rows, int row)
{
	return row >= rows->nvalues || rows->nulls[row];
}

/* A value while the values are ranked. */
typedef struct RankedValue
{
	Datum		value;
	int			row;
} RankedValue;

/* Order by value; equal values stay in the order of their rows. */
static inline int
compare_values(const RankedValue *a, const RankedValue *b, SortSupport ssup)
{
	int			cmp = ApplySortComparator(a->value, false, b->value, false, ssup);

	if (cmp != 0)
		return cmp;
	return a->row < b->row ? -1 : a->row > b->row;
}

#define ST_SORT sort_values
#define ST_ELEMENT_TYPE RankedValue
#define ST_COMPARE_ARG_TYPE SortSupportData
#define ST_COMPARE(a, b, arg) compare_values(a, b, arg)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Sort the values that are not null.  Returns them, and in *ssup the order,
 * made for the default btree operator class of the type.
 */
static RankedValue *
rank_values(const PieceValues *rows, Oid type, Oid collation, int *n,
			SortSupport ssup)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_LT_OPR);
	RankedValue *ranked;
	int			nranked = 0;

	if (!OidIsValid(entry->lt_opr))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify an ordering operator for type %s",
						format_type_be(type))));

	memset(ssup, 0, sizeof(SortSupportData));
	ssup->ssup_cxt = CurrentMemoryContext;
	ssup->ssup_collation = collation;
	PrepareSortSupportFromOrderingOp(entry->lt_opr, ssup);

	ranked = MemoryContextAllocHuge(CurrentMemoryContext,
									Max(rows->nvalues, 1) * sizeof(RankedValue));
	for (int row = 0; row < Min(rows->nrows, rows->nvalues); row++)
	{
		if (!rows->nulls[row])
		{
			ranked[nranked].value = rows->values[row];
			ranked[nranked++].row = row;
		}
	}
	sort_values(ranked, nranked, ssup);

	*n = nranked;
	return ranked;
}

/* How many different values count. */
typedef struct DistinctSet
{
	PieceSet	base;
	int		   *rank_of_row;	/* -1: no value */
	int		   *members;		/* rows that count, by rank */
	int64		count;			/* ranks with members */
} DistinctSet;

static void
distinct_enter(PieceSet *set, int row)
{
	DistinctSet *self = (DistinctSet *) set;
	int			rank = self->rank_of_row[row];

	if (rank >= 0 && self->members[rank]++ == 0)
		self->count++;
}

static void
distinct_leave(PieceSet *set, int row)
{
	DistinctSet *self = (DistinctSet *) set;
	int			rank = self->rank_of_row[row];

	if (rank >= 0 && --self->members[rank] == 0)
		self->count--;
}

static int64
distinct_mark(PieceSet *set)
{
	return ((DistinctSet *) set)->count;
}

static Datum
distinct_value(PieceSet *set, bool *isnull)
{
	return Int64GetDatum(((DistinctSet *) set)->count);
}

/* Give equal values equal ranks. */
static void
distinct_start(DistinctSet *self, const PieceValues *rows, Oid type, Oid collation)
{
	SortSupportData ssup;
	RankedValue *ranked;
	int			n;
	int			rank = -1;

	ranked = rank_values(rows, type, collation, &n, &ssup);
	self->rank_of_row = palloc(Max(rows->nrows, 1) * sizeof(int));
	self->members = palloc0(Max(n, 1) * sizeof(int));
	for (int row = 0; row < rows->nrows; row++)
		self->rank_of_row[row] = -1;
	for (int i = 0; i < n; i++)
	{
		if (i == 0 ||
			ApplySortComparator(ranked[i - 1].value, false,
								ranked[i].value, false, &ssup) != 0)
			rank++;
		self->rank_of_row[ranked[i].row] = rank;
	}
	pfree(ranked);
}

/* The sum, or the average, of the values that count. */
typedef struct SumSet
{
	PieceSet	base;
	PieceValues rows;
	NumberSum	sum;
	int64		changes;		/* every change makes a piece of its own */
} SumSet;

static void
sum_enter(PieceSet *set, int row)
{
	SumSet	   *self = (SumSet *) set;

	if (row_is_null(&self->rows, row))
		return;
	ls_sum_join(&self->sum, DatumGetNumeric(self->rows.values[row]));
	self->changes++;
}

static void
sum_leave(PieceSet *set, int row)
{
	SumSet	   *self = (SumSet *) set;

	if (row_is_null(&self->rows, row))
		return;
	ls_sum_leave(&self->sum, DatumGetNumeric(self->rows.values[row]));
	self->changes++;
}

static int64
sum_mark(PieceSet *set)
{
	return ((SumSet *) set)->changes;
}

static Datum
sum_value(PieceSet *set, bool *isnull)
{
	Numeric		total = ls_sum_total(&((SumSet *) set)->sum);

	*isnull = (total == NULL);
	return NumericGetDatum(total);
}

static Datum
avg_value(PieceSet *set, bool *isnull)
{
	Numeric		average = ls_sum_average(&((SumSet *) set)->sum);

	*isnull = (average == NULL);
	return NumericGetDatum(average);
}

/*
 * The value at the first or last position that counts: positions are numbers
 * of rows for first and last, places in the order of values for min and max.
 */
typedef struct ExtremeSet
{
	PieceSet	base;
	PieceValues rows;
	PositionSet positions;
	int		   *position_of_row;	/* NULL: its number; -1: it has none */
	int		   *row_of_position;	/* NULL: its number */
	bool		last;
} ExtremeSet;

static void
extreme_enter(PieceSet *set, int row)
{
	ExtremeSet *self = (ExtremeSet *) set;
	int			position = self->position_of_row ? self->position_of_row[row] : row;

	if (position >= 0)
		positions_add(&self->positions, position);
}

static void
extreme_leave(PieceSet *set, int row)
{
	ExtremeSet *self = (ExtremeSet *) set;
	int			position = self->position_of_row ? self->position_of_row[row] : row;

	if (position >= 0)
		positions_remove(&self->positions, position);
}

static int64
extreme_mark(PieceSet *set)
{
	ExtremeSet *self = (ExtremeSet *) set;

	return positions_extreme(&self->positions, self->last);
}

static Datum
extreme_value(PieceSet *set, bool *isnull)
{
	ExtremeSet *self = (ExtremeSet *) set;
	int			position = positions_extreme(&self->positions, self->last);
	int			row;

	if (position >= 0)
	{
		row = self->row_of_position ? self->row_of_position[position] : position;
		if (!row_is_null(&self->rows, row))
			return self->rows.values[row];
	}
	*isnull = true;
	return (Datum) 0;
}

/* Give the values that are not null positions in their order. */
static void
extreme_rank(ExtremeSet *self, Oid type, Oid collation)
{
	SortSupportData ssup;
	RankedValue *ranked;
	int			n;

	ranked = rank_values(&self->rows, type, collation, &n, &ssup);
	self->position_of_row = palloc(Max(self->rows.nrows, 1) * sizeof(int));
	self->row_of_position = palloc(Max(n, 1) * sizeof(int));
	for (int row = 0; row < self->rows.nrows; row++)
		self->position_of_row[row] = -1;
	for (int i = 0; i < n; i++)
	{
		self->position_of_row[ranked[i].row] = i;
		self->row_of_position[i] = ranked[i].row;
	}
	pfree(ranked);
}

PieceSet *
ls_count_set(void)
{
	static const PieceSet methods = {count_enter, count_leave, count_mark, count_value};
	CountSet   *set = palloc0(sizeof(CountSet));

	set->base = methods;
	return &set->base;
}

PieceSet *
ls_distinct_set(const PieceValues *rows, Oid type, Oid collation)
{
	static const PieceSet methods = {distinct_enter, distinct_leave, distinct_mark,
	distinct_value};
	DistinctSet *set = palloc0(sizeof(DistinctSet));

	set->base = methods;
	distinct_start(set, rows, type, collation);
	return &set->base;
}

PieceSet *
ls_sum_set(const PieceValues *rows, bool is_average)
{
	static const PieceSet methods = {sum_enter, sum_leave, sum_mark, sum_value};
	SumSet	   *set = palloc0(sizeof(SumSet));

	set->base = methods;
	if (is_average)
		set->base.value = avg_value;
	set->rows = *rows;
	ls_sum_start(&set->sum);
	return &set->base;
}

/* The value at an extreme of the rows' numbers, or of the values' order. */
static PieceSet *
extreme_set(const PieceValues *rows, bool by_value, Oid type, Oid collation, bool is_last)
{
	static const PieceSet methods = {extreme_enter, extreme_leave, extreme_mark,
	extreme_value};
	ExtremeSet *set = palloc0(sizeof(ExtremeSet));

	set->base = methods;
	set->rows = *rows;
	set->last = is_last;
	if (by_value)
		extreme_rank(set, type, collation);
	positions_start(&set->positions, rows->nrows);
	return &set->base;
}

PieceSet *
ls_min_max_set(const PieceValues *rows, Oid type, Oid collation, bool is_max)
{
	return extreme_set(rows, true, type, collation, is_max);
}

PieceSet *
ls_first_last_set(const PieceValues *rows, bool is_last)
{
	return extreme_set(rows, false, InvalidOid, InvalidOid, is_last);
}
