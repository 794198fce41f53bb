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

/* One run of the parser. */
typedef struct RuleParser
{
	const char *text;			/* not zero-terminated */
	int			len;
	struct Node *escontext;		/* see ls_ereturn */
	bool		failed;			/* an error has been saved in escontext */
	RuleItem   *root;			/* the result */

	/* scanner */
	char	   *buffer;			/* flex's own copy of the text */
	int			comment_depth;
	int			open;			/* parentheses */
	RuleToken	recent[3];		/* the current token, and those before it */
} RuleParser;

/* rule_scan.l */
extern void *ls_rule_scan_begin(RuleParser *parser);
extern void ls_rule_scan_end(void *scanner);

/* rule_gram.y: 0 if parser->root was made */
extern int	ls_rule_yyparse(RuleParser *parser, void *scanner);

/* rule_hint.c */
extern int	ls_rule_position(const RuleParser *parser, int location);
extern char *ls_rule_shown(const char *text, int len);
extern const char *ls_rule_hint(const RuleParser *parser);

#endif							/* LS_RULE_PARSE_H */
