"""DATA_DIR/bin/govern-admin."""

import sys

import home as _paths
import govern_database
from datadir import DataDir

if sys.argv[2:] != ["init-db"]:
    sys.exit("Usage: govern-admin init-db")
try:
    govern_database.initialise(DataDir(sys.argv[1]))
except RuntimeError as error:
    sys.exit(f"*** Error: {error}")
