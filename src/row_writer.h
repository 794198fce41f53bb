/*-------------------------------------------------------------------------
 *
 * row_writer.h
 *	  Rows into a plain lead table, without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ROW_WRITER_H
#define LS_ROW_WRITER_H

#include "catalog.h"

/* A column that the writer is given; those it is not given take their default. */
typedef struct WriterColumn
{
	const char *name;
	Oid			type;			/* InvalidOid: that of the contacts' key */
	bool		is_same;		/* one value for all rows */
} WriterColumn;

/*
 * Writes rows of one of the lead tables.  Allocated in the current memory
 * context; to be ended by the same resource owner.
 */
typedef struct RowWriter RowWriter;

/*
 * NULL: the table wants a statement, for its owner may have given it what only
 * an insert minds, or columns that ours do not fit as they are.  Of a table
 * that is written, nothing but the rows themselves comes of them until the end
 * of the transaction.
 *
 * The first nkey columns are those of a unique key, which others may write as
 * well: see ls_writer_write.  The caller is the table's owner; contacts that
 * rows name are locked, so the foreign key on them has nothing to find out.
 */
extern RowWriter *ls_writer_begin(const char *table, const ContactSource *contacts,
								  const WriterColumn *columns, int ncolumns, int nkey);

/*
 * Write rows: columns[c][i] is the value of the i-th, nulls (or one of them)
 * may be NULL.  Returns how many were written; left[] are the others in their
 * order, of which somebody has written the key, or is about to (NULL if nkey
 * is 0).  ids[i], unless NULL, is what the table's first column became, an int8.
 */
extern int	ls_writer_write(RowWriter *writer, Datum **columns, bool **nulls, int nrows,
							Datum *ids, int *left);
extern void ls_writer_end(RowWriter *writer);

#endif							/* LS_ROW_WRITER_H */
