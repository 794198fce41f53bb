/*-------------------------------------------------------------------------
 *
 * stream_cache.h
 *	  The enabled streams, as this backend knows them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_CACHE_H
#define LS_STREAM_CACHE_H

#include "utils/hsearch.h"
#include "utils/resowner.h"
#include "utils/snapshot.h"

#include "catalog.h"
#include "rule_eval.h"
#include "rule_index.h"
#include "score_read.h"
#include "stream_program.h"
#include "stream_read.h"
#include "stream_sources.h"

/* A stream that was asked for. */
typedef struct CachedStream
{
	int32		stream_id;
	StreamRow  *row;			/* NULL: there is none */
	StreamProgram *program;		/* NULL until somebody needs it */
	uint64		locked_for;		/* the settling that last locked its tables */
	uint64		found_for;		/* for settle.c: the last contact it was found for */
	uint64		gather;			/* for gather.c: the gather that last made it a */
	Datum		last_key;		/* candidate, and of which contact */
} CachedStream;

/* A score set with its rules that are enabled, in the order of their ids. */
typedef struct CachedScoreSet
{
	int32		score_set_id;	/* hash key */
	ScoreSetRow *row;			/* NULL: there is none, or it is disabled */
	int			nrules;
	CachedStream **rules;
	/* for score_keep.c: */
	uint64		locked_for;		/* as of a stream */
	List	   *relids;			/* tables that the rules read, once they were locked; */
	uint64		checked;		/* messages when they were all as they were bound to */
	bool		is_foreign;		/* then, may a rule raise errors? */
} CachedScoreSet;

/*
 * What is known at one moment.  Grows by what is asked for; whoever goes on
 * using one past the next call of ls_streams_pin holds a pin on it.
 */
typedef struct StreamSet
{
	MemoryContext context;
	int			pins;
	int			users;			/* pins of statements that read */
	int			held;			/* while somebody points at streams */
	Snapshot	snapshot;		/* of these statements; NULL: there are none */
	bool		is_settled;		/* does all that is remembered agree with it? */
	ResourceOwner snapshot_owner;
	Snapshot	seen;			/* what all that is remembered has seen */
	uint64		snapshot_ended; /* transactions that others had ended when */
	uint64		seen_ended;		/* they were taken */
	uint64		epoch;			/* of what is remembered */
	uint64		messages;		/* about tables, before it was read */
	StreamSources *sources;
	ContactSource *contacts;	/* never NULL */
	int			nkinds;
	ActivitySource **kinds;
	RuleIndex  *index;
	/* of stream_paths.c */
	List	   *paths;			/* of SourcePaths * */
	List	   *known_paths;	/* of KnownPath * */
	int			nunkeyed;
	int			nunkeyed_before;	/* when the last ones were added */
	int			unkeyed_room;
	struct UnkeyedStream *unkeyed;
	bool		unkeyed_is_read;

	MemoryContext streams_context;
	struct streams_hash *streams;	/* by stream_id; NULL: none yet */
	HTAB	   *score_sets;		/* of CachedScoreSet, beside them; likewise */
	HTAB	   *tables;			/* for fired_table.c: what it knows of tables, */
	struct FiredTable *last_fired;	/* and which was asked for last */
} StreamSet;

/*
 * Pin the streams as of now, after looking at what other sessions changed.
 * NULL where there is nothing to do: no contacts table, or no leadstream.
 * ls_streams_share pins a pinned one once more.
 */
extern StreamSet *ls_streams_pin(void);
extern void ls_streams_share(StreamSet *set);
extern void ls_streams_unpin(StreamSet *set);

/*
 * Make sure that all that is remembered is of the statement's beginning.  To be
 * called before anything is concluded from what was looked up, which is to be
 * looked up again if the set's epoch is another one afterwards.  Returns the
 * snapshot of that beginning.
 */
extern Snapshot ls_streams_settle_state(StreamSet *set);

/*
 * Keep what is remembered within bounds.  Frees streams, unless the set is
 * held, and what was looked up.
 */
extern void ls_streams_trim(StreamSet *set);

/*
 * An enabled stream that has a team, or score rule, or NULL.  Good until the next call of
 * ls_streams_trim, or for as long as the set is held.
 */
extern CachedStream *ls_streams_get(StreamSet *set, int32 stream_id);

/* The same of a score set. */
extern CachedScoreSet *ls_streams_score_set(StreamSet *set, int32 score_set_id);

/*
 * The program of a stream, made if need be; NULL for a broken one, of which
 * a warning has been given.
 */
extern RuleProgram *ls_streams_program(StreamSet *set, CachedStream *stream);

/*
 * The same, with the tables that it reads locked and as they were when it was
 * bound; bound again if need be.  To be called before rows are judged: since
 * the statement began anybody may have altered a table that it holds no lock
 * on.
 */
extern RuleProgram *ls_streams_lock(StreamSet *set, CachedStream *stream);

/* A number for one settling, within which nothing has to be locked twice. */
extern uint64 ls_streams_settling(void);

/*
 * Where a stream is to be entered, in the current memory context; false if its
 * rule cannot be bound.
 */
extern bool ls_streams_keys(StreamSet *set, const StreamRow *row, PathBook *book,
							StreamKeys **keys);

/* Let go of a stream's program, which is made again when somebody asks for it. */
extern void ls_streams_release_program(CachedStream *stream);

/* Take a stream out of service in this backend, with a warning. */
extern void ls_streams_break(StreamSet *set, CachedStream *stream,
							 ErrorData *why);

/* Warn of the streams that speak of a kind of which a column is gone. */
extern void ls_streams_report_kind(StreamSet *set, ActivitySource *kind);

/* What this session remembers: how many of each, and their memory. */
typedef struct CacheStats
{
	struct
	{
		const char *name;
		int64		entries;
		Size		bytes;
	}			parts[4];
} CacheStats;

extern void ls_streams_stats(CacheStats *stats);

#endif							/* LS_STREAM_CACHE_H */
