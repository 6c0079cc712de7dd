# What semi-downtime and zero-downtime upgrades share: the backup holds up nothing, and each service is prepared before it is replaced.

step_group "leave_backup" {
  step "await_backup_begun" {
    title = "Wait until every backup has begun"
    when  = local.backed_up_by_manager
    http {
      url   = replace(local.manager.databases, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = length([for one in result.json.data.databases : one if contains(["Not backed up", "Starting"], one.state)]) == 0
      message  = "backups that did not begin: ${join(", ", [for one in result.json.data.databases : "${one.name} (${one.state})" if contains(["Not backed up", "Starting"], one.state)])}"
      interval = "2s"
    }
    harmless   = true
    repeatable = true
    timeout    = "10m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "that is enough to go on: the backup goes on beside the upgrade and holds it up nowhere"
  }

  step "leave_backup" {
    title = "Go on to the pre-upgrade"
    when  = local.backed_up_by_manager
    http {
      method = "POST"
      url    = replace(local.manager.databases_next, "{id}", step.find_upgrade.result.extracted.id)
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && strcontains(error.body, "WRONG_STAGE")]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}

step_group "pre_upgrade" {
  step "await_backups_again" {
    title = "Wait for those, too"
    when  = local.backed_up_by_manager
    fan_out {
      items             = keys(step.await_backups.result.failed)
      key               = each.value
      tolerate_failures = true
    }
    http {
      url   = replace(local.manager.databases, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = one([for one in result.json.data.databases : one.state if one.name == each.key]) == "Backup complete"
      fail     = one([for one in result.json.data.databases : one.state if one.name == each.key]) == "Backup failed"
      message  = "the backup of ${each.key} failed again; the upgrade can be finalised without it"
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "12h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "a backup that is not complete does not keep the upgrade from being finalised"
  }

  step "pre_upgrade" {
    title = "Start the pre-upgrade of all applications"
    after = [step.leave_backup, step.skip_backup]
    http {
      method = "POST"
      url    = replace(local.manager.pre_upgrade, "{id}", step.find_upgrade.result.extracted.id)
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && (strcontains(error.body, "PRE_UPGRADE_ALREADY_STARTED") || strcontains(error.body, "WRONG_STAGE"))]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "await_pre_upgrade" {
    title = "Wait for the pre-upgrade of each service"
    http {
      url   = replace(local.manager.pre_upgrade, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.progress == 100
      fail     = length([for one in result.json.data.services : one if one.state == "Failed"]) > 0 && length([for one in result.json.data.services : one if one.state == "Running"]) == 0
      message  = "services whose pre-upgrade is not successful: ${join(", ", [for one in result.json.data.services : "${one.name} (${one.state})" if one.state != "Successful"])}"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "4h"
    estimate   = "10m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "leave_pre_upgrade" {
    title = "Go on to the upgrade of the applications"
    http {
      method = "POST"
      url    = replace(local.manager.pre_upgrade_next, "{id}", step.find_upgrade.result.extracted.id)
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && strcontains(error.body, "WRONG_STAGE")]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}

# From the beginning to the end of the data update: `allow = 0` is the vendor's word that DataService Studio stays available.
step_group "probe" {
  step "probe" {
    title = "Prove that the data service stays available"
    when  = self.data_service_url != null
    after = [step.find_upgrade]
    http {
      url             = self.data_service_url
      request_timeout = "5s"
    }
    probe {
      during   = [step.begin, step.await_data_service, step.prove_messages]
      pass     = result.status == 200
      interval = "1s"
      allow    = 0
    }
    harmless = true
    timeout  = "10s"
  }
}
