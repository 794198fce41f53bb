/*-------------------------------------------------------------------------
 *
 * chunk.h
 *	  Candidates that are settled together.
 *
 * Belongs to settle.c and those beside it, which each know one thing about
 * candidates: settle_order.c their order, settle_found.c which streams stand
 * behind them, on_record.c which of them would add nothing, settle_due.c what
 * time has done to them and is going to do, settle_score.c that some are score
 * rules.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CHUNK_H
#define LS_CHUNK_H

#include "contact_lock.h"
#include "due.h"
#include "key_scan.h"
#include "settle.h"

typedef enum Verdict
{
	VERDICT_OPEN,
	VERDICT_NO,
	VERDICT_MATCH,
	VERDICT_CLOCK,				/* a match that time alone made */
	VERDICT_LEFT				/* of a tick: for the next one */
} Verdict;

/* What waits of a candidate, and what is going to. */
typedef struct DueNote
{
	bool		has_entry;		/* of the stream's present run */
	bool		is_stale;		/* there is one of an earlier run */
	DueEntry	entry;
	bool		is_judged;		/* next is known */
	bool		has_next;
	TimestampTz next;			/* when to look again */
	bool		is_true;		/* and whether the rule is true until then */
	TimestampTz matched_at;		/* of VERDICT_CLOCK */
} DueNote;

/* Candidates of whole contacts, in key order. */
typedef struct Chunk
{
	Settlement *settlement;
	ContactOrder *order;
	Candidate  *candidates;
	int			count;
	int			room;
	CachedStream **streams;		/* NULL: to be looked up, or gone */
	RowPlace   *places;			/* where a contact was locked; beside its first
								 * candidate */
	Verdict    *verdicts;
	TimestampTz *since;			/* before this a new match adds nothing;
								 * NULL: DT_NOBEGIN for all */
	DueNote    *dues;			/* NULL: nothing waits, nor is going to */
	struct ScoreJob *scores;	/* NULL: no candidate is a score rule */
	TimestampTz clock;
} Chunk;

/* The end of the run of one contact's candidates that starts here. */
static inline int
ls_chunk_contact_end(Chunk *chunk, int start)
{
	int			end = start + 1;

	while (end < chunk->count &&
		   ls_contact_cmp(chunk->order, chunk->candidates[start].key,
						  chunk->candidates[end].key) == 0)
		end++;
	return end;
}

/* How many candidates one stands for. */
static inline int64
ls_chunk_weight(Settlement *settlement, const Candidate *candidate)
{
	return candidate->stream_id >= 0 ? 1 :
		ls_groups_get(settlement->groups, CANDIDATE_GROUP(candidate->stream_id))->n;
}

/* settle_order.c: put the streams of groups in the place of groups. */
extern void ls_chunk_ungroup(Chunk *chunk);

/*
 * settle_found.c: now that the contacts are locked, put streams in place of the
 * digests below which they are found.
 */
extern void ls_chunk_expand(Chunk *chunk, Snapshot snapshot);

/*
 * on_record.c: drop the candidates that would add nothing: of those that rows
 * named, or of those that were found since.  False: there are no lead tables,
 * so nothing can be added at all.
 */
extern bool ls_chunk_drop_recorded(Chunk *chunk, bool is_found);

/* From when on does a new match of the i-th candidate add something? */
static inline TimestampTz
ls_chunk_since(const Chunk *chunk, int i)
{
	return chunk->since ? chunk->since[i] : DT_NOBEGIN;
}

extern void ls_chunk_set_since(Chunk *chunk, int i, TimestampTz since);

/*
 * settle_score.c: judge the score rules among the open candidates, whose contacts
 * and tables are locked, and close them; and write what came out.
 */
extern void ls_chunk_judge_scores(Chunk *chunk, Snapshot snapshot);
extern void ls_chunk_write_scores(Chunk *chunk);

/* settle_due.c: may time alone make the i-th candidate match, as things are? */
extern bool ls_chunk_is_timed(Chunk *chunk, int i, const RuleProgram *program);

/* Find out what waits of the candidates. */
extern void ls_chunk_read_dues(Chunk *chunk, Snapshot snapshot);

/*
 * Is there time of the i-th candidate that nobody has settled, up to an
 * instant?  Did it make a match of the contact that the judge stepped to?
 */
extern bool ls_chunk_is_overdue(Chunk *chunk, int i, const RuleProgram *program,
								TimestampTz upto);
extern bool ls_chunk_judge_overdue(Chunk *chunk, int i, Judge *judge,
								   RuleProgram *program, TimestampTz upto);

/*
 * When has the contact to be looked at again, which did not match, or may do
 * so once more?
 */
extern void ls_chunk_note_next(Chunk *chunk, int i, Judge *judge, RuleProgram *program);

/* Write what is due from now on. */
extern void ls_chunk_write_dues(Chunk *chunk);

#endif							/* LS_CHUNK_H */
