# Which moves there are, which are refused, and what a person must know or do.

route "minor" {
  from     = ">= 2"
  to       = "< 4"
  when     = !local.main && local.by_script
  strategy = "minor"
  downtime = "5m"
  risk     = 10
}

route "main" {
  from     = ">= 2"
  to       = "< 4"
  when     = local.main && local.by_script
  strategy = "main"
  downtime = "20m"
  risk     = 40
  note     = "metadata and cube data may be converted; rolling back restores both"
}

route "by_hand" {
  from     = ">= 2"
  to       = "< 4"
  when     = !local.by_script && self.without_script == "by_hand"
  strategy = "by_hand"
  downtime = "2h"
  risk     = 60
  note     = "there is no upgrade script: the run waits for a person"
}

route "reconfigure" {
  movement = "reconfigure"
  when     = !self.delete_backups
  strategy = "look_again"
}

route "clean_up" {
  movement = "reconfigure"
  when     = self.delete_backups
  strategy = "clean_up"
}

blocked "no_upgrade_script" {
  when   = !local.by_script && self.without_script == "refuse"
  reason = "for Kyligence Enterprise 3.3.0 and below there is no upgrade script. Set `without_script = \"by_hand\"`: everything but the replacement of the software is done, and for that the run waits for a person"
  url    = "https://docs.kyligence.io/books/v3.4/en/appendix/upgrade_ke.en.html"
}

blocked "beyond_3" {
  to     = ">= 4"
  reason = "Kyligence Enterprise 4 is another product line with a migration of its own; this provider knows the upgrades of 2.x and 3.x"
}

risk "untested_production" {
  rule    = self.production && instance.promote_from == null
  message = "this is production and its environment has no `promote_from`: the vendor does not recommend to upgrade in production directly; always test the upgrade in a test environment first"
  url     = "https://docs.kyligence.io/books/v3.4/en/operation/upgrade/upgrade_script_ke.en.html"
}

risk "no_cube_backup" {
  rule    = local.main && !self.back_up_cubes
  message = "an upgrade of the main version may change cube data, and `back_up_cubes` is off: nothing leads back from cube data that was converted"
  url     = "https://docs.kyligence.io/books/v3.4/en/operation/upgrade/upgrade_script_ke.en.html"
}

note "main_version" {
  when = local.main
  text = "This is an upgrade of the main version: metadata is upgraded and existing cube data may be. Metadata is backed up, ${local.save_cubes ? "and the cube data ${local.copy_cubes ? "copied to" : "kept by the snapshot"} ${local.cube_keep} in HDFS" : "cube data is NOT backed up"}. Rolling back loses what was built since."
  url  = "https://docs.kyligence.io/books/v3.4/en/operation/upgrade/upgrade_script_ke.en.html"
}

note "silent" {
  when = local.by_script
  text = "The upgrade script runs with --silent, which the vendor asks to be used with the help of Kyligence Technical Support (https://support.kyligence.io/). Its questions are all answered by yes."
}

note "support_first" {
  text = "Where the upgrade fails: Kyligence Support may have a solution that spares the rollback. With `on_failure = \"halt\"` the environment waits, so that you can ask before `windlass rollback`."
  url  = "https://support.kyligence.io/"
}

note "no_garbage_cleanup" {
  text = "Run no garbage cleanup before the upgrade is verified."
}

note "default_source" {
  acknowledge = true
  when        = from.major == 2 && to.major > 2 && length(self.default_source) > 0
  text        = "Default data sources are set and CANNOT be changed later: ${join(", ", [for project, source in self.default_source : "${project}: ${source}"])}."
  url         = "https://docs.kyligence.io/books/v3.4/en/operation/upgrade/upgrade_script_ke.en.html"
}

note "spark_and_tomcat" {
  when      = local.main
  text      = "Configure Spark and Tomcat of ${to.text}: the upgrade script does not upgrade them for a main version.${length(self.carry_over) > 0 ? " Taken over: ${join(", ", self.carry_over)}." : ""}"
  follow_up = true
}

note "kerberos" {
  when      = local.main
  text      = "${fact.properties.kerberos ? "Kerberos is on (kap.kerberos.enabled)" : "If Kerberos is used"}: configure it for the new Spark (\"Integrate with Kerberos\")."
  follow_up = true
}

note "cluster" {
  when      = local.main && (length(self.nodes) > 0 || fact.properties.cluster)
  text      = "Check the cluster: shared sessions of Tomcat, load balancing (\"Cluster Deployment and Load Balancing\")."
  follow_up = true
}

note "clients" {
  when      = length(self.clients) == 0
  text      = "Verify that what uses Kyligence Enterprise works: JDBC clients, clients of the REST API, BI tools. (`clients` can do it.)"
  follow_up = true
}

note "verify_by_hand" {
  when      = self.verify == null || try(self.verify.cube, null) == null
  text      = "Build a segment${self.verify == null ? " and run a query" : ""}: `verify` does not say which."
  follow_up = true
}

note "discarded_jobs" {
  when      = self.jobs == "discard" && length(coalesce(fact.jobs, [])) > 0
  text      = "These jobs are discarded; launch them again: ${join(", ", [for job in coalesce(fact.jobs, []) : job.name])}."
  follow_up = true
}

note "backups" {
  when      = !self.delete_backups
  text      = "Backups stay: ${local.keep}${local.save_cubes ? ", and ${local.cube_keep} in HDFS" : ""}. They are the way back. Once nobody needs it, set `delete_backups = true`."
  follow_up = true
}
