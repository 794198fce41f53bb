-- scores.sql: score sets, their rules, and rules that compare the score
--
\set VERBOSITY default
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema scores;
set search_path = scores;

-- The default rules of such a product: see the instants at which each expires.
create table contact (id bigint primary key, first_name text, last_name text, title text, company text,
	country text, phone text, score integer, trial_ends_at timestamptz);
create table form_submit (id bigint generated always as identity primary key,
	contact_id bigint not null references contact, at timestamptz not null, form text);
create table page_visit (id bigint generated always as identity primary key,
	contact_id bigint not null references contact, at timestamptz not null, url text);
create table mail (id bigint generated always as identity primary key,
	contact_id bigint not null references contact, at timestamptz not null, what text);
create index on form_submit (contact_id, at);
create index on page_visit (contact_id, at);
create index on mail (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('form_submit', occurred_at => 'at');
select leadstream.attach_activity('page_visit', occurred_at => 'at');
select leadstream.attach_activity('mail', kind => k, occurred_at => 'at', only_rule => format('what = %L', k)::leadstream.rule)
from unnest('{sms_click,mail_click,landing_click,unsubscribe}'::text[]) k;
select leadstream.create_team('Sales') is not null as made;
set leadstream.clock = '2024-05-01 12:00+00';

create function pg_temp.try(source text) returns text
language plpgsql as $$
declare
	hint text;
begin
	return source::leadstream.rule::text;
exception when others then
	get stacked diagnostics hint = pg_exception_hint;
	return concat_ws(' / ', sqlstate || ': ' || sqlerrm, nullif(hint, ''));
end
$$;

create function pg_temp.fails(statement text) returns text
language plpgsql as $$
declare
	detail text;
	hint text;
begin
	execute statement;
	return 'no error';
exception when others then
	get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
	return concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
end
$$;

--
-- The language.  Without parentheses score is a column, as any name is.
--
select pg_temp.try(t) from unnest(array[
	$$score > 3$$, $$score.a is null and exists(score where score = 1)$$,
	$$SCORE ( ) >= 20$$, $$score( 'it''s' ) between 1 and 2 or 5 <= score('b')$$, $$score('a') >= 0.5 * score('b')$$,
	$$score('a', 1e1 where true or x = 1 and y = 2, -5 where not exists(k where b in (1, 2) within 1 day)) > 1$$,
	$$score(5 where exists(k)) in (0, 5)$$, $$not score() is null$$,
	$$score()$$, $$score(a) > 1$$, $$score("a") > 1$$, $$score('') > 1$$, $$score(5) > 1$$, $$score(1.5 where true) > 1$$,
	$$score(1000000001 where true) > 1$$, $$score('a' where true) > 1$$, $$exists(score())$$, $$score(5 where true,) > 1$$]) as t;
select leadstream.rule_scores($$score('a') > 1 or not score() < score('a') or exists(k)$$),
	   leadstream.rule_scores('score > 1 and score(1 where true) > 0') as none;

--
-- The default rules.
--
select leadstream.create_score_set('engagement', 'what they did') is not null as made;
select leadstream.create_score_set('persona', 'who they are') is not null as made;
select count(leadstream.create_score_rule('engagement', r.name, r.rule::leadstream.rule, r.points)) from (values
	('sms click', 'exists(sms_click within 90 days)', 5),
	('mail click', 'exists(mail_click within 90 days)', 5),
	('landing page click', 'exists(landing_click within 90 days)', 5),
	('any form', 'exists(form_submit within 90 days)', 15),
	('landing page visit', 'exists(page_visit where url like ''/landing/%'' within 90 days)', 5),
	('any web page', 'exists(page_visit within 90 days)', 10)) r(name, rule, points);
select count(leadstream.create_score_rule('persona', replace(f, '_', ' ') || ' known', format('%I is not empty', f)::leadstream.rule, 2))
from unnest('{first_name,last_name,title,company,country,phone}'::text[]) f;
select score_set, description, is_enabled, rule_count, used_by, owner = current_user as is_mine, account from leadstream.score_sets order by 1;
select score_set, score_rule, rule, points, is_enabled, problem from leadstream.score_rules order by score_rule_id;

insert into contact values
	(1, 'Ada', 'A', 'CEO', 'Acme', 'SE', '555', null, null),
	(2, 'Bo', null, null, null, 'NO', null, 99, '2024-05-03'),
	(3, null, null, null, null, null, null, 1, null);
insert into mail (contact_id, at, what) values
	(1, '2024-03-01 08:00:00.000001', 'sms_click'), (1, '2024-04-01', 'mail_click'), (1, '2024-04-02', 'landing_click'),
	(2, '2024-04-01', 'unsubscribe');
insert into form_submit (contact_id, at, form) values (1, '2024-03-15 10:00', 'contact'), (1, '2024-02-20', 'webinar');
insert into page_visit (contact_id, at, url) values
	(1, '2024-04-20', '/'), (1, '2024-04-10 00:00:00.5', '/landing/a'), (2, '2024-04-30', '/landing/b');
-- together 57, and point by point to the microsecond
select c.id, n as total from contact c, generate_series(0, 60) n
where leadstream.is_match(format('score() = %s', n)::leadstream.rule, c.id) order by 1;
select n, t.timeline from generate_series(0, 60) n cross join lateral leadstream.timeline(format('score() = %s', n)::leadstream.rule) t
where t.contact_id = '1' order by n;
select contact_id, timeline from leadstream.timeline($$score('persona') >= 4$$) order by 1;
select contact_id, timeline from leadstream.timeline($$score('engagement') > 10 and score > 50$$) order by 1;
-- the three ways agree, whatever is asked of it
select r, count(*) filter (where leadstream.is_match(r, c.id)) as matches,
	   bool_and(leadstream.is_match(r, c.id) = (coalesce(t.timeline, '{}') @> leadstream.clock())) as by_timeline,
	   bool_and(leadstream._timeline_of(r, c.id, '-infinity') = coalesce(t.timeline, '{}')) as by_contact,
	   (select count(*) from leadstream.verify(r)) as differ
from unnest(array['score() >= 57', 'score() < 57', 'not score(''persona'') > 2', 'score() between 14 and 20', 'score(''engagement'') in (0, 15)',
	'score(''engagement'') > 2 * score(''persona'')', 'score() > score', 'score() is not null', 'count(page_visit) >= 0.1 * score()',
	'score(3 where trial_ends_at < now + 3 days, -4 where count(page_visit) >= 2) = 3',
	'score(1 where score = 99) = 1 or score(''persona'') <> 0', 'score(-5 where true, 7 where score = 99) > 2 * score(-5 where true, 7 where score = 99)']::leadstream.rule[]) as r
cross join contact c left join leadstream.timeline(r) t on t.contact_id = c.id::text group by r order by r::text;
-- explained by name; with the rows behind what has been earned
select line from leadstream.explain($$score() >= 60 and not score('persona') > 14 or score(5 where exists(page_visit), 7 where true) = 12$$::leadstream.rule, 1);
select condition, value, row_count from leadstream.explain($$score('engagement') > 20$$::leadstream.rule, 2);
select value, row_count from leadstream.explain($$score(1 where true) > 20$$::leadstream.rule, 2);
-- what it is made of
select score_set, score_rule, points, is_true, since, until, row_count, row_keys from leadstream.explain_score(1);
select score_rule, is_true, until, row_count from leadstream.explain_score('2') where row_count > 0 or not is_true;
select count(*) from leadstream.explain_score(null::bigint);
select sum(points) filter (where is_true) from leadstream.explain_score(3::smallint);
select pg_temp.fails($$select * from leadstream.explain_score(77)$$);
-- and what all contacts have, which is what rules compare
select contact_id, points from leadstream.list_scores(null) order by 1;
select contact_id, points from leadstream.list_scores('engagement', '2024-05-30 08:00:00+00') order by 1;
select contact_id, points from leadstream.list_scores('engagement', '2024-05-30 08:00:00.000001+00') order by 1;
-- the first and the last instant
select at, count(*) from unnest('{4714-11-24 00:00+00 BC,294276-12-31 23:59:59.999999+00}'::timestamptz[]) at, leadstream.list_scores('engagement', at) group by at order by at;
select count(*) as differ from contact c, leadstream.list_scores(null) l
where l.contact_id = c.id::text and not leadstream.is_match(format('score() = %s', l.points)::leadstream.rule, c.id);
-- for a rule builder
select f ->> 'name' as name, f ->> 'label' as label, f ->> 'inputType' as input, jsonb_array_length(f -> 'operators') as operators
from jsonb_array_elements(leadstream.builder_fields()) f where f ->> 'name' like 'score(%';
select r::leadstream.rule::jsonb::leadstream.rule::text from unnest(array[$$score('engagement') >= 15 and not score() between 1 and 2$$,
	$$2 < 0.5 * score() or score(5 where exists(page_visit where url = '/'), 3 where not country = 'SE') = 5$$, $$score('a') > score('b')$$]) r;

--
-- Streams: live, by the clock, in history, and in the simulation.
--
-- what customers set up: rule 24
select leadstream.create_stream('24', $$(score('persona') >= 4 and score('engagement') >= 30)
	or (exists(form_submit where form = 'Request a demo') and score('persona') >= 4)$$, '{Sales}') is not null as made;
select leadstream.create_stream('cold', $$score() < 10 and exists(page_visit)$$, '{Sales}') is not null as made;
select leadstream.create_stream('sum', $$score() >= 50$$, '{Sales}') is not null as made;
select leadstream.create_segment('engaged', $$score('engagement') >= 15$$) is not null as made;
select leadstream.create_stream('seg', $$segment('engaged') and score is not null$$, '{Sales}') is not null as made;
select stream, rule, problem from leadstream.streams order by 1;
select s.stream, v.expanded from leadstream.stream_version v join leadstream.stream s using (stream_id) order by 1;
select score_set, used_by from leadstream.score_sets order by 1;
select leadstream.rule_kinds('score() > 1') as kinds;
select leadstream.enable(s) from unnest('{24,cold,sum,seg}'::text[]) s;
-- found by the kinds that the score rules speak of; who has no rows has no 50 points
insert into page_visit (contact_id, at, url) values (3, '2020-01-01', '/');
select stream, kind, found_by from leadstream.stream_stats order by 1, 2;
-- does time alone make it true?
select leadstream._needs_seeds(r, ''), r from unnest(array['score(5 where country = ''SE'', 2 where phone is not empty) > 5',
	'score(5 where country = ''SE'', 2 where trial_ends_at < now) > 5']::leadstream.rule[]) r;
select leadstream.tick() as leads;
insert into contact values (4, 'Di', 'D', null, null, null, null, 7, null), (5, 'E', null, null, null, null, null, null, null);
-- one row by itself does not do it, the next one does
insert into form_submit (contact_id, at, form) values (4, '2024-05-01 11:00', 'contact');
select stream, contact_id, matched_at, origin from leadstream.matches order by 1, 2;
insert into mail (contact_id, at, what) values (4, '2024-05-01 11:00', 'sms_click');
insert into page_visit (contact_id, at, url) values (4, '2024-05-01 11:30', '/');
insert into form_submit (contact_id, at, form) values (5, '2024-05-01 11:40', 'Request a demo');
select stream, contact_id, matched_at, origin from leadstream.matches order by 1, 2;
-- a contact that becomes known earns the rest
update contact set last_name = 'E' where id = 5;
select stream, contact_id, matched_at, origin from leadstream.matches where contact_id = 5 order by 1;
-- what expires, to the microsecond: of contact 2 the visit of 30 April, a 10 and a 5
set leadstream.clock = '2024-07-28 23:59:59.999999+00';
select leadstream.tick();
set leadstream.clock = '2024-07-29 00:00+00';
select leadstream.tick();
select stream, contact_id, matched_at, origin from leadstream.matches where origin = 'clock' order by 1, 2;
select leadstream.fetch_history('{24,sum,seg}'::text[]);
select stream, contact_id, matched_at from leadstream.matches where origin = 'history' order by 1, 2;
select stream, (select count(*) from leadstream.verify(stream)) as differ from leadstream.streams order by 1;
select contact_id, matched_at from leadstream.simulate('score(''engagement'') >= 30', '2024-04-01', '2024-07-01') order by 1;

--
-- A new row of a score that is high is a new match, if it earns points; of one
-- that need be low it is none.
--
select leadstream.create_stream('again', $$score() >= 12$$, '{Sales}', requalify_after => '0') is not null as made;
select leadstream.create_stream('low', $$score('engagement') <= 15$$, '{Sales}', requalify_after => '0') is not null as made;
select leadstream.create_score_rule('persona', 'lost', 'exists(unsubscribe)', -2) is not null as made;
set leadstream.clock = '2024-08-01 00:00+00';
insert into contact (id, first_name) values (6, 'F'), (7, 'G');
select leadstream.enable(s) from unnest('{again,low}'::text[]) s;
select leadstream.tick() >= 0 as ticked;
insert into form_submit (contact_id, at, form) values (6, '2024-08-01', 'x'), (7, '2024-08-01', 'x');
select leadstream.move(lead_id, 'Lost') from leadstream.leads where contact_id in (6, 7);
select contact_id, stage from leadstream.leads where contact_id in (6, 7) order by 1;
-- one that loses points, but not enough, is silent
insert into mail (contact_id, at, what) values (7, '2024-08-01', 'unsubscribe');
insert into form_submit (contact_id, at, form) values (6, '2024-08-01', 'y');
select contact_id, stage from leadstream.leads where contact_id in (6, 7) order by 1;
select leadstream.disable(s) from unnest('{again,low}'::text[]) s;
select leadstream.drop_score_rule('persona', 'lost');

--
-- Changed: whoever speaks of the score gets a new version of its rule.
--
create function pg_temp.versions() returns table (stream text, rule_version integer)
language sql as $$ select stream, rule_version from leadstream.stream where stream in ('24', 'cold', 'sum', 'seg') order by 1 $$;
create temp table before as select * from pg_temp.versions();
create function pg_temp.changed() returns text
language plpgsql as $$
declare
	result text := coalesce((select string_agg(v.stream, ' ' order by v.stream) from pg_temp.versions() v join before b using (stream)
							 where v.rule_version > b.rule_version), 'none');
begin
	delete from before;
	insert into before select * from pg_temp.versions();
	return result;
end
$$;
select leadstream.alter_score_rule('persona', 'phone known', points => 3), pg_temp.changed();
select leadstream.alter_score_rule('persona', 'phone known', rule => 'phone is not null'), pg_temp.changed();
select leadstream.alter_score_rule('persona', 'phone known', description => 'x', new_name => 'phone'), pg_temp.changed();
select leadstream.alter_score_rule('persona', 'phone', rule => '(phone is not null)'), pg_temp.changed();
select leadstream.disable_score_rule('engagement', 'any form'), pg_temp.changed();
select leadstream.alter_score_rule('engagement', 'any form', points => 16), pg_temp.changed();
select leadstream.enable_score_rule('engagement', 'any form'), pg_temp.changed();
select leadstream.disable_score_set('persona'), pg_temp.changed();
select leadstream.is_match($$score('persona') = 0$$, 1);
select leadstream.drop_score_rule('persona', 'phone'), pg_temp.changed();
select leadstream.enable_score_set('persona'), pg_temp.changed();
select leadstream.create_score_set('third') is not null as made, pg_temp.changed();
select leadstream.create_score_rule('third', 'a', 'true', 1) is not null as made, pg_temp.changed();
select leadstream.drop_score_set('third'), pg_temp.changed();
select leadstream.alter_score_set('persona', new_name => 'who', description => ''), pg_temp.changed();
select stream, rule from leadstream.streams where stream in ('24', 'sum') order by 1;
select leadstream.alter_score_set('engagement', new_name => 'did'), pg_temp.changed();
select segment, rule from leadstream.segments;
select score_set, description, rule_count, used_by from leadstream.score_sets order by 1;
-- by a segment that a score rule names
select leadstream.create_segment('nordic', $$country in ('SE', 'NO')$$) is not null as made;
select leadstream.create_score_rule('who', 'nordic', $$segment('nordic')$$, 8) is not null as made, pg_temp.changed();
select leadstream.alter_segment('nordic', $$country in ('SE', 'NO', 'DK')$$), pg_temp.changed();
select leadstream.alter_segment('nordic', new_name => 'north'), pg_temp.changed();
select score_set, score_rule, rule, points from leadstream.score_rules where score_rule = 'nordic';
select leadstream.is_match($$score('who') = 18$$, 1) as has_18, leadstream.is_match($$score('who') = 12$$, 2) as has_12;
-- seen by the next statement
insert into contact (id, country, first_name) values (8, 'SE', 'H');
insert into form_submit (contact_id, at, form) values (8, '2024-08-01', 'Request a demo');
select stream, contact_id from leadstream.matches where contact_id = 8 order by 1;
begin;
select leadstream.alter_score_rule('did', 'any form', points => 100);
insert into contact (id) values (9), (10);
insert into form_submit (contact_id, at, form) values (9, '2024-08-01', 'y');
select stream, contact_id from leadstream.matches where contact_id = 9 order by 1;
rollback;
insert into contact (id, score) values (9, 1), (10, null);
insert into form_submit (contact_id, at, form) values (9, '2024-08-01', 'y'), (10, '2024-08-01', 'y');
select stream, contact_id from leadstream.matches where contact_id in (9, 10) order by 1;

--
-- What is refused.
--
select pg_temp.fails(s) from unnest(array[
	$$select leadstream.check_rule('score(''none'') > 1')$$,
	$$select leadstream.check_rule('exists(page_visit where score() > 1)')$$,
	$$select leadstream.check_rule('score(1 where score(2 where true) > 1) > 1')$$,
	$$select leadstream.check_rule('score(1 where segment(''engaged'')) > 1')$$,
	$$select leadstream.create_score_rule('did', 'x', 'score() > 1', 1)$$,
	$$select leadstream.create_score_rule('did', 'x', 'segment(''engaged'')', 1)$$,
	$$select leadstream.alter_score_rule('did', 'any form', 'score(''who'') > 1')$$,
	$$select leadstream.alter_segment('north', 'score() > 5')$$,
	$$select leadstream.create_score_rule('did', 'x', 'nothing > 1', 1)$$,
	$$select leadstream.create_score_rule('did', 'any form', 'true', 1)$$,
	$$select leadstream.create_score_rule('none', 'x', 'true', 1)$$,
	$$select leadstream.create_score_rule('did', 'x', 'true', 1000000001)$$,
	$$select leadstream.create_score_rule('did', 'x', 'true', null)$$,
	$$select leadstream.create_score_set('did')$$,
	$$select leadstream.create_score_set(' ')$$,
	$$select leadstream.alter_score_set('did', new_name => 'who')$$,
	$$select leadstream.alter_score_rule('did', 'any form', new_name => 'sms click')$$,
	$$select leadstream.alter_score_rule('did', 'no form', points => 1)$$,
	$$select leadstream.drop_score_set('did')$$,
	$$select leadstream.drop_score_set('none')$$,
	$$select leadstream.drop_segment('north')$$,
	-- in the place of the score a rule of the set would nest too deeply
	$$select leadstream.create_score_rule('who', 'deep', (repeat('not ', 97) || 'true')::leadstream.rule, 1)$$]) s;
-- attached tables that a score speaks of stay attached
select pg_temp.fails($$select leadstream.detach('mail')$$);
-- a column that gets another name is followed; one that is gone breaks the streams, not the insert
alter table contact rename column first_name to given_name;
select score_rule, rule, problem from leadstream.score_rules where score_rule = 'first name known';
insert into contact (id, given_name, country, score) values (13, 'M', 'SE', 1);
insert into form_submit (contact_id, at, form) values (13, '2024-08-01', 'Request a demo');
select stream, contact_id from leadstream.matches where contact_id = 13 order by 1;
select sum(points) filter (where is_true) from leadstream.explain_score(13);
begin;
alter table contact drop column given_name;
insert into page_visit (contact_id, at, url) values (1, '2024-08-01', '/');
select stream, problem from leadstream.streams where problem is not null order by 1;
select score_rule, problem from leadstream.score_rules where problem is not null;
rollback;
alter table contact rename column given_name to first_name;
select stream, problem from leadstream.streams where problem is not null order by 1;
-- rows that come in any order, as from a dump that is restored by several jobs
begin;
create temp table kept_stream on commit drop as select * from leadstream.stream where stream in ('sum', 'seg');
create temp table kept_set on commit drop as select * from leadstream.score_set;
create temp table kept_rule on commit drop as select * from leadstream.score_rule;
delete from leadstream.stream s using kept_stream k where k.stream_id = s.stream_id;
delete from leadstream.score_rule;
insert into leadstream.stream select * from kept_stream;
insert into leadstream.score_rule select * from kept_rule;
insert into contact (id, score) values (11, 1);
insert into form_submit (contact_id, at, form) values (11, '2024-08-01', 'y');
select stream, contact_id from leadstream.matches where contact_id = 11 order by 1;
delete from leadstream.stream s using kept_stream k where k.stream_id = s.stream_id;
delete from leadstream.score_set;
insert into leadstream.stream select * from kept_stream;
insert into leadstream.score_set select * from kept_set;
insert into contact (id, score) values (12, 1);
insert into form_submit (contact_id, at, form) values (12, '2024-08-01', 'y');
select stream, contact_id from leadstream.matches where contact_id = 12 order by 1;
rollback;
-- notices
reset client_min_messages;
select leadstream.enable_score_set('did');
select leadstream.enable_score_rule('did', 'any form');
set client_min_messages = warning;

--
-- Accounts: each has its own sets.
--
select leadstream.disable(stream) from leadstream.streams where is_enabled;
select leadstream.drop_stream(stream) from leadstream.streams;
select leadstream.drop_segment('engaged');
select leadstream.drop_score_set(score_set) from leadstream.score_sets;
select count(*) from leadstream.score_rule;
select leadstream.detach('mail'), leadstream.detach('page_visit'), leadstream.detach('form_submit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
alter table contact add tenant text;
update contact set tenant = case when id % 2 = 0 then 'even' else 'odd' end;
select leadstream.attach_contacts('contact', account => 'tenant');
select leadstream.attach_activity('form_submit', occurred_at => 'at');
select pg_temp.fails($$select leadstream.create_score_set('a')$$);
set leadstream.account = 'even';
select leadstream.create_team('S') is not null as made, leadstream.create_score_set('a') is not null as made;
select leadstream.create_score_rule('a', 'r', 'exists(form_submit)', 5) is not null as made;
select leadstream.create_stream('s', $$score('a') >= 5 and score() = 5$$, '{S}') is not null as made, leadstream.enable('s');
set leadstream.account = 'odd';
select leadstream.create_team('S') is not null as made, leadstream.create_score_set('a') is not null as made;
select leadstream.create_score_rule('a', 'r', 'exists(form_submit)', 7) is not null as made;
select leadstream.create_stream('s', $$score('a') >= 6$$, '{S}') is not null as made, leadstream.enable('s');
insert into form_submit (contact_id, at) select i, '2024-08-01' from generate_series(1, 4) i;
select account, contact_id from leadstream.matches order by 1, 2;
select contact_id, points from leadstream.list_scores('a') order by 1;
select account, score_set, used_by from leadstream.score_sets order by 1;
select leadstream.alter_score_rule('a', 'r', points => 1);
select account, stream, rule_version from leadstream.streams order by 1;
-- leave nothing behind for the tests to come
select leadstream.disable('s');
select leadstream.drop_stream('s');
set leadstream.account = 'even';
select leadstream.disable('s');
select leadstream.drop_stream('s');
delete from leadstream.segment;
delete from leadstream.score_rule;
delete from leadstream.score_set;
select leadstream.detach('form_submit');
select leadstream.detach('contact');
drop table leadstream.lead_event, leadstream.lead_match, leadstream.lead, leadstream.due, leadstream.score cascade;
truncate leadstream.team, leadstream.stage;
drop schema scores cascade;
