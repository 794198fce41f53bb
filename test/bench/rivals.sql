-- rivals.sql
--
-- What people do today: trigger functions on visit and on bare.  Their leads go to a table of their own, with the key that makes them unique.
create table rival_lead (
  contact_id bigint,
  stream int,
  matched_at timestamptz default now(),
  primary key (contact_id, stream)
);

-- Hand-written PL/pgSQL: an IF for each stream, FOR EACH ROW, the contact fetched once.
create procedure make_rival_if(streams int) language plpgsql as $make$
begin
  execute format($f$
    create or replace function rival_if() returns trigger language plpgsql as $$
    declare
      c contact;
    begin
      select * into c from contact where contact_id = new.contact_id;
      %s
      return null;
    end
    $$ $f$,
    (select string_agg(format('if %s then insert into rival_lead values (new.contact_id, %s) on conflict do nothing; end if;',
        case form
          when 1 then format('new.url like %L and new.duration >= %s', folder || '%', duration)
          when 2 then format('new.utm = %L and c.score >= %s', utm, score)
          else format('new.url = %L and c.country = %L and new.size >= %s', url, country, size)
        end, i), E'\n' order by i)
      from mix where i <= streams));
end
$make$;

-- The expert's: rules in tables, one branch that can be hashed for each kind of
-- condition, over the transition table.  A prefix is looked up by each length there is.
-- The keys are indexed, so that a statement of one row need not read all rules.
create table rival_url (url text, country text, size int, stream int, primary key (url, stream));
create table rival_folder (folder text, duration int, stream int, primary key (folder, stream));
create table rival_utm (utm text, score int, stream int, primary key (utm, stream));
create table rival_length (length int primary key);
create procedure make_rival_expert(streams int) language plpgsql as $$
begin
  truncate rival_url, rival_folder, rival_utm, rival_length;
  insert into rival_url select url, country, size, i from mix where form in (0, 3) and i <= streams;
  insert into rival_folder select folder, duration, i from mix where form = 1 and i <= streams;
  insert into rival_utm select utm, score, i from mix where form = 2 and i <= streams;
  insert into rival_length select distinct length(folder) from rival_folder;
  analyze rival_url, rival_folder, rival_utm, rival_length;
end
$$;
create function rival_expert() returns trigger language plpgsql as $$
begin
  insert into rival_lead (contact_id, stream)
  select n.contact_id, r.stream
  from arrived n join rival_url r on r.url = n.url and n.size >= r.size
    join contact c on c.contact_id = n.contact_id and c.country = r.country
  union
  select n.contact_id, r.stream
  from arrived n cross join rival_length l
    join rival_folder r on r.folder = left(n.url, l.length) and n.duration >= r.duration
  union
  select n.contact_id, r.stream
  from arrived n join rival_utm r on r.utm = n.utm
    join contact c on c.contact_id = n.contact_id and c.score >= r.score
  on conflict do nothing;
  return null;
end
$$;

-- 1,000 streams that know the contact only.
create procedure make_rival_contact(streams int) language plpgsql as $make$
begin
  execute format($f$
    create or replace function rival_contact() returns trigger language plpgsql as $$
    declare
      c contact;
    begin
      select * into c from contact where contact_id = new.contact_id;
      %s
      return null;
    end
    $$ $f$,
    (select string_agg(format('if c.country = %L then insert into rival_lead values (new.contact_id, %s) on conflict do nothing; end if;',
        'X' || i, i), E'\n' order by i)
      from generate_series(1, streams) i));
end
$make$;

-- A count in a window, and ten of them.  Nothing is locked, so two sessions that bring
-- the two visits that only together are enough both miss it.
create procedure make_rival_windows(windows int) language plpgsql as $make$
begin
  execute format($f$
    create or replace function rival_windows() returns trigger language plpgsql as $$
    declare
      visits bigint;
    begin
      %s
      return null;
    end
    $$ $f$,
    (select string_agg(format($c$
      select count(*) into visits from visit
      where contact_id = new.contact_id and occurred_at > now() - interval '%s days' and occurred_at <= now();
      if visits >= %s then insert into rival_lead values (new.contact_id, %s) on conflict do nothing; end if;$c$,
        31 - w, 50 + w, w), E'\n' order by w)
      from generate_series(1, windows) w));
end
$make$;

-- A score of 20 rules, for one contact, whose rows are read once, and for all.  What is
-- kept of it stays when points expire.
create table rival_kept (contact_id bigint primary key, points int not null);
do $make$
declare
  points constant text := (select string_agg(format('5 * max((url like %L)::int)', '/shop/products/' || i || '/%'), ' + ')
    from generate_series(1, 18) i)
    || ' + 10 + 5 * (count(*) >= 3)::int';
begin
  execute format($f$
    create function rival_score() returns trigger language plpgsql as $$
    declare
      points int;
    begin
      select %1$s into points from visit
      where contact_id = new.contact_id and occurred_at > now() - interval '90 days' and occurred_at <= now();
      if points >= 100 then
        insert into rival_lead values (new.contact_id, 1) on conflict do nothing;
      end if;
      return null;
    end
    $$;
    create function rival_keep() returns trigger language plpgsql as $$
    declare
      now_has int;
    begin
      select %1$s into now_has from visit
      where contact_id = new.contact_id and occurred_at > now() - interval '90 days' and occurred_at <= now();
      insert into rival_kept as k values (new.contact_id, now_has)
        on conflict (contact_id) do update set points = excluded.points where k.points <> excluded.points;
      return null;
    end
    $$;
    create view rival_scores as
    select contact_id, %1$s as points from visit
    where occurred_at > now() - interval '90 days' and occurred_at <= now() group by contact_id
  $f$, points);
end
$make$;

-- Rows that make a lead: by row, and by statement.
create function rival_lead() returns trigger language plpgsql as $$
begin
  if new.url = '/lead' then
    insert into rival_lead (contact_id, stream) values (new.contact_id, 1) on conflict do nothing;
  end if;
  return null;
end
$$;
create function rival_leads() returns trigger language plpgsql as $$
begin
  insert into rival_lead (contact_id, stream)
  select distinct contact_id, 1 from arrived where url = '/lead' on conflict do nothing;
  return null;
end
$$;

-- The statement's once more, into what ours writes: a lead, an event and a match each,
-- with their indexes and foreign keys.  Nothing is judged, and nobody is locked.
create table rival_board (like leadstream.lead including all, foreign key (contact_id) references contact);
create table rival_event (like leadstream.lead_event including all, foreign key (contact_id) references contact);
create table rival_match (like leadstream.lead_match including all);
create function rival_three() returns trigger language plpgsql as $$
begin
  with wanted as (
    select distinct on (contact_id) contact_id, visit_id from arrived where url = '/lead' order by contact_id, visit_id
  ), made as (
    insert into rival_board (contact_id, team_id, stage, created_at, stage_changed_at)
    select contact_id, 1, 'MQL', now(), now() from wanted on conflict (contact_id, team_id) do nothing
    returning lead_id, contact_id, team_id, stage
  ), noted as (
    insert into rival_event (lead_id, contact_id, team_id, at, actor, what, new, note, stream_id)
    select lead_id, contact_id, team_id, now(), current_user, 'created', stage, 'lead (live)', 1 from made
  )
  insert into rival_match (lead_id, stream_id, rule_version, matched_at, created_at, origin, evidence)
  select m.lead_id, 1, 1, now(), now(), 'live',
    jsonb_build_object('kind', 'visit', 'row', jsonb_build_object('visit_id', w.visit_id))
  from made m join wanted w using (contact_id);
  return null;
end
$$;

-- Many rules with the same url that differ by the contact.
create table rival_hot (url text, company text, stream int, primary key (url, company));
create function rival_hot() returns trigger language plpgsql as $$
begin
  insert into rival_lead (contact_id, stream)
  select n.contact_id, r.stream
  from arrived n join contact c on c.contact_id = n.contact_id
    join rival_hot r on r.url = n.url and r.company = c.company
  where n.url in (select url from rival_hot)
  on conflict do nothing;
  return null;
end
$$;
