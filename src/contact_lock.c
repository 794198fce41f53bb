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
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "contact_lock.h"
#include "key_scan.h"

/* A leaf of the contacts table that rows were locked in. */
typedef struct LockLeaf
{
	Oid			relid;
	TupleTableSlot *slot;
} LockLeaf;

struct ContactLocker
{
	ContactSource *contacts;
	MemoryContext context;
	Snapshot	snapshot;
	KeyScan    *scan;
	List	   *leaves;			/* of LockLeaf *, the last used first */
};

/*
 * Versions of a row that may pass us by before something must be wrong; each
 * of them costs one wait for a transaction.
 */
#define MAX_LOCK_ATTEMPTS	10000

/* Look contacts up as of this moment. */
static void
open_scan(ContactLocker *locker)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(locker->context);

	/* contacts that this very command wrote must be found */
	CommandCounterIncrement();
	locker->snapshot = RegisterSnapshot(GetLatestSnapshot());
	locker->scan = ls_keyscan_open(locker->contacts->relid,
								   locker->contacts->key_attno,
								   locker->contacts->key_base,
								   InvalidAttrNumber,
								   locker->snapshot);
	MemoryContextSwitchTo(oldcontext);
}

static void
close_scan(ContactLocker *locker)
{
	ls_keyscan_close(locker->scan);
	UnregisterSnapshot(locker->snapshot);
	locker->scan = NULL;
}

ContactLocker *
ls_contact_lock_begin(ContactSource *contacts)
{
	ContactLocker *locker = palloc0(sizeof(ContactLocker));

	locker->contacts = contacts;
	locker->context = CurrentMemoryContext;
	LockRelationOid(contacts->relid, RowShareLock);
	open_scan(locker);
	return locker;
}

/* The slot to lock rows of a leaf with. */
static TupleTableSlot *
leaf_slot(ContactLocker *locker, Relation leaf)
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

	if (RelationGetRelid(leaf) != locker->contacts->relid)
		LockRelationOid(RelationGetRelid(leaf), RowShareLock);
	oldcontext = MemoryContextSwitchTo(locker->context);
	entry = palloc(sizeof(LockLeaf));
	entry->relid = RelationGetRelid(leaf);
	entry->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(leaf)),
										   table_slot_callbacks(leaf));
	locker->leaves = lcons(entry, locker->leaves);
	MemoryContextSwitchTo(oldcontext);
	return entry->slot;
}

bool
ls_contact_lock(ContactLocker *locker, Datum key)
{
	bool		is_newest = false;	/* was the scan opened for this contact? */

	for (int attempt = 0; attempt < MAX_LOCK_ATTEMPTS; attempt++)
	{
		Relation	leaf;
		ItemPointerData tid;
		TupleTableSlot *slot;
		TM_FailureData failure;
		TM_Result	result;

		CHECK_FOR_INTERRUPTS();
		ls_keyscan_start(locker->scan, key, NULL);
		if (ls_keyscan_next(locker->scan, &leaf, &tid) == NULL)
		{
			if (is_newest)
				return false;
		}
		else
		{
			slot = leaf_slot(locker, leaf);
			result = table_tuple_lock(leaf, &tid, locker->snapshot, slot,
									  GetCurrentCommandId(false),
									  LockTupleNoKeyExclusive, LockWaitBlock,
									  0, &failure);
			ExecClearTuple(slot);
			switch (result)
			{
				case TM_Ok:
					return true;
				case TM_Updated:
				case TM_Deleted:
				case TM_SelfModified:
				case TM_Invisible:
					break;		/* newer than our snapshot: look again */
				default:
					/* LockWaitBlock leaves nothing else; cannot happen */
					elog(ERROR, "unexpected result of locking a contact: %d",
						 (int) result);
			}
		}
		close_scan(locker);
		open_scan(locker);
		is_newest = true;
	}
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not lock a contact that never stops changing")));
}

void
ls_contact_lock_end(ContactLocker *locker)
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
	TypeCacheEntry *type = lookup_type_cache(contacts->key_base,
											 TYPECACHE_CMP_PROC);

	get_typlenbyval(contacts->key_type, &order->len, &order->byval);
	order->collation = contacts->key_collation;
	order->is_int8 = contacts->key_base == INT8OID && FLOAT8PASSBYVAL;
	order->is_int4 = contacts->key_base == INT4OID;
	if (!order->is_int8 && !order->is_int4)
		fmgr_info(type->cmp_proc, &order->cmp);
}
