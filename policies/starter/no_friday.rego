# No production change on a Friday, a Saturday or a Sunday: who could help is away.
#
# settings: production = ["production"]  environments that this is about
#           quiet_days = ["Friday", "Saturday", "Sunday"]
#           timezone   = "UTC"  where the days are counted
package windlass.no_friday

production := object.get(input, ["settings", "production"], ["production"])

quiet := object.get(input, ["settings", "quiet_days"], ["Friday", "Saturday", "Sunday"])

today := time.weekday([time.parse_rfc3339_ns(input.now), object.get(input, ["settings", "timezone"], "UTC")])

deny contains objection if {
	some change in input.plan.changes
	change.environment in production
	count(change.hops) > 0
	change.decision != "rollback"
	today in quiet
	objection := {
		"id": "no_friday",
		"msg": sprintf("it is %s, and %s is in %s", [today, change.instance, change.environment]),
		"help": "apply it on another day",
		"instance": change.instance,
		"owner_required": true,
	}
}
