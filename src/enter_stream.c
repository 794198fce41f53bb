/*-------------------------------------------------------------------------
 *
 * enter_stream.c
 *	  Entering streams where what concerns them finds them.
 *
 * A trigger on leadstream.stream does it, in the transaction that writes the
 * row and whoever writes it, so that a restored dump has its keys too.  A
 * stream whose rule cannot be bound just then, say because its tables come
 * later in the dump, is entered as one without keys.  Sessions find such a
 * stream by themselves, at the price of binding it before their first row;
 * index_streams() gives all streams their keys.  So is one that speaks of a
 * score, where it does not come from enable(): nobody knows whether all of the
 * score rules are there yet.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "due.h"
#include "enter_stream.h"
#include "follow.h"
#include "key_store.h"
#include "score_read.h"
#include "segment.h"
#include "stream_cache.h"

PG_FUNCTION_INFO_V1(leadstream_enter_stream);
PG_FUNCTION_INFO_V1(leadstream_end_run);
PG_FUNCTION_INFO_V1(leadstream_enter_streams);

bool
ls_enter_stream(const StreamRow *row)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "leadstream keys",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	StreamSet  *set = row->is_enabled ? ls_streams_pin() : NULL;
	volatile bool is_bound = false;

	if (set == NULL)
		ls_keys_replace(row->stream_id, NULL, row->is_enabled, NULL, NULL, 0);
	else
	{
		PG_TRY();
		{
			StreamKeys *keys = NULL;

			is_bound = ls_streams_keys(set, row, ls_keys_book(), &keys);
			ls_keys_replace(row->stream_id, is_bound ? keys : NULL, !is_bound,
							set->contacts, set->kinds, set->nkinds);
		}
		PG_CATCH();
		{
			ls_streams_unpin(set);
			PG_RE_THROW();
		}
		PG_END_TRY();
		ls_streams_unpin(set);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return is_bound;
}

/*
 * Trigger on leadstream.stream: AFTER INSERT OR UPDATE OR DELETE of a row, and
 * AFTER TRUNCATE.
 */
Datum
leadstream_enter_stream(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	StreamRow	row;
	StreamRow	old;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		RelationGetRelid(trigdata->tg_relation) != ls_catalog_relid("stream"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("enter_stream must be fired AFTER, on leadstream.stream")));
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
	{
		if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
			ls_keys_clear();
		return PointerGetDatum(NULL);
	}

	desc = RelationGetDescr(trigdata->tg_relation);
	ls_stream_row(&old, trigdata->tg_trigtuple, desc);
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		ls_keys_replace(old.stream_id, NULL, false, NULL, NULL, 0);
		(void) ls_due_empty(old.stream_id, PG_INT32_MAX, PG_INT64_MAX);
		return PointerGetDatum(NULL);
	}
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		/* most begin disabled: nothing to do but to forget an older one's */
		if (old.is_enabled && ls_rule_looks_up_scores(old.rule, old.account))
			ls_keys_replace(old.stream_id, NULL, true, NULL, NULL, 0);
		else
			(void) ls_enter_stream(&old);
		return PointerGetDatum(NULL);
	}
	ls_stream_row(&row, trigdata->tg_newtuple, desc);
	if (row.stream_id != old.stream_id)
		ls_keys_replace(old.stream_id, NULL, false, NULL, NULL, 0);
	else if (row.is_enabled == old.is_enabled &&
			 (!row.is_enabled ||
			  (strcmp(row.account, old.account) == 0 &&
			   row.rule_version == old.rule_version &&
			   VARSIZE(row.rule) == VARSIZE(old.rule) &&
			   memcmp(row.rule, old.rule, VARSIZE(row.rule)) == 0)))
		return PointerGetDatum(NULL);
	(void) ls_enter_stream(&row);
	return PointerGetDatum(NULL);
}

/*
 * Deferred trigger on leadstream.stream: AFTER UPDATE of a row.  What waits of
 * a run that has ended is removed at the very end of the transaction, for
 * whoever writes for a contact of which something waits would wait for us.
 * What others have a hand on then is left to a tick().
 */
Datum
leadstream_end_run(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	StreamRow	row;
	StreamRow	old;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ||
		RelationGetRelid(trigdata->tg_relation) != ls_catalog_relid("stream"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("end_run must be fired AFTER UPDATE of a row, on leadstream.stream")));
	ls_stream_row(&old, trigdata->tg_trigtuple, RelationGetDescr(trigdata->tg_relation));
	ls_stream_row(&row, trigdata->tg_newtuple, RelationGetDescr(trigdata->tg_relation));
	if (old.is_enabled && (!row.is_enabled || row.run != old.run))
		(void) ls_due_empty(old.stream_id, row.is_enabled ? row.run : PG_INT32_MAX,
							PG_INT64_MAX);
	return PointerGetDatum(NULL);
}

/* enter_streams(): enter all enabled streams, and score rules, anew; how many streams have keys. */
Datum
leadstream_enter_streams(PG_FUNCTION_ARGS)
{
	int			n;
	int32	   *ids;
	int64		result = 0;
	ListCell   *lc;

	ls_columns_note();
	ls_keys_clear();
	ids = ls_stream_ids(&n);
	for (int i = 0; i < n; i++)
	{
		StreamRow  *row;

		CHECK_FOR_INTERRUPTS();
		row = ls_stream_read(ids[i], NULL);
		if (row && row->is_enabled && ls_enter_stream(row))
			result++;
	}
	foreach(lc, ls_score_set_ids(NULL))
		ls_enter_score_set(lfirst_int(lc));
	CacheInvalidateRelcacheByRelid(ls_catalog_relid("stream"));
	PG_RETURN_INT64(result);
}
