/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Rules asked from SQL: do they bind, whom are they true of, and the leads
 *	  of the past.
 *
 * Everything that looks at more than one contact is the query of rule_sql.c,
 * run by the executor with the caller's own rights, so that the planner does
 * the work and row security holds.  make_history first waits for the writers
 * whose rows neither the live path nor its own snapshot would see (writers.c),
 * then reads under the latest snapshot, whatever the transaction's isolation
 * level, and delivers like a live match does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "contact_arg.h"
#include "deliver.h"
#include "guc.h"
#include "rule_eval.h"
#include "rule_sql.h"
#include "stream_cache.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(leadstream_clock);
PG_FUNCTION_INFO_V1(leadstream_check_rule);
PG_FUNCTION_INFO_V1(leadstream_check_only);
PG_FUNCTION_INFO_V1(leadstream_rule_problem);
PG_FUNCTION_INFO_V1(leadstream_rule_kinds);
PG_FUNCTION_INFO_V1(leadstream_rule_sql);
PG_FUNCTION_INFO_V1(leadstream_is_match);
PG_FUNCTION_INFO_V1(leadstream_make_history);

/* The clock of functions that only read: one instant for a whole statement. */
static TimestampTz
reading_clock(void)
{
	TimestampTz clock;

	return ls_clock_is_set(&clock) ? clock : GetCurrentStatementStartTimestamp();
}

Datum
leadstream_clock(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(reading_clock());
}

/* The account whose contacts a rule is asked of, or NULL: everybody's. */
static const char *
asked_account(const ContactSource *contacts)
{
	return contacts->account_name && ls_guc_account[0] ? ls_guc_account : NULL;
}

static BoundRule *
bind_now(const Rule *rule)
{
	return ls_rule_bind(rule, ls_catalog_contacts(), ls_catalog_activities());
}

/* Bind and compile a rule with the caller's rights; an error if it cannot be. */
Datum
leadstream_check_rule(PG_FUNCTION_ARGS)
{
	BoundRule  *bound = bind_now(PG_GETARG_RULE_P(0));

	ls_rule_check_rights(bound);
	(void) ls_program_make(bound);
	PG_RETURN_VOID();
}

/* Bind an "only" filter to a table that is about to be attached. */
Datum
leadstream_check_only(PG_FUNCTION_ARGS)
{
	ActivitySource source = {0};
	ContactSource *contacts = ls_catalog_need_contacts();

	source.relid = PG_GETARG_OID(0);
	source.kind = "";
	(void) ls_rule_bind_only(PG_GETARG_RULE_P(1), &source, contacts);
	PG_RETURN_VOID();
}

/*
 * Why a rule does not bind, or NULL.  Runs in a subtransaction, so that a view
 * can show the reason.
 */
Datum
leadstream_rule_problem(PG_FUNCTION_ARGS)
{
	Rule	   *rule = PG_GETARG_RULE_P(0);
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	char	   *volatile problem = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcxt);
	PG_TRY();
	{
		(void) ls_program_make(bind_now(rule));
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(oldcxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcxt);
		CurrentResourceOwner = oldowner;
		if (ls_error_is_fatal(error))
			ReThrowError(error);
		problem = error->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcxt);
	CurrentResourceOwner = oldowner;

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}

Datum
leadstream_rule_kinds(PG_FUNCTION_ARGS)
{
	List	   *names = ls_rule_kind_names(PG_GETARG_RULE_P(0));
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(names), 1));
	ListCell   *lc;

	foreach(lc, names)
		elems[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	PG_RETURN_ARRAYTYPE_P(construct_array(elems, list_length(names), TEXTOID, -1,
										  false, TYPALIGN_INT));
}

Datum
leadstream_rule_sql(PG_FUNCTION_ARGS)
{
	BoundRule  *bound = bind_now(PG_GETARG_RULE_P(0));

	PG_RETURN_TEXT_P(cstring_to_text(ls_rule_to_sql(bound, asked_account(bound->contacts))));
}

/* ----------
 * is_match
 * ----------
 */

/* A rule compiled once for all calls of one expression. */
typedef struct MatchCache
{
	MemoryContext mcxt;
	Rule	   *rule;
	BoundRule  *bound;
	RuleProgram *program;
	bool		has_rls;
	List	   *relids;			/* tables it reads, */
	uint64		shape;			/* and what they were like */
} MatchCache;

static List *
tables_of(const BoundRule *bound)
{
	List	   *relids = list_make1_oid(bound->contacts->relid);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, bound->aggregates)
		foreach(lc2, ((BoundAggregate *) lfirst(lc))->sources)
			relids = list_append_unique_oid(relids, ((BoundSource *) lfirst(lc2))->source->relid);
	return relids;
}

static MatchCache *
match_cache(FunctionCallInfo fcinfo, Rule *rule)
{
	MatchCache *cache = fcinfo->flinfo->fn_extra;
	MemoryContext oldcxt;
	ListCell   *lc;

	/* between two calls somebody may have altered a table */
	foreach(lc, cache ? cache->relids : NIL)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	if (cache && VARSIZE(cache->rule) == VARSIZE(rule) &&
		memcmp(cache->rule, rule, VARSIZE(rule)) == 0 &&
		ls_tables_shape(cache->relids) == cache->shape)
		return cache;
	if (cache)
		MemoryContextDelete(cache->mcxt);
	fcinfo->flinfo->fn_extra = NULL;

	oldcxt = MemoryContextSwitchTo(AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
														 "leadstream is_match",
														 ALLOCSET_DEFAULT_SIZES));
	cache = palloc0(sizeof(MatchCache));
	cache->mcxt = CurrentMemoryContext;
	cache->rule = (Rule *) palloc(VARSIZE(rule));
	memcpy(cache->rule, rule, VARSIZE(rule));
	cache->bound = bind_now(cache->rule);
	ls_rule_check_rights(cache->bound);
	cache->program = ls_program_make(cache->bound);
	/* they are locked now, until the end of the transaction */
	cache->relids = tables_of(cache->bound);
	cache->shape = ls_tables_shape(cache->relids);
	/* a contact that is hidden matches nothing, whatever the rule reads */
	cache->has_rls = check_enable_rls(cache->bound->contacts->relid, InvalidOid,
									  true) == RLS_ENABLED;
	foreach(lc, cache->bound->used_columns)
		if (check_enable_rls(((UsedColumn *) lfirst(lc))->relid, InvalidOid, true) == RLS_ENABLED)
			cache->has_rls = true;
	MemoryContextSwitchTo(oldcxt);
	fcinfo->flinfo->fn_extra = cache;
	return cache;
}

/* Ask the query instead: the executor knows the caller's row security. */
static bool
is_match_by_query(BoundRule *bound, Datum key, TimestampTz clock)
{
	Oid			types[2] = {bound->contacts->key_base, TIMESTAMPTZOID};
	Datum		values[2] = {key, TimestampTzGetDatum(clock)};
	char	   *sql = psprintf("select from (%s) h where contact_id %s $1 and timeline OPERATOR(pg_catalog.@>) $2",
							   ls_rule_to_sql(bound, asked_account(bound->contacts)),
							   ls_catalog_key_operator(bound->contacts));
	bool		result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, 2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed");
	result = SPI_processed > 0;
	SPI_finish();
	return result;
}

Datum
leadstream_is_match(PG_FUNCTION_ARGS)
{
	MatchCache *cache;
	const char *account;
	Datum		key;
	Judge	   *judge;
	bool		result = false;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	cache = match_cache(fcinfo, PG_GETARG_RULE_P(0));
	key = ls_contact_arg(fcinfo, 1, cache->bound->contacts);
	if (cache->has_rls)
		PG_RETURN_BOOL(is_match_by_query(cache->bound, key, reading_clock()));
	judge = ls_judge_begin(cache->bound->contacts, GetActiveSnapshot(), reading_clock(),
						   InvalidCommandId, InvalidOid);
	account = asked_account(cache->bound->contacts);
	if (ls_judge_contact(judge, key) &&
		(account == NULL || strcmp(ls_judge_account(judge), account) == 0))
		result = ls_judge_program(judge, cache->program, NULL);
	ls_judge_end(judge);
	PG_RETURN_BOOL(result);
}

/* ----------
 * The leads of the past.
 * ----------
 */

/* A stream whose past is fetched. */
typedef struct PastStream
{
	StreamRow  *row;
	BoundRule  *bound;
} PastStream;

/*
 * Was the stream enabled in this very transaction?  Then no writer that is in
 * flight can have seen it, nor can one that comes until we commit: they are
 * held off by a SHARE lock, which waits for those before as well.
 */
static bool
enabled_here(int32 stream_id)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(stream_id)};
	bool		result;

	if (SPI_execute_with_args("select from leadstream.stream where stream_id operator(pg_catalog.=) $1 and enabled_xid operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned()",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed");
	result = SPI_processed > 0;
	return result;
}

/* Find the contacts of one stream and their first instants, and deliver. */
static void
fetch_stream(PastStream *past, Snapshot snapshot, TimestampTz clock,
			 DeliverCounts *counts)
{
	Oid			types[1] = {TIMESTAMPTZOID};
	Datum		values[1] = {TimestampTzGetDatum(clock)};
	ContactSource *contacts = past->bound->contacts;
	SPIPlanPtr	plan;
	char	   *sql;
	DeliverMatch *matches;
	uint64		n;

	sql = psprintf("/* leadstream history */ select contact_id, first_at from "
				   "(select contact_id, leadstream.first_instant(timeline, $1) as first_at from\n"
				   "(%s) h offset 0) f where first_at is not null",
				   ls_rule_to_sql(past->bound, contacts->account_name ? past->row->account : NULL));
	plan = SPI_prepare_cursor(sql, 1, types, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_snapshot failed");

	n = SPI_processed;
	matches = palloc_extended(sizeof(DeliverMatch) * Max(n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		/* keys stay in SPI_tuptable, which lives until SPI_finish */
		matches[i].key = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
									   1, &isnull);
		matches[i].stream = past->row;
		matches[i].matched_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i],
																  SPI_tuptable->tupdesc,
																  2, &isnull));
	}
	ls_deliver_history(contacts, matches, n, snapshot, clock, counts);
}

Datum
leadstream_make_history(PG_FUNCTION_ARGS)
{
	ArrayType  *ids = PG_GETARG_ARRAYTYPE_P(0);
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	List	   *pasts = NIL;
	List	   *wait_for = NIL;
	List	   *lock = NIL;
	ListCell   *lc;
	DeliverCounts counts = {0, 0};
	Snapshot	snapshot;
	TimestampTz clock;

	PreventCommandIfReadOnly("leadstream.fetch_history()");
	deconstruct_array(ids, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elems, &nulls, &n);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (int i = 0; i < n; i++)
	{
		PastStream *past = palloc0(sizeof(PastStream));
		List	   *relids;

		if (nulls[i] || (past->row = ls_stream_read(DatumGetInt32(elems[i]), NULL)) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("stream %d does not exist", nulls[i] ? 0 : DatumGetInt32(elems[i]))));
		ls_stream_check(past->row, true);
		past->bound = bind_now(past->row->rule);
		pasts = lappend(pasts, past);
		relids = tables_of(past->bound);
		if (enabled_here(past->row->stream_id))
			lock = list_concat_unique_oid(lock, relids);
		else
			wait_for = list_concat_unique_oid(wait_for, relids);
	}

	/* in one order for all, or two of us would deadlock */
	list_sort(lock, list_oid_cmp);
	foreach(lc, lock)
		LockRelationOid(lfirst_oid(lc), ShareLock);
	ls_writers_wait(list_difference_oid(wait_for, lock));

	/*
	 * A stream may have been disabled while we waited, and cleared already.
	 * With this lock clear() waits for us, so one that is enabled now cannot
	 * be cleared before its leads are there.
	 */
	if (OidIsValid(ls_catalog_relid("lead_match")))
		LockRelationOid(ls_catalog_relid("lead_match"), RowExclusiveLock);
	foreach(lc, pasts)
	{
		PastStream *past = lfirst(lc);
		StreamRow  *row = ls_stream_read(past->row->stream_id, NULL);

		if (row == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("stream %d does not exist", past->row->stream_id)));
		ls_stream_check(row, true);
	}

	clock = ls_clock_read();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	foreach(lc, pasts)
		fetch_stream(lfirst(lc), snapshot, clock, &counts);
	UnregisterSnapshot(snapshot);
	SPI_finish();
	PG_RETURN_INT64((int64) counts.leads);
}
