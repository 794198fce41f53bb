/*-------------------------------------------------------------------------
 *
 * digest.h
 *	  Sixty-four bits for what streams are entered under.
 *
 * Digests are kept in a table, so nothing goes into them that another session
 * would see otherwise, such as an OID or a pointer.  Two things may have the
 * same one: what is found by them is checked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_DIGEST_H
#define LS_DIGEST_H

#include "common/hashfn.h"

/* The source_id that stands for the contacts table. */
#define CONTACTS_SOURCE		0

/* The digests under which streams are entered begin with one of these. */
typedef enum DigestSpace
{
	DIGEST_ROW = 1,				/* rows of a source, by source_id */
	DIGEST_INSERT,				/* new contacts */
	DIGEST_UPDATE,				/* changed contacts, by name of the column */
	DIGEST_PATH,				/* the streams that a path leads to, by path_id */
	DIGEST_UNKEYED				/* streams without keys */
} DigestSpace;

/* The finalizer of MurmurHash3: every bit depends on every other. */
static inline uint64
ls_mix64(uint64 h)
{
	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return h;
}

static inline uint64
ls_digest(DigestSpace space, uint64 what)
{
	return (ls_mix64(hash_combine64(ls_mix64(UINT64CONST(0x6c656164) + space), what)) &
			~UINT64CONST(1)) | (space == DIGEST_ROW ? 1 : 0);
}

/*
 * What is below a digest: an account, or a key that another row is looked up by.
 * Digests that every new row is looked up at are odd, all others even: a filter
 * of the odd ones is small.
 */
static inline uint64
ls_digest_below(uint64 digest, uint64 what)
{
	return ls_mix64(hash_combine64(digest, what)) & ~UINT64CONST(1);
}

static inline uint64
ls_digest_below_row(uint64 digest, uint64 what)
{
	return ls_mix64(hash_combine64(digest, what)) | 1;
}

static inline uint64
ls_digest_account(const char *account)
{
	return hash_bytes_extended((const unsigned char *) account, strlen(account), 1);
}

/* By name, as rules are bound: another column may take the place of one. */
static inline uint64
ls_digest_update(const char *column)
{
	return ls_digest(DIGEST_UPDATE,
					 hash_bytes_extended((const unsigned char *) column, strlen(column), 2));
}

#endif							/* LS_DIGEST_H */
