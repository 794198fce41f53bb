/*-------------------------------------------------------------------------
 *
 * access_path.c
 *	  Paths of access conditions: made, joined, simplified, kept as text.
 *
 * A path is told by its description: kind, length, and of each field the SQL
 * and the names of type and hash function.  Its id is a digest of that text,
 * so it is the same in every session, and a path that is made again of its
 * description is known to mean the same if it has the same id.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "access_field.h"
#include "access_path.h"
#include "access_value.h"

static const char *const kind_names[] = {
	[ACCESS_EQUAL] = "equal",
	[ACCESS_PREFIX] = "prefix",
	[ACCESS_MEMBER] = "member",
	[ACCESS_RANGE] = "range",
};

/* ----------
 * Paths and keys.
 * ----------
 */

/* Digest the description of a path. */
static uint64
describe_digest(AccessKind kind, int length, int nfields,
				char *const *texts, char *const *types)
{
	StringInfoData buf;
	uint64		digest;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s %d", kind_names[kind], length);
	for (int i = 0; i < nfields; i++)
	{
		/* with the terminating zero, so that no two texts run together */
		appendBinaryStringInfo(&buf, texts[i], strlen(texts[i]) + 1);
		appendBinaryStringInfo(&buf, types[i], strlen(types[i]) + 1);
	}
	digest = hash_bytes_extended((unsigned char *) buf.data, buf.len, 0);
	pfree(buf.data);
	return digest;
}

static void
set_path_id(PathInfo *info)
{
	info->path.path_id = describe_digest(info->path.kind, info->path.length,
										 info->path.nfields, info->texts, info->types);
}

PathInfo *
ls_path_make(AccessKind kind, int length, const FieldInfo *field, Oid hash)
{
	PathInfo   *info = palloc0(sizeof(PathInfo));

	info->path.kind = kind;
	info->path.length = length;
	info->path.nfields = 1;
	info->path.fields[0].expr = field->expr;
	info->path.fields[0].hash = hash;
	info->texts[0] = field->text;
	info->types[0] = ls_field_type_text(field->expr, hash);
	set_path_id(info);
	return info;
}

uint64
ls_access_digest(const AccessKey *key)
{
	uint64		digest = key->path->path_id;

	for (int i = 0; i < key->path->nfields; i++)
		digest = ls_digest_add(digest, key->hashes[i]);
	return digest;
}

void
ls_path_join(List *equals, AccessKey *key, double *cost)
{
	PathInfo   *info = palloc0(sizeof(PathInfo));
	ListCell   *lc;

	info->path.kind = ACCESS_EQUAL;
	*cost = 1;
	foreach(lc, equals)
	{
		AccessKey  *equality = lfirst(lc);
		PathInfo   *single = (PathInfo *) equality->path;
		int			at = info->path.nfields++;

		for (; at > 0 && strcmp(info->texts[at - 1], single->texts[0]) > 0; at--)
		{
			info->path.fields[at] = info->path.fields[at - 1];
			info->texts[at] = info->texts[at - 1];
			info->types[at] = info->types[at - 1];
			info->costs[at] = info->costs[at - 1];
			key->hashes[at] = key->hashes[at - 1];
		}
		info->path.fields[at] = single->path.fields[0];
		info->texts[at] = single->texts[0];
		info->types[at] = single->types[0];
		info->costs[at] = single->costs[0];
		key->hashes[at] = equality->hashes[0];
		*cost *= single->costs[0];
	}
	set_path_id(info);
	key->path = &info->path;
}

bool
ls_path_is_by_bytes(Oid collation, Node *expr)
{
	Oid			own = exprCollation(expr);

	return (!OidIsValid(collation) || get_collation_isdeterministic(collation)) &&
		(!OidIsValid(own) || get_collation_isdeterministic(own));
}

/* ----------
 * Simpler paths.
 * ----------
 */
bool
ls_access_simplify(AccessKey *key, Index varno, Relation rel)
{
	PathInfo   *info = (PathInfo *) key->path;
	PathInfo   *simple;
	FieldInfo	field;
	int			best = 0;
	int			length;

	if (info->path.kind == ACCESS_EQUAL && info->path.nfields > 1)
	{
		for (int i = 1; i < info->path.nfields; i++)
			if (info->costs[i] < info->costs[best])
				best = i;
		field.expr = info->path.fields[best].expr;
		field.text = info->texts[best];
		simple = ls_path_make(ACCESS_EQUAL, 0, &field, info->path.fields[best].hash);
		simple->costs[0] = info->costs[best];
		key->path = &simple->path;
		key->hashes[0] = key->hashes[best];
		return true;
	}
	if (info->path.kind != ACCESS_PREFIX || info->path.length == 1)
		return false;
	for (length = MAX_PREFIX / 2; length >= info->path.length;)
		length /= 2;
	field.expr = info->path.fields[0].expr;
	field.text = info->texts[0];
	simple = ls_path_make(ACCESS_PREFIX, length, &field, InvalidOid);
	simple->prefix = info->prefix;
	key->path = &simple->path;
	key->hashes[0] = ls_hash_text(info->prefix, length);
	return true;
}

/* ----------
 * Descriptions.
 * ----------
 */
void
ls_access_describe(const AccessPath *path, Index varno, Relation rel,
				   AccessDescription *description)
{
	memset(description, 0, sizeof(AccessDescription));
	description->kind = kind_names[path->kind];
	description->length = path->length;
	description->nfields = path->nfields;
	for (int i = 0; i < path->nfields; i++)
	{
		description->fields[i] = ls_field_text(path->fields[i].expr, varno, rel);
		description->types[i] = ls_field_type_text(path->fields[i].expr,
												   path->fields[i].hash);
	}
}

/* The hash function that a field has in a path, or InvalidOid. */
static Oid
path_hash(AccessKind kind, Expr *field, const char *types)
{
	static const Oid json_types[] = {TEXTOID, NUMERICOID, BOOLOID};
	Oid			type = getBaseType(exprType((Node *) field));

	if (kind == ACCESS_EQUAL)
		return ls_hash_function(type);
	if (type != JSONBOID)
		return ls_hash_element_function(type);
	for (int i = 0; i < lengthof(json_types); i++)
	{
		Oid			hash = ls_hash_function(json_types[i]);

		if (strcmp(ls_field_type_text(field, hash), types) == 0)
			return hash;
	}
	return InvalidOid;
}

/* Can a field be what it is in a path of that kind? */
static bool
fits_kind(AccessKind kind, int length, Expr *field)
{
	Oid			type = getBaseType(exprType((Node *) field));

	switch (kind)
	{
		case ACCESS_PREFIX:
			return length >= 1 && length <= MAX_PREFIX &&
				(type == TEXTOID || type == VARCHAROID);
		case ACCESS_RANGE:
			return length >= RANGE_STEP_BITS && length <= RANGE_MAX_BITS &&
				ls_position_is_known(type);
		default:
			return true;
	}
}

AccessPath *
ls_access_path(const AccessDescription *description, uint64 path_id,
			   Index varno, Relation rel)
{
	PathInfo   *info = palloc0(sizeof(PathInfo));
	AccessPath *path = &info->path;
	Expr	   *fields[MAX_KEY_FIELDS];
	int			kind = 0;

	while (strcmp(kind_names[kind], description->kind) != 0)
		if (++kind == lengthof(kind_names))
			return NULL;
	path->path_id = path_id;
	path->kind = kind;
	path->length = description->length;
	path->nfields = description->nfields;
	if (path->nfields < 1 || path->nfields > (kind == ACCESS_EQUAL ? MAX_KEY_FIELDS : 1) ||
		!ls_fields_parse(description->fields, path->nfields, varno, rel, fields))
		return NULL;

	for (int i = 0; i < path->nfields; i++)
	{
		Oid			hash = InvalidOid;

		if (!fits_kind(kind, path->length, fields[i]) ||
			(kind != ACCESS_RANGE && !ls_path_is_by_bytes(InvalidOid, (Node *) fields[i])))
			return NULL;
		if (kind == ACCESS_EQUAL || kind == ACCESS_MEMBER)
		{
			hash = path_hash(kind, fields[i], description->types[i]);
			if (!OidIsValid(hash))
				return NULL;
		}
		path->fields[i].expr = fields[i];
		path->fields[i].hash = hash;
		info->texts[i] = ls_field_text(fields[i], varno, rel);
		info->types[i] = ls_field_type_text(fields[i], hash);
	}
	if (describe_digest(kind, path->length, path->nfields, info->texts, info->types) != path_id)
		return NULL;
	return path;
}
