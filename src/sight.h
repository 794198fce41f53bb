/*-------------------------------------------------------------------------
 *
 * sight.h
 *	  Whose leads somebody sees.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SIGHT_H
#define LS_SIGHT_H

/* Does the caller see the leads of a team? */
extern bool ls_sight_includes(int32 team_id);

#endif							/* LS_SIGHT_H */
