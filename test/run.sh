#!/bin/bash
#
# run.sh: every test of leadstream, on a throw-away server (see setup.sh).
#
#   test/run.sh                       all suites
#   test/run.sh SUITE [NAME...]       one suite, or some of its tests (globs)
#   test/run.sh --shell [ARG...]      psql on a fresh server with leadstream
#
# Suites: regress isolation pgtap tap agree, and real, which wants --data FOLDER
# (real data, see test/real) and is part of a whole run only with it.
#
#   --keep            leave the folder of the run behind (a failure does too)
#   --no-install      install no packages
#   --limit SECONDS   a file of tests that takes longer hangs (600)
#   -v NAME=VALUE     a psql variable for the scripts of agree and real, such as
#                     seed=1 or full=1
#   --set NAME=VALUE  a setting of the server
#   --sanitize        build with the sanitizer of undefined behaviour
#   --coverage FOLDER build for gcov, and put there what it counted
#   --valgrind FILE   run the server under valgrind with these suppressions; wants
#                     a PG_CONFIG as test/valgrind.sh makes it
#
# A regress file, an isolation spec and every TAP assertion count as one test.
# The last line is "N passed, N failed"; the exit status is 0 if tests ran and
# none failed.

set -euo pipefail
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

keep=0 install=1 shell=0 limit=600 data='' variables=()
flags='' settings='' coverage='' suppressions=''
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1 ;;
    --no-install) install=0 ;;
    --shell) shell=1; shift; break ;;
    --limit) [ $# -ge 2 ] || usage; limit=$2; shift ;;
    --data) [ $# -ge 2 ] || usage; data=$2; shift ;;
    -v) [ $# -ge 2 ] || usage; variables+=(-v "$2"); shift ;;
    --set) [ $# -ge 2 ] || usage; settings+="${2%%=*} = '${2#*=}'"$'\n'; shift ;;
    # PostgreSQL's own -fwrapv would make an overflow defined
    --sanitize) flags='-fsanitize=undefined -fno-wrapv -fno-omit-frame-pointer' ;;
    --coverage) [ $# -ge 2 ] || usage; coverage=$2 flags='--coverage -O0'; shift ;;
    --valgrind) [ $# -ge 2 ] || usage; suppressions=$2; shift ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

suites=(regress isolation pgtap tap agree)
all_suites=("${suites[@]}" real)
if [ -n "$data" ]; then
  data=$(cd "$data" && pwd) || exit 2
  suites+=(real)
fi
if [ $shell = 0 ] && [ $# -gt 0 ]; then
  case " ${all_suites[*]} " in *" $1 "*) ;; *) usage ;; esac
  suites=("$1")
  shift
  if [ "${suites[0]}" = real ] && [ -z "$data" ]; then die "the suite real wants --data FOLDER"; fi
fi
patterns=("$@")

passed=0 failed=0 finished=0

at_end() {
  if [ $shell = 1 ]; then return "$1"; fi
  # Whatever ended the run early is a failure of its own.
  if [ $finished = 0 ]; then failed=$((failed + 1)); fi
  # Worth a look, unless somebody stopped it.
  if [ $failed -gt 0 ] && [ "$1" -lt 128 ]; then keep=1; fi
  if [ "$keep" = 1 ] && [ -n "$work" ]; then note "kept: $work (results in log/ and out/)"; fi
  echo "$passed passed, $failed failed"
  [ $failed = 0 ] && [ $passed -gt 0 ]
}
trap 'at_end $? || exit 1' EXIT

setup_postgres
packages=()
if [ $shell = 0 ]; then
  packages+=(postgresql-%-pgtap libtap-parser-sourcehandler-pgtap-perl libipc-run-perl '?postgresql-%-cron')
fi
# what makes up queries, and what applications are written with, for the tap tests
# smith and client_*
if [ $shell = 0 ] && [[ " ${suites[*]} " == *' tap '* ]]; then
  packages+=('?sqlsmith' '?python3-psycopg' '?python3-psycopg2' '?python3-sqlalchemy' '?pgbouncer' '?libpostgresql-jdbc-java'
    '?default-jdk-headless=javac' '?nodejs=node' '?npm=npm')
fi
setup_packages "${packages[@]}"
setup_work leadstream-test
if [ -n "$suppressions" ]; then
  above="valgrind -q --trace-children=yes --log-file=$work/log/valgrind.%p.log --error-markers=BEGIN:,END:"
  above+=" --suppressions=$suppressions"
fi
note "building for $("$pg_config" --version)"
setup_build
setup_server

if [ $shell = 1 ]; then
  createdb dev
  psql -Xqd dev -c 'create extension leadstream'
  if [ -t 0 ]; then note "PGHOST=$work PGUSER=postgres psql dev: from elsewhere, while this one lasts"; fi
  psql -d dev "$@"
  exit
fi

cd "$work/tree"
as mkdir "$work/out"

# Is this test asked for?
wanted() {
  local pattern
  [ ${#patterns[@]} -gt 0 ] || return 0
  for pattern in "${patterns[@]}"; do
    # shellcheck disable=SC2053  # patterns are globs
    if [[ $1 == $pattern ]]; then return 0; fi
  done
  return 1
}

# Names of the tests in a folder, in the order they run.
names() {
  local dir=$1 ext=$2 file
  for file in "$dir"/*."$ext"; do
    if [ -e "$file" ]; then file=${file##*/}; echo "${file%."$ext"}"; fi
  done
}

# Run a suite's command; its output goes to log/NAME.log.
logged() {
  local name=$1
  shift
  as timeout -k 10 "$limit" "$@" >"$work/log/$name.log" 2>&1 </dev/null
}

count() { grep -cE "$1" "$2" || true; }

# pg_regress and its isolation sister speak TAP from 16 on.
driver() {
  # one program for all files of the suite
  local suite=$1 program=$2 rc=0 log good bad limit=$((limit * 4))
  shift 2
  log=$work/log/$suite.log
  as mkdir "$work/out/$suite"
  logged "$suite" "$program" --bindir="$bindir" --inputdir="test/$suite" --outputdir="$work/out/$suite" "$@" || rc=$?
  grep -E '^(test .* \.\.\. |ok |not ok )' "$log" | sed "s/^/$suite: /" || true
  good=$(count '^(test .* \.\.\. ok|ok +[0-9])' "$log")
  bad=$(count '^(test .* \.\.\. (FAILED|failed)|not ok +[0-9])' "$log")
  if [ $rc != 0 ] && [ "$bad" = 0 ]; then bad=1; tail -n 30 "$log"; fi
  if [ $rc = 124 ]; then note "stopped after $limit s"; fi
  passed=$((passed + good)) failed=$((failed + bad))
  if [ -s "$work/out/$suite/regression.diffs" ]; then head -n 400 "$work/out/$suite/regression.diffs"; fi
}

# Count a file's assertions.  A file that dies, or plans more than it runs, or
# runs nothing, fails even if each assertion made was good.
assertions() {
  local name=$1 rc=$2 seconds=$3 log good bad skipped planned made
  log=$work/log/$name.log
  good=$(count '^ok [0-9]+' "$log")
  # the last is how prove tells of a whole file
  skipped=$(count '^(ok [0-9]+.*# *[Ss][Kk][Ii][Pp]|1\.\.0 # *[Ss][Kk][Ii][Pp]|[^ ]+ \.+ skipped: )' "$log")
  bad=$(grep -E '^not ok [0-9]+' "$log" | grep -vc '# *TODO' || true)
  good=$((good - $(count '^ok [0-9]+.*# *[Ss][Kk][Ii][Pp]' "$log")))
  planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log" | tail -n 1)
  made=$(count '^(not )?ok [0-9]+' "$log")
  if [ "$bad" = 0 ] && { [ "$rc" != 0 ] || [ "${planned:-$made}" != "$made" ] || [ $((good + skipped)) = 0 ]; }; then
    bad=1
  fi
  passed=$((passed + good)) failed=$((failed + bad))
  if [ "$bad" = 0 ]; then
    printf '%-40s %s passed, %s skipped (%s s)\n' "${name/.//}" "$good" "$skipped" "$seconds"
    sed -nE 's/^([^ ]+ \.+ skipped:|ok [0-9]+.*# *skip) (.*)/# skipped: \2/Ip' "$log" | sort -u
  else
    printf '%-40s %s passed, %s FAILED (%s s)\n' "${name/.//}" "$good" "$bad" "$seconds"
    if [ "$rc" = 124 ]; then note "stopped after $limit s"; fi
    # The diagnostics of what failed, then how it ended.
    { grep -E -A 8 '^not ok ' "$log" || true; } | head -n 120
    note "end of $log:"
    tail -n 25 "$log"
  fi
}

# Every file gets a database of its own.
fresh_database() {
  as dropdb --if-exists -f "$1" 2>/dev/null
  as createdb -T "$2" "$1"
}

suite_regress() {
  local list=() name first='' last='' load=--load-extension=leadstream
  for name in $(names test/regress/sql sql); do
    case $name in
      # makes the extension for those behind it
      install) first=install load='' ;;
      uninstall) if wanted uninstall; then last=uninstall; fi ;;
      *) if wanted "$name"; then list+=("$name"); fi ;;
    esac
  done
  if [ ${#list[@]} = 0 ] && [ -z "$last" ] && { [ -z "$first" ] || ! wanted install; }; then return; fi
  # shellcheck disable=SC2086  # empty or one word each
  driver regress "$pgxs/src/test/regress/pg_regress" --dbname=contrib_regression $load $first "${list[@]}" $last
}

suite_isolation() {
  local list=() name
  for name in $(names test/isolation/specs spec); do
    if wanted "$name"; then list+=("$name"); fi
  done
  if [ ${#list[@]} = 0 ]; then return; fi
  driver isolation "$pgxs/src/test/isolation/pg_isolation_regress" --dbname=isolation_regression \
    --load-extension=leadstream "${list[@]}"
}

suite_pgtap() {
  local name rc start
  for name in $(names test/pgtap sql); do
    if ! wanted "$name"; then continue; fi
    if ! psql -Atc "select 1 from pg_database where datname = 'pgtap_template'" | grep -q 1; then
      createdb pgtap_template
      psql -Xqd pgtap_template -c 'create extension pgtap' -c 'create extension leadstream'
    fi
    fresh_database pgtap_test pgtap_template
    rc=0 start=$SECONDS
    logged "pgtap.$name" pg_prove -v --nocolor -d pgtap_test "test/pgtap/$name.sql" || rc=$?
    assertions "pgtap.$name" $rc $((SECONDS - start))
  done
}

# The Perl tests start servers of their own, with the settings of server.conf.
suite_tap() {
  local name rc start dir npm_config_registry
  # The tests may not be allowed to read what the caller's npm is told.
  if npm_config_registry=$(cd / && npm config get registry 2>/dev/null); then export npm_config_registry; fi
  for name in $(names test/tap pl); do
    if ! wanted "$name"; then continue; fi
    dir=$work/out/tap/$name
    as mkdir -p "$dir"
    rc=0 start=$SECONDS
    logged "tap.$name" env -u PGHOST -u PGUSER -u PGDATABASE TESTDIR="$dir" TESTDATADIR="$dir" TESTLOGDIR="$dir/log" \
      TEMP_CONFIG="$work/server.conf" PG_REGRESS="$pgxs/src/test/regress/pg_regress" \
      prove -v --nocolor -I "$pgxs/src/test/perl" -I test/tap "test/tap/$name.pl" || rc=$?
    assertions "tap.$name" $rc $((SECONDS - start))
  done
}

# Scenarios that print TAP by themselves.
suite_agree() {
  local name rc start
  for name in $(names test/agree sql); do
    if ! wanted "$name"; then continue; fi
    if ! psql -Atc "select 1 from pg_database where datname = 'agree_template'" | grep -q 1; then
      createdb agree_template
      psql -Xqd agree_template -c 'create extension leadstream'
    fi
    fresh_database agree_test agree_template
    rc=0 start=$SECONDS
    logged "agree.$name" psql -XqAt -v ON_ERROR_STOP=1 "${variables[@]}" -d agree_test \
      -f "test/agree/$name.sql" || rc=$?
    assertions "agree.$name" $rc $((SECONDS - start))
  done
}

# Scenarios over the data in a folder of the script's name, which the user who
# runs the server may not be allowed to read: so psql runs as the caller.
suite_real() {
  local name rc start
  for name in $(names test/real sql); do
    if ! wanted "$name" || [ ! -d "$data/$name" ]; then continue; fi
    fresh_database real_test template1
    rc=0 start=$SECONDS
    timeout -k 10 "$limit" psql -XqAt -v ON_ERROR_STOP=1 -v data="$data/$name" "${variables[@]}" -d real_test \
      -f "test/real/$name.sql" >"$work/log/real.$name.log" 2>&1 </dev/null || rc=$?
    assertions "real.$name" $rc $((SECONDS - start))
    grep '^# ' "$work/log/real.$name.log" || true
  done
}

# The specs keep one core busy with a server that nobody else wants meanwhile, and
# the TAP tests another with servers of their own: so a whole run has them side by side.
beside=''
begin_isolation() {
  # shellcheck disable=SC2030,SC2031  # what it counted comes by the file
  (
    passed=0 failed=0
    suite_isolation >"$work/log/isolation.out" 2>&1
    echo "$passed $failed" >"$work/log/isolation.count"
  ) &
  beside=$!
}

end_isolation() {
  local good=0 bad=1
  wait "$beside" || true
  beside=''
  if [ -e "$work/log/isolation.count" ]; then read -r good bad <"$work/log/isolation.count"; fi
  passed=$((passed + good)) failed=$((failed + bad))
  cat "$work/log/isolation.out"
}

for suite in "${suites[@]}"; do
  if [ "$suite" = isolation ] && [[ " ${suites[*]} " == *' tap '* ]]; then begin_isolation; else "suite_$suite"; fi
  if [ "$suite" = tap ] && [ -n "$beside" ]; then end_isolation; fi
done

# A backend that died is a failure whatever the tests made of it.
if grep -E 'was terminated by (signal|exception)|PANIC: |TRAP: ' "$work/log/server.log"; then
  note "a backend crashed"
  failed=$((failed + 1))
fi
# What the sanitizer and valgrind saw.  valgrind.PID.log is there from the start.
if grep -E ': runtime error: ' "$work/log/server.log" | sort | uniq -c | sort -rn | head -n 50 | grep .; then
  failed=$((failed + 1))
fi
if [ -n "$suppressions" ]; then
  as "$bindir/pg_ctl" -s -D "$work/data" -m fast stop
  if grep -h -A 30 'BEGIN:' "$work"/log/valgrind.*.log | head -n 400 | grep .; then failed=$((failed + 1)); fi
fi
if [ -n "$coverage" ]; then
  mkdir -p "$coverage"
  find src -name '*.gc??' -exec cp -t "$coverage" {} +
fi
finished=1
