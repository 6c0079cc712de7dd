# Five DSS nodes and the PostgreSQL of Govern, once for test and once for production.

variable "home" {
  type        = string
  description = "Folder for everything."
}

variable "dss_version" {
  type        = string
  description = "Version of all DSS nodes of test."
}

variable "production_version" {
  type        = string
  description = "Version of all DSS nodes of production."
}

variable "digests" {
  type        = map(string)
  description = "SHA-256 of the kits, by version."
}

variable "ports" {
  type        = map(number)
  description = "Base port by `ENVIRONMENT_NODE`, and the port of each environment's PostgreSQL by `ENVIRONMENT_database`."
}

variable "run_as" {
  type        = string
  default     = null
  nullable    = true
  description = "User that DSS and PostgreSQL belong to; needed for root."
}

variable "api_key" {
  type        = string
  sensitive   = true
  description = "API key of the nodes."
}

variable "database_password" {
  type        = string
  sensitive   = true
  description = "Password of Govern's database user."
}

environment "test" {
  on_failure = "rollback"
}

environment "production" {
  promote_from = environment.test
  soak         = "1s"
  on_failure   = "rollback"
}

release "dss" "12.6.4" {
  sha256 = var.digests["12.6.4"]
}

release "dss" "13.4.1" {
  sha256    = var.digests["13.4.1"]
  attention = ["Python 3.6 is not supported for code environments any more"]
}

# A major upgrade waits until somebody says that the release notes were read. Another version needs another block.
acknowledgement "dss.release_notes" {
  version = "13.4.1"
  by      = "the platform team"
  reason  = "Read from 13.0 on. Python 3.6 is not used any more; model0 is retrained."
}

locals {
  kinds = ["govern", "deployer", "automation", "api", "design"]
  nodes = { for environment in ["test", "production"] : environment => {
    for kind in local.kinds : kind => {
      type           = kind
      data_dir       = "${var.home}/${environment}/${kind}"
      port           = var.ports["${environment}_${kind}"]
      retrain_models = kind == "design" ? ["SALES.model0"] : []
      api_services   = kind == "design" ? { "SALES.score0" = { deployer = "http://127.0.0.1:${var.ports["${environment}_deployer"]}" } } : {}
    }
  } }
}

instance "postgresql" "test" {
  environment = environment.test
  version     = "16.2"
  home        = "${var.home}/test/postgresql"
  port        = var.ports["test_database"]
  run_as      = var.run_as
  superuser   = "govern"
  password    = var.database_password
  databases   = ["govern"]
}

instance "postgresql" "production" {
  environment = environment.production
  version     = "16.2"
  home        = "${var.home}/production/postgresql"
  port        = var.ports["production_database"]
  run_as      = var.run_as
  superuser   = "govern"
  password    = var.database_password
  databases   = ["govern"]
}

module "test" {
  source            = "../../modules/dss-estate"
  environment       = environment.test
  release           = var.dss_version
  nodes             = local.nodes["test"]
  install_root      = "${var.home}/opt"
  kits_dir          = "${var.home}/kits"
  run_as            = var.run_as
  api_keys          = { for kind in local.kinds : kind => var.api_key }
  backups           = { repository = "${var.home}/backups/test" }
  postgres          = { port = instance.postgresql.test.settings.port, database = "govern", user = "govern", bin_dir = "${var.home}/test/postgresql/current/bin" }
  postgres_password = var.database_password
  start_timeout     = "30s"
}

module "production" {
  source            = "../../modules/dss-estate"
  environment       = environment.production
  release           = var.production_version
  nodes             = local.nodes["production"]
  install_root      = "${var.home}/opt"
  kits_dir          = "${var.home}/kits"
  run_as            = var.run_as
  api_keys          = { for kind in local.kinds : kind => var.api_key }
  backups           = { repository = "${var.home}/backups/production" }
  postgres          = { port = instance.postgresql.production.settings.port, database = "govern", user = "govern", bin_dir = "${var.home}/production/postgresql/current/bin" }
  postgres_password = var.database_password
  start_timeout     = "30s"
}

output "production" {
  value = module.production.urls
}
