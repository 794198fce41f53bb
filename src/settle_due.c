/*-------------------------------------------------------------------------
 *
 * settle_due.c
 *	  What time has done to candidates, and is going to do.
 *
 * Before a row is judged what is overdue of its contact is settled, of how
 * things were before the row's statement: time alone may have made a match that
 * no tick() has seen yet.  At the instant of the row itself both count.  And
 * of what did not match it is noted when to look again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "chunk.h"
#include "rule_timeline.h"

bool
ls_chunk_is_timed(Chunk *chunk, int i, const RuleProgram *program)
{
	Settlement *settlement = chunk->settlement;

	return settlement->is_tick || program->turns_by_time ||
		(program->has_times &&
		 (settlement->has_future ||
		  settlement->origins[chunk->candidates[i].origin].kind == NULL));
}

void
ls_chunk_read_dues(Chunk *chunk, Snapshot snapshot)
{
	Settlement *settlement = chunk->settlement;
	DueReader  *reader = NULL;
	bool		may_wait = settlement->is_tick;
	bool		is_timed = settlement->is_tick;
	int			end;

	for (int i = 0; i < chunk->count && !is_timed; i++)
	{
		RuleProgram *program;

		if (chunk->verdicts[i] != VERDICT_OPEN)
			continue;
		program = ls_streams_program(settlement->set, chunk->streams[i]);
		if (program == NULL)
			continue;
		is_timed = ls_chunk_is_timed(chunk, i, program);
		/* nothing of this run waits of what has nothing to do with time */
		may_wait |= is_timed || program->turns_by_time || program->has_times;
	}
	if (may_wait)
		reader = ls_due_open(settlement->set->contacts, snapshot);
	if (reader == NULL && !is_timed)
		return;
	chunk->dues = palloc_extended(sizeof(DueNote) * (Size) chunk->count,
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int start = 0; start < chunk->count && reader; start = end)
	{
		DueEntry   *entries;
		int			n = 0;
		int			next = 0;

		end = ls_chunk_contact_end(chunk, start);
		for (int i = start; i < end; i++)
		{
			int			k;

			if (chunk->verdicts[i] == VERDICT_LEFT ||
				(chunk->verdicts[i] != VERDICT_OPEN && !settlement->is_tick))
				continue;
			if (n == 0)
				n = ls_due_read(reader, chunk->candidates[start].key,
								end == start + 1 ? chunk->candidates[i].stream_id : 0,
								&entries);
			if (n == 0)
				break;
			/* both are in the order of streams, unless there are seeds */
			for (k = 0; k < n; k++, next = (next + 1) % n)
				if (entries[next % n].stream_id == chunk->candidates[i].stream_id)
					break;
			if (k == n)
				continue;
			chunk->dues[i].entry = entries[next % n];
			chunk->dues[i].has_entry = chunk->streams[i] &&
				entries[next % n].run == chunk->streams[i]->row->run;
			chunk->dues[i].is_stale = !chunk->dues[i].has_entry;
		}
	}
	if (reader)
		ls_due_close(reader);

	for (int i = 0; settlement->is_tick && i < chunk->count; i++)
	{
		DueNote    *note = &chunk->dues[i];

		if (chunk->verdicts[i] == VERDICT_LEFT)
			continue;
		if (note->is_stale)
			chunk->verdicts[i] = VERDICT_NO;
		else if (note->has_entry && note->entry.at > chunk->clock && note->entry.has_seed)
		{
			/* what is due is a seed, and more is known: that goes on waiting */
			chunk->verdicts[i] = VERDICT_NO;
			note->is_judged = true;
			note->has_next = !TIMESTAMP_IS_NOEND(note->entry.at);
			note->next = note->entry.at;
			note->is_true = note->entry.arrival;
		}
		else if (!note->has_entry || note->entry.at > chunk->clock)
		{
			/* somebody was here since the tick has seen it */
			chunk->verdicts[i] = VERDICT_LEFT;
		}
	}
}

/*
 * Is there time that nobody has settled, and in which a match would add
 * something?  Then from when on, and may the rule have been true before?  Of a
 * stream that is not seeded all since it was enabled is, of contacts without an
 * entry.
 */
static bool
is_overdue(Chunk *chunk, int i, const RuleProgram *program, TimestampTz *from,
		   bool *was_true)
{
	DueNote    *note = &chunk->dues[i];
	const StreamRow *row = chunk->streams[i]->row;

	if (note->has_entry)
	{
		*from = note->entry.at;
		*was_true = note->entry.arrival;
	}
	else
	{
		if (row->is_seeded || !program->turns_by_time || TIMESTAMP_NOT_FINITE(row->enabled_at))
			return false;
		*from = row->enabled_at + 1;
		*was_true = true;
	}
	if (*from < ls_chunk_since(chunk, i))
	{
		*from = ls_chunk_since(chunk, i);
		*was_true = true;
	}
	return *from <= chunk->clock;
}

bool
ls_chunk_is_overdue(Chunk *chunk, int i, const RuleProgram *program, TimestampTz upto)
{
	TimestampTz from;
	bool		was_true;

	return is_overdue(chunk, i, program, &from, &was_true) && from <= upto;
}

bool
ls_chunk_judge_overdue(Chunk *chunk, int i, Judge *judge, RuleProgram *program, TimestampTz upto)
{
	TimestampTz from;
	bool		was_true;

	if (!is_overdue(chunk, i, program, &from, &was_true) || from > upto)
		return false;
	return ls_timeline_match(ls_judge_timeline(judge, program, from - 1, false),
							 from, upto, was_true, &chunk->dues[i].matched_at);
}

void
ls_chunk_note_next(Chunk *chunk, int i, Judge *judge, RuleProgram *program)
{
	DueNote    *note = &chunk->dues[i];

	if (!ls_chunk_is_timed(chunk, i, program) &&
		!(note->has_entry && note->entry.at <= chunk->clock))
		return;
	note->has_next = ls_timeline_next(ls_judge_timeline(judge, program, chunk->clock, false),
									  chunk->clock, &note->next, &note->is_true);
	note->is_judged = true;
}

/*
 * Does the entry that is there do as well as another?  One that comes too early
 * does: a tick looks at the contact then and puts it off, which costs less than
 * doing so with each row that puts it off a little more.
 */
static bool
is_kept(const DueNote *note, const DueChange *change, TimestampTz clock)
{
	return note->has_entry && note->entry.arrival == change->arrival &&
		note->entry.at > clock && note->entry.at <= change->at;
}

void
ls_chunk_write_dues(Chunk *chunk)
{
	Settlement *settlement = chunk->settlement;
	DueChange  *changes;
	int			n = 0;

	if (chunk->dues == NULL)
		return;
	changes = palloc_extended(sizeof(DueChange) * (Size) chunk->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < chunk->count; i++)
	{
		DueNote    *note = &chunk->dues[i];
		DueChange  *change = &changes[n];
		bool		is_match = chunk->verdicts[i] == VERDICT_MATCH ||
			chunk->verdicts[i] == VERDICT_CLOCK;

		if (chunk->verdicts[i] == VERDICT_LEFT)
			continue;
		/* who lost a lead is a tick's to look at, when it is sure to see all rows */
		if (!settlement->is_tick && !is_match && note->has_entry && note->entry.is_seed &&
			note->entry.arrival && note->entry.at <= chunk->clock)
			continue;
		if (settlement->is_tick)
			settlement->settled++;
		memset(change, 0, sizeof(DueChange));
		change->key = chunk->candidates[i].key;
		change->stream_id = chunk->candidates[i].stream_id;
		change->run = note->entry.run;
		if (note->is_judged)
		{
			RuleProgram *program = ls_streams_program(settlement->set, chunk->streams[i]);

			if (note->has_next)
			{
				change->is_set = true;
				change->at = note->next;
				change->arrival = note->is_true;
			}
			else if (program && program->turns_by_time && !chunk->streams[i]->row->is_seeded)
			{
				/* nothing, but that needs saying until there are seeds */
				change->is_set = true;
				change->at = DT_NOEND;
			}
			if (change->is_set && is_kept(note, change, chunk->clock))
				continue;
			if (change->is_set)
				change->run = chunk->streams[i]->row->run;
			change->is_removed = note->has_entry &&
				(!change->is_set || note->entry.has_seed);
		}
		else if (is_match || settlement->is_tick)
			change->is_removed = note->has_entry || (note->is_stale && settlement->is_tick);
		if (change->is_removed)
			memcpy(change->places, note->entry.places, sizeof(change->places));
		if (change->is_removed || change->is_set)
			n++;
	}
	ls_due_write(settlement->set->contacts, changes, n);
}
