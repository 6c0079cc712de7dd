package windlass.tested_first_test

import data.windlass.tested_first

moving(from, to, done) := {
	"settings": {},
	"environments": {"production": {"promote_from": null}},
	"applied": {"test": {"db.t": {"provider": "db", "version": "2", "hops": done}}},
	"plan": {"changes": [{
		"instance": "db.main", "provider": "db", "environment": "production",
		"decision": "upgrade", "hops": [{"from": from, "to": to}],
	}]},
}

test_a_hop_that_test_had_passes if {
	count(tested_first.deny) == 0 with input as moving("1", "2", [{"from": "1", "to": "2"}])
}

test_the_same_version_over_another_hop_is_denied if {
	count(tested_first.deny) == 1 with input as moving("1", "2", [{"from": "1.5", "to": "2"}])
}

test_an_install_that_test_had_passes if {
	count(tested_first.deny) == 0 with input as moving(null, "2", [{"from": null, "to": "2"}])
}

test_nothing_in_test_is_denied if {
	some objection in tested_first.deny with input as moving(null, "2", [])
	objection.msg == "db has not been from nothing to 2 in test"
}

test_the_environment_that_is_promoted_from_counts if {
	moved := object.union(moving("1", "2", [{"from": "1", "to": "2"}]), {"environments": {"production": {"promote_from": "staging"}}})
	some objection in tested_first.deny with input as moved
	objection.msg == "db has not been from 1 to 2 in staging"
}
