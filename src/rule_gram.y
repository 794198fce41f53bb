%{
/*-------------------------------------------------------------------------
 *
 * rule_gram.y
 *	  The grammar of rules: tokens -> syntax tree.
 *
 * The tree is what rule_build.c stores: chains of "and" and of "or" are one
 * node each, so "a and (b and c)" is "a and b and c"; everything else stays
 * as it was written, "not not a" too.  Each item knows how deep the text
 * under it was nested, parentheses included; taking redundant parentheses
 * away never makes a rule deeper, so canonical text passes every limit that
 * the original passed.
 *
 * Reserved words are those that could begin or follow an operand anywhere;
 * all others are names unless "(" follows, and the one token of lookahead is
 * enough for that.  There are no precedence declarations and no conflicts.
 *
 * The JSON form of a rule holds parts of rules as text: operands, intervals
 * and so on.  They are read here too, a token in front says which part it is.
 *
 * Errors go through ls_ereturn; then the parse is given up with YYABORT.
 * Everything is palloc'd in the current memory context and left there.
 *
 * The file is long because a grammar and its actions are one piece to bison.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "interval_text.h"
#include "rule_parse.h"

#define YYMALLOC palloc
#define YYFREE	 pfree

#define YYLLOC_DEFAULT(Current, Rhs, N) \
	((Current) = YYRHSLOC(Rhs, (N) > 0 ? 1 : 0))

static RuleItem *make_item(RuleKind kind, int op, const char *text,
						   List *kids, int location);
static bool nest(RuleParser *parser, RuleItem *item);
static RuleItem *join(RuleParser *parser, RuleKind kind, RuleItem *left,
					  RuleItem *right);
static RuleItem *make_alone(RuleParser *parser, RuleItem *operand);
static bool check_alone(RuleParser *parser, const RuleItem *item);
static RuleItem *make_test(RuleParser *parser, RuleOp op, int flags,
						   RuleItem *operand, List *others);
static List *make_rows(RuleItem *where, RuleItem *within, RuleItem *older);
static char *make_interval(RuleParser *parser, const char *text,
						   int location);
static bool check_length(RuleParser *parser, const char *interval,
						 int location);
static bool check_unit(RuleParser *parser, const char *name, int location);
static const char *calendar_unit(RuleParser *parser, const char *name,
								 int location);
static bool check_name(RuleParser *parser, const char *name, int location);
static bool check_subscript(RuleParser *parser, const char *number,
							int location);
static bool check_points(RuleParser *parser, const char *number, int location);
%}

%code requires {
#include "rule_parse.h"
}

%code provides {
extern int	ls_rule_yylex(LS_RULE_YYSTYPE *value, LS_RULE_YYLTYPE *location,
						  void *scanner);
}

%code {
static void ls_rule_yyerror(YYLTYPE *location, RuleParser *parser,
							void *scanner, const char *message);
}

%define api.pure full
%define api.prefix {ls_rule_yy}
%define api.location.type {int}
%locations
%expect 0

/*
 * Reduce only where the next token fits, so that no action complains about
 * what stands before the token that is the real mistake.
 */
%define lr.default-reduction accepting

%parse-param {RuleParser *parser}
%parse-param {void *scanner}
%lex-param {void *scanner}

%union
{
	char	   *str;
	const char *word;
	int			num;
	RuleItem   *item;
	List	   *list;
}

%token <str>	IDENT QUOTED STRING NUMBER
%token			NE LE GE IMATCH NOT_MATCH NOT_IMATCH
%token			JUNK

/* handed over by the scanner in front of a text that is only part of a rule */
%token			PART_OPERAND PART_OPERANDS PART_KINDS PART_PERIOD PART_WITHIN
				PART_OLDER

/* reserved */
%token <word>	W_AND W_BETWEEN W_DISTINCT W_FALSE W_IN W_IS W_NOT W_NOW
				W_NULL W_OLDER W_OR W_THAN W_TODAY W_TRUE W_WHERE W_WITHIN

/* names, unless "(" follows */
%token <word>	W_ALL W_ANY W_AVG W_CONTAINS W_COUNT W_EMPTY W_ENDS W_EXISTS
				W_FIRST W_ILIKE W_LAST W_LIKE W_MAX W_MIN W_NEXT W_SCORE
				W_SEGMENT W_STARTS W_SUM W_THIS W_TOMORROW W_WITH W_YESTERDAY

%type <item>	expr conj neg prim pred negatable
				operand rhs literal clock period path aggregate shift
				score_item
				opt_where opt_within opt_older within older
%type <list>	rhs_list rhs_items shifts kinds rows score_items
%type <num>		cmp match negation what sign func relative
%type <str>		number interval span name label
%type <word>	unit unreserved reserved calendar

%start text

%%

text:
	rule
	| PART_OPERAND rhs
		{
			if (!check_alone(parser, $2))
				YYABORT;
			parser->parts = list_make1($2);
		}
	| PART_OPERANDS rhs_items
		{
			ListCell   *lc;

			foreach(lc, $2)
			{
				if (!check_alone(parser, lfirst(lc)))
					YYABORT;
			}
			parser->parts = $2;
		}
	| PART_KINDS kinds
		{ parser->parts = $2; }
	| PART_PERIOD period
		{ parser->parts = list_make1($2); }
	| PART_WITHIN within
		{ parser->parts = list_make1($2); }
	| PART_OLDER older
		{ parser->parts = list_make1($2); }
	;

rule:
	expr
		{
			(void) yynerrs;		/* bison counts, nobody asks */
			if (!check_alone(parser, $1))
				YYABORT;
			parser->root = $1;
		}
	;

expr:
	conj
	| expr W_OR conj
		{
			$$ = join(parser, RULE_OR, $1, $3);
			if ($$ == NULL)
				YYABORT;
		}
	;

conj:
	neg
	| conj W_AND neg
		{
			$$ = join(parser, RULE_AND, $1, $3);
			if ($$ == NULL)
				YYABORT;
		}
	;

neg:
	W_NOT neg
		{
			$$ = make_item(RULE_NOT, 0, NULL, list_make1($2), @1);
			if (!nest(parser, $$))
				YYABORT;
		}
	| prim
	;

prim:
	'(' expr ')'
		{
			$$ = $2;
			$$->location = @1;
			if (!nest(parser, $$))
				YYABORT;
		}
	| pred
	;

pred:
	operand
		{
			$$ = make_alone(parser, $1);
			if ($$ == NULL)
				YYABORT;
		}
	| operand cmp rhs
		{
			$$ = make_test(parser, $2, 0, $1, list_make1($3));
			if ($$ == NULL)
				YYABORT;
		}
	| operand match operand
		{
			$$ = make_test(parser, $2, 0, $1, list_make1($3));
			if ($$ == NULL)
				YYABORT;
		}
	| operand W_IS negation what
		{
			$$ = make_test(parser, $4, $3, $1, NIL);
			if ($$ == NULL)
				YYABORT;
		}
	| operand negatable
		{
			$$ = make_test(parser, $2->op, 0, $1, $2->kids);
			if ($$ == NULL)
				YYABORT;
		}
	| operand W_NOT negatable
		{
			$$ = make_test(parser, $3->op, RULE_FLAG_NEGATED, $1, $3->kids);
			if ($$ == NULL)
				YYABORT;
		}
	| W_SEGMENT '(' STRING ')'
		{
			$$ = make_item(RULE_SEGMENT, 0, $3, NIL, @1);
			if (!nest(parser, $$))
				YYABORT;
		}
	;

cmp:
	'='				{ $$ = RULE_OP_EQ; }
	| NE			{ $$ = RULE_OP_NE; }
	| '<'			{ $$ = RULE_OP_LT; }
	| LE			{ $$ = RULE_OP_LE; }
	| '>'			{ $$ = RULE_OP_GT; }
	| GE			{ $$ = RULE_OP_GE; }
	;

match:
	'~'				{ $$ = RULE_OP_MATCH; }
	| IMATCH		{ $$ = RULE_OP_IMATCH; }
	| NOT_MATCH		{ $$ = RULE_OP_NOT_MATCH; }
	| NOT_IMATCH	{ $$ = RULE_OP_NOT_IMATCH; }
	;

negation:
	%empty			{ $$ = 0; }
	| W_NOT			{ $$ = RULE_FLAG_NEGATED; }
	;

what:
	W_NULL			{ $$ = RULE_OP_IS_NULL; }
	| W_EMPTY		{ $$ = RULE_OP_IS_EMPTY; }
	| W_TRUE		{ $$ = RULE_OP_IS_TRUE; }
	| W_FALSE		{ $$ = RULE_OP_IS_FALSE; }
	;

/* A test without its operand, which pred puts in front of the kids. */
negatable:
	W_BETWEEN rhs W_AND rhs
		{ $$ = make_item(RULE_TEST, RULE_OP_BETWEEN, NULL, list_make2($2, $4), @1); }
	| W_IN rhs_list
		{ $$ = make_item(RULE_TEST, RULE_OP_IN, NULL, $2, @1); }
	| W_IN period
		{ $$ = make_item(RULE_TEST, RULE_OP_IN_PERIOD, NULL, list_make1($2), @1); }
	| W_LIKE operand
		{ $$ = make_item(RULE_TEST, RULE_OP_LIKE, NULL, list_make1($2), @1); }
	| W_ILIKE operand
		{ $$ = make_item(RULE_TEST, RULE_OP_ILIKE, NULL, list_make1($2), @1); }
	| W_STARTS W_WITH operand
		{ $$ = make_item(RULE_TEST, RULE_OP_STARTS_WITH, NULL, list_make1($3), @1); }
	| W_ENDS W_WITH operand
		{ $$ = make_item(RULE_TEST, RULE_OP_ENDS_WITH, NULL, list_make1($3), @1); }
	| W_CONTAINS operand
		{ $$ = make_item(RULE_TEST, RULE_OP_CONTAINS, NULL, list_make1($2), @1); }
	| W_CONTAINS W_ANY rhs_list
		{ $$ = make_item(RULE_TEST, RULE_OP_CONTAINS_ANY, NULL, $3, @1); }
	| W_CONTAINS W_ALL rhs_list
		{ $$ = make_item(RULE_TEST, RULE_OP_CONTAINS_ALL, NULL, $3, @1); }
	;

rhs_list:
	'(' rhs_items ')'
		{ $$ = $2; }
	;

rhs_items:
	rhs
		{ $$ = list_make1($1); }
	| rhs_items ',' rhs
		{ $$ = lappend($1, $3); }
	;

rhs:
	operand
	| number '*' aggregate
		{
			RuleItem   *factor = make_item(RULE_NUMBER, 0, $1, NIL, @1);

			$$ = make_item(RULE_TIMES, 0, NULL, list_make2(factor, $3), @1);
		}
	;

operand:
	literal
	| clock
	| path
	| aggregate
	;

literal:
	STRING
		{ $$ = make_item(RULE_STRING, 0, $1, NIL, @1); }
	| number
		{ $$ = make_item(RULE_NUMBER, 0, $1, NIL, @1); }
	| W_TRUE
		{ $$ = make_item(RULE_BOOLEAN, 1, NULL, NIL, @1); }
	| W_FALSE
		{ $$ = make_item(RULE_BOOLEAN, 0, NULL, NIL, @1); }
	;

number:
	NUMBER
	| '+' NUMBER
		{ $$ = $2; }
	| '-' NUMBER
		{ $$ = strcmp($2, "0") == 0 ? $2 : psprintf("-%s", $2); }
	;

clock:
	W_NOW shifts
		{ $$ = make_item(RULE_NOW, 0, NULL, $2, @1); }
	| W_TODAY shifts
		{ $$ = make_item(RULE_TODAY, 0, NULL, $2, @1); }
	;

shifts:
	%empty
		{ $$ = NIL; }
	| shifts shift
		{ $$ = lappend($1, $2); }
	;

shift:
	sign interval
		{ $$ = make_item(RULE_SHIFT, $1, $2, NIL, @1); }
	;

sign:
	'+'				{ $$ = '+'; }
	| '-'			{ $$ = '-'; }
	;

interval:
	STRING
		{
			$$ = make_interval(parser, $1, @1);
			if ($$ == NULL)
				YYABORT;
		}
	| span
		{
			$$ = make_interval(parser, $1, @1);
			if ($$ == NULL)
				YYABORT;
		}
	;

span:
	NUMBER unit
		{
			if (!check_unit(parser, $2, @2))
				YYABORT;
			$$ = psprintf("%s %s", $1, $2);
		}
	| span NUMBER unit
		{
			if (!check_unit(parser, $3, @3))
				YYABORT;
			$$ = psprintf("%s %s %s", $1, $2, $3);
		}
	;

unit:
	IDENT			{ $$ = $1; }
	| unreserved
	;

period:
	W_TODAY shifts
		{ $$ = make_item(RULE_PERIOD, RULE_PERIOD_TODAY, NULL, $2, @1); }
	| W_YESTERDAY
		{ $$ = make_item(RULE_PERIOD, RULE_PERIOD_YESTERDAY, NULL, NIL, @1); }
	| W_TOMORROW
		{ $$ = make_item(RULE_PERIOD, RULE_PERIOD_TOMORROW, NULL, NIL, @1); }
	| relative calendar
		{ $$ = make_item(RULE_PERIOD, $1, $2, NIL, @1); }
	;

relative:
	W_THIS			{ $$ = RULE_PERIOD_THIS; }
	| W_LAST		{ $$ = RULE_PERIOD_LAST; }
	| W_NEXT		{ $$ = RULE_PERIOD_NEXT; }
	;

calendar:
	unit
		{
			$$ = calendar_unit(parser, $1, @1);
			if ($$ == NULL)
				YYABORT;
		}
	;

path:
	name
		{
			RuleItem   *first = make_item(RULE_LABEL, 0, $1, NIL, @1);

			if (!check_name(parser, $1, @1))
				YYABORT;
			$$ = make_item(RULE_FIELD, 0, NULL, list_make1(first), @1);
		}
	| path '.' label
		{
			$$ = $1;
			$$->kids = lappend($$->kids,
							   make_item(RULE_LABEL, 0, $3, NIL, @3));
		}
	| path '[' NUMBER ']'
		{
			if (!check_subscript(parser, $3, @3))
				YYABORT;
			$$ = $1;
			$$->kids = lappend($$->kids,
							   make_item(RULE_INDEX, 0, $3, NIL, @3));
		}
	;

aggregate:
	W_EXISTS '(' kinds rows ')'
		{
			$$ = make_item(RULE_AGGREGATE, RULE_AGG_EXISTS, NULL,
						   list_concat($3, $4), @1);
		}
	| W_COUNT '(' kinds rows ')'
		{
			$$ = make_item(RULE_AGGREGATE, RULE_AGG_COUNT, NULL,
						   list_concat($3, $4), @1);
		}
	| W_COUNT '(' W_DISTINCT path rows ')'
		{
			$$ = make_item(RULE_AGGREGATE, RULE_AGG_COUNT_DISTINCT, NULL,
						   lcons($4, $5), @1);
		}
	| func '(' path rows ')'
		{ $$ = make_item(RULE_AGGREGATE, $1, NULL, lcons($3, $4), @1); }
	| W_SCORE '(' ')'
		{ $$ = make_item(RULE_AGGREGATE, RULE_AGG_SCORE, NULL, NIL, @1); }
	| W_SCORE '(' score_items ')'
		{ $$ = make_item(RULE_AGGREGATE, RULE_AGG_SCORE, NULL, $3, @1); }
	| W_SCORE '(' STRING ')'
		{
			if (!check_name(parser, $3, @3))
				YYABORT;
			$$ = make_item(RULE_AGGREGATE, RULE_AGG_SCORE, $3, NIL, @1);
		}
	| W_SCORE '(' STRING ',' score_items ')'
		{
			if (!check_name(parser, $3, @3))
				YYABORT;
			$$ = make_item(RULE_AGGREGATE, RULE_AGG_SCORE, $3, $5, @1);
		}
	;

/* what the conditions of a score are worth, written out */
score_items:
	score_item
		{ $$ = list_make1($1); }
	| score_items ',' score_item
		{ $$ = lappend($1, $3); }
	;

score_item:
	number W_WHERE expr
		{
			if (!check_points(parser, $1, @1))
				YYABORT;
			$$ = make_item(RULE_POINTS, 0, $1, list_make1($3), @1);
		}
	;

func:
	W_SUM			{ $$ = RULE_AGG_SUM; }
	| W_AVG			{ $$ = RULE_AGG_AVG; }
	| W_MIN			{ $$ = RULE_AGG_MIN; }
	| W_MAX			{ $$ = RULE_AGG_MAX; }
	| W_FIRST		{ $$ = RULE_AGG_FIRST; }
	| W_LAST		{ $$ = RULE_AGG_LAST; }
	;

kinds:
	path
		{ $$ = list_make1($1); }
	| kinds ',' path
		{ $$ = lappend($1, $3); }
	;

rows:
	opt_where opt_within opt_older
		{ $$ = make_rows($1, $2, $3); }
	;

opt_where:
	%empty
		{ $$ = NULL; }
	| W_WHERE expr
		{
			$$ = make_item(RULE_WHERE, 0, NULL, list_make1($2), @1);
		}
	;

opt_within:
	%empty
		{ $$ = NULL; }
	| W_WITHIN within
		{ $$ = $2; }
	;

within:
	interval
		{
			if (!check_length(parser, $1, @1))
				YYABORT;
			$$ = make_item(RULE_WITHIN, 0, $1, NIL, @1);
		}
	;

opt_older:
	%empty
		{ $$ = NULL; }
	| W_OLDER W_THAN older
		{ $$ = $3; }
	;

older:
	interval
		{ $$ = make_item(RULE_OLDER, 0, $1, NIL, @1); }
	;

name:
	IDENT
	| QUOTED
	| unreserved	{ $$ = pstrdup($1); }
	;

label:
	IDENT
	| QUOTED
	| unreserved	{ $$ = pstrdup($1); }
	| reserved		{ $$ = pstrdup($1); }
	;

unreserved:
	W_ALL
	| W_ANY
	| W_AVG
	| W_CONTAINS
	| W_COUNT
	| W_EMPTY
	| W_ENDS
	| W_EXISTS
	| W_FIRST
	| W_ILIKE
	| W_LAST
	| W_LIKE
	| W_MAX
	| W_MIN
	| W_NEXT
	| W_SCORE
	| W_SEGMENT
	| W_STARTS
	| W_SUM
	| W_THIS
	| W_TOMORROW
	| W_WITH
	| W_YESTERDAY
	;

/* rule_text.c quotes these where they are names */
reserved:
	W_AND
	| W_BETWEEN
	| W_DISTINCT
	| W_FALSE
	| W_IN
	| W_IS
	| W_NOT
	| W_NOW
	| W_NULL
	| W_OLDER
	| W_OR
	| W_THAN
	| W_TODAY
	| W_TRUE
	| W_WHERE
	| W_WITHIN
	;

%%

/* Make an item that is as deep as its deepest kid. */
static RuleItem *
make_item(RuleKind kind, int op, const char *text, List *kids, int location)
{
	RuleItem   *item = palloc0(sizeof(RuleItem));
	ListCell   *lc;

	item->kind = kind;
	item->op = op;
	item->text = text;
	item->kids = kids;
	item->location = location;
	foreach(lc, kids)
	{
		RuleItem   *kid = lfirst(lc);

		item->depth = Max(item->depth, kid->depth);
	}
	return item;
}

/* Make an item one level deeper; false, with an error, if that is too deep. */
static bool
nest(RuleParser *parser, RuleItem *item)
{
	item->depth++;
	if (item->depth <= RULE_MAX_DEPTH)
		return true;
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				errmsg("rule is nested too deeply"),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, item->location)),
				errhint("Parentheses, \"not\" and conditions inside conditions may be %d levels deep.",
						RULE_MAX_DEPTH)));
}

/* Join two conditions by "and" or "or"; NULL, with an error, if too deep. */
static RuleItem *
join(RuleParser *parser, RuleKind kind, RuleItem *left, RuleItem *right)
{
	RuleItem   *item = left;

	if (left->kind != kind)
	{
		item = make_item(kind, 0, NULL, list_make1(left), left->location);
		if (!nest(parser, item))
			return NULL;
	}
	if (right->kind == kind)
		item->kids = list_concat(item->kids, right->kids);
	else
		item->kids = lappend(item->kids, right);
	if (right->depth >= item->depth)
	{
		item->depth = right->depth;
		if (!nest(parser, item))
			return NULL;
	}
	return item;
}

/* Make a condition of an operand alone; NULL, with an error, if too deep. */
static RuleItem *
make_alone(RuleParser *parser, RuleItem *operand)
{
	RuleItem   *item = make_item(RULE_ALONE, 0, NULL, list_make1(operand),
								 operand->location);

	return nest(parser, item) ? item : NULL;
}

/*
 * Check that what stands alone is a condition.  That waits for the end of the
 * rule, because count(k) may be a complete condition as far as one token of
 * lookahead can tell, and yet the next token is the real mistake.
 */
static bool
check_alone(RuleParser *parser, const RuleItem *item)
{
	const RuleItem *operand;
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, item->kids)
	{
		if (!check_alone(parser, lfirst(lc)))
			return false;
	}
	if (item->kind != RULE_ALONE)
		return true;

	operand = linitial(item->kids);
	if (operand->kind == RULE_FIELD || operand->kind == RULE_BOOLEAN)
		return true;
	if (operand->kind == RULE_AGGREGATE)
	{
		if (operand->op == RULE_AGG_EXISTS)
			return true;
		ls_ereturn(parser->escontext, false,
				   (errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("this aggregate is not a condition by itself"),
					errdetail("At character %d of the rule.",
							  ls_rule_position(parser, operand->location)),
					errhint("Compare it with something, as in count(page_visit) >= 3.")));
	}
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("this value is not a condition by itself"),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, operand->location)),
				errhint("Only a boolean field, exists(...), true and false stand alone; compare anything else with =, <>, <, in, like and so on.")));
}

/* Make a test of an operand; NULL, with an error, if too deep. */
static RuleItem *
make_test(RuleParser *parser, RuleOp op, int flags, RuleItem *operand,
		  List *others)
{
	RuleItem   *item = make_item(RULE_TEST, op, NULL, lcons(operand, others),
								 operand->location);

	item->flags = flags;
	return nest(parser, item) ? item : NULL;
}

/* List what narrows the rows of an aggregate. */
static List *
make_rows(RuleItem *where, RuleItem *within, RuleItem *older)
{
	List	   *rows = NIL;

	if (where != NULL)
		rows = lappend(rows, where);
	if (within != NULL)
		rows = lappend(rows, within);
	if (older != NULL)
		rows = lappend(rows, older);
	return rows;
}

/* Bring an interval into canonical form; NULL, with an error, if it is none. */
static char *
make_interval(RuleParser *parser, const char *text, int location)
{
	char	   *canonical;
	char	   *culprit;

	switch (ls_interval_canonical(text, &canonical, &culprit))
	{
		case INTERVAL_FINE:
			break;
		case INTERVAL_MALFORMED:
			ls_ereturn(parser->escontext, NULL,
					   (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
						errmsg("invalid interval \"%s\" in rule",
							   ls_rule_shown(text, strlen(text))),
						errdetail("At character %d of the rule.",
								  ls_rule_position(parser, location)),
						errhint("Write numbers and units, such as 90 days or 1 month 2 hours.")));
		case INTERVAL_UNKNOWN_UNIT:
			check_unit(parser, culprit, location);
			return NULL;
		case INTERVAL_BROKEN_MONTH:
			ls_ereturn(parser->escontext, NULL,
					   (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
						errmsg("the number of %ss in an interval must be whole",
							   calendar_unit(parser, culprit, location)),
						errdetail("At character %d of the rule.",
								  ls_rule_position(parser, location)),
						errhint("Months, quarters and years are calendar units and cannot be divided; use days.")));
		case INTERVAL_TOO_EXACT:
			ls_ereturn(parser->escontext, NULL,
					   (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
						errmsg("interval is not a whole number of microseconds"),
						errdetail("At character %d of the rule.",
								  ls_rule_position(parser, location))));
		case INTERVAL_OVERFLOW:
			ls_ereturn(parser->escontext, NULL,
					   (errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
						errmsg("interval in rule is out of range"),
						errdetail("At character %d of the rule.",
								  ls_rule_position(parser, location))));
	}
	return canonical;
}

/* Check that an interval is longer than zero. */
static bool
check_length(RuleParser *parser, const char *interval, int location)
{
	Interval	value;

	if (ls_interval_parse(interval, &value) &&
		(value.month > 0 || value.time > 0))
		return true;
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the interval after \"within\" must be longer than zero"),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, location))));
}

/* Check the name of a unit. */
static bool
check_unit(RuleParser *parser, const char *name, int location)
{
	if (ls_interval_is_unit(name))
		return true;
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
				errmsg("unknown unit of time \"%s\" in rule",
					   ls_rule_shown(name, strlen(name))),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, location)),
				errhint("The units are " INTERVAL_UNITS ".")));
}

/* The canonical name of a unit of the calendar; NULL, with an error, if none. */
static const char *
calendar_unit(RuleParser *parser, const char *name, int location)
{
	static const char *const units[] = {
		"day", "week", "month", "quarter", "year"
	};
	int			i;

	for (i = 0; i < lengthof(units); i++)
	{
		int			len = strlen(units[i]);

		if (pg_strncasecmp(name, units[i], len) == 0 &&
			(name[len] == '\0' || pg_strcasecmp(name + len, "s") == 0))
			return units[i];
	}
	ls_ereturn(parser->escontext, NULL,
			   (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
				errmsg("unknown calendar period \"%s\" in rule",
					   ls_rule_shown(name, strlen(name))),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, location)),
				errhint("This, last and next are followed by day, week, month, quarter or year.")));
}

/* Check the first name of a path; inside jsonb even "" may be a key. */
static bool
check_name(RuleParser *parser, const char *name, int location)
{
	if (name[0] != '\0')
		return true;
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("empty name in rule"),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, location)),
				errhint("Write an empty text as ''.")));
}

/* Check an array subscript; number is canonical. */
static bool
check_subscript(RuleParser *parser, const char *number, int location)
{
	int			len = strlen(number);

	/* nine digits are below the limit of a jsonb array by a good factor */
	if (len <= 9 && strspn(number, "0123456789") == len)
		return true;
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("invalid array subscript %s in rule", number),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, location)),
				errhint("A subscript is a whole number from 0 to 999999999.")));
}

/* Check what a condition of a score is worth; number is canonical. */
static bool
check_points(RuleParser *parser, const char *number, int location)
{
	int			len = strlen(number);

	if (len <= 11 && strspn(number, "-0123456789") == len &&
		atol(number) <= RULE_MAX_POINTS && atol(number) >= -RULE_MAX_POINTS)
		return true;
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("invalid number of points %s in rule", number),
				errdetail("At character %d of the rule.",
						  ls_rule_position(parser, location)),
				errhint("Points are a whole number from %d to %d.",
						-RULE_MAX_POINTS, RULE_MAX_POINTS)));
}

/* Report what bison complains about: the current token, or its own stack. */
static bool
report_error(RuleParser *parser, const char *message)
{
	const char *hint = ls_rule_hint(parser);
	int			position = ls_rule_position(parser, parser->recent[0].start);

	/* the only other complaint is "memory exhausted", for a full stack */
	if (strncmp(message, "syntax error", 12) != 0)
		ls_ereturn(parser->escontext, false,
				   (errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
					errmsg("rule is nested too deeply"),
					errdetail("At character %d of the rule.", position),
					errhint("Parentheses, \"not\" and conditions inside conditions may be %d levels deep.",
							RULE_MAX_DEPTH)));
	if (parser->recent[0].len > 0)
		ls_ereturn(parser->escontext, false,
				   (errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("syntax error in rule at or near \"%s\"",
						   ls_rule_shown(parser->text + parser->recent[0].start,
									  parser->recent[0].len)),
					errdetail("At character %d of the rule.", position),
					hint ? errhint("%s", hint) : 0));
	if (parser->recent[1].len == 0)
		ls_ereturn(parser->escontext, false,
				   (errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("rule is empty"),
					errhint("A rule is a condition, such as country = 'SE' or exists(form_submit).")));
	ls_ereturn(parser->escontext, false,
			   (errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("syntax error at end of rule"),
				errdetail("At character %d of the rule.", position),
				hint ? errhint("%s", hint) : 0));
}

/* bison's way to complain; silent where the scanner has done so. */
static void
ls_rule_yyerror(YYLTYPE *location, RuleParser *parser, void *scanner,
				const char *message)
{
	(void) location;
	(void) scanner;
	if (parser->failed)
		return;
	parser->failed = true;
	(void) report_error(parser, message);
}
