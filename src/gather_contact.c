/*-------------------------------------------------------------------------
 *
 * gather_contact.c
 *	  What rows of the contacts table concern.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "compat.h"
#include "gather.h"
#include "key_scan.h"
#include "lookup.h"
#include "stream_paths.h"

/* What the row at hand may concern; never in use for two rows at a time. */
static Lookup found;

/* A contact that got another key. */
typedef struct NewKey
{
	struct NewKey *next;		/* of the same hash */
	SubTransactionId subid;		/* InvalidSubTransactionId: it was rolled back */
	Datum		key;
	Datum		old_key;
} NewKey;

typedef struct NewKeyEntry
{
	uint32		hash;			/* of old_key; hash key */
	NewKey	   *first;
} NewKeyEntry;

/* All of them, in a child of TopTransactionContext; NULL: there are none. */
static HTAB *new_keys = NULL;
static MemoryContext new_keys_context = NULL;
static SubTransactionId new_keys_subid; /* none of a later one is among them */

/*
 * Find out which columns rules read, of all those that a contact has, and
 * whether they read activities.
 */
static void
find_read_columns(StreamSet *set, FiredTable *fired)
{
	fired->is_read_known = false;
	do
	{
		(void) ls_streams_paths(set, CONTACTS_SOURCE);
		fired->epoch = set->epoch;
		for (int c = 0; c < fired->ncolumns; c++)
		{
			found.hits.n = 0;
			fired->is_read[c] = ls_index_find(set->index, fired->digests[c], &found.hits) ||
				found.hits.n > 0;
		}
		fired->has_rows = false;
		for (int k = 0; k < set->nkinds && !fired->has_rows; k++)
			fired->has_rows = !set->kinds[k]->missing &&
				ls_streams_lock_paths(set, set->kinds[k]->source_id) != NULL &&
				ls_look_up_is_worthwhile(set, set->kinds[k]);
	} while (fired->epoch != set->epoch);
	fired->is_read_known = true;
}

/* Do two versions of a row differ in a column? */
static bool
is_changed(TriggerData *trigdata, AttrNumber attno)
{
	Form_pg_attribute att;
	Datum		old_value;
	Datum		new_value;
	bool		old_null;
	bool		new_null;

	/* what cannot be compared here counts as changed */
	if (attno == InvalidAttrNumber)
		return true;
	att = TupleDescAttr(RelationGetDescr(trigdata->tg_relation), attno - 1);
	if (LS_ATTRIBUTE_IS_VIRTUAL(att))
		return true;
	old_value = slot_getattr(trigdata->tg_trigslot, attno, &old_null);
	new_value = slot_getattr(trigdata->tg_newslot, attno, &new_null);
	if (old_null || new_null)
		return old_null != new_null;
	return !datum_image_eq(old_value, new_value, att->attbyval, att->attlen);
}

/* Are updates of activities captured? */
static bool
is_followed(StreamSet *set)
{
	for (int k = 0; k < set->nkinds; k++)
		if (set->kinds[k]->events & EVENT_UPDATE)
			return true;
	return false;
}

/* Remember of a contact with another key that its activities are going to follow. */
static void
note_new_key(StreamSet *set, TriggerData *trigdata, AttrNumber attno)
{
	MemoryContext oldcontext;
	NewKeyEntry *entry;
	NewKey	   *new_key;
	Datum		key;
	Datum		old_key;
	uint32		hash;
	int16		len = set->contacts->key_len;
	bool		byval = set->contacts->key_byval;
	bool		isnull;
	bool		is_known;

	if (new_keys == NULL)
	{
		HASHCTL		ctl;

		new_keys_context = AllocSetContextCreate(TopTransactionContext, "leadstream new keys",
												 ALLOCSET_SMALL_SIZES);
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(uint32);
		ctl.entrysize = sizeof(NewKeyEntry);
		ctl.hcxt = new_keys_context;
		new_keys = hash_create("leadstream new keys", 16, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	key = slot_getattr(trigdata->tg_newslot, attno, &isnull);
	old_key = slot_getattr(trigdata->tg_trigslot, attno, &isnull);
	hash = datum_image_hash(old_key, byval, len);
	oldcontext = MemoryContextSwitchTo(new_keys_context);
	new_key = palloc(sizeof(NewKey));
	new_key->subid = new_keys_subid = GetCurrentSubTransactionId();
	new_key->key = datumCopy(key, byval, len);
	new_key->old_key = datumCopy(old_key, byval, len);
	MemoryContextSwitchTo(oldcontext);
	/* last, for an entry that memory failed to fill would be gone through */
	entry = hash_search(new_keys, &hash, HASH_ENTER, &is_known);
	new_key->next = is_known ? entry->first : NULL;
	entry->first = new_key;
}

bool
ls_contact_is_rekeyed(Datum old_key, Datum key, bool byval, int16 len)
{
	NewKeyEntry *entry;
	uint32		hash;

	if (new_keys == NULL)
		return false;
	hash = datum_image_hash(old_key, byval, len);
	entry = hash_search(new_keys, &hash, HASH_FIND, NULL);
	for (NewKey *new_key = entry ? entry->first : NULL; new_key; new_key = new_key->next)
		if (new_key->subid != InvalidSubTransactionId &&
			datum_image_eq(new_key->old_key, old_key, byval, len) &&
			datum_image_eq(new_key->key, key, byval, len))
			return true;
	return false;
}

void
ls_rekeyed_forget(void)
{
	if (new_keys == NULL)
		return;
	MemoryContextDelete(new_keys_context);
	new_keys = NULL;
	new_keys_context = NULL;
}

void
ls_rekeyed_end(SubTransactionId subid, SubTransactionId parent)
{
	HASH_SEQ_STATUS status;
	NewKeyEntry *entry;

	if (new_keys == NULL || subid > new_keys_subid)
		return;
	hash_seq_init(&status, new_keys);
	while ((entry = hash_seq_search(&status)) != NULL)
		for (NewKey *new_key = entry->first; new_key; new_key = new_key->next)
			if (new_key->subid == subid)
				new_key->subid = parent;
}

bool
ls_gather_rekeyed(Gathering *gather, TriggerData *trigdata, AttrNumber attno)
{
	Settlement *settlement = &gather->settlement;
	Relation	rel = trigdata->tg_relation;
	Rekeyed    *rekeyed;
	CommandId	command;
	MemoryContext oldcontext;
	bool		isnull;
	int16		len = settlement->set->contacts->key_len;
	bool		byval = settlement->set->contacts->key_byval;

	if (gather->context == NULL)
		ls_gather_keep(gather);
	oldcontext = MemoryContextSwitchTo(gather->context);
	if (settlement->nrekeyed == gather->rekeyed_room)
	{
		int			room = Max(16, gather->rekeyed_room * 2);

		settlement->rekeyed = settlement->rekeyed == NULL ?
			palloc(sizeof(Rekeyed) * room) :
			repalloc_huge(settlement->rekeyed, sizeof(Rekeyed) * (Size) room);
		gather->rekeyed_room = room;
	}
	rekeyed = &settlement->rekeyed[settlement->nrekeyed];
	rekeyed->key = datumCopy(slot_getattr(trigdata->tg_newslot, attno, &isnull), byval, len);
	rekeyed->old_key = datumCopy(slot_getattr(trigdata->tg_trigslot, attno, &isnull), byval, len);
	/* a trigger of the statement's has changed what the statement had written */
	rekeyed->is_again = rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		ls_row_is_ours(trigdata->tg_trigtuple->t_data, &command) && command >= gather->command;
	rekeyed->command = ls_gather_command(rel, trigdata->tg_newtuple);
	rekeyed->subid = GetCurrentSubTransactionId();
	settlement->nrekeyed++;
	MemoryContextSwitchTo(oldcontext);
	return rekeyed->is_again;
}

/*
 * Add those that a change of a contact concerns, looking at the contact as it
 * is now: we have locked it by writing it.
 */
static void
gather_changed(Gathering *gather, RowFacts *row, uint64 digest,
			   TupleTableSlot *attached, bool byval, int16 len)
{
	StreamSet  *set = gather->settlement.set;

	ls_look_up_contact(set, digest, attached, &found.hits);
	for (int i = 0; i < found.hits.n; i++)
	{
		CachedStream *stream = ls_streams_get(set, found.hits.streams[i]);

		if (stream && ls_streams_program(set, stream) != NULL)
			ls_gather_stream(gather, row, stream, byval, len);
	}
}

bool
ls_gather_contact(Gathering *gather, TriggerData *trigdata)
{
	StreamSet  *set = gather->settlement.set;
	FiredTable *fired = gather->fired;
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	TupleTableSlot *slot = is_update ? trigdata->tg_newslot : trigdata->tg_trigslot;
	TupleTableSlot *attached;
	RowFacts	row = {0};
	bool		all = !is_update;
	bool		is_rekeyed = false;
	bool		is_again = false;
	bool		isnull;
	int16		len = set->contacts->key_len;
	bool		byval = set->contacts->key_byval;

	if (fired == NULL || fired->id.relid != RelationGetRelid(trigdata->tg_relation))
		fired = gather->fired = ls_fired_find(set, trigdata->tg_relation,
											   CONTACTS_SOURCE, set->contacts->relid);
	if (fired->key == InvalidAttrNumber)
		return false;
	ls_streams_trim(set);
	/* null only if the attached column is no primary key any more */
	if (is_update && is_changed(trigdata, fired->key) &&
		!slot_attisnull(trigdata->tg_trigslot, fired->key) && !slot_attisnull(slot, fired->key))
	{
		if (is_followed(set))
			note_new_key(set, trigdata, fired->key);
		is_again = ls_gather_rekeyed(gather, trigdata, fired->key);
		is_rekeyed = true;
	}

	if (!fired->is_read_known || fired->epoch != set->epoch)
		find_read_columns(set, fired);
	if (is_update)
	{
		bool		any = false;

		for (int c = 0; c < fired->ncolumns && !any; c++)
			any = fired->is_read[c] && is_changed(trigdata, fired->columns[c]);
		/* what it was gathered for under the old key, nobody finds there any more */
		all = is_again || (fired->account != InvalidAttrNumber &&
						   is_changed(trigdata, fired->account));
		if (!any && !all && !is_rekeyed)
			return false;
	}

	row.key = slot_getattr(slot, fired->key, &isnull);
	if (isnull)
		return false;
	if (len == -1)
		row.key = PointerGetDatum(PG_DETOAST_DATUM_PACKED(row.key));
	row.rel = trigdata->tg_relation;
	row.relid = RelationGetRelid(row.rel);
	row.command = InvalidCommandId;
	row.tuple = is_update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	row.what = is_update ? "update" : "insert";
	attached = fired->layout == NULL ? slot :
		execute_attr_map_slot(fired->layout, slot, fired->attached);
	if (all)
	{
		gather_changed(gather, &row, ls_digest(DIGEST_INSERT, 0), attached, byval, len);
		/* what needs rows is found by those that are there already */
		if (fired->has_rows)
			ls_gather_candidate(gather, &row, 0, ROWS_OF_CONTACT, byval, len);
	}
	/* those of the account that it has left, and what rows do not follow to a new key */
	if (is_rekeyed || (is_update && all))
		ls_gather_candidate(gather, &row, 0, KEPT_OF_CONTACT, byval, len);
	for (int c = 0; is_update && c < fired->ncolumns; c++)
		if (fired->is_read[c] && is_changed(trigdata, fired->columns[c]))
			gather_changed(gather, &row, fired->digests[c], attached, byval, len);
	return is_rekeyed;
}
