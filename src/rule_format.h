/*-------------------------------------------------------------------------
 *
 * rule_format.h
 *	  The stored form of leadstream.rule and its readers.
 *
 * A rule is stored as a varlena that holds one tree:
 *
 *	  +-----------+--------------------+----------------------------+
 *	  | vl_len_   | header (uint32)    | nodes ...                  |
 *	  +-----------+--------------------+----------------------------+
 *
 * The header carries the version of the format in its low 16 bits; the high
 * bits are flags, all zero in version 1.  The root node starts right behind
 * the header.  Every node is aligned to four bytes and looks like this:
 *
 *	  | tag: kind, op, flags | nkids | textlen | kid[nkids] | text \0 pad |
 *
 * A kid is the distance in bytes from the start of its parent, always
 * positive, because parents are written before their kids.  There are no
 * OIDs, no attribute numbers and no pointers in it: a value may be dumped,
 * restored and copied by pg_upgrade without a thought.  This header is the
 * one place that knows the bytes; everything else reads through the inline
 * functions below.
 *
 * The same RuleNode is what the parser hands to rule_build.c, only there the
 * kids are pointers (RuleItem).
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_FORMAT_H
#define LS_RULE_FORMAT_H

#include "fmgr.h"

#define RULE_FORMAT_VERSION		1
#define RULE_VERSION_MASK		0x0000FFFF

/*
 * Limits, the same on every way in.  RULE_MAX_DEPTH bounds the nesting of the
 * syntax tree, so chains of "not" and parentheses too.
 */
#define RULE_MAX_LENGTH			(64 * 1024) /* bytes of rule text */
#define RULE_MAX_DEPTH			100
#define RULE_MAX_NODES			10000
#define RULE_MAX_NUMBER_DIGITS	100 /* digits of one number, exponent applied */
#define RULE_MAX_POINTS			1000000000	/* that one condition of a score is worth */

typedef enum RuleKind
{
	/* conditions */
	RULE_AND = 1,				/* kids: two or more conditions */
	RULE_OR,					/* kids: two or more conditions */
	RULE_NOT,					/* kid: condition */
	RULE_ALONE,					/* kid: field, exists aggregate or boolean:
								 * an operand that is a condition by itself */
	RULE_TEST,					/* op = RuleOp; kid 0 the operand tested, then
								 * what it is tested against */
	/* operands */
	RULE_STRING,				/* text: the value */
	RULE_NUMBER,				/* text: canonical number */
	RULE_BOOLEAN,				/* op: 1 true, 0 false */
	RULE_NOW,					/* kids: RULE_SHIFT ... */
	RULE_TODAY,					/* kids: RULE_SHIFT ... */
	RULE_SHIFT,					/* op '+' or '-'; text: canonical interval */
	RULE_FIELD,					/* kids: RULE_LABEL first, then RULE_LABEL or
								 * RULE_INDEX */
	RULE_LABEL,					/* text: name, folded as SQL folds it */
	RULE_INDEX,					/* text: digits of an array subscript */
	RULE_TIMES,					/* kids: RULE_NUMBER, RULE_AGGREGATE */
	RULE_AGGREGATE,				/* op = RuleAggregate; kids: one or more
								 * RULE_FIELD, then any of RULE_WHERE,
								 * RULE_WITHIN, RULE_OLDER in this order */
	RULE_WHERE,					/* kid: condition */
	RULE_WITHIN,				/* text: canonical interval */
	RULE_OLDER,					/* text: canonical interval */
	RULE_PERIOD,				/* op = RulePeriod; text: unit for this, last,
								 * next; kids: RULE_SHIFT for today */

	/* a condition too; numbers are never changed, so it stands here */
	RULE_SEGMENT,				/* text: name of a rule kept by name */

	RULE_POINTS					/* of a score; text: a whole number; kid: the
								 * condition that earns it */
} RuleKind;

typedef enum RuleOp
{
	RULE_OP_EQ = 1, RULE_OP_NE, RULE_OP_LT, RULE_OP_LE, RULE_OP_GT, RULE_OP_GE,
	RULE_OP_MATCH, RULE_OP_IMATCH, RULE_OP_NOT_MATCH, RULE_OP_NOT_IMATCH,	/* ~ ~* !~ !~* */
	RULE_OP_IS_NULL, RULE_OP_IS_EMPTY, RULE_OP_IS_TRUE, RULE_OP_IS_FALSE,
	RULE_OP_BETWEEN,			/* kids: operand, low, high */
	RULE_OP_IN,					/* kids: operand, one or more values */
	RULE_OP_IN_PERIOD,			/* kids: operand, RULE_PERIOD */
	RULE_OP_LIKE, RULE_OP_ILIKE, RULE_OP_STARTS_WITH, RULE_OP_ENDS_WITH,
	RULE_OP_CONTAINS,			/* kids: operand, value */
	RULE_OP_CONTAINS_ANY,		/* kids: operand, one or more values */
	RULE_OP_CONTAINS_ALL
} RuleOp;

typedef enum RuleAggregate
{
	RULE_AGG_EXISTS = 1,		/* kids: kinds */
	RULE_AGG_COUNT,				/* kids: kinds */
	RULE_AGG_COUNT_DISTINCT,	/* kid: path kind.field... */
	RULE_AGG_SUM, RULE_AGG_AVG, RULE_AGG_MIN, RULE_AGG_MAX,
	RULE_AGG_FIRST, RULE_AGG_LAST,
	RULE_AGG_SCORE				/* text: the score set, or none for all of them;
								 * kids: RULE_POINTS, or none where it is still
								 * to be looked up (segment.h) */
} RuleAggregate;

typedef enum RulePeriod
{
	RULE_PERIOD_TODAY = 1, RULE_PERIOD_YESTERDAY, RULE_PERIOD_TOMORROW,
	RULE_PERIOD_THIS, RULE_PERIOD_LAST, RULE_PERIOD_NEXT
} RulePeriod;

/* The test is written in its negative form: "not like", "is not null", ... */
#define RULE_FLAG_NEGATED		0x01

/*
 * The conditions of the score were looked up: its text is that of the call.
 * Never stored in a table.
 */
#define RULE_FLAG_LOOKED_UP		0x02

typedef struct RuleNode
{
	uint8		kind;			/* RuleKind */
	uint8		op;				/* depends on kind */
	uint8		flags;
	uint8		unused;			/* zero */
	uint32		nkids;
	uint32		textlen;		/* bytes, without the terminating zero */
	uint32		kid[FLEXIBLE_ARRAY_MEMBER];
	/* text follows, zero-terminated, padded to four bytes */
} RuleNode;

typedef struct Rule
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	uint32		header;
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* the root node */
} Rule;

#define DatumGetRuleP(d)		((Rule *) PG_DETOAST_DATUM(d))
#define PG_GETARG_RULE_P(n)		DatumGetRuleP(PG_GETARG_DATUM(n))
#define PG_RETURN_RULE_P(r)		PG_RETURN_POINTER(r)

static inline const RuleNode *
ls_rule_root(const Rule *rule)
{
	return (const RuleNode *) rule->data;
}

static inline const RuleNode *
ls_rule_kid(const RuleNode *node, uint32 i)
{
	Assert(i < node->nkids);
	return (const RuleNode *) ((const char *) node + node->kid[i]);
}

/* The text of a node, zero-terminated; "" where it has none. */
static inline const char *
ls_rule_text(const RuleNode *node)
{
	return (const char *) &node->kid[node->nkids];
}

#endif							/* LS_RULE_FORMAT_H */
