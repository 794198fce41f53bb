/*-------------------------------------------------------------------------
 *
 * row_updater.c
 *	  Rows of a plain lead table changed where they are, without a statement.
 *
 * Whoever holds the lock of a contact knows where its rows are, having read
 * them.  A statement would have to be told by arrays, which it takes apart, and
 * would look for the rows in an index once more; starting and ending it costs
 * many times what the change does.  So where a lead table has nothing that an
 * UPDATE would mind, rows are changed in place.
 *
 * They are read once more, under a snapshot that is held until they are changed:
 * while it sees a row, nobody puts another one in its place.
 *
 * Entries of indexes are made as the table's owner, with his search_path: they
 * may be of functions of his.  Most changes need none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "owner_sql.h"
#include "row_updater.h"

struct RowUpdater
{
	MemoryContext mcxt;
	Relation	rel;
	Snapshot	snapshot;
	ItemPointerData tid;
	TupleTableSlot *row;
	TupleTableSlot *changed;
	EState	   *estate;			/* NULL until there are entries to make */
	ResultRelInfo *target;
	OwnerState	owner;
};

/*
 * Does nothing but the row itself come of an update that leaves its keys alone?
 * No rules, no partitions, no triggers but those of foreign keys, nothing that
 * is computed of the row, and nothing it is checked for.
 */
static bool
is_plain(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relispartition ||
		rel->rd_rel->relhassubclass || rel->rd_rules != NULL ||
		(desc->constr && (desc->constr->num_check > 0 || desc->constr->has_generated_stored)))
		return false;
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_UPDATE(trigger->tgtype) &&
			RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_FK)
			return false;
	}
	return true;
}

static bool
fits(TupleDesc desc, const UpdatedColumn *column)
{
	Form_pg_attribute att;

	if (column->attno > desc->natts)
		return false;
	att = TupleDescAttr(desc, column->attno - 1);
	return !att->attisdropped && att->atttypid == column->type && att->atttypmod == -1;
}

RowUpdater *
ls_updater_begin(Oid relid, const UpdatedColumn *columns, int ncolumns)
{
	RowUpdater *updater;
	Relation	rel;
	bool		is_fit;

	PreventCommandIfReadOnly("UPDATE");
	rel = table_open(relid, RowExclusiveLock);
	is_fit = is_plain(rel);
	for (int c = 0; c < ncolumns && is_fit; c++)
		is_fit = fits(RelationGetDescr(rel), &columns[c]);
	if (!is_fit)
	{
		table_close(rel, NoLock);
		return NULL;
	}
	/* an error where those whom it is published to could not follow */
	CheckCmdReplicaIdentity(rel, CMD_UPDATE);
	updater = palloc0(sizeof(RowUpdater));
	updater->mcxt = CurrentMemoryContext;
	updater->rel = rel;
	updater->row = table_slot_create(rel, NULL);
	updater->changed = table_slot_create(rel, NULL);
	/* what the statement around us has written is there for us, too */
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	updater->snapshot = GetActiveSnapshot();
	return updater;
}

TupleTableSlot *
ls_updater_read(RowUpdater *updater, ItemPointer tid)
{
	updater->tid = *tid;
	return table_tuple_fetch_row_version(updater->rel, tid, updater->snapshot, updater->row) ?
		updater->row : NULL;
}

/* Make the entries of the row that was written, which are new. */
static void
make_entries(RowUpdater *updater, LS_UPDATED_INDEXES indexes)
{
	if (updater->estate == NULL)
	{
		MemoryContext oldcontext = CurrentMemoryContext;

		(void) ls_owner_begin_of(RelationGetRelid(updater->rel), &updater->owner);
		MemoryContextSwitchTo(updater->mcxt);
		updater->estate = CreateExecutorState();
		updater->target = makeNode(ResultRelInfo);
		InitResultRelInfo(updater->target, updater->rel, 0, NULL, 0);
		ExecOpenIndices(updater->target, false);
		MemoryContextSwitchTo(oldcontext);
	}
	list_free(ls_update_index_tuples(updater->target, updater->changed, updater->estate, indexes));
	ResetPerTupleExprContext(updater->estate);
}

bool
ls_updater_write(RowUpdater *updater, const UpdatedColumn *columns, int ncolumns)
{
	TupleTableSlot *row = updater->row;
	TupleTableSlot *changed = updater->changed;
	int			natts = row->tts_tupleDescriptor->natts;
	TM_FailureData failure;
	LockTupleMode mode;
	LS_UPDATED_INDEXES indexes;

	slot_getallattrs(row);
	ExecClearTuple(changed);
	memcpy(changed->tts_values, row->tts_values, sizeof(Datum) * natts);
	memcpy(changed->tts_isnull, row->tts_isnull, sizeof(bool) * natts);
	for (int c = 0; c < ncolumns; c++)
	{
		if (columns[c].isnull &&
			TupleDescAttr(row->tts_tupleDescriptor, columns[c].attno - 1)->attnotnull)
			return false;		/* the statement says so better */
		changed->tts_values[columns[c].attno - 1] = columns[c].value;
		changed->tts_isnull[columns[c].attno - 1] = columns[c].isnull;
	}
	ExecStoreVirtualTuple(changed);
	if (table_tuple_update(updater->rel, &updater->tid, changed, GetCurrentCommandId(true),
						   updater->snapshot, InvalidSnapshot, true, &failure, &mode,
						   &indexes) != TM_Ok)
		return false;
	if (LS_HAS_NEW_ENTRIES(indexes))
		make_entries(updater, indexes);
	return true;
}

void
ls_updater_end(RowUpdater *updater)
{
	MemoryContext oldcontext = CurrentMemoryContext;

	if (updater->estate)
	{
		ExecCloseIndices(updater->target);
		FreeExecutorState(updater->estate);
		ls_owner_end(&updater->owner);
		MemoryContextSwitchTo(oldcontext);
	}
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(updater->row);
	ExecDropSingleTupleTableSlot(updater->changed);
	table_close(updater->rel, NoLock);
	pfree(updater);
	/* whoever looks next sees what was written */
	CommandCounterIncrement();
}
