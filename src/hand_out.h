/*-------------------------------------------------------------------------
 *
 * hand_out.h
 *	  Giving new leads to the members of their teams in turn.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_HAND_OUT_H
#define LS_HAND_OUT_H

/*
 * Give the leads of a team that this transaction has made, and that are
 * nobody's, to its members.
 */
extern void ls_hand_out(int32 team_id);

#endif							/* LS_HAND_OUT_H */
