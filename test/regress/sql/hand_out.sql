--
-- hand_out: new leads of a team go to its members in turn
--
\pset format unaligned
\pset footer off
\set SHOW_CONTEXT never
set client_min_messages = notice;
set timezone = 'UTC';
set datestyle = iso;
set leadstream.clock = '2026-03-01 12:00Z';
create schema shop;
truncate leadstream.team, leadstream.sales_user restart identity;
set search_path = shop;
create table contact (id integer primary key);
create table visit (contact_id integer references contact, at timestamptz default '2026-03-01', url text default '/');
create index on visit (contact_id, at);
insert into contact select generate_series(1, 12000);
select leadstream.attach_contacts('contact');
select leadstream.attach_activity('visit');
select leadstream.create_team(t) is not null as made from unnest('{North,South,Plain}'::text[]) t;
select leadstream.create_sales_user(u) is not null as made from unnest('{Ann,Bob,Cid,Dan}'::text[]) u;
select leadstream.add_member('North', u) from unnest('{Cid,Ann,Bob}'::text[]) u;
select leadstream.add_member('South', u) from unnest('{Dan,Ann}'::text[]) u;
select leadstream.alter_team(t, hands_out => true) from unnest('{North,South}'::text[]) t;
select leadstream.create_stream('Visitors', 'exists(visit)', '{North,Plain}') is not null as made;
select leadstream.create_stream('Buyers', 'exists(visit where url = ''/buy'')', '{South}') is not null as made;
select leadstream.enable(s) from unnest('{Visitors,Buyers}'::text[]) s;
create view pg_temp.given as
	select t.team, string_agg(coalesce(left(u.sales_user, 1), '-'), '' order by l.lead_id) as turns
	from leadstream.lead l join leadstream.team t using (team_id) left join leadstream.sales_user u on u.sales_user_id = l.assignee_id
	where not l.is_hidden
	group by 1 order by 1;
create function pg_temp.seen() returns void language sql as 'update leadstream.lead set is_hidden = true where not is_hidden';

-- by the order of the members' ids, over statements and transactions
insert into visit select generate_series(1, 4);
insert into visit values (5, default, '/buy');
insert into visit values (6, default, '/buy');
table pg_temp.given;
select contact_id, at, what, old, new, note, actor = session_user as by_me from leadstream.lead_event e
where what = 'assigned' and contact_id < 3 order by event_id;
-- by hand
select leadstream.create_lead(7, 'North') is not null as made;
select leadstream.create_lead(8, 'Plain') is not null as made;
select leadstream.create_lead(7, 'North') is not null as found;
table pg_temp.given;
select pg_temp.seen();

-- inside the transaction they are nobody's yet; a savepoint rolled back has had no turn
begin;
insert into visit select generate_series(11, 12);
savepoint s;
insert into visit select generate_series(13, 15);
rollback to s;
insert into visit values (16, default, '/buy');
table pg_temp.given;
commit;
table pg_temp.given;
begin;
insert into visit select generate_series(13, 14);
rollback;
insert into visit select generate_series(13, 14);
table pg_temp.given;
select pg_temp.seen();
-- one that is given to somebody before is not given again
begin;
select leadstream.create_lead(17, 'North') as lead \gset
select leadstream.assign(:lead, 'Cid');
insert into visit select generate_series(18, 19);
commit;
table pg_temp.given;
select pg_temp.seen();
-- in a transaction that writes nothing more than the leads, and in one that is prepared
begin isolation level repeatable read;
insert into visit select generate_series(20, 21);
commit;
begin isolation level serializable;
insert into visit select generate_series(22, 23);
commit;
do $$ begin
	insert into shop.visit values (24);
	commit;
	insert into shop.visit values (25);
	insert into shop.visit values (26);
	rollback;
	insert into shop.visit values (26);
end $$;
table pg_temp.given;
select pg_temp.seen();

--
-- Passed over: paused, not active, with enough open leads.
--
select leadstream.pause_member('North', 'Bob');
insert into visit select generate_series(31, 34);
table pg_temp.given;
select leadstream.resume_member('North', 'Bob');
insert into visit select generate_series(35, 38);
select leadstream.deactivate_sales_user('Ann');
insert into visit select generate_series(39, 42);
table pg_temp.given;
select pg_temp.seen();
select leadstream.move_contact(contact_id, 'Lost') from leadstream.leads where contact_id in (39, 40) and team = 'North' \g /dev/null
select leadstream.alter_member('North', 'Bob', 3 + (select count(*)::integer from leadstream.lead l
	where assignee_id = 2 and team_id = 1 and stage <> 'Lost'));
insert into visit select generate_series(43, 52);
table pg_temp.given;
select pg_temp.seen();
-- a lead closed makes room for one
select leadstream.move((select max(lead_id) from leadstream.lead where assignee_id = 2), 'Won');
insert into visit select generate_series(53, 55);
table pg_temp.given;
select pg_temp.seen();
-- nobody is left: they stay nobody's, and are not handed out later
select leadstream.pause_member('North', 'Cid');
select leadstream.alter_member('North', 'Bob', 0);
insert into visit select generate_series(56, 58);
select leadstream.resume_member('North', 'Cid');
insert into visit values (59);
table pg_temp.given;
select pg_temp.seen();
-- removed and dropped between his turns: the one behind him is the next
select leadstream.activate_sales_user('Ann');
select leadstream.alter_member('North', 'Bob', null);
insert into visit select generate_series(60, 62);
table pg_temp.given;
begin;
select leadstream.unassign(lead_id) from leadstream.lead where assignee_id = 3 and stage = 'MQL' \g /dev/null
select leadstream.drop_sales_user('Cid');
commit;
insert into visit select generate_series(63, 65);
table pg_temp.given;
select pg_temp.seen();
-- one who joins takes his place
select leadstream.add_member('North', 'Dan');
insert into visit select generate_series(66, 71);
table pg_temp.given;
select pg_temp.seen();
-- a lead taken back, or reopened, stays as it is
select leadstream.unassign(max(lead_id)) from leadstream.lead where team_id = 1;
select leadstream.alter_stream('Visitors', requalify_after => '0');
select leadstream.move_contact(70, 'Lost');
set leadstream.clock = '2026-03-02 12:00Z';
insert into visit values (70, '2026-03-02'), (71, '2026-03-02');
select contact_id, stage, assignee_id is null as is_nobodys from leadstream.lead where contact_id in (70, 71) and team_id = 1 order by 1;
select leadstream.alter_stream('Visitors', never_requalify => true);
-- a team that does not hand out any more
select leadstream.alter_team('North', hands_out => false);
insert into visit select generate_series(72, 73);
select pg_temp.seen() from pg_temp.given where turns like '%-';
select leadstream.alter_team('North', hands_out => true);

--
-- Many at once, over chunks; by history; and who may not write here.
--
insert into visit select generate_series(101, 12000);
select u.sales_user, count(*) from leadstream.lead l join leadstream.sales_user u on u.sales_user_id = l.assignee_id
where l.contact_id > 100 group by 1 order by 1;
select count(*), count(distinct lead_id) from leadstream.lead_event where what = 'assigned' and contact_id > 100;
select bool_and(e.new = u.sales_user) from leadstream.lead_event e join leadstream.lead l using (lead_id)
join leadstream.sales_user u on u.sales_user_id = l.assignee_id where e.what = 'assigned' and e.contact_id > 100;
select leadstream.disable('Visitors');
select leadstream.clear('Visitors') > 0 as cleared;
select leadstream.enable('Visitors');
select leadstream.fetch_history('Visitors') as made \gset
select count(*) = :made / 2 as are_all, max(n) - min(n) as apart
from (select assignee_id, count(*) as n from leadstream.lead where team_id = 1 and not is_hidden group by 1) q, lateral generate_series(1, n);
create role regress_ls_app;
grant usage on schema shop to regress_ls_app;
grant insert on visit to regress_ls_app;
grant select, insert on contact to regress_ls_app;
set role regress_ls_app;
insert into contact values (12001);
insert into visit values (12001);
reset role;
select l.assignee_id is not null as is_given, e.actor from leadstream.lead l join leadstream.lead_event e using (lead_id)
where l.contact_id = 12001 and l.team_id = 1 and e.what = 'assigned';

-- triggers of the lead tables' owner that are deferred come to their turn
create table trace (lead_id bigint, assignee_id integer);
create function note() returns trigger language plpgsql as
	'begin insert into shop.trace values (new.lead_id, new.assignee_id); return null; end';
create constraint trigger note after update on leadstream.lead deferrable initially deferred
	for each row when (new.assignee_id is not null) execute function note();
insert into contact values (12002);
insert into visit values (12002);
select l.assignee_id = t.assignee_id as is_it from trace t join leadstream.lead l using (lead_id) where l.contact_id = 12002;
drop trigger note on leadstream.lead;

-- a transaction that writes nothing more itself
begin;
insert into contact values (12003);
insert into visit values (12003);
set transaction read only;
commit;
select count(*) as leads, count(assignee_id) as given from leadstream.lead where contact_id = 12003 and team_id = 1;

-- the leads of a transaction are read once, not once for each of its teams
select count(leadstream.create_team('Team ' || i)) as teams from generate_series(1, 40) i;
select count(leadstream.add_member('Team ' || i, 'Ann')) as members from generate_series(1, 40) i;
select leadstream.alter_team('Team ' || i, hands_out => true, notifies => true) from generate_series(1, 40) i \g /dev/null
select leadstream.create_stream('All', 'exists(visit where url = ''/all'')', array(select 'Team ' || i from generate_series(1, 40) i)) is not null as made;
select leadstream.enable('All');
create view pg_temp.reads as
	select idx_tup_read as n from pg_stat_user_indexes where indexrelid = 'leadstream.lead_made_by_idx'::regclass;
select pg_stat_force_next_flush();
select n as before from pg_temp.reads \gset
insert into contact values (12004);
insert into visit values (12004, default, '/all');
select pg_stat_force_next_flush();
select n - :before < 200 as are_few from pg_temp.reads;
select count(*) as leads, count(assignee_id) as given from leadstream.lead join leadstream.team using (team_id)
where contact_id = 12004 and team like 'Team %';
select leadstream.disable('All');
-- a team of many: whoever is neither paused nor gone has his turns, and one that is full no more than he may
select leadstream.create_team('Many') is not null as made;
select count(leadstream.create_sales_user('M' || i)) from generate_series(1, 23) i;
select count(leadstream.add_member('Many', 'M' || i, case i when 5 then 1 end)) from generate_series(1, 23) i;
select leadstream.pause_member('Many', 'M2'), leadstream.deactivate_sales_user('M3'), leadstream.alter_team('Many', hands_out => true);
select leadstream.create_stream('Many', 'exists(visit where url = ''/many'')', '{Many}') is not null as made;
select leadstream.enable('Many');
insert into visit (contact_id, url) select i, '/many' from generate_series(11001, 11061) i;
select n as leads, string_agg(sales_user, ' ' order by sales_user_id) as members
from (select u.sales_user, u.sales_user_id, count(l.lead_id) as n
	  from leadstream.sales_user u join leadstream.team_member m using (sales_user_id) join leadstream.team t on t.team_id = m.team_id and t.team = 'Many'
	  left join leadstream.lead l on l.assignee_id = u.sales_user_id and l.team_id = t.team_id
	  group by 1, 2) q
group by 1 order by 1;
-- what the owner's triggers do when one team hands out counts for the next: a lead that
-- they give to somebody stays his, one that they delete is nobody's turn
select leadstream.create_team(t) is not null as made, leadstream.alter_team(t, hands_out => true) from unnest('{One side,Other side}'::text[]) t;
select leadstream.add_member('One side', 'M1'), leadstream.add_member('Other side', 'M4'), leadstream.add_member('Other side', 'M6');
create function one_for_all() returns trigger language plpgsql as $$
begin
	if new.contact_id = 12006 then
		delete from leadstream.lead l where l.contact_id = new.contact_id and l.assignee_id is null;
	elsif new.contact_id = 12007 then
		update leadstream.lead l set assignee_id = new.assignee_id where l.contact_id = new.contact_id and l.assignee_id is null;
	end if;
	return null;
end
$$;
create trigger one_for_all after update of assignee_id on leadstream.lead for each row execute function one_for_all();
select leadstream.create_stream('Both', 'exists(visit where url = ''/both'')', '{One side,Other side}') is not null as made;
select leadstream.enable('Both');
insert into contact select generate_series(12005, 12008);
insert into visit (contact_id, url) select i, '/both' from generate_series(12005, 12008) i;
drop trigger one_for_all on leadstream.lead;
select contact_id, team, assigned_to, (select count(*) from leadstream.lead_event e where e.lead_id = l.lead_id and what = 'assigned') as events
from leadstream.leads l where contact_id between 12005 and 12008 order by 1, 2;
select leadstream.disable('Both');
set client_min_messages = warning;
select leadstream.disable(s) from unnest('{Visitors,Buyers,Many}'::text[]) s;
select leadstream.detach('visit');
select leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.stream, leadstream.stream_team, leadstream.stream_version, leadstream.team, leadstream.stage,
	leadstream.sales_user, leadstream.team_member, leadstream.hand_out restart identity;
drop schema shop cascade;
drop role regress_ls_app;
reset search_path;
reset leadstream.clock;
reset timezone;
reset datestyle;
reset client_min_messages;
