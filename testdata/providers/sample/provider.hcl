# A toy product of files: a release is a folder, `current` is a link to the one in use, and a configuration file says how it greets.
# Small, and real: it can be installed, upgraded, downgraded, reconfigured and removed without root.

provider "sample" {
  version        = "1.0.0"
  title          = "Sample"
  description    = "A product of files, for tests and for trying Windlass out."
  version_scheme = "semver"
}

setting "root" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Folder that the product lives in."
  validation {
    condition = startswith(self.root, "/")
    message   = "`${self.root}` is not an absolute path."
  }
}

setting "store" {
  type        = string
  default     = "${self.root}/store"
  on_change   = "ignore"
  description = "Folder that holds one folder per release, named by its version, with a file VERSION in it."
}

setting "greeting" {
  type        = string
  default     = "hello from ${instance.name}"
  description = "What the product says."
}

setting "token" {
  type        = string
  sensitive   = true
  description = "Secret that the product's configuration holds."
}

setting "port" {
  type        = number
  default     = 8080
  description = "Port that the product's configuration names."
  validation {
    condition = self.port > 0 && self.port < 65536
    message   = "${self.port} is no port."
  }
}

locals {
  current  = "${self.root}/current"
  releases = "${self.root}/releases"
  target   = "${local.releases}/${to.text}"
}

fact "version" {
  file {
    path     = "${local.current}/VERSION"
    required = false
  }
  value       = result.exists ? trimspace(result.content) : null
  description = "The version that `current` leads to."
}

fact "config" {
  file {
    action   = "stat"
    path     = "${self.root}/sample.conf"
    digest   = true
    required = false
  }
  value       = result.exists ? result.sha256 : null
  drift       = true
  description = "Digest of the configuration file."
}

fact "healthy" {
  value       = fact.version != null && fact.config != null
  description = "Whether program and configuration are there."
}

release "1.0.0" {
  notes = "https://example.org/sample/1.0.0"
}

release "1.1.0" {
  notes = "https://example.org/sample/1.1.0"
}

release "2.0.0" {
  notes  = "https://example.org/sample/2.0.0"
  schema = 2
}

release "2.1.0-rc1" {
  channels = ["preview"]
}

route "install" {
  movement = "install"
  strategy = "install"
}

route "upgrade" {
  from     = "*"
  strategy = "in_place"
  downtime = "1s"
}

route "downgrade" {
  movement = "downgrade"
  strategy = "in_place"
  risk     = 20
}

route "reconfigure" {
  movement = "reconfigure"
  strategy = "configure"
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

required_stop "~> 1.1" {
  reason = "1.1 writes the data that 2.0 reads."
}

blocked "preview_back" {
  from   = "2.1.0-rc1"
  to     = "< 2.0.0"
  reason = "The preview rewrites data that older versions cannot read."
}

risk "busy" {
  from    = "< 2.0.0"
  to      = ">= 2.0.0"
  rule    = fact.healthy == false
  message = "The product is not healthy: repair it before a major upgrade."
  url     = "https://example.org/sample/repair"
}

preflight "healthy" {
  movements = ["upgrade", "downgrade"]
  pass      = fact.healthy
  message   = "`${instance.address}` lacks its program or its configuration."
  remedy    = "Look at ${local.current} and repair the installation."
  severity  = "warn"
  waivable  = true
}

note "tokens" {
  versions  = ">= 2.0.0"
  text      = "Version ${to.text} reads tokens from its configuration: issue new ones."
  url       = "https://example.org/sample/tokens"
  follow_up = true
}
