/*-------------------------------------------------------------------------
 *
 * horizon.c
 *	  Up to where all who write know what was changed.
 *
 * A statement goes on with the streams and leads of its beginning, so a tick
 * that is to look at everything on behalf of a change has to come after those
 * who were writing at the time of it.  Most ticks find nobody, or wait a moment.
 * Where there is always somebody that never comes true, and so ticks remember
 * whom they have met:
 *
 * One of them notes, in the only row of leadstream.horizon, the transaction id
 * below which everything had ended ("seen"), and after that who writes
 * ("awaited").  Those who begin later know what was committed below it, for a
 * statement has the lock of its table before it reads streams.  So once those
 * awaited have ended, "seen" is what everybody knows ("known"), and the next tick
 * that needs more notes a new one.  A change has to wait for two such rounds at
 * most, each as long as the longest transaction in it.
 *
 * Who is awaited is named by his virtual transaction id, for he may have no other
 * yet.  It goes on to stand for a prepared transaction, but not past a restart of
 * the server; so those that were prepared before one are waited for in any case:
 * no more of them will come.  In another cluster none of this means anything, so
 * it is not part of a dump.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog.h"
#include "horizon.h"
#include "owner_sql.h"
#include "writers.h"

/* The row, in the current memory context; all is known up to 0 where there is none. */
typedef struct Horizon
{
	uint64		known;
	uint64		seen;
	char	   *awaited;
} Horizon;

static bool
read_row(Horizon *horizon)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerState	owner;

	memset(horizon, 0, sizeof(Horizon));
	horizon->awaited = "";
	if (!ls_owner_begin_of(ls_catalog_relid("horizon"), &owner))
		return false;
	if (ls_owner_run(OWNER_READ_HORIZON, NULL, NULL, NULL) > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext oldcontext = MemoryContextSwitchTo(caller);
		bool		isnull;

		horizon->known = DatumGetUInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		horizon->seen = DatumGetUInt64(SPI_getbinval(tuple, desc, 2, &isnull));
		horizon->awaited = SPI_getvalue(tuple, desc, 3);
		MemoryContextSwitchTo(oldcontext);
	}
	ls_owner_end(&owner);
	return true;
}

/* The tables whose writers streams, leads and scores matter to. */
static List *
written_tables(void)
{
	ContactSource *contacts = ls_catalog_contacts();
	List	   *relids = NIL;
	ListCell   *lc;

	if (contacts)
		relids = lappend_oid(relids, contacts->relid);
	foreach(lc, ls_catalog_activities())
	{
		ActivitySource *source = lfirst(lc);

		if (!ls_source_is_own(source))
			relids = list_append_unique_oid(relids, source->relid);
	}
	/* ticks, which keep scores */
	if (OidIsValid(ls_catalog_relid("score")))
		relids = lappend_oid(relids, ls_catalog_relid("score"));
	return relids;
}

uint64
ls_horizon(void)
{
	Horizon		horizon;

	if (!read_row(&horizon))
		return 0;
	return ls_writers_have_ended(written_tables(), horizon.awaited) ?
		horizon.seen : horizon.known;
}

void
ls_horizon_move(void)
{
	Horizon		horizon;
	OwnerState	owner;
	Datum		values[3];
	bool		isnull;

	if (!OidIsValid(ls_catalog_relid("horizon")) || !ls_catalog_turn("horizon", 0, false) ||
		!read_row(&horizon) ||
		!ls_writers_have_ended(written_tables(), horizon.awaited) ||
		!ls_owner_begin_of(ls_catalog_relid("horizon"), &owner))
		return;
	/* in this order: who comes in between is awaited without need */
	ls_owner_run(OWNER_OLDEST_RUNNING, NULL, NULL, NULL);
	values[0] = UInt64GetDatum(horizon.seen);
	values[1] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	values[2] = CStringGetTextDatum(ls_writers_names(written_tables()));
	ls_owner_run(OWNER_MOVE_HORIZON, NULL, values, NULL);
	ls_owner_end(&owner);
}

uint64
ls_horizon_widen(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint64		epoch = EpochFromFullTransactionId(next);

	/* frozen: before all */
	if (!TransactionIdIsNormal(xid))
		return 0;
	if (xid >= XidFromFullTransactionId(next))
		epoch--;
	return epoch << 32 | xid;
}
