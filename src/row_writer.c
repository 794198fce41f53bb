/*-------------------------------------------------------------------------
 *
 * row_writer.c
 *	  Rows into a plain lead table, without a statement.
 *
 * A lead costs three rows, and an INSERT of each costs more than the rows and
 * their index entries: the plan is started, ON CONFLICT looks into the index
 * before it writes, and a foreign key asks by a query of its own for a contact
 * that we hold the lock of.  So where a lead table has nothing that an INSERT
 * would mind, rows are written as COPY writes them: defaults and constraints
 * are computed, a thousand rows go into the table at a time, and then into its
 * indexes.
 *
 * Only the foreign key on the contact is left out, and only for a caller who
 * has locked it: then it is there, and stays until the transaction ends, or its
 * deletion by ourselves takes our rows along.
 *
 * Others may write the same unique key: people by hand, who lock no contact.
 * The index is told to put up with that, as it is for a deferrable constraint,
 * and says so.  Such a row is deleted again and left to the caller, who may
 * insert it by a statement that waits for the other to end.  Logical decoding
 * tells of both, of a row whose key another has: so the caller looks before for
 * what others are writing, and only who comes between his look and ours is met.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "row_writer.h"

/* Rows that go into the table at a time. */
#define WRITE_BATCH	1000

struct RowWriter
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *target;
	List	   *arbiters;		/* the index of the key that others may write */
	int			ncolumns;
	AttrNumber *attnos;			/* of the columns given */
	const WriterColumn *columns;
	int			ndefaults;
	AttrNumber *default_attnos;
	ExprState **defaults;
	int			nchecks;
	ExprState **checks;
	MemoryContext batch;		/* what the table needs for one */
	TupleDesc	desc;			/* of the slots */
	TupleTableSlot **slots;		/* room for WRITE_BATCH */
	int			nslots;			/* made so far */
};

/* Is it the foreign key of contact_id on the contacts' key? */
static bool
is_contact_key(Relation rel, List *keys, Oid constraint, const ContactSource *contacts)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		ForeignKeyCacheInfo *key = lfirst(lc);

		if (key->conoid == constraint)
			return key->nkeys == 1 && key->confrelid == contacts->relid &&
				key->confkey[0] == contacts->key_attno &&
				strcmp(NameStr(TupleDescAttr(RelationGetDescr(rel), key->conkey[0] - 1)->attname),
					   "contact_id") == 0;
	}
	return false;
}

/*
 * Does nothing but the row itself come of an insert, and does the owner see
 * all rows?  No triggers but the check that the contact is there, no rules, no
 * partitions, no row security of another owner, nothing generated.
 */
static bool
is_plain(Relation rel, const ContactSource *contacts)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *keys = RelationGetFKeyList(rel);
	TriggerDesc *triggers = rel->trigdesc;	/* good until a catalog is read */

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relispartition ||
		rel->rd_rules != NULL ||
		(rel->rd_rel->relrowsecurity && rel->rd_rel->relowner != GetUserId()))
		return false;
	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attgenerated != '\0')
			return false;
	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) &&
			!(RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_FK &&
			  is_contact_key(rel, keys, trigger->tgconstraint, contacts)))
			return false;
	}
	return true;
}

/*
 * The attribute of a column, of the type that is given.  One that limits its
 * values, by a length or so, does it as the contacts' key does, or not at all.
 */
static AttrNumber
find_column(Relation rel, const WriterColumn *column, const ContactSource *contacts)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Oid			type = column->type;
	int32		typmod = -1;
	Oid			collation;

	if (!OidIsValid(type))
		get_atttypetypmodcoll(contacts->relid, contacts->key_attno, &type, &typmod, &collation);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), column->name) == 0)
			return att->atttypid == type && (att->atttypmod == -1 || att->atttypmod == typmod) ?
				att->attnum : InvalidAttrNumber;
	}
	return InvalidAttrNumber;
}

/*
 * What is computed of the rows of a table, ready to be run, kept for the session:
 * making it so costs more than writing a row.  Good until a message comes that
 * the table has changed, or what is called there.
 */
typedef struct Computed
{
	Oid			relid;
	bool		is_good;
	bool		is_whole;		/* else an error has ended the reading */
	int			ndefaults;
	AttrNumber *default_attnos;
	CachedExpression **defaults;
	int			nchecks;
	CachedExpression **checks;	/* NULL: not enforced */
} Computed;

/* One each of the lead tables; more, while old ones have not been forgotten. */
static Computed known[8];

static void
forget_computed(Datum arg, Oid relid)
{
	for (int i = 0; i < lengthof(known); i++)
		if (relid == InvalidOid || known[i].relid == relid)
			known[i].is_good = false;
}

static void
free_computed(Computed *computed)
{
	for (int i = 0; i < computed->ndefaults; i++)
		FreeCachedExpression(computed->defaults[i]);
	for (int i = 0; i < computed->nchecks; i++)
		if (computed->checks[i])
			FreeCachedExpression(computed->checks[i]);
	if (computed->default_attnos)
		pfree(computed->default_attnos);
	if (computed->defaults)
		pfree(computed->defaults);
	if (computed->checks)
		pfree(computed->checks);
	memset(computed, 0, sizeof(Computed));
}

/* What a column becomes that is not given: NULL if that is null, and may be. */
static Node *
column_default(Relation rel, Form_pg_attribute att)
{
	Node	   *value = build_column_default(rel, att->attnum);
	int32		typmod = att->atttypmod;
	Oid			base;

	if (value != NULL || get_typtype(att->atttypid) != TYPTYPE_DOMAIN)
		return value;
	/* a domain may refuse it */
	base = getBaseTypeAndTypmod(att->atttypid, &typmod);
	return coerce_to_domain((Node *) makeNullConst(base, typmod, att->attcollation),
							base, typmod, att->atttypid, COERCION_IMPLICIT,
							COERCE_IMPLICIT_CAST, -1, false);
}

static void
read_computed(Computed *computed, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			nchecks = desc->constr ? desc->constr->num_check : 0;

	free_computed(computed);
	computed->relid = RelationGetRelid(rel);
	computed->default_attnos = MemoryContextAlloc(CacheMemoryContext,
												  sizeof(AttrNumber) * desc->natts);
	computed->defaults = MemoryContextAlloc(CacheMemoryContext,
											sizeof(CachedExpression *) * desc->natts);
	computed->checks = MemoryContextAlloc(CacheMemoryContext,
										  sizeof(CachedExpression *) * Max(nchecks, 1));
	computed->is_good = true;	/* unless a message comes meanwhile */
	for (AttrNumber attno = 1; attno <= desc->natts; attno++)
	{
		Node	   *value;

		if (TupleDescAttr(desc, attno - 1)->attisdropped)
			continue;
		value = column_default(rel, TupleDescAttr(desc, attno - 1));
		if (value == NULL)
			continue;
		computed->defaults[computed->ndefaults] = GetCachedExpression(value);
		computed->default_attnos[computed->ndefaults++] = attno;
	}
	for (; computed->nchecks < nchecks; computed->nchecks++)
	{
		ConstrCheck *check = &desc->constr->check[computed->nchecks];

		computed->checks[computed->nchecks] = LS_CHECK_IS_ENFORCED(check) ?
			GetCachedExpression(stringToNode(check->ccbin)) : NULL;
	}
	computed->is_whole = true;
}

static bool
are_good(const Computed *computed)
{
	for (int i = 0; i < computed->ndefaults; i++)
		if (!computed->defaults[i]->is_valid)
			return false;
	for (int i = 0; i < computed->nchecks; i++)
		if (computed->checks[i] && !computed->checks[i]->is_valid)
			return false;
	return computed->is_good && computed->is_whole;
}

static Computed *
get_computed(Relation rel)
{
	static bool is_registered = false;
	Computed   *found = NULL;

	if (!is_registered)
	{
		CacheRegisterRelcacheCallback(forget_computed, (Datum) 0);
		is_registered = true;
	}
	for (int i = 0; i < lengthof(known); i++)
	{
		if (known[i].relid == RelationGetRelid(rel))
		{
			found = &known[i];
			break;
		}
		if (found == NULL && !known[i].is_good)
			found = &known[i];
	}
	if (found == NULL)
		found = &known[0];
	if (found->relid != RelationGetRelid(rel) || !are_good(found))
		read_computed(found, rel);
	return found;
}

/* Ready to run: a copy, for what is called may make us read it anew. */
static ExprState *
prepare(const CachedExpression *expression)
{
	return ExecInitExpr((Expr *) copyObject(expression->expr), NULL);
}

/* Find the columns, and what the others default to. */
static bool
find_columns(RowWriter *writer, const ContactSource *contacts)
{
	Bitmapset  *given = NULL;
	Computed   *computed;

	writer->attnos = palloc(sizeof(AttrNumber) * writer->ncolumns);
	for (int c = 0; c < writer->ncolumns; c++)
	{
		writer->attnos[c] = find_column(writer->rel, &writer->columns[c], contacts);
		if (writer->attnos[c] == InvalidAttrNumber)
			return false;
		given = bms_add_member(given, writer->attnos[c]);
	}
	computed = get_computed(writer->rel);
	writer->default_attnos = palloc(sizeof(AttrNumber) * Max(computed->ndefaults, 1));
	writer->defaults = palloc(sizeof(ExprState *) * Max(computed->ndefaults, 1));
	for (int d = 0; d < computed->ndefaults; d++)
	{
		if (bms_is_member(computed->default_attnos[d], given))
			continue;
		writer->default_attnos[writer->ndefaults] = computed->default_attnos[d];
		writer->defaults[writer->ndefaults++] = prepare(computed->defaults[d]);
	}
	writer->nchecks = computed->nchecks;
	writer->checks = palloc(sizeof(ExprState *) * Max(computed->nchecks, 1));
	for (int i = 0; i < computed->nchecks; i++)
		writer->checks[i] = computed->checks[i] ? prepare(computed->checks[i]) : NULL;
	return true;
}

/* Find the unique indexes of just the first nkey columns; is there one? */
static bool
find_arbiters(RowWriter *writer, int nkey)
{
	Bitmapset  *key = NULL;

	for (int c = 0; c < nkey; c++)
		key = bms_add_member(key, writer->attnos[c]);
	for (int i = 0; i < writer->target->ri_NumIndices; i++)
	{
		Relation	index = writer->target->ri_IndexRelationDescs[i];
		IndexInfo  *info = writer->target->ri_IndexRelationInfo[i];
		Bitmapset  *columns = NULL;

		if (!info->ii_Unique || !index->rd_index->indimmediate ||
			info->ii_Predicate != NIL || info->ii_Expressions != NIL)
			continue;
		for (int k = 0; k < info->ii_NumIndexKeyAttrs; k++)
			columns = bms_add_member(columns, info->ii_IndexAttrNumbers[k]);
		if (bms_equal(columns, key))
			writer->arbiters = lappend_oid(writer->arbiters, RelationGetRelid(index));
	}
	return writer->arbiters != NIL;
}

RowWriter *
ls_writer_begin(const char *table, const ContactSource *contacts,
				const WriterColumn *columns, int ncolumns, int nkey)
{
	Oid			relid = ls_catalog_relid(table);
	RowWriter  *writer;

	if (!OidIsValid(relid))
		return NULL;
	PreventCommandIfReadOnly("INSERT");
	writer = palloc0(sizeof(RowWriter));
	writer->rel = table_open(relid, RowExclusiveLock);
	writer->slots = palloc(sizeof(TupleTableSlot *) * WRITE_BATCH);
	writer->columns = columns;
	writer->ncolumns = ncolumns;
	if (!is_plain(writer->rel, contacts) || !find_columns(writer, contacts))
	{
		table_close(writer->rel, NoLock);
		pfree(writer);
		return NULL;
	}
	writer->batch = AllocSetContextCreate(CurrentMemoryContext, "leadstream rows",
										  ALLOCSET_DEFAULT_SIZES);
	writer->estate = CreateExecutorState();
	writer->target = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->target, writer->rel, 0, NULL, 0);
	/* else ExecConstraints would make them */
	if (writer->nchecks > 0)
		LS_CHECKS(writer->target) = writer->checks;
	ExecOpenIndices(writer->target, false);
	if (nkey > 0 && !find_arbiters(writer, nkey))
	{
		ls_writer_end(writer);
		return NULL;
	}
	return writer;
}

void
ls_writer_end(RowWriter *writer)
{
	ExecCloseIndices(writer->target);
	for (int i = 0; i < writer->nslots; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	FreeExecutorState(writer->estate);
	table_close(writer->rel, NoLock);
	MemoryContextDelete(writer->batch);
	pfree(writer);
}

/* Have slots for n rows. */
static void
make_slots(RowWriter *writer, int n)
{
	/* a copy, for each slot of the relation's own would be counted and looked up */
	if (writer->desc == NULL)
		writer->desc = CreateTupleDescCopy(RelationGetDescr(writer->rel));
	for (; writer->nslots < n; writer->nslots++)
		writer->slots[writer->nslots] =
			MakeSingleTupleTableSlot(writer->desc, table_slot_callbacks(writer->rel));
}

/* Fill a slot with the i-th row. */
static void
fill_slot(RowWriter *writer, TupleTableSlot *slot, Datum **columns, bool **nulls, int i)
{
	ExprContext *econtext = GetPerTupleExprContext(writer->estate);

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	memset(slot->tts_values, 0, sizeof(Datum) * slot->tts_tupleDescriptor->natts);
	for (int c = 0; c < writer->ncolumns; c++)
	{
		int			row = writer->columns[c].is_same ? 0 : i;
		int			at = writer->attnos[c] - 1;

		slot->tts_isnull[at] = nulls && nulls[c] && nulls[c][row];
		slot->tts_values[at] = columns[c][row];
	}
	for (int d = 0; d < writer->ndefaults; d++)
	{
		int			at = writer->default_attnos[d] - 1;

		/* in the memory of the batch, which the row needs until it is written */
		slot->tts_values[at] = ExecEvalExpr(writer->defaults[d], econtext,
											&slot->tts_isnull[at]);
	}
	ExecStoreVirtualTuple(slot);
	if (RelationGetDescr(writer->rel)->constr)
		ExecConstraints(writer->target, slot, writer->estate);
}

/*
 * Write the rows in the slots.  Notes in is_met those whose key others have, or
 * may have; returns their number.
 */
static int
write_slots(RowWriter *writer, int n, bool *is_met)
{
	int			nmet = 0;

	table_multi_insert(writer->rel, writer->slots, n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < n; i++)
	{
		is_met[i] = false;
		if (writer->target->ri_NumIndices > 0)
			list_free(ls_insert_index_tuples(writer->target, writer->slots[i], writer->estate,
											 writer->arbiters != NIL, &is_met[i],
											 writer->arbiters));
		ResetPerTupleExprContext(writer->estate);
		if (is_met[i])
			nmet++;
	}
	return nmet;
}

/* Delete those again that met others. */
static void
delete_met(RowWriter *writer, int n, const bool *is_met)
{
	Snapshot	snapshot;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < n; i++)
		if (is_met[i])
			simple_table_tuple_delete(writer->rel, &writer->slots[i]->tts_tid, snapshot);
	UnregisterSnapshot(snapshot);
}

int
ls_writer_write(RowWriter *writer, Datum **columns, bool **nulls, int nrows,
				Datum *ids, int *left)
{
	bool		is_met[WRITE_BATCH];
	int			nleft = 0;
	int			n;

	PushActiveSnapshot(GetLatestSnapshot());
	for (int start = 0; start < nrows; start += n)
	{
		MemoryContext oldcontext;
		int			nmet;

		CHECK_FOR_INTERRUPTS();
		n = Min(WRITE_BATCH, nrows - start);
		make_slots(writer, n);
		oldcontext = MemoryContextSwitchTo(writer->batch);
		for (int i = 0; i < n; i++)
			fill_slot(writer, writer->slots[i], columns, nulls, start + i);
		nmet = write_slots(writer, n, is_met);
		if (nmet > 0)
			delete_met(writer, n, is_met);
		MemoryContextSwitchTo(oldcontext);
		for (int i = 0; i < n && nmet > 0; i++)
			if (is_met[i])
				left[nleft++] = start + i;
		for (int i = 0; i < n; i++)
		{
			bool		isnull;

			if (ids)
				ids[start + i] = datumCopy(slot_getattr(writer->slots[i], 1, &isnull),
										   FLOAT8PASSBYVAL, sizeof(int64));
			ExecClearTuple(writer->slots[i]);
		}
		MemoryContextReset(writer->batch);
	}
	PopActiveSnapshot();
	/* whoever looks next sees them */
	CommandCounterIncrement();
	return nrows - nleft;
}
