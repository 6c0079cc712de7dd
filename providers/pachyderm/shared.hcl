# Steps that several strategies have in common.

# The new pachctl beside the old one, proved before anything is stopped.
step_group "programs" {
  step "make_home" {
    title = "Create the folder for the programs and the record"
    file {
      action = "directory"
      path   = "${self.home}/versions"
      mode   = "0755"
    }
    harmless   = true
    repeatable = true
  }

  step "fetch" {
    title = "Download pachctl"
    when  = local.dir == null && local.remote
    http {
      url     = local.artifact
      save_to = local.kit
      sha256  = local.sha256
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
    estimate   = "10s"
    retry {
      attempts = 3
      backoff  = "5s"
    }
  }

  step "verify_kit" {
    title = "Check pachctl's digest"
    when  = local.dir == null && local.sha256 != null
    archive {
      action = "verify"
      path   = local.kit
      sha256 = local.sha256
    }
    harmless   = true
    repeatable = true
  }

  step "unpack" {
    title = "Unpack pachctl beside the one in use"
    when  = local.dir == null
    archive {
      action           = "unpack"
      path             = local.kit
      to               = local.new_version
      strip_components = 1
      replace          = true
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

  step "link" {
    title = "Link pachctl, which is on the host already"
    when  = local.dir != null
    file {
      action = "symlink"
      path   = local.new_version
      target = local.dir
    }
    undo {
      file {
        action = "remove"
        path   = local.new_version
      }
    }
    repeatable = true
  }

  step "prove_pachctl" {
    title = "Check that the new pachctl runs and says its version"
    exec {
      command     = ["/bin/sh", "-euc", local.client_is, "sh", local.new, to.text]
      environment = local.new_env
    }
    harmless   = true
    repeatable = true
    timeout    = "1m"
  }
}

# P05, P07: after a deploy.
step_group "ready" {
  step "wait_for_pods" {
    title = "Wait until all pods are ready"
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
    note       = "an etcd pod that is stuck after its volume was not attached again is deleted, `stuck_deletions` times at most; where that does not help, delete its node, or undeploy and deploy again"
  }
}

# P08: whoever is upgraded loses the port forwarding, and the address may be another one.
step_group "reconnect" {
  step "find_service" {
    title = "Ask for the node port of pachd"
    when  = local.discovers
    kubernetes {
      action      = "get"
      kind        = "service"
      name        = "pachd"
      kubectl     = self.kubectl
      kubeconfig  = self.kubeconfig
      namespace   = self.namespace
      environment = self.command_environment
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
  }

  step "find_node" {
    title = "Ask for the address of a node"
    when  = local.discovers
    kubernetes {
      action      = "get"
      kind        = "node"
      kubectl     = self.kubectl
      kubeconfig  = self.kubeconfig
      environment = self.command_environment
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
  }

  step "write_connection" {
    title = "Write how pachctl reaches the cluster"
    template {
      source = "connect.sh.j2"
      path   = local.connect
      mode   = "0644"
      values = {
        pachctl_dir = local.current
        address = self.connect == "port_forward" ? local.forwarded : (self.address != null ? self.address : format("%s:%s", concat(
          [for one in step.find_node.result.items[0].status.addresses : one.address if one.type == "ExternalIP"],
          [for one in step.find_node.result.items[0].status.addresses : one.address if one.type == "InternalIP"],
        )[0], step.find_service.result.object.spec.ports[0].nodePort))
      }
    }
    undo {
      file {
        action = "restore"
        saved  = step.write_connection.result.saved
      }
    }
    repeatable = true
  }

  step "forward" {
    title = "Forward the port to the new pachd"
    when  = self.connect == "port_forward"
    process {
      action      = "restart"
      pid_file    = local.pid_file
      command     = [local.pachctl, "port-forward", "--port", tostring(self.port), "--namespace", self.namespace]
      environment = local.new_env
      log_file    = local.log_file
      ready       = { tcp = local.forwarded, after = "100ms", timeout = "30s" }
    }
    undo {
      process {
        action   = "stop"
        pid_file = local.pid_file
      }
      timeout = "1m"
    }
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "1s"
    retry {
      attempts = 3
      backoff  = "500ms"
    }
  }

  step "verify_versions" {
    title = "Check that pachctl and pachd are of the new version"
    exec {
      command     = ["/bin/sh", "-euc", local.connected, "sh", "/bin/sh", "-euc", local.both_are, "sh", local.pachctl, to.text]
      environment = local.ask_new
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "3m"
    estimate   = "1s"
    retry {
      attempts = 4
      backoff  = "500ms"
    }
  }
}

# Before the state is taken from the deployment that is there: reach it, and let nothing change it.
step_group "quiet" {
  step "connect_old" {
    title = "Make sure that the deployment can be reached"
    when  = self.connect == "port_forward"
    process {
      action      = "restart"
      pid_file    = local.pid_file
      command     = [local.pachctl, "port-forward", "--port", tostring(self.port), "--namespace", fact.deployed.namespace]
      environment = local.old_env
      log_file    = local.log_file
      ready       = { tcp = local.forwarded, after = "100ms", timeout = "30s" }
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 3
      backoff  = "500ms"
    }
  }

  step "pause_pipelines" {
    title = "Stop the pipelines that run"
    when  = self.pause_pipelines
    exec {
      command     = ["/bin/sh", "-euc", local.pause, "sh", local.old, local.old_words, "${self.home}/paused-pipelines"]
      environment = local.ask_old
      parse       = "lines"
    }
    undo {
      exec {
        command     = concat(["/bin/sh", "-euc", local.resume, "sh", local.old, local.old_words, "${self.home}/paused-pipelines"], try(step.pause_pipelines.result.lines, []))
        environment = local.ask_old
      }
      timeout = "10m"
      retry {
        attempts = 3
        backoff  = "500ms"
      }
    }
    repeatable = true
    timeout    = "10m"
    estimate   = "2s"
  }

  step "prove_served" {
    # Its undo is the last but one of a rollback: the old server must answer again.
    title = "Check that pachctl and pachd are of the version that is left"
    exec {
      command     = ["/bin/sh", "-euc", local.both_are, "sh", local.old, from.text]
      environment = local.ask_old
    }
    undo {
      exec {
        command     = ["/bin/sh", "-euc", local.both_are, "sh", local.old, from.text]
        environment = local.ask_old
      }
      timeout = "3m"
      retry {
        attempts = 4
        backoff  = "500ms"
      }
    }
    repeatable = true
    timeout    = "3m"
    retry {
      attempts = 3
      backoff  = "500ms"
    }
  }
}

step_group "resume" {
  step "resume_pipelines" {
    title = "Start the pipelines that were stopped"
    when  = self.pause_pipelines
    exec {
      command     = concat(["/bin/sh", "-euc", local.connected, "sh", "/bin/sh", "-euc", local.resume, "sh", local.pachctl, local.new_words, "${self.home}/paused-pipelines"], step.pause_pipelines.result.lines)
      environment = local.ask_new
    }
    harmless   = true
    repeatable = true
    timeout    = "10m"
    estimate   = "2s"
    retry {
      attempts = 3
      backoff  = "500ms"
    }
  }
}
