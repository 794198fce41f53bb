/*-------------------------------------------------------------------------
 *
 * deliver.c
 *	  Making leads of matches.
 *
 * A lead is a contact on the board of one team, however many streams matched;
 * a match is kept per lead and stream.  So matches are spread over the teams
 * of their streams, the leads that are there are looked up, the missing ones
 * are made, noted in lead_event, and then the matches are written for all of
 * them.  What is looked up or made once is kept beside its pair of a contact
 * and a team, and the matches are given the leads' ids.  The event of a lead
 * that is made names the stream of the first match; each further one that is
 * written has an event of its own.
 *
 * The caller has locked the contacts: no other leadstream writer can be at
 * the same leads, and with everything committed in sight the ON CONFLICT
 * clauses only meet what people insert by hand.  Leads are written in the
 * order of (contact, team), which is everybody's order.
 *
 * Leads that are there and closed may be reopened by a new match (reopen.c).
 * New ones may be given to members of their team in turn (hand_out.c), and
 * listeners told of them (new_leads.c).  A team
 * that is not active is passed by: what it has stays as it is.
 *
 * The lead tables are their owner's, who may give them triggers and rules that
 * refuse what is written, change it, or write more.  So where a lead table has
 * any, or has taken fewer rows than it was given, the leads are looked up again
 * before their matches are written.
 *
 * The streams and teams of the matches, and the leads that are there already,
 * are locked as a foreign key locks what it points at, FOR KEY SHARE, but
 * under a latest snapshot, and what is gone is left out or made anew.  The
 * lead tables have no such foreign keys: they look with the transaction's
 * snapshot, and would fail the insert of a REPEATABLE READ transaction over a
 * lead that another has made since.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "contact_lock.h"
#include "contact_sight.h"
#include "deliver.h"
#include "key_scan.h"
#include "lead_record.h"
#include "new_leads.h"
#include "owner_sql.h"
#include "reopen.h"

/* Contacts, or rows, that go into one statement. */
#define DELIVER_CHUNK	5000

/* Fewer matches are not worth the question whether any can be there. */
#define MIN_FIRST_MATCHES	100

/* What holds for all matches of a delivery. */
typedef struct Delivery
{
	ContactSource *contacts;
	ContactOrder order;
	TimestampTz created_at;
	const char *origin;
	bool		skip_deleted;
	Datum		actor;
	Bitmapset  *streams;		/* that exist, and are locked */
	Bitmapset  *teams;			/* the same, of those that take leads */
	Bitmapset  *hand_out;		/* of those, the teams that hand them out */
	Bitmapset  *notify;			/* and those that tell listeners */
	bool		is_plain;		/* leads and events: see ls_owner_is_plain */
} Delivery;

/* One match for one team. */
typedef struct TeamMatch
{
	DeliverMatch *match;
	int32		team_id;
	int			pair;			/* its place in Pairs */
	bool		is_first;		/* of its pair */
} TeamMatch;

/* Pairs of a contact and a team, in that order; the columns for unnest(). */
typedef struct Pairs
{
	int			count;
	Datum	   *keys;
	Datum	   *teams;
	Datum	   *stages;			/* in which a lead begins */
	Datum	   *notes;
	Datum	   *streams;		/* that match first */
	Datum	   *leads;			/* where it has one */
	bool	   *has_lead;
	bool	   *is_made;		/* by us: its event names the first stream */
} Pairs;

static int
cmp_team_match(const void *a, const void *b)
{
	const TeamMatch *l = a;
	const TeamMatch *r = b;

	if (l->team_id != r->team_id)
		return l->team_id < r->team_id ? -1 : 1;
	return l->match < r->match ? -1 : l->match > r->match;
}

/* Lock the streams of these ids; returns those that exist. */
static Bitmapset *
hold_streams(Bitmapset *ids)
{
	Oid			relid = ls_catalog_relid("stream");
	Bitmapset  *held = NULL;
	RowLocker  *locker;
	int			id = -1;

	if (!OidIsValid(relid))
		return NULL;
	locker = ls_row_lock_begin(relid, STREAM_ID, INT4OID, LockTupleKeyShare);
	while ((id = bms_next_member(ids, id)) >= 0)
		if (ls_row_lock(locker, Int32GetDatum(id)) > 0)
			held = bms_add_member(held, id);
	ls_row_lock_end(locker);
	return held;
}

/*
 * The same for teams.  Whether they take leads, hand them out, and tell
 * listeners, is as it is at this moment.
 */
static void
hold_teams(Delivery *delivery, Bitmapset *ids)
{
	Oid			relid = ls_catalog_relid("team");
	RowLocker  *locker;
	int			id = -1;

	if (!OidIsValid(relid))
		return;
	locker = ls_row_lock_begin(relid, TEAM_ID, INT4OID, LockTupleKeyShare);
	ls_row_lock_keep(locker);
	while ((id = bms_next_member(ids, id)) >= 0)
	{
		bool		isnull;

		if (ls_row_lock(locker, Int32GetDatum(id)) == 0 ||
			!DatumGetBool(slot_getattr(ls_row_locked(locker), TEAM_IS_ACTIVE, &isnull)))
			continue;
		delivery->teams = bms_add_member(delivery->teams, id);
		if (DatumGetBool(slot_getattr(ls_row_locked(locker), TEAM_HANDS_OUT, &isnull)))
			delivery->hand_out = bms_add_member(delivery->hand_out, id);
		if (DatumGetBool(slot_getattr(ls_row_locked(locker), TEAM_NOTIFIES, &isnull)))
			delivery->notify = bms_add_member(delivery->notify, id);
	}
	ls_row_lock_end(locker);
}

/*
 * Leave out contacts that the transaction cannot see; who asked for the leads of
 * the past is told.
 */
static int
drop_invisible(Delivery *delivery, DeliverMatch *matches, int nmatches)
{
	ContactSight *sight = ls_sight_begin(delivery->contacts);
	int			kept = 0;

	if (sight == NULL)
		return nmatches;
	for (int i = 0; i < nmatches; i++)
	{
		if (ls_sight_sees(sight, matches[i].key))
			matches[kept++] = matches[i];
		else if (delivery->skip_deleted)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not make leads of contacts that are newer than the transaction"),
					 errhint("Try again in a new transaction, or in READ COMMITTED.")));
	}
	ls_sight_end(sight);
	return kept;
}

/* Lock what matches point at. */
static void
hold_targets(Delivery *delivery, DeliverMatch *matches, int nmatches)
{
	Bitmapset  *streams = NULL;
	Bitmapset  *teams = NULL;

	for (int i = 0; i < nmatches; i++)
	{
		const StreamRow *stream = matches[i].stream;

		if (bms_is_member(stream->stream_id, streams))
			continue;
		streams = bms_add_member(streams, stream->stream_id);
		for (int t = 0; t < stream->nteams; t++)
			teams = bms_add_member(teams, stream->team_ids[t]);
	}
	delivery->streams = hold_streams(streams);
	hold_teams(delivery, teams);
}

/*
 * Spread matches over teams, in the order of (contact, team).  Returns the
 * number of rows.
 */
static int
spread(Delivery *delivery, DeliverMatch *matches, int nmatches, TeamMatch **result)
{
	TeamMatch  *rows;
	int			nrows = 0;
	int			start = 0;

	for (int i = 0; i < nmatches; i++)
		nrows += matches[i].stream->nteams;
	rows = *result = palloc_extended(sizeof(TeamMatch) * (Size) Max(nrows, 1),
									 MCXT_ALLOC_HUGE);
	nrows = 0;
	for (int i = 0; i < nmatches; i++)
	{
		bool		exists = bms_is_member(matches[i].stream->stream_id, delivery->streams);

		for (int t = 0; exists && t < matches[i].stream->nteams; t++)
		{
			if (!bms_is_member(matches[i].stream->team_ids[t], delivery->teams))
				continue;
			rows[nrows].match = &matches[i];
			rows[nrows++].team_id = matches[i].stream->team_ids[t];
		}
		if (i + 1 == nmatches ||
			ls_contact_cmp(&delivery->order, matches[i].key, matches[i + 1].key) != 0)
		{
			if (nrows - start > 1)
				qsort(rows + start, nrows - start, sizeof(TeamMatch), cmp_team_match);
			start = nrows;
		}
	}
	return nrows;
}

/*
 * Fold the rows into pairs of a contact and a team, each with the stage it
 * begins in and its note.
 */
static void
fold_pairs(Delivery *delivery, TeamMatch *rows, int nrows, Pairs *pairs)
{
	StringInfoData note;
	const char *account = NULL;
	Datum		stage = (Datum) 0;

	initStringInfo(&note);
	pairs->count = 0;
	pairs->keys = palloc(sizeof(Datum) * nrows);
	pairs->teams = palloc(sizeof(Datum) * nrows);
	pairs->stages = palloc(sizeof(Datum) * nrows);
	pairs->notes = palloc(sizeof(Datum) * nrows);
	pairs->streams = palloc(sizeof(Datum) * nrows);
	pairs->leads = palloc(sizeof(Datum) * nrows);
	pairs->has_lead = palloc(sizeof(bool) * nrows);
	pairs->is_made = palloc0(sizeof(bool) * nrows);
	for (int i = 0; i < nrows; i++)
	{
		rows[i].pair = pairs->count;
		rows[i].is_first = note.len == 0;
		if (rows[i].is_first)
			pairs->streams[pairs->count] = Int32GetDatum(rows[i].match->stream->stream_id);
		else
			appendStringInfoString(&note, ", ");
		appendStringInfoString(&note, rows[i].match->stream->name);
		if (i + 1 < nrows && rows[i].team_id == rows[i + 1].team_id &&
			ls_contact_cmp(&delivery->order, rows[i].match->key,
						   rows[i + 1].match->key) == 0)
			continue;
		appendStringInfoString(&note, " (");
		appendStringInfoString(&note, delivery->origin);
		appendStringInfoChar(&note, ')');
		pairs->keys[pairs->count] = rows[i].match->key;
		pairs->teams[pairs->count] = Int32GetDatum(rows[i].team_id);
		if (account == NULL || strcmp(account, rows[i].match->stream->account) != 0)
		{
			account = rows[i].match->stream->account;
			stage = ls_owner_first_stage(account);
		}
		pairs->stages[pairs->count] = stage;
		pairs->has_lead[pairs->count] = false;
		pairs->notes[pairs->count++] =
			PointerGetDatum(cstring_to_text_with_len(note.data, note.len));
		resetStringInfo(&note);
	}
}

/* The end of the pairs of one contact that start here. */
static int
contact_end(Delivery *delivery, Pairs *pairs, int start)
{
	int			end = start + 1;

	while (end < pairs->count &&
		   ls_contact_cmp(&delivery->order, pairs->keys[start], pairs->keys[end]) == 0)
		end++;
	return end;
}

/* Look up the leads of pairs, as of this moment; is there any? */
static bool
find_leads(Delivery *delivery, Pairs *pairs)
{
	Snapshot	snapshot;
	KeyScan    *scan;
	bool		any = false;
	int			end;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = ls_keyscan_open(ls_catalog_relid("lead"), LEAD_CONTACT,
						   delivery->contacts->key_base, InvalidAttrNumber, snapshot);
	for (int start = 0; start < pairs->count; start = end)
	{
		TupleTableSlot *lead;

		end = contact_end(delivery, pairs, start);
		for (int i = start; i < end; i++)
			pairs->has_lead[i] = false;
		ls_keyscan_start(scan, pairs->keys[start], NULL);
		while ((lead = ls_keyscan_next(scan, NULL, NULL)) != NULL)
		{
			bool		isnull;
			int64		lead_id = DatumGetInt64(slot_getattr(lead, LEAD_ID, &isnull));
			int32		team_id = DatumGetInt32(slot_getattr(lead, LEAD_TEAM, &isnull));

			for (int i = start; i < end; i++)
			{
				if (DatumGetInt32(pairs->teams[i]) != team_id)
					continue;
				pairs->leads[i] = Int64GetDatum(lead_id);
				pairs->has_lead[i] = true;
				any = true;
			}
		}
	}
	ls_keyscan_close(scan);
	UnregisterSnapshot(snapshot);
	return any;
}

/* Look up the leads that pairs have already, and lock them. */
static void
hold_leads(Delivery *delivery, Pairs *pairs)
{
	RowLocker  *locker;
	int			end;

	/* mostly there are none: then there is no need to look twice */
	if (!find_leads(delivery, pairs))
		return;
	locker = ls_row_lock_begin(ls_catalog_relid("lead"), LEAD_CONTACT,
							   delivery->contacts->key_base, LockTupleKeyShare);
	for (int start = 0; start < pairs->count; start = end)
	{
		int			i = start;

		end = contact_end(delivery, pairs, start);
		while (i < end && !pairs->has_lead[i])
			i++;
		if (i < end)
			(void) ls_row_lock(locker, pairs->keys[start]);
	}
	ls_row_lock_end(locker);
	(void) find_leads(delivery, pairs);
}

/*
 * Which of the pairs that had no lead, looking from one on, was a lead made
 * of?  Triggers may have given it to another team: then likely the first that
 * is left of its contact; or, as if that were not enough, to another contact.
 */
static int
find_missing(Delivery *delivery, Pairs *pairs, const int *missing, int nmissing,
			 int from, Datum key, int32 team_id)
{
	int			first = from;

	while (first < nmissing &&
		   ls_contact_cmp(&delivery->order, pairs->keys[missing[first]], key) != 0)
		first++;
	if (first == nmissing)
		return Min(from, nmissing - 1);
	for (int m = first; m < nmissing &&
		 ls_contact_cmp(&delivery->order, pairs->keys[missing[m]], key) == 0; m++)
		if (DatumGetInt32(pairs->teams[missing[m]]) == team_id)
			return m;
	return first;
}

/*
 * Note the leads that OWNER_MAKE_LEADS has just returned, and give them to
 * their pairs.  They come in the order of the pairs that had none, of which
 * they are some or all.
 */
static void
note_created(Delivery *delivery, Pairs *pairs, const int *missing, int nmissing,
			 uint64 nmade)
{
	SPITupleTable *made = SPI_tuptable;
	Datum	   *leads = palloc(sizeof(Datum) * nmade);
	Datum	   *keys = palloc(sizeof(Datum) * nmade);
	Datum	   *teams = palloc(sizeof(Datum) * nmade);
	Datum	   *stages = palloc(sizeof(Datum) * nmade);
	Datum	   *notes = palloc(sizeof(Datum) * nmade);
	Datum	   *streams = palloc(sizeof(Datum) * nmade);
	Datum		values[8];
	int			m = -1;

	for (uint64 i = 0; i < nmade; i++)
	{
		HeapTuple	tuple = made->vals[i];
		bool		isnull;

		leads[i] = heap_getattr(tuple, 1, made->tupdesc, &isnull);
		keys[i] = heap_getattr(tuple, 2, made->tupdesc, &isnull);
		teams[i] = heap_getattr(tuple, 3, made->tupdesc, &isnull);
		stages[i] = heap_getattr(tuple, 4, made->tupdesc, &isnull);
		m = find_missing(delivery, pairs, missing, nmissing, m + 1, keys[i],
						 DatumGetInt32(teams[i]));
		notes[i] = pairs->notes[missing[m]];
		streams[i] = pairs->streams[missing[m]];
		pairs->leads[missing[m]] = Int64GetDatum(DatumGetInt64(leads[i]));
		pairs->has_lead[missing[m]] = true;
		pairs->is_made[missing[m]] = true;
	}
	values[0] = ls_owner_array(leads, NULL, nmade, INT8OID);
	values[1] = ls_owner_array(keys, NULL, nmade, delivery->contacts->key_type);
	values[2] = ls_owner_array(teams, NULL, nmade, INT4OID);
	values[3] = ls_owner_array(stages, NULL, nmade, TEXTOID);
	values[4] = ls_owner_array(notes, NULL, nmade, TEXTOID);
	values[5] = ls_owner_array(streams, NULL, nmade, INT4OID);
	values[6] = TimestampTzGetDatum(delivery->created_at);
	values[7] = delivery->actor;
	SPI_freetuptable(made);
	ls_owner_run(OWNER_NOTE_CREATED, delivery->contacts, values, NULL);
}

/* Make the leads that are missing; returns their number. */
static uint64
make_leads(Delivery *delivery, Pairs *pairs)
{
	int		   *missing = palloc(sizeof(int) * pairs->count);
	Datum	   *keys = palloc(sizeof(Datum) * pairs->count);
	Datum	   *teams = palloc(sizeof(Datum) * pairs->count);
	Datum	   *stages = palloc(sizeof(Datum) * pairs->count);
	int			nmissing = 0;
	Datum		values[6];
	uint64		nmade;

	hold_leads(delivery, pairs);
	for (int i = 0; i < pairs->count; i++)
	{
		if (pairs->has_lead[i])
			continue;
		keys[nmissing] = pairs->keys[i];
		teams[nmissing] = pairs->teams[i];
		stages[nmissing] = pairs->stages[i];
		missing[nmissing++] = i;
	}
	if (nmissing == 0)
		return 0;
	values[0] = ls_owner_array(keys, NULL, nmissing, delivery->contacts->key_type);
	values[1] = ls_owner_array(teams, NULL, nmissing, INT4OID);
	values[2] = ls_owner_array(stages, NULL, nmissing, TEXTOID);
	values[3] = TimestampTzGetDatum(delivery->created_at);
	values[4] = BoolGetDatum(delivery->skip_deleted);
	values[5] = BoolGetDatum(false);
	nmade = ls_owner_run(OWNER_MAKE_LEADS, delivery->contacts, values, NULL);
	if (nmade > 0)
	{
		note_created(delivery, pairs, missing, nmissing, nmade);
		ls_new_leads_made(delivery->hand_out, delivery->notify);
	}
	/* others may have made them; triggers kept, changed or deleted them */
	if (nmade != nmissing || !delivery->is_plain)
		hold_leads(delivery, pairs);
	return nmade;
}

/*
 * Can no match be there yet?  ON CONFLICT, which costs as much as an index
 * again, is for matches that others may write too.  Of a lead that this
 * transaction has made nobody else knows; but matches may have been left
 * behind where somebody emptied lead alone and began its numbers again.  So
 * they are looked for, which in SERIALIZABLE would be a read of all new leads
 * that collides with every other writer's.
 */
static bool
are_first(Delivery *delivery, Pairs *pairs, uint64 nmade)
{
	Datum		range[2];

	if (nmade != pairs->count || nmade < MIN_FIRST_MATCHES || IsolationIsSerializable() ||
		!delivery->is_plain || !ls_owner_is_plain("lead_match"))
		return false;
	range[0] = range[1] = pairs->leads[0];
	for (int i = 1; i < pairs->count; i++)
	{
		if (!pairs->has_lead[i])
			return false;
		if (DatumGetInt64(pairs->leads[i]) < DatumGetInt64(range[0]))
			range[0] = pairs->leads[i];
		if (DatumGetInt64(pairs->leads[i]) > DatumGetInt64(range[1]))
			range[1] = pairs->leads[i];
	}
	return ls_owner_run(OWNER_FIND_MATCHES, NULL, range, NULL) == 0;
}

/*
 * Note the matches that OWNER_MAKE_FURTHER_MATCHES has just returned, which are
 * some or all of the rows, in their order.
 */
static void
note_matched(Delivery *delivery, Pairs *pairs, TeamMatch **rows, int nrows, uint64 nmade)
{
	static const Oid types[] = {INT8OID, InvalidOid, INT4OID, INT4OID, TEXTOID};
	SPITupleTable *made = SPI_tuptable;
	Datum	   *columns[lengthof(types)];
	Datum		values[lengthof(types) + 2];
	int			count = 0;
	int			next = 0;

	for (int c = 0; c < lengthof(types); c++)
		columns[c] = palloc(sizeof(Datum) * nmade);
	for (uint64 i = 0; i < nmade; i++)
	{
		bool		isnull;
		int64		lead_id = DatumGetInt64(heap_getattr(made->vals[i], 1, made->tupdesc, &isnull));
		int32		stream_id = DatumGetInt32(heap_getattr(made->vals[i], 2, made->tupdesc, &isnull));
		int			at = next;

		while (at < nrows && (DatumGetInt64(pairs->leads[rows[at]->pair]) != lead_id ||
							  rows[at]->match->stream->stream_id != stream_id))
			at++;
		/* one that a trigger has made another of */
		if (at == nrows)
			continue;
		next = at + 1;
		columns[0][count] = pairs->leads[rows[at]->pair];
		columns[1][count] = rows[at]->match->key;
		columns[2][count] = Int32GetDatum(rows[at]->team_id);
		columns[3][count] = Int32GetDatum(stream_id);
		columns[4][count++] = CStringGetTextDatum(psprintf("%s (%s)", rows[at]->match->stream->name,
														   delivery->origin));
	}
	SPI_freetuptable(made);
	if (count == 0)
		return;
	for (int c = 0; c < lengthof(types); c++)
		values[c] = ls_owner_array(columns[c], NULL, count,
								   c == 1 ? delivery->contacts->key_type : types[c]);
	values[5] = TimestampTzGetDatum(delivery->created_at);
	values[6] = delivery->actor;
	ls_owner_run(OWNER_NOTE_MATCHED, delivery->contacts, values, NULL);
}

/* Write matches of leads that are there by a statement; returns their number. */
static uint64
write_matches(Delivery *delivery, Pairs *pairs, TeamMatch **rows, int nrows,
			  OwnerStatement statement)
{
	Datum	   *columns[5];
	bool	   *no_evidence = palloc(sizeof(bool) * nrows);
	Datum		values[7];

	if (nrows == 0)
		return 0;
	for (int c = 0; c < lengthof(columns); c++)
		columns[c] = palloc(sizeof(Datum) * nrows);
	for (int i = 0; i < nrows; i++)
	{
		DeliverMatch *match = rows[i]->match;

		columns[0][i] = pairs->leads[rows[i]->pair];
		columns[1][i] = Int32GetDatum(match->stream->stream_id);
		columns[2][i] = Int32GetDatum(match->stream->rule_version);
		columns[3][i] = TimestampTzGetDatum(match->matched_at);
		no_evidence[i] = match->evidence == NULL;
		columns[4][i] = no_evidence[i] ? (Datum) 0 : JsonbPGetDatum(match->evidence);
	}
	values[0] = ls_owner_array(columns[0], NULL, nrows, INT8OID);
	values[1] = ls_owner_array(columns[1], NULL, nrows, INT4OID);
	values[2] = ls_owner_array(columns[2], NULL, nrows, INT4OID);
	values[3] = ls_owner_array(columns[3], NULL, nrows, TIMESTAMPTZOID);
	values[4] = ls_owner_array(columns[4], no_evidence, nrows, JSONBOID);
	values[5] = TimestampTzGetDatum(delivery->created_at);
	values[6] = CStringGetTextDatum(delivery->origin);
	return ls_owner_run(statement, delivery->contacts, values, NULL);
}

/*
 * Write the matches of leads that are there; returns their number.  First
 * those that the events of their leads name already.
 */
static uint64
make_matches(Delivery *delivery, Pairs *pairs, uint64 nmade, TeamMatch *rows, int nrows)
{
	TeamMatch **first = palloc_extended(sizeof(TeamMatch *) * (Size) nrows, MCXT_ALLOC_HUGE);
	TeamMatch **further = palloc_extended(sizeof(TeamMatch *) * (Size) nrows, MCXT_ALLOC_HUGE);
	int			nfirst = 0;
	int			nfurther = 0;
	uint64		count;
	uint64		nwritten;

	for (int i = 0; i < nrows; i++)
	{
		if (!pairs->has_lead[rows[i].pair])
			continue;
		if (rows[i].is_first && pairs->is_made[rows[i].pair])
			first[nfirst++] = &rows[i];
		else
			further[nfurther++] = &rows[i];
	}
	count = write_matches(delivery, pairs, first, nfirst, are_first(delivery, pairs, nmade) ?
						  OWNER_MAKE_FIRST_MATCHES : OWNER_MAKE_MATCHES);
	nwritten = write_matches(delivery, pairs, further, nfurther, OWNER_MAKE_FURTHER_MATCHES);
	if (nwritten > 0)
		note_matched(delivery, pairs, further, nfurther, nwritten);
	return count + nwritten;
}

/*
 * Reopen leads that were there and are closed, where the streams want that;
 * returns how many matches were renewed.  The past reopens nothing.
 */
static uint64
reopen_leads(Delivery *delivery, Pairs *pairs, TeamMatch *rows, int nrows)
{
	ReopenRequest *requests = NULL;
	int			count = 0;

	if (delivery->skip_deleted)
		return 0;
	for (int i = 0; i < nrows; i++)
	{
		int			pair = rows[i].pair;
		ReopenRequest *request;

		if (rows[i].match->stream->requalify_after == NULL || !pairs->has_lead[pair])
			continue;
		if (requests == NULL)
			requests = palloc_extended(sizeof(ReopenRequest) * (Size) nrows, MCXT_ALLOC_HUGE);
		request = &requests[count++];
		request->match = rows[i].match;
		request->lead_id = DatumGetInt64(pairs->leads[pair]);
		request->team_id = rows[i].team_id;
		request->stage = pairs->stages[pair];
		request->note = pairs->notes[pair];
	}
	return ls_reopen(delivery->contacts, requests, count, delivery->created_at,
					 delivery->origin, delivery->actor);
}

void
ls_deliver(ContactSource *contacts, DeliverMatch *matches, int nmatches,
		   TimestampTz created_at, const char *origin, bool skip_deleted,
		   DeliverCounts *counts)
{
	MemoryContext context;
	MemoryContext oldcontext;
	Delivery	delivery = {contacts};
	OwnerState	owner;

	if (nmatches == 0 || !OidIsValid(ls_catalog_relid("lead")))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream delivery",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	ls_contact_order_init(&delivery.order, contacts);
	delivery.created_at = created_at;
	delivery.origin = origin;
	delivery.skip_deleted = skip_deleted;
	delivery.actor = ls_owner_actor();
	nmatches = drop_invisible(&delivery, matches, nmatches);
	hold_targets(&delivery, matches, nmatches);

	if (ls_owner_begin(&owner))
	{
		MemoryContextSwitchTo(context);
		delivery.is_plain = ls_owner_is_plain("lead") && ls_owner_is_plain("lead_event");
		for (int start = 0; start < nmatches; start += DELIVER_CHUNK)
		{
			TeamMatch  *rows;
			Pairs		pairs;
			int			nrows;
			uint64		nmade;

			nrows = spread(&delivery, matches + start,
						   Min(DELIVER_CHUNK, nmatches - start), &rows);
			if (nrows == 0)
				continue;
			fold_pairs(&delivery, rows, nrows, &pairs);
			nmade = make_leads(&delivery, &pairs);
			counts->leads += nmade;
			if (nmade < pairs.count)
				counts->matches += reopen_leads(&delivery, &pairs, rows, nrows);
			counts->matches += make_matches(&delivery, &pairs, nmade, rows, nrows);
		}
		ls_owner_end(&owner);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

static int
cmp_history(const void *a, const void *b, void *arg)
{
	const DeliverMatch *l = a;
	const DeliverMatch *r = b;
	int			cmp = ls_contact_cmp(arg, l->key, r->key);

	if (cmp != 0)
		return cmp;
	return l->stream->stream_id < r->stream->stream_id ? -1 :
		l->stream->stream_id > r->stream->stream_id;
}

void
ls_deliver_history(ContactSource *contacts, DeliverMatch *matches,
				   int64 nmatches, Snapshot snapshot, TimestampTz created_at,
				   DeliverCounts *counts)
{
	ContactOrder order;
	KeyScan    *seen;
	int64		next = 0;

	ls_contact_order_init(&order, contacts);
	qsort_arg(matches, nmatches, sizeof(DeliverMatch), cmp_history, &order);
	seen = ls_keyscan_open(contacts->relid, contacts->key_attno,
						   contacts->key_base, InvalidAttrNumber, snapshot);

	while (next < nmatches)
	{
		RowLocker  *locker = ls_contact_lock_begin(contacts);
		int64		first = next;
		int64		kept = next;
		bool		is_rekeyed = false;

		/* whole contacts, so that a chunk holds all of one */
		while (next < nmatches && next - first < DELIVER_CHUNK)
		{
			Datum		key = matches[next].key;
			Datum		new_key = key;
			bool		exists = ls_contact_follow(locker, seen, snapshot, &new_key);

			if (exists && ls_contact_cmp(&order, key, new_key) != 0)
				is_rekeyed = true;

			do
			{
				next++;
				if (!exists)
					continue;
				matches[kept] = matches[next - 1];
				matches[kept++].key = new_key;
			} while (next < nmatches &&
					 ls_contact_cmp(&order, key, matches[next].key) == 0);
		}
		ls_row_lock_end(locker);
		if (is_rekeyed)
			qsort_arg(matches + first, kept - first, sizeof(DeliverMatch),
					  cmp_history, &order);
		ls_deliver(contacts, matches + first, kept - first, created_at,
				   "history", true, counts);
	}
	ls_keyscan_close(seen);
}
