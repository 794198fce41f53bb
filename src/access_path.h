/*-------------------------------------------------------------------------
 *
 * access_path.h
 *	  Paths of access conditions, with what it takes to change them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ACCESS_PATH_H
#define LS_ACCESS_PATH_H

#include "nodes/pg_list.h"

#include "rule_access.h"

/* A prefix longer than this is cut: the rest is checked with the row. */
#define MAX_PREFIX			64

/* A field as it was met, with its text. */
typedef struct FieldInfo
{
	Expr	   *expr;
	char	   *text;
} FieldInfo;

/* Every AccessPath of a key is the head of one. */
typedef struct PathInfo
{
	AccessPath	path;			/* must be first */
	char	   *texts[MAX_KEY_FIELDS];
	char	   *types[MAX_KEY_FIELDS];
	double		costs[MAX_KEY_FIELDS];	/* EQUAL: of the one key with this path */
	const char *prefix;			/* PREFIX: of the one key with this path */
} PathInfo;

/* Make a path of one field. */
extern PathInfo *ls_path_make(AccessKind kind, int length, const FieldInfo *field,
							  Oid hash);

/* Put equalities (of AccessKey *) into one key, in the order of the fields' texts. */
extern void ls_path_join(List *equals, AccessKey *key, double *cost);

/* Can values be told apart by their bytes? */
extern bool ls_path_is_by_bytes(Oid collation, Node *expr);

#endif							/* LS_ACCESS_PATH_H */
