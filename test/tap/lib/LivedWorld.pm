# LivedWorld: the world of LeadWorld after people have lived in it, and what has to
# hold of one that was carried elsewhere: by a dump, or by pg_upgrade.

package LivedWorld;

use strict;
use warnings;

use Exporter 'import';
use LeadWorld;
use Test::More;

our @EXPORT = qw(make_lived_world rows_of sequences_of schema_of views_of is_alive);

# What a dump takes along.
my @tables = qw(public.contact public.visit public.form public.mail
  leadstream.contact_source leadstream.activity_source leadstream.team
  leadstream.sales_user leadstream.team_member leadstream.hand_out leadstream.access_account
  leadstream.stage leadstream.stream_version leadstream.stream_team leadstream.stream_backfill leadstream.segment
  leadstream.score_rule leadstream.score_walk
  leadstream.lead leadstream.lead_match leadstream.lead_event leadstream.due leadstream.score);

# Rows, as text: of those tables, or of those named.  Of streams all but the columns
# changed and enabled_xid, which hold transaction ids, and home, which tells one
# database from another.
sub rows_of
{
	my ($node, $database, @names) = @_;
	my $sql = "select 'stream', (to_jsonb(s) - 'changed' - 'enabled_xid' - 'home')::text from leadstream.stream s"
		. " union all select 'score_set', (to_jsonb(c) - 'changed' - 'home')::text from leadstream.score_set c";

	$sql .= " union all select '$_', x::text from $_ x" foreach @names ? @names : @tables;
	return $node->safe_psql($database, "select * from ($sql) q order by 1, 2");
}

# Where the sequences are.
sub sequences_of
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database, q{
		select schemaname, sequencename, last_value from pg_sequences
		where schemaname in ('leadstream', 'public') order by 1, 2});
}

# What holds the rows together.
sub schema_of
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database, q{
		select 'trigger', tgrelid::regclass::text, pg_get_triggerdef(t.oid), tgenabled::text
		from pg_trigger t join pg_class c on c.oid = t.tgrelid
		where not tgisinternal and c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'constraint', conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid), ''
		from pg_constraint where connamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), ''
		from pg_index join pg_class c on c.oid = indexrelid
		where c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'view', c.oid::regclass::text, pg_get_viewdef(c.oid), c.relacl::text
		from pg_class c where relkind = 'v' and relnamespace = 'leadstream'::regnamespace
		union all
		select 'column', a.attrelid::regclass::text, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
			|| case when a.attnotnull then ' not null' else '' end || a.attidentity::text, a.attacl::text
		from pg_attribute a join pg_class c on c.oid = a.attrelid
		where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
		  and c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
		union all
		select 'function', p.oid::regprocedure::text, p.prosecdef::text, p.proacl::text
		from pg_proc p where pronamespace = 'leadstream'::regnamespace
		union all
		select 'policy', p.polrelid::regclass::text, p.polname || ' ' || pg_get_expr(p.polqual, p.polrelid), c.relrowsecurity::text
		from pg_policy p join pg_class c on c.oid = p.polrelid
		union all
		select 'relation', c.oid::regclass::text, c.relacl::text, pg_get_userbyid(c.relowner)
		from pg_class c where relkind in ('r', 'p') and relnamespace = 'leadstream'::regnamespace
		union all
		select 'comment', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description, ''
		from pg_description d where pg_describe_object(d.classoid, d.objoid, d.objsubid) ~ 'leadstream|_lead'
		union all
		select 'member', e.extname, pg_describe_object(d.classid, d.objid, d.objsubid), ''
		from pg_depend d join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
		where d.deptype = 'e' and e.extname = 'leadstream'
		order by 1, 2, 3, 4});
}

# What the views show, at one instant, but for the memory of the session.
sub views_of
{
	my ($node, $database) = @_;
	my @views = split /\n/, $node->safe_psql(
		$database, q{
		select c.oid::regclass from pg_class c
		where c.relkind = 'v' and c.relnamespace = 'leadstream'::regnamespace order by 1});

	return $node->safe_psql($database, join ' ', q{set leadstream.clock = '2100-01-01 00:00Z';},
		map { "select '$_', v::text from $_ v order by 2;" } @views);
}

# A database where people have worked, with streams of all kinds.
sub make_lived_world
{
	my ($node, $database) = @_;

	make_world($node, $database);
	my $capture = $node->safe_psql(
		$database, q{
		select string_agg(format('alter table %s enable always trigger %I', tgrelid::regclass, tgname), ';')
		from pg_trigger where tgrelid = 'visit'::regclass and not tgisinternal});
	$node->safe_psql(
		$database, qq{
		create role dump_reader;
		select leadstream.create_sales_user('Ann', 'ann\@example.com', 'dump_reader'), leadstream.create_sales_user('Bob');
		select leadstream.add_member('sales', 'Ann', 500), leadstream.add_member('sales', 'Bob');
		select leadstream.pause_member('sales', 'Ann');
		select leadstream.alter_team('sales', hands_out => true), leadstream.create_stage('Demo', 2), leadstream.deactivate_sales_user('Ann');
		grant select on leadstream.leads, leadstream.lead to dump_reader;
		create role dump_sales;
		select leadstream.grant_access('dump_sales', 'sales'), leadstream.grant_access('dump_reader', 'report');
		select leadstream.create_sales_user('Sally', role => 'dump_sales'), leadstream.add_member('partners', 'Sally');
		create type grade as enum ('A', 'B', 'C');
		alter table contact add gone integer;
		alter table contact add tags text[], add data jsonb, add grade grade, add token uuid;
		alter table contact drop gone;
		insert into contact (id, country, score, tags, data, grade, token)
			select i, case when i % 2 = 0 then 'SE' end, i, case when i % 7 = 0 then '{vip,old}'::text[] end,
				case when i % 5 = 0 then '{"plan": "pro"}'::jsonb end, (array['A', 'B', 'C']::grade[])[1 + i % 3], md5(i::text)::uuid
			from generate_series(1, 60) i;
		select leadstream.create_stream('old', 'exists(form)', '{partners}', E'all forms''\nold and new');
		select leadstream.create_segment('north', 'country = ''SE''', E'of\nthe north');
		select leadstream.create_segment('good', 'segment(''north'') and score > 20');
		select leadstream.create_score_set('engagement', E'what\nthey did');
		select leadstream.create_score_rule('engagement', 'mails', 'exists(mail where what = ''open'' within 90 days)', 5);
		select leadstream.create_score_rule('engagement', 'visits', 'count(visit) >= 5', -2);
		select leadstream.create_score_set('empty');
		select leadstream.create_stream('scored', 'score(''engagement'') >= 3 and score(''empty'') = 0', '{partners}');
		select leadstream.create_stream('good', 'segment(''good'') and exists(form)', '{sales}');
		select leadstream.create_stream('quiet', 'exists(mail where what = ''sent'') and not exists(visit within 90 days)', '{sales}');
		select leadstream.create_stream('member', 'tags contains ''vip'' and exists(visit)', '{sales}', requalify_after => '90 days');
		select leadstream.create_stream('path', 'data.plan = ''pro'' and exists(form)', '{partners}');
		select leadstream.create_stream('prefix', 'exists(visit where url starts with ''/pri'' and amount > 3)', '{sales}');
		select leadstream.create_stream('range', 'score between 40 and 45 and count(visit within 30 days) >= 2', '{sales}');
		select leadstream.create_stream('grade', 'grade = ''A'' and exists(form)', '{partners}');
		select leadstream.create_stream('token', 'token = ''c9f0f895-fb98-ab91-59f5-1fd0297e236d'' and exists(form)', '{sales}');
		select leadstream.create_stream('worked', 'exists(visit) and exists(lead where stage = ''Won'')', '{partners}');
		select leadstream.enable(stream) from leadstream.stream where stream <> 'old';
		insert into form (contact_id, name) select id, case when id % 3 = 0 then 'demo' else 'contact' end from contact;
		insert into visit (contact_id, url, amount) select 1 + i % 50, (array['/pricing', '/', '/blog'])[1 + i % 7 % 3], i % 5
			from generate_series(1, 400) i;
		insert into mail (contact_id, what) select 1 + i % 20, case when i % 2 = 0 then 'open' else 'sent' end from generate_series(1, 60) i;
		select leadstream.enable('old');
		select leadstream.fetch_history('old');
		call leadstream.backfill('prefix', 7);
		select leadstream.disable('old');
		select leadstream.alter_stream('swedish', rule => 'country = ''SE'' and exists(form)');
		select leadstream.alter_stream('swedish', rule => 'country = ''SE'' and exists(form where name = ''demo'')');
		select leadstream.create_lead(60::bigint, 'sales');
		select leadstream.move(lead_id, 'Won', 'signed') from leadstream.leads where contact_id in (3, 6);
		insert into visit (contact_id) values (3), (6);
		delete from leadstream.lead where contact_id = 9;
		select leadstream.tick();
		create index lead_by_age on leadstream.lead (created_at);
		$capture;
	});
	return;
}

# It goes on: this changes it.
sub is_alive
{
	my ($node, $database, $how) = @_;
	my $last_lead = $node->safe_psql($database, 'select last_value from leadstream.lead_lead_id_seq');
	my $last_stream = $node->safe_psql($database, 'select last_value from leadstream.stream_stream_id_seq');

	is($node->safe_psql($database, "select leadstream.fetch_history('pricing')"), '0', "$how: history has nothing to add");
	is( $node->safe_psql(
			$database, q{
			insert into contact values (100, 'SE', 10, null), (101, null, 90, null), (102, 'SE', 30, null);
			insert into form (contact_id, name) values (100, 'demo'), (102, 'contact');
			insert into mail_open (contact_id, what) values (101, 'open');
			select string_agg(stream || ' ' || team || ' ' || contact_id, ', ' order by stream, team, contact_id)
			from leadstream.matches where contact_id >= 100}),
		'demo sales 100, good sales 102, openers sales 101, score sales 101, scored partners 101, swedish partners 100, swedish sales 100',
		"$how: new rows make leads");
	is( $node->safe_psql($database, q{select string_agg(distinct u.sales_user, ', ') from leadstream.lead l
			join leadstream.team t on t.team_id = l.team_id and t.team = 'sales'
			left join leadstream.sales_user u on u.sales_user_id = l.assignee_id where l.contact_id >= 100}),
		'Bob', "$how: new leads are handed out");
	is($node->safe_psql($database, 'select min(lead_id) from leadstream.leads where contact_id >= 100'),
		$last_lead + 1, "$how: lead ids go on");
	is($node->safe_psql($database, "select leadstream.create_stream('next', 'exists(visit)', '{sales}')"),
		$last_stream + 1, "$how: stream ids go on");
	is($node->safe_psql($database, "select leadstream.create_team('next')"), '3', "$how: team ids go on");
	is( $node->safe_psql($database, q{
			select leadstream.enable('next');
			insert into visit (contact_id) values (60);
			select count(*) from leadstream.matches where stream = 'next'}) =~ s/^\s+//r,
		'1', "$how: a new stream makes leads");
	is($node->safe_psql($database, 'delete from contact where id = 100; select count(*) from leadstream.lead where contact_id = 100'),
		'0', "$how: a contact takes its leads along");
	return;
}

1;
