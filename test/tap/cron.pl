# A scheduler calls tick_batches: pg_cron, with the statement of the README.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

chomp(my $sharedir = `pg_config --sharedir`);
plan skip_all => 'pg_cron is not installed (Debian: postgresql-NN-cron)'
  if !-e "$sharedir/extension/pg_cron.control";

my $node = PostgreSQL::Test::Cluster->new('cron');
$node->init;
# pg_cron connects as any client does.
$node->append_conf(
	'postgresql.conf', q{
	shared_preload_libraries = 'pg_cron'
	cron.database_name = 'postgres'
	cron.host = '} . $node->host . q{'
});
$node->start;
$node->safe_psql(
	'postgres', q{
	set client_min_messages = warning;
	create extension pg_cron;
	create extension leadstream;
	create table contact (id bigint primary key, trial timestamptz);
	select leadstream.attach_contacts('contact');
	select leadstream.create_team('sales');
	select leadstream.create_stream('trial', 'trial < now', '{sales}');
	select leadstream.enable('trial');
	insert into contact select i, clock_timestamp() + interval '1 second' from generate_series(1, 3) i;
});
my $until = time + 75;
$node->safe_psql('postgres', q{select cron.schedule('leadstream', '* * * * *', 'call leadstream.tick_batches()')});
my $found = '';
while (time < $until)
{
	$found = $node->safe_psql('postgres',
		q{select string_agg(m.contact_id || ' ' || m.origin || ' ' || (m.matched_at = c.trial + interval '1 microsecond'), ', ' order by c.id)
		from leadstream.matches m join contact c on c.id = m.contact_id::bigint});
	last if $found ne '';
	sleep 0.5;
}
is($found, '1 clock true, 2 clock true, 3 clock true', 'the leads of time are there within a minute or so');
is($node->safe_psql('postgres', 'select is_seeded from leadstream.stream'), 't', 'the stream is looked after');
is($node->safe_psql('postgres', q{select count(*) from cron.job_run_details where status = 'failed'}), '0', 'no run failed');
$node->stop;
done_testing();
