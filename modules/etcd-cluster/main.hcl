# An etcd cluster on one or more hosts: one member for each node.

variable "nodes" {
  type = map(object({
    client_url = string
    peer_url   = string
    host       = optional(string)
    arguments  = optional(list(string), [])
  }))
  description = "Members by name: where clients and where the other members reach them, and on which host they run."
  validation {
    condition     = length(var.nodes) % 2 == 1
    error_message = "An etcd cluster needs an odd number of members: an even one tolerates no more failures and needs a larger quorum."
  }
}

variable "release" {
  type        = string
  description = "Version of etcd, the same for every member."
}

variable "environment" {
  type        = string
  description = "Environment that the members belong to. Give it `rollout { max_unavailable = 1 }`, or quorum is lost in an upgrade."
}

variable "home" {
  type        = string
  description = "Folder that takes a folder for each member."
}

variable "token" {
  type        = string
  default     = "etcd"
  description = "Token of the cluster."
}

variable "run_as" {
  type        = string
  default     = null
  nullable    = true
  description = "User that etcd runs as."
}

variable "restore_snapshot" {
  type        = string
  default     = null
  nullable    = true
  description = "Snapshot to start from where a lower `release` cannot be reached otherwise; on every host."
}

variable "bin_dirs" {
  type        = map(string)
  default     = {}
  description = "Folders of programs that are on the hosts already, by version."
}

instance "etcd" "member" {
  for_each         = var.nodes
  environment      = var.environment
  host             = each.value.host
  version          = var.release
  name             = each.key
  home             = "${var.home}/${each.key}"
  client_url       = each.value.client_url
  peer_url         = each.value.peer_url
  initial_cluster  = { for name, node in var.nodes : name => node.peer_url }
  token            = var.token
  arguments        = each.value.arguments
  run_as           = var.run_as
  bin_dirs         = var.bin_dirs
  restore_snapshot = var.restore_snapshot
}

output "endpoints" {
  value       = [for name, node in var.nodes : node.client_url]
  description = "Where clients reach the members."
}

output "versions" {
  value       = { for name, member in instance.etcd.member : name => member.version }
  description = "Declared version by member."
}
