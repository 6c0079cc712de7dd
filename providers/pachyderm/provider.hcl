# Pachyderm 1.x on Kubernetes, deployed by `pachctl deploy`. README.md says what comes from the vendor's page and what is assumed.

provider "pachyderm" {
  version        = "1.0.0"
  title          = "Pachyderm"
  version_scheme = "dotted"
  description    = <<-END
    Deploys Pachyderm to a Kubernetes cluster with `pachctl`, and moves it from version to version: in place (undeploy, new `pachctl`,
    the same deploy command, on the same storage), or by migration to a new deployment (`pachctl extract`, `pachctl restore`), which is
    the only way from below 1.8 to 1.8 and above. The host of the instance is where `pachctl` and `kubectl` run.
  END
}

setting "home" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Folder on the host for `pachctl`, the recorded deploy command and the extracts. Absolute path."
  validation {
    condition = startswith(self.home, "/")
    message   = "must be an absolute path"
  }
}

setting "deploy" {
  type        = list(string)
  required    = true
  on_change   = "with_version"
  description = "Arguments of `pachctl deploy`, such as `[\"google\", \"my-bucket\", \"10\", \"--dynamic-etcd-nodes=1\"]`. Recorded at the first apply and used again to the letter. `{credentials}` in an argument stands for the setting `credentials`."
  validation {
    condition = length(self.deploy) > 0 && !startswith(self.deploy[0], "-")
    message   = "must begin with where to deploy to: `local`, `google`, `amazon`, `microsoft` or `custom`"
  }
  validation {
    condition = alltrue([for word in self.deploy : !startswith(word, "--namespace") && !startswith(word, "--dry-run")])
    message   = "must not have `--namespace` (set `namespace`) or `--dry-run`"
  }
}

setting "credentials" {
  type        = string
  sensitive   = true
  default     = ""
  on_change   = "ignore"
  description = "What `{credentials}` in `deploy` stands for, such as `KEY,SECRET`. Never recorded. `pachctl` takes it as an argument, so while it runs the host's users can see it."
}

setting "kubeconfig" {
  type        = string
  on_change   = "with_version"
  description = "Kubeconfig on the host whose current context is the cluster, for `kubectl` and `pachctl`. What they find by themselves, where not given. Absolute path."
}

setting "namespace" {
  type        = string
  default     = "default"
  on_change   = "with_version"
  description = "Namespace of the deployment. Together with `kubeconfig` it is the place: another place and another version make a migration."
}

setting "migrate_from" {
  type        = object({ namespace = optional(string, "default"), kubeconfig = optional(string), deploy = list(string) })
  on_change   = "ignore"
  description = "The deployment as it was made by hand, where there is no record of it on the host: needed to migrate away from it."
}

setting "connect" {
  type        = string
  default     = "port_forward"
  description = "How `pachctl` reaches the cluster: `port_forward` (kept running on the host) or `address`."
  validation {
    condition = contains(["port_forward", "address"], self.connect)
    message   = "must be `port_forward` or `address`"
  }
}

setting "port" {
  type        = number
  default     = 30650
  description = "Port of this host that is forwarded to pachd."
}

setting "transfer_port" {
  type        = number
  default     = self.port + 1
  on_change   = "ignore"
  description = "Another port of this host, forwarded to the new deployment during a migration."
}

setting "address" {
  type        = string
  description = "With `connect = \"address\"`: where pachd is, `HOST:PORT`. Where not given, the first node's address and the node port of the service `pachd`, asked again after each deploy."
}

setting "command_environment" {
  type        = map(string)
  default     = {}
  on_change   = "ignore"
  description = "Environment variables of `pachctl`, `kubectl` and the cloud's commands (`PATH`, `CLOUDSDK_CONFIG`, `AWS_PROFILE`). No secrets."
}

setting "kubectl" {
  type        = string
  default     = "kubectl"
  on_change   = "ignore"
  description = "The program `kubectl`. `pachctl` runs the one on the PATH."
}

setting "pachctl_dirs" {
  type        = map(string)
  default     = {}
  on_change   = "ignore"
  description = "Folders that hold a `pachctl` which is on the host already (by `brew` or `apt`), by version. They come before a release's artifact."
}

setting "extract" {
  type        = bool
  default     = true
  on_change   = "ignore"
  description = "Whether `pachctl extract` backs the state up before an upgrade in place."
}

setting "extract_options" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Options of that backup's `pachctl extract`: `--no-objects`, where `bucket_backup` copies the objects. A migration always extracts everything."
}

setting "backup_dir" {
  type        = string
  default     = "${self.home}/backups"
  on_change   = "ignore"
  description = "Folder of the extracts. They are never deleted by this provider."
}

setting "pause_pipelines" {
  type        = bool
  default     = true
  on_change   = "ignore"
  description = "Whether running pipelines are stopped while the state is extracted and the version moves, and started again afterwards."
}

setting "loading_stopped" {
  type        = bool
  default     = false
  on_change   = "ignore"
  description = "Whether something else makes sure that nobody loads data during a migration. Where not, it waits until a person says so."
}

setting "bucket_backup" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Command that copies the object store's bucket, such as `[\"gsutil\", \"-m\", \"rsync\", \"-r\", \"gs://data\", \"gs://data-backup\"]`. It is run while the cluster serves and once more while it is down, so it should copy only what is new."
}

setting "bucket_backup_location" {
  type        = string
  default     = ""
  on_change   = "ignore"
  description = "Where that command copies to, for the lockfile: `gs://data-backup`."
}

setting "volumes" {
  type        = list(string)
  on_change   = "ignore"
  description = "The cloud's names of etcd's disks. Where not given, those of the persistent volumes that etcd's claims are bound to."
}

setting "volume_snapshot" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Command that takes a snapshot of a disk: `{volume}` stands for the disk, `{name}` for the snapshot's new name."
}

setting "volume_snapshot_id" {
  type        = string
  default     = "name"
  on_change   = "ignore"
  description = "What names the snapshot afterwards: `name`, or `output`, the last line that the command prints (`aws ec2 create-snapshot … --query SnapshotId --output text`)."
  validation {
    condition = contains(["name", "output"], self.volume_snapshot_id)
    message   = "must be `name` or `output`"
  }
}

setting "volume_verify" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Command that succeeds where the snapshot `{name}` is there and whole."
}

setting "volume_restore" {
  type        = list(string)
  default     = []
  on_change   = "ignore"
  description = "Command that puts the snapshot `{name}` back onto the disk `{volume}` while nothing runs. Where it is given, a rollback after a metadata migration restores the disks; where not, there is no way back from one."
}

setting "ready_timeout" {
  type        = string
  default     = "15m"
  on_change   = "ignore"
  description = "How long the pods may take to be ready."
}

setting "stuck_after" {
  type        = string
  default     = "2m"
  on_change   = "ignore"
  description = "After how long an etcd pod that does not get ready counts as stuck, and is deleted so that it is made anew."
}

setting "stuck_deletions" {
  type        = number
  default     = 3
  on_change   = "ignore"
  description = "How often that is done before it is reported."
}

setting "stuck_reasons" {
  type        = list(string)
  default     = ["Pending", "CrashLoopBackOff", "Error", "Unknown", "Failed"]
  on_change   = "ignore"
  description = "States of an etcd pod in which it may be stuck, as `kubectl get pods` prints them."
}

locals {
  current     = "${self.home}/current"
  pachctl     = "${local.current}/pachctl"
  record      = "${self.home}/deployment.json"
  pid_file    = "${self.home}/port-forward.pid"
  log_file    = "${self.home}/port-forward.log"
  connect     = "${self.home}/connect.sh"
  old         = "${self.home}/versions/${from.text}/pachctl"
  new_version = "${self.home}/versions/${to.text}"
  new         = "${local.new_version}/pachctl"

  # Where the new pachctl comes from.
  dir      = try(self.pachctl_dirs[to.text], null)
  artifact = try(release.artifact, null)
  sha256   = try(release.sha256, null)
  remote   = local.artifact != null && length(regexall("^https?://", local.artifact)) > 0
  kit      = local.remote ? "${self.home}/pachctl-${to.text}.tar.gz" : local.artifact

  # The place of the deployment that is there, and of the one that is declared.
  here      = { kubeconfig = try(fact.deployed.kubeconfig, null), namespace = fact.deployed.namespace }
  elsewhere = fact.deployed.namespace != self.namespace || try(fact.deployed.kubeconfig, null) != self.kubeconfig

  # Every command finds the cluster by these; pachctl of 1.9 reads PACHD_ADDRESS, older ones ADDRESS.
  old_env      = merge(self.command_environment, try(fact.deployed.kubeconfig, null) == null ? {} : { KUBECONFIG = fact.deployed.kubeconfig })
  new_env      = merge(self.command_environment, self.kubeconfig == null ? {} : { KUBECONFIG = self.kubeconfig })
  forwarded    = "127.0.0.1:${self.port}"
  address_now  = self.connect == "port_forward" ? local.forwarded : coalesce(self.address, try(fact.address, null), local.forwarded)
  discovers    = self.connect == "address" && self.address == null
  ask_old      = merge(local.old_env, { ADDRESS = local.address_now, PACHD_ADDRESS = local.address_now })
  ask_new      = merge(local.new_env, { CONNECT = local.connect })
  transfer     = "127.0.0.1:${self.transfer_port}"
  ask_transfer = merge(local.new_env, { ADDRESS = local.transfer, PACHD_ADDRESS = local.transfer })

  # 1.9 says `list repo` where older ones say `list-repo`.
  old_words = from == null ? "-" : (from.major == 1 && from.minor < 9 ? "-" : " ")
  new_words = to.major == 1 && to.minor < 9 ? "-" : " "

  volumes  = sort(self.volumes != null ? self.volumes : try(fact.volumes, []))
  snapshot = length(self.volume_snapshot) > 0
  bucket   = length(self.bucket_backup) > 0
  # Backward-incompatible releases migrate metadata at their first start. The vendor announces them per minor version.
  migrates   = from == null ? false : (to.major != from.major || to.minor != from.minor)
  restorable = local.snapshot && length(self.volume_restore) > 0
}
