/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  What is attached: the contacts table and the kinds of activities.
 *
 * Read like a system catalog: by systable scans under a fresh catalog
 * snapshot, never through SPI, because what is read here outlives the query
 * that asked for it and must not be as old as a REPEATABLE READ snapshot.
 * The results live in the caller's memory context; nothing is cached here but
 * the OIDs of leadstream's own tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog.h"
#include "digest.h"

/*
 * The OIDs of leadstream's tables, which a row that makes a candidate asks for
 * half a dozen times.  Forgotten when any table or schema gets another name.
 */
#define MAX_KNOWN_TABLES	16

static struct
{
	const char *name;			/* a literal's */
	Oid			relid;
}			known_tables[MAX_KNOWN_TABLES];
static int	nknown_tables = 0;
static uint64 names_changed = 0;

/*
 * The indexes of these tables, by the column that they begin with.  Forgotten
 * when one of the tables changes.
 */
#define MAX_KNOWN_INDEXES	32

static struct
{
	Oid			relid;
	AttrNumber	attno;
	Oid			index;
}			known_indexes[MAX_KNOWN_INDEXES];
static int	nknown_indexes = 0;
static uint64 indexes_changed = 0;

static void
forget_known_tables(Datum arg, int cacheid, uint32 hashvalue)
{
	nknown_tables = 0;
	names_changed++;
}

Oid
ls_catalog_relid(const char *name)
{
	static bool is_registered = false;
	uint64		seen;
	Oid			nspoid;
	Oid			relid;

	/* names are constants, and mostly the same one */
	for (int i = 0; i < nknown_tables; i++)
		if (known_tables[i].name == name)
			return known_tables[i].relid;
	for (int i = 0; i < nknown_tables; i++)
		if (strcmp(known_tables[i].name, name) == 0)
			return known_tables[i].relid;

	if (!is_registered)
	{
		CacheRegisterSyscacheCallback(RELNAMENSP, forget_known_tables, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACENAME, forget_known_tables, (Datum) 0);
		is_registered = true;
	}
	seen = names_changed;
	nspoid = get_namespace_oid("leadstream", true);
	relid = OidIsValid(nspoid) ? get_relname_relid(name, nspoid) : InvalidOid;
	if (OidIsValid(relid) && names_changed == seen && nknown_tables < MAX_KNOWN_TABLES)
	{
		known_tables[nknown_tables].name = name;
		known_tables[nknown_tables++].relid = relid;
	}
	return relid;
}

bool
ls_catalog_turn(const char *table, int32 id, bool may_wait)
{
	LOCKTAG		tag;

	/* pg_advisory_lock(), which everybody may call, takes 1 and 2 */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, ls_catalog_relid(table), id, 3);
	return LockAcquire(&tag, ExclusiveLock, false, !may_wait) != LOCKACQUIRE_NOT_AVAIL;
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

/* The table with its schema, for messages. */
static char *
table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/*
 * Can values of one type be keys of another, both base types?  As
 * attach_activity() asks, for a column may get another type later.
 */
static bool
serves_as_key(Oid type, Oid key)
{
#define IS_INTEGER(t)	((t) == INT2OID || (t) == INT4OID || (t) == INT8OID)
#define IS_TEXT(t)		((t) == TEXTOID || (t) == VARCHAROID)
	return type == key || (IS_INTEGER(type) && IS_INTEGER(key)) ||
		(IS_TEXT(type) && IS_TEXT(key));
}

/* Why contacts that are attached cannot serve. */
typedef struct BrokenContacts
{
	Oid			relid;			/* InvalidOid: they can, or there are none */
	char	   *message;
	char	   *detail;
	char	   *hint;
} BrokenContacts;

static void
contacts_are_broken(BrokenContacts *broken, ContactSource *s, Oid attached_type)
{
	broken->relid = s->relid;
	if (s->key_attno != InvalidAttrNumber &&
		(s->account_name == NULL || s->account_attno != InvalidAttrNumber))
	{
		broken->message = psprintf("column \"%s\" of contacts table %s has become one of type %s",
								   s->key_name, table_name(s->relid),
								   format_type_be(s->key_type));
		broken->detail = psprintf("It was of type %s when the table was attached, and leads are kept by it.",
								  format_type_be(attached_type));
		broken->hint = pstrdup("Give it its type back, or disable the streams, detach the table and attach it again.");
		return;
	}
	broken->message = psprintf("column \"%s\" of contacts table %s is gone",
							   s->key_attno == InvalidAttrNumber ? s->key_name :
							   s->account_name, table_name(s->relid));
	broken->detail = pstrdup("It was there when the table was attached; renamed perhaps.");
	broken->hint = pstrdup("Give it its name back, or disable the streams, detach the table and attach it again.");
}

/* Read the contacts; NULL: there are none, or they are broken. */
static ContactSource *
read_contacts(BrokenContacts *broken)
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
		Oid			attached_type;
		int32		typmod;

		memset(broken, 0, sizeof(BrokenContacts));
		attached_type = DatumGetObjectId(heap_getattr(tuple, CONTACT_SOURCE_KEY_TYPE,
													  desc, &isnull));
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
		if (s->key_attno != InvalidAttrNumber)
		{
			get_atttypetypmodcoll(s->relid, s->key_attno, &s->key_type,
								  &typmod, &s->key_collation);
			s->key_base = getBaseType(s->key_type);
			get_typlenbyval(s->key_base, &s->key_len, &s->key_byval);
		}
		/* a type that was dropped has taken the column along */
		if (s->key_attno != InvalidAttrNumber &&
			(s->account_name == NULL || s->account_attno != InvalidAttrNumber) &&
			SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(attached_type)) &&
			serves_as_key(s->key_base, getBaseType(attached_type)))
			source = s;
		else if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(s->relid)))
			contacts_are_broken(broken, s, attached_type);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return source;
}

ContactSource *
ls_catalog_contacts(void)
{
	static Oid	warned = InvalidOid;
	BrokenContacts broken = {0};
	ContactSource *contacts = read_contacts(&broken);

	/* nobody asks for them in vain: say once why nothing happens */
	if (OidIsValid(broken.relid) && warned != broken.relid)
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("no leads are made: %s", broken.message),
				 errhint("%s", broken.hint)));
	warned = broken.relid;
	return contacts;
}

ContactSource *
ls_catalog_need_contacts(void)
{
	BrokenContacts broken = {0};
	ContactSource *contacts = read_contacts(&broken);

	if (contacts)
		return contacts;
	if (OidIsValid(broken.relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", broken.message),
				 errdetail("%s", broken.detail),
				 errhint("%s", broken.hint)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no contacts table is attached"),
			 errhint("Attach it first: select leadstream.attach_contacts('...');")));
}

char *
ls_catalog_key_operator(const ContactSource *contacts)
{
	TypeCacheEntry *type = lookup_type_cache(contacts->key_base,
											 TYPECACHE_EQ_OPR);
	HeapTuple	tuple;
	Form_pg_operator form;
	char	   *result;

	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(type->eq_opr));
	if (!HeapTupleIsValid(tuple))	/* a primary key has one; cannot happen */
		elog(ERROR, "cache lookup failed for operator %u", type->eq_opr);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("operator(%s.%s)",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

/* The events of a kind. */
static uint32
read_events(Datum value)
{
	uint32		result = 0;
	Datum	   *events;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &events, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *event = nulls[i] ? "" : TextDatumGetCString(events[i]);

		if (strcmp(event, "insert") == 0)
			result |= EVENT_INSERT;
		else if (strcmp(event, "update") == 0)
			result |= EVENT_UPDATE;
		else if (strcmp(event, "delete") == 0)
			result |= EVENT_DELETE;
	}
	return result;
}

List *
ls_catalog_activities(void)
{
	Oid			relid = ls_catalog_relid("activity_source");
	BrokenContacts broken = {0};
	ContactSource *contacts = read_contacts(&broken);
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
		s->digest = ls_digest(DIGEST_ROW, s->source_id);
		s->kind = TextDatumGetCString(value);
		s->relid = DatumGetObjectId(heap_getattr(tuple, ACTIVITY_SOURCE_ACTIVITY,
												 desc, &isnull));
		s->contact_name = name_column(tuple, desc, ACTIVITY_SOURCE_CONTACT);
		s->contact_attno = column_attno(s->relid, s->contact_name);
		s->time_name = name_column(tuple, desc, ACTIVITY_SOURCE_TIME);
		s->time_attno = column_attno(s->relid, s->time_name);
		s->account_name = name_column(tuple, desc, ACTIVITY_SOURCE_ACCOUNT);
		s->account_attno = column_attno(s->relid, s->account_name);
		value = heap_getattr(tuple, ACTIVITY_SOURCE_ONLY, desc, &isnull);
		if (!isnull)
			s->only = (Rule *) PG_DETOAST_DATUM_COPY(value);
		value = heap_getattr(tuple, ACTIVITY_SOURCE_EVENTS, desc, &isnull);
		s->events = isnull ? EVENT_INSERT : read_events(value);
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(s->relid)))
			continue;
		s->contact_type = s->contact_attno == InvalidAttrNumber ? InvalidOid :
			getBaseType(get_atttype(s->relid, s->contact_attno));
		s->time_type = s->time_attno == InvalidAttrNumber ? InvalidOid :
			getBaseType(get_atttype(s->relid, s->time_attno));
		if (s->contact_attno == InvalidAttrNumber ||
			(contacts && !serves_as_key(s->contact_type, contacts->key_base)))
			s->missing = s->contact_name;
		else if (s->time_name != NULL && s->time_type != TIMESTAMPTZOID &&
				 s->time_type != TIMESTAMPOID && s->time_type != DATEOID)
			s->missing = s->time_name;
		else if (s->account_name != NULL && s->account_attno == InvalidAttrNumber)
			s->missing = s->account_name;
		result = lappend(result, s);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Is it a btree index that begins with the column?  Asked without opening it. */
static bool
begins_with(Oid indexid, AttrNumber attno)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index index;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	index = (Form_pg_index) GETSTRUCT(tuple);
	result = index->indkey.values[0] == attno && index->indisvalid;
	ReleaseSysCache(tuple);
	if (!result)
		return false;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(indexid));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relam == BTREE_AM_OID;
	ReleaseSysCache(tuple);
	return result;
}

static void
forget_known_indexes(Datum arg, Oid relid)
{
	indexes_changed++;
	for (int i = 0; i < nknown_indexes; i++)
		if (relid == InvalidOid || known_indexes[i].relid == relid)
			nknown_indexes = 0;
}

static Oid
find_index(Relation rel, AttrNumber attno)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	Oid			result = InvalidOid;

	foreach(lc, indexes)
		if (begins_with(lfirst_oid(lc), attno))
		{
			result = lfirst_oid(lc);
			break;
		}
	list_free(indexes);
	return result;
}

Oid
ls_catalog_index(Relation rel, AttrNumber attno)
{
	static bool is_registered = false;
	uint64		seen;
	Oid			index;

	/* the primary key is at hand, and nearly always what is wanted */
	if (rel->rd_indexvalid && OidIsValid(rel->rd_pkindex) && attno == 1)
		return rel->rd_pkindex;
	for (int i = 0; i < nknown_indexes; i++)
		if (known_indexes[i].relid == RelationGetRelid(rel) && known_indexes[i].attno == attno)
			return known_indexes[i].index;

	if (!is_registered)
	{
		CacheRegisterRelcacheCallback(forget_known_indexes, (Datum) 0);
		is_registered = true;
	}
	seen = indexes_changed;
	index = find_index(rel, attno);
	if (OidIsValid(index) && indexes_changed == seen && nknown_indexes < MAX_KNOWN_INDEXES)
	{
		known_indexes[nknown_indexes].relid = RelationGetRelid(rel);
		known_indexes[nknown_indexes].attno = attno;
		known_indexes[nknown_indexes++].index = index;
	}
	return index;
}

SysScanDesc
ls_catalog_scan(Relation rel, AttrNumber attno, Datum value, bool is_int8,
				AttrNumber second, const int32 *above, Snapshot snapshot)
{
	ScanKeyData keys[2];
	Oid			index = ls_catalog_index(rel, attno);

	ScanKeyInit(&keys[0], attno, BTEqualStrategyNumber,
				is_int8 ? F_INT8EQ : F_INT4EQ, value);
	if (above)
		ScanKeyInit(&keys[1], second, BTGreaterStrategyNumber, F_INT4GT,
					Int32GetDatum(*above));
	return systable_beginscan(rel, index, OidIsValid(index), snapshot,
							  above ? 2 : 1, keys);
}
