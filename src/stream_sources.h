/*-------------------------------------------------------------------------
 *
 * stream_sources.h
 *	  What is attached, as rules are bound to it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_STREAM_SOURCES_H
#define LS_STREAM_SOURCES_H

#include "catalog.h"

/* The contacts table and the kinds at one moment. */
typedef struct StreamSources
{
	MemoryContext context;
	int			uses;			/* by sets and programs */
	ContactSource *contacts;
	List	   *activities;		/* of ActivitySource * */
} StreamSources;

/* Read what is attached, below the current memory context; NULL: nothing. */
extern StreamSources *ls_sources_read(void);

/* Are contacts known by the same column, so that what was gathered is of use? */
extern bool ls_sources_same_key(const StreamSources *a, const StreamSources *b);

/* Would rules bind to these sources as they did to those? */
extern bool ls_sources_same(const StreamSources *a, const StreamSources *b);

/* Be done with a use; the last one frees them. */
extern void ls_sources_release(StreamSources *sources);

#endif							/* LS_STREAM_SOURCES_H */
