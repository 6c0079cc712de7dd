# Production has a window, what is planned fits into what is left of it, and who waives the window answers for it by name.
#
# settings: production = ["production"]  environments that this is about
package windlass.window_respected

production := object.get(input, ["settings", "production"], ["production"])

touched contains environment if {
	some change in input.plan.changes
	count(change.hops) > 0
	environment := change.environment
	environment in production
}

deny contains objection if {
	some environment in touched
	count(object.get(input, ["environments", environment, "windows"], [])) == 0
	objection := {
		"id": "window_respected",
		"msg": sprintf("%s has no window", [environment]),
		"help": "add a `window` block to the environment",
		"environment": environment,
		"owner_required": true,
	}
}

# Windows are only left while they are open: a plan may be made at any time.
deny contains objection if {
	some gate in input.plan.gates
	gate.kind == "window"
	gate.environment in touched
	gate.open
	left := (time.parse_rfc3339_ns(gate.closes) - time.parse_rfc3339_ns(input.now)) / 1000000000
	input.estimate.seconds > left
	objection := {
		"id": "window_respected",
		"msg": sprintf("it takes about %d min, and the window of %s is open for %d min more", [
			ceil(input.estimate.seconds / 60),
			gate.environment,
			floor(left / 60),
		]),
		"help": "wait for the next window: windlass apply --wait; or apply a part with --target",
		"environment": gate.environment,
		"owner_required": true,
	}
}

deny contains objection if {
	some waiver in input.waivers
	waiver.name == "window"
	not waiver.expired
	object.get(waiver, "owner", null) == null
	some environment in touched
	object.get(waiver, "environment", null) in {null, environment}
	objection := {
		"id": "window_respected",
		"msg": sprintf("the window of %s is waived, and nobody answers for it", [environment]),
		"help": "write `owner = \"…\"` into the waiver \"window\"",
		"environment": environment,
		"owner_required": true,
	}
}
