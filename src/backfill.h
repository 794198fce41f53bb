/*-------------------------------------------------------------------------
 *
 * backfill.h
 *	  The leads of the past, part by part.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_BACKFILL_H
#define LS_BACKFILL_H

/* Forget how far a stream has come that is dropped. */
extern void ls_backfill_forget(int32 stream_id);

#endif							/* LS_BACKFILL_H */
