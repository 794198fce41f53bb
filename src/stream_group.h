/*-------------------------------------------------------------------------
 *
 * stream_group.h
 *	  Streams that rows of a statement concern together.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_GROUP_H
#define LS_STREAM_GROUP_H

/* In the order in which they were found; a stream may be there twice. */
typedef struct StreamGroup
{
	int			n;
	int32	   *streams;
	bool		has_key;		/* for gather.c: was it a candidate, */
	Datum		last_key;		/* and of which contact last? */
} StreamGroup;

typedef struct StreamGroups StreamGroups;

/* Made in the current memory context, where all groups stay. */
extern StreamGroups *ls_groups_make(void);

/*
 * The number of the group of these streams, entered if it is new; -1 if there
 * are too many groups already.
 */
extern int	ls_groups_find(StreamGroups *groups, const int32 *streams, int n);

/* Good until the next call of ls_groups_find. */
extern StreamGroup *ls_groups_get(StreamGroups *groups, int number);

#endif							/* LS_STREAM_GROUP_H */
