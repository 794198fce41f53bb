-- 50_setup.sql
--
-- What attaching the user's own tables checks, takes for granted and puts on
-- them; 52_attach.sql does it.  Functions whose names begin with an underscore
-- are the steps of the others.  All of them run with the rights of
-- their caller, who therefore can do through them only what he could do
-- without them.

---------------------------------------------------------------------------
-- Checks
---------------------------------------------------------------------------

create function leadstream._not_null(param text, is_null boolean) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if is_null then
		raise exception 'parameter "%" must not be null', param
			using errcode = 'null_value_not_allowed';
	end if;
end
$$;
comment on function leadstream._not_null(text, boolean) is
'error 22004 if a parameter is null';

create function leadstream._check_name(param text, value text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._not_null(param, value is null);
	if btrim(value, E' \t\n\r') = '' then
		raise exception 'parameter "%" must not be blank', param
			using errcode = 'invalid_name';
	end if;
	if length(value) > 200 then
		raise exception 'parameter "%" is too long', param
			using errcode = 'name_too_long',
				  detail = format('It has %s characters, at most 200 are allowed.',
								  length(value));
	end if;
end
$$;
comment on function leadstream._check_name(text, text) is
'error unless a text will do as the name of a stream or team';

create function leadstream._check_relation(relation regclass, rights text[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	c		record;
	reason	text;
	missing	text[];
begin
	select r.oid, r.relkind, r.relpersistence, r.relispartition, r.relowner,
		   n.nspname
	into c
	from pg_class r join pg_namespace n on n.oid = r.relnamespace
	where r.oid = relation;
	if not found then
		raise exception 'table with OID % does not exist', relation::oid
			using errcode = 'undefined_table';
	end if;

	reason := case
		when c.oid < 16384 or c.nspname in ('pg_catalog', 'information_schema', 'pg_toast')
			then 'is a system table'
		when c.nspname = 'leadstream' then 'belongs to leadstream'
		when c.relkind = 'v' then 'is a view'
		when c.relkind = 'm' then 'is a materialized view'
		when c.relkind = 'f' then 'is a foreign table'
		when c.relkind not in ('r', 'p') then 'is not a table'
		when c.relpersistence = 't' then 'is a temporary table'
		when c.relispartition then 'is a partition of another table'
		when c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = c.oid)
			then 'has inheritance children'
	end;
	if reason is not null then
		raise exception 'cannot attach %', relation
			using errcode = 'wrong_object_type',
				  detail = format('%s %s.', relation, reason),
				  hint = case when c.relispartition
							  then 'Attach the partitioned table that it is a part of.'
							  else 'Attach an ordinary table or a partitioned one.' end;
	end if;

	if not pg_has_role(c.relowner, 'usage') then
		select array_agg(r) into missing
		from unnest(rights) as r
		where not has_table_privilege(relation, r);
		if missing is not null then
			raise exception 'permission denied for table %', relation
				using errcode = 'insufficient_privilege',
					  detail = format('Role %I is not its owner and lacks %s.',
									  current_user, array_to_string(missing, ', ')),
					  hint = format('Its owner may run: grant %s on %s to %I;',
									lower(array_to_string(missing, ', ')), relation,
									current_user);
		end if;
	end if;
end
$$;
comment on function leadstream._check_relation(regclass, text[]) is
'error unless a relation is a table that can be attached and the caller owns it or has the given rights on it';

create function leadstream._check_column(relation regclass, param text, column_name name)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if column_name is not null and not exists (
		select from pg_attribute a
		where a.attrelid = relation and a.attname = column_name
		  and a.attnum > 0 and not a.attisdropped)
	then
		raise exception 'column "%" of table % does not exist', column_name, relation
			using errcode = 'undefined_column',
				  detail = format('It was given as parameter "%s".', param),
				  hint = format('The columns are: %s.', (
					select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
					from pg_attribute a
					where a.attrelid = relation and a.attnum > 0
					  and not a.attisdropped));
	end if;
end
$$;
comment on function leadstream._check_column(regclass, text, name) is
'error 42703 if a column that was named does not exist';

create function leadstream._check_stored(relation regclass, column_name name) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if exists (
		select from pg_attribute a
		where a.attrelid = relation and a.attname = column_name and a.attgenerated = 'v')
	then
		raise exception 'column "%" of table % is a virtual generated column', column_name, relation
			using errcode = 'feature_not_supported',
				  detail = 'Its values are not in the rows that triggers see.',
				  hint = 'Make it a stored one, or name another column.';
	end if;
end
$$;
comment on function leadstream._check_stored(regclass, name) is
'error 0A000 if a column is generated when it is read';

-- Raised in several places in the same words.
create function leadstream._raise_ambiguous(relation regclass, param text, candidates name[])
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	raise exception 'table % has several columns that could be the "%"', relation, param
		using errcode = 'ambiguous_column',
			  detail = format('Candidates are: %s.', (
				select string_agg(quote_ident(c), ', ' order by i)
				from unnest(candidates) with ordinality as u(c, i))),
			  hint = format('Name the one: %I => %L.', param, candidates[1]);
end
$$;
comment on function leadstream._raise_ambiguous(regclass, text, name[]) is
'error 42702 that lists the candidates for a parameter';

---------------------------------------------------------------------------
-- Defaults
---------------------------------------------------------------------------

create function leadstream._default_column(relation regclass, param text, names name[])
returns name
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	found_names name[];
begin
	select array_agg(a.attname order by a.attnum) into found_names
	from pg_attribute a
	where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
	  and a.attname = any (names);
	if names[1] = any (found_names) then
		return names[1];
	end if;
	if cardinality(found_names) > 1 then
		perform leadstream._raise_ambiguous(relation, param, found_names);
	end if;
	return found_names[1];
end
$$;
comment on function leadstream._default_column(regclass, text, name[]) is
'the column of the first name, else the only one of the other names, else null; error 42702 where there are several';

create function leadstream._default_key(contacts regclass) returns name
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	columns name[];
begin
	select array_agg(a.attname order by u.i) into columns
	from pg_index x
	cross join unnest(x.indkey::smallint[]) with ordinality as u(attnum, i)
	join pg_attribute a on a.attrelid = x.indrelid and a.attnum = u.attnum
	where x.indrelid = contacts and x.indisprimary and u.i <= x.indnkeyatts;
	if columns is null then
		raise exception 'table % has no primary key', contacts
			using errcode = 'invalid_table_definition',
				  detail = 'A contact is known by its key.',
				  hint = 'Add a primary key, or name a column that is unique and not null: key => ''…''.';
	end if;
	if cardinality(columns) > 1 then
		raise exception 'the primary key of table % has several columns', contacts
			using errcode = 'invalid_table_definition',
				  detail = format('They are: %s.', (
					select string_agg(quote_ident(c), ', ' order by i)
					from unnest(columns) with ordinality as u(c, i))),
				  hint = 'Name a column that is unique and not null by itself: key => ''…''.';
	end if;
	return columns[1];
end
$$;
comment on function leadstream._default_key(regclass) is
'the column of a single-column primary key';

create function leadstream._default_contact_column(activity regclass) returns name
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	candidates name[];
begin
	select array_agg(distinct a.attname order by a.attname) into candidates
	from leadstream.contact_source s
	join pg_constraint f on f.contype = 'f' and f.confrelid = s.contacts
	join pg_attribute k on k.attrelid = s.contacts and k.attname = s.key_column
	join pg_attribute a on a.attrelid = f.conrelid and a.attnum = f.conkey[1]
	where f.conrelid = activity and f.confkey = array[k.attnum];
	if cardinality(candidates) > 1 then
		perform leadstream._raise_ambiguous(activity, 'contact_key', candidates);
	elsif candidates is null then
		candidates[1] := leadstream._default_column(activity, 'contact_key', '{contact_id}');
	end if;
	if candidates[1] is null then
		raise exception 'table % has no column that points at the contact', activity
			using errcode = 'undefined_column',
				  detail = 'It has neither a foreign key to the contacts table nor a column "contact_id".',
				  hint = 'Name the column: contact_key => ''…''.';
	end if;
	return candidates[1];
end
$$;
comment on function leadstream._default_contact_column(regclass) is
'the column of the only foreign key to the contacts, else contact_id';

create function leadstream._default_time_column(activity regclass) returns name
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	stamps	name[];
	dates	name[];
begin
	select array_agg(t.attname order by t.attnum) filter (where t.base <> 'date'::regtype),
		   array_agg(t.attname order by t.attnum) filter (where t.base = 'date'::regtype)
	into stamps, dates
	from (
		select a.attname, a.attnum, leadstream._base_type(a.atttypid) as base
		from pg_attribute a
		where a.attrelid = activity and a.attnum > 0 and not a.attisdropped
		  and a.attgenerated <> 'v'
	) as t
	where t.base in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype);
	if 'occurred_at' = any (stamps || dates) then
		return 'occurred_at';
	end if;
	stamps := coalesce(stamps, dates);
	if cardinality(stamps) > 1 then
		perform leadstream._raise_ambiguous(activity, 'occurred_at', stamps);
	end if;
	return stamps[1];
end
$$;
comment on function leadstream._default_time_column(regclass) is
'occurred_at, else the only timestamp, else the only date, else null';

---------------------------------------------------------------------------
-- Types
---------------------------------------------------------------------------

create function leadstream._base_type(type oid) returns regtype
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	with recursive domain(oid, typtype, typbasetype) as (
		select t.oid, t.typtype, t.typbasetype from pg_type t where t.oid = type
		union all
		select t.oid, t.typtype, t.typbasetype
		from domain d join pg_type t on t.oid = d.typbasetype
		where d.typtype = 'd'
	)
	select d.oid::regtype from domain d where d.typtype <> 'd'
$$;
comment on function leadstream._base_type(oid) is
'the type itself, or what a domain is over';

-- As the server itself looks for one: exact, else binary coercible, else
-- polymorphic.
create function leadstream._has_default_opclass(type oid, method name) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
	select exists (
		select
		from pg_opclass o
		join pg_am m on m.oid = o.opcmethod
		join pg_type t on t.oid = type
		where m.amname = method and o.opcdefault
		  and (o.opcintype = t.oid
			   or exists (select from pg_cast c
						  where c.castsource = t.oid and c.casttarget = o.opcintype
							and c.castmethod = 'b' and c.castcontext = 'i')
			   or o.opcintype = case
					when t.typtype = 'e' then 'anyenum'::regtype
					when t.typtype = 'r' then 'anyrange'::regtype
					when t.typtype = 'm' then 'anymultirange'::regtype
					when t.typtype = 'c' then 'record'::regtype
					when t.typcategory = 'A' then 'anyarray'::regtype
				  end))
$$;
comment on function leadstream._has_default_opclass(oid, name) is
'does a type have a default operator class of an index method';

create function leadstream._check_key(contacts regclass, key name) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	k		record;
	base	regtype;
	method	name;
begin
	select a.attnum, a.attnotnull, a.atttypid into k
	from pg_attribute a where a.attrelid = contacts and a.attname = key;
	if not exists (
		select from pg_index x
		where x.indrelid = contacts and x.indnkeyatts = 1 and x.indkey[0] = k.attnum
		  and x.indisunique and x.indimmediate and x.indisvalid and x.indpred is null)
	then
		raise exception 'column "%" of table % is not unique', key, contacts
			using errcode = 'invalid_table_definition',
				  detail = 'A contact is known by its key.',
				  hint = format('Make it unique: alter table %s add unique (%I);',
								contacts, key);
	end if;
	if not k.attnotnull then
		raise exception 'column "%" of table % may be null', key, contacts
			using errcode = 'invalid_table_definition',
				  detail = 'A contact is known by its key.',
				  hint = format('Forbid it: alter table %s alter column %I set not null;',
								contacts, key);
	end if;
	base := leadstream._base_type(k.atttypid);
	-- Keys travel in arrays, and unnest() takes composites apart.
	if exists (select from pg_type t where t.oid = k.atttypid and t.typarray = 0)
	   or exists (select from pg_type t where t.oid = base and t.typtype = 'c')
	then
		raise exception 'column "%" of table % cannot be the key', key, contacts
			using errcode = 'feature_not_supported',
				  detail = format('It is of type %s, which is an array or a composite type.',
								  format_type(k.atttypid, null)),
				  hint = 'Choose a key of a type such as bigint, uuid or text.';
	end if;
	foreach method in array '{btree,hash}'::name[] loop
		if not leadstream._has_default_opclass(base, method) then
			raise exception 'column "%" of table % cannot be the key', key, contacts
				using errcode = 'undefined_object',
					  detail = format('Type %s has no default operator class for access method "%s".',
									  base, method),
					  hint = 'Choose a key of a type such as bigint, uuid or text.';
		end if;
	end loop;
end
$$;
comment on function leadstream._check_key(regclass, name) is
'error unless a column is unique, not null and of a scalar type that can be sorted and hashed';

create function leadstream._check_contact_type(activity regclass, contact_column name)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	integers constant regtype[] := '{smallint,integer,bigint}';
	texts	constant regtype[] := '{text,varchar}';
	found_type	regtype;
	key_type	regtype;
begin
	select leadstream._base_type(a.atttypid), leadstream._base_type(s.key_type)
	into found_type, key_type
	from leadstream.contact_source s, pg_attribute a
	where a.attrelid = activity and a.attname = contact_column;
	if found_type <> key_type
	   and not (found_type = any (integers) and key_type = any (integers))
	   and not (found_type = any (texts) and key_type = any (texts))
	then
		raise exception 'column "%" of table % cannot point at a contact',
						contact_column, activity
			using errcode = 'datatype_mismatch',
				  detail = format('It is of type %s, the key of the contacts of type %s.',
								  found_type, key_type),
				  hint = 'Name another column with contact_key, or change its type.';
	end if;
end
$$;
comment on function leadstream._check_contact_type(regclass, name) is
'error 42804 unless a column is of the type of the contacts'' key, or both are integers';

---------------------------------------------------------------------------
-- Triggers on the user's tables
---------------------------------------------------------------------------

-- The triggers are made once for all kinds of a table, and once more when a
-- kind comes that asks for more; they stay enabled as they were.
--
-- Row triggers are cloned to partitions by the server, statement triggers are
-- not, and an insert straight into a partition fires those of the partition.
--
-- A row that an update moves to another partition is deleted and inserted: of
-- one that is inserted it takes the deletion to know where it came from.
create function leadstream._create_triggers(relation regclass, events text[], arguments text[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	call constant text := format('leadstream.capture(%s)', (
		select string_agg(quote_literal(a), ', ' order by i)
		from unnest(arguments) with ordinality as u(a, i)));
	event constant text := array_to_string(events, ' or ');
	part regclass;
	was record;
	enabled constant jsonb := (
		select jsonb_agg(jsonb_build_array(t.tgrelid, t.tgname, t.tgenabled))
		from pg_trigger t
		where t.tgrelid in (select p.relid from pg_partition_tree(relation) as p
							union select relation)
		  and t.tgfoid = 'leadstream.capture()'::regprocedure
		  and t.tgparentid = 0 and t.tgenabled <> 'O');
begin
	execute format('create or replace trigger leadstream_capture after %s on %s for each row execute function %s',
				   event, relation, call);
	for part in
		select t.relid from pg_partition_tree(relation) as t
		union select relation
	loop
		continue when (select c.relkind from pg_class c where c.oid = part) = 'f';
		execute format('create or replace trigger leadstream_open before %s on %s for each statement execute function %s',
					   event, part, call);
		execute format('create or replace trigger leadstream_settle after %s on %s for each statement execute function %s',
					   event, part, call);
	end loop;
	if 'update' = any (events) and not 'delete' = any (events)
	   and arguments[1] = 'activity'
	   and (select c.relkind from pg_class c where c.oid = relation) = 'p'
	then
		execute format('create or replace trigger leadstream_move after delete on %s for each row execute function leadstream.capture(%s)',
					   relation, (select string_agg(quote_literal(a), ', ' order by i)
								  from unnest(arguments || 'move'::text) with ordinality as u(a, i)));
	elsif exists (select from pg_trigger t
				  where t.tgrelid = relation and t.tgname = 'leadstream_move'
					and t.tgfoid = 'leadstream.capture()'::regprocedure)
	then
		execute format('drop trigger leadstream_move on %s', relation);
	end if;
	for was in
		select (e.value ->> 0)::oid::regclass as part, e.value ->> 1 as name, e.value ->> 2 as state
		from jsonb_array_elements(enabled) as e
		join pg_trigger t on t.tgrelid = (e.value ->> 0)::oid and t.tgname = e.value ->> 1
	loop
		execute format('alter table %s %s trigger %I', was.part,
					   case was.state when 'A' then 'enable always'
									  when 'R' then 'enable replica' else 'disable' end, was.name);
	end loop;
end
$$;
comment on function leadstream._create_triggers(regclass, text[], text[]) is
'puts the capture triggers on a table and its partitions, in place of those that are there';

create function leadstream._drop_triggers(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	found_trigger record;
begin
	for found_trigger in
		select t.tgname, t.tgrelid::regclass as part
		from pg_trigger t
		where (t.tgrelid in (select p.relid from pg_partition_tree(relation) as p
							 union select relation)
			   -- a partition detached since keeps its statement triggers
			   or t.tgargs in (
				select convert_to('activity', 'UTF8') || '\x00'
					   || convert_to(a.source_id::text, 'UTF8') || '\x00'
				from leadstream.activity_source a where a.activity = relation))
		  and t.tgfoid = 'leadstream.capture()'::regprocedure
		  and t.tgparentid = 0
	loop
		execute format('drop trigger %I on %s', found_trigger.tgname, found_trigger.part);
	end loop;
end
$$;
comment on function leadstream._drop_triggers(regclass) is
'takes the capture triggers off a table, its partitions and what were its partitions';
