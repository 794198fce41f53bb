/*-------------------------------------------------------------------------
 *
 * deliver.h
 *	  Making leads of matches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_DELIVER_H
#define LS_DELIVER_H

#include "utils/jsonb.h"

#include "stream_cache.h"

/* A stream matched a contact. */
typedef struct DeliverMatch
{
	Datum		key;			/* of the contacts' key type */
	const StreamRow *stream;
	TimestampTz matched_at;
	Jsonb	   *evidence;		/* what made it: see evidence.h; or NULL */
} DeliverMatch;

typedef struct DeliverCounts
{
	uint64		leads;			/* leads made */
	uint64		matches;		/* matches written: one a lead and stream */
} DeliverCounts;

/*
 * Make the leads of matches, for every team of their streams.  The matches
 * come in the order of the contacts' keys, each (contact, stream) once, and
 * the contacts are locked; they may be compacted in place.  What is there
 * already stays as it is, but for closed leads of streams that take contacts
 * for new again.  With skip_deleted, a lead that somebody deleted by
 * hand is not made again.  Errors are the transaction's.  Adds to *counts.
 */
extern void ls_deliver(ContactSource *contacts, DeliverMatch *matches,
					   int nmatches, TimestampTz created_at,
					   const char *origin, bool skip_deleted,
					   DeliverCounts *counts);

/*
 * The same for matches of the past, found under a snapshot, which come in any
 * order and are sorted in place: locks the contacts in the order of their keys, leaves out those that
 * are gone, delivers with origin "history", some thousand at a time.
 */
extern void ls_deliver_history(ContactSource *contacts, DeliverMatch *matches,
							   int64 nmatches, Snapshot snapshot,
							   TimestampTz created_at,
							   DeliverCounts *counts);

#endif							/* LS_DELIVER_H */
