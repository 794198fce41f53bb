# Worker: a client of pgbench that goes on beside a test until it is told to stop;
# where an error has ended it, it is started again.

package Worker;

use strict;
use warnings;

use Exporter 'import';
use POSIX ();

our @EXPORT = qw(leave_running);

# Run the script $dir/$name.script against a node with these options of pgbench,
# until one of the files is there; returns the process.  What it complains of is in
# $dir/$name.err.
sub leave_running
{
	my ($node, $dir, $name, $options, @stop_files) = @_;
	my @command = (
		'bash', '-c',
		'until [ -e "$3" ] || [ -e "$4" ]; do pgbench -n -c 1 $5 -f "$1" >/dev/null 2>>"$2" || sleep 0.05; done',
		'worker', "$dir/$name.script", "$dir/$name.err", $stop_files[0], $stop_files[1] // '', $options);
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	local $ENV{PGAPPNAME} = $name;
	my $pid = fork;
	die "cannot fork: $!" if !defined $pid;
	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/$name.out";
		exec @command or POSIX::_exit(1);
	}
	return $pid;
}

1;
