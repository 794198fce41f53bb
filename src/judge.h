/*-------------------------------------------------------------------------
 *
 * judge.h
 *	  One reading of the database, as those see it who judge by it.
 *
 * Belongs to rule_eval.c, which judges at one instant, judge_aggregate.c beside
 * it, and rule_timeline.c, which judges at all; everybody else includes
 * rule_eval.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_JUDGE_H
#define LS_JUDGE_H

#include "executor/executor.h"

#include "own_rows.h"
#include "row_set.h"
#include "rule_eval.h"

struct shared_hash;

/* May this row be looked at? */
typedef bool (*RowFilter) (void *arg, ActivitySource *source, Oid relid,
						   const ItemPointerData *tid);

struct Judge
{
	ContactSource *contacts;
	Snapshot	snapshot;
	RowReading	reading;
	UnseenChanges unseen;		/* the reading's */
	Oid			fresh_relid;	/* new rows are in this table */
	KeyScan    *contact_scan;
	TupleTableSlot *contact;	/* row of the contact stepped to, or NULL */
	List	   *scans;			/* of JudgeScan * */
	List	   *owns;			/* of JudgeOwn * */
	struct shared_hash *by_address;	/* NULL until programs share something, */
	struct shared_hash *by_digest;	/* as this one */
	RuleProgram *program;		/* being judged */
	ExprContext *econtext;
	MemoryContext mcxt;			/* the judge's own */
	MemoryContext contact_mcxt; /* reset with each contact */
	RowFilter	filter;			/* asked by rule_timeline.c, before anything is
								 * done with a row; NULL: of none */
	void	   *filter_arg;
	MemoryContext timeline_mcxt;	/* reset with each timeline; NULL: not yet */
};

/* Get ready to run pieces of a program over the contact stepped to. */
extern void ls_judge_take_program(Judge *judge, RuleProgram *program);

/* The rows of a source, for whoever reads them all by himself. */
extern KeyScan *ls_judge_rows(Judge *judge, ActivitySource *source);

/* The same of a source whose rows stand in no table of activities. */
extern OwnRows *ls_judge_own_rows(Judge *judge, ActivitySource *source);

/* An aggregate's value for the contact stepped to. */
typedef struct AggregateValue
{
	bool		known;
	bool		isnull;
	bool		fresh;			/* a row of the running statement counts */
	Datum		value;
} AggregateValue;

/* judge_aggregate.c: find it out, of any aggregate but exists and count. */
extern void ls_judge_aggregate_rows(Judge *judge, AggregateProgram *agg,
									AggregateValue *result);

/* Must a new row be looked for among a source's? */
static inline bool
ls_judge_needs_fresh(Judge *judge, AggregateProgram *agg, SourceProgram *source)
{
	return agg->wants_fresh && source->source->relid == judge->fresh_relid &&
		!ls_source_is_own(source->source);
}

/* Does a row pass the where? */
static inline bool
ls_judge_passes(Judge *judge, ExprState *where, TupleTableSlot *row)
{
	bool		isnull;
	bool		result;

	judge->econtext->ecxt_outertuple = row;
	if (where == NULL)
		return true;
	result = DatumGetBool(ExecEvalExprSwitchContext(where, judge->econtext, &isnull));
	return result && !isnull;
}

/* The i-th aggregate of a test is worth this. */
extern void ls_judge_set_param(RuleProgram *program, BoundNode *bound, int i,
							   Datum value, bool isnull);

/* The test's answer, with the values of its aggregates set. */
extern bool ls_judge_eval_test(Judge *judge, RuleProgram *program, NodeProgram *node);

/*
 * The order of first and last of two rows of one source: negative if a is
 * before b.
 */
typedef struct RowOrder
{
	TimestampTz at;
	Datum	   *key;			/* of source->nkeys columns */
	Oid			tableoid;
	ItemPointerData tid;
} RowOrder;

extern int	ls_judge_row_cmp(const SourceProgram *source, const RowOrder *a, const RowOrder *b);

#endif							/* LS_JUDGE_H */
