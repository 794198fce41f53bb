-- Capture: the trigger functions, the leads made by hand and taken back, and
-- waiting for writers.

create function leadstream.capture() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_capture';
comment on function leadstream.capture() is
'judges what happens to the rows of an attached table and makes their leads; created by attach_contacts() and attach_activity()';
-- Whoever may call it can put it on a table of his own.
revoke execute on function leadstream.capture() from public;

create function leadstream.invalidate() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_invalidate';
comment on function leadstream.invalidate() is
'tells every session that streams or sources have changed';
revoke execute on function leadstream.invalidate() from public;

create function leadstream.create_lead(contact "any", team text) returns bigint
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_create_lead';
comment on function leadstream.create_lead("any", text) is
'puts a contact on the board of a team by hand; returns the lead, the one that is there or a new one';
revoke execute on function leadstream.create_lead("any", text) from public;

-- "any" says nothing to a driver that sends strings as parameters of no type;
-- beside a text the server takes them for that.
create function leadstream.create_lead(contact text, team text) returns bigint
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_create_lead';
comment on function leadstream.create_lead(text, text) is
'puts a contact, its key given as text, on the board of a team by hand; returns the lead, the one that is there or a new one';
revoke execute on function leadstream.create_lead(text, text) from public;

create function leadstream.clear_stream(stream_id integer) returns bigint
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_clear_stream';
comment on function leadstream.clear_stream(integer) is
'waits for writers, then removes the matches of a stream and the leads that nothing else holds; called by clear()';
revoke execute on function leadstream.clear_stream(integer) from public;

create function leadstream.wait_for_writers(tables regclass[]) returns void
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_wait_for_writers';
comment on function leadstream.wait_for_writers(regclass[]) is
'waits until every other transaction that is writing one of the tables, a partition of it, or the lead tables has ended';
revoke execute on function leadstream.wait_for_writers(regclass[]) from public;

create function leadstream.forget_matches() returns trigger
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_forget_matches';
comment on function leadstream.forget_matches() is
'takes the matches of a deleted lead with it';
revoke execute on function leadstream.forget_matches() from public;

create function leadstream.forget_stream(stream_id integer) returns void
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_forget_stream';
comment on function leadstream.forget_stream(integer) is
'removes the matches of a disabled stream, whose leads stay; called by drop_stream()';
revoke execute on function leadstream.forget_stream(integer) from public;
