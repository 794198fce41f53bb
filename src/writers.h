/*-------------------------------------------------------------------------
 *
 * writers.h
 *	  Waiting for the transactions that are writing a table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_WRITERS_H
#define LS_WRITERS_H

#include "nodes/pg_list.h"

/*
 * Wait until every transaction that now holds a writer's lock on one of the
 * tables, on a partition or child of one, or on leadstream.lead_match, has
 * ended.  New writers are not held up and not waited for, nor is our own
 * transaction.  Says in a notice whom it waits for; can be cancelled, and
 * respects lock_timeout.
 */
extern void ls_writers_wait(List *relids);

/*
 * Have those writers of the tables, but of lead_match, who are there now ended
 * before our patience, in milliseconds, is at an end?  Looks again and again
 * instead of waiting: who waits for nobody is in nobody's deadlock.
 */
extern bool ls_writers_gone(List *relids, int *patience);

/*
 * The virtual transaction ids of those who write the tables now, palloc'd, and
 * whether they, and all whom a restart has left prepared, have ended since.
 */
extern char *ls_writers_names(List *relids);
extern bool ls_writers_have_ended(List *relids, const char *names);

/* Let a moment pass; false if there is no patience left. */
extern bool ls_writers_be_patient(int *patience);

#endif							/* LS_WRITERS_H */
