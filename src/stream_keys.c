/*-------------------------------------------------------------------------
 *
 * stream_keys.c
 *	  Where a stream is entered, so that what concerns it finds it.
 *
 * A stream is found by digests.  What happens in the database, a new row of a
 * source, a new contact, a changed column of a contact, has one; below it
 * stand the streams that any such event concerns, and below each key by which
 * the row is looked up (rule_access.c) those that ask for it.  So a stream is
 * entered
 *
 *	  for each source it speaks of	under the keys of what its rule asks of a
 *									row, or, where it asks for nothing that we
 *									know, under the source itself
 *	  for new contacts				unless it can only be true of a contact that
 *									has rows: then it is found by these
 *	  for changed contacts			under each column that its rule reads
 *
 * and each time as deep as can be: below, under its account, and below that
 * under the keys of what it asks of the contact.  At the digests on the way it
 * is marked as being deeper.  Who looks a row up need not go deeper where only
 * a few streams are: it may take them all, for what is found is checked.  It
 * does where there are many, ten thousand streams on the same form of the same
 * page, which is the multi-attribute hashing of Fabret, Jacobsen, Llirbat,
 * Pereira, Ross and Shasha (SIGMOD 2001) done at the time of the lookup.  And
 * it pays only there for the contact's row, which must be locked before it is
 * looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/lsyscache.h"

#include "program_rows.h"
#include "stream_keys.h"

/*
 * Paths of one table beyond which streams have to do with simpler ones, and
 * beyond which there are no more: each costs a lookup for every row.
 */
#define MANY_PATHS		32
#define MAX_PATHS		64

/*
 * Keys of the contact that are worth their room: below each key of the row, and
 * where there is no other way, or no hot row, to tell streams apart.
 */
#define FEW_DEEP_KEYS	8
#define MAX_DEEP_KEYS	100

typedef struct KeyState
{
	StreamKeys *keys;
	int			room;
	int			path_room;
	PathBook   *book;
	bool		has_accounts;
	uint64		account;		/* digest of it */
	Access	   *contact;		/* what the rule asks of the contact, or NULL */
} KeyState;

static void
add_key(KeyState *state, uint64 digest, bool is_deeper)
{
	StreamKeys *keys = state->keys;

	if (keys->nkeys == state->room)
	{
		state->room = Max(32, state->room * 2);
		keys->keys = keys->keys == NULL ?
			palloc(sizeof(StreamKey) * state->room) :
			repalloc(keys->keys, sizeof(StreamKey) * state->room);
	}
	keys->keys[keys->nkeys].digest = digest;
	keys->keys[keys->nkeys++].is_deeper = is_deeper;
}

/* A path of its own: others point into the expressions of a program. */
AccessPath *
ls_access_path_copy(const AccessPath *path)
{
	AccessPath *copy = palloc(sizeof(AccessPath));

	*copy = *path;
	for (int i = 0; i < path->nfields; i++)
		copy->fields[i].expr = copyObject(path->fields[i].expr);
	return copy;
}

static void
add_path(KeyState *state, int32 source_id, AccessPath *path)
{
	StreamKeys *keys = state->keys;

	for (int i = 0; i < keys->npaths; i++)
		if (keys->paths[i].source_id == source_id &&
			keys->paths[i].path->path_id == path->path_id)
			return;
	if (keys->npaths == state->path_room)
	{
		state->path_room = Max(8, state->path_room * 2);
		keys->paths = keys->paths == NULL ?
			palloc(sizeof(StreamPath) * state->path_room) :
			repalloc(keys->paths, sizeof(StreamPath) * state->path_room);
	}
	keys->paths[keys->npaths].source_id = source_id;
	keys->paths[keys->npaths++].path = ls_access_path_copy(path);
}

/*
 * Make the keys of an access condition such that rows are looked up by no more
 * paths than they should be.  NULL where that cannot be done.
 */
static Access *
limit_paths(KeyState *state, Access *access, int32 source_id, Index varno, Relation rel)
{
	int			count;

	if (access == NULL)
		return NULL;
	count = state->book->count(state->book, source_id);
	for (int i = 0; i < access->nkeys; i++)
	{
		AccessKey  *key = &access->keys[i];

		while (!state->book->knows(state->book, source_id, key->path->path_id))
		{
			if (count < MANY_PATHS)
				break;
			if (ls_access_simplify(key, varno, rel))
				continue;
			if (count < MAX_PATHS)
				break;
			return NULL;
		}
	}
	for (int i = 0; i < access->nkeys; i++)
		add_path(state, source_id, access->keys[i].path);
	return access;
}

/* Enter the stream at a digest, or deeper if that takes no more than so many keys. */
static void
enter(KeyState *state, uint64 digest, bool has_account, int max_deep_keys)
{
	Access	   *contact = state->contact;

	if (contact && contact->nkeys > max_deep_keys)
		contact = NULL;
	if (state->has_accounts && !has_account)
	{
		add_key(state, digest, true);
		digest = ls_digest_below(digest, state->account);
	}
	if (contact == NULL)
	{
		add_key(state, digest, false);
		return;
	}
	add_key(state, digest, true);
	for (int i = 0; i < contact->nkeys; i++)
		add_key(state, ls_digest_below(digest, ls_access_digest(&contact->keys[i])), false);
}

/* What the rule asks of the contact, whatever rows there are. */
static Access *
contact_access(NodeProgram *node, Relation contacts)
{
	Access	   *result = NULL;

	check_stack_depth();
	if (node->bound->kind == BOUND_TEST)
		return node->test_expr == NULL || node->bound->negated ? NULL :
			ls_access_find(node->test_expr, INNER_VAR, contacts);
	for (int i = 0; i < node->nkids; i++)
	{
		Access	   *kid = contact_access(node->kids[i], contacts);

		if (node->bound->kind == BOUND_AND)
			result = ls_access_and(result, kid);
		else if (kid == NULL)
			return NULL;
		else
			result = i == 0 ? kid : ls_access_or(result, kid);
		if (node->bound->kind == BOUND_OR && result == NULL)
			return NULL;
	}
	return result;
}

/* Enter the stream for rows of a source, which the i-th aggregate is the first to read. */
static void
enter_source(KeyState *state, RuleProgram *program, ActivitySource *source, int i)
{
	uint64		digest = ls_digest(DIGEST_ROW, source->source_id);
	bool		has_account = state->has_accounts &&
		source->account_attno != InvalidAttrNumber;
	Relation	rel = table_open(source->relid, AccessShareLock);
	Access	   *access = NULL;
	bool		is_first = true;

	for (; i < program->naggregates; i++)
		for (int j = 0; j < program->aggregates[i].nsources; j++)
		{
			SourceProgram *s = &program->aggregates[i].sources[j];
			Access	   *one;

			if (s->source->source_id != source->source_id || (!is_first && access == NULL))
				continue;
			one = s->filter_expr ? ls_access_find(s->filter_expr, OUTER_VAR, rel) : NULL;
			access = is_first || one == NULL ? one : ls_access_or(access, one);
			is_first = false;
		}
	access = limit_paths(state, access, source->source_id, OUTER_VAR, rel);
	table_close(rel, NoLock);

	if (has_account)
		digest = ls_digest_below_row(digest, state->account);
	if (access == NULL)
		enter(state, digest, has_account, MAX_DEEP_KEYS);
	else
		for (int k = 0; k < access->nkeys; k++)
			enter(state, ls_digest_below_row(digest, ls_access_digest(&access->keys[k])),
				  has_account, Min(FEW_DEEP_KEYS, MAX_DEEP_KEYS / access->nkeys));
}

/* Has an aggregate before the i-th, or a source before its j-th, the source? */
static bool
is_entered(RuleProgram *program, int i, int j)
{
	int32		source_id = program->aggregates[i].sources[j].source->source_id;

	for (int a = 0; a <= i; a++)
		for (int s = 0; s < (a == i ? j : program->aggregates[a].nsources); s++)
			if (program->aggregates[a].sources[s].source->source_id == source_id)
				return true;
	return false;
}

static int
cmp_key(const void *a, const void *b)
{
	const StreamKey *l = a;
	const StreamKey *r = b;

	if (l->digest != r->digest)
		return l->digest < r->digest ? -1 : 1;
	return (int) l->is_deeper - (int) r->is_deeper;
}

StreamKeys *
ls_stream_keys(RuleProgram *program, const char *account, bool both_ways, PathBook *book)
{
	KeyState	state = {0};
	ContactSource *contacts = program->bound->contacts;
	Relation	rel;
	int			x = -1;
	int			kept = 0;
	StreamKeys *keys;

	state.keys = keys = palloc0(sizeof(StreamKeys));
	state.book = book;
	state.has_accounts = contacts->account_attno != InvalidAttrNumber;
	state.account = ls_digest_account(account);

	rel = table_open(contacts->relid, AccessShareLock);
	state.contact = limit_paths(&state, contact_access(program->root, rel),
								CONTACTS_SOURCE, INNER_VAR, rel);
	table_close(rel, NoLock);

	for (int i = 0; i < program->naggregates; i++)
		for (int j = 0; j < program->aggregates[i].nsources; j++)
			if (!ls_source_is_own(program->aggregates[i].sources[j].source) &&
				!is_entered(program, i, j))
				enter_source(&state, program, program->aggregates[i].sources[j].source, i);

	if (!ls_program_needs_rows(program))
		enter(&state, ls_digest(DIGEST_INSERT, 0), false, MAX_DEEP_KEYS);
	/* a contact is looked up as it is, and may have been what the rule asks for */
	if (both_ways)
		state.contact = NULL;
	while ((x = bms_next_member(program->bound->contact_attnos, x)) >= 0)
	{
		AttrNumber	attno = x + FirstLowInvalidHeapAttributeNumber;

		if (attno > 0)
			enter(&state, ls_digest_update(get_attname(contacts->relid, attno, false)),
				  false, MAX_DEEP_KEYS);
	}
	for (int i = 0; i < keys->npaths; i++)
		add_key(&state, ls_digest(DIGEST_PATH, keys->paths[i].path->path_id), false);

	/* a stream may ask for the same in two conditions */
	if (keys->nkeys > 1)
	{
		qsort(keys->keys, keys->nkeys, sizeof(StreamKey), cmp_key);
		for (int i = 1; i < keys->nkeys; i++)
			if (cmp_key(&keys->keys[i], &keys->keys[kept]) != 0)
				keys->keys[++kept] = keys->keys[i];
		keys->nkeys = kept + 1;
	}
	return keys;
}
