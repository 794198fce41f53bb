/*-------------------------------------------------------------------------
 *
 * backfill.c
 *	  The leads of the past, part by part.
 *
 * What fetch_history() does in one transaction, backfill() does in many: each
 * judges the next contacts in the order of their keys (contact_walk.c) in the very
 * same way (past.c), and puts on record how far it has come, so that nobody waits
 * longer for a contact than such a part takes, and whatever ends the call, the next
 * one goes on.  Leads are made once, by whomever, so no more is needed to be right:
 * a part that is done twice, or done by fetch_history() meanwhile, adds nothing.
 *
 * Rows that were in flight when the stream was enabled are waited for once, in a
 * transaction of its own between the one that puts the beginning on record and the
 * first part, so that others see the wait, and its end; every row that comes later
 * is seen by the live path.  So what is on record counts only for the run of the
 * stream, and the teams, that it was begun for: where the rule was altered, the
 * stream disabled and enabled, or another team added, all begins again, with that
 * wait.
 *
 * Of a stream one part is worked on at a time.  Several calls share the parts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "owner_sql.h"
#include "past.h"

PG_FUNCTION_INFO_V1(leadstream_backfill);

/* How far a stream has come, as its line of leadstream.stream_backfill says. */
typedef struct Backfill
{
	bool		is_known;		/* there is a line, */
	bool		is_ours;		/* of this run and these teams */
	bool		is_waited;
	bool		is_done;
	char	   *position;		/* NULL: before the first contact */
} Backfill;

static Datum
teams_of(const StreamRow *row)
{
	Datum	   *teams = palloc(sizeof(Datum) * Max(row->nteams, 1));

	for (int i = 0; i < row->nteams; i++)
		teams[i] = Int32GetDatum(row->team_ids[i]);
	return ls_owner_array(teams, NULL, row->nteams, INT4OID);
}

/* In the current memory context. */
static void
read_backfill(const StreamRow *row, Backfill *backfill)
{
	static Oid	types[3] = {INT4OID, INT4OID, INT4ARRAYOID};
	Datum		values[3] = {Int32GetDatum(row->stream_id), Int32GetDatum(row->run), teams_of(row)};
	MemoryContext caller = CurrentMemoryContext;
	OwnerState	owner;

	memset(backfill, 0, sizeof(Backfill));
	if (!ls_owner_begin_of(ls_catalog_relid("stream_backfill"), &owner))
		return;
	if (ls_owner_run_text("select b.run = $2 and b.team_ids = $3, b.is_done, b.position, b.is_waited "
						  "from leadstream.stream_backfill b where b.stream_id = $1",
						  3, types, values, NULL) > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *position = SPI_getvalue(tuple, desc, 3);
		bool		isnull;

		backfill->is_known = true;
		backfill->is_ours = DatumGetBool(SPI_getbinval(tuple, desc, 1, &isnull));
		backfill->is_done = DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull));
		backfill->is_waited = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
		backfill->position = position ? MemoryContextStrdup(caller, position) : NULL;
	}
	ls_owner_end(&owner);
}

/* Put on record that all begins. */
static void
write_beginning(const StreamRow *row, const char *account)
{
	static Oid	types[4] = {INT4OID, INT4OID, INT4ARRAYOID, INT8OID};
	Datum		values[4] = {Int32GetDatum(row->stream_id), Int32GetDatum(row->run), teams_of(row),
		Int64GetDatum(ls_walk_length(ls_catalog_need_contacts(), account, false))};

	(void) ls_owner_run_on("stream_backfill",
						   "insert into leadstream.stream_backfill as b (stream_id, run, team_ids, contact_count) "
						   "values ($1, $2, $3, $4) "
						   "on conflict (stream_id) do update set run = excluded.run, team_ids = excluded.team_ids,"
						   " contact_count = excluded.contact_count, position = null, is_waited = false,"
						   " is_done = false, done = 0, lead_count = 0, worked = default,"
						   " started_at = default, updated_at = default",
						   4, types, values, NULL);
}

/* Put on record that those who were writing when it began have ended. */
static void
write_waited(int32 stream_id)
{
	static Oid	types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(stream_id)};

	(void) ls_owner_run_on("stream_backfill",
						   "update leadstream.stream_backfill b set is_waited = true where b.stream_id = $1",
						   1, types, values, NULL);
}

/* Put on record that a part is done. */
static void
write_progress(int32 stream_id, const WalkPart *part, uint64 leads, TimestampTz since)
{
	static Oid	types[5] = {INT4OID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[5] = {Int32GetDatum(stream_id), 0, Int64GetDatum(part->count),
		Int64GetDatum(leads), TimestampTzGetDatum(since)};

	if (part->position)
		values[1] = CStringGetTextDatum(part->position);
	(void) ls_owner_run_on("stream_backfill",
						   "update leadstream.stream_backfill b set position = $2,"
						   " is_done = $2 is null, done = b.done + $3, lead_count = b.lead_count + $4,"
						   " worked = b.worked + (clock_timestamp() - $5), updated_at = clock_timestamp() "
						   "where b.stream_id = $1",
						   5, types, values, part->position ? NULL : " n   ");
}

void
ls_backfill_forget(int32 stream_id)
{
	static Oid	types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(stream_id)};

	(void) ls_owner_run_on("stream_backfill",
						   "delete from leadstream.stream_backfill b where b.stream_id = $1",
						   1, types, values, NULL);
}

static const StreamRow *
need_stream(int32 stream_id)
{
	const StreamRow *row = ls_stream_read(stream_id, NULL);

	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("stream %d does not exist", stream_id),
				 errdetail("It was dropped.")));
	return row;
}

/*
 * _backfill(stream_id integer, batch integer, is_new boolean) -> bigint: make the
 * leads of the next contacts, or put on record that all begins, or wait for those who
 * were writing then; returns how many leads, or null if there are no more contacts.
 * Who is new begins again where all was done before he came.
 */
Datum
leadstream_backfill(PG_FUNCTION_ARGS)
{
	int32		stream_id = PG_GETARG_INT32(0);
	int			batch = Max(PG_GETARG_INT32(1), 1);
	bool		is_new = PG_GETARG_BOOL(2);
	Datum		id = Int32GetDatum(stream_id);
	TimestampTz since;
	const StreamRow *row = need_stream(stream_id);
	int32		run;
	const char *account;
	Backfill	backfill;
	WalkPart	part;
	List	   *pasts;
	uint64		leads = 0;

	PreventCommandIfReadOnly("leadstream.backfill()");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (is_new)
	{
		/* where others are at it, now and not once it is our turn, we join them */
		read_backfill(row, &backfill);
		is_new = !backfill.is_ours || backfill.is_done;
	}
	(void) ls_catalog_turn("stream_backfill", stream_id, true);
	since = GetCurrentTimestamp();
	row = need_stream(stream_id);
	read_backfill(row, &backfill);
	/* also where the stream was disabled since */
	if (backfill.is_done && !is_new)
	{
		SPI_finish();
		PG_RETURN_NULL();
	}
	ls_stream_check(row, true);
	run = row->run;
	account = ls_catalog_need_contacts()->account_name ? row->account : NULL;
	if (!backfill.is_ours || backfill.is_done)
	{
		write_beginning(row, account);
		SPI_finish();
		PG_RETURN_INT64(0);
	}
	if (!backfill.is_waited)
	{
		(void) ls_past_wait(&id, 1);
		write_waited(stream_id);
		SPI_finish();
		PG_RETURN_INT64(0);
	}
	pasts = ls_past_hold(&id, 1, NIL);
	row = ls_past_stream(linitial(pasts));
	/* if it was altered meanwhile, the next call begins anew */
	if (row->run == run)
	{
		ls_walk_next(ls_catalog_need_contacts(), account, backfill.position, batch, false, false,
					 &part);
		if (part.count > 0)
			leads = ls_past_fetch(pasts, &part);
		write_progress(stream_id, &part, leads, since);
	}
	SPI_finish();
	PG_RETURN_INT64((int64) leads);
}
