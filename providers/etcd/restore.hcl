# Back to an older minor version once the cluster version has risen: the older etcd refuses the newer data, so every member starts again
# from one snapshot that was taken before. All members must be done in one run, at the same time: the environment must not have
# `max_unavailable`. Everything written since the snapshot is lost to the cluster; the old data directories stay beside the new ones.

route "restore" {
  movement = "downgrade"
  when     = self.restore_snapshot != null && to.major == from.major && from.minor - to.minor <= 1
  strategy = "restore"
  downtime = "15s"
  risk     = 80
}

strategy "restore" {
  description = "Stops the member, sets its data aside, restores the snapshot and starts the older version on it."

  use "programs" {}

  step "prove_snapshot" {
    title = "Check that the snapshot can be read"
    exec {
      command     = ["${local.new_bin}/etcdctl", "snapshot", "status", self.restore_snapshot]
      environment = local.environment
    }
    harmless   = true
    repeatable = true
    timeout    = "2m"
  }

  use "stop" {}

  step "set_data_aside" {
    title = "Set the data of the version before aside"
    file {
      action = "move"
      source = self.data_dir
      path   = "${self.data_dir}.of-${from.text}"
    }
    check {
      file {
        action = "stat"
        path   = "${self.data_dir}.of-${from.text}"
      }
      done = result.exists
    }
    undo {
      file {
        action = "move"
        source = "${self.data_dir}.of-${from.text}"
        path   = self.data_dir
      }
      downtime = true
    }
    downtime = true
  }

  step "restore_snapshot" {
    title = "Restore the snapshot"
    exec {
      command = [
        "/bin/sh", "-euc", local.restore, "sh", self.data_dir, "${local.new_bin}/etcdctl", "snapshot", "restore", self.restore_snapshot, "--name", self.name,
        "--initial-cluster", local.initial_cluster, "--initial-cluster-token", local.restored_token, "--initial-advertise-peer-urls", self.peer_url,
      ]
      environment = local.environment
      user        = self.run_as
    }
    check {
      file {
        action = "stat"
        path   = self.data_dir
      }
      done = result.exists
    }
    undo {
      file {
        action    = "remove"
        path      = self.data_dir
        recursive = true
        keep      = true
      }
      restores_data = true
      downtime      = true
    }
    downtime   = true
    privileged = true
    timeout    = "30m"
    estimate   = "2s"
  }

  use "configure" {
    downtime = true
  }

  use "switch" {
    downtime = true
  }

  use "serve" {
    downtime = true
  }
}

locals {
  # Made beside and renamed: a data directory that is there is whole.
  restore = <<-END
    data=$1
    shift
    rm -rf -- "$data.restoring"
    "$@" --data-dir "$data.restoring"
    mv -- "$data.restoring" "$data"
  END

  # A token of its own: otherwise the restored members have the old cluster's ids, and take messages of members not stopped yet for theirs.
  restored_token = "${self.token}-${formatdate("YYYYMMDDhhmmss", plantimestamp())}"
}
