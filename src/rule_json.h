/*-------------------------------------------------------------------------
 *
 * rule_json.h
 *	  Rules as JSON, as rule builders on web pages write them.
 *
 * The readers work on a plain tree of JSON values, not on jsonb, so that they
 * need nothing of a server but memory and errors.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_JSON_H
#define LS_RULE_JSON_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "rule_format.h"

/* Values in one JSON form of a rule, so many that no rule is refused by it. */
#define RULE_JSON_MAX_VALUES	(100 * RULE_MAX_NODES)

/* Groups in groups: more than the deepest rule is written with. */
#define RULE_JSON_MAX_GROUPS	(2 * RULE_MAX_DEPTH)

typedef enum RuleJsonKind
{
	RULE_JSON_NULL,
	RULE_JSON_BOOLEAN,
	RULE_JSON_NUMBER,
	RULE_JSON_STRING,
	RULE_JSON_ARRAY,
	RULE_JSON_OBJECT
} RuleJsonKind;

typedef struct RuleJson
{
	RuleJsonKind kind;
	bool		truth;			/* of a boolean */
	const char *text;			/* of a string; a number without exponent */
	List	   *keys;			/* of an object: char *, each once */
	List	   *values;			/* of an object or array: RuleJson * */
} RuleJson;

/* Where in the JSON something is: $.rules[2].value. */
typedef struct RuleJsonPath
{
	const struct RuleJsonPath *parent;	/* NULL: this is the root */
	const char *key;			/* of an object, or NULL */
	int			index;			/* of an array */
} RuleJsonPath;

/* rule_json_read.c: the form of react-querybuilder */
extern Rule *ls_rule_from_json(const RuleJson *json);

/* rule_json_jquery.c: the form of jQuery QueryBuilder */
extern Rule *ls_rule_from_jquery(const RuleJson *json);

/* rule_json_write.c: the JSON text, palloc'd */
extern char *ls_rule_to_json(const Rule *rule);

#endif							/* LS_RULE_JSON_H */
