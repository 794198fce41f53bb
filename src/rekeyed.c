/*-------------------------------------------------------------------------
 *
 * rekeyed.c
 *	  Contacts that got other keys in the running statement.
 *
 * What triggers told of them, in the order in which they did, is sorted by one
 * of the keys and by the command that wrote it.  So it is found what a contact
 * was called before, and what it is called now: a key may go from one contact to
 * another, and a contact there and back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "rekeyed.h"

static int
cmp_commands(const Rekeyed *l, const Rekeyed *r)
{
	return l->command < r->command ? -1 : l->command > r->command;
}

static int
cmp_new(const void *a, const void *b, void *arg)
{
	const Rekeyed *l = a;
	const Rekeyed *r = b;
	int			cmp = ls_contact_cmp(arg, l->key, r->key);

	return cmp != 0 ? cmp : cmp_commands(l, r);
}

static int
cmp_old(const void *a, const void *b, void *arg)
{
	const Rekeyed *l = a;
	const Rekeyed *r = b;
	int			cmp = ls_contact_cmp(arg, l->old_key, r->old_key);

	return cmp != 0 ? cmp : cmp_commands(l, r);
}

void
ls_rekeyed_sort(Rekeyed *rekeyed, int n, ContactOrder *order)
{
	qsort_arg(rekeyed, n, sizeof(Rekeyed), cmp_new, order);
}

void
ls_rekeyed_sort_old(Rekeyed *rekeyed, int n, ContactOrder *order)
{
	qsort_arg(rekeyed, n, sizeof(Rekeyed), cmp_old, order);
}

/* The last contact that got a key before a command did anything; NULL: none did. */
static Rekeyed *
last_that_got(Rekeyed *rekeyed, int n, ContactOrder *order, Datum key, CommandId before)
{
	int			low = 0;
	int			high = n;
	Rekeyed    *last;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			cmp = ls_contact_cmp(order, rekeyed[middle].key, key);

		if (cmp < 0 || (cmp == 0 && rekeyed[middle].command < before))
			low = middle + 1;
		else
			high = middle;
	}
	last = low > 0 ? &rekeyed[low - 1] : NULL;
	return last && ls_contact_cmp(order, last->key, key) == 0 ? last : NULL;
}

/* The first contact that left a key in a command or after it. */
static Rekeyed *
first_that_left(Rekeyed *rekeyed, int n, ContactOrder *order, Datum key, CommandId from)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			cmp = ls_contact_cmp(order, rekeyed[middle].old_key, key);

		if (cmp < 0 || (cmp == 0 && rekeyed[middle].command < from))
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && ls_contact_cmp(order, rekeyed[low].old_key, key) == 0 ?
		&rekeyed[low] : NULL;
}

Datum
ls_rekeyed_before(Rekeyed *rekeyed, int n, ContactOrder *order, Datum key)
{
	CommandId	before = InvalidCommandId;	/* the greatest */
	Rekeyed    *last;

	/* it may have gone there and back; who had its keys since is another */
	while ((last = last_that_got(rekeyed, n, order, key, before)) != NULL)
	{
		key = last->old_key;
		before = last->command;
		if (!last->is_again)
			break;
	}
	return key;
}

Datum
ls_rekeyed_after(Rekeyed *rekeyed, int n, ContactOrder *order, Datum key)
{
	CommandId	from = FirstCommandId;
	Rekeyed    *first;

	while ((first = first_that_left(rekeyed, n, order, key, from)) != NULL)
	{
		key = first->key;
		from = first->command + 1;
	}
	return key;
}
