/*-------------------------------------------------------------------------
 *
 * new_leads.c
 *	  What is done with the leads of a transaction when it ends.
 *
 * Teams may hand out their new leads (hand_out.c), and may tell those who
 * listen.  Both wait for the end of the transaction: all that is kept until
 * then is which teams it is about, in TopTransactionContext.  The leads are
 * found by lead.made_by, so those of savepoints that were rolled back are not
 * there, nor those that were deleted again.
 *
 * Listeners get one notification for each team and transaction, on a channel
 * named by the id of the team; it lists the ids of the leads, as far as a
 * payload has room.  It is a hint to look, no more, for notifications are lost
 * on whoever is not connected; a transaction that is prepared could not be if
 * it had sent one, so it sends none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "hand_out.h"
#include "new_leads.h"
#include "owner_sql.h"

/* PostgreSQL wants payloads shorter than 8,000 bytes. */
#define MAX_PAYLOAD	7999

static Bitmapset *to_hand_out = NULL;
static Bitmapset *to_notify = NULL;

int
ls_new_leads_find(int32 team_id, int64 behind, bool only_nobodys, Datum *leads)
{
	OwnerState	owner;
	Datum		values[4];
	int			n;
	bool		isnull;

	if (!ls_owner_begin(&owner))
		return 0;
	values[0] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[1] = Int32GetDatum(team_id);
	values[2] = Int64GetDatum(behind);
	values[3] = BoolGetDatum(only_nobodys);
	n = ls_owner_run(OWNER_FIND_NEW, NULL, values, NULL);
	for (int i = 0; i < n; i++)
		leads[i] = datumCopy(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull),
							 FLOAT8PASSBYVAL, sizeof(int64));
	ls_owner_end(&owner);
	return n;
}

/* Tell the listeners of a team; without ids where there are too many. */
static void
notify_team(int32 team_id)
{
	Datum	   *leads = palloc(sizeof(Datum) * NEW_LEADS_CHUNK);
	int			n = ls_new_leads_find(team_id, 0, false, leads);
	StringInfoData payload;

	if (n == 0)
		return;
	initStringInfo(&payload);
	for (int i = 0; i < n && payload.len <= MAX_PAYLOAD; i++)
		appendStringInfo(&payload, "%s" INT64_FORMAT, i > 0 ? "," : "", DatumGetInt64(leads[i]));
	if (n == NEW_LEADS_CHUNK || payload.len > MAX_PAYLOAD)
		resetStringInfo(&payload);
	Async_Notify(psprintf("leadstream_team_%d", team_id), payload.data);
}

/* Do something for each of the teams, under a snapshot. */
static void
for_each_team(Bitmapset **teams, void (*act) (int32 team_id))
{
	Bitmapset  *now = *teams;
	MemoryContext context;
	MemoryContext oldcontext;
	int			team_id = -1;

	*teams = NULL;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream new leads",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	PushActiveSnapshot(GetTransactionSnapshot());
	while ((team_id = bms_next_member(now, team_id)) >= 0)
	{
		act(team_id);
		CommandCounterIncrement();
		MemoryContextReset(context);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

void
ls_new_leads_finish(bool is_prepare)
{
	bool		was_read_only = XactReadOnly;

	/* what the transaction has forbidden itself since is not about us */
	XactReadOnly = false;
	while (to_hand_out)
	{
		for_each_team(&to_hand_out, ls_hand_out);
		/* triggers that the lead tables may have, deferred to a time that is over */
		AfterTriggerFireDeferred();
	}
	XactReadOnly = was_read_only;
	if (to_notify && !is_prepare)
		for_each_team(&to_notify, notify_team);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			ls_new_leads_finish(event == XACT_EVENT_PRE_PREPARE);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			to_hand_out = to_notify = NULL;
			break;
		default:
			break;
	}
}

void
ls_new_leads_made(const Bitmapset *hand_out, const Bitmapset *notify)
{
	static bool is_registered = false;
	MemoryContext oldcontext;

	if (hand_out == NULL && notify == NULL)
		return;
	if (!is_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		is_registered = true;
	}
	oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	to_hand_out = bms_add_members(to_hand_out, hand_out);
	to_notify = bms_add_members(to_notify, notify);
	MemoryContextSwitchTo(oldcontext);
}
