# The way out past the point of no return: a forced stop, whose outcome a person declares.

route "force_stop" {
  movement = "reconfigure"
  strategy = "force_stop"
  note     = "only `force_stop` asks for this; the system does not recover from a forced stop by itself"
}

preflight "force_stop" {
  movements = ["reconfigure"]
  when      = self.force_stop != null
  pass      = try(fact.in_progress.id, null) == self.force_stop.upgrade
  message   = "`force_stop` names upgrade ${self.force_stop.upgrade}, but ${fact.in_progress == null ? "no upgrade is in progress" : "upgrade ${fact.in_progress.id} is"}"
  remedy    = "name the one that is in progress, or take `force_stop` out"
}

note "force_stop" {
  movements = ["reconfigure"]
  when      = self.force_stop != null
  text      = "Upgrade ${self.force_stop.upgrade} is force-stopped as ${self.force_stop.outcome}. A running database backup goes on. Check by hand that Dataphin is complete in one version before and after."
}

strategy "force_stop" {
  description = "Force-stops the upgrade that is in progress and records the declared outcome in the Manager's history."

  step "force_stop" {
    title = "Force-stop the upgrade with the declared outcome"
    when  = self.force_stop != null
    http {
      method = "POST"
      url    = replace(local.manager.force_stop, "{id}", self.force_stop.upgrade)
      json   = { outcome = self.force_stop.outcome, by = self.force_stop.by, reason = self.force_stop.reason, confirmed = true }
      login  = local.login
      tls    = local.tls
    }
    check {
      http {
        url   = replace(local.manager.upgrade, "{id}", self.force_stop.upgrade)
        login = local.login
        tls   = local.tls
      }
      done = contains(["Succeeded", "Failed"], result.json.data.status)
    }
    tolerate     = [error.status == 409 && strcontains(error.body, "NOT_UPGRADING")]
    irreversible = true
    timeout      = "2m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }
}
