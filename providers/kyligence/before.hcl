# What the strategies share before the software is replaced. Everything that needs no downtime comes first.

step_group "prepare" {
  step "keep" {
    title = "Make the folder for what is kept of this upgrade"
    exec {
      shell       = local.make_keep
      environment = local.hop
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }

  step "fetch_kit" {
    title = "Download the installation package"
    when  = startswith(release.artifact, "http")
    http {
      url     = release.artifact
      save_to = local.kit
      sha256  = release.sha256
    }
    harmless   = true
    repeatable = true
    timeout    = "2h"
    retry {
      attempts = 3
      backoff  = "5s"
    }
  }

  step "verify_kit" {
    title = "Check the installation package against its checksum"
    archive {
      action = "verify"
      path   = local.kit
      sha256 = release.sha256
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
  }

  step "unpack" {
    title    = "Unpack the new version beside the old"
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    archive {
      action           = "unpack"
      path             = local.kit
      to               = each.value.UNPACKED
      strip_components = 1
      replace          = true
    }
    undo {
      file {
        action    = "remove"
        path      = each.value.UNPACKED
        recursive = true
        keep      = false
      }
    }
    repeatable = true
    timeout    = "1h"
    estimate   = "20s"
  }

  step "prove_kit" {
    title = "Check that the package is the version that is wanted"
    exec {
      shell       = "${local.prelude}\n${local.prove_kit}"
      environment = merge(local.hop, local.node_environment["first"], { BY_SCRIPT = tostring(local.by_script) })
    }
    harmless   = true
    repeatable = true
    timeout    = "1m"
  }

  step "copy_cubes_first" {
    title = "Copy the cube data in HDFS while the service runs"
    when  = local.copy_cubes
    exec {
      shell       = "${local.prelude}\nhdfs dfs -mkdir -p \"$CUBE_KEEP\"\nhadoop distcp -i -update -delete -pbugp \"$CUBES\" \"$CUBE_KEEP\""
      environment = local.hop
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
    estimate   = "10m"
    note       = "the bulk; what changes meanwhile is copied again while the service is stopped"
  }

  step "prove_snapshot" {
    title = "Check that HDFS makes snapshots of the cube data"
    when  = local.save_cubes && !local.copy_cubes
    exec {
      shell       = "${local.prelude}\n${local.prove_snapshot}"
      environment = local.hop
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
  }
}

step_group "drain" {
  step "list_jobs" {
    title = "List the unfinished jobs"
    when  = self.jobs == "discard"
    http {
      url     = "${local.api}/jobs?${local.unfinished}"
      headers = local.headers
      basic   = local.basic
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "discard_jobs" {
    title = "Discard the unfinished jobs"
    when  = self.jobs == "discard"
    http {
      method  = "PUT"
      url     = "${local.api}/jobs/${each.key}/cancel"
      headers = local.headers
      basic   = local.basic
    }
    fan_out {
      items = step.list_jobs.result.json.data.jobs
      key   = each.value.uuid
    }
    harmless   = true
    repeatable = true
    timeout    = "5m"
    # One that has ended meanwhile needs no discarding.
    tolerate = [
      strcontains(error.body == null ? "" : error.body, "has been finished"),
      strcontains(error.body == null ? "" : error.body, "has been discarded"),
    ]
    retry {
      attempts = 3
      backoff  = "1s"
    }
  }

  step "wait_for_jobs" {
    title = "Wait until every job is finished or discarded"
    http {
      url     = "${local.api}/jobs?${local.unfinished}"
      headers = local.headers
      basic   = local.basic
    }
    poll {
      until    = result.json.data.size == 0
      fail     = self.jobs == "refuse" || anytrue([for job in result.json.data.jobs : contains(["ERROR", "STOPPED"], job.job_status)])
      message  = "${result.json.data.size} job(s) are neither finished nor discarded: ${join(", ", [for job in result.json.data.jobs : "${job.name} (${job.job_status})"])}"
      interval = "1s"
    }
    retry {
      attempts = 5
      backoff  = "1s"
    }
    harmless = true
    timeout  = "24h"
  }

  # Its undo is the last thing of a rollback: the old version must answer again.
  step "prove_served" {
    title = "Check that a login succeeds before anything is stopped"
    http {
      url     = "${local.api}/user/authentication"
      headers = local.headers
      basic   = local.basic
      until   = { status = 200 }
      timeout = "1m"
    }
    undo {
      http {
        url     = "${local.api}/user/authentication"
        headers = local.headers
        basic   = local.basic
        until   = { status = 200 }
        timeout = self.start_timeout
      }
      timeout = "24h"
    }
    repeatable = true
    timeout    = "5m"
  }
}

step_group "stop" {
  step "stop" {
    title    = "Stop Kyligence Enterprise"
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = "${local.prelude}\n${local.stop}"
      environment = merge(local.environment, each.value)
    }
    undo {
      exec {
        shell       = "${local.prelude}\n${local.start}"
        environment = merge(local.environment, each.value)
      }
      downtime = true
      timeout  = "2h"
    }
    repeatable = true
    downtime   = true
    timeout    = "30m"
    estimate   = "20s"
  }

  step "prove_stopped" {
    title    = "Check that no process is left running"
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = "${local.prelude}\n${local.prove_stopped}"
      environment = merge(local.environment, each.value)
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "1h"
    estimate   = "1s"
  }
}

# The undos here are the way back in the vendor's order, after the old home is there again: metadata, cube data. They do nothing
# where the replacement of the software has not begun.
step_group "back_up" {
  step "copy_cubes" {
    title = "Copy what has changed of the cube data in HDFS"
    when  = local.copy_cubes
    exec {
      shell       = "${local.prelude}\nhadoop distcp -update -delete -pbugp \"$CUBES\" \"$CUBE_KEEP\""
      environment = local.hop
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "24h"
    estimate   = "1m"
  }

  step "snapshot_cubes" {
    title = "Make a snapshot of the cube data in HDFS"
    when  = local.save_cubes && !local.copy_cubes
    exec {
      shell       = "${local.prelude}\n${local.snapshot_cubes}"
      environment = local.hop
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "10m"
    estimate   = "2s"
  }

  step "export_metadata" {
    title = "Back up the metadata"
    exec {
      shell       = "${local.prelude}\n${local.export_metadata}"
      environment = merge(local.hop, local.node_environment["first"])
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "2h"
    estimate   = "1m"
  }

  # An archive of it that is verified and recorded; the folder itself is what `metastore.sh restore` reads.
  step "back_up_metadata" {
    title = "Verify and record the backup of the metadata"
    backup {
      action     = "create"
      repository = "${local.keep}/repository"
      path       = "${local.keep}/metadata"
      labels     = { part = "metadata", instance = instance.address, from = from.text, to = to.text }
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "1h"
    estimate   = "2s"
  }

  step "guard_cubes" {
    title = "Check that what is kept of the cube data is complete"
    when  = local.save_cubes
    exec {
      shell       = "${local.prelude}\n${local.guard_cubes}"
      environment = local.hop
    }
    undo {
      exec {
        shell       = "${local.prelude}\n${local.restore_cubes}"
        environment = local.hop
      }
      restores_data = true
      downtime      = true
      timeout       = "24h"
    }
    repeatable = true
    downtime   = true
    timeout    = "1h"
    estimate   = "2s"
  }

  step "guard_metadata" {
    title = "Check that the backup of the metadata can be read"
    exec {
      shell       = "${local.prelude}\n${local.guard_metadata}"
      environment = local.hop
    }
    undo {
      exec {
        shell       = "${local.prelude}\n${local.restore_metadata}"
        environment = merge(local.hop, local.node_environment["first"])
      }
      restores_data = true
      downtime      = true
      timeout       = "2h"
    }
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "1s"
  }
}

locals {
  # What an earlier attempt at the same upgrade has left is set aside: it is not the way back of this one.
  make_keep = <<-END
    umask 077
    if [ -e "$KEEP/begun" ]; then mv -- "$KEEP" "$KEEP.before-$(date -u +%Y%m%dT%H%M%SZ)"; fi
    mkdir -p "$KEEP"
  END

  prove_snapshot = <<-END
    if hdfs dfs -test -e "$CUBE_KEEP.test"; then hdfs dfs -deleteSnapshot "$CUBES" "$SNAPSHOT.test"; fi
    hdfs dfs -createSnapshot "$CUBES" "$SNAPSHOT.test" || {
      echo "the administrator of HDFS allows it by: hdfs dfsadmin -allowSnapshot $CUBES" >&2
      exit 1
    }
    hdfs dfs -deleteSnapshot "$CUBES" "$SNAPSHOT.test"
  END

  # One that is there is of an attempt that was not carried through.
  snapshot_cubes = <<-END
    if hdfs dfs -test -e "$CUBE_KEEP"; then hdfs dfs -deleteSnapshot "$CUBES" "$SNAPSHOT"; fi
    hdfs dfs -createSnapshot "$CUBES" "$SNAPSHOT"
  END

  prove_kit = <<-END
    found=$(installed "$UNPACKED")
    [ "$found" = "$TO" ] || { echo "the package holds version '$found', not $TO" >&2; exit 1; }
    if [ "$BY_SCRIPT" = true ] && [ ! -x "$UNPACKED/bin/upgrade.sh" ]; then
      echo "the package has no bin/upgrade.sh" >&2
      exit 1
    fi
  END

  # Stopping what does not run is an error of the vendor's script; whether something runs is asked afterwards.
  stop = <<-END
    [ -n "$(processes)" ] || exit 0
    "$NODE_HOME/bin/kylin.sh" stop || echo "kylin.sh stop ended with status $?; the processes are looked at next" >&2
  END

  prove_stopped = <<-END
    waited=0
    while left=$(processes) && [ -n "$left" ]; do
      if [ "$waited" -ge "$STOP_SECONDS" ]; then
        echo "still running after $waited s; look at them and end them, then try again:" >&2
        printf '%s\n' "$left" >&2
        exit 1
      fi
      sleep 1
      waited=$((waited + 1))
    done
  END

  start = <<-END
    if [ -n "$(processes)" ]; then
      echo "it runs already"
      exit 0
    fi
    "$NODE_HOME/bin/kylin.sh" start
  END

  # Written beside and renamed: a backup that is there is whole.
  export_metadata = <<-END
    umask 077
    said=$("$NODE_HOME/bin/metastore.sh" backup 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
    printf '%s\n' "$said"
    folder=$(printf '%s\n' "$said" | sed -n 's/.*backed up to[[:space:]]*\([^[:space:]]*\).*/\1/p' | tail -1)
    [ -n "$folder" ] || folder=$(ls -td -- "$NODE_HOME"/meta_backups/*/ | head -1)
    [ -d "$folder" ] || { echo "metastore.sh does not say where the backup is" >&2; exit 1; }
    rm -rf -- "$KEEP/metadata.part" "$KEEP/metadata"
    cp -a -- "$folder" "$KEEP/metadata.part"
    [ "$(cd "$folder" && find . -type f | wc -l)" -eq "$(cd "$KEEP/metadata.part" && find . -type f | wc -l)" ]
    sync
    mv -- "$KEEP/metadata.part" "$KEEP/metadata"
    echo "kept in $KEEP/metadata"
  END

  guard_metadata = <<-END
    [ -d "$KEEP/metadata" ] || { echo "$KEEP/metadata is not there" >&2; exit 1; }
    files=$(find "$KEEP/metadata" -type f | wc -l)
    empty=$(find "$KEEP/metadata" -type f -size 0 | wc -l)
    projects=$(find "$KEEP/metadata/project" -type f 2>/dev/null | wc -l)
    echo "$files files, $projects of projects, $empty empty"
    [ "$projects" -gt 0 ] || { echo "the backup holds no project: it is not one of this metadata" >&2; exit 1; }
  END

  restore_metadata = <<-END
    if [ ! -e "$KEEP/begun" ]; then
      echo "the replacement of the software has not begun: the metadata is as it was"
      exit 0
    fi
    "$NODE_HOME/bin/metastore.sh" restore "$KEEP/metadata"
  END

  guard_cubes = <<-END
    ours=$(hdfs dfs -count "$CUBES" | awk '{ print $2 " files, " $3 " bytes" }')
    copy=$(hdfs dfs -count "$CUBE_KEEP" | awk '{ print $2 " files, " $3 " bytes" }')
    echo "$CUBES: $ours; $CUBE_KEEP: $copy"
    [ "$ours" = "$copy" ] || { echo "what is kept is not complete" >&2; exit 1; }
  END

  # As `hdfs dfs -rmr` and a whole copy back, but only what differs is copied, and there is no moment without data.
  restore_cubes = <<-END
    if [ ! -e "$KEEP/begun" ]; then
      echo "the replacement of the software has not begun: the cube data is as it was"
      exit 0
    fi
    hadoop distcp -update -delete -pbugp "$CUBE_KEEP" "$CUBES"
  END
}
