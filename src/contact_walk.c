/*-------------------------------------------------------------------------
 *
 * contact_walk.c
 *	  The contacts, part by part, in the order of their keys.
 *
 * Who has something to do with all contacts, and more of them than one
 * transaction should have locked, walks: he takes the next ones behind a
 * position, and puts the key of the last on record in the same transaction.  So
 * whatever ends a walk, it goes on from there.  A contact that comes meanwhile,
 * or gets another key, may be before the position; who walks must not depend on
 * those.
 *
 * The position is a key as text, in a form that every session reads alike.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "bind_operand.h"
#include "contact_walk.h"
#include "owner_sql.h"
#include "sql_parts.h"

/* What the text of a key must not depend on. */
static int
fix_settings(void)
{
	static const char *const settings[][2] = {
		{"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"}, {"extra_float_digits", "3"}
	};
	int			nestlevel = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nestlevel;
}

static Datum
key_of_position(const ContactSource *contacts, const char *position)
{
	int			nestlevel = fix_settings();
	Oid			function;
	Oid			ioparam;
	Datum		result;

	getTypeInputInfo(contacts->key_base, &function, &ioparam);
	result = OidInputFunctionCall(function, unconstify(char *, position), ioparam, -1);
	AtEOXact_GUC(true, nestlevel);
	return result;
}

static char *
position_of_key(const ContactSource *contacts, Datum key)
{
	int			nestlevel = fix_settings();
	Oid			function;
	bool		is_varlena;
	char	   *result;

	getTypeOutputInfo(contacts->key_base, &function, &is_varlena);
	result = OidOutputFunctionCall(function, key);
	AtEOXact_GUC(true, nestlevel);
	return result;
}

/* The query of the contacts behind $1, if there is one, of which $2 are wanted. */
static char *
next_sql(ContactSource *contacts, const char *account, bool has_after)
{
	const char *key = quote_identifier(contacts->key_name);
	StringInfoData where;

	initStringInfo(&where);
	if (has_after)
		appendStringInfo(&where, "c.%s %s $1", key,
						 ls_sql_key_operator(contacts, BTGreaterStrategyNumber));
	ls_sql_append_account(&where, contacts, account);
	return psprintf("select c.%s::%s from %s c%s%s order by c.%s limit $2", key,
					ls_bind_type_name(contacts->key_base),
					ls_sql_table_name(contacts->relid), where.len ? " where " : "",
					where.data, key);
}

static bool
may_read(Oid relid, AttrNumber attno)
{
	return pg_attribute_aclcheck(relid, attno, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Who calls need have no rights on the contacts, so where their owner, whom we
 * have become, has taken his own away, say whose are missing.
 */
static void
check_owner(const ContactSource *contacts)
{
	char	   *table;
	const char *owner;

	if (pg_class_aclcheck(contacts->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		(may_read(contacts->relid, contacts->key_attno) &&
		 (contacts->account_name == NULL || may_read(contacts->relid, contacts->account_attno))))
		return;
	table = ls_sql_table_name(contacts->relid);
	owner = GetUserNameFromId(GetUserId(), false);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for table %s", get_rel_name(contacts->relid)),
			 errdetail("The contacts are read as their owner, \"%s\", who has no SELECT on them.", owner),
			 errhint("Run: grant select on table %s to %s;", table, quote_identifier(owner))));
}

static void
begin_reading(ContactSource *contacts, bool as_owner, OwnerState *owner)
{
	/* cannot happen, but to who has not locked them when somebody drops them */
	if (as_owner ? !ls_owner_begin_of(contacts->relid, owner) : SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not read table %u", contacts->relid);
	if (as_owner)
		check_owner(contacts);
}

static void
end_reading(bool as_owner, OwnerState *owner)
{
	if (as_owner)
		ls_owner_end(owner);
	else
		SPI_finish();
}

/* A copy of a key of what was just fetched. */
static Datum
fetched_key(uint64 i, const ContactSource *contacts)
{
	bool		isnull;
	Datum		key = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

	return contacts->key_len == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(key)) :
		datumCopy(key, contacts->key_byval, contacts->key_len);
}

void
ls_walk_next(ContactSource *contacts, const char *account, const char *position,
			 int limit, bool as_owner, bool with_keys, WalkPart *part)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[2] = {contacts->key_base, INT4OID};
	Datum		values[2] = {0, Int32GetDatum(limit)};
	OwnerState	owner;
	Portal		portal;

	memset(part, 0, sizeof(WalkPart));
	part->has_after = position != NULL;
	if (part->has_after)
		values[0] = part->after = key_of_position(contacts, position);

	begin_reading(contacts, as_owner, &owner);
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	portal = SPI_cursor_open_with_args(NULL, next_sql(contacts, account, part->has_after), 2,
									   types, values, part->has_after ? "  " : "n ", true, 0);
	if (!with_keys && limit > 1)
	{
		SPI_cursor_move(portal, true, limit - 1);
		part->count = SPI_processed;
	}
	SPI_cursor_fetch(portal, true, with_keys ? limit : 1);
	MemoryContextSwitchTo(caller);
	if (with_keys)
		part->keys = palloc_extended(sizeof(Datum) * Max(SPI_processed, 1), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		part->upto = fetched_key(i, contacts);
		if (with_keys)
			part->keys[i] = part->upto;
	}
	part->count += SPI_processed;
	part->has_upto = part->count == limit;
	if (part->has_upto)
		part->position = position_of_key(contacts, part->upto);
	SPI_cursor_close(portal);
	PopActiveSnapshot();
	end_reading(as_owner, &owner);
	MemoryContextSwitchTo(caller);
}

int64
ls_walk_length(ContactSource *contacts, const char *account, bool as_owner)
{
	StringInfoData where;
	OwnerState	owner;
	SPIPlanPtr	plan;
	CachedPlan *cached;
	double		rows = 0;

	begin_reading(contacts, as_owner, &owner);
	initStringInfo(&where);
	ls_sql_append_account(&where, contacts, account);
	plan = SPI_prepare(psprintf("select from %s c%s%s", ls_sql_table_name(contacts->relid),
								where.len ? " where " : "", where.data), 0, NULL);
	cached = SPI_plan_get_cached_plan(plan);
	if (cached)
	{
		rows = linitial_node(PlannedStmt, cached->stmt_list)->planTree->plan_rows;
		/* of a plan that is not kept, nobody but we have it */
		ReleaseCachedPlan(cached, NULL);
	}
	end_reading(as_owner, &owner);
	return (int64) Min(rows, 1e15);
}
