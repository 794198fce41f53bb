/*-------------------------------------------------------------------------
 *
 * contact_sight.h
 *	  Which contacts the transaction sees.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CONTACT_SIGHT_H
#define LS_CONTACT_SIGHT_H

#include "catalog.h"

/* Looks contacts up by their keys. */
typedef struct ContactSight ContactSight;

/* NULL: all that are there.  In the current memory context and resource owner. */
extern ContactSight *ls_sight_begin(ContactSource *contacts);

/* A key that was asked for last is not looked up again. */
extern bool ls_sight_sees(ContactSight *sight, Datum key);
extern void ls_sight_end(ContactSight *sight);

/* Is there, at this moment, a row with a key in a table of contacts? */
extern bool ls_sight_is_there(Oid relid, AttrNumber key_attno, Datum key);

#endif							/* LS_CONTACT_SIGHT_H */
