/*-------------------------------------------------------------------------
 *
 * score_keep.h
 *	  Judging the scores of contacts that are kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SCORE_KEEP_H
#define LS_SCORE_KEEP_H

#include "contact_lock.h"
#include "key_scan.h"
#include "score_store.h"
#include "stream_cache.h"

/* What may have turned of a contact, which is locked. */
typedef struct ScoreItem
{
	Datum		key;
	RowPlace	place;			/* where it was locked */
	int32		score_set_id;
	CachedStream *rule;			/* NULL: any rule of the set, by time, or because
								 * the set is another one */
} ScoreItem;

/* Items that are judged together, under one snapshot. */
typedef struct ScoreJob
{
	StreamSet  *set;			/* held */
	ContactOrder *order;
	int			n;
	ScoreItem  *items;			/* those of a contact beside each other, and of
								 * these those of a set */
	bool		only_inserted;	/* nothing has happened but that rows came */
	bool		is_whole;		/* judge all rules, whatever is kept */
	Snapshot	snapshot;		/* taken since the contacts were locked */
	TimestampTz clock;
	int			nchanges;		/* what came out; */
	ScoreChange *changes;		/* room for as many as there are items */
} ScoreJob;

/*
 * Lock what the rules of a set read, as ls_streams_lock does; at most once for
 * each settling, by its number.
 */
extern void ls_scores_lock(StreamSet *set, int32 score_set_id, uint64 settling);

/* Judge.  Locked must be what the rules read. */
extern void ls_scores_judge(ScoreJob *job);

/*
 * Lock contacts, judge them for whole sets and write what came out.  Whoever
 * waits for nobody leaves contacts that somebody has; returns how many were
 * left, the last of the items then, and in *nchanged how many scores were
 * written.  Items are sorted in place; their keys must live on.
 */
extern int	ls_scores_settle(StreamSet *set, ScoreItem *items, int n, bool may_wait,
							 int *nchanged);

#endif							/* LS_SCORE_KEEP_H */
