/*-------------------------------------------------------------------------
 *
 * contact_arg.c
 *	  A contact's key as an argument of any type, and the account asked for.
 *
 * The key of the contacts may be of any type, and which one is not known when
 * the extension is installed.  Functions that take a contact are declared with
 * "any", so that 42, '42' and a column of the right type all do; what is not
 * of the key's type goes through its text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "contact_arg.h"
#include "guc.h"

Datum
ls_contact_arg(FunctionCallInfo fcinfo, int n, ContactSource *contacts)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, n);
	Datum		value = PG_GETARG_DATUM(n);
	char	   *text;
	Oid			function;
	Oid			ioparam;
	bool		is_varlena;

	if (type == contacts->key_type || getBaseType(type) == contacts->key_base)
		return value;
	if (type == UNKNOWNOID)
		text = DatumGetCString(value);
	else
	{
		getTypeOutputInfo(type, &function, &is_varlena);
		text = OidOutputFunctionCall(function, value);
	}
	getTypeInputInfo(contacts->key_base, &function, &ioparam);
	return OidInputFunctionCall(function, text, ioparam, -1);
}

const char *
ls_asked_account(const ContactSource *contacts)
{
	return contacts->account_name && ls_guc_account[0] ? ls_guc_account : NULL;
}
