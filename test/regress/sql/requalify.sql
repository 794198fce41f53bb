--
-- requalify: closed leads that match again
--
\pset format unaligned
\pset footer off
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';

create schema re;
create table re.contact (id integer primary key, country text);
create table re.visit (id bigint generated always as identity primary key, contact_id integer references re.contact,
	at timestamptz, url text);
create table re.mail (id bigint generated always as identity primary key, contact_id integer references re.contact,
	at timestamptz, action text);
create index on re.visit (contact_id, at);
create index on re.mail (contact_id, at);
insert into re.contact select i, (array['SE', 'NO'])[1 + i % 2] from generate_series(1, 300) i;
set leadstream.clock = '2026-01-01 00:00+00';
select leadstream.attach_contacts('re.contact');
select leadstream.attach_activity('re.visit', occurred_at => 'at');
select leadstream.attach_activity('re.mail', kind => 'mail_sent', occurred_at => 'at', only_rule => 'action = ''sent''');
select leadstream.attach_activity('re.mail', kind => 'mail_open', occurred_at => 'at', only_rule => 'action = ''open''');
select leadstream.create_team('sales') is not null and leadstream.create_team('partners') is not null as made;

-- To go on to an instant, write a visit there, close what is open.
create procedure re.go("to" timestamptz) language plpgsql as $$
begin perform set_config('leadstream.clock', "to"::text, false); end $$;
create procedure re.visit(who integer, "to" timestamptz, url text default '/a') language plpgsql as $$
begin
	call re.go("to");
	insert into re.visit (contact_id, at, url) values (who, "to", visit.url);
end $$;
create procedure re.close(who integer, stage text default 'Won') language plpgsql as $$
begin
	perform leadstream.move(l.lead_id, close.stage) from leadstream.leads l where l.contact_id = who and not l.is_closed;
end $$;
create view re.now as
	select l.contact_id, l.team, l.stage, l.stage_changed_at, m.stream, m.matched_at, m.created_at, m.origin, m.rule_version,
		m.evidence
	from leadstream.leads l left join leadstream.matches m using (lead_id);
create view re.past as
	select event_id, contact_id, at, what, old, new, note from leadstream.lead_event;

--
-- By rows: not while the lead is open, not before the time, not before it was closed.
--
select leadstream.create_stream('Again', 'exists(visit where url = ''/a'')', '{sales}', requalify_after => '90 days') is not null as made;
select leadstream.create_stream('Once', 'exists(visit where url = ''/a'')', '{partners}') is not null as made;
select leadstream.enable('Again'), leadstream.enable('Once');
select stream, requalify_after from leadstream.streams order by 1;
call re.visit(1, '2026-01-02 00:00+00');
call re.visit(1, '2026-01-03 00:00+00');
select * from re.now order by team;
call re.visit(1, '2026-05-01 00:00+00');
select stage, matched_at from re.now where team = 'sales';
call re.close(1);
-- it has matched again before it was closed, and that is past
select stage, matched_at from re.now order by team;
call re.visit(1, '2026-05-01 00:00:00.000001+00');
select * from re.now order by team;
call re.close(1, 'Lost');
-- a microsecond early, and in time
call re.visit(1, '2026-07-30 00:00+00');
select stage, matched_at from re.now where team = 'sales';
call re.visit(1, '2026-07-30 00:00:00.000001+00');
select stage, matched_at from re.now where team = 'sales';
select at, what, old, new, note from re.past where contact_id = 1 order by event_id;
select team, count(*) from leadstream.lead_event e join leadstream.team t using (team_id) where what = 'reopened' group by 1;

-- rolled back with its cause; a new version of the rule is what it names; history leaves all as it is
call re.close(1);
begin;
call re.visit(1, '2026-12-01 00:00+00');
select stage from re.now where team = 'sales';
rollback;
select stage, matched_at from re.now where team = 'sales';
call re.go('2026-12-01 00:00+00');
select leadstream.fetch_history('Again') as made;
select stage, matched_at from re.now where team = 'sales';
select leadstream.alter_stream('Again', rule => 'exists(visit where url in (''/a'', ''/b''))');
begin transaction isolation level repeatable read;
select count(*) from leadstream.leads;
call re.visit(1, '2026-12-02 00:00+00', '/b');
commit;
select stage, matched_at, origin, rule_version, evidence from re.now where team = 'sales';
-- deleted by hand, it comes back as a new lead
delete from leadstream.lead where contact_id = 1;
call re.visit(1, '2026-12-03 00:00+00', '/b');
select stage, matched_at from re.now where contact_id = 1 order by team;
-- a second stream's first match is no reason
select leadstream.create_stream('Other', 'exists(visit where url = ''/c'')', '{sales}', requalify_after => '0') is not null as made, leadstream.enable('Other');
call re.close(1);
call re.visit(1, '2026-12-04 00:00+00', '/c');
select stage, stream, matched_at from re.now where contact_id = 1 order by team, stream;
-- its next one is, and the two stand in one event where both are
call re.visit(1, '2026-12-05 00:00+00', '/c');
select stage, stream, matched_at from re.now where contact_id = 1 order by team, stream;
call re.close(1);
call re.go('2027-12-06 00:00+00');
insert into re.visit (contact_id, at, url) values (1, '2027-12-06 00:00+00', '/c'), (1, '2027-12-06 00:00+00', '/a'), (1, '2027-12-06 00:00+00', '/b');
select stage, stream, matched_at from re.now where contact_id = 1 order by team, stream;
select at, what, old, new, note from re.past where contact_id = 1 and what = 'reopened' order by event_id desc limit 2;
select leadstream.disable('Again'), leadstream.disable('Once'), leadstream.disable('Other');

-- Months are those of the calendar.
select leadstream.create_stream('Month', 'exists(visit where url = ''/m'')', '{sales}', requalify_after => '1 month') is not null as made, leadstream.enable('Month');
call re.visit(2, '2027-01-31 12:00+00', '/m');
call re.close(2);
call re.visit(2, '2027-02-28 11:59:59.999999+00', '/m');
select stage, matched_at from re.now where contact_id = 2;
call re.visit(2, '2027-02-28 12:00+00', '/m');
select stage, matched_at from re.now where contact_id = 2;
select leadstream.disable('Month');

-- Teams by themselves: one has closed its lead, the other has not.
select leadstream.create_stream('Both', 'exists(visit where url = ''/both'')', '{sales,partners}', requalify_after => '1 day') is not null as made, leadstream.enable('Both');
call re.visit(3, '2027-03-01 00:00+00', '/both');
select leadstream.move(lead_id, 'Won') from leadstream.leads where contact_id = 3 and team = 'sales';
call re.visit(3, '2027-03-03 00:00+00', '/both');
select team, stage, matched_at from re.now where contact_id = 3 order by team;
-- and one that was not there at first
select leadstream.alter_stream('Both', teams => '{sales}');
call re.visit(4, '2027-03-01 00:00+00', '/both');
call re.close(4);
select leadstream.alter_stream('Both', teams => '{sales,partners}');
call re.visit(4, '2027-03-01 12:00+00', '/both');
select team, stage, matched_at from re.now where contact_id = 4 order by team;
select leadstream.disable('Both');

-- Many at once, several rows each: one event a lead, whoever is open or young is left alone.
select leadstream.create_stream('Bulk', 'exists(visit where url = ''/bulk'')', '{sales}', requalify_after => '10 days') is not null as made, leadstream.enable('Bulk');
call re.go('2027-04-01 00:00+00');
insert into re.visit (contact_id, at, url) select i, '2027-04-01 00:00+00', '/bulk' from generate_series(10, 209) i;
call re.go('2027-04-08 00:00+00');
insert into re.visit (contact_id, at, url) select i, '2027-04-08 00:00+00', '/bulk' from generate_series(210, 259) i;
select count(leadstream.move(lead_id, 'Lost')) from leadstream.leads where contact_id between 10 and 259 and contact_id % 3 > 0;
call re.go('2027-04-12 00:00+00');
insert into re.visit (contact_id, at, url) select 10 + i % 260, '2027-04-12 00:00+00', '/bulk' from generate_series(0, 599) i;
select stage, matched_at, contact_id % 3 > 0 as was_closed, contact_id between 210 and 259 as young, count(*) from re.now
where stream = 'Bulk' group by 1, 2, 3, 4 order by 1, 2, 3, 4;
select what, old, new, count(*), count(distinct contact_id) from re.past where at = '2027-04-12 00:00+00' group by 1, 2, 3 order by 1;
select leadstream.disable('Bulk');

--
-- By the clock: what sales people have closed in the meantime comes back at
-- the very instant, and the queue looks after everybody.
--
call re.go('2028-01-01 00:00+00');
select leadstream.create_stream('Quiet', 'exists(mail_sent) and not exists(mail_open within 30 days)', '{sales}', requalify_after => '40 days') is not null as made,
	leadstream.enable('Quiet');
select leadstream.tick();
insert into re.mail (contact_id, at, action) select i, '2028-01-01 00:00+00', a from generate_series(281, 284) i, unnest('{sent,open}'::text[]) a;
call re.go('2028-02-05 00:00+00');
select leadstream.tick();
select contact_id, stage, matched_at, origin from re.now where stream = 'Quiet' order by 1;
-- 281: closed, opens, and is quiet for long; 282: stays open; 283: as 281, but closed only later; 284: too early
call re.close(281);
call re.close(284);
call re.go('2028-02-10 00:00+00');
insert into re.mail (contact_id, at, action) values (284, '2028-02-06 00:00+00', 'open');
call re.go('2028-03-01 00:00+00');
insert into re.mail (contact_id, at, action) select i, '2028-03-01 00:00+00', 'open' from generate_series(281, 283) i;
select contact_id, at from leadstream.due join leadstream.stream using (stream_id) where stream = 'Quiet' order by 1;
call re.go('2028-04-02 00:00+00');
call re.close(283);
select leadstream.tick();
select contact_id, stage, matched_at, origin, created_at from re.now where stream = 'Quiet' order by 1;
select contact_id, at, what, old, new, note from re.past where what = 'reopened' and contact_id > 280 order by event_id;
-- what nobody has ticked goes before a row, here too
call re.close(281);
insert into re.mail (contact_id, at, action) values (281, '2028-04-02 00:00+00', 'open');
call re.go('2028-04-20 00:00+00');
insert into re.mail (contact_id, at, action) values (281, '2028-04-20 00:00+00', 'open');
call re.go('2028-06-20 00:00+00');
insert into re.mail (contact_id, at, action) values (281, '2028-06-20 00:00+00', 'open');
select contact_id, stage, matched_at, origin from re.now where contact_id = 281;
-- and again, by the queue
call re.close(281);
call re.go('2028-08-01 00:00+00');
select leadstream.tick();
select contact_id, stage, matched_at, origin from re.now where contact_id = 281;
select leadstream.disable('Quiet');

-- Given to a stream that has matched already, and taken back.
select leadstream.create_stream('Later', 'exists(mail_sent) and not exists(mail_open within 7 days)', '{partners}') is not null as made, leadstream.enable('Later');
select leadstream.tick();
call re.go('2028-09-01 00:00+00');
insert into re.mail (contact_id, at, action) select i, '2028-09-01 00:00+00', a from generate_series(285, 286) i, unnest('{sent,open}'::text[]) a;
call re.go('2028-09-10 00:00+00');
select leadstream.tick();
call re.close(285);
call re.close(286);
insert into re.mail (contact_id, at, action) select i, '2028-09-10 00:00+00', 'open' from generate_series(285, 286) i;
select count(*) from leadstream.due join leadstream.stream using (stream_id) where stream = 'Later';
select leadstream.alter_stream('Later', requalify_after => '1 day');
select leadstream.tick();
select contact_id, at from leadstream.due join leadstream.stream using (stream_id) where stream = 'Later' and contact_id >= 285 order by 1;
call re.go('2028-09-20 00:00+00');
select leadstream.tick();
select contact_id, stage, matched_at, origin from re.now where stream = 'Later' and contact_id >= 285 order by 1;
call re.close(285);
insert into re.mail (contact_id, at, action) select 285, '2028-09-20 00:00+00', 'open';
select leadstream.alter_stream('Later', never_requalify => true);
select requalify_after is null as never from leadstream.streams where stream = 'Later';
call re.go('2028-12-01 00:00+00');
select leadstream.tick();
select contact_id, stage, matched_at from re.now where contact_id = 285;
select count(*) from leadstream.due join leadstream.stream using (stream_id) where stream = 'Later' and contact_id = 285;
-- what is not said stays as it is
select leadstream.alter_stream('Later', requalify_after => '2 days');
select leadstream.alter_stream('Later', description => 'x');
select requalify_after from leadstream.streams where stream = 'Later';
select leadstream.disable('Later');
\set VERBOSITY sqlstate
select leadstream.alter_stream('Later', requalify_after => '-1 day');
select leadstream.create_stream('Negative', 'true', requalify_after => '-1 day');
select leadstream.alter_stream('Later', requalify_after => '1 day', never_requalify => true);
\set VERBOSITY default

-- Win-back: a big sale lost half a year to a year ago, and prices looked at
-- again; again at most every 90 days.
create table re.sale (id bigint generated always as identity primary key, contact_id integer references re.contact,
	at timestamptz, what text, value numeric);
create index on re.sale (contact_id, at);
select leadstream.attach_activity('re.sale', kind => 'sale_lost', occurred_at => 'at', only_rule => 'what = ''lost''');
select leadstream.attach_activity('re.sale', kind => 'sale_created', occurred_at => 'at', only_rule => 'what = ''created''');
select leadstream.create_stream('Win-back', $$
	exists(sale_lost where value > 100000 within 365 days older than 180 days)
	and count(visit where url like '/pricing%' within 14 days) >= 2
	and not last(sale_created.at) > last(sale_lost.at) $$, '{sales}', requalify_after => '90 days') is not null as made, leadstream.enable('Win-back');
call re.go('2029-01-01 00:00+00');
insert into re.sale (contact_id, at, what, value) values (290, '2028-12-31 00:00+00', 'created', 200000), (290, '2029-01-01 00:00+00', 'lost', 200000);
call re.visit(290, '2029-05-01 00:00+00', '/pricing');
call re.visit(290, '2029-05-02 00:00+00', '/pricing');
select count(*) as early from re.now where stream = 'Win-back';
call re.visit(290, '2029-07-01 00:00+00', '/pricing');
call re.visit(290, '2029-07-02 00:00+00', '/pricing/team');
select contact_id, stage, matched_at from re.now where stream = 'Win-back';
call re.close(290, 'Lost');
call re.visit(290, '2029-07-05 00:00+00', '/pricing');
select contact_id, stage, matched_at from re.now where stream = 'Win-back';
call re.visit(290, '2029-10-01 00:00+00', '/pricing');
call re.visit(290, '2029-10-02 00:00+00', '/pricing');
select contact_id, stage, matched_at from re.now where stream = 'Win-back';
call re.close(290, 'Lost');
insert into re.sale (contact_id, at, what, value) values (290, '2029-10-03 00:00+00', 'created', 5);
call re.visit(290, '2029-12-29 00:00+00', '/pricing');
call re.visit(290, '2029-12-30 00:00+00', '/pricing');
select contact_id, stage, matched_at from re.now where stream = 'Win-back';
select leadstream.disable('Win-back');

--
-- Every new match: where leads are closed as soon as they are there, and may
-- come back at once, the events of a lead are all the instants at which a
-- stream that was enabled just behind the one before would have matched.
--
create table re.rule (n integer generated always as identity primary key, rule leadstream.rule);
insert into re.rule (rule) values ('exists(visit)'), ('count(visit within 5 days) >= 2'), ('not exists(visit within 4 days)'),
	('exists(visit where url = ''/a'' within 2 days) or not exists(mail_open within 6 days)'),
	('count(visit within 6 days) = 2'), ('exists(visit where url = ''/b'' within 1 month older than 3 days)'),
	('exists(mail_sent) and not exists(mail_open within 3 days)'), ('country = ''SE'' and count(visit within 3 days) <= 1'),
	('exists(visit where at < now - 5 days)'), ('last(visit.url) = ''/b''');
create table re.coming (n integer primary key, contact_id integer, at timestamptz, what text);
create function re.pick(n bigint, k int, below int) returns int language sql immutable
begin atomic
	select ((hashint8extended(n, k) & 1073741823) % below)::int;
end;
insert into re.coming
select n, 1001 + re.pick(n, 1, 8), timestamptz '2030-02-01 00:00+00' + n * interval '5 hours 13 minutes 7 seconds',
	(array['/a', '/b', 'sent', 'open'])[1 + re.pick(n, 2, 4)]
from generate_series(1, 150) n;
call re.go('2030-01-01 00:00+00');
insert into re.contact select i, (array['SE', 'NO'])[1 + i % 2] from generate_series(1001, 1008) i;
select count(leadstream.create_team('r' || n)) from re.rule;
select count(leadstream.create_stream('r' || n, rule, array['r' || n], requalify_after => '0')) from re.rule;
select count(leadstream.enable('r' || n)) from re.rule;
create procedure re.settle(at timestamptz) language plpgsql as $$
begin
	perform leadstream.move(lead_id, 'Won') from leadstream.leads where not is_closed and team like 'r%';
end $$;
-- tick at each instant that is due
create procedure re.pass(upto timestamptz) language plpgsql as $$
declare
	next timestamptz;
begin
	perform leadstream.tick();
	call re.settle(leadstream.clock());
	for i in 1 .. 1000 loop
		select min(d.at) into next from leadstream.due d where d.at < upto;
		exit when next is null;
		call re.go(greatest(next, leadstream.clock()));
		perform leadstream.tick();
		call re.settle(leadstream.clock());
	end loop;
end $$;
create procedure re.arrive() language plpgsql as $$
declare
	c record;
begin
	for c in select * from re.coming order by at loop
		call re.pass(c.at);
		call re.go(c.at);
		if c.what like '/%' then
			insert into re.visit (contact_id, at, url) values (c.contact_id, c.at, c.what);
		else
			insert into re.mail (contact_id, at, action) values (c.contact_id, c.at, c.what);
		end if;
		call re.settle(c.at);
	end loop;
	call re.pass('2030-04-01 00:00+00');
end $$;
call re.arrive();
call re.go('2030-04-01 00:00+00');
create temporary table expected as
	with recursive chain(n, contact_id, matched_at) as (
		select r.n, s.contact_id::int, s.matched_at from re.rule r, leadstream.simulate(r.rule, '2030-01-01 00:00:00.000001+00', '2030-04-01 00:00+00') s
		where s.contact_id::int > 1000
		union all
		select c.n, c.contact_id, s.matched_at
		from (select distinct n, matched_at + interval '1 microsecond' as since, contact_id from chain) c,
			lateral (select s.matched_at from re.rule r, leadstream.simulate(r.rule, c.since, '2030-04-01 00:00+00') s
					 where r.n = c.n and s.contact_id::int = c.contact_id) s)
	select * from chain;
create temporary table happened as
	select substr(t.team, 2)::int as n, e.contact_id, e.at as matched_at, e.what
	from leadstream.lead_event e join leadstream.team t using (team_id)
	where t.team like 'r%' and e.what in ('created', 'reopened') and e.contact_id > 1000;
select n, contact_id, matched_at, e.x is not null as expected, h.x is not null as happened
from (select n, contact_id, matched_at, 1 as x from expected) e(n, contact_id, matched_at, x)
	full join (select n, contact_id, matched_at, 1 as x from happened) h(n, contact_id, matched_at, x) using (n, contact_id, matched_at)
where e.x is null or h.x is null order by 1, 2, 3;
select n, count(*) filter (where what = 'created') as created, count(*) filter (where what = 'reopened') > 8 as reopened from happened group by 1 order by 1;

reset leadstream.clock;
select count(leadstream.disable(stream)) from leadstream.streams where is_enabled;
select leadstream.detach(('re.' || activity)::regclass) is not null as detached from unnest('{visit,mail,sale}'::text[]) activity;
select leadstream.detach('re.contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage;
drop schema re cascade;
