/*-------------------------------------------------------------------------
 *
 * evidence.h
 *	  What lead_match says of the row that made a match.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_EVIDENCE_H
#define LS_EVIDENCE_H

#include "storage/itemptr.h"
#include "utils/jsonb.h"

/* A table whose rows are named as evidence. */
typedef struct Witness Witness;

/*
 * {label: what}, or with a table {label: what, "row": {primary key of the row}}.
 * relid may be InvalidOid.  Allocates in the current memory context; the
 * table's AccessShareLock is kept until the end of the transaction.
 */
extern Witness *ls_witness_begin(const char *label, const char *what, Oid relid);

/* Say besides what happened to the rows: "event". */
extern void ls_witness_event(Witness *witness, const char *event);

/* The evidence of a row, or of none (NULL). */
extern Jsonb *ls_witness_tell(Witness *witness, const ItemPointerData *row);

/*
 * Is there a primary key to tell, and may the current user SELECT its columns
 * of this table, to which the rows belong?
 */
extern bool ls_witness_may_tell(const Witness *witness, Oid relid);

extern void ls_witness_end(Witness *witness);

#endif							/* LS_EVIDENCE_H */
