/*-------------------------------------------------------------------------
 *
 * key_scan.h
 *	  The rows of one key in a table, by the best index there is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_KEY_SCAN_H
#define LS_KEY_SCAN_H

#include "access/htup_details.h"
#include "access/xact.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

typedef struct KeyScan KeyScan;

/* Where a version of a row is stored. */
typedef struct RowPlace
{
	Oid			relid;
	ItemPointerData tid;
} RowPlace;

/*
 * Did this transaction write the row, and in which command?  COPY FREEZE marks
 * rows as frozen, which hides both from the usual functions and makes them
 * visible to every snapshot.
 */
static inline bool
ls_row_is_ours(HeapTupleHeader row, CommandId *command)
{
	if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(row)))
		return false;
	*command = HeapTupleHeaderXminFrozen(row) ? HeapTupleHeaderGetRawCommandId(row) :
		HeapTupleHeaderGetCmin(row);
	return true;
}

/*
 * Open a table, and its leaf partitions or children where it has any, to be
 * asked for the rows whose column key_attno equals a key of type key_type (a
 * base type).  time_attno, where not 0, is a timestamptz column by which
 * ls_keyscan_start may bound the scan.  Takes AccessShareLock, kept until the
 * end of the transaction.  Allocated in the current memory context.
 */
extern KeyScan *ls_keyscan_open(Oid relid, AttrNumber key_attno, Oid key_type,
								AttrNumber time_attno, Snapshot snapshot);

/* The same of a table that the caller has locked. */
extern KeyScan *ls_keyscan_open_locked(Oid relid, AttrNumber key_attno, Oid key_type,
									   AttrNumber time_attno, Snapshot snapshot);

/* Do a key's rows come in the order of time_attno, newest first? */
extern bool ls_keyscan_is_newest_first(KeyScan *scan);

/*
 * From the next start on leave out, where an index can do so cheaply, rows whose
 * integer column is not of a value: what comes is a superset.  attno 0: no more.
 * Of a table without children.
 */
extern void ls_keyscan_narrow(KeyScan *scan, AttrNumber attno, int32 value);

/*
 * Start over for a key.  With not_before the rows older than it may be left
 * out (where an index can do so cheaply): what comes is a superset.
 */
extern void ls_keyscan_start(KeyScan *scan, Datum key,
							 const TimestampTz *not_before);

/*
 * The next row, in the column layout of the table opened, or NULL.  The slot
 * is the scan's own and good until the next call.  *leaf (may be NULL) is the
 * table the row is stored in; the row's tid is in *tid (may be NULL).
 */
extern TupleTableSlot *ls_keyscan_next(KeyScan *scan, Relation *leaf,
									   ItemPointer tid);

/*
 * The same by index entries, of scans that are newest first: the instants of
 * the rows that there are or have been, with a time from "from" on and before
 * "before" (NULL: no end), and the rows themselves by need.
 */
extern void ls_keyscan_start_entries(KeyScan *scan, Datum key, TimestampTz from,
									 const TimestampTz *before);
extern bool ls_keyscan_next_entry(KeyScan *scan, TimestampTz *at, ItemPointer tid);

/* The row of an entry, as ls_keyscan_next gives it; NULL: none to be seen. */
extern TupleTableSlot *ls_keyscan_fetch(KeyScan *scan, ItemPointer tid);

/*
 * The version of a row in a place, which the caller knows to have the key he
 * wants; NULL if the snapshot does not see it.
 */
extern TupleTableSlot *ls_keyscan_row_at(KeyScan *scan, const RowPlace *place);

/* Was the row given last written by this transaction in since_cid or later? */
extern bool ls_keyscan_row_is_fresh(KeyScan *scan, CommandId since_cid);

/* Is it a version that an update made of another?  False: it may be. */
extern bool ls_keyscan_row_is_update(KeyScan *scan);

/* Where is the row given last? */
extern void ls_keyscan_place(KeyScan *scan, RowPlace *place);

/*
 * The version of a row in the place "before", whoever sees it, if this
 * transaction made that in the place "now" of it; else NULL.  *is_fresh: was
 * it written by this transaction in since_cid or later?  The slot is the
 * scan's, but not that of the row given last.
 */
extern TupleTableSlot *ls_keyscan_version_before(KeyScan *scan, const RowPlace *now,
												 const RowPlace *before,
												 CommandId since_cid, bool *is_fresh);

/*
 * Step from the version in a place to the one that this transaction made of it.
 * False: there is none, or it is in another partition.
 */
extern bool ls_keyscan_version_after(KeyScan *scan, RowPlace *place);

/* Does a value of the column equal a key, as the rows that are given do? */
extern bool ls_keyscan_is_key(KeyScan *scan, Datum value, Datum key);

extern void ls_keyscan_close(KeyScan *scan);

#endif							/* LS_KEY_SCAN_H */
