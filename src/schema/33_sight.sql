-- 33_sight.sql
--
-- Who sees whose leads.
--
-- That a role has one of the four accesses (91_access.sql) is nothing but a
-- right: to execute the marker function of the access.  So it is dumped,
-- inherited, renamed and dropped as the server does it with rights.  Only the
-- account that an access ends at is kept beside it; that it does end is a right,
-- too, so that where a restore loses the account nobody comes to see all.
--
-- The views on leads run as the owner of the lead tables and show the teams in
-- sight; row security says the same of the tables themselves.  Whoever has no
-- access, and is not above, sees nothing, whatever he was granted.

---------------------------------------------------------------------------
-- The accesses
---------------------------------------------------------------------------

create function leadstream._access_admin() returns void
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as '';
comment on function leadstream._access_admin() is
'who may execute it has the access admin';
create function leadstream._access_sales() returns void
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as '';
comment on function leadstream._access_sales() is
'who may execute it has the access sales';
create function leadstream._access_report() returns void
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as '';
comment on function leadstream._access_report() is
'who may execute it has the access report';
create function leadstream._access_app() returns void
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as '';
comment on function leadstream._access_app() is
'who may execute it has the access app';
create function leadstream._access_ends() returns void
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as '';
comment on function leadstream._access_ends() is
'who may execute it has accesses that end at an account';

revoke execute on function leadstream._access_admin(), leadstream._access_sales(),
	leadstream._access_report(), leadstream._access_app(), leadstream._access_ends() from public;

create table leadstream.access_account (
	role			regrole primary key,
	account			text not null
);
comment on table leadstream.access_account is
'the roles whose accesses end at an account, written by grant_access() and revoke_access()';
comment on column leadstream.access_account.account is
'the only account that the role sees anything of';
select pg_extension_config_dump('leadstream.access_account', '');

create function leadstream._access_roles()
returns table (role oid, access text, account text)
language sql stable rows 10
set search_path = pg_catalog, pg_temp
as $$
	with granted as (
		select p.proname, a.grantee
		from pg_proc p
		cross join lateral aclexplode(p.proacl) as a
		where p.pronamespace = 'leadstream'::regnamespace and p.proname like '\_access\_%'
		  and p.pronargs = 0 and p.prorettype = 'void'::regtype
		  and a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner
	)
	select g.grantee, substr(g.proname, 9), coalesce(l.account, e.account)
	from granted g
	left join leadstream.access_account l on l.role = g.grantee
	-- that one is nobody's
	left join (select o.grantee, '' as account from granted o
			   where o.proname = '_access_ends') as e on e.grantee = g.grantee
	where g.proname <> '_access_ends'
$$;
comment on function leadstream._access_roles() is
'the roles that were granted an access, and the account at which it ends; the empty one where it is not known';

---------------------------------------------------------------------------
-- Who sees whose leads
---------------------------------------------------------------------------

create function leadstream._caller() returns oid
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_caller';
comment on function leadstream._caller() is
'the role on whose behalf things are done, also where a function runs as the owner of the lead tables';

-- An access that somebody has by several roles ends where all of them do.
create function leadstream._sight(out sees_all boolean, out accounts text[],
	out sales_users integer[], out limits text[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp
as $$
declare
	caller	constant oid := leadstream._caller();
	set_user constant text := current_setting('leadstream.sales_user');
	lead_owner constant oid := (select c.relowner from pg_class c
								where c.oid = to_regclass('leadstream.lead'));
	app_accounts text[];
begin
	sees_all := (select r.rolsuper or r.rolbypassrls from pg_roles r where r.oid = caller)
		or coalesce(pg_has_role(caller, lead_owner, 'usage'), false)
		or has_function_privilege(caller, 'leadstream._access_admin()', 'execute');
	accounts := '{}';
	sales_users := '{}';
	if not sees_all then
		select coalesce(bool_or(g.account is null) filter (where g.access = 'report'), false),
			   coalesce(array_agg(g.account) filter (where g.access = 'report'), '{}'),
			   case when bool_and(g.account is not null) filter (where g.access = 'app')
					then array_agg(g.account) filter (where g.access = 'app') end,
			   case when bool_and(g.account is not null) then array_agg(g.account) end
		into sees_all, accounts, app_accounts, limits
		from leadstream._access_roles() g
		where g.access in ('report', 'app') and pg_has_role(caller, g.role, 'usage');
	end if;

	if set_user <> ''
	   and has_function_privilege(caller, 'leadstream._access_app()', 'execute')
	then
		sees_all := false;
		accounts := '{}';
		sales_users := array(
			select u.sales_user_id from leadstream.sales_user u
			where u.sales_user = set_user and u.is_active
			  and (app_accounts is null or u.account = any (app_accounts))
			  -- people of different accounts may have the same name
			  and (u.account = leadstream.current_account() or u.account = all (app_accounts)));
	elsif not sees_all then
		sales_users := array(
			select u.sales_user_id from leadstream.sales_user u
			where u.role = caller and u.is_active);
	end if;
end
$$;
comment on function leadstream._sight() is
'what the caller sees: all leads, those of accounts, and those of the teams of sales users; and the accounts at which his accesses end, null: nowhere';

create index sales_user_role_idx on leadstream.sales_user (role) where role is not null;

create function leadstream._teams_in_sight() returns integer[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp
as $$
declare
	s		constant record := leadstream._sight();
begin
	if s.sees_all then
		return array(select t.team_id from leadstream.team t);
	end if;
	return array(select t.team_id from leadstream.team t where t.account = any (s.accounts)
				 union
				 select m.team_id from leadstream.team_member m
				 where m.sales_user_id = any (s.sales_users));
end
$$;

create function leadstream._is_in_sight(team_id integer) returns boolean
language plpgsql stable strict parallel restricted
set search_path = pg_catalog, pg_temp
as $$
declare
	s		constant record := leadstream._sight();
begin
	return s.sees_all
		or exists (select from leadstream.team t
				   where t.team_id = _is_in_sight.team_id and t.account = any (s.accounts))
		or exists (select from leadstream.team_member m
				   where m.team_id = _is_in_sight.team_id and m.sales_user_id = any (s.sales_users));
end
$$;

create function leadstream._accounts_in_sight() returns text[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp
as $$
begin
	return (leadstream._sight()).limits;
end
$$;

create function leadstream._check_sight() returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp
as $$
declare
	own_account constant text := leadstream._account();
	s		constant record := leadstream._sight();
begin
	if s.sees_all or own_account = any (s.accounts)
	   or exists (select from leadstream.team t
				  join leadstream.team_member m on m.team_id = t.team_id
				  where t.account = own_account and m.sales_user_id = any (s.sales_users))
	then
		return;
	end if;
	raise exception 'no leads %are in sight of role "%"',
			case when own_account = '' then '' else format('of account "%s" ', own_account) end,
			pg_get_userbyid(leadstream._caller())
		using errcode = 'insufficient_privilege',
			  detail = 'In sight are those of the teams that an active sales user is a member of.',
			  hint = case when has_function_privilege(leadstream._caller(), 'leadstream._access_app()', 'execute')
						  then 'Name the sales user: set leadstream.sales_user = ''…'';'
						  else 'The view leadstream.access tells who has which access.' end;
end
$$;

-- Everybody may ask what he sees himself.
create function leadstream.teams_in_sight() returns integer[]
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_as_owner';
comment on function leadstream.teams_in_sight() is
'the ids of the teams whose leads the caller sees';
create function leadstream.is_in_sight(team_id integer) returns boolean
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_as_owner';
comment on function leadstream.is_in_sight(integer) is
'does the caller see the leads of a team?';
create function leadstream.accounts_in_sight() returns text[]
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_as_owner';
comment on function leadstream.accounts_in_sight() is
'the accounts at which the caller''s accesses end; null: they end nowhere';
create function leadstream.check_sight() returns void
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_as_owner';
comment on function leadstream.check_sight() is
'error 42501 unless the caller sees leads of the current account';

comment on function leadstream._teams_in_sight() is 'what teams_in_sight() calls';
comment on function leadstream._is_in_sight(integer) is 'what is_in_sight() calls';
comment on function leadstream._accounts_in_sight() is 'what accounts_in_sight() calls';
comment on function leadstream._check_sight() is 'what check_sight() calls';
revoke execute on function leadstream._sight(), leadstream._teams_in_sight(),
	leadstream._is_in_sight(integer), leadstream._accounts_in_sight(), leadstream._check_sight()
from public;

-- Every view on leads shows those of the teams in sight and is a barrier.  One
-- that reads leads says it of the lead: the array is computed once, and who
-- sees few teams finds their leads by the index.  One that reads events joins
-- this view in place of leadstream.team: there is no index, and to search a
-- long array for each event would take long.
create view leadstream._team_in_sight as
select t.* from leadstream.team t
where t.team_id = any ((select leadstream.teams_in_sight())::integer[]);
comment on view leadstream._team_in_sight is
'the teams whose leads the caller sees';
