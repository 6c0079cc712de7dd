# Pachyderm on a (simulated) Google cluster. Three commits of this file are the story: 1.7.11, 1.8.6 in a place of its own, 1.9.7.

variable "lab" {
  type        = string
  description = "Folder of the simulated cluster."
}

variable "home" {
  type        = string
  description = "Folder of pachctl, the recorded deploy command and the extracts."
}

variable "ports" {
  type        = list(number)
  description = "Two free ports of this machine."
}

variable "sha256" {
  type        = map(string)
  description = "Digests of the kits, by version."
}

environment "production" {
  on_failure = "rollback"
}

release "pachyderm" "1.7.11" {
  artifact = "${var.lab}/kits/pachctl_1.7.11_linux_amd64.tar.gz"
  sha256   = var.sha256["1.7.11"]
}

release "pachyderm" "1.8.6" {
  artifact = "${var.lab}/kits/pachctl_1.8.6_linux_amd64.tar.gz"
  sha256   = var.sha256["1.8.6"]
}

release "pachyderm" "1.9.7" {
  artifact = "${var.lab}/kits/pachctl_1.9.7_linux_amd64.tar.gz"
  sha256   = var.sha256["1.9.7"]
}

instance "pachyderm" "main" {
  environment = environment.production
  version     = "1.7.11"
  home        = var.home

  # The place and the storage. Another version in the same place is an upgrade in place, in another place it is a migration.
  kubeconfig = "${var.lab}/kubeconfig"
  namespace  = "default"
  deploy     = ["google", "pachyderm-data", "10", "--dynamic-etcd-nodes=1"]

  # Commands that back the storage up, and the one that brings a disk back.
  bucket_backup          = ["gsutil", "-m", "rsync", "-r", "gs://pachyderm-data-new", "gs://pachyderm-backup"]
  bucket_backup_location = "gs://pachyderm-backup"
  volume_snapshot        = ["gcloud", "compute", "disks", "snapshot", "{volume}", "--snapshot-names", "{name}", "--zone", "europe-west1-b"]
  volume_verify          = ["gcloud", "compute", "snapshots", "describe", "{name}"]
  volume_restore = [
    "sh", "-euc", "gcloud compute disks delete $1 --quiet; gcloud compute disks create $1 --source-snapshot $2", "sh", "{volume}", "{name}",
  ]

  # Nothing loads data here but the check itself. Without this line a migration waits until a person says that nothing does.
  loading_stopped = true

  port                = var.ports[0]
  transfer_port       = var.ports[1]
  kubectl             = "${var.lab}/bin/kubectl"
  command_environment = { PATH = "${var.lab}/bin:/usr/local/bin:/usr/bin:/bin" }
  stuck_after         = "200ms"
}
