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
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "hand_out.h"
#include "new_leads.h"
#include "owner_sql.h"

/* PostgreSQL wants payloads shorter than 8,000 bytes. */
#define MAX_PAYLOAD	7999

/* Leads found at once; the text of OWNER_FIND_NEW knows it too. */
#define NEW_LEADS_CHUNK	5000

static Bitmapset *to_hand_out = NULL;
static Bitmapset *to_notify = NULL;

/* A lead that this transaction has made. */
typedef struct NewLead
{
	int64		lead_id;
	int32		team_id;
} NewLead;

static int
cmp_new_lead(const void *a, const void *b)
{
	const NewLead *l = a;
	const NewLead *r = b;

	if (l->team_id != r->team_id)
		return l->team_id < r->team_id ? -1 : 1;
	return l->lead_id < r->lead_id ? -1 : l->lead_id > r->lead_id;
}

/*
 * The leads of some teams that this transaction has made, by team and id; only
 * those that are nobody's?  They are read once, whatever the number of teams.
 */
static NewLead *
find_leads(const Bitmapset *teams, bool only_nobodys, int64 *count)
{
	int64		room = NEW_LEADS_CHUNK;
	NewLead    *leads = palloc(sizeof(NewLead) * room);
	OwnerState	owner;
	Datum		values[3];
	uint64		n;

	*count = 0;
	if (!ls_owner_begin(&owner))
		return leads;
	values[0] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[1] = Int64GetDatum(0);
	values[2] = BoolGetDatum(only_nobodys);
	do
	{
		int64		last = 0;

		CHECK_FOR_INTERRUPTS();
		n = ls_owner_run(OWNER_FIND_NEW, NULL, values, NULL);
		if (*count + n > room)
			leads = repalloc_huge(leads, sizeof(NewLead) * (room = *count * 2 + n));
		for (uint64 i = 0; i < n; i++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[i];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			NewLead    *lead = &leads[*count];
			bool		isnull;

			lead->lead_id = last = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
			lead->team_id = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
			if (bms_is_member(lead->team_id, teams))
				(*count)++;
		}
		values[1] = Int64GetDatum(last);
		SPI_freetuptable(SPI_tuptable);
	} while (n == NEW_LEADS_CHUNK);
	ls_owner_end(&owner);
	qsort(leads, *count, sizeof(NewLead), cmp_new_lead);
	return leads;
}

/*
 * Keep those of some leads that are nobody's still, for triggers that the lead
 * tables may have saw others being handed out; returns their number.
 */
static int64
keep_nobodys(int64 *leads, int64 n)
{
	int64		kept = 0;
	OwnerState	owner;

	if (!ls_owner_begin(&owner))
		return 0;
	for (int64 start = 0; start < n; start += NEW_LEADS_CHUNK)
	{
		int			count = Min(NEW_LEADS_CHUNK, n - start);
		Datum	   *ids = palloc(sizeof(Datum) * count);
		Datum		values[1];
		uint64		found;

		for (int i = 0; i < count; i++)
			ids[i] = Int64GetDatum(leads[start + i]);
		values[0] = ls_owner_array(ids, NULL, count, INT8OID);
		found = ls_owner_run(OWNER_FIND_NOBODYS, NULL, values, NULL);
		for (uint64 i = 0; i < found; i++)
		{
			bool		isnull;

			leads[kept++] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
														SPI_tuptable->tupdesc, 1, &isnull));
		}
		SPI_freetuptable(SPI_tuptable);
	}
	ls_owner_end(&owner);
	return kept;
}

/* Tell the listeners of a team; without ids where there are too many. */
static void
notify_team(int32 team_id, const int64 *leads, int64 n)
{
	StringInfoData payload;

	initStringInfo(&payload);
	for (int64 i = 0; i < n && payload.len <= MAX_PAYLOAD; i++)
		appendStringInfo(&payload, "%s" INT64_FORMAT, i > 0 ? "," : "", leads[i]);
	if (payload.len > MAX_PAYLOAD)
		resetStringInfo(&payload);
	Async_Notify(psprintf("leadstream_team_%d", team_id), payload.data);
}

/* Do something with the new leads of each of the teams, under a snapshot. */
static void
for_each_team(Bitmapset **teams, bool only_nobodys,
			  void (*act) (int32 team_id, const int64 *leads, int64 n))
{
	Bitmapset  *now = *teams;
	MemoryContext context;
	MemoryContext team_context;
	MemoryContext oldcontext;
	NewLead    *leads;
	int64		count;

	*teams = NULL;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream new leads",
									ALLOCSET_DEFAULT_SIZES);
	team_context = AllocSetContextCreate(context, "leadstream new leads of a team",
										 ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	PushActiveSnapshot(GetTransactionSnapshot());
	leads = find_leads(now, only_nobodys, &count);
	MemoryContextSwitchTo(team_context);
	for (int64 i = 0, n; i < count; i += n)
	{
		int64	   *ids;
		int64		left;

		for (n = 1; i + n < count && leads[i + n].team_id == leads[i].team_id; n++)
			 /* as many as are of the team */ ;
		ids = MemoryContextAllocHuge(team_context, sizeof(int64) * n);
		for (int64 j = 0; j < n; j++)
			ids[j] = leads[i + j].lead_id;
		left = only_nobodys && i > 0 ? keep_nobodys(ids, n) : n;
		if (left > 0)
			act(leads[i].team_id, ids, left);
		CommandCounterIncrement();
		MemoryContextReset(team_context);
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
		for_each_team(&to_hand_out, true, ls_hand_out);
		/* triggers that the lead tables may have, deferred to a time that is over */
		AfterTriggerFireDeferred();
	}
	XactReadOnly = was_read_only;
	if (to_notify && !is_prepare)
		for_each_team(&to_notify, false, notify_team);
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
