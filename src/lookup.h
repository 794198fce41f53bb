/*-------------------------------------------------------------------------
 *
 * lookup.h
 *	  The streams that a row or a contact may concern.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_LOOKUP_H
#define LS_LOOKUP_H

#include "stream_cache.h"

/* What a row may concern; zeroed by whoever begins, and used again. */
typedef struct Lookup
{
	IndexHits	hits;			/* streams */
	int			ndeeper;
	int			room;
	uint64	   *deeper;			/* digests below which there are more, of which
								 * the contact's row decides */
} Lookup;

/*
 * Look a row of a kind up.  slot is in the layout of the attached table.  Of an
 * older row of a contact, the contact tells the account.
 * Before anything is concluded from what is found comes ls_streams_settle_state.
 */
extern void ls_look_up_row(StreamSet *set, ActivitySource *kind,
						   TupleTableSlot *slot, TupleTableSlot *contact,
						   Lookup *result);

/* Is any stream entered where rows of the kind are looked up? */
extern bool ls_look_up_is_worthwhile(StreamSet *set, ActivitySource *kind);

/*
 * Look a contact up below a digest, after ls_streams_lock_paths.  contact is in the layout of the contacts
 * table; kind is that of the row the digest is of, or NULL.  Adds to hits.
 */
extern void ls_look_up_below(StreamSet *set, uint64 digest, ActivitySource *kind,
							 TupleTableSlot *contact, IndexHits *hits);

/* The same for all that stands at or below a digest of contacts. */
extern void ls_look_up_contact(StreamSet *set, uint64 digest,
							   TupleTableSlot *contact, IndexHits *hits);

#endif							/* LS_LOOKUP_H */
