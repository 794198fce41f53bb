/*-------------------------------------------------------------------------
 *
 * reopen.h
 *	  Closed leads that match again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_REOPEN_H
#define LS_REOPEN_H

#include "deliver.h"

/* A match of a stream for a lead that is there. */
typedef struct ReopenRequest
{
	DeliverMatch *match;
	int64		lead_id;
	int32		team_id;
	Datum		stage;			/* in which leads begin: text */
	Datum		note;			/* text, for its event */
	const char *old_stage;		/* in which it was found closed, or NULL */
} ReopenRequest;

/*
 * Reopen those of the leads, which come in the order of (contact, team), that
 * a match reopens, and renew the match.  The contacts are locked, and the
 * caller is the owner of the lead tables.  Returns the number of matches.
 */
extern uint64 ls_reopen(ContactSource *contacts, ReopenRequest *requests, int n,
						TimestampTz at, const char *origin, Datum actor);

#endif							/* LS_REOPEN_H */
