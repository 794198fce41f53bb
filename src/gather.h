/*-------------------------------------------------------------------------
 *
 * gather.h
 *	  What a statement gathers: its candidates.
 *
 * Belongs to capture.c, which opens and settles gathers, and those that fill
 * them from rows: gather_activity.c and gather_contact.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_GATHER_H
#define LS_GATHER_H

#include "commands/trigger.h"

#include "fired_table.h"
#include "settle.h"

/*
 * A row on its way from one partition to another: it was deleted there, and is
 * going to be inserted here.
 */
typedef struct MovingRow
{
	FiredTable *fired;			/* it left this one */
	HeapTuple	tuple;
	CommandId	command;
} MovingRow;

typedef struct Gathering
{
	struct Gathering *below;
	SubTransactionId subid;
	int			opened;			/* AFTER STATEMENT triggers yet to come */
	Snapshot	snapshot;		/* the statement's, to be compared, not used; */
	CommandId	command;		/* and its command, by which it was read */
	int			depth;			/* of triggers within which it was begun */
	MemoryContext context;		/* of what follows; NULL while there is nothing */
	bool		is_settling;	/* takes no more rows */
	int32		source_id;
	Oid			root;			/* the attached table */
	Settlement	settlement;
	int64		room;
	int			origin_room;
	int			rekeyed_room;
	int64		narrived;		/* of contacts: keys of those for which triggers */
	int64		arrived_room;	/* have brought activities meanwhile */
	Datum	   *arrived;
	bool		floor_known;	/* has newest been initialised? */
	FiredTable *fired;			/* the last table that fired */
	uint64		serial;			/* no other gather has it */
	bool		has_rows;
	MovingRow  *moving;			/* NULL: none is; in TopTransactionContext */
} Gathering;

/* What one row adds to a gather, beside the streams it concerns. */
typedef struct RowFacts
{
	Relation	rel;			/* of the tuple, if the command is not known */
	CommandId	command;		/* InvalidCommandId: that which wrote the tuple */
	Oid			relid;			/* where it is stored */
	HeapTuple	tuple;
	const char *what;			/* as in CandidateOrigin */
	const char *event;			/* likewise */
	ActivitySource *kind;		/* NULL: of contacts */
	Datum		key;			/* the contact; in the row's memory until kept */
	bool		key_is_kept;
	uint16		origin;
	bool		is_elsewhere;	/* not in the origin's table */
} RowFacts;

/* Make room for what a gather keeps, once there is something to keep. */
extern void ls_gather_keep(Gathering *gather);

/* The command that wrote a row, which is the running statement's. */
extern CommandId ls_gather_command(Relation rel, HeapTuple tuple);

/* The command that a trigger was fired by. */
extern CommandId ls_gather_statement(TriggerData *trigdata);

/* What the gather knows of versions of rows, made if need be. */
extern RowChanges *ls_gather_changes(Gathering *gather);

/*
 * Add a candidate: a stream, a group of streams, or, with stream_id 0, all those
 * below a digest, which are to be found when the contact has been locked.
 */
extern void ls_gather_candidate(Gathering *gather, RowFacts *row, int32 stream_id,
								uint64 digest, bool byval, int16 len);

/* Add a stream, unless its last candidate was about this contact. */
extern void ls_gather_stream(Gathering *gather, RowFacts *row, CachedStream *stream,
							 bool byval, int16 len);

/* Add the streams of a row as a group; false if they are to be added one by one. */
extern bool ls_gather_group(Gathering *gather, RowFacts *row, const IndexHits *hits,
							bool byval, int16 len);

/* gather_activity.c: add what a new row of activities concerns. */
extern void ls_gather_inserted(Gathering *gather, TriggerData *trigdata, int32 source_id);

/* The same of a row that was updated, deleted, or moves to another partition. */
extern void ls_gather_changed(Gathering *gather, TriggerData *trigdata, int32 source_id);

/* To be called before a gather is settled: what moved may have got nowhere. */
extern void ls_gather_finish(Gathering *gather);

/* Has a row been deleted only to be inserted into another partition? */
extern bool ls_row_is_moving(TriggerData *trigdata);

/* gather_contact.c: add what a new or changed contact concerns; has it got another key? */
extern bool ls_gather_contact(Gathering *gather, TriggerData *trigdata);

/*
 * Remember that a contact has got another key, which is in the given column; had
 * the gather's statement written it before, under the old one?
 */
extern bool ls_gather_rekeyed(Gathering *gather, TriggerData *trigdata, AttrNumber attno);

/* Look for contacts that have got another key since they were gathered there, too. */
extern void ls_gather_follow(Gathering *gather);

/*
 * Tell a gather of contacts that a statement within it has brought activities; of
 * those that got another key all rows are looked at again, once all are there.
 */
extern void ls_gather_arrived(Gathering *outer, Gathering *inner);
extern void ls_gather_complete(Gathering *gather);

/*
 * Has a contact of this key got that one?  Then the rows that are taken along
 * are its own still.  What is known of it is forgotten at the latest with the
 * transaction, whose subtransactions tell when they end: with the parent's id,
 * or with InvalidSubTransactionId if it was rolled back.
 */
extern bool ls_contact_is_rekeyed(Datum old_key, Datum key, bool byval, int16 len);
extern void ls_rekeyed_forget(void);
extern void ls_rekeyed_end(SubTransactionId subid, SubTransactionId parent);

#endif							/* LS_GATHER_H */
