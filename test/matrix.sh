#!/bin/bash
#
# matrix.sh: the tests on every major that Debian has, each in a root of its own.
#
#   test/matrix.sh [SUITE...]  Debian suites (bookworm trixie sid)
#
#   --tests "SUITE NAME..."    arguments for test/run.sh: not all its tests
#   --refresh                  make the roots anew
#
# Needs root, and a mirror in this machine's apt sources.  Prints one line per
# suite; the exit status is 0 if all tests of all suites passed.
#
# Environment: MATRIX_CACHE, the folder in which roots (1.5 GB each) and logs are
# kept between runs (/var/tmp/leadstream-matrix).

# A root is a minimal Debian with a user "tester", who may install packages by
# sudo as test/run.sh does.  A run has its own mounts, processes, shared memory
# and host name: whatever it starts ends with it, and nothing stays mounted.
# What a failed run keeps lies in the root's /tmp until the next one.

set -euo pipefail
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }
die() { printf 'matrix.sh: %s\n' "$*" >&2; exit 3; }

tests=() refresh=0
while [ $# -gt 0 ]; do
  case $1 in
    --tests) [ $# -ge 2 ] || usage; read -ra tests <<<"$2"; shift ;;
    --refresh) refresh=1 ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie sid)

[ "$(id -u)" = 0 ] || die "only root can make a root folder and namespaces"
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${MATRIX_CACHE:=/var/tmp/leadstream-matrix}"
cache=$(cd "$MATRIX_CACHE" && pwd)
umask 022
export LC_ALL=C

if ! command -v debootstrap >/dev/null; then
  apt-get -qq update || true
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
    debootstrap >/dev/null </dev/null || die "no debootstrap"
fi

# The archive this machine installs from whose code name matches.
archive() {
  # shellcheck disable=SC2016  # apt's own variables
  apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    sed -n "s|^$1 \(.*[^/]\)/*\$|\1|p" | head -n 1
}
mirror=$(archive '[a-z]*')
security=$(archive '[a-z]*-security')
[ -n "$mirror" ] || die "no mirror in this machine's apt sources"

# Processes of a run die with unshare; what stops this script must reach it.
inside=''
trap 'if [ -n "$inside" ]; then kill -KILL "$inside" 2>/dev/null; fi' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Run a command in a root.  The shell stays: as process 1 it collects orphans.
enter() {
  local root=$1 rc=0
  shift
  # shellcheck disable=SC2016  # for the inner shell
  unshare --mount --pid --ipc --uts --fork --kill-child --propagation private bash -c '
    root=$1
    shift
    hostname localhost &&
    mount -t proc proc "$root/proc" &&
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" || exit
    chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
    exit' _ "$root" "$@" </dev/null &
  inside=$!
  wait "$inside" || rc=$?
  inside=''
  return $rc
}

# Add an archive if the mirror has it: not every suite has updates and fixes.
add_archive() {
  local root=$1 name=$2 line=$3 file
  file=$root/etc/apt/sources.list.d/$name.list
  echo "$line" >"$file"
  enter "$root" apt-get -q update -o APT::Update::Error-Mode=any || { rm -f "$file"; echo "without: $line"; }
}

make_root() {
  local suite=$1 root=$2
  rm -rf "$root" "$root.new"
  debootstrap --variant=minbase --include=sudo "$suite" "$root.new" "$mirror" </dev/null || return
  root=$root.new
  # A mirror that lags may serve an index past its date.
  printf '%s\n' 'Acquire::Check-Valid-Until "false";' 'APT::Keep-Downloaded-Packages "false";' \
    >"$root/etc/apt/apt.conf.d/99matrix"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  if [ "$suite" != sid ]; then
    add_archive "$root" updates "deb $mirror $suite-updates main"
    if [ -n "$security" ]; then add_archive "$root" security "deb $security $suite-security main"; fi
  fi
  chroot "$root" useradd --create-home tester || return
  echo 'tester ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/tester"
  mv "$root" "${root%.new}"
}

copy_tree() {
  local to=$1/srv/leadstream
  rm -rf "$to"
  mkdir -p "$to"
  tar -C "$tree" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --mode=u+rwX,go+rX -cf - . |
    tar -C "$to" --no-same-owner -xf -
}

failures=0
for suite in "${suites[@]}"; do
  [[ $suite =~ ^[a-z]+$ ]] || usage
  root=$cache/$suite log=$cache/$suite.log begun=$SECONDS rc=0

  # One run at a time in a root.
  exec 9>"$cache/$suite.lock"
  flock 9
  : >"$log"
  if [ $refresh = 1 ] || [ ! -d "$root" ]; then make_root "$suite" "$root" >>"$log" 2>&1 9>&- || rc=$?; fi
  if [ $rc = 0 ]; then
    find "$root/tmp" -mindepth 1 -delete
    copy_tree "$root"
    enter "$root" runuser -u tester -- env HOME=/home/tester \
      bash /srv/leadstream/test/run.sh "${tests[@]}" >>"$log" 2>&1 9>&- || rc=$?
  fi
  exec 9>&-

  version=$(sed -n 's/^# building for PostgreSQL \([0-9.]*[0-9]\).*/\1/p' "$log" | tail -n 1)
  result=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed$' || echo 'did not run')
  [ $rc = 0 ] || { failures=$((failures + 1)); result+=" (see $log)"; }
  printf '%-9s PostgreSQL %-6s %s, %d s\n' "$suite" "${version:-?}" "$result" $((SECONDS - begun))
done
[ $failures = 0 ]
