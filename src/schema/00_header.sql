-- 00_header.sql
--
-- The install script of leadstream is made of the parts NN_topic.sql, joined
-- in the order of their names.  It is run by CREATE EXTENSION only, and
-- resolves every name that is not qualified in pg_catalog.

\echo Use "create extension leadstream" to load this file. \quit

set local search_path = pg_catalog, pg_temp;

-- A schema that somebody made before would stay his: he could put tables and
-- functions of his own beside ours, for us to call.
do $$
begin
	if exists (select from pg_namespace n join pg_roles r on r.oid = n.nspowner
			   where n.nspname = 'leadstream' and not r.rolsuper
				 and r.rolname <> current_user)
	then
		raise exception 'schema "leadstream" belongs to another role'
			using errcode = 'insufficient_privilege',
				  hint = 'Drop it, or give it to a superuser and look at what is in it.';
	end if;
	-- All that is in a schema depends on it, and so does the extension by now.
	if exists (select from pg_depend d
			   where d.refclassid = 'pg_namespace'::regclass
				 and d.refobjid = 'leadstream'::regnamespace
				 and d.classid <> 'pg_extension'::regclass)
	then
		raise exception 'schema "leadstream" is not empty'
			using errcode = 'object_not_in_prerequisite_state',
				  hint = 'Look at what is in it, and drop it.';
	end if;
end
$$;
