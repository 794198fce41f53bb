/*-------------------------------------------------------------------------
 *
 * row_set.c
 *	  The rows of one contact that pass a where, read once for all who count
 *	  them.
 *
 * Many rules ask of the same rows how many are in one window or another.  A
 * RowSet keeps the instants of the rows that pass a where, as far as they have
 * been read for the contact stepped to, and answers from them.  It reads on
 * only where an answer cannot be given yet: because the question reaches
 * further back, or because not enough rows count in it.
 *
 * Where an index gives rows newest first, its entries are read once for all
 * sets of a table, and no further back than somebody asks; each set looks at
 * the rows behind them, the newest first.  The entries alone say how many rows
 * there can be at most, which is the end of most counts that fail.
 *
 * Elsewhere rows come in no order: all are read unless the question is answered
 * before, and then sorted.  The scan is shared by all sets of the table.  Who
 * finds it elsewhere has to start again, and then reads all, lest two sets that
 * are asked in turn start it again and again.
 *
 * A contact may have millions of rows: of more than MAX_KEPT none is kept, and
 * each question reads for itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "instant.h"
#include "row_set.h"
#include "timeline.h"

/* Rows and entries kept of one contact: 16 bytes each. */
#define MAX_KEPT		16384

/*
 * By how much adding months to one instant and taking them off another can
 * differ.  Lengths of the same number of months differ by up to three days in
 * a year and two leap days over many, the ends of months by three, the offsets
 * of a zone by one or two.
 */
#define CALENDAR_SLACK	(16 * USECS_PER_DAY)

typedef struct KeptRow
{
	TimestampTz at;
	union
	{
		int64		nfresh;		/* of a row: fresh ones among those up to it */
		ItemPointerData tid;	/* of an entry */
	}			u;
} KeptRow;

typedef struct KeptRows
{
	KeptRow    *rows;
	int			nrows;
	int			maxrows;
	bool		is_full;		/* there were more than could be kept */
	bool		is_sorted;		/* newest first */
	bool		has_fresh;		/* nfresh is there */
} KeptRows;

struct RowScan
{
	KeyScan    *scan;
	bool		has_entries;	/* an index gives them newest first */
	RowSet	   *reader;			/* whose reading of rows the scan stands in, or
								 * NULL */

	/* the furthest that anybody asked, of whatever contact */
	TimestampTz asked_from;

	/* entries of one contact */
	uint64		contact_no;
	KeptRows	entries;
	bool		is_reading;		/* in the range from known_from on */
	bool		was_started;
	TimestampTz known_from;		/* otherwise all from here on were read */
};

struct RowSet
{
	const ActivitySource *source;
	RowScan    *scan;

	/* of one contact */
	uint64		contact_no;
	KeptRows	kept;
	int			next_entry;		/* the first whose row was not looked at */
	bool		was_started;
	bool		is_complete;	/* every row there is was read */
	TimestampTz known_from;		/* every row from here on was read */

	/* where there are no entries: the furthest that anybody asked, of whatever
	 * contact; how far the scan goes back */
	TimestampTz asked_from;
	TimestampTz scan_from;
};

/* ----------
 * Instants.
 * ----------
 */
bool
ls_rowset_oldest(TimestampTz clock, const Interval *within, TimestampTz *result)
{
	double		length;

	if (within == NULL)
		return false;
	length = (double) within->month * 31 * USECS_PER_DAY + (double) within->time +
		2.0 * USECS_PER_DAY;
	if ((double) clock - length <= (double) MIN_TIMESTAMP)
		return false;
	*result = clock - (TimestampTz) length;
	return true;
}

bool
ls_rowset_instant(const ActivitySource *source, TupleTableSlot *row, pg_tz *tz,
				  TimestampTz *result)
{
	bool		isnull;
	bool		ok = true;
	Datum		value = slot_getattr(row, source->time_attno, &isnull);

	if (isnull)
		return false;
	if (source->time_type == TIMESTAMPTZOID)
		*result = DatumGetTimestampTz(value);
	else if (source->time_type == DATEOID)
		*result = ls_instant_from_date(DatumGetDateADT(value), tz, &ok);
	else
		*result = ls_instant_from_timestamp(DatumGetTimestamp(value), tz, &ok);
	return ok;
}

/*
 * Rows up to *surely have t + by <= clock, rows after *never have not; those
 * between must be asked, for adding months keeps no order: the 31st of January
 * and a month may be before the 30th and a month.  False: nothing is known.
 */
static bool
passed_before(TimestampTz clock, const Interval *by, pg_tz *tz,
			  TimestampTz *surely, TimestampTz *never)
{
	Interval	back = {0};
	TimestampTz t;

	if (by->time < 0 || by->month < 0)
		return false;
	if (by->month == 0)
	{
		if (pg_sub_s64_overflow(clock, by->time, &t))
			return false;
		*surely = *never = t;
		return true;
	}
	back.month = -by->month;
	back.time = -by->time;
	if (!ls_instant_shift(clock, &back, tz, &t))
		return false;
	*surely = t - CALENDAR_SLACK;
	*never = t + CALENDAR_SLACK;
	return true;
}

/* ----------
 * What is kept, and counting it.
 * ----------
 */
static void
forget(KeptRows *kept, bool is_sorted, bool has_fresh)
{
	memset(kept, 0, sizeof(KeptRows));
	kept->is_sorted = is_sorted;
	kept->has_fresh = has_fresh;
}

/* Room for one more; NULL: too many. */
static KeptRow *
keep(KeptRows *kept, const RowReading *reading, TimestampTz at)
{
	if (kept->nrows == MAX_KEPT)
	{
		kept->is_full = true;
		return NULL;
	}
	if (kept->nrows == kept->maxrows)
	{
		kept->maxrows = Max(32, kept->maxrows * 2);
		kept->rows = kept->rows == NULL ?
			MemoryContextAlloc(reading->mcxt, sizeof(KeptRow) * kept->maxrows) :
			repalloc(kept->rows, sizeof(KeptRow) * kept->maxrows);
	}
	kept->rows[kept->nrows].at = at;
	return &kept->rows[kept->nrows++];
}

/* Fresh ones among the first i rows. */
static int64
fresh_before(const KeptRows *kept, int i)
{
	return i == 0 || !kept->has_fresh ? 0 : kept->rows[i - 1].u.nfresh;
}

static int
newest_first(const void *a, const void *b)
{
	TimestampTz l = ((const KeptRow *) a)->at;
	TimestampTz r = ((const KeptRow *) b)->at;

	return l < r ? 1 : l > r ? -1 : 0;
}

static void
sort_rows(KeptRows *kept)
{
	int64		nfresh = 0;

	if (kept->has_fresh)
		for (int i = kept->nrows - 1; i > 0; i--)
			kept->rows[i].u.nfresh -= kept->rows[i - 1].u.nfresh;
	qsort(kept->rows, kept->nrows, sizeof(KeptRow), newest_first);
	if (kept->has_fresh)
		for (int i = 0; i < kept->nrows; i++)
			kept->rows[i].u.nfresh = nfresh += kept->rows[i].u.nfresh;
	kept->is_sorted = true;
}

/* The first of the rows, newest first, that is not after an instant. */
static int
first_not_after(const KeptRows *kept, TimestampTz t)
{
	int			low = 0;
	int			high = kept->nrows;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (kept->rows[middle].at > t)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Count some of the rows one by one. */
static void
count_each(const KeptRows *kept, const RowReading *reading, const RowQuestion *question,
		   int from, int upto, int64 *count, bool *fresh)
{
	for (int i = from; i < upto; i++)
		if (ls_row_counts(kept->rows[i].at, question->older, question->within,
						  reading->tz, reading->clock))
		{
			(*count)++;
			if (fresh_before(kept, i + 1) > fresh_before(kept, i))
				*fresh = true;
		}
}

/* Count rows that all count. */
static void
count_all(const KeptRows *kept, int from, int upto, int64 *count, bool *fresh)
{
	if (from >= upto)
		return;
	*count += upto - from;
	if (fresh_before(kept, upto) > fresh_before(kept, from))
		*fresh = true;
}

static void
count_kept(const KeptRows *kept, const RowReading *reading, const RowQuestion *question,
		   int64 *count, bool *fresh)
{
	TimestampTz surely_begun = reading->clock;
	TimestampTz never_begun = reading->clock;
	TimestampTz surely_ended = 0;
	TimestampTz never_ended = 0;
	int			maybe_begun;	/* no row before this one counts yet, */
	int			begun;			/* from here on they have begun to, */
	int			maybe_ended;	/* none before has ceased to, */
	int			ended;			/* from here on all have */

	*count = 0;
	*fresh = false;
	if (kept->nrows == 0)
		return;
	if (!kept->is_sorted ||
		(question->older &&
		 !passed_before(reading->clock, question->older, reading->tz,
						&surely_begun, &never_begun)) ||
		(question->within &&
		 !passed_before(reading->clock, question->within, reading->tz,
						&surely_ended, &never_ended)))
	{
		count_each(kept, reading, question, 0, kept->nrows, count, fresh);
		return;
	}

	begun = first_not_after(kept, surely_begun);
	maybe_begun = never_begun == surely_begun ? begun :
		first_not_after(kept, never_begun);
	maybe_ended = ended = kept->nrows;
	if (question->within)
	{
		ended = first_not_after(kept, surely_ended);
		maybe_ended = never_ended == surely_ended ? ended :
			first_not_after(kept, never_ended);
	}
	if (begun >= maybe_ended)
		count_each(kept, reading, question, maybe_begun, ended, count, fresh);
	else
	{
		count_each(kept, reading, question, maybe_begun, begun, count, fresh);
		count_all(kept, begun, maybe_ended, count, fresh);
		count_each(kept, reading, question, maybe_ended, ended, count, fresh);
	}
}

/* ----------
 * Entries.
 * ----------
 */
RowScan *
ls_rowscan_make(KeyScan *scan)
{
	RowScan    *result = palloc0(sizeof(RowScan));

	result->scan = scan;
	result->has_entries = ls_keyscan_is_newest_first(scan);
	result->asked_from = DT_NOEND;
	return result;
}

KeyScan *
ls_rowscan_keys(RowScan *scan)
{
	return scan->scan;
}

KeyScan *
ls_rowscan_take(RowScan *scan)
{
	scan->reader = NULL;
	return scan->scan;
}

/*
 * How far to read back for a question.  As far as anybody asked of another
 * contact, somebody is going to ask of this one; and what did not suffice is
 * made twice as long, lest each of many windows has to start a scan.
 */
static TimestampTz
how_far(TimestampTz oldest, TimestampTz asked_from, TimestampTz known_from,
		TimestampTz clock)
{
	TimestampTz from = Min(oldest, asked_from);
	TimestampTz twice;

	if (known_from == DT_NOEND || from == DT_NOBEGIN)
		return from;
	if (pg_sub_s64_overflow(known_from, clock, &twice) ||
		pg_add_s64_overflow(known_from, twice, &twice) ||
		twice < MIN_TIMESTAMP)
		return DT_NOBEGIN;
	return Min(from, twice);
}

/* Read the next range of entries, back to an instant. */
static void
start_range(RowScan *scan, const RowReading *reading, TimestampTz oldest)
{
	TimestampTz before = scan->known_from;
	TimestampTz from = how_far(oldest, scan->asked_from, before, reading->clock);

	ls_keyscan_start_entries(scan->scan, reading->key, from,
							 scan->was_started ? &before : NULL);
	scan->known_from = from;
	scan->asked_from = Min(scan->asked_from, oldest);
	scan->was_started = true;
	scan->is_reading = true;
}

/*
 * The contact's i-th entry, all before which have been asked for, unless there
 * is none from the instant "oldest" on, or it could not be kept.
 */
static KeptRow *
get_entry(RowScan *scan, const RowReading *reading, int i, TimestampTz oldest)
{
	if (scan->contact_no != reading->contact_no)
	{
		scan->contact_no = reading->contact_no;
		forget(&scan->entries, true, false);
		scan->is_reading = scan->was_started = false;
		scan->known_from = DT_NOEND;
	}
	while (i >= scan->entries.nrows)
	{
		TimestampTz at;
		ItemPointerData tid;

		if (scan->entries.is_full)
			return NULL;
		if (scan->is_reading)
		{
			scan->is_reading = ls_keyscan_next_entry(scan->scan, &at, &tid);
			if (scan->is_reading)
			{
				KeptRow    *entry = keep(&scan->entries, reading, at);

				if (entry)
					entry->u.tid = tid;
			}
		}
		else if (scan->was_started && oldest >= scan->known_from)
			return NULL;
		else
			start_range(scan, reading, oldest);
	}
	return scan->entries.rows[i].at < oldest ? NULL : &scan->entries.rows[i];
}

bool
ls_rowscan_limit(RowScan *scan, const RowReading *reading,
				 const RowQuestion *question, int64 *limit)
{
	TimestampTz oldest;
	bool		fresh;
	int			nentries;

	if (!scan->has_entries)
		return false;
	if (!ls_rowset_oldest(reading->clock, question->within, &oldest))
		oldest = DT_NOBEGIN;

	/* one entry less would not do, so this many have to be there anyway */
	nentries = scan->contact_no == reading->contact_no ? scan->entries.nrows : 0;
	while (nentries < question->enough &&
		   get_entry(scan, reading, nentries, oldest) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		nentries++;
	}
	if (scan->entries.is_full)
		return false;
	count_kept(&scan->entries, reading, question, limit, &fresh);
	if (*limit >= question->enough)
		return false;
	/* those that do not count now may have others behind them */
	while (get_entry(scan, reading, nentries, oldest) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (ls_row_counts(scan->entries.rows[nentries].at, question->older,
						  question->within, reading->tz, reading->clock) &&
			++(*limit) >= question->enough)
			return false;
		nentries++;
	}
	return !scan->entries.is_full;
}

/* ----------
 * Rows.
 * ----------
 */
RowSet *
ls_rowset_make(const ActivitySource *source, RowScan *scan, bool has_fresh)
{
	RowSet	   *set = palloc0(sizeof(RowSet));

	set->source = source;
	set->scan = scan;
	set->asked_from = DT_NOEND;
	set->kept.has_fresh = has_fresh;
	return set;
}

/* Nothing of the contact stepped to is known yet. */
static void
forget_rows(RowSet *set, const RowReading *reading)
{
	set->contact_no = reading->contact_no;
	forget(&set->kept, set->scan->has_entries, set->kept.has_fresh);
	set->next_entry = 0;
	set->is_complete = false;
	set->known_from = DT_NOEND;
	if (set->scan->reader == set)
		set->scan->reader = NULL;
}

static bool
is_answered(const RowQuestion *question, int64 count, bool fresh)
{
	return count >= question->enough && (fresh || !question->need_fresh);
}

/* Was the version of a row before the statement in the condition too? */
static bool
was_there(const RowReading *reading, const ActivitySource *source, KeyScan *scan,
		  ExprState *where, TupleTableSlot *row, TupleTableSlot *before)
{
	ExprContext *econtext = reading->econtext;
	TimestampTz at;
	TimestampTz was_at;
	bool		isnull;
	Datum		value;

	value = slot_getattr(before, source->contact_attno, &isnull);
	if (isnull || !ls_keyscan_is_key(scan, value, reading->key_before))
		return false;
	if (source->time_attno != InvalidAttrNumber &&
		!(ls_rowset_instant(source, row, reading->tz, &at) &&
		  ls_rowset_instant(source, before, reading->tz, &was_at) && at == was_at))
		return false;
	if (where == NULL)
		return true;
	econtext->ecxt_outertuple = before;
	value = ExecEvalExprSwitchContext(where, econtext, &isnull);
	econtext->ecxt_outertuple = row;
	return DatumGetBool(value) && !isnull;
}

/*
 * The version before the statement of a row that it has updated without being
 * captured, in a trigger; NULL: there is none.
 */
static TupleTableSlot *
find_older(const RowReading *reading, const ActivitySource *source, KeyScan *scan)
{
	UnseenChanges *unseen = reading->unseen;
	bool		is_looked_at;

	if (unseen->contact_no != reading->contact_no || unseen->relid != source->relid ||
		unseen->contact_attno != source->contact_attno)
	{
		unseen->changes = ls_changes_make(reading->mcxt);
		ls_changes_find(unseen->changes, source->relid, source->contact_attno,
						reading->key_type, reading->key_before, reading->snapshot,
						reading->stmt_cid);
		unseen->contact_no = reading->contact_no;
		unseen->relid = source->relid;
		unseen->contact_attno = source->contact_attno;
	}
	return ls_changes_before(unseen->changes, scan, reading->stmt_cid, &is_looked_at);
}

bool
ls_row_is_arriving(const RowReading *reading, const ActivitySource *source,
				   KeyScan *scan, ExprState *where, TupleTableSlot *row)
{
	TupleTableSlot *before = NULL;
	bool		is_looked_at;

	if (!ls_keyscan_row_is_fresh(scan, reading->stmt_cid))
		return false;
	if (reading->changes)
	{
		before = ls_changes_before(reading->changes, scan, reading->stmt_cid, &is_looked_at);
		if (!is_looked_at)
			return false;
	}
	/* where updates are captured, capture may have been off */
	if (before == NULL && ls_keyscan_row_is_update(scan))
		before = find_older(reading, source, scan);
	if (before == NULL)
		return true;
	return (source->events & EVENT_UPDATE) != 0 &&
		!was_there(reading, source, scan, where, row, before);
}

/* Take a row in, if it passes, and see whether it counts. */
static void
take_row(RowSet *set, const RowReading *reading, ExprState *where,
		 const RowQuestion *question, TupleTableSlot *row, TimestampTz at,
		 int64 *count, bool *fresh)
{
	ExprContext *econtext = reading->econtext;
	KeptRow    *kept;
	bool		is_fresh;

	if (where)
	{
		bool		isnull;
		bool		passes;

		ResetExprContext(econtext);
		econtext->ecxt_outertuple = row;
		passes = DatumGetBool(ExecEvalExprSwitchContext(where, econtext, &isnull));
		if (isnull || !passes)
			return;
	}
	is_fresh = set->kept.has_fresh &&
		ls_row_is_arriving(reading, set->source, set->scan->scan, where, row);
	if (!set->kept.is_full)
	{
		kept = keep(&set->kept, reading, at);
		if (kept && set->kept.has_fresh)
			kept->u.nfresh = fresh_before(&set->kept, set->kept.nrows - 1) + is_fresh;
	}
	if (set->source->time_attno == InvalidAttrNumber ||
		ls_row_counts(at, question->older, question->within, reading->tz,
					  reading->clock))
	{
		(*count)++;
		*fresh |= is_fresh;
	}
}

/*
 * Look at the rows of entries until the question is answered or there are none
 * left that it could count.  False: the entries could not be kept.
 */
static bool
read_entries(RowSet *set, const RowReading *reading, ExprState *where,
			 const RowQuestion *question, TimestampTz oldest,
			 int64 *count, bool *fresh)
{
	KeptRow    *entry;

	while ((entry = get_entry(set->scan, reading, set->next_entry, oldest)) != NULL)
	{
		TimestampTz at = entry->at;
		TupleTableSlot *row = ls_keyscan_fetch(set->scan->scan, &entry->u.tid);

		CHECK_FOR_INTERRUPTS();
		set->next_entry++;
		if (row)
			take_row(set, reading, where, question, row, at, count, fresh);
		/* there may be others of this instant */
		if (at < DT_NOEND)
			set->known_from = at + 1;
		if (row && is_answered(question, *count, *fresh))
			return true;
	}
	if (set->scan->entries.is_full && set->next_entry == set->scan->entries.nrows)
		return false;
	set->known_from = Min(set->known_from, oldest);
	set->is_complete = set->known_from == DT_NOBEGIN;
	return true;
}

/* The same with the rows of a scan; "all": do not stop at the answer. */
static void
read_rows(RowSet *set, const RowReading *reading, ExprState *where,
		  const RowQuestion *question, bool all, int64 *count, bool *fresh)
{
	TupleTableSlot *row;

	while ((row = ls_keyscan_next(set->scan->scan, NULL, NULL)) != NULL)
	{
		TimestampTz at = 0;

		CHECK_FOR_INTERRUPTS();
		if (set->source->time_attno != InvalidAttrNumber &&
			!ls_rowset_instant(set->source, row, reading->tz, &at))
			continue;
		take_row(set, reading, where, question, row, at, count, fresh);
		if (is_answered(question, *count, *fresh) && (!all || set->kept.is_full))
			return;
	}
	set->scan->reader = NULL;
	if (set->kept.is_full)
		return;
	set->known_from = set->scan_from;
	set->is_complete = set->scan_from == DT_NOBEGIN;
	sort_rows(&set->kept);
}

/* Read with a scan of one's own, keeping nothing. */
static void
read_again(RowSet *set, const RowReading *reading, ExprState *where,
		   const RowQuestion *question, const TimestampTz *oldest,
		   int64 *count, bool *fresh)
{
	set->kept.is_full = true;
	*count = 0;
	*fresh = false;
	ls_keyscan_start(set->scan->scan, reading->key, oldest);
	read_rows(set, reading, where, question, false, count, fresh);
	set->scan->reader = NULL;
}

void
ls_rowset_count(RowSet *set, const RowReading *reading, ExprState *where,
				const RowQuestion *question, int64 *count, bool *fresh)
{
	TimestampTz oldest;
	bool		has_oldest = ls_rowset_oldest(reading->clock, question->within, &oldest);

	if (!has_oldest)
		oldest = DT_NOBEGIN;
	if (set->contact_no != reading->contact_no)
	{
		forget_rows(set, reading);
		set->was_started = false;
	}
	if (set->source->time_attno == InvalidAttrNumber)
	{
		*count = 0;
		*fresh = false;
		count_all(&set->kept, 0, set->kept.nrows, count, fresh);
	}
	else
		count_kept(&set->kept, reading, question, count, fresh);
	if (is_answered(question, *count, *fresh) || set->is_complete)
		return;

	if (oldest >= set->known_from)
		return;

	if (set->scan->has_entries)
	{
		if (!set->kept.is_full &&
			read_entries(set, reading, where, question, oldest, count, fresh))
			return;
	}
	else if (!set->kept.is_full && set->scan->reader == set &&
			 oldest >= set->scan_from)
	{
		read_rows(set, reading, where, question, false, count, fresh);
		return;
	}
	else if (!set->kept.is_full)
	{
		bool		all = set->was_started;

		set->scan_from = how_far(oldest, set->asked_from, set->known_from,
								 reading->clock);
		set->asked_from = Min(set->asked_from, oldest);
		forget_rows(set, reading);
		*count = 0;
		*fresh = false;
		set->was_started = true;
		set->scan->reader = set;
		ls_keyscan_start(set->scan->scan, reading->key,
						 set->scan_from == DT_NOBEGIN ? NULL : &set->scan_from);
		read_rows(set, reading, where, question, all, count, fresh);
		return;
	}
	read_again(set, reading, where, question, has_oldest ? &oldest : NULL,
			   count, fresh);
}
