--
-- replay.sql: what the two stories over real data share.
--
\pset format wrapped
\pset columns 100
\pset footer off
set client_min_messages = warning;

create table took (step text, seconds numeric);

-- The setting is in ISO form.
create function clock_at(at timestamptz) returns void language sql
begin atomic
  select set_config('leadstream.clock', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), false);
end;

-- Remember under a name how long it is since the last call.
create function lap(step text default null) returns void language plpgsql as $$
begin
  if step is not null then
    insert into took values (step, round(extract(epoch from clock_timestamp()
                                                 - current_setting('demo.lap')::timestamptz)::numeric, 1));
  end if;
  perform set_config('demo.lap', clock_timestamp()::text, false);
end $$;

-- The streams' matches as they are now, a contact once however many teams.
create function matched() returns table (stream text, contact text, at timestamptz) language plpgsql as $$
begin
  return query select m.stream, m.contact_id::text, min(m.matched_at)
               from leadstream.matches m group by m.stream, m.contact_id;
end $$;

-- Throw the leads away and make them again from the past.
create function make_again() returns bigint language plpgsql as $$
declare
  names text[] := (select array_agg(stream order by stream_id) from leadstream.streams);
  name text;
begin
  foreach name in array names loop
    perform leadstream.disable(name);
    perform leadstream.clear(name);
    perform leadstream.enable(name);
  end loop;
  return leadstream.fetch_history(names);
end $$;
