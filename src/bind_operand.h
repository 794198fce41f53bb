/*-------------------------------------------------------------------------
 *
 * bind_operand.h
 *	  Operands of a rule bound to columns, constants and the clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_BIND_OPERAND_H
#define LS_BIND_OPERAND_H

#include "compat.h"
#include "rule_bind.h"

/* How a value takes part in comparisons. */
typedef enum ValueClass
{
	CLASS_NUMBER,				/* a number type of pg_catalog */
	CLASS_TEXT,					/* a string type */
	CLASS_BOOLEAN,
	CLASS_INSTANT,				/* date, timestamp, timestamptz */
	CLASS_JSONB,				/* compares as what it is compared with */
	CLASS_ARRAY,
	CLASS_OTHER,				/* any type with a default btree opclass */
	CLASS_STRING,				/* string literal: read by the other side */
	CLASS_LITERAL_NUMBER,
	CLASS_LITERAL_BOOLEAN,
	CLASS_CLOCK					/* now, today */
} ValueClass;

typedef struct Operand
{
	ValueClass	class;
	char	   *sql;			/* the expression; a literal's own text */
	Oid			type;			/* base type, InvalidOid for literals */
	Oid			collation;
	const RuleNode *node;
	int			aggregate;		/* index into BoundRule.aggregates, or -1 */
	bool		uses_contact;
	bool		uses_activity;
	bool		foreign;
} Operand;

/* What binding one rule needs to know all along. */
typedef struct BindContext
{
	BoundRule  *bound;
	List	   *activities;		/* of ActivitySource * */
	ActivitySource *here;		/* the kind whose where is bound, or NULL */
	bool		only_filter;	/* the where is an "only" filter */
	bool		apart;			/* see ls_rule_bind_apart */
	bool		in_score;		/* a condition of a score is bound */
	char	   *zone;			/* the zone as an SQL literal */
} BindContext;

/* bind_operand.c */
extern Operand *ls_bind_operand(BindContext *cxt, const RuleNode *node);
extern Operand *ls_bind_column_path(BindContext *cxt, Oid relid, const char *alias,
									const RuleNode *field, uint32 first);
extern void ls_bind_note_column(BindContext *cxt, Oid relid, AttrNumber attno);
extern Operand *ls_bind_row_path(BindContext *cxt, const RuleNode *field, uint32 first);
extern ActivitySource *ls_bind_kind(BindContext *cxt, const char *kind);
extern void ls_bind_classify(Operand *operand, Oid type, Oid collation);
extern char *ls_bind_type_name(Oid type);
extern char *ls_bind_constant(BindContext *cxt, Operand *literal, Oid type,
							  const Operand *reader);
extern char *ls_bind_what(const Operand *operand);

/* bind_aggregate.c: the aggregate's index in the rule; an equal one serves again. */
extern int	ls_bind_aggregate(BindContext *cxt, const RuleNode *node);

/* bind_aggregate.c: the first aggregate in a part of a rule, or NULL. */
extern const RuleNode *ls_bind_first_aggregate(const RuleNode *node);

/* rule_bind.c: a condition, or its negation, as a tree of tests. */
extern BoundNode *ls_bind_node(BindContext *cxt, const RuleNode *node, bool negated);

/* rule_bind.c: a condition without aggregates as one expression. */
extern BoundExpr *ls_bind_condition(BindContext *cxt, const RuleNode *node);

/* bind_compare.c: comparisons, and operands in the shape they want */
extern BoundExpr *ls_bind_compare(BindContext *cxt, RuleOp op,
								  Operand *left, Operand *right);
extern bool ls_bind_is_literal(const Operand *operand);
extern bool ls_bind_is_float(const Operand *operand);
extern char *ls_bind_as_number(Operand *operand);
extern char *ls_bind_as_boolean(const Operand *operand);
extern char *ls_bind_as_instant(BindContext *cxt, const Operand *operand);
extern char *ls_bind_as_text(const Operand *operand, Oid collation);
extern char *ls_bind_float_constant(const Operand *literal, const Operand *reader);
extern char *ls_bind_shift_against(BindContext *cxt, char *sql, const RuleNode *clock);
extern char *ls_bind_own_operator(Oid type, RuleOp op, const Operand *operand,
								  bool *foreign);
pg_noreturn extern void ls_bind_refuse(const Operand *left, const Operand *right);

/* bind_test.c: the other tests */
extern BoundExpr *ls_bind_string_test(BindContext *cxt, RuleOp op,
									  Operand *left, Operand *right);
extern BoundExpr *ls_bind_contains(BindContext *cxt, Operand *left, Operand *right);
extern BoundExpr *ls_bind_is(BindContext *cxt, RuleOp op, Operand *operand);
extern BoundExpr *ls_bind_in_list(BindContext *cxt, Operand *left, List *values);
extern BoundExpr *ls_bind_in_period(BindContext *cxt, Operand *operand,
									const RuleNode *period);
extern BoundExpr *ls_bind_alone(BindContext *cxt, Operand *operand);

/* Bound expressions and their boolean algebra (bind_compare.c). */
extern BoundExpr *ls_expr_make(bool is_timeline, const Operand *left,
							   const Operand *right, char *sql);
extern BoundExpr *ls_expr_all(List *exprs);
extern BoundExpr *ls_expr_any(List *exprs);
extern BoundExpr *ls_expr_not(BoundExpr *expr);
extern char *ls_expr_timeline(const BoundExpr *expr);

#endif							/* LS_BIND_OPERAND_H */
