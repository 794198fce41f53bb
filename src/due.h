/*-------------------------------------------------------------------------
 *
 * due.h
 *	  The clock queue: when contacts have to be looked at again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_DUE_H
#define LS_DUE_H

#include "storage/itemptr.h"
#include "utils/snapshot.h"

#include "catalog.h"

/* Attribute numbers of leadstream.due. */
#define DUE_CONTACT		1
#define DUE_STREAM		2
#define DUE_IS_SEED		3
#define DUE_RUN			4
#define DUE_AT			5
#define DUE_ARRIVAL		6

/* What waits of one contact and stream; see the table's comments. */
typedef struct DueEntry
{
	int32		stream_id;
	int32		run;
	TimestampTz at;
	bool		arrival;
	bool		is_seed;
	bool		has_seed;		/* there is one besides */
	ItemPointerData places[2];	/* where it is, and the other of the two */
} DueEntry;

/* Reads the entries of contacts under a snapshot. */
typedef struct DueReader DueReader;

/*
 * NULL where there is nothing to read: no table, or an empty one.  Allocated in
 * the current memory context; to be closed by the same resource owner.
 */
extern DueReader *ls_due_open(ContactSource *contacts, Snapshot snapshot);

/*
 * The entries of a contact, one of each stream: of two the one that is no seed.
 * With a stream_id those of other streams may be missing.  Good until the next
 * call.
 */
extern int	ls_due_read(DueReader *reader, Datum key, int32 stream_id,
						DueEntry **entries);
extern void ls_due_close(DueReader *reader);

/* What is to become of a contact's entry for a stream. */
typedef struct DueChange
{
	Datum		key;
	int32		stream_id;
	bool		is_removed;		/* the entries in these places go, */
	ItemPointerData places[2];	/* as DueEntry has them */
	bool		is_set;			/* and this one comes, or replaces that which
								 * is no seed */
	int32		run;
	TimestampTz at;
	bool		arrival;
} DueChange;

/*
 * Write changes, in the order of the contacts' keys, each (contact, stream)
 * once; the contacts must be locked, and the snapshot be held under which the
 * places were found.  What is wanted of contacts that the transaction cannot
 * see, in REPEATABLE READ and above, is left out, as leads are.
 */
extern void ls_due_write(ContactSource *contacts, DueChange *changes, int n);

/*
 * Put seeds in, which were found under a snapshot; those of a contact are
 * beside each other and have one key.  The contacts must not go away, so they
 * are locked FOR KEY SHARE, but nobody who deletes one is waited for: false if
 * one was left out because somebody had it until our patience was at an end,
 * or because the transaction cannot see it.
 */
extern bool ls_due_seed(ContactSource *contacts, Snapshot snapshot, DueChange *changes,
						int n, int *patience);

/*
 * Have a contact looked at from an instant on, at which its rules are taken to
 * have been true, for some streams (and their runs) of which it has no entry.
 * The contact need not be locked: what is written is seeds.
 */
extern void ls_due_await(ContactSource *contacts, Datum key, Datum *streams, Datum *runs,
						 int n, TimestampTz at);

/*
 * Remove up to so many entries of a stream's runs before one, but those that
 * somebody else has a hand on; returns how many.
 */
extern int64 ls_due_empty(int32 stream_id, int32 run, int64 limit);

#endif							/* LS_DUE_H */
