/*-------------------------------------------------------------------------
 *
 * rule_eval.c
 *	  Judging a rule at one instant: is it true of this contact now?
 *
 * A Judge is one reading of the database under one snapshot and at one
 * instant.  It steps from contact to contact; for each it judges any number
 * of programs (rule_program.c).  Aggregates are computed when a test asks for
 * them, by an index scan over the contact's rows (key_scan.c); what they
 * allocate lives in a context that is reset with the next contact.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "instant.h"
#include "key_scan.h"
#include "rule_eval.h"
#include "timeline.h"
#include "value.h"

/* An aggregate's value for the contact stepped to. */
typedef struct AggregateValue
{
	bool		known;
	bool		isnull;
	bool		fresh;			/* a row of the running statement counts */
	Datum		value;
} AggregateValue;

/* A scan kept open by the Judge. */
typedef struct JudgeScan
{
	Oid			relid;
	AttrNumber	contact_attno;
	AttrNumber	time_attno;
	KeyScan    *scan;
} JudgeScan;

struct Judge
{
	ContactSource *contacts;
	Snapshot	snapshot;
	TimestampTz clock;
	CommandId	stmt_cid;		/* new rows are of this command or later, */
	Oid			fresh_relid;	/* in this table */
	KeyScan    *contact_scan;
	TupleTableSlot *contact;	/* row of the contact stepped to, or NULL */
	Datum		key;
	List	   *scans;			/* of JudgeScan * */
	ExprContext *econtext;
	MemoryContext mcxt;			/* the judge's own */
	MemoryContext contact_mcxt; /* reset with each contact */
};

/* ----------
 * Judging.
 * ----------
 */
Judge *
ls_judge_begin(ContactSource *contacts, Snapshot snapshot, TimestampTz clock,
			   CommandId stmt_cid, Oid fresh_relid)
{
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext,
											   "leadstream judge",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcxt = MemoryContextSwitchTo(mcxt);
	Judge	   *judge = palloc0(sizeof(Judge));

	judge->contacts = contacts;
	judge->snapshot = snapshot;
	judge->clock = clock;
	judge->stmt_cid = stmt_cid;
	judge->fresh_relid = fresh_relid;
	judge->mcxt = mcxt;
	judge->contact_mcxt = AllocSetContextCreate(mcxt, "leadstream contact",
												ALLOCSET_DEFAULT_SIZES);
	judge->econtext = CreateStandaloneExprContext();
	judge->contact_scan = ls_keyscan_open(contacts->relid, contacts->key_attno,
										  contacts->key_base, InvalidAttrNumber, snapshot);
	MemoryContextSwitchTo(oldcxt);
	return judge;
}

bool
ls_judge_contact(Judge *judge, Datum key)
{
	MemoryContextReset(judge->contact_mcxt);
	judge->key = key;
	ls_keyscan_start(judge->contact_scan, key, NULL);
	judge->contact = ls_keyscan_next(judge->contact_scan, NULL, NULL);
	return judge->contact != NULL;
}

Datum
ls_judge_key(Judge *judge)
{
	bool		isnull;

	return slot_getattr(judge->contact, judge->contacts->key_attno, &isnull);
}

/*
 * A value as its cast to text gives it, which history compares with: char(n)
 * loses its blanks, and booleans are true and false.
 */
static char *
cast_to_text(Datum value, Oid type)
{
	Oid			function;
	bool		is_varlena;

	if (find_coercion_pathway(TEXTOID, getBaseType(type), COERCION_EXPLICIT,
							  &function) == COERCION_PATH_FUNC &&
		get_func_nargs(function) == 1)
		return TextDatumGetCString(OidFunctionCall1(function, value));
	getTypeOutputInfo(type, &function, &is_varlena);
	return OidOutputFunctionCall(function, value);
}

const char *
ls_judge_account(Judge *judge)
{
	MemoryContext oldcxt;
	Datum		value;
	bool		isnull;
	char	   *result;

	if (judge->contacts->account_attno == InvalidAttrNumber)
		return "";
	value = slot_getattr(judge->contact, judge->contacts->account_attno, &isnull);
	if (isnull)
		return "";
	oldcxt = MemoryContextSwitchTo(judge->contact_mcxt);
	result = cast_to_text(value,
						  TupleDescAttr(judge->contact->tts_tupleDescriptor,
										judge->contacts->account_attno - 1)->atttypid);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

static KeyScan *
judge_scan(Judge *judge, ActivitySource *source)
{
	AttrNumber	time_attno = source->time_type == TIMESTAMPTZOID ?
		source->time_attno : InvalidAttrNumber;
	ListCell   *lc;
	JudgeScan  *s;
	MemoryContext oldcxt;

	foreach(lc, judge->scans)
	{
		s = lfirst(lc);
		if (s->relid == source->relid && s->contact_attno == source->contact_attno &&
			s->time_attno == time_attno)
			return s->scan;
	}
	oldcxt = MemoryContextSwitchTo(judge->mcxt);
	s = palloc(sizeof(JudgeScan));
	s->relid = source->relid;
	s->contact_attno = source->contact_attno;
	s->time_attno = time_attno;
	s->scan = ls_keyscan_open(source->relid, source->contact_attno,
							  judge->contacts->key_base, time_attno, judge->snapshot);
	judge->scans = lappend(judge->scans, s);
	MemoryContextSwitchTo(oldcxt);
	return s->scan;
}

/*
 * No row older than this counts now: a superset, for months are taken as 31
 * days and two days are left for the calendar and daylight saving.
 */
static bool
oldest_instant(TimestampTz clock, const Interval *within, TimestampTz *result)
{
	double		length;

	if (within == NULL)
		return false;
	length = (double) within->month * 31 * USECS_PER_DAY + (double) within->time +
		2.0 * USECS_PER_DAY;
	if ((double) clock - length <= (double) MIN_TIMESTAMP)
		return false;
	*result = clock - (TimestampTz) length;
	return true;
}

/* When did the row happen?  False: it has no time. */
static bool
row_instant(ActivitySource *source, TupleTableSlot *row, pg_tz *tz, TimestampTz *result)
{
	bool		isnull;
	bool		ok = true;
	Datum		value = slot_getattr(row, source->time_attno, &isnull);

	if (isnull)
		return false;
	if (source->time_type == TIMESTAMPTZOID)
		*result = DatumGetTimestampTz(value);
	else if (source->time_type == DATEOID)
		*result = ls_instant_from_date(DatumGetDateADT(value), tz, &ok);
	else
		*result = ls_instant_from_timestamp(DatumGetTimestamp(value), tz, &ok);
	return ok;
}

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
	TimestampTz row_time;
	Datum	   *row_key;
	Oid			row_tableoid;
	ItemPointerData row_tid;
} Accumulator;

/* Is this row before the one held, in the order of first and last? */
static int
compare_rows(Accumulator *acc, SourceProgram *source, TupleTableSlot *row,
			 TimestampTz at, Relation leaf, ItemPointer tid)
{
	if (at != acc->row_time)
		return at < acc->row_time ? -1 : 1;
	for (int i = 0; i < source->nkeys; i++)
	{
		bool		isnull;
		Datum		key = slot_getattr(row, source->key_attnos[i], &isnull);
		int			cmp = DatumGetInt32(FunctionCall2Coll(&source->key_cmps[i],
														  source->key_collations[i],
														  key, acc->row_key[i]));

		if (cmp != 0)
			return cmp;
	}
	if (source->nkeys > 0)
		return 0;
	if (RelationGetRelid(leaf) != acc->row_tableoid)
		return RelationGetRelid(leaf) < acc->row_tableoid ? -1 : 1;
	return ItemPointerCompare(tid, &acc->row_tid);
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
		 TimestampTz at, Relation leaf, ItemPointer tid)
{
	bool		had_row = acc->has_row;

	acc->has_row = true;
	acc->row_time = at;
	acc->row_tableoid = RelationGetRelid(leaf);
	acc->row_tid = *tid;
	if (acc->row_key == NULL && source->nkeys > 0)
		acc->row_key = palloc(sizeof(Datum) * source->nkeys);
	for (int i = 0; i < source->nkeys; i++)
	{
		bool		isnull;
		Form_pg_attribute att = TupleDescAttr(row->tts_tupleDescriptor,
											  source->key_attnos[i] - 1);
		Datum		key = slot_getattr(row, source->key_attnos[i], &isnull);

		if (had_row && !att->attbyval)
			pfree(DatumGetPointer(acc->row_key[i]));
		acc->row_key[i] = datumCopy(key, att->attbyval, att->attlen);
	}
}

/* Take in the value of a row that counts. */
static void
accumulate(Judge *judge, AggregateProgram *agg, SourceProgram *source, Accumulator *acc,
		   TupleTableSlot *row, TimestampTz at, Relation leaf, ItemPointer tid)
{
	RuleAggregate func = agg->bound->func;
	Datum		value;
	bool		isnull;
	bool		better;

	if (source->value == NULL)
	{
		acc->count++;
		return;
	}
	value = ExecEvalExprSwitchContext(source->value, judge->econtext, &isnull);
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
		case RULE_AGG_EXISTS:
		case RULE_AGG_COUNT:
			result->value = Int64GetDatum(acc->count);
			break;
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

static void
compute_aggregate(Judge *judge, AggregateProgram *agg, AggregateValue *result)
{
	BoundAggregate *bound = agg->bound;
	pg_tz	   *tz = judge->contacts->tz;
	Accumulator acc = {.isnull = true};
	TimestampTz oldest;
	bool		has_oldest = oldest_instant(judge->clock, bound->within, &oldest);
	ExprContext *econtext = judge->econtext;
	MemoryContext oldcxt = MemoryContextSwitchTo(judge->contact_mcxt);

	result->known = true;
	result->fresh = false;
	ls_sum_start(&acc.sum);
	for (int i = 0; i < agg->nsources; i++)
	{
		SourceProgram *source = &agg->sources[i];
		KeyScan    *scan;
		TupleTableSlot *row;
		Relation	leaf;
		ItemPointerData tid;
		bool		is_last;

		/* does this table hold new rows, which have to be looked for? */
		bool		need_fresh = judge->stmt_cid != InvalidCommandId &&
			source->source->relid == judge->fresh_relid;

		if (acc.count >= bound->enough && !need_fresh)
			continue;
		scan = judge_scan(judge, source->source);
		is_last = bound->func == RULE_AGG_LAST && ls_keyscan_is_newest_first(scan);
		ls_keyscan_start(scan, judge->key, has_oldest ? &oldest : NULL);
		while ((row = ls_keyscan_next(scan, &leaf, &tid)) != NULL)
		{
			TimestampTz at = 0;

			CHECK_FOR_INTERRUPTS();
			ResetExprContext(econtext);
			/* what comes now is older than the last row */
			if (is_last && acc.has_row && (result->fresh || !need_fresh) &&
				row_instant(source->source, row, tz, &at) && at < acc.row_time)
				break;
			if (source->source->time_attno != InvalidAttrNumber &&
				(!row_instant(source->source, row, tz, &at) ||
				 !ls_row_counts(at, bound->older, bound->within, tz, judge->clock)))
				continue;
			econtext->ecxt_outertuple = row;
			if (source->where)
			{
				bool		isnull;
				bool		passes = DatumGetBool(ExecEvalExprSwitchContext(source->where,
																			econtext, &isnull));

				if (isnull || !passes)
					continue;
			}
			if (need_fresh && !result->fresh)
				result->fresh = ls_keyscan_row_is_fresh(scan, judge->stmt_cid);
			accumulate(judge, agg, source, &acc, row, at, leaf, &tid);
			/* no test can tell more rows from these */
			if (acc.count >= bound->enough && (result->fresh || !need_fresh))
				break;
		}
	}
	finish(agg, &acc, result);
	MemoryContextSwitchTo(oldcxt);
}

static bool
judge_test(Judge *judge, RuleProgram *program, NodeProgram *node,
		   AggregateValue *values, bool *fresh)
{
	BoundNode  *bound = node->bound;
	ListCell   *lc;
	bool		isnull;
	bool		result;

	foreach(lc, bound->refs)
	{
		AggregateValue *value = &values[lfirst_int(lc)];
		AggregateProgram *agg = &program->aggregates[lfirst_int(lc)];
		ParamExternData *param = &program->params->params[foreach_current_index(lc) + 1];

		if (!value->known)
			compute_aggregate(judge, agg, value);
		param->value = value->value;
		param->isnull = value->isnull;
		param->pflags = PARAM_FLAG_CONST;
		param->ptype = type_is_array(agg->bound->result_type) ? TEXTOID :
			agg->bound->result_type;
	}
	ResetExprContext(judge->econtext);
	result = DatumGetBool(ExecEvalExprSwitchContext(node->test, judge->econtext, &isnull));
	if (isnull)
		result = false;
	if (bound->negated)
		result = !result;
	if (result && fresh)
		foreach(lc, bound->refs)
			if (list_nth_int(bound->truer, foreach_current_index(lc)) &&
				values[lfirst_int(lc)].fresh)
				*fresh = true;
	return result;
}

static bool
judge_node(Judge *judge, RuleProgram *program, NodeProgram *node,
		   AggregateValue *values, bool *fresh)
{
	bool		result = false;

	if (node->bound->kind == BOUND_TEST)
		return judge_test(judge, program, node, values, fresh);
	if (node->bound->kind == BOUND_AND)
	{
		bool		kid_fresh = false;

		for (int i = 0; i < node->nkids; i++)
			if (!judge_node(judge, program, node->kids[i], values,
							fresh ? &kid_fresh : NULL))
				return false;
		if (kid_fresh)
			*fresh = true;
		return true;
	}
	/* a true child is enough, unless a fresh one is still looked for */
	for (int i = 0; i < node->nkids; i++)
	{
		if (judge_node(judge, program, node->kids[i], values, fresh))
			result = true;
		if (result && (fresh == NULL || *fresh))
			break;
	}
	return result;
}

bool
ls_judge_program(Judge *judge, RuleProgram *program, bool *fresh)
{
	AggregateValue *values;

	Assert(judge->contact != NULL);
	values = MemoryContextAllocZero(judge->contact_mcxt,
									sizeof(AggregateValue) * Max(program->naggregates, 1));
	judge->econtext->ecxt_innertuple = judge->contact;
	judge->econtext->ecxt_param_list_info = program->params;
	program->params->params[0].value = TimestampTzGetDatum(judge->clock);
	program->params->params[0].isnull = false;
	program->params->params[0].pflags = PARAM_FLAG_CONST;
	if (fresh)
		*fresh = false;
	return judge_node(judge, program, program->root, values, fresh);
}

void
ls_judge_end(Judge *judge)
{
	ListCell   *lc;

	foreach(lc, judge->scans)
		ls_keyscan_close(((JudgeScan *) lfirst(lc))->scan);
	ls_keyscan_close(judge->contact_scan);
	MemoryContextDelete(judge->mcxt);
}
