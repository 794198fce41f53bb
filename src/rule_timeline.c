/*-------------------------------------------------------------------------
 *
 * rule_timeline.c
 *	  Judging a rule at all instants: the timeline of one contact.
 *
 * What rule_sql.c asks the executor about all contacts, this file finds out of
 * one, by the very program that judges it live: the clock queue needs to know
 * when a rule turns true, and explain() what it was made of.  The rows of each
 * aggregate are read and given the spans during which they count, and the sweep
 * of pieces.c, which history runs as well, makes a step function of them.  A
 * test is asked once for each of its pieces; and, or and not are the operators
 * of sets.
 *
 * Usually only what is ahead is asked for.  Then rows that have ceased to count
 * need not be read, nor more of those that do than any test can tell apart.
 *
 * Everything lives in a memory of the Judge's, until the next timeline.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "contact_arg.h"
#include "guc.h"
#include "judge.h"
#include "pieces.h"
#include "rule_timeline.h"
#include "segment.h"

PG_FUNCTION_INFO_V1(leadstream_timeline_of);

typedef struct TimelineState
{
	Judge	   *judge;
	RuleProgram *program;
	RuleTimeline *result;
	bool		all;
} TimelineState;


/* -------------------------------------------------------------------------
 * Rows
 * -------------------------------------------------------------------------
 */

/* Rows that are being read for an aggregate. */
typedef struct RowList
{
	int64		n;
	int64		room;
	TimelineRow *rows;
	RowOrder   *orders;			/* first, last: beside them */
} RowList;

static void
make_room(RowList *list, bool is_ordered)
{
	if (list->n < list->room)
		return;
	list->room = Max(16, list->room * 2);
	list->rows = list->rows == NULL ?
		palloc_extended(sizeof(TimelineRow) * (Size) list->room, MCXT_ALLOC_HUGE) :
		repalloc_huge(list->rows, sizeof(TimelineRow) * (Size) list->room);
	if (is_ordered)
		list->orders = list->orders == NULL ?
			palloc_extended(sizeof(RowOrder) * (Size) list->room, MCXT_ALLOC_HUGE) :
			repalloc_huge(list->orders, sizeof(RowOrder) * (Size) list->room);
}

/* Copy what the order of first and last goes by. */
static void
take_order(RowOrder *order, SourceProgram *source, TupleTableSlot *row,
		   TimestampTz at, Oid leaf, ItemPointer tid)
{
	order->at = at;
	order->tableoid = leaf;
	order->tid = *tid;
	order->key = palloc(sizeof(Datum) * Max(source->nkeys, 1));
	for (int i = 0; i < source->nkeys; i++)
	{
		bool		isnull;
		Form_pg_attribute att = TupleDescAttr(row->tts_tupleDescriptor,
											  source->key_attnos[i] - 1);
		Datum		key = slot_getattr(row, source->key_attnos[i], &isnull);

		order->key[i] = datumCopy(key, att->attbyval, att->attlen);
	}
}

/* Cut off what is before an instant. */
static SpanSet
cut(SpanSet set, TimestampTz from)
{
	Span		rest = {from, DT_NOEND};
	SpanSet		rest_set = {1, &rest};

	return TIMESTAMP_IS_NOBEGIN(from) ? set : ls_spans_intersect(&set, &rest_set);
}

/* When does the row in the econtext count? */
static SpanSet
row_when(TimelineState *state, AggregateProgram *agg, SourceProgram *source,
		 TimestampTz at)
{
	ExprContext *econtext = state->judge->econtext;
	Span		span = {DT_NOBEGIN, DT_NOEND};
	SpanSet		result;
	bool		isnull;
	Datum		value;

	if (source->source->time_attno != InvalidAttrNumber)
		span = ls_row_span(at, agg->bound->older, agg->bound->within,
						   state->judge->contacts->tz);
	if (span.from >= span.upto || span.upto <= state->result->from)
		return ls_spans_of_span((Span) {DT_NOEND, DT_NOBEGIN});
	result = ls_spans_of_span(span);
	if (source->where_timeline.expr)
	{
		SpanSet		where;

		value = ExecEvalExprSwitchContext(ls_program_state(state->program,
														   &source->where_timeline),
										  econtext, &isnull);
		if (isnull)
			result.n = 0;
		else
		{
			where = ls_spans_of_timeline(DatumGetMultirangeTypeP(value));
			result = ls_spans_intersect(&result, &where);
		}
	}
	else if (source->where.expr)
	{
		value = ExecEvalExprSwitchContext(ls_program_state(state->program, &source->where),
										  econtext, &isnull);
		if (isnull || !DatumGetBool(value))
			result.n = 0;
	}
	return result;
}

/*
 * Do rows come so that those which count at "from" are the last to cease to?
 * Months are no good for that: the 30th and the 31st of January and a month are
 * the same day.
 */
static bool
is_orderly(const AggregateProgram *agg, const SourceProgram *source, KeyScan *scan)
{
	return scan && source->source->time_attno != InvalidAttrNumber &&
		source->where_timeline.expr == NULL &&
		(agg->bound->within == NULL || agg->bound->within->month == 0) &&
		(agg->bound->older == NULL || agg->bound->older->month == 0) &&
		ls_keyscan_is_newest_first(scan);
}

static void
read_source(TimelineState *state, AggregateProgram *agg, SourceProgram *source,
			RowList *list)
{
	Judge	   *judge = state->judge;
	BoundAggregate *bound = agg->bound;
	ActivitySource *activity = source->source;
	ExprContext *econtext = judge->econtext;
	OwnRows    *own = ls_source_is_own(activity) ? ls_judge_own_rows(judge, activity) : NULL;
	KeyScan    *scan = own ? NULL : ls_judge_rows(judge, activity);
	TimestampTz from = state->result->from;
	TimestampTz oldest;
	bool		has_oldest = !TIMESTAMP_IS_NOBEGIN(from) &&
		ls_rowset_oldest(from, bound->within, &oldest);
	bool		is_count = bound->func == RULE_AGG_EXISTS || bound->func == RULE_AGG_COUNT;
	bool		is_ordered = bound->func == RULE_AGG_FIRST || bound->func == RULE_AGG_LAST;
	int64		enough = is_count && !state->all && is_orderly(agg, source, scan) ?
		bound->enough : PG_INT64_MAX;
	TupleTableSlot *row;
	Relation	leaf = NULL;
	ItemPointerData tid;

	if (own)
		ls_ownrows_start(own, judge->contact, judge->reading.key);
	else
		ls_keyscan_start(scan, judge->reading.key, has_oldest ? &oldest : NULL);
	while (enough > 0 && (row = own ? ls_ownrows_next(own, &tid) :
						  ls_keyscan_next(scan, &leaf, &tid)) != NULL)
	{
		TimestampTz at = 0;
		SpanSet		when;
		TimelineRow *taken;

		CHECK_FOR_INTERRUPTS();
		if (judge->filter && leaf &&
			!judge->filter(judge->filter_arg, activity, RelationGetRelid(leaf), &tid))
			continue;
		ResetExprContext(econtext);
		if (activity->time_attno != InvalidAttrNumber &&
			!ls_rowset_instant(activity, row, judge->contacts->tz, &at))
			continue;
		econtext->ecxt_outertuple = row;
		when = row_when(state, agg, source, at);
		if (when.n == 0 || when.spans[when.n - 1].upto <= from)
			continue;
		make_room(list, is_ordered);
		taken = &list->rows[list->n];
		taken->relid = leaf ? RelationGetRelid(leaf) : InvalidOid;
		taken->tid = tid;
		taken->source = activity;
		taken->at = at;
		taken->when = when;
		taken->value = (Datum) 0;
		taken->isnull = true;
		if (!is_count)
		{
			taken->value = ExecEvalExprSwitchContext(ls_program_state(state->program,
																	  &source->value),
													 econtext, &taken->isnull);
			if (bound->func == RULE_AGG_SUM || bound->func == RULE_AGG_AVG)
				taken->value = taken->isnull ? (Datum) 0 : datumCopy(taken->value, false, -1);
			else if (!taken->isnull)
				taken->value = datumCopy(taken->value, agg->value_byval, agg->value_len);
		}
		if (is_ordered)
			take_order(&list->orders[list->n], source, row, at,
					   leaf ? RelationGetRelid(leaf) : InvalidOid, &tid);
		list->n++;
		if (when.spans[0].from <= from)
			enough--;
	}
}

typedef struct OrderArg
{
	SourceProgram *source;
	RowOrder   *orders;
} OrderArg;

static int
cmp_order(const void *a, const void *b, void *arg)
{
	OrderArg   *order = arg;

	return ls_judge_row_cmp(order->source, &order->orders[*(const int64 *) a],
							&order->orders[*(const int64 *) b]);
}

/* Put rows in the order of first and last. */
static void
order_rows(SourceProgram *source, RowList *list)
{
	OrderArg	arg = {source, list->orders};
	int64	   *places = palloc_extended(sizeof(int64) * (Size) Max(list->n, 1), MCXT_ALLOC_HUGE);
	TimelineRow *rows = palloc_extended(sizeof(TimelineRow) * (Size) Max(list->n, 1),
										MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < list->n; i++)
		places[i] = i;
	qsort_arg(places, list->n, sizeof(int64), cmp_order, &arg);
	for (int64 i = 0; i < list->n; i++)
		rows[i] = list->rows[places[i]];
	list->rows = rows;
}


/* -------------------------------------------------------------------------
 * Aggregates
 * -------------------------------------------------------------------------
 */

/* Where pieces go. */
typedef struct PieceTaker
{
	AggregateTimeline *timeline;
	TimestampTz from;
	int16		len;
	bool		byval;
} PieceTaker;

static void
take_piece(void *arg, Span piece, Datum value, bool isnull)
{
	PieceTaker *taker = arg;
	AggregateTimeline *timeline = taker->timeline;

	if (piece.upto <= taker->from)
		return;
	piece.from = Max(piece.from, taker->from);
	if (timeline->npieces == timeline->room)
	{
		timeline->room *= 2;
		timeline->pieces = repalloc_huge(timeline->pieces, sizeof(Span) * (Size) timeline->room);
		timeline->values = repalloc_huge(timeline->values, sizeof(Datum) * (Size) timeline->room);
		timeline->nulls = repalloc_huge(timeline->nulls, sizeof(bool) * (Size) timeline->room);
	}
	timeline->pieces[timeline->npieces] = piece;
	timeline->nulls[timeline->npieces] = isnull;
	timeline->values[timeline->npieces++] = isnull ? (Datum) 0 :
		datumCopy(value, taker->byval, taker->len);
}

static PieceSet *
make_set(AggregateProgram *agg, const PieceValues *values)
{
	BoundAggregate *bound = agg->bound;
	Oid			type = type_is_array(bound->value_type) ? TEXTOID : bound->value_type;

	switch (bound->func)
	{
		case RULE_AGG_EXISTS:
		case RULE_AGG_COUNT:
			return ls_count_set();
		case RULE_AGG_COUNT_DISTINCT:
			return ls_distinct_set(values, type, bound->value_collation);
		case RULE_AGG_SUM:
		case RULE_AGG_AVG:
		case RULE_AGG_SCORE:
			return ls_sum_set(values, bound->func == RULE_AGG_AVG);
		case RULE_AGG_MIN:
		case RULE_AGG_MAX:
			return ls_min_max_set(values, type, bound->value_collation,
								  bound->func == RULE_AGG_MAX);
		case RULE_AGG_FIRST:
		case RULE_AGG_LAST:
			return ls_first_last_set(values, bound->func == RULE_AGG_LAST);
	}
	return NULL;				/* keep compiler quiet */
}

static void
start_pieces(AggregateTimeline *timeline)
{
	timeline->room = 16;
	timeline->pieces = palloc(sizeof(Span) * timeline->room);
	timeline->values = palloc(sizeof(Datum) * timeline->room);
	timeline->nulls = palloc(sizeof(bool) * timeline->room);
}

static void node_timeline(TimelineState *state, NodeProgram *node, NodeTimeline *result);

/*
 * A score is the sum over its conditions, as if each were a row that counts
 * while it is true.  Rows that arrive are those of conditions that earn points.
 */
static void
score_timeline(TimelineState *state, AggregateProgram *agg, AggregateTimeline *timeline)
{
	int			n = list_length(agg->bound->items);
	PieceBounds *bounds = ls_pieces_bounds(n);
	PieceValues values = {n, n};
	PieceTaker	taker = {timeline, state->result->from, -1, false};
	ListCell   *lc;

	values.values = palloc(sizeof(Datum) * Max(n, 1));
	values.nulls = palloc0(sizeof(bool) * Max(n, 1));
	timeline->items = palloc(sizeof(NodeTimeline) * Max(n, 1));
	foreach(lc, agg->bound->items)
	{
		int			i = foreach_current_index(lc);
		int64		points = ((BoundItem *) lfirst(lc))->points;
		NodeTimeline *item = &timeline->items[i];

		node_timeline(state, agg->items[i], item);
		values.values[i] = NumericGetDatum(int64_to_numeric(points));
		for (int k = 0; k < item->when.n; k++)
			ls_pieces_add(bounds, i, item->when.spans[k]);
		if (points > 0)
			ls_instants_add(&timeline->begins, &item->arrivals);
	}
	start_pieces(timeline);
	ls_pieces_sweep(bounds, make_set(agg, &values), take_piece, &taker);
}

static AggregateTimeline *
aggregate_timeline(TimelineState *state, int index)
{
	AggregateTimeline *timeline = &state->result->aggregates[index];
	AggregateProgram *agg = &state->program->aggregates[index];
	TimestampTz from = state->result->from;
	RowList		list = {0};
	PieceBounds *bounds;
	PieceValues values;
	PieceTaker	taker = {timeline, from, sizeof(int64), FLOAT8PASSBYVAL};
	int64		nbegins = 0;

	if (timeline->is_known)
		return timeline;
	timeline->is_known = true;
	if (agg->bound->func == RULE_AGG_SCORE)
	{
		score_timeline(state, agg, timeline);
		return timeline;
	}
	for (int i = 0; i < agg->nsources; i++)
		read_source(state, agg, &agg->sources[i], &list);
	if (list.n > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many rows of one contact")));
	if (list.orders)
		order_rows(&agg->sources[0], &list);
	timeline->rows = list.rows;
	timeline->nrows = list.n;

	values.nrows = values.nvalues = list.n;
	values.values = palloc_extended(sizeof(Datum) * (Size) Max(list.n, 1), MCXT_ALLOC_HUGE);
	values.nulls = palloc_extended(sizeof(bool) * (Size) Max(list.n, 1), MCXT_ALLOC_HUGE);
	bounds = ls_pieces_bounds(list.n);
	for (int64 i = 0; i < list.n; i++)
	{
		values.values[i] = list.rows[i].value;
		values.nulls[i] = list.rows[i].isnull;
		for (int k = 0; k < list.rows[i].when.n; k++)
			ls_pieces_add(bounds, i, list.rows[i].when.spans[k]);
		nbegins += list.rows[i].when.n;
	}

	timeline->begins.at = palloc_extended(sizeof(TimestampTz) * (Size) Max(nbegins, 1),
										  MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < list.n; i++)
	{
		/* elements come with the contact, and leads that are made are no news */
		if (ls_source_is_own(list.rows[i].source))
			continue;
		for (int k = 0; k < list.rows[i].when.n; k++)
		{
			TimestampTz begin = list.rows[i].when.spans[k].from;

			if (begin >= from && !TIMESTAMP_NOT_FINITE(begin))
				timeline->begins.at[timeline->begins.n++] = begin;
		}
	}
	ls_instants_tidy(&timeline->begins);

	start_pieces(timeline);
	switch (agg->bound->func)
	{
		case RULE_AGG_EXISTS:
		case RULE_AGG_COUNT:
		case RULE_AGG_COUNT_DISTINCT:
			break;
		case RULE_AGG_SUM:
		case RULE_AGG_AVG:
			taker.len = -1;
			taker.byval = false;
			break;
		default:
			taker.len = agg->value_len;
			taker.byval = agg->value_byval;
			break;
	}
	ls_pieces_sweep(bounds, make_set(agg, &values), take_piece, &taker);
	return timeline;
}


/* -------------------------------------------------------------------------
 * Conditions
 * -------------------------------------------------------------------------
 */

/* A test of the contact alone: always, never, or what its timeline says. */
static SpanSet
contact_when(TimelineState *state, NodeProgram *node)
{
	Judge	   *judge = state->judge;
	bool		isnull;
	Datum		value;
	Span		always = {state->result->from, DT_NOEND};
	SpanSet		result = {0, NULL};

	if (node->timeline.expr == NULL)
		return ls_judge_eval_test(judge, state->program, node) ?
			ls_spans_of_span(always) : result;
	ResetExprContext(judge->econtext);
	value = ExecEvalExprSwitchContext(ls_program_state(state->program, &node->timeline),
									  judge->econtext, &isnull);
	if (!isnull)
		result = ls_spans_of_timeline(DatumGetMultirangeTypeP(value));
	if (node->bound->negated)
		result = ls_spans_complement(&result);
	return cut(result, state->result->from);
}

/* What a test says of one piece of its aggregates. */
static SpanSet
piece_when(TimelineState *state, NodeProgram *node, Span piece)
{
	Judge	   *judge = state->judge;
	SpanSet		all = ls_spans_of_span(piece);
	SpanSet		result = {0, NULL};
	bool		isnull;
	Datum		value;

	if (node->timeline.expr == NULL)
		return ls_judge_eval_test(judge, state->program, node) ? all : result;
	ResetExprContext(judge->econtext);
	value = ExecEvalExprSwitchContext(ls_program_state(state->program, &node->timeline),
									  judge->econtext, &isnull);
	if (!isnull)
		result = ls_spans_of_timeline(DatumGetMultirangeTypeP(value));
	if (node->bound->negated)
		result = ls_spans_complement(&result);
	return ls_spans_intersect(&all, &result);
}

/* A growing set of spans that come in order. */
typedef struct SpanTaker
{
	SpanSet		set;
	int			room;
} SpanTaker;

static void
take_spans(SpanTaker *taker, const SpanSet *spans)
{
	if (taker->set.n + spans->n > taker->room)
	{
		taker->room = Max(16, (taker->set.n + spans->n) * 2);
		taker->set.spans = taker->set.spans == NULL ?
			palloc_extended(sizeof(Span) * (Size) taker->room, MCXT_ALLOC_HUGE) :
			repalloc_huge(taker->set.spans, sizeof(Span) * (Size) taker->room);
	}
	for (int i = 0; i < spans->n; i++)
		ls_spans_append(&taker->set, spans->spans[i]);
}

/* A test of aggregates: asked for each stretch in which none of them changes. */
static SpanSet
aggregates_when(TimelineState *state, NodeProgram *node)
{
	BoundNode  *bound = node->bound;
	int			nrefs = list_length(bound->refs);
	AggregateTimeline **refs = palloc(sizeof(AggregateTimeline *) * nrefs);
	int		   *at = palloc0(sizeof(int) * nrefs);
	SpanTaker	taker = {{0, NULL}, 0};

	for (int i = 0; i < nrefs; i++)
		refs[i] = aggregate_timeline(state, list_nth_int(bound->refs, i));
	for (;;)
	{
		Span		piece = {DT_NOBEGIN, DT_NOEND};
		SpanSet		when;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < nrefs; i++)
		{
			ls_judge_set_param(state->program, bound, i, refs[i]->values[at[i]],
							   refs[i]->nulls[at[i]]);
			piece.from = Max(piece.from, refs[i]->pieces[at[i]].from);
			piece.upto = Min(piece.upto, refs[i]->pieces[at[i]].upto);
		}
		when = piece_when(state, node, piece);
		take_spans(&taker, &when);
		if (TIMESTAMP_IS_NOEND(piece.upto))
			break;
		for (int i = 0; i < nrefs; i++)
			if (refs[i]->pieces[at[i]].upto == piece.upto)
				at[i]++;
	}
	return taker.set;
}

static void
node_timeline(TimelineState *state, NodeProgram *node, NodeTimeline *result)
{
	BoundNode  *bound = node->bound;
	bool		is_and = bound->kind == BOUND_AND;

	check_stack_depth();
	memset(result, 0, sizeof(NodeTimeline));
	result->node = node;
	if (bound->kind == BOUND_TEST)
	{
		ListCell   *lc;
		ListCell   *lc2;

		if (bound->refs == NIL)
		{
			result->when = contact_when(state, node);
			return;
		}
		result->when = aggregates_when(state, node);
		forboth(lc, bound->refs, lc2, bound->truer)
		{
			AggregateTimeline *agg = &state->result->aggregates[lfirst_int(lc)];
			InstantSet	arrivals;

			if (agg->begins.n == 0 || (!lfirst_int(lc2) && state->program->turns_by_time))
				continue;
			ls_instants_add(&state->result->begins, &agg->begins);
			if (!lfirst_int(lc2))
				continue;
			arrivals = ls_instants_within(&agg->begins, &result->when);
			ls_instants_add(&result->arrivals, &arrivals);
		}
		return;
	}

	result->kids = palloc0(sizeof(NodeTimeline) * node->nkids);
	for (int i = 0; i < node->nkids; i++)
	{
		NodeTimeline *kid = &result->kids[i];

		node_timeline(state, node->kids[i], kid);
		if (i == 0)
			result->when = kid->when;
		else
			result->when = is_and ? ls_spans_intersect(&result->when, &kid->when) :
				ls_spans_unite(&result->when, &kid->when);
		ls_instants_add(&result->arrivals, &kid->arrivals);
		/*
		 * Of a contact that cannot match whatever its rows are, rows are of no
		 * interest: if it changes, it is judged anew.
		 */
		if (is_and && result->when.n == 0 && !state->all && kid->node->bound->refs == NIL &&
			kid->node->bound->kind == BOUND_TEST)
			break;
	}
	if (is_and)
		result->arrivals = ls_instants_within(&result->arrivals, &result->when);
}

RuleTimeline *
ls_judge_timeline(Judge *judge, RuleProgram *program, TimestampTz from, bool all)
{
	MemoryContext oldcxt;
	RuleTimeline *result;
	TimelineState state = {judge, program, NULL, all};

	Assert(judge->contact != NULL);
	/* a contact may have many rows, and be asked of for many streams */
	if (judge->timeline_mcxt == NULL)
		judge->timeline_mcxt = AllocSetContextCreate(judge->mcxt, "leadstream timeline",
													 ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(judge->timeline_mcxt);
	oldcxt = MemoryContextSwitchTo(judge->timeline_mcxt);
	state.result = result = palloc0(sizeof(RuleTimeline));
	result->from = from;
	result->aggregates = palloc0(sizeof(AggregateTimeline) * Max(program->naggregates, 1));
	ls_judge_take_program(judge, program);
	node_timeline(&state, program->root, &result->root);
	MemoryContextSwitchTo(oldcxt);
	return result;
}


/* -------------------------------------------------------------------------
 * Matches by time
 * -------------------------------------------------------------------------
 */
bool
ls_timeline_match(const RuleTimeline *timeline, TimestampTz from,
				  TimestampTz upto, bool was_true, TimestampTz *result)
{
	const SpanSet *when = &timeline->root.when;
	TimestampTz begin;
	TimestampTz arrival;
	bool		found;

	Assert(timeline->from < from);
	if (!was_true)
		found = ls_spans_first_from(when, from, &begin);
	else
	{
		/* a beginning at "from" is one, and the set tells it from the rest */
		found = ls_spans_first_begin(when, from - 1, &begin);
		if (ls_instants_first(&timeline->root.arrivals, from, &arrival) &&
			(!found || arrival < begin))
		{
			begin = arrival;
			found = true;
		}
	}
	if (!found || begin > upto)
		return false;
	*result = begin;
	return true;
}

bool
ls_timeline_next(const RuleTimeline *timeline, TimestampTz clock,
				 TimestampTz *result, bool *is_true)
{
	TimestampTz begin;
	TimestampTz arrival;
	bool		found = ls_spans_first_begin(&timeline->root.when, clock, &begin);

	*is_true = ls_spans_contain(&timeline->root.when, clock);
	if (ls_instants_first(&timeline->begins, clock + 1, &arrival) &&
		(!found || arrival < begin))
	{
		begin = arrival;
		found = true;
	}
	if (found)
		*result = begin;
	return found;
}


/* -------------------------------------------------------------------------
 * SQL
 * -------------------------------------------------------------------------
 */

/*
 * _timeline_of(rule, contact "any", since timestamptz) -> tstzmultirange, null
 * where there is no such contact.
 */
Datum
leadstream_timeline_of(PG_FUNCTION_ARGS)
{
	ContactSource *contacts = ls_catalog_need_contacts();
	BoundRule  *bound;
	RuleProgram *program;
	Judge	   *judge;
	MultirangeType *result = NULL;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	/* a timeline from there on has no stretch at all */
	if (TIMESTAMP_IS_NOEND(PG_GETARG_TIMESTAMPTZ(2)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since must not be infinity")));
	bound = ls_rule_bind(ls_segments_put(PG_GETARG_RULE_P(0), ls_guc_account, NULL), contacts,
						 ls_catalog_activities());
	ls_rule_check_rights(bound);
	program = ls_program_make(bound);
	judge = ls_judge_begin(contacts, GetActiveSnapshot(), 0, InvalidCommandId, InvalidOid);
	if (ls_judge_contact(judge, ls_contact_arg(fcinfo, 1, contacts)))
		result = ls_timeline_of_spans(&ls_judge_timeline(judge, program,
														 PG_GETARG_TIMESTAMPTZ(2),
														 false)->root.when);
	ls_judge_end(judge);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_MULTIRANGE_P(result);
}
