# Database backup. Self-managed PostgreSQL: by the Manager, database by database, and by pg_dump where connections are declared.
# RDS and other databases: by a person, in the RDS console or by the database's own means.

step_group "begin_backup" {
  step "rds_backup" {
    title = "Back up the databases in the RDS console"
    when  = self.database == "rds" && !self.skip_backup
    manual {
      instructions = "Open the RDS console, back up the instances of ${join(", ", fact.databases)}, and wait until the backups are complete."
      url          = self.rds_console
    }
    harmless   = true
    repeatable = true
  }

  step "other_backup" {
    title = "Back up the databases by their own means"
    when  = self.database == "other" && !self.skip_backup
    manual {
      instructions = "Back up ${join(", ", fact.databases)} as their vendor says, and wait until the backups are complete: the Manager backs up PostgreSQL only."
    }
    harmless   = true
    repeatable = true
  }

  step "skip_backup" {
    title = "Go on without the Manager's backup, with the risk declaration"
    when  = !local.backed_up_by_manager
    http {
      method = "POST"
      url    = replace(local.manager.databases_skip, "{id}", step.find_upgrade.result.extracted.id)
      json   = { risk_accepted = true }
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

  step "start_backup" {
    title = "Start the backup of all databases"
    when  = local.backed_up_by_manager
    http {
      method = "POST"
      url    = replace(local.manager.databases_backup, "{id}", step.find_upgrade.result.extracted.id)
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

  step "list_databases" {
    title = "List the databases"
    when  = local.backed_up_by_manager
    http {
      url   = replace(local.manager.databases, "{id}", step.find_upgrade.result.extracted.id)
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
}

step_group "dump" {
  step "dump" {
    title    = "Dump the metadata database"
    for_each = self.metadata_databases
    postgres {
      action   = "dump"
      host     = each.value.host
      port     = each.value.port
      user     = each.value.user
      database = each.value.database
      password = try(self.metadata_passwords[each.key], null)
      path     = "${local.folder}/${each.key}-${formatdate("YYYYMMDDhhmmss", plantimestamp())}.dump"
      bin_dir  = self.pg_bin_dir
      replace  = true
    }
    harmless   = true
    repeatable = true
    timeout    = "12h"
    estimate   = "5m"
    retry {
      attempts = 2
      backoff  = "1s"
    }
    note = "restore it with `pg_restore`"
  }
}

step_group "finish_backup" {
  step "await_backups" {
    title = "Wait for the backup of each database"
    when  = local.backed_up_by_manager
    fan_out {
      items             = [for one in step.list_databases.result.json.data.databases : one.name]
      key               = each.value
      at_once           = 8
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
      message  = "the backup of ${each.key} failed or does not end"
      progress = one([for one in result.json.data.databases : one.progress if one.name == each.key])
      interval = "5s"
    }
    harmless   = true
    repeatable = true
    timeout    = "12h"
    estimate   = "10m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "fetch_backup_logs" {
    title = "Fetch the logs of backups that failed"
    when  = local.backed_up_by_manager
    fan_out {
      items = keys(step.await_backups.result.failed)
      key   = each.value
    }
    http {
      url     = replace(replace(local.manager.database_log, "{id}", step.find_upgrade.result.extracted.id), "{name}", each.key)
      save_to = "${local.folder}/${each.key}-backup-log.json"
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

  step "back_up_again" {
    title = "Back up again the databases whose backup failed, each alone"
    when  = local.backed_up_by_manager
    fan_out {
      items = keys(step.await_backups.result.failed)
      key   = each.value
    }
    http {
      method = "POST"
      url    = replace(local.manager.databases_backup, "{id}", step.find_upgrade.result.extracted.id)
      json   = { ids = [each.key] }
      login  = local.login
      tls    = local.tls
    }
    tolerate   = [error.status == 409 && strcontains(error.body, "BACKUP_ALREADY_STARTED")]
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}
