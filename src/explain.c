/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  Why is a contact a lead, or why not?  The conditions of a rule one by
 *	  one, each with its truth, what it saw and when time alone turns it.
 *
 * The answer is the timeline of the rule (rule_timeline.c), by the program
 * that judges live and by the clock, only that the rule is bound apart: each
 * condition is a test of its own.  In the program negation is pushed down and
 * what is cheap comes first; here the rule is walked as it was written, beside
 * the bound tree, whose ands and ors have their kids in the same order.  What
 * the program knows of a condition under an odd number of nots is the
 * contrary of what is said of it here.
 *
 * What is missing is told by the ways in which the rule could come true.  A
 * way takes all kids of a false "and" and one of a false "or"; a condition is
 * as near as the shortest way through it is long, and of equally near ones
 * that comes first which is the least off.
 *
 * The caller sees nothing that he could not select: rows and contacts that row
 * security hides from him are left out before anything is done with them, and
 * matches are shown to who may read the view of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "contact_arg.h"
#include "guc.h"
#include "judge.h"
#include "owner_sql.h"
#include "rule_text.h"
#include "seen.h"
#include "segment.h"

PG_FUNCTION_INFO_V1(leadstream_explain_rule);
PG_FUNCTION_INFO_V1(leadstream_explain_stream);

/* Characters of a line for people: psql adds two blanks, maybe a sign. */
#define LINE_WIDTH		77

/* Levels of the tree that are indented. */
#define LINE_LEVELS		12

/* Longer than any way: there is no way through the word false. */
#define NO_WAY			1000000

/* A row of the answer that stands for a part of the rule. */
typedef struct Condition
{
	struct Condition *kids;
	int			nkids;
	BoundKind	kind;
	int			number;			/* in the order of reading, from 1 */
	int			depth;
	bool		is_true;
	bool		is_wanted;		/* is it what the rule wants it to be? */
	TimestampTz since;			/* DT_NOBEGIN: always */
	TimestampTz until;			/* DT_NOEND: for ever */
	char	   *text;
	Seen		seen;
	bool		is_constant;
	int			shortest;		/* conditions that keep it from being wanted,
								 * by the shortest way */
	int			distance;		/* how long is the shortest way through it? */
	int			missing;		/* its place among those that are missing; 0:
								 * it is not */
} Condition;

/* What is being explained to whom. */
typedef struct Explanation
{
	ReturnSetInfo *rsinfo;
	ContactSource *contacts;
	SeenSource	source;
	int			nconditions;
	int			nmissing;
	SPIPlanPtr	probe;			/* see row_is_visible */
	Oid			probe_relid;
} Explanation;


/* -------------------------------------------------------------------------
 * The tree
 * -------------------------------------------------------------------------
 */

/* What the program found out of a part of the bound tree. */
static const NodeTimeline *
timeline_of_kid(const NodeTimeline *parent, const BoundNode *kid)
{
	for (int i = 0; i < parent->node->nkids; i++)
		if (parent->kids[i].node->bound == kid)
			return &parent->kids[i];
	elog(ERROR, "a condition of the rule is not in its program");	/* cannot happen */
}

/* Since when is it what it is, and until when? */
static void
place_clock(Condition *condition, SpanSet when, TimestampTz clock)
{
	condition->is_true = ls_spans_contain(&when, clock);
	if (!condition->is_true)
		when = ls_spans_complement(&when);
	for (int i = 0; i < when.n; i++)
		if (when.spans[i].from <= clock && clock < when.spans[i].upto)
		{
			condition->since = when.spans[i].from;
			condition->until = when.spans[i].upto;
			return;
		}
	elog(ERROR, "the clock is at no instant");	/* cannot happen */
}

static bool
is_junction(const RuleNode *node)
{
	return node->kind == RULE_AND || node->kind == RULE_OR;
}

/*
 * Describe a part of the rule, of which the program has the timeline; the
 * contrary of it if it is negated.
 */
static void
describe(Explanation *explanation, const RuleNode *node, const NodeTimeline *timeline,
		 bool negated, int depth, Condition *result)
{
	const RuleNode *inner = node;
	StringInfoData text;

	check_stack_depth();
	memset(result, 0, sizeof(Condition));
	result->number = ++explanation->nconditions;
	result->depth = depth;
	place_clock(result, negated ? ls_spans_complement(&timeline->when) : timeline->when,
				explanation->source.clock);
	result->is_wanted = result->is_true != negated;
	initStringInfo(&text);

	if (is_junction(node))
	{
		int			ntrue = 0;

		result->kind = timeline->node->bound->kind;
		result->nkids = node->nkids;
		result->kids = palloc(sizeof(Condition) * node->nkids);
		for (int i = 0; i < node->nkids; i++)
		{
			BoundNode  *kid = list_nth(timeline->node->bound->kids, i);

			describe(explanation, ls_rule_kid(node, i), timeline_of_kid(timeline, kid),
					 negated, depth + 1, &result->kids[i]);
			ntrue += result->kids[i].is_true;
		}
		appendStringInfoString(&text, node->kind == RULE_AND ? "and" : "or");
		result->seen.value = psprintf("%d of %d true", ntrue, result->nkids);
	}
	else
	{
		/* "not" before one condition is part of it */
		while (inner->kind == RULE_NOT)
			inner = ls_rule_kid(inner, 0);
		if (is_junction(inner))
		{
			/* the tests below are negated already */
			result->kind = BOUND_AND;
			result->nkids = 1;
			result->kids = palloc(sizeof(Condition));
			describe(explanation, ls_rule_kid(node, 0), timeline, !negated, depth + 1,
					 result->kids);
			appendStringInfoString(&text, "not");
		}
		else
		{
			result->kind = BOUND_TEST;
			result->is_constant = inner->kind == RULE_ALONE &&
				ls_rule_kid(inner, 0)->kind == RULE_BOOLEAN;
			ls_rule_node_text(&text, node);
			ls_seen_tell(&explanation->source, inner, &result->seen);
		}
	}
	result->text = text.data;
}


/* -------------------------------------------------------------------------
 * What is missing
 * -------------------------------------------------------------------------
 */

/* How many conditions must change for this one to be wanted? */
static int
find_shortest(Condition *condition)
{
	int			sum = 0;
	int			least = NO_WAY;

	if (condition->kind == BOUND_TEST)
		condition->shortest = condition->is_wanted ? 0 : condition->is_constant ? NO_WAY : 1;
	else
	{
		for (int i = 0; i < condition->nkids; i++)
		{
			int			kid = find_shortest(&condition->kids[i]);

			sum = Min(sum + kid, NO_WAY);
			least = Min(least, kid);
		}
		condition->shortest = condition->kind == BOUND_AND ? sum : least;
	}
	return condition->shortest;
}

/*
 * Note the distance of all tests that have to change for this condition to be
 * wanted, which takes so many others elsewhere.
 */
static void
find_distances(Condition *condition, int others, Condition **missing, int *nmissing)
{
	if (condition->is_wanted)
		return;
	if (condition->is_constant)
		return;
	if (condition->kind == BOUND_TEST)
	{
		condition->distance = others + condition->shortest;
		missing[(*nmissing)++] = condition;
		return;
	}
	for (int i = 0; i < condition->nkids; i++)
		find_distances(&condition->kids[i],
					   condition->kind == BOUND_AND ?
					   others + condition->shortest - condition->kids[i].shortest : others,
					   missing, nmissing);
}

static int
cmp_missing(const void *a, const void *b)
{
	const Condition *l = *(Condition *const *) a;
	const Condition *r = *(Condition *const *) b;

	if (l->distance != r->distance)
		return l->distance < r->distance ? -1 : 1;
	if (l->seen.gap != r->seen.gap)
		return l->seen.gap < r->seen.gap ? -1 : 1;
	return l->number - r->number;
}

/* Number the conditions that keep the rule from being true, nearest first. */
static void
number_missing(Explanation *explanation, Condition *root)
{
	Condition **missing = palloc(sizeof(Condition *) * explanation->nconditions);

	(void) find_shortest(root);
	find_distances(root, 0, missing, &explanation->nmissing);
	qsort(missing, explanation->nmissing, sizeof(Condition *), cmp_missing);
	for (int i = 0; i < explanation->nmissing; i++)
		missing[i]->missing = i + 1;
}


/* -------------------------------------------------------------------------
 * Lines for people
 * -------------------------------------------------------------------------
 */

/*
 * Append words, broken at blanks, behind so many blanks in every line.  What is
 * no blank but looks like one, such as a line feed in a literal, becomes one.
 */
static void
put_wrapped(StringInfo line, const char *words, int first_indent, int indent)
{
	bool		is_first = true;

	while (*words)
	{
		int			room = LINE_WIDTH - (is_first ? first_indent : indent);
		int			bytes = 0;
		int			last_blank = 0;
		int			width = 0;

		while (words[bytes] != '\0')
		{
			width += (unsigned char) words[bytes] < ' ' ? 1 : Max(pg_dsplen(words + bytes), 0);
			if (width > room)
				break;
			if (words[bytes] == ' ')
				last_blank = bytes;
			bytes += pg_mblen(words + bytes);
		}
		if (words[bytes] != '\0' && words[bytes] != ' ' && last_blank > 0)
			bytes = last_blank;
		if (!is_first)
			appendStringInfo(line, "\n%*s", indent, "");
		for (int i = 0; i < bytes; i++)
			appendStringInfoChar(line, (unsigned char) words[i] < ' ' ? ' ' : words[i]);
		words += bytes;
		while (*words == ' ')
			words++;
		is_first = false;
	}
}

/* An instant that is not broken. */
static char *
instant_text(TimestampTz at)
{
	char	   *text = OidOutputFunctionCall(F_TIMESTAMPTZ_OUT, TimestampTzGetDatum(at));

	for (char *c = text; *c; c++)
		if (*c == ' ')
			*c = '\t';
	return text;
}

/* Append a fact behind others. */
static void
put_fact(StringInfo facts, const char *word, const char *fact)
{
	appendStringInfo(facts, "%s%s%s", facts->len > 0 ? ", " : "", word, fact);
}

static char *
condition_line(const Condition *condition)
{
	int			indent = 2 * Min(condition->depth, LINE_LEVELS);
	StringInfoData line;
	StringInfoData facts;

	initStringInfo(&line);
	initStringInfo(&facts);
	appendStringInfo(&line, "%*s%s ", indent, "", condition->is_true ? "[x]" : "[ ]");
	put_wrapped(&line, condition->text, indent + 4, indent + 6);
	if (condition->missing > 0)
		appendStringInfo(&facts, "%s (%d)", condition->is_true ? "in the way" : "missing",
						 condition->missing);
	if (condition->seen.value && facts.len > 0)
		appendStringInfo(&facts, ": %s", condition->seen.value);
	else if (condition->seen.value)
		appendStringInfoString(&facts, condition->seen.value);
	if (!TIMESTAMP_IS_NOBEGIN(condition->since))
		put_fact(&facts, "since\t", instant_text(condition->since));
	if (!TIMESTAMP_IS_NOEND(condition->until))
		put_fact(&facts, "until\t", instant_text(condition->until));
	if (facts.len > 0)
	{
		appendStringInfo(&line, "\n%*s", indent + 6, "");
		put_wrapped(&line, facts.data, indent + 6, indent + 6);
	}
	return line.data;
}


/* -------------------------------------------------------------------------
 * Rows of the answer
 * -------------------------------------------------------------------------
 */

/* The columns, as schema/66_explain.sql has them. */
enum
{
	COL_NODE, COL_DEPTH, COL_MISSING, COL_IS_TRUE, COL_CONDITION, COL_VALUE,
	COL_SINCE, COL_UNTIL, COL_ROW_COUNT, COL_ROW_KEYS, COL_LINE, COLUMNS
};

static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	if (text)
		values[column] = CStringGetTextDatum(text);
}

static void
put_condition(Explanation *explanation, const Condition *condition)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS] = {0};

	CHECK_FOR_INTERRUPTS();
	values[COL_NODE] = Int32GetDatum(condition->number);
	values[COL_DEPTH] = Int32GetDatum(condition->depth);
	values[COL_MISSING] = Int32GetDatum(condition->missing);
	nulls[COL_MISSING] = condition->missing == 0;
	values[COL_IS_TRUE] = BoolGetDatum(condition->is_true);
	set_text(values, nulls, COL_CONDITION, condition->text);
	set_text(values, nulls, COL_VALUE, condition->seen.value);
	values[COL_SINCE] = TimestampTzGetDatum(condition->since);
	nulls[COL_SINCE] = TIMESTAMP_IS_NOBEGIN(condition->since);
	values[COL_UNTIL] = TimestampTzGetDatum(condition->until);
	nulls[COL_UNTIL] = TIMESTAMP_IS_NOEND(condition->until);
	values[COL_ROW_COUNT] = Int64GetDatum(condition->seen.nrows);
	nulls[COL_ROW_COUNT] = !condition->seen.has_rows;
	set_text(values, nulls, COL_ROW_KEYS, condition->seen.keys);
	set_text(values, nulls, COL_LINE, condition_line(condition));
	tuplestore_putvalues(explanation->rsinfo->setResult, explanation->rsinfo->setDesc,
						 values, nulls);
	for (int i = 0; i < condition->nkids; i++)
		put_condition(explanation, &condition->kids[i]);
}

/* A lead that the stream has made or found of the contact. */
static void
put_match(Explanation *explanation, const char *team, int64 lead_id, TimestampTz matched_at,
		  const char *origin, int32 rule_version, int32 current_version, const char *evidence)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS];
	StringInfoData line;
	char	   *what = psprintf("lead " INT64_FORMAT " of %s", lead_id, team);
	char	   *how = rule_version == current_version ?
		psprintf("%s match by version %d of the rule", origin, rule_version) :
		psprintf("%s match by version %d of the rule, which is now version %d", origin,
				 rule_version, current_version);

	memset(nulls, true, sizeof(nulls));
	values[COL_DEPTH] = Int32GetDatum(0);
	nulls[COL_DEPTH] = false;
	set_text(values, nulls, COL_CONDITION, what);
	set_text(values, nulls, COL_VALUE, how);
	values[COL_SINCE] = TimestampTzGetDatum(matched_at);
	nulls[COL_SINCE] = false;
	set_text(values, nulls, COL_ROW_KEYS, evidence ? psprintf("[%s]", evidence) : NULL);
	initStringInfo(&line);
	put_wrapped(&line, what, 0, 6);
	appendStringInfoString(&line, "\n      ");
	put_wrapped(&line, psprintf("%s, %s%s%s", how, instant_text(matched_at),
								evidence ? ", " : "", evidence ? evidence : ""), 6, 6);
	set_text(values, nulls, COL_LINE, line.data);
	tuplestore_putvalues(explanation->rsinfo->setResult, explanation->rsinfo->setDesc,
						 values, nulls);
}

/*
 * The matches of the stream and the contact.  Who may read the view of matches
 * may read them, by whatever way; the view itself would not find those of one
 * contact by an index whatever the type of the key.
 */
static void
put_matches(Explanation *explanation, int32 stream_id, int32 version, Datum key)
{
	Oid			view = ls_catalog_relid("matches");
	Oid			types[2] = {explanation->contacts->key_base, INT4OID};
	Datum		args[2] = {key, Int32GetDatum(stream_id)};
	OwnerState	owner;
	char	   *sql;

	if (!OidIsValid(view) ||
		pg_class_aclcheck(view, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
		!ls_owner_begin(&owner))
		return;
	sql = psprintf("select t.team, l.lead_id, m.matched_at, m.origin, m.rule_version, m.evidence::text"
				   " from leadstream.lead l"
				   " join leadstream.lead_match m on m.lead_id = l.lead_id and m.stream_id = $2"
				   " join leadstream.team t on t.team_id = l.team_id"
				   " where l.contact_id %s $1 order by t.team",
				   ls_catalog_key_operator(explanation->contacts));
	if (SPI_execute_with_args(sql, 2, types, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		put_match(explanation, SPI_getvalue(tuple, desc, 1),
				  DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull)),
				  DatumGetTimestampTz(SPI_getbinval(tuple, desc, 3, &isnull)),
				  SPI_getvalue(tuple, desc, 4),
				  DatumGetInt32(SPI_getbinval(tuple, desc, 5, &isnull)), version,
				  SPI_getvalue(tuple, desc, 6));
	}
	ls_owner_end(&owner);
}


/* -------------------------------------------------------------------------
 * Row security
 * -------------------------------------------------------------------------
 */

/* Does the caller see the row that is stored here? */
static bool
row_is_visible(Explanation *explanation, Oid table, Oid relid, const ItemPointerData *tid)
{
	Datum		args[2] = {ObjectIdGetDatum(relid), PointerGetDatum(tid)};
	bool		result;

	if (check_enable_rls(table, InvalidOid, true) != RLS_ENABLED)
		return true;
	if (explanation->probe == NULL || explanation->probe_relid != table)
	{
		Oid			types[2] = {OIDOID, TIDOID};
		char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
													  get_rel_name(table));

		if (explanation->probe)
			SPI_freeplan(explanation->probe);
		explanation->probe =
			SPI_prepare(psprintf("select from %s r where r.tableoid operator(pg_catalog.=) $1"
								 " and r.ctid operator(pg_catalog.=) $2", name), 2, types);
		if (explanation->probe == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		explanation->probe_relid = table;
	}
	if (SPI_execute_plan(explanation->probe, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_plan failed");
	result = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return result;
}

static bool
activity_is_visible(void *arg, ActivitySource *source, Oid relid, const ItemPointerData *tid)
{
	return row_is_visible(arg, source->relid, relid, tid);
}


/* -------------------------------------------------------------------------
 * SQL
 * -------------------------------------------------------------------------
 */

/* Step to the contact; error unless the caller may know that it is there. */
static void
step_to_contact(Explanation *explanation, Datum key)
{
	Judge	   *judge = explanation->source.judge;
	const char *account = ls_asked_account(explanation->contacts);
	Oid			output;
	bool		is_varlena;

	if (ls_judge_contact(judge, key) &&
		(account == NULL || strcmp(ls_judge_account(judge), account) == 0) &&
		(judge->filter == NULL ||
		 row_is_visible(explanation, explanation->contacts->relid,
						judge->contact->tts_tableOid, &judge->contact->tts_tid)))
		return;
	getTypeOutputInfo(explanation->contacts->key_type, &output, &is_varlena);
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("contact \"%s\" does not exist", OidOutputFunctionCall(output, key)),
			 errdetail("There is no such \"%s\" in table \"%s\"%s.",
					   explanation->contacts->key_name,
					   get_rel_name(explanation->contacts->relid),
					   account ? " for the current account" : "")));
}

/* Does the rule ask for the contact's leads, which are read without asking anybody? */
static bool
speaks_of_leads(const BoundRule *bound)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, bound->aggregates)
		foreach(lc2, ((BoundAggregate *) lfirst(lc))->sources)
			if (((BoundSource *) lfirst(lc2))->source->origin == SOURCE_LEADS)
				return true;
	return false;
}

/* Explain a rule; of a stream (its id is not 0) show its matches too. */
static void
explain(FunctionCallInfo fcinfo, ContactSource *contacts, const Rule *rule, int32 stream_id,
		int32 version)
{
	Explanation explanation = {.contacts = contacts};
	SeenSource *source = &explanation.source;
	BoundRule  *bound;
	Datum		key = ls_contact_arg(fcinfo, 1, contacts);
	Condition	root;

	ls_segments_check_rights(rule);
	rule = ls_segments_put(rule, contacts->account_name ? ls_guc_account : "", NULL);
	bound = ls_rule_bind_apart(rule, contacts, ls_catalog_activities());
	ls_rule_check_rights(bound);
	InitMaterializedSRF(fcinfo, 0);
	explanation.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	source->bound = bound;
	source->program = ls_program_make(bound);
	source->clock = ls_clock_of_statement();
	source->judge = ls_judge_begin(contacts, GetActiveSnapshot(), source->clock,
								   InvalidCommandId, InvalidOid);
	if (ls_rule_has_rls(bound))
	{
		if (speaks_of_leads(bound))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a rule that speaks of leads cannot be explained under row security")));
		source->judge->filter = activity_is_visible;
		source->judge->filter_arg = &explanation;
	}
	step_to_contact(&explanation, key);
	source->timeline = ls_judge_timeline(source->judge, source->program, DT_NOBEGIN, true);

	describe(&explanation, ls_rule_root(rule), &source->timeline->root, false, 0, &root);
	number_missing(&explanation, &root);
	put_condition(&explanation, &root);
	ls_seen_end(source);
	if (stream_id != 0)
		put_matches(&explanation, stream_id, version, ls_judge_key(source->judge));
	ls_judge_end(source->judge);
}

/* explain(rule, contact "any") */
Datum
leadstream_explain_rule(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		InitMaterializedSRF(fcinfo, 0);
		return (Datum) 0;
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	explain(fcinfo, ls_catalog_need_contacts(), PG_GETARG_RULE_P(0), 0, 0);
	SPI_finish();
	return (Datum) 0;
}

/* explain(stream, contact "any") */
Datum
leadstream_explain_stream(PG_FUNCTION_ARGS)
{
	Oid			types[1] = {TEXTOID};
	Datum		args[1];
	ContactSource *contacts;
	HeapTuple	tuple;
	TupleDesc	desc;
	bool		isnull;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		InitMaterializedSRF(fcinfo, 0);
		return (Datum) 0;
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	contacts = ls_catalog_need_contacts();
	args[0] = PG_GETARG_DATUM(0);
	if (SPI_execute_with_args("select s.stream_id, s.rule_version, s.rule"
							  " from leadstream._stream($1, false, false) s",
							  1, types, args, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "SPI_execute_with_args failed");
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	explain(fcinfo, contacts, DatumGetRuleP(SPI_getbinval(tuple, desc, 3, &isnull)),
			DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull)),
			DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull)));
	SPI_finish();
	return (Datum) 0;
}
