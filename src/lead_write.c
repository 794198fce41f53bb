/*-------------------------------------------------------------------------
 *
 * lead_write.c
 *	  Writing leads, what happened to them, and their matches.
 *
 * Tables that are plain are written row by row (row_writer.c), others by
 * statements (owner_sql.c), which their owner's triggers and rules may have
 * something to say to: they may refuse what is written, or change it.  So what
 * a statement returns is looked up among what it was given.  A statement also
 * takes what met rows of others, for it waits for them.
 *
 * The matches of a lead that we have just made cannot be there yet, but for
 * what somebody left behind who emptied lead alone and began its numbers
 * again.  Those of older leads may, and ON CONFLICT sees to that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "delivery.h"
#include "owner_sql.h"

/* Leads made: beside each other, and their places among the pairs. */
typedef struct MadeLeads
{
	int			count;
	Datum	   *leads;
	Datum	   *keys;
	Datum	   *teams;
	Datum	   *stages;
	int		   *pairs;
} MadeLeads;

static const WriterColumn lead_columns[] = {
	{"contact_id", InvalidOid}, {"team_id", INT4OID}, {"stage", TEXTOID},
	{"is_manual", BOOLOID, true}, {"created_at", TIMESTAMPTZOID, true},
	{"stage_changed_at", TIMESTAMPTZOID, true}
};

static const WriterColumn event_columns[] = {
	{"lead_id", INT8OID}, {"contact_id", InvalidOid}, {"team_id", INT4OID},
	{"new", TEXTOID}, {"note", TEXTOID}, {"stream_id", INT4OID},
	{"at", TIMESTAMPTZOID, true}, {"actor", TEXTOID, true}, {"what", TEXTOID, true}
};

static const WriterColumn match_columns[] = {
	{"lead_id", INT8OID}, {"stream_id", INT4OID}, {"rule_version", INT4OID},
	{"matched_at", TIMESTAMPTZOID}, {"evidence", JSONBOID},
	{"created_at", TIMESTAMPTZOID, true}, {"origin", TEXTOID, true}
};

/* The writer of a table; NULL: it is written by statements. */
static RowWriter *
get_writer(Delivery *delivery, DeliveryTable table)
{
	static const struct
	{
		const char *name;
		const WriterColumn *columns;
		int			ncolumns;
		int			nkey;
	}			tables[] = {
		[DELIVERY_LEADS] = {"lead", lead_columns, lengthof(lead_columns), 2},
		[DELIVERY_EVENTS] = {"lead_event", event_columns, lengthof(event_columns), 0},
		[DELIVERY_MATCHES] = {"lead_match", match_columns, lengthof(match_columns), 2}
	};

	if (!delivery->are_open[table])
	{
		delivery->writers[table] = ls_writer_begin(tables[table].name, delivery->contacts,
												   tables[table].columns,
												   tables[table].ncolumns, tables[table].nkey);
		delivery->are_open[table] = true;
	}
	return delivery->writers[table];
}

bool
ls_write_is_plain(Delivery *delivery)
{
	return get_writer(delivery, DELIVERY_LEADS) && get_writer(delivery, DELIVERY_EVENTS);
}

void
ls_write_end(Delivery *delivery)
{
	for (int t = 0; t < DELIVERY_TABLES; t++)
		if (delivery->writers[t])
			ls_writer_end(delivery->writers[t]);
}

/* ----------
 * Leads.
 * ----------
 */
static void
make_room(MadeLeads *made, int count)
{
	made->count = 0;
	made->leads = palloc(sizeof(Datum) * count);
	made->keys = palloc(sizeof(Datum) * count);
	made->teams = palloc(sizeof(Datum) * count);
	made->stages = palloc(sizeof(Datum) * count);
	made->pairs = palloc(sizeof(int) * count);
}

/*
 * Note the leads that were made as events, and give them to their pairs.
 */
static void
note_created(Delivery *delivery, Pairs *pairs, MadeLeads *made)
{
	Datum	   *notes = palloc(sizeof(Datum) * made->count);
	Datum	   *streams = palloc(sizeof(Datum) * made->count);
	Datum		what = CStringGetTextDatum("created");
	Datum	   *columns[] = {
		made->leads, made->keys, made->teams, made->stages, notes, streams,
		&(Datum) {TimestampTzGetDatum(delivery->created_at)}, &delivery->actor, &what
	};
	Datum		values[8];
	RowWriter  *writer = get_writer(delivery, DELIVERY_EVENTS);

	for (int i = 0; i < made->count; i++)
	{
		int			pair = made->pairs[i];

		notes[i] = pairs->notes[pair];
		streams[i] = pairs->streams[pair];
		pairs->leads[pair] = made->leads[i];
		pairs->has_lead[pair] = true;
		pairs->is_made[pair] = true;
	}
	if (writer)
	{
		(void) ls_writer_write(writer, columns, NULL, made->count, NULL, NULL);
		return;
	}
	values[0] = ls_owner_array(made->leads, NULL, made->count, INT8OID);
	values[1] = ls_owner_array(made->keys, NULL, made->count, delivery->contacts->key_type);
	values[2] = ls_owner_array(made->teams, NULL, made->count, INT4OID);
	values[3] = ls_owner_array(made->stages, NULL, made->count, TEXTOID);
	values[4] = ls_owner_array(notes, NULL, made->count, TEXTOID);
	values[5] = ls_owner_array(streams, NULL, made->count, INT4OID);
	values[6] = TimestampTzGetDatum(delivery->created_at);
	values[7] = delivery->actor;
	ls_owner_run(OWNER_NOTE_CREATED, delivery->contacts, values, NULL);
}

/*
 * Make the missing leads without a statement.  Returns how many are left,
 * which are listed in missing then.
 */
static int
write_leads(Delivery *delivery, Pairs *pairs, int *missing, int nmissing)
{
	RowWriter  *writer = get_writer(delivery, DELIVERY_LEADS);
	MadeLeads	made;
	Datum	   *ids;
	Datum	   *columns[] = {
		NULL, NULL, NULL, &(Datum) {BoolGetDatum(false)},
		&(Datum) {TimestampTzGetDatum(delivery->created_at)},
		&(Datum) {TimestampTzGetDatum(delivery->created_at)}
	};
	int		   *left;
	int			nleft;
	int			l = 0;

	if (writer == NULL)
		return nmissing;
	make_room(&made, nmissing);
	for (int m = 0; m < nmissing; m++)
	{
		made.keys[m] = pairs->keys[missing[m]];
		made.teams[m] = pairs->teams[missing[m]];
		made.stages[m] = pairs->stages[missing[m]];
	}
	columns[0] = made.keys;
	columns[1] = made.teams;
	columns[2] = made.stages;
	ids = palloc(sizeof(Datum) * nmissing);
	left = palloc(sizeof(int) * nmissing);
	nleft = nmissing - ls_writer_write(writer, columns, NULL, nmissing, ids, left);

	/* where each has gone to is before where it has been */
	for (int m = 0; m < nmissing; m++)
	{
		if (l < nleft && left[l] == m)
		{
			missing[l++] = missing[m];
			continue;
		}
		made.leads[made.count] = ids[m];
		made.keys[made.count] = made.keys[m];
		made.teams[made.count] = made.teams[m];
		made.stages[made.count] = made.stages[m];
		made.pairs[made.count++] = missing[m];
	}
	if (made.count > 0)
		note_created(delivery, pairs, &made);
	return nleft;
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
 * Make the missing leads by a statement; returns their number.  They come back
 * in the order of the pairs, of which they are some or all.
 */
static uint64
insert_leads(Delivery *delivery, Pairs *pairs, const int *missing, int nmissing)
{
	Datum	   *keys = palloc(sizeof(Datum) * nmissing);
	Datum	   *teams = palloc(sizeof(Datum) * nmissing);
	Datum	   *stages = palloc(sizeof(Datum) * nmissing);
	Datum		values[5];
	uint64		nmade;
	SPITupleTable *table;
	MadeLeads	made;
	int			m = -1;

	for (int i = 0; i < nmissing; i++)
	{
		keys[i] = pairs->keys[missing[i]];
		teams[i] = pairs->teams[missing[i]];
		stages[i] = pairs->stages[missing[i]];
	}
	values[0] = ls_owner_array(keys, NULL, nmissing, delivery->contacts->key_type);
	values[1] = ls_owner_array(teams, NULL, nmissing, INT4OID);
	values[2] = ls_owner_array(stages, NULL, nmissing, TEXTOID);
	values[3] = TimestampTzGetDatum(delivery->created_at);
	values[4] = BoolGetDatum(false);
	nmade = ls_owner_run(OWNER_MAKE_LEADS, delivery->contacts, values, NULL);
	if (nmade == 0)
		return 0;

	table = SPI_tuptable;
	make_room(&made, nmade);
	for (int i = 0; i < nmade; i++)
	{
		HeapTuple	tuple = table->vals[i];
		bool		isnull;

		made.leads[i] = heap_getattr(tuple, 1, table->tupdesc, &isnull);
		made.keys[i] = heap_getattr(tuple, 2, table->tupdesc, &isnull);
		made.teams[i] = heap_getattr(tuple, 3, table->tupdesc, &isnull);
		made.stages[i] = heap_getattr(tuple, 4, table->tupdesc, &isnull);
		m = find_missing(delivery, pairs, missing, nmissing, m + 1, made.keys[i],
						 DatumGetInt32(made.teams[i]));
		made.pairs[i] = missing[m];
		/* the tuples go, the ids stay with their pairs */
		made.leads[i] = Int64GetDatum(DatumGetInt64(made.leads[i]));
	}
	made.count = nmade;
	note_created(delivery, pairs, &made);
	SPI_freetuptable(table);
	return nmade;
}

uint64
ls_write_leads(Delivery *delivery, Pairs *pairs, const int *missing, int nmissing)
{
	int		   *left = palloc(sizeof(int) * nmissing);
	int			nleft;

	memcpy(left, missing, sizeof(int) * nmissing);
	/* a row that is deleted again is told to whoever follows the log */
	nleft = pairs->is_met ? nmissing : write_leads(delivery, pairs, left, nmissing);
	return nmissing - nleft + (nleft > 0 ? insert_leads(delivery, pairs, left, nleft) : 0);
}

/* ----------
 * Matches.
 * ----------
 */

/* Note matches of leads that had an event already. */
static void
note_matched(Delivery *delivery, Pairs *pairs, TeamMatch **rows, int nrows)
{
	enum
	{
		LEAD, CONTACT, TEAM, STAGE, NOTE, STREAM, AT, ACTOR, WHAT, NCOLUMNS
	};
	Datum	   *columns[NCOLUMNS];
	bool	   *nulls[NCOLUMNS] = {NULL};
	Datum		what = CStringGetTextDatum("matched");
	Datum		at = TimestampTzGetDatum(delivery->created_at);
	Datum		values[7];
	RowWriter  *writer;

	if (nrows == 0)
		return;
	for (int c = 0; c <= STREAM; c++)
		columns[c] = palloc(sizeof(Datum) * nrows);
	nulls[STAGE] = palloc(sizeof(bool) * nrows);
	for (int i = 0; i < nrows; i++)
	{
		const StreamRow *stream = rows[i]->match->stream;

		columns[LEAD][i] = pairs->leads[rows[i]->pair];
		columns[CONTACT][i] = rows[i]->match->key;
		columns[TEAM][i] = Int32GetDatum(rows[i]->team_id);
		columns[STAGE][i] = (Datum) 0;
		nulls[STAGE][i] = true;
		columns[NOTE][i] = CStringGetTextDatum(psprintf("%s (%s)", stream->name, delivery->origin));
		columns[STREAM][i] = Int32GetDatum(stream->stream_id);
	}
	columns[AT] = &at;
	columns[ACTOR] = &delivery->actor;
	columns[WHAT] = &what;
	writer = get_writer(delivery, DELIVERY_EVENTS);
	if (writer)
	{
		(void) ls_writer_write(writer, columns, nulls, nrows, NULL, NULL);
		return;
	}
	values[0] = ls_owner_array(columns[LEAD], NULL, nrows, INT8OID);
	values[1] = ls_owner_array(columns[CONTACT], NULL, nrows, delivery->contacts->key_type);
	values[2] = ls_owner_array(columns[TEAM], NULL, nrows, INT4OID);
	values[3] = ls_owner_array(columns[STREAM], NULL, nrows, INT4OID);
	values[4] = ls_owner_array(columns[NOTE], NULL, nrows, TEXTOID);
	values[5] = at;
	values[6] = delivery->actor;
	ls_owner_run(OWNER_NOTE_MATCHED, delivery->contacts, values, NULL);
}

/*
 * Insert matches, given by their columns, by a statement.  It returns some or
 * all, in their order: those are moved to the front; returns their number.
 */
static int
insert_matches(Delivery *delivery, Pairs *pairs, TeamMatch **rows, int nrows,
			   Datum **columns, bool *no_evidence)
{
	Datum		values[7];
	SPITupleTable *made;
	uint64		nmade;
	int			kept = 0;
	int			next = 0;

	for (int c = 0; c < 5; c++)
		values[c] = ls_owner_array(columns[c], c == 4 ? no_evidence : NULL, nrows,
								   match_columns[c].type);
	values[5] = columns[5][0];
	values[6] = columns[6][0];
	nmade = ls_owner_run(OWNER_MAKE_MATCHES, delivery->contacts, values, NULL);
	made = SPI_tuptable;
	for (uint64 i = 0; i < nmade; i++)
	{
		bool		isnull;
		int64		lead_id = DatumGetInt64(heap_getattr(made->vals[i], 1, made->tupdesc, &isnull));
		int32		stream_id = DatumGetInt32(heap_getattr(made->vals[i], 2, made->tupdesc, &isnull));
		int			at = next;

		while (at < nrows && (DatumGetInt64(columns[0][at]) != lead_id ||
							  DatumGetInt32(columns[1][at]) != stream_id))
			at++;
		/* one that a trigger has made another of */
		if (at == nrows)
			continue;
		next = at + 1;
		rows[kept++] = rows[at];
	}
	SPI_freetuptable(made);
	return kept;
}

/*
 * Write matches of leads that are there; of leads of ours, maybe without a
 * statement.  Those that were not there yet are moved to the front; returns
 * their number.
 */
static int
put_matches(Delivery *delivery, Pairs *pairs, TeamMatch **rows, int nrows, bool are_ours)
{
	Datum	   *columns[lengthof(match_columns)];
	bool	   *nulls[lengthof(match_columns)] = {NULL};
	Datum		created_at = TimestampTzGetDatum(delivery->created_at);
	Datum		origin = CStringGetTextDatum(delivery->origin);
	RowWriter  *writer;
	int		   *left;
	TeamMatch **met;
	int			nleft;
	int			kept = 0;
	int			l = 0;

	if (nrows == 0)
		return 0;
	for (int c = 0; c < 5; c++)
		columns[c] = palloc(sizeof(Datum) * nrows);
	columns[5] = &created_at;
	columns[6] = &origin;
	nulls[4] = palloc(sizeof(bool) * nrows);
	for (int i = 0; i < nrows; i++)
	{
		DeliverMatch *match = rows[i]->match;

		columns[0][i] = pairs->leads[rows[i]->pair];
		columns[1][i] = Int32GetDatum(match->stream->stream_id);
		columns[2][i] = Int32GetDatum(match->stream->rule_version);
		columns[3][i] = TimestampTzGetDatum(match->matched_at);
		nulls[4][i] = match->evidence == NULL;
		columns[4][i] = match->evidence ? JsonbPGetDatum(match->evidence) : (Datum) 0;
	}
	writer = are_ours ? get_writer(delivery, DELIVERY_MATCHES) : NULL;
	if (writer == NULL)
		return insert_matches(delivery, pairs, rows, nrows, columns, nulls[4]);

	left = palloc(sizeof(int) * nrows);
	nleft = nrows - ls_writer_write(writer, columns, nulls, nrows, NULL, left);
	if (nleft == 0)
		return nrows;
	met = palloc(sizeof(TeamMatch *) * nleft);
	for (int i = 0; i < nrows; i++)
		if (l < nleft && left[l] == i)
			met[l++] = rows[i];
		else
			rows[kept++] = rows[i];
	nleft = put_matches(delivery, pairs, met, nleft, false);
	memcpy(rows + kept, met, sizeof(TeamMatch *) * nleft);
	return kept + nleft;
}

/*
 * First those that the events of their leads name already.  Each further one
 * has an event of its own.
 */
uint64
ls_write_matches(Delivery *delivery, Pairs *pairs, TeamMatch *rows, int nrows)
{
	enum
	{
		FIRST, FURTHER, OTHER, KINDS
	};
	TeamMatch **lists[KINDS];
	int			counts[KINDS] = {0};
	uint64		result = 0;

	for (int k = 0; k < KINDS; k++)
		lists[k] = palloc_extended(sizeof(TeamMatch *) * (Size) nrows, MCXT_ALLOC_HUGE);
	for (int i = 0; i < nrows; i++)
	{
		int			pair = rows[i].pair;
		int			k = !pairs->is_made[pair] ? OTHER : rows[i].is_first ? FIRST : FURTHER;

		if (pairs->has_lead[pair])
			lists[k][counts[k]++] = &rows[i];
	}
	for (int k = 0; k < KINDS; k++)
	{
		int			nmade = put_matches(delivery, pairs, lists[k], counts[k], k != OTHER);

		if (k != FIRST)
			note_matched(delivery, pairs, lists[k], nmade);
		result += nmade;
	}
	return result;
}
