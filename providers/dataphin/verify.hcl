# Step 3 of the vendor's page: verify, watch, finalise.

step_group "verify" {
  step "verify_version" {
    title = "Check that every service runs in the new version"
    http {
      url   = local.manager.system
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.version == to.text && length([for one in result.json.data.services : one if one.version != to.text || one.state != "Running"]) == 0
      fail     = !(result.json.data.version == to.text && length([for one in result.json.data.services : one if one.version != to.text || one.state != "Running"]) == 0)
      message  = "not in ${to.text}: ${join(", ", [for one in result.json.data.services : "${one.name} is ${one.version} and ${one.state}" if one.version != to.text || one.state != "Running"])}"
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "verify_switches" {
    title = "Check that maintenance mode is left and the switches are as they were"
    http {
      url   = local.manager.system
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.maintenance == null && result.json.data.switches == step.read_switches.result.json.data.switches
      fail     = !(result.json.data.maintenance == null && result.json.data.switches == step.read_switches.result.json.data.switches)
      message  = "scheduling is not as it was before the upgrade: ${jsonencode(result.json.data.switches)} instead of ${jsonencode(step.read_switches.result.json.data.switches)}, maintenance mode ${result.json.data.maintenance == null ? "left" : "still on"}"
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "verify_generated" {
    title = "Compare the generated instances with the 7-day average"
    http {
      url   = replace(local.manager.generated, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = try(result.json.data.recent.count >= self.generated_share * result.json.data.average_7_days, true)
      fail     = !(try(result.json.data.recent.count >= self.generated_share * result.json.data.average_7_days, true))
      message  = "${result.json.data.recent_text} instances were generated last, the 7-day average is ${result.json.data.average_text}; instances are generated at 23:00 every day"
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "nothing to compare where none were generated yet (\"To be generated\") or in the last seven days (\"NA\")"
  }

  step "compare_statuses" {
    title    = "Record how the instances of a tenant stand"
    for_each = toset(self.tenants)
    http {
      url   = replace(local.manager.statuses, "{id}", step.find_upgrade.result.extracted.id)
      query = { tenant = each.value }
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

  step "watch" {
    title = "Watch the instances"
    wait {
      duration = self.watch
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    estimate   = "30m"
  }

  step "list_failed" {
    title = "List instances that fail today and succeeded yesterday"
    http {
      url   = replace(local.manager.failed_instances, "{id}", step.find_upgrade.result.extracted.id)
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

  step "rerun_failed" {
    title = "Run them again"
    fan_out {
      items = step.list_failed.result.json.data.instances
      key   = each.value.instance_id
    }
    http {
      method = "POST"
      url    = replace(local.manager.failed_instances_rerun, "{id}", step.find_upgrade.result.extracted.id)
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

  step "await_failed" {
    title = "Wait until they have ended"
    http {
      url   = replace(local.manager.failed_instances, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.running == 0
      message  = "instances that still run: ${join(", ", [for one in result.json.data.instances : one.task_name if one.status == "Running"])}"
      interval = "20s"
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "fetch_instance_logs" {
    title = "Fetch the logs of instances that still fail"
    fan_out {
      items = [for one in step.await_failed.result.json.data.instances : one.instance_id if one.status == "Failed"]
      key   = each.value
    }
    http {
      url     = replace(replace(local.manager.instance_log, "{id}", step.find_upgrade.result.extracted.id), "{name}", each.key)
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

  step "prove_instances" {
    title = "Check that no instance fails that succeeded yesterday"
    http {
      url   = replace(local.manager.failed_instances, "{id}", step.find_upgrade.result.extracted.id)
      login = local.login
      tls   = local.tls
    }
    poll {
      until    = result.json.data.failed == 0 && result.json.data.running == 0
      fail     = result.json.data.failed > 0
      message  = "instances that succeeded yesterday fail today, also when run again: ${join(", ", [for one in result.json.data.instances : "${one.task_name} (${one.instance_id})" if one.status == "Failed"])}; their logs in ${local.folder} say whether it is the task itself. Contact the Dataphin O&M team, repair and rerun them, then resume"
      interval = "20s"
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "save_log" {
    title = "Fetch the log of the upgrade"
    http {
      url     = replace(local.manager.log, "{id}", step.find_upgrade.result.extracted.id)
      save_to = "${local.folder}/upgrade-log.json"
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

  step "complete" {
    title = "Finalise the upgrade"
    http {
      method = "POST"
      url    = replace(local.manager.complete, "{id}", step.find_upgrade.result.extracted.id)
      login  = local.login
      tls    = local.tls
    }
    tolerate     = [error.status == 409 && strcontains(error.body, "ALREADY_COMPLETE")]
    irreversible = true
    repeatable   = true
    timeout      = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
    note = "the Manager records the time as that of the completion"
  }
}
