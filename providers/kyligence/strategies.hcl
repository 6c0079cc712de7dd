# The strategies, and what replaces the software.

strategy "minor" {
  description = "Same main version: metadata is compatible. Backs it up, runs the upgrade script, verifies."
  use "prepare" {}
  use "drain" {}
  use "stop" {}
  use "back_up" {}
  use "upgrade" {}
  use "start" {}
  use "verify" {}
  use "finish" {}
}

strategy "main" {
  description = "Other main version: copies the cube data as well, and takes over what the script leaves."
  use "prepare" {}
  use "drain" {}
  use "stop" {}
  use "back_up" {}
  use "save_carry_over" {}
  use "upgrade" {}
  use "carry_over" {}
  use "start" {}
  use "default_source" {}
  use "verify" {}
  use "finish" {}
}

strategy "by_hand" {
  description = "There is no upgrade script: a person replaces the software between the backup and the start."
  use "prepare" {}
  use "drain" {}
  use "stop" {}
  use "back_up" {}
  use "replace_by_hand" {}
  use "start" {}
  use "default_source" {}
  use "verify" {}
  use "finish" {}
}

step_group "upgrade" {
  step "upgrade" {
    title = "Run the upgrade script"
    exec {
      shell       = "${local.prelude}\n${local.upgrade}"
      environment = merge(local.hop, local.node_environment["first"])
    }
    check {
      exec {
        shell       = "${local.prelude}\n${local.is_upgraded}"
        environment = merge(local.hop, local.node_environment["first"])
      }
    }
    undo {
      exec {
        shell       = "${local.prelude}\n${local.restore_home}"
        environment = merge(local.hop, local.node_environment["first"])
      }
      downtime = true
      timeout  = "1h"
    }
    downtime = true
    timeout  = "24h"
    estimate = "3m"
    note     = "its log is kept with the backups"
  }

  # After the first: it converts the metadata that they share.
  step "upgrade_others" {
    title    = "Run the upgrade script on the other nodes"
    for_each = { for name, environment in local.node_environment : name => environment if name != "first" }
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = "${local.prelude}\n${local.upgrade}"
      environment = merge(local.hop, each.value)
    }
    check {
      exec {
        shell       = "${local.prelude}\n${local.is_upgraded}"
        environment = merge(local.hop, each.value)
      }
    }
    undo {
      exec {
        shell       = "${local.prelude}\n${local.restore_home}"
        environment = merge(local.hop, each.value)
      }
      downtime = true
      timeout  = "1h"
    }
    downtime = true
    timeout  = "24h"
    estimate = "2m"
  }
}

step_group "save_carry_over" {
  step "save_carry_over" {
    title    = "Save the files that are taken over"
    when     = length(self.carry_over) > 0
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = local.save_carry_over
      environment = merge(local.hop, each.value)
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "1s"
  }
}

step_group "carry_over" {
  step "carry_over" {
    title    = "Take over what the upgrade script does not"
    when     = length(self.carry_over) > 0
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = local.carry_over
      environment = merge(local.hop, each.value)
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "5m"
    estimate   = "1s"
  }

  step "configure_by_hand" {
    title = "Configure Spark, Tomcat, Kerberos and the cluster"
    when  = self.pause_before_start
    manual {
      instructions = <<-END
        The upgrade script does not upgrade Spark or Tomcat for a main version. Before ${to.text} starts, configure in ${self.home}:
        1. Spark and Kerberos: "Integrate with Kerberos".
        2. Tomcat and the cluster: "Cluster Deployment and Load Balancing".
        The old configuration is in ${self.home}.backup.tar.gz.
      END
      url          = "https://docs.kyligence.io/books/v3.4/en/operation/upgrade/upgrade_script_ke.en.html"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    estimate   = "1h"
  }
}

step_group "replace_by_hand" {
  step "back_up_home" {
    title    = "Back up the installation"
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = local.back_up_home
      environment = merge(local.hop, each.value)
    }
    undo {
      exec {
        shell       = "${local.prelude}\n${local.restore_home}"
        environment = merge(local.hop, each.value)
      }
      downtime = true
      timeout  = "1h"
    }
    repeatable = true
    downtime   = true
    timeout    = "1h"
    estimate   = "1m"
  }

  step "replace" {
    title = "Replace the software"
    manual {
      instructions = <<-END
        There is no upgrade script for 3.3.0 and below. Everything is stopped and backed up; do this on every node (here: the first):
        1. New software is in ${self.home}.new-${to.text}, the old in ${self.home}. Do not copy the old conf folder over the new one.
        2. conf/profile: link it to profile_min where resources are limited; profile_prod is the default.
        3. conf/setenv.sh: make the old one's changes in the new one (up to KAP 2.3 the old one is bin/setenv.sh).
        4. conf/kylin_*.xml: copy them from the old to the new.
        5. conf/kylin.properties: rename the new one to kylin.properties.template and copy the old one there.
        6. Where the port was changed: copy tomcat/conf/server.xml. Redis for sessions and Kerberos: see the vendor's pages.
        7. Move ${self.home} away (its backup is ${local.keep}/first/home.tar.gz) and rename ${self.home}.new-${to.text} to ${self.home}.
        Do not start it. ${length(self.nodes) > 0 ? "Other nodes: ${join(", ", [for node in values(self.nodes) : node.home])}." : ""}
      END
      url          = "https://docs.kyligence.io/books/v3.4/en/appendix/upgrade_ke.en.html"
    }
    harmless   = true
    repeatable = true
    downtime   = true
    estimate   = "1h"
  }

  step "prove_replaced" {
    title    = "Check that the new version is in place, with the old configuration"
    for_each = local.node_environment
    on       = each.value.ON_HOST == "" ? null : each.value.ON_HOST
    exec {
      shell       = "${local.prelude}\n${local.prove_replaced}"
      environment = merge(local.hop, each.value)
    }
    harmless   = true
    repeatable = true
    downtime   = true
    timeout    = "1m"
    estimate   = "1s"
  }
}

locals {
  # `begun` says that metadata, cube data and home may be changed from here on: the undos look at it.
  upgrade = <<-END
    umask 077
    mkdir -p "$KEEP/$NODE"
    if [ ! -e "$KEEP/$NODE/begun" ] && [ -e "$NODE_HOME.backup.tar.gz" ]; then
      mv -- "$NODE_HOME.backup.tar.gz" "$NODE_HOME.backup.tar.gz.before-$FROM-to-$TO"
    fi
    : > "$KEEP/begun"
    : > "$KEEP/$NODE/begun"
    sync
    umask 022
    status=0
    "$UNPACKED/bin/upgrade.sh" "$NODE_HOME" --silent </dev/null || status=$?
    for logs in "$UNPACKED/logs" "$NODE_HOME/logs"; do
      for log in "$logs"/*upgrade*; do [ -f "$log" ] && cp -p -- "$log" "$KEEP/$NODE/"; done
    done
    [ "$status" -eq 0 ] || { echo "upgrade.sh ended with status $status; its log is in $KEEP/$NODE" >&2; exit "$status"; }
    [ "$(installed "$NODE_HOME")" = "$TO" ] || { echo "upgrade.sh ended well, but $NODE_HOME is of version $(installed "$NODE_HOME")" >&2; exit 1; }
    [ -s "$NODE_HOME.backup.tar.gz" ] || { echo "upgrade.sh has left no $NODE_HOME.backup.tar.gz" >&2; exit 1; }
  END

  is_upgraded = "[ \"$(installed \"$NODE_HOME\")\" = \"$TO\" ] && [ ! -e \"$UNPACKED\" ] && [ -s \"$NODE_HOME.backup.tar.gz\" ]"

  # The old home out of the script's backup, or ours. Where the script ended before it touched the home, it is left as it is.
  restore_home = <<-END
    tarball=$KEEP/$NODE/home.tar.gz
    [ -e "$tarball" ] || tarball=$NODE_HOME.backup.tar.gz
    if [ "$(installed "$NODE_HOME")" = "$FROM" ]; then
      echo "$NODE_HOME is of version $FROM still"
      exit 0
    fi
    if [ ! -e "$KEEP/$NODE/begun" ] || [ ! -e "$tarball" ]; then
      echo "$NODE_HOME is of version '$(installed "$NODE_HOME")', and no backup of $FROM is there" >&2
      exit 1
    fi
    left=$(processes)
    [ -z "$left" ] || { echo "still running: $left" >&2; exit 1; }
    parent=$(dirname -- "$NODE_HOME")
    rm -rf -- "$NODE_HOME.restoring"
    mkdir -- "$NODE_HOME.restoring"
    tar -zxf "$tarball" -C "$NODE_HOME.restoring"
    [ "$(installed "$NODE_HOME.restoring/$(basename -- "$NODE_HOME")")" = "$FROM" ] || { echo "$tarball does not hold version $FROM" >&2; exit 1; }
    rm -rf -- "$NODE_HOME"
    mv -- "$NODE_HOME.restoring/$(basename -- "$NODE_HOME")" "$NODE_HOME"
    rmdir -- "$NODE_HOME.restoring"
    echo "$NODE_HOME is of version $(installed "$NODE_HOME") again"
  END

  back_up_home = <<-END
    umask 077
    mkdir -p "$KEEP/$NODE"
    tar -czf "$KEEP/$NODE/home.tar.gz.part" -C "$(dirname -- "$NODE_HOME")" "$(basename -- "$NODE_HOME")"
    gzip -t "$KEEP/$NODE/home.tar.gz.part"
    : > "$KEEP/begun"
    : > "$KEEP/$NODE/begun"
    sync
    mv -- "$KEEP/$NODE/home.tar.gz.part" "$KEEP/$NODE/home.tar.gz"
  END

  prove_replaced = <<-END
    found=$(installed "$NODE_HOME")
    [ "$found" = "$TO" ] || { echo "$NODE_HOME is of version '$found', not $TO" >&2; exit 1; }
    # What the old home said of metadata and HDFS must be said again.
    tar -xzOf "$KEEP/$NODE/home.tar.gz" "$(basename -- "$NODE_HOME")/conf/kylin.properties" | sed -n '/^kylin.metadata.url=/p; /^kylin.env.hdfs-working-dir=/p' | while IFS= read -r line; do
      grep -qxF -- "$line" "$NODE_HOME/conf/kylin.properties" || { echo "conf/kylin.properties does not say what the old one said of $${line%%=*}" >&2; exit 1; }
    done
  END

  save_carry_over = <<-END
    umask 077
    printf '%s\n' "$CARRY_OVER" | while IFS= read -r file; do
      mkdir -p "$KEEP/$NODE/carry_over/$(dirname -- "$file")"
      cp -p -- "$NODE_HOME/$file" "$KEEP/$NODE/carry_over/$file"
    done
  END

  # The new version's own file stays beside it.
  carry_over = <<-END
    printf '%s\n' "$CARRY_OVER" | while IFS= read -r file; do
      if [ -e "$NODE_HOME/$file" ] && [ ! -e "$NODE_HOME/$file.of-$TO" ]; then cp -p -- "$NODE_HOME/$file" "$NODE_HOME/$file.of-$TO"; fi
      cp -p -- "$KEEP/$NODE/carry_over/$file" "$NODE_HOME/$file"
    done
  END
}
