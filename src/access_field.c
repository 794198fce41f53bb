/*-------------------------------------------------------------------------
 *
 * access_field.c
 *	  Fields of access conditions: expressions over one row, and their text.
 *
 * A field is kept as SQL, written by PostgreSQL's own deparser and read by its
 * parser, so that it can be told from others in any session, and made again in
 * one that knows nothing of the rule it came from.  Therefore only such
 * expressions are fields as come out the same: no constants that are written
 * as DateStyle or extra_float_digits says, and collations spelled out where
 * the planner has hidden them.  A plain column, the usual case, is neither
 * deparsed nor parsed.
 *
 * Parsing resolves names, so it can raise errors, ask for rights and open
 * relations: it is done inside a subtransaction, in the name of the table's
 * owner, as programs of rules are made (stream_program.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/keywords.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "access_field.h"
#include "compat.h"
#include "attempt.h"

/* ----------
 * What is a field.
 * ----------
 */
bool
ls_field_is_own_function(Oid function, const char *name)
{
	char	   *found;

	if (function < FirstNormalObjectId ||
		get_func_namespace(function) != get_namespace_oid("leadstream", true))
		return false;
	if (name == NULL)
		return true;
	found = get_func_name(function);
	return found && strcmp(found, name) == 0;
}

/* Would the constant be written the same under any settings? */
static bool
is_plain_constant(const Const *constant)
{
	switch (constant->consttype)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
			return true;
		default:
			return false;
	}
}

/*
 * May a function be part of a field?  Ours, casts, and what leads to a part of
 * the value; not such as strpos, with which each rule would have a field of
 * its own, to be computed of every row.
 */
static bool
is_shared_function(const FuncExpr *func)
{
	if (func->funcid >= FirstGenbkiObjectId)
		return ls_field_is_own_function(func->funcid, NULL);
	return list_length(func->args) == 1 || func->funcid == F_JSONB_OBJECT_FIELD ||
		func->funcid == F_RIGHT;
}

typedef struct FieldCheck
{
	Index		varno;
	bool		reads;			/* a column of the slot was met */
} FieldCheck;

/* Tell whether there is something in an expression that bars it as a field. */
static bool
is_barred(Node *node, void *context)
{
	FieldCheck *check = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
			check->reads = true;
			/* whole rows and system columns are not in the slot as such */
			return ((Var *) node)->varno != check->varno || ((Var *) node)->varattno <= 0;
		case T_Const:
			return !is_plain_constant((Const *) node);
		case T_FuncExpr:
			if (!is_shared_function((FuncExpr *) node))
				return true;
			break;
		case T_RelabelType:
		case T_ArrayCoerceExpr:
		case T_CaseTestExpr:	/* the element of an ArrayCoerceExpr */
		case T_List:
			break;
		default:
			return true;
	}
	check_stack_depth();
	return expression_tree_walker(node, is_barred, context);
}

bool
ls_field_is(Node *expr, Index varno)
{
	FieldCheck	check = {varno, false};

	return !is_barred(expr, &check) && check.reads &&
		!contain_mutable_functions(expr);
}

AttrNumber
ls_field_column(const Expr *field)
{
	return IsA(field, Var) ? ((const Var *) field)->varattno : InvalidAttrNumber;
}

/* ----------
 * Fields as text.
 * ----------
 */
static const char *
alias_name(Index varno)
{
	return varno == INNER_VAR ? "c" : "a";
}

/* Quote a column's name where SQL needs it, whatever quote_all_identifiers says. */
static char *
quote_column(const char *name)
{
	bool		safe = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
	StringInfoData buf;

	for (const char *p = name; *p; p++)
		safe &= (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_';
	if (safe && ScanKeywordLookup(name, &ScanKeywords) < 0)
		return pstrdup(name);
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '"');
	for (const char *p = name; *p; p++)
	{
		if (*p == '"')
			appendStringInfoChar(&buf, '"');
		appendStringInfoChar(&buf, *p);
	}
	appendStringInfoChar(&buf, '"');
	return buf.data;
}

/*
 * Columns as those of range table entry 1; and COLLATE again where the planner
 * has made a RelabelType of it, which is not written out.
 */
static Node *
make_readable(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varno = 1;
		var->varnosyn = 1;
		var->varattnosyn = var->varattno;
		return (Node *) var;
	}
	node = expression_tree_mutator(node, make_readable, context);
	if (IsA(node, RelabelType))
	{
		RelabelType *relabel = (RelabelType *) node;
		Oid			collation = exprCollation((Node *) relabel->arg);

		if (OidIsValid(collation) && OidIsValid(relabel->resultcollid) &&
			collation != relabel->resultcollid)
		{
			CollateExpr *collate = makeNode(CollateExpr);

			collate->collOid = relabel->resultcollid;
			collate->location = -1;
			if (exprType((Node *) relabel->arg) == relabel->resulttype)
				collate->arg = relabel->arg;
			else
			{
				relabel->resultcollid = collation;
				collate->arg = (Expr *) relabel;
			}
			return (Node *) collate;
		}
	}
	return node;
}

char *
ls_field_text(Expr *field, Index varno, Relation rel)
{
	AttrNumber	attno = ls_field_column(field);
	int			nestlevel;
	Node	   *expr;
	char	   *text;

	if (attno != InvalidAttrNumber)
		return psprintf("%s.%s", alias_name(varno),
						quote_column(NameStr(TupleDescAttr(RelationGetDescr(rel),
														   attno - 1)->attname)));
	nestlevel = NewGUCNestLevel();
	ls_restrict_search_path();
	(void) set_config_option("quote_all_identifiers", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	expr = make_readable((Node *) field, NULL);
	text = deparse_expression(expr,
							  deparse_context_for(alias_name(varno), RelationGetRelid(rel)),
							  true, true);
	AtEOXact_GUC(true, nestlevel);
	return text;
}

char *
ls_field_type_text(Expr *field, Oid hash)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(exprType((Node *) field)));
	Oid			collation = exprCollation((Node *) field);
	Form_pg_type form;
	char	   *text;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", exprType((Node *) field));
	form = (Form_pg_type) GETSTRUCT(tuple);
	text = psprintf("%s.%s", get_namespace_name(form->typnamespace), NameStr(form->typname));
	ReleaseSysCache(tuple);

	/* it has a say in what lower() makes of a text, but not in its bytes */
	if (ls_field_column(field) == InvalidAttrNumber && OidIsValid(collation) &&
		collation != DEFAULT_COLLATION_OID)
	{
		tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for collation %u", collation);
		text = psprintf("%s collate %s.%s", text,
						get_namespace_name(((Form_pg_collation) GETSTRUCT(tuple))->collnamespace),
						NameStr(((Form_pg_collation) GETSTRUCT(tuple))->collname));
		ReleaseSysCache(tuple);
	}

	/* a function of pg_catalog's, always */
	return OidIsValid(hash) ? psprintf("%s %s", text, get_func_name(hash)) : text;
}

/* ----------
 * Texts as fields.
 * ----------
 */

/* Read the text of a plain column; NULL if it is something else. */
static Expr *
read_column(const char *text, Index varno, Relation rel)
{
	const char *alias = alias_name(varno);
	const char *p = text + strlen(alias) + 1;
	TupleDesc	desc = RelationGetDescr(rel);
	char		name[NAMEDATALEN];
	int			length = 0;
	bool		quoted;

	if (strncmp(text, alias, strlen(alias)) != 0 || text[strlen(alias)] != '.')
		return NULL;
	quoted = *p == '"';
	for (p += quoted; *p && length < NAMEDATALEN - 1; p++)
	{
		if (quoted && *p == '"' && *++p != '"')
			break;
		if (!quoted && !((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
			return NULL;
		name[length++] = *p;
	}
	name[length] = '\0';
	if (*p || (quoted && p[-1] != '"'))
		return NULL;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && !LS_ATTRIBUTE_IS_VIRTUAL(att) &&
			strcmp(NameStr(att->attname), name) == 0)
			return (Expr *) makeVar(varno, att->attnum, att->atttypid,
									att->atttypmod, att->attcollation, 0);
	}
	return NULL;
}

static Node *
set_varno(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varno = *(Index *) context;
		return (Node *) var;
	}
	return expression_tree_mutator(node, set_varno, context);
}

/* Parse a text; NULL or an error if it is no field. */
static Expr *
parse_field(const char *text, Index varno, Relation rel)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *nsitem;
	SelectStmt *select;
	Node	   *expr;

	nsitem = addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
										   makeAlias(alias_name(varno), NIL),
										   false, false);
	addNSItemToQuery(pstate, nsitem, false, true, false);
	select = castNode(SelectStmt,
					  linitial_node(RawStmt, raw_parser(text, RAW_PARSE_PLPGSQL_EXPR))->stmt);
	if (list_length(select->targetList) != 1)
		return NULL;
	expr = transformExpr(pstate, linitial_node(ResTarget, select->targetList)->val,
						 EXPR_KIND_OTHER);
	assign_expr_collations(pstate, expr);
	free_parsestate(pstate);

	expr = (Node *) expression_planner((Expr *) expr);
	expr = set_varno(expr, &varno);
	return ls_field_is(expr, varno) ? (Expr *) expr : NULL;
}

/* Fields being parsed. */
typedef struct Parsing
{
	char	   *const *texts;
	int			n;
	Index		varno;
	Relation	rel;
	Expr	  **fields;
} Parsing;

static void
parse_fields(void *arg)
{
	Parsing    *parsing = arg;

	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < parsing->n; i++)
		if (parsing->fields[i] == NULL)
			parsing->fields[i] = parse_field(parsing->texts[i], parsing->varno,
											 parsing->rel);
}

bool
ls_fields_parse(char *const *texts, int n, Index varno, Relation rel, Expr **fields)
{
	Parsing		parsing = {texts, n, varno, rel, fields};
	ErrorData  *error;
	bool		all_columns = true;

	for (int i = 0; i < n; i++)
	{
		fields[i] = read_column(texts[i], varno, rel);
		all_columns &= fields[i] != NULL;
	}
	if (all_columns)
		return true;

	/* rights on schemas are not the business of whoever inserts */
	error = ls_attempt_as(rel->rd_rel->relowner, parse_fields, &parsing);
	if (error)
	{
		FreeErrorData(error);
		return false;
	}
	for (int i = 0; i < n; i++)
		if (fields[i] == NULL)
			return false;
	return true;
}
