/*-------------------------------------------------------------------------
 *
 * lead_record.h
 *	  The matches that are on record of contacts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_LEAD_RECORD_H
#define LS_LEAD_RECORD_H

#include "utils/snapshot.h"

#include "catalog.h"
#include "stream_read.h"

/* Attribute numbers of the lead tables. */
#define LEAD_ID				1
#define LEAD_CONTACT		2
#define LEAD_TEAM			3
#define LEAD_STAGE			4
#define LEAD_STAGE_AT		7
#define LEAD_MATCH_LEAD		1
#define LEAD_MATCH_STREAM	2
#define LEAD_MATCH_AT		4

/* A match on record, of one contact. */
typedef struct LeadRecord
{
	int64		lead_id;
	int32		team_id;
	int32		stream_id;
	TimestampTz matched_at;
	const char *stage;			/* of the lead; NULL unless asked for, */
	TimestampTz stage_at;		/* and since when */
} LeadRecord;

/*
 * Reads the matches of contacts under a snapshot.  The lead tables must be
 * there.  Allocated in the current memory context; to be closed by the same
 * resource owner.
 */
typedef struct RecordReader RecordReader;

extern RecordReader *ls_records_open(ContactSource *contacts, Snapshot snapshot,
									 bool with_stages);

/* The matches of a contact.  Good until the next call. */
extern int	ls_records_read(RecordReader *reader, Datum key, LeadRecord **records);
extern void ls_records_close(RecordReader *reader);

/*
 * From when on does a new match of the stream reopen the lead?  Not before it
 * was closed.  DT_NOEND while it is open, and of streams that never do.  The
 * record has its stage.
 */
extern TimestampTz ls_record_reopens(const LeadRecord *record, const StreamRow *stream,
									 ContactSource *contacts);

#endif							/* LS_LEAD_RECORD_H */
