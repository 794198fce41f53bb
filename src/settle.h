/*-------------------------------------------------------------------------
 *
 * settle.h
 *	  Judging the candidates of a statement and making their leads.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SETTLE_H
#define LS_SETTLE_H

#include "storage/itemptr.h"

#include "deliver.h"
#include "rekeyed.h"
#include "row_change.h"
#include "stream_cache.h"
#include "stream_group.h"

/*
 * A stream that a row, new, changed or gone, may have made true of a contact;
 * or, with stream_id 0, all those below a digest that are the contact's, which
 * are looked up when it is locked; or, with a negative one, all streams of a
 * group, see CANDIDATE_GROUP.
 */
typedef struct Candidate
{
	Datum		key;			/* of the contacts' key type */
	uint64		digest;			/* with stream_id 0; else 0 */
	int32		stream_id;
	ItemPointerData tid;		/* the first such row; of one that is gone, as
								 * it was */
	uint16		origin;			/* index into origins */
	bool		is_several;		/* digest: of more rows than that one */
	bool		is_found;		/* looked up by settle.c */
} Candidate;

/* The stream_id of a group, and back. */
#define GROUP_CANDIDATE(number)		(-1 - (number))
#define CANDIDATE_GROUP(stream_id)	(-1 - (stream_id))

/* In place of a digest: what the contact's rows are entered under. */
#define ROWS_OF_CONTACT		0
/* and: the scores that are kept of it, and the streams that wait for it */
#define KEPT_OF_CONTACT		1

/* Where candidates come from: a table, and a kind or the contacts. */
typedef struct CandidateOrigin
{
	Oid			relid;			/* the table the row is stored in */
	const char *what;			/* kind, or "insert" or "update" of a contact */
	const char *event;			/* "update" or "delete" of a kind's; else NULL */
	ActivitySource *kind;		/* NULL: a contact */
} CandidateOrigin;

/*
 * What a statement gathered.  Keys live as long as the settlement.  The
 * arrays belong to the caller; candidates are sorted in place.
 */
typedef struct Settlement
{
	StreamSet  *set;			/* pinned by the caller */
	int64		ncandidates;
	Candidate  *candidates;
	StreamGroups *groups;		/* NULL: no candidate is one */
	int			norigins;
	CandidateOrigin *origins;
	int			nrekeyed;
	Rekeyed    *rekeyed;
	RowChanges *changes;		/* NULL: all rows of the statement's are new */
	CommandId	command;		/* the statement's; its rows are the new ones */
	Oid			root;			/* in this table; InvalidOid: contacts changed */
	TimestampTz newest;			/* newest time of a row, if ahead of the clock */
	bool		has_future;		/* is a row further ahead? */
	bool		is_tick;		/* candidates come from the clock queue */
	DeliverCounts counts;		/* what was delivered */
	int64		settled;		/* entries of the queue that were done with */
} Settlement;

/* How far a new row may be ahead of the clock and take it along. */
#define CLOCK_SKEW		(INT64CONST(5) * USECS_PER_SEC)

/* Sort candidates by contact and stream and drop repetitions. */
extern void ls_settle_compact(Settlement *settlement);

/*
 * Lock, judge, deliver.  What a tick brings is judged by the clock alone; it
 * waits for nobody, but leaves contacts that are locked for the next one.
 */
extern void ls_settle(Settlement *settlement);

#endif							/* LS_SETTLE_H */
