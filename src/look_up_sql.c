/*-------------------------------------------------------------------------
 *
 * look_up_sql.c
 *	  Lookups and what is remembered of them, for DBAs and tests.
 *
 * What a row is found to concern, asked without storing it, beside what it
 * concerns: the same question put to every stream.  The first must contain
 * the second, whatever the rules and the row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "lookup.h"
#include "program_rows.h"

PG_FUNCTION_INFO_V1(leadstream_look_up);
PG_FUNCTION_INFO_V1(leadstream_unkeyed_digest);
PG_FUNCTION_INFO_V1(leadstream_path_digest);
PG_FUNCTION_INFO_V1(leadstream_session_cache);
PG_FUNCTION_INFO_V1(leadstream_home);

/* The row that an argument is, which must be of the table's type. */
static TupleTableSlot *
row_argument(FunctionCallInfo fcinfo, int arg, Relation rel)
{
	HeapTupleHeader header;
	HeapTuple	tuple;
	TupleTableSlot *slot;

	header = PG_GETARG_HEAPTUPLEHEADER(arg);
	if (HeapTupleHeaderGetTypeId(header) != rel->rd_rel->reltype)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("row is not one of table \"%s\"", RelationGetRelationName(rel))));
	tuple = palloc0(sizeof(HeapTupleData));
	tuple->t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_data = header;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	return ExecStoreHeapTuple(tuple, slot, false);
}

/* Does a rule speak of a kind? */
static bool
reads_kind(RuleProgram *program, int32 source_id)
{
	for (int i = 0; i < program->naggregates; i++)
		for (int j = 0; j < program->aggregates[i].nsources; j++)
			if (program->aggregates[i].sources[j].source->source_id == source_id)
				return true;
	return false;
}

/* All streams that a row of a kind concerns, by asking each. */
static void
ask_each(StreamSet *set, ActivitySource *kind, TupleTableSlot *slot, IndexHits *hits)
{
	int			n;
	int32	   *ids = ls_stream_ids(&n);

	hits->n = 0;
	hits->room = Max(n, 1);
	hits->streams = palloc_extended(sizeof(int32) * (Size) hits->room, MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		CachedStream *stream;
		RuleProgram *program;

		CHECK_FOR_INTERRUPTS();
		ls_streams_trim(set);
		stream = ls_streams_get(set, ids[i]);
		if (stream && (program = ls_streams_program(set, stream)) != NULL &&
			(ls_program_is_foreign(program) ?
			 reads_kind(program, kind->source_id) :
			 ls_program_concerns(program, kind->source_id, slot)))
			hits->streams[hits->n++] = ids[i];
	}
}

/* The kind of a name, which must be attached. */
static ActivitySource *
find_kind(StreamSet *set, const char *name)
{
	for (int k = 0; k < set->nkinds; k++)
		if (strcmp(set->kinds[k]->kind, name) == 0)
			return set->kinds[k];
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("kind \"%s\" is not attached", name)));
}

static void
look_up(FunctionCallInfo fcinfo, StreamSet *set, IndexHits *hits)
{
	static Lookup found;
	ActivitySource *kind = PG_ARGISNULL(0) ? NULL :
		find_kind(set, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Relation	rel = table_open(kind ? kind->relid : set->contacts->relid,
								 AccessShareLock);
	TupleTableSlot *slot = row_argument(fcinfo, 1, rel);

	if (kind && PG_GETARG_BOOL(2))
		ask_each(set, kind, slot, hits);
	else
	{
		if (kind == NULL)
			ls_look_up_contact(set, ls_digest(DIGEST_INSERT, 0), slot, &found.hits);
		else
			ls_look_up_row(set, kind, slot, NULL, &found);
		if (kind && !PG_ARGISNULL(3))
		{
			Relation	contacts = table_open(set->contacts->relid, AccessShareLock);
			TupleTableSlot *contact = row_argument(fcinfo, 3, contacts);

			for (int i = 0; i < found.ndeeper; i++)
				ls_look_up_below(set, found.deeper[i], kind, contact, &found.hits);
			ExecDropSingleTupleTableSlot(contact);
			table_close(contacts, AccessShareLock);
		}
		*hits = found.hits;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
}

/*
 * look_up(kind, row, asking_each, contact): the ids of the streams that a row
 * of a kind, or with kind NULL a contact, may concern.
 */
Datum
leadstream_look_up(PG_FUNCTION_ARGS)
{
	StreamSet  *set;
	IndexHits	hits = {0};
	Datum	   *elems;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	set = ls_streams_pin();
	if (set == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT4OID));
	PG_TRY();
	{
		look_up(fcinfo, set, &hits);
	}
	PG_FINALLY();
	{
		ls_streams_unpin(set);
	}
	PG_END_TRY();

	elems = palloc_extended(sizeof(Datum) * (Size) Max(hits.n, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < hits.n; i++)
		elems[i] = Int32GetDatum(hits.streams[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elems, hits.n, INT4OID, 4, true,
										  TYPALIGN_INT));
}

/* unkeyed_digest(): where the streams stand that have no keys. */
Datum
leadstream_unkeyed_digest(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) ls_digest(DIGEST_UNKEYED, 0));
}

/* path_digest(path_id): where the streams stand that a path leads to. */
Datum
leadstream_path_digest(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) ls_digest(DIGEST_PATH, (uint64) PG_GETARG_INT64(0)));
}

/* session_cache(): what this session remembers of the streams. */
Datum
leadstream_session_cache(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CacheStats	stats;

	InitMaterializedSRF(fcinfo, 0);
	ls_streams_stats(&stats);
	for (int i = 0; i < lengthof(stats.parts); i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = CStringGetTextDatum(stats.parts[i].name);
		values[1] = Int64GetDatum(stats.parts[i].entries);
		values[2] = Int64GetDatum((int64) stats.parts[i].bytes);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* home(): see ls_stream_home. */
Datum
leadstream_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(ls_stream_home());
}
