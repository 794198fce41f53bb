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

#include "stream_cache.h"

/* A stream that a new row may have made true of a contact. */
typedef struct Candidate
{
	Datum		key;			/* of the contacts' key type */
	int32		stream;			/* index into the set's streams */
	ItemPointerData tid;		/* the first such row */
	uint16		origin;			/* index into origins */
} Candidate;

/* Where candidates come from: a table, and a kind or the contacts. */
typedef struct CandidateOrigin
{
	Oid			relid;			/* the table the row is stored in */
	const char *what;			/* kind, or "insert" or "update" of a contact */
	bool		is_contact;
} CandidateOrigin;

/* A contact that got another key in the running statement. */
typedef struct Rekeyed
{
	Datum		key;
	Datum		old_key;
} Rekeyed;

/*
 * What a statement gathered.  Keys live as long as the settlement.  The
 * arrays belong to the caller; candidates are sorted in place.
 */
typedef struct Settlement
{
	StreamSet  *set;			/* pinned by the caller */
	int64		ncandidates;
	Candidate  *candidates;
	int			norigins;
	CandidateOrigin *origins;
	int			nrekeyed;
	Rekeyed    *rekeyed;
	CommandId	command;		/* the statement's; its rows are the new ones */
	Oid			root;			/* in this table; InvalidOid: contacts changed */
	TimestampTz newest;			/* newest time of a row, if ahead of the clock */
} Settlement;

/* How far a new row may be ahead of the clock and take it along. */
#define CLOCK_SKEW		(INT64CONST(5) * USECS_PER_SEC)

/* Sort candidates by contact and stream and drop repetitions. */
extern void ls_settle_compact(Settlement *settlement);

/* Lock, judge, deliver. */
extern void ls_settle(Settlement *settlement);

#endif							/* LS_SETTLE_H */
