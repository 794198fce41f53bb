/*-------------------------------------------------------------------------
 *
 * stream_cache.c
 *	  The enabled streams, as this backend knows them.
 *
 * A StreamSet is what leadstream's tables said at one moment: the contacts
 * table, the kinds, the enabled streams.  It is read like a system catalog,
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
 * rule bound to its tables) is made when a row first needs it, and handed on
 * from set to set for as long as the stream's rule and the tables it reads
 * are the same.  The sources are what programs were bound to, and are kept
 * for as long as they come out equal when read again.
 *
 * Invalidation.  Every write to leadstream's tables sends a relcache message
 * for leadstream.stream (the trigger leadstream.invalidate).  It is delivered
 * to others at commit, to ourselves at the next command and again when the
 * (sub)transaction is rolled back, so a set that saw changes which then never
 * happened is not kept.  The callback may be called at any lock acquisition:
 * it counts and flags, nothing else.  A message for a table that rules read
 * (autovacuum sends many) matters only if the table has another shape
 * afterwards.
 *
 * A stream whose rule cannot be bound is broken: it is left out, and a
 * warning says so once for each version of its rule.
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
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "compat.h"
#include "stream_cache.h"

PG_FUNCTION_INFO_V1(leadstream_invalidate);

/* Readings before we take what we have, though invalidations keep coming. */
#define MAX_LOAD_ATTEMPTS			5

struct StreamSources
{
	MemoryContext context;
	int			uses;			/* by sets and programs */
	ContactSource *contacts;
	List	   *activities;		/* of ActivitySource * */
};

struct StreamProgram
{
	MemoryContext context;
	int			uses;			/* by sets */
	StreamSources *sources;
	List	   *relids;			/* root tables it reads; NIL: not known */
	uint64		shape;			/* of them all, when it was bound */
	uint64		checked;		/* table_messages when that was still so */
	bool		is_stale;		/* one of them has another shape now */
	bool		is_broken;
	RuleProgram *program;		/* NULL: broken from the start */
};

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
 * Look at the tables that messages were about.  Marks the current programs
 * that read a table of another shape, and tells whether there was such a one.
 */
static bool
check_tables(void)
{
	HASH_SEQ_STATUS status;
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
		for (int i = 0; current_set && i < current_set->nstreams; i++)
		{
			StreamProgram *program = current_set->streams[i].program;

			if (program &&
				(program->relids == NIL || table->root == InvalidOid ||
				 list_member_oid(program->relids, table->root)))
				program->is_stale = true;
		}
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

/* Put the enabled streams that have a team into the current context. */
static void
read_streams(StreamSet *set)
{
	StreamRow  *rows = ls_stream_read_enabled(&set->nstreams);

	set->streams = palloc_extended(sizeof(CachedStream) * (Size) Max(set->nstreams, 1),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < set->nstreams; i++)
	{
		set->streams[i].row = rows[i];
		set->streams[i].kinds = ls_rule_kind_names(rows[i].rule);
	}
	pfree(rows);
}


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

static void
free_set(StreamSet *set)
{
	for (int i = 0; i < set->nstreams; i++)
		if (set->streams[i].program)
			release_program(set->streams[i].program);
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
 * Read everything.  Returns NULL where nothing is attached.  The set is
 * allocated below the current memory context, so that an error leaves no
 * trace; programs of the old set are taken over by adopt_programs.
 */
static StreamSet *
read_set(void)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext context;
	StreamSources *sources = read_sources();
	StreamSet  *set;
	ListCell   *lc;
	int		   *counts;

	if (sources == NULL)
		return NULL;

	watch_tree(sources->contacts->relid);
	foreach(lc, sources->activities)
		watch_tree(((ActivitySource *) lfirst(lc))->relid);

	context = AllocSetContextCreate(oldcontext, "leadstream stream set",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	set = palloc0(sizeof(StreamSet));
	set->context = context;
	set->sources = sources;
	set->contacts = sources->contacts;
	read_streams(set);

	/* which streams speak of which kind */
	set->nkinds = list_length(sources->activities);
	set->kinds = palloc0(sizeof(CachedKind) * Max(set->nkinds, 1));
	counts = palloc0(sizeof(int) * Max(set->nkinds, 1));
	foreach(lc, sources->activities)
		set->kinds[foreach_current_index(lc)].source = lfirst(lc);
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < set->nstreams; i++)
		{
			foreach(lc, set->streams[i].kinds)
			{
				for (int k = 0; k < set->nkinds; k++)
				{
					CachedKind *kind = &set->kinds[k];

					if (strcmp(kind->source->kind, lfirst(lc)) != 0)
						continue;
					if (pass == 0)
						counts[k]++;
					else
						kind->streams[kind->nstreams++] = i;
					break;
				}
			}
		}
		for (int k = 0; pass == 0 && k < set->nkinds; k++)
			if (counts[k] > 0)
				set->kinds[k].streams =
					MemoryContextAllocHuge(context, sizeof(int32) * (Size) counts[k]);
	}
	pfree(counts);
	MemoryContextSwitchTo(oldcontext);
	return set;
}

/* Hand the programs of unchanged streams on to a new set. */
static void
adopt_programs(StreamSet *set, StreamSet *old)
{
	int			o = 0;

	if (!same_sources(set->sources, old->sources))
		return;

	/* programs point into the old sources: let the set do so too */
	for (int k = 0; k < set->nkinds; k++)
		set->kinds[k].source = list_nth(old->sources->activities, k);
	MemoryContextDelete(set->sources->context);
	set->sources = old->sources;
	set->contacts = old->sources->contacts;

	for (int i = 0; i < set->nstreams; i++)
	{
		CachedStream *stream = &set->streams[i];
		StreamProgram *program;

		while (o < old->nstreams &&
			   old->streams[o].row.stream_id < stream->row.stream_id)
			o++;
		if (o == old->nstreams)
			break;
		program = old->streams[o].program;
		if (old->streams[o].row.stream_id == stream->row.stream_id &&
			program && !program->is_stale &&
			old->streams[o].row.rule_version == stream->row.rule_version &&
			same_rule(old->streams[o].row.rule, stream->row.rule))
		{
			stream->program = program;
			program->uses++;
		}
	}
}

/* Make the current set say what the tables say. */
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
			adopt_programs(set, old);
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
		ls_streams_unpin(old);
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
		current_set->pins++;
	return current_set;
}

void
ls_streams_unpin(StreamSet *set)
{
	if (--set->pins == 0)
		free_set(set);
}


/* -------------------------------------------------------------------------
 * Programs
 * -------------------------------------------------------------------------
 */

bool
ls_error_is_fatal(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* rollback */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* resources */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* intervention */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* system error */
			return true;
		default:
			return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
				error->elevel > ERROR;
	}
}

/* Warn of a broken stream, once for each version of its rule. */
static void
report_broken(CachedStream *stream, const ErrorData *why)
{
	BrokenKey	key;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.stream_id = stream->row.stream_id;
	key.rule_version = stream->row.rule_version;
	hash_search(reported, &key, HASH_ENTER, &found);
	if (!found)
		ereport(WARNING,
				(errcode(why->sqlerrcode),
				 errmsg("lead stream \"%s\" is broken and makes no leads",
						stream->row.name),
				 errdetail_internal("%s", why->message),
				 errhint("Correct what it says, or alter the rule, then call leadstream.fetch_history for what was missed.")));
}

/* The attached tables whose shape the stream's program depends on. */
static List *
tables_read(StreamSources *sources, CachedStream *stream)
{
	List	   *relids = list_make1_oid(sources->contacts->relid);
	ListCell   *lc;
	ListCell   *ls;

	foreach(lc, stream->kinds)
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

/*
 * Bind a stream's rule.  Inside a subtransaction, for the rule may have
 * become wrong since it was written, and the insert that met it must go on.
 */
static void
make_program(StreamSources *sources, CachedStream *stream)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	MemoryContext context;
	StreamProgram *program;
	ErrorData  *volatile error = NULL;

	context = AllocSetContextCreate(oldcontext, "leadstream program",
									ALLOCSET_SMALL_SIZES);
	program = MemoryContextAllocZero(context, sizeof(StreamProgram));
	program->context = context;
	program->sources = sources;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		int			nestlevel = NewGUCNestLevel();
		Oid			userid;
		int			sec_context;

		/*
		 * In the name of the owner of the contacts: looking up types and
		 * operators asks for rights on schemas and functions that whoever
		 * inserts need not have, and the program outlives his SET ROLE.
		 * Errors set everything back with the subtransaction.
		 */
		GetUserIdAndSecContext(&userid, &sec_context);
		SetUserIdAndSecContext(table_owner(sources->contacts->relid),
							   sec_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
		ls_restrict_search_path();
		program->relids = tables_read(sources, stream);
		program->program =
			ls_program_make(ls_rule_bind(stream->row.rule, sources->contacts,
										 sources->activities));
		/* its tables are locked now */
		program->checked = table_messages;
		program->shape = ls_tables_shape(program->relids);
		AtEOXact_GUC(true, nestlevel);
		SetUserIdAndSecContext(userid, sec_context);

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

	if (error)
	{
		/* what is left of a half-made program is of no use to anybody */
		MemoryContextDelete(context);
		context = AllocSetContextCreate(oldcontext, "leadstream program",
										ALLOCSET_SMALL_SIZES);
		program = MemoryContextAllocZero(context, sizeof(StreamProgram));
		program->context = context;
		program->sources = sources;
		program->is_broken = true;
	}
	MemoryContextSetParent(context, cache_context);
	program->sources->uses++;
	program->uses = 1;
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
		make_program(set->sources, stream);
	return stream->program->is_broken ? NULL : stream->program->program;
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
						stream->row.name),
				 errdetail("The key or the account column of the contacts was changed while it ran."),
				 errhint("Call leadstream.fetch_history for what was missed.")));
		return;
	}
	stream->program = NULL;
	make_program(sources, stream);
	MemoryContextSetParent(sources->context, cache_context);
	release_program(old);
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

RuleIndex *
ls_streams_index(StreamSet *set, CachedKind *kind)
{
	MemoryContext oldcontext;
	RuleIndex  *index;

	if (kind->index)
		return kind->index;
	oldcontext = MemoryContextSwitchTo(set->context);
	index = ls_index_make(kind->source);
	MemoryContextSwitchTo(oldcontext);
	for (int i = 0; i < kind->nstreams; i++)
	{
		CachedStream *stream = &set->streams[kind->streams[i]];
		RuleProgram *program = ls_streams_program(set, stream);

		/* a broken stream is nobody's business */
		if (program)
			ls_index_add(index, kind->streams[i], program);
	}
	ls_index_finish(index);
	kind->index = index;
	return index;
}

void
ls_streams_break(StreamSet *set, CachedStream *stream, ErrorData *why)
{
	stream->program->is_broken = true;
	report_broken(stream, why);
}
