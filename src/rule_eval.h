/*-------------------------------------------------------------------------
 *
 * rule_eval.h
 *	  Judging a bound rule at one instant: is it true of this contact now?
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_EVAL_H
#define LS_RULE_EVAL_H

#include "utils/snapshot.h"

#include "key_scan.h"
#include "rule_program.h"

/*
 * One reading of the database, for any number of contacts and programs: one
 * snapshot, one clock.  stmt_cid is the command whose rows in the table
 * fresh_relid are the new ones (InvalidCommandId: none).  Opens relations by
 * need and keeps them open; everything is given back by ls_judge_end (or by
 * transaction or subtransaction abort through the resource owner).  Make it
 * in, and end it in, the same memory context and resource owner.
 */
typedef struct Judge Judge;

extern Judge *ls_judge_begin(ContactSource *contacts, Snapshot snapshot,
							 TimestampTz clock, CommandId stmt_cid,
							 Oid fresh_relid);

/*
 * Of the new ones, some are versions of older rows (row_change.h), or are not to
 * be looked at.  NULL: all are new.
 */
struct RowChanges;
extern void ls_judge_set_changes(Judge *judge, struct RowChanges *changes);

/* Step to a contact; false if no such contact is visible. */
extern bool ls_judge_contact(Judge *judge, Datum key);

/*
 * The same for a contact with a row in this place, where it was locked: found
 * without an index, if the snapshot sees that version.
 */
extern bool ls_judge_contact_at(Judge *judge, Datum key, const RowPlace *place);

/* The contact stepped to had another key before stmt_cid.  Until the next step. */
extern void ls_judge_set_key_before(Judge *judge, Datum key);

/*
 * The key of the contact stepped to as its own row has it: of a type like
 * citext equal keys need not look alike.  Good until the next step.
 */
extern Datum ls_judge_key(Judge *judge);

/* The account of the contact stepped to, as text ("" without accounts). */
extern const char *ls_judge_account(Judge *judge);

/*
 * Is the rule true of the contact?  *fresh (may be NULL) tells whether a row
 * of the new ones counts now in an activity condition in force;
 * meaningful only when the result is true.
 */
extern bool ls_judge_program(Judge *judge, RuleProgram *program, bool *fresh);

extern void ls_judge_end(Judge *judge);

#endif							/* LS_RULE_EVAL_H */
