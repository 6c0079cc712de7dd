# A point of no return in production asks for two people: the environment wants two approvals, and one of them is not who applies.
#
# settings: production = ["production"]  environments that this is about
package windlass.two_people

production := object.get(input, ["settings", "production"], ["production"])

asked(environment) if input.environments[environment].approval.required >= 2

deny contains objection if {
	some change in input.plan.changes
	change.environment in production
	some hop in change.hops
	is_number(object.get(hop, "point_of_no_return", null))
	not asked(change.environment)
	objection := {
		"id": "two_people",
		"msg": sprintf("%s goes past a point of no return, and %s does not ask for two approvals", [change.instance, change.environment]),
		"help": "write `approval { required = 2 }` into the environment, and let two people `windlass approve` the plan",
		"instance": change.instance,
		"owner_required": true,
	}
}
