/*-------------------------------------------------------------------------
 *
 * stream_program.c
 *	  The compiled rules of streams, kept from statement to statement.
 *
 * A program (a rule bound to its tables) is made when a row first needs it, and
 * kept, for whatever StreamSet comes next, for as long as the stream's rule and the
 * tables it reads are the same and leadstream.cache_size allows.  It lives in an
 * own memory context below "leadstream streams", with the sources it was bound to,
 * until it is not kept and nobody uses it any more.
 *
 * A stream whose rule cannot be bound is broken: it is left out, and a warning says
 * so once for each version of its rule.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "attempt.h"
#include "compat.h"
#include "guc.h"
#include "read_lock.h"
#include "segment.h"
#include "stream_program.h"
#include "table_watch.h"

/* Programs kept, by stream. */
typedef struct KeptProgram
{
	int32		stream_id;		/* hash key */
	StreamProgram *program;
} KeptProgram;

/* A version of a stream that was reported broken. */
typedef struct BrokenKey
{
	int32		stream_id;
	int32		rule_version;
} BrokenKey;

static MemoryContext programs_context = NULL;
static HTAB *programs = NULL;
static dlist_head programs_by_use = DLIST_STATIC_INIT(programs_by_use);
static Size programs_size = 0;
static HTAB *reported = NULL;

void
ls_stream_programs_init(MemoryContext context)
{
	HASHCTL		ctl;

	programs_context = context;
	if (programs == NULL)
	{
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(int32);
		ctl.entrysize = sizeof(KeptProgram);
		ctl.hcxt = context;
		programs = hash_create("leadstream programs", 64, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (reported == NULL)
	{
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(BrokenKey);
		ctl.entrysize = sizeof(BrokenKey);
		ctl.hcxt = context;
		reported = hash_create("leadstream broken streams", 16, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
}

void
ls_stream_programs_changed(Oid root)
{
	HASH_SEQ_STATUS status;
	KeptProgram *kept;

	hash_seq_init(&status, programs);
	while ((kept = hash_seq_search(&status)) != NULL)
		if (kept->program->relids == NIL || root == InvalidOid ||
			list_member_oid(kept->program->relids, root))
			kept->program->is_stale = true;
}

void
ls_stream_program_release(StreamProgram *program)
{
	if (--program->uses == 0)
	{
		ls_sources_release(program->sources);
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
	ls_stream_program_release(program);
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

bool
ls_stream_programs_are_many(void)
{
	return programs_size > (Size) ls_guc_cache_size * 1024;
}

void
ls_stream_programs_trim(void)
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
ls_stream_programs_stats(int64 *entries, Size *bytes)
{
	*entries = programs ? hash_get_num_entries(programs) : 0;
	*bytes = programs_size;
}

/* Warn of a broken stream, once for each version of its rule. */
static void
report_broken(const StreamRow *row, const ErrorData *why)
{
	BrokenKey	key;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.stream_id = row->stream_id;
	key.rule_version = row->rule_version;
	hash_search(reported, &key, HASH_ENTER, &found);
	if (!found && row->is_score)
		ereport(WARNING,
				(errcode(why->sqlerrcode),
				 errmsg("score rule \"%s\" is broken and earns no points", row->name),
				 errdetail_internal("%s", why->message),
				 errhint("Correct what it says, or alter the rule, then call leadstream.rescore for what was missed.")));
	else if (!found)
		ereport(WARNING,
				(errcode(why->sqlerrcode),
				 errmsg("lead stream \"%s\" is broken and makes no leads",
						row->name),
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
	program->checked = ls_watch_messages.tables;
	program->shape = ls_tables_shape(program->relids);
	MemoryContextSwitchTo(oldcontext);
	if (making->keys)
		*making->keys = ls_stream_keys(program->program, making->row->account,
									   making->row->is_score, making->book);
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

/*
 * Put a rule into the words that its version has now, and return the sources of
 * now, with one use; NULL: nothing is different.
 */
static StreamSources *
catch_up(StreamSources *sources, StreamRow *row)
{
	StreamSources *now = ls_sources_read();
	MemoryContext oldcontext;
	Rule	   *rule;
	bool		is_other;

	if (now == NULL)
		return NULL;
	oldcontext = MemoryContextSwitchTo(GetMemoryChunkContext(row));
	rule = ls_stream_version_rule(row->stream_id, row->rule_version);
	MemoryContextSwitchTo(oldcontext);
	is_other = rule && (VARSIZE(rule) != VARSIZE(row->rule) ||
						memcmp(rule, row->rule, VARSIZE(rule)) != 0);
	if (!ls_sources_same_key(now, sources) || (!is_other && ls_sources_same(now, sources)))
	{
		if (rule)
			pfree(rule);
		MemoryContextDelete(now->context);
		return NULL;
	}
	if (is_other)
		row->rule = rule;
	now->uses++;
	MemoryContextSetParent(now->context, programs_context);
	return now;
}

StreamProgram *
ls_stream_program_find(StreamSources *sources, StreamRow *row, uint64 messages)
{
	KeptProgram *kept = hash_search(programs, &row->stream_id, HASH_FIND, NULL);
	StreamProgram *program;
	StreamSources *now;
	ErrorData  *error;

	if (kept && !kept->program->is_stale && kept->program->sources == sources &&
		kept->program->rule_version == row->rule_version &&
		kept->program->rule_digest == rule_digest(row->rule))
	{
		dlist_move_head(&programs_by_use, &kept->program->node);
		kept->program->uses++;
		return kept->program;
	}
	program = make_program(sources, row, NULL, NULL, &error);
	/* words that bind may mean another column by now */
	if ((error || messages != ls_watch_messages.tables) &&
		(now = catch_up(sources, row)) != NULL)
	{
		if (error)
			FreeErrorData(error);
		ls_stream_program_release(program);
		program = make_program(now, row, NULL, NULL, &error);
		ls_sources_release(now);
	}
	MemoryContextSetParent(program->context, programs_context);
	keep_program(program);
	ls_stream_program_release(program);
	if (error)
	{
		report_broken(row, error);
		FreeErrorData(error);
	}
	program->uses++;
	return program;
}

bool
ls_stream_program_keys(StreamSources *sources, const StreamRow *row, PathBook *book,
					   StreamKeys **keys)
{
	ErrorData  *error;
	StreamProgram *program = make_program(sources, row, book, keys, &error);
	bool		result = !program->is_broken;

	ls_stream_program_release(program);
	if (error)
		FreeErrorData(error);
	return result;
}

bool
ls_stream_program_lock(StreamProgram *program)
{
	ListCell   *lc;
	uint64		messages;

	foreach(lc, program->relids)
		ls_lock_to_read(lfirst_oid(lc));
	messages = ls_watch_messages.tables;
	if (program->checked == messages)
		return true;
	if (ls_tables_shape(program->relids) != program->shape)
		return false;
	program->checked = messages;
	return true;
}

void
ls_stream_program_break(StreamProgram *program, const StreamRow *row, const ErrorData *why)
{
	program->is_broken = true;
	report_broken(row, why);
}
