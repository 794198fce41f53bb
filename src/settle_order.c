/*-------------------------------------------------------------------------
 *
 * settle_order.c
 *	  The order of candidates: by contact, then by stream, each once.
 *
 * Everybody locks contacts in the order of their keys, so that single
 * statements do not deadlock with each other.  A statement may gather millions
 * of candidates; while it does, those that are repeated are dropped now and
 * then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "chunk.h"

/*
 * The candidates of one row, of which there may be many, stand together as it
 * gathered them: a run.
 */
typedef struct Run
{
	Datum		key;
	int64		start;
	int64		count;
} Run;

static inline int
cmp_int_run(const Run *l, const Run *r)
{
	if (DatumGetInt64(l->key) != DatumGetInt64(r->key))
		return DatumGetInt64(l->key) < DatumGetInt64(r->key) ? -1 : 1;
	return l->start < r->start ? -1 : 1;
}

#define ST_SORT			sort_int_runs
#define ST_ELEMENT_TYPE	Run
#define ST_COMPARE(a, b) cmp_int_run(a, b)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

static int
cmp_run(const void *a, const void *b, void *arg)
{
	const Run  *l = a;
	const Run  *r = b;
	int			cmp = ls_contact_cmp(arg, l->key, r->key);

	if (cmp != 0)
		return cmp;
	return l->start < r->start ? -1 : 1;
}

/*
 * The order of one contact's candidates.  Of equal ones the one that came first
 * stands first: its row is the evidence.  Rows of a statement come in the order
 * of their tids or nearly so, and any of them will do.
 */
static inline int
cmp_candidate(const Candidate *l, const Candidate *r)
{
	if (l->stream_id != r->stream_id)
		return l->stream_id < r->stream_id ? -1 : 1;
	if (l->digest != r->digest)
		return l->digest < r->digest ? -1 : 1;
	if (l->origin != r->origin)
		return l->origin < r->origin ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &l->tid, (ItemPointer) &r->tid);
}

#define ST_SORT			sort_candidates
#define ST_ELEMENT_TYPE	Candidate
#define ST_COMPARE(a, b) cmp_candidate(a, b)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Sort one contact's candidates and drop repetitions; returns how many are left. */
static int64
sort_contact(Candidate *first, int64 n)
{
	int64		last = 0;

	sort_candidates(first, n);
	for (int64 i = 1; i < n; i++)
	{
		if (first[i].stream_id != first[last].stream_id ||
			first[i].digest != first[last].digest)
			first[++last] = first[i];
		else if (first[last].stream_id == 0)
			first[last].is_several = true;
	}
	return last + 1;
}

void
ls_settle_compact(Settlement *settlement)
{
	ContactOrder order;
	Candidate  *c = settlement->candidates;
	Candidate  *sorted;
	Run		   *runs;
	int64		nruns = 0;
	int64		kept = 0;
	int64		end;

	if (settlement->ncandidates < 2)
		return;
	ls_contact_order_init(&order, settlement->set->contacts);
	for (int64 i = 0; i < settlement->ncandidates; i++)
		if (i == 0 || c[i].key != c[i - 1].key)
			nruns++;
	runs = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Run) * (Size) nruns);
	sorted = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(Candidate) * (Size) settlement->ncandidates);
	nruns = 0;
	for (int64 i = 0; i < settlement->ncandidates; i++)
	{
		if (i == 0 || c[i].key != c[i - 1].key)
		{
			runs[nruns].key = c[i].key;
			runs[nruns].start = i;
			runs[nruns++].count = 0;
		}
		runs[nruns - 1].count++;
	}
	/* the Datum of an int4 has its sign, and so compares as it is */
	if (order.is_int8 || order.is_int4)
		sort_int_runs(runs, nruns);
	else
		qsort_arg(runs, nruns, sizeof(Run), cmp_run, &order);

	for (int64 start = 0; start < nruns; start = end)
	{
		Candidate  *first = &sorted[kept];
		int64		n = 0;

		for (end = start;
			 end < nruns && ls_contact_cmp(&order, runs[end].key, runs[start].key) == 0;
			 end++)
		{
			memcpy(first + n, c + runs[end].start, sizeof(Candidate) * runs[end].count);
			n += runs[end].count;
		}
		kept += sort_contact(first, n);
	}
	memcpy(c, sorted, sizeof(Candidate) * (Size) kept);
	settlement->ncandidates = kept;
	pfree(sorted);
	pfree(runs);
}

void
ls_chunk_ungroup(Chunk *chunk)
{
	Settlement *settlement = chunk->settlement;
	Candidate  *candidates;
	int64		total = 0;
	int			count = 0;
	int			end;

	if (settlement->groups == NULL)
		return;
	for (int i = 0; i < chunk->count; i++)
		total += ls_chunk_weight(settlement, &chunk->candidates[i]);
	candidates = palloc_extended(sizeof(Candidate) * (Size) total, MCXT_ALLOC_HUGE);
	for (int start = 0; start < chunk->count; start = end)
	{
		Candidate  *first = &candidates[count];
		bool		is_sorted = true;
		int			n = 0;

		end = ls_chunk_contact_end(chunk, start);
		CHECK_FOR_INTERRUPTS();
		for (int i = start; i < end; i++)
		{
			Candidate  *candidate = &chunk->candidates[i];
			StreamGroup *group;

			if (candidate->stream_id >= 0)
			{
				/* whoever comes after one of a group may be in it too */
				is_sorted &= i == start || chunk->candidates[start].stream_id >= 0;
				first[n++] = *candidate;
				continue;
			}
			group = ls_groups_get(settlement->groups, CANDIDATE_GROUP(candidate->stream_id));
			for (int k = 0; k < group->n; k++)
			{
				is_sorted &= n == 0 || first[n - 1].stream_id < group->streams[k];
				first[n] = *candidate;
				first[n++].stream_id = group->streams[k];
			}
		}
		count += is_sorted ? n : sort_contact(first, n);
	}
	chunk->candidates = candidates;
	chunk->count = count;
}
