--
-- story.sql: the main job of leadstream from attach to board, told in psql.
--
-- Runs after world.sql.  Every statement shown is one a user would type.
--

\pset format wrapped
\pset columns 100
\pset footer off
\set VERBOSITY default
\set SHOW_CONTEXT never
set client_min_messages = warning;

-- The errors on show must be those that were meant.
create function pg_temp.expect(seen text, meant text) returns void language plpgsql as $$
begin
  if seen is distinct from meant then
    raise exception 'expected SQLSTATE %, saw %', meant, seen;
  end if;
end $$;

\echo
\echo '=== 1. The world ==================================================================================='
\echo
\echo 'Ordinary tables of an ordinary application: contacts, and a year of what they did.'
\echo
select 'contact' as "table", count(*) as rows, min(created_at)::date as first, max(created_at)::date as last from contact
union all select 'page_visit', count(*), min(occurred_at)::date, max(occurred_at)::date from page_visit
union all select 'form_submit', count(*), min(occurred_at)::date, max(occurred_at)::date from form_submit
union all select 'mail', count(*), min(occurred_at)::date, max(occurred_at)::date from mail;

select country, count(*) as contacts, round(avg(lead_score), 1) as avg_score,
       count(*) filter (where category = 'Enterprise') as enterprise,
       count(*) filter (where lead_score >= 50) as score_50_up
from contact group by country order by contacts desc, country limit 6;

\echo '=== 2. Attach ======================================================================================'
\echo
\echo 'leadstream is told which table holds the contacts and which tables hold activities.'
\echo 'Keys, foreign keys and time columns come from the catalog.'
\echo
\set ECHO queries
create extension leadstream;

\o /dev/null
select leadstream.attach_contacts('contact');

select leadstream.attach_activity('page_visit');

select leadstream.attach_activity('form_submit');

select leadstream.attach_activity('mail', kind => 'mail_sent', only_rule => 'action = ''sent''');

select leadstream.attach_activity('mail', kind => 'mail_open', only_rule => 'action = ''open''');

select leadstream.attach_activity('mail', kind => 'mail_click', only_rule => 'action = ''click''');
\o
\set ECHO none

\echo
\echo 'What rules can now speak of:'
\echo
select kind, string_agg(field, ', ' order by field) as fields
from leadstream.fields where kind <> 'mail_sent' and kind <> 'mail_open' group by kind order by kind;

\echo '=== 3. Two teams, four streams ====================================================================='
\echo
\set ECHO queries
\o /dev/null
select leadstream.create_team('Nordic Sales');

select leadstream.create_team('Key Accounts');

select leadstream.create_stream('Demo requests',
  $$ exists(form_submit where form = 'Request a demo') $$,
  teams => '{Nordic Sales,Key Accounts}',
  description => 'Somebody asked to see it');

select leadstream.create_stream('Pricing heat',
  $$ country in ('SE', 'NO', 'DK', 'FI')
     and count(page_visit where url like '/pricing%' within 7 days) >= 3 $$,
  teams => '{Nordic Sales}');

select leadstream.create_stream('Engaged buyers',
  $$ lead_score >= 50 and title not ilike '%student%'
     and count(distinct page_visit.session_id within 30 days) >= 2
     and count(mail_open, mail_click within 90 days) >= 0.4 * count(mail_sent within 90 days)
     and exists(mail_sent within 90 days) $$,
  teams => '{Nordic Sales,Key Accounts}',
  description => 'Reads what we send and comes back');

select leadstream.create_stream('Large teams',
  $$ exists(form_submit where answers.team_size >= 100
            and budget in ('50k-100k', 'over 100k') within 1 year)
     and last(form_submit.form) <> 'Newsletter' $$,
  teams => '{Key Accounts}',
  description => 'A big team with a budget, and still talking to us');
\o
\set ECHO none

\echo
\echo 'A new stream is inactive:'
\echo
select stream, is_enabled, teams, lead_count from leadstream.streams order by stream_id;

\echo '=== 4. Enable ======================================================================================'
\echo
\set ECHO queries
\o /dev/null
select leadstream.enable('Demo requests');

select leadstream.enable('Pricing heat');

select leadstream.enable('Engaged buyers');

select leadstream.enable('Large teams');
\o

select count(*) as leads from leadstream.leads;
\set ECHO none
\echo 'No leads: an enabled stream waits for new matches. The past comes in chapter 8, on request.'

-- Somebody from Sweden with a good score, quiet so far
select contact_id as hero, name as hero_name, company as hero_company, lead_score as hero_score
from contact c
where country = 'SE' and lead_score between 55 and 80 and title not in ('Student')
  and not exists (select from form_submit f where f.contact_id = c.contact_id and form = 'Request a demo')
  and not exists (select from page_visit v where v.contact_id = c.contact_id and url like '/pricing%'
                  and occurred_at > now() - interval '7 days')
order by contact_id limit 1 \gset

\echo
\echo '=== 5. Live: the lead is there before the commit ==================================================='
\echo
\echo :hero_name 'of' :hero_company '(contact' :hero', score' :hero_score') looks at the pricing page, three times.'
\echo 'The website inserts as a role that knows nothing of leadstream.'
\echo
create role website;
grant insert on page_visit, form_submit to website;
\set ECHO queries
begin;
set local role website;

insert into page_visit (contact_id, url, session_id, occurred_at)
values (:hero, '/pricing', 's1', now()), (:hero, '/pricing/enterprise', 's1', now());

reset role;
select team, stage, name, company, streams from leadstream.board where contact_id = :hero;
\set ECHO none
\echo 'Two visits are not three. One more:'
\echo
\set ECHO queries
set local role website;

insert into page_visit (contact_id, url, session_id, occurred_at)
values (:hero, '/pricing', 's2', now());

reset role;
select team, stage, name, company, streams from leadstream.board where contact_id = :hero;
\set ECHO none
\echo 'A lead, inside the transaction that caused it. The same person asks for a demo:'
\echo
\set ECHO queries
insert into form_submit (contact_id, form, budget, answers, occurred_at)
values (:hero, 'Request a demo', 'over 100k', '{"team_size": 250, "crm": "spreadsheet"}', now());

select team, stage, name, company, streams
from leadstream.board where contact_id = :hero order by team;
commit;
\set ECHO none
\echo 'A match reaches every team of its stream; a contact is one lead a team, however many streams agree.'

select contact_id as other, name as other_name
from contact c
where country = 'NO'
  and not exists (select from form_submit f where f.contact_id = c.contact_id and form = 'Request a demo')
order by contact_id limit 1 \gset

\echo
\echo '=== 6. Rollback takes the lead with it ============================================================='
\echo
\set ECHO queries
begin;

insert into form_submit (contact_id, form, budget, occurred_at)
values (:other, 'Request a demo', 'none yet', now());

select count(*) as leads_of_this_contact from leadstream.leads where contact_id = :other;

rollback;

select count(*) as leads_of_this_contact from leadstream.leads where contact_id = :other;
\set ECHO none

\echo '=== 7. A night of visits in one statement =========================================================='
\echo
\echo 'Every row is judged by the four streams; the leads stand when the statement ends.'
\echo
\timing on
\set ECHO queries
insert into page_visit (contact_id, url, session_id, occurred_at)
select 1 + i % 5000, case when i % 7 < 2 then '/pricing' else '/docs' end,
       'night' || i % 5000, now()
from generate_series(1, 20000) as i;
\set ECHO none
\timing off
\echo
\set ECHO queries
select team, stream, count(*) as matches
from leadstream.matches group by team, stream order by team, stream;
\set ECHO none

\echo '=== 8. The past, on request ========================================================================'
\echo
\echo 'preview shows what a rule would find and writes nothing:'
\echo
\set ECHO queries
select name, company, to_char(first_matched_at, 'YYYY-MM-DD HH24:MI') as first_matched_at
from leadstream.preview($$ exists(form_submit where form = 'Request a demo') $$) limit 4;
\set ECHO none
\echo 'fetch_history makes the leads of the past, with the meaning that the live path has:'
\echo
\timing on
\set ECHO queries
select leadstream.fetch_history('Demo requests') as new_leads;

select leadstream.fetch_history('{Pricing heat,Engaged buyers,Large teams}'::text[]) as new_leads;
\set ECHO none
\timing off
\echo 'Called again it adds nothing:'
\echo
\set ECHO queries
select leadstream.fetch_history('Demo requests') as new_leads;

select stream, teams, lead_count from leadstream.streams order by stream_id;
\set ECHO none

\echo 'Live capture and history are two ways to one meaning; verify lists the contacts where they differ:'
\echo
\set ECHO queries
select count(*) as differences from leadstream.verify('Engaged buyers');
\set ECHO none

\echo '=== 9. The board ==================================================================================='
\echo
\set ECHO queries
select team, stage, count(*) as leads from leadstream.board group by team, stage order by team;
\set ECHO none
\echo 'Those that most streams agree on:'
\echo
select team, name, lead_score as score, streams
from leadstream.board join contact using (contact_id, name)
order by length(streams) desc, lead_id limit 10;

\echo '=== 10. Why is this a lead? ========================================================================'
\echo
\set ECHO queries
select team, stream, to_char(matched_at, 'YYYY-MM-DD HH24:MI') as matched_at, origin
from leadstream.matches where contact_id = :hero order by team, stream;

select stream, rule_version, evidence from leadstream.matches
where contact_id = :hero and team = 'Nordic Sales' order by stream;
\set ECHO none

\echo 'And why is somebody not? Every condition with what was seen, the nearest missing one numbered:'
\echo
select contact_id as other from contact c
where not exists (select from leadstream.matches m where m.contact_id = c.contact_id and m.stream = 'Pricing heat')
  and exists (select from page_visit v where v.contact_id = c.contact_id and v.url like '/pricing%')
order by contact_id limit 1 \gset
\set ECHO queries
select line from leadstream.explain('Pricing heat', :other);
\set ECHO none

\echo 'A rule denotes a set of instants, its timeline. Twice or more on the pricing page within a day:'
\echo
\set ECHO queries
select c.name, t.timeline
from leadstream.timeline($$ count(page_visit where url = '/pricing' within 24 hours) >= 2 $$) t
join contact c on c.contact_id::text = t.contact_id
order by c.contact_id limit 3;
\set ECHO none

\echo '=== 11. Sales at work =============================================================================='
\echo
\echo 'New leads go to the members of the team in turn, as their transaction commits:'
\echo
select lead_id as lead from leadstream.leads where contact_id = :hero and team = 'Nordic Sales' \gset
\set ECHO queries
\o /dev/null
select leadstream.create_sales_user('Astrid'), leadstream.create_sales_user('Birk');
select leadstream.add_member('Nordic Sales', 'Astrid'), leadstream.add_member('Nordic Sales', 'Birk');
select leadstream.alter_team('Nordic Sales', hands_out => true);
\o

insert into form_submit (contact_id, form, occurred_at)
select contact_id, 'Request a demo', now() from contact c
where country = 'FI' and not exists (select from leadstream.leads l where l.contact_id = c.contact_id)
order by contact_id limit 4;

select lead_id, team, name, assigned_to from leadstream.board
where team = 'Nordic Sales' order by lead_id desc limit 4;
\set ECHO none
\echo 'They are called, and move; whatever happens to a lead is kept:'
\echo
\set ECHO queries
\o /dev/null
select leadstream.assign(:lead, 'Birk');
select leadstream.move(:lead, 'SQL', 'called, wants an offer');
select leadstream.move(:lead, 'Won', '250 seats');
\o

select what, old, new, note, actor from leadstream.lead_event where lead_id = :lead order by event_id;

select stage, entered, reached, share, present from leadstream.conversion
where stream = 'Demo requests' and team = 'Nordic Sales' order by stage_order;
\set ECHO none
\echo 'A program follows the leads by a cursor; none comes twice, and none is skipped:'
\echo
\set ECHO queries
select cursor <> '' as has_cursor, lead_id, team, streams from leadstream.leads_since(max_leads => 3);
\set ECHO none

\echo '=== 12. Points, and what they are worth ============================================================'
\echo
\set ECHO queries
\o /dev/null
select leadstream.create_score_set('Engagement');
select leadstream.create_score_rule('Engagement', 'A form', 'exists(form_submit within 90 days)', 15);
select leadstream.create_score_rule('Engagement', 'Pricing', $$ exists(page_visit where url like '/pricing%' within 90 days) $$, 20);
select leadstream.create_score_rule('Engagement', 'A student', $$ title = 'Student' $$, -30);
select leadstream.create_stream('Warm', $$ score('Engagement') >= 35 and country = 'SE' $$, teams => '{Key Accounts}');
\o

select line from leadstream.explain('Warm', :hero);
\set ECHO none

select now() + interval '30 days' as next_month \gset
\echo '=== 13. Time makes leads too ======================================================================='
\echo
\echo 'Who was written to and opens nothing for 90 days. When that will be is known in advance:'
\echo
\set ECHO queries
\o /dev/null
select leadstream.create_stream('Gone quiet',
  $$ exists(mail_sent) and not exists(mail_open within 90 days) $$, teams => '{Nordic Sales}');
select leadstream.enable('Gone quiet');
\o
select leadstream.tick() as leads_now;

select count(*) as waiting, min(at)::date as first, max(at)::date as last from leadstream.due;
\set ECHO none
\echo 'pg_cron calls tick every minute; here the clock is set to next month.'
\echo
\set ECHO queries
set leadstream.clock = :'next_month';
select leadstream.tick() as leads;

select contact_id, matched_at::date as turned_true, origin
from leadstream.matches where stream = 'Gone quiet' order by matched_at, contact_id limit 3;
reset leadstream.clock;
\set ECHO none

\echo '=== 14. Disable and clear =========================================================================='
\echo
\echo 'Not while it is enabled:'
\echo
\set ON_ERROR_STOP off
\set ECHO queries
select leadstream.clear('Pricing heat');
\set seen :SQLSTATE
\set ECHO none
\set ON_ERROR_STOP on
select pg_temp.expect(:'seen', '55000') \g /dev/null
\echo
\set ECHO queries
\o /dev/null
select leadstream.disable('Pricing heat');
\o

select leadstream.clear('Pricing heat') as leads_removed;

select stream, is_enabled, lead_count from leadstream.streams order by stream_id;
\set ECHO none
\echo 'Leads that another stream holds too have stayed.'

\echo
\echo '=== 15. A broken rule says where and what to do ===================================================='
\echo
\set ON_ERROR_STOP off
\set ECHO queries
select leadstream.create_stream('Broken', $$ count(page_visit within 7 dais) >= 3 $$);
\set seen1 :SQLSTATE

select leadstream.create_stream('Broken', $$ contry = 'SE' $$);
\set seen2 :SQLSTATE

select leadstream.create_stream('Broken', $$ exists(page_visits where url = '/') $$);
\set seen3 :SQLSTATE

select leadstream.create_stream('Broken', $$ lead_score >= 'high' $$);
\set seen4 :SQLSTATE
\set ECHO none
\set ON_ERROR_STOP on
select pg_temp.expect(:'seen1', '22007'), pg_temp.expect(:'seen2', '42703'), pg_temp.expect(:'seen3', '42P01') \g /dev/null

\echo
\echo '=== 16. All of it on one screen ===================================================================='
\echo
\set ECHO queries
select * from leadstream.overview();
\set ECHO none

\echo '=== What was shown ================================================================================='
\echo
select count(*) as activities from (select from page_visit union all select from form_submit union all select from mail) a \gset
select count(*) as leads from leadstream.leads \gset
select count(*) as streams from leadstream.streams \gset
\echo '  5,000 contacts and' :activities 'activities in plain tables, attached in six calls'
\echo ' ' :streams 'streams for two teams: one condition, a window, aggregates on both sides, jsonb'
\echo '  leads made by the insert itself, seen before commit and gone after rollback'
\echo '  the leads of the past by fetch_history; now' :leads 'leads on the boards'
\echo '  why each of them is a lead, how sales worked them, and clearing it all away again'
\echo
