/*-------------------------------------------------------------------------
 *
 * stream_mark.h
 *	  Streams that a tick has something to do for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_MARK_H
#define LS_STREAM_MARK_H

#include "nodes/pg_list.h"

/*
 * The ids of streams that are enabled and not seeded, or that earlier runs have
 * left something behind of; none that our own transaction has changed.
 */
extern List *ls_streams_unseeded(void);
extern List *ls_streams_littered(void);

/*
 * Mark streams, given with the runs that were meant, as seeded or as swept.
 * What has begun another run, or somebody is changing, is left alone.  Needs
 * SPI; ls_streams_mark_seeded returns the ids of those it marked.
 */
extern List *ls_streams_mark_seeded(Datum ids, Datum runs);
extern void ls_streams_mark_swept(Datum ids, Datum runs);

#endif							/* LS_STREAM_MARK_H */
