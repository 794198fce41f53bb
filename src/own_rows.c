/*-------------------------------------------------------------------------
 *
 * own_rows.c
 *	  The rows of a contact that stand in no table of activities.
 *
 * An array column of the contacts, or a jsonb column that holds an array, is a
 * kind: its elements are rows without a time, in the order of the array.  They
 * have one column, "element".  What a rule calls value is that column of an
 * array of scalars; of jsonb its fields are the labels of an object, and value
 * is an element that is none (bind_operand.c).
 *
 * The judge reads them out of the contact's row (OwnRows), queries by a set
 * returning function in FROM: the same rows in the same order.  What is in the
 * column is read when a contact is stepped to, and taken apart as rows are
 * asked for.
 *
 * The contact's leads are another such kind (lead_rows.c), by the same door.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "lead_rows.h"
#include "own_rows.h"

struct OwnRows
{
	const ActivitySource *source;
	TupleTableSlot *slot;
	MemoryContext contact_mcxt; /* what the column holds */
	MemoryContext row_mcxt;		/* the row given last */
	ArrayIterator array;		/* elements of an array, or */
	JsonbContainer *json;		/* of jsonb; NULL: none */
	LeadRows   *leads;			/* or the contact's leads, */
	uint32		nleads;			/* that many */
	uint32		n;				/* rows given */
};

/* The column as it is now, or false. */
static bool
read_column(Oid relid, const char *name, Form_pg_attribute result)
{
	HeapTuple	tuple;

	if (strlen(name) >= NAMEDATALEN)
		return false;
	tuple = SearchSysCacheAttName(relid, name);
	if (!HeapTupleIsValid(tuple))
		return false;
	memcpy(result, GETSTRUCT(tuple), ATTRIBUTE_FIXED_PART_SIZE);
	ReleaseSysCache(tuple);
	return result->attnum > 0;
}

ActivitySource *
ls_ownrows_kind(const ContactSource *contacts, const char *name)
{
	FormData_pg_attribute att;
	ActivitySource *source;
	Oid			type;
	Oid			element;

	if (strcmp(name, "lead") == 0)
		return ls_leadrows_kind();
	/* the row itself does not hold a virtual column */
	if (!read_column(contacts->relid, name, &att) || LS_ATTRIBUTE_IS_VIRTUAL(&att))
		return NULL;
	type = getBaseType(att.atttypid);
	element = type == JSONBOID ? JSONBOID :
		type_is_array(type) ? get_element_type(type) : InvalidOid;
	if (!OidIsValid(element))
		return NULL;

	source = palloc0(sizeof(ActivitySource));
	source->origin = SOURCE_ELEMENTS;
	source->source_id = OWN_SOURCE;
	source->kind = pstrdup(name);
	source->relid = contacts->relid;
	source->contact_attno = att.attnum;
	source->contact_name = pstrdup(name);
	source->contact_type = type;
	source->element_type = element;
	source->element_collation = type == JSONBOID ? InvalidOid : att.attcollation;
	return source;
}

TupleDesc
ls_ownrows_desc(const ActivitySource *source)
{
	TupleDesc	desc;

	if (source->origin == SOURCE_LEADS)
		return ls_leadrows_desc();
	desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(desc, 1, "element", source->element_type, -1, 0);
	TupleDescInitEntryCollation(desc, 1, source->element_collation);
	return desc;
}

char *
ls_ownrows_sql(const ActivitySource *source, const ContactSource *contacts, const char *equals)
{
	char	   *column;

	if (source->origin == SOURCE_LEADS)
		return ls_leadrows_sql(source, contacts, equals);
	column = psprintf("c.%s", quote_identifier(source->contact_name));
	if (source->contact_type == JSONBOID)
		return psprintf("pg_catalog.jsonb_array_elements(case when pg_catalog.jsonb_typeof(%s) OPERATOR(pg_catalog.=) 'array' then %s end)"
						" with ordinality a(element, place)", column, column);
	return psprintf("pg_catalog.unnest(%s) with ordinality a(element, place)", column);
}

const char *
ls_ownrows_order(const ActivitySource *source)
{
	return source->origin == SOURCE_LEADS ? "a.created_at, a.lead_id" : "a.place";
}

OwnRows *
ls_ownrows_open(const ActivitySource *source, const ContactSource *contacts, Snapshot snapshot)
{
	OwnRows    *rows = palloc0(sizeof(OwnRows));

	rows->source = source;
	rows->slot = MakeSingleTupleTableSlot(ls_ownrows_desc(source), &TTSOpsVirtual);
	rows->contact_mcxt = AllocSetContextCreate(CurrentMemoryContext, "leadstream elements",
											   ALLOCSET_DEFAULT_SIZES);
	rows->row_mcxt = AllocSetContextCreate(CurrentMemoryContext, "leadstream element",
										   ALLOCSET_SMALL_SIZES);
	if (source->origin == SOURCE_LEADS)
		rows->leads = ls_leadrows_open(source, contacts, snapshot);
	return rows;
}

void
ls_ownrows_start(OwnRows *rows, TupleTableSlot *contact, Datum key)
{
	MemoryContext oldcxt;
	bool		isnull;
	Datum		value;

	ExecClearTuple(rows->slot);
	MemoryContextReset(rows->contact_mcxt);
	rows->array = NULL;
	rows->json = NULL;
	rows->n = 0;
	if (rows->leads)
	{
		oldcxt = MemoryContextSwitchTo(rows->contact_mcxt);
		rows->nleads = ls_leadrows_read(rows->leads, key);
		MemoryContextSwitchTo(oldcxt);
		return;
	}
	value = slot_getattr(contact, rows->source->contact_attno, &isnull);
	if (isnull)
		return;
	oldcxt = MemoryContextSwitchTo(rows->contact_mcxt);
	if (rows->source->contact_type == JSONBOID)
	{
		Jsonb	   *json = DatumGetJsonbP(value);

		/* inside, a scalar is an array of one */
		if (JB_ROOT_IS_ARRAY(json) && !JB_ROOT_IS_SCALAR(json))
			rows->json = &json->root;
	}
	else
		rows->array = array_create_iterator(DatumGetArrayTypeP(value), 0, NULL);
	MemoryContextSwitchTo(oldcxt);
}

TupleTableSlot *
ls_ownrows_next(OwnRows *rows, ItemPointer place)
{
	MemoryContext oldcxt;
	Datum	   *value = &rows->slot->tts_values[0];
	bool	   *isnull = &rows->slot->tts_isnull[0];
	bool		found = false;

	ExecClearTuple(rows->slot);
	MemoryContextReset(rows->row_mcxt);
	oldcxt = MemoryContextSwitchTo(rows->row_mcxt);
	if (rows->array)
		found = array_iterate(rows->array, value, isnull);
	else if (rows->json && rows->n < JsonContainerSize(rows->json))
	{
		*value = JsonbPGetDatum(JsonbValueToJsonb(getIthJsonbValueFromContainer(rows->json,
																				 rows->n)));
		*isnull = false;
		found = true;
	}
	else if (rows->leads && rows->n < rows->nleads)
	{
		ls_leadrows_get(rows->leads, rows->n, value, isnull);
		found = true;
	}
	MemoryContextSwitchTo(oldcxt);
	if (!found)
		return NULL;
	ExecStoreVirtualTuple(rows->slot);
	ItemPointerSet(place, rows->n / MaxOffsetNumber,
				   (OffsetNumber) (rows->n % MaxOffsetNumber) + FirstOffsetNumber);
	rows->n++;
	return rows->slot;
}

void
ls_ownrows_close(OwnRows *rows)
{
	if (rows->leads)
		ls_leadrows_close(rows->leads);
}
