# What the fuzz targets load a provider with, and plan a lockfile with.
variable "version" {
  type    = string
  default = "2.0.0"
}

environment "test" {
  on_failure  = "rollback"
  concurrency = 4
}

environment "production" {
  promote_from = environment.test
  soak         = "1h"
  rollout {
    canary = 1
    batch  = 2
    soak   = "10m"
  }
}

host "h" {
  attributes = { disk = "large" }
}

instance "app" "base" {
  environment = environment.test
  version     = var.version
  root        = "/srv/base"
}

instance "app" "many" {
  for_each    = toset(["a", "b", "c"])
  environment = environment.production
  host        = host.h
  version     = "1.1.0"
  root        = "/srv/${each.key}"
  token       = "secret"
  depends_on  = [instance.app.base]
}
