/*-------------------------------------------------------------------------
 *
 * row_updater.h
 *	  Rows of a plain lead table changed where they are, without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ROW_UPDATER_H
#define LS_ROW_UPDATER_H

#include "executor/tuptable.h"

/*
 * Changes rows of one of the lead tables, as their owner may.  Allocated in the
 * current memory context; to be ended by the same resource owner.
 */
typedef struct RowUpdater RowUpdater;

/* A column's new value. */
typedef struct UpdatedColumn
{
	AttrNumber	attno;			/* of no foreign key */
	Oid			type;			/* of the value; the column must be of it, too */
	Datum		value;
	bool		isnull;
} UpdatedColumn;

/*
 * NULL: the table wants a statement, for its owner may have given it what only an
 * update minds, or columns that ours do not fit.  Of the columns only attributes
 * and types are looked at.
 */
extern RowUpdater *ls_updater_begin(Oid relid, const UpdatedColumn *columns, int ncolumns);

/*
 * The row in a place; NULL if it is gone or has changed.  Good until the next
 * call.
 */
extern TupleTableSlot *ls_updater_read(RowUpdater *updater, ItemPointer tid);

/*
 * Change the row read last, waiting for who holds it.  False: it has changed since,
 * or must not be as is wanted; a statement may see to that, or say why not.
 */
extern bool ls_updater_write(RowUpdater *updater, const UpdatedColumn *columns, int ncolumns);
extern void ls_updater_end(RowUpdater *updater);

#endif							/* LS_ROW_UPDATER_H */
