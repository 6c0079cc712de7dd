# What the programs of bin/ begin with. KYLIN_HOME is set.
export KYLIN_HOME
export PYTHONDONTWRITEBYTECODE=1
command_py() { python3 "$KYLIN_HOME/lib/command.py" "$@"; }
