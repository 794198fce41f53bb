/*-------------------------------------------------------------------------
 *
 * json.c
 *	  JSON text -> the tree that the readers of rules take.
 *
 * In a server jsonb stands between the two.  This takes what jsonb takes, but
 * numbers with an exponent, characters beyond ASCII by their numbers, and what
 * is nested so deeply that a backend would refuse it before us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "json.h"

#define MAX_NESTING		2000

static RuleJson *read_value(const char **p, int nesting);
static bool read_members(RuleJson *json, const char **p, int nesting);
static void add_member(RuleJson *json, char *key, RuleJson *value);
static char *read_string(const char **p);
static char *read_number(const char **p);
static bool read_word(const char **p, const char *word);
static void skip_blanks(const char **p);

RuleJson *
fuzz_read_json(const char *text)
{
	const char *p = text;
	RuleJson   *json = read_value(&p, 0);

	if (json == NULL)
		return NULL;
	skip_blanks(&p);
	return *p == '\0' ? json : NULL;
}

static RuleJson *
read_value(const char **p, int nesting)
{
	RuleJson   *json = palloc0(sizeof(RuleJson));

	skip_blanks(p);
	switch (**p)
	{
		case '{':
		case '[':
			json->kind = **p == '{' ? RULE_JSON_OBJECT : RULE_JSON_ARRAY;
			return nesting < MAX_NESTING && read_members(json, p, nesting + 1) ? json : NULL;
		case '"':
			json->kind = RULE_JSON_STRING;
			json->text = read_string(p);
			return json->text != NULL ? json : NULL;
		case 't':
		case 'f':
			json->kind = RULE_JSON_BOOLEAN;
			json->truth = **p == 't';
			return read_word(p, json->truth ? "true" : "false") ? json : NULL;
		case 'n':
			return read_word(p, "null") ? json : NULL;
		default:
			json->kind = RULE_JSON_NUMBER;
			json->text = read_number(p);
			return json->text != NULL ? json : NULL;
	}
}

/* Read what is in an object or array, and its end. */
static bool
read_members(RuleJson *json, const char **p, int nesting)
{
	bool		is_object = json->kind == RULE_JSON_OBJECT;
	char		end = is_object ? '}' : ']';

	(*p)++;
	skip_blanks(p);
	if (**p == end)
	{
		(*p)++;
		return true;
	}
	for (;;)
	{
		char	   *key = NULL;
		RuleJson   *value;

		skip_blanks(p);
		if (is_object)
		{
			key = **p == '"' ? read_string(p) : NULL;
			skip_blanks(p);
			if (key == NULL || *(*p)++ != ':')
				return false;
		}
		value = read_value(p, nesting);
		if (value == NULL)
			return false;
		add_member(json, key, value);
		skip_blanks(p);
		if (**p != ',')
			return *(*p)++ == end;
		(*p)++;
	}
}

/* Of two members of one name the last counts. */
static void
add_member(RuleJson *json, char *key, RuleJson *value)
{
	int			i;

	for (i = 0; key != NULL && i < list_length(json->keys); i++)
	{
		if (strcmp(list_nth(json->keys, i), key) == 0)
		{
			lfirst(list_nth_cell(json->values, i)) = value;
			return;
		}
	}
	if (key != NULL)
		json->keys = lappend(json->keys, key);
	json->values = lappend(json->values, value);
}

static char *
read_string(const char **p)
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	StringInfoData buf;

	initStringInfo(&buf);
	for ((*p)++; **p != '"'; (*p)++)
	{
		const char *escape;
		unsigned int code;

		if ((unsigned char) **p < ' ')
			return NULL;		/* the end of the text too */
		if (**p != '\\')
		{
			appendStringInfoChar(&buf, **p);
			continue;
		}
		(*p)++;
		escape = **p != '\0' ? strchr(escapes, **p) : NULL;
		if (escape != NULL)
			appendStringInfoChar(&buf, meanings[escape - escapes]);
		else if (strspn(*p, "u") == 1 && strspn(*p + 1, "0123456789abcdefABCDEF") >= 4)
		{
			char		digits[5] = {0};

			memcpy(digits, *p + 1, 4);
			code = strtoul(digits, NULL, 16);
			if (code == 0 || code >= 0x80)
				return NULL;
			appendStringInfoChar(&buf, (char) code);
			*p += 4;
		}
		else
			return NULL;
	}
	(*p)++;
	return buf.data;
}

static char *
read_number(const char **p)
{
	const char *start = *p;
	int			digits;

	if (**p == '-')
		(*p)++;
	digits = strspn(*p, "0123456789");
	if (digits == 0 || (**p == '0' && digits > 1))
		return NULL;
	*p += digits;
	if (**p == '.')
	{
		(*p)++;
		digits = strspn(*p, "0123456789");
		if (digits == 0)
			return NULL;
		*p += digits;
	}
	return pnstrdup(start, *p - start);
}

static bool
read_word(const char **p, const char *word)
{
	if (strncmp(*p, word, strlen(word)) != 0)
		return false;
	*p += strlen(word);
	return true;
}

static void
skip_blanks(const char **p)
{
	*p += strspn(*p, " \t\n\r");
}
