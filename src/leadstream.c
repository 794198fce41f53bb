/*-------------------------------------------------------------------------
 *
 * leadstream.c
 *	  What the server calls when it loads the library.
 *
 * Loading touches no catalog, for it may happen in a parallel worker or in
 * the postmaster: caches and callbacks come into being with their first use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "guc.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	ls_guc_define();
}
