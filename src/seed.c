/*-------------------------------------------------------------------------
 *
 * seed.c
 *	  Seeding the clock queue for streams that are new to it.
 *
 * A stream that was enabled, or whose rule was altered, is seeded by the next tick.
 * If time alone can make it true, all contacts are looked at, once for all such
 * streams, and get an entry if the rule is going to turn true.  What has happened
 * since the stream was enabled is part of it, so its seeds may be due at once.
 * Otherwise only contacts are looked at that have rows in the future.
 *
 * Nothing is locked.  It needs a snapshot that sees all that was written by those
 * who did not know of the stream yet: they hold locks on the tables that it reads,
 * so a tick waits a moment for who writes there now, and if that is not enough
 * leaves the stream for the next one; which need only wait for those who have been
 * there since (horizon.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "bind_operand.h"
#include "due.h"
#include "guc.h"
#include "horizon.h"
#include "owner_sql.h"
#include "rule_timeline.h"
#include "rule_turns.h"
#include "seed.h"
#include "segment.h"
#include "stream_cache.h"
#include "stream_mark.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_needs_seeds);

/* Streams that one pass over the contacts seeds, and seeds written together. */
#define SEED_STREAMS	1000
#define SEED_BATCH		5000

/* Milliseconds that a tick waits, in all, for those who are in the way of seeds. */
#define SEED_PATIENCE	500

typedef struct SeedQuestion
{
	const Rule *rule;
	const char *account;
	bool		result;
} SeedQuestion;

static void
ask_for_seeds(void *arg)
{
	SeedQuestion *question = arg;

	question->result =
		ls_rule_needs_seeds(ls_rule_bind(ls_segments_put(question->rule, question->account, NULL),
										 ls_catalog_contacts(), ls_catalog_activities()));
}

/* _needs_seeds(rule, account text) -> boolean */
Datum
leadstream_needs_seeds(PG_FUNCTION_ARGS)
{
	SeedQuestion question = {PG_GETARG_RULE_P(0), text_to_cstring(PG_GETARG_TEXT_PP(1)), true};
	ErrorData  *error = ls_attempt(ask_for_seeds, &question);

	PG_RETURN_BOOL(error != NULL || question.result);
}

/* A stream that is being seeded. */
typedef struct SeedStream
{
	CachedStream *stream;
	RuleProgram *program;
	TimestampTz from;			/* when its run began */
} SeedStream;

/* A pass over the contacts, all or those with rows in the future. */
typedef struct SeedPass
{
	StreamSet  *set;
	Snapshot	snapshot;
	bool		is_of_future;
	SeedStream *streams;
	int			nstreams;
	DueChange  *changes;
	int			nchanges;
	MemoryContext context;		/* of the changes' keys */
	int		   *patience;
	bool		is_complete;	/* nobody was left out */
} SeedPass;

static void
write_seeds(SeedPass *pass)
{
	if (!ls_due_seed(pass->set->contacts, pass->snapshot, pass->changes, pass->nchanges,
					 pass->patience))
		pass->is_complete = false;
	pass->nchanges = 0;
	MemoryContextReset(pass->context);
}

/* Streams that are passed over together are in the order of their accounts. */
static int
cmp_accounts(const void *a, const void *b)
{
	return strcmp(((const SeedStream *) a)->stream->row->account,
				  ((const SeedStream *) b)->stream->row->account);
}

/* Where an account's streams begin, or others if it has none. */
static int
first_of_account(SeedPass *pass, const char *account)
{
	int			low = 0;
	int			high = pass->nstreams;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (strcmp(pass->streams[middle].stream->row->account, account) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Does a pass speak of the contact that the judge stepped to? */
static bool
is_spoken_of(SeedPass *pass, Judge *judge)
{
	const char *account = ls_judge_account(judge);
	int			first = first_of_account(pass, account);

	return first < pass->nstreams &&
		strcmp(pass->streams[first].stream->row->account, account) == 0;
}

/* Find out of the contact that the judge stepped to when rules turn true. */
static void
seed_contact(SeedPass *pass, Judge *judge, int16 len, bool byval)
{
	const char *account = ls_judge_account(judge);
	Datum		key = (Datum) 0;
	bool		has_key = false;

	for (int i = first_of_account(pass, account); i < pass->nstreams; i++)
	{
		SeedStream *seed = &pass->streams[i];
		const StreamRow *row = seed->stream->row;
		TimestampTz at;
		bool		is_true;
		DueChange  *change;

		if (strcmp(account, row->account) != 0)
			break;
		if (!ls_timeline_next(ls_judge_timeline(judge, seed->program, seed->from, false),
							  seed->from, &at, &is_true))
			continue;
		if (!has_key)
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(pass->context);

			key = ls_judge_key(judge);
			key = len == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(key)) :
				datumCopy(key, byval, len);
			has_key = true;
			MemoryContextSwitchTo(oldcontext);
		}
		change = &pass->changes[pass->nchanges++];
		memset(change, 0, sizeof(DueChange));
		change->key = key;
		change->stream_id = row->stream_id;
		change->is_set = true;
		change->run = row->run;
		change->at = at;
		change->arrival = is_true;
	}
}

/* Look at all contacts. */
static void
seed_all(SeedPass *pass, Judge *judge, int16 len, bool byval)
{
	List	   *leaves = find_all_inheritors(pass->set->contacts->relid, AccessShareLock, NULL);
	ListCell   *lc;

	foreach(lc, leaves)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		TableScanDesc scan;
		TupleTableSlot *slot;

		if (rel->rd_rel->relkind != RELKIND_RELATION)
		{
			table_close(rel, NoLock);
			continue;
		}
		slot = table_slot_create(rel, NULL);
		scan = table_beginscan(rel, pass->snapshot, 0, NULL);
		while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		{
			RowPlace	place = {RelationGetRelid(rel), slot->tts_tid};

			CHECK_FOR_INTERRUPTS();
			if (!ls_judge_contact_at(judge, (Datum) 0, &place) || !is_spoken_of(pass, judge))
				continue;
			/* its rows are found by the key, which is in its own row */
			if (!ls_judge_contact_at(judge, ls_judge_key(judge), &place))
				continue;
			seed_contact(pass, judge, len, byval);
			if (pass->nchanges >= SEED_BATCH)
				write_seeds(pass);
		}
		table_endscan(scan);
		ExecDropSingleTupleTableSlot(slot);
		table_close(rel, NoLock);
	}
}

/*
 * Look at the contacts that have rows of a source in the future, as seen from
 * an instant.  A column without a zone may be off by a day.
 */
static void
seed_source(SeedPass *pass, Judge *judge, ActivitySource *source, TimestampTz from,
			int16 len, bool byval)
{
	Oid			types[1] = {TIMESTAMPTZOID};
	Datum		values[1] = {TimestampTzGetDatum(from)};
	OwnerState	owner;
	SPIPlanPtr	plan;
	SPITupleTable *table;
	uint64		n;

	if (!ls_owner_begin_of(source->relid, &owner))
		return;
	plan = SPI_prepare(psprintf("select distinct a.%s::%s from %s a where a.%s > ($1 - interval '2 days')::%s",
								quote_identifier(source->contact_name),
								ls_bind_type_name(pass->set->contacts->key_base),
								quote_qualified_identifier(get_namespace_name(get_rel_namespace(source->relid)),
														   get_rel_name(source->relid)),
								quote_identifier(source->time_name),
								ls_bind_type_name(source->time_type)),
					   1, types);
	if (plan == NULL || SPI_execute_snapshot(plan, values, NULL, pass->snapshot,
											 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_snapshot failed");
	table = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		key = SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (isnull || !ls_judge_contact(judge, key))
			continue;
		seed_contact(pass, judge, len, byval);
		if (pass->nchanges >= SEED_BATCH)
			write_seeds(pass);
	}
	ls_owner_end(&owner);
	/* the next source may bring the same contacts */
	write_seeds(pass);
}

/* Look at the contacts that have rows in the future. */
static void
seed_future(SeedPass *pass, Judge *judge, int16 len, bool byval)
{
	List	   *seen = NIL;

	for (int i = 0; i < pass->nstreams; i++)
	{
		RuleProgram *program = pass->streams[i].program;

		for (int a = 0; a < program->naggregates; a++)
			for (int s = 0; s < program->aggregates[a].nsources; s++)
			{
				ActivitySource *source = program->aggregates[a].sources[s].source;
				TimestampTz from = DT_NOEND;

				if (ls_source_is_own(source) || source->time_attno == InvalidAttrNumber ||
					list_member_int(seen, source->source_id))
					continue;
				seen = lappend_int(seen, source->source_id);
				for (int k = 0; k < pass->nstreams; k++)
					from = Min(from, pass->streams[k].from);
				seed_source(pass, judge, source, from, len, byval);
			}
	}
}

/* Look at contacts for some streams. */
static void
seed_pass(void *arg)
{
	SeedPass   *pass = arg;
	ContactSource *contacts = pass->set->contacts;
	Judge	   *judge = ls_judge_begin(contacts, pass->snapshot, ls_clock_read(),
									   InvalidCommandId, InvalidOid);
	int16		len = contacts->key_len;
	bool		byval = contacts->key_byval;

	if (pass->is_of_future)
		seed_future(pass, judge, len, byval);
	else
		seed_all(pass, judge, len, byval);
	write_seeds(pass);
	ls_judge_end(judge);
}

/* The tables that programs read. */
static List *
tables_of_streams(StreamSet *set, SeedStream *streams, int n)
{
	List	   *relids = list_make1_oid(set->contacts->relid);

	for (int i = 0; i < n; i++)
		for (int a = 0; a < streams[i].program->naggregates; a++)
			for (int s = 0; s < streams[i].program->aggregates[a].nsources; s++)
			{
				ActivitySource *source = streams[i].program->aggregates[a].sources[s].source;

				if (!ls_source_is_own(source))
					relids = list_append_unique_oid(relids, source->relid);
			}
	return relids;
}

/* Take the seeds of streams back. */
static void
undo_seeds(Datum *ids, int n)
{
	Datum		value = ls_owner_array(ids, NULL, n, INT4OID);
	OwnerState	owner;

	if (n > 0 && ls_owner_begin(&owner))
	{
		ls_owner_run(OWNER_UNDO_SEEDS, NULL, &value, NULL);
		ls_owner_end(&owner);
	}
}

/*
 * Say that streams are seeded, and clean up: markers are of no use any more,
 * nor are seeds of contacts that have the match of a stream that matches them
 * once.  A stream that has begun another run is not meant, and one that somebody
 * is changing waits for the next tick.
 */
static void
finish_seeding(ContactSource *contacts, Datum *streams, Datum *runs, int n, Datum once)
{
	Oid			types[1] = {INT4ARRAYOID};
	Datum		ids = ls_owner_array(streams, NULL, n, INT4OID);
	OwnerState	owner;
	List	   *marked;
	int			nleft = 0;

	if (ls_owner_begin(&owner))
	{
		ls_owner_run(OWNER_DROP_SEEDS, NULL, &ids, NULL);
		if (SPI_execute_with_args(psprintf("delete from leadstream.due d where d.is_seed and d.stream_id = any ($1) and not exists ("
										   "select from leadstream.stream_team t where t.stream_id = d.stream_id and not exists ("
										   "select from leadstream.lead l join leadstream.lead_match m on m.lead_id = l.lead_id"
										   " where l.contact_id %s d.contact_id and l.team_id = t.team_id and m.stream_id = d.stream_id))",
										   ls_catalog_key_operator(contacts)),
								  1, types, &once, NULL, false, 0) < 0)
			elog(ERROR, "SPI_execute_with_args failed");
		ls_owner_end(&owner);
	}

	marked = ls_streams_mark_seeded(ids, ls_owner_array(runs, NULL, n, INT4OID));
	for (int i = 0; i < n; i++)
		if (list_length(marked) < n && !list_member_int(marked, DatumGetInt32(streams[i])))
			streams[nleft++] = streams[i];
	undo_seeds(streams, nleft);
}

/*
 * Seed some streams; of one whose rule raises an error the program is gone, and
 * of all if somebody was left out.
 */
static bool
seed_streams(StreamSet *set, SeedStream *streams, int n, bool is_foreign, bool is_of_future,
			 int *patience)
{
	SeedPass	pass = {.set = set, .is_of_future = is_of_future, .patience = patience,
	.is_complete = true};
	ErrorData  *error = NULL;

	if (n == 0)
		return true;
	pass.snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(pass.snapshot);
	pass.streams = streams;
	pass.nstreams = n;
	pass.context = AllocSetContextCreate(CurrentMemoryContext, "leadstream seeds",
										 ALLOCSET_DEFAULT_SIZES);
	pass.changes = palloc(sizeof(DueChange) * (SEED_BATCH + n));
	for (int i = 0; i < n; i++)
		(void) ls_streams_lock(set, streams[i].stream);
	if (is_foreign)
		error = ls_attempt(seed_pass, &pass);
	else
		seed_pass(&pass);
	if (error)
	{
		ls_streams_break(set, streams[0].stream, error);
		streams[0].program = NULL;
	}
	if (!pass.is_complete)
	{
		Datum	   *ids = palloc(sizeof(Datum) * n);

		for (int i = 0; i < n; i++)
		{
			ids[i] = Int32GetDatum(streams[i].stream->row->stream_id);
			streams[i].program = NULL;
		}
		undo_seeds(ids, n);
		pfree(ids);
	}
	PopActiveSnapshot();
	UnregisterSnapshot(pass.snapshot);
	pfree(pass.changes);
	MemoryContextDelete(pass.context);
	return pass.is_complete;
}

/*
 * Streams in the order in which they are seeded, as far as they were changed
 * before a transaction; where each sort of them ends, and how many they are.
 */
static int
sort_streams(StreamSet *set, List *ids, uint64 before, SeedStream *streams, int ends[4])
{
	int			n = 0;
	ListCell   *lc;

	for (int sort = 0; sort < 4; sort++)
	{
		int			n_of_sort;

		foreach(lc, ids)
		{
			CachedStream *stream = ls_streams_get(set, lfirst_int(lc));
			RuleProgram *program = stream ? ls_streams_program(set, stream) : NULL;

			if (program == NULL || ls_program_is_foreign(program) != (sort >= 2) ||
				program->turns_by_time != (sort % 2 == 0) || stream->row->changed >= before)
				continue;
			streams[n].stream = stream;
			streams[n].program = program;
			/* what came since and turns nothing by time was judged when it came */
			streams[n].from = TIMESTAMP_NOT_FINITE(stream->row->enabled_at) ?
				ls_clock_read() : stream->row->enabled_at;
			if (!program->turns_by_time)
				streams[n].from = Max(streams[n].from, ls_clock_read());
			n++;
		}
		ends[sort] = n;
		n_of_sort = sort == 0 ? n : n - ends[sort - 1];
		qsort(streams + n - n_of_sort, n_of_sort, sizeof(SeedStream), cmp_accounts);
	}
	return n;
}

/*
 * The same of those streams that all who write know of: because nobody who
 * might not does any more, or they are below the horizon.  Returns whether
 * these are all.
 */
static bool
find_known(StreamSet *set, List *ids, SeedStream *streams, int ends[4])
{
	uint64		horizon = ls_horizon();
	int			patience = SEED_PATIENCE;
	int			n = sort_streams(set, ids, PG_UINT64_MAX, streams, ends);
	int			nknown = 0;

	for (int i = 0; i < n; i++)
		if (streams[i].stream->row->changed < horizon)
			nknown++;
	if (nknown == n || ls_writers_gone(tables_of_streams(set, streams, n), &patience))
		return true;
	ls_horizon_move();
	(void) sort_streams(set, ids, horizon, streams, ends);
	return false;
}

/* Seed streams. */
static void
seed(StreamSet *set, List *ids)
{
	SeedStream *streams;
	int			ends[4];		/* of each sort of streams */
	Datum	   *done;
	Datum	   *runs;
	int			ndone = 0;
	Datum	   *once;
	int			nonce = 0;
	int			patience = SEED_PATIENCE;
	bool		are_all;
	bool		is_complete = true;

	streams = palloc(sizeof(SeedStream) * list_length(ids));
	done = palloc(sizeof(Datum) * list_length(ids));
	runs = palloc(sizeof(Datum) * list_length(ids));
	once = palloc(sizeof(Datum) * list_length(ids));
	are_all = find_known(set, ids, streams, ends);
	for (int sort = 0; sort < lengthof(ends) && is_complete; sort++)
	{
		int			size = sort >= 2 ? 1 : SEED_STREAMS;

		for (int i = sort == 0 ? 0 : ends[sort - 1]; i < ends[sort] && is_complete; i += size)
		{
			int			several = Min(size, ends[sort] - i);

			is_complete = seed_streams(set, streams + i, several, sort >= 2, sort % 2 == 1,
									   &patience);
			for (int k = i; k < i + several; k++)
			{
				if (streams[k].program == NULL)
					continue;
				done[ndone] = Int32GetDatum(streams[k].stream->row->stream_id);
				if (streams[k].stream->row->requalify_after == NULL)
					once[nonce++] = done[ndone];
				runs[ndone++] = Int32GetDatum(streams[k].stream->row->run);
			}
		}
	}
	if (ndone > 0)
		finish_seeding(set->contacts, done, runs, ndone,
					   ls_owner_array(once, NULL, nonce, INT4OID));
	if (!is_complete || !are_all)
		ereport(NOTICE,
				(errmsg("streams are not looked after by the clock yet"),
				 errdetail("Transactions are in the way that write what the streams speak of, or delete contacts."),
				 errhint("The next tick tries again.")));
}

void
ls_seed_unseeded(void)
{
	List	   *ids = ls_streams_unseeded();
	StreamSet  *set;

	/* one at a time: two would wait for each other */
	if (ids == NIL || !ls_catalog_turn("due", 0, false))
		return;
	/* somebody may have seeded them while we looked */
	ids = ls_streams_unseeded();
	set = ids == NIL ? NULL : ls_streams_pin();
	if (set == NULL)
		return;
	set->held++;
	PG_TRY();
	{
		seed(set, ids);
	}
	PG_CATCH();
	{
		set->held--;
		ls_streams_unpin(set);
		PG_RE_THROW();
	}
	PG_END_TRY();
	set->held--;
	ls_streams_unpin(set);
	CommandCounterIncrement();
}
