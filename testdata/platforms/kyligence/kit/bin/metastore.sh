#!/bin/sh
# Backs the metadata up into meta_backups/ of this home, or restores it from a folder.
KYLIN_HOME=$(cd -P -- "$(dirname -- "$0")/.." && pwd -P)
. "$KYLIN_HOME/bin/header.sh"

case "${1:-}" in
  backup)
    [ $# -eq 1 ] || { echo "usage: metastore.sh backup"; exit 1; }
    folder=$KYLIN_HOME/meta_backups/meta_$(date +%Y_%m_%d_%H_%M_%S)
    mkdir -p "$folder"
    echo "Starting backup to $folder"
    command_py backup "$folder" || { echo "Backup failed. Detailed message is above."; exit 1; }
    echo "metadata store backed up to $folder"
    ;;
  restore)
    [ -d "${2:-}" ] || { echo "usage: metastore.sh restore PATH_TO_LOCAL_META"; exit 1; }
    echo "Starting restoring $2"
    command_py restore "$2" || { echo "Restore failed."; exit 1; }
    echo "metadata store restored from $2"
    ;;
  *) echo "usage: metastore.sh backup"; echo "       metastore.sh restore PATH_TO_LOCAL_META"; exit 1 ;;
esac
