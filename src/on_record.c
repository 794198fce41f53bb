/*-------------------------------------------------------------------------
 *
 * on_record.c
 *	  Candidates whose leads have the match already.
 *
 * A match is made once for each stream and lead, so there is nothing to judge
 * where all teams of the stream have it.  Like the conditions on the new row
 * itself this may be looked at without a lock: a match is taken back by clear()
 * or by hand only, and either may as well have come before the row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/snapmgr.h"

#include "chunk.h"

/* Attribute numbers of the lead tables. */
#define LEAD_ID				1
#define LEAD_CONTACT		2
#define LEAD_TEAM			3
#define LEAD_MATCH_LEAD		1
#define LEAD_MATCH_STREAM	2

/* A match on record, of one contact. */
typedef struct KnownMatch
{
	int32		team_id;
	int32		stream_id;
} KnownMatch;

/* Does every team of the stream have the match? */
static bool
is_on_record(const StreamRow *stream, KnownMatch *known, int nknown)
{
	for (int t = 0; t < stream->nteams; t++)
	{
		int			i;

		for (i = 0; i < nknown; i++)
			if (known[i].stream_id == stream->stream_id &&
				known[i].team_id == stream->team_ids[t])
				break;
		if (i == nknown)
			return false;
	}
	return true;
}

/* Leads and their matches, read under one snapshot. */
typedef struct Records
{
	Snapshot	snapshot;		/* NULL: nothing is open yet */
	KeyScan    *leads;
	Oid			match_relid;
	KeyScan    *matches;		/* NULL until there is a lead */
} Records;

/*
 * Drop those of a contact's candidates, from start to end, whose streams it
 * has the matches of.
 */
static void
drop_recorded_of_contact(Chunk *chunk, Records *records, int start, int end)
{
	TupleTableSlot *slot;
	KnownMatch *known = NULL;
	int			nknown = 0;
	int			room = 0;

	ls_keyscan_start(records->leads, chunk->candidates[start].key, NULL);
	while ((slot = ls_keyscan_next(records->leads, NULL, NULL)) != NULL)
	{
		bool		isnull;
		Datum		lead_id = slot_getattr(slot, LEAD_ID, &isnull);
		int32		team_id = DatumGetInt32(slot_getattr(slot, LEAD_TEAM, &isnull));

		if (records->matches == NULL)
			records->matches = ls_keyscan_open(records->match_relid, LEAD_MATCH_LEAD,
											   INT8OID, InvalidAttrNumber,
											   records->snapshot);
		ls_keyscan_start(records->matches, lead_id, NULL);
		while ((slot = ls_keyscan_next(records->matches, NULL, NULL)) != NULL)
		{
			if (nknown == room)
			{
				room = Max(16, room * 2);
				known = known == NULL ? palloc(room * sizeof(KnownMatch)) :
					repalloc(known, room * sizeof(KnownMatch));
			}
			known[nknown].team_id = team_id;
			known[nknown++].stream_id =
				DatumGetInt32(slot_getattr(slot, LEAD_MATCH_STREAM, &isnull));
		}
	}
	for (int i = start; i < end && nknown > 0; i++)
		if (chunk->streams[i] && chunk->verdicts[i] == VERDICT_OPEN &&
			is_on_record(chunk->streams[i]->row, known, nknown))
			chunk->verdicts[i] = VERDICT_NO;
	if (known)
		pfree(known);
}

/*
 * Drop the candidates that would add nothing: of those that rows named, or of
 * those that were found since.  False: there are no lead tables, so nothing
 * can be added at all.
 */
bool
ls_chunk_drop_recorded(Chunk *chunk, bool is_found)
{
	ContactSource *contacts = chunk->settlement->set->contacts;
	Oid			lead_relid = ls_catalog_relid("lead");
	Records		records = {.match_relid = ls_catalog_relid("lead_match")};
	int			end;

	if (!OidIsValid(lead_relid) || !OidIsValid(records.match_relid))
		return false;

	for (int start = 0; start < chunk->count; start = end)
	{
		bool		any = false;

		end = ls_chunk_contact_end(chunk, start);
		for (int i = start; i < end && !any; i++)
			any = chunk->streams[i] != NULL && chunk->candidates[i].is_found == is_found &&
				chunk->verdicts[i] == VERDICT_OPEN;
		if (!any)
			continue;
		if (records.snapshot == NULL)
		{
			CommandCounterIncrement();
			records.snapshot = RegisterSnapshot(GetLatestSnapshot());
			records.leads = ls_keyscan_open(lead_relid, LEAD_CONTACT, contacts->key_base,
											InvalidAttrNumber, records.snapshot);
		}
		drop_recorded_of_contact(chunk, &records, start, end);
	}
	if (records.snapshot)
	{
		if (records.matches)
			ls_keyscan_close(records.matches);
		ls_keyscan_close(records.leads);
		UnregisterSnapshot(records.snapshot);
	}
	return true;
}
