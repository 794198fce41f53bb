/*-------------------------------------------------------------------------
 *
 * hand_out.c
 *	  Giving new leads to the members of their teams in turn.
 *
 * The members of a team stand in a circle, in the order of their ids, and
 * leadstream.hand_out says who was given the last lead.  The next lead goes to
 * the next one who takes leads: who is active, not paused, and has fewer open
 * leads of the team than he may be handed.  So of two members who take leads
 * all the time neither gets two before the other has got one: over any run of
 * the team's leads, in the order of their commits, they have the same number
 * within one.  Where nobody takes leads, they stay nobody's.
 *
 * That takes a lock that is held until the turn is known to count, which is
 * when the transaction ends.  Taken when a lead is made it would do harm: its
 * holder goes on to write for other contacts, whose holders may be waiting for
 * the turn, and every transaction that makes leads of a team would wait for
 * the slowest.  So leads are handed out as the last thing that a transaction
 * does (new_leads.c), when it asks nobody for anything any more.  The teams are
 * locked in the order of their ids, by their rows in leadstream.hand_out,
 * which nobody else writes.  A transaction that rolls back has not had a turn.
 *
 * Memberships that somebody is just removing are passed over, not waited for,
 * unless he has changed them before; those that are given leads are locked FOR
 * KEY SHARE, so who removes one, or deactivates the member, waits and sees the
 * leads.
 *
 * Members and users are read past any rights, under the latest snapshot, as
 * the streams are.  Leads and events are written as the owner of the leads,
 * the turn as the owner of its table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "contact_lock.h"
#include "guc.h"
#include "hand_out.h"
#include "key_scan.h"
#include "owner_sql.h"

#define HAND_OUT_TEAM		1
#define HAND_OUT_LAST		2

#define MEMBER_TEAM			1
#define MEMBER_USER			2
#define MEMBER_IS_PAUSED	3
#define MEMBER_MAX_OPEN		4

#define SALES_USER_ID		1
#define SALES_USER_NAME		3
#define SALES_USER_IS_ACTIVE 6

/* One who takes leads. */
typedef struct Member
{
	int32		id;
	Datum		name;
	int64		room;			/* how many more he may be handed */
	bool		is_capped;
	bool		is_held;		/* nobody can remove or deactivate him any more */
	ItemPointerData tid;
	int			nleads;			/* of the present chunk */
	Datum	   *leads;
} Member;

/* A team that hands out. */
typedef struct Circle
{
	int32		team_id;
	int			n;
	Member	   *members;		/* by id */
	int			next;			/* whose turn it is */
	int32		last;			/* who had the last one; 0: nobody yet */
	Datum	   *leads;			/* of the present chunk */
	Datum	   *names;			/* to whom they go */
} Circle;

/* Leads handed out at once. */
#define HAND_OUT_CHUNK	5000

/* Read the one row of a key; false if there is none. */
static bool
read_row(KeyScan *scan, int32 key, TupleTableSlot **row)
{
	ls_keyscan_start(scan, Int32GetDatum(key), NULL);
	return (*row = ls_keyscan_next(scan, NULL, NULL)) != NULL;
}

static KeyScan *
open_ids(const char *table, AttrNumber attno, Snapshot snapshot)
{
	return ls_keyscan_open(ls_catalog_relid(table), attno, INT4OID, InvalidAttrNumber, snapshot);
}

static int
cmp_member(const void *a, const void *b)
{
	return ((const Member *) a)->id < ((const Member *) b)->id ? -1 : 1;
}

/* Those of a team who take leads, for all that their row says. */
static void
read_members(Circle *circle)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	KeyScan    *memberships = open_ids("team_member", MEMBER_TEAM, snapshot);
	KeyScan    *users = open_ids("sales_user", SALES_USER_ID, snapshot);
	TupleTableSlot *row;
	TupleTableSlot *user;
	ItemPointerData tid;
	int			room = 8;
	bool		isnull;

	circle->n = 0;
	circle->members = palloc(sizeof(Member) * room);
	ls_keyscan_start(memberships, Int32GetDatum(circle->team_id), NULL);
	while ((row = ls_keyscan_next(memberships, NULL, &tid)) != NULL)
	{
		Member	   *member;
		Datum		max_open;

		if (DatumGetBool(slot_getattr(row, MEMBER_IS_PAUSED, &isnull)))
			continue;
		if (circle->n == room)
			circle->members = repalloc(circle->members, sizeof(Member) * (room *= 2));
		member = &circle->members[circle->n];
		member->id = DatumGetInt32(slot_getattr(row, MEMBER_USER, &isnull));
		max_open = slot_getattr(row, MEMBER_MAX_OPEN, &isnull);
		member->is_capped = !isnull;
		member->room = isnull ? PG_INT64_MAX : DatumGetInt32(max_open);
		member->is_held = false;
		member->tid = tid;
		if (!read_row(users, member->id, &user) ||
			!DatumGetBool(slot_getattr(user, SALES_USER_IS_ACTIVE, &isnull)))
			continue;
		member->name = datumCopy(slot_getattr(user, SALES_USER_NAME, &isnull), false, -1);
		circle->n++;
	}
	ls_keyscan_close(users);
	ls_keyscan_close(memberships);
	UnregisterSnapshot(snapshot);
	qsort(circle->members, circle->n, sizeof(Member), cmp_member);
}

/* Of those who may have only so many open leads, take off what they have. */
static void
count_open(Circle *circle)
{
	Datum	   *ids = palloc(sizeof(Datum) * circle->n);
	int			nids = 0;
	Datum		values[2];
	uint64		count;

	for (int i = 0; i < circle->n; i++)
		if (circle->members[i].is_capped)
			ids[nids++] = Int32GetDatum(circle->members[i].id);
	if (nids == 0)
		return;
	values[0] = Int32GetDatum(circle->team_id);
	values[1] = ls_owner_array(ids, NULL, nids, INT4OID);
	count = ls_owner_run(OWNER_COUNT_OPEN, NULL, values, NULL);
	for (uint64 r = 0; r < count; r++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[r];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		int32		id = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));

		for (int i = 0; i < circle->n; i++)
			if (circle->members[i].id == id)
				circle->members[i].room -= DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Lock the turn of a team; false if it has never handed out a lead. */
static bool
lock_turn(Circle *circle)
{
	RowLocker  *locker = ls_row_lock_begin(ls_catalog_relid("hand_out"), HAND_OUT_TEAM,
										   INT4OID, LockTupleNoKeyExclusive);
	bool		exists = ls_row_lock(locker, Int32GetDatum(circle->team_id)) > 0;

	ls_row_lock_end(locker);
	return exists;
}

/* Write who had the last lead, as the owner of the table. */
static void
write_turn(OwnerStatement statement, Circle *circle)
{
	OwnerState	owner;
	Datum		values[2];

	if (!ls_owner_begin_of(ls_catalog_relid("hand_out"), &owner))
		return;
	values[0] = Int32GetDatum(circle->team_id);
	values[1] = Int32GetDatum(circle->last);
	ls_owner_run(statement, NULL, values, NULL);
	ls_owner_end(&owner);
}

/* Wait for the turn of a team, and find out whose it is. */
static void
take_turn(Circle *circle)
{
	Snapshot	snapshot;
	KeyScan    *scan;
	TupleTableSlot *row;

	if (!lock_turn(circle))
	{
		write_turn(OWNER_MAKE_TURN, circle);
		(void) lock_turn(circle);
	}
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = open_ids("hand_out", HAND_OUT_TEAM, snapshot);
	circle->last = 0;
	if (read_row(scan, circle->team_id, &row))
	{
		bool		isnull;
		Datum		last = slot_getattr(row, HAND_OUT_LAST, &isnull);

		if (!isnull)
			circle->last = DatumGetInt32(last);
	}
	ls_keyscan_close(scan);
	UnregisterSnapshot(snapshot);
}

/* May a member be given leads?  Asked again when he is held. */
static bool
is_active(const Member *member)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	KeyScan    *users = open_ids("sales_user", SALES_USER_ID, snapshot);
	TupleTableSlot *user;
	bool		isnull;
	bool		result = read_row(users, member->id, &user) &&
		DatumGetBool(slot_getattr(user, SALES_USER_IS_ACTIVE, &isnull));

	ls_keyscan_close(users);
	UnregisterSnapshot(snapshot);
	return result;
}

/*
 * Keep others from removing or deactivating a member; false if somebody is about
 * to, or has done so since the members were read.
 */
static bool
hold_member(Relation memberships, Member *member)
{
	Snapshot	snapshot;
	TupleTableSlot *slot;
	TM_FailureData failure;
	TM_Result	result;

	if (member->is_held)
		return true;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	slot = table_slot_create(memberships, NULL);
	result = table_tuple_lock(memberships, &member->tid, snapshot, slot,
							  GetCurrentCommandId(false), LockTupleKeyShare, LockWaitSkip,
							  TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS, &failure);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	member->is_held = result == TM_Ok && is_active(member);
	return member->is_held;
}

/* The next member to be given a lead, or NULL. */
static Member *
next_member(Circle *circle, Relation memberships)
{
	for (int tried = 0; tried < circle->n; tried++)
	{
		Member	   *member = &circle->members[circle->next];

		circle->next = (circle->next + 1) % circle->n;
		if (member->room <= 0)
			continue;
		if (hold_member(memberships, member))
			return member;
		member->room = 0;
	}
	return NULL;
}

/* Write who has been given what. */
static void
write_chunk(Circle *circle, int n, TimestampTz at, Datum actor)
{
	OwnerState	owner;
	Datum		values[4];

	if (n == 0 || !ls_owner_begin(&owner))
		return;
	for (int i = 0; i < circle->n; i++)
	{
		Member	   *member = &circle->members[i];

		if (member->nleads == 0)
			continue;
		values[0] = ls_owner_array(member->leads, NULL, member->nleads, INT8OID);
		values[1] = Int32GetDatum(member->id);
		ls_owner_run(OWNER_ASSIGN_LEADS, NULL, values, NULL);
	}
	values[0] = ls_owner_array(circle->leads, NULL, n, INT8OID);
	values[1] = ls_owner_array(circle->names, NULL, n, TEXTOID);
	values[2] = TimestampTzGetDatum(at);
	values[3] = actor;
	ls_owner_run(OWNER_NOTE_ASSIGNED, NULL, values, NULL);
	ls_owner_end(&owner);
}

/* Hand out a chunk of leads; false once nobody takes any. */
static bool
hand_out_chunk(Circle *circle, Relation memberships, const int64 *leads, int n,
			   TimestampTz at, Datum actor)
{
	int			given = 0;

	for (int i = 0; i < circle->n; i++)
		circle->members[i].nleads = 0;
	for (; given < n; given++)
	{
		Member	   *member = next_member(circle, memberships);
		Datum		lead = Int64GetDatum(leads[given]);

		if (member == NULL)
			break;
		member->room--;
		member->leads[member->nleads++] = lead;
		circle->leads[given] = lead;
		circle->names[given] = member->name;
		circle->last = member->id;
	}
	write_chunk(circle, given, at, actor);
	return given == n;
}

void
ls_hand_out(int32 team_id, const int64 *leads, int64 n)
{
	Circle		circle = {team_id};
	int			room = Min(n, HAND_OUT_CHUNK);
	int32		before;
	TimestampTz at;
	Datum		actor = ls_owner_actor();
	OwnerState	owner;
	Relation	memberships;

	/* the extension may have been dropped since, and the leads kept */
	if (!OidIsValid(ls_catalog_relid("hand_out")))
		return;
	take_turn(&circle);
	before = circle.last;
	read_members(&circle);
	if (circle.n == 0)
		return;
	if (ls_owner_begin(&owner))
	{
		count_open(&circle);
		ls_owner_end(&owner);
	}
	while (circle.next < circle.n && circle.members[circle.next].id <= circle.last)
		circle.next++;
	circle.next %= circle.n;
	circle.leads = palloc(sizeof(Datum) * room);
	circle.names = palloc(sizeof(Datum) * room);
	for (int i = 0; i < circle.n; i++)
		circle.members[i].leads = palloc(sizeof(Datum) * room);
	at = ls_clock_read();
	memberships = table_open(ls_catalog_relid("team_member"), RowShareLock);
	for (int64 done = 0; done < n; done += room)
	{
		CHECK_FOR_INTERRUPTS();
		if (!hand_out_chunk(&circle, memberships, leads + done, Min(room, n - done), at, actor))
			break;
	}
	table_close(memberships, NoLock);
	if (circle.last != before)
		write_turn(OWNER_WRITE_TURN, &circle);
}
