-- 91_access.sql
--
-- The four accesses: the rights that each consists of, granted and revoked by
-- one call.  Functions that work leads are called through doors (src/sight.c),
-- so that it takes no right on a table to call them.

create function leadstream._is_member(relation oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select exists (select from pg_depend d
				   where d.classid = 'pg_class'::regclass and d.objid = relation
					 and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e')
$$;
comment on function leadstream._is_member(oid) is
'does a table or view belong to an extension?  The lead tables do not';

-- Matches have no team: their policy reads a view, for which who was granted
-- the matches needs no right on the leads.
create function leadstream._secure_lead_tables() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	is_seen	constant text := 'team_id = any ((select leadstream.teams_in_sight())::integer[])';
	p		record;
begin
	execute format($ddl$
		create or replace view leadstream._lead_in_sight as
		select l.lead_id from leadstream.lead l where l.%s;
		comment on view leadstream._lead_in_sight is
		'the leads that the caller sees';
		grant select on leadstream._lead_in_sight to public
		$ddl$, is_seen);
	-- No function that a caller calls gets to see what the views leave out.
	for p in
		select c.oid::regclass as view from pg_class c
		where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v'
		  and not leadstream._is_member(c.oid)
	loop
		execute format('alter view %s set (security_barrier)', p.view);
	end loop;
	for p in
		select * from (values
			('lead', is_seen), ('lead_event', is_seen),
			('lead_match', 'lead_id in (select s.lead_id from leadstream._lead_in_sight s)')) as v(lead_table, condition)
		where not exists (select from pg_policy o
						  where o.polrelid = to_regclass('leadstream.' || v.lead_table)
							and o.polname = 'in_sight')
	loop
		execute format($ddl$
			alter table leadstream.%1$I enable row level security;
			create policy in_sight on leadstream.%1$I using (%2$s);
			comment on policy in_sight on leadstream.%1$I is
			'shows the leads of the teams in sight'
			$ddl$, p.lead_table, p.condition);
	end loop;
end
$$;
comment on function leadstream._secure_lead_tables() is
'puts row security on the lead tables, and makes the views on them barriers: everybody sees the leads of the teams in his sight';

---------------------------------------------------------------------------
-- Doors
---------------------------------------------------------------------------

create function leadstream._sales_functions() returns text[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select '{create_lead,move,move_contact,assign,unassign,hide,unhide,add_note,delete_lead}'::text[]
$$;
comment on function leadstream._sales_functions() is
'the functions by which sales users work leads';

-- A door for each of them that begins with an underscore, with its arguments
-- and its comment.
do $$
declare
	f		record;
begin
	for f in
		select ltrim(p.proname, '_') as door, p.oid::regprocedure as function,
			   pg_get_function_identity_arguments(p.oid) as identity,
			   pg_get_function_arguments(p.oid) as arguments,
			   pg_get_function_result(p.oid) as result,
			   obj_description(p.oid, 'pg_proc') as comment
		from pg_proc p
		where p.pronamespace = 'leadstream'::regnamespace
		  and p.proname = any (select '_' || n from unnest(leadstream._sales_functions()) as n)
	loop
		execute format('create function leadstream.%I(%s) returns %s language c volatile '
					   'as ''MODULE_PATHNAME'', ''leadstream_as_lead_owner''',
					   f.door, f.arguments, f.result);
		execute format('comment on function leadstream.%I(%s) is %L', f.door, f.identity, f.comment);
		execute format('comment on function %s is %L', f.function, format('what %s() calls', f.door));
		execute format('revoke execute on function leadstream.%I(%s), %s from public',
					   f.door, f.identity, f.function);
	end loop;
end
$$;

---------------------------------------------------------------------------
-- grant_access, revoke_access
---------------------------------------------------------------------------

-- Everything that an access needs, as of now: the lead tables may not be there.
create function leadstream._access_rights(access text)
returns table (kind text, object text, privilege text)
language sql stable rows 100
set search_path = pg_catalog, pg_temp
as $$
	with relation as (
		select c.relkind, c.relname, format('leadstream.%I', c.relname) as object,
			   leadstream._is_member(c.oid) as is_member
		from pg_class c
		where c.relnamespace = 'leadstream'::regnamespace
	), routine as (
		select p.proname, p.prorettype, 'leadstream.' || quote_ident(p.proname)
			   || '(' || pg_get_function_identity_arguments(p.oid) || ')' as object
		from pg_proc p
		where p.pronamespace = 'leadstream'::regnamespace
		  and not has_function_privilege('public', p.oid, 'execute')
	)
	select 'function', format('leadstream.%I()', '_access_' || _access_rights.access), 'execute'
	union all
	-- views, on leads or on all there is
	select 'table', r.object, 'select' from relation r
	where r.relkind = 'v'
	  -- functions that read with the rights of the caller read these, too
	  and (r.relname not like '\_%' or _access_rights.access = 'admin')
	  and (not r.is_member or _access_rights.access = 'admin'
		   or _access_rights.access = 'report' and r.relname <> 'access')
	union all
	select 'table', r.object, 'select' from relation r
	where _access_rights.access = 'report' and r.relkind = 'r'
	  and not r.is_member and r.relname like 'lead%'
	union all
	-- what leads_since() reads; row security shows them what they may see
	select 'table', r.object, 'select' from relation r
	where _access_rights.access in ('sales', 'app') and r.relname = 'lead'
	union all
	select 'routine', r.object, 'execute' from routine r
	where _access_rights.access in ('sales', 'app') and r.proname = any (leadstream._sales_functions())
	union all
	-- all but what is as good as being the owner: what is attached, how columns
	-- are called, what stands where rows are looked up, what everybody knows of, and
	-- who has access
	select 'table', r.object, 'select' from relation r
	where _access_rights.access = 'admin' and r.relkind = 'r'
	union all
	select 'table', r.object, p.privilege
	from relation r, unnest('{insert,update,delete}'::text[]) as p(privilege)
	where _access_rights.access = 'admin' and r.relkind = 'r' and r.is_member
	  and r.relname not in ('contact_source', 'activity_source', 'attached_table', 'access_path',
							'access_key', 'access_account', 'horizon')
	union all
	-- whose stages are renamed, and contacts merged; what was is not unmade
	select 'table', r.object, p.privilege
	from relation r, unnest('{insert,update,delete}'::text[]) as p(privilege)
	where _access_rights.access = 'admin' and r.relkind = 'r' and not r.is_member
	  and (r.relname like 'lead%' and (r.relname, p.privilege) <> ('lead_event', 'delete') or r.relname = 'score')
	union all
	select 'routine', r.object, 'execute' from routine r
	where _access_rights.access = 'admin'
	  and r.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
	  and (r.proname not like '\_%' or r.proname in ('_tick', '_hold_contacts', '_await_scores', '_backfill', '_begin_rescore', '_walk_scores'))
	  and r.proname not in ('attach_contacts', 'attach_activity', 'detach', 'drop_views', 'create_views',
							'grant_access', 'revoke_access')
$$;
comment on function leadstream._access_rights(text) is
'the rights that an access consists of';

create function leadstream._check_grantor() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if exists (select from pg_class c
			   where c.oid in ('leadstream.team'::regclass, to_regclass('leadstream.lead'))
				 and not pg_has_role(c.relowner, 'usage'))
	then
		raise exception 'permission denied to grant access'
			using errcode = 'insufficient_privilege',
				  detail = 'The rights are those of the owner of the extension and of the owner of the lead tables.',
				  hint = 'Call it as a superuser.';
	end if;
end
$$;
comment on function leadstream._check_grantor() is
'error 42501 unless the caller may grant the rights that accesses consist of';

create function leadstream._check_access(access text, account text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	accesses constant text[] := '{admin,sales,report,app}';
begin
	perform leadstream._not_null('access', access is null);
	if access <> all (accesses) then
		raise exception 'access "%" does not exist', access
			using errcode = 'undefined_object',
				  hint = format('Accesses are: %s.', array_to_string(accesses, ', '));
	end if;
	if account is null then
		return;
	end if;
	if account = '' then
		raise exception 'parameter "account" must not be empty'
			using errcode = 'invalid_parameter_value';
	end if;
	if access not in ('report', 'app') then
		raise exception 'access "%" cannot end at an account', access
			using errcode = 'invalid_parameter_value',
				  detail = case access when 'sales' then 'It ends at the teams that the sales user is a member of.'
						   else 'An admin works in all accounts.' end,
				  hint = 'Leave the parameter "account" out.';
	end if;
	if not exists (select from leadstream.contact_source s where s.account_column is not null) then
		raise exception 'the contacts have no accounts'
			using errcode = 'invalid_parameter_value',
				  hint = 'Leave the parameter "account" out.';
	end if;
end
$$;
comment on function leadstream._check_access(text, text) is
'error unless there is such an access, and it can end at the account if one is given';

create function leadstream.grant_access(role regrole, access text, account text default null)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	known	record;
	g		record;
begin
	perform leadstream._not_null('role', role is null);
	perform leadstream._check_access(access, account);
	perform leadstream._check_grantor();
	if not exists (select from pg_roles r where r.oid = role) then
		raise exception 'role with OID % does not exist', role::oid
			using errcode = 'undefined_object';
	end if;

	-- What ends somewhere is not silently made to go on, nor the other way.
	delete from leadstream.access_account l
	where not exists (select from leadstream._access_roles() r where r.role = l.role);
	select r.account into known from leadstream._access_roles() r
	where r.role = grant_access.role and r.access in ('report', 'app') limit 1;
	if found and access in ('report', 'app') and known.account is distinct from account then
		raise exception 'role % has access to %', role,
				coalesce(format('account "%s"', known.account), 'all accounts')
			using errcode = 'object_not_in_prerequisite_state',
				  hint = format('Take it back first: select leadstream.revoke_access(%L);', role);
	end if;
	if account is not null then
		insert into leadstream.access_account (role, account)
		values (grant_access.role, grant_access.account) on conflict do nothing;
		execute format('grant execute on function leadstream._access_ends() to %s', role);
	end if;
	for g in select * from leadstream._access_rights(access) loop
		execute format('grant %s on %s %s to %s', g.privilege, g.kind, g.object, role);
	end loop;
end
$$;
comment on function leadstream.grant_access(regrole, text, text) is
'gives a role the rights that it needs for one of four accesses. '
'admin: all but attaching tables and granting access. '
'sales: sees and works the leads of the teams that the role''s sales user is a member of, and no others. '
'report: reads all views. '
'app: the same as sales, for the sales user that leadstream.sales_user names, for applications that pool connections. '
'account: the only account that report or app sees anything of. '
'A role may have several accesses, and may be given one again. Needs a superuser.';

create function leadstream.revoke_access(role regrole) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	g		record;
	had		constant text[] := array(select r.access from leadstream._access_roles() r
									 where r.role = revoke_access.role);
begin
	perform leadstream._not_null('role', role is null);
	perform leadstream._check_grantor();
	if had = '{}' then
		raise notice 'role % has no access', role;
	end if;
	for g in
		select distinct r.* from unnest(had) as h(access), leadstream._access_rights(h.access) as r
	loop
		execute format('revoke %s on %s %s from %s', g.privilege, g.kind, g.object, role);
	end loop;
	execute format('revoke execute on function leadstream._access_ends() from %s', role);
	delete from leadstream.access_account l where l.role = revoke_access.role;
end
$$;
comment on function leadstream.revoke_access(regrole) is
'takes back from a role all that grant_access() gave it. Needs a superuser.';

revoke execute on function leadstream.grant_access(regrole, text, text),
	leadstream.revoke_access(regrole) from public;

-- What is made after an access was granted belongs to it, too.
create function leadstream._grant_lead_tables() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	g		record;
begin
	for g in
		select distinct a.role::regrole as role, r.*
		from leadstream._access_roles() a
		cross join lateral leadstream._access_rights(a.access) r
		join pg_class c on c.oid = to_regclass(r.object)
		where r.kind = 'table' and pg_has_role(c.relowner, 'usage') and not leadstream._is_member(c.oid)
	loop
		execute format('grant %s on table %s to %s', g.privilege, g.object, g.role);
	end loop;
end
$$;
comment on function leadstream._grant_lead_tables() is
'grants the lead tables and the views on them to the roles that have an access';

create function leadstream._has_right(role oid, kind text, object text, privilege text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select case when kind = 'table' then has_table_privilege(role, object, privilege)
				else has_function_privilege(role, (
					select p.oid from pg_proc p
					where p.pronamespace = 'leadstream'::regnamespace
					  and 'leadstream.' || quote_ident(p.proname)
						  || '(' || pg_get_function_identity_arguments(p.oid) || ')' = object), privilege)
		   end
$$;
comment on function leadstream._has_right(oid, text, text, text) is
'does a role have a right of those that accesses consist of?';

create view leadstream.access with (security_barrier) as
select pg_get_userbyid(a.role)::text as role, a.access, a.account,
	   coalesce(u.sales_users, '') as sales_users,
	   concat_ws(', ', case when a.account = '' then 'the account that it ends at' end, m.missing) as missing
from leadstream._access_roles() as a
left join lateral (
	select string_agg(s.sales_user || case when s.is_active then '' else ' (inactive)' end,
					  ', ' order by s.sales_user) as sales_users
	from leadstream.sales_user s where s.role = a.role
) as u on true
left join lateral (
	select string_agg(r.privilege || ' on ' || r.object, ', ' order by r.object, r.privilege) as missing
	from leadstream._access_rights(a.access) r
	where not leadstream._has_right(a.role, r.kind, r.object, r.privilege)
) as m on true;
comment on view leadstream.access is
'who has what access: a row for each role and access that grant_access() gave it';
comment on column leadstream.access.role is 'the role that was granted the access; its members have it too';
comment on column leadstream.access.access is 'admin, sales, report or app';
comment on column leadstream.access.account is 'the only account that it sees anything of; null: it does not end at one';
comment on column leadstream.access.sales_users is 'the sales users that the role is, separated by commas';
comment on column leadstream.access.missing is 'rights that the access needs and the role has not, or no more; grant_access() again gives them. Empty: all is well';
