/*-------------------------------------------------------------------------
 *
 * contact_hold.h
 *	  Contacts named by somebody who works leads, locked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CONTACT_HOLD_H
#define LS_CONTACT_HOLD_H

#include "catalog.h"

/*
 * The current account; the setting means nothing where contacts have none.
 * Error 55000 where they have and none is set.
 */
extern const char *ls_contact_account(ContactSource *contacts);

/*
 * Lock a contact; error 23503 unless it is there and of the account.  One that
 * is going to be deleted keeps foreign keys waiting, too.
 */
extern void ls_contact_hold(ContactSource *contacts, Datum key, const char *account,
							bool is_going);

#endif							/* LS_CONTACT_HOLD_H */
