/*-------------------------------------------------------------------------
 *
 * rule_index.h
 *	  The streams of a kind that a row may concern, found without asking each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_INDEX_H
#define LS_RULE_INDEX_H

#include "rule_program.h"

typedef struct RuleIndex RuleIndex;

/*
 * Make an empty index over the rows of a kind, in the current memory context,
 * where it stays.
 */
extern RuleIndex *ls_index_make(ActivitySource *source);

/*
 * Enter a stream, known by a number, under what its program asks of a row of
 * the kind.  With no program, or a foreign one, every row is its business.
 */
extern void ls_index_add(RuleIndex *index, int32 stream, RuleProgram *program);

/* Make it ready to be probed; nothing can be entered after this. */
extern void ls_index_finish(RuleIndex *index);

/*
 * The streams that a row may concern: all that it does, each at least once,
 * and few others.  slot is in the layout of the attached table.  The array is
 * the index's and good until the next call.
 */
extern int	ls_index_probe(RuleIndex *index, TupleTableSlot *slot, const int32 **streams);

#endif							/* LS_RULE_INDEX_H */
