/*-------------------------------------------------------------------------
 *
 * enter_stream.h
 *	  Entering streams where what concerns them finds them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ENTER_STREAM_H
#define LS_ENTER_STREAM_H

#include "stream_read.h"

/* Put the entries of a stream in place; returns whether it has keys. */
extern bool ls_enter_stream(const StreamRow *row);

/* enter_score.c: the same for the rules of a score set. */
extern void ls_enter_score_set(int32 score_set_id);

#endif							/* LS_ENTER_STREAM_H */
