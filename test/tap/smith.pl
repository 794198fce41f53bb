# sqlsmith makes up queries over our views, tables and functions, as a superuser, as
# an admin and as sales: no session crashes, nothing of ours ends in an internal
# error, and the leads are as before.  Where there is no sqlsmith, it is skipped.
#
# LS_SMITH_QUERIES: how many each, 300 if not said; LS_SMITH_SEED: the first of the
# seeds, 1 if not said.  The hundred thousand of a full run:
#   LS_SMITH_QUERIES=35000 test/run.sh --limit 3600 tap smith

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Basename;
use IPC::Run;
use LeadWorld;
use LivedWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no sqlsmith' if system('sqlsmith --version >/dev/null 2>&1') != 0;

my $nqueries = $ENV{LS_SMITH_QUERIES} || 300;
my $seed = $ENV{LS_SMITH_SEED} || 1;

my $node = PostgreSQL::Test::Cluster->new('smith');
$node->init;
# verbose, for an error tells its file then
$node->append_conf(
	'postgresql.conf', q{
	log_line_prefix = '%m|%p|%a|%e|'
	log_error_verbosity = verbose
	log_statement = none
	restart_after_crash = on
	track_functions = all
});
$node->start;
make_lived_world($node, 'postgres');
$node->safe_psql(
	'postgres', q{
	create role smith_admin login;
	select leadstream.grant_access('smith_admin', 'admin'), leadstream.grant_access('smith_admin', 'report');
	grant all on all tables in schema public to smith_admin;
	alter role dump_sales login;
	alter database postgres set search_path = public, leadstream});

foreach my $role ($node->safe_psql('postgres', 'select current_user'), 'smith_admin', 'dump_sales')
{
	my $report = '';
	my $run = IPC::Run::start [ 'sqlsmith', '--target=' . $node->connstr('postgres') . " user=$role", '--exclude-catalog',
		"--max-queries=$nqueries", '--seed=' . $seed++ ], '<' => '/dev/null', '>&' => \$report;

	ok($run->finish, "$role: sqlsmith comes to its end");
	is($node->safe_psql('postgres', disorder()), '', "$role: the lead tables are in order");
}
note 'functions of ours called: ' . $node->safe_psql('postgres', q{
	select count(*) || ', in all ' || sum(calls) || ' times' from pg_stat_user_functions where schemaname = 'leadstream' and calls > 0});
is_alive($node, 'postgres', 'afterwards');

# PostgreSQL has internal errors of its own for some queries.
my $ours = join '|', map { quotemeta basename $_ } glob "$FindBin::Bin/../../src/*.c";
my @complaints;
foreach my $c (LeadWorld::read_log($node->logfile))
{
	my ($file) = $c->{rest} =~ /LOCATION: +\w+, ([\w.]+):\d+/;
	next if $c->{text} !~ /terminated by signal/ && ($c->{state} !~ /^XX/ || ($file // '') !~ /^(?:$ours)$/);
	push @complaints, "$c->{text}\n$c->{rest}";
}
is(join("\n", @complaints), '', 'no crash, and no internal error of ours');

$node->stop;
done_testing();
