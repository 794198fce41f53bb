--
-- account_types: the column that tells whose a contact is may be of any type, and
-- a row may tell it too; streams have the account as a text.
--
\pset format unaligned
\pset footer off
set client_min_messages = error;
create schema account_types;
set search_path = account_types;

-- Two accounts with a stream of one name; the second's wants a page.  Contact 1 is
-- the first's, 2 the second's, 3 nobody's, 4 the first's; of 4 a row says, where
-- rows say it, that it is the second's: then only history finds it.
create function run(account_type text, row_type text, one text, other text) returns table (account text, matched text)
language plpgsql as $$
declare
	a	text;
begin
	execute format('create table contact (id bigint primary key, tenant %s, country text)', account_type);
	execute format('create table visit (id bigint generated always as identity primary key, contact_id bigint references contact, at timestamptz not null default ''2026-01-01 00:00Z'', url text%s)',
		', tenant ' || row_type);
	create index on visit (contact_id, at);
	perform leadstream.attach_contacts('contact', account => 'tenant');
	if row_type is null then
		perform leadstream.attach_activity('visit', occurred_at => 'at');
	else
		perform leadstream.attach_activity('visit', occurred_at => 'at', account => 'tenant');
	end if;
	foreach a in array array[one, other] loop
		perform set_config('leadstream.account', a, true);
		perform leadstream.create_team('Sales'),
			leadstream.create_stream('any', case a when one then 'exists(visit)' else 'exists(visit where url = ''/b'')' end::leadstream.rule, '{Sales}'),
			leadstream.create_stream('both', 'country = ''SE'' and exists(visit)', '{Sales}'),
			leadstream.create_stream('contact', 'country = ''SE''', '{Sales}');
		perform leadstream.enable('any'), leadstream.enable('both'), leadstream.enable('contact');
	end loop;
	execute format('insert into contact values (1, $1::%1$s, ''SE''), (2, $2::%1$s, ''SE''), (3, null, ''SE''), (4, $1::%1$s, ''NO'')', account_type)
		using one, other;
	if row_type is null then
		insert into visit (contact_id, url) values (1, '/'), (2, '/'), (3, '/b');
		insert into visit (contact_id, url) values (2, '/b');
	else
		execute format('insert into visit (contact_id, url, tenant) values (1, ''/'', $1::%1$s), (2, ''/'', $2::%1$s), (3, ''/b'', null), (4, ''/b'', $2::%1$s)', row_type)
			using one, other;
		execute format('insert into visit (contact_id, url, tenant) values (2, ''/b'', $1::%1$s)', row_type) using other;
	end if;
	foreach a in array array[one, other] loop
		perform set_config('leadstream.account', a, true);
		perform leadstream.fetch_history(s.stream) from leadstream.stream s where s.account = a;
		if exists (select from leadstream.stream s, leadstream.verify(s.stream) where s.account = a) then
			return query select a, 'live not as in history';
		end if;
	end loop;
	return query select q.account, string_agg(q.stream || ': ' || q.contacts, ', ' order by q.stream)
		from (select m.account, m.stream, string_agg(m.contact_id || case m.origin when 'live' then '' else ' by history' end, ' ' order by m.contact_id) as contacts
			  from leadstream.matches m group by 1, 2) q group by 1;
	foreach a in array array[one, other] loop
		perform set_config('leadstream.account', a, true);
		perform leadstream.disable(s), leadstream.drop_stream(s) from unnest('{any,both,contact}'::text[]) s;
	end loop;
	perform leadstream.detach('visit'), leadstream.detach('contact');
	drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
	delete from leadstream.team;
	delete from leadstream.stage;
	drop table visit, contact;
end
$$;
create domain tenant as integer check (value <> 0);
create type size as enum ('small', 'large');
select t as type, r is not null as of_rows, account, matched
from (values ('smallint', '-32768', '7'), ('integer', '7', '2147483647'), ('bigint', '-9223372036854775808', '7'), ('tenant', '7', '-7'),
		('text', 'red', 'Red '), ('varchar(9)', '7', '07'), ('uuid', '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b'),
		('size', 'small', 'large'), ('numeric', '1.0', '1.00')) v(t, one, other),
	lateral (select t union all select null) w(r), run(t, r, one, other)
order by t, of_rows, account collate "C";
-- an account is known by its text: numbers of another type are the same one
select r as type_of_rows, account, matched from unnest('{smallint,integer,bigint,text}'::text[]) r, run('integer', r, '7', '8') order by r, account;

reset search_path;
drop schema account_types cascade;
reset client_min_messages;
