-- 56_views.sql
--
-- The views on the lead tables show columns of the contacts, and PostgreSQL gives
-- no column another type that a view names.  So these are taken away for a while
-- and made anew, in the same transaction if nobody shall miss them.  They are
-- not members of the extension, which is how they are told from the others.

create function leadstream._create_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._create_lead_views();
	perform leadstream._create_score_view();
	perform leadstream._create_report_views();
	perform leadstream._secure_lead_tables();
	perform leadstream._grant_lead_tables();
end
$$;
comment on function leadstream._create_views() is
'makes all that is made on the lead tables for the attached contacts table: views, row security, rights';

create function leadstream.drop_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	views	text;
begin
	perform leadstream._raise_not_attached();
	-- it returns rows of the type that a view has
	drop function if exists leadstream.board_at(timestamptz);
	select string_agg(c.oid::regclass::text, ', ' order by c.relname) into views
	from pg_class c
	where c.relnamespace = 'leadstream'::regnamespace and c.relkind = 'v'
	  -- a policy names it, and it names no contact
	  and c.relname <> '_lead_in_sight'
	  and not exists (select from pg_depend d
					  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e');
	if views is not null then
		execute 'drop view ' || views;
	end if;
end
$$;
comment on function leadstream.drop_views() is
'drops the views on the lead tables, and board_at(), so that columns of the contacts can be given other types; '
'create_views() makes them anew, best in the same transaction. The caller owns them. Refused while other views need them. '
'Locks: ACCESS EXCLUSIVE on the views.';

create function leadstream.create_views() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source	leadstream.contact_source;
	type	regtype;
	kept	regclass;
begin
	perform leadstream._raise_not_attached();
	select * into source from leadstream.contact_source;
	perform leadstream._check_key(source.contacts, source.key_column);
	select a.atttypid into type from pg_attribute a
	where a.attrelid = source.contacts and a.attname = source.key_column;

	if type <> source.key_type then
		perform leadstream.drop_views();
		for kept in
			select to_regclass('leadstream.' || n) from unnest('{lead,lead_event,due,score}'::text[]) as n
		loop
			execute format('alter table %s alter column contact_id type %s', kept, type);
		end loop;
	end if;
	-- a column that is gone is shown no more
	update leadstream.contact_source s
	set key_type = type,
		email_column = (select a.attname from pg_attribute a where a.attrelid = s.contacts and a.attname = s.email_column),
		name_column = (select a.attname from pg_attribute a where a.attrelid = s.contacts and a.attname = s.name_column),
		company_column = (select a.attname from pg_attribute a where a.attrelid = s.contacts and a.attname = s.company_column),
		category_column = (select a.attname from pg_attribute a where a.attrelid = s.contacts and a.attname = s.category_column);
	perform leadstream._create_views();
end
$$;
comment on function leadstream.create_views() is
'makes the views on the lead tables anew, after drop_views(), or after a column that they show was dropped with CASCADE; '
'where the key of the contacts has got another type, gives it to the lead tables too. '
'The caller owns the lead tables. Rights on the views are given again to the roles that have an access. '
'Locks: ACCESS EXCLUSIVE on the views, and on the lead tables for another type.';
