/*-------------------------------------------------------------------------
 *
 * key_store.h
 *	  The tables access_path and access_key: where streams are entered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_KEY_STORE_H
#define LS_KEY_STORE_H

#include "utils/snapshot.h"

#include "stream_keys.h"

/* A path that is kept. */
typedef struct StoredPath
{
	int32		source_id;
	uint64		path_id;
	AccessDescription description;
} StoredPath;

/*
 * Put these entries of a stream in place of those that it has; NULL: none.
 * With is_unkeyed it is entered as one that has no keys, for every session to
 * find by itself where it belongs.
 */
extern void ls_keys_replace(int32 stream_id, const StreamKeys *keys,
							bool is_unkeyed, ContactSource *contacts,
							ActivitySource **kinds, int nkinds);

/*
 * Remove all entries and paths, and keep everybody from entering streams until
 * the end of the transaction.
 */
extern void ls_keys_clear(void);

/* What is stored, the running command's own writes included. */
extern PathBook *ls_keys_book(void);

/*
 * The paths of a source that lead to some stream, each once, a list of StoredPath, allocated in the
 * current memory context.  A NULL snapshot is that of this moment.
 */
extern List *ls_keys_paths(int32 source_id, Snapshot snapshot);

/*
 * The streams at a digest, ascending, in the current memory context; returns
 * their number.  Of those deeper no more than few are given, with *has_deeper
 * false; if there are more, *has_deeper is true and none is given.
 */
extern int	ls_keys_read(uint64 digest, Snapshot snapshot, int few,
						 int32 **stream_ids, bool *has_deeper);

/* About how many entries there are, from the size of the table; cheap. */
extern double ls_keys_estimate(void);

/* Call back with the digest of every entry. */
extern void ls_keys_scan(Snapshot snapshot, void (*callback) (uint64 digest, void *arg),
						 void *arg);

#endif							/* LS_KEY_STORE_H */
