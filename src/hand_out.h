/*-------------------------------------------------------------------------
 *
 * hand_out.h
 *	  Giving new leads to the members of their teams in turn.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_HAND_OUT_H
#define LS_HAND_OUT_H

/* Attribute numbers of leadstream.team. */
#define TEAM_ID				1
#define TEAM_ACCOUNT		2
#define TEAM_NAME			3
#define TEAM_IS_ACTIVE		5
#define TEAM_HANDS_OUT		6

/*
 * This transaction makes leads of a team that hands them out: give those that
 * it has made and that are nobody's to its members when it commits.
 */
extern void ls_hand_out_later(int32 team_id);

/* Do so now, for more leads may have been made since. */
extern void ls_hand_out_now(void);

#endif							/* LS_HAND_OUT_H */
