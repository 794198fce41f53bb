-- customers.sql: streams that customers set up, from the easiest to the hardest.
-- All bind; history and live judging agree on each, at two instants.
set client_min_messages = warning;
create schema customers;
set search_path = customers, public;
create table contacts (
	id bigint primary key, email text, company text, title text, phone text, country text,
	category text, original_source text, lead_score integer
);
create table form_submit (id bigint generated always as identity primary key,
	contact_id bigint references contacts, occurred_at timestamptz, form text, budget text,
	campaign_tags text[], event_at timestamptz, answers jsonb);
create table page_visit (id bigint generated always as identity primary key,
	contact_id bigint references contacts, occurred_at timestamptz, url text, session_id text);
create table mail (id bigint generated always as identity primary key,
	contact_id bigint references contacts, occurred_at timestamptz, what text, link text);
create table list_member (contact_id bigint references contacts, list text, primary key (contact_id, list));
create table signal (id bigint generated always as identity primary key,
	contact_id bigint references contacts, occurred_at timestamptz, adapter text, category text, data jsonb);
create table sale (id bigint generated always as identity primary key,
	contact_id bigint references contacts, occurred_at timestamptz, what text, value numeric);
create table consent (id bigint generated always as identity primary key,
	contact_id bigint references contacts, occurred_at timestamptz, purpose text, basis text);
create index on form_submit (contact_id, occurred_at);
create index on page_visit (contact_id, occurred_at);
create index on mail (contact_id, occurred_at);
create index on signal (contact_id, occurred_at);
create index on sale (contact_id, occurred_at);
create index on consent (contact_id, occurred_at);
select leadstream.attach_contacts('contacts');
select leadstream.attach_activity('form_submit', occurred_at => 'occurred_at');
select leadstream.attach_activity('page_visit');
select leadstream.attach_activity('mail', kind => 'mail_' || w, only_rule => format('what = ''%s''', w)::leadstream.rule)
from unnest('{sent,open,click}'::text[]) w;
select leadstream.attach_activity('list_member', timeless => true);
select leadstream.attach_activity('signal');
select leadstream.attach_activity('sale', kind => 'sale_' || w, only_rule => format('what = ''%s''', w)::leadstream.rule)
from unnest('{sold,lost,created}'::text[]) w;
select leadstream.attach_activity('consent');
set leadstream.capture = off;

insert into contacts
select i, format('u%s@%s.example', i, case when i % 11 = 0 then 'competitor' else 'x' end),
	case when i % 3 > 0 then 'Acme' end,
	(array['CEO', 'Student', 'Head of IT', null])[1 + (hashint4(i + 14) & 2147483647) % 4],
	case when i % 5 > 0 then '555' || i end,
	(array['SE', 'NO', 'XX', null, 'DK'])[1 + (hashint4(i + 15) & 2147483647) % 5],
	(array['customer', 'lead'])[1 + (hashint4(i + 12) & 2147483647) % 2], (array['paid search', 'organic'])[1 + (hashint4(i + 77) & 2147483647) % 2],
	i * 7 % 101
from generate_series(1, 200) i;
insert into form_submit (contact_id, occurred_at, form, budget, campaign_tags, event_at, answers)
select 1 + (hashint4(i + 130000) & 2147483647) % 180, timestamptz '2026-06-01 00:00Z' - (hashint4(i + 28) & 2147483647) % 400 * interval '1 day' - i * interval '1 minute',
	(array['Request a demo', 'contact', 'webinar', 'registration', 'door scan', 'LinkedIn: lead', 'Facebook: lead'])[1 + (hashint4(i + 17) & 2147483647) % 7],
	(array['Yes', 'No'])[1 + (hashint4(i + 12) & 2147483647) % 2], (array['{Events}', '{Ads,Events}', '{}'])[1 + (hashint4(i + 13) & 2147483647) % 3]::text[],
	timestamptz '2026-06-01 00:00Z' - i % 20 * interval '1 day' + interval '10 days',
	jsonb_build_object('Budget this year', (array['Yes', 'No'])[1 + (hashint4(i + 12) & 2147483647) % 2])
from generate_series(1, 400) i;
insert into page_visit (contact_id, occurred_at, url, session_id)
select 1 + (hashint4(i + 170000) & 2147483647) % 200, timestamptz '2026-06-01 00:00Z' - (hashint4(i + 40) & 2147483647) % 120 * interval '1 day' - i * interval '1 minute',
	(array['/pricing', '/landing/a', '/landing/b', '/careers', '/pricing/team', '/'])[1 + (hashint4(i + 16) & 2147483647) % 6], 's' || i % 50
from generate_series(1, 4000) i;
insert into mail (contact_id, occurred_at, what, link)
select 1 + (hashint4(i + 190000) & 2147483647) % 150, timestamptz '2026-06-01 00:00Z' - (hashint4(i + 16) & 2147483647) % 500 * interval '1 day' - i * interval '1 minute',
	(array['sent', 'sent', 'open', 'click'])[1 + (hashint4(i + 14) & 2147483647) % 4], '/x'
from generate_series(1, 2000) i;
insert into list_member select i, 'Fair 2026 visitors' from generate_series(1, 200, 3) i;
insert into signal (contact_id, occurred_at, adapter, category, data)
select 1 + (hashint4(i + 230000) & 2147483647) % 200, timestamptz '2026-06-01 00:00Z' - (hashint4(i + 22) & 2147483647) % 60 * interval '1 day', 'Space Invaders', 'Game Played',
	jsonb_build_object('score', (i * 37 % 200)::text)
from generate_series(1, 1500) i;
insert into sale (contact_id, occurred_at, what, value)
select 1 + (hashint4(i + 290000) & 2147483647) % 200, timestamptz '2026-06-01 00:00Z' - (hashint4(i + 34) & 2147483647) % 500 * interval '1 day',
	(array['sold', 'lost', 'created', 'lost'])[1 + (hashint4(i + 14) & 2147483647) % 4], i * 977 % 250000
from generate_series(1, 800) i;
insert into consent (contact_id, occurred_at, purpose, basis)
select 1 + (hashint4(i + 310000) & 2147483647) % 200, timestamptz '2026-06-01 00:00Z' - (hashint4(i + 34) & 2147483647) % 500 * interval '1 day', 'marketing',
	(array['given', 'withdrawn', 'given'])[1 + (hashint4(i + 13) & 2147483647) % 3]
from generate_series(1, 500) i;

-- what they earn points for
select leadstream.create_score_set('persona') is not null and leadstream.create_score_set('engagement') is not null as made;
select count(leadstream.create_score_rule('persona', name, rule::leadstream.rule, points)) from (values
	('company known', 'company is not empty', 5), ('phone known', 'phone is not empty', 5), ('decides', 'title ilike ''%CEO%'' or title ilike ''%head%''', 15),
	('student', 'title ilike ''%student%''', -20)) r(name, rule, points);
select count(leadstream.create_score_rule('engagement', name, rule::leadstream.rule, points)) from (values
	('any form', 'exists(form_submit within 90 days)', 15), ('any page', 'exists(page_visit within 90 days)', 10),
	('landing page', 'exists(page_visit where url like ''/landing/%'' within 90 days)', 5), ('pricing', 'count(page_visit where url like ''/pricing%'' within 30 days) >= 3', 10),
	('mail click', 'exists(mail_click within 90 days)', 5), ('careers', 'exists(page_visit where url = ''/careers'' within 30 days)', -10)) r(name, rule, points);

create table rules (n integer primary key, rule leadstream.rule);
insert into rules values
(1, 'lead_score > 20'),
(2, 'lead_score >= 80'),
(3, 'exists(form_submit where form = ''Request a demo'')'),
(4, 'exists(form_submit)'),
(5, 'exists(form_submit where form starts with ''LinkedIn:'' or form starts with ''Facebook:'')'),
(6, 'country = ''SE'' and exists(form_submit)'),
(7, '(country = ''SE'' or country = ''NO'') and exists(form_submit)'),
(8, 'exists(form_submit where form = ''contact'' and answers."Budget this year" = ''Yes'')'),
(9, 'title ilike ''%CEO%'' and lead_score > 50'),
(10, 'phone is not empty and company is not empty and exists(form_submit where form = ''contact'')'),
(11, 'exists(list_member where list = ''Fair 2026 visitors'') and exists(mail_click)'),
(12, 'exists(form_submit where campaign_tags contains ''Events'')'),
(13, 'exists(form_submit where form = ''webinar'') and count(page_visit where url like ''/landing/%'') >= 3'),
(14, 'exists(form_submit where form = ''registration'') and exists(form_submit where form = ''door scan'')'),
(15, 'exists(mail_open within 30 days) and exists(mail_click within 30 days) and count(page_visit where url like ''/landing/%'' within 30 days) >= 3'),
(16, 'count(page_visit where url like ''/pricing%'' within 7 days) >= 3'),
(17, 'count(distinct page_visit.session_id within 90 days) >= 2 and count(page_visit within 90 days) >= 5 and count(mail_open within 90 days) >= 2 and exists(mail_click within 90 days)'),
(18, 'count(signal where adapter = ''Space Invaders'' and category = ''Game Played'' and data.score > 100 within 30 days) >= 3'),
(19, 'original_source = ''paid search'' and exists(form_submit within 30 days) and category <> ''customer'''),
(20, 'lead_score > 80 and title not ilike ''%student%'' and not exists(page_visit where url like ''/careers%'' within 90 days) and country not in (''XX'', ''YY'')'),
(21, 'exists(form_submit where form = ''Request a demo'') and category <> ''customer'' and email not like ''%@competitor.example'''),
(22, 'exists(form_submit where form = ''registration'' and event_at < now - 2 days) and not exists(form_submit where form = ''door scan'')'),
(23, 'exists(page_visit within 7 days) and not exists(form_submit within 365 days) and not exists(mail_click within 365 days) and not exists(mail_sent within 365 days)'),
(24, '(score(''persona'') >= 20 and score(''engagement'') >= 30) or (exists(form_submit where form = ''Request a demo'') and score(''persona'') >= 20)'),
(25, 'exists(sale_lost where value > 100000 within 365 days older than 180 days) and count(page_visit where url like ''/pricing%'' within 14 days) >= 2 and not last(sale_created.occurred_at) > last(sale_lost.occurred_at) and last(consent.basis where purpose = ''marketing'') <> ''withdrawn''');

set leadstream.clock = '2026-06-02T00:00:00Z';
select n, (select count(*) from leadstream.timeline(rule)) as ever,
	(select count(*) from leadstream.preview(rule)) as so_far,
	(select count(*) from contacts c where leadstream.is_match(rule, c.id)) as now,
	(select count(*) from leadstream.verify(rule)) as differ
from rules order by n;
set leadstream.clock = '2026-04-15T12:00:00Z';
select n, (select count(*) from contacts c where leadstream.is_match(rule, c.id)) as now,
	(select count(*) from leadstream.verify(rule)) as differ
from rules order by n;
reset leadstream.clock;

-- in a path a label is a key of an object, a subscript an element of an array
insert into form_submit (contact_id, occurred_at, form, answers)
values (1, '2026-01-01 00:00Z', 'path', '{"list": ["a", {"deep": 5}], "object": {"0": "b"}, "scalar": "a"}');
select w, leadstream.is_match(format('exists(form_submit where form = ''path'' and %s)', w)::leadstream.rule, 1)
from unnest(array['answers.list[0] = ''a''', 'answers.list."0" = ''a''', 'answers.object."0" = ''b''',
	'answers.object[0] = ''b''', 'answers.list[1].deep = 5', 'answers.none.deep is null', 'answers.scalar[0] is null',
	'answers.list[999999999] is null']) w;

-- as streams: nothing is lost between the text, the value and the tables
select leadstream.create_team('Sales') is not null as team;
select count(leadstream.create_stream('stream ' || n, rule, '{Sales}')) from rules;
select count(*) from leadstream.streams where problem is not null;

-- and from end to end: enabled in the midst of it all, so that half of the rows
-- lie in the future, they find by the clock alone whom their timelines promise
select set_config('leadstream.clock', '2026-04-15T12:00:00Z', false) \g /dev/null
select leadstream.enable('stream ' || n) from rules \g /dev/null
select leadstream.tick() as leads;
do $$
begin
	for i in 1 .. 30 loop
		perform set_config('leadstream.clock', to_char(timestamp '2026-04-15 12:00' + i * interval '3 days 7 hours', 'YYYY-MM-DD HH24:MI"Z"'), false);
		perform leadstream.tick();
	end loop;
end $$;
-- of those of whom it was true already, what comes anew is a match too
select count(*) filter (where promised is not null) as promised, count(distinct n) filter (where promised is not null) as of_rules,
	count(*) filter (where matched_at is distinct from promised) as wrong
from (
	select r.n, t.contact_id, (select min(lower(p)) from unnest(t.timeline) p
			where lower(p) > '2026-04-15 12:00Z' and lower(p) <= leadstream.clock()) as promised
	from rules r cross join lateral leadstream.timeline(r.rule) t
	where not t.timeline @> timestamptz '2026-04-15 12:00Z') e
full join (
	select substr(m.stream, 8)::int as n, m.contact_id::text, m.matched_at from leadstream.matches m join rules r on r.n = substr(m.stream, 8)::int
	where not exists (select from leadstream.timeline(r.rule) t where t.contact_id = m.contact_id::text and t.timeline @> timestamptz '2026-04-15 12:00Z')) x
using (n, contact_id);
select origin, count(*) from leadstream.matches group by origin;
select leadstream.disable('stream ' || n), leadstream.clear('stream ' || n) from rules \g /dev/null
reset leadstream.clock;
select leadstream.detach(t) from unnest('{form_submit,page_visit,mail,list_member,signal,sale,consent,contacts}'::regclass[]) t;
select count(*) from leadstream.streams where problem is null;
select count(leadstream.drop_stream(stream)) from leadstream.streams;
select leadstream.drop_score_set(score_set) from leadstream.score_sets \g /dev/null
select leadstream.drop_team('Sales');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.stage;
drop schema customers cascade;
