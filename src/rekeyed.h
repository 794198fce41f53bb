/*-------------------------------------------------------------------------
 *
 * rekeyed.h
 *	  Contacts that got other keys in the running statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_REKEYED_H
#define LS_REKEYED_H

#include "contact_lock.h"

typedef struct Rekeyed
{
	Datum		key;
	Datum		old_key;
	bool		is_again;		/* it has been written in the statement before */
	CommandId	command;		/* that wrote the key: triggers tell in another order */
	SubTransactionId subid;		/* that did it, or one within */
} Rekeyed;

/* Sort them by the keys that they got; for ls_rekeyed_before. */
extern void ls_rekeyed_sort(Rekeyed *rekeyed, int n, ContactOrder *order);

/* The key that a contact had before the statement. */
extern Datum ls_rekeyed_before(Rekeyed *rekeyed, int n, ContactOrder *order, Datum key);

/* Sort them by the keys that they had; for ls_rekeyed_after. */
extern void ls_rekeyed_sort_old(Rekeyed *rekeyed, int n, ContactOrder *order);

/* The key that a contact has which had one when the statement began. */
extern Datum ls_rekeyed_after(Rekeyed *rekeyed, int n, ContactOrder *order, Datum key);

#endif							/* LS_REKEYED_H */
