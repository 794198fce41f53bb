/*-------------------------------------------------------------------------
 *
 * seen.h
 *	  What a condition of a rule saw: values, rows, and how far it is off.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SEEN_H
#define LS_SEEN_H

#include "rule_timeline.h"

/* Whose rows are looked at, and what came of it. */
typedef struct SeenSource
{
	Judge	   *judge;			/* stepped to the contact */
	const BoundRule *bound;		/* bound apart */
	RuleProgram *program;		/* made of that, */
	const RuleTimeline *timeline;	/* and gone through wholly */
	TimestampTz clock;
	List	   *witnesses;		/* to be ended by ls_seen_end */
} SeenSource;

typedef struct Seen
{
	char	   *value;			/* in words; NULL: there is nothing to be seen */
	bool		has_rows;		/* does it read rows of activities? */
	int64		nrows;			/* those behind it, */
	char	   *keys;			/* the newest of them as a JSON array, or NULL */
	double		gap;			/* 0: all but true, to 1: all or nothing */
} Seen;

/*
 * Tell what a condition that is neither and, or nor not saw at the clock.
 * Everything is allocated in the current memory context.
 */
extern void ls_seen_tell(SeenSource *source, const RuleNode *condition, Seen *result);

extern void ls_seen_end(SeenSource *source);

#endif							/* LS_SEEN_H */
