/*-------------------------------------------------------------------------
 *
 * follow.c
 *	  Columns that get other names are followed.
 *
 * Rules and sources name columns.  So that they still mean the same ones after
 * ALTER TABLE ... RENAME COLUMN, leadstream.attached_table holds the names of
 * the columns of each attached table by their numbers, and when a command has
 * ended that may have changed them, an event trigger looks whether they are
 * still those.  What was renamed is written into all that names it, by whoever
 * runs the command and in his transaction, which holds the table locked: rows
 * of it are judged under the old names before and under the new ones after.
 * Versions of rules stay what they are, for they mean what they meant.
 *
 * The table is derived, and no part of a dump, because a restored table counts
 * its columns anew; it is filled as sources are written, by a restore too.
 * Where there is nothing on record of a table, nothing is followed.
 *
 * Everything is read and written under the latest snapshot and as the owner of
 * leadstream's tables, for who owns an attached table need have no rights on
 * them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "column_names.h"
#include "enter_stream.h"
#include "follow.h"
#include "owner_sql.h"

PG_FUNCTION_INFO_V1(leadstream_note_columns);
PG_FUNCTION_INFO_V1(leadstream_follow_columns);

/* Attribute numbers of leadstream.attached_table. */
#define ATTACHED_TABLE_RELATION		1
#define ATTACHED_TABLE_COLUMNS		2

/* A table whose columns are not those on record. */
typedef struct ChangedTable
{
	Oid			relid;
	Datum		before;			/* name[] */
	Datum		now;
	bool		is_renamed;		/* a column has another name */
	bool		is_lost;		/* a column is gone */
	bool		is_gained;		/* one has come */
} ChangedTable;

/* All statements take these: relation, names before, names now. */
static Oid	argtypes[3] = {REGCLASSOID, NAMEARRAYOID, NAMEARRAYOID};

/* The names of tables that were attached since, and none of those detached. */
static const char *const note_statement =
"with attached(relation) as ("
" select s.contacts from leadstream.contact_source s"
" union select a.activity from leadstream.activity_source a"
"), detached as ("
" delete from leadstream.attached_table t where t.relation not in (select relation from attached)"
") "
"insert into leadstream.attached_table (relation, columns) "
"select a.relation, array(select case when not c.attisdropped then c.attname end"
"  from pg_attribute c where c.attrelid = a.relation and c.attnum > 0 order by c.attnum) "
"from attached a join pg_class r on r.oid = a.relation "
"on conflict (relation) do nothing";

static const char *const record_statement =
"update leadstream.attached_table set columns = $3 where relation = $1";

/* Enabled streams that lose something by it: column, how it is called now, who. */
static const char *const lost_statement =
"select l.name::text, ($3)[array_position($2, l.name)]::text,"
" array_to_string((array_agg(format('\"%s\"', s.stream) order by s.stream))[1:10], ', ')"
"  || case when count(*) > 10 then format(' and %s more', count(*) - 10) else '' end "
"from leadstream.stream s "
"cross join lateral unnest(leadstream._lost_columns("
" coalesce(leadstream._expand_rule(s.rule, s.account), s.rule), $1, $2, $3)) as l(name) "
"where s.is_enabled group by l.name order by l.name";

/*
 * Where columns are named.  Sources first: while one of them names a column
 * that is not there, no rule binds.
 */
#define NEW_NAME(column) \
	column " = coalesce(($3)[array_position($2, s." column ")], s." column ")"
#define NEW_RULE(column) \
	column " = coalesce(leadstream._rename_columns(s." column ", $1, $2, $3, ''), s." column ")"
#define IS_OTHER(column) \
	"leadstream._rename_columns(s." column ", $1, $2, $3, '') is not null"

static const char *const rename_statements[] = {
	"update leadstream.contact_source s set " NEW_NAME("key_column") ", "
	NEW_NAME("email_column") ", " NEW_NAME("name_column") ", " NEW_NAME("company_column") ", "
	NEW_NAME("category_column") ", " NEW_NAME("account_column")
	" where s.contacts = $1",

	"update leadstream.activity_source s set " NEW_NAME("contact_column") ", "
	NEW_NAME("time_column") ", " NEW_NAME("account_column") ", "
	"only_rule = coalesce(leadstream._rename_columns(s.only_rule, $1, $2, $3, s.kind), s.only_rule)"
	" where s.activity = $1",

	"update leadstream.segment s set " NEW_RULE("rule") " where " IS_OTHER("rule"),

	"update leadstream.score_rule s set " NEW_RULE("rule") " where " IS_OTHER("rule"),

	"update leadstream.stream_version s set " NEW_RULE("rule") ", " NEW_RULE("expanded")
	" where " IS_OTHER("rule") " or " IS_OTHER("expanded"),

	"update leadstream.stream s set " NEW_RULE("rule") " where " IS_OTHER("rule"),

	/* segments that score rules name may be others: they are entered anew */
	"update leadstream.score_set s set home = s.home"
};

/*
 * Streams that only a segment or a score rule makes name a column, by the names of
 * now; the row says to others that their keys have changed.
 */
static const char *const renamed_within_statement =
"update leadstream.stream s set home = s.home "
"where s.is_enabled"
" and leadstream._rename_columns(leadstream._expand_rule(s.rule, s.account), $1, $3, $2, '') is not null "
"returning s.stream_id";

/* Score sets of which a rule does not bind without what was lost, */
static const char *const unbound_statement =
"update leadstream.score_set s set version = s.version + 1, home = s.home "
"where exists ("
" select from leadstream.score_rule r where r.score_set_id = s.score_set_id"
"  and r.is_enabled and leadstream.rule_problem(r.rule, s.account) is not null)";

/* or may bind again: it names a column that is not among those of before. */
static const char *const bound_statement =
"update leadstream.score_set s set version = s.version + 1, home = s.home "
"where exists ("
" select from leadstream.score_rule r where r.score_set_id = s.score_set_id and r.is_enabled"
"  and leadstream._lost_columns(coalesce(leadstream._expand_rule(r.rule, s.account), r.rule), $1, $3, $2) <> '{}')";

/* Run a statement of those above; what comes back is in SPI_tuptable. */
static void
run(const char *text, const ChangedTable *table)
{
	SPIPlanPtr	plan = SPI_prepare(text, table ? 3 : 0, argtypes);
	Datum		values[3];
	Snapshot	snapshot;
	int			result;

	if (table)
	{
		values[0] = ObjectIdGetDatum(table->relid);
		values[1] = table->before;
		values[2] = table->now;
	}
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	result = SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot, false, true, 0);
	UnregisterSnapshot(snapshot);
	if (result < 0)				/* cannot happen: errors are raised */
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
}

void
ls_columns_note(void)
{
	OwnerState	owner;

	if (!ls_owner_begin_of(ls_catalog_relid("attached_table"), &owner))
		return;
	run(note_statement, NULL);
	ls_owner_end(&owner);
}

/* Statement trigger on leadstream.contact_source and leadstream.activity_source. */
Datum
leadstream_note_columns(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by the trigger manager")));
	ls_columns_note();
	return PointerGetDatum(NULL);
}

static Datum
names_datum(const ColumnNames *columns)
{
	Datum	   *elems = palloc(sizeof(Datum) * Max(columns->count, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(columns->count, 1));

	for (int i = 0; i < columns->count; i++)
	{
		nulls[i] = columns->names[i] == NULL;
		elems[i] = nulls[i] ? (Datum) 0 :
			DirectFunctionCall1(namein, CStringGetDatum(columns->names[i]));
	}
	return ls_owner_array(elems, nulls, columns->count, NAMEOID);
}

/* How a table differs from what is on record; NULL: not at all, or it is gone. */
static ChangedTable *
compare_table(Oid relid, Datum record)
{
	ColumnNames before = ls_column_names(record);
	ColumnNames now = ls_column_names_now(relid);
	ChangedTable *table = palloc0(sizeof(ChangedTable));

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return NULL;
	for (int i = 0; i < before.count; i++)
	{
		const char *name = ls_column_name(&now, i);

		if (before.names[i] == NULL)
			continue;
		table->is_lost |= name == NULL;
		table->is_renamed |= name && strcmp(name, before.names[i]) != 0;
	}
	table->is_gained = now.count > before.count;
	if (!table->is_lost && !table->is_renamed && now.count == before.count)
		return NULL;
	table->relid = relid;
	table->before = names_datum(&before);
	table->now = names_datum(&now);
	return table;
}

static List *
changed_tables(void)
{
	Oid			relid = ls_catalog_relid("attached_table");
	List	   *result = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NIL;
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		Oid			attached = DatumGetObjectId(heap_getattr(tuple, ATTACHED_TABLE_RELATION,
															 desc, &isnull));
		ChangedTable *table =
			compare_table(attached, heap_getattr(tuple, ATTACHED_TABLE_COLUMNS, desc, &isnull));

		if (table)
			result = lappend(result, table);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Warn of what enabled streams speak of and cannot find any more. */
static void
warn_of_lost(const ChangedTable *table)
{
	SPITupleTable *lost;

	run(lost_statement, table);
	lost = SPI_tuptable;
	for (uint64 i = 0; i < lost->numvals; i++)
	{
		char	   *column = SPI_getvalue(lost->vals[i], lost->tupdesc, 1);
		char	   *now = SPI_getvalue(lost->vals[i], lost->tupdesc, 2);
		char	   *relation = quote_qualified_identifier(
			get_namespace_name(get_rel_namespace(table->relid)), get_rel_name(table->relid));

		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 now ?
				 errmsg("not all rules can follow column \"%s\" of table %s to its new name \"%s\"",
						column, relation, now) :
				 errmsg("column \"%s\" of table %s is gone", column, relation),
				 errdetail("Enabled streams speak of it: %s.",
						   SPI_getvalue(lost->vals[i], lost->tupdesc, 3)),
				 errhint("They make no leads until that is mended: see leadstream.streams.problem.")));
	}
}

/* Enter streams anew whose own rule has not changed, but what it names has. */
static void
enter_renamed_within(const ChangedTable *table)
{
	List	   *ids = NIL;
	ListCell   *lc;

	run(renamed_within_statement, table);
	for (uint64 i = 0; i < SPI_tuptable->numvals; i++)
	{
		bool		isnull;

		ids = lappend_int(ids, DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
														   SPI_tuptable->tupdesc, 1, &isnull)));
	}
	foreach(lc, ids)
	{
		StreamRow  *row = ls_stream_read(lfirst_int(lc), NULL);

		CHECK_FOR_INTERRUPTS();
		if (row)
			(void) ls_enter_stream(row);
	}
}

Datum
leadstream_follow_columns(PG_FUNCTION_ARGS)
{
	List	   *tables;
	ListCell   *lc;
	OwnerState	owner;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by the event trigger manager")));
	tables = changed_tables();
	if (tables == NIL ||
		!ls_owner_begin_of(ls_catalog_relid("attached_table"), &owner))
		PG_RETURN_NULL();
	foreach(lc, tables)
	{
		ChangedTable *table = lfirst(lc);

		/* rules are asked as they were */
		if (table->is_lost || table->is_renamed)
			warn_of_lost(table);
		run(record_statement, table);
		for (int i = 0; table->is_renamed && i < lengthof(rename_statements); i++)
			run(rename_statements[i], table);
		if (table->is_renamed)
			enter_renamed_within(table);
		if (table->is_lost)
			run(unbound_statement, table);
		if (table->is_gained)
			run(bound_statement, table);
	}
	ls_owner_end(&owner);
	PG_RETURN_NULL();
}
