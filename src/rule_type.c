/*-------------------------------------------------------------------------
 *
 * rule_type.c
 *	  The SQL face of leadstream.rule: input, output, equality, order, hash.
 *
 * Both ways in, text and binary, end in the one parser.  The binary form is
 * a version byte and the text: the layout on disk stays private, and no
 * bytes from a client are ever trusted.
 *
 * Two rules are equal if their canonical texts are, which within one format
 * is the case if and only if their bytes are.  Order and hash go by the
 * text, byte by byte, so that they depend on no locale and will not change
 * with the format.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"

#include "compat.h"
#include "rule_build.h"
#include "rule_text.h"

#define RULE_BINARY_VERSION		1

PG_FUNCTION_INFO_V1(leadstream_rule_in);
PG_FUNCTION_INFO_V1(leadstream_rule_out);
PG_FUNCTION_INFO_V1(leadstream_rule_recv);
PG_FUNCTION_INFO_V1(leadstream_rule_send);
PG_FUNCTION_INFO_V1(leadstream_rule_eq);
PG_FUNCTION_INFO_V1(leadstream_rule_ne);
PG_FUNCTION_INFO_V1(leadstream_rule_lt);
PG_FUNCTION_INFO_V1(leadstream_rule_le);
PG_FUNCTION_INFO_V1(leadstream_rule_gt);
PG_FUNCTION_INFO_V1(leadstream_rule_ge);
PG_FUNCTION_INFO_V1(leadstream_rule_cmp);
PG_FUNCTION_INFO_V1(leadstream_rule_hash);
PG_FUNCTION_INFO_V1(leadstream_rule_hash_extended);

static int	compare(FunctionCallInfo fcinfo);

/* Read a rule from text. */
Datum
leadstream_rule_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	size_t		len = strlen(text);
	Rule	   *rule;

	rule = ls_rule_parse(text, (int) Min(len, PG_INT32_MAX),
						 LS_FCINFO_ESCONTEXT(fcinfo));
	if (rule == NULL)
		PG_RETURN_NULL();		/* a soft error has been saved */
	PG_RETURN_RULE_P(rule);
}

/* Write the canonical text. */
Datum
leadstream_rule_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(ls_rule_to_text(PG_GETARG_RULE_P(0)));
}

/* Read a rule from its binary form. */
Datum
leadstream_rule_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(buf);
	char	   *text;
	int			len;

	if (version != RULE_BINARY_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unsupported version %d of the binary form of type leadstream.rule",
						version)));
	text = pq_getmsgtext(buf, buf->len - buf->cursor, &len);
	PG_RETURN_RULE_P(ls_rule_parse(text, len, NULL));
}

/* Write the binary form. */
Datum
leadstream_rule_send(PG_FUNCTION_ARGS)
{
	char	   *text = ls_rule_to_text(PG_GETARG_RULE_P(0));
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, RULE_BINARY_VERSION);
	pq_sendtext(&buf, text, strlen(text));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* Compare the two arguments of a function. */
static int
compare(FunctionCallInfo fcinfo)
{
	Rule	   *a = PG_GETARG_RULE_P(0);
	Rule	   *b = PG_GETARG_RULE_P(1);
	int			result;

	if (VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0)
		result = 0;
	else
	{
		char	   *atext = ls_rule_to_text(a);
		char	   *btext = ls_rule_to_text(b);

		result = strcmp(atext, btext);
		pfree(atext);
		pfree(btext);
	}

	/* btree support must not leak */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

Datum
leadstream_rule_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
leadstream_rule_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
leadstream_rule_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
leadstream_rule_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
leadstream_rule_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
leadstream_rule_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

/* Order two rules by their texts. */
Datum
leadstream_rule_cmp(PG_FUNCTION_ARGS)
{
	int			order = compare(fcinfo);

	PG_RETURN_INT32(order < 0 ? -1 : order > 0 ? 1 : 0);
}

/* Hash a rule by its text. */
Datum
leadstream_rule_hash(PG_FUNCTION_ARGS)
{
	Rule	   *rule = PG_GETARG_RULE_P(0);
	char	   *text = ls_rule_to_text(rule);
	Datum		result = hash_any((unsigned char *) text, strlen(text));

	pfree(text);
	PG_FREE_IF_COPY(rule, 0);
	return result;
}

/* Hash a rule by its text, with a seed. */
Datum
leadstream_rule_hash_extended(PG_FUNCTION_ARGS)
{
	Rule	   *rule = PG_GETARG_RULE_P(0);
	char	   *text = ls_rule_to_text(rule);
	Datum		result = hash_any_extended((unsigned char *) text,
										   strlen(text), PG_GETARG_INT64(1));

	pfree(text);
	PG_FREE_IF_COPY(rule, 0);
	return result;
}
