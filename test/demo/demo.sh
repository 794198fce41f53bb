#!/bin/bash
#
# demo.sh: the main job of leadstream, shown on a throw-away server.
#
#   test/demo/demo.sh                  a generated B2B world and its story
#   test/demo/demo.sh --data FOLDER    real data: FOLDER/olist/*.csv (marketing
#                                      contacts, closed deals) and
#                                      FOLDER/stats/*.csv (users, posts, badges),
#                                      replayed in the order they happened
#
# --keep leaves the folder of the run behind, --no-install installs no packages.
# See test/setup.sh for how little it touches.

set -euo pipefail
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 2; }

keep=0 install=1 data=''
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1 ;;
    --no-install) install=0 ;;
    --data) [ $# -ge 2 ] || usage; data=$2; shift ;;
    *) usage ;;
  esac
  shift
done
# shellcheck source-path=SCRIPTDIR source=../setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
here=$tree/test/demo

olist=(olist/olist_marketing_qualified_leads_dataset.csv olist/olist_closed_deals_dataset.csv)
stats=(stats/users.csv stats/posts.csv stats/badges.csv)
if [ -n "$data" ]; then
  [ -d "$data" ] || die "no folder $data"
  data=$(cd "$data" && pwd)
  for file in "${olist[@]}" "${stats[@]}"; do
    [ -r "$data/$file" ] || die "$data/$file is missing"
  done
fi

at_end() {
  if [ "$1" != 0 ] && [ -n "$work" ]; then keep=1; note "the demo stopped early; kept: $work"; fi
  return "$1"
}

begun=$SECONDS
setup_postgres
# shellcheck disable=SC2119  # what a build needs will do
setup_packages
setup_work leadstream-demo
note "building for $("$pg_config" --version)"
setup_build
setup_server
note "ready after $((SECONDS - begun)) s"

# What a reader sees: plain tables, times in one zone, no pager.
export PGCLIENTENCODING=UTF8 PGTZ=UTC PGDATESTYLE=ISO PAGER=''
show() { psql -Xq -v ON_ERROR_STOP=1 -P pager=off -P null=- -d "$@" 2>&1 | sed -u 's/^psql:[^ ]*: //'; }

# The CSV files are read by psql: the server's user may not be allowed to.
load() {
  local database=$1 table=$2 file=$3
  show "$database" -c "\\copy $table from '${file//\'/\'\'}' (format csv, header)"
}

if [ -z "$data" ]; then
  createdb demo
  show demo -f "$here/world.sql"
  show demo -f "$here/story.sql"
else
  createdb olist
  show olist -f "$here/olist_tables.sql"
  load olist mql "$data/${olist[0]}"
  load olist arriving_deal "$data/${olist[1]}"
  show olist -f "$here/olist.sql"

  createdb stats
  show stats -f "$here/stats_tables.sql"
  load stats users "$data/${stats[0]}"
  load stats arriving_post "$data/${stats[1]}"
  load stats arriving_badge "$data/${stats[2]}"
  show stats -f "$here/stats.sql"
fi
note "the whole demo took $((SECONDS - begun)) s; the server and its folder are gone now"
