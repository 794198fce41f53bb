# Sixteen sessions at the same contacts: one lead of each, and no error.
#
# In READ COMMITTED and REPEATABLE READ single rows meet neither deadlocks nor
# serialization failures of ours.  A count that many reach together is reached by
# one, and where it is not reached there is no lead.
#
# LS_CROWD_ROWS: of each session, 150 if not said.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $nrows = $ENV{LS_CROWD_ROWS} || 150;
my $ncounted = int($nrows / 6);    # contacts to count for

my $node = PostgreSQL::Test::Cluster->new('crowd');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
	deadlock_timeout = 50ms
	log_line_prefix = '%m|%p|%a|%e|'
	log_statement = none
	log_min_messages = warning
	client_min_messages = warning
});
$node->start;
make_world($node);
$LeadWorld::streams{hundred} = [
	q{count(visit where url = '/many') >= 100},
	q{(select count(*) from visit v where v.contact_id = c.id and v.url = '/many') >= 100},
	'{partners}'
];
$node->safe_psql('postgres', sprintf q{select leadstream.create_stream('hundred', $$%s$$, '%s')}, @{ $LeadWorld::streams{hundred} }[0, 2]);
enable_streams($node);
$node->safe_psql('postgres', 'insert into contact (id) select i from generate_series(1, ' . (2 * $nrows + $ncounted) . ') i');

# All of them at one contact, then at the next: each is done with a row when it is.
my $dir = $node->basedir;
append_to_file("$dir/same.script", q{
	\set n :n + 1
	insert into visit (contact_id, url) values (:n, '/pricing');
	insert into form (contact_id, name) values (:n, 'demo');
});
append_to_file("$dir/count.script", qq{
	\\set c 2 * $nrows + random(1, $ncounted)
	insert into visit (contact_id, url) values (:c, '/many');
});

sub crowd
{
	my ($script, $level, $first) = @_;
	local $ENV{PGOPTIONS} = "-c default_transaction_isolation=" . ($level =~ s/ /\\ /r);

	$node->command_ok([ 'pgbench', '-n', '-c', '16', '-t', $nrows, '-D', "n=$first", '-f', "$dir/$script.script", $node->connstr('postgres') ],
		"$level, $script: nobody fails");
	is_exact($node, "$level, $script");
	return;
}

my $first = 0;
foreach my $level ('read committed', 'repeatable read')
{
	crowd('same', $level, $first);
	$first += $nrows;
	is($node->safe_psql('postgres', "select count(*) from leadstream.matches where stream = 'demo'"), $first, "$level: each has one lead");
	crowd('count', $level, 0);
	# 16 rows for each of six contacts are 96, so that some have a hundred; and then all
	my ($least, $most) = $level eq 'read committed' ? (1, $ncounted - 1) : ($ncounted) x 2;
	is($node->safe_psql('postgres', "select count(*) between $least and $most from leadstream.matches where stream = 'hundred'"),
		't', "$level: between $least and $most have a hundred");
}
is($node->safe_psql('postgres', "select deadlocks from pg_stat_database where datname = 'postgres'"), '0', 'there was no deadlock');
is(join("\n", scan_log($node->logfile, sub { 0 })), '', 'the log has no complaint');

$node->stop;
done_testing();
