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
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "contact_lock.h"
#include "guc.h"
#include "owner_sql.h"
#include "stream_cache.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_clear_stream);

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

/* Clear locked contacts; returns the number of leads removed. */
static uint64
clear_contacts(ContactSource *contacts, const StreamRow *stream,
			   Datum *keys, int nkeys, TimestampTz at, Datum actor)
{
	Datum		values[4];
	uint64		count;

	values[0] = ls_owner_array(keys, NULL, nkeys, contacts->key_type);
	values[1] = Int32GetDatum(stream->stream_id);
	count = ls_owner_run(OWNER_CLEAR_MATCHES, contacts, values, NULL);
	if (count == 0)
		return 0;

	values[0] = returned_ids(count);
	values[1] = TimestampTzGetDatum(at);
	values[2] = actor;
	values[3] = CStringGetTextDatum(stream->name);
	count = ls_owner_run(OWNER_NOTE_CLEARED, contacts, values, NULL);
	if (count == 0)
		return 0;

	values[0] = returned_ids(count);
	return ls_owner_run(OWNER_CLEAR_LEADS, contacts, values, NULL);
}

static int
cmp_key(const void *a, const void *b, void *arg)
{
	return ls_contact_cmp(arg, *(const Datum *) a, *(const Datum *) b);
}

/* The contacts that a stream made leads of, each once, in key order. */
static Datum *
read_contacts(ContactSource *contacts, ContactOrder *order, int32 stream_id,
			  int64 *nkeys)
{
	Datum		value = Int32GetDatum(stream_id);
	int64		count = ls_owner_run(OWNER_LEADS_OF_STREAM, contacts, &value, NULL);
	Datum	   *keys = palloc_extended(sizeof(Datum) * Max(count, 1),
									   MCXT_ALLOC_HUGE);
	bool		isnull;

	*nkeys = 0;
	for (int64 i = 0; i < count; i++)
		keys[i] = datumCopy(SPI_getbinval(SPI_tuptable->vals[i],
										  SPI_tuptable->tupdesc, 1, &isnull),
							order->byval, order->len);
	SPI_freetuptable(SPI_tuptable);
	qsort_arg(keys, count, sizeof(Datum), cmp_key, order);
	for (int64 i = 0; i < count; i++)
		if (i == 0 || ls_contact_cmp(order, keys[*nkeys - 1], keys[i]) != 0)
			keys[(*nkeys)++] = keys[i];
	return keys;
}

/* clear_stream(stream_id) returns the number of leads removed */
Datum
leadstream_clear_stream(PG_FUNCTION_ARGS)
{
	int32		stream_id = PG_GETARG_INT32(0);
	ContactSource *contacts = ls_catalog_contacts();
	StreamRow  *stream = ls_stream_read(stream_id);
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext context;
	ContactOrder order;
	OwnerState	owner;
	Datum		actor;
	TimestampTz at;
	Datum	   *keys;
	int64		nkeys;
	uint64		nleads = 0;

	if (stream == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("stream %d does not exist", stream_id)));
	if (contacts == NULL)
		PG_RETURN_INT64(0);

	ls_writers_wait(tables_of_stream(contacts, stream_id));
	at = ls_clock_read();
	actor = ls_owner_actor();
	ls_contact_order_init(&order, contacts);

	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream clear",
									ALLOCSET_DEFAULT_SIZES);
	if (ls_owner_begin(&owner))
	{
		MemoryContextSwitchTo(oldcontext);
		keys = read_contacts(contacts, &order, stream_id, &nkeys);
		for (int64 start = 0; start < nkeys; start += CLEAR_CHUNK)
		{
			int			count = Min(CLEAR_CHUNK, nkeys - start);
			ContactLocker *locker;

			MemoryContextSwitchTo(context);
			locker = ls_contact_lock_begin(contacts);
			for (int i = 0; i < count; i++)
				ls_contact_lock(locker, keys[start + i]);
			ls_contact_lock_end(locker);
			nleads += clear_contacts(contacts, stream, keys + start, count, at,
									 actor);
			MemoryContextReset(context);
		}
		ls_owner_end(&owner);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	PG_RETURN_INT64(nleads);
}
