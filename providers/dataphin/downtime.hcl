# Downtime: running tasks are stopped or waited for, everything but the data service is shut down.

strategy "downtime" {
  description = "Running tasks stopped, pods shut down, databases backed up, applications upgraded, stopped tasks run again, data updated."

  use "prepare" {}

  step "select_mode" {
    title = "Select target version and upgrade mode, and set the announcement"
    http {
      method = "PUT"
      url    = replace(local.manager.upgrade, "{id}", step.find_upgrade.result.extracted.id)
      json   = { target = to.text, mode = "downtime", announcement = self.announcement }
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

  step "list_tasks" {
    title = "List the running tasks"
    http {
      url   = replace(local.manager.running_tasks, "{id}", step.find_upgrade.result.extracted.id)
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
  }

  step "stop_tasks" {
    title = "Force-stop running tasks"
    when  = self.stop_tasks != "none"
    fan_out {
      items   = [for one in step.list_tasks.result.json.data.tasks : one if one.can_rerun || self.stop_tasks == "all"]
      key     = each.value.id
      at_once = 8
    }
    http {
      method = "POST"
      url    = replace(local.manager.running_tasks_stop, "{id}", step.find_upgrade.result.extracted.id)
      json   = { ids = [each.key] }
      login  = local.login
      tls    = local.tls
    }
    # The graceful stop (the undo of `begin`) runs them again, or the Manager's list says which a person must rerun.
    harmless   = true
    repeatable = true
    timeout    = "1h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "they are run again after the applications are upgraded; a task that ends before is not in that list"
  }

  step "await_tasks" {
    title = "Wait until no task runs"
    http {
      url   = replace(local.manager.running_tasks, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.total == 0
      message  = "tasks that still run: ${join(", ", [for one in result.json.data.tasks : "${one.name} (${one.type})"])}"
      progress = floor(100 * (1 - result.json.data.total / max(1, step.list_tasks.result.json.data.total, result.json.data.total)))
      interval = "20s"
    }
    harmless   = true
    repeatable = true
    timeout    = "12h"
    estimate   = "10m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "the list must be empty before anything is shut down; the Manager refreshes it every 20 s"
  }

  step "shutdown" {
    title = "Shut down all pods but those of the data service"
    http {
      method = "POST"
      url    = replace(local.manager.shutdown, "{id}", step.find_upgrade.result.extracted.id)
      login  = local.login
      tls    = local.tls
    }
    tolerate = [error.status == 409 && strcontains(error.body, "ALREADY_SHUTTING_DOWN")]
    check {
      http {
        url   = replace(local.manager.pods, "{id}", step.find_upgrade.result.extracted.id)
        login = local.login
        tls   = local.tls
      }
      done = length([for one in result.json.data.pods : one if one.state != "Running"]) > 0
    }
    irreversible = true
    timeout      = "2m"
    downtime     = true
    estimate     = "2s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "until here the upgrade can be stopped gracefully; from here on only by a forced stop, from which nothing recovers by itself"
  }

  step "await_shutdown" {
    title = "Wait until every pod is shut down"
    http {
      url   = replace(local.manager.pods, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.stopped == result.json.data.total
      message  = "pods that are not shut down: ${join(", ", [for one in result.json.data.pods : "${one.pod} (${one.state})" if one.state != "Stopped"])}"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "1h"
    estimate   = "5m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  use "begin_backup" {}

  use "finish_backup" {}

  step "prove_backups" {
    title = "Check that every backup is complete"
    when  = local.backed_up_by_manager
    http {
      url   = replace(local.manager.databases, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = length([for one in result.json.data.databases : one if one.state != "Backup complete"]) == 0
      fail     = length([for one in result.json.data.databases : one if one.state == "Backup failed"]) > 0
      message  = "backups that are not complete: ${join(", ", [for one in result.json.data.databases : "${one.name} (${one.state})" if one.state != "Backup complete"])}; back them up again one by one in the Manager (its log says why), then resume"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    estimate   = "2s"
    timeout    = "12h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  use "dump" {}

  use "upgrade_applications" {
    downtime = true
  }

  step "rerun_tasks" {
    title = "Run the stopped tasks again"
    http {
      method = "POST"
      url    = replace(local.manager.stopped_tasks_run, "{id}", step.find_upgrade.result.extracted.id)
      json   = { all = true }
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

  step "await_reruns" {
    title = "Wait until each has ended"
    http {
      url   = replace(local.manager.stopped_tasks, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = length([for one in result.json.data.tasks : one if one.rerun == "Running"]) == 0
      message  = "tasks that still run: ${join(", ", [for one in result.json.data.tasks : one.name if one.rerun == "Running"])}"
      progress = floor(100 * length([for one in result.json.data.tasks : one if one.rerun != "Running"]) / max(1, result.json.data.total))
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "rerun_failed_tasks" {
    title = "Run those that failed once more"
    fan_out {
      items = [for one in step.await_reruns.result.json.data.tasks : one if one.rerun != "Successful"]
      key   = each.value.id
    }
    http {
      method = "POST"
      url    = replace(local.manager.stopped_tasks_run, "{id}", step.find_upgrade.result.extracted.id)
      json   = { ids = [each.key] }
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

  step "prove_reruns" {
    title = "Check that every stopped task has run again"
    http {
      url   = replace(local.manager.stopped_tasks, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = length([for one in result.json.data.tasks : one if one.rerun != "Successful"]) == 0
      fail     = length([for one in result.json.data.tasks : one if contains(["Failed", "Stopped"], one.rerun)]) > 0
      message  = "stopped tasks that have not run again: ${join(", ", [for one in result.json.data.tasks : "${one.name} (${one.rerun})" if one.rerun != "Successful"])}; run them in the Manager, then resume"
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "skip_data_updates" {
    title = "Treat data update tasks as non-blocking and skip them"
    when  = length(self.skip_data_updates) > 0
    http {
      method = "POST"
      url    = replace(local.manager.data_updates_skip, "{id}", step.find_upgrade.result.extracted.id)
      json   = { ids = self.skip_data_updates }
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

  use "update_data" {}

  step "await_exit" {
    title = "Wait until the Manager has left maintenance mode"
    http {
      url   = replace(local.manager.upgrade, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = try(result.json.data.times.exited_maintenance, null) != null
      message  = "maintenance mode is still on"
      interval = "5s"
    }
    harmless   = true
    closes     = "maintenance mode"
    repeatable = true
    timeout    = "1h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "by itself, once all blocking tasks of the data update are complete; it records the time and resumes task submission"
  }

  use "verify" {}

  step "probe" {
    title = "Prove that the data service stays available"
    when  = self.data_service_url != null
    after = [step.find_upgrade]
    http {
      url             = self.data_service_url
      request_timeout = "5s"
    }
    probe {
      during   = [step.begin, step.await_data_service, step.await_exit]
      pass     = result.status == 200
      interval = "1s"
      allow    = 0
    }
    harmless = true
    timeout  = "10s"
  }
}
