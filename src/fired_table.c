/*-------------------------------------------------------------------------
 *
 * fired_table.c
 *	  The tables that triggers fire on.
 *
 * A table that fires is the attached one, or a partition of it, or a shard,
 * whose columns may lie in another order.  What of it matters is found out once
 * and kept with the set of streams, which is made anew when a table changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fired_table.h"
#include "table_watch.h"

/* How values of a column become keys; false: not at all. */
static bool
choose_conversion(KindColumns *columns, Oid key_base)
{
	Oid			type = columns->contact_type;

	if (type == key_base || IsBinaryCoercible(type, key_base))
	{
		columns->conversion = KEY_SAME;
		return true;
	}
	if ((type == INT2OID || type == INT4OID || type == INT8OID) &&
		(key_base == INT2OID || key_base == INT4OID || key_base == INT8OID))
	{
		columns->conversion = KEY_INTEGER;
		return true;
	}
	return false;
}

bool
ls_fired_key(KindColumns *columns, Oid key_base, Datum *key)
{
	int64		value;

	switch (columns->conversion)
	{
		case KEY_SAME:
			break;
		case KEY_INTEGER:
			value = columns->contact_type == INT8OID ? DatumGetInt64(*key) :
				columns->contact_type == INT4OID ? DatumGetInt32(*key) :
				DatumGetInt16(*key);
			if (key_base == INT8OID)
				*key = Int64GetDatum(value);
			else if (key_base == INT4OID)
			{
				if (value < PG_INT32_MIN || value > PG_INT32_MAX)
					return false;
				*key = Int32GetDatum((int32) value);
			}
			else
			{
				if (value < PG_INT16_MIN || value > PG_INT16_MAX)
					return false;
				*key = Int16GetDatum((int16) value);
			}
			break;
	}
	return true;
}

/* Find a column of a table by name; 0 if there is none. */
static AttrNumber
column_by_name(TupleDesc desc, const char *name)
{
	if (name == NULL)
		return InvalidAttrNumber;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return InvalidAttrNumber;
}

/* Fill in what is needed of an activity table. */
static void
describe_activity(StreamSet *set, FiredTable *fired, Relation rel, Oid root)
{
	TupleDesc	desc = RelationGetDescr(rel);

	fired->kinds = palloc0(sizeof(KindColumns) * Max(set->nkinds, 1));
	for (int k = 0; k < set->nkinds; k++)
	{
		ActivitySource *kind = set->kinds[k];
		KindColumns *columns = &fired->kinds[fired->nkinds];

		if (kind->relid != root)
			continue;
		fired->has_updates |= (kind->events & EVENT_UPDATE) != 0;
		if (kind->missing)
		{
			ls_streams_report_kind(set, kind);
			continue;
		}
		columns->kind = kind;
		columns->contact = column_by_name(desc, kind->contact_name);
		columns->time = column_by_name(desc, kind->time_name);
		if (columns->contact == InvalidAttrNumber ||
			(kind->time_name && columns->time == InvalidAttrNumber))
			continue;
		columns->contact_type =
			getBaseType(TupleDescAttr(desc, columns->contact - 1)->atttypid);
		if (columns->time != InvalidAttrNumber)
			columns->time_type =
				getBaseType(TupleDescAttr(desc, columns->time - 1)->atttypid);
		if (choose_conversion(columns, set->contacts->key_base))
			fired->nkinds++;
	}

	/* rules are compiled for the attached table; a partition may differ */
	if (fired->nkinds > 0 && RelationGetRelid(rel) != root)
	{
		Relation	attached = table_open(root, AccessShareLock);

		fired->layout = ls_build_attrmap_if_req(desc, RelationGetDescr(attached));
		if (fired->layout)
		{
			TupleDesc	layout = CreateTupleDescCopy(RelationGetDescr(attached));

			fired->attached = MakeSingleTupleTableSlot(layout, &TTSOpsVirtual);
			fired->attached_before = MakeSingleTupleTableSlot(layout, &TTSOpsVirtual);
		}
		table_close(attached, NoLock);
	}
}

FiredTable *
ls_fired_find(StreamSet *set, Relation rel, int32 source_id, Oid root)
{
	FiredKey	id;
	FiredTable *fired;
	bool		found;
	MemoryContext oldcontext;

	fired = set->last_fired;
	if (fired && fired->id.relid == RelationGetRelid(rel) && fired->id.source_id == source_id)
		return fired;

	memset(&id, 0, sizeof(id));
	id.relid = RelationGetRelid(rel);
	id.source_id = source_id;
	if (set->tables == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(FiredKey);
		ctl.entrysize = sizeof(FiredTable);
		ctl.hcxt = set->context;
		set->tables = hash_create("leadstream fired tables", 16, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	fired = hash_search(set->tables, &id, HASH_FIND, NULL);
	if (fired)
		return set->last_fired = fired;

	/* a change of its columns must be noticed from now on */
	ls_watch_table(id.relid, root);
	oldcontext = MemoryContextSwitchTo(set->context);
	if (source_id == CONTACTS_SOURCE)
	{
		FiredTable	described = {0};
		TupleDesc	desc = RelationGetDescr(rel);

		described.columns = palloc(sizeof(AttrNumber) * desc->natts);
		described.digests = palloc(sizeof(uint64) * desc->natts);
		described.is_read = palloc0(sizeof(bool) * desc->natts);
		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			if (att->attisdropped)
				continue;
			described.columns[described.ncolumns] = att->attnum;
			described.digests[described.ncolumns++] =
				ls_digest_update(NameStr(att->attname));
		}
		described.key = column_by_name(RelationGetDescr(rel),
									   set->contacts->key_name);
		/* somebody's own trigger, on a table that only looks like contacts */
		if (described.key != InvalidAttrNumber &&
			getBaseType(TupleDescAttr(RelationGetDescr(rel),
									  described.key - 1)->atttypid) != set->contacts->key_base)
			ereport(ERROR,
					(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					 errmsg("table \"%s\" is not the contacts table that is attached, nor a partition of it",
							RelationGetRelationName(rel))));
		if (id.relid != set->contacts->relid)
		{
			Relation	attached = table_open(set->contacts->relid, AccessShareLock);

			described.layout = ls_build_attrmap_if_req(desc, RelationGetDescr(attached));
			if (described.layout)
				described.attached =
					MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(attached)),
											 &TTSOpsVirtual);
			table_close(attached, NoLock);
		}
		described.account = column_by_name(RelationGetDescr(rel),
										   set->contacts->account_name);
		fired = hash_search(set->tables, &id, HASH_ENTER, &found);
		described.id = id;
		*fired = described;
	}
	else
	{
		FiredTable	described = {0};

		describe_activity(set, &described, rel, root);
		fired = hash_search(set->tables, &id, HASH_ENTER, &found);
		described.id = id;
		*fired = described;
	}
	MemoryContextSwitchTo(oldcontext);
	return set->last_fired = fired;
}

KindColumns *
ls_fired_columns(FiredTable *fired, const ActivitySource *kind)
{
	for (int k = 0; k < fired->nkinds; k++)
		if (fired->kinds[k].kind == kind)
			return &fired->kinds[k];
	return NULL;
}
