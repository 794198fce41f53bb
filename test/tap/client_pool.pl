# Applications behind pgbouncer in transaction mode: settings of a transaction do
# not reach another client's, and what is changed on one connection is heeded on all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use ClientWorld;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Debian has it where a plain user does not look.
my ($pgbouncer) = grep { can_run($_) } 'pgbouncer', '/usr/sbin/pgbouncer';
my $python = find_python('psycopg');
plan skip_all => 'there is no pgbouncer (Debian: pgbouncer)' if !$pgbouncer;
plan skip_all => 'there is no psycopg (Debian: python3-psycopg)' if !$python;

my $node = start_world('pool');
my $folder = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', 'create database shops');
$node->safe_psql(
	'shops', q{
	set client_min_messages = warning;
	create extension leadstream;
	create table contact (contact_id bigint generated always as identity primary key, account_id text not null, name text);
	create table form_submit (form_id bigint generated always as identity primary key,
		contact_id bigint not null references contact, form text, occurred_at timestamptz not null default now());
	create index on form_submit (contact_id, occurred_at);
	select leadstream.attach_contacts('contact', account => 'account_id');
	select leadstream.attach_activity('form_submit');
	grant all on all tables in schema public, leadstream to shop;
	grant all on all functions in schema leadstream to shop;
});

$node->safe_psql('postgres', 'create database prepared template shops');

# Later versions keep track of the statements that clients prepare.
my ($major, $minor) = `$pgbouncer --version` =~ /PgBouncer (\d+)\.(\d+)/ or die 'which pgbouncer?';
my $prepares = $major > 1 || $minor >= 21 ? 'max_prepared_statements = 100' : '';

my %server = client_way();
my $port = PostgreSQL::Test::Cluster::get_free_port();
write_file("$folder/users", qq{"$server{PGUSER}" "$server{PGPASSWORD}"\n});
chmod 0600, "$folder/users";
write_file(
	"$folder/pgbouncer.ini", qq{
[databases]
* = host=$server{PGHOST} port=$server{PGPORT}
[pgbouncer]
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
$prepares
auth_type = scram-sha-256
auth_file = $folder/users
logfile = $folder/pgbouncer.log
});

sub slurp_log
{
	return -e "$folder/pgbouncer.log" ? slurp_file("$folder/pgbouncer.log") : '';
}

# It ends with us, and by itself if we are killed.
my $pool = IPC::Run::start([ 'timeout', '--foreground', '500', $pgbouncer, '-q', "$folder/pgbouncer.ini" ],
	'<', \undef, '>', "$folder/output", '2>&1');
END { local $?; $pool->signal('TERM'), $pool->finish if $pool }

client_way(PGPORT => $port, PGDATABASE => 'shops');
$ENV{PYTHONDONTWRITEBYTECODE} = 1;
$ENV{PYTHONPATH} = "$FindBin::Bin/lib/client";

my $tries = 100;
select(undef, undef, undef, 0.1) while slurp_log() !~ /process up/ && --$tries > 0;
ok($tries > 0, 'pgbouncer is up') or BAIL_OUT(slurp_log() . slurp_file("$folder/output"));

run_client('pgbouncer', $python, "$FindBin::Bin/lib/client/pool.py");
if ($prepares)
{
	client_way(PGDATABASE => 'prepared');
	run_client('pgbouncer, prepared', $python, "$FindBin::Bin/lib/client/pool.py", 'prepare');
	client_way(PGDATABASE => 'shops');
}

# README's module, in the account of which it is
SKIP:
{
	my ($npm, $missing) = install_npm('pg@8.23.1');

	skip $missing, 1 if !$npm;
	run_client('node-postgres', 'node', "$FindBin::Bin/lib/client/accounts.mjs",
		write_file("$npm/accounts.mjs", scalar claim_code('js', 'Call it from an application')));
}

$pool->signal('TERM');
$pool->finish;
undef $pool;
$node->stop;
done_testing();
