/*-------------------------------------------------------------------------
 *
 * bind_aggregate.c
 *	  The aggregates of a rule bound to their kinds.
 *
 * An aggregate is collected in the rule once, however often it is written: equal
 * ones are told by their canonical text.  Of each kind that it reads there is the
 * where as one expression, that part of it which speaks of the row alone, and the
 * value that is aggregated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

#include "bind_operand.h"
#include "interval_text.h"
#include "lead_rows.h"
#include "own_rows.h"
#include "rule_text.h"

static Interval *
bind_interval(const RuleNode *node)
{
	Interval   *interval = palloc0(sizeof(Interval));

	if (!ls_interval_parse(ls_rule_text(node), interval))
		elog(ERROR, "unreadable interval in rule"); /* cannot happen */
	return interval;
}

/*
 * Bind the value an aggregate reads, and with it the aggregate's result type.
 * Sums and averages are numeric whatever they add up: exact, so the order in
 * which rows come cannot matter.
 */
static char *
bind_value(BindContext *cxt, BoundAggregate *agg, const RuleNode *path)
{
	Operand    *value = ls_bind_row_path(cxt, path, 1);
	char	   *sql = value->sql;
	TypeCacheEntry *type;

	agg->value_type = value->type;
	agg->value_collation = value->collation;
	switch (agg->func)
	{
		case RULE_AGG_SUM:
		case RULE_AGG_AVG:
			sql = ls_bind_as_number(value);
			if (sql == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("%s of type %s is no number", ls_bind_what(value),
								format_type_be(value->type)),
						 errhint("sum and avg take numbers, or text and jsonb values that read as numbers.")));
			sql = psprintf("%s::pg_catalog.numeric", sql);
			agg->value_type = NUMERICOID;
			agg->value_collation = InvalidOid;
			break;

		case RULE_AGG_MIN:
		case RULE_AGG_MAX:
			/* of jsonb, the values that read as numbers */
			if (value->class == CLASS_JSONB)
			{
				sql = ls_bind_as_number(value);
				agg->value_type = NUMERICOID;
				break;
			}
			/* FALLTHROUGH */
		case RULE_AGG_COUNT_DISTINCT:
			/* arrays travel as text, for there is no array of arrays */
			if (value->class == CLASS_ARRAY && agg->func == RULE_AGG_COUNT_DISTINCT)
			{
				sql = psprintf("(%s::pg_catalog.text)", sql);
				agg->value_type = TEXTOID;
				agg->value_collation = DEFAULT_COLLATION_OID;
				break;
			}
			type = lookup_type_cache(value->type, TYPECACHE_CMP_PROC);
			if (!OidIsValid(type->cmp_proc) || value->class == CLASS_ARRAY)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("%s of type %s cannot be ordered", ls_bind_what(value),
								format_type_be(value->type)),
						 errhint("min, max and count(distinct ...) take values of a type with a default btree operator class; min and max take no arrays.")));
			/* JSON null is missing */
			if (value->class == CLASS_JSONB)
				sql = psprintf("(case when leadstream.as_text(%s) is not null then %s end)",
							   sql, sql);
			break;

		default:
			/* first, last: see above */
			if (value->class == CLASS_ARRAY)
				sql = psprintf("(%s::pg_catalog.text)", sql);
			break;
	}
	agg->result_type = agg->value_type;
	agg->result_collation = agg->value_collation;
	return sql;
}

static void
note_lead_column(Oid relid, AttrNumber attno, void *arg)
{
	ls_bind_note_column(arg, relid, attno);
}

static BoundSource *
bind_source(BindContext *cxt, BoundAggregate *agg, const RuleNode *path,
			const RuleNode *where, bool is_path)
{
	BoundSource *result = palloc0(sizeof(BoundSource));
	ActivitySource *source = ls_bind_kind(cxt, ls_rule_text(ls_rule_kid(path, 0)));
	List	   *conditions = NIL;
	List	   *filters = NIL;
	ListCell   *lc;

	if (is_path ? path->nkids < 2 : path->nkids > 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 is_path ?
				 errmsg("no field of kind \"%s\" is named", source->kind) :
				 errmsg("a kind of activity stands alone here"),
				 is_path ?
				 errhint("Write the field behind the kind, as in sum(%s.field).",
						 quote_identifier(source->kind)) :
				 errhint("exists and count take kinds; count(distinct kind.field) counts values.")));

	result->source = source;
	cxt->here = source;
	if (source->only)
	{
		cxt->only_filter = true;
		conditions = lappend(conditions,
							 ls_bind_condition(cxt, ls_rule_root(source->only)));
		cxt->only_filter = false;
	}
	if (where && ls_rule_kid(where, 0)->kind == RULE_AND)
	{
		const RuleNode *and = ls_rule_kid(where, 0);

		for (uint32 i = 0; i < and->nkids; i++)
			conditions = lappend(conditions, ls_bind_condition(cxt, ls_rule_kid(and, i)));
	}
	else if (where)
		conditions = lappend(conditions, ls_bind_condition(cxt, ls_rule_kid(where, 0)));
	if (conditions)
		result->where = ls_expr_all(conditions);
	foreach(lc, conditions)
	{
		BoundExpr  *expr = lfirst(lc);

		if (!expr->uses_contact && !expr->is_timeline)
			filters = lappend(filters, expr);
	}
	if (filters)
		result->filter = ls_expr_all(filters);
	if (is_path)
		result->value = bind_value(cxt, agg, path);
	cxt->here = NULL;

	if (source->time_attno == InvalidAttrNumber && (agg->within || agg->older))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("kind \"%s\" has no times", source->kind),
				 ls_source_is_own(source) ?
				 errdetail("Its rows are the elements of a column of the contact; they count always.") :
				 errdetail("It was attached without a time column, so its rows count always."),
				 errhint("Leave out %s.", agg->within ? "within" : "older than")));
	if (source->origin == SOURCE_LEADS)
		ls_leadrows_columns(source, note_lead_column, cxt);
	else if (source->time_attno != InvalidAttrNumber)
	{
		UsedColumn *used = palloc(sizeof(UsedColumn));

		used->relid = source->relid;
		used->attno = source->time_attno;
		cxt->bound->used_columns = lappend(cxt->bound->used_columns, used);
	}
	return result;
}

/* What needs no rows comes first, and then what is worth most. */
static int
cmp_item(const ListCell *a, const ListCell *b)
{
	const BoundItem *l = lfirst(a);
	const BoundItem *r = lfirst(b);
	bool		l_rows = l->node->kind != BOUND_TEST || l->node->refs != NIL;
	bool		r_rows = r->node->kind != BOUND_TEST || r->node->refs != NIL;

	if (l_rows != r_rows)
		return l_rows ? 1 : -1;
	return l->points > r->points ? -1 : l->points < r->points;
}

/*
 * Bind what a score is made of.  Its conditions are bound as any others are, so
 * that their aggregates are those of the rule, and each can be judged by
 * itself; in an order by which it turns out early whether a high score is out
 * of reach.
 */
static void
bind_items(BindContext *cxt, BoundAggregate *agg, const RuleNode *node)
{
	if (cxt->in_score)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a score rule cannot speak of a score"),
				 errhint("Say in the score rule what that score is made of.")));
	cxt->in_score = true;
	for (uint32 i = 0; i < node->nkids; i++)
	{
		const RuleNode *points = ls_rule_kid(node, i);
		BoundItem  *item = palloc(sizeof(BoundItem));

		item->points = atol(ls_rule_text(points));
		item->node = ls_bind_node(cxt, ls_rule_kid(points, 0), false);
		agg->items = lappend(agg->items, item);
	}
	cxt->in_score = false;
	list_sort(agg->items, cmp_item);
	agg->value_type = agg->result_type = NUMERICOID;
	agg->enough = PG_INT64_MAX;
}

const RuleNode *
ls_bind_first_aggregate(const RuleNode *node)
{
	const RuleNode *found = node->kind == RULE_AGGREGATE ? node : NULL;

	check_stack_depth();
	for (uint32 i = 0; i < node->nkids && found == NULL; i++)
		found = ls_bind_first_aggregate(ls_rule_kid(node, i));
	return found;
}

int
ls_bind_aggregate(BindContext *cxt, const RuleNode *node)
{
	BoundAggregate *agg = palloc0(sizeof(BoundAggregate));
	const RuleNode *where = NULL;
	StringInfoData text;
	uint32		nkinds = 0;
	ListCell   *lc;
	bool		is_path;

	if (cxt->only_filter)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an \"only\" filter cannot read other activities"),
				 errhint("Filter by columns of the activity alone.")));
	if (cxt->here && ls_bind_first_aggregate(node)->op == RULE_AGG_SCORE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a score cannot stand inside a where"),
				 errdetail("A where speaks of one row of \"%s\" at a time, a score of the contact.",
						   cxt->here->kind),
				 errhint("Join the two with and, outside.")));
	if (cxt->here)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an activity condition cannot stand inside a where"),
				 errdetail("A where speaks of one row of \"%s\" at a time.", cxt->here->kind),
				 errhint("Join two activity conditions with and, outside.")));

	initStringInfo(&text);
	ls_rule_node_text(&text, node);
	foreach(lc, cxt->bound->aggregates)
		if (strcmp(((BoundAggregate *) lfirst(lc))->text, text.data) == 0)
			return foreach_current_index(lc);

	agg->func = (RuleAggregate) node->op;
	agg->text = text.data;
	if (agg->func == RULE_AGG_SCORE)
	{
		bind_items(cxt, agg, node);
		cxt->bound->aggregates = lappend(cxt->bound->aggregates, agg);
		return list_length(cxt->bound->aggregates) - 1;
	}
	for (uint32 i = 0; i < node->nkids; i++)
	{
		const RuleNode *kid = ls_rule_kid(node, i);

		if (kid->kind == RULE_FIELD)
			nkinds++;
		else if (kid->kind == RULE_WHERE)
			where = kid;
		else if (kid->kind == RULE_WITHIN)
			agg->within = bind_interval(kid);
		else
			agg->older = bind_interval(kid);
	}
	if (agg->within || agg->older)
		cxt->bound->uses_clock = true;
	agg->result_type = INT8OID;
	agg->enough = agg->func == RULE_AGG_EXISTS || agg->func == RULE_AGG_COUNT ?
		0 : PG_INT64_MAX;
	is_path = agg->func != RULE_AGG_EXISTS && agg->func != RULE_AGG_COUNT;
	for (uint32 i = 0; i < nkinds; i++)
		agg->sources = lappend(agg->sources,
							   bind_source(cxt, agg, ls_rule_kid(node, i), where, is_path));
	if (agg->func == RULE_AGG_COUNT_DISTINCT)
	{
		agg->result_type = INT8OID;
		agg->result_collation = InvalidOid;
	}
	cxt->bound->aggregates = lappend(cxt->bound->aggregates, agg);
	return list_length(cxt->bound->aggregates) - 1;
}
