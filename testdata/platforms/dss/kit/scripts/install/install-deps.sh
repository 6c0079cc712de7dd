#!/bin/sh
# Checks the system packages that this version needs (-check), or installs them as root. A package is a program on the PATH; the list
# of them stands beside this script. "Installing" puts a program into the folder of the PATH that is called `simulated-system`.
MYDIR=$(cd "$(dirname "$0")" && pwd -P)
check=
for option in "$@"; do
  case "$option" in
    -check) check=1 ;;
    -yes|-without-java|-without-python|-with-r|-with-chrome) ;;
    *) echo "Usage: install-deps.sh [-check] [-yes] [-without-java] [-without-python] [-with-r] [-with-chrome]" >&2; exit 1 ;;
  esac
done
missing=
while read -r package; do
  [ -z "$package" ] || command -v "$package" >/dev/null 2>&1 || missing="$missing $package"
done <"$MYDIR/packages"
if [ -n "$check" ]; then
  echo "+ Checking required packages..."
  [ -n "$missing" ] || exit 0
  echo "*** Error: package(s)$missing not found" >&2
  exit 1
fi
[ -n "$missing" ] || { echo "+ Nothing to install"; exit 0; }
[ "$(id -u)" = 0 ] || { echo "*** Error: this script must be run as root" >&2; exit 1; }
folder=$(printf '%s' "$PATH" | tr ':' '\n' | grep '/simulated-system$' | head -n 1)
[ -n "$folder" ] || { echo "*** Error: no folder simulated-system on the PATH" >&2; exit 1; }
for package in $missing; do
  printf '#!/bin/sh\n' >"$folder/$package"
  chmod 755 "$folder/$package"
  echo "+ Installed $package"
done
