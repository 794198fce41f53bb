/*-------------------------------------------------------------------------
 *
 * instant_set.h
 *	  Sets of instants in plain memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_INSTANT_SET_H
#define LS_INSTANT_SET_H

#include "timeline.h"

/* Instants in order, each once. */
typedef struct InstantSet
{
	int			n;
	TimestampTz *at;
} InstantSet;

/* Sort, and keep one of equal ones. */
extern void ls_instants_tidy(InstantSet *set);

/* Take in others; what was the set's own may be theirs afterwards. */
extern void ls_instants_add(InstantSet *set, const InstantSet *others);

/* Those that lie in a set of spans. */
extern InstantSet ls_instants_within(const InstantSet *set, const SpanSet *spans);

/* The first that is not before an instant. */
extern bool ls_instants_first(const InstantSet *set, TimestampTz t, TimestampTz *result);

#endif							/* LS_INSTANT_SET_H */
