#!/bin/bash
#
# valgrind.sh: the tests on a PostgreSQL made to find mistakes.
#
#   test/valgrind.sh [SUITE [NAME...]]            under valgrind (regress)
#   test/valgrind.sh --asserts [SUITE [NAME...]]  without (regress and isolation, then
#                    some regress files with debug_discard_caches, where every
#                    invalidation that may come does)
#
#   --no-install     install no packages
#
# Debian's own server has neither assertions nor the marks by which valgrind sees
# the ends of palloc'd chunks, so one is built from Debian's source package, in
# five minutes, and kept (85 MB) in ${XDG_CACHE_HOME:-/var/tmp}/leadstream-valgrind.

set -euo pipefail
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

install=1 asserts=0
while [ $# -gt 0 ]; do
  case $1 in
    --asserts) asserts=1 ;;
    --no-install) install=0 ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

setup_postgres
[ -z "${PG_CONFIG:-}" ] || die "PG_CONFIG is what this makes; PGMAJOR chooses the version"
setup_packages valgrind dpkg-dev bzip2 xz-utils g++ libicu-dev libssl-dev zlib1g-dev pkg-config libipc-run-perl

cache=${XDG_CACHE_HOME:-/var/tmp}/leadstream-valgrind
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
server=$cache/$major

# The source of the distribution's own packages.  This machine's lists may lack
# it, and are not ours to change: they are made anew in a folder.
fetch() {
  local uri
  # shellcheck disable=SC2016  # apt's own variables
  apt-get indextargets --format 'deb-src $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    grep -E '/debian/? .* main$' | sort -u >sources.list
  mkdir -p lists/partial
  uri=(-q -o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$PWD/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User= -o Acquire::Check-Valid-Until=false)
  apt-get "${uri[@]}" update &&
    apt-get "${uri[@]}" source --download-only "postgresql-$major" &&
    mkdir source && tar -xf postgresql-"$major"_*.orig.tar.* -C source --strip-components=1
}

make_server() {
  cd "$1"
  fetch || return
  cd source
  CPPFLAGS=-DUSE_VALGRIND CFLAGS='-O1 -g' ./configure -q --prefix="$server" --enable-cassert --enable-debug \
    --enable-tap-tests --without-readline --with-icu --with-ssl=openssl || return
  make -s -j"$(nproc)" && make -s -C contrib -j"$(nproc)" && make -s install && make -s -C contrib install || return
  cp src/tools/valgrind.supp "$server"
}

exec 9>"$cache/lock"
flock 9
if [ ! -e "$server/valgrind.supp" ]; then
  note "building PostgreSQL $major with assertions in $server"
  rm -rf "$server"
  build=$(mktemp -d "$cache/build.XXXXXX")
  trap 'rm -rf "$build"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  (make_server "$build") >"$cache/$major.log" 2>&1 9>&- || { tail -n 30 "$cache/$major.log"; die "the build failed"; }
  chmod -R go+rX "$cache"
  rm -rf "$build"
fi
exec 9>&-

failed=0
tests() {
  PG_CONFIG=$server/bin/pg_config bash "$tree/test/run.sh" --limit 3600 "$@" || failed=1
}
if [ $asserts = 0 ]; then
  if [ $# = 0 ]; then set -- regress; fi
  # each of autovacuum's workers would take seconds to start, of a core that the tests want
  tests --set autovacuum=off --valgrind "$server/valgrind.supp" "$@"
elif [ $# -gt 0 ]; then
  tests "$@"
else
  tests regress
  tests isolation
  # hundreds of times slower: some that fill our own caches
  tests --set debug_discard_caches=1 regress odd_columns odd_keys renames keys
fi
exit $failed
