/*-------------------------------------------------------------------------
 *
 * writers.c
 *	  Waiting for the transactions that are writing a table.
 *
 * A statement in flight may have been judged by the streams of a moment ago.
 * Who needs it settled (fetch_history, clear) waits for the transactions that
 * hold a writer's lock at this moment and then reads under a latest snapshot:
 * what a stream change committed before the call could not reach, is then
 * either visible or rolled back.
 *
 * WaitForLockers(ShareLock) would wait for VACUUM and ANALYZE too, and it
 * takes one relation, not the partitions that are written directly.  So the
 * lock table is read once and the holders are waited for by their virtual
 * transaction id, which goes on to stand for a prepared transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "compat.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_wait_for_writers);

/* What INSERT, UPDATE, DELETE and COPY hold, and whatever may stand in for it. */
#define WRITER_LOCKS \
	(LOCKBIT_ON(RowExclusiveLock) | LOCKBIT_ON(ShareRowExclusiveLock) | \
	 LOCKBIT_ON(ExclusiveLock) | LOCKBIT_ON(AccessExclusiveLock))

/* Those who do not want to wait look again after so many milliseconds. */
#define PATIENCE_STEP	10

typedef struct Writer
{
	VirtualTransactionId vxid;
	int			pid;			/* 0: a prepared transaction */
	Oid			relid;
} Writer;

/* The global identifier of a prepared transaction, for a message. */
static char *
prepared_name(VirtualTransactionId vxid)
{
	MemoryContext caller = CurrentMemoryContext;
	TransactionId xid;
	Oid			argtype = XIDOID;
	Datum		value;
	char	   *name = NULL;

	if (VirtualTransactionIdIsRecoveredPreparedXact(vxid))
		xid = vxid.localTransactionId;
	else
	{
		bool		more;

		xid = TwoPhaseGetXidByVirtualXID(vxid, &more);
	}
	if (!TransactionIdIsValid(xid))
		return NULL;

	value = TransactionIdGetDatum(xid);
	SPI_connect();
	if (SPI_execute_with_args("select gid from pg_catalog.pg_prepared_xacts "
							  "where transaction operator(pg_catalog.=) $1",
							  1, &argtype, &value, NULL, true, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
	{
		char	   *gid = SPI_getvalue(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1);

		name = MemoryContextStrdup(caller, gid);
	}
	SPI_finish();
	return name;
}

/* Tell whom we are about to wait for. */
static void
announce(const Writer *writer)
{
	char	   *relname = get_rel_name(writer->relid);

	if (relname == NULL)
		relname = psprintf("%u", writer->relid);
	if (writer->pid != 0)
		ereport(NOTICE,
				(errmsg("waiting for process %d, which is writing table \"%s\"",
						writer->pid, relname)));
	else
	{
		char	   *gid = prepared_name(writer->vxid);

		ereport(NOTICE,
				(errmsg("waiting for prepared transaction \"%s\", which has written table \"%s\"",
						gid ? gid : "?", relname),
				 errhint("It ends with COMMIT PREPARED or ROLLBACK PREPARED.")));
	}
}

/* Who writes tables, their partitions and children now, but ourselves? */
static Writer *
find_writers(List *relids, int *n)
{
	List	   *tables = NIL;
	VirtualTransactionId self;
	LockData   *locks;
	Writer	   *writers;
	int			nwriters = 0;
	ListCell   *lc;

	foreach(lc, relids)
		if (get_rel_relkind(lfirst_oid(lc)) != '\0')
			tables = list_concat_unique_oid(tables,
											find_all_inheritors(lfirst_oid(lc),
																NoLock, NULL));

	GET_VXID_FROM_PGPROC(self, *MyProc);
	locks = GetLockStatusData();
	writers = palloc(sizeof(Writer) * Max(locks->nelements, 1));
	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];
		VirtualTransactionId vxid;
		int			known;

		if (lock->locktag.locktag_type != LOCKTAG_RELATION ||
			lock->locktag.locktag_field1 != MyDatabaseId ||
			(lock->holdMask & WRITER_LOCKS) == 0 ||
			!list_member_oid(tables, lock->locktag.locktag_field2))
			continue;
		LS_LOCK_VXID(vxid, lock);
		if (!VirtualTransactionIdIsValid(vxid) ||
			lock->pid == MyProcPid ||
			VirtualTransactionIdEquals(vxid, self))
			continue;
		for (known = 0; known < nwriters; known++)
			if (VirtualTransactionIdEquals(writers[known].vxid, vxid))
				break;
		if (known < nwriters)
			continue;
		writers[nwriters].vxid = vxid;
		writers[nwriters].pid = lock->pid;
		writers[nwriters].relid = lock->locktag.locktag_field2;
		nwriters++;
	}
	*n = nwriters;
	return writers;
}

void
ls_writers_wait(List *relids)
{
	Oid			match_relid = ls_catalog_relid("lead_match");
	Writer	   *writers;
	int			nwriters;

	if (OidIsValid(match_relid))
		relids = list_append_unique_oid(list_copy(relids), match_relid);
	writers = find_writers(relids, &nwriters);
	for (int i = 0; i < nwriters; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (VirtualXactLock(writers[i].vxid, false))
			continue;
		announce(&writers[i]);
		(void) VirtualXactLock(writers[i].vxid, true);
	}
	pfree(writers);
}

bool
ls_writers_gone(List *relids, int *patience)
{
	int			nwriters;
	Writer	   *writers = find_writers(relids, &nwriters);
	bool		all = true;

	for (int i = 0; i < nwriters && all; i++)
		while (all && !VirtualXactLock(writers[i].vxid, false))
			all = ls_writers_be_patient(patience);
	pfree(writers);
	return all;
}

char *
ls_writers_names(List *relids)
{
	int			nwriters;
	Writer	   *writers = find_writers(relids, &nwriters);
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < nwriters; i++)
		appendStringInfo(&names, "%s%d/%u", i > 0 ? " " : "",
						 LS_VXID_BACKEND(writers[i].vxid), writers[i].vxid.localTransactionId);
	pfree(writers);
	return names.data;
}

bool
ls_writers_have_ended(List *relids, const char *names)
{
	VirtualTransactionId vxid;
	int			backend;
	LocalTransactionId lxid;
	Writer	   *writers;
	int			nwriters;
	bool		all = true;

	for (int length; all && sscanf(names, "%d/%u%n", &backend, &lxid, &length) == 2; names += length)
	{
		LS_VXID_BACKEND(vxid) = backend;
		vxid.localTransactionId = lxid;
		all = VirtualXactLock(vxid, false);
	}
	if (!all)
		return false;
	writers = find_writers(relids, &nwriters);
	for (int i = 0; i < nwriters && all; i++)
		if (VirtualTransactionIdIsRecoveredPreparedXact(writers[i].vxid))
			all = VirtualXactLock(writers[i].vxid, false);
	pfree(writers);
	return all;
}

bool
ls_writers_be_patient(int *patience)
{
	CHECK_FOR_INTERRUPTS();
	if (*patience <= 0)
		return false;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 PATIENCE_STEP, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	*patience -= PATIENCE_STEP;
	CHECK_FOR_INTERRUPTS();
	return true;
}

/* wait_for_writers(regclass[]) */
Datum
leadstream_wait_for_writers(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Datum	   *values;
	bool	   *nulls;
	int			count;
	List	   *relids = NIL;

	deconstruct_array(array, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &values, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			relids = lappend_oid(relids, DatumGetObjectId(values[i]));
	ls_writers_wait(relids);
	PG_RETURN_VOID();
}
