/*-------------------------------------------------------------------------
 *
 * feed.c
 *	  Cursors of leads_since().
 *
 * The feed is all leads in the order of (made_by, lead_id), up to the oldest
 * transaction that is still running: of the transactions before that, no lead
 * can come any more.  A cursor is a place in that order, and what it takes to
 * know whether the order is still the one it was made in:
 *
 *	lf1 . feed . system . account . timeline . LSN . made_by . lead_id
 *
 * Transaction ids mean something in one cluster only.  So a cursor names the
 * feed: what leadstream.feed holds, which neither a dump nor a copy of the rows
 * takes along, but pg_upgrade does as it keeps the transaction ids, and the
 * database.  It names the account that leads were chosen by.  And it names a
 * point in the WAL behind the ends of all transactions that it has passed: a
 * server that went another way before that point, promoted too early, restored
 * to an earlier time or crashed, may give their ids to others, whose leads would
 * be skipped.  Therefore the WAL up to there is on disk before a cursor is
 * handed out.  The identifier of the system only tells whether timelines and
 * places in the WAL can be compared, which a pg_upgrade begins anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/timeline.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "catalog.h"
#include "digest.h"
#include "guc.h"

PG_FUNCTION_INFO_V1(leadstream_read_cursor);
PG_FUNCTION_INFO_V1(leadstream_begin_cursor);

#define CURSOR_VERSION	"lf1"

/* Attribute number of leadstream.feed. */
#define FEED_ID			1

typedef struct FeedCursor
{
	uint64		feed;
	uint64		system;
	uint64		account;
	uint64		timeline;
	uint64		lsn;
	uint64		made_by;
	uint64		lead_id;
} FeedCursor;

/* What tells this feed from all others. */
static uint64
feed_identity(void)
{
	Relation	rel = table_open(ls_catalog_relid("feed"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple = systable_getnext(scan);
	uint64		digest;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the feed of leads has no identity"),
				 errdetail("Table \"leadstream.feed\" is empty."),
				 errhint("Begin a new one: select leadstream.restart_feed();")));
	digest = hash_bytes_extended(DatumGetUUIDP(heap_getattr(tuple, FEED_ID, RelationGetDescr(rel),
															&isnull))->data, UUID_LEN, 0);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return ls_mix64(hash_combine64(digest, MyDatabaseId));
}

/* The account that leads are chosen by; the empty string: by none. */
static const char *
feed_account(void)
{
	ContactSource *contacts = ls_catalog_contacts();

	return contacts && contacts->account_name ? ls_guc_account : "";
}

static uint64
account_digest(const char *account)
{
	return *account ? hash_bytes_extended((const unsigned char *) account, strlen(account), 0) : 0;
}

/*
 * The end of what was inserted into the WAL.  On a page where nothing has been
 * inserted yet, the server says where that would begin, behind the header of
 * the page, up to which nothing can be flushed.
 */
static XLogRecPtr
inserted_end(void)
{
	XLogRecPtr	lsn = GetXLogInsertRecPtr();

	if (XLogSegmentOffset(lsn, wal_segment_size) == SizeOfXLogLongPHD)
		return lsn - SizeOfXLogLongPHD;
	if (XLogSegmentOffset(lsn, wal_segment_size) > XLOG_BLCKSZ &&
		lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		return lsn - SizeOfXLogShortPHD;
	return lsn;
}

/* Where the WAL of this server is. */
static void
current_place(uint64 *timeline, XLogRecPtr *lsn)
{
	TimeLineID	tli;

	if (RecoveryInProgress())
		*lsn = GetXLogReplayRecPtr(&tli);
	else
	{
		tli = GetWALInsertionTimeLine();
		*lsn = inserted_end();
	}
	*timeline = tli;
}

/* Read a number with what separates it from the next. */
static bool
read_number(const char **text, int base, char end, uint64 *value)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *c = *text;

	*value = 0;
	for (; *c && *c != end; c++)
	{
		const char *digit = strchr(digits, *c);

		if (digit == NULL || digit - digits >= base ||
			*value > (PG_UINT64_MAX - (digit - digits)) / base)
			return false;
		*value = *value * base + (digit - digits);
	}
	if (c == *text || *c != end)
		return false;
	*text = end ? c + 1 : c;
	return true;
}

static void
parse_cursor(const char *text, FeedCursor *cursor)
{
	const char *rest = text + strlen(CURSOR_VERSION ".");

	if (strncmp(text, CURSOR_VERSION ".", strlen(CURSOR_VERSION ".")) != 0 ||
		!read_number(&rest, 16, '.', &cursor->feed) ||
		!read_number(&rest, 16, '.', &cursor->system) ||
		!read_number(&rest, 16, '.', &cursor->account) ||
		!read_number(&rest, 16, '.', &cursor->timeline) ||
		!read_number(&rest, 16, '.', &cursor->lsn) ||
		!read_number(&rest, 10, '.', &cursor->made_by) ||
		!read_number(&rest, 10, '\0', &cursor->lead_id) ||
		cursor->timeline > PG_UINT32_MAX || cursor->lead_id > PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid cursor: \"%s\"", text),
				 errhint("Give the cursor of the last lead that leadstream.leads_since() returned, "
						 "or null to begin with the first lead.")));
}

/* Is what the cursor has passed in the past of this server? */
static bool
is_past(const FeedCursor *cursor, uint64 next_xid)
{
	uint64		timeline;
	XLogRecPtr	lsn;
	TimeLineID	next;
	List	   *history;

	/* a standby may be behind the one that the cursor is of */
	if (!RecoveryInProgress() && cursor->made_by >= next_xid)
		return false;
	if (cursor->system != GetSystemIdentifier())
		return true;
	current_place(&timeline, &lsn);
	if (cursor->timeline == timeline)
		return RecoveryInProgress() || cursor->lsn <= lsn;
	history = readTimeLineHistory((TimeLineID) timeline);
	return tliInHistory((TimeLineID) cursor->timeline, history) &&
		cursor->lsn <= tliSwitchPoint((TimeLineID) cursor->timeline, history, &next);
}

static void
check_cursor(const FeedCursor *cursor, const char *account, uint64 next_xid)
{
	if (cursor->feed != feed_identity())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the cursor is of another feed"),
				 errdetail("It was made in another database, before this one was restored from a dump, "
						   "or before leadstream.restart_feed() was called."),
				 errhint("Begin with the first lead, with null for the cursor; lead_id tells which leads are known.")));
	if (cursor->account != account_digest(account))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the cursor is of another account"),
				 errdetail("It was made while leadstream.account was another, or was not set."),
				 errhint("Keep a cursor for each account that is followed, or follow all of them without the setting.")));
	if (!is_past(cursor, next_xid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the cursor has passed transactions that this server does not know"),
				 errdetail("They were lost when it was promoted, or restored to an earlier time."),
				 errhint("Begin with an earlier cursor, or with the first lead, with null for the cursor; "
						 "lead_id tells which leads are known.")));
}

/*
 * read_cursor(cursor): the place that it is at, the account that leads are
 * chosen by, and the transaction id that is given away next.
 */
Datum
leadstream_read_cursor(PG_FUNCTION_ARGS)
{
	const char *account = feed_account();
	uint64		next_xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	FeedCursor	cursor = {0};
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");	/* cannot happen */
	if (!PG_ARGISNULL(0))
	{
		parse_cursor(text_to_cstring(PG_GETARG_TEXT_PP(0)), &cursor);
		check_cursor(&cursor, account, next_xid);
	}
	values[0] = FullTransactionIdGetDatum(FullTransactionIdFromU64(cursor.made_by));
	values[1] = Int64GetDatum((int64) cursor.lead_id);
	values[2] = CStringGetTextDatum(account);
	values[3] = FullTransactionIdGetDatum(FullTransactionIdFromU64(next_xid));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * begin_cursor(): what all cursors of this moment begin with.  Whoever calls it
 * has taken the snapshot that tells which transactions are over.
 */
Datum
leadstream_begin_cursor(PG_FUNCTION_ARGS)
{
	FeedCursor	cursor;

	current_place(&cursor.timeline, &cursor.lsn);
	if (!RecoveryInProgress())
		XLogFlush(cursor.lsn);
	cursor.feed = feed_identity();
	cursor.system = GetSystemIdentifier();
	cursor.account = account_digest(feed_account());
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(CURSOR_VERSION ".%llX.%llX.%llX.%llX.%llX.",
											  (unsigned long long) cursor.feed,
											  (unsigned long long) cursor.system,
											  (unsigned long long) cursor.account,
											  (unsigned long long) cursor.timeline,
											  (unsigned long long) cursor.lsn)));
}
