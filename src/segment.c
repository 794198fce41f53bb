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
#include "segment.h"

PG_FUNCTION_INFO_V1(leadstream_rule_segments);
PG_FUNCTION_INFO_V1(leadstream_expand_rule);
PG_FUNCTION_INFO_V1(leadstream_rename_segment);

/* What may be in the way. */
typedef enum Obstacle
{
	OBSTACLE_NONE,
	OBSTACLE_MISSING,			/* there is no such segment */
	OBSTACLE_CYCLE,				/* a segment contains itself */
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
	int			nparts;
	Obstacle	obstacle;
	const char *name;			/* of the segment that is missing, or is in
								 * itself */
	const char *from;			/* segments put in the place of this name are
								 * renamed instead; NULL: none are */
	const char *to;
} Expansion;

static RuleItem *expand_condition(Expansion *x, const RuleNode *node);

/* ----------
 * Which segments a rule names.
 * ----------
 */
static void
add_names(List **names, const RuleNode *node)
{
	ListCell   *lc;

	check_stack_depth();
	if (node->kind == RULE_SEGMENT)
	{
		foreach(lc, *names)
			if (strcmp(lfirst(lc), ls_rule_text(node)) == 0)
				return;
		*names = lappend(*names, pstrdup(ls_rule_text(node)));
	}
	for (uint32 i = 0; i < node->nkids; i++)
		add_names(names, ls_rule_kid(node, i));
}

List *
ls_rule_segment_names(const Rule *rule)
{
	List	   *names = NIL;

	add_names(&names, ls_rule_root(rule));
	return names;
}

/* The same as a question, without any garbage. */
static bool
names_segments(const RuleNode *node)
{
	check_stack_depth();
	if (node->kind == RULE_SEGMENT)
		return true;
	for (uint32 i = 0; i < node->nkids; i++)
		if (names_segments(ls_rule_kid(node, i)))
			return true;
	return false;
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
		if (strcmp(name, x->from) == 0)
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

/* A copy of the tree with all segments in their places; NULL: an obstacle. */
static RuleItem *
expand_condition(Expansion *x, const RuleNode *node)
{
	RuleItem   *item;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	/* of a where, which speaks of one row, the binder says that none belongs there */
	if (node->kind == RULE_SEGMENT && (x->from || !x->is_where))
		return expand_segment(x, node);
	item = make_item(x, node);
	if (node->kind == RULE_WHERE)
		x->is_where = true;
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
		ListCell   *lc;
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
		case OBSTACLE_DEPTH:
			ereport(ERROR,
					(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
					 errmsg("rule is nested too deeply"),
					 errdetail("With its segments in their places; the limit is %d levels, also of segments in segments.",
							   RULE_MAX_DEPTH)));
			break;
		case OBSTACLE_PARTS:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("rule has too many parts"),
					 errdetail("With its segments in their places it has more than %d (names, values, conditions).",
							   RULE_MAX_NODES)));
			break;
		case OBSTACLE_LENGTH:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("rule is too long"),
					 errdetail("With its segments in their places its text has more than %d bytes.",
							   RULE_MAX_LENGTH)));
			break;
	}
}

const Rule *
ls_segments_put(const Rule *rule, const char *account, Snapshot snapshot)
{
	Expansion	x = {.account = account, .snapshot = snapshot};
	Rule	   *result;

	if (!names_segments(ls_rule_root(rule)))
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

	if (!names_segments(ls_rule_root(rule)))
		return rule;
	result = expand(&x, rule);
	return result ? result : rule;
}

void
ls_segments_check_rights(const Rule *rule)
{
	Oid			relid = ls_catalog_relid("segment");

	if (names_segments(ls_rule_root(rule)) && OidIsValid(relid) &&
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "leadstream.segment");
}

/* ----------
 * The same from SQL.
 * ----------
 */
Datum
leadstream_rule_segments(PG_FUNCTION_ARGS)
{
	List	   *names = ls_rule_segment_names(PG_GETARG_RULE_P(0));
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(names), 1));
	ListCell   *lc;

	foreach(lc, names)
		elems[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	PG_RETURN_ARRAYTYPE_P(construct_array(elems, list_length(names), TEXTOID, -1,
										  false, TYPALIGN_INT));
}

/* The rule with its segments in their places; null: it names none, or is broken. */
Datum
leadstream_expand_rule(PG_FUNCTION_ARGS)
{
	const Rule *rule = PG_GETARG_RULE_P(0);
	const Rule *expanded;

	ls_segments_check_rights(rule);
	expanded = ls_segments_try(rule, text_to_cstring(PG_GETARG_TEXT_PP(1)), NULL);
	if (expanded == rule)
		PG_RETURN_NULL();
	PG_RETURN_RULE_P((Rule *) expanded);
}

/* The rule with another name for a segment. */
Datum
leadstream_rename_segment(PG_FUNCTION_ARGS)
{
	Expansion	x = {.from = text_to_cstring(PG_GETARG_TEXT_PP(1)),
		.to = text_to_cstring(PG_GETARG_TEXT_PP(2))};
	Rule	   *result = expand(&x, PG_GETARG_RULE_P(0));

	raise_obstacle(&x);
	PG_RETURN_RULE_P(result);
}
