/*-------------------------------------------------------------------------
 *
 * fired_table.h
 *	  The tables that triggers fire on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_FIRED_TABLE_H
#define LS_FIRED_TABLE_H

#include "access/attmap.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

#include "stream_cache.h"

/* How a value becomes a key of the contacts. */
typedef enum KeyConversion
{
	KEY_SAME,					/* as it is */
	KEY_INTEGER					/* between widths of integers */
} KeyConversion;

/* A kind, as its columns lie in the table fired on. */
typedef struct KindColumns
{
	ActivitySource *kind;
	AttrNumber	contact;
	AttrNumber	time;			/* 0: timeless */
	Oid			time_type;
	Oid			contact_type;
	KeyConversion conversion;
	/* for gather_activity.c: whether rows can concern a stream, as of an epoch */
	bool		is_idle;
	bool		is_idle_known;
	uint64		idle_epoch;
} KindColumns;

/* What is known of a table that fires, within a StreamSet. */
typedef struct FiredKey
{
	Oid			relid;
	int32		source_id;
} FiredKey;

typedef struct FiredTable
{
	FiredKey	id;				/* hash key */
	int			nkinds;			/* kinds that the table holds rows of */
	KindColumns *kinds;
	AttrMap    *layout;			/* to the attached table's; NULL: the same */
	TupleTableSlot *attached;	/* a row in the attached table's layout */
	TupleTableSlot *attached_before;	/* its version before; NULL: as attached */
	TupleTableSlot *left;		/* a row that left the table; NULL until then */
	bool		has_updates;	/* are those of some kind captured? */
	/* of the contacts table */
	AttrNumber	key;
	AttrNumber	account;
	int			ncolumns;		/* of the contacts table, without dropped ones */
	AttrNumber *columns;
	uint64	   *digests;		/* where those stand that read them */
	bool	   *is_read;		/* does a rule read it?  As of epoch */
	bool		has_rows;		/* are there streams that rows could concern? */
	uint64		epoch;
	bool		is_read_known;
} FiredTable;

/* What is known of the table fired on; as long as the set is. */
extern FiredTable *ls_fired_find(StreamSet *set, Relation rel, int32 source_id, Oid root);

/* A kind's columns in the table, or NULL. */
extern KindColumns *ls_fired_columns(FiredTable *fired, const ActivitySource *kind);

/* Make a key of a row's value; false: no contact can have it. */
extern bool ls_fired_key(KindColumns *columns, Oid key_base, Datum *key);

#endif							/* LS_FIRED_TABLE_H */
