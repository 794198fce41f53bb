/*-------------------------------------------------------------------------
 *
 * due.c
 *	  The clock queue: when contacts have to be looked at again.
 *
 * leadstream.due holds, of each contact that does not have the match of a
 * stream which time alone may bring about, or may have it once more, the
 * earliest instant that is not settled.  Whoever judges a contact writes its
 * entries, having locked it, so the contact's row is the mutex of its entries.
 *
 * A stream that has just been enabled is seeded: tick() looks at all contacts,
 * which it does not lock, and so it must not meet the entries of those who do,
 * or they would wait for each other.  Its seeds are rows of their own.  Until
 * then, whoever judges a contact leaves an entry in any case, with an instant
 * that never comes if there is nothing to wait for; where there are both, the
 * seed is the older knowledge and counts for nothing.  Whoever deletes a lead
 * leaves a seed too, for its contact is to be looked at again and he has not
 * locked it.
 *
 * An entry names the run of its stream.  What a run leaves behind is not removed
 * by whoever ends it, who may be idle in his transaction, with writers waiting
 * for the entries; a tick does it afterwards.  What transactions add that were
 * in flight even then is told by its run, and goes when it is due.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "contact_lock.h"
#include "contact_sight.h"
#include "due.h"
#include "key_scan.h"
#include "owner_sql.h"
#include "writers.h"

struct DueReader
{
	KeyScan    *scan;
	DueEntry   *entries;
	int			room;
};

/* Is there anything in the queue, which is locked then?  Asks the file, not an index. */
static bool
is_empty(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		result = RelationGetNumberOfBlocks(rel) == 0;

	table_close(rel, NoLock);
	return result;
}

DueReader *
ls_due_open(ContactSource *contacts, Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid("due");
	DueReader  *reader;

	if (!OidIsValid(relid) || is_empty(relid))
		return NULL;
	reader = palloc0(sizeof(DueReader));
	reader->room = 16;
	reader->entries = palloc(sizeof(DueEntry) * reader->room);
	reader->scan = ls_keyscan_open_locked(relid, DUE_CONTACT, contacts->key_base,
										  InvalidAttrNumber, snapshot);
	return reader;
}

int
ls_due_read(DueReader *reader, Datum key, int32 stream_id, DueEntry **entries)
{
	TupleTableSlot *slot;
	ItemPointerData place;
	int			n = 0;

	ls_keyscan_narrow(reader->scan, stream_id == 0 ? InvalidAttrNumber : DUE_STREAM,
					  stream_id);
	ls_keyscan_start(reader->scan, key, NULL);
	while ((slot = ls_keyscan_next(reader->scan, NULL, &place)) != NULL)
	{
		DueEntry	entry = {0};
		int			i;
		bool		isnull;

		entry.stream_id = DatumGetInt32(slot_getattr(slot, DUE_STREAM, &isnull));
		entry.is_seed = DatumGetBool(slot_getattr(slot, DUE_IS_SEED, &isnull));
		entry.run = DatumGetInt32(slot_getattr(slot, DUE_RUN, &isnull));
		entry.at = DatumGetTimestampTz(slot_getattr(slot, DUE_AT, &isnull));
		entry.arrival = DatumGetBool(slot_getattr(slot, DUE_ARRIVAL, &isnull));
		entry.has_seed = entry.is_seed;
		entry.places[0] = place;
		ItemPointerSetInvalid(&entry.places[1]);
		for (i = 0; i < n; i++)
			if (reader->entries[i].stream_id == entry.stream_id)
				break;
		if (i < n)
		{
			/* a seed of this run may stand beside what an earlier one left */
			if (reader->entries[i].run < entry.run ||
				(reader->entries[i].run == entry.run && !entry.is_seed))
			{
				entry.places[1] = reader->entries[i].places[0];
				reader->entries[i] = entry;
			}
			else
				reader->entries[i].places[1] = place;
			reader->entries[i].has_seed = true;
			continue;
		}
		if (n == reader->room)
			reader->entries = repalloc(reader->entries,
									   sizeof(DueEntry) * (reader->room *= 2));
		reader->entries[n++] = entry;
	}
	*entries = reader->entries;
	return n;
}

void
ls_due_close(DueReader *reader)
{
	ls_keyscan_close(reader->scan);
}

/* Leave out contacts that the transaction cannot see; returns how many are left. */
static int
drop_invisible(ContactSource *contacts, DueChange *changes, int n)
{
	ContactSight *sight = ls_sight_begin(contacts);
	int			kept = 0;

	if (sight == NULL)
		return n;
	for (int i = 0; i < n; i++)
		if (ls_sight_sees(sight, changes[i].key))
			changes[kept++] = changes[i];
	ls_sight_end(sight);
	return kept;
}

/*
 * Remove entries from where they were found.  To look for them once more, by a
 * statement, costs as much as all else that waits of their contacts.
 */
static void
remove_entries(const DueChange *changes, int n)
{
	Datum	   *tids = palloc_extended(sizeof(Datum) * 2 * (Size) Max(n, 1), MCXT_ALLOC_HUGE);
	int			ntids = 0;

	for (int i = 0; i < n; i++)
		for (int k = 0; changes[i].is_removed && k < lengthof(changes[i].places); k++)
			if (ItemPointerIsValid(&changes[i].places[k]))
				tids[ntids++] = PointerGetDatum(&changes[i].places[k]);
	if (ntids > 0)
	{
		Datum		value = ls_owner_array(tids, NULL, ntids, TIDOID);

		ls_owner_run(OWNER_REMOVE_DUE, NULL, &value, NULL);
	}
}

/* Set what is to wait; is_seed: as seeds. */
static void
set_entries(ContactSource *contacts, const DueChange *changes, int n, bool is_seed)
{
	static const Oid types[] = {InvalidOid, INT4OID, INT4OID, TIMESTAMPTZOID, BOOLOID};
	Datum	   *columns[lengthof(types)];
	Datum		values[lengthof(types) + 1];
	int			nset = 0;

	for (int c = 0; c < lengthof(types); c++)
		columns[c] = palloc(sizeof(Datum) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (!changes[i].is_set)
			continue;
		columns[0][nset] = changes[i].key;
		columns[1][nset] = Int32GetDatum(changes[i].stream_id);
		columns[2][nset] = Int32GetDatum(changes[i].run);
		columns[3][nset] = TimestampTzGetDatum(changes[i].at);
		columns[4][nset++] = BoolGetDatum(changes[i].arrival);
	}
	if (nset == 0)
		return;
	for (int c = 0; c < lengthof(types); c++)
		values[c] = ls_owner_array(columns[c], NULL, nset,
								   c == 0 ? contacts->key_type : types[c]);
	values[lengthof(types)] = BoolGetDatum(is_seed);
	ls_owner_run(OWNER_SET_DUE, contacts, values, NULL);
}

void
ls_due_write(ContactSource *contacts, DueChange *changes, int n)
{
	MemoryContext context;
	MemoryContext oldcontext;
	OwnerState	owner;

	if (n == 0 || !OidIsValid(ls_catalog_relid("due")))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream due",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	n = drop_invisible(contacts, changes, n);
	if (ls_owner_begin(&owner))
	{
		MemoryContextSwitchTo(context);
		remove_entries(changes, n);
		set_entries(contacts, changes, n, false);
		ls_owner_end(&owner);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/*
 * Lock the contacts of seeds, as the foreign key is about to do and would wait
 * for; returns how many changes are left, of those that are there.
 */
static int
keep_contacts(ContactSource *contacts, Snapshot snapshot, DueChange *changes, int n,
			  int *patience, bool *is_complete)
{
	RowLocker  *locker = ls_row_lock_begin(contacts->relid, contacts->key_attno,
										   contacts->key_base, LockTupleKeyShare);
	KeyScan    *seen = ls_keyscan_open(contacts->relid, contacts->key_attno,
									   contacts->key_base, InvalidAttrNumber, snapshot);
	int			kept = 0;
	int			end;

	ls_row_lock_skip(locker);
	for (int start = 0; start < n; start = end)
	{
		Datum		key;
		bool		is_there;

		for (end = start + 1; end < n && changes[end].key == changes[start].key; end++)
			;
		do
		{
			key = changes[start].key;
			is_there = ls_contact_follow(locker, seen, snapshot, &key);
		} while (!is_there && ls_row_lock_is_skipped(locker) &&
				 ls_writers_be_patient(patience));
		if (!is_there && ls_row_lock_is_skipped(locker))
			*is_complete = false;
		for (int i = start; i < end && is_there; i++)
		{
			changes[kept] = changes[i];
			changes[kept++].key = key;
		}
	}
	ls_keyscan_close(seen);
	ls_row_lock_end(locker);
	return kept;
}

bool
ls_due_seed(ContactSource *contacts, Snapshot snapshot, DueChange *changes, int n,
			int *patience)
{
	MemoryContext context;
	MemoryContext oldcontext;
	OwnerState	owner;
	bool		is_complete = true;
	int			kept;

	if (n == 0)
		return true;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream due",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	n = keep_contacts(contacts, snapshot, changes, n, patience, &is_complete);
	kept = drop_invisible(contacts, changes, n);
	is_complete = is_complete && kept == n;
	n = kept;
	if (ls_owner_begin(&owner))
	{
		MemoryContextSwitchTo(context);
		set_entries(contacts, changes, n, true);
		ls_owner_end(&owner);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return is_complete;
}

void
ls_due_await(ContactSource *contacts, Datum key, Datum *streams, Datum *runs, int n,
			 TimestampTz at)
{
	Datum		values[4] = {key, 0, 0, TimestampTzGetDatum(at)};
	OwnerState	owner;

	values[1] = ls_owner_array(streams, NULL, n, INT4OID);
	values[2] = ls_owner_array(runs, NULL, n, INT4OID);
	if (!OidIsValid(ls_catalog_relid("due")) || !ls_owner_begin(&owner))
		return;
	ls_owner_run(OWNER_AWAIT, contacts, values, NULL);
	ls_owner_end(&owner);
}

int64
ls_due_empty(int32 stream_id, int32 run, int64 limit)
{
	Oid			relid = ls_catalog_relid("due");
	Datum		values[3] = {Int32GetDatum(stream_id), Int32GetDatum(run), Int64GetDatum(limit)};
	OwnerState	owner;
	int64		n;

	if (!OidIsValid(relid) || is_empty(relid) || !ls_owner_begin(&owner))
		return 0;
	n = ls_owner_run(OWNER_EMPTY_DUE, NULL, values, NULL);
	ls_owner_end(&owner);
	return n;
}
