# Alibaba Dataphin, upgraded through Dataphin Manager as its page "Upgrade Dataphin in downtime or semi-downtime mode" says.

provider "dataphin" {
  version        = "1.0.0"
  title          = "Alibaba Dataphin"
  version_scheme = "dotted"
  description    = <<-END
    Moves a Dataphin from version to version through Dataphin Manager: zero-downtime where the first three numbers of the version stay the
    same, semi-downtime from V5.1.1 on, downtime else. DataService Studio stays available throughout, and a probe proves it.
    The Manager's HTTP interface is not public: its paths are the setting `endpoints`, whose defaults are assumed.
  END
}

setting "manager_url" {
  type        = string
  required    = true
  on_change   = "ignore"
  description = "Address of Dataphin Manager: the logon URL of Dataphin with `/opsconsole/v2`."
  validation {
    condition = startswith(self.manager_url, "http://") || startswith(self.manager_url, "https://")
    message   = "must begin with `http://` or `https://`"
  }
}

setting "username" {
  type        = string
  required    = true
  on_change   = "ignore"
  description = "User of Dataphin Manager, from Dataphin's operations personnel."
}

setting "password" {
  type        = string
  required    = true
  sensitive   = true
  description = "Password of that user."
}

setting "ca_file" {
  type        = string
  on_change   = "ignore"
  description = "PEM file of the authority that signed the Manager's certificate, where the system does not know it."
}

setting "session" {
  type        = object({ token = string, header = string, prefix = string })
  default     = { token = "/data/token", header = "Authorization", prefix = "Bearer " }
  on_change   = "ignore"
  description = "Where the answer to a logon has the token (a JSON pointer), and the header that then carries it. Assumed."
}

setting "endpoints" {
  type        = map(string)
  default     = {}
  on_change   = "ignore"
  description = "Paths of the Manager's interface by name, instead of the assumed ones; see the README. `{id}` is the upgrade, `{version}` a version, `{name}` a service, database, task or instance."
}

setting "folder" {
  type        = string
  required    = true
  on_change   = "ignore"
  description = "Folder on the host for announcements, dumps, thread dumps and logs. Absolute path."
  validation {
    condition = startswith(self.folder, "/")
    message   = "must be an absolute path"
  }
}

setting "configurations" {
  type = map(object({
    version_configuration = optional(string)
    configuration_file    = string
    kind                  = optional(string, "standard")
    template_confirmed_by = optional(string)
  }))
  required    = true
  on_change   = "ignore"
  description = "By version: the version's own configuration (needed where the Manager does not list the version yet), and the configuration file (`standard`: YAML or ZIP; `non-standard`: a ZIP of the Dataphin O&M team). Absolute paths on the host."
  validation {
    condition = alltrue([for one in values(self.configurations) : contains(["standard", "non-standard"], one.kind)])
    message   = "`kind` must be `standard` or `non-standard`"
  }
  validation {
    condition = alltrue([for one in values(self.configurations) : length(regexall(one.kind == "standard" ? "[.](yaml|yml|zip)$" : "[.]zip$", lower(one.configuration_file))) == 1])
    message   = "a `standard` configuration file is YAML or ZIP, a `non-standard` one is ZIP"
  }
}

setting "overwrite_version_configuration" {
  type        = bool
  default     = false
  on_change   = "ignore"
  description = "Whether a version's configuration that the Manager has already is overwritten by `version_configuration`."
}

setting "announcement" {
  type        = object({ estimated_completion = string, email = string, phone = string })
  required    = true
  on_change   = "ignore"
  description = "What users read meanwhile: when maintenance mode is expected to end (`YYYY-MM-DD hh:mm`), and who can be reached."
  validation {
    condition = length(regexall("^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$", self.announcement.estimated_completion)) == 1
    message   = "`estimated_completion` must be written as `YYYY-MM-DD hh:mm`"
  }
  validation {
    condition = length(regexall("^[^@ ]+@[^@ ]+$", self.announcement.email)) == 1 && length(regexall("[0-9]", self.announcement.phone)) > 0
    message   = "`email` must be an address and `phone` a number"
  }
}

setting "if_in_progress" {
  type        = string
  default     = "refuse"
  on_change   = "ignore"
  description = "What to do where another upgrade is configured or in progress: `refuse`, `wait`, or `force_stop` (needs `force_stop_other`)."
  validation {
    condition = contains(["refuse", "wait", "force_stop"], self.if_in_progress)
    message   = "must be `refuse`, `wait` or `force_stop`"
  }
}

setting "force_stop_other" {
  type        = object({ outcome = string, by = string, reason = string })
  on_change   = "ignore"
  description = "With `if_in_progress = \"force_stop\"`: what became of the other upgrade (`succeeded` or `failed`), who confirms that it was completed or rolled back by hand, and why."
  validation {
    condition = self.force_stop_other == null ? true : contains(["succeeded", "failed"], self.force_stop_other.outcome)
    message   = "`outcome` must be `succeeded` or `failed`"
  }
}

setting "stop_tasks" {
  type        = string
  default     = "rerunnable"
  on_change   = "ignore"
  description = "Downtime: which running tasks are forcibly stopped: `rerunnable` (those that cannot be run again are waited for, as the vendor recommends), `all` or `none` (all are waited for)."
  validation {
    condition = contains(["rerunnable", "all", "none"], self.stop_tasks)
    message   = "must be `rerunnable`, `all` or `none`"
  }
}

setting "rerun_on_stop" {
  type        = bool
  default     = true
  on_change   = "ignore"
  description = "Whether forcibly stopped tasks are run again where an upgrade is stopped before the shutdown; else a person reruns them."
}

setting "database" {
  type        = string
  default     = "self_managed"
  on_change   = "ignore"
  description = "Where the metadata is: `self_managed` (PostgreSQL, backed up by the Manager), `rds` (backed up in the RDS console by a person) or `other` (backed up by a person by its own means)."
  validation {
    condition = contains(["self_managed", "rds", "other"], self.database)
    message   = "must be `self_managed`, `rds` or `other`"
  }
}

setting "skip_backup" {
  type        = bool
  default     = false
  on_change   = "ignore"
  description = "Whether the backup is left out. Refused without a waiver for `no_backup`."
}

setting "metadata_databases" {
  type = map(object({
    host     = string
    port     = optional(number, 5432)
    user     = string
    database = string
  }))
  default     = {}
  on_change   = "ignore"
  description = "Databases that are dumped into `folder` as well (`pg_dump`, read back), beside the Manager's own backup: a restore then needs no Manager."
}

setting "metadata_passwords" {
  type        = map(string)
  default     = {}
  sensitive   = true
  description = "Passwords of `metadata_databases`, by the same names."
}

setting "pg_bin_dir" {
  type        = string
  on_change   = "ignore"
  description = "Folder of `pg_dump` on the host; found on the PATH where not given."
}

setting "skip_data_updates" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Downtime: data update tasks that are treated as non-blocking and left out. Metadata acquisition cannot be."
}

setting "ignore_failed_messages" {
  type        = map(object({ by = string, reason = string }))
  default     = {}
  on_change   = "ignore"
  description = "Data update tasks whose failed messages the Dataphin O&M team has confirmed as ignorable: who, and why."
}

setting "data_service_url" {
  type        = string
  on_change   = "ignore"
  description = "A synchronous call of a DataService Studio API that answers 200. It is made all the time during the upgrade and may never fail."
}

setting "watch" {
  type        = string
  default     = "30m"
  on_change   = "ignore"
  description = "How long the instances are watched after the upgrade, before what fails is run again."
}

setting "generated_share" {
  type        = number
  default     = 0.8
  on_change   = "ignore"
  description = "The share of the 7-day average of generated instances that the last generation must reach."
}

setting "tenants" {
  type        = list(string)
  default     = ["default"]
  on_change   = "ignore"
  description = "Tenants whose instance statuses are compared."
}

setting "rds_console" {
  type        = string
  default     = "https://rdsnext.console.aliyun.com/"
  on_change   = "ignore"
  description = "Console in which RDS instances are backed up."
}

setting "force_stop" {
  type        = object({ upgrade = string, outcome = string, by = string, reason = string })
  description = "Force-stops an upgrade that went wrong past its point of no return, once a person has completed it or rolled it back by hand: its number in the Manager's history, what became of it (`succeeded` or `failed`), who says so, and why. Set it after `windlass abandon`, with the version that is deployed now."
  validation {
    condition = self.force_stop == null ? true : contains(["succeeded", "failed"], self.force_stop.outcome) && self.force_stop.reason != ""
    message   = "`outcome` must be `succeeded` or `failed`, and `reason` may not be empty"
  }
}
