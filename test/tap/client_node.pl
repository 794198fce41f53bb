# Applications in node-postgres, and the page of a rule builder in React.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use ClientWorld;
use PostgreSQL::Test::Utils;
use Test::More;

my ($folder, $missing) = install_npm('pg@8.23.1', 'react-querybuilder@8.24.1', 'react@19.3.1', 'react-dom@19.3.1', 'sucrase@3.35.1');
plan skip_all => $missing if !$folder;

my $node = start_world('node');

run_client('node-postgres', 'node', "$FindBin::Bin/lib/client/work.mjs", $folder);
run_client('react-querybuilder', 'node', "$FindBin::Bin/lib/client/page.mjs", $folder,
	write_file("$folder/page.jsx", scalar claim_code('jsx', 'A rule builder on a web page')));

# client_pool.pl and client_feed.pl run these
claim_code('js', 'Call it from an application');
claim_code('js', 'Follow leads from Node');
all_claimed('js', 'javascript', 'jsx', 'ts', 'tsx', 'typescript', 'mjs');

$node->stop;
done_testing();
