/*-------------------------------------------------------------------------
 *
 * rule_index.h
 *	  The streams that an event may concern, found without asking each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_RULE_INDEX_H
#define LS_RULE_INDEX_H

#include "utils/snapshot.h"

#include "stream_keys.h"

typedef struct RuleIndex RuleIndex;

/*
 * What stands at no digest of a row, in a few instructions: a bit pattern for
 * every digest at which something does.
 */
typedef struct IndexFilter
{
	uint64	   *words;			/* NULL: there is none, everything may stand there */
	uint64		mask;			/* words, less one */
} IndexFilter;

static inline uint64
ls_filter_bits(uint64 digest)
{
	return UINT64CONST(1) << ((digest >> 1) & 63) |
		UINT64CONST(1) << ((digest >> 7) & 63) |
		UINT64CONST(1) << ((digest >> 13) & 63);
}

static inline uint64 *
ls_filter_word(const IndexFilter *filter, uint64 digest)
{
	return &filter->words[(digest >> 32) & filter->mask];
}

/* Is nothing at the digest of a row?  Nearly always so, where there is a filter. */
static inline bool
ls_filter_lacks(const IndexFilter *filter, uint64 digest)
{
	uint64		bits = ls_filter_bits(digest);

	Assert(digest & 1);
	return filter->words != NULL && (*ls_filter_word(filter, digest) & bits) != bits;
}

/* The filter of an index, which comes and goes with what is remembered. */
extern const IndexFilter *ls_index_filter(const RuleIndex *index);

/* What was found, grown as needed; made zero by whoever begins. */
typedef struct IndexHits
{
	int			n;
	int			room;
	int32	   *streams;		/* each at least once */
} IndexHits;

/*
 * Make an index, in the current memory context, where it stays.  It asks the
 * callback for the snapshot under which the key tables are read whenever it
 * has to.
 */
extern RuleIndex *ls_index_make(Snapshot (*snapshot) (void *arg), void *arg);

/* Enter a stream in this session alone. */
extern void ls_index_enter(RuleIndex *index, const StreamKeys *keys, int32 stream_id);

/*
 * Add what stands at a digest to what was found; true if there are more
 * below it.  Where these are few they are found as well, and it is false.
 */
extern bool ls_index_find(RuleIndex *index, uint64 digest, IndexHits *hits);

/* Forget what was read of the key tables. */
extern void ls_index_forget(RuleIndex *index);

/* What is remembered of the key tables, and what was entered. */
extern int64 ls_index_postings(const RuleIndex *index, Size *bytes);
extern bool ls_index_has_filter(const RuleIndex *index);

/* Keep what is remembered within bounds; never in the middle of a lookup. */
extern void ls_index_trim(RuleIndex *index);

#endif							/* LS_RULE_INDEX_H */
