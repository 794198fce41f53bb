/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  What is attached: the contacts table and the kinds of activities, read
 *	  from leadstream's own tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_CATALOG_H
#define LS_CATALOG_H

#include "access/attnum.h"
#include "access/genam.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "pgtime.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "rule_format.h"

/* Attribute numbers of leadstream.contact_source; appended to, never moved. */
#define CONTACT_SOURCE_CONTACTS		2
#define CONTACT_SOURCE_KEY			3
#define CONTACT_SOURCE_KEY_TYPE		4
#define CONTACT_SOURCE_EMAIL		5
#define CONTACT_SOURCE_NAME			6
#define CONTACT_SOURCE_COMPANY		7
#define CONTACT_SOURCE_CATEGORY		8
#define CONTACT_SOURCE_ACCOUNT		9
#define CONTACT_SOURCE_ZONE			10

#define ACTIVITY_SOURCE_ID			1
#define ACTIVITY_SOURCE_KIND		2
#define ACTIVITY_SOURCE_ACTIVITY	3
#define ACTIVITY_SOURCE_CONTACT		4
#define ACTIVITY_SOURCE_TIME		5
#define ACTIVITY_SOURCE_ONLY		6
#define ACTIVITY_SOURCE_ACCOUNT		7
#define ACTIVITY_SOURCE_EVENTS		8

#define STREAM_ID					1
#define STREAM_ACCOUNT				2
#define STREAM_NAME					3
#define STREAM_DESCRIPTION			4
#define STREAM_RULE					5
#define STREAM_IS_ENABLED			6
#define STREAM_RULE_VERSION			7
#define STREAM_OWNER				8
#define STREAM_CHANGED				9
#define STREAM_HOME					12
#define STREAM_RUN					13
#define STREAM_ENABLED_AT			14
#define STREAM_IS_SEEDED			15
#define STREAM_REQUALIFY_AFTER		16
#define STREAM_IS_LITTERED			17

#define SEGMENT_ACCOUNT				2
#define SEGMENT_NAME				3
#define SEGMENT_RULE				5

#define SCORE_SET_ID				1
#define SCORE_SET_ACCOUNT			2
#define SCORE_SET_NAME				3
#define SCORE_SET_IS_ENABLED		5
#define SCORE_SET_VERSION			8
#define SCORE_SET_CHANGED			9
#define SCORE_SET_HOME				10

#define SCORE_RULE_ID				1
#define SCORE_RULE_SET				2
#define SCORE_RULE_NAME				3
#define SCORE_RULE_RULE				5
#define SCORE_RULE_POINTS			6
#define SCORE_RULE_IS_ENABLED		7

#define STREAM_TEAM_STREAM			1
#define STREAM_TEAM_TEAM			2

typedef struct ContactSource
{
	Oid			relid;
	AttrNumber	key_attno;
	Oid			key_type;		/* declared type of the key column */
	Oid			key_base;		/* its base type where that is a domain */
	int16		key_len;		/* both are stored alike */
	bool		key_byval;
	Oid			key_collation;
	char	   *key_name;
	AttrNumber	account_attno;	/* 0: no accounts */
	char	   *account_name;
	char	   *zone;
	pg_tz	   *tz;
} ContactSource;

/* Where the rows of a kind are. */
typedef enum SourceOrigin
{
	SOURCE_TABLE,				/* in a table that is attached */
	SOURCE_ELEMENTS,			/* in a column of the contact: own_rows.h */
	SOURCE_LEADS				/* they are the leads of the contact: lead_rows.h */
} SourceOrigin;

/* What may happen to rows of a kind so that it is captured. */
#define EVENT_INSERT		0x01
#define EVENT_UPDATE		0x02
#define EVENT_DELETE		0x04

/* The source_id of kinds that are not attached. */
#define OWN_SOURCE			(-1)

typedef struct ActivitySource
{
	int32		source_id;
	SourceOrigin origin;
	char	   *kind;
	Oid			relid;
	AttrNumber	contact_attno;
	char	   *contact_name;
	Oid			contact_type;
	AttrNumber	time_attno;		/* 0: timeless */
	char	   *time_name;
	Oid			time_type;		/* timestamptz, timestamp or date */
	AttrNumber	account_attno;	/* 0: rows do not say */
	char	   *account_name;
	uint32		events;			/* EVENT_*; 0: of a kind that is not attached */
	uint64		digest;			/* where streams stand that its rows concern */
	Rule	   *only;			/* NULL: all rows of the table */
	char	   *missing;		/* a column that is gone, or is of a type that
								 * does not serve; rules do not bind */

	/* SOURCE_ELEMENTS: relid is the contacts table, contact_attno the column */
	Oid			element_type;
	Oid			element_collation;

	/* SOURCE_LEADS: the fields that a rule names; time_attno is one of them */
	uint32		fields;
} ActivitySource;

/* Do its rows stand in no table that is attached? */
static inline bool
ls_source_is_own(const ActivitySource *source)
{
	return source->origin != SOURCE_TABLE;
}

/*
 * Read the attached contacts table / the kinds into the current memory
 * context, under a fresh catalog snapshot.  Contacts whose table is gone: NULL;
 * whose columns are, or whose key no longer serves: NULL, with a warning once.
 * Activities whose table is gone are left out.  No errors otherwise.
 */
extern ContactSource *ls_catalog_contacts(void);
extern List *ls_catalog_activities(void);	/* of ActivitySource * */

/*
 * The equality operator of keys as SQL, with its schema: a type from elsewhere
 * has one that the search_path need not find.
 */
extern char *ls_catalog_key_operator(const ContactSource *contacts);

/* The same, or error 55000 that says what is missing. */
extern ContactSource *ls_catalog_need_contacts(void);

/* The btree index of one of leadstream's tables that begins with a column. */
extern Oid	ls_catalog_index(Relation rel, AttrNumber attno);

/*
 * A scan, like that of a system catalog, of the rows of one of leadstream's
 * tables with a value (an int4 or an int8) in a column, and in the column
 * "second" one above a limit where that is not NULL, by the index that begins
 * with the column.  A NULL snapshot is that of this moment.
 */
extern SysScanDesc ls_catalog_scan(Relation rel, AttrNumber attno, Datum value,
								   bool is_int8, AttrNumber second,
								   const int32 *above, Snapshot snapshot);

/* OID of a table of the schema leadstream; InvalidOid where it is missing. */
extern Oid	ls_catalog_relid(const char *name);

/*
 * One at a time does what a table of the schema tells the state of: until the end
 * of the transaction.  False where somebody does, and we do not want to wait.
 */
extern bool ls_catalog_turn(const char *table, int32 id, bool may_wait);

#endif							/* LS_CATALOG_H */
