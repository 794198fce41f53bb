#!/bin/bash
#
# fuzz.sh: the type leadstream.rule, and its JSON, against bytes made by libFuzzer, under the
# sanitizers of addresses and of undefined behaviour.
#
#   test/fuzz/fuzz.sh [SECONDS]       300 unless told; 0: only what is known
#
#   --keep FOLDER   take what an earlier run found worth keeping, and add to it
#   --corpus        write corpus.txt anew, of what is in it and in that folder and
#                   reaches more of the code than rules.txt does
#   --no-install    install no packages
#
# rules.txt are rules of the tests, corpus.txt is what fuzzing made of them.
# No server runs: the parser's own files and the SQL functions of the type are
# linked with backend.c.  fuzz_rule.c says what must hold.  An input that breaks
# it is printed and kept.

set -euo pipefail
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

install=1 found='' write=0 seconds=300
while [ $# -gt 0 ]; do
  case $1 in
    --keep) [ $# -ge 2 ] || usage; mkdir -p "$2"; found=$(cd "$2" && pwd); shift ;;
    --corpus) write=1 ;;
    --no-install) install=0 ;;
    [0-9]*) seconds=$1 ;;
    *) usage ;;
  esac
  shift
done
# shellcheck source-path=SCRIPTDIR source=../setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

setup_postgres
setup_packages clang libclang-rt-dev perl
command -v clang >/dev/null || die "no clang"
setup_work leadstream-fuzz
note "building for $("$pg_config" --version) with $(clang --version | head -n 1)"
setup_copy
cd "$work/tree"

# The files that make the type: each needs nothing of a server but backend.c.
build() {
  local name objects=() compile=(clang -g -O1 -fno-omit-frame-pointer
    -fsanitize=address,undefined -fno-sanitize-recover=undefined
    -DUSE_ASSERT_CHECKING=1 -D_GNU_SOURCE -I src -I "$("$pg_config" --includedir-server)"
    -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
    # PostgreSQL's headers were made for another compiler
    -Wno-ignored-attributes)
  as make -s PG_CONFIG="$pg_config" with_llvm=no src/rule_gram.c src/rule_scan.c || return
  for name in rule_type rule_gram rule_scan rule_build rule_text rule_hint number_text interval_text \
    rule_json_read rule_json_jquery rule_json_write rule_json_build rule_json_value rule_json_operator; do
    as "${compile[@]}" -fsanitize=fuzzer-no-link -c "src/$name.c" -o "$work/$name.o" || return
    objects+=("$work/$name.o")
  done
  as "${compile[@]}" -fsanitize=fuzzer test/fuzz/*.c "${objects[@]}" \
    -L"$("$pg_config" --pkglibdir)" -L"$("$pg_config" --libdir)" -lpgcommon -lpgport -lm -o "$work/fuzz_rule"
}
build >"$work/log/build.log" 2>&1 || { cat "$work/log/build.log"; die "the build failed"; }

# They hold an input a line, with what is not printable as \xHH.
as mkdir "$work/rules" "$work/corpus" "$work/edges" "$work/found" "$work/bad"
if [ -n "$found" ]; then find "$found" -type f -exec cp -t "$work/found" {} +; fi
for name in rules corpus; do
  as perl -ne '
    BEGIN { $folder = shift }
    chomp;
    s/\\x(..)/chr hex $1/ge;
    open my $file, ">:raw", sprintf("%s/%05d", $folder, $.) or die $!;
    print $file $_;' "$work/$name" <"test/fuzz/$name.txt"
done

# On either side of each limit: length, nesting, parts, digits.
as perl -e '
  my $n = 0;
  for ((map { "a = \x27" . "x" x $_ . "\x27" } 65529 .. 65531), (map { "a" . " " x $_ } 65535, 65536, 200000),
       (map { ("(" x $_ . "a" . ")" x $_, "not " x $_ . "a", "exists(k where " x $_ . "a" . ")" x $_) } 99, 100, 101, 4000),
       (map { ("a" . " and a" x $_, "a in (1" . ",1" x $_ . ")", "a" . ".b" x $_) } 3332, 3333, 9995 .. 9998),
       (map { ("a = " . "9" x $_, "a = 1e" . ($_ - 1), "a = ." . "0" x ($_ - 2) . "1") } 99 .. 102),
       # the same in JSON, and groups in groups
       (map { ("{\"not\":true,\"rules\":[" x $_ . "{\"field\":\"a\",\"operator\":\"holds\"}" . "]}" x $_,
               "{\"field\":\"k\",\"match\":{\"mode\":\"some\"},\"value\":{\"rules\":[" x $_ . "{\"field\":\"a\",\"operator\":\"null\"}" . "]}}" x $_,
               "{\"condition\":\"OR\",\"rules\":[" x $_ . "{\"id\":\"a\",\"operator\":\"is_null\"}" . "]}" x $_) } 98 .. 101, 199 .. 202, 1500),
       (map { "{\"combinator\":\"or\",\"rules\":[" . join(",", ("{\"field\":\"a\",\"operator\":\"null\"}") x $_) . "]}" } 3333, 3334)) {
    open my $file, ">:raw", sprintf("%s/edges/%03d", $ARGV[0], $n++) or die $!;
    print $file $_;
  }' "$work"

# The line of corpus.txt for a file.
line() {
  perl -0777 -pe 's/([^ -\[\]-~])/sprintf "\\x%02x", ord $1/ge; $_ .= "\n"' "$1"
}

run() {
  local log=$work/log/$1.log rc=0 file
  shift
  as env ${1:+FUZZ_ALL=1} UBSAN_OPTIONS=print_stacktrace=1 "$work/fuzz_rule" -artifact_prefix="$work/bad/" \
    -max_total_time="$seconds" "${@:2}" >"$log" 2>&1 </dev/null || rc=$?
  if [ $rc = 0 ]; then return; fi
  cat "$log" fuzz-*.log 2>/dev/null | grep -vE '^#[0-9]|^INFO: ' | head -n 60
  keep=1
  for file in "$work"/bad/*; do
    if [ -s "$file" ]; then note "the input, as a line of test/fuzz/corpus.txt:"; line "$file" | cut -c 1-2000; fi
  done
  note "kept: $work"
  exit 1
}

# First what is known and the limits, with each allocation failing in turn.
known=("$work/rules" "$work/corpus" "$work/found")
run replay 1 -runs=0 "$work/edges" "${known[@]}"
note "$(find "$work/edges" "${known[@]}" -type f | wc -l) inputs replayed"
if [ "$seconds" -gt 0 ]; then
  # One process a core; they look at each other's finds.  Their logs are fuzz-N.log here.
  run fuzz '' -jobs="$(nproc)" -workers="$(nproc)" -max_len=2000 -dict=test/fuzz/rule.dict "$work/found" "$work/rules" "$work/corpus"
  note "$(cat fuzz-*.log | awk '$1 == "Done" { runs += $2 } /cov: / && $4 > cov { cov = $4 }
    END { printf "%d inputs tried, %d edges of the code covered, nothing found", runs, cov }')"
fi
if [ -n "$found" ]; then find "$work/found" -type f -exec cp -t "$found" {} +; fi
if [ $write = 1 ]; then
  as cp -a "$work/rules" "$work/merged"
  run merge '' -merge=1 "$work/merged" "$work/corpus" "$work/found"
  for file in "$work"/merged/*; do
    if [ ! -e "$work/rules/${file##*/}" ]; then line "$file"; fi
  done | sort -u >"$tree/test/fuzz/corpus.txt"
  note "corpus.txt: $(wc -l <"$tree/test/fuzz/corpus.txt") inputs"
fi
