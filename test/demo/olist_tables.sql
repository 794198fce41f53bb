--
-- olist_tables.sql: the marketing funnel of Olist, 2017-2018.  Contacts with
-- text keys; closed deals wait in arriving_deal until their day comes.
--
create table mql (
  mql_id             text primary key,
  first_contact_date date,
  landing_page_id    text,
  origin             text
);

create table arriving_deal (
  mql_id                        text,
  seller_id                     text,
  sdr_id                        text,
  sr_id                         text,
  won_date                      timestamp,
  business_segment              text,
  lead_type                     text,
  lead_behaviour_profile        text,
  has_company                   boolean,
  has_gtin                      boolean,
  average_stock                 text,
  business_type                 text,
  declared_product_catalog_size numeric,
  declared_monthly_revenue      numeric
);

create table deal (
  deal_id bigint generated always as identity primary key,
  like arriving_deal
);
alter table deal add foreign key (mql_id) references mql;
create index on deal (mql_id, won_date);
