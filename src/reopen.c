/*-------------------------------------------------------------------------
 *
 * reopen.c
 *	  Closed leads that match again.
 *
 * A stream with requalify_after takes a contact as new again when that long
 * has gone by since the match on record: its lead, if sales people have closed
 * it, goes back to the first stage, and the match is the new one from then on.
 * What was before stands in lead_event.
 *
 * Who moves a lead locks it, but not its contact.  So the leads are locked
 * before it counts in which stage they are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "contact_lock.h"
#include "lead_record.h"
#include "owner_sql.h"
#include "reopen.h"

/* Find out, as of this moment, which of the leads are reopened; is any? */
static bool
find_closed(ContactSource *contacts, ReopenRequest *requests, int n)
{
	Snapshot	snapshot;
	RecordReader *reader;
	LeadRecord *records = NULL;
	int			nrecords = 0;
	bool		any = false;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	reader = ls_records_open(contacts, snapshot, true);
	for (int i = 0; i < n; i++)
	{
		ReopenRequest *request = &requests[i];

		if (i == 0 || request->lead_id != requests[i - 1].lead_id)
			nrecords = ls_records_read(reader, request->match->key, &records);
		request->old_stage = NULL;
		for (int r = 0; r < nrecords; r++)
			if (records[r].lead_id == request->lead_id &&
				records[r].stream_id == request->match->stream->stream_id &&
				ls_record_reopens(&records[r], request->match->stream,
								  contacts) <= request->match->matched_at)
				request->old_stage = records[r].stage;
		any |= request->old_stage != NULL;
	}
	ls_records_close(reader);
	UnregisterSnapshot(snapshot);
	return any;
}

static void
lock_leads(ReopenRequest *requests, int n)
{
	RowLocker  *locker = ls_row_lock_begin(ls_catalog_relid("lead"), LEAD_ID, INT8OID,
										   LockTupleNoKeyExclusive);

	for (int i = 0; i < n; i++)
		if (requests[i].old_stage)
			(void) ls_row_lock(locker, Int64GetDatum(requests[i].lead_id));
	ls_row_lock_end(locker);
}

/* Make the matches on record those of now. */
static uint64
renew_matches(ReopenRequest *requests, int n, TimestampTz at, const char *origin)
{
	Datum	   *columns[5];
	bool	   *no_evidence = palloc(sizeof(bool) * n);
	Datum		values[7];

	for (int c = 0; c < lengthof(columns); c++)
		columns[c] = palloc(sizeof(Datum) * n);
	for (int i = 0; i < n; i++)
	{
		DeliverMatch *match = requests[i].match;

		columns[0][i] = Int64GetDatum(requests[i].lead_id);
		columns[1][i] = Int32GetDatum(match->stream->stream_id);
		columns[2][i] = Int32GetDatum(match->stream->rule_version);
		columns[3][i] = TimestampTzGetDatum(match->matched_at);
		no_evidence[i] = match->evidence == NULL;
		columns[4][i] = no_evidence[i] ? (Datum) 0 : JsonbPGetDatum(match->evidence);
	}
	values[0] = ls_owner_array(columns[0], NULL, n, INT8OID);
	values[1] = ls_owner_array(columns[1], NULL, n, INT4OID);
	values[2] = ls_owner_array(columns[2], NULL, n, INT4OID);
	values[3] = ls_owner_array(columns[3], NULL, n, TIMESTAMPTZOID);
	values[4] = ls_owner_array(columns[4], no_evidence, n, JSONBOID);
	values[5] = TimestampTzGetDatum(at);
	values[6] = CStringGetTextDatum(origin);
	return ls_owner_run(OWNER_RENEW_MATCHES, NULL, values, NULL);
}

/* Move the leads, and note it; several matches of one lead stand together. */
static void
move_leads(ContactSource *contacts, ReopenRequest *requests, int n,
		   TimestampTz at, Datum actor)
{
	static const Oid types[] = {INT8OID, InvalidOid, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID};
	Datum	   *columns[lengthof(types)];
	Datum		values[lengthof(types) + 2];
	int			count = 0;
	int			next;

	for (int c = 0; c < lengthof(types); c++)
		columns[c] = palloc(sizeof(Datum) * n);
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && requests[i].lead_id == requests[i - 1].lead_id)
			continue;
		columns[0][count] = Int64GetDatum(requests[i].lead_id);
		columns[1][count] = requests[i].match->key;
		columns[2][count] = Int32GetDatum(requests[i].team_id);
		columns[3][count] = CStringGetTextDatum(requests[i].old_stage);
		columns[4][count] = requests[i].stage;
		columns[5][count] = requests[i].note;
		columns[6][count++] = Int32GetDatum(requests[i].match->stream->stream_id);
	}

	/* leads of different accounts may begin in different stages */
	for (int start = 0; start < count; start = next)
	{
		for (next = start + 1; next < count && columns[4][next] == columns[4][start]; next++)
			;
		values[0] = ls_owner_array(columns[0] + start, NULL, next - start, INT8OID);
		values[1] = columns[4][start];
		values[2] = TimestampTzGetDatum(at);
		ls_owner_run(OWNER_REOPEN_LEADS, NULL, values, NULL);
	}

	for (int c = 0; c < lengthof(types); c++)
		values[c] = ls_owner_array(columns[c], NULL, count,
								   c == 1 ? contacts->key_type : types[c]);
	values[7] = TimestampTzGetDatum(at);
	values[8] = actor;
	ls_owner_run(OWNER_NOTE_REOPENED, contacts, values, NULL);
}

uint64
ls_reopen(ContactSource *contacts, ReopenRequest *requests, int n,
		  TimestampTz at, const char *origin, Datum actor)
{
	int			kept = 0;
	uint64		result;

	if (n == 0 || !find_closed(contacts, requests, n))
		return 0;
	lock_leads(requests, n);
	(void) find_closed(contacts, requests, n);
	for (int i = 0; i < n; i++)
		if (requests[i].old_stage)
			requests[kept++] = requests[i];
	if (kept == 0)
		return 0;
	result = renew_matches(requests, kept, at, origin);
	move_leads(contacts, requests, kept, at, actor);
	return result;
}
