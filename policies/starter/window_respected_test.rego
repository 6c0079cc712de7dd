package windlass.window_respected_test

import data.windlass.window_respected

given(windows, gates, waivers, seconds) := {
	"now": "2026-11-20T12:00:00Z",
	"settings": {},
	"estimate": {"seconds": seconds},
	"environments": {"production": {"windows": windows}},
	"waivers": waivers,
	"plan": {"changes": [{"instance": "db.main", "environment": "production", "hops": [{}]}], "gates": gates},
}

open := {"environment": "production", "kind": "window", "open": true, "closes": "2026-11-20T13:00:00Z"}

test_an_open_window_that_is_long_enough_passes if {
	count(window_respected.deny) == 0 with input as given([{}], [open], [], 3600)
}

test_what_does_not_fit_is_denied if {
	some objection in window_respected.deny with input as given([{}], [open], [], 3601)
	objection.msg == "it takes about 61 min, and the window of production is open for 60 min more"
}

test_a_closed_window_is_the_gates_business if {
	closed := {"environment": "production", "kind": "window", "open": false, "opens": "2026-11-21T13:00:00Z"}
	count(window_respected.deny) == 0 with input as given([{}], [closed], [], 99999)
}

test_no_window_is_denied if {
	count(window_respected.deny) == 1 with input as given([], [], [], 1)
}

test_a_waiver_needs_an_owner if {
	waiver := {"name": "window", "expired": false, "owner": null, "environment": null}
	count(window_respected.deny) == 1 with input as given([{}], [], [waiver], 1)
	count(window_respected.deny) == 0 with input as given([{}], [], [object.union(waiver, {"owner": "ada"})], 1)
	count(window_respected.deny) == 0 with input as given([{}], [], [object.union(waiver, {"environment": "test"})], 1)
}
