package windlass.two_people_test

import data.windlass.two_people

given(approval, hop) := {
	"settings": {},
	"environments": {"production": {"approval": approval}},
	"plan": {"changes": [{"instance": "db.main", "environment": "production", "hops": [hop]}]},
}

test_a_point_of_no_return_without_approvals_is_denied if {
	count(two_people.deny) == 1 with input as given(null, {"point_of_no_return": 0})
	count(two_people.deny) == 1 with input as given({"required": 1, "from": []}, {"point_of_no_return": 3})
}

test_two_approvals_are_enough if {
	count(two_people.deny) == 0 with input as given({"required": 2, "from": []}, {"point_of_no_return": 3})
}

test_what_can_be_undone_passes if {
	count(two_people.deny) == 0 with input as given(null, {})
}
