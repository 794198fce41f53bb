/*-------------------------------------------------------------------------
 *
 * stream_read.c
 *	  The streams as leadstream's tables say.
 *
 * Read like a system catalog, by systable scans under a fresh catalog
 * snapshot: through SPI a REPEATABLE READ transaction would see streams as old
 * as its snapshot, and whoever keeps them would keep them for good, their
 * invalidation being spent already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "digest.h"
#include "score_read.h"
#include "segment.h"
#include "stream_read.h"

/* Running transactions that are asked for one by one. */
#define MANY_RUNNING				32

/* Columns of leadstream.stream_version, beside those in catalog.h. */
#define STREAM_VERSION_STREAM		1
#define STREAM_VERSION_VERSION		2
#define STREAM_VERSION_RULE			3
#define STREAM_VERSION_EXPANDED		6

static void
add_kind_names(List **names, const RuleNode *node)
{
	check_stack_depth();
	if (node->kind == RULE_AGGREGATE)
	{
		for (uint32 i = 0; i < node->nkids; i++)
		{
			const RuleNode *field = ls_rule_kid(node, i);
			const char *name;
			ListCell   *lc;

			if (field->kind != RULE_FIELD)
				continue;
			name = ls_rule_text(ls_rule_kid(field, 0));
			foreach(lc, *names)
				if (strcmp(lfirst(lc), name) == 0)
					break;
			if (lc == NULL)
				*names = lappend(*names, pstrdup(name));
		}
	}
	for (uint32 i = 0; i < node->nkids; i++)
		add_kind_names(names, ls_rule_kid(node, i));
}

List *
ls_rule_kind_names(const Rule *rule)
{
	List	   *names = NIL;

	add_kind_names(&names, ls_rule_root(rule));
	return names;
}

bool
ls_rule_speaks_of(const Rule *rule, const char *kind)
{
	ListCell   *lc;

	foreach(lc, ls_rule_kind_names(rule))
		if (strcmp(lfirst(lc), kind) == 0)
			return true;
	return false;
}

/* What a row of leadstream.stream_version means: with the segments in place. */
static Rule *
version_rule(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, STREAM_VERSION_EXPANDED, desc, &isnull);

	if (isnull)
		value = heap_getattr(tuple, STREAM_VERSION_RULE, desc, &isnull);
	return isnull ? NULL : DatumGetRuleP(value);
}

List *
ls_stream_kind_names(int32 stream_id)
{
	Oid			relid = ls_catalog_relid("stream_version");
	StreamRow  *row = ls_stream_read(stream_id, NULL);
	List	   *names = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (row)
		add_kind_names(&names, ls_rule_root(row->rule));
	if (!OidIsValid(relid))
		return names;
	rel = table_open(relid, AccessShareLock);
	scan = ls_catalog_scan(rel, STREAM_VERSION_STREAM, Int32GetDatum(stream_id), false,
						   InvalidAttrNumber, NULL, NULL);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Rule	   *rule = version_rule(tuple, RelationGetDescr(rel));

		if (rule)
			add_kind_names(&names, ls_rule_root(rule));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return names;
}

Rule *
ls_stream_version_rule(int32 stream_id, int32 rule_version)
{
	Oid			relid = ls_catalog_relid("stream_version");
	Rule	   *result = NULL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (ls_is_score_stream(stream_id))
		return ls_score_version_rule(stream_id, rule_version);
	if (!OidIsValid(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	scan = ls_catalog_scan(rel, STREAM_VERSION_STREAM, Int32GetDatum(stream_id), false,
						   InvalidAttrNumber, NULL, NULL);
	while (result == NULL && (tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		if (DatumGetInt32(heap_getattr(tuple, STREAM_VERSION_VERSION, RelationGetDescr(rel),
									   &isnull)) == rule_version)
		{
			Rule	   *rule = version_rule(tuple, RelationGetDescr(rel));

			if (rule)
				result = (Rule *) PG_DETOAST_DATUM_COPY(PointerGetDatum(rule));
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

void
ls_stream_row(StreamRow *row, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value;

	memset(row, 0, sizeof(StreamRow));
	row->stream_id = DatumGetInt32(heap_getattr(tuple, STREAM_ID, desc, &isnull));
	row->account = TextDatumGetCString(heap_getattr(tuple, STREAM_ACCOUNT, desc, &isnull));
	row->name = TextDatumGetCString(heap_getattr(tuple, STREAM_NAME, desc, &isnull));
	row->rule = (Rule *) PG_DETOAST_DATUM_COPY(heap_getattr(tuple, STREAM_RULE, desc, &isnull));
	row->owner = DatumGetObjectId(heap_getattr(tuple, STREAM_OWNER, desc, &isnull));
	row->changed = DatumGetUInt64(heap_getattr(tuple, STREAM_CHANGED, desc, &isnull));
	row->is_enabled = DatumGetBool(heap_getattr(tuple, STREAM_IS_ENABLED, desc, &isnull));
	row->rule_version = DatumGetInt32(heap_getattr(tuple, STREAM_RULE_VERSION, desc, &isnull));
	row->run = DatumGetInt32(heap_getattr(tuple, STREAM_RUN, desc, &isnull));
	row->is_seeded = DatumGetBool(heap_getattr(tuple, STREAM_IS_SEEDED, desc, &isnull));
	row->enabled_at = DatumGetTimestampTz(heap_getattr(tuple, STREAM_ENABLED_AT, desc, &isnull));
	if (isnull)
		row->enabled_at = DT_NOEND;
	value = heap_getattr(tuple, STREAM_REQUALIFY_AFTER, desc, &isnull);
	if (!isnull)
	{
		row->requalify_after = palloc(sizeof(Interval));
		*row->requalify_after = *DatumGetIntervalP(value);
	}
}

void
ls_stream_check(const StreamRow *row, bool is_enabled)
{
	if (!has_privs_of_role(GetUserId(), row->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of stream \"%s\"", row->name)));
	if (row->is_enabled != is_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(is_enabled ? "stream \"%s\" is disabled" :
						"stream \"%s\" is enabled", row->name)));
}

static int
cmp_int32(const void *a, const void *b)
{
	int32		l = *(const int32 *) a;
	int32		r = *(const int32 *) b;

	return l < r ? -1 : l > r;
}

/* Give a stream its teams. */
static void
read_teams(StreamRow *row, Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid("stream_team");
	int			room = 4;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	row->team_ids = palloc(sizeof(int32) * room);
	if (!OidIsValid(relid))
		return;
	rel = table_open(relid, AccessShareLock);
	scan = ls_catalog_scan(rel, STREAM_TEAM_STREAM, Int32GetDatum(row->stream_id), false,
						   InvalidAttrNumber, NULL, snapshot);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		if (row->nteams == room)
			row->team_ids = repalloc(row->team_ids, sizeof(int32) * (room *= 2));
		row->team_ids[row->nteams++] =
			DatumGetInt32(heap_getattr(tuple, STREAM_TEAM_TEAM,
									   RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	qsort(row->team_ids, row->nteams, sizeof(int32), cmp_int32);
}

StreamRow *
ls_stream_read(int32 stream_id, Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid("stream");
	StreamRow  *row = NULL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (ls_is_score_stream(stream_id))
		return ls_score_stream_read(stream_id, snapshot);
	if (!OidIsValid(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	scan = ls_catalog_scan(rel, STREAM_ID, Int32GetDatum(stream_id), false,
						   InvalidAttrNumber, NULL, snapshot);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		row = palloc(sizeof(StreamRow));
		ls_stream_row(row, tuple, RelationGetDescr(rel));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (row)
	{
		/* one that cannot be expanded is left for the binder to complain of */
		row->rule = ls_segments_try(row->rule, row->account, snapshot);
		read_teams(row, snapshot);
	}
	return row;
}

int32 *
ls_stream_ids(int *count)
{
	Oid			relid = ls_catalog_relid("stream");
	int			room = 64;
	int32	   *ids = palloc(room * sizeof(int32));
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	*count = 0;
	if (!OidIsValid(relid))
		return ids;
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (!DatumGetBool(heap_getattr(tuple, STREAM_IS_ENABLED,
									   RelationGetDescr(rel), &isnull)))
			continue;
		if (*count == room)
			ids = repalloc_huge(ids, (Size) (room *= 2) * sizeof(int32));
		ids[(*count)++] = DatumGetInt32(heap_getattr(tuple, STREAM_ID,
													 RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	qsort(ids, *count, sizeof(int32), cmp_int32);
	return ids;
}

/*
 * Is there a row that a transaction has changed, as the column attno says, which
 * one snapshot did not see and the other does?  strategy tells how what was
 * changed stands to since.
 */
static bool
changed_by(Relation rel, Oid index, AttrNumber attno, StrategyNumber strategy,
		   TransactionId xid, Snapshot seen, Snapshot now)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint64		epoch = EpochFromFullTransactionId(next);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result = false;

	if (xid > XidFromFullTransactionId(next) && epoch > 0)
		epoch--;
	ScanKeyInit(&key, attno, strategy,
				strategy == BTEqualStrategyNumber ? F_XID8EQ : F_XID8GE,
				UInt64GetDatum(epoch << 32 | xid));
	scan = systable_beginscan(rel, index, OidIsValid(index), now, 1, &key);
	while (!result && (tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		TransactionId by = (TransactionId)
			DatumGetUInt64(heap_getattr(tuple, attno, RelationGetDescr(rel), &isnull));

		/* what we do ourselves, a message told us */
		result = !TransactionIdIsCurrentTransactionId(by) && XidInMVCCSnapshot(by, seen);
	}
	systable_endscan(scan);
	return result;
}

/* The same of a table. */
static bool
table_changed_since(const char *table, AttrNumber attno, Snapshot seen, Snapshot now)
{
	Oid			relid = ls_catalog_relid(table);
	Relation	rel;
	Oid			index;
	bool		result;

	if (!OidIsValid(relid))
		return false;
	rel = table_open(relid, AccessShareLock);
	index = ls_catalog_index(rel, attno);
	if (seen->takenDuringRecovery || seen->xcnt > MANY_RUNNING)
		result = changed_by(rel, index, attno, BTGreaterEqualStrategyNumber, seen->xmin, seen, now);
	else
	{
		/* those that began later, and those that were running and are not now */
		result = changed_by(rel, index, attno, BTGreaterEqualStrategyNumber, seen->xmax, seen, now);
		for (uint32 i = 0; i < seen->xcnt && !result; i++)
			if (!XidInMVCCSnapshot(seen->xip[i], now))
				result = changed_by(rel, index, attno, BTEqualStrategyNumber, seen->xip[i], seen, now);
	}
	table_close(rel, AccessShareLock);
	return result;
}

bool
ls_stream_changed_since(Snapshot seen, Snapshot now)
{
	return table_changed_since("stream", STREAM_CHANGED, seen, now) ||
		table_changed_since("score_set", SCORE_SET_CHANGED, seen, now);
}

int64
ls_stream_home(void)
{
	uint64		digest = ls_digest_below(GetSystemIdentifier(), MyDatabaseId);

	return (int64) ls_digest_below(digest, ls_catalog_relid("access_key"));
}

/* The rows of a table that were not written here, as the column home says. */
static List *
strangers_of(const char *table, AttrNumber home, AttrNumber id, AttrNumber is_enabled,
			 Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid(table);
	List	   *ids = NIL;
	Relation	rel;
	Oid			index;

	if (!OidIsValid(relid))
		return NIL;
	rel = table_open(relid, AccessShareLock);
	index = ls_catalog_index(rel, home);
	for (int side = 0; side < 2; side++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, home,
					side == 0 ? BTLessStrategyNumber : BTGreaterStrategyNumber,
					side == 0 ? F_INT8LT : F_INT8GT, Int64GetDatum(ls_stream_home()));
		scan = systable_beginscan(rel, index, OidIsValid(index), snapshot, 1, &key);
		while ((tuple = systable_getnext(scan)) != NULL)
		{
			bool		isnull;

			CHECK_FOR_INTERRUPTS();
			if (DatumGetBool(heap_getattr(tuple, is_enabled, RelationGetDescr(rel), &isnull)))
				ids = lappend_int(ids, DatumGetInt32(heap_getattr(tuple, id,
																  RelationGetDescr(rel), &isnull)));
		}
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return ids;
}

int32 *
ls_stream_strangers(Snapshot snapshot, int *count)
{
	List	   *ids = strangers_of("stream", STREAM_HOME, STREAM_ID, STREAM_IS_ENABLED, snapshot);
	List	   *sets = strangers_of("score_set", SCORE_SET_HOME, SCORE_SET_ID,
									SCORE_SET_IS_ENABLED, snapshot);
	ListCell   *lc;
	int32	   *result;

	foreach(lc, sets)
		ids = list_concat(ids, ls_score_rule_streams(lfirst_int(lc), snapshot));
	result = palloc(sizeof(int32) * Max(list_length(ids), 1));
	*count = 0;
	foreach(lc, ids)
		result[(*count)++] = lfirst_int(lc);
	list_free(ids);
	return result;
}
