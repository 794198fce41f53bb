/*-------------------------------------------------------------------------
 *
 * table_watch.h
 *	  What relcache messages say of the tables that rules read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_TABLE_WATCH_H
#define LS_TABLE_WATCH_H

#include "nodes/pg_list.h"

/* Messages received, by what they were about. */
typedef struct WatchCounts
{
	uint64		streams;
	uint64		tables;			/* that are watched */
	uint64		all;
} WatchCounts;

extern WatchCounts ls_watch_messages;

/* Begin to listen; in memory that lives as long as the backend. */
extern void ls_watch_init(MemoryContext context);

/* Tell which table is leadstream.stream. */
extern void ls_watch_streams(Oid relid);

/*
 * Watch a table of which triggers fire, as part of the attached table "root";
 * ls_watch_tree: an attached table with all its partitions or children.
 */
extern void ls_watch_table(Oid relid, Oid root);
extern void ls_watch_tree(Oid root);

/*
 * Look at the tables that messages were about.  Calls back with the attached
 * tables, InvalidOid for any, that a table of another shape belongs to.  Each is
 * told of once, and an error may follow: the callback has to keep it in mind.
 */
extern void ls_watch_check(void (*changed) (Oid root));

/*
 * A digest of what bound rules depend on of a table, or of several: columns,
 * indexes, children.  To be compared.
 */
extern uint64 ls_table_shape(Oid relid);
extern uint64 ls_tables_shape(List *relids);

#endif							/* LS_TABLE_WATCH_H */
