/*-------------------------------------------------------------------------
 *
 * rule_build.c
 *	  Text or syntax tree -> stored rule.
 *
 * The bytes are laid out as rule_format.h draws them, parents before kids.
 * Equal trees give equal bytes: all padding is zero.
 *
 * Every limit that does not depend on the place in the text is checked here,
 * whatever way a rule came in.  The length counts twice, for the text that
 * was given and for the canonical text, because that is what a dump holds
 * and must be able to give back.
 *
 * The result is palloc'd in the current memory context, and so is all the
 * rubbish of parsing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "compat.h"
#include "rule_build.h"
#include "rule_text.h"

static bool run_parser(RuleParser *parser, const char *text, int len,
					   RulePart part, struct Node *escontext);
static bool fail_length(struct Node *escontext, int len);
static int	count_items(const RuleItem *item);
static void store_item(StringInfo buf, const RuleItem *item);

/* Parse the text of a rule. */
Rule *
ls_rule_parse(const char *text, int len, struct Node *escontext)
{
	RuleParser	parser;

	if (!run_parser(&parser, text, len, RULE_PART_NONE, escontext))
		return NULL;
	return ls_rule_build(parser.root, escontext);
}

/* Parse a text that is part of a rule. */
List *
ls_rule_parse_part(const char *text, RulePart part)
{
	RuleParser	parser;

	(void) run_parser(&parser, text, (int) Min(strlen(text), PG_INT32_MAX),
					  part, NULL);
	return parser.parts;
}

/* Parse a text; false if an error has been saved. */
static bool
run_parser(RuleParser *parser, const char *text, int len, RulePart part,
		   struct Node *escontext)
{
	void	   *scanner;
	int			status;

	/* before anything else, so that nothing below sees a huge text */
	if (len > RULE_MAX_LENGTH)
		return fail_length(escontext, len);

	memset(parser, 0, sizeof(*parser));
	parser->text = text;
	parser->len = strnlen(text, len);
	parser->part = part;
	parser->escontext = escontext;

	scanner = ls_rule_scan_begin(parser);
	status = ls_rule_yyparse(parser, scanner);
	ls_rule_scan_end(scanner);
	return status == 0;
}

/* Store a syntax tree. */
Rule *
ls_rule_build(const RuleItem *root, struct Node *escontext)
{
	Rule	   *rule;
	int			nodes = count_items(root);
	int			len;

	if (nodes > RULE_MAX_NODES)
		ls_ereturn(escontext, NULL,
				   (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("rule has too many parts"),
					errdetail("It has %d parts (names, values, conditions); the limit is %d.",
							  nodes, RULE_MAX_NODES)));

	rule = ls_rule_store(root);
	len = strlen(ls_rule_to_text(rule));
	if (len > RULE_MAX_LENGTH)
	{
		(void) fail_length(escontext, len);
		return NULL;
	}
	return rule;
}

/* Lay out the bytes of a tree that is within the limits. */
Rule *
ls_rule_store(const RuleItem *root)
{
	StringInfoData buf;
	Rule	   *rule;

	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, offsetof(Rule, data));
	store_item(&buf, root);

	rule = (Rule *) buf.data;
	SET_VARSIZE(rule, buf.len);
	rule->header = RULE_FORMAT_VERSION;
	return rule;
}

RuleItem *
ls_rule_item(const RuleNode *node)
{
	RuleItem   *item = palloc0(sizeof(RuleItem));

	item->kind = node->kind;
	item->op = node->op;
	item->flags = node->flags;
	if (node->textlen > 0)
		item->text = ls_rule_text(node);
	return item;
}

/* Complain about too long a text. */
static bool
fail_length(struct Node *escontext, int len)
{
	ls_ereturn(escontext, false,
			   (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("rule is too long"),
				errdetail("Its text has %d bytes; the limit is %d.",
						  len, RULE_MAX_LENGTH)));
}

/* Count the nodes of a tree. */
static int
count_items(const RuleItem *item)
{
	ListCell   *lc;
	int			count = 1;

	check_stack_depth();
	foreach(lc, item->kids)
		count += count_items(lfirst(lc));
	return count;
}

/* Append a node and all below it. */
static void
store_item(StringInfo buf, const RuleItem *item)
{
	static const char zeros[4] = {0};
	int			start = buf->len;
	uint32		nkids = list_length(item->kids);
	uint32		textlen = item->text ? strlen(item->text) : 0;
	ListCell   *lc;
	RuleNode	node;
	uint32		i;

	check_stack_depth();
	Assert(start % 4 == 0);

	memset(&node, 0, sizeof(node));
	node.kind = item->kind;
	node.op = item->op;
	node.flags = item->flags;
	node.nkids = nkids;
	node.textlen = textlen;
	appendBinaryStringInfo(buf, (char *) &node, offsetof(RuleNode, kid));
	for (i = 0; i < nkids; i++)
		appendBinaryStringInfo(buf, zeros, sizeof(uint32));
	if (textlen > 0)
		appendBinaryStringInfo(buf, item->text, textlen);

	/* the terminating zero, and on to the next boundary */
	appendBinaryStringInfo(buf, zeros, 4 - textlen % 4);

	i = 0;
	foreach(lc, item->kids)
	{
		/* the buffer may move: write through its present address */
		uint32		distance = buf->len - start;

		memcpy(buf->data + start + offsetof(RuleNode, kid) +
			   i * sizeof(uint32), &distance, sizeof(uint32));
		store_item(buf, lfirst(lc));
		i++;
	}
}
