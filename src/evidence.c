/*-------------------------------------------------------------------------
 *
 * evidence.c
 *	  What lead_match says of the row that made a match.
 *
 * The evidence names the row by its kind and, where the table has one, its
 * primary key.  A statement may make a hundred thousand matches by rows of one
 * table: what is the same for all of them is found once, when the witness is
 * called, and the values are built as jsonb, not written as text and read
 * again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "evidence.h"

/* A column of the primary key. */
typedef struct KeyColumn
{
	AttrNumber	attno;
	Oid			type;			/* its base type */
	FmgrInfo	output;
	char	   *name;
} KeyColumn;

struct Witness
{
	MemoryContext work;			/* for building one: large, what comes of it small */
	const char *label;
	const char *what;
	const char *event;			/* NULL: not told */
	Relation	rel;			/* NULL: there is no key to be read */
	TupleTableSlot *slot;
	int			nkeys;
	KeyColumn  *keys;
};

/* Get ready to read a table's primary key, if it has one. */
static void
open_key(Witness *witness, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Bitmapset  *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int			x = -1;

	if (bms_is_empty(key))
	{
		table_close(rel, NoLock);
		return;
	}
	witness->rel = rel;
	witness->slot = table_slot_create(rel, NULL);
	witness->keys = palloc0(sizeof(KeyColumn) * bms_num_members(key));
	while ((x = bms_next_member(key, x)) >= 0)
	{
		KeyColumn  *column = &witness->keys[witness->nkeys++];
		Form_pg_attribute att;
		Oid			output;
		bool		is_varlena;

		column->attno = x + FirstLowInvalidHeapAttributeNumber;
		att = TupleDescAttr(RelationGetDescr(rel), column->attno - 1);
		column->type = getBaseType(att->atttypid);
		getTypeOutputInfo(att->atttypid, &output, &is_varlena);
		fmgr_info(output, &column->output);
		column->name = pstrdup(NameStr(att->attname));
	}
}

Witness *
ls_witness_begin(const char *label, const char *what, Oid relid)
{
	Witness    *witness = palloc0(sizeof(Witness));

	witness->work = AllocSetContextCreate(CurrentMemoryContext, "leadstream evidence",
										  ALLOCSET_SMALL_SIZES);
	witness->label = label;
	witness->what = what;
	if (OidIsValid(relid))
		open_key(witness, relid);
	return witness;
}

bool
ls_witness_may_tell(const Witness *witness, Oid relid)
{
	if (witness->nkeys == 0)
		return false;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < witness->nkeys; i++)
	{
		AttrNumber	attno = get_attnum(relid, witness->keys[i].name);

		if (attno == InvalidAttrNumber ||
			pg_attribute_aclcheck(relid, attno, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

void
ls_witness_event(Witness *witness, const char *event)
{
	witness->event = event;
}

void
ls_witness_end(Witness *witness)
{
	if (witness->rel)
	{
		ExecDropSingleTupleTableSlot(witness->slot);
		table_close(witness->rel, NoLock);
	}
	MemoryContextDelete(witness->work);
	pfree(witness);
}

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	pushJsonbValue(state, token, &value);
}

/*
 * Push the value of a column: integers and booleans as such, times in ISO form
 * and UTC whatever the session's settings, the rest as a string.
 */
static void
push_column(JsonbParseState **state, KeyColumn *column, Datum datum)
{
	JsonbValue	value;
	char		buffer[MAXDATELEN + 1];
	const int	utc = 0;

	switch (column->type)
	{
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			(void) JsonEncodeDateTime(buffer, datum, column->type, &utc);
			push_text(state, WJB_VALUE, pstrdup(buffer));
			return;
		case INT2OID:
			value.type = jbvNumeric;
			value.val.numeric = int64_to_numeric(DatumGetInt16(datum));
			break;
		case INT4OID:
			value.type = jbvNumeric;
			value.val.numeric = int64_to_numeric(DatumGetInt32(datum));
			break;
		case INT8OID:
			value.type = jbvNumeric;
			value.val.numeric = int64_to_numeric(DatumGetInt64(datum));
			break;
		case BOOLOID:
			value.type = jbvBool;
			value.val.boolean = DatumGetBool(datum);
			break;
		default:
			push_text(state, WJB_VALUE, OutputFunctionCall(&column->output, datum));
			return;
	}
	pushJsonbValue(state, WJB_VALUE, &value);
}

Jsonb *
ls_witness_tell(Witness *witness, const ItemPointerData *row)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(witness->work);
	JsonbParseState *state = NULL;
	Jsonb	   *built;
	Jsonb	   *result;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, WJB_KEY, witness->label);
	push_text(&state, WJB_VALUE, witness->what);
	if (witness->event)
	{
		push_text(&state, WJB_KEY, "event");
		push_text(&state, WJB_VALUE, witness->event);
	}

	/* ours, and maybe changed again since: any version has the key */
	if (row && witness->rel &&
		table_tuple_fetch_row_version(witness->rel, unconstify(ItemPointerData *, row),
									  SnapshotAny, witness->slot))
	{
		push_text(&state, WJB_KEY, "row");
		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		for (int i = 0; i < witness->nkeys; i++)
		{
			KeyColumn  *column = &witness->keys[i];
			bool		isnull;
			Datum		value = slot_getattr(witness->slot, column->attno, &isnull);

			push_text(&state, WJB_KEY, column->name);
			push_column(&state, column, value);
		}
		pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	built = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));

	MemoryContextSwitchTo(oldcontext);
	result = palloc(VARSIZE(built));
	memcpy(result, built, VARSIZE(built));
	MemoryContextReset(witness->work);
	return result;
}
