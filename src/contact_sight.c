/*-------------------------------------------------------------------------
 *
 * contact_sight.c
 *	  Which contacts the transaction sees.
 *
 * In REPEATABLE READ and above the foreign keys of the lead tables and of the clock
 * queue look for the contact with the transaction's snapshot, though we write under
 * later ones.  Where activities have such a key too, the insert of a row for a
 * contact that is newer has failed already; else it must not fail over a lead, so
 * what is to be written of such contacts is left out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "contact_lock.h"
#include "contact_sight.h"
#include "key_scan.h"

struct ContactSight
{
	ContactOrder order;
	Snapshot	snapshot;
	KeyScan    *scan;
	bool		has_last;
	Datum		last;
	bool		sees_last;
};

ContactSight *
ls_sight_begin(ContactSource *contacts)
{
	ContactSight *sight;

	if (!IsolationUsesXactSnapshot())
		return NULL;
	sight = palloc0(sizeof(ContactSight));
	ls_contact_order_init(&sight->order, contacts);
	sight->snapshot = RegisterSnapshot(GetTransactionSnapshot());
	sight->scan = ls_keyscan_open(contacts->relid, contacts->key_attno,
								  contacts->key_base, InvalidAttrNumber, sight->snapshot);
	return sight;
}

bool
ls_sight_sees(ContactSight *sight, Datum key)
{
	if (!sight->has_last || ls_contact_cmp(&sight->order, sight->last, key) != 0)
	{
		ls_keyscan_start(sight->scan, key, NULL);
		sight->sees_last = ls_keyscan_next(sight->scan, NULL, NULL) != NULL;
		sight->last = key;
		sight->has_last = true;
	}
	return sight->sees_last;
}

void
ls_sight_end(ContactSight *sight)
{
	ls_keyscan_close(sight->scan);
	UnregisterSnapshot(sight->snapshot);
	pfree(sight);
}

bool
ls_sight_is_there(Oid relid, AttrNumber key_attno, Datum key)
{
	Snapshot	snapshot;
	KeyScan    *scan;
	bool		result;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = ls_keyscan_open(relid, key_attno, getBaseType(get_atttype(relid, key_attno)),
						   InvalidAttrNumber, snapshot);
	ls_keyscan_start(scan, key, NULL);
	result = ls_keyscan_next(scan, NULL, NULL) != NULL;
	ls_keyscan_close(scan);
	UnregisterSnapshot(snapshot);
	return result;
}
