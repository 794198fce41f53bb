# An older version that is updated is the same as this one made fresh.
#
# Released versions are tags vX.Y of the repository: test/run.sh puts the install
# script of each, leadstream--X.Y.sql, beside the present one, and each has to
# come here by the scripts in src/schema/updates.  As long as none is released,
# and afterwards to know that the comparison sees what it has to see, versions are
# made up of the present one, with something left out, and brought back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use LeadCatalog;
use LeadWorld;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('update');
$node->init;
$node->start;

# Where the server finds the scripts: the settings of 18, Debian's before, or its own folder.
my ($folder) = grep { -e "$_/leadstream.control" } map { "$_/extension" } split /\n/, $node->safe_psql(
	'postgres', q{
	select u.path from unnest(string_to_array(current_setting('extension_control_path', true), ':')) as u(path)
	union all
	select coalesce(current_setting('extension_destdir', true), '') || c.setting from pg_config c where c.name = 'SHAREDIR'});
ok(defined $folder, 'there are scripts') or BAIL_OUT('no scripts');
my ($version) = slurp_file("$folder/leadstream.control") =~ /^default_version = '(.*)'$/m;
my $script = slurp_file("$folder/leadstream--$version.sql");
my @made;
END { unlink @made }

# A script that the server finds.
sub put
{
	my ($name, $text) = @_;

	push @made, "$folder/leadstream--$name.sql";
	open my $file, '>', $made[-1] or die "$made[-1]: $!";
	print $file $text;
	close $file;
	return;
}

sub updated
{
	my ($from) = @_;
	my $database = "from_$from" =~ s/\W/_/gr;

	$node->safe_psql('postgres', "create database $database");
	$node->safe_psql($database, "create extension leadstream version '$from'");
	$node->safe_psql($database, 'alter extension leadstream update');
	return catalog_of($node, $database);
}

$node->safe_psql('postgres', 'create database fresh');
$node->safe_psql('fresh', 'create extension leadstream');
my $fresh = catalog_of($node, 'fresh');
cmp_ok(scalar(split /\n/, $fresh), '>', 500, 'a fresh extension is made of many things');
$node->safe_psql('postgres', 'create database again');
$node->safe_psql('again', 'create extension leadstream');
is(difference($fresh, catalog_of($node, 'again')), '', 'always the same ones');

# --------------------------------------------------------------------------
# Versions that were released
# --------------------------------------------------------------------------
foreach my $path (sort glob("$folder/leadstream--*.sql"))
{
	my ($from) = $path =~ /leadstream--([^-]*)\.sql$/ or next;
	next if $from eq $version;
	is(difference($fresh, updated($from)), '', "version $from updated is this one made fresh");
}

# --------------------------------------------------------------------------
# Versions made up
# --------------------------------------------------------------------------

# A base, by what is undone after the script; the way here, by what makes it good.
my $number = 0;
sub made_up
{
	my ($undo, $redo) = @_;
	my $from = '0.0.' . ++$number;

	put($from, "$script\n$undo\n");
	put("$from--$version", "\\echo Use \"alter extension leadstream update\" to load this file. \\quit\nset local search_path = pg_catalog, pg_temp;\n$redo\n");
	return updated($from);
}

my $trigger = q{create trigger invalidate after insert or update or delete or truncate on leadstream.segment
	for each statement execute function leadstream.invalidate();
	alter table leadstream.segment enable always trigger invalidate;
	comment on trigger invalidate on leadstream.segment is 'tells all sessions to read the streams anew';};
my $home = q{create function leadstream.again() returns void language sql set search_path = pg_catalog, pg_temp begin atomic select; end;};
is( difference($fresh, made_up(
			"drop trigger invalidate on leadstream.segment; alter table leadstream.stream drop column is_littered; $home",
			"$trigger
			alter table leadstream.stream add column is_littered boolean not null default false;
			create index stream_littered_idx on leadstream.stream (stream_id) where is_littered;
			comment on column leadstream.stream.is_littered is '" . $node->safe_psql('fresh',
				q{select replace(col_description('leadstream.stream'::regclass, attnum), '''', '''''') from pg_attribute where attrelid = 'leadstream.stream'::regclass and attname = 'is_littered'}) . "';
			drop function leadstream.again();")) =~ s/^[-+] column\|leadstream\.stream \d+\|is_littered.*\n?//gmr,
	'', 'what was left out comes back; but for the number of its column');

# what is forgotten, or made otherwise, is seen
my %wrong = (
	'a function' => [ $home, '' ],
	'a trigger' => [ 'drop trigger invalidate on leadstream.segment', '' ],
	'a trigger that is not enabled as it should' => [ 'drop trigger invalidate on leadstream.segment', $trigger =~ s/alter table.*?;//sr ],
	'the body of a function' => [ q{create or replace function leadstream.current_account() returns text language sql stable parallel safe
		set search_path = pg_catalog, pg_temp as 'select ''''::text'}, '' ],
	'the label of a function' => [ 'alter function leadstream.current_account() volatile', '' ],
	'rights' => [ 'grant execute on function leadstream.tick() to public', '' ],
	'rights on a table' => [ 'grant select on leadstream.team to public', '' ],
	'a comment' => [ q{comment on table leadstream.team is 'x'}, '' ],
	'a column' => [ 'alter table leadstream.team add x integer', '' ],
	'the order of columns' => [ 'alter table leadstream.team_member drop joined_at', 'alter table leadstream.team_member add joined_at timestamptz not null default statement_timestamp()' ],
	'a default' => [ 'alter table leadstream.team alter hands_out drop default', '' ],
	'a constraint' => [ 'alter table leadstream.team_member drop constraint team_member_max_open_check', '' ],
	'an index' => [ 'drop index leadstream.stream_changed_idx', '' ],
	'a view' => [ 'create view leadstream.more as select 1 as one', '' ],
	'an event trigger' => [ 'drop event trigger leadstream_miss_columns', '' ],
	'what is dumped' => [ q{select pg_extension_config_dump('leadstream.access_key', '')}, '' ],
	'what is no member' => [ '', 'alter extension leadstream drop function leadstream.tick()' ]);
isnt(difference($fresh, made_up("$wrong{$_}[0];", "$wrong{$_}[1];")), '', "seen: $_") foreach sort keys %wrong;

# --------------------------------------------------------------------------
# An update in the life of a database
# --------------------------------------------------------------------------
$node->safe_psql('postgres', 'create database lived');
put('0.0.0', "$script\ndrop trigger invalidate on leadstream.segment;\n");
put("0.0.0--$version", "set local search_path = pg_catalog, pg_temp;\n$trigger\n");
{
	make_world($node, 'lived', '0.0.0');
	enable_streams($node, 'lived');
	my $psql = $node->background_psql('lived');
	$psql->query_safe(q{insert into contact (id, country, score) values (1, 'SE', 90); insert into form (contact_id, name) values (1, 'demo')});
	$node->safe_psql('lived', 'alter extension leadstream update');
	$psql->query_safe(q{insert into contact (id, country, score) values (2, 'SE', 90); insert into form (contact_id, name) values (2, 'demo')});
	$psql->quit;
}
is(join('', map { $node->safe_psql('lived', mismatches($_)) } sort keys %LeadWorld::streams), '', 'a session that goes on makes its leads');
is($node->safe_psql('lived', disorder()), '', 'the lead tables are in order');
is(difference($fresh, catalog_of($node, 'lived')) =~ s/^[-+] schema\|.*\n?//gmr, '', 'and the extension is this one');
$node->stop;
done_testing();
