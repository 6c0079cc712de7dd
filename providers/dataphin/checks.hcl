# Which way, and what must hold before anything is touched.

locals {
  # The first three numbers are the same.
  same_line = alltrue([for at in [0, 1, 2] : coalesce(version_part(from.text, at), 0) == coalesce(version_part(to.text, at), 0)])
  # What the Manager itself says of the hop; where it says nothing of it, the vendor's rule counts.
  offers_zero = try(fact.modes[to.text].current == from.text ? contains(fact.modes[to.text].modes, "zero-downtime") : local.same_line, local.same_line)
  semi_since  = version_compare(from.text, "V5.1.1") >= 0

  given    = try(self.configurations[to.text], null)
  checked  = try(fact.file_check[to.text], null)
  imports  = try(local.given.version_configuration, null) != null && (!contains(keys(fact.versions), to.text) || self.overwrite_version_configuration)
  template = local.imports ? fact.own_template[to.text] : try(fact.versions[to.text], null)

  # A configuration that was saved before, by us and for the same version, is continued.
  ours  = try(fact.in_progress.status == "Configuring" && fact.in_progress.to == to.text && fact.in_progress.operator == self.username, false)
  other = fact.in_progress != null && !local.ours

  # What the Manager says of its databases, in the words of the setting `database`.
  managed              = length([for one in fact.system.databases : one if one.managed == "rds"]) > 0 ? "rds" : (length([for one in fact.system.databases : one if one.managed != "self"]) > 0 ? "other" : "self_managed")
  backed_up_by_manager = self.database == "self_managed" && !self.skip_backup
}

route "zero_downtime" {
  when     = local.same_line && local.offers_zero
  strategy = "zero_downtime"
  downtime = "0s"
  risk     = 10
  note     = "zero-downtime: the first three numbers of the versions are the same and the Manager offers it, so neither maintenance mode nor a pause of scheduling is needed"
}

route "semi_downtime" {
  from     = ">= V5.1.1"
  strategy = "semi_downtime"
  downtime = "30m"
  risk     = 20
  note     = "semi-downtime: offered from V5.1.1 on, and recommended wherever zero-downtime is not possible: running tasks go on, scheduling pauses for the upgrade of the applications"
}

route "downtime" {
  strategy = "downtime"
  downtime = "3h"
  risk     = 30
  note     = "downtime: the only way from a version before V5.1.1 that changes one of the first three numbers; running tasks are stopped and all pods but those of DataService Studio shut down"
}

preflight "no_other_upgrade" {
  movements = ["upgrade"]
  when      = local.other
  pass      = self.if_in_progress == "wait" || (self.if_in_progress == "force_stop" && self.force_stop_other != null)
  message   = "upgrade ${fact.in_progress.id} to ${fact.in_progress.to} by ${fact.in_progress.operator} is ${fact.in_progress.status}: no other may be configured or in progress"
  remedy    = "wait for it (`if_in_progress = \"wait\"`), or, once it was completed or rolled back by hand, force-stop it (`if_in_progress = \"force_stop\"` with `force_stop_other`)"
}

preflight "healthy" {
  movements = ["upgrade"]
  when      = !local.other
  pass      = fact.healthy && fact.maintenance == null
  message   = "the system is not ready: maintenance mode since ${fact.maintenance == null ? "never" : fact.maintenance}, services that do not run: ${join(", ", [for one in fact.system.services : one.name if one.state != "Running"])}"
  remedy    = "repair it first, and leave maintenance mode: a failed upgrade must be told from a system that was broken before"
  waivable  = true
}

preflight "configuration_given" {
  movements = ["upgrade"]
  pass      = local.given != null && (contains(keys(fact.versions), to.text) || try(local.given.version_configuration, null) != null)
  message   = local.given == null ? "`configurations` has nothing for ${to.text}" : "the Manager does not list ${to.text}, and no `version_configuration` is given for it"
  remedy    = "get the files of ${to.text} from the Dataphin O&M team and name them in `configurations`"
}

preflight "version_configuration" {
  movements = ["upgrade"]
  when      = local.imports
  pass      = fact.version_check[to.text].valid
  message   = "the version configuration of ${to.text} is not valid: ${fact.version_check[to.text].message}"
  remedy    = "get the right file from the Dataphin O&M team"
}

preflight "missing_items" {
  movements = ["upgrade"]
  when      = local.given != null && local.checked != null && !local.imports && try(local.given.kind, "") == "standard"
  pass      = local.checked.valid
  message   = "the configuration file of ${to.text} is not complete: ${join(", ", try(local.checked.missing_items, [local.checked.message]))}"
  remedy    = "add all of these items to ${local.given.configuration_file}"
}

preflight "template" {
  movements = ["upgrade"]
  when      = try(local.given.kind, "") == "non-standard" && local.template != null
  pass      = (length(fact.template[to.text]) > 0 && alltrue([for md5 in values(fact.template[to.text]) : md5 == local.template])) || local.given.template_confirmed_by != null
  message   = "the template in ${local.given.configuration_file} (${join(", ", [for name, md5 in fact.template[to.text] : "${name} with the MD5 ${md5}"])}) is not that of ${to.text}, whose MD5 is ${local.template}: it is not compatible with the selected version"
  remedy    = "confirm with the Dataphin O&M team, and say who did in `template_confirmed_by`"
}

preflight "overlays" {
  movements = ["upgrade"]
  when      = try(local.given.kind, "") == "non-standard" && local.checked != null && !local.imports
  pass      = local.checked.valid
  message   = "the configuration information in ${local.given.configuration_file} is not compatible with ${to.text}: ${join(", ", concat(try(local.checked.incompatible, [local.checked.message]), [for item in try(local.checked.missing_items, []) : "${item} is missing"]))}"
  remedy    = "confirm with the Dataphin O&M team: this blocks the upgrade"
}

preflight "values" {
  movements = ["upgrade"]
  when      = try(local.given.kind, "") == "non-standard" && local.checked != null && !local.imports
  pass      = try(length(local.checked.differences), 0) == 0
  message   = "the values differ from the running ones: ${join(", ", [for one in try(local.checked.differences, []) : "${one.item} is ${coalesce(one.running, "not there")}, will be ${coalesce(one.file, "not there")}"])}"
  remedy    = "the upgrade will use the new configuration file: check that each difference is meant"
  severity  = "warn"
}

preflight "checked_later" {
  movements = ["upgrade"]
  pass      = local.given == null || (local.checked != null && !local.imports)
  message   = "the configuration file of ${to.text} can be checked only once the Manager has the version: that is done before maintenance mode is entered"
  remedy    = "nothing to do: what is wrong then is told before anything is touched"
  severity  = "warn"
}

# By days only: the page does not say in which time zone the time is.
preflight "announcement" {
  movements = ["upgrade"]
  pass      = tonumber(replace(substr(self.announcement.estimated_completion, 0, 10), "-", "")) >= tonumber(formatdate("YYYYMMDD", timeadd(plantimestamp(), "-24h")))
  message   = "the announced end of maintenance mode, ${self.announcement.estimated_completion}, is past"
  remedy    = "set `estimated_completion` to when users can expect to work again"
  severity  = "warn"
}

preflight "skippable" {
  movements = ["upgrade"]
  pass      = !contains(self.skip_data_updates, "metadata_acquisition")
  message   = "`skip_data_updates` names metadata_acquisition, which cannot be skipped"
  remedy    = "take it out"
}

preflight "rds" {
  movements = ["upgrade"]
  when      = !self.skip_backup
  pass      = self.database == local.managed
  message   = "`database` is ${self.database}, but the Manager has ${join(", ", fact.databases)}"
  remedy    = "set `database` to what the Manager says"
}

risk "no_backup" {
  rule    = self.skip_backup
  message = "the databases are not backed up before the upgrade (`skip_backup`)"
}

note "risk_declaration" {
  acknowledge = true
  text        = "Risk declaration of the upgrade to ${to.text}: you understand the scope of impact. In maintenance mode no scheduled task is dispatched and users cannot operate; past the point of no return only a person can complete or roll back the upgrade, and a forced stop may leave Dataphin unavailable."
  url         = "https://www.alibabacloud.com/help/en/dataphin/"
}

note "mode" {
  when = local.same_line == false && local.semi_since
  text = "Semi-downtime is what the vendor recommends here. Users can log on again once the applications are upgraded; the upgrade is complete only after the data update."
}

note "asynchronous_calls" {
  when = !(local.same_line && local.offers_zero)
  text = "Meanwhile synchronous calls of DataService Studio APIs keep working. Asynchronous ones do with StarRocks, MaxCompute, Databricks and OceanBase as data sources; check what uses others."
}

note "insufficient_resources" {
  text = "Where resources are insufficient, the old data service applications are stopped before the new ones run, and there may be times without any: keep room for one more replica of OLTP, mgmt and Gateway."
}

note "non_standard" {
  when = try(local.given.kind, "") == "non-standard"
  text = "A non-standard configuration is used. The vendor says: unless there are special circumstances, do not."
}

note "rds_backup" {
  acknowledge = true
  when        = self.database == "rds" && !self.skip_backup
  text        = "The databases are RDS instances: the run stops until a person has backed them up in the RDS console and confirms it; the Manager's own backup is then skipped with a risk declaration."
}

note "other_backup" {
  acknowledge = true
  when        = self.database == "other" && !self.skip_backup
  text        = "The Manager backs up neither of the databases: the run stops until a person has backed them up by their own means and confirms it; the Manager's own backup is then skipped with a risk declaration."
}

note "force_stop_other" {
  acknowledge = true
  when        = self.if_in_progress == "force_stop" && local.other
  text        = "Upgrade ${try(fact.in_progress.id, "?")} to ${try(fact.in_progress.to, "?")} is force-stopped as ${try(self.force_stop_other.outcome, "?")}. The system does not recover from that by itself: it must have been completed or rolled back by hand."
}

note "generated" {
  text      = "Instances are generated at 23:00 every day: what the upgrade was verified with may be a generation of the old version. After the next 23:00, compare the number of generated instances with the 7-day average in the Manager once more."
  follow_up = true
}

note "acquisition" {
  text      = "Acquisition instances that exist are not changed and use the latest code. Where an instance includes a change of scheduling, the change takes effect the day after the upgrade: look at them then."
  follow_up = true
}

note "non_blocking" {
  text      = "Data update tasks that do not block go on after the upgrade: see in the Manager that they end well."
  follow_up = true
}
