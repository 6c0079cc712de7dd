# No version in production that was not applied in test before, over the same hop: `from` and `to` are in test's lockfile.
#
# settings: production = ["production"]  environments that this is about
#           tested_in  = "test"  the environment that must have had it; one that is promoted from wins
package windlass.tested_first

production := object.get(input, ["settings", "production"], ["production"])

source(environment) := from if {
	from := object.get(input, ["environments", environment, "promote_from"], null)
	from != null
} else := object.get(input, ["settings", "tested_in"], "test")

verified(environment, provider, hop) if {
	some instance in object.get(input.applied, environment, {})
	instance.provider == provider
	some done in instance.hops
	done.from == hop.from
	done.to == hop.to
}

deny contains objection if {
	some change in input.plan.changes
	change.environment in production
	change.decision in {"install", "upgrade"}
	some hop in change.hops
	from := source(change.environment)
	not verified(from, change.provider, hop)
	objection := {
		"id": "tested_first",
		"msg": sprintf("%s has not been from %s to %s in %s", [change.provider, shown(hop.from), shown(hop.to), from]),
		"help": sprintf("apply the same hop in %s first", [from]),
		"instance": change.instance,
		"owner_required": true,
	}
}

shown(version) := "nothing" if version == null

else := version
