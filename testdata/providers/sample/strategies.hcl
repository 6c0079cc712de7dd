strategy "install" {
  description = "Lays the release beside others, writes the configuration, and points `current` at it."

  step "prepare" {
    title = "Make the folder of releases"
    file {
      action = "directory"
      path   = local.releases
    }
    harmless   = true
    repeatable = true
  }

  step "unpack" {
    title = "Copy the release"
    file {
      action = "copy"
      source = "${self.store}/${to.text}"
      path   = local.target
    }
    check {
      file {
        action   = "stat"
        path     = "${local.target}/VERSION"
        required = false
      }
      done = result.exists
    }
    undo {
      file {
        action    = "remove"
        path      = local.target
        recursive = true
      }
    }
  }

  step "configure" {
    title = "Write the configuration"
    template {
      source = "sample.conf.j2"
      path   = "${self.root}/sample.conf"
      mode   = "0600"
      values {
        greeting = self.greeting
        port     = self.port
        token    = self.token
        version  = to.text
      }
    }
    undo {
      file {
        action = "restore"
        saved  = step.configure.result.saved
      }
    }
    repeatable = true
  }

  step "switch" {
    title = "Point `current` at the release"
    file {
      action = "symlink"
      path   = local.current
      target = local.target
    }
    undo {
      file {
        action = "restore"
        saved  = step.switch.result.saved
      }
    }
    downtime   = true
    repeatable = true
    timeout    = "10s"
  }

  step "verify" {
    title = "Read the version back"
    exec {
      command = ["cat", "${local.current}/VERSION"]
    }
    harmless = true
    retry {
      attempts = 3
      backoff  = "100ms"
    }
  }
}

strategy "in_place" {
  description = "Lays the new release beside the old one, and switches."

  step "unpack" {
    title = "Copy the release"
    after = []
    file {
      action = "copy"
      source = "${self.store}/${to.text}"
      path   = local.target
    }
    check {
      file {
        action   = "stat"
        path     = "${local.target}/VERSION"
        required = false
      }
      done = result.exists
    }
    undo {
      file {
        action    = "remove"
        path      = local.target
        recursive = true
      }
    }
  }

  step "configure" {
    title = "Write the configuration"
    after = []
    template {
      source = "sample.conf.j2"
      path   = "${self.root}/sample.conf"
      mode   = "0600"
      values {
        greeting = self.greeting
        port     = self.port
        token    = self.token
        version  = to.text
      }
    }
    undo {
      file {
        action = "restore"
        saved  = step.configure.result.saved
      }
    }
    repeatable = true
  }

  step "switch" {
    title = "Point `current` at the release"
    after = [step.unpack, step.configure]
    file {
      action = "symlink"
      path   = local.current
      target = local.target
    }
    undo {
      file {
        action = "restore"
        saved  = step.switch.result.saved
      }
    }
    downtime   = true
    repeatable = true
    timeout    = "10s"
  }

  step "verify" {
    title = "Read the version back"
    exec {
      command = ["cat", "${local.current}/VERSION"]
    }
    harmless = true
  }
}

strategy "configure" {
  description = "Writes the configuration file anew."

  step "configure" {
    title = "Write the configuration"
    template {
      source = "sample.conf.j2"
      path   = "${self.root}/sample.conf"
      mode   = "0600"
      values {
        greeting = self.greeting
        port     = self.port
        token    = self.token
        version  = to.text
      }
    }
    undo {
      file {
        action = "restore"
        saved  = step.configure.result.saved
      }
    }
    repeatable = true
  }
}

strategy "remove" {
  description = "Takes the link, the releases and the configuration away."

  step "unlink" {
    title = "Take `current` away"
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
    downtime   = true
    repeatable = true
  }

  step "configuration" {
    title = "Remove the configuration"
    file {
      action = "remove"
      path   = "${self.root}/sample.conf"
    }
    undo {
      file {
        action = "restore"
        saved  = step.configuration.result.saved
      }
    }
    repeatable = true
  }

  step "releases" {
    title = "Delete the releases"
    file {
      action    = "remove"
      path      = local.releases
      recursive = true
    }
    irreversible = true
    repeatable   = true
  }
}
