/*-------------------------------------------------------------------------
 *
 * segment.c
 *	  Rules kept by name, and rules with these in their places.
 *
 * segment('name') is a condition that stands for a rule kept in the table
 * leadstream.segment.  Before a rule is bound, the trees of the segments take
 * the places of the calls, and of the calls in them; whatever comes after, the
 * binder and all that judges, sees a rule without segments.  So a segment
 * means the same everywhere, and what is kept of a rule is told apart from
 * what it was under other segments by its bytes.
 *
 * A score, score('name') or score(), has the conditions that earn points put
 * into it (score.h), score('name', 10 where ..., 5 where ...).  One that earns
 * none is told from a call by a condition that is never true.
 *
 * What comes out is a rule like any other: chains of "and" and of "or" are one
 * node each, and it is within the limits of a rule that was written by hand,
 * so that it can be stored and dumped.
 *
 * Read like a system catalog, under the snapshot by which the stream was read.
 * Everything is allocated in the caller's context, the garbage of it aside.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "catalog.h"
#include "compat.h"
#include "rule_build.h"
#include "rule_text.h"
#include "score.h"
#include "segment.h"

PG_FUNCTION_INFO_V1(leadstream_rule_segments);
PG_FUNCTION_INFO_V1(leadstream_expand_rule);
PG_FUNCTION_INFO_V1(leadstream_rename_segment);
PG_FUNCTION_INFO_V1(leadstream_rule_scores);
PG_FUNCTION_INFO_V1(leadstream_rename_score);

/* What may be in the way. */
typedef enum Obstacle
{
	OBSTACLE_NONE,
	OBSTACLE_MISSING,			/* there is no such segment */
	OBSTACLE_CYCLE,				/* a segment contains itself */
	OBSTACLE_NO_SET,			/* there is no such score set */
	OBSTACLE_SCORE,				/* a score is made of a score */
	OBSTACLE_DEPTH,
	OBSTACLE_PARTS,
	OBSTACLE_LENGTH
} Obstacle;

/* One rule on its way. */
typedef struct Expansion
{
	const char *account;
	Snapshot	snapshot;
	List	   *within;			/* names of the segments we are in, the
								 * outermost first */
	bool		is_where;		/* inside a where */
	bool		is_score;		/* inside a score */
	bool		is_kept;		/* the result must be what its text says */
	List	   *scores;			/* of RuleItem *: those that were looked up */
	int			nparts;
	Obstacle	obstacle;
	const char *name;			/* of the segment that is missing, or is in
								 * itself; or of the score set */
	const char *from;			/* nothing is put in its place, but what has
								 * this name gets another; NULL: not so */
	const char *to;
	RuleKind	renamed;		/* of the calls that do: RULE_SEGMENT or, of
								 * scores, RULE_AGGREGATE */
} Expansion;

static RuleItem *expand_condition(Expansion *x, const RuleNode *node);

/* ----------
 * What a rule names.
 * ----------
 */

/* A score whose conditions are not written out? */
static bool
is_score_call(const RuleNode *node)
{
	return node->kind == RULE_AGGREGATE && node->op == RULE_AGG_SCORE && node->nkids == 0;
}

/* Add the names of segments, or of score sets: of all of them it is "". */
static void
add_names(List **names, const RuleNode *node, RuleKind kind)
{
	ListCell   *lc;

	check_stack_depth();
	if (kind == RULE_SEGMENT ? node->kind == RULE_SEGMENT : is_score_call(node))
	{
		foreach(lc, *names)
			if (strcmp(lfirst(lc), ls_rule_text(node)) == 0)
				return;
		*names = lappend(*names, pstrdup(ls_rule_text(node)));
	}
	for (uint32 i = 0; i < node->nkids; i++)
		add_names(names, ls_rule_kid(node, i), kind);
}

/* The same as a question, without any garbage. */
static bool
names_any(const RuleNode *node)
{
	check_stack_depth();
	if (node->kind == RULE_SEGMENT || is_score_call(node))
		return true;
	for (uint32 i = 0; i < node->nkids; i++)
		if (names_any(ls_rule_kid(node, i)))
			return true;
	return false;
}

bool
ls_rule_names_others(const Rule *rule)
{
	return names_any(ls_rule_root(rule));
}

/* ----------
 * Segments put in their places.
 * ----------
 */

/* The rule of a segment, or NULL. */
static Rule *
read_segment(const char *account, const char *name, Snapshot snapshot)
{
	Oid			relid = ls_catalog_relid("segment");
	Rule	   *rule = NULL;
	Relation	rel;
	Oid			index;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NULL;
	rel = table_open(relid, AccessShareLock);
	index = ls_catalog_index(rel, SEGMENT_ACCOUNT);
	ScanKeyEntryInitialize(&keys[0], 0, SEGMENT_ACCOUNT, BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(account));
	ScanKeyEntryInitialize(&keys[1], 0, SEGMENT_NAME, BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(name));
	scan = systable_beginscan(rel, index, OidIsValid(index), snapshot, 2, keys);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		rule = (Rule *) PG_DETOAST_DATUM_COPY(heap_getattr(tuple, SEGMENT_RULE,
														   RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return rule;
}

static RuleItem *
make_item(Expansion *x, const RuleNode *node)
{
	/* segments that each name the next one twice come to an end here */
	if (++x->nparts > RULE_MAX_NODES)
		x->obstacle = OBSTACLE_PARTS;
	return ls_rule_item(node);
}

/* What stands in the place of a call. */
static RuleItem *
expand_segment(Expansion *x, const RuleNode *node)
{
	const char *name = ls_rule_text(node);
	RuleItem   *result;
	Rule	   *rule;
	ListCell   *lc;

	if (x->from)
	{
		result = make_item(x, node);
		if (x->renamed == RULE_SEGMENT && strcmp(name, x->from) == 0)
			result->text = x->to;
		return result;
	}
	foreach(lc, x->within)
		if (strcmp(lfirst(lc), name) == 0)
			x->obstacle = OBSTACLE_CYCLE;
	if (list_length(x->within) >= RULE_MAX_DEPTH && x->obstacle == OBSTACLE_NONE)
		x->obstacle = OBSTACLE_DEPTH;
	rule = x->obstacle == OBSTACLE_NONE ?
		read_segment(x->account, name, x->snapshot) : NULL;
	if (rule == NULL)
	{
		if (x->obstacle == OBSTACLE_NONE)
			x->obstacle = OBSTACLE_MISSING;
		x->name = name;
		return NULL;
	}
	ls_rule_check_version(rule);
	x->within = lappend(x->within, (void *) name);
	result = expand_condition(x, ls_rule_root(rule));
	/* whoever complains wants to know where we are */
	if (x->obstacle == OBSTACLE_NONE)
		x->within = list_delete_last(x->within);
	return result;
}

/* A condition of a score, with what it is worth; NULL: an obstacle. */
static RuleItem *
make_points(Expansion *x, int points, const Rule *rule)
{
	RuleItem   *result = palloc0(sizeof(RuleItem));
	RuleItem   *condition;

	ls_rule_check_version(rule);
	x->nparts++;
	condition = expand_condition(x, ls_rule_root(rule));
	if (condition == NULL)
		return NULL;
	result->kind = RULE_POINTS;
	result->text = psprintf("%d", points);
	result->kids = list_make1(condition);
	return result;
}

/* A score with what it is made of. */
static RuleItem *
expand_score(Expansion *x, const RuleNode *node)
{
	const char *name = node->textlen > 0 ? ls_rule_text(node) : NULL;
	RuleItem   *result = make_item(x, node);
	List	   *rules;
	ListCell   *lc;

	if (x->is_score && x->obstacle == OBSTACLE_NONE)
		x->obstacle = OBSTACLE_SCORE;
	if (x->obstacle == OBSTACLE_NONE &&
		!ls_score_rules(x->account, name, x->snapshot, &rules))
	{
		x->obstacle = OBSTACLE_NO_SET;
		x->name = name;
	}
	if (x->obstacle != OBSTACLE_NONE)
		return NULL;
	if (rules == NIL)
	{
		ScoreRule  *none = palloc0(sizeof(ScoreRule));

		none->rule = ls_rule_parse("false", strlen("false"), NULL);
		rules = list_make1(none);
	}
	x->is_score = true;
	foreach(lc, rules)
	{
		ScoreRule  *rule = lfirst(lc);
		RuleItem   *points = make_points(x, rule->points, rule->rule);

		if (points == NULL)
			return NULL;
		result->kids = lappend(result->kids, points);
	}
	x->is_score = false;
	x->scores = lappend(x->scores, result);
	return result;
}

/* A copy of the tree with all that it names in its place; NULL: an obstacle. */
static RuleItem *
expand_condition(Expansion *x, const RuleNode *node)
{
	RuleItem   *item;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	/* of a where, which speaks of one row, the binder says that none belongs there */
	if (node->kind == RULE_SEGMENT && (x->from || !x->is_where))
		return expand_segment(x, node);
	if (is_score_call(node) && !x->from && !x->is_where)
		return expand_score(x, node);
	item = make_item(x, node);
	if (is_score_call(node) && x->from && x->renamed == RULE_AGGREGATE &&
		node->textlen > 0 && strcmp(item->text, x->from) == 0)
		item->text = x->to;
	if (node->kind == RULE_WHERE)
		x->is_where = true;
	if (node->kind == RULE_POINTS)
		x->is_score = true;
	for (uint32 i = 0; i < node->nkids && x->obstacle == OBSTACLE_NONE; i++)
	{
		RuleItem   *kid = expand_condition(x, ls_rule_kid(node, i));

		if (kid == NULL)
			break;
		if ((node->kind == RULE_AND || node->kind == RULE_OR) && kid->kind == node->kind)
			item->kids = list_concat(item->kids, kid->kids);
		else
			item->kids = lappend(item->kids, kid);
	}
	if (node->kind == RULE_WHERE)
		x->is_where = false;
	if (node->kind == RULE_POINTS)
		x->is_score = false;
	return x->obstacle == OBSTACLE_NONE ? item : NULL;
}

/*
 * How deep the canonical text of a tree is nested, as the grammar counts it:
 * what an "and" or a "not" above it makes parentheses of counts twice.
 */
static int
depth_of(const RuleItem *item, RuleKind above)
{
	bool		is_nested = item->kind == RULE_AND || item->kind == RULE_OR ||
		item->kind == RULE_NOT || item->kind == RULE_ALONE || item->kind == RULE_TEST ||
		item->kind == RULE_SEGMENT;
	int			depth = 0;
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, item->kids)
	{
		int			kid_depth = depth_of(lfirst(lc), item->kind);

		depth = Max(depth, kid_depth);
	}
	if (is_nested)
		depth++;
	if ((item->kind == RULE_OR && (above == RULE_AND || above == RULE_NOT)) ||
		(item->kind == RULE_AND && above == RULE_NOT))
		depth++;
	return depth;
}

/* The rule made of another, in the current memory context; NULL: an obstacle. */
static Rule *
expand(Expansion *x, const Rule *rule)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(oldcontext, "leadstream segments",
												  ALLOCSET_DEFAULT_SIZES);
	RuleItem   *root;
	Rule	   *stored;
	Rule	   *result = NULL;
	ListCell   *lc;

	ls_rule_check_version(rule);
	MemoryContextSwitchTo(scratch);
	root = expand_condition(x, ls_rule_root(rule));
	if (root && depth_of(root, RULE_WHERE) > RULE_MAX_DEPTH)
		x->obstacle = OBSTACLE_DEPTH;
	if (x->obstacle == OBSTACLE_NONE)
	{
		stored = ls_rule_store(root);
		if (strlen(ls_rule_to_text(stored)) > RULE_MAX_LENGTH)
			x->obstacle = OBSTACLE_LENGTH;
		foreach(lc, x->scores)
			((RuleItem *) lfirst(lc))->flags |= RULE_FLAG_LOOKED_UP;
		if (x->scores && !x->is_kept)
			stored = ls_rule_store(root);
		MemoryContextSwitchTo(oldcontext);
		result = palloc(VARSIZE(stored));
		memcpy(result, stored, VARSIZE(stored));
	}
	MemoryContextSwitchTo(oldcontext);
	/* what the message needs */
	if (x->name)
		x->name = pstrdup(x->name);
	if (x->obstacle != OBSTACLE_NONE)
	{
		List	   *names = NIL;

		foreach(lc, x->within)
			names = lappend(names, pstrdup(lfirst(lc)));
		x->within = names;
	}
	else
		x->within = NIL;
	MemoryContextDelete(scratch);
	return x->obstacle == OBSTACLE_NONE ? result : NULL;
}

/* The way into a cycle: "a", "b", "a". */
static char *
path_to(const Expansion *x)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, x->within)
		appendStringInfo(&buf, "\"%s\", ", (char *) lfirst(lc));
	appendStringInfo(&buf, "\"%s\"", x->name);
	return buf.data;
}

static void
raise_obstacle(const Expansion *x)
{
	switch (x->obstacle)
	{
		case OBSTACLE_NONE:
			break;
		case OBSTACLE_MISSING:
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("segment \"%s\" does not exist", x->name),
					 x->within ?
					 errdetail("Segment \"%s\" names it.", (char *) llast(x->within)) : 0,
					 errhint("The view leadstream.segments shows those that do; create one with leadstream.create_segment().")));
			break;
		case OBSTACLE_CYCLE:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_RECURSION),
					 errmsg("segment \"%s\" contains itself", x->name),
					 errdetail("Each of these names the next: %s.", path_to(x))));
			break;
		case OBSTACLE_NO_SET:
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("score set \"%s\" does not exist", x->name),
					 x->within ?
					 errdetail("Segment \"%s\" names it.", (char *) llast(x->within)) : 0,
					 errhint("The view leadstream.score_sets shows those that do; create one with leadstream.create_score_set().")));
			break;
		case OBSTACLE_SCORE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a score rule cannot speak of a score"),
					 x->within ?
					 errdetail("Segment \"%s\" does.", (char *) llast(x->within)) : 0,
					 errhint("Say in the score rule what that score is made of.")));
			break;
		case OBSTACLE_DEPTH:
			ereport(ERROR,
					(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
					 errmsg("rule is nested too deeply"),
					 errdetail("With its segments and score rules in their places; the limit is %d levels, also of segments in segments.",
							   RULE_MAX_DEPTH)));
			break;
		case OBSTACLE_PARTS:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("rule has too many parts"),
					 errdetail("With its segments and score rules in their places it has more than %d (names, values, conditions).",
							   RULE_MAX_NODES)));
			break;
		case OBSTACLE_LENGTH:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("rule is too long"),
					 errdetail("With its segments and score rules in their places its text has more than %d bytes.",
							   RULE_MAX_LENGTH)));
			break;
	}
}

const Rule *
ls_segments_put(const Rule *rule, const char *account, Snapshot snapshot)
{
	Expansion	x = {.account = account, .snapshot = snapshot};
	Rule	   *result;

	if (!ls_rule_names_others(rule))
		return rule;
	result = expand(&x, rule);
	raise_obstacle(&x);
	return result;
}

const Rule *
ls_segments_try(const Rule *rule, const char *account, Snapshot snapshot)
{
	Expansion	x = {.account = account, .snapshot = snapshot};
	Rule	   *result;

	if (!ls_rule_names_others(rule))
		return rule;
	result = expand(&x, rule);
	return result ? result : rule;
}

/* Error 42501 unless the current user may read a table of ours. */
static void
check_table(const char *table)
{
	Oid			relid = ls_catalog_relid(table);

	if (OidIsValid(relid) &&
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, psprintf("leadstream.%s", table));
}

static bool
looks_up_scores(const RuleNode *node)
{
	check_stack_depth();
	if (is_score_call(node) || (node->flags & RULE_FLAG_LOOKED_UP))
		return true;
	for (uint32 i = 0; i < node->nkids; i++)
		if (looks_up_scores(ls_rule_kid(node, i)))
			return true;
	return false;
}

bool
ls_rule_looks_up_scores(const Rule *rule, const char *account)
{
	return looks_up_scores(ls_rule_root(ls_segments_try(rule, account, NULL)));
}

void
ls_segments_check_rights(const Rule *rule)
{
	List	   *segments = NIL;
	List	   *scores = NIL;

	add_names(&segments, ls_rule_root(rule), RULE_SEGMENT);
	add_names(&scores, ls_rule_root(rule), RULE_AGGREGATE);
	if (segments)
		check_table("segment");
	if (scores)
		check_table("score_rule");
}

/* ----------
 * The same from SQL.
 * ----------
 */
static ArrayType *
names_array(const Rule *rule, RuleKind kind)
{
	List	   *names = NIL;
	Datum	   *elems;
	ListCell   *lc;

	add_names(&names, ls_rule_root(rule), kind);
	elems = palloc(sizeof(Datum) * Max(list_length(names), 1));
	foreach(lc, names)
		elems[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return construct_array(elems, list_length(names), TEXTOID, -1, false, TYPALIGN_INT);
}

Datum
leadstream_rule_segments(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(names_array(PG_GETARG_RULE_P(0), RULE_SEGMENT));
}

Datum
leadstream_rule_scores(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(names_array(PG_GETARG_RULE_P(0), RULE_AGGREGATE));
}

/* The rule with all that it names in its place; null: it names nothing, or is broken. */
Datum
leadstream_expand_rule(PG_FUNCTION_ARGS)
{
	const Rule *rule = PG_GETARG_RULE_P(0);
	Expansion	x = {.account = text_to_cstring(PG_GETARG_TEXT_PP(1)), .is_kept = true};
	Rule	   *expanded = NULL;

	ls_segments_check_rights(rule);
	if (ls_rule_names_others(rule))
		expanded = expand(&x, rule);
	if (expanded == NULL)
		PG_RETURN_NULL();
	PG_RETURN_RULE_P(expanded);
}

/* The rule with another name for a segment, or for a score set. */
static Rule *
rename_calls(FunctionCallInfo fcinfo, RuleKind kind)
{
	Expansion	x = {.from = text_to_cstring(PG_GETARG_TEXT_PP(1)),
		.to = text_to_cstring(PG_GETARG_TEXT_PP(2)), .renamed = kind};
	Rule	   *result = expand(&x, PG_GETARG_RULE_P(0));

	raise_obstacle(&x);
	return result;
}

Datum
leadstream_rename_segment(PG_FUNCTION_ARGS)
{
	PG_RETURN_RULE_P(rename_calls(fcinfo, RULE_SEGMENT));
}

Datum
leadstream_rename_score(PG_FUNCTION_ARGS)
{
	PG_RETURN_RULE_P(rename_calls(fcinfo, RULE_AGGREGATE));
}
