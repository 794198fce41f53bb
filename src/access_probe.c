/*-------------------------------------------------------------------------
 *
 * access_probe.c
 *	  The digests under which a row is looked up (second half of rule_access.h).
 *
 * Every inserted row comes through here, so all that can be known beforehand
 * is: a field that many paths have in common is read once, a hash that many
 * have in common computed once, plain columns are read from the slot, and the
 * hash functions of the usual types are not called but inlined.  What a row
 * needs in memory (copies of toasted values, results of expressions) goes
 * with the row.
 *
 * An AccessPaths is allocated in the context it was made in and only grows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "access_field.h"
#include "access_value.h"
#include "rule_access.h"
#include "value.h"

/* A path of one field, beside that field. */
typedef struct FieldPath
{
	uint64		path_id;
	int			length;			/* PREFIX, RANGE */
} FieldPath;

typedef struct FieldPaths
{
	int			n;
	FieldPath  *paths;			/* by length */
} FieldPaths;

/* Constants looked for in the field: an array, or jsonb. */
typedef struct MemberPath
{
	uint64		path_id;
	ValueHash	hash;
	Oid			element;		/* InvalidOid: jsonb */
	int16		element_len;
	bool		element_byval;
	char		element_align;
} MemberPath;

typedef struct ProbeField
{
	AttrNumber	attno;			/* InvalidAttrNumber: state */
	bool		is_hashed;		/* there are EQUAL paths with it */
	bool		is_alone;		/* and one of it alone, equal_id */
	ExprState  *state;
	ValueHash	hash;
	uint64		equal_id;
	FieldPaths	prefixes;
	FieldPaths	ranges;
	Oid			type;			/* RANGE */
	int			nmembers;
	MemberPath *members;
	Expr	   *expr;
	/* of the row being probed */
	bool		isnull;
	uint32		hashed;
} ProbeField;

/* Equalities of several fields. */
typedef struct JoinedPath
{
	uint64		path_id;
	int			nfields;
	int			fields[MAX_KEY_FIELDS];
} JoinedPath;

struct AccessPaths
{
	MemoryContext mcxt;
	Index		varno;
	int			npaths;
	uint64	   *path_ids;
	int			nfields;
	ProbeField *fields;
	int			njoined;
	JoinedPath *joined;
	AttrNumber	last_attno;		/* of the plain columns */
	ExprContext *econtext;
	int			maxdigests;
	uint64	   *digests;
};

/* Make room for one more of n elements in an array that doubles. */
static void *
grow(void *array, int n, Size size)
{
	if (n == 0)
		return palloc(size);
	if ((n & (n - 1)) == 0)
		return repalloc(array, mul_size(size, 2 * (Size) n));
	return array;
}

AccessPaths *
ls_paths_make(Index varno)
{
	AccessPaths *paths = palloc0(sizeof(AccessPaths));

	paths->mcxt = CurrentMemoryContext;
	paths->varno = varno;
	paths->econtext = CreateStandaloneExprContext();
	paths->maxdigests = 16;
	paths->digests = palloc(sizeof(uint64) * paths->maxdigests);
	return paths;
}

int
ls_paths_count(const AccessPaths *paths)
{
	return paths->npaths;
}

/* The number of a field, which is entered if it is new. */
static int
find_field(AccessPaths *paths, Expr *expr)
{
	ProbeField *field;

	for (int i = 0; i < paths->nfields; i++)
		if (equal(paths->fields[i].expr, expr))
			return i;
	paths->fields = grow(paths->fields, paths->nfields, sizeof(ProbeField));
	field = &paths->fields[paths->nfields];
	memset(field, 0, sizeof(ProbeField));
	field->expr = copyObject(expr);
	field->attno = ls_field_column(expr);
	if (field->attno == InvalidAttrNumber)
		field->state = ExecInitExpr(field->expr, NULL);
	paths->last_attno = Max(paths->last_attno, field->attno);
	return paths->nfields++;
}

/* Enter an equality; each field has but one hash function, its type's. */
static void
add_hash(AccessPaths *paths, int number, Oid function)
{
	ProbeField *field = &paths->fields[number];

	if (!field->is_hashed)
		ls_hash_init(&field->hash, function);
	Assert(field->hash.function.fn_oid == function);
	field->is_hashed = true;
}

static void
add_by_length(FieldPaths *paths, uint64 path_id, int length)
{
	int			at = paths->n;

	paths->paths = grow(paths->paths, paths->n, sizeof(FieldPath));
	for (; at > 0 && paths->paths[at - 1].length > length; at--)
		paths->paths[at] = paths->paths[at - 1];
	paths->paths[at].path_id = path_id;
	paths->paths[at].length = length;
	paths->n++;
}

static void
add_member(ProbeField *field, uint64 path_id, Oid function)
{
	MemberPath *member;

	field->members = grow(field->members, field->nmembers, sizeof(MemberPath));
	member = &field->members[field->nmembers];
	memset(member, 0, sizeof(MemberPath));
	member->path_id = path_id;
	ls_hash_init(&member->hash, function);
	member->element = get_base_element_type(exprType((Node *) field->expr));
	if (OidIsValid(member->element))
		get_typlenbyvalalign(member->element, &member->element_len,
							 &member->element_byval, &member->element_align);
	field->nmembers++;
}

void
ls_paths_add(AccessPaths *paths, const AccessPath *path)
{
	MemoryContext oldcontext;
	ProbeField *field;
	JoinedPath *joined;
	int			number;

	for (int i = 0; i < paths->npaths; i++)
		if (paths->path_ids[i] == path->path_id)
			return;

	oldcontext = MemoryContextSwitchTo(paths->mcxt);
	paths->path_ids = grow(paths->path_ids, paths->npaths, sizeof(uint64));
	if (paths->npaths == paths->maxdigests)
	{
		paths->digests = repalloc(paths->digests, sizeof(uint64) * paths->maxdigests * 2);
		paths->maxdigests *= 2;
	}
	/* an error from here on leaves at most fields that nothing is looked up by */
	number = find_field(paths, path->fields[0].expr);
	field = &paths->fields[number];
	switch (path->kind)
	{
		case ACCESS_EQUAL:
			add_hash(paths, number, path->fields[0].hash);
			if (path->nfields == 1)
			{
				field->is_alone = true;
				field->equal_id = path->path_id;
				break;
			}
			paths->joined = grow(paths->joined, paths->njoined, sizeof(JoinedPath));
			joined = &paths->joined[paths->njoined];
			joined->path_id = path->path_id;
			joined->nfields = path->nfields;
			joined->fields[0] = number;
			for (int i = 1; i < path->nfields; i++)
			{
				joined->fields[i] = find_field(paths, path->fields[i].expr);
				add_hash(paths, joined->fields[i], path->fields[i].hash);
			}
			paths->njoined++;
			break;
		case ACCESS_PREFIX:
			add_by_length(&field->prefixes, path->path_id, path->length);
			break;
		case ACCESS_MEMBER:
			add_member(field, path->path_id, path->fields[0].hash);
			break;
		case ACCESS_RANGE:
			field->type = getBaseType(exprType((Node *) field->expr));
			add_by_length(&field->ranges, path->path_id, path->length);
			break;
	}
	paths->path_ids[paths->npaths++] = path->path_id;
	MemoryContextSwitchTo(oldcontext);
}

/* ----------
 * Probing.
 * ----------
 */

/* Make room for n digests beside those that every path has. */
static void
reserve(AccessPaths *paths, int ndigests, int n)
{
	Size		needed = (Size) ndigests + n + paths->npaths;

	if (needed <= paths->maxdigests)
		return;
	needed = Min(needed * 2, INT_MAX);
	paths->digests = repalloc_huge(paths->digests, sizeof(uint64) * needed);
	paths->maxdigests = needed;
}

static int
probe_array(AccessPaths *paths, MemberPath *member, Datum value, int ndigests)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(value), member->element,
					  member->element_len, member->element_byval,
					  member->element_align, &elements, &nulls, &n);
	reserve(paths, ndigests, n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			paths->digests[ndigests++] =
				ls_digest_add(member->path_id, ls_hash_value(&member->hash, elements[i]));
	return ndigests;
}

/*
 * The members of a jsonb array, as json_has reads them.  A string, in which it
 * looks for a part, is open to every text.
 */
static int
probe_json(AccessPaths *paths, MemberPath *member, Datum value, int ndigests)
{
	Jsonb	   *jb = DatumGetJsonbP(value);
	Oid			function = member->hash.function.fn_oid;
	JsonbIterator *it = NULL;
	JsonbValue	v;

	if (!ls_json_is_array(jb))
	{
		if (function == F_HASHTEXT && JB_ROOT_IS_SCALAR(jb) &&
			JsonbExtractScalar(&jb->root, &v) && v.type == jbvString)
			paths->digests[ndigests++] = ls_digest_add(member->path_id, JSON_STRING_HASH);
		return ndigests;
	}
	reserve(paths, ndigests, JB_ROOT_COUNT(jb));
	while (ls_json_next_member(jb, &it, &v))
	{
		uint32		hashed;

		if (function == F_HASHTEXT)
		{
			int			length;
			const char *s = ls_json_text(&v, &length);

			if (s == NULL)
				continue;
			hashed = ls_hash_text(s, length);
		}
		else if (function == F_HASH_NUMERIC)
		{
			Numeric		number;

			if (!ls_json_number(&v, &number))
				continue;
			hashed = ls_hash_value(&member->hash, NumericGetDatum(number));
		}
		else
		{
			bool		boolean;

			if (!ls_json_boolean(&v, &boolean))
				continue;
			hashed = ls_hash_value(&member->hash, BoolGetDatum(boolean));
		}
		paths->digests[ndigests++] = ls_digest_add(member->path_id, hashed);
	}
	return ndigests;
}

int
ls_paths_probe(AccessPaths *paths, TupleTableSlot *slot, const uint64 **digests)
{
	ExprContext *econtext = paths->econtext;
	MemoryContext oldcontext;
	int			ndigests = 0;

	*digests = paths->digests;
	if (paths->nfields == 0)
		return 0;
	if (paths->last_attno > 0)
		slot_getsomeattrs(slot, paths->last_attno);
	if (paths->varno == INNER_VAR)
		econtext->ecxt_innertuple = slot;
	else
		econtext->ecxt_outertuple = slot;
	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);

	for (int i = 0; i < paths->nfields; i++)
	{
		ProbeField *field = &paths->fields[i];
		Datum		value;

		if (field->attno != InvalidAttrNumber)
		{
			value = slot->tts_values[field->attno - 1];
			field->isnull = slot->tts_isnull[field->attno - 1];
		}
		else
			value = ExecEvalExpr(field->state, econtext, &field->isnull);
		if (field->isnull)
			continue;

		if (field->prefixes.n > 0)
		{
			struct varlena *v = PG_DETOAST_DATUM_PACKED(value);
			int			length = VARSIZE_ANY_EXHDR(v);

			value = PointerGetDatum(v); /* to be hashed, if it is */
			for (int j = 0; j < field->prefixes.n; j++)
			{
				FieldPath  *path = &field->prefixes.paths[j];

				if (path->length > length)
					break;
				paths->digests[ndigests++] =
					ls_digest_add(path->path_id,
								  ls_hash_text(VARDATA_ANY(v), path->length));
			}
		}
		if (field->is_hashed)
		{
			field->hashed = ls_hash_value(&field->hash, value);
			if (field->is_alone)
				paths->digests[ndigests++] = ls_digest_add(field->equal_id, field->hashed);
		}
		if (field->ranges.n > 0)
		{
			uint64		position = ls_position(field->type, value);

			for (int j = 0; j < field->ranges.n; j++)
			{
				FieldPath  *path = &field->ranges.paths[j];

				paths->digests[ndigests++] =
					ls_digest_add(path->path_id, ls_block_hash(position, path->length));
			}
		}
		for (int j = 0; j < field->nmembers; j++)
			ndigests = OidIsValid(field->members[j].element) ?
				probe_array(paths, &field->members[j], value, ndigests) :
				probe_json(paths, &field->members[j], value, ndigests);
	}

	for (int i = 0; i < paths->njoined; i++)
	{
		JoinedPath *path = &paths->joined[i];
		uint64		digest = path->path_id;
		bool		isnull = false;

		for (int j = 0; j < path->nfields; j++)
		{
			ProbeField *field = &paths->fields[path->fields[j]];

			isnull |= field->isnull;
			digest = ls_digest_add(digest, field->hashed);
		}
		if (!isnull)
			paths->digests[ndigests++] = digest;
	}
	MemoryContextSwitchTo(oldcontext);
	ResetExprContext(econtext);
	*digests = paths->digests;
	return ndigests;
}
