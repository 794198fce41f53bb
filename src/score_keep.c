/*-------------------------------------------------------------------------
 *
 * score_keep.c
 *	  Judging the scores of contacts that are kept.
 *
 * Of each contact and score set there is kept which rules are true, what they
 * pay together, and an instant up to which none of them turns by time alone.
 * So when a row has come only the rules have to be judged that it concerns, and
 * not even these if they pay already and more rows cannot make them false: the
 * instant is a lower bound, and whoever finds it passed judges all rules of the
 * set.  So does who finds nothing kept, or what was kept by another version of
 * the set.
 *
 * A statement in flight may know an older version than who came before it, and
 * judges by that all the same: what it leaves is of the older version, and is
 * judged anew by whoever comes next, or by the walk over all contacts that
 * begins when such statements are over (score_walk.c).
 *
 * Rules are judged by their timelines from the clock on, which tell when they
 * turn; where time has no say, at the clock alone.  A rule that does not bind
 * pays nothing.  Rules over types from outside pg_catalog may raise errors, and
 * are judged in a subtransaction; one that does so is broken from then on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "guc.h"
#include "program_rows.h"
#include "read_lock.h"
#include "rule_timeline.h"
#include "score_keep.h"
#include "table_watch.h"

/* Judging, all of it again after an error. */
typedef struct ScoreTurn
{
	ScoreJob   *job;
	ScoreReader *reader;
	Judge	   *judge;
	CachedStream *volatile current; /* rule being judged */
} ScoreTurn;

/* A contact of it. */
typedef struct ScoreContact
{
	Datum		key;
	bool		is_stepped_to;
	bool		is_there;
	int			nkept;
	KeptScore  *kept;
} ScoreContact;


/* -------------------------------------------------------------------------
 * One rule
 * -------------------------------------------------------------------------
 */

static int
cmp_id(const void *a, const void *b)
{
	int32		l = *(const int32 *) a;
	int32		r = *(const int32 *) b;

	return l < r ? -1 : l > r;
}

static bool
pays(const KeptScore *score, int32 rule_id)
{
	return score->npaying > 0 &&
		bsearch(&rule_id, score->paying, score->npaying, sizeof(int32), cmp_id) != NULL;
}

/* From an instant on, is the rule true then, and when does it turn? */
static bool
read_turn(const SpanSet *when, TimestampTz clock, TimestampTz *turn)
{
	for (int i = 0; i < when->n; i++)
	{
		if (when->spans[i].upto <= clock)
			continue;
		if (when->spans[i].from <= clock)
		{
			*turn = when->spans[i].upto;
			return true;
		}
		*turn = when->spans[i].from;
		return false;
	}
	*turn = DT_NOEND;
	return false;
}

/* Is a rule true of the contact stepped to?  The next instant it turns at goes into *next. */
static bool
judge_rule(ScoreTurn *turn, CachedStream *rule, TimestampTz *next)
{
	RuleProgram *program = ls_streams_program(turn->job->set, rule);
	TimestampTz at;
	bool		result;

	if (program == NULL)
		return false;
	turn->current = rule;
	if (!program->has_times && !program->turns_by_time)
		return ls_judge_program(turn->judge, program, NULL);
	result = read_turn(&ls_judge_timeline(turn->judge, program, turn->job->clock, false)->root.when,
					   turn->job->clock, &at);
	*next = Min(*next, at);
	return result;
}

/* Need a rule that a row concerns not be judged, of a score that is up to date? */
static bool
is_settled(const ScoreJob *job, const KeptScore *kept, CachedStream *rule)
{
	RuleProgram *program;

	if (!job->only_inserted || !pays(kept, ls_score_rule_of(rule->stream_id)))
		return false;
	program = ls_streams_program(job->set, rule);
	return program && ls_program_rises(program);
}


/* -------------------------------------------------------------------------
 * One contact
 * -------------------------------------------------------------------------
 */

/* Step to the contact; is it there, and of an account? */
static bool
step_to(ScoreTurn *turn, ScoreContact *contact, const RowPlace *place, const char *account)
{
	ScoreJob   *job = turn->job;

	if (!contact->is_stepped_to)
	{
		if (turn->judge == NULL)
			turn->judge = ls_judge_begin(job->set->contacts, job->snapshot, job->clock,
										 InvalidCommandId, InvalidOid);
		contact->is_there = ls_judge_contact_at(turn->judge, contact->key, place);
		contact->is_stepped_to = true;
		/* it goes by the key in its own row, which need not look like the one it came with */
		if (contact->is_there && !job->order->byval)
			contact->key = job->order->len == -1 ?
				PointerGetDatum(PG_DETOAST_DATUM_COPY(ls_judge_key(turn->judge))) :
				datumCopy(ls_judge_key(turn->judge), false, job->order->len);
	}
	return contact->is_there && strcmp(ls_judge_account(turn->judge), account) == 0;
}

static KeptScore *
find_kept(const ScoreContact *contact, int32 score_set_id)
{
	for (int i = 0; i < contact->nkept; i++)
		if (contact->kept[i].score_set_id == score_set_id)
			return &contact->kept[i];
	return NULL;
}

static ScoreChange *
add_change(ScoreJob *job, const ScoreContact *contact, int32 score_set_id)
{
	ScoreChange *change = &job->changes[job->nchanges++];
	const KeptScore *kept = find_kept(contact, score_set_id);

	memset(change, 0, sizeof(ScoreChange));
	change->key = contact->key;
	change->is_kept = kept != NULL;
	if (kept)
		change->tid = kept->tid;
	change->score.score_set_id = score_set_id;
	return change;
}

/* All rules of a set. */
static void
judge_whole(ScoreTurn *turn, const CachedScoreSet *set, KeptScore *score)
{
	score->version = set->row->version;
	score->next_at = DT_NOEND;
	score->points = 0;
	score->npaying = 0;
	score->paying = palloc(sizeof(int32) * Max(set->nrules, 1));
	for (int i = 0; i < set->nrules; i++)
	{
		CachedStream *rule = set->rules[i];

		if (!judge_rule(turn, rule, &score->next_at))
			continue;
		score->paying[score->npaying++] = ls_score_rule_of(rule->stream_id);
		score->points += rule->row->points;
	}
}

/* Let a rule pay, or no longer. */
static void
set_paying(KeptScore *score, CachedStream *rule, bool is_true)
{
	int32		id = ls_score_rule_of(rule->stream_id);
	int32	   *old = score->paying;
	int			n = 0;

	if (pays(score, id) == is_true)
		return;
	score->paying = palloc(sizeof(int32) * (score->npaying + 1));
	for (int i = 0; i < score->npaying; i++)
		if (old[i] != id)
			score->paying[n++] = old[i];
	if (is_true)
		score->paying[n++] = id;
	qsort(score->paying, n, sizeof(int32), cmp_id);
	score->npaying = n;
	score->points += is_true ? rule->row->points : -rule->row->points;
}

/* What rows may have turned, from start to end, of a score that is up to date. */
static bool
judge_concerned(ScoreTurn *turn, ScoreContact *contact, const CachedScoreSet *set,
				int start, int end, KeptScore *score)
{
	ScoreJob   *job = turn->job;

	for (int i = start; i < end; i++)
	{
		CachedStream *rule = job->items[i].rule;

		if (rule == NULL || is_settled(job, score, rule))
			continue;
		if (!step_to(turn, contact, &job->items[start].place, set->row->account))
			return false;
		set_paying(score, rule, judge_rule(turn, rule, &score->next_at));
	}
	return true;
}

static bool
is_same(const KeptScore *a, const KeptScore *b)
{
	return a->version == b->version && a->points == b->points && a->next_at == b->next_at &&
		a->npaying == b->npaying &&
		(a->npaying == 0 || memcmp(a->paying, b->paying, sizeof(int32) * a->npaying) == 0);
}

/* One set of a contact. */
static void
judge_set(ScoreTurn *turn, ScoreContact *contact, int start, int end)
{
	ScoreJob   *job = turn->job;
	int32		score_set_id = job->items[start].score_set_id;
	CachedScoreSet *set = ls_streams_score_set(job->set, score_set_id);
	KeptScore  *kept = find_kept(contact, score_set_id);
	KeptScore	score = {0};
	bool		is_whole;
	bool		is_own = true;

	if (set == NULL)
	{
		/* it is gone, or rests: what is kept waits for nothing */
		if (kept && !TIMESTAMP_IS_NOEND(kept->next_at))
		{
			ScoreChange *change = add_change(job, contact, score_set_id);

			change->score = *kept;
			change->score.version = 0;
			change->score.next_at = DT_NOEND;
		}
		return;
	}
	is_whole = job->is_whole || kept == NULL || kept->version != set->row->version ||
		kept->next_at <= job->clock;
	if (is_whole)
	{
		is_own = step_to(turn, contact, &job->items[start].place, set->row->account);
		if (is_own)
			judge_whole(turn, set, &score);
	}
	else
	{
		score = *kept;
		is_own = judge_concerned(turn, contact, set, start, end, &score);
	}
	score.score_set_id = score_set_id;
	if (!is_own)
	{
		/* the contact has left the account */
		if (kept && contact->is_there)
			add_change(job, contact, score_set_id)->is_removed = true;
		return;
	}
	/* of a set without rules there is nothing to say */
	if (kept ? is_same(kept, &score) : set->nrules == 0)
		return;
	add_change(job, contact, score_set_id)->score = score;
}


/* -------------------------------------------------------------------------
 * A job
 * -------------------------------------------------------------------------
 */
/* The set that all items are of; 0: there are several. */
static int32
only_set(const ScoreJob *job)
{
	for (int i = 1; i < job->n; i++)
		if (job->items[i].score_set_id != job->items[0].score_set_id)
			return 0;
	return job->n > 0 ? job->items[0].score_set_id : 0;
}

static void
judge_items(void *arg)
{
	ScoreTurn  *turn = arg;
	ScoreJob   *job = turn->job;
	int			end;
	int			set_end;

	job->nchanges = 0;
	turn->judge = NULL;
	turn->reader = ls_scores_open(job->set->contacts, job->snapshot, only_set(job));
	for (int start = 0; start < job->n && turn->reader; start = end)
	{
		ScoreContact contact = {.key = job->items[start].key};

		CHECK_FOR_INTERRUPTS();
		contact.nkept = ls_scores_read(turn->reader, contact.key, &contact.kept);
		for (end = start; end < job->n; end = set_end)
		{
			if (end > start &&
				ls_contact_cmp(job->order, job->items[start].key, job->items[end].key) != 0)
				break;
			for (set_end = end + 1; set_end < job->n; set_end++)
				if (job->items[set_end].score_set_id != job->items[end].score_set_id ||
					ls_contact_cmp(job->order, job->items[end].key,
								   job->items[set_end].key) != 0)
					break;
			judge_set(turn, &contact, end, set_end);
		}
	}
	if (turn->judge)
		ls_judge_end(turn->judge);
	if (turn->reader)
		ls_scores_close(turn->reader);
}

/* Lock what each rule of a set reads, and remember it. */
static void
lock_rules(StreamSet *set, CachedScoreSet *score_set)
{
	MemoryContext oldcontext;
	List	   *relids = NIL;

	score_set->is_foreign = false;
	for (int i = 0; i < score_set->nrules; i++)
	{
		RuleProgram *program = ls_streams_lock(set, score_set->rules[i]);

		if (program == NULL)
			continue;
		relids = list_concat_unique_oid(relids, score_set->rules[i]->program->relids);
		score_set->is_foreign |= ls_program_is_foreign(program);
	}
	oldcontext = MemoryContextSwitchTo(set->streams_context);
	list_free(score_set->relids);
	score_set->relids = list_copy(relids);
	score_set->checked = ls_watch_messages.tables;
	MemoryContextSwitchTo(oldcontext);
	list_free(relids);
}

void
ls_scores_lock(StreamSet *set, int32 score_set_id, uint64 settling)
{
	CachedScoreSet *score_set = ls_streams_score_set(set, score_set_id);
	ListCell   *lc;

	if (score_set == NULL || score_set->locked_for == settling)
		return;
	score_set->locked_for = settling;
	/* many rules read few tables, which are mostly as they were */
	foreach(lc, score_set->relids)
		ls_lock_to_read(lfirst_oid(lc));
	if (score_set->relids == NIL || score_set->checked != ls_watch_messages.tables)
		lock_rules(set, score_set);
}

void
ls_scores_judge(ScoreJob *job)
{
	ScoreTurn	turn = {.job = job};
	bool		is_foreign = false;
	ErrorData  *error;

	for (int i = 0; i < job->n && !is_foreign; i++)
	{
		CachedScoreSet *set = ls_streams_score_set(job->set, job->items[i].score_set_id);

		is_foreign = set && set->is_foreign;
	}
	if (!is_foreign)
	{
		judge_items(&turn);
		return;
	}
	/* each time that fails a rule breaks, so there is an end to it */
	while ((error = ls_attempt(judge_items, &turn)) != NULL)
	{
		if (turn.current == NULL)
			ReThrowError(error);
		ls_streams_break(job->set, turn.current, error);
		FreeErrorData(error);
	}
}

static int
cmp_item(const void *a, const void *b, void *order)
{
	const ScoreItem *l = a;
	const ScoreItem *r = b;
	int			cmp = ls_contact_cmp(order, l->key, r->key);

	if (cmp != 0)
		return cmp;
	return l->score_set_id < r->score_set_id ? -1 : l->score_set_id > r->score_set_id;
}

/* What is kept of a contact that is gone where foreign keys do nothing goes after it. */
static void
remove_orphan(ScoreJob *job, const ScoreItem *item)
{
	ScoreContact contact = {.key = item->key};

	add_change(job, &contact, item->score_set_id)->is_removed = true;
}

/*
 * Lock the contacts of items; those that are left go to the end, and of those that
 * are gone the changes say that nothing is to be kept.  Returns how many were left.
 */
static int
lock_contacts(ScoreJob *job, bool may_wait)
{
	RowLocker  *locker = ls_contact_lock_begin(job->set->contacts);
	ScoreItem  *left = NULL;
	bool		is_locked = false;
	int			nleft = 0;
	int			kept = 0;

	if (!may_wait)
	{
		ls_row_lock_skip(locker);
		left = palloc_extended(sizeof(ScoreItem) * (Size) job->n, MCXT_ALLOC_HUGE);
	}
	for (int i = 0; i < job->n; i++)
	{
		ScoreItem  *item = &job->items[i];

		if (kept > 0 && ls_contact_cmp(job->order, job->items[kept - 1].key, item->key) == 0)
			item->place = job->items[kept - 1].place;
		else
		{
			is_locked = ls_row_lock_at(locker, item->key, &item->place) > 0;
			if (!is_locked)
			{
				if (ls_row_lock_is_skipped(locker))
					left[nleft++] = *item;
				else
					remove_orphan(job, item);
				continue;
			}
		}
		job->items[kept++] = *item;
	}
	if (nleft > 0)
		memcpy(job->items + job->n - nleft, left, sizeof(ScoreItem) * (Size) nleft);
	job->n = kept;
	ls_row_lock_end(locker);
	return nleft;
}

int
ls_scores_settle(StreamSet *set, ScoreItem *items, int n, bool may_wait, int *nchanged)
{
	MemoryContext context;
	MemoryContext oldcontext;
	ContactOrder order;
	ScoreJob	job = {.set = set, .order = &order, .items = items, .n = n, .is_whole = true};
	uint64		settling = ls_streams_settling();
	int			nleft;

	*nchanged = 0;
	if (n == 0)
		return 0;
	context = AllocSetContextCreate(CurrentMemoryContext, "leadstream score settlement",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	set->held++;
	ls_contact_order_init(&order, set->contacts);
	qsort_arg(items, n, sizeof(ScoreItem), cmp_item, &order);
	job.changes = palloc_extended(sizeof(ScoreChange) * (Size) n, MCXT_ALLOC_HUGE);
	nleft = lock_contacts(&job, may_wait);
	ls_scores_write(set->contacts, job.changes, job.nchanges, DT_NOBEGIN);
	for (int i = 0; i < job.n; i++)
		ls_scores_lock(set, items[i].score_set_id, settling);

	CommandCounterIncrement();
	job.snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(job.snapshot);
	job.clock = ls_clock_read();
	ls_scores_judge(&job);
	PopActiveSnapshot();
	UnregisterSnapshot(job.snapshot);
	ls_scores_write(set->contacts, job.changes, job.nchanges, job.clock);
	*nchanged = job.nchanges;

	set->held--;
	ls_streams_trim(set);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return nleft;
}
