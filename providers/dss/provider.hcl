# Dataiku DSS: design, automation, API, deployer and govern nodes, each one data directory on one host.

provider "dss" {
  version        = "1.0.0"
  title          = "Dataiku DSS"
  version_scheme = "dotted"
  description    = <<-END
    Installs, upgrades, clones, reconfigures and removes Dataiku DSS nodes, as the vendor's upgrade and backup pages say. What needs no
    downtime (fetching, verifying and unpacking the kit, its dependencies, a first backup pass) is done while the old version serves. An
    upgrade in place cannot be undone by DSS: the way back is the backup of the data directory, under the old software, which stays.
  END
}

setting "data_dir" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "The data directory (DATA_DIR). Absolute path."
  validation {
    condition = startswith(self.data_dir, "/") && !endswith(self.data_dir, "/")
    message   = "must be an absolute path without a slash at its end"
  }
}

setting "install_root" {
  type        = string
  default     = dirname(self.data_dir)
  on_change   = "ignore"
  description = "Folder in which each version is unpacked, as `dataiku-dss-VERSION`. It must not be in the data directory."
  validation {
    condition = startswith(self.install_root, "/") && !startswith("${self.install_root}/", "${self.data_dir}/")
    message   = "must be an absolute path outside the data directory"
  }
}

setting "kits_dir" {
  type        = string
  default     = "${self.install_root}/kits"
  on_change   = "ignore"
  description = "Folder of the host with the kits, `dataiku-dss-VERSION.tar.gz`, and the archives of standalone Hadoop and Spark. A release whose `artifact` is a URL is downloaded into it."
}

setting "run_as" {
  type        = string
  on_change   = "refuse"
  description = "System user that DSS belongs to. Needed where Windlass runs as root, because DSS refuses to."
}

setting "node_type" {
  type        = string
  default     = "design"
  on_change   = "refuse"
  description = "What the node is: `design`, `automation`, `api`, `deployer` or `govern`."
  validation {
    condition = contains(["design", "automation", "api", "deployer", "govern"], self.node_type)
    message   = "must be `design`, `automation`, `api`, `deployer` or `govern`"
  }
}

setting "port" {
  type        = number
  default     = 11200
  description = "Base port: the first of a block of 10 consecutive TCP ports that belong to the node."
  validation {
    condition = self.port >= 1024 && self.port <= 65526
    message   = "must leave room for a block of 10 ports (1024 to 65526)"
  }
}

setting "url" {
  type        = string
  on_change   = "ignore"
  description = "Where Windlass reaches the node, when that is not `http://HOST:PORT` (HTTPS, a reverse proxy). No path behind it."
}

setting "api_key" {
  type        = string
  sensitive   = true
  on_change   = "ignore"
  description = "Global API key with admin rights. Without one Windlass can see neither jobs nor code environments, and says so."
}

setting "node_id" {
  type        = string
  description = "Name of the node (`nodeid` of install.ini). Left as it is where not given."
}

setting "graphite_prefix" {
  type        = string
  description = "Prefix of the metrics for Graphite (`[collectd] prefix` of install.ini). Left as it is where not given."
}

setting "license_file" {
  type        = string
  on_change   = "ignore"
  description = "License file of the host, for a new installation."
}

setting "base_python" {
  type        = string
  on_change   = "ignore"
  description = "Python on which DSS builds its own environment (`-P`). DSS chooses where not given."
}

setting "running_jobs" {
  type        = string
  default     = "refuse"
  on_change   = "ignore"
  description = "What running jobs mean for an upgrade: `refuse` it in preflight, `wait` for their end (for 4 hours at most), or `abort` them."
  validation {
    condition = contains(["refuse", "wait", "abort"], self.running_jobs)
    message   = "must be `refuse`, `wait` or `abort`"
  }
}

setting "start_timeout" {
  type        = string
  default     = "10m"
  on_change   = "ignore"
  description = "For how long a start may take until the node answers."
}

setting "integrations" {
  type = object({
    r               = optional(bool)
    graphics_export = optional(bool)
    hadoop          = optional(bool)
    spark           = optional(bool)
    impersonation   = optional(bool)
    containers      = optional(bool)
  })
  default     = {}
  on_change   = "ignore"
  description = "Which integrations the node has. What is not given is detected, as the provider's README says."
}

setting "options" {
  type        = map(list(string))
  default     = {}
  on_change   = "ignore"
  description = "More arguments by command of `dssadmin` (`{ install-R-integration = [\"-noDeps\"] }`). Give the ones of the first installation: the vendor's pages ask to replay the same procedure."
}

setting "base_images" {
  type        = list(string)
  default     = ["container-exec"]
  on_change   = "ignore"
  description = "Base images that are rebuilt where containerized execution is enabled (`dssadmin build-base-image --type`)."
}

setting "rebuild_code_envs" {
  type        = bool
  on_change   = "ignore"
  description = "Whether code environments are rebuilt after an upgrade. Where not given: over major versions, and where a release says `rebuild_code_envs = true`."
}

setting "retrain_models" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Saved models that are retrained after such an upgrade, as `PROJECT.MODEL_ID`."
  validation {
    condition = alltrue([for model in self.retrain_models : length(split(".", model)) == 2])
    message   = "must be `PROJECT.MODEL_ID` each"
  }
}

setting "api_services" {
  type = map(object({
    deployment = optional(string)
    deployer   = optional(string)
  }))
  default     = {}
  on_change   = "ignore"
  description = "API services whose packages are made anew after such an upgrade, by `PROJECT.SERVICE_ID`: `deployment` is updated on the API deployer at the URL `deployer` (this node, where not given)."
  validation {
    condition = alltrue([for service in keys(self.api_services) : length(split(".", service)) == 2])
    message   = "must have keys `PROJECT.SERVICE_ID`"
  }
}

setting "deployer_api_key" {
  type        = string
  sensitive   = true
  on_change   = "ignore"
  description = "API key of the API deployer, where that is another node."
}

setting "postgres" {
  type = object({
    host     = optional(string, "127.0.0.1")
    port     = optional(number, 5432)
    database = string
    user     = string
    bin_dir  = optional(string)
  })
  on_change   = "ignore"
  description = "PostgreSQL of a govern node. It is backed up and restored together with the data directory. `user` must own the database."
}

setting "postgres_password" {
  type        = string
  sensitive   = true
  on_change   = "ignore"
  description = "Password of that user."
}

setting "backup_password" {
  type        = string
  sensitive   = true
  on_change   = "ignore"
  description = "Password of the backup repository with `method = \"restic\"`. Or give `password_file` in the `backup` block."
}

setting "clone_of" {
  type = object({
    data_dir        = string
    port_from       = number
    port_to         = number
    url             = optional(string)
    graphite_prefix = optional(string)
  })
  on_change   = "ignore"
  description = "Makes the new node a clone of the one whose data directory this is, on a free block of 10 ports between `port_from` and `port_to`, with an `installid` of its own, its scenarios off, and `graphite_prefix` for its metrics."
}

setting "import_from" {
  type = object({
    data_dir = string
    projects = optional(list(string), [])
  })
  on_change   = "ignore"
  description = "Makes the new node empty and imports the projects (all, where none are given) of the running node with this data directory. Not recommended."
}

locals {
  dss      = "${self.data_dir}/bin/dss"
  dssadmin = "${self.data_dir}/bin/dssadmin"
  kit_name = "dataiku-dss-${to.text}"
  new_kit  = "${self.install_root}/${local.kit_name}"

  artifact = try(release.artifact, null)
  remote   = local.artifact == null ? false : length(regexall("^https?://", local.artifact)) > 0
  archive  = local.artifact == null || local.remote ? "${self.kits_dir}/${local.kit_name}.tar.gz" : local.artifact

  # Where the node answers: as declared, and as it is now, which a change of the port may be about to change.
  address  = host.name == "localhost" ? "127.0.0.1" : host.address
  url      = self.url == null ? "http://${local.address}:${self.port}" : self.url
  url_now  = self.url == null ? "http://${local.address}:${fact.port}" : self.url
  api      = "${local.url}/dip/publicapi"
  api_now  = "${local.url_now}/dip/publicapi"
  key      = { user = self.api_key == null ? "" : self.api_key, password = "" }
  has_jobs = contains(["design", "automation"], self.node_type)

  # An answer to a request without a key shows that the node serves, and bears its version like any other.
  served = self.api_key == null ? [200, 401, 403] : [200]

  major       = from == null ? false : to.major > from.major
  must_rework = self.rebuild_code_envs == null ? local.major || try(release.rebuild_code_envs, false) : self.rebuild_code_envs

  backed_up = self.backup == null ? false : try(self.backup.method, "tar") != "managed"
  managed   = self.backup == null ? false : try(self.backup.method, "tar") == "managed"
  exclusion_sets = {
    temporary = ["tmp", "caches", "data-catalog"]
    logs      = ["run", "jobs", "scenarios", "diagnosis"]
    other     = ["exports", "prepared_bundles", "apinode-packages"]
    data      = ["managed_datasets", "analysis_data", "analysis-data", "saved_models"]
  }
  exclude_sets  = local.backed_up ? { for name in try(self.backup.exclude, []) : name => local.exclusion_sets[name] } : {}
  exclude       = flatten(values(local.exclude_sets))
  method        = local.backed_up ? try(self.backup.method, "tar") : null
  password_file = local.method == "restic" ? try(self.backup.password_file, null) : null
  labels        = { instance = instance.address, product = "dss", version = from == null ? "" : from.text, set = "${instance.file_name}-to-${to.text}" }
  dump_path     = local.backed_up ? "${self.backup.repository}/${instance.file_name}-${from.text}-to-${to.text}.dump" : ""
  has_dump      = local.backed_up && self.postgres != null

  # Sets `NAME = VALUE` in `[SECTION]` of an ini file and keeps everything else; arguments: FILE SECTION NAME VALUE.
  set_option = <<-SH
    set_option() {
      awk -v section="[$2]" -v name="$3" -v value="$4" '
        function put() { if (!done) { print name " = " value; done = 1 } }
        /^[[:space:]]*\[/ { if (inside) put(); inside = ($1 == section); if (inside) seen = 1 }
        inside { key = $0; sub(/[[:space:]]*[=:].*/, "", key); gsub(/^[[:space:]]+/, "", key); if (key == name) { put(); next } }
        { print }
        END { if (!seen) { print section }; put() }
      ' "$1" > "$1.windlass"
      cat "$1.windlass" > "$1"
      rm -f "$1.windlass"
    }
  SH
}
