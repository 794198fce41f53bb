/*-------------------------------------------------------------------------
 *
 * key_scan.c
 *	  The rows of one key in a table, by the best index there is.
 *
 * A KeyScan reads with the table's own access methods and the caller's
 * snapshot: no planner, no executor, no permission checks (the owner of the
 * activity table lends his eyes, as he does to a foreign key).  For each leaf
 * table it takes a valid btree index that starts with the key column, best
 * one that goes on with the time column, newest rows first; without one it reads the whole leaf
 * and compares.  Scan descriptors are kept and restarted from key to key.
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
#include "access/nbtree.h"
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
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "compat.h"
#include "key_scan.h"

typedef struct KeyLeaf
{
	Relation	rel;
	Relation	index;			/* NULL: read the whole leaf */
	bool		index_has_time;
	ScanDirection direction;	/* newest first, if it has the time */
	bool		is_unique;		/* its columns are a key of the table */
	RegProcedure key_eq;		/* column = key */
	Oid			key_collation;
	Oid			key_subtype;
	FmgrInfo	key_eq_finfo;
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
 * Find the operator "opcintype = key_type" of an operator family.  Types that
 * are binary coercible (varchar to text) or polymorphic (enums) go by the
 * family's own input type.
 */
static RegProcedure
find_equality(Oid opfamily, Oid opcintype, Oid key_type, Oid *subtype)
{
	Oid			op = get_opfamily_member(opfamily, opcintype, key_type,
										 BTEqualStrategyNumber);

	*subtype = key_type;
	if (!OidIsValid(op) && (IsBinaryCoercible(key_type, opcintype) ||
							IsPolymorphicType(opcintype)))
	{
		op = get_opfamily_member(opfamily, opcintype, opcintype,
								 BTEqualStrategyNumber);
		*subtype = opcintype;
	}
	return OidIsValid(op) ? get_opcode(op) : InvalidOid;
}

bool
ls_keyscan_can_compare(Oid column_type, Oid key_type)
{
	TypeCacheEntry *type = lookup_type_cache(getBaseType(column_type),
											 TYPECACHE_BTREE_OPFAMILY);
	Oid			subtype;

	return OidIsValid(type->btree_opf) &&
		OidIsValid(find_equality(type->btree_opf, type->btree_opintype,
								 key_type, &subtype));
}

/* May the index be used under our snapshot?  As plancat.c decides it. */
static bool
index_is_usable(Relation index, AttrNumber key_attno)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisvalid || index->rd_rel->relam != BTREE_AM_OID ||
		form->indkey.values[0] != key_attno ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	if (form->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							   TransactionXmin))
		return false;
	return true;
}

/* Choose; false: not for any snapshot, so do not remember it. */
static bool
choose_index(KeyLeaf *leaf, Oid key_type, AttrNumber time_attno)
{
	bool		is_lasting = true;
	List	   *indexes = RelationGetIndexList(leaf->rel);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(leaf->rel),
										  leaf->key_attno - 1);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		RegProcedure eq = InvalidOid;
		Oid			subtype = InvalidOid;
		bool		has_time = false;

		if (index->rd_index->indcheckxmin)
			is_lasting = false;
		if (index_is_usable(index, leaf->key_attno) &&
			index->rd_indcollation[0] == att->attcollation)
			eq = find_equality(index->rd_opfamily[0], index->rd_opcintype[0],
							   key_type, &subtype);
		if (OidIsValid(eq))
			has_time = time_attno != InvalidAttrNumber &&
				index->rd_index->indnkeyatts >= 2 &&
				index->rd_index->indkey.values[1] == time_attno &&
				index->rd_opcintype[1] == TIMESTAMPTZOID;
		if (OidIsValid(eq) &&
			(leaf->index == NULL || (has_time && !leaf->index_has_time)))
		{
			if (leaf->index)
				index_close(leaf->index, AccessShareLock);
			leaf->index = index;
			leaf->index_has_time = has_time;
			leaf->is_unique = index->rd_index->indisunique && index->rd_index->indimmediate;
			leaf->direction = has_time && (index->rd_indoption[1] & INDOPTION_DESC) ?
				ForwardScanDirection : BackwardScanDirection;
			leaf->key_eq = eq;
			leaf->key_subtype = subtype;
			leaf->key_collation = index->rd_indcollation[0];
		}
		else
			index_close(index, AccessShareLock);
	}
	list_free(indexes);

	if (leaf->index == NULL)
	{
		TypeCacheEntry *type = lookup_type_cache(getBaseType(att->atttypid),
												 TYPECACHE_BTREE_OPFAMILY);

		leaf->key_eq = find_equality(type->btree_opf, type->btree_opintype,
									 key_type, &leaf->key_subtype);
		leaf->key_collation = att->attcollation;
		if (!OidIsValid(leaf->key_eq))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s\" cannot be compared with the key of the contacts table",
							NameStr(att->attname), RelationGetRelationName(leaf->rel))));
	}
	fmgr_info(leaf->key_eq, &leaf->key_eq_finfo);
	return is_lasting;
}

/*
 * What choose_index found for a table without children, to be had again without
 * opening all its indexes: a statement of one row opens several scans.  Good
 * until a message comes that the table, or all, may have changed.
 */
typedef struct ChoiceKey
{
	Oid			relid;
	Oid			key_type;
	AttrNumber	key_attno;
	AttrNumber	time_attno;
} ChoiceKey;

typedef struct Choice
{
	ChoiceKey	id;				/* hash key */
	bool		is_good;
	Oid			index;			/* InvalidOid: none */
	bool		index_has_time;
	bool		is_unique;
	ScanDirection direction;
	Oid			key_collation;
	Oid			key_subtype;
	FmgrInfo	key_eq_finfo;
} Choice;

static HTAB *choices = NULL;

static void
forget_choices(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	Choice	   *choice;

	hash_seq_init(&status, choices);
	while ((choice = hash_seq_search(&status)) != NULL)
		if (relid == InvalidOid || choice->id.relid == relid || choice->index == relid)
			choice->is_good = false;
}

static Choice *
find_choice(KeyLeaf *leaf, Oid key_type, AttrNumber time_attno)
{
	ChoiceKey	id;
	bool		found;
	Choice	   *choice;

	if (choices == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(ChoiceKey);
		ctl.entrysize = sizeof(Choice);
		ctl.hcxt = TopMemoryContext;
		choices = hash_create("leadstream indexes", 32, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		CacheRegisterRelcacheCallback(forget_choices, (Datum) 0);
	}
	memset(&id, 0, sizeof(id));
	id.relid = RelationGetRelid(leaf->rel);
	id.key_type = key_type;
	id.key_attno = leaf->key_attno;
	id.time_attno = time_attno;
	choice = hash_search(choices, &id, HASH_ENTER, &found);
	if (!found)
	{
		choice->is_good = false;
		choice->index = InvalidOid; /* forget_choices may come before one is found */
	}
	return choice;
}

/* Give a leaf its index, or the way to do without. */
static void
choose_access(KeyScan *scan, KeyLeaf *leaf, AttrNumber time_attno)
{
	Choice	   *choice = find_choice(leaf, scan->key_type, time_attno);

	if (choice->is_good)
	{
		leaf->index_has_time = choice->index_has_time;
		leaf->is_unique = choice->is_unique;
		leaf->direction = choice->direction;
		leaf->key_eq = choice->key_eq_finfo.fn_oid;
		leaf->key_eq_finfo = choice->key_eq_finfo;
		leaf->key_collation = choice->key_collation;
		leaf->key_subtype = choice->key_subtype;
		if (!OidIsValid(choice->index))
			return;
		/* taking the lock may bring the message that it is gone */
		LockRelationOid(choice->index, AccessShareLock);
		if (choice->is_good)
		{
			leaf->index = index_open(choice->index, NoLock);
			return;
		}
		UnlockRelationOid(choice->index, AccessShareLock);
		leaf->index_has_time = leaf->is_unique = false;
	}

	choice->is_good = true;		/* unless a message comes meanwhile */
	if (!choose_index(leaf, scan->key_type, time_attno))
		choice->is_good = false;
	choice->index = leaf->index ? RelationGetRelid(leaf->index) : InvalidOid;
	choice->index_has_time = leaf->index_has_time;
	choice->is_unique = leaf->is_unique;
	choice->direction = leaf->direction;
	choice->key_collation = leaf->key_collation;
	choice->key_subtype = leaf->key_subtype;
	fmgr_info_copy(&choice->key_eq_finfo, &leaf->key_eq_finfo, TopMemoryContext);
}

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
		choose_access(scan, leaf, time_attno);
	}
	scan->is_chosen = true;
	MemoryContextSwitchTo(oldcxt);
}

bool
ls_keyscan_is_newest_first(KeyScan *scan)
{
	choose_all(scan);
	return scan->nleaves == 1 && scan->leaves[0].index_has_time;
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
	if (leaf->index)
	{
		ScanKeyData keys[2];
		int			nkeys = 1;
		bool		is_bound = scan->has_bound && leaf->index_has_time;

		ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber,
							   leaf->key_subtype, leaf->key_collation,
							   leaf->key_eq, scan->key);
		if (is_bound)
			ScanKeyEntryInitialize(&keys[nkeys++], 0, 2,
								   BTGreaterEqualStrategyNumber, TIMESTAMPTZOID,
								   InvalidOid, F_TIMESTAMPTZ_GE,
								   TimestampTzGetDatum(scan->bound));
		else if (scan->narrow_attno != InvalidAttrNumber &&
				 leaf->index->rd_index->indnkeyatts >= 2 &&
				 leaf->index->rd_index->indkey.values[1] == scan->narrow_attno &&
				 leaf->index->rd_opcintype[1] == INT4OID)
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
			leaf->index_scan = ls_index_beginscan(leaf->rel, leaf->index,
												  scan->snapshot, nkeys);
			leaf->index_nkeys = nkeys;
		}
		index_rescan(leaf->index_scan, keys, nkeys, NULL, 0);
		leaf->has_one = leaf->is_unique && !is_bound &&
			nkeys == leaf->index->rd_index->indnkeyatts;
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
	if (leaf->index)
	{
		while (!leaf->is_at_end &&
			   index_getnext_slot(leaf->index_scan, leaf->direction, leaf->slot))
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
			DatumGetBool(FunctionCall2Coll(&leaf->key_eq_finfo,
										   leaf->key_collation,
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

bool
ls_keyscan_is_key(KeyScan *scan, Datum value, Datum key)
{
	KeyLeaf    *leaf = &scan->leaves[scan->current];

	return DatumGetBool(FunctionCall2Coll(&leaf->key_eq_finfo, leaf->key_collation,
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
						   leaf->key_subtype, leaf->key_collation,
						   leaf->key_eq, key);
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
		leaf->entry_scan = ls_index_beginscan(leaf->rel, leaf->index,
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
	ItemPointer found = index_getnext_tid(leaf->entry_scan, leaf->direction);
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
		if (leaf->index)
			index_close(leaf->index, NoLock);
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
