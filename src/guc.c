/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The settings.
 *
 * All of them are here, under the reserved prefix "leadstream".  Values live
 * as long as the backend; the clock's text is read once, when it is set, and
 * kept beside the setting as its "extra".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "pgtime.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "instant.h"

/*
 * leadstream.account: a name space, not a security boundary.  Whoever calls
 * the functions chooses the account they work in, so anybody may set it.
 */
char	   *ls_guc_account = NULL;

/*
 * leadstream.sales_user: on whose behalf an application works.  Anybody may
 * set it; it counts for roles with the access "app" (91_access.sql reads it).
 */
static char *sales_user = NULL;
int			ls_guc_cache_size = 16 * 1024;

/*
 * leadstream.capture: silences capture for a data migration.  Leads can be
 * lost with it, so only a superuser, or who was granted it, may set it.
 */
bool		ls_guc_capture = true;

/*
 * leadstream.clock: replaces the clock in tests and simulations.  It decides
 * which leads are made, so it is for superusers too.  clock_value is the
 * instant read from it, NULL where the setting is empty.
 */
static char *clock_text = NULL;
static TimestampTz *clock_value = NULL;

/* Read the clock's text; the empty string means the time of the machine. */
static bool
check_clock(char **newval, void **extra, GucSource source)
{
	TimestampTz instant;
	TimestampTz *kept;

	if (**newval == '\0')
		return true;
	if (!ls_instant_parse(*newval, strlen(*newval), pg_tzset("GMT"), &instant) ||
		TIMESTAMP_NOT_FINITE(instant))
	{
		GUC_check_errdetail("The clock is an instant in ISO 8601, such as 2024-05-01T12:00:00Z, or empty.");
		return false;
	}
	kept = ls_guc_malloc(sizeof(TimestampTz));
	if (kept == NULL)
		return false;
	*kept = instant;
	*extra = kept;
	return true;
}

static void
assign_clock(const char *newval, void *extra)
{
	clock_value = (TimestampTz *) extra;
}

/* Define every setting and reserve the prefix. */
void
ls_guc_define(void)
{
	DefineCustomStringVariable("leadstream.account",
							   "Sets the account whose streams, teams and contacts the functions work with.",
							   "Empty where the contacts table has no account column.",
							   &ls_guc_account,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("leadstream.cache_size",
							"Sets the memory that a session may keep compiled rules in.",
							"Rules that do not fit are compiled again when they are needed.",
							&ls_guc_cache_size,
							16 * 1024, 64, MAX_KILOBYTES,
							PGC_USERSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("leadstream.capture",
							 "Makes leads of new rows.",
							 "Off, rows are stored without being judged; fetch_history finds them later.",
							 &ls_guc_capture,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("leadstream.clock",
							   "Sets the instant at which rules are judged.",
							   "An instant in ISO 8601; empty for the time of the machine.",
							   &clock_text,
							   "",
							   PGC_SUSET,
							   0,
							   check_clock, assign_clock, NULL);
	DefineCustomStringVariable("leadstream.sales_user",
							   "Sets the sales user on whose behalf an application works.",
							   "Only his teams' leads are in sight then; heeded of roles with the access \"app\".",
							   &sales_user,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);
	MarkGUCPrefixReserved("leadstream");
}

bool
ls_clock_is_set(TimestampTz *clock)
{
	if (clock_value == NULL)
		return false;
	*clock = *clock_value;
	return true;
}

TimestampTz
ls_clock_of_statement(void)
{
	return clock_value ? *clock_value : GetCurrentStatementStartTimestamp();
}

TimestampTz
ls_clock_read(void)
{
	return clock_value ? *clock_value : GetCurrentTimestamp();
}
