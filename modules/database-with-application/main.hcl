# A database with the application that needs it: PostgreSQL under MLflow. On the way up the database goes first, on the way down last.

variable "environment" {
  type        = string
  description = "Environment that both belong to."
}

variable "home" {
  type        = string
  description = "Folder that takes a folder for each of the two."
}

variable "database_version" {
  type        = string
  description = "Version of PostgreSQL."
}

variable "application_version" {
  type        = string
  description = "Version of MLflow."
}

variable "database_port" {
  type        = number
  default     = 5432
  description = "Port of PostgreSQL."
}

variable "application_port" {
  type        = number
  default     = 5000
  description = "Port of MLflow."
}

variable "password" {
  type        = string
  sensitive   = true
  description = "Password of the database's superuser, with which the application connects."
}

variable "database_user" {
  type        = string
  default     = null
  nullable    = true
  description = "User that PostgreSQL runs as; needed where Windlass runs as root."
}

variable "link" {
  type        = bool
  default     = false
  description = "Whether a major upgrade of the database links instead of copying: faster, no way back."
}

instance "postgresql" "database" {
  environment = var.environment
  version     = var.database_version
  home        = "${var.home}/postgresql"
  port        = var.database_port
  run_as      = var.database_user
  password    = var.password
  databases   = ["mlflow"]
  link        = var.link
}

instance "mlflow" "application" {
  environment            = var.environment
  version                = var.application_version
  home                   = "${var.home}/mlflow"
  port                   = var.application_port
  backend_store_uri      = "postgresql://postgres@127.0.0.1:${var.database_port}/mlflow"
  backend_store_password = var.password
  pg_bin_dir             = "${instance.postgresql.database.settings.home}/current/bin"
  depends_on             = [instance.postgresql.database]

  requires {
    instance = instance.postgresql.database
    version  = ">= 16"
    reason   = "the application is tested with PostgreSQL 16 and later"
  }
}

output "url" {
  value       = "http://127.0.0.1:${var.application_port}"
  description = "Where the application answers."
}
