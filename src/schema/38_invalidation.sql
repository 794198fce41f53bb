-- 38_invalidation.sql
--
-- Sessions keep what they read of these tables.  Every write tells them; also
-- one under session_replication_role = replica, hence ENABLE ALWAYS.

create trigger invalidate
	after insert or update or delete or truncate on leadstream.contact_source
	for each statement execute function leadstream.invalidate();
alter table leadstream.contact_source enable always trigger invalidate;
comment on trigger invalidate on leadstream.contact_source is
'tells all sessions to read the streams anew';

create trigger invalidate
	after insert or update or delete or truncate on leadstream.activity_source
	for each statement execute function leadstream.invalidate();
alter table leadstream.activity_source enable always trigger invalidate;
comment on trigger invalidate on leadstream.activity_source is
'tells all sessions to read the streams anew';

create trigger invalidate
	after insert or update or delete or truncate on leadstream.stream
	for each statement execute function leadstream.invalidate();
alter table leadstream.stream enable always trigger invalidate;
comment on trigger invalidate on leadstream.stream is
'tells all sessions to read the streams anew';

create trigger invalidate
	after insert or update or delete or truncate on leadstream.segment
	for each statement execute function leadstream.invalidate();
alter table leadstream.segment enable always trigger invalidate;
comment on trigger invalidate on leadstream.segment is
'tells all sessions to read the streams anew';

create trigger invalidate
	after insert or update or delete or truncate on leadstream.stream_team
	for each statement execute function leadstream.invalidate();
alter table leadstream.stream_team enable always trigger invalidate;
comment on trigger invalidate on leadstream.stream_team is
'tells all sessions to read the streams anew';

create trigger invalidate
	after insert or update or delete or truncate on leadstream.score_set
	for each statement execute function leadstream.invalidate();
alter table leadstream.score_set enable always trigger invalidate;
comment on trigger invalidate on leadstream.score_set is
'tells all sessions to read the streams anew';

create trigger invalidate
	after insert or update or delete or truncate on leadstream.score_rule
	for each statement execute function leadstream.invalidate();
alter table leadstream.score_rule enable always trigger invalidate;
comment on trigger invalidate on leadstream.score_rule is
'tells all sessions to read the streams anew';
