# PostgreSQL 16.2 under MLflow 2.14.3, by the module that puts a database under its application.

variable "home" {
  type        = string
  description = "Folder for everything."
}

variable "database_port" {
  type        = number
  description = "Port of PostgreSQL."
}

variable "application_port" {
  type        = number
  description = "Port of MLflow."
}

variable "database_user" {
  type        = string
  default     = null
  nullable    = true
  description = "User that PostgreSQL runs as; needed for root."
}

variable "password" {
  type        = string
  sensitive   = true
  description = "Password of the database's superuser."
}

environment "laboratory" {
  on_failure = "rollback"
}

module "tracking" {
  source              = "../../modules/database-with-application"
  environment         = environment.laboratory
  home                = var.home
  database_version    = "16.2"
  application_version = "2.14.3"
  database_port       = var.database_port
  application_port    = var.application_port
  database_user       = var.database_user
  password            = var.password
}

output "url" {
  value = module.tracking.url
}
