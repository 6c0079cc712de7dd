# One Dataphin, upgraded through its Manager.

variable "manager_url" {
  type        = string
  description = "Where Dataphin Manager is."
}

variable "data_service_url" {
  type        = string
  description = "A synchronous call of a DataService Studio API."
}

variable "password" {
  type        = string
  sensitive   = true
  description = "Password of the Manager's user."
}

variable "folder" {
  type        = string
  description = "Folder for announcements and logs."
}

variable "files" {
  type        = string
  description = "Folder with the configurations of the versions."
}

locals {
  version = "V5.2.0"
}

environment "production" {}

instance "dataphin" "main" {
  environment      = environment.production
  version          = local.version
  manager_url      = var.manager_url
  username         = "admin"
  password         = var.password
  folder           = var.folder
  data_service_url = var.data_service_url
  watch            = "1s" # the vendor says 30 minutes, which is also the default

  configurations = {
    for version in ["V5.2.0", "V5.3.0"] : version => {
      version_configuration = "${var.files}/${version}.yaml"
      configuration_file    = "${var.files}/${version}-values.yaml"
    }
  }

  announcement = {
    estimated_completion = "2026-12-01 06:30"
    email                = "ops@example.org"
    phone                = "+33 1 23 45 67"
  }
}

# The risk declaration of the upgrade: who understood its scope of impact.
acknowledgement "dataphin.risk_declaration" {
  instance = instance.dataphin.main
  version  = local.version
  by       = "lin"
  reason   = "The scope of impact was read and agreed on."
}
