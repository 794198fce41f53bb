/*-------------------------------------------------------------------------
 *
 * settle_score.c
 *	  Candidates that are score rules.
 *
 * Score rules stand among the streams where rows are looked up, so a statement
 * gathers contacts with the score rules that its rows concern as it gathers them
 * with streams.  When the contacts are locked they are taken out, and the scores
 * that are kept are brought up to date (score_keep.c), before streams are judged.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "chunk.h"
#include "score_keep.h"

/* The order of one contact's: by set, then by rule. */
static int
cmp_rule(const void *a, const void *b)
{
	const ScoreItem *l = a;
	const ScoreItem *r = b;

	if (l->score_set_id != r->score_set_id)
		return l->score_set_id < r->score_set_id ? -1 : 1;
	return l->rule->stream_id < r->rule->stream_id ? -1 :
		l->rule->stream_id > r->rule->stream_id;
}

/* Has nothing happened but that rows of activities came? */
static bool
is_only_inserted(const Settlement *settlement)
{
	for (int i = 0; i < settlement->norigins; i++)
		if (settlement->origins[i].kind == NULL || settlement->origins[i].event != NULL)
			return false;
	return true;
}

/* Take the score rules out of the open candidates. */
static void
take_items(Chunk *chunk, ScoreJob *job)
{
	int			end;

	for (int start = 0; start < chunk->count; start = end)
	{
		int			first = job->n;

		end = ls_chunk_contact_end(chunk, start);
		for (int i = start; i < end; i++)
		{
			ScoreItem  *item;

			if (chunk->verdicts[i] != VERDICT_OPEN || !chunk->streams[i]->row->is_score)
				continue;
			chunk->verdicts[i] = VERDICT_NO;
			item = &job->items[job->n++];
			item->key = chunk->candidates[start].key;
			item->place = chunk->places[start];
			item->score_set_id = chunk->streams[i]->row->score_set_id;
			item->rule = chunk->streams[i];
		}
		qsort(job->items + first, job->n - first, sizeof(ScoreItem), cmp_rule);
	}
}

void
ls_chunk_judge_scores(Chunk *chunk, Snapshot snapshot)
{
	ScoreJob   *job;
	int			n = 0;

	for (int i = 0; i < chunk->count; i++)
		n += chunk->verdicts[i] == VERDICT_OPEN && chunk->streams[i]->row->is_score;
	if (n == 0)
		return;
	job = chunk->scores = palloc0(sizeof(ScoreJob));
	job->set = chunk->settlement->set;
	job->order = chunk->order;
	job->items = palloc_extended(sizeof(ScoreItem) * (Size) n, MCXT_ALLOC_HUGE);
	job->changes = palloc_extended(sizeof(ScoreChange) * (Size) n, MCXT_ALLOC_HUGE);
	job->only_inserted = is_only_inserted(chunk->settlement);
	job->snapshot = snapshot;
	job->clock = chunk->clock;
	take_items(chunk, job);
	ls_scores_judge(job);
}

void
ls_chunk_write_scores(Chunk *chunk)
{
	if (chunk->scores)
		ls_scores_write(chunk->settlement->set->contacts, chunk->scores->changes,
						chunk->scores->nchanges, chunk->clock);
}
