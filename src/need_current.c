/*-------------------------------------------------------------------------
 *
 * need_current.c
 *	  Is what a transaction sees of stages and sales users still so?
 *
 * Who moves or assigns a lead first shares a lock of the name that it points
 * at (71_sales_users.sql), and from then on it does not go.  But it may have
 * gone before: a REPEATABLE READ or SERIALIZABLE transaction goes on seeing it,
 * and there is no foreign key to tell.  So it fails, as if it had locked the
 * row, which would take the right to update the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"

PG_FUNCTION_INFO_V1(leadstream_need_current);

/* Is the version of a row the one that everybody would see now? */
static bool
is_current(Relation rel, ItemPointer tid)
{
	Snapshot	snapshot;
	TupleTableSlot *slot;
	bool		result;

	if (!ItemPointerIsValid(tid) ||
		ItemPointerGetBlockNumber(tid) >= RelationGetNumberOfBlocks(rel))
		return false;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	slot = table_slot_create(rel, NULL);
	result = table_tuple_fetch_row_version(rel, tid, snapshot, slot);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	return result;
}

/* _need_current(relation regclass, version tid) */
Datum
leadstream_need_current(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(1);
	Relation	rel;
	bool		result;

	if (!IsolationUsesXactSnapshot())
		PG_RETURN_VOID();
	/* it tells nobody of tables that are none of his business */
	if (relid != ls_catalog_relid("stage") && relid != ls_catalog_relid("sales_user") &&
		relid != ls_catalog_relid("team_member"))
		PG_RETURN_VOID();
	rel = table_open(relid, AccessShareLock);
	result = is_current(rel, tid);
	table_close(rel, NoLock);
	if (!result)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("A row of table \"%s\" was changed or removed since the transaction began.",
						   relid == ls_catalog_relid("stage") ? "stage" :
						   relid == ls_catalog_relid("sales_user") ? "sales_user" : "team_member"),
				 errhint("Try again in a new transaction.")));
	PG_RETURN_VOID();
}
