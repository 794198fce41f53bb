/*-------------------------------------------------------------------------
 *
 * stages.h
 *	  The stages of an account.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STAGES_H
#define LS_STAGES_H

/* Attribute numbers of leadstream.stage; appended to, never moved. */
#define STAGE_ACCOUNT		1
#define STAGE_NAME			2
#define STAGE_POSITION		3
#define STAGE_IS_CLOSED		4

/* The stage in which an account's leads begin, as a text datum. */
extern Datum ls_stage_first(const char *account);

/* Does a stage end the work?  False where there is no such stage. */
extern bool ls_stage_is_closed(const char *account, const char *stage);

#endif							/* LS_STAGES_H */
