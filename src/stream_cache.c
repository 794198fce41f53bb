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
 * rule bound to its tables) is made when a row first needs it, and kept, for
 * whatever set comes next, for as long as the stream's rule and the tables it
 * reads are the same and leadstream.cache_size allows.  The sources are what
 * programs were bound to, and are kept for as long as they come out equal when
 * read again.
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
 * Invalidation.  Every write to leadstream's tables sends a relcache message
 * for leadstream.stream (the trigger leadstream.invalidate).  It is delivered
 * to others at commit, to ourselves at the next command and again when the
 * (sub)transaction is rolled back, so a set that saw changes which then never
 * happened is not kept.  The callback may be called at any lock acquisition:
 * it counts and flags, nothing else.  A new set begins with nothing but the
 * sources: one stream changed among a hundred thousand costs a session what it
 * asks for next, not a rebuild.  A message for a table that rules read
 * (autovacuum sends many) matters only if the table has another shape
 * afterwards.
 *
 * A stream whose rule cannot be bound is broken: it is left out, and a
 * warning says so once for each version of its rule.  It has no keys, nor has
 * one whose keys are out of date; such streams are bound before the first row
 * that may concern them and entered in the session's own index.
 *
 * One long file, because reading, invalidation and the counts of what is in
 * use are only right together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "attempt.h"
#include "guc.h"
#include "key_store.h"
#include "segment.h"
#include "stream_cache.h"

PG_FUNCTION_INFO_V1(leadstream_invalidate);

/* Readings before we take what we have, though invalidations keep coming. */
#define MAX_LOAD_ATTEMPTS			5

/* Streams that a set remembers, without their programs; some hundred bytes each. */
#define MAX_STREAMS					10000

/* Streams without keys that are worth a word. */
#define MANY_UNKEYED				1000

/* Warnings about streams of a kind that has lost a column. */
#define MAX_BROKEN_WARNINGS			100

struct StreamSources
{
	MemoryContext context;
	int			uses;			/* by sets and programs */
	ContactSource *contacts;
	List	   *activities;		/* of ActivitySource * */
};

struct StreamProgram
{
	int32		stream_id;
	int32		rule_version;
	uint64		rule_digest;
	dlist_node	node;			/* in programs_by_use, the latest first */
	Size		size;
	MemoryContext context;
	int			uses;			/* by streams of sets, and by being kept */
	bool		is_kept;		/* in programs */
	StreamSources *sources;
	List	   *relids;			/* root tables it reads; NIL: not known */
	uint64		shape;			/* of them all, when it was bound */
	uint64		checked;		/* table_messages when that was still so */
	bool		is_stale;		/* one of them has another shape now */
	bool		is_broken;
	RuleProgram *program;		/* NULL: broken from the start */
};

/* Programs kept, by stream. */
typedef struct KeptProgram
{
	int32		stream_id;		/* hash key */
	StreamProgram *program;
} KeptProgram;

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

/* A stream without keys. */
struct UnkeyedStream
{
	int32		stream_id;
	bool		is_entered;		/* in the session's own index */
};

/* A path of a source, by which its rows are looked up or may be. */
typedef struct KnownPath
{
	int32		source_id;
	uint64		path_id;
	AccessPath *path;			/* of streams without keys, else NULL */
} KnownPath;

/* The paths of one source. */
typedef struct SourcePaths
{
	int32		source_id;
	AccessPaths *paths;
	uint64		shape;			/* of the table they were made for */
	uint64		checked;		/* table_messages when that was still so */
} SourcePaths;

/* A table that the cached streams depend on. */
typedef struct WatchedTable
{
	Oid			relid;			/* hash key */
	Oid			root;			/* the attached table it belongs to;
								 * InvalidOid: several */
	uint64		shape;
	bool		is_dirty;		/* a message came since shape was taken */
} WatchedTable;

/* A version of a stream that was reported broken. */
typedef struct BrokenKey
{
	int32		stream_id;
	int32		rule_version;
} BrokenKey;

static MemoryContext cache_context = NULL;
static StreamSet *current_set = NULL;
static HTAB *watched = NULL;
static HTAB *programs = NULL;
static dlist_head programs_by_use = DLIST_STATIC_INIT(programs_by_use);
static Size programs_size = 0;
static HTAB *reported = NULL;
static Oid	stream_relid = InvalidOid;

/*
 * Messages received, by what they were about.  The current set is good while
 * the first two are what they were before it was read.
 */
static uint64 stream_messages = 0;
static uint64 table_messages = 0;
static uint64 all_messages = 0;
static uint64 stream_messages_seen = 0;
static uint64 table_messages_seen = 0;
static uint64 all_messages_seen = 0;
static bool was_read = false;	/* is current_set (or NULL) what was read? */


/* -------------------------------------------------------------------------
 * Invalidation
 * -------------------------------------------------------------------------
 */

/* Flag what a relcache message is about; must not do anything else. */
static void
note_message(Datum arg, Oid relid)
{
	all_messages++;
	if (relid == InvalidOid)
	{
		HASH_SEQ_STATUS status;
		WatchedTable *table;

		stream_messages++;
		table_messages++;
		hash_seq_init(&status, watched);
		while ((table = hash_seq_search(&status)) != NULL)
			table->is_dirty = true;
	}
	else if (relid == stream_relid)
		stream_messages++;
	else
	{
		WatchedTable *table = hash_search(watched, &relid, HASH_FIND, NULL);

		if (table)
		{
			table->is_dirty = true;
			table_messages++;
		}
	}
}

/* Make what lives as long as the backend. */
static void
init_cache(void)
{
	HASHCTL		ctl;

	if (reported != NULL)
		return;

	if (CacheMemoryContext == NULL)
		CreateCacheMemoryContext();
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "leadstream streams",
											  ALLOCSET_SMALL_SIZES);
	if (watched == NULL)
	{
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(WatchedTable);
		ctl.hcxt = cache_context;
		watched = hash_create("leadstream watched tables", 32, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		CacheRegisterRelcacheCallback(note_message, (Datum) 0);
	}
	if (programs == NULL)
	{
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(int32);
		ctl.entrysize = sizeof(KeptProgram);
		ctl.hcxt = cache_context;
		programs = hash_create("leadstream programs", 64, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(BrokenKey);
	ctl.entrysize = sizeof(BrokenKey);
	ctl.hcxt = cache_context;
	reported = hash_create("leadstream broken streams", 16, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Digest what a bound rule depends on of a table: columns, indexes, children.
 * Taken without a lock: were somebody changing the table just now, his commit
 * sends another message.
 */
static uint64
table_shape(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	uint64		shape;
	TupleDesc	desc;
	List	   *children;
	ListCell   *lc;

	if (!RelationIsValid(rel))
		return 0;

	shape = hash_combine64(relid, rel->rd_rel->relkind);
	desc = RelationGetDescr(rel);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		shape = hash_combine64(shape, att->attnum);
		if (att->attisdropped)
			continue;
		shape = hash_combine64(shape,
							   hash_bytes_extended((unsigned char *) NameStr(att->attname),
												   strlen(NameStr(att->attname)), 0));
		shape = hash_combine64(shape, att->atttypid);
		shape = hash_combine64(shape, (uint32) att->atttypmod);
		shape = hash_combine64(shape, att->attcollation);
		shape = hash_combine64(shape, att->attgenerated);
	}
	foreach(lc, RelationGetIndexList(rel))
		shape = hash_combine64(shape, lfirst_oid(lc));
	children = rel->rd_rel->relhassubclass ?
		find_inheritance_children(relid, NoLock) : NIL;
	foreach(lc, children)
		shape = hash_combine64(shape, lfirst_oid(lc));
	RelationClose(rel);
	return shape;
}

void
ls_streams_watch(Oid relid, Oid root)
{
	bool		found;
	WatchedTable *table = hash_search(watched, &relid, HASH_ENTER, &found);

	if (!found)
	{
		table->root = root;
		table->is_dirty = false;
		table->shape = table_shape(relid);
	}
	else if (table->root != root)
		table->root = InvalidOid;
}

/* Watch an attached table with all its partitions or children. */
static void
watch_tree(Oid root)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(root, NoLock, NULL))
		ls_streams_watch(lfirst_oid(lc), root);
}

/*
 * Look at the tables that messages were about.  Marks the programs that
 * read a table of another shape, and tells whether there was such a one.
 */
static bool
check_tables(void)
{
	HASH_SEQ_STATUS status;
	KeptProgram *kept;
	WatchedTable *table;
	List	   *dirty = NIL;
	ListCell   *lc;
	bool		changed = false;

	/* table_shape may let messages in, so not while scanning the hash */
	hash_seq_init(&status, watched);
	while ((table = hash_seq_search(&status)) != NULL)
		if (table->is_dirty)
			dirty = lappend_oid(dirty, table->relid);

	foreach(lc, dirty)
	{
		Oid			relid = lfirst_oid(lc);
		uint64		shape;

		table = hash_search(watched, &relid, HASH_FIND, NULL);
		table->is_dirty = false;
		shape = table_shape(relid);
		if (shape == table->shape)
			continue;
		table->shape = shape;
		changed = true;
		hash_seq_init(&status, programs);
		while ((kept = hash_seq_search(&status)) != NULL)
			if (kept->program->relids == NIL || table->root == InvalidOid ||
				list_member_oid(kept->program->relids, table->root))
				kept->program->is_stale = true;
	}
	return changed;
}

/*
 * Statement trigger on leadstream's tables: whatever was written, everybody
 * reads the streams again.
 */
Datum
leadstream_invalidate(PG_FUNCTION_ARGS)
{
	Oid			relid;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by the trigger manager")));

	relid = ls_catalog_relid("stream");
	if (OidIsValid(relid))
		CacheInvalidateRelcacheByRelid(relid);
	return PointerGetDatum(NULL);
}


/* -------------------------------------------------------------------------
 * Sources, programs, sets
 * -------------------------------------------------------------------------
 */


static bool
same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
same_rule(const Rule *a, const Rule *b)
{
	return a == b || (a && b && VARSIZE(a) == VARSIZE(b) &&
					  memcmp(a, b, VARSIZE(a)) == 0);
}

/* Would rules bind to these sources as they did to those? */
static bool
same_sources(StreamSources *a, StreamSources *b)
{
	ContactSource *ca = a->contacts;
	ContactSource *cb = b->contacts;
	ListCell   *la;
	ListCell   *lb;

	if (ca->relid != cb->relid || ca->key_attno != cb->key_attno ||
		ca->key_type != cb->key_type || ca->key_base != cb->key_base ||
		ca->key_collation != cb->key_collation ||
		ca->account_attno != cb->account_attno ||
		!same_string(ca->key_name, cb->key_name) ||
		!same_string(ca->account_name, cb->account_name) ||
		!same_string(ca->zone, cb->zone) ||
		list_length(a->activities) != list_length(b->activities))
		return false;

	forboth(la, a->activities, lb, b->activities)
	{
		ActivitySource *sa = lfirst(la);
		ActivitySource *sb = lfirst(lb);

		if (sa->source_id != sb->source_id || sa->relid != sb->relid ||
			sa->contact_attno != sb->contact_attno ||
			sa->contact_type != sb->contact_type ||
			sa->time_attno != sb->time_attno ||
			sa->time_type != sb->time_type ||
			!same_string(sa->kind, sb->kind) ||
			!same_string(sa->contact_name, sb->contact_name) ||
			!same_string(sa->time_name, sb->time_name) ||
			!same_string(sa->account_name, sb->account_name) ||
			sa->account_attno != sb->account_attno ||
			!same_string(sa->missing, sb->missing) ||
			!same_rule(sa->only, sb->only))
			return false;
	}
	return true;
}

static void
release_sources(StreamSources *sources)
{
	if (--sources->uses == 0)
		MemoryContextDelete(sources->context);
}

static void
release_program(StreamProgram *program)
{
	if (--program->uses == 0)
	{
		release_sources(program->sources);
		MemoryContextDelete(program->context);
	}
}

/* Take a program out of those that are kept. */
static void
drop_program(StreamProgram *program)
{
	if (!program->is_kept)
		return;
	(void) hash_search(programs, &program->stream_id, HASH_REMOVE, NULL);
	dlist_delete(&program->node);
	programs_size -= program->size;
	program->is_kept = false;
	release_program(program);
}

/* Keep a program, in place of another of its stream. */
static void
keep_program(StreamProgram *program)
{
	bool		found;
	KeptProgram *kept = hash_search(programs, &program->stream_id, HASH_FIND, NULL);

	if (kept)
		drop_program(kept->program);
	kept = hash_search(programs, &program->stream_id, HASH_ENTER, &found);
	kept->program = program;
	program->is_kept = true;
	program->uses++;
	program->size = MemoryContextMemAllocated(program->context, true);
	programs_size += program->size;
	dlist_push_head(&programs_by_use, &program->node);
}

/* Forget the streams that were read; their programs may be kept. */
static void
forget_streams(StreamSet *set)
{
	streams_iterator iterator;
	StreamEntry *entry;

	if (set->streams == NULL)
		return;
	streams_start_iterate(set->streams, &iterator);
	while ((entry = streams_iterate(set->streams, &iterator)) != NULL)
		if (entry->stream->program)
			release_program(entry->stream->program);
	set->streams = NULL;
	MemoryContextReset(set->streams_context);
}

static void
release_set(StreamSet *set)
{
	if (--set->pins > 0)
		return;
	forget_streams(set);
	release_sources(set->sources);
	MemoryContextDelete(set->context);
}

/* Read what is attached, below the current memory context; NULL: nothing. */
static StreamSources *
read_sources(void)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(oldcontext, "leadstream sources",
												  ALLOCSET_SMALL_SIZES);
	StreamSources *sources;

	MemoryContextSwitchTo(context);
	sources = palloc0(sizeof(StreamSources));
	sources->context = context;
	sources->contacts = ls_catalog_contacts();
	if (sources->contacts)
		sources->activities = ls_catalog_activities();
	MemoryContextSwitchTo(oldcontext);
	if (sources->contacts)
		return sources;
	MemoryContextDelete(context);
	return NULL;
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
	if (snapshot->xcnt > 0)
	{
		seen->xip = palloc(sizeof(TransactionId) * snapshot->xcnt);
		memcpy(seen->xip, snapshot->xip, sizeof(TransactionId) * snapshot->xcnt);
	}
	if (snapshot->subxcnt > 0)
	{
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
	if (ls_stream_changed_since(seen, set->snapshot))
		forget_set(set);
	set->seen = copy_seen(set->snapshot, set->context);
	if (seen->xip)
		pfree(seen->xip);
	if (seen->subxip)
		pfree(seen->subxip);
	pfree(seen);
	set->is_settled = true;
	return set->snapshot;
}

void
ls_streams_settle_state(StreamSet *set)
{
	(void) set_snapshot(set);
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
	ListCell   *lc;

	context = AllocSetContextCreate(oldcontext, "leadstream stream set",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(context);
	set = palloc0(sizeof(StreamSet));
	set->context = context;
	/* before anything is read: what changes meanwhile is not seen */
	set->seen = copy_seen(GetCatalogSnapshot(stream_relid), context);
	MemoryContextSwitchTo(oldcontext);

	sources = read_sources();
	if (sources == NULL)
	{
		MemoryContextDelete(context);
		return NULL;
	}
	watch_tree(sources->contacts->relid);
	foreach(lc, sources->activities)
		watch_tree(((ActivitySource *) lfirst(lc))->relid);

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
	if (!same_sources(set->sources, old->sources))
		return;
	MemoryContextDelete(set->sources->context);
	set->sources = old->sources;
	set->contacts = old->sources->contacts;
	for (int k = 0; k < set->nkinds; k++)
		set->kinds[k] = list_nth(old->sources->activities, k);
}

/* Make the current set one of what the tables say. */
static void
load_streams(void)
{
	StreamSet  *set;
	StreamSet  *old = current_set;
	uint64		seen_stream;
	uint64		seen_table;
	uint64		seen_all;
	int			attempt = 0;

	for (;;)
	{
		/* noted before reading: what changes meanwhile must not get lost */
		seen_stream = stream_messages;
		seen_table = table_messages;
		seen_all = all_messages;
		stream_relid = ls_catalog_relid("stream");
		check_tables();
		set = OidIsValid(stream_relid) ? read_set() : NULL;
		if (all_messages == seen_all || ++attempt == MAX_LOAD_ATTEMPTS)
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
	}
	current_set = set;
	was_read = OidIsValid(stream_relid);
	stream_messages_seen = seen_stream;
	table_messages_seen = seen_table;
	all_messages_seen = seen_all;
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

	if (!was_read || stream_messages != stream_messages_seen ||
		(current_set == NULL && all_messages != all_messages_seen))
		load_streams();
	else if (table_messages != table_messages_seen)
	{
		uint64		seen = table_messages;

		if (check_tables())
			load_streams();
		else
			table_messages_seen = seen;
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
		set->snapshot_owner = TopTransactionResourceOwner;
		set->snapshot = RegisterSnapshotOnOwner(GetCatalogSnapshot(stream_relid),
												set->snapshot_owner);
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

/* Drop kept programs that no stream points at, if they are too many. */
static void
trim_programs(void)
{
	Size		limit = (Size) ls_guc_cache_size * 1024;
	dlist_node *node;
	dlist_node *next;

	if (programs_size <= limit || dlist_is_empty(&programs_by_use))
		return;
	/* the longest unused go first, and some more, for this not to come soon again */
	for (node = programs_by_use.head.prev; node != &programs_by_use.head; node = next)
	{
		StreamProgram *program = dlist_container(StreamProgram, node, node);

		next = node->prev;
		if (programs_size <= limit / 4 * 3)
			break;
		if (program->uses == 1)
			drop_program(program);
	}
}

void
ls_streams_trim(StreamSet *set)
{
	ls_index_trim(set->index);
	if (set->held > 0 ||
		(programs_size <= (Size) ls_guc_cache_size * 1024 &&
		 (set->streams == NULL || set->streams->members <= MAX_STREAMS)))
		return;
	forget_streams(set);
	trim_programs();
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
	if (programs)
	{
		stats->parts[0].entries = hash_get_num_entries(programs);
		stats->parts[0].bytes = programs_size;
	}
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

	return stream->row && stream->row->is_enabled && stream->row->nteams > 0 ?
		stream : NULL;
}

/* -------------------------------------------------------------------------
 * Programs
 * -------------------------------------------------------------------------
 */

/* Warn of a broken stream, once for each version of its rule. */
static void
report_broken(CachedStream *stream, const ErrorData *why)
{
	BrokenKey	key;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.stream_id = stream->row->stream_id;
	key.rule_version = stream->row->rule_version;
	hash_search(reported, &key, HASH_ENTER, &found);
	if (!found)
		ereport(WARNING,
				(errcode(why->sqlerrcode),
				 errmsg("lead stream \"%s\" is broken and makes no leads",
						stream->row->name),
				 errdetail_internal("%s", why->message),
				 errhint("Correct what it says, or alter the rule, then call leadstream.fetch_history for what was missed.")));
}

/* The attached tables whose shape the program of a rule depends on. */
static List *
tables_read(StreamSources *sources, const Rule *rule)
{
	List	   *relids = list_make1_oid(sources->contacts->relid);
	ListCell   *lc;
	ListCell   *ls;

	foreach(lc, ls_rule_kind_names(rule))
		foreach(ls, sources->activities)
			if (strcmp(((ActivitySource *) lfirst(ls))->kind, lfirst(lc)) == 0)
				relids = list_append_unique_oid(relids,
												((ActivitySource *) lfirst(ls))->relid);
	return relids;
}

static Oid
table_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The shapes of several tables in one. */
uint64
ls_tables_shape(List *relids)
{
	uint64		shape = 0;
	ListCell   *lc;

	foreach(lc, relids)
		shape = hash_combine64(shape, table_shape(lfirst_oid(lc)));
	return shape;
}

static uint64
rule_digest(const Rule *rule)
{
	return hash_bytes_extended((const unsigned char *) rule, VARSIZE(rule), 0);
}

/* A program being made. */
typedef struct Making
{
	StreamProgram *program;
	const StreamRow *row;
	StreamSources *sources;
	PathBook   *book;
	StreamKeys **keys;			/* NULL: not wanted */
} Making;

static void
bind_program(void *arg)
{
	Making	   *making = arg;
	StreamProgram *program = making->program;
	MemoryContext oldcontext = MemoryContextSwitchTo(program->context);
	const Rule *rule;

	rule = ls_segments_put(making->row->rule, making->row->account, NULL);
	program->relids = tables_read(making->sources, rule);
	program->program = ls_program_from_rule(rule, making->sources->contacts,
											making->sources->activities);
	/* its tables are locked now */
	program->checked = table_messages;
	program->shape = ls_tables_shape(program->relids);
	MemoryContextSwitchTo(oldcontext);
	if (making->keys)
		*making->keys = ls_stream_keys(program->program, making->row->account,
									   making->book);
}

/*
 * Bind a stream's rule, which may have become wrong since it was written: the
 * insert that met it must go on.  With keys, tells where the stream is to be
 * entered.  A program is returned in any case; *error says why it is broken.
 * It has one use, the caller's.
 */
static StreamProgram *
make_program(StreamSources *sources, const StreamRow *row, PathBook *book,
			 StreamKeys **keys, ErrorData **error)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext context;
	StreamProgram *program;
	ErrorData  *caught;
	Making		making = {.row = row, .sources = sources, .book = book, .keys = keys};

	context = AllocSetContextCreate(oldcontext, "leadstream program",
									ALLOCSET_SMALL_SIZES);
	program = MemoryContextAllocZero(context, sizeof(StreamProgram));
	program->context = context;
	making.program = program;

	/*
	 * In the name of the owner of the contacts: looking up types and operators
	 * asks for rights on schemas and functions that whoever inserts need not
	 * have, and the program outlives his SET ROLE.
	 */
	caught = ls_attempt_as(table_owner(sources->contacts->relid), bind_program, &making);
	if (caught)
	{
		/* what is left of a half-made program is of no use to anybody */
		MemoryContextDelete(context);
		context = AllocSetContextCreate(oldcontext, "leadstream program",
										ALLOCSET_SMALL_SIZES);
		program = MemoryContextAllocZero(context, sizeof(StreamProgram));
		program->context = context;
		program->is_broken = true;
	}
	program->stream_id = row->stream_id;
	program->rule_version = row->rule_version;
	program->rule_digest = rule_digest(row->rule);
	program->sources = sources;
	program->uses = 1;
	sources->uses++;
	*error = caught;
	return program;
}

/* Give a stream its program, one that is kept or a new one. */
static void
find_program(StreamSources *sources, CachedStream *stream)
{
	KeptProgram *kept = hash_search(programs, &stream->row->stream_id, HASH_FIND, NULL);
	StreamProgram *program;
	ErrorData  *error;

	if (kept && !kept->program->is_stale && kept->program->sources == sources &&
		kept->program->rule_version == stream->row->rule_version &&
		kept->program->rule_digest == rule_digest(stream->row->rule))
	{
		dlist_move_head(&programs_by_use, &kept->program->node);
		kept->program->uses++;
		stream->program = kept->program;
		return;
	}
	program = make_program(sources, stream->row, NULL, NULL, &error);
	MemoryContextSetParent(program->context, cache_context);
	keep_program(program);
	stream->program = program;
	if (error)
	{
		report_broken(stream, error);
		FreeErrorData(error);
	}
}

RuleProgram *
ls_streams_program(StreamSet *set, CachedStream *stream)
{
	if (stream->program == NULL)
		find_program(set->sources, stream);
	return stream->program->is_broken ? NULL : stream->program->program;
}

bool
ls_streams_keys(StreamSet *set, const StreamRow *row, PathBook *book, StreamKeys **keys)
{
	ErrorData  *error;
	StreamProgram *program = make_program(set->sources, row, book, keys, &error);
	bool		result = !program->is_broken;

	release_program(program);
	if (error)
		FreeErrorData(error);
	return result;
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
	StreamSources *sources = read_sources();

	if (sources == NULL ||
		sources->contacts->relid != set->contacts->relid ||
		sources->contacts->key_attno != set->contacts->key_attno ||
		sources->contacts->key_type != set->contacts->key_type ||
		sources->contacts->account_attno != set->contacts->account_attno)
	{
		if (sources)
			MemoryContextDelete(sources->context);
		old->is_broken = old->is_stale = true;
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
	release_program(old);
	find_program(sources, stream);
	release_sources(sources);
}

RuleProgram *
ls_streams_lock(StreamSet *set, CachedStream *stream)
{
	RuleProgram *result = ls_streams_program(set, stream);
	ListCell   *lc;

	if (result == NULL)
		return NULL;
	foreach(lc, stream->program->relids)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	if (stream->program->checked == table_messages)
		return result;

	stream->program->checked = table_messages;
	if (ls_tables_shape(stream->program->relids) == stream->program->shape)
		return result;
	remake_program(set, stream);
	return ls_streams_program(set, stream);
}

void
ls_streams_break(StreamSet *set, CachedStream *stream, ErrorData *why)
{
	stream->program->is_broken = true;
	report_broken(stream, why);
}

/* Is the kind one of those that the rule names? */
static bool
speaks_of(const Rule *rule, const char *kind)
{
	ListCell   *lc;

	foreach(lc, ls_rule_kind_names(rule))
		if (strcmp(lfirst(lc), kind) == 0)
			return true;
	return false;
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

		if (stream && speaks_of(stream->row->rule, kind->kind))
		{
			(void) ls_streams_program(set, stream);
			nreported++;
		}
	}
	pfree(ids);
}


/* -------------------------------------------------------------------------
 * Paths, and streams without keys
 * -------------------------------------------------------------------------
 */

/* What paths a set knows of; for streams that this session enters. */
static StreamSet *book_set = NULL;

static bool
set_knows(PathBook *book, int32 source_id, uint64 path_id)
{
	ListCell   *lc;

	foreach(lc, book_set->known_paths)
	{
		KnownPath  *known = lfirst(lc);

		if (known->source_id == source_id && known->path_id == path_id)
			return true;
	}
	return false;
}

static int
set_count(PathBook *book, int32 source_id)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, book_set->known_paths)
		if (((KnownPath *) lfirst(lc))->source_id == source_id)
			n++;
	return n;
}

static void
note_path(StreamSet *set, int32 source_id, uint64 path_id, AccessPath *path)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(set->context);
	KnownPath  *known = palloc(sizeof(KnownPath));

	known->source_id = source_id;
	known->path_id = path_id;
	known->path = path ? ls_access_path_copy(path) : NULL;
	set->known_paths = lappend(set->known_paths, known);
	MemoryContextSwitchTo(oldcontext);
}

/* Note streams as having no keys. */
static void
note_unkeyed(StreamSet *set, const int32 *ids, int n)
{
	for (int i = 0; i < n; i++)
	{
		int			k;

		for (k = 0; k < set->nunkeyed_before; k++)
			if (set->unkeyed[k].stream_id == ids[i])
				break;
		if (k < set->nunkeyed_before)
			continue;
		if (set->unkeyed == NULL)
		{
			set->unkeyed_room = 16;
			set->unkeyed = MemoryContextAlloc(set->context,
											  sizeof(struct UnkeyedStream) * set->unkeyed_room);
		}
		else if (set->nunkeyed == set->unkeyed_room)
			set->unkeyed = repalloc_huge(set->unkeyed, sizeof(struct UnkeyedStream) *
										 (Size) (set->unkeyed_room *= 2));
		set->unkeyed[set->nunkeyed].stream_id = ids[i];
		set->unkeyed[set->nunkeyed++].is_entered = false;
	}
	/* the next ones may be these again */
	set->nunkeyed_before = set->nunkeyed;
}

/* The same for those at a digest. */
static void
note_unkeyed_at(StreamSet *set, uint64 digest)
{
	int32	   *ids;
	bool		has_deeper;
	int			n = ls_keys_read(digest, set_snapshot(set), PG_INT32_MAX, &ids, &has_deeper);

	note_unkeyed(set, ids, n);
	if (ids)
		pfree(ids);
}

/* Enter a stream in the session's own index. */
static void
enter_unkeyed(StreamSet *set, CachedStream *stream)
{
	static PathBook book = {set_knows, set_count};
	StreamKeys *keys = NULL;
	MemoryContext oldcontext;
	MemoryContext context;
	ListCell   *lc;

	/* a broken stream is nobody's business */
	if (ls_streams_program(set, stream) == NULL)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream keys",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	book_set = set;
	if (ls_streams_keys(set, stream->row, &book, &keys))
	{
		for (int i = 0; i < keys->npaths; i++)
		{
			StreamPath *path = &keys->paths[i];

			if (set_knows(&book, path->source_id, path->path->path_id))
				continue;
			note_path(set, path->source_id, path->path->path_id, path->path);
			foreach(lc, set->paths)
				if (((SourcePaths *) lfirst(lc))->source_id == path->source_id)
					ls_paths_add(((SourcePaths *) lfirst(lc))->paths, path->path);
		}
		ls_index_enter(set->index, keys, stream->row->stream_id);
		/* who has looked at its places already must look again */
		set->epoch++;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	/* it will be bound again when a row asks for it, as far as memory goes */
	release_program(stream->program);
	stream->program = NULL;
	trim_programs();
}

AccessPaths *
ls_streams_paths(StreamSet *set, int32 source_id)
{
	ListCell   *lc;
	SourcePaths *paths;
	ActivitySource *source = NULL;
	Index		varno = source_id == CONTACTS_SOURCE ? INNER_VAR : OUTER_VAR;
	Relation	rel;
	Snapshot	snapshot;
	MemoryContext oldcontext;
	MemoryContext context;
	static bool warned = false;

	foreach(lc, set->paths)
		if (((SourcePaths *) lfirst(lc))->source_id == source_id)
			return ((SourcePaths *) lfirst(lc))->paths;

	for (int k = 0; k < set->nkinds; k++)
		if (set->kinds[k]->source_id == source_id)
			source = set->kinds[k];
	snapshot = set_snapshot(set);
	rel = table_open(source ? source->relid : set->contacts->relid, AccessShareLock);

	/* the paths that are kept, as far as they still mean the same */
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream paths",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(set->context);
	paths = palloc(sizeof(SourcePaths));
	paths->source_id = source_id;
	paths->paths = ls_paths_make(varno);
	paths->checked = table_messages;
	paths->shape = table_shape(RelationGetRelid(rel));
	MemoryContextSwitchTo(context);
	foreach(lc, ls_keys_paths(source_id, snapshot))
	{
		StoredPath *stored = lfirst(lc);
		AccessPath *path = ls_access_path(&stored->description, stored->path_id, varno, rel);

		if (path == NULL)
		{
			note_unkeyed_at(set, ls_digest(DIGEST_PATH, stored->path_id));
			continue;
		}
		ls_paths_add(paths->paths, path);
		note_path(set, source_id, stored->path_id, NULL);
	}
	table_close(rel, NoLock);
	if (!set->unkeyed_is_read)
	{
		int			n;
		int32	   *ids = ls_stream_strangers(snapshot, &n);

		note_unkeyed(set, ids, n);
		note_unkeyed_at(set, ls_digest(DIGEST_UNKEYED, 0));
		set->unkeyed_is_read = true;
	}
	for (int i = 0; i < set->nunkeyed; i++)
	{
		CachedStream *stream;

		CHECK_FOR_INTERRUPTS();
		if (set->unkeyed[i].is_entered)
			continue;
		stream = ls_streams_get(set, set->unkeyed[i].stream_id);
		if (stream && source && !speaks_of(stream->row->rule, source->kind))
			continue;
		if (stream)
			enter_unkeyed(set, stream);
		set->unkeyed[i].is_entered = true;
	}
	foreach(lc, set->known_paths)
	{
		KnownPath  *known = lfirst(lc);

		if (known->source_id == source_id && known->path)
			ls_paths_add(paths->paths, known->path);
	}
	/* nothing can fail any more */
	MemoryContextSwitchTo(set->context);
	set->paths = lappend(set->paths, paths);
	MemoryContextSwitchTo(context);
	if (set->nunkeyed >= MANY_UNKEYED && !warned)
	{
		ereport(WARNING,
				(errmsg("%d lead streams have no keys that are up to date",
						set->nunkeyed),
				 errdetail("Every session has to bind their rules before its first row."),
				 errhint("Make the keys anew: select leadstream.index_streams();")));
		warned = true;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return paths->paths;
}

AccessPaths *
ls_streams_lock_paths(StreamSet *set, int32 source_id)
{
	Oid			relid = set->contacts->relid;
	ActivitySource *source = NULL;
	SourcePaths *paths = NULL;
	uint64		shape;
	ListCell   *lc;

	for (int k = 0; k < set->nkinds; k++)
		if (set->kinds[k]->source_id == source_id)
		{
			source = set->kinds[k];
			relid = source->relid;
		}
	LockRelationOid(relid, AccessShareLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return NULL;
	foreach(lc, set->paths)
		if (((SourcePaths *) lfirst(lc))->source_id == source_id)
			paths = lfirst(lc);
	if (paths == NULL || paths->checked != table_messages)
	{
		/* are the columns that we go by still those? */
		char	   *name = get_attname(relid, source ? source->contact_attno :
									   set->contacts->key_attno, true);

		if (name == NULL ||
			strcmp(name, source ? source->contact_name : set->contacts->key_name) != 0)
			return NULL;
		pfree(name);
	}
	if (paths == NULL)
		return ls_streams_paths(set, source_id);
	if (paths->checked == table_messages)
		return paths->paths;

	shape = table_shape(relid);
	if (shape == paths->shape)
	{
		paths->checked = table_messages;
		return paths->paths;
	}
	/* memory goes with the set */
	set->epoch++;
	set->paths = list_delete_ptr(set->paths, paths);
	foreach(lc, set->known_paths)
		if (((KnownPath *) lfirst(lc))->source_id == source_id &&
			((KnownPath *) lfirst(lc))->path == NULL)
			set->known_paths = foreach_delete_current(set->known_paths, lc);
	return ls_streams_paths(set, source_id);
}
