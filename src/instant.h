/*-------------------------------------------------------------------------
 *
 * instant.h
 *	  Instants: reading, writing and shifting them, and the days of a zone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_INSTANT_H
#define LS_INSTANT_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "pgtime.h"
#include "utils/date.h"

/* Longest result of ls_instant_to_text, terminating zero included. */
#define LS_INSTANT_TEXT_SIZE	64

/*
 * The zone of that name, which lives as long as the backend.  Error 22023
 * where there is none.
 */
extern pg_tz *ls_zone_lookup(const char *name);

/* The same for a text value. */
extern pg_tz *ls_zone_from_text(const text *name);

/*
 * Add an interval: months by the calendar of the zone, days as 24 hours.
 * Infinite instants stay.  False on overflow.
 */
extern bool ls_instant_shift(TimestampTz t, const Interval *by, pg_tz *tz,
							 TimestampTz *result);

/* Read strict ISO 8601; without an offset it is local time.  False: no such. */
extern bool ls_instant_parse(const char *s, int len, pg_tz *tz,
							 TimestampTz *result);

/* ISO text in UTC with its offset, palloc'd; timestamptz_in reads it. */
extern char *ls_instant_to_text(TimestampTz t);

/* Local date (its start) or local time of a zone; *ok is false on overflow. */
extern TimestampTz ls_instant_from_date(DateADT date, pg_tz *tz, bool *ok);
extern TimestampTz ls_instant_from_timestamp(Timestamp local, pg_tz *tz,
											 bool *ok);

/*
 * Days are numbered by Julian date.  A day starts at its local midnight, read
 * as PostgreSQL reads a date in that zone, and ends where the next one
 * starts: so the days of a zone partition time whatever its clocks did.
 *
 * ls_day_start gives -infinity and infinity for days out of range.
 * ls_day_of finds the day that a finite instant lies in.
 */
extern TimestampTz ls_day_start(int64 day, pg_tz *tz);
extern int64 ls_day_of(TimestampTz t, pg_tz *tz);

#endif							/* LS_INSTANT_H */
