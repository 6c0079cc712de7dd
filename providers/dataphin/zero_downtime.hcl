# Zero-downtime: the vendor's page names it and says when it is offered; that it goes like a semi-downtime upgrade without maintenance mode
# is assumed.

strategy "zero_downtime" {
  description = "Backup, pre-upgrade and rolling upgrade of the applications while users work and tasks are scheduled."

  use "prepare" {}

  step "select_mode" {
    title = "Select target version and upgrade mode, and set the announcement"
    http {
      method = "PUT"
      url    = replace(local.manager.upgrade, "{id}", step.find_upgrade.result.extracted.id)
      json   = { target = to.text, mode = "zero-downtime", announcement = self.announcement }
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

  step "begin" {
    title = "Accept the risk declaration and begin"
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
      retry {
        attempts = 3
        backoff  = "1s"
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

  use "begin_backup" {}

  use "leave_backup" {}

  use "finish_backup" {}

  use "pre_upgrade" {}

  use "dump" {}

  use "upgrade_applications" {}

  use "update_data" {}

  use "verify" {}

  use "probe" {}
}
