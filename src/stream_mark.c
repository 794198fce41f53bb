/*-------------------------------------------------------------------------
 *
 * stream_mark.c
 *	  Streams that a tick has something to do for.
 *
 * leadstream.stream says of each stream whether it is seeded and whether earlier
 * runs have left anything in the clock queue; partial indexes have those that wait.
 * They are read like a system catalog, and marked as the extension's owner, whoever
 * calls tick().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "stream_mark.h"

/* The enabled streams that are not seeded, of transactions that are over, */
static bool
is_unseeded(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;

	return DatumGetBool(heap_getattr(tuple, STREAM_IS_ENABLED, desc, &isnull)) &&
		!DatumGetBool(heap_getattr(tuple, STREAM_IS_SEEDED, desc, &isnull));
}

/* or those that have something left behind. */
static bool
is_littered(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;

	return DatumGetBool(heap_getattr(tuple, STREAM_IS_LITTERED, desc, &isnull));
}

static List *
find_streams(const char *index_name, bool (*is_meant) (HeapTuple tuple, TupleDesc desc))
{
	Oid			relid = ls_catalog_relid("stream");
	Oid			index = get_relname_relid(index_name, get_rel_namespace(relid));
	Relation	rel = table_open(relid, AccessShareLock);
	List	   *ids = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 0, NULL);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		TransactionId by = (TransactionId)
			DatumGetUInt64(heap_getattr(tuple, STREAM_CHANGED, RelationGetDescr(rel), &isnull));

		/* nobody else can know of what our own transaction has done */
		if (!TransactionIdIsCurrentTransactionId(by) &&
			is_meant(tuple, RelationGetDescr(rel)))
			ids = lappend_int(ids, DatumGetInt32(heap_getattr(tuple, STREAM_ID,
															  RelationGetDescr(rel), &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return ids;
}

List *
ls_streams_unseeded(void)
{
	return find_streams("stream_unseeded_idx", is_unseeded);
}

List *
ls_streams_littered(void)
{
	return find_streams("stream_littered_idx", is_littered);
}

/*
 * Set something of streams that a condition still holds of; what somebody is
 * changing is left alone.  Returns their ids.
 */
static List *
mark_streams(const char *what, const char *condition, Datum ids, Datum runs)
{
	Oid			types[2] = {INT4ARRAYOID, INT4ARRAYOID};
	Datum		values[2] = {ids, runs};
	Relation	rel = table_open(ls_catalog_relid("stream"), RowExclusiveLock);
	Oid			userid;
	int			sec_context;
	SPIPlanPtr	plan;
	Snapshot	snapshot;
	List	   *marked = NIL;

	/* the streams are the extension's */
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	plan = SPI_prepare(psprintf("update leadstream.stream u set %s"
								" where u.stream_id operator(pg_catalog.=) any (array("
								"select s.stream_id from leadstream.stream s,"
								" rows from (pg_catalog.unnest($1), pg_catalog.unnest($2)) as p (stream_id, run)"
								" where s.stream_id operator(pg_catalog.=) p.stream_id and %s"
								" for no key update of s skip locked)) returning u.stream_id", what, condition),
					   2, types);
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (plan == NULL || SPI_execute_snapshot(plan, values, NULL, snapshot,
											 InvalidSnapshot, false, true, 0) < 0)
		elog(ERROR, "SPI_execute_snapshot failed");
	UnregisterSnapshot(snapshot);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		marked = lappend_int(marked, DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
																 SPI_tuptable->tupdesc, 1, &isnull)));
	}
	SetUserIdAndSecContext(userid, sec_context);
	table_close(rel, NoLock);
	return marked;
}

List *
ls_streams_mark_seeded(Datum ids, Datum runs)
{
	return mark_streams("is_seeded = true",
						"s.is_enabled and s.run operator(pg_catalog.=) p.run",
						ids, runs);
}

void
ls_streams_mark_swept(Datum ids, Datum runs)
{
	(void) mark_streams("is_littered = false",
						"p.run operator(pg_catalog.=) case when s.is_enabled then s.run"
						" else s.run operator(pg_catalog.+) 1 end",
						ids, runs);
}
