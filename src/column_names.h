/*-------------------------------------------------------------------------
 *
 * column_names.h
 *	  Rules whose columns have got other names.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_COLUMN_NAMES_H
#define LS_COLUMN_NAMES_H

#include "fmgr.h"

/*
 * Names of the columns of a table, by attribute number minus one; NULL: dropped,
 * or not there yet.
 */
typedef struct ColumnNames
{
	int			count;
	char	  **names;
} ColumnNames;

/* From an array of names, and those that a table has now. */
extern ColumnNames ls_column_names(Datum array);
extern ColumnNames ls_column_names_now(Oid relid);

/* The name at a place, which may be beyond the last; NULL: there is none. */
static inline const char *
ls_column_name(const ColumnNames *columns, int i)
{
	return i < columns->count ? columns->names[i] : NULL;
}

#endif							/* LS_COLUMN_NAMES_H */
