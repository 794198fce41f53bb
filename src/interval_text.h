/*-------------------------------------------------------------------------
 *
 * interval_text.h
 *	  Intervals as a rule writes them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_INTERVAL_TEXT_H
#define LS_INTERVAL_TEXT_H

#include "datatype/timestamp.h"

typedef enum IntervalFault
{
	INTERVAL_FINE = 0,
	INTERVAL_MALFORMED,			/* not a row of numbers and units */
	INTERVAL_UNKNOWN_UNIT,
	INTERVAL_BROKEN_MONTH,		/* a fraction of a month, quarter or year */
	INTERVAL_TOO_EXACT,			/* a fraction of a microsecond */
	INTERVAL_OVERFLOW
} IntervalFault;

#define INTERVAL_UNITS	"second, minute, hour, day, week, month, quarter and year"

/*
 * Read canonical or hand-written interval text: months and more go into
 * result->month, everything else into result->time as multiples of 24 hours
 * and less; result->day is 0.  False when unreadable or out of range.
 */
extern bool ls_interval_parse(const char *text, Interval *result);

/*
 * The canonical text of an interval in *canonical (palloc'd), or what is
 * wrong with it; then *culprit is the number or unit at fault, or NULL.
 */
extern IntervalFault ls_interval_canonical(const char *text, char **canonical,
										   char **culprit);

/* Is this the name of a unit, in any case, number or abbreviation? */
extern bool ls_interval_is_unit(const char *name);

#endif							/* LS_INTERVAL_TEXT_H */
