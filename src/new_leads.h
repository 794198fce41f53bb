/*-------------------------------------------------------------------------
 *
 * new_leads.h
 *	  What is done with the leads of a transaction when it ends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_NEW_LEADS_H
#define LS_NEW_LEADS_H

#include "nodes/bitmapset.h"

/* Attribute numbers of leadstream.team. */
#define TEAM_ID				1
#define TEAM_ACCOUNT		2
#define TEAM_NAME			3
#define TEAM_IS_ACTIVE		5
#define TEAM_HANDS_OUT		6
#define TEAM_NOTIFIES		7

/*
 * This transaction makes leads: when it commits, hand out those of some teams
 * and tell listeners of those of others.
 */
extern void ls_new_leads_made(const Bitmapset *hand_out, const Bitmapset *notify);

/* Do so now, for more leads may have been made since. */
extern void ls_new_leads_finish(bool is_prepare);

#endif							/* LS_NEW_LEADS_H */
