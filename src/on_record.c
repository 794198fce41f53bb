/*-------------------------------------------------------------------------
 *
 * on_record.c
 *	  Candidates whose leads have the match already.
 *
 * A match is made once for each stream and lead, so there is nothing to judge
 * where all teams of the stream have it.  Like the conditions on the new row
 * itself this may be looked at without a lock: a match is taken back by clear()
 * or by hand only, and either may as well have come before the row.
 *
 * Where the stream has requalify_after, a new match counts again from an instant
 * on if the lead is closed, which is as good without a lock: somebody who moves
 * the lead just now may as well have been late.  And the clock has to go on
 * looking after such a contact, whatever stage the lead is in.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "chunk.h"
#include "guc.h"
#include "lead_record.h"

void
ls_chunk_set_since(Chunk *chunk, int i, TimestampTz since)
{
	if (chunk->since == NULL)
	{
		int			room = Max(chunk->count, chunk->room);

		chunk->since = palloc_extended(sizeof(TimestampTz) * (Size) room, MCXT_ALLOC_HUGE);
		for (int k = 0; k < room; k++)
			chunk->since[k] = DT_NOBEGIN;
	}
	chunk->since[i] = since;
}

/*
 * From when on would a new match of the stream add something?  DT_NOBEGIN if a
 * team has not the match at all.
 */
static TimestampTz
adds_since(const StreamRow *stream, LeadRecord *records, int n, ContactSource *contacts)
{
	TimestampTz result = DT_NOEND;

	for (int t = 0; t < stream->nteams; t++)
	{
		int			i;

		for (i = 0; i < n; i++)
			if (records[i].stream_id == stream->stream_id &&
				records[i].team_id == stream->team_ids[t])
				break;
		if (i == n)
			return DT_NOBEGIN;
		if (stream->requalify_after)
			result = Min(result, ls_record_reopens(&records[i], stream, contacts));
	}
	return result;
}

/* Is there nothing in judging a candidate which adds something since then? */
static bool
is_idle(Chunk *chunk, int i, TimestampTz since)
{
	Settlement *settlement = chunk->settlement;
	RuleProgram *program;

	if (chunk->streams[i]->row->requalify_after == NULL)
		return true;
	/* a row may be ahead of the clock, and a lock may have to be waited for */
	if (!TIMESTAMP_IS_NOEND(since) &&
		since <= Max(ls_clock_read(), settlement->newest) + CLOCK_SKEW)
		return false;
	program = ls_streams_program(settlement->set, chunk->streams[i]);
	return program && !ls_chunk_is_timed(chunk, i, program);
}

/*
 * Drop those of a contact's candidates, from start to end, whose streams it
 * has the matches of.
 */
static void
drop_recorded_of_contact(Chunk *chunk, RecordReader *reader, int start, int end)
{
	LeadRecord *records;
	int			n = ls_records_read(reader, chunk->candidates[start].key, &records);

	for (int i = start; i < end && n > 0; i++)
	{
		TimestampTz since;

		if (chunk->streams[i] == NULL || chunk->verdicts[i] != VERDICT_OPEN ||
			chunk->streams[i]->row->is_score)
			continue;
		since = adds_since(chunk->streams[i]->row, records, n,
						   chunk->settlement->set->contacts);
		if (TIMESTAMP_IS_NOBEGIN(since))
			continue;
		if (is_idle(chunk, i, since))
		{
			chunk->verdicts[i] = VERDICT_NO;
			continue;
		}
		ls_chunk_set_since(chunk, i, since);
	}
}

/* Is there a candidate whose stream may match again? */
static bool
has_requalifying(Chunk *chunk)
{
	for (int i = 0; i < chunk->count; i++)
		if (chunk->streams[i] && chunk->streams[i]->row->requalify_after)
			return true;
	return false;
}

/*
 * Drop the candidates that would add nothing: of those that rows named, or of
 * those that were found since.  False: there are no lead tables, so nothing
 * can be added at all.
 */
bool
ls_chunk_drop_recorded(Chunk *chunk, bool is_found)
{
	ContactSource *contacts = chunk->settlement->set->contacts;
	Snapshot	snapshot = NULL;
	RecordReader *reader = NULL;
	int			end;

	if (!OidIsValid(ls_catalog_relid("lead")) || !OidIsValid(ls_catalog_relid("lead_match")))
		return false;

	for (int start = 0; start < chunk->count; start = end)
	{
		bool		any = false;

		end = ls_chunk_contact_end(chunk, start);
		for (int i = start; i < end && !any; i++)
			any = chunk->streams[i] != NULL && chunk->candidates[i].is_found == is_found &&
				chunk->verdicts[i] == VERDICT_OPEN && !chunk->streams[i]->row->is_score;
		if (!any)
			continue;
		if (reader == NULL)
		{
			CommandCounterIncrement();
			snapshot = RegisterSnapshot(GetLatestSnapshot());
			reader = ls_records_open(contacts, snapshot, has_requalifying(chunk));
		}
		drop_recorded_of_contact(chunk, reader, start, end);
	}
	if (reader)
	{
		ls_records_close(reader);
		UnregisterSnapshot(snapshot);
	}
	return true;
}
