-- 61_backfill.sql
--
-- fetch_history() for the very large: in transactions of its own, each for so many
-- contacts (src/backfill.c), and the view of how far that has come.

create function leadstream._check_batch(batch integer) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
	if batch is null or batch < 1 then
		raise exception 'batch must be at least 1'
			using errcode = 'invalid_parameter_value';
	end if;
end
$$;
comment on function leadstream._check_batch(integer) is
'error 22023 unless there can be batches of so many';

create function leadstream._backfill(stream_id integer, batch integer, is_new boolean) returns bigint
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_backfill';
comment on function leadstream._backfill(integer, integer, boolean) is
'makes the leads of the past of the next contacts, or puts on record that it begins, or waits for who was writing then; returns how many, or null if there are no more contacts; called by backfill()';
revoke execute on function leadstream._backfill(integer, integer, boolean) from public;

create procedure leadstream.backfill(name text, batch integer default 10000, inout leads bigint default null)
language plpgsql
as $$
declare
	id		integer;
	made	bigint;
	is_new	boolean := true;
begin
	-- A procedure that commits cannot have it as a setting of its own.
	perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
	perform leadstream._check_batch(batch);
	perform leadstream._not_null('name', name is null);
	id := leadstream._enabled_stream(leadstream._account(), name);
	perform leadstream._raise_not_attached();
	leads := 0;
	loop
		commit;
		perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
		made := leadstream._backfill(id, batch, is_new);
		exit when made is null;
		leads := leads + made;
		is_new := false;
	end loop;
	-- who called from a procedure has his search_path back
	commit;
end
$$;
comment on procedure leadstream.backfill(text, integer, bigint) is
'fetch_history() of a stream in transactions of their own, each for so many contacts in the order of their keys, so that no contact stays locked for long; leads returns how many leads this call made. '
'Can be cancelled and called again: it goes on where it ended, unless the rule or the teams have been altered or the stream disabled since; then, and after it was done, it begins again, which doubles no lead. '
'Calls at the same time share the work. The view progress shows how far it is. Waits for transactions that are writing activities or contacts once, at the beginning. Not in a transaction block.';
revoke execute on procedure leadstream.backfill(text, integer, bigint) from public;

create view leadstream.progress with (security_barrier) as
select s.stream_id, s.stream,
	   case when l.pid is not null then case when k.is_current and not b.is_waited then 'waiting' else 'running' end
			when not k.is_current then 'outdated'
			when b.is_done then 'done'
			else 'stopped' end as state,
	   b.done, k.to_do, b.lead_count, b.started_at, b.updated_at,
	   case when k.is_current and not b.is_done and b.done > 0
			then b.updated_at + b.worked * (k.to_do::double precision / b.done) end as ends_at,
	   l.pid, s.account
from leadstream.stream_backfill b
join leadstream.stream s on s.stream_id = b.stream_id
cross join lateral (
	select s.is_enabled and b.run = s.run
		   and b.team_ids = array(select t.team_id from leadstream.stream_team t
								  where t.stream_id = s.stream_id order by t.team_id) as is_current,
		   case when b.is_done then 0 else greatest(b.contact_count - b.done, 0) end as to_do
) as k
left join pg_locks l on l.locktype = 'advisory' and l.granted
	and l.database = (select d.oid from pg_database d where d.datname = current_database())
	and l.classid = 'leadstream.stream_backfill'::regclass and l.objid = s.stream_id::oid and l.objsubid = 3
where coalesce(s.account = any ((select leadstream.accounts_in_sight())::text[]), true);
comment on view leadstream.progress is
'how far backfill() has come: a line for each stream whose past it has fetched or is fetching, as of the last batch that was committed, or of the beginning';
comment on column leadstream.progress.stream_id is 'number of the stream';
comment on column leadstream.progress.stream is 'name of the stream';
comment on column leadstream.progress.state is
'waiting: for transactions that were writing when it began; running: a batch is under way; stopped: none is, and the next call goes on; done; '
'outdated: the rule or the teams have been altered or the stream disabled since, and the next call begins again';
comment on column leadstream.progress.done is 'contacts that have been judged';
comment on column leadstream.progress.to_do is 'contacts that are still to be judged, about: by what the planner knew of the table at the beginning';
comment on column leadstream.progress.lead_count is 'leads that were made';
comment on column leadstream.progress.started_at is 'when it began';
comment on column leadstream.progress.updated_at is 'when the last batch was done';
comment on column leadstream.progress.ends_at is 'when it will be done, about, if it goes on as fast as so far; null: it is done, or nothing is known yet';
comment on column leadstream.progress.pid is 'process that is at a batch; null: none';
comment on column leadstream.progress.account is 'account of the stream; empty without accounts';
