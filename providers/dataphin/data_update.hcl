# Data update: every task that has not run successfully, those that failed once more, and the messages of the asset refresh.

step_group "update_data" {
  step "run_data_updates" {
    title = "Run all data update tasks that have not run successfully"
    http {
      method = "POST"
      url    = replace(local.manager.data_updates_run, "{id}", step.find_upgrade.result.extracted.id)
      json   = { all = true, exit_maintenance = true }
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

  step "await_data_updates" {
    title = "Wait until each blocking task ended"
    http {
      url   = replace(local.manager.data_updates, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = length([for one in result.json.data.tasks : one if one.blocking && !one.skipped && one.state == "Running"]) == 0
      message  = "data update tasks that still run: ${join(", ", [for one in result.json.data.tasks : "${one.name}${one.messages == null ? "" : " (${one.messages.remaining} of ${one.messages.total} messages remain)"}${one.workflows == null ? "" : " (${one.workflows.completed} of ${one.workflows.total} workflows)"}" if one.state == "Running"])}"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    estimate   = "20m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "fetch_update_logs" {
    title = "Fetch the logs of data update tasks that failed"
    fan_out {
      items = step.await_data_updates.result.json.data.failed
      key   = each.value
    }
    http {
      url     = replace(replace(local.manager.data_update_log, "{id}", step.find_upgrade.result.extracted.id), "{name}", each.key)
      save_to = "${local.folder}/${each.key}-log.json"
      login   = local.login
      tls     = local.tls
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "run_failed_updates" {
    title = "Run data update tasks that failed once more"
    fan_out {
      items = step.await_data_updates.result.json.data.failed
      key   = each.value
    }
    http {
      method = "POST"
      url    = replace(local.manager.data_updates_run, "{id}", step.find_upgrade.result.extracted.id)
      json   = { ids = [each.key], exit_maintenance = true }
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

  step "prove_data_updates" {
    title = "Check that each blocking task is successful"
    http {
      url   = replace(local.manager.data_updates, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.blocking_complete
      fail     = length([for one in result.json.data.tasks : one if one.blocking && !one.skipped && contains(["Failed", "Stopped"], one.state)]) > 0
      message  = "data update tasks that are not successful: ${join(", ", [for one in result.json.data.tasks : "${one.name} (${one.state})" if one.blocking && !one.skipped && one.state != "Successful"])}; their logs are in ${local.folder}. Run them in the Manager, or skip those that can be, then resume"
      progress = result.json.data.progress
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    estimate   = "1s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "ignore_messages" {
    title    = "Ignore failed messages that the O&M team has confirmed"
    for_each = self.ignore_failed_messages
    http {
      method = "POST"
      url    = replace(local.manager.data_updates_ignore_messages, "{id}", step.find_upgrade.result.extracted.id)
      json   = { ids = [each.key], by = each.value.by, reason = each.value.reason }
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

  step "prove_messages" {
    title = "Check that no message failed but those that were confirmed by name"
    after = [step.prove_data_updates, step.ignore_messages]
    http {
      url   = replace(local.manager.data_updates, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.stage == "verify"
      fail     = length(result.json.data.unconfirmed_messages) > 0
      message  = "messages failed: ${join(", ", [for one in result.json.data.tasks : "${one.messages.failed} of ${one.messages.total} of ${one.id}" if contains(result.json.data.unconfirmed_messages, one.id)])}; the Dataphin O&M team must confirm that they can be ignored: in the Manager, then resume; or before the upgrade by name in `ignore_failed_messages`"
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "1h"
    estimate   = "1s"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}
