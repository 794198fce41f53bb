/*-------------------------------------------------------------------------
 *
 * rule_hint.c
 *	  Where a syntax error is, and what the writer may have meant.
 *
 * The hint is guessed from the token that did not fit and the two before it,
 * by their texts alone.  It never decides whether there is an error, so a
 * guess that does not fit costs nothing but itself; where there is no good
 * guess there is no hint.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "interval_text.h"
#include "rule_parse.h"

/* Longer texts are cut in messages. */
#define SHOWN_BYTES		60

static const char *const reserved_words[] = {
	"and", "between", "distinct", "false", "in", "is", "not", "now", "null",
	"older", "or", "than", "today", "true", "where", "within", NULL
};
static const char *const comparisons[] = {
	"=", "<>", "!=", "<", "<=", ">", ">=", "~", "~*", "!~", "!~*", NULL
};
static const char *const word_tests[] = {
	"like", "ilike", "with", "contains", "between", NULL
};

static const char *const aggregates[] = {
	"exists", "count", "sum", "avg", "min", "max", "first", "last", NULL
};
static const char inside_aggregate[] =
	"Inside the parentheses of an aggregate come the kind, where, within, older than, in this order, as in count(page_visit where url like '/pricing%' within 7 days).";

/* Operators that other languages have. */
static const struct
{
	const char *token;
	const char *hint;
}			foreign_operators[] =
{
	{"==", "Use = to compare."},
	{"===", "Use = to compare."},
	{"!==", "Use <> to compare."},
	{"=!", "Use <> to compare."},
	{"=<", "Use <= to compare."},
	{"=>", "Use >= to compare."},
	{"&&", "Use the word and."},
	{"&", "Use the word and."},
	{"||", "Use the word or."},
	{"|", "Use the word or."},
	{"!", "Use the word not."},
	{"@>", "Use the word contains."},
	{"::", "A rule has no casts; a literal is read by the type of the column it is compared with."},
	{"->", "Reach into jsonb with a dot, as in data.key or data.\"a key\"."},
	{"->>", "Reach into jsonb with a dot, as in data.key or data.\"a key\"."},
	{";", "A rule has no semicolon."},
	{"$", "A rule has no parameters; write the value itself, in single quotes, each quote in it doubled."},
	{NULL, NULL}
};

static char *token_text(const RuleParser *parser, RuleToken token);
static bool is_one_of(const char *word, const char *const *list);
static bool is_name(const char *token);
static bool is_number_with_tail(const char *token);
static bool wants_operand(const char *token);
static bool wants_condition(const char *token);
static const char *hint_for_parenthesis(const RuleParser *parser,
										const char *previous);
static const char *hint_for_gap(const char *previous, const char *token);

/* The number of the character at a byte offset, from 1. */
int
ls_rule_position(const RuleParser *parser, int location)
{
	return pg_mbstrlen_with_len(parser->text, location) + 1;
}

/* A text as messages show it: cut if it is long. */
char *
ls_rule_shown(const char *text, int len)
{
	if (len <= SHOWN_BYTES)
		return pnstrdup(text, len);
	return psprintf("%.*s...", pg_mbcliplen(text, len, SHOWN_BYTES), text);
}

/* A hint for the error at the current token, or NULL. */
const char *
ls_rule_hint(const RuleParser *parser)
{
	char	   *words[lengthof(parser->recent)];
	const char *token;
	const char *previous;
	const char *before;
	const char *hint;
	int			i;

	for (i = 0; i < (int) lengthof(words); i++)
	{
		char	   *p;

		words[i] = token_text(parser, parser->recent[i]);
		for (p = words[i]; *p != '\0'; p++)
		{
			if (*p >= 'A' && *p <= 'Z')
				*p += 'a' - 'A';
		}
	}
	token = words[0];
	previous = words[1];
	before = words[2];

	for (i = 0; foreign_operators[i].token != NULL; i++)
	{
		if (strcmp(token, foreign_operators[i].token) == 0)
			return foreign_operators[i].hint;
	}

	if (strcmp(token, "where") == 0 || strcmp(token, "within") == 0 ||
		strcmp(token, "older") == 0)
	{
		if (!wants_operand(previous) && !wants_condition(previous))
			return inside_aggregate;
	}
	if (strcmp(before, "(") == 0 && is_one_of(words[3], aggregates) && is_name(previous) &&
		(is_name(token) || is_one_of(token, word_tests)))
		return inside_aggregate;
	if (strcmp(previous, "(") == 0 && is_name(token) &&
		(strcmp(before, "segment") == 0 || strcmp(before, "score") == 0))
		return psprintf("The name stands in single quotes, as in %s('name').", before);
	if (previous[0] == '\0' && (token[0] == '{' || token[0] == '['))
		return "The JSON of a rule is cast by way of jsonb: '...'::jsonb::leadstream.rule.";

	if (token[0] == '"')
		return "Double quotes are for names; write a literal in single quotes.";
	if (strcmp(token, "null") == 0)
		return "A missing value is tested with is null, is not null or is empty.";
	if (is_number_with_tail(token))
		return "Write a space between a number and a word.";

	if (strcmp(token, "(") == 0)
		return hint_for_parenthesis(parser, previous);
	if (strcmp(token, ")") == 0 && parser->open < 0)
		return "There is no opening parenthesis for this one.";
	if (strcmp(previous, ")") == 0 &&
		(is_one_of(token, comparisons) || is_one_of(token, word_tests)))
		return "Parentheses group conditions; an operand stands without them.";
	if (strcmp(token, "*") == 0 && strcmp(previous, "(") == 0)
		return "Name the kind of activity to count, as in count(page_visit).";
	if (strcmp(previous, "-") == 0 || strcmp(previous, "+") == 0)
	{
		if (strcmp(before, "now") == 0 || strcmp(before, "today") == 0)
			return "An interval must follow, such as 7 days.";
	}
	if (strcmp(previous, "within") == 0 || strcmp(previous, "than") == 0)
		return "An interval must follow, such as 7 days.";
	if (previous[0] >= '0' && previous[0] <= '9' &&
		(strcmp(before, "within") == 0 || strcmp(before, "than") == 0 ||
		 strcmp(before, "-") == 0 || strcmp(before, "+") == 0))
		return "A unit must follow the number; the units are " INTERVAL_UNITS ".";
	if ((token[0] != '\0' && strchr("+-*/%^", token[0]) != NULL) ||
		(strcmp(previous, "*") == 0 && is_name(token)))
		return "There is no arithmetic on fields: + and - take an interval from now or today, * stands between a number and an aggregate on the right-hand side.";

	if (strcmp(previous, "is") == 0 ||
		(strcmp(previous, "not") == 0 && strcmp(before, "is") == 0))
		return "After is comes null, empty, true or false; compare values with = or <>.";
	if (strcmp(previous, "not") == 0 && is_one_of(token, comparisons))
		return "Put not in front of the whole condition, or use <>.";
	if (strcmp(before, "between") == 0)
		return "Between is followed by the lower bound, the word and, and the upper bound.";
	if (strcmp(previous, "in") == 0)
		return "After in comes a list in parentheses or a period: today, yesterday, tomorrow, or this, last or next with day, week, month, quarter or year.";
	if (strcmp(before, "in") == 0 &&
		(strcmp(previous, "this") == 0 || strcmp(previous, "last") == 0 ||
		 strcmp(previous, "next") == 0))
		return "This, last and next are followed by day, week, month, quarter or year.";
	if (strcmp(previous, "older") == 0)
		return "Older is followed by than and an interval, as in older than 7 days.";
	if (strcmp(previous, "starts") == 0 || strcmp(previous, "ends") == 0)
		return "Write starts with or ends with and a text.";
	if (strcmp(previous, "e") == 0 && token[0] == '\'')
		return "There are no E'' strings in rules; a backslash is a backslash, and only quotes are doubled.";
	if (strcmp(previous, "interval") == 0 && token[0] == '\'')
		return "Write an interval without the word interval, as in 7 days or '7 days'.";

	hint = hint_for_gap(previous, token);
	if (hint == NULL && token[0] == '\0' && parser->open > 0)
		hint = "A closing parenthesis is missing.";
	return hint;
}

/* The text of a token. */
static char *
token_text(const RuleParser *parser, RuleToken token)
{
	return ls_rule_shown(parser->text + token.start, token.len);
}

/* Is the word in the list? */
static bool
is_one_of(const char *word, const char *const *list)
{
	for (; *list != NULL; list++)
	{
		if (strcmp(word, *list) == 0)
			return true;
	}
	return false;
}

/* Is the token a word that may be a name, or a quoted name? */
static bool
is_name(const char *token)
{
	return token[0] == '"' || token[0] == '_' || IS_HIGHBIT_SET(token[0]) ||
		(token[0] >= 'a' && token[0] <= 'z' &&
		 !is_one_of(token, reserved_words));
}

/* Is the token a number that runs into a word, as in 7days? */
static bool
is_number_with_tail(const char *token)
{
	const char *tail;

	if (token[0] < '0' || token[0] > '9')
		return false;
	tail = token + strspn(token, "0123456789.");
	if (tail[0] == 'e')
	{
		tail++;
		tail += strspn(tail, "+-");
		if (tail[0] >= '0' && tail[0] <= '9')
			tail += strspn(tail, "0123456789");
	}
	return tail[0] != '\0';
}

/* Must an operand follow this token? */
static bool
wants_operand(const char *token)
{
	return is_one_of(token, comparisons) || is_one_of(token, word_tests) ||
		strcmp(token, ",") == 0 || strcmp(token, "*") == 0;
}

/* Must a condition, or the kind of an aggregate, follow this token? */
static bool
wants_condition(const char *token)
{
	return token[0] == '\0' || strcmp(token, "and") == 0 ||
		strcmp(token, "or") == 0 || strcmp(token, "not") == 0 ||
		strcmp(token, "where") == 0;
}

/* A hint for an opening parenthesis that does not fit. */
static const char *
hint_for_parenthesis(const RuleParser *parser, const char *previous)
{
	if (strcmp(previous, "contains") == 0)
		return "Write contains any (...) or contains all (...).";
	if (strcmp(previous, "now") == 0 || strcmp(previous, "today") == 0)
		return psprintf("Write %s without parentheses.", previous);
	if (wants_operand(previous))
		return "Parentheses group conditions; an operand stands without them.";
	if (strcmp(previous, "segment") == 0)
		return "segment('name') is a condition by itself, true or false; it is compared with nothing.";
	if (strcmp(previous, "score") == 0)
		return "A score is score(), of all score sets, or score('name'), of one.";
	if (is_name(previous) && previous[0] != '"')
		return psprintf("There is no function \"%s\" in rules; there are exists, count, sum, avg, min, max, first, last, score and segment.",
						token_text(parser, parser->recent[1]));
	return NULL;
}

/* A hint where something seems to be missing between two tokens. */
static const char *
hint_for_gap(const char *previous, const char *token)
{
	bool		after_test = is_one_of(token, comparisons) ||
		is_one_of(token, word_tests) || strcmp(token, "is") == 0 ||
		strcmp(token, "in") == 0;
	bool		after_condition = token[0] == '\0' ||
		strcmp(token, "and") == 0 || strcmp(token, "or") == 0 ||
		strcmp(token, ")") == 0 || strcmp(token, ",") == 0;

	if (strcmp(previous, "(") == 0 && strcmp(token, ")") == 0)
		return "There is nothing between the parentheses.";
	if (wants_operand(previous) && (after_test || after_condition))
		return "An operand is missing here: a literal, a field, now, today or an aggregate.";
	if (wants_condition(previous) || strcmp(previous, "(") == 0)
	{
		if (after_condition)
			return "A condition is missing here.";
		if (after_test)
			return "An operand is missing here: a literal, a field, now, today or an aggregate.";
	}
	if (is_one_of(token, reserved_words) &&
		(wants_operand(previous) || wants_condition(previous) ||
		 strcmp(previous, "(") == 0))
		return psprintf("The word %s is reserved; as a name it is written \"%s\".",
						token, token);
	if (strcmp(previous, ")") == 0 || is_name(previous) ||
		previous[0] == '\'' || (previous[0] >= '0' && previous[0] <= '9'))
	{
		if (token[0] == '\'' || is_name(token) ||
			(token[0] >= '0' && token[0] <= '9'))
			return "Between two operands stands a test, such as =, <>, <, in, like, starts with or contains; between two conditions stands and or or.";
	}
	return NULL;
}
