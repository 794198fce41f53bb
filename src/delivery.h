/*-------------------------------------------------------------------------
 *
 * delivery.h
 *	  Matches on their way to leads.
 *
 * Belongs to deliver.c and lead_write.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_DELIVERY_H
#define LS_DELIVERY_H

#include "contact_lock.h"
#include "deliver.h"
#include "row_writer.h"

/* The tables that a delivery writes. */
typedef enum DeliveryTable
{
	DELIVERY_LEADS,
	DELIVERY_EVENTS,
	DELIVERY_MATCHES,
	DELIVERY_TABLES
} DeliveryTable;

/* What holds for all matches of a delivery. */
typedef struct Delivery
{
	ContactSource *contacts;
	ContactOrder order;
	TimestampTz created_at;
	const char *origin;
	bool		skip_deleted;
	Datum		actor;
	Bitmapset  *streams;		/* that exist, and are locked */
	Bitmapset  *teams;			/* the same, of those that take leads */
	Bitmapset  *hand_out;		/* of those, the teams that hand them out */
	Bitmapset  *notify;			/* and those that tell listeners */
	bool		are_open[DELIVERY_TABLES];	/* have we asked for the writer? */
	RowWriter  *writers[DELIVERY_TABLES];	/* NULL: by statements */
} Delivery;

/* One match for one team. */
typedef struct TeamMatch
{
	DeliverMatch *match;
	int32		team_id;
	int			pair;			/* its place in Pairs */
	bool		is_first;		/* of its pair */
} TeamMatch;

/* Pairs of a contact and a team, in that order; the columns for unnest(). */
typedef struct Pairs
{
	int			count;
	Datum	   *keys;
	Datum	   *teams;
	Datum	   *stages;			/* in which a lead begins */
	Datum	   *notes;
	Datum	   *streams;		/* that match first */
	Datum	   *leads;			/* where it has one */
	bool	   *has_lead;
	bool	   *is_made;		/* by us: its event names the first stream */
	bool		is_met;			/* others are making leads of some */
} Pairs;

/*
 * lead_write.c: make leads of the pairs listed in missing, which have none;
 * returns how many were made, and gives them to their pairs.
 */
extern uint64 ls_write_leads(Delivery *delivery, Pairs *pairs, const int *missing, int nmissing);

/* Does nothing but the rows themselves come of the leads and events written? */
extern bool ls_write_is_plain(Delivery *delivery);

/* Write the matches of leads that are there; returns their number. */
extern uint64 ls_write_matches(Delivery *delivery, Pairs *pairs, TeamMatch *rows, int nrows);

/* Be done with the tables. */
extern void ls_write_end(Delivery *delivery);

#endif							/* LS_DELIVERY_H */
