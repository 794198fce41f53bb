# Sixteen writers make leads of two teams at once, and each member gets his share.
#
# In READ COMMITTED and in REPEATABLE READ, with transactions of several
# statements in random orders of teams and contacts, savepoints, rollbacks, and members paused
# and taken back meanwhile.  Whoever took leads all the time has as many as
# every other such member, within one, over any run of a team's leads in the
# order in which they were handed out; no writer fails.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $writers = 16;
my $rounds = $ENV{LS_HAND_OUT_ROUNDS} || 40;

my $node = PostgreSQL::Test::Cluster->new('hand_out');
$node->init;
$node->append_conf('postgresql.conf', q{
	max_connections = 40
	deadlock_timeout = 50ms
	log_min_messages = warning
});
$node->start;
$node->safe_psql('postgres', q{
	create extension leadstream;
	create table contact (id bigint generated always as identity primary key);
	create table visit (contact_id bigint references contact, at timestamptz not null default clock_timestamp(), url text);
	create index on visit (contact_id, at);
	select leadstream.attach_contacts('contact');
	select leadstream.attach_activity('visit');
	select leadstream.create_team(t) from unnest('{North,South}'::text[]) t;
	select leadstream.create_sales_user(u) from unnest('{Ann,Bob,Cid,Dan,Eve}'::text[]) u;
	select leadstream.add_member('North', u) from unnest('{Ann,Bob,Cid,Dan}'::text[]) u;
	select leadstream.add_member('South', u) from unnest('{Eve,Dan,Bob}'::text[]) u;
	select leadstream.alter_team(t, hands_out => true) from unnest('{North,South}'::text[]) t;
	select leadstream.create_stream('north', 'exists(visit where url = ''/n'')', '{North}');
	select leadstream.create_stream('south', 'exists(visit where url = ''/s'')', '{South}');
	select leadstream.enable(s) from unnest('{north,south}'::text[]) s;
	insert into contact select from generate_series(1, 40);
});

# New contacts and old ones that everybody wants, in an order of chance; one
# transaction in five rolls back, one in three has a savepoint that does.
$node->safe_psql('postgres', q{
	create procedure work(writer integer, rounds integer) language plpgsql as $$
	declare
		fresh bigint;
		wanted bigint[];
	begin
		perform setseed(writer / 100.0);
		for i in 1 .. rounds loop
			-- in the order of their keys, as whoever does not want deadlocks does
			wanted := array(select c from unnest(array[(random() * 39)::integer + 1, (random() * 39)::integer + 1]) c order by c);
			insert into visit (contact_id, url) values (wanted[1], case when random() < 0.5 then '/n' else '/s' end);
			if random() < 0.3 then
				begin
					insert into contact default values returning id into fresh;
					insert into visit (contact_id, url) values (fresh, '/n'), (fresh, '/s');
					raise exception 'undone';
				exception when raise_exception then
					null;
				end;
			end if;
			insert into visit (contact_id, url) values (wanted[2], case when random() < 0.5 then '/n' else '/s' end);
			insert into contact default values returning id into fresh;
			insert into visit (contact_id, url) values (fresh, case when random() < 0.5 then '/n' else '/s' end);
			if random() < 0.2 then
				rollback;
			else
				commit;
			end if;
		end loop;
	end $$});

sub run_writers
{
	my ($isolation) = @_;
	my @children;

	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . ($isolation =~ s/ /\\ /r);
	foreach my $writer (1 .. $writers)
	{
		my $handle = { out => '', err => '' };

		$handle->{run} = IPC::Run::start(
			[ $node->installed_command('psql'), '-Xqd', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1',
				'-c', "call work($writer, $rounds)" ],
			'<', \undef, '>', \$handle->{out}, '2>', \$handle->{err});
		push @children, $handle;
	}
	# Cid comes and goes, and is not counted; Dan is deactivated and back at once
	foreach (1 .. 20)
	{
		$node->safe_psql('postgres', "select leadstream.pause_member('North', 'Cid')");
		$node->safe_psql('postgres', "select leadstream.resume_member('North', 'Cid')");
	}
	$_->{run}->finish foreach @children;
	return join('', map { $_->{err} } @children);
}

# For each pair of members who took leads all the time: over all runs of the
# team's leads, how far can one get ahead of the other?  That is how far their
# difference wanders.
my $apart = q{
	select coalesce(max(wander), 0) from (
		select greatest(max(sum), 0) - least(min(sum), 0) as wander
		from (
			select e.team_id, a.name as a, b.name as b,
				   sum(case e.new when a.name then 1 when b.name then -1 else 0 end)
					   over (partition by e.team_id, a.name, b.name order by e.event_id) as sum
			from leadstream.lead_event e
			join leadstream.team t using (team_id)
			cross join unnest(case t.team when 'North' then '{Ann,Bob,Dan}'::text[] else '{Eve,Dan,Bob}' end) as a(name)
			cross join unnest(case t.team when 'North' then '{Ann,Bob,Dan}'::text[] else '{Eve,Dan,Bob}' end) as b(name)
			where e.what = 'assigned' and a.name < b.name
		) as s
		group by team_id, a, b
	) as w};

foreach my $isolation ('read committed', 'repeatable read')
{
	is(run_writers($isolation), '', "$isolation: nobody fails");
	is( $node->safe_psql('postgres', 'select count(*) from leadstream.lead where assignee_id is null'),
		'0', "$isolation: every lead is somebody's");
	is( $node->safe_psql('postgres', q{select count(*) from leadstream.lead l
		left join leadstream.lead_event e on e.lead_id = l.lead_id and e.what = 'assigned'
		left join leadstream.sales_user u on u.sales_user = e.new
		where u.sales_user_id is distinct from l.assignee_id}),
		'0', "$isolation: the events tell whose");
	cmp_ok($node->safe_psql('postgres', 'select min(n) from (select count(*) as n from leadstream.lead group by team_id) q'),
		'>', 100, "$isolation: many leads were made");
	is($node->safe_psql('postgres', $apart), '1', "$isolation: nobody is ahead of another by more than one, over any run");
}
is($node->safe_psql('postgres', q{select deadlocks from pg_stat_database where datname = 'postgres'}), '0', 'no deadlock');

# Caps hold under sixteen writers: nobody is handed more than he may have.
$node->safe_psql('postgres', q{
	truncate visit;
	delete from leadstream.lead;
	select leadstream.alter_member('South', 'Eve', 7);
	select leadstream.alter_member('South', 'Dan', 11);
	select leadstream.pause_member('South', 'Bob');
});
is(run_writers('read committed'), '', 'with caps: nobody fails');
is( $node->safe_psql('postgres', q{select u.sales_user, count(*) from leadstream.lead l
	join leadstream.team t on t.team_id = l.team_id and t.team = 'South'
	left join leadstream.sales_user u on u.sales_user_id = l.assignee_id group by 1 having u.sales_user is not null order by 1}),
	"Dan|11\nEve|7", 'caps are reached and not passed');

$node->stop;
done_testing();
