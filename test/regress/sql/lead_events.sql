--
-- lead_events: which streams did what to leads, as lead_event tells it
--
-- The streams: "one" and "two" match by a visit to their page, "both" is both.
--
\pset format unaligned
\pset footer off
set client_min_messages = warning;
create schema ev;
set search_path = ev;
create table contact (id int primary key);
create table visit (contact_id int references contact, at timestamptz, url text);
create index on visit (contact_id, at);
insert into contact select generate_series(1, 9);
select from leadstream.attach_contacts('contact');
select from leadstream.attach_activity('visit');
select from leadstream.create_team('North') a, leadstream.create_team('South') b;
select from leadstream.create_stream('one', $$exists(visit where url in ('1', 'both'))$$, '{North,South}', requalify_after => '0') a,
	leadstream.create_stream('two', $$exists(visit where url in ('2', 'both'))$$, '{North}') b;
select from leadstream.enable('one') a, leadstream.enable('two') b;

create view past as
	select e.contact_id, t.team, e.what, s.stream, e.old, e.new, e.note
	from leadstream.lead_event e join leadstream.team t using (team_id)
	left join leadstream.stream s using (stream_id)
	order by e.event_id;
create function events_of(contact int) returns setof past language sql as
	$$ select * from past where contact_id = contact $$;
-- who has a match has one event that says so, and not one more
create view unlike as
	select coalesce(m.lead_id, e.lead_id) as lead_id, coalesce(m.stream_id, e.stream_id) as stream_id
	from leadstream.lead_match m full join (
		select lead_id, stream_id from leadstream.lead_event where what in ('created', 'matched') and stream_id is not null
		except all select lead_id, stream_id from leadstream.lead_event where what in ('unmatched', 'cleared')) e
	using (lead_id, stream_id)
	where m.lead_id is null or e.lead_id is null;

-- a first match makes the lead, a further one comes to it, a match that is there adds nothing
insert into visit values (1, now(), '1');
insert into visit values (1, now(), '2');
insert into visit values (1, now(), 'both');
select * from events_of(1);
-- both in one row; and of many contacts at once, some with leads
insert into visit values (2, now(), 'both');
select * from events_of(2);
insert into visit select i, now(), 'both' from generate_series(1, 4) as i;
select * from events_of(3);
select * from unlike;
-- by hand, then by a stream
select from leadstream.create_lead(5, 'North');
insert into visit values (5, now(), '2');
select * from events_of(5);

-- a stream taken back leaves what something else holds
select leadstream.disable('two');
select leadstream.clear('two');
select * from events_of(5) where what <> 'created';
select * from events_of(1) where what like '%cleared' or what = 'unmatched';
select * from unlike;
-- by history: those that are new, and the leads that are there
select leadstream.enable('two');
select leadstream.fetch_history('two');
select leadstream.fetch_history('two');
select contact_id, what, note, count(*) from past where note like '%history%' group by 1, 2, 3 order by 1, 2;
select leadstream.disable('one');
select leadstream.clear('one');
select what, team, count(*) from past where what in ('cleared', 'unmatched') and stream = 'one' group by 1, 2 order by 1, 2;
select * from unlike;

-- a lead reopened names the stream; one that first matches with it comes to it as ever
select leadstream.enable('one');
insert into visit values (7, now(), '1');
select leadstream.move(l.lead_id, 'Lost', 'no money') from leadstream.leads l where contact_id = 7 and team = 'North';
insert into visit values (7, now(), 'both');
select * from events_of(7) where team = 'North';
select * from unlike;

-- the renamed stream is the same; the events of one that is dropped keep its number
select leadstream.alter_stream('two', new_name => 'deux');
select stream, count(*) from past where what = 'matched' group by 1 order by 1;
select leadstream.disable('deux');
select leadstream.drop_stream('deux');
select count(stream_id) > 0 as is_kept from leadstream.lead_event where what = 'matched';

select from leadstream.disable('one');
select from leadstream.detach('visit') a;
select from leadstream.detach('contact') a;
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema ev cascade;
