/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_GUC_H
#define LS_GUC_H

#include "datatype/timestamp.h"

/* The account that functions work in; never NULL, "" without accounts. */
extern char *ls_guc_account;

/* leadstream.cache_size: memory for compiled rules, in kilobytes. */
extern int	ls_guc_cache_size;

/* Are rows captured at all? */
extern bool ls_guc_capture;

extern void ls_guc_define(void);

/* The clock: the setting where there is one, else the time of the machine. */
extern TimestampTz ls_clock_read(void);

/* The clock of functions that only read: one instant for a whole statement. */
extern TimestampTz ls_clock_of_statement(void);

/* Is the clock a setting? */
extern bool ls_clock_is_set(TimestampTz *clock);

#endif							/* LS_GUC_H */
