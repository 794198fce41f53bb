#!/usr/bin/perl
#
# coverage.pl FOLDER TREE: lines and branches of our C that the tests ran, from
# the .gcno and .gcda files in FOLDER, a line for each file, then what they add up
# to.  With --missing, each line and branch not run.  The exit status is 0 if the
# bars hold: 95 of 100 lines, 90 of 100 branches.
#
# What bison and flex bring along is not ours.  Not counted either:
#	- what "cannot happen": elog, Assert and pg_unreachable, and the branches of the
#	  "if" that has nothing but one of them to do; what follows an error that could be
#	  a soft one (YYABORT), where the server is older than 16 and knows none;
#	- branches that PostgreSQL's macros make and no test can choose: whether a
#	  level of errors is enabled (ereport), a signal is pending
#	  (CHECK_FOR_INTERRUPTS), a list of foreach is NIL or empty, how a datum is packed,
#	  a relation of ours has gone in the middle of DROP EXTENSION;
#	- of a switch that has one, the way on which none of its cases applies.
#
use strict;
use warnings;
use JSON::PP;

my %bar = (lines => 95, branches => 90);
my $missing = @ARGV && $ARGV[0] eq '--missing' ? shift : '';
die "usage: coverage.pl [--missing] FOLDER TREE\n" if @ARGV != 2;
my ($folder, $tree) = @ARGV;

# Which lines of a source are left out: 2 wholly, 1 their branches.
sub exceptions
{
	my @source = @_;
	my @out;
	my $within = 0;				# of a statement that goes on
	my $condition;				# where an "if" began that has not ended

	for my $n (0 .. $#source)
	{
		local $_ = $source[$n];
		s{/\*.*?\*/}{}g;
		my $kind = $within;
		if (/\b(?:elog\(|Assert\(|pg_unreachable\(|YYABORT;|return failed\()/)
		{
			$kind = 2;
			# the condition above it, if that is all it decides
			if (!/\bAssert/ && defined $condition)
			{
				$out[$_] = 1 for $condition .. $n - 1;
			}
		}
		elsif (/\b(?:ereport|ls_ereturn)\(/)
		{
			$kind = 1;
		}
		$within = $kind && !/;\s*(?:\\)?$/ ? $kind : 0;
		$out[$n] = $kind if $kind;
		$out[$n] = 1
		  if !$out[$n] && /\b(?:CHECK_FOR_INTERRUPTS|foreach\w*|forboth|PG_FREE_IF_COPY|PG_DETOAST_DATUM\w*|PG_GETARG_\w+_PP|VARDATA_ANY|VARSIZE_ANY\w*|fetch_att|store_att_byval|att_\w+|slot_getattr|heap_getattr|index_getattr|PG_END_TRY)\b|\bOidIsValid\(\w*relid\)/;
		if (/^\s*(?:\}?\s*else )?if \(/) { $condition = $n }
		elsif (/[;{}]\s*$/) { undef $condition }
	}
	return @out;
}

my (%line, %branch);
for my $notes (glob "$folder/*.gcno")
{
	open my $gcov, '-|', qw(gcov --branch-probabilities --json-format --stdout), $notes
	  or die "gcov: $!\n";
	for my $json (<$gcov>)
	{
		for my $file (@{ decode_json($json)->{files} })
		{
			my $name = $file->{file};
			next if $name !~ s{^(?:.*/)?src/}{src/} || $name =~ m{/rule_(?:gram|scan)\.[ch]$};
			for my $l (@{ $file->{lines} })
			{
				my $n = $l->{line_number} - 1;
				$line{$name}[$n] += $l->{count};
				my $i = 0;
				$branch{$name}[$n][ $i++ ] += $_->{count} for @{ $l->{branches} };
			}
		}
	}
	close $gcov or die "gcov failed on $notes\n";
}
die "nothing counted in $folder\n" if !%line;

my %sum;
printf "%-26s %15s %20s\n", '', 'lines', 'branches';
for my $name (sort keys %line)
{
	open my $source, '<', "$tree/$name" or next;	# of PostgreSQL
	my @source = <$source>;
	my @out = exceptions(@source);
	my %is = (lines => [ 0, 0 ], branches => [ 0, 0 ]);
	my @report;

	for my $n (0 .. $#source)
	{
		my ($count, $branches) = ($line{$name}[$n], $branch{$name}[$n]);
		next if !defined $count || ($out[$n] // 0) == 2;
		$is{lines}[ $count > 0 ? 0 : 1 ]++;
		my $untaken = 0;
		if (!$out[$n])
		{
			my $beside = $source[$n] =~ /^\s*switch \(/;
			for my $taken (@{ $branches // [] })
			{
				if (!$taken && $beside) { $beside = 0; next }
				$is{branches}[ $taken > 0 ? 0 : 1 ]++;
				$untaken++ if !$taken;
			}
		}
		push @report, sprintf "%s %4d: %s", $count ? "branch" : "line  ", $n + 1, $source[$n]
		  if !$count || $untaken;
	}
	printf "%-26s %s %s\n", $name, map {
		my ($run, $not) = @{ $is{$_} };
		$sum{$_}[0] += $run;
		$sum{$_}[1] += $not;
		share($run, $not);
	} qw(lines branches);
	print @report if $missing;
}
sub share
{
	my ($run, $not) = @_;
	return sprintf "%6d %5.1f %% (%4d)", $run, $run + $not ? 100 * $run / ($run + $not) : 100, $not;
}
printf "%-26s %s %s\n", 'all', map { share(@{ $sum{$_} }) } qw(lines branches);
my $good = 1;
for my $what (qw(lines branches))
{
	my ($run, $not) = @{ $sum{$what} };
	next if 100 * $run >= $bar{$what} * ($run + $not);
	print "fewer than $bar{$what} % of the $what\n";
	$good = 0;
}
exit !$good;
