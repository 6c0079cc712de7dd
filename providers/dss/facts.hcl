# What is observed. `version` is what the data directory was migrated to; what a running node says of itself is `served`.

fact "platform" {
  description = "The host's operating system, as `uname` says."
  exec {
    command = ["uname", "-s"]
  }
  value = trimspace(result.stdout)
}

fact "user_id" {
  description = "Numeric id of the user that Windlass is on the host."
  exec {
    command = ["id", "-u"]
  }
  value = tonumber(trimspace(result.stdout))
}

fact "version" {
  description = "Version of the data directory (`dss-version.json`)."
  file {
    path  = "${self.data_dir}/dss-version.json"
    parse = "json"
  }
  value = result.exists ? result.json.product_version : null
}

fact "install_ini" {
  description = "`install.ini`, by section and name."
  when        = fact.version != null
  file {
    path     = "${self.data_dir}/install.ini"
    parse    = "properties"
    required = true
  }
  value = result.properties
}

fact "node_type" {
  description = "Node type of the installation."
  drift       = true
  when        = fact.version != null
  value       = try(fact.install_ini["general.nodetype"], "design")
}

fact "install_id" {
  description = "The installation's `installid`."
  drift       = true
  when        = fact.version != null
  value       = try(fact.install_ini["general.installid"], null)
}

fact "port" {
  description = "Base port of the installation."
  drift       = true
  value       = fact.version == null ? self.port : tonumber(fact.install_ini["server.port"])
}

fact "kit" {
  description = "Folder of the software that the data directory is attached to."
  drift       = true
  when        = fact.version != null
  file {
    path     = "${self.data_dir}/bin/env-default.sh"
    required = true
  }
  value = try(regex("DKUINSTALLDIR=\"?([^\"\n]+)\"?", result.content)[0], null)
}

fact "running" {
  description = "Whether the node's supervisor runs (`bin/dss status`)."
  timeout     = "20s"
  when        = fact.version != null
  exec {
    command = [local.dss, "status"]
    success = "any"
  }
  value = result.exit_code == 0
}

fact "served" {
  description = "What the running node answers: HTTP status and version (header `DSS-Version`)."
  when        = fact.running == true
  timeout     = "15s"
  http {
    url     = "${local.api_now}/instance-info"
    basic   = local.key
    expect  = "any"
    timeout = "10s"
  }
  value = { status = result.status, version = try(result.headers["dss-version"], null) }
}

fact "healthy" {
  description = "Whether the node answers its API, with the version of its data directory."
  # Whether a key is declared is no secret, and steps are chosen by this.
  value = nonsensitive(fact.running == true && contains(local.served, try(fact.served.status, 0)) && try(fact.served.version, null) == fact.version)
}

fact "jobs" {
  description = "Jobs that run on the node, as `PROJECT.JOB`."
  when        = fact.running == true && local.has_jobs && self.api_key != null
  timeout     = "20s"
  http {
    url     = "${local.api_now}/jobs/running/"
    query   = { allUsers = "true" }
    basic   = local.key
    timeout = "15s"
  }
  value = [for job in result.json : "${job.projectKey}.${job.jobId}"]
}

fact "folders" {
  description = "Which of the folders that integrations leave in the data directory are there and not empty."
  when        = fact.version != null
  exec {
    shell       = "for name in R.lib graphics-export hadoop-standalone-libs spark-standalone-home; do if [ -n \"$(ls -A \"$DATA_DIR/$name\" 2>/dev/null)\" ]; then echo \"$name\"; fi; done"
    environment = { DATA_DIR = self.data_dir }
    parse       = "lines"
  }
  value = result.lines
}

fact "container_configurations" {
  description = "How many configurations for containerized execution the general settings have."
  when        = fact.version != null
  file {
    path  = "${self.data_dir}/config/general-settings.json"
    parse = "json"
  }
  value = result.exists ? length(try(result.json.containerSettings.executionConfigs, [])) : 0
}

fact "integrations" {
  description = "Which integrations the node has: as declared in `integrations`, else as found."
  drift       = true
  when        = fact.version != null
  value = {
    r               = self.integrations.r == null ? contains(fact.folders, "R.lib") : self.integrations.r
    graphics_export = self.integrations.graphics_export == null ? contains(fact.folders, "graphics-export") : self.integrations.graphics_export
    hadoop          = self.integrations.hadoop == null ? contains(fact.folders, "hadoop-standalone-libs") : self.integrations.hadoop
    spark           = self.integrations.spark == null ? contains(fact.folders, "spark-standalone-home") : self.integrations.spark
    impersonation   = self.integrations.impersonation == null ? try(fact.install_ini["mus.exec_wrapper_location"], "") != "" : self.integrations.impersonation
    containers      = self.integrations.containers == null ? fact.container_configurations > 0 : self.integrations.containers
  }
}

fact "archives" {
  description = "Names of the files in `kits_dir`."
  file {
    action = "list"
    path   = self.kits_dir
  }
  value = result.exists ? [for entry in result.entries : entry.name] : []
}

fact "kits" {
  description = "Versions whose kit is on the host, packed or unpacked, and which system dependencies each misses there (`install-deps.sh -check`, which installs nothing)."
  timeout     = "3m"
  exec {
    shell       = local.check_kits
    environment = { ROOT = self.install_root, KITS = self.kits_dir, NOW = fact.version == null ? "" : fact.version }
    parse       = "lines"
  }
  value = { for line in result.lines : split("\t", line)[0] => split("\t", line)[1] }
}

fact "unpacked" {
  description = "Versions that are unpacked on the host."
  file {
    action = "list"
    path   = self.install_root
    glob   = "dataiku-dss-*"
  }
  value = result.exists ? [for entry in result.entries : trimprefix(entry.name, "dataiku-dss-") if entry.kind == "directory"] : []
}

fact "backup_room" {
  description = "Free bytes where backups go."
  when        = local.backed_up
  disk_space {
    path = self.backup.repository
  }
  value = result.free
}

fact "size" {
  description = "Bytes of the data directory without what the backup leaves out; null where counting takes longer than 20 seconds."
  when        = fact.version != null && local.backed_up
  timeout     = "30s"
  exec {
    command   = concat(["timeout", "20", "du", "-sk"], [for name in local.exclude : "--exclude=./${name}"], ["."])
    directory = self.data_dir
    success   = "any"
  }
  value = contains([0, 1], result.exit_code) ? 1024 * tonumber(regex("^[0-9]+", result.stdout)) : null
}

fact "database_version" {
  description = "Version of the govern node's PostgreSQL; asking it shows that it can be reached."
  when        = self.postgres != null
  timeout     = "20s"
  postgres {
    action   = "query"
    host     = self.postgres.host
    port     = self.postgres.port
    database = self.postgres.database
    user     = self.postgres.user
    password = self.postgres_password
    sql      = "SELECT current_setting('server_version')"
  }
  value = result.value
}

locals {
  # One line for each version that is newer than what runs: the version, a tab, and the check's last line where it fails. Of a kit that is
  # still packed, only the scripts are taken out, into a folder that is removed again.
  check_kits = <<-END
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    for kit in "$KITS"/dataiku-dss-*.tar.gz "$ROOT"/dataiku-dss-*/installer.sh; do
      [ -f "$kit" ] || continue
      case "$kit" in
        */installer.sh) folder=$(dirname "$kit"); version=$${folder##*/dataiku-dss-} ;;
        *) version=$${kit##*/dataiku-dss-}; version=$${version%.tar.gz}; folder="$scratch/dataiku-dss-$version" ;;
      esac
      case "$version" in [0-9]*) ;; *) continue ;; esac
      case "$kit" in *.tar.gz) [ ! -f "$ROOT/dataiku-dss-$version/installer.sh" ] || continue ;; esac
      [ "$version" != "$NOW" ] || { printf '%s\t\n' "$version"; continue; }
      case "$kit" in
        *.tar.gz)
          tar -xzf "$kit" -C "$scratch" --wildcards '*/scripts/install/*' 2>/dev/null || { printf '%s\tthe kit cannot be read\n' "$version"; continue; } ;;
      esac
      if said=$("$folder/scripts/install/install-deps.sh" -check -without-java </dev/null 2>&1); then
        printf '%s\t\n' "$version"
      else
        printf '%s\t%s\n' "$version" "$(printf '%s\n' "$said" | tail -n 1)"
      fi
    done
  END
}
