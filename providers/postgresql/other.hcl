# Installing, reconfiguring and removing.

route "install" {
  movement = "install"
  strategy = "install"
}

strategy "install" {
  description = "Fetches the programs, makes a cluster, starts it and creates the databases."

  use "programs" {}

  use "folders" {}

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

  use "write_configuration" {}

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

  use "serve" {}

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

  use "create_databases" {}
}

route "reconfigure" {
  movement = "reconfigure"
  strategy = "reconfigure"
  downtime = "3s"
}

strategy "reconfigure" {
  description = "Writes the configuration anew and restarts the server."

  use "stop" {}

  use "rewrite_configuration" {}

  use "serve" {
    downtime = true
  }

  use "create_databases" {}
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

strategy "remove" {
  description = "Stops the server and takes the link `current` away. Clusters and programs stay."

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
        target = "versions/${from.text}"
      }
      downtime = true
    }
    repeatable = true
  }
}
