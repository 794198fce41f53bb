--
-- olist.sql: 8,000 marketing contacts, 842 won deals in the order they were won.
--
create extension leadstream;
\ir replay.sql

\echo
\echo '=== Olist: contacts with text keys ================================================================='
\echo
select count(*) as contacts, count(*) filter (where origin is null) as without_origin,
       min(first_contact_date) as first, max(first_contact_date) as last from mql;
select count(*) as deals, count(distinct sdr_id) as sdrs, count(distinct sr_id) as srs,
       count(*) filter (where declared_monthly_revenue > 0) as with_revenue,
       min(won_date)::date as first, max(won_date)::date as last from arriving_deal;

\set ECHO queries
\o /dev/null
select leadstream.attach_contacts('mql', category => 'origin');

select leadstream.attach_activity('deal', occurred_at => 'won_date');

select leadstream.create_team('Onboarding'), leadstream.create_team('Key Accounts');

select leadstream.create_stream('Won', 'exists(deal)', '{Onboarding}');

select leadstream.create_stream('Paid channels',
  $$ origin in ('paid search', 'display', 'social')
     and exists(deal where lead_type starts with 'online') $$,
  '{Onboarding}');

select leadstream.create_stream('High revenue',
  $$ sum(deal.declared_monthly_revenue) >= 50000 $$, '{Key Accounts}');

select leadstream.create_stream('Manufacturers of 2018',
  $$ first_contact_date >= '2018-01-01'
     and exists(deal where business_type = 'manufacturer'
                and lead_behaviour_profile contains any ('shark', 'eagle')) $$,
  '{Key Accounts,Onboarding}');
\o
\set ECHO none
select leadstream.enable(stream) from leadstream.streams \g /dev/null

\echo
\echo 'Each deal arrives alone, at the time it was won (leadstream.clock), one INSERT each:'
\echo
select lap() \g /dev/null
do $$
declare
  arriving arriving_deal;
begin
  for arriving in select * from arriving_deal order by won_date, mql_id loop
    perform clock_at(arriving.won_date);
    insert into deal (mql_id, seller_id, sdr_id, sr_id, won_date, business_segment, lead_type, lead_behaviour_profile,
                      has_company, has_gtin, average_stock, business_type, declared_product_catalog_size,
                      declared_monthly_revenue)
    select arriving.*;
  end loop;
end $$;
select lap('replay of the deals, live') \g /dev/null

select team, count(*) as leads from leadstream.board group by team order by team;
select contact_id, category as origin, streams from leadstream.board order by length(streams) desc, lead_id limit 5;

create table live as select * from matched();
select lap() \g /dev/null
select make_again() \g /dev/null
select lap('clear, then fetch_history of the same streams') \g /dev/null

\echo 'Live leads, the leads that fetch_history makes of the same rows, and those where contact or'
\echo 'instant differ:'
\echo
select s.stream, count(l) as live, count(h) as history,
       count(*) filter (where coalesce(l.contact, h.contact) is not null and l.at is distinct from h.at) as different
from leadstream.streams s
left join (live l full join matched() h using (stream, contact)) using (stream)
group by s.stream, s.stream_id order by s.stream_id;

select step, seconds from took;
