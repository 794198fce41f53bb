/*-------------------------------------------------------------------------
 *
 * fuzz_rule.c
 *	  What must hold for any bytes given to leadstream.rule.
 *
 * The bytes are given as text, as the text in a binary message, and as a binary
 * message: they are refused with an error of a known class, the same on all
 * ways, or
 *	- the canonical text is a fixed point and gives the same bytes of storage,
 *	- sent and received, the rule comes back byte by byte,
 *	- equality, order and hash agree with the texts, also against the rule
 *	  before it,
 *	- from its JSON the rule comes back byte by byte,
 *	- and an allocation that fails in the middle does no harm.
 * Rules are read from memory that ends where they end.
 *
 * Bytes that are JSON are also given to both readers of JSON forms: refused with
 * an error of a known class, or a rule of which the same holds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "backend.h"
#include "compat.h"
#include "json.h"
#include "rule_format.h"

#define require(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

extern Datum leadstream_rule_in(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_out(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_recv(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_send(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_eq(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_ne(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_lt(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_le(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_gt(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_ge(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_cmp(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_hash(PG_FUNCTION_ARGS);
extern Datum leadstream_rule_hash_extended(PG_FUNCTION_ARGS);

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One call of an SQL function. */
typedef struct Call
{
	PGFunction	function;
	Datum		arg[2];
	struct Node *context;
	Datum		result;
	bool		isnull;
} Call;

static void
run(void *arg)
{
	Call	   *call = arg;

	LOCAL_FCINFO(fcinfo, 2);

	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, call->context, NULL);
	fcinfo->args[0].value = call->arg[0];
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = call->arg[1];
	fcinfo->args[1].isnull = false;
	call->result = call->function(fcinfo);
	call->isnull = fcinfo->isnull;
}

/* Call a function that must not fail. */
static Datum
call2(PGFunction function, const void *one, Datum two)
{
	Call		call = {.function = function,.arg = {PointerGetDatum(one), two}};

	require(fuzz_try(run, &call));
	return call.result;
}

/* Copy bytes to memory of their own that ends where they end. */
static void *
copy(const void *bytes, size_t size)
{
	return memcpy(palloc(size), bytes, size);
}

static Rule *
copy_rule(const Rule *rule)
{
	return copy(rule, VARSIZE(rule));
}

/* Read a rule from text, or have fuzz_error say why not. */
static Rule *
read_text(const char *text)
{
	Call		call = {.function = leadstream_rule_in,.arg = {CStringGetDatum(text)}};

	if (!fuzz_try(run, &call))
		return NULL;
	require(!call.isnull);
	return copy_rule((Rule *) DatumGetPointer(call.result));
}

/* Read a rule from a binary message, or have fuzz_error say why not. */
static Rule *
read_message(const void *bytes, size_t size)
{
	StringInfoData buf;
	Call		call = {.function = leadstream_rule_recv,.arg = {PointerGetDatum(&buf)}};

	/* as a backend hands it over: with a zero behind it */
	buf.data = palloc(size + 1);
	memcpy(buf.data, bytes, size);
	buf.data[size] = '\0';
	buf.len = size;
	buf.maxlen = size + 1;
	buf.cursor = 0;
	if (!fuzz_try(run, &call))
		return NULL;
	require(buf.cursor == buf.len);
	return copy_rule((Rule *) DatumGetPointer(call.result));
}

/* Is this an error that a user may see? */
static bool
is_known(int code)
{
	return code == ERRCODE_SYNTAX_ERROR ||
		code == ERRCODE_INVALID_DATETIME_FORMAT ||
		code == ERRCODE_DATETIME_FIELD_OVERFLOW ||
		code == ERRCODE_INVALID_PARAMETER_VALUE ||
		code == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		code == ERRCODE_STATEMENT_TOO_COMPLEX;
}

/* Is this one that JSON may be refused with? */
static bool
is_known_of_json(int code)
{
	return is_known(code) || code == ERRCODE_FEATURE_NOT_SUPPORTED;
}

static bool
same_rule(const Rule *a, const Rule *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* Check that equality, order and hash go by the text. */
static void
check_order(const Rule *a, const char *atext, const Rule *b, const char *btext)
{
	Datum		other = PointerGetDatum(b);
	int			order = strcmp(atext, btext);

	require(same_rule(a, b) == (order == 0));
	require(DatumGetBool(call2(leadstream_rule_eq, a, other)) == (order == 0));
	require(DatumGetBool(call2(leadstream_rule_ne, a, other)) == (order != 0));
	require(DatumGetBool(call2(leadstream_rule_lt, a, other)) == (order < 0));
	require(DatumGetBool(call2(leadstream_rule_le, a, other)) == (order <= 0));
	require(DatumGetBool(call2(leadstream_rule_gt, a, other)) == (order > 0));
	require(DatumGetBool(call2(leadstream_rule_ge, a, other)) == (order >= 0));
	require(DatumGetInt32(call2(leadstream_rule_cmp, a, other)) ==
			(order < 0 ? -1 : order > 0 ? 1 : 0));
	if (order == 0)
	{
		require(DatumGetUInt32(call2(leadstream_rule_hash, a, 0)) ==
				DatumGetUInt32(call2(leadstream_rule_hash, b, 0)));
		require(DatumGetUInt64(call2(leadstream_rule_hash_extended, a, 7)) ==
				DatumGetUInt64(call2(leadstream_rule_hash_extended, b, 7)));
	}
	/* what a hash table's and a partition's hash must have in common */
	require((uint32) DatumGetUInt64(call2(leadstream_rule_hash_extended, a, 0)) ==
			DatumGetUInt32(call2(leadstream_rule_hash, a, 0)));
}

/* One call of a reader or of the writer of JSON. */
typedef struct JsonCall
{
	const char *text;
	Rule	   *(*read) (const RuleJson *json);
	const Rule *rule;
	Rule	   *result;
	char	   *written;
} JsonCall;

static void
run_json(void *arg)
{
	JsonCall   *call = arg;

	if (call->read == NULL)
		call->written = ls_rule_to_json(call->rule);
	else
	{
		RuleJson   *json = fuzz_read_json(call->text);

		call->result = json != NULL ? call->read(json) : NULL;
	}
}

/* Check that a rule comes back from its JSON. */
static void
check_written(const Rule *rule)
{
	JsonCall	call = {.rule = rule};

	require(fuzz_try(run_json, &call));
	call.text = call.written;
	call.read = ls_rule_from_json;
	require(fuzz_try(run_json, &call));
	require(call.result != NULL && same_rule(call.result, rule));
}

/* Check what holds for any rule; its text is returned. */
static char *
check_rule(const Rule *rule)
{
	char	   *text = DatumGetCString(call2(leadstream_rule_out, rule, 0));
	bytea	   *message = (bytea *) DatumGetPointer(call2(leadstream_rule_send, rule, 0));
	size_t		len = strlen(text);
	Rule	   *again;

	text = copy(text, len + 1);
	require(len <= RULE_MAX_LENGTH);
	require(rule->header == RULE_FORMAT_VERSION);

	again = read_text(text);
	require(again != NULL && same_rule(again, rule));
	require(strcmp(DatumGetCString(call2(leadstream_rule_out, again, 0)), text) == 0);

	require(VARSIZE(message) - VARHDRSZ == len + 1);
	require(VARDATA(message)[0] == 1);
	require(memcmp(VARDATA(message) + 1, text, len) == 0);
	again = read_message(VARDATA(message), len + 1);
	require(again != NULL && same_rule(again, rule));
	check_order(rule, text, again, text);
	check_written(rule);
	return text;
}

/* Let allocations fail while the text is read: every one, or one of them. */
static void
check_no_memory(const char *text, uint64 count, uint64 which)
{
	uint64		n = which > 0 ? which : 1;

	for (; n <= count; n++)
	{
		Call		call = {.function = leadstream_rule_in,.arg = {CStringGetDatum(text)}};

		fuzz_fail_at = n;
		require(!fuzz_try(run, &call));
		require(fuzz_error == ERRCODE_OUT_OF_MEMORY);
		if (which > 0)
			break;
	}
}

#if PG_VERSION_NUM >= 160000
/* Check that an error which may be saved is saved, and no other raised. */
static void
check_soft(const char *text, bool fine)
{
	ErrorSaveContext context = {T_ErrorSaveContext};
	Call		call = {.function = leadstream_rule_in,.arg = {CStringGetDatum(text)},
	.context = (struct Node *) &context};

	require(fuzz_try(run, &call) || is_known(fuzz_error));
	require(context.error_occurred == !fine);
	require(fine != call.isnull);
}
#endif

/* Give the bytes to the type as a text of the server's encoding. */
static void
check_text(const char *text, size_t size)
{
	static Rule *last = NULL;	/* the good rule before this one */
	static char *last_text = NULL;
	Rule	   *rule = read_text(text);
	uint64		count = fuzz_allocations;
	int			error = fuzz_error;
	char	   *message = palloc(size + 1);
	Rule	   *received;

	require(rule != NULL || is_known(error));

	/* the other way in says the same */
	message[0] = 1;
	memcpy(message + 1, text, size);
	received = read_message(message, size + 1);
	if (rule == NULL)
		require(received == NULL && fuzz_error == error);
	else
	{
		char	   *canonical = check_rule(rule);

		require(received != NULL && same_rule(received, rule));
		if (last != NULL)
			check_order(rule, canonical, last, last_text);
		free(last);
		free(last_text);
		last = memcpy(malloc(VARSIZE(rule)), rule, VARSIZE(rule));
		last_text = strdup(canonical);
	}

#if PG_VERSION_NUM >= 160000
	check_soft(text, rule != NULL);
#endif
	if (count > 0)
		check_no_memory(text, count, getenv("FUZZ_ALL") && count < 2000 ? 0 : size % count + 1);
}

/* Give the bytes to a reader of JSON. */
static void
check_json(const char *text, size_t size, Rule *(*read) (const RuleJson *json))
{
	JsonCall	call = {.text = text,.read = read};
	uint64		count;

	if (!fuzz_try(run_json, &call))
	{
		require(is_known_of_json(fuzz_error));
		call.result = NULL;
	}
	count = fuzz_allocations;
	if (call.result != NULL)
		check_rule(copy_rule(call.result));
	if (count > 0)
	{
		fuzz_fail_at = size % count + 1;
		require(!fuzz_try(run_json, &call));
		require(fuzz_error == ERRCODE_OUT_OF_MEMORY);
	}
}

static bool
is_ascii(const uint8_t *data, size_t size)
{
	size_t		i;

	for (i = 0; i < size; i++)
	{
		if (data[i] >= 0x80)
			return false;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int encodings[] = {PG_UTF8, PG_SQL_ASCII};
	char	   *text = palloc(size + 1);
	int			i;

	memcpy(text, data, size);
	text[size] = '\0';
	for (i = 0; i < lengthof(encodings); i++)
	{
		Rule	   *rule;
		bool		valid;

		fuzz_encoding = encodings[i];
		valid = pg_encoding_verifymbstr(fuzz_encoding, text, size) == size;
		if (valid)
			check_text(text, size);
		if (valid && (text[0] == '{' || text[0] == '['))
		{
			check_json(text, size, ls_rule_from_json);
			check_json(text, size, ls_rule_from_jquery);
		}

		rule = read_message(data, size);
		if (rule != NULL)
			check_rule(rule);
		else if (size == 0)
			require(fuzz_error == ERRCODE_PROTOCOL_VIOLATION);
		else if (data[0] != 1)
			require(fuzz_error == ERRCODE_INVALID_BINARY_REPRESENTATION);
		else
			require(fuzz_error == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE ||
					is_known(fuzz_error));

		/* what is ASCII means the same in both */
		if (valid && is_ascii(data, size))
			break;
	}
	fuzz_reset();
	return 0;
}
