/*-------------------------------------------------------------------------
 *
 * bind_operand.c
 *	  Operands of a rule bound to columns, constants and the clock.
 *
 * An operand becomes a piece of SQL, fully qualified, over the aliases c (the
 * contact), a (the activity) and v1, v2, ... (aggregates).  The same text is
 * compiled by rule_eval.c for live judging and put into queries by rule_sql.c
 * for history, so both mean the same because they are the same.
 *
 * Literals stay raw until the other side of the comparison says how to read
 * them; everything that could fail on a constant fails here, when the rule is
 * bound, and never on a row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "attempt.h"
#include "bind_operand.h"
#include "instant.h"
#include "own_rows.h"
#include "rule_text.h"

/* A name farther off than this is no likely misspelling. */
#define MAX_SUGGESTION_DISTANCE		3
#define MAX_NAMES_LISTED			40

/* A type to cast to, of any length: "character" would be one of one character. */
char *
ls_bind_type_name(Oid type)
{
	return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY |
								FORMAT_TYPE_TYPEMOD_GIVEN);
}

/* The operand as the user wrote it, for messages. */
char *
ls_bind_what(const Operand *operand)
{
	StringInfoData buf;

	initStringInfo(&buf);
	ls_rule_node_text(&buf, operand->node);
	return buf.data;
}

static bool
is_foreign_type(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		result = true;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace != PG_CATALOG_NAMESPACE;
		ReleaseSysCache(tuple);
	}
	/* enums and composites run none but built-in code */
	if (result && type_is_enum(type))
		return false;
	if (result && OidIsValid(get_element_type(type)))
		return is_foreign_type(get_element_type(type));
	return result;
}

/* Set class, type and collation from the type of a column or aggregate. */
void
ls_bind_classify(Operand *operand, Oid type, Oid collation)
{
	char		category;
	bool		preferred;

	operand->type = type = getBaseType(type);
	operand->collation = collation;
	operand->foreign = is_foreign_type(type);
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT4OID:
		case FLOAT8OID:
			operand->class = CLASS_NUMBER;
			return;
		case BOOLOID:
			operand->class = CLASS_BOOLEAN;
			return;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			operand->class = CLASS_INSTANT;
			return;
		case JSONBOID:
			operand->class = CLASS_JSONB;
			return;
		default:
			break;
	}
	get_type_category_preferred(type, &category, &preferred);
	if (category == TYPCATEGORY_STRING)
		operand->class = CLASS_TEXT;
	else if (OidIsValid(get_element_type(type)) && type_is_array(type))
		operand->class = CLASS_ARRAY;
	else
		operand->class = CLASS_OTHER;
}

/* Names for a hint: the nearest to a misspelt one, and all there are. */
typedef struct NameList
{
	const char *wanted;
	const char *nearest;
	int			distance;
	int			count;
	StringInfoData all;
} NameList;

static void
namelist_init(NameList *list, const char *wanted)
{
	list->wanted = wanted;
	list->nearest = NULL;
	list->distance = MAX_SUGGESTION_DISTANCE + 1;
	list->count = 0;
	initStringInfo(&list->all);
}

static void
namelist_add(NameList *list, const char *name)
{
	int			len = strlen(list->wanted);

	if (len <= 255 && strlen(name) <= 255)	/* MAX_LEVENSHTEIN_STRLEN */
	{
		int			distance = varstr_levenshtein_less_equal(list->wanted, len,
															 name, strlen(name),
															 1, 1, 1,
															 MAX_SUGGESTION_DISTANCE,
															 true);

		if (distance < list->distance && distance <= (len + 1) / 2)
		{
			list->nearest = pstrdup(name);
			list->distance = distance;
		}
	}
	if (++list->count <= MAX_NAMES_LISTED)
		appendStringInfo(&list->all, "%s%s", list->count > 1 ? ", " : "",
						 quote_identifier(name));
	else if (list->count == MAX_NAMES_LISTED + 1)
		appendStringInfoString(&list->all, ", ...");
}

static void
namelist_add_columns(NameList *list, Oid relid)
{
	for (AttrNumber attno = 1;; attno++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
											Int16GetDatum(attno));

		if (!HeapTupleIsValid(tuple))
			break;
		if (!((Form_pg_attribute) GETSTRUCT(tuple))->attisdropped)
			namelist_add(list, NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname));
		ReleaseSysCache(tuple);
	}
}

/* The columns whose elements are rows, unless a kind has taken the name. */
static void
namelist_add_arrays(NameList *list, BindContext *cxt)
{
	Oid			contacts = cxt->bound->contacts->relid;
	char	   *name;

	for (AttrNumber attno = 1; (name = get_attname(contacts, attno, true)) != NULL; attno++)
	{
		Oid			type = get_atttype(contacts, attno);	/* none of one dropped */
		ListCell   *lc;

		if (!OidIsValid(type))
			continue;
		type = getBaseType(type);
		foreach(lc, cxt->activities)
			if (strcmp(((ActivitySource *) lfirst(lc))->kind, name) == 0)
				break;
		if (lc == NULL && strcmp(name, "lead") != 0 &&
			(type == JSONBOID || type_is_array(type)))
			namelist_add(list, name);
	}
}

static char *
namelist_hint(NameList *list, const char *what)
{
	if (list->nearest)
		return psprintf("Perhaps you meant %s. %s: %s.",
						quote_identifier(list->nearest), what, list->all.data);
	return psprintf("%s: %s.", what, list->all.data);
}

/* Attribute number of a user column, or InvalidAttrNumber. */
static AttrNumber
user_column(Oid relid, const char *name)
{
	AttrNumber	attno;

	if (strlen(name) >= NAMEDATALEN)
		return InvalidAttrNumber;
	attno = get_attnum(relid, name);
	return attno > 0 ? attno : InvalidAttrNumber;
}

void
ls_bind_note_column(BindContext *cxt, Oid relid, AttrNumber attno)
{
	ListCell   *lc;
	UsedColumn *used;

	foreach(lc, cxt->bound->used_columns)
	{
		used = lfirst(lc);
		if (used->relid == relid && used->attno == attno)
			return;
	}
	used = palloc(sizeof(UsedColumn));
	used->relid = relid;
	used->attno = attno;
	cxt->bound->used_columns = lappend(cxt->bound->used_columns, used);
	if (relid == cxt->bound->contacts->relid)
		cxt->bound->contact_attnos =
			bms_add_member(cxt->bound->contact_attnos,
						   attno - FirstLowInvalidHeapAttributeNumber);
}

ActivitySource *
ls_bind_kind(BindContext *cxt, const char *kind)
{
	ListCell   *lc;
	ActivitySource *own;
	NameList	names;

	namelist_init(&names, kind);
	foreach(lc, cxt->activities)
	{
		ActivitySource *source = lfirst(lc);

		if (strcmp(source->kind, kind) == 0 && source->missing &&
			get_attnum(source->relid, source->missing) != InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s\" has become one of type %s, which does not serve kind \"%s\"",
							source->missing, get_rel_name(source->relid),
							format_type_be(get_atttype(source->relid,
													   get_attnum(source->relid, source->missing))),
							kind),
					 errhint("Give it its type back, or detach the table and attach it again.")));
		if (strcmp(source->kind, kind) == 0 && source->missing)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" is gone, which kind \"%s\" was attached with",
							source->missing, get_rel_name(source->relid), kind),
					 errhint("Give it its name back, or detach the table and attach it again.")));
		if (strcmp(source->kind, kind) == 0)
			return source;
		namelist_add(&names, source->kind);
	}
	own = ls_ownrows_kind(cxt->bound->contacts, kind);
	if (own && own->origin == SOURCE_ELEMENTS)
		ls_bind_note_column(cxt, own->relid, own->contact_attno);
	if (own)
		return own;
	namelist_add_arrays(&names, cxt);
	if (names.count > 0 && OidIsValid(ls_catalog_relid("lead")))
		namelist_add(&names, "lead");
	if (names.count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("unknown kind of activity \"%s\"", kind),
				 errdetail("No activity table is attached."),
				 errhint("Attach one with leadstream.attach_activity().")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("unknown kind of activity \"%s\"", kind),
			 user_column(cxt->bound->contacts->relid, kind) != InvalidAttrNumber ?
			 errdetail("The column of the contact of that name holds no array.") : 0,
			 errhint("%s", namelist_hint(&names, "Kinds"))));
}

/* What follows a field, named name, must be a path into jsonb. */
static void
follow_path(Operand *operand, const char *name, Oid type, const RuleNode *field,
			uint32 next)
{
	if (operand->class != CLASS_JSONB)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("field \"%s\" of type %s has no parts", name,
						format_type_be(type)),
				 errhint("Only a jsonb column can be followed by a path.")));
	/* a label is a key of an object, a subscript an element of an array */
	for (uint32 i = next; i < field->nkids; i++)
	{
		const RuleNode *step = ls_rule_kid(field, i);

		operand->sql = step->kind == RULE_LABEL ?
			psprintf("pg_catalog.jsonb_object_field(%s, %s)", operand->sql,
					 quote_literal_cstr(ls_rule_text(step))) :
			psprintf("leadstream.json_element(%s, %s)", operand->sql,
					 ls_rule_text(step));
	}
}

/*
 * Bind a path whose label "first" names a column of relid; what follows must
 * be a path into jsonb.
 */
Operand *
ls_bind_column_path(BindContext *cxt, Oid relid, const char *alias,
					const RuleNode *field, uint32 first)
{
	const char *name = ls_rule_text(ls_rule_kid(field, first));
	AttrNumber	attno = user_column(relid, name);
	Operand    *operand = palloc0(sizeof(Operand));
	Oid			type;
	Oid			collation;
	int32		typmod;

	if (attno == InvalidAttrNumber)
	{
		NameList	names;
		bool		is_kind = false;
		ListCell   *lc;

		namelist_init(&names, name);
		namelist_add_columns(&names, relid);
		foreach(lc, cxt->activities)
			is_kind |= strcmp(((ActivitySource *) lfirst(lc))->kind, name) == 0;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("unknown field \"%s\"", name),
				 is_kind && field->nkids > first + 1 ?
				 errdetail("\"%s\" is a kind of activity; its fields are read inside an activity condition, as in exists(%s where ...) or last(%s.field).",
						   name, quote_identifier(name), quote_identifier(name)) :
				 is_kind ?
				 errdetail("\"%s\" is a kind of activity; write exists(%s) or count(%s) to speak of its rows.",
						   name, quote_identifier(name), quote_identifier(name)) :
				 quote_identifier(name) != name ?
				 errdetail("In double quotes stands a name; a text stands in single quotes.") : 0,
				 errhint("%s", namelist_hint(&names,
											 psprintf("Fields of %s", get_rel_name(relid))))));
	}

	get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
	ls_bind_note_column(cxt, relid, attno);
	operand->node = field;
	operand->aggregate = -1;
	operand->uses_contact = alias[0] == 'c';
	operand->uses_activity = alias[0] == 'a';
	operand->sql = psprintf("%s.%s", alias, quote_identifier(name));
	ls_bind_classify(operand, type, collation);
	if (operand->foreign)
		cxt->bound->foreign = true;
	if (field->nkids == first + 1)
		return operand;

	follow_path(operand, name, type, field, first + 1);
	return operand;
}

/*
 * A field of an element of a column of the contact: of jsonb any label, and
 * value what is no object; else value alone.
 */
static Operand *
bind_element_path(BindContext *cxt, const RuleNode *field, uint32 first)
{
	const ActivitySource *here = cxt->here;
	const RuleNode *step = ls_rule_kid(field, first);
	const char *name = ls_rule_text(step);
	Operand    *operand = palloc0(sizeof(Operand));
	bool		is_value = step->kind == RULE_LABEL && strcmp(name, "value") == 0;

	operand->node = field;
	operand->aggregate = -1;
	operand->uses_activity = true;
	ls_bind_classify(operand, here->element_type, here->element_collation);
	if (step->kind != RULE_LABEL || (operand->class != CLASS_JSONB && !is_value))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("unknown field \"%s\"", name),
				 errdetail("The rows of kind \"%s\" are the elements of a column of the contact, of type %s.",
						   here->kind, format_type_be(here->element_type)),
				 operand->class == CLASS_JSONB ?
				 errhint("Its fields are the labels of objects, and value, which is an element that is no object.") :
				 errhint("Their only field is value.")));
	if (operand->class != CLASS_JSONB)
		operand->sql = pstrdup("a.element");
	else
	{
		operand->sql = psprintf("pg_catalog.jsonb_object_field(a.element, %s)",
								quote_literal_cstr(name));
		if (is_value)
			operand->sql = psprintf("(case when pg_catalog.jsonb_typeof(a.element) OPERATOR(pg_catalog.=) 'object' then %s else a.element end)",
									operand->sql);
	}
	if (operand->foreign)
		cxt->bound->foreign = true;
	if (field->nkids > first + 1)
		follow_path(operand, name, here->element_type, field, first + 1);
	return operand;
}

/* A field of a lead. */
static Operand *
bind_lead_field(BindContext *cxt, const RuleNode *field, uint32 first)
{
	TupleDesc	desc = ls_ownrows_desc(cxt->here);
	const RuleNode *step = ls_rule_kid(field, first);
	const char *name = ls_rule_text(step);
	Operand    *operand = palloc0(sizeof(Operand));
	NameList	names;

	namelist_init(&names, name);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		namelist_add(&names, NameStr(att->attname));
		if (step->kind != RULE_LABEL || strcmp(NameStr(att->attname), name) != 0)
			continue;
		cxt->here->fields |= 1u << i;
		operand->node = field;
		operand->aggregate = -1;
		operand->uses_activity = true;
		operand->sql = psprintf("a.%s", quote_identifier(name));
		ls_bind_classify(operand, att->atttypid, att->attcollation);
		if (field->nkids > first + 1)
			follow_path(operand, name, att->atttypid, field, first + 1);
		return operand;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("unknown field \"%s\"", name),
			 errhint("%s", namelist_hint(&names, "Fields of lead"))));
}

Operand *
ls_bind_row_path(BindContext *cxt, const RuleNode *field, uint32 first)
{
	if (cxt->here->origin == SOURCE_ELEMENTS)
		return bind_element_path(cxt, field, first);
	if (cxt->here->origin == SOURCE_LEADS)
		return bind_lead_field(cxt, field, first);
	return ls_bind_column_path(cxt, cxt->here->relid, "a", field, first);
}

/*
 * A field: outside a where a column of the contact, inside one a column of
 * the activity, with "contact." before it of the contact there too.
 */
static Operand *
bind_field(BindContext *cxt, const RuleNode *field)
{
	Oid			contacts = cxt->bound->contacts->relid;
	const char *first = ls_rule_text(ls_rule_kid(field, 0));
	bool		has_more = field->nkids > 1 &&
		ls_rule_kid(field, 1)->kind == RULE_LABEL;

	if (has_more && strcmp(first, "contact") == 0 &&
		(user_column(contacts, ls_rule_text(ls_rule_kid(field, 1))) != InvalidAttrNumber ||
		 user_column(cxt->here ? cxt->here->relid : contacts, "contact") == InvalidAttrNumber))
	{
		if (cxt->only_filter)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("an \"only\" filter cannot read the contact"),
					 errhint("Filter by columns of the activity alone.")));
		return ls_bind_column_path(cxt, contacts, "c", field, 1);
	}
	if (cxt->here == NULL)
		return ls_bind_column_path(cxt, contacts, "c", field, 0);
	if (has_more && strcmp(first, cxt->here->kind) == 0 &&
		(ls_source_is_own(cxt->here) ||
		 user_column(cxt->here->relid, first) == InvalidAttrNumber))
		return ls_bind_row_path(cxt, field, 1);
	return ls_bind_row_path(cxt, field, 0);
}

Operand *
ls_bind_operand(BindContext *cxt, const RuleNode *node)
{
	Operand    *operand;

	if (node->kind == RULE_FIELD)
		return bind_field(cxt, node);

	operand = palloc0(sizeof(Operand));
	operand->node = node;
	operand->aggregate = -1;
	operand->sql = pstrdup(ls_rule_text(node));
	switch (node->kind)
	{
		case RULE_STRING:
			operand->class = CLASS_STRING;
			break;
		case RULE_NUMBER:
			operand->class = CLASS_LITERAL_NUMBER;
			break;
		case RULE_BOOLEAN:
			operand->class = CLASS_LITERAL_BOOLEAN;
			operand->sql = node->op ? "true" : "false";
			break;
		case RULE_NOW:
		case RULE_TODAY:
			if (cxt->only_filter)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("an \"only\" filter cannot read the clock"),
						 errhint("Filter by columns of the activity alone.")));
			operand->class = CLASS_CLOCK;
			cxt->bound->uses_clock = true;
			break;
		default:
			elog(ERROR, "unexpected rule node %d", node->kind);	/* cannot happen */
	}
	return operand;
}

/*
 * Is the type made of dates and times, so that the session's settings have a
 * say in what a text of it means?
 */
static bool
is_of_times(Oid type)
{
	char		category;
	bool		preferred;

	type = getBaseType(type);
	if (OidIsValid(get_element_type(type)))
		return is_of_times(get_element_type(type));
	if (OidIsValid(get_range_subtype(type)))
		return is_of_times(get_range_subtype(type));
	if (OidIsValid(get_multirange_range(type)))
		return is_of_times(get_multirange_range(type));
	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_DATETIME || category == TYPCATEGORY_TIMESPAN;
}

/* Words that stand for an instant of the day the rule is read. */
static void
refuse_words(const Operand *literal, Oid type)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
	const char *p = literal->sql;

	while (*p)
	{
		int			len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

		for (int i = 0; i < lengthof(words); i++)
			if (len == strlen(words[i]) && pg_strncasecmp(p, words[i], len) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
						 errmsg("'%s' does not say when", literal->sql),
						 errdetail("\"%s\" in a literal of type %s would stand for the moment at which the rule is read.",
								   words[i], format_type_be(type)),
						 errhint("Write dates and times in ISO 8601 form.")));
		p += Max(len, 1);
	}
}

/*
 * A string literal as a constant of a type, read by the type's own input
 * function here and now.  What has to do with dates and times is read in the
 * zone of the contacts and in ISO form, and written out again with its offset,
 * so that no session's settings have a say; reader is the column, for the
 * message.
 */
char *
ls_bind_constant(BindContext *cxt, Operand *literal, Oid type, const Operand *reader)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	bool		of_times = is_of_times(type);
	Oid			input;
	Oid			ioparam;
	Oid			output;
	bool		is_varlena;
	char	   *volatile text = literal->sql;
	char	   *volatile reason = NULL;
	volatile int nestlevel = 0;

	getTypeInputInfo(type, &input, &ioparam);
	getTypeOutputInfo(type, &output, &is_varlena);
	if (of_times)
		refuse_words(literal, type);
	PG_TRY();
	{
		Datum		value;

		if (of_times)
		{
			nestlevel = NewGUCNestLevel();
			(void) set_config_option("TimeZone", cxt->bound->contacts->zone,
									 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
									 true, 0, false);
			(void) set_config_option("DateStyle", "ISO, YMD",
									 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
									 true, 0, false);
			(void) set_config_option("IntervalStyle", "postgres",
									 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
									 true, 0, false);
		}
		value = OidInputFunctionCall(input, literal->sql, ioparam, -1);
		if (of_times)
			text = OidOutputFunctionCall(output, value);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		/* reading a constant changes nothing, so a new error may replace it */
		MemoryContextSwitchTo(oldcxt);
		edata = CopyErrorData();
		/* a lock that could not be had says nothing of the literal */
		if (ls_error_is_fatal(edata))
			PG_RE_THROW();
		FlushErrorState();
		reason = edata->message;
	}
	PG_END_TRY();
	if (nestlevel > 0)
		AtEOXact_GUC(true, nestlevel);

	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("%s of type %s cannot be compared with '%s'",
						ls_bind_what(reader), format_type_be(type), literal->sql),
				 errdetail("The literal does not read as %s: %s.",
						   format_type_be(type), reason)));
	return psprintf("%s::%s", quote_literal_cstr(text), ls_bind_type_name(type));
}
