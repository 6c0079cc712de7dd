# Three versions are told apart: the server's, the cluster's (PG_VERSION) and the installed programs'.

fact "installed" {
  description = "Version of the programs that `current` leads to."
  drift       = true
  file {
    action = "stat"
    path   = local.current
  }
  value = result.exists ? basename(result.target) : null
}

fact "port" {
  description = "Port of the running server (`postmaster.pid`); the declared one where none runs."
  file {
    path  = "${self.data_dir}/current/postmaster.pid"
    parse = "lines"
  }
  value = result.exists && length(result.exists ? result.lines : []) > 3 ? tonumber(result.lines[3]) : self.port
}

fact "running" {
  description = "Whether the server accepts connections, or says that it is starting or stopping."
  when        = fact.installed != null
  timeout     = "15s"
  exec {
    command     = ["${local.current}/bin/pg_isready", "--host", self.socket_dir, "--port", tostring(fact.port), "--timeout", "5"]
    environment = local.environment
    success     = [0, 1, 2]
  }
  value = result.exit_code < 2
}

fact "server" {
  description = "What the running server says about itself."
  when        = fact.running == true
  timeout     = "30s"
  exec {
    command = concat(["${local.current}/bin/psql"], local.ask_old, ["--command", <<-SQL
      SELECT json_build_object(
        'version', split_part(current_setting('server_version'), ' ', 1),
        'data_checksums', current_setting('data_checksums') = 'on',
        'bytes', (SELECT sum(pg_database_size(oid)) FROM pg_database),
        'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE NOT datistemplate),
        'prepared_transactions', (SELECT count(*) FROM pg_prepared_xacts),
        'in_recovery', pg_is_in_recovery())
    SQL
    ])
    environment = local.environment
    parse       = "json"
  }
  value = result.json
}

fact "version" {
  description = "Version of the running server; where it does not run, of the installed programs."
  value       = try(fact.server.version, fact.installed)
}

fact "healthy" {
  description = "Whether the server answers a query."
  value       = fact.running == true && try(fact.server.version, null) != null
}

fact "cluster_version" {
  description = "Major version that the data directory is of (`PG_VERSION`)."
  drift       = true
  file {
    path = "${self.data_dir}/current/PG_VERSION"
  }
  value = result.exists ? trimspace(result.content) : null
}

fact "data_checksums" {
  description = "Whether the cluster has data checksums; asked of the files, so that the server need not run."
  when        = fact.cluster_version != null
  exec {
    command     = ["${local.current}/bin/pg_controldata", "${self.data_dir}/current"]
    environment = local.environment
  }
  value = length(regexall("Data page checksum version: +[1-9]", result.stdout)) > 0
}

fact "configuration" {
  description = "Digest of `postgresql.conf`."
  drift       = true
  when        = fact.cluster_version != null
  file {
    path = "${self.data_dir}/current/postgresql.conf"
  }
  value = result.sha256
}

fact "access" {
  description = "Digest of `pg_hba.conf`."
  drift       = true
  when        = fact.cluster_version != null
  file {
    path = "${self.data_dir}/current/pg_hba.conf"
  }
  value = result.sha256
}

fact "disk_free" {
  description = "Free bytes where the clusters are."
  disk_space {
    path = self.data_dir
  }
  value = result.free
}

preflight "running" {
  movements = ["upgrade"]
  pass      = fact.running == true
  message   = "the server does not run, so that what is in it cannot be checked"
  remedy    = "start it, and see ${local.log_file} where it does not"
}

preflight "disk_space" {
  movements = ["upgrade"]
  when      = to.major > from.major && !self.link
  pass      = fact.disk_free > fact.server.bytes + 256 * 1024 * 1024
  message   = "${floor(fact.disk_free / 1048576)} MiB are free under ${self.data_dir}; the copy of the cluster needs ${floor(fact.server.bytes / 1048576) + 256} MiB"
  remedy    = "make room, or set `link = true`, which copies nothing and has no way back"
  waivable  = true
}

preflight "prepared_transactions" {
  movements = ["upgrade"]
  when      = to.major > from.major
  pass      = fact.server.prepared_transactions == 0
  message   = "${fact.server.prepared_transactions} prepared transaction(s) are open; pg_upgrade refuses them"
  remedy    = "COMMIT PREPARED or ROLLBACK PREPARED them; they are listed in pg_prepared_xacts"
}

preflight "cluster_matches" {
  movements = ["upgrade"]
  pass      = fact.cluster_version == tostring(from.major)
  message   = "the data directory is of version ${fact.cluster_version}, the server of ${from.text}"
  remedy    = "let `${self.data_dir}/current` lead to the cluster that the server uses"
}

blocked "standby" {
  from   = ">= 0"
  when   = try(fact.server.in_recovery, false)
  reason = "the server is a standby: upgrade its primary, then build the standby anew"
  url    = "https://www.postgresql.org/docs/current/pgupgrade.html"
}

note "data_checksums" {
  versions = ">= 18"
  when     = from.major < 18 && fact.data_checksums == false
  text     = "Clusters of 18 have data checksums by default; this one has none and stays so. `pg_checksums --enable` turns them on while the server is stopped."
  url      = "https://www.postgresql.org/docs/18/release-18.html"
}

note "old_cluster" {
  when      = to.major > from.major && !self.link
  text      = "The cluster of ${from.text} stays in ${local.old_cluster}: it is the way back. Remove it once nobody needs that any more. Rolling back loses what was written since the upgrade."
  follow_up = true
}

note "reindex_and_statistics" {
  when = to.major > from.major
  text = "Statistics are gathered again after the start (`vacuumdb --analyze-in-stages`); queries may be slow until then."
  url  = "https://www.postgresql.org/docs/current/pgupgrade.html"
}
