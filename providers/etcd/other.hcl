# Installing, reconfiguring and removing one member.

route "install" {
  movement = "install"
  strategy = "install"
}

strategy "install" {
  description = "Fetches the programs and starts the member. All members of a new cluster start at the same time: it answers once most of them do."

  step "make_home" {
    title = "Create the folder of the member"
    file {
      action = "directory"
      path   = self.home
      mode   = "0755"
      owner  = self.run_as
    }
    harmless   = true
    repeatable = true
    privileged = true
  }

  use "programs" {}

  use "configure" {}

  step "switch" {
    title = "Make the new version the current one"
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

  use "serve" {}
}

route "reconfigure" {
  movement = "reconfigure"
  strategy = "reconfigure"
  downtime = "3s"
}

strategy "reconfigure" {
  description = "Writes the start script anew and restarts the member."

  step "prove_cluster" {
    title = "Check that every member of the cluster is healthy"
    exec {
      command     = ["${local.old_bin}/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
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

  use "stop" {}

  use "configure" {
    downtime = true
  }

  use "serve" {
    downtime = true
  }
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

strategy "remove" {
  description = "Stops the member and takes the link `current` away. Data and programs stay, and so does the entry in the cluster (`etcdctl member remove`)."

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
