--
-- scores_odd: kept scores where keys are of odd types or look alike, where types of
-- one's own raise errors, of many sets, and of more contacts than go at a time
--
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO';
create extension citext;
create schema scores_odd;
set search_path = scores_odd, public;

-- What is kept, and what of it is wrong.
create function kept(may_verify boolean default true) returns text language plpgsql as $$
begin
	return (select coalesce(string_agg(format('%s %s', left(contact_id::text, 20), points), ', ' order by contact_id::text collate "C", points), 'none')
			from leadstream.scores where points <> 0)
		|| coalesce(' wrong: ' || (select string_agg(v::text, ' ') from leadstream.verify_scores() v where may_verify), '')
		|| coalesce(' without a contact: ' || (select string_agg(k.contact_id::text, ' ') from leadstream.score k
					where not exists (select from contact c where c.id = k.contact_id)), '');
end $$;
create function at(moment timestamptz) returns void language sql volatile as $$
	select set_config('leadstream.clock', moment::text, false);
	select leadstream.tick();
$$;
create procedure leave() language plpgsql as $$
begin
	delete from leadstream.score_rule;
	delete from leadstream.score_set;
	delete from leadstream.score_walk;
	perform leadstream.detach(r) from unnest(array['visit', 'contact']::regclass[]) r;
	drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	truncate leadstream.stage;
	drop table visit, contact cascade;
end $$;

--
-- Keys of many types: one row a contact and set, whichever way the key was written,
-- found by a walk, by rows and by time, also when the contact has got another key.
--
create procedure live(type text, one text, alike text, two text, three text, out result text) language plpgsql as $$
begin
	perform set_config('leadstream.clock', '2026-03-01 12:00Z', false);
	execute format('create table contact (id %s primary key, country text)', type);
	execute format('create table visit (contact_id %s references contact on update cascade on delete cascade, at timestamptz)', type);
	create index on visit (contact_id, at);
	perform leadstream.attach_contacts('contact');
	perform leadstream.attach_activity('visit', occurred_at => 'at', events => '{insert,update,delete}');
	execute format('insert into contact values (%L, ''SE''), (%L, ''NO'')', one, two);
	execute format('insert into visit values (%L, ''2026-02-01Z'')', one);
	perform leadstream.create_score_set('s');
	perform leadstream.create_score_rule('s', r.name, r.rule::leadstream.rule, r.points)
	from (values ('now', 'exists(visit within 10 days)', 1), ('twice', 'count(visit) >= 2', 10), ('home', 'country = ''SE''', 100)) r(name, rule, points);
	commit;
	perform leadstream.tick();
	result := kept();
	commit;
	execute format('insert into visit values (%L, ''2026-03-01Z''), (%L, ''2026-02-25Z''), (%L, ''2026-03-01Z'')', alike, alike, two);
	result := result || E'\n' || kept();
	perform at('2026-03-09Z');
	perform at('2026-03-12Z');
	result := result || E'\n' || kept();
	execute format('update contact set id = %L where id = %L', three, two);
	execute format('update contact set id = %L, country = ''NO'' where id = %L', alike, one);
	result := result || E'\n' || kept();
	execute format('insert into contact values (%L, ''SE'')', two);
	execute format('update visit set contact_id = %L where contact_id = %L', two, three);
	execute format('delete from contact where id = %L', three);
	result := result || E'\n' || kept();
	perform leadstream.alter_score_rule('s', 'twice', points => 20);
	perform leadstream.alter_score_rule('s', 'home', points => 200);
	commit;
	call leadstream.rescore('s', 1);
	result := result || E'\n' || kept();
	call leave();
end $$;
call live('citext', 'Anna', 'ANNA', 'bert', 'Carl', null);
call live('uuid', 'A0000000-0000-0000-0000-000000000001', '{a0000000-0000-0000-0000-000000000001}', 'b0000000-0000-0000-0000-000000000002', 'c0000000-0000-0000-0000-000000000003', null);
call live('numeric', '1', '1.00', '-0.5', '1e30', null);
call live('char(4)', 'a', 'a ', '''"\', 'ö', null);
call live('text', 'it''s; --', 'it''s; --', repeat('long', 300), '', null);
call live('date', '2026-02-03', '3 Feb 2026', 'infinity', '4713-01-01 BC', null);
call live('smallint', '1', '+1', '-32768', '32767', null);
call live('bytea', '\x00', E'\\000', '\xff27', '', null);
call live('interval', '1 day', '24:00', '-1 year', '0', null);
call live('float8', '0', '-0', 'NaN', '1e-300', null);

--
-- A type of one's own whose comparison raises errors: what happens to a rule over it
-- happens to nobody else, neither to the statement nor to the other rules.
--
create type mood as enum ('good', 'bad');
create function mood_is(mood, mood) returns boolean immutable strict language plpgsql as $$
begin
	if 'bad' in ($1::text, $2::text) then
		raise exception 'a bad mood';
	end if;
	return $1::text = $2::text;
end $$;
create function mood_cmp(mood, mood) returns integer immutable strict language sql as 'select bttextcmp($1::text, $2::text)';
create operator = (function = mood_is, leftarg = mood, rightarg = mood);
create operator class mood_ops default for type mood using btree as operator 3 = (mood, mood), function 1 mood_cmp(mood, mood);
create table contact (id integer primary key, country text, mood mood);
create table visit (contact_id integer references contact on update cascade on delete cascade, at timestamptz, mood mood);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit', occurred_at => 'at');
set leadstream.clock = '2026-03-01 12:00Z';
select leadstream.create_score_set('s') > 0 as made;
select leadstream.create_score_rule('s', name, rule::leadstream.rule, points) > 0 as made
from (values ('home', 'country = ''SE''', 1), ('glad', 'mood = ''good''', 10), ('seen', 'exists(visit within 10 days)', 100),
	('seen glad', 'exists(visit where mood = ''good'' within 10 days)', 1000)) r(name, rule, points);
select leadstream.tick();
insert into contact values (1, 'SE', 'good'), (2, 'SE', null), (3, 'NO', 'good');
insert into visit values (1, '2026-03-01Z', 'good'), (2, '2026-03-01Z', 'good');
select kept();
select score_rule, problem from leadstream.score_rules order by score_rule_id;
-- of several in one statement one is enough, whoever it is that finds it out
update contact set mood = case when id = 2 then 'bad' else mood end::mood, country = 'SE';
select kept(false);
select score_rule, problem from leadstream.score_rules order by score_rule_id;
select leadstream.alter_score_rule('s', 'glad', rule => 'mood in (''good'')');
insert into visit values (3, '2026-03-01Z', 'bad');
select kept(false);
select leadstream.tick();
select kept(false);
select score_rule, problem from leadstream.score_rules order by score_rule_id;
update contact set mood = 'good';
select leadstream.alter_score_rule('s', 'seen glad', rule => 'exists(visit where mood = ''good'' and at > ''2020-01-01'' within 10 days)');
delete from visit where mood::text = 'bad';
call leadstream.rescore('s');
select kept();
select score_rule, problem from leadstream.score_rules order by score_rule_id;
-- another session remembers nothing of it
\c
\set SHOW_CONTEXT never
set client_min_messages = warning;
set timezone = 'UTC';
set search_path = scores_odd, public;
set leadstream.clock = '2026-03-01 12:00Z';
insert into visit values (3, '2026-03-01Z', 'good');
select kept();
call leave();
drop operator class mood_ops using btree;
drop type mood cascade;

--
-- Many sets, more contacts than a tick settles at a time, and sets that rest.
--
create table contact (id text primary key, country text);
create table visit (contact_id text references contact on delete cascade, at timestamptz);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit', occurred_at => 'at');
insert into contact select 'c' || i, case when i % 2 = 0 then 'SE' end from generate_series(1, 6000) i;
insert into visit select 'c' || i, '2026-03-01Z' from generate_series(1, 6000, 3) i;
select count(leadstream.create_score_set('s' || i)) as sets from generate_series(1, 6) i;
select count(leadstream.create_score_rule('s' || i, 'rule', case when i < 4 then 'country = ''SE''' else 'exists(visit within 10 days)' end::leadstream.rule, i)) as rules
from generate_series(1, 6) i;
create function sums() returns table (score_set text, contacts bigint, points numeric, is_current boolean) language sql volatile as $$
	select s.score_set, count(nullif(s.points, 0)), sum(s.points), bool_and(s.is_current) from leadstream.scores s group by 1 order by 1
$$;
begin;
select leadstream.tick() as leads;
select leadstream.tick() as leads;
commit;
select * from sums();
select count(*) from leadstream.verify_scores();
-- one that rests pays nothing and waits for nothing, one that is gone leaves nothing
select leadstream.disable_score_set('s4'), leadstream.drop_score_set('s5');
set leadstream.clock = '2026-03-12 12:00Z';
select leadstream.tick();
select leadstream.tick();
select * from sums();
select count(*) as due from leadstream.score where next_at <= leadstream.clock();
select count(*) filter (where score_set is null) as left_behind from leadstream.score k left join leadstream.score_set using (score_set_id);
insert into visit values ('c2', leadstream.clock());
select leadstream.enable_score_set('s4');
call leadstream.rescore('s4', 1000);
select * from sums();
select count(*) from leadstream.verify_scores();
-- the owner takes the index away by which time finds them
drop index leadstream.score_next_at_idx;
\set VERBOSITY default
select leadstream.tick();
\set VERBOSITY terse
insert into visit values ('c4', leadstream.clock());
create index score_next_at_idx on leadstream.score (next_at) where next_at is not null;
set leadstream.clock = '2026-03-22 13:00Z';
select leadstream.tick();
select * from sums();
-- and writes there what nobody has earned: wrong until the contact is judged anew, and no worse
update leadstream.score set paying = case contact_id when 'c2' then '{null}' when 'c4' then '{{1,2},{3,4}}' else '[5:6]={7,8}' end::int[]
where contact_id in ('c2', 'c4', 'c6');
insert into visit select c, leadstream.clock() from unnest('{c2,c4,c6}'::text[]) c;
select leadstream.alter_score_set('s6', 'anew');
call leadstream.rescore('s6');
select contact_id, points from leadstream.scores where contact_id in ('c2', 'c4', 'c6') and score_set = 's6' order by 1;
call leave();
drop schema scores_odd cascade;
drop extension citext;
