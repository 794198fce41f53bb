/*-------------------------------------------------------------------------
 *
 * contact_lock.h
 *	  The contact's row as the mutex of everything about the contact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CONTACT_LOCK_H
#define LS_CONTACT_LOCK_H

#include "catalog.h"

/* A session of locking, for any number of contacts. */
typedef struct ContactLocker ContactLocker;

/*
 * Allocates in the current memory context; begin and end belong into the same
 * resource owner.
 */
extern ContactLocker *ls_contact_lock_begin(ContactSource *contacts);

/*
 * Lock the newest version of a contact's row until the end of the
 * transaction, waiting for whoever has it.  False: no such contact.  Errors
 * (lock_timeout, deadlock, cancel) are the transaction's.  Callers lock in
 * the order of ls_contact_cmp, or they deadlock with each other.
 */
extern bool ls_contact_lock(ContactLocker *locker, Datum key);

extern void ls_contact_lock_end(ContactLocker *locker);

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
