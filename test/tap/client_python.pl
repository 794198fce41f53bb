# Applications in Python: psycopg, and SQLAlchemy that reads the views.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use ClientWorld;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = find_python('psycopg');
plan skip_all => 'there is no psycopg (Debian: python3-psycopg)' if !$python;

my $node = start_world('python');
my $folder = PostgreSQL::Test::Utils::tempdir;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
$ENV{PYTHONPATH} = "$FindBin::Bin/lib/client";
run_client('psycopg', $python, "$FindBin::Bin/lib/client/work.py");

SKIP:
{
	my $with = find_python('sqlalchemy', 'psycopg2');

	skip 'there is no SQLAlchemy with psycopg2 (Debian: python3-sqlalchemy, python3-psycopg2)', 1 if !$with;
	run_client('SQLAlchemy', $with, "$FindBin::Bin/lib/client/reflect.py");
}

# README's program prints what README says.
$node->safe_psql('postgres', q{select leadstream.enable('Demo requests')});
my ($program, $expected) = claim_code('python', 'Call it from an application');
my $output = '';
my %way = client_way();
{
	local @ENV{ keys %way } = values %way;
	IPC::Run::run [ $python, write_file("$folder/example.py", $program) ], '<', \undef, '>&', \$output;
}
is($output, $expected, 'the example prints what README.md says');
all_claimed('py', 'python');

$node->stop;
done_testing();
