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

  use "switch_programs" {
    downtime = true
  }

  use "serve" {
    downtime = true
  }

  use "create_databases" {}
}
