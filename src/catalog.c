/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  What is attached: the contacts table and the kinds of activities.
 *
 * Read like a system catalog: by systable scans under a fresh catalog
 * snapshot, never through SPI, because what is read here outlives the query
 * that asked for it and must not be as old as a REPEATABLE READ snapshot.
 * The results live in the caller's memory context; nothing is cached here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"

Oid
ls_catalog_relid(const char *name)
{
	Oid			nspoid = get_namespace_oid("leadstream", true);

	return OidIsValid(nspoid) ? get_relname_relid(name, nspoid) : InvalidOid;
}

/* Fetch a name column as a palloc'd string, NULL where it is null. */
static char *
name_column(HeapTuple tuple, TupleDesc desc, AttrNumber attno)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attno, desc, &isnull);

	return isnull ? NULL : pstrdup(NameStr(*DatumGetName(value)));
}

/* Attribute number of a column by name; 0 for NULL, and where it is gone. */
static AttrNumber
column_attno(Oid relid, const char *name)
{
	AttrNumber	attno = name ? get_attnum(relid, name) : InvalidAttrNumber;

	return attno > 0 ? attno : InvalidAttrNumber;
}

ContactSource *
ls_catalog_contacts(void)
{
	Oid			relid = ls_catalog_relid("contact_source");
	ContactSource *source = NULL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		ContactSource *s = palloc0(sizeof(ContactSource));
		int32		typmod;

		s->relid = DatumGetObjectId(heap_getattr(tuple, CONTACT_SOURCE_CONTACTS,
												 desc, &isnull));
		s->key_name = name_column(tuple, desc, CONTACT_SOURCE_KEY);
		s->key_attno = column_attno(s->relid, s->key_name);
		s->account_name = name_column(tuple, desc, CONTACT_SOURCE_ACCOUNT);
		s->account_attno = column_attno(s->relid, s->account_name);
		s->zone = TextDatumGetCString(heap_getattr(tuple, CONTACT_SOURCE_ZONE,
												   desc, &isnull));
		s->tz = pg_tzset(s->zone);
		if (s->tz == NULL)
			s->tz = pg_tzset("GMT");
		if (s->key_attno != InvalidAttrNumber &&
			(s->account_name == NULL || s->account_attno != InvalidAttrNumber))
		{
			get_atttypetypmodcoll(s->relid, s->key_attno, &s->key_type,
								  &typmod, &s->key_collation);
			s->key_base = getBaseType(s->key_type);
			source = s;
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return source;
}

List *
ls_catalog_activities(void)
{
	Oid			relid = ls_catalog_relid("activity_source");
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
		ActivitySource *s = palloc0(sizeof(ActivitySource));
		bool		isnull;
		Datum		value;

		s->source_id = DatumGetInt32(heap_getattr(tuple, ACTIVITY_SOURCE_ID,
												  desc, &isnull));
		value = heap_getattr(tuple, ACTIVITY_SOURCE_KIND, desc, &isnull);
		s->kind = TextDatumGetCString(value);
		s->relid = DatumGetObjectId(heap_getattr(tuple, ACTIVITY_SOURCE_ACTIVITY,
												 desc, &isnull));
		s->contact_name = name_column(tuple, desc, ACTIVITY_SOURCE_CONTACT);
		s->contact_attno = column_attno(s->relid, s->contact_name);
		s->time_name = name_column(tuple, desc, ACTIVITY_SOURCE_TIME);
		s->time_attno = column_attno(s->relid, s->time_name);
		value = heap_getattr(tuple, ACTIVITY_SOURCE_ONLY, desc, &isnull);
		if (!isnull)
			s->only = (Rule *) PG_DETOAST_DATUM_COPY(value);
		if (s->contact_attno == InvalidAttrNumber ||
			(s->time_name != NULL && s->time_attno == InvalidAttrNumber))
			continue;
		s->contact_type = getBaseType(get_atttype(s->relid, s->contact_attno));
		s->time_type = s->time_attno == InvalidAttrNumber ? InvalidOid :
			getBaseType(get_atttype(s->relid, s->time_attno));
		result = lappend(result, s);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}
