/*-------------------------------------------------------------------------
 *
 * rule_index.c
 *	  The streams of a kind that a row may concern, found without asking each.
 *
 * Every stream is entered under an access condition: one that must hold of a
 * row for the row to count in any of the stream's conditions.  As in
 * contains_required_value of contrib/intarray: of an AND either side will do
 * (the most selective is taken), an OR needs both, a NOT gives none.  Access
 * conditions are
 *
 *	  field = constant		also several at once: a = 1 and b = 2 is one key
 *	  field in (...)		one key for each
 *	  field like 'abc%'		and starts with: the first bytes of the field
 *	  constant in an array	one probe for each element of the row's array
 *
 * where a field is any expression over the row, so a path into jsonb too.
 * This is the access predicate scheme of Fabret, Jacobsen, Llirbat, Pereira,
 * Ross and Shasha (SIGMOD 2001): rules are hashed by one equality, or a
 * conjunction of equalities, and everything else about them is checked after.
 *
 * What the index holds is hashes alone, not values: a collision brings a
 * stream that is then found not to be concerned, for the caller checks the
 * whole condition.  A probe evaluates each field once and looks up each
 * signature (which fields, compared how) once, whatever the number of
 * streams.  Streams without an access condition are in the residual list and
 * come with every row.
 *
 * An index belongs to a StreamSet and is never changed once it is finished.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "rule_index.h"

/* Equalities that are put together into one key. */
#define MAX_KEY_FIELDS		4

/* Beyond these a probe would cost more than it saves: single fields only. */
#define MAX_SIGNATURES		48

/* A prefix longer than this is cut: the rest is checked with the row. */
#define MAX_PREFIX			64

/* More values than this under one stream, and it is residual. */
#define MAX_KEYS			10000

typedef enum AccessKind
{
	ACCESS_EQUAL,
	ACCESS_PREFIX,
	ACCESS_MEMBER
} AccessKind;

/* A field of the row, and how it is hashed. */
typedef struct IndexField
{
	Expr	   *expr;
	ExprState  *state;
	AccessKind	kind;
	FmgrInfo	hash;			/* EQUAL, MEMBER */
	Oid			collation;
	Oid			element;		/* MEMBER: type of the array's elements */
	int16		element_len;
	bool		element_byval;
	char		element_align;
	/* of the row being probed */
	bool		isnull;
	uint32		hashed;			/* EQUAL */
	Datum		value;			/* PREFIX, MEMBER */
} IndexField;

/* What is looked up together. */
typedef struct Signature
{
	AccessKind	kind;
	int			nfields;
	int			fields[MAX_KEY_FIELDS]; /* ascending */
	int			length;			/* PREFIX */
} Signature;

/* One way to reach a stream. */
typedef struct AccessKey
{
	AccessKind	kind;
	int			nfields;
	int			fields[MAX_KEY_FIELDS];
	uint32		hashes[MAX_KEY_FIELDS];
	int			length;
} AccessKey;

/* An access condition: all the ways; one of them is open to every row that matters. */
typedef struct Access
{
	int			nkeys;
	AccessKey  *keys;
	double		cost;			/* how many rows it lets through, relatively */
} Access;

typedef struct Entry
{
	uint64		key;
	int32		stream;
} Entry;

typedef struct Posting
{
	uint64		key;
	uint32		first;			/* in RuleIndex.streams */
	uint32		count;
	char		status;
} Posting;

#define SH_PREFIX		postings
#define SH_ELEMENT_TYPE	Posting
#define SH_KEY_TYPE		uint64
#define SH_KEY			key
/* keys are well mixed already */
#define SH_HASH_KEY(tb, key)	((uint32) ((key) ^ ((key) >> 32)))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct RuleIndex
{
	MemoryContext mcxt;
	ActivitySource *source;
	IndexField *fields;
	int			nfields;
	int			maxfields;
	Signature  *signatures;
	int			nsignatures;
	int			maxsignatures;
	Entry	   *entries;		/* while it is being made */
	int64		nentries;
	int64		maxentries;
	postings_hash *postings;
	int32	   *streams;
	int32	   *residual;
	int			nresidual;
	int			maxresidual;
	int32	   *found;			/* of the last probe */
	int			maxfound;
	ExprContext *econtext;
};

/* ----------
 * Fields.
 * ----------
 */

/* Does the expression read the row, and nothing but the row? */
static bool
reads_row(Node *node, bool *reads)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		*reads = true;
		return ((Var *) node)->varno != OUTER_VAR;
	}
	if (IsA(node, Param))
		return true;
	return expression_tree_walker(node, reads_row, (void *) reads);
}

static bool
is_field(Node *node)
{
	bool		reads = false;

	return !reads_row(node, &reads) && reads;
}

static int
find_field(RuleIndex *index, Node *expr, AccessKind kind, Oid hash, Oid collation)
{
	IndexField *field;
	MemoryContext oldcxt;

	for (int i = 0; i < index->nfields; i++)
	{
		field = &index->fields[i];
		if (field->kind == kind && field->collation == collation &&
			(kind == ACCESS_PREFIX || field->hash.fn_oid == hash) &&
			equal(field->expr, expr))
			return i;
	}
	if (index->nfields == index->maxfields)
	{
		index->maxfields *= 2;
		index->fields = repalloc(index->fields, sizeof(IndexField) * index->maxfields);
	}
	oldcxt = MemoryContextSwitchTo(index->mcxt);
	field = &index->fields[index->nfields];
	memset(field, 0, sizeof(IndexField));
	field->expr = copyObject((Expr *) expr);
	field->state = ExecInitExpr(field->expr, NULL);
	field->kind = kind;
	field->collation = collation;
	if (kind != ACCESS_PREFIX)
		fmgr_info_cxt(hash, &field->hash, index->mcxt);
	if (kind == ACCESS_MEMBER)
	{
		field->element = get_base_element_type(exprType(expr));
		get_typlenbyvalalign(field->element, &field->element_len,
							 &field->element_byval, &field->element_align);
	}
	MemoryContextSwitchTo(oldcxt);
	return index->nfields++;
}

/* ----------
 * Access conditions.
 * ----------
 */
static Access *
single_key(AccessKind kind, int field, uint32 hash, int length, double cost)
{
	Access	   *access = palloc0(sizeof(Access));

	access->nkeys = 1;
	access->keys = palloc0(sizeof(AccessKey));
	access->keys->kind = kind;
	access->keys->nfields = 1;
	access->keys->fields[0] = field;
	access->keys->hashes[0] = hash;
	access->keys->length = length;
	access->cost = cost;
	return access;
}

/* No row can pass. */
static Access *
no_keys(void)
{
	return palloc0(sizeof(Access));
}

static uint32
hash_value(FmgrInfo *hash, Oid collation, Datum value)
{
	return DatumGetUInt32(FunctionCall1Coll(hash, collation, value));
}

static Access *
prefix_access(RuleIndex *index, Node *field, const char *prefix, int length, Oid collation)
{
	if (length == 0 ||
		(OidIsValid(collation) && !get_collation_isdeterministic(collation)))
		return NULL;
	/* longer beats shorter, and an equality beats both */
	length = Min(length, MAX_PREFIX);
	return single_key(ACCESS_PREFIX, find_field(index, field, ACCESS_PREFIX, InvalidOid, collation),
					  hash_bytes((const unsigned char *) prefix, length), length,
					  1.5 + 8.0 / length);
}

/* field = constant, constant = field, field like 'constant' */
static Access *
operator_access(RuleIndex *index, OpExpr *op)
{
	Node	   *left = linitial(op->args);
	Node	   *right = list_length(op->args) == 2 ? lsecond(op->args) : NULL;
	RegProcedure left_hash;
	RegProcedure right_hash;
	FmgrInfo	hash;

	if (right == NULL)
		return NULL;
	if (op->opno == OID_TEXT_LIKE_OP && is_field(left) && IsA(right, Const) &&
		!((Const *) right)->constisnull)
	{
		text	   *pattern = DatumGetTextPP(((Const *) right)->constvalue);
		const char *p = VARDATA_ANY(pattern);
		int			length = 0;

		while (length < VARSIZE_ANY_EXHDR(pattern) && p[length] != '%' &&
			   p[length] != '_' && p[length] != '\\')
			length++;
		return prefix_access(index, left, p, length, op->inputcollid);
	}
	/* arrays and rows have a hash function whether or not their parts do */
	if (!op_hashjoinable(op->opno, exprType(left)) ||
		!op_hashjoinable(op->opno, exprType(right)) ||
		!get_op_hash_functions(op->opno, &left_hash, &right_hash))
		return NULL;
	if (IsA(left, Const))
	{
		Node	   *swap = left;
		RegProcedure swap_hash = left_hash;

		left = right;
		right = swap;
		left_hash = right_hash;
		right_hash = swap_hash;
	}
	if (!IsA(right, Const) || !is_field(left))
		return NULL;
	if (((Const *) right)->constisnull)
		return no_keys();
	fmgr_info(right_hash, &hash);
	return single_key(ACCESS_EQUAL,
					  find_field(index, left, ACCESS_EQUAL, left_hash, op->inputcollid),
					  hash_value(&hash, op->inputcollid, ((Const *) right)->constvalue),
					  0, 1.0);
}

/* field = any (constants), constant = any (field) */
static Access *
array_access(RuleIndex *index, ScalarArrayOpExpr *op)
{
	Node	   *left = linitial(op->args);
	Node	   *right = lsecond(op->args);
	RegProcedure left_hash;
	RegProcedure right_hash;
	FmgrInfo	hash;
	Access	   *access;
	ArrayType  *array;
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	int			field;
	int16		len;
	bool		byval;
	char		align;

	if (!op->useOr || !get_op_hash_functions(op->opno, &left_hash, &right_hash))
		return NULL;
	if (IsA(left, Const) && is_field(right))
	{
		if (((Const *) left)->constisnull)
			return no_keys();
		fmgr_info(left_hash, &hash);
		return single_key(ACCESS_MEMBER,
						  find_field(index, right, ACCESS_MEMBER, right_hash, op->inputcollid),
						  hash_value(&hash, op->inputcollid, ((Const *) left)->constvalue),
						  0, 1.5);
	}
	if (!IsA(right, Const) || !is_field(left))
		return NULL;
	if (((Const *) right)->constisnull)
		return no_keys();

	array = DatumGetArrayTypeP(((Const *) right)->constvalue);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &len, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), len, byval, align, &elems, &nulls, &n);
	if (n > MAX_KEYS)
		return NULL;
	fmgr_info(right_hash, &hash);
	field = find_field(index, left, ACCESS_EQUAL, left_hash, op->inputcollid);
	access = no_keys();
	access->keys = palloc0(sizeof(AccessKey) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		AccessKey  *key = &access->keys[access->nkeys];

		if (nulls[i])
			continue;
		key->kind = ACCESS_EQUAL;
		key->nfields = 1;
		key->fields[0] = field;
		key->hashes[0] = hash_value(&hash, op->inputcollid, elems[i]);
		access->nkeys++;
	}
	access->cost = access->nkeys;
	return access;
}

/* Is it one equality with one value? */
static bool
is_equality(const Access *access)
{
	return access->nkeys == 1 && access->keys[0].kind == ACCESS_EQUAL;
}

/* Put another equality into a key, fields in ascending order. */
static void
join_key(AccessKey *key, const AccessKey *other)
{
	for (int i = 0; i < other->nfields; i++)
	{
		int			at = key->nfields;

		for (int j = 0; j < key->nfields; j++)
			if (key->fields[j] == other->fields[i])
				return;
		if (key->nfields == MAX_KEY_FIELDS)
			return;
		while (at > 0 && key->fields[at - 1] > other->fields[i])
		{
			key->fields[at] = key->fields[at - 1];
			key->hashes[at] = key->hashes[at - 1];
			at--;
		}
		key->fields[at] = other->fields[i];
		key->hashes[at] = other->hashes[i];
		key->nfields++;
	}
}

/*
 * The access condition of an expression: what must hold of a row for it to be
 * true.  NULL: nothing that the index knows.
 */
static Access *
find_access(RuleIndex *index, Node *node)
{
	ListCell   *lc;
	Access	   *best = NULL;
	Access	   *joined = NULL;

	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_BoolExpr:
			{
				BoolExpr   *expr = (BoolExpr *) node;

				if (expr->boolop == NOT_EXPR)
					return NULL;
				foreach(lc, expr->args)
				{
					Access	   *access = find_access(index, lfirst(lc));

					if (expr->boolop == OR_EXPR)
					{
						if (access == NULL || (best && best->nkeys + access->nkeys > MAX_KEYS))
							return NULL;
						if (best == NULL)
							best = access;
						else
						{
							AccessKey  *keys = palloc(sizeof(AccessKey) *
													  Max(best->nkeys + access->nkeys, 1));

							if (best->nkeys > 0)
								memcpy(keys, best->keys, sizeof(AccessKey) * best->nkeys);
							if (access->nkeys > 0)
								memcpy(keys + best->nkeys, access->keys,
									   sizeof(AccessKey) * access->nkeys);
							best->keys = keys;
							best->nkeys += access->nkeys;
							best->cost += access->cost;
						}
						continue;
					}
					if (access == NULL)
						continue;
					if (is_equality(access))
					{
						if (joined == NULL)
							joined = access;
						else
							join_key(joined->keys, access->keys);
					}
					else if (best == NULL || access->cost < best->cost)
						best = access;
				}
				/* equalities together beat anything, but for what never holds */
				if (joined && (best == NULL || best->nkeys > 0))
					return joined;
				return best;
			}
		case T_OpExpr:
			return operator_access(index, (OpExpr *) node);
		case T_ScalarArrayOpExpr:
			return array_access(index, (ScalarArrayOpExpr *) node);
		case T_FuncExpr:
			{
				FuncExpr   *func = (FuncExpr *) node;
				Const	   *prefix;

				if (func->funcid != F_STARTS_WITH || !IsA(lsecond(func->args), Const) ||
					!is_field(linitial(func->args)))
					return NULL;
				prefix = lsecond(func->args);
				if (prefix->constisnull)
					return no_keys();
				return prefix_access(index, linitial(func->args),
									 VARDATA_ANY(DatumGetTextPP(prefix->constvalue)),
									 VARSIZE_ANY_EXHDR(DatumGetTextPP(prefix->constvalue)),
									 func->inputcollid);
			}
		case T_Const:
			/* a condition that is never true lets nothing through */
			if (((Const *) node)->constisnull ||
				!DatumGetBool(((Const *) node)->constvalue))
				return no_keys();
			return NULL;
		default:
			return NULL;
	}
}

/* ----------
 * Making an index.
 * ----------
 */
RuleIndex *
ls_index_make(ActivitySource *source)
{
	RuleIndex  *index = palloc0(sizeof(RuleIndex));

	index->mcxt = CurrentMemoryContext;
	index->source = source;
	index->maxfields = 8;
	index->fields = palloc(sizeof(IndexField) * index->maxfields);
	index->maxsignatures = 8;
	index->signatures = palloc(sizeof(Signature) * index->maxsignatures);
	index->maxentries = 64;
	index->entries = palloc(sizeof(Entry) * index->maxentries);
	index->maxresidual = 8;
	index->residual = palloc(sizeof(int32) * index->maxresidual);
	index->econtext = CreateStandaloneExprContext();
	return index;
}

static void
add_residual(RuleIndex *index, int32 stream)
{
	if (index->nresidual == index->maxresidual)
	{
		index->maxresidual *= 2;
		index->residual = repalloc_huge(index->residual,
										sizeof(int32) * (Size) index->maxresidual);
	}
	index->residual[index->nresidual++] = stream;
}

static uint64
combine(uint64 key, uint32 hash)
{
	return hash_combine64(key, murmurhash32(hash));
}

/* The signature's number, or -1 where there are too many already. */
static int
find_signature(RuleIndex *index, const AccessKey *key)
{
	Signature  *signature;

	for (int i = 0; i < index->nsignatures; i++)
	{
		signature = &index->signatures[i];
		if (signature->kind == key->kind && signature->nfields == key->nfields &&
			signature->length == key->length &&
			memcmp(signature->fields, key->fields, sizeof(int) * key->nfields) == 0)
			return i;
	}
	if (index->nsignatures >= MAX_SIGNATURES && (key->nfields > 1 || key->kind == ACCESS_PREFIX))
		return -1;
	if (index->nsignatures == index->maxsignatures)
	{
		index->maxsignatures *= 2;
		index->signatures = repalloc(index->signatures,
									 sizeof(Signature) * index->maxsignatures);
	}
	signature = &index->signatures[index->nsignatures];
	memset(signature, 0, sizeof(Signature));
	signature->kind = key->kind;
	signature->nfields = key->nfields;
	signature->length = key->length;
	memcpy(signature->fields, key->fields, sizeof(int) * key->nfields);
	return index->nsignatures++;
}

/* Enter a stream under a key; false where it cannot be. */
static bool
add_key(RuleIndex *index, int32 stream, AccessKey *key)
{
	int			signature = find_signature(index, key);
	uint64		hashed;

	if (signature < 0 && key->kind == ACCESS_EQUAL)
	{
		key->nfields = 1;
		signature = find_signature(index, key);
	}
	if (signature < 0)
		return false;
	hashed = signature;
	for (int i = 0; i < key->nfields; i++)
		hashed = combine(hashed, key->hashes[i]);
	if (index->nentries == index->maxentries)
	{
		index->maxentries *= 2;
		index->entries = repalloc_huge(index->entries,
									   sizeof(Entry) * (Size) index->maxentries);
	}
	index->entries[index->nentries].key = hashed;
	index->entries[index->nentries++].stream = stream;
	return true;
}

void
ls_index_add(RuleIndex *index, int32 stream, RuleProgram *program)
{
	MemoryContext oldcxt;
	MemoryContext tmpcxt;
	List	   *accesses = NIL;
	ListCell   *lc;
	bool		residual = program == NULL || program->bound->foreign;

	oldcxt = CurrentMemoryContext;
	tmpcxt = AllocSetContextCreate(oldcxt, "leadstream access", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(tmpcxt);
	for (int i = 0; !residual && i < program->naggregates; i++)
		for (int j = 0; !residual && j < program->aggregates[i].nsources; j++)
		{
			SourceProgram *source = &program->aggregates[i].sources[j];
			Access	   *access;

			if (source->source->source_id != index->source->source_id)
				continue;
			access = source->filter_expr ?
				find_access(index, (Node *) source->filter_expr) : NULL;
			if (access == NULL)
				residual = true;
			else
				accesses = lappend(accesses, access);
		}
	foreach(lc, accesses)
	{
		Access	   *access = lfirst(lc);

		for (int k = 0; !residual && k < access->nkeys; k++)
			residual = !add_key(index, stream, &access->keys[k]);
	}
	/* keys entered before one that could not be do no harm */
	if (residual)
		add_residual(index, stream);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(tmpcxt);
}

static int
cmp_entry(const void *a, const void *b)
{
	const Entry *l = a;
	const Entry *r = b;

	if (l->key != r->key)
		return l->key < r->key ? -1 : 1;
	return l->stream < r->stream ? -1 : l->stream > r->stream;
}

void
ls_index_finish(RuleIndex *index)
{
	Posting    *posting = NULL;
	uint32		n = 0;
	int64		nkeys = 0;

	qsort(index->entries, index->nentries, sizeof(Entry), cmp_entry);
	for (int64 i = 0; i < index->nentries; i++)
		if (i == 0 || index->entries[i].key != index->entries[i - 1].key)
			nkeys++;
	index->postings = postings_create(index->mcxt, nkeys, NULL);
	index->streams = MemoryContextAllocHuge(index->mcxt,
											sizeof(int32) * (Size) Max(index->nentries, 1));
	for (int64 i = 0; i < index->nentries; i++)
	{
		Entry	   *entry = &index->entries[i];
		bool		found;

		if (posting == NULL || posting->key != entry->key)
		{
			posting = postings_insert(index->postings, entry->key, &found);
			posting->first = n;
			posting->count = 0;
		}
		else if (index->streams[n - 1] == entry->stream)
			continue;
		index->streams[n++] = entry->stream;
		posting->count++;
	}
	pfree(index->entries);
	index->entries = NULL;
	index->maxfound = Max(index->nresidual + 64, 64);
	index->found = MemoryContextAllocHuge(index->mcxt, sizeof(int32) * (Size) index->maxfound);
	memcpy(index->found, index->residual, sizeof(int32) * index->nresidual);
}

/* ----------
 * Probing.
 * ----------
 */
static int
take(RuleIndex *index, uint64 key, int nfound)
{
	Posting    *posting = postings_lookup(index->postings, key);

	if (posting == NULL)
		return nfound;
	if (nfound + posting->count > index->maxfound)
	{
		index->maxfound = Max(index->maxfound * 2, nfound + (int) posting->count);
		index->found = repalloc_huge(index->found,
									 sizeof(int32) * (Size) index->maxfound);
	}
	memcpy(index->found + nfound, index->streams + posting->first,
		   sizeof(int32) * posting->count);
	return nfound + posting->count;
}

/* Look up each element of the row's array. */
static int
take_members(RuleIndex *index, IndexField *field, int signature, int nfound)
{
	ArrayType  *array = DatumGetArrayTypeP(field->value);
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, field->element, field->element_len, field->element_byval,
					  field->element_align, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			nfound = take(index, combine(signature,
										 hash_value(&field->hash, field->collation, elems[i])),
						  nfound);
	return nfound;
}

int
ls_index_probe(RuleIndex *index, TupleTableSlot *slot, const int32 **streams)
{
	ExprContext *econtext = index->econtext;
	int			nfound = index->nresidual;
	MemoryContext oldcxt;

	if (index->nsignatures > 0)
	{
		econtext->ecxt_outertuple = slot;
		oldcxt = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		for (int i = 0; i < index->nfields; i++)
		{
			IndexField *field = &index->fields[i];

			field->value = ExecEvalExpr(field->state, econtext, &field->isnull);
			if (!field->isnull && field->kind == ACCESS_EQUAL)
				field->hashed = hash_value(&field->hash, field->collation, field->value);
			else if (!field->isnull && field->kind == ACCESS_PREFIX)
				field->value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(field->value));
		}
		for (int s = 0; s < index->nsignatures; s++)
		{
			Signature  *signature = &index->signatures[s];
			IndexField *field = &index->fields[signature->fields[0]];
			uint64		key = s;
			bool		isnull = false;

			if (signature->kind == ACCESS_EQUAL)
			{
				for (int i = 0; i < signature->nfields; i++)
				{
					field = &index->fields[signature->fields[i]];
					isnull |= field->isnull;
					key = combine(key, field->hashed);
				}
				if (!isnull)
					nfound = take(index, key, nfound);
			}
			else if (field->isnull)
				continue;
			else if (signature->kind == ACCESS_MEMBER)
				nfound = take_members(index, field, s, nfound);
			else if (VARSIZE_ANY_EXHDR(DatumGetPointer(field->value)) >= signature->length)
				nfound = take(index,
							  combine(key, hash_bytes((unsigned char *) VARDATA_ANY(DatumGetPointer(field->value)),
													  signature->length)),
							  nfound);
		}
		MemoryContextSwitchTo(oldcxt);
		ResetExprContext(econtext);
	}
	*streams = index->found;
	return nfound;
}
