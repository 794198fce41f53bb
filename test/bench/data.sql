-- data.sql
--
-- The world of the benchmark.  Variables: below, how many visits there are
-- already; rows, how many a statement will bring.
--
-- visit is the table of the bars: 7 columns, about 110 bytes a row, a primary key and
-- an index on (contact_id, occurred_at).  bare is the same without logging and
-- without indexes, where small costs are clean to read.
create table contact (
  contact_id bigint primary key,
  email text,
  company text,
  country text,
  score int
);
insert into contact
select i, 'c' || i || '@example.com', 'Company ' || i % 20000, 'C' || i % 200, i % 100
from generate_series(1, 100000) i;

create table visit (
  visit_id bigint generated always as identity,
  contact_id bigint not null,
  url text not null,
  utm text,
  size int,
  duration int,
  occurred_at timestamptz not null default now()
);
create unlogged table bare (like visit including defaults including identity);

-- 5,000 pages in 500 folders, 200 campaigns; columns are independent of each other.
create function visit_row(n bigint)
returns table (url text, utm text, size int, duration int)
language sql immutable rows 1
begin atomic
  select '/shop/products/' || (hashint8extended(n, 1) & 1048575) % 500 || '/page-' || (hashint8extended(n, 1) & 1048575) % 5000,
    'newsletter-' || (hashint8extended(n, 2) & 1048575) % 200,
    ((hashint8extended(n, 3) & 1048575) % 1000)::int, ((hashint8extended(n, 4) & 1048575) % 300)::int;
end;

-- A year of them.
insert into visit (contact_id, url, utm, size, duration, occurred_at)
select 1 + (hashint8extended(n, 5) & 1073741823) % 100000, r.*, now() - (:below - n) * (interval '365 days' / :below)
from generate_series(1, :below::bigint) n, visit_row(n) r;
alter table visit add primary key (visit_id);
create index on visit (contact_id, occurred_at);

-- What comes, and each hundred thousand rows of it has one of every contact.  An odd
-- multiplier without a factor in common with their number takes them in no order.
create unlogged table source as
select n, 1 + n * 7919 % 100000 as contact_id, r.*
from generate_series(1, :rows::bigint) n, visit_row(-n) r;
vacuum analyze;

create extension leadstream;
set client_min_messages = error;
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('Sales');
