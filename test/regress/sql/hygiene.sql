--
-- hygiene: what must hold of the objects of the extension, whatever they do
--
-- Every query lists what is wrong, so each but the first prints nothing.
--
\pset format unaligned
\pset tuples_only on
set client_min_messages = warning;

create temporary view member as
	select d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) as object
	from pg_depend d join pg_extension e on e.oid = d.refobjid
	where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and e.extname = 'leadstream';
select count(*) > 100 from member;

-- every object says what it is
select 'no comment: ' || m.object from member m
where obj_description(m.objid, (select relname from pg_class where oid = m.classid)) is null
  -- types that come with a table or another type, members from 17 on
  and not exists (select from pg_type t where m.classid = 'pg_type'::regclass and t.oid = m.objid
				  and (t.typrelid <> 0 or t.typcategory = 'A'))
order by 1;
select 'no comment: ' || pg_describe_object('pg_trigger'::regclass, t.oid, 0) from pg_trigger t
join pg_class c on c.oid = t.tgrelid
where c.relnamespace = 'leadstream'::regnamespace and not t.tgisinternal
  and obj_description(t.oid, 'pg_trigger') is null
order by 1;
-- so does every column of a view that people read
select 'no comment: ' || a.attrelid::regclass || '.' || a.attname
from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v' and c.relname not like '\_%' and a.attnum > 0
  and col_description(a.attrelid, a.attnum) is null
order by 1;
-- and is in our schema
select 'elsewhere: ' || m.object from member m join pg_proc p on p.oid = m.objid and m.classid = 'pg_proc'::regclass
where p.pronamespace <> 'leadstream'::regnamespace
union all
select 'elsewhere: ' || m.object from member m join pg_class c on c.oid = m.objid and m.classid = 'pg_class'::regclass
where c.relnamespace <> 'leadstream'::regnamespace
order by 1;

--
-- Functions run with their caller's rights, or switch in C, where it counts;
-- names in those that are not C mean the server's, whatever the caller's path.
--
select 'security definer: ' || p.oid::regprocedure from pg_proc p
where p.pronamespace = 'leadstream'::regnamespace and p.prosecdef
order by 1;
select 'search_path is not pinned: ' || p.oid::regprocedure
from pg_proc p join pg_language l on l.oid = p.prolang
where p.pronamespace = 'leadstream'::regnamespace and l.lanname <> 'c'
  and p.proconfig[1] is distinct from 'search_path=pg_catalog, pg_temp'
  -- commits, and so sets it by itself
  and p.proname not in ('tick_batches', 'rescore', 'backfill')
  and p.prokind <> 'a'
order by 1;
-- a table of ours that is named without its schema
select 'unqualified: ' || p.oid::regprocedure || ': ' || m[1]
from pg_proc p
cross join lateral regexp_matches(p.prosrc, '\m(?:from|join|into|update|delete from|truncate)\s+((?:lead|due|stream|segment|score|score_set|score_rule|score_walk|stream_backfill|horizon|team|stage|contact_source|activity_source|access_\w+)\M)', 'g') m
where p.pronamespace = 'leadstream'::regnamespace
order by 1;

--
-- Who may call what.  A function that is new belongs in one of these lists.
--
create temporary table listed (kind text, name name);
-- changes something, or shows what others may not see: granted by name
insert into listed select 'acts', unnest('{
	attach_contacts,attach_activity,detach,drop_views,create_views,create_stream,alter_stream,drop_stream,enable,disable,clear,
	drop_segment,alter_segment,create_segment,create_score_set,alter_score_set,drop_score_set,enable_score_set,disable_score_set,
	create_score_rule,alter_score_rule,drop_score_rule,enable_score_rule,disable_score_rule,fetch_history,create_team,drop_team,create_lead,move,index_streams,tick,tick_batches,_tick,
	alter_team,activate_team,deactivate_team,create_sales_user,alter_sales_user,activate_sales_user,deactivate_sales_user,drop_sales_user,
	add_member,alter_member,pause_member,resume_member,remove_member,create_stage,alter_stage,drop_stage,
	move_contact,assign,unassign,hide,unhide,delete_lead,add_note,merge_contacts,_hold_contacts,_await_scores,
	_move,_move_contact,_assign,_unassign,_hide,_unhide,_delete_lead,_add_note,grant_access,revoke_access,
	_access_admin,_access_sales,_access_report,_access_app,_access_ends,_sight,_teams_in_sight,_is_in_sight,_accounts_in_sight,_check_sight,
	make_history,clear_stream,forget_stream,wait_for_writers,enter_streams,
	_look_up,restart_feed,
	_keep_stage,
	_scores_in_sight,rescore,_begin_rescore,_walk_scores,backfill,_backfill,
	capture,note_columns,follow_columns,enter_stream,enter_score,_stamp_score_set,end_run,forget_matches,invalidate,note_deleted_lead,_stamp_stream}'::name[]);
-- a step of those, not in C: it can do only what its caller could do without it
insert into listed select 'step', unnest('{
	_execute_for_contacts,_create_event_views,_create_history_views,_create_funnel_views,_create_count_views,_create_report_views,
	_hold_sales_user,
	_secure_lead_tables,_grant_lead_tables,_create_lead_tables,_create_due_table,_create_score_table,_create_score_view,_adopt_lead_tables,_create_lead_trigger,_create_lead_views,_create_views,_create_triggers,_drop_triggers,
	_set_team_active,_set_sales_user_active,_set_member_paused,_set_hidden,_hold,_member,_hold_stage,_own_stages,_place_stage,
	_await_lead_writers,_rename_stage,_lead,_note_event,_merge_leads,
	_hold_segments,_hold_scores,_lock_scores,_segment,_score_set,_set_score_set,_set_score_rule,_score_changed,_rescore_kinds,_raise_score_version,_renew_stream,_stream,_enabled_stream,_stream_at_rest,_meet_tables,_team_ids,_set_teams,_await_writers}'::name[]);
-- reads tables or settings
insert into listed select 'reads', unnest('{
	_rename_columns,_lost_columns,
	overview,_overview_tables,_overview_streams,_overview_leads,_overview_clock,
	_rules,_rule_users,_find_users,_check_users,_score_users,_score_rule,_sound_scores,explain_score,list_scores,verify_scores,score_history,_score_sql,
	teams_in_sight,is_in_sight,accounts_in_sight,scores_in_sight,check_sight,_caller,_access_roles,_access_rights,_check_access,_check_grantor,_has_right,_is_member,
	builder_fields,_builder_field,compare_rules,simulate_daily,simulate,_segments_of,_expand_rule,rule_kinds,check_rule,check_only,rule_problem,rule_sql,is_match,explain,timeline,preview,verify,clock,current_account,session_cache,
	leads_since,lead_channel,_read_cursor,_begin_cursor,
	_version_counts,_period_end,_period_sql,_live_matches,_instant_sql,_history_sql,_home,_actor,_clock_now,_needs_seeds,_timeline_of,_key_definition,_account,_stages,_lead_counts,_key_operator,_flat,_operators,_base_type,_has_default_opclass,
	_team,_raise_no_team,_sales_user,_sales_user_name,_need_fresh,_need_current,_open_leads,_check_stages,_leads_of,_key_literal,_stage_ranks,
	_check_shadowed,_check_relation,_check_column,_check_stored,_check_key,_check_contact_type,_check_kind,_check_time_column,_check_events,_warn_activity,
	_default_column,_default_key,_default_contact_column,_default_time_column,_raise_ambiguous,_raise_not_attached}'::name[]);
-- depends on its arguments alone
insert into listed select 'pure', unnest('{
	rule_in,rule_out,rule_recv,rule_send,rule_eq,rule_ne,rule_lt,rule_le,rule_gt,rule_ge,rule_cmp,rule_hash,
	cloud_event,
	rule_hash_extended,rule_segments,_rename_segment,rule_scores,_rename_score,_as_score,rule_from_jsonb,rule_to_jsonb,rule_from_jquery,
	_builder_label,_builder_values,_builder_operators,
	shift,as_instant,as_number,as_boolean,as_text,is_blank,json_element,json_has,times,always,
	clock_timeline,period_timeline,row_span,beginnings,first_instant,first_count,
	count_pieces,distinct_pieces,sum_pieces,avg_pieces,min_pieces,max_pieces,first_pieces,last_pieces,
	_newer,_latest,_tell,_told_stays,_told_steps,_stays,_steps,
	_check_points,_check_batch,
	_unkeyed_digest,_path_digest,_sales_functions,_label,_known,_not_null,_check_name,_check_requalify,_check_max_open,_check_place,_raise_no_stage,_raise_duplicate,_contact_text,_raise_enabled}'::name[]);

create temporary view function as
	select p.oid::regprocedure as function, p.proname, l.kind, g.lanname as language,
		   p.provolatile as volatility, p.proparallel as parallel, p.prorettype::regtype as result,
		   has_function_privilege('public', p.oid, 'execute') as is_public
	from pg_proc p
	join pg_language g on g.oid = p.prolang
	left join listed l on l.name = p.proname
	where p.pronamespace = 'leadstream'::regnamespace;
select 'in no list, or in two: ' || function from function
group by function having count(kind) <> 1 order by 1;
select 'listed, and is not there: ' || name from listed
where not exists (select from function f where f.proname = name) order by 1;

select 'open to everybody: ' || function from function where kind = 'acts' and is_public order by 1;
select 'open to nobody, and could be: ' || function from function where kind <> 'acts' and not is_public order by 1;
select 'a step in C: ' || function from function where kind = 'step' and language = 'c' order by 1;
select 'a trigger function that is not granted by name: ' || function from function
where result in ('trigger'::regtype, 'event_trigger'::regtype) and kind is distinct from 'acts' order by 1;
-- labels: what writes is volatile and never in a parallel plan; what is pure
-- says so, and may be in one unless it raises errors for its living
select 'label of what writes: ' || function from function
where (kind = 'step' or kind = 'acts' and proname <> '_look_up' and proname !~ '^_access|_sight$')
  and (volatility, parallel) <> ('v', 'u') order by 1;
select 'label of what reads: ' || function from function
where kind = 'reads'
  and (volatility = 'i' or volatility = 'v' and proname not in ('rule_problem', 'session_cache', '_clock_now', '_needs_seeds', 'overview')) order by 1;
-- what looks at the state of a session must stay with it
select 'label of what reads in C: ' || function from function
where kind = 'reads' and language = 'c' and parallel = 's' and proname not in ('clock', '_home') order by 1;
select 'label of what is pure: ' || function from function
where kind = 'pure' and (volatility <> 'i' or parallel <> 's' and proname not like '\_raise\_%') order by 1;

--
-- Tables and views are granted by name, too; the schema lets nobody add to it.
--
select 'open to everybody: ' || c.oid::regclass
from pg_class c
where c.relnamespace = 'leadstream'::regnamespace and c.relkind in ('r', 'v', 'S', 'p', 'm')
  and exists (select from aclexplode(c.relacl) a where a.grantee = 0)
order by 1;
select 'schema: ' || privilege_type
from pg_namespace n, aclexplode(n.nspacl) a
where n.nspname = 'leadstream' and a.grantee = 0 and privilege_type <> 'USAGE';
-- rows and sequences that a dump has to take along
select 'not part of a dump: ' || c.oid::regclass
from pg_class c join member m on m.objid = c.oid and m.classid = 'pg_class'::regclass, pg_extension e
where c.relkind in ('r', 'S') and e.extname = 'leadstream' and c.oid <> all (e.extconfig)
  -- derived from the others, or another one in each cluster
  and c.relname not in ('access_path', 'access_key', 'attached_table', 'feed', 'horizon')
order by 1;
-- no OID in a column but such as a dump and pg_upgrade know how to keep
select 'type of column: ' || a.attrelid::regclass || '.' || a.attname
from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'r' and a.attnum > 0
  and a.atttypid in ('oid'::regtype, 'regproc'::regtype, 'regprocedure'::regtype, 'regoper'::regtype,
					 'regoperator'::regtype, 'regconfig'::regtype, 'regdictionary'::regtype,
					 'regnamespace'::regtype, 'regcollation'::regtype)
order by 1;

--
-- Nulls: every function that everybody may call takes them everywhere, or
-- says that it does not.
--
create function pg_temp.call_with_nulls(function regprocedure) returns text language plpgsql as $$
declare
	arguments text;
begin
	select string_agg('null::' || case t.oid
						when 'anyarray'::regtype then 'text[]'
						when 'anyelement'::regtype then 'bigint'
						when '"any"'::regtype then 'bigint'
						else t.oid::regtype::text end, ', ' order by u.i)
	into arguments
	from pg_proc p cross join unnest(p.proargtypes::oid[]) with ordinality u(type, i) join pg_type t on t.oid = u.type
	where p.oid = function;
	execute format('select * from leadstream.%I(%s)',
				   (select proname from pg_proc where oid = function), arguments);
	return null;
exception
	when null_value_not_allowed or invalid_parameter_value or object_not_in_prerequisite_state
		or undefined_table or undefined_column or invalid_table_definition
	then
		return null;
	when others then
		return format('%s of nulls: %s %s', function, sqlstate, sqlerrm);
end
$$;
select pg_temp.call_with_nulls(p.oid) as problem
from pg_proc p
where p.pronamespace = 'leadstream'::regnamespace
  and has_function_privilege('public', p.oid, 'execute')
  and p.prokind <> 'a'
  and 'internal'::regtype <> all (p.proargtypes::oid[]) and p.proname !~ '^_(create|adopt|drop|raise|set|warn)'
  and pg_temp.call_with_nulls(p.oid) is not null
order by 1;
