/*-------------------------------------------------------------------------
 *
 * own_rows.h
 *	  The rows of a contact that stand in no table of activities.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_OWN_ROWS_H
#define LS_OWN_ROWS_H

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/snapshot.h"

#include "catalog.h"

typedef struct OwnRows OwnRows;

/*
 * The kind that a name means where none is attached by it: the contact's leads,
 * or the elements of an array, or of a jsonb column, of the contacts.  NULL: it
 * means none.  Its source_id is that of no attached kind.
 */
extern ActivitySource *ls_ownrows_kind(const ContactSource *contacts, const char *name);

/* What their rows look like; to rules the columns are those of the alias a. */
extern TupleDesc ls_ownrows_desc(const ActivitySource *source);

/*
 * The same as a FROM item, of the contact c: its rows, as the alias a.  equals
 * is the operator of the contacts' keys.
 */
extern char *ls_ownrows_sql(const ActivitySource *source, const ContactSource *contacts,
							const char *equals);

/* Its columns that first and last go by, where times are equal. */
extern const char *ls_ownrows_order(const ActivitySource *source);

/* Allocated in the current memory context; relations are kept open. */
extern OwnRows *ls_ownrows_open(const ActivitySource *source, const ContactSource *contacts,
								Snapshot snapshot);

/* Begin with the rows of a contact: his row, and his key. */
extern void ls_ownrows_start(OwnRows *rows, TupleTableSlot *contact, Datum key);

/*
 * The next row, or NULL.  It is good until the next call.  *place grows in the
 * order of first and last, where times are equal.
 */
extern TupleTableSlot *ls_ownrows_next(OwnRows *rows, ItemPointer place);

extern void ls_ownrows_close(OwnRows *rows);

#endif							/* LS_OWN_ROWS_H */
