# Three members of etcd on this machine, upgraded one after another.

variable "home" {
  type        = string
  description = "Folder for the members."
}

variable "nodes" {
  type = map(object({
    client_url = string
    peer_url   = string
    arguments  = optional(list(string), [])
  }))
  description = "Members by name."
}

variable "restore_snapshot" {
  type        = string
  default     = null
  nullable    = true
  description = "Snapshot that the cluster goes back to; see the README."
}

variable "bin_dirs" {
  type        = map(string)
  default     = {}
  description = "Folders of programs that are on this machine already, by version."
}

environment "laboratory" {
  on_failure = "rollback"
  rollout {
    max_unavailable = 1
  }
}

module "store" {
  source           = "../../modules/etcd-cluster"
  environment      = environment.laboratory
  home             = var.home
  release          = "3.4.23"
  nodes            = var.nodes
  bin_dirs         = var.bin_dirs
  restore_snapshot = var.restore_snapshot
}

output "endpoints" {
  value = module.store.endpoints
}
