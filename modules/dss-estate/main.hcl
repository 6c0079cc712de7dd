# The DSS nodes that belong together: who receives is upgraded before who gives, so that no node ever gets a bundle, a package or a
# report from a newer one than itself.

variable "nodes" {
  type = map(object({
    type            = string
    data_dir        = string
    port            = number
    host            = optional(string)
    url             = optional(string)
    graphite_prefix = optional(string)
    retrain_models  = optional(list(string), [])
    api_services    = optional(map(object({ deployment = optional(string), deployer = optional(string) })), {})
    options         = optional(map(list(string)), {})
  }))
  description = "Nodes by name. `type` is `govern`, `deployer`, `automation`, `api` or `design`; the rest are settings of the provider `dss`."
  validation {
    condition     = alltrue([for name, node in var.nodes : contains(["govern", "deployer", "automation", "api", "design"], node.type)])
    error_message = "The type of a node is govern, deployer, automation, api or design."
  }
}

variable "release" {
  type        = string
  description = "Version of DSS, the same for every node."
}

variable "environment" {
  type        = string
  description = "Environment that the nodes belong to."
}

variable "install_root" {
  type        = string
  description = "Folder on each host in which the versions are unpacked."
}

variable "kits_dir" {
  type        = string
  description = "Folder on each host with the kits."
}

variable "backups" {
  type        = object({ repository = string, method = optional(string, "tar"), exclude = optional(list(string), ["temporary", "logs"]), password_file = optional(string) })
  description = "Where and how the data directories are backed up before an upgrade."
}

variable "run_as" {
  type        = string
  default     = null
  nullable    = true
  description = "System user that DSS belongs to."
}

variable "api_keys" {
  type        = map(string)
  default     = {}
  sensitive   = true
  description = "Global API key with admin rights, by the name of the node."
}

variable "postgres" {
  type        = object({ host = optional(string, "127.0.0.1"), port = optional(number, 5432), database = string, user = string, bin_dir = optional(string) })
  default     = null
  nullable    = true
  description = "PostgreSQL of the govern node."
}

variable "postgres_password" {
  type        = string
  default     = null
  nullable    = true
  sensitive   = true
  description = "Password for it."
}

variable "start_timeout" {
  type        = string
  default     = "10m"
  description = "For how long the start of a node may take."
}

instance "dss" "govern" {
  for_each          = { for name, node in var.nodes : name => node if node.type == "govern" }
  environment       = var.environment
  host              = each.value.host
  version           = var.release
  node_type         = "govern"
  data_dir          = each.value.data_dir
  port              = each.value.port
  url               = each.value.url
  graphite_prefix   = each.value.graphite_prefix
  install_root      = var.install_root
  kits_dir          = var.kits_dir
  run_as            = var.run_as
  api_key           = lookup(var.api_keys, each.key, null)
  postgres          = var.postgres
  postgres_password = var.postgres_password
  options           = each.value.options
  start_timeout     = var.start_timeout

  backup {
    repository    = var.backups.repository
    method        = var.backups.method
    exclude       = var.backups.exclude
    password_file = var.backups.password_file
  }
}

instance "dss" "deployer" {
  for_each        = { for name, node in var.nodes : name => node if node.type == "deployer" }
  environment     = var.environment
  host            = each.value.host
  version         = var.release
  node_type       = "deployer"
  data_dir        = each.value.data_dir
  port            = each.value.port
  url             = each.value.url
  graphite_prefix = each.value.graphite_prefix
  install_root    = var.install_root
  kits_dir        = var.kits_dir
  run_as          = var.run_as
  api_key         = lookup(var.api_keys, each.key, null)
  options         = each.value.options
  start_timeout   = var.start_timeout
  depends_on      = [instance.dss.govern]

  backup {
    repository    = var.backups.repository
    method        = var.backups.method
    exclude       = var.backups.exclude
    password_file = var.backups.password_file
  }
}

instance "dss" "automation" {
  for_each        = { for name, node in var.nodes : name => node if node.type == "automation" }
  environment     = var.environment
  host            = each.value.host
  version         = var.release
  node_type       = "automation"
  data_dir        = each.value.data_dir
  port            = each.value.port
  url             = each.value.url
  graphite_prefix = each.value.graphite_prefix
  retrain_models  = each.value.retrain_models
  install_root    = var.install_root
  kits_dir        = var.kits_dir
  run_as          = var.run_as
  api_key         = lookup(var.api_keys, each.key, null)
  options         = each.value.options
  start_timeout   = var.start_timeout
  depends_on      = [instance.dss.govern, instance.dss.deployer]

  backup {
    repository    = var.backups.repository
    method        = var.backups.method
    exclude       = var.backups.exclude
    password_file = var.backups.password_file
  }
}

instance "dss" "api" {
  for_each        = { for name, node in var.nodes : name => node if node.type == "api" }
  environment     = var.environment
  host            = each.value.host
  version         = var.release
  node_type       = "api"
  data_dir        = each.value.data_dir
  port            = each.value.port
  url             = each.value.url
  graphite_prefix = each.value.graphite_prefix
  install_root    = var.install_root
  kits_dir        = var.kits_dir
  run_as          = var.run_as
  api_key         = lookup(var.api_keys, each.key, null)
  options         = each.value.options
  start_timeout   = var.start_timeout
  depends_on      = [instance.dss.govern, instance.dss.deployer]

  backup {
    repository    = var.backups.repository
    method        = var.backups.method
    exclude       = var.backups.exclude
    password_file = var.backups.password_file
  }
}

instance "dss" "design" {
  for_each         = { for name, node in var.nodes : name => node if node.type == "design" }
  environment      = var.environment
  host             = each.value.host
  version          = var.release
  node_type        = "design"
  data_dir         = each.value.data_dir
  port             = each.value.port
  url              = each.value.url
  graphite_prefix  = each.value.graphite_prefix
  retrain_models   = each.value.retrain_models
  api_services     = each.value.api_services
  deployer_api_key = one([for name, node in var.nodes : lookup(var.api_keys, name, null) if node.type == "deployer"])
  install_root     = var.install_root
  kits_dir         = var.kits_dir
  run_as           = var.run_as
  api_key          = lookup(var.api_keys, each.key, null)
  options          = each.value.options
  start_timeout    = var.start_timeout
  depends_on       = [instance.dss.govern, instance.dss.deployer, instance.dss.automation, instance.dss.api]

  backup {
    repository    = var.backups.repository
    method        = var.backups.method
    exclude       = var.backups.exclude
    password_file = var.backups.password_file
  }
}

output "urls" {
  value       = { for name, node in var.nodes : name => node.url == null ? "http://127.0.0.1:${node.port}" : node.url }
  description = "Where the nodes are reached."
}
