-- 42_follow.sql
--
-- Columns that get other names are followed: see src/follow.c.

create table leadstream.attached_table (
	relation		regclass primary key,
	columns			name[] not null
);
comment on table leadstream.attached_table is
'how the columns of attached tables are called, by their numbers, so that a renamed one is known again; derived, and no part of a dump';
comment on column leadstream.attached_table.columns is
'null: the column was dropped';

create function leadstream._rename_columns(rule leadstream.rule, relation regclass, names_before name[], names_now name[], kind text)
returns leadstream.rule
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_rename_columns';
comment on function leadstream._rename_columns(leadstream.rule, regclass, name[], name[], text) is
'the rule with the names that the columns of a table have now; null: it is the same. With a kind it is an only_rule of it';

create function leadstream._lost_columns(rule leadstream.rule, relation regclass, names_before name[], names_now name[])
returns name[]
language c stable strict parallel restricted
as 'MODULE_PATHNAME', 'leadstream_lost_columns';
comment on function leadstream._lost_columns(leadstream.rule, regclass, name[], name[]) is
'the columns that the rule needs and that are gone, or that it cannot follow to their new names';

create function leadstream.note_columns() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_note_columns';
comment on function leadstream.note_columns() is
'trigger: puts on record how the columns of attached tables are called';
revoke execute on function leadstream.note_columns() from public;

create trigger note_columns
	after insert or update or delete or truncate on leadstream.contact_source
	for each statement execute function leadstream.note_columns();
alter table leadstream.contact_source enable always trigger note_columns;
comment on trigger note_columns on leadstream.contact_source is
'puts on record how the columns of the contacts are called';

create trigger note_columns
	after insert or update or delete or truncate on leadstream.activity_source
	for each statement execute function leadstream.note_columns();
alter table leadstream.activity_source enable always trigger note_columns;
comment on trigger note_columns on leadstream.activity_source is
'puts on record how the columns of activity tables are called';

create function leadstream.follow_columns() returns event_trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_follow_columns';
comment on function leadstream.follow_columns() is
'event trigger: writes new names of columns into what names them, and warns of columns that are gone';
revoke execute on function leadstream.follow_columns() from public;

-- Each of these can rename columns of a table; dropped they are by many more.
create event trigger leadstream_follow_columns on ddl_command_end
	when tag in ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER TYPE')
	execute function leadstream.follow_columns();
alter event trigger leadstream_follow_columns enable always;
comment on event trigger leadstream_follow_columns is
'leadstream: writes new names of columns into rules and sources';

create event trigger leadstream_miss_columns on sql_drop
	execute function leadstream.follow_columns();
alter event trigger leadstream_miss_columns enable always;
comment on event trigger leadstream_miss_columns is
'leadstream: warns of columns dropped that enabled streams speak of';
