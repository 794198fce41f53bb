/*-------------------------------------------------------------------------
 *
 * timeline.c
 *	  Timelines: sets of instants as tstzmultirange.
 *
 * A condition with the clock in it is true on a set of instants.  The
 * functions here turn the single conditions into such sets: a comparison of
 * an instant with now or today, an instant in a calendar period of the clock,
 * the time during which a row counts.  Each of them is one span [from, upto);
 * and, or and not are the operators of multiranges.
 *
 * Instants are whole microseconds, so every set can be written half open:
 * what begins behind f begins at f + 1 microsecond.  Spans that reach beyond
 * the range of timestamptz are cut off there, that is, they have no bound on
 * that side.
 *
 * The type cache entries and the zones used live as long as the backend.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "instant.h"
#include "timeline.h"

#define DAYS_PER_WEEK		7
#define MONTHS_PER_QUARTER	3

PG_FUNCTION_INFO_V1(leadstream_always);
PG_FUNCTION_INFO_V1(leadstream_clock_timeline);
PG_FUNCTION_INFO_V1(leadstream_period_timeline);
PG_FUNCTION_INFO_V1(leadstream_row_span);
PG_FUNCTION_INFO_V1(leadstream_beginnings);
PG_FUNCTION_INFO_V1(leadstream_first_instant);
PG_FUNCTION_INFO_V1(leadstream_first_count);

#define ST_SORT sort_instants
#define ST_ELEMENT_TYPE TimestampTz
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* How a rule names a calendar unit. */
typedef enum CalendarUnit
{
	UNIT_DAY, UNIT_WEEK, UNIT_MONTH, UNIT_QUARTER, UNIT_YEAR
} CalendarUnit;

static const Span span_always = {DT_NOBEGIN, DT_NOEND};
static const Span span_never = {DT_NOEND, DT_NOBEGIN};

/* The range type of timelines. */
TypeCacheEntry *
ls_timeline_range_type(void)
{
	/* Entries of the type cache stay; that of a built-in type never changes. */
	static TypeCacheEntry *range_type = NULL;

	if (range_type == NULL)
		range_type = lookup_type_cache(TSTZMULTIRANGEOID,
									   TYPECACHE_MULTIRANGE_INFO)->rngtype;
	return range_type;
}

/* Make a range of a span that is not empty. */
RangeType *
ls_timeline_range(TypeCacheEntry *range_type, Span span)
{
	RangeBound	lower;
	RangeBound	upper;

	Assert(span.from < span.upto);

	lower.val = TimestampTzGetDatum(span.from);
	lower.infinite = TIMESTAMP_IS_NOBEGIN(span.from);
	lower.inclusive = true;
	lower.lower = true;
	upper.val = TimestampTzGetDatum(span.upto);
	upper.infinite = TIMESTAMP_IS_NOEND(span.upto);
	upper.inclusive = false;
	upper.lower = false;
	return ls_make_range(range_type, &lower, &upper, false);
}

/* Make a timeline of one span. */
MultirangeType *
ls_timeline_make(TypeCacheEntry *range_type, Span span)
{
	RangeType  *range;

	if (span.from >= span.upto)
		return make_empty_multirange(TSTZMULTIRANGEOID, range_type);

	range = ls_timeline_range(range_type, span);
	return make_multirange(TSTZMULTIRANGEOID, range_type, 1, &range);
}

/* The first instant behind t: infinite where there is none. */
static TimestampTz
next_instant(TimestampTz t)
{
	if (TIMESTAMP_NOT_FINITE(t))
		return t;
	return IS_VALID_TIMESTAMP(t + 1) ? t + 1 : DT_NOEND;
}

/* Read a part of a timeline. */
Span
ls_timeline_part(TypeCacheEntry *range_type, const MultirangeType *timeline,
				 int i)
{
	RangeBound	lower;
	RangeBound	upper;
	Span		span;

	multirange_get_bounds(range_type, timeline, i, &lower, &upper);

	if (lower.infinite)
		span.from = DT_NOBEGIN;
	else
	{
		span.from = DatumGetTimestampTz(lower.val);
		if (!lower.inclusive)
			span.from = next_instant(span.from);
	}

	if (upper.infinite)
		span.upto = DT_NOEND;
	else
	{
		span.upto = DatumGetTimestampTz(upper.val);
		if (upper.inclusive)
			span.upto = next_instant(span.upto);
	}
	return span;
}

/* The instants n at which f op n, for the clock "now". */
static bool
now_span(TimestampTz f, const char *op, Span *span)
{
	TimestampTz next = next_instant(f);

	*span = span_always;
	if (strcmp(op, "=") == 0)
	{
		span->from = f;
		span->upto = next;
	}
	else if (strcmp(op, "<") == 0)
		span->from = next;
	else if (strcmp(op, "<=") == 0)
		span->from = f;
	else if (strcmp(op, ">") == 0)
		span->upto = f;
	else if (strcmp(op, ">=") == 0)
		span->upto = next;
	else
		return false;
	return true;
}

/*
 * The instants n at which f op the start of the day of n.
 *
 * Let f lie in the day [start, next).  The start of the day of n is a step
 * function of n that takes no value between start and next, so it is greater
 * than f exactly from next on.
 */
static bool
today_span(TimestampTz f, const char *op, pg_tz *tz, Span *span)
{
	int64		day = ls_day_of(f, tz);
	TimestampTz start = ls_day_start(day, tz);
	TimestampTz next = ls_day_start(day + 1, tz);

	*span = span_always;
	if (strcmp(op, "=") == 0)
	{
		if (f == start)
		{
			span->from = start;
			span->upto = next;
		}
		else
			*span = span_never;
	}
	else if (strcmp(op, "<") == 0)
		span->from = next;
	else if (strcmp(op, "<=") == 0)
		span->from = (f == start) ? start : next;
	else if (strcmp(op, ">") == 0)
		span->upto = (f == start) ? start : next;
	else if (strcmp(op, ">=") == 0)
		span->upto = next;
	else
		return false;
	return true;
}

/* The first day of the month that many months after January of the year 0. */
static int64
day_of_month(int64 months)
{
	int64		year = months / MONTHS_PER_YEAR;
	int64		month = months % MONTHS_PER_YEAR;

	if (month < 0)
	{
		month += MONTHS_PER_YEAR;
		year--;
	}

	/* Far out of range anyway: ls_day_start tells on which side. */
	if (year < JULIAN_MINYEAR)
		return PG_INT32_MIN;
	if (year >= JULIAN_MAXYEAR)
		return PG_INT32_MAX;
	return date2j((int) year, (int) month + 1, 1);
}

/* A divided by b > 0, rounded down. */
static int64
divide_down(int64 a, int64 b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

/* The first day of the unit that is steps units after that of a day. */
static int64
unit_start(int64 day, CalendarUnit unit, int64 steps)
{
	int			year;
	int			month;
	int			mday;
	int64		months;
	int64		size = 1;

	switch (unit)
	{
		case UNIT_DAY:
			return day + steps;
		case UNIT_WEEK:
			/* Julian day 0 was a Monday. */
			return (divide_down(day, DAYS_PER_WEEK) + steps) * DAYS_PER_WEEK;
		case UNIT_MONTH:
			break;
		case UNIT_QUARTER:
			size = MONTHS_PER_QUARTER;
			break;
		case UNIT_YEAR:
			size = MONTHS_PER_YEAR;
			break;
	}

	/* The days before Julian day 0 are in the same unit as it. */
	j2date((int) Max(day, 0), &year, &month, &mday);
	months = (int64) year * MONTHS_PER_YEAR + (month - 1);
	return day_of_month((divide_down(months, size) + steps) * size);
}

/* Read the name of a calendar unit. */
static CalendarUnit
unit_from_text(const text *name)
{
	static const char *const names[] = {
		"day", "week", "month", "quarter", "year"
	};
	int			len = VARSIZE_ANY_EXHDR(name);

	for (int i = 0; i < lengthof(names); i++)
	{
		if (len == strlen(names[i]) &&
			memcmp(VARDATA_ANY(name), names[i], len) == 0)
			return (CalendarUnit) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("calendar unit \"%s\" not recognized",
					text_to_cstring(name)),
			 errhint("Valid units are day, week, month, quarter, year.")));
	return UNIT_DAY;			/* keep compiler quiet */
}

/* An overflow on the way to its beginning: never; to its end: it has none. */
Span
ls_row_span(TimestampTz t, const Interval *older, const Interval *within,
			pg_tz *tz)
{
	Span		span = {t, DT_NOEND};

	if (older != NULL && !ls_instant_shift(t, older, tz, &span.from))
		return span_never;
	if (within != NULL && !ls_instant_shift(t, within, tz, &span.upto))
		span.upto = DT_NOEND;
	return span;
}

/* Does a row count at an instant? */
bool
ls_row_counts(TimestampTz t, const Interval *older, const Interval *within,
			  pg_tz *tz, TimestampTz clock)
{
	Span		span = ls_row_span(t, older, within, tz);

	return span.from < span.upto && span.from <= clock &&
		(clock < span.upto || TIMESTAMP_IS_NOEND(span.upto));
}

/* -------------------------------------------------------------------------
 * Sets of spans
 * -------------------------------------------------------------------------
 */

SpanSet
ls_spans_of_span(Span span)
{
	SpanSet		result = {0, NULL};

	if (span.from < span.upto)
	{
		result.spans = palloc(sizeof(Span));
		result.spans[result.n++] = span;
	}
	return result;
}

SpanSet
ls_spans_of_timeline(const MultirangeType *timeline)
{
	TypeCacheEntry *range_type = ls_timeline_range_type();
	SpanSet		result = {0, NULL};

	if (timeline->rangeCount > 0)
		result.spans = palloc(sizeof(Span) * timeline->rangeCount);
	for (int i = 0; i < timeline->rangeCount; i++)
		ls_spans_append(&result, ls_timeline_part(range_type, timeline, i));
	return result;
}

MultirangeType *
ls_timeline_of_spans(const SpanSet *set)
{
	TypeCacheEntry *range_type = ls_timeline_range_type();
	RangeType **ranges = palloc(sizeof(RangeType *) * Max(set->n, 1));

	for (int i = 0; i < set->n; i++)
		ranges[i] = ls_timeline_range(range_type, set->spans[i]);
	return make_multirange(TSTZMULTIRANGEOID, range_type, set->n, ranges);
}

/* There must be room for it, and it must not begin before the last one. */
void
ls_spans_append(SpanSet *set, Span span)
{
	if (span.from >= span.upto)
		return;
	if (set->n > 0 && span.from <= set->spans[set->n - 1].upto)
		set->spans[set->n - 1].upto = Max(set->spans[set->n - 1].upto, span.upto);
	else
		set->spans[set->n++] = span;
}

SpanSet
ls_spans_intersect(const SpanSet *a, const SpanSet *b)
{
	SpanSet		result = {0, NULL};
	int			i = 0;
	int			j = 0;

	if (a->n == 0 || b->n == 0)
		return result;
	result.spans = palloc_extended(sizeof(Span) * ((Size) a->n + b->n), MCXT_ALLOC_HUGE);
	while (i < a->n && j < b->n)
	{
		Span		both = {Max(a->spans[i].from, b->spans[j].from),
		Min(a->spans[i].upto, b->spans[j].upto)};

		ls_spans_append(&result, both);
		if (a->spans[i].upto < b->spans[j].upto)
			i++;
		else
			j++;
	}
	return result;
}

SpanSet
ls_spans_unite(const SpanSet *a, const SpanSet *b)
{
	SpanSet		result = {0, NULL};
	int			i = 0;
	int			j = 0;

	if (a->n + b->n == 0)
		return result;
	result.spans = palloc_extended(sizeof(Span) * ((Size) a->n + b->n), MCXT_ALLOC_HUGE);
	while (i < a->n || j < b->n)
		if (j == b->n || (i < a->n && a->spans[i].from <= b->spans[j].from))
			ls_spans_append(&result, a->spans[i++]);
		else
			ls_spans_append(&result, b->spans[j++]);
	return result;
}

SpanSet
ls_spans_complement(const SpanSet *set)
{
	SpanSet		result = {0, NULL};
	Span		gap = span_always;

	result.spans = palloc_extended(sizeof(Span) * ((Size) set->n + 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < set->n; i++)
	{
		gap.upto = set->spans[i].from;
		ls_spans_append(&result, gap);
		gap.from = set->spans[i].upto;
	}
	gap.upto = DT_NOEND;
	ls_spans_append(&result, gap);
	return result;
}

/* The first span that ends behind an instant; set->n where there is none. */
static int
first_behind(const SpanSet *set, TimestampTz t)
{
	int			low = 0;
	int			high = set->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (set->spans[middle].upto <= t && !TIMESTAMP_IS_NOEND(set->spans[middle].upto))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
ls_spans_contain(const SpanSet *set, TimestampTz t)
{
	int			i = first_behind(set, t);

	return i < set->n && set->spans[i].from <= t;
}

bool
ls_spans_first_from(const SpanSet *set, TimestampTz t, TimestampTz *result)
{
	int			i = first_behind(set, t);

	if (i == set->n)
		return false;
	*result = Max(set->spans[i].from, t);
	return true;
}

bool
ls_spans_first_begin(const SpanSet *set, TimestampTz t, TimestampTz *result)
{
	int			i = first_behind(set, t);

	if (i < set->n && set->spans[i].from <= t)
		i++;
	if (i == set->n)
		return false;
	*result = set->spans[i].from;
	return true;
}


/* -------------------------------------------------------------------------
 * SQL
 * -------------------------------------------------------------------------
 */

/* always(boolean) -> tstzmultirange */
Datum
leadstream_always(PG_FUNCTION_ARGS)
{
	bool		is_true = !PG_ARGISNULL(0) && PG_GETARG_BOOL(0);

	PG_RETURN_MULTIRANGE_P(ls_timeline_make(ls_timeline_range_type(),
											is_true ? span_always : span_never));
}

/* clock_timeline(f timestamptz, op text, clock text, zone text) -> tstzmultirange */
Datum
leadstream_clock_timeline(PG_FUNCTION_ARGS)
{
	TypeCacheEntry *range_type = ls_timeline_range_type();
	TimestampTz f;
	const char *op;
	const char *clock;
	bool		is_today;
	bool		is_known;
	Span		span;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_MULTIRANGE_P(ls_timeline_make(range_type, span_never));

	f = PG_GETARG_TIMESTAMPTZ(0);
	op = text_to_cstring(PG_GETARG_TEXT_PP(1));
	clock = text_to_cstring(PG_GETARG_TEXT_PP(2));

	is_today = (strcmp(clock, "today") == 0);
	if (!is_today && strcmp(clock, "now") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("clock \"%s\" not recognized", clock),
				 errhint("Valid clocks are now, today.")));

	if (is_today && !TIMESTAMP_NOT_FINITE(f))
		is_known = today_span(f, op, ls_zone_from_text(PG_GETARG_TEXT_PP(3)),
							  &span);
	else
		is_known = now_span(f, op, &span);

	if (!is_known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("comparison \"%s\" not recognized", op),
				 errhint("Valid comparisons are =, <, <=, >, >=.")));
	PG_RETURN_MULTIRANGE_P(ls_timeline_make(range_type, span));
}

/*
 * period_timeline(f timestamptz, unit text, steps int, zone text) -> tstzmultirange
 */
Datum
leadstream_period_timeline(PG_FUNCTION_ARGS)
{
	TypeCacheEntry *range_type = ls_timeline_range_type();
	TimestampTz f;
	CalendarUnit unit;
	int64		steps;
	pg_tz	   *tz;
	int64		day;
	Span		span;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		PG_ARGISNULL(3) || TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(0)))
		PG_RETURN_MULTIRANGE_P(ls_timeline_make(range_type, span_never));

	f = PG_GETARG_TIMESTAMPTZ(0);
	unit = unit_from_text(PG_GETARG_TEXT_PP(1));
	steps = PG_GETARG_INT32(2);
	tz = ls_zone_from_text(PG_GETARG_TEXT_PP(3));

	/* f lies that many units after n: n lies that many units before f. */
	day = ls_day_of(f, tz);
	span.from = ls_day_start(unit_start(day, unit, -steps), tz);
	span.upto = ls_day_start(unit_start(day, unit, -steps + 1), tz);
	PG_RETURN_MULTIRANGE_P(ls_timeline_make(range_type, span));
}

/*
 * row_span(t timestamptz, older interval, within interval, zone text)
 * -> tstzmultirange
 */
Datum
leadstream_row_span(PG_FUNCTION_ARGS)
{
	TypeCacheEntry *range_type = ls_timeline_range_type();
	const Interval *older = PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1);
	const Interval *within = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	Span		span = span_never;

	if (!PG_ARGISNULL(0) && !PG_ARGISNULL(3))
		span = ls_row_span(PG_GETARG_TIMESTAMPTZ(0), older, within,
						   ls_zone_from_text(PG_GETARG_TEXT_PP(3)));
	PG_RETURN_MULTIRANGE_P(ls_timeline_make(range_type, span));
}

/* beginnings(timeline tstzmultirange) -> tstzmultirange */
Datum
leadstream_beginnings(PG_FUNCTION_ARGS)
{
	MultirangeType *timeline = PG_GETARG_MULTIRANGE_P(0);
	TypeCacheEntry *range_type = ls_timeline_range_type();
	SpanSet		result;

	result.n = 0;
	result.spans = palloc(sizeof(Span) * Max(timeline->rangeCount, 1));
	for (int i = 0; i < timeline->rangeCount; i++)
	{
		Span		part = ls_timeline_part(range_type, timeline, i);

		if (part.from >= part.upto || TIMESTAMP_NOT_FINITE(part.from))
			continue;
		part.upto = next_instant(part.from);
		ls_spans_append(&result, part);
	}
	PG_RETURN_MULTIRANGE_P(ls_timeline_of_spans(&result));
}

/* first_instant(timeline tstzmultirange, upto timestamptz) -> timestamptz */
Datum
leadstream_first_instant(PG_FUNCTION_ARGS)
{
	MultirangeType *timeline = PG_GETARG_MULTIRANGE_P(0);
	TimestampTz upto = PG_GETARG_TIMESTAMPTZ(1);
	TypeCacheEntry *range_type = ls_timeline_range_type();

	for (int i = 0; i < timeline->rangeCount; i++)
	{
		Span		part = ls_timeline_part(range_type, timeline, i);

		if (part.from >= part.upto)
			continue;
		if (!TIMESTAMP_IS_NOBEGIN(part.from))
		{
			/* Parts are in order: no later one begins earlier. */
			if (part.from > upto)
				PG_RETURN_NULL();
			PG_RETURN_TIMESTAMPTZ(part.from);
		}
		if (upto < part.upto || TIMESTAMP_IS_NOEND(part.upto))
			PG_RETURN_TIMESTAMPTZ(upto);
	}
	PG_RETURN_NULL();
}

/*
 * first_count(times timestamptz[], n bigint, older interval, within interval,
 *			   zone text, upto timestamptz) -> timestamptz
 *
 * Beginnings and ends are sorted apart and merged, as by the sweep of pieces.c,
 * but no further than to the first instant at which n rows count.
 */
Datum
leadstream_first_count(PG_FUNCTION_ARGS)
{
	ArrayType  *array;
	const Interval *older = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	const Interval *within = PG_ARGISNULL(3) ? NULL : PG_GETARG_INTERVAL_P(3);
	int64		needed;
	pg_tz	   *tz;
	TimestampTz upto;
	Datum	   *times;
	bool	   *nulls;
	int			ntimes;
	TimestampTz *begins;
	TimestampTz *ends;
	int			nbegins = 0;
	int			nends = 0;
	int			e = 0;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(4) || PG_ARGISNULL(5))
		PG_RETURN_NULL();
	array = PG_GETARG_ARRAYTYPE_P(0);
	needed = PG_GETARG_INT64(1);
	tz = ls_zone_from_text(PG_GETARG_TEXT_PP(4));
	upto = PG_GETARG_TIMESTAMPTZ(5);

	deconstruct_array(array, TIMESTAMPTZOID, sizeof(TimestampTz),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &times, &nulls, &ntimes);
	begins = palloc_extended(sizeof(TimestampTz) * Max(ntimes, 1), MCXT_ALLOC_HUGE);
	ends = palloc_extended(sizeof(TimestampTz) * Max(ntimes, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < ntimes; i++)
	{
		Span		span;

		if (nulls[i])
			continue;
		span = ls_row_span(DatumGetTimestampTz(times[i]), older, within, tz);
		if (span.from >= span.upto)
			continue;
		if (TIMESTAMP_IS_NOBEGIN(span.from))
		{
			/* of the beginning of time, and then it has no end */
			Assert(TIMESTAMP_IS_NOEND(span.upto));
			needed--;
			continue;
		}
		/* what ends late still counts at upto */
		if (span.from > upto)
			continue;
		begins[nbegins++] = span.from;
		if (span.upto <= upto)
			ends[nends++] = span.upto;
	}
	if (needed <= 0)
		PG_RETURN_TIMESTAMPTZ(upto);
	if (nbegins < needed)
		PG_RETURN_NULL();
	sort_instants(begins, nbegins);
	sort_instants(ends, nends);

	for (int b = 0; b < nbegins; b++)
	{
		/* spans are half open: at the same instant one leaves first */
		while (e < nends && ends[e] <= begins[b])
			e++;
		if (b + 1 - e >= needed)
			PG_RETURN_TIMESTAMPTZ(begins[b]);
	}
	PG_RETURN_NULL();
}
