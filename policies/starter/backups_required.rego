# Whoever changes a version in production has a backup: the move makes one, or a verified one of the version that is there is young
# enough.
#
# settings: production   = ["production"]  environments that this is about
#           backup_hours = 24  how old a recorded backup may be
package windlass.backups_required

production := object.get(input, ["settings", "production"], ["production"])

hours := object.get(input, ["settings", "backup_hours"], 24)

# A step of the first hop that calls the driver `backup`, or whose undo puts data back.
makes_one(change) if {
	some index in change.hops[0].actions
	call := input.plan.actions[index].kind.step.call
	call.driver == "backup"
}

makes_one(change) if {
	some index in change.hops[0].actions
	input.plan.actions[index].undo.call.restores_data
}

has_one(change) if {
	some backup in object.get(input.applied, [change.environment, change.instance, "backups"], [])
	backup.verified
	backup.version == change.from
	age := time.parse_rfc3339_ns(input.now) - time.parse_rfc3339_ns(backup.at)
	age <= hours * 3600 * 1000000000
}

deny contains objection if {
	some change in input.plan.changes
	change.environment in production
	change.decision == "upgrade"
	count(change.hops) > 0
	not makes_one(change)
	not has_one(change)
	objection := {
		"id": "backups_required",
		"msg": sprintf("%s is moved from %s to %s without a backup", [change.instance, change.from, change.to]),
		"help": sprintf("back it up first: windlass backup run %s; then verify it: windlass backup verify %s", [change.instance, change.instance]),
		"instance": change.instance,
		"owner_required": true,
	}
}
