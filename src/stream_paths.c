/*-------------------------------------------------------------------------
 *
 * stream_paths.c
 *	  By which columns rows of a source are looked up, and streams without keys.
 *
 * The paths of a source are read when its first row comes and belong to the
 * StreamSet.  They are those that are kept beside the keys of streams (key_store.c),
 * as far as they still mean the same of the tables.  A stream whose keys are out of
 * date, or were never made, has none; such streams are bound before the first row
 * that may concern them and entered in the session's own index, with paths of
 * their own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "key_store.h"
#include "read_lock.h"
#include "stream_paths.h"
#include "stream_program.h"
#include "table_watch.h"

/* Streams without keys that are worth a word. */
#define MANY_UNKEYED				1000

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
	uint64		checked;		/* messages when that was still so */
} SourcePaths;


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

/* Forget those that are kept in the table; they are read again. */
static void
forget_kept_paths(StreamSet *set, int32 source_id)
{
	ListCell   *lc;

	foreach(lc, set->known_paths)
		if (((KnownPath *) lfirst(lc))->source_id == source_id &&
			((KnownPath *) lfirst(lc))->path == NULL)
			set->known_paths = foreach_delete_current(set->known_paths, lc);
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
			set->unkeyed = MemoryContextAlloc(set->context, sizeof(struct UnkeyedStream) * 16);
			set->unkeyed_room = 16;
		}
		else if (set->nunkeyed == set->unkeyed_room)
		{
			set->unkeyed = repalloc_huge(set->unkeyed, sizeof(struct UnkeyedStream) *
										 (Size) set->unkeyed_room * 2);
			set->unkeyed_room *= 2;
		}
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
	int			n = ls_keys_read(digest, ls_streams_settle_state(set), PG_INT32_MAX, &ids, &has_deeper);

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
	if (ls_stream_program_keys(stream->program->sources, stream->row, &book, &keys))
	{
		for (int i = 0; i < keys->npaths; i++)
		{
			StreamPath *path = &keys->paths[i];

			if (set_knows(&book, path->source_id, path->path->path_id))
				continue;
			/* only what they all have is known */
			foreach(lc, set->paths)
				if (((SourcePaths *) lfirst(lc))->source_id == path->source_id)
					ls_paths_add(((SourcePaths *) lfirst(lc))->paths, path->path);
			note_path(set, path->source_id, path->path->path_id, path->path);
		}
		ls_index_enter(set->index, keys, stream->row->stream_id);
		/* who has looked at its places already must look again */
		set->epoch++;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	/* it will be bound again when a row asks for it, as far as memory goes */
	ls_streams_release_program(stream);
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
	snapshot = ls_streams_settle_state(set);
	/* an error may have ended an earlier reading */
	forget_kept_paths(set, source_id);
	rel = table_open(source ? source->relid : set->contacts->relid, AccessShareLock);

	/* the paths that are kept, as far as they still mean the same */
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream paths",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(set->context);
	paths = palloc(sizeof(SourcePaths));
	paths->source_id = source_id;
	paths->paths = ls_paths_make(varno);
	paths->checked = ls_watch_messages.tables;
	paths->shape = ls_table_shape(RelationGetRelid(rel));
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
		if (stream && source && !ls_rule_speaks_of(stream->row->rule, source->kind))
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
	ls_lock_to_read(relid);
	foreach(lc, set->paths)
		if (((SourcePaths *) lfirst(lc))->source_id == source_id)
			paths = lfirst(lc);
	/* of a table that is gone there was a message */
	if (paths && paths->checked == ls_watch_messages.tables)
		return paths->paths;
	/* is it there, and the column that we go by, whatever its name? */
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) ||
		!OidIsValid(get_atttype(relid, source ? source->contact_attno :
								set->contacts->key_attno)))
		return NULL;
	if (paths == NULL)
		return ls_streams_paths(set, source_id);

	shape = ls_table_shape(relid);
	if (shape == paths->shape)
	{
		paths->checked = ls_watch_messages.tables;
		return paths->paths;
	}
	/* memory goes with the set */
	set->epoch++;
	set->paths = list_delete_ptr(set->paths, paths);
	return ls_streams_paths(set, source_id);
}
