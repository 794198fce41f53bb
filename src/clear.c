/*-------------------------------------------------------------------------
 *
 * clear.c
 *	  Taking back what a stream made.
 *
 * The stream is disabled, but statements in flight may still make leads of
 * it, so clear first waits for the writers of every table that any version of
 * its rule speaks of.  Then it goes through the stream's contacts in the
 * order of their keys, some thousand at a time: locks them, deletes the
 * stream's matches, and the leads that no other match and nobody's hand
 * holds.  Each statement sees what is committed at its time, so that a
 * REPEATABLE READ transaction clears all there is, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "contact_lock.h"
#include "guc.h"
#include "key_scan.h"
#include "owner_sql.h"
#include "stream_cache.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_clear_stream);
PG_FUNCTION_INFO_V1(leadstream_forget_stream);

#define CLEAR_CHUNK		5000

/* The tables in which statements in flight may make leads of a stream. */
static List *
tables_of_stream(ContactSource *contacts, int32 stream_id)
{
	List	   *relids = list_make1_oid(contacts->relid);
	List	   *names = ls_stream_kind_names(stream_id);
	List	   *activities = ls_catalog_activities();
	ListCell   *ls;
	ListCell   *ln;

	foreach(ls, activities)
	{
		ActivitySource *source = lfirst(ls);

		foreach(ln, names)
			if (strcmp(source->kind, lfirst(ln)) == 0)
				relids = list_append_unique_oid(relids, source->relid);
	}
	return relids;
}

/* The ids in the first column of what SPI returned. */
static Datum
returned_ids(uint64 count)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(count, 1));
	Datum		array;
	bool		isnull;

	for (uint64 i = 0; i < count; i++)
		ids[i] = heap_getattr(SPI_tuptable->vals[i], 1, SPI_tuptable->tupdesc,
							  &isnull);
	array = ls_owner_array(ids, NULL, count, INT8OID);
	SPI_freetuptable(SPI_tuptable);
	return array;
}

/* Clear leads whose contacts are locked; returns the number removed. */
static uint64
clear_leads(ContactSource *contacts, const StreamRow *stream, Datum lead_ids,
			TimestampTz at, Datum actor)
{
	Datum		values[5];
	uint64		count;

	values[0] = lead_ids;
	values[1] = Int32GetDatum(stream->stream_id);
	count = ls_owner_run(OWNER_CLEAR_MATCHES, contacts, values, NULL);
	if (count == 0)
		return 0;

	values[0] = returned_ids(count);
	values[1] = TimestampTzGetDatum(at);
	values[2] = actor;
	values[3] = CStringGetTextDatum(stream->name);
	values[4] = Int32GetDatum(stream->stream_id);
	count = ls_owner_run(OWNER_NOTE_CLEARED, contacts, values, NULL);
	if (count == 0)
		return 0;

	values[0] = returned_ids(count);
	return ls_owner_run(OWNER_CLEAR_LEADS, contacts, values, NULL);
}

typedef struct StreamLead
{
	Datum		contact;
	Datum		lead_id;
} StreamLead;

static int
cmp_stream_lead(const void *a, const void *b, void *arg)
{
	return ls_contact_cmp(arg, ((const StreamLead *) a)->contact,
						  ((const StreamLead *) b)->contact);
}

/* The leads that a stream made, in the order of their contacts. */
static StreamLead *
read_leads(ContactSource *contacts, ContactOrder *order, int32 stream_id,
		   int64 *nleads)
{
	Datum		value = Int32GetDatum(stream_id);
	int64		count = ls_owner_run(OWNER_LEADS_OF_STREAM, contacts, &value, NULL);
	StreamLead *leads = palloc_extended(sizeof(StreamLead) * Max(count, 1),
										MCXT_ALLOC_HUGE);
	bool		isnull;

	for (int64 i = 0; i < count; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		leads[i].lead_id = datumCopy(heap_getattr(tuple, 1, desc, &isnull),
									 FLOAT8PASSBYVAL, sizeof(int64));
		leads[i].contact = datumCopy(heap_getattr(tuple, 2, desc, &isnull),
									 order->byval, order->len);
	}
	SPI_freetuptable(SPI_tuptable);
	qsort_arg(leads, count, sizeof(StreamLead), cmp_stream_lead, order);
	*nleads = count;
	return leads;
}

/*
 * The event of a lead that goes points at its contact, by a foreign key that
 * looks with the snapshot of the transaction.
 */
static void
check_visible(ContactSource *contacts, StreamLead *leads, int count)
{
	Snapshot	snapshot;
	KeyScan    *scan;

	if (!IsolationUsesXactSnapshot())
		return;
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	scan = ls_keyscan_open(contacts->relid, contacts->key_attno,
						   contacts->key_base, InvalidAttrNumber, snapshot);
	for (int i = 0; i < count; i++)
	{
		ls_keyscan_start(scan, leads[i].contact, NULL);
		if (ls_keyscan_next(scan, NULL, NULL) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not clear leads of contacts that are newer than the transaction"),
					 errhint("Try again in a new transaction, or in READ COMMITTED.")));
	}
	ls_keyscan_close(scan);
	UnregisterSnapshot(snapshot);
}

/* clear_stream(stream_id) returns the number of leads removed */
Datum
leadstream_clear_stream(PG_FUNCTION_ARGS)
{
	int32		stream_id = PG_GETARG_INT32(0);
	ContactSource *contacts = ls_catalog_need_contacts();
	StreamRow  *stream = ls_stream_read(stream_id, NULL);
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext context;
	ContactOrder order;
	OwnerState	owner;
	Datum		actor;
	TimestampTz at;
	StreamLead *leads;
	int64		nleads;
	uint64		nremoved = 0;

	PreventCommandIfReadOnly("leadstream.clear()");
	if (stream == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("stream %d does not exist", stream_id)));
	ls_stream_check(stream, false);
	ls_writers_wait(tables_of_stream(contacts, stream_id));
	at = ls_clock_read();
	actor = ls_owner_actor();
	ls_contact_order_init(&order, contacts);

	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream clear",
									ALLOCSET_DEFAULT_SIZES);
	if (ls_owner_begin(&owner))
	{
		MemoryContextSwitchTo(oldcontext);
		leads = read_leads(contacts, &order, stream_id, &nleads);
		for (int64 start = 0; start < nleads; start += CLEAR_CHUNK)
		{
			int			count = Min(CLEAR_CHUNK, nleads - start);
			RowLocker  *locker;
			Datum	   *ids;

			MemoryContextSwitchTo(context);
			ids = palloc(sizeof(Datum) * count);
			locker = ls_contact_lock_begin(contacts);
			for (int i = 0; i < count; i++)
			{
				ls_contact_lock(locker, leads[start + i].contact);
				ids[i] = leads[start + i].lead_id;
			}
			ls_row_lock_end(locker);
			check_visible(contacts, leads + start, count);
			nremoved += clear_leads(contacts, stream,
									ls_owner_array(ids, NULL, count, INT8OID),
									at, actor);
			MemoryContextReset(context);
		}
		ls_owner_end(&owner);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	PG_RETURN_INT64(nremoved);
}

/*
 * forget_stream(stream_id) removes the matches of a stream that is dropped,
 * all that are committed, whatever snapshot the transaction has; and how far
 * backfill() had come.
 */
Datum
leadstream_forget_stream(PG_FUNCTION_ARGS)
{
	int32		stream_id = PG_GETARG_INT32(0);
	StreamRow  *stream = ls_stream_read(stream_id, NULL);
	OwnerState	owner;
	Datum		value = Int32GetDatum(stream_id);

	if (stream == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("stream %d does not exist", stream_id)));
	ls_stream_check(stream, false);
	ls_backfill_forget(stream_id);
	if (ls_owner_begin(&owner))
	{
		ls_owner_run(OWNER_FORGET_STREAM, NULL, &value, NULL);
		ls_owner_end(&owner);
	}
	PG_RETURN_VOID();
}
