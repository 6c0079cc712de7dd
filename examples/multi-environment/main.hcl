# The same service in two environments. A version reaches production only after it was applied in test and stood there for a while.

variable "home" {
  type        = string
  description = "Folder for both."
}

variable "ports" {
  type        = map(number)
  description = "Client and peer port of each environment: `test_client`, `test_peer`, `production_client`, `production_peer`."
}

variable "bin_dirs" {
  type        = map(string)
  default     = {}
  description = "Folders of programs that are on this machine already, by version."
}

locals {
  etcd = "3.4.23"
}

environment "test" {}

environment "production" {
  promote_from = environment.test
  soak         = "1h"
  on_failure   = "rollback"
}

instance "etcd" "test" {
  environment     = environment.test
  version         = local.etcd
  name            = "test"
  home            = "${var.home}/test"
  client_url      = "http://127.0.0.1:${var.ports.test_client}"
  peer_url        = "http://127.0.0.1:${var.ports.test_peer}"
  initial_cluster = { test = "http://127.0.0.1:${var.ports.test_peer}" }
  bin_dirs        = var.bin_dirs
}

instance "etcd" "production" {
  environment     = environment.production
  version         = local.etcd
  name            = "production"
  home            = "${var.home}/production"
  client_url      = "http://127.0.0.1:${var.ports.production_client}"
  peer_url        = "http://127.0.0.1:${var.ports.production_peer}"
  initial_cluster = { production = "http://127.0.0.1:${var.ports.production_peer}" }
  bin_dirs        = var.bin_dirs
}
