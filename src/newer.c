/*-------------------------------------------------------------------------
 *
 * newer.c
 *	  The transition function of the aggregate _latest.
 *
 * It is strict, so nulls never come here: the state is the last value that was
 * not null.  The server copies what it returns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(leadstream_newer);

/* _newer(old, new) */
Datum
leadstream_newer(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}
