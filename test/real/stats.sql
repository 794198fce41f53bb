-- stats.sql
--
-- Nine streams over a real site: 40,325 users of the Stack Exchange statistics
-- site, their 91,976 posts and 79,851 badges.  Every activity is inserted one
-- by one, in the order of time, with the clock at its own time; then the past
-- is fetched for a twin of each stream.  Live leads, leads of the past and SQL
-- written by hand must be the same contacts at the same instants.
--
--   psql -v data=FOLDER -f test/real/stats.sql
--
-- where FOLDER holds users.csv, posts.csv and badges.csv.  Prints TAP.
\set ON_ERROR_STOP 1
\set QUIET 1
\pset format unaligned
\pset tuples_only on
\timing off
set client_min_messages = warning;
set timezone = 'UTC';

create extension leadstream;

create table users (
	id integer primary key, reputation integer, creation_date timestamptz,
	views integer, up_votes integer, down_votes integer
);
create table post (
	id integer primary key, post_type_id integer, creation_date timestamptz,
	score integer, view_count integer, user_id integer, answer_count integer,
	comment_count integer, favorite_count integer, last_editor_user_id integer
);
create table badge (id integer primary key, user_id integer, date timestamptz);
create table all_post (like post);
create table all_badge (like badge);
\set users :data '/users.csv'
\set posts :data '/posts.csv'
\set badges :data '/badges.csv'
-- \copy takes no variables, the client's own cat does
\set copy_users '\\copy users from ' :'users' ' csv header'
:copy_users
\set copy_posts '\\copy all_post from ' :'posts' ' csv header'
:copy_posts
\set copy_badges '\\copy all_badge from ' :'badges' ' csv header'
:copy_badges

-- no foreign key: some posts belong to nobody in the file
create index on post (user_id, creation_date);
create index on badge (user_id, date);
analyze;
select leadstream.attach_contacts('users');
select leadstream.attach_activity('post', contact_key => 'user_id', occurred_at => 'creation_date');
select leadstream.attach_activity('badge', contact_key => 'user_id', occurred_at => 'date');
select leadstream.create_team('live');
select leadstream.create_team('past');

-- the streams: by time alone none of them can become true
create table stream_rule (n serial primary key, name text, rule leadstream.rule);
insert into stream_rule (name, rule) values
	('3 posts within 30 days',
	 'count(post within 30 days) >= 3'),
	('a post above 10 in 30 days, 5 badges in a year',
	 'exists(post where score > 10 within 30 days) and count(badge within 1 year) >= 5'),
	('scores of 90 days above 100, reputation above 1000',
	 'sum(post.score within 90 days) > 100 and reputation > 1000'),
	('asked and answered',
	 'exists(post where post_type_id = 1) and exists(post where post_type_id = 2)'),
	('10 badges within a week',
	 'count(badge within 7 days) >= 10'),
	('a post seen by more than 5000',
	 'max(post.view_count) > 5000'),
	('both kinds of posts and 3 badges',
	 'count(distinct post.post_type_id) >= 2 and count(badge) >= 3'),
	('20 favourites in 180 days, seen 100 times',
	 'sum(post.favorite_count within 180 days) >= 20 and views > 100'),
	('ten posts of 5 on average',
	 'count(post) >= 10 and avg(post.score) > 5');
select leadstream.create_stream('live ' || n, rule, array['live'], name) from stream_rule order by n;
select leadstream.create_stream('past ' || n, rule, array['past'], name) from stream_rule order by n;
select leadstream.enable('live ' || n) from stream_rule order by n;

-- live: every activity at its own time
create table seconds (what text, s numeric);
create procedure replay() language plpgsql as $$
declare
	r record;
	started timestamptz := clock_timestamp();
begin
	for r in
		select creation_date as at, p as post, null::all_badge as badge, p.id
		from all_post p
		union all
		select date, null, b, b.id from all_badge b
		order by at, id
	loop
		perform set_config('leadstream.clock', r.at::text, true);
		if r.badge is null then
			insert into post select (r.post).*;
		else
			insert into badge select (r.badge).*;
		end if;
	end loop;
	insert into seconds select 'live replay of ' || (select count(*) from post) + (select count(*) from badge)
		|| ' activities, 9 streams', extract(epoch from clock_timestamp() - started);
end
$$;
call replay();
analyze;

-- the past
select leadstream.enable('past ' || n) from stream_rule order by n;
do $$
declare
	r record;
	started timestamptz;
begin
	for r in select * from stream_rule order by n loop
		started := clock_timestamp();
		perform leadstream.fetch_history('past ' || r.n);
		insert into seconds select 'fetch_history: ' || r.name, extract(epoch from clock_timestamp() - started);
	end loop;
end
$$;

-- by hand: every instant at which something happened to a user, and what holds then
create table by_hand (n integer, contact_id integer, at timestamptz);
create procedure hand(n integer, query text) language plpgsql as $$
declare
	started timestamptz := clock_timestamp();
begin
	execute format('insert into by_hand select %s, contact_id, min(at) from (%s) q
					join users u on u.id = q.contact_id group by contact_id', n, query);
	insert into seconds select 'by hand: ' || (select s.name from stream_rule s where s.n = hand.n),
		extract(epoch from clock_timestamp() - started);
end
$$;
create view happening as
	select user_id, creation_date as at from post where user_id is not null
	union select user_id, date from badge where user_id is not null;

call hand(1, $$
	select user_id as contact_id, creation_date as at
	from (select user_id, creation_date,
				 lag(creation_date, 2) over (partition by user_id order by creation_date) as third
		  from post where user_id is not null) p
	where creation_date < third + interval '30 days'$$);
call hand(2, $$
	select h.user_id as contact_id, h.at from happening h
	where exists (select from post p where p.user_id = h.user_id and p.score > 10
				  and p.creation_date <= h.at and p.creation_date + interval '720 hours' > h.at)
	and (select count(*) from badge b where b.user_id = h.user_id
		 and b.date <= h.at and b.date + interval '1 year' > h.at) >= 5$$);
call hand(3, $$
	select h.user_id as contact_id, h.at from happening h join users u on u.id = h.user_id
	where u.reputation > 1000
	and (select sum(score) from post p where p.user_id = h.user_id
		 and p.creation_date <= h.at and p.creation_date + interval '2160 hours' > h.at) > 100$$);
call hand(4, $$
	select user_id as contact_id, max(first_at) as at
	from (select user_id, post_type_id, min(creation_date) as first_at from post
		  where post_type_id in (1, 2) and user_id is not null group by 1, 2) p
	group by 1 having count(*) = 2$$);
call hand(5, $$
	select user_id as contact_id, date as at
	from (select user_id, date, lag(date, 9) over (partition by user_id order by date) as tenth
		  from badge where user_id is not null) b
	where date < tenth + interval '168 hours'$$);
call hand(6, $$
	select user_id as contact_id, creation_date as at from post
	where view_count > 5000 and user_id is not null$$);
call hand(7, $$
	select h.user_id as contact_id, h.at from happening h
	where (select count(distinct post_type_id) from post p
		   where p.user_id = h.user_id and p.creation_date <= h.at) >= 2
	and (select count(*) from badge b where b.user_id = h.user_id and b.date <= h.at) >= 3$$);
call hand(8, $$
	select h.user_id as contact_id, h.at from happening h join users u on u.id = h.user_id
	where u.views > 100
	and (select sum(favorite_count) from post p where p.user_id = h.user_id
		 and p.creation_date <= h.at and p.creation_date + interval '4320 hours' > h.at) >= 20$$);
call hand(9, $$
	select h.user_id as contact_id, h.at from happening h
	where (select count(*) >= 10 and avg(score) > 5 from post p
		   where p.user_id = h.user_id and p.creation_date <= h.at)$$);

create view result as
	select n, name, how, contact_id, at
	from stream_rule s,
	lateral (select 'live' as how, m.contact_id, m.matched_at as at
			 from leadstream.matches m where m.stream = 'live ' || s.n
			 union all
			 select 'past', m.contact_id, m.matched_at
			 from leadstream.matches m where m.stream = 'past ' || s.n
			 union all
			 select 'by hand', b.contact_id, b.at from by_hand b where b.n = s.n) r;

select case when bool_and(x.live = x.hand and x.past = x.hand and x.hand > 0) then 'ok ' else 'not ok ' end
	|| s.n || ' - ' || s.name || ': ' || max(x.hand) || ' leads'
	|| case when bool_and(x.live = x.hand and x.past = x.hand) then '' else
		format(', live %s, past %s; in live alone %s, missing there %s',
			   max(x.live), max(x.past), max(x.extra), max(x.missing)) end
from stream_rule s,
lateral (
	select count(*) filter (where how = 'live') as live_count,
		   (select count(*) from (select contact_id, at from result r where r.n = s.n and how = 'live'
								  intersect select contact_id, at from result r where r.n = s.n and how = 'by hand') i)
		   + 0 * count(*) as live,
		   (select count(*) from (select contact_id, at from result r where r.n = s.n and how = 'past'
								  intersect select contact_id, at from result r where r.n = s.n and how = 'by hand') i) as past,
		   greatest(count(*) filter (where how = 'by hand'),
					count(*) filter (where how = 'live'),
					count(*) filter (where how = 'past')) as hand,
		   (select count(*) from (select contact_id, at from result r where r.n = s.n and how = 'live'
								  except select contact_id, at from result r where r.n = s.n and how = 'by hand') i) as extra,
		   (select count(*) from (select contact_id, at from result r where r.n = s.n and how = 'by hand'
								  except select contact_id, at from result r where r.n = s.n and how = 'live') i) as missing
	from result r where r.n = s.n
) x
group by s.n, s.name order by s.n;

-- time alone makes this one true: the past against SQL by hand
select leadstream.create_stream('silent', 'exists(post) and not exists(badge within 90 days)', array['past']);
select leadstream.enable('silent');
do $$
declare
	started timestamptz := clock_timestamp();
begin
	perform leadstream.fetch_history('silent');
	insert into seconds select 'fetch_history: a post and no badge within 90 days', extract(epoch from clock_timestamp() - started);
end
$$;
-- the first post, or the first end of 90 days after a badge, with a post before and no badge since
create table silent as
	select contact_id, min(at) as at
	from (select p.user_id as contact_id, greatest(p.first_at, c.at) as at
		  from (select user_id, min(creation_date) as first_at from post
				where user_id is not null group by 1) p
		  cross join lateral (select p.first_at as at
							  union all
							  select date + interval '2160 hours' from badge b where b.user_id = p.user_id) c
		  where not exists (select from badge b where b.user_id = p.user_id
							and b.date <= greatest(p.first_at, c.at)
							and b.date + interval '2160 hours' > greatest(p.first_at, c.at))) q
	join users u on u.id = contact_id
	where at <= now()
	group by contact_id;
select case when not exists (select contact_id, at from silent
							 except select contact_id, matched_at from leadstream.matches where stream = 'silent')
			 and not exists (select contact_id, matched_at from leadstream.matches where stream = 'silent'
							 except select contact_id, at from silent)
			then 'ok ' else 'not ok ' end || '10 - a post and no badge within 90 days: '
	|| (select count(*) from silent) || ' leads';

\echo 1..10
select format('# %s s  %s', lpad(round(s, 2)::text, 7), what) from seconds;
