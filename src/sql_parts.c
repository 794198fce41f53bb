/*-------------------------------------------------------------------------
 *
 * sql_parts.c
 *	  What the queries of a rule are put together from.
 *
 * Names, constants and conditions, for rule_sql.c and history_sql.c.  The contacts
 * go by the alias c, the activities by a.  All is palloc'd in the current memory
 * context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "instant.h"
#include "sql_parts.h"

char *
ls_sql_table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

char *
ls_sql_key_equals(const BoundRule *bound)
{
	TypeCacheEntry *type = lookup_type_cache(bound->contacts->key_base,
											 TYPECACHE_EQ_OPR);
	Oid			nspoid = get_func_namespace(get_opcode(type->eq_opr));

	return psprintf("OPERATOR(%s.=)", quote_identifier(get_namespace_name(nspoid)));
}

char *
ls_sql_key_operator(const ContactSource *contacts, StrategyNumber strategy)
{
	TypeCacheEntry *type = lookup_type_cache(contacts->key_base,
											 TYPECACHE_BTREE_OPFAMILY);
	Oid			operator = get_opfamily_member(type->btree_opf, type->btree_opintype,
											   type->btree_opintype, strategy);
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))	/* a primary key has one; cannot happen */
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

char *
ls_sql_interval_constant(const Interval *interval)
{
	if (interval == NULL)
		return "null";
	return psprintf("'%d mons " INT64_FORMAT " microseconds'::pg_catalog.interval",
					interval->month, interval->time);
}

char *
ls_sql_row_instant(const char *zone, const ActivitySource *source)
{
	char	   *at = psprintf("a.%s", quote_identifier(source->time_name));

	return source->time_type == TIMESTAMPTZOID ? at :
		psprintf("leadstream.as_instant(%s, %s)", at, zone);
}

char *
ls_sql_instant_constant(TimestampTz t)
{
	return psprintf("'%s'::pg_catalog.timestamptz", ls_instant_to_text(t));
}

bool
ls_sql_is_exists(const BoundRule *bound, const BoundNode *node)
{
	return node->kind == BOUND_TEST && list_length(node->refs) == 1 &&
		node->origin->kind == RULE_ALONE &&
		((BoundAggregate *) list_nth(bound->aggregates,
									 linitial_int(node->refs)))->func == RULE_AGG_EXISTS;
}

bool
ls_sql_is_filter(const BoundNode *node)
{
	return node->kind == BOUND_TEST && node->refs == NIL && !node->test->is_timeline;
}

void
ls_sql_append_filter(StringInfo where, const BoundNode *node)
{
	appendStringInfo(where, node->negated ? "%s((%s) is not true)" : "%s%s",
					 where->len ? "\n\tand " : "", node->test->sql);
}

List *
ls_sql_root_needs(const BoundRule *bound)
{
	return bound->root->kind == BOUND_AND ? bound->root->kids :
		list_make1((void *) bound->root);
}

void
ls_sql_append_account(StringInfo where, const ContactSource *contacts, const char *account)
{
	if (account && contacts->account_name)
		appendStringInfo(where, "%sc.%s::pg_catalog.text OPERATOR(pg_catalog.=) %s",
						 where->len ? "\n\tand " : "",
						 quote_identifier(contacts->account_name),
						 quote_literal_cstr(account));
}

static void
append_part(StringInfo where, const BoundRule *bound, const char *key)
{
	if (bound->after_key)
		appendStringInfo(where, "%s%s %s $2", where->len ? "\n\tand " : "", key,
						 ls_sql_key_operator(bound->contacts, BTGreaterStrategyNumber));
	if (bound->upto_key)
		appendStringInfo(where, "%s%s %s $3", where->len ? "\n\tand " : "", key,
						 ls_sql_key_operator(bound->contacts, BTLessEqualStrategyNumber));
}

void
ls_sql_append_part(StringInfo where, const BoundRule *bound)
{
	append_part(where, bound, psprintf("c.%s", quote_identifier(bound->contacts->key_name)));
}

/* The name of a collation. */
static char *
collation_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))	/* a column has it; cannot happen */
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	result = quote_qualified_identifier(get_namespace_name(form->collnamespace),
										NameStr(form->collname));
	ReleaseSysCache(tuple);
	return result;
}

void
ls_sql_append_rows_part(StringInfo where, const BoundRule *bound, const ActivitySource *source)
{
	Oid			wanted = bound->contacts->key_collation;
	char	   *contact = psprintf("a.%s", quote_identifier(source->contact_name));
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(source->relid, source->contact_attno, &type, &typmod, &collation);
	/* what is after a key is so in the order of the contacts */
	if (OidIsValid(wanted) && collation != wanted)
		contact = psprintf("(%s collate %s)", contact, collation_name(wanted));
	append_part(where, bound, contact);
}
