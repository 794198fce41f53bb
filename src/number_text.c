/*-------------------------------------------------------------------------
 *
 * number_text.c
 *	  The one way to write a number in a rule.
 *
 * Numbers of equal value have equal canonical text: no exponent, no leading
 * zeros but the one before the point, no trailing zeros behind it.  It is
 * done on the digits, so no precision is lost and nothing depends on the
 * server's own number formats.  The result is palloc'd.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "number_text.h"
#include "rule_format.h"

/* An exponent beyond this makes any number that fits a rule too long. */
#define EXPONENT_BOUND	(4 * RULE_MAX_LENGTH)

/* Return the canonical text of an unsigned number, NULL if it is too long. */
char *
ls_number_canonical(const char *text, int len)
{
	const char *end = text + len;
	const char *p;
	char	   *digits = palloc(len + 1);
	char	   *result;
	char	   *out;
	int			ndigits = 0;
	int			point = 0;		/* digits before the decimal point */
	int			first = 0;
	int			i;
	bool		after_point = false;

	for (p = text; p < end && *p != 'e' && *p != 'E'; p++)
	{
		if (*p == '.')
			after_point = true;
		else
		{
			digits[ndigits++] = *p;
			if (!after_point)
				point++;
		}
	}
	if (p < end)
	{
		bool		negative = false;
		int			exponent = 0;

		p++;
		if (p < end && (*p == '+' || *p == '-'))
			negative = (*p++ == '-');
		for (; p < end; p++)
		{
			if (exponent < EXPONENT_BOUND)
				exponent = exponent * 10 + (*p - '0');
		}
		point += negative ? -exponent : exponent;
	}

	while (first < ndigits && digits[first] == '0')
	{
		first++;
		point--;
	}
	while (ndigits > first && digits[ndigits - 1] == '0')
		ndigits--;
	ndigits -= first;
	if (ndigits == 0)
		return pstrdup("0");

	if (Max(point, 1) + Max(ndigits - point, 0) > RULE_MAX_NUMBER_DIGITS)
		return NULL;

	result = out = palloc(RULE_MAX_NUMBER_DIGITS + 2);
	if (point <= 0)
		*out++ = '0';
	for (i = 0; i < point; i++)
		*out++ = i < ndigits ? digits[first + i] : '0';
	if (ndigits > point)
	{
		*out++ = '.';
		for (i = point; i < 0; i++)
			*out++ = '0';
		for (i = Max(point, 0); i < ndigits; i++)
			*out++ = digits[first + i];
	}
	*out = '\0';
	return result;
}
