/*-------------------------------------------------------------------------
 *
 * lead_rows.c
 *	  The leads of a contact, as rows that rules speak of.
 *
 * The kind "lead" has one row for each lead of the contact, whatever team it is
 * of, from the instant it was made.  Its streams are one array, for a lead is
 * one lead however many streams matched it.
 *
 * The judge reads them like a system catalog, under its own snapshot: whoever
 * inserts an activity need have no rights on leads.  Queries ask the tables
 * with the rights of their caller, and only those tables that the rule's fields
 * come from.  Both look up what a rule names and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "key_scan.h"
#include "lead_rows.h"
#include "stages.h"

/* Columns of leadstream.team and lead_match; appended to, never moved. */
#define TEAM_ID				1
#define TEAM_ACCOUNT		2
#define TEAM_NAME			3
#define LEAD_MATCH_LEAD		1
#define LEAD_MATCH_STREAM	2

typedef struct LeadRow
{
	int64		lead_id;
	int32		team_id;
	Datum		stage;
	TimestampTz created_at;
	TimestampTz stage_changed_at;
} LeadRow;

struct LeadRows
{
	uint32		fields;			/* wanted */
	Snapshot	snapshot;
	KeyScan    *scan;
	AttrNumber	lead_id;		/* of leadstream.lead */
	AttrNumber	team_id;
	AttrNumber	stage;
	AttrNumber	created_at;
	AttrNumber	stage_changed_at;
	LeadRow    *leads;
	int			nleads;
};

static const char *const lead_columns[] = {
	[LEAD_TEAM] = "team",
	[LEAD_STREAMS] = "streams",
	[LEAD_STAGE] = "stage",
	[LEAD_IS_OPEN] = "is_open",
	[LEAD_CREATED_AT] = "created_at",
	[LEAD_STAGE_CHANGED_AT] = "stage_changed_at"
};

static const Oid lead_types[] = {
	[LEAD_TEAM] = TEXTOID,
	[LEAD_STREAMS] = TEXTARRAYOID,
	[LEAD_STAGE] = TEXTOID,
	[LEAD_IS_OPEN] = BOOLOID,
	[LEAD_CREATED_AT] = TIMESTAMPTZOID,
	[LEAD_STAGE_CHANGED_AT] = TIMESTAMPTZOID
};

static inline bool
wants(uint32 fields, LeadField field)
{
	return (fields & (1u << field)) != 0;
}

ActivitySource *
ls_leadrows_kind(void)
{
	Oid			relid = ls_catalog_relid("lead");
	ActivitySource *source;

	if (!OidIsValid(relid))
		return NULL;
	source = palloc0(sizeof(ActivitySource));
	source->origin = SOURCE_LEADS;
	source->source_id = OWN_SOURCE;
	source->kind = pstrdup("lead");
	source->relid = relid;
	source->contact_name = pstrdup("contact_id");
	source->contact_attno = get_attnum(relid, source->contact_name);
	source->time_attno = LEAD_CREATED_AT + 1;
	source->time_name = pstrdup(lead_columns[LEAD_CREATED_AT]);
	source->time_type = TIMESTAMPTZOID;
	return source;
}

TupleDesc
ls_leadrows_desc(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(LEAD_FIELDS);

	for (int i = 0; i < LEAD_FIELDS; i++)
		TupleDescInitEntry(desc, i + 1, lead_columns[i], lead_types[i], -1, 0);
	return desc;
}

/* ----------
 * For queries.
 * ----------
 */
char *
ls_leadrows_sql(const ActivitySource *source, const ContactSource *contacts,
				const char *equals)
{
	uint32		fields = source->fields;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "(select l.lead_id, l.created_at");
	if (wants(fields, LEAD_STAGE))
		appendStringInfoString(&buf, ", l.stage");
	if (wants(fields, LEAD_STAGE_CHANGED_AT))
		appendStringInfoString(&buf, ", l.stage_changed_at");
	if (wants(fields, LEAD_TEAM))
		appendStringInfoString(&buf, ", t.team");
	if (wants(fields, LEAD_IS_OPEN))
		appendStringInfoString(&buf, ", not coalesce(s.is_closed, d.is_closed, false) as is_open");
	if (wants(fields, LEAD_STREAMS))
		appendStringInfoString(&buf, ", array(select r.stream from leadstream.lead_match m"
							   " inner join leadstream.stream r on r.stream_id OPERATOR(pg_catalog.=) m.stream_id"
							   " where m.lead_id OPERATOR(pg_catalog.=) l.lead_id"
							   " order by r.stream collate pg_catalog.\"C\") as streams");
	appendStringInfoString(&buf, " from leadstream.lead l");
	if (wants(fields, LEAD_TEAM) || wants(fields, LEAD_IS_OPEN))
		appendStringInfoString(&buf, " inner join leadstream.team t on t.team_id OPERATOR(pg_catalog.=) l.team_id");
	if (wants(fields, LEAD_IS_OPEN))
		appendStringInfoString(&buf, " left join leadstream.stage s on s.account OPERATOR(pg_catalog.=) t.account"
							   " and s.stage OPERATOR(pg_catalog.=) l.stage"
							   " left join leadstream.stage d on d.account OPERATOR(pg_catalog.=) ''"
							   " and d.stage OPERATOR(pg_catalog.=) l.stage");
	appendStringInfo(&buf, " where l.contact_id %s c.%s) a", equals,
					 quote_identifier(contacts->key_name));
	return buf.data;
}

void
ls_leadrows_columns(const ActivitySource *source,
					void (*callback) (Oid relid, AttrNumber attno, void *arg), void *arg)
{
	static const struct
	{
		LeadField	field;
		const char *table;
		const char *column;
	}			columns[] = {
		{LEAD_FIELDS, "lead", "lead_id"},
		{LEAD_FIELDS, "lead", "contact_id"},
		{LEAD_FIELDS, "lead", "created_at"},
		{LEAD_STAGE, "lead", "stage"},
		{LEAD_STAGE_CHANGED_AT, "lead", "stage_changed_at"},
		{LEAD_TEAM, "lead", "team_id"},
		{LEAD_TEAM, "team", "team_id"},
		{LEAD_TEAM, "team", "team"},
		{LEAD_IS_OPEN, "lead", "stage"},
		{LEAD_IS_OPEN, "lead", "team_id"},
		{LEAD_IS_OPEN, "team", "team_id"},
		{LEAD_IS_OPEN, "team", "account"},
		{LEAD_IS_OPEN, "stage", "account"},
		{LEAD_IS_OPEN, "stage", "stage"},
		{LEAD_IS_OPEN, "stage", "is_closed"},
		{LEAD_STREAMS, "lead_match", "lead_id"},
		{LEAD_STREAMS, "lead_match", "stream_id"},
		{LEAD_STREAMS, "stream", "stream_id"},
		{LEAD_STREAMS, "stream", "stream"}
	};

	for (int i = 0; i < lengthof(columns); i++)
		if (columns[i].field == LEAD_FIELDS || wants(source->fields, columns[i].field))
		{
			Oid			relid = ls_catalog_relid(columns[i].table);

			callback(relid, get_attnum(relid, columns[i].column), arg);
		}
}

/* ----------
 * For the judge.
 * ----------
 */
LeadRows *
ls_leadrows_open(const ActivitySource *source, const ContactSource *contacts,
				 Snapshot snapshot)
{
	LeadRows   *rows = palloc0(sizeof(LeadRows));
	Oid			relid = source->relid;

	rows->fields = source->fields;
	rows->snapshot = snapshot;
	rows->scan = ls_keyscan_open(relid, source->contact_attno, contacts->key_base,
								 InvalidAttrNumber, snapshot);
	rows->lead_id = get_attnum(relid, "lead_id");
	rows->team_id = get_attnum(relid, "team_id");
	rows->stage = get_attnum(relid, "stage");
	rows->created_at = get_attnum(relid, "created_at");
	rows->stage_changed_at = get_attnum(relid, "stage_changed_at");
	return rows;
}

void
ls_leadrows_close(LeadRows *rows)
{
	ls_keyscan_close(rows->scan);
}

static int
cmp_lead(const void *a, const void *b)
{
	int64		l = ((const LeadRow *) a)->lead_id;
	int64		r = ((const LeadRow *) b)->lead_id;

	return l < r ? -1 : l > r;
}

int
ls_leadrows_read(LeadRows *rows, Datum key)
{
	int			room = 4;
	TupleTableSlot *slot;

	rows->nleads = 0;
	rows->leads = palloc(sizeof(LeadRow) * room);
	ls_keyscan_start(rows->scan, key, NULL);
	while ((slot = ls_keyscan_next(rows->scan, NULL, NULL)) != NULL)
	{
		LeadRow    *lead;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (rows->nleads == room)
			rows->leads = repalloc_huge(rows->leads, sizeof(LeadRow) * (Size) (room *= 2));
		lead = &rows->leads[rows->nleads++];
		lead->lead_id = DatumGetInt64(slot_getattr(slot, rows->lead_id, &isnull));
		lead->team_id = DatumGetInt32(slot_getattr(slot, rows->team_id, &isnull));
		lead->stage = datumCopy(slot_getattr(slot, rows->stage, &isnull), false, -1);
		lead->created_at = DatumGetTimestampTz(slot_getattr(slot, rows->created_at, &isnull));
		lead->stage_changed_at =
			DatumGetTimestampTz(slot_getattr(slot, rows->stage_changed_at, &isnull));
	}
	qsort(rows->leads, rows->nleads, sizeof(LeadRow), cmp_lead);
	return rows->nleads;
}

/* Two texts of the team: its name and its account. */
static void
read_team(LeadRows *rows, int32 team_id, Datum *name, Datum *account)
{
	Relation	rel = table_open(ls_catalog_relid("team"), AccessShareLock);
	SysScanDesc scan = ls_catalog_scan(rel, TEAM_ID, Int32GetDatum(team_id), false,
									   InvalidAttrNumber, NULL, rows->snapshot);
	HeapTuple	tuple = systable_getnext(scan);
	bool		isnull;

	*name = *account = (Datum) 0;
	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	desc = RelationGetDescr(rel);

		*name = datumCopy(heap_getattr(tuple, TEAM_NAME, desc, &isnull), false, -1);
		*account = datumCopy(heap_getattr(tuple, TEAM_ACCOUNT, desc, &isnull), false, -1);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Does the stage end the work?  False: the account has no such stage. */
static bool
read_stage(LeadRows *rows, Datum account, Datum stage, bool *is_closed)
{
	Relation	rel = table_open(ls_catalog_relid("stage"), AccessShareLock);
	Oid			index = ls_catalog_index(rel, STAGE_ACCOUNT);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	ScanKeyEntryInitialize(&keys[0], 0, STAGE_ACCOUNT, BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, account);
	ScanKeyEntryInitialize(&keys[1], 0, STAGE_NAME, BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, stage);
	scan = systable_beginscan(rel, index, OidIsValid(index), rows->snapshot, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		*is_closed = DatumGetBool(heap_getattr(tuple, STAGE_IS_CLOSED,
											   RelationGetDescr(rel), &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/* The name of a stream, or NULL. */
static char *
read_stream_name(LeadRows *rows, int32 stream_id)
{
	Relation	rel = table_open(ls_catalog_relid("stream"), AccessShareLock);
	SysScanDesc scan = ls_catalog_scan(rel, STREAM_ID, Int32GetDatum(stream_id), false,
									   InvalidAttrNumber, NULL, rows->snapshot);
	HeapTuple	tuple = systable_getnext(scan);
	char	   *name = NULL;
	bool		isnull;

	if (HeapTupleIsValid(tuple))
		name = TextDatumGetCString(heap_getattr(tuple, STREAM_NAME,
												RelationGetDescr(rel), &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return name;
}

static int
cmp_name(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* The names of the streams that matched a lead, as an array of text. */
static Datum
read_streams(LeadRows *rows, int64 lead_id)
{
	Relation	rel = table_open(ls_catalog_relid("lead_match"), AccessShareLock);
	SysScanDesc scan = ls_catalog_scan(rel, LEAD_MATCH_LEAD, Int64GetDatum(lead_id), true,
									   InvalidAttrNumber, NULL, rows->snapshot);
	List	   *names = NIL;
	ListCell   *lc;
	Datum	   *elems;
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		char	   *name = read_stream_name(rows, DatumGetInt32(heap_getattr(tuple, LEAD_MATCH_STREAM,
																			 RelationGetDescr(rel), &isnull)));

		if (name)
			names = lappend(names, name);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	list_sort(names, cmp_name);
	elems = palloc(sizeof(Datum) * Max(list_length(names), 1));
	foreach(lc, names)
		elems[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elems, list_length(names), TEXTOID, -1,
										   false, TYPALIGN_INT));
}

void
ls_leadrows_get(LeadRows *rows, int i, Datum *values, bool *nulls)
{
	const LeadRow *lead = &rows->leads[i];
	Datum		team = (Datum) 0;
	Datum		account = (Datum) 0;
	bool		is_closed = false;

	memset(values, 0, sizeof(Datum) * LEAD_FIELDS);
	memset(nulls, 0, sizeof(bool) * LEAD_FIELDS);
	if (wants(rows->fields, LEAD_TEAM) || wants(rows->fields, LEAD_IS_OPEN))
		read_team(rows, lead->team_id, &team, &account);
	if (wants(rows->fields, LEAD_IS_OPEN) && account != (Datum) 0 &&
		!read_stage(rows, account, lead->stage, &is_closed))
		(void) read_stage(rows, CStringGetTextDatum(""), lead->stage, &is_closed);
	values[LEAD_TEAM] = team;
	nulls[LEAD_TEAM] = team == (Datum) 0;
	values[LEAD_STREAMS] = wants(rows->fields, LEAD_STREAMS) ?
		read_streams(rows, lead->lead_id) : (Datum) 0;
	nulls[LEAD_STREAMS] = !wants(rows->fields, LEAD_STREAMS);
	values[LEAD_STAGE] = lead->stage;
	values[LEAD_IS_OPEN] = BoolGetDatum(!is_closed);
	values[LEAD_CREATED_AT] = TimestampTzGetDatum(lead->created_at);
	values[LEAD_STAGE_CHANGED_AT] = TimestampTzGetDatum(lead->stage_changed_at);
}
