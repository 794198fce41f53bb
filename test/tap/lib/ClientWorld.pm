# ClientWorld: a server with the tables of README.md, as applications reach it,
# and the programs that are such applications.
#
# Clients come by TCP with a password, as a role that manages streams and owns no
# table.  A program in another language prints "ok - what" or "not ok - what" for
# each thing it looked at, and "# why" behind what failed; at its end "done".
# README's stream is switched off, so that what there is are the client's own leads.

package ClientWorld;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_world readme_code claim_code all_claimed client_way run_client write_file find_python install_npm can_run);

my $readme = slurp_file($ENV{LEADSTREAM_README} || "$FindBin::Bin/../../README.md");

# The code in README.md that is in a language, in order, each with the output
# that stands behind it.
sub readme_code
{
	my ($language, $section) = @_;
	my $text = $readme;

	($text) = $readme =~ /^#+ \Q$section\E\n(.*?)(?=^#+ |\z)/ms or die "no section $section"
	  if defined $section;
	my @found;
	push @found, [ $1, $2 ] while $text =~ /^```$language\n(.*?)^```\n(?:```\n(.*?)^```$)?/msg;
	return @found;
}

# The one block of a language in a section.  all_claimed() tells of those that
# nobody asked for: README.md shows no code that is not run.
my %claimed;

sub claim_code
{
	my ($language, $section) = @_;
	my @code = readme_code($language, $section);

	die scalar(@code) . " blocks of $language in $section" if @code != 1;
	$claimed{ $code[0][0] } = 1;
	return wantarray ? @{ $code[0] } : $code[0][0];
}

sub all_claimed
{
	my (@languages) = @_;
	my @left = grep { !$claimed{$_} } map { $_->[0] } map { readme_code($_) } @languages;

	is_deeply(\@left, [], "no other @languages in README.md");
	return;
}

my %way;

# A server on which the application's role logs in with a password, by TCP.
sub start_world
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $password = join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 20;
	my $sql = '';

	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
	$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\npassword_encryption = 'scram-sha-256'");
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256");
	$node->start;
	foreach my $section ('Install', 'Quick start', 'Attach tables')
	{
		$sql .= join "\n", map { $_->[0] } readme_code('sql', $section);
	}
	$node->safe_psql(
		'postgres', qq{
		set client_min_messages = error;
		$sql
		select leadstream.disable('Demo requests');
		create role shop login password '$password';
		grant all on all tables in schema public to shop;
		select leadstream.grant_access('shop', 'admin');
	});
	%way = (PGHOST => '127.0.0.1', PGPORT => $node->port, PGUSER => 'shop', PGPASSWORD => $password, PGDATABASE => 'postgres');
	return $node;
}

# By what way clients connect: the variables of libpq, which other drivers heed, too.
sub client_way
{
	my (%changed) = @_;

	%way = (%way, %changed);
	return %way;
}

# Make what a program tells assertions of ours.
sub run_client
{
	my ($what, @command) = @_;
	my ($output, $errors) = ('', '');
	my $last = 0;

	local @ENV{ keys %way } = values %way;
	IPC::Run::run [ 'timeout', '-k', '10', '240', @command ], '<', \undef, '>', \$output, '2>', \$errors;
	my $rc = $?;

	foreach my $line (split /\n/, $output)
	{
		if ($line =~ /^(not )?ok - (.*)/)
		{
			ok(!$1, "$what: $2");
		}
		else
		{
			$last = 1 if $line eq 'done';
			diag($line) if $line =~ /^#/;
		}
	}
	ok($rc == 0 && $last, "$what came to its end") or diag("exit status $rc\n$output$errors");
	return;
}

sub write_file
{
	my ($path, @content) = @_;

	open my $file, '>', $path or die "$path: $!";
	print $file @content;
	close $file or die "$path: $!";
	return $path;
}

sub can_run
{
	return system('command -v ' . quotemeta($_[0]) . ' >/dev/null 2>&1') == 0;
}

# The python that has these modules: Debian's own, whatever else is installed.
sub find_python
{
	my (@modules) = @_;

	foreach my $python ('/usr/bin/python3', 'python3')
	{
		return $python
		  if can_run($python) && system($python . " -c 'import " . join(', ', @modules) . "' >/dev/null 2>&1") == 0;
	}
	return;
}

# Packages from the registry that npm is configured for, in these versions, in a
# folder that goes with the test; undef, and why, where they are not to be had.
sub install_npm
{
	my (@packages) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir;

	foreach my $program ('node', 'npm')
	{
		return (undef, "there is no $program (Debian: nodejs, npm)") if !can_run($program);
	}
	# The home of whoever started the tests may be closed to us.
	local $ENV{npm_config_cache} = "$folder/cache";
	local $ENV{HOME} = -r ($ENV{HOME} // '') ? $ENV{HOME} : $folder;
	write_file("$folder/package.json", '{"private": true}');
	my @npm = ('timeout', '300', 'npm', 'install', '--prefix', $folder, '--ignore-scripts', '--fetch-retries', '1', '--no-audit', '--no-fund', @packages);
	if (system(join(' ', map { "'$_'" } @npm) . " >'$folder/npm.log' 2>&1") != 0)
	{
		diag(slurp_file("$folder/npm.log"));
		return (undef, "npm could not install @packages");
	}
	return ($folder, '');
}

1;
