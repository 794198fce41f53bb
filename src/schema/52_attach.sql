-- 52_attach.sql
--
-- Attaching the user's own tables, and detaching them, in the steps that
-- 50_setup.sql has.  All of it runs with the rights of its caller.

create function leadstream._raise_not_attached() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if not exists (select from leadstream.contact_source s join pg_class c on c.oid = s.contacts)
	then
		raise exception 'no contacts table is attached'
			using errcode = 'object_not_in_prerequisite_state',
				  hint = 'Attach it first: select leadstream.attach_contacts(''…'');';
	end if;
end
$$;
comment on function leadstream._raise_not_attached() is
'error 55000 unless a contacts table is attached';

create function leadstream.attach_contacts(
	contacts regclass,
	key name default null,
	email name default null,
	name name default null,
	company name default null,
	category name default null,
	account name default null,
	zone text default 'UTC'
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	param		record;
	known_zone	text;
	attached	regclass;
begin
	perform leadstream._not_null('contacts', contacts is null);
	perform leadstream._not_null('zone', zone is null);
	perform leadstream._check_relation(contacts, '{SELECT,TRIGGER,REFERENCES}');
	if (select c.relpersistence = 'u' from pg_class c where c.oid = contacts) then
		raise exception 'cannot attach %', contacts
			using errcode = 'wrong_object_type',
				  detail = 'It is unlogged, so leads could outlive their contacts.',
				  hint = format('Make it logged: alter table %s set logged;', contacts);
	end if;
	if exists (select from leadstream.activity_source a where a.activity = contacts) then
		raise exception 'table % is attached as an activity table', contacts
			using errcode = 'object_not_in_prerequisite_state',
				  hint = format('Detach it first: select leadstream.detach(%L);', contacts);
	end if;

	-- A table that was dropped leaves its row behind.
	delete from leadstream.contact_source s
	where not exists (select from pg_class c where c.oid = s.contacts);
	select s.contacts into attached from leadstream.contact_source s;
	if found then
		raise exception 'a contacts table is attached already'
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('It is %s; a database has one.', attached),
				  hint = format('Detach it first: select leadstream.detach(%L);', attached);
	end if;

	for param in
		select * from (values ('key', key), ('email', email), ('name', name),
							  ('company', company), ('category', category),
							  ('account', account)) as v(label, value)
	loop
		perform leadstream._check_column(contacts, param.label, param.value);
	end loop;
	perform leadstream._check_stored(contacts, account);
	key := coalesce(key, leadstream._default_key(contacts));
	perform leadstream._check_key(contacts, key);
	email := coalesce(email, leadstream._default_column(
		contacts, 'email', '{email,e_mail,mail,email_address}'));
	name := coalesce(name, leadstream._default_column(
		contacts, 'name', '{name,full_name,contact_name,display_name}'));
	company := coalesce(company, leadstream._default_column(
		contacts, 'company', '{company,company_name,organization,organisation}'));
	category := coalesce(category, leadstream._default_column(
		contacts, 'category', '{category}'));

	select z.name into known_zone
	from pg_timezone_names as z where lower(z.name) = lower(zone);
	if not found then
		raise exception 'time zone "%" does not exist', zone
			using errcode = 'invalid_parameter_value',
				  hint = 'The view pg_timezone_names lists the time zones.';
	end if;

	insert into leadstream.contact_source (contacts, key_column, key_type, email_column,
		name_column, company_column, category_column, account_column, zone)
	select contacts, key, a.atttypid, email, name, company, category, account, known_zone
	from pg_attribute a where a.attrelid = contacts and a.attname = key;

	if to_regclass('leadstream.lead') is null then
		perform leadstream._create_lead_tables();
	else
		perform leadstream._adopt_lead_tables();
	end if;
	perform leadstream._create_lead_trigger();
	perform leadstream._create_views();
	insert into leadstream.stage (stage, position, is_closed)
	select v.* from (values ('MQL', 1, false), ('SQL', 2, false), ('Opportunity', 3, false),
							('Won', 4, true), ('Lost', 5, true)) as v
	where not exists (select from leadstream.stage);
	perform leadstream._create_triggers(contacts, '{insert,update}', '{contact}');
end
$$;
comment on function leadstream.attach_contacts(regclass, name, name, name, name, name, name, text) is
'names the contacts table of this database and makes the lead tables, their views and the default stages. '
'key: a unique column (default: the primary key). email, name, company, category: columns that the board shows '
'(default: columns of these names, where there are such). account: the column that tells the customers of a '
'multi-tenant database apart. zone: the time zone of dates and of timestamps without time zone. '
'The caller owns the table, or has SELECT, TRIGGER and REFERENCES on it, and may create tables in schema leadstream. '
'Waits for writers of the table and holds them up while it runs.';

create function leadstream._check_kind(kind text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
	if btrim(kind) = '' or kind ~ '[[:cntrl:]]' then
		raise exception 'kind "%" is blank or has control characters in it', kind
			using errcode = 'invalid_name';
	end if;
	if octet_length(kind) > 63 then
		raise exception 'kind "%" is too long', kind
			using errcode = 'name_too_long',
				  detail = format('It has %s bytes, at most 63 are allowed.',
								  octet_length(kind));
	end if;
	if kind in ('contact', 'lead') then
		raise exception 'kind "%" is reserved', kind
			using errcode = 'reserved_name',
				  hint = 'Give the kind another name: kind => ''…''.';
	end if;
end
$$;
comment on function leadstream._check_kind(text) is
'error unless a text will do as the name of a kind';

-- Where streams are entered goes by what their rules mean.
create function leadstream._check_shadowed(kind text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	speaking text;
begin
	if not exists (select from leadstream.contact_source s
				   join pg_attribute a on a.attrelid = s.contacts and a.attnum > 0
				   where a.attname = kind and not a.attisdropped) then
		return;
	end if;
	select string_agg(format('"%s"', s.stream), ', ' order by s.stream)
	into speaking
	from leadstream.stream s
	where s.is_enabled and kind = any (leadstream.rule_kinds(s.rule, s.account));
	if speaking is not null then
		raise exception 'enabled streams speak of the elements of column "%" of the contacts', kind
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('They are: %s.', speaking),
				  hint = 'Give the kind another name, kind => ''…'', or disable them first.';
	end if;
end
$$;
comment on function leadstream._check_shadowed(text) is
'error 55000 if a kind of that name would take the place of a column of which enabled streams speak';

create function leadstream._check_time_column(activity regclass, time_column name) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	found_type oid := (select a.atttypid from pg_attribute a
					   where a.attrelid = activity and a.attname = time_column);
begin
	if leadstream._base_type(found_type) not in
	   ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
	then
		raise exception 'column "%" of table % is no time', time_column, activity
			using errcode = 'datatype_mismatch',
				  detail = format('It is of type %s.', format_type(found_type, null)),
				  hint = 'Name a column of type timestamptz, timestamp or date, or say timeless => true.';
	end if;
end
$$;
comment on function leadstream._check_time_column(regclass, name) is
'error 42804 unless a column is a timestamptz, timestamp or date';

create function leadstream._check_events(events text[]) returns text[]
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	known constant text[] := '{insert,update,delete}';
	unknown text;
begin
	perform leadstream._not_null('events', events is null);
	select coalesce(quote_literal(e), 'null') into unknown
	from unnest(events) as e where (e = any (known)) is not true limit 1;
	if found then
		raise exception 'event % is unknown', unknown
			using errcode = 'invalid_parameter_value',
				  detail = 'The events are insert, update and delete.',
				  hint = 'Give them as an array: events => ''{insert,update,delete}''.';
	end if;
	if not 'insert' = any (events) then
		raise exception 'parameter "events" is without "insert"'
			using errcode = 'invalid_parameter_value',
				  detail = 'Updates and deletes are captured besides inserts.',
				  hint = format('Write: events => %L.',
								array(select e from unnest(known) as e
									  where e = any (events || 'insert'::text))::text);
	end if;
	return array(select e from unnest(known) with ordinality as u(e, i)
				 where e = any (events) order by i);
end
$$;
comment on function leadstream._check_events(text[]) is
'the events in order, each once; error 22023 unless insert is one of them and all are known';

create function leadstream._warn_activity(activity regclass, contact_column name, time_column name)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
	contact_attnum smallint;
	time_attnum smallint;
begin
	select a.attnum into contact_attnum
	from pg_attribute a where a.attrelid = activity and a.attname = contact_column;
	select a.attnum into time_attnum
	from pg_attribute a where a.attrelid = activity and a.attname = time_column;
	if not exists (
		select from pg_index x
		join pg_class c on c.oid = x.indexrelid
		join pg_am m on m.oid = c.relam
		where x.indrelid = activity and m.amname = 'btree' and x.indisvalid
		  and x.indpred is null and x.indkey[0] = contact_attnum
		  and (time_attnum is null or (x.indnkeyatts > 1 and x.indkey[1] = time_attnum)))
	then
		raise warning 'table % has no index to find the rows of a contact by', activity
			using hint = format('Run: create index on %s (%s);', activity,
								concat_ws(', ', quote_ident(contact_column),
										  quote_ident(time_column)));
	end if;
	if not exists (
		select from pg_constraint f
		join leadstream.contact_source s on s.contacts = f.confrelid
		join pg_attribute k on k.attrelid = s.contacts and k.attname = s.key_column
		where f.conrelid = activity and f.contype = 'f'
		  and f.conkey = array[contact_attnum] and f.confkey = array[k.attnum])
	then
		raise warning 'table % has no foreign key to the contacts', activity
			using detail = 'An activity that arrives while its contact is being inserted may go unseen until fetch_history() finds it.',
				  hint = (select format('Run: alter table %s add foreign key (%I) references %s (%I);',
										activity, contact_column, s.contacts, s.key_column)
						  from leadstream.contact_source s);
	end if;
end
$$;
comment on function leadstream._warn_activity(regclass, name, name) is
'warns where an activity table lacks the index or the foreign key that it should have';

create function leadstream.attach_activity(
	activity regclass,
	contact_key name default null,
	kind text default null,
	occurred_at name default null,
	only_rule leadstream.rule default null,
	account name default null,
	timeless boolean default false,
	events text[] default '{insert}'
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	source		leadstream.contact_source;
	new_id		integer;
	first_id	integer;
	known		text[];
	wanted		text[];
begin
	perform leadstream._not_null('activity', activity is null);
	perform leadstream._not_null('timeless', timeless is null);
	events := leadstream._check_events(events);
	perform leadstream._raise_not_attached();
	perform leadstream._check_relation(activity, '{SELECT,TRIGGER}');
	select * into source from leadstream.contact_source;
	if activity = source.contacts then
		raise exception 'table % is the contacts table', activity
			using errcode = 'wrong_object_type',
				  hint = 'Rules speak of its columns without attaching it again.';
	end if;

	perform leadstream._check_column(activity, 'contact_key', contact_key);
	perform leadstream._check_column(activity, 'occurred_at', occurred_at);
	perform leadstream._check_column(activity, 'account', account);
	contact_key := coalesce(contact_key, leadstream._default_contact_column(activity));
	perform leadstream._check_stored(activity, u.c)
	from unnest(array[contact_key, occurred_at, account]) as u(c);
	perform leadstream._check_contact_type(activity, contact_key);
	kind := coalesce(kind, (select c.relname from pg_class c where c.oid = activity));
	perform leadstream._check_kind(kind);
	if account is not null and source.account_column is null then
		raise exception 'the contacts have no accounts'
			using errcode = 'invalid_parameter_value',
				  hint = 'Leave the parameter "account" out.';
	end if;

	if timeless and occurred_at is not null then
		raise exception 'a timeless kind cannot have a time column'
			using errcode = 'invalid_parameter_value',
				  hint = 'Give either occurred_at or timeless.';
	end if;
	if occurred_at is not null then
		perform leadstream._check_time_column(activity, occurred_at);
	elsif not timeless then
		occurred_at := leadstream._default_time_column(activity);
		if occurred_at is null then
			raise notice 'table % has no time column, so its rows count always', activity;
		end if;
	end if;
	if only_rule is not null then
		perform leadstream.check_only(activity, only_rule);
	end if;

	-- A table that was dropped leaves its kinds behind.
	delete from leadstream.activity_source a
	where not exists (select from pg_class c where c.oid = a.activity);
	perform leadstream._check_shadowed(kind);
	insert into leadstream.activity_source (kind, activity, contact_column, time_column,
		only_rule, account_column, events)
	values (attach_activity.kind, attach_activity.activity, contact_key, occurred_at,
			attach_activity.only_rule, account, attach_activity.events)
	on conflict do nothing
	returning source_id into new_id;
	if not found then
		raise exception 'kind "%" exists already', kind
			using errcode = 'duplicate_object',
				  detail = coalesce((select format('It stands for table %s.', a.activity)
									 from leadstream.activity_source a
									 where a.kind = attach_activity.kind),
									'Another session has attached it just now.'),
				  hint = 'Give the kind another name: kind => ''…''.';
	end if;
	-- The kinds of one table share the triggers of the first, which fire for
	-- whatever any of them asks for.
	select min(a.source_id), array_agg(distinct e) filter (where a.source_id <> new_id),
		   array(select o from unnest('{insert,update,delete}'::text[]) as o
				 where o = any (array_agg(e)))
	into first_id, known, wanted
	from leadstream.activity_source a, unnest(a.events) as e
	where a.activity = attach_activity.activity;
	if not known @> wanted is true then
		perform leadstream._create_triggers(activity, wanted,
											array['activity', first_id::text]);
	end if;
	perform leadstream._rescore_kinds(array[attach_activity.kind]);
	perform leadstream._warn_activity(activity, contact_key, occurred_at);
end
$$;
comment on function leadstream.attach_activity(regclass, name, text, name, leadstream.rule, name, boolean, text[]) is
'makes the rows of a table known to rules as activities of contacts. '
'contact_key: the column that points at the contact (default: the foreign key, else contact_id). '
'kind: the name in rules (default: the name of the table). '
'occurred_at: when it happened (default: occurred_at, else the only time column); timeless: it has no time. '
'only_rule: a condition on the columns of the row, where only a part of the table is of this kind. '
'account: the account column of this table, where the contacts have one. '
'events: what is captured of its rows, insert and, where asked for, update and delete. '
'The caller owns the table, or has SELECT and TRIGGER on it. '
'Waits for writers of the table and holds them up while it runs.';

create function leadstream.detach(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	is_contacts	boolean;
	kinds		text[];
	speaking	text;
begin
	perform leadstream._not_null('relation', relation is null);
	is_contacts := exists (select from leadstream.contact_source s where s.contacts = relation);
	kinds := array(select a.kind from leadstream.activity_source a
				   where a.activity = relation order by a.kind);
	if not is_contacts and kinds = '{}' then
		raise exception 'table % is not attached', relation
			using errcode = 'undefined_object',
				  hint = 'The tables leadstream.contact_source and leadstream.activity_source name those that are.';
	end if;
	select string_agg(format('"%s"', s.stream), ', ' order by s.stream)
	into speaking
	from leadstream.stream s
	where s.is_enabled and (is_contacts or leadstream.rule_kinds(s.rule, s.account) && kinds);
	if speaking is not null then
		raise exception 'enabled streams speak of table %', relation
			using errcode = 'object_not_in_prerequisite_state',
				  detail = format('They are: %s.', speaking),
				  hint = 'Disable them first: select leadstream.disable(''…'');';
	end if;
	if exists (select from pg_class c where c.oid = relation) then
		perform leadstream._drop_triggers(relation);
	end if;
	delete from leadstream.contact_source s where s.contacts = relation;
	delete from leadstream.activity_source a where a.activity = relation;
	perform leadstream._rescore_kinds(kinds);
end
$$;
comment on function leadstream.detach(regclass) is
'undoes attach_contacts() or attach_activity(), all kinds of the table at once; refused while enabled streams speak of it. '
'The caller owns the table. '
'The leads stay, with their foreign key to the contacts, and serve again when the same contacts are attached again. '
'A table that was dropped is named by its OID.';
