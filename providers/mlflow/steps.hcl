# Steps that several strategies share.

# The new version's software, in a virtual environment of its own; the old one stays.
step_group "software" {
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
}

# Downtime begins.
step_group "stop" {
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
}

# The configuration of the server.
step_group "configure" {
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
  }
}

# The server runs again.
step_group "start" {
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
    timeout    = "3m"
    estimate   = "4s"
  }
}

# The server serves.
step_group "verify_api" {
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
    timeout    = "2m"
    estimate   = "1s"
  }
}
