-- bind.sql: what the binder refuses, with SQLSTATE, detail and hint
\set VERBOSITY terse
set client_min_messages = warning;
create schema bind;
set search_path = bind, public;

create type mood as enum ('sad', 'ok', 'happy');
create domain score as integer check (value >= 0);
create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table contacts (
	id bigint primary key,
	email text,
	name text,
	nickname text collate blind,
	country varchar(2),
	lead_score score,
	ratio double precision,
	tags text[],
	sizes integer[],
	attrs jsonb,
	raw json,
	last_visit timestamptz,
	trial_ends_at date,
	is_active boolean,
	feeling mood,
	spot point,
	key uuid
);
create table form_submit (
	id bigint generated always as identity primary key,
	contact_id bigint not null references contacts,
	occurred_at timestamptz,
	instants timestamptz[],
	span tstzrange,
	wait interval,
	form text,
	amount numeric,
	choices text[],
	"Odd ""Name" text
);
create index on form_submit (contact_id, occurred_at);
create table membership (contact_id bigint not null references contacts, list text);
create index on membership (contact_id);
select leadstream.attach_contacts('contacts');
select leadstream.attach_activity('form_submit');
select leadstream.attach_activity('membership', timeless => true);

create function problem(rule text) returns table (state text, message text, detail text, hint text)
language plpgsql as $$
begin
	perform leadstream.check_rule(rule::leadstream.rule);
	state := 'bound';
	return next;
exception when others then
	get stacked diagnostics state = returned_sqlstate, message = message_text,
		detail = pg_exception_detail, hint = pg_exception_hint;
	return next;
end
$$;
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '

-- names
select * from problem('contry = ''SE''');
select * from problem('zzzzzzz = 1');
select * from problem('form_submit');
select * from problem('form_submit.form = ''x''');
select * from problem('exists(formsubmit)');
select * from problem('exists(form_submit where frm = ''x'')');
select * from problem('exists(form_submit where contact.contry = ''SE'')');
select * from problem('exists(form_submit.form)');
select * from problem('sum(form_submit) > 1');
select * from problem('country = "SE"');
select * from problem(format('%s = 1', repeat('n', 70)));
select * from problem('country.code = 1');
select * from problem('raw.x = 1');

-- types
select * from problem('lead_score > ''high''');
select * from problem('feeling = ''angry''');
select * from problem('key = ''none''');
select * from problem('tags = ''{a''');
select * from problem('is_active > 5');
select * from problem('last_visit > 5');
select * from problem('lead_score = last_visit');
select * from problem('key = 5');
select * from problem('feeling = country');
select * from problem('spot = ''(1,2)''');
select * from problem('raw = ''{}''');
select * from problem('ratio > 1e99');
select * from problem('1 = ''1''');
select * from problem('country');
select * from problem('lead_score');
select * from problem('tags contains 5');
select * from problem('lead_score contains 5');
select * from problem('attrs contains last_visit');
select * from problem('lead_score is true');
select * from problem('''x'' is null');
select * from problem('now is null');
select * from problem('sum(form_submit.choices) > 1');
select * from problem('min(form_submit.choices) is null');
select * from problem('2 < 3 * first(form_submit.choices)');

-- patterns
select * from problem('lead_score like ''5%''');
select * from problem('name like email');
select * from problem('name like ''a\''');
select * from problem('name ~ ''(''');
select * from problem('name ~* ''[''');
select * from unnest('{like,ilike,~,~*}'::text[]) op, unnest('{1000,1001}'::integer[]) n, problem('name ' || op || ' ''' || repeat('a', n) || '''');
select * from problem('name contains ''' || repeat('%', 1001) || ''' or name starts with ''' || repeat('%', 1001) || '''');
select * from problem('nickname like ''a%''');
select * from problem('nickname contains ''a''');
select * from problem('nickname starts with ''a''');

-- the clock
select * from problem('last_visit > ''soon''');
select * from problem('last_visit > ''now''');
select * from problem('trial_ends_at = ''TODAY''');
select * from problem('trial_ends_at = ''01/02/2026''');
select * from problem('trial_ends_at = ''2026-02-30''');
select * from problem('now > today');
select * from problem('lead_score > now');
select * from problem('lead_score in last month');
select * from problem('''2026-01-01'' in last month');
select * from problem('exists(membership within 3 days)');
select * from problem('exists(membership older than 3 days)');

select * from problem('exists(form_submit where instants contains ''now'')');
select * from problem('exists(form_submit where span = ''[today,tomorrow)'')');
select * from problem('exists(form_submit where instants contains ''soon'')');
-- what a literal means is the same in every session
set timezone = 'America/New_York';
set datestyle = 'German';
select (regexp_matches(leadstream.rule_sql('exists(form_submit where instants contains ''2026-01-01 00:00'' and wait > ''1 day 2 hours'' and span = ''[2026-01-01,2026-02-01)'')'),
	'''([^'']*(?:2026|day)[^'']*)''', 'g'))[1];
reset timezone;
reset datestyle;

-- activity conditions
select * from problem('exists(form_submit where exists(membership))');
select * from problem('exists(form_submit where count(membership) > 1)');

-- what binds
select p.* from unnest(array[
	'nickname = ''Bob'' and nickname in (''a'', ''b'')',
	'lead_score in (1, 2.5, ''3'') and lead_score > ratio',
	'feeling > ''sad'' and key = ''00000000-0000-0000-0000-000000000001''',
	'tags contains ''vip'' and sizes contains 5 and sizes contains 2.5',
	'attrs.plan = ''pro'' and attrs.seats > 10 and attrs.renewal < now + 30 days and attrs.list[0] is true',
	'raw is null and spot is null',
	'name contains country and name starts with email and email ends with name',
	'email > 5 and email > last_visit and email is not true',
	'exists(form_submit where "Odd ""Name" = contact.name and contact.lead_score > amount)',
	'first(form_submit.choices) contains ''x'' and count(distinct form_submit.choices) > 1',
	'avg(form_submit.amount) > 0.5 * sum(form_submit.amount) or max(form_submit.occurred_at) in last month',
	'''2026-01-01'' < last_visit and 5 < lead_score and true',
	'last_visit between ''2026-01-01'' and now - 1 month']) r, problem(r) p;

-- an "only" filter reads columns of its own table alone
create function only_problem(rule text) returns table (state text, message text, detail text, hint text)
language plpgsql as $$
begin
	perform leadstream.check_only('form_submit', rule::leadstream.rule);
	state := 'bound';
	return next;
exception when others then
	get stacked diagnostics state = returned_sqlstate, message = message_text,
		detail = pg_exception_detail, hint = pg_exception_hint;
	return next;
end
$$;
select * from only_problem('form = ''x'' and amount > 5');
select * from only_problem('contact.country = ''SE''');
select * from only_problem('occurred_at > now - 3 days');
select * from only_problem('occurred_at in last month');
select * from only_problem('exists(form_submit)');
select * from only_problem('country = ''SE''');

-- a reason instead of an error
select leadstream.rule_problem('contry = ''SE''');
select leadstream.rule_problem('country = ''SE''') is null;
select leadstream.rule_kinds('exists(form_submit, membership) and last(form_submit.form) = ''x'' and name = ''y''');

-- no contacts table
select leadstream.detach('form_submit');
select leadstream.detach('membership');
select leadstream.detach('contacts');
select * from problem('country = ''SE''');
select * from only_problem('form = ''x''');
drop table leadstream.lead, leadstream.lead_match, leadstream.lead_event, leadstream.due, leadstream.score cascade;
delete from leadstream.stage;
drop schema bind cascade;
