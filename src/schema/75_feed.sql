-- 75_feed.sql
--
-- Leads for programs that follow them: a feed that is read by cursor, channels
-- that tell when to look, and an envelope for events.

-- Not part of a dump: what is restored elsewhere is another feed, because
-- transaction ids mean something in one cluster only.  pg_upgrade, which keeps
-- them, keeps the rows of the extension's tables, too.
create table leadstream.feed (
	feed_id			uuid not null default gen_random_uuid(),
	began_at		timestamptz not null default statement_timestamp()
);
comment on table leadstream.feed is
'the identity of the feed of leads, one row, which cursors of leads_since() name; not part of a dump';
insert into leadstream.feed default values;

create function leadstream._read_cursor(
	since text,
	out made_by xid8, out lead_id bigint, out account text, out next_xid xid8
) returns record
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_read_cursor';
comment on function leadstream._read_cursor(text) is
'the place in the feed that a cursor is at, the account that leads are chosen by, and the transaction id that is given away next; error unless the cursor is of this feed';

create function leadstream._begin_cursor() returns text
language c stable parallel restricted
as 'MODULE_PATHNAME', 'leadstream_begin_cursor';
comment on function leadstream._begin_cursor() is
'what the cursors of this moment begin with; made_by and lead_id follow';

-- No lead of a transaction before the oldest running one can come any more,
-- so a place before that is never gone back to.  The leads are read in order by
-- lead_made_by_idx, and what belongs to each by its id, whatever the planner
-- thinks of how many they are: nothing else is as good for a page of a feed.
create function leadstream.leads_since(since text default null, max_leads integer default 1000)
returns table (
	cursor text, lead_id bigint, contact_id text, team text, stage text,
	assigned_to text, streams text, created_at timestamptz, account text
)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
#variable_conflict use_column
declare
	place	constant record := leadstream._read_cursor(leads_since.since);
	horizon constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
	prefix	text;
begin
	perform leadstream._not_null('max_leads', max_leads is null);
	if max_leads < 1 then
		raise exception 'max_leads must be positive'
			using errcode = 'invalid_parameter_value',
				  detail = format('It is %s.', max_leads);
	end if;
	if to_regclass('leadstream.lead') is null then
		return;
	end if;
	if exists (select from leadstream.lead l where l.made_by >= place.next_xid) then
		raise exception 'there are leads of another cluster'
			using errcode = 'object_not_in_prerequisite_state',
				  detail = 'They came with a dump, and the transactions that made them have no place among those of this cluster.',
				  hint = 'Give them one: select leadstream.restart_feed();';
	end if;
	if not exists (select from leadstream.lead l
				   where (l.made_by, l.lead_id) > (place.made_by, place.lead_id)
					 and l.made_by < horizon)
	then
		return;
	end if;
	prefix := leadstream._begin_cursor();
	return query
		select prefix || l.made_by::text || '.' || l.lead_id, l.lead_id, v.contact_id::text,
			   v.team, v.stage, v.assigned_to,
			   coalesce((select string_agg(m.stream, ', ' order by m.stream)
						 from leadstream.matches m where m.lead_id = l.lead_id), ''),
			   v.created_at, v.account
		from leadstream.lead l
		cross join lateral (
			select o.* from leadstream.leads o where o.lead_id = l.lead_id offset 0
		) as v
		where (l.made_by, l.lead_id) > (place.made_by, place.lead_id)
		  and l.made_by < horizon and (place.account = '' or v.account = place.account)
		order by l.made_by, l.lead_id
		limit max_leads;
end
$$;
comment on function leadstream.leads_since(text, integer) is
'the leads behind a cursor, each once, in the order of the transactions that made them; every line has the cursor to go on with. '
'since: the cursor of the last lead that was taken; null: from the first lead on. '
'Leads come when no transaction that began to write before theirs is open any more, so none is ever skipped. '
'They are shown as they are now; one that was deleted meanwhile is not. Where leadstream.account is set, only leads of that account.';

create function leadstream.restart_feed() returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	result	bigint := 0;
begin
	delete from leadstream.feed;
	insert into leadstream.feed default values;
	-- before all that were made here
	if to_regclass('leadstream.lead') is not null then
		update leadstream.lead l set made_by = '3'
		where l.made_by >= (leadstream._read_cursor(null)).next_xid;
		get diagnostics result = row_count;
	end if;
	return result;
end
$$;
comment on function leadstream.restart_feed() is
'begins the feed of leads anew: no cursor is valid any more, and whoever follows it begins with the first lead. '
'For a database that was restored from a dump: gives the leads of the other cluster their place; returns how many.';
revoke execute on function leadstream.restart_feed() from public;

create function leadstream.lead_channel(team text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select 'leadstream_team_' || (leadstream._team(team)).team_id
$$;
comment on function leadstream.lead_channel(text) is
'the channel to listen on for new leads of a team, which has to be told to notify: alter_team(team, notifies => true). '
'A notification lists the ids of the leads, separated by commas, or nothing where there are too many.';

create function leadstream.cloud_event(
	id text,
	source text,
	type text,
	subject text default null,
	occurred_at timestamptz default null,
	data jsonb default null
) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
	missing constant text := case
		when coalesce(btrim(id), '') = '' then 'id'
		when coalesce(btrim(source), '') = '' then 'source'
		when coalesce(btrim(type), '') = '' then 'type'
	end;
begin
	if missing is not null then
		raise exception '% must not be empty', missing
			using errcode = 'invalid_parameter_value',
				  detail = 'A CloudEvent has an id, a source and a type.';
	end if;
	if not isfinite(occurred_at) or extract(year from occurred_at at time zone 'UTC') not between 1 and 9999 then
		raise exception 'occurred_at is out of range'
			using errcode = 'datetime_field_overflow',
				  detail = 'The time of a CloudEvent is between the years 1 and 9999.';
	end if;
	return jsonb_build_object('specversion', '1.0', 'id', id, 'source', source, 'type', type)
		|| case when subject <> '' then jsonb_build_object('subject', subject) else '{}' end
		|| case when occurred_at is not null
				then jsonb_build_object('time', to_char(occurred_at at time zone 'UTC',
														'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
				else '{}' end
		|| case when data is not null
				then jsonb_build_object('datacontenttype', 'application/json', 'data', data)
				else '{}' end;
end
$$;
comment on function leadstream.cloud_event(text, text, text, text, timestamptz, jsonb) is
'an event as CloudEvents 1.0 writes it in JSON. id: tells it from all others of its source; source: who says it, a URI; '
'type: what happened, such as com.example.lead.created; subject: to what, such as the contact.';
