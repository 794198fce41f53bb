/*-------------------------------------------------------------------------
 *
 * stream_read.h
 *	  The streams as leadstream's tables say.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_READ_H
#define LS_STREAM_READ_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "rule_format.h"

/* A stream as its rows say. */
typedef struct StreamRow
{
	int32		stream_id;
	int32		rule_version;
	char	   *account;
	char	   *name;
	Oid			owner;
	uint64		changed;		/* the transaction that wrote the row */
	bool		is_enabled;
	bool		is_seeded;
	int32		run;
	TimestampTz enabled_at;		/* of a disabled one DT_NOEND */
	Interval   *requalify_after;	/* NULL: never */
	const Rule *rule;			/* with its segments in their places */
	int			nteams;
	int32	   *team_ids;		/* ascending */
	bool		is_score;		/* a score rule instead: score_read.h */
	int32		score_set_id;
	int32		points;
} StreamRow;

/*
 * One stream, enabled or not, with its teams, read into the current memory
 * context; NULL if there is none.  A NULL snapshot is that of this moment.
 */
extern StreamRow *ls_stream_read(int32 stream_id, Snapshot snapshot);

/* A row of leadstream.stream, without its teams and with its rule as written. */
extern void ls_stream_row(StreamRow *row, HeapTuple tuple, TupleDesc desc);

/* The ids of all enabled streams, ascending, palloc'd. */
extern int32 *ls_stream_ids(int *count);

/* Tells this database, and the extension as created in it, from all others. */
extern int64 ls_stream_home(void);

/* The enabled streams that were not written here, and so have no keys; palloc'd. */
extern int32 *ls_stream_strangers(Snapshot snapshot, int *count);

/*
 * Has a transaction changed a stream that one snapshot did not see and the
 * other does?  Costs a look into an index.
 */
extern bool ls_stream_changed_since(Snapshot seen, Snapshot now);

/*
 * Whoever may call clear() or fetch_history() may call what they stand on:
 * the same errors if he has not the rights of the stream's owner, or it is
 * not in the state that is needed.
 */
extern void ls_stream_check(const StreamRow *row, bool is_enabled);

/* The kinds that a rule speaks of: a list of palloc'd strings, each once. */
extern List *ls_rule_kind_names(const Rule *rule);

/* Is the kind one of them? */
extern bool ls_rule_speaks_of(const Rule *rule, const char *kind);

/* The kinds that any version of a stream's rule spoke of. */
extern List *ls_stream_kind_names(int32 stream_id);

/*
 * What a version of a stream's rule means, in the names that columns have now
 * and with its segments in their places, palloc'd; NULL: there is no such.
 */
extern Rule *ls_stream_version_rule(int32 stream_id, int32 rule_version);

#endif							/* LS_STREAM_READ_H */
