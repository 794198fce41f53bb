/*-------------------------------------------------------------------------
 *
 * read_lock.h
 *	  Locks on tables that are read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_READ_LOCK_H
#define LS_READ_LOCK_H

/*
 * Keep others from altering a table until the end of the transaction, or of the
 * subtransaction that has taken the lock if that is aborted, as AccessShareLock
 * does.  Messages that the table has changed have been seen then.
 */
extern void ls_lock_to_read(Oid relid);

#endif							/* LS_READ_LOCK_H */
