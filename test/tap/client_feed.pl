# README's program that follows leads: it takes each once, also when it is killed
# in the middle and begun again while others write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use ClientWorld;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my ($folder, $missing) = install_npm('pg@8.23.1');
plan skip_all => $missing if !$folder;

my $node = start_world('feed');
my ($tables) = map { $_->[0] } readme_code('sql', 'Follow leads from Node');
$node->safe_psql(
	'postgres', qq{
	$tables
	select leadstream.enable('Demo requests');
	grant all on all tables in schema public to shop;
});
my $program = write_file("$folder/follow.cjs", scalar claim_code('js', 'Follow leads from Node'));
my ($output, $errors) = ('', '');
my $follower;

# It ends with us, and by itself if we are killed.
sub follow
{
	my %way = client_way();

	local @ENV{ keys %way } = values %way;
	return IPC::Run::start([ 'timeout', '--foreground', '300', 'node', $program ], '<', \undef, '>', \$output, '2>', \$errors);
}
END { local $?; $follower->kill_kill if $follower }

# Contacts who send forms, each in a transaction of its own, and some who do not.
my $make_leads = q{
	insert into contact (name, country) select 'Fia', (array['SE', 'DK'])[1 + i % 2] from generate_series(1, 10) i \gset
	do $$
	declare
		who bigint;
	begin
		for who in select contact_id from contact where name = 'Fia' loop
			insert into form_submit (contact_id, form) values (who, 'Request a demo');
			commit;
		end loop;
		update contact set name = 'Fia, who sent it' where name = 'Fia';
	end $$;
};
my $all_taken = q{
	select (select array_agg(lead_id order by lead_id) from welcome_mail)
		is not distinct from (select array_agg(lead_id order by lead_id) from leadstream.lead)};

$follower = follow();
ok($node->poll_query_until('postgres', $all_taken), 'the lead that was there is taken');
foreach my $round (1 .. 3)
{
	$node->safe_psql('postgres', $make_leads);
	if ($round == 2)
	{
		# In the middle, as far as chance goes: what it took then is taken once
		$follower->kill_kill(grace => 0);
		$follower = follow();
	}
	ok($node->poll_query_until('postgres', $all_taken), "all leads are taken, round $round");
}
is($node->safe_psql('postgres', 'select count(*) from leadstream.lead'), '16', 'which are those that there should be');
my $last = $node->safe_psql('postgres', q{select contact_id from leadstream.leads order by lead_id desc limit 1});
$follower->pump_nb;
like($output, qr/^Nordic Sales: contact $last \(Demo requests\)$/m, 'it says what it took');
is($errors, '', 'and complains of nothing');

# A mistake ends it, with its reason.
$node->safe_psql('postgres', q{drop table welcome_mail});
$node->safe_psql('postgres', $make_leads);
$follower->finish;
is($follower->result, 1, 'it ends when it cannot go on');
like($errors, qr/^42P01 relation "welcome_mail" does not exist/m, 'and says why');
undef $follower;

$node->stop;
done_testing();
