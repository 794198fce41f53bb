/*-------------------------------------------------------------------------
 *
 * access_condition.h
 *	  Access conditions put together.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ACCESS_CONDITION_H
#define LS_ACCESS_CONDITION_H

#include "nodes/pg_list.h"

#include "access_path.h"

/* More keys than this, and there is no access. */
#define MAX_KEYS			10000

/* A part of the line, both ends included. */
typedef struct FieldRange
{
	FieldInfo  *field;
	uint64		low;
	uint64		high;
	double		above;			/* part of the rows from low on */
	double		below;			/* part of the rows up to high */
	bool		is_known;		/* both by statistics */
} FieldRange;

/* Every Access of these is one that ls_access_and and ls_access_or take. */

/* No row can pass. */
extern Access *ls_condition_no_row(void);

/* What is reached by each of these keys, of which the array is kept. */
extern Access *ls_condition_keys(AccessKey *keys, int n, double cost);

/* NULL: the interval is hardly less than the whole line. */
extern Access *ls_condition_range(FieldRange *range);

/* The OR of many (of Access *); NULL if one of them has none. */
extern Access *ls_condition_any(List *accesses);

#endif							/* LS_ACCESS_CONDITION_H */
