# A full disk: the statement that needs the room fails, and nothing else.
#
# The server is started with a limit on the size of files, which any user can
# set: a table that has reached it cannot grow, as where its disk is full.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $limit = 8192;				# in blocks of 512 bytes; more than a segment of WAL
plan skip_all => 'the size of files cannot be limited here' if system("ulimit -f $limit 2>/dev/null") != 0;
my $node = PostgreSQL::Test::Cluster->new('full');
$node->init(extra => [ '--wal-segsize=1' ]);
$node->append_conf('postgresql.conf', "log_statement = none\nlog_min_messages = error\nautovacuum = off");
$node->start;
make_world($node);

# One row makes a lead and many matches, so that the lead tables are full first.
$node->safe_psql(
	'postgres', q{
	select leadstream.create_stream('any' || i, 'exists(form)', '{sales}') from generate_series(1, 40) i;
	select leadstream.create_stream('later', 'exists(form where name = ''late'')', '{partners}');
	insert into contact (id, country) select i, 'SE' from generate_series(1, 20000) i});
enable_streams($node);
$node->stop;

system('sh', '-c', 'ulimit -f "$1" && exec pg_ctl -w -s -D "$2" -l "$3" start >/dev/null',
	'sh', $limit, $node->data_dir, $node->logfile) == 0 or BAIL_OUT('the server does not start');
$node->_update_pid(1);

# The complaint of a script, or nothing.
sub complaint
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql);

	return $err =~ /ERROR:  (.*)/ ? $1 : '';
}

sub is_exact_and_verified
{
	my ($when) = @_;

	is_exact($node, $when);
	is( $node->safe_psql(
			'postgres', q{
			select count(*) from leadstream.stream s
			cross join contact c
			where s.stream ~ '^any' and s.is_enabled
			  and exists (select from form f where f.contact_id = c.id)
				  <> exists (select from leadstream.lead_match m join leadstream.lead l using (lead_id)
							 where m.stream_id = s.stream_id and l.contact_id = c.id)}),
		'0', "$when: all of a row's matches are there, or none");
	is($node->safe_psql('postgres', 'select count(*) from leadstream.stream s, lateral leadstream.verify(s.stream)'),
		'0', "$when: live as in history");
	is($node->safe_psql('postgres', q{select count(*) from leadstream.streams where problem is not null}),
		'0', "$when: no stream is broken");
	return;
}

# until there is no room
my $error = '';
my $done = 0;
while ($done < 20000 && $error eq '')
{
	$error = complaint(sprintf('insert into form (contact_id, name) select i, \'contact\' from generate_series(%d, %d) i',
			$done + 1, $done + 100));
	$done += 100 if $error eq '';
}
like($error, qr/could not (?:extend|write)/, 'an insert fails where a lead table cannot grow');
cmp_ok($done, '>', 100, "after $done rows");
is($node->safe_psql('postgres', 'select count(*) from form'), $done, 'the rows of that statement are not there');
is_exact_and_verified('full');

# what else needs the room
$error = complaint(q{insert into form (contact_id, name) select i, 'contact' from generate_series(15001, 15100) i});
like($error, qr/could not (?:extend|write)/, 'another insert');
like(complaint(q{copy form (contact_id, name) from program 'for i in $(seq 15001 15100); do printf "%s\tx\n" $i; done'}),
	qr/could not (?:extend|write)/, 'COPY');
like( complaint(
		q{begin; savepoint s; insert into form (contact_id, name) select i, 'late' from generate_series(15001, 15100) i; rollback to s; commit}),
	qr/could not (?:extend|write)/, 'an insert after a savepoint');
is(complaint(q{do $$ begin
		insert into form (contact_id, name) select i, 'late' from generate_series(15001, 15100) i;
	exception when others then
		insert into visit (contact_id, url) values (15001, '/');
	end $$}), '', 'who expects the error goes on');
is($node->safe_psql('postgres', 'select count(*) from visit where contact_id = 15001'), '1', 'with what he does then');
is(complaint(q{begin; set local leadstream.capture = off;
		insert into form (contact_id, name) select i, 'contact' from generate_series(15001, 15100) i; commit}),
	'', 'rows for which no leads are made are stored');
like(complaint(q{select leadstream.fetch_history(array(select stream from leadstream.stream where is_enabled))}),
	qr/could not (?:extend|write)/, 'fetch_history fails');
is($node->safe_psql('postgres', 'select count(*) from leadstream.lead where contact_id between 15001 and 15100'),
	'0', 'and has made nothing');
is(complaint(q{select leadstream.disable('any1'); select leadstream.enable('any1'); alter table form rename name to title;
		alter table form rename title to name}), '', 'streams and columns can be changed');
is($node->safe_psql('postgres', disorder()), '', 'the lead tables are in order');

# There is room again.  History makes up for what was not captured.
$node->stop('fast');
$node->start;
cmp_ok($node->safe_psql('postgres', q{select leadstream.fetch_history(array(select stream from leadstream.stream where is_enabled))}),
	'>', 0, 'with room, fetch_history makes up for it');
is_exact_and_verified('with room');
is(complaint(q{insert into form (contact_id, name) select i, 'demo' from generate_series(16001, 16100) i}), '', 'inserts go on');
is_exact_and_verified('afterwards');
SKIP:
{
	skip 'no amcheck', 1 if complaint('create extension amcheck') ne '';
	is( complaint(
			q{select bt_index_parent_check(i.indexrelid, true) from pg_index i join pg_class c on c.oid = i.indexrelid
			  join pg_am m on m.oid = c.relam where m.amname = 'btree' and c.relkind = 'i'
				and c.relnamespace in ('leadstream'::regnamespace, 'public'::regnamespace)}),
		'', 'and no index is corrupt');
}
$node->stop;
done_testing();
