/*-------------------------------------------------------------------------
 *
 * row_change.c
 *	  Which version of a row came of which.
 *
 * A row that a statement updates is new to a condition only if it was not
 * there before, so its version before the statement has to be looked at.
 * Versions point to their successors alone, and not even that where a row goes
 * to another partition; the triggers see both, and what they saw is noted here.
 *
 * Triggers of the user's may change a row again while its statement runs.  What
 * they note is handed on to the statement around theirs, which goes back from
 * version to version until it meets one that is older than itself.
 *
 * Where no trigger sees updates, or capture is off for them, those within a
 * statement that inserts have to be looked for, lest the rows that they change
 * are taken for new.  That goes from the rows that were there before to what has
 * become of them, so a row is missed that comes from another contact, or goes to
 * another partition.
 *
 * Rows that are settled one by one know of no other: then only the row at hand
 * is looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "row_change.h"

RowChanges *
ls_changes_make(MemoryContext context)
{
	RowChanges *changes = MemoryContextAllocZero(context, sizeof(RowChanges));

	changes->rows = MemoryContextAlloc(context, sizeof(RowChange) * 32);
	changes->room = 32;
	return changes;
}

void
ls_changes_add(RowChanges *changes, const RowPlace *now, const RowPlace *before)
{
	if (changes->n == changes->room)
	{
		changes->rows = repalloc_huge(changes->rows,
									  sizeof(RowChange) * (Size) changes->room * 2);
		changes->room *= 2;
	}
	changes->rows[changes->n].now = *now;
	changes->rows[changes->n++].before = *before;
	changes->is_sorted = false;
}

void
ls_changes_join(RowChanges *changes, const RowChanges *inner)
{
	for (int64 i = 0; i < inner->n; i++)
		ls_changes_add(changes, &inner->rows[i].now, &inner->rows[i].before);
}

static inline int
cmp_place(const RowPlace *a, const RowPlace *b)
{
	if (a->relid != b->relid)
		return a->relid < b->relid ? -1 : 1;
	return ItemPointerCompare(unconstify(ItemPointerData *, &a->tid),
							  unconstify(ItemPointerData *, &b->tid));
}

#define ST_SORT			sort_changes
#define ST_ELEMENT_TYPE	RowChange
#define ST_COMPARE(a, b) cmp_place(&(a)->now, &(b)->now)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* What the version in a place came of, or NULL. */
static const RowPlace *
find_before(RowChanges *changes, const RowPlace *now)
{
	int64		low = 0;
	int64		high = changes->n;

	if (!changes->is_sorted)
	{
		sort_changes(changes->rows, changes->n);
		changes->is_sorted = true;
	}
	while (low < high)
	{
		int64		middle = low + (high - low) / 2;
		int			cmp = cmp_place(&changes->rows[middle].now, now);

		if (cmp == 0)
			return &changes->rows[middle].before;
		if (cmp < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

TupleTableSlot *
ls_changes_before(RowChanges *changes, KeyScan *scan, CommandId since_cid,
				  bool *is_looked_at)
{
	RowPlace	now;
	const RowPlace *before;

	ls_keyscan_place(scan, &now);
	*is_looked_at = !changes->is_alone || cmp_place(&now, &changes->alone) == 0;
	if (!*is_looked_at)
		return NULL;
	while ((before = find_before(changes, &now)) != NULL)
	{
		bool		is_fresh;
		TupleTableSlot *version = ls_keyscan_version_before(scan, &now, before,
															since_cid, &is_fresh);

		/* what an aborted subtransaction noted may speak of a place used again */
		if (version == NULL)
			return NULL;
		if (!is_fresh)
			return version;
		now = *before;
	}
	return NULL;
}

void
ls_changes_find(RowChanges *changes, Oid relid, AttrNumber key_attno, Oid key_type,
				Datum key, Snapshot snapshot, CommandId since_cid)
{
	SnapshotData before = *snapshot;
	KeyScan    *scan;

	before.curcid = since_cid;
	scan = ls_keyscan_open_locked(relid, key_attno, key_type, InvalidAttrNumber, &before);
	ls_keyscan_start(scan, key, NULL);
	while (ls_keyscan_next(scan, NULL, NULL) != NULL)
	{
		RowPlace	was;
		RowPlace	is;

		CHECK_FOR_INTERRUPTS();
		ls_keyscan_place(scan, &was);
		for (is = was; ls_keyscan_version_after(scan, &is); was = is)
			ls_changes_add(changes, &is, &was);
	}
	ls_keyscan_close(scan);
}
