/*-------------------------------------------------------------------------
 *
 * settle_found.c
 *	  Streams that are found when a contact is locked.
 *
 * Where a row may concern many streams it depends on the contact which, and the
 * candidate names a digest instead of a stream.  When its contact is locked the
 * streams below the digest are looked up by the contact's own values, and those
 * take its place that the row concerns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "chunk.h"
#include "due.h"
#include "lookup.h"
#include "program_rows.h"
#include "score_store.h"
#include "stream_paths.h"

/* For the row that brought a candidate, read again. */
typedef struct RowReader
{
	Relation	rel;
	TupleTableSlot *slot;
} RowReader;

static void
close_reader(RowReader *reader)
{
	if (reader->rel == NULL)
		return;
	ExecDropSingleTupleTableSlot(reader->slot);
	table_close(reader->rel, NoLock);
	reader->rel = NULL;
}

/*
 * The row of a candidate, in the layout of the attached table; NULL where that
 * is not to be had cheaply.
 */
static TupleTableSlot *
read_row(Chunk *chunk, RowReader *reader, Candidate *candidate)
{
	CandidateOrigin *origin = &chunk->settlement->origins[candidate->origin];
	ItemPointerData tid = candidate->tid;

	if (origin->kind == NULL || candidate->is_several ||
		origin->relid != origin->kind->relid)
		return NULL;
	if (reader->rel && RelationGetRelid(reader->rel) != origin->relid)
		close_reader(reader);
	if (reader->rel == NULL)
	{
		reader->rel = table_open(origin->relid, AccessShareLock);
		reader->slot = table_slot_create(reader->rel, NULL);
	}
	return table_tuple_fetch_row_version(reader->rel, &tid, SnapshotAny, reader->slot) ?
		reader->slot : NULL;
}

/* Add a candidate to a chunk that is being made of another; place: its contact's. */
static void
append(Chunk *chunk, const Candidate *candidate, CachedStream *stream,
	   const RowPlace *place, TimestampTz since)
{
	if (chunk->count == chunk->room)
	{
		chunk->room = Max(64, chunk->room * 2);
		if (chunk->candidates == NULL)
		{
			chunk->candidates = palloc_extended(sizeof(Candidate) * (Size) chunk->room,
												MCXT_ALLOC_HUGE);
			chunk->streams = palloc_extended(sizeof(CachedStream *) * (Size) chunk->room,
											 MCXT_ALLOC_HUGE);
			chunk->places = palloc_extended(sizeof(RowPlace) * (Size) chunk->room,
											MCXT_ALLOC_HUGE);
			chunk->verdicts = palloc_extended(sizeof(Verdict) * (Size) chunk->room,
											  MCXT_ALLOC_HUGE);
		}
		else
		{
			chunk->candidates = repalloc_huge(chunk->candidates,
											  sizeof(Candidate) * (Size) chunk->room);
			chunk->streams = repalloc_huge(chunk->streams,
										   sizeof(CachedStream *) * (Size) chunk->room);
			chunk->places = repalloc_huge(chunk->places,
										  sizeof(RowPlace) * (Size) chunk->room);
			chunk->verdicts = repalloc_huge(chunk->verdicts,
											sizeof(Verdict) * (Size) chunk->room);
			if (chunk->since)
				chunk->since = repalloc_huge(chunk->since,
											 sizeof(TimestampTz) * (Size) chunk->room);
		}
	}
	chunk->candidates[chunk->count] = *candidate;
	chunk->streams[chunk->count] = stream;
	chunk->places[chunk->count] = *place;
	chunk->verdicts[chunk->count++] = VERDICT_OPEN;
	if (chunk->since || since > DT_NOBEGIN)
		ls_chunk_set_since(chunk, chunk->count - 1, since);
}

/*
 * Add the streams that were found for a candidate's contact, each once, but
 * those that are marked as the contact's candidates already.  The row,
 * if there is one, must concern them.
 */
static void
append_found(Chunk *result, uint64 serial, const Candidate *candidate,
			 const RowPlace *place, ActivitySource *kind, TupleTableSlot *row, IndexHits *hits)
{
	StreamSet  *set = result->settlement->set;
	Candidate	added = *candidate;

	added.digest = 0;
	added.is_found = true;
	for (int i = 0; i < hits->n; i++)
	{
		CachedStream *stream;
		RuleProgram *program;

		stream = ls_streams_get(set, hits->streams[i]);
		if (stream == NULL || stream->found_for == serial ||
			(program = ls_streams_program(set, stream)) == NULL)
			continue;
		if (row && !ls_program_is_foreign(program) &&
			!ls_program_concerns(program, kind->source_id, row))
			continue;
		stream->found_for = serial;
		added.stream_id = stream->stream_id;
		append(result, &added, stream, place, DT_NOBEGIN);
	}
}

/* Look up what the rows that a contact has already concern. */
static void
append_rows_of_contact(Chunk *result, uint64 serial, const Candidate *candidate,
					   const RowPlace *place, TupleTableSlot *contact, Snapshot snapshot)
{
	static Lookup found;
	StreamSet  *set = result->settlement->set;

	for (int k = 0; k < set->nkinds; k++)
	{
		ActivitySource *kind = set->kinds[k];
		KeyScan    *scan;
		TupleTableSlot *slot;

		if (kind->missing || ls_streams_lock_paths(set, kind->source_id) == NULL ||
			!ls_look_up_is_worthwhile(set, kind))
			continue;
		scan = ls_keyscan_open(kind->relid, kind->contact_attno, set->contacts->key_base,
							   InvalidAttrNumber, snapshot);
		ls_keyscan_start(scan, candidate->key, NULL);
		while ((slot = ls_keyscan_next(scan, NULL, NULL)) != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			ls_look_up_row(set, kind, slot, contact, &found);
			for (int i = 0; i < found.ndeeper; i++)
				ls_look_up_below(set, found.deeper[i], kind, contact, &found.hits);
			append_found(result, serial, candidate, place, kind, slot, &found.hits);
		}
		ls_keyscan_close(scan);
	}
}

/*
 * Add the rules of the sets of which scores are kept of a contact, whatever they
 * ask for.
 */
static void
append_scores(Chunk *result, uint64 serial, const Candidate *candidate, const RowPlace *place,
			  Snapshot snapshot)
{
	StreamSet  *set = result->settlement->set;
	ScoreReader *reader = ls_scores_open(set->contacts, snapshot, 0);
	KeptScore  *scores;
	int			n;

	if (reader == NULL)
		return;
	n = ls_scores_read(reader, candidate->key, &scores);
	for (int i = 0; i < n; i++)
	{
		CachedScoreSet *score_set = ls_streams_score_set(set, scores[i].score_set_id);

		for (int k = 0; score_set && k < score_set->nrules; k++)
		{
			IndexHits	hits = {.n = 1, .streams = &score_set->rules[k]->stream_id};

			append_found(result, serial, candidate, place, NULL, NULL, &hits);
		}
	}
	ls_scores_close(reader);
}

/*
 * Add the streams that wait for the clock to make them true of a contact: it may
 * have, while the contact was of an account that it has left.
 */
static void
append_waiting(Chunk *result, uint64 serial, const Candidate *candidate, const RowPlace *place,
			   Snapshot snapshot)
{
	StreamSet  *set = result->settlement->set;
	DueReader  *reader = ls_due_open(set->contacts, snapshot);
	DueEntry   *entries;
	int			n;

	if (reader == NULL)
		return;
	n = ls_due_read(reader, candidate->key, 0, &entries);
	for (int i = 0; i < n; i++)
	{
		IndexHits	hits = {.n = 1, .streams = &entries[i].stream_id};
		CachedStream *stream = ls_streams_get(set, entries[i].stream_id);

		if (stream && ls_streams_lock(set, stream) != NULL)
			append_found(result, serial, candidate, place, NULL, NULL, &hits);
	}
	ls_due_close(reader);
}

void
ls_chunk_expand(Chunk *chunk, Snapshot snapshot)
{
	static IndexHits hits;
	static uint64 serial = 0;
	Settlement *settlement = chunk->settlement;
	StreamSet  *set = settlement->set;
	ContactSource *contacts = set->contacts;
	Chunk		result = *chunk;
	RowReader	reader = {NULL, NULL};
	KeyScan    *scan = NULL;
	int			end;

	/* where the contacts are not what they were, rows concern nobody we know */
	if (ls_streams_lock_paths(set, CONTACTS_SOURCE) == NULL)
	{
		for (int i = 0; i < chunk->count; i++)
			if (chunk->candidates[i].stream_id == 0)
				chunk->verdicts[i] = VERDICT_NO;
		return;
	}
	result.candidates = NULL;
	result.since = NULL;
	result.count = result.room = 0;
	for (int start = 0; start < chunk->count; start = end)
	{
		TupleTableSlot *contact = NULL;
		bool		is_sought = false;

		end = ls_chunk_contact_end(chunk, start);
		serial++;
		CHECK_FOR_INTERRUPTS();
		for (int i = start; i < end; i++)
		{
			if (chunk->verdicts[i] != VERDICT_OPEN)
				continue;
			if (chunk->candidates[i].stream_id != 0)
			{
				chunk->streams[i]->found_for = serial;
				append(&result, &chunk->candidates[i], chunk->streams[i], &chunk->places[start],
					   ls_chunk_since(chunk, i));
			}
			else
				is_sought = true;
		}
		if (!is_sought)
			continue;
		if (scan == NULL)
			scan = ls_keyscan_open_locked(contacts->relid, contacts->key_attno,
										  contacts->key_base, InvalidAttrNumber, snapshot);
		contact = ls_keyscan_row_at(scan, &chunk->places[start]);
		if (contact == NULL)
		{
			ls_keyscan_start(scan, chunk->candidates[start].key, NULL);
			contact = ls_keyscan_next(scan, NULL, NULL);
		}
		for (int i = start; i < end && contact; i++)
		{
			Candidate  *candidate = &chunk->candidates[i];
			ActivitySource *kind = settlement->origins[candidate->origin].kind;

			if (chunk->verdicts[i] != VERDICT_OPEN || candidate->stream_id != 0)
				continue;
			if (candidate->digest == KEPT_OF_CONTACT)
			{
				append_scores(&result, serial, candidate, &chunk->places[start], snapshot);
				append_waiting(&result, serial, candidate, &chunk->places[start], snapshot);
				continue;
			}
			if (candidate->digest == ROWS_OF_CONTACT)
			{
				append_rows_of_contact(&result, serial, candidate, &chunk->places[start], contact,
									   snapshot);
				continue;
			}
			hits.n = 0;
			ls_look_up_below(set, candidate->digest, kind, contact, &hits);
			if (hits.n > 0)
				append_found(&result, serial, candidate, &chunk->places[start], kind,
							 read_row(chunk, &reader, candidate), &hits);
		}
	}
	if (scan)
		ls_keyscan_close(scan);
	close_reader(&reader);
	/* the whole of it: what was known of candidates goes by their places */
	*chunk = result;
	(void) ls_chunk_drop_recorded(chunk, true);
}
