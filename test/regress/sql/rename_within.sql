-- Streams that only a segment, or a score, makes speak of a column are found by its
-- new name, whoever has got the old one.
\pset format unaligned
\pset tuples_only on
set client_min_messages = warning;
create schema rename_within;
set search_path = rename_within;
create table contact (id integer primary key, country text);
create table visit (id integer generated always as identity primary key, contact_id integer references contact,
	at timestamptz not null default now(), url text);
create index on visit (contact_id, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit');
select leadstream.create_team('Sales') is not null;
select leadstream.create_segment('swede', 'country = ''SE''') is not null,
	leadstream.create_segment('reader', 'exists(visit where url = ''/x'')') is not null,
	leadstream.create_segment('reading swede', 'segment(''swede'') and segment(''reader'')') is not null,
	leadstream.create_score_set('fit') is not null,
	leadstream.create_score_rule('fit', 'swede', 'country = ''SE''', 10) is not null;
select leadstream.create_stream(name, rule::leadstream.rule, '{Sales}') is not null
from (values
	('own', $$ country = 'SE' $$),
	('segment', $$ segment('swede') $$),
	('rows', $$ segment('reader') $$),
	('both', $$ segment('reading swede') $$),
	('score', $$ score('fit') > 5 $$)) as v(name, rule);
select leadstream.enable(stream) from leadstream.stream;

alter table contact rename country to land;
alter table contact add country text default 'FI';
alter table visit rename url to page;
alter table visit add url text default '/y';
insert into contact (id, land) values (1, 'SE'), (2, 'NO');
insert into visit (contact_id, page) values (1, '/x'), (2, '/x');
update contact set land = 'SE' where id = 2;
select contact_id, string_agg(stream, ' ' order by stream) from leadstream.matches group by 1 order by 1;

select leadstream.disable(stream) from leadstream.stream;
select leadstream.drop_stream(stream) from leadstream.stream;
select leadstream.drop_segment('reading swede'), leadstream.drop_segment('swede'), leadstream.drop_segment('reader'), leadstream.drop_score_set('fit');
select leadstream.tick();
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema rename_within cascade;
