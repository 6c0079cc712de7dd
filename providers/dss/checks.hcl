# What must hold, what is forbidden, what needs a waiver, and what a person must read.

blocked "macos" {
  from   = "*"
  when   = fact.platform == "Darwin"
  reason = "on macOS, DSS is upgraded by installing the new application directly over the existing one, as the page below says; make a backup of the data directory first"
  url    = "https://www.dataiku.com/product/get-started/mac/"
}

blocked "other_node_type" {
  from   = "*"
  when   = fact.node_type != null && fact.node_type != self.node_type
  reason = "the data directory is of another node type than declared: set `node_type` to what it is"
}

risk "no_backup" {
  from    = "*"
  rule    = self.backup == null
  message = "an upgrade of DSS cannot be rolled back: without a `backup` block nothing leads back. Add `backup { repository = \"/backups/dss\" }`, or a waiver"
  url     = "https://doc.dataiku.com/dss/latest/operations/backups.html"
}

risk "backup_without_data" {
  from    = "*"
  rule    = local.backed_up ? contains(try(self.backup.exclude, []), "data") : false
  message = "the backup leaves out `data` (managed_datasets, analysis_data, saved_models): a restore gives a node whose datasets and models must be built again"
}

risk "govern_without_database" {
  from    = "*"
  rule    = self.node_type == "govern" && self.postgres == null && !local.managed
  message = "most of what Govern manages is in its PostgreSQL, and the upgrade migrates it: declare `postgres`, so that it is backed up together with the data directory"
}

risk "unverified_kit" {
  from    = "*"
  rule    = try(release.sha256, null) == null
  message = "the catalogue has no `sha256` for this release, so that the kit cannot be verified"
}

risk "export_import_loses" {
  rule    = self.import_from != null
  message = "moving projects by export and import is not recommended by the vendor: files written from Jupyter notebooks, results of SQL notebooks and the whole state of the flow are lost, so that all datasets and partitions must be computed again. Use `clone_of` to keep the old node running"
}

preflight "not_as_root" {
  movements = ["install", "upgrade", "reconfigure"]
  pass      = fact.user_id != 0 || self.run_as != null
  message   = "Windlass is root on the host, and DSS refuses to be installed or run as root"
  remedy    = "set `run_as` to the system user that DSS belongs to"
}

preflight "kit" {
  movements = ["install", "upgrade"]
  when      = !local.remote
  pass      = contains(keys(fact.kits), to.text) || local.artifact != null
  message   = "there is no kit of ${to.text}: neither ${local.new_kit} nor ${self.kits_dir}/${local.kit_name}.tar.gz"
  remedy    = "put the kit there, or give the release an `artifact`"
}

preflight "dependencies" {
  movements = ["install", "upgrade"]
  when      = contains(keys(fact.kits), to.text)
  pass      = fact.kits[to.text] == ""
  message   = "system dependencies of ${to.text} are missing on the host: ${try(fact.kits[to.text], "")}"
  remedy    = "install them with superuser privileges: sudo -i \"${local.new_kit}/scripts/install/install-deps.sh\" -without-java (unpack the kit for it: tar xzf ${local.archive} -C ${self.install_root})"
}

preflight "dependencies_unknown" {
  movements = ["install", "upgrade"]
  when      = !contains(keys(fact.kits), to.text)
  pass      = false
  severity  = "warn"
  message   = "the kit of ${to.text} is not in ${self.kits_dir} yet, so that its system dependencies cannot be checked now; they are checked before anything is stopped"
  remedy    = "put the kit into ${self.kits_dir} before planning"
}

preflight "healthy_before" {
  movements = ["upgrade"]
  when      = fact.running == true
  pass      = fact.healthy
  message   = "the running node does not answer its API as version ${fact.version} (HTTP status ${try(fact.served.status, "none")})"
  remedy    = "repair it first (${self.data_dir}/run/backend.log): an upgrade of a broken node cannot be told from a broken upgrade"
  waivable  = true
}

preflight "jobs_visible" {
  movements = ["upgrade"]
  when      = fact.running == true && local.has_jobs
  pass      = self.api_key != null
  message   = "without `api_key` nobody can tell whether a job is running"
  remedy    = "make a global API key with admin rights and set `api_key`; or make sure that no job runs, and add a waiver for `jobs_visible`"
  waivable  = true
}

preflight "jobs" {
  movements = ["upgrade"]
  when      = self.running_jobs == "refuse" && fact.jobs != null
  pass      = length(fact.jobs) == 0
  message   = "${length(try(fact.jobs, []))} job(s) are running: ${join(", ", try(fact.jobs, []))}"
  remedy    = "wait until they have ended, abort them, or set `running_jobs` to `wait` or `abort`"
}

preflight "impersonation_needs_root" {
  movements = ["upgrade"]
  when      = try(fact.integrations.impersonation, false)
  pass      = fact.user_id == 0
  message   = "user isolation is enabled, and `install-impersonation` must be run as root after the upgrade; Windlass is not root on the host"
  remedy    = "run Windlass as root on this host (with `run_as`)"
}

preflight "standalone_archives" {
  movements = ["upgrade"]
  when      = try(fact.integrations.hadoop || fact.integrations.spark, false)
  pass      = (!fact.integrations.hadoop || local.hadoop_archive != null) && (!fact.integrations.spark || local.spark_archive != null)
  message   = "the node has standalone Hadoop or Spark, and ${self.kits_dir} does not hold their archives of ${to.text}"
  remedy    = "put dataiku-dss-hadoop-standalone-libs-*-${to.text}.tar.gz and dataiku-dss-spark-standalone-${to.text}-*.tar.gz there, or give `-standaloneArchive` in `options`"
}

preflight "backup_password" {
  movements = ["upgrade"]
  when      = local.method == "restic"
  pass      = self.backup_password != null || local.password_file != null
  message   = "a restic repository is encrypted, and nothing says by which password"
  remedy    = "set `backup_password`, or `password_file` in the `backup` block, and keep a copy of it elsewhere"
}

preflight "backup_room" {
  movements = ["upgrade"]
  when      = local.backed_up && fact.size != null
  pass      = fact.backup_room > fact.size
  message   = "${floor(try(fact.backup_room, 0) / 1048576)} MiB are free under ${try(self.backup.repository, "")}; the data directory has ${floor(try(fact.size, 0) / 1048576)} MiB"
  remedy    = "make room there, or leave out sets that need no backup: `exclude = [\"temporary\", \"logs\"]`"
  waivable  = true
}

preflight "govern_database" {
  movements = ["upgrade"]
  when      = self.postgres != null
  pass      = fact.database_version != null
  message   = "the PostgreSQL of the govern node does not answer, so that it could not be backed up"
  remedy    = "see `postgres` and `postgres_password`"
}

note "release_notes" {
  acknowledge = true
  when        = local.major
  text        = "Major upgrade from ${from.text} to ${to.text}: read all release notes in between for limitations, attention points and notes, before it is started."
  url         = "https://doc.dataiku.com/dss/latest/release_notes/index.html"
}

note "attention" {
  when = length(try(release.attention, [])) > 0
  text = "Attention points of ${to.text}: ${join("; ", try(release.attention, []))}"
  url  = "https://doc.dataiku.com/dss/latest/release_notes/index.html"
}

note "java_8" {
  versions = "13.x"
  text     = "From DSS 13 on Java 8 is not supported any more: the host needs Java 11 or 17."
  url      = "https://doc.dataiku.com/dss/latest/installation/custom/advanced-java-customization.html"
}

note "no_way_back" {
  text = local.backed_up ? "Once the migration of the data directory has begun, DSS itself has no way back: rolling back restores the backup under the old software, and loses what was done since." : local.managed ? "Backups are managed by the platform (`method = \"managed\"`): Windlass makes none. The only way back is a snapshot of the platform, restored by hand." : "There is no backup: once the migration of the data directory has begun, nothing leads back."
  url  = "https://doc.dataiku.com/dss/latest/installation/custom/upgrade.html"
}

note "old_software" {
  text      = "The software of ${from.text} stays in ${try(fact.kit, self.install_root)}: with the backup it is the way back. Remove it once nobody needs that any more."
  follow_up = true
}

note "code_envs_by_hand" {
  when      = local.must_rework && self.api_key == null && local.has_jobs
  text      = "Rebuild all code environments, and their images where they are used with containerized execution (no `api_key`, so Windlass cannot)."
  url       = "https://doc.dataiku.com/dss/latest/code-envs/index.html"
  follow_up = true
}

note "models_by_hand" {
  when      = local.must_rework && local.has_jobs && length(self.retrain_models) == 0
  text      = "See in the release notes whether machine learning models must be retrained (none are listed in `retrain_models`); if so, regenerate and redeploy the packages on the API nodes as well."
  url       = "https://doc.dataiku.com/dss/latest/release_notes/index.html"
  follow_up = true
}

note "packages_by_hand" {
  when      = local.must_rework && local.has_jobs && length(self.retrain_models) > 0 && length(self.api_services) == 0
  text      = "Models are retrained: regenerate the packages that contain them and redeploy them on the API nodes (none are listed in `api_services`)."
  follow_up = true
}

note "clone" {
  movements = ["install"]
  when      = self.clone_of != null
  text      = "The vendor recommends to get in touch with the Dataiku Customer Success Manager before a node is cloned. Scenarios are off on the clone: two nodes that run the same ones could corrupt data."
  url       = "https://doc.dataiku.com/dss/latest/installation/custom/upgrade.html"
}

note "clone_scenarios" {
  movements = ["install"]
  when      = self.clone_of != null
  text      = "When the old node is retired: stop it for good, then switch on the scenarios of the clone that are listed in ${self.data_dir}/config/windlass-scenarios-off.txt."
  follow_up = true
}

note "retire_exported" {
  movements = ["install"]
  when      = self.import_from != null
  text      = "Only when everything was computed again and checked on the new node, shut down the old one (${try(self.import_from.data_dir, "")})."
  follow_up = true
}

locals {
  hadoop_archives = [for name in fact.archives : name if length(regexall("^dataiku-dss-hadoop-standalone-libs-.*${to.text}[.]tar[.]gz$", name)) > 0]
  spark_archives  = [for name in fact.archives : name if startswith(name, "dataiku-dss-spark-standalone-${to.text}-")]
  hadoop_given    = contains(try(self.options["install-hadoop-integration"], []), "-standaloneArchive")
  spark_given     = contains(try(self.options["install-spark-integration"], []), "-standaloneArchive")
  hadoop_archive  = local.hadoop_given ? "" : length(local.hadoop_archives) > 0 ? "${self.kits_dir}/${local.hadoop_archives[0]}" : null
  spark_archive   = local.spark_given ? "" : length(local.spark_archives) > 0 ? "${self.kits_dir}/${local.spark_archives[0]}" : null
}
