--
-- stats_tables.sql: a Stack Exchange site, 2009-2014.  Users are contacts with
-- integer keys; posts and badges wait until their time comes.
--
create table users (
  id            integer primary key,
  reputation    integer,
  creation_date timestamptz,
  views         integer,
  up_votes      integer,
  down_votes    integer
);

create table arriving_post (
  id                  integer primary key,
  post_type_id        integer,
  creation_date       timestamptz,
  score               integer,
  view_count          integer,
  owner_user_id       integer,
  answer_count        integer,
  comment_count       integer,
  favorite_count      integer,
  last_editor_user_id integer
);

create table arriving_badge (
  id      integer primary key,
  user_id integer,
  date    timestamptz
);

create table posts (like arriving_post);
alter table posts add primary key (id), add foreign key (owner_user_id) references users;
create index on posts (owner_user_id, creation_date);

create table badges (like arriving_badge);
alter table badges add primary key (id), add foreign key (user_id) references users;
create index on badges (user_id, date);
