# The migration: a new deployment in a place of its own, and the data moved over. The only way from below 1.8 to 1.8 and above. The old
# deployment stays as it is, and is the way back until somebody removes it.

route "migrate" {
  movement = "upgrade"
  from     = ">= 1.6.10"
  when     = local.elsewhere
  strategy = "migrate"
  downtime = "20m"
  risk     = 40
  note     = "a new deployment beside the old one, data moved by `pachctl extract` and `pachctl restore`"
}

strategy "migrate" {
  description = "Deploys the new version beside the old one, moves the data by extract and restore, compares both, and switches over."

  use "programs" {}

  step "deploy_new" {
    title = "Deploy the new version in its own place"
    exec {
      command     = concat(["/bin/sh", "-euc", local.deploy, "sh", local.new, self.namespace], self.deploy)
      environment = local.new_env
      secrets     = { CREDENTIALS = self.credentials }
    }
    undo {
      # The place was proved to be free, so all that is there is this deployment's. The bucket's objects stay.
      exec {
        command     = [local.new, "undeploy", "--all", "--namespace", self.namespace]
        environment = local.new_env
        stdin       = "y\n"
      }
      timeout = "5m"
    }
    tolerate = [strcontains(error.stderr, "(AlreadyExists)") && alltrue([
      for line in split("\n", error.stderr) : strcontains(line, "(AlreadyExists)") || length(regexall("^(exit status [0-9]+)?$", trimspace(line))) > 0
    ])]
    repeatable = true
    timeout    = "5m"
    estimate   = "10s"
  }

  step "wait_for_new_pods" {
    title = "Wait until all pods of the new deployment are ready"
    kubernetes {
      action        = "wait_ready"
      selector      = "suite=pachyderm"
      at_least      = 2
      remedy_delete = { reasons = self.stuck_reasons, labels = { app = "etcd" }, after = self.stuck_after, max = self.stuck_deletions }
      kubectl       = self.kubectl
      kubeconfig    = self.kubeconfig
      namespace     = self.namespace
      environment   = self.command_environment
      timeout       = self.ready_timeout
    }
    harmless   = true
    repeatable = true
    timeout    = "2h"
    estimate   = "3m"
  }

  step "connect_new" {
    title = "Forward a port to the new deployment"
    process {
      action      = "restart"
      pid_file    = "${self.home}/transfer.pid"
      command     = [local.new, "port-forward", "--port", tostring(self.transfer_port), "--namespace", self.namespace]
      environment = local.new_env
      log_file    = "${self.home}/transfer.log"
      ready       = { tcp = local.transfer, after = "100ms", timeout = "30s" }
    }
    undo {
      process {
        action   = "stop"
        pid_file = "${self.home}/transfer.pid"
      }
      timeout = "1m"
    }
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "500ms"
    }
  }

  step "prove_new" {
    title = "Check that the new deployment answers with its version"
    exec {
      command     = ["/bin/sh", "-euc", local.both_are, "sh", local.new, to.text]
      environment = local.ask_transfer
    }
    harmless   = true
    repeatable = true
    timeout    = "3m"
    retry {
      attempts = 4
      backoff  = "500ms"
    }
  }

  step "stop_loading" {
    title = "Nobody loads data any more"
    when  = !self.loading_stopped
    manual {
      instructions = "Stop everything that loads data into Pachyderm from outside (`pachctl put file`, services, schedules): what is written to the old deployment from now on does not reach the new one. Confirm when nothing loads any more."
      url          = "https://pachyderm.readthedocs.io/en/latest/deployment/migrations.html#backups"
    }
    harmless   = true
    repeatable = true
  }

  use "quiet" {}

  step "extract" {
    title = "Extract the state of the old deployment"
    exec {
      command     = ["/bin/sh", "-euc", local.extract, "sh", local.old, "${self.backup_dir}/${instance.file_name}-${from.text}"]
      environment = local.ask_old
      parse       = "backup"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "24h"
    estimate   = "10m"
    note       = "the old deployment can be read until it is switched over, but nothing may be written to it"
  }

  step "restore" {
    title = "Restore it into the new deployment"
    exec {
      command     = ["/bin/sh", "-euc", "exec \"$1\" restore < \"$2\"", "sh", local.new, step.extract.result.backup.location]
      environment = local.ask_transfer
    }
    check {
      exec {
        command     = ["/bin/sh", "-euc", local.compare, "sh", local.old, local.address_now, local.old_words, local.old_kubeconfig, local.new, local.transfer, local.new_words, local.new_kubeconfig]
        environment = self.command_environment
      }
    }
    harmless = true
    downtime = true
    timeout  = "24h"
    estimate = "10m"
  }

  step "compare" {
    title = "Compare repositories, commits and pipelines of both deployments"
    exec {
      command     = ["/bin/sh", "-euc", local.compare, "sh", local.old, local.address_now, local.old_words, local.old_kubeconfig, local.new, local.transfer, local.new_words, local.new_kubeconfig]
      environment = self.command_environment
      parse       = "json"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "2h"
    estimate   = "10s"
  }

  step "switch" {
    title = "Make the new pachctl the one in use"
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
    }
    repeatable = true
    downtime   = true
  }

  step "record_new" {
    title = "Record the new deployment and its command"
    file {
      action  = "write"
      path    = local.record
      content = jsonencode({ kubeconfig = self.kubeconfig, namespace = self.namespace, deploy = self.deploy })
      mode    = "0644"
    }
    undo {
      file {
        action = "restore"
        saved  = step.record_new.result.saved
      }
    }
    repeatable = true
    downtime   = true
  }

  step "reach_again" {
    title = "Keep the way to the old deployment"
    when  = self.connect == "port_forward"
    process {
      action   = "status"
      pid_file = local.pid_file
    }
    undo {
      process {
        action      = "restart"
        pid_file    = local.pid_file
        command     = [local.old, "port-forward", "--port", tostring(self.port), "--namespace", fact.deployed.namespace]
        environment = local.old_env
        log_file    = local.log_file
        ready       = { tcp = local.forwarded, after = "100ms", timeout = "30s" }
      }
      timeout = "2m"
      retry {
        attempts = 3
        backoff  = "500ms"
      }
    }
    repeatable = true
  }

  use "reconnect" {}

  step "disconnect_transfer" {
    title = "End the forwarding that moved the data"
    process {
      action   = "stop"
      pid_file = "${self.home}/transfer.pid"
    }
    harmless   = true
    repeatable = true
    timeout    = "1m"
  }

  use "resume" {}
}

locals {
  old_kubeconfig = try(fact.deployed.kubeconfig, null) == null ? "" : fact.deployed.kubeconfig
  new_kubeconfig = self.kubeconfig == null ? "" : self.kubeconfig
}
