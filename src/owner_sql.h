/*-------------------------------------------------------------------------
 *
 * owner_sql.h
 *	  Statements on the lead tables, run as their owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_OWNER_SQL_H
#define LS_OWNER_SQL_H

#include "catalog.h"

/* The statements; what they take and return stands beside their text. */
typedef enum OwnerStatement
{
	OWNER_MAKE_LEADS,
	OWNER_FIND_DELETED,
	OWNER_NOTE_CREATED,
	OWNER_NOTE_MATCHED,
	OWNER_MAKE_MATCHES,
	OWNER_RENEW_MATCHES,
	OWNER_REOPEN_LEADS,
	OWNER_NOTE_REOPENED,
	OWNER_FIND_LEAD,
	OWNER_MARK_MANUAL,
	OWNER_LEADS_OF_STREAM,
	OWNER_CLEAR_MATCHES,
	OWNER_NOTE_CLEARED,
	OWNER_CLEAR_LEADS,
	OWNER_FORGET_MATCHES,
	OWNER_FORGET_STREAM,
	OWNER_NOTE_DELETED,
	OWNER_FIND_NEW,
	OWNER_FIND_NOBODYS,
	OWNER_COUNT_OPEN,
	OWNER_ASSIGN_LEADS,
	OWNER_NOTE_ASSIGNED,
	OWNER_MAKE_TURN,
	OWNER_WRITE_TURN,
	OWNER_REMOVE_DUE,
	OWNER_SET_DUE,
	OWNER_AWAIT,
	OWNER_UNDO_SEEDS,
	OWNER_EMPTY_DUE,
	OWNER_DROP_SEEDS,
	OWNER_KEEP_SCORES,
	OWNER_REMOVE_SCORES,
	OWNER_AWAIT_SCORES,
	OWNER_READ_HORIZON,
	OWNER_OLDEST_RUNNING,
	OWNER_MOVE_HORIZON,
	OWNER_STATEMENTS
} OwnerStatement;

typedef struct OwnerState
{
	Oid			userid;
	int			sec_context;
	int			nestlevel;
} OwnerState;

/*
 * Connect to SPI and become the owner of the lead tables, with a safe
 * search_path; false, and nothing done, where there are no lead tables.
 * After an error the transaction sets everything back.
 */
extern bool ls_owner_begin(OwnerState *state);
extern void ls_owner_end(OwnerState *state);

/* The same for the owner of any table. */
extern bool ls_owner_begin_of(Oid relid, OwnerState *state);

/*
 * Run a statement with everything that is committed in sight, whatever the
 * isolation level.  Returns the number of rows; what came back is in
 * SPI_tuptable.  contacts may be NULL where no argument is a key.
 */
extern uint64 ls_owner_run(OwnerStatement statement, ContactSource *contacts,
						   Datum *values, const char *nulls);

/*
 * The same of any statement, for those that are run once in a while: between
 * begin and end; or as the owner of one of leadstream's tables, where nothing
 * comes back but how many rows.
 */
extern uint64 ls_owner_run_text(const char *text, int nargs, Oid *types,
								Datum *values, const char *nulls);
extern uint64 ls_owner_run_on(const char *table, const char *text, int nargs,
							  Oid *types, Datum *values, const char *nulls);

/* The role that acts, as a text datum: for lead_event.actor. */
extern Datum ls_owner_actor(void);

/* A one-dimensional array; nulls may be NULL. */
extern Datum ls_owner_array(Datum *values, bool *nulls, int count,
							Oid elemtype);

#endif							/* LS_OWNER_SQL_H */
