/*-------------------------------------------------------------------------
 *
 * rule_json_part.h
 *	  What the readers of JSON forms and their writer have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_JSON_PART_H
#define LS_RULE_JSON_PART_H

#include "compat.h"
#include "rule_json.h"
#include "rule_parse.h"

/* What is compared with: nothing, one value, two, one or more. */
typedef enum RuleJsonShape
{
	SHAPE_NONE,
	SHAPE_ONE,
	SHAPE_TWO,
	SHAPE_LIST
} RuleJsonShape;

/* An operator of the JSON form and the test it is. */
typedef struct RuleJsonOperator
{
	const char *name;
	const char *jquery;			/* the name jQuery QueryBuilder has, or NULL */
	RuleOp		op;				/* 0: the operand is a condition by itself */
	int			flags;			/* RULE_FLAG_NEGATED */
	RuleJsonShape shape;
	RuleOp		positive;		/* what a negative one is the opposite of, or 0 */
} RuleJsonOperator;

/* What narrows the rows of an aggregate, parts that are not there being NULL. */
typedef struct RuleJsonRows
{
	RuleItem   *where;			/* a condition */
	RuleItem   *within;			/* RULE_WITHIN */
	RuleItem   *older;			/* RULE_OLDER */
} RuleJsonRows;

/* rule_json_operator.c */
extern const RuleJsonOperator *ls_rule_json_operator(const char *name);
extern const RuleJsonOperator *ls_rule_json_jquery_operator(const char *name);
extern const char *ls_rule_json_operator_name(RuleOp op, int flags);
extern bool ls_rule_json_is_order(RuleOp op);
extern bool ls_rule_json_is_number(const char *text);
extern bool ls_rule_json_is_clock(const char *text);

/* rule_json_value.c: JSON values, and errors that say where they are */
extern const RuleJson *ls_rule_json_get(const RuleJson *json, const char *key);
extern void ls_rule_json_check_keys(const RuleJson *json, const RuleJsonPath *path,
									const char *what, const char *const *keys);
extern const char *ls_rule_json_text(const RuleJson *json, const RuleJsonPath *path,
									 const char *key);
extern bool ls_rule_json_truth(const RuleJson *json, const RuleJsonPath *path,
							   const char *key);
extern char *ls_rule_json_where(const RuleJsonPath *path);
extern List *ls_rule_json_literals(const RuleJson *value, const RuleJsonPath *path,
								   RuleJsonShape shape, bool is_order);
extern RuleItem *ls_rule_json_number(const char *text, const RuleJsonPath *path);
pg_noreturn extern void ls_rule_json_fail(const RuleJsonPath *path, const char *what,
										  const char *hint);

/* rule_json_build.c: the tree */
extern RuleItem *ls_rule_json_item(RuleKind kind, int op, const char *text, List *kids);
extern RuleItem *ls_rule_json_join(RuleKind kind, List *conditions);
extern RuleItem *ls_rule_json_not(RuleItem *condition);
extern List *ls_rule_json_parts(const char *text, RulePart part, const RuleJsonPath *path);
extern RuleItem *ls_rule_json_aggregate(RuleAggregate op, List *kinds,
										const RuleJsonRows *rows);
extern RuleItem *ls_rule_json_test(const char *field, const RuleJsonPath *field_path,
								   const RuleJsonOperator *oper, List *values,
								   const RuleJsonRows *rows, const RuleJsonPath *path);
extern Rule *ls_rule_json_finish(const RuleItem *root);

#endif							/* LS_RULE_JSON_PART_H */
