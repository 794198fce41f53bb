/*-------------------------------------------------------------------------
 *
 * table_watch.c
 *	  What relcache messages say of the tables that rules read.
 *
 * Every write to leadstream's tables sends a relcache message for
 * leadstream.stream (the trigger leadstream.invalidate), and every change of a
 * table one for that table.  The callback may be called at any lock acquisition:
 * it counts and flags, nothing else.  Who depends on the tables compares counts.
 * A message for a table that rules read (autovacuum sends many) matters only if
 * the table has another shape afterwards.
 *
 * What is watched stays watched for as long as the table is there.  One that is
 * gone is forgotten by a later transaction than that which found it so: for it may
 * be gone in that transaction alone and come back, with a message, when it ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "table_watch.h"

PG_FUNCTION_INFO_V1(leadstream_invalidate);

/* A table that the cached streams depend on. */
typedef struct WatchedTable
{
	Oid			relid;			/* hash key */
	Oid			root;			/* the attached table it belongs to;
								 * InvalidOid: several */
	uint64		nmessages;		/* about it */
	uint64		checked;		/* of these, what shape was taken after */
	uint64		shape;			/* 0: it is gone */
	TimestampTz taken_in;		/* when the transaction began that took it */
} WatchedTable;

WatchCounts ls_watch_messages = {0, 0, 0};

static HTAB *watched = NULL;
static Oid	stream_relid = InvalidOid;

/* Flag what a relcache message is about; must not do anything else. */
static void
note_message(Datum arg, Oid relid)
{
	ls_watch_messages.all++;
	if (relid == InvalidOid)
	{
		HASH_SEQ_STATUS status;
		WatchedTable *table;

		ls_watch_messages.streams++;
		ls_watch_messages.tables++;
		hash_seq_init(&status, watched);
		while ((table = hash_seq_search(&status)) != NULL)
			table->nmessages++;
	}
	else if (relid == stream_relid)
		ls_watch_messages.streams++;
	else
	{
		WatchedTable *table = hash_search(watched, &relid, HASH_FIND, NULL);

		if (table)
		{
			table->nmessages++;
			ls_watch_messages.tables++;
		}
	}
}

void
ls_watch_init(MemoryContext context)
{
	HASHCTL		ctl;

	if (watched != NULL)
		return;
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(WatchedTable);
	ctl.hcxt = context;
	watched = hash_create("leadstream watched tables", 32, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(note_message, (Datum) 0);
}

void
ls_watch_streams(Oid relid)
{
	stream_relid = relid;
}

/* What a row of pg_attribute adds to the shape of its table. */
static uint64
attribute_shape(HeapTuple tuple)
{
	Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);
	uint64		shape = att->attnum;

	if (att->attnum < 0 || att->attisdropped)
		return shape;
	shape = hash_combine64(shape,
						   hash_bytes_extended((unsigned char *) NameStr(att->attname),
											   strlen(NameStr(att->attname)), 0));
	shape = hash_combine64(shape, att->atttypid);
	shape = hash_combine64(shape, (uint32) att->atttypmod);
	shape = hash_combine64(shape, att->attcollation);
	return hash_combine64(shape, att->attgenerated);
}

/* What a row of pg_index does. */
static uint64
index_shape(HeapTuple tuple)
{
	Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

	return index->indislive ? index->indexrelid : 0;
}

/* Digest the rows of a catalog that belong to a table, in whatever order they come. */
static uint64
rows_shape(Oid catalog, Oid catalog_index, AttrNumber attno, Oid relid,
		   uint64 (*row_shape) (HeapTuple tuple))
{
	Relation	rel = table_open(catalog, AccessShareLock);
	uint64		shape = 0;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, attno, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, catalog_index, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		shape += hash_combine64(catalog, row_shape(tuple));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return shape;
}

/*
 * Taken without a lock: were somebody changing the table just now, his commit
 * sends another message.  That is why the catalogs are read here and not the
 * relcache: to build an entry of a table that changes meanwhile is an error.
 */
uint64
ls_table_shape(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	uint64		shape;
	bool		has_children;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		return 0;
	form = (Form_pg_class) GETSTRUCT(tuple);
	shape = hash_combine64(relid, form->relkind);
	has_children = form->relhassubclass;
	ReleaseSysCache(tuple);

	shape = hash_combine64(shape, rows_shape(AttributeRelationId, AttributeRelidNumIndexId,
											 Anum_pg_attribute_attrelid, relid, attribute_shape));
	shape = hash_combine64(shape, rows_shape(IndexRelationId, IndexIndrelidIndexId,
											 Anum_pg_index_indrelid, relid, index_shape));
	if (has_children)
		foreach(lc, find_inheritance_children(relid, NoLock))
			shape = hash_combine64(shape, lfirst_oid(lc));
	return shape;
}

uint64
ls_tables_shape(List *relids)
{
	uint64		shape = 0;
	ListCell   *lc;

	foreach(lc, relids)
		shape = hash_combine64(shape, ls_table_shape(lfirst_oid(lc)));
	return shape;
}

/* Messages that come meanwhile, and errors, leave it to be taken again. */
static void
take_shape(WatchedTable *table)
{
	uint64		nmessages = table->nmessages;

	table->shape = ls_table_shape(table->relid);
	table->taken_in = GetCurrentTransactionStartTimestamp();
	table->checked = nmessages;
}

void
ls_watch_table(Oid relid, Oid root)
{
	bool		found;
	WatchedTable *table = hash_search(watched, &relid, HASH_ENTER, &found);

	if (!found)
	{
		table->root = root;
		table->nmessages = 1;
		table->checked = 0;
		table->shape = 0;
		take_shape(table);
	}
	else if (table->root != root)
		table->root = InvalidOid;
}

void
ls_watch_tree(Oid root)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(root, NoLock, NULL))
		ls_watch_table(lfirst_oid(lc), root);
}

void
ls_watch_check(void (*changed) (Oid root))
{
	HASH_SEQ_STATUS status;
	WatchedTable *table;
	List	   *dirty = NIL;
	ListCell   *lc;

	/* ls_table_shape may let messages in, so not while scanning the hash */
	hash_seq_init(&status, watched);
	while ((table = hash_seq_search(&status)) != NULL)
		if (table->checked != table->nmessages)
			dirty = lappend_oid(dirty, table->relid);
		else if (table->shape == 0 && table->taken_in != GetCurrentTransactionStartTimestamp())
			(void) hash_search(watched, &table->relid, HASH_REMOVE, NULL);

	foreach(lc, dirty)
	{
		Oid			relid = lfirst_oid(lc);
		uint64		shape;

		table = hash_search(watched, &relid, HASH_FIND, NULL);
		shape = table->shape;
		take_shape(table);
		if (table->shape != shape)
			changed(table->root);
	}
}

/*
 * Statement trigger on leadstream's tables: whatever was written, everybody
 * reads the streams again.
 */
Datum
leadstream_invalidate(PG_FUNCTION_ARGS)
{
	Oid			relid;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by the trigger manager")));

	relid = ls_catalog_relid("stream");
	if (OidIsValid(relid))
		CacheInvalidateRelcacheByRelid(relid);
	return PointerGetDatum(NULL);
}
