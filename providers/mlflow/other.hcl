# Installing, reconfiguring and removing.

route "install" {
  movement = "install"
  strategy = "install"
}

strategy "install" {
  description = "Builds the virtual environment, starts the server on a database that is made where there is none."

  step "make_home" {
    title = "Create the folder of the software"
    file {
      action = "directory"
      path   = self.home
    }
    harmless   = true
    repeatable = true
  }

  step "make_data_dir" {
    title = "Create the folder of the data"
    file {
      action = "directory"
      path   = self.data_dir
      mode   = "0750"
    }
    harmless   = true
    repeatable = true
    note       = "an undone installation leaves the data folder: Windlass never deletes data"
  }

  use "software" {}

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
    }
    repeatable = true
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
        action = "remove"
        path   = local.current
      }
    }
    repeatable = true
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
    timeout    = "2m"
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
    timeout    = "2m"
  }
}

route "reconfigure" {
  movement = "reconfigure"
  strategy = "reconfigure"
  downtime = "6s"
}

strategy "reconfigure" {
  description = "Writes the start script anew and restarts the server."

  # Stopped before the script changes, so that its undo starts the server with the script that was put back.
  use "stop" {}

  use "configure" {}

  use "start" {}

  use "verify_api" {}
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

strategy "remove" {
  description = "Stops the server and takes the link `current` away. Data, backups and virtual environments stay."

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
        ready       = { tcp = local.address, timeout = "120s" }
      }
      timeout  = "3m"
      downtime = true
    }
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "3s"
  }

  step "unlink" {
    title = "Take the link `current` away"
    file {
      action = "remove"
      path   = local.current
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
  }
}

locals {
  pip_install = concat(
    ["${local.new}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r", "${local.new}/requirements.txt"],
    local.packages,
  )
}
