/*-------------------------------------------------------------------------
 *
 * lead_rows.h
 *	  The leads of a contact, as rows that rules speak of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_LEAD_ROWS_H
#define LS_LEAD_ROWS_H

#include "access/tupdesc.h"
#include "utils/snapshot.h"

#include "catalog.h"

/* Columns of a row; what a rule names is a set of bits, 1 << field. */
typedef enum LeadField
{
	LEAD_TEAM,
	LEAD_STREAMS,				/* names of those that matched it, in order */
	LEAD_STAGE,
	LEAD_IS_OPEN,				/* the stage ends no work */
	LEAD_CREATED_AT,			/* its time */
	LEAD_STAGE_CHANGED_AT,
	LEAD_FIELDS
} LeadField;

/* The kind "lead", or NULL where there are no lead tables. */
extern ActivitySource *ls_leadrows_kind(void);

extern TupleDesc ls_leadrows_desc(void);

/* A FROM item, the alias a: the leads of the contact c; equals is an operator. */
extern char *ls_leadrows_sql(const ActivitySource *source, const ContactSource *contacts,
							 const char *equals);

/* The columns that must be read for a rule's fields, each told to the callback. */
extern void ls_leadrows_columns(const ActivitySource *source,
								void (*callback) (Oid relid, AttrNumber attno, void *arg),
								void *arg);

typedef struct LeadRows LeadRows;

/* Allocated in the current memory context; relations are kept open. */
extern LeadRows *ls_leadrows_open(const ActivitySource *source, const ContactSource *contacts,
								  Snapshot snapshot);

/* Read the leads of a contact into the current memory context; how many. */
extern int	ls_leadrows_read(LeadRows *rows, Datum key);

/* One of these, in the order of their ids. */
extern void ls_leadrows_get(LeadRows *rows, int i, Datum *values, bool *nulls);

extern void ls_leadrows_close(LeadRows *rows);

#endif							/* LS_LEAD_ROWS_H */
