# Groups of steps that need no downtime: the kit, and the proof that the node is fit to be stopped.

step_group "kit" {
  step "fetch_kit" {
    title = "Download the kit"
    when  = local.remote
    http {
      url       = local.artifact
      save_to   = local.archive
      sha256    = try(release.sha256, null)
      max_bytes = "64GiB"
    }
    harmless   = true
    repeatable = true
    timeout    = "4h"
    retry {
      attempts = 3
      backoff  = "10s"
    }
  }

  step "verify_kit" {
    title = "Verify the checksum of the kit"
    when  = try(release.sha256, null) != null && !contains(fact.unpacked, to.text)
    archive {
      action = "verify"
      path   = local.archive
      sha256 = release.sha256
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
    estimate   = "5s"
  }

  # Beside the old software, complete or not at all. Several nodes of one host share it.
  step "unpack_kit" {
    title = "Unpack the kit beside the old software"
    exec {
      shell       = <<-END
        if [ -f "$KIT/installer.sh" ]; then exit 0; fi
        mkdir -p "$ROOT"
        scratch=$(mktemp -d "$ROOT/.unpacking.XXXXXX")
        trap 'rm -rf "$scratch"' EXIT
        tar -xzf "$ARCHIVE" -C "$scratch" --no-same-owner
        test -f "$scratch/$NAME/installer.sh" || { echo "$ARCHIVE holds no $NAME/installer.sh" >&2; exit 1; }
        mv -T "$scratch/$NAME" "$KIT"
      END
      environment = { ROOT = self.install_root, ARCHIVE = local.archive, NAME = local.kit_name, KIT = local.new_kit }
      user        = self.run_as
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "1h"
    estimate   = "30s"
    note       = "it stays when the upgrade is rolled back"
  }

  step "check_dependencies" {
    title = "Check the system dependencies of the new version"
    exec {
      command = ["${local.new_kit}/scripts/install/install-deps.sh", "-check", "-without-java"]
      user    = self.run_as
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "5m"
    note       = "missing ones are installed by the `install-deps.sh` of the kit, as root"
  }
}

step_group "prove" {
  # Their undos are the last things of a rollback: the old version must answer again.
  step "prove_version" {
    title = "See that the node answers with the version that it has"
    when  = fact.healthy
    http {
      url    = "${local.api_now}/instance-info"
      basic  = local.key
      expect = "any"
    }
    poll {
      until   = try(result.headers["dss-version"], "") == from.text
      message = "the node answers with status ${result.status} and version ${try(result.headers["dss-version"], "(none)")}, not ${from.text}"
    }
    undo {
      http {
        url    = "${local.api_now}/instance-info"
        basic  = local.key
        expect = "any"
      }
      poll {
        until   = try(result.headers["dss-version"], "") == from.text
        fail    = contains(local.served, result.status) && try(result.headers["dss-version"], from.text) != from.text
        message = "after the way back the node answers with version ${try(result.headers["dss-version"], "(none)")}, not ${from.text}"
      }
      retry {
        attempts = 5
        backoff  = "500ms"
      }
      timeout = "10m"
    }
    repeatable = true
    timeout    = "1m"
    retry {
      attempts = 5
      backoff  = "500ms"
    }
  }

  step "prove_served" {
    title = "Check that the node serves before it is stopped"
    when  = fact.healthy
    http {
      url     = "${local.api_now}/instance-info"
      basic   = local.key
      until   = { status = local.served }
      timeout = "1m"
    }
    undo {
      http {
        url     = "${local.api_now}/instance-info"
        basic   = local.key
        until   = { status = local.served }
        timeout = self.start_timeout
      }
      timeout = "24h"
    }
    repeatable = true
    timeout    = "2m"
  }

  step "list_jobs" {
    title = "List the running jobs"
    when  = fact.running && local.has_jobs && self.running_jobs == "abort"
    http {
      url    = "${local.api_now}/jobs/running/"
      query  = { allUsers = "true" }
      basic  = local.key
      expect = local.served
    }
    harmless   = true
    repeatable = true
    timeout    = "1m"
  }

  step "abort_jobs" {
    title = "Abort the running jobs"
    when  = fact.running && local.has_jobs && self.running_jobs == "abort"
    http {
      method = "POST"
      url    = "${local.api_now}/projects/${each.value.projectKey}/jobs/${urlencode(each.value.jobId)}/abort"
      basic  = local.key
    }
    fan_out {
      items = step.list_jobs.result.status == 200 ? step.list_jobs.result.json : []
      key   = "${each.value.projectKey}.${each.value.jobId}"
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "await_jobs" {
    title = "Make sure that no job is running"
    when  = fact.running && local.has_jobs
    http {
      url    = "${local.api_now}/jobs/running/"
      query  = { allUsers = "true" }
      basic  = local.key
      expect = local.served
    }
    poll {
      until   = result.status != 200 || try(length(result.json), 0) == 0
      fail    = self.running_jobs == "refuse" && result.status == 200 && try(length(result.json), 0) > 0
      message = "jobs are running: ${join(", ", [for job in try(tolist(result.json), []) : "${job.projectKey}.${job.jobId}"])}"
    }
    harmless   = true
    repeatable = true
    timeout    = "4h"
    retry {
      attempts = 5
      backoff  = "500ms"
    }
  }

}

step_group "stop" {
  step "stop" {
    title = "Stop DSS"
    when  = fact.running
    exec {
      shell       = "\"$DSS\" stop; if \"$DSS\" status >/dev/null 2>&1; then echo 'it is still running' >&2; exit 1; fi"
      environment = { DSS = local.dss }
      user        = self.run_as
      directory   = "/"
    }
    undo {
      exec {
        command   = [local.dss, "start"]
        user      = self.run_as
        directory = "/"
      }
      downtime = true
      timeout  = "10m"
    }
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "10m"
    estimate   = "10s"
  }

  # The installer goes on against a running node when it is told to answer every question with yes.
  step "prove_stopped" {
    title = "Check that nothing listens on the node's port any more"
    wait {
      tcp     = "127.0.0.1:${fact.port}"
      gone    = true
      timeout = "1m"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "1s"
  }
}

step_group "finish" {
  step "install_r" {
    title = "Update the R integration"
    when  = fact.integrations.r
    exec {
      command   = concat([local.dssadmin, "install-R-integration"], try(self.options["install-R-integration"], []))
      user      = self.run_as
      directory = "/"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "2h"
    estimate   = "5m"
  }

  step "install_graphics_export" {
    title = "Reinstall graphics exports"
    when  = fact.integrations.graphics_export
    exec {
      command   = concat([local.dssadmin, "install-graphics-export"], try(self.options["install-graphics-export"], []))
      user      = self.run_as
      directory = "/"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "1h"
    estimate   = "2m"
  }

  step "install_hadoop" {
    title = "Reinstall standalone Hadoop"
    when  = fact.integrations.hadoop
    exec {
      command   = concat([local.dssadmin, "install-hadoop-integration"], local.hadoop_given ? [] : ["-standaloneArchive", local.hadoop_archive], try(self.options["install-hadoop-integration"], []))
      user      = self.run_as
      directory = "/"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "1h"
    estimate   = "1m"
  }

  step "install_spark" {
    title = "Reinstall standalone Spark"
    when  = fact.integrations.spark
    exec {
      command   = concat([local.dssadmin, "install-spark-integration"], local.spark_given ? [] : ["-standaloneArchive", local.spark_archive], try(self.options["install-spark-integration"], []))
      user      = self.run_as
      directory = "/"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "1h"
    estimate   = "1m"
  }

  step "install_impersonation" {
    title = "Secure the new installation for user isolation (as root)"
    when  = fact.integrations.impersonation
    exec {
      command   = concat([local.dssadmin, "install-impersonation"], try(self.options["install-impersonation"], []), [self.run_as == null ? "dataiku" : self.run_as])
      directory = "/"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "30m"
    estimate   = "10s"
  }

  step "build_base_image" {
    title    = "Rebuild the base images"
    when     = fact.integrations.containers
    for_each = toset(self.base_images)
    exec {
      command   = concat([local.dssadmin, "build-base-image", "--type", each.key], try(self.options["build-base-image"], []))
      user      = self.run_as
      directory = "/"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    privileged = true
    timeout    = "2h"
    estimate   = "10m"
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
        shell       = "\"$DSS\" stop; if \"$DSS\" status >/dev/null 2>&1; then echo 'it is still running' >&2; exit 1; fi"
        environment = { DSS = local.dss }
        user        = self.run_as
        directory   = "/"
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
    estimate   = "30s"
  }

  step "verify_version" {
    title = "Check that it is the new version that answers"
    http {
      url    = "${local.api}/instance-info"
      basic  = local.key
      expect = "any"
    }
    poll {
      until   = try(result.headers["dss-version"], "") == to.text
      fail    = contains(local.served, result.status) && try(result.headers["dss-version"], to.text) != to.text
      message = "the node answers with version ${try(result.headers["dss-version"], "(none)")}, not ${to.text}"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "2m"
    estimate   = "1s"
    retry {
      attempts = 5
      backoff  = "500ms"
    }
  }
}
