# Twelve instances of a service on three hosts: three in test, nine in production, which take a version in portions.

variable "home" {
  type        = string
  description = "Folder on every host that takes a folder for each instance."
}

variable "release" {
  type        = string
  default     = "1.0.0"
  description = "Version that all instances are to have."
}

variable "token" {
  type        = string
  sensitive   = true
  description = "What the service shows to its peers."
}

variable "on_failure" {
  type        = string
  default     = "rollback"
  description = "What a failure in production leads to: `rollback` or `halt`."
}

variable "soak" {
  type        = string
  default     = "1s"
  description = "How long a portion has to prove itself. Minutes or hours, where people use it."
}

locals {
  hosts = ["h1", "h2", "h3"]
}

environment "test" {
  rollout {
    canary         = 1
    healthy_within = "1s"
  }
}

environment "production" {
  promote_from = environment.test
  on_failure   = var.on_failure

  rollout {
    canary          = 1
    batch           = 4
    max_unavailable = 2
    soak            = var.soak
    healthy_within  = "1s"
  }
}

module "test" {
  source = "../../modules/spread"
  names  = ["t1", "t2", "t3"]
  hosts  = local.hosts
}

module "production" {
  source = "../../modules/spread"
  names  = [for i in range(9) : "p${i + 1}"]
  hosts  = local.hosts
}

instance "service" "test" {
  for_each    = module.test.placement
  environment = environment.test
  host        = each.value
  version     = var.release
  directory   = "${var.home}/${each.key}"
  token       = var.token
}

instance "service" "production" {
  for_each    = module.production.placement
  environment = environment.production
  host        = each.value
  version     = var.release
  directory   = "${var.home}/${each.key}"
  token       = var.token
}
