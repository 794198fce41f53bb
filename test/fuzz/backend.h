/*-------------------------------------------------------------------------
 *
 * backend.h
 *	  How fuzz_rule.c runs a function in the backend of backend.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_BACKEND_H
#define FUZZ_BACKEND_H

extern int	fuzz_encoding;		/* of the server */
extern int	fuzz_error;			/* SQLSTATE of the last error, or 0 */
extern uint64 fuzz_allocations; /* made in the last fuzz_try */
extern uint64 fuzz_fail_at;		/* which one fails in the next fuzz_try, or 0 */

extern bool fuzz_try(void (*function) (void *), void *arg);
extern void fuzz_reset(void);

#endif							/* FUZZ_BACKEND_H */
