/*-------------------------------------------------------------------------
 *
 * deliver.c
 *	  Making leads of matches.
 *
 * A lead is a contact on the board of one team, however many streams matched;
 * a match is kept per lead and stream.  So matches are spread over the teams
 * of their streams, the missing leads are made, noted in lead_event, and then
 * the matches are written for all of them.
 *
 * The caller has locked the contacts: no other leadstream writer can be at
 * the same leads, and with everything committed in sight the ON CONFLICT
 * clauses only meet what people insert by hand.  Leads are written in the
 * order of (contact, team), which is everybody's order.
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
#include "deliver.h"
#include "key_scan.h"
#include "owner_sql.h"

/* Contacts, or rows, that go into one statement. */
#define DELIVER_CHUNK	5000

/* Attribute numbers of what is locked. */
#define LEAD_CONTACT	2
#define TEAM_ID			1

/* One match for one team. */
typedef struct TeamMatch
{
	DeliverMatch *match;
	int32		team_id;
} TeamMatch;

/* Columns of arrays for unnest(). */
typedef struct PairColumns
{
	int			count;
	Datum	   *keys;
	Datum	   *teams;
	Datum	   *stages;
	Datum	   *notes;
} PairColumns;

static int
cmp_team_match(const void *a, const void *b)
{
	const TeamMatch *l = a;
	const TeamMatch *r = b;

	if (l->team_id != r->team_id)
		return l->team_id < r->team_id ? -1 : 1;
	return l->match < r->match ? -1 : l->match > r->match;
}

/* Lock rows of leadstream's tables by their ids; returns those that exist. */
static Bitmapset *
hold_ids(const char *table, AttrNumber attno, Bitmapset *ids)
{
	Oid			relid = ls_catalog_relid(table);
	Bitmapset  *held = NULL;
	RowLocker  *locker;
	int			id = -1;

	if (!OidIsValid(relid))
		return NULL;
	locker = ls_row_lock_begin(relid, attno, INT4OID, LockTupleKeyShare);
	while ((id = bms_next_member(ids, id)) >= 0)
		if (ls_row_lock(locker, Int32GetDatum(id)) > 0)
			held = bms_add_member(held, id);
	ls_row_lock_end(locker);
	return held;
}

/* Lock the leads that the contacts of matches have already. */
static void
hold_leads(ContactSource *contacts, ContactOrder *order, DeliverMatch *matches,
		   int nmatches)
{
	RowLocker  *locker = ls_row_lock_begin(ls_catalog_relid("lead"),
										   LEAD_CONTACT, contacts->key_base,
										   LockTupleKeyShare);

	for (int i = 0; i < nmatches; i++)
		if (i == 0 ||
			ls_contact_cmp(order, matches[i - 1].key, matches[i].key) != 0)
			(void) ls_row_lock(locker, matches[i].key);
	ls_row_lock_end(locker);
}

/*
 * Leave out contacts that the transaction cannot see, in REPEATABLE READ and
 * above: the foreign key of the lead tables to the contacts looks with its
 * snapshot.  Where activities have such a key too, their insert has failed
 * already; else it must not fail over a lead.  Who asked for the leads of the
 * past is told.
 */
static int
drop_invisible(ContactSource *contacts, ContactOrder *order,
			   DeliverMatch *matches, int nmatches, bool is_error)
{
	Snapshot	snapshot;
	KeyScan    *scan;
	int			kept = 0;
	Datum		last = (Datum) 0;
	bool		is_visible = false;

	if (!IsolationUsesXactSnapshot())
		return nmatches;
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	scan = ls_keyscan_open(contacts->relid, contacts->key_attno,
						   contacts->key_base, InvalidAttrNumber, snapshot);
	for (int i = 0; i < nmatches; i++)
	{
		if (i == 0 || ls_contact_cmp(order, last, matches[i].key) != 0)
		{
			last = matches[i].key;
			ls_keyscan_start(scan, last, NULL);
			is_visible = ls_keyscan_next(scan, NULL, NULL) != NULL;
		}
		if (is_visible)
			matches[kept++] = matches[i];
		else if (is_error)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not make leads of contacts that are newer than the transaction"),
					 errhint("Try again in a new transaction, or in READ COMMITTED.")));
	}
	ls_keyscan_close(scan);
	UnregisterSnapshot(snapshot);
	return kept;
}

/* Lock what matches point at; *streams and *teams are those that exist. */
static void
hold_targets(DeliverMatch *matches, int nmatches, Bitmapset **streams,
			 Bitmapset **teams)
{
	*streams = NULL;
	*teams = NULL;
	for (int i = 0; i < nmatches; i++)
	{
		const StreamRow *stream = matches[i].stream;

		if (bms_is_member(stream->stream_id, *streams))
			continue;
		*streams = bms_add_member(*streams, stream->stream_id);
		for (int t = 0; t < stream->nteams; t++)
			*teams = bms_add_member(*teams, stream->team_ids[t]);
	}
	*streams = hold_ids("stream", STREAM_ID, *streams);
	*teams = hold_ids("team", TEAM_ID, *teams);
}

/*
 * Spread matches over teams, in the order of (contact, team, stream).
 * Returns the number of rows.
 */
static int
spread(ContactOrder *order, DeliverMatch *matches, int nmatches,
	   const Bitmapset *streams, const Bitmapset *teams, TeamMatch **result)
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
		bool		exists = bms_is_member(matches[i].stream->stream_id, streams);

		for (int t = 0; exists && t < matches[i].stream->nteams; t++)
		{
			if (!bms_is_member(matches[i].stream->team_ids[t], teams))
				continue;
			rows[nrows].match = &matches[i];
			rows[nrows++].team_id = matches[i].stream->team_ids[t];
		}
		if (i + 1 == nmatches ||
			ls_contact_cmp(order, matches[i].key, matches[i + 1].key) != 0)
		{
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
fold_pairs(ContactOrder *order, TeamMatch *rows, int nrows, const char *origin,
		   PairColumns *pairs)
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
	for (int i = 0; i < nrows; i++)
	{
		if (note.len > 0)
			appendStringInfoString(&note, ", ");
		appendStringInfoString(&note, rows[i].match->stream->name);
		if (i + 1 < nrows && rows[i].team_id == rows[i + 1].team_id &&
			ls_contact_cmp(order, rows[i].match->key, rows[i + 1].match->key) == 0)
			continue;
		appendStringInfo(&note, " (%s)", origin);
		pairs->keys[pairs->count] = rows[i].match->key;
		pairs->teams[pairs->count] = Int32GetDatum(rows[i].team_id);
		if (account == NULL || strcmp(account, rows[i].match->stream->account) != 0)
		{
			account = rows[i].match->stream->account;
			stage = ls_owner_first_stage(account);
		}
		pairs->stages[pairs->count] = stage;
		pairs->notes[pairs->count++] = CStringGetTextDatum(note.data);
		resetStringInfo(&note);
	}
}

/*
 * Note the leads that OWNER_MAKE_LEADS has just returned.  They come in the
 * order of the pairs, of which they are some.
 */
static void
note_created(ContactSource *contacts, ContactOrder *order, PairColumns *pairs,
			 uint64 nmade, TimestampTz created_at, Datum actor)
{
	SPITupleTable *made = SPI_tuptable;
	Datum	   *leads = palloc(sizeof(Datum) * nmade);
	Datum	   *keys = palloc(sizeof(Datum) * nmade);
	Datum	   *teams = palloc(sizeof(Datum) * nmade);
	Datum	   *stages = palloc(sizeof(Datum) * nmade);
	Datum	   *notes = palloc(sizeof(Datum) * nmade);
	Datum		values[7];
	int			pair = 0;

	for (uint64 i = 0; i < nmade; i++)
	{
		HeapTuple	tuple = made->vals[i];
		bool		isnull;

		leads[i] = heap_getattr(tuple, 1, made->tupdesc, &isnull);
		keys[i] = heap_getattr(tuple, 2, made->tupdesc, &isnull);
		teams[i] = heap_getattr(tuple, 3, made->tupdesc, &isnull);
		stages[i] = heap_getattr(tuple, 4, made->tupdesc, &isnull);
		while (pair < pairs->count - 1 &&
			   (pairs->teams[pair] != teams[i] ||
				ls_contact_cmp(order, pairs->keys[pair], keys[i]) != 0))
			pair++;
		notes[i] = pairs->notes[pair];
	}
	values[0] = ls_owner_array(leads, NULL, nmade, INT8OID);
	values[1] = ls_owner_array(keys, NULL, nmade, contacts->key_type);
	values[2] = ls_owner_array(teams, NULL, nmade, INT4OID);
	values[3] = ls_owner_array(stages, NULL, nmade, TEXTOID);
	values[4] = ls_owner_array(notes, NULL, nmade, TEXTOID);
	values[5] = TimestampTzGetDatum(created_at);
	values[6] = actor;
	SPI_freetuptable(made);
	ls_owner_run(OWNER_NOTE_CREATED, contacts, values, NULL);
}

/* Make the leads that are missing; returns their number. */
static uint64
make_leads(ContactSource *contacts, ContactOrder *order, PairColumns *pairs,
		   TimestampTz created_at, bool skip_deleted, Datum actor)
{
	Datum		values[6];
	uint64		nmade;

	values[0] = ls_owner_array(pairs->keys, NULL, pairs->count, contacts->key_type);
	values[1] = ls_owner_array(pairs->teams, NULL, pairs->count, INT4OID);
	values[2] = ls_owner_array(pairs->stages, NULL, pairs->count, TEXTOID);
	values[3] = TimestampTzGetDatum(created_at);
	values[4] = BoolGetDatum(skip_deleted);
	values[5] = BoolGetDatum(false);
	nmade = ls_owner_run(OWNER_MAKE_LEADS, contacts, values, NULL);
	if (nmade > 0)
		note_created(contacts, order, pairs, nmade, created_at, actor);
	return nmade;
}

/* Write the matches of leads that are there; returns their number. */
static uint64
make_matches(ContactSource *contacts, TeamMatch *rows, int nrows,
			 TimestampTz created_at, const char *origin)
{
	Datum	   *columns[6];
	bool	   *no_evidence = palloc(sizeof(bool) * nrows);
	Datum		values[8];

	for (int c = 0; c < lengthof(columns); c++)
		columns[c] = palloc(sizeof(Datum) * nrows);
	for (int i = 0; i < nrows; i++)
	{
		DeliverMatch *match = rows[i].match;

		columns[0][i] = match->key;
		columns[1][i] = Int32GetDatum(rows[i].team_id);
		columns[2][i] = Int32GetDatum(match->stream->stream_id);
		columns[3][i] = Int32GetDatum(match->stream->rule_version);
		columns[4][i] = TimestampTzGetDatum(match->matched_at);
		no_evidence[i] = match->evidence == NULL;
		columns[5][i] = no_evidence[i] ? (Datum) 0 :
			CStringGetTextDatum(match->evidence);
	}
	values[0] = ls_owner_array(columns[0], NULL, nrows, contacts->key_type);
	values[1] = ls_owner_array(columns[1], NULL, nrows, INT4OID);
	values[2] = ls_owner_array(columns[2], NULL, nrows, INT4OID);
	values[3] = ls_owner_array(columns[3], NULL, nrows, INT4OID);
	values[4] = ls_owner_array(columns[4], NULL, nrows, TIMESTAMPTZOID);
	values[5] = ls_owner_array(columns[5], no_evidence, nrows, TEXTOID);
	values[6] = TimestampTzGetDatum(created_at);
	values[7] = CStringGetTextDatum(origin);
	return ls_owner_run(OWNER_MAKE_MATCHES, contacts, values, NULL);
}

void
ls_deliver(ContactSource *contacts, DeliverMatch *matches, int nmatches,
		   TimestampTz created_at, const char *origin, bool skip_deleted,
		   DeliverCounts *counts)
{
	MemoryContext context;
	MemoryContext oldcontext;
	ContactOrder order;
	OwnerState	owner;
	Datum		actor;
	Bitmapset  *streams;
	Bitmapset  *teams;

	if (nmatches == 0 || !OidIsValid(ls_catalog_relid("lead")))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream delivery",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	ls_contact_order_init(&order, contacts);
	actor = ls_owner_actor();
	nmatches = drop_invisible(contacts, &order, matches, nmatches, skip_deleted);
	hold_targets(matches, nmatches, &streams, &teams);
	hold_leads(contacts, &order, matches, nmatches);

	if (ls_owner_begin(&owner))
	{
		MemoryContextSwitchTo(context);
		for (int start = 0; start < nmatches; start += DELIVER_CHUNK)
		{
			TeamMatch  *rows;
			PairColumns pairs;
			int			nrows;

			nrows = spread(&order, matches + start,
						   Min(DELIVER_CHUNK, nmatches - start), streams,
						   teams, &rows);
			if (nrows == 0)
				continue;
			fold_pairs(&order, rows, nrows, origin, &pairs);
			counts->leads += make_leads(contacts, &order, &pairs, created_at,
										skip_deleted, actor);
			counts->matches += make_matches(contacts, rows, nrows, created_at,
											origin);
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
