/*-------------------------------------------------------------------------
 *
 * stream_keys.h
 *	  Where a stream is entered, so that what concerns it finds it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_KEYS_H
#define LS_STREAM_KEYS_H

#include "digest.h"
#include "rule_access.h"
#include "rule_program.h"

/*
 * One entry.  A stream stands either where it is to be found, or deeper, and
 * then is_deeper says at each digest on the way that there is more below it.
 */
typedef struct StreamKey
{
	uint64		digest;
	bool		is_deeper;
} StreamKey;

/* A path that keys go by. */
typedef struct StreamPath
{
	int32		source_id;		/* CONTACTS_SOURCE: the contact's row */
	AccessPath *path;
} StreamPath;

typedef struct StreamKeys
{
	int			nkeys;
	StreamKey  *keys;
	int			npaths;
	StreamPath *paths;
} StreamKeys;

/* The paths that rows are looked up by already. */
typedef struct PathBook
{
	bool		(*knows) (struct PathBook *book, int32 source_id, uint64 path_id);
	int			(*count) (struct PathBook *book, int32 source_id);
} PathBook;

/* A copy of a path, in the current memory context. */
extern AccessPath *ls_access_path_copy(const AccessPath *path);

/*
 * All the entries of a stream, allocated in the current memory context, with
 * nothing pointing into the program.  The tables it speaks of are opened for
 * the while.  With both_ways it is found also by what makes it false.
 */
extern StreamKeys *ls_stream_keys(RuleProgram *program, const char *account,
								  bool both_ways, PathBook *book);

#endif							/* LS_STREAM_KEYS_H */
