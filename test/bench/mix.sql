-- mix.sql
--
-- The streams of the bars on cost per row.  Variables: streams, how many.
--
-- A quarter each of
--   exists(visit where url = … and contact.country = … and size >= …)
--   exists(visit where url like '…%' and duration >= …)
--   exists(visit where utm = … and contact.score >= …)
--   country = … and exists(visit where size >= … and url = …)
-- Their keys look like those of the rows, and most are of pages and folders nobody
-- visits now: old campaigns, other customers' sites.  One url and one folder in 50 are
-- visited, so that of 100,000 streams 1.2 are candidates of an average row; their size
-- and duration are beyond every row's, so none matches.  No campaign is in use: a row
-- that hits one needs its contact, and what that costs is a line of its own.
--
-- The parameters are kept as columns, because the rivals are made from the same.
create table mix as
select i, i % 4 as form,
  case when i % 4 in (0, 3) then
    case when i / 4 % 50 = 25 then '/shop/products/' || i * 31 % 500 || '/page-' || i * 31 % 5000
      else '/shop/products/' || i % 500 || '/page-' || 5000 + i end end as url,
  case when i % 4 = 1 then
    '/shop/products/' || case when i / 4 % 50 = 25 then i % 500 else 500 + i end || '/' end as folder,
  case when i % 4 = 2 then 'newsletter-' || 200 + i end as utm,
  'C' || i % 200 as country, 1000 + i % 500 as size, 300 + i % 300 as duration, i % 100 as score
from generate_series(1, :streams) i;
alter table mix add primary key (i);
analyze mix;

-- Not by create_stream(): 100,000 calls of it take minutes.
insert into leadstream.stream (stream_id, stream, rule)
select i, 'mix ' || i, case form
    when 0 then format('exists(visit where url = %L and contact.country = %L and size >= %s)', url, country, size)
    when 1 then format('exists(visit where url like %L and duration >= %s)', folder || '%', duration)
    when 2 then format('exists(visit where utm = %L and contact.score >= %s)', utm, score)
    else format('country = %L and exists(visit where size >= %s and url = %L)', country, size, url)
  end::leadstream.rule
from mix order by i;
select setval('leadstream.stream_stream_id_seq', :streams);
insert into leadstream.stream_version (stream_id, rule_version, rule)
select stream_id, 1, rule from leadstream.stream;
insert into leadstream.stream_team (stream_id, team_id)
select s.stream_id, t.team_id from leadstream.stream s, leadstream.team t;
vacuum analyze leadstream.stream, leadstream.stream_version, leadstream.stream_team;
