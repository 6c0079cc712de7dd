# Within a major version: other programs on the same cluster.

route "minor" {
  movement = "upgrade"
  when     = to.major == from.major
  strategy = "minor"
  downtime = "3s"
  risk     = 1
}

strategy "minor" {
  description = "Restarts the cluster with the programs of another minor version."

  use "programs" {}

  use "prove_served" {}

  use "stop" {}

  use "rewrite_configuration" {}

  step "switch_programs" {
    title = "Make the new programs the current ones"
    file {
      action = "symlink"
      path   = local.current
      target = "versions/${to.text}"
    }
    undo {
      file {
        action = "symlink"
        path   = local.current
        target = "versions/${from.text}"
      }
      downtime = true
    }
    repeatable = true
    downtime   = true
  }

  use "serve" {}

  use "create_databases" {}
}
