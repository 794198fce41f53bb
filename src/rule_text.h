/*-------------------------------------------------------------------------
 *
 * rule_text.h
 *	  Stored rule -> canonical text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_TEXT_H
#define LS_RULE_TEXT_H

#include "lib/stringinfo.h"

#include "rule_format.h"

/* Raise an error unless this server understands the value's format. */
extern void ls_rule_check_version(const Rule *rule);

/* The canonical text, palloc'd. */
extern char *ls_rule_to_text(const Rule *rule);

/* Append the canonical text of any node. */
extern void ls_rule_node_text(StringInfo buf, const RuleNode *node);

/* Append the same of an aggregate without what narrows its rows. */
extern void ls_rule_aggregate_text(StringInfo buf, const RuleNode *node);

#endif							/* LS_RULE_TEXT_H */
