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
 *	4. Each candidate is judged.  A rule that is true is a new match if a row
 *	   of the statement counts in a condition in force, or else if the rule
 *	   was not true before: judged again under the same snapshot set back to
 *	   before the statement's command, in which its rows do not exist and the
 *	   contact is as it was.
 *	5. The matches are delivered.
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

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "contact_lock.h"
#include "deliver.h"
#include "evidence.h"
#include "guc.h"
#include "key_scan.h"
#include "lookup.h"
#include "settle.h"

/* Contacts locked and judged under one snapshot. */
#define SETTLE_CHUNK	5000

/* Attribute numbers of the lead tables. */
#define LEAD_ID				1
#define LEAD_CONTACT		2
#define LEAD_TEAM			3
#define LEAD_MATCH_LEAD		1
#define LEAD_MATCH_STREAM	2

typedef enum Verdict
{
	VERDICT_OPEN,
	VERDICT_NO,
	VERDICT_MATCH
} Verdict;

/* Candidates of whole contacts, in key order. */
typedef struct Chunk
{
	Settlement *settlement;
	ContactOrder *order;
	Candidate  *candidates;
	int			count;
	int			room;
	CachedStream **streams;		/* NULL: to be looked up, or gone */
	RowPlace   *places;			/* where a contact was locked; beside its first
								 * candidate */
	Verdict    *verdicts;
	TimestampTz clock;
} Chunk;

/* A match on record, of one contact. */
typedef struct KnownMatch
{
	int32		team_id;
	int32		stream_id;
} KnownMatch;


/* -------------------------------------------------------------------------
 * Order
 * -------------------------------------------------------------------------
 */

/*
 * The candidates of one row, of which there may be many, stand together as it
 * gathered them: a run.
 */
typedef struct Run
{
	Datum		key;
	int64		start;
	int64		count;
} Run;

static inline int
cmp_int_run(const Run *l, const Run *r)
{
	if (DatumGetInt64(l->key) != DatumGetInt64(r->key))
		return DatumGetInt64(l->key) < DatumGetInt64(r->key) ? -1 : 1;
	return l->start < r->start ? -1 : 1;
}

#define ST_SORT			sort_int_runs
#define ST_ELEMENT_TYPE	Run
#define ST_COMPARE(a, b) cmp_int_run(a, b)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

static int
cmp_run(const void *a, const void *b, void *arg)
{
	const Run  *l = a;
	const Run  *r = b;
	int			cmp = ls_contact_cmp(arg, l->key, r->key);

	if (cmp != 0)
		return cmp;
	return l->start < r->start ? -1 : 1;
}

/*
 * The order of one contact's candidates.  Of equal ones the one that came first
 * stands first: its row is the evidence.  Rows of a statement come in the order
 * of their tids or nearly so, and any of them will do.
 */
static inline int
cmp_candidate(const Candidate *l, const Candidate *r)
{
	if (l->stream_id != r->stream_id)
		return l->stream_id < r->stream_id ? -1 : 1;
	if (l->digest != r->digest)
		return l->digest < r->digest ? -1 : 1;
	if (l->origin != r->origin)
		return l->origin < r->origin ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &l->tid, (ItemPointer) &r->tid);
}

#define ST_SORT			sort_candidates
#define ST_ELEMENT_TYPE	Candidate
#define ST_COMPARE(a, b) cmp_candidate(a, b)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Sort one contact's candidates and drop repetitions; returns how many are left. */
static int64
sort_contact(Candidate *first, int64 n)
{
	int64		last = 0;

	sort_candidates(first, n);
	for (int64 i = 1; i < n; i++)
	{
		if (first[i].stream_id != first[last].stream_id ||
			first[i].digest != first[last].digest)
			first[++last] = first[i];
		else if (first[last].stream_id == 0)
			first[last].is_several = true;
	}
	return last + 1;
}

void
ls_settle_compact(Settlement *settlement)
{
	ContactOrder order;
	Candidate  *c = settlement->candidates;
	Candidate  *sorted;
	Run		   *runs;
	int64		nruns = 0;
	int64		kept = 0;
	int64		end;

	if (settlement->ncandidates < 2)
		return;
	ls_contact_order_init(&order, settlement->set->contacts);
	for (int64 i = 0; i < settlement->ncandidates; i++)
		if (i == 0 || c[i].key != c[i - 1].key)
			nruns++;
	runs = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Run) * (Size) nruns);
	sorted = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(Candidate) * (Size) settlement->ncandidates);
	nruns = 0;
	for (int64 i = 0; i < settlement->ncandidates; i++)
	{
		if (i == 0 || c[i].key != c[i - 1].key)
		{
			runs[nruns].key = c[i].key;
			runs[nruns].start = i;
			runs[nruns++].count = 0;
		}
		runs[nruns - 1].count++;
	}
	/* the Datum of an int4 has its sign, and so compares as it is */
	if (order.is_int8 || order.is_int4)
		sort_int_runs(runs, nruns);
	else
		qsort_arg(runs, nruns, sizeof(Run), cmp_run, &order);

	for (int64 start = 0; start < nruns; start = end)
	{
		Candidate  *first = &sorted[kept];
		int64		n = 0;

		for (end = start;
			 end < nruns && ls_contact_cmp(&order, runs[end].key, runs[start].key) == 0;
			 end++)
		{
			memcpy(first + n, c + runs[end].start, sizeof(Candidate) * runs[end].count);
			n += runs[end].count;
		}
		kept += sort_contact(first, n);
	}
	memcpy(c, sorted, sizeof(Candidate) * (Size) kept);
	settlement->ncandidates = kept;
	pfree(sorted);
	pfree(runs);
}

static int
cmp_rekeyed(const void *a, const void *b, void *arg)
{
	return ls_contact_cmp(arg, ((const Rekeyed *) a)->key,
						  ((const Rekeyed *) b)->key);
}

/* The key that a contact had before the statement. */
static Datum
old_key(Settlement *settlement, ContactOrder *order, Datum key)
{
	int			low = 0;
	int			high = settlement->nrekeyed;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			cmp = ls_contact_cmp(order, settlement->rekeyed[middle].key, key);

		if (cmp == 0)
			return settlement->rekeyed[middle].old_key;
		if (cmp < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return key;
}

/* The end of the run of one contact's candidates that starts here. */
static int
contact_end(Chunk *chunk, int start)
{
	int			end = start + 1;

	while (end < chunk->count &&
		   ls_contact_cmp(chunk->order, chunk->candidates[start].key,
						  chunk->candidates[end].key) == 0)
		end++;
	return end;
}


/* -------------------------------------------------------------------------
 * What is on record already
 * -------------------------------------------------------------------------
 */

/* Does every team of the stream have the match? */
static bool
is_on_record(const StreamRow *stream, KnownMatch *known, int nknown)
{
	for (int t = 0; t < stream->nteams; t++)
	{
		int			i;

		for (i = 0; i < nknown; i++)
			if (known[i].stream_id == stream->stream_id &&
				known[i].team_id == stream->team_ids[t])
				break;
		if (i == nknown)
			return false;
	}
	return true;
}

/* Leads and their matches, read under one snapshot. */
typedef struct Records
{
	Snapshot	snapshot;		/* NULL: nothing is open yet */
	KeyScan    *leads;
	Oid			match_relid;
	KeyScan    *matches;		/* NULL until there is a lead */
} Records;

/*
 * Drop those of a contact's candidates, from start to end, whose streams it
 * has the matches of.
 */
static void
drop_recorded_of_contact(Chunk *chunk, Records *records, int start, int end)
{
	TupleTableSlot *slot;
	KnownMatch *known = NULL;
	int			nknown = 0;
	int			room = 0;

	ls_keyscan_start(records->leads, chunk->candidates[start].key, NULL);
	while ((slot = ls_keyscan_next(records->leads, NULL, NULL)) != NULL)
	{
		bool		isnull;
		Datum		lead_id = slot_getattr(slot, LEAD_ID, &isnull);
		int32		team_id = DatumGetInt32(slot_getattr(slot, LEAD_TEAM, &isnull));

		if (records->matches == NULL)
			records->matches = ls_keyscan_open(records->match_relid, LEAD_MATCH_LEAD,
											   INT8OID, InvalidAttrNumber,
											   records->snapshot);
		ls_keyscan_start(records->matches, lead_id, NULL);
		while ((slot = ls_keyscan_next(records->matches, NULL, NULL)) != NULL)
		{
			if (nknown == room)
			{
				room = Max(16, room * 2);
				known = known == NULL ? palloc(room * sizeof(KnownMatch)) :
					repalloc(known, room * sizeof(KnownMatch));
			}
			known[nknown].team_id = team_id;
			known[nknown++].stream_id =
				DatumGetInt32(slot_getattr(slot, LEAD_MATCH_STREAM, &isnull));
		}
	}
	for (int i = start; i < end && nknown > 0; i++)
		if (chunk->streams[i] && chunk->verdicts[i] == VERDICT_OPEN &&
			is_on_record(chunk->streams[i]->row, known, nknown))
			chunk->verdicts[i] = VERDICT_NO;
	if (known)
		pfree(known);
}

/*
 * Drop the candidates that would add nothing: of those that rows named, or of
 * those that were found since.  False: there are no lead tables, so nothing
 * can be added at all.
 */
static bool
drop_recorded(Chunk *chunk, bool is_found)
{
	ContactSource *contacts = chunk->settlement->set->contacts;
	Oid			lead_relid = ls_catalog_relid("lead");
	Records		records = {.match_relid = ls_catalog_relid("lead_match")};
	int			end;

	if (!OidIsValid(lead_relid) || !OidIsValid(records.match_relid))
		return false;

	for (int start = 0; start < chunk->count; start = end)
	{
		bool		any = false;

		end = contact_end(chunk, start);
		for (int i = start; i < end && !any; i++)
			any = chunk->streams[i] != NULL && chunk->candidates[i].is_found == is_found &&
				chunk->verdicts[i] == VERDICT_OPEN;
		if (!any)
			continue;
		if (records.snapshot == NULL)
		{
			CommandCounterIncrement();
			records.snapshot = RegisterSnapshot(GetLatestSnapshot());
			records.leads = ls_keyscan_open(lead_relid, LEAD_CONTACT, contacts->key_base,
											InvalidAttrNumber, records.snapshot);
		}
		drop_recorded_of_contact(chunk, &records, start, end);
	}
	if (records.snapshot)
	{
		if (records.matches)
			ls_keyscan_close(records.matches);
		ls_keyscan_close(records.leads);
		UnregisterSnapshot(records.snapshot);
	}
	return true;
}


/* -------------------------------------------------------------------------
 * Streams
 * -------------------------------------------------------------------------
 */

/* How many candidates one stands for. */
static int64
weight(Settlement *settlement, const Candidate *candidate)
{
	return candidate->stream_id >= 0 ? 1 :
		ls_groups_get(settlement->groups, CANDIDATE_GROUP(candidate->stream_id))->n;
}

/* Put the streams of groups in their places. */
static void
ungroup(Chunk *chunk)
{
	Settlement *settlement = chunk->settlement;
	Candidate  *candidates;
	int64		total = 0;
	int			count = 0;
	int			end;

	if (settlement->groups == NULL)
		return;
	for (int i = 0; i < chunk->count; i++)
		total += weight(settlement, &chunk->candidates[i]);
	candidates = palloc_extended(sizeof(Candidate) * (Size) total, MCXT_ALLOC_HUGE);
	for (int start = 0; start < chunk->count; start = end)
	{
		Candidate  *first = &candidates[count];
		bool		is_sorted = true;
		int			n = 0;

		end = contact_end(chunk, start);
		CHECK_FOR_INTERRUPTS();
		for (int i = start; i < end; i++)
		{
			Candidate  *candidate = &chunk->candidates[i];
			StreamGroup *group;

			if (candidate->stream_id >= 0)
			{
				/* whoever comes after one of a group may be in it too */
				is_sorted &= i == start || chunk->candidates[start].stream_id >= 0;
				first[n++] = *candidate;
				continue;
			}
			group = ls_groups_get(settlement->groups, CANDIDATE_GROUP(candidate->stream_id));
			for (int k = 0; k < group->n; k++)
			{
				is_sorted &= n == 0 || first[n - 1].stream_id < group->streams[k];
				first[n] = *candidate;
				first[n++].stream_id = group->streams[k];
			}
		}
		count += is_sorted ? n : sort_contact(first, n);
	}
	chunk->candidates = candidates;
	chunk->count = count;
}

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
	   const RowPlace *place)
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
		}
	}
	chunk->candidates[chunk->count] = *candidate;
	chunk->streams[chunk->count] = stream;
	chunk->places[chunk->count] = *place;
	chunk->verdicts[chunk->count++] = VERDICT_OPEN;
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
		append(result, &added, stream, place);
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
 * Now that the contacts are locked, put streams in place of the digests below
 * which they are found.
 */
static void
expand(Chunk *chunk, Snapshot snapshot)
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
	result.count = result.room = 0;
	for (int start = 0; start < chunk->count; start = end)
	{
		TupleTableSlot *contact = NULL;
		bool		is_sought = false;

		end = contact_end(chunk, start);
		serial++;
		CHECK_FOR_INTERRUPTS();
		for (int i = start; i < end; i++)
		{
			if (chunk->verdicts[i] != VERDICT_OPEN)
				continue;
			if (chunk->candidates[i].stream_id != 0)
			{
				chunk->streams[i]->found_for = serial;
				append(&result, &chunk->candidates[i], chunk->streams[i], &chunk->places[start]);
			}
			else
				is_sought = true;
		}
		if (!is_sought)
			continue;
		if (scan == NULL)
			scan = ls_keyscan_open(contacts->relid, contacts->key_attno,
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
	chunk->candidates = result.candidates;
	chunk->streams = result.streams;
	chunk->places = result.places;
	chunk->verdicts = result.verdicts;
	chunk->count = result.count;
	(void) drop_recorded(chunk, true);
}

/* Lock the contacts of open candidates; those that are gone are dropped. */
static void
lock_contacts(Chunk *chunk)
{
	RowLocker  *locker = ls_contact_lock_begin(chunk->settlement->set->contacts);
	int			end;

	for (int start = 0; start < chunk->count; start = end)
	{
		int			open;

		end = contact_end(chunk, start);
		for (open = start; open < end; open++)
			if (chunk->verdicts[open] == VERDICT_OPEN)
				break;
		if (open < end && ls_row_lock_at(locker, chunk->candidates[start].key,
										 &chunk->places[start]) == 0)
			for (int i = start; i < end; i++)
				chunk->verdicts[i] = VERDICT_NO;
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
	static uint64 settling = 0;
	StreamSet  *set = chunk->settlement->set;
	uint64		this_one = ++settling;

	for (int i = 0; i < chunk->count; i++)
	{
		CachedStream *stream = chunk->streams[i];

		if (chunk->verdicts[i] != VERDICT_OPEN || stream->locked_for == this_one)
			continue;
		stream->locked_for = this_one;
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
	Judge	   *judge_before = NULL;
	Snapshot	before = NULL;
	int			end;

	for (int start = 0; start < chunk->count; start = end)
	{
		bool		stepped = false;
		bool		stepped_before = false;
		bool		existed = false;

		end = contact_end(chunk, start);
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
				chunk->verdicts[i] = VERDICT_NO;
				continue;
			}
			if (ls_program_is_foreign(program) != foreign)
				continue;

			if (judge == NULL)
				judge = ls_judge_begin(set->contacts, snapshot, chunk->clock,
									   settlement->command, settlement->root);
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
				stepped = true;
			}
			if (!is_own_account(judge, stream) ||
				!ls_judge_program(judge, program, &fresh))
			{
				chunk->verdicts[i] = VERDICT_NO;
				continue;
			}
			if (fresh)
			{
				chunk->verdicts[i] = VERDICT_MATCH;
				continue;
			}

			if (judge_before == NULL)
			{
				before = snapshot_before(snapshot, settlement->command);
				judge_before = ls_judge_begin(set->contacts, before,
											  chunk->clock, InvalidCommandId,
											  InvalidOid);
			}
			if (!stepped_before)
			{
				existed = ls_judge_contact(judge_before,
										   old_key(settlement, chunk->order,
												   chunk->candidates[start].key));
				stepped_before = true;
			}
			chunk->verdicts[i] =
				existed && is_own_account(judge_before, stream) &&
				ls_judge_program(judge_before, program, NULL) ?
				VERDICT_NO : VERDICT_MATCH;
		}
	}
	if (judge_before)
	{
		ls_judge_end(judge_before);
		UnregisterSnapshot(before);
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
			*witness = ls_witness_begin(origin->kind == NULL ? "contact" : "kind",
										origin->what,
										origin->kind == NULL ? InvalidOid : origin->relid);
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

static void
settle_chunk(Chunk *chunk)
{
	StreamSet  *set = chunk->settlement->set;
	Snapshot	snapshot;
	volatile int current = 0;
	DeliverMatch *matches;
	Candidate **matched;
	int			nmatches = 0;
	DeliverCounts counts = {0, 0};

	ungroup(chunk);
	chunk->verdicts = palloc0(sizeof(Verdict) * chunk->count);
	chunk->streams = palloc0(sizeof(CachedStream *) * chunk->count);
	chunk->places = palloc(sizeof(RowPlace) * chunk->count);
	find_streams(chunk);
	if (!drop_recorded(chunk, false) || !has_open(chunk))
		return;
	lock_contacts(chunk);
	if (has_sought(chunk))
	{
		CommandCounterIncrement();
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		PushActiveSnapshot(snapshot);
		expand(chunk, snapshot);
		PopActiveSnapshot();
		UnregisterSnapshot(snapshot);
		if (!has_open(chunk))
			return;
	}
	lock_tables(chunk);

	/* under a snapshot of its own: a table may have changed until it was locked */
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	chunk->clock = read_clock(chunk->settlement);
	judge_candidates(chunk, snapshot, false, &current);
	judge_foreign(chunk, snapshot);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);

	matches = palloc(sizeof(DeliverMatch) * chunk->count);
	matched = palloc(sizeof(Candidate *) * chunk->count);
	for (int i = 0; i < chunk->count; i++)
	{
		Candidate  *candidate = &chunk->candidates[i];

		if (chunk->verdicts[i] != VERDICT_MATCH)
			continue;
		matches[nmatches].key = candidate->key;
		matches[nmatches].stream = chunk->streams[i]->row;
		matches[nmatches].matched_at = chunk->clock;
		matched[nmatches++] = candidate;
	}
	add_evidence(chunk, matched, matches, nmatches);
	ls_deliver(set->contacts, matches, nmatches, chunk->clock, "live", false,
			   &counts);
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
	qsort_arg(settlement->rekeyed, settlement->nrekeyed, sizeof(Rekeyed),
			  cmp_rekeyed, &order);

	while (start < settlement->ncandidates)
	{
		int64		end = start + 1;
		int64		total = weight(settlement, &settlement->candidates[start]);
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
			total += weight(settlement, &settlement->candidates[end]);
			end++;
		}
		MemoryContextSwitchTo(chunk_context);
		chunk.settlement = settlement;
		chunk.order = &order;
		chunk.candidates = settlement->candidates + start;
		chunk.count = end - start;
		settlement->set->held++;
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
