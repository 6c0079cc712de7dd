# Which of several things goes to which host: one after another, so that each host gets as many as any other, or one fewer.

variable "names" {
  type        = list(string)
  description = "What is to be placed, in order."
  validation {
    condition     = length(distinct(var.names)) == length(var.names)
    error_message = "Each name may stand once."
  }
}

variable "hosts" {
  type        = list(string)
  description = "Names of hosts."
  validation {
    condition     = length(var.hosts) > 0
    error_message = "There must be a host to place anything on."
  }
}

output "placement" {
  description = "Name to host."
  value       = { for i, name in var.names : name => var.hosts[i % length(var.hosts)] }
}
