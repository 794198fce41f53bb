/*-------------------------------------------------------------------------
 *
 * stream_group.c
 *	  Streams that rows of a statement concern together.
 *
 * Rows that look alike concern the same streams, and there are few ways to
 * look: ten windows over one kind concern every row of it.  A statement that
 * gathers a million rows need not keep ten million pairs of a contact and a
 * stream, but a million of a contact and a group.
 *
 * Groups are found by a digest of their streams and live in the memory context
 * they were made in.  Their number is limited, for a statement whose rows
 * have hardly a group in common is better off without.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "digest.h"
#include "stream_group.h"

#define MAX_GROUPS		1000

typedef struct GroupEntry
{
	uint64		digest;
	int			number;
	char		status;
} GroupEntry;

#define SH_PREFIX		groups
#define SH_ELEMENT_TYPE	GroupEntry
#define SH_KEY_TYPE		uint64
#define SH_KEY			digest
/* digests are well mixed */
#define SH_HASH_KEY(tb, key)	((uint32) (key))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct StreamGroups
{
	MemoryContext context;
	int			ngroups;
	int			room;
	StreamGroup *groups;
	groups_hash *by_digest;
};

StreamGroups *
ls_groups_make(void)
{
	StreamGroups *groups = palloc0(sizeof(StreamGroups));

	groups->context = CurrentMemoryContext;
	groups->room = 4;
	groups->groups = palloc(sizeof(StreamGroup) * groups->room);
	groups->by_digest = groups_create(CurrentMemoryContext, 16, NULL);
	return groups;
}

/* Enter a group. */
static int
add_group(StreamGroups *groups, uint64 digest, const int32 *streams, int n)
{
	StreamGroup *group;
	bool		found;

	if (groups->ngroups == groups->room)
	{
		groups->groups = repalloc(groups->groups, sizeof(StreamGroup) * groups->room * 2);
		groups->room *= 2;
	}
	group = &groups->groups[groups->ngroups];
	group->n = n;
	group->streams = MemoryContextAllocHuge(groups->context, sizeof(int32) * (Size) n);
	memcpy(group->streams, streams, sizeof(int32) * (Size) n);
	group->has_key = false;
	groups_insert(groups->by_digest, digest, &found)->number = groups->ngroups;
	return groups->ngroups++;
}

int
ls_groups_find(StreamGroups *groups, const int32 *streams, int n)
{
	uint64		digest = n;
	GroupEntry *entry;
	StreamGroup *group;

	for (int i = 0; i < n; i++)
		digest = ls_mix64(digest ^ (uint32) streams[i]);
	entry = groups_lookup(groups->by_digest, digest);
	if (entry == NULL)
		return groups->ngroups < MAX_GROUPS ? add_group(groups, digest, streams, n) : -1;
	group = &groups->groups[entry->number];
	/* another one with the same digest: hardly ever */
	if (group->n != n || memcmp(group->streams, streams, sizeof(int32) * (Size) n) != 0)
		return -1;
	return entry->number;
}

StreamGroup *
ls_groups_get(StreamGroups *groups, int number)
{
	return &groups->groups[number];
}
