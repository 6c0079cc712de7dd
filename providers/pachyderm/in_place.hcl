# The upgrade in place, as the vendor's page has it: backup, `pachctl undeploy`, new `pachctl`, the same deploy command, all pods ready,
# both versions equal, connected again. What needs no downtime comes first.

route "in_place" {
  movement = "upgrade"
  when     = !local.elsewhere
  strategy = "in_place"
  downtime = "4m"
  risk     = 20
}

strategy "in_place" {
  description = "Takes the old deployment down and deploys the new version with the recorded command on the same storage."

  use "programs" {}

  step "record" {
    title = "Record the deploy command"
    when  = fact.record == null
    file {
      action  = "write"
      path    = local.record
      content = jsonencode({ kubeconfig = self.kubeconfig, namespace = self.namespace, deploy = fact.deployed.deploy })
      mode    = "0644"
    }
    harmless   = true
    repeatable = true
  }

  step "copy_bucket" {
    title = "Copy the bucket, while it serves"
    when  = local.bucket
    exec {
      command     = concat(["/bin/sh", "-euc", local.copy_bucket, "sh", "${instance.file_name}-${from.text}", self.bucket_backup_location], self.bucket_backup)
      environment = local.old_env
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    estimate   = "10m"
    note       = "a first pass: what is written meanwhile is copied while it is down"
  }

  use "quiet" {}

  step "extract" {
    title = "Extract the state (pachctl extract)"
    when  = self.extract
    exec {
      command     = concat(["/bin/sh", "-euc", local.extract, "sh", local.old, "${self.backup_dir}/${instance.file_name}-${from.text}"], self.extract_options)
      environment = local.ask_old
      parse       = "backup"
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    estimate   = "5m"
  }

  # From here on a rollback begins with what stands lowest: deploy again, wait, forward, prove, start the pipelines.
  step "reach_again" {
    title = "Keep the connection until it is taken down"
    when  = self.connect == "port_forward"
    process {
      action   = "status"
      pid_file = local.pid_file
    }
    undo {
      process {
        action      = "restart"
        pid_file    = local.pid_file
        command     = [local.pachctl, "port-forward", "--port", tostring(self.port), "--namespace", self.namespace]
        environment = local.old_env
        log_file    = local.log_file
        ready       = { tcp = local.forwarded, after = "100ms", timeout = "30s" }
      }
      timeout  = "2m"
      downtime = true
      retry {
        attempts = 3
        backoff  = "500ms"
      }
    }
    repeatable = true
  }

  step "prove_pods" {
    title = "Check that all pods are ready before anything is taken down"
    kubernetes {
      action      = "wait_ready"
      selector    = "suite=pachyderm"
      at_least    = 2
      kubectl     = self.kubectl
      kubeconfig  = self.kubeconfig
      namespace   = self.namespace
      environment = self.command_environment
      timeout     = "2m"
    }
    undo {
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
      downtime = true
    }
    repeatable = true
    timeout    = "3m"
  }

  step "undeploy" {
    title = "Spin down the old version (pachctl undeploy)"
    exec {
      command     = [local.old, "undeploy", "--namespace", self.namespace]
      environment = local.old_env
    }
    undo {
      exec {
        command     = concat(["/bin/sh", "-uc", local.deploy_again, "sh", local.old, self.namespace], fact.deployed.deploy)
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

  step "prove_down" {
    title = "Wait until no pod of the old version is left"
    kubernetes {
      action      = "wait"
      kind        = "pod"
      selector    = "suite=pachyderm,component!=worker"
      for         = "delete"
      kubectl     = self.kubectl
      kubeconfig  = self.kubeconfig
      namespace   = self.namespace
      environment = self.command_environment
      timeout     = "5m"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "6m"
    estimate   = "30s"
  }

  step "copy_rest_of_bucket" {
    title = "Copy what is new in the bucket"
    when  = local.bucket
    exec {
      command     = concat(["/bin/sh", "-euc", local.copy_bucket, "sh", "${instance.file_name}-${from.text}", self.bucket_backup_location], self.bucket_backup)
      environment = local.old_env
      parse       = "backup"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "6h"
    estimate   = "30s"
  }

  step "snapshot" {
    title    = "Take a snapshot of etcd's volume"
    when     = local.snapshot
    for_each = toset(local.volumes)
    after    = [step.prove_down]
    exec {
      command     = concat(["/bin/sh", "-euc", local.take_snapshot, "sh", each.value, "${substr(instance.file_name, 0, 20)}-${from.text}", self.volume_snapshot_id], self.volume_snapshot, ["--"], self.volume_verify)
      environment = local.old_env
      parse       = "backup"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "1h"
    estimate   = "10s"
  }

  step "switch" {
    title = "Make the new pachctl the one in use"
    after = [step.copy_rest_of_bucket, step.snapshot]
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

  step "check_client" {
    title = "Check that pachctl says the new version (pachctl version --client-only)"
    exec {
      command     = ["/bin/sh", "-euc", local.client_is, "sh", local.pachctl, to.text]
      environment = local.new_env
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "1m"
    estimate   = "1s"
  }

  # The way back over a migration of metadata: the volumes as they were. Done only where the new version was deployed.
  step "keep_volume" {
    title    = "Keep the snapshot for the way back"
    when     = local.migrates && local.restorable
    for_each = toset(local.volumes)
    exec {
      command = ["/bin/sh", "-c", ":"]
    }
    undo {
      exec {
        command     = [for word in self.volume_restore : replace(replace(word, "{volume}", each.value), "{name}", step.snapshot.result[index(local.volumes, each.value)].backup.id)]
        environment = local.old_env
      }
      restores_data = true
      downtime      = true
      timeout       = "1h"
    }
    repeatable = true
    downtime   = true
    timeout    = "1m"
    estimate   = "1s"
  }

  step "deploy" {
    title = "Deploy the new version with the recorded command"
    when  = !local.migrates || local.restorable
    exec {
      command     = concat(["/bin/sh", "-euc", local.deploy, "sh", local.pachctl, self.namespace], fact.deployed.deploy)
      environment = local.new_env
      secrets     = { CREDENTIALS = self.credentials }
    }
    undo {
      exec {
        command     = [local.new, "undeploy", "--namespace", self.namespace]
        environment = local.new_env
      }
      downtime = true
      timeout  = "5m"
    }
    tolerate = [strcontains(error.stderr, "(AlreadyExists)") && alltrue([
      for line in split("\n", error.stderr) : strcontains(line, "(AlreadyExists)") || length(regexall("^(exit status [0-9]+)?$", trimspace(line))) > 0
    ])]
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "10s"
  }

  step "deploy_for_good" {
    title = "Deploy the new version with the recorded command; its first start may migrate metadata"
    when  = local.migrates && !local.restorable
    exec {
      command     = concat(["/bin/sh", "-euc", local.deploy, "sh", local.pachctl, self.namespace], fact.deployed.deploy)
      environment = local.new_env
      secrets     = { CREDENTIALS = self.credentials }
    }
    irreversible = true
    tolerate = [strcontains(error.stderr, "(AlreadyExists)") && alltrue([
      for line in split("\n", error.stderr) : strcontains(line, "(AlreadyExists)") || length(regexall("^(exit status [0-9]+)?$", trimspace(line))) > 0
    ])]
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "10s"
    note       = "no way back from here: nothing says how a volume is restored from its snapshot (`volume_snapshot`, `volume_restore`)"
  }

  use "ready" {
    downtime = true
  }

  use "reconnect" {}
  use "resume" {}
}

locals {
  # The vendor: `AlreadyExists` errors on redeploy are benign. Any other error of the same command is not. This is the rule of
  # `tolerate` in the steps that deploy, for an undo, which has none.
  deploy_again = <<-END
    said=$(mktemp)
    trap 'rm -f -- "$said"' EXIT
    if /bin/sh -euc "$DEPLOY" sh "$@" 2> "$said"; then cat -- "$said" >&2; exit 0; fi
    cat -- "$said" >&2
    grep -q '(AlreadyExists)' "$said" && ! grep -v -e '(AlreadyExists)' -e '^exit status [0-9]*$' -e '^$' -q "$said"
  END
}
