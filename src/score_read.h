/*-------------------------------------------------------------------------
 *
 * score_read.h
 *	  Score rules as streams are read: for the scores that are kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SCORE_READ_H
#define LS_SCORE_READ_H

#include "stream_read.h"

/*
 * A score rule stands among the streams where rows are looked up, by a number
 * above all of theirs.
 */
#define SCORE_STREAM_BASE		0x40000000

static inline bool
ls_is_score_stream(int32 stream_id)
{
	return stream_id >= SCORE_STREAM_BASE;
}

static inline int32
ls_score_stream(int32 score_rule_id)
{
	return score_rule_id + SCORE_STREAM_BASE;
}

static inline int32
ls_score_rule_of(int32 stream_id)
{
	return stream_id - SCORE_STREAM_BASE;
}

/*
 * A score rule in the form of a stream, enabled if both it and its set are, with
 * the version of the set in the place of its own; NULL if there is none, or no
 * set of it.  In the current memory context; a NULL snapshot is that of this
 * moment.
 */
extern StreamRow *ls_score_stream_read(int32 stream_id, Snapshot snapshot);

/* What it says now, if the set is still of that version; palloc'd, else NULL. */
extern Rule *ls_score_version_rule(int32 stream_id, int32 version);

/* The rules of a set, disabled ones too, in the order of their ids: as streams. */
extern List *ls_score_rule_streams(int32 score_set_id, Snapshot snapshot);

/* The ids of all score sets. */
extern List *ls_score_set_ids(Snapshot snapshot);

typedef struct ScoreSetRow
{
	int32		score_set_id;
	int32		version;
	char	   *account;
	bool		is_enabled;
} ScoreSetRow;

/* A set; NULL if there is none.  As above. */
extern ScoreSetRow *ls_score_set_read(int32 score_set_id, Snapshot snapshot);

#endif							/* LS_SCORE_READ_H */
