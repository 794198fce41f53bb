/*-------------------------------------------------------------------------
 *
 * score_await.c
 *	  Having the scores of a contact judged anew.
 *
 * Where two contacts are merged, activities may be moved past capture, and
 * after it.  So the scores that are kept of both are marked as of no version and
 * as due: whoever comes upon them judges them, the next tick() at the latest.
 * Written as the owner of the table, for it is nobody's right but a consequence.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "contact_hold.h"
#include "guc.h"
#include "owner_sql.h"
#include "score_read.h"

PG_FUNCTION_INFO_V1(leadstream_await_scores);

/* The enabled sets of an account, as an array; how many they are. */
static int
sets_of_account(const char *account, Datum *array)
{
	List	   *ids = ls_score_set_ids(NULL);
	Datum	   *sets = palloc(sizeof(Datum) * Max(list_length(ids), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, ids)
	{
		ScoreSetRow *row = ls_score_set_read(lfirst_int(lc), NULL);

		if (row && row->is_enabled && strcmp(row->account, account) == 0)
			sets[n++] = Int32GetDatum(row->score_set_id);
	}
	*array = ls_owner_array(sets, NULL, n, INT4OID);
	return n;
}

/* _await_scores(contact text): of a contact of the current account that is locked */
Datum
leadstream_await_scores(PG_FUNCTION_ARGS)
{
	ContactSource *contacts = ls_catalog_need_contacts();
	Datum		values[3];
	OwnerState	owner;
	Oid			input;
	Oid			ioparam;

	PreventCommandIfReadOnly("leadstream._await_scores()");
	if (!OidIsValid(ls_catalog_relid("score")) ||
		sets_of_account(ls_contact_account(contacts), &values[1]) == 0)
		PG_RETURN_VOID();
	getTypeInputInfo(contacts->key_base, &input, &ioparam);
	values[0] = OidInputFunctionCall(input, text_to_cstring(PG_GETARG_TEXT_PP(0)), ioparam, -1);
	values[2] = TimestampTzGetDatum(ls_clock_read());
	if (ls_owner_begin_of(ls_catalog_relid("score"), &owner))
	{
		ls_owner_run(OWNER_AWAIT_SCORES, contacts, values, NULL);
		ls_owner_end(&owner);
	}
	PG_RETURN_VOID();
}
