# Kyligence Enterprise in two environments: one node for tests, a cluster of two for production. Production takes a version only after
# the same upgrade was applied and verified in the test environment.

variable "clusters" {
  type        = string
  description = "Folder that has the simulated clusters `test` and `production`."
}

variable "urls" {
  type        = map(string)
  description = "Where `test`, `production` and the second node of production, `second`, are reached."
}

variable "kits" {
  type = object({
    folder = string
    sha256 = map(string)
  })
  description = "Folder of the installation packages, and their checksums by version."
}

variable "password" {
  type        = string
  sensitive   = true
  description = "Password of ADMIN."
}

locals {
  kyligence      = "3.2.4"
  without_script = "refuse"

  # What every upgrade is verified by: a query, and a segment that is built or refreshed.
  verify = {
    project = "learn_kylin"
    sql     = "select count(*) from kylin_sales"
    cube    = "kylin_sales_cube"
    start   = 1356998400000
    end     = 1357084800000
  }
}

release "kyligence" "3.4.5" {
  artifact = "${var.kits.folder}/Kyligence-Enterprise-3.4.5.tar.gz"
  sha256   = var.kits.sha256["3.4.5"]
}

environment "test" {}

environment "production" {
  promote_from = environment.test
  on_failure   = "halt"
}

instance "kyligence" "test" {
  environment    = environment.test
  version        = local.kyligence
  home           = "${var.clusters}/test/a/kyligence"
  url            = var.urls.test
  java_home      = "${var.clusters}/test/a/jdk"
  hadoop_bin     = "${var.clusters}/test/hadoop/bin"
  password       = var.password
  without_script = local.without_script
  verify         = local.verify
}

instance "kyligence" "production" {
  environment    = environment.production
  version        = local.kyligence
  home           = "${var.clusters}/production/a/kyligence"
  url            = var.urls.production
  java_home      = "${var.clusters}/production/a/jdk"
  hadoop_bin     = "${var.clusters}/production/hadoop/bin"
  password       = var.password
  without_script = local.without_script
  verify         = local.verify
  nodes = {
    b = {
      home      = "${var.clusters}/production/b/kyligence"
      url       = var.urls.second
      java_home = "${var.clusters}/production/b/jdk"
    }
  }
}
