/*-------------------------------------------------------------------------
 *
 * rule_bind.h
 *	  A rule bound to its tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_BIND_H
#define LS_RULE_BIND_H

#include "datatype/timestamp.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"

#include "catalog.h"
#include "rule_format.h"

/*
 * A piece of SQL over the aliases c (the contact's row), a (the activity's
 * row, inside a where) and v1, v2, ... (v1.value the first aggregate of the
 * test).  Either a boolean expression, in which null stands for false, or,
 * where the clock is in it, the timeline itself: a tstzmultirange, never null.
 */
typedef struct BoundExpr
{
	char	   *sql;
	bool		is_timeline;
	bool		uses_contact;	/* mentions alias c */
	bool		uses_activity;	/* mentions alias a */
	bool		foreign;		/* operators or types outside pg_catalog */
} BoundExpr;

/* One kind as an aggregate reads it. */
typedef struct BoundSource
{
	ActivitySource *source;
	BoundExpr  *where;			/* NULL: every row; the source's "only" filter
								 * is part of it */
	BoundExpr  *filter;			/* the part of where that the row alone
								 * decides, without contact and clock, or NULL */
	char	   *value;			/* SQL of the aggregated value, or NULL */
} BoundSource;

typedef struct BoundNode BoundNode;

typedef struct BoundAggregate
{
	RuleAggregate func;
	char	   *text;			/* canonical text, by which equal ones are one */
	List	   *sources;		/* of BoundSource *; more than one for exists
								 * and count only, none for a score */
	List	   *items;			/* score: of BoundItem * */
	Interval   *within;			/* or NULL */
	Interval   *older;			/* or NULL */
	Oid			value_type;		/* of the aggregated value (InvalidOid: none) */
	Oid			value_collation;
	Oid			result_type;
	Oid			result_collation;
	int64		enough;			/* exists, count: beyond this number no test can
								 * tell the difference; PG_INT64_MAX: never */
} BoundAggregate;

typedef enum BoundKind
{
	BOUND_AND, BOUND_OR, BOUND_TEST
} BoundKind;

/*
 * Negation is pushed down to the tests, so the tree is ands and ors of
 * possibly negated tests.  A test over aggregates names them in refs, in the
 * order of v1, v2, ...; truer tells of each whether one more row that counts
 * makes the test (with its negation) truer: see DESIGN, "in force".
 */
struct BoundNode
{
	BoundKind	kind;
	List	   *kids;			/* AND, OR: of BoundNode * */
	bool		negated;		/* TEST */
	BoundExpr  *test;			/* TEST */
	List	   *refs;			/* TEST: of int, indexes into aggregates */
	List	   *truer;			/* TEST: of int (bool), beside refs */
	const RuleNode *origin;		/* TEST: what was written */
};

/* A field that a test outside any aggregate reads. */
typedef struct BoundField
{
	const RuleNode *node;		/* as it was written */
	char	   *sql;
	Oid			type;
} BoundField;

/*
 * What a score is made of: points that are earned while a condition is true.
 * The condition speaks of the other aggregates of the rule.
 */
typedef struct BoundItem
{
	int64		points;
	BoundNode  *node;
} BoundItem;

typedef struct BoundRule
{
	ContactSource *contacts;
	BoundNode  *root;
	List	   *aggregates;		/* of BoundAggregate * */
	Bitmapset  *contact_attnos; /* contact columns read, offset by
								 * FirstLowInvalidHeapAttributeNumber */
	List	   *used_columns;	/* of UsedColumn *, every column named */
	bool		uses_clock;		/* time alone can change its truth */
	bool		foreign;		/* types outside pg_catalog are in it */
	List	   *fields;			/* of BoundField *, if bound apart */

	/* Which contacts its query asks of; false when bound: of all. */
	bool		after_key;		/* those whose key is after $2, */
	bool		upto_key;		/* up to $3 */
} BoundRule;

typedef struct UsedColumn
{
	Oid			relid;
	AttrNumber	attno;
} UsedColumn;

/*
 * Bind a rule, its segments in their places (segment.h), in the current memory
 * context.  contacts and activities come from catalog.h.  Every error is an
 * ereport(ERROR) with SQLSTATE and hint: a caller that must live on runs this
 * inside a subtransaction.
 */
extern BoundRule *ls_rule_bind(const Rule *rule, ContactSource *contacts,
							   List *activities);

/*
 * The same, but no two conditions become one test, so that each can be told
 * apart from the others: every "and" and "or" that was written is a node with
 * as many kids, and every other condition one test, or of an aggregate a
 * junction of tests.  The fields are there to be shown.
 */
extern BoundRule *ls_rule_bind_apart(const Rule *rule, ContactSource *contacts,
									 List *activities);

/*
 * Bind an "only" filter over one kind's own columns: no contact, no clock, no
 * aggregates.  For the check when a table is attached.
 */
extern BoundExpr *ls_rule_bind_only(const Rule *rule, ActivitySource *source,
									ContactSource *contacts);

/* Error 42501 unless the current user may SELECT every column the rule names. */
extern void ls_rule_check_rights(const BoundRule *bound);

/*
 * Are rows of the contacts, or of a table that the rule reads, hidden from the
 * current user by row security?  A contact that is matches nothing.
 */
extern bool ls_rule_has_rls(const BoundRule *bound);

#endif							/* LS_RULE_BIND_H */
