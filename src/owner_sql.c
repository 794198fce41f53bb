/*-------------------------------------------------------------------------
 *
 * owner_sql.c
 *	  Statements on the lead tables, run as their owner.
 *
 * Whoever inserts an activity needs no rights on the lead tables: they are
 * written as foreign keys act, in the name of the table's owner, who is not
 * subject to his own row security, with a search_path that nobody can bend.
 * SECURITY_RESTRICTED_OPERATION is not for us: it forbids the owner's own
 * triggers and deferred foreign keys too much.
 *
 * All statements are set-based: many leads go in one.  Their plans are kept
 * for the session and generic, and must be right for one lead and for a
 * million, in tables that were empty when the plan was made.  So they leave
 * the planner no choice: no joins, but subqueries that OFFSET 0 keeps from
 * being pulled up, arrays of ids, only one index that fits ("+ 0" hides a
 * column from the others), and no sequential scans, which are switched off
 * while plans are made.
 *
 * The key type is the contacts', so is its equality operator, which is named
 * with its schema because the search_path does not find that of a type from
 * elsewhere.  The plan cache plans again where the tables change; a change of
 * the key type, which only new lead tables can bring, starts a new set.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "owner_sql.h"

#define MAX_OWNER_ARGS	10

typedef struct StatementText
{
	/* anyelement stands for the key type, anyarray for its array type */
	Oid			argtypes[MAX_OWNER_ARGS];
	/* "%" stands for the equality operator of keys */
	const char *text;
} StatementText;

#define MAKE_MATCHES_ARGS \
	{INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, \
	JSONBARRAYOID, TIMESTAMPTZOID, TEXTOID}
#define MAKE_MATCHES_TEXT \
	"insert into leadstream.lead_match " \
	" (lead_id, stream_id, rule_version, matched_at, created_at, origin, evidence) " \
	"select p.lead_id, p.stream_id, p.rule_version, p.matched_at, $6, $7, p.evidence " \
	"from rows from (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5))" \
	" as p (lead_id, stream_id, rule_version, matched_at, evidence)"

static const StatementText statements[OWNER_STATEMENTS] = {
	/*
	 * The leads of pairs of a contact and a team that have none, as far as the
	 * caller knows: contacts, teams, stages, created_at, made by hand?
	 * Returns those made, in the order of the pairs, which unnest() keeps.
	 */
	[OWNER_MAKE_LEADS] = {
		{ANYARRAYOID, INT4ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, BOOLOID},
		"insert into leadstream.lead "
		" (contact_id, team_id, stage, is_manual, created_at, stage_changed_at) "
		"select p.contact_id, p.team_id, p.stage, $5, $4, $4 "
		"from rows from (unnest($1), unnest($2), unnest($3))"
		" as p (contact_id, team_id, stage) "
		"on conflict (contact_id, team_id) do nothing "
		"returning lead_id, contact_id, team_id, stage"
	},

	/*
	 * Those of pairs, counted from 1, whose lead was deleted by hand, the last
	 * time there was one: contacts, teams.
	 *
	 * The last event is found by array_agg, for a LIMIT or max() would tempt
	 * the planner to walk the primary key backwards.
	 */
	[OWNER_FIND_DELETED] = {
		{ANYARRAYOID, INT4ARRAYOID},
		"select p.i from rows from (unnest($1), unnest($2))"
		" with ordinality as p (contact_id, team_id, i) "
		"where (select (array_agg(e.what order by e.event_id desc))[1]"
		"  from leadstream.lead_event e"
		"  where e.contact_id % p.contact_id and e.team_id = p.team_id) = 'deleted'"
	},

	/*
	 * The events of leads made: leads, contacts, teams, stages, notes,
	 * streams, null of those made by hand, at, actor.
	 */
	[OWNER_NOTE_CREATED] = {
		{INT8ARRAYOID, ANYARRAYOID, INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		INT4ARRAYOID, TIMESTAMPTZOID, TEXTOID},
		"insert into leadstream.lead_event "
		" (lead_id, contact_id, team_id, at, actor, what, new, note, stream_id) "
		"select p.lead_id, p.contact_id, p.team_id, $7, $8, 'created', p.stage, p.note, p.stream_id "
		"from rows from (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6))"
		" as p (lead_id, contact_id, team_id, stage, note, stream_id)"
	},

	/* Those of further matches: leads, contacts, teams, streams, notes, at, actor. */
	[OWNER_NOTE_MATCHED] = {
		{INT8ARRAYOID, ANYARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TEXTARRAYOID,
		TIMESTAMPTZOID, TEXTOID},
		"insert into leadstream.lead_event "
		" (lead_id, contact_id, team_id, at, actor, what, note, stream_id) "
		"select p.lead_id, p.contact_id, p.team_id, $6, $7, 'matched', p.note, p.stream_id "
		"from rows from (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5))"
		" as p (lead_id, contact_id, team_id, stream_id, note)"
	},

	/*
	 * The matches of leads that are there: leads, streams, rule versions,
	 * matched_at, evidence, created_at, origin.  Returns those made, leads and
	 * streams, in the order they came.
	 */
	[OWNER_MAKE_MATCHES] = {
		MAKE_MATCHES_ARGS, MAKE_MATCHES_TEXT " on conflict (lead_id, stream_id) do nothing"
		" returning lead_id, stream_id"
	},

	/* The same in place of those that are there. */
	[OWNER_RENEW_MATCHES] = {
		MAKE_MATCHES_ARGS, MAKE_MATCHES_TEXT " on conflict (lead_id, stream_id) do update "
		"set rule_version = excluded.rule_version, matched_at = excluded.matched_at,"
		" created_at = excluded.created_at, origin = excluded.origin, evidence = excluded.evidence"
	},

	/* Put leads into a stage: leads, stage, at. */
	[OWNER_REOPEN_LEADS] = {
		{INT8ARRAYOID, TEXTOID, TIMESTAMPTZOID},
		"update leadstream.lead set stage = $2, stage_changed_at = $3 where lead_id = any ($1)"
	},

	/*
	 * The events of that: leads, contacts, teams, old stages, stages, notes,
	 * streams, at, actor.
	 */
	[OWNER_NOTE_REOPENED] = {
		{INT8ARRAYOID, ANYARRAYOID, INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		INT4ARRAYOID, TIMESTAMPTZOID, TEXTOID},
		"insert into leadstream.lead_event "
		" (lead_id, contact_id, team_id, at, actor, what, old, new, note, stream_id) "
		"select p.lead_id, p.contact_id, p.team_id, $8, $9, 'reopened', p.old, p.new, p.note, p.stream_id "
		"from rows from (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6),"
		" unnest($7)) as p (lead_id, contact_id, team_id, old, new, note, stream_id)"
	},

	/* The lead of a contact and a team: lead_id, is_manual. */
	[OWNER_FIND_LEAD] = {
		{ANYELEMENTOID, INT4OID},
		"select l.lead_id, l.is_manual from leadstream.lead l "
		"where l.contact_id % $1 and l.team_id + 0 = $2"
	},

	[OWNER_MARK_MANUAL] = {
		{INT8OID},
		"update leadstream.lead set is_manual = true where lead_id = $1"
	},

	/* The leads that a stream made, with their contacts, in any order. */
	[OWNER_LEADS_OF_STREAM] = {
		{INT4OID},
		"select l.lead_id, l.contact_id from leadstream.lead_match m "
		"cross join lateral (select o.lead_id, o.contact_id from leadstream.lead o"
		" where o.lead_id = m.lead_id offset 0) l "
		"where m.stream_id = $1"
	},

	/* Take a stream's matches off leads: leads, stream; returns the leads. */
	[OWNER_CLEAR_MATCHES] = {
		{INT8ARRAYOID, INT4OID},
		"delete from leadstream.lead_match m "
		"where m.lead_id = any ($1) and m.stream_id + 0 = $2 returning m.lead_id"
	},

	/*
	 * The events of leads that lost the match of a stream: leads, at, actor,
	 * note, stream; returns the leads that nothing holds any more.  Must be
	 * written before these go, for the trigger on lead takes a deletion without
	 * it as one by hand.
	 */
	[OWNER_NOTE_CLEARED] = {
		{INT8ARRAYOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT4OID},
		"with noted as ("
		" insert into leadstream.lead_event "
		"  (lead_id, contact_id, team_id, at, actor, what, old, note, stream_id)"
		" select l.lead_id, l.contact_id, l.team_id, $2, $3,"
		"  case when l.is_held then 'unmatched' else 'cleared' end,"
		"  case when not l.is_held then l.stage end, $4, $5"
		" from (select o.*, o.is_manual or exists (select from leadstream.lead_match m"
		"   where m.lead_id = o.lead_id offset 0) as is_held"
		"  from leadstream.lead o where o.lead_id = any ($1) offset 0) l"
		" returning lead_id, what) "
		"select n.lead_id from noted n where n.what = 'cleared'"
	},

	[OWNER_CLEAR_LEADS] = {
		{INT8ARRAYOID},
		"delete from leadstream.lead where lead_id = any ($1)"
	},

	/* Take the matches of a lead with it: lead.  No contacts are needed. */
	[OWNER_FORGET_MATCHES] = {
		{INT8OID},
		"delete from leadstream.lead_match where lead_id = $1 returning stream_id"
	},

	/* Take the matches of a stream with it: stream.  Nor here. */
	[OWNER_FORGET_STREAM] = {
		{INT4OID},
		"delete from leadstream.lead_match where stream_id = $1"
	},

	/*
	 * The event of a lead deleted, unless clear() or delete_lead() has written
	 * one: lead, contact, team, at, actor, stage.
	 */
	[OWNER_NOTE_DELETED] = {
		{INT8OID, ANYELEMENTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID},
		"insert into leadstream.lead_event "
		" (lead_id, contact_id, team_id, at, actor, what, old) "
		"select $1, $2, $3, $4, $5, 'deleted', $6 "
		"where not exists (select from leadstream.lead_event e"
		"  where e.lead_id = $1 and e.what in ('cleared', 'deleted') offset 0)"
	},

	/*
	 * The leads that the running transaction has made, behind one by id:
	 * transaction, lead, only those that are nobody's?  One that came with a
	 * dump may name the same transaction of another cluster; but its row is
	 * older.
	 */
	[OWNER_FIND_NEW] = {
		{XID8OID, INT8OID, BOOLOID},
		"select l.lead_id, l.team_id from leadstream.lead l "
		"where l.made_by = $1 and l.lead_id > $2"
		" and not ($3 and l.assignee_id is not null) and age(l.xmin) <= 0 "
		"order by l.made_by, l.lead_id limit 5000"
	},

	/* Those of leads that are there and nobody's: leads. */
	[OWNER_FIND_NOBODYS] = {
		{INT8ARRAYOID},
		"select l.lead_id from leadstream.lead l "
		"where l.lead_id = any ($1) and l.assignee_id + 0 is null order by l.lead_id"
	},

	/*
	 * How many open leads of a team are those of sales users: team, users.
	 * One open stage after the other, for what they have closed only grows;
	 * that rows are compared, and twice, leaves one index.
	 */
	[OWNER_COUNT_OPEN] = {
		{INT4OID, INT4ARRAYOID},
		"select p.id, (select count(*) from unnest(array("
		"   select distinct s.stage from leadstream.stage s"
		"   where not s.is_closed and s.account in ('',"
		"    (select t.account from leadstream.team t where t.team_id = $1))"
		"   and (s.account <> '' or not exists (select from leadstream.stage o"
		"    where o.account = (select t.account from leadstream.team t where t.team_id = $1)"
		"    and o.stage = s.stage and o.is_closed offset 0)))) as s (stage)"
		"  cross join lateral (select from leadstream.lead l"
		"   where l.assignee_id = p.id and l.team_id + 0 = $1"
		"   and (l.assignee_id, l.stage) >= (p.id, s.stage)"
		"   and (l.assignee_id, l.stage) <= (p.id, s.stage) offset 0) l) "
		"from unnest($2) as p (id)"
	},

	/* Give leads to a sales user: leads, user. */
	[OWNER_ASSIGN_LEADS] = {
		{INT8ARRAYOID, INT4OID},
		"update leadstream.lead set assignee_id = $2 where lead_id = any ($1)"
	},

	/* The events of that, of leads that were nobody's: leads, names, at, actor. */
	[OWNER_NOTE_ASSIGNED] = {
		{INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID},
		"insert into leadstream.lead_event "
		" (lead_id, contact_id, team_id, at, actor, what, new, note) "
		"select l.lead_id, l.contact_id, l.team_id, $3, $4, 'assigned', p.name, 'in turn' "
		"from rows from (unnest($1), unnest($2)) as p (lead_id, name) "
		"cross join lateral (select o.lead_id, o.contact_id, o.team_id from leadstream.lead o"
		" where o.lead_id = p.lead_id offset 0) l"
	},

	/* Who of a team was handed the last lead: team, user. */
	[OWNER_MAKE_TURN] = {
		{INT4OID, INT4OID},
		"insert into leadstream.hand_out (team_id, sales_user_id) values ($1, nullif($2, 0)) "
		"on conflict do nothing"
	},
	[OWNER_WRITE_TURN] = {
		{INT4OID, INT4OID},
		"update leadstream.hand_out set sales_user_id = $2 where team_id = $1"
	},

	/*
	 * What waits in places.  Whom the contact's lock does not keep away, a tick
	 * that seeds or sweeps, is left alone with his: a REPEATABLE READ
	 * transaction would fail otherwise.
	 */
	[OWNER_REMOVE_DUE] = {
		{TIDARRAYOID},
		"delete from leadstream.due d where d.ctid = any (array("
		"select w.ctid from leadstream.due w where w.ctid = any ($1) for update skip locked))"
	},

	/* What is to wait: contacts, streams, runs, at, arrival, seeds? */
	[OWNER_SET_DUE] = {
		{ANYARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, BOOLARRAYOID, BOOLOID},
		"insert into leadstream.due as d (contact_id, stream_id, is_seed, run, at, arrival) "
		"select p.contact_id, p.stream_id, $6, p.run, p.at, p.arrival "
		"from rows from (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5))"
		" with ordinality as p (contact_id, stream_id, run, at, arrival, i) "
		"order by p.i "
		"on conflict (contact_id, stream_id, is_seed) do update "
		"set run = excluded.run, at = excluded.at, arrival = excluded.arrival"
	},

	/*
	 * A contact has to be looked at, as far as nothing waits of it: contact,
	 * streams, runs, at.
	 */
	[OWNER_AWAIT] = {
		{ANYELEMENTOID, INT4ARRAYOID, INT4ARRAYOID, TIMESTAMPTZOID},
		"insert into leadstream.due as d (contact_id, stream_id, is_seed, run, at, arrival) "
		"select $1, p.stream_id, true, p.run, $4, true "
		"from rows from (unnest($2), unnest($3)) as p (stream_id, run) "
		"on conflict (contact_id, stream_id, is_seed) do update "
		"set run = excluded.run, at = excluded.at, arrival = excluded.arrival "
		"where d.run < excluded.run"
	},

	/*
	 * Seeds of streams that were not seeded to the end; who judges must not
	 * meet them while they are written again: streams.
	 */
	[OWNER_UNDO_SEEDS] = {
		{INT4ARRAYOID},
		"delete from leadstream.due d where d.ctid = any (array("
		"select w.ctid from leadstream.due w where w.stream_id = any ($1) and w.is_seed for update skip locked))"
	},

	/* Nothing waits of a stream's runs before one any more: stream, run, limit. */
	[OWNER_EMPTY_DUE] = {
		{INT4OID, INT4OID, INT8OID},
		"delete from leadstream.due d where d.ctid = any (array("
		"select w.ctid from leadstream.due w where w.stream_id = $1 and w.run < $2"
		" limit $3 for update skip locked))"
	},

	/*
	 * Seeds of contacts of which more is known, and markers, of streams that
	 * have been seeded: streams.  A marker that comes in between still stands
	 * against its seed.  One stream after the other, for an array tempts the
	 * planner to walk all of the primary key for each; and what stands beside
	 * what is told by reading all that waits of the stream once, for to look it
	 * up is to read all that waits of the contact.
	 */
	[OWNER_DROP_SEEDS] = {
		{INT4ARRAYOID},
		"with pair as materialized (select g.* from unnest($1) as p (stream_id)"
		" cross join lateral (select min(o.ctid) filter (where o.is_seed) as seed,"
		"   min(o.ctid) filter (where not o.is_seed and o.at = 'infinity') as marker"
		"  from (select w.*, w.ctid from leadstream.due w"
		"   where w.stream_id = p.stream_id offset 0) o"
		"  group by o.contact_id, o.run"
		"  having count(*) > 1 or bool_or(not o.is_seed and o.at = 'infinity')) g) "
		"delete from leadstream.due d where d.ctid = any ("
		"array(select p.seed from pair p where p.seed is not null) || "
		"array(select w.ctid from leadstream.due w"
		" where w.ctid = any (array(select p.marker from pair p where p.marker is not null))"
		" for update skip locked))"
	},

	/*
	 * The scores of contacts: contacts, sets, versions, points, where the rules
	 * that pay begin and end in the list of all, next_at, this list, settled_at.
	 */
	[OWNER_KEEP_SCORES] = {
		{ANYARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
		TIMESTAMPTZARRAYOID, INT4ARRAYOID, TIMESTAMPTZOID},
		"insert into leadstream.score as s"
		" (contact_id, score_set_id, version, points, paying, next_at, settled_at) "
		"select p.contact_id, p.score_set_id, p.version, p.points, ($8)[p.first:p.last], p.next_at, $9 "
		"from rows from (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7))"
		" with ordinality as p (contact_id, score_set_id, version, points, first, last, next_at, i) "
		"order by p.i "
		"on conflict (contact_id, score_set_id) do update "
		"set version = excluded.version, points = excluded.points, paying = excluded.paying,"
		" next_at = excluded.next_at, settled_at = greatest(s.settled_at, excluded.settled_at)"
	},

	/*
	 * They are no longer of the set's, or gone: contacts, sets.  Of one that is
	 * gone another tick may be removing them, too.
	 */
	[OWNER_REMOVE_SCORES] = {
		{ANYARRAYOID, INT4ARRAYOID},
		"delete from leadstream.score s where s.ctid = any (array("
		"select o.ctid from rows from (unnest($1), unnest($2)) as p (contact_id, score_set_id)"
		" cross join lateral (select w.ctid from leadstream.score w"
		"  where w.contact_id % p.contact_id and w.score_set_id + 0 = p.score_set_id offset 0"
		"  for update skip locked) o))"
	},

	/* The scores of a contact have to be judged anew: contact, sets, now. */
	[OWNER_AWAIT_SCORES] = {
		{ANYELEMENTOID, INT4ARRAYOID, TIMESTAMPTZOID},
		"insert into leadstream.score as s"
		" (contact_id, score_set_id, version, points, paying, next_at, settled_at) "
		"select $1, p.score_set_id, 0, 0, '{}', $3, $3 from unnest($2) as p (score_set_id) "
		"on conflict (contact_id, score_set_id) do update set version = 0, next_at = excluded.next_at"
	},

	/* What horizon.c notes: known, seen, awaited. */
	[OWNER_READ_HORIZON] = {
		{InvalidOid},
		"select h.known, h.seen, h.awaited from leadstream.horizon h"
	},
	[OWNER_OLDEST_RUNNING] = {
		{InvalidOid},
		"select pg_snapshot_xmin(pg_current_snapshot())"
	},
	[OWNER_MOVE_HORIZON] = {
		{XID8OID, XID8OID, TEXTOID},
		"insert into leadstream.horizon as h (known, seen, awaited) values ($1, $2, $3) "
		"on conflict (singleton) do update "
		"set known = excluded.known, seen = excluded.seen, awaited = excluded.awaited"
	}
};

/* Plans for the key type; they live as long as the backend. */
static SPIPlanPtr plans[OWNER_STATEMENTS];
static Oid	plans_key_type = InvalidOid;

static Oid
key_array_type(ContactSource *contacts)
{
	Oid			array_type = get_array_type(contacts->key_type);

	if (!OidIsValid(array_type))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("contact keys of type %s are not supported",
						format_type_be(contacts->key_type)),
				 errdetail("The type has no array type.")));
	return array_type;
}

static SPIPlanPtr
get_plan(OwnerStatement statement, ContactSource *contacts)
{
	const StatementText *source = &statements[statement];
	Oid			argtypes[MAX_OWNER_ARGS];
	int			nargs;
	const char *operator;
	StringInfoData text;
	SPIPlanPtr	plan;

	if (contacts && plans_key_type != contacts->key_type)
	{
		/* an old one may be running further up; it is forgotten, not freed */
		memset(plans, 0, sizeof(plans));
		plans_key_type = contacts->key_type;
	}
	if (plans[statement])
		return plans[statement];

	for (nargs = 0; nargs < MAX_OWNER_ARGS && OidIsValid(source->argtypes[nargs]); nargs++)
		argtypes[nargs] =
			source->argtypes[nargs] == ANYELEMENTOID ? contacts->key_type :
			source->argtypes[nargs] == ANYARRAYOID ? key_array_type(contacts) :
			source->argtypes[nargs];

	operator = contacts ? ls_catalog_key_operator(contacts) : "";
	initStringInfo(&text);
	for (const char *c = source->text; *c; c++)
	{
		if (*c == '%')
			appendStringInfoString(&text, operator);
		else
			appendStringInfoChar(&text, *c);
	}
	plan = SPI_prepare_cursor(text.data, nargs, argtypes,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)			/* cannot happen: errors are raised */
		elog(ERROR, "SPI_prepare_cursor failed: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	plans[statement] = plan;
	return plan;
}

/* Make the generic plan of a statement, unless there is a good one. */
static void
ensure_planned(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	CachedPlan *cached;
	int			nestlevel;

	if (source->is_valid && source->gplan && source->gplan->is_valid)
		return;
	nestlevel = NewGUCNestLevel();
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	/* the costs of a generic plan are too high to tell what is worth compiling */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	cached = SPI_plan_get_cached_plan(plan);
	if (cached)
		ReleaseCachedPlan(cached, CurrentResourceOwner);
	AtEOXact_GUC(true, nestlevel);
}

bool
ls_owner_begin(OwnerState *state)
{
	return ls_owner_begin_of(ls_catalog_relid("lead"), state);
}

bool
ls_owner_begin_of(Oid relid, OwnerState *state)
{
	HeapTuple	tuple;
	Oid			owner;

	if (!OidIsValid(relid))
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	SPI_connect();
	GetUserIdAndSecContext(&state->userid, &state->sec_context);
	SetUserIdAndSecContext(owner, state->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	state->nestlevel = NewGUCNestLevel();
	ls_restrict_search_path();
	return true;
}

void
ls_owner_end(OwnerState *state)
{
	AtEOXact_GUC(true, state->nestlevel);
	SetUserIdAndSecContext(state->userid, state->sec_context);
	SPI_finish();
}

/* Run a plan with everything that is committed in sight. */
static uint64
run_plan(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int			result;

	result = SPI_execute_snapshot(plan, values, nulls, snapshot,
								  InvalidSnapshot, false, true, 0);
	UnregisterSnapshot(snapshot);
	if (result < 0)				/* cannot happen: errors are raised */
		elog(ERROR, "SPI_execute_snapshot failed: %s",
			 SPI_result_code_string(result));
	return SPI_processed;
}

uint64
ls_owner_run(OwnerStatement statement, ContactSource *contacts,
			 Datum *values, const char *nulls)
{
	SPIPlanPtr	plan = get_plan(statement, contacts);

	CommandCounterIncrement();
	ensure_planned(plan);
	return run_plan(plan, values, nulls);
}

uint64
ls_owner_run_text(const char *text, int nargs, Oid *types, Datum *values,
				  const char *nulls)
{
	SPIPlanPtr	plan = SPI_prepare(text, nargs, types);

	CommandCounterIncrement();
	return run_plan(plan, values, nulls);
}

uint64
ls_owner_run_on(const char *table, const char *text, int nargs, Oid *types,
				Datum *values, const char *nulls)
{
	OwnerState	owner;
	uint64		n;

	if (!ls_owner_begin_of(ls_catalog_relid(table), &owner))
		return 0;
	n = ls_owner_run_text(text, nargs, types, values, nulls);
	ls_owner_end(&owner);
	return n;
}

Datum
ls_owner_actor(void)
{
	/* whom SET ROLE or the session names, whatever function we are in */
	return CStringGetTextDatum(GetUserNameFromId(GetOuterUserId(), false));
}

Datum
ls_owner_array(Datum *values, bool *nulls, int count, Oid elemtype)
{
	int16		len;
	bool		byval;
	char		align;
	int			lower = 1;

	get_typlenbyvalalign(elemtype, &len, &byval, &align);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower,
											  elemtype, len, byval, align));
}
