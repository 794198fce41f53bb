/*-------------------------------------------------------------------------
 *
 * forget_matches.c
 *	  The trigger on leadstream.lead that takes a lead's matches with it.
 *
 * A foreign key with ON DELETE CASCADE would do it too, but a foreign key
 * looks for the lead with the snapshot of the transaction that writes a
 * match: see deliver.c.
 *
 * From now on the contact is without the match, and time alone may make it
 * again.  What came while it had the match has left nothing in the clock queue
 * that says when, so a tick is to find out: the contact is looked at from this
 * moment on.  That its rule is true already is nothing new.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"

#include "contact_sight.h"
#include "due.h"
#include "guc.h"
#include "lead_record.h"
#include "owner_sql.h"
#include "stream_cache.h"

PG_FUNCTION_INFO_V1(leadstream_forget_matches);

/* The streams that had matches. */
typedef struct LostMatches
{
	int			n;
	int32	   *stream_ids;
} LostMatches;

/* Have the contact looked at for those of them that time alone may bring back. */
static void
await_streams(StreamSet *set, Datum key, const LostMatches *lost)
{
	Datum	   *streams = palloc(sizeof(Datum) * lost->n);
	Datum	   *runs = palloc(sizeof(Datum) * lost->n);
	int			n = 0;

	/* they go with the contact, too */
	if (!ls_sight_is_there(set->contacts->relid, set->contacts->key_attno, key))
		return;
	for (int i = 0; i < lost->n; i++)
	{
		CachedStream *stream = ls_streams_get(set, lost->stream_ids[i]);
		RuleProgram *program = stream ? ls_streams_program(set, stream) : NULL;

		if (program == NULL || !(program->turns_by_time || program->has_times))
			continue;
		streams[n] = Int32GetDatum(stream->stream_id);
		runs[n++] = Int32GetDatum(stream->row->run);
	}
	if (n > 0)
		ls_due_await(set->contacts, key, streams, runs, n, ls_clock_read() + 1);
}

/* The same with the streams of this moment. */
static void
await_lost(Datum key, const LostMatches *lost)
{
	StreamSet  *set = ls_streams_pin();

	if (set == NULL)
		return;
	PG_TRY();
	{
		await_streams(set, key, lost);
	}
	PG_FINALLY();
	{
		ls_streams_unpin(set);
	}
	PG_END_TRY();
}

/* Remove the matches of a lead. */
static LostMatches
remove_matches(Datum lead_id)
{
	MemoryContext context = CurrentMemoryContext;
	LostMatches lost = {0, NULL};
	OwnerState	owner;

	if (!ls_owner_begin(&owner))
		return lost;
	lost.n = ls_owner_run(OWNER_FORGET_MATCHES, NULL, &lead_id, NULL);
	lost.stream_ids = MemoryContextAlloc(context, sizeof(int32) * Max(lost.n, 1));
	for (int i = 0; i < lost.n; i++)
	{
		bool		isnull;

		lost.stream_ids[i] = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
														 SPI_tuptable->tupdesc, 1, &isnull));
	}
	ls_owner_end(&owner);
	return lost;
}

Datum
leadstream_forget_matches(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	LostMatches lost;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		RelationGetRelid(trigger->tg_relation) != ls_catalog_relid("lead"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called as the trigger of table \"leadstream.lead\"")));

	desc = RelationGetDescr(trigger->tg_relation);
	lost = remove_matches(heap_getattr(trigger->tg_trigtuple, LEAD_ID, desc, &isnull));
	if (lost.n > 0)
		await_lost(heap_getattr(trigger->tg_trigtuple, LEAD_CONTACT, desc, &isnull), &lost);
	return PointerGetDatum(NULL);
}
