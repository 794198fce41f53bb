/*-------------------------------------------------------------------------
 *
 * key_access.c
 *	  How the rows of one key are found in a table: the best index there is.
 *
 * Taken is a valid btree index that starts with the key column, best one that
 * goes on with the time column; without one the whole table is read and the
 * column compared by the default operator of its type.
 *
 * A statement of one row opens several scans, so what was chosen is remembered
 * in the session, to be had again without opening all indexes of the table.  It
 * is forgotten when a message comes that the table, the index, or all, may have
 * changed or gone, and not remembered where another snapshot might choose otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "key_access.h"

/*
 * Find the operator "opcintype = key_type" of an operator family.  Types that
 * are binary coercible (varchar to text) or polymorphic (enums) go by the
 * family's own input type.
 */
static RegProcedure
find_equality(Oid opfamily, Oid opcintype, Oid key_type, Oid *subtype)
{
	Oid			op = get_opfamily_member(opfamily, opcintype, key_type,
										 BTEqualStrategyNumber);

	*subtype = key_type;
	if (!OidIsValid(op) && (IsBinaryCoercible(key_type, opcintype) ||
							IsPolymorphicType(opcintype)))
	{
		op = get_opfamily_member(opfamily, opcintype, opcintype,
								 BTEqualStrategyNumber);
		*subtype = opcintype;
	}
	return OidIsValid(op) ? get_opcode(op) : InvalidOid;
}

/* The same by the default operators of a type. */
static RegProcedure
find_default_equality(Oid column_type, Oid key_type, Oid *subtype)
{
	TypeCacheEntry *type = lookup_type_cache(getBaseType(column_type),
											 TYPECACHE_BTREE_OPFAMILY);

	if (!OidIsValid(type->btree_opf))
		return InvalidOid;
	return find_equality(type->btree_opf, type->btree_opintype, key_type, subtype);
}

bool
ls_key_can_compare(Oid column_type, Oid key_type)
{
	Oid			subtype;

	return OidIsValid(find_default_equality(column_type, key_type, &subtype));
}

/* May the index be used under our snapshot?  As plancat.c decides it. */
static bool
index_is_usable(Relation index, AttrNumber key_attno)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisvalid || index->rd_rel->relam != BTREE_AM_OID ||
		form->indkey.values[0] != key_attno ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	if (form->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							   TransactionXmin))
		return false;
	return true;
}

/*
 * Say how an open index gives the rows; false: it does not, and nothing of
 * *access but eq counts.
 */
static bool
describe_index(KeyAccess *access, Relation index, Form_pg_attribute key_att,
			   Oid key_type, AttrNumber time_attno)
{
	RegProcedure eq;

	if (!index_is_usable(index, key_att->attnum) ||
		index->rd_indcollation[0] != key_att->attcollation)
		return false;
	eq = find_equality(index->rd_opfamily[0], index->rd_opcintype[0], key_type,
					   &access->subtype);
	if (!OidIsValid(eq))
		return false;

	access->index = index;
	access->has_time = time_attno != InvalidAttrNumber &&
		index->rd_index->indnkeyatts >= 2 &&
		index->rd_index->indkey.values[1] == time_attno &&
		index->rd_opcintype[1] == TIMESTAMPTZOID;
	access->is_unique = index->rd_index->indisunique && index->rd_index->indimmediate;
	access->direction = access->has_time && (index->rd_indoption[1] & INDOPTION_DESC) ?
		ForwardScanDirection : BackwardScanDirection;
	access->collation = key_att->attcollation;
	fmgr_info(eq, &access->eq);
	return true;
}

/* Choose; false: not for any snapshot, so do not remember it. */
static bool
choose_index(KeyAccess *access, Relation rel, AttrNumber key_attno, Oid key_type,
			 AttrNumber time_attno)
{
	bool		is_lasting = true;
	List	   *indexes = RelationGetIndexList(rel);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), key_attno - 1);
	ListCell   *lc;

	memset(access, 0, sizeof(*access));
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		KeyAccess	by_index;

		if (index->rd_index->indcheckxmin)
			is_lasting = false;
		if (describe_index(&by_index, index, att, key_type, time_attno) &&
			(access->index == NULL || (by_index.has_time && !access->has_time)))
		{
			if (access->index)
				index_close(access->index, AccessShareLock);
			*access = by_index;
		}
		else
			index_close(index, AccessShareLock);
	}
	list_free(indexes);

	if (access->index == NULL)
	{
		RegProcedure eq = find_default_equality(att->atttypid, key_type, &access->subtype);

		if (!OidIsValid(eq))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s\" cannot be compared with the key of the contacts table",
							NameStr(att->attname), RelationGetRelationName(rel))));
		fmgr_info(eq, &access->eq);
		access->collation = att->attcollation;
	}
	return is_lasting;
}

/* What was chosen. */
typedef struct ChoiceKey
{
	Oid			relid;
	Oid			key_type;
	AttrNumber	key_attno;
	AttrNumber	time_attno;
} ChoiceKey;

typedef struct Choice
{
	ChoiceKey	id;				/* hash key */
	Oid			index;			/* InvalidOid: none */
	KeyAccess	access;			/* without the open index */
} Choice;

static HTAB *choices = NULL;
static uint64 nmessages = 0;	/* of tables that may have changed */

static void
forget_choices(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	Choice	   *choice;

	nmessages++;
	hash_seq_init(&status, choices);
	while ((choice = hash_seq_search(&status)) != NULL)
		if (relid == InvalidOid || choice->id.relid == relid || choice->index == relid)
			(void) hash_search(choices, &choice->id, HASH_REMOVE, NULL);
}

/* A choice, or room for one; NULL: there is none.  Good until a message comes. */
static Choice *
find_choice(const ChoiceKey *id, HASHACTION action)
{
	if (choices == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(ChoiceKey);
		ctl.entrysize = sizeof(Choice);
		ctl.hcxt = TopMemoryContext;
		choices = hash_create("leadstream indexes", 32, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		CacheRegisterRelcacheCallback(forget_choices, (Datum) 0);
	}
	return hash_search(choices, id, action, NULL);
}

void
ls_key_access_choose(KeyAccess *access, Relation rel, AttrNumber key_attno,
					 Oid key_type, AttrNumber time_attno)
{
	ChoiceKey	id;
	Choice	   *choice;
	uint64		nmessages_before;

	memset(&id, 0, sizeof(id));
	id.relid = RelationGetRelid(rel);
	id.key_type = key_type;
	id.key_attno = key_attno;
	id.time_attno = time_attno;
	choice = find_choice(&id, HASH_FIND);
	if (choice)
	{
		Oid			index = choice->index;

		*access = choice->access;
		/* what the function remembers is to go when the caller's context does */
		fmgr_info_copy(&access->eq, &choice->access.eq, CurrentMemoryContext);
		if (!OidIsValid(index))
			return;
		/* taking the lock may bring the message that it is gone */
		LockRelationOid(index, AccessShareLock);
		if (find_choice(&id, HASH_FIND))
		{
			access->index = index_open(index, NoLock);
			return;
		}
		UnlockRelationOid(index, AccessShareLock);
	}

	/* not remembered where it ends in an error, nor if a message comes meanwhile */
	nmessages_before = nmessages;
	if (!choose_index(access, rel, key_attno, key_type, time_attno) ||
		nmessages != nmessages_before)
		return;
	choice = find_choice(&id, HASH_ENTER);
	choice->index = access->index ? RelationGetRelid(access->index) : InvalidOid;
	choice->access = *access;
	choice->access.index = NULL;
	fmgr_info_copy(&choice->access.eq, &access->eq, TopMemoryContext);
}
