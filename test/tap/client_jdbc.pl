# An application in Java, by JDBC.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use ClientWorld;
use Test::More;

my $jar = '/usr/share/java/postgresql.jar';
plan skip_all => 'there is no javac (Debian: default-jdk-headless)' if !can_run('javac');
plan skip_all => 'there is no JDBC driver (Debian: libpostgresql-jdbc-java)' if !-e $jar;

my $node = start_world('jdbc');

run_client('JDBC', 'java', '-Dfile.encoding=UTF-8', '-Dstdout.encoding=UTF-8', '-cp', $jar, "$FindBin::Bin/lib/client/Work.java");
all_claimed('java');

$node->stop;
done_testing();
