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

#include "catalog.h"
#include "rule_eval.h"
#include "rule_index.h"
#include "stream_read.h"

/* A stream's compiled rule; belongs to stream_cache.c. */
typedef struct StreamProgram StreamProgram;

typedef struct CachedStream
{
	StreamRow	row;
	List	   *kinds;			/* of char *, the kinds its rule speaks of */
	StreamProgram *program;		/* NULL until somebody needs it */
	uint64		locked_for;		/* the settling that last locked its tables */
} CachedStream;

/* A kind, and the streams whose rules speak of it. */
typedef struct CachedKind
{
	ActivitySource *source;
	int			nstreams;
	int32	   *streams;		/* indexes into StreamSet.streams */
	RuleIndex  *index;			/* of these, by what they ask of a row; NULL
								 * until a row comes */
} CachedKind;

/* What a set and its programs were bound to; belongs to stream_cache.c. */
typedef struct StreamSources StreamSources;

/*
 * All that is known at one moment.  Never changed but for programs that are
 * made when first needed; whoever goes on using one past the next call of
 * ls_streams_pin holds a pin on it.
 */
typedef struct StreamSet
{
	MemoryContext context;
	int			pins;
	StreamSources *sources;
	ContactSource *contacts;	/* never NULL */
	int			nkinds;
	CachedKind *kinds;
	int			nstreams;
	CachedStream *streams;		/* by stream_id, ascending */
	HTAB	   *tables;			/* for capture.c: what it knows of tables */
} StreamSet;

/*
 * Pin the streams as of now, after looking at what other sessions changed.
 * NULL where there is nothing to do: no contacts table, or no leadstream.
 */
extern StreamSet *ls_streams_pin(void);
extern void ls_streams_unpin(StreamSet *set);

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

/* A digest of what bound rules depend on of these tables, to be compared. */
extern uint64 ls_tables_shape(List *relids);

/* The index over the streams of a kind, made if need be. */
extern RuleIndex *ls_streams_index(StreamSet *set, CachedKind *kind);

/* Take a stream out of service in this backend, with a warning. */
extern void ls_streams_break(StreamSet *set, CachedStream *stream,
							 ErrorData *why);

/*
 * Must an error end the transaction, although it was raised by a rule?  Such
 * as cancel and deadlock, and what is short of memory or disk.
 */
extern bool ls_error_is_fatal(const ErrorData *error);

/*
 * Tell the cache that what it knows may depend on this table: a table of
 * which triggers fire, say a partition of a kind's.
 */
extern void ls_streams_watch(Oid relid, Oid root);

#endif							/* LS_STREAM_CACHE_H */
