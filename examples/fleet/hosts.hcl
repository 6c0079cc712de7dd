# Three names for this machine, so that the example needs no other. Real hosts have an `ssh` block:
#
#   host "h1" {
#     concurrency = 2
#     ssh {
#       address          = "h1.example.org"
#       user             = "deploy"
#       known_hosts_file = "known_hosts"
#     }
#   }

host "h1" {
  concurrency = 2
}

host "h2" {
  concurrency = 2
}

host "h3" {
  concurrency = 2
}
