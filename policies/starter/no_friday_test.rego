package windlass.no_friday_test

import data.windlass.no_friday

on(now, environment, decision, settings) := {
	"now": now,
	"settings": settings,
	"plan": {"changes": [{"instance": "db.main", "environment": environment, "decision": decision, "hops": [{}]}]},
}

test_friday_is_denied if {
	count(no_friday.deny) == 1 with input as on("2026-11-20T12:00:00Z", "production", "upgrade", {})
}

test_monday_is_not if {
	count(no_friday.deny) == 0 with input as on("2026-11-23T12:00:00Z", "production", "upgrade", {})
}

test_other_environments_are_free if {
	count(no_friday.deny) == 0 with input as on("2026-11-20T12:00:00Z", "test", "upgrade", {})
}

test_going_back_is_never_held if {
	count(no_friday.deny) == 0 with input as on("2026-11-20T12:00:00Z", "production", "rollback", {})
}

test_days_are_those_of_the_time_zone if {
	count(no_friday.deny) == 1 with input as on("2026-11-19T23:30:00Z", "production", "upgrade", {"timezone": "Europe/Paris"})
}

test_days_and_environments_can_be_set if {
	count(no_friday.deny) == 1 with input as on("2026-11-23T12:00:00Z", "live", "upgrade", {"production": ["live"], "quiet_days": ["Monday"]})
}
