/*-------------------------------------------------------------------------
 *
 * history_shape.h
 *	  Rules that differ by constants alone, asked in one query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_HISTORY_SHAPE_H
#define LS_HISTORY_SHAPE_H

#include "rule_bind.h"

/* Constants that are cut out of one query; what is beyond stays in it. */
#define MAX_SHAPE_CONSTANTS	8

/*
 * A history query without the constants it compares with.  Rules whose form is
 * the same are one query over a table of their constants.
 */
typedef struct HistoryShape
{
	char	   *form;
	char	   *head;			/* what stands before the table, */
	char	   *any;			/* between it and the list of a column, */
	char	   *tail;			/* and behind that */
	int			any_constant;	/* that column */
	int			nconstants;
	char	   *constants[MAX_SHAPE_CONSTANTS]; /* SQL: literals with their types */
} HistoryShape;

/*
 * The shape of a rule's query, palloc'd; NULL where asking many such rules
 * together would not be better than asking one by one.
 */
extern HistoryShape *ls_history_shape(const BoundRule *bound, const char *account);

/*
 * The query of n rules of one form, which yields (i, contact_id, first_at): i
 * is a place in shapes, first_at may be null.
 */
extern char *ls_history_shape_sql(HistoryShape **shapes, int n);

#endif							/* LS_HISTORY_SHAPE_H */
