# A cluster that pg_upgrade takes along is an equal one that goes on making leads.
#
# It goes to the newest PostgreSQL that is installed with its development files:
# by Debian under /usr/lib/postgresql, or where LEADSTREAM_UPGRADE_TO names its
# pg_config.  Where none is later than the one that is tested, that one, for
# pg_upgrade does the same then.  A later one is copied, for leadstream to be built
# for it and installed beside it: a server finds its folders relative to its program.
# So is any from 18 on, whose pg_upgrade looks for libraries there alone.

use strict;
use warnings;

use File::Basename;
use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::Bin/lib";

use LeadCatalog;
use LeadWorld;
use LivedWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub ask
{
	my ($pg_config, $what) = @_;

	chomp(my $answer = `$pg_config --$what`);
	return $answer;
}

sub major_of { return ask($_[0], 'version') =~ /(\d+)/ ? $1 : 0 }

my $here = major_of('pg_config');
my ($there) = sort { major_of($b) <=> major_of($a) }
  grep { -e ask($_, 'pgxs') && -x dirname($_) . '/pg_upgrade' }
  $ENV{LEADSTREAM_UPGRADE_TO} || glob('/usr/lib/postgresql/*/bin/pg_config');
BAIL_OUT("LEADSTREAM_UPGRADE_TO=$ENV{LEADSTREAM_UPGRADE_TO} has no pg_upgrade or no development files")
  if $ENV{LEADSTREAM_UPGRADE_TO} && !$there;
my $is_later = $there && major_of($there) > $here;
my $is_copied = $is_later || ($there && $here >= 18);
my $way = $is_later ? "$here to " . major_of($there) : "$here to another cluster of $here";

# leadstream for a copy of that PostgreSQL; where its programs are then.
sub install_copy
{
	my $stage = PostgreSQL::Test::Utils::tempdir() . '/stage';
	my $tree = PostgreSQL::Test::Utils::tempdir() . '/tree';
	my $log = "$PostgreSQL::Test::Utils::log_path/build.log";

	foreach my $folder (map { ask($there, $_) } qw(bindir sharedir pkglibdir))
	{
		make_path("$stage$folder");
		system('cp', '-a', "$folder/.", "$stage$folder") == 0 or BAIL_OUT("$folder could not be copied");
	}
	system('cp', '-a', "$FindBin::Bin/../..", $tree) == 0 or BAIL_OUT('the tree could not be copied');
	foreach my $goal ('clean', 'all', "install DESTDIR=$stage")
	{
		system("make -s -C $tree PG_CONFIG=$there with_llvm=no COPT=-Werror $goal >>$log 2>&1") == 0
		  or BAIL_OUT("make $goal failed: " . slurp_file($log));
	}
	return $stage . ask($there, 'bindir');
}


# --------------------------------------------------------------------------
# A cluster that has lived
# --------------------------------------------------------------------------

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
$old->start;
make_lived_world($old, 'postgres');
my @tables = split /\n/, $old->safe_psql(
	'postgres', q{
	select c.oid::regclass from pg_class c
	where c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)
	  and c.relkind in ('r', 'p') and not c.relispartition order by 1});
my $rows = rows_of($old, 'postgres', @tables);
my $views = views_of($old, 'postgres');
my $schema = schema_of($old, 'postgres');
my $sequences = sequences_of($old, 'postgres');
cmp_ok($old->safe_psql('postgres', "select count(*) from $_"), '>', 5, "there is something in $_")
  foreach qw(leadstream.lead leadstream.lead_match leadstream.lead_event leadstream.due leadstream.access_key);

# Releases of November 2026 note on each column of each table when it came, as an
# option pg_attver that only releases as young can read: to an older one of a later
# major pg_upgrade takes no cluster with a table in it.  leadstream goes there all
# the same.
sub knows_marks { return slurp_file("$_[0]/postgres") =~ /\bpg_attver\b/ }
my $oldbin = ask('pg_config', 'bindir');
my $newbin = $is_copied ? install_copy() : $oldbin;
if (knows_marks($oldbin) && !knows_marks($newbin))
{
	diag(ask($there, 'version') . ' is older than this release: marks of columns are taken off');
	$old->safe_psql(
		'postgres', q{
		update pg_attribute set attoptions = nullif(array(select o from unnest(attoptions) o where o !~ '^pg_attver='), '{}')
		where attoptions::text ~ 'pg_attver=' and attrelid >= 16384});
}
$old->stop;


# --------------------------------------------------------------------------
# The same elsewhere
# --------------------------------------------------------------------------

my $new = PostgreSQL::Test::Cluster->new('new', $is_copied ? (install_path => dirname($newbin)) : ());
{
	# the settings that show this server its extension are not for another
	local %ENV = %ENV;
	delete $ENV{TEMP_CONFIG} if $is_copied;
	$new->init(extra => [ '--no-locale', '-E', 'UTF8', $is_later && major_of($there) >= 18 && $here < 18 ? '--no-data-checksums' : () ]);
}
chdir $PostgreSQL::Test::Utils::tmp_check or die;
$new->command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $oldbin, '-B', $newbin,
		'-s', $new->host, '-p', $old->port, '-P', $new->port
	],
	"pg_upgrade from $way");
$new->start;

is(difference($rows, rows_of($new, 'postgres', @tables)), '', 'equal rows, derived ones among them');
is(sequences_of($new, 'postgres'), $sequences, 'sequences are where they were');
is(difference($views, views_of($new, 'postgres')), '', 'the views show the same');
# how keys and views are told differs between majors, but not from what is made there
is(difference($schema, schema_of($new, 'postgres')), '', 'equal tables, triggers, keys, views and rights') if !$is_later;
# The extension, without the rights that people gave, and the owner's own on a
# table, which are told as soon as there are others.
sub extension_of
{
	return catalog_of($new, $_[0]) =~ s/,dump_\w+=\w+\/\w+//gr =~ s/\|\{(\w+)=arwdDxtm?\/\g1\}$/|/gmr;
}
$new->safe_psql('postgres', 'create database fresh');
$new->safe_psql('fresh', 'create extension leadstream');
is(difference(extension_of('fresh'), extension_of('postgres')), '', 'the extension is the one that is made there');
is($new->safe_psql('postgres', disorder()), '', 'the lead tables are in order');
is($new->safe_psql('postgres', 'select string_agg(stream, \', \') from leadstream.streams where problem is not null'), '', 'no stream is broken');
is_alive($new, 'postgres', 'upgraded');
cmp_ok($new->safe_psql('postgres', 'select leadstream.index_streams()'), '>', 10, 'index_streams() gives streams their keys');
is( $new->safe_psql(
		'postgres', q{
		insert into contact (id, country, score) values (103, 'SE', 42);
		insert into form (contact_id, name) values (103, 'demo');
		insert into visit (contact_id, url, amount) values (103, '/prices', 4), (103, '/', 1);
		select string_agg(stream || ' ' || team, ', ' order by stream, team) from leadstream.matches where contact_id = 103}),
	'demo sales, good sales, next sales, prefix sales, range sales, swedish partners, swedish sales', 'by which they are found');
is( $new->safe_psql(
		'postgres', q{
		set leadstream.clock = '2040-01-01 00:00Z';
		select count(*) from leadstream.matches where stream = 'quiet' and origin = 'clock';
		do 'begin perform leadstream.tick(); end';
		select count(*) from leadstream.matches where stream = 'quiet' and origin = 'clock'}),
	"0\n10", 'who waited in the old cluster is settled by the clock');
is( $new->safe_psql(
		'postgres', q{
		alter table contact rename country to land;
		select rule from leadstream.segment where segment = 'north'}),
	"land = 'SE'", 'columns that are renamed are followed');
is($new->safe_psql('postgres', q{select count(*) from leadstream.stream s, lateral leadstream.verify(s.stream)}), '0', 'live as in history');
$new->stop;
done_testing();
