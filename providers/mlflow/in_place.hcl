# The upgrade in place. Everything that needs no downtime comes first; the backup always precedes the first start of the new
# software, because a start may migrate the database.

route "in_place" {
  movement = "upgrade"
  strategy = "in_place"
  downtime = "15s"
  risk     = 10
}

strategy "in_place" {
  description = "Builds the new virtual environment beside the old one, stops the server, backs up and migrates the database, starts the new server."

  use "software" {}

  step "prove_software" {
    title = "Check that the new MLflow can be run"
    exec {
      command     = ["${local.new}/bin/mlflow", "--version"]
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "2s"
  }

  # Its undo is the last thing of a rollback: the old server must answer again.
  step "prove_served" {
    title = "Check that the API answers before anything is stopped"
    when  = fact.running
    http {
      method  = "POST"
      url     = "http://${local.address_now}/api/2.0/mlflow/experiments/search"
      json    = { max_results = 1 }
      until   = { status = 200 }
      timeout = "30s"
    }
    undo {
      http {
        method  = "POST"
        url     = "http://${local.address_now}/api/2.0/mlflow/experiments/search"
        json    = { max_results = 1 }
        until   = { status = 200 }
        timeout = "60s"
      }
    }
    repeatable = true
    timeout    = "2m"
  }

  use "stop" {}

  step "back_up" {
    title = "Back up the database"
    exec {
      command = ["${local.old}/bin/python", "-c", local.back_up]
      environment = merge(local.environment, {
        URI    = self.backend_store_uri
        FOLDER = "${self.backup_dir}/${instance.file_name}"
        LABEL  = "${from.text}-to-${to.text}"
        PG_BIN = local.pg_bin
      })
      secrets = self.backend_store_password == null ? {} : { PGPASSWORD = self.backend_store_password }
      parse   = "json"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "2h"
    estimate   = "1s"
  }

  step "migrate" {
    title = "Migrate the database to the schema of the new version"
    exec {
      command     = ["${local.new}/bin/mlflow", "db", "upgrade", self.backend_store_uri]
      environment = local.environment
      secrets     = self.backend_store_password == null ? {} : { PGPASSWORD = self.backend_store_password }
    }
    undo {
      exec {
        command = ["${local.old}/bin/python", "-c", local.restore]
        environment = merge(local.environment, {
          URI    = self.backend_store_uri
          BACKUP = step.back_up.result.json.path
          SHA256 = step.back_up.result.json.sha256
          PG_BIN = local.pg_bin
        })
        secrets = self.backend_store_password == null ? {} : { PGPASSWORD = self.backend_store_password }
      }
      restores_data = true
      downtime      = true
      timeout       = "2h"
    }
    repeatable = true
    downtime   = true
    timeout    = "2h"
    estimate   = "4s"
  }

  use "configure" {
    downtime = true
  }

  step "switch" {
    title = "Make the new version the current one"
    file {
      action = "symlink"
      path   = local.current
      target = local.new
    }
    undo {
      file {
        action = "symlink"
        path   = local.current
        target = local.old
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
  }

  use "start" {
    downtime = true
  }

  step "verify_version" {
    title = "Check that the server says its new version"
    http {
      url     = "${local.url}/version"
      until   = { contains = to.text }
      timeout = "60s"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "1s"
  }

  use "verify_api" {
    downtime = true
  }
}

locals {
  launch = {
    current       = local.current
    backend_store = self.backend_store_uri
    artifact_root = self.artifact_root
    host          = self.listen
    port          = self.port
    workers       = self.workers
  }
}
