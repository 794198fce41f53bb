/*-------------------------------------------------------------------------
 *
 * lookup.c
 *	  The streams that a row or a contact may concern.
 *
 * Walks the digests under which streams are entered (stream_keys.c): from what
 * happened to the account, where there are accounts, and to the keys of the
 * row, and from there, for streams that stand deeper, to the keys of the
 * contact.  The latter only when the contact is locked, or is the row that was
 * written: what it looked like a moment ago decides nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "lookup.h"
#include "stream_paths.h"
#include "value.h"

/* The digest of an account as its column has it; as a stream has it, text. */
static uint64
account_digest(TupleTableSlot *slot, AttrNumber attno)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attno, &isnull);
	Oid			type;
	char	   *string;
	char		number[32];
	uint64		digest;

	if (isnull)
		return ls_digest_account("");
	type = getBaseType(TupleDescAttr(slot->tts_tupleDescriptor, attno - 1)->atttypid);
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			pg_lltoa(type == INT8OID ? DatumGetInt64(value) :
					 type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value),
					 number);
			return ls_digest_account(number);
		case TEXTOID:
		case VARCHAROID:
			string = TextDatumGetCString(value);
			break;
		default:
			string = ls_cast_to_text(value, type);
			break;
	}
	digest = ls_digest_account(string);
	pfree(string);
	return digest;
}

/* Have the contacts accounts, which rows of the kind do not tell? */
static bool
has_account_below(StreamSet *set, ActivitySource *kind)
{
	return set->contacts->account_attno != InvalidAttrNumber &&
		(kind == NULL || kind->account_attno == InvalidAttrNumber);
}

static void
add_deeper(Lookup *result, uint64 digest)
{
	if (result->ndeeper == result->room)
	{
		int			room = Max(16, result->room * 2);

		result->deeper = result->deeper == NULL ?
			MemoryContextAlloc(TopMemoryContext, sizeof(uint64) * room) :
			repalloc(result->deeper, sizeof(uint64) * room);
		result->room = room;
	}
	result->deeper[result->ndeeper++] = digest;
}

void
ls_look_up_row(StreamSet *set, ActivitySource *kind, TupleTableSlot *slot,
			   TupleTableSlot *contact, Lookup *result)
{
	uint64		epoch;

	do
	{
		AccessPaths *paths = ls_streams_paths(set, kind->source_id);
		const IndexFilter *filter = ls_index_filter(set->index);
		uint64		digest = kind->digest;
		const uint64 *digests;
		int			n;

		epoch = set->epoch;
		result->hits.n = result->ndeeper = 0;
		if (kind->account_attno != InvalidAttrNumber &&
			set->contacts->account_attno != InvalidAttrNumber)
			digest = ls_digest_below_row(digest, contact ?
									 account_digest(contact, set->contacts->account_attno) :
									 account_digest(slot, kind->account_attno));
		if (ls_index_find(set->index, digest, &result->hits))
			add_deeper(result, digest);
		n = ls_paths_probe(paths, slot, &digests);
		for (int i = 0; i < n; i++)
		{
			uint64		below = ls_digest_below_row(digest, digests[i]);

			if (!ls_filter_lacks(filter, below) &&
				ls_index_find(set->index, below, &result->hits))
				add_deeper(result, below);
		}
		/* so that nothing is entered above these when their contact is known */
		if (result->ndeeper > 0)
			(void) ls_streams_lock_paths(set, CONTACTS_SOURCE);
	} while (set->epoch != epoch);
}

void
ls_look_up_below(StreamSet *set, uint64 digest, ActivitySource *kind,
				 TupleTableSlot *contact, IndexHits *hits)
{
	AccessPaths *paths = ls_streams_paths(set, CONTACTS_SOURCE);
	const uint64 *digests;
	int			n;

	if (has_account_below(set, kind))
	{
		digest = ls_digest_below(digest,
								 account_digest(contact, set->contacts->account_attno));
		if (!ls_index_find(set->index, digest, hits))
			return;
	}
	n = ls_paths_probe(paths, contact, &digests);
	for (int i = 0; i < n; i++)
		(void) ls_index_find(set->index, ls_digest_below(digest, digests[i]), hits);
}

void
ls_look_up_contact(StreamSet *set, uint64 digest, TupleTableSlot *contact, IndexHits *hits)
{
	uint64		epoch;

	do
	{
		/* enters the streams that have no keys */
		(void) ls_streams_paths(set, CONTACTS_SOURCE);
		epoch = set->epoch;
		hits->n = 0;
		if (ls_index_find(set->index, digest, hits))
			ls_look_up_below(set, digest, NULL, contact, hits);
		if (hits->n > 0)
			ls_streams_settle_state(set);
	} while (set->epoch != epoch);
}

bool
ls_look_up_is_worthwhile(StreamSet *set, ActivitySource *kind)
{
	static IndexHits hits;

	if (ls_paths_count(ls_streams_paths(set, kind->source_id)) > 0 ||
		(set->contacts->account_attno != InvalidAttrNumber &&
		 kind->account_attno != InvalidAttrNumber))
		return true;
	hits.n = 0;
	return ls_index_find(set->index, kind->digest, &hits) || hits.n > 0;
}
