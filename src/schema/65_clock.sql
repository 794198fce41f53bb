-- 65_clock.sql
--
-- The clock: rules that turn true because time passes.  No scheduler is part of
-- leadstream; pg_cron, systemd or any other calls tick() or tick_batches().

create function leadstream._tick(batch bigint, out leads bigint, out settled bigint)
language c volatile parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_tick';
comment on function leadstream._tick(bigint) is
'settles what is due, or about so many entries of it; called by tick() and tick_batches()';
revoke execute on function leadstream._tick(bigint) from public;

create function leadstream.tick() returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
	select t.leads from leadstream._tick(null) as t
$$;
comment on function leadstream.tick() is
'makes the leads that time alone has brought about since the last call: matched_at is the instant at which the rule turned true. Brings the scores that are kept up to date, too. '
'Returns how many leads were made. To be called by a scheduler, as often as wished; waits for nobody, and several may run at once.';
revoke execute on function leadstream.tick() from public;

create procedure leadstream.tick_batches(batch integer default 1000, inout leads bigint default null)
language plpgsql
as $$
declare
	path	text;
	done	record;
	is_last	boolean;
begin
	leads := 0;
	loop
		-- A procedure that commits cannot have it as a setting of its own.
		path := pg_catalog.current_setting('search_path');
		perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
		done := leadstream._tick(batch);
		leads := leads + done.leads;
		is_last := done.settled = 0;
		-- who called from a procedure goes on in this transaction
		perform pg_catalog.set_config('search_path', path, true);
		exit when is_last;
		commit;
	end loop;
end
$$;
comment on procedure leadstream.tick_batches(integer, bigint) is
'the same in transactions of their own, each for so many contacts and streams, or scores, that are due, so that no contact stays locked for long: for schedulers, and after a pause. '
'leads returns how many were made.';
revoke execute on procedure leadstream.tick_batches(integer, bigint) from public;
