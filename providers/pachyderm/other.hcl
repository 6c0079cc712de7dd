# Installing, connecting anew, and removing.

route "install" {
  movement = "install"
  strategy = "install"
}

strategy "install" {
  description = "Deploys Pachyderm and records the deploy command."

  use "programs" {}

  step "switch" {
    title = "Make this pachctl the one in use"
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

  step "record" {
    title = "Record the deploy command"
    file {
      action  = "write"
      path    = local.record
      content = jsonencode({ kubeconfig = self.kubeconfig, namespace = self.namespace, deploy = self.deploy })
      mode    = "0644"
    }
    undo {
      file {
        action = "restore"
        saved  = step.record.result.saved
      }
    }
    repeatable = true
  }

  step "deploy" {
    title = "Deploy Pachyderm"
    exec {
      command     = concat(["/bin/sh", "-euc", local.deploy, "sh", local.pachctl, self.namespace], self.deploy)
      environment = local.new_env
      secrets     = { CREDENTIALS = self.credentials }
    }
    undo {
      exec {
        command     = [local.new, "undeploy", "--namespace", self.namespace]
        environment = local.new_env
      }
      timeout = "5m"
    }
    tolerate = [strcontains(error.stderr, "(AlreadyExists)") && alltrue([
      for line in split("\n", error.stderr) : strcontains(line, "(AlreadyExists)") || length(regexall("^(exit status [0-9]+)?$", trimspace(line))) > 0
    ])]
    repeatable = true
    timeout    = "5m"
    note       = "an undone installation leaves the volumes and the bucket: Windlass never deletes data"
  }

  use "ready" {}

  use "reconnect" {}
}

route "reconfigure" {
  movement = "reconfigure"
  strategy = "reconfigure"
}

strategy "reconfigure" {
  description = "Connects `pachctl` anew (`connect`, `port`, `address`). The deployment is not touched."

  use "reconnect" {}
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

strategy "remove" {
  description = "Takes Pachyderm down. Volumes, bucket, backups and the record stay."

  step "disconnect" {
    title = "End the port forwarding"
    process {
      action   = "stop"
      pid_file = local.pid_file
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "1m"
    estimate   = "1s"
  }

  step "undeploy" {
    title = "Spin Pachyderm down (pachctl undeploy)"
    exec {
      command     = [local.pachctl, "undeploy", "--namespace", fact.deployed.namespace]
      environment = local.old_env
    }
    undo {
      exec {
        command     = concat(["/bin/sh", "-uc", local.deploy_again, "sh", local.pachctl, fact.deployed.namespace], fact.deployed.deploy)
        environment = merge(local.old_env, { DEPLOY = local.deploy })
        secrets     = { CREDENTIALS = self.credentials }
      }
      downtime = true
      timeout  = "5m"
    }
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "10s"
  }
}
