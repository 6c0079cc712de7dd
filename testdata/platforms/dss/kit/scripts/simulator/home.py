"""Finds the modules of the installer, for the programs that run on a data directory."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "dkuinstall"))
