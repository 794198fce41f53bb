/*-------------------------------------------------------------------------
 *
 * stream_sources.c
 *	  What is attached, as rules are bound to it.
 *
 * The contacts table and the kinds, read like a system catalog, in an own memory
 * context that goes with their last use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "stream_sources.h"

static bool
same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
same_rule(const Rule *a, const Rule *b)
{
	return a == b || (a && b && VARSIZE(a) == VARSIZE(b) &&
					  memcmp(a, b, VARSIZE(a)) == 0);
}

bool
ls_sources_same_key(const StreamSources *a, const StreamSources *b)
{
	return a->contacts->relid == b->contacts->relid &&
		a->contacts->key_attno == b->contacts->key_attno &&
		a->contacts->key_type == b->contacts->key_type &&
		a->contacts->account_attno == b->contacts->account_attno;
}

bool
ls_sources_same(const StreamSources *a, const StreamSources *b)
{
	ContactSource *ca = a->contacts;
	ContactSource *cb = b->contacts;
	ListCell   *la;
	ListCell   *lb;

	if (ca->relid != cb->relid || ca->key_attno != cb->key_attno ||
		ca->key_type != cb->key_type || ca->key_base != cb->key_base ||
		ca->key_collation != cb->key_collation ||
		ca->account_attno != cb->account_attno ||
		!same_string(ca->key_name, cb->key_name) ||
		!same_string(ca->account_name, cb->account_name) ||
		!same_string(ca->zone, cb->zone) ||
		list_length(a->activities) != list_length(b->activities))
		return false;

	forboth(la, a->activities, lb, b->activities)
	{
		ActivitySource *sa = lfirst(la);
		ActivitySource *sb = lfirst(lb);

		if (sa->source_id != sb->source_id || sa->relid != sb->relid ||
			sa->contact_attno != sb->contact_attno ||
			sa->contact_type != sb->contact_type ||
			sa->time_attno != sb->time_attno ||
			sa->time_type != sb->time_type ||
			!same_string(sa->kind, sb->kind) ||
			!same_string(sa->contact_name, sb->contact_name) ||
			!same_string(sa->time_name, sb->time_name) ||
			!same_string(sa->account_name, sb->account_name) ||
			sa->account_attno != sb->account_attno ||
			!same_string(sa->missing, sb->missing) ||
			!same_rule(sa->only, sb->only))
			return false;
	}
	return true;
}

void
ls_sources_release(StreamSources *sources)
{
	if (--sources->uses == 0)
		MemoryContextDelete(sources->context);
}

StreamSources *
ls_sources_read(void)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(oldcontext, "leadstream sources",
												  ALLOCSET_SMALL_SIZES);
	StreamSources *sources;

	MemoryContextSwitchTo(context);
	sources = palloc0(sizeof(StreamSources));
	sources->context = context;
	sources->contacts = ls_catalog_contacts();
	if (sources->contacts)
		sources->activities = ls_catalog_activities();
	MemoryContextSwitchTo(oldcontext);
	if (sources->contacts)
		return sources;
	MemoryContextDelete(context);
	return NULL;
}
