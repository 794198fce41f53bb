/*-------------------------------------------------------------------------
 *
 * sight.c
 *	  Whose leads somebody sees, and functions that run as somebody else.
 *
 * Roles that work leads have no rights on leadstream's tables.  What they call
 * is a door: a function in C that becomes the owner of the lead tables, calls
 * the function whose name is its own with an underscore before it, of the
 * same arguments, and is its caller again.  It is like SECURITY DEFINER, but
 * for the owner, who is not known when the extension is installed: triggers
 * that he puts on his lead tables must run with his rights and not with those
 * of the owner of the extension, a superuser.
 *
 * Behind a door the rights of the caller cannot be asked for any more, so it
 * keeps who he is; what may be done then is asked of leadstream.is_in_sight(),
 * which answers for him.  A door behind a door is opened for the first caller.
 * Behind them are functions of leadstream only, with a search_path of their
 * own, none of which calls what a caller names.
 *
 * What somebody sees is written down in SQL (91_access.sql); this file only
 * asks, by a door of the other kind: it becomes the owner of the extension's
 * own tables, for everybody may ask what he sees himself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "sight.h"

PG_FUNCTION_INFO_V1(leadstream_caller);
PG_FUNCTION_INFO_V1(leadstream_as_lead_owner);
PG_FUNCTION_INFO_V1(leadstream_as_owner);

/* Who called the outermost door that is open; invalid: none is. */
static Oid	door_caller = InvalidOid;

/* The owner of one of leadstream's tables; invalid if it is not there. */
static Oid
owner_of(const char *table)
{
	Oid			relid = ls_catalog_relid(table);
	HeapTuple	tuple;
	Oid			owner;

	if (!OidIsValid(relid))
		return InvalidOid;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The function behind a door. */
static FmgrInfo *
find_inner(FmgrInfo *door)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(door->fn_oid));
	Form_pg_proc proc;
	char	   *name;
	Oid			inner;
	FmgrInfo   *result;

	if (!HeapTupleIsValid(tuple))	/* cannot happen: it is being called */
		elog(ERROR, "cache lookup failed for function %u", door->fn_oid);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	name = psprintf("_%s", NameStr(proc->proname));
	inner = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							CStringGetDatum(name), PointerGetDatum(&proc->proargtypes),
							ObjectIdGetDatum(proc->pronamespace));
	if (!OidIsValid(inner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function \"%s\" of the same arguments does not exist", name),
				 errhint("Update the extension: alter extension leadstream update;")));
	ReleaseSysCache(tuple);

	result = MemoryContextAlloc(door->fn_mcxt, sizeof(FmgrInfo));
	fmgr_info_cxt(inner, result, door->fn_mcxt);
	result->fn_expr = door->fn_expr;
	return result;
}

/* Call what is behind a door as another role. */
static Datum
go_through(FunctionCallInfo fcinfo, Oid role)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	FmgrInfo   *inner = fcinfo->flinfo->fn_extra;
	Oid			outer_caller = door_caller;
	Oid			userid;
	int			sec_context;
	Datum		result;

	if (inner == NULL)
		fcinfo->flinfo->fn_extra = inner = find_inner(fcinfo->flinfo);
	InitFunctionCallInfoData(*call, inner, fcinfo->nargs, fcinfo->fncollation,
							 fcinfo->context, fcinfo->resultinfo);
	memcpy(call->args, fcinfo->args, sizeof(NullableDatum) * fcinfo->nargs);

	GetUserIdAndSecContext(&userid, &sec_context);
	if (!OidIsValid(door_caller))
		door_caller = userid;
	SetUserIdAndSecContext(role, sec_context |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	/* after an error the transaction sets the user back, but not our part */
	PG_TRY();
	{
		result = FunctionCallInvoke(call);
	}
	PG_FINALLY();
	{
		door_caller = outer_caller;
	}
	PG_END_TRY();
	SetUserIdAndSecContext(userid, sec_context);
	fcinfo->isnull = call->isnull;
	return result;
}

/* One of leadstream's own functions of SQL. */
static Oid
own_function(const char *name, int nargs, const Oid *argtypes)
{
	return LookupFuncName(list_make2(makeString("leadstream"), makeString(pstrdup(name))),
						  nargs, argtypes, false);
}

/* _caller(): on whose behalf things are done, as an OID */
Datum
leadstream_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(OidIsValid(door_caller) ? door_caller : GetUserId());
}

/* The door to what works leads, for those who see some of the account's. */
Datum
leadstream_as_lead_owner(PG_FUNCTION_ARGS)
{
	Oid			owner;

	if (!OidIsValid(owner = owner_of("lead")))
	{
		(void) ls_catalog_need_contacts();
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"leadstream.lead\" does not exist"),
				 errhint("Call leadstream.attach_contacts to create it.")));
	}
	/* what errors say of an account is not for those who see nothing of it */
	(void) OidFunctionCall0(own_function("check_sight", 0, NULL));
	return go_through(fcinfo, owner);
}

/* The door to what tells a caller of himself. */
Datum
leadstream_as_owner(PG_FUNCTION_ARGS)
{
	Oid			owner = owner_of("team");

	if (!OidIsValid(owner))		/* cannot happen: it came with the function */
		elog(ERROR, "table \"leadstream.team\" does not exist");
	return go_through(fcinfo, owner);
}

bool
ls_sight_includes(int32 team_id)
{
	static const Oid argtypes[] = {INT4OID};

	return DatumGetBool(OidFunctionCall1(own_function("is_in_sight", 1, argtypes),
										 Int32GetDatum(team_id)));
}
