/*-------------------------------------------------------------------------
 *
 * score.c
 *	  Score rules, as they are kept.
 *
 * A score set has score rules, each a rule and the points that a contact has
 * while it is true.  In a rule, score('name') stands for their sum, and score()
 * for that over all sets; segment.c puts what is read here into its place.
 *
 * Read like a system catalog, as segments are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "catalog.h"
#include "compat.h"
#include "score.h"

/* Add the rules in force of a set. */
static void
read_rules(Relation rel, int32 score_set_id, Snapshot snapshot, List **rules)
{
	TupleDesc	desc = RelationGetDescr(rel);
	SysScanDesc scan = ls_catalog_scan(rel, SCORE_RULE_SET, Int32GetDatum(score_set_id),
									   false, InvalidAttrNumber, NULL, snapshot);
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		ScoreRule  *rule;

		if (!DatumGetBool(heap_getattr(tuple, SCORE_RULE_IS_ENABLED, desc, &isnull)))
			continue;
		rule = palloc(sizeof(ScoreRule));
		rule->score_set_id = score_set_id;
		rule->score_rule_id = DatumGetInt32(heap_getattr(tuple, SCORE_RULE_ID, desc, &isnull));
		rule->points = DatumGetInt32(heap_getattr(tuple, SCORE_RULE_POINTS, desc, &isnull));
		rule->rule = (Rule *) PG_DETOAST_DATUM_COPY(heap_getattr(tuple, SCORE_RULE_RULE,
																 desc, &isnull));
		*rules = lappend(*rules, rule);
	}
	systable_endscan(scan);
}

static int
cmp_rule(const ListCell *a, const ListCell *b)
{
	const ScoreRule *l = lfirst(a);
	const ScoreRule *r = lfirst(b);

	if (l->score_set_id != r->score_set_id)
		return l->score_set_id < r->score_set_id ? -1 : 1;
	return l->score_rule_id < r->score_rule_id ? -1 : l->score_rule_id > r->score_rule_id;
}

bool
ls_score_rules(const char *account, const char *name, Snapshot snapshot, List **rules)
{
	Oid			set_relid = ls_catalog_relid("score_set");
	Oid			rule_relid = ls_catalog_relid("score_rule");
	bool		found = name == NULL;
	Relation	sets;
	Relation	rel;
	Oid			index;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	*rules = NIL;
	if (!OidIsValid(set_relid) || !OidIsValid(rule_relid))
		return found;
	sets = table_open(set_relid, AccessShareLock);
	rel = table_open(rule_relid, AccessShareLock);
	index = ls_catalog_index(sets, SCORE_SET_ACCOUNT);
	ScanKeyEntryInitialize(&keys[0], 0, SCORE_SET_ACCOUNT, BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(account));
	if (name)
		ScanKeyEntryInitialize(&keys[1], 0, SCORE_SET_NAME, BTEqualStrategyNumber, InvalidOid,
							   DEFAULT_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(name));
	scan = systable_beginscan(sets, index, OidIsValid(index), snapshot, name ? 2 : 1, keys);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(sets);
		bool		isnull;

		found = true;
		if (DatumGetBool(heap_getattr(tuple, SCORE_SET_IS_ENABLED, desc, &isnull)))
			read_rules(rel, DatumGetInt32(heap_getattr(tuple, SCORE_SET_ID, desc, &isnull)),
					   snapshot, rules);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	table_close(sets, AccessShareLock);
	list_sort(*rules, cmp_rule);
	return found;
}
