/*-------------------------------------------------------------------------
 *
 * enter_score.c
 *	  Entering score rules where what concerns them finds them.
 *
 * Triggers on leadstream.score_set and leadstream.score_rule do it, as
 * enter_stream.c does for streams.  A rule is entered when it is written, and
 * all of a set when what they stand for changes, such as a segment which a rule
 * names: that writes the set's home.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "catalog.h"
#include "enter_stream.h"
#include "key_store.h"
#include "score_read.h"

PG_FUNCTION_INFO_V1(leadstream_enter_score);

/*
 * Enter a rule, or take it out if it is not enabled.  Of one whose set is not in
 * sight, which a restore may be writing just now, sessions have to find out.
 */
static void
enter_rule(int32 stream_id)
{
	StreamRow  *row = ls_score_stream_read(stream_id, NULL);

	if (row)
		(void) ls_enter_stream(row);
	else
		ls_keys_replace(stream_id, NULL, true, NULL, NULL, 0);
}

void
ls_enter_score_set(int32 score_set_id)
{
	ListCell   *lc;

	foreach(lc, ls_score_rule_streams(score_set_id, NULL))
		enter_rule(lfirst_int(lc));
}

/* Trigger on these tables: AFTER INSERT OR UPDATE OR DELETE of a row. */
Datum
leadstream_enter_score(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	bool		is_rule;
	bool		isnull;
	int32		id;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		(RelationGetRelid(trigdata->tg_relation) != ls_catalog_relid("score_set") &&
		 RelationGetRelid(trigdata->tg_relation) != ls_catalog_relid("score_rule")))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("enter_score must be fired AFTER ROW, on leadstream.score_set or leadstream.score_rule")));
	is_rule = RelationGetRelid(trigdata->tg_relation) == ls_catalog_relid("score_rule");
	id = DatumGetInt32(heap_getattr(trigdata->tg_trigtuple, is_rule ? SCORE_RULE_ID : SCORE_SET_ID,
									RelationGetDescr(trigdata->tg_relation), &isnull));
	/* what the statement wrote is to be read */
	CommandCounterIncrement();
	if (!is_rule)
		ls_enter_score_set(id);
	else if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		ls_keys_replace(ls_score_stream(id), NULL, false, NULL, NULL, 0);
	else
		enter_rule(ls_score_stream(id));
	return PointerGetDatum(NULL);
}
