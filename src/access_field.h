/*-------------------------------------------------------------------------
 *
 * access_field.h
 *	  Fields of access conditions: expressions over one row, and their text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ACCESS_FIELD_H
#define LS_ACCESS_FIELD_H

#include "nodes/primnodes.h"
#include "utils/rel.h"

/*
 * Does the expression depend on the row in that slot and on nothing else, and
 * is every function in it PostgreSQL's own or ours, and immutable?
 */
extern bool ls_field_is(Node *expr, Index varno);

/* Is this a function of leadstream's, of that name? */
extern bool ls_field_is_own_function(Oid function, const char *name);

/* The column that a field is, or InvalidAttrNumber. */
extern AttrNumber ls_field_column(const Expr *field);

/*
 * A field as SQL over the alias a (OUTER_VAR) or c (INNER_VAR), the same in
 * every session; and its type with its hash function, if any.
 */
extern char *ls_field_text(Expr *field, Index varno, Relation rel);
extern char *ls_field_type_text(Expr *field, Oid hash);

/*
 * The fields of such texts.  False: one of them is none.  Opens a
 * subtransaction if there is one that is no plain column; errors that are
 * nobody's fault (cancel, out of memory) are raised.
 */
extern bool ls_fields_parse(char *const *texts, int n, Index varno,
							Relation rel, Expr **fields);

#endif							/* LS_ACCESS_FIELD_H */
