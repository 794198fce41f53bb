/*-------------------------------------------------------------------------
 *
 * stream_paths.h
 *	  By which columns rows of a source are looked up, and streams without keys.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_PATHS_H
#define LS_STREAM_PATHS_H

#include "access_path.h"
#include "stream_cache.h"

/*
 * The paths by which rows of a source are looked up, with all streams that
 * have no keys and may concern it entered.
 */
extern AccessPaths *ls_streams_paths(StreamSet *set, int32 source_id);

/*
 * The same of a table that the statement has not locked: it is locked now, and
 * the paths are made anew if it has changed since.  NULL: it is gone, or not
 * what was attached any more.
 */
extern AccessPaths *ls_streams_lock_paths(StreamSet *set, int32 source_id);

#endif							/* LS_STREAM_PATHS_H */
