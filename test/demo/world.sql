--
-- world.sql: five thousand contacts of a software company and a year of what
-- they did.
--
-- Nothing is random: each fact is a hash of the name of the fact, so every run
-- gives the same world, moved to end last midnight.  Activity is skewed as in
-- life: a few contacts do most of it, and lately more than long ago.
--

-- A number in [0, 1) for each name of a fact.
create function chance(fact text) returns double precision
language sql immutable parallel safe
begin atomic
  select (hashtextextended(fact, 7) & 1048575) / 1048576.0;
end;

-- One of a list, each as likely as its share of the list.
create function pick(fact text, choices text[]) returns text
language sql immutable parallel safe
begin atomic
  select choices[1 + floor(chance(fact) * cardinality(choices))::int];
end;

create table contact (
  contact_id bigint primary key,
  name       text not null,
  email      text not null unique,
  company    text not null,
  title      text not null,
  country    text not null,
  category   text not null,
  lead_score integer not null,
  created_at timestamptz not null
);

create table page_visit (
  visit_id    bigint generated always as identity primary key,
  contact_id  bigint not null references contact,
  url         text not null,
  session_id  text not null,
  occurred_at timestamptz not null
);

create table form_submit (
  submit_id     bigint generated always as identity primary key,
  contact_id    bigint not null references contact,
  form          text not null,
  budget        text,
  campaign_tags text[] not null default '{}',
  answers       jsonb not null default '{}',
  occurred_at   timestamptz not null
);

-- Sent, open and click are three kinds to a rule, and one table here.
create table mail (
  mail_id     bigint generated always as identity primary key,
  contact_id  bigint not null references contact,
  action      text not null check (action in ('sent', 'open', 'click')),
  campaign    text not null,
  occurred_at timestamptz not null
);

insert into contact
select i, first || ' ' || last,
       lower(first || '.' || last || i || '@' || translate(company, ' &', '-') || '.example'),
       company, title, country,
       case when chance('size ' || company) < 0.12 then 'Enterprise'
            when chance('size ' || company) < 0.45 then 'Mid-market'
            else 'Small business' end,
       least(100, floor(100 * chance('score ' || i) ^ 1.6)
                  + case when title ~ 'Chief|VP|Head' then 15 else 0 end)::int,
       date_trunc('day', now()) - interval '1 day' * (30 + floor(900 * chance('since ' || i)))
from (
  select i,
         pick('first ' || i, '{Anna,Erik,Ingrid,Lars,Maja,Oskar,Sofia,Karin,Johan,Elsa,Henrik,Freja,Mikkel,
              Signe,Aino,Eero,Olav,Marit,Jan,Greta,Klaus,Heike,Pieter,Femke,James,Emily,Oliver,Grace,
              Claire,Luc,Marco,Giulia,Pablo,Lucia,Jakub,Zofia,Priya,Arjun,Mei,Kenji}') as first,
         pick('last ' || i, '{Lindberg,Hansen,Virtanen,Nilsen,Berg,Dahl,Holm,Lund,Sandberg,Wikstrom,Koskinen,
              Haugen,Moller,Jensen,Schmidt,Weber,Fischer,Jansen,Visser,Bakker,Walker,Hughes,Foster,Clarke,
              Moreau,Girard,Rossi,Ferrari,Garcia,Navarro,Nowak,Zielinska,Sharma,Patel,Tanaka,Chen}') as last,
         pick('brand ' || c, '{Nordwind,Blue Harbour,Fjellheim,Copperfield,Aurora,Baltic,Granite,Polar,Silverline,
              Evergreen,Kestrel,Meridian,Bright,Lantern,Summit,Riverside,Atlas,Beacon,Cobalt,Juniper,Osprey,
              Quarry,Tundra,Vantage,Willow,Zenith,Harvest,Ironwood,Northgate,Pinecrest}') || ' '
         || pick('trade ' || c, '{Logistics,Foods,Energy,Media,Robotics,Insurance,Shipping,Textiles,Health,
              Consulting,Machinery,Travel}') as company,
         pick('country ' || c, '{SE,SE,SE,SE,NO,NO,NO,DK,DK,FI,FI,DE,DE,DE,NL,NL,GB,GB,US,US,US,FR,ES,IT,PL}') as country,
         pick('title ' || i, '{Marketing Manager,Marketing Manager,Sales Director,Developer,Developer,Analyst,
              Analyst,Product Manager,VP Marketing,Head of Sales,Chief Operating Officer,Consultant,
              IT Manager,IT Manager,Student}') as title
  from (select i, floor(900 * chance('company ' || i) ^ 2) as c from generate_series(1, 5000) as i) as ids
) as people;

-- How busy a contact is, from 0 to 1: most are near 0.
create table busy as
  select contact_id, chance('busy ' || contact_id) ^ 5 as level,
         (date_trunc('day', now())) as until
  from contact;

insert into page_visit (contact_id, url, session_id, occurred_at)
select contact_id,
       pick('page ' || contact_id || ' ' || s || ' ' || k,
            '{/,/,/product,/product,/product/boards,/blog/segments,/blog/lead-scoring,/docs,/docs/api,
              /pricing,/pricing/enterprise,/customers,/landing/spring,/landing/webinar,/about}'),
       left(md5('session ' || contact_id || ' ' || s), 10), start + k * interval '95 seconds'
from (
  select contact_id, s,
         until - interval '1 second' * floor(86400 * 365 * chance('day ' || contact_id || ' ' || s) ^ 1.4) - interval '1 hour' as start,
         floor(1 + 6 * chance('long ' || contact_id || ' ' || s) ^ 2)::int as pages
  from busy, generate_series(1, (1 + floor(36 * level))::int) as s
) as sessions, generate_series(0, pages - 1) as k
order by 4, 1;

insert into form_submit (contact_id, form, budget, campaign_tags, answers, occurred_at)
select contact_id, form,
       case when form in ('Contact', 'Request a demo') then pick('budget ' || f.id, '{none yet,under 10k,10k-50k,50k-100k,over 100k}') end,
       case when chance('tag ' || f.id) < 0.5 then array[pick('tag1 ' || f.id, '{spring,webinar,partner,retarget}')] else '{}' end,
       case form when 'Newsletter' then '{}'::jsonb
                 else jsonb_build_object('team_size', floor(1 + 400 * chance('team ' || f.id) ^ 4),
                                         'crm', pick('crm ' || f.id, '{none,spreadsheet,another one}')) end,
       occurred_at
from (
  select contact_id, contact_id || ' ' || n as id,
         pick('form ' || contact_id || ' ' || n,
              '{Newsletter,Newsletter,Newsletter,Newsletter,Whitepaper,Whitepaper,Webinar,Webinar,Contact,Request a demo}') as form,
         until - interval '1 second' * floor(86400 * 365 * chance('sent ' || contact_id || ' ' || n)) as occurred_at
  from busy, generate_series(1, floor(6 * level + chance('forms ' || contact_id) * 1.4)::int) as n
) as f
order by occurred_at, contact_id;

-- A campaign every other week to those who subscribed.
insert into mail (contact_id, action, campaign, occurred_at)
select contact_id, action, campaign, occurred_at
from (
  select contact_id, week, 'Campaign ' || (26 - week / 2) as campaign,
         until - interval '1 week' * week + interval '8 hours' - interval '1 day' as at,
         chance('open ' || contact_id || ' ' || week) < 0.08 + 0.5 * level as opened,
         chance('click ' || contact_id || ' ' || week) < 0.25 as clicked,
         interval '1 minute' * floor(1 + 600 * chance('wait ' || contact_id || ' ' || week)) as wait
  from busy, generate_series(0, 50, 2) as week
  where chance('subscribed ' || contact_id) < 0.5
) as campaigns,
lateral (values ('sent', at, true), ('open', at + wait, opened), ('click', at + wait + interval '40 seconds', opened and clicked)
        ) as actions(action, occurred_at, happened)
where happened
order by occurred_at, contact_id;

create index on page_visit (contact_id, occurred_at);
create index on form_submit (contact_id, occurred_at);
create index on mail (contact_id, occurred_at);
drop table busy;
analyze;
