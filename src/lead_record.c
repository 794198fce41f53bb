/*-------------------------------------------------------------------------
 *
 * lead_record.c
 *	  The matches that are on record of contacts.
 *
 * Read by two index scans, of the leads of a contact and of their matches; the
 * matches are opened with the first lead.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "instant.h"
#include "key_scan.h"
#include "lead_record.h"
#include "stages.h"

struct RecordReader
{
	Snapshot	snapshot;
	bool		with_stages;
	KeyScan    *leads;
	KeyScan    *matches;		/* NULL until there is a lead */
	LeadRecord *records;
	int			room;
};

RecordReader *
ls_records_open(ContactSource *contacts, Snapshot snapshot, bool with_stages)
{
	RecordReader *reader = palloc0(sizeof(RecordReader));

	reader->snapshot = snapshot;
	reader->with_stages = with_stages;
	reader->room = 16;
	reader->records = palloc(sizeof(LeadRecord) * reader->room);
	reader->leads = ls_keyscan_open(ls_catalog_relid("lead"), LEAD_CONTACT,
									contacts->key_base, InvalidAttrNumber, snapshot);
	return reader;
}

int
ls_records_read(RecordReader *reader, Datum key, LeadRecord **records)
{
	TupleTableSlot *slot;
	int			n = 0;

	ls_keyscan_start(reader->leads, key, NULL);
	while ((slot = ls_keyscan_next(reader->leads, NULL, NULL)) != NULL)
	{
		bool		isnull;
		Datum		lead_id = slot_getattr(slot, LEAD_ID, &isnull);
		int32		team_id = DatumGetInt32(slot_getattr(slot, LEAD_TEAM, &isnull));
		char	   *stage = reader->with_stages ?
			TextDatumGetCString(slot_getattr(slot, LEAD_STAGE, &isnull)) : NULL;
		TimestampTz stage_at = stage ?
			DatumGetTimestampTz(slot_getattr(slot, LEAD_STAGE_AT, &isnull)) : 0;

		if (reader->matches == NULL)
			reader->matches = ls_keyscan_open(ls_catalog_relid("lead_match"), LEAD_MATCH_LEAD,
											  INT8OID, InvalidAttrNumber, reader->snapshot);
		ls_keyscan_start(reader->matches, lead_id, NULL);
		while ((slot = ls_keyscan_next(reader->matches, NULL, NULL)) != NULL)
		{
			LeadRecord *record;

			if (n == reader->room)
				reader->records = repalloc(reader->records,
										   sizeof(LeadRecord) * (reader->room *= 2));
			record = &reader->records[n++];
			record->lead_id = DatumGetInt64(lead_id);
			record->team_id = team_id;
			record->stream_id = DatumGetInt32(slot_getattr(slot, LEAD_MATCH_STREAM, &isnull));
			record->matched_at = DatumGetTimestampTz(slot_getattr(slot, LEAD_MATCH_AT, &isnull));
			record->stage = stage;
			record->stage_at = stage_at;
		}
	}
	*records = reader->records;
	return n;
}

void
ls_records_close(RecordReader *reader)
{
	if (reader->matches)
		ls_keyscan_close(reader->matches);
	ls_keyscan_close(reader->leads);
}

TimestampTz
ls_record_reopens(const LeadRecord *record, const StreamRow *stream, ContactSource *contacts)
{
	TimestampTz result;

	if (stream->requalify_after == NULL ||
		!ls_instant_shift(record->matched_at, stream->requalify_after, contacts->tz, &result) ||
		!ls_stage_is_closed(stream->account, record->stage))
		return DT_NOEND;
	return Max(result, record->stage_at);
}
