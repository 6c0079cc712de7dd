# After the start, where the hop is major or the release asks for it: code environments, models, packages of API nodes. The node serves
# meanwhile. What fails here does not take the upgrade back: it is said, and the follow-up `rework` stays open.

note "rework" {
  when      = local.must_rework && local.has_jobs
  text      = "Code environments${length(self.retrain_models) > 0 ? ", models" : ""}${length(self.api_services) > 0 ? ", API packages" : ""} are made anew after the start. See in the run's log whether any of them failed, and confirm when all is well."
  url       = "https://doc.dataiku.com/dss/latest/installation/custom/upgrade.html"
  follow_up = true
}

step_group "rework" {
  step "push_base_images" {
    title = "Push the base images to their repository"
    when  = fact.integrations.containers && local.has_jobs
    http {
      method    = "POST"
      url       = "${local.api}/admin/container-exec/actions/push-base-images"
      basic     = local.key
      until     = { json = { "/messages/error" = false } }
      fail_when = { json = { "/messages/error" = true } }
      timeout   = "2h"
      expect    = local.served
    }
    harmless   = true
    repeatable = true
    timeout    = "3h"
    estimate   = "2m"
    tolerate   = [true]
  }

  step "list_code_envs" {
    title = "List the code environments"
    when  = local.must_rework && local.has_jobs
    http {
      url    = "${local.api}/admin/code-envs/"
      basic  = local.key
      expect = local.served
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "2s"
    }
  }

  step "rebuild_code_envs" {
    title = "Begin to rebuild the code environments"
    when  = local.must_rework && local.has_jobs
    http {
      method = "POST"
      url    = "${local.api}/admin/code-envs/${each.value.envLang}/${urlencode(each.value.envName)}/packages"
      query  = { forceRebuildEnv = "true", wait = "false" }
      basic  = local.key
    }
    fan_out {
      items             = step.list_code_envs.result.status == 200 ? step.list_code_envs.result.json : []
      key               = "${each.value.envLang}.${each.value.envName}"
      at_once           = 2
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "await_code_envs" {
    title = "Wait for the code environments"
    when  = local.must_rework && local.has_jobs
    http {
      url   = "${local.api}/futures/${each.value.json.jobId}"
      query = { peek = "false" }
      basic = local.key
    }
    poll {
      until    = result.json.hasResult && !try(result.json.result.messages.error, false)
      fail     = !result.json.alive && (!result.json.hasResult || try(result.json.result.messages.error, false))
      message  = "the code environment was not rebuilt: ${join("; ", [for each_message in try(result.json.result.messages.messages, []) : each_message.message])}"
      progress = try(result.json.progress.states[0].cur, null)
      interval = "5s"
    }
    fan_out {
      items             = step.rebuild_code_envs.result.items
      at_once           = 16
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "6h"
    estimate   = "10m"
    retry {
      attempts = 5
      backoff  = "2s"
    }
  }

  step "rebuild_code_env_images" {
    title = "Begin to rebuild the images of the code environments"
    when  = local.must_rework && local.has_jobs && fact.integrations.containers
    http {
      method = "POST"
      url    = "${local.api}/admin/code-envs/${each.value.envLang}/${urlencode(each.value.envName)}/images"
      query  = { wait = "false" }
      basic  = local.key
    }
    fan_out {
      items             = step.list_code_envs.result.status == 200 ? [for env in step.list_code_envs.result.json : env if contains(keys(step.await_code_envs.result.items), "${env.envLang}.${env.envName}") && (try(env.allContainerConfs, false) || length(try(env.containerConfs, [])) > 0)] : []
      key               = "${each.value.envLang}.${each.value.envName}"
      at_once           = 2
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "await_code_env_images" {
    title = "Wait for the images of the code environments"
    when  = local.must_rework && local.has_jobs && fact.integrations.containers
    http {
      url   = "${local.api}/futures/${each.value.json.jobId}"
      query = { peek = "false" }
      basic = local.key
    }
    poll {
      until    = result.json.hasResult && !try(result.json.result.messages.error, false)
      fail     = !result.json.alive && (!result.json.hasResult || try(result.json.result.messages.error, false))
      message  = "the image was not rebuilt: ${join("; ", [for each_message in try(result.json.result.messages.messages, []) : each_message.message])}"
      progress = try(result.json.progress.states[0].cur, null)
      interval = "5s"
    }
    fan_out {
      items             = step.rebuild_code_env_images.result.items
      at_once           = 16
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "6h"
    retry {
      attempts = 5
      backoff  = "2s"
    }
  }

  step "retrain_models" {
    title = "Begin to retrain the models"
    when  = local.must_rework && local.has_jobs && length(self.retrain_models) > 0
    http {
      method = "POST"
      url    = "${local.api}/projects/${split(".", each.value)[0]}/jobs/"
      basic  = local.key
      json = {
        type                                = "NON_RECURSIVE_FORCED_BUILD"
        refreshHiveMetastore                = false
        autoUpdateSchemaBeforeEachRecipeRun = false
        outputs                             = [{ type = "SAVED_MODEL", id = split(".", each.value)[1], projectKey = split(".", each.value)[0] }]
      }
    }
    fan_out {
      items             = self.retrain_models
      at_once           = 2
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "await_models" {
    title = "Wait for the models"
    when  = local.must_rework && local.has_jobs && length(self.retrain_models) > 0
    http {
      url   = "${local.api}/projects/${split(".", each.key)[0]}/jobs/${urlencode(each.value.json.id)}/"
      basic = local.key
    }
    poll {
      until    = result.json.baseStatus.state == "DONE"
      fail     = contains(["FAILED", "ABORTED"], result.json.baseStatus.state)
      message  = "the job ended as ${result.json.baseStatus.state}"
      interval = "5s"
    }
    fan_out {
      items             = step.retrain_models.result.items
      at_once           = 16
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "12h"
    estimate   = "20m"
    retry {
      attempts = 5
      backoff  = "2s"
    }
  }

  step "make_packages" {
    title = "Make the packages of the API services anew"
    when  = local.must_rework && local.has_jobs && length(self.api_services) > 0
    http {
      method = "POST"
      url    = "${local.api}/projects/${split(".", each.key)[0]}/apiservices/${split(".", each.key)[1]}/packages/${local.package}"
      query  = { releaseNotes = "Made anew after the upgrade from ${from.text} to ${to.text}." }
      basic  = local.key
    }
    fan_out {
      items             = self.api_services
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
    tolerate   = [strcontains(try(error.body, ""), "exists already")]
  }

  step "publish_packages" {
    title = "Publish the packages to the API deployer"
    when  = local.must_rework && local.has_jobs && length(self.api_services) > 0
    http {
      method = "POST"
      url    = "${local.api}/projects/${split(".", each.key)[0]}/apiservices/${split(".", each.key)[1]}/packages/${local.package}/publish"
      basic  = local.key
    }
    fan_out {
      items             = step.make_packages.result.items
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
  }

  step "look_at_deployments" {
    title = "See what the deployments of the services serve"
    when  = local.must_rework && local.has_jobs && length(local.deployments) > 0
    http {
      url   = "${local.deployments[each.key].api}/api-deployer/deployments/${local.deployments[each.key].deployment}/settings"
      basic = local.deployer_key
    }
    fan_out {
      items             = { for service in keys(step.publish_packages.result.items) : service => service if contains(keys(local.deployments), service) }
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "point_deployments" {
    title = "Point the deployments to the new packages"
    when  = local.must_rework && local.has_jobs && length(local.deployments) > 0
    http {
      method = "PUT"
      url    = "${local.deployments[each.key].api}/api-deployer/deployments/${local.deployments[each.key].deployment}/settings"
      basic  = local.deployer_key
      json   = merge(each.value.json, { generationsMapping = { mode = "SINGLE_GENERATION", generation = local.package } })
    }
    fan_out {
      items             = step.look_at_deployments.result.items
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "redeploy" {
    title = "Begin to redeploy the services on the API nodes"
    when  = local.must_rework && local.has_jobs && length(local.deployments) > 0
    http {
      method = "POST"
      url    = "${local.deployments[each.key].api}/api-deployer/deployments/${local.deployments[each.key].deployment}/actions/update"
      basic  = local.deployer_key
    }
    fan_out {
      items             = step.point_deployments.result.items
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "await_deployments" {
    title = "Wait until the services are redeployed"
    when  = local.must_rework && local.has_jobs && length(local.deployments) > 0
    http {
      url   = "${local.deployments[each.key].api}/futures/${each.value.json.jobId}"
      query = { peek = "false" }
      basic = local.deployer_key
    }
    poll {
      until    = result.json.hasResult && !try(result.json.result.error, false)
      fail     = !result.json.alive && (!result.json.hasResult || try(result.json.result.error, false))
      message  = "the deployment was not updated: ${join("; ", [for each_message in try(result.json.result.messages, []) : each_message.message])}"
      interval = "5s"
    }
    fan_out {
      items             = step.redeploy.result.items
      tolerate_failures = true
    }
    harmless   = true
    repeatable = true
    timeout    = "2h"
    estimate   = "1m"
    retry {
      attempts = 5
      backoff  = "2s"
    }
  }
}

locals {
  package = "dss-${to.text}"
  # Deployments by service, with the API of the deployer that has them.
  deployments  = { for service, where in self.api_services : service => { deployment = where.deployment, api = where.deployer == null ? local.api : "${where.deployer}/dip/publicapi" } if where.deployment != null }
  deployer_key = { user = self.deployer_api_key != null ? self.deployer_api_key : self.api_key == null ? "" : self.api_key, password = "" }
}
