/*-------------------------------------------------------------------------
 *
 * rule_timeline.h
 *	  Judging a bound rule at all instants: the timeline of one contact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_TIMELINE_H
#define LS_RULE_TIMELINE_H

#include "instant_set.h"
#include "rule_eval.h"
#include "timeline.h"

/* A row that an aggregate reads: it counts at some instant. */
typedef struct TimelineRow
{
	Oid			relid;			/* where it is stored, InvalidOid: in no table
								 * of activities, */
	ItemPointerData tid;		/* and at which place */
	ActivitySource *source;
	TimestampTz at;				/* when it happened, of a kind with times */
	SpanSet		when;			/* it counts */
	Datum		value;			/* not of exists and count */
	bool		isnull;
} TimelineRow;

/* An aggregate as a step function; rows and pieces from an instant on. */
typedef struct AggregateTimeline
{
	bool		is_known;
	int			npieces;
	int			room;
	Span	   *pieces;
	Datum	   *values;
	bool	   *nulls;
	InstantSet	begins;			/* when a row of an attached table begins to
								 * count; of a score: in a condition that
								 * earns points */
	int64		nrows;
	TimelineRow *rows;			/* first and last: in their order */
	struct NodeTimeline *items; /* of a score: its conditions */
} AggregateTimeline;

/* A condition: the tree is that of the program. */
typedef struct NodeTimeline
{
	const NodeProgram *node;
	SpanSet		when;			/* it is true */
	InstantSet	arrivals;		/* when it is true and a row begins to count
								 * in a condition in force */
	struct NodeTimeline *kids;
} NodeTimeline;

/*
 * A rule, of one contact, from an instant on.  Nothing is said of the time
 * before it.
 */
typedef struct RuleTimeline
{
	TimestampTz from;
	NodeTimeline root;
	InstantSet	begins;			/* when a row begins to count in a condition
								 * that more rows make truer, in force or not;
								 * or in any, of a rule that is not asked again
								 * with each row when it turns */
	AggregateTimeline *aggregates;	/* by their number in the program */
} RuleTimeline;

/*
 * The rule's timeline of the contact stepped to, from an instant on (DT_NOBEGIN:
 * all time).  With "all", every condition and row is gone through; otherwise
 * only what it takes to know when the rule is true.  Good until the next call
 * or step.
 */
extern RuleTimeline *ls_judge_timeline(Judge *judge, RuleProgram *program,
									   TimestampTz from, bool all);

/*
 * When, of [from, upto], does time alone make a new match?  The timeline must
 * reach back before "from".  If the rule was true before, it takes a beginning
 * or a row that arrives.
 */
extern bool ls_timeline_match(const RuleTimeline *timeline, TimestampTz from,
							  TimestampTz upto, bool was_true, TimestampTz *result);

/*
 * When has the contact to be looked at again, behind the clock?  *is_true: is
 * the rule true at the clock?
 */
extern bool ls_timeline_next(const RuleTimeline *timeline, TimestampTz clock,
							 TimestampTz *result, bool *is_true);

#endif							/* LS_RULE_TIMELINE_H */
