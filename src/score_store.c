/*-------------------------------------------------------------------------
 *
 * score_store.c
 *	  The scores of contacts that are kept.
 *
 * leadstream.score has a row of each contact and score set.  Whoever judges a
 * contact writes it, having locked the contact, whose row is the mutex of all
 * that is known of it; so what was read under a snapshot taken since is what is
 * there, and where it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "contact_lock.h"
#include "contact_sight.h"
#include "key_scan.h"
#include "owner_sql.h"
#include "row_updater.h"
#include "score_store.h"

struct ScoreReader
{
	KeyScan    *scan;
};

ScoreReader *
ls_scores_open(ContactSource *contacts, Snapshot snapshot, int32 score_set_id)
{
	Oid			relid = ls_catalog_relid("score");
	ScoreReader *reader;

	if (!OidIsValid(relid))
		return NULL;
	reader = palloc(sizeof(ScoreReader));
	reader->scan = ls_keyscan_open(relid, SCORE_CONTACT, contacts->key_base,
								   InvalidAttrNumber, snapshot);
	if (score_set_id != 0)
		ls_keyscan_narrow(reader->scan, SCORE_SCORE_SET, score_set_id);
	return reader;
}

/* Copy the integers of an array; anything that is none counts for nothing. */
static void
take_paying(KeptScore *score, ArrayType *array)
{
	score->npaying = 0;
	score->paying = NULL;
	if (ARR_NDIM(array) != 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != INT4OID)
		return;
	score->npaying = ARR_DIMS(array)[0];
	score->paying = palloc(sizeof(int32) * score->npaying);
	memcpy(score->paying, ARR_DATA_PTR(array), sizeof(int32) * score->npaying);
}

int
ls_scores_read(ScoreReader *reader, Datum key, KeptScore **scores)
{
	TupleTableSlot *slot;
	ItemPointerData tid;
	int			n = 0;
	int			room = 4;

	*scores = palloc(sizeof(KeptScore) * room);
	ls_keyscan_start(reader->scan, key, NULL);
	while ((slot = ls_keyscan_next(reader->scan, NULL, &tid)) != NULL)
	{
		KeptScore  *score;
		bool		isnull;

		if (n == room)
			*scores = repalloc(*scores, sizeof(KeptScore) * (room *= 2));
		score = &(*scores)[n++];
		score->score_set_id = DatumGetInt32(slot_getattr(slot, SCORE_SCORE_SET, &isnull));
		score->version = DatumGetInt32(slot_getattr(slot, SCORE_VERSION, &isnull));
		score->points = DatumGetInt64(slot_getattr(slot, SCORE_POINTS, &isnull));
		take_paying(score, DatumGetArrayTypeP(slot_getattr(slot, SCORE_PAYING, &isnull)));
		score->next_at = DatumGetTimestampTz(slot_getattr(slot, SCORE_NEXT_AT, &isnull));
		if (isnull)
			score->next_at = DT_NOEND;
		score->tid = tid;
	}
	return n;
}

void
ls_scores_close(ScoreReader *reader)
{
	ls_keyscan_close(reader->scan);
}

/* Changes as columns of arrays: what all of them have, and what is written. */
#define WRITE_COLUMNS	7

/* Columns that change when a score does. */
#define SCORE_UPDATED	5

typedef struct WriteColumns
{
	int			n;
	Datum	   *values[WRITE_COLUMNS];
	bool	   *no_next;
	int			nrules;
	Datum	   *rules;			/* those that pay, one contact after the other */
} WriteColumns;

static void
take_columns(WriteColumns *columns, const ScoreChange *changes, int n, bool is_removed)
{
	int			room = 0;

	for (int i = 0; i < n; i++)
		room += changes[i].score.npaying;
	columns->n = columns->nrules = 0;
	for (int c = 0; c < WRITE_COLUMNS; c++)
		columns->values[c] = palloc_extended(sizeof(Datum) * (Size) n, MCXT_ALLOC_HUGE);
	columns->no_next = palloc_extended(sizeof(bool) * (Size) n, MCXT_ALLOC_HUGE);
	columns->rules = palloc_extended(sizeof(Datum) * (Size) Max(room, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		const KeptScore *score = &changes[i].score;
		int			at = columns->n;

		if (changes[i].is_removed != is_removed)
			continue;
		columns->values[0][at] = changes[i].key;
		columns->values[1][at] = Int32GetDatum(score->score_set_id);
		columns->values[2][at] = Int32GetDatum(score->version);
		columns->values[3][at] = Int64GetDatum(score->points);
		columns->values[4][at] = Int32GetDatum(columns->nrules + 1);
		for (int k = 0; k < score->npaying; k++)
			columns->rules[columns->nrules++] = Int32GetDatum(score->paying[k]);
		columns->values[5][at] = Int32GetDatum(columns->nrules);
		columns->values[6][at] = TimestampTzGetDatum(score->next_at);
		columns->no_next[at] = TIMESTAMP_IS_NOEND(score->next_at);
		columns->n++;
	}
}

static void
run_changes(ContactSource *contacts, const ScoreChange *changes, int n, bool is_removed,
			TimestampTz settled_at)
{
	static const Oid types[WRITE_COLUMNS] =
	{InvalidOid, INT4OID, INT4OID, INT8OID, INT4OID, INT4OID, TIMESTAMPTZOID};
	WriteColumns columns;
	Datum		values[WRITE_COLUMNS + 2];

	take_columns(&columns, changes, n, is_removed);
	if (columns.n == 0)
		return;
	for (int c = 0; c < (is_removed ? 2 : WRITE_COLUMNS); c++)
		values[c] = ls_owner_array(columns.values[c], c == 6 ? columns.no_next : NULL, columns.n,
								   c == 0 ? contacts->key_type : types[c]);
	if (is_removed)
	{
		ls_owner_run(OWNER_REMOVE_SCORES, contacts, values, NULL);
		return;
	}
	values[7] = ls_owner_array(columns.rules, NULL, columns.nrules, INT4OID);
	values[8] = TimestampTzGetDatum(settled_at);
	ls_owner_run(OWNER_KEEP_SCORES, contacts, values, NULL);
}

/*
 * Leave out contacts that the transaction cannot see, where a foreign key would
 * look for them: not of what is kept already.  Returns how many are left.
 */
static int
drop_invisible(ContactSource *contacts, ScoreChange *changes, int n)
{
	ContactSight *sight = ls_sight_begin(contacts);
	int			kept = 0;

	if (sight == NULL)
		return n;
	for (int i = 0; i < n; i++)
		if (changes[i].is_removed || changes[i].is_kept || ls_sight_sees(sight, changes[i].key))
			changes[kept++] = changes[i];
	ls_sight_end(sight);
	return kept;
}

/* Change the row of a score that is kept; false: a statement has to. */
static bool
update_score(RowUpdater *updater, ContactOrder *order, UpdatedColumn *columns,
			 ScoreChange *change, TimestampTz settled_at)
{
	const KeptScore *score = &change->score;
	TupleTableSlot *row = ls_updater_read(updater, &change->tid);
	Datum	   *paying;
	bool		isnull;

	/* the place is another row's if this one was removed by hand */
	if (row == NULL ||
		DatumGetInt32(slot_getattr(row, SCORE_SCORE_SET, &isnull)) != score->score_set_id ||
		ls_contact_cmp(order, slot_getattr(row, SCORE_CONTACT, &isnull), change->key) != 0)
		return false;
	paying = palloc(sizeof(Datum) * Max(score->npaying, 1));
	for (int i = 0; i < score->npaying; i++)
		paying[i] = Int32GetDatum(score->paying[i]);
	columns[0].value = Int32GetDatum(score->version);
	columns[1].value = Int64GetDatum(score->points);
	columns[2].value = PointerGetDatum(construct_array(paying, score->npaying, INT4OID,
													   sizeof(int32), true, TYPALIGN_INT));
	columns[3].value = TimestampTzGetDatum(score->next_at);
	columns[3].isnull = TIMESTAMP_IS_NOEND(score->next_at);
	columns[4].value = slot_getattr(row, SCORE_SETTLED_AT, &isnull);
	if (isnull || DatumGetTimestampTz(columns[4].value) < settled_at)
		columns[4].value = TimestampTzGetDatum(settled_at);
	return ls_updater_write(updater, columns, SCORE_UPDATED);
}

/*
 * Change the rows of those that are kept, where they are.  Returns how many
 * changes are left.
 */
static int
update_kept(ContactSource *contacts, ScoreChange *changes, int n, TimestampTz settled_at)
{
	UpdatedColumn columns[SCORE_UPDATED] = {
		{SCORE_VERSION, INT4OID}, {SCORE_POINTS, INT8OID}, {SCORE_PAYING, INT4ARRAYOID},
		{SCORE_NEXT_AT, TIMESTAMPTZOID}, {SCORE_SETTLED_AT, TIMESTAMPTZOID}
	};
	RowUpdater *updater = NULL;
	ContactOrder order;
	MemoryContext context;
	int			left = 0;
	int			i;

	for (i = 0; i < n && !(changes[i].is_kept && !changes[i].is_removed); i++)
		;
	if (i < n)
		updater = ls_updater_begin(ls_catalog_relid("score"), columns, SCORE_UPDATED);
	if (updater == NULL)
		return n;
	ls_contact_order_init(&order, contacts);
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream score",
									ALLOCSET_SMALL_SIZES);
	for (i = 0; i < n; i++)
	{
		bool		is_done = false;

		CHECK_FOR_INTERRUPTS();
		if (changes[i].is_kept && !changes[i].is_removed)
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(context);

			is_done = update_score(updater, &order, columns, &changes[i], settled_at);
			MemoryContextSwitchTo(oldcontext);
			MemoryContextReset(context);
		}
		if (!is_done)
			changes[left++] = changes[i];
	}
	ls_updater_end(updater);
	return left;
}

void
ls_scores_write(ContactSource *contacts, ScoreChange *changes, int n, TimestampTz settled_at)
{
	MemoryContext context;
	MemoryContext oldcontext;
	OwnerState	owner;

	if (n == 0)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream scores",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	n = drop_invisible(contacts, changes, n);
	n = update_kept(contacts, changes, n, settled_at);
	if (n > 0 && ls_owner_begin(&owner))
	{
		MemoryContextSwitchTo(context);
		run_changes(contacts, changes, n, true, settled_at);
		run_changes(contacts, changes, n, false, settled_at);
		ls_owner_end(&owner);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
