/*-------------------------------------------------------------------------
 *
 * key_access.h
 *	  How the rows of one key are found in a table: the best index there is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_KEY_ACCESS_H
#define LS_KEY_ACCESS_H

#include "access/sdir.h"
#include "fmgr.h"
#include "utils/rel.h"

typedef struct KeyAccess
{
	Relation	index;			/* NULL: read the whole table */
	bool		has_time;		/* does the index go on with the time? */
	bool		is_unique;		/* are its columns a key of the table? */
	ScanDirection direction;	/* newest first, if it has the time */
	FmgrInfo	eq;				/* column = key */
	Oid			subtype;		/* of the key, to that operator */
	Oid			collation;
} KeyAccess;

/*
 * How to read a table without children by a key of type key_type (a base type)
 * in its column key_attno; time_attno, where not 0, is the column of the time.
 * The index is open under AccessShareLock; closing it is the caller's.  What the
 * operator allocates goes into the current memory context.  An error if the column
 * cannot be compared with such a key.
 */
extern void ls_key_access_choose(KeyAccess *access, Relation rel, AttrNumber key_attno,
								 Oid key_type, AttrNumber time_attno);

/* Can a column of this type be compared with keys of that (base) type? */
extern bool ls_key_can_compare(Oid column_type, Oid key_type);

#endif							/* LS_KEY_ACCESS_H */
