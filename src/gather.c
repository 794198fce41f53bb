/*-------------------------------------------------------------------------
 *
 * gather.c
 *	  What a statement gathers: its candidates.
 *
 * A statement may write millions of rows that concern the same contacts and
 * streams, so what a row adds is kept small and hardly ever twice in a row; the
 * rest of the repetitions goes when candidates are sorted (settle_order.c).
 *
 * A gather keeps all in a context of its own, in TopTransactionContext, that is
 * made with its first candidate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_am.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "gather.h"
#include "key_scan.h"

/* Candidates at first, and from where on it is worth compacting them. */
#define GATHER_ROOM			64
#define GATHER_COMPACT		(64 * 1024)
void
ls_gather_keep(Gathering *gather)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "leadstream gather",
												  ALLOCSET_DEFAULT_SIZES);

	gather->settlement.candidates =
		MemoryContextAlloc(context, sizeof(Candidate) * GATHER_ROOM);
	gather->room = GATHER_ROOM;
	gather->context = context;
}

/* The origin's index, made if need be. */
static uint16
find_origin(Gathering *gather, const RowFacts *row)
{
	Settlement *settlement = &gather->settlement;
	CandidateOrigin *origin;

	for (int i = settlement->norigins - 1; i >= 0; i--)
	{
		origin = &settlement->origins[i];
		if (origin->relid == row->relid && origin->what == row->what &&
			origin->event == row->event)
			return i;
	}

	/* beyond what fits, another partition of the kind's must do: it has no row */
	if (settlement->norigins == PG_UINT16_MAX)
	{
		for (int i = settlement->norigins - 1; i > 0; i--)
			if (settlement->origins[i].what == row->what)
				return i;
		return 0;
	}
	if (settlement->norigins == gather->origin_room)
	{
		int			room = Max(4, gather->origin_room * 2);

		if (settlement->origins == NULL)
			settlement->origins = MemoryContextAlloc(gather->context,
													 sizeof(CandidateOrigin) * room);
		else
			settlement->origins = repalloc(settlement->origins,
										   sizeof(CandidateOrigin) * room);
		gather->origin_room = room;
	}
	origin = &settlement->origins[settlement->norigins];
	origin->relid = row->relid;
	origin->what = row->what;
	origin->event = row->event;
	origin->kind = row->kind;
	return settlement->norigins++;
}


CommandId
ls_gather_command(Relation rel, HeapTuple tuple)
{
	CommandId	command;

	if (rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		ls_row_is_ours(tuple->t_data, &command))
		return command;
	return GetCurrentCommandId(false);
}

/* The command that deleted a row. */
static CommandId
deleting_command(Relation rel, HeapTuple tuple)
{
	if (rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple->t_data)))
		return HeapTupleHeaderGetCmax(tuple->t_data);
	return GetCurrentCommandId(false);
}

CommandId
ls_gather_statement(TriggerData *trigdata)
{
	Relation	rel = trigdata->tg_relation;

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		return deleting_command(rel, trigdata->tg_trigtuple);
	return ls_gather_command(rel, TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
							 trigdata->tg_newtuple : trigdata->tg_trigtuple);
}

RowChanges *
ls_gather_changes(Gathering *gather)
{
	if (gather->context == NULL)
		ls_gather_keep(gather);
	if (gather->settlement.changes == NULL)
		gather->settlement.changes = ls_changes_make(gather->context);
	return gather->settlement.changes;
}

void
ls_gather_candidate(Gathering *gather, RowFacts *row, int32 stream_id,
					uint64 digest, bool byval, int16 len)
{
	Settlement *settlement = &gather->settlement;
	Candidate  *candidate;

	if (gather->context == NULL)
		ls_gather_keep(gather);
	if (!row->key_is_kept)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(gather->context);
		CommandId	command = row->command != InvalidCommandId ? row->command :
			ls_gather_command(row->rel, row->tuple);

		row->key = datumCopy(row->key, byval, len);
		row->origin = find_origin(gather, row);
		row->key_is_kept = true;
		row->is_elsewhere = settlement->origins[row->origin].relid != row->relid;
		/* InvalidCommandId is the greatest */
		settlement->command = Min(settlement->command, command);
		MemoryContextSwitchTo(oldcontext);
	}
	if (settlement->ncandidates == gather->room)
	{
		if (gather->room >= GATHER_COMPACT)
			ls_settle_compact(settlement);
		if (settlement->ncandidates > gather->room / 2)
		{
			settlement->candidates =
				repalloc_huge(settlement->candidates,
							  sizeof(Candidate) * (Size) gather->room * 2);
			gather->room *= 2;
		}
	}
	candidate = &settlement->candidates[settlement->ncandidates++];
	candidate->key = row->key;
	candidate->stream_id = stream_id;
	candidate->digest = digest;
	candidate->tid = row->tuple->t_self;
	candidate->origin = row->origin;
	candidate->is_several = row->is_elsewhere;
	candidate->is_found = false;
}

/* Make room for as many candidates again. */
static Candidate *
make_twice(Gathering *gather)
{
	Settlement *settlement = &gather->settlement;

	if (gather->room < settlement->ncandidates * 2)
	{
		int64		room = settlement->ncandidates * 2;

		settlement->candidates =
			repalloc_huge(settlement->candidates, sizeof(Candidate) * (Size) room);
		gather->room = room;
	}
	return settlement->candidates;
}

/*
 * A trigger may have given the contact of an activity another key.  The old one
 * stays as well: where no foreign key took the activity along, it is that of
 * another contact now, or nobody's.
 */
void
ls_gather_follow(Gathering *gather)
{
	Settlement *settlement = &gather->settlement;
	int64		n = settlement->ncandidates;
	Candidate  *candidates;
	ContactOrder order;

	if (settlement->nrekeyed == 0 || n == 0)
		return;
	ls_contact_order_init(&order, settlement->set->contacts);
	ls_rekeyed_sort_old(settlement->rekeyed, settlement->nrekeyed, &order);
	candidates = make_twice(gather);
	for (int64 i = 0; i < n; i++)
	{
		Datum		key = ls_rekeyed_after(settlement->rekeyed, settlement->nrekeyed, &order,
										   candidates[i].key);

		if (ls_contact_cmp(&order, key, candidates[i].key) == 0)
			continue;
		candidates[settlement->ncandidates] = candidates[i];
		candidates[settlement->ncandidates++].key = key;
	}
}

void
ls_gather_arrived(Gathering *outer, Gathering *inner)
{
	Settlement *settlement = &inner->settlement;
	ContactSource *contacts = settlement->set->contacts;
	MemoryContext oldcontext;

	if (settlement->ncandidates == 0)
		return;
	if (outer->context == NULL)
		ls_gather_keep(outer);
	oldcontext = MemoryContextSwitchTo(outer->context);
	for (int64 i = 0; i < settlement->ncandidates; i++)
	{
		Datum		key = settlement->candidates[i].key;

		if (i > 0 && datumIsEqual(key, settlement->candidates[i - 1].key, contacts->key_byval,
								  contacts->key_len))
			continue;
		if (outer->narrived == outer->arrived_room)
		{
			int64		room = Max(16, outer->arrived_room * 2);

			outer->arrived = outer->arrived == NULL ?
				palloc(sizeof(Datum) * room) :
				repalloc_huge(outer->arrived, sizeof(Datum) * (Size) room);
			outer->arrived_room = room;
		}
		outer->arrived[outer->narrived++] = datumCopy(key, contacts->key_byval, contacts->key_len);
	}
	MemoryContextSwitchTo(oldcontext);
}

static int
cmp_keys(const void *a, const void *b, void *arg)
{
	return ls_contact_cmp(arg, *(const Datum *) a, *(const Datum *) b);
}

void
ls_gather_complete(Gathering *gather)
{
	Settlement *settlement = &gather->settlement;
	int64		n = settlement->ncandidates;
	Candidate  *candidates;
	ContactOrder order;

	if (gather->narrived == 0 || settlement->nrekeyed == 0 || n == 0)
		return;
	ls_contact_order_init(&order, settlement->set->contacts);
	qsort_arg(gather->arrived, gather->narrived, sizeof(Datum), cmp_keys, &order);
	candidates = make_twice(gather);
	for (int64 i = 0; i < n; i++)
		/* whoever got another key has one of these */
		if (candidates[i].stream_id == 0 && candidates[i].digest == KEPT_OF_CONTACT &&
			bsearch_arg(&candidates[i].key, gather->arrived, gather->narrived, sizeof(Datum),
						cmp_keys, &order) != NULL)
		{
			candidates[settlement->ncandidates] = candidates[i];
			candidates[settlement->ncandidates++].digest = ROWS_OF_CONTACT;
		}
}

/*
 * Keys are compared byte for byte: what is missed here is found when candidates
 * are sorted.
 */
void
ls_gather_stream(Gathering *gather, RowFacts *row, CachedStream *stream, bool byval, int16 len)
{
	if (stream->gather == gather->serial &&
		datumIsEqual(stream->last_key, row->key, byval, len))
		return;
	ls_gather_candidate(gather, row, stream->stream_id, 0, byval, len);
	stream->gather = gather->serial;
	stream->last_key = row->key;
}

bool
ls_gather_group(Gathering *gather, RowFacts *row, const IndexHits *hits, bool byval, int16 len)
{
	Settlement *settlement = &gather->settlement;
	StreamGroup *group;
	int			number;

	if (hits->n < 2)
		return false;
	if (gather->context == NULL)
		ls_gather_keep(gather);
	if (settlement->groups == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(gather->context);

		settlement->groups = ls_groups_make();
		MemoryContextSwitchTo(oldcontext);
	}
	number = ls_groups_find(settlement->groups, hits->streams, hits->n);
	if (number < 0)
		return false;
	group = ls_groups_get(settlement->groups, number);
	if (group->has_key && datumIsEqual(group->last_key, row->key, byval, len))
		return true;
	ls_gather_candidate(gather, row, GROUP_CANDIDATE(number), 0, byval, len);
	group->has_key = true;
	group->last_key = row->key;
	return true;
}
