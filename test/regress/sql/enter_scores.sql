--
-- enter_scores: score rules are entered anew where what they stand for changes
--
-- Who writes one rule of a set has no business with the others, of which there may
-- be hundreds; who changes what all stand for has.
--
\pset format unaligned
\pset tuples_only on
set client_min_messages = warning;
create schema enter_scores;
set search_path = enter_scores;
create table contact (id integer primary key, country text);
create table visit (contact_id integer references contact, at timestamptz, url text);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit');
select leadstream.create_segment('reader', 'exists(visit where url = ''/s'')') is not null,
	leadstream.create_score_set('fit') is not null;
select count(leadstream.create_score_rule('fit', 'rule ' || i, format('exists(visit where url = ''/%s'')', i)::leadstream.rule, 1))
from generate_series(1, 9) i;
select leadstream.create_score_rule('fit', 'segment', 'segment(''reader'')', 100) is not null;

-- how many rules are entered by a statement, and what contacts have when each url came
create function entered(query text) returns bigint language plpgsql as $$
begin
	execute query;
	return (select count(distinct k.stream_id) from leadstream.access_key k where k.xmin::text = pg_current_xact_id()::text);
end $$;
create function points() returns text language plpgsql as $$
declare
	result text;
begin
	insert into contact select i from generate_series(1, 12) i;
	insert into visit select i, now(), '/' || i from generate_series(1, 9) i;
	insert into visit values (10, now(), '/s'), (11, now(), '/new');
	select string_agg(s.contact_id || ' ' || s.points, ', ' order by s.contact_id) into result
	from leadstream.scores s where s.points <> 0;
	delete from visit;
	delete from contact;
	return result;
end $$;
select points();

\echo -- one
select entered($$ select leadstream.create_score_rule('fit', 'new', 'exists(visit where url = ''/new'')', 1000) $$);
select points();
select entered($$ select leadstream.alter_score_rule('fit', 'rule 1', 'exists(visit where url = ''/2'')') $$);
select points();
\echo -- none
select entered($$ select leadstream.drop_score_rule('fit', 'rule 3') $$);
select entered($$ select leadstream.alter_score_set('fit', 'how well they fit') $$);
select entered($$ select leadstream.disable_score_set('fit') $$);
select points();
\echo -- all
select entered($$ select leadstream.enable_score_set('fit') $$);
select points();
select entered($$ select leadstream.alter_segment('reader', 'exists(visit where url = ''/5'')') $$);
select points();
select leadstream.create_score_rule('fit', 'none', 'not exists(visit)', 7) is not null;
select entered($$ select leadstream.detach('visit'), leadstream.attach_activity('visit') $$);
select entered($$ alter table visit rename url to path $$);
alter table visit rename path to url;
select points();

select leadstream.drop_score_set('fit'), leadstream.drop_segment('reader');
delete from leadstream.score_walk;
select leadstream.detach(t) from unnest('{visit,contact}'::regclass[]) t;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stage;
drop schema enter_scores cascade;
