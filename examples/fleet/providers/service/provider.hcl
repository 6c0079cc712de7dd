# A service made of files, to see rollouts with: `version`, `up` while it serves, and `log`, in which every command writes its name.
# A file `sick` in its folder makes it unhealthy once it is started; `broken` makes its start fail; `wait` makes it hang.

provider "service" {
  version     = "1.0.0"
  title       = "Sample service"
  description = "A service made of files."
}

setting "directory" {
  type        = string
  required    = true
  description = "Its folder."
}

setting "token" {
  type        = string
  sensitive   = true
  required    = true
  description = "What it shows to its peers."
}

fact "version" {
  description = "The version that is installed."
  file {
    path     = "${self.directory}/version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}

fact "healthy" {
  description = "Whether it serves, and has nothing to complain about."
  when        = fact.version != null
  exec {
    command = ["test", "-e", "${self.directory}/up", "-a", "!", "-e", "${self.directory}/sick"]
    success = "any"
  }
  value = result.exit_code == 0
}

route "install" {
  movement = "install"
  strategy = "replace"
}

route "upgrade" {
  from     = "*"
  strategy = "replace"
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

strategy "replace" {
  description = "Stops it, puts the version there, and starts it."

  step "directory" {
    title = "Make its folder"
    file {
      action = "directory"
      path   = self.directory
    }
    harmless   = true
    repeatable = true
  }

  step "stop" {
    title = "Stop it"
    exec {
      command   = ["sh", "-c", "echo stop >> log; rm -f up"]
      directory = self.directory
    }
    undo {
      exec {
        command   = ["sh", "-c", "echo undo-stop >> log; test ! -e version || touch up"]
        directory = self.directory
      }
    }
    downtime = true
  }

  step "version" {
    title = "Put the version there"
    file {
      action  = "write"
      path    = "${self.directory}/version"
      content = to.text
    }
    undo {
      file {
        action = "restore"
        saved  = step.version.result.saved
      }
    }
    downtime   = true
    repeatable = true
  }

  step "start" {
    title = "Start it"
    exec {
      command   = ["sh", "-c", "echo start >> log; while [ -e wait ]; do sleep 0.05; done; test ! -e broken && test -n \"$TOKEN\" && touch up && echo started >> log"]
      directory = self.directory
      secrets   = { TOKEN = self.token }
    }
    undo {
      exec {
        command   = ["sh", "-c", "echo undo-start >> log; rm -f up"]
        directory = self.directory
      }
    }
    downtime = true
  }
}

strategy "remove" {
  description = "Removes its folder."

  step "directory" {
    title = "Remove its folder"
    file {
      action    = "remove"
      path      = self.directory
      recursive = true
    }
    irreversible = true
    repeatable   = true
  }
}
