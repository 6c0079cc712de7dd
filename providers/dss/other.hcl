# Reconfiguring and removing.

route "reconfigure" {
  movement = "reconfigure"
  strategy = "reconfigure"
  downtime = "90s"
}

preflight "new_ports" {
  movements = ["reconfigure"]
  when      = fact.port != self.port
  pass      = length([for port in fact.new_ports : port if port < fact.port || port > fact.port + 9]) == 0
  message   = "of the ports ${self.port} to ${self.port + 9} these are taken: ${join(", ", [for port in try(fact.new_ports, []) : tostring(port)])}"
  remedy    = "choose another `port`"
}

fact "new_ports" {
  description = "Which ports of the block that is declared are taken, where the node has another one."
  when        = fact.version != null && fact.port != self.port
  ports {
    action = "check"
    ports  = range(self.port, self.port + 10)
  }
  value = result.busy
}

strategy "reconfigure" {
  description = "Stops the node, writes `install.ini`, makes the configuration anew (`dssadmin regenerate-config`), starts it."

  use "prove" {}
  use "stop" {}

  step "save_options" {
    title = "Keep install.ini as it is"
    file {
      action = "copy"
      source = "${self.data_dir}/install.ini"
      path   = "${self.data_dir}/install.ini.windlass-before"
    }
    undo {
      exec {
        shell       = "cat \"$DATA_DIR/install.ini.windlass-before\" > \"$DATA_DIR/install.ini\"; \"$DATA_DIR/bin/dssadmin\" regenerate-config"
        environment = { DATA_DIR = self.data_dir }
        user        = self.run_as
        directory   = "/"
      }
      downtime = true
      timeout  = "5m"
    }
    repeatable = true
    downtime   = true
    privileged = true
    estimate   = "1s"
  }

  step "configure" {
    title = "Write install.ini and make the configuration anew"
    exec {
      shell       = local.configure
      environment = local.configuration
      secrets     = self.postgres_password == null ? {} : { PG_PASSWORD = self.postgres_password }
      user        = self.run_as
      directory   = "/"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "10m"
    estimate   = "5s"
  }

  step "start" {
    title = "Start DSS"
    exec {
      command   = [local.dss, "start"]
      user      = self.run_as
      directory = "/"
    }
    undo {
      exec {
        command   = [local.dss, "stop"]
        user      = self.run_as
        directory = "/"
      }
      downtime = true
      timeout  = "10m"
    }
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "15m"
    estimate   = "60s"
  }

  step "verify" {
    title = "Wait until the node answers"
    http {
      url     = "${local.api}/instance-info"
      basic   = local.key
      until   = { status = local.served }
      timeout = self.start_timeout
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "24h"
    estimate   = "20s"
  }
}

route "remove" {
  movement = "remove"
  strategy = "remove"
}

# The secrets of what is declared no longer are gone, so nothing here asks the API.
strategy "remove" {
  description = "Stops the node and moves its data directory aside. Nothing is deleted: neither data nor software nor backups."

  use "stop" {}

  step "move_away" {
    title = "Move the data directory aside"
    exec {
      command = ["mv", "-T", "--", self.data_dir, "${self.data_dir}.removed-${from.text}"]
    }
    check {
      file {
        action = "stat"
        path   = "${self.data_dir}/dss-version.json"
      }
      done = !result.exists
    }
    undo {
      exec {
        command = ["mv", "-T", "--", "${self.data_dir}.removed-${from.text}", self.data_dir]
      }
      downtime = true
      timeout  = "5m"
    }
    downtime   = true
    privileged = true
    timeout    = "5m"
    estimate   = "1s"
  }
}
