/*-------------------------------------------------------------------------
 *
 * json.h
 *	  JSON text -> the tree that the readers of rules take.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_JSON_H
#define FUZZ_JSON_H

#include "rule_json.h"

/* The value that a text is, or NULL if it is none that jsonb would take. */
extern RuleJson *fuzz_read_json(const char *text);

#endif							/* FUZZ_JSON_H */
