/*-------------------------------------------------------------------------
 *
 * backend.c
 *	  As much of a PostgreSQL backend as the parser of rules needs.
 *
 * Strings, hashes and encodings are PostgreSQL's own, from libpgcommon and
 * libpgport.  Here is what those libraries lack or do in the way of a client
 * program: memory, errors, lists, messages.
 *
 * Every palloc is a malloc of exactly that size, so AddressSanitizer sees what
 * a backend's allocator would swallow: a step beyond a chunk, a use after
 * pfree.  All chunks hang in one list, the "memory context" of one call, and go
 * when it ends, by return or by error.  An error is a longjmp.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sanitizer/asan_interface.h>

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#endif

#include "backend.h"

/* The address sanitizer checks the arguments of the C library's own printf. */
#undef vsnprintf

/* More than this the limits of a rule must never let it use. */
#define STACK_BYTES		(1024 * 1024)

/* What stands in front of a chunk, poisoned while nobody works on it. */
typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
	Size		size;
	Size		unused;			/* chunks are aligned as malloc aligns */
} Chunk;

int			fuzz_encoding = PG_UTF8;
int			fuzz_error;
uint64		fuzz_allocations;
uint64		fuzz_fail_at;

ErrorContextCallback *error_context_stack;

static Chunk *chunks;
static uint64 allocations;
static jmp_buf *catcher;
static const char *stack_base;
static char message[2048];		/* of the message being made */
#if PG_VERSION_NUM >= 160000
static ErrorSaveContext *saving;
#endif

/* Run a function; false, with its code in fuzz_error, if it raises an error. */
bool
fuzz_try(void (*function) (void *), void *arg)
{
	jmp_buf		here;
	char		base;

	stack_base = &base;
	fuzz_error = 0;
	allocations = 0;
	error_context_stack = NULL;
	catcher = &here;
	if (setjmp(here) == 0)
		function(arg);
	catcher = NULL;
	fuzz_allocations = allocations;
	fuzz_fail_at = 0;
	return fuzz_error == 0;
}

/* Free what was palloc'd. */
void
fuzz_reset(void)
{
	while (chunks != NULL)
		pfree(chunks + 1);
}

/* Memory */

void *
palloc(Size size)
{
	Chunk	   *chunk;

	if (size > MaxAllocSize)
		abort();				/* nothing in a rule may get there */
	if (++allocations == fuzz_fail_at && catcher != NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	chunk = malloc(sizeof(Chunk) + size);
	memset(chunk, 0, sizeof(Chunk));
	chunk->size = size;
	chunk->next = chunks;
	if (chunks != NULL)
	{
		ASAN_UNPOISON_MEMORY_REGION(chunks, sizeof(Chunk));
		chunks->previous = chunk;
		ASAN_POISON_MEMORY_REGION(chunks, sizeof(Chunk));
	}
	chunks = chunk;
	memset(chunk + 1, 0x7F, size);	/* as a backend with assertions does */
	ASAN_POISON_MEMORY_REGION(chunk, sizeof(Chunk));
	return chunk + 1;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *pointer)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;

	ASAN_UNPOISON_MEMORY_REGION(chunk, sizeof(Chunk));
	if (chunk->previous != NULL)
	{
		ASAN_UNPOISON_MEMORY_REGION(chunk->previous, sizeof(Chunk));
		chunk->previous->next = chunk->next;
		ASAN_POISON_MEMORY_REGION(chunk->previous, sizeof(Chunk));
	}
	else
		chunks = chunk->next;
	if (chunk->next != NULL)
	{
		ASAN_UNPOISON_MEMORY_REGION(chunk->next, sizeof(Chunk));
		chunk->next->previous = chunk->previous;
		ASAN_POISON_MEMORY_REGION(chunk->next, sizeof(Chunk));
	}
	free(chunk);
}

void *
repalloc(void *pointer, Size size)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;
	void	   *result = palloc(size);
	Size		old;

	ASAN_UNPOISON_MEMORY_REGION(chunk, sizeof(Chunk));
	old = chunk->size;
	ASAN_POISON_MEMORY_REGION(chunk, sizeof(Chunk));
	memcpy(result, pointer, Min(old, size));
	pfree(pointer);
	return result;
}

char *
pnstrdup(const char *in, Size len)
{
	char	   *result;

	len = strnlen(in, len);
	result = memcpy(palloc(len + 1), in, len);
	result[len] = '\0';
	return result;
}

char *
pstrdup(const char *in)
{
	return pnstrdup(in, strlen(in));
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

void
check_stack_depth(void)
{
	char		here;

	/* labs: the direction of growth does not matter */
	if (labs((long) (stack_base - &here)) > STACK_BYTES)
		abort();
}

/* Errors */

bool
errstart(int elevel, const char *domain)
{
	return elevel >= ERROR;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	ErrorContextCallback *callback;

	if (catcher == NULL || fuzz_error == 0)
		abort();
	for (callback = error_context_stack; callback != NULL; callback = callback->previous)
		callback->callback(callback->arg);
	longjmp(*catcher, 1);
}

int
errcode(int sqlerrcode)
{
	fuzz_error = sqlerrcode;
	return 0;
}

/* Format a text as a message, for the sake of its arguments. */
static int
format(const char *fmt, va_list args)
{
	vsnprintf(message, sizeof(message), fmt, args);
	return 0;
}

int
errmsg(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	format(fmt, args);
	va_end(args);
	return 0;
}

int
errmsg_internal(const char *fmt,...)
{
	/* only what cannot happen is not worth a translation */
	abort();
}

int
errdetail(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	format(fmt, args);
	va_end(args);
	return 0;
}

int
errhint(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	format(fmt, args);
	va_end(args);
	return 0;
}

int
set_errcontext_domain(const char *domain)
{
	return 0;
}

int
errcontext_msg(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	format(fmt, args);
	va_end(args);
	return 0;
}

#if PG_VERSION_NUM >= 160000
bool
errsave_start(struct Node *context, const char *domain)
{
	saving = (ErrorSaveContext *) context;
	return true;
}

void
errsave_finish(struct Node *context, const char *filename, int lineno,
			   const char *funcname)
{
	if (context == NULL)
		errfinish(filename, lineno, funcname);
	if (saving->error_occurred)
		abort();				/* one error is enough */
	saving->error_occurred = true;
}
#endif

void
ExceptionalCondition(const char *condition,
#if PG_VERSION_NUM < 160000
					 const char *type,
#endif
					 const char *file, int line)
{
	fprintf(stderr, "assertion failed: %s, %s:%d\n", condition, file, line);
	abort();
}

/* Lists, as long as they must be and no longer */

/* Make a list of the cells of two. */
static List *
concatenate(const List *one, const List *two)
{
	int			length = list_length(one) + list_length(two);
	List	   *list = palloc(offsetof(List, initial_elements));

	list->type = T_List;
	list->length = list->max_length = length;
	list->elements = palloc(length * sizeof(ListCell));
	if (one != NIL)
		memcpy(list->elements, one->elements, one->length * sizeof(ListCell));
	if (two != NIL)
		memcpy(list->elements + list_length(one), two->elements,
			   two->length * sizeof(ListCell));
	return list;
}

List *
list_make1_impl(NodeTag type, ListCell cell)
{
	List		one = {.type = type,.length = 1,.elements = &cell};

	return concatenate(&one, NIL);
}

List *
list_make2_impl(NodeTag type, ListCell cell1, ListCell cell2)
{
	return list_concat(list_make1_impl(type, cell1), list_make1_impl(type, cell2));
}

/* The list itself must stay where it is: others may point at it. */
List *
list_concat(List *one, const List *two)
{
	if (one == NIL)
		return concatenate(two, NIL);
	if (two != NIL)
	{
		List	   *both = concatenate(one, two);

		pfree(one->elements);
		one->length = one->max_length = both->length;
		one->elements = both->elements;
		pfree(both);
	}
	return one;
}

List *
lappend(List *list, void *datum)
{
	return list_concat(list, list_make1(datum));
}

List *
lcons(void *datum, List *list)
{
	return list_concat(list_make1(datum), list);
}

/* Encodings */

int
pg_mbstrlen_with_len(const char *mbstr, int limit)
{
	int			count = 0;

	while (limit > 0 && *mbstr != '\0')
	{
		int			len = pg_encoding_mblen(fuzz_encoding, mbstr);

		limit -= len;
		mbstr += len;
		count++;
	}
	return count;
}

int
pg_mbcliplen(const char *mbstr, int len, int limit)
{
	int			clipped = 0;

	while (len > 0 && *mbstr != '\0')
	{
		int			next = pg_encoding_mblen(fuzz_encoding, mbstr);

		if (clipped + next > limit)
			break;
		clipped += next;
		mbstr += next;
		len -= next;
	}
	return clipped;
}

/* Messages */

int
pq_getmsgbyte(StringInfo msg)
{
	if (msg->cursor >= msg->len)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("no data left in message")));
	return (unsigned char) msg->data[msg->cursor++];
}

/* A backend checks what comes in its own encoding, and it ends in a zero. */
char *
pq_getmsgtext(StringInfo msg, int rawbytes, int *nbytes)
{
	char	   *start = msg->data + msg->cursor;

	if (rawbytes < 0 || rawbytes > msg->len - msg->cursor)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("insufficient data left in message")));
	msg->cursor += rawbytes;
	if (pg_encoding_verifymbstr(fuzz_encoding, start, rawbytes) != rawbytes)
		ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE), errmsg("invalid byte sequence")));
	*nbytes = rawbytes;
	return pnstrdup(start, rawbytes);
}

void
pq_begintypsend(StringInfo buf)
{
	initStringInfo(buf);
	appendStringInfoSpaces(buf, VARHDRSZ);
}

void
pq_sendtext(StringInfo buf, const char *str, int slen)
{
	appendBinaryStringInfo(buf, str, slen);
}

bytea *
pq_endtypsend(StringInfo buf)
{
	bytea	   *result = (bytea *) buf->data;

	SET_VARSIZE(result, buf->len);
	return result;
}
