# A node that is not there yet: installed new, as a clone of another one, or with the projects of another one.

route "install" {
  movement = "install"
  when     = self.clone_of == null && self.import_from == null
  strategy = "install"
}

route "clone" {
  movement = "install"
  when     = self.clone_of != null
  strategy = "clone"
  risk     = 20
  note     = "the old node is stopped for the second pass of the copy, and started again"
}

route "export_import" {
  movement = "install"
  when     = self.import_from != null
  strategy = "export_import"
  risk     = 50
}

fact "source" {
  description = "Version of the node that this one is cloned or imported from."
  when        = self.clone_of != null || self.import_from != null
  file {
    path  = "${local.source_dir}/dss-version.json"
    parse = "json"
  }
  value = result.exists ? result.json.product_version : null
}

fact "source_ini" {
  description = "`install.ini` of that node."
  when        = try(fact.source, null) != null
  file {
    path     = "${local.source_dir}/install.ini"
    parse    = "properties"
    required = true
  }
  value = result.properties
}

fact "source_running" {
  description = "Whether that node runs."
  when        = try(fact.source, null) != null
  timeout     = "20s"
  exec {
    command = ["${local.source_dir}/bin/dss", "status"]
    success = "any"
  }
  value = result.exit_code == 0
}

fact "free_block" {
  description = "First port of a free block of 10, between `port_from` and `port_to` of `clone_of`; the ports of the old node are never in it."
  when        = fact.version == null && self.clone_of != null && try(fact.source_ini, null) != null
  ports {
    action  = "find_free"
    from    = self.clone_of.port_from
    to      = self.clone_of.port_to
    count   = 10
    exclude = range(tonumber(fact.source_ini["server.port"]), tonumber(fact.source_ini["server.port"]) + 10)
  }
  value = result.first
}

fact "busy_ports" {
  description = "Which ports of the node's block of 10 are taken by something else, while the node is not there."
  when        = fact.version == null && self.clone_of == null
  ports {
    action = "check"
    ports  = range(self.port, self.port + 10)
  }
  value = result.busy
}

locals {
  source_dir = self.clone_of != null ? self.clone_of.data_dir : try(self.import_from.data_dir, "")
}

preflight "ports" {
  movements = ["install"]
  when      = self.clone_of == null
  pass      = length(fact.busy_ports) == 0
  message   = "each node needs a block of 10 consecutive TCP ports of its own; of ${self.port} to ${self.port + 9} these are taken: ${join(", ", [for port in try(fact.busy_ports, []) : tostring(port)])}"
  remedy    = "choose another `port`"
}

preflight "source" {
  movements = ["install"]
  when      = self.clone_of != null || self.import_from != null
  pass      = try(fact.source, null) != null
  message   = "there is no DSS node in ${local.source_dir}"
  remedy    = "give the data directory of a node on the same host"
}

preflight "source_version" {
  movements = ["install"]
  when      = self.clone_of != null && try(fact.source, null) != null
  pass      = version_compare(fact.source, to.text) <= 0
  message   = "the node in ${local.source_dir} is of ${try(fact.source, "")}, which is newer than ${to.text}: copying a data directory to an older version is not supported"
  remedy    = "declare the clone with version ${try(fact.source, "")} or later"
}

preflight "source_runs" {
  movements = ["install"]
  when      = self.import_from != null && try(fact.source, null) != null
  pass      = fact.source_running
  message   = "the node in ${local.source_dir} does not run, so that its projects cannot be exported"
  remedy    = "start it"
}

preflight "free_block" {
  movements = ["install"]
  when      = self.clone_of != null && try(fact.source, null) != null
  pass      = can(fact.free_block + 0)
  message   = "there is no free block of 10 ports between ${try(self.clone_of.port_from, "")} and ${try(self.clone_of.port_to, "")}"
  remedy    = "widen the range"
}

preflight "declared_port" {
  movements = ["install"]
  when      = self.clone_of != null && can(fact.free_block + 0)
  pass      = fact.free_block == self.port
  severity  = "warn"
  message   = "the clone gets the ports ${try(fact.free_block, "")} to ${try(fact.free_block + 9, "")}; declared is ${self.port}"
  remedy    = "set `port = ${try(fact.free_block, "")}` afterwards, or the next plan moves the clone to ${self.port}"
}

strategy "install" {
  description = "Unpacks the kit, makes a new data directory, starts the node."

  use "kit" {}
  use "new_data_dir" {}
  use "begin" {}
}

strategy "clone" {
  description = "Copies the data directory of another node, moves it to ports, an `installid` and a metrics prefix of its own, switches its scenarios off, upgrades and starts it. The other node goes on."

  use "kit" {}

  step "copy_first_pass" {
    title = "Copy the data directory, first pass, while the old node serves"
    exec {
      shell       = local.copy
      environment = { FROM = local.source_dir, TO = self.data_dir }
    }
    undo {
      exec {
        shell       = "if [ -e \"$TO\" ] && [ ! -e \"$TO/bin/.windlass-cloned\" ]; then rm -rf -- \"$TO\"; elif [ -e \"$TO\" ]; then mv -T -- \"$TO\" \"$TO.undone.$(date +%Y%m%d-%H%M%S)\"; fi"
        environment = { TO = self.data_dir }
      }
      timeout = "1h"
    }
    repeatable = true
    privileged = true
    timeout    = "24h"
    estimate   = "5m"
  }

  step "stop_source" {
    title = "Stop the old node, so that the copy is consistent"
    when  = fact.source_running
    exec {
      shell       = "\"$DSS\" stop; if \"$DSS\" status >/dev/null 2>&1; then echo 'it is still running' >&2; exit 1; fi"
      environment = { DSS = "${local.source_dir}/bin/dss" }
      user        = self.run_as
      directory   = "/"
    }
    undo {
      exec {
        command   = ["${local.source_dir}/bin/dss", "start"]
        user      = self.run_as
        directory = "/"
      }
      timeout = "10m"
    }
    repeatable = true
    privileged = true
    timeout    = "10m"
    estimate   = "10s"
    note       = "downtime of the old node, until it is started again two steps later"
  }

  step "copy_rest" {
    title = "Copy what has changed since"
    exec {
      shell       = local.copy
      environment = { FROM = local.source_dir, TO = self.data_dir }
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "24h"
    estimate   = "10s"
  }

  step "start_source" {
    title = "Start the old node again"
    when  = fact.source_running
    exec {
      command   = ["${local.source_dir}/bin/dss", "start"]
      user      = self.run_as
      directory = "/"
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "15m"
    estimate   = "60s"
  }

  step "separate" {
    title = "Give the clone ports, an installid and a metrics prefix of its own"
    exec {
      shell = <<-SH
        ${local.set_option}
        # A copy that was made while the old node ran has its process file, which means nothing here.
        rm -f "$TO/run/supervisord.pid"
        : > "$TO/bin/.windlass-cloned"
        set_option "$TO/install.ini" server port "$PORT"
        [ "$(awk -F' = ' '$1 == "installid" { print $2 }' "$FROM/install.ini")" != "$(awk -F' = ' '$1 == "installid" { print $2 }' "$TO/install.ini")" ] ||
          set_option "$TO/install.ini" general installid "$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')"
        [ -z "$PREFIX" ] || set_option "$TO/install.ini" collectd prefix "$PREFIX"
        rm -rf "$TO/pyenv"
      SH
      environment = {
        FROM   = local.source_dir
        TO     = self.data_dir
        PORT   = tostring(fact.free_block)
        PREFIX = local.clone_prefix
      }
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "5m"
    note       = "the Python environment belongs to its place: the installer makes it anew"
  }

  # On the disk, before the first start: a scheduler that runs for a second could do harm already.
  step "scenarios_off" {
    title = "Switch the scenarios of the clone off"
    exec {
      command     = ["${local.source_dir}/bin/python", "-c", local.scenarios_off]
      environment = { DATA_DIR = self.data_dir }
      parse       = "lines"
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "30m"
  }

  step "upgrade" {
    title = "Attach the clone to the new software and upgrade it"
    exec {
      command   = concat(["${local.new_kit}/installer.sh", "-d", self.data_dir, "-u"], self.base_python == null ? [] : ["-P", self.base_python])
      stdin     = "y\n"
      user      = self.run_as
      directory = "/"
    }
    check {
      exec {
        shell       = "grep -q \"\\\"product_version\\\": *\\\"$VERSION\\\"\" \"$DATA_DIR/dss-version.json\" && grep -q \"$KIT\" \"$DATA_DIR/bin/env-default.sh\""
        environment = { VERSION = to.text, KIT = local.new_kit, DATA_DIR = self.data_dir }
      }
    }
    harmless   = true
    privileged = true
    timeout    = "12h"
    estimate   = "1m"
  }

  step "start" {
    title = "Start the clone"
    exec {
      command   = [local.dss, "start"]
      user      = self.run_as
      directory = "/"
    }
    undo {
      exec {
        command   = [local.dss, "stop"]
        user      = self.run_as
        directory = "/"
      }
      timeout = "10m"
    }
    repeatable = true
    privileged = true
    timeout    = "15m"
    estimate   = "60s"
  }

  step "verify" {
    title = "Wait until the clone answers"
    http {
      url     = "http://${local.address}:${fact.free_block}/dip/publicapi/instance-info"
      basic   = local.key
      until   = { status = local.served }
      timeout = self.start_timeout
    }
    harmless   = true
    repeatable = true
    timeout    = "24h"
  }
}

strategy "export_import" {
  description = "Makes an empty node, exports the projects of the old one and imports them. What an export does not hold is lost."

  use "kit" {}
  use "new_data_dir" {}
  use "begin" {}

  step "move_projects" {
    title = "Export the projects of the old node and import them"
    exec {
      shell = <<-SH
        scratch=$(mktemp -d)
        trap 'rm -rf "$scratch"' EXIT
        if [ -n "$PROJECTS" ]; then printf '%s\n' $PROJECTS; else "$OLD" projects-list --no-header | awk '{ print $1 }'; fi > "$scratch/keys"
        "$NEW" projects-list --no-header | awk '{ print $1 }' > "$scratch/there"
        while read -r key; do
          if grep -qx -- "$key" "$scratch/there"; then echo "$key is there already"; continue; fi
          "$OLD" project-export "$key" "$scratch/$key.zip"
          "$NEW" project-import "$scratch/$key.zip"
          rm -f "$scratch/$key.zip"
        done < "$scratch/keys"
      SH
      environment = {
        OLD      = "${local.source_dir}/bin/dsscli"
        NEW      = "${self.data_dir}/bin/dsscli"
        PROJECTS = join(" ", try(self.import_from.projects, []))
      }
      user      = self.run_as
      directory = "/"
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "24h"
    estimate   = "10m"
  }
}

step_group "new_data_dir" {
  step "install" {
    title = "Make the data directory"
    exec {
      command = concat(
        ["${local.new_kit}/installer.sh", "-d", self.data_dir, "-p", tostring(self.port), "-t", self.node_type],
        self.license_file == null ? [] : ["-l", self.license_file],
        self.base_python == null ? [] : ["-P", self.base_python],
      )
      user      = self.run_as
      directory = "/"
    }
    check {
      exec {
        shell       = "test -f \"$DATA_DIR/bin/env-default.sh\" && test ! -e \"$DATA_DIR/DSS-INITIAL-INSTALL-IN-PROGRESS.txt\""
        environment = { DATA_DIR = self.data_dir }
      }
    }
    undo {
      file {
        action    = "remove"
        path      = self.data_dir
        recursive = true
        keep      = true
      }
    }
    privileged = true
    timeout    = "1h"
    estimate   = "1m"
  }

  step "configure" {
    title = "Set the options of install.ini and the database of a govern node"
    exec {
      shell       = local.configure
      environment = local.configuration
      secrets     = self.postgres_password == null ? {} : { PG_PASSWORD = self.postgres_password }
      user        = self.run_as
      directory   = "/"
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "10m"
  }

  step "make_api_key" {
    title = "Register the API key, where one is declared"
    exec {
      command     = ["${self.data_dir}/bin/python", "-c", local.register_key]
      environment = { DATA_DIR = self.data_dir }
      secrets     = { API_KEY = self.api_key == null ? "" : self.api_key }
      user        = self.run_as
      directory   = "/"
    }
    harmless   = true
    repeatable = true
    privileged = true
    timeout    = "1m"
  }
}

step_group "begin" {
  step "start" {
    title = "Start DSS"
    exec {
      command   = [local.dss, "start"]
      user      = self.run_as
      directory = "/"
    }
    undo {
      exec {
        command   = [local.dss, "stop"]
        user      = self.run_as
        directory = "/"
      }
      timeout = "10m"
    }
    repeatable = true
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
    timeout    = "24h"
  }
}

locals {
  old_prefix   = try(fact.source_ini["collectd.prefix"], "")
  clone_prefix = try(self.clone_of.graphite_prefix, null) != null ? self.clone_of.graphite_prefix : local.old_prefix == "" ? "" : "${local.old_prefix}.${instance.file_name}"

  # rsync makes the second pass short; without it, everything is copied again (as a reflink where the file system has them).
  copy = <<-SH
    if [ -e "$TO/dss-version.json" ] && [ "$(cat "$TO/dss-version.json")" != "$(cat "$FROM/dss-version.json")" ]; then
      echo "$TO holds a data directory of another version: copying between distinct versions is not supported" >&2
      exit 1
    fi
    if command -v rsync >/dev/null; then
      rsync -aHS --delete "$FROM/" "$TO/" || [ $? = 24 ]
    else
      rm -rf -- "$TO"
      cp -a --reflink=auto -- "$FROM" "$TO" || { [ -e "$FROM/run/supervisord.pid" ] && echo "some files changed meanwhile: the second pass copies them"; }
    fi
  SH

  scenarios_off = <<-SH
    import glob, json, os
    home = os.environ["DATA_DIR"]
    listed = os.path.join(home, "config", "windlass-scenarios-off.txt")
    off = open(listed).read().split() if os.path.exists(listed) else []
    for path in sorted(glob.glob(os.path.join(home, "config", "projects", "*", "scenarios", "*.json"))):
        with open(path) as file:
            scenario = json.load(file)
        if not scenario.get("active"):
            continue
        scenario["active"] = False
        status, temporary = os.stat(path), path + ".windlass"
        with open(temporary, "w") as file:
            json.dump(scenario, file, indent=2)
        os.chown(temporary, status.st_uid, status.st_gid)
        os.chmod(temporary, status.st_mode & 0o7777)
        off.append(path.split(os.sep)[-3] + "." + os.path.basename(path)[:-len(".json")])
        with open(listed, "w") as file:
            file.write("\n".join(off) + "\n")
        os.replace(temporary, path)
    print("\n".join(off))
  SH

  register_key = <<-SH
    import json, os
    path = os.path.join(os.environ["DATA_DIR"], "config", "public-apikeys.json")
    keys = json.load(open(path)) if os.path.exists(path) else []
    if os.environ["API_KEY"] and all(key.get("key") != os.environ["API_KEY"] for key in keys):
        keys.append({"id": "windlass", "key": os.environ["API_KEY"], "label": "Windlass", "globalPermissions": {"admin": True}})
        with open(path + ".windlass", "w") as file:
            os.fchmod(file.fileno(), 0o600)
            json.dump(keys, file, indent=2)
        os.replace(path + ".windlass", path)
  SH

  configure = <<-SH
    ${local.set_option}
    [ -z "$NODE_ID" ] || set_option "$DATA_DIR/install.ini" general nodeid "$NODE_ID"
    [ -z "$PREFIX" ] || set_option "$DATA_DIR/install.ini" collectd prefix "$PREFIX"
    set_option "$DATA_DIR/install.ini" server port "$PORT"
    "$DATA_DIR/bin/dssadmin" regenerate-config
    if [ -n "$PG_URL" ]; then
      properties="$DATA_DIR/config/dip.properties"
      grep -v '^psql[.]jdbc[.]' "$properties" > "$properties.windlass" || true
      { echo "psql.jdbc.url=$PG_URL"; echo "psql.jdbc.user=$PG_USER"; echo "psql.jdbc.password=$${PG_PASSWORD:-}"; } >> "$properties.windlass"
      chmod 600 "$properties.windlass"
      mv "$properties.windlass" "$properties"
      "$DATA_DIR/bin/govern-admin" init-db
    fi
  SH
  configuration = {
    DATA_DIR = self.data_dir
    NODE_ID  = self.node_id == null ? "" : self.node_id
    PREFIX   = self.graphite_prefix == null ? "" : self.graphite_prefix
    PORT     = tostring(self.port)
    PG_URL   = self.postgres == null ? "" : "jdbc:postgresql://${self.postgres.host}:${self.postgres.port}/${self.postgres.database}"
    PG_USER  = self.postgres == null ? "" : self.postgres.user
  }
}
