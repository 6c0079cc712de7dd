# @TITLE@: unpacked from an archive, run as one service. See README.md for what to adapt.

provider "@NAME@" {
  version        = "0.1.0"
  title          = "@TITLE@"
  version_scheme = "dotted"
  description    = <<-END
    Installs, upgrades, reconfigures and removes @TITLE@. Each version is unpacked into a folder of its own, the link `current`
    leads to the one in use; the data folder is copied before another version starts.
  END
}

# Settings: what an instance may say. `on_change` tells what a later change asks for.

setting "home" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Folder of the software: one folder for each version, and the link `current`. Absolute path."
  validation {
    condition = startswith(self.home, "/")
    message   = "must be an absolute path"
  }
}

setting "data_dir" {
  type        = string
  default     = "${self.home}/data"
  on_change   = "refuse"
  description = "Folder of the product's data, and the directory in which it runs."
}

setting "backup_dir" {
  type        = string
  default     = "${self.home}/backups"
  on_change   = "ignore"
  description = "Folder that takes a copy of the data before each upgrade. This provider never deletes one."
}

setting "command" {
  type        = list(string)
  default     = ["${self.home}/current/bin/@NAME@"]
  description = "Program and arguments that run the service in the foreground."
}

setting "variables" {
  type        = map(string)
  default     = {}
  description = "Environment variables of the service."
}

setting "address" {
  type        = string
  default     = "127.0.0.1:8080"
  description = "Address (host:port) that accepts connections once the service is up."
}

locals {
  current  = "${self.home}/current"
  new      = "${self.home}/versions/${to.text}"
  pid_file = "${self.home}/@NAME@.pid"
  log_file = "${self.home}/@NAME@.log"
  backup   = "${self.backup_dir}/${instance.file_name}-${from.text}-to-${to.text}"
}

# Facts: what is observed. `version` must be null where nothing is installed.

fact "version" {
  exec {
    command = ["readlink", local.current]
    success = [0, 1]
  }
  value       = result.exit_code == 0 ? basename(trimspace(result.stdout)) : null
  description = "The version that the link `current` leads to."
}

fact "running" {
  process {
    action   = "status"
    pid_file = local.pid_file
  }
  value       = result.running
  drift       = true
  description = "Whether the service runs."
}

fact "healthy" {
  value       = fact.running
  description = "Whether the service is well. Better: what the product's own health page says."
}

fact "free" {
  disk_space {
    path = self.home
  }
  value       = result.free
  description = "Bytes that are free where the software is."
}

# Before anything is touched.

preflight "artifact" {
  movements = ["install", "upgrade"]
  pass      = can(release.artifact) && can(release.sha256) && release.artifact != null && release.sha256 != null
  message   = "no archive with a checksum is known for @NAME@ ${to.text}"
  remedy    = "add `release \"@NAME@\" \"${to.text}\" { artifact = \"…\"  sha256 = \"…\" }` to the configuration"
}

preflight "room" {
  movements = ["install", "upgrade"]
  pass      = fact.free > 1073741824
  message   = "less than 1 GiB is free below ${self.home}"
  remedy    = "remove old folders below ${self.home}/versions and old copies in ${self.backup_dir}"
  waivable  = true
}

# Routes: which ways there are. Narrow them by `from` and `to` to what the vendor supports; add `required_stop` for versions that may
# not be jumped over, and `blocked` for moves that are forbidden.

route "install" {
  movement = "install"
  strategy = "install"
}

route "in_place" {
  movement = "upgrade"
  strategy = "in_place"
  downtime = "2m"
  risk     = 10
}

route "reconfigure" {
  movement = "reconfigure"
  strategy = "reconfigure"
  downtime = "30s"
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

# Strategies: how it is done. Each step says how it is undone; a step waits for the one before it unless `after` says otherwise.

strategy "install" {
  description = "Checks and unpacks the archive, makes the data folder, starts the service."

  step "check_archive" {
    title = "Check the archive against its checksum"
    exec {
      command = ["sha256sum", "--check", "--strict", "-"]
      stdin   = "${release.sha256}  ${release.artifact}\n"
    }
    harmless   = true
    repeatable = true
    timeout    = "10m"
    estimate   = "5s"
  }

  step "make_folder" {
    title = "Make the folder of the new version"
    file {
      action = "directory"
      path   = local.new
    }
    undo {
      file {
        action    = "remove"
        path      = local.new
        recursive = true
        keep      = false
      }
    }
    repeatable = true
  }

  step "unpack" {
    title = "Unpack the new version"
    exec {
      command = ["tar", "--extract", "--file", release.artifact, "--directory", local.new, "--strip-components", "1"]
    }
    # What it leaves is removed with the folder.
    harmless   = true
    repeatable = true
    timeout    = "30m"
    estimate   = "20s"
  }

  step "make_data" {
    title = "Make the data folder"
    file {
      action = "directory"
      path   = self.data_dir
      mode   = "0750"
    }
    # Data is never removed, not even where the installation fails.
    harmless   = true
    repeatable = true
  }

  step "switch" {
    title = "Make the new version the current one"
    file {
      action = "symlink"
      path   = local.current
      target = "versions/${to.text}"
    }
    undo {
      file {
        action = "restore"
        saved  = step.switch.result.saved
      }
    }
    repeatable = true
  }

  step "start" {
    title = "Start the service"
    process {
      action      = "start"
      pid_file    = local.pid_file
      command     = self.command
      environment = self.variables
      log_file    = local.log_file
      directory   = self.data_dir
      ready       = { tcp = self.address, timeout = "2m" }
    }
    undo {
      process {
        action   = "stop"
        pid_file = local.pid_file
      }
      timeout = "2m"
    }
    repeatable = true
    timeout    = "5m"
    estimate   = "10s"
  }
}

strategy "in_place" {
  description = "Unpacks the new version beside the old one; stops the service, copies its data, switches, starts. Down from stop to start."

  step "check_archive" {
    title = "Check the archive against its checksum"
    exec {
      command = ["sha256sum", "--check", "--strict", "-"]
      stdin   = "${release.sha256}  ${release.artifact}\n"
    }
    harmless   = true
    repeatable = true
    timeout    = "10m"
    estimate   = "5s"
  }

  step "make_folder" {
    title = "Make the folder of the new version"
    file {
      action = "directory"
      path   = local.new
    }
    undo {
      file {
        action    = "remove"
        path      = local.new
        recursive = true
        keep      = false
      }
    }
    repeatable = true
  }

  step "unpack" {
    title = "Unpack the new version"
    exec {
      command = ["tar", "--extract", "--file", release.artifact, "--directory", local.new, "--strip-components", "1"]
    }
    # What it leaves is removed with the folder.
    harmless   = true
    repeatable = true
    timeout    = "30m"
    estimate   = "20s"
  }

  step "stop" {
    title = "Stop the service"
    process {
      action   = "stop"
      pid_file = local.pid_file
    }
    undo {
      process {
        action      = "start"
        pid_file    = local.pid_file
        command     = self.command
        environment = self.variables
        log_file    = local.log_file
        directory   = self.data_dir
        ready       = { tcp = self.address, timeout = "2m" }
      }
      timeout = "5m"
    }
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "5s"
  }

  step "make_backup_folder" {
    title = "Make the folder of backups"
    file {
      action = "directory"
      path   = self.backup_dir
      mode   = "0700"
    }
    after      = []
    harmless   = true
    repeatable = true
  }

  step "back_up" {
    title = "Copy the data"
    after = [step.stop, step.make_backup_folder]
    file {
      action = "copy"
      source = self.data_dir
      path   = local.backup
      keep   = true
    }
    # The new version may have changed the data at its first start: the copy leads back.
    undo {
      file {
        action = "copy"
        source = local.backup
        path   = self.data_dir
        keep   = true
      }
      restores_data = true
      downtime      = true
      timeout       = "2h"
    }
    repeatable = true
    downtime   = true
    timeout    = "2h"
    estimate   = "30s"
  }

  step "switch" {
    title = "Make the new version the current one"
    file {
      action = "symlink"
      path   = local.current
      target = "versions/${to.text}"
    }
    undo {
      file {
        action = "restore"
        saved  = step.switch.result.saved
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
    estimate   = "1s"
  }

  step "start" {
    title = "Start the new version"
    process {
      action      = "start"
      pid_file    = local.pid_file
      command     = self.command
      environment = self.variables
      log_file    = local.log_file
      directory   = self.data_dir
      ready       = { tcp = self.address, timeout = "10m" }
    }
    undo {
      process {
        action   = "stop"
        pid_file = local.pid_file
      }
      downtime = true
      timeout  = "2m"
    }
    repeatable = true
    downtime   = true
    timeout    = "15m"
    estimate   = "30s"
  }
}

strategy "reconfigure" {
  description = "Restarts the service with the new settings."

  step "stop" {
    title = "Stop the service"
    process {
      action   = "stop"
      pid_file = local.pid_file
    }
    undo {
      process {
        action      = "start"
        pid_file    = local.pid_file
        command     = self.command
        environment = self.variables
        log_file    = local.log_file
        directory   = self.data_dir
        ready       = { tcp = self.address, timeout = "2m" }
      }
      timeout = "5m"
    }
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "5s"
  }

  step "start" {
    title = "Start the service with the new settings"
    process {
      action      = "start"
      pid_file    = local.pid_file
      command     = self.command
      environment = self.variables
      log_file    = local.log_file
      directory   = self.data_dir
      ready       = { tcp = self.address, timeout = "2m" }
    }
    undo {
      process {
        action   = "stop"
        pid_file = local.pid_file
      }
      downtime = true
      timeout  = "2m"
    }
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "10s"
  }
}

strategy "remove" {
  description = "Stops the service and takes the link `current` away. Data, backups and programs stay."

  step "stop" {
    title = "Stop the service"
    process {
      action   = "stop"
      pid_file = local.pid_file
    }
    undo {
      process {
        action      = "start"
        pid_file    = local.pid_file
        command     = self.command
        environment = self.variables
        log_file    = local.log_file
        directory   = self.data_dir
        ready       = { tcp = self.address, timeout = "2m" }
      }
      timeout = "5m"
    }
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "5s"
  }

  step "unlink" {
    title = "Take the link `current` away"
    file {
      action = "remove"
      path   = local.current
    }
    undo {
      file {
        action = "restore"
        saved  = step.unlink.result.saved
      }
    }
    repeatable = true
  }
}
