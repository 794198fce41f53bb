/*-------------------------------------------------------------------------
 *
 * program_rows.h
 *	  Of which rows a program has to know.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_PROGRAM_ROWS_H
#define LS_PROGRAM_ROWS_H

#include "rule_program.h"

/*
 * Could this row of a kind, by itself, count in some activity condition?
 * Looks only at conditions on the row itself, never at the contact and never
 * at the clock, so it may be asked before the contact is locked.  slot holds
 * the row in the layout of the attached table.
 */
extern bool ls_program_concerns(RuleProgram *program, int32 source_id,
								TupleTableSlot *slot);

/*
 * Do two versions of a row of a kind, which have the same contact and time,
 * differ in anything that the program reads?
 */
extern bool ls_program_sees_change(const RuleProgram *program, int32 source_id,
								   TupleTableSlot *a, TupleTableSlot *b);

/*
 * Is the rule false of every contact none of whose rows passes the filter of
 * an aggregate, whatever its columns and the clock are?  False also where
 * nobody knows.
 */
extern bool ls_program_needs_rows(const RuleProgram *program);

/* Can one more row of any kind never make the rule false, at no instant? */
extern bool ls_program_rises(const RuleProgram *program);

#endif							/* LS_PROGRAM_ROWS_H */
