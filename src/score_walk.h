/*-------------------------------------------------------------------------
 *
 * score_walk.h
 *	  Scores that time has turned, and those of sets that were changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SCORE_WALK_H
#define LS_SCORE_WALK_H

#include "stream_cache.h"

/*
 * The part of a tick: judge the contacts whose scores are due, and go on
 * judging all contacts anew by sets that were changed; until "limit" of them are
 * settled, which *settled counts.
 */
extern void ls_scores_tick(StreamSet *set, int64 limit, int64 *settled);

#endif							/* LS_SCORE_WALK_H */
