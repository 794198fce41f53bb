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
 * What several programs ask of a contact is found out once: rows that are only
 * counted are kept (row_set.c) and counted for each window and number, and the
 * values of other aggregates are kept as they are.  Two conditions are the same
 * if their planned expressions are.  Nothing is shared beyond the Judge, whose
 * programs must all live until its end.
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
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "instant.h"
#include "judge.h"
#include "key_scan.h"
#include "own_rows.h"
#include "read_lock.h"
#include "timeline.h"
#include "value.h"

/* A scan kept open by the Judge. */
typedef struct JudgeScan
{
	Oid			relid;
	AttrNumber	contact_attno;
	AttrNumber	time_attno;
	RowScan    *rows;
} JudgeScan;

/* The same of rows that stand in no table of activities. */
typedef struct JudgeOwn
{
	ActivitySource *source;
	OwnRows    *rows;
} JudgeOwn;

/* What the same source or aggregate of several programs gives. */
typedef struct Shared
{
	struct Shared *next;		/* of the same digest */
	SourceProgram *source;		/* of the program that came first */
	RuleProgram *program;
	RowSet	   *rows;			/* of a source that is counted */
	AggregateProgram *agg;		/* of any other: the value, */
	uint64		contact_no;		/* if it is this contact's */
	AggregateValue value;
} Shared;

/* Shared by the address of who asks, and by digest. */
typedef struct SharedEntry
{
	uint64		key;
	Shared	   *shared;
	char		status;
} SharedEntry;

#define SH_PREFIX		shared
#define SH_ELEMENT_TYPE SharedEntry
#define SH_KEY_TYPE		uint64
#define SH_KEY			key
#define SH_HASH_KEY(tb, key) ((uint32) (((key) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

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
	judge->fresh_relid = stmt_cid == InvalidCommandId ? InvalidOid : fresh_relid;
	judge->mcxt = mcxt;
	judge->contact_mcxt = AllocSetContextCreate(mcxt, "leadstream contact",
												ALLOCSET_DEFAULT_SIZES);
	judge->econtext = CreateStandaloneExprContext();
	judge->reading.clock = clock;
	judge->reading.tz = contacts->tz;
	judge->reading.stmt_cid = stmt_cid;
	judge->reading.unseen = &judge->unseen;
	judge->reading.snapshot = snapshot;
	judge->reading.key_type = contacts->key_base;
	judge->reading.econtext = judge->econtext;
	judge->reading.mcxt = judge->contact_mcxt;
	ls_lock_to_read(contacts->relid);
	judge->contact_scan = ls_keyscan_open_locked(contacts->relid, contacts->key_attno,
												 contacts->key_base, InvalidAttrNumber,
												 snapshot);
	MemoryContextSwitchTo(oldcxt);
	return judge;
}

void
ls_judge_set_changes(Judge *judge, RowChanges *changes)
{
	judge->reading.changes = changes;
}

void
ls_judge_set_key_before(Judge *judge, Datum key)
{
	judge->reading.key_before = key;
}

bool
ls_judge_contact(Judge *judge, Datum key)
{
	return ls_judge_contact_at(judge, key, NULL);
}

bool
ls_judge_contact_at(Judge *judge, Datum key, const RowPlace *place)
{
	MemoryContextReset(judge->contact_mcxt);
	judge->reading.key = judge->reading.key_before = key;
	judge->reading.contact_no++;
	judge->contact = place == NULL ? NULL :
		ls_keyscan_row_at(judge->contact_scan, place);
	if (judge->contact == NULL)
	{
		ls_keyscan_start(judge->contact_scan, key, NULL);
		judge->contact = ls_keyscan_next(judge->contact_scan, NULL, NULL);
	}
	return judge->contact != NULL;
}

Datum
ls_judge_key(Judge *judge)
{
	bool		isnull;

	return slot_getattr(judge->contact, judge->contacts->key_attno, &isnull);
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
	result = ls_cast_to_text(value,
						  TupleDescAttr(judge->contact->tts_tupleDescriptor,
										judge->contacts->account_attno - 1)->atttypid);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

static RowScan *
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
			return s->rows;
	}
	oldcxt = MemoryContextSwitchTo(judge->mcxt);
	s = palloc(sizeof(JudgeScan));
	s->relid = source->relid;
	s->contact_attno = source->contact_attno;
	s->time_attno = time_attno;
	ls_lock_to_read(source->relid);
	s->rows = ls_rowscan_make(ls_keyscan_open_locked(source->relid, source->contact_attno,
													 judge->contacts->key_base, time_attno,
													 judge->snapshot));
	judge->scans = lappend(judge->scans, s);
	MemoryContextSwitchTo(oldcxt);
	return s->rows;
}

KeyScan *
ls_judge_rows(Judge *judge, ActivitySource *source)
{
	return ls_rowscan_take(judge_scan(judge, source));
}

OwnRows *
ls_judge_own_rows(Judge *judge, ActivitySource *source)
{
	ListCell   *lc;
	JudgeOwn   *own;
	MemoryContext oldcxt;

	foreach(lc, judge->owns)
	{
		own = lfirst(lc);
		if (own->source->origin == source->origin &&
			own->source->contact_attno == source->contact_attno &&
			own->source->fields == source->fields)
			return own->rows;
	}
	oldcxt = MemoryContextSwitchTo(judge->mcxt);
	own = palloc(sizeof(JudgeOwn));
	own->source = source;
	own->rows = ls_ownrows_open(source, judge->contacts, judge->snapshot);
	judge->owns = lappend(judge->owns, own);
	MemoryContextSwitchTo(oldcxt);
	return own->rows;
}

/* ----------
 * What programs share.
 * ----------
 */

/* What this source (agg is NULL) or aggregate shares with those like it. */
static Shared *
judge_shared(Judge *judge, SourceProgram *source, AggregateProgram *agg)
{
	uint64		address = (uint64) (uintptr_t) (agg ? (void *) agg : (void *) source);
	SharedEntry *entry = NULL;
	Shared	   *shared;
	MemoryContext oldcxt;
	bool		found;

	if (judge->by_address == NULL)
	{
		judge->by_address = shared_create(judge->mcxt, 16, NULL);
		judge->by_digest = shared_create(judge->mcxt, 16, NULL);
	}
	entry = shared_lookup(judge->by_address, address);
	if (entry)
		return entry->shared;

	oldcxt = MemoryContextSwitchTo(judge->mcxt);
	entry = shared_insert(judge->by_digest, source->digest, &found);
	if (!found)
		entry->shared = NULL;
	for (shared = entry->shared; shared; shared = shared->next)
		if (agg ? shared->agg && ls_program_same_value(shared->agg, agg) :
			shared->rows && ls_program_same_rows(shared->source, source))
			break;
	if (shared == NULL)
	{
		shared = palloc0(sizeof(Shared));
		shared->source = source;
		shared->program = judge->program;
		shared->agg = agg;
		if (agg == NULL && !ls_source_is_own(source->source))
			shared->rows = ls_rowset_make(source->source,
										  judge_scan(judge, source->source),
										  source->source->relid == judge->fresh_relid);
		shared->next = entry->shared;
		entry->shared = shared;
	}
	shared_insert(judge->by_address, address, &found)->shared = shared;
	MemoryContextSwitchTo(oldcxt);
	return shared;
}

/* ----------
 * Aggregates.
 * ----------
 */

/* How many rows that stand in no table count now?  Goes no further than enough. */
static int64
count_own_rows(Judge *judge, SourceProgram *source, const RowQuestion *question)
{
	ActivitySource *activity = source->source;
	OwnRows    *rows = ls_judge_own_rows(judge, activity);
	ExprState  *where = source->where.expr == NULL ? NULL :
		ls_program_state(judge->program, &source->where);
	TupleTableSlot *row;
	ItemPointerData place;
	int64		count = 0;

	ls_ownrows_start(rows, judge->contact, judge->reading.key);
	while (count < question->enough && (row = ls_ownrows_next(rows, &place)) != NULL)
	{
		TimestampTz at;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(judge->econtext);
		if (activity->time_attno != InvalidAttrNumber &&
			(!ls_rowset_instant(activity, row, judge->contacts->tz, &at) ||
			 !ls_row_counts(at, question->older, question->within, judge->contacts->tz,
							judge->reading.clock)))
			continue;
		if (ls_judge_passes(judge, where, row))
			count++;
	}
	return count;
}

/* exists, count */
static void
count_rows(Judge *judge, AggregateProgram *agg, AggregateValue *result)
{
	BoundAggregate *bound = agg->bound;
	RowQuestion question = {.older = bound->older, .within = bound->within};
	int64		total = 0;

	for (int i = 0; i < agg->nsources; i++)
	{
		SourceProgram *source = &agg->sources[i];
		Shared	   *shared;
		ExprState  *where = NULL;
		int64		count;
		bool		fresh;

		question.need_fresh = ls_judge_needs_fresh(judge, agg, source) && !result->fresh;
		if (total >= bound->enough && !question.need_fresh)
			continue;
		question.enough = bound->enough == PG_INT64_MAX ? PG_INT64_MAX :
			Max(bound->enough - total, 0);
		if (ls_source_is_own(source->source))
		{
			total += count_own_rows(judge, source, &question);
			continue;
		}
		shared = judge_shared(judge, source, NULL);
		if (shared->source->where.expr)
			where = ls_program_state(shared->program, &shared->source->where);
		ls_rowset_count(shared->rows, &judge->reading, where, &question, &count, &fresh);
		total += count;
		if (question.need_fresh)
			result->fresh |= fresh;
	}
	result->value = Int64GetDatum(total);
	result->isnull = false;
}

static void
compute_aggregate(Judge *judge, AggregateProgram *agg, AggregateValue *result)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(judge->contact_mcxt);
	Shared	   *shared;

	result->known = true;
	result->fresh = false;
	if (agg->bound->func == RULE_AGG_EXISTS || agg->bound->func == RULE_AGG_COUNT)
		count_rows(judge, agg, result);
	else
	{
		shared = judge_shared(judge, &agg->sources[0], agg);
		if (shared->contact_no != judge->reading.contact_no)
		{
			ls_judge_aggregate_rows(judge, agg, result);
			shared->value = *result;
			shared->contact_no = judge->reading.contact_no;
		}
		else
			*result = shared->value;
	}
	MemoryContextSwitchTo(oldcxt);
}

void
ls_judge_set_param(RuleProgram *program, BoundNode *bound, int i, Datum value, bool isnull)
{
	BoundAggregate *agg = program->aggregates[list_nth_int(bound->refs, i)].bound;
	ParamExternData *param = &program->params->params[i + 1];

	param->value = value;
	param->isnull = isnull;
	param->pflags = PARAM_FLAG_CONST;
	param->ptype = type_is_array(agg->result_type) ? TEXTOID : agg->result_type;
}

bool
ls_judge_eval_test(Judge *judge, RuleProgram *program, NodeProgram *node)
{
	bool		isnull;
	bool		result;

	ResetExprContext(judge->econtext);
	result = DatumGetBool(ExecEvalExprSwitchContext(ls_program_state(program, &node->test),
													judge->econtext, &isnull));
	if (isnull)
		result = false;
	return node->bound->negated ? !result : result;
}

/*
 * Answer a test of a count by how many rows there can be at most, if it says
 * the same of that many and of none.  Where it is true and a new row is asked
 * for, rows have to be looked at.
 */
static bool
judge_by_limit(Judge *judge, RuleProgram *program, NodeProgram *node, bool *result)
{
	AggregateProgram *agg = &program->aggregates[linitial_int(node->bound->refs)];
	BoundAggregate *bound = agg->bound;
	RowQuestion question = {.older = bound->older, .within = bound->within};
	bool		need_fresh = false;
	int64		total = 0;

	for (int i = 0; i < agg->nsources; i++)
	{
		int64		limit;

		question.enough = bound->enough - total;
		if (!ls_rowscan_limit(judge_scan(judge, agg->sources[i].source),
							  &judge->reading, &question, &limit))
			return false;
		total += limit;
		need_fresh |= ls_judge_needs_fresh(judge, agg, &agg->sources[i]);
	}
	ls_judge_set_param(program, node->bound, 0, Int64GetDatum(total), false);
	*result = ls_judge_eval_test(judge, program, node);
	if (*result && need_fresh)
		return false;
	/* the number it is compared with is a constant */
	if (!node->knows_none)
	{
		ls_judge_set_param(program, node->bound, 0, Int64GetDatum(0), false);
		node->says_none = ls_judge_eval_test(judge, program, node);
		node->knows_none = true;
	}
	return total == 0 || node->says_none == *result;
}

static bool judge_node(Judge *judge, RuleProgram *program, NodeProgram *node,
					   AggregateValue *values, bool *fresh);

/* Would the test be true of this score? */
static bool
test_of_score(Judge *judge, RuleProgram *program, NodeProgram *node, int64 score)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(judge->contact_mcxt);
	Datum		value = NumericGetDatum(int64_to_numeric(score));

	MemoryContextSwitchTo(oldcxt);
	ls_judge_set_param(program, node->bound, 0, value, false);
	return ls_judge_eval_test(judge, program, node);
}

/*
 * Add up what the contact has earned.  A row of the running statement counts in
 * it that counts in a condition which is true and earns points.
 *
 * Most contacts are far below what a test asks for.  If less than the most that
 * is still to be had does no harm to it, we are done, and say false, once that
 * is not enough.
 */
static bool
compute_score(Judge *judge, RuleProgram *program, NodeProgram *node, AggregateProgram *agg,
			  AggregateValue *values, AggregateValue *result)
{
	MemoryContext oldcxt;
	int64		score = 0;
	int64		most = 0;
	ListCell   *lc;

	result->fresh = false;
	foreach(lc, agg->bound->items)
		most += Max(((BoundItem *) lfirst(lc))->points, 0);
	foreach(lc, agg->bound->items)
	{
		int64		points = ((BoundItem *) lfirst(lc))->points;
		bool		fresh = false;
		bool		is_true;

		is_true = judge_node(judge, program, agg->items[foreach_current_index(lc)], values,
							 agg->wants_fresh && points > 0 ? &fresh : NULL);
		if (is_true)
		{
			score += points;
			result->fresh |= fresh;
		}
		if (points == 0 || is_true == (points > 0))
			continue;
		most -= points > 0 ? points : -points;
		if (node->is_rising && !test_of_score(judge, program, node, most))
			return false;
	}
	oldcxt = MemoryContextSwitchTo(judge->contact_mcxt);
	result->value = NumericGetDatum(int64_to_numeric(score));
	MemoryContextSwitchTo(oldcxt);
	result->isnull = false;
	result->known = true;
	return true;
}

static bool
judge_test(Judge *judge, RuleProgram *program, NodeProgram *node,
		   AggregateValue *values, bool *fresh)
{
	BoundNode  *bound = node->bound;
	ListCell   *lc;
	bool		result;

	if (node->by_limit && !values[linitial_int(bound->refs)].known &&
		judge_by_limit(judge, program, node, &result))
		return result;
	foreach(lc, bound->refs)
	{
		AggregateProgram *agg = &program->aggregates[lfirst_int(lc)];
		AggregateValue *value = &values[lfirst_int(lc)];

		if (value->known)
			continue;
		if (agg->bound->func != RULE_AGG_SCORE)
			compute_aggregate(judge, agg, value);
		else if (!compute_score(judge, program, node, agg, values, value))
			return false;
	}
	/* when all are known, for to know a score takes other tests */
	foreach(lc, bound->refs)
	{
		AggregateValue *value = &values[lfirst_int(lc)];

		ls_judge_set_param(program, bound, foreach_current_index(lc), value->value, value->isnull);
	}
	result = ls_judge_eval_test(judge, program, node);
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

void
ls_judge_take_program(Judge *judge, RuleProgram *program)
{
	judge->program = program;
	judge->econtext->ecxt_innertuple = judge->contact;
	judge->econtext->ecxt_param_list_info = program->params;
	program->params->params[0].value = TimestampTzGetDatum(judge->reading.clock);
	program->params->params[0].isnull = false;
	program->params->params[0].pflags = PARAM_FLAG_CONST;
}

bool
ls_judge_program(Judge *judge, RuleProgram *program, bool *fresh)
{
	AggregateValue *values;

	Assert(judge->contact != NULL);
	values = MemoryContextAllocZero(judge->contact_mcxt,
									sizeof(AggregateValue) * Max(program->naggregates, 1));
	ls_judge_take_program(judge, program);
	if (fresh)
		*fresh = false;
	return judge_node(judge, program, program->root, values, fresh);
}

void
ls_judge_end(Judge *judge)
{
	ListCell   *lc;

	foreach(lc, judge->scans)
		ls_keyscan_close(ls_rowscan_keys(((JudgeScan *) lfirst(lc))->rows));
	foreach(lc, judge->owns)
		ls_ownrows_close(((JudgeOwn *) lfirst(lc))->rows);
	ls_keyscan_close(judge->contact_scan);
	MemoryContextDelete(judge->mcxt);
}
