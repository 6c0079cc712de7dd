# What is observed, over HTTP. A member says its own version and that of the cluster, which differ during a roll.

fact "installed" {
  description = "Version of the programs that `current` leads to."
  drift       = true
  file {
    action = "stat"
    path   = local.current
  }
  value = result.exists ? basename(result.target) : null
}

fact "running" {
  description = "Whether the member's process runs."
  process {
    action   = "status"
    pid_file = local.pid_file
  }
  value = result.running
}

fact "versions" {
  description = "What the member says: `etcdserver` is its own version, `etcdcluster` the cluster's; null where nothing answers."
  timeout     = "10s"
  exec {
    command = [self.python, "-c", local.ask, "${self.client_url}/version"]
    parse   = "json"
  }
  value = result.json
}

fact "version" {
  description = "Version of the member that answers; where none does, of the installed programs."
  value       = fact.versions == null ? fact.installed : fact.versions.etcdserver
}

fact "cluster_version" {
  description = "Version of the cluster: the lowest minor version of its members, once they have agreed."
  value       = try(fact.versions.etcdcluster, null)
}

fact "healthy" {
  description = "Whether the member is healthy: it has a leader, and a write succeeds."
  timeout     = "10s"
  exec {
    command = [self.python, "-c", local.ask, "${self.client_url}/health"]
    parse   = "json"
  }
  value = try(result.json.health, "false") == "true"
}

fact "cluster_healthy" {
  description = "Whether every member of the cluster is healthy (`etcdctl endpoint health --cluster`)."
  when        = fact.installed != null && fact.healthy
  timeout     = "30s"
  exec {
    command     = ["${local.current}/bin/etcdctl", "--endpoints", self.client_url, "endpoint", "health", "--cluster"]
    environment = local.environment
    success     = "any"
  }
  value = result.exit_code == 0
}

fact "launcher" {
  description = "Digest of the script that starts the member."
  drift       = true
  file {
    path = local.launcher
  }
  value = result.exists ? result.sha256 : null
}

locals {
  # Prints what the address answers, `null` where nothing listens there. An answer with an error status counts: it says why.
  ask = <<-END
    import sys, urllib.error, urllib.request
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        print(opener.open(sys.argv[1], timeout=5).read().decode())
    except urllib.error.HTTPError as error:
        print(error.read().decode())
    except (urllib.error.URLError, OSError) as error:
        print("null")
  END
}

preflight "started_by_windlass" {
  movements = ["upgrade", "downgrade", "reconfigure"]
  when      = fact.versions != null
  pass      = fact.running
  message   = "an etcd answers at ${self.client_url} that Windlass did not start, so it cannot stop it"
  remedy    = "stop it, and start it once by `${local.launcher}` through an installation of the version that it has"
}

preflight "cluster_healthy" {
  movements = ["upgrade"]
  pass      = fact.cluster_healthy == true
  message   = "not every member of the cluster is healthy"
  remedy    = "repair the cluster first (`etcdctl endpoint health --cluster`): taking another member down may lose quorum"
}

# A member may be one minor version ahead of its cluster, not more. The routes keep one member from skipping a minor version; this keeps
# it from going two in a row while the others stay behind.
blocked "cluster_behind" {
  from   = ">= 0.0.0"
  when   = fact.cluster_version != null && to.minor > version_part(fact.cluster_version, 1) + 1
  reason = "etcd must not skip a minor version: bring every member to the next minor version first, then upgrade again"
  url    = "https://etcd.io/docs/v3.5/upgrades/upgrade_3_5/"
}

# Asked before applied hops are undone, too.
preflight "cluster_not_ahead" {
  movements = ["downgrade"]
  when      = self.restore_snapshot == null && fact.cluster_version != null
  pass      = version_part(fact.cluster_version, 1) <= to.minor
  message   = "the cluster version is ${fact.cluster_version}, and etcd ${to.text} refuses to start on its data"
  remedy    = "only a snapshot leads back: see the strategy `restore` (`windlass provider show etcd`)"
}

note "cluster_version" {
  when = to.minor > from.minor
  text = "Once the last member has ${to.text}, the cluster version rises and no member can go back by its undo. Snapshots from before are in `backup_dir`."
  url  = "https://etcd.io/docs/v3.5/upgrades/upgrade_3_5/"
}
