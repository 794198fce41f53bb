/*-------------------------------------------------------------------------
 *
 * rule_program.h
 *	  A bound rule made ready to run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_PROGRAM_H
#define LS_RULE_PROGRAM_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "nodes/params.h"
#include "utils/rel.h"

#include "rule_bind.h"

/* One kind as an aggregate of a program reads it. */
typedef struct SourceProgram
{
	ActivitySource *source;
	ExprState  *where;			/* NULL: every row */
	ExprState  *filter;			/* see BoundSource */
	Expr	   *filter_expr;	/* what it was compiled from */
	ExprState  *value;
	int			nkeys;			/* primary key, for first and last */
	AttrNumber *key_attnos;
	FmgrInfo   *key_cmps;
	Oid		   *key_collations;
} SourceProgram;

typedef struct AggregateProgram
{
	BoundAggregate *bound;
	SourceProgram *sources;
	int			nsources;
	int16		value_len;
	bool		value_byval;
	FmgrInfo	value_cmp;		/* min, max, count(distinct) */
} AggregateProgram;

typedef struct NodeProgram
{
	BoundNode  *bound;
	int			nkids;
	struct NodeProgram **kids;
	ExprState  *test;
} NodeProgram;

/* Lives in the memory context it was made in. */
typedef struct RuleProgram
{
	MemoryContext mcxt;
	BoundRule  *bound;
	NodeProgram *root;
	AggregateProgram *aggregates;
	int			naggregates;
	ParamListInfo params;		/* the clock and the aggregates of a test */
	ExprContext *row_econtext;	/* for ls_program_concerns */
} RuleProgram;

/*
 * Make a program.  Takes AccessShareLock on the tables for the while, may
 * raise errors.  Everything is allocated in the current memory context.
 */
extern RuleProgram *ls_program_make(BoundRule *bound);

/* Contact columns read (offset by FirstLowInvalidHeapAttributeNumber). */
extern Bitmapset *ls_program_contact_attnos(const RuleProgram *program);
extern bool ls_program_is_foreign(const RuleProgram *program);

/*
 * Could this row of a kind, by itself, count in some activity condition?
 * Looks only at conditions on the row itself, never at the contact and never
 * at the clock, so it may be asked before the contact is locked.  slot holds
 * the row in the layout of the attached table.
 */
extern bool ls_program_concerns(RuleProgram *program, int32 source_id,
								TupleTableSlot *slot);

#endif							/* LS_RULE_PROGRAM_H */
