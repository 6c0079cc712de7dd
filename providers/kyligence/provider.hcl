# Kyligence Enterprise 3.x, after the vendor's page "Upgrade to Kyligence Enterprise 3.x with Upgrade Script".

provider "kyligence" {
  version        = "1.0.0"
  title          = "Kyligence Enterprise"
  version_scheme = "dotted"
  description    = <<-END
    Upgrades Kyligence Enterprise (formerly KAP) 2.x and 3.x in place, on one node or several: minor versions, main versions with a copy
    of the cube data, and versions without an upgrade script with a person's help. An installation that is there is adopted; installing
    and removing are not this provider's work.
  END
}

setting "home" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "KYLIN_HOME of the first node. Absolute path. It stays the same over every upgrade."
  validation {
    condition = startswith(self.home, "/") && !endswith(self.home, "/")
    message   = "must be an absolute path without a slash at its end"
  }
}

setting "url" {
  type        = string
  default     = "http://127.0.0.1:7070"
  on_change   = "ignore"
  description = "Where the first node is reached from the machine that Windlass runs on, without `/kylin`."
}

setting "java_home" {
  type        = string
  default     = null
  on_change   = "ignore"
  description = "JAVA_HOME of the first node; `java` of the PATH where not given."
}

setting "nodes" {
  type = map(object({
    home      = string
    url       = string
    java_home = optional(string)
    host      = optional(string)
  }))
  default     = {}
  on_change   = "ignore"
  description = "Further nodes of the cluster by name. They share the metadata and HDFS with the first, and are stopped, upgraded and started with it. `host` is the name of the declared host that a node is on; that of the instance, where it is not given."
  validation {
    condition = !contains(keys(self.nodes), "first")
    message   = "`first` is the name of the node that `home` tells of"
  }
}

setting "hadoop_hosts" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Names of declared hosts that Kyligence Enterprise runs on as a part of Hadoop: their JDK is looked at as well."
}

setting "username" {
  type        = string
  default     = "ADMIN"
  on_change   = "ignore"
  description = "User with administrator's rights, for the REST API."
}

setting "password" {
  type        = string
  required    = true
  sensitive   = true
  on_change   = "ignore"
  description = "Its password."
}

setting "accept" {
  type        = string
  default     = "application/vnd.apache.kylin-v2+json"
  on_change   = "ignore"
  description = "The `Accept` header that chooses the version of the REST API."
}

setting "hadoop_bin" {
  type        = string
  default     = null
  on_change   = "ignore"
  description = "Folder of `hdfs` and `hadoop`, where they are not on the PATH."
}

setting "backup_dir" {
  type        = string
  default     = "${dirname(self.home)}/kyligence-backups"
  on_change   = "ignore"
  description = "Folder for what is kept of each upgrade: metadata, the old homes, the upgrade's logs. Not below a home. Make it reliable storage."
  validation {
    condition = startswith(self.backup_dir, "/") && !startswith("${self.backup_dir}/", "${self.home}/")
    message   = "must be an absolute path outside of `home`"
  }
}

setting "back_up_cubes" {
  type        = bool
  default     = true
  on_change   = "ignore"
  description = "Whether an upgrade of the main version copies the cube data in HDFS first. Without it there is no way back for cube data."
}

setting "cube_backup" {
  type        = string
  default     = "copy"
  on_change   = "ignore"
  description = "How the cube data is kept: `copy`, as the vendor's page says, or `snapshot` of HDFS: made at once, and of no size until the data changes. The administrator of HDFS must have allowed it: `hdfs dfsadmin -allowSnapshot`. A snapshot lies in the same HDFS as the data."
  validation {
    condition = contains(["copy", "snapshot"], self.cube_backup)
    message   = "must be copy or snapshot"
  }
}

setting "cube_backup_dir" {
  type        = string
  default     = null
  on_change   = "ignore"
  description = "Path in HDFS for the copy of the cube data; the working directory with `_temp` at its end where not given. One folder for each upgrade is made below it."
}

setting "jobs" {
  type        = string
  default     = "wait"
  on_change   = "ignore"
  description = "What becomes of unfinished jobs before the stop: `wait` until they are finished, `discard` them (launch them again later), or `refuse` to upgrade."
  validation {
    condition = contains(["wait", "discard", "refuse"], self.jobs)
    message   = "must be wait, discard or refuse"
  }
}

setting "script_from" {
  type        = string
  default     = "> 3.3.0"
  on_change   = "ignore"
  description = "Installed versions that the upgrade script may be run on. The vendor's page says that there is none for 3.3.0 and below; change this only on the word of their support."
}

setting "without_script" {
  type        = string
  default     = "refuse"
  on_change   = "ignore"
  description = "Where there is no upgrade script: `refuse`, or `by_hand`: everything around it is done, and for the replacement of the software the run waits for a person."
  validation {
    condition = contains(["refuse", "by_hand"], self.without_script)
    message   = "must be refuse or by_hand"
  }
}

setting "default_source" {
  type        = map(string)
  default     = {}
  on_change   = "ignore"
  description = "Coming from KAP 2.x: the default data source (`hive` or `kafka`) of every project that has several. It can never be changed afterwards."
  validation {
    condition = alltrue([for source in values(self.default_source) : contains(["hive", "kafka"], source)])
    message   = "each must be hive or kafka; RDBMS cannot be chosen"
  }
}

setting "carry_over" {
  type        = list(string)
  default     = endswith(self.url, ":7070") ? [] : ["tomcat/conf/server.xml"]
  on_change   = "ignore"
  description = "Files of the home, relative to it, that an upgrade of the main version takes over although the vendor's script does not. `tomcat/conf/server.xml` has the port."
}

setting "pause_before_start" {
  type        = bool
  default     = false
  on_change   = "ignore"
  description = "Whether an upgrade of the main version waits before the first start, so that a person configures Spark, Tomcat, Kerberos and the cluster."
}

setting "start_timeout" {
  type        = string
  default     = "15m"
  on_change   = "ignore"
  description = "How long a node may take until its web page answers. The first start of a new main version may convert metadata for an hour."
}

setting "stop_timeout" {
  type        = number
  default     = 120
  on_change   = "ignore"
  description = "For how many seconds processes may be left after the stop."
}

setting "verify" {
  type = object({
    project = string
    sql     = string
    cube    = optional(string)
    start   = optional(number, 0)
    end     = optional(number, 0)
  })
  default     = null
  on_change   = "ignore"
  description = "How an upgrade is verified: a query on a project, and a segment of a cube that is built (`start` and `end` in milliseconds; both 0: the whole cube). A segment that is there already is refreshed. Without it, verifying is a follow-up for a person."
}

setting "clients" {
  type        = list(list(string))
  default     = []
  on_change   = "ignore"
  description = "Commands that must succeed after the upgrade: JDBC clients, BI tools. They find the address in KE_URL, the user in KE_USER and KE_PASSWORD."
}

setting "delete_backups" {
  type        = bool
  default     = false
  description = "Whether backups are deleted once the upgrade is verified. Then nothing leads back. Set later, it verifies the installation again and deletes what earlier upgrades left."
}

setting "production" {
  type        = bool
  default     = instance.environment == "production"
  on_change   = "ignore"
  description = "Whether this is a production environment, which must not be upgraded before a test environment."
}

locals {
  nodes = merge(
    { first = { home = self.home, url = self.url, java_home = self.java_home, host = null } },
    self.nodes,
  )
  basic   = { user = self.username, password = self.password }
  headers = { Accept = self.accept, Accept-Language = "en" }
  api     = "${self.url}/kylin/api"

  # The vendor calls the first two components the main version.
  main = from.major != to.major || from.minor != to.minor
  # 3.3.0 and below, 3.3.0.9 included.
  kit_without_script = !version_matches("${to.major}.${to.minor}.${to.patch}", "> 3.3.0")
  by_script          = !local.kit_without_script && version_matches("${from.major}.${from.minor}.${from.patch}", self.script_from)

  kit        = startswith(release.artifact, "http") ? "${local.kits}/${basename(release.artifact)}" : release.artifact
  kits       = "${self.backup_dir}/kits"
  backups    = "${self.backup_dir}/${instance.file_name}"
  keep       = "${local.backups}/${from.text}-to-${to.text}"
  cubes      = fact.properties.working_dir
  snapshots  = "windlass-${instance.file_name}-"
  snapshot   = "${local.snapshots}${from.text}-to-${to.text}"
  cube_keep  = self.cube_backup == "snapshot" ? "${local.cubes}/.snapshot/${local.snapshot}" : "${coalesce(self.cube_backup_dir, "${fact.properties.working_dir}_temp")}/${instance.file_name}/${from.text}-to-${to.text}"
  save_cubes = local.main && self.back_up_cubes
  copy_cubes = local.save_cubes && self.cube_backup == "copy"

  # For every script: which node, and what is kept.
  environment = {
    HADOOP_BIN   = self.hadoop_bin == null ? "" : self.hadoop_bin
    STOP_SECONDS = tostring(self.stop_timeout)
  }
  hop = merge(local.environment, {
    KEEP      = local.keep
    FROM      = from.text
    TO        = to.text
    CUBES     = local.cubes
    CUBE_KEEP = local.cube_keep
    SNAPSHOT  = local.snapshot
  })
  node_environment = { for name, node in local.nodes : name => {
    NODE = name
    # Where the node is, for `on`; null: where the instance is.
    ON_HOST    = node.host == null ? "" : node.host
    NODE_HOME  = node.home
    UNPACKED   = "${node.home}.new-${to.text}"
    JAVA_DIR   = node.java_home == null ? "" : node.java_home
    CARRY_OVER = join("\n", self.carry_over)
  } }

  # What every script begins with. KYLIN_HOME is what the vendor's scripts find themselves; none must come from outside.
  prelude = <<-END
    [ -z "$HADOOP_BIN" ] || PATH="$HADOOP_BIN:$PATH"
    if [ -n "$${JAVA_DIR:-}" ]; then
      JAVA_HOME=$JAVA_DIR
      PATH="$JAVA_DIR/bin:$PATH"
      export JAVA_HOME
    fi
    export PATH
    unset KYLIN_HOME
    installed() { sed -n 's/^[^0-9]*\([0-9][0-9.]*[0-9]\).*/\1/p' "$1/VERSION" 2>/dev/null | head -1; }
    processes() { ps -eww -o pid= -o args= | DIR="$NODE_HOME" awk '(index($0, ENVIRON["DIR"] "/") || index($0 " ", ENVIRON["DIR"] " ")) && $2 != "awk" { print }'; }
  END
}
