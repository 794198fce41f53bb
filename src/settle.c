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
 *	   concurrent writers of these contacts did is visible now.
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
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "contact_lock.h"
#include "deliver.h"
#include "guc.h"
#include "key_scan.h"
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
 * Of equal candidates the one that came first stands first: its row is the
 * evidence.  Rows of a statement come in the order of their tids or nearly
 * so, and any of them will do.
 */
static int
cmp_candidate(const void *a, const void *b, void *arg)
{
	const Candidate *l = a;
	const Candidate *r = b;
	int			cmp = ls_contact_cmp(arg, l->key, r->key);

	if (cmp != 0)
		return cmp;
	if (l->stream != r->stream)
		return l->stream < r->stream ? -1 : 1;
	if (l->origin != r->origin)
		return l->origin < r->origin ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &l->tid, (ItemPointer) &r->tid);
}

void
ls_settle_compact(Settlement *settlement)
{
	ContactOrder order;
	int64		kept = 0;
	Candidate  *c = settlement->candidates;

	if (settlement->ncandidates < 2)
		return;
	ls_contact_order_init(&order, settlement->set->contacts);
	qsort_arg(c, settlement->ncandidates, sizeof(Candidate), cmp_candidate,
			  &order);
	for (int64 i = 1; i < settlement->ncandidates; i++)
		if (c[i].stream != c[kept].stream ||
			ls_contact_cmp(&order, c[i].key, c[kept].key) != 0)
			c[++kept] = c[i];
	settlement->ncandidates = kept + 1;
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

/*
 * Drop the candidates that would add nothing.  False: there are no lead
 * tables, so nothing can be added at all.
 */
static bool
drop_recorded(Chunk *chunk)
{
	ContactSource *contacts = chunk->settlement->set->contacts;
	Oid			lead_relid = ls_catalog_relid("lead");
	Oid			match_relid = ls_catalog_relid("lead_match");
	Snapshot	snapshot;
	KeyScan    *leads;
	KeyScan    *matches;
	KnownMatch *known;
	int			room = 16;
	int			end;

	if (!OidIsValid(lead_relid) || !OidIsValid(match_relid))
		return false;

	known = palloc(room * sizeof(KnownMatch));
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	leads = ls_keyscan_open(lead_relid, LEAD_CONTACT, contacts->key_base,
							InvalidAttrNumber, snapshot);
	matches = ls_keyscan_open(match_relid, LEAD_MATCH_LEAD, INT8OID,
							  InvalidAttrNumber, snapshot);
	for (int start = 0; start < chunk->count; start = end)
	{
		TupleTableSlot *slot;
		int			nknown = 0;

		end = contact_end(chunk, start);
		ls_keyscan_start(leads, chunk->candidates[start].key, NULL);
		while ((slot = ls_keyscan_next(leads, NULL, NULL)) != NULL)
		{
			bool		isnull;
			Datum		lead_id = slot_getattr(slot, LEAD_ID, &isnull);
			int32		team_id = DatumGetInt32(slot_getattr(slot, LEAD_TEAM, &isnull));

			ls_keyscan_start(matches, lead_id, NULL);
			while ((slot = ls_keyscan_next(matches, NULL, NULL)) != NULL)
			{
				if (nknown == room)
					known = repalloc(known, (room *= 2) * sizeof(KnownMatch));
				known[nknown].team_id = team_id;
				known[nknown++].stream_id =
					DatumGetInt32(slot_getattr(slot, LEAD_MATCH_STREAM, &isnull));
			}
		}
		for (int i = start; i < end && nknown > 0; i++)
			if (is_on_record(&chunk->settlement->set->streams[chunk->candidates[i].stream].row,
							 known, nknown))
				chunk->verdicts[i] = VERDICT_NO;
	}
	ls_keyscan_close(matches);
	ls_keyscan_close(leads);
	UnregisterSnapshot(snapshot);
	pfree(known);
	return true;
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
		if (open < end && !ls_contact_lock(locker, chunk->candidates[start].key))
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
		CachedStream *stream = &set->streams[chunk->candidates[i].stream];

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
	return strcmp(ls_judge_account(judge), stream->row.account) == 0;
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
			CachedStream *stream = &set->streams[chunk->candidates[i].stream];
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
				if (!ls_judge_contact(judge, chunk->candidates[start].key))
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

/* Is there an open candidate left? */
static bool
has_open(Chunk *chunk)
{
	for (int i = 0; i < chunk->count; i++)
		if (chunk->verdicts[i] == VERDICT_OPEN)
			return true;
	return false;
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
		MemoryContext oldcontext = CurrentMemoryContext;
		ResourceOwner oldowner = CurrentResourceOwner;
		ErrorData  *volatile error = NULL;
		volatile int current = 0;
		Verdict    *verdicts = palloc(sizeof(Verdict) * chunk->count);

		memcpy(verdicts, chunk->verdicts, sizeof(Verdict) * chunk->count);
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(oldcontext);
		PG_TRY();
		{
			judge_candidates(chunk, snapshot, true, &current);
			ReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(oldcontext);
			CurrentResourceOwner = oldowner;
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(oldcontext);
			error = CopyErrorData();
			FlushErrorState();
			RollbackAndReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(oldcontext);
			CurrentResourceOwner = oldowner;
			if (ls_error_is_fatal(error))
				ReThrowError(error);
		}
		PG_END_TRY();

		if (error == NULL)
			break;

		/* the rest is judged again, without the stream that failed */
		memcpy(chunk->verdicts, verdicts, sizeof(Verdict) * chunk->count);
		ls_streams_break(set, &set->streams[chunk->candidates[current].stream],
						 error);
		FreeErrorData(error);
	}
}


/* -------------------------------------------------------------------------
 * Evidence
 * -------------------------------------------------------------------------
 */

/*
 * Append a value as JSON: integers and booleans bare, times in ISO form and
 * UTC whatever the session's settings, the rest as a string.
 */
static void
append_json_value(StringInfo json, Datum value, Oid type)
{
	Oid			output;
	bool		is_varlena;
	char	   *text;
	char		buffer[MAXDATELEN + 1];
	const int	utc = 0;

	getTypeOutputInfo(type, &output, &is_varlena);
	text = OidOutputFunctionCall(output, value);
	switch (getBaseType(type))
	{
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			escape_json(json, JsonEncodeDateTime(buffer, value,
												 getBaseType(type), &utc));
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			appendStringInfoString(json, text);
			break;
		case BOOLOID:
			appendStringInfoString(json, DatumGetBool(value) ? "true" : "false");
			break;
		default:
			escape_json(json, text);
	}
}

/*
 * Say which row made the match: its kind and, where the table has one, its
 * primary key.  Rows of contacts need no key, the lead has it.
 */
static char *
make_evidence(Settlement *settlement, Candidate *candidate)
{
	CandidateOrigin *origin = &settlement->origins[candidate->origin];
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"%s\": ", origin->is_contact ? "contact" : "kind");
	escape_json(&json, origin->what);
	if (!origin->is_contact)
	{
		Relation	rel = table_open(origin->relid, AccessShareLock);
		Bitmapset  *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
		TupleTableSlot *slot = table_slot_create(rel, NULL);
		TupleDesc	desc = RelationGetDescr(rel);
		ItemPointerData tid = candidate->tid;

		/* ours, and maybe changed again since: any version has the key */
		if (!bms_is_empty(key) &&
			table_tuple_fetch_row_version(rel, &tid, SnapshotAny, slot))
		{
			int			x = -1;
			const char *separator = "";

			appendStringInfoString(&json, ", \"row\": {");
			while ((x = bms_next_member(key, x)) >= 0)
			{
				AttrNumber	attno = x + FirstLowInvalidHeapAttributeNumber;
				bool		isnull;
				Datum		value = slot_getattr(slot, attno, &isnull);

				appendStringInfoString(&json, separator);
				escape_json(&json, NameStr(TupleDescAttr(desc, attno - 1)->attname));
				appendStringInfoString(&json, ": ");
				append_json_value(&json, value, TupleDescAttr(desc, attno - 1)->atttypid);
				separator = ", ";
			}
			appendStringInfoChar(&json, '}');
		}
		ExecDropSingleTupleTableSlot(slot);
		table_close(rel, NoLock);
	}
	appendStringInfoChar(&json, '}');
	return json.data;
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
	int			nmatches = 0;
	DeliverCounts counts = {0, 0};

	chunk->verdicts = palloc0(sizeof(Verdict) * chunk->count);
	if (!drop_recorded(chunk) || !has_open(chunk))
		return;
	lock_contacts(chunk);
	lock_tables(chunk);

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	chunk->clock = read_clock(chunk->settlement);
	judge_candidates(chunk, snapshot, false, &current);
	judge_foreign(chunk, snapshot);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);

	matches = palloc(sizeof(DeliverMatch) * chunk->count);
	for (int i = 0; i < chunk->count; i++)
	{
		Candidate  *candidate = &chunk->candidates[i];

		if (chunk->verdicts[i] != VERDICT_MATCH)
			continue;
		matches[nmatches].key = candidate->key;
		matches[nmatches].stream = &set->streams[candidate->stream].row;
		matches[nmatches].matched_at = chunk->clock;
		matches[nmatches++].evidence = make_evidence(chunk->settlement, candidate);
	}
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
		int			ncontacts = 1;
		MemoryContext chunk_context = AllocSetContextCreate(context,
															"leadstream chunk",
															ALLOCSET_DEFAULT_SIZES);
		Chunk		chunk = {0};

		while (end < settlement->ncandidates)
		{
			if (ls_contact_cmp(&order, settlement->candidates[end - 1].key,
							   settlement->candidates[end].key) != 0 &&
				(++ncontacts > SETTLE_CHUNK || end - start > SETTLE_CHUNK * 20))
				break;
			end++;
		}
		MemoryContextSwitchTo(chunk_context);
		chunk.settlement = settlement;
		chunk.order = &order;
		chunk.candidates = settlement->candidates + start;
		chunk.count = end - start;
		settle_chunk(&chunk);
		MemoryContextSwitchTo(context);
		MemoryContextDelete(chunk_context);
		start = end;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
