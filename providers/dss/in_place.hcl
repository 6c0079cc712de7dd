# The upgrade in place. After the migration has begun, only the restore of the backup leads back.

route "in_place" {
  movement = "upgrade"
  from     = "*"
  when     = local.backed_up
  strategy = "in_place"
  downtime = "5m"
  risk     = 30
}

route "in_place_without_backup" {
  movement = "upgrade"
  from     = "*"
  when     = !local.backed_up
  strategy = "in_place_without_backup"
  downtime = "4m"
  risk     = 80
}

strategy "in_place" {
  description = "Unpacks the kit while the node serves, stops it, backs the data directory up, upgrades it, replays the integrations, starts it."

  use "kit" {}

  # It reads everything while the node serves. What is kept is possibly inconsistent, and no restore takes it; but the backup of the
  # stopped node then reads only what has changed since.
  step "first_pass" {
    title = "First pass of the backup, while the node serves"
    when  = local.method == "restic"
    backup {
      action        = "create"
      path          = self.data_dir
      repository    = self.backup.repository
      method        = local.method
      password      = self.backup_password
      password_file = local.password_file
      exclude_sets  = local.exclude_sets
      labels        = local.labels
      running       = true
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "24h"
    estimate   = "5m"
  }

  use "prove" {}
  use "stop" {}

  step "back_up" {
    title = "Back up the whole data directory"
    backup {
      action        = "create"
      path          = self.data_dir
      repository    = self.backup.repository
      method        = local.method
      password      = self.backup_password
      password_file = local.password_file
      exclude_sets  = local.exclude_sets
      labels        = local.labels
      set           = local.has_dump ? { part = "data_dir", parts = ["data_dir", "database"] } : null
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "24h"
    estimate   = "2m"
  }

  step "dump_database" {
    title = "Dump the PostgreSQL of the govern node"
    when  = local.has_dump
    postgres {
      action   = "dump"
      host     = self.postgres.host
      port     = self.postgres.port
      database = self.postgres.database
      user     = self.postgres.user
      password = self.postgres_password
      bin_dir  = self.postgres.bin_dir
      path     = local.dump_path
      replace  = true
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "12h"
    estimate   = "30s"
  }

  step "prove_database_quiet" {
    title = "Check that the dump is of a database that nobody uses"
    when  = local.has_dump
    postgres {
      action   = "execute"
      host     = self.postgres.host
      port     = self.postgres.port
      database = self.postgres.database
      user     = self.postgres.user
      password = self.postgres_password
      sql      = "DO $check$ BEGIN IF EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend') THEN RAISE 'somebody else is connected to the database, so that its dump does not match the backup of the data directory'; END IF; END $check$"
    }
    undo {
      postgres {
        action   = "restore"
        host     = self.postgres.host
        port     = self.postgres.port
        database = self.postgres.database
        user     = self.postgres.user
        password = self.postgres_password
        bin_dir  = self.postgres.bin_dir
        path     = step.dump_database.result.path
        mode     = "recreate"
      }
      restores_data = true
      downtime      = true
      timeout       = "12h"
    }
    repeatable = true
    downtime   = true
    timeout    = "1m"
    estimate   = "1s"
  }

  # Both parts bear the name of one set: a backup of the data directory without the matching one of the database is worth little.
  step "back_up_database" {
    title = "Put the dump into the set of that backup"
    when  = local.has_dump
    backup {
      action        = "create"
      path          = step.dump_database.result.path
      repository    = self.backup.repository
      method        = local.method
      password      = self.backup_password
      password_file = local.password_file
      labels        = local.labels
      set           = { part = "database", parts = ["data_dir", "database"], name = step.back_up.result.backup.set.name }
    }
    undo {
      backup {
        action        = "restore"
        id            = step.back_up_database.result.backup.id
        path          = step.dump_database.result.path
        repository    = self.backup.repository
        method        = local.method
        password      = self.backup_password
        password_file = local.password_file
      }
      downtime = true
      timeout  = "12h"
    }
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "12h"
    estimate   = "10s"
  }

  # Nothing on the way there; on the way back the old software is secured again, once the data directory is restored.
  step "keep_isolation" {
    title = "Check that the old software can be secured again (as root)"
    when  = fact.integrations.impersonation
    exec {
      command = ["test", "-x", "${fact.kit}/scripts/linked/dssadmin"]
    }
    undo {
      exec {
        command   = concat([local.dssadmin, "install-impersonation"], try(self.options["install-impersonation"], []), [self.run_as == null ? "dataiku" : self.run_as])
        directory = "/"
      }
      downtime = true
      timeout  = "30m"
    }
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "1m"
    estimate   = "1s"
  }

  step "upgrade" {
    title = "Upgrade the data directory"
    exec {
      command   = concat(["${local.new_kit}/installer.sh", "-d", self.data_dir, "-u"], self.base_python == null ? [] : ["-P", self.base_python])
      stdin     = "y\n"
      user      = self.run_as
      directory = "/"
    }
    check {
      exec {
        shell       = "grep -q \"\\\"product_version\\\": *\\\"$VERSION\\\"\" \"$DATA_DIR/dss-version.json\" && grep -q \"$KIT\" \"$DATA_DIR/bin/env-default.sh\""
        environment = { VERSION = to.text, KIT = local.new_kit, DATA_DIR = self.data_dir }
      }
    }
    undo {
      backup {
        action        = "restore"
        id            = step.back_up.result.backup.id
        repository    = self.backup.repository
        path          = self.data_dir
        method        = local.method
        password      = self.backup_password
        password_file = local.password_file
        keep_previous = true
      }
      restores_data = true
      downtime      = true
      timeout       = "24h"
    }
    downtime   = true
    privileged = true
    timeout    = "12h"
    estimate   = "1m"
    note       = "DSS has no way back from here: only the restore of the backup, under the old software"
  }

  use "finish" {}
  use "rework" {}
}

strategy "in_place_without_backup" {
  description = "The same without a backup: nothing leads back once the migration has begun."

  use "kit" {}
  use "prove" {}
  use "stop" {}

  step "upgrade" {
    title = "Upgrade the data directory"
    exec {
      command   = concat(["${local.new_kit}/installer.sh", "-d", self.data_dir, "-u"], self.base_python == null ? [] : ["-P", self.base_python])
      stdin     = "y\n"
      user      = self.run_as
      directory = "/"
    }
    check {
      exec {
        shell       = "grep -q \"\\\"product_version\\\": *\\\"$VERSION\\\"\" \"$DATA_DIR/dss-version.json\" && grep -q \"$KIT\" \"$DATA_DIR/bin/env-default.sh\""
        environment = { VERSION = to.text, KIT = local.new_kit, DATA_DIR = self.data_dir }
      }
    }
    irreversible = true
    downtime     = true
    privileged   = true
    timeout      = "12h"
    estimate     = "1m"
  }

  use "finish" {}
  use "rework" {}
}
