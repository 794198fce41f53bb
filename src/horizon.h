/*-------------------------------------------------------------------------
 *
 * horizon.h
 *	  Up to where all who write know what was changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_HORIZON_H
#define LS_HORIZON_H

/*
 * The transaction id below which whatever was committed is known to everybody
 * who writes contacts or activities: those who may not have known have ended.
 * Needs SPI, as the next does.
 */
extern uint64 ls_horizon(void);

/*
 * Move it on: to be called by a tick that has to leave something for the next
 * one because of those who write now.  Where none needs it, it stands still.
 */
extern void ls_horizon_move(void);

/* The id of a transaction of not too long ago, with its epoch. */
extern uint64 ls_horizon_widen(TransactionId xid);

#endif							/* LS_HORIZON_H */
