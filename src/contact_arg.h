/*-------------------------------------------------------------------------
 *
 * contact_arg.h
 *	  A contact's key as an argument of any type, and the account asked for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CONTACT_ARG_H
#define LS_CONTACT_ARG_H

#include "fmgr.h"

#include "catalog.h"

/*
 * Argument n of a function declared with "any", as a value of the contacts'
 * key type.  Must not be null.  Errors: what the key type's input function
 * says to a text that is no key (22P02 and the like).
 */
extern Datum ls_contact_arg(FunctionCallInfo fcinfo, int n, ContactSource *contacts);

/* The account whose contacts a rule is asked of, or NULL: everybody's. */
extern const char *ls_asked_account(const ContactSource *contacts);

#endif							/* LS_CONTACT_ARG_H */
