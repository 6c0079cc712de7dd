#!/bin/sh
# Installs or upgrades a data directory. What it does stands in scripts/dkuinstall/installer.py.
MYDIR=$(cd "$(dirname "$0")" && pwd -P)
exec python3 -B "$MYDIR/scripts/dkuinstall/installer.py" "$MYDIR" "$@"
