# Step 1 of the vendor's page: select version and mode. Nothing that runs is touched before `begin`.

step_group "prepare" {
  step "wait_for_other" {
    title = "Wait for the other upgrade to end"
    when  = local.other && self.if_in_progress == "wait"
    http {
      url   = local.manager.system
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.upgrade_in_progress == null
      message  = "another upgrade is still configured or in progress"
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "12h"
    estimate   = "1h"
  }

  step "force_stop_other" {
    title = "Force-stop the other upgrade, with the outcome that a person declares"
    when  = local.other && self.if_in_progress == "force_stop"
    http {
      method = "POST"
      url    = replace(local.manager.force_stop, "{id}", fact.in_progress.id)
      json   = merge(self.force_stop_other, { confirmed = true })
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && strcontains(error.body, "NOT_UPGRADING")]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "recorded in the Manager's history; a backup that runs goes on"
  }

  step "make_folder" {
    title = "Create the folder of the announcement, the dumps and the logs"
    file {
      action = "directory"
      path   = local.folder
      mode   = "0700"
    }
    harmless   = true
    repeatable = true
  }

  step "import_version" {
    title = "Upload the version's configuration, which the Manager validates"
    when  = local.imports
    http {
      method    = "PUT"
      url       = replace(local.manager.version_configuration, "{version}", to.text)
      query     = { overwrite = tostring(self.overwrite_version_configuration) }
      multipart = { files = { file = { path = local.given.version_configuration } } }
      login     = local.login
      tls       = local.tls
    }
    tolerate   = [error.status == 409 && strcontains(error.body, "VERSION_EXISTS")]
    harmless   = true
    repeatable = true
    timeout    = "15m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "imports it, or overwrites what is there where `overwrite_version_configuration` says so"
  }

  step "check_configuration" {
    title = "Check that the configuration file is complete and fits the version"
    http {
      method    = "POST"
      url       = replace(local.manager.configuration_file_validate, "{version}", to.text)
      query     = { kind = local.given.kind }
      multipart = { files = { file = { path = local.given.configuration_file } } }
      login     = local.login
      tls       = local.tls
    }
    poll {
      until    = result.json.data.valid && (result.json.data.template_compatible || local.given.template_confirmed_by != null)
      fail     = !result.json.data.valid || !(result.json.data.template_compatible || local.given.template_confirmed_by != null)
      message  = "the configuration file does not fit ${to.text}: ${join(", ", concat([for item in result.json.data.missing_items : "${item} is missing"], [for item in result.json.data.incompatible : "${item} is not compatible"], result.json.data.template_compatible ? [] : ["its template is not that of the version"]))}"
      interval = "1s"
    }
    harmless   = true
    repeatable = true
    timeout    = "15m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "save_configuration" {
    title = "Save the configuration of the upgrade"
    when  = !local.ours
    http {
      method = "POST"
      url    = local.manager.upgrades
      json   = { target = to.text, announcement = self.announcement }
      login  = local.login
      tls    = local.tls
    }
    # The next step proves that what is in progress is ours.
    tolerate   = [error.status == 409 && strcontains(error.body, "UPGRADE_IN_PROGRESS")]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "the history shows it as Configuring"
  }

  step "find_upgrade" {
    title = "Find the upgrade in the Manager's history"
    http {
      url     = local.manager.system
      extract = { id = "/data/upgrade_in_progress/id" }
      login   = local.login
      tls     = local.tls
    }
    poll {
      until    = try(result.json.data.upgrade_in_progress.to == to.text && result.json.data.upgrade_in_progress.operator == self.username, false)
      fail     = !try(result.json.data.upgrade_in_progress.to == to.text && result.json.data.upgrade_in_progress.operator == self.username, false)
      message  = "what is in progress is not ours: ${try("upgrade ${result.json.data.upgrade_in_progress.id} to ${result.json.data.upgrade_in_progress.to} by ${result.json.data.upgrade_in_progress.operator}", "nothing")}"
      interval = "1s"
    }
    # A configuration that never began is discarded; one that was stopped stays in the history.
    undo {
      http {
        method = "DELETE"
        url    = replace(local.manager.upgrade, "{id}", step.find_upgrade.result.extracted.id)
        expect = [200, 404, 409]
        login  = local.login
        tls    = local.tls
      }
      timeout = "2m"
    }
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}

step_group "configure" {
  step "upload_configuration" {
    title = "Upload the configuration file"
    http {
      method    = "PUT"
      url       = replace(local.manager.configuration_file, "{id}", step.find_upgrade.result.extracted.id)
      query     = { kind = local.given.kind }
      multipart = { files = { file = { path = local.given.configuration_file } } }
      login     = local.login
      tls       = local.tls
    }
    harmless   = true
    repeatable = true
    timeout    = "15m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "announce" {
    title = "Write the announcement"
    template {
      source = "announcement.md.j2"
      path   = "${local.folder}/announcement.md"
      values = { from = from.text, to = to.text, announcement = self.announcement }
    }
    harmless   = true
    repeatable = true
  }

  step "read_switches" {
    title = "Read the switches of task scheduling and execution"
    http {
      url   = local.manager.system
      login = local.login
      tls   = local.tls
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "they must be like that again afterwards"
  }
}


# Into maintenance mode. Its undo is the vendor's "Stop upgrade", which is possible as long as nothing was shut down or replaced.
step_group "enter_maintenance" {
  step "begin" {
    title = "Accept the risk declaration and enter upgrade maintenance mode"
    http {
      method = "POST"
      url    = replace(local.manager.begin, "{id}", step.find_upgrade.result.extracted.id)
      json   = { risk_accepted = true }
      login  = local.login
      tls    = local.tls
    }
    tolerate = [error.status == 409 && strcontains(error.body, "ALREADY_UPGRADING")]
    undo {
      http {
        method = "POST"
        url    = replace(local.manager.stop, "{id}", step.find_upgrade.result.extracted.id)
        json   = { rerun = self.rerun_on_stop }
        login  = local.login
        tls    = local.tls
      }
      closes = "maintenance mode"
      retry {
        attempts = 3
        backoff  = "1s"
      }
      timeout = "2m"
    }
    opens      = "maintenance mode"
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "no scheduled task is dispatched from here on, running ones go on, users cannot operate; the Manager records the time"
  }

  # Both environments: task scheduling off, task execution on. In development scheduling is always off.
  step "prove_maintenance" {
    title = "Check that scheduling is off and execution on, and since when"
    http {
      url   = local.manager.system
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.maintenance != null && alltrue([for one in values(result.json.data.switches) : !one.schedule && one.execution])
      fail     = !(result.json.data.maintenance != null && alltrue([for one in values(result.json.data.switches) : !one.schedule && one.execution]))
      message  = "the system is not as maintenance mode should make it: the switches are ${jsonencode(result.json.data.switches)} (wanted: schedule off, execution on), maintenance mode is ${result.json.data.maintenance == null ? "off" : "on"}"
      interval = "2s"
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}

locals {
  folder = "${self.folder}/${from.text}-to-${to.text}"
}
