--
-- stats.sql: every post and badge of five years, in the order they were made:
-- live capture, fetch_history and hand-written SQL must agree.
--
create extension leadstream;
\ir replay.sql

\echo
\echo '=== STATS: a Stack Exchange site, replayed ========================================================='
\echo
select (select count(*) from users) as contacts,
       (select count(*) from arriving_post) as posts,
       (select count(*) from arriving_badge) as badges,
       (select min(creation_date)::date from arriving_post) as first,
       (select max(date)::date from arriving_badge) as last;

select count(*) filter (where owner_user_id is null) as posts_without_owner,
       count(owner_user_id) filter (where not exists (select from users u where u.id = owner_user_id)) as of_unknown_users,
       (select count(*) from arriving_badge b where not exists (select from users u where u.id = b.user_id))
         as badges_of_unknown_users
from arriving_post;

delete from arriving_post p where not exists (select from users u where u.id = p.owner_user_id);
delete from arriving_badge b where not exists (select from users u where u.id = b.user_id);
analyze;

\set ECHO queries
\o /dev/null
select leadstream.attach_contacts('users');

select leadstream.attach_activity('posts', occurred_at => 'creation_date');

select leadstream.attach_activity('badges', occurred_at => 'date');

select leadstream.create_team('Community');
\o
\set ECHO none

create temp table planned (stream text, rule leadstream.rule);
insert into planned values
  ('Prolific',          'count(posts within 30 days) >= 3'),
  ('Praised',           'exists(posts where score > 10 within 30 days) and count(badges within 1 year) >= 5'),
  ('Reputed',           'sum(posts.score within 90 days) > 100 and reputation > 1000'),
  ('Answers a lot',     'count(posts where post_type_id = 2 within 7 days) >= 5'),
  ('Popular question',  'exists(posts where post_type_id = 1 and view_count >= 5000 and answer_count > 2)'),
  ('Badge burst',       'count(badges within 1 day) >= 4'),
  ('Asks and answers',  'count(posts where post_type_id = 1 within 1 year) >= 2 and count(posts where post_type_id = 2 within 1 year) >= 2'),
  ('Acclaimed',         'max(posts.score) >= 25 and exists(badges) and up_votes > 10'),
  ('No badge lately',   'exists(posts) and not exists(badges within 90 days)');

select leadstream.create_stream(stream, rule, '{Community}'), leadstream.enable(stream) from planned \g /dev/null
select stream, rule from leadstream.streams order by stream_id;

\echo 'Each row arrives alone, at its own time, one INSERT each:'
\echo
create procedure replay() language plpgsql as $$
declare
  arriving record;
  n int := 0;
begin
  for arriving in
    select creation_date as at, 1 as what, id from arriving_post
    union all
    select date, 2, id from arriving_badge
    order by at, what, id
  loop
    perform clock_at(arriving.at);
    if arriving.what = 1 then
      insert into posts select * from arriving_post where id = arriving.id;
    else
      insert into badges select * from arriving_badge where id = arriving.id;
    end if;
    n := n + 1;
    if n % 5000 = 0 then commit; end if;
  end loop;
end $$;

select lap() \g /dev/null
call replay();
select lap('replay of ' || (select count(*) from posts) + (select count(*) from badges) || ' rows, live, 9 streams') \g /dev/null

create table live as select * from matched();
analyze;
select lap() \g /dev/null
select make_again() \g /dev/null
select lap('clear and fetch_history of the 9 streams') \g /dev/null

-- What an expert would write for each stream by hand: the first instant at
-- which it is true of a user.
create view by_hand as
  select 'Prolific' as stream, owner_user_id as contact, min(creation_date) as at
  from (select owner_user_id, creation_date,
               lag(creation_date, 2) over (partition by owner_user_id order by creation_date) as oldest from posts) p
  where creation_date < oldest + interval '30 days' group by 2
union all
  select 'Praised', owner_user_id, min(greatest(creation_date, date))
  from posts join (select user_id, date, lag(date, 4) over (partition by user_id order by date) as oldest from badges) b
    on user_id = owner_user_id and date < creation_date + interval '30 days' and creation_date < oldest + interval '1 year'
   and date < oldest + interval '1 year'
  where score > 10 group by 2
union all
  select 'Reputed', owner_user_id, min(at)
  from (select owner_user_id, at, sum(change) over (partition by owner_user_id order by at) as total
        from posts, lateral (values (creation_date, score), (creation_date + interval '90 days', -score)) c(at, change)) p
  join users on id = owner_user_id
  where total > 100 and reputation > 1000 and at <= (select max(date) from badges) group by 2
union all
  select 'Answers a lot', owner_user_id, min(creation_date)
  from (select owner_user_id, creation_date,
               lag(creation_date, 4) over (partition by owner_user_id order by creation_date) as oldest
        from posts where post_type_id = 2) p
  where creation_date < oldest + interval '7 days' group by 2
union all
  select 'Popular question', owner_user_id, min(creation_date)
  from posts where post_type_id = 1 and view_count >= 5000 and answer_count > 2 group by 2
union all
  select 'Badge burst', user_id, min(date)
  from (select user_id, date, lag(date, 3) over (partition by user_id order by date) as oldest from badges) b
  where date < oldest + interval '1 day' group by 2
union all
  select 'Asks and answers', owner_user_id, min(greatest(q.creation_date, a.creation_date))
  from (select owner_user_id, creation_date,
               lag(creation_date) over (partition by owner_user_id order by creation_date) + interval '1 year' as until
        from posts where post_type_id = 1) q
  join (select owner_user_id, creation_date,
               lag(creation_date) over (partition by owner_user_id order by creation_date) + interval '1 year' as until
        from posts where post_type_id = 2) a using (owner_user_id)
  where q.creation_date < q.until and a.creation_date < a.until
    and q.creation_date < a.until and a.creation_date < q.until group by 2
union all
  select 'Acclaimed', owner_user_id, greatest(acclaimed, badged)
  from (select owner_user_id, min(creation_date) as acclaimed from posts where score >= 25 group by 1) p
  join (select user_id, min(date) as badged from badges group by 1) b on user_id = owner_user_id
  join users on id = owner_user_id
  where up_votes > 10
union all
  select 'No badge lately', owner_user_id, min(greatest(posted, free_from))
  from (select owner_user_id, min(creation_date) as posted from posts group by 1) p
  join (select user_id, date + interval '90 days' as free_from,
               lead(date, 1, 'infinity') over (partition by user_id order by date) as free_to from badges
        union all
        select u.id, '-infinity', coalesce((select min(date) from badges where user_id = u.id), 'infinity') from users u) b
    on user_id = owner_user_id and free_from < free_to and posted < free_to
  where greatest(posted, free_from) <= (select max(date) from badges) group by 2;

create table hand as
  select stream, contact::text as contact, at from by_hand;
select lap('the same by hand-written SQL') \g /dev/null

\echo 'Leads made live, leads that fetch_history makes of the same rows, and by hand-written SQL. The'
\echo 'last two columns count contacts whose match or first instant differs:'
\echo
select stream, count(l) as live, count(h) as history, count(w) as by_hand,
       count(*) filter (where contact is not null and l.at is distinct from h.at) as "live<>history",
       count(*) filter (where contact is not null and w.at is distinct from h.at) as "hand<>history"
from planned
left join (live l full join matched() h using (stream, contact) full join hand w using (stream, contact)) using (stream)
group by stream order by min(array_position(array['Prolific','Praised','Reputed','Answers a lot','Popular question',
  'Badge burst','Asks and answers','Acclaimed','No badge lately'], stream));

\echo '"No badge lately" turns true as time passes, without any row: the live path judges it when a'
\echo 'row comes in, history finds every instant.'
\echo
select step, seconds from took;
