# What is observed: the record on the host, the programs, the cluster, and what the server says.

fact "record" {
  description = "The recorded deployment: place and deploy command. Null where none was recorded."
  drift       = true
  file {
    path  = local.record
    parse = "json"
  }
  value = result.exists ? result.json : null
}

fact "deployed" {
  description = "Where the deployment is and how it was made: as recorded; else as `migrate_from` says, else as declared."
  value = fact.record != null ? fact.record : (self.migrate_from != null ? {
    kubeconfig = self.migrate_from.kubeconfig, namespace = self.migrate_from.namespace, deploy = self.migrate_from.deploy
  } : { kubeconfig = self.kubeconfig, namespace = self.namespace, deploy = self.deploy })
}

fact "deploy_command" {
  description = "The deploy command as recorded, in one line."
  drift       = true
  value       = join(" ", concat(["pachctl", "deploy"], fact.deployed.deploy, ["--namespace", fact.deployed.namespace]))
}

fact "client_version" {
  description = "Version of the `pachctl` that is used (`pachctl version --client-only`); null where none is there."
  drift       = true
  exec {
    command     = ["/bin/sh", "-c", "[ ! -e \"$1\" ] || \"$1\" version --client-only", "sh", local.pachctl]
    environment = local.old_env
  }
  value = try(regex("(?m)^pachctl +([^ ]+)", result.stdout)[0], null)
}

fact "deployment" {
  description = "The Kubernetes deployment `pachd`: version of its image, and pods that are wanted and ready; null where it is not there."
  kubernetes {
    action      = "get"
    kind        = "deployment"
    name        = "pachd"
    kubectl     = self.kubectl
    kubeconfig  = try(fact.deployed.kubeconfig, null)
    namespace   = fact.deployed.namespace
    environment = self.command_environment
  }
  value = result.exists ? {
    version  = try(regex("^.*:([^:/]+)$", result.object.spec.template.spec.containers[0].image)[0], null)
    replicas = try(result.object.spec.replicas, 1)
    ready    = try(result.object.status.readyReplicas, 0)
  } : null
}

fact "storage" {
  description = "What the running deployment stores to, as the cluster has it: pachd's settings of storage, and etcd's claims."
  drift       = true
  when        = fact.deployment != null
  kubernetes {
    action      = "get"
    kind        = "deployment"
    name        = "pachd"
    kubectl     = self.kubectl
    kubeconfig  = try(fact.deployed.kubeconfig, null)
    namespace   = fact.deployed.namespace
    environment = self.command_environment
  }
  value = try({
    for one in result.object.spec.template.spec.containers[0].env : one.name => try(one.value, "") if length(regexall("STORAGE|BUCKET|BLOCK_CACHE", one.name)) > 0
  }, {})
}

fact "claims" {
  description = "Persistent volumes that etcd's claims are bound to."
  drift       = true
  when        = fact.deployment != null
  kubernetes {
    action      = "get"
    kind        = "persistentvolumeclaim"
    selector    = "app=etcd"
    kubectl     = self.kubectl
    kubeconfig  = try(fact.deployed.kubeconfig, null)
    namespace   = fact.deployed.namespace
    environment = self.command_environment
  }
  value = sort([for one in result.items : one.spec.volumeName])
}

fact "volumes" {
  description = "The cloud's names of those volumes' disks; asked where snapshots are taken and `volumes` does not say."
  when        = fact.deployment != null && local.snapshot && self.volumes == null
  kubernetes {
    action      = "get"
    kind        = "persistentvolume"
    kubectl     = self.kubectl
    kubeconfig  = try(fact.deployed.kubeconfig, null)
    environment = self.command_environment
  }
  value = sort([for one in result.items : try(one.spec.gcePersistentDisk.pdName, try(basename(one.spec.awsElasticBlockStore.volumeID), try(one.spec.csi.volumeHandle, one.metadata.name)))
  if contains(fact.claims, one.metadata.name)])
}

fact "pods" {
  description = "Pachyderm's pods: state, readiness and restarts."
  kubernetes {
    selector    = "suite=pachyderm"
    kubectl     = self.kubectl
    kubeconfig  = try(fact.deployed.kubeconfig, null)
    namespace   = fact.deployed.namespace
    environment = self.command_environment
  }
  value = [for one in result.pods : { name = one.name, status = one.status, ready = one.ready, restarts = one.restarts, reason = one.reason, message = one.message }]
}

fact "address" {
  description = "Where the service `pachd` is reached from outside the cluster."
  when        = local.discovers && fact.deployment != null
  kubernetes {
    action      = "get"
    kind        = "service"
    name        = "pachd"
    kubectl     = self.kubectl
    kubeconfig  = try(fact.deployed.kubeconfig, null)
    namespace   = fact.deployed.namespace
    environment = self.command_environment
  }
  value = "${fact.node}:${result.object.spec.ports[0].nodePort}"
}

fact "node" {
  description = "Address of the cluster's first node."
  when        = local.discovers && fact.deployment != null
  kubernetes {
    action      = "get"
    kind        = "node"
    kubectl     = self.kubectl
    kubeconfig  = try(fact.deployed.kubeconfig, null)
    environment = self.command_environment
  }
  value = try([for one in result.items[0].status.addresses : one.address if one.type == "ExternalIP"][0], [for one in result.items[0].status.addresses : one.address if one.type == "InternalIP"][0])
}

fact "forwarding" {
  description = "Whether the port forwarding that Windlass keeps runs."
  process {
    action   = "status"
    pid_file = local.pid_file
  }
  value = result.running
}

fact "server_version" {
  description = "What the server says (`pachctl version`); null where it cannot be reached."
  when        = fact.client_version != null && fact.deployment != null && (self.connect == "address" || fact.forwarding)
  timeout     = "45s"
  exec {
    command     = [local.pachctl, "version"]
    environment = local.ask_old
    success     = "any"
  }
  value = try(regex("(?m)^pachd +([0-9][^ ]*)", result.stdout)[0], null)
}

fact "version" {
  description = "Version of the deployment: what the server says; where it cannot be reached, that of its image. Null where none is deployed."
  value       = fact.deployment == null ? null : (fact.server_version != null ? fact.server_version : fact.deployment.version)
}

fact "running" {
  description = "Whether a pachd pod is ready."
  value       = fact.deployment != null && try(fact.deployment.ready, 0) > 0
}

fact "healthy" {
  description = "Whether every pod of Pachyderm is ready."
  value       = length(fact.pods) > 0 && alltrue([for pod in fact.pods : pod.ready || pod.status == "Completed"])
}

fact "connected" {
  description = "Whether `pachctl` reaches the server, and both are of the same version."
  value       = fact.server_version != null && fact.server_version == fact.client_version
}

fact "occupied" {
  description = "What stands already in the place that a migration leads to."
  when        = local.elsewhere
  kubernetes {
    action      = "get"
    kind        = "persistentvolumeclaim"
    selector    = "suite=pachyderm"
    kubectl     = self.kubectl
    kubeconfig  = self.kubeconfig
    namespace   = self.namespace
    environment = self.command_environment
  }
  value = [for one in result.items : "persistentvolumeclaim/${one.metadata.name}"]
}

fact "occupied_by_pachd" {
  description = "Whether a pachd stands already in the place that a migration leads to."
  when        = local.elsewhere
  kubernetes {
    action      = "get"
    kind        = "deployment"
    name        = "pachd"
    kubectl     = self.kubectl
    kubeconfig  = self.kubeconfig
    namespace   = self.namespace
    environment = self.command_environment
  }
  value = result.exists
}
