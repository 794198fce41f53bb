/*-------------------------------------------------------------------------
 *
 * stages.c
 *	  The stages of an account.
 *
 * An account that has no stages of its own uses those of the account ''.
 * Whether a stage is closed is asked of the account first, and then of that
 * one.  They are read like a system catalog, as of this moment.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "catalog.h"
#include "stages.h"

static SysScanDesc
scan_stages(Relation rel, const char *account)
{
	Oid			index = ls_catalog_index(rel, STAGE_ACCOUNT);
	ScanKeyData key;

	ScanKeyEntryInitialize(&key, 0, STAGE_ACCOUNT, BTEqualStrategyNumber,
						   TEXTOID, DEFAULT_COLLATION_OID, F_TEXTEQ,
						   CStringGetTextDatum(account));
	return systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
}

/* The first stage of an account by (position, name); NULL: it has none. */
static char *
find_first(Relation rel, const char *account)
{
	SysScanDesc scan = scan_stages(rel, account);
	TupleDesc	desc = RelationGetDescr(rel);
	char	   *first = NULL;
	int32		first_position = 0;
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		int32		position = DatumGetInt32(heap_getattr(tuple, STAGE_POSITION, desc, &isnull));
		char	   *name = TextDatumGetCString(heap_getattr(tuple, STAGE_NAME, desc, &isnull));

		if (first == NULL || position < first_position ||
			(position == first_position &&
			 varstr_cmp(name, strlen(name), first, strlen(first), DEFAULT_COLLATION_OID) < 0))
		{
			first = name;
			first_position = position;
		}
	}
	systable_endscan(scan);
	return first;
}

Datum
ls_stage_first(const char *account)
{
	Oid			relid = ls_catalog_relid("stage");
	char	   *first = NULL;

	if (OidIsValid(relid))
	{
		Relation	rel = table_open(relid, AccessShareLock);

		first = find_first(rel, account);
		if (first == NULL && account[0] != '\0')
			first = find_first(rel, "");
		table_close(rel, AccessShareLock);
	}
	return CStringGetTextDatum(first ? first : "MQL");
}

/* Does the account have the stage?  Then is it a closed one? */
static bool
find_stage(Relation rel, const char *account, const char *stage, bool *is_closed)
{
	SysScanDesc scan = scan_stages(rel, account);
	TupleDesc	desc = RelationGetDescr(rel);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && (tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		found = strcmp(TextDatumGetCString(heap_getattr(tuple, STAGE_NAME, desc, &isnull)),
					   stage) == 0;
		*is_closed = found &&
			DatumGetBool(heap_getattr(tuple, STAGE_IS_CLOSED, desc, &isnull));
	}
	systable_endscan(scan);
	return found;
}

bool
ls_stage_is_closed(const char *account, const char *stage)
{
	Relation	rel = table_open(ls_catalog_relid("stage"), AccessShareLock);
	bool		result = false;

	if (!find_stage(rel, account, stage, &result))
		(void) find_stage(rel, "", stage, &result);
	table_close(rel, AccessShareLock);
	return result;
}
