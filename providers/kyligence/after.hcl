# What the strategies share once the new software is in place: start, verify, keep or delete the backups.

step_group "start" {
  step "start" {
    title    = "Start Kyligence Enterprise"
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = "${local.prelude}\n${local.start}"
      environment = merge(local.environment, each.value)
    }
    undo {
      exec {
        shell       = "${local.prelude}\n${local.stop}\n${local.prove_stopped}"
        environment = merge(local.environment, each.value)
      }
      downtime = true
      timeout  = "1h"
    }
    repeatable = true
    downtime   = true
    timeout    = "2h"
    estimate   = "30s"
  }

  step "wait_for_page" {
    title    = "Wait until the web page shows up"
    for_each = { for name, node in local.nodes : name => node.url }
    http {
      url     = "${each.value}/kylin/login"
      until   = { status = 200 }
      timeout = self.start_timeout
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "24h"
    estimate   = "1m"
  }

  step "log_in" {
    title    = "Check that a login succeeds"
    for_each = { for name, node in local.nodes : name => node.url }
    http {
      url       = "${each.value}/kylin/api/user/authentication"
      headers   = local.headers
      basic     = local.basic
      until     = { status = 200 }
      fail_when = { status = [401, 403] }
      timeout   = "2m"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "1s"
  }
}

step_group "default_source" {
  step "projects_before" {
    title = "Look at the projects that get a default data source"
    when  = from.major == 2 && to.major > 2 && length(self.default_source) > 0
    http {
      url     = "${local.api}/projects"
      headers = local.headers
      basic   = local.basic
      query   = { pageOffset = "0", pageSize = "1000" }
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "default_source" {
    title    = "Set the default data source of projects with several"
    when     = from.major == 2 && to.major > 2
    for_each = self.default_source
    http {
      method  = "PUT"
      url     = "${local.api}/projects"
      headers = local.headers
      basic   = local.basic
      json = {
        formerProjectName = each.key
        projectDescData = jsonencode(merge(one([for project in step.projects_before.result.json.data.projects : project if project.name == each.key]), {
          override_kylin_properties = merge(
            one([for project in step.projects_before.result.json.data.projects : project.override_kylin_properties if project.name == each.key]),
            { "kylin.source.default" = each.value == "kafka" ? "1" : "0" },
          )
        }))
      }
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    note       = "it cannot be changed later"
  }
}

step_group "verify" {
  step "ask_rest" {
    title = "Check that the REST API lists the projects"
    http {
      url     = "${local.api}/projects"
      headers = local.headers
      basic   = local.basic
      query   = { pageOffset = "0", pageSize = "1000" }
      until   = { status = 200, json = { "/code" = "000" } }
      timeout = "1m"
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
  }

  step "find_segments" {
    title = "Look whether the segment is there"
    when  = local.builds
    http {
      url     = "${local.api}/cubes"
      headers = local.headers
      basic   = local.basic
      query   = { projectName = local.verify.project, cubeName = local.verify.cube, pageOffset = "0", pageSize = "1000" }
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    retry {
      attempts = 5
      backoff  = "500ms"
    }
  }

  step "build_segment" {
    title = "Build a segment"
    when  = local.builds
    http {
      method  = "PUT"
      url     = "${local.api}/cubes/${local.verify.cube}/segments${anytrue(flatten([for cube in step.find_segments.result.json.data.cubes : [
        for segment in cube.segments : local.verify.end > 0 && segment.date_range_start == local.verify.start && segment.date_range_end == local.verify.end
      ]])) ? "" : "/build"}"
      headers = local.headers
      basic   = local.basic
      # A segment of that time is refreshed; building what is there is an error of the vendor's API.
      json = merge({ startTime = local.verify.start, endTime = local.verify.end, buildType = "BUILD" }, one([
        for names in [flatten([for cube in step.find_segments.result.json.data.cubes : [
          for segment in cube.segments : segment.name if local.verify.end > 0 && segment.date_range_start == local.verify.start && segment.date_range_end == local.verify.end
        ]])] : length(names) > 0 ? { buildType = "REFRESH", segments = names, force = false } : {}
      ]))
    }
    harmless = true
    timeout  = "2m"
    check {
      http {
        url     = "${local.api}/jobs?timeFilter=0&pageOffset=0&pageSize=1&status=0&status=1&status=2"
        headers = local.headers
        basic   = local.basic
      }
      done = result.json.data.size > 0
    }
  }

  step "await_segment" {
    title = "Wait until the segment is built"
    when  = local.builds
    http {
      # A build answers with its job, a refresh with a list of them.
      url     = "${local.api}/jobs/${try(step.build_segment.result.json.data.uuid, step.build_segment.result.json.data[0].uuid)}"
      headers = local.headers
      basic   = local.basic
    }
    poll {
      until    = result.json.data.job_status == "FINISHED"
      fail     = contains(["ERROR", "DISCARDED", "STOPPED"], result.json.data.job_status)
      message  = "the job ${result.json.data.name} is ${result.json.data.job_status}"
      progress = result.json.data.progress
      interval = "1s"
    }
    retry {
      attempts = 5
      backoff  = "1s"
    }
    harmless = true
    timeout  = "24h"
    estimate = "5m"
  }

  step "query" {
    title = "Run a query"
    when  = self.verify != null
    http {
      method  = "POST"
      url     = "${local.api}/query"
      headers = local.headers
      basic   = local.basic
      json    = { project = local.verify.project, sql = local.verify.sql, limit = 10, offset = 0, acceptPartial = false }
    }
    poll {
      until    = !result.json.data.isException
      fail     = result.json.data.isException
      message  = "the query fails: ${result.json.data.exceptionMessage}"
      interval = "1s"
    }
    retry {
      attempts = 5
      backoff  = "1s"
    }
    harmless = true
    timeout  = "10m"
  }

  step "clients" {
    title    = "Run the clients"
    for_each = { for place, command in self.clients : "${place + 1} ${basename(command[0])}" => command }
    exec {
      command     = each.value
      environment = { KE_URL = self.url, KE_USER = self.username }
      secrets     = { KE_PASSWORD = self.password }
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
  }
}

step_group "finish" {
  step "keep_home" {
    title    = "Put the backup of the old installation with the others"
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = local.keep_home
      environment = merge(local.hop, each.value)
    }
    harmless   = true
    repeatable = true
    timeout    = "1h"
  }

  step "delete_backups" {
    title = "Delete the backups: the upgrade is verified"
    when  = self.delete_backups
    exec {
      shell       = "${local.prelude}\n${local.delete_backups}"
      environment = merge(local.hop, { BACKUPS = local.keep, IN_HDFS = local.copy_cubes ? local.cube_keep : "", SNAPSHOTS = local.snapshot })
    }
    irreversible = true
    repeatable   = true
    timeout      = "24h"
  }
}

strategy "look_again" {
  description = "Verifies the installation; changes nothing."
  use "verify" {}
}

strategy "clean_up" {
  description = "Verifies the installation, then deletes what earlier upgrades have left. Nothing leads back to the versions before."
  use "verify" {}

  step "delete_all_backups" {
    title = "Delete the backups of earlier upgrades"
    exec {
      shell       = "${local.prelude}\n${local.delete_backups}"
      environment = merge(local.environment, { BACKUPS = local.backups, IN_HDFS = local.cube_backups, CUBES = fact.properties.working_dir, SNAPSHOTS = "${local.snapshots}*" })
    }
    irreversible = true
    repeatable   = true
    timeout      = "24h"
  }
}

locals {
  verify       = self.verify
  builds       = try(self.verify.cube, null) != null
  cube_backups = "${coalesce(self.cube_backup_dir, "${fact.properties.working_dir}_temp")}/${instance.file_name}"

  keep_home = <<-END
    umask 077
    mkdir -p "$KEEP/$NODE"
    if [ -e "$NODE_HOME.backup.tar.gz" ] && [ ! -e "$KEEP/$NODE/home.tar.gz" ]; then
      mv -- "$NODE_HOME.backup.tar.gz" "$KEEP/$NODE/home.tar.gz.part"
      mv -- "$KEEP/$NODE/home.tar.gz.part" "$KEEP/$NODE/home.tar.gz"
    fi
    found=$NODE_HOME.backup.tar.gz.before-$FROM-to-$TO
    if [ -e "$found" ]; then mv -- "$found" "$KEEP/$NODE/found-before.tar.gz"; fi
    [ -s "$KEEP/$NODE/home.tar.gz" ]
  END

  delete_backups = <<-END
    rm -rf -- "$BACKUPS" "$BACKUPS".before-*
    if [ -n "$IN_HDFS" ] && hdfs dfs -test -e "$IN_HDFS"; then hdfs dfs -rm -r -skipTrash "$IN_HDFS"; fi
    hdfs dfs -ls "$CUBES/.snapshot" 2>/dev/null | sed -n 's|.*/[.]snapshot/||p' | while IFS= read -r name; do
      case "$name" in $SNAPSHOTS) hdfs dfs -deleteSnapshot "$CUBES" "$name" ;; esac
    done
    echo "deleted $BACKUPS $IN_HDFS"
  END
}
