/*-------------------------------------------------------------------------
 *
 * history_shape.c
 *	  Rules that differ by constants alone, asked in one query.
 *
 * A thousand streams are mostly a few forms with other constants.  Each asked
 * by itself costs a plan and a scan; together they are one join of the activity
 * table with the columns of their constants:
 *
 *	  select a._ls_i, c.id, leadstream.first_count(array[min(a.at)], ...)
 *	  from (select p.*, a.contact_id, a.at
 *			from (values (0, '/a', 'SE'), (1, '/b', 'NO'), ...)
 *				 as p (_ls_i, _ls_v1, _ls_v2)
 *			cross join page_visit a
 *			where a.at <= $1 and a.url = p._ls_v1
 *			  and a.url = any (array['/a', '/b', ...]) offset 0) a
 *		   inner join contacts c on a.contact_id = c.id
 *	  where c.country = a._ls_v2
 *	  group by 1, 2
 *
 * The planner is told that rows come first, which the constants tell apart; of
 * a list of values it takes for granted that they differ, as of no function;
 * and by the array it finds the rows of all in an index.
 *
 * The forms are found in the SQL that rule_sql.c writes: a literal of a type
 * of pg_catalog on the right of a comparison moves into the table, cast as it
 * was, and what is left is the form.  A literal that is not recognized stays
 * where it is, and then the forms differ.
 *
 * Everything is allocated in the caller's context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "history_shape.h"
#include "history_sql.h"

#define OPERATOR_START	"OPERATOR(pg_catalog."
#define TYPE_START		"::pg_catalog."

/* The end of a quoted thing that begins here. */
static const char *
skip_quoted(const char *s, bool has_escapes)
{
	char		quote = *s;

	for (s++; *s; s++)
	{
		if (*s == '\\' && has_escapes && s[1])
			s++;
		else if (*s == quote && s[1] == quote)
			s++;
		else if (*s == quote)
			return s + 1;
	}
	return s;
}

/* The end of a cast to a type of pg_catalog that ends an expression, or NULL. */
static const char *
skip_cast(const char *s)
{
	if (strncmp(s, TYPE_START, strlen(TYPE_START)) != 0)
		return NULL;
	for (s += strlen(TYPE_START); (*s >= 'a' && *s <= 'z') ||
		 (*s >= '0' && *s <= '9') || *s == '_'; s++)
		;
	/* no length and no array */
	return *s == ')' ? s : NULL;
}

/*
 * Is what has been written so far the left side of a plain comparison, and has
 * it an operator that can be hashed?
 */
static bool
is_compared(const StringInfo out, bool *is_equal)
{
	const char *s = out->data + out->len;

	/* ... OPERATOR(pg_catalog.op) */
	if (out->len < 2 || s[-1] != ' ' || s[-2] != ')')
		return false;
	for (s -= 3; s > out->data && strchr("<>=", *s); s--)
		;
	if (s - out->data < strlen(OPERATOR_START) - 1 ||
		strncmp(s - strlen(OPERATOR_START) + 1, OPERATOR_START, strlen(OPERATOR_START)) != 0)
		return false;
	*is_equal = strcmp(s + 1, "=) ") == 0;
	return true;
}

/*
 * Append conditions with their constants as columns of an alias.  Returns the
 * left side and operator of one that all rows must meet, "a.column =", and the
 * constant it is of; or NULL.
 */
static char *
append_cut(HistoryShape *shape, StringInfo out, const char *sql, const char *alias,
		   int *constant)
{
	bool		is_plain = true;	/* nothing but "and" */
	char	   *equality = NULL;

	while (*sql)
	{
		const char *end;
		const char *cast;
		bool		is_equal;

		if (*sql == '"' || (sql[0] == 'E' && sql[1] == '\''))
		{
			/* a name, or a literal with escapes, which is left alone */
			end = skip_quoted(sql + (*sql == 'E'), *sql == 'E');
			appendBinaryStringInfo(out, sql, end - sql);
			sql = end;
			continue;
		}
		if (*sql != '\'')
		{
			if (strncmp(sql, " or ", 4) == 0 || strncmp(sql, "not ", 4) == 0 ||
				strncmp(sql, "case ", 5) == 0)
				is_plain = false;
			appendStringInfoChar(out, *sql++);
			continue;
		}
		end = skip_quoted(sql, false);
		cast = skip_cast(end);
		if (cast == NULL || shape->nconstants == MAX_SHAPE_CONSTANTS ||
			!is_compared(out, &is_equal))
		{
			appendBinaryStringInfo(out, sql, end - sql);
			sql = end;
			continue;
		}
		if (is_equal && equality == NULL)
		{
			/* of "(a.column =": no column of c, nothing made of one */
			const char *left = out->data + out->len - strlen(" " OPERATOR_START "=) ");

			while (left > out->data && !strchr("() \"", left[-1]))
				left--;
			if (strncmp(left, "a.", 2) == 0 && left[-1] == '(')
			{
				equality = pstrdup(left);
				*constant = shape->nconstants;
			}
		}
		shape->constants[shape->nconstants++] = pnstrdup(sql, cast - sql);
		/* the type is part of the form */
		appendStringInfo(out, "%s._ls_v%d/*%s*/", alias, shape->nconstants,
						 pnstrdup(end, cast - end));
		sql = cast;
	}
	return is_plain ? equality : NULL;
}

HistoryShape *
ls_history_shape(const BoundRule *bound, const char *account)
{
	HistoryShape *shape = palloc0(sizeof(HistoryShape));
	ThresholdSql q;
	StringInfoData rows;
	StringInfoData filters;
	StringInfoData columns;
	char	   *equality;

	/* where rows are compared with their contacts, these cannot come later */
	if (!ls_rule_threshold_sql(bound, account, &q) || q.rows_ask_contact)
		return NULL;
	initStringInfo(&rows);
	equality = append_cut(shape, &rows, q.rows, "p", &shape->any_constant);
	/* else each pair of a row and a rule would be tried */
	if (equality == NULL)
		return NULL;
	initStringInfo(&filters);
	(void) append_cut(shape, &filters, q.filters, "a", &(int) {0});

	initStringInfo(&columns);
	for (int i = 0; i < shape->nconstants; i++)
		appendStringInfo(&columns, ", _ls_v%d", i + 1);
	shape->head = psprintf("select a._ls_i, %s, %s\nfrom (select p.*, %s, a.%s\n"
						   "\tfrom (values ",
						   q.key, q.first, q.contact, q.time);
	shape->any = psprintf(") as p (_ls_i%s)\n\tcross join %s a\n\twhere %s and %sany (array[",
						  columns.data, q.activity, rows.data, equality);
	shape->tail = psprintf("]) offset 0) a\ninner join %s c on %s %s %s%s%s\ngroup by 1, 2",
						   q.contacts, q.contact, q.equals, q.key,
						   filters.len ? "\nwhere " : "", filters.data);
	shape->form = psprintf("%s%s%s", shape->head, shape->any, shape->tail);
	return shape;
}

char *
ls_history_shape_sql(HistoryShape **shapes, int n)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, shapes[0]->head);
	for (int i = 0; i < n; i++)
	{
		appendStringInfo(&sql, "%s(%d", i ? ", " : "", i);
		for (int c = 0; c < shapes[i]->nconstants; c++)
			appendStringInfo(&sql, ", %s", shapes[i]->constants[c]);
		appendStringInfoChar(&sql, ')');
	}
	appendStringInfoString(&sql, shapes[0]->any);
	for (int i = 0; i < n; i++)
		appendStringInfo(&sql, "%s%s", i ? ", " : "",
						 shapes[i]->constants[shapes[i]->any_constant]);
	appendStringInfoString(&sql, shapes[0]->tail);
	return sql.data;
}
