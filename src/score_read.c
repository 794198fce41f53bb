/*-------------------------------------------------------------------------
 *
 * score_read.c
 *	  Score rules as streams are read: for the scores that are kept.
 *
 * A score that is kept is to be judged again when something happens that its
 * rules speak of, which is what streams are found by.  So a score rule is read,
 * bound, remembered and entered where rows are looked up as if it were a stream,
 * under a number of its own (score_read.h); it has no teams and makes no leads.
 * Its version is that of its set, which every change of the set raises.
 *
 * Read like a system catalog, as streams are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "score_read.h"
#include "segment.h"

ScoreSetRow *
ls_score_set_read(int32 score_set_id, Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid("score_set");
	ScoreSetRow *row = NULL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	scan = ls_catalog_scan(rel, SCORE_SET_ID, Int32GetDatum(score_set_id), false,
						   InvalidAttrNumber, NULL, snapshot);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;

		row = palloc(sizeof(ScoreSetRow));
		row->score_set_id = score_set_id;
		row->version = DatumGetInt32(heap_getattr(tuple, SCORE_SET_VERSION, desc, &isnull));
		row->account = TextDatumGetCString(heap_getattr(tuple, SCORE_SET_ACCOUNT, desc, &isnull));
		row->is_enabled = DatumGetBool(heap_getattr(tuple, SCORE_SET_IS_ENABLED, desc, &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return row;
}

/* A row of leadstream.score_rule. */
static StreamRow *
make_row(HeapTuple tuple, TupleDesc desc)
{
	StreamRow  *row = palloc0(sizeof(StreamRow));
	bool		isnull;

	row->stream_id = ls_score_stream(DatumGetInt32(heap_getattr(tuple, SCORE_RULE_ID, desc,
																&isnull)));
	row->name = TextDatumGetCString(heap_getattr(tuple, SCORE_RULE_NAME, desc, &isnull));
	row->rule = (Rule *) PG_DETOAST_DATUM_COPY(heap_getattr(tuple, SCORE_RULE_RULE, desc,
															&isnull));
	row->is_enabled = DatumGetBool(heap_getattr(tuple, SCORE_RULE_IS_ENABLED, desc, &isnull));
	row->is_seeded = true;
	row->enabled_at = DT_NOEND;
	row->is_score = true;
	row->score_set_id = DatumGetInt32(heap_getattr(tuple, SCORE_RULE_SET, desc, &isnull));
	row->points = DatumGetInt32(heap_getattr(tuple, SCORE_RULE_POINTS, desc, &isnull));
	return row;
}

StreamRow *
ls_score_stream_read(int32 stream_id, Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid("score_rule");
	StreamRow  *row = NULL;
	ScoreSetRow *set;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	scan = ls_catalog_scan(rel, SCORE_RULE_ID, Int32GetDatum(ls_score_rule_of(stream_id)), false,
						   InvalidAttrNumber, NULL, snapshot);
	if ((tuple = systable_getnext(scan)) != NULL)
		row = make_row(tuple, RelationGetDescr(rel));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (row == NULL || (set = ls_score_set_read(row->score_set_id, snapshot)) == NULL)
		return NULL;
	row->rule_version = set->version;
	row->account = set->account;
	row->is_enabled = row->is_enabled && set->is_enabled;
	/* one that cannot be expanded is left for the binder to complain of */
	row->rule = ls_segments_try(row->rule, row->account, snapshot);
	return row;
}

Rule *
ls_score_version_rule(int32 stream_id, int32 version)
{
	StreamRow  *row = ls_score_stream_read(stream_id, NULL);

	return row && row->rule_version == version ? unconstify(Rule *, row->rule) : NULL;
}

/* The integers in a column of rows that have one in another, ascending. */
static List *
read_ids(const char *table, AttrNumber column, AttrNumber by, int32 value, Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid(table);
	List	   *ids = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NIL;
	rel = table_open(relid, AccessShareLock);
	scan = by == InvalidAttrNumber ? systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL) :
		ls_catalog_scan(rel, by, Int32GetDatum(value), false, InvalidAttrNumber, NULL, snapshot);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		ids = lappend_int(ids, DatumGetInt32(heap_getattr(tuple, column, RelationGetDescr(rel),
														  &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(ids, list_int_cmp);
	return ids;
}

List *
ls_score_rule_streams(int32 score_set_id, Snapshot snapshot)
{
	List	   *ids = read_ids("score_rule", SCORE_RULE_ID, SCORE_RULE_SET, score_set_id, snapshot);
	ListCell   *lc;

	foreach(lc, ids)
		lfirst_int(lc) = ls_score_stream(lfirst_int(lc));
	return ids;
}

List *
ls_score_set_ids(Snapshot snapshot)
{
	return read_ids("score_set", SCORE_SET_ID, InvalidAttrNumber, 0, snapshot);
}
