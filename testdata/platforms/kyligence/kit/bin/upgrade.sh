#!/bin/sh
# Upgrades an old home in place: backs it up, takes its configuration over, converts what it must, and moves itself into its place.

usage() {
  cat <<'END'
Usage: upgrade.sh <OLD_KYLIN_HOME> [--silent]

<OLD_KYLIN_HOME>   Specify the old version of the Kyligence Enterprise
                   installation directory. If not specified, use KYLIN_HOME by default.

--silent           Optional, don't enter interactive mode, automatically complete the upgrade.
END
  exit 1
}

silent=
old=${KYLIN_HOME:-}
for argument; do
  case "$argument" in
    --silent) silent=yes ;;
    -*) usage ;;
    *) old=$argument ;;
  esac
done
[ -n "$old" ] && [ -f "$old/VERSION" ] || usage
old=$(cd -P -- "$old" && pwd -P)
new=$(cd -P -- "$(dirname -- "$0")/.." && pwd -P)
[ "$old" != "$new" ] || { echo "ERROR: $old is this installation itself"; exit 1; }
mkdir -p "$new/logs"
log=$new/logs/upgrade-$(date +%Y_%m_%d_%H_%M_%S).log

say() { echo "$*" | tee -a "$log"; }
fail() { say "ERROR: $*"; say "Upgrade failed. For details see $log"; exit 1; }
ask() {
  [ -n "$silent" ] && return 0
  printf '%s (y/n) ' "$1"
  read -r answer || answer=n
  [ "$answer" = y ] || fail "not confirmed: $1"
}
version_of() { sed -n 's/^[^0-9]*\([0-9][0-9.]*[0-9]\).*/\1/p' "$1/VERSION"; }
main_of() { version_of "$1" | cut -d. -f1,2; }

say "Upgrading $old from $(version_of "$old") to $(version_of "$new")"
if [ -s "$old/pid" ] && ps -o stat= -p "$(cat "$old/pid")" 2>/dev/null | grep -qv Z; then
  fail "Please stop the Kyligence Enterprise during the upgrade process."
fi

ask "Back up $old to $old.backup.tar.gz?"
tar -czf "$old.backup.tar.gz" -C "$(dirname "$old")" "$(basename "$old")" || fail "the old installation could not be backed up"
say "backed up $old to $old.backup.tar.gz"

ask "Take the configuration of $old over?"
cp -p "$old"/conf/kylin.properties "$old"/conf/setenv.sh "$new"/conf/ || fail "the configuration could not be copied"
for job in "$old"/conf/kylin_*.xml; do [ -e "$job" ] && cp -p "$job" "$new"/conf/; done
[ -e "$old/LICENSE" ] && cp -p "$old/LICENSE" "$new/LICENSE"
say "took over kylin.properties, setenv.sh and kylin_*.xml"
if [ "$(main_of "$old")" = "$(main_of "$new")" ]; then
  cp -p "$old"/tomcat/conf/server.xml "$new"/tomcat/conf/ && cp -p "$old"/spark/conf/spark-defaults.conf "$new"/spark/conf/ || fail "Tomcat and Spark"
  say "took over the configuration of Tomcat and Spark"
else
  say "WARN: this is a main version: Spark and Tomcat are not upgraded. Please configure them."
fi

ask "Upgrade the metadata?"
PYTHONDONTWRITEBYTECODE=1 KYLIN_HOME=$new CONF_OF=$old python3 "$new/lib/command.py" migrate >>"$log" 2>&1 || { tail -3 "$log"; fail "the metadata could not be upgraded"; }
say "upgraded the metadata"

ask "Replace $old by $new?"
rm -rf -- "$old" && mv -- "$new" "$old" || exit 1
log=$old/logs/$(basename "$log")
say "$old is of version $(version_of "$old") now"
say "Upgrade finished successfully"
