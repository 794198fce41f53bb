/*-------------------------------------------------------------------------
 *
 * hand_out.h
 *	  Giving new leads to the members of their teams in turn.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_HAND_OUT_H
#define LS_HAND_OUT_H

/* Give leads of a team, by id, that are nobody's to its members. */
extern void ls_hand_out(int32 team_id, const int64 *leads, int64 n);

#endif							/* LS_HAND_OUT_H */
