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
 * the same leads, and with everything committed in sight we only meet what
 * people insert by hand (lead_write.c).  Leads are written in the order of
 * (contact, team), which is everybody's order.
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
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "contact_sight.h"
#include "delivery.h"
#include "key_scan.h"
#include "lead_record.h"
#include "new_leads.h"
#include "owner_sql.h"
#include "reopen.h"
#include "stages.h"

/* Contacts, or rows, that go into one statement. */
#define DELIVER_CHUNK	5000

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
			stage = ls_stage_first(account);
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

/*
 * Look up the leads of pairs, as of this moment; is there any?  In a first look
 * (is_first) also those that are being made by others, which is noted.
 */
static bool
find_leads(Delivery *delivery, Pairs *pairs, bool is_first)
{
	SnapshotData dirty;
	Snapshot	snapshot;
	KeyScan    *scan;
	bool		any = false;
	int			end;

	CommandCounterIncrement();
	InitDirtySnapshot(dirty);
	dirty.curcid = InvalidCommandId;	/* none of our rows is too new */
	snapshot = is_first ? &dirty : RegisterSnapshot(GetLatestSnapshot());
	if (is_first)
		pairs->is_met = false;
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
			bool		is_coming = is_first && TransactionIdIsValid(dirty.xmin);

			for (int i = start; i < end; i++)
			{
				if (DatumGetInt32(pairs->teams[i]) != team_id)
					continue;
				if (is_coming)
					pairs->is_met = true;
				pairs->leads[i] = Int64GetDatum(lead_id);
				pairs->has_lead[i] = true;
				any = true;
			}
		}
	}
	ls_keyscan_close(scan);
	if (!is_first)
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
	if (!find_leads(delivery, pairs, true))
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
	(void) find_leads(delivery, pairs, false);
}

/*
 * Leave out the pairs whose lead somebody deleted by hand, the last time there
 * was one.  Returns how many are left.
 */
static int
drop_deleted(Delivery *delivery, Pairs *pairs, int *missing, int nmissing)
{
	Datum	   *keys = palloc(sizeof(Datum) * nmissing);
	Datum	   *teams = palloc(sizeof(Datum) * nmissing);
	bool	   *is_deleted = palloc0(sizeof(bool) * nmissing);
	Datum		values[2];
	uint64		n;
	int			kept = 0;

	for (int m = 0; m < nmissing; m++)
	{
		keys[m] = pairs->keys[missing[m]];
		teams[m] = pairs->teams[missing[m]];
	}
	values[0] = ls_owner_array(keys, NULL, nmissing, delivery->contacts->key_type);
	values[1] = ls_owner_array(teams, NULL, nmissing, INT4OID);
	n = ls_owner_run(OWNER_FIND_DELETED, delivery->contacts, values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		is_deleted[DatumGetInt64(heap_getattr(SPI_tuptable->vals[i], 1,
											  SPI_tuptable->tupdesc, &isnull)) - 1] = true;
	}
	SPI_freetuptable(SPI_tuptable);
	for (int m = 0; m < nmissing; m++)
		if (!is_deleted[m])
			missing[kept++] = missing[m];
	return kept;
}

/* Make the leads that are missing; returns their number. */
static uint64
make_leads(Delivery *delivery, Pairs *pairs)
{
	int		   *missing = palloc(sizeof(int) * pairs->count);
	int			nmissing = 0;
	uint64		nmade;

	hold_leads(delivery, pairs);
	for (int i = 0; i < pairs->count; i++)
		if (!pairs->has_lead[i])
			missing[nmissing++] = i;
	if (delivery->skip_deleted && nmissing > 0)
		nmissing = drop_deleted(delivery, pairs, missing, nmissing);
	if (nmissing == 0)
		return 0;
	nmade = ls_write_leads(delivery, pairs, missing, nmissing);
	if (nmade > 0)
		ls_new_leads_made(delivery->hand_out, delivery->notify);
	/* others may have made them; triggers kept, changed or deleted them */
	if (nmade != nmissing || !ls_write_is_plain(delivery))
		hold_leads(delivery, pairs);
	return nmade;
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
		/* a writer of leads from here on, for those who change stages */
		LockRelationOid(ls_catalog_relid("lead"), RowExclusiveLock);
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
			counts->matches += ls_write_matches(&delivery, &pairs, rows, nrows);
		}
		ls_write_end(&delivery);
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
