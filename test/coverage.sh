#!/bin/bash
#
# coverage.sh: which lines and branches of our C the tests run.
#
#   test/coverage.sh [--missing] [SUITE [NAME...]]
#
# Without a suite all of test/run.sh; what coverage.pl prints, with --missing every
# line and branch that did not run too.  The exit status is 0 if its bars hold.

set -euo pipefail
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

missing=''
if [ "${1:-}" = --missing ]; then missing=$1; shift; fi
case ${1:-} in -*) usage ;; esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
counted=$(mktemp -d /tmp/leadstream-coverage.XXXXXX)
trap 'rm -rf "$counted"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A test that fails is a reason not to believe the figures, not to have none.
failed=0
bash "$here/run.sh" --coverage "$counted" "$@" || failed=1
perl "$here/coverage.pl" ${missing:+"$missing"} "$counted" "$here/.." || failed=1
exit $failed
