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
 * on a partition, or a shard, the table fired on is another one.  Gathers
 * live in TopTransactionContext; those of an aborted subtransaction are
 * dropped by its callback, all of them at the end of the transaction.
 *
 * A row that no enabled stream speaks of leaves before its columns are looked
 * at.  A row that makes no candidate leaves nothing behind.
 *
 * One long file, because what is gathered, from which tables and when, is one
 * state that nothing else should see.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "parser/parse_coerce.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "instant.h"
#include "key_scan.h"
#include "lookup.h"
#include "settle.h"

PG_FUNCTION_INFO_V1(leadstream_capture);

/* Candidates at first, and from where on it is worth compacting them. */
#define GATHER_ROOM			64
#define GATHER_COMPACT		(64 * 1024)

/* How a value becomes a key of the contacts. */
typedef enum KeyConversion
{
	KEY_SAME,					/* as it is */
	KEY_INTEGER,				/* between widths of integers */
	KEY_FUNCTION				/* by an implicit cast */
} KeyConversion;

/* A kind, as its columns lie in the table fired on. */
typedef struct KindColumns
{
	ActivitySource *kind;
	AttrNumber	contact;
	AttrNumber	time;			/* 0: timeless */
	Oid			time_type;
	Oid			contact_type;
	KeyConversion conversion;
	FmgrInfo	convert;
} KindColumns;

/* What is known of a table that fires, within a StreamSet. */
typedef struct FiredKey
{
	Oid			relid;
	int32		source_id;
} FiredKey;

typedef struct FiredTable
{
	FiredKey	id;				/* hash key */
	int			nkinds;			/* kinds that the table holds rows of */
	KindColumns *kinds;
	AttrMap    *layout;			/* to the attached table's; NULL: the same */
	TupleTableSlot *attached;	/* a row in the attached table's layout */
	/* of the contacts table */
	AttrNumber	key;
	AttrNumber	account;
	int			ncolumns;		/* of the contacts table, without dropped ones */
	AttrNumber *columns;
	uint64	   *digests;		/* where those stand that read them */
	bool	   *is_read;		/* does a rule read it?  As of epoch */
	bool		has_rows;		/* are there streams that rows could concern? */
	uint64		epoch;
	bool		is_read_known;
} FiredTable;

typedef struct Gathering
{
	struct Gathering *below;
	SubTransactionId subid;
	MemoryContext context;		/* of what follows; NULL while there is nothing */
	bool		is_settling;	/* takes no more rows */
	int32		source_id;
	Oid			root;			/* the attached table */
	Settlement	settlement;
	int64		room;
	int			origin_room;
	int			rekeyed_room;
	bool		floor_known;	/* has newest been initialised? */
	FiredTable *fired;			/* the last table that fired */
	uint64		serial;			/* no other gather has it */
	bool		has_rows;
} Gathering;

static Gathering *top_gather = NULL;

/* What the row at hand may concern; never in use for two rows at a time. */
static Lookup found;

/*
 * The streams that a statement without a gather began with.  A statement is
 * told by the command its rows were written in.
 */
static struct
{
	LocalTransactionId lxid;
	CommandId	command;
	StreamSet  *set;
}			loose;


/* -------------------------------------------------------------------------
 * Gathers
 * -------------------------------------------------------------------------
 */

static void
drop_gather(Gathering *gather)
{
	StreamSet  *set = gather->settlement.set;

	if (gather->context)
		MemoryContextDelete(gather->context);
	pfree(gather);
	ls_streams_unpin(set);
}

/* Forget gathers of an aborted subtransaction; hand on those of a committed. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId subid,
					  SubTransactionId parent, void *arg)
{
	Gathering	  **link = &top_gather;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
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

/* Push a gather; takes over the caller's pin. */
static Gathering *
open_gather(StreamSet *set, int32 source_id)
{
	static uint64 serial = 0;
	Gathering	   *gather = MemoryContextAllocZero(TopTransactionContext,
												sizeof(Gathering));

	gather->serial = ++serial;

	gather->settlement.set = set;
	gather->settlement.command = InvalidCommandId;
	gather->settlement.newest = DT_NOBEGIN;
	gather->source_id = source_id;
	gather->root = source_root(set, source_id);
	gather->settlement.root = source_id == CONTACTS_SOURCE ? InvalidOid : gather->root;
	gather->subid = GetCurrentSubTransactionId();
	gather->below = top_gather;
	top_gather = gather;
	return gather;
}

/* Find the topmost gather of a source's table. */
static Gathering *
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

/* Settle a gather and take it off the stack. */
static void
close_gather(Gathering *gather)
{
	Gathering	  **link = &top_gather;

	gather->is_settling = true;
	ls_settle(&gather->settlement);

	while (*link != gather)
		link = &(*link)->below;
	*link = gather->below;
	drop_gather(gather);
}

/* Make room for what a gather keeps, once there is something to keep. */
static void
start_keeping(Gathering *gather)
{
	gather->context = AllocSetContextCreate(TopTransactionContext,
											"leadstream gather",
											ALLOCSET_DEFAULT_SIZES);
	gather->room = GATHER_ROOM;
	gather->settlement.candidates =
		MemoryContextAlloc(gather->context, sizeof(Candidate) * gather->room);
}

/* The origin's index, made if need be. */
static uint16
find_origin(Gathering *gather, Oid relid, const char *what, ActivitySource *kind)
{
	Settlement *settlement = &gather->settlement;
	CandidateOrigin *origin;

	for (int i = settlement->norigins - 1; i >= 0; i--)
	{
		origin = &settlement->origins[i];
		if (origin->relid == relid && origin->what == what)
			return i;
	}

	/* beyond what fits, another partition of the kind's must do: it has no row */
	if (settlement->norigins == PG_UINT16_MAX)
	{
		for (int i = settlement->norigins - 1; i > 0; i--)
			if (settlement->origins[i].what == what)
				return i;
		return 0;
	}
	if (settlement->norigins == gather->origin_room)
	{
		gather->origin_room = Max(4, gather->origin_room * 2);
		if (settlement->origins == NULL)
			settlement->origins =
				MemoryContextAlloc(gather->context,
								   sizeof(CandidateOrigin) * gather->origin_room);
		else
			settlement->origins =
				repalloc(settlement->origins,
						 sizeof(CandidateOrigin) * gather->origin_room);
	}
	origin = &settlement->origins[settlement->norigins];
	origin->relid = relid;
	origin->what = what;
	origin->kind = kind;
	return settlement->norigins++;
}

/* What one row adds to a gather, beside the streams it concerns. */
typedef struct RowFacts
{
	Relation	rel;
	HeapTuple	tuple;
	const char *what;			/* as in CandidateOrigin */
	ActivitySource *kind;		/* NULL: of contacts */
	Datum		key;			/* the contact; in the row's memory until kept */
	bool		key_is_kept;
	uint16		origin;
	bool		is_elsewhere;	/* not in the origin's table */
} RowFacts;

/* The command that wrote a row, which is the running statement's. */
static CommandId
row_command(Relation rel, HeapTuple tuple)
{
	CommandId	command;

	if (rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		ls_row_is_ours(tuple->t_data, &command))
		return command;
	return GetCurrentCommandId(false);
}

/*
 * Add a candidate: a stream, a group of streams, or, with stream_id 0, all those
 * below a digest, which are to be found when the contact has been locked.
 */
static void
add_candidate(Gathering *gather, RowFacts *row, int32 stream_id,
			  uint64 digest, bool byval, int16 len)
{
	Settlement *settlement = &gather->settlement;
	Candidate  *candidate;

	if (gather->context == NULL)
		start_keeping(gather);
	if (!row->key_is_kept)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(gather->context);
		CommandId	command = row_command(row->rel, row->tuple);

		row->key = datumCopy(row->key, byval, len);
		row->origin = find_origin(gather, RelationGetRelid(row->rel),
								  row->what, row->kind);
		row->key_is_kept = true;
		row->is_elsewhere = settlement->origins[row->origin].relid != RelationGetRelid(row->rel);
		/* InvalidCommandId is the greatest */
		settlement->command = Min(settlement->command, command);
		MemoryContextSwitchTo(oldcontext);
	}
	if (settlement->ncandidates == gather->room)
	{
		if (gather->room >= GATHER_COMPACT)
			ls_settle_compact(settlement);
		if (settlement->ncandidates > gather->room / 2)
		{
			gather->room *= 2;
			settlement->candidates =
				repalloc_huge(settlement->candidates,
							  sizeof(Candidate) * (Size) gather->room);
		}
	}
	candidate = &settlement->candidates[settlement->ncandidates++];
	candidate->key = row->key;
	candidate->stream_id = stream_id;
	candidate->digest = digest;
	candidate->tid = row->tuple->t_self;
	candidate->origin = row->origin;
	candidate->is_several = row->is_elsewhere;
	candidate->is_found = false;
}

/*
 * Add a stream, unless its last candidate was about this contact.  Keys are
 * compared byte for byte: what is missed here is found when candidates are
 * sorted.
 */
static void
add_stream(Gathering *gather, RowFacts *row, CachedStream *stream, bool byval, int16 len)
{
	if (stream->gather == gather->serial &&
		datumIsEqual(stream->last_key, row->key, byval, len))
		return;
	add_candidate(gather, row, stream->stream_id, 0, byval, len);
	stream->gather = gather->serial;
	stream->last_key = row->key;
}

/* Add the streams of a row as a group; false if they are to be added one by one. */
static bool
add_group(Gathering *gather, RowFacts *row, const IndexHits *hits, bool byval, int16 len)
{
	Settlement *settlement = &gather->settlement;
	StreamGroup *group;
	int			number;

	if (hits->n < 2)
		return false;
	if (gather->context == NULL)
		start_keeping(gather);
	if (settlement->groups == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(gather->context);

		settlement->groups = ls_groups_make();
		MemoryContextSwitchTo(oldcontext);
	}
	number = ls_groups_find(settlement->groups, hits->streams, hits->n);
	if (number < 0)
		return false;
	group = ls_groups_get(settlement->groups, number);
	if (group->has_key && datumIsEqual(group->last_key, row->key, byval, len))
		return true;
	add_candidate(gather, row, GROUP_CANDIDATE(number), 0, byval, len);
	group->has_key = true;
	group->last_key = row->key;
	return true;
}


/* -------------------------------------------------------------------------
 * Tables fired on
 * -------------------------------------------------------------------------
 */

/* How values of a column become keys; false: not at all. */
static bool
choose_conversion(KindColumns *columns, Oid key_base)
{
	Oid			type = columns->contact_type;
	Oid			function;

	if (type == key_base || IsBinaryCoercible(type, key_base))
	{
		columns->conversion = KEY_SAME;
		return true;
	}
	if ((type == INT2OID || type == INT4OID || type == INT8OID) &&
		(key_base == INT2OID || key_base == INT4OID || key_base == INT8OID))
	{
		columns->conversion = KEY_INTEGER;
		return true;
	}
	if (find_coercion_pathway(key_base, type, COERCION_IMPLICIT,
							  &function) == COERCION_PATH_FUNC)
	{
		columns->conversion = KEY_FUNCTION;
		fmgr_info(function, &columns->convert);
		return columns->convert.fn_nargs == 1;
	}
	return false;
}

/* Make a key of a row's value; false: no contact can have it. */
static bool
convert_key(KindColumns *columns, Oid key_base, Datum *key)
{
	int64		value;

	switch (columns->conversion)
	{
		case KEY_SAME:
			break;
		case KEY_INTEGER:
			value = columns->contact_type == INT8OID ? DatumGetInt64(*key) :
				columns->contact_type == INT4OID ? DatumGetInt32(*key) :
				DatumGetInt16(*key);
			if (key_base == INT8OID)
				*key = Int64GetDatum(value);
			else if (key_base == INT4OID)
			{
				if (value < PG_INT32_MIN || value > PG_INT32_MAX)
					return false;
				*key = Int32GetDatum((int32) value);
			}
			else
			{
				if (value < PG_INT16_MIN || value > PG_INT16_MAX)
					return false;
				*key = Int16GetDatum((int16) value);
			}
			break;
		case KEY_FUNCTION:
			*key = FunctionCall1(&columns->convert, *key);
			break;
	}
	return true;
}

/* Find a column of a table by name; 0 if there is none. */
static AttrNumber
column_by_name(TupleDesc desc, const char *name)
{
	if (name == NULL)
		return InvalidAttrNumber;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return InvalidAttrNumber;
}

/* Fill in what is needed of an activity table. */
static void
describe_activity(StreamSet *set, FiredTable *fired, Relation rel, Oid root)
{
	TupleDesc	desc = RelationGetDescr(rel);

	fired->kinds = palloc0(sizeof(KindColumns) * Max(set->nkinds, 1));
	for (int k = 0; k < set->nkinds; k++)
	{
		ActivitySource *kind = set->kinds[k];
		KindColumns *columns = &fired->kinds[fired->nkinds];

		if (kind->relid != root)
			continue;
		if (kind->missing)
		{
			ls_streams_report_kind(set, kind);
			continue;
		}
		columns->kind = kind;
		columns->contact = column_by_name(desc, kind->contact_name);
		columns->time = column_by_name(desc, kind->time_name);
		if (columns->contact == InvalidAttrNumber ||
			(kind->time_name && columns->time == InvalidAttrNumber))
			continue;
		columns->contact_type =
			getBaseType(TupleDescAttr(desc, columns->contact - 1)->atttypid);
		if (columns->time != InvalidAttrNumber)
			columns->time_type =
				getBaseType(TupleDescAttr(desc, columns->time - 1)->atttypid);
		if (choose_conversion(columns, set->contacts->key_base))
			fired->nkinds++;
	}

	/* rules are compiled for the attached table; a partition may differ */
	if (fired->nkinds > 0 && RelationGetRelid(rel) != root)
	{
		Relation	attached = table_open(root, AccessShareLock);

		fired->layout = ls_build_attrmap_if_req(desc, RelationGetDescr(attached));
		if (fired->layout)
			fired->attached = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(attached)),
													   &TTSOpsVirtual);
		table_close(attached, NoLock);
	}
}

/* What is known of the table fired on. */
static FiredTable *
find_fired(StreamSet *set, Relation rel, int32 source_id, Oid root)
{
	FiredKey	id;
	FiredTable *fired;
	bool		found;
	MemoryContext oldcontext;

	memset(&id, 0, sizeof(id));
	id.relid = RelationGetRelid(rel);
	id.source_id = source_id;
	if (set->tables == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(FiredKey);
		ctl.entrysize = sizeof(FiredTable);
		ctl.hcxt = set->context;
		set->tables = hash_create("leadstream fired tables", 16, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	fired = hash_search(set->tables, &id, HASH_FIND, NULL);
	if (fired)
		return fired;

	/* a change of its columns must be noticed from now on */
	ls_streams_watch(id.relid, root);
	oldcontext = MemoryContextSwitchTo(set->context);
	if (source_id == CONTACTS_SOURCE)
	{
		FiredTable	described = {0};
		TupleDesc	desc = RelationGetDescr(rel);

		described.columns = palloc(sizeof(AttrNumber) * desc->natts);
		described.digests = palloc(sizeof(uint64) * desc->natts);
		described.is_read = palloc0(sizeof(bool) * desc->natts);
		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			if (att->attisdropped)
				continue;
			described.columns[described.ncolumns] = att->attnum;
			described.digests[described.ncolumns++] =
				ls_digest_update(NameStr(att->attname));
		}
		described.key = column_by_name(RelationGetDescr(rel),
									   set->contacts->key_name);
		/* somebody's own trigger, on a table that only looks like contacts */
		if (described.key != InvalidAttrNumber &&
			getBaseType(TupleDescAttr(RelationGetDescr(rel),
									  described.key - 1)->atttypid) != set->contacts->key_base)
			ereport(ERROR,
					(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					 errmsg("table \"%s\" is not the contacts table that is attached, nor a partition of it",
							RelationGetRelationName(rel))));
		if (id.relid != set->contacts->relid)
		{
			Relation	attached = table_open(set->contacts->relid, AccessShareLock);

			described.layout = ls_build_attrmap_if_req(desc, RelationGetDescr(attached));
			if (described.layout)
				described.attached =
					MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(attached)),
											 &TTSOpsVirtual);
			table_close(attached, NoLock);
		}
		described.account = column_by_name(RelationGetDescr(rel),
										   set->contacts->account_name);
		fired = hash_search(set->tables, &id, HASH_ENTER, &found);
		described.id = id;
		*fired = described;
	}
	else
	{
		FiredTable	described = {0};

		describe_activity(set, &described, rel, root);
		fired = hash_search(set->tables, &id, HASH_ENTER, &found);
		described.id = id;
		*fired = described;
	}
	MemoryContextSwitchTo(oldcontext);
	return fired;
}


/* -------------------------------------------------------------------------
 * Rows of activities
 * -------------------------------------------------------------------------
 */

/* The time of a row as an instant; false where it has none. */
static bool
row_time(StreamSet *set, KindColumns *columns, TupleTableSlot *slot,
		 TimestampTz *result)
{
	bool		isnull;
	bool		ok = true;
	Datum		value;

	if (columns->time == InvalidAttrNumber)
		return false;
	value = slot_getattr(slot, columns->time, &isnull);
	if (isnull)
		return false;
	switch (columns->time_type)
	{
		case TIMESTAMPTZOID:
			*result = DatumGetTimestampTz(value);
			break;
		case TIMESTAMPOID:
			*result = ls_instant_from_timestamp(DatumGetTimestamp(value),
												set->contacts->tz, &ok);
			break;
		case DATEOID:
			*result = ls_instant_from_date(DatumGetDateADT(value),
										   set->contacts->tz, &ok);
			break;
		default:
			return false;
	}
	return ok;
}

/* Remember the newest time of a row that is ahead of the clock, if not far. */
static void
note_time(Gathering *gather, KindColumns *columns, TupleTableSlot *slot)
{
	Settlement *settlement = &gather->settlement;
	TimestampTz time;

	if (!row_time(settlement->set, columns, slot, &time))
		return;
	if (!gather->floor_known)
	{
		/* rows of the past, nearly all, need not ask for the clock again */
		settlement->newest = ls_clock_read();
		gather->floor_known = true;
	}
	if (time <= settlement->newest || TIMESTAMP_NOT_FINITE(time))
		return;
	if (time - ls_clock_read() <= CLOCK_SKEW)
		settlement->newest = time;
	else
		settlement->has_future = true;
}

/*
 * Find what a row concerns, of what it is looked up to concern: what is left in
 * found.hits is true as of the statement's beginning.
 */
static void
find_concerned(StreamSet *set, ActivitySource *kind, TupleTableSlot *attached)
{
	uint64		epoch;

	do
	{
		int			kept = 0;

		ls_look_up_row(set, kind, attached, NULL, &found);
		epoch = set->epoch;
		for (int i = 0; i < found.hits.n; i++)
		{
			CachedStream *stream = ls_streams_get(set, found.hits.streams[i]);
			RuleProgram *program;

			if (stream == NULL || (program = ls_streams_program(set, stream)) == NULL)
				continue;
			/* a foreign rule may raise errors: it is judged where they end */
			if (ls_program_is_foreign(program) ||
				ls_program_concerns(program, kind->source_id, attached))
				found.hits.streams[kept++] = found.hits.streams[i];
		}
		found.hits.n = kept;
		if (found.hits.n + found.ndeeper > 0)
			ls_streams_settle_state(set);
	} while (set->epoch != epoch);
}

static void
gather_activity(Gathering *gather, TriggerData *trigdata, int32 source_id)
{
	StreamSet  *set = gather->settlement.set;
	ContactSource *contacts = set->contacts;
	FiredTable *fired = gather->fired;
	TupleTableSlot *slot = trigdata->tg_trigslot;
	TupleTableSlot *attached;
	int16		len;
	bool		byval;

	if (fired == NULL || fired->id.relid != RelationGetRelid(trigdata->tg_relation) ||
		fired->id.source_id != source_id)
		fired = gather->fired = find_fired(set, trigdata->tg_relation, source_id,
										   gather->root);
	if (fired->nkinds == 0)
		return;
	ls_streams_trim(set);
	attached = fired->layout == NULL ? slot :
		execute_attr_map_slot(fired->layout, slot, fired->attached);

	for (int k = 0; k < fired->nkinds; k++)
	{
		KindColumns *columns = &fired->kinds[k];
		ActivitySource *kind = columns->kind;
		RowFacts	row = {0};
		bool		isnull;

		find_concerned(set, kind, attached);
		if (found.hits.n + found.ndeeper == 0)
			continue;
		get_typlenbyval(contacts->key_base, &len, &byval);
		row.key = slot_getattr(slot, columns->contact, &isnull);
		if (isnull || !convert_key(columns, contacts->key_base, &row.key))
			continue;
		if (len == -1)
			row.key = PointerGetDatum(PG_DETOAST_DATUM_PACKED(row.key));
		row.rel = trigdata->tg_relation;
		row.tuple = trigdata->tg_trigtuple;
		row.what = kind->kind;
		row.kind = kind;

		if (!add_group(gather, &row, &found.hits, byval, len))
			for (int i = 0; i < found.hits.n; i++)
			{
				CachedStream *stream = ls_streams_get(set, found.hits.streams[i]);

				if (stream)
					add_stream(gather, &row, stream, byval, len);
			}
		for (int i = 0; i < found.ndeeper; i++)
			add_candidate(gather, &row, 0, found.deeper[i], byval, len);
		note_time(gather, columns, slot);
	}
}


/* -------------------------------------------------------------------------
 * Rows of contacts
 * -------------------------------------------------------------------------
 */

/*
 * Find out which columns rules read, of all those that a contact has, and
 * whether they read activities.
 */
static void
find_read_columns(StreamSet *set, FiredTable *fired)
{
	do
	{
		(void) ls_streams_paths(set, CONTACTS_SOURCE);
		fired->epoch = set->epoch;
		for (int c = 0; c < fired->ncolumns; c++)
		{
			found.hits.n = 0;
			fired->is_read[c] = ls_index_find(set->index, fired->digests[c], &found.hits) ||
				found.hits.n > 0;
		}
		fired->has_rows = false;
		for (int k = 0; k < set->nkinds && !fired->has_rows; k++)
			fired->has_rows = !set->kinds[k]->missing &&
				ls_streams_lock_paths(set, set->kinds[k]->source_id) != NULL &&
				ls_look_up_is_worthwhile(set, set->kinds[k]);
	} while (fired->epoch != set->epoch);
	fired->is_read_known = true;
}

/* Do two versions of a row differ in a column? */
static bool
is_changed(TriggerData *trigdata, AttrNumber attno)
{
	Form_pg_attribute att;
	Datum		old_value;
	Datum		new_value;
	bool		old_null;
	bool		new_null;

	/* what cannot be compared here counts as changed */
	if (attno == InvalidAttrNumber)
		return true;
	att = TupleDescAttr(RelationGetDescr(trigdata->tg_relation), attno - 1);
	if (LS_ATTRIBUTE_IS_VIRTUAL(att))
		return true;
	old_value = slot_getattr(trigdata->tg_trigslot, attno, &old_null);
	new_value = slot_getattr(trigdata->tg_newslot, attno, &new_null);
	if (old_null || new_null)
		return old_null != new_null;
	return !datum_image_eq(old_value, new_value, att->attbyval, att->attlen);
}

/* Remember that a contact has got another key. */
static void
note_rekeyed(Gathering *gather, Datum key, Datum old, bool byval, int16 len)
{
	Settlement *settlement = &gather->settlement;
	MemoryContext oldcontext;

	if (gather->context == NULL)
		start_keeping(gather);
	oldcontext = MemoryContextSwitchTo(gather->context);
	if (settlement->nrekeyed == gather->rekeyed_room)
	{
		gather->rekeyed_room = Max(16, gather->rekeyed_room * 2);
		settlement->rekeyed = settlement->rekeyed == NULL ?
			palloc(sizeof(Rekeyed) * gather->rekeyed_room) :
			repalloc_huge(settlement->rekeyed,
						  sizeof(Rekeyed) * (Size) gather->rekeyed_room);
	}
	settlement->rekeyed[settlement->nrekeyed].key = datumCopy(key, byval, len);
	settlement->rekeyed[settlement->nrekeyed++].old_key = datumCopy(old, byval, len);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Add those that a change of a contact concerns, looking at the contact as it
 * is now: we have locked it by writing it.
 */
static void
gather_changed(Gathering *gather, RowFacts *row, uint64 digest,
			   TupleTableSlot *attached, bool byval, int16 len)
{
	StreamSet  *set = gather->settlement.set;

	ls_look_up_contact(set, digest, attached, &found.hits);
	for (int i = 0; i < found.hits.n; i++)
	{
		CachedStream *stream = ls_streams_get(set, found.hits.streams[i]);

		if (stream && ls_streams_program(set, stream) != NULL)
			add_stream(gather, row, stream, byval, len);
	}
}

static void
gather_contact(Gathering *gather, TriggerData *trigdata)
{
	StreamSet  *set = gather->settlement.set;
	FiredTable *fired = gather->fired;
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	TupleTableSlot *slot = is_update ? trigdata->tg_newslot : trigdata->tg_trigslot;
	TupleTableSlot *attached;
	RowFacts	row = {0};
	bool		all = !is_update;
	bool		isnull;
	int16		len;
	bool		byval;

	if (fired == NULL || fired->id.relid != RelationGetRelid(trigdata->tg_relation))
		fired = gather->fired = find_fired(set, trigdata->tg_relation,
										   CONTACTS_SOURCE, set->contacts->relid);
	if (fired->key == InvalidAttrNumber)
		return;
	ls_streams_trim(set);

	if (!fired->is_read_known || fired->epoch != set->epoch)
		find_read_columns(set, fired);
	if (is_update)
	{
		bool		any = false;

		for (int c = 0; c < fired->ncolumns && !any; c++)
			any = fired->is_read[c] && is_changed(trigdata, fired->columns[c]);
		all = fired->account != InvalidAttrNumber &&
			is_changed(trigdata, fired->account);
		if (!any && !all)
			return;
	}

	get_typlenbyval(set->contacts->key_base, &len, &byval);
	row.key = slot_getattr(slot, fired->key, &isnull);
	if (isnull)					/* the attached column is a primary key */
		return;
	if (len == -1)
		row.key = PointerGetDatum(PG_DETOAST_DATUM_PACKED(row.key));
	row.rel = trigdata->tg_relation;
	row.tuple = is_update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	row.what = is_update ? "update" : "insert";
	if (is_update && is_changed(trigdata, fired->key))
		note_rekeyed(gather, row.key,
					 slot_getattr(trigdata->tg_trigslot, fired->key, &isnull),
					 byval, len);
	attached = fired->layout == NULL ? slot :
		execute_attr_map_slot(fired->layout, slot, fired->attached);
	if (all)
	{
		gather_changed(gather, &row, ls_digest(DIGEST_INSERT, 0), attached, byval, len);
		/* what needs rows is found by those that are there already */
		if (fired->has_rows)
			add_candidate(gather, &row, 0, ROWS_OF_CONTACT, byval, len);
	}
	for (int c = 0; is_update && c < fired->ncolumns; c++)
		if (fired->is_read[c] && is_changed(trigdata, fired->columns[c]))
			gather_changed(gather, &row, fired->digests[c], attached, byval, len);
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
	int32		source_id;

	if (trigger->tgnargs == 1 && strcmp(trigger->tgargs[0], "contact") == 0)
		return CONTACTS_SOURCE;
	if (trigger->tgnargs != 2 || strcmp(trigger->tgargs[0], "activity") != 0)
		protocol_error("capture must be fired with the arguments of an attached table");
	source_id = strtol(trigger->tgargs[1], NULL, 10);
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
	else if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		protocol_error("capture of activities must be fired for INSERT");
	return source_id;
}

/* Gathering one row. */
static void
gather_row(Gathering *gather, TriggerData *trigdata, int32 source_id)
{
	/* rows of one statement are of one mind; of one row look_up sees to it */
	if (gather->has_rows)
		ls_streams_settle_state(gather->settlement.set);
	gather->has_rows = true;
	if (source_id == CONTACTS_SOURCE)
		gather_contact(gather, trigdata);
	else
		gather_activity(gather, trigdata, source_id);
}

/*
 * Settle one row by itself, with the streams that the first row of its
 * statement met.
 */
static void
settle_row(TriggerData *trigdata, int32 source_id)
{
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
		trigdata->tg_newtuple : trigdata->tg_trigtuple;
	CommandId	command = row_command(trigdata->tg_relation, tuple);
	Gathering	   *gather;

	if (loose.set == NULL || loose.lxid != LS_MY_LXID ||
		loose.command != command)
	{
		StreamSet  *set = ls_streams_pin();

		if (loose.set)
			ls_streams_unpin(loose.set);
		loose.set = set;
		loose.lxid = LS_MY_LXID;
		loose.command = command;
	}
	if (loose.set == NULL)
		return;

	ls_streams_share(loose.set);
	gather = open_gather(loose.set, source_id);
	gather_row(gather, trigdata, source_id);
	close_gather(gather);
}

/*
 * capture('contact') and capture('activity', source_id): BEFORE STATEMENT,
 * AFTER ROW and AFTER STATEMENT.
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
			return PointerGetDatum(NULL);
		register_callbacks();
		set = ls_streams_pin();
		if (set)
			open_gather(set, source_id);
		return PointerGetDatum(NULL);
	}

	gather = find_gather(source_id);
	if (TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
	{
		if (gather)
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
