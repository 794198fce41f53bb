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
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "catalog.h"
#include "stream_read.h"

/* Columns of leadstream.stream_version, beside those in catalog.h. */
#define STREAM_VERSION_STREAM		1
#define STREAM_VERSION_RULE			3

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

List *
ls_stream_kind_names(int32 stream_id)
{
	Oid			relid = ls_catalog_relid("stream_version");
	StreamRow  *row = ls_stream_read(stream_id);
	List	   *names = NIL;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (row)
		add_kind_names(&names, ls_rule_root(row->rule));
	if (!OidIsValid(relid))
		return names;
	rel = table_open(relid, AccessShareLock);
	ScanKeyInit(&key, STREAM_VERSION_STREAM, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(stream_id));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, STREAM_VERSION_RULE,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			add_kind_names(&names, ls_rule_root(DatumGetRuleP(value)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return names;
}

/* Read a row of leadstream.stream, without its teams. */
static void
read_stream_row(StreamRow *row, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;

	memset(row, 0, sizeof(StreamRow));
	row->stream_id = DatumGetInt32(heap_getattr(tuple, STREAM_ID, desc, &isnull));
	row->account = TextDatumGetCString(heap_getattr(tuple, STREAM_ACCOUNT, desc, &isnull));
	row->name = TextDatumGetCString(heap_getattr(tuple, STREAM_NAME, desc, &isnull));
	row->rule = (Rule *) PG_DETOAST_DATUM_COPY(heap_getattr(tuple, STREAM_RULE, desc, &isnull));
	row->owner = DatumGetObjectId(heap_getattr(tuple, STREAM_OWNER, desc, &isnull));
	row->is_enabled = DatumGetBool(heap_getattr(tuple, STREAM_IS_ENABLED, desc, &isnull));
	row->rule_version = DatumGetInt32(heap_getattr(tuple, STREAM_RULE_VERSION, desc, &isnull));
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

typedef struct StreamTeam
{
	int32		stream_id;
	int32		team_id;
} StreamTeam;

static int
cmp_stream_team(const void *a, const void *b)
{
	const StreamTeam *l = a;
	const StreamTeam *r = b;

	if (l->stream_id != r->stream_id)
		return l->stream_id < r->stream_id ? -1 : 1;
	return l->team_id < r->team_id ? -1 : l->team_id > r->team_id;
}

/* Read leadstream.stream_team, of one stream or (0) of all. */
static StreamTeam *
read_teams(int32 stream_id, int *count)
{
	Oid			relid = ls_catalog_relid("stream_team");
	int			room = 16;
	StreamTeam *teams = palloc(room * sizeof(StreamTeam));
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	*count = 0;
	if (!OidIsValid(relid))
		return teams;
	rel = table_open(relid, AccessShareLock);
	ScanKeyInit(&key, STREAM_TEAM_STREAM, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(stream_id));
	scan = systable_beginscan(rel, InvalidOid, false, NULL,
							  stream_id == 0 ? 0 : 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		if (*count == room)
			teams = repalloc_huge(teams, (Size) (room *= 2) * sizeof(StreamTeam));
		teams[*count].stream_id =
			DatumGetInt32(heap_getattr(tuple, STREAM_TEAM_STREAM,
									   RelationGetDescr(rel), &isnull));
		teams[(*count)++].team_id =
			DatumGetInt32(heap_getattr(tuple, STREAM_TEAM_TEAM,
									   RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	qsort(teams, *count, sizeof(StreamTeam), cmp_stream_team);
	return teams;
}

/* Give a stream its teams out of a sorted array. */
static void
set_teams(StreamRow *row, StreamTeam *teams, int count)
{
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (teams[middle].stream_id < row->stream_id)
			low = middle + 1;
		else
			high = middle;
	}
	while (high < count && teams[high].stream_id == row->stream_id)
		high++;
	row->nteams = high - low;
	row->team_ids = palloc(sizeof(int32) * Max(row->nteams, 1));
	for (int i = 0; i < row->nteams; i++)
		row->team_ids[i] = teams[low + i].team_id;
}

StreamRow *
ls_stream_read(int32 stream_id)
{
	Oid			relid = ls_catalog_relid("stream");
	StreamRow  *row = NULL;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	ScanKeyInit(&key, STREAM_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(stream_id));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		row = palloc(sizeof(StreamRow));
		read_stream_row(row, tuple, RelationGetDescr(rel));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (row)
	{
		int			count;
		StreamTeam *teams = read_teams(stream_id, &count);

		set_teams(row, teams, count);
		pfree(teams);
	}
	return row;
}

static int
cmp_row(const void *a, const void *b)
{
	const StreamRow *l = a;
	const StreamRow *r = b;

	return l->stream_id < r->stream_id ? -1 : l->stream_id > r->stream_id;
}

StreamRow *
ls_stream_read_enabled(int *count)
{
	Oid			relid = ls_catalog_relid("stream");
	int			room = 64;
	int			nteams;
	StreamTeam *teams;
	StreamRow  *rows = palloc(room * sizeof(StreamRow));
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	*count = 0;
	if (!OidIsValid(relid))
		return rows;
	teams = read_teams(0, &nteams);
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
			rows = repalloc_huge(rows, (Size) (room *= 2) * sizeof(StreamRow));
		read_stream_row(&rows[*count], tuple, RelationGetDescr(rel));
		set_teams(&rows[*count], teams, nteams);
		if (rows[*count].nteams > 0)
			(*count)++;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	pfree(teams);
	qsort(rows, *count, sizeof(StreamRow), cmp_row);
	return rows;
}
