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

  use "configure" {}

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

  use "start" {}

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

  use "verify_api" {}
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

  use "configure" {
    downtime = true
  }

  use "start" {
    downtime = true
  }

  use "verify_api" {
    downtime = true
  }
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

strategy "remove" {
  description = "Stops the server and takes the link `current` away. Data, backups and virtual environments stay."

  use "stop" {}

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
