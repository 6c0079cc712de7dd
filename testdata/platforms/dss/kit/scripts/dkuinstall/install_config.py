"""Reads and sets options of install.ini: install_config.py [-d DATA_DIR] -get SECTION NAME | -set SECTION NAME VALUE."""

import os
import sys

from datadir import DataDir

arguments = sys.argv[1:]
home = os.environ.get("DIP_HOME")
if arguments[:1] == ["-d"]:
    home, arguments = arguments[1], arguments[2:]
if home and len(arguments) == 3 and arguments[0] == "-get":
    print(DataDir(home).option(arguments[1], arguments[2]))
elif home and len(arguments) == 4 and arguments[0] == "-set":
    DataDir(home).set_option(*arguments[1:])
else:
    sys.exit(__doc__)
