/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  Doing what may fail, without failing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ATTEMPT_H
#define LS_ATTEMPT_H

/*
 * Call a body in an internal subtransaction, in the current memory context.
 * Returns the error that it raised, allocated there, or NULL; what it did to
 * the database is undone then.  Errors that must end the transaction pass.
 */
extern ErrorData *ls_attempt(void (*body) (void *arg), void *arg);

/*
 * The same in the name of a user, with a safe search_path, inside a security
 * restricted operation.  The body may change settings with GUC_ACTION_SAVE.
 */
extern ErrorData *ls_attempt_as(Oid userid, void (*body) (void *arg), void *arg);

/*
 * Must an error end the transaction, although it was raised by a rule?  Such
 * as cancel and deadlock, and what is short of memory or disk.
 */
extern bool ls_error_is_fatal(const ErrorData *error);

#endif							/* LS_ATTEMPT_H */
