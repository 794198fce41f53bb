-- What a kind is may change between two statements of one session: another
-- column for the contact or the time, another part of the table, another table or
-- zone.  The next row is judged by what is attached then.
set client_min_messages = error;
set timezone = 'UTC';
create schema sources_change;
set search_path = sources_change, public;
create table contact (id bigint primary key, email text not null unique, tenant text, country text default 'SE');
create table visit (id bigint generated always as identity primary key, who bigint, also integer, at timestamptz, plain timestamp, day date, url text, tenant text);
create table other (id bigint generated always as identity primary key, who bigint, at timestamptz, url text);
create index on visit (who, at);
create index on visit (also, at);
create index on other (who, at);
select leadstream.attach_contacts('contact'), leadstream.attach_activity('visit', contact_key => 'who', occurred_at => 'at');
select leadstream.create_team('Sales') is not null as team;
select leadstream.create_stream('recent', 'exists(visit where url = ''/a'' within 1 day)', '{Sales}') is not null as stream;
select leadstream.create_stream('dated', 'exists(visit where at < ''2026-01-02'')', '{Sales}') is not null as stream;
select leadstream.enable('recent'), leadstream.enable('dated');
insert into contact (id, email, tenant) select i, 'm' || i, 't' from generate_series(1, 60) i;
insert into contact (id, email) values (61, '/a');

-- Attach the kind anew, insert a row whose columns disagree, and say who matched.
create function attached(kind_of text) returns text
language plpgsql as $$
declare
	n integer := (select coalesce(max(contact_id), 0) + 2 from leadstream.matches);
begin
	perform leadstream.disable('recent'), leadstream.disable('dated');
	perform leadstream.detach(activity) from leadstream.activity_source;
	execute 'select leadstream.attach_activity(' || kind_of || ')';
	perform leadstream.enable('recent'), leadstream.enable('dated');
	perform set_config('leadstream.clock', '2026-01-01 23:30Z', true);
	insert into visit (who, also, at, plain, day, url) values (n, n + 1, '2026-01-01 23:00Z', '2025-12-01', '2026-01-02', '/a');
	insert into other (who, at, url) values (n + 2, '2026-01-01 23:00Z', '/a');
	return (select string_agg(format('%s +%s', stream, contact_id - n), ', ' order by stream, contact_id) from leadstream.matches where contact_id >= n);
end
$$;
select n, kind_of, attached(kind_of) from unnest(array[
	$k$'visit', contact_key => 'who', occurred_at => 'at'$k$,
	$k$'visit', contact_key => 'also', occurred_at => 'at'$k$,
	$k$'visit', contact_key => 'also', occurred_at => 'plain'$k$,
	$k$'visit', contact_key => 'also', occurred_at => 'day'$k$,
	$k$'visit', contact_key => 'who', occurred_at => 'at', only_rule => 'url = ''/a'''$k$,
	$k$'visit', contact_key => 'who', occurred_at => 'at', only_rule => 'url = ''/b'''$k$,
	$k$'other', kind => 'visit', contact_key => 'who', occurred_at => 'at'$k$,
	$k$'visit', contact_key => 'who', occurred_at => 'at'$k$]) with ordinality k(kind_of, n);

-- The contacts too: another key, zone, column for the account.
create function of_contacts(parameters text) returns text
language plpgsql as $$
begin
	perform leadstream.disable('recent'), leadstream.disable('dated');
	perform leadstream.detach(activity) from leadstream.activity_source;
	perform leadstream.detach('contact');
	drop table if exists leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	execute 'select leadstream.attach_contacts(''contact''' || parameters || ')';
	perform leadstream.attach_activity('visit', contact_key => case when parameters like '%email%' then 'url' else 'who' end, occurred_at => 'plain');
	perform leadstream.enable('recent'), leadstream.enable('dated');
	perform set_config('leadstream.clock', '2026-01-01 23:30Z', true);
	insert into visit (who, url, plain) values (7, 'm7', '2026-01-02 00:15'), (8, '/a', '2026-01-02 00:15'), (9, '/a', '2026-01-01 23:15'), (10, '/a', '2025-12-31 22:00');
	return (select string_agg(format('%s %s', stream, contact_id), ', ' order by stream, contact_id::text) from leadstream.matches);
end
$$;
select n, p, of_contacts(p) from unnest(array['', ', zone => ''Europe/Stockholm''', ', zone => ''America/New_York''', ', key => ''email''', '']) with ordinality k(p, n);

select leadstream.disable('recent'), leadstream.disable('dated');
select leadstream.drop_stream('recent'), leadstream.drop_stream('dated');
select leadstream.detach('visit'), leadstream.detach('contact');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.team;
delete from leadstream.stage;
drop schema sources_change cascade;
