-- lead_kind.sql: the contact's own leads as a kind
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema lk;
set search_path = lk;
create table contact (id bigint primary key, country text, lead text[]);
create table visit (
	id bigint generated always as identity primary key,
	contact_id bigint not null references contact, occurred_at timestamptz not null, url text);
create index on visit (contact_id, occurred_at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team('North') is not null as made;
select leadstream.create_team('South') is not null as made;
insert into contact select i, case when i < 4 then 'SE' else 'NO' end, '{x}' from generate_series(1, 8) i;

select leadstream.create_stream('Visitors', $$exists(visit)$$, '{North}') is not null as made;
select leadstream.create_stream('Öl', $$count(visit) >= 2$$, '{North,South}') is not null as made;
select leadstream.enable(s) from unnest('{Visitors,Öl}'::text[]) s;
set leadstream.clock = '2024-03-01 12:00+00';
insert into visit (contact_id, occurred_at) values (1, '2024-03-01'), (2, '2024-03-01');
set leadstream.clock = '2024-04-01 12:00+00';
insert into visit (contact_id, occurred_at) values (2, '2024-04-01'), (3, '2024-04-01');
set leadstream.clock = '2024-05-01 12:00+00';
select leadstream.create_lead(4, 'South') is not null as made;
-- the clock of a lead is its own: when it was made, and moved
update leadstream.lead l set created_at = v.at, stage_changed_at = v.at
from (select l.lead_id, case l.contact_id when 1 then '2024-03-01 12:00+00' when 2 then '2024-03-15 12:00+00'
	when 3 then '2024-04-01 12:00+00' else '2024-04-30 12:00+00' end::timestamptz + case t.team when 'South' then interval '1 hour' else '0' end as at
	from leadstream.lead l join leadstream.team t using (team_id)) v
where v.lead_id = l.lead_id;
select leadstream.move(lead_id, 'Lost') from leadstream.leads where contact_id = 1;
select leadstream.move(lead_id, 'Won') from leadstream.leads where contact_id = 2 and team = 'South';
select leadstream.move(lead_id, 'SQL') from leadstream.leads where contact_id = 3;
update leadstream.lead set stage_changed_at = '2024-04-20' where stage <> 'MQL';
select contact_id, team, stage, is_closed, created_at, stage_changed_at from leadstream.leads order by 1, 2;

create function pg_temp.whom(r leadstream.rule) returns text
language sql as $$
	select coalesce((select string_agg(c.id::text, ' ' order by c.id) from lk.contact c where leadstream.is_match(r, c.id)), '-')
		|| coalesce((select ' BUT ' || string_agg(v::text, ' ') from leadstream.verify(r) v), '')
$$;
select r as rule, pg_temp.whom(r::leadstream.rule) as whom from unnest(array[
	$$exists(lead)$$,
	$$not exists(lead)$$,
	$$exists(lead where is_open)$$,
	$$not exists(lead where is_open)$$,
	$$exists(lead where not is_open)$$,
	$$exists(lead where stage = 'SQL')$$,
	$$exists(lead where stage in ('Won', 'Lost') and team = 'South')$$,
	$$exists(lead where team = 'South')$$,
	$$count(lead) = 2$$,
	$$count(lead where is_open) = 1$$,
	$$exists(lead where streams contains 'Öl')$$,
	$$exists(lead where streams contains 'Visitors' and streams contains 'Öl')$$,
	$$exists(lead where streams contains any ('Visitors', 'nothing'))$$,
	$$exists(lead where streams is empty)$$,
	$$exists(lead where streams = '{Visitors,Öl}')$$,
	$$count(distinct lead.team) = 2$$,
	$$first(lead.team) = 'North'$$,
	$$last(lead.team) = 'South'$$,
	$$last(lead.streams) contains 'Öl'$$,
	$$exists(lead within 30 days)$$,
	$$exists(lead within 60 days older than 30 days)$$,
	$$exists(lead where lead.created_at < now - 45 days)$$,
	$$exists(lead where stage_changed_at > created_at)$$,
	$$max(lead.stage_changed_at) < now - 10 days$$,
	$$exists(lead where team = 'North' and contact.country = 'SE' and stage_changed_at in last month)$$,
	$$count(lead, visit) >= 3$$,
	$$count(visit) > count(lead)$$,
	$$exists(visit within 31 days) and not exists(lead where is_open and team = 'South')$$]) with ordinality u(r, i) order by i;
select contact_id, timeline from leadstream.timeline($$exists(lead within 30 days)$$) order by 1;
select contact_id, timeline from leadstream.timeline($$last(lead.team) = 'North'$$) order by 1;
select contact_id, first_matched_at from leadstream.preview($$count(lead) >= 2$$);
select leadstream.rule_kinds('exists(lead) and exists(visit)');
select kind, field, type from leadstream.fields where kind = 'lead';

create function pg_temp.try(rule text) returns text
language plpgsql as $$
declare
	detail text;
	hint text;
begin
	perform leadstream.check_rule(rule::leadstream.rule);
	return 'no error';
exception when others then
	get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
	return concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
end
$$;
select pg_temp.try(r) from unnest(array[$$exists(lead where stream = 'x')$$, $$exists(lead where team.x = 'x')$$,
	$$exists(lead where is_open = 3)$$, $$exists(leads)$$, $$sum(lead.team) > 3$$, $$sum(lead.stage_changed_at) > 3$$]) r;

--
-- Live: judged as leadstream itself, with what a row or a contact brings; our own writes wake nobody.
--
set leadstream.clock = '2024-05-02 12:00+00';
select leadstream.create_stream('Again', $$exists(visit where url = 'again') and not exists(lead where is_open)$$, '{South}') is not null as made;
select leadstream.create_stream('Known', $$exists(lead where team = 'North' and is_open) and country = 'SE'$$, '{South}') is not null as made;
select leadstream.create_stream('Late', $$exists(lead older than 20 days) and exists(visit where url = 'late')$$, '{South}') is not null as made;
select leadstream.enable(s) from unnest('{Again,Known,Late}'::text[]) s;
create role regress_lk;
grant usage on schema lk to regress_lk;
grant insert on visit to regress_lk;
grant update, select on contact to regress_lk;
set role regress_lk;
insert into visit (contact_id, occurred_at, url) select i, '2024-05-02 11:00', u from generate_series(1, 8) i, unnest('{again,late}'::text[]) u;
reset role;
select stream, contact_id, team from leadstream.matches where stream in ('Again', 'Known', 'Late') order by 1, 2, 3;
-- a lead that was made, moved or taken away is no new match; what comes after is
select leadstream.move(lead_id, 'Lost') from leadstream.leads where contact_id = 5;
delete from leadstream.lead where contact_id = 6;
select count(*) from leadstream.matches where stream in ('Again', 'Known', 'Late') and contact_id = 6;
set role regress_lk;
insert into visit (contact_id, occurred_at, url) values (6, '2024-05-02 11:30', 'again'), (5, '2024-05-02 11:30', 'late');
update contact set country = 'SE' where id in (5, 7);
reset role;
select stream, contact_id, team from leadstream.matches where stream in ('Again', 'Known', 'Late') and contact_id > 4 order by 1, 2, 3;
select * from leadstream.verify('Again');
select leadstream.fetch_history('{Again,Known,Late}'::text[]) as leads;
select leadstream.fetch_history('{Again,Known,Late}'::text[]) as again;
select stream, kind, found_by from leadstream.stream_stats where stream in ('Again', 'Known', 'Late') order by 1, 2;

-- Who asks needs the right to see what the rule names, of leads too.
grant select on leadstream.contact_source, leadstream.activity_source to regress_lk;
grant execute on function leadstream.check_rule to regress_lk;
set role regress_lk;
select pg_temp.try('exists(lead)');
select pg_temp.try('exists(lead where is_open)');
reset role;
grant select on leadstream.lead to regress_lk;
set role regress_lk;
select pg_temp.try('exists(lead where stage = ''SQL'')');
-- those in his sight: none, or all
select leadstream.is_match('exists(lead where stage = ''SQL'')', 3);
reset role;
grant execute on function leadstream._access_report() to regress_lk;
set role regress_lk;
select leadstream.is_match('exists(lead where stage = ''SQL'')', 3);
select contact_id from leadstream.preview('exists(lead where stage = ''SQL'')');
select pg_temp.try('exists(lead where is_open)');
select pg_temp.try('exists(lead where streams contains ''x'')');
reset role;
-- and row security holds
create policy north on leadstream.lead as restrictive for select to regress_lk using (stage = 'SQL');
set role regress_lk;
select count(*) as seen, (select count(*) from leadstream.preview('exists(lead)')) as previewed,
	(select count(*) from contact c where leadstream.is_match('exists(lead)', c.id)) as matched from leadstream.lead;
reset role;
drop policy north on leadstream.lead;
drop owned by regress_lk;
drop role regress_lk;

-- A lead that begins to count as time goes by makes a rule true, but is no new match where it was.
select leadstream.create_stream('Old', $$exists(lead older than 40 days)$$, '{South}') is not null as made;
select leadstream.create_stream('Old or Sweden', $$exists(lead older than 40 days) or country = 'SE'$$, '{South}') is not null as made;
select leadstream.enable(s) from unnest('{Old,Old or Sweden}'::text[]) s;
select leadstream.tick() is not null as ticked;
set leadstream.clock = '2024-06-20 12:00+00';
select leadstream.tick() is not null as ticked;
select stream, c.id, c.country, matched_at, origin from leadstream.matches m join contact c on c.id = m.contact_id where stream like 'Old%' order by 1, 2;

-- The stages of an account are its own, or those of all.
select leadstream.disable(stream) from leadstream.streams where is_enabled;
select leadstream.drop_stream(stream) from leadstream.streams;
select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead_event, leadstream.lead_match, leadstream.lead cascade;
truncate leadstream.team, leadstream.stage;
alter table contact add account text default 'a';
update contact set account = 'b' where id > 4;
select leadstream.attach_contacts('contact', account => 'account');
insert into leadstream.stage (account, stage, position, is_closed) values ('b', 'Lost', 1, false);
select leadstream.create_team('T') is not null as made from (select set_config('leadstream.account', 'a', false)) s;
select leadstream.create_lead(1, 'T') is not null as made;
select leadstream.move(lead_id, 'Lost') from leadstream.leads where contact_id = 1;
set leadstream.account = 'b';
select leadstream.create_team('T') is not null as made;
select leadstream.create_lead(5, 'T') is not null as made;
select leadstream.move(lead_id, 'Lost') from leadstream.leads where contact_id = 5;
select pg_temp.whom('exists(lead where is_open)');
set leadstream.account = 'a';
select pg_temp.whom('exists(lead where not is_open)');

select leadstream.detach('contact');
drop table leadstream.lead_event, leadstream.lead_match, leadstream.lead cascade;
truncate leadstream.team, leadstream.stage;
drop schema lk cascade;
