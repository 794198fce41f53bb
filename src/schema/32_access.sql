-- 32_access.sql
--
-- Where streams are entered, so that a row finds those it may concern without
-- asking each: derived from the streams and from the tables that they are
-- bound to, by a trigger on leadstream.stream.  Not part of a dump: restored
-- streams are entered anew.  Read by every session that captures, by need.

create table leadstream.access_path (
	path_id			bigint not null,
	source_id		integer not null,
	kind			text not null,
	length			integer not null,
	fields			text[] not null,
	types			text[] not null
);
create index access_path_source_id_idx on leadstream.access_path (source_id);
comment on table leadstream.access_path is
'the fields by which rows are looked up; written as streams are enabled';
comment on column leadstream.access_path.source_id is
'the kind whose rows are looked up; 0: the contacts';
comment on column leadstream.access_path.kind is
'equal, prefix, member or range';
comment on column leadstream.access_path.length is
'of the prefix, in bytes, or of the range, in leading bits; else 0';
comment on column leadstream.access_path.types is
'type and hash function of each field; where they are others now, the keys are out of date';

create table leadstream.access_key (
	digest			bigint not null,
	stream_id		integer not null,
	primary key (digest, stream_id)
);
create index access_key_stream_id_idx on leadstream.access_key (stream_id);
comment on table leadstream.access_key is
'the streams that stand at each digest of what a row, or a contact, is looked up by';
comment on column leadstream.access_key.stream_id is
'negative: the stream stands below, at a digest of the contact too';

create index stream_changed_idx on leadstream.stream (changed);
create index stream_home_idx on leadstream.stream (home);

create function leadstream.enter_stream() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_enter_stream';
comment on function leadstream.enter_stream() is
'trigger: enters a stream where what concerns it finds it';
revoke execute on function leadstream.enter_stream() from public;

create trigger enter after insert or update or delete on leadstream.stream
	for each row execute function leadstream.enter_stream();
alter table leadstream.stream enable always trigger enter;
comment on trigger enter on leadstream.stream is
'enters the stream where what concerns it finds it';

create function leadstream.end_run() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_end_run';
comment on function leadstream.end_run() is
'trigger: removes what waits in leadstream.due of a run that has ended, when the transaction commits';
revoke execute on function leadstream.end_run() from public;

create constraint trigger end_run after update on leadstream.stream
	deferrable initially deferred
	for each row when (old.is_enabled and (not new.is_enabled or new.run <> old.run))
	execute function leadstream.end_run();
alter table leadstream.stream enable always trigger end_run;
comment on trigger end_run on leadstream.stream is
'removes what waits of a run that has ended';

create trigger enter_none after truncate on leadstream.stream
	for each statement execute function leadstream.enter_stream();
alter table leadstream.stream enable always trigger enter_none;
comment on trigger enter_none on leadstream.stream is
'forgets where streams were entered';

create function leadstream.enter_score() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_enter_score';
comment on function leadstream.enter_score() is
'trigger: enters score rules where rows are looked up';
revoke execute on function leadstream.enter_score() from public;

-- Not with every version: when one rule is written, the others are found as they
-- were.  Who changes what all of them stand for writes home.
create trigger enter after insert or update of account, is_enabled, home or delete on leadstream.score_set
	for each row execute function leadstream.enter_score();
alter table leadstream.score_set enable always trigger enter;
comment on trigger enter on leadstream.score_set is
'enters its rules where rows are looked up';

create trigger enter_here after update on leadstream.score_set
	for each row when (old.home <> new.home) execute function leadstream.enter_score();
alter table leadstream.score_set enable always trigger enter_here;
comment on trigger enter_here on leadstream.score_set is
'enters its rules, of a set that came past the triggers';

create trigger enter after insert or update or delete on leadstream.score_rule
	for each row execute function leadstream.enter_score();
alter table leadstream.score_rule enable always trigger enter;
comment on trigger enter on leadstream.score_rule is
'enters the rule where rows are looked up';

create function leadstream.enter_streams() returns bigint
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_enter_streams';
comment on function leadstream.enter_streams() is
'enters all enabled streams and score rules anew; called by index_streams()';
revoke execute on function leadstream.enter_streams() from public;

create function leadstream.index_streams() returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	-- Tables before streams: who renames a column holds its table and wants the
	-- streams that name it.
	perform leadstream.rule_problem(format('exists(%I)', a.kind)::leadstream.rule, '')
	from (select o.kind from leadstream.activity_source o order by o.activity) as a;
	-- Those that came past the triggers are at home from now on.  And one is
	-- written in any case: by that others see that keys have changed.
	update leadstream.stream s set home = leadstream._home()
	where s.is_enabled
	  and (s.home <> leadstream._home()
		   or s.stream_id = (select min(o.stream_id) from leadstream.stream o where o.is_enabled));
	update leadstream.score_set c set home = leadstream._home()
	where c.home <> leadstream._home()
	   or c.score_set_id = (select min(o.score_set_id) from leadstream.score_set o);
	return leadstream.enter_streams();
end
$$;
comment on function leadstream.index_streams() is
'enters all enabled streams and score rules anew, for those whose keys are out of date or missing: '
'after columns that rules ask for got another type, pg_upgrade, or a restore with triggers disabled; returns how many streams are found by their keys. '
'Holds up nobody who inserts; who enables or alters streams waits.';
revoke execute on function leadstream.index_streams() from public;

create function leadstream._look_up(kind text, "row" record,
	asking_each boolean default false, contact record default null) returns integer[]
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_look_up';
comment on function leadstream._look_up(text, record, boolean, record) is
'the ids of the streams that a row of a kind is looked up to concern, with those that its contact decides; asking each: that it does concern; kind null: the row is a contact';
revoke execute on function leadstream._look_up(text, record, boolean, record) from public;

create function leadstream._unkeyed_digest() returns bigint
language c immutable parallel safe
as 'MODULE_PATHNAME', 'leadstream_unkeyed_digest';
comment on function leadstream._unkeyed_digest() is
'the digest at which the streams stand that have no keys';

create function leadstream._path_digest(path_id bigint) returns bigint
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_path_digest';
comment on function leadstream._path_digest(bigint) is
'the digest at which the streams stand that a path leads to';

create function leadstream.session_cache() returns table (part text, entries bigint, bytes bigint)
language c volatile parallel restricted
as 'MODULE_PATHNAME', 'leadstream_session_cache';
comment on function leadstream.session_cache() is
'what this session keeps of the streams, and the memory it takes: rules that it has compiled, streams it has met, lookups it remembers, streams it had to enter by itself because they have no keys';
