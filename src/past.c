/*-------------------------------------------------------------------------
 *
 * past.c
 *	  The leads of the past.
 *
 * Who matched when is the query of history_sql.c, run by the executor with the
 * caller's own rights; streams that differ by constants alone are one query
 * (history_shape.c).  Before that come the writers whose rows neither the live
 * path nor our own snapshot would see (writers.c).  Then it reads under the latest
 * snapshot, whatever the transaction's isolation level, and delivers like a live
 * match does.
 *
 * fetch_history() does so for all contacts in one transaction, backfill.c part by
 * part.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "deliver.h"
#include "guc.h"
#include "history_shape.h"
#include "history_sql.h"
#include "past.h"
#include "segment.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_make_history);

struct PastStream
{
	StreamRow  *row;
	const Rule *rule;			/* with the segments in place */
	List	   *tables;			/* that it speaks of, by OID */
	BoundRule  *bound;
	HistoryShape *shape;		/* NULL: it is asked by itself */
	int			place;			/* among those asked for */
};

/* Matches that go into one delivery, unless a single query finds more. */
#define HISTORY_BATCH	100000

/* Streams that are asked in one query: so long may its text become. */
#define HISTORY_STREAMS	10000

/* Matches that were found and are not delivered yet. */
typedef struct PastMatches
{
	ContactSource *contacts;
	const WalkPart *part;		/* of them that are asked of; NULL: all */
	Snapshot	snapshot;
	TimestampTz clock;
	DeliverMatch *matches;
	int64		n;
	int64		room;
	List	   *tables;			/* of SPITupleTable *, where the keys are */
	DeliverCounts counts;
} PastMatches;

/* The tables that a rule speaks of, but not ours. */
static List *
tables_named(const Rule *rule, const ContactSource *contacts, List *activities)
{
	List	   *relids = contacts ? list_make1_oid(contacts->relid) : NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, ls_rule_kind_names(rule))
		foreach(lc2, activities)
		{
			ActivitySource *source = lfirst(lc2);

			if (strcmp(source->kind, lfirst(lc)) == 0 && !ls_source_is_own(source))
				relids = list_append_unique_oid(relids, source->relid);
		}
	return relids;
}

/*
 * Which of the streams were enabled in this very transaction?  No writer that
 * is in flight can have seen those, nor can one that comes until we commit:
 * they are held off by a SHARE lock, which waits for those before as well.
 */
static Bitmapset *
enabled_here(const Datum *ids, int n)
{
	Oid			types[1] = {INT4ARRAYOID};
	Datum		values[1];
	Bitmapset  *result = NULL;

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return NULL;
	values[0] = PointerGetDatum(construct_array(unconstify(Datum *, ids), n, INT4OID,
												sizeof(int32), true, TYPALIGN_INT));
	if (SPI_execute_with_args("select stream_id from leadstream.stream where stream_id operator(pg_catalog.=) any ($1) and enabled_xid operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		result = bms_add_member(result,
								DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
															SPI_tuptable->tupdesc,
															1, &isnull)));
	}
	return result;
}

static void
deliver_found(PastMatches *found)
{
	ListCell   *lc;

	if (found->n > 0)
		ls_deliver_history(found->contacts, found->matches, found->n,
						   found->snapshot, found->clock, &found->counts);
	found->n = 0;
	foreach(lc, found->tables)
		SPI_freetuptable(lfirst(lc));
	list_free(found->tables);
	found->tables = NIL;
}

/*
 * Run a query whose last columns are the contact and its first instant.  It is
 * run once, so it is not kept for another time; and only what does not write
 * reads under the snapshot that is active.
 */
static void
run_query(PastMatches *found, const char *sql)
{
	Oid			key = found->contacts->key_base;
	Oid			types[3] = {TIMESTAMPTZOID, key, key};
	Datum		values[3] = {TimestampTzGetDatum(found->clock)};
	char		nulls[4] = " nn";

	if (found->part && found->part->has_after)
	{
		values[1] = found->part->after;
		nulls[1] = ' ';
	}
	if (found->part && found->part->has_upto)
	{
		values[2] = found->part->upto;
		nulls[2] = ' ';
	}
	PushActiveSnapshot(found->snapshot);
	if (SPI_execute_with_args(psprintf("/* leadstream history */ %s", sql),
							  3, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed");
	PopActiveSnapshot();
}

/*
 * Take what a query found: of pasts[i] the rows whose first column is i,
 * or pasts[0] where there is no such column.
 */
static void
take_found(PastMatches *found, PastStream **pasts, bool has_place)
{
	SPITupleTable *table = SPI_tuptable;
	uint64		n = SPI_processed;

	found->tables = lappend(found->tables, table);
	if (found->n + n > found->room)
	{
		found->room = Max((found->n + n) * 2, 1024);
		found->matches = found->matches ?
			repalloc_huge(found->matches, sizeof(DeliverMatch) * found->room) :
			palloc_extended(sizeof(DeliverMatch) * found->room, MCXT_ALLOC_HUGE);
	}
	for (uint64 i = 0; i < n; i++)
	{
		DeliverMatch *match = &found->matches[found->n];
		HeapTuple	tuple = table->vals[i];
		int			column = has_place ? 2 : 1;
		PastStream *past = pasts[0];
		bool		isnull;

		memset(match, 0, sizeof(DeliverMatch));
		if (has_place)
			past = pasts[DatumGetInt32(SPI_getbinval(tuple, table->tupdesc, 1, &isnull))];
		match->stream = past->row;
		match->key = SPI_getbinval(tuple, table->tupdesc, column, &isnull);
		match->matched_at = DatumGetTimestampTz(SPI_getbinval(tuple, table->tupdesc,
															  column + 1, &isnull));
		if (!isnull)
			found->n++;
	}
	if (found->n >= HISTORY_BATCH)
		deliver_found(found);
}

/* Find the contacts of one stream and their first instants. */
static void
fetch_stream(PastMatches *found, PastStream *past)
{
	run_query(found, ls_rule_to_history_sql(past->bound,
											found->contacts->account_name ? past->row->account : NULL));
	take_found(found, &past, false);
}

/* The same for streams of one shape. */
static void
fetch_shape(PastMatches *found, PastStream **pasts, int n)
{
	HistoryShape **shapes = palloc(sizeof(HistoryShape *) * n);

	for (int i = 0; i < n; i++)
		shapes[i] = pasts[i]->shape;
	run_query(found, ls_history_shape_sql(shapes, n));
	take_found(found, pasts, true);
}

/* Those asked by themselves first, then shape by shape. */
static int
cmp_shape(const ListCell *a, const ListCell *b)
{
	const PastStream *l = lfirst(a);
	const PastStream *r = lfirst(b);
	int			cmp = (l->shape != NULL) - (r->shape != NULL);

	if (cmp == 0 && l->shape)
		cmp = strcmp(l->shape->form, r->shape->form);
	return cmp ? cmp : l->place - r->place;
}

static void
fetch_pasts(PastMatches *found, List *pasts)
{
	PastStream **all = palloc(sizeof(PastStream *) * list_length(pasts));
	int			n = list_length(pasts);
	int			next;
	ListCell   *lc;

	foreach(lc, pasts)
	{
		PastStream *past = lfirst(lc);

		past->place = foreach_current_index(lc);
		if (n > 1)
			past->shape = ls_history_shape(past->bound,
										   found->contacts->account_name ? past->row->account : NULL);
	}
	list_sort(pasts, cmp_shape);
	foreach(lc, pasts)
		all[foreach_current_index(lc)] = lfirst(lc);
	for (int i = 0; i < n; i = next)
	{
		CHECK_FOR_INTERRUPTS();
		for (next = i + 1; next < n && next - i < HISTORY_STREAMS && all[i]->shape && all[next]->shape &&
			 strcmp(all[i]->shape->form, all[next]->shape->form) == 0; next++)
			;
		if (next - i > 1)
			fetch_shape(found, all + i, next - i);
		else
			fetch_stream(found, all[i]);
	}
	deliver_found(found);
}

/*
 * Read the streams of some ids, which must be enabled and the caller's, and add
 * the tables that each speaks of.  Nothing is bound yet, for somebody may be
 * about to rename a column of theirs.
 */
static List *
read_pasts(const Datum *ids, int n, List **tables)
{
	ContactSource *contacts = ls_catalog_contacts();
	List	   *activities = ls_catalog_activities();
	List	   *pasts = NIL;

	*tables = NIL;
	for (int i = 0; i < n; i++)
	{
		PastStream *past = palloc0(sizeof(PastStream));

		CHECK_FOR_INTERRUPTS();
		past->row = ls_stream_read(DatumGetInt32(ids[i]), NULL);
		if (past->row == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("stream %d does not exist", DatumGetInt32(ids[i]))));
		ls_stream_check(past->row, true);
		past->rule = ls_segments_put(past->row->rule, past->row->account, NULL);
		past->tables = tables_named(past->rule, contacts, activities);
		*tables = list_concat_unique_oid(*tables, past->tables);
		pasts = lappend(pasts, past);
	}
	return pasts;
}

/*
 * Those whose streams were enabled in this very transaction are held up until it
 * ends, instead of waited for.
 */
List *
ls_past_wait(const Datum *ids, int n)
{
	List	   *tables;
	List	   *pasts = read_pasts(ids, n, &tables);
	Bitmapset  *here = enabled_here(ids, n);
	List	   *wait_for = NIL;
	List	   *lock = NIL;
	ListCell   *lc;

	foreach(lc, pasts)
	{
		PastStream *past = lfirst(lc);

		if (bms_is_member(past->row->stream_id, here))
			lock = list_concat_unique_oid(lock, past->tables);
		else
			wait_for = list_concat_unique_oid(wait_for, past->tables);
	}
	/* in one order for all, or two of us would deadlock */
	list_sort(lock, list_oid_cmp);
	foreach(lc, lock)
		LockRelationOid(lfirst_oid(lc), ShareLock);
	ls_writers_wait(list_difference_oid(wait_for, lock));
	return tables;
}

/*
 * A stream may have been disabled while we waited, and cleared already; or a
 * column has got another name.  So they are read with their tables locked, so that
 * no column is renamed any more, and with this lock on the matches clear() waits
 * for us: one that is enabled now cannot be cleared before its leads are there.
 */
List *
ls_past_hold(const Datum *ids, int n, List *tables)
{
	List	   *pasts = NIL;
	List	   *locked = NIL;
	List	   *to_lock;
	ListCell   *lc;

	if (tables == NIL)
		pasts = read_pasts(ids, n, &tables);

	while ((to_lock = list_difference_oid(tables, locked)) != NIL)
	{
		list_sort(to_lock, list_oid_cmp);
		foreach(lc, to_lock)
			LockRelationOid(lfirst_oid(lc), AccessShareLock);
		/* a rule was altered meanwhile, to speak of tables that nobody waited for */
		if (locked != NIL)
			ls_writers_wait(to_lock);
		locked = list_concat(locked, to_lock);
		if (OidIsValid(ls_catalog_relid("lead_match")))
			LockRelationOid(ls_catalog_relid("lead_match"), RowExclusiveLock);
		pasts = read_pasts(ids, n, &tables);
	}
	return pasts;
}

const StreamRow *
ls_past_stream(const PastStream *past)
{
	return past->row;
}

uint64
ls_past_fetch(List *pasts, const WalkPart *part)
{
	PastMatches found = {.contacts = ls_catalog_need_contacts(), .part = part};
	List	   *activities = ls_catalog_activities();
	ListCell   *lc;

	foreach(lc, pasts)
	{
		PastStream *past = lfirst(lc);

		past->bound = ls_rule_bind(past->rule, found.contacts, activities);
		past->bound->after_key = part && part->has_after;
		past->bound->upto_key = part && part->has_upto;
	}
	found.clock = ls_clock_read();
	found.snapshot = RegisterSnapshot(GetLatestSnapshot());
	fetch_pasts(&found, pasts);
	UnregisterSnapshot(found.snapshot);
	return found.counts.leads;
}

/* make_history(stream_ids integer[]) -> how many leads were made */
Datum
leadstream_make_history(PG_FUNCTION_ARGS)
{
	Datum	   *ids;
	bool	   *nulls;
	int			n;
	List	   *tables;
	uint64		leads = 0;

	PreventCommandIfReadOnly("leadstream.fetch_history()");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &ids, &nulls, &n);
	/* there is no stream 0 */
	for (int i = 0; i < n; i++)
		if (nulls[i])
			ids[i] = Int32GetDatum(0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	tables = ls_past_wait(ids, n);
	if (n > 0)
		leads = ls_past_fetch(ls_past_hold(ids, n, tables), NULL);
	SPI_finish();
	PG_RETURN_INT64((int64) leads);
}
