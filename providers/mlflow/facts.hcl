# What is observed. The server is asked through its API: a server with a broken dependency answers /version and /health as if
# nothing were wrong, and every API call with an error.

fact "installed" {
  description = "Version of the virtual environment that `current` leads to."
  drift       = true
  file {
    action = "stat"
    path   = local.current
  }
  value = result.exists ? basename(result.target) : null
}

fact "running" {
  description = "Whether the server's process runs."
  process {
    action   = "status"
    pid_file = local.pid_file
  }
  value = result.running
}

fact "address" {
  description = "Address that the start script makes the server listen on; null where there is none. A change of the settings may be about to change it."
  file {
    path = local.launcher
  }
  value = result.exists ? join(":", regex("--host '?([^' ]+)'? --port ([0-9]+)", result.content)) : null
}

fact "served" {
  description = "Version that the running server reports."
  when        = fact.running
  timeout     = "10s"
  http {
    url     = "http://${local.address_now}/version"
    timeout = "5s"
  }
  value = trimspace(result.body)
}

fact "version" {
  description = "Version that runs; where nothing answers, the one installed."
  value       = try(fact.served, null) == null ? fact.installed : fact.served
}

fact "api_status" {
  description = "HTTP status of a search for experiments, which needs the database and every dependency."
  when        = fact.running
  timeout     = "20s"
  http {
    method  = "POST"
    url     = "http://${local.address_now}/api/2.0/mlflow/experiments/search"
    json    = { max_results = 1 }
    expect  = "any"
    timeout = "15s"
  }
  value = result.status
}

fact "healthy" {
  description = "Whether the API answers a search for experiments."
  value       = fact.running && try(fact.api_status, 0) == 200
}

fact "schema" {
  description = "Revision of the database schema (`alembic_version`); null where there is no database yet."
  when        = fact.installed != null
  timeout     = "30s"
  exec {
    command     = ["${local.current}/bin/python", "-c", local.read_schema]
    environment = merge(local.environment, { URI = self.backend_store_uri })
    secrets     = self.backend_store_password == null ? {} : { PGPASSWORD = self.backend_store_password }
  }
  value = trimspace(result.stdout) == "" ? null : trimspace(result.stdout)
}

fact "launcher" {
  description = "The script that starts the server, as it is on the host."
  drift       = true
  file {
    path = local.launcher
  }
  value = result.exists ? result.sha256 : null
}

fact "disk_free" {
  description = "Free bytes where the software and its backups go."
  disk_space {
    path = self.home
  }
  value = result.free
}

fact "database_size" {
  description = "Bytes of the SQLite database."
  when        = local.sqlite
  file {
    action = "stat"
    path   = local.database
  }
  value = result.exists ? result.size : 0
}

locals {
  # Prints nothing where there is no database. A SQLite file is not created by looking.
  read_schema = <<-END
    import os, sys
    uri = os.environ["URI"]
    if uri.startswith("sqlite:///") and not os.path.exists(uri[len("sqlite:///"):]):
        sys.exit(0)
    import sqlalchemy
    with sqlalchemy.create_engine(uri).connect() as connection:
        if sqlalchemy.inspect(connection).has_table("alembic_version"):
            print(connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar())
  END
}

preflight "disk_space" {
  movements = ["upgrade"]
  when      = local.sqlite
  pass      = fact.disk_free > 2 * fact.database_size + 400 * 1024 * 1024
  message   = "${floor(fact.disk_free / 1048576)} MiB are free under ${self.home}; a second virtual environment and a backup of the database need up to ${floor((2 * fact.database_size) / 1048576) + 400} MiB"
  remedy    = "make room, or move `backup_dir` to another file system and add a waiver for `disk_space`"
  waivable  = true
}

preflight "healthy_before" {
  movements = ["upgrade"]
  when      = fact.running
  pass      = fact.healthy
  message   = "the running server does not answer its API (HTTP status ${try(fact.api_status, "none")})"
  remedy    = "repair it first (see ${local.log_file}): an upgrade of a broken server cannot be told from a broken upgrade"
  severity  = "fail"
  waivable  = true
}

note "schema_migration" {
  versions  = ">= 2.0"
  movements = ["upgrade"]
  text      = "The database schema is migrated (`mlflow db upgrade`). MLflow has no downgrade: rolling back restores the backup, and runs recorded since the upgrade are lost."
  url       = "https://mlflow.org/docs/latest/self-hosting/migration/"
}
