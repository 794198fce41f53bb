--
-- feed: leads for programs that follow them
--
\pset format unaligned
\pset footer off
\pset null null
\set SHOW_CONTEXT never
set client_min_messages = warning;
set timezone = 'UTC';
create schema shop;
set search_path = shop;
create table contact (id bigint primary key, account_id text not null default '7');
create table visit (id bigint generated always as identity primary key, contact_id bigint references contact,
	at timestamptz not null default now(), what text);
create index on visit (contact_id, at);
insert into contact select i from generate_series(1, 50) i;

-- Leads come when all is over that began before them, that of the server, too.
create procedure settle() language plpgsql as $$
begin
	while exists (select from pg_snapshot_xip(pg_current_snapshot())) loop
		perform pg_sleep(0.01);
	end loop;
end
$$;

-- before anything is attached
select * from leadstream.leads_since();
do 'begin perform leadstream.attach_contacts(''contact''); perform leadstream.attach_activity(''visit''); end';
select * from leadstream.leads_since();
do $$
begin
	perform leadstream.create_team(t) from unnest('{North,South}'::text[]) t;
	perform leadstream.create_stream('any', 'exists(visit)', '{North}');
	perform leadstream.create_stream('buy', 'exists(visit where what = ''buy'')', '{North,South}', requalify_after => '0');
	perform leadstream.enable('any');
	perform leadstream.enable('buy');
	perform leadstream.create_sales_user('Ann');
	perform leadstream.add_member('North', 'Ann');
end
$$;

-- what a line has; it shows the lead as it is now
insert into visit (contact_id) values (1);
insert into visit (contact_id, what) values (2, 'buy');
select leadstream.create_lead(3, 'South');
select leadstream.assign(1, 'Ann');
select leadstream.move(1, 'SQL');
call settle();
select lead_id, contact_id, team, stage, assigned_to, streams, created_at = (select created_at from leadstream.lead l where l.lead_id = f.lead_id) as created, account
from leadstream.leads_since() f;
select bool_and(cursor ~ '^lf1(\.[0-9A-F]+){7}$') as opaque, count(distinct cursor) as cursors from leadstream.leads_since();

-- page by page
insert into visit (contact_id, what) select i, case when i % 3 = 0 then 'buy' end from generate_series(10, 20) i;
do $$ begin
	insert into visit (contact_id) values (21);
	begin
		insert into visit (contact_id) values (22);
		raise exception 'no';
	exception when others then null;
	end;
	begin
		insert into visit (contact_id) values (23);
	exception when others then null;
	end;
end $$;
call settle();
create function pages(size integer) returns bigint[] language plpgsql as $$
declare
	here	text;
	page	bigint[];
	result	bigint[] := '{}';
begin
	loop
		select array_agg(f.lead_id order by f.n), (array_agg(f.cursor order by f.n desc))[1] into page, here
		from leadstream.leads_since(here, size) with ordinality
			as f (cursor, lead_id, contact_id, team, stage, assigned_to, streams, created_at, account, n);
		exit when page is null;
		result := result || page;
	end loop;
	return result;
end
$$;
select size, pages(size) = array(select lead_id from leadstream.lead order by made_by, lead_id) as all_once
from unnest('{1,2,7,1000}'::integer[]) as size;
select max(contact_id::integer), count(*) filter (where contact_id = '22') as rolled_back from leadstream.leads_since();

-- what goes, comes again, or is not committed
select cursor from leadstream.leads_since(max_leads => 1) \gset
begin;
insert into visit (contact_id) values (24);
select count(*) as own from leadstream.leads_since() where contact_id = '24';
select count(*) as with_a_cursor from leadstream.leads_since(:'cursor') where contact_id = '24';
rollback;
select leadstream.delete_lead(lead_id) from leadstream.leads where contact_id = 10;
select count(*) as deleted from leadstream.leads_since(:'cursor') where contact_id = '10';
insert into visit (contact_id) values (10);
call settle();
select contact_id, team, lead_id > 20 as is_new from leadstream.leads_since(:'cursor') where contact_id = '10';
select cursor as last from leadstream.leads_since() order by lead_id desc limit 1 \gset
select leadstream.move(2, 'Lost');
insert into visit (contact_id, what) values (2, 'buy');
call settle();
select stage from leadstream.leads where lead_id = 2;
select count(*) as reopened from leadstream.leads_since(:'last');

-- history makes many in one transaction
do 'begin perform leadstream.disable(''any''); perform leadstream.disable(''buy''); end';
insert into visit (contact_id) select i from generate_series(30, 49) i;
do 'begin perform leadstream.enable(''any''); end';
select leadstream.fetch_history('any');
call settle();
select count(*) from leadstream.leads_since(:'last');
select cursor as middle from leadstream.leads_since(:'last', 15) order by lead_id desc limit 1 \gset
select count(*) from leadstream.leads_since(:'middle');

-- what is no cursor, or not one of here
create function attempt(query text) returns text language plpgsql as $$
declare
	rows	bigint;
	detail	text;
	hint	text;
begin
	execute query;
	get diagnostics rows = row_count;
	return rows || ' rows';
exception when others then
	get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
	return concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
end
$$;
create function since(cursor text) returns text language sql as
	$$ select attempt(format('select * from leadstream.leads_since(%L, 5)', cursor)) $$;
select since(c) from unnest(array['', 'x', 'lf1', 'lf1.', 'lf1.1.2.3.4.5.6', 'lf1.1.2.3.4.5.6.7.8', 'lf1.1.2.3.4.5.6.', 'lf1.1.2.3.4.5.6.7 ',
	'lf1.G.2.3.4.5.6.7', 'lf1.1.2.3.4.5.6.A', 'lf1.1.2.3.4.5.-6.7', 'lf2.1.2.3.4.5.6.7',
	'lf1.11111111111111111.2.3.4.5.6.7', 'lf1.1.2.3.100000000.5.6.7', 'lf1.1.2.3.4.5.6.9223372036854775808',
	'lf1.1.2.3.4.5.18446744073709551616.7', repeat('9', 100000)]) c
where since(c) !~ '^22P02: invalid cursor: ';
select since('x');
select since('lf1.1.2.3.4.5.6.7');
-- places that this server has not come to
select what, since(c) from (values
	('the same', :'cursor'),
	('a transaction to come', regexp_replace(:'cursor', '\d+\.\d+$', '99999999.1')),
	('WAL to come', regexp_replace(:'cursor', '^((?:[^.]+\.){5})[^.]+', '\1FFFFFFFFFFFF')),
	('another timeline', regexp_replace(:'cursor', '^((?:[^.]+\.){4})[^.]+', '\1FF')),
	('after pg_upgrade', regexp_replace(regexp_replace(:'cursor', '^((?:[^.]+\.){2})[^.]+', '\11'), '^((?:[^.]+\.){4})[^.]+', '\1FF')),
	('after pg_upgrade, and to come', regexp_replace(regexp_replace(:'cursor', '\d+\.\d+$', '99999999.1'), '^((?:[^.]+\.){2})[^.]+', '\11'))
	) as t(what, c);
select attempt('select * from leadstream.leads_since(max_leads => 0)');
select attempt('select * from leadstream.leads_since(max_leads => null)');
select attempt('select * from leadstream.leads_since(null, 3)');

-- leads of another cluster, as a dump brings them
begin;
insert into leadstream.lead (contact_id, team_id, stage, created_at, stage_changed_at, made_by)
select 29, team_id, 'MQL', now(), now(), '123456789012' from leadstream.team where team = 'North';
select since(null);
select leadstream.restart_feed();
select since(:'cursor');
select contact_id from leadstream.leads_since(null, 1);
rollback;
select since(:'cursor');
begin;
delete from leadstream.feed;
select since(null);
select leadstream.restart_feed();
select since(null);
rollback;

-- A team hands out what the transaction made, not what came from another
-- cluster under the same number.
begin;
select leadstream.alter_team('South', hands_out => true);
select leadstream.add_member('South', 'Ann');
commit;
begin;
create temporary table other (xid xid8);
insert into other values (pg_current_xact_id());
commit;
begin;
insert into leadstream.lead (contact_id, team_id, stage, created_at, stage_changed_at, made_by)
select i, team_id, 'MQL', now(), now(), (xid::text::bigint + i - 3)::text::xid8 from other, leadstream.team, generate_series(4, 40) i
where team = 'South'
on conflict do nothing;
commit;
select count(*) from leadstream.leads where team = 'South' and assigned_to = 'Ann';
select leadstream.create_lead(50, 'South') is not null as made;
select contact_id from leadstream.leads where team = 'South' and assigned_to = 'Ann';
delete from leadstream.lead where made_by > (select xid from other) and contact_id < 50;

-- rights: who may read leads
create role regress_feed;
grant usage on schema shop to regress_feed;
set role regress_feed;
select attempt('select leadstream.restart_feed()');
select attempt('select * from leadstream.leads_since()');
reset role;
select leadstream.grant_access('regress_feed', 'report');
set role regress_feed;
select attempt('select * from leadstream.leads_since(null, 2)');
reset role;
-- and which of them
do $$ begin execute format('create policy north on leadstream.lead as restrictive using (team_id = %s)', (select team_id from leadstream.team where team = 'North')); end $$;
set role regress_feed;
select distinct team from leadstream.leads_since();
reset role;
drop policy north on leadstream.lead;
-- an application sees those of its sales user
select leadstream.revoke_access('regress_feed');
select leadstream.grant_access('regress_feed', 'app');
select leadstream.create_sales_user('Fay') > 0 as made, leadstream.add_member('North', 'Fay');
set role regress_feed;
select distinct team from leadstream.leads_since();
set leadstream.sales_user = 'Fay';
select distinct team from leadstream.leads_since();
reset leadstream.sales_user;
reset role;
select leadstream.remove_member('North', 'Fay'), leadstream.drop_sales_user('Fay');
drop owned by regress_feed;
drop role regress_feed;

-- channels
select leadstream.lead_channel('North') = 'leadstream_team_' || (select team_id from leadstream.team where team = 'North') as named;
select attempt('select leadstream.lead_channel(''West'')');
select attempt('select leadstream.lead_channel(null)');

-- An envelope
\pset format aligned
select jsonb_pretty(leadstream.cloud_event('lead 1', 'https://crm.example.com/leads', 'com.example.lead.created', '17',
	'2026-03-29 03:30:00.25+02', '{"stage": null}'));
select leadstream.cloud_event('1', '/leads', 'x');
set timezone = 'Asia/Tokyo'; set datestyle = 'German';
select leadstream.cloud_event('1', '/leads', 'x', '', '2026-03-29 03:30:00+02', 'null');
reset timezone; reset datestyle;
select attempt(format('select leadstream.cloud_event(%s)', a)) from unnest(array['null, ''/'', ''x''', ''' '', ''/'', ''x''',
	'''1'', '''', ''x''', '''1'', ''/'', null', '''1'', ''/'', ''x'', null, ''infinity''', '''1'', ''/'', ''x'', null, ''0044-03-15 BC''',
	'''1'', ''/'', ''x'', null, ''10000-01-01 00:00+00''']) a;
select leadstream.cloud_event(f.lead_id::text, '/leads', 'lead', f.contact_id, data => to_jsonb(f) - 'cursor' - 'created_at') from leadstream.leads_since(null, 1) f;
\pset format unaligned

-- accounts: one, or all
do 'begin perform leadstream.disable(stream) from leadstream.streams where is_enabled; perform leadstream.detach(''visit''); perform leadstream.detach(''contact''); end';
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.team, leadstream.stage, leadstream.sales_user, leadstream.team_member, leadstream.hand_out,
	leadstream.stream, leadstream.stream_version, leadstream.stream_team;
drop table visit, contact;
create table contact (id bigint primary key, account_id text not null);
create table visit (id bigint generated always as identity primary key, contact_id bigint references contact, at timestamptz not null default now());
create index on visit (contact_id, at);
insert into contact select i, chr(97 + i % 3) from generate_series(1, 30) i;
do 'begin perform leadstream.attach_contacts(''contact'', account => ''account_id''); perform leadstream.attach_activity(''visit''); end';
create function follow(name text) returns void language plpgsql as $$
begin
	perform set_config('leadstream.account', name, true);
	perform leadstream.create_team('North');
	perform leadstream.create_stream('any', 'exists(visit)', '{North}');
	perform leadstream.enable('any');
end
$$;
select follow(a) from unnest('{a,b,c}'::text[]) a;
insert into visit (contact_id) select i from generate_series(1, 30) i;
call settle();
select account, count(*) from leadstream.leads_since() group by 1 order by 1;
select cursor as all from leadstream.leads_since(null, 3) order by lead_id desc limit 1 \gset
set leadstream.account = 'b';
select account, count(*), min(contact_id::integer), max(contact_id::integer) from leadstream.leads_since(max_leads => 5) group by 1 order by 1;
select cursor as b from leadstream.leads_since(max_leads => 5) order by lead_id desc limit 1 \gset
select account, count(*) from leadstream.leads_since(:'b') group by 1;
select since(:'all');
select leadstream.lead_channel('North') = 'leadstream_team_' || (select team_id from leadstream.team where account = 'b') as own_team;
set leadstream.account = 'a';
select since(:'b');
reset leadstream.account;
select since(:'b');
select count(*) from leadstream.leads_since(:'all');

do $$ declare a text; begin
	foreach a in array '{a,b,c}'::text[] loop
		perform set_config('leadstream.account', a, true);
		perform leadstream.disable('any');
	end loop;
end $$;
reset leadstream.account;
do 'begin perform leadstream.detach(''visit''); perform leadstream.detach(''contact''); end';
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
truncate leadstream.team, leadstream.stage, leadstream.sales_user, leadstream.team_member, leadstream.hand_out,
	leadstream.stream, leadstream.stream_version, leadstream.stream_team;
drop schema shop cascade;
reset search_path;
reset timezone;
reset client_min_messages;
