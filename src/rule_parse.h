/*-------------------------------------------------------------------------
 *
 * rule_parse.h
 *	  What the scanner and the grammar of rules share, and the tree they make.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_PARSE_H
#define LS_RULE_PARSE_H

#include "nodes/pg_list.h"

#include "rule_format.h"

/*
 * A node of the syntax tree: what becomes a RuleNode, with pointers for kids.
 */
typedef struct RuleItem
{
	RuleKind	kind;
	int			op;
	int			flags;
	int			depth;			/* of nesting, as it was written */
	int			location;		/* byte offset in the text */
	const char *text;			/* or NULL */
	List	   *kids;			/* of RuleItem * */
} RuleItem;

/* A token as it stands in the text. */
typedef struct RuleToken
{
	int			start;			/* byte offset */
	int			len;			/* 0: the end of the rule, or none */
} RuleToken;

/* What a text is: a rule, or a part of one as the JSON form holds it. */
typedef enum RulePart
{
	RULE_PART_NONE = 0,			/* a whole rule */
	RULE_PART_OPERAND,			/* also a multiple of an aggregate */
	RULE_PART_OPERANDS,			/* one or more of them, separated by commas */
	RULE_PART_KINDS,			/* paths, separated by commas */
	RULE_PART_PERIOD,
	RULE_PART_WITHIN,			/* an interval longer than zero */
	RULE_PART_OLDER				/* an interval */
} RulePart;

/* One run of the parser. */
typedef struct RuleParser
{
	const char *text;			/* not zero-terminated */
	int			len;
	struct Node *escontext;		/* see ls_ereturn */
	bool		failed;			/* an error has been saved in escontext */
	RulePart	part;			/* what the text is */
	RuleItem   *root;			/* the result for a rule */
	List	   *parts;			/* of RuleItem *: the result for a part */

	/* scanner */
	bool		begun;			/* the token that says the part is handed over */
	char	   *buffer;			/* flex's own copy of the text */
	int			comment_depth;
	int			open;			/* parentheses */
	RuleToken	recent[4];		/* the current token, and those before it */
} RuleParser;

/* rule_scan.l */
extern void *ls_rule_scan_begin(RuleParser *parser);
extern void ls_rule_scan_end(void *scanner);

/* rule_gram.y: 0 if parser->root or parser->parts was made */
extern int	ls_rule_yyparse(RuleParser *parser, void *scanner);

/* rule_hint.c */
extern int	ls_rule_position(const RuleParser *parser, int location);
extern char *ls_rule_shown(const char *text, int len);
extern const char *ls_rule_hint(const RuleParser *parser);

#endif							/* LS_RULE_PARSE_H */
