/*-------------------------------------------------------------------------
 *
 * capture.c
 *	  The triggers on activity tables and on the contacts table.
 *
 * One trigger function serves them all.  AFTER ROW triggers are the ground:
 * they fire for every row, whichever way it came in.  Where a statement also
 * fires the pair of statement triggers, it gathers:
 *
 *	  BEFORE STATEMENT	opens a gather, which pins the streams
 *	  AFTER ROW			adds candidates, pairs of a contact and a stream, or of a
 *						contact and a group of streams that rows concern together
 *	  AFTER STATEMENT	settles them and closes the gather
 *
 * so that contacts are locked and leads written in one order, and each
 * contact and stream once.  Elsewhere (logical replication, a partition
 * attached since and written directly) each row is settled by itself, with
 * the streams of the statement's first row: one statement, one set of rules.
 *
 * Gathers form a stack, for statements nest.  A row belongs to the topmost
 * gather of its table, and what its table is, the trigger's arguments say:
 * on a partition, or a shard, the table fired on is another one.  A contact
 * that triggers change again belongs where it was changed first.  Gathers
 * live in TopTransactionContext; those of an aborted subtransaction are
 * dropped by its callback, all of them at the end of the transaction.
 *
 * A row that no enabled stream speaks of leaves before its columns are looked
 * at.  A row that makes no candidate leaves nothing behind.
 *
 * What rows concern is found by gather_activity.c and gather_contact.c; what is
 * gathered is kept by gather.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_am.h"
#include "commands/trigger.h"
#include "common/int.h"
#include "storage/proc.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "gather.h"
#include "guc.h"
#include "new_leads.h"

PG_FUNCTION_INFO_V1(leadstream_capture);

static Gathering *top_gather = NULL;

/*
 * Statements that capture was off for as they began, within another on the same
 * table.  Their AFTER STATEMENT triggers, each before that of the one around it,
 * are no end to the gather.
 */
typedef struct QuietStatement
{
	struct QuietStatement *around;
	SubTransactionId subid;
	Gathering  *gather;
} QuietStatement;

static QuietStatement *top_quiet = NULL;

static void
end_quiet(void)
{
	QuietStatement *quiet = top_quiet;

	top_quiet = quiet->around;
	pfree(quiet);
}

/*
 * The streams that a statement without a gather began with.  A statement is
 * told by the command its rows were written in.
 */
static struct
{
	LocalTransactionId lxid;
	CommandId	command;
	StreamSet  *set;
	MovingRow  *moving;			/* as of a gather */
}			loose;


/* -------------------------------------------------------------------------
 * Gathers
 * -------------------------------------------------------------------------
 */

static void
drop_gather(Gathering *gather)
{
	StreamSet  *set = gather->settlement.set;

	/* what was stopped within it is over, too */
	while (top_quiet && top_quiet->gather == gather)
		end_quiet();
	if (gather->context)
		MemoryContextDelete(gather->context);
	pfree(gather);
	ls_streams_unpin(set);
}

/*
 * Forget the keys that contacts got in an aborted subtransaction, of triggers
 * of a statement that goes on: what came since it began has no smaller id.
 */
static void
forget_rekeyed(Settlement *settlement, SubTransactionId subid)
{
	while (settlement->nrekeyed > 0 &&
		   settlement->rekeyed[settlement->nrekeyed - 1].subid >= subid)
		settlement->nrekeyed--;
}

/* Forget gathers of an aborted subtransaction; hand on those of a committed. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId subid,
					  SubTransactionId parent, void *arg)
{
	Gathering	  **link = &top_gather;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	ls_rekeyed_end(subid, event == SUBXACT_EVENT_ABORT_SUB ? InvalidSubTransactionId : parent);
	while (event == SUBXACT_EVENT_ABORT_SUB && top_quiet && top_quiet->subid == subid)
		end_quiet();
	for (QuietStatement *quiet = top_quiet; quiet && quiet->subid == subid; quiet = quiet->around)
		quiet->subid = parent;
	while (*link)
	{
		Gathering	   *gather = *link;

		if (gather->subid == subid && event == SUBXACT_EVENT_ABORT_SUB)
		{
			*link = gather->below;
			drop_gather(gather);
			continue;
		}
		if (gather->subid == subid)
			gather->subid = parent;
		if (event == SUBXACT_EVENT_ABORT_SUB && !gather->is_settling)
			forget_rekeyed(&gather->settlement, subid);
		link = &gather->below;
	}
}

static void close_gather(Gathering *gather);

/*
 * Settle what no AFTER STATEMENT trigger has settled: a procedural language
 * may stop a statement with RETURNING after some rows, and its rows stay.
 */
static void
settle_leftovers(void)
{
	while (top_gather)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		close_gather(top_gather);
		PopActiveSnapshot();
		CommandCounterIncrement();
	}
}

/* Forget everything at the end of a transaction. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			settle_leftovers();
			ls_new_leads_finish(event == XACT_EVENT_PRE_PREPARE);
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			break;
		default:
			return;
	}
	while (top_gather)
	{
		Gathering	   *gather = top_gather;

		top_gather = gather->below;
		drop_gather(gather);
	}
	if (loose.set)
	{
		ls_streams_unpin(loose.set);
		loose.set = NULL;
	}
	loose.moving = NULL;
	top_quiet = NULL;
	ls_rekeyed_forget();
}

static void
register_callbacks(void)
{
	static bool is_registered = false;

	if (is_registered)
		return;
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
	is_registered = true;
}

/* The attached table that a source stands for; InvalidOid if it is gone. */
static Oid
source_root(StreamSet *set, int32 source_id)
{
	if (source_id == CONTACTS_SOURCE)
		return set->contacts->relid;
	for (int k = 0; k < set->nkinds; k++)
		if (set->kinds[k]->source_id == source_id)
			return set->kinds[k]->relid;
	return InvalidOid;
}

/* Within how many triggers are we? */
static int
trigger_depth(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetInt32(pg_trigger_depth(fcinfo));
}

/* To be made before streams are pinned for it: this may fail, opening it may not. */
static Gathering *
make_gather(void)
{
	return MemoryContextAllocZero(TopTransactionContext, sizeof(Gathering));
}

/* Push a gather; from then on the caller's pin is its own. */
static void
open_gather(Gathering *gather, StreamSet *set, int32 source_id)
{
	static uint64 serial = 0;

	gather->serial = ++serial;

	gather->settlement.set = set;
	gather->settlement.command = InvalidCommandId;
	gather->settlement.newest = DT_NOBEGIN;
	gather->source_id = source_id;
	gather->root = source_root(set, source_id);
	gather->settlement.root = source_id == CONTACTS_SOURCE ? InvalidOid : gather->root;
	gather->subid = GetCurrentSubTransactionId();
	gather->opened = 1;
	gather->snapshot = ActiveSnapshotSet() ? GetActiveSnapshot() : NULL;
	gather->command = gather->snapshot ? gather->snapshot->curcid : InvalidCommandId;
	gather->depth = trigger_depth();
	gather->below = top_gather;
	top_gather = gather;
}

/* Find the topmost gather of a source's table. */
static pg_attribute_always_inline Gathering *
find_gather(int32 source_id)
{
	for (Gathering *gather = top_gather; gather; gather = gather->below)
	{
		if (gather->is_settling)
			continue;
		if (gather->source_id == source_id ||
			(OidIsValid(gather->root) &&
			 source_id != CONTACTS_SOURCE &&
			 gather->source_id != CONTACTS_SOURCE &&
			 source_root(gather->settlement.set, source_id) == gather->root))
			return gather;
	}
	return NULL;
}

/*
 * A contact that triggers change again is judged when the first of the
 * statements, one within the other, that changed it has ended: until then its
 * activities may not have followed it to another key.  A statement that was
 * stopped has none within it, though its gather is there still.
 */
static Gathering *
first_writer(Gathering *gather, TriggerData *trigdata)
{
	CommandId	command;
	Gathering	   *first = gather;
	int			depth = gather->depth;

	if (gather->below == NULL || !TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ||
		trigdata->tg_relation->rd_rel->relam != HEAP_TABLE_AM_OID ||
		!ls_row_is_ours(trigdata->tg_trigtuple->t_data, &command))
		return gather;
	for (Gathering *outer = gather->below; outer; outer = outer->below)
	{
		if (outer->depth >= depth)
			continue;
		depth = outer->depth;
		if (outer->source_id == CONTACTS_SOURCE && !outer->is_settling &&
			outer->command <= command)
			first = outer;
	}
	if (first != gather)
		first->settlement.command = Min(first->settlement.command, first->command);
	return first;
}

/*
 * A statement may insert into a table, update it and delete from it, and fires
 * BEFORE STATEMENT triggers for each, but it is one: take part in the gather
 * that it has opened.  A statement is told by its snapshot; those within it have
 * others.
 */
static bool
join_gather(int32 source_id)
{
	Gathering	   *gather = top_gather ? find_gather(source_id) : NULL;

	if (gather == NULL || gather->snapshot == NULL || !ActiveSnapshotSet() ||
		gather->snapshot != GetActiveSnapshot() ||
		gather->command != gather->snapshot->curcid)
		return false;
	gather->opened++;
	return true;
}

/* Note that a statement begins which the gather of the one around it has no part in. */
static void
begin_quiet(Gathering *gather)
{
	QuietStatement *quiet = MemoryContextAlloc(TopTransactionContext, sizeof(QuietStatement));

	quiet->around = top_quiet;
	quiet->subid = GetCurrentSubTransactionId();
	quiet->gather = gather;
	top_quiet = quiet;
}

/* The statement around this one goes back beyond it. */
static void
hand_on_changes(Gathering *gather)
{
	Gathering	   *outer = gather->below;

	if (gather->settlement.changes == NULL || gather->settlement.changes->n == 0)
		return;
	while (outer && (outer->source_id == CONTACTS_SOURCE || outer->root != gather->root))
		outer = outer->below;
	if (outer)
		ls_changes_join(ls_gather_changes(outer), gather->settlement.changes);
}

/* Settle a gather and take it off the stack. */
static void
close_gather(Gathering *gather)
{
	Gathering	  **link = &top_gather;

	ls_gather_finish(gather);
	if (gather->source_id == CONTACTS_SOURCE)
		ls_gather_complete(gather);
	else
	{
		ls_gather_follow(gather);
		for (Gathering *outer = gather->below; outer; outer = outer->below)
			if (outer->source_id == CONTACTS_SOURCE && !outer->is_settling)
				ls_gather_arrived(outer, gather);
	}
	gather->is_settling = true;
	ls_settle(&gather->settlement);
	hand_on_changes(gather);

	while (*link != gather)
		link = &(*link)->below;
	*link = gather->below;
	drop_gather(gather);
}


/* -------------------------------------------------------------------------
 * The trigger
 * -------------------------------------------------------------------------
 */

/* Complain of a trigger that no attach function made. */
static void
protocol_error(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("%s", message),
			 errhint("Use leadstream.attach_contacts and leadstream.attach_activity to create these triggers.")));
}

/* The source that a trigger's arguments name. */
static int32
trigger_source(const Trigger *trigger)
{
	int32		source_id = 0;

	if (trigger->tgnargs == 1 && strcmp(trigger->tgargs[0], "contact") == 0)
		return CONTACTS_SOURCE;
	if ((trigger->tgnargs != 2 && !(trigger->tgnargs == 3 && strcmp(trigger->tgargs[2], "move") == 0)) ||
		strcmp(trigger->tgargs[0], "activity") != 0)
		protocol_error("capture must be fired with the arguments of an attached table");
	/* of so few digits strtol() would be what a statement of one row notices */
	for (const char *s = trigger->tgargs[1]; *s; s++)
		if (*s < '0' || *s > '9' || pg_mul_s32_overflow(source_id, 10, &source_id) ||
			pg_add_s32_overflow(source_id, *s - '0', &source_id))
			protocol_error("capture must be fired with the arguments of an attached table");
	if (source_id <= CONTACTS_SOURCE)
		protocol_error("capture must be fired with the arguments of an attached table");
	return source_id;
}

/* Check how we are called; returns the source that the arguments name. */
static int32
check_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	int32		source_id;

	if (!CALLED_AS_TRIGGER(fcinfo))
		protocol_error("function was not called by the trigger manager");
	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) &&
		!TRIGGER_FIRED_AFTER(trigdata->tg_event))
		protocol_error("capture must be fired AFTER ROW");

	/* a trigger has its own FmgrInfo: its arguments are read once a statement */
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			(void *) ((intptr_t) trigger_source(trigdata->tg_trigger) + 1);
	source_id = (intptr_t) fcinfo->flinfo->fn_extra - 1;

	if (source_id == CONTACTS_SOURCE)
	{
		if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
			!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
			protocol_error("capture of contacts must be fired for INSERT or UPDATE");
	}
	else if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		protocol_error("capture of activities must be fired for INSERT, UPDATE or DELETE");
	return source_id;
}

/* Tell those who gather activities that a contact has got another key. */
static void
tell_rekeyed(TriggerData *trigdata, AttrNumber attno)
{
	for (Gathering *gather = top_gather; gather; gather = gather->below)
		if (gather->source_id != CONTACTS_SOURCE && !gather->is_settling)
			(void) ls_gather_rekeyed(gather, trigdata, attno);
}

/* Gathering one row. */
static pg_attribute_always_inline void
gather_row(Gathering *gather, TriggerData *trigdata, int32 source_id)
{
	if (source_id == CONTACTS_SOURCE)
		gather = first_writer(gather, trigdata);
	/* rows of one statement are of one mind; of one row look_up sees to it */
	if (gather->has_rows)
		ls_streams_settle_state(gather->settlement.set);
	gather->has_rows = true;
	if (source_id == CONTACTS_SOURCE)
	{
		if (ls_gather_contact(gather, trigdata))
			tell_rekeyed(trigdata, gather->fired->key);
	}
	else if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) && gather->moving == NULL)
		ls_gather_inserted(gather, trigdata, source_id);
	else
		ls_gather_changed(gather, trigdata, source_id);
}

/* Of the rows of its statement, a row that is settled by itself is new alone. */
static void
set_alone(Gathering *gather, TriggerData *trigdata)
{
	RowChanges *changes;

	if (gather->settlement.ncandidates == 0 || !gather->fired->has_updates)
		return;
	changes = ls_gather_changes(gather);
	changes->is_alone = true;
	changes->alone.relid = RelationGetRelid(trigdata->tg_relation);
	ItemPointerSetInvalid(&changes->alone.tid);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		changes->alone.tid = trigdata->tg_trigtuple->t_self;
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		changes->alone.tid = trigdata->tg_newtuple->t_self;
}

/*
 * Settle one row by itself, with the streams that the first row of its
 * statement met.
 */
static void
settle_row(TriggerData *trigdata, int32 source_id)
{
	CommandId	command = ls_gather_statement(trigdata);
	Gathering	   *gather;

	if (loose.set == NULL || loose.lxid != LS_MY_LXID ||
		loose.command != command)
	{
		StreamSet  *set = ls_streams_pin();

		if (loose.set)
			ls_streams_unpin(loose.set);
		loose.set = set;
		loose.moving = NULL;
		loose.lxid = LS_MY_LXID;
		loose.command = command;
	}
	if (loose.set == NULL)
		return;

	gather = make_gather();
	ls_streams_share(loose.set);
	open_gather(gather, loose.set, source_id);
	if (source_id != CONTACTS_SOURCE)
	{
		gather->moving = loose.moving;
		gather_row(gather, trigdata, source_id);
		loose.moving = gather->moving;
		gather->moving = NULL;
		set_alone(gather, trigdata);
	}
	else
		gather_row(gather, trigdata, source_id);
	close_gather(gather);
}

/*
 * capture('contact') and capture('activity', source_id): BEFORE STATEMENT,
 * AFTER ROW and AFTER STATEMENT.  capture('activity', source_id, 'move'): AFTER
 * ROW of a DELETE.
 */
Datum
leadstream_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	int32		source_id = check_trigger(fcinfo);
	Gathering	   *gather;

	if (TRIGGER_FIRED_BEFORE(trigdata->tg_event))
	{
		StreamSet  *set;

		if (!ls_guc_capture)
		{
			/* the statement around this one may have a gather of the table's */
			gather = find_gather(source_id);
			if (gather)
				begin_quiet(gather);
			return PointerGetDatum(NULL);
		}
		if (source_id == CONTACTS_SOURCE && top_gather == NULL)
			ls_rekeyed_forget();
		register_callbacks();
		if (join_gather(source_id))
			return PointerGetDatum(NULL);
		gather = make_gather();
		set = ls_streams_pin();
		if (set)
			open_gather(gather, set, source_id);
		else
			pfree(gather);
		return PointerGetDatum(NULL);
	}

	/* that trigger is there for rows that an update moves to another partition */
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) &&
		trigdata->tg_trigger->tgnargs == 3 && !ls_row_is_moving(trigdata))
		return PointerGetDatum(NULL);

	gather = find_gather(source_id);
	if (TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
	{
		if (gather && top_quiet && top_quiet->gather == gather)
			end_quiet();
		else if (gather && --gather->opened == 0)
			close_gather(gather);
		return PointerGetDatum(NULL);
	}

	if (!ls_guc_capture)
		return PointerGetDatum(NULL);
	if (gather)
		gather_row(gather, trigdata, source_id);
	else
	{
		register_callbacks();
		settle_row(trigdata, source_id);
	}
	return PointerGetDatum(NULL);
}
