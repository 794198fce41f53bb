/*-------------------------------------------------------------------------
 *
 * key_store.c
 *	  The tables access_path and access_key: where streams are entered.
 *
 * access_key holds pairs of a digest (stream_keys.h) and a stream, a negative
 * one where the stream stands deeper; access_path tells which paths
 * (rule_access.h) rows have to be looked up by.  Both are written in the
 * transaction that changes the stream, by the trigger on leadstream.stream,
 * and read by need: a session that has never met a stream asks the index on
 * (digest, stream_id) whether there is one, a microsecond each time.  So
 * nothing need be loaded, and what a stream is entered under commits or is
 * rolled back with it.
 *
 * The tables are derived from the streams and from the tables that rules are
 * bound to.  A dump leaves them out; the trigger makes them again as streams
 * are restored.  They are read and written like system catalogs: whoever may
 * change a stream need have no rights on them, and readers see what is
 * committed, whatever their transaction's snapshot.
 *
 * A path is never removed by those who come and go, only by ls_keys_clear:
 * somebody could be entering another stream under it.  One that leads to no
 * stream is not used, which its own entry tells.  Two may be written by two
 * transactions at a time, and are taken as one by whoever reads.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "key_store.h"

/* Attribute numbers of leadstream.access_key and access_path. */
#define ACCESS_KEY_DIGEST		1
#define ACCESS_KEY_STREAM		2
#define ACCESS_KEY_COLUMNS		2

#define ACCESS_PATH_ID			1
#define ACCESS_PATH_SOURCE		2
#define ACCESS_PATH_KIND		3
#define ACCESS_PATH_LENGTH		4
#define ACCESS_PATH_FIELDS		5
#define ACCESS_PATH_TYPES		6
#define ACCESS_PATH_COLUMNS		6

/* Entries that fit into a page, about. */
#define KEYS_PER_PAGE			180

/* ----------
 * Reading.
 * ----------
 */
static Relation
open_store(const char *name, LOCKMODE lockmode)
{
	Oid			relid = ls_catalog_relid(name);

	return OidIsValid(relid) ? table_open(relid, lockmode) : NULL;
}

int
ls_keys_read(uint64 digest, Snapshot snapshot, int few,
			 int32 **stream_ids, bool *has_deeper)
{
	Relation	rel = open_store("access_key", AccessShareLock);
	const int32 none = 0;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			n = 0;
	int			room = 8;
	int32	   *ids;

	*stream_ids = NULL;
	*has_deeper = false;
	if (rel == NULL)
		return 0;
	ids = NULL;
	scan = ls_catalog_scan(rel, ACCESS_KEY_DIGEST, Int64GetDatum((int64) digest), true,
				   InvalidAttrNumber, NULL, snapshot);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		int32		id = DatumGetInt32(heap_getattr(tuple, ACCESS_KEY_STREAM,
													RelationGetDescr(rel), &isnull));

		CHECK_FOR_INTERRUPTS();
		/* negative ones come first */
		if (id < 0 && n == few)
		{
			*has_deeper = true;
			n = 0;
			systable_endscan(scan);
			scan = ls_catalog_scan(rel, ACCESS_KEY_DIGEST, Int64GetDatum((int64) digest), true,
						   ACCESS_KEY_STREAM, &none, snapshot);
			continue;
		}
		if (ids == NULL)
			ids = palloc(sizeof(int32) * room);
		else if (n == room)
			ids = repalloc_huge(ids, sizeof(int32) * (Size) (room *= 2));
		ids[n++] = abs(id);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	*stream_ids = ids;
	return n;
}

double
ls_keys_estimate(void)
{
	Relation	rel = open_store("access_key", AccessShareLock);
	double		result = 0;

	if (rel)
	{
		result = (double) RelationGetNumberOfBlocks(rel) * KEYS_PER_PAGE;
		table_close(rel, AccessShareLock);
	}
	return result;
}

void
ls_keys_scan(Snapshot snapshot, void (*callback) (uint64 digest, void *arg), void *arg)
{
	Relation	rel = open_store("access_key", AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rel == NULL)
		return;
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		callback((uint64) DatumGetInt64(heap_getattr(tuple, ACCESS_KEY_DIGEST,
													 RelationGetDescr(rel), &isnull)),
				 arg);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Fill an array of strings from an array of text. */
static int
read_texts(Datum value, char **texts)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, &nulls, &n);
	n = Min(n, MAX_KEY_FIELDS);
	for (int i = 0; i < n; i++)
		texts[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(elems[i]);
	return n;
}

/* Does the path lead to any stream? */
static bool
is_in_use(Relation keys, uint64 path_id, Snapshot snapshot)
{
	SysScanDesc scan = ls_catalog_scan(keys, ACCESS_KEY_DIGEST,
							   Int64GetDatum((int64) ls_digest(DIGEST_PATH, path_id)),
							   true, InvalidAttrNumber, NULL, snapshot);
	bool		result = systable_getnext(scan) != NULL;

	systable_endscan(scan);
	return result;
}

static bool
is_listed(List *paths, uint64 path_id)
{
	ListCell   *lc;

	foreach(lc, paths)
		if (((StoredPath *) lfirst(lc))->path_id == path_id)
			return true;
	return false;
}

List *
ls_keys_paths(int32 source_id, Snapshot snapshot)
{
	Relation	rel = open_store("access_path", AccessShareLock);
	Relation	keys = open_store("access_key", AccessShareLock);
	List	   *result = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rel == NULL || keys == NULL)
	{
		if (rel)
			table_close(rel, AccessShareLock);
		return NIL;
	}
	scan = ls_catalog_scan(rel, ACCESS_PATH_SOURCE, Int32GetDatum(source_id), false,
						   InvalidAttrNumber, NULL, snapshot);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		StoredPath *path;
		uint64		path_id = (uint64) DatumGetInt64(heap_getattr(tuple, ACCESS_PATH_ID,
																  desc, &isnull));

		if (is_listed(result, path_id) || !is_in_use(keys, path_id, snapshot))
			continue;
		path = palloc0(sizeof(StoredPath));
		path->path_id = path_id;
		path->source_id = source_id;
		path->description.kind =
			TextDatumGetCString(heap_getattr(tuple, ACCESS_PATH_KIND, desc, &isnull));
		path->description.length =
			DatumGetInt32(heap_getattr(tuple, ACCESS_PATH_LENGTH, desc, &isnull));
		path->description.nfields =
			read_texts(heap_getattr(tuple, ACCESS_PATH_FIELDS, desc, &isnull),
					   path->description.fields);
		(void) read_texts(heap_getattr(tuple, ACCESS_PATH_TYPES, desc, &isnull),
						  path->description.types);
		result = lappend(result, path);
	}
	systable_endscan(scan);
	table_close(keys, AccessShareLock);
	table_close(rel, AccessShareLock);
	return result;
}

/* ----------
 * Writing.
 * ----------
 */

/* Is the path there?  With path_id NULL: how many of the source are. */
static int
count_paths(int32 source_id, const uint64 *path_id)
{
	Relation	rel = open_store("access_path", AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	int			result = 0;

	if (rel == NULL)
		return 0;
	/* also what this very command has written */
	scan = ls_catalog_scan(rel, ACCESS_PATH_SOURCE, Int32GetDatum(source_id), false,
				   InvalidAttrNumber, NULL, SnapshotSelf);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		if (path_id == NULL ||
			(uint64) DatumGetInt64(heap_getattr(tuple, ACCESS_PATH_ID,
												RelationGetDescr(rel), &isnull)) == *path_id)
			result++;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static bool
store_knows(PathBook *book, int32 source_id, uint64 path_id)
{
	return count_paths(source_id, &path_id) > 0;
}

static int
store_count(PathBook *book, int32 source_id)
{
	return count_paths(source_id, NULL);
}

PathBook *
ls_keys_book(void)
{
	static PathBook book = {store_knows, store_count};

	return &book;
}

static Datum
text_array(char **texts, int n)
{
	Datum	   *elems = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elems[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elems, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Write a path unless it is there. */
static void
write_path(const StreamPath *path, ContactSource *contacts, ActivitySource **kinds, int nkinds)
{
	Relation	rel;
	Relation	table;
	Oid			relid = InvalidOid;
	AccessDescription description;
	Datum		values[ACCESS_PATH_COLUMNS];
	bool		nulls[ACCESS_PATH_COLUMNS] = {false};

	if (count_paths(path->source_id, &path->path->path_id) > 0)
		return;
	if (path->source_id == CONTACTS_SOURCE)
		relid = contacts->relid;
	for (int k = 0; k < nkinds; k++)
		if (kinds[k]->source_id == path->source_id)
			relid = kinds[k]->relid;
	table = table_open(relid, AccessShareLock);
	ls_access_describe(path->path, path->source_id == CONTACTS_SOURCE ? INNER_VAR : OUTER_VAR,
					   table, &description);
	table_close(table, NoLock);

	values[ACCESS_PATH_ID - 1] = Int64GetDatum((int64) path->path->path_id);
	values[ACCESS_PATH_SOURCE - 1] = Int32GetDatum(path->source_id);
	values[ACCESS_PATH_KIND - 1] = CStringGetTextDatum(description.kind);
	values[ACCESS_PATH_LENGTH - 1] = Int32GetDatum(description.length);
	values[ACCESS_PATH_FIELDS - 1] = text_array(description.fields, description.nfields);
	values[ACCESS_PATH_TYPES - 1] = text_array(description.types, description.nfields);
	rel = open_store("access_path", RowExclusiveLock);
	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	table_close(rel, NoLock);
}

/* Delete the entries of a stream, those deeper or the others. */
static void
delete_entries(Relation rel, int32 stream_id)
{
	SysScanDesc scan = ls_catalog_scan(rel, ACCESS_KEY_STREAM, Int32GetDatum(stream_id),
							   false, InvalidAttrNumber, NULL, NULL);
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
		CatalogTupleDelete(rel, &tuple->t_self);
	systable_endscan(scan);
}

static void
write_entry(Relation rel, CatalogIndexState indexes, uint64 digest, int32 stream_id)
{
	Datum		values[ACCESS_KEY_COLUMNS];
	bool		nulls[ACCESS_KEY_COLUMNS] = {false};
	HeapTuple	tuple;

	values[ACCESS_KEY_DIGEST - 1] = Int64GetDatum((int64) digest);
	values[ACCESS_KEY_STREAM - 1] = Int32GetDatum(stream_id);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	CatalogTupleInsertWithInfo(rel, tuple, indexes);
	heap_freetuple(tuple);
}

void
ls_keys_replace(int32 stream_id, const StreamKeys *keys, bool is_unkeyed,
				ContactSource *contacts, ActivitySource **kinds, int nkinds)
{
	Relation	rel = open_store("access_key", RowExclusiveLock);
	CatalogIndexState indexes;

	if (rel == NULL)
		return;
	delete_entries(rel, stream_id);
	delete_entries(rel, -stream_id);
	for (int i = 0; keys && i < keys->npaths; i++)
		write_path(&keys->paths[i], contacts, kinds, nkinds);
	indexes = CatalogOpenIndexes(rel);
	for (int i = 0; keys && i < keys->nkeys; i++)
		write_entry(rel, indexes, keys->keys[i].digest,
					keys->keys[i].is_deeper ? -stream_id : stream_id);
	if (is_unkeyed)
		write_entry(rel, indexes, ls_digest(DIGEST_UNKEYED, 0), stream_id);
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
}

void
ls_keys_clear(void)
{
	static const char *const names[] = {"access_key", "access_path"};

	for (int i = 0; i < lengthof(names); i++)
	{
		Relation	rel = open_store(names[i], ShareRowExclusiveLock);
		SysScanDesc scan;
		HeapTuple	tuple;

		if (rel == NULL)
			continue;
		scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
		while ((tuple = systable_getnext(scan)) != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			CatalogTupleDelete(rel, &tuple->t_self);
		}
		systable_endscan(scan);
		table_close(rel, NoLock);
	}
	/* what is written next must not meet them */
	CommandCounterIncrement();
}
