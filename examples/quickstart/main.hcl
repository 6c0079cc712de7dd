# One MLflow tracking server, on this machine.

variable "home" {
  type        = string
  description = "Folder for the server, its data and its backups."
}

variable "port" {
  type        = number
  default     = 5000
  description = "Port of the server."
}

environment "workshop" {}

instance "mlflow" "tracking" {
  environment = environment.workshop
  version     = "2.14.3"
  home        = var.home
  port        = var.port
}

output "url" {
  value = "http://127.0.0.1:${var.port}"
}
