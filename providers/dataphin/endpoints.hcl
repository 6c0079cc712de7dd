# Where the Manager is asked. Every path is assumed; what it does is the vendor's. See the README for what each must take and give.

locals {
  default_endpoints = {
    login                          = "/login"
    system                         = "/api/system"
    versions                       = "/api/versions"
    modes                          = "/api/versions/{version}/modes"
    version_configuration_validate = "/api/versions/{version}/configuration/validate"
    version_configuration          = "/api/versions/{version}/configuration"
    configuration_file_validate    = "/api/versions/{version}/configuration-file/validate"
    upgrades                       = "/api/upgrades"
    upgrade                        = "/api/upgrades/{id}"
    configuration_file             = "/api/upgrades/{id}/configuration-file"
    begin                          = "/api/upgrades/{id}/begin"
    exit_maintenance               = "/api/upgrades/{id}/exit-maintenance"
    stop                           = "/api/upgrades/{id}/stop"
    force_stop                     = "/api/upgrades/{id}/force-stop"
    complete                       = "/api/upgrades/{id}/complete"
    log                            = "/api/upgrades/{id}/log"
    running_tasks                  = "/api/upgrades/{id}/running-tasks"
    running_tasks_stop             = "/api/upgrades/{id}/running-tasks/stop"
    stopped_tasks                  = "/api/upgrades/{id}/stopped-tasks"
    stopped_tasks_run              = "/api/upgrades/{id}/stopped-tasks/run"
    shutdown                       = "/api/upgrades/{id}/shutdown"
    pods                           = "/api/upgrades/{id}/pods"
    databases                      = "/api/upgrades/{id}/databases"
    databases_backup               = "/api/upgrades/{id}/databases/backup"
    databases_skip                 = "/api/upgrades/{id}/databases/skip"
    databases_next                 = "/api/upgrades/{id}/databases/next"
    database_log                   = "/api/upgrades/{id}/databases/{name}/log"
    pre_upgrade                    = "/api/upgrades/{id}/pre-upgrade"
    pre_upgrade_next               = "/api/upgrades/{id}/pre-upgrade/next"
    applications                   = "/api/upgrades/{id}/applications"
    application_thread_dump        = "/api/upgrades/{id}/applications/{name}/thread-dump"
    application_restart            = "/api/upgrades/{id}/applications/{name}/restart"
    application_log                = "/api/upgrades/{id}/applications/{name}/log"
    data_updates                   = "/api/upgrades/{id}/data-updates"
    data_updates_run               = "/api/upgrades/{id}/data-updates/run"
    data_updates_skip              = "/api/upgrades/{id}/data-updates/skip"
    data_updates_ignore_messages   = "/api/upgrades/{id}/data-updates/ignore-messages"
    data_update_log                = "/api/upgrades/{id}/data-updates/{name}/log"
    generated                      = "/api/upgrades/{id}/verification/generated"
    statuses                       = "/api/upgrades/{id}/verification/status"
    failed_instances               = "/api/upgrades/{id}/verification/failed"
    failed_instances_rerun         = "/api/upgrades/{id}/verification/failed/rerun"
    instance_log                   = "/api/upgrades/{id}/verification/instances/{name}/log"
  }

  base = trimsuffix(self.manager_url, "/")
  # All addresses, with `{id}`, `{version}` and `{name}` still in them. The upgrade's id is what the step `find_upgrade` found.
  manager = { for name, path in merge(local.default_endpoints, self.endpoints) : name => "${local.base}${path}" }

  login = {
    url    = local.manager.login
    json   = { username = self.username, password = self.password }
    token  = self.session.token
    header = self.session.header
    prefix = self.session.prefix
  }
  tls = self.ca_file == null ? null : { ca_file = self.ca_file }
}
