# Semi-downtime: running tasks go on, scheduling pauses for the upgrade of the applications, users are back before the data update.

strategy "semi_downtime" {
  description = "Backup and pre-upgrade while everything serves, rolling upgrade of the applications in maintenance mode, then data update with users back."

  use "prepare" {}

  step "select_mode" {
    title = "Select target version and upgrade mode, and set the announcement"
    http {
      method = "PUT"
      url    = replace(local.manager.upgrade, "{id}", step.find_upgrade.result.extracted.id)
      json   = { target = to.text, mode = "semi-downtime", announcement = self.announcement }
      login  = local.login
      tls    = local.tls
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  use "configure" {}

  use "enter_maintenance" {}

  use "begin_backup" {}

  use "leave_backup" {}

  use "finish_backup" {}

  use "pre_upgrade" {}

  use "dump" {}

  use "upgrade_applications" {
    downtime = true
  }

  step "exit_maintenance" {
    title = "Exit upgrade maintenance mode"
    http {
      method = "POST"
      url    = replace(local.manager.exit_maintenance, "{id}", step.find_upgrade.result.extracted.id)
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && strcontains(error.body, "ALREADY_LEFT")]
    harmless   = true
    closes     = "maintenance mode"
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "scheduling resumes and users can log on; the Manager records the time. The upgrade is not complete yet"
  }

  use "update_data" {}

  use "verify" {}

  use "probe" {}
}
