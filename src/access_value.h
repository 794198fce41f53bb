/*-------------------------------------------------------------------------
 *
 * access_value.h
 *	  Values as access conditions see them: hashes, positions on a line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_ACCESS_VALUE_H
#define LS_ACCESS_VALUE_H

#include "catalog/pg_collation.h"
#include "common/hashfn.h"
#include "fmgr.h"

#include "compat.h"
#include "digest.h"

/* How values are hashed: what stands for a hash function. */
typedef enum HashBy
{
	HASH_BY_TEXT, HASH_BY_NAME, HASH_BY_CHAR, HASH_BY_INT16, HASH_BY_INT32, HASH_BY_INT64,
	HASH_BY_UUID, HASH_BY_LABEL, HASH_BY_FUNCTION
} HashBy;

typedef struct ValueHash
{
	HashBy		by;
	FmgrInfo	function;
} ValueHash;

/* The members of a jsonb value are hashed under this, if it is but a string. */
#define JSON_STRING_HASH	((uint32) 0x6a736f6e)

/* RANGE: blocks are of 4, 8, ... leading bits, and never of more than these. */
#define RANGE_STEP_BITS		4
#define RANGE_MAX_BITS		40

/*
 * The function by which values of a type are hashed; InvalidOid if they are
 * not, or if the hash would not be the same everywhere and for good.
 */
extern Oid	ls_hash_function(Oid type);
extern Oid	ls_hash_element_function(Oid array_type);

/* In the current memory context, in which the function keeps what it caches. */
extern void ls_hash_init(ValueHash *hash, Oid function);
extern uint32 ls_hash_label(Oid value);

static inline uint64
ls_word_at(const char *s)
{
	uint64		word;

	memcpy(&word, s, sizeof(word));
	return word;
}

/*
 * The bits of a text, or of the beginning of one.  Every row is looked up by
 * several of them and they are short, so this is made to be inlined: a multiply
 * for each eight bytes, the last of which may overlap those before.
 */
static inline uint32
ls_hash_text(const char *s, int length)
{
	uint64		state = UINT64CONST(0x9e3779b97f4a7c15) * ((uint64) length + 1);
	uint64		last = 0;

	for (int i = 8; i < length; i += 8)
	{
		state = (state ^ ls_word_at(s + i - 8)) * UINT64CONST(0xff51afd7ed558ccd);
		state = state << 32 | state >> 32;
	}
	if (length >= 8)
		last = ls_word_at(s + length - 8);
	else
		for (int i = 0; i < length; i++)
			last = last << 8 | (unsigned char) s[i];
	return (uint32) (ls_mix64(state ^ last) >> 32);
}

/*
 * Hash a value: what is equal under a deterministic collation, of this type or
 * of another in the hash function's family, has the same hash.  Not that of
 * the function where another is cheaper.  May leave a detoasted copy in the
 * current context.
 */
static inline uint32
ls_hash_value(ValueHash *hash, Datum value)
{
	switch (hash->by)
	{
		case HASH_BY_TEXT:
			{
				struct varlena *v = (struct varlena *) DatumGetPointer(value);

				if (VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v))
					v = pg_detoast_datum_packed(v);
				return ls_hash_text(VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
			}
		case HASH_BY_NAME:
			return ls_hash_text(NameStr(*DatumGetName(value)),
								strlen(NameStr(*DatumGetName(value))));
		case HASH_BY_CHAR:
			return hash_bytes_uint32((int32) DatumGetChar(value));
		case HASH_BY_INT16:
			return hash_bytes_uint32((int32) DatumGetInt16(value));
		case HASH_BY_INT32:
			return hash_bytes_uint32(DatumGetInt32(value));
		case HASH_BY_INT64:
			{
				/* as hashint8: equal to the hash of a shorter integer */
				int64		number = DatumGetInt64(value);
				uint32		low = (uint32) number;
				uint32		high = (uint32) (number >> 32);

				return hash_bytes_uint32(low ^ (number >= 0 ? high : ~high));
			}
		case HASH_BY_UUID:
			return hash_bytes((const unsigned char *) DatumGetPointer(value), 16);
		case HASH_BY_LABEL:
			return ls_hash_label(DatumGetObjectId(value));
		case HASH_BY_FUNCTION:
			break;
	}
	return DatumGetUInt32(FunctionCall1Coll(&hash->function, C_COLLATION_OID, value));
}

/* Mix the hash of another value into a digest. */
static inline uint64
ls_digest_add(uint64 digest, uint32 hash)
{
	return ls_mix64(digest ^ ((uint64) hash + 1) * UINT64CONST(0x9e3779b97f4a7c15));
}

/* The hash of a block: the leading bits of the positions in it. */
static inline uint32
ls_block_hash(uint64 position, int bits)
{
	return (uint32) (ls_digest_add(position >> (64 - bits), 0) >> 32);
}

/*
 * Where a value of a type is on the line.  Monotone: what is not less is not
 * before; but different values may be in one place.  next: of an integer or a
 * time, where the following one would be.  exact: nothing less is there.
 */
extern bool ls_position_is_known(Oid type);
extern uint64 ls_position(Oid type, Datum value);
extern uint64 ls_position_exact(Oid type, Datum value, bool next, bool *exact);

#endif							/* LS_ACCESS_VALUE_H */
