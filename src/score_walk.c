/*-------------------------------------------------------------------------
 *
 * score_walk.c
 *	  Scores that time has turned, and those of sets that were changed.
 *
 * What is due is found by the index on next_at, as tick() finds what streams
 * wait for, and settled in batches of contacts that nobody has.
 *
 * A change of a score set raises its version and does nothing else.  A walk then
 * goes through all contacts in the order of their keys (contact_walk.c) and judges
 * them by the new version; leadstream.score_walk says how far it has come.  It begins when
 * those have ended who were writing then, for they may not know the new version
 * and leave scores of the older one (horizon.c).  Contacts that somebody has and does not let
 * go of are passed over, and for their sake there is another round.  Ticks do a
 * part of it each, one tick at a time; rescore() all of it, and it waits.
 *
 * Of a set that is gone, what is kept is removed.
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
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "contact_walk.h"
#include "guc.h"
#include "horizon.h"
#include "owner_sql.h"
#include "score_keep.h"
#include "score_walk.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_walk_scores);

/* Contacts that are settled together, and that one tick walks over. */
#define SCORE_BATCH		5000
#define SCORE_WALK		20000

/*
 * Milliseconds that a tick waits for those who were writing when a set was
 * changed, and, while it has contacts locked itself, for contacts of a walk that
 * somebody has.
 */
#define SCORE_PATIENCE	500
#define WALK_PATIENCE	50

/* A copy of a key in the current memory context. */
static Datum
copy_key(Datum key, int16 len, bool byval)
{
	return len == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(key)) : datumCopy(key, byval, len);
}


/* -------------------------------------------------------------------------
 * What is due
 * -------------------------------------------------------------------------
 */
static void
settle_due(StreamSet *set, int64 limit, int64 *settled)
{
	Oid			relid = ls_catalog_relid("score");
	Relation	rel = table_open(relid, RowExclusiveLock);
	Oid			index_relid = get_relname_relid("score_next_at_idx", get_rel_namespace(relid));
	int			batch = Min(limit, SCORE_BATCH);
	ScoreItem  *items = palloc(sizeof(ScoreItem) * batch);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "leadstream due scores",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext;
	TupleDesc	desc = RelationGetDescr(rel);
	Relation	index;
	Snapshot	snapshot;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			n = 0;
	int			nchanged;
	int16		len = set->contacts->key_len;
	bool		byval = set->contacts->key_byval;

	if (!OidIsValid(index_relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("leadstream.score has no index on its column next_at"),
				 errhint("create index score_next_at_idx on leadstream.score (next_at) where next_at is not null;")));
	index = index_open(index_relid, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyInit(&key, SCORE_NEXT_AT, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(ls_clock_read()));
	scan = systable_beginscan_ordered(rel, index, snapshot, 1, &key);
	do
	{
		tuple = systable_getnext_ordered(scan, ForwardScanDirection);
		if (tuple)
		{
			ScoreItem  *item = &items[n++];
			bool		isnull;

			memset(item, 0, sizeof(ScoreItem));
			item->score_set_id = DatumGetInt32(heap_getattr(tuple, SCORE_SCORE_SET, desc, &isnull));
			oldcontext = MemoryContextSwitchTo(context);
			item->key = copy_key(heap_getattr(tuple, SCORE_CONTACT, desc, &isnull), len, byval);
			MemoryContextSwitchTo(oldcontext);
		}
		if (n == batch || (tuple == NULL && n > 0))
		{
			*settled += n - ls_scores_settle(set, items, n, false, &nchanged);
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


/* -------------------------------------------------------------------------
 * The walk
 * -------------------------------------------------------------------------
 */

/* How far the walk of a set has come. */
typedef struct Walk
{
	int32		score_set_id;
	int32		version;
	bool		is_gone;		/* the set is */
	bool		is_begun;
	uint64		changed;		/* the transaction that began it */
	char	   *position;		/* NULL: at the beginning */
} Walk;

/* The file of the table of scores: which is emptied by a new one. */
static Datum
kept_file(void)
{
	Relation	rel = table_open(ls_catalog_relid("score"), AccessShareLock);
	Datum		result = Int64GetDatum((int64) LS_RELATION_FILE(rel));

	table_close(rel, NoLock);
	return result;
}

/*
 * The walks that there are to do, or that of one set, in the current memory
 * context.  What our own transaction has changed nobody else knows of yet.
 */
static List *
read_walks(int32 score_set_id)
{
	static Oid	types[2] = {INT4OID, INT8OID};
	Datum		values[2] = {Int32GetDatum(score_set_id), kept_file()};
	MemoryContext caller = CurrentMemoryContext;
	List	   *walks = NIL;
	OwnerState	owner;
	uint64		n;

	if (!ls_owner_begin_of(ls_catalog_relid("score_walk"), &owner))
		return NIL;
	n = ls_owner_run_text("select coalesce(s.score_set_id, w.score_set_id), coalesce(s.version, 0), s.score_set_id is null,"
			" coalesce(w.version = s.version and w.kept = $2, false), w.position,"
			" s.changed, w.xmin "
			"from leadstream.score_set s full join leadstream.score_walk w on w.score_set_id = s.score_set_id "
			"where $1 in (0, s.score_set_id) and (s.score_set_id is null or s.is_enabled"
			"  and s.changed is distinct from pg_current_xact_id_if_assigned())"
			" and (s.version = w.version and w.kept = $2 and w.is_done) is not true "
			"order by 1", 2, types, values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext oldcontext = MemoryContextSwitchTo(caller);
		Walk	   *walk = palloc0(sizeof(Walk));
		bool		isnull;

		walk->score_set_id = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));
		walk->version = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
		walk->is_gone = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
		walk->is_begun = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
		walk->position = walk->is_begun ? SPI_getvalue(tuple, desc, 5) : NULL;
		/* of a set that is gone: the transaction that said so */
		walk->changed = walk->is_gone ?
			ls_horizon_widen(DatumGetTransactionId(SPI_getbinval(tuple, desc, 7, &isnull))) :
			DatumGetUInt64(SPI_getbinval(tuple, desc, 6, &isnull));
		walks = lappend(walks, walk);
		MemoryContextSwitchTo(oldcontext);
	}
	ls_owner_end(&owner);
	return walks;
}

/* The tables whose writers, and ticks, may leave scores of an older version. */
static List *
written_tables(StreamSet *set)
{
	List	   *relids = list_make2_oid(set->contacts->relid, ls_catalog_relid("score"));

	for (int k = 0; k < set->nkinds; k++)
		relids = list_append_unique_oid(relids, set->kinds[k]->relid);
	return relids;
}

/* Put a walk on record as begun. */
static void
begin_walk(StreamSet *set, const Walk *walk, const char *account)
{
	static Oid	types[4] = {INT4OID, INT4OID, INT8OID, INT8OID};
	Datum		values[4] = {Int32GetDatum(walk->score_set_id), Int32GetDatum(walk->version),
		kept_file(), Int64GetDatum(ls_walk_length(set->contacts, account, true))};

	(void) ls_owner_run_on("score_walk",
						   "insert into leadstream.score_walk as w (score_set_id, version, kept, contact_count) "
						   "values ($1, $2, $3, $4) "
						   "on conflict (score_set_id) do update set version = excluded.version,"
						   " kept = excluded.kept, contact_count = excluded.contact_count, position = null, done = 0,"
						   " skipped = 0, is_done = false, started_at = default",
						   4, types, values, NULL);
}

/* The next contacts, in the current memory context. */
static ScoreItem *
next_contacts(StreamSet *set, const Walk *walk, const char *account, int limit, WalkPart *part)
{
	ScoreItem  *items;

	ls_walk_next(set->contacts, account, walk->position, limit, true, true, part);
	/* for as many as there are: who wants no commits in between says a large number */
	items = palloc_extended(sizeof(ScoreItem) * (Size) Max(part->count, 1),
							MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < part->count; i++)
	{
		items[i].key = part->keys[i];
		items[i].score_set_id = walk->score_set_id;
	}
	return items;
}

/* What was done of walks. */
typedef struct Steps
{
	int64		walked;			/* contacts */
	int64		settled;		/* scores that were written, or removed */
	int			patience;		/* what is left of WALK_PATIENCE */
} Steps;

/*
 * Settle contacts of a walk; returns how many were left.  Most of those who have
 * one let go of it soon, and each that is left costs another round: where many
 * write, no round would ever find all contacts free.
 */
static int
settle_walked(StreamSet *set, ScoreItem *items, int n, bool may_wait, Steps *steps)
{
	int			nchanged;
	int			nleft = ls_scores_settle(set, items, n, may_wait, &nchanged);

	steps->settled += nchanged;
	while (nleft > 0 && ls_writers_be_patient(&steps->patience))
	{
		items += n - nleft;
		n = nleft;
		nleft = ls_scores_settle(set, items, n, false, &nchanged);
		steps->settled += nchanged;
	}
	return nleft;
}

/* Judge the next contacts of a walk; returns whether there are more. */
static bool
step_walk(StreamSet *set, const Walk *walk, const char *account, int limit, bool may_wait,
		  Steps *steps)
{
	static Oid	types[5] = {INT4OID, TEXTOID, INT8OID, INT8OID, BOOLOID};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "leadstream score walk",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	WalkPart	part;
	ScoreItem  *items = next_contacts(set, walk, account, limit, &part);
	int			nleft = settle_walked(set, items, part.count, may_wait, steps);
	Datum		values[5] = {Int32GetDatum(walk->score_set_id), 0, Int64GetDatum(part.count),
		Int64GetDatum(nleft), BoolGetDatum(!part.has_upto)};

	if (part.position)
		values[1] = CStringGetTextDatum(part.position);
	(void) ls_owner_run_on("score_walk",
						   "update leadstream.score_walk w set"
						   " position = case when $5 then null else $2 end,"
						   " done = case when $5 and w.skipped + $4 > 0 then 0 else w.done + $3 end,"
						   " skipped = case when $5 then 0 else w.skipped + $4 end,"
						   " is_done = $5 and w.skipped + $4 = 0 "
						   "where w.score_set_id = $1", 5, types, values, part.position ? "     " : " n   ");
	steps->walked += part.count;
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return part.has_upto;
}

/* Remove what is kept of a set that is gone. */
static void
remove_set(const Walk *walk, int64 limit, Steps *steps)
{
	static Oid	types[2] = {INT4OID, INT8OID};
	Datum		values[2] = {Int32GetDatum(walk->score_set_id), Int64GetDatum(limit)};
	int64		n = ls_owner_run_on("score",
									"delete from leadstream.score s where s.ctid = any (array("
									"select o.ctid from leadstream.score o where o.score_set_id = $1"
									" limit $2 for update skip locked))", 2, types, values, NULL);

	steps->walked += n;
	steps->settled += n;
	if (n == 0 && ls_owner_run_on("score", "select from leadstream.score s where s.score_set_id = $1 limit 1",
								  1, types, values, NULL) == 0)
		(void) ls_owner_run_on("score_walk", "delete from leadstream.score_walk w where w.score_set_id = $1",
							   1, types, values, NULL);
}

/* Go on with a walk; returns whether there is more of it. */
static bool
go_on(StreamSet *set, Walk *walk, int limit, bool may_wait, int *patience, Steps *steps)
{
	CachedScoreSet *score_set;
	char	   *account = NULL;

	if (!walk->is_begun)
	{
		if (may_wait)
			ls_writers_wait(written_tables(set));
		else if (walk->changed >= ls_horizon() &&
				 !ls_writers_gone(written_tables(set), patience))
		{
			ls_horizon_move();
			return false;
		}
	}
	if (walk->is_gone)
	{
		remove_set(walk, limit, steps);
		return false;
	}
	set->held++;
	score_set = ls_streams_score_set(set, walk->score_set_id);
	if (score_set && score_set->row->version == walk->version)
		account = pstrdup(score_set->row->account);
	set->held--;
	/* somebody has changed it since the streams were read: who waits looks again */
	if (account == NULL)
		return may_wait;
	if (!walk->is_begun)
		begin_walk(set, walk, account);
	return step_walk(set, walk, account, limit, may_wait, steps);
}

void
ls_scores_tick(StreamSet *set, int64 limit, int64 *settled)
{
	int			patience = SCORE_PATIENCE;
	Steps		steps = {.patience = WALK_PATIENCE};
	List	   *walks;
	ListCell   *lc;

	if (!OidIsValid(ls_catalog_relid("score")) || !OidIsValid(ls_catalog_relid("score_walk")))
		return;
	settle_due(set, limit, settled);
	if (*settled >= limit || (walks = read_walks(0)) == NIL || !ls_catalog_turn("score", 0, false))
		return;
	limit = Min(limit - *settled, SCORE_WALK);
	/* another may have gone on with them until it was our turn */
	walks = read_walks(0);
	foreach(lc, walks)
	{
		Walk	   *walk = lfirst(lc);

		while (steps.walked < limit &&
			   go_on(set, walk, Min(limit - steps.walked, SCORE_BATCH), false, &patience, &steps))
		{
			List	   *rest = read_walks(walk->score_set_id);

			if (rest == NIL)
				break;
			walk = linitial(rest);
		}
		if (steps.walked >= limit)
			break;
	}
	/* what is walked over again for the sake of one that was left does not count */
	*settled += steps.settled;
}

/*
 * _walk_scores(score_set_id integer, batch integer) -> boolean: go on with the
 * walk of a set, waiting for whom there is to wait; is there more of it?
 */
Datum
leadstream_walk_scores(PG_FUNCTION_ARGS)
{
	int32		score_set_id = PG_GETARG_INT32(0);
	int			batch = Max(PG_GETARG_INT32(1), 1);
	StreamSet  *set;
	volatile bool result = false;

	PreventCommandIfReadOnly("leadstream.rescore()");
	if (!OidIsValid(ls_catalog_relid("score")))
		PG_RETURN_BOOL(false);
	(void) ls_catalog_turn("score", 0, true);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	set = ls_streams_pin();
	if (set == NULL)
	{
		SPI_finish();
		PG_RETURN_BOOL(false);
	}
	PG_TRY();
	{
		List	   *walks = read_walks(score_set_id);
		Steps		steps = {0};

		if (walks != NIL)
			result = go_on(set, linitial(walks), batch, true, NULL, &steps);
	}
	PG_CATCH();
	{
		ls_streams_unpin(set);
		PG_RE_THROW();
	}
	PG_END_TRY();
	ls_streams_unpin(set);
	SPI_finish();
	PG_RETURN_BOOL(result);
}
