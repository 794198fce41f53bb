# LeadWorld: a small world of contacts, activities and streams whose leads can
# be told from the rows that are there.
#
# The rules are monotone: rows only come, attributes of contacts only grow, and
# a contact takes all it has with it when it is deleted.  So at every moment,
# in every snapshot, a stream that was enabled before the first row has a match
# of exactly those contacts of which its rule is true.  That truth is written
# down here a second time, in plain SQL.

package LeadWorld;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(make_world enable_streams mismatches disorder is_exact scan_log);

# name => [rule, the same of a contact c in SQL, teams]
our %streams = (
	demo => [
		q{exists(form where name = 'demo')},
		q{exists (select from form f where f.contact_id = c.id and f.name = 'demo')},
		'{sales}'
	],
	pricing => [
		q{count(visit where url = '/pricing') >= 3},
		q{(select count(*) from visit v where v.contact_id = c.id and v.url = '/pricing') >= 3},
		'{sales}'
	],
	swedish => [
		q{country = 'SE' and exists(form where name = 'demo')},
		q{c.country = 'SE' and exists (select from form f where f.contact_id = c.id and f.name = 'demo')},
		'{sales,partners}'
	],
	engaged => [
		q{count(visit) >= 10 and exists(form)},
		q{(select count(*) from visit v where v.contact_id = c.id) >= 10
		  and exists (select from form f where f.contact_id = c.id)},
		'{partners}'
	],
	openers => [
		q{count(mail where what = 'open') >= 2 or score >= 80},
		q{((select count(*) from mail m where m.contact_id = c.id and m.what = 'open') >= 2
		  or c.score >= 80)},
		'{sales}'
	],
	spender => [
		q{sum(visit.amount) >= 30 and count(distinct visit.url) >= 3},
		q{(select sum(v.amount) from visit v where v.contact_id = c.id) >= 30
		  and (select count(distinct v.url) from visit v where v.contact_id = c.id) >= 3},
		'{partners,sales}'
	],
	score => [ q{score >= 50}, q{c.score >= 50}, '{sales}' ]);

my $tables = q{
	create table contact (id bigint primary key, country text,
		score integer not null default 0, note text);
	create table visit (id bigint generated always as identity primary key,
		contact_id bigint not null references contact on delete cascade on update cascade,
		at timestamptz not null default clock_timestamp(), url text, amount integer not null default 1);
	create index on visit (contact_id, at);
	create table form (id bigint generated always as identity primary key,
		contact_id bigint not null references contact on delete cascade on update cascade,
		at timestamptz not null default clock_timestamp(), name text);
	create index on form (contact_id, at);
	create table mail (id bigint not null default (random() * 1e15)::bigint,
		contact_id bigint not null references contact on delete cascade on update cascade,
		at timestamptz not null default clock_timestamp(), what text) partition by list (what);
	create index on mail (contact_id, at);
	create table mail_open partition of mail for values in ('open');
	create table mail_sent partition of mail for values in ('sent');
	create table mail_rest partition of mail default;
};

# The tables, attached, with two teams and the streams, disabled; of a version of
# the extension, or of the present one.
sub make_world
{
	my ($node, $database, $version) = @_;
	my $create = '';
	my $which = defined $version ? "version '$version'" : '';

	foreach my $stream (sort keys %streams)
	{
		$create .= sprintf
		  "select leadstream.create_stream('%s', \$rule\$%s\$rule\$, '%s');\n",
		  $stream, $streams{$stream}[0], $streams{$stream}[2];
	}
	$node->safe_psql(
		$database || 'postgres', qq{
		set client_min_messages = warning;
		create extension leadstream $which;
		$tables
		select leadstream.attach_contacts('contact');
		select leadstream.attach_activity('visit');
		select leadstream.attach_activity('form');
		select leadstream.attach_activity('mail');
		select leadstream.create_team('sales');
		select leadstream.create_team('partners');
		$create
	});
	return;
}

sub enable_streams
{
	my ($node, $database) = @_;

	$node->safe_psql($database || 'postgres',
		"select leadstream.enable(stream) from leadstream.stream");
	return;
}

# A query that returns what is missing, doubled or too much of a stream's
# matches, in its one snapshot.
sub mismatches
{
	my ($stream, $like) = @_;
	my (undef, $truth, $teams) = @{ $streams{ $like || $stream } };

	return qq{
	select coalesce(string_agg(format('%s %s of contact %s for team %s', f.what, '$stream', f.contact_id, f.team), '; '), '')
	from (
		select case when truth.contact_id is null then 'extra'
					when found.n is null then 'missing' else 'doubled' end as what,
			   coalesce(truth.contact_id, found.contact_id) as contact_id,
			   coalesce(truth.team, found.team) as team
		from (select c.id as contact_id, t.team
			  from contact c cross join unnest('$teams'::text[]) as t(team)
			  where $truth) as truth
		full join (select l.contact_id, t.team, count(*) as n
				   from leadstream.lead_match m
				   join leadstream.stream s on s.stream_id = m.stream_id and s.stream = '$stream'
				   join leadstream.lead l on l.lead_id = m.lead_id
				   join leadstream.team t on t.team_id = l.team_id
				   group by 1, 2) as found
			on found.contact_id = truth.contact_id and found.team = truth.team
		where truth.contact_id is null or found.n is null or found.n > 1
		limit 5) as f};
}

# A query that returns what is out of order in the lead tables, whatever the
# rules: leads that nothing holds, matches without a lead, leads doubled, and
# leads whose events do not tell their life.
sub disorder
{
	return q{
	select coalesce(string_agg(f.what, '; '), '')
	from (
		select 'lead ' || l.lead_id || ' has no match' as what from leadstream.lead l
		where not l.is_manual
		  and not exists (select from leadstream.lead_match m where m.lead_id = l.lead_id)
		union all
		select 'match without lead ' || m.lead_id from leadstream.lead_match m
		where not exists (select from leadstream.lead l where l.lead_id = m.lead_id)
		union all
		select 'match of no stream ' || m.stream_id from leadstream.lead_match m
		where not exists (select from leadstream.stream s where s.stream_id = m.stream_id)
		union all
		select 'lead of no contact or team ' || l.lead_id from leadstream.lead l
		where not exists (select from contact c where c.id = l.contact_id)
		   or not exists (select from leadstream.team t where t.team_id = l.team_id)
		union all
		select 'doubled lead of contact ' || l.contact_id from leadstream.lead l
		group by l.contact_id, l.team_id having count(*) > 1
		union all
		select 'lead ' || l.lead_id || ' was not created once' from leadstream.lead l
		where (select count(*) from leadstream.lead_event e
			   where e.lead_id = l.lead_id and e.what = 'created') <> 1
		   or exists (select from leadstream.lead_event e
					  where e.lead_id = l.lead_id and e.what in ('cleared', 'deleted'))
		union all
		select 'lead ' || e.lead_id || ' is gone without an event' from leadstream.lead_event e
		where e.what = 'created'
		  and not exists (select from leadstream.lead l where l.lead_id = e.lead_id)
		  and (select count(*) from leadstream.lead_event d
			   where d.lead_id = e.lead_id and d.what in ('cleared', 'deleted')) <> 1
		limit 5) as f};
}

# Are the leads of all streams what the committed rows say, and in order?
sub is_exact
{
	my ($node, $when) = @_;

	is(join('', map { $node->safe_psql('postgres', mismatches($_)) } sort keys %streams),
		'', "$when: leads are what the committed rows say");
	is($node->safe_psql('postgres', disorder()), '', "$when: the lead tables are in order");
	return;
}

# The complaints in a server log written with log_line_prefix = '%m|%p|%a|%e|',
# each a hash of app, state, level, text, with its DETAIL, CONTEXT and so on in
# rest.
sub read_log
{
	my ($file) = @_;
	my @complaints;
	my $current;

	foreach my $line (split /\n/, slurp_file($file))
	{
		if ($line =~ /^[^|]*\|(\d+)\|([^|]*)\|(\w{5})\|(\w+):  (.*)$/)
		{
			my ($pid, $app, $state, $level, $text) = ($1, $2, $3, $4, $5);
			if ($level =~ /^(WARNING|ERROR|FATAL|PANIC)$/
				|| ($level eq 'LOG'
					&& $text =~ /was terminated by signal|could not|invalid memory/))
			{
				$current = {
					pid => $pid, app => $app, state => $state,
					level => $level, text => $text, rest => ''
				};
				push @complaints, $current;
			}
			elsif ($level =~ /^(DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION)$/)
			{
				$current->{rest} .= "$level: $text\n" if $current;
			}
			else
			{
				$current = undef;
			}
		}
		elsif ($current)
		{
			$current->{rest} .= "$line\n";
		}
	}
	return @complaints;
}

# Those complaints of a log that nothing allows: a function is asked of each.
sub scan_log
{
	my ($file, $is_expected) = @_;
	my %seen;
	my @unexpected;

	foreach my $c (read_log($file))
	{
		next if $is_expected->($c);
		# it makes way for whoever waits for its lock, and says so
		next if $c->{text} eq 'canceling autovacuum task';
		# he who was to be killed has ended by himself
		next if $c->{text} =~ /^PID \d+ is not a PostgreSQL/;
		my $key = "$c->{app} $c->{level} $c->{state} $c->{text}";
		$key =~ s/\d+/N/g;
		next if $seen{$key}++;
		push @unexpected,
		  "$c->{app}: $c->{level} $c->{state}: $c->{text}\n$c->{rest}";
	}
	return @unexpected;
}

1;
