/*-------------------------------------------------------------------------
 *
 * contact_hold.c
 *	  Contacts named by somebody who works leads, locked.
 *
 * They are locked like all contacts whose leads are written, which takes no
 * right on their table.  _hold_contacts() does so for functions in SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "contact_hold.h"
#include "contact_lock.h"
#include "guc.h"
#include "rule_eval.h"

PG_FUNCTION_INFO_V1(leadstream_hold_contacts);

const char *
ls_contact_account(ContactSource *contacts)
{
	if (contacts->account_name == NULL)
		return "";
	if (*ls_guc_account == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no account is set"),
				 errdetail("The contacts belong to accounts, and so do streams, teams and leads."),
				 errhint("Name the account to work in: set leadstream.account = '...';")));
	return ls_guc_account;
}

void
ls_contact_hold(ContactSource *contacts, Datum key, const char *account, bool is_going)
{
	RowLocker  *locker = ls_contact_lock_begin(contacts);
	bool		exists;

	if (is_going)
		ls_row_lock_exclude(locker);
	exists = ls_contact_lock(locker, key);
	ls_row_lock_end(locker);
	if (exists)
	{
		Snapshot	snapshot;
		Judge	   *judge;

		CommandCounterIncrement();
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		judge = ls_judge_begin(contacts, snapshot, ls_clock_read(),
							   InvalidCommandId, InvalidOid);
		exists = ls_judge_contact(judge, key) &&
			strcmp(ls_judge_account(judge), account) == 0;
		ls_judge_end(judge);
		UnregisterSnapshot(snapshot);
	}
	if (!exists)
	{
		Oid			output;
		bool		is_varlena;

		getTypeOutputInfo(contacts->key_type, &output, &is_varlena);
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("contact \"%s\" does not exist",
						OidOutputFunctionCall(output, key)),
				 errdetail("There is no such \"%s\" in table \"%s\"%s.",
						   contacts->key_name, get_rel_name(contacts->relid),
						   *account ? " for the current account" : "")));
	}
}

/*
 * _hold_contacts(from_contact text, into_contact text): lock two contacts of the
 * current account, of which the one is about to go.  Whoever brings a row for that
 * one waits in his foreign key then, before he has any lock that its deletion would
 * wait for.
 */
Datum
leadstream_hold_contacts(PG_FUNCTION_ARGS)
{
	ContactSource *contacts = ls_catalog_need_contacts();
	const char *account = ls_contact_account(contacts);
	ContactOrder order;
	Oid			input;
	Oid			ioparam;
	Datum		from;
	Datum		into;
	bool		is_first;

	PreventCommandIfReadOnly("leadstream._hold_contacts()");
	getTypeInputInfo(contacts->key_base, &input, &ioparam);
	from = OidInputFunctionCall(input, text_to_cstring(PG_GETARG_TEXT_PP(0)), ioparam, -1);
	into = OidInputFunctionCall(input, text_to_cstring(PG_GETARG_TEXT_PP(1)), ioparam, -1);
	/* everybody's order */
	ls_contact_order_init(&order, contacts);
	is_first = ls_contact_cmp(&order, from, into) < 0;
	ls_contact_hold(contacts, is_first ? from : into, account, is_first);
	ls_contact_hold(contacts, is_first ? into : from, account, !is_first);
	PG_RETURN_VOID();
}
