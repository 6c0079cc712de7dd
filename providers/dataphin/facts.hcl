# What is observed: through the Manager, which knows what is deployed.

fact "system" {
  description = "What the Manager says of the system: version, services, switches of scheduling, maintenance, upgrade in progress, running values."
  http {
    url   = local.manager.system
    login = local.login
    tls   = local.tls
  }
  value = result.json.data
}

fact "version" {
  description = "Version that is deployed."
  value       = fact.system.version
}

fact "running" {
  description = "Whether any service runs."
  value       = length([for one in fact.system.services : one if one.state == "Running"]) > 0
}

fact "healthy" {
  description = "Whether every service runs."
  value       = length([for one in fact.system.services : one if one.state != "Running"]) == 0
}

fact "in_progress" {
  description = "The upgrade that is configured or in progress, null where there is none."
  value       = fact.system.upgrade_in_progress
}

fact "maintenance" {
  description = "Since when the system is in upgrade maintenance mode, null where it is not."
  drift       = true
  value       = try(fact.system.maintenance.since, null)
}

fact "switches" {
  description = "The switches of task scheduling and task execution, by environment."
  drift       = true
  value       = fact.system.switches
}

fact "values" {
  description = "The running configuration (`values.yaml`)."
  drift       = true
  value       = fact.system.values
}

fact "databases" {
  description = "The databases that the Manager backs up, and whether they are RDS instances."
  value       = [for one in fact.system.databases : "${one.name} (${one.managed})"]
}

fact "versions" {
  description = "Versions whose configuration the Manager has, with the MD5 of their template."
  http {
    url   = local.manager.versions
    login = local.login
    tls   = local.tls
  }
  value = { for one in result.json.data.versions : one.version => one.template_md5 }
}

fact "modes" {
  description = "By version: the upgrade modes that the Manager offers, its default and its recommendation."
  for_each    = self.configurations
  http {
    url   = replace(local.manager.modes, "{version}", each.key)
    login = local.login
    tls   = local.tls
  }
  value = result.json.data
}

fact "version_check" {
  description = "By version: what the Manager says of `version_configuration`: null where none is given."
  for_each    = { for version, one in self.configurations : version => one if one.version_configuration != null }
  timeout     = "60s"
  http {
    method    = "POST"
    url       = replace(local.manager.version_configuration_validate, "{version}", each.key)
    multipart = { files = { file = { path = each.value.version_configuration } } }
    expect    = [200, 422]
    login     = local.login
    tls       = local.tls
  }
  value = { valid = result.status == 200, message = try(result.json.message, null), action = try(result.json.data.action, null) }
}

fact "file_check" {
  description = "By version: what the Manager says of the configuration file; null where it does not have the version yet."
  for_each    = self.configurations
  timeout     = "60s"
  http {
    method    = "POST"
    url       = replace(local.manager.configuration_file_validate, "{version}", each.key)
    query     = { kind = each.value.kind }
    multipart = { files = { file = { path = each.value.configuration_file } } }
    expect    = [200, 404, 422]
    login     = local.login
    tls       = local.tls
  }
  value = result.status == 404 ? null : result.status == 200 ? result.json.data : { valid = false, message = result.json.message }
}

fact "template" {
  description = "By version: the MD5 of each file of the template (`product/dataphin/`) in a non-standard configuration file."
  for_each    = { for version, one in self.configurations : version => one if one.kind == "non-standard" }
  archive {
    action  = "digest"
    path    = each.value.configuration_file
    members = ["product/dataphin/**"]
  }
  value = { for name, file in result.files : name => file.md5 }
}

fact "own_template" {
  description = "By version: the MD5 of `version_configuration`, which is the template that an upload would give the version."
  for_each    = { for version, one in self.configurations : version => one if one.version_configuration != null }
  exec {
    command = ["md5sum", each.value.version_configuration]
  }
  value = split(" ", result.stdout)[0]
}
