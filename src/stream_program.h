/*-------------------------------------------------------------------------
 *
 * stream_program.h
 *	  The compiled rules of streams, kept from statement to statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_PROGRAM_H
#define LS_STREAM_PROGRAM_H

#include "lib/ilist.h"

#include "rule_eval.h"
#include "stream_keys.h"
#include "stream_read.h"
#include "stream_sources.h"

/* A stream's rule, bound to its tables. */
typedef struct StreamProgram
{
	int32		stream_id;
	int32		rule_version;
	uint64		rule_digest;
	dlist_node	node;			/* of those kept, the latest first */
	Size		size;
	MemoryContext context;
	int			uses;			/* by streams of sets, and by being kept */
	bool		is_kept;
	StreamSources *sources;
	List	   *relids;			/* root tables it reads; NIL: not known */
	uint64		shape;			/* of them all, when it was bound */
	uint64		checked;		/* messages when that was still so */
	bool		is_stale;		/* one of them has another shape now */
	bool		is_broken;
	RuleProgram *program;		/* NULL: broken from the start */
} StreamProgram;

extern void ls_stream_programs_init(MemoryContext context);

/*
 * The program of a stream, one that is kept or a new one, with a use more.  A
 * broken one too, of which a warning has been given.  Where columns may have got
 * other names since the row was read, which messages tells (the number of those
 * about tables until then), the row's rule is put into the words of now.
 */
extern StreamProgram *ls_stream_program_find(StreamSources *sources, StreamRow *row,
											 uint64 messages);
extern void ls_stream_program_release(StreamProgram *program);

/*
 * Where a stream is to be entered, in the current memory context; false if its
 * rule cannot be bound.
 */
extern bool ls_stream_program_keys(StreamSources *sources, const StreamRow *row,
								   PathBook *book, StreamKeys **keys);

/* Lock the tables that a program reads; are they as they were when it was bound? */
extern bool ls_stream_program_lock(StreamProgram *program);

/* Take a program out of service, with a warning. */
extern void ls_stream_program_break(StreamProgram *program, const StreamRow *row,
									const ErrorData *why);

/* An attached table, or InvalidOid: any, has another shape now. */
extern void ls_stream_programs_changed(Oid root);

/* Drop kept programs that nobody uses, if those kept are too many. */
extern bool ls_stream_programs_are_many(void);
extern void ls_stream_programs_trim(void);

/* How many are kept, and their memory. */
extern void ls_stream_programs_stats(int64 *entries, Size *bytes);

#endif							/* LS_STREAM_PROGRAM_H */
