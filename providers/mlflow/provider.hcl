# MLflow Tracking Server, installed from PyPI into a virtual environment of its own for each version.

provider "mlflow" {
  version        = "1.0.0"
  title          = "MLflow Tracking Server"
  version_scheme = "pep440"
  description    = <<-END
    Installs, upgrades, reconfigures and removes an MLflow tracking server with a SQLite or PostgreSQL backend store. Each version
    has a virtual environment of its own beside the others; the database is backed up before software that could migrate it starts.
  END
}

setting "home" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Folder of the software: one virtual environment for each version, and the link `current`. Absolute path."
  validation {
    condition = startswith(self.home, "/")
    message   = "must be an absolute path"
  }
}

setting "data_dir" {
  type        = string
  default     = "${self.home}/data"
  on_change   = "refuse"
  description = "Folder of what belongs to the installation and not to the software: SQLite database, artifacts, log, pid file."
}

setting "backup_dir" {
  type        = string
  default     = "${self.home}/backups"
  on_change   = "ignore"
  description = "Folder that takes the backups of the database. They are never deleted by this provider."
}

setting "python" {
  type        = string
  default     = "python3"
  on_change   = "ignore"
  description = "Python that makes the virtual environments: a path, or a name on the PATH."
}

setting "listen" {
  type        = string
  default     = "127.0.0.1"
  description = "Address that the server listens on."
}

setting "port" {
  type        = number
  default     = 5000
  description = "TCP port that the server listens on."
  validation {
    condition = self.port >= 1 && self.port <= 65535
    message   = "must be a TCP port (1 to 65535)"
  }
}

setting "workers" {
  type        = number
  default     = 1
  description = "Number of server processes."
  validation {
    condition = self.workers >= 1
    message   = "must be 1 or more"
  }
}

setting "backend_store_uri" {
  type        = string
  default     = "sqlite:///${self.data_dir}/mlflow.db"
  on_change   = "refuse"
  description = "SQLAlchemy URI of the database: `sqlite:////absolute/path` or `postgresql://USER@HOST:PORT/DATABASE`. No password in it."
  validation {
    condition = startswith(self.backend_store_uri, "sqlite:////") || startswith(self.backend_store_uri, "postgresql://")
    message   = "must begin with `sqlite:////` (an absolute path) or `postgresql://`"
  }
  validation {
    condition = length(regexall("://[^@/]*:[^@/]*@", self.backend_store_uri)) == 0
    message   = "holds a password, which every user of the host could read in the list of processes; put it into `backend_store_password`"
  }
}

setting "backend_store_password" {
  type        = string
  sensitive   = true
  description = "Password of the PostgreSQL user. Passed as the environment variable PGPASSWORD."
}

setting "pg_bin_dir" {
  type        = string
  on_change   = "ignore"
  description = "Folder of `pg_dump` and `pg_restore` where the database is PostgreSQL; they must be as new as its server. On the PATH where not given."
}

setting "artifact_root" {
  type        = string
  default     = "${self.data_dir}/artifacts"
  on_change   = "refuse"
  description = "Where artifacts are kept: a folder or a URI that MLflow knows. Upgrades do not touch artifacts."
}

setting "extra_packages" {
  type        = list(string)
  default     = []
  description = "More packages for the virtual environment, as pip takes them (`boto3==1.34.0`)."
  on_change   = "ignore"
}

# Releases whose whole set of packages is pinned: the newest packages of today break old releases.
release "2.14.3" {
  requirements = "requirements/2.14.3.txt"
  notes        = "https://github.com/mlflow/mlflow/releases/tag/v2.14.3"
}

release "2.22.5" {
  requirements = "requirements/2.22.5.txt"
  notes        = "https://github.com/mlflow/mlflow/releases/tag/v2.22.5"
}

locals {
  sqlite     = startswith(self.backend_store_uri, "sqlite:")
  postgresql = startswith(self.backend_store_uri, "postgresql:")
  database   = trimprefix(self.backend_store_uri, "sqlite:///")
  pid_file   = "${self.data_dir}/mlflow.pid"
  log_file   = "${self.data_dir}/mlflow.log"
  launcher   = "${self.home}/serve"
  current    = "${self.home}/current"
  # The address to ask: a server that listens on every address is asked on loopback.
  address = "${contains(["0.0.0.0", "::"], self.listen) ? "127.0.0.1" : self.listen}:${self.port}"
  url     = "http://${local.address}"
  # The address of the server as it runs now.
  address_now = fact.address == null ? local.address : replace(replace(fact.address, "0.0.0.0:", "127.0.0.1:"), ":::", "127.0.0.1:")

  old = "${self.home}/venvs/${from.text}"
  new = "${self.home}/venvs/${to.text}"

  requirements = try(release.requirements, "requirements/unpinned.txt")
  packages     = concat(local.postgresql ? ["psycopg2-binary"] : [], self.extra_packages)
  pg_bin       = self.pg_bin_dir == null ? "" : "${self.pg_bin_dir}/"

  environment = {
    MLFLOW_DISABLE_TELEMETRY = "true"
    PYTHONDONTWRITEBYTECODE  = "1"
  }
}
