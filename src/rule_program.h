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

/*
 * A piece of a rule: checked and planned when the program is made, compiled
 * when it is first run (ls_program_state), for most of them never are.
 */
typedef struct Piece
{
	Expr	   *expr;			/* NULL: there is no such piece */
	ExprState  *state;			/* NULL until then */
} Piece;

/* One kind as an aggregate of a program reads it. */
typedef struct SourceProgram
{
	ActivitySource *source;
	Piece		where;			/* none: every row */
	Expr	   *filter_expr;	/* see BoundSource; NULL: there is none */
	Piece		filter;			/* the same, unless it is where itself */
	Piece		value;
	Piece		where_timeline; /* none: where has no clock in it */
	uint64		digest;			/* of what it reads: to find the same in
								 * another program, never to be sure of it */
	int			nkeys;			/* primary key, for first and last */
	AttrNumber *key_attnos;
	FmgrInfo   *key_cmps;
	Oid		   *key_collations;
} SourceProgram;

struct NodeProgram;

typedef struct AggregateProgram
{
	BoundAggregate *bound;
	SourceProgram *sources;
	int			nsources;
	struct NodeProgram **items; /* of a score, beside bound->items */
	int16		value_len;
	bool		value_byval;
	FmgrInfo	value_cmp;		/* min, max, count(distinct) */
	bool		wants_fresh;	/* new rows make some test of it truer */
} AggregateProgram;

typedef struct NodeProgram
{
	BoundNode  *bound;
	int			nkids;
	struct NodeProgram **kids;
	Piece		test;
	Piece		timeline;		/* of a test with the clock in it */
	bool		is_rising;		/* of one aggregate, that less of it never
								 * makes the test truer */
	bool		by_limit;		/* of a count, that it can be worth limiting
								 * before any row is looked at; */
	bool		knows_none;		/* then, once asked, */
	bool		says_none;		/* what it says if there are none */
	Expr	   *test_expr;		/* the test's, if it has neither aggregates nor
								 * the clock in it; without its negation */
} NodeProgram;

/*
 * Do two programs' sources give the same rows, and their aggregates the same
 * values, whatever the contact?
 */
extern bool ls_program_same_rows(const SourceProgram *a, const SourceProgram *b);
extern bool ls_program_same_value(const AggregateProgram *a, const AggregateProgram *b);

/* Lives in the memory context it was made in. */
typedef struct RuleProgram
{
	MemoryContext mcxt;
	Oid			userid;			/* in whose name its functions are called */
	BoundRule  *bound;			/* the program's own copy: without the texts,
								 * used_columns and the origin of tests */
	NodeProgram *root;
	AggregateProgram *aggregates;
	int			naggregates;
	ParamListInfo params;		/* the clock and the aggregates of a test */
	bool		turns_by_time;	/* see rule_turns.h */
	bool		has_times;		/* does it read rows that have a time? */
	Piece	   *fields;			/* as bound->fields was, if it was bound apart */
} RuleProgram;

/*
 * Make a program.  Takes AccessShareLock on the tables for the while, may
 * raise errors.  Everything is allocated in the current memory context; of
 * what bound points to only the sources must live on.
 */
extern RuleProgram *ls_program_make(const BoundRule *bound);

/* Bind a rule and make a program, leaving nothing else behind. */
extern RuleProgram *ls_program_from_rule(const Rule *rule, ContactSource *contacts,
										 List *activities);

/* An expression of the program's made ready to run, in the current memory context. */
extern ExprState *ls_program_compile_expr(const RuleProgram *program, Expr *expr);

/* A piece of the program, ready to run. */
extern ExprState *ls_program_compile(RuleProgram *program, Piece *piece);

static inline ExprState *
ls_program_state(RuleProgram *program, Piece *piece)
{
	return piece->state ? piece->state : ls_program_compile(program, piece);
}

/* Contact columns read (offset by FirstLowInvalidHeapAttributeNumber). */
extern Bitmapset *ls_program_contact_attnos(const RuleProgram *program);
extern bool ls_program_is_foreign(const RuleProgram *program);

#endif							/* LS_RULE_PROGRAM_H */
