/*-------------------------------------------------------------------------
 *
 * contact_walk.h
 *	  The contacts, part by part, in the order of their keys.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CONTACT_WALK_H
#define LS_CONTACT_WALK_H

#include "catalog.h"

/*
 * Contacts that follow each other: those whose key is after "after", up to
 * "upto".  Without the one they begin with the first contact there is, without
 * the other they end with the last.
 */
typedef struct WalkPart
{
	bool		has_after;
	bool		has_upto;
	Datum		after;
	Datum		upto;
	char	   *position;		/* "upto" for the record; NULL: the walk is over */
	int			count;			/* how many they were when the part was made */
	Datum	   *keys;			/* theirs, where they were asked for */
} WalkPart;

/*
 * The next contacts behind a position (NULL: the first), of one account (NULL:
 * any), as they are at this moment, "limit" of them if there are so many; in the
 * current memory context.  Read with the rights of the caller, or of the owner
 * of the contacts.
 */
extern void ls_walk_next(ContactSource *contacts, const char *account,
						 const char *position, int limit, bool as_owner,
						 bool with_keys, WalkPart *part);

/* About how many contacts there are, as the planner estimates. */
extern int64 ls_walk_length(ContactSource *contacts, const char *account, bool as_owner);

#endif							/* LS_CONTACT_WALK_H */
