# The upgrade of one member. etcd supports one minor version at a time, and members of two neighbouring ones in one cluster.

route "next_minor" {
  movement = "upgrade"
  when     = to.major == from.major && to.minor - from.minor <= 1
  strategy = "rolling"
  downtime = "3s"
  risk     = 5
}

strategy "rolling" {
  description = "Swaps the programs of one member while all the others are healthy. A snapshot is taken before."

  use "programs" {}

  step "prove_cluster" {
    # Its undo is the last thing of a rollback of this member.
    title = "Check that every member of the cluster is healthy"
    exec {
      command     = ["${local.old_bin}/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
      environment = local.environment
    }
    undo {
      exec {
        command     = ["${local.old_bin}/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
        environment = local.environment
      }
      retry {
        attempts = 8
        backoff  = "500ms"
      }
      timeout = "2m"
    }
    repeatable = true
    timeout    = "2m"
    estimate   = "1s"
    retry {
      attempts = 8
      backoff  = "500ms"
    }
  }

  step "make_backup_dir" {
    title = "Create the folder of the snapshots"
    file {
      action = "directory"
      path   = self.backup_dir
      mode   = "0700"
    }
    harmless   = true
    repeatable = true
  }

  step "snapshot" {
    title = "Take a snapshot of the cluster"
    exec {
      shell       = local.snapshot
      environment = merge(local.environment, { BIN = local.old_bin, URL = self.client_url, PREFIX = "${self.backup_dir}/${from.text}-to-${to.text}" })
      parse       = "lines"
    }
    harmless   = true
    repeatable = true
    timeout    = "30m"
    estimate   = "1s"
  }

  use "stop" {}

  use "configure" {
    downtime = true
  }

  use "switch" {
    downtime = true
  }

  use "serve" {
    downtime = true
  }

  step "verify_cluster" {
    title = "Check that every member of the cluster is healthy again"
    exec {
      command     = ["${local.new_bin}/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
    estimate   = "1s"
    retry {
      attempts = 8
      backoff  = "500ms"
    }
  }
}

locals {
  # Prints the path of the snapshot. `etcdutl` reads snapshots since 3.5, `etcdctl` no longer does since 3.6.
  snapshot = <<-END
    path="$PREFIX-$(date -u +%Y%m%dT%H%M%SZ).db"
    umask 077
    "$BIN/etcdctl" --endpoints "$URL" snapshot save "$path" >&2
    if [ -x "$BIN/etcdutl" ]; then "$BIN/etcdutl" snapshot status "$path" >&2; else "$BIN/etcdctl" snapshot status "$path" >&2; fi
    printf '%s\n' "$path"
  END
}
