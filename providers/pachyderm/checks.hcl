# What must hold, what is forbidden, and what a person must know.

# The vendor: "upgrading to 1.8 from previous versions of pachyderm not possible".
blocked "in_place_to_1_8" {
  from   = "< 1.8"
  to     = ">= 1.8"
  when   = !local.elsewhere
  reason = "1.8 cannot read what older versions have stored: declare a new deployment (another `namespace` or `kubeconfig`, and `deploy` with a bucket of its own), and the data is moved over by `pachctl extract` and `pachctl restore`"
  url    = "https://pachyderm.readthedocs.io/en/latest/deployment/migrations.html"
}

blocked "no_extract" {
  from   = "< 1.6.10"
  when   = local.elsewhere
  reason = "`pachctl extract` is there since 1.6.10 (and 1.7): upgrade in place to 1.6.10 or 1.7 first"
  url    = "https://pachyderm.readthedocs.io/en/latest/deployment/migrations.html#backups"
}

preflight "pachctl_available" {
  movements = ["install", "upgrade"]
  pass      = local.dir != null || local.artifact != null
  message   = "nothing says where `pachctl` ${to.text} comes from"
  remedy    = "declare `release \"pachyderm\" \"${to.text}\" { artifact = \"…/pachctl_${to.text}_linux_amd64.tar.gz\"  sha256 = \"…\" }`, or name a folder in `pachctl_dirs`"
}

preflight "checksum" {
  movements = ["install", "upgrade"]
  when      = local.dir == null && local.artifact != null
  pass      = local.sha256 != null
  message   = "the artifact of ${to.text} is not checked: its release has no `sha256`"
  remedy    = "add `sha256` to the release"
  severity  = "warn"
}

preflight "same_deploy_command" {
  movements = ["upgrade"]
  when      = !local.elsewhere
  pass      = fact.deployed.deploy == self.deploy
  message   = "the deploy command changed: it was `${fact.deploy_command}`, and declared is `${join(" ", concat(["pachctl", "deploy"], self.deploy))}`"
  remedy    = "put `deploy` back as it was recorded in ${local.record}: an upgrade must use the same arguments, fields and storage"
}

# Also where the deployment was made by hand and its command is only what the configuration says.
preflight "same_storage" {
  movements = ["upgrade"]
  when      = !local.elsewhere && contains(["local", "google", "amazon", "microsoft"], try(fact.deployed.deploy[0], "")) && try(fact.storage.STORAGE_BACKEND, "") != ""
  pass      = try(fact.storage.STORAGE_BACKEND, "") == upper(try(fact.deployed.deploy[0], ""))
  message   = "the running deployment stores to ${try(fact.storage.STORAGE_BACKEND, "?")}, and the deploy command is `${fact.deploy_command}`"
  remedy    = "put into `deploy` the command that this deployment was made with: an upgrade must use the same storage"
}

preflight "healthy" {
  movements = ["upgrade"]
  pass      = fact.healthy
  message   = "not every pod is ready: ${join("; ", [for pod in fact.pods : "${pod.name} is ${pod.status}" if !pod.ready])}"
  remedy    = "see `kubectl get pods` and `kubectl describe pod`; an upgrade begins with a cluster that works"
  waivable  = true
}

preflight "backup" {
  movements = ["upgrade"]
  when      = !local.elsewhere
  pass      = self.extract || (local.snapshot && local.bucket)
  message   = "nothing backs up the state before the upgrade: neither `extract`, nor `volume_snapshot` together with `bucket_backup`"
  remedy    = "set `extract = true`, or say by which commands the volumes and the bucket are copied"
  waivable  = true
}

preflight "volumes_known" {
  movements = ["upgrade"]
  when      = !local.elsewhere && local.snapshot
  pass      = length(local.volumes) > 0
  message   = "no volume of etcd was found to take a snapshot of"
  remedy    = "name the disks in `volumes`"
}

preflight "place_is_free" {
  movements = ["upgrade"]
  when      = local.elsewhere
  pass      = !fact.occupied_by_pachd && length(fact.occupied) == 0
  message   = "the namespace ${self.namespace} has a Pachyderm already, or volumes of one: ${join(", ", concat(fact.occupied_by_pachd ? ["deployment/pachd"] : [], fact.occupied))}"
  remedy    = "choose a namespace of its own for the new deployment, or remove what is there (`pachctl undeploy --all`) where nobody needs it"
}

preflight "own_storage" {
  movements = ["upgrade"]
  when      = local.elsewhere && length(self.deploy) > 1 && self.deploy[0] != "local"
  pass      = length(fact.deployed.deploy) < 2 || fact.deployed.deploy[1] != self.deploy[1]
  message   = "the new deployment would use the bucket of the old one, `${self.deploy[1]}`"
  remedy    = "give the new deployment a bucket of its own: the old one must stay as it is until the new one is proved"
}

preflight "migration_by_forwarding" {
  movements = ["upgrade"]
  when      = local.elsewhere
  pass      = self.transfer_port != self.port
  message   = "`transfer_port` is `port`: during a migration both deployments are reached at the same time"
  remedy    = "choose another `transfer_port`"
}

note "metadata_migration" {
  when = local.migrates && !local.elsewhere
  text = "${to.text} may change how metadata of repos, commits and files is stored. Where it does, that is migrated by itself when the new pachd first starts, and ${from.text} cannot read it afterwards. ${local.restorable ? "A rollback restores etcd's volumes from their snapshots" : "Without `volume_snapshot` and `volume_restore` there is no rollback from there on, only a restore of the backup into a new deployment"}. Read the changelog of every version in between."
  url  = "https://pachyderm.readthedocs.io/en/latest/deployment/migrations.html"
}

note "extract_while_loading" {
  when = self.extract && !local.elsewhere
  text = "The extract is consistent only if nobody loads data while it is made: stop what loads data from outside until the upgrade is over.${self.pause_pipelines ? " Pipelines are paused by Windlass." : " Pipelines are not paused (`pause_pipelines = false`)."}"
}

note "static_volumes" {
  movements = ["install"]
  when      = length([for word in self.deploy : word if startswith(word, "--static-etcd-volume")]) > 0
  text      = "The vendor recommends dynamic etcd volumes (`--dynamic-etcd-nodes`) where they are possible: Kubernetes finds them again by itself at each deploy."
}

note "new_place" {
  when      = local.elsewhere
  text      = "Point everything that loads data or reads results at the new deployment (namespace ${self.namespace}): the old one takes no part from now on."
  follow_up = true
}

note "old_deployment" {
  when      = local.elsewhere
  text      = "The old deployment (${from.text} in namespace ${fact.deployed.namespace}) still runs, with its pipelines stopped: it is the way back. Once nobody needs it: `pachctl undeploy --namespace ${fact.deployed.namespace}` with ${local.old}, then remove its volumes and its bucket. What is written to the new one is not in the old one."
  follow_up = true
}
