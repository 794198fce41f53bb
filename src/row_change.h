/*-------------------------------------------------------------------------
 *
 * row_change.h
 *	  Which version of a row came of which.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ROW_CHANGE_H
#define LS_ROW_CHANGE_H

#include "key_scan.h"

/* A statement made one version of a row of another. */
typedef struct RowChange
{
	RowPlace	now;
	RowPlace	before;
} RowChange;

/* Those of a statement, and of the statements within it. */
typedef struct RowChanges
{
	int64		n;
	int64		room;
	RowChange  *rows;
	bool		is_sorted;
	bool		is_alone;		/* of the statement's rows look at one alone, */
	RowPlace	alone;			/* this one */
} RowChanges;

/* Allocated in a memory context, where all that is added stays. */
extern RowChanges *ls_changes_make(MemoryContext context);
extern void ls_changes_add(RowChanges *changes, const RowPlace *now, const RowPlace *before);

/* Add those of a statement within this one. */
extern void ls_changes_join(RowChanges *changes, const RowChanges *inner);

/*
 * The version, before the command since_cid, of the row that a scan gave last,
 * which was written since then; NULL if the row was inserted.  *is_looked_at:
 * is it one to be looked at?
 */
extern TupleTableSlot *ls_changes_before(RowChanges *changes, KeyScan *scan,
										 CommandId since_cid, bool *is_looked_at);

/*
 * Look for those that no trigger has seen, and add them: what has become of the
 * rows that had a key (see ls_keyscan_open) before the command since_cid.  The
 * caller has locked the table.
 */
extern void ls_changes_find(RowChanges *changes, Oid relid, AttrNumber key_attno,
							Oid key_type, Datum key, Snapshot snapshot,
							CommandId since_cid);

#endif							/* LS_ROW_CHANGE_H */
