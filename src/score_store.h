/*-------------------------------------------------------------------------
 *
 * score_store.h
 *	  The scores of contacts that are kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SCORE_STORE_H
#define LS_SCORE_STORE_H

#include "catalog.h"

/* Attribute numbers of leadstream.score. */
#define SCORE_CONTACT		1
#define SCORE_SCORE_SET		2
#define SCORE_VERSION		3
#define SCORE_POINTS		4
#define SCORE_PAYING		5
#define SCORE_NEXT_AT		6
#define SCORE_SETTLED_AT	7

/* The score of a contact in a set; see the table's comments. */
typedef struct KeptScore
{
	int32		score_set_id;
	int32		version;
	int64		points;
	int			npaying;
	int32	   *paying;			/* ids of score rules, ascending */
	TimestampTz next_at;		/* DT_NOEND: never */
	ItemPointerData tid;		/* of the row, where it was read */
} KeptScore;

/* Reads the scores of contacts under a snapshot. */
typedef struct ScoreReader ScoreReader;

/*
 * NULL where there is no table.  Scores of other sets than the one may be left
 * out; 0: of none.  Allocated in the current memory context; to be
 * closed by the same resource owner.
 */
extern ScoreReader *ls_scores_open(ContactSource *contacts, Snapshot snapshot,
								   int32 score_set_id);

/* The scores of a contact, in the current memory context. */
extern int	ls_scores_read(ScoreReader *reader, Datum key, KeptScore **scores);
extern void ls_scores_close(ScoreReader *reader);

/* What is to become of the score of a contact in a set. */
typedef struct ScoreChange
{
	Datum		key;
	bool		is_kept;		/* there is one already, */
	ItemPointerData tid;		/* here */
	bool		is_removed;
	KeptScore	score;
} ScoreChange;

/*
 * Write changes, in the order of the contacts' keys; the contacts must be locked,
 * or gone.  First scores of contacts that the transaction cannot see, in REPEATABLE
 * READ and above, are left out, as leads are.
 */
extern void ls_scores_write(ContactSource *contacts, ScoreChange *changes, int n,
							TimestampTz settled_at);

#endif							/* LS_SCORE_STORE_H */
