# What is observed, and what must hold before anything is touched.

fact "version" {
  description = "The installed version, of the file VERSION of the home."
  drift       = true
  file {
    path = "${self.home}/VERSION"
  }
  value = result.exists ? regex("[0-9]+(?:[.][0-9]+)+", result.content) : null
}

fact "properties" {
  description = "Of `conf/kylin.properties`: the working directory in HDFS, and whether Kerberos or shared sessions are configured."
  when        = fact.version != null
  file {
    path  = "${self.home}/conf/kylin.properties"
    parse = "properties"
  }
  value = {
    working_dir = try(result.properties["kylin.env.hdfs-working-dir"], "/kylin")
    kerberos    = try(result.properties["kap.kerberos.enabled"], "false") == "true"
    cluster     = length([for name in keys(result.exists ? result.properties : {}) : name if startswith(name, "kap.server.session") || name == "kylin.server.cluster-servers"]) > 0
  }
}

fact "processes" {
  description = "Processes of the first node, found by its home in their command lines."
  exec {
    shell       = "${local.prelude}\nprocesses"
    environment = merge(local.environment, { NODE_HOME = self.home })
    parse       = "lines"
  }
  value = [for line in result.lines : trimspace(line)]
}

fact "running" {
  description = "Whether the first node has processes."
  value       = length(fact.processes) > 0
}

fact "login" {
  description = "HTTP status of a login through the REST API."
  when        = fact.running
  timeout     = "20s"
  http {
    url             = "${local.api}/user/authentication"
    headers         = local.headers
    basic           = local.basic
    expect          = "any"
    request_timeout = "15s"
  }
  value = result.status
}

fact "healthy" {
  description = "Whether a login succeeds."
  value       = fact.running && try(fact.login, 0) == 200
}

fact "jobs" {
  description = "Jobs that are neither finished nor discarded."
  when        = try(fact.healthy, false)
  http {
    url     = "${local.api}/jobs?${local.unfinished}"
    headers = local.headers
    basic   = local.basic
  }
  value = [for job in result.json.data.jobs : { id = job.uuid, name = job.name, status = job.job_status }]
}

fact "java" {
  description = "What `java -version` says, by node and by further host of Hadoop."
  for_each    = local.java_places
  on          = each.value.host
  exec {
    shell       = "\"$${JAVA_DIR:+$JAVA_DIR/bin/}java\" -version 2>&1"
    environment = { JAVA_DIR = each.value.java_home == null ? "" : each.value.java_home }
    success     = "any"
  }
  value = { exit_code = result.exit_code, said = join(" ", compact([for line in split("\n", result.stdout) : trimspace(line)])) }
}

fact "hdfs" {
  description = "Bytes that HDFS has free, and that the working directory takes with its replicas."
  when        = fact.version != null && self.back_up_cubes
  timeout     = "5m"
  exec {
    shell       = local.ask_hdfs
    environment = merge(local.environment, { CUBES = fact.properties.working_dir })
    parse       = "json"
  }
  value = result.json
}

fact "disk" {
  description = "Bytes that are free where the home is, and that the home takes."
  when        = fact.version != null
  timeout     = "5m"
  exec {
    shell       = "printf '{\"free\": %s, \"home\": %s}' \"$(df -Pk -- \"$NODE_HOME\" | awk 'NR == 2 { printf \"%.0f\", $4 * 1024 }')\" \"$(du -sk -- \"$NODE_HOME\" | awk '{ printf \"%.0f\", $1 * 1024 }')\""
    environment = { NODE_HOME = self.home }
    parse       = "json"
  }
  value = result.json
}

fact "cleanup" {
  description = "Lines of the crontab that clean up garbage (`StorageCleanupJob`, `metastore.sh clean`)."
  exec {
    shell       = "[ -z \"$HADOOP_BIN\" ] || PATH=\"$HADOOP_BIN:$PATH\"\n{ crontab -l 2>/dev/null || true; } | sed -n '/^[[:space:]]*#/d; /metastore.sh[[:space:]]*clean/p; /[Ss]torage-\\{0,1\\}[Cc]leanup/p'"
    environment = local.environment
    parse       = "lines"
  }
  value = result.lines
}

fact "projects" {
  description = "Coming from 2.x: the projects' names."
  when        = try(fact.healthy, false) && startswith(coalesce(fact.version, "0"), "2.")
  http {
    url     = "${local.api}/projects"
    headers = local.headers
    basic   = local.basic
    query   = { pageOffset = "0", pageSize = "1000" }
  }
  value = [for project in result.json.data.projects : project.name]
}

fact "sources" {
  description = "Coming from 2.x: the numbers of the data sources of each project's tables (0 Hive, 1 Kafka, 16 RDBMS)."
  for_each    = toset(coalesce(fact.projects, []))
  http {
    url     = "${local.api}/tables"
    headers = local.headers
    basic   = local.basic
    query   = { project = each.key, ext = "true" }
  }
  value = distinct([for table in result.json.data : tostring(table.source_type)])
}

locals {
  # NEW, PENDING, RUNNING, ERROR and STOPPED.
  unfinished = "timeFilter=4&pageOffset=0&pageSize=1000&status=0&status=1&status=2&status=8&status=32"

  java_places = merge(local.nodes, { for host in self.hadoop_hosts : "host ${host}" => { host = host, java_home = null } })

  ask_hdfs = <<-END
    [ -z "$HADOOP_BIN" ] || PATH="$HADOOP_BIN:$PATH"
    free=$(hdfs dfs -df / | awk 'NR == 2 { print $4 }')
    size=$(hdfs dfs -du -s "$CUBES" | awk 'NR == 1 { print (NF > 2 ? $2 : $1) }')
    printf '{"free": %s, "size": %s}' "$free" "$size"
  END

  # 1.7.0_80 is 7, 1.8.0_292 is 8, 11.0.2 is 11; 0 where it does not say.
  java_bad = { for place, java in fact.java : place => java.said
  if java.exit_code != 0 || tonumber(try(regex("version \"(?:1[.])?([0-9]+)", java.said)[0], "0")) < 8 || !strcontains(java.said, "64-Bit") }
  mixed      = { for project, sources in fact.sources : project => sources if length(sources) > 1 }
  undeclared = [for project in keys(local.mixed) : project if !contains(keys(self.default_source), project)]
}

preflight "running" {
  movements = ["upgrade"]
  pass      = fact.healthy
  message   = "${fact.running ? "a login at ${self.url} is answered by status ${try(fact.login, "none")}" : "no process of ${self.home} runs"}, so that jobs cannot be looked at and the upgrade could not be verified against what was before"
  remedy    = "start it with ${self.home}/bin/kylin.sh start, see ${self.home}/logs/kylin.log, and check `url`, `username` and `password`"
}

preflight "unfinished_jobs" {
  movements = ["upgrade"]
  when      = self.jobs == "refuse"
  pass      = length(fact.jobs) == 0
  message   = "${length(fact.jobs)} job(s) are neither finished nor discarded: ${join(", ", [for job in fact.jobs : "${job.name} (${job.status})"])}"
  remedy    = "wait for them or discard them, or set `jobs` to \"wait\" or \"discard\""
}

preflight "stuck_jobs" {
  movements = ["upgrade"]
  when      = self.jobs == "wait"
  pass      = length([for job in fact.jobs : job if contains(["ERROR", "STOPPED"], job.status)]) == 0
  message   = "these jobs will never finish by themselves: ${join(", ", [for job in fact.jobs : "${job.name} (${job.status})" if contains(["ERROR", "STOPPED"], job.status)])}"
  remedy    = "resume or discard them, or set `jobs` to \"discard\""
}

preflight "java" {
  movements = ["upgrade"]
  pass      = length(local.java_bad) == 0
  message   = "JDK 8 (64 bit) or above is required on every node; ${join(", ", [for node, said in local.java_bad : "${node} has: ${said}"])}"
  remedy    = "install JDK 8, or set `java_home`; for a Hadoop cluster on JDK 7 follow the vendor's \"Run Kyligence Enterprise on JDK 7\" and add a waiver"
  waivable  = true
}

preflight "hdfs_space" {
  movements = ["upgrade"]
  when      = local.copy_cubes
  pass      = fact.hdfs.free > fact.hdfs.size
  message   = "HDFS has ${fact.hdfs.free} bytes free; a copy of ${fact.properties.working_dir} needs ${fact.hdfs.size}"
  remedy    = "make room in HDFS, keep it by `cube_backup = \"snapshot\"`, or set `back_up_cubes = false` and waive `no_cube_backup`"
}

preflight "disk_space" {
  movements = ["upgrade"]
  pass      = fact.disk.free > 3 * fact.disk.home
  message   = "${floor(fact.disk.free / 1048576)} MiB are free where ${self.home} is; the unpacked kit, the script's backup of the old home and a restored one need up to ${floor(3 * fact.disk.home / 1048576)} MiB"
  remedy    = "make room"
  waivable  = true
}

preflight "garbage_cleanup" {
  movements = ["upgrade"]
  pass      = length(fact.cleanup) == 0
  message   = "a garbage cleanup is scheduled, and must not run before the upgrade is verified: ${join("; ", fact.cleanup)}"
  remedy    = "take it out of the crontab until the upgrade is verified"
  waivable  = true
}

preflight "default_source" {
  movements = ["upgrade"]
  when      = from.major == 2 && to.major > 2
  pass      = length(local.undeclared) == 0
  message   = "these projects have several data sources and no default among them is declared: ${join(", ", [for project in local.undeclared : "${project} (${join(", ", [for source in local.mixed[project] : lookup({ "0" = "hive", "1" = "kafka", "16" = "rdbms" }, source, source)])})"])}"
  remedy    = "declare `default_source` for each: hive or kafka. It cannot be changed later"
}
