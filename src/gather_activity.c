/*-------------------------------------------------------------------------
 *
 * gather_activity.c
 *	  What rows of activities concern.
 *
 * A row that is updated leaves as it was and arrives as it is, so the streams
 * that either version concerns are candidates, each for the contact that the
 * version belongs to; one that is deleted only leaves.  Which conditions it is
 * new to is found out when it is judged, of both versions (row_change.c), so
 * that which came of which is noted wherever a stream might count the row.
 *
 * What a program does not read may change as it likes: where contact, time and
 * all columns are as they were that it reads, it is not even a candidate.
 *
 * A row that an update moves to another partition is deleted there and then
 * inserted here, one event right after the other, and the old version is marked.
 * The two are put together again.
 *
 * Where a contact gets another key, a foreign key takes its activities along,
 * after the contact and by a command of its own, before which they seem to have
 * belonged to nobody.  That is no change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupconvert.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "gather.h"
#include "guc.h"
#include "instant.h"
#include "lookup.h"
#include "program_rows.h"

/* What the row at hand may concern; never in use for two rows at a time. */
static Lookup found;

/* The time of a row as an instant; false where it has none. */
static bool
row_time(StreamSet *set, KindColumns *columns, TupleTableSlot *slot,
		 TimestampTz *result)
{
	bool		isnull;
	bool		ok = true;
	Datum		value;

	if (columns->time == InvalidAttrNumber)
		return false;
	value = slot_getattr(slot, columns->time, &isnull);
	if (isnull)
		return false;
	switch (columns->time_type)
	{
		case TIMESTAMPTZOID:
			*result = DatumGetTimestampTz(value);
			break;
		case TIMESTAMPOID:
			*result = ls_instant_from_timestamp(DatumGetTimestamp(value),
												set->contacts->tz, &ok);
			break;
		case DATEOID:
			*result = ls_instant_from_date(DatumGetDateADT(value),
										   set->contacts->tz, &ok);
			break;
		default:
			return false;
	}
	return ok;
}

/*
 * Remember the newest time of a row that is ahead of the clock, if not far and
 * if it is new that the row has it.
 */
static void
note_time(Gathering *gather, KindColumns *columns, TupleTableSlot *slot, bool is_new)
{
	Settlement *settlement = &gather->settlement;
	TimestampTz time;

	if (!row_time(settlement->set, columns, slot, &time))
		return;
	if (!gather->floor_known)
	{
		/* rows of the past, nearly all, need not ask for the clock again */
		settlement->newest = ls_clock_read();
		gather->floor_known = true;
	}
	if (time <= settlement->newest || TIMESTAMP_NOT_FINITE(time))
		return;
	if (is_new && time - ls_clock_read() <= CLOCK_SKEW)
		settlement->newest = time;
	else
		settlement->has_future = true;
}

/*
 * Find what a row concerns, of what it is looked up to concern: what is left in
 * found.hits is true as of the statement's beginning.  Nearly all rows that are
 * inserted go no further, hence inline.
 */
static pg_attribute_always_inline void
find_concerned(StreamSet *set, ActivitySource *kind, TupleTableSlot *attached)
{
	uint64		epoch;

	do
	{
		int			kept = 0;

		ls_look_up_row(set, kind, attached, NULL, &found);
		epoch = set->epoch;
		for (int i = 0; i < found.hits.n; i++)
		{
			CachedStream *stream = ls_streams_get(set, found.hits.streams[i]);
			RuleProgram *program;

			if (stream == NULL || (program = ls_streams_program(set, stream)) == NULL)
				continue;
			/* a foreign rule may raise errors: it is judged where they end */
			if (ls_program_is_foreign(program) ||
				ls_program_concerns(program, kind->source_id, attached))
				found.hits.streams[kept++] = found.hits.streams[i];
		}
		found.hits.n = kept;
		if (found.hits.n + found.ndeeper > 0)
			ls_streams_settle_state(set);
	} while (set->epoch != epoch);
}

/*
 * Can rows of the kind concern nobody, whatever is in them?  What is remembered
 * says so, as it would of each of them.
 */
static inline bool
is_idle(StreamSet *set, const KindColumns *columns)
{
	return columns->is_idle && columns->idle_epoch == set->epoch;
}

/* Find that out, once an epoch, after a row that concerned nobody. */
static inline void
note_idle(StreamSet *set, KindColumns *columns)
{
	uint64		epoch = set->epoch;

	if (columns->is_idle_known && columns->idle_epoch == epoch)
		return;
	columns->is_idle = !ls_look_up_is_worthwhile(set, columns->kind);
	columns->is_idle_known = true;
	/* of no other: had it to read, what it began with may be of the past */
	columns->idle_epoch = epoch;
}

/* The table fired on. */
static inline FiredTable *
take_fired(Gathering *gather, Relation rel, int32 source_id)
{
	FiredTable *fired = gather->fired;

	if (fired == NULL || fired->id.relid != RelationGetRelid(rel) ||
		fired->id.source_id != source_id)
		fired = gather->fired = ls_fired_find(gather->settlement.set, rel, source_id,
											   gather->root);
	return fired;
}

/*
 * Add what was found of a row, as candidates of its contact; false if it has
 * none.  The caller has filled in the rest of the facts.
 */
static inline bool
add_found(Gathering *gather, KindColumns *columns, TupleTableSlot *slot, RowFacts *row)
{
	StreamSet  *set = gather->settlement.set;
	Oid			key_base = set->contacts->key_base;
	bool		isnull;
	int16		len = set->contacts->key_len;
	bool		byval = set->contacts->key_byval;

	row->key = slot_getattr(slot, columns->contact, &isnull);
	if (isnull || !ls_fired_key(columns, key_base, &row->key))
		return false;
	if (len == -1)
		row->key = PointerGetDatum(PG_DETOAST_DATUM_PACKED(row->key));
	row->what = columns->kind->kind;
	row->kind = columns->kind;

	if (!ls_gather_group(gather, row, &found.hits, byval, len))
		for (int i = 0; i < found.hits.n; i++)
		{
			CachedStream *stream = ls_streams_get(set, found.hits.streams[i]);

			if (stream)
				ls_gather_stream(gather, row, stream, byval, len);
		}
	for (int i = 0; i < found.ndeeper; i++)
		ls_gather_candidate(gather, row, 0, found.deeper[i], byval, len);
	return true;
}

void
ls_gather_inserted(Gathering *gather, TriggerData *trigdata, int32 source_id)
{
	StreamSet  *set = gather->settlement.set;
	FiredTable *fired = take_fired(gather, trigdata->tg_relation, source_id);
	TupleTableSlot *slot = trigdata->tg_trigslot;
	TupleTableSlot *attached;

	if (fired->nkinds == 0)
		return;
	ls_streams_trim(set);
	attached = fired->layout == NULL ? slot :
		execute_attr_map_slot(fired->layout, slot, fired->attached);

	for (int k = 0; k < fired->nkinds; k++)
	{
		KindColumns *columns = &fired->kinds[k];

		if (is_idle(set, columns))
			continue;
		find_concerned(set, columns->kind, attached);
		if (found.hits.n + found.ndeeper == 0)
			note_idle(set, columns);
		else
		{
			RowFacts	row = {0};

			row.rel = trigdata->tg_relation;
			row.command = InvalidCommandId;
			row.relid = RelationGetRelid(row.rel);
			row.tuple = trigdata->tg_trigtuple;
			if (add_found(gather, columns, slot, &row))
				note_time(gather, columns, slot, true);
		}
	}
}

/* -------------------------------------------------------------------------
 * Rows that change
 * -------------------------------------------------------------------------
 */

/* A row before its statement, or after it. */
typedef struct RowVersion
{
	FiredTable *fired;			/* NULL: there is no such version */
	HeapTuple	tuple;
	TupleTableSlot *slot;		/* as it is stored */
	TupleTableSlot *attached;	/* in the attached table's layout */
} RowVersion;

static void
set_version(RowVersion *version, FiredTable *fired, HeapTuple tuple, TupleTableSlot *slot,
			bool is_old)
{
	version->fired = fired;
	version->tuple = tuple;
	version->slot = slot;
	version->attached = fired->layout == NULL ? slot :
		execute_attr_map_slot(fired->layout, slot,
							  is_old ? fired->attached_before : fired->attached);
}

static void
set_place(RowPlace *place, const RowVersion *version)
{
	place->relid = version->fired->id.relid;
	place->tid = version->tuple->t_self;
}

bool
ls_row_is_moving(TriggerData *trigdata)
{
	return trigdata->tg_relation->rd_rel->relam == HEAP_TABLE_AM_OID &&
		HeapTupleHeaderIndicatesMovedPartitions(trigdata->tg_trigtuple->t_data);
}

/* Keep a row that was deleted until it is inserted elsewhere. */
static void
keep_moving(Gathering *gather, TriggerData *trigdata, FiredTable *fired)
{
	StreamSet  *set = gather->settlement.set;
	MemoryContext oldcontext;

	if (fired->left == NULL)
	{
		oldcontext = MemoryContextSwitchTo(set->context);
		fired->left = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(trigdata->tg_relation)),
											   &TTSOpsHeapTuple);
		MemoryContextSwitchTo(oldcontext);
	}
	oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	gather->moving = palloc(sizeof(MovingRow));
	gather->moving->fired = fired;
	gather->moving->tuple = heap_copytuple(trigdata->tg_trigtuple);
	gather->moving->command = ls_gather_statement(trigdata);
	MemoryContextSwitchTo(oldcontext);
}

/* The row that was kept, as it was. */
static void
take_moving(Gathering *gather, RowVersion *version)
{
	MovingRow  *moving = gather->moving;

	ExecStoreHeapTuple(moving->tuple, moving->fired->left, false);
	set_version(version, moving->fired, moving->tuple, moving->fired->left, true);
}

static void
forget_moving(Gathering *gather)
{
	ExecClearTuple(gather->moving->fired->left);
	heap_freetuple(gather->moving->tuple);
	pfree(gather->moving);
	gather->moving = NULL;
}

/* Is the value of a column the same in two versions, byte for byte? */
static bool
is_same_value(const RowVersion *a, AttrNumber a_attno, const RowVersion *b, AttrNumber b_attno)
{
	Form_pg_attribute att = TupleDescAttr(a->slot->tts_tupleDescriptor, a_attno - 1);
	bool		a_null;
	bool		b_null;
	Datum		a_value = slot_getattr(a->slot, a_attno, &a_null);
	Datum		b_value = slot_getattr(b->slot, b_attno, &b_null);

	if (a_null || b_null)
		return a_null && b_null;
	return datum_image_eq(a_value, b_value, att->attbyval, att->attlen);
}

/* Did the contact of a row only get another key? */
static bool
follows_key(StreamSet *set, const RowVersion *old, KindColumns *was, const RowVersion *new,
			KindColumns *is)
{
	Oid			key_base = set->contacts->key_base;
	Datum		old_key;
	Datum		key;
	bool		isnull;

	old_key = slot_getattr(old->slot, was->contact, &isnull);
	if (isnull || !ls_fired_key(was, key_base, &old_key))
		return false;
	key = slot_getattr(new->slot, is->contact, &isnull);
	if (isnull || !ls_fired_key(is, key_base, &key))
		return false;
	return ls_contact_is_rekeyed(old_key, key, set->contacts->key_byval,
								 set->contacts->key_len);
}

/* Has a row the same contact and time as before? */
static bool
is_in_place(StreamSet *set, const RowVersion *old, KindColumns *was, const RowVersion *new,
			KindColumns *is)
{
	if (is->time != InvalidAttrNumber && !is_same_value(old, was->time, new, is->time))
		return false;
	return is_same_value(old, was->contact, new, is->contact) ||
		follows_key(set, old, was, new, is);
}

/* Leave those out, of what was found, that read nothing which has changed. */
static void
drop_unchanged(StreamSet *set, ActivitySource *kind, const RowVersion *old, const RowVersion *new)
{
	int			kept = 0;

	for (int i = 0; i < found.hits.n; i++)
	{
		CachedStream *stream = ls_streams_get(set, found.hits.streams[i]);
		RuleProgram *program = stream ? ls_streams_program(set, stream) : NULL;

		if (program && ls_program_sees_change(program, kind->source_id, old->attached,
											  new->attached))
			found.hits.streams[kept++] = found.hits.streams[i];
	}
	found.hits.n = kept;
}

/* Add what was found of one version of a row. */
static void
add_version(Gathering *gather, KindColumns *columns, const RowVersion *version,
			CommandId command, const char *event)
{
	RowFacts	row = {0};

	row.command = command;
	row.relid = version->fired->id.relid;
	row.tuple = version->tuple;
	row.event = event;
	(void) add_found(gather, columns, version->slot, &row);
}

/*
 * Add what a row concerns as a kind's.  Either version may be missing.  Returns
 * whether any stream might count the new one.
 */
static bool
gather_versions(Gathering *gather, ActivitySource *kind, const RowVersion *old,
				const RowVersion *new, CommandId command)
{
	StreamSet  *set = gather->settlement.set;
	KindColumns *was = old->fired ? ls_fired_columns(old->fired, kind) : NULL;
	KindColumns *is = new->fired ? ls_fired_columns(new->fired, kind) : NULL;
	const char *event = new->fired ? "update" : "delete";
	bool		is_captured = (kind->events & (new->fired ? EVENT_UPDATE : EVENT_DELETE)) != 0;
	bool		in_place = is_captured && was && is && is_in_place(set, old, was, new, is);
	bool		may_count = false;

	if (is)
	{
		find_concerned(set, kind, new->attached);
		may_count = found.hits.n + found.ndeeper > 0;
		if (is_captured && may_count)
		{
			if (in_place)
				drop_unchanged(set, kind, old, new);
			if (found.hits.n + found.ndeeper > 0)
			{
				add_version(gather, is, new, command, event);
				note_time(gather, is, new->slot, !in_place);
			}
		}
	}
	if (was && is_captured)
	{
		find_concerned(set, kind, old->attached);
		if (in_place)
			drop_unchanged(set, kind, old, new);
		if (found.hits.n + found.ndeeper > 0)
			add_version(gather, was, old, command, event);
	}
	return may_count;
}

static void
gather_change(Gathering *gather, const RowVersion *old, const RowVersion *new, CommandId command)
{
	FiredTable *fired = new->fired ? new->fired : old->fired;
	bool		may_count = false;

	for (int k = 0; k < fired->nkinds; k++)
		may_count |= gather_versions(gather, fired->kinds[k].kind, old, new, command);
	if (may_count && old->fired && new->fired)
	{
		RowPlace	now;
		RowPlace	before;

		set_place(&now, new);
		set_place(&before, old);
		ls_changes_add(ls_gather_changes(gather), &now, &before);
	}
}

void
ls_gather_finish(Gathering *gather)
{
	RowVersion	old = {0};
	RowVersion	new = {0};

	if (gather->moving == NULL)
		return;
	/* a trigger of the user's has stopped it on the way: it is gone */
	take_moving(gather, &old);
	gather_change(gather, &old, &new, gather->moving->command);
	forget_moving(gather);
}

void
ls_gather_changed(Gathering *gather, TriggerData *trigdata, int32 source_id)
{
	FiredTable *fired = take_fired(gather, trigdata->tg_relation, source_id);
	RowVersion	old = {0};
	RowVersion	new = {0};

	ls_streams_trim(gather->settlement.set);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		take_moving(gather, &old);
		set_version(&new, fired, trigdata->tg_trigtuple, trigdata->tg_trigslot, false);
		gather_change(gather, &old, &new, ls_gather_statement(trigdata));
		forget_moving(gather);
		return;
	}
	ls_gather_finish(gather);
	if (fired->nkinds == 0)
		return;
	set_version(&old, fired, trigdata->tg_trigtuple, trigdata->tg_trigslot, true);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		set_version(&new, fired, trigdata->tg_newtuple, trigdata->tg_newslot, false);
	else if (ls_row_is_moving(trigdata))
	{
		keep_moving(gather, trigdata, fired);
		return;
	}
	gather_change(gather, &old, &new, ls_gather_statement(trigdata));
}
