# shellcheck shell=bash
#
# setup.sh: from a bare Debian machine to a throw-away server with leadstream.
#
# Sourced by run.sh, demo.sh, bench.sh and fuzz.sh.  Everything happens in one
# folder under /tmp, $work: a copy of the tree (so that an unprivileged user can
# build it, and the original stays as it is), the staged extension, the data
# directory and the socket.  The server listens on that socket only, the
# PostgreSQL found on the machine is never written to, and what ends at the end
# is only what runs out of $work.
#
#   setup_postgres        which PostgreSQL: sets major, and pg_config once known
#   setup_packages P...   install what is missing beside what a build needs; %
#                         stands for the major version; one with a ? before it
#                         may be missing in the end: its tests skip themselves;
#                         ?PACKAGE=PROGRAM is not wanted where there is the program
#   setup_work NAME       make $work and see to its end
#   setup_copy            copy the tree into $work; sets bindir, pgxs
#   setup_build           that, build with -Werror and $flags, stage
#   setup_server          initdb and start; exports PGHOST, PGUSER, PATH
#   as CMD...             run as the user who may run a server
#
# What is started may stand above the server: its words are in $above, and such a
# server is a copy of PG_CONFIG's.  $settings are lines for its configuration.
#
# Environment: PG_CONFIG (a PostgreSQL of your own: nothing is installed for
# it) or PGMAJOR (15 ... 18).

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work='' bindir='' pgxs='' lists_fresh=0
keep=${keep:-0} install=${install:-1}
flags=${flags:-} above=${above:-} settings=${settings:-}
pg_config=${PG_CONFIG:-} major=${PGMAJOR:-}

# A caller's connection settings, make flags and locale must not leak into what
# is tested.  DATA and TESTS come from "make demo DATA=..." and would be read by
# the Makefile of the copy.
unset "${!PG@}" MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL MAKE_TERMOUT MAKE_TERMERR DATA TESTS
export LC_ALL=C

note() { printf '# %s\n' "$*"; }
die() { printf 'leadstream: %s\n' "$*" >&2; exit 3; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "not root and no sudo; as root, run: $*"
  sudo "$@"
}

# The server refuses to run as root; the user postgres comes with its package.
as() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# The newest installed PostgreSQL that extensions can be built for, else the one
# of the distribution.
setup_postgres() {
  local file
  if [ -n "$pg_config" ]; then
    [ -x "$(command -v "$pg_config")" ] || die "PG_CONFIG=$pg_config is no program"
    major=$("$pg_config" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  elif [ -z "$major" ]; then
    for file in /usr/lib/postgresql/*/lib/pgxs/src/makefiles/pgxs.mk; do
      [ -e "$file" ] || continue
      file=${file#/usr/lib/postgresql/} file=${file%%/*}
      if [ "$file" -ge 15 ] && [ "$file" -gt "${major:-0}" ]; then major=$file; fi
    done
    if [ -z "$major" ]; then
      command -v apt-cache >/dev/null || die "no PostgreSQL 15 or later with its development files; set PG_CONFIG"
      distribution_major
      if [ -z "$major" ] && [ "$install" = 1 ]; then update_lists; distribution_major; fi
    fi
  fi
  [ "${major:-0}" -ge 15 ] || die "PostgreSQL 15 or later is needed, found '${major:-none}'; set PGMAJOR or PG_CONFIG"
}
distribution_major() {
  major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
}

# Package lists may be missing, or older than the archive they describe.
update_lists() {
  [ $lists_fresh = 0 ] || return 0
  note "reading package lists"
  as_root apt-get -qq update || note "apt-get update failed; going on with the lists there are"
  lists_fresh=1
}

setup_packages() {
  local package missing=() wanted=() optional=() dir=/etc/postgresql-common/createcluster.d file="leadstream-$$.conf" rc=0 log
  if [ -n "$pg_config" ]; then return; fi
  command -v dpkg-query >/dev/null || die "no dpkg here; install the tools and set PG_CONFIG"
  for package in make gcc libc6-dev bison flex postgresql-% postgresql-server-dev-% "$@"; do
    package=${package//%/$major}
    if [[ $package == \?* ]]; then
      optional+=("${package#\?}")
      continue
    fi
    wanted+=("$package")
    [ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    [ "$install" = 1 ] || die "missing packages: ${missing[*]}"
    update_lists
    note "installing ${missing[*]}"
    log=$(mktemp /tmp/leadstream-apt.XXXXXX)
    # shellcheck disable=SC2064  # the names of now
    trap "as_root rm -f '$dir/$file' '$log'; exit 130" INT TERM HUP
    # The server package would make and start a cluster; nobody asked for one.
    as_root mkdir -p "$dir"
    echo 'create_main_cluster = false' | as_root tee "$dir/$file" >/dev/null
    # All are named, so that server and headers come to the same minor version.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
      install -y --no-install-recommends "${wanted[@]}" </dev/null >"$log" 2>&1 || rc=$?
    as_root rm -f "$dir/$file"
    trap - INT TERM HUP
    if [ $rc != 0 ]; then cat "$log"; fi
    rm -f "$log"
    [ $rc = 0 ] || die "apt-get could not install ${missing[*]}"
  fi
  for package in ${optional[@]+"${optional[@]}"}; do
    if [ "$install" = 1 ] && ! have_optional "$package"; then install_optional "${package%=*}"; fi
  done
  pg_config=/usr/lib/postgresql/$major/bin/pg_config
}

have_optional() {
  if [[ $1 == *=* ]] && command -v "${1#*=}" >/dev/null; then return 0; fi
  [ "$(dpkg-query -Wf '${db:Status-Status}' "${1%=*}" 2>/dev/null || true)" = installed ]
}

# Each by itself, for one may be missing; the second time with lists of today.
install_optional() {
  local try rc=1 policy=/usr/sbin/policy-rc.d
  if [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; then
    # Nobody asked for the service that pgbouncer's package would start.
    if [ -e $policy ]; then
      policy=''
    else
      # shellcheck disable=SC2064  # the name of now
      trap "as_root rm -f '$policy'; exit 130" INT TERM HUP
      printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
      as_root chmod 755 $policy
    fi
    for try in 1 2; do
      note "installing $1"
      rc=0
      as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends --no-upgrade --no-remove "$1" </dev/null >/dev/null 2>&1 || rc=$?
      if [ $rc = 0 ] || [ $try = 2 ] || [ $lists_fresh = 1 ]; then break; fi
      update_lists
    done
    if [ $rc = 0 ] && [ "$1" = pgbouncer ] && [ -d /run/systemd/system ]; then as_root systemctl -q disable pgbouncer || true; fi
    if [ -n "$policy" ]; then
      as_root rm -f $policy
      trap - INT TERM HUP
    fi
  fi
  [ $rc = 0 ] || note "there is no $1 to be had; what needs it is skipped"
}

setup_work() {
  work=$(mktemp -d "/tmp/$1.XXXXXX")
  chmod 755 "$work"
  # The caller's folder may be closed to the user who runs the server.
  cd "$work" || exit
  trap 'setup_end $?' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# Servers whose data directory lies in $work are ours, tests' own ones included.
setup_end() {
  local rc=$1 pidfile
  trap - EXIT
  set +e
  if declare -F at_end >/dev/null; then at_end "$rc"; rc=$?; fi
  if [ -n "$work" ] && [ -d "$work" ]; then
    while IFS= read -r pidfile; do
      as "$bindir/pg_ctl" -D "$(dirname "$pidfile")" -m immediate -s stop >/dev/null 2>&1
    done < <(find "$work" -name postmaster.pid 2>/dev/null)
    # tests that ran beside others end with their server
    wait
    [ "$keep" = 1 ] || rm -rf "$work"
  fi
  exit "$rc"
}

# shellcheck disable=SC2034  # pgxs is for those who source this
setup_copy() {
  mkdir "$work/tree" "$work/log"
  tar -C "$tree" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
    --exclude='./leadstream--*.sql' --exclude='./src/rule_gram.[ch]' --exclude=./src/rule_scan.c \
    --exclude=./results --exclude='./regression.*' --exclude=./output_iso --exclude=tmp_check -cf - . |
    tar -C "$work/tree" --no-same-owner --no-same-permissions -xf -
  chmod -R u+rwX,go+rX "$work/tree"
  if [ "$(id -u)" = 0 ]; then chown -R postgres "$work"; fi

  bindir=$("$pg_config" --bindir)
  pgxs=$(cd "$(dirname "$("$pg_config" --pgxs)")/../.." && pwd)
}

setup_build() {
  local from
  setup_copy
  # Bitcode doubles the time of the build and is for JIT inlining only.
  as make -s -C "$work/tree" -j"$(nproc)" PG_CONFIG="$pg_config" with_llvm=no COPT="-Werror $flags" \
    >"$work/log/make.log" 2>&1 </dev/null || { cat "$work/log/make.log"; die "the build failed"; }
  as make -s -C "$work/tree" PG_CONFIG="$pg_config" with_llvm=no COPT="-Werror $flags" DESTDIR="$work/stage" install \
    >>"$work/log/make.log" 2>&1 </dev/null || { cat "$work/log/make.log"; die "make install failed"; }

  released_scripts

  # How a server finds a staged extension: upstream's settings from 18 on, a
  # patch of Debian's before.  A plain server of 15 to 17 has neither, but takes
  # its folders relative to the program, so a copy of it serves.
  {
    if [ "$major" -ge 18 ]; then
      echo "extension_control_path = '$work/stage$("$pg_config" --sharedir):\$system'"
      echo "dynamic_library_path = '$work/stage$("$pg_config" --pkglibdir):\$libdir'"
    elif grep -q extension_destdir "$bindir/postgres"; then
      echo "extension_destdir = '$work/stage'"
    fi
    # Nothing here outlives the run.
    printf '%s\n' 'fsync = off' 'full_page_writes = off' "timezone = 'UTC'" 'max_prepared_transactions = 10'
    if [ -e "$work/tree/test/server.conf" ]; then cat "$work/tree/test/server.conf"; fi
    echo "$settings"
  } >"$work/server.conf"
  if [ "$major" -lt 18 ] && ! grep -q extension_destdir "$work/server.conf"; then
    for from in "$("$pg_config" --bindir)" "$("$pg_config" --sharedir)" "$("$pg_config" --pkglibdir)"; do
      as mkdir -p "$work/stage$from"
      as cp -a "$from/." "$work/stage$from"
    done
    bindir=$work/stage$bindir
    if [ -n "$above" ]; then server_above; fi
  fi
  chmod 644 "$work/server.conf"
}

# The install scripts of released versions, tags vX.Y, as far as the history is
# there, beside the present one: for test/tap/update.pl.
released_scripts() {
  local tag version to
  to=$work/stage$("$pg_config" --sharedir)/extension
  for tag in $(git -c safe.directory='*' -C "$tree" tag --list 'v[0-9]*' 2>/dev/null); do
    version=${tag#v}
    if [ -e "$to/leadstream--$version.sql" ]; then continue; fi
    git -c safe.directory='*' -C "$tree" archive "$tag" src/schema | tar -xOf - --wildcards 'src/schema/[0-9]*.sql' |
      as tee "$to/leadstream--$version.sql" >/dev/null
  done
}

# Put a script in the place of the server's program.  The server that initdb
# uses, and its answers about itself, are not what anybody wants to watch.
server_above() {
  as mv "$bindir/postgres" "$bindir/postgres.program"
  as tee "$bindir/postgres" >/dev/null <<END
#!/bin/sh
case \$1 in
  --boot | --single | --check | --describe-config | --version | -[VC]) exec '$bindir/postgres.program' "\$@" ;;
esac
exec $above '$bindir/postgres.program' "\$@"
END
  as chmod 755 "$bindir/postgres"
}

setup_server() {
  as "$bindir/initdb" -D "$work/data" -U postgres -A trust --no-sync --no-locale -E UTF8 \
    >"$work/log/initdb.log" 2>&1 </dev/null || { cat "$work/log/initdb.log"; die "initdb failed"; }
  {
    cat "$work/server.conf"
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$work'"
  } | as tee -a "$work/data/postgresql.conf" >/dev/null
  as "$bindir/pg_ctl" -s -w -D "$work/data" -l "$work/log/server.log" start </dev/null >/dev/null ||
    { cat "$work/log/server.log"; die "the server did not start"; }
  export PGHOST=$work PGUSER=postgres PGDATABASE=postgres PATH="$bindir:$PATH"
}
