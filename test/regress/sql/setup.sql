--
-- setup: attaching and detaching tables
--
-- Defaults from the catalog, keys of any type, what is made, what is taken
-- away again.  What is refused is in errors.sql.
--
\pset format unaligned
\pset footer off
set client_min_messages = warning;
create schema shop;
set search_path = shop;

-- the triggers on a table and its partitions
create function pg_temp.triggers(relation regclass)
	returns table (on_table regclass, trigger_name name, definition text) language sql as $$
	select t.tgrelid::regclass, t.tgname,
		   regexp_replace(pg_get_triggerdef(t.oid), '^.* (BEFORE|AFTER) (.*) ON .* FOR', '\1 \2 FOR')
	from pg_trigger t
	where t.tgfoid = 'leadstream.capture()'::regprocedure
	  and (t.tgrelid = relation or t.tgrelid in (select relid from pg_partition_tree(relation)))
	order by t.tgrelid::regclass::text, t.tgname
$$;
create function pg_temp.clean() returns void language plpgsql as $$
begin
	perform leadstream.detach(a.activity)
	from (select distinct activity from leadstream.activity_source) as a;
	perform leadstream.detach(contacts) from leadstream.contact_source;
	drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
end
$$;

--
-- Everything by default.
--
create table contact (
	id bigint primary key, email text, name text, company text, category text, country text,
	score integer, tags text[], attrs jsonb, born date, vip boolean, within numeric(10,2),
	"Utm Source" text, blob xml);
create table form_submit (
	id bigint generated always as identity primary key,
	contact_id bigint references contact, occurred_at timestamptz, form text);
create index on form_submit (contact_id, occurred_at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('form_submit');
select contacts, key_column, key_type, email_column, name_column, company_column,
	   category_column, account_column, zone from leadstream.contact_source;
select kind, activity, contact_column, time_column, only_rule, account_column
	from leadstream.activity_source;
select account, stage, position, is_closed from leadstream.stage order by position;
select on_table, trigger_name, regexp_replace(definition, '''\d+''', '''n''')
	from pg_temp.triggers('contact') union all
select on_table, trigger_name, regexp_replace(definition, '''\d+''', '''n''')
	from pg_temp.triggers('form_submit');

-- the lead tables
select attrelid::regclass as relation, attname, format_type(atttypid, atttypmod) as type, attnotnull
	from pg_attribute
	where attrelid in ('leadstream.lead'::regclass, 'leadstream.lead_match'::regclass,
					   'leadstream.lead_event'::regclass) and attnum > 0
	order by attrelid::regclass::text, attnum;
select conrelid::regclass as relation, conname, pg_get_constraintdef(oid) as definition
	from pg_constraint
	where conrelid in ('leadstream.lead'::regclass, 'leadstream.lead_match'::regclass,
					   'leadstream.lead_event'::regclass) and contype <> 'n'
	order by conrelid::regclass::text, conname;
select indexrelid::regclass as index from pg_index
	where indrelid in ('leadstream.lead'::regclass, 'leadstream.lead_match'::regclass,
					   'leadstream.lead_event'::regclass)
	order by 1::text;
-- they are the user's, not the extension's
select count(*) from pg_depend
	where refclassid = 'pg_extension'::regclass and deptype = 'e'
	  and objid in ('leadstream.lead'::regclass, 'leadstream.lead_match'::regclass,
					'leadstream.lead_event'::regclass, 'leadstream.board'::regclass,
					'leadstream.leads'::regclass, 'leadstream.matches'::regclass);
-- every one of them says what it is
select count(*) from pg_class c
	where relnamespace = 'leadstream'::regnamespace and relkind in ('r', 'v')
	  and obj_description(oid, 'pg_class') is null;
-- views have only types that every tool reads
select attrelid::regclass as view, attname, format_type(atttypid, atttypmod) as type
	from pg_attribute
	where attrelid in ('leadstream.board'::regclass, 'leadstream.leads'::regclass,
					   'leadstream.matches'::regclass, 'leadstream.streams'::regclass,
					   'leadstream.fields'::regclass)
	  and attnum > 0
	order by attrelid::regclass::text, attnum;

select * from leadstream.fields;

--
-- Several kinds on one table share its triggers.
--
create table event (
	id bigint primary key, contact_id bigint references contact, type text, "when" timestamptz);
create index on event (contact_id, "when");
select leadstream.attach_activity('event', kind => 'mail_open', only_rule => 'type = ''open''');
select leadstream.attach_activity('event', kind => 'Mail "click"', only_rule => 'type = ''click''');
select kind, time_column, only_rule from leadstream.activity_source
	where activity = 'event'::regclass order by kind;
select on_table, trigger_name from pg_temp.triggers('event');
select distinct kind from leadstream.fields order by kind;
select leadstream.detach('event');
select kind from leadstream.activity_source;
select * from pg_temp.triggers('event');

--
-- Defaults of the time column, and warnings.
--
create table only_date (contact_id bigint, day date, note text);
create table no_time (contact_id bigint references contact, note text);
create table created (contact_id integer references contact, created_at timestamp, day date);
create table named (contact_id bigint references contact, a timestamptz, b timestamptz);
create table text_time (contact_id bigint references contact, occurred_at text, t timestamptz);
create table "Odd ""Name""" ("Contact Id" bigint references contact, "At Last" timestamptz);
select leadstream.attach_activity('only_date');
set client_min_messages = notice;
select leadstream.attach_activity('no_time');
set client_min_messages = warning;
select leadstream.attach_activity('created');
select leadstream.attach_activity('named', occurred_at => 'b');
select leadstream.attach_activity('text_time');
select leadstream.attach_activity('"Odd ""Name"""');
select leadstream.attach_activity('created', kind => 'born', occurred_at => 'day');
select leadstream.attach_activity('created', kind => 'eternal', timeless => true);
select kind, contact_column, time_column from leadstream.activity_source order by kind;
-- the index to make is named so that it can be made
create index on shop."Odd ""Name""" ("Contact Id", "At Last");
select leadstream.attach_activity('"Odd ""Name"""', kind => 'odd again');
-- partial, expression and other indexes do not help
create index on named (contact_id) where a is null;
create index on named (contact_id, a);
create index on named using hash (contact_id);
select leadstream.attach_activity('named', kind => 'named again', occurred_at => 'b');
create unique index on named (contact_id, b, a);
select leadstream.attach_activity('named', kind => 'named well', occurred_at => 'b');
select leadstream.detach('"Odd ""Name"""');

--
-- Two foreign keys: say which.
--
create table call (caller bigint references contact, callee bigint references contact, at timestamptz);
create index on call (callee, at);
select leadstream.attach_activity('call', contact_key => 'callee');
select contact_column from leadstream.activity_source where kind = 'call';

--
-- Partitions: the row trigger is cloned, the statement pair is on each.
--
create table visit (id bigint, contact_id bigint references contact, at timestamptz)
	partition by range (id);
create table visit_1 partition of visit for values from (0) to (10);
create table visit_2 partition of visit for values from (10) to (20) partition by range (id);
create table visit_2_1 partition of visit_2 for values from (10) to (20);
create index on visit (contact_id, at);
select leadstream.attach_activity('visit');
select on_table, trigger_name from pg_temp.triggers('visit');
create table visit_3 partition of visit for values from (20) to (30);
select on_table, trigger_name from pg_temp.triggers('visit_3');
alter table visit detach partition visit_1;
select leadstream.detach('visit');
select * from pg_temp.triggers('visit');

--
-- A table that was dropped leaves its kind behind, until the name is needed.
--
drop table call;
select distinct kind from leadstream.fields where kind = 'call';
create table call (contact_id bigint references contact, at timestamptz);
create index on call (contact_id, at);
select leadstream.attach_activity('call');
select distinct kind from leadstream.fields where kind = 'call';

--
-- Detached and attached again, the contacts find their leads.
--
insert into contact (id, email) values (1, 'a@example.com');
select leadstream.create_team('North') is not null as made;
insert into leadstream.lead (contact_id, team_id, stage, created_at, stage_changed_at)
	select 1, team_id, 'MQL', '2024-01-01', '2024-01-01' from leadstream.team;
select leadstream.detach('contact');
select * from leadstream.contact_source;
select * from pg_temp.triggers('contact');
select contact_id, email, team from leadstream.board;
select leadstream.attach_contacts('contact', name => 'company', zone => 'europe/stockholm');
select name_column, zone from leadstream.contact_source;
select contact_id, email, team from leadstream.board;
select count(*) from leadstream.stage;
-- the contacts table dropped and made anew
drop table contact cascade;
select conname from pg_constraint
	where conrelid = 'leadstream.lead'::regclass and contype = 'f' order by conname;
create table contact (id bigint primary key, email text);
insert into contact values (1, 'b@example.com');
select leadstream.attach_contacts('contact');
select contact_id, email, name, team from leadstream.board;
select conname from pg_constraint
	where conrelid in ('leadstream.lead'::regclass, 'leadstream.lead_event'::regclass)
	  and contype = 'f' order by conname;
-- renamed, it is the same table
alter table contact rename to customer;
alter table customer rename column email to "E-Mail";
select contact_id, email from leadstream.board;
delete from leadstream.lead;
select what, contact_id from leadstream.lead_event;
select pg_temp.clean();

--
-- Keys of any type.
--
create domain code as varchar(20) check (value <> '');
create type colour as enum ('red', 'green');
create table c_integer (key integer primary key);
create table c_smallint (key smallint primary key);
create table c_uuid (key uuid primary key);
create table c_text (key text collate "C" primary key);
create table c_code (key code primary key);
create table c_colour (key colour primary key);
create table c_numeric (key numeric(12,2) primary key);
create table c_stamp (key timestamptz primary key);
create table c_unique (id bigint primary key, key text not null unique);
create table c_composite (a bigint, key bigint not null unique, primary key (a, key));
create table c_parted (key bigint primary key, email text) partition by hash (key);
create table c_parted_0 partition of c_parted for values with (modulus 2, remainder 0);
create table c_parted_1 partition of c_parted for values with (modulus 2, remainder 1);
create table "C ""odd"" name of 63 bytes, that is as long as a name can ever be" (
	"The ""Key"", also of 63 bytes, so nothing can be put behind its end" text primary key,
	"E Mail" text);
create table key_type (relation regclass, lead_type text, event_type text, view_type text);
do $$
declare
	relation regclass;
begin
	for relation in
		select oid from pg_class
		where relnamespace = 'shop'::regnamespace and relname ilike 'c\_%' and relkind in ('r', 'p')
		  and not relispartition
		order by relname
	loop
		perform leadstream.attach_contacts(relation, key => 'key');
		insert into key_type
		select relation,
			   max(format_type(atttypid, atttypmod)) filter (where attrelid = 'leadstream.lead'::regclass),
			   max(format_type(atttypid, atttypmod)) filter (where attrelid = 'leadstream.lead_event'::regclass),
			   max(format_type(atttypid, atttypmod)) filter (where attrelid = 'leadstream.board'::regclass)
		from pg_attribute where attname = 'contact_id';
		perform pg_temp.clean();
	end loop;
end
$$;
select * from key_type order by relation::text;
select leadstream.attach_contacts('c_text');
select collname from pg_attribute a join pg_collation c on c.oid = a.attcollation
	where attrelid = 'leadstream.lead'::regclass and attname = 'contact_id';
create table touch (contact_id text references c_text, occurred_at timestamptz);
create index on touch (contact_id, occurred_at);
select leadstream.attach_activity('touch');
select pg_temp.clean();
select leadstream.attach_contacts('c_parted');
select on_table, trigger_name from pg_temp.triggers('c_parted');
select pg_temp.clean();
select * from pg_temp.triggers('c_parted');

select leadstream.attach_contacts('"C ""odd"" name of 63 bytes, that is as long as a name can ever be"',
								  email => 'E Mail');
create table "Act" ("To" text references "C ""odd"" name of 63 bytes, that is as long as a name can ever be",
					"At" date);
create index on "Act" ("To", "At");
select leadstream.attach_activity('"Act"', kind => 'kind of 63 bytes, as long as one can be, with "quotes" in it ..');
insert into "C ""odd"" name of 63 bytes, that is as long as a name can ever be" values ('o''k', 'o@k');
insert into "Act" values ('o''k', '2024-01-01');
select leadstream.create_team('o''team "x"') is not null as made;
insert into leadstream.lead (contact_id, team_id, stage, created_at, stage_changed_at)
	select 'o''k', team_id, 'MQL', '2024-01-01', '2024-01-01' from leadstream.team;
select contact_id, email, team from leadstream.board;
update "C ""odd"" name of 63 bytes, that is as long as a name can ever be"
	set "The ""Key"", also of 63 bytes, so nothing can be put behind its end" = 'new'
	where false;
select * from leadstream.fields order by kind, field;
delete from leadstream.lead;
select contact_id, what from leadstream.lead_event;
select pg_temp.clean();

--
-- Not only superusers: what a role needs to set up and to run it all.
--
create role regress_leadstream_dba;
grant create, usage on schema shop to regress_leadstream_dba;
grant create on schema leadstream to regress_leadstream_dba;
grant select, insert, update, delete, references on all tables in schema leadstream to regress_leadstream_dba;
grant execute on all functions in schema leadstream to regress_leadstream_dba;
set role regress_leadstream_dba;
create table person (id bigint primary key, email text, country text);
create table phone (person_id bigint references person, at timestamptz);
create index on phone (person_id, at);
select leadstream.attach_contacts('person');
select leadstream.attach_activity('phone');
select leadstream.create_team('North') is not null as made;
select leadstream.create_stream('Callers', 'exists(phone)', '{North}') is not null as made;
select leadstream.enable('Callers');
insert into person values (1, 'a@example.com', 'SE');
insert into phone values (1, '2024-01-01');
select contact_id, team, streams from leadstream.board;
select stream, problem, lead_count from leadstream.streams;
select leadstream.move(lead_id, 'SQL') from leadstream.leads;
select leadstream.disable('Callers');
select leadstream.clear('Callers');
select leadstream.drop_stream('Callers');
select what, actor from leadstream.lead_event order by event_id;
select relname, relowner::regrole from pg_class
	where relnamespace = 'leadstream'::regnamespace and relname ~ '^(lead|lead_match|lead_event|board|leads|matches)$'
	order by relname;
reset role;
select pg_temp.clean();

drop schema shop cascade;
drop owned by regress_leadstream_dba;
drop role regress_leadstream_dba;
