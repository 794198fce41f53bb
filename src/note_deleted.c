/*-------------------------------------------------------------------------
 *
 * note_deleted.c
 *	  The trigger on leadstream.lead that notes leads deleted by hand.
 *
 * fetch_history does not bring such leads back, so the note must be written
 * whoever deletes, and only then: clear() has written an event of its own, and
 * the events of a contact that is erased go with it.  Both are looked up as
 * foreign keys look: without the rights of anybody, and past row security, or
 * a contact could not be erased where the owner of the leads may not see it.
 * The contacts are found through the foreign key, for they may be detached.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "contact_sight.h"
#include "guc.h"
#include "lead_record.h"
#include "owner_sql.h"

PG_FUNCTION_INFO_V1(leadstream_note_deleted);

/* Is the contact still there?  Also true where no foreign key says so. */
static bool
contact_exists(Relation lead, Datum key)
{
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(lead))
	{
		ForeignKeyCacheInfo *fkey = lfirst_node(ForeignKeyCacheInfo, lc);
		Oid			contacts = fkey->confrelid;
		AttrNumber	attno = fkey->confkey[0];

		if (fkey->nkeys != 1 || fkey->conkey[0] != LEAD_CONTACT)
			continue;
		/* the list belongs to the relcache: it may be gone from here on */
		return ls_sight_is_there(contacts, attno, key);
	}
	return true;
}

Datum
leadstream_note_deleted(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	ContactSource keys = {0};
	OwnerState	owner;
	TupleDesc	desc;
	Datum		values[6];
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		RelationGetRelid(trigger->tg_relation) != ls_catalog_relid("lead"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("note_deleted_lead must be fired after each row deleted from leadstream.lead")));

	desc = RelationGetDescr(trigger->tg_relation);
	values[0] = heap_getattr(trigger->tg_trigtuple, LEAD_ID, desc, &isnull);
	values[1] = heap_getattr(trigger->tg_trigtuple, LEAD_CONTACT, desc, &isnull);
	values[2] = heap_getattr(trigger->tg_trigtuple, LEAD_TEAM, desc, &isnull);
	values[3] = TimestampTzGetDatum(ls_clock_read());
	values[4] = ls_owner_actor();
	values[5] = heap_getattr(trigger->tg_trigtuple, LEAD_STAGE, desc, &isnull);
	if (contact_exists(trigger->tg_relation, values[1]) && ls_owner_begin(&owner))
	{
		keys.key_type = TupleDescAttr(desc, LEAD_CONTACT - 1)->atttypid;
		keys.key_base = getBaseType(keys.key_type);
		ls_owner_run(OWNER_NOTE_DELETED, &keys, values, NULL);
		ls_owner_end(&owner);
	}
	return PointerGetDatum(NULL);
}
