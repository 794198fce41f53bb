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
	grant all on all tables in schema public to shop;
	select leadstream.grant_access('shop', 'admin');
});

$node->safe_psql('postgres', 'create database prepared template shops');

# Later versions keep track of the statements that clients prepare.
my ($major, $minor) = `$pgbouncer --version` =~ /PgBouncer (\d+)\.(\d+)/ or die 'which pgbouncer?';
my $prepares = $major > 1 || $minor >= 21 ? 'max_prepared_statements = 100' : '';

my %server = client_way();
my $port = PostgreSQL::Test::Cluster::get_free_port();
write_file("$folder/users", map { qq{"$_" "$server{PGPASSWORD}"\n} } $server{PGUSER}, 'desk');
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

# Sales users behind one login
$node->safe_psql(
	'shops', qq{
	set client_min_messages = warning;
	create role desk login password '$server{PGPASSWORD}';
	select leadstream.grant_access('desk', 'app');
	create temporary table lead_of (account text, team text, n integer);
	insert into lead_of select a, t, n from unnest('{d1,d2}'::text[]) a, unnest('{North,South}'::text[]) t, generate_series(1, 5) n;
	do \$\$
	declare
		a text;
		l record;
		who bigint;
	begin
		foreach a in array '{d1,d2}'::text[] loop
			perform set_config('leadstream.account', a, true);
			perform leadstream.create_team(t) from unnest('{North,South}'::text[]) t;
			perform leadstream.create_sales_user(u) from unnest('{Anna,Bert,Cleo}'::text[]) u where (a, u) not in (('d1', 'Cleo'), ('d2', 'Bert'));
			for l in select * from lead_of o where o.account = a loop
				insert into contact (account_id) values (a) returning contact_id into who;
				perform leadstream.create_lead(who, l.team);
			end loop;
			perform leadstream.add_member('North', 'Anna');
			if a = 'd1' then
				perform leadstream.add_member('South', u) from unnest('{Anna,Bert}'::text[]) u;
			end if;
		end loop;
	end \$\$;
});
client_way(PGUSER => 'desk');
run_client('pgbouncer, sales users', $python, "$FindBin::Bin/lib/client/desk.py");

$pool->signal('TERM');
$pool->finish;
undef $pool;
$node->stop;
done_testing();
