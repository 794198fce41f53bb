/*-------------------------------------------------------------------------
 *
 * past.h
 *	  The leads of the past.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_PAST_H
#define LS_PAST_H

#include "contact_walk.h"
#include "stream_read.h"

/* A stream whose past is fetched. */
typedef struct PastStream PastStream;

/*
 * All of these take the ids of streams, which must be enabled and the caller's,
 * each once; between SPI_connect and SPI_finish.
 *
 * Wait for the writers whose rows neither the live path nor a snapshot taken now
 * would see; returns the tables that they wrote, which the streams speak of.
 */
extern List *ls_past_wait(const Datum *ids, int n);

/*
 * The streams as they are now (a list of PastStream *), to stay so until the end
 * of the transaction as far as it matters to what they find.  Of tables but those
 * (NIL: those they speak of now) the writers are waited for, too.
 */
extern List *ls_past_hold(const Datum *ids, int n, List *tables);
extern const StreamRow *ls_past_stream(const PastStream *past);

/* Make their leads, of these contacts (NULL: of all); returns how many. */
extern uint64 ls_past_fetch(List *pasts, const WalkPart *part);

#endif							/* LS_PAST_H */
