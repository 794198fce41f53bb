/*-------------------------------------------------------------------------
 *
 * story.c
 *	  What became of one lead, told from its events: the aggregates _stays and
 *	  _steps, by which the reports put leads together.
 *
 * The events of a lead come in any order, so they can be grouped by hashing:
 * no report sorts all events, or joins them with themselves.  They are put in
 * order when the lead is told, by event_id: its row was locked when they were
 * written.  The clocks of those who wrote them may differ by what they waited
 * for the lock, so an event counts from the latest instant that it, or one
 * before it, has.
 *
 * A stay begins with each event that puts the lead in a stage, and ends with
 * the next one, or when the lead goes.  A stage that was renamed bears the name
 * that it had when the lead left it.
 *
 * A step is a stage that a lead has been in since a stream brought it.  Stays
 * follow one another, so if one of them ends after that, all later ones do.
 *
 * The state is one chunk of bytes in the context of the aggregate, to which an
 * event is appended as it comes; all else is gone with the call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(leadstream_tell);
PG_FUNCTION_INFO_V1(leadstream_stays);
PG_FUNCTION_INFO_V1(leadstream_steps);

typedef enum EventKind
{
	EVENT_CREATED,
	EVENT_MATCHED,
	EVENT_STAGE,
	EVENT_REOPENED,
	EVENT_RENAMED,
	EVENT_DELETED,
	EVENT_CLEARED,
	EVENT_KINDS
} EventKind;

static const char *const event_names[EVENT_KINDS] = {
	"created", "matched", "stage", "reopened", "renamed", "deleted", "cleared"
};

typedef enum EventText
{
	TEXT_OLD,
	TEXT_NEW,
	TEXT_ACTOR,
	TEXT_NOTE,
	EVENT_TEXTS
} EventText;

/* As it is kept, MAXALIGNed; the texts that it has follow, INTALIGNed. */
typedef struct EventHead
{
	int64		event_id;
	TimestampTz at;
	int32		stream_id;		/* 0: a person did it */
	uint8		kind;
	uint8		texts;			/* bits: which of them it has */
} EventHead;

typedef struct Story
{
	int			events;
	Size		used;
	Size		size;
	char	   *bytes;
} Story;

typedef struct Event
{
	const EventHead *head;
	text	   *texts[EVENT_TEXTS];
} Event;

typedef struct Stay
{
	const Event *began;
	text	   *stage;			/* NULL: the lead was gone */
	TimestampTz entered_at;
	TimestampTz left_at;		/* not while it is open */
	bool		is_open;
	int			before;			/* the stay before in the same stage, or -1 */
} Stay;

typedef struct Entry
{
	int32		stream_id;
	TimestampTz at;
} Entry;

/* What a final function makes: rows of the type it returns an array of. */
typedef struct Rows
{
	TupleDesc	desc;
	Oid			type;
	ArrayBuildState *made;
} Rows;

#define FIRST_SIZE	240

/*-------------------------------------------------------------------------
 * Gathering
 *-------------------------------------------------------------------------
 */

/* Find the kind of an event; EVENT_KINDS if it is not one to tell of. */
static EventKind
kind_of(const text *what)
{
	const char *name = VARDATA_ANY(what);
	Size		length = VARSIZE_ANY_EXHDR(what);
	int			kind;

	for (kind = 0; kind < EVENT_KINDS; kind++)
		if (strlen(event_names[kind]) == length && memcmp(event_names[kind], name, length) == 0)
			break;
	return kind;
}

/* Make room at the end of a story. */
static char *
reserve(Story *story, Size size)
{
	char	   *place;

	if (story->used + size > story->size)
	{
		Size		wanted = Max(story->size * 2, story->used + size);

		story->bytes = repalloc_huge(story->bytes, wanted);
		story->size = wanted;
	}
	place = story->bytes + story->used;
	story->used += size;
	return place;
}

static Story *
begin_story(MemoryContext context)
{
	Story	   *story = MemoryContextAlloc(context, sizeof(Story));

	story->events = 0;
	story->used = 0;
	story->size = FIRST_SIZE;
	story->bytes = MemoryContextAlloc(context, FIRST_SIZE);
	return story;
}

/* _tell(internal, event_id, at, what, old, new, actor, note, stream_id) */
Datum
leadstream_tell(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	Story	   *story;
	EventHead	head;
	text	   *texts[EVENT_TEXTS];
	Size		size = MAXALIGN(sizeof(EventHead));
	EventKind	kind;
	char	   *place;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("events can be told in an aggregate only")));
	story = PG_ARGISNULL(0) ? begin_story(context) : (Story *) PG_GETARG_POINTER(0);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_POINTER(story);
	kind = kind_of(PG_GETARG_TEXT_PP(3));
	if (kind == EVENT_KINDS)
		PG_RETURN_POINTER(story);

	memset(&head, 0, sizeof(head));
	head.event_id = PG_GETARG_INT64(1);
	head.at = PG_GETARG_TIMESTAMPTZ(2);
	head.stream_id = PG_ARGISNULL(8) ? 0 : PG_GETARG_INT32(8);
	head.kind = kind;
	for (int i = 0; i < EVENT_TEXTS; i++)
	{
		if (PG_ARGISNULL(4 + i))
			continue;
		texts[i] = PG_GETARG_TEXT_PP(4 + i);
		head.texts |= 1 << i;
		size += INTALIGN(VARHDRSZ + VARSIZE_ANY_EXHDR(texts[i]));
	}

	place = reserve(story, MAXALIGN(size));
	memcpy(place, &head, sizeof(head));
	place += MAXALIGN(sizeof(head));
	for (int i = 0; i < EVENT_TEXTS; i++)
	{
		Size		length;

		if (!(head.texts & 1 << i))
			continue;
		length = VARSIZE_ANY_EXHDR(texts[i]);
		SET_VARSIZE(place, VARHDRSZ + length);
		memcpy(VARDATA(place), VARDATA_ANY(texts[i]), length);
		place += INTALIGN(VARHDRSZ + length);
	}
	story->events++;
	PG_RETURN_POINTER(story);
}

/*-------------------------------------------------------------------------
 * Telling
 *-------------------------------------------------------------------------
 */

static int
compare_events(const void *a, const void *b)
{
	int64		x = ((const Event *) a)->head->event_id;
	int64		y = ((const Event *) b)->head->event_id;

	return x < y ? -1 : x > y;
}

/* Put the events of a story in order; they point into it. */
static Event *
read_events(const Story *story)
{
	Event	   *events = palloc0(story->events * sizeof(Event));
	char	   *place = story->bytes;
	bool		is_sorted = true;

	for (int i = 0; i < story->events; i++)
	{
		events[i].head = (const EventHead *) place;
		place += MAXALIGN(sizeof(EventHead));
		for (int t = 0; t < EVENT_TEXTS; t++)
		{
			if (!(events[i].head->texts & 1 << t))
				continue;
			events[i].texts[t] = (text *) place;
			place += INTALIGN(VARSIZE(place));
		}
		place = story->bytes + MAXALIGN(place - story->bytes);
		if (i > 0 && events[i].head->event_id < events[i - 1].head->event_id)
			is_sorted = false;
	}
	if (!is_sorted)
		qsort(events, story->events, sizeof(Event), compare_events);
	return events;
}

static bool
is_gone(const Event *event)
{
	return event->head->kind == EVENT_DELETED || event->head->kind == EVENT_CLEARED;
}

/* Find the stays among events; returns how many. */
static int
find_stays(const Event *events, int n, Stay *stays)
{
	const Event *last = NULL;
	TimestampTz at = PG_INT64_MIN;
	int			found = 0;

	for (int i = 0; i < n; i++)
	{
		const Event *event = &events[i];
		Stay	   *stay = &stays[found];

		if (event->head->kind == EVENT_MATCHED)
			continue;
		last = event;
		at = Max(at, event->head->at);
		if (event->head->kind == EVENT_RENAMED)
			continue;
		if (found > 0)
		{
			stay[-1].left_at = at;
			stay[-1].is_open = false;
			if (!is_gone(stay[-1].began))
				stay[-1].stage = event->texts[TEXT_OLD] ? event->texts[TEXT_OLD]
					: stay[-1].began->texts[TEXT_NEW];
		}
		stay->began = event;
		stay->stage = NULL;
		stay->entered_at = at;
		stay->is_open = true;
		found++;
	}
	if (found > 0 && !is_gone(stays[found - 1].began))
		stays[found - 1].stage = last->texts[TEXT_NEW];
	return found;
}

static void
begin_rows(Rows *rows, FunctionCallInfo fcinfo)
{
	rows->type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	rows->made = NULL;
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		fcinfo->flinfo->fn_extra = lookup_rowtype_tupdesc_copy(rows->type, -1);
		MemoryContextSwitchTo(old);
	}
	rows->desc = fcinfo->flinfo->fn_extra;
}

static void
add_row(Rows *rows, Datum *values, bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(rows->desc, values, nulls);

	rows->made = accumArrayResult(rows->made, HeapTupleGetDatum(tuple), false, rows->type,
								  CurrentMemoryContext);
	heap_freetuple(tuple);
}

static Datum
text_or_null(text *value, bool *is_null)
{
	*is_null = value == NULL;
	return PointerGetDatum(value);
}

/*
 * _stays: the stays of a lead, in order, as rows of (stage, entered_at, left_at,
 * next_stage, entered_by, actor, reason).
 */
Datum
leadstream_stays(PG_FUNCTION_ARGS)
{
	Story	   *story;
	Rows		rows;
	Stay	   *stays;
	int			n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	story = (Story *) PG_GETARG_POINTER(0);
	stays = palloc(story->events * sizeof(Stay));
	n = find_stays(read_events(story), story->events, stays);
	begin_rows(&rows, fcinfo);
	for (int i = 0; i < n; i++)
	{
		const Stay *stay = &stays[i];
		const Event *began = stay->began;
		Datum		values[7];
		bool		nulls[7] = {false};

		if (stay->stage == NULL)
			continue;
		values[0] = PointerGetDatum(stay->stage);
		values[1] = TimestampTzGetDatum(stay->entered_at);
		values[2] = TimestampTzGetDatum(stay->left_at);
		nulls[2] = stay->is_open;
		values[3] = text_or_null(i + 1 < n ? stays[i + 1].stage : NULL, &nulls[3]);
		values[4] = CStringGetTextDatum(event_names[began->head->kind]);
		values[5] = text_or_null(began->texts[TEXT_ACTOR], &nulls[5]);
		values[6] = text_or_null(began->head->kind == EVENT_CREATED ? NULL
								 : began->texts[TEXT_NOTE], &nulls[6]);
		add_row(&rows, values, nulls);
	}
	if (rows.made == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(makeArrayResult(rows.made, CurrentMemoryContext));
}

static int
compare_entries(const void *a, const void *b)
{
	const Entry *x = a;
	const Entry *y = b;

	if (x->stream_id != y->stream_id)
		return x->stream_id < y->stream_id ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/*
 * Find each stream of a lead, and since when; returns how many.  What streams
 * brought of a lead that was merged goes on with the other one.
 */
static int
find_entries(const Event *events, int n, Entry *entries)
{
	bool		is_merged = false;
	int			found = 0;
	int			kept = 0;

	for (int i = 0; i < n; i++)
		is_merged |= events[i].head->kind == EVENT_DELETED && events[i].texts[TEXT_NEW] != NULL;
	for (int i = 0; i < n; i++)
	{
		const EventHead *head = events[i].head;

		if (head->kind != EVENT_CREATED && head->kind != EVENT_MATCHED)
			continue;
		if (is_merged && head->stream_id != 0)
			continue;
		entries[found].stream_id = head->stream_id;
		entries[found].at = head->at;
		found++;
	}
	qsort(entries, found, sizeof(Entry), compare_entries);
	for (int i = 0; i < found; i++)
		if (i == 0 || entries[i].stream_id != entries[kept - 1].stream_id)
			entries[kept++] = entries[i];
	return kept;
}

static bool
is_same(const text *a, const text *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(VARDATA(a), VARDATA(b), VARSIZE(a) - VARHDRSZ) == 0;
}

/* Leave out the stays without a stage, and tell which of the others are returns. */
static int
link_stays(Stay *stays, int n)
{
	int		   *latest = palloc(n * sizeof(int));
	int			stages = 0;
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		int			s = 0;

		if (stays[i].stage == NULL)
			continue;
		stays[kept] = stays[i];
		while (s < stages && !is_same(stays[latest[s]].stage, stays[kept].stage))
			s++;
		stays[kept].before = s < stages ? latest[s] : -1;
		latest[s] = kept++;
		stages = Max(stages, s + 1);
	}
	return kept;
}

/* Is a stay at or after an instant?  Then all later ones are. */
static bool
is_since(const Stay *stay, TimestampTz at)
{
	return stay->is_open || stay->left_at > at || stay->entered_at >= at;
}

/*
 * Add the steps of an entry, the first of which stands for the entry: where it
 * has none, one without a stage.
 */
static void
add_steps(Rows *rows, const Entry *entry, const Stay *stays, int n)
{
	const Stay *open = n > 0 && stays[n - 1].is_open ? &stays[n - 1] : NULL;
	Datum		values[6];
	bool		nulls[6] = {false};
	int			first = 0;

	values[0] = Int32GetDatum(entry->stream_id);
	values[1] = TimestampTzGetDatum(entry->at);
	values[5] = BoolGetDatum(true);
	while (first < n && !is_since(&stays[first], entry->at))
		first++;
	if (first == n)
	{
		nulls[2] = nulls[3] = nulls[4] = true;
		add_row(rows, values, nulls);
	}
	for (int i = first; i < n; i++)
	{
		const Stay *stay = &stays[i];
		TimestampTz reached_at = Max(stay->entered_at, entry->at);

		if (stay->before >= first)
			continue;
		values[2] = PointerGetDatum(stay->stage);
		values[3] = Float8GetDatum((double) (int64) ((uint64) reached_at - (uint64) entry->at)
								   / USECS_PER_DAY);
		values[4] = BoolGetDatum(open != NULL && is_same(open->stage, stay->stage));
		add_row(rows, values, nulls);
		values[5] = BoolGetDatum(false);
	}
}

/*
 * _steps: for each stream of a lead the stages that it has been in since, as
 * rows of (stream_id, entered_at, stage, days, is_there, is_entry).
 */
Datum
leadstream_steps(PG_FUNCTION_ARGS)
{
	Story	   *story;
	Event	   *events;
	Rows		rows;
	Stay	   *stays;
	Entry	   *entries;
	int			n;
	int			n_entries;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	story = (Story *) PG_GETARG_POINTER(0);
	events = read_events(story);
	stays = palloc(story->events * sizeof(Stay));
	n = link_stays(stays, find_stays(events, story->events, stays));
	entries = palloc(story->events * sizeof(Entry));
	n_entries = find_entries(events, story->events, entries);
	begin_rows(&rows, fcinfo);
	for (int i = 0; i < n_entries; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_steps(&rows, &entries[i], stays, n);
	}
	if (rows.made == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(makeArrayResult(rows.made, CurrentMemoryContext));
}
