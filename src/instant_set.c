/*-------------------------------------------------------------------------
 *
 * instant_set.c
 *	  Sets of instants in plain memory.
 *
 * Beside spans (timeline.h): when something happens rather than how long it
 * lasts.  Sets may share their memory; nothing is ever freed here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "instant_set.h"

#define ST_SORT			sort_instants
#define ST_ELEMENT_TYPE TimestampTz
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

void
ls_instants_tidy(InstantSet *set)
{
	int			kept = 0;

	sort_instants(set->at, set->n);
	for (int i = 0; i < set->n; i++)
		if (kept == 0 || set->at[kept - 1] != set->at[i])
			set->at[kept++] = set->at[i];
	set->n = kept;
}

void
ls_instants_add(InstantSet *set, const InstantSet *others)
{
	if (others->n == 0)
		return;
	if (set->n == 0)
	{
		*set = *others;
		return;
	}
	/* others' memory may be the set's own */
	{
		TimestampTz *at = palloc_extended(sizeof(TimestampTz) * ((Size) set->n + others->n),
										  MCXT_ALLOC_HUGE);

		memcpy(at, set->at, sizeof(TimestampTz) * set->n);
		memcpy(at + set->n, others->at, sizeof(TimestampTz) * others->n);
		set->at = at;
		set->n += others->n;
	}
	ls_instants_tidy(set);
}

InstantSet
ls_instants_within(const InstantSet *set, const SpanSet *spans)
{
	InstantSet	result = {0, NULL};

	if (set->n == 0 || spans->n == 0)
		return result;
	result.at = palloc_extended(sizeof(TimestampTz) * (Size) set->n, MCXT_ALLOC_HUGE);
	for (int i = 0; i < set->n; i++)
		if (ls_spans_contain(spans, set->at[i]))
			result.at[result.n++] = set->at[i];
	return result;
}

bool
ls_instants_first(const InstantSet *set, TimestampTz t, TimestampTz *result)
{
	for (int i = 0; i < set->n; i++)
		if (set->at[i] >= t)
		{
			*result = set->at[i];
			return true;
		}
	return false;
}
