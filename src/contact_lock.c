/*-------------------------------------------------------------------------
 *
 * contact_lock.c
 *	  The contact's row as the mutex of everything about the contact.
 *
 * Two transactions that only together make a rule true must not both miss it.
 * Whoever judges a contact, or writes its leads, first locks its row FOR NO
 * KEY UPDATE: that conflicts with itself, not with the KEY SHARE locks of
 * foreign keys.  The row is looked up under a latest snapshot and locked by
 * the table's access method, never through SPI, so that REPEATABLE READ and
 * SERIALIZABLE transactions wait and go on instead of failing.
 *
 * Where the row turns out to have been changed while we waited, it is looked
 * up again by its key under a newer snapshot.  Following the chain of
 * versions instead (TUPLE_LOCK_FLAG_FIND_LAST_VERSION) would raise an error
 * for a contact that moved to another partition, and lock one whose key is
 * no longer ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "contact_lock.h"
#include "key_scan.h"

/* A leaf of the table that rows were locked in. */
typedef struct LockLeaf
{
	Oid			relid;
	TupleTableSlot *slot;
} LockLeaf;

struct RowLocker
{
	Oid			relid;
	AttrNumber	key_attno;
	Oid			key_type;
	LockTupleMode mode;
	LockWaitPolicy wait;
	bool		must_look_again;	/* what is not found may be newer than our
									 * snapshot */
	MemoryContext context;
	Snapshot	snapshot;
	KeyScan    *scan;
	List	   *leaves;			/* of LockLeaf *, the last used first */
	bool		is_skipped;		/* somebody has the row tried last */
	bool		keeps_row;		/* in "locked", while it is the last */
	TupleTableSlot *locked;
};

/*
 * Versions of a row that may pass us by before something must be wrong; each
 * of them costs one wait for a transaction.
 */
#define MAX_LOCK_ATTEMPTS	10000

/* Look rows up as of this moment. */
static void
open_scan(RowLocker *locker)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(locker->context);

	/* rows that this very command wrote must be found */
	CommandCounterIncrement();
	locker->snapshot = RegisterSnapshot(GetLatestSnapshot());
	locker->scan = ls_keyscan_open_locked(locker->relid, locker->key_attno,
										  locker->key_type, InvalidAttrNumber,
										  locker->snapshot);
	MemoryContextSwitchTo(oldcontext);
}

static void
close_scan(RowLocker *locker)
{
	ls_keyscan_close(locker->scan);
	UnregisterSnapshot(locker->snapshot);
	locker->scan = NULL;
}

RowLocker *
ls_row_lock_begin(Oid relid, AttrNumber key_attno, Oid key_type,
				  LockTupleMode mode)
{
	RowLocker  *locker = palloc0(sizeof(RowLocker));

	locker->relid = relid;
	locker->key_attno = key_attno;
	locker->key_type = key_type;
	locker->mode = mode;
	locker->wait = LockWaitBlock;
	locker->context = CurrentMemoryContext;
	LockRelationOid(relid, RowShareLock);
	open_scan(locker);
	return locker;
}

RowLocker *
ls_contact_lock_begin(ContactSource *contacts)
{
	RowLocker  *locker = ls_row_lock_begin(contacts->relid, contacts->key_attno,
										   contacts->key_base,
										   LockTupleNoKeyExclusive);

	locker->must_look_again = true;
	return locker;
}

/* The slot to lock rows of a leaf with. */
static TupleTableSlot *
leaf_slot(RowLocker *locker, Relation leaf)
{
	LockLeaf   *entry;
	ListCell   *lc;
	MemoryContext oldcontext;

	foreach(lc, locker->leaves)
	{
		entry = lfirst(lc);
		if (entry->relid == RelationGetRelid(leaf))
			return entry->slot;
	}

	if (RelationGetRelid(leaf) != locker->relid)
		LockRelationOid(RelationGetRelid(leaf), RowShareLock);
	oldcontext = MemoryContextSwitchTo(locker->context);
	entry = palloc(sizeof(LockLeaf));
	entry->relid = RelationGetRelid(leaf);
	entry->slot = table_slot_create(leaf, NULL);
	locker->leaves = lcons(entry, locker->leaves);
	MemoryContextSwitchTo(oldcontext);
	return entry->slot;
}

void
ls_row_lock_skip(RowLocker *locker)
{
	locker->wait = LockWaitSkip;
}

void
ls_row_lock_exclude(RowLocker *locker)
{
	locker->mode = LockTupleExclusive;
}

void
ls_row_lock_keep(RowLocker *locker)
{
	locker->keeps_row = true;
}

TupleTableSlot *
ls_row_locked(RowLocker *locker)
{
	return locker->locked;
}

bool
ls_row_lock_is_skipped(RowLocker *locker)
{
	return locker->is_skipped;
}

/*
 * A lock that goes along with updates must be put on what they make, too, for
 * who has updated a row may delete it next, or has done so.
 */
static uint8
lock_flags(RowLocker *locker)
{
	return locker->mode == LockTupleKeyShare ? TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS : 0;
}

/*
 * Lock a row; false if it is newer than our snapshot, or gone, or somebody has
 * it.
 */
static bool
lock_version(RowLocker *locker, Relation leaf, ItemPointer tid)
{
	TupleTableSlot *slot = leaf_slot(locker, leaf);
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(leaf, tid, locker->snapshot, slot,
							  GetCurrentCommandId(false), locker->mode,
							  locker->wait, lock_flags(locker), &failure);
	locker->locked = slot;
	if (result != TM_Ok || !locker->keeps_row)
		ExecClearTuple(slot);
	switch (result)
	{
		case TM_Ok:
			return true;
		case TM_WouldBlock:
			locker->is_skipped = true;
			return false;
		case TM_Updated:
		case TM_Deleted:
		case TM_SelfModified:
		case TM_Invisible:
			return false;
		default:
			/* there is nothing else; cannot happen */
			elog(ERROR, "unexpected result of locking a row: %d", (int) result);
	}
	return false;				/* keep compiler quiet */
}

int
ls_row_lock(RowLocker *locker, Datum key)
{
	RowPlace	place;

	return ls_row_lock_at(locker, key, &place);
}

int
ls_row_lock_at(RowLocker *locker, Datum key, RowPlace *place)
{
	bool		is_newest = false;	/* was the scan opened for this key? */

	locker->is_skipped = false;
	for (int attempt = 0; attempt < MAX_LOCK_ATTEMPTS; attempt++)
	{
		Relation	leaf;
		ItemPointerData tid;
		int			nlocked = 0;
		bool		missed = false;

		CHECK_FOR_INTERRUPTS();
		ls_keyscan_start(locker->scan, key, NULL);
		while (!missed && ls_keyscan_next(locker->scan, &leaf, &tid) != NULL)
		{
			if (lock_version(locker, leaf, &tid))
			{
				nlocked++;
				place->relid = RelationGetRelid(leaf);
				place->tid = tid;
			}
			else
				missed = true;
		}
		if (locker->is_skipped)
			return 0;
		if (!missed &&
			(nlocked > 0 || is_newest || !locker->must_look_again))
			return nlocked;
		close_scan(locker);
		open_scan(locker);
		is_newest = true;
	}
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not lock a row that never stops changing")));
}

bool
ls_contact_follow(RowLocker *locker, KeyScan *seen, Snapshot snapshot, Datum *key)
{
	Relation	leaf;
	ItemPointerData tid;
	TupleTableSlot *slot;
	TM_FailureData failure;
	TM_Result	result;
	AttrNumber	attno;
	Datum		value;
	bool		isnull;
	int16		len;
	bool		byval;

	CHECK_FOR_INTERRUPTS();
	locker->is_skipped = false;
	ls_keyscan_start(seen, *key, NULL);
	if (ls_keyscan_next(seen, &leaf, &tid) == NULL)
		return ls_row_lock(locker, *key) > 0;	/* made since by ourselves */
	slot = leaf_slot(locker, leaf);
	result = table_tuple_lock(leaf, &tid, snapshot, slot,
							  GetCurrentCommandId(false), locker->mode,
							  locker->wait, lock_flags(locker), &failure);
	if (result == TM_Updated)
	{
		/* a chain of versions does not lead into another partition */
		if (ItemPointerIndicatesMovedPartitions(&failure.ctid))
		{
			ExecClearTuple(slot);
			return ls_row_lock(locker, *key) > 0;
		}
		result = table_tuple_lock(leaf, &tid, snapshot, slot,
								  GetCurrentCommandId(false), locker->mode,
								  locker->wait,
								  lock_flags(locker) | TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
								  &failure);
		if (result == TM_Ok)
		{
			attno = RelationGetRelid(leaf) == locker->relid ? locker->key_attno :
				get_attnum(RelationGetRelid(leaf),
						   get_attname(locker->relid, locker->key_attno, false));
			get_typlenbyval(TupleDescAttr(RelationGetDescr(leaf), attno - 1)->atttypid,
							&len, &byval);
			value = slot_getattr(slot, attno, &isnull);
			if (len == -1)
				value = PointerGetDatum(PG_DETOAST_DATUM(value));
			*key = datumCopy(value, byval, len);
		}
	}
	locker->is_skipped = result == TM_WouldBlock;
	ExecClearTuple(slot);
	return result == TM_Ok;
}

void
ls_row_lock_end(RowLocker *locker)
{
	ListCell   *lc;

	close_scan(locker);
	foreach(lc, locker->leaves)
		ExecDropSingleTupleTableSlot(((LockLeaf *) lfirst(lc))->slot);
	list_free_deep(locker->leaves);
	pfree(locker);
}

void
ls_contact_order_init(ContactOrder *order, ContactSource *contacts)
{
	order->len = contacts->key_len;
	order->byval = contacts->key_byval;
	order->collation = contacts->key_collation;
	order->is_int8 = contacts->key_base == INT8OID && FLOAT8PASSBYVAL;
	order->is_int4 = contacts->key_base == INT4OID;
	if (!order->is_int8 && !order->is_int4)
		fmgr_info(lookup_type_cache(contacts->key_base, TYPECACHE_CMP_PROC)->cmp_proc,
				  &order->cmp);
}
