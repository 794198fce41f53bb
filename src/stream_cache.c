/*-------------------------------------------------------------------------
 *
 * stream_cache.c
 *	  The enabled streams, as this backend knows them.
 *
 * A StreamSet is what leadstream's tables said at one moment: the contacts
 * table and the kinds at once, streams and where they are entered by need, so
 * that a session pays for those it meets.  All is read like a system catalog,
 * by systable scans under a fresh catalog snapshot: through SPI a REPEATABLE
 * READ transaction would fill the cache with streams as old as its snapshot,
 * and they would stay, their invalidation being spent already.
 *
 * Lifetimes.  Three kinds of objects, each in an own memory context below
 * CacheMemoryContext, and counted:
 *
 *	  StreamSet --> StreamProgram --> StreamSources
 *
 * A set is in use by its pins and by being the current one.  A program (a
 * rule bound to its tables; stream_program.c) may outlive it, and so may the
 * sources, what is attached (stream_sources.c): they are kept for as long as
 * they come out equal when read again.
 *
 * One state.  What is read by need must be of one state of the streams, or a
 * stream altered meanwhile could be missed under its old rule and its new one.
 * So a statement reads under one snapshot, that of its beginning.  That the set
 * remembers nothing older, messages do not tell: they come when a change is
 * visible already.  Before a statement reads anything, or concludes anything
 * from what it found, it looks whether a transaction that the snapshot sees
 * and the set has not seen has changed a stream.  If so the set forgets what
 * it read, and the row at hand is looked up again (its epoch tells).
 *
 * Invalidation.  A message about streams (table_watch.c) is delivered to others
 * at commit, to ourselves at the next command and again when the
 * (sub)transaction is rolled back, so a set that saw changes which then never
 * happened is not kept.  A new set begins with nothing but the sources: one
 * stream changed among a hundred thousand costs a session what it asks for
 * next, not a rebuild.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/catcache.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "stream_cache.h"
#include "table_watch.h"

/* Readings before we take what we have, though invalidations keep coming. */
#define MAX_LOAD_ATTEMPTS			5

/* Streams that a set remembers, without their programs; some hundred bytes each. */
#define MAX_STREAMS					10000

/* Warnings about streams of a kind that has lost a column. */
#define MAX_BROKEN_WARNINGS			100

/* The streams of a set, which rows ask for one by one. */
typedef struct StreamEntry
{
	int32		stream_id;
	char		status;
	CachedStream *stream;
} StreamEntry;

#define SH_PREFIX		streams
#define SH_ELEMENT_TYPE	StreamEntry
#define SH_KEY_TYPE		int32
#define SH_KEY			stream_id
#define SH_HASH_KEY(tb, key)	murmurhash32(key)
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static bool is_begun = false;
static MemoryContext cache_context = NULL;
static StreamSet *current_set = NULL;
static Oid	stream_relid = InvalidOid;

/*
 * Messages received before the current set was read.  It is good while there
 * were none about streams or tables since.
 */
static WatchCounts counts_seen = {0, 0, 0};
static bool was_read = false;	/* is current_set (or NULL) what was read? */


/* Transactions with an id that this backend has ended. */
static uint64 ended_here = 0;

static void
count_ended(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) &&
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ended_here++;
}

/*
 * How many transactions had others ended when a snapshot was taken?  What we do
 * ourselves, a message tells us.  Two-phase ones and subtransactions count as
 * theirs, which is safe.
 */
static uint64
ended_elsewhere(Snapshot snapshot)
{
	return snapshot->snapXactCompletionCount - ended_here;
}

/* Make what lives as long as the backend. */
static void
init_cache(void)
{
	if (is_begun)
		return;

	if (CacheMemoryContext == NULL)
		CreateCacheMemoryContext();
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "leadstream streams",
											  ALLOCSET_SMALL_SIZES);
	ls_stream_programs_init(cache_context);
	ls_watch_init(cache_context);
	RegisterXactCallback(count_ended, NULL);
	is_begun = true;
}


/* -------------------------------------------------------------------------
 * Sets
 * -------------------------------------------------------------------------
 */

/* Forget the streams that were read; their programs may be kept. */
static void
forget_streams(StreamSet *set)
{
	streams_iterator iterator;
	StreamEntry *entry;

	if (set->streams)
	{
		streams_start_iterate(set->streams, &iterator);
		while ((entry = streams_iterate(set->streams, &iterator)) != NULL)
			if (entry->stream->program)
				ls_stream_program_release(entry->stream->program);
	}
	set->streams = NULL;
	set->score_sets = NULL;
	MemoryContextReset(set->streams_context);
}

static void
release_set(StreamSet *set)
{
	if (--set->pins > 0)
		return;
	forget_streams(set);
	ls_sources_release(set->sources);
	MemoryContextDelete(set->context);
}

/*
 * What a snapshot sees, copied to outlive it.  Nothing can be read with it; it
 * is for XidInMVCCSnapshot.
 */
static Snapshot
copy_seen(Snapshot snapshot, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Snapshot	seen = palloc(sizeof(SnapshotData));

	*seen = *snapshot;
	/* it is asked for top-level transactions alone, and has all that are running */
	if (!snapshot->takenDuringRecovery)
		seen->suboverflowed = false;
	seen->xip = NULL;
	seen->subxip = NULL;
	seen->subxcnt = 0;
	if (snapshot->xcnt > 0)
	{
		seen->xip = palloc(sizeof(TransactionId) * snapshot->xcnt);
		memcpy(seen->xip, snapshot->xip, sizeof(TransactionId) * snapshot->xcnt);
	}
	/* a copied snapshot that had overflowed counts some and has none (CopySnapshot) */
	if (snapshot->subxip != NULL && snapshot->subxcnt > 0)
	{
		seen->subxcnt = snapshot->subxcnt;
		seen->subxip = palloc(sizeof(TransactionId) * snapshot->subxcnt);
		memcpy(seen->subxip, snapshot->subxip, sizeof(TransactionId) * snapshot->subxcnt);
	}
	MemoryContextSwitchTo(oldcontext);
	return seen;
}

/* Forget all that was read by need. */
static void
forget_set(StreamSet *set)
{
	set->epoch++;
	ls_index_forget(set->index);
	/* somebody may be in the middle of a row: memory goes with the set */
	set->paths = NIL;
	set->known_paths = NIL;
	set->unkeyed = NULL;
	set->nunkeyed = set->nunkeyed_before = 0;
	set->unkeyed_is_read = false;
	if (set->held == 0)
		forget_streams(set);
}

/*
 * The snapshot under which a statement reads the streams, with all that the
 * set remembers being what it sees.
 */
static Snapshot
set_snapshot(void *arg)
{
	StreamSet  *set = arg;
	Snapshot	seen = set->seen;

	Assert(set->snapshot != NULL);
	if (set->is_settled)
		return set->snapshot;
	/* both see the same of others if none has ended, say between statements of one */
	if (set->snapshot_ended == set->seen_ended)
	{
		set->is_settled = true;
		return set->snapshot;
	}
	if (ls_stream_changed_since(seen, set->snapshot))
		forget_set(set);
	set->seen = copy_seen(set->snapshot, set->context);
	set->seen_ended = set->snapshot_ended;
	if (seen->xip)
		pfree(seen->xip);
	if (seen->subxip)
		pfree(seen->subxip);
	pfree(seen);
	set->is_settled = true;
	return set->snapshot;
}

Snapshot
ls_streams_settle_state(StreamSet *set)
{
	return set_snapshot(set);
}

/*
 * Begin a set.  Returns NULL where nothing is attached.  The set is allocated
 * below the current memory context, so that an error leaves no trace.
 */
static StreamSet *
read_set(void)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext context;
	StreamSources *sources;
	StreamSet  *set;
	Snapshot	snapshot;
	ListCell   *lc;

	context = AllocSetContextCreate(oldcontext, "leadstream stream set",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(context);
	set = palloc0(sizeof(StreamSet));
	set->context = context;
	/* before anything is read: what changes meanwhile is not seen */
	snapshot = GetCatalogSnapshot(stream_relid);
	set->seen_ended = ended_elsewhere(snapshot);
	set->seen = copy_seen(snapshot, context);
	MemoryContextSwitchTo(oldcontext);

	sources = ls_sources_read();
	if (sources == NULL)
	{
		MemoryContextDelete(context);
		return NULL;
	}
	ls_watch_tree(sources->contacts->relid);
	foreach(lc, sources->activities)
		ls_watch_tree(((ActivitySource *) lfirst(lc))->relid);

	MemoryContextSwitchTo(context);
	set->streams_context = AllocSetContextCreate(context, "leadstream stream rows",
												 ALLOCSET_DEFAULT_SIZES);
	set->sources = sources;
	set->contacts = sources->contacts;
	set->nkinds = list_length(sources->activities);
	set->kinds = palloc0(sizeof(ActivitySource *) * Max(set->nkinds, 1));
	foreach(lc, sources->activities)
		set->kinds[foreach_current_index(lc)] = lfirst(lc);
	set->index = ls_index_make(set_snapshot, set);
	MemoryContextSwitchTo(oldcontext);
	return set;
}

/* Go on with the sources of another set, to which programs are bound. */
static void
adopt_sources(StreamSet *set, StreamSet *old)
{
	if (!ls_sources_same(set->sources, old->sources))
		return;
	MemoryContextDelete(set->sources->context);
	set->sources = old->sources;
	set->contacts = old->sources->contacts;
	for (int k = 0; k < set->nkinds; k++)
		set->kinds[k] = list_nth(old->sources->activities, k);
}

/*
 * A table has another shape: what was read is not good any more, and still is not
 * when an error ends the reading of it anew.
 */
static void
forget_table(Oid root)
{
	was_read = false;
	ls_stream_programs_changed(root);
}

/* Make the current set one of what the tables say. */
static void
load_streams(void)
{
	StreamSet  *set;
	StreamSet  *old = current_set;
	WatchCounts before;
	int			attempt = 0;

	for (;;)
	{
		/* noted before reading: what changes meanwhile must not get lost */
		before = ls_watch_messages;
		stream_relid = ls_catalog_relid("stream");
		ls_watch_streams(stream_relid);
		ls_watch_check(forget_table);
		set = OidIsValid(stream_relid) ? read_set() : NULL;
		if (ls_watch_messages.all == before.all || ++attempt == MAX_LOAD_ATTEMPTS)
			break;
		if (set)
		{
			MemoryContextDelete(set->sources->context);
			MemoryContextDelete(set->context);
		}
	}

	/* nothing below can fail */
	if (set)
	{
		if (old)
			adopt_sources(set, old);
		set->sources->uses++;
		MemoryContextSetParent(set->context, cache_context);
		if (set->sources->uses == 1)
			MemoryContextSetParent(set->sources->context, cache_context);
		set->pins = 1;
		set->messages = before.tables;
	}
	current_set = set;
	was_read = OidIsValid(stream_relid);
	counts_seen = before;
	if (old)
		release_set(old);
}

StreamSet *
ls_streams_pin(void)
{
	init_cache();

	/*
	 * A prepared statement in an open transaction takes no new locks, so no
	 * message would ever be looked at.
	 */
	AcceptInvalidationMessages();

	if (!was_read || ls_watch_messages.streams != counts_seen.streams ||
		(current_set == NULL && ls_watch_messages.all != counts_seen.all))
		load_streams();
	else if (ls_watch_messages.tables != counts_seen.tables)
	{
		uint64		tables = ls_watch_messages.tables;

		ls_watch_check(forget_table);
		if (!was_read)
			load_streams();
		else
		{
			counts_seen.tables = tables;
			if (current_set)
				current_set->messages = tables;
		}
	}

	if (current_set)
		ls_streams_share(current_set);
	return current_set;
}

void
ls_streams_share(StreamSet *set)
{
	if (set->snapshot == NULL)
	{
		Snapshot	snapshot = GetCatalogSnapshot(stream_relid);

		set->snapshot_owner = TopTransactionResourceOwner;
		/* the registered one does not tell */
		set->snapshot_ended = ended_elsewhere(snapshot);
		set->snapshot = RegisterSnapshotOnOwner(snapshot, set->snapshot_owner);
		set->is_settled = false;
	}
	set->pins++;
	set->users++;
}

void
ls_streams_unpin(StreamSet *set)
{
	if (--set->users == 0)
	{
		Snapshot	snapshot = set->snapshot;

		set->held = 0;			/* an error may have passed by */
		set->snapshot = NULL;
		UnregisterSnapshotFromOwner(snapshot, set->snapshot_owner);
	}
	release_set(set);
}

void
ls_streams_trim(StreamSet *set)
{
	ls_index_trim(set->index);
	if (set->held > 0 ||
		(!ls_stream_programs_are_many() &&
		 (set->streams == NULL || set->streams->members <= MAX_STREAMS)))
		return;
	forget_streams(set);
	ls_stream_programs_trim();
}

void
ls_streams_stats(CacheStats *stats)
{
	StreamSet  *set = current_set;
	Size		bytes = 0;

	memset(stats, 0, sizeof(CacheStats));
	stats->parts[0].name = "compiled rules";
	stats->parts[1].name = "streams";
	stats->parts[2].name = "lookups";
	stats->parts[3].name = "streams without keys";
	ls_stream_programs_stats(&stats->parts[0].entries, &stats->parts[0].bytes);
	if (set == NULL)
		return;
	stats->parts[1].entries = set->streams ? set->streams->members : 0;
	stats->parts[1].bytes = MemoryContextMemAllocated(set->streams_context, true);
	stats->parts[2].entries = ls_index_postings(set->index, &bytes);
	stats->parts[2].bytes = bytes;
	stats->parts[3].entries = set->nunkeyed;
	stats->parts[3].bytes = MemoryContextMemAllocated(set->context, false);
}


/* -------------------------------------------------------------------------
 * Streams
 * -------------------------------------------------------------------------
 */

/* Read a stream and remember it, or that there is none. */
static CachedStream *
read_stream(StreamSet *set, int32 stream_id)
{
	Snapshot	snapshot = set_snapshot(set);
	MemoryContext oldcontext = MemoryContextSwitchTo(set->streams_context);
	StreamRow  *row = ls_stream_read(stream_id, snapshot);
	CachedStream *stream = palloc0(sizeof(CachedStream));
	bool		found;

	stream->stream_id = stream_id;
	stream->row = row;
	if (set->streams == NULL)
		set->streams = streams_create(set->streams_context, 64, NULL);
	streams_insert(set->streams, stream_id, &found)->stream = stream;
	MemoryContextSwitchTo(oldcontext);
	return stream;
}

CachedStream *
ls_streams_get(StreamSet *set, int32 stream_id)
{
	StreamEntry *entry = set->streams == NULL ? NULL :
		streams_lookup(set->streams, stream_id);
	CachedStream *stream = entry ? entry->stream : read_stream(set, stream_id);

	return stream->row && stream->row->is_enabled &&
		(stream->row->nteams > 0 || stream->row->is_score) ? stream : NULL;
}

/* Read a score set. */
static void
read_score_set(StreamSet *set, CachedScoreSet *score_set)
{
	Snapshot	snapshot = set_snapshot(set);
	MemoryContext oldcontext = MemoryContextSwitchTo(set->streams_context);
	List	   *ids = NIL;
	ListCell   *lc;

	score_set->row = ls_score_set_read(score_set->score_set_id, snapshot);
	if (score_set->row && !score_set->row->is_enabled)
		score_set->row = NULL;
	if (score_set->row)
		ids = ls_score_rule_streams(score_set->score_set_id, snapshot);
	score_set->rules = palloc(sizeof(CachedStream *) * Max(list_length(ids), 1));
	foreach(lc, ids)
	{
		CachedStream *rule = ls_streams_get(set, lfirst_int(lc));

		if (rule)
			score_set->rules[score_set->nrules++] = rule;
	}
	list_free(ids);
	MemoryContextSwitchTo(oldcontext);
}

CachedScoreSet *
ls_streams_score_set(StreamSet *set, int32 score_set_id)
{
	CachedScoreSet *result = NULL;

	Assert(set->held > 0);
	if (set->score_sets == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(int32);
		ctl.entrysize = sizeof(CachedScoreSet);
		ctl.hcxt = set->streams_context;
		set->score_sets = hash_create("leadstream score sets", 16, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	result = hash_search(set->score_sets, &score_set_id, HASH_FIND, NULL);
	if (result == NULL)
	{
		CachedScoreSet made = {.score_set_id = score_set_id};

		/* remembered when nothing can fail any more */
		read_score_set(set, &made);
		result = hash_search(set->score_sets, &score_set_id, HASH_ENTER, NULL);
		*result = made;
	}
	return result->row ? result : NULL;
}

RuleProgram *
ls_streams_program(StreamSet *set, CachedStream *stream)
{
	if (stream->program == NULL)
		stream->program = ls_stream_program_find(set->sources, stream->row,
												 set->messages);
	return stream->program->is_broken ? NULL : stream->program->program;
}

void
ls_streams_release_program(CachedStream *stream)
{
	ls_stream_program_release(stream->program);
	stream->program = NULL;
	ls_stream_programs_trim();
}

bool
ls_streams_keys(StreamSet *set, const StreamRow *row, PathBook *book, StreamKeys **keys)
{
	return ls_stream_program_keys(set->sources, row, book, keys);
}

/*
 * Bind a stream's rule again, to tables that have changed since the statement
 * began.  What it gathered is of use only if contacts are still known by the
 * same key.
 */
static void
remake_program(StreamSet *set, CachedStream *stream)
{
	StreamProgram *old = stream->program;
	StreamSources *sources = ls_sources_read();

	if (sources == NULL || !ls_sources_same_key(sources, set->sources))
	{
		if (sources)
			MemoryContextDelete(sources->context);
		old->is_broken = old->is_stale = true;
		if (stream->row->is_score)
			return;
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("lead stream \"%s\" makes no leads of this statement",
						stream->row->name),
				 errdetail("The key or the account column of the contacts was changed while it ran."),
				 errhint("Call leadstream.fetch_history for what was missed.")));
		return;
	}
	/* an error in between must find neither without owner */
	sources->uses++;
	MemoryContextSetParent(sources->context, cache_context);
	stream->program = NULL;
	ls_stream_program_release(old);
	stream->program = ls_stream_program_find(sources, stream->row, set->messages);
	ls_sources_release(sources);
}

RuleProgram *
ls_streams_lock(StreamSet *set, CachedStream *stream)
{
	RuleProgram *result = ls_streams_program(set, stream);

	if (result == NULL || ls_stream_program_lock(stream->program))
		return result;
	remake_program(set, stream);
	return ls_streams_program(set, stream);
}

uint64
ls_streams_settling(void)
{
	static uint64 settling = 0;

	return ++settling;
}

void
ls_streams_break(StreamSet *set, CachedStream *stream, ErrorData *why)
{
	ls_stream_program_break(stream->program, stream->row, why);
}

void
ls_streams_report_kind(StreamSet *set, ActivitySource *kind)
{
	int			n;
	int			nreported = 0;
	int32	   *ids = ls_stream_ids(&n);

	for (int i = 0; i < n && nreported < MAX_BROKEN_WARNINGS; i++)
	{
		CachedStream *stream = ls_streams_get(set, ids[i]);

		if (stream && ls_rule_speaks_of(stream->row->rule, kind->kind))
		{
			(void) ls_streams_program(set, stream);
			nreported++;
		}
	}
	pfree(ids);
}
