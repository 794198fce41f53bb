#!/bin/bash
#
# bench.sh: the bars of leadstream and its rivals, on a throw-away server.
#
#   test/bench/bench.sh                 every line, small
#   test/bench/bench.sh --full          as large as the bars say: under forty minutes
#   test/bench/bench.sh --out FOLDER    where results go (a folder under /tmp, named at the end)
#   test/bench/bench.sh --only REGEX    only the parts with such a line (see bench.pl)
#
# --keep leaves the folder of the run behind, --no-install installs no packages.
# Smaller or larger, by environment: BENCH_ROWS a statement, BENCH_BELOW rows below,
# BENCH_HISTORY activities for fetch_history, BENCH_WAITING entries of the clock queue,
# BENCH_STREAMS at most, BENCH_ROUNDS, BENCH_SECONDS for a run of one-row inserts.  See
# test/setup.sh for how little it touches.

set -euo pipefail
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

keep=0 install=1 full=0 out='' only='' finished=0
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1 ;;
    --no-install) install=0 ;;
    --full) full=1 ;;
    --out) [ $# -ge 2 ] || usage; out=$2; shift ;;
    --only) [ $# -ge 2 ] || usage; only=$2; shift ;;
    *) usage ;;
  esac
  shift
done
# shellcheck source-path=SCRIPTDIR source=../setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

if [ -n "$out" ]; then
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
else
  out=$(mktemp -d /tmp/leadstream-bench-results.XXXXXX)
fi

# What was measured until then is worth having, however it ended.
at_end() {
  if [ -n "$work" ] && [ -d "$work/out" ]; then
    cp "$work"/out/* "$out" 2>/dev/null || true
    note "results: $out"
  fi
  if [ $finished = 0 ] && [ "$1" != 0 ] && [ "$1" -lt 128 ]; then keep=1; fi
  if [ "$keep" = 1 ] && [ -n "$work" ]; then note "kept: $work"; fi
  return "$1"
}

begun=$SECONDS
setup_postgres
setup_packages perl util-linux
setup_work leadstream-bench
note "building for $("$pg_config" --version)"
setup_build

# All in memory where it can be; nothing that starts by itself in the midst of a
# measurement; every query by one process, so that times compare.
memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
buffers=$((memory / 1024 / 4))
if [ $buffers -gt 4096 ]; then buffers=4096; fi
cat >>"$work/server.conf" <<CONF
shared_buffers = ${buffers}MB
work_mem = 64MB
maintenance_work_mem = 512MB
max_wal_size = 4GB
checkpoint_timeout = 1h
synchronous_commit = off
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
CONF
setup_server
note "ready after $((SECONDS - begun)) s"

as mkdir "$work/out"
cd "$work"
as env BENCH_WORK="$work" BENCH_FULL=$full BENCH_ONLY="$only" perl "$work/tree/test/bench/bench.pl"
finished=1
note "the whole run took $((SECONDS - begun)) s; the server and its folder are gone now"
