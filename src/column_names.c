/*-------------------------------------------------------------------------
 *
 * column_names.c
 *	  Rules whose columns have got other names.
 *
 * A rule names columns as its writer did, for it has to be read, dumped and
 * restored.  When the columns of a table change, the names it had before and
 * those it has now tell, column by column, what became of them: here a rule is
 * made to say the same under the new names.  All columns of a table change at
 * once, so that two which have exchanged their names do not become one.
 *
 * Which part of a field names a column is decided as bind_operand.c does, once
 * with the names of before and once with those of now, and both must come to
 * the same: a column that is called "contact" now, or like a kind, may take
 * the place of what was meant.  A field that stands for columns of several
 * kinds (exists(a, b where f = 1)) can follow only if it can in each of them.
 * A field that cannot is left as it is, and its column is among the lost ones.
 *
 * For the other tables the names of now are those of before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "column_names.h"
#include "compat.h"
#include "rule_build.h"
#include "rule_text.h"

PG_FUNCTION_INFO_V1(leadstream_rename_columns);
PG_FUNCTION_INFO_V1(leadstream_lost_columns);

/* What is attached, read once for all rules of a statement. */
typedef struct Attached
{
	Oid			contacts;
	char	   *key;			/* of the contacts, as attached */
	char	   *account;		/* or NULL */
	List	   *activities;		/* of ActivitySource * */
} Attached;

/* A kind that an aggregate names. */
typedef struct Kind
{
	const char *name;
	const char *new_name;		/* of a column that is a kind; else the same */
	Oid			relid;			/* InvalidOid: its rows stand in no table */
} Kind;

/* One rule on its way. */
typedef struct Renaming
{
	const Attached *attached;
	Oid			relid;			/* the table whose columns have changed */
	ColumnNames before;
	ColumnNames now;
	List	   *here;			/* of Kind *: whose where we are in */
	bool		is_changed;
	bool	   *lost;			/* by place, of before */
} Renaming;

/* Which column a field means. */
typedef struct Place
{
	int			label;			/* of the field; -1: none is a column */
	Oid			relid;
} Place;

static RuleItem *rename_node(Renaming *r, const RuleNode *node);

/* ----------
 * Names.
 * ----------
 */
ColumnNames
ls_column_names(Datum array)
{
	ColumnNames result;
	Datum	   *elems;
	bool	   *nulls;

	deconstruct_array(DatumGetArrayTypeP(array), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elems, &nulls, &result.count);
	result.names = palloc(sizeof(char *) * Max(result.count, 1));
	for (int i = 0; i < result.count; i++)
		result.names[i] = nulls[i] ? NULL : NameStr(*DatumGetName(elems[i]));
	return result;
}

ColumnNames
ls_column_names_now(Oid relid)
{
	ColumnNames result = {0, palloc(sizeof(char *) * MaxHeapAttributeNumber)};
	HeapTuple	tuple;

	while ((tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
									Int16GetDatum(result.count + 1))) != NULL)
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);

		result.names[result.count++] = att->attisdropped ? NULL : pstrdup(NameStr(att->attname));
		ReleaseSysCache(tuple);
	}
	return result;
}

/* Where a name stands, or -1. */
static int
find_name(const ColumnNames *columns, const char *name)
{
	for (int i = 0; i < columns->count; i++)
		if (columns->names[i] && strcmp(columns->names[i], name) == 0)
			return i;
	return -1;
}

/* Has, or had, a table a column of that name? */
static bool
has_column(const Renaming *r, Oid relid, const char *name, bool before)
{
	if (relid == r->relid)
		return find_name(before ? &r->before : &r->now, name) >= 0;
	return strlen(name) < NAMEDATALEN && get_attnum(relid, name) > 0;
}

/* ----------
 * Fields.
 * ----------
 */

/* As bind_field() decides it; second is NULL where no label follows. */
static Place
find_place(const Renaming *r, const char *first, const char *second, const Kind *here,
		   bool before)
{
	Oid			contacts = r->attached->contacts;
	Oid			around = here ? here->relid : contacts;
	const char *kind = here == NULL ? NULL : before ? here->name : here->new_name;
	Place		place = {0, around};

	if (second && strcmp(first, "contact") == 0 &&
		(has_column(r, contacts, second, before) ||
		 !has_column(r, around, "contact", before)))
	{
		place.label = 1;
		place.relid = contacts;
	}
	else if (here && !OidIsValid(around))
		place.label = -1;
	else if (here && second && strcmp(first, kind) == 0 &&
			 !has_column(r, around, first, before))
		place.label = 1;
	return place;
}

/* The new name of a column, or the same; one that is gone is noted. */
static const char *
follow(Renaming *r, Oid relid, const char *name)
{
	int			i = relid == r->relid ? find_name(&r->before, name) : -1;
	const char *new_name = i < 0 ? name : ls_column_name(&r->now, i);

	if (new_name)
		return strcmp(new_name, name) == 0 ? name : new_name;
	r->lost[i] = true;
	return name;
}

/*
 * Note what a field that cannot follow has lost: the column it names, if that
 * has another name now, or else the one whose new name is in the way.
 */
static void
note_lost(Renaming *r, Place place, const char *name)
{
	int			named = place.label >= 0 && place.relid == r->relid ?
		find_name(&r->before, name) : -1;
	int			lost = -1;

	for (int i = 0; i < r->before.count; i++)
	{
		const char *now = ls_column_name(&r->now, i);

		if (r->before.names[i] && now && strcmp(r->before.names[i], now) != 0 &&
			(lost < 0 || i == named))
			lost = i;
	}
	if (lost >= 0)
		r->lost[lost] = true;
}

/* Is the first label the name of a kind whose rows stand in no table? */
static bool
names_own_kind(const char *kind, const char *const *labels)
{
	return labels[1] && strcmp(labels[0], kind) == 0;
}

/* The labels that a field has to have, seen from one kind or from none. */
static void
wish(Renaming *r, const Kind *here, const char *const *labels, const char **wanted)
{
	Place		place = find_place(r, labels[0], labels[1], here, true);

	wanted[0] = labels[0];
	wanted[1] = labels[1];
	if (place.label >= 0)
		wanted[place.label] = follow(r, place.relid, labels[place.label]);
	else if (names_own_kind(here->name, labels) && strcmp(here->name, here->new_name) != 0)
		wanted[0] = here->new_name;
}

/* Do labels mean the same to a kind, or outside any, as others did before? */
static bool
means_the_same(const Renaming *r, const Kind *here, const char *const *labels,
			   const char *const *wanted)
{
	Place		was = find_place(r, labels[0], labels[1], here, true);
	Place		is = find_place(r, wanted[0], wanted[1], here, false);
	const char *name;
	const char *new_name;
	int			i;

	if (was.label != is.label || was.relid != is.relid)
		return false;
	if (was.label < 0)
		return (labels[1] == NULL || strcmp(labels[1], wanted[1]) == 0) &&
			names_own_kind(here->name, labels) == names_own_kind(here->new_name, wanted) &&
			(names_own_kind(here->name, labels) || strcmp(labels[0], wanted[0]) == 0);
	if (labels[1] && strcmp(labels[1 - was.label], wanted[1 - was.label]) != 0)
		return false;
	name = labels[was.label];
	new_name = wanted[was.label];
	/* another table follows where it has been renamed already */
	if (was.relid != r->relid)
		return strcmp(name, new_name) == 0 ||
			(!has_column(r, was.relid, name, true) && has_column(r, was.relid, new_name, true));
	/* of a column that never was, or is gone, nothing can be taken away */
	i = find_name(&r->before, name);
	return i < 0 || ls_column_name(&r->now, i) == NULL ||
		strcmp(ls_column_name(&r->now, i), new_name) == 0;
}

static RuleItem *
rename_field(Renaming *r, const RuleNode *node)
{
	RuleItem   *item = ls_rule_item(node);
	const RuleNode *second = node->nkids > 1 ? ls_rule_kid(node, 1) : NULL;
	const char *labels[2];
	const char *wanted[2];
	List	   *here = r->here ? r->here : list_make1(NULL);
	ListCell   *lc;
	bool		can = true;

	labels[0] = wanted[0] = ls_rule_text(ls_rule_kid(node, 0));
	labels[1] = wanted[1] = second && second->kind == RULE_LABEL ? ls_rule_text(second) : NULL;
	/* the first that wishes for something is heard, and all are asked then */
	foreach(lc, here)
	{
		const char *wishes[2];

		wish(r, lfirst(lc), labels, wishes);
		for (int i = 0; i < 2; i++)
			if (wanted[i] == labels[i])
				wanted[i] = wishes[i];
	}
	foreach(lc, here)
		if (!means_the_same(r, lfirst(lc), labels, wanted))
		{
			Place		place = find_place(r, labels[0], labels[1], lfirst(lc), true);

			note_lost(r, place, place.label > 0 ? labels[1] : labels[0]);
			can = false;
		}
	for (uint32 i = 0; i < node->nkids; i++)
	{
		RuleItem   *kid = ls_rule_item(ls_rule_kid(node, i));

		if (can && i < 2 && labels[i] && strcmp(labels[i], wanted[i]) != 0)
		{
			kid->text = wanted[i];
			r->is_changed = true;
		}
		item->kids = lappend(item->kids, kid);
	}
	return item;
}

/* ----------
 * Kinds.
 * ----------
 */
static const ActivitySource *
find_activity(const Attached *attached, const char *name)
{
	ListCell   *lc;

	foreach(lc, attached->activities)
		if (strcmp(((ActivitySource *) lfirst(lc))->kind, name) == 0)
			return lfirst(lc);
	return NULL;
}

/* Note what a kind has lost of what it was attached with. */
static void
check_source(Renaming *r, const ActivitySource *source, Kind *kind)
{
	List	   *outside = r->here;
	bool		is_changed = r->is_changed;

	(void) follow(r, source->relid, source->contact_name);
	if (source->time_name)
		(void) follow(r, source->relid, source->time_name);
	if (source->account_name)
		(void) follow(r, source->relid, source->account_name);
	if (source->only == NULL || source->relid != r->relid)
		return;
	r->here = list_make1(kind);
	(void) rename_node(r, ls_rule_root(source->only));
	r->here = outside;
	r->is_changed = is_changed;
}

/* What a kind is, and is called now. */
static Kind *
find_kind(Renaming *r, const char *name)
{
	const Attached *attached = r->attached;
	const ActivitySource *source = find_activity(attached, name);
	Kind	   *kind = palloc0(sizeof(Kind));

	kind->name = kind->new_name = name;
	if (source)
	{
		kind->relid = source->relid;
		check_source(r, source, kind);
	}
	else if (strcmp(name, "lead") != 0)
	{
		const char *new_name = follow(r, attached->contacts, name);

		/* a name that means something else */
		if (strcmp(new_name, name) != 0 &&
			(strcmp(new_name, "lead") == 0 || find_activity(attached, new_name)))
			r->lost[find_name(&r->before, name)] = true;
		else
			kind->new_name = new_name;
	}
	return kind;
}

/* The path kind.field of an aggregate, or the kind alone. */
static RuleItem *
rename_path(Renaming *r, const RuleNode *node, const Kind *kind)
{
	RuleItem   *item = ls_rule_item(node);

	for (uint32 i = 0; i < node->nkids; i++)
	{
		RuleItem   *kid = ls_rule_item(ls_rule_kid(node, i));
		const char *name = i == 0 ? kind->new_name :
			i == 1 && kid->kind == RULE_LABEL && OidIsValid(kind->relid) ?
			follow(r, kind->relid, kid->text) : kid->text;

		if (name != kid->text && strcmp(name, kid->text) != 0)
		{
			kid->text = name;
			r->is_changed = true;
		}
		item->kids = lappend(item->kids, kid);
	}
	return item;
}

static RuleItem *
rename_aggregate(Renaming *r, const RuleNode *node)
{
	RuleItem   *item = ls_rule_item(node);
	List	   *outside = r->here;
	List	   *kinds = NIL;

	for (uint32 i = 0; i < node->nkids; i++)
	{
		const RuleNode *kid = ls_rule_kid(node, i);

		if (kid->kind == RULE_FIELD)
		{
			Kind	   *kind = find_kind(r, ls_rule_text(ls_rule_kid(kid, 0)));

			kinds = lappend(kinds, kind);
			item->kids = lappend(item->kids, rename_path(r, kid, kind));
			continue;
		}
		/* the kinds come first */
		r->here = kinds;
		item->kids = lappend(item->kids, rename_node(r, kid));
		r->here = outside;
	}
	return item;
}

static RuleItem *
rename_node(Renaming *r, const RuleNode *node)
{
	RuleItem   *item;

	check_stack_depth();
	if (node->kind == RULE_FIELD)
		return rename_field(r, node);
	if (node->kind == RULE_AGGREGATE)
		return rename_aggregate(r, node);
	item = ls_rule_item(node);
	for (uint32 i = 0; i < node->nkids; i++)
		item->kids = lappend(item->kids, rename_node(r, ls_rule_kid(node, i)));
	return item;
}

/* ----------
 * The same from SQL.
 * ----------
 */
static Attached *
read_attached(void)
{
	Attached   *attached = palloc0(sizeof(Attached));
	Oid			relid = ls_catalog_relid("contact_source");
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	attached->activities = ls_catalog_activities();
	if (!OidIsValid(relid))
		return attached;
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		Datum		value;

		attached->contacts = DatumGetObjectId(heap_getattr(tuple, CONTACT_SOURCE_CONTACTS,
														   desc, &isnull));
		value = heap_getattr(tuple, CONTACT_SOURCE_KEY, desc, &isnull);
		attached->key = pstrdup(NameStr(*DatumGetName(value)));
		value = heap_getattr(tuple, CONTACT_SOURCE_ACCOUNT, desc, &isnull);
		if (!isnull)
			attached->account = pstrdup(NameStr(*DatumGetName(value)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return attached;
}

/* Begin with the arguments rule, relation, names before, names now. */
static RuleItem *
rename_rule(Renaming *r, const Rule *rule, FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo->fn_extra == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(flinfo->fn_mcxt);

		flinfo->fn_extra = read_attached();
		MemoryContextSwitchTo(oldcontext);
	}
	ls_rule_check_version(rule);
	r->attached = flinfo->fn_extra;
	r->relid = PG_GETARG_OID(1);
	r->before = ls_column_names(PG_GETARG_DATUM(2));
	r->now = ls_column_names(PG_GETARG_DATUM(3));
	r->lost = palloc0(sizeof(bool) * Max(r->before.count, 1));
	return rename_node(r, ls_rule_root(rule));
}

/*
 * _rename_columns(rule, relation, names before, names now, kind): the rule under
 * the new names; null: it is the same, or would be too long.  With a kind it is
 * a condition on that kind's rows.
 */
Datum
leadstream_rename_columns(PG_FUNCTION_ARGS)
{
	const Rule *rule = PG_GETARG_RULE_P(0);
	char	   *only = text_to_cstring(PG_GETARG_TEXT_PP(4));
	Renaming	r = {0};
	Kind		kind = {.name = only, .new_name = only, .relid = PG_GETARG_OID(1)};
	RuleItem   *root;
	Rule	   *result;

	if (only[0] != '\0')
		r.here = list_make1(&kind);
	root = rename_rule(&r, rule, fcinfo);
	if (!r.is_changed)
		PG_RETURN_NULL();
	result = ls_rule_store(root);
	if (strlen(ls_rule_to_text(result)) > RULE_MAX_LENGTH)
		PG_RETURN_NULL();
	PG_RETURN_RULE_P(result);
}

/*
 * _lost_columns(rule, relation, names before, names now): the columns, by the
 * names of before, that the rule needs and cannot find any more.
 */
Datum
leadstream_lost_columns(PG_FUNCTION_ARGS)
{
	const Rule *rule = PG_GETARG_RULE_P(0);
	Renaming	r = {0};
	Datum	   *elems;
	int			n = 0;
	RuleItem   *root = rename_rule(&r, rule, fcinfo);

	if (OidIsValid(r.attached->contacts))
		(void) follow(&r, r.attached->contacts, r.attached->key);
	if (r.attached->account)
		(void) follow(&r, r.attached->contacts, r.attached->account);
	/* what cannot be written down cannot follow */
	if (r.is_changed && strlen(ls_rule_to_text(ls_rule_store(root))) > RULE_MAX_LENGTH)
		note_lost(&r, (Place) {-1, InvalidOid}, NULL);
	elems = palloc(sizeof(Datum) * Max(r.before.count, 1));
	for (int i = 0; i < r.before.count; i++)
		if (r.lost[i])
			elems[n++] = CStringGetDatum(r.before.names[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elems, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}
