/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Rules asked from SQL: do they bind, and whom are they true of.
 *
 * Everything that looks at more than one contact is the query of rule_sql.c,
 * run by the executor with the caller's own rights, so that the planner does
 * the work and row security holds.
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
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "contact_arg.h"
#include "guc.h"
#include "history_sql.h"
#include "rule_eval.h"
#include "rule_sql.h"
#include "segment.h"
#include "stream_cache.h"
#include "table_watch.h"

PG_FUNCTION_INFO_V1(leadstream_clock);
PG_FUNCTION_INFO_V1(leadstream_check_rule);
PG_FUNCTION_INFO_V1(leadstream_check_only);
PG_FUNCTION_INFO_V1(leadstream_rule_problem);
PG_FUNCTION_INFO_V1(leadstream_rule_kinds);
PG_FUNCTION_INFO_V1(leadstream_rule_sql);
PG_FUNCTION_INFO_V1(leadstream_history_sql);
PG_FUNCTION_INFO_V1(leadstream_period_sql);
PG_FUNCTION_INFO_V1(leadstream_instant_sql);
PG_FUNCTION_INFO_V1(leadstream_score_sql);
PG_FUNCTION_INFO_V1(leadstream_is_match);
PG_FUNCTION_INFO_V1(leadstream_live_matches);

Datum
leadstream_clock(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(ls_clock_of_statement());
}

/* The account whose segments are meant, where "" is the current one. */
static const char *
segment_account(const ContactSource *contacts, const char *account)
{
	if (contacts == NULL || contacts->account_name == NULL)
		return "";
	return account[0] ? account : ls_guc_account;
}

static BoundRule *
bind_for(const Rule *rule, const char *account)
{
	ContactSource *contacts = ls_catalog_need_contacts();

	return ls_rule_bind(ls_segments_put(rule, segment_account(contacts, account), NULL),
						contacts, ls_catalog_activities());
}

static BoundRule *
bind_now(const Rule *rule)
{
	return bind_for(rule, "");
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

/* A rule, and the account in which it is asked whether it binds. */
typedef struct Asked
{
	const Rule *rule;
	const char *account;
} Asked;

static void
make_program(void *arg)
{
	Asked	   *asked = arg;

	(void) ls_program_make(bind_for(asked->rule, asked->account));
}

/* Why a rule does not bind, or NULL: for a view to show. */
Datum
leadstream_rule_problem(PG_FUNCTION_ARGS)
{
	Asked		asked = {PG_GETARG_RULE_P(0), text_to_cstring(PG_GETARG_TEXT_PP(1))};
	ErrorData  *error = ls_attempt(make_program, &asked);

	if (error == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(error->message));
}

Datum
leadstream_rule_kinds(PG_FUNCTION_ARGS)
{
	const Rule *rule = PG_GETARG_RULE_P(0);
	const char *account = text_to_cstring(PG_GETARG_TEXT_PP(1));
	List	   *names;
	Datum	   *elems;
	ListCell   *lc;

	if (ls_rule_names_others(rule))
		rule = ls_segments_try(rule, segment_account(ls_catalog_contacts(), account), NULL);
	names = ls_rule_kind_names(rule);
	elems = palloc(sizeof(Datum) * Max(list_length(names), 1));
	foreach(lc, names)
		elems[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	PG_RETURN_ARRAYTYPE_P(construct_array(elems, list_length(names), TEXTOID, -1,
										  false, TYPALIGN_INT));
}

Datum
leadstream_rule_sql(PG_FUNCTION_ARGS)
{
	BoundRule  *bound = bind_now(PG_GETARG_RULE_P(0));

	ls_segments_check_rights(PG_GETARG_RULE_P(0));
	PG_RETURN_TEXT_P(cstring_to_text(ls_rule_to_sql(bound, ls_asked_account(bound->contacts))));
}

Datum
leadstream_history_sql(PG_FUNCTION_ARGS)
{
	BoundRule  *bound = bind_now(PG_GETARG_RULE_P(0));

	ls_segments_check_rights(PG_GETARG_RULE_P(0));
	PG_RETURN_TEXT_P(cstring_to_text(ls_rule_to_history_sql(bound,
															ls_asked_account(bound->contacts))));
}

/* _period_sql(rule, from timestamptz, to timestamptz) -> text */
Datum
leadstream_period_sql(PG_FUNCTION_ARGS)
{
	BoundRule  *bound = bind_now(PG_GETARG_RULE_P(0));
	SqlPeriod	period = {PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TIMESTAMPTZ(2)};

	ls_segments_check_rights(PG_GETARG_RULE_P(0));
	PG_RETURN_TEXT_P(cstring_to_text(ls_rule_to_period_sql(bound,
														   ls_asked_account(bound->contacts),
														   &period)));
}

/* _score_sql(rule, at timestamptz) -> text; for whoever may read what it names */
Datum
leadstream_score_sql(PG_FUNCTION_ARGS)
{
	BoundRule  *bound = bind_now(PG_GETARG_RULE_P(0));
	char	   *sql;

	ls_segments_check_rights(PG_GETARG_RULE_P(0));
	sql = ls_rule_to_score_sql(bound, ls_asked_account(bound->contacts),
							   PG_GETARG_TIMESTAMPTZ(1));
	if (sql == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the rule compares no score")));
	PG_RETURN_TEXT_P(cstring_to_text(sql));
}

/* _instant_sql(rule, at timestamptz) -> text */
Datum
leadstream_instant_sql(PG_FUNCTION_ARGS)
{
	BoundRule  *bound = bind_now(PG_GETARG_RULE_P(0));

	ls_segments_check_rights(PG_GETARG_RULE_P(0));
	PG_RETURN_TEXT_P(cstring_to_text(ls_rule_to_instant_sql(bound,
															ls_asked_account(bound->contacts),
															PG_GETARG_TIMESTAMPTZ(1))));
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
		{
			ActivitySource *source = ((BoundSource *) lfirst(lc2))->source;

			if (!ls_source_is_own(source))
				relids = list_append_unique_oid(relids, source->relid);
		}
	return relids;
}

static MatchCache *
match_cache(FunctionCallInfo fcinfo, const Rule *rule)
{
	MatchCache *cache = fcinfo->flinfo->fn_extra;
	MemoryContext oldcxt;
	ListCell   *lc;

	/* between two calls somebody may have altered what it names */
	if (ls_rule_names_others(rule))
		rule = ls_segments_put(rule, segment_account(ls_catalog_need_contacts(), ""), NULL);
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
	cache->has_rls = ls_rule_has_rls(cache->bound);
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
							   ls_rule_to_sql(bound, ls_asked_account(bound->contacts)),
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
		PG_RETURN_BOOL(is_match_by_query(cache->bound, key, ls_clock_of_statement()));
	judge = ls_judge_begin(cache->bound->contacts, GetActiveSnapshot(), ls_clock_of_statement(),
						   InvalidCommandId, InvalidOid);
	account = ls_asked_account(cache->bound->contacts);
	if (ls_judge_contact(judge, key) &&
		(account == NULL || strcmp(ls_judge_account(judge), account) == 0))
		result = ls_judge_program(judge, cache->program, NULL);
	ls_judge_end(judge);
	PG_RETURN_BOOL(result);
}

/* Contacts that _live_matches() takes from its query at a time. */
#define LIVE_BATCH	1000

/*
 * _live_matches(rule, anyelement) -> setof (contact_id anyelement): whom
 * is_match() is true of, all judged in one reading.  The second argument says
 * nothing but the type of the contacts' key.
 */
Datum
leadstream_live_matches(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext mcxt = CurrentMemoryContext;
	MatchCache *cache;
	ContactSource *contacts;
	const char *account;
	StringInfoData sql;
	Portal		portal;
	Judge	   *judge;
	uint64		n;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	cache = match_cache(fcinfo, PG_GETARG_RULE_P(0));
	contacts = cache->bound->contacts;
	if (getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 1)) != contacts->key_base)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the key of the contacts is of type %s",
						format_type_be(contacts->key_type))));
	account = ls_asked_account(contacts);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	initStringInfo(&sql);
	/* the executor knows the caller's row security */
	if (cache->has_rls)
		appendStringInfoString(&sql, ls_rule_to_instant_sql(cache->bound, account,
															ls_clock_of_statement()));
	else
	{
		appendStringInfo(&sql, "select %s from %s", quote_identifier(contacts->key_name),
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(contacts->relid)),
													get_rel_name(contacts->relid)));
		if (account)
			appendStringInfo(&sql, " where %s::pg_catalog.text OPERATOR(pg_catalog.=) %s",
							 quote_identifier(contacts->account_name),
							 quote_literal_cstr(account));
	}
	portal = SPI_cursor_open_with_args(NULL, sql.data, 0, NULL, NULL, NULL, true, 0);
	judge = ls_judge_begin(contacts, GetActiveSnapshot(), ls_clock_of_statement(),
						   InvalidCommandId, InvalidOid);
	do
	{
		SPITupleTable *table;

		SPI_cursor_fetch(portal, true, LIVE_BATCH);
		table = SPI_tuptable;
		n = SPI_processed;
		for (uint64 i = 0; i < n; i++)
		{
			bool		isnull;
			Datum		key = SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull);

			CHECK_FOR_INTERRUPTS();
			if (isnull)
				continue;
			if (cache->has_rls ||
				(ls_judge_contact(judge, key) &&
				 ls_judge_program(judge, cache->program, NULL)))
			{
				MemoryContext oldcxt = MemoryContextSwitchTo(mcxt);

				tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &key, &isnull);
				MemoryContextSwitchTo(oldcxt);
			}
		}
		SPI_freetuptable(table);
	} while (n > 0);
	ls_judge_end(judge);
	SPI_cursor_close(portal);
	SPI_finish();
	return (Datum) 0;
}
