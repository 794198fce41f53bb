/*-------------------------------------------------------------------------
 *
 * interval_text.c
 *	  Intervals as a rule writes them: "90 days", "1 month 2 hours".
 *
 * An interval is one or more pairs of a number and a unit.  It has two
 * parts: whole calendar months, and a length of time in microseconds, in
 * which a day is 24 hours.  PostgreSQL's own interval input is not used,
 * because it depends on IntervalStyle, rounds, lets units leak into each
 * other and reads much that would be a slip in a rule ('90' is 90 seconds).
 * Arithmetic is exact or an error.  Results are palloc'd.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "lib/stringinfo.h"

#include "interval_text.h"
#include "number_text.h"

typedef struct IntervalUnit
{
	const char *name;			/* singular; an "s" makes the plural */
	const char *abbreviation;	/* or NULL */
	int32		months;			/* calendar units */
	int64		usecs;			/* others */
} IntervalUnit;

static const IntervalUnit units[] = {
	{"second", "sec", 0, USECS_PER_SEC},
	{"minute", "min", 0, USECS_PER_MINUTE},
	{"hour", NULL, 0, USECS_PER_HOUR},
	{"day", NULL, 0, USECS_PER_DAY},
	{"week", NULL, 0, 7 * USECS_PER_DAY},
	{"month", NULL, 1, 0},
	{"quarter", NULL, 3, 0},
	{"year", NULL, 12, 0}
};

static bool word_is(const char *word, int len, const char *name);
static const IntervalUnit *find_unit(const char *word, int len);
static IntervalFault add_number(Interval *sum, const IntervalUnit *unit,
								const char *number);
static IntervalFault read_interval(const char *text, Interval *sum,
								   StringInfo canonical, char **culprit);

/* Read an interval; false when unreadable or out of range. */
bool
ls_interval_parse(const char *text, Interval *result)
{
	char	   *culprit;

	return read_interval(text, result, NULL, &culprit) == INTERVAL_FINE;
}

/* Bring an interval into canonical form. */
IntervalFault
ls_interval_canonical(const char *text, char **canonical, char **culprit)
{
	StringInfoData buf;
	Interval	sum;
	IntervalFault fault;

	initStringInfo(&buf);
	fault = read_interval(text, &sum, &buf, culprit);
	*canonical = fault == INTERVAL_FINE ? buf.data : NULL;
	return fault;
}

/* Is this the name of a unit? */
bool
ls_interval_is_unit(const char *name)
{
	return find_unit(name, strlen(name)) != NULL;
}

/* Compare a word with a name or its plural, ignoring case. */
static bool
word_is(const char *word, int len, const char *name)
{
	int			namelen = strlen(name);

	if (len == namelen + 1 && (word[namelen] == 's' || word[namelen] == 'S'))
		len = namelen;
	return len == namelen && pg_strncasecmp(word, name, len) == 0;
}

/* Find a unit by any of its names. */
static const IntervalUnit *
find_unit(const char *word, int len)
{
	int			i;

	for (i = 0; i < lengthof(units); i++)
	{
		if (word_is(word, len, units[i].name) ||
			(units[i].abbreviation != NULL &&
			 word_is(word, len, units[i].abbreviation)))
			return &units[i];
	}
	return NULL;
}

/* Add that many of a unit; number is canonical. */
static IntervalFault
add_number(Interval *sum, const IntervalUnit *unit, const char *number)
{
	const char *point = strchr(number, '.');
	const char *end = point ? point : number + strlen(number);
	const char *p;
	int64		whole = 0;
	int64		part = 0;

	for (p = number; p < end; p++)
	{
		if (pg_mul_s64_overflow(whole, 10, &whole) ||
			pg_add_s64_overflow(whole, *p - '0', &whole))
			return INTERVAL_OVERFLOW;
	}

	if (unit->months > 0)
	{
		int32		months;

		if (point != NULL)
			return INTERVAL_BROKEN_MONTH;
		if (whole > PG_INT32_MAX ||
			pg_mul_s32_overflow((int32) whole, unit->months, &months) ||
			pg_add_s32_overflow(sum->month, months, &sum->month))
			return INTERVAL_OVERFLOW;
		return INTERVAL_FINE;
	}

	/*
	 * The fraction, from its last digit up.  The sum is a whole number of
	 * microseconds if and only if every one of these divisions is exact, and
	 * none of the steps can overflow.
	 */
	if (point != NULL)
	{
		for (p = point + strlen(point) - 1; p > point; p--)
		{
			part += (*p - '0') * unit->usecs;
			if (part % 10 != 0)
				return INTERVAL_TOO_EXACT;
			part /= 10;
		}
	}
	if (pg_mul_s64_overflow(whole, unit->usecs, &whole) ||
		pg_add_s64_overflow(whole, part, &whole) ||
		pg_add_s64_overflow(sum->time, whole, &sum->time))
		return INTERVAL_OVERFLOW;
	return INTERVAL_FINE;
}

/* Read pairs of numbers and units; canonical may be NULL. */
static IntervalFault
read_interval(const char *text, Interval *sum, StringInfo canonical,
			  char **culprit)
{
	static const char blanks[] = " \t\n\r\f\v";
	static const char letters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *p = text + strspn(text, blanks);

	memset(sum, 0, sizeof(Interval));
	*culprit = NULL;
	if (*p == '\0')
		return INTERVAL_MALFORMED;

	while (*p != '\0')
	{
		int			digits = strspn(p, "0123456789");
		int			numberlen = digits;
		int			gap;
		int			unitlen;
		char	   *number;
		const IntervalUnit *unit;
		IntervalFault fault;

		if (p[numberlen] == '.')
		{
			int			fraction = strspn(p + numberlen + 1, "0123456789");

			digits += fraction;
			numberlen += 1 + fraction;
		}
		if (digits == 0)
			return INTERVAL_MALFORMED;
		gap = strspn(p + numberlen, blanks);
		unitlen = strspn(p + numberlen + gap, letters);
		if (gap == 0 || unitlen == 0)
			return INTERVAL_MALFORMED;

		*culprit = pnstrdup(p + numberlen + gap, unitlen);
		unit = find_unit(*culprit, unitlen);
		if (unit == NULL)
			return INTERVAL_UNKNOWN_UNIT;

		number = ls_number_canonical(p, numberlen);
		if (number == NULL)
			return INTERVAL_OVERFLOW;
		fault = add_number(sum, unit, number);
		if (fault != INTERVAL_FINE)
			return fault;

		if (canonical != NULL)
			appendStringInfo(canonical, "%s%s %s%s",
							 canonical->len > 0 ? " " : "", number, unit->name,
							 strcmp(number, "1") == 0 ? "" : "s");

		p += numberlen + gap + unitlen;
		gap = strspn(p, blanks);
		if (gap == 0 && *p != '\0')
			return INTERVAL_MALFORMED;
		p += gap;
	}
	*culprit = NULL;
	return INTERVAL_FINE;
}
