/*-------------------------------------------------------------------------
 *
 * rule_access.h
 *	  What must hold of a row for a condition to be true: access conditions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_ACCESS_H
#define LS_RULE_ACCESS_H

#include "executor/tuptable.h"
#include "nodes/primnodes.h"
#include "utils/rel.h"

/* Equalities that are put together into one key. */
#define MAX_KEY_FIELDS		4

typedef enum AccessKind
{
	ACCESS_EQUAL,				/* field = constant, field in (...) */
	ACCESS_PREFIX,				/* field like 'abc%', starts with */
	ACCESS_MEMBER,				/* constant in an array, or in a jsonb array */
	ACCESS_RANGE				/* field between constants, or beyond one */
} AccessKind;

/* An expression over one row, and how its value is hashed. */
typedef struct AccessField
{
	Expr	   *expr;			/* its Vars are those of one slot */
	Oid			hash;			/* hash function of the value's type, or of its
								 * elements'; InvalidOid: PREFIX, RANGE */
} AccessField;

/*
 * What is looked up together.  Two paths of one table are the same if and only
 * if their ids are: the id is a digest of the description.  Those of keys are
 * the heads of longer structures, so a copy of the struct is good for
 * ls_paths_add and ls_access_describe, not inside a key.
 */
typedef struct AccessPath
{
	uint64		path_id;
	AccessKind	kind;
	int			length;			/* PREFIX: bytes; RANGE: leading bits; else 0 */
	int			nfields;
	AccessField fields[MAX_KEY_FIELDS];
} AccessPath;

/* One way to reach a condition. */
typedef struct AccessKey
{
	AccessPath *path;
	uint32		hashes[MAX_KEY_FIELDS]; /* beside path->fields */
} AccessKey;

/*
 * All the ways; one of them is open to every row of which the condition is
 * true.  No two keys have the same digest.  Like paths, to be copied by
 * pointer only: ls_access_and joins what was found apart, such as the two ends
 * of an interval, by what stands behind the struct.
 */
typedef struct Access
{
	int			nkeys;			/* 0: no row at all */
	AccessKey  *keys;
	double		cost;			/* part of all rows that it lets through, estimated */
} Access;

/* What a path is, to be kept and to be read by people. */
typedef struct AccessDescription
{
	const char *kind;			/* "equal", "prefix", "member", "range" */
	int			length;
	int			nfields;
	char	   *fields[MAX_KEY_FIELDS]; /* SQL over the alias a (or c) */
	char	   *types[MAX_KEY_FIELDS];	/* type and hash function */
} AccessDescription;

/*
 * The access condition of a boolean expression, looking only at the columns
 * of one slot (varno is OUTER_VAR for the activity's, INNER_VAR for the
 * contact's), which is that of table rel.  NULL: nothing that we know.
 * Allocates in the current memory context.
 */
extern Access *ls_access_find(Expr *expr, Index varno, Relation rel);

/* The same of "a and b" and of "a or b"; either may be NULL, or reused. */
extern Access *ls_access_and(Access *a, Access *b);
extern Access *ls_access_or(Access *a, Access *b);

/*
 * Make a key's path one that is more likely to be there already, still open to
 * every row that it was; false if there is nothing simpler.  Two keys may
 * become the same.
 */
extern bool ls_access_simplify(AccessKey *key, Index varno, Relation rel);

/* The digest of a key, as ls_paths_probe gives it of a row. */
extern uint64 ls_access_digest(const AccessKey *key);

/*
 * To be kept, and made of it again; NULL if it does not mean the same any more.
 * Plain columns are looked up by name; for anything else ls_access_path opens
 * a subtransaction.
 */
extern void ls_access_describe(const AccessPath *path, Index varno, Relation rel,
							   AccessDescription *description);
extern AccessPath *ls_access_path(const AccessDescription *description,
								  uint64 path_id, Index varno, Relation rel);

/*
 * The paths by which a row of one table is looked up.  Allocated in the
 * current memory context, where all that is added stays.
 */
typedef struct AccessPaths AccessPaths;

extern AccessPaths *ls_paths_make(Index varno);

/* Add a path, of which a copy is made; nothing if it is there already. */
extern void ls_paths_add(AccessPaths *paths, const AccessPath *path);
extern int	ls_paths_count(const AccessPaths *paths);

/*
 * The digests under which a row is looked up: of each key that is open to it,
 * and hardly any others.  The array is good until the next call.  Raises no
 * errors for fields of pg_catalog's types and functions.
 */
extern int	ls_paths_probe(AccessPaths *paths, TupleTableSlot *slot,
						   const uint64 **digests);

#endif							/* LS_RULE_ACCESS_H */
