/*-------------------------------------------------------------------------
 *
 * stream_read.h
 *	  The streams as leadstream's tables say.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_READ_H
#define LS_STREAM_READ_H

#include "nodes/pg_list.h"

#include "rule_format.h"

/* A stream as its rows say. */
typedef struct StreamRow
{
	int32		stream_id;
	int32		rule_version;
	char	   *account;
	char	   *name;
	Oid			owner;
	bool		is_enabled;
	Rule	   *rule;
	int			nteams;
	int32	   *team_ids;		/* ascending */
} StreamRow;

/*
 * The enabled streams that have a team, ascending by stream_id, read afresh
 * into the current memory context.
 */
extern StreamRow *ls_stream_read_enabled(int *count);

/*
 * One stream, enabled or not, with its teams, read afresh into the current
 * memory context; NULL if there is none.
 */
extern StreamRow *ls_stream_read(int32 stream_id);

/*
 * Whoever may call clear() or fetch_history() may call what they stand on:
 * the same errors if he has not the rights of the stream's owner, or it is
 * not in the state that is needed.
 */
extern void ls_stream_check(const StreamRow *row, bool is_enabled);

/* The kinds that a rule speaks of: a list of palloc'd strings, each once. */
extern List *ls_rule_kind_names(const Rule *rule);

/* The kinds that any version of a stream's rule spoke of. */
extern List *ls_stream_kind_names(int32 stream_id);

#endif							/* LS_STREAM_READ_H */
