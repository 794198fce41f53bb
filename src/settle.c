/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  Judging the candidates of a statement and making their leads.
 *
 * A statement's candidates, pairs of a contact and a stream, are settled when
 * its rows are all there:
 *
 *	1. Those whose leads all have the match already are dropped.  Like the
 *	   conditions on the new row itself this may be looked at without a lock;
 *	   nothing else may, for a concurrent writer could change it.
 *	2. The contacts are locked in the order of their keys.
 *	3. A new latest snapshot is taken and then the clock is read.  All that
 *	   concurrent writers of these contacts did is visible now.  Where rows
 *	   may concern many streams, it depends on the contact which: now that is
 *	   looked up, and those that have the match are dropped as in 1.
 *	   Candidates that are score rules are done with first (settle_score.c).
 *	4. What is overdue by the clock queue (due.c) is settled first, of how
 *	   things were before the statement: time alone may have made a match that
 *	   no tick() has seen yet.
 *	5. Each candidate is judged.  A rule that is true is a new match if a row
 *	   that the statement made new to a condition in force counts in it
 *	   (row_change.c), or else if the rule was not true before: judged again
 *	   under the same snapshot set back to before the statement's command, in
 *	   which its rows do not exist and the contact is as it was.
 *	6. The matches are delivered, and of contacts that did not match it is
 *	   noted when time alone may make them.
 *
 * A tick brings candidates of the clock queue, which are judged by 4 alone, of
 * how things are.
 *
 * A statement may gather millions of candidates, so they are settled in
 * chunks of contacts in key order, each with its own snapshot and clock.
 *
 * Rules over types from outside pg_catalog may raise errors while they are
 * judged: they are judged together in one subtransaction, and one that fails
 * is broken from then on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "chunk.h"
#include "evidence.h"
#include "guc.h"
#include "score_keep.h"

/* Contacts locked and judged under one snapshot. */
#define SETTLE_CHUNK	5000


/* -------------------------------------------------------------------------
 * Streams
 * -------------------------------------------------------------------------
 */

/* Point from candidates to their streams; those that are gone are dropped. */
static void
find_streams(Chunk *chunk)
{
	for (int i = 0; i < chunk->count; i++)
	{
		if (chunk->candidates[i].stream_id == 0)
			continue;
		chunk->streams[i] = ls_streams_get(chunk->settlement->set,
										   chunk->candidates[i].stream_id);
		if (chunk->streams[i] == NULL)
			chunk->verdicts[i] = VERDICT_NO;
	}
}

/*
 * Lock the contacts of open candidates; those that are gone are dropped.  A
 * tick leaves those that somebody has.  The entries of one that is gone are
 * gone with it, unless it was deleted where foreign keys do nothing.
 */
static void
lock_contacts(Chunk *chunk)
{
	RowLocker  *locker = ls_contact_lock_begin(chunk->settlement->set->contacts);
	int			end;

	if (chunk->settlement->is_tick)
		ls_row_lock_skip(locker);

	for (int start = 0; start < chunk->count; start = end)
	{
		int			open;

		end = ls_chunk_contact_end(chunk, start);
		for (open = start; open < end; open++)
			if (chunk->verdicts[open] == VERDICT_OPEN)
				break;
		if (open < end && ls_row_lock_at(locker, chunk->candidates[start].key,
										 &chunk->places[start]) == 0)
			for (int i = start; i < end; i++)
				chunk->verdicts[i] = ls_row_lock_is_skipped(locker) ? VERDICT_LEFT : VERDICT_NO;
	}
	ls_row_lock_end(locker);
}


/*
 * Lock what the open candidates' rules read, so that nobody alters it while
 * they are judged; see ls_streams_lock.
 */
static void
lock_tables(Chunk *chunk)
{
	StreamSet  *set = chunk->settlement->set;
	uint64		this_one = ls_streams_settling();

	for (int i = 0; i < chunk->count; i++)
	{
		CachedStream *stream = chunk->streams[i];

		if (chunk->verdicts[i] != VERDICT_OPEN || stream->locked_for == this_one)
			continue;
		stream->locked_for = this_one;
		if (stream->row->is_score)
			ls_scores_lock(set, stream->row->score_set_id, this_one);
		else
			(void) ls_streams_lock(set, stream);
	}
}


/* -------------------------------------------------------------------------
 * Judging
 * -------------------------------------------------------------------------
 */

/* The contact's account is the stream's, so the stream may speak of it. */
static bool
is_own_account(Judge *judge, CachedStream *stream)
{
	return strcmp(ls_judge_account(judge), stream->row->account) == 0;
}

/* The same moment, but before the statement's command. */
static Snapshot
snapshot_before(Snapshot snapshot, CommandId command)
{
	SnapshotData before = *snapshot;

	/* RegisterSnapshot makes a deep copy of what is not marked as one */
	before.curcid = command;
	before.copied = false;
	before.active_count = 0;
	before.regd_count = 0;
	return RegisterSnapshot(&before);
}

/*
 * From here on the contact goes by the key in its own row, which the key that
 * the activity came with is equal to but need not look like.
 */
static void
take_own_key(Chunk *chunk, int start, int end, Datum key)
{
	ContactOrder *order = chunk->order;

	if (order->byval || datumIsEqual(key, chunk->candidates[start].key, false, order->len))
		return;
	if (order->len == -1)
		key = PointerGetDatum(PG_DETOAST_DATUM_COPY(key));
	else
		key = datumCopy(key, false, order->len);
	for (int i = start; i < end; i++)
		chunk->candidates[i].key = key;
}

/* A Judge of how things were before the statement, made by need. */
typedef struct Past
{
	Judge	   *judge;
	Snapshot	snapshot;
	bool		stepped;		/* to the contact at hand */
	bool		existed;
} Past;

/* The key that the contact had before the statement. */
static Datum
key_before(Chunk *chunk, int start)
{
	Settlement *settlement = chunk->settlement;

	return ls_rekeyed_before(settlement->rekeyed, settlement->nrekeyed, chunk->order,
							 chunk->candidates[start].key);
}

/* Was there such a contact, which was the stream's to speak of? */
static bool
step_back(Chunk *chunk, Past *past, Snapshot snapshot, int start, CachedStream *stream)
{
	Settlement *settlement = chunk->settlement;

	if (past->judge == NULL)
	{
		past->snapshot = snapshot_before(snapshot, settlement->command);
		past->judge = ls_judge_begin(settlement->set->contacts, past->snapshot,
									 chunk->clock, InvalidCommandId, InvalidOid);
	}
	if (!past->stepped)
	{
		past->existed = ls_judge_contact(past->judge, key_before(chunk, start));
		past->stepped = true;
	}
	return past->existed && is_own_account(past->judge, stream);
}

/* Was the rule true of the contact before the statement, now? */
static bool
was_true(Chunk *chunk, int i, Past *past, Snapshot snapshot, int start,
		 RuleProgram *program)
{
	return step_back(chunk, past, snapshot, start, chunk->streams[i]) &&
		ls_judge_program(past->judge, program, NULL);
}

/* Had time alone made a match, up to an instant, before the statement came? */
static bool
judge_past(Chunk *chunk, int i, Past *past, Snapshot snapshot, int start,
		   RuleProgram *program, TimestampTz upto)
{
	return ls_chunk_is_overdue(chunk, i, program, upto) &&
		step_back(chunk, past, snapshot, start, chunk->streams[i]) &&
		ls_chunk_judge_overdue(chunk, i, past->judge, program, upto);
}

/*
 * Judge the open candidates whose rules are foreign, or those whose rules are
 * not.  *current is the one being judged, for whoever catches an error.
 */
static void
judge_candidates(Chunk *chunk, Snapshot snapshot, bool foreign,
				 volatile int *current)
{
	Settlement *settlement = chunk->settlement;
	StreamSet  *set = settlement->set;
	Judge	   *judge = NULL;
	Past		past = {0};
	int			end;

	for (int start = 0; start < chunk->count; start = end)
	{
		bool		stepped = false;

		past.stepped = false;

		end = ls_chunk_contact_end(chunk, start);
		CHECK_FOR_INTERRUPTS();
		for (int i = start; i < end; i++)
		{
			CachedStream *stream = chunk->streams[i];
			RuleProgram *program;
			bool		fresh = false;

			if (chunk->verdicts[i] != VERDICT_OPEN)
				continue;
			*current = i;
			program = ls_streams_program(set, stream);
			if (program == NULL)
			{
				chunk->verdicts[i] = settlement->is_tick ? VERDICT_LEFT : VERDICT_NO;
				continue;
			}
			if (ls_program_is_foreign(program) != foreign)
				continue;

			if (judge == NULL)
				judge = ls_judge_begin(set->contacts, snapshot, chunk->clock,
									   settlement->command, settlement->root);
			ls_judge_set_changes(judge, settlement->changes);
			if (!stepped)
			{
				if (!ls_judge_contact_at(judge, chunk->candidates[start].key,
										 &chunk->places[start]))
				{
					/* locked and yet not there: cannot match */
					for (int k = start; k < end; k++)
						chunk->verdicts[k] = VERDICT_NO;
					break;
				}
				take_own_key(chunk, start, end, ls_judge_key(judge));
				if (settlement->nrekeyed > 0)
					ls_judge_set_key_before(judge, key_before(chunk, start));
				stepped = true;
			}
			if (!is_own_account(judge, stream))
			{
				/* what time made of it before it went over is the stream's */
				chunk->verdicts[i] = chunk->dues && !settlement->is_tick &&
					judge_past(chunk, i, &past, snapshot, start, program, chunk->clock - 1) ?
					VERDICT_CLOCK : VERDICT_NO;
				continue;
			}
			if (chunk->dues)
				chunk->dues[i].is_judged = false;
			if (chunk->dues &&
				(settlement->is_tick ? ls_chunk_judge_overdue(chunk, i, judge, program, chunk->clock) :
				 judge_past(chunk, i, &past, snapshot, start, program, chunk->clock - 1)))
				chunk->verdicts[i] = VERDICT_CLOCK;
			else if (settlement->is_tick || ls_chunk_since(chunk, i) > chunk->clock ||
					 !ls_judge_program(judge, program, &fresh))
				chunk->verdicts[i] = VERDICT_NO;
			else if (fresh || !was_true(chunk, i, &past, snapshot, start, program))
				chunk->verdicts[i] = VERDICT_MATCH;
			else
				/* time may have made it true at this very instant */
				chunk->verdicts[i] = chunk->dues &&
					judge_past(chunk, i, &past, snapshot, start, program, chunk->clock) ?
					VERDICT_CLOCK : VERDICT_NO;
			if (chunk->dues &&
				(chunk->verdicts[i] == VERDICT_NO || stream->row->requalify_after))
				ls_chunk_note_next(chunk, i, judge, program);
		}
	}
	if (past.judge)
	{
		ls_judge_end(past.judge);
		UnregisterSnapshot(past.snapshot);
	}
	if (judge)
		ls_judge_end(judge);
}

/* Is there an open candidate that stands for streams to be looked up? */
static bool
has_sought(Chunk *chunk)
{
	for (int i = 0; i < chunk->count; i++)
		if (chunk->verdicts[i] == VERDICT_OPEN && chunk->candidates[i].stream_id == 0)
			return true;
	return false;
}

/* Is there an open candidate left? */
static bool
has_open(Chunk *chunk)
{
	for (int i = 0; i < chunk->count; i++)
		if (chunk->verdicts[i] == VERDICT_OPEN)
			return true;
	return false;
}

/* A turn of judging what may raise errors. */
typedef struct ForeignTurn
{
	Chunk	   *chunk;
	Snapshot	snapshot;
	volatile int current;
} ForeignTurn;

static void
judge_foreign_turn(void *arg)
{
	ForeignTurn *turn = arg;

	judge_candidates(turn->chunk, turn->snapshot, true, &turn->current);
}

/*
 * Judge the foreign ones in a subtransaction.  Each turn that fails breaks a
 * stream, so there is an end to it.
 */
static void
judge_foreign(Chunk *chunk, Snapshot snapshot)
{
	StreamSet  *set = chunk->settlement->set;

	while (has_open(chunk))
	{
		ForeignTurn turn = {chunk, snapshot, 0};
		Verdict    *verdicts = palloc(sizeof(Verdict) * chunk->count);
		ErrorData  *error;

		memcpy(verdicts, chunk->verdicts, sizeof(Verdict) * chunk->count);
		error = ls_attempt(judge_foreign_turn, &turn);
		if (error == NULL)
			break;

		/* the rest is judged again, without the stream that failed */
		memcpy(chunk->verdicts, verdicts, sizeof(Verdict) * chunk->count);
		ls_streams_break(set, chunk->streams[turn.current], error);
		FreeErrorData(error);
	}
}


/* -------------------------------------------------------------------------
 * Evidence
 * -------------------------------------------------------------------------
 */

/* Say which rows made matches; candidates: those the matches were made of. */
static void
add_evidence(Chunk *chunk, Candidate **candidates, DeliverMatch *matches, int nmatches)
{
	Settlement *settlement = chunk->settlement;
	Witness   **witnesses = palloc0(sizeof(Witness *) * settlement->norigins);

	for (int i = 0; i < nmatches; i++)
	{
		Candidate  *candidate = candidates[i];
		CandidateOrigin *origin = &settlement->origins[candidate->origin];
		Witness   **witness = &witnesses[candidate->origin];

		/* rows of contacts need no key, the lead has it */
		if (*witness == NULL)
		{
			*witness = ls_witness_begin(origin->kind == NULL ? "contact" : "kind",
										origin->what,
										origin->kind == NULL ? InvalidOid : origin->relid);
			ls_witness_event(*witness, origin->event);
		}
		/* of several rows that were looked up together, nobody knows which it was */
		matches[i].evidence = ls_witness_tell(*witness, candidate->is_several ? NULL :
											  &candidate->tid);
	}
	for (int i = 0; i < settlement->norigins; i++)
		if (witnesses[i])
			ls_witness_end(witnesses[i]);
	pfree(witnesses);
}


/* -------------------------------------------------------------------------
 * Settling
 * -------------------------------------------------------------------------
 */

/* The clock of a settlement; must be read after its contacts are locked. */
static TimestampTz
read_clock(Settlement *settlement)
{
	TimestampTz clock = ls_clock_read();

	if (settlement->newest > clock && settlement->newest - clock <= CLOCK_SKEW)
		return settlement->newest;
	return clock;
}

/* Deliver those matches that time alone made, or those that did rows. */
static void
deliver_matches(Chunk *chunk, Verdict verdict)
{
	Settlement *settlement = chunk->settlement;
	DeliverMatch *matches;
	Candidate **matched;
	int			n = 0;

	for (int i = 0; i < chunk->count; i++)
		n += chunk->verdicts[i] == verdict;
	if (n == 0)
		return;
	matches = palloc_extended(sizeof(DeliverMatch) * (Size) n, MCXT_ALLOC_HUGE);
	matched = palloc_extended(sizeof(Candidate *) * (Size) n, MCXT_ALLOC_HUGE);
	n = 0;
	for (int i = 0; i < chunk->count; i++)
	{
		Candidate  *candidate = &chunk->candidates[i];

		if (chunk->verdicts[i] != verdict)
			continue;
		matches[n].key = candidate->key;
		matches[n].stream = chunk->streams[i]->row;
		matches[n].matched_at = verdict == VERDICT_CLOCK ?
			chunk->dues[i].matched_at : chunk->clock;
		matches[n].evidence = NULL;
		matched[n++] = candidate;
	}
	/* no row is behind what time has made */
	if (verdict != VERDICT_CLOCK)
		add_evidence(chunk, matched, matches, n);
	ls_deliver(settlement->set->contacts, matches, n, chunk->clock,
			   verdict == VERDICT_CLOCK ? "clock" : "live", false, &settlement->counts);
}

/* Judge the open candidates, whose contacts are locked, and deliver. */
static void
judge_and_deliver(Chunk *chunk)
{
	Snapshot	snapshot;
	volatile int current = 0;

	lock_tables(chunk);

	/* under a snapshot of its own: a table may have changed until it was locked */
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	chunk->clock = read_clock(chunk->settlement);
	ls_chunk_judge_scores(chunk, snapshot);
	ls_chunk_read_dues(chunk, snapshot);
	judge_candidates(chunk, snapshot, false, &current);
	judge_foreign(chunk, snapshot);
	PopActiveSnapshot();

	ls_chunk_write_scores(chunk);
	if (chunk->dues)
		deliver_matches(chunk, VERDICT_CLOCK);
	deliver_matches(chunk, VERDICT_MATCH);
	ls_chunk_write_dues(chunk);
	/* what was found under it stays where it is until here */
	UnregisterSnapshot(snapshot);
}

/* Room for what is found out about the candidates. */
static void
make_room(Chunk *chunk)
{
	chunk->verdicts = palloc0(sizeof(Verdict) * chunk->count);
	chunk->streams = palloc0(sizeof(CachedStream *) * chunk->count);
	chunk->places = palloc(sizeof(RowPlace) * chunk->count);
}

/* Judge by the clock what is due of contacts that nobody has. */
static void
settle_due(Chunk *chunk)
{
	StreamSet  *set = chunk->settlement->set;

	make_room(chunk);
	find_streams(chunk);
	for (int i = 0; i < chunk->count; i++)
	{
		/* what cannot be judged waits until it can */
		if (chunk->streams[i] && ls_streams_program(set, chunk->streams[i]) == NULL)
			chunk->verdicts[i] = VERDICT_LEFT;
		else
			chunk->verdicts[i] = VERDICT_OPEN;
	}
	lock_contacts(chunk);
	for (int i = 0; i < chunk->count; i++)
		if (chunk->streams[i] == NULL && chunk->verdicts[i] == VERDICT_OPEN)
			chunk->verdicts[i] = VERDICT_NO;
	(void) ls_chunk_drop_recorded(chunk, false);
	judge_and_deliver(chunk);
}

static void
settle_chunk(Chunk *chunk)
{
	Snapshot	snapshot;

	ls_chunk_ungroup(chunk);
	make_room(chunk);
	find_streams(chunk);
	if (!ls_chunk_drop_recorded(chunk, false) || !has_open(chunk))
		return;
	lock_contacts(chunk);
	if (has_sought(chunk))
	{
		CommandCounterIncrement();
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		PushActiveSnapshot(snapshot);
		ls_chunk_expand(chunk, snapshot);
		PopActiveSnapshot();
		UnregisterSnapshot(snapshot);
		if (!has_open(chunk))
			return;
	}
	judge_and_deliver(chunk);
}

void
ls_settle(Settlement *settlement)
{
	ContactOrder order;
	MemoryContext context;
	MemoryContext oldcontext;
	int64		start = 0;

	if (settlement->ncandidates == 0)
		return;

	context = AllocSetContextCreate(CurrentMemoryContext,
									"leadstream settlement",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	ls_settle_compact(settlement);
	ls_contact_order_init(&order, settlement->set->contacts);
	ls_rekeyed_sort(settlement->rekeyed, settlement->nrekeyed, &order);

	while (start < settlement->ncandidates)
	{
		int64		end = start + 1;
		int64		total = ls_chunk_weight(settlement, &settlement->candidates[start]);
		int			ncontacts = 1;
		MemoryContext chunk_context = AllocSetContextCreate(context,
															"leadstream chunk",
															ALLOCSET_DEFAULT_SIZES);
		Chunk		chunk = {0};

		while (end < settlement->ncandidates)
		{
			if (ls_contact_cmp(&order, settlement->candidates[end - 1].key,
							   settlement->candidates[end].key) != 0 &&
				(++ncontacts > SETTLE_CHUNK || total > SETTLE_CHUNK * 20))
				break;
			total += ls_chunk_weight(settlement, &settlement->candidates[end]);
			end++;
		}
		MemoryContextSwitchTo(chunk_context);
		chunk.settlement = settlement;
		chunk.order = &order;
		chunk.candidates = settlement->candidates + start;
		chunk.count = end - start;
		settlement->set->held++;
		if (settlement->is_tick)
			settle_due(&chunk);
		else
			settle_chunk(&chunk);
		settlement->set->held--;
		ls_streams_trim(settlement->set);
		MemoryContextSwitchTo(context);
		MemoryContextDelete(chunk_context);
		start = end;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
