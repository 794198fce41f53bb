/*-------------------------------------------------------------------------
 *
 * contact_lock.h
 *	  The contact's row as the mutex of everything about the contact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CONTACT_LOCK_H
#define LS_CONTACT_LOCK_H

#include "nodes/lockoptions.h"

#include "catalog.h"
#include "utils/snapshot.h"

struct KeyScan;
struct RowPlace;

/* A session of locking the rows of keys in one table. */
typedef struct RowLocker RowLocker;

/*
 * Allocates in the current memory context; begin and end belong into the same
 * resource owner.  key_type is a base type.  Rows are those of this moment.
 */
extern RowLocker *ls_row_lock_begin(Oid relid, AttrNumber key_attno,
									Oid key_type, LockTupleMode mode);

/*
 * Lock the newest versions of the rows with a key until the end of the
 * transaction, waiting for whoever has them; returns their number.  Errors
 * (lock_timeout, deadlock, cancel) are the transaction's.
 */
extern int	ls_row_lock(RowLocker *locker, Datum key);

/* From now on do not wait for rows that somebody has: such a key has none. */
extern void ls_row_lock_skip(RowLocker *locker);

/* From now on lock FOR UPDATE: foreign keys, too, wait for whoever has a row. */
extern void ls_row_lock_exclude(RowLocker *locker);

/* Is what was not locked last a row that somebody has? */
extern bool ls_row_lock_is_skipped(RowLocker *locker);

/* The same, and where the version locked last is stored. */
extern int	ls_row_lock_at(RowLocker *locker, Datum key, struct RowPlace *place);

/*
 * Lock the contact that had a key in a snapshot, whatever key it has now,
 * which *key becomes (allocated in the current memory context); false if that
 * contact is gone, even if another has its key.  "seen" is a scan of the
 * contacts by key under that snapshot.
 */
extern bool ls_contact_follow(RowLocker *locker, struct KeyScan *seen,
							  Snapshot snapshot, Datum *key);

/*
 * Keep the version locked last in sight; as the snapshot saw it, if others may
 * change such a row all the same.  Good until the next one is locked.
 */
extern void ls_row_lock_keep(RowLocker *locker);
extern struct TupleTableSlot *ls_row_locked(RowLocker *locker);

extern void ls_row_lock_end(RowLocker *locker);

/*
 * The same for contacts: their rows are locked FOR NO KEY UPDATE.  Callers
 * lock in the order of ls_contact_cmp, or they deadlock with each other.
 */
extern RowLocker *ls_contact_lock_begin(ContactSource *contacts);

/* False: no such contact. */
static inline bool
ls_contact_lock(RowLocker *locker, Datum key)
{
	return ls_row_lock(locker, key) > 0;
}

/* One order of contacts for all: the default btree order of their key. */
typedef struct ContactOrder
{
	bool		byval;
	int16		len;
	FmgrInfo	cmp;
	Oid			collation;
	bool		is_int8;		/* compared without a call */
	bool		is_int4;
} ContactOrder;

extern void ls_contact_order_init(ContactOrder *order, ContactSource *contacts);

static inline int
ls_contact_cmp(ContactOrder *order, Datum a, Datum b)
{
	if (order->is_int8)
		return DatumGetInt64(a) < DatumGetInt64(b) ? -1 :
			DatumGetInt64(a) > DatumGetInt64(b);
	if (order->is_int4)
		return DatumGetInt32(a) < DatumGetInt32(b) ? -1 :
			DatumGetInt32(a) > DatumGetInt32(b);
	return DatumGetInt32(FunctionCall2Coll(&order->cmp, order->collation, a, b));
}

#endif							/* LS_CONTACT_LOCK_H */
