/*-------------------------------------------------------------------------
 *
 * rule_index.c
 *	  The streams that an event may concern, found without asking each.
 *
 * Rules are entered under access predicates, in the way of Fabret, Jacobsen,
 * Llirbat, Pereira, Ross and Shasha (SIGMOD 2001): what a row has to fulfil to
 * concern a stream is hashed, and so is the row (rule_access.c); whoever
 * stands at one of its digests may be concerned, nobody else can be.  The
 * digests are in the table access_key (key_store.c).  This is what a session
 * remembers of it:
 *
 *	  postings	the streams at each digest that was ever asked for, of most
 *				that there are none
 *	  filter	a bit pattern for every digest in the table that new rows are
 *				looked up at: made when so many lookups went to the table that
 *				reading all of it once costs no more.  From then on a row
 *				whose values no rule mentions costs a few instructions for each
 *				way of looking it up, and a session that loads a million rows
 *				has read nothing of a hundred thousand streams but this.  A
 *				blocked Bloom filter (Putze, Sanders, Singler 2007): all bits
 *				of a digest are in one word.
 *
 * and of the streams that have no keys in the table (they could not be bound
 * when they were written, or what they are entered under has changed since):
 *
 *	  entered	their entries, made by this session for itself
 *
 * All of it is a cache of one state of the streams and is thrown away when any
 * stream changes: it comes back by need, where a rebuild would cost every
 * session the time of all streams.
 *
 * Lookups find too much rather than too little: digests collide, bits of the
 * filter too.  The caller checks what is found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "key_store.h"
#include "rule_index.h"

/* So few deeper streams are taken as they are. */
#define FEW_DEEPER		8

/* Postings remembered; forty bytes each. */
#define MAX_POSTINGS	(64 * 1024)

/*
 * Reading all entries costs, for each, this part of a lookup in the table.
 * And below so many lookups it is not thought about.
 */
#define SCAN_COST		0.02
#define MIN_MISSES		64

/* Bits of the filter for each entry. */
#define FILTER_BITS		10

typedef struct Posting
{
	uint64		digest;
	int32		nstreams;
	bool		has_deeper;
	char		status;
	int32	   *streams;
} Posting;

#define SH_PREFIX		postings
#define SH_ELEMENT_TYPE	Posting
#define SH_KEY_TYPE		uint64
#define SH_KEY			digest
/* digests are well mixed */
#define SH_HASH_KEY(tb, key)	((uint32) (key))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What this session entered at a digest. */
typedef struct Entered
{
	uint64		digest;
	int32		nstreams;
	int32		room;
	int32		ndeeper;
	char		status;
	int32	   *streams;		/* negative: deeper */
} Entered;

#define SH_PREFIX		entered
#define SH_ELEMENT_TYPE	Entered
#define SH_KEY_TYPE		uint64
#define SH_KEY			digest
#define SH_HASH_KEY(tb, key)	((uint32) (key))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct RuleIndex
{
	MemoryContext context;
	MemoryContext cache_context;	/* of postings and filter */
	Snapshot	(*snapshot) (void *arg);
	void	   *snapshot_arg;
	postings_hash *postings;	/* NULL: none yet */
	entered_hash *entered;		/* NULL: none */
	IndexFilter filter;			/* of the table */
	IndexFilter asked;			/* the same, unless something was entered */
	int64		misses;			/* lookups in the table, without a filter */
	int64		next_thought;	/* misses at which to think of a filter */
};

RuleIndex *
ls_index_make(Snapshot (*snapshot) (void *arg), void *arg)
{
	RuleIndex  *index = palloc0(sizeof(RuleIndex));

	index->context = CurrentMemoryContext;
	index->cache_context = AllocSetContextCreate(CurrentMemoryContext,
												 "leadstream postings",
												 ALLOCSET_DEFAULT_SIZES);
	index->snapshot = snapshot;
	index->snapshot_arg = arg;
	index->next_thought = MIN_MISSES;
	return index;
}

void
ls_index_forget(RuleIndex *index)
{
	index->postings = NULL;
	index->filter.words = index->asked.words = NULL;
	index->misses = 0;
	index->next_thought = MIN_MISSES;
	MemoryContextReset(index->cache_context);
}

void
ls_index_trim(RuleIndex *index)
{
	if (index->postings && index->postings->members > MAX_POSTINGS)
		ls_index_forget(index);
}

/* ----------
 * The filter.
 * ----------
 */
static void
filter_add(uint64 digest, void *arg)
{
	/* of rows alone; the others are not looked up so often */
	if (digest & 1)
		*ls_filter_word(arg, digest) |= ls_filter_bits(digest);
}

/* Make the filter if the lookups so far have cost as much. */
static void
think_of_filter(RuleIndex *index)
{
	double		estimate = ls_keys_estimate();
	uint64		words = 64;
	Snapshot	snapshot;
	uint64	   *filter;

	index->next_thought = index->misses * 2;
	if ((double) index->misses < estimate * SCAN_COST)
	{
		index->next_thought = Min(index->next_thought,
								  (int64) (estimate * SCAN_COST) + 1);
		return;
	}
	while (words * 64 < estimate * FILTER_BITS && words < PG_INT32_MAX / 64)
		words *= 2;
	filter = MemoryContextAllocExtended(index->cache_context, words * sizeof(uint64),
										MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	/* this may forget, and so throw away, what was remembered */
	snapshot = index->snapshot(index->snapshot_arg);
	if (index->misses == 0)
		return;
	index->filter.words = filter;
	index->filter.mask = words - 1;
	PG_TRY();
	{
		ls_keys_scan(snapshot, filter_add, &index->filter);
	}
	PG_CATCH();
	{
		/* half a filter would deny what is there */
		index->filter.words = NULL;
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (index->entered == NULL)
		index->asked = index->filter;
}

const IndexFilter *
ls_index_filter(const RuleIndex *index)
{
	return &index->asked;
}

/* ----------
 * Lookups.
 * ----------
 */
static pg_noinline void
add_hits(IndexHits *hits, const int32 *streams, int n)
{
	if (hits->n + n > hits->room)
	{
		int			room = Max(Max(hits->room * 2, hits->n + n), 64);

		hits->streams = hits->streams == NULL ?
			MemoryContextAllocHuge(TopMemoryContext, sizeof(int32) * (Size) room) :
			repalloc_huge(hits->streams, sizeof(int32) * (Size) room);
		hits->room = room;
	}
	memcpy(hits->streams + hits->n, streams, sizeof(int32) * n);
	hits->n += n;
}

/* Read a posting from the table and remember it. */
static pg_noinline Posting *
read_posting(RuleIndex *index, uint64 digest)
{
	MemoryContext oldcontext;
	Snapshot	snapshot;
	int32	   *streams;
	int			n;
	bool		has_deeper;
	bool		found;
	Posting    *posting;

	if (index->filter.words == NULL && ++index->misses >= index->next_thought)
		think_of_filter(index);

	/* the first call of a statement may find that all must be forgotten */
	snapshot = index->snapshot(index->snapshot_arg);
	oldcontext = MemoryContextSwitchTo(index->cache_context);
	n = ls_keys_read(digest, snapshot, FEW_DEEPER, &streams, &has_deeper);
	if (index->postings == NULL)
		index->postings = postings_create(index->cache_context, 256, NULL);
	posting = postings_insert(index->postings, digest, &found);
	posting->nstreams = n;
	posting->streams = streams;
	posting->has_deeper = has_deeper;
	MemoryContextSwitchTo(oldcontext);
	return posting;
}

/* Add what this session entered. */
static pg_noinline bool
find_entered(RuleIndex *index, uint64 digest, IndexHits *hits)
{
	Entered    *entered = entered_lookup(index->entered, digest);
	bool		all;

	if (entered == NULL)
		return false;
	all = entered->ndeeper <= FEW_DEEPER;
	for (int i = 0; i < entered->nstreams; i++)
	{
		int32		stream = abs(entered->streams[i]);

		if (all || entered->streams[i] > 0)
			add_hits(hits, &stream, 1);
	}
	return !all;
}

/*
 * Nearly every digest of nearly every row leads nowhere: what is done otherwise
 * is kept out of line.
 */
bool
ls_index_find(RuleIndex *index, uint64 digest, IndexHits *hits)
{
	Posting    *posting = NULL;
	bool		has_deeper = false;

	if (index->entered)
		has_deeper = find_entered(index, digest, hits);
	if ((digest & 1) && ls_filter_lacks(&index->filter, digest))
		return has_deeper;
	if (index->postings)
		posting = postings_lookup(index->postings, digest);
	if (posting == NULL)
		posting = read_posting(index, digest);
	if (posting->nstreams > 0)
		add_hits(hits, posting->streams, posting->nstreams);
	return has_deeper || posting->has_deeper;
}

/* ----------
 * Entering.
 * ----------
 */
void
ls_index_enter(RuleIndex *index, const StreamKeys *keys, int32 stream_id)
{
	if (index->entered == NULL)
		index->entered = entered_create(index->context, 64, NULL);
	index->asked.words = NULL;
	for (int i = 0; i < keys->nkeys; i++)
	{
		bool		found;
		Entered    *entered = entered_insert(index->entered, keys->keys[i].digest, &found);

		if (!found)
		{
			entered->nstreams = entered->ndeeper = entered->room = 0;
			entered->streams = NULL;
		}
		if (entered->room == 0)
		{
			entered->streams = MemoryContextAlloc(index->context, sizeof(int32) * 4);
			entered->room = 4;
		}
		else if (entered->nstreams == entered->room)
		{
			entered->streams = repalloc_huge(entered->streams,
											 sizeof(int32) * (Size) entered->room * 2);
			entered->room *= 2;
		}
		entered->streams[entered->nstreams++] =
			keys->keys[i].is_deeper ? -stream_id : stream_id;
		if (keys->keys[i].is_deeper)
			entered->ndeeper++;
	}
}

int64
ls_index_postings(const RuleIndex *index, Size *bytes)
{
	*bytes = MemoryContextMemAllocated(index->cache_context, true);
	return index->postings ? index->postings->members : 0;
}

bool
ls_index_has_filter(const RuleIndex *index)
{
	return index->filter.words != NULL;
}
