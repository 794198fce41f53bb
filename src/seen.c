/*-------------------------------------------------------------------------
 *
 * seen.c
 *	  What a condition of a rule saw: values, rows, and how far it is off.
 *
 * The timeline of a rule (rule_timeline.c) has in it what each aggregate was
 * worth and which rows counted at every instant; the fields of the contact are
 * pieces of the program like any other.  Nothing is evaluated here that the
 * judgement did not rest on: this file puts it into words.
 *
 * A row is named by its primary key, and only to those who may read that: the
 * rights that a rule takes are those on the columns that it names.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "evidence.h"
#include "judge.h"
#include "rule_text.h"
#include "seen.h"
#include "value.h"

/* Bytes of a value that are shown. */
#define VALUE_SHOWN		60

/* Rows that are named by their keys. */
#define KEYS_SHOWN		10

/* How the keys of one table's rows are told. */
typedef struct RowWitness
{
	Oid			relid;			/* where they are stored: maybe a partition */
	ActivitySource *source;
	Witness    *witness;
	bool		may_tell;
} RowWitness;


/* -------------------------------------------------------------------------
 * Values
 * -------------------------------------------------------------------------
 */

/* A value as people read it, NULL where it is missing. */
static char *
value_text(Datum value, bool isnull, Oid type)
{
	char	   *text;
	int			len;

	if (isnull)
		return NULL;
	if (type == JSONBOID)
	{
		Jsonb	   *jb = DatumGetJsonbP(value);
		JsonbValue	scalar;
		const char *s;

		if (JB_ROOT_IS_SCALAR(jb))
		{
			JsonbExtractScalar(&jb->root, &scalar);
			s = ls_json_text(&scalar, &len);
			if (s == NULL)
				return NULL;
			text = pnstrdup(s, len);
		}
		else
			text = JsonbToCString(NULL, &jb->root, VARSIZE(jb));
	}
	else
		text = ls_cast_to_text(value, type);

	/* a line of words stays one */
	for (char *c = text; *c; c++)
		if ((unsigned char) *c < ' ')
			*c = ' ';
	len = strlen(text);
	if (len > VALUE_SHOWN)
	{
		len = pg_mbcliplen(text, len, VALUE_SHOWN);
		text = psprintf("%.*s...", len, text);
	}
	if (strspn(text, " ") == strlen(text))
		text = psprintf("'%s'", text);
	return text;
}

static void
say(StringInfo words, const char *format,...) pg_attribute_printf(2, 3);

/* Append one thing that was seen. */
static void
say(StringInfo words, const char *format,...)
{
	if (words->len > 0)
		appendStringInfoString(words, "; ");
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(words, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(words, needed);
	}
}

/* A number in a text, or false. */
static bool
read_number(const char *text, double *number)
{
	char	   *end;

	if (text == NULL || *text == '\0')
		return false;
	*number = strtod(text, &end);
	return *end == '\0' && isfinite(*number);
}

/* Note how far a value is from the number that it is compared with. */
static void
note_gap(const RuleNode *condition, const RuleNode *operand, const char *text, Seen *result)
{
	double		is;
	double		should_be;

	if (condition->kind != RULE_TEST || condition->op == RULE_OP_NE ||
		condition->op > RULE_OP_GE || operand != ls_rule_kid(condition, 0) ||
		ls_rule_kid(condition, 1)->kind != RULE_NUMBER ||
		!read_number(text, &is) ||
		!read_number(ls_rule_text(ls_rule_kid(condition, 1)), &should_be))
		return;
	result->gap = is == should_be ? 0 : fabs(is - should_be) / (fabs(is) + fabs(should_be));
}

/* The field of the contact. */
static void
tell_field(SeenSource *source, const RuleNode *condition, const RuleNode *operand,
		   StringInfo words, Seen *result)
{
	StringInfoData name;
	ListCell   *lc;

	foreach(lc, source->bound->fields)
	{
		BoundField *field = lfirst(lc);
		Piece	   *piece = &source->program->fields[foreach_current_index(lc)];
		bool		isnull;
		Datum		value;
		char	   *text;

		if (field->node != operand)
			continue;
		value = ExecEvalExpr(ls_program_state(source->program, piece),
							 source->judge->econtext, &isnull);
		text = value_text(value, isnull, field->type);
		note_gap(condition, operand, text, result);
		initStringInfo(&name);
		ls_rule_node_text(&name, operand);
		say(words, "%s is %s", name.data, text ? text : "missing");
		return;
	}
}


/* -------------------------------------------------------------------------
 * Rows
 * -------------------------------------------------------------------------
 */
static RowWitness *
witness_of(SeenSource *source, const TimelineRow *row)
{
	RowWitness *result;
	ListCell   *lc;

	foreach(lc, source->witnesses)
	{
		result = lfirst(lc);
		if (result->relid == row->relid && result->source == row->source)
			return result;
	}
	result = palloc(sizeof(RowWitness));
	result->relid = row->relid;
	result->source = row->source;
	result->witness = ls_witness_begin("kind", row->source->kind, row->relid);
	result->may_tell = ls_witness_may_tell(result->witness, row->source->relid);
	source->witnesses = lappend(source->witnesses, result);
	return result;
}

/* Newest first; those without a time in the order in which they are stored. */
static int
cmp_newest(const void *a, const void *b)
{
	const TimelineRow *l = *(TimelineRow *const *) a;
	const TimelineRow *r = *(TimelineRow *const *) b;

	if (l->at != r->at)
		return l->at > r->at ? -1 : 1;
	if (l->relid != r->relid)
		return l->relid < r->relid ? -1 : 1;
	if (l->source != r->source)
		return l->source->source_id < r->source->source_id ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &r->tid, (ItemPointer) &l->tid);
}

/* Rows that a condition rests on: as a row of a kind each counts once. */
typedef struct RowsBehind
{
	int64		n;
	int64		room;
	TimelineRow **rows;
} RowsBehind;

static void
add_row(RowsBehind *behind, TimelineRow *row)
{
	if (behind->n == behind->room)
	{
		behind->room = Max(16, behind->room * 2);
		behind->rows = behind->rows == NULL ?
			palloc_extended(sizeof(TimelineRow *) * (Size) behind->room, MCXT_ALLOC_HUGE) :
			repalloc_huge(behind->rows, sizeof(TimelineRow *) * (Size) behind->room);
	}
	behind->rows[behind->n++] = row;
}

/* Count the rows and name the newest. */
static void
tell_rows(SeenSource *source, RowsBehind *behind, Seen *result)
{
	StringInfoData keys;
	int			nkeys = 0;

	initStringInfo(&keys);
	if (behind->n > 1)
		qsort(behind->rows, behind->n, sizeof(TimelineRow *), cmp_newest);
	for (int64 i = 0; i < behind->n; i++)
	{
		RowWitness *witness;
		Jsonb	   *told;

		if (i > 0 && cmp_newest(&behind->rows[i - 1], &behind->rows[i]) == 0)
			continue;
		result->nrows++;
		/* what stands in no table of activities has no key */
		if (nkeys == KEYS_SHOWN || !OidIsValid(behind->rows[i]->relid))
			continue;
		witness = witness_of(source, behind->rows[i]);
		if (!witness->may_tell)
			continue;
		told = ls_witness_tell(witness->witness, &behind->rows[i]->tid);
		appendStringInfoString(&keys, nkeys++ == 0 ? "[" : ", ");
		JsonbToCString(&keys, &told->root, VARSIZE(told));
	}
	if (nkeys > 0)
	{
		appendStringInfoChar(&keys, ']');
		result->keys = keys.data;
	}
}

/* How many rows does the condition ask for?  0: it does not say so. */
static int64
rows_wanted(const RuleNode *condition, const RuleNode *operand)
{
	double		number;

	if (condition->kind != RULE_TEST || operand != ls_rule_kid(condition, 0) ||
		(condition->op != RULE_OP_GE && condition->op != RULE_OP_GT) ||
		!read_number(ls_rule_text(ls_rule_kid(condition, 1)), &number) ||
		ls_rule_kid(condition, 1)->kind != RULE_NUMBER || fabs(number) > 1e15)
		return 0;
	return condition->op == RULE_OP_GE ? (int64) ceil(number) : (int64) floor(number) + 1;
}

/* " within 30 days older than 2 days" */
static char *
window_text(const RuleNode *aggregate)
{
	StringInfoData text;

	initStringInfo(&text);
	for (uint32 i = 0; i < aggregate->nkids; i++)
	{
		const RuleNode *kid = ls_rule_kid(aggregate, i);

		if (kid->kind == RULE_WITHIN || kid->kind == RULE_OLDER)
			ls_rule_node_text(&text, kid);
	}
	return text.data;
}

static char *
instant_text(TimestampTz at)
{
	return OidOutputFunctionCall(F_TIMESTAMPTZ_OUT, TimestampTzGetDatum(at));
}

/* Add the rows that a condition of a score rests on. */
static void
add_rows_of(SeenSource *source, const NodeTimeline *timeline, RowsBehind *behind)
{
	const NodeProgram *node = timeline->node;
	ListCell   *lc;

	foreach(lc, node->bound->refs)
	{
		const AggregateTimeline *agg = &source->timeline->aggregates[lfirst_int(lc)];

		for (int64 i = 0; agg->is_known && i < agg->nrows; i++)
			if (ls_spans_contain(&agg->rows[i].when, source->clock))
				add_row(behind, &agg->rows[i]);
	}
	for (int i = 0; i < node->nkids; i++)
		add_rows_of(source, &timeline->kids[i], behind);
}

/* An aggregate over rows, which the condition names in an operand. */
static void
tell_aggregate(SeenSource *source, const RuleNode *condition, const RuleNode *operand,
			   StringInfo words, RowsBehind *behind, Seen *result)
{
	const RuleNode *node = operand->kind == RULE_TIMES ? ls_rule_kid(operand, 1) : operand;
	BoundAggregate *agg = NULL;
	const AggregateTimeline *timeline = NULL;
	StringInfoData name;
	TimelineRow *row = NULL;	/* first, last: the one */
	int64		n = 0;
	Datum		value = (Datum) 0;
	bool		isnull = true;
	char	   *text;
	char	   *window = window_text(node);
	int64		wanted;
	ListCell   *lc;

	initStringInfo(&name);
	ls_rule_node_text(&name, node);
	foreach(lc, source->bound->aggregates)
	{
		agg = lfirst(lc);
		timeline = &source->timeline->aggregates[foreach_current_index(lc)];
		if (strcmp(agg->text, name.data) == 0)
			break;
	}
	Assert(timeline && timeline->is_known);
	for (int i = 0; i < timeline->npieces; i++)
		if (timeline->pieces[i].from <= source->clock && source->clock < timeline->pieces[i].upto)
		{
			value = timeline->values[i];
			isnull = timeline->nulls[i];
			break;
		}

	for (int64 i = 0; i < timeline->nrows; i++)
	{
		if (!ls_spans_contain(&timeline->rows[i].when, source->clock))
			continue;
		n++;
		/* theirs are in order */
		if (agg->func == RULE_AGG_LAST || (agg->func == RULE_AGG_FIRST && row == NULL))
			row = &timeline->rows[i];
		else if (agg->func != RULE_AGG_FIRST)
			add_row(behind, &timeline->rows[i]);
	}
	if (row)
		add_row(behind, row);
	for (int i = 0; i < list_length(agg->items); i++)
		if (ls_spans_contain(&timeline->items[i].when, source->clock))
			add_rows_of(source, &timeline->items[i], behind);
	result->has_rows = true;

	if (agg->func == RULE_AGG_AVG && !isnull)
		value = DirectFunctionCall1(numeric_trim_scale, value);
	text = value_text(value, isnull,
					  type_is_array(agg->result_type) ? TEXTOID : agg->result_type);
	note_gap(condition, operand, text, result);
	wanted = rows_wanted(condition, operand);
	switch (agg->func)
	{
		case RULE_AGG_COUNT:
		case RULE_AGG_EXISTS:
			if (wanted > 0)
				say(words, "%s of " INT64_FORMAT "%s", text, wanted, window);
			else if (DatumGetInt64(value) == 0)
				say(words, "none%s", window);
			else
				say(words, "%s %s%s", text, DatumGetInt64(value) == 1 ? "row" : "rows", window);
			break;
		case RULE_AGG_COUNT_DISTINCT:
			if (wanted > 0)
				say(words, "%s of " INT64_FORMAT " different%s", text, wanted, window);
			else
				say(words, "%s different%s", text, window);
			break;
		case RULE_AGG_SUM:
		case RULE_AGG_AVG:
		case RULE_AGG_MIN:
		case RULE_AGG_MAX:
			say(words, "%s is %s, of " INT64_FORMAT " %s%s",
				agg->func == RULE_AGG_SUM ? "sum" : agg->func == RULE_AGG_AVG ? "avg" :
				agg->func == RULE_AGG_MIN ? "min" : "max",
				text ? text : "missing", n, n == 1 ? "row" : "rows", window);
			break;
		case RULE_AGG_SCORE:
			say(words, "%s %s", text, strcmp(text, "1") == 0 ? "point" : "points");
			break;
		case RULE_AGG_FIRST:
		case RULE_AGG_LAST:
			if (row == NULL)
				say(words, "none%s", window);
			else if (row->source->time_attno == InvalidAttrNumber)
				say(words, "%s is %s", agg->func == RULE_AGG_FIRST ? "first" : "last",
					text ? text : "missing");
			else
				say(words, "%s is %s, %s", agg->func == RULE_AGG_FIRST ? "first" : "last",
					text ? text : "missing", instant_text(row->at));
			break;
	}
}

void
ls_seen_tell(SeenSource *source, const RuleNode *condition, Seen *result)
{
	StringInfoData words;
	RowsBehind	behind = {0};

	memset(result, 0, sizeof(Seen));
	result->gap = 1;
	initStringInfo(&words);
	for (uint32 i = 0; i < condition->nkids; i++)
	{
		const RuleNode *operand = ls_rule_kid(condition, i);

		if (operand->kind == RULE_FIELD)
			tell_field(source, condition, operand, &words, result);
		else if (operand->kind == RULE_AGGREGATE || operand->kind == RULE_TIMES)
			tell_aggregate(source, condition, operand, &words, &behind, result);
	}
	if (words.len > 0)
		result->value = words.data;
	tell_rows(source, &behind, result);
}

void
ls_seen_end(SeenSource *source)
{
	ListCell   *lc;

	foreach(lc, source->witnesses)
		ls_witness_end(((RowWitness *) lfirst(lc))->witness);
	source->witnesses = NIL;
}
