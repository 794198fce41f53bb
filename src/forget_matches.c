/*-------------------------------------------------------------------------
 *
 * forget_matches.c
 *	  The trigger on leadstream.lead that takes a lead's matches with it.
 *
 * A foreign key with ON DELETE CASCADE would do it too, but a foreign key
 * looks for the lead with the snapshot of the transaction that writes a
 * match: see deliver.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/rel.h"

#include "owner_sql.h"

PG_FUNCTION_INFO_V1(leadstream_forget_matches);

/* Attribute number of leadstream.lead. */
#define LEAD_ID			1

Datum
leadstream_forget_matches(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	OwnerState	owner;
	Datum		lead_id;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		RelationGetRelid(trigger->tg_relation) != ls_catalog_relid("lead"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called as the trigger of table \"leadstream.lead\"")));

	lead_id = heap_getattr(trigger->tg_trigtuple, LEAD_ID,
						   RelationGetDescr(trigger->tg_relation), &isnull);
	if (ls_owner_begin(&owner))
	{
		ls_owner_run(OWNER_FORGET_MATCHES, NULL, &lead_id, NULL);
		ls_owner_end(&owner);
	}
	return PointerGetDatum(NULL);
}
