provider "app" {
  version        = "1.0.0"
  title          = "App"
  version_scheme = "semver"
}

setting "root" {
  type     = string
  required = true
}

setting "token" {
  type      = string
  sensitive = true
  default   = "none"
}

locals {
  current = "${self.root}/current"
}

fact "version" {
  file {
    path     = "${local.current}/VERSION"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}

fact "healthy" {
  value = fact.version != null
}

fact "jobs" {
  exec {
    command = ["jobs"]
  }
  value = result.stdout
}

release "1.0.0" {}

release "1.1.0" {
  notes = "https:notes"
}

release "2.0.0" {
  schema = 2
}

route "install" {
  movement = "install"
  strategy = "lay"
}

route "upgrade" {
  strategy = "lay"
  downtime = "1s"
}

route "downgrade" {
  movement = "downgrade"
  strategy = "lay"
  risk     = 20
}

route "reconfigure" {
  movement = "reconfigure"
  strategy = "lay"
}

route "remove" {
  movement = "remove"
  strategy = "away"
}

required_stop "~> 1.1" {
  reason = "1.1 writes what 2.0 reads."
}

preflight "healthy" {
  movements = ["upgrade"]
  pass      = fact.healthy
  message   = "`${instance.address}` is not healthy."
  severity  = "warn"
}

risk "jobs" {
  from    = "< 2.0.0"
  rule    = fact.jobs != ""
  message = "Jobs run."
}

note "tokens" {
  versions  = ">= 2.0.0"
  text      = "Version ${to.text} needs tokens."
  follow_up = true
}

step_group "switch" {
  step "switch" {
    file {
      action = "symlink"
      path   = local.current
      target = "${self.root}/${to.text}"
    }
    undo {
      file {
        action = "restore"
        saved  = step.switch.result.saved
      }
    }
    downtime   = true
    repeatable = true
  }
}

strategy "lay" {
  step "enter" {
    exec {
      command = ["enter", self.root]
    }
    opens = "maintenance"
    undo {
      exec {
        command = ["leave", self.root]
      }
      closes = "maintenance"
    }
    repeatable = true
  }
  step "unpack" {
    exec {
      command = ["unpack", to.text, self.token]
      environment {
        TOKEN = self.token
      }
    }
    fan_out {
      items   = ["one", "two"]
      at_once = 2
    }
    check {
      exec {
        command = ["look", each.key]
      }
      done = result.exit_code == 0
    }
    undo {
      exec {
        command = ["rm", each.key]
      }
      fan_out {
        items = keys(step.unpack.result.items)
      }
    }
  }
  use "switch" {}
  step "wait" {
    exec {
      command = ["state"]
    }
    poll {
      until    = result.stdout == "up"
      fail     = result.stdout == "broken"
      message  = "it is ${result.stdout}"
      interval = "2s"
    }
    timeout  = "5m"
    harmless = true
  }
  step "leave" {
    exec {
      command = ["leave", self.root]
    }
    closes     = "maintenance"
    harmless   = true
    repeatable = true
  }
}

strategy "away" {
  step "remove" {
    file {
      action    = "remove"
      path      = self.root
      recursive = true
    }
    irreversible = true
  }
}
