/*-------------------------------------------------------------------------
 *
 * read_lock.c
 *	  Locks on tables that are read.
 *
 * What rules read is mostly locked by us already, in a mode that keeps others
 * from altering it as well: the activity table by the statement that writes it,
 * the contacts by whoever locks their rows.  A lock in one more mode would cost
 * a statement of one row what reading a row costs it, once when it is taken and
 * once more at the end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"

#include "compat.h"
#include "read_lock.h"

void
ls_lock_to_read(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	if (!LS_LOCK_IS_HELD(&tag, RowExclusiveLock) && !LS_LOCK_IS_HELD(&tag, RowShareLock))
		LockRelationOid(relid, AccessShareLock);
}
