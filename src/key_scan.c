/*-------------------------------------------------------------------------
 *
 * key_scan.c
 *	  The rows of one key in a table, by the best index there is.
 *
 * A KeyScan reads with the table's own access methods and the caller's
 * snapshot: no planner, no executor, no permission checks (the owner of the
 * activity table lends his eyes, as he does to a foreign key).  Each leaf
 * table is read in the way that key_access.c chooses: by an index, newest rows
 * first where that has the time, or as a whole.  Scan descriptors are kept and
 * restarted from key to key.
 *
 * Access methods allocate in the current memory context whenever they like:
 * every call into them is made in the context the scan was opened in, for
 * callers read in contexts that are reset while the scan goes on.
 *
 * A partition may lay its columns out in another order than its parent; its
 * rows are mapped, so that callers see one layout.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "key_access.h"
#include "key_scan.h"

typedef struct KeyLeaf
{
	Relation	rel;
	KeyAccess	access;
	AttrNumber	key_attno;
	TupleConversionMap *map;	/* NULL: same layout as the table opened */
	TupleTableSlot *slot;		/* in the leaf's own layout */
	TupleTableSlot *version;	/* the same, for another row; NULL until then */
	IndexScanDesc index_scan;
	int			index_nkeys;	/* keys the scan was made for */
	bool		has_one;		/* has the key at most one row that we see? */
	bool		is_at_end;		/* that was given */
	IndexScanDesc entry_scan;	/* of entries: always three keys */
	TableScanDesc table_scan;
} KeyLeaf;

struct KeyScan
{
	MemoryContext mcxt;			/* in which the access methods allocate */
	Snapshot	snapshot;
	Oid			relid;
	Oid			key_type;
	AttrNumber	time_attno;
	bool		is_chosen;		/* have the leaves their indexes? */
	KeyLeaf    *leaves;
	int			nleaves;
	int			current;		/* leaf being read */
	TupleTableSlot *slot;		/* in the layout of the table opened, if it has
								 * children */
	TupleTableSlot *version;	/* the same, for another row; NULL until then */
	Datum		key;
	bool		has_bound;
	TimestampTz bound;
	AttrNumber	narrow_attno;	/* 0: not narrowed */
	int32		narrow_value;
};

/*
 * Choose indexes when a key is first asked for: a scan may be opened only for
 * what ls_keyscan_row_at gives.
 */
static void
choose_all(KeyScan *scan)
{
	MemoryContext oldcxt;
	char	   *time_name = NULL;

	if (scan->is_chosen)
		return;
	oldcxt = MemoryContextSwitchTo(scan->mcxt);
	for (int i = 0; i < scan->nleaves; i++)
	{
		KeyLeaf    *leaf = &scan->leaves[i];
		AttrNumber	time_attno = scan->time_attno;

		if (time_attno != InvalidAttrNumber && RelationGetRelid(leaf->rel) != scan->relid)
		{
			if (time_name == NULL)
				time_name = get_attname(scan->relid, time_attno, false);
			time_attno = get_attnum(RelationGetRelid(leaf->rel), time_name);
		}
		ls_key_access_choose(&leaf->access, leaf->rel, leaf->key_attno, scan->key_type,
							 time_attno);
	}
	scan->is_chosen = true;
	MemoryContextSwitchTo(oldcxt);
}

bool
ls_keyscan_is_newest_first(KeyScan *scan)
{
	choose_all(scan);
	return scan->nleaves == 1 && scan->leaves[0].access.has_time;
}

/*
 * Read rows of an open relation too, which becomes the scan's.  Foreign
 * partitions cannot be read here: their rows are elsewhere.
 */
static KeyLeaf *
add_leaf(KeyScan *scan, Relation rel, AttrNumber key_attno)
{
	KeyLeaf    *leaf;

	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_MATVIEW)
	{
		table_close(rel, NoLock);
		return NULL;
	}
	leaf = &scan->leaves[scan->nleaves++];
	leaf->rel = rel;
	leaf->key_attno = key_attno;
	leaf->slot = table_slot_create(rel, NULL);
	return leaf;
}

/* Read a table with children, and all of them. */
static void
add_leaves(KeyScan *scan, Relation root, AttrNumber key_attno)
{
	Oid			relid = RelationGetRelid(root);
	List	   *relids = find_all_inheritors(relid, AccessShareLock, NULL);
	char	   *key_name = get_attname(relid, key_attno, false);
	ListCell   *lc;

	scan->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(root)),
										  &TTSOpsVirtual);
	scan->leaves = palloc0(sizeof(KeyLeaf) * list_length(relids));
	foreach(lc, relids)
	{
		Oid			child = lfirst_oid(lc);
		Relation	rel = table_open(child, NoLock);
		KeyLeaf    *leaf = add_leaf(scan, rel, child == relid ? key_attno :
									get_attnum(child, key_name));

		if (leaf && child != relid)
			leaf->map = convert_tuples_by_name(RelationGetDescr(rel),
											   scan->slot->tts_tupleDescriptor);
	}
}

KeyScan *
ls_keyscan_open(Oid relid, AttrNumber key_attno, Oid key_type,
				AttrNumber time_attno, Snapshot snapshot)
{
	LockRelationOid(relid, AccessShareLock);
	return ls_keyscan_open_locked(relid, key_attno, key_type, time_attno, snapshot);
}

KeyScan *
ls_keyscan_open_locked(Oid relid, AttrNumber key_attno, Oid key_type,
					   AttrNumber time_attno, Snapshot snapshot)
{
	KeyScan    *scan = palloc0(sizeof(KeyScan));
	Relation	root = table_open(relid, NoLock);

	scan->mcxt = CurrentMemoryContext;
	scan->snapshot = snapshot;
	scan->relid = relid;
	scan->key_type = key_type;
	scan->time_attno = time_attno;
	if (root->rd_rel->relhassubclass)
	{
		add_leaves(scan, root, key_attno);
		table_close(root, NoLock);
	}
	else
	{
		scan->leaves = palloc0(sizeof(KeyLeaf));
		(void) add_leaf(scan, root, key_attno);
	}
	scan->current = scan->nleaves;
	return scan;
}

void
ls_keyscan_narrow(KeyScan *scan, AttrNumber attno, int32 value)
{
	scan->narrow_attno = attno;
	scan->narrow_value = value;
}

static void
start_leaf(KeyScan *scan, KeyLeaf *leaf)
{
	if (leaf->access.index)
	{
		ScanKeyData keys[2];
		int			nkeys = 1;
		bool		is_bound = scan->has_bound && leaf->access.has_time;

		ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber,
							   leaf->access.subtype, leaf->access.collation,
							   leaf->access.eq.fn_oid, scan->key);
		if (is_bound)
			ScanKeyEntryInitialize(&keys[nkeys++], 0, 2,
								   BTGreaterEqualStrategyNumber, TIMESTAMPTZOID,
								   InvalidOid, F_TIMESTAMPTZ_GE,
								   TimestampTzGetDatum(scan->bound));
		else if (scan->narrow_attno != InvalidAttrNumber &&
				 leaf->access.index->rd_index->indnkeyatts >= 2 &&
				 leaf->access.index->rd_index->indkey.values[1] == scan->narrow_attno &&
				 leaf->access.index->rd_opcintype[1] == INT4OID)
			ScanKeyEntryInitialize(&keys[nkeys++], 0, 2, BTEqualStrategyNumber,
								   INT4OID, InvalidOid, F_INT4EQ,
								   Int32GetDatum(scan->narrow_value));
		if (leaf->index_scan && leaf->index_nkeys != nkeys)
		{
			index_endscan(leaf->index_scan);
			leaf->index_scan = NULL;
		}
		if (leaf->index_scan == NULL)
		{
			leaf->index_scan = ls_index_beginscan(leaf->rel, leaf->access.index,
												  scan->snapshot, nkeys);
			leaf->index_nkeys = nkeys;
		}
		index_rescan(leaf->index_scan, keys, nkeys, NULL, 0);
		leaf->has_one = leaf->access.is_unique && !is_bound &&
			nkeys == leaf->access.index->rd_index->indnkeyatts;
		leaf->is_at_end = false;
	}
	else if (leaf->table_scan)
		table_rescan(leaf->table_scan, NULL);
	else
		leaf->table_scan = table_beginscan(leaf->rel, scan->snapshot, 0, NULL);
}

/* A frozen row that our snapshot would not see if it were not frozen. */
static bool
is_too_new(KeyScan *scan, KeyLeaf *leaf)
{
	HeapTuple	tuple;
	CommandId	command = 0;

	if (!TTS_IS_BUFFERTUPLE(leaf->slot))
		return false;
	tuple = ((BufferHeapTupleTableSlot *) leaf->slot)->base.tuple;
	return HeapTupleHeaderXminFrozen(tuple->t_data) &&
		ls_row_is_ours(tuple->t_data, &command) &&
		command >= scan->snapshot->curcid;
}

static bool
next_in_leaf(KeyScan *scan, KeyLeaf *leaf)
{
	if (leaf->access.index)
	{
		while (!leaf->is_at_end &&
			   index_getnext_slot(leaf->index_scan, leaf->access.direction, leaf->slot))
			if (!is_too_new(scan, leaf))
			{
				leaf->is_at_end = leaf->has_one;
				return true;
			}
		return false;
	}
	while (table_scan_getnextslot(leaf->table_scan, ForwardScanDirection,
								  leaf->slot))
	{
		bool		isnull;
		Datum		value = slot_getattr(leaf->slot, leaf->key_attno, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull && !is_too_new(scan, leaf) &&
			DatumGetBool(FunctionCall2Coll(&leaf->access.eq,
										   leaf->access.collation,
										   value, scan->key)))
			return true;
	}
	return false;
}

void
ls_keyscan_start(KeyScan *scan, Datum key, const TimestampTz *not_before)
{
	MemoryContext oldcxt;

	choose_all(scan);
	oldcxt = MemoryContextSwitchTo(scan->mcxt);
	scan->key = key;
	scan->has_bound = not_before != NULL;
	if (not_before)
		scan->bound = *not_before;
	scan->current = 0;
	if (scan->nleaves > 0)
		start_leaf(scan, &scan->leaves[0]);
	MemoryContextSwitchTo(oldcxt);
}

TupleTableSlot *
ls_keyscan_next(KeyScan *scan, Relation *leaf_rel, ItemPointer tid)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(scan->mcxt);
	TupleTableSlot *result = NULL;

	while (result == NULL && scan->current < scan->nleaves)
	{
		KeyLeaf    *leaf = &scan->leaves[scan->current];

		if (next_in_leaf(scan, leaf))
		{
			if (leaf_rel)
				*leaf_rel = leaf->rel;
			if (tid)
				*tid = leaf->slot->tts_tid;
			result = leaf->map == NULL ? leaf->slot :
				execute_attr_map_slot(leaf->map->attrMap, leaf->slot, scan->slot);
		}
		else if (++scan->current < scan->nleaves)
			start_leaf(scan, &scan->leaves[scan->current]);
	}
	MemoryContextSwitchTo(oldcxt);
	return result;
}

bool
ls_keyscan_row_is_fresh(KeyScan *scan, CommandId since_cid)
{
	KeyLeaf    *leaf = &scan->leaves[scan->current];
	bool		should_free;
	HeapTuple	tuple;
	CommandId	command = 0;
	bool		fresh;

	if (since_cid == InvalidCommandId)
		return false;
	tuple = ExecFetchSlotHeapTuple(leaf->slot, false, &should_free);
	fresh = ls_row_is_ours(tuple->t_data, &command) && command >= since_cid;
	if (should_free)
		heap_freetuple(tuple);
	return fresh;
}

bool
ls_keyscan_row_is_update(KeyScan *scan)
{
	TupleTableSlot *slot = scan->leaves[scan->current].slot;

	return TTS_IS_BUFFERTUPLE(slot) &&
		(((BufferHeapTupleTableSlot *) slot)->base.tuple->t_data->t_infomask & HEAP_UPDATED) != 0;
}

void
ls_keyscan_place(KeyScan *scan, RowPlace *place)
{
	KeyLeaf    *leaf = &scan->leaves[scan->current];

	place->relid = RelationGetRelid(leaf->rel);
	place->tid = leaf->slot->tts_tid;
}

/* Did this transaction make the version in the place "now" of this one? */
static bool
is_made_of(HeapTupleHeader row, const RowPlace *now)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(row)) &&
		(HeapTupleHeaderIndicatesMovedPartitions(row) ||
		 ItemPointerEquals(&row->t_ctid, unconstify(ItemPointerData *, &now->tid)));
}

/* Read a version of a row, with room for it made by need. */
static TupleTableSlot *
read_version(KeyScan *scan, KeyLeaf *leaf, const RowPlace *now, const RowPlace *before,
			 CommandId since_cid, bool *is_fresh)
{
	ItemPointerData tid = before->tid;
	CommandId	command = 0;
	bool		should_free;
	bool		is_made;
	HeapTuple	tuple;

	if (leaf->version == NULL)
		leaf->version = table_slot_create(leaf->rel, NULL);
	if (leaf->map && scan->version == NULL)
		scan->version = MakeSingleTupleTableSlot(scan->slot->tts_tupleDescriptor,
												 &TTSOpsVirtual);
	if (!table_tuple_fetch_row_version(leaf->rel, &tid, SnapshotAny, leaf->version))
		return NULL;
	tuple = ExecFetchSlotHeapTuple(leaf->version, false, &should_free);
	is_made = leaf->rel->rd_rel->relam != HEAP_TABLE_AM_OID ||
		is_made_of(tuple->t_data, now);
	*is_fresh = ls_row_is_ours(tuple->t_data, &command) && command >= since_cid;
	if (should_free)
		heap_freetuple(tuple);
	if (!is_made)
		return NULL;
	return leaf->map == NULL ? leaf->version :
		execute_attr_map_slot(leaf->map->attrMap, leaf->version, scan->version);
}

TupleTableSlot *
ls_keyscan_version_before(KeyScan *scan, const RowPlace *now, const RowPlace *before,
						  CommandId since_cid, bool *is_fresh)
{
	for (int i = 0; i < scan->nleaves; i++)
		if (RelationGetRelid(scan->leaves[i].rel) == before->relid)
		{
			MemoryContext oldcxt = MemoryContextSwitchTo(scan->mcxt);
			TupleTableSlot *result = read_version(scan, &scan->leaves[i], now, before,
												  since_cid, is_fresh);

			MemoryContextSwitchTo(oldcxt);
			return result;
		}
	return NULL;
}

static bool
step_to_successor(KeyLeaf *leaf, RowPlace *place)
{
	HeapTupleHeader row;

	if (leaf->rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return false;
	if (leaf->version == NULL)
		leaf->version = table_slot_create(leaf->rel, NULL);
	if (!table_tuple_fetch_row_version(leaf->rel, &place->tid, SnapshotAny, leaf->version))
		return false;
	row = ((BufferHeapTupleTableSlot *) leaf->version)->base.tuple->t_data;
	if (HeapTupleHeaderIndicatesMovedPartitions(row) ||
		ItemPointerEquals(&row->t_ctid, &place->tid) ||
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(row)))
		return false;
	place->tid = row->t_ctid;
	return true;
}

bool
ls_keyscan_version_after(KeyScan *scan, RowPlace *place)
{
	for (int i = 0; i < scan->nleaves; i++)
		if (RelationGetRelid(scan->leaves[i].rel) == place->relid)
		{
			MemoryContext oldcxt = MemoryContextSwitchTo(scan->mcxt);
			bool		result = step_to_successor(&scan->leaves[i], place);

			MemoryContextSwitchTo(oldcxt);
			return result;
		}
	return false;
}

bool
ls_keyscan_is_key(KeyScan *scan, Datum value, Datum key)
{
	KeyLeaf    *leaf = &scan->leaves[scan->current];

	return DatumGetBool(FunctionCall2Coll(&leaf->access.eq, leaf->access.collation,
										  value, key));
}

/*
 * Start over for index entries.  The scan has a descriptor of its own, so the
 * rows of ls_keyscan_next may be read meanwhile.
 */
void
ls_keyscan_start_entries(KeyScan *scan, Datum key, TimestampTz from,
						 const TimestampTz *before)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(scan->mcxt);
	KeyLeaf    *leaf = &scan->leaves[0];
	ScanKeyData keys[3];

	Assert(ls_keyscan_is_newest_first(scan));
	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber,
						   leaf->access.subtype, leaf->access.collation,
						   leaf->access.eq.fn_oid, key);
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTGreaterEqualStrategyNumber,
						   TIMESTAMPTZOID, InvalidOid, F_TIMESTAMPTZ_GE,
						   TimestampTzGetDatum(from));
	if (before)
		ScanKeyEntryInitialize(&keys[2], 0, 2, BTLessStrategyNumber,
							   TIMESTAMPTZOID, InvalidOid, F_TIMESTAMPTZ_LT,
							   TimestampTzGetDatum(*before));
	else
		ScanKeyEntryInitialize(&keys[2], 0, 2, BTLessEqualStrategyNumber,
							   TIMESTAMPTZOID, InvalidOid, F_TIMESTAMPTZ_LE,
							   TimestampTzGetDatum(DT_NOEND));
	if (leaf->entry_scan == NULL)
	{
		leaf->entry_scan = ls_index_beginscan(leaf->rel, leaf->access.index,
											  scan->snapshot, 3);
		leaf->entry_scan->xs_want_itup = true;
	}
	index_rescan(leaf->entry_scan, keys, 3, NULL, 0);
	MemoryContextSwitchTo(oldcxt);
}

bool
ls_keyscan_next_entry(KeyScan *scan, TimestampTz *at, ItemPointer tid)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(scan->mcxt);
	KeyLeaf    *leaf = &scan->leaves[0];
	ItemPointer found = index_getnext_tid(leaf->entry_scan, leaf->access.direction);
	bool		isnull;

	if (found)
	{
		*tid = *found;
		*at = DatumGetTimestampTz(index_getattr(leaf->entry_scan->xs_itup, 2,
												leaf->entry_scan->xs_itupdesc,
												&isnull));
		Assert(!isnull);		/* the range has no nulls in it */
	}
	MemoryContextSwitchTo(oldcxt);
	return found != NULL;
}

/*
 * The tid may have been given to another row since the entry was read: one
 * that our snapshot does not see, for it saw the row that was there before or
 * none.  Bitmap scans rely on the same.
 */
TupleTableSlot *
ls_keyscan_fetch(KeyScan *scan, ItemPointer tid)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(scan->mcxt);
	KeyLeaf    *leaf = &scan->leaves[0];
	ItemPointerData version = *tid;
	TupleTableSlot *result = NULL;
	bool		again = false;
	bool		all_dead;

	scan->current = 0;
	if (table_index_fetch_tuple(leaf->entry_scan->xs_heapfetch, &version,
								scan->snapshot, leaf->slot, &again, &all_dead) &&
		!is_too_new(scan, leaf))
		result = leaf->map == NULL ? leaf->slot :
			execute_attr_map_slot(leaf->map->attrMap, leaf->slot, scan->slot);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

TupleTableSlot *
ls_keyscan_row_at(KeyScan *scan, const RowPlace *place)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(scan->mcxt);
	TupleTableSlot *result = NULL;
	ItemPointerData tid = place->tid;

	for (int i = 0; i < scan->nleaves; i++)
	{
		KeyLeaf    *leaf = &scan->leaves[i];

		if (RelationGetRelid(leaf->rel) != place->relid)
			continue;
		if (table_tuple_fetch_row_version(leaf->rel, &tid, scan->snapshot, leaf->slot) &&
			!is_too_new(scan, leaf))
			result = leaf->map == NULL ? leaf->slot :
				execute_attr_map_slot(leaf->map->attrMap, leaf->slot, scan->slot);
		scan->current = i;
		break;
	}
	MemoryContextSwitchTo(oldcxt);
	return result;
}

void
ls_keyscan_close(KeyScan *scan)
{
	for (int i = 0; i < scan->nleaves; i++)
	{
		KeyLeaf    *leaf = &scan->leaves[i];

		ExecDropSingleTupleTableSlot(leaf->slot);
		if (leaf->version)
			ExecDropSingleTupleTableSlot(leaf->version);
		if (leaf->index_scan)
			index_endscan(leaf->index_scan);
		if (leaf->entry_scan)
			index_endscan(leaf->entry_scan);
		if (leaf->table_scan)
			table_endscan(leaf->table_scan);
		if (leaf->access.index)
			index_close(leaf->access.index, NoLock);
		if (leaf->map)
			free_conversion_map(leaf->map);
		table_close(leaf->rel, NoLock);
	}
	if (scan->version)
		ExecDropSingleTupleTableSlot(scan->version);
	if (scan->slot)
		ExecDropSingleTupleTableSlot(scan->slot);
	pfree(scan->leaves);
	pfree(scan);
}
