# A product that the tests of backups back up: a folder of data and a process that writes into it without a pause.
provider "vault" {
  version = "1.0.0"
  title   = "Vault"
}

setting "dir" {
  type     = string
  required = true
}

setting "database" {
  type    = any
  default = null
}

locals {
  mode = try(self.backup.mode, "cold")
  sets = {
    temporary = ["tmp", "caches"]
    logs      = ["run", "**/*.log"]
    data      = ["managed_datasets"]
  }
  excluded = { for name in try(self.backup.exclude, []) : name => local.sets[name] }
  method   = try(self.backup.method, "tar")
  labels   = { instance = instance.address, version = from.text }
  key      = try(self.backup.password_file, null)
  parts    = ["data", "database"]
  target   = try(coalesce(restore.to, self.dir), self.dir)
  writer   = "cd ${shquote(self.dir)}; n=0; while :; do n=$((n+1)); echo $n > tick; sleep 0.01; done"
  pid_file = "${self.dir}.pid"
}

fact "version" {
  file {
    path     = "${self.dir}/VERSION"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}

fact "running" {
  process {
    action   = "status"
    pid_file = "${self.dir}.pid"
  }
  value = result.running
}

fact "jobs" {
  file {
    action = "list"
    path   = "${self.dir}/jobs"
  }
  value = length(try(result.entries, []))
}

release "1.0.0" {}
release "1.1.0" {}

preflight "no_jobs" {
  movements = ["backup"]
  pass      = fact.jobs == 0
  message   = "${fact.jobs} jobs run"
  remedy    = "Wait for them to end."
}

route "install" {
  movement = "install"
  strategy = "install"
}

route "upgrade" {
  from     = "*"
  to       = "*"
  strategy = "upgrade"
}

route "cold" {
  movement = "backup"
  when     = local.mode == "cold"
  strategy = "cold"
  downtime = "10s"
}

route "warm" {
  movement = "backup"
  when     = local.mode == "warm"
  strategy = "warm"
  downtime = "1s"
}

route "online" {
  movement = "backup"
  when     = local.mode == "online"
  strategy = "online"
}

route "snapshot" {
  movement = "backup"
  when     = local.mode == "snapshot"
  strategy = "snapshot"
}

route "matched" {
  movement = "backup"
  when     = local.mode == "matched"
  strategy = "matched"
}

route "pristine" {
  movement = "restore"
  when     = !restore.elsewhere && restore.set == null
  strategy = "pristine"
}

route "pristine_set" {
  movement = "restore"
  when     = !restore.elsewhere && restore.set != null
  strategy = "pristine_set"
}

route "elsewhere" {
  movement = "restore"
  when     = restore.elsewhere
  strategy = "elsewhere"
}

strategy "install" {
  step "data" {
    exec {
      shell = "mkdir -p ${shquote(self.dir)}/jobs ${shquote(self.dir)}/config ${shquote(self.dir)}/tmp ${shquote(self.dir)}/run; echo ${to.text} > ${shquote(self.dir)}/VERSION; echo precious > ${shquote(self.dir)}/config/project; echo scratch > ${shquote(self.dir)}/tmp/scratch; echo talk > ${shquote(self.dir)}/run/audit.log"
    }
    harmless = true
  }
  step "start" {
    process {
      action   = "start"
      pid_file = local.pid_file
      shell    = local.writer
      log_file = "${self.dir}.log"
    }
    undo {
      process {
        action   = "stop"
        pid_file = local.pid_file
      }
    }
  }
}

strategy "upgrade" {
  step "backup" {
    backup {
      action        = "create"
      repository    = self.backup.repository
      path          = self.dir
      running       = true
      method        = local.method
      password_file = local.key
      labels        = local.labels
    }
    harmless = true
  }
  step "version" {
    file {
      action  = "write"
      path    = "${self.dir}/VERSION"
      content = "${to.text}\n"
    }
    undo {
      file {
        action = "restore"
        saved  = step.version.result.saved
      }
    }
  }
}

step_group "stop" {
  step "stop" {
    process {
      action   = "stop"
      pid_file = local.pid_file
    }
    downtime   = true
    repeatable = true
    undo {
      process {
        action   = "start"
        pid_file = local.pid_file
        shell    = local.writer
        log_file = "${self.dir}.log"
      }
    }
  }
}

step_group "start" {
  step "start" {
    process {
      action   = "start"
      pid_file = local.pid_file
      shell    = local.writer
      log_file = "${self.dir}.log"
    }
    repeatable = true
    harmless   = true
  }
}

strategy "cold" {
  use "stop" {}
  step "backup" {
    backup {
      action        = "create"
      repository    = self.backup.repository
      path          = self.dir
      method        = local.method
      password_file = local.key
      exclude_sets  = local.excluded
      labels        = local.labels
    }
    downtime   = true
    repeatable = true
    harmless   = true
  }
  use "start" {}
}

strategy "warm" {
  step "first_pass" {
    backup {
      action        = "create"
      repository    = self.backup.repository
      path          = self.dir
      method        = local.method
      password_file = local.key
      exclude_sets  = local.excluded
      running       = true
      labels        = local.labels
    }
    repeatable = true
    undo {
      backup {
        action        = "remove"
        repository    = self.backup.repository
        id            = step.first_pass.result.backup.id
        password_file = local.key
      }
    }
  }
  use "stop" {}
  step "backup" {
    backup {
      action        = "create"
      repository    = self.backup.repository
      path          = self.dir
      method        = local.method
      password_file = local.key
      exclude_sets  = local.excluded
      labels        = local.labels
    }
    downtime   = true
    repeatable = true
    harmless   = true
  }
  use "start" {}
}

strategy "online" {
  step "backup" {
    backup {
      action        = "create"
      repository    = self.backup.repository
      path          = self.dir
      method        = local.method
      password_file = local.key
      running       = fact.running
      labels        = local.labels
    }
    repeatable = true
    harmless   = true
  }
}

strategy "snapshot" {
  step "backup" {
    backup {
      action        = "create"
      repository    = self.backup.repository
      path          = self.dir
      method        = local.method
      password_file = local.key
      snapshot      = self.backup.snapshot
      labels        = local.labels
    }
    repeatable = true
    harmless   = true
  }
}

strategy "matched" {
  use "stop" {}
  step "data" {
    backup {
      action     = "create"
      repository = self.backup.repository
      path       = self.dir
      method     = local.method
      labels     = local.labels
      set        = { part = "data", parts = local.parts }
    }
    downtime   = true
    repeatable = true
    harmless   = true
  }
  step "database" {
    postgres {
      action   = "dump"
      host     = self.database.host
      port     = self.database.port
      user     = self.database.user
      password = self.database.password
      database = self.database.name
      sslmode  = "disable"
      bin_dir  = self.database.bin_dir
      path     = "${self.backup.repository}/${step.data.result.backup.id}.dump"
      set      = { name = step.data.result.backup.set.name, part = "database", parts = local.parts }
    }
    downtime = true
    harmless = true
  }
  use "start" {}
}

strategy "pristine" {
  step "verify" {
    title = "Read the backup back before anything is stopped"
    backup {
      action        = "verify"
      repository    = restore.location
      id            = restore.id
      password_file = local.key
    }
    repeatable = true
    harmless   = true
  }
  use "stop" {}
  step "restore" {
    backup {
      action        = "restore"
      repository    = restore.location
      id            = restore.id
      path          = self.dir
      method        = restore.method
      password_file = local.key
      keep_previous = true
    }
    downtime     = true
    repeatable   = true
    irreversible = true
  }
  use "start" {}
}

strategy "pristine_set" {
  use "stop" {}
  step "data" {
    backup {
      action        = "restore"
      repository    = restore.parts.data.location
      id            = restore.parts.data.id
      path          = self.dir
      keep_previous = true
    }
    downtime     = true
    repeatable   = true
    irreversible = true
  }
  step "database" {
    postgres {
      action   = "restore"
      host     = self.database.host
      port     = self.database.port
      user     = self.database.user
      password = self.database.password
      database = self.database.name
      sslmode  = "disable"
      bin_dir  = self.database.bin_dir
      path     = restore.parts.database.location
    }
    downtime     = true
    repeatable   = true
    irreversible = true
  }
  use "start" {}
}

# The data is bound to the place and the version anew: the installer in upgrade mode, the Python environment, the integrations.
strategy "elsewhere" {
  step "restore" {
    backup {
      action        = "restore"
      repository    = restore.location
      id            = restore.id
      path          = local.target
      method        = restore.method
      password_file = local.key
    }
    repeatable   = true
    irreversible = true
  }
  step "installer" {
    exec {
      shell     = "echo ${to.text} > VERSION; echo \"upgrade ${from.text} ${to.text} on ${host.name}\" >> install.log"
      directory = local.target
    }
    irreversible = true
  }
  step "python" {
    exec {
      shell     = "echo python >> install.log"
      directory = local.target
    }
    irreversible = true
  }
  step "integrations" {
    exec {
      shell     = "echo integrations >> install.log"
      directory = local.target
    }
    irreversible = true
  }
}
