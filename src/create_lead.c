/*-------------------------------------------------------------------------
 *
 * create_lead.c
 *	  A lead made by hand.
 *
 * The contact comes as a value of any type and is read as the contacts' key.
 * It is locked like every contact whose leads are written, so a live match of
 * the same moment finds the lead, or is found.  After it the team is locked,
 * as everybody does who delivers to it: while we waited it may have gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "contact_arg.h"
#include "contact_hold.h"
#include "contact_lock.h"
#include "guc.h"
#include "new_leads.h"
#include "owner_sql.h"
#include "sight.h"
#include "stages.h"

PG_FUNCTION_INFO_V1(leadstream_create_lead);

/* The team that a lead is made for. */
typedef struct Team
{
	bool		is_active;
	bool		hands_out;
	bool		notifies;
} Team;

pg_noreturn static void raise_no_team(const char *name);

static void
raise_no_team(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("team \"%s\" does not exist", name),
			 errhint("Create it with leadstream.create_team.")));
}

/* Find the id of a team of the current account by name. */
static int32
find_team(const char *name, const char *account)
{
	Oid			relid = ls_catalog_relid("team");
	int32		team_id = 0;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	bool		isnull;

	if (OidIsValid(relid))
	{
		rel = table_open(relid, AccessShareLock);
		ScanKeyEntryInitialize(&keys[0], 0, TEAM_ACCOUNT, BTEqualStrategyNumber,
							   TEXTOID, DEFAULT_COLLATION_OID, F_TEXTEQ,
							   CStringGetTextDatum(account));
		ScanKeyEntryInitialize(&keys[1], 0, TEAM_NAME, BTEqualStrategyNumber,
							   TEXTOID, DEFAULT_COLLATION_OID, F_TEXTEQ,
							   CStringGetTextDatum(name));
		scan = systable_beginscan(rel, InvalidOid, false, NULL, 2, keys);
		if ((tuple = systable_getnext(scan)) != NULL)
			team_id = DatumGetInt32(heap_getattr(tuple, TEAM_ID, RelationGetDescr(rel), &isnull));
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	/* of a team that he may not see the caller is not told either */
	if (team_id == 0 || !ls_sight_includes(team_id))
		raise_no_team(name);
	return team_id;
}

/* Keep it from being dropped, and read it as it is then. */
static Team
hold_team(int32 team_id, const char *name)
{
	RowLocker  *locker = ls_row_lock_begin(ls_catalog_relid("team"), TEAM_ID, INT4OID,
										   LockTupleKeyShare);
	Team		team;
	bool		isnull;

	ls_row_lock_keep(locker);
	if (ls_row_lock(locker, Int32GetDatum(team_id)) == 0)
		raise_no_team(name);
	team.is_active = DatumGetBool(slot_getattr(ls_row_locked(locker), TEAM_IS_ACTIVE, &isnull));
	team.hands_out = DatumGetBool(slot_getattr(ls_row_locked(locker), TEAM_HANDS_OUT, &isnull));
	team.notifies = DatumGetBool(slot_getattr(ls_row_locked(locker), TEAM_NOTIFIES, &isnull));
	ls_row_lock_end(locker);
	return team;
}

/* Make the lead, in the first stage, and note it. */
static int64
make_lead(ContactSource *contacts, Datum key, int32 team_id,
		  const char *account)
{
	TimestampTz now = ls_clock_read();
	Datum		team = Int32GetDatum(team_id);
	Datum		first_stage;
	Datum		note = CStringGetTextDatum("manual");
	Datum		stream = (Datum) 0;
	bool		no_stream = true;
	Datum		values[8];
	Datum		lead_id;
	Datum		stage;
	bool		isnull;

	/* a writer of leads from here on, for those who change stages */
	LockRelationOid(ls_catalog_relid("lead"), RowExclusiveLock);
	first_stage = ls_stage_first(account);
	values[0] = ls_owner_array(&key, NULL, 1, contacts->key_type);
	values[1] = ls_owner_array(&team, NULL, 1, INT4OID);
	values[2] = ls_owner_array(&first_stage, NULL, 1, TEXTOID);
	values[3] = TimestampTzGetDatum(now);
	values[4] = BoolGetDatum(true);
	if (ls_owner_run(OWNER_MAKE_LEADS, contacts, values, NULL) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the lead was not inserted"),
				 errdetail("A trigger or a rule on table \"lead\" prevented it.")));
	lead_id = datumCopy(SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, &isnull),
						FLOAT8PASSBYVAL, sizeof(int64));
	stage = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4,
						  &isnull);

	values[2] = values[1];
	values[1] = values[0];
	values[0] = ls_owner_array(&lead_id, NULL, 1, INT8OID);
	values[3] = ls_owner_array(&stage, NULL, 1, TEXTOID);
	values[4] = ls_owner_array(&note, NULL, 1, TEXTOID);
	values[5] = ls_owner_array(&stream, &no_stream, 1, INT4OID);
	values[6] = TimestampTzGetDatum(now);
	values[7] = ls_owner_actor();
	ls_owner_run(OWNER_NOTE_CREATED, contacts, values, NULL);
	return DatumGetInt64(lead_id);
}

/* create_lead(contact "any", team text) */
Datum
leadstream_create_lead(PG_FUNCTION_ARGS)
{
	ContactSource *contacts;
	const char *account;
	OwnerState	owner;
	Datum		key;
	char	   *name;
	int32		team_id;
	Team		team;
	int64		lead_id;
	Datum		values[2];

	PreventCommandIfReadOnly("leadstream.create_lead()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("contact must not be null")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("team must not be null")));
	contacts = ls_catalog_need_contacts();

	account = ls_contact_account(contacts);
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	team_id = find_team(name, account);
	key = ls_contact_arg(fcinfo, 0, contacts);
	ls_contact_hold(contacts, key, account, false);
	team = hold_team(team_id, name);

	if (!ls_owner_begin(&owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"leadstream.lead\" does not exist"),
				 errhint("Call leadstream.attach_contacts to create it.")));
	values[0] = key;
	values[1] = Int32GetDatum(team_id);
	if (ls_owner_run(OWNER_FIND_LEAD, contacts, values, NULL) > 0)
	{
		bool		isnull;
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		lead_id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		if (!DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull)))
		{
			values[0] = Int64GetDatum(lead_id);
			ls_owner_run(OWNER_MARK_MANUAL, contacts, values, NULL);
		}
	}
	else
	{
		if (!team.is_active)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("team \"%s\" is not active", name),
					 errdetail("It takes no new leads."),
					 errhint("Activate it first: select leadstream.activate_team(%s);",
							 quote_literal_cstr(name))));
		lead_id = make_lead(contacts, key, team_id, account);
		ls_new_leads_made(team.hands_out ? bms_make_singleton(team_id) : NULL,
						  team.notifies ? bms_make_singleton(team_id) : NULL);
	}
	ls_owner_end(&owner);
	PG_RETURN_INT64(lead_id);
}
