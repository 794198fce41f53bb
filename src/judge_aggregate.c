/*-------------------------------------------------------------------------
 *
 * judge_aggregate.c
 *	  The value of an aggregate over the rows of one contact.
 *
 * For sum, avg, min, max, first, last and count(distinct): the rows of the one
 * source are read in any order, those that count are taken in one by one, and what
 * is held of them is made the value.  exists and count are counted without it
 * (rule_eval.c).
 *
 * Lives in the memory context of the contact that the Judge stepped to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "judge.h"
#include "key_scan.h"
#include "timeline.h"
#include "value.h"

/* The state of one aggregate while rows come in. */
typedef struct Accumulator
{
	int64		count;
	Datum		value;			/* min, max, first, last so far */
	bool		isnull;
	NumberSum	sum;			/* sum, avg */
	Datum	   *values;			/* count(distinct): all of them */
	int			nvalues;
	int			maxvalues;
	bool		has_row;		/* first, last */
	RowOrder	row;
} Accumulator;

int
ls_judge_row_cmp(const SourceProgram *source, const RowOrder *a, const RowOrder *b)
{
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	for (int i = 0; i < source->nkeys; i++)
	{
		int			cmp = DatumGetInt32(FunctionCall2Coll(&source->key_cmps[i],
														  source->key_collations[i],
														  a->key[i], b->key[i]));

		if (cmp != 0)
			return cmp;
	}
	if (source->nkeys > 0)
		return 0;
	if (a->tableoid != b->tableoid)
		return a->tableoid < b->tableoid ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &a->tid, (ItemPointer) &b->tid);
}

/* Is this row before the one held, in the order of first and last? */
static int
compare_rows(Accumulator *acc, SourceProgram *source, TupleTableSlot *row,
			 TimestampTz at, Oid leaf, ItemPointer tid)
{
	Datum		key[INDEX_MAX_KEYS];
	RowOrder	other = {at, key, leaf, *tid};
	bool		isnull;

	for (int i = 0; i < source->nkeys && at == acc->row.at; i++)
		key[i] = slot_getattr(row, source->key_attnos[i], &isnull);
	return ls_judge_row_cmp(source, &other, &acc->row);
}

/* Hold a value instead of the one held: a contact may have millions of rows. */
static void
hold_value(Accumulator *acc, AggregateProgram *agg, Datum value, bool isnull)
{
	if (!acc->isnull && !agg->value_byval)
		pfree(DatumGetPointer(acc->value));
	acc->isnull = isnull;
	acc->value = isnull ? (Datum) 0 :
		datumCopy(value, agg->value_byval, agg->value_len);
}

static void
hold_row(Accumulator *acc, SourceProgram *source, TupleTableSlot *row,
		 TimestampTz at, Oid leaf, ItemPointer tid)
{
	bool		had_row = acc->has_row;

	acc->has_row = true;
	acc->row.at = at;
	acc->row.tableoid = leaf;
	acc->row.tid = *tid;
	if (acc->row.key == NULL && source->nkeys > 0)
		acc->row.key = palloc(sizeof(Datum) * source->nkeys);
	for (int i = 0; i < source->nkeys; i++)
	{
		bool		isnull;
		Form_pg_attribute att = TupleDescAttr(row->tts_tupleDescriptor,
											  source->key_attnos[i] - 1);
		Datum		key = slot_getattr(row, source->key_attnos[i], &isnull);

		if (had_row && !att->attbyval)
			pfree(DatumGetPointer(acc->row.key[i]));
		acc->row.key[i] = datumCopy(key, att->attbyval, att->attlen);
	}
}

/* Take in the value of a row that counts. */
static void
accumulate(Judge *judge, AggregateProgram *agg, SourceProgram *source, Accumulator *acc,
		   TupleTableSlot *row, TimestampTz at, Oid leaf, ItemPointer tid)
{
	RuleAggregate func = agg->bound->func;
	Datum		value;
	bool		isnull;
	bool		better;

	value = ExecEvalExprSwitchContext(ls_program_state(judge->program, &source->value),
									  judge->econtext, &isnull);
	if (func == RULE_AGG_FIRST || func == RULE_AGG_LAST)
	{
		if (acc->has_row)
		{
			int			cmp = compare_rows(acc, source, row, at, leaf, tid);

			if (func == RULE_AGG_FIRST ? cmp >= 0 : cmp <= 0)
				return;
		}
		hold_row(acc, source, row, at, leaf, tid);
		hold_value(acc, agg, value, isnull);
		return;
	}
	if (isnull)
		return;
	acc->count++;
	switch (func)
	{
		case RULE_AGG_SUM:
		case RULE_AGG_AVG:
			ls_sum_join(&acc->sum, DatumGetNumeric(value));
			break;
		case RULE_AGG_MIN:
		case RULE_AGG_MAX:
			better = acc->isnull;
			if (!better)
			{
				int			cmp = DatumGetInt32(FunctionCall2Coll(&agg->value_cmp,
																  agg->bound->value_collation,
																  value, acc->value));

				better = func == RULE_AGG_MIN ? cmp < 0 : cmp > 0;
			}
			if (better)
				hold_value(acc, agg, value, false);
			break;
		case RULE_AGG_COUNT_DISTINCT:
			if (acc->nvalues == acc->maxvalues)
			{
				acc->maxvalues = Max(64, acc->maxvalues * 2);
				acc->values = acc->values == NULL ?
					palloc(sizeof(Datum) * acc->maxvalues) :
					repalloc_huge(acc->values, sizeof(Datum) * acc->maxvalues);
			}
			acc->values[acc->nvalues++] = datumCopy(value, agg->value_byval,
													agg->value_len);
			break;
		default:
			elog(ERROR, "unexpected aggregate %d", func);	/* cannot happen */
	}
}

static int
compare_values(const void *a, const void *b, void *arg)
{
	AggregateProgram *agg = arg;

	return DatumGetInt32(FunctionCall2Coll(&agg->value_cmp, agg->bound->value_collation,
										   *(const Datum *) a, *(const Datum *) b));
}

static void
finish(AggregateProgram *agg, Accumulator *acc, AggregateValue *result)
{
	Numeric		number;

	result->isnull = false;
	switch (agg->bound->func)
	{
		case RULE_AGG_COUNT_DISTINCT:
			{
				int64		n = 0;

				qsort_arg(acc->values, acc->nvalues, sizeof(Datum), compare_values, agg);
				for (int i = 0; i < acc->nvalues; i++)
					if (i == 0 || compare_values(&acc->values[i - 1], &acc->values[i], agg) != 0)
						n++;
				result->value = Int64GetDatum(n);
				break;
			}
		case RULE_AGG_SUM:
		case RULE_AGG_AVG:
			number = agg->bound->func == RULE_AGG_SUM ?
				ls_sum_total(&acc->sum) : ls_sum_average(&acc->sum);
			result->isnull = number == NULL;
			result->value = NumericGetDatum(number);
			break;
		default:
			result->value = acc->value;
			result->isnull = acc->isnull;
			break;
	}
}

void
ls_judge_aggregate_rows(Judge *judge, AggregateProgram *agg, AggregateValue *result)
{
	BoundAggregate *bound = agg->bound;
	SourceProgram *source = &agg->sources[0];
	ActivitySource *activity = source->source;
	ExprState  *where = source->where.expr == NULL ? NULL :
		ls_program_state(judge->program, &source->where);
	pg_tz	   *tz = judge->contacts->tz;
	OwnRows    *own = ls_source_is_own(activity) ? ls_judge_own_rows(judge, activity) : NULL;
	KeyScan    *scan = own ? NULL : ls_judge_rows(judge, activity);
	bool		need_fresh = ls_judge_needs_fresh(judge, agg, source);
	bool		is_last = bound->func == RULE_AGG_LAST && scan &&
		ls_keyscan_is_newest_first(scan);
	Accumulator acc = {.isnull = true};
	TimestampTz oldest;
	bool		has_oldest = ls_rowset_oldest(judge->reading.clock, bound->within, &oldest);
	ExprContext *econtext = judge->econtext;
	TupleTableSlot *row;
	Relation	leaf = NULL;
	ItemPointerData tid;

	Assert(agg->nsources == 1);
	ls_sum_start(&acc.sum);
	if (own)
		ls_ownrows_start(own, judge->contact, judge->reading.key);
	else
		ls_keyscan_start(scan, judge->reading.key, has_oldest ? &oldest : NULL);
	while ((row = own ? ls_ownrows_next(own, &tid) :
			ls_keyscan_next(scan, &leaf, &tid)) != NULL)
	{
		TimestampTz at = 0;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		if (activity->time_attno != InvalidAttrNumber)
		{
			if (!ls_rowset_instant(activity, row, tz, &at))
				continue;
			/* what comes now is older than the last row */
			if (is_last && acc.has_row && (result->fresh || !need_fresh) &&
				at < acc.row.at)
				break;
			if (!ls_row_counts(at, bound->older, bound->within, tz, judge->reading.clock))
				continue;
		}
		if (!ls_judge_passes(judge, where, row))
			continue;
		if (need_fresh && !result->fresh)
			result->fresh = ls_row_is_arriving(&judge->reading, activity, scan, where, row);
		accumulate(judge, agg, source, &acc, row, at,
				   leaf ? RelationGetRelid(leaf) : InvalidOid, &tid);
	}
	finish(agg, &acc, result);
}
