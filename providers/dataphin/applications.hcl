# Upgrade application: all but the data service first, then the data service and its gateway, new before old. Where a service does not
# come up its threads and log are read, its process is restarted once, and if that does not help a person is needed. Where users are shut
# out meanwhile, the strategy says so: `use "upgrade_applications" { downtime = true }`.

step_group "upgrade_applications" {
  step "start_applications" {
    title = "Start the upgrade of the applications"
    http {
      method = "POST"
      url    = replace(local.manager.applications, "{id}", step.find_upgrade.result.extracted.id)
      json   = { group = "application" }
      login  = local.login
      tls    = local.tls
    }
    tolerate     = [error.status == 409 && (strcontains(error.body, "ALREADY_UPGRADING") || strcontains(error.body, "WRONG_STAGE"))]
    irreversible = true
    repeatable   = true
    timeout      = "2m"
    estimate     = "2s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "from here on the system cannot go back by itself; in maintenance mode scheduling stops, and running tasks go on"
  }

  step "await_applications" {
    title = "Wait until each application runs in the new version, or has failed"
    http {
      url   = replace(local.manager.applications, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = length([for one in result.json.data.services : one if one.group != "data_service" && !contains(["Upgraded", "Failed"], one.state)]) == 0
      message  = "applications that are not upgraded: ${join(", ", [for one in result.json.data.services : "${one.name} (${one.state})" if one.state != "Upgraded"])}"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "4h"
    estimate   = "30m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "dump_threads" {
    title = "Dump the threads of applications that failed"
    fan_out {
      items = step.await_applications.result.json.data.failed
      key   = each.value
    }
    http {
      method  = "POST"
      url     = replace(replace(local.manager.application_thread_dump, "{id}", step.find_upgrade.result.extracted.id), "{name}", each.key)
      save_to = "${local.folder}/${each.key}-threads.json"
      login   = local.login
      tls     = local.tls
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "2s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "read_logs" {
    title = "Fetch the logs of applications that failed"
    fan_out {
      items = step.await_applications.result.json.data.failed
      key   = each.value
    }
    http {
      url     = replace(replace(local.manager.application_log, "{id}", step.find_upgrade.result.extracted.id), "{name}", each.key)
      save_to = "${local.folder}/${each.key}-log.json"
      login   = local.login
      tls     = local.tls
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "2s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "restart_failed" {
    title = "Restart the Java process of applications that failed"
    fan_out {
      items = step.await_applications.result.json.data.failed
      key   = each.value
    }
    http {
      method = "POST"
      url    = replace(replace(local.manager.application_restart, "{id}", step.find_upgrade.result.extracted.id), "{name}", each.key)
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && strcontains(error.body, "NOT_FAILED")]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "2s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "prove_applications" {
    title = "Check that every application runs in the new version"
    http {
      url   = replace(local.manager.applications, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = length([for one in result.json.data.services : one if one.group != "data_service" && one.state != "Upgraded"]) == 0
      fail     = length([for one in result.json.data.services : one if one.state == "Failed"]) > 0
      message  = "applications that are not upgraded: ${join(", ", [for one in result.json.data.services : "${one.name} (${one.state})" if one.group != "data_service" && one.state != "Upgraded"])}; thread dumps and logs are in ${local.folder}. Maintenance mode cannot be left: contact the Dataphin O&M engineers, restart the processes in the Manager, then resume"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "4h"
    estimate   = "1s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "start_data_service" {
    title = "Start the rolling upgrade of the data service and its gateway"
    http {
      method = "POST"
      url    = replace(local.manager.applications, "{id}", step.find_upgrade.result.extracted.id)
      json   = { group = "data_service" }
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && (strcontains(error.body, "ALREADY_UPGRADING") || strcontains(error.body, "WRONG_STAGE"))]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "2s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "separately, after mgmt: new before old where resources suffice"
  }

  step "await_data_service" {
    title = "Wait until the data service runs in the new version"
    http {
      url   = replace(local.manager.applications, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.progress == 100
      fail     = length(result.json.data.failed) > 0
      message  = "services that are not upgraded: ${join(", ", [for one in result.json.data.services : "${one.name} (${one.state})" if one.state != "Upgraded"])}"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "4h"
    estimate   = "5m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}
