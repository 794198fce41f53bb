/*-------------------------------------------------------------------------
 *
 * timeline.h
 *	  Timelines: sets of instants as tstzmultirange.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_TIMELINE_H
#define LS_TIMELINE_H

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/multirangetypes.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

/*
 * A part [from, upto) of a timeline.  from is DT_NOBEGIN where it has no
 * beginning, upto is DT_NOEND where it has no end; empty unless from < upto.
 */
typedef struct Span
{
	TimestampTz from;
	TimestampTz upto;
} Span;

/* What the type cache knows of tstzrange; lives as long as the backend. */
extern TypeCacheEntry *ls_timeline_range_type(void);

/* The timeline of one span, palloc'd; empty where the span is. */
extern MultirangeType *ls_timeline_make(TypeCacheEntry *range_type, Span span);

/* One span as a range, palloc'd.  It must not be empty. */
extern RangeType *ls_timeline_range(TypeCacheEntry *range_type, Span span);

/*
 * The i-th part of a timeline.  Whatever bounds its writer gave it, the
 * result is half open; it may be empty then.
 */
extern Span ls_timeline_part(TypeCacheEntry *range_type,
							 const MultirangeType *timeline, int i);

/* The span during which a row of time t counts; older, within may be NULL. */
extern Span ls_row_span(TimestampTz t, const Interval *older,
						const Interval *within, pg_tz *tz);

/*
 * Does a row of time t count at this instant?  It does from t + older until
 * before t + within (either may be NULL); row_span() is the same meaning for
 * all instants.
 */
extern bool ls_row_counts(TimestampTz t, const Interval *older,
						  const Interval *within, pg_tz *tz, TimestampTz clock);

/*
 * The same in plain memory: the parts of a timeline in order, none empty, none
 * touching the next.  Results are palloc'd and may be longer than needed.
 */
typedef struct SpanSet
{
	int			n;
	Span	   *spans;
} SpanSet;

extern SpanSet ls_spans_of_span(Span span);
extern SpanSet ls_spans_of_timeline(const MultirangeType *timeline);
extern MultirangeType *ls_timeline_of_spans(const SpanSet *set);
extern void ls_spans_append(SpanSet *set, Span span);
extern SpanSet ls_spans_intersect(const SpanSet *a, const SpanSet *b);
extern SpanSet ls_spans_unite(const SpanSet *a, const SpanSet *b);
extern SpanSet ls_spans_complement(const SpanSet *set);
extern bool ls_spans_contain(const SpanSet *set, TimestampTz t);

/* The first instant of the set from t on; the first beginning behind t. */
extern bool ls_spans_first_from(const SpanSet *set, TimestampTz t, TimestampTz *result);
extern bool ls_spans_first_begin(const SpanSet *set, TimestampTz t, TimestampTz *result);

#endif							/* LS_TIMELINE_H */
