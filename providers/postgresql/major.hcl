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

  use "programs" {}

  use "folders" {}

  use "new_cluster" {}

  use "prove_served" {}

  use "stop" {}

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

  use "write_configuration" {
    downtime = true
  }

  use "switch_programs" {
    downtime = true
  }

  use "switch_cluster" {
    downtime = true
  }

  use "serve" {
    downtime = true
  }

  use "create_databases" {}

  use "analyze" {}
}

strategy "pg_upgrade_link" {
  description = "Links the cluster with pg_upgrade. No way back but the dump that it makes first."

  use "programs" {}

  use "folders" {}

  use "new_cluster" {}

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

  use "prove_served" {}

  use "stop" {}

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

  use "write_configuration" {
    downtime = true
  }

  use "switch_programs" {
    downtime = true
  }

  use "switch_cluster" {
    downtime = true
  }

  use "serve" {
    downtime = true
  }

  use "create_databases" {}

  use "analyze" {}
}
