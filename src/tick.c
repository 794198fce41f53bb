/*-------------------------------------------------------------------------
 *
 * tick.c
 *	  Settling what is due by the clock.
 *
 * tick() walks through the clock queue (due.c) in the order of time, by one
 * index scan that ends at the clock, and hands what it meets to settle.c in
 * batches.  It waits for nobody: a contact that somebody has locked, a writer
 * or another tick, is left for the next one.  So any number of them may run.
 *
 * Streams that were enabled, or whose rule was altered, are seeded first
 * (seed.c), and scores that are kept are brought up to date (score_walk.c).
 *
 * Where a lead was deleted, somebody may have written for its contact who saw it
 * still there and so judged nothing: those who write at that moment are waited
 * for a while before such a contact is looked at, or it is left for the next tick,
 * which need not wait for those who came later (horizon.c).
 *
 * Last, what earlier runs of streams have left in the queue is removed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "due.h"
#include "guc.h"
#include "horizon.h"
#include "owner_sql.h"
#include "score_walk.h"
#include "seed.h"
#include "settle.h"
#include "stream_mark.h"
#include "stream_read.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_tick);
PG_FUNCTION_INFO_V1(leadstream_clock_now);

/* Entries that are settled together. */
#define TICK_BATCH		5000

/* Milliseconds that a tick waits for those who write since before a lead was deleted. */
#define AWAIT_PATIENCE	500

/* _clock_now() -> timestamptz */
Datum
leadstream_clock_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(ls_clock_read());
}

/* Settle a batch of what is due. */
static void
settle_batch(StreamSet *set, Candidate *candidates, int n, DeliverCounts *counts,
			 int64 *settled)
{
	static CandidateOrigin origin = {InvalidOid, "clock", NULL};
	Settlement	settlement = {0};

	settlement.set = set;
	settlement.ncandidates = n;
	settlement.candidates = candidates;
	settlement.norigins = 1;
	settlement.origins = &origin;
	settlement.command = InvalidCommandId;
	settlement.newest = DT_NOBEGIN;
	settlement.is_tick = true;
	ls_settle(&settlement);
	counts->leads += settlement.counts.leads;
	counts->matches += settlement.counts.matches;
	*settled += settlement.settled;
}

/* Scan what is due, in the order of time. */
static SysScanDesc
begin_scan(Relation rel, Relation index, Snapshot snapshot, TimestampTz clock)
{
	ScanKeyData key;

	ScanKeyInit(&key, DUE_AT, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(clock));
	return systable_beginscan_ordered(rel, index, snapshot, 1, &key);
}

/* Is it the entry of a contact that is to be looked at because it lost its lead? */
static bool
is_awaited(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;

	return DatumGetBool(heap_getattr(tuple, DUE_IS_SEED, desc, &isnull)) &&
		DatumGetBool(heap_getattr(tuple, DUE_ARRIVAL, desc, &isnull));
}

/* Does everybody who writes know that it did? */
static bool
is_known(HeapTuple tuple, uint64 horizon)
{
	return ls_horizon_widen(HeapTupleHeaderGetXmin(tuple->t_data)) < horizon;
}

/*
 * Have those ended who write since before the entries were that a scan finds, as
 * far as that matters to any?  Comes first, for later writers may wait for us.
 */
static bool
await_writers(StreamSet *set, SysScanDesc scan, TupleDesc desc, uint64 horizon)
{
	List	   *relids = list_make1_oid(set->contacts->relid);
	int			patience = AWAIT_PATIENCE;
	HeapTuple	tuple;

	do
	{
		CHECK_FOR_INTERRUPTS();
		tuple = systable_getnext_ordered(scan, ForwardScanDirection);
	} while (tuple && (!is_awaited(tuple, desc) || is_known(tuple, horizon)));
	if (tuple == NULL)
		return true;
	for (int k = 0; k < set->nkinds; k++)
		if (!ls_source_is_own(set->kinds[k]))
			relids = list_append_unique_oid(relids, set->kinds[k]->relid);
	if (ls_writers_gone(relids, &patience))
		return true;
	ls_horizon_move();
	return false;
}

/* Walk through the queue up to the clock, or until "limit" entries are settled. */
static void
walk(StreamSet *set, int64 limit, DeliverCounts *counts, int64 *settled)
{
	Oid			relid = ls_catalog_relid("due");
	TimestampTz clock = ls_clock_read();
	uint64		horizon = ls_horizon();
	int			batch = Min(limit, TICK_BATCH);
	Relation	rel = table_open(relid, RowExclusiveLock);
	Relation	index;
	Oid			index_relid;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;
	Candidate  *candidates = palloc(sizeof(Candidate) * batch);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "leadstream tick",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext;
	int			n = 0;
	bool		are_gone;
	int16		len = set->contacts->key_len;
	bool		byval = set->contacts->key_byval;

	index_relid = ls_catalog_index(rel, DUE_AT);
	if (!OidIsValid(index_relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("leadstream.due has no index on its column at"),
				 errhint("create index on leadstream.due (at);")));
	index = index_open(index_relid, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = begin_scan(rel, index, snapshot, clock);
	are_gone = await_writers(set, scan, RelationGetDescr(rel), horizon);
	systable_endscan_ordered(scan);
	scan = begin_scan(rel, index, snapshot, clock);
	do
	{
		tuple = systable_getnext_ordered(scan, ForwardScanDirection);
		if (tuple && (are_gone || !is_awaited(tuple, RelationGetDescr(rel)) ||
					  is_known(tuple, horizon)))
		{
			Candidate  *candidate = &candidates[n++];
			bool		isnull;
			Datum		value = heap_getattr(tuple, DUE_CONTACT, RelationGetDescr(rel), &isnull);

			memset(candidate, 0, sizeof(Candidate));
			candidate->stream_id = DatumGetInt32(heap_getattr(tuple, DUE_STREAM,
															  RelationGetDescr(rel), &isnull));
			oldcontext = MemoryContextSwitchTo(context);
			candidate->key = len == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value)) :
				datumCopy(value, byval, len);
			MemoryContextSwitchTo(oldcontext);
		}
		if (n == batch || (tuple == NULL && n > 0))
		{
			oldcontext = MemoryContextSwitchTo(context);
			settle_batch(set, candidates, n, counts, settled);
			MemoryContextSwitchTo(oldcontext);
			MemoryContextReset(context);
			n = 0;
		}
	} while (tuple && *settled < limit);
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, NoLock);
	MemoryContextDelete(context);
}

/* The same, with the streams of this moment. */
static void
walk_queue(int64 limit, DeliverCounts *counts, int64 *settled)
{
	StreamSet  *set = ls_streams_pin();

	if (set == NULL)
		return;
	PG_TRY();
	{
		ls_scores_tick(set, limit, settled);
		if (*settled < limit)
			walk(set, limit, counts, settled);
	}
	PG_CATCH();
	{
		ls_streams_unpin(set);
		PG_RE_THROW();
	}
	PG_END_TRY();
	ls_streams_unpin(set);
}

/*
 * Remove what earlier runs have left behind.  Comes last, for until the end of
 * the transaction writers may have to wait for it.
 */
static void
sweep(int64 limit, int64 *settled)
{
	List	   *ids = ls_streams_littered();
	Datum	   *done = palloc(sizeof(Datum) * Max(list_length(ids), 1));
	Datum	   *runs = palloc(sizeof(Datum) * Max(list_length(ids), 1));
	int			ndone = 0;
	ListCell   *lc;

	foreach(lc, ids)
	{
		StreamRow  *row = ls_stream_read(lfirst_int(lc), NULL);
		int32		run;

		CHECK_FOR_INTERRUPTS();
		if (row == NULL)
			continue;
		if (*settled >= limit)
			break;
		run = row->is_enabled ? row->run : row->run + 1;
		*settled += ls_due_empty(row->stream_id, run, limit - *settled);
		if (*settled >= limit)
			break;
		done[ndone] = Int32GetDatum(row->stream_id);
		runs[ndone++] = Int32GetDatum(run);
	}
	if (ndone > 0)
		ls_streams_mark_swept(ls_owner_array(done, NULL, ndone, INT4OID),
							  ls_owner_array(runs, NULL, ndone, INT4OID));
}

/* _tick(batch bigint) -> (leads bigint, settled bigint); batch null: all */
Datum
leadstream_tick(PG_FUNCTION_ARGS)
{
	int64		limit = PG_ARGISNULL(0) ? PG_INT64_MAX : Max(PG_GETARG_INT64(0), 1);
	Oid			match_relid = ls_catalog_relid("lead_match");
	DeliverCounts counts = {0, 0};
	int64		settled = 0;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	PreventCommandIfReadOnly("leadstream.tick()");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (OidIsValid(match_relid) && OidIsValid(ls_catalog_relid("due")))
	{
		/* clear() waits for whoever may be about to make matches */
		LockRelationOid(match_relid, RowExclusiveLock);
		ls_seed_unseeded();
		walk_queue(limit, &counts, &settled);
		sweep(limit, &settled);
	}
	SPI_finish();
	values[0] = Int64GetDatum(counts.leads);
	values[1] = Int64GetDatum(settled);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
