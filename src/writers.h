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

#endif							/* LS_WRITERS_H */
