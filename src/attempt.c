/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Doing what may fail, without failing.
 *
 * Rules become wrong when tables change, and whoever inserts a row must not
 * pay for it.  So they are bound, and those over types from elsewhere judged,
 * as PL/pgSQL runs the body of a block with an exception clause: in a
 * subtransaction that is rolled back when an error is caught.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "attempt.h"
#include "compat.h"

bool
ls_error_is_fatal(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* rollback */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* resources */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* intervention */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* system error */
			return true;
		default:
			return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
				error->elevel > ERROR;
	}
}

ErrorData *
ls_attempt(void (*body) (void *arg), void *arg)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		body(arg);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(oldcontext);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
		if (ls_error_is_fatal(error))
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

typedef struct AsUser
{
	Oid			userid;
	void		(*body) (void *arg);
	void	   *arg;
} AsUser;

/* Errors set user and settings back with the subtransaction. */
static void
call_as_user(void *arg)
{
	AsUser	   *as = arg;
	int			nestlevel = NewGUCNestLevel();
	Oid			userid;
	int			sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(as->userid, sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	ls_restrict_search_path();
	as->body(as->arg);
	AtEOXact_GUC(true, nestlevel);
	SetUserIdAndSecContext(userid, sec_context);
}

ErrorData *
ls_attempt_as(Oid userid, void (*body) (void *arg), void *arg)
{
	AsUser		as = {userid, body, arg};

	return ls_attempt(call_as_user, &as);
}
