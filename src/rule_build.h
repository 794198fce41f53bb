/*-------------------------------------------------------------------------
 *
 * rule_build.h
 *	  Text or syntax tree -> stored rule.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_BUILD_H
#define LS_RULE_BUILD_H

#include "rule_parse.h"

/*
 * Parse the text of a rule.  An error goes to escontext if that is an
 * ErrorSaveContext, and the result is NULL; else it is raised.
 */
extern Rule *ls_rule_parse(const char *text, int len, struct Node *escontext);

/* Read a text that is part of a rule: its RuleItems; errors are raised. */
extern List *ls_rule_parse_part(const char *text, RulePart part);

/* Store a syntax tree; the same limits and errors. */
extern Rule *ls_rule_build(const RuleItem *root, struct Node *escontext);

/* The same of a tree whose limits the caller has seen to. */
extern Rule *ls_rule_store(const RuleItem *root);

/* A stored node as one of a tree, without its kids; the text is not copied. */
extern RuleItem *ls_rule_item(const RuleNode *node);

#endif							/* LS_RULE_BUILD_H */
