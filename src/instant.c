/*-------------------------------------------------------------------------
 *
 * instant.c
 *	  Instants: reading, writing and shifting them, and the days of a zone.
 *
 * An instant is a timestamptz.  Core's own functions read the session's
 * TimeZone and DateStyle and raise errors on overflow; a rule must mean the
 * same in every session and must never make an insert fail.  So everything
 * here takes the zone as an argument and reports what has no answer by false
 * or NULL.  The only error is an unknown zone, which is a mistake in a
 * constant and not in the data.
 *
 * Zones are cached by core for the life of the backend; nothing here is
 * longer-lived than the caller's memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "instant.h"

/* Days whose midnight may be a valid instant in some zone, with room. */
#define DAY_FIRST		(-10)
#define DAY_LAST		(TIMESTAMP_END_JULIAN + 10)

/* Largest offset that may be written, as in core. */
#define OFFSET_MAX_HOUR		MAX_TZDISP_HOUR

PG_FUNCTION_INFO_V1(leadstream_shift);
PG_FUNCTION_INFO_V1(leadstream_as_instant_text);
PG_FUNCTION_INFO_V1(leadstream_as_instant_jsonb);
PG_FUNCTION_INFO_V1(leadstream_as_instant_date);
PG_FUNCTION_INFO_V1(leadstream_as_instant_timestamp);
PG_FUNCTION_INFO_V1(leadstream_as_instant_timestamptz);

/* Find a zone by name. */
pg_tz *
ls_zone_lookup(const char *name)
{
	pg_tz	   *tz = pg_tzset(name);

	/* Zones that count leap seconds have days that are not 86,400 s long. */
	if (tz == NULL || !pg_tz_acceptable(tz))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", name),
				 errhint("The view pg_timezone_names lists the names of time zones.")));
	return tz;
}

/* Find a zone by a name given as a text value. */
pg_tz *
ls_zone_from_text(const text *name)
{
	char		buf[TZ_STRLEN_MAX + 1];
	int			len = VARSIZE_ANY_EXHDR(name);

	if (len > TZ_STRLEN_MAX)
		return ls_zone_lookup(text_to_cstring(name));	/* fails */

	memcpy(buf, VARDATA_ANY(name), len);
	buf[len] = '\0';
	return ls_zone_lookup(buf);
}

/* Add an interval to an instant. */
bool
ls_instant_shift(TimestampTz t, const Interval *by, pg_tz *tz,
				 TimestampTz *result)
{
	int64		micros;

	if (TIMESTAMP_NOT_FINITE(t))
	{
		*result = t;
		return true;
	}

	if (by->month != 0)
	{
		struct pg_tm tm;
		fsec_t		fsec;
		int			offset;
		int64		months;

		if (timestamp2tm(t, &offset, &tm, &fsec, NULL, tz) != 0)
			return false;

		/* Months since the start of the year 0, rounded down. */
		months = (int64) tm.tm_year * MONTHS_PER_YEAR + (tm.tm_mon - 1) + by->month;
		tm.tm_year = (int) (months / MONTHS_PER_YEAR);
		tm.tm_mon = (int) (months % MONTHS_PER_YEAR);
		if (tm.tm_mon < 0)
		{
			tm.tm_mon += MONTHS_PER_YEAR;
			tm.tm_year--;
		}
		tm.tm_mon++;

		tm.tm_mday = Min(tm.tm_mday, day_tab[isleap(tm.tm_year)][tm.tm_mon - 1]);

		offset = DetermineTimeZoneOffset(&tm, tz);
		if (tm2timestamp(&tm, fsec, &offset, &t) != 0)
			return false;
	}

	if (pg_mul_s64_overflow((int64) by->day, USECS_PER_DAY, &micros) ||
		pg_add_s64_overflow(micros, by->time, &micros) ||
		pg_add_s64_overflow(t, micros, &t) ||
		!IS_VALID_TIMESTAMP(t))
		return false;

	*result = t;
	return true;
}

/*
 * Read exactly ndigits digits, all before end, into *value and step over them.
 */
static bool
scan_digits(const char **s, const char *end, int ndigits, int *value)
{
	int			v = 0;

	if (end - *s < ndigits)
		return false;
	for (int i = 0; i < ndigits; i++)
	{
		char		c = (*s)[i];

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (c - '0');
	}
	*s += ndigits;
	*value = v;
	return true;
}

/* Step over one given character. */
static bool
scan_char(const char **s, const char *end, char c)
{
	if (*s >= end || **s != c)
		return false;
	(*s)++;
	return true;
}

/* Read the fraction of a second behind its point: one to six digits. */
static bool
scan_fraction(const char **s, const char *end, fsec_t *fsec)
{
	int			scale = USECS_PER_SEC / 10;
	const char *start = *s;

	*fsec = 0;
	for (; *s < end && **s >= '0' && **s <= '9'; (*s)++)
	{
		if (scale == 0)
			return false;
		*fsec += (**s - '0') * scale;
		scale /= 10;
	}
	return *s > start;
}

/* Read an offset: Z, +HH, +HHMM or +HH:MM; in seconds west of Greenwich. */
static bool
scan_offset(const char **s, const char *end, int *offset)
{
	bool		west;
	int			hour;
	int			min = 0;

	if (scan_char(s, end, 'Z'))
	{
		*offset = 0;
		return true;
	}

	if (scan_char(s, end, '-'))
		west = true;
	else if (scan_char(s, end, '+'))
		west = false;
	else
		return false;

	if (!scan_digits(s, end, 2, &hour) || hour > OFFSET_MAX_HOUR)
		return false;
	if (*s < end)
	{
		(void) scan_char(s, end, ':');
		if (!scan_digits(s, end, 2, &min) || min >= MINS_PER_HOUR)
			return false;
	}

	*offset = (hour * MINS_PER_HOUR + min) * SECS_PER_MINUTE;
	if (!west)
		*offset = -*offset;
	return true;
}

/* Read an instant in strict ISO 8601. */
bool
ls_instant_parse(const char *s, int len, pg_tz *tz, TimestampTz *result)
{
	const char *end = s + len;
	struct pg_tm tm;
	fsec_t		fsec = 0;
	int			offset = 0;
	bool		has_offset = false;

	while (s < end && scanner_isspace(*s))
		s++;
	while (end > s && scanner_isspace(end[-1]))
		end--;

	memset(&tm, 0, sizeof(tm));
	if (!scan_digits(&s, end, 4, &tm.tm_year) || !scan_char(&s, end, '-') ||
		!scan_digits(&s, end, 2, &tm.tm_mon) || !scan_char(&s, end, '-') ||
		!scan_digits(&s, end, 2, &tm.tm_mday))
		return false;

	/* There is no year 0 in SQL. */
	if (tm.tm_year < 1 || tm.tm_mon < 1 || tm.tm_mon > MONTHS_PER_YEAR ||
		tm.tm_mday < 1 ||
		tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1])
		return false;

	if (s < end)
	{
		if (!scan_char(&s, end, 'T') && !scan_char(&s, end, ' '))
			return false;
		if (!scan_digits(&s, end, 2, &tm.tm_hour) || !scan_char(&s, end, ':') ||
			!scan_digits(&s, end, 2, &tm.tm_min))
			return false;
		if (scan_char(&s, end, ':'))
		{
			if (!scan_digits(&s, end, 2, &tm.tm_sec))
				return false;
			if (scan_char(&s, end, '.') && !scan_fraction(&s, end, &fsec))
				return false;
		}
		if (tm.tm_hour >= HOURS_PER_DAY || tm.tm_min >= MINS_PER_HOUR ||
			tm.tm_sec >= SECS_PER_MINUTE)
			return false;

		if (s < end)
		{
			if (!scan_offset(&s, end, &offset) || s < end)
				return false;
			has_offset = true;
		}
	}

	if (!has_offset)
		offset = DetermineTimeZoneOffset(&tm, tz);
	return tm2timestamp(&tm, fsec, &offset, result) == 0;
}

/* Write an instant so that it reads back the same in every session. */
char *
ls_instant_to_text(TimestampTz t)
{
	char	   *buf = palloc(Max(LS_INSTANT_TEXT_SIZE, MAXDATELEN + 1));
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_IS_NOBEGIN(t))
		strcpy(buf, "-infinity");
	else if (TIMESTAMP_IS_NOEND(t))
		strcpy(buf, "infinity");
	else if (timestamp2tm(t, NULL, &tm, &fsec, NULL, NULL) == 0)
	{
		/* Without a zone the fields are those of UTC. */
		tm.tm_isdst = 0;
		EncodeDateTime(&tm, fsec, true, 0, NULL, USE_ISO_DATES, buf);
	}
	else
		elog(ERROR, "timestamp out of range");	/* no such value is stored */
	return buf;
}

/* The instant at which a date starts in a zone. */
TimestampTz
ls_instant_from_date(DateADT date, pg_tz *tz, bool *ok)
{
	TimestampTz result;

	*ok = true;
	if (DATE_IS_NOBEGIN(date))
		return DT_NOBEGIN;
	if (DATE_IS_NOEND(date))
		return DT_NOEND;

	result = ls_day_start((int64) date + POSTGRES_EPOCH_JDATE, tz);
	*ok = !TIMESTAMP_NOT_FINITE(result);
	return result;
}

/* The instant at which the clocks of a zone show a local time. */
TimestampTz
ls_instant_from_timestamp(Timestamp local, pg_tz *tz, bool *ok)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	TimestampTz result;

	*ok = true;
	if (TIMESTAMP_NOT_FINITE(local))
		return local;

	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
	{
		*ok = false;
		return 0;
	}
	offset = DetermineTimeZoneOffset(&tm, tz);
	*ok = (tm2timestamp(&tm, fsec, &offset, &result) == 0);
	return result;
}

/* The start of a day; infinite where it is no valid instant. */
TimestampTz
ls_day_start(int64 day, pg_tz *tz)
{
	struct pg_tm tm;
	int			offset;
	int64		result;

	if (day < DAY_FIRST)
		return DT_NOBEGIN;
	if (day > DAY_LAST)
		return DT_NOEND;

	/*
	 * Julian days before 0 have no calendar date, yet day -1 and 0 may start
	 * within range: west of Greenwich these are the same instants as hours of
	 * day 0 in UTC.  The offset is that of the first date there is.
	 */
	memset(&tm, 0, sizeof(tm));
	j2date((int) Max(day, 0), &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	offset = DetermineTimeZoneOffset(&tm, tz);

	/*
	 * Computed from the day instead of by tm2timestamp, which does not say on
	 * which side the result is out of range.  The end of int64 is only eight
	 * days behind the last valid instant, so the product may overflow.
	 */
	if (pg_mul_s64_overflow(day - POSTGRES_EPOCH_JDATE, USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result, (int64) offset * USECS_PER_SEC, &result) ||
		result >= END_TIMESTAMP)
		return DT_NOEND;
	if (result < MIN_TIMESTAMP)
		return DT_NOBEGIN;
	return result;
}

/* The day that an instant lies in. */
int64
ls_day_of(TimestampTz t, pg_tz *tz)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	int64		day;

	Assert(!TIMESTAMP_NOT_FINITE(t));

	/*
	 * The local date is right but for the hours around a transition that
	 * moves the clocks across midnight, where the walk below takes one step.
	 */
	day = t / USECS_PER_DAY + POSTGRES_EPOCH_JDATE;
	if (timestamp2tm(t, &offset, &tm, &fsec, NULL, tz) == 0)
		day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);

	while (ls_day_start(day, tz) > t)
		day--;
	while (ls_day_start(day + 1, tz) <= t)
		day++;
	return day;
}

/* shift(t timestamptz, by interval, zone text) -> timestamptz */
Datum
leadstream_shift(PG_FUNCTION_ARGS)
{
	TimestampTz t = PG_GETARG_TIMESTAMPTZ(0);
	Interval   *by = PG_GETARG_INTERVAL_P(1);
	pg_tz	   *tz = ls_zone_from_text(PG_GETARG_TEXT_PP(2));
	TimestampTz result;

	if (!ls_instant_shift(t, by, tz, &result))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(result);
}

/* as_instant(text, zone text) -> timestamptz */
Datum
leadstream_as_instant_text(PG_FUNCTION_ARGS)
{
	text	   *s = PG_GETARG_TEXT_PP(0);
	pg_tz	   *tz = ls_zone_from_text(PG_GETARG_TEXT_PP(1));
	TimestampTz result;

	if (!ls_instant_parse(VARDATA_ANY(s), VARSIZE_ANY_EXHDR(s), tz, &result))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(result);
}

/* as_instant(jsonb, zone text) -> timestamptz */
Datum
leadstream_as_instant_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	pg_tz	   *tz = ls_zone_from_text(PG_GETARG_TEXT_PP(1));
	JsonbValue	v;
	TimestampTz result;

	if (!JB_ROOT_IS_SCALAR(jb) || !JsonbExtractScalar(&jb->root, &v) ||
		v.type != jbvString ||
		!ls_instant_parse(v.val.string.val, v.val.string.len, tz, &result))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(result);
}

/* as_instant(date, zone text) -> timestamptz */
Datum
leadstream_as_instant_date(PG_FUNCTION_ARGS)
{
	DateADT		date = PG_GETARG_DATEADT(0);
	pg_tz	   *tz = ls_zone_from_text(PG_GETARG_TEXT_PP(1));
	bool		ok;
	TimestampTz result;

	result = ls_instant_from_date(date, tz, &ok);
	if (!ok)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(result);
}

/* as_instant(timestamp, zone text) -> timestamptz */
Datum
leadstream_as_instant_timestamp(PG_FUNCTION_ARGS)
{
	Timestamp	local = PG_GETARG_TIMESTAMP(0);
	pg_tz	   *tz = ls_zone_from_text(PG_GETARG_TEXT_PP(1));
	bool		ok;
	TimestampTz result;

	result = ls_instant_from_timestamp(local, tz, &ok);
	if (!ok)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(result);
}

/* as_instant(timestamptz, zone text) -> timestamptz */
Datum
leadstream_as_instant_timestamptz(PG_FUNCTION_ARGS)
{
	TimestampTz t = PG_GETARG_TIMESTAMPTZ(0);

	PG_RETURN_TIMESTAMPTZ(t);
}
