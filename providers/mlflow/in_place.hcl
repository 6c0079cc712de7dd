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

  step "create_venv" {
    title = "Create a virtual environment for the new version"
    exec {
      command = [self.python, "-m", "venv", "--clear", local.new]
    }
    undo {
      file {
        action    = "remove"
        path      = local.new
        recursive = true
        keep      = false
      }
    }
    repeatable = true
    timeout    = "5m"
    estimate   = "4s"
  }

  step "choose_packages" {
    title = "Write the list of packages"
    template {
      source = local.requirements
      path   = "${local.new}/requirements.txt"
      values = { version = to.text }
    }
    harmless   = true
    repeatable = true
  }

  step "install_packages" {
    title = "Install MLflow and its packages from PyPI"
    exec {
      command = local.pip_install
    }
    harmless   = true
    repeatable = true
    timeout    = "20m"
    estimate   = "25s"
    retry {
      attempts = 3
      backoff  = "5s"
    }
  }

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

  step "stop" {
    title = "Stop MLflow"
    process {
      action   = "stop"
      pid_file = local.pid_file
    }
    undo {
      process {
        action      = "start"
        pid_file    = local.pid_file
        command     = [local.launcher]
        environment = local.environment
        secrets     = self.backend_store_password == null ? {} : { PGPASSWORD = self.backend_store_password }
        log_file    = local.log_file
        directory   = self.data_dir
        ready       = { tcp = local.address_now, timeout = "120s" }
      }
      timeout  = "3m"
      downtime = true
    }
    downtime   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "3s"
  }

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

  step "configure" {
    title = "Write the start script"
    template {
      source = "serve.sh.j2"
      path   = local.launcher
      mode   = "0755"
      values = local.launch
    }
    undo {
      file {
        action = "restore"
        saved  = step.configure.result.saved
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
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

  step "start" {
    title = "Start MLflow"
    process {
      action      = "start"
      pid_file    = local.pid_file
      command     = [local.launcher]
      environment = local.environment
      secrets     = self.backend_store_password == null ? {} : { PGPASSWORD = self.backend_store_password }
      log_file    = local.log_file
      directory   = self.data_dir
      ready       = { tcp = local.address, timeout = "120s" }
    }
    undo {
      process {
        action   = "stop"
        pid_file = local.pid_file
      }
      downtime = true
      timeout  = "2m"
    }
    repeatable = true
    downtime   = true
    timeout    = "3m"
    estimate   = "4s"
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

  step "verify_api" {
    title = "Check that the API finds experiments"
    http {
      method  = "POST"
      url     = "${local.url}/api/2.0/mlflow/experiments/search"
      json    = { max_results = 1 }
      until   = { status = 200 }
      timeout = "60s"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "1s"
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
