/*-------------------------------------------------------------------------
 *
 * row_set.h
 *	  The rows of one contact that pass a where, read once for all who count
 *	  them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ROW_SET_H
#define LS_ROW_SET_H

#include "access/xact.h"
#include "nodes/execnodes.h"

#include "catalog.h"
#include "key_scan.h"
#include "row_change.h"

typedef struct RowSet RowSet;

/* One table, read by one reading of the database. */
typedef struct RowScan RowScan;

/* What is the same for all sets of a reading of the database. */
typedef struct RowReading
{
	TimestampTz clock;
	pg_tz	   *tz;
	CommandId	stmt_cid;		/* rows of this command or later are fresh;
								 * InvalidCommandId: none */
	RowChanges *changes;		/* but for what is here; NULL: nothing */
	struct UnseenChanges *unseen;	/* and what no trigger has seen */
	Snapshot	snapshot;
	ExprContext *econtext;		/* with the contact's row and the clock */
	MemoryContext mcxt;			/* reset with each contact */
	uint64		contact_no;		/* of the contact stepped to; never 0 */
	Oid			key_type;
	Datum		key;			/* its key, */
	Datum		key_before;		/* and before stmt_cid */
} RowReading;

/* Changes of the rows of one contact that were looked for. */
typedef struct UnseenChanges
{
	uint64		contact_no;		/* whose; 0: none */
	RowChanges *changes;
	Oid			relid;
	AttrNumber	contact_attno;
} UnseenChanges;

/* How many rows count now, and is a fresh one among them? */
typedef struct RowQuestion
{
	const Interval *older;		/* or NULL */
	const Interval *within;		/* or NULL */
	int64		enough;			/* nobody can tell more rows from these */
	bool		need_fresh;		/* but a fresh one must be looked for */
} RowQuestion;

/* Allocated in the current memory context. */
extern RowScan *ls_rowscan_make(KeyScan *scan);
extern KeyScan *ls_rowscan_keys(RowScan *scan);

/* Take the scan for something else than a set of rows. */
extern KeyScan *ls_rowscan_take(RowScan *scan);

/*
 * At most how many rows of the contact stepped to can count, whatever a where
 * says of them?  Looks at an index alone.  False: nobody knows, or it takes
 * "enough" to find out.
 */
extern bool ls_rowscan_limit(RowScan *scan, const RowReading *reading,
							 const RowQuestion *question, int64 *limit);

extern RowSet *ls_rowset_make(const ActivitySource *source, RowScan *scan,
							  bool has_fresh);

/*
 * Answer for the contact stepped to.  *count is exact below "enough", and
 * *fresh is right if it is asked for.  where is the set's, compiled, or NULL
 * for every row.
 */
extern void ls_rowset_count(RowSet *set, const RowReading *reading,
							ExprState *where, const RowQuestion *question,
							int64 *count, bool *fresh);

/*
 * No row older than *result counts now: a superset, for months are taken as 31
 * days and two days are left for the calendar and daylight saving.
 */
extern bool ls_rowset_oldest(TimestampTz clock, const Interval *within,
							 TimestampTz *result);

/* When did the row happen?  False: it has no time. */
extern bool ls_rowset_instant(const ActivitySource *source, TupleTableSlot *row,
							  pg_tz *tz, TimestampTz *result);

/*
 * Is the row that a scan gave last, and that passes the where, new to it: did
 * the statement insert it, or did its version before not pass, belong to
 * another contact, or have another time?
 */
extern bool ls_row_is_arriving(const RowReading *reading, const ActivitySource *source,
							   KeyScan *scan, ExprState *where, TupleTableSlot *row);

#endif							/* LS_ROW_SET_H */
